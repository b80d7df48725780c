/* look.h - what the admin API and /metrics show of the live engine. Worker and store
 * threads. */
#ifndef ENGINE_LOOK_H
#define ENGINE_LOOK_H

#include "net/bytes.h"
#include "store/store.h"

struct admin_explain;
struct engine;
struct jsonw;
struct metrics;
struct record;

/* Make the struct admin_host that lends the engine to the handlers (heap). NULL: no memory. */
void *look_host(struct engine *engine);
/* Prometheus text (format 0.0.4) of everything: gives malloc'ed *text, or NULL. */
void look_metrics(struct engine *engine, char **text, size_t *len);
/* Worker. What the router would do now with a request (admin.h struct admin_host explain). */
bool look_explain(struct engine *engine, const struct admin_explain *q, struct jsonw *w,
                  char *why, size_t room, char *pointer);
/* Worker. The live score table, of one provider, of one model ("provider/model" or a bare id)
 * or of all (empty); tenant: an organisation of which to say what was learned, or 0. */
void look_routes(struct engine *engine, struct bytes provider, struct bytes model,
                 store_id tenant, struct jsonw *w);
/* Make the table of what only finished records tell (boot, heap). */
struct metrics *metrics_make(void);
/* Store thread: count a folded record. */
void metrics_see(struct metrics *m, const struct record *r);
/* A new client key's secret, "sk-weir-" and 43 letters and digits, into out (64 bytes). */
void look_secret(char *out);

#endif
