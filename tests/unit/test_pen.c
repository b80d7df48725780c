/* test_pen.c - JSON written in pieces: the same text whatever the windows and wherever the
 * document lies that spans come from. */
#include "net/translate/pen.h"
#include "net/translate/walk.h"
#include "tr_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char source_text[] =
    "{ \"text\":\"a\\nb \\\"q\\\" \xC3\xA9\",\n\"node\":{\"x\" :\r\n [1, \"\\\\ y\"]},"
    "\"args\":\"{\\\"path\\\":\\\"/tmp/\\u00e9\\\\n\\\",\\n \\\"n\\\":[1,2]}\",\"empty\":\"\"}";

struct doc {
    struct kit_pieces k;
    struct walk_source source;
    struct walk w;
    struct node root;
};

static void doc_open(struct doc *d, struct bytes text, size_t step)
{
    d->source = kit_pieces(&d->k, text, step);
    assert_true(walk_open(&d->w, &d->source, NULL, &d->root));
}

static void write_all(struct pen *p, const struct doc *d)
{
    struct node text = walk_member(&d->w, d->root, BYTES("text"));
    struct node node = walk_member(&d->w, d->root, BYTES("node"));
    pen_put(p, BYTES("data: "));
    pen_object(p);
    pen_key(p, BYTES("a"));
    pen_span(p, &d->w, walk_inside(text));
    pen_key(p, BYTES("b"));
    pen_node(p, &d->w, node);
    pen_key(p, BYTES("list"));
    pen_array(p);
    pen_int(p, 0);
    pen_int(p, -1);
    pen_int(p, INT64_MIN);
    pen_int(p, INT64_MAX);
    pen_bool(p, true);
    pen_bool(p, false);
    pen_null(p);
    pen_text(p, BYTES("q\"\\\x01\n\xFF\xC3\xA9\xE2\x82"));
    pen_string(p, BYTES("as\\nis"));
    pen_value(p, BYTES("{\"raw\":[]}"));
    pen_array_end(p);
    pen_key(p, BYTES("parts"));
    pen_begin(p);
    pen_part(p, BYTES("x\\t"));
    pen_part_text(p, BYTES("\t"));
    pen_part_span(p, &d->w, walk_inside(text));
    pen_part_span(p, &d->w, (struct walk_span){0});
    pen_part_node(p, &d->w, node);
    pen_end(p);
    pen_key(p, BYTES("o"));
    pen_object(p);
    pen_object_end(p);
    pen_key(p, BYTES("args"));
    assert_true(pen_inner(p, &d->w, walk_inside(walk_member(&d->w, d->root, BYTES("args")))));
    pen_key(p, BYTES("none"));
    assert_true(pen_inner(p, &d->w, walk_inside(walk_member(&d->w, d->root, BYTES("empty")))));
    pen_object_end(p);
    pen_put(p, BYTES("\n\n"));
    pen_fresh(p);
    pen_array(p);
    pen_array_end(p);
}

static const char written[] =
    "data: {\"a\":\"a\\nb \\\"q\\\" \xC3\xA9\",\"b\":{\"x\" :   [1, \"\\\\ y\"]},"
    "\"list\":[0,-1,-9223372036854775808,9223372036854775807,true,false,null,"
    "\"q\\\"\\\\\\u0001\\n\xEF\xBF\xBD\xC3\xA9\xEF\xBF\xBD\",\"as\\nis\",{\"raw\":[]}],"
    "\"parts\":\"x\\t\\ta\\nb \\\"q\\\" \xC3\xA9{\\\"x\\\" :\\r\\n [1, \\\"\\\\\\\\ y\\\"]}\","
    "\"o\":{},\"args\":{\"path\":\"/tmp/\xC3\xA9\\n\",  \"n\":[1,2]},\"none\":{}}\n\n[]";

static void test_windows(void **state)
{
    (void)state;
    for (size_t step = 0; step < 20; step++) {
        for (size_t window = PEN_NEED_MAX; window < PEN_NEED_MAX + 40; window += 13) {
            struct doc d;
            struct kit_pen k;
            doc_open(&d, bytes_of(source_text), step);
            kit_pen(&k, window, NULL);
            write_all(&k.pen, &d);
            assert_false(k.pen.full);
            struct bytes out = kit_pen_text(&k);
            assert_int_equal(out.len, sizeof written - 1);
            assert_memory_equal(out.ptr, written, out.len);
            assert_int_equal(k.pen.wrote, out.len);
            kit_pen_free(&k);
            kit_pieces_free(&d.k);
        }
    }
}

/* A first window given at once, of any size: nothing is written behind it. */
static void test_first_window(void **state)
{
    (void)state;
    struct doc d;
    doc_open(&d, bytes_of(source_text), 0);
    for (size_t room = 0; room <= sizeof written; room++) {
        struct pen p;
        char *at = malloc(room + 1);
        assert_non_null(at);
        at[room] = '#';
        pen_init(&p, at, room);
        write_all(&p, &d);
        assert_int_equal(p.full, room < sizeof written - 1);
        if (!p.full) assert_memory_equal(at, written, sizeof written - 1);
        assert_int_equal(at[room], '#');
        free(at);
    }
    kit_pieces_free(&d.k);
}

