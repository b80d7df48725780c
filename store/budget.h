/* budget.h - budget cells: what may still be taken of every limit and pool, as atomics in a
 * mapped file (DATA/cells), and the rates of units and keys. A cache of the truth: made anew at
 * start from limits.h, spent.h and credits.h, and kept in step by whoever reserves and settles.
 *
 *   store thread: limits -> map version (immutable: target -> cells) -> published by pointer
 *   core: path -> cells of this window -> reserve before the first byte -> settle at the end
 *
 * A cell has one word `left` = limit - spent - held that is never taken below zero. Each limit
 * has a cell for this window and one for the next; who is admitted after the edge takes the
 * next one, without waiting for anybody. An exchange pins the version it was admitted under, so
 * that its cells outlive limits that change meanwhile. A version is freed when nobody pins it
 * and every party has left it, whatever older ones are pinned: there are at most as many as
 * running exchanges; and a cell when no version that is left may name it.
 * Who was admitted before a cell existed (record.budget_version < the cell's) is added to it
 * when its record is folded: each cost reaches each cell exactly once.
 * A limit that is taken away and set again, or a pool that is made unlimited and prepaid again,
 * is such a younger cell: what running exchanges hold of the old one is not held of it, and
 * their cost counts when they end. So it may be overdrawn by what they cost, and no more.
 * Windows never go back, and a path has cells of two of them: budget_time() bounds the time of
 * admission from both sides. */
#ifndef STORE_BUDGET_H
#define STORE_BUDGET_H

#include "store/hold.h"

enum { BUDGET_FREE = -1 };

struct budget;                  /* private: one per DATA */
struct budget_map;              /* private: one published version */
struct db;
struct record;

struct budget_limit {           /* of a path */
    uint64_t edge_unix_ns;      /* when the second window begins; UINT64_MAX never */
    uint32_t cell[2];           /* of this window and of the next */
    uint8_t layer;              /* enum unit_kind or BUDGET_LAYER_POOL */
    uint8_t window;             /* enum window */
};

struct budget_rate {
    struct rates rates;
    uint32_t cell;
    uint8_t layer;              /* enum unit_kind */
};

struct budget_path {            /* what a path meets in one version, narrowest first */
    struct budget_map *map;
    uint64_t until_unix_ns;     /* from budget_floor() until then all limits have cells */
    uint32_t version;
    uint8_t limit_count, rate_count;
    struct budget_limit limit[BUDGET_CELLS_MAX];
    struct budget_rate rate[UNIT_KINDS];
};

struct budget_look {            /* a limit as it stands */
    int64_t limit_nusd, spent_nusd, held_nusd;
    uint64_t resets_unix_ns;    /* 0: never */
    uint8_t layer, window;
};

/* ---- store thread (and start) */

/* Map DATA/cells (made anew, populated, mode 0600) and build it from the store: limits, rates
 * of policies, pools, what is spent; the journals were folded before. parties: threads that may
 * enter. db borrows until budget_close. why: room for 256 bytes, a sentence on failure.
 * STORE_OK and *out; STORE_FULL; STORE_FAIL. */
MUST_USE enum store_rc budget_open(struct db *db, unsigned parties, uint64_t now_unix_ns,
                                   struct budget **out, char *why);
/* Unmap. takes b; nobody is inside, nothing is pinned. NULL is passed over. */
void budget_close(struct budget *b);
/* After a commit, on the thread that committed: take what it touched (db_touch) into a new
 * version, and raise db->generation so that the next request sees it. Before the answer. */
MUST_USE enum store_rc budget_refresh(struct budget *b);
/* Now and then (each group commit): roll windows whose time has come, free old versions. */
MUST_USE enum store_rc budget_step(struct budget *b, uint64_t now_unix_ns);
/* Take nusd out of a pool's cell, as a request would, before the entry that takes it out is
 * committed: what was taken is no longer of the cell's limit, so that the refresh behind the
 * commit finds it as it is stored. On the thread that commits; nusd > 0. STORE_OK;
 * STORE_REFUSED: less is left; STORE_NOT_FOUND: it has no cell, it is not prepaid. */
MUST_USE enum store_rc budget_pool_take(struct budget *b, store_id org, int64_t nusd);
/* The entry was not committed: give back what budget_pool_take took, before anything else is
 * changed or rolled. */
void budget_pool_give(struct budget *b, store_id org, int64_t nusd);
/* A record was committed: add its cost to cells that are younger than its exchange. */
void budget_folded(struct budget *b, const struct record *r);

/* ---- any party: a core within its turn, the worker within a job */

