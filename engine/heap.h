/* heap.h - the bounded memory that the TLS library draws on, and the seal on everything else.
 * Core threads do not use malloc: theirs is laid out at boot. The TLS library allocates for
 * each handshake and record, so it gets a pool of fixed size through its allocation hooks.
 * Empty is an answer (the library reports it and the connection fails), never a crash. */
#ifndef ENGINE_HEAP_H
#define ENGINE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

enum {
    HEAP_THREADS_MAX = 128,     /* threads with free lists of their own */
    HEAP_BLOCK_MAX = 262144,    /* bytes of the largest block, its head included */
};

/* Reserve the pool: bytes of memory (rounded down to 64), left out of core dumps. Once, on the
 * main thread, before other threads use the TLS library. What was allocated before comes from
 * malloc and goes back there: trust stores opened before boot cost the pool nothing. False when
 * the kernel has no room; the pool is then as before. */
bool heap_boot(size_t bytes);
/* Bytes in use now, blocks' heads and rounding included; 0 before heap_boot. Any thread; exact
 * once other threads are quiet. */
size_t heap_used(void);
/* Bytes the pool was given; 0 before heap_boot. Any thread. */
size_t heap_limit(void);

/* True when ptr lies in the pool. Any thread. */
bool heap_owns(const void *ptr);

/* A core thread is set up: give it free lists of its own, and from now on, in programs linked
 * with heap_trap.o, abort it with a message when it calls malloc or one of its kin. */
void heap_seal(void);
/* A core thread is about to end: its free lists go back, and it may use malloc again (the C
 * library frees thread-local memory behind our back). No-op on a thread that is not sealed. */
void heap_unseal(void);
/* Take free lists for the calling thread; without any, it shares those of all. heap_seal()
 * calls this. Calling again is allowed. */
void heap_join(void);
/* Give them back, with what they hold. heap_unseal() calls this. */
void heap_leave(void);

/* Only where heap_wipe.o is linked: jemalloc's memory at, made bytes (> 0) long, in place or
 * elsewhere; where it was is wiped. takes at, and gives it back as it is with NULL. */
void *heap_move(void *at, size_t bytes);

/* The hooks of BoringSSL's libcrypto, which calls them where they are defined. Any thread.
 * Take size bytes aligned to 16, or NULL when the pool is empty or size above
 * HEAP_BLOCK_MAX - 16. */
void *OPENSSL_memory_alloc(size_t size);
/* Wipe and give back. takes ptr (NULL is fine). */
void OPENSSL_memory_free(void *ptr);
/* The size that was asked for. borrows ptr; 0 for NULL. */
size_t OPENSSL_memory_get_size(void *ptr);

#endif
