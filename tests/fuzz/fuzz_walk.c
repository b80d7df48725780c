/* fuzz_walk.c - documents looked into: by index, by scanner and cut anywhere they have the same
 * nodes, and what the scanner accepts; what pens write of them is them again. */
#include "fuzz.h"
#include "net/json_index.h"
#include "net/translate/walk.h"
#include "tests/unit/tr_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NODES_MAX = 4096 };

struct nodes {
    struct node at[NODES_MAX];
    size_t count;
};

static void add(struct nodes *n, struct node node)
{
    node.token = 0;
    if (n->count < NODES_MAX) n->at[n->count++] = node;
}

static void add_all(struct nodes *n, const struct walk *w, struct node container)
{
    struct walk_each e;
    struct node key, value;
    size_t count = 0;
    add(n, container);
    walk_begin(w, container, &e);
    for (; walk_next(&e, &key, &value); count++) {
        if (n->count == NODES_MAX) return;
        add(n, key);
        add_all(n, w, value);
    }
    must(count == walk_count(w, container));
}

static void same_nodes(const struct nodes *a, const struct nodes *b)
{
    must(a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        must(a->at[i].start == b->at[i].start && a->at[i].end == b->at[i].end);
        must(a->at[i].type == b->at[i].type && a->at[i].escaped == b->at[i].escaped);
    }
}

/* What a string says, by json_unescape() and part by part. */
static void check_text(const struct walk *w, struct walk_span inside, struct bytes doc)
{
    struct bytes raw = {doc.ptr + inside.start, (size_t)(inside.end - inside.start)};
    char *right = malloc(raw.len + 1), room[16];
    must(right != NULL);
    size_t n = json_unescape(raw, right), at = 0;
    struct walk_text t = walk_text(w, inside);
    struct bytes b;
    while ((b = walk_text_next(&t, room, 4 + raw.len % 12)).len > 0) {
        must(b.len <= n - at && memcmp(right + at, b.ptr, b.len) == 0);
        at += b.len;
    }
    must(at == n);
    if (n <= 96) must(walk_is(w, inside, (struct bytes){right, n}));
    free(right);
}

/* A document written as a value, and as a string that is read as a value. */
static void check_pens(const struct walk *w, struct node root, struct bytes doc)
{
    struct kit_pen k, back;
    kit_pen(&k, 0, NULL);
    pen_node(&k.pen, w, root);
    struct bytes out = kit_pen_text(&k);
    must(out.len == root.end - root.start && kit_is_json(out));
    for (size_t i = 0; i < out.len; i++) {
        char c = doc.ptr[root.start + i];
        must(out.ptr[i] == (c == '\n' || c == '\r' ? ' ' : c));
    }
    kit_pen(&back, 0, NULL);
    pen_begin(&back.pen);
    pen_part_node(&back.pen, w, root);
    pen_end(&back.pen);
    struct bytes text = kit_pen_text(&back);
    must(kit_is_json(text));
    struct walk_source source;
    walk_source_of(&source, &text);
    struct walk in = {.source = &source};
    struct kit_pen value;
    kit_pen(&value, 0, NULL);
    bool object = pen_inner(&value.pen, &in, (struct walk_span){1, text.len - 1});
    must(object == (root.type == JSON_OBJECT));
    if (object) must(bytes_eq(kit_pen_text(&value), out));
    kit_pen_free(&value);
    kit_pen_free(&back);
    kit_pen_free(&k);
}

static bool open_doc(struct nodes *n, struct bytes doc, size_t step, struct json_index *x)
{
    struct kit_pieces k;
    struct walk_source source = kit_pieces(&k, doc, step);
    struct walk w;
    struct node root;
    n->count = 0;
    bool right = walk_open(&w, &source, x, &root);
    if (right) {
        add_all(n, &w, root);
        for (size_t i = 0; i < n->count; i++) {
            if (n->at[i].type != JSON_STRING || i > 64) continue;
            check_text(&w, walk_inside(n->at[i]), doc);
        }
        check_pens(&w, root, doc);
    }
    kit_pieces_free(&k);
    return right;
}

static bool scanner_accepts(struct bytes in)
{
    struct json j;
    struct json_token t;
    enum net_rc rc;
    json_init(&j, WALK_DEPTH_MAX);
    while ((rc = json_next(&j, &in, &t)) == NET_OK) continue;
    if (rc == NET_BAD) return false;
    while ((rc = json_finish(&j, &t)) == NET_OK) continue;
    return rc == NET_DONE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct nodes whole, other;
    static struct json_index *x;
    if (!x) x = malloc(sizeof *x);
    must(x != NULL);
    if (size == 0) return 0;
    struct bytes doc = {(const char *)data + 1, size - 1};
    bool right = scanner_accepts(doc);
    must(open_doc(&whole, doc, 0, NULL) == right);
    must(open_doc(&other, doc, 0, x) == right);
    same_nodes(&whole, &other);
    must(open_doc(&other, doc, (size_t)data[0] + 1, x) == right);
    same_nodes(&whole, &other);
    return 0;
}
