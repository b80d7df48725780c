/* test_gain.c - the expected gain: the weights that ship are whole, damaged ones are refused,
 * a sum has its parts, a tenant's outcomes move it, and nothing leaves its bounds. */
#include "route/gain.h"
#include "route/weights.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct features make(struct bytes last)
{
    struct features f;
    struct features_ask ask = {.last_bytes = last.len, .prompt_bytes = last.len};
    ask.text[TEXT_LAST] = last;
    features_make(&ask, &f);
    return f;
}

static bool same(const struct gain *a, const struct gain *b)
{
    return a->gain == b->gain && a->width == b->width && a->learned == b->learned &&
           memcmp(a->reason, b->reason, sizeof a->reason) == 0 &&
           memcmp(a->share, b->share, sizeof a->share) == 0;
}

/* Sound weights that say nothing. */
static struct gain_model *nothing(void)
{
    struct gain_model *m = calloc(1, sizeof *m);
    assert_non_null(m);
    memcpy(m->magic, WEIGHTS_MAGIC, sizeof m->magic);
    m->version = WEIGHTS_VERSION;
    m->bytes = sizeof *m;
    m->features = FEATURES;
    m->id = 1;
    for (unsigned i = 0; i < FEATURES; i++) m->scale[i] = 0.01f;
    m->crc = weights_crc(m);
    return m;
}

static void test_the_weights_that_ship(void **state)
{
    (void)state;
    const struct gain_model *m = gain_builtin();
    assert_ptr_equal(gain_open((struct bytes){(const char *)m, sizeof *m}), m);
    assert_true(sizeof *m <= 32 * 1024);
    assert_true(m->id != 0 && m->word_scale > 0);
    unsigned used = 0;
    for (unsigned i = 0; i < WEIGHTS_WORDS; i++) used += m->word[i] != 0;
    assert_true(used > WEIGHTS_WORDS / 4);
}

static void test_what_is_no_weights_file(void **state)
{
    (void)state;
    struct gain_model *m = nothing(), *bad = nothing();
    struct bytes text = {(const char *)m, sizeof *m};
    assert_ptr_equal(gain_open(text), m);
    assert_null(gain_open((struct bytes){text.ptr, text.len - 1}));
    assert_null(gain_open((struct bytes){text.ptr + 1, text.len}));
    assert_null(gain_open((struct bytes){NULL, 0}));
    for (size_t at = 0; at < sizeof *m; at += at < 64 ? 1 : 97) {
        memcpy(bad, m, sizeof *m);
        ((unsigned char *)bad)[at] ^= 0x10;
        assert_null(gain_open((struct bytes){(const char *)bad, sizeof *bad}));
    }
    memcpy(bad, m, sizeof *m);                          /* its checksum is right, and yet */
    bad->tree[3].feature[2] = FEATURES;
    bad->crc = weights_crc(bad);
    assert_null(gain_open((struct bytes){(const char *)bad, sizeof *bad}));
    assert_int_equal(m->crc, weights_crc(m));
    free(m), free(bad);
}

static void test_a_tree_asks_three_questions(void **state)
{
    (void)state;
    struct gain_model *m = nothing();
    struct features f = {.word_count = 0};
    struct weights_tree *t = &m->tree[0];
    for (unsigned i = 0; i < WEIGHTS_NODES; i++) {
        t->feature[i] = (uint8_t)(i < 1 ? 0 : i < 3 ? 1 : 2);
        t->threshold[i] = (int16_t)(10 * i);
    }
    for (int i = 0; i < WEIGHTS_LEAVES; i++) t->leaf[i] = (int16_t)(100 + i);
    for (int leaf = 0; leaf < WEIGHTS_LEAVES; leaf++) {
        int second = 1 + (leaf >> 2), third = 3 + (leaf >> 1);
        for (int over = 0; over < 2; over++) {      /* equal goes left */
            f.dense[0] = (int16_t)(t->threshold[0] + (leaf >> 2 & 1));
            f.dense[1] = (int16_t)(t->threshold[second] + (leaf >> 1 & 1) * (1 + over));
            f.dense[2] = (int16_t)(t->threshold[third] + (leaf & 1) * (1 + over));
            assert_int_equal(weights_score(m, &f, NULL), 100 + leaf);
        }
    }
    free(m);
}

