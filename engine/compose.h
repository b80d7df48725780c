/* compose.h - the request as one provider gets it: its address and key, the client's own header
 * fields but for those that stop here, and the client's body with at most a few spliced edits. */
#ifndef ENGINE_COMPOSE_H
#define ENGINE_COMPOSE_H

#include "engine/stats.h"

struct core;
struct exchange;

/* Queue the request of x for its current model and key on x->u. The body is borrowed from x->body.
 * False: out of memory (what was queued stays with u, which is to be closed). */
MUST_USE bool compose_request(struct core *core, struct exchange *x);
/* Does a client's header field go on to a provider? fields: all field lines of its head, where
 * Connection fields may nominate the name as hop-by-hop (RFC 9110 section 7.6.1). */
bool compose_passes(struct bytes name, struct bytes fields);

#endif
