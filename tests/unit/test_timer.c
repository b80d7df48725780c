/* test_timer.c - the timer wheel against a plain list of deadlines: nothing fires early, all
 * that is due fires at the first look, and the wheel is never asked too late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/timer.h"

enum { TIMERS = 200, STEPS = 20000 };

static const uint64_t ms = TIMER_TICK_NS;

static struct timer_wheel wheel;

static uint32_t dice(uint32_t *seed, uint32_t sides)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % sides;
}

static void test_an_empty_wheel(void **state)
{
    (void)state;
    timer_init(&wheel, 77 * ms + 5);
    assert_null(timer_next(&wheel, 77 * ms + 5));
    assert_null(timer_next(&wheel, 1000000 * ms));
    assert_int_equal(timer_wait_ns(&wheel, 1000000 * ms, 250), 250);
    struct timer t = {0};
    timer_disarm(&wheel, &t);
    assert_int_equal(wheel.count, 0);
}

static void test_at_its_time_and_not_before(void **state)
{
    (void)state;
    static const uint64_t after[] = {
        1, 999999, 1000000, 1000001, 8190 * 1000000ull, 8191 * 1000000ull, 8192 * 1000000ull,
        8193 * 1000000ull, 55000000000ull, 3600000000000ull,
    };
    for (size_t i = 0; i < COUNT(after); i++) {
        const uint64_t begin = 123456 * ms + 789;
        struct timer t = {0};
        timer_init(&wheel, begin);
        timer_arm(&wheel, &t, begin + after[i]);
        for (uint64_t now = begin; now < begin + after[i];) {
            assert_null(timer_next(&wheel, now));
            uint64_t wait = timer_wait_ns(&wheel, now, UINT64_MAX);
            assert_true(wait > 0);
            assert_true(now + wait < begin + after[i] + ms);  /* never asked too late */
            if (now + wait >= begin + after[i]) break;
            now += wait;
        }
        assert_null(timer_next(&wheel, begin + after[i] - 1));
        uint64_t due = (begin + after[i] + ms - 1) / ms * ms;  /* its tick */
        assert_ptr_equal(timer_next(&wheel, due), &t);
        assert_int_equal(t.at_ns, 0);
        assert_null(timer_next(&wheel, due));
        assert_int_equal(wheel.count, 0);
    }
}

static void test_pushing_back_and_pulling_forward(void **state)
{
    (void)state;
    struct timer t = {0};
    timer_init(&wheel, ms);
    timer_arm(&wheel, &t, 10 * ms);
    for (uint64_t at = 11; at < 50; at++) timer_arm(&wheel, &t, at * ms);
    assert_null(timer_next(&wheel, 48 * ms));
    assert_ptr_equal(timer_next(&wheel, 49 * ms), &t);
    timer_arm(&wheel, &t, 100 * ms);
    timer_arm(&wheel, &t, 60 * ms);
    assert_null(timer_next(&wheel, 59 * ms));
    assert_ptr_equal(timer_next(&wheel, 60 * ms), &t);
    timer_arm(&wheel, &t, 70 * ms);
    timer_disarm(&wheel, &t);
    assert_null(timer_next(&wheel, 100 * ms));
    timer_arm(&wheel, &t, 20 * ms);  /* in the past: at the next tick */
    assert_int_equal(timer_wait_ns(&wheel, 100 * ms, 5 * ms), ms);
    assert_ptr_equal(timer_next(&wheel, 101 * ms), &t);
    timer_arm(&wheel, &t, 101 * ms);  /* the tick that was just handled: the next one too */
    assert_int_equal(timer_wait_ns(&wheel, 101 * ms, 5 * ms), ms);
    assert_ptr_equal(timer_next(&wheel, 102 * ms), &t);
}

/* An owner that comes up may disarm and free others, also those of the same slot. */
static void test_disarming_while_firing(void **state)
{
    (void)state;
    struct timer t[4] = {0};
    timer_init(&wheel, ms);
    for (int i = 0; i < 4; i++) timer_arm(&wheel, &t[i], 7 * ms);
    struct timer *first = timer_next(&wheel, 7 * ms);
    assert_non_null(first);
    for (int i = 0; i < 4; i++) {
        timer_disarm(&wheel, &t[i]);
        memset(&t[i], 0xff, sizeof t[i]);
    }
    assert_null(timer_next(&wheel, 8 * ms));
    assert_int_equal(wheel.count, 0);
}

/* A process that was stopped for an hour finds all of it at once, and the wheel goes on. */
static void test_a_long_stop(void **state)
{
    (void)state;
    static struct timer t[TIMERS];
    memset(t, 0, sizeof t);
    timer_init(&wheel, ms);
    for (uint64_t i = 0; i < TIMERS; i++) timer_arm(&wheel, &t[i], (2 + i * 500) * ms);
    uint64_t now = 3600000 * ms;
    for (int i = 0; i < TIMERS; i++) assert_non_null(timer_next(&wheel, now));
    assert_null(timer_next(&wheel, now));
    timer_arm(&wheel, &t[0], now + ms);
    assert_ptr_equal(timer_next(&wheel, now + ms), &t[0]);
}

static void due_all(struct timer *t, uint64_t *want, uint64_t now)
{
    struct timer *fired;
    while ((fired = timer_next(&wheel, now)) != NULL) {
        size_t i = (size_t)(fired - t);
        assert_true(i < TIMERS && want[i] != 0);
        assert_true(want[i] <= now);
        assert_int_equal(fired->at_ns, 0);
        want[i] = 0;
    }
    for (size_t i = 0; i < TIMERS; i++) {
        if (want[i]) assert_true((want[i] + ms - 1) / ms > now / ms);
    }
}

static void test_random(void **state)
{
    (void)state;
    static struct timer t[TIMERS];
    static uint64_t want[TIMERS];     /* the model: deadlines, 0 none */
    uint32_t seed = 4711;
    uint64_t now = 5000 * ms + 17;
    memset(t, 0, sizeof t);
    timer_init(&wheel, now);
    for (int step = 0; step < STEPS; step++) {
        uint32_t i = dice(&seed, TIMERS), what = dice(&seed, 10);
        if (what < 6) {
            uint64_t span = dice(&seed, 4) ? dice(&seed, 3000000) * 1000ull
                                           : dice(&seed, 3000000) * 10000ull;
            want[i] = now + span + 1;
            timer_arm(&wheel, &t[i], want[i]);
        } else if (what < 8) {
            timer_disarm(&wheel, &t[i]);
            want[i] = 0;
        } else {
            uint64_t wait = timer_wait_ns(&wheel, now, 400 * ms), next = UINT64_MAX;
            for (size_t k = 0; k < TIMERS; k++) {
                if (want[k] && want[k] < next) next = want[k];
            }
            assert_true(wait <= 400 * ms);
            if (next != UINT64_MAX) assert_true(now + wait < next + ms || wait == 0);
            now += what == 8 ? wait : dice(&seed, 50000000);
            due_all(t, want, now);
        }
        uint32_t armed = 0;
        for (size_t k = 0; k < TIMERS; k++) armed += want[k] != 0;
        assert_int_equal(wheel.count, armed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_wheel),
        cmocka_unit_test(test_at_its_time_and_not_before),
        cmocka_unit_test(test_pushing_back_and_pulling_forward),
        cmocka_unit_test(test_disarming_while_firing),
        cmocka_unit_test(test_a_long_stop),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
