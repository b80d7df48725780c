/* test_price.c - exact prices: what is parsed, what is filled in, which price holds, and the
 * one rounding. Texts end at an unreadable page, so that a byte read too far is a crash. */
#include "route/price.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <cmocka.h>

enum { PAGE = 4096 };

static char *wall;               /* the first byte that must not be read */

static int setup(void **state)
{
    (void)state;
    char *map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                     0);
    if (map == MAP_FAILED || mprotect(map + PAGE, PAGE, PROT_NONE) != 0) return -1;
    wall = map + PAGE;
    return 0;
}

/* A copy of text that ends at the wall; one at a time. */
static struct bytes at_wall(const char *text)
{
    size_t len = strlen(text);
    assert_true(len <= PAGE);
    memcpy(wall - len, text, len);
    return (struct bytes){wall - len, len};
}

struct parse_case { const char *text; int64_t value; bool good; };

static void check_parse(const struct parse_case *cases, size_t count,
                        bool (*parse)(struct bytes, int64_t *))
{
    for (size_t i = 0; i < count; i++) {
        int64_t value = -7;
        bool good = parse(at_wall(cases[i].text), &value);
        if (good != cases[i].good) fail_msg("'%s': %d", cases[i].text, good);
        assert_int_equal(value, good ? cases[i].value : -7);
    }
}

static void test_parse(void **state)
{
    (void)state;
    static const struct parse_case cases[] = {
        {"0", 0, true}, {"3", 3000000, true}, {"0.10", 100000, true}, {"0.1", 100000, true},
        {"12.345678", 12345678, true}, {"0.000001", 1, true}, {"00.5", 500000, true},
        {"999999999.999999", 999999999999999, true}, {"999999999", 999999999000000, true},
        {"0.0000010", 1, true}, {"1.00000000000000000000000000", 1000000, true},
        {"0.0000011", 0, false}, {"0.0000001", 0, false}, {"1000000000", 0, false},
        {"0000000001", 0, false}, {"", 0, false}, {".", 0, false}, {".5", 0, false},
        {"5.", 0, false}, {"-1", 0, false}, {"+1", 0, false}, {" 1", 0, false},
        {"1 ", 0, false}, {"1,5", 0, false}, {"1.2.3", 0, false}, {"1..2", 0, false},
        {"1e3", 0, false}, {"0x1", 0, false}, {"NaN", 0, false}, {"1.5/", 0, false},
        {"1.5:", 0, false}, {"/", 0, false}, {":", 0, false}, {"1.0000000x", 0, false},
    };
    check_parse(cases, COUNT(cases), price_parse);
}

static void test_parse_usd(void **state)
{
    (void)state;
    static const struct parse_case cases[] = {
        {"0", 0, true}, {"1", 1000000000000, true}, {"0.005", 5000000000, true},
        {"0.000000001", 1000, true}, {"0.0000000010", 1000, true},
        {"999999.999999999", 999999999999999000, true},
        {"1000000", 0, false}, {"0.0000000001", 0, false}, {".5", 0, false}, {"5.", 0, false},
        {"", 0, false}, {"-0.01", 0, false}, {"$1", 0, false},
    };
    check_parse(cases, COUNT(cases), price_parse_usd);
}

/* Every proper prefix of a good price is judged by itself, never by what lies behind it. */
static void test_every_prefix(void **state)
{
    (void)state;
    const char *text = "123456789.123456000";
    for (size_t len = 0; len <= strlen(text); len++) {
        char cut[32];
        memcpy(cut, text, len);
        cut[len] = '\0';
        int64_t value = 0;
        assert_int_equal(price_parse(at_wall(cut), &value), len != 0 && len != 10);
    }
}

#define BIT(k) (1u << PRICE_##k)

