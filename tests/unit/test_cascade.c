/* test_cascade.c - what a cascade is expected to cost and be worth, by counting every way that
 * answers can fall out; and whom a plan puts first for it: on four models of four providers,
 *   dear/best      the strongest, and dear
 *   one/small      cheap, weaker
 *   two/small      the same model elsewhere, a little cheaper
 *   three/maker/x  as cheap, as weak, of somebody else */
#include "route/cascade.h"
#include "route/catalog.h"
#include "route/gain.h"
#include "route/plan.h"
#include "route/score.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* ---- what is expected ---- */

/* The same by enumeration: each model is right, or gives one of `wrongs` wrong answers. */
static void enumerate(const struct cascade_one *m, unsigned count, unsigned wrongs,
                      double *right, double *wrong)
{
    unsigned say[3] = {0}, all = 1;
    *right = *wrong = 0;
    for (unsigned i = 0; i < count; i++) all *= wrongs + 1;
    for (unsigned n = 0; n < all; n++) {
        double p = 1;
        for (unsigned i = 0, rest = n; i < count; i++, rest /= wrongs + 1) {
            say[i] = rest % (wrongs + 1);
            p *= say[i] ? (1 - (double)m[i].success) / wrongs : (double)m[i].success;
        }
        bool taken = false;
        for (unsigned i = 0; i < count && !taken; i++) {
            unsigned same = 0;
            for (unsigned k = 0; k < count; k++) same += say[k] == say[i];
            taken = same >= cascade_need(count);
            if (taken && say[i] == 0) *right += p;
            else if (taken) *wrong += p;
        }
    }
}

static void test_agreement_is_what_counting_says(void **state)
{
    static const float ability[] = {0, 0.1f, 0.37f, 0.5f, 0.8f, 1};
    (void)state;
    for (unsigned n = 0; n < 6 * 6 * 6; n++) {
        struct cascade_one m[3] = {{ability[n % 6], 1}, {ability[n / 6 % 6], 2},
                                   {ability[n / 36], 4}};
        for (unsigned wrongs = 1; wrongs <= 5; wrongs++) {
            for (unsigned count = 2; count <= 3; count++) {
                struct cascade e;
                double right, wrong;
                struct cascade_one strong = {0.9f, 100};
                enumerate(m, count, wrongs, &right, &wrong);
                cascade_expect(m, count, strong, 0.5f, 1 / (float)wrongs, &e);
                double on = 1 - 0.5 * (right + wrong);
                assert_true(fabs((double)e.quality - (0.5 * right + on * 0.9)) < 1e-5);
                assert_true(fabs((double)e.escalates - on) < 1e-5);
                double cost = (count == 2 ? 3 : 7) + 100 * on;
                assert_true(fabs((double)e.cost - cost) < 1e-3);
                assert_true(fabs((double)e.alone - 100) < 1e-6);
            }
        }
    }
}

/* More ability, in any of them, never makes it worse: what keeps_floor() leans on. */
static void test_ability_never_hurts(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 5 * 11 * 11 * 11; n++) {
        struct cascade_one strong = {(float)(n % 5) / 4, 1}, m[3];
        unsigned rest = n / 5;
        for (unsigned i = 0; i < 3; i++, rest /= 11) m[i].success = (float)(rest % 11) / 10;
        for (unsigned count = 1; count <= 3; count++) {
            for (unsigned i = 0; i < count; i++) {
                struct cascade was, now;
                struct cascade_one more[3] = {m[0], m[1], m[2]};
                more[i].success = fminf(1, m[i].success + 0.1f);
                float same = CASCADE_SAME;
                cascade_expect(m, count, strong, 1, same, &was);
                cascade_expect(more, count, strong, 1, same, &now);
                assert_true(now.quality >= was.quality - 1e-6f);
            }
        }
    }
}

static void test_one_is_checked(void **state)
{
    struct cascade e;
    struct cascade_one weak = {0.2f, 1}, sure = {1, 1}, strong = {0.9f, 50};
    (void)state;
    cascade_expect(&weak, 1, strong, 0, CASCADE_SAME, &e);
    assert_true(fabsf(e.escalates - 0.1f) < 1e-6f);      /* an eighth of its failures */
    assert_true(fabsf(e.quality - (0.2f + 0.1f * 0.9f)) < 1e-6f);
    assert_true(fabsf(e.cost - 6) < 1e-4f);
    cascade_expect(&sure, 1, strong, 0, CASCADE_SAME, &e);
    assert_true(fabsf(e.escalates - CASCADE_ESCALATES_LEAST) < 1e-6f);
    assert_true(fabsf(e.quality - 1) < 1e-6f);
    assert_int_equal(cascade_need(1), 0);
    assert_int_equal(cascade_need(2), 2);
    assert_int_equal(cascade_need(3), 3);
}

