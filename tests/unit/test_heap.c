/* test_heap.c - engine/heap.c: sizes, limits, exhaustion, wiping, threads. The pool is booted
 * once in a process, so the tests run in order; the first one runs before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "engine/heap.h"
#include "net/bytes.h"

enum { POOL = 8 << 20, MANY = POOL / 64, HEAD = 16, THREADS = 6, TURNS = 60000, SHARED = 64 };

static void *from_malloc;

static void test_before_boot_it_is_malloc(void **state)
{
    (void)state;
    from_malloc = OPENSSL_memory_alloc(1000);
    char *large = OPENSSL_memory_alloc(HEAP_BLOCK_MAX * 2);
    assert_non_null(from_malloc);
    assert_non_null(large);
    large[HEAP_BLOCK_MAX * 2 - 1] = 1;
    assert_int_equal(OPENSSL_memory_get_size(large), HEAP_BLOCK_MAX * 2);
    assert_false(heap_owns(large));
    assert_int_equal(heap_used(), 0);
    assert_int_equal(heap_limit(), 0);
    OPENSSL_memory_free(large);
    heap_join();
    heap_leave();
}

static void test_boot(void **state)
{
    (void)state;
    assert_false(heap_boot(HEAP_BLOCK_MAX - 1));   /* too little to be of use */
    assert_false(heap_boot((size_t)1 << 37));      /* beyond what a link reaches */
    assert_true(heap_boot(POOL + 63));
    assert_int_equal(heap_limit(), POOL);
    assert_int_equal(heap_used(), 0);
    assert_false(heap_owns(from_malloc));
    assert_int_equal(OPENSSL_memory_get_size(from_malloc), 1000);
    OPENSSL_memory_free(from_malloc);  /* goes where it came from */
    assert_int_equal(heap_used(), 0);
}

/* Give size bytes with a pattern that tells blocks apart. */
static unsigned char *filled(size_t size, unsigned seed)
{
    unsigned char *at = OPENSSL_memory_alloc(size);
    if (at) memset(at, (int)(seed & 0xff), size);
    return at;
}

static void check_filled(const unsigned char *at, size_t size, unsigned seed)
{
    assert_int_equal(OPENSSL_memory_get_size((void *)(uintptr_t)at), size);
    for (size_t i = 0; i < size; i++) {
        if (at[i] != (seed & 0xff)) fail_msg("byte %zu of %zu", i, size);
    }
}

/* Around each boundary of a class: two neighbours never overlap. */
static void test_every_size_around_the_classes(void **state)
{
    (void)state;
    for (size_t base = 64; base <= HEAP_BLOCK_MAX; base *= 2) {
        for (size_t step = 0; step < 4; step++) {
            for (int delta = -1; delta <= 1; delta++) {
                size_t size = base + base / 4 * step - HEAD + (size_t)delta;
                unsigned char *a = filled(size, 1), *b = filled(size, 2), *c = filled(size, 3);
                if (size > HEAP_BLOCK_MAX - HEAD) {
                    assert_null(a);
                    continue;
                }
                assert_non_null(a);
                assert_non_null(b);
                assert_non_null(c);
                assert_true(heap_owns(a) && (uintptr_t)a % 16 == 0);
                assert_true(heap_used() >= 3 * (size + HEAD));
                assert_true(heap_used() <= 3 * ((size + HEAD) * 5 / 4 + 64));
                check_filled(a, size, 1);
                check_filled(b, size, 2);
                check_filled(c, size, 3);
                OPENSSL_memory_free(a);
                OPENSSL_memory_free(b);
                OPENSSL_memory_free(c);
                assert_int_equal(heap_used(), 0);
            }
        }
    }
    OPENSSL_memory_free(NULL);
    assert_int_equal(OPENSSL_memory_get_size(NULL), 0);
    assert_null(OPENSSL_memory_alloc(SIZE_MAX));
}

static void test_what_is_given_back_is_wiped(void **state)
{
    (void)state;
    const volatile unsigned char *at = filled(5000, 0x5a);
    OPENSSL_memory_free((void *)(uintptr_t)at);  /* the pool is never unmapped */
    for (size_t i = 0; i < 5000; i++) assert_int_equal(at[i], 0);
}

/* Take blocks of size until there is none; gives how many. */
static size_t take_all(void **all, size_t size)
{
    size_t n = 0;
    while (n < MANY && (all[n] = OPENSSL_memory_alloc(size)) != NULL) n++;
    assert_true(n < MANY);
    return n;
}

static void give_all(void **all, size_t n)
{
    while (n > 0) OPENSSL_memory_free(all[--n]);
}

