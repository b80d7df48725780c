/* answer.h - what a provider sends back: its head, whole answers, refusals. Streams go on in
 * stream.h. */
#ifndef ENGINE_ANSWER_H
#define ENGINE_ANSWER_H

#include "engine/stats.h"

struct core;
struct exchange;
struct http_head;

/* Keep what goes on of the provider's head until the commit: its field lines for the client,
 * its request id under another name. ATTEMPT_GOOD, or why not: ATTEMPT_LARGE,
 * ATTEMPT_NO_ROOM. */
MUST_USE enum attempt_end answer_keep(struct core *core, struct exchange *x,
                                      const struct http_head *head);
/* The same for lines of our own instead of a provider's. copies. */
MUST_USE bool answer_keep_lines(struct core *core, struct exchange *x, struct bytes lines);
/* Compose the head of the client's answer from the provider's lines that were kept and our own
 * fields into c->out. length: of the body; UINT64_MAX: chunked (close-delimited for HTTP/1.0).
 * cost_nusd < 0: unknown yet. False: out of memory. */
MUST_USE bool answer_head(struct core *core, struct exchange *x, unsigned status,
                          uint64_t length, int64_t cost_nusd);
/* Append b to the client's body with the framing the head announced. copies. */
MUST_USE bool answer_body(struct core *core, struct exchange *x, struct bytes b);
/* The last framing of the client's body. */
MUST_USE bool answer_end(struct core *core, struct exchange *x);
/* All of the answer was handed on: price, record, last framing, in this order. drain: the
 * provider's own framing is still awaited (exchange_finish). */
void answer_complete(struct core *core, struct exchange *x, bool drain);
/* The whole answer in x->answer, read and priced, is what the client gets. usage_at: where its
 * usage object ends; 0: there is none. Ends x. */
void answer_deliver(struct core *core, struct exchange *x, uint64_t usage_at);
/* A piece of the provider's body, framing removed. False when the attempt ended in it. */
MUST_USE bool answer_piece(struct core *core, struct exchange *x, struct bytes piece,
                           uint32_t buf);
/* The provider's body ended as its framing said. */
void answer_done(struct core *core, struct exchange *x);

#endif
