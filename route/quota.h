/* quota.h - the room at one key of a provider: how many requests run there, and how much of a
 * minute's requests and tokens is used, against what its operator says that it takes
 * (providers[].concurrency, rpm, tpm). One object a key, shared by all cores: relaxed atomics
 * and compare-and-swap only; time is the caller's.
 * Requests count against rpm when they are asked, tokens as estimated when they are asked and
 * as told when they end. Both refill evenly: N at once, then one every 60/N seconds. */
#ifndef ROUTE_QUOTA_H
#define ROUTE_QUOTA_H

#include "net/bytes.h"

#include <stdatomic.h>

struct quota_limits {          /* 0: no limit */
    uint64_t tpm;
    uint32_t rpm, concurrency;
};

struct quota {                 /* all zero: nothing runs, nothing is used. A line of its own */
    _Alignas(64) _Atomic uint64_t requests_ns;   /* when all of a minute's requests are ... */
    _Atomic uint64_t tokens_ns;                  /* ... and its tokens would be there again */
    _Atomic uint32_t running;
    _Atomic uint32_t usual_us;                   /* how long a request runs here, averaged */
};

enum quota_lack { QUOTA_ROOM, QUOTA_CONCURRENCY, QUOTA_REQUESTS, QUOTA_TOKENS };

struct quota_hold {            /* what one request holds; all zero: nothing */
    struct quota *at;
    uint64_t since_ns, tpm;    /* tpm as it was when tokens were put in */
    uint64_t tokens;
    bool runs;                 /* it counts in at->running */
};

/* Take room for one request of about `tokens` tokens. QUOTA_ROOM, and *hold (all zero before)
 * says what it holds until quota_give; or what is lacking, and *wait_ns is how long until there
 * is room (at least 1; of concurrency as requests usually end). A request is never too large
 * for tpm: it is asked when the minute has room at all. */
MUST_USE enum quota_lack quota_take(struct quota *q, const struct quota_limits *l,
                                    uint64_t now_ns, uint64_t tokens, struct quota_hold *hold,
                                    uint64_t *wait_ns);
/* How long until there is room for one more (0: there is), and in *each_ns how much later for
 * each that comes after it: of concurrency as requests usually end here, else as the minute
 * passes. Nothing is taken; *what is lacking. */
uint64_t quota_wait(const struct quota *q, const struct quota_limits *l, uint64_t now_ns,
                    uint64_t tokens, enum quota_lack *what, uint64_t *each_ns);
/* The request ended at its provider, having used so many tokens: give back what it holds.
 * Nothing held is fine. */
void quota_give(struct quota_hold *hold, uint64_t now_ns, uint64_t tokens);
/* In words: "its concurrency", "its requests a minute". Static text. */
const char *quota_words(enum quota_lack lack);

#endif