static void test_words_count_by_the_root_of_their_number(void **state)
{
    (void)state;
    struct gain_model *m = nothing();
    struct features f = {.word_count = 4, .word = {1, 2, 3, 16383}};
    int32_t by[GAIN_REASON_COUNT] = {0};
    m->word_scale = 0.001f;
    m->word[1] = 127, m->word[2] = -27, m->word[16383] = 20;
    assert_in_range(weights_score(m, &f, by), 3931, 3933);      /* 0.120 / sqrt 4 */
    assert_in_range(by[GAIN_TOPIC], 3931, 3933);
    m->word_scale = 100;
    int32_t most = weights_score(m, &f, NULL);
    assert_in_range(most, WEIGHTS_UNIT / 4, WEIGHTS_UNIT / 2);  /* no text goes further */
    m->word[1] = -127;
    assert_int_equal(weights_score(m, &f, NULL), -most);
    free(m);
}

static void test_task_and_length_by_rule(void **state)
{
    (void)state;
    struct gain_model *m = nothing();
    struct gain easy, hard, longer;
    struct features f = make(BYTES("Who wrote The Trial?"));
    gain_score(m, NULL, &f, &easy);
    f = make(BYTES("Prove that 2 + 2 = 4"));
    gain_score(m, NULL, &f, &hard);
    assert_true(hard.gain > easy.gain + 1000);
    assert_int_equal(hard.reason[0], GAIN_TASK);
    assert_true(hard.share[0] > 1000 && !hard.learned && hard.width > 0);
    f = make(BYTES("Who wrote The Trial, the one that everybody had to read at school and then "
                   "forgot, and of which a film was made? I mean the first one."));
    gain_score(m, NULL, &f, &longer);
    assert_true(longer.gain > easy.gain && longer.gain < easy.gain + 1500);
    assert_int_equal(easy.reason[0], GAIN_LENGTH);
    free(m);
}

/* A tenant whose requests about law need the strong model, others not. */
static struct features_kept example(const struct gain_model *m, bool law, struct features *f)
{
    struct features_kept k;
    *f = make(law ? BYTES("The court found the defendant guilty of the crime; the plaintiff?")
                  : BYTES("The cat found the mouse guilty of the cheese; the other mouse?"));
    gain_keep(m, f, &k);
    return k;
}

static void test_a_tenant_is_learned(void **state)
{
    (void)state;
    const struct gain_model *m = gain_builtin();
    struct gain_tenant t = {0};
    struct features law, other;
    struct features_kept k = example(m, true, &law), o = example(m, false, &other);
    struct gain first_law, first_other, now_law, now_other;
    gain_score(m, NULL, &law, &first_law);
    gain_score(m, &t, &law, &now_law);
    assert_true(same(&first_law, &now_law));    /* nothing is known yet */
    gain_score(m, NULL, &other, &first_other);
    for (int i = 0; i < 60; i++) {
        gain_learn_label(&t, m, &k, 0.8f, 1);
        gain_learn_label(&t, m, &o, -0.1f, 1);
    }
    gain_score(m, &t, &law, &now_law);
    gain_score(m, &t, &other, &now_other);
    assert_true(now_law.learned && now_law.gain > 6500 && now_other.gain < 1500);
    assert_true(now_law.width < first_law.width);
    assert_int_equal(now_law.reason[0], GAIN_LEARNED);
    assert_true(fabsf(t.weight - 120) < 0.01f);
    for (int i = 0; i < 400; i++) gain_learn_label(&t, m, &k, 1, 1);
    float before = now_law.exact;
    gain_score(m, &t, &law, &now_law);
    assert_true(now_law.exact > before && now_law.exact < 1);   /* never quite */
    for (int i = 0; i < 400; i++) gain_learn_label(&t, m, &o, -1, 1);
    gain_score(m, &t, &other, &now_other);
    assert_true(now_other.exact > 0 && now_other.exact < 0.05f);
}

