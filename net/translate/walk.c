/* walk.c - a document looked into by place; see walk.h.
 * Model: two ways behind one interface. A document that lies together, and has room for an
 * index (json_index.h), is walked from token to token: a pass over a container costs what its
 * own members cost. Any other is read again by the scanner (json.h), from the container's
 * first byte, values passed over at the scanner's speed.
 * Rule: walk_open saw the whole grammar. What fails below it is a mistake of ours: a source
 * that gives other bytes the second time (asserted). */
#include "net/translate/walk.h"

#include "net/json_index.h"

enum {
    SHORT_MAX = 96,    /* bytes of a text that is compared: types of documents have 71 */
    ESCAPES_MAX = 12,  /* bytes: a pair of \uXXXX */
};

struct bytes walk_piece(const struct walk *w, uint64_t at, uint64_t end)
{
    assert(at < end && end <= w->source->size);
    if (w->whole.len > 0) return (struct bytes){w->whole.ptr + at, (size_t)(end - at)};
    struct bytes b = w->source->piece(w->source->arg, at);
    assert(b.len > 0);
    if (b.len > end - at) b.len = (size_t)(end - at);
    return b;
}

static uint8_t type_of(char first)
{
    switch (first) {
    case '{': return JSON_OBJECT;
    case '[': return JSON_ARRAY;
    case '"': return JSON_STRING;
    case 't': return JSON_TRUE;
    case 'f': return JSON_FALSE;
    case 'n': return JSON_NULL;
    default: return JSON_NUMBER;
    }
}

static bool has_backslash(const struct walk *w, struct walk_span s)
{
    while (s.start < s.end) {
        struct bytes b = walk_piece(w, s.start, s.end);
        if (memchr(b.ptr, '\\', b.len)) return true;
        s.start += b.len;
    }
    return false;
}

static struct bytes one_piece(void *arg, uint64_t at)
{
    const struct bytes *b = arg;
    assert(at < b->len);
    return (struct bytes){b->ptr + at, b->len - (size_t)at};
}

void walk_source_of(struct walk_source *source, struct bytes *at)
{
    assert(source && at);
    *source = (struct walk_source){.piece = one_piece, .arg = at, .size = at->len};
}

/* ---- by the index ---- */

/* Bytes of the number or literal at p. One byte behind it is no part of it: the document's
 * root is a container. */
static size_t word_len(const char *p)
{
    size_t n = 1;
    while ((p[n] >= '0' && p[n] <= '9') || (p[n] >= 'a' && p[n] <= 'z') || p[n] == '.' ||
           p[n] == '-' || p[n] == '+' || p[n] == 'E') n++;
    return n;
}

static inline struct node index_node(const struct walk *w, uint32_t i)
{
    const struct json_index *x = w->index;
    const char *text = w->whole.ptr;
    assert(i < x->count);
    struct node n = {.start = x->at[i], .token = i, .type = type_of(x->first[i])};
    if (n.type == JSON_STRING) {
        struct bytes inside = json_index_text(x, text, i);
        n.end = n.start + inside.len + 2;
        n.escaped = !w->plain && inside.len > 0 && memchr(inside.ptr, '\\', inside.len);
    } else if (n.type == JSON_OBJECT || n.type == JSON_ARRAY) {
        n.end = (uint64_t)x->at[x->close[i]] + 1;
    } else {
        n.end = n.start + word_len(text + n.start);
    }
    return n;
}

/* The next member's key, or the next element: its token; 0: there is none. */
static inline uint32_t index_step(struct walk_each *e)
{
    const struct json_index *x = e->w->index;
    uint32_t i = e->token;
    if (x->first[i] == ',') i++;
    if ((x->first[i] | 0x20) == '}') {
        e->over = true;
        return 0;
    }
    e->token = json_index_behind(x, e->object ? i + 2 : i);
    return i;
}

/* ---- by the scanner ---- */

static void scan_token(struct walk_each *e, struct json_token *t)
{
    enum net_rc rc = NET_MORE;
    while (rc == NET_MORE) {
        if (e->in.len == 0) e->in = walk_piece(e->w, e->at, e->end);
        size_t before = e->in.len;
        rc = json_next(&e->json, &e->in, t);
        e->at += before - e->in.len;
    }
    assert(rc == NET_OK);
}

