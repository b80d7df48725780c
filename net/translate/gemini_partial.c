/* gemini_partial.c - a call's arguments where Gemini writes them piece by piece: each says
 * where in the object it belongs ("$.recipe.steps[0]") and what is there, a string perhaps in
 * several pieces. Model: the path of the latest value is kept (tell_reader.kept); from one to
 * the next all that they do not share is closed, and opened:
 *   $.a.b[0], $.a.c   ->   {"a":{"b":["...   "],"c":
 * Rule: values come in the order of the document. Where they do not, or a path is longer than
 * can be kept, the arguments are spoilt on purpose: a client is to refuse them rather than run
 * a tool with less than the model said. */
#include "net/translate/ask.h"
#include "net/translate/gemini.h"
#include "net/translate/tell.h"

enum { ESCAPED_MAX = 256, CHUNK_MAX = 64 };

/* Text of the arguments as it stands in them; no letter of it is cut. */
static bool put(struct tell_reader *r, struct bytes raw)
{
    char room[ESCAPED_MAX];
    bool told = true;
    while (raw.len > 0 && told) {
        size_t n = 0;
        while (raw.len > 0 && n + JSON_ESCAPE_MAX < sizeof room - 4) {
            char c = *bytes_cut(&raw, 1).ptr;
            bool plain = (unsigned char)c >= 0x20 && c != '"' && c != '\\';
            if (plain) room[n++] = c;
            else n += json_escape(c, room + n);
            while (raw.len > 0 && (*raw.ptr & 0xC0) == 0x80) {  /* the rest of a letter */
                room[n++] = *bytes_cut(&raw, 1).ptr;
            }
        }
        struct bytes inside = {room, n};
        struct walk_source source;
        walk_source_of(&source, &inside);
        struct walk w = {.source = &source, .whole = inside};
        told = tell_arguments(r, r->number[GEMINI_CALLS] - 1, &w, (struct walk_span){0, n});
    }
    explicit_bzero(room, sizeof room);
    return told;
}

static bool put_span(struct tell_reader *r, const struct walk *w, struct walk_span s)
{
    char room[CHUNK_MAX];
    bool told = true;
    while (s.start < s.end && told) {
        struct walk_span cut = {s.start, s.end};
        if (cut.end - cut.start > sizeof room) cut.end = cut.start + sizeof room;
        struct bytes b = walk_bytes(w, cut, room, sizeof room);
        if (cut.end < s.end) {  /* no letter is to be cut: the last one is left for later */
            while ((b.ptr[b.len - 1] & 0xC0) == 0x80) b.len--;
            if (b.ptr[b.len - 1] & 0x80) b.len--;
        }
        told = put(r, b);
        s.start += b.len;
    }
    explicit_bzero(room, sizeof room);
    return told;
}

/* ---- paths ---- */

struct segment { struct bytes name; bool index; };  /* ".name", "['name']", "[0]" */

/* The next segment of a path. False: that was all, or it is none. */
static bool segment_next(struct bytes *path, struct segment *s)
{
    if (path->len < 2) return false;
    bool bracket = *path->ptr == '[';
    if (!bracket && *path->ptr != '.') return false;
    bytes_cut(path, 1);
    char quote = *path->ptr;
    if (bracket && (quote == '\'' || quote == '"')) {
        bytes_cut(path, 1);
        s->name = bytes_cut(path, bytes_find(*path, quote));
        s->index = false;
        if (path->len < 2) return false;
        bytes_cut(path, 2);
        return true;
    }
    size_t n = 0;
    while (n < path->len && (bracket ? path->ptr[n] != ']'
                                     : path->ptr[n] != '.' && path->ptr[n] != '[')) n++;
    s->name = bytes_cut(path, n);
    s->index = bracket;
    if (bracket && path->len > 0) bytes_cut(path, 1);
    return n > 0;
}

static bool same(struct segment a, struct segment b)
{
    return a.index == b.index && bytes_eq(a.name, b.name);
}

/* Close what is open below a path's first segment, that segment being a value's place. */
static bool close_below(struct tell_reader *r, struct bytes path)
{
    struct segment s;
    if (!segment_next(&path, &s)) return true;
    return close_below(r, path) && put(r, s.index ? BYTES("]") : BYTES("}"));
}