/* ---- plans ---- */

#define WEAK (-0.9f)

enum { MODELS = 4, PROVIDERS = 4, NOW_MS = 1000000 };

struct world {
    struct catalog_provider provider[PROVIDERS];
    struct catalog_model model[MODELS];
    struct catalog c;
    breaker_word key_word[PROVIDERS * CATALOG_KEYS_MAX], model_word[MODELS * CATALOG_KEYS_MAX];
    struct scores *s;
    struct plan_ask ask;
};

static struct catalog_model model(const char *id, unsigned provider, int64_t input, float t)
{
    struct catalog_model m = {.id = id, .provider = (uint16_t)provider, .context = 100000};
    m.price.count = 1;
    m.price.at[0].known = true;
    m.price.at[0].kind[PRICE_INPUT] = input;
    m.price.at[0].kind[PRICE_OUTPUT] = input * 4;
    for (int f = 0; f < FAMILIES; f++) {
        m.quality.t[f] = t;
        m.quality.width[f] = 0.15f;
    }
    return m;
}

static int build(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    if (!w) return -1;
    static const char *const names[] = {"dear", "one", "three", "two"};
    for (int i = 0; i < PROVIDERS; i++) {
        w->provider[i] = (struct catalog_provider){.name = names[i], .region = "", .weight = 1};
    }
    w->model[0] = model("dear/best", 0, 10000000, 1.5f);
    w->model[1] = model("one/small", 1, 100000, WEAK);
    w->model[2] = model("three/maker/x", 2, 100000, WEAK);
    w->model[3] = model("two/small", 3, 90000, WEAK);
    w->c = (struct catalog){w->provider, w->model, NULL, NULL, PROVIDERS, MODELS, 0};
    w->ask = (struct plan_ask){
        .name = {BYTES("auto")}, .name_count = 1, .first_is_model = true, .now_ms = NOW_MS,
        .gain = 2000, .gain_width = 300, .tokens_in = 1000, .tokens_out = 300,
        .floor = 950000, .cost_power = 500000, .time_power = 500000, .mode = PLAN_COST,
        .cheap = 2, .comparable = 900000};
    if (!catalog_index(&w->c)) return -1;
    struct score_setup setup = {.catalog = &w->c, .views = 1, .key_word = w->key_word,
                                .model_word = w->model_word};
    w->s = score_make(&setup);
    if (!w->s) return -1;
    w->ask.score = score_view(w->s, 0);
    *state = w;
    return 0;
}

static int unbuild(void **state)
{
    struct world *w = *state;
    score_close(w->s);
    free(w->c.by_bare);
    free(w);
    return 0;
}

/* The plan as ids, a bar behind the cheap ones; and why there are none. */
static void check(struct world *w, const struct plan_ask *ask, const char *want,
                  enum cascade_why why)
{
    struct plan p;
    char got[256] = "";
    size_t len = 0;
    plan_make(&w->c, ask, &p);
    for (uint8_t i = 0; i < p.count; i++) {
        len += (size_t)snprintf(got + len, sizeof got - len, "%s%s%s", i ? " " : "",
                                w->model[p.at[i].model].id,
                                i + 1 == p.cascade.cheap ? " |" : "");
        assert_int_equal(p.at[i].reason == PLAN_CHEAP, i < p.cascade.cheap);
    }
    if (strcmp(got, want) != 0) fail_msg("%s, not %s", got, want);
    if (p.cascade.why != why) {
        fail_msg("%s: %s", want, cascade_why_text((enum cascade_why)p.cascade.why));
    }
    assert_int_equal(p.cascade.cheap > 0, why == CASCADE_FINE);
    if (p.cascade.cheap) {
        assert_int_equal(p.cascade.need, cascade_need(p.cascade.cheap));
        assert_true(p.cascade.cost < p.cascade.alone * CASCADE_COST_MOST);
        assert_true(p.cascade.quality >= (float)ask->floor / PLAN_ONE);
    }
}

#define ALONE "dear/best one/small three/maker/x two/small"