/* Begin and end a stretch in which maps and paths may be used. party: below `parties`. */
void budget_enter(struct budget *b, unsigned party);
/* The end. */
void budget_leave(struct budget *b, unsigned party);
/* Earliest time of admission: windows that were rolled do not come back (unix ns). */
uint64_t budget_floor(const struct budget *b);
/* What the path meets now. Within enter and leave; *out is good until leave, or, on a core,
 * while db->generation stays. Does not allocate. */
void budget_find(struct budget *b, const struct unit_path *path, struct budget_path *out);
/* When somebody of that path counts as admitted who comes now: now, if its limits have cells
 * for that; else the nearest time they have cells for (the clock stepped over two edges, and
 * the store has not rolled yet: what is spent must be spent on the cell of its time). */
uint64_t budget_time(const struct budget *b, const struct budget_path *path,
                     uint64_t now_unix_ns);
/* A limit of a path as it stands at a time. */
void budget_see(const struct budget *b, const struct budget_path *path, unsigned idx,
                uint64_t now_unix_ns, struct budget_look *look);

/* ---- core: money. None of these waits, locks or allocates */

/* Begin holding for an exchange admitted at that time (budget_time's): pins the version and
 * chooses cells; nothing is reserved yet. *hold is all zero. To be ended by budget_settle. */
void budget_begin(struct budget *b, unsigned party, const struct budget_path *path,
                  uint64_t admitted_unix_ns, struct budget_hold *hold);
/* Room: the least that is left on any of the cells, INT64_MAX where there are none. *layer
 * (may be NULL): whose. May be negative. */
int64_t budget_room(const struct budget *b, const struct budget_hold *hold, uint8_t *layer);
/* The same, without what is promised to others; its own promise is not taken off. */
int64_t budget_free(const struct budget *b, const struct budget_hold *hold);
/* Promise nusd beyond what is held (instead of what was promised before): what an answer that
 * cannot be stopped may cost at worst. Promises take nothing from `left`, so that they lock
 * nobody out; who asks budget_free before he promises keeps their sum below what is left.
 * False: others promised since free_nusd was read, so that it does not fit; nothing is
 * promised. */
MUST_USE bool budget_promise(struct budget *b, struct budget_hold *hold, int64_t nusd,
                             int64_t free_nusd);
/* Reserve nusd more on all cells, or on none: BUDGET_FREE, or the number of the narrowest cell
 * (index into hold->cell) that had less. */
MUST_USE int budget_reserve(struct budget *b, struct budget_hold *hold, int64_t nusd);
/* Give back part of what is held. */
void budget_release(struct budget *b, struct budget_hold *hold, int64_t nusd);
/* The end: spend cost, give back what is held, unpin. *hold is all zero again. Holding nothing,
 * it does nothing. */
void budget_settle(struct budget *b, unsigned party, struct budget_hold *hold,
                   int64_t cost_nusd);
/* A part of what it is for is over: spend its cost, give back what is held and promised; what
 * comes next reserves anew, on the same cells. The pin stays. */
void budget_pay(struct budget *b, unsigned party, struct budget_hold *hold, int64_t cost_nusd);
/* Begin holding on the cells of `of`, which holds, for somebody who does the same thing at the
 * same time: pins its version once more; nothing is reserved, nor counted by rates. *hold is
 * all zero. To be ended by budget_settle. */
void budget_join(unsigned party, const struct budget_hold *of, struct budget_hold *hold);
/* Layer and window of a cell, its end (unix ns; 0: never). */
void budget_cell_look(const struct budget *b, uint32_t cell, struct budget_look *look);

/* ---- core: rates (GCRA, ITU-T I.371; one atomic each) */

enum rate_kind { RATE_REQUESTS, RATE_TOKENS, RATE_RUNNING, RATE_KINDS };

struct rate_refusal {
    uint8_t layer, kind;        /* enum rate_kind */
    uint64_t wait_ns;           /* until it would be admitted; 0 unknown (concurrency) */
};

/* Admit one request by every rate of the path: counts it in all, or in none (false). now_ns is
 * monotonic. A request that was admitted and counts as running ends by budget_rates_end. */
MUST_USE bool budget_rates_begin(struct budget *b, const struct budget_path *path,
                                 uint64_t now_ns, struct budget_hold *hold,
                                 struct rate_refusal *why);
/* It ended, with so many tokens: before budget_settle, whose pin it needs. Once, where
 * hold->rated. */
void budget_rates_end(struct budget *b, struct budget_hold *hold, const struct unit_path *path,
                      uint64_t now_ns, uint64_t tokens);

struct rate_look {              /* the tightest of a kind on a path; limit 0: there is none */
    uint32_t limit, remaining;
    uint64_t reset_ns;          /* until all of it is there again */
};
/* What the path's rates leave of requests or tokens. */
void budget_rates_see(const struct budget *b, const struct budget_path *path,
                      enum rate_kind kind, uint64_t now_ns, struct rate_look *look);

#endif
