/* test_keyring.c - quotas outlive configurations, each by its provider and key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/keyring.h"
#include "route/quota.h"

static void test_same_name_same_quota(void **state)
{
    (void)state;
    struct keyring *k = keyring_make();
    assert_non_null(k);
    struct quota *a = keyring_find(k, "openai", "sk-1");
    assert_non_null(a);
    assert_int_equal((uintptr_t)a % 64, 0);
    assert_int_equal(atomic_load(&a->running) + atomic_load(&a->requests_ns), 0);
    atomic_store(&a->requests_ns, 7);
    assert_ptr_equal(keyring_share(k), k);
    keyring_drop(k);                                  /* an older configuration goes */
    assert_ptr_equal(keyring_find(k, "openai", "sk-1"), a);
    assert_int_equal(atomic_load(&a->requests_ns), 7);
    keyring_drop(k);
}

/* The end of the provider's name is part of what is hashed: no two pairs run together. */
static void test_others_are_others(void **state)
{
    (void)state;
    static const struct { const char *provider, *key; } pairs[] = {
        {"a", ""}, {"a", "b"}, {"ab", ""}, {"", "ab"}, {"b", "a"}, {"a", "b "}, {"A", "b"},
    };
    struct keyring *k = keyring_make();
    struct quota *seen[COUNT(pairs)];
    assert_non_null(k);
    for (size_t i = 0; i < COUNT(pairs); i++) {
        seen[i] = keyring_find(k, pairs[i].provider, pairs[i].key);
        for (size_t j = 0; j < i; j++) assert_ptr_not_equal(seen[i], seen[j]);
    }
    keyring_drop(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_name_same_quota),
        cmocka_unit_test(test_others_are_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