/* Two of distinct models come first, the cheapest place of each; then who was chosen. */
static void test_cheap_ones_come_first(void **state)
{
    struct world *w = *state;
    struct plan_ask ask = w->ask;
    check(w, &ask, "two/small three/maker/x | dear/best one/small", CASCADE_FINE);
    ask.cheap = 3;                                 /* there are only two other models */
    check(w, &ask, ALONE, CASCADE_FEW);
    ask.cheap = 1;                                 /* one, checked, falls below the floor */
    check(w, &ask, ALONE, CASCADE_FEW);
    ask.floor = 600000;
    ask.cheap_any_mode = true;                     /* now the cheapest is chosen anyway */
    check(w, &ask, "two/small one/small three/maker/x dear/best", CASCADE_FEW);
    ask = w->ask;
    ask.cheap_any_mode = true;
    ask.mode = PLAN_AVAILABILITY;      /* all are as sure: the floor orders */
    check(w, &ask, "two/small three/maker/x | dear/best one/small", CASCADE_FINE);
}

/* Each reason against it, told of a question that has but for that one. */
static void test_reasons_against(void **state)
{
    struct world *w = *state;
    struct plan_ask fine = w->ask, mode = fine, alone = fine, effort = fine, order = fine,
                    sticky = fine, first = fine, never = fine, denied = fine, named = fine,
                    later = fine, rare = fine;
    mode.mode = PLAN_BALANCED;
    check(w, &mode, ALONE, CASCADE_MODE);
    mode.name[0] = BYTES("auto:cost");             /* a suffix counts */
    check(w, &mode, "two/small three/maker/x | dear/best one/small", CASCADE_FINE);
    alone.one_only = true;
    check(w, &alone, "dear/best", CASCADE_ALONE);
    effort.effort = EFFORT_LOW;
    check(w, &effort, ALONE, CASCADE_EFFORT);
    order.order[0] = BYTES("one"), order.order_count = 1;
    check(w, &order, "one/small dear/best three/maker/x two/small", CASCADE_ORDER);
    sticky.sticky = 1;
    check(w, &sticky, ALONE, CASCADE_STICKY);
    first.sticky = 1 + 1, first.sticky_first = true;
    check(w, &first, "one/small dear/best three/maker/x two/small", CASCADE_STICKY);
    never.cheap = 0;
    check(w, &never, ALONE, CASCADE_NEVER);
    denied.cheap = 0, denied.cheap_why = CASCADE_DENIED;
    check(w, &denied, ALONE, CASCADE_DENIED);
    named.name[0] = BYTES("dear/best");
    check(w, &named, "dear/best", CASCADE_NAMED);
    later.name[0] = BYTES("one/small"), later.name[1] = BYTES("auto"), later.name_count = 2;
    check(w, &later, "one/small dear/best three/maker/x two/small", CASCADE_NAMED);
    rare.comparable = 50000;                       /* twice the wait to spare a twentieth */
    check(w, &rare, ALONE, CASCADE_DEAR);
}

static bool not_three(void *arg, struct bytes id)
{
    (void)arg;
    return !bytes_starts(id, BYTES("three"));
}

/* Who may not be asked, cools, has no price, or costs nothing. */
static void test_who_may_be_cheap(void **state)
{
    struct world *w = *state;
    struct plan_ask ask = w->ask;
    ask.allow = not_three;
    check(w, &ask, "dear/best one/small two/small", CASCADE_FEW);
    ask.allow = NULL;
    breaker_cool(&w->key_word[3 * CATALOG_KEYS_MAX], NOW_MS, 5000);
    check(w, &ask, "one/small three/maker/x | dear/best two/small", CASCADE_FINE);
    w->model[0].price.at[0].kind[PRICE_INPUT] = w->model[0].price.at[0].kind[PRICE_OUTPUT] = 0;
    score_close(w->s);
    struct score_setup setup = {.catalog = &w->c, .views = 1, .key_word = w->key_word,
                                .model_word = w->model_word};
    w->s = score_make(&setup);
    ask.score = score_view(w->s, 0);
    struct plan p;
    plan_make(&w->c, &ask, &p);
    assert_int_equal(p.cascade.why, CASCADE_UNPRICED);
}

static void test_words(void **state)
{
    (void)state;
    for (int i = 0; i < CASCADE_WHYS; i++) {
        assert_true(strlen(cascade_why_text((enum cascade_why)i)) > 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agreement_is_what_counting_says),
        cmocka_unit_test(test_ability_never_hurts),
        cmocka_unit_test(test_one_is_checked),
        cmocka_unit_test_setup_teardown(test_cheap_ones_come_first, build, unbuild),
        cmocka_unit_test_setup_teardown(test_reasons_against, build, unbuild),
        cmocka_unit_test_setup_teardown(test_who_may_be_cheap, build, unbuild),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
