/* test_curve.c - from a gain to the quality of any ability: what the two models of the estimate
 * differ by is the gain again, and everything rises or falls as it should. */
#include "route/curve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <math.h>
#include <cmocka.h>

/* What lies between the models that the gain was seen between is the gain. */
static void test_the_gain_comes_back(void **state)
{
    (void)state;
    for (float gain = 0.01f; gain < 0.42f; gain += 0.01f) {
        float hard = curve_difficulty(gain);
        float back = curve_success(CURVE_STRONG, hard) - curve_success(CURVE_WEAK, hard);
        assert_true(fabsf(back - gain) < 1e-3f);
        assert_true(hard < (CURVE_STRONG + CURVE_WEAK) / 2);
    }
}

static void test_more_gain_is_harder(void **state)
{
    float last = -INFINITY;
    (void)state;
    for (int i = 0; i <= 1000; i++) {
        float hard = curve_difficulty((float)i / 1000);
        assert_true(hard >= last && isfinite(hard));
        if (i > 10) assert_true(hard > last);
        last = hard;
    }
    assert_true(last > CURVE_STRONG && last < 3);  /* the hardest is for today's best */
    assert_true(curve_difficulty(0.001f) == curve_difficulty(0.01f));
    assert_true(curve_success(-3, curve_difficulty(0)) == 1);  /* nothing to be gained */
}

static void test_ability_is_the_other_way(void **state)
{
    (void)state;
    for (float hard = -5; hard < 2; hard += 0.37f) {
        float last = 0;
        for (float t = -3; t < 3; t += 0.11f) {
            float share = curve_success(t, hard);
            assert_true(share > last && share < 1);
            if (share < 0.999f) assert_true(fabsf(curve_ability(share, hard) - t) < 2e-3f);
            last = share;
        }
        assert_true(isfinite(curve_ability(0, hard)) && isfinite(curve_ability(1, hard)));
        assert_true(curve_ability(0.5f, hard) == hard);
    }
}

/* Strong models differ less than weak ones do: nothing but the hardest needs the very best. */
static void test_it_saturates(void **state)
{
    (void)state;
    float hard = curve_difficulty(0.2f);
    float top = curve_success(2, hard) - curve_success(1, hard);
    float bottom = curve_success(-1, hard) - curve_success(-2, hard);
    assert_true(top < bottom / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_gain_comes_back), cmocka_unit_test(test_more_gain_is_harder),
        cmocka_unit_test(test_ability_is_the_other_way), cmocka_unit_test(test_it_saturates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
