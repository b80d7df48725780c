/* twin.h - one request that is asked at several places at once. A twin is an exchange without a
 * client: it has a copy of the request, a part of the plan, a reservation and an entry in the
 * journal of its own, and runs like any other up to the point where it would answer. The lead
 * has the client; which of them that is can change (twin_promote): the winner takes it over.
 *   made -> asks -> wins: is the lead           -> answers
 *                -> fails: merged into its lead  (twin_fails)
 *                -> ended: cancelled, booked     (twin_end)
 * Uses: hedging (hedge.h: the first real content wins) and cascade.h (answers that are
 * compared).
 * Rules: every exchange of a family ends once; the lead's end is the request's row, a twin's
 * end is a RECORD_ATTEMPT with the same exchange id, booked as an estimate if it was cut
 * short, and charged (a loser that had not begun to answer owes its prompt, as a client that
 * leaves does). The client's end is the end of all. Rates (rpm, concurrency) count a family as
 * one request, routing.max_attempts bounds all of it together. */
#ifndef ENGINE_TWIN_H
#define ENGINE_TWIN_H

#include "engine/stats.h"

struct core;
struct exchange;

enum { TWIN_BODY_MAX = 1 << 20 };  /* bytes of a request that is copied */

/* Make a twin of x, a lead that has not committed, and whose request is still all there: for
 * candidates [from, from + count) of x's plan, from >= x->plan_next, which x itself will not
 * ask any more. It does not ask yet: attempt_next(), which may end it. NULL: no slot, memory,
 * or room in the journal; x keeps its plan. */
MUST_USE struct exchange *twin_make(struct core *core, struct exchange *x, unsigned from,
                                    unsigned count);
/* Who has the client in x's family: x, where it has none. */
struct exchange *twin_lead(struct exchange *x);
/* The candidates that loser did not ask are asked by x, should it come to that: behind its own,
 * as many as there is room for. Gives how many; loser keeps them too. */
unsigned twin_inherit(struct exchange *x, const struct exchange *loser);
/* The twin takes over the client, with all that belongs to it, and becomes the lead; the old
 * lead becomes its twin. */
void twin_promote(struct core *core, struct exchange *twin);
/* x is about to commit, or has its whole answer: it is the one that answers. It becomes the
 * lead where it was not; all others are cancelled in this turn, and booked for that reason; it
 * has the candidates that they did not ask. Without a family nothing happens. */
void twin_wins(struct core *core, struct exchange *x, enum close_why others);
/* x has no candidate left. True: another one of its family goes on, x is over. False: x has
 * none, or was the last; it is the lead now, and answers the error. */
MUST_USE bool twin_fails(struct core *core, struct exchange *x);
/* End a twin: cancelled, booked. Not for the lead. */
void twin_end(struct core *core, struct exchange *twin, enum close_why why);
/* The lead is over, however: so are its twins. */
void twin_end_all(struct core *core, struct exchange *lead, enum close_why why);
/* Candidates that were asked, by all of x's family. */
unsigned twin_attempts(const struct exchange *x);
/* Has the client of x, or of its lead, a head already? */
bool twin_head_sent(const struct exchange *x);

#endif
