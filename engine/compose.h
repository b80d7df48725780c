/* compose.h - the request as one provider gets it: its address and key, the client's own header
 * fields but for those that stop here, and the client's body with at most a few spliced
 * edits. */
#ifndef ENGINE_COMPOSE_H
#define ENGINE_COMPOSE_H

#include "engine/stats.h"

struct core;
struct exchange;

/* Queue the request of x for its current model and key on x->u. The body is borrowed from
 * x->body. False: out of memory (what was queued stays with u, which is to be closed). */
MUST_USE bool compose_request(struct core *core, struct exchange *x);
/* May a client's header field of this name go on to a provider? (Connection fields may nominate
 * further names that stop here.) */
bool compose_passes(struct bytes name);

#endif
