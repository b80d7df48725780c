/* test_attempt.c - how long a Retry-After asks for (RFC 9110 section 10.2.3): seconds or an
 * IMF-fixdate, and nothing for whatever else a provider may say; and whose fault an end is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/attempt.h"
#include "route/breaker.h"
#include "tests/unit/serve_none.h"
#include "tests/unit/wall.h"

/* Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110 section 5.6.7 */
static const uint64_t then_s = 784111777;

/* Our own shortage is not said to be the provider's failure. */
static void test_close(void **state)
{
    (void)state;
    assert_int_equal(attempt_close(ATTEMPT_NO_ROOM), CLOSE_OVERLOADED);
    assert_int_equal(attempt_close(ATTEMPT_TIMEOUT), CLOSE_UPSTREAM_STALLED);
    assert_int_equal(attempt_close(ATTEMPT_ERROR_EVENT), CLOSE_UPSTREAM_ERROR_EVENT);
    assert_int_equal(attempt_close(ATTEMPT_RESET), CLOSE_UPSTREAM_BROKE);
    assert_int_equal(attempt_close(ATTEMPT_EMPTY), CLOSE_UPSTREAM_BROKE);
}

static void test_retry_after(void **state)
{
    (void)state;
    enum { MOST = BREAKER_COOL_MS_MAX };
    static const struct { const char *value; uint64_t ms; } cases[] = {
        {"1", 1000}, {"20", 20000}, {"60", 60000}, {"007", 7000},
        {"61", MOST}, {"3600", MOST}, {"9999999999999999999", MOST},
        {"0", 0}, {"00", 0},
        {"0.5", 1000}, {"1.5", 1000}, {"2.999", 2000},     /* not in the RFC, yet seen */
        {"", 0}, {"-1", 0}, {"+5", 0}, {"soon", 0}, {"5s", 0}, {"5 s", 0}, {"1e3", 0},
        {"0x10", 0}, {".5", 0}, {"1,5", 0}, {"99999999999999999999", 0},
        {"\xef\xbb\xbf" "5", 0},
        {"Sun, 06 Nov 1994 08:49:47 GMT", 10000},          /* IMF-fixdate */
        {"Sunday, 06-Nov-94 08:49:47 GMT", 0},             /* the obsolete forms of section */
        {"Sun Nov  6 08:49:47 1994", 0},                   /* 5.6.7 say nothing to us */
        {"Sun, 06 Nov 1994 08:49:38 GMT", 1000},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 0},              /* now */
        {"Sun, 06 Nov 1994 08:49:36 GMT", 0},              /* past */
        {"Sun, 06 Nov 1994 08:50:37 GMT", 60000},
        {"Sun, 06 Nov 1994 08:50:38 GMT", MOST},
        {"Sat, 06 Nov 2094 08:49:37 GMT", MOST},
        {"Sun, 06 Nov 1994 08:49:47 PST", 0},
        {"Sun, 31 Feb 1994 08:49:47 GMT", 0},
        {"06 Nov 1994 08:49:47", 0},
    };
    struct wall wall = wall_open(4096);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bytes value = wall_put(&wall, bytes_of(cases[i].value));
        uint64_t ms = attempt_retry_ms(value, then_s * 1000000000 + 500000000);
        if (ms != cases[i].ms) wall_row(value);
        assert_int_equal(ms, cases[i].ms);
    }
    wall_close(&wall);
    assert_int_equal(attempt_retry_ms((struct bytes){0}, 0), 0);
}

/* google.rpc.RetryInfo in a body, as Gemini sends it beside a quota error. */
static void test_retry_info(void **state)
{
    (void)state;
    enum { MOST = BREAKER_COOL_MS_MAX };
    static const struct { const char *body; uint64_t ms; } cases[] = {
        {"{\"error\":{\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\","
         "\"retryDelay\":\"34s\"}]}}", 34000},
        {"[{\"retryDelay\" : \r\n\t \"1.5s\"}]", 1000}, {"\"retryDelay\":\"0.25s\"", 1000},
        {"\"retryDelay\":\"0s\"", 0}, {"\"retryDelay\":\"86400s\"", MOST},
        {"\"retryDelay\":\"-3s\"", 0}, {"\"retryDelay\":\"s\"", 0},
        {"\"retryDelay\":\"\"", 0}, {"\"retryDelay\":\"12\"", 0},
        {"\"retryDelay\":\"12s", 0}, {"\"retryDelay\":12", 0}, {"\"retryDelay\":", 0},
        {"\"retryDelay\"", 0}, {"\"retryDelay\" \"5s\"", 0}, {"retryDelay: 5s", 0}, {"", 0},
    };
    struct wall wall = wall_open(4096);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bytes body = wall_put(&wall, bytes_of(cases[i].body));
        uint64_t ms = attempt_retry_info_ms(body);
        if (ms != cases[i].ms) wall_row(body);
        assert_int_equal(ms, cases[i].ms);
    }
    wall_close(&wall);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_retry_after),
                                       cmocka_unit_test(test_close),
                                       cmocka_unit_test(test_retry_info)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
