/* vault.c - see vault.h. Mappings rather than malloc's memory, because only whole pages can be
 * left out of a core dump, and because nobody else's data comes to lie beside a key. */
#include "engine/vault.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    STACK_BYTES = 98304,       /* deeper than any handler reaches: handshakes need the most */
};

void *vault_take(size_t bytes)
{
    assert(bytes > 0 && bytes <= SIZE_MAX / 2);
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return NULL;
    (void)madvise(at, bytes, MADV_DONTDUMP);
    return at;
}

void vault_give(void *ptr, size_t bytes)
{
    if (!ptr) return;
    assert(bytes > 0);
    explicit_bzero(ptr, bytes);
    int rc = munmap(ptr, bytes);
    assert(rc == 0);
}

void vault_hide_environment(void)
{
    uintptr_t low = UINTPTR_MAX, high = 0;
    for (char **at = environ; at && *at; at++) {
        uintptr_t begin = (uintptr_t)*at, end = begin + strlen(*at) + 1;
        if (begin < low) low = begin;
        if (end > high) high = end;
    }
    if (high == 0) return;
    /* In one piece as the kernel laid it out, on the main thread's stack: whole pages, with
     * whatever shares the first and the last of them. */
    low -= low % PAGE;
    high += (PAGE - high % PAGE) % PAGE;
    (void)madvise((void *)low, high - low, MADV_DONTDUMP);
}

void vault_allow_dumps(bool allow)
{
    (void)prctl(PR_SET_DUMPABLE, allow ? 1 : 0, 0, 0, 0);
}

/* All of them belong to whoever is called (System V ABI for x86-64, section 3.2.1). */
static void wipe_registers(void)
{
#ifdef __x86_64__
    if (!__builtin_cpu_supports("avx")) return;
    __asm__ volatile("vzeroall" ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
                     "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                     "xmm15");
    if (!__builtin_cpu_supports("avx512f")) return;
    __asm__ volatile(".irp n, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n\t"
                     "vpxord %zmm\\n, %zmm\\n, %zmm\\n\n\t"
                     ".endr");
#endif
}

__attribute__((noinline)) void vault_forget(void)
{
    char below[STACK_BYTES];
    explicit_bzero(below, sizeof below);
    wipe_registers();
}
