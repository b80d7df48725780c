/* test_stats.c - every ending has its words, its label and a status that fits; counters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/stats.h"
#include "net/http.h"
#include "store/journal.h"

static bool is_label(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz_0123456789");
    return len > 0 && text[len] == 0 && text[0] != '_' && text[len - 1] != '_';
}

static void test_every_close_reason(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CLOSE_COUNT; i++) {
        enum close_why why = (enum close_why)i;
        const char *name = close_name(why), *sentence = close_sentence(why);
        unsigned status = close_status(why);
        if (!is_label(name)) fail_msg("label '%s'", name);
        for (unsigned k = 0; k < i; k++) {
            assert_string_not_equal(name, close_name((enum close_why)k));
        }
        assert_true(strlen(sentence) > 3 && sentence[strlen(sentence) - 1] != '.');
        if (status == 0) {                     /* nothing is answered */
            assert_string_equal(close_code(why), "");
            continue;
        }
        bool nobody_listens = status == 499 || status == 200;
        assert_true(nobody_listens || (status >= 400 && status <= 504) || status == 505);
        /* What a client is told has a code; what it never hears has none. */
        assert_int_equal(close_code(why)[0] == 0, nobody_listens);
        if (close_code(why)[0]) assert_true(is_label(close_code(why)));
        if (!nobody_listens) assert_string_not_equal(http_reason(status), "Unknown");
    }
    assert_int_equal(close_status(CLOSE_NONE), 0);
    assert_int_equal(CLOSE_NONE, 0);
    assert_int_equal(CLOSE_DONE, RECORD_CLOSE_DONE);   /* what the store counts as good */
}

/* contract.md section 4: what the outside was promised. */
static void test_promised_codes(void **state)
{
    (void)state;
    static const struct { enum close_why why; unsigned status; const char *code; } cases[] = {
        {CLOSE_KEY_BAD, 401, "invalid_api_key"},
        {CLOSE_MODEL_UNKNOWN, 404, "model_not_found"},
        {CLOSE_MODEL_DENIED, 403, "model_not_allowed"},
        {CLOSE_BODY_LARGE, 413, "request_too_large"},
        {CLOSE_HEAD_SLOW, 408, "request_timeout"},
        {CLOSE_JSON_BAD, 400, "invalid_json"},
        {CLOSE_LEDGER_GONE, 503, "ledger_unavailable"},
        {CLOSE_NO_PROVIDER, 503, "no_provider_available"},
        {CLOSE_UPSTREAM_FAILED, 502, "upstream_error"},
        {CLOSE_UPSTREAM_SLOW, 504, "upstream_timeout"},
        {CLOSE_OVERLOADED, 503, "overloaded"},
        {CLOSE_EXPECT_BAD, 417, "expectation_failed"},      /* RFC 9110 section 10.1.1 */
        {CLOSE_VERSION_BAD, 505, "http_version_not_supported"},
        {CLOSE_HEAD_LARGE, 431, "request_header_fields_too_large"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(close_status(cases[i].why), cases[i].status);
        assert_string_equal(close_code(cases[i].why), cases[i].code);
    }
}

static void test_every_attempt_end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ATTEMPT_ENDS; i++) {
        const char *words = attempt_words((enum attempt_end)i);
        assert_non_null(words);
        assert_true(strlen(words) > 3);
        for (unsigned k = 0; k < i; k++) {
            assert_string_not_equal(words, attempt_words((enum attempt_end)k));
        }
    }
}

static void test_every_counter(void **state)
{
    (void)state;
    for (unsigned i = 0; i < STAT_COUNT; i++) {
        const char *name = stat_name((enum stat_id)i), *help = stat_help((enum stat_id)i);
        assert_true(is_label(name) && strncmp(name, "weir_", 5) == 0);
        assert_true(strlen(help) > 5);
        size_t len = strlen(name);
        bool total = len > 6 && strcmp(name + len - 6, "_total") == 0;
        bool gauge = strstr(name, "_open_") || strstr(name, "_used_");
        assert_true(total != gauge);          /* Prometheus: a counter ends in _total */
        for (unsigned k = 0; k < i; k++) {
            assert_string_not_equal(name, stat_name((enum stat_id)k));
        }
    }
}

static void test_counting(void **state)
{
    (void)state;
    _Atomic uint64_t n = 0;
    stat_add(&n, 5);
    stat_add(&n, 1);
    assert_int_equal(stat_get(&n), 6);
    stat_add(&n, (uint64_t)-1);               /* how a gauge goes down */
    assert_int_equal(stat_get(&n), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_close_reason),
        cmocka_unit_test(test_promised_codes),
        cmocka_unit_test(test_every_attempt_end),
        cmocka_unit_test(test_every_counter),
        cmocka_unit_test(test_counting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
