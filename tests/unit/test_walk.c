/* test_walk.c - documents looked into, by index and by scanner, whichever pieces they lie in:
 * both ways must give the same nodes, of the cases of other projects and of recordings. */
#include "net/json_index.h"
#include "net/translate/walk.h"
#include "cases.h"
#include "openai_tape.h"
#include "tr_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* All nodes of a document, one behind the other. */
struct dump {
    struct node *at;
    size_t count, room;
};

static void dump_put(struct dump *d, struct node n)
{
    if (d->count == d->room) {
        d->room = d->room * 2 + 64;
        d->at = realloc(d->at, d->room * sizeof *d->at);
        assert_non_null(d->at);
    }
    n.token = 0;
    d->at[d->count++] = n;
}

static void dump_all(const struct walk *w, struct node n, struct dump *d)
{
    struct walk_each e;
    struct node key, value;
    dump_put(d, n);
    walk_begin(w, n, &e);
    while (walk_next(&e, &key, &value)) {
        dump_put(d, key);
        dump_all(w, value, d);
    }
    assert_false(walk_next(&e, &key, &value));
    assert_int_equal(value.type, JSON_NONE);
}

/* Walk text in pieces of step bytes. False: it is refused. */
static bool dump_of(struct bytes text, size_t step, struct json_index *scratch, struct dump *d)
{
    struct kit_pieces k;
    struct walk_source source = kit_pieces(&k, text, step);
    struct walk w;
    struct node root;
    d->count = 0;
    bool right = walk_open(&w, &source, scratch, &root);
    if (right) dump_all(&w, root, d);
    kit_pieces_free(&k);
    return right;
}

static bool same_dump(const struct dump *a, const struct dump *b)
{
    if (a->count != b->count) return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct node *x = &a->at[i], *y = &b->at[i];
        if (x->start != y->start || x->end != y->end || x->type != y->type ||
            x->escaped != y->escaped) return false;
    }
    return true;
}

static struct json_index *index_room;

/* Every way must agree. Gives whether the document is right. */
static bool check_ways(struct bytes text, size_t steps, const char *name)
{
    static struct dump first, other;
    bool right = dump_of(text, 0, NULL, &first);
    bool indexed = dump_of(text, 0, index_room, &other);
    if (indexed != right || !same_dump(&first, &other)) fail_msg("%s: by index", name);
    for (size_t step = 1; step <= steps && step < text.len; step++) {
        bool cut = dump_of(text, step, index_room, &other);
        if (cut != right || !same_dump(&first, &other)) fail_msg("%s: by %zu", name, step);
    }
    return right;
}

static void test_cases(void **state)
{
    (void)state;
    enum { ROOM = 1 << 20 };  /* one case has 100,000 brackets */
    char *all = cases_load("json.tsv"), *text = malloc(ROOM);
    const char *at = all;
    struct bytes columns[2];
    size_t seen = 0, right = 0;
    assert_non_null(text);
    while (cases_next(&at, "\t", columns, 2)) {
        char name[128];
        struct bytes raw = {text, cases_unescape(columns[1], text, ROOM)};
        (void)snprintf(name, sizeof name, "%.*s", CASES_TEXT(columns[0]));
        bool good = check_ways(raw, 9, name);
        if (name[0] == 'y') assert_true(good);
        if (name[0] == 'n') assert_false(good);
        seen++;
        right += good;
    }
    free(text);
    free(all);
    assert_true(seen > 300 && right > 90);
}

static void check_tape(const struct tape *tape, void *arg)
{
    size_t *seen = arg;
    const struct bytes docs[] = {tape->request, tape->answer};
    for (size_t i = 0; i < COUNT(docs); i++) {
        if (docs[i].len == 0 || docs[i].len > 20000) continue;
        assert_true(check_ways(docs[i], docs[i].len > 2000 ? 2 : 20, tape->name));
        ++*seen;
    }
}

static void test_recordings(void **state)
{
    (void)state;
    size_t seen = 0;
    static const char *const dialects[] = {"openai-chat", "openai-responses",
                                           "anthropic-messages", "gemini-generate"};
    for (size_t i = 0; i < COUNT(dialects); i++) {
        if (!tapes_each(dialects[i], check_tape, &seen)) {
            print_message("no recordings here: skipped\n");
            skip();
        }
    }
    assert_true(seen > 300);
}

