/* test_decimal.c - numbers of every length as digits, beside the C library's; and
 * money read from text, which is exact or refused. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/decimal.h"
#include "net/http.h"
#include "net/jsonw.h"
#include "tests/unit/wall.h"

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

#define BILLION INT64_C(1000000000)   /* nano-dollars of a dollar, dollars of the most */

/* What is read, to the nano-dollar; NONE where it is refused. Every text ends at an unreadable
 * page. */
static void test_money_is_exact_or_refused(void **state)
{
    enum { NONE = -7 };
    static const struct { const char *text; bool is_signed; int64_t value; } cases[] = {
        {"0", false, 0}, {"0.0", false, 0}, {"1", false, BILLION}, {"12.5", false, 12500000000},
        {"0.000000001", false, 1}, {"1.000000000", false, BILLION},
        {"1.123456789", false, 1123456789}, {"100.00", false, 100 * BILLION},
        {"1000000000", false, BILLION * BILLION},
        {"1000000000.000000000", false, BILLION * BILLION},
        {"999999999.999999999", false, BILLION * BILLION - 1},
        {"-5", true, -5 * BILLION}, {"-0.000000001", true, -1}, {"-0", true, 0},
        {"5", true, 5 * BILLION}, {"-1000000000", true, -BILLION * BILLION},
        {"1000000000.000000001", false, NONE}, {"-1000000000.000000001", true, NONE},
        {"1000000001", false, NONE}, {"9223372036854775808", false, NONE},
        {"99999999999999999999999999", false, NONE}, {"1.0000000000", false, NONE},
        {"1.0000000001", false, NONE}, {"-1", false, NONE}, {"+1", false, NONE},
        {"+1", true, NONE}, {"--1", true, NONE}, {"-", true, NONE}, {"", false, NONE},
        {"", true, NONE}, {" 1", false, NONE}, {"1 ", false, NONE}, {"1e3", false, NONE},
        {".5", false, NONE}, {"5.", false, NONE}, {".", false, NONE}, {"1..2", false, NONE},
        {"1.2.3", false, NONE}, {"1.-2", true, NONE}, {"00", false, NONE},
        {"01", false, NONE}, {"-01", true, NONE}, {"1,5", false, NONE}, {"0x10", false, NONE},
        {"$1", false, NONE}, {"NaN", false, NONE}, {"1/", false, NONE}, {"1:", false, NONE},
    };
    (void)state;
    struct wall wall = wall_open(4096);
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t value = NONE;
        struct bytes text = wall_put(&wall, bytes_of(cases[i].text));
        bool read = decimal_read(text, 9, cases[i].is_signed, BILLION * BILLION, &value);
        if (value != cases[i].value || read != (value != NONE)) {
            fail_msg("'%s' is read as %lld", cases[i].text, (long long)value);
        }
    }
    wall_close(&wall);
}

/* The most and one more, for several kinds of decimals; whole numbers too. */
static void test_money_has_bounds(void **state)
{
    static const struct {
        const char *text;
        unsigned decimals;
        int64_t max;
        bool good;
    } cases[] = {
        {"9", 0, 9, true}, {"10", 0, 9, false}, {"1.0", 0, 9, false}, {"1.", 0, 9, false},
        {"9223372036854775807", 0, INT64_MAX, true},
        {"9223372036854775808", 0, INT64_MAX, false},
        {"9.223372036854775807", 18, INT64_MAX, true},
        {"9.223372036854775808", 18, INT64_MAX, false},
        {"10", 18, INT64_MAX, false}, {"0.10", 2, 10, true}, {"0.11", 2, 10, false},
        {"1", 1, 10, true}, {"1", 2, 99, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t value;
        bool good = decimal_read(bytes_of(cases[i].text), cases[i].decimals, false,
                                 cases[i].max, &value);
        if (good != cases[i].good) fail_msg("%s: %d", cases[i].text, good);
    }
}

/* What is written is read again as the same. */
static void test_money_written_is_read_again(void **state)
{
    uint64_t x = 88172645463325252u;
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;  /* xorshift */
        int64_t value = (int64_t)(x >> (2 + i % 62)) * (i & 1 ? -1 : 1), read = 0;
        char room[64];
        struct jsonw w;
        jsonw_init(&w, room, sizeof(room));
        jsonw_fixed_text(&w, value, 9);
        struct bytes text = {room + 1, w.len - 2};
        if (!decimal_read(text, 9, true, INT64_MAX, &read) || read != value) {
            fail_msg("%.*s is read as %lld", (int)w.len, room, (long long)read);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digits),
        cmocka_unit_test(test_money_is_exact_or_refused),
        cmocka_unit_test(test_money_has_bounds),
        cmocka_unit_test(test_money_written_is_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
