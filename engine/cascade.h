/* cascade.h - cheap first: an answer of a cheap model is looked at before the client has any of
 * it, and where it will not do, the stronger model behind it in the plan is asked. Will not do:
 * cut off by the output limit, a refusal, no JSON or not of the schema (rec.outcome:
 * net/dialect/api.h checks all that anyway); with `agree: K`, not more than half of K cheap
 * answers say the same (net/translate/agree.h). Those are asked at the same time, as twins
 * (twin.h).
 * Streams are held back until the verdict: the client's comments keep it awake.
 * Every call is booked to the caller; a stronger model that the budget does not afford leaves
 * the cheap answer, said in x-weir-cascade. */
#ifndef ENGINE_CASCADE_H
#define ENGINE_CASCADE_H

#include "engine/stats.h"

struct core;
struct exchange;

/* x is planned: does it go through a cascade? Makes its twins. Before attempt_next(). */
void cascade_begin(struct core *core, struct exchange *x);
/* Must x's answer be held until it is all there? */
bool cascade_holds(const struct exchange *x);
/* x's answer is all there (x->answer), read and priced, and is not sent yet. True: it is the
 * one, send it. False: it waits for others, or somebody else is asked; x may be over. */
MUST_USE bool cascade_takes(struct core *core, struct exchange *x);

#endif
