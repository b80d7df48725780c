/* heap.c - a bounded pool in size classes, for the TLS library (see heap.h).
 * Model: one mapping, carved from its start by an atomic counter, never uncarved. A block is
 * always in one of three places, and keeps its class until, once all is carved up, it is cut
 * into smaller ones for good:
 *   in use <-> free list of a thread <-> shared stack of its class
 * A thread's lists are touched by that thread alone; the shared stacks are lock-free (Treiber),
 * their heads tagged with a count against ABA. Links lie in blocks' heads, which no user of a
 * block writes, and blocks are never unmapped: reading the link of a block that someone else
 * has just taken or cut is harmless, the tag then differs.
 * Rule: 16 bytes of head before every block, also before those from malloc (used until
 * heap_boot); what is given back is wiped first.
 * The state of this file is at file scope, the one exemption: hooks come without a context. */
#include "engine/heap.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <openssl/crypto.h>

enum {
    UNIT = 16,               /* bytes; links count in units, so that 32 bits reach 64 GiB */
    STEPS = 4,               /* classes per doubling: at most a quarter is lost to rounding */
    CLASS_0 = 64,            /* bytes of a block of class 0, head included */
    CLASSES = 12 * STEPS + 1,
    CARVE_BYTES = 32768,     /* carved at once for a thread with lists */
    KEEP_BYTES = 65536,      /* free bytes of one class that a thread keeps to itself */
    LARGER = 2 * STEPS,      /* how many classes up an empty class may borrow: four times */
    LINE = 64,               /* bytes of a cache line */
};
enum { IN_USE = 0x75736564, IS_FREE = 0x66726565, FROM_MALLOC = 0x6c6f616e };

struct block {
    _Atomic uint32_t next;   /* free: unit of the next free one, 0 none */
    uint32_t size;           /* in use: bytes asked for */
    uint32_t class;
    uint32_t state;          /* IN_USE, IS_FREE, FROM_MALLOC */
};
static_assert(sizeof(struct block) == UNIT, "the head keeps blocks aligned to 16");
static_assert(CLASS_0 << (CLASSES / STEPS) == HEAP_BLOCK_MAX, "the last class is the largest");

struct lists {               /* free lists of one thread */
    _Alignas(LINE) _Atomic int64_t used;   /* bytes taken less bytes given, this thread */
    _Atomic bool taken;      /* some thread has them */
    uint32_t head[CLASSES];  /* unit of the first free block, 0 none */
    uint32_t bytes[CLASSES];
};

struct pool {
    char *base;              /* NULL before boot */
    uint32_t units;
    _Alignas(LINE) _Atomic uint32_t carved;      /* units */
    _Alignas(LINE) _Atomic int64_t used;         /* like lists.used, threads without lists */
    _Alignas(LINE) _Atomic uint64_t stack[CLASSES]; /* tag << 32 | unit */
    struct lists lists[HEAP_THREADS_MAX];
};

static struct pool pool;
static _Thread_local struct lists *mine;  /* NULL: this thread shares */

/* --- classes */

static uint32_t class_bytes(uint32_t class)
{
    assert(class < CLASSES);
    uint32_t base = (uint32_t)CLASS_0 << class / STEPS;
    return base + base / STEPS * (class % STEPS);
}

/* The smallest class whose blocks hold bytes, which are at most HEAP_BLOCK_MAX. */
static uint32_t class_of(uint32_t bytes)
{
    assert(bytes <= HEAP_BLOCK_MAX);
    if (bytes <= CLASS_0) return 0;
    uint32_t power = 31 - (uint32_t)__builtin_clz(bytes - 1);
    uint32_t quarter = (bytes - 1 - (1u << power)) / ((1u << power) / STEPS);
    uint32_t class = (power - 6) * STEPS + quarter + 1;
    assert(class_bytes(class) >= bytes && class_bytes(class - 1) < bytes);
    return class;
}

static struct block *block_at(uint32_t unit)
{
    assert(unit > 0 && unit < pool.units);
    return (struct block *)(void *)(pool.base + (size_t)unit * UNIT);
}

static uint32_t unit_of(const struct block *b)
{
    return (uint32_t)(((const char *)b - pool.base) / UNIT);
}

/* --- shared stacks */

