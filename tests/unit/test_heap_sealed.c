/* test_heap_sealed.c - engine/heap_trap.c: malloc and kin work, and abort a sealed thread. */
#include "engine/heap_trap.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void *volatile sink;  /* keeps the compiler from leaving a call out */

static void call_malloc(void) { sink = malloc(123); }
static void call_calloc(void) { sink = calloc(3, 41); }
static void call_realloc(void) { sink = realloc(sink, 123); }
static void call_realloc_null(void)
{
    void *volatile none = NULL;  /* else the compiler makes it a malloc */
    sink = realloc(none, 123);
}
static void call_aligned(void) { sink = aligned_alloc(64, 128); }
static void call_memalign(void) { sink = memalign(64, 128); }
static void call_valloc(void) { sink = valloc(128); }
static void call_posix(void)
{
    void *at = NULL;
    if (posix_memalign(&at, 64, 128) == 0) sink = at;
}
static void call_free(void) { free(sink); }
static void call_free_null(void) { free(NULL); }
static void call_strdup(void) { sink = strdup("text"); }
static void call_printf(void)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%d %s", 3, "x");  /* needs no heap */
    if (write(STDERR_FILENO, text, 0) != 0) abort();
}

/* Do it in a child, sealed or not; gives the signal that ended it, and what it said. */
static int try_call(void (*call)(void), bool seal, char *said, size_t room)
{
    int ends[2], status = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGABRT, SIG_DFL);
        if (dup2(ends[1], STDERR_FILENO) < 0) _exit(1);
        sink = malloc(77);
        if (seal) heap_seal();
        call();
        heap_unseal();
        sink = malloc(10);  /* allowed again */
        _exit(sink ? 0 : 1);
    }
    (void)close(ends[1]);
    ssize_t n = read(ends[0], said, room - 1);
    said[n > 0 ? n : 0] = 0;
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void test_a_sealed_thread_is_aborted(void **state)
{
    (void)state;
    static const struct { void (*call)(void); const char *said; } cases[] = {
        {call_malloc, "heap: malloc(123) on a sealed core thread\n"},
        {call_calloc, "heap: calloc(123) on a sealed core thread\n"},
        {call_realloc, "heap: realloc(123) on a sealed core thread\n"},
        {call_realloc_null, "heap: realloc(123) on a sealed core thread\n"},
        {call_aligned, "heap: aligned_alloc(128) on a sealed core thread\n"},
        {call_memalign, "heap: memalign(128) on a sealed core thread\n"},
        {call_valloc, "heap: valloc(128) on a sealed core thread\n"},
        {call_posix, "heap: posix_memalign(128) on a sealed core thread\n"},
        {call_free, "heap: free(80) on a sealed core thread\n"},
        {call_strdup, "heap: malloc(5) on a sealed core thread\n"},
        {call_free_null, NULL},
        {call_printf, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char said[256];
        assert_int_equal(try_call(cases[i].call, false, said, sizeof said), 0);
        assert_string_equal(said, "");
        int signal = try_call(cases[i].call, true, said, sizeof said);
        assert_int_equal(signal, cases[i].said ? SIGABRT : 0);
        assert_string_equal(said, cases[i].said ? cases[i].said : "");
    }
}

static void *other_thread(void *arg)
{
    (void)arg;
    free(malloc(100));
    return NULL;
}

/* The seal is the thread's own. */
static void seal_and_let_another_allocate(void)
{
    pthread_t thread;
    heap_unseal();
    if (pthread_create(&thread, NULL, other_thread, NULL) != 0) abort();
    heap_seal();
    heap_unseal();
    (void)pthread_join(thread, NULL);
}

static void test_other_threads_are_free(void **state)
{
    char said[256];
    (void)state;
    assert_int_equal(try_call(seal_and_let_another_allocate, true, said, sizeof said), 0);
}

static void test_allocation_works_as_ever(void **state)
{
    (void)state;
    char *at = malloc(0);
    assert_non_null(at);
    at = realloc(at, 1000);
    memset(at, 7, 1000);
    at = realloc(at, 100000);
    for (size_t i = 0; i < 1000; i++) assert_int_equal(at[i], 7);
    assert_true(malloc_usable_size(at) >= 100000);
    free(at);
    at = calloc(100, 10);
    for (size_t i = 0; i < 1000; i++) assert_int_equal(at[i], 0);
    free(at);
    volatile size_t huge = SIZE_MAX;
    assert_null(calloc(huge / 2, 3));
    assert_int_equal(errno, ENOMEM);
    assert_null(malloc(huge));
    void *page = NULL;
    assert_int_equal(posix_memalign(&page, 4096, 10), 0);
    assert_int_equal((uintptr_t)page % 4096, 0);
    free(page);
    assert_int_equal(posix_memalign(&page, 3, 10), EINVAL);
    errno = 99;
    free(malloc(3));
    assert_int_equal(errno, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sealed_thread_is_aborted),
        cmocka_unit_test(test_other_threads_are_free),
        cmocka_unit_test(test_allocation_works_as_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
