/* test_breaker.c - the breaker's word: how it opens, whom it elects as probe, what ends it, and
 * that two threads racing for one probe never both win. */
#include "route/breaker.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { ROUNDS = 50, WORDS = 1024, HOLDS = 1000000, RACERS = 2 };

static const uint64_t START = 1000000;

/* Ask and say what came: 'n' no, 'y' yes, 'p' yes as probe. */
static char ask(breaker_word *w, uint64_t now)
{
    bool probe = true;
    bool yes = breaker_ask(w, now, &probe);
    assert_int_equal(yes && !probe, breaker_look(w, now) == BREAKER_CLOSED);
    assert_true(yes || !probe);
    return yes ? (probe ? 'p' : 'y') : 'n';
}

/* Fail until it opens; give how many failures that took. */
static int open_it(breaker_word *w, uint64_t now)
{
    int failures = 1;
    while (!breaker_bad(w, now)) failures++;
    return failures;
}

static void test_zero_is_closed(void **state)
{
    (void)state;
    breaker_word w = 0;
    assert_int_equal(ask(&w, 0), 'y');
    assert_false(breaker_is_open(&w, 0));
    assert_int_equal(breaker_look(&w, 0), BREAKER_CLOSED);
    breaker_good(&w);
    breaker_unprobe(&w, START);
    assert_int_equal(atomic_load(&w), 0);
}

static void test_opens_after_failures_in_a_row(void **state)
{
    (void)state;
    breaker_word w = 0;
    assert_int_equal(open_it(&w, START), BREAKER_FAILURES_MAX);
    assert_int_equal(ask(&w, START), 'n');
    assert_true(breaker_is_open(&w, START + BREAKER_OPEN_MS_MIN - 1));
    assert_false(breaker_is_open(&w, START + BREAKER_OPEN_MS_MIN));

    breaker_word mixed = 0;
    for (int i = 0; i < 10 * BREAKER_FAILURES_MAX; i++) {
        if (i % BREAKER_FAILURES_MAX == BREAKER_FAILURES_MAX - 1) breaker_good(&mixed);
        else assert_false(breaker_bad(&mixed, START));
    }
    assert_int_equal(breaker_look(&mixed, START), BREAKER_CLOSED);
}

static void test_failures_while_open_change_nothing(void **state)
{
    (void)state;
    breaker_word w = 0;
    open_it(&w, START);
    uint64_t before = atomic_load(&w);
    for (int i = 0; i < 300; i++) assert_false(breaker_bad(&w, START + 500));
    assert_int_equal(atomic_load(&w), before);
}

static void test_one_probe_then_closed(void **state)
{
    (void)state;
    breaker_word w = 0;
    open_it(&w, START);
    uint64_t at = START + BREAKER_OPEN_MS_MIN;
    assert_int_equal(ask(&w, at - 1), 'n');
    assert_int_equal(breaker_look(&w, at - 1), BREAKER_OPEN);
    assert_int_equal(breaker_look(&w, at), BREAKER_PROBING);
    assert_int_equal(ask(&w, at), 'p');
    assert_int_equal(ask(&w, at), 'n');
    assert_true(breaker_is_open(&w, at));
    breaker_good(&w);
    assert_int_equal(ask(&w, at), 'y');
    assert_int_equal(open_it(&w, at), BREAKER_FAILURES_MAX);
}

/* Each failed probe doubles the time, up to the cap, and a success forgets it all. */
static void test_open_time_doubles(void **state)
{
    (void)state;
    static const uint64_t want[] = {1000, 2000, 4000, 8000, 10000, 10000, 10000};
    breaker_word w = 0;
    uint64_t now = START;
    open_it(&w, now);
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_int_equal(ask(&w, now + want[i] - 1), 'n');
        now += want[i];
        assert_int_equal(ask(&w, now), 'p');
        assert_true(breaker_bad(&w, now));
    }
    assert_int_equal(ask(&w, now + BREAKER_OPEN_MS_MAX), 'p');
    breaker_good(&w);
    open_it(&w, now);
    assert_int_equal(ask(&w, now + BREAKER_OPEN_MS_MIN), 'p');
}

