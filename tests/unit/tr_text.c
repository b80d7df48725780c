/* tr_text.c - see tr_text.h. */
#include "tr_text.h"
#include "net/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void text_must(bool truth, const char *what, const char *file, int line)
{
    if (truth) return;
    (void)fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

const enum api props_apis[PROPS_APIS] = {API_CHAT, API_RESPONSES, API_MESSAGES, API_GENERATE,
                                         API_CONVERSE, API_COHERE};

struct json_index *props_index(unsigned which)
{
    static struct json_index *room[2];
    assert(which < COUNT(room));
    if (!room[which]) room[which] = malloc(sizeof *room[which]);
    if (!room[which]) abort();
    return room[which];
}

void text_put(struct text *t, struct bytes b)
{
    if (t->len + b.len + 1 > t->room) {
        t->room = (t->len + b.len + 1) * 2;
        t->at = realloc(t->at, t->room);
        if (!t->at) abort();
    }
    if (b.len > 0) memcpy(t->at + t->len, b.ptr, b.len);
    t->len += b.len;
    t->at[t->len] = '\0';
}

void text_putf(struct text *t, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    text_put(t, bytes_of(line));
}

struct bytes text_of(const struct text *t)
{
    return (struct bytes){t->at, t->len};
}

void text_free(struct text *t)
{
    free(t->at);
    *t = (struct text){0};
}

void text_same(const char *what, const struct text *a, const struct text *b)
{
    if (bytes_eq(text_of(a), text_of(b))) return;
    (void)fprintf(stderr, "%s differ:\n--- %.*s\n+++ %.*s\n", what, (int)a->len,
                  a->at ? a->at : "", (int)b->len, b->at ? b->at : "");
    abort();
}

void text_put_plain(struct text *t, struct bytes inside)
{
    char *room = malloc(inside.len + 1);
    if (!room) abort();
    size_t n = json_unescape(inside, room);
    for (size_t i = 0; i < n; i++) if (room[i] == '\n' || room[i] == '\r') room[i] = ' ';
    text_put(t, (struct bytes){room, n});
    free(room);
}
