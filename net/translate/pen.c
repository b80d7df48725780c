/* pen.c - writes JSON in pieces; see pen.h.
 * Model: everything goes through put(), which fills the window and asks for the next one.
 * Rule: what does not fit sets full, and from then on nothing is written, though nesting is
 * still followed, so that a mistake of the caller's shows either way. */
#include "net/translate/pen.h"

#include "net/translate/walk.h"

enum { INNER_MAX = 512 };  /* bytes of a string in a string that are looked at together */

void pen_init(struct pen *p, char *window, size_t room)
{
    assert(p);
    assert(window || room == 0);
    *p = (struct pen){.at = window, .room = room};
}

void pen_fresh(struct pen *p)
{
    assert(p->depth == 0 && !p->after_key);
    p->commas = p->objects = 0;
}

/* Give what is in the window away, for another one. */
static bool turn(struct pen *p)
{
    if (p->full) return false;
    p->wrote += p->len;
    if (!p->more || !p->more(p)) {
        p->full = true;
        p->room = p->len = 0;
        return false;
    }
    assert(p->len == 0 && p->room >= PEN_NEED_MAX);
    return true;
}

/* What does not fit the window. */
static __attribute__((noinline)) void put_on(struct pen *p, const char *at, size_t n)
{
    while (n > 0) {
        if (p->len == p->room && !turn(p)) return;
        size_t part = p->room - p->len < n ? p->room - p->len : n;
        memcpy(p->at + p->len, at, part);
        p->len += part;
        at += part;
        n -= part;
    }
}

static inline void put(struct pen *p, const char *at, size_t n)
{
    assert(p->len <= p->room);
    if (n > p->room - p->len) {
        put_on(p, at, n);
        return;
    }
    if (n > 0) memcpy(p->at + p->len, at, n);
    p->len += n;
}

static inline void put_byte(struct pen *p, char c)
{
    if (p->len < p->room) p->at[p->len++] = c;
    else put_on(p, &c, 1);
}

void pen_put(struct pen *p, struct bytes b)
{
    put(p, b.ptr, b.len);
}

/* Bit of the innermost container; there must be one. */
static uint64_t level(const struct pen *p)
{
    assert(p->depth > 0 && p->depth <= PEN_DEPTH_MAX);
    return UINT64_C(1) << (p->depth - 1);
}

/* The comma before an item, where one is due. */
static void comma(struct pen *p)
{
    if (p->depth == 0) return;
    if (p->commas & level(p)) put_byte(p, ',');
    p->commas |= level(p);
}

/* What goes before a value: in an object its key is there already. */
static void value_begins(struct pen *p)
{
    bool member = p->depth > 0 && (p->objects & level(p));
    assert(member == p->after_key);
    if (!member) comma(p);
    p->after_key = false;
}

static void container_opens(struct pen *p, char bracket, bool object)
{
    value_begins(p);
    assert(p->depth < PEN_DEPTH_MAX);
    put_byte(p, bracket);
    p->depth++;
    p->commas &= ~level(p);
    p->objects &= ~level(p);
    if (object) p->objects |= level(p);
}

static void container_closes(struct pen *p, char bracket, bool object)
{
    assert(!p->after_key);
    assert(((p->objects & level(p)) != 0) == object);
    put_byte(p, bracket);
    p->depth--;
}

void pen_object(struct pen *p)
{
    container_opens(p, '{', true);
}

void pen_object_end(struct pen *p)
{
    container_closes(p, '}', true);
}

void pen_array(struct pen *p)
{
    container_opens(p, '[', false);
}

void pen_array_end(struct pen *p)
{
    container_closes(p, ']', false);
}

void pen_key(struct pen *p, struct bytes name)
{
    assert(!p->after_key && (p->objects & level(p)));
    if (name.len + 4 <= p->room - p->len) {  /* mostly it fits */
        char *at = p->at + p->len;
        if (p->commas & level(p)) *at++ = ',';
        p->commas |= level(p);
        *at++ = '"';
        memcpy(at, name.ptr, name.len);
        at += name.len;
        *at++ = '"';
        *at++ = ':';
        p->len = (size_t)(at - p->at);
        p->after_key = true;
        return;
    }
    comma(p);
    put_byte(p, '"');
    put(p, name.ptr, name.len);
    put(p, "\":", 2);
    p->after_key = true;
}

void pen_value(struct pen *p, struct bytes json)
{
    assert(json.len > 0);
    value_begins(p);
    put(p, json.ptr, json.len);
}

void pen_int(struct pen *p, int64_t value)
{
    char room[20], *end = room + sizeof room, *at = end;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do *--at = (char)('0' + left % 10); while ((left /= 10) > 0);
    if (value < 0) *--at = '-';
    assert(at >= room);
    value_begins(p);
    put(p, at, (size_t)(end - at));
}

void pen_bool(struct pen *p, bool value)
{
    pen_value(p, value ? BYTES("true") : BYTES("false"));
}

void pen_null(struct pen *p)
{
    pen_value(p, BYTES("null"));
}

/* ---- strings ---- */

void pen_begin(struct pen *p)
{
    value_begins(p);
    put_byte(p, '"');
}

void pen_end(struct pen *p)
{
    put_byte(p, '"');
}

void pen_part(struct pen *p, struct bytes inside)
{
    put(p, inside.ptr, inside.len);
}

void pen_part_text(struct pen *p, struct bytes text)
{
    char escape[JSON_ESCAPE_MAX];
    size_t bad;
    while (text.len > 0 && !p->full) {
        struct bytes plain = bytes_cut(&text, json_plain(text, &bad));
        put(p, plain.ptr, plain.len);
        if (text.len == 0) break;
        if (bad) put(p, "\xEF\xBF\xBD", 3);
        else put(p, escape, json_escape(*text.ptr, escape));
        bytes_cut(&text, bad ? bad : 1);
    }
}

