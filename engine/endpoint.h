/* endpoint.h - one key of a candidate's provider: may it be asked now, is there room, and what
 * its answers teach all cores about it (route/breaker.h, route/quota.h).
 * A request that began with an older configuration asks and teaches by the words of the newest
 * one, where that still has model and key: what one learns after a reload, all know. */
#ifndef ENGINE_ENDPOINT_H
#define ENGINE_ENDPOINT_H

#include "engine/stats.h"

struct core;
struct exchange;
struct http_head;

enum endpoint_verdict {
    ENDPOINT_TAKEN,            /* x->key is to be asked; its room is held */
    ENDPOINT_QUIET,            /* every key was tried or cools down */
    ENDPOINT_FULL,             /* one may be asked as soon as there is room */
    ENDPOINT_OFF,              /* the operator took it out of rotation since it was planned */
};

struct endpoint_lack {         /* of the key that has room first */
    uint64_t wait_ns;          /* until then, for who is first; of concurrency a guess */
    uint64_t each_ns;          /* later for each who is before, all keys together */
    uint8_t what;              /* enum quota_lack */
};

/* Choose a key of x's candidate that was not tried yet; keys rotate. Providers without keys
 * have one place. turn: x waited for room, and it is its turn. */
MUST_USE enum endpoint_verdict endpoint_take(struct core *core, struct exchange *x, bool turn);
/* What lacks at x's candidate now, of the keys that it has not tried; nothing is taken. */
struct endpoint_lack endpoint_wait(const struct core *core, const struct exchange *x);
/* The request has ended there, having used so many tokens: its room is free. Nothing held is
 * fine. */
void endpoint_leave(struct core *core, struct exchange *x, uint64_t tokens);
/* Milliseconds until the first key of x's candidate may be asked. */
uint64_t endpoint_quiet_ms(const struct core *core, const struct exchange *x);
/* It answered well. */
void endpoint_good(struct core *core, struct exchange *x);
/* The request ended without a verdict on it: whoever asks next may probe. */
void endpoint_void(struct core *core, struct exchange *x);
/* The attempt failed: what that says about it. status: the provider's, 0 none. retry_ms: how
 * long it asks for quiet, 0 unsaid. */
void endpoint_judge(struct core *core, struct exchange *x, enum attempt_end end,
                    unsigned status, uint64_t retry_ms);
/* The head of an answer came: what it says of the room that is left, for the scores. A limit
 * that is used up cools the key for this model until it is said to be whole again (within the
 * breaker's cap): nobody need be told 429 to know. Gives that time in ms, also of a 429, which
 * cools by endpoint_judge(); 0: there is room. */
uint32_t endpoint_heard(struct core *core, struct exchange *x, const struct http_head *head);

#endif
