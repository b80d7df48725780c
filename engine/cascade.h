/* cascade.h - cheap first: an answer of a cheap model is looked at before the client has any of
 * it, and where it will not do, the stronger model behind it in the plan is asked. Will not do:
 * cut off by the output limit, a refusal, no JSON or not of the schema (rec.outcome:
 * net/dialect/api.h checks all that anyway); with `agree: K`, K cheap answers that do not all
 * say the same (net/translate/agree.h). Those are asked at the same time, as twins (twin.h).
 *   cheap: asked -> all there -> taken              -> sent
 *                             -> parked: it waits   -> sent: others agree, or the strong one
 *                                  for the others            failed or is not affordable
 *                                                   -> ended: others answer
 *                -> failed: none can be agreed on
 *   strong: asked once nothing else will do         -> sent as it comes
 * Streams are held back like whole answers, up to limits.hold, and comments keep their client
 * awake; one that is longer goes out unchecked.
 * Every call is booked to the caller; what was done is said in x-weir-cascade. */
#ifndef ENGINE_CASCADE_H
#define ENGINE_CASCADE_H

#include "engine/stats.h"

struct bytes;
struct core;
struct exchange;
struct http_out;

/* x is planned, and its check is begun: ask, cheap ones first where the plan has some. */
void cascade_begin(struct core *core, struct exchange *x);
/* Must x's answer be held until it is all there? */
bool cascade_holds(const struct exchange *x);
/* One event of a stream that is held: its name, and its data, in one piece. */
void cascade_event(struct core *core, struct exchange *x, struct bytes name,
                   struct bytes data);
/* The attempt begins anew: what was heard of the last one is nothing. Also releases. */
void cascade_forget(struct core *core, struct exchange *x);
/* x's answer is all there (x->answer), and read, and is not sent yet. usage_at: where a whole
 * one's usage object ends. True: it is the one, send it. False: it waits for others, or
 * somebody else answers; x may be over. */
MUST_USE bool cascade_takes(struct core *core, struct exchange *x, uint64_t usage_at);
/* x's answer is longer than may be held: it goes out as it is. */
void cascade_unchecked(struct exchange *x);
/* x is about to ask its next candidate: where it is the cheap lead, and has failed, that is the
 * strong one. False: it had better not; it has none any more. */
MUST_USE bool cascade_goes_on(struct exchange *x);
/* x, the strong one, has no candidate left. True: a cheap answer is sent, x is over. */
MUST_USE bool cascade_rescues(struct core *core, struct exchange *x);
/* A twin of lead is over that had failed: what becomes of the others? */
void cascade_lost(struct core *core, struct exchange *lead);
/* The reason that a twin's record has, where it is ended for `why`. */
enum close_why cascade_reason(const struct exchange *twin, enum close_why why);
/* What is learned of the twin's model, whose answer was not taken: enum api_outcome bits of its
 * record; 0: nothing, for the request taught already, or only others said something else. */
uint8_t cascade_sign(struct core *core, struct exchange *twin);
/* x-weir-cascade. */
void cascade_field(struct http_out *o, const struct exchange *x);

#endif