static void scan_begin(struct walk_each *e)
{
    struct json_token t;
    json_init(&e->json, WALK_DEPTH_MAX);
    scan_token(e, &t);
    assert(t.type == (e->object ? JSON_OBJECT : JSON_ARRAY));
}

/* The next member's key, or the next element's first token. False: there is none. */
static bool scan_step(struct walk_each *e, struct json_token *t)
{
    scan_token(e, t);
    if (t->type != JSON_OBJECT_END && t->type != JSON_ARRAY_END) return true;
    e->over = true;
    return false;
}

/* The value whose first token is t. */
static struct node scan_node(struct walk_each *e, struct json_token *t)
{
    struct node n = {.type = t->type, .escaped = t->escaped};
    if (t->type == JSON_OBJECT || t->type == JSON_ARRAY) {
        json_skip(&e->json);
        scan_token(e, t);
    }
    n.start = e->start + t->start;
    n.end = e->start + t->end;
    return n;
}

static void scan_skip(struct walk_each *e)
{
    struct json_token t;
    json_skip(&e->json);
    scan_token(e, &t);
}

/* Where a cut went through it, the scanner holds a client's words. */
static void scan_wipe(struct walk_each *e)
{
    if (!e->w->index && e->w->whole.len == 0) {
        explicit_bzero(e->json.text, sizeof e->json.text);
    }
}

/* Check the whole grammar. */
static bool scan_all(const struct walk *w, struct node *root)
{
    struct json j;
    struct json_token t;
    enum net_rc rc = NET_MORE;
    uint64_t at = 0, size = w->source->size;
    json_init(&j, WALK_DEPTH_MAX);
    json_skip(&j);  /* and so keeps no text */
    while (at < size && rc != NET_BAD) {
        struct bytes in = walk_piece(w, at, size);
        at += in.len;
        do {
            rc = json_next(&j, &in, &t);
            if (rc == NET_OK) *root = (struct node){.start = t.start, .end = t.end};
        } while (rc == NET_OK);
    }
    if (rc == NET_BAD) return false;
    while ((rc = json_finish(&j, &t)) == NET_OK) {
        *root = (struct node){.start = t.start, .end = t.end};
    }
    if (rc != NET_DONE) return false;
    assert(root->end > root->start);
    root->type = type_of(*walk_piece(w, root->start, root->end).ptr);
    root->escaped = root->type == JSON_STRING && has_backslash(w, walk_inside(*root));
    return true;
}

/* ---- either way ---- */

bool walk_open(struct walk *w, const struct walk_source *source, struct json_index *scratch,
               struct node *root)
{
    assert(source && source->piece);
    *w = (struct walk){.source = source};
    *root = (struct node){0};
    if (source->size == 0) return false;
    struct bytes first = source->piece(source->arg, 0);
    if (first.len >= source->size) w->whole = (struct bytes){first.ptr, (size_t)source->size};
    if (scratch && w->whole.len > 0 && json_index_build(scratch, w->whole, WALK_DEPTH_MAX)) {
        w->index = scratch;
        w->plain = !memchr(w->whole.ptr, '\\', w->whole.len);
        *root = index_node(w, 0);
        return true;
    }
    return scan_all(w, root);
}

void walk_begin(const struct walk *w, struct node n, struct walk_each *e)
{
    e->w = w;
    e->start = e->at = n.start;
    e->end = n.end;
    e->in = (struct bytes){0};
    e->token = n.token + 1;
    e->object = n.type == JSON_OBJECT;
    e->over = n.type != JSON_OBJECT && n.type != JSON_ARRAY;
    if (!e->over && !w->index) scan_begin(e);
}

bool walk_next(struct walk_each *e, struct node *key, struct node *value)
{
    struct json_token t;
    *key = *value = (struct node){0};
    if (e->over) return false;
    if (e->w->index) {
        uint32_t i = index_step(e);
        if (e->over) return false;
        if (e->object) *key = index_node(e->w, i);
        *value = index_node(e->w, e->object ? i + 2 : i);
        return true;
    }
    if (!scan_step(e, &t)) return false;
    if (e->object) {
        *key = (struct node){.start = e->start + t.start, .end = e->start + t.end,
                             .type = JSON_STRING, .escaped = t.escaped};
        scan_token(e, &t);
    }
    *value = scan_node(e, &t);
    return true;
}

