/* conf_tree.c - from YAML (libyaml's events) to a tree of nodes that know where they stand.
 * One document of maps, lists and scalars. Anchors, aliases and tags are refused rather than
 * half understood: they make a few bytes mean much, and no setting needs them. A name that
 * comes twice in a map is reported here, once for every kind of map; its node is then bad. */
#include <stdlib.h>
#include <yaml.h>

#include "engine/conf_parts.h"
#include "engine/vault.h"

struct conf_block {
    struct conf_block *before;
    size_t size, used;           /* bytes of data */
    _Alignas(16) char data[];
};

enum { BLOCK_BYTES = (32 << 10) - sizeof(struct conf_block) };   /* whole pages */

void *conf_heap_take(struct conf_heap *h, size_t bytes)
{
    assert(bytes <= SIZE_MAX / 2);
    size_t need = (bytes + 15) & ~(size_t)15;
    struct conf_block *b = h->last;
    if (!b || b->size - b->used < need) {
        size_t size = need > BLOCK_BYTES ? need : BLOCK_BYTES;
        b = vault_take(sizeof *b + size);
        if (!b) {
            h->full = true;
            return NULL;
        }
        b->size = size;
        b->before = h->last;
        h->last = b;
    }
    void *taken = b->data + b->used;
    b->used += need;
    assert(b->used <= b->size);
    return taken;
}

const char *conf_heap_text(struct conf_heap *h, struct bytes text)
{
    char *copy = conf_heap_take(h, text.len + 1);
    if (!copy) return "";
    if (text.len) memcpy(copy, text.ptr, text.len);
    return copy;
}

void conf_heap_fini(struct conf_heap *h)
{
    while (h->last) {
        struct conf_block *b = h->last;
        h->last = b->before;
        vault_give(b, sizeof *b + b->size);
    }
}

/* ---- events ---- */

struct builder {
    struct conf_reader *r;
    struct conf_node *open[CONF_DEPTH_MAX];   /* innermost last */
    struct conf_node *key;                    /* of the innermost map, its value is due */
    uint32_t depth;
    bool ended;                               /* the document is complete */
};

static struct conf_mark mark_of(yaml_mark_t m)
{
    return (struct conf_mark){(uint32_t)m.line + 1, (uint32_t)m.column + 1};
}

/* Byte offset to position, for errors of libyaml's reader, which knows bytes only. */
static struct conf_mark mark_at(struct bytes text, size_t offset)
{
    struct conf_mark m = {1, 1};
    const char *stop = text.ptr + (offset < text.len ? offset : text.len);
    while (text.len) {
        struct bytes line = conf_line_next(&text);
        if (text.ptr <= stop && text.len) {
            m.line++;
            continue;
        }
        for (const char *c = line.ptr; c < stop && c < line.ptr + line.len; c++) {
            m.column += (*c & 0xC0) != 0x80;
        }
        break;
    }
    return m;
}

static void syntax_error(struct conf_reader *r, const yaml_parser_t *p)
{
    conf_hide_lines(r);
    struct conf_mark at = mark_of(p->problem_mark);
    if (p->error == YAML_READER_ERROR) at = mark_at(r->source, p->problem_offset);
    const char *problem = p->problem ? p->problem : "not YAML";
    if (p->error == YAML_MEMORY_ERROR) {
        r->scratch.full = true;
    } else if (p->context) {
        conf_error(r, at, "%s, %s", p->context, problem);
    } else {
        conf_error(r, at, "%s", problem);
    }
}

static void put_child(struct builder *b, struct conf_node *n)
{
    if (b->depth == 0) {
        assert(!b->r->root);
        b->r->root = n;
        return;
    }
    struct conf_node *parent = b->open[b->depth - 1];
    if (parent->kind == CONF_MAP) {
        assert(b->key);
        n->key = b->key;
        b->key = NULL;
    }
    if (parent->last) parent->last->next = n;
    else parent->first = n;
    parent->last = n;
    parent->count++;
}

static bool name_is_due(const struct builder *b)
{
    return b->depth > 0 && b->open[b->depth - 1]->kind == CONF_MAP && !b->key;
}

/* A scalar, or the beginning of a list or map. */
static bool on_node(struct builder *b, const yaml_event_t *e, enum conf_kind kind,
                    const yaml_char_t *anchor, const yaml_char_t *tag)
{
    struct conf_reader *r = b->r;
    struct conf_mark at = mark_of(e->start_mark);
    if (anchor || tag) {
        conf_hide_lines(r);
        conf_error(r, at, "YAML %s are not understood here", anchor ? "anchors" : "tags");
        return false;
    }
    struct conf_node *n = conf_heap_take(&r->scratch, sizeof *n);
    if (!n) return false;
    *n = (struct conf_node){.kind = (uint8_t)kind, .at = at, .end = mark_of(e->end_mark)};
    if (kind == CONF_SCALAR) {
        struct bytes text = {(const char *)e->data.scalar.value, e->data.scalar.length};
        n->raw = (struct bytes){conf_heap_text(&r->scratch, text), text.len};
        if (r->scratch.full) return false;
        n->text = n->raw;
        n->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    }
    if (name_is_due(b)) {
        b->key = n;
        if (kind == CONF_SCALAR) return true;
        conf_hide_lines(r);
        conf_error(r, at, "the name of a setting must be a text");
        return false;
    }
    put_child(b, n);
    if (kind == CONF_SCALAR) return true;
    if (b->depth == CONF_DEPTH_MAX) {
        conf_hide_lines(r);
        conf_error(r, at, "more than %d lists and maps inside each other", CONF_DEPTH_MAX);
        return false;
    }
    b->open[b->depth++] = n;
    return true;
}