/* The same from outcomes of models that were asked: a loss counts where a weak one answered. */
static void test_outcomes_say_what_a_weak_model_loses(void **state)
{
    (void)state;
    const struct gain_model *m = gain_builtin();
    struct gain_tenant t = {0};
    struct features law, other;
    struct features_kept k = example(m, true, &law), o = example(m, false, &other);
    struct gain now_law, now_other;
    for (int i = 0; i < 80; i++) {
        gain_learn(&t, m, &k, 1, 1, 1);                 /* weak and law: always bad */
        gain_learn(&t, m, &k, 0, i % 5 == 0, 1);        /* strong: as bad as ever */
        gain_learn(&t, m, &o, 1, i % 5 == 0, 1);
        gain_learn(&t, m, &o, 0, i % 5 == 0, 1);
    }
    gain_score(m, &t, &law, &now_law);
    gain_score(m, &t, &other, &now_other);
    assert_in_range(now_law.gain, 6000, 9500);
    assert_in_range(now_other.gain, 0, 1500);
    /* Losses of the strongest alone say nothing of a gain. */
    struct gain_tenant strong = {0};
    struct gain before, after;
    gain_score(m, NULL, &law, &before);
    for (int i = 0; i < 200; i++) gain_learn(&strong, m, &k, 0, 1, 1);
    gain_score(m, &strong, &law, &after);
    assert_int_equal(before.gain, after.gain);
}

static void test_each_dimension_has_a_name(void **state)
{
    (void)state;
    for (unsigned d = 0; d + 1 < GAIN_DIMENSIONS; d++) {
        assert_non_null(gain_dimension_name(d));
        for (unsigned e = 0; e < d; e++) {
            assert_string_not_equal(gain_dimension_name(d), gain_dimension_name(e));
        }
    }
    assert_null(gain_dimension_name(GAIN_DIMENSIONS - 1));
}

static void test_new_weights_begin_anew(void **state)
{
    (void)state;
    struct gain_model *m = nothing();
    struct gain_tenant t = {0};
    struct features f;
    struct features_kept k = example(m, true, &f);
    struct gain before, after;
    gain_learn_label(&t, m, &k, 1, 1);
    m->id = 2;
    gain_score(m, NULL, &f, &before);
    gain_score(m, &t, &f, &after);
    assert_true(same(&before, &after));
    gain_learn_label(&t, m, &k, 1, 0.5f);
    assert_true(fabsf(t.weight - 0.5f) < 0.001f && t.model_id == 2);
    free(m);
}

static void test_a_long_life_stays_sound(void **state)
{
    (void)state;
    const struct gain_model *m = gain_builtin();
    struct gain_tenant *t = calloc(1, sizeof *t);
    struct features f;
    struct gain out;
    char text[200];
    uint64_t seed = 7;
    for (int i = 0; i < 20000; i++) {
        size_t len = (size_t)(seed >> 33) % sizeof text;
        for (size_t at = 0; at < len; at++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            text[at] = "the cost of 12 proofs? (a) if\xc3\xa9"[seed >> 59];
        }
        f = make((struct bytes){text, len});
        struct features_kept k, scored;
        gain_keep(m, &f, &k);
        gain_score(m, t, &f, &out);
        gain_keep_scored(m, &f, &out, &scored);
        assert_memory_equal(&scored, &k, sizeof k);
        gain_learn(t, m, &k, (float)(i % 3) / 2, (float)(seed >> 63), i % 2 ? 1 : 0.1f);
        gain_score(m, t, &f, &out);
        assert_true(out.gain <= GAIN_ONE && out.width <= GAIN_ONE);
    }
    for (unsigned i = 0; i < GAIN_DIMENSIONS; i++) {
        assert_true(isfinite(t->mean[i]) && fabsf(t->mean[i]) < 5);
        assert_true(t->covariance[i * (i + 1) / 2 + i] >= 0);
    }
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_weights_that_ship),
        cmocka_unit_test(test_what_is_no_weights_file),
        cmocka_unit_test(test_a_tree_asks_three_questions),
        cmocka_unit_test(test_words_count_by_the_root_of_their_number),
        cmocka_unit_test(test_task_and_length_by_rule),
        cmocka_unit_test(test_a_tenant_is_learned),
        cmocka_unit_test(test_outcomes_say_what_a_weak_model_loses),
        cmocka_unit_test(test_each_dimension_has_a_name),
        cmocka_unit_test(test_new_weights_begin_anew),
        cmocka_unit_test(test_a_long_life_stays_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
