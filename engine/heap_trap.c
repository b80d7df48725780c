/* heap_trap.c - malloc and its kin over jemalloc, which abort a sealed thread (see heap.h).
 * Linked only into weir-sealed and the test of it: there the rule "core threads do not use
 * the heap after boot" is checked by every black-box test. Everybody else's calls go on to
 * jemalloc by its own entry points, so that nothing changes for them.
 * One guest is let through: BoringSSL's libssl calls malloc itself, past its own hooks, for
 * the buffer of a record on its way. A sealed thread that comes from there gets a block of the
 * pool, so that these tests also show what the pool must hold. In weir itself, where malloc is
 * not replaced, that buffer is jemalloc's: at most two of 17 KiB for a connection, only while a
 * record is incomplete.
 * Rule: nothing here may allocate. free(NULL) is allowed, as C code writes it freely. */
#include "engine/heap.h"

#include <errno.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jemalloc/jemalloc.h>
#include <openssl/ssl.h>

struct range { uintptr_t begin, end; };

static _Thread_local bool sealed;
static _Thread_local struct range libssl;  /* its code; empty until heap_seal */

/* For dl_iterate_phdr: find the object that SSL_read lies in, unless it is our own. */
static int find_libssl(struct dl_phdr_info *object, size_t size, void *out)
{
    uintptr_t theirs = (uintptr_t)SSL_read, ours = (uintptr_t)find_libssl;
    struct range found = {0};
    (void)size;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        uintptr_t begin = object->dlpi_addr + object->dlpi_phdr[i].p_vaddr;
        struct range r = {begin, begin + object->dlpi_phdr[i].p_memsz};
        if (object->dlpi_phdr[i].p_type != PT_LOAD) continue;
        if (ours >= r.begin && ours < r.end) return 0;
        if (theirs >= r.begin && theirs < r.end) found = r;
    }
    if (found.end) *(struct range *)out = found;
    return found.end != 0;
}

void heap_seal(void)
{
    heap_join();
    if (libssl.end == 0) (void)dl_iterate_phdr(find_libssl, &libssl);
    sealed = true;
}

static bool is_guest(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;
    return at >= libssl.begin && at < libssl.end;
}

void heap_unseal(void)
{
    sealed = false;
    heap_leave();
}

/* Say which call of how many bytes it was, without stdio, and end. */
__attribute__((noinline, cold)) static void trap(const char *call, size_t bytes)
{
    char line[128] = "heap: ", digits[20];
    size_t at = strlen(line), count = 0;
    sealed = false;  /* abort's handlers may allocate */
    for (const char *c = call; *c && at < 64; c++) line[at++] = *c;
    line[at++] = '(';
    do {
        digits[count++] = (char)('0' + bytes % 10);
        bytes /= 10;
    } while (bytes);
    while (count) line[at++] = digits[--count];
    static const char tail[] = ") on a sealed core thread\n";
    memcpy(line + at, tail, sizeof tail - 1);
    if (write(STDERR_FILENO, line, at + sizeof tail - 1) < 0) {
        /* nobody to tell */
    }
    abort();
}

/* mallocx takes no 0; malloc(0) gives memory of its own. */
static void *take(const char *call, size_t bytes, int flags)
{
    if (__builtin_expect(sealed, 0)) trap(call, bytes);
    void *at = bytes <= PTRDIFF_MAX ? mallocx(bytes ? bytes : 1, flags) : NULL;
    if (!at) errno = ENOMEM;
    return at;
}

static bool is_power_of_two(size_t n) { return n && (n & (n - 1)) == 0; }

static void *take_aligned(const char *call, size_t align, size_t bytes)
{
    if (!is_power_of_two(align)) {
        errno = EINVAL;
        return NULL;
    }
    return take(call, bytes, MALLOCX_ALIGN(align));
}

void *malloc(size_t bytes)
{
    if (__builtin_expect(sealed, 0) && is_guest(__builtin_return_address(0))) {
        return OPENSSL_memory_alloc(bytes);
    }
    return take("malloc", bytes, 0);
}

void *calloc(size_t count, size_t each)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, each, &bytes)) bytes = SIZE_MAX;
    return take("calloc", bytes, MALLOCX_ZERO);
}

void free(void *at)
{
    if (!at) return;
    if (heap_owns(at)) {  /* the guest's, sealed or not by now */
        OPENSSL_memory_free(at);
        return;
    }
    if (__builtin_expect(sealed, 0)) trap("free", sallocx(at, 0));
    int saved = errno;
    dallocx(at, 0);
    errno = saved;
}

void *realloc(void *at, size_t bytes)
{
    if (!at) return take("realloc", bytes, 0);
    if (__builtin_expect(sealed, 0)) trap("realloc", bytes);
    if (bytes == 0) {  /* as glibc does */
        free(at);
        return NULL;
    }
    void *fresh = bytes <= PTRDIFF_MAX ? heap_move(at, bytes) : NULL;
    if (!fresh) errno = ENOMEM;
    return fresh;
}

void *aligned_alloc(size_t align, size_t bytes)
{
    return take_aligned("aligned_alloc", align, bytes);
}

void *memalign(size_t align, size_t bytes);
void *memalign(size_t align, size_t bytes) { return take_aligned("memalign", align, bytes); }

int posix_memalign(void **out, size_t align, size_t bytes)
{
    if (!is_power_of_two(align) || align % sizeof(void *)) return EINVAL;
    int saved = errno;
    void *at = take("posix_memalign", bytes, MALLOCX_ALIGN(align));
    errno = saved;
    if (!at) return ENOMEM;
    *out = at;
    return 0;
}

void *valloc(size_t bytes)
{
    return take_aligned("valloc", (size_t)sysconf(_SC_PAGESIZE), bytes);
}

void *pvalloc(size_t bytes);
void *pvalloc(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return take_aligned("pvalloc", page, (bytes + page - 1) / page * page);
}

size_t malloc_usable_size(void *at) { return at ? sallocx(at, 0) : 0; }