static void test_probe_without_verdict(void **state)
{
    (void)state;
    breaker_word w = 0;
    open_it(&w, START);
    uint64_t now = START + 5000;
    assert_int_equal(ask(&w, now), 'p');
    breaker_unprobe(&w, now + 1);
    assert_int_equal(ask(&w, now + 1), 'p');   /* told: at once */
    assert_int_equal(ask(&w, now + BREAKER_PROBE_MS_MAX), 'n');
    assert_int_equal(ask(&w, now + 1 + BREAKER_PROBE_MS_MAX), 'p');   /* not told: in time */
    breaker_unprobe(&w, now);
    breaker_good(&w);
    breaker_unprobe(&w, now);
    assert_int_equal(atomic_load(&w), 0);
}

static void test_cool(void **state)
{
    (void)state;
    static const struct { uint64_t asked, cools; } cases[] = {
        {0, 0}, {1, 1}, {3000, 3000}, {BREAKER_COOL_MS_MAX, BREAKER_COOL_MS_MAX},
        {BREAKER_COOL_MS_MAX + 1, BREAKER_COOL_MS_MAX}, {UINT64_MAX, BREAKER_COOL_MS_MAX},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        breaker_word w = 0;
        breaker_cool(&w, START, cases[i].asked);
        uint64_t end = START + cases[i].cools;
        if (cases[i].cools) assert_int_equal(ask(&w, end - 1), 'n');
        assert_int_equal(ask(&w, end), 'p');
        assert_int_equal(ask(&w, end), 'n');
        breaker_good(&w);
        assert_int_equal(atomic_load(&w), 0);
    }
}

/* Answers to requests sent before the 429 arrive late; they must not end the quiet. */
static void test_late_success_does_not_end_a_cool_down(void **state)
{
    (void)state;
    breaker_word w = 0;
    for (int i = 1; i < BREAKER_FAILURES_MAX; i++) breaker_bad(&w, START);
    breaker_cool(&w, START, 7000);
    breaker_good(&w);
    assert_int_equal(ask(&w, START + 6999), 'n');
    assert_false(breaker_bad(&w, START + 100));
    assert_int_equal(ask(&w, START + 7000), 'p');
    assert_true(breaker_bad(&w, START + 7000));    /* the probe's, opened for the first time */
    assert_int_equal(ask(&w, START + 7999), 'n');
    breaker_good(&w);                              /* open by failures: any success closes */
    assert_int_equal(ask(&w, START + 7999), 'y');
}

static void test_cool_in_other_states(void **state)
{
    (void)state;
    breaker_word w = 0;
    open_it(&w, START);                            /* until START + 1000 */
    breaker_cool(&w, START, 10);                   /* never shortens */
    assert_int_equal(ask(&w, START + 999), 'n');
    breaker_cool(&w, START + 999, 5000);
    assert_int_equal(ask(&w, START + 5998), 'n');
    assert_int_equal(ask(&w, START + 5999), 'p');
    breaker_cool(&w, START + 6000, 2000);          /* the probe was told to wait */
    assert_int_equal(breaker_look(&w, START + 6000), BREAKER_OPEN);
    assert_int_equal(ask(&w, START + 7999), 'n');
    assert_int_equal(ask(&w, START + 8000), 'p');
    assert_true(breaker_bad(&w, START + 8000));    /* twice as long as before the cool-down */
    assert_int_equal(ask(&w, START + 9999), 'n');
    assert_int_equal(ask(&w, START + 10000), 'p');
}

struct race {
    breaker_word word[WORDS];
    atomic_uint arrived;
    atomic_uint elected, refused;
    atomic_uint holders, doubles;  /* probes out at the moment; times there were two */
};

/* Wait until all racers have come to gate number n. Spinning, for threads that a futex wakes
 * start one after the other and never meet; yielding in the end, for the machine is shared. */
