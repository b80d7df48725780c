/* clock.h - the two clocks, as a link-time seam (clock_real.c; simulated in tests/sim). A core
 * reads them once a turn. */
#ifndef ENGINE_CLOCK_H
#define ENGINE_CLOCK_H

#include <stdint.h>

/* Monotonic time, ns. Never steps. */
uint64_t clock_now_ns(void);
/* Wall clock, ns since 1970-01-01 UTC. May step. */
uint64_t clock_unix_ns(void);

#endif
