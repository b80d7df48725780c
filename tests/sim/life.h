/* life.h - the engine in the simulation: started on a data directory, turned by hand, published
 * to, killed at any instant, started again on the same data, drained. */
#ifndef TESTS_SIM_LIFE_H
#define TESTS_SIM_LIFE_H

#include "engine/engine.h"

enum { LIFE_CORES_MAX = 3, LIFE_LIVES_MAX = 8 };

struct life {
    struct engine *engine;         /* NULL: it is down */
    uint64_t due_ns[LIFE_CORES_MAX + 1];   /* by when a core turns; the last: the admin core */
    uint64_t store_ns;             /* by when the store does */
    uint64_t seen[LIFE_CORES_MAX]; /* records of each journal that the model knows */
    uint64_t attempts[LIFE_CORES_MAX];     /* of those: that ended no request */
    uint64_t offered_ns;           /* when the newest tables were published; 0: adopted */
    uint64_t admitted[LIFE_LIVES_MAX];     /* requests, by life */
    uint64_t handoffs, reused, no_buffers, waits, shed, hedges; /* of all */
    uint32_t lives, cores;
    char dir[256], secret[80];
};

/* The one engine. */
struct life *life(void);
/* Nothing was ever started; dir: where the data will be. */
void life_begin(const char *dir);
/* Start it: what an earlier life left is recovered first. */
void life_start(void);
/* Turn core i (life()->cores: the admin core) once. False: the process died within. */
bool life_turn(uint32_t i);
/* When core i wants to turn; 0: now. */
uint64_t life_next(uint32_t i);
/* One round of the store thread. False: the process died within. */
bool life_store(void);
/* kill -9. */
void life_kill(void);
/* Publish a new configuration. */
void life_publish(void);
/* SIGTERM: cores end when their requests have. */
void life_drain(void);
/* The second SIGTERM: they end at once, with every request booked. */
void life_hurry(void);
/* Have the cores ended, after life_drain()? */
bool life_drained(void);
/* The end after a drain: everything folded, the store closed. Then the ledger is compared with
 * the model. */
void life_end(void);
/* The ledger as it is on disk against the model; recovered: rows may be new to it. */
void life_audit(bool recovered);

#endif
