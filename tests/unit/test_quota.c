/* test_quota.c - the room at a provider's key: how much fits, when there is room again, that
 * what was taken comes back whatever happened to the limits, and that threads together never
 * take more than there is. */
#include "route/quota.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define S 1000000000ull
#define START (100 * S)

enum { RACERS = 4, ROUNDS = 20000, SEATS = 2, TAKES = 1000 };

static enum quota_lack take(struct quota *q, struct quota_limits l, uint64_t now,
                            struct quota_hold *hold, uint64_t *wait)
{
    *hold = (struct quota_hold){0};
    enum quota_lack lack = quota_take(q, &l, now, 100, hold, wait);
    assert_int_equal(lack == QUOTA_ROOM, *wait == 0);
    if (lack != QUOTA_ROOM) assert_null(hold->at);
    return lack;
}

static void test_without_limits_nothing_is_counted(void **state)
{
    (void)state;
    struct quota q = {0};
    struct quota_hold hold;
    uint64_t wait;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(take(&q, (struct quota_limits){0}, START, &hold, &wait), QUOTA_ROOM);
        assert_null(hold.at);
        quota_give(&hold, START, 7);
    }
    assert_int_equal(atomic_load(&q.running), 0);
    assert_int_equal(atomic_load(&q.requests_ns), 0);
}

static void test_concurrency(void **state)
{
    (void)state;
    struct quota q = {0};
    struct quota_limits l = {.concurrency = 2};
    struct quota_hold a, b, c;
    uint64_t wait;
    assert_int_equal(take(&q, l, START, &a, &wait), QUOTA_ROOM);
    assert_int_equal(take(&q, l, START, &b, &wait), QUOTA_ROOM);
    assert_int_equal(take(&q, l, START, &c, &wait), QUOTA_CONCURRENCY);
    assert_true(wait >= 1 && wait < S);
    quota_give(&a, START + 4 * S, 0);
    assert_null(a.at);
    quota_give(&a, START + 4 * S, 0);                /* nothing is held any more */
    assert_int_equal(atomic_load(&q.running), 1);
    assert_int_equal(take(&q, l, START + 4 * S, &a, &wait), QUOTA_ROOM);
    assert_int_equal(take(&q, l, START + 4 * S, &c, &wait), QUOTA_CONCURRENCY);
    assert_int_equal(wait, 2 * S + 1);               /* two that run 4 s each */
    quota_give(&a, START + 4 * S, 0);
    assert_int_equal(atomic_load(&q.usual_us), 3500000);
    quota_give(&b, START + 5 * S, 0);
    assert_int_equal(atomic_load(&q.running), 0);
}

/* N at once, then one every 60/N seconds; never more than 2N - 1 in any minute. */
static void test_requests_a_minute(void **state)
{
    (void)state;
    static const uint32_t rates[] = {1, 3, 7, 60, 1000};
    for (size_t i = 0; i < COUNT(rates); i++) {
        struct quota q = {0};
        struct quota_limits l = {.rpm = rates[i]};
        struct quota_hold hold;
        uint64_t wait, now = START;
        for (uint32_t k = 0; k < rates[i]; k++) {
            assert_int_equal(take(&q, l, now, &hold, &wait), QUOTA_ROOM);
            quota_give(&hold, now, 0);               /* a request that ended still counts */
        }
        for (uint32_t k = 0; k < rates[i]; k++) {
            assert_int_equal(take(&q, l, now, &hold, &wait), QUOTA_REQUESTS);
            assert_true(wait <= 60 * S / rates[i] + 1);
            now += wait;
            assert_int_equal(take(&q, l, now - 1, &hold, &wait), QUOTA_REQUESTS);
            assert_int_equal(wait, 1);
            assert_int_equal(take(&q, l, now, &hold, &wait), QUOTA_ROOM);
        }
        assert_true(now >= START + 60 * S);
    }
}

static void test_refused_by_requests_does_not_run(void **state)
{
    (void)state;
    struct quota q = {0};
    struct quota_limits l = {.rpm = 1, .concurrency = 5};
    struct quota_hold a, b;
    uint64_t wait;
    assert_int_equal(take(&q, l, START, &a, &wait), QUOTA_ROOM);
    assert_int_equal(take(&q, l, START, &b, &wait), QUOTA_REQUESTS);
    assert_int_equal(atomic_load(&q.running), 1);
    quota_give(&a, START, 0);
    assert_int_equal(atomic_load(&q.running), 0);
}