static const struct bytes sample = BYTES_INIT(
    " {\"a\":1,\"text\":\"say \\\"hi\\\" \\u00e9\\ud83d\\ude00\","
    "\"list\":[1,\"two\",{\"x\":[]}],\"a\":2,\"gone\":3,\"gone\":null,"
    "\"te\\u0078t\":0,\"\":\"\",\"id\":\"call_\\u0041b/9\"} \n");

struct opened {
    struct kit_pieces k;
    struct walk_source source;
    struct walk w;
    struct node root;
};

static void open_sample(struct opened *o, struct bytes text, size_t step, bool indexed)
{
    o->source = kit_pieces(&o->k, text, step);
    assert_true(walk_open(&o->w, &o->source, indexed ? index_room : NULL, &o->root));
    assert_int_equal(o->w.index != NULL, indexed && step == 0);
}

static void check_members(const struct opened *o)
{
    static const struct bytes names[] = {BYTES_INIT("text"), BYTES_INIT("a"),
        BYTES_INIT("gone"), BYTES_INIT("list"), BYTES_INIT("none"), BYTES_INIT("")};
    struct node v[COUNT(names)];
    int64_t number;
    char room[64];
    walk_members(&o->w, o->root, names, COUNT(names), v);
    assert_int_equal(v[0].type, JSON_STRING);
    assert_true(v[0].escaped);
    assert_true(walk_int(&o->w, v[1], &number) && number == 2);  /* the last one */
    assert_false(walk_int(&o->w, v[0], &number));
    assert_int_equal(v[2].type, JSON_NONE);
    assert_int_equal(walk_count(&o->w, v[3]), 3);
    assert_int_equal(v[4].type, JSON_NONE);
    assert_int_equal(v[5].type, JSON_STRING);
    assert_false(walk_has(walk_inside(v[5])) || v[5].escaped);
    assert_int_equal(walk_count(&o->w, o->root), 9);
    assert_int_equal(walk_count(&o->w, v[0]), 0);
    struct bytes list = walk_bytes(&o->w, walk_all(v[3]), room, sizeof room);
    assert_true(bytes_eq(list, BYTES("[1,\"two\",{\"x\":[]}]")));
    walk_members(&o->w, v[3], names, 1, v);
    assert_int_equal(v[0].type, JSON_NONE);
}

static void check_texts(const struct opened *o)
{
    static const struct bytes words[] = {BYTES_INIT("call_"), BYTES_INIT("call_Ab/9"),
                                         BYTES_INIT("call_Ab/90")};
    struct walk_span id = walk_inside(walk_member(&o->w, o->root, BYTES("id")));
    struct node text = walk_member(&o->w, o->root, BYTES("text"));
    assert_true(walk_is(&o->w, id, BYTES("call_Ab/9")));
    assert_false(walk_is(&o->w, id, BYTES("call_Ab/")));
    assert_false(walk_is(&o->w, id, BYTES("call_\\u0041b/9")));
    assert_true(walk_is(&o->w, walk_inside(text),
                        BYTES("say \"hi\" \xC3\xA9\xF0\x9F\x98\x80")));
    struct node n = walk_member(&o->w, o->root, BYTES("id"));
    assert_int_equal(walk_word(&o->w, n, words, 3), 1);
    assert_int_equal(walk_word(&o->w, text, words, 3), 3);
    assert_int_equal(walk_word(&o->w, o->root, words, 3), 3);
    struct bytes plain = BYTES("call_Ab/9");
    struct walk_source source;
    walk_source_of(&source, &plain);
    struct walk w = {.source = &source};
    assert_true(walk_hash(&o->w, id) == walk_hash(&w, (struct walk_span){0, plain.len}));
    assert_true(walk_hash(&o->w, id) != walk_hash(&w, (struct walk_span){0, plain.len - 1}));
    /* Longer than the room, and apart where it is cut. */
    char room[4];
    struct bytes b = walk_bytes(&o->w, id, room, sizeof room);
    assert_int_equal(b.len, id.end - id.start);
    assert_int_equal(b.ptr == NULL, id.start / o->k.step != (id.end - 1) / o->k.step);
    assert_true(walk_bytes(&o->w, (struct walk_span){0}, room, 0).ptr != NULL);
}

static void test_lookups(void **state)
{
    (void)state;
    struct opened o;
    for (size_t step = 0; step < 40; step++) {
        open_sample(&o, sample, step, step % 2 == 0);
        check_members(&o);
        check_texts(&o);
        kit_pieces_free(&o.k);
    }
}

