/* compose.h - the request as one provider gets it: its address and key, the client's own header
 * fields but for those that stop here, and the client's body with at most a few spliced
 * edits. */
#ifndef ENGINE_COMPOSE_H
#define ENGINE_COMPOSE_H

#include "engine/stats.h"

struct core;
struct exchange;
struct http_head;
struct path;

/* Keep what every attempt needs of the client's head in x->kept: its field lines that go on,
 * its query without a key, the model in Gemini's path. copies. False: no room for it. */
MUST_USE bool compose_keep(struct core *core, struct exchange *x, const struct http_head *head,
                           const struct path *path);
/* The model in Gemini's path, as the client wrote it. Borrows until something else is kept. */
struct bytes compose_path_model(const struct exchange *x);
/* Undo what an attempt before did to x->body, and forget what it kept behind the request. */
void compose_restore(struct core *core, struct exchange *x);
/* The body as the client sent it, piece by piece, though its beginning may be overwritten where
 * it lies, and on its way to a provider just now. visit borrows, and ends it with false. Gives
 * what it gave last. */
bool compose_original(const struct core *core, const struct exchange *x,
                      bool (*visit)(void *arg, struct bytes piece), void *arg);
/* Queue the request of x for its current model and key on x->u. The body is borrowed from
 * x->body; of a translated one it is x->wire, which u takes. False: out of memory (what was
 * queued stays with u, which is to be closed). */
MUST_USE bool compose_request(struct core *core, struct exchange *x);

#endif
