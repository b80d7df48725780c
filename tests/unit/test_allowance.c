/* test_allowance.c - what losers cost never passes the share by more than one of them costs
 * beyond what was expected; bursts are bounded; organisations do not touch each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "route/allowance.h"

enum { SHARE = 50000, ORG = 7 };       /* 5 % */

static int open_table(void **state)
{
    *state = calloc(1, sizeof(struct allowances));
    return *state ? 0 : -1;
}

static int close_table(void **state)
{
    free(*state);
    return 0;
}

static void test_both_shares_are_needed(void **state)
{
    struct allowances *a = *state;
    assert_false(allowance_take(a, ORG, 0));
    for (int i = 0; i < 19; i++) allowance_pay(a, ORG, 1000, SHARE);
    assert_false(allowance_take(a, ORG, 0));           /* 0.95 of a request */
    allowance_pay(a, ORG, 1000, SHARE);
    assert_false(allowance_take(a, ORG, 1001));        /* 20 x 1000 x 5 % */
    assert_true(allowance_take(a, ORG, 1000));
    assert_false(allowance_take(a, ORG, 0));
}

static void test_what_was_not_spent_comes_back(void **state)
{
    struct allowances *a = *state;
    for (int i = 0; i < 40; i++) allowance_pay(a, ORG, 1000, SHARE);
    assert_true(allowance_take(a, ORG, 2000));
    allowance_settle(a, ORG, 2000, 500, true);         /* the request is gone, 1500 are not */
    assert_false(allowance_take(a, ORG, 1501));
    assert_true(allowance_take(a, ORG, 1500));
    allowance_settle(a, ORG, 1500, 0, false);          /* nobody was asked */
    assert_true(allowance_take(a, ORG, 1500));
    allowance_settle(a, ORG, 1500, 9000, true);        /* dearer than expected: it is owed */
    for (int i = 0; i < 149; i++) allowance_pay(a, ORG, 1000, SHARE);
    assert_false(allowance_take(a, ORG, 0));
    allowance_pay(a, ORG, 1000, SHARE);
    assert_true(allowance_take(a, ORG, 0));
}

static void test_bursts_are_bounded(void **state)
{
    struct allowances *a = *state;
    unsigned taken = 0;
    for (int i = 0; i < 100000; i++) allowance_pay(a, ORG, 1000000, SHARE);
    while (allowance_take(a, ORG, 1)) taken++;
    assert_int_equal(taken, ALLOWANCE_REQUESTS_MAX);
    for (int i = 0; i < 100; i++) allowance_pay(a, ORG, INT64_MAX, ALLOWANCE_ONE);
    assert_true(allowance_take(a, ORG, INT64_MAX / 4));    /* and no sum runs over */
    allowance_settle(a, ORG, 0, INT64_MAX, true);
    assert_false(allowance_take(a, ORG, 0));
}

static void test_places_are_taken_over_empty(void **state)
{
    struct allowances *a = *state;
    uint64_t other = 0;
    for (int i = 0; i < 40; i++) allowance_pay(a, ORG, 1000, SHARE);
    for (uint64_t org = ORG + 1; !other; org++) {      /* the first one that has its place */
        allowance_pay(a, org, 1000, 0);
        if (!allowance_take(a, ORG, 0)) other = org;
        else allowance_settle(a, ORG, 0, 0, false);
        assert_true(org < 100 * ALLOWANCES);
    }
    assert_false(allowance_take(a, other, 0));
    allowance_settle(a, ORG, 1000, 0, false);          /* no longer there: nobody gets it */
    assert_false(allowance_take(a, other, 0));
    for (int i = 0; i < 20; i++) allowance_pay(a, other, 0, SHARE);
    assert_true(allowance_take(a, other, 0));
}

/* Seeded requests and hedges, several at a time: the bound of allowance.h, in money. */
static void test_the_bound_holds(void **state)
{
    struct allowances *a = *state;
    enum { OPEN = 8, ROUNDS = 200000 };
    struct { int64_t expect, cost; } open[OPEN];
    unsigned count = 0;
    uint64_t seed = 11, hedges = 0;
    int64_t spend = 0, lost = 0, beyond = 0;
    for (int i = 0; i < ROUNDS; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint32_t draw = (uint32_t)(seed >> 33);
        int64_t cost = draw % 10000;
        allowance_pay(a, ORG, cost, SHARE);
        spend += cost;
        int64_t expect = draw / 3 % 20000, most = expect + (draw % 8 == 0 ? 200 : 0);
        if (count < OPEN && allowance_take(a, ORG, expect)) {
            open[count].expect = expect;
            open[count++].cost = draw % 5 ? most : 0;
            hedges++;
        }
        if (count == OPEN || (count > 0 && draw % 7 == 0)) {
            count--;
            allowance_settle(a, ORG, open[count].expect, open[count].cost, true);
            lost += open[count].cost;
            if (open[count].cost > open[count].expect) beyond = 200 * OPEN;
        }
        assert_true(lost <= spend / 20 + beyond);
    }
    assert_true(hedges > ROUNDS / 100 && hedges <= ROUNDS / 20);
    assert_true(lost > spend / 40);        /* and it is made use of */
}

#define TABLE_TEST(f) cmocka_unit_test_setup_teardown(f, open_table, close_table)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(test_both_shares_are_needed), TABLE_TEST(test_what_was_not_spent_comes_back),
        TABLE_TEST(test_bursts_are_bounded), TABLE_TEST(test_places_are_taken_over_empty),
        TABLE_TEST(test_the_bound_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
