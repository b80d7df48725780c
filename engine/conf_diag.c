/* conf_diag.c - what is wrong with the configuration, said so that it can be put right:
 *
 *   weir.yaml:3:1: error: unknown setting 'lissten' (did you mean 'listen'?)
 *   lissten: ["127.0.0.1:8080"]
 *   ^
 *
 * Settings are read in another order than they are written in, so diagnostics are kept, the
 * first by position, and printed at the end. Secrets are shown as stars, also here where
 * the source line is (conf_hide.c), and whatever looks like a key of a known form. */
#include <stdarg.h>
#include <stdio.h>

#include "engine/conf.h"
#include "engine/conf_parts.h"

enum {
    LINE_SHOWN_MAX = 120,        /* characters of a source line */
    TAIL_BYTES = 96,             /* room kept for the last line, "... and N more errors" */
};
static_assert((int)CONF_SHOWN_MAX == (int)CONF_ERRORS_MAX, "one limit, two names");

/* ---- lines and names ---- */

struct bytes conf_line_next(struct bytes *text)
{
    for (size_t i = 0; i < text->len; i++) {
        struct bytes at = {text->ptr + i, text->len - i};
        size_t end = 0;
        if (bytes_starts(at, BYTES("\r\n")) || bytes_starts(at, BYTES("\xC2\x85"))) end = 2;
        else if (*at.ptr == '\n' || *at.ptr == '\r') end = 1;
        else if (bytes_starts(at, BYTES("\xE2\x80\xA8"))) end = 3;
        else if (bytes_starts(at, BYTES("\xE2\x80\xA9"))) end = 3;
        if (end == 0) continue;
        struct bytes line = bytes_cut(text, i);
        bytes_cut(text, end);
        return line;
    }
    return bytes_cut(text, text->len);
}

static bool is_key_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || c == '-';
}

/* Put stars over runs that begin as providers' keys do, whatever setting holds them. */
static void hide_keys(char *text)
{
    static const char *const begin[] = {"sk-", "sk_", "gsk_", "xai-", "AIza", "hf_", "ghp_",
                                        "pplx-", "key-", "nvapi-", "fw_", "whsec_"};
    enum { KEY_BYTES_MIN = 8 };
    for (char *run = text; *run;) {
        size_t len = 0;
        while (is_key_byte(run[len])) len++;
        struct bytes all = {run, len};
        for (size_t i = 0; i < COUNT(begin); i++) {
            struct bytes b = bytes_of(begin[i]);
            if (len >= b.len + KEY_BYTES_MIN && bytes_starts(all, b)) memset(run, '*', len);
        }
        run += len ? len : 1;
    }
}

/* Copy one character; what a terminal should not get becomes '?'. Gives bytes taken. */
static size_t put_character(struct bytes in, char *out, size_t *len)
{
    unsigned char c = (unsigned char)*in.ptr;
    size_t width = c < 0x80 ? 1 : (c & 0xE0) == 0xC0 ? 2 : (c & 0xF0) == 0xE0 ? 3 :
                   (c & 0xF8) == 0xF0 ? 4 : 0;
    bool fine = width > 0 && width <= in.len && c != 0x7F && (c >= 0x20 || c == '\t');
    for (size_t i = 1; fine && i < width; i++) fine = (in.ptr[i] & 0xC0) == 0x80;
    /* C1 controls (U+0080..9F) drive terminals as well. */
    if (fine && c == 0xC2 && (unsigned char)in.ptr[1] < 0xA0) fine = false;
    if (!fine) {
        out[(*len)++] = '?';
        size_t skip = 1;
        while (skip < in.len && (in.ptr[skip] & 0xC0) == 0x80) skip++;
        return skip;
    }
    memcpy(out + *len, in.ptr, width);
    *len += width;
    return width;
}

