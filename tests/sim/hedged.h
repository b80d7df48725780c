/* hedged.h - runs in which streams begin late, and somebody else is asked too. */
#ifndef TESTS_SIM_HEDGED_H
#define TESTS_SIM_HEDGED_H

#include "tests/sim/model.h"

struct core;
struct tables;

/* What routing says of it. */
void hedged_config(struct text *t);
/* All endpoints are known to be fast, by so many cores. */
void hedged_teach(const struct tables *t, uint32_t cores);
/* How long a provider waits before it begins, nanoseconds. */
uint64_t hedged_pause_ns(void);
/* A core turned: violates "hedge" where more was asked twice than its share. */
void hedged_after(const struct core *core, uint64_t ended);

#endif
