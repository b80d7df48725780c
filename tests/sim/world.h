/* world.h - one run: the engine with its cores and its store, its clients and its providers,
 * stepped in one thread in an order drawn from the seed, from the first start to the last
 * record. */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include <stdint.h>

/* Run one seed with its data in the directory dir, which is empty. Ends the process where a
 * checker is violated; gives the hash of the trace. */
uint64_t world_run(uint64_t seed, const char *dir);
/* What the run was, to stdout. */
void world_tell(void);

#endif