static void stack_push(struct block *b)
{
    _Atomic uint64_t *stack = &pool.stack[b->class];
    uint64_t head = atomic_load_explicit(stack, memory_order_relaxed), next;
    do {
        atomic_store_explicit(&b->next, (uint32_t)head, memory_order_relaxed);
        next = ((head >> 32) + 1) << 32 | unit_of(b);
    } while (!atomic_compare_exchange_weak_explicit(stack, &head, next, memory_order_release,
                                                    memory_order_relaxed));
}

static struct block *stack_pop(uint32_t class)
{
    _Atomic uint64_t *stack = &pool.stack[class];
    uint64_t head = atomic_load_explicit(stack, memory_order_acquire), next;
    struct block *b;
    do {
        if ((uint32_t)head == 0) return NULL;
        b = block_at((uint32_t)head);
        next = ((head >> 32) + 1) << 32 |
               atomic_load_explicit(&b->next, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak_explicit(stack, &head, next, memory_order_acquire,
                                                    memory_order_acquire));
    return b;
}

/* --- a thread's lists */

static void list_push(struct lists *l, struct block *b)
{
    atomic_store_explicit(&b->next, l->head[b->class], memory_order_relaxed);
    l->head[b->class] = unit_of(b);
    l->bytes[b->class] += class_bytes(b->class);
}

static struct block *list_pop(struct lists *l, uint32_t class)
{
    if (l->head[class] == 0) return NULL;
    struct block *b = block_at(l->head[class]);
    assert(b->class == class && b->state == IS_FREE);
    l->head[class] = atomic_load_explicit(&b->next, memory_order_relaxed);
    l->bytes[class] -= class_bytes(class);
    return b;
}

static void free_push(struct block *b)
{
    assert(b->state == IS_FREE);
    if (mine && mine->bytes[b->class] < KEEP_BYTES) list_push(mine, b);
    else stack_push(b);
}

/* Make count blocks of class from units at; gives the first, the others are free. */
static struct block *cut(uint32_t at, uint32_t class, uint32_t count)
{
    assert(count > 0);
    uint32_t each = class_bytes(class) / UNIT;
    for (uint32_t i = count; i-- > 0;) {
        struct block *b = block_at(at + i * each);
        b->class = class;
        b->state = IS_FREE;
        if (i > 0) free_push(b);
    }
    return block_at(at);
}

/* Carve new blocks of class: one, or for a thread with lists a few, of which it keeps the rest.
 * NULL when the mapping is used up. */
static struct block *carve(uint32_t class)
{
    uint32_t each = class_bytes(class) / UNIT;
    uint32_t count = mine && each * UNIT < CARVE_BYTES ? CARVE_BYTES / (each * UNIT) : 1;
    uint32_t at = atomic_load_explicit(&pool.carved, memory_order_relaxed);
    do {
        uint32_t room = (pool.units - at) / each;
        if (room == 0) return NULL;
        if (count > room) count = room;
    } while (!atomic_compare_exchange_weak_explicit(&pool.carved, &at, at + count * each,
                                                    memory_order_relaxed,
                                                    memory_order_relaxed));
    return cut(at, class, count);
}

static struct block *find_free(uint32_t class)
{
    struct block *b = mine ? list_pop(mine, class) : NULL;
    return b ? b : stack_pop(class);
}

static struct block *block_take(uint32_t class)
{
    struct block *b = find_free(class);
    if (!b) b = carve(class);
    /* The mapping is carved up: a larger block that lies idle will do, whole if it is not
     * much too large, else cut up. */
    for (uint32_t c = class + 1; !b && c < CLASSES; c++) {
        b = find_free(c);
        if (!b || c <= class + LARGER) continue;
        b = cut(unit_of(b), class, class_bytes(c) / class_bytes(class));
    }
    return b;
}

static void count_used(int64_t bytes)
{
    atomic_fetch_add_explicit(mine ? &mine->used : &pool.used, bytes, memory_order_relaxed);
}

static void block_give(struct block *b)
{
    assert(b->state == IN_USE);
    count_used(-(int64_t)class_bytes(b->class));
    b->state = IS_FREE;
    free_push(b);
}

/* --- boot and threads */

#ifndef OPENSSL_IS_BORINGSSL
static void *hook_alloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return size ? OPENSSL_memory_alloc(size) : NULL;
}