static void test_tokens_a_minute(void **state)
{
    (void)state;
    struct quota q = {0};
    struct quota_limits l = {.tpm = 600};            /* ten a second */
    struct quota_hold hold = {0}, other;
    uint64_t wait;
    assert_int_equal(quota_take(&q, &l, START, 100000, &hold, &wait), QUOTA_ROOM);
    assert_int_equal(take(&q, l, START, &other, &wait), QUOTA_TOKENS);
    assert_int_equal(wait, (10000 - 60) * S + 1);    /* a tenth of a second a token */
    quota_give(&hold, START + S, 0);                 /* it failed, and used none */
    assert_int_equal(take(&q, l, START + S, &hold, &wait), QUOTA_ROOM);
    quota_give(&hold, START + S, 900);               /* it used more than was thought */
    assert_int_equal(take(&q, l, START + S, &other, &wait), QUOTA_TOKENS);
    assert_true(wait > 29 * S && wait <= 30 * S + 1);
    assert_int_equal(take(&q, l, START + S + wait, &other, &wait), QUOTA_ROOM);
    quota_give(&other, START + 40 * S, 100);         /* as it was thought */
    struct quota_hold absurd = {0};
    assert_int_equal(quota_take(&q, &l, START + 2000 * S, UINT64_MAX, &absurd, &wait),
                     QUOTA_ROOM);
    assert_int_equal(take(&q, l, START + 2000 * S, &other, &wait), QUOTA_TOKENS);
    assert_true(wait <= 24 * 3600 * S);
}

/* A reload takes the limits away, or brings others: what runs is given back as it was taken. */
static void test_limits_change_while_it_runs(void **state)
{
    (void)state;
    struct quota q = {0};
    struct quota_hold a, b, free_one;
    uint64_t wait;
    assert_int_equal(take(&q, (struct quota_limits){.tpm = 600, .concurrency = 1}, START, &a,
                          &wait), QUOTA_ROOM);
    assert_int_equal(take(&q, (struct quota_limits){0}, START, &free_one, &wait), QUOTA_ROOM);
    assert_int_equal(take(&q, (struct quota_limits){.tpm = 6, .concurrency = 2}, START, &b,
                          &wait), QUOTA_ROOM);
    quota_give(&free_one, START, 0);
    assert_int_equal(atomic_load(&q.running), 2);
    uint64_t before = atomic_load(&q.tokens_ns);
    quota_give(&a, START, 0);
    assert_int_equal(before - atomic_load(&q.tokens_ns), 10 * S);
    quota_give(&b, START, 0);
    assert_int_equal(atomic_load(&q.running), 0);
    assert_int_equal(atomic_load(&q.tokens_ns), START);
}

struct race { struct quota q; _Atomic uint32_t inside, most, taken; };

static void *racer(void *arg)
{
    struct race *r = arg;
    struct quota_limits seats = {.concurrency = SEATS, .rpm = TAKES};
    for (int i = 0; i < ROUNDS; i++) {
        struct quota_hold hold = {0};
        uint64_t wait;
        if (quota_take(&r->q, &seats, START, 1, &hold, &wait) != QUOTA_ROOM) continue;
        atomic_fetch_add(&r->taken, 1);
        uint32_t now = atomic_fetch_add(&r->inside, 1) + 1, most = atomic_load(&r->most);
        while (now > most && !atomic_compare_exchange_weak(&r->most, &most, now)) {}
        atomic_fetch_sub(&r->inside, 1);
        quota_give(&hold, START, 0);
    }
    return NULL;
}

static void test_threads_never_take_more(void **state)
{
    (void)state;
    struct race race = {0};
    pthread_t thread[RACERS];
    for (int i = 0; i < RACERS; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, racer, &race), 0);
    }
    for (int i = 0; i < RACERS; i++) assert_int_equal(pthread_join(thread[i], NULL), 0);
    assert_true(race.most >= 1 && race.most <= SEATS);
    assert_int_equal(race.taken, TAKES);             /* all of them, and none twice */
    assert_int_equal(atomic_load(&race.q.running), 0);
}

/* What is told of a wait is what a take then meets, however full it is; and who comes behind
 * others is told of their time too. */
static void test_a_wait_is_true(void **state)
{
    (void)state;
    static const struct { struct quota_limits l; uint64_t each_ns; } cases[] = {
        {{.concurrency = 3}, 2 * S + 1}, {{.rpm = 6}, 10 * S}, {{.tpm = 600}, 10 * S},
        {{.concurrency = 3, .rpm = 60}, 2 * S + 1}, {{.concurrency = 3, .rpm = 6}, 10 * S},
        {{.tpm = 300, .rpm = 30}, 20 * S}, {{0}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct quota q = {.usual_us = 6000000};
        struct quota_hold hold[40];
        const struct quota_limits *l = &cases[i].l;
        enum quota_lack what;
        for (unsigned n = 0; n < 40; n++) {
            uint64_t now = START + n * (S / 7), each, met;
            uint64_t told = quota_wait(&q, l, now, 100, &what, &each);
            assert_int_equal(each, cases[i].each_ns);
            assert_int_equal(take(&q, *l, now, &hold[n], &met), what);
            assert_int_equal(told, met);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_limits_nothing_is_counted),
        cmocka_unit_test(test_concurrency),
        cmocka_unit_test(test_requests_a_minute),
        cmocka_unit_test(test_refused_by_requests_does_not_run),
        cmocka_unit_test(test_tokens_a_minute),
        cmocka_unit_test(test_a_wait_is_true),
        cmocka_unit_test(test_limits_change_while_it_runs),
        cmocka_unit_test(test_threads_never_take_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
