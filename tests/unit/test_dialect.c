/* test_dialect.c - in which API a provider is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/dialect.h"
#include "route/catalog.h"

static void test_peers(void **state)
{
    const struct catalog_provider plain = {.dialect = DIALECT_OPENAI};
    const struct catalog_provider both = {.dialect = DIALECT_OPENAI,
                                          .speaks = 1u << DIALECT_RESPONSES};
    const struct catalog_provider claude = {.dialect = DIALECT_ANTHROPIC};
    (void)state;
    assert_int_equal(dialect_peer(API_CHAT, &both), API_CHAT);
    assert_int_equal(dialect_peer(API_RESPONSES, &both), API_RESPONSES);
    assert_int_equal(dialect_peer(API_RESPONSES, &plain), API_CHAT);
    assert_int_equal(dialect_peer(API_MESSAGES, &both), API_CHAT);
    assert_int_equal(dialect_peer(API_COUNT_TOKENS, &claude), API_COUNT_TOKENS);
    assert_int_equal(dialect_peer(API_COUNT_TOKENS, &plain), APIS);
}

/* What a provider speaks besides has no words for going on with an answer. */
static void test_native(void **state)
{
    const struct catalog_provider both = {.dialect = DIALECT_OPENAI,
                                          .speaks = 1u << DIALECT_RESPONSES};
    const struct catalog_provider responses = {.dialect = DIALECT_RESPONSES};
    const struct catalog_provider claude = {.dialect = DIALECT_ANTHROPIC};
    const struct catalog_provider amazon = {.dialect = DIALECT_BEDROCK};
    (void)state;
    assert_int_equal(dialect_native(&both), API_CHAT);
    assert_int_equal(dialect_native(&responses), API_RESPONSES);
    assert_int_equal(dialect_native(&claude), API_MESSAGES);
    assert_int_equal(dialect_native(&amazon), API_CONVERSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peers), cmocka_unit_test(test_native),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