static void gate(struct race *r, unsigned n)
{
    atomic_fetch_add(&r->arrived, 1);
    for (unsigned spins = 1; atomic_load(&r->arrived) < n * RACERS; spins++) {
        if (spins % 4096 == 0) sched_yield();
    }
}

/* Ask every word; then make all due again, and once more. */
static void *racer(void *arg)
{
    struct race *r = arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        bool probes[WORDS] = {false};
        gate(r, 2 * i + 1);
        for (size_t w = 0; w < WORDS; w++) {
            bool yes = breaker_ask(&r->word[w], START + 1, &probes[w]);
            if (!yes) atomic_fetch_add(&r->refused, 1);
            if (probes[w]) atomic_fetch_add(&r->elected, 1);
        }
        gate(r, 2 * i + 2);
        for (size_t w = 0; w < WORDS; w++) {
            if (probes[w]) breaker_unprobe(&r->word[w], START);
        }
    }
    return NULL;
}

static void test_race_elects_exactly_one(void **state)
{
    (void)state;
    struct race r = {.arrived = 0};
    pthread_t threads[RACERS];
    for (size_t w = 0; w < WORDS; w++) breaker_cool(&r.word[w], START, 1);
    for (int i = 0; i < RACERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, racer, &r), 0);
    }
    for (int i = 0; i < RACERS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&r.elected), ROUNDS * WORDS);
    assert_int_equal(atomic_load(&r.refused), ROUNDS * WORDS * (RACERS - 1));
}

/* Take the one probe of the first word and give it back, as fast as can be. */
static void *holder(void *arg)
{
    struct race *r = arg;
    for (unsigned i = 0; i < HOLDS; i++) {
        bool probe = false;
        if (!breaker_ask(&r->word[0], START, &probe)) continue;
        if (atomic_fetch_add(&r->holders, 1) != 0) atomic_fetch_add(&r->doubles, 1);
        /* The time given back depends on the count, so that no processor swaps the two. */
        unsigned held = atomic_fetch_sub(&r->holders, 1);
        breaker_unprobe(&r->word[0], START + 1 - held);
        atomic_fetch_add(&r->elected, 1);
    }
    return NULL;
}

/* Two threads that meet between look and swap all the time never hold a probe both. */
static void test_race_never_elects_two(void **state)
{
    (void)state;
    struct race r = {.arrived = 0};
    pthread_t threads[RACERS];
    breaker_cool(&r.word[0], START - 1, 0);
    for (int i = 0; i < RACERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, holder, &r), 0);
    }
    for (int i = 0; i < RACERS; i++) pthread_join(threads[i], NULL);
    assert_true(atomic_load(&r.elected) > 0);
    assert_int_equal(atomic_load(&r.doubles), 0);
    assert_int_equal(ask(&r.word[0], START), 'p');
}

static void *failer(void *arg)
{
    struct race *r = arg;
    for (uint64_t i = 0; i < WORDS; i++) {
        if (breaker_bad(&r->word[0], START + i)) atomic_fetch_add(&r->elected, 1);
    }
    return NULL;
}

/* No failure is lost and none counted twice: two threads together open it exactly once. */
static void test_race_opens_once(void **state)
{
    (void)state;
    struct race r = {.arrived = 0};
    pthread_t threads[RACERS];
    for (int i = 0; i < RACERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, failer, &r), 0);
    }
    for (int i = 0; i < RACERS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&r.elected), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zero_is_closed),
        cmocka_unit_test(test_opens_after_failures_in_a_row),
        cmocka_unit_test(test_failures_while_open_change_nothing),
        cmocka_unit_test(test_one_probe_then_closed), cmocka_unit_test(test_open_time_doubles),
        cmocka_unit_test(test_probe_without_verdict), cmocka_unit_test(test_cool),
        cmocka_unit_test(test_late_success_does_not_end_a_cool_down),
        cmocka_unit_test(test_cool_in_other_states),
        cmocka_unit_test(test_race_elects_exactly_one),
        cmocka_unit_test(test_race_never_elects_two), cmocka_unit_test(test_race_opens_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
