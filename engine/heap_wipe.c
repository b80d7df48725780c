/* heap_wipe.c - what goes back to jemalloc is written over. The configuration as it is being
 * read, bodies and answers of the admin API, and records that BoringSSL decrypts past its own
 * hooks (heap_trap.c) lie in memory that libraries take and give back as they like; so it is
 * the allocator that forgets. Never beside a sanitizer, which brings an allocator of its own.
 * Rule: a core thread gives nothing back but such records, so that this costs requests without
 * TLS nothing. */
#include "engine/heap.h"

#include <errno.h>
#include <string.h>
#include <stdlib.h>

#include <jemalloc/jemalloc.h>

/* jemalloc looks for this name at its start. */
const char *malloc_conf = "junk:free";

void *heap_move(void *at, size_t bytes)
{
    size_t have = sallocx(at, 0);
    if (xallocx(at, bytes, 0, 0) >= bytes) return at;
    void *fresh = mallocx(bytes, 0);
    if (!fresh) return NULL;
    memcpy(fresh, at, have < bytes ? have : bytes);
    dallocx(at, 0);            /* which writes over it */
    return fresh;
}

/* jemalloc's own leaves a copy where the memory was before: libyaml doubles a text that way
 * while it reads it, until a provider's key is whole. */
__attribute__((weak)) void *realloc(void *at, size_t bytes)
{
    if (!at) return malloc(bytes);
    if (bytes == 0) {  /* as glibc does */
        free(at);
        return NULL;
    }
    void *fresh = bytes <= PTRDIFF_MAX ? heap_move(at, bytes) : NULL;
    if (!fresh) errno = ENOMEM;
    return fresh;
}
