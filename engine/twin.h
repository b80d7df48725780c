/* twin.h - one request that is asked at several places at once. A twin is an exchange without a
 * client: it has a copy of the request, a plan, a reservation and an entry in the journal of
 * its own, and runs like any other up to the point where it would answer. The lead has the
 * client; which of them that is can change (twin_promote): the winner takes it over.
 * Uses: hedging (the first real content wins) and cascade.h (answers that are compared).
 * Rules: every exchange of a family ends once; the lead's end is the request's row, a twin's
 * end is a RECORD_ATTEMPT with the same exchange id, booked as an estimate if it was cut
 * short, and charged (a loser that had not begun to answer owes its prompt, as a client that
 * leaves does). The client's end is the end of all. Rates (rpm, concurrency) count a family as
 * one request. */
#ifndef ENGINE_TWIN_H
#define ENGINE_TWIN_H

#include "engine/stats.h"

struct core;
struct exchange;

/* Make a twin of x, which has not committed, and whose request is still all there: for
 * candidates [from, from + count) of x's plan, which x itself will not ask any more. It does
 * not ask yet: attempt_next(). NULL: no slot, memory, or room in the journal. */
struct exchange *twin_make(struct core *core, struct exchange *x, unsigned from,
                           unsigned count);
/* The twin takes over the client, with all that belongs to it, and becomes the lead; the old
 * lead becomes its twin. */
void twin_promote(struct core *core, struct exchange *twin);
/* x, of a family, is about to commit, or has its whole answer: it is the one that answers. It
 * becomes the lead where it was not; all others are cancelled in this turn and booked. */
void twin_wins(struct core *core, struct exchange *x);
/* x, of a family, has no candidate left. True: another one goes on, x is over. False: x was the
 * last, is the lead now, and answers the error. */
MUST_USE bool twin_fails(struct core *core, struct exchange *x);
/* End a twin: cancelled, booked. Not for the lead. */
void twin_end(struct core *core, struct exchange *twin, enum close_why why);
/* The lead is over, however: so are its twins. */
void twin_end_all(struct core *core, struct exchange *lead);

/* Hedging (routing.hedge): x's attempt went out; when to ask somebody else too (0: not), by
 * what is learned of its endpoint. Never for requests that change something at the provider
 * (api_changes_state()). */
void twin_hedge_arm(struct core *core, struct exchange *x);
/* That time has come, and nothing was heard. */
void twin_hedge(struct core *core, struct exchange *x);

#endif
