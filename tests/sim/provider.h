/* provider.h - the simulated providers: what becomes of a dial, and what is answered to a
 * request, good or bad, whole or cut off, in pieces and pauses. */
#ifndef TESTS_SIM_PROVIDER_H
#define TESTS_SIM_PROVIDER_H

#include "tests/sim/wire.h"

struct host;

enum { PROVIDER_ENDS = 160 };  /* connections to providers at once */

/* As new; wire()'s callbacks are set. */
void provider_begin(void);
/* The addresses of the host that has several. */
void provider_addresses(struct host *h);
/* Let connection i go on, if it is its time. Gives whether it did something. */
bool provider_step(int i);
/* When connection i wants to go on; UINT64_MAX: not by itself. */
uint64_t provider_next(int i);
/* Connections that providers hold. */
int provider_count(void);
/* No more stalls and no new tricks: what is under way ends soon. */
void provider_calm_down(void);

#endif