/* Long spans are left where they are; short ones, and pens without a view, copy. */
static void test_views(void **state)
{
    (void)state;
    char text[3 * PEN_VIEW_MIN];
    for (size_t len = PEN_VIEW_MIN - 2; len < PEN_VIEW_MIN + 3; len++) {
        memset(text, 'x', sizeof text);
        text[0] = text[len + 1] = '"';
        for (size_t step = 0; step < 1000; step += 333) {
            struct doc d;
            struct kit_pen k;
            doc_open(&d, (struct bytes){text, len + 2}, step);
            for (unsigned viewing = 0; viewing < 2; viewing++) {
                kit_pen(&k, 600, viewing ? &d.source : NULL);
                pen_array(&k.pen);
                pen_span(&k.pen, &d.w, walk_inside(d.root));
                pen_node(&k.pen, &d.w, d.root);
                pen_array_end(&k.pen);
                unsigned views = len + 2 >= PEN_VIEW_MIN;
                if (len >= PEN_VIEW_MIN) views++;
                assert_int_equal(k.views, viewing ? views : 0);
                struct bytes out = kit_pen_text(&k);
                assert_int_equal(out.len, 2 * (len + 2) + 3);
                assert_int_equal(k.pen.wrote, out.len);
                assert_memory_equal(out.ptr + 1, text, len + 2);
                assert_memory_equal(out.ptr + len + 4, text, len + 2);
                assert_true(kit_is_json(out));
                kit_pen_free(&k);
            }
            kit_pieces_free(&d.k);
        }
    }
}

/* No memory is sticky, wherever it happens. */
static void test_no_memory(void **state)
{
    (void)state;
    struct doc d;
    doc_open(&d, bytes_of(source_text), 7);
    for (unsigned again = 0; again < 2; again++) {
        struct kit_pen k;
        kit_pen(&k, PEN_NEED_MAX, NULL);
        k.limit = again ? 1 : 0;
        for (unsigned i = 0; i < 8; i++) {
            pen_fresh(&k.pen);
            write_all(&k.pen, &d);
            static_assert(sizeof written < PEN_NEED_MAX, "the second does not fit");
            assert_int_equal(k.pen.full, again && i > 0);
        }
        if (again) assert_int_equal(kit_pen_text(&k).len, PEN_NEED_MAX);
        kit_pen_free(&k);
    }
    kit_pieces_free(&d.k);
}

/* What is no object is refused, and nothing of it is written. */
static void test_inner(void **state)
{
    (void)state;
    static const struct { struct bytes inside, value; } cases[] = {
        {BYTES_INIT(""), BYTES_INIT("{}")},
        {BYTES_INIT("{}"), BYTES_INIT("{}")},
        {BYTES_INIT(" {\\\"a\\\" :\\n1}\\t"), BYTES_INIT(" {\"a\" : 1}\t")},
        {BYTES_INIT("\\u007b\\u0022\\u0061\\u0022:{\\\"b\\\":\\\"\\\\\\\"\\\"}}"),
         BYTES_INIT("{\"a\":{\"b\":\"\\\"\"}}")},
        {BYTES_INIT("{\\\"a\\\":\\\"\\ud83d\\ude00\\\"}"),
         BYTES_INIT("{\"a\":\"\xF0\x9F\x98\x80\"}")},
        {BYTES_INIT("{\\\"a\\\":\\\"\\\\ud83d\\\\ude00\\\"}"),
         BYTES_INIT("{\"a\":\"\\ud83d\\ude00\"}")},
        {BYTES_INIT("[]"), {0}}, {BYTES_INIT("null"), {0}}, {BYTES_INIT("\\\"a\\\""), {0}},
        {BYTES_INIT("{"), {0}}, {BYTES_INIT("{}{}"), {0}}, {BYTES_INIT("{} x"), {0}},
        {BYTES_INIT("{\\\"a\\\":\\\"\\n\\\"}"), {0}}, {BYTES_INIT(" "), {0}},
        {BYTES_INIT("{\\\"a\\\":\\\"\\u0000\\\"}"), {0}}, {BYTES_INIT("12"), {0}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t step = 0; step < 12; step++) {
            struct kit_pieces pieces;
            struct walk_source source = kit_pieces(&pieces, cases[i].inside, step);
            struct walk w = {.source = &source};
            struct kit_pen k;
            kit_pen(&k, 0, NULL);
            pen_array(&k.pen);
            bool right = pen_inner(&k.pen, &w, (struct walk_span){0, cases[i].inside.len});
            assert_int_equal(right, cases[i].value.ptr != NULL);
            struct bytes out = kit_pen_text(&k);
            assert_int_equal(out.len, 1 + cases[i].value.len);
            if (right) assert_memory_equal(out.ptr + 1, cases[i].value.ptr, out.len - 1);
            pen_array_end(&k.pen);
            kit_pen_free(&k);
            kit_pieces_free(&pieces);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_first_window),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_inner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
