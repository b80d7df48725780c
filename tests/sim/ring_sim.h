/* ring_sim.h - what the world and its checkers see of a simulated ring; ring.h has the rest. */
#ifndef TESTS_SIM_RING_SIM_H
#define TESTS_SIM_RING_SIM_H

#include "engine/ring.h"

/* The kernel works: bytes of sends under way go out where there is room now. */
void ring_sim_pump(struct ring *r);
/* Would ring_wait() find something to do now? *at_ns: no; when it may (UINT64_MAX never). */
bool ring_sim_ready(const struct ring *r, uint64_t *at_ns);
/* Operations under way, or queued, of a slot and generation, of the operations in a bit set. */
uint32_t ring_sim_inflight(const struct ring *r, uint32_t ops, uint32_t slot,
                           uint32_t generation);
/* Descriptors queued to be closed. */
uint32_t ring_sim_closing(const struct ring *r);
/* Descriptors on their way between two rings. */
uint32_t ring_sim_passing(const struct ring *r);

#endif
