/* test_score.c - what is learned of endpoints: means that follow, fade and are shared; what a
 * new catalogue takes over; states. Views stand for cores: a sum written by one must be seen by
 * all after a merge. */
#include "route/catalog.h"
#include "route/score.h"
#include "route/score_part.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { VIEWS = 3, MODELS = 3 };

#define MS UINT64_C(1000000)
#define NOW UINT64_C(1000000000)     /* ms: some uptime */

struct world {
    struct catalog_provider provider[2];
    struct catalog_model model[MODELS];
    struct catalog c;
    struct scores *s;
};

static struct price_list price(int64_t input, int64_t output)
{
    struct price_list list = {.count = 1};
    list.at[0].known = true;
    list.at[0].kind[PRICE_INPUT] = input;
    list.at[0].kind[PRICE_OUTPUT] = output;
    return list;
}

static struct scores *make(const struct catalog *c)
{
    struct score_setup setup = {.catalog = c, .views = VIEWS, .now_unix_s = 500};
    struct scores *s = score_make(&setup);
    assert_non_null(s);
    return s;
}

static int build(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    if (!w) return -1;
    w->provider[0] = (struct catalog_provider){.name = "a", .key = {"k1", "k2"},
                                               .key_count = 2};
    w->provider[1] = (struct catalog_provider){.name = "b"};
    w->model[0] = (struct catalog_model){.id = "a/big", .price = price(5000000, 25000000)};
    w->model[1] = (struct catalog_model){.id = "a/small", .price = price(100000, 400000)};
    w->model[2] = (struct catalog_model){.id = "b/think", .provider = 1,
                                         .abilities = ABILITY_REASONING};
    w->model[2].quality.efforts = 1u << EFFORT_LOW | 1u << EFFORT_HIGH | 1u << EFFORT_XHIGH;
    w->c = (struct catalog){w->provider, w->model, NULL, NULL, 2, MODELS, 0};
    if (!catalog_index(&w->c)) return -1;
    w->s = make(&w->c);
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

static void near(double got, double want, double within)
{
    if (fabs(got - want) > within) fail_msg("%g, not %g", got, want);
}

/* Rows are a model's keys; arms are its further efforts, at most two: the least, the most. */
static void test_shape(void **state)
{
    struct world *w = *state;
    const struct scores *s = w->s;
    assert_int_equal(score_row(s, 0, 1), score_row(s, 0, 0) + 1);
    assert_int_equal(score_row(s, 1, 0), score_row(s, 0, 1) + 1);
    assert_int_equal(s->row_count, 5);
    assert_int_equal(s->arm_count, MODELS + 2);
    assert_int_equal(s->effort[MODELS], EFFORT_LOW);
    assert_int_equal(s->effort[MODELS + 1], EFFORT_XHIGH);
    assert_true(s->mult[EFFORT_UNSET][MODELS] < s->mult[EFFORT_UNSET][MODELS + 1]);
    assert_int_equal(s->padded % SCORE_GROUP, 0);
    assert_true(s->prior_slow[1] < s->prior_slow[0]);   /* cheap is fast, before all learning */
    assert_true(s->prior_ttft[2] > s->prior_ttft[1]);   /* thinking takes time */
    assert_null(score_view(w->s, 0)->all->key_word);
}

/* From the prior to what is seen; half a dozen answers outweigh it. */
static void test_learning_leaves_the_prior(void **state)
{
    struct world *w = *state;
    struct score *v = score_view(w->s, 0);
    uint32_t row = score_row(w->s, 1, 0);
    struct score_look look;
    score_look(w->s, row, NOW, &look);
    assert_int_equal(look.weight, 0);
    assert_int_equal(look.requests, 0);
    near(look.ttft_us, w->s->prior_ttft[1] * 1e6, 1);
    float last = v->ttft[1];
    for (int i = 0; i < 200; i++) {
        score_learn_ttft(v, row, NOW, 2000 * MS);
        score_learn_speed(v, row, NOW, 200, 10000 * MS);   /* 20 a second */
        score_learn_end(v, row, NOW, i % 4 != 0);
        assert_true(v->ttft[1] >= last);
        last = v->ttft[1];
    }
    score_look(w->s, row, NOW, &look);
    near(look.ttft_us, 2e6, 0.25e6);                    /* the prior keeps its four answers */
    near(look.speed, 20000, 3000);
    near(look.error, 2500, 400);
    assert_int_equal(look.requests, 200);
    assert_int_equal(look.weight, 32);
    near(v->error[1], look.error / 1e4, 1e-3);
    near(v->tries[1], 1 / (1 - v->error[1]), 1e-5);
    assert_true(v->risk[1] > v->error[1]);
    score_learn_speed(v, row, NOW, 3, 1);               /* too short to tell anything */
    score_learn_speed(v, row, NOW, 300, 0);
    struct score_look after;
    score_look(w->s, row, NOW, &after);
    assert_int_equal(after.speed, look.speed);
}

/* A change shows within some dozens of answers, however many there were before. */
static void test_a_change_is_followed(void **state)
{
    struct world *w = *state;
    struct score *v = score_view(w->s, 0);
    uint32_t row = score_row(w->s, 0, 0);
    for (int i = 0; i < 5000; i++) score_learn_ttft(v, row, NOW, 100 * MS);
    for (int i = 0; i < 64; i++) score_learn_ttft(v, row, NOW, 3000 * MS);
    assert_true(v->ttft[0] > 2);
}

/* Errors are forgotten within minutes, speeds within an hour. */
static void test_fading(void **state)
{
    struct world *w = *state;
    struct score *v = score_view(w->s, 0);
    uint32_t row = score_row(w->s, 1, 0);
    for (int i = 0; i < 20; i++) {
        score_learn_end(v, row, NOW, false);
        score_learn_ttft(v, row, NOW, 5000 * MS);
    }
    float error = v->error[1], ttft = v->ttft[1];
    score_merge(v, NOW + 60000, 500);
    assert_true(v->error[1] < error && v->error[1] > 0.3f);
    near(v->weight[1], 10, 0.1);
    near(v->ttft[1], ttft, 0.2);
    score_merge(v, NOW + 600000, 500);
    near(v->error[1], 0.02, 0.01);
    assert_true(v->ttft[1] < ttft && v->ttft[1] > 3);
    score_merge(v, NOW + 36000000, 500);
    near(v->ttft[1], w->s->prior_ttft[1], 0.01);
    score_learn_end(v, row, NOW + 36000000, true);      /* what faded does not come back */
    assert_true(v->error[1] < 0.03f);
}

/* What one core learns all know after a merge, evidence by evidence. */
static void test_cores_share(void **state)
{
    struct world *w = *state;
    struct score *a = score_view(w->s, 0), *b = score_view(w->s, 1);
    uint32_t row = score_row(w->s, 1, 0);
    for (int i = 0; i < 8; i++) score_learn_end(a, row, NOW, false);
    float before = b->error[1];
    assert_true(a->error[1] > 0.5f && before < 0.03f);
    score_merge(b, NOW, 500);
    near(b->error[1], a->error[1], 1e-6);
    for (int i = 0; i < 8; i++) score_learn_end(b, row, NOW, true);
    near(b->error[1], (4 * 0.02 + 8) / (4 + 16), 1e-3);
    score_merge(a, NOW, 500);
    near(a->error[1], b->error[1], 1e-6);
    struct score_look look;
    score_begin(a, row);
    score_begin(b, row);
    score_begin(b, row);
    score_end(b, row);
    score_look(w->s, row, NOW, &look);
    assert_int_equal(look.in_flight, 2);
    assert_int_equal(look.requests, 16);
    score_end(a, row);
    score_end(b, row);
}

/* The 95th percentile settles where one answer in twenty is above. */
static void test_percentile(void **state)
{
    struct world *w = *state;
    struct score *v = score_view(w->s, 0);
    uint32_t row = score_row(w->s, 1, 0);
    uint64_t seed = 7;
    for (int i = 0; i < 20000; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        score_learn_ttft(v, row, NOW, (seed >> 40) % 1000 * MS);   /* even over a second */
    }
    struct score_look look;
    score_look(w->s, row, NOW, &look);
    near(look.ttft_p95_us, 950000, 150000);
    assert_true(look.ttft_us < 700000);
    static const struct { enum score_percentile which; double us, within; } cases[] = {
        {SCORE_P50, 500000, 120000}, {SCORE_P75, 750000, 130000}, {SCORE_P90, 900000, 150000},
        {SCORE_P95, 950000, 200000}, {SCORE_P99, 990000, 250000},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t weight;
        near(score_ttft_at(w->s, row, NOW, cases[i].which, &weight), cases[i].us,
             cases[i].within);
        near(weight, 32, 1);
        assert_int_equal(score_ttft_at(w->s, row + 1, NOW, cases[i].which, &weight), 0);
        assert_int_equal(weight, 0);                    /* a prior is none of it */
    }
}

/* Of all cores, by what each has seen; and the evidence fades. */
static void test_percentiles_of_cores(void **state)
{
    struct world *w = *state;
    uint32_t row = score_row(w->s, 1, 0), weight;
    for (int i = 0; i < 30; i++) {
        score_learn_ttft(score_view(w->s, 0), row, NOW, 100 * MS);
        if (i < 10) score_learn_ttft(score_view(w->s, 1), row, NOW, 500 * MS);
    }
    near(score_ttft_at(w->s, row, NOW, SCORE_P50, &weight), 200000, 25000);
    near(weight, 40, 1);
    (void)score_ttft_at(w->s, row, NOW + 600000, SCORE_P50, &weight);
    near(weight, 20, 1);
}

/* The newest word on a limit counts, until its reset; of two keys the one with more room. */
static void test_room(void **state)
{
    struct world *w = *state;
    struct score *a = score_view(w->s, 0), *b = score_view(w->s, 1);
    uint32_t row = score_row(w->s, 2, 0);
    score_learn_room(a, row, NOW, 2000, 10000);
    near(a->room[2], 0.2, 1e-3);
    score_learn_room(b, row, NOW + 500, 9000, 10000);
    score_merge(a, NOW + 500, 500);
    near(a->room[2], 0.9, 1e-3);
    score_learn_room(a, row, NOW + 1000, 0, 3000);
    assert_true(a->risk[2] > 0.5f);                     /* nothing left: no good candidate */
    struct score_look look;
    score_look(w->s, row, NOW + 1000, &look);
    assert_int_equal(look.room, 0);
    near(look.room_reset_s, 3, 1);
    score_merge(a, NOW + 4500, 500);
    near(a->room[2], 1, 1e-3);
    score_learn_room(a, row, NOW + 5000, 99999, UINT64_MAX / 2);   /* absurd: capped */
    score_look(w->s, row, NOW + 5000, &look);
    assert_int_equal(look.room, SCORE_ONE);
    assert_true(look.room_reset_s <= SCORE_ROOM_S_MAX + 1);
    score_learn_room(a, score_row(w->s, 0, 0), NOW, 100, 60000);
    near(a->room[0], 1, 1e-3);                          /* the other key has all of its own */
    score_learn_room(a, score_row(w->s, 0, 1), NOW, 3000, 60000);
    near(a->room[0], 0.3, 1e-3);
}

/* Keys of one provider teach each other's model: one column. */
static void test_keys_are_one_model(void **state)
{
    struct world *w = *state;
    struct score *v = score_view(w->s, 0);
    for (uint32_t i = 0; i < 8; i++) {
        score_learn_end(v, score_row(w->s, 1, i % 2), NOW, i % 2);
    }
    near(v->error[1], (4 * 0.02 + 4) / 12, 1e-3);
    struct score_look look;
    score_look(w->s, score_row(w->s, 1, 0), NOW, &look);
    near(look.error, (4 * 0.02 + 4) / 8 * 1e4, 20);     /* but they are told apart */
}

/* By provider, key text and model: another order, a key less, a model more. */
static void test_carried_over(void **state)
{
    struct world *w = *state;
    struct score *v = score_view(w->s, 1);
    for (int i = 0; i < 8; i++) {
        score_learn_end(v, score_row(w->s, 1, 1), NOW, false);
        score_learn_ttft(v, score_row(w->s, 1, 1), NOW, 7000 * MS);
    }
    score_set_model(w->s, 0, SCORE_OFF);
    score_set_provider(w->s, 1, SCORE_DRAIN);
    struct catalog_provider provider[3] = {{.name = "new"}, w->provider[1], w->provider[0]};
    provider[2].key[0] = "k2";
    provider[2].key_count = 1;
    struct catalog_model model[4] = {w->model[0], w->model[1], w->model[2],
                                     {.id = "new/x", .provider = 0}};
    model[0].provider = model[1].provider = 2;
    struct catalog c = {provider, model, NULL, NULL, 3, 4, 0};
    assert_true(catalog_index(&c));
    struct scores *next = make(&c);
    score_carry(next, w->s);
    for (uint32_t i = 0; i < VIEWS; i++) {
        near(score_view(next, i)->error[1], (4 * 0.02 + 8) / 12, 1e-3);
        near(score_view(next, i)->error[0], 0.02, 1e-5);
        near(score_view(next, i)->error[3], 0.02, 1e-5);
    }
    struct score_look look;
    score_look(next, score_row(next, 1, 0), NOW, &look);
    assert_int_equal(look.requests, 8);
    assert_int_equal(score_state_of(next, 0), SCORE_OFF);
    assert_int_equal(score_state_of(next, 1), SCORE_ON);
    assert_int_equal(score_state_of(next, 2), SCORE_DRAIN);
    score_merge(score_view(next, 0), NOW, 500);         /* it goes on being merged */
    near(score_view(next, 0)->error[1], (4 * 0.02 + 8) / 12, 1e-3);
    score_close(next);
    free(c.by_bare);
    score_set_model(w->s, 0, SCORE_ON);
    score_set_provider(w->s, 1, SCORE_ON);
    assert_int_equal(score_state_of(w->s, 0), SCORE_ON);
}

/* A price that comes into force is adopted by the merge that sees its time come. */
static void test_dated_prices(void **state)
{
    struct world *w = *state;
    struct price_list *list = &w->model[1].price;
    list->at[1] = list->at[0];
    list->at[1].from_unix_s = 1000;
    list->at[1].kind[PRICE_OUTPUT] = 99000000;
    list->count = 2;
    struct scores *s = make(&w->c);
    struct score *v = score_view(s, 2);
    near(v->price_out[1] * 1e6, 0.4, 1e-6);
    score_merge(v, NOW, 999);
    near(v->price_out[1] * 1e6, 0.4, 1e-6);
    score_merge(v, NOW, 1000);
    near(v->price_out[1] * 1e6, 99, 1e-3);
    assert_true(v->price_in[2] < 0);                    /* nobody stated one */
    score_close(s);
}

/* No model at all, and auto's globs. */
static void test_empty_and_globs(void **state)
{
    struct world *w = *state;
    struct catalog none = {w->provider, NULL, NULL, NULL, 2, 0, 0};
    struct scores *s = make(&none);
    score_merge(score_view(s, 0), NOW, 500);
    score_close(s);
    score_close(NULL);
    struct bytes globs[] = {BYTES("b/*"), BYTES("small")};
    struct score_setup setup = {.catalog = &w->c, .views = 1, .auto_glob = globs,
                                .auto_count = 2};
    s = score_make(&setup);
    assert_non_null(s);
    assert_int_equal(s->autos[0], 0);
    assert_int_equal(s->autos[1], -1);                  /* by its bare name */
    assert_int_equal(s->autos[2], -1);
    assert_int_equal(s->autos[MODELS], -1);             /* and its efforts */
    assert_int_equal(s->autos[s->arm_count], 0);
    score_close(s);
    w->model[1].by_name = w->model[2].by_name = true;
    s = score_make(&setup);
    assert_non_null(s);
    assert_int_equal(s->autos[1], -1);                  /* the list names it in full */
    assert_int_equal(s->autos[2], 0);                   /* a glob does not */
    score_close(s);
    w->model[2].by_name = false;
    w->model[2].no_text = true;                         /* embeddings */
    s = score_make(&setup);
    assert_non_null(s);
    assert_int_equal(s->autos[2], 0);
    score_close(s);
}

/* Many models: each merge is bounded, and all have their turn. */
static void test_merges_are_bounded(void **state)
{
    enum { MANY = 3000, ASKING = 8 };
    (void)state;
    static char id[MANY][16];
    struct catalog_provider provider = {.name = "p"};
    struct catalog_model *model = calloc(MANY, sizeof *model);
    assert_non_null(model);
    for (int i = 0; i < MANY; i++) {
        snprintf(id[i], sizeof id[i], "p/%04d", i);
        model[i].id = id[i];
    }
    struct catalog c = {&provider, model, NULL, NULL, 1, MANY, 0};
    assert_true(catalog_index(&c));
    struct score_setup setup = {.catalog = &c, .views = ASKING};
    struct scores *s = score_make(&setup);
    assert_non_null(s);
    for (uint32_t i = 0; i < MANY; i++) {
        for (int n = 0; n < 8; n++) score_learn_end(score_view(s, 1), i, NOW, false);
    }
    struct score *v = score_view(s, 0);
    uint32_t known = 0, turns = 0;
    while (known < MANY && turns < 10) {
        score_merge(v, NOW, 0);
        turns++;
        uint32_t now = 0;
        for (uint32_t i = 0; i < MANY; i++) now += v->error[i] > 0.5f;
        assert_true(now > known && now - known <= 4096 / ASKING + 1);
        known = now;
    }
    assert_int_equal(known, MANY);
    score_close(s);
    free(c.by_bare);
    free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shape, build, unbuild),
        cmocka_unit_test_setup_teardown(test_learning_leaves_the_prior, build, unbuild),
        cmocka_unit_test_setup_teardown(test_a_change_is_followed, build, unbuild),
        cmocka_unit_test_setup_teardown(test_fading, build, unbuild),
        cmocka_unit_test_setup_teardown(test_cores_share, build, unbuild),
        cmocka_unit_test_setup_teardown(test_percentile, build, unbuild),
        cmocka_unit_test_setup_teardown(test_percentiles_of_cores, build, unbuild),
        cmocka_unit_test_setup_teardown(test_room, build, unbuild),
        cmocka_unit_test_setup_teardown(test_keys_are_one_model, build, unbuild),
        cmocka_unit_test_setup_teardown(test_carried_over, build, unbuild),
        cmocka_unit_test_setup_teardown(test_dated_prices, build, unbuild),
        cmocka_unit_test_setup_teardown(test_empty_and_globs, build, unbuild),
        cmocka_unit_test(test_merges_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