static void hook_free(void *ptr, const char *file, int line)
{
    (void)file, (void)line;
    OPENSSL_memory_free(ptr);
}

static void *hook_realloc(void *ptr, size_t size, const char *file, int line)
{
    void *fresh = hook_alloc(size, file, line);
    size_t old = OPENSSL_memory_get_size(ptr);
    if (fresh && ptr) memcpy(fresh, ptr, old < size ? old : size);
    if (fresh || size == 0) OPENSSL_memory_free(ptr);
    return fresh;
}
#endif

bool heap_boot(size_t bytes)
{
    assert(pool.base == NULL);
    if (bytes < HEAP_BLOCK_MAX || bytes / UNIT >= UINT32_MAX) return false;
#ifndef OPENSSL_IS_BORINGSSL
    /* OpenSSL takes hooks only before it first allocates; else it stays on malloc. */
    (void)CRYPTO_set_mem_functions(hook_alloc, hook_realloc, hook_free);
#endif
    bytes -= bytes % LINE;
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return false;
    (void)madvise(base, bytes, MADV_DONTDUMP);
    pool.units = (uint32_t)(bytes / UNIT);
    atomic_store(&pool.carved, LINE / UNIT);  /* unit 0 means none */
    pool.base = base;
    return true;
}

size_t heap_used(void)
{
    int64_t used = atomic_load_explicit(&pool.used, memory_order_relaxed);
    for (size_t i = 0; i < HEAP_THREADS_MAX; i++) {
        used += atomic_load_explicit(&pool.lists[i].used, memory_order_relaxed);
    }
    return used > 0 ? (size_t)used : 0;  /* below 0 only while others move between sums */
}

size_t heap_limit(void) { return (size_t)pool.units * UNIT; }

bool heap_owns(const void *ptr)
{
    uintptr_t at = (uintptr_t)ptr, base = (uintptr_t)pool.base;
    return base && at >= base && at - base < heap_limit();
}

void heap_join(void)
{
    for (size_t i = 0; i < HEAP_THREADS_MAX && !mine; i++) {
        if (!atomic_exchange(&pool.lists[i].taken, true)) mine = &pool.lists[i];
    }
}

void heap_leave(void)
{
    struct lists *l = mine;
    if (!l) return;
    for (uint32_t class = 0; class < CLASSES; class++) {
        struct block *b;
        while ((b = list_pop(l, class)) != NULL) stack_push(b);
        assert(l->bytes[class] == 0);
    }
    mine = NULL;  /* l->used stays: sums of all threads count, not whose they are */
    atomic_store(&l->taken, false);
}

/* Overridden by heap_trap.o where the program is linked with it. */
__attribute__((weak)) void heap_seal(void) { heap_join(); }
__attribute__((weak)) void heap_unseal(void) { heap_leave(); }

/* --- the hooks */

static struct block *head_of(void *ptr)
{
    return (struct block *)ptr - 1;
}

void *OPENSSL_memory_alloc(size_t size)
{
    struct block *b;
    if (size > (pool.base ? HEAP_BLOCK_MAX : UINT32_MAX) - UNIT) return NULL;
    if (pool.base) {
        b = block_take(class_of((uint32_t)size + UNIT));
        if (!b) return NULL;
        assert(b->state == IS_FREE);
        b->state = IN_USE;
        count_used(class_bytes(b->class));
    } else {
        b = malloc(size + UNIT);
        if (!b) return NULL;
        b->state = FROM_MALLOC;
    }
    b->size = (uint32_t)size;
    return b + 1;
}

void OPENSSL_memory_free(void *ptr)
{
    if (!ptr) return;
    struct block *b = head_of(ptr);
    assert(b->state == IN_USE || b->state == FROM_MALLOC);
    explicit_bzero(ptr, b->size);
    if (b->state == IN_USE) {
        block_give(b);
    } else {
        b->state = IS_FREE;
        free(b);
    }
}

size_t OPENSSL_memory_get_size(void *ptr)
{
    if (!ptr) return 0;
    assert(head_of(ptr)->state == IN_USE || head_of(ptr)->state == FROM_MALLOC);
    return head_of(ptr)->size;
}
