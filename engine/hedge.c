/* hedge.c - see hedge.h.
 *   attempt begins -> hedge_ns is set -> it passes: may it be asked twice? -> twin asks
 *                  -> first content: hedge_ns is 0
 * Looked at when the time has come, not before: all but a few in a hundred need none of it. */
#include "engine/hedge.h"
#include "engine/attempt.h"
#include "engine/compose.h"
#include "engine/conf.h"
#include "engine/core.h"
#include "engine/exchange.h"
#include "engine/spend.h"
#include "engine/tables.h"
#include "engine/twin.h"
#include "net/dialect/api_state.h"
#include "route/allowance.h"
#include "route/score.h"
#include "store/maybe.h"

static_assert((int)ALLOWANCE_ONE == (int)PLAN_ONE, "shares are in millionths");

/* Does the configuration want it for such a request? */
static bool is_wanted(const struct exchange *x)
{
    const struct conf *conf = x->tables->conf;
    bool mode = conf->hedge_mode == HEDGE_ALWAYS ||
                (conf->hedge_mode == HEDGE_LATENCY && x->rec.mode == MODE_LATENCY);
    return mode && conf->hedge_share > 0;
}

void hedge_arm(struct core *core, struct exchange *x)
{
    uint32_t weight = 0, us;
    x->hedge_ns = 0;
    if (!x->stream || x->plan_next >= x->plan_count || !is_wanted(x)) return;
    if (x->lead || x->twins || x->resume || x->cascade.part || !x->scored) return;
    assert(x->attempt_ns > 0);
    us = score_ttft_at(x->tables->scores, x->score_row, core->now_ns / 1000000,
                       (enum score_percentile)x->tables->conf->hedge_after, &weight);
    if (weight < HEDGE_EVIDENCE) return;
    uint64_t wait_ns = us * UINT64_C(1000);
    x->hedge_ns = x->attempt_ns + (wait_ns > TIMER_TICK_NS ? wait_ns : TIMER_TICK_NS);
}

/* compose_original's visit. */
static bool look_at(void *arg, struct bytes piece)
{
    api_state_feed(arg, piece);
    return true;
}

/* May asking it twice do twice what is to be done once? */
static bool changes_state(const struct core *core, const struct exchange *x)
{
    struct api_state s;
    api_state_begin(&s, (enum api)x->api);
    (void)compose_original(core, x, look_at, &s);
    bool changes = api_changes_state(&s);
    explicit_bzero(&s, sizeof s);      /* a client's words */
    return changes;
}

/* The next candidate that may answer in place of the one that is late; -1: none. */
static int second_of(const struct exchange *x)
{
    for (unsigned i = x->plan_next; i < x->plan_count; i++) {
        uint8_t why = x->plan[i].reason;
        if (why != PLAN_BELOW_FLOOR && why != PLAN_COOLING) return (int)i;
    }
    return -1;
}

void hedge_ask(struct core *core, struct exchange *x)
{
    x->hedge_ns = 0;
    bool waits = x->state == X_ASK || x->state == X_WAIT;
    if (!waits || !x->c || x->twins || x->body.bytes > TWIN_BODY_MAX) return;
    int second = second_of(x);
    if (second < 0 || changes_state(core, x)) return;
    uint64_t org = x->rec.path[0];
    int64_t first_nusd = spend_prompt_nusd(x, x->model);
    int64_t nusd = spend_prompt_nusd(x, x->plan[second].model);
    if (first_nusd > nusd) nusd = first_nusd;      /* either may be the loser */
    bool may = org != 0 && allowance_take(core->allowances, org, nusd);
    if (!may && !PLANT(no_share)) return;
    struct exchange *twin = twin_make(core, x, (unsigned)second, 1);
    if (!twin) {
        allowance_settle(core->allowances, org, nusd, 0, false);
        return;
    }
    twin->hedge_nusd = nusd;
    twin->hurried = true;
    attempt_next(core, twin);
    if (twin->attempts > 0) core_count(core, STAT_HEDGES);
}

void hedge_swap(struct exchange *a, struct exchange *b)
{
    int64_t nusd = a->hedge_nusd;
    bool hurried = a->hurried;
    assert(nusd == 0 || b->hedge_nusd == 0);
    a->hedge_nusd = b->hedge_nusd;
    a->hurried = b->hurried;
    b->hedge_nusd = nusd;
    b->hurried = hurried;
}

void hedge_over(struct core *core, struct exchange *twin)
{
    assert(twin->booked);
    if (!twin->hurried) return;
    allowance_settle(core->allowances, twin->rec.path[0], twin->hedge_nusd,
                     twin->rec.cost_nusd, twin->attempts > 0);
    twin->hurried = false;
    twin->hedge_nusd = 0;
}

void hedge_pay(struct core *core, const struct exchange *x)
{
    uint64_t org = x->rec.path[0];
    const struct conf *conf = x->tables->conf;
    if (!core->allowances || org == 0 || x->attempts == 0) return;
    if (conf->hedge_mode == HEDGE_NEVER || conf->hedge_share == 0) return;
    allowance_pay(core->allowances, org, x->rec.cost_nusd, conf->hedge_share);
}