/* Leave a long part of the document where it is. False: it is to be copied. */
static bool viewed(struct pen *p, uint64_t from, uint64_t to)
{
    if (!p->view || to - from < PEN_VIEW_MIN || !turn(p)) return false;
    if (!p->view(p, from, to)) {
        p->full = true;
        p->room = p->len = 0;
        return true;
    }
    p->wrote += to - from;
    turn(p);
    return true;
}

void pen_part_span(struct pen *p, const struct walk *w, struct walk_span s)
{
    if (!walk_has(s) || viewed(p, s.start, s.end)) return;
    while (s.start < s.end && !p->full) {
        struct bytes b = walk_piece(w, s.start, s.end);
        put(p, b.ptr, b.len);
        s.start += b.len;
    }
}

void pen_key_span(struct pen *p, const struct walk *w, struct walk_span name)
{
    assert(!p->after_key && (p->objects & level(p)));
    comma(p);
    put_byte(p, '"');
    pen_part_span(p, w, name);
    put(p, "\":", 2);
    p->after_key = true;
}

void pen_text(struct pen *p, struct bytes text)
{
    pen_begin(p);
    pen_part_text(p, text);
    pen_end(p);
}

void pen_string(struct pen *p, struct bytes inside)
{
    pen_begin(p);
    pen_part(p, inside);
    pen_end(p);
}

void pen_span(struct pen *p, const struct walk *w, struct walk_span inside)
{
    pen_begin(p);
    pen_part_span(p, w, inside);
    pen_end(p);
}

/* Bytes at the start of a without a line end. */
static size_t line_length(struct bytes a)
{
    size_t n = bytes_find(a, '\n');
    return bytes_find((struct bytes){a.ptr, n}, '\r');
}

/* Bytes of a document, line ends as blanks: between tokens, where alone they stand. */
static void put_line(struct pen *p, struct bytes b)
{
    while (b.len > 0) {
        struct bytes plain = bytes_cut(&b, line_length(b));
        put(p, plain.ptr, plain.len);
        if (b.len == 0) break;
        put_byte(p, ' ');
        bytes_cut(&b, 1);
    }
}

void pen_node(struct pen *p, const struct walk *w, struct node n)
{
    assert(n.type != JSON_NONE);
    value_begins(p);
    if (viewed(p, n.start, n.end)) return;
    while (n.start < n.end && !p->full) {
        struct bytes b = walk_piece(w, n.start, n.end);
        put_line(p, b);
        n.start += b.len;
    }
}

/* Bytes at the start of a that need no escape. What follows may be half a UTF-8 sequence. */
static size_t quiet_length(struct bytes a)
{
    size_t n = 0;
    while (n < a.len && (unsigned char)a.ptr[n] >= 0x20 && a.ptr[n] != '"' &&
           a.ptr[n] != '\\') n++;
    return n;
}

void pen_part_node(struct pen *p, const struct walk *w, struct node n)
{
    char escape[JSON_ESCAPE_MAX];
    while (n.start < n.end && !p->full) {
        struct bytes b = walk_piece(w, n.start, n.end);
        n.start += b.len;
        while (b.len > 0) {
            struct bytes plain = bytes_cut(&b, quiet_length(b));
            put(p, plain.ptr, plain.len);
            if (b.len > 0) put(p, escape, json_escape(*bytes_cut(&b, 1).ptr, escape));
        }
    }
}

/* ---- a document in a string ---- */

void pen_check_begin(struct pen_check *c)
{
    json_init(&c->json, WALK_DEPTH_MAX);
    c->rc = NET_MORE;
    c->object = c->any = false;
}

/* The next bytes of the text. */
static void check_bytes(struct pen_check *c, struct bytes b)
{
    struct json_token t;
    c->any = true;
    while ((c->rc = json_next(&c->json, &b, &t)) == NET_OK) {
        if (t.type == JSON_SKIPPED) continue;
        if (t.type != JSON_OBJECT) {
            c->rc = NET_BAD;
            return;
        }
        c->object = true;
        json_skip(&c->json);  /* and so keeps no text */
    }
}

void pen_check_part(struct pen_check *c, const struct walk *w, struct walk_span inside)
{
    char room[INNER_MAX];
    struct walk_text text = walk_text(w, inside);
    while (c->rc != NET_BAD) {
        struct bytes b = walk_text_next(&text, room, sizeof room);
        if (b.len == 0) break;
        check_bytes(c, b);
    }
    explicit_bzero(room, sizeof room);
}

bool pen_check_end(struct pen_check *c)
{
    assert(c->rc != NET_OK);
    return !c->any || (c->object && c->rc == NET_DONE);
}

void pen_inner_begin(struct pen *p, const struct pen_check *c)
{
    if (c->any) value_begins(p);
    else pen_value(p, BYTES("{}"));
}

void pen_inner_part(struct pen *p, const struct walk *w, struct walk_span inside)
{
    char room[INNER_MAX];
    struct walk_text text = walk_text(w, inside);
    while (!p->full) {
        struct bytes b = walk_text_next(&text, room, sizeof room);
        if (b.len == 0) break;
        put_line(p, b);
    }
    explicit_bzero(room, sizeof room);
}

bool pen_inner(struct pen *p, const struct walk *w, struct walk_span inside)
{
    struct pen_check c;
    pen_check_begin(&c);
    pen_check_part(&c, w, inside);
    if (!pen_check_end(&c)) return false;
    pen_inner_begin(p, &c);
    pen_inner_part(p, w, inside);
    return true;
}
