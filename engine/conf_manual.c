/* conf_manual.c - the list of settings for weir.yaml(5), from the table that reads them:
 * mdoc(7) items of name, what it takes, default, and help. */
#include <stdio.h>

#include "engine/conf.h"
#include "engine/conf_parts.h"

enum { MANUAL_LINE_MAX = 1536 };

/* Copy text so that mdoc takes it as it is: no macro at the start, no escape inside. */
static void plain(const char *text, char *out, size_t room)
{
    size_t len = 0;
    if (*text == '.' || *text == '\'') len += (size_t)snprintf(out, room, "\\&");
    for (; *text && len + 3 < room; text++) {
        out[len++] = *text;
        if (*text == '\\') out[len++] = 'e';
    }
    assert(len < room);
    out[len] = '\0';
}

static void put_setting(const struct conf_setting *s, void (*put)(void *arg, const char *line),
                        void *arg)
{
    char takes[CONF_TAKES_MAX], text[MANUAL_LINE_MAX], line[MANUAL_LINE_MAX];
    snprintf(line, sizeof line, ".It Cm %s", s->path);
    put(arg, line);
    snprintf(text, sizeof text, "Takes %s.", conf_takes(s, takes, sizeof takes));
    plain(text, line, sizeof line);
    put(arg, line);
    bool none = s->preset && !*s->preset;
    if (s->preset) {
        snprintf(text, sizeof text, "Default: %s.", none ? "none" : s->preset);
        plain(text, line, sizeof line);
        put(arg, line);
    }
    plain(s->help, line, sizeof line);
    put(arg, line);
    if (s->built) return;
    put(arg, s->preset ? "Anything but the default is not in this release." :
                         "Not in this release.");
}

void conf_manual(void (*put)(void *arg, const char *line), void *arg)
{
    size_t count;
    const struct conf_setting *settings = conf_settings(&count);
    assert(put && count > 0);
    put(arg, ".Bl -tag -width Ds");
    for (size_t i = 0; i < count; i++) put_setting(&settings[i], put, arg);
    put(arg, ".El");
}
