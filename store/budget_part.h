/* budget_part.h - what budget.c (the store thread's side) and cells.c (the cores' side) share.
 * Others use budget.h. */
#ifndef STORE_BUDGET_PART_H
#define STORE_BUDGET_PART_H

#include "store/budget.h"
#include "store/maybe.h"

#include <stdatomic.h>
#include <stddef.h>

enum {
    CELLS_MAX = 1 << 20,        /* 64 MiB of address space; the file grows as they are used */
    CELLS_STEP = 4096,          /* cells the file grows by */
    HOLDS_MAX = WINDOWS + 1,    /* limits of one target; an organisation's pool is the last */
};
#define HOUR_NS UINT64_C(3600000000000)
#define MINUTE_NS UINT64_C(60000000000)

struct cell {                   /* a line of its own. Place 0 is nobody's */
    _Atomic int64_t left;       /* limit - spent - held; below 0 where more was spent */
    _Atomic int64_t limit;
    _Atomic int64_t known;      /* spent by what the store knew, and what was folded later: the
                                   rest is in the parties' own sums */
    uint32_t first_hour, next_hour;    /* of its window, since 1970; this and what follows do
                                          not change while a version names it */
    uint32_t born;              /* the version that brought it */
    uint8_t layer, window;
    uint8_t spare[2];
    store_id target;
    _Atomic int64_t promised;   /* beyond what is held, to those who cannot be stopped */
    uint64_t spare_2;
};
static_assert(sizeof(struct cell) == 64, "a cell is a cache line");

struct rate_cell {              /* the same place in the file, for rates */
    _Atomic uint64_t requests_ns, tokens_ns;   /* theoretical arrival times, monotonic */
    _Atomic uint32_t running;
    uint32_t spare[3];
    uint32_t born;              /* as of a cell, and where that has it */
    uint32_t spare_2[7];
};
static_assert(sizeof(struct rate_cell) == 64, "one kind of place");
static_assert(offsetof(struct rate_cell, born) == offsetof(struct cell, born), "the same");

struct target_limit { uint32_t cell[2]; uint8_t layer, window; };

struct target {                 /* a unit or key that has limits or rates */
    store_id id;
    struct rates rates;
    uint32_t rate_cell;         /* 0: no rates */
    uint32_t limit_count;
    struct target_limit limit[HOLDS_MAX];
};

struct budget_map {
    uint32_t version;           /* 1.. */
    uint32_t count, slot_count; /* slot_count: a power of two */
    struct target *at;
    uint32_t *slot;             /* open addressing: index + 1, 0 free */
    uint32_t *gone;             /* cells that this version or older ones name, and no later */
    uint32_t gone_count, gone_max;
    struct budget_map *newer;
    _Atomic uint32_t pins[];    /* by party */
};

/* What a party settled on each cell: a word that only it writes costs a tenth of a shared one,
 * and who reads adds them up. */
struct party {
    _Alignas(64) _Atomic uint32_t seen;    /* version at enter; 0: outside */
    _Atomic int64_t *spent;     /* by cell */
};

struct budget {
    struct db *db;
    struct cell *cell;          /* the mapping */
    _Atomic(struct budget_map *) map;
    _Atomic uint32_t version;   /* of map, once the generation says that it is there: who enters
                                   may still use paths of this one, kept for that generation */
    _Atomic uint64_t floor_ns;
    unsigned parties;
    struct party *party;
    /* store thread */
    struct budget_map *oldest;
    uint32_t *free;             /* stack of places that may be used again */
    uint32_t free_count, free_max;
    uint32_t cells, mapped;     /* places given away so far, places the file has */
    uint32_t hour;              /* floor_ns in hours */
    bool stale;                 /* a refresh failed: everything is read again */
    bool unrolled;              /* a roll failed: it is done again */
    int fd;
};

/* Index of a target in a version, or -1. */
int64_t map_find(const struct budget_map *m, store_id id);

/* Take what a cell has, never below zero. False: it has less, and nothing is taken. */
static inline bool cell_take(struct cell *c, int64_t nusd)
{
    int64_t left = atomic_load_explicit(&c->left, memory_order_relaxed);
    do {
        if (left < nusd && !PLANT(overdraw)) return false;
    } while (!atomic_compare_exchange_weak_explicit(&c->left, &left, left - nusd,
                                                    memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

/* Where a search for it begins. */
static inline uint64_t map_hash(store_id id)
{
    uint64_t x = id * UINT64_C(0x9e3779b97f4a7c15);
    return x ^ x >> 29;
}

#endif