/* Which of the names that is; count: none. */
static size_t name_of(struct bytes key, const struct bytes *names, size_t count)
{
    if (!key.ptr) return count;
    for (size_t i = 0; i < count; i++) {
        if (names[i].len != key.len) continue;
        /* Most names of one length differ in their first letter. */
        if (key.len == 0 || (*names[i].ptr == *key.ptr &&
                             memcmp(names[i].ptr, key.ptr, key.len) == 0)) return i;
    }
    return count;
}

static void keep_value(struct node *values, size_t i, struct node n)
{
    values[i] = n.type == JSON_NULL ? (struct node){0} : n;
}

void walk_members(const struct walk *w, struct node object, const struct bytes *names,
                  size_t count, struct node *values)
{
    struct walk_each e;
    struct json_token t;
    memset(values, 0, count * sizeof *values);
    if (object.type != JSON_OBJECT) return;
    walk_begin(w, object, &e);
    while (w->index) {
        uint32_t key = index_step(&e);
        if (e.over) return;
        size_t i = name_of(json_index_text(w->index, w->whole.ptr, key), names, count);
        if (i < count) keep_value(values, i, index_node(w, key + 2));
    }
    while (scan_step(&e, &t)) {
        size_t i = name_of(t.text, names, count);
        if (i == count) {
            scan_skip(&e);
            continue;
        }
        scan_token(&e, &t);
        keep_value(values, i, scan_node(&e, &t));
    }
    scan_wipe(&e);
}

struct node walk_member(const struct walk *w, struct node object, struct bytes name)
{
    struct node value;
    walk_members(w, object, &name, 1, &value);
    return value;
}

size_t walk_count(const struct walk *w, struct node container)
{
    struct walk_each e;
    struct node key, value;
    size_t count = 0;
    walk_begin(w, container, &e);
    while (walk_next(&e, &key, &value)) count++;
    if (count > 0) scan_wipe(&e);
    return count;
}

struct bytes walk_bytes(const struct walk *w, struct walk_span s, char *room, size_t max)
{
    if (!walk_has(s)) return BYTES("");
    struct bytes b = walk_piece(w, s.start, s.end);
    size_t len = (size_t)(s.end - s.start), n = 0;
    if (b.len == len) return b;
    if (len > max) return (struct bytes){NULL, len};
    while (n < len) {
        b = walk_piece(w, s.start + n, s.end);
        memcpy(room + n, b.ptr, b.len);
        n += b.len;
    }
    return (struct bytes){room, len};
}

struct bytes walk_short(const struct walk *w, struct node n, char *room, size_t max)
{
    assert(w && room);
    if (n.type != JSON_STRING) return (struct bytes){0};
    struct bytes b = walk_bytes(w, walk_inside(n), room, max);
    return b.len <= max ? b : (struct bytes){0};
}

/* ---- strings, escapes resolved ---- */

/* Is that a \uXXXX whose code is between D800 + from and D800 + to? */
static bool is_surrogate(struct bytes b, char from, char to)
{
    return b.len >= 6 && b.ptr[0] == '\\' && b.ptr[1] == 'u' && (b.ptr[2] | 0x20) == 'd' &&
           byte_lower(b.ptr[3]) >= from && byte_lower(b.ptr[3]) <= to;
}

/* Resolve the escape at t->at. */
static struct bytes escape_next(struct walk_text *t, char *room)
{
    char apart[ESCAPES_MAX];
    uint64_t most = t->end - t->at < ESCAPES_MAX ? t->end - t->at : ESCAPES_MAX;
    struct walk_span s = {t->at, t->at + most};
    struct bytes b = walk_bytes(t->w, s, apart, sizeof apart);
    size_t n = b.len > 1 && b.ptr[1] == 'u' ? 6 : 2;
    bool pair = is_surrogate(b, '8', 'b') &&
                is_surrogate((struct bytes){b.ptr + 6, b.len - 6}, 'c', 'f');
    if (pair) n = ESCAPES_MAX;
    if (n > b.len) n = b.len;
    char out[ESCAPES_MAX];
    size_t len = json_unescape((struct bytes){b.ptr, n}, out);
    assert(len >= 1 && len <= 4);
    memcpy(room, out, len);
    t->at += n;
    explicit_bzero(out, sizeof out);
    explicit_bzero(apart, sizeof apart);
    return (struct bytes){room, len};
}

