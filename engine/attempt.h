/* attempt.h - asking one candidate after another: waiting for room at it, composing the
 * provider's request, moving on when it fails, and the error when none is left. */
#ifndef ENGINE_ATTEMPT_H
#define ENGINE_ATTEMPT_H

#include "engine/stats.h"

struct core;
struct exchange;

/* Ask the next candidate (from x->plan_next on); answers the client when none is left. */
void attempt_next(struct core *core, struct exchange *x);
/* The current attempt failed before the commit. status: the provider's, 0 none. retry_ms: how
 * long the endpoint asks for quiet, 0 unsaid. Repeats it with another key or a fresh connection
 * where that may help, else moves on. The upstream is closed here when it still is open. */
void attempt_failed(struct core *core, struct exchange *x, enum attempt_end end,
                    unsigned status, uint64_t retry_ms);
/* May those of x's candidates whose failure passes be asked once more, when none is left? In
 * the mode availability, once. */
bool attempt_may_repeat(const struct exchange *x);
/* The current attempt broke after the commit, as end says, and was billed: ask who can go on
 * with it. Answers the client when none is left. */
void attempt_onward(struct core *core, struct exchange *x, enum attempt_end end);
/* Why a stream ends whose attempt ended like that after the commit. */
enum close_why attempt_close(enum attempt_end end);
/* The endpoint answered well: breaker, counters. Once an attempt. */
void attempt_good(struct core *core, struct exchange *x);
/* x waits for room, and there may be some: ask, or go on to the next candidate where this one
 * cannot be asked any more. False: there is none, it waits on. */
MUST_USE bool attempt_woken(struct core *core, struct exchange *x);
/* It has waited as long as it may; or, shed, somebody more urgent has its place: to the next
 * candidate. */
void attempt_waited(struct core *core, struct exchange *x, bool shed);
/* Milliseconds a Retry-After value asks for (RFC 9110 section 10.2.3: seconds or a date); 0 for
 * anything else. */
uint64_t attempt_retry_ms(struct bytes value, uint64_t unix_ns);
/* How long a refusal's body asks for, in google.rpc.RetryInfo ("retryDelay": "12.5s"); within
 * the cap as above, 0 where it says nothing. */
uint64_t attempt_retry_info_ms(struct bytes body);

#endif
