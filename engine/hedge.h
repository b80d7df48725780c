/* hedge.h - routing.hedge: a stream whose first content is late, measured by what is known of
 * its endpoint, is asked of a second candidate too, as a twin (twin.h); the first real content
 * wins, the other one is cancelled in the same turn, and booked.
 * When: in latency mode (or always); after the percentile routing.hedge.after of the endpoint's
 * times to the first content, once HEDGE_EVIDENCE of them are known; for streams alone (a whole
 * answer's first content comes with its last, and its time is its length); where the plan has
 * another candidate that keeps to the quality floor; not in a cascade, whose candidates have
 * parts of their own; never where the request may change something at the provider, or makes
 * it do what is billed besides (net/dialect/api_state.h).
 * How much: routing.hedge.max_share of the organisation's spend, and of its requests, by a
 * per-core account (route/allowance.h). */
#ifndef ENGINE_HEDGE_H
#define ENGINE_HEDGE_H

#include "engine/stats.h"

struct core;
struct exchange;

enum { HEDGE_EVIDENCE = 16 };      /* answers */

/* x's attempt went out: sets when somebody else is asked too. */
void hedge_arm(struct core *core, struct exchange *x);
/* That time has come, and nothing was heard. x stays as it is. */
void hedge_ask(struct core *core, struct exchange *x);
/* The lead and its twin change places. */
void hedge_swap(struct exchange *a, struct exchange *b);
/* A twin was booked: what it took of the allowance is settled. */
void hedge_over(struct core *core, struct exchange *twin);
/* A request ended, and was booked. */
void hedge_pay(struct core *core, const struct exchange *x);

#endif
