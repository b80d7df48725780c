/* test_name.c - flat names of tools, and the way back: every tool of a request is found by the
 * name that a provider knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/translate/ask.h"
#include "net/translate/walk.h"
#include "tr_kit.h"
#include "tr_note.h"

static struct tell_facts facts;

/* Note the tools of a request. */
static bool note(const char *tools, struct note *why)
{
    char body[20000];
    struct kit_pieces k;
    (void)snprintf(body, sizeof body, "{\"input\":\"q\",\"tools\":[%s]}", tools);
    struct walk_source source = kit_pieces(&k, bytes_of(body), 0);
    struct ask *a = malloc(sizeof *a);
    assert_true(ask_open(a, API_RESPONSES, &source, NULL));
    facts = (struct tell_facts){0};
    bool right = tell_note_names(a, &facts);
    assert_true(right == !a->unsayable);
    if (!right) note_add(why, "%s: %s", a->pointer, a->error);
    free(a);
    kit_pieces_free(&k);
    return right;
}

static void is(const char *flat, const char *space, const char *name, bool custom)
{
    struct tell_name n = tell_name(&facts, bytes_of(flat));
    if (!bytes_eq(n.space, bytes_of(space)) || !bytes_eq(n.name, bytes_of(name)) ||
        n.custom != custom) {
        fail_msg("%s is [%.*s] [%.*s] %d", flat, (int)n.space.len, n.space.ptr,
                 (int)n.name.len, n.name.ptr, n.custom);
    }
}

#define SPACE(name, tools) \
    "{\"type\":\"namespace\",\"name\":\"" name "\",\"tools\":[" tools "]}"
#define FUNCTION(name) "{\"type\":\"function\",\"name\":\"" name "\"}"
#define CUSTOM(name) "{\"type\":\"custom\",\"name\":\"" name "\"}"

static void test_names_come_back(void **state)
{
    (void)state;
    assert_true(note(FUNCTION("f") "," CUSTOM("patch") ","
                     SPACE("ns", FUNCTION("g") "," CUSTOM("exec")) ","
                     SPACE("mcp__docs__", FUNCTION("search")), NULL));
    is("f", "", "f", false);
    is("patch", "", "patch", true);
    is("ns__g", "ns", "g", false);
    is("ns__exec", "ns", "exec", true);
    is("mcp__docs__search", "mcp__docs__", "search", false);
    is("unknown", "", "unknown", false);
    is("ns__", "", "ns__", false);
    assert_true(note(FUNCTION("ns__g"), NULL));
    assert_int_equal(facts.names_len, 0);
    is("ns__g", "", "ns__g", false);
}

static void test_a_plain_name_that_looks_like_a_space(void **state)
{
    (void)state;
    assert_true(note(FUNCTION("a__x") "," SPACE("a", FUNCTION("y")) ","
                     SPACE("a__b", FUNCTION("z")), NULL));
    is("a__x", "", "a__x", false);
    is("a__y", "a", "y", false);
    is("a__b__z", "a__b", "z", false);
    assert_true(note(SPACE("a__b", FUNCTION("z")) "," SPACE("a", FUNCTION("y")), NULL));
    is("a__b__z", "a__b", "z", false);
}

/* What does not fit, or has other letters, is made of its hash, and found again. */
static void test_names_that_do_not_fit(void **state)
{
    (void)state;
    static const char *const spaces[] = {
        "a", "a", "sp.ace", "a", "sp ace", "\xC3\xA9", "a",
        "0123456789012345678901234567890123456789012345678901234567890123456789",
    };
    static const char *const names[] = {
        "0123456789012345678901234567890123456789012345678901234567890",
        "01234567890123456789012345678901234567890123456789012345678901",
        "f", "f.f", "f", "f", "f", "f",
    };
    char made[COUNT(spaces)][TELL_FLAT_MAX + 1];
    for (size_t i = 0; i < COUNT(spaces); i++) {
        char tool[512], room[TELL_FLAT_MAX];
        struct bytes flat = tell_flat(bytes_of(spaces[i]), bytes_of(names[i]), room);
        assert_true(flat.len <= TELL_FLAT_MAX);
        for (size_t k = 0; k < flat.len; k++) {
            char c = flat.ptr[k];
            assert_true((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '_');
        }
        (void)snprintf(made[i], sizeof made[i], "%.*s", (int)flat.len, flat.ptr);
        for (size_t k = 0; k < i; k++) assert_string_not_equal(made[i], made[k]);
        (void)snprintf(tool, sizeof tool, SPACE("%s", CUSTOM("%s")), spaces[i], names[i]);
        assert_true(note(tool, NULL));
        is(made[i], spaces[i], names[i], true);
    }
    assert_int_equal(strlen(made[0]), 64);  /* a__ and 61 letters: it just fits */
    assert_int_equal(strncmp(made[0], "a__0123", 7), 0);
    assert_int_equal(strlen(made[1]), 64);
    assert_string_equal(made[6], "a__f");
}

static void test_too_many_names_cannot_be_said(void **state)
{
    (void)state;
    enum { ENTRY = 3 + 14 };  /* bytes that one takes */
    char tools[16384];
    size_t n = 0;
    struct note why = {0};
    for (int i = 0; i <= TELL_NAMES / ENTRY; i++) {
        n += (size_t)snprintf(tools + n, sizeof tools - n, "%s" CUSTOM("custom_too_%03d"),
                              i ? "," : "", i);
    }
    assert_false(note(tools, &why));
    note_is(&why, "/tools: the names of namespaces and custom tools are too many, or too long,"
                  " for another dialect than Responses");
    note_free(&why);
    /* A namespace is one entry, however many tools it has. */
    n = 0;
    for (int i = 0; i < 100; i++) {
        n += (size_t)snprintf(tools + n, sizeof tools - n, "%s" FUNCTION("function_%d"),
                              i ? "," : SPACE("s", FUNCTION("f")) "," "{\"type\":\"namespace\","
                              "\"name\":\"many\",\"tools\":[", i);
    }
    (void)snprintf(tools + n, sizeof tools - n, "]}");
    assert_true(note(tools, NULL));
    is("many__function_99", "many", "function_99", false);
    assert_true(facts.names_len < 32);
}

/* What a writer writes is what tell_flat() makes. */
static void test_a_writer_writes_the_flat_name(void **state)
{
    (void)state;
    struct bytes text = BYTES("[\"ns\",\"f\"]");
    for (size_t step = 0; step < 3; step++) {
        struct kit_pieces k;
        struct kit_pen out;
        struct walk_source source = kit_pieces(&k, text, step);
        struct walk w = {.source = &source};
        kit_pen(&out, 0, NULL);
        pen_array(&out.pen);
        ask_put_name(&out.pen, &w, (struct walk_span){2, 4}, (struct walk_span){7, 8});
        ask_put_name(&out.pen, &w, (struct walk_span){0}, (struct walk_span){7, 8});
        pen_array_end(&out.pen);
        assert_true(bytes_eq(kit_pen_text(&out), BYTES("[\"ns__f\",\"f\"]")));
        kit_pen_free(&out);
        kit_pieces_free(&k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_come_back),
        cmocka_unit_test(test_a_plain_name_that_looks_like_a_space),
        cmocka_unit_test(test_names_that_do_not_fit),
        cmocka_unit_test(test_too_many_names_cannot_be_said),
        cmocka_unit_test(test_a_writer_writes_the_flat_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
