/* test_slab.c - slots by number and generation: every one is usable, none twice, and a late
 * word for an earlier owner is recognised. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/slab.h"

enum { SLOTS = 37, STEPS = 20000 };

struct item {
    struct slab_head head;
    uint64_t owner;
    char pad[21];              /* so that items need rounding up */
};

static void drop(struct slab *s) { munmap(s->items, s->item_bytes * s->count); }

static void test_all_slots_and_not_one_more(void **state)
{
    (void)state;
    struct slab s;
    assert_true(slab_init(&s, sizeof(struct item), SLOTS));
    struct item *all[SLOTS];
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < SLOTS; i++) {
            all[i] = slab_take(&s);
            assert_non_null(all[i]);
            assert_int_equal((uintptr_t)all[i] % 16, 0);
            assert_int_equal(all[i]->head.taken, 1);
            assert_ptr_equal(slab_at(&s, all[i]->head.slot), all[i]);
            for (uint32_t k = 0; k < i; k++) assert_ptr_not_equal(all[k], all[i]);
        }
        assert_int_equal(s.used, SLOTS);
        assert_null(slab_take(&s));
        assert_int_equal(s.used, SLOTS);
        for (uint32_t i = 0; i < SLOTS; i++) slab_give(&s, all[(i * 5) % SLOTS]);
        assert_int_equal(s.used, 0);
    }
    drop(&s);
}

static void test_a_slot_comes_clean(void **state)
{
    (void)state;
    struct slab s;
    static const struct item zero;
    assert_true(slab_init(&s, sizeof(struct item), 2));
    for (int round = 0; round < 3; round++) {
        struct item *it = slab_take(&s);
        assert_memory_equal((char *)it + sizeof it->head, (const char *)&zero + sizeof it->head,
                            sizeof *it - sizeof it->head);
        memset((char *)it + sizeof it->head, 0xee, sizeof *it - sizeof it->head);
        slab_give(&s, it);
    }
    drop(&s);
}

static void test_a_generation_never_returns(void **state)
{
    (void)state;
    struct slab s;
    assert_true(slab_init(&s, sizeof(struct item), 1));
    uint32_t last = 0;
    for (int round = 0; round < 1000; round++) {
        struct item *it = slab_take(&s);
        uint32_t slot = it->head.slot, generation = it->head.generation;
        assert_true(generation > last);
        assert_ptr_equal(slab_find(&s, slot, generation), it);
        assert_null(slab_find(&s, slot, generation - 1));
        assert_null(slab_find(&s, slot, generation + 1));
        slab_give(&s, it);
        assert_null(slab_find(&s, slot, generation));      /* late */
        assert_null(slab_find(&s, slot, generation + 1));  /* a free slot has no owner */
        last = generation;
    }
    drop(&s);
}

static void test_slots_that_never_were(void **state)
{
    (void)state;
    struct slab s;
    assert_true(slab_init(&s, sizeof(struct item), 4));
    struct item *it = slab_take(&s);
    assert_int_equal(it->head.slot, 0);
    assert_null(slab_find(&s, 1, 0));
    assert_null(slab_find(&s, 1, 1));
    assert_null(slab_find(&s, 4, 1));
    assert_null(slab_find(&s, SLAB_NONE, 1));
    drop(&s);
}

static void test_memory_is_touched_only_when_used(void **state)
{
    (void)state;
    struct slab s;
    enum { MANY = 1 << 20 };
    assert_true(slab_init(&s, 4096, MANY));   /* 4 GiB of address space */
    for (int i = 0; i < 8; i++) assert_non_null(slab_take(&s));
    unsigned char map[64];
    assert_int_equal(mincore(s.items, sizeof map * 4096, map), 0);
    for (size_t i = 16; i < sizeof map; i++) assert_int_equal(map[i] & 1, 0);
    drop(&s);
}

static void test_no_address_space_is_an_answer(void **state)
{
    (void)state;
    struct slab s;
    assert_false(slab_init(&s, (size_t)1 << 40, 1 << 20));  /* 2^60 bytes */
}

/* Random takes and gives against a list of who owns what. */
static void test_random(void **state)
{
    (void)state;
    struct slab s;
    struct item *mine[SLOTS] = {0};
    uint32_t count = 0, seed = 12345;
    assert_true(slab_init(&s, sizeof(struct item), SLOTS));
    for (uint64_t step = 1; step <= STEPS; step++) {
        seed = seed * 1664525 + 1013904223;
        if ((seed >> 16) % 100 < 55) {
            struct item *it = slab_take(&s);
            assert_int_equal(it == NULL, count == SLOTS);
            if (!it) continue;
            assert_int_equal(it->owner, 0);
            it->owner = step;
            mine[count++] = it;
        } else if (count > 0) {
            uint32_t at = (seed >> 8) % count;
            struct item *it = mine[at];
            assert_true(it->owner != 0);
            slab_give(&s, it);
            mine[at] = mine[--count];
        }
        assert_int_equal(s.used, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        assert_ptr_equal(slab_find(&s, mine[i]->head.slot, mine[i]->head.generation), mine[i]);
    }
    drop(&s);
}

/* What is our mistake: the process must not go on. */
static void aborts(void (*mistake)(struct slab *s))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit none = {0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGABRT, SIG_DFL);  /* cmocka's handler would report it */
        (void)close(STDERR_FILENO);
        struct slab s;
        if (!slab_init(&s, sizeof(struct item), 2)) _exit(0);
        mistake(&s);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void give_twice(struct slab *s)
{
    void *it = slab_take(s), *other = slab_take(s);
    if (!other) _exit(0);
    slab_give(s, it);
    slab_give(s, it);
}

static void test_a_second_give_aborts(void **state)
{
    (void)state;
    aborts(give_twice);
}

static void take_a_third(struct slab *s)
{
    void *it = slab_take_own(s), *other = slab_take_own(s);
    if (!it || !other) _exit(0);
    (void)slab_take_own(s);
}

/* Who owns a slot that is not there? */
static void test_own_slots_never_run_out(void **state)
{
    (void)state;
    aborts(take_a_third);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_slots_and_not_one_more),
        cmocka_unit_test(test_a_slot_comes_clean),
        cmocka_unit_test(test_a_generation_never_returns),
        cmocka_unit_test(test_slots_that_never_were),
        cmocka_unit_test(test_memory_is_touched_only_when_used),
        cmocka_unit_test(test_no_address_space_is_an_answer),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_a_second_give_aborts),
        cmocka_unit_test(test_own_slots_never_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