/* Take one event into the tree. False ends the reading: reported, or out of memory. */
static bool on_event(struct builder *b, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return on_node(b, e, CONF_SCALAR, e->data.scalar.anchor, e->data.scalar.tag);
    case YAML_SEQUENCE_START_EVENT:
        return on_node(b, e, CONF_LIST, e->data.sequence_start.anchor,
                       e->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return on_node(b, e, CONF_MAP, e->data.mapping_start.anchor,
                       e->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        assert(b->depth > 0);
        b->open[--b->depth]->end = mark_of(e->end_mark);
        return true;
    case YAML_ALIAS_EVENT:
        conf_hide_lines(b->r);
        conf_error(b->r, mark_of(e->start_mark), "YAML aliases are not understood here "
                   "(a text that begins with '*' needs quotes)");
        return false;
    case YAML_DOCUMENT_START_EVENT:
        if (!b->ended) return true;
        conf_hide_lines(b->r);
        conf_error(b->r, mark_of(e->start_mark), "a second document begins here");
        return false;
    case YAML_DOCUMENT_END_EVENT:
        b->ended = true;
        return true;
    default:
        return true;
    }
}

/* libyaml frees its buffers as they are; keys have passed through them. */
static void wipe_parser(yaml_parser_t *p)
{
    if (p->buffer.start) {
        explicit_bzero(p->buffer.start, (size_t)(p->buffer.end - p->buffer.start));
    }
    if (p->raw_buffer.start) {
        explicit_bzero(p->raw_buffer.start,
                       (size_t)(p->raw_buffer.end - p->raw_buffer.start));
    }
}

static bool read_events(struct builder *b, yaml_parser_t *p)
{
    for (;;) {
        yaml_event_t e;
        if (!yaml_parser_parse(p, &e)) {
            syntax_error(b->r, p);
            return false;
        }
        bool last = e.type == YAML_STREAM_END_EVENT;
        bool fine = on_event(b, &e);
        if (e.type == YAML_SCALAR_EVENT) {
            explicit_bzero(e.data.scalar.value, e.data.scalar.length);
        }
        yaml_event_delete(&e);
        if (!fine) return false;
        if (last) return true;
    }
}

/* ---- names that come twice ---- */

static int by_name(const void *a, const void *b)
{
    const struct conf_node *x = *(const struct conf_node *const *)a;
    const struct conf_node *y = *(const struct conf_node *const *)b;
    struct bytes s = x->key->raw, t = y->key->raw;
    int order = memcmp(s.ptr, t.ptr, s.len < t.len ? s.len : t.len);
    if (order) return order;
    if (s.len != t.len) return s.len < t.len ? -1 : 1;
    if (x->at.line != y->at.line) return x->at.line < y->at.line ? -1 : 1;
    return (x->at.column > y->at.column) - (x->at.column < y->at.column);
}

static void refuse_repeats(struct conf_reader *r, struct conf_node *n)
{
    for (struct conf_node *c = n->first; c; c = c->next) refuse_repeats(r, c);
    if (n->kind != CONF_MAP || n->count < 2) return;
    struct conf_node **sorted = conf_heap_take(&r->scratch, n->count * sizeof(void *));
    if (!sorted) return;
    size_t count = 0;
    for (struct conf_node *c = n->first; c; c = c->next) sorted[count++] = c;
    assert(count == n->count);
    qsort(sorted, count, sizeof sorted[0], by_name);
    for (size_t i = 1, first = 0; i < count; i++) {
        if (!bytes_eq(sorted[i]->key->raw, sorted[first]->key->raw)) {
            first = i;
            continue;
        }
        char shown[CONF_QUOTE_MAX];
        sorted[i]->bad = true;
        conf_error(r, sorted[i]->key->at, "%s is given twice, first on line %u",
                   conf_quote_text(sorted[i]->key->raw, shown), sorted[first]->key->at.line);
    }
}

bool conf_tree_read(struct conf_reader *r)
{
    yaml_parser_t p;
    if (!yaml_parser_initialize(&p)) {
        r->scratch.full = true;
        return false;
    }
    struct builder b = {.r = r};
    yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&p, (const unsigned char *)r->source.ptr, r->source.len);
    bool fine = read_events(&b, &p);
    wipe_parser(&p);
    yaml_parser_delete(&p);
    if (!fine) return false;
    assert(b.depth == 0);
    if (r->root) {
        conf_hide(r);
        refuse_repeats(r, r->root);
    }
    return true;
}

struct conf_node *conf_child(const struct conf_node *map, const char *name)
{
    assert(map->kind == CONF_MAP);
    for (struct conf_node *c = map->first; c; c = c->next) {
        if (bytes_eq(c->key->raw, bytes_of(name))) return c;
    }
    return NULL;
}

bool conf_is_null(const struct conf_node *n)
{
    if (n->kind != CONF_SCALAR || n->quoted || n->expanded) return false;
    struct bytes t = n->raw;
    return t.len == 0 || bytes_eq(t, BYTES("~")) || bytes_ieq(t, BYTES("null"));
}
