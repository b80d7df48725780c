/* test_vault.c - memory for secrets: zeroed, left out of core dumps; the environment left out
 * too; what returned functions left on the stack and in vector registers is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/vault.h"

/* Does the mapping that holds at carry the flag "dd"? */
static bool is_undumped(const void *at)
{
    FILE *file = fopen("/proc/self/smaps", "re");
    assert_non_null(file);
    char line[512];
    bool inside = false, found = false, undumped = false;
    while (fgets(line, sizeof line, file)) {
        unsigned long begin, end;
        if (sscanf(line, "%lx-%lx ", &begin, &end) == 2) {
            inside = (uintptr_t)at >= begin && (uintptr_t)at < end;
        } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            found = true;
            undumped = strstr(line, " dd") != NULL;
        }
    }
    (void)fclose(file);
    assert_true(found);
    return undumped;
}

static void test_taken_memory(void **state)
{
    static const size_t sizes[] = {1, 4096, 4097, 300000};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *at = vault_take(sizes[i]);
        assert_non_null(at);
        for (size_t b = 0; b < sizes[i]; b++) assert_int_equal(at[b], 0);
        memset(at, 'x', sizes[i]);
        assert_true(is_undumped(at));
        assert_true(is_undumped(at + sizes[i] - 1));
        vault_give(at, sizes[i]);
    }
    vault_give(NULL, 1);
    void *plain = malloc(100000);
    assert_false(is_undumped(plain));
    free(plain);
    assert_null(vault_take(SIZE_MAX / 4));   /* more than any machine has */
}

static void test_the_environment(void **state)
{
    (void)state;
    assert_true(environ && *environ);
    assert_false(is_undumped(*environ));
    vault_hide_environment();
    for (char **at = environ; *at; at++) assert_true(is_undumped(*at));
    char **was = environ;
    char *none[] = {NULL};
    environ = none;                          /* an empty one, and none, are no trouble */
    vault_hide_environment();
    environ = NULL;
    vault_hide_environment();
    environ = was;
}

static void test_who_may_be_dumped(void **state)
{
    (void)state;
    pid_t child = fork();                    /* the flag is the process's: not of this one */
    assert_true(child >= 0);
    if (child == 0) {
        vault_allow_dumps(false);
        bool none = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
        vault_allow_dumps(true);
        _exit(none && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer)
#define PLAIN_STACK 1        /* a sanitizer keeps arrays elsewhere */
#endif

#ifdef PLAIN_STACK
enum { DEEP = 60000 };

/* Leaves what it was given on the stack, some of it deep down. Gives where. */
__attribute__((noinline)) static uintptr_t leave(const char *word)
{
    volatile char room[DEEP];
    for (size_t i = 0; i < 16; i++) room[i] = word[i];
    for (size_t i = 0; i < 16; i++) room[DEEP - 16 + i] = word[i];
    return (uintptr_t)room;
}

static void test_the_stack(void **state)
{
    static const char word[] = "what was there 1";
    (void)state;
    for (int forget = 0; forget <= 1; forget++) {
        uintptr_t at = leave(word);
        if (forget) vault_forget();
        unsigned same = 0;
        const volatile char *left = (const volatile char *)at;
        for (size_t i = 0; i < 16; i++) same += left[i] == word[i];
        assert_int_equal(same, forget ? 0 : 16);
    }
}
#endif

#if defined(__x86_64__)
static void test_vector_registers(void **state)
{
    uint64_t out[8] = {0};
    (void)state;
    if (!__builtin_cpu_supports("avx512f")) skip();
    __asm__ volatile("vpternlogd $0xff, %%zmm17, %%zmm17, %%zmm17\n\t"
                     "vpternlogd $0xff, %%zmm31, %%zmm31, %%zmm31" ::: "memory");
    vault_forget();
    __asm__ volatile("vporq %%zmm17, %%zmm31, %%zmm31\n\t"
                     "vmovdqu64 %%zmm31, %0" : "=m"(out));
    for (size_t i = 0; i < 8; i++) assert_int_equal(out[i], 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken_memory),
        cmocka_unit_test(test_the_environment),
        cmocka_unit_test(test_who_may_be_dumped),
#ifdef PLAIN_STACK
        cmocka_unit_test(test_the_stack),
#endif
#if defined(__x86_64__)
        cmocka_unit_test(test_vector_registers),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