/* The text of a string, read in rooms of every size, against json_unescape(). */
static void test_texts_whole(void **state)
{
    (void)state;
    static const struct bytes insides[] = {BYTES_INIT("plain"), BYTES_INIT(""),
        BYTES_INIT("\\n"), BYTES_INIT("a\\\\\\\"b\\/\\b\\f\\r\\t"),
        BYTES_INIT("\\ud83d\\ude00"),
        BYTES_INIT("\\ud83d\\ud83d\\ude00"), BYTES_INIT("\\ud83dx\\ude00"),
        BYTES_INIT("\\u0000\\u00e9\\u20ac"), BYTES_INIT("\\uD83D"),
        BYTES_INIT("long enough to be cut \\u0041 twice"),
        BYTES_INIT("\\ud83d\\u0041"), BYTES_INIT("\\udc00\\ud800\\n")};
    for (size_t i = 0; i < COUNT(insides); i++) {
        char right[64], out[64], room[64];
        struct bytes whole = {right, json_unescape(insides[i], right)};
        for (size_t step = 0; step < 14; step++) {
            struct kit_pieces k;
            struct walk_source source = kit_pieces(&k, insides[i], step);
            struct walk w = {.source = &source};
            for (size_t max = 4; max < 20; max++) {
                struct walk_text t = walk_text(&w, (struct walk_span){0, insides[i].len});
                size_t n = 0;
                struct bytes b;
                while ((b = walk_text_next(&t, room, max)).len > 0) {
                    memcpy(out + n, b.ptr, b.len);
                    n += b.len;
                }
                assert_true(bytes_eq((struct bytes){out, n}, whole));
            }
            kit_pieces_free(&k);
        }
    }
}

/* A root that is no container; too deep; nothing at all. */
static void test_roots(void **state)
{
    (void)state;
    static const struct { struct bytes text; uint8_t type; } roots[] = {
        {BYTES_INIT(" \"a\\n\" "), JSON_STRING}, {BYTES_INIT("12"), JSON_NUMBER},
        {BYTES_INIT("-0.5e1 "), JSON_NUMBER}, {BYTES_INIT("true"), JSON_TRUE},
        {BYTES_INIT(" false"), JSON_FALSE}, {BYTES_INIT("null"), JSON_NULL},
        {BYTES_INIT("[]"), JSON_ARRAY}, {BYTES_INIT(""), JSON_NONE},
        {BYTES_INIT("  "), JSON_NONE}, {BYTES_INIT("[DONE]"), JSON_NONE},
        {BYTES_INIT("{}{}"), JSON_NONE},
    };
    for (size_t i = 0; i < COUNT(roots); i++) {
        static struct dump d;
        assert_int_equal(check_ways(roots[i].text, 8, "root"), roots[i].type != JSON_NONE);
        if (dump_of(roots[i].text, 1, NULL, &d)) assert_int_equal(d.at[0].type, roots[i].type);
    }
    for (size_t depth = 60; depth <= 130; depth++) {
        char text[2 * 130];
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        bool right = check_ways((struct bytes){text, 2 * depth}, 3, "depth");
        assert_int_equal(right, depth <= WALK_DEPTH_MAX);
    }
}

static void test_short_words(void **state)
{
    (void)state;
    static const struct { const char *text, *want; } words[] = {
        {"[\"abcd\"]", "abcd"},       /* as much as there is room for */
        {"[\"abcde\"]", ""},          /* one byte more */
        {"[\"a\\n\"]", "a\\n"},     /* as written */
        {"[\"\\u0041\"]", ""}, {"[\"\"]", ""}, {"[12345]", ""}, {"[null]", ""},
        {"[[\"a\"]]", ""},
    };
    for (size_t i = 0; i < COUNT(words) * 2; i++) {
        bool apart = i % 2;
        struct kit_pieces k;
        struct walk_source s = kit_pieces(&k, bytes_of(words[i / 2].text), apart);
        struct walk w;
        struct walk_each e;
        struct node root, key, n;
        char room[5] = "....!";
        assert_true(walk_open(&w, &s, NULL, &root));
        walk_begin(&w, root, &e);
        assert_true(walk_next(&e, &key, &n));
        struct bytes got = walk_short(&w, n, room, 4);
        assert_true(bytes_eq(got, bytes_of(words[i / 2].want)));
        assert_int_equal(room[4], '!');
        kit_pieces_free(&k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_recordings),
        cmocka_unit_test(test_lookups),
        cmocka_unit_test(test_texts_whole),
        cmocka_unit_test(test_roots),
        cmocka_unit_test(test_short_words),
    };
    index_room = malloc(sizeof *index_room);
    if (!index_room) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(index_room);
    return failed;
}
