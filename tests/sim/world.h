/* world.h - one run: the engine with its cores and its store, its clients and its providers,
 * stepped in one thread in an order drawn from the seed, from the first start to the last
 * record. */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "engine/stats.h"
#include "tests/sim/available.h"
#include "tests/sim/machine.h"

struct summary {                   /* what came of a run, or of many */
    uint64_t hash;                 /* of the trace */
    uint64_t sweeps, turns, virtual_ms, asks, kills, publishes, handoffs, reused, no_buffers;
    uint64_t waits, shed;          /* for room at providers; refused a place to wait */
    uint64_t hedges, onward;       /* asked of a second one; gone on with by another */
    uint64_t taken, escalated;     /* in cascades: a cheap answer, the strong one */
    uint64_t faults[FAULTS];       /* how often each happened */
    uint64_t changes, rolls;       /* of limits; of windows */
    uint64_t refusals[REFUSALS];
    uint64_t closes[CLOSE_COUNT];  /* rows by their ending */
    struct available available;    /* what came of the requests, one by one */
};

/* Run one seed with its data in the directory dir, which is empty. Ends the process where a
 * checker is violated. */
void world_run(uint64_t seed, const char *dir, struct summary *out);

#endif
