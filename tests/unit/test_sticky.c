/* test_sticky.c - who answered a conversation last: found again until its time is over, told
 * apart from others, and pushed out by those that come later. */
#include "engine/sticky.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { NOW = 1790000000 };

static struct sticky *fresh(void)
{
    struct sticky *s = calloc(1, sizeof *s);
    assert_non_null(s);
    return s;
}

static bool holds(const struct sticky *s, uint64_t session, uint64_t now, uint32_t model)
{
    struct sticky_last last;
    return sticky_find(s, session, now, &last) && last.model == model;
}

static void test_a_conversation_is_found_until_its_time_is_over(void **state)
{
    struct sticky *s = fresh();
    struct sticky_last last;
    uint64_t session = sticky_hash(7, BYTES("a conversation"));
    assert_false(sticky_find(s, session, NOW, &last));
    sticky_note(s, session, NOW, (struct sticky_last){.model = 12345, .tokens = 5000});
    assert_true(sticky_find(s, session, NOW, &last));
    assert_int_equal(last.model, 12345);
    assert_int_equal(last.tokens, 4864);            /* rounded down to 256 */
    assert_true(holds(s, session, NOW + STICKY_TTL_S, 12345));
    assert_false(holds(s, session, NOW + STICKY_TTL_S + 30, 12345));
    sticky_note(s, session, NOW + 200, (struct sticky_last){.model = 3, .tokens = 1u << 30});
    assert_true(sticky_find(s, session, NOW + 400, &last));
    assert_int_equal(last.model, 3);
    assert_int_equal(last.tokens, 4095 * 256);      /* as much as fits, no wrap */
    free(s);
    (void)state;
}

static void test_conversations_are_told_apart(void **state)
{
    uint8_t a[32] = {1}, b[32] = {2};
    struct sticky *s = fresh();
    uint64_t of_a = sticky_hash(sticky_seed(a), BYTES("same")),
             of_b = sticky_hash(sticky_seed(b), BYTES("same"));
    assert_int_not_equal(of_a, of_b);
    assert_int_not_equal(of_a, sticky_hash(sticky_seed(a), BYTES("other")));
    assert_int_not_equal(of_a, sticky_hash(sticky_seed(a), BYTES("same\0")));
    assert_int_not_equal(sticky_hash(1, BYTES("")), 0);
    sticky_note(s, of_a, NOW, (struct sticky_last){.model = 1});
    assert_true(holds(s, of_a, NOW, 1));
    assert_false(holds(s, of_b, NOW, 1));
    free(s);
    (void)state;
}

/* In a full set the oldest goes; one that is there already keeps one place. */
static void test_a_full_set_forgets_the_oldest(void **state)
{
    struct sticky *s = fresh();
    uint64_t of[STICKY_WAYS + 1];
    for (uint64_t i = 0; i <= STICKY_WAYS; i++) of[i] = (i + 1) << 44 | 77;
    for (uint32_t i = 0; i < STICKY_WAYS; i++) {
        sticky_note(s, of[i], NOW + 30 * i, (struct sticky_last){.model = i + 1});
    }
    sticky_note(s, of[0], NOW + 120, (struct sticky_last){.model = 9});
    for (uint32_t i = 1; i < STICKY_WAYS; i++) assert_true(holds(s, of[i], NOW + 150, i + 1));
    assert_true(holds(s, of[0], NOW + 150, 9));
    sticky_note(s, of[STICKY_WAYS], NOW + 150, (struct sticky_last){.model = 20});
    assert_false(holds(s, of[1], NOW + 150, 2));     /* the oldest by then */
    assert_true(holds(s, of[0], NOW + 150, 9));
    assert_true(holds(s, of[2], NOW + 150, 3));
    assert_true(holds(s, of[STICKY_WAYS], NOW + 150, 20));
    free(s);
    (void)state;
}

/* 10,000 conversations in the table at once: hardly any is taken for another's. */
static void test_many_conversations_are_kept(void **state)
{
    struct sticky *s = fresh();
    unsigned wrong = 0, lost = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        uint64_t session = sticky_hash(i, BYTES("x"));
        sticky_note(s, session, NOW, (struct sticky_last){.model = i});
    }
    for (uint32_t i = 0; i < 10000; i++) {
        struct sticky_last last;
        if (!sticky_find(s, sticky_hash(i, BYTES("x")), NOW, &last)) lost++;
        else if (last.model != i) wrong++;
    }
    assert_int_equal(wrong, 0);
    assert_in_range(lost, 0, 1500);     /* of sets that more than four fell into */
    free(s);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_conversation_is_found_until_its_time_is_over),
        cmocka_unit_test(test_conversations_are_told_apart),
        cmocka_unit_test(test_a_full_set_forgets_the_oldest),
        cmocka_unit_test(test_many_conversations_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
