/* jsonw.c - writes JSON (RFC 8259) into caller's memory; see jsonw.h.
 * Rule: each item is checked against the room before its first byte is stored, so len never
 * passes room; what did not fit sets full, and from then on nothing is written, though
 * nesting is still followed so that a caller's mistake shows either way. */
#include "net/jsonw.h"

#include "net/json.h"

void jsonw_init(struct jsonw *w, char *out, size_t room)
{
    assert(w);
    assert(out || room == 0);
    *w = (struct jsonw){.out = out, .room = room};
}

/* Is there room for n more bytes? */
static bool fits(struct jsonw *w, size_t n)
{
    assert(w->len <= w->room);
    if (n <= w->room - w->len) return true;
    if (!w->grow || n > SIZE_MAX - w->len || !w->grow(w, w->len + n)) return false;
    assert(w->out && w->room - w->len >= n);
    return true;
}

static void put(struct jsonw *w, const char *p, size_t n)
{
    if (w->full || !fits(w, n)) {
        w->full = true;
        return;
    }
    if (n) memcpy(w->out + w->len, p, n);
    w->len += n;
}

/* Bit of the innermost container; there must be one. */
static uint64_t level(const struct jsonw *w)
{
    assert(w->depth > 0 && w->depth <= JSONW_DEPTH_MAX);
    return UINT64_C(1) << (w->depth - 1);
}

/* The comma before an item, where one is due. */
static void comma(struct jsonw *w)
{
    if (w->depth == 0) return;
    if (w->more & level(w)) put(w, ",", 1);
    w->more |= level(w);
}

/* What goes before a value: in an object its key is there already. */
static void value_begins(struct jsonw *w)
{
    bool member = w->depth > 0 && (w->objects & level(w));
    assert(member == w->after_key);
    if (!member) comma(w);
    w->after_key = false;
}

static void container_opens(struct jsonw *w, const char *bracket, bool object)
{
    value_begins(w);
    assert(w->depth < JSONW_DEPTH_MAX);
    put(w, bracket, 1);
    w->depth++;
    w->more &= ~level(w);
    w->objects &= ~level(w);
    if (object) w->objects |= level(w);
}

static void container_closes(struct jsonw *w, const char *bracket, bool object)
{
    assert(!w->after_key);
    assert(((w->objects & level(w)) != 0) == object);
    put(w, bracket, 1);
    w->depth--;
}

void jsonw_object(struct jsonw *w)
{
    container_opens(w, "{", true);
}

void jsonw_object_end(struct jsonw *w)
{
    container_closes(w, "}", true);
}

void jsonw_array(struct jsonw *w)
{
    container_opens(w, "[", false);
}

void jsonw_array_end(struct jsonw *w)
{
    container_closes(w, "]", false);
}

static void put_quoted(struct jsonw *w, struct bytes text)
{
    put(w, "\"", 1);
    while (text.len > 0 && !w->full) {
        size_t bad;
        size_t n = json_plain(text, &bad);
        struct bytes plain = bytes_cut(&text, n);
        put(w, plain.ptr, n);
        if (text.len == 0) break;
        if (bad) {
            bytes_cut(&text, bad);
            put(w, "\xEF\xBF\xBD", 3);
        } else {
            char escape[JSON_ESCAPE_MAX];
            put(w, escape, json_escape(*bytes_cut(&text, 1).ptr, escape));
        }
    }
    put(w, "\"", 1);
}

void jsonw_key(struct jsonw *w, const char *name)
{
    assert(name);
    assert(!w->after_key && (w->objects & level(w)));
    comma(w);
    put_quoted(w, bytes_of(name));
    put(w, ":", 1);
    w->after_key = true;
}

void jsonw_string(struct jsonw *w, struct bytes text)
{
    assert(text.ptr || text.len == 0);
    value_begins(w);
    put_quoted(w, text);
}

void jsonw_text(struct jsonw *w, const char *text)
{
    if (text) jsonw_string(w, bytes_of(text));
    else jsonw_null(w);
}

enum { DECIMAL_ROOM = 24 };  /* a sign, 20 digits, a point, a leading zero */

/* value / 10^digits at the end of room; gives where it starts. */
static char *decimal(char *end, uint64_t value, bool minus, unsigned digits)
{
    char *p = end;
    for (unsigned i = 0; i < digits; i++, value /= 10) {
        char digit = (char)('0' + value % 10);
        if (p < end || digit != '0') *--p = digit;  /* no trailing zeros */
    }
    if (p < end) *--p = '.';
    do {
        *--p = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    if (minus) *--p = '-';
    return p;
}

static void put_decimal(struct jsonw *w, int64_t value, unsigned digits)
{
    assert(digits <= 19);
    char room[DECIMAL_ROOM], *end = room + DECIMAL_ROOM;
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char *p = decimal(end, magnitude, value < 0, digits);
    assert(p >= room);
    put(w, p, (size_t)(end - p));
}

void jsonw_int(struct jsonw *w, int64_t value)
{
    value_begins(w);
    put_decimal(w, value, 0);
}

void jsonw_uint(struct jsonw *w, uint64_t value)
{
    value_begins(w);
    char room[DECIMAL_ROOM], *end = room + DECIMAL_ROOM;
    char *p = decimal(end, value, false, 0);
    assert(p >= room);
    put(w, p, (size_t)(end - p));
}

void jsonw_bool(struct jsonw *w, bool value)
{
    value_begins(w);
    struct bytes word = value ? BYTES("true") : BYTES("false");
    put(w, word.ptr, word.len);
}

void jsonw_null(struct jsonw *w)
{
    value_begins(w);
    put(w, "null", 4);
}

void jsonw_fixed(struct jsonw *w, int64_t value, unsigned digits)
{
    value_begins(w);
    put_decimal(w, value, digits);
}

void jsonw_fixed_text(struct jsonw *w, int64_t value, unsigned digits)
{
    value_begins(w);
    put(w, "\"", 1);
    put_decimal(w, value, digits);
    put(w, "\"", 1);
}

void jsonw_raw(struct jsonw *w, struct bytes raw)
{
    assert(raw.len > 0);
    value_begins(w);
    put(w, raw.ptr, raw.len);
}
