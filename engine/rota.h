/* rota.h - who is in rotation: states of providers and models, which the store keeps by name,
 * brought into every published version of the tables. What an operator takes out is out of
 * every core's plans before the call is answered, and stays so over reloads and restarts.
 *   store -> tables.provider_state, model_state and the scores of each version; hosts
 * The main and store threads and the worker (a reload); cores only read what it sets. */
#ifndef ENGINE_ROTA_H
#define ENGINE_ROTA_H

#include <stdbool.h>

struct engine;
struct rota;
struct tables;

/* Make it (boot, heap). NULL: no memory. */
struct rota *rota_make(void);
/* While one thread has it, no other publishes or frees a version, or changes states.
 * NULL is fine, where there is but one thread. */
void rota_lock(struct rota *r);
/* The other way. */
void rota_unlock(struct rota *r);
/* Bring the states that are in the store into a version that no core has yet, and its hosts.
 * Under the lock, until it is published. False: the store cannot be read (db->why), or there is
 * no memory; then it has those of the version before. */
bool rota_take(struct engine *e, struct tables *t);
/* States were committed: bring them into every version, now. Store thread. False: as above. */
bool rota_commit(struct engine *e);

#endif