static void test_complete(void **state)
{
    (void)state;
    int64_t k[PRICE_KINDS] = {[PRICE_INPUT] = 3000000, [PRICE_OUTPUT] = 15000000};
    price_complete(k, BIT(INPUT) | BIT(OUTPUT));
    assert_int_equal(k[PRICE_INPUT], 3000000);
    assert_int_equal(k[PRICE_CACHED], 3000000);
    assert_int_equal(k[PRICE_CACHE_WRITE], 3750000);
    assert_int_equal(k[PRICE_CACHE_WRITE_1H], 6000000);
    assert_int_equal(k[PRICE_OUTPUT], 15000000);
    assert_int_equal(k[PRICE_AUDIO_INPUT], 3000000);
    assert_int_equal(k[PRICE_AUDIO_OUTPUT], 15000000);
    assert_int_equal(k[PRICE_IMAGE_INPUT], 3000000);
}

/* What was given stays, a given 0 too; the hour's write follows the input, not the other. */
static void test_complete_keeps_what_was_given(void **state)
{
    (void)state;
    int64_t k[PRICE_KINDS];
    for (size_t i = 0; i < PRICE_KINDS; i++) k[i] = (int64_t)i;
    price_complete(k, (1u << PRICE_KINDS) - 1);
    for (size_t i = 0; i < PRICE_KINDS; i++) assert_int_equal(k[i], i);

    int64_t some[PRICE_KINDS] = {[PRICE_INPUT] = 8, [PRICE_CACHE_WRITE] = 100};
    price_complete(some, BIT(INPUT) | BIT(CACHED) | BIT(CACHE_WRITE) | BIT(OUTPUT));
    assert_int_equal(some[PRICE_CACHED], 0);
    assert_int_equal(some[PRICE_CACHE_WRITE], 100);
    assert_int_equal(some[PRICE_CACHE_WRITE_1H], 16);
    assert_int_equal(some[PRICE_AUDIO_OUTPUT], 0);

    int64_t none[PRICE_KINDS] = {9, 9, 9, 9, 9, 9, 9, 9};
    price_complete(none, 0);
    for (size_t i = 0; i < PRICE_KINDS; i++) assert_int_equal(none[i], 0);
}

static void test_complete_rounds_and_saturates(void **state)
{
    (void)state;
    static const struct { int64_t input, write; } cases[] = {
        {0, 0}, {1, 1}, {2, 3}, {3, 4}, {4, 5}, {5, 6}, {6, 8}, {7, 9}, {INT64_MAX, INT64_MAX},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t k[PRICE_KINDS] = {[PRICE_INPUT] = cases[i].input};
        price_complete(k, BIT(INPUT));
        assert_int_equal(k[PRICE_CACHE_WRITE], cases[i].write);
    }
}

static void test_tier_complete(void **state)
{
    (void)state;
    const int64_t base[PRICE_KINDS] = {100, 10, 125, 200, 500, 1000, 2000, 100};
    unsigned base_given = BIT(INPUT) | BIT(CACHED) | BIT(OUTPUT) | BIT(AUDIO_INPUT)
                          | BIT(AUDIO_OUTPUT);
    int64_t tier[PRICE_KINDS] = {[PRICE_INPUT] = 200};
    price_tier_complete(base, base_given, tier, BIT(INPUT));
    assert_int_equal(tier[PRICE_INPUT], 200);
    assert_int_equal(tier[PRICE_CACHED], 200);       /* contract.md section 3 */
    assert_int_equal(tier[PRICE_CACHE_WRITE], 250);
    assert_int_equal(tier[PRICE_CACHE_WRITE_1H], 400);
    assert_int_equal(tier[PRICE_OUTPUT], 500);       /* the base's, not free */
    assert_int_equal(tier[PRICE_AUDIO_INPUT], 1000);
    assert_int_equal(tier[PRICE_AUDIO_OUTPUT], 2000);
    assert_int_equal(tier[PRICE_IMAGE_INPUT], 200);  /* the base's was filled in, so is this */

    int64_t full[PRICE_KINDS] = {[PRICE_OUTPUT] = 7, [PRICE_CACHED] = 3};
    price_tier_complete(base, base_given, full, BIT(OUTPUT) | BIT(CACHED));
    assert_int_equal(full[PRICE_INPUT], 100);
    assert_int_equal(full[PRICE_CACHED], 3);
    assert_int_equal(full[PRICE_OUTPUT], 7);
}