struct bytes walk_text_next(struct walk_text *t, char *room, size_t max)
{
    size_t n = 0;
    assert(max >= 4);
    while (t->at < t->end) {
        struct bytes b = walk_piece(t->w, t->at, t->end);
        size_t plain = bytes_find(b, '\\');
        if (n == 0 && (plain == b.len || plain > max)) {
            t->at += plain;
            return (struct bytes){b.ptr, plain};
        }
        if (plain > max - n) plain = max - n;
        if (plain > 0) memcpy(room + n, b.ptr, plain);
        n += plain;
        t->at += plain;
        if (plain == b.len) continue;
        if (max - n < 4) break;
        n += escape_next(t, room + n).len;
    }
    return (struct bytes){room, n};
}

/* A span's text, escapes resolved, in room of SHORT_MAX bytes if need be. ptr NULL: longer. */
static struct bytes text_short(const struct walk *w, struct walk_span s, char *room)
{
    if (!walk_has(s)) return BYTES("");
    if (s.end - s.start > SHORT_MAX * 6) return (struct bytes){.len = SHORT_MAX + 1};
    struct bytes raw = walk_bytes(w, s, room, SHORT_MAX);
    if (raw.ptr && (w->plain || !memchr(raw.ptr, '\\', raw.len))) return raw;
    struct walk_text t = walk_text(w, s);
    char part[SHORT_MAX];
    size_t n = 0;
    for (;;) {
        struct bytes b = walk_text_next(&t, part, sizeof part);
        if (b.len == 0) break;
        if (b.len > SHORT_MAX - n) return (struct bytes){.len = SHORT_MAX + 1};
        memcpy(room + n, b.ptr, b.len);
        n += b.len;
    }
    explicit_bzero(part, sizeof part);
    return (struct bytes){room, n};
}

/* What text_short() gave was looked at: a client's words do not stay behind. */
static void short_wipe(struct bytes b, char *room)
{
    if (b.ptr == room) explicit_bzero(room, SHORT_MAX);
}

bool walk_is(const struct walk *w, struct walk_span s, struct bytes text)
{
    char room[SHORT_MAX];
    assert(text.len <= SHORT_MAX);
    struct bytes b = text_short(w, s, room);
    bool same = b.ptr && bytes_eq(b, text);
    short_wipe(b, room);
    return same;
}

size_t walk_word(const struct walk *w, struct node n, const struct bytes *words, size_t count)
{
    char room[SHORT_MAX];
    if (n.type != JSON_STRING) return count;
    if (!n.escaped && w->whole.len > 0) {
        const char *at = w->whole.ptr + n.start + 1;
        return name_of((struct bytes){at, (size_t)(n.end - n.start - 2)}, words, count);
    }
    struct bytes b = text_short(w, walk_inside(n), room);
    size_t i = name_of(b, words, count);
    short_wipe(b, room);
    return i;
}

bool walk_int(const struct walk *w, struct node n, int64_t *out)
{
    char room[32];
    if (n.type != JSON_NUMBER) return false;
    struct bytes b = walk_bytes(w, walk_all(n), room, sizeof room);
    return b.ptr && json_integer(b, out);
}

uint64_t walk_hash(const struct walk *w, struct walk_span s)
{
    struct walk_text t = walk_text(w, s);
    uint64_t hash = UINT64_C(0xCBF29CE484222325);  /* FNV-1a: the same however it is cut */
    char room[SHORT_MAX];
    for (;;) {
        struct bytes b = walk_text_next(&t, room, sizeof room);
        if (b.len == 0) break;
        for (size_t i = 0; i < b.len; i++) {
            hash = (hash ^ (unsigned char)b.ptr[i]) * UINT64_C(0x100000001B3);
        }
    }
    explicit_bzero(room, sizeof room);
    hash = (hash ^ hash >> 32) * UINT64_C(0xD6E8FEB86659FD93);  /* all bits depend on all */
    return hash ^ hash >> 32;
}
