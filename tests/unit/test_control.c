/* test_control.c - x-weir-* header fields: what each takes, to the last byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/conf.h"
#include "engine/control.h"
#include "engine/exchange.h"
#include "net/http.h"
#include "tests/unit/wall.h"

static void test_seconds(void **state)
{
    (void)state;
    static const struct { const char *text; bool ok; uint64_t ns; } cases[] = {
        {"1", true, 1000000000}, {"30", true, 30000000000}, {"1.5", true, 1500000000},
        {"0.000000001", true, 1}, {"0.5", true, 500000000}, {"007", true, 7000000000},
        {"86400", true, 86400000000000}, {"1.000000000", true, 1000000000},
        {"86399.999999999", true, 86399999999999},
        {"86401", false, 0}, {"86400.000000001", false, 0}, {"0", false, 0},
        {"0.0", false, 0}, {"0.000000000", false, 0},
        {"1.0000000000", false, 0}, {"1.", false, 0}, {".5", false, 0}, {"", false, 0},
        {".", false, 0}, {"-1", false, 0}, {"+1", false, 0}, {" 1", false, 0},
        {"1 ", false, 0}, {"1s", false, 0}, {"1e3", false, 0}, {"1.5.5", false, 0},
        {"1,5", false, 0}, {"0x10", false, 0}, {"1.-5", false, 0},
        {"18446744073709551617", false, 0}, {"99999999999999999999999", false, 0},
    };
    struct wall wall = wall_open(4096);
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t ns = 0;
        bool ok = control_seconds(wall_put(&wall, bytes_of(cases[i].text)), &ns);
        if (ok != cases[i].ok) wall_row(bytes_of(cases[i].text));
        assert_int_equal(ok, cases[i].ok);
        if (ok) assert_int_equal(ns, cases[i].ns);
    }
    wall_close(&wall);
}

static void test_tags(void **state)
{
    (void)state;
    static const struct { const char *text; bool ok; } cases[] = {
        {"a=b", true}, {"a=b,c=d", true}, {"a=b=c", true}, {"a=/x:y;z", true}, {"a=~", true},
        {"a=!", true}, {"", false}, {"a", false}, {"a=", true}, {"=b", false}, {",", false},
        {"a=b,", false}, {",a=b", false}, {"a=b,,c=d", false}, {"a=b,c", false},
        {"a=b, c=d", false}, {"a b=c", false}, {"a=b c", false}, {"a=\t", false},
        {"a=\x7f", false}, {"a=\xc3\xa9", false}, {"a=b\n", false},
    };
    struct wall wall = wall_open(4096);
    for (size_t i = 0; i < COUNT(cases); i++) {
        bool ok = control_tags(wall_put(&wall, bytes_of(cases[i].text)));
        if (ok != cases[i].ok) wall_row(bytes_of(cases[i].text));
        assert_int_equal(ok, cases[i].ok);
    }
    char text[RECORD_TAGS_MAX + 1];
    memset(text, 'v', sizeof text);
    text[1] = '=';
    assert_true(control_tags(wall_put(&wall, (struct bytes){text, RECORD_TAGS_MAX})));
    assert_false(control_tags(wall_put(&wall, (struct bytes){text, RECORD_TAGS_MAX + 1})));
    assert_false(control_tags((struct bytes){"a=b\0c", 5}));
    wall_close(&wall);
}

/* Head with one field; what is said about it. */
static const char *read_one(enum http_field field, const char *value, struct exchange *x)
{
    struct http_head head = {0};
    head.field[field] = bytes_of(value);
    memset(x, 0, sizeof *x);
    return control_read(x, &head);
}

