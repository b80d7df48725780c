/* observe.h - what an exchange shows the router: the score table of its core learns how an
 * endpoint did (time to the first content, speed, errors, what is in flight), and the table of
 * conversations where this one was answered. Numbers only. Without scores (tests) nothing is
 * learned. */
#ifndef ENGINE_OBSERVE_H
#define ENGINE_OBSERVE_H

#include "engine/stats.h"

struct core;
struct exchange;

/* An attempt goes out to x->model with x->key. */
void observe_begin(struct core *core, struct exchange *x);
/* Its first content came: once an attempt, later calls are passed. */
void observe_first(struct core *core, struct exchange *x);
/* The endpoint failed. Not called where nothing can be said of it: the client left, the request
 * was at fault, or we were short of something. */
void observe_failed(struct core *core, struct exchange *x);
/* Nothing came in so long, and the client, or its deadline, waits no longer: much longer than
 * usual is a failure, less says nothing. Its time is not learned of it, else what is usual
 * would soon be silence. */
void observe_silence(struct core *core, struct exchange *x, uint64_t waited_ns);
/* The provider said how much of its rate limit is left, of SCORE_ONE, and in how many ms that
 * is whole again. */
void observe_room(struct core *core, struct exchange *x, uint32_t room, uint32_t reset_ms);
/* The attempt is over, however it ended; calling again is allowed. */
void observe_end(struct core *core, struct exchange *x);
/* The exchange is booked, with why it ended: what its last attempt says of the endpoint, and
 * who has the conversation. That attempt is over. */
void observe_booked(struct core *core, struct exchange *x, enum close_why why);

#endif