static void test_dates(void **state)
{
    (void)state;
    struct price_list list = {.count = 0};
    assert_null(price_at(&list, 5));
    list.count = 3;
    list.at[0].from_unix_s = 10;
    list.at[1].from_unix_s = 20;
    list.at[2].from_unix_s = 30;
    static const struct { uint64_t now; int at; } cases[] = {
        {0, -1}, {9, -1}, {10, 0}, {19, 0}, {20, 1}, {29, 1}, {30, 2}, {UINT64_MAX, 2},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct price *p = price_at(&list, cases[i].now);
        assert_ptr_equal(p, cases[i].at < 0 ? NULL : &list.at[cases[i].at]);
    }
}

static void test_tiers(void **state)
{
    (void)state;
    struct price p = {.tier_count = 0};
    assert_ptr_equal(price_kinds(&p, UINT64_MAX), p.kind);
    p.tier_count = 2;
    p.tier[0].above = 200000;
    p.tier[1].above = 500000;
    static const struct { uint64_t tokens; int tier; } cases[] = {
        {0, -1}, {200000, -1}, {200001, 0}, {500000, 0}, {500001, 1}, {UINT64_MAX, 1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const int64_t *k = price_kinds(&p, cases[i].tokens);
        assert_ptr_equal(k, cases[i].tier < 0 ? p.kind : p.tier[cases[i].tier].kind);
    }
}

static void test_cost(void **state)
{
    (void)state;
    static const struct {
        int64_t input, output, request;
        uint32_t in, out;
        int64_t nano;
    } cases[] = {
        {0, 0, 0, 9, 9, 0},
        {100000, 300000, 0, 1000, 2000, 700000},           /* $0.0007 */
        {1, 0, 0, 499, 0, 0}, {1, 0, 0, 500, 0, 1}, {1, 0, 0, 1499, 0, 1},
        {1, 0, 0, 1500, 0, 2},
        {1, 1, 0, 250, 250, 1},                            /* rounded once, not per kind */
        {1, 1, 250, 125, 125, 1}, {0, 0, 499, 1, 1, 0}, {0, 0, 500, 0, 0, 1},
        {5000000, 25000000, 0, 250000000, 750000000, 20000000000000},   /* $20,000 */
        {999999999999999, 0, 0, 9000000, 0, 8999999999999991000},
        {999999999999999, 0, 0, UINT32_MAX, 0, INT64_MAX},
        {INT64_MAX, INT64_MAX, INT64_MAX, UINT32_MAX, UINT32_MAX, INT64_MAX},
        {INT64_MAX, 0, 0, 1000, 0, INT64_MAX}, {INT64_MAX, 0, 0, 1001, 0, INT64_MAX},
        {INT64_MAX, 0, 0, 999, 0, INT64_MAX / 1000 * 999 + 806},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t k[PRICE_KINDS] = {[PRICE_INPUT] = cases[i].input,
                                  [PRICE_OUTPUT] = cases[i].output};
        uint32_t t[PRICE_KINDS] = {[PRICE_INPUT] = cases[i].in, [PRICE_OUTPUT] = cases[i].out};
        assert_int_equal(price_cost(k, cases[i].request, t), cases[i].nano);
    }
}

/* Each kind has its own price and its own count. */
static void test_cost_adds_every_kind(void **state)
{
    (void)state;
    int64_t want = 0, k[PRICE_KINDS];
    uint32_t t[PRICE_KINDS];
    for (size_t i = 0; i < PRICE_KINDS; i++) {
        k[i] = (int64_t)(1000 * (i + 3));
        t[i] = (uint32_t)(7 * i + 1);
        want += k[i] / 1000 * t[i];
    }
    assert_int_equal(price_cost(k, 5000, t), want + 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse), cmocka_unit_test(test_parse_usd),
        cmocka_unit_test(test_every_prefix), cmocka_unit_test(test_complete),
        cmocka_unit_test(test_complete_keeps_what_was_given),
        cmocka_unit_test(test_complete_rounds_and_saturates),
        cmocka_unit_test(test_tier_complete), cmocka_unit_test(test_dates),
        cmocka_unit_test(test_tiers), cmocka_unit_test(test_cost),
        cmocka_unit_test(test_cost_adds_every_kind),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
