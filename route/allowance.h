/* allowance.h - how much an organisation may still spend on what it did not ask for (hedges): a
 * share of what it spends, and of its requests. Each request that ends pays its share in; each
 * second one takes its expected cost, and one request, out before it begins, and gives back
 * what it did not cost. So at any time
 *   cost of losers <= share x spend + what those that run cost beyond their expectation.
 * Who never needed any saves up no more than ALLOWANCE_REQUESTS_MAX requests: when a provider
 * turns slow for everybody, that many are sent twice, then the share of those that follow.
 * Model: a table of one core's own, a place per organisation by its hash; who needs a place
 * that is another's begins with nothing. Integers only. */
#ifndef ROUTE_ALLOWANCE_H
#define ROUTE_ALLOWANCE_H

#include "net/bytes.h"

enum {
    ALLOWANCES = 256,                  /* organisations; a power of two */
    ALLOWANCE_ONE = 1000000,           /* a share, or a request, of 1 */
    ALLOWANCE_REQUESTS_MAX = 64,
};

struct allowance {                     /* all zero: nobody's */
    uint64_t org;
    int64_t nusd;                      /* nano-dollars left; below 0: owed */
    int64_t requests;                  /* of ALLOWANCE_ONE */
};

struct allowances { struct allowance at[ALLOWANCES]; };

/* A request of org, not 0, ended, and cost so much: share (0..ALLOWANCE_ONE) of it, and of a
 * request, is paid in. */
void allowance_pay(struct allowances *a, uint64_t org, int64_t cost_nusd, uint32_t share);
/* Take one request that is expected to cost so much. False: org has not enough. */
MUST_USE bool allowance_take(struct allowances *a, uint64_t org, int64_t expect_nusd);
/* It is over and cost so much. asked: it was sent; else the request is given back too. */
void allowance_settle(struct allowances *a, uint64_t org, int64_t expect_nusd,
                      int64_t cost_nusd, bool asked);

#endif
