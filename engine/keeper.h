/* keeper.h - the threads beside the cores: the store thread (folds journals into LMDB in group
 * commits, runs admin changes, expires old rows), the worker (admin reads), the resolvers. */
#ifndef ENGINE_KEEPER_H
#define ENGINE_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct keeper;

/* The store's state without its thread; engine->keeper is it from now on. NULL: out of
 * memory. */
struct keeper *keeper_make(struct engine *engine);
/* One round of the store thread, after a wait for work: admin changes, the group commit when it
 * is due, expiry when it is due. False: the commit failed, and will be tried again. */
bool keeper_step(struct keeper *k);
/* Store thread: fold everything that is there, now. False: the store failed. */
bool keeper_fold(struct keeper *k);
/* Start them all. NULL: a thread could not be made. */
struct keeper *keeper_start(struct engine *engine);
/* Stop the worker and the resolvers, fold what is left, stop the store thread; the cores have
 * ended before.
 * takes k. False: records remain in the journals (they are folded at the next start). */
bool keeper_stop(struct keeper *k);

#endif
