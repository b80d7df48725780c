/* test_custom.c - the text out of a function's arguments, whichever way they are cut. */
#include "net/translate/custom.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* The text of arguments, cut in two at cut; quotes around it. */
static struct bytes text_of(struct bytes in, size_t cut, bool escaped, char *room, size_t max)
{
    struct pen p;
    struct custom_input c;
    pen_init(&p, room, max);
    pen_begin(&p);
    custom_begin(&c, &p);
    custom_feed(&c, (struct bytes){in.ptr, cut}, escaped);
    custom_feed(&c, (struct bytes){in.ptr + cut, in.len - cut}, escaped);
    custom_end(&c);
    pen_end(&p);
    assert_false(p.full);
    return (struct bytes){room, p.len};
}

static void check(const char *in, const char *out, bool escaped)
{
    char room[1024];
    struct bytes b = bytes_of(in);
    for (size_t cut = 0; cut <= b.len; cut++) {
        struct bytes got = text_of(b, cut, escaped, room, sizeof room);
        if (!bytes_eq(got, bytes_of(out))) {
            fail_msg("%s cut at %zu: %.*s, not %s", in, cut, (int)got.len, got.ptr, out);
        }
    }
}

static void test_the_input_is_the_text(void **state)
{
    (void)state;
    check("{\"input\":\"ls -l\"}", "\"ls -l\"", false);
    check("{ \"input\" : \"a\\nb\" , \"more\": 1}", "\"a\\nb\"", false);
    check("{\"input\":\"\"}", "\"\"", false);
    check("{\"input\":\"\\u00e9 \xC3\xA9 \\\"q\\\" \\\\\"}",
          "\"\\u00e9 \xC3\xA9 \\\"q\\\" \\\\\"", false);
}

static void test_arguments_in_a_string_are_unwrapped(void **state)
{
    (void)state;
    check("{\\\"input\\\":\\\"ls -l\\\"}", "\"ls -l\"", true);
    check("{\\\"input\\\":\\\"*** Begin\\\\n+ \\\\\\\"x\\\\\\\" \\\\t\\\\u0041\\\"}",
          "\"*** Begin\\n+ \\\"x\\\" \\t\\u0041\"", true);
    check("\\u007b\\\"input\\\":\\\"\\ud83d\\ude00\\u00e9\\u20ac\\\"}",
          "\"\xF0\x9F\x98\x80\xC3\xA9\xE2\x82\xAC\"", true);
    check("{\\\"input\\\":\\\"\\ud83d!\\udc00\\ud83d\\\"}",
          "\"\xEF\xBF\xBD!\xEF\xBF\xBD\xEF\xBF\xBD\"", true);
}

static void test_other_arguments_are_the_text_themselves(void **state)
{
    (void)state;
    check("{\"patch\":\"x\"}", "\"{\\\"patch\\\":\\\"x\\\"}\"", false);
    check("{\"input\":7}", "\"{\\\"input\\\":7}\"", false);
    check("{}", "\"{}\"", false);
    check("", "\"\"", false);
    check("{\"inp", "\"{\\\"inp\"", false);
    check("ls\\n", "\"ls\\n\"", true);
    check("{                                                           \"input\":\"x\"}",
          "\"{                                                           "
          "\\\"input\\\":\\\"x\\\"}\"", false);
}

static void test_what_comes_out_is_always_json(void **state)
{
    (void)state;
    check("{\"input\":\"a\nb\"}", "\"a\\nb\"", false);
    check("{\"input\":\"\\x\"}", "\"\\\\x\"", false);
    check("{\"input\":\"\\u12g\"}", "\"\\\\u12g\"", false);
    check("{\"input\":\"\\u12\"}", "\"\\\\u12\"", false);
    check("{\"input\":\"\\u\\n\"}", "\"\\\\u\\n\"", false);
    check("{\"input\":\"cut sh", "\"cut sh\"", false);
    check("{\"input\":\"cut \\u12", "\"cut \"", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_input_is_the_text),
        cmocka_unit_test(test_arguments_in_a_string_are_unwrapped),
        cmocka_unit_test(test_other_arguments_are_the_text_themselves),
        cmocka_unit_test(test_what_comes_out_is_always_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
