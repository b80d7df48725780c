/* test_expect.c - the running mean of output tokens: learned per key and model, forgotten
 * slowly, never out of range. */
#include "route/expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void test_before_anything_is_learned(void **state)
{
    (void)state;
    struct expect *e = calloc(1, sizeof(*e));
    assert_int_equal(expect_tokens(e, expect_name(1, BYTES("a/b"))), EXPECT_TOKENS_FIRST);
    assert_int_equal(expect_tokens(e, 0), EXPECT_TOKENS_FIRST);
    free(e);
}

static void test_the_mean_follows_what_is_seen(void **state)
{
    (void)state;
    struct expect *e = calloc(1, sizeof(*e));
    uint64_t name = expect_name(7, BYTES("openai/gpt-5.4-mini"));
    expect_learn(e, name, 100);
    assert_int_equal(expect_tokens(e, name), 100);
    expect_learn(e, name, 900);                     /* one of eight */
    assert_int_equal(expect_tokens(e, name), 200);
    for (int i = 0; i < 60; i++) expect_learn(e, name, 40);
    assert_in_range(expect_tokens(e, name), 40, 41);
    for (int i = 0; i < 200; i++) expect_learn(e, name, UINT32_MAX);
    assert_true(expect_tokens(e, name) <= UINT32_MAX / 16 + 1);
    for (int i = 0; i < 300; i++) expect_learn(e, name, 0);
    assert_in_range(expect_tokens(e, name), 0, 1);
    free(e);
}

static void test_keys_and_models_are_apart(void **state)
{
    (void)state;
    struct expect *e = calloc(1, sizeof(*e));
    uint64_t one = expect_name(1, BYTES("a/model-one"));
    uint64_t other = expect_name(2, BYTES("a/model-one"));
    uint64_t third = expect_name(1, BYTES("a/model-two"));
    assert_true(one != other && one != third && other != third);
    expect_learn(e, one, 10);
    assert_int_equal(expect_tokens(e, other), EXPECT_TOKENS_FIRST);
    assert_int_equal(expect_tokens(e, third), EXPECT_TOKENS_FIRST);
    expect_learn(e, one + ((uint64_t)1 << 40), 3000);   /* the same place, somebody else */
    assert_int_equal(expect_tokens(e, one), EXPECT_TOKENS_FIRST);
    free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_before_anything_is_learned),
        cmocka_unit_test(test_the_mean_follows_what_is_seen),
        cmocka_unit_test(test_keys_and_models_are_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
