/* test_quality.c - the scale of quality, and what a configuration's statement does to it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "route/quality.h"

static void near(float a, float b)
{
    if (fabsf(a - b) > 0.001f) fail_msg("%f is not %f", (double)a, (double)b);
}

/* Values of the normal distribution as printed in any table of it. */
static void test_percent_is_the_normal_distribution(void **state)
{
    (void)state;
    static const struct { float t, percent; } cases[] = {
        {0, 50}, {1, 84.1345f}, {-1, 15.8655f}, {2, 97.7250f}, {0.25335f, 60}, {-1.28155f, 10},
        {2.32635f, 99},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        near(quality_percent(cases[i].t), cases[i].percent);
        near(quality_t(cases[i].percent), cases[i].t);
    }
    near(quality_t(0), -3);
    near(quality_t(100), 3);
    for (float p = 0; p < 100; p += 0.5f) assert_true(quality_t(p) <= quality_t(p + 0.5f));
}

static void test_statements_keep_what_figures_say(void **state)
{
    (void)state;
    struct quality q;
    uint32_t micro[FAMILIES] = {[FAMILY_CODE] = 84134475, [FAMILY_MATH] = 50000000};
    quality_nothing(&q);
    for (int f = 0; f < FAMILIES; f++) {
        near(q.t[f], 0);
        assert_true(q.width[f] == QUALITY_WIDTH_NOTHING && q.evidence[f] == QUALITY_NOTHING);
    }
    q.t[FAMILY_CHAT] = -1;
    q.evidence[FAMILY_CHAT] = QUALITY_FIGURES;
    q.width[FAMILY_CHAT] = 0.2f;
    quality_state(&q, 1u << FAMILY_CODE | 1u << FAMILY_MATH, micro);
    near(q.t[FAMILY_CODE], 1);
    near(q.t[FAMILY_MATH], 0);
    near(q.t[FAMILY_VISION], 0.5f);
    near(q.t[FAMILY_CHAT], -1);
    assert_int_equal(q.evidence[FAMILY_CODE], QUALITY_STATED);
    assert_int_equal(q.evidence[FAMILY_VISION], QUALITY_ELSEWHERE);
    assert_int_equal(q.evidence[FAMILY_CHAT], QUALITY_FIGURES);
    near(q.width[FAMILY_CODE], QUALITY_WIDTH_STATED);
    near(q.width[FAMILY_VISION], QUALITY_WIDTH_ELSEWHERE);
    near(q.width[FAMILY_CHAT], 0.2f);
}

static void test_an_effort_takes_off(void **state)
{
    (void)state;
    struct quality q;
    quality_nothing(&q);
    q.t[FAMILY_MATH] = 1;
    q.effort[EFFORT_LOW] = -0.25f;
    near(quality_at(&q, FAMILY_MATH, EFFORT_LOW), 0.75f);
    near(quality_at(&q, FAMILY_MATH, EFFORT_UNSET), 1);
}

static void test_names(void **state)
{
    (void)state;
    for (int f = 0; f < FAMILIES; f++) {
        assert_int_equal(family_find(bytes_of(family_name((enum family)f))), f);
    }
    assert_int_equal(family_find(BYTES("maths")), -1);
    assert_int_equal(family_find(BYTES("")), -1);
    assert_string_equal(effort_name(EFFORT_UNSET), "");
    assert_string_equal(effort_name(EFFORT_XHIGH), "xhigh");
    assert_string_equal(quality_evidence_name(QUALITY_FIGURES), "figures");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percent_is_the_normal_distribution),
        cmocka_unit_test(test_statements_keep_what_figures_say),
        cmocka_unit_test(test_an_effort_takes_off),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
