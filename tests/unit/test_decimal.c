/* test_decimal.c - numbers of every length as digits, beside the C library's. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/http.h"

/* Numbers of every length, padded to every width. */
static void test_digits(void **state)
{
    static const uint64_t large[] = {1234, 9999, 10000, 65535, 999999, 1000000, 4294967295,
                                     4294967296, 99999999999, 9223372036854775807u, UINT64_MAX};
    (void)state;
    for (uint64_t i = 0; i < 1200 + COUNT(large); i++) {
        uint64_t value = i < 1200 ? i : large[i - 1200];
        for (unsigned width = 0; width <= 20; width++) {
            char got[32], want[32];
            struct http_out o = {.out = got, .room = sizeof got - 1};
            http_out_digits(&o, value, width);
            got[o.len] = 0;
            snprintf(want, sizeof want, "%0*" PRIu64, (int)width, value);
            assert_string_equal(got, want);
        }
    }
    char room[2];
    struct http_out o = {.out = room, .room = sizeof room};
    http_out_digits(&o, 100, 1);
    assert_true(o.full && o.len == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_digits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
