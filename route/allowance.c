/* allowance.c - see allowance.h. */
#include "route/allowance.h"

static struct allowance *place_of(struct allowances *a, uint64_t org)
{
    assert(org != 0);
    uint64_t mixed = org * UINT64_C(0x9e3779b97f4a7c15);
    return &a->at[mixed >> 32 & (ALLOWANCES - 1)];
}

static int64_t share_of(int64_t nusd, uint32_t share)
{
    __extension__ __int128 wide = (__int128)nusd * share / ALLOWANCE_ONE;
    return (int64_t)wide;
}

/* Neither saved up nor owed without end. */
static int64_t bounded(int64_t nusd)
{
    static const int64_t MOST = INT64_MAX / 4;
    return nusd > MOST ? MOST : nusd < -MOST ? -MOST : nusd;
}

void allowance_pay(struct allowances *a, uint64_t org, int64_t cost_nusd, uint32_t share)
{
    assert(cost_nusd >= 0 && share <= ALLOWANCE_ONE);
    struct allowance *at = place_of(a, org);
    if (at->org != org) *at = (struct allowance){.org = org};
    at->nusd = bounded(at->nusd + share_of(bounded(cost_nusd), share));
    at->requests += share;
    static const int64_t MOST = (int64_t)ALLOWANCE_REQUESTS_MAX * ALLOWANCE_ONE;
    if (at->requests > MOST) at->requests = MOST;
}

bool allowance_take(struct allowances *a, uint64_t org, int64_t expect_nusd)
{
    assert(expect_nusd >= 0);
    struct allowance *at = place_of(a, org);
    if (at->org != org || at->requests < ALLOWANCE_ONE || at->nusd < expect_nusd) return false;
    at->requests -= ALLOWANCE_ONE;
    at->nusd -= expect_nusd;
    return true;
}

void allowance_settle(struct allowances *a, uint64_t org, int64_t expect_nusd,
                      int64_t cost_nusd, bool asked)
{
    assert(expect_nusd >= 0 && cost_nusd >= 0);
    struct allowance *at = place_of(a, org);
    if (at->org != org) return;            /* its place was given away meanwhile */
    at->nusd = bounded(at->nusd + bounded(expect_nusd) - bounded(cost_nusd));
    if (!asked) at->requests += ALLOWANCE_ONE;
}