const char *conf_quote_text(struct bytes text, char out[CONF_QUOTE_MAX])
{
    size_t len = 0;
    out[len++] = '\'';
    while (text.len && len < CONF_QUOTE_MAX - 12) {
        bytes_cut(&text, put_character(text, out, &len));
    }
    if (text.len) {
        memcpy(out + len, "...", 3);
        len += 3;
    }
    out[len++] = '\'';
    out[len] = '\0';
    assert(len < CONF_QUOTE_MAX);
    return out;
}

const char *conf_quote(const struct conf_node *n, char out[CONF_QUOTE_MAX])
{
    static const char *const kinds[] = {[CONF_SCALAR] = "text", [CONF_LIST] = "a list",
                                        [CONF_MAP] = "a map"};
    const char *said = kinds[n->kind];
    if (n->kind == CONF_SCALAR && !n->secret) {
        /* As written: what a variable or a file holds may be a secret. */
        if (!conf_is_null(n)) return conf_quote_text(n->raw, out);
        said = "empty";
    }
    snprintf(out, CONF_QUOTE_MAX, "%s", said);
    return out;
}

const char *conf_hint(const char *near, char out[CONF_QUOTE_MAX])
{
    char quoted[CONF_QUOTE_MAX];
    out[0] = '\0';
    if (near) {
        snprintf(out, CONF_QUOTE_MAX, " (did you mean %.70s?)",
                 conf_quote_text(bytes_of(near), quoted));
    }
    return out;
}