static void test_fields(void **state)
{
    (void)state;
    static const struct { enum http_field field; const char *value, *said; } cases[] = {
        {HTTP_X_WEIR_TIMEOUT, "1.5", NULL},
        {HTTP_X_WEIR_TIMEOUT, "soon", "x-weir-timeout"},
        {HTTP_X_WEIR_TIMEOUT, "", "x-weir-timeout"},
        {HTTP_X_WEIR_TAGS, "team=a,env=b", NULL},
        {HTTP_X_WEIR_TAGS, "team", "x-weir-tags"},
        {HTTP_X_WEIR_NO_FALLBACK, "1", NULL},
        {HTTP_X_WEIR_NO_FALLBACK, "0", NULL},
        {HTTP_X_WEIR_NO_FALLBACK, "", "x-weir-no-fallback"},
        {HTTP_X_WEIR_NO_FALLBACK, "true", "x-weir-no-fallback"},
        {HTTP_X_WEIR_NO_FALLBACK, "11", "x-weir-no-fallback"},
        {HTTP_X_WEIR_MODE, "balanced", NULL},
        {HTTP_X_WEIR_MODE, "cost", NULL},
        {HTTP_X_WEIR_MODE, "latency-first", NULL},
        {HTTP_X_WEIR_MODE, "Balanced", "must be one of"},
        {HTTP_X_WEIR_MODE, "", "must be one of"},
        {HTTP_X_WEIR_MAX_TTFT, "0.5", NULL},
        {HTTP_X_WEIR_MAX_TTFT, "0", "x-weir-max-ttft"},
        {HTTP_X_WEIR_MAX_TTFT, "2s", "x-weir-max-ttft"},
        {HTTP_X_WEIR_PRIORITY, "normal", NULL},
        {HTTP_X_WEIR_PRIORITY, "urgent", "x-weir-priority"},
        {HTTP_X_WEIR_PRIORITY, "", "x-weir-priority"},
        {HTTP_X_WEIR_CASCADE, "never", NULL},
        {HTTP_X_WEIR_CASCADE, "check", NULL},
        {HTTP_X_WEIR_CASCADE, "agree=2", NULL},
        {HTTP_X_WEIR_CASCADE, "agree=3", NULL},
        {HTTP_X_WEIR_CASCADE, "agree=1", "x-weir-cascade must be one of"},
        {HTTP_X_WEIR_CASCADE, "agree=", "x-weir-cascade"},
        {HTTP_X_WEIR_CASCADE, "Never", "x-weir-cascade"},
        {HTTP_X_WEIR_CASCADE, "", "x-weir-cascade"},
        {HTTP_X_WEIR_SESSION, "s", NULL},
        {HTTP_X_WEIR_SESSION, "", "x-weir-session"},
    };
    static struct exchange x;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *said = read_one(cases[i].field, cases[i].value, &x);
        assert_int_equal(said == NULL, cases[i].said == NULL);
        if (said) assert_non_null(strstr(said, cases[i].said));
    }
    assert_null(read_one(HTTP_X_WEIR_TIMEOUT, "2.25", &x));
    assert_int_equal(x.timeout_ns, 2250000000);
    assert_null(read_one(HTTP_X_WEIR_NO_FALLBACK, "1", &x));
    assert_true(x.control.no_fallback);
    assert_null(read_one(HTTP_X_WEIR_NO_FALLBACK, "0", &x));
    assert_false(x.control.no_fallback);
    assert_null(read_one(HTTP_X_WEIR_TAGS, "team=a", &x));
    assert_memory_equal(x.rec.tags, "team=a\0", 7);
    char tags[RECORD_TAGS_MAX + 1] = {0};
    memset(tags, 'a', RECORD_TAGS_MAX);
    tags[3] = '=';
    assert_null(read_one(HTTP_X_WEIR_TAGS, tags, &x));
    assert_memory_equal(x.rec.tags, tags, RECORD_TAGS_MAX);
    assert_null(read_one(HTTP_X_WEIR_CASCADE, "agree=3", &x));
    assert_int_equal(x.control.cascade, ASKS_AGREE_3);
    assert_null(read_one(HTTP_X_WEIR_CASCADE, "check", &x));
    assert_int_equal(x.control.cascade, ASKS_CHECK);
    struct http_head none = {0};
    memset(&x, 0, sizeof x);
    assert_null(control_read(&x, &none));
    assert_true(x.control.mode == 0 && x.control.priority == 0 && x.control.session == 0);
    assert_true(!x.control.no_fallback && x.timeout_ns == 0 && x.rec.tags[0] == 0);
}

static void test_what_steers_the_choice(void **state)
{
    (void)state;
    static const struct { const char *word; uint8_t mode; } modes[] = {
        {"balanced", MODE_BALANCED}, {"cost", MODE_COST}, {"latency", MODE_LATENCY},
        {"availability", MODE_AVAILABILITY}, {"cost-first", MODE_COST},
    };
    static const struct { const char *word; uint8_t priority; } priorities[] = {
        {"low", PRIORITY_LOW}, {"normal", PRIORITY_NORMAL}, {"high", PRIORITY_HIGH},
    };
    static struct exchange x;
    for (size_t i = 0; i < COUNT(modes); i++) {
        assert_null(read_one(HTTP_X_WEIR_MODE, modes[i].word, &x));
        assert_int_equal(x.control.mode, 1 + modes[i].mode);
    }
    for (size_t i = 0; i < COUNT(priorities); i++) {
        assert_null(read_one(HTTP_X_WEIR_PRIORITY, priorities[i].word, &x));
        assert_int_equal(x.control.priority, 1 + priorities[i].priority);
    }
    assert_null(read_one(HTTP_X_WEIR_MAX_TTFT, "0.5", &x));
    assert_int_equal(x.control.max_ttft_ns, 500000000);
    assert_null(read_one(HTTP_X_WEIR_SESSION, "chat-1", &x));
    uint64_t one = x.control.session;
    assert_null(read_one(HTTP_X_WEIR_SESSION, "chat-2", &x));
    assert_true(one != 0 && x.control.session != 0 && x.control.session != one);
    char name[258] = {0};
    memset(name, 's', 257);
    assert_non_null(read_one(HTTP_X_WEIR_SESSION, name, &x));
    name[256] = 0;
    assert_null(read_one(HTTP_X_WEIR_SESSION, name, &x));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seconds),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_what_steers_the_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
