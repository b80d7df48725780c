/* maybe.h - points at which the simulation (tests/sim) may interfere: the world fails where it
 * seldom does, the process dies between two steps, or a bug that we planted shows. Only objects
 * compiled with WEIR_SIM have them; in the product they are constants and leave no code. */
#ifndef STORE_MAYBE_H
#define STORE_MAYBE_H

#include <stdbool.h>

#ifdef WEIR_SIM
/* Does the world fail here, this time? */
bool sim_maybe(const char *name);
/* Is the bug of that name planted, and does it show this time? */
bool sim_plant(const char *name);
/* The process may be killed here: then this does not return. */
void sim_death(const char *name);
#define MAYBE(name) sim_maybe(#name)
#define PLANT(name) sim_plant(#name)
#define DEATH(name) sim_death(#name)
#else
#define MAYBE(name) false
#define PLANT(name) false
#define DEATH(name) ((void)0)
#endif

#endif