unsigned conf_distance(struct bytes a, struct bytes b, unsigned limit)
{
    enum { NAME_MAX_BYTES = 64 };
    size_t apart = a.len > b.len ? a.len - b.len : b.len - a.len;
    if (a.len > NAME_MAX_BYTES || b.len > NAME_MAX_BYTES || apart > limit) return limit + 1;
    unsigned row[3][NAME_MAX_BYTES + 1];
    for (unsigned j = 0; j <= b.len; j++) row[0][j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned *now = row[i % 3], *above = row[(i + 2) % 3], *two = row[(i + 1) % 3];
        now[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            char x = byte_lower(a.ptr[i - 1]), y = byte_lower(b.ptr[j - 1]);
            unsigned best = above[j - 1] + (x != y);
            if (above[j] + 1 < best) best = above[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            bool swap = i > 1 && j > 1 && x == byte_lower(b.ptr[j - 2]) &&
                        y == byte_lower(a.ptr[i - 2]);
            if (swap && two[j - 2] + 1 < best) best = two[j - 2] + 1;
            now[j] = best;
        }
    }
    unsigned found = row[a.len % 3][b.len];
    return found <= limit ? found : limit + 1;
}

unsigned conf_distance_max(struct bytes name)
{
    return name.len <= 4 ? 1 : name.len <= 8 ? 2 : (unsigned)(name.len < 24 ? name.len / 3 : 8);
}

/* ---- keeping ---- */

static bool is_before(struct conf_mark a, struct conf_mark b)
{
    return a.line != b.line ? a.line < b.line : a.column < b.column;
}

static void keep(struct conf_diags *d, struct conf_mark at, const char *format, va_list args)
{
    uint32_t kept = d->count < CONF_SHOWN_MAX ? d->count : CONF_SHOWN_MAX;
    d->count++;
    uint32_t place = kept;
    while (place > 0 && is_before(at, d->at[place - 1].at)) place--;
    if (place == CONF_SHOWN_MAX) return;
    if (kept == CONF_SHOWN_MAX) kept--;
    memmove(&d->at[place + 1], &d->at[place], (kept - place) * sizeof d->at[0]);
    d->at[place].at = at;
    vsnprintf(d->at[place].message, CONF_MESSAGE_MAX, format, args);
    hide_keys(d->at[place].message);
}

void conf_error(struct conf_reader *r, struct conf_mark at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    keep(&r->errors, at, format, args);
    va_end(args);
}

void conf_warning(struct conf_reader *r, struct conf_mark at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    keep(&r->warnings, at, format, args);
    va_end(args);
}

/* ---- printing ---- */

static bool is_hidden(const struct conf_reader *r, struct conf_mark at)
{
    if (r->scratch.full) return true;   /* a span may be missing */
    for (const struct conf_span *s = r->hidden; s; s = s->next) {
        if (!is_before(at, s->from) && is_before(at, s->to)) return true;
    }
    return false;
}

struct shown {
    char line[4 * LINE_SHOWN_MAX + 8];
    char caret[LINE_SHOWN_MAX + 8];
};

/* The source line around a place, and the line with the caret. A long line is shown from a
 * little before the place. */
static void show_line(const struct conf_reader *r, struct conf_mark at, struct shown *out)
{
    struct bytes text = r->source, line = {0};
    for (uint32_t i = 0; i < at.line; i++) line = conf_line_next(&text);
    uint32_t from = at.column > LINE_SHOWN_MAX - 20 ? at.column - 40 : 1;
    size_t len = 0, caret = 0;
    for (uint32_t column = 1; line.len && column < from + LINE_SHOWN_MAX; column++) {
        char one[4];
        size_t width = 0;
        bytes_cut(&line, put_character(line, one, &width));
        if (column < from) continue;
        bool tab = one[0] == '\t';
        if (one[0] != ' ' && !tab && is_hidden(r, (struct conf_mark){at.line, column})) {
            out->line[len++] = '*';
        } else {
            memcpy(out->line + len, one, width);
            len += width;
        }
        if (column < at.column) out->caret[caret++] = tab ? '\t' : ' ';
    }
    while (caret < at.column - from && caret < LINE_SHOWN_MAX) out->caret[caret++] = ' ';
    out->line[len] = '\0';
    out->caret[caret] = '^';
    out->caret[caret + 1] = '\0';
    assert(len < sizeof out->line && caret + 1 < sizeof out->caret);
    hide_keys(out->line);
}

/* One diagnostic; false, and nothing is put, where the report has no room for it. */
static bool print_one(const struct conf_reader *r, const struct conf_diag *d,
                      const char *severity, struct conf_report *report)
{
    size_t room = sizeof report->text - report->len - TAIL_BYTES;
    char *out = report->text + report->len;
    int len;
    if (d->at.line == 0) {
        len = snprintf(out, room, "%.200s: %s: %s\n", r->file, severity, d->message);
    } else {
        struct shown shown;
        show_line(r, d->at, &shown);
        len = snprintf(out, room, "%.200s:%u:%u: %s: %s\n%s\n%s\n", r->file, d->at.line,
                       d->at.column, severity, d->message, shown.line, shown.caret);
    }
    assert(len > 0);
    if ((size_t)len >= room) {
        *out = '\0';
        return false;
    }
    report->len += (size_t)len;
    return true;
}

static void print_all(const struct conf_reader *r, const struct conf_diags *d,
                      const char *severity, struct conf_report *report)
{
    uint32_t shown = 0;
    while (shown < d->count && shown < CONF_SHOWN_MAX &&
           print_one(r, &d->at[shown], severity, report)) {
        shown++;
    }
    if (shown == d->count) return;
    uint32_t more = d->count - shown;
    size_t room = sizeof report->text - report->len;
    int len = snprintf(report->text + report->len, room, "... and %u more %s%s\n", more,
                       severity, more == 1 ? "" : "s");
    if (len > 0 && (size_t)len < room) report->len += (size_t)len;
    else report->text[report->len] = '\0';
}

void conf_diag_print(const struct conf_reader *r, struct conf_report *report)
{
    static_assert(sizeof report->text > TAIL_BYTES + 1200, "room for one and the tail");
    *report = (struct conf_report){.error_count = r->errors.count,
                                   .warning_count = r->warnings.count};
    print_all(r, &r->errors, "error", report);
    if (report->len < sizeof report->text / 2) {
        print_all(r, &r->warnings, "warning", report);
    }
    assert(report->len < sizeof report->text);
    assert(report->text[report->len] == '\0');
}