/* The place of a value: what leads to it is opened. */
static bool open_below(struct tell_reader *r, struct segment s, struct bytes path)
{
    for (;;) {
        if (!s.index && (!put(r, BYTES("\"")) || !put(r, s.name) || !put(r, BYTES("\":")))) {
            return false;
        }
        if (!segment_next(&path, &s)) return true;
        if (!put(r, s.index ? BYTES("[") : BYTES("{"))) return false;
    }
}

static bool end_string(struct tell_reader *r)
{
    if (!(r->flags & GEMINI_STRING)) return true;
    r->flags &= ~(unsigned)GEMINI_STRING;
    return put(r, BYTES("\""));
}

/* From the place of the latest value to that of the next one. */
static bool go_to(struct tell_reader *r, struct bytes path)
{
    struct bytes from = {r->kept, r->kept_len}, to = path;
    struct segment a = {0}, b = {0};
    if (!end_string(r)) return false;
    bool first = from.len == 0, more = false, there = false;
    do {
        more = segment_next(&to, &b);
        there = !first && segment_next(&from, &a);
    } while (more && there && same(a, b));
    /* One of them is where the other leads through: no document has both. */
    if (!more || (!first && !there) || (there && a.index != b.index)) {
        return put(r, BYTES("<out of order>"));
    }
    if (!close_below(r, from) || !put(r, first ? BYTES("{") : BYTES(","))) return false;
    assert(path.len <= sizeof r->kept);
    memcpy(r->kept, path.ptr, path.len);
    r->kept_len = (uint16_t)path.len;
    return open_below(r, b, to);
}

bool gemini_take_partial(struct tell_reader *r, const struct walk *w, struct node piece)
{
    enum { PATH, TEXT, NUMBER, BOOL, GOES_ON, NAMES };
    static const struct bytes names[NAMES] = {BYTES_INIT("jsonPath"),
        BYTES_INIT("stringValue"), BYTES_INIT("numberValue"), BYTES_INIT("boolValue"),
        BYTES_INIT("willContinue")};
    struct node v[NAMES];
    char room[sizeof r->kept];
    assert(r->flags & GEMINI_PARTIAL);
    gemini_members(w, piece, names, NAMES, v);
    struct bytes path = walk_bytes(w, walk_inside(v[PATH]), room, sizeof room);
    if (!path.ptr || path.len < 3 || path.len > sizeof r->kept || *path.ptr != '$') {
        return put(r, BYTES("<no path>"));
    }
    bytes_cut(&path, 1);
    bool more = (r->flags & GEMINI_STRING) &&
                bytes_eq((struct bytes){r->kept, r->kept_len}, path);
    bool told = more || go_to(r, path);
    explicit_bzero(room, sizeof room);
    if (!told) return false;
    if (v[TEXT].type == JSON_STRING) {
        if (!more && !put(r, BYTES("\""))) return false;
        r->flags |= GEMINI_STRING;
        if (!put_span(r, w, walk_inside(v[TEXT]))) return false;
        return v[GOES_ON].type == JSON_TRUE || end_string(r);
    }
    if (more) return end_string(r);
    struct node value = v[NUMBER].type != JSON_NONE ? v[NUMBER] : v[BOOL];
    if (value.type == JSON_NONE) return put(r, BYTES("null"));
    return put_span(r, w, walk_all(value));
}

bool gemini_end_partial(struct tell_reader *r)
{
    if (!(r->flags & GEMINI_PARTIAL)) return true;
    if (!end_string(r)) return false;
    bool any = r->kept_len > 0;
    struct bytes path = {r->kept, r->kept_len};
    struct segment s;
    r->flags &= ~(unsigned)GEMINI_PARTIAL;
    if (any && (!segment_next(&path, &s) || !close_below(r, path))) return false;
    r->kept_len = 0;
    if (!put(r, any ? BYTES("}") : BYTES("{}"))) return false;
    return tell_close_call(r, r->number[GEMINI_CALLS] - 1);
}