/* Empty answers NULL, and nothing is lost by it. */
static void test_exhaustion_is_an_answer(void **state)
{
    (void)state;
    static void *all[MANY], *rest[MANY];
    size_t first = take_all(all, 4000), small = take_all(rest, 2000);
    assert_true(first > 1000);  /* most of 8 MiB, although much was carved into other sizes */
    assert_true(heap_used() <= heap_limit());
    assert_null(OPENSSL_memory_alloc(4000));
    assert_null(OPENSSL_memory_alloc(200000));
    OPENSSL_memory_free(all[--first]);
    void *smaller = OPENSSL_memory_alloc(2000);  /* borrows the larger block */
    assert_non_null(smaller);
    assert_int_equal(OPENSSL_memory_get_size(smaller), 2000);
    assert_null(OPENSSL_memory_alloc(2000));
    assert_null(OPENSSL_memory_alloc(4000));
    OPENSSL_memory_free(smaller);
    all[first] = OPENSSL_memory_alloc(4000);
    assert_non_null(all[first++]);
    give_all(all, first);
    give_all(rest, small);
    assert_int_equal(heap_used(), 0);
    for (int i = 0; i < 3; i++) {
        size_t again = take_all(all, 4000);
        assert_int_equal(again, first);
        give_all(all, again);
    }
    heap_join();
    assert_int_equal(take_all(all, 4000), first);  /* shared ones serve a thread with lists */
    give_all(all, first);
    heap_leave();                                  /* which gives everything back */
    assert_int_equal(take_all(all, 4000), first);
    give_all(all, first);
    assert_int_equal(heap_used(), 0);
}

static void test_the_library_draws_on_it(void **state)
{
    (void)state;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_non_null(ctx);
#ifdef OPENSSL_IS_BORINGSSL
    assert_true(heap_owns(ctx));
    assert_true(heap_used() > 0);
#endif
    EVP_MD_CTX_free(ctx);
    assert_int_equal(heap_used(), 0);
}

struct lot {                      /* a block on its way between threads */
    unsigned char *at;
    size_t size;
    unsigned seed;
};

static _Atomic(struct lot *) shared[SHARED];
static _Atomic unsigned wrong;

/* Make lots, swap them with other threads' through shared slots, check and free those. */
static void *trade(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg, with_lists = seed % 2;
    if (with_lists) heap_seal();
    for (unsigned turn = 0; turn < TURNS; turn++) {
        seed = seed * 1103515245 + 12345;
        struct lot *lot = OPENSSL_memory_alloc(sizeof *lot);
        if (!lot) continue;
        lot->size = (seed >> 8) % ((seed >> 28) == 0 ? 20000 : 600) + 1;
        lot->seed = seed >> 16;
        lot->at = filled(lot->size, lot->seed);
        lot = atomic_exchange(&shared[(seed >> 10) % SHARED], lot);
        if (!lot) continue;
        for (size_t i = 0; lot->at && i < lot->size; i += lot->size / 7 + 1) {
            if (lot->at[i] != (lot->seed & 0xff)) atomic_fetch_add(&wrong, 1);
        }
        OPENSSL_memory_free(lot->at);
        OPENSSL_memory_free(lot);
        if (with_lists && turn % 20000 == 19999) {
            heap_leave();
            heap_join();
        }
    }
    if (with_lists) heap_unseal();
    return NULL;
}

static void test_threads_trade_blocks(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, trade, (void *)(i + 7)), 0);
    }
    for (size_t i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < SHARED; i++) {
        struct lot *lot = atomic_load(&shared[i]);
        if (lot) OPENSSL_memory_free(lot->at);
        OPENSSL_memory_free(lot);
    }
    assert_int_equal(atomic_load(&wrong), 0);
    assert_int_equal(heap_used(), 0);
}

static void *join_and_wait(void *arg)
{
    pthread_barrier_t *all_here = arg;
    heap_join();
    heap_join();  /* again is allowed */
    void *at = filled(100, 1);
    pthread_barrier_wait(all_here);
    OPENSSL_memory_free(at);
    heap_leave();
    heap_leave();
    return NULL;
}

/* More threads than there are lists: the last one shares, and all lists come back. */
static void test_more_threads_than_lists(void **state)
{
    (void)state;
    enum { MORE = HEAP_THREADS_MAX + 1 };
    pthread_t threads[MORE];
    pthread_barrier_t all_here;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    for (int round = 0; round < 2; round++) {
        pthread_barrier_init(&all_here, NULL, MORE);
        for (size_t i = 0; i < MORE; i++) {
            assert_int_equal(pthread_create(&threads[i], &small, join_and_wait, &all_here), 0);
        }
        for (size_t i = 0; i < MORE; i++) pthread_join(threads[i], NULL);
        pthread_barrier_destroy(&all_here);
        assert_int_equal(heap_used(), 0);
    }
    pthread_attr_destroy(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_before_boot_it_is_malloc),
        cmocka_unit_test(test_boot),
        cmocka_unit_test(test_every_size_around_the_classes),
        cmocka_unit_test(test_what_is_given_back_is_wiped),
        cmocka_unit_test(test_threads_trade_blocks),
        cmocka_unit_test(test_exhaustion_is_an_answer),
        cmocka_unit_test(test_the_library_draws_on_it),
        cmocka_unit_test(test_more_threads_than_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
