/* rand.h - randomness as a link-time seam (rand_real.c; seeded in tests/sim). */
#ifndef ENGINE_RAND_H
#define ENGINE_RAND_H

#include <stddef.h>
#include <stdint.h>

/* Fill out with len bytes fit for secrets. Never fails (aborts where the kernel has none). */
void rand_secret(void *out, size_t len);

/* A fast generator for ids and jitter: splitmix64 (Steele, Lea, Flood 2014). state is the
 * caller's, seeded by rand_secret. Gives 64 bits. */
uint64_t rand_next(uint64_t *state);

#endif
