/* pass.c - see pass.h: what is not a loop over all arms, and which loops are used.
 * Rule: the processor is asked once, when scores are made; a test may say otherwise. */
#include "route/pass.h"
#include "route/curve.h"
#include "route/gain.h"
#include "route/score_part.h"

#include <math.h>

/* Of what a mode does not mind, for equals: a thousandth of a share at most. */
static const float EQUALS_TIME = 1e-6f;  /* a second */
static const float EQUALS_COST = 1e-4f;  /* a dollar */

const struct pass_set *pass_set_best(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vl")) return &pass_avx512;
    if (avx2) return &pass_avx2;
#endif
    return &pass_narrow;
}

/* What the score is made of. */
static void set_mode(struct pass *p, const struct plan_ask *ask, enum plan_mode mode)
{
    p->cost_power = (float)ask->cost_power / PLAN_ONE;
    p->time_power = (float)ask->time_power / PLAN_ONE;
    p->risks = mode == PLAN_AVAILABILITY;
    p->logs = ask->cost_power != ask->time_power;
    p->cost_share = p->time_share = 1;
    if (mode == PLAN_COST) p->time_base = 1, p->time_share = EQUALS_TIME, p->logs = false;
    if (mode == PLAN_LATENCY) p->cost_base = 1, p->cost_share = EQUALS_COST, p->logs = false;
    assert(p->cost_power >= 0 && p->time_power >= 0);
}

void pass_open(struct pass *p, const struct plan_ask *ask, enum plan_mode mode, bool wide)
{
    assert(ask->score && ask->family < FAMILIES && ask->effort < EFFORTS && mode < PLAN_MODES);
    const struct scores *s = ask->score->all;
    uint32_t out = ask->tokens_max ? ask->tokens_max : ask->tokens_out;
    *p = (struct pass){
        .v = ask->score, .t = s->t[ask->family], .width = s->width[ask->family],
        .shift = s->shift[ask->effort], .mult = s->mult[ask->effort],
        .gain = (float)ask->gain / GAIN_ONE, .gain_width = (float)ask->gain_width / GAIN_ONE,
        .in = (float)ask->tokens_in, .out = (float)ask->tokens_out,
        .fit = (float)ask->tokens_in + (float)out,
        .ttft_max = ask->max_ttft_ns ? (float)ask->max_ttft_ns * 1e-9f : PASS_OUT,
        .needs = ask->needs, .need_price = ask->need_price,
        .enough = -PASS_OUT, .may = -PASS_OUT, .arms = s->arm_count, .wide = wide,
        .mode = (uint8_t)mode,
        .best = s->strongest[ask->family], .best_low = PASS_OUT,
    };
    set_mode(p, ask, mode);
    if (wide) p->floor = (float)ask->floor / PLAN_ONE;
    if (ask->effort != EFFORT_UNSET || ask->keep_effort) p->arms = s->model_count;
    p->count = (p->arms + SCORE_GROUP - 1) / SCORE_GROUP * SCORE_GROUP;
}

/* How hard the request is taken to be: surely, or as far as can be known. */
static float difficulty(const struct pass *p, bool surely)
{
    float gain = p->gain + (surely ? SCORE_Z * p->gain_width : 0);
    return curve_difficulty(gain < 1 ? gain : 1);
}

/* The least ability that keeps to the floor on requests of a difficulty. */
static float least_ability(const struct pass *p, float hard)
{
    return curve_ability(p->floor * curve_success(p->best, hard), hard);
}

void pass_floor(struct pass *p, float best, float best_low)
{
    p->best = best;
    p->best_low = best_low;
    if (p->floor <= 0) return;
    p->enough = least_ability(p, difficulty(p, true));
    p->may = least_ability(p, difficulty(p, false));
}

void pass_cost(const struct pass *p, uint32_t from, uint32_t to)
{
    assert(from % SCORE_GROUP == 0 && to % SCORE_GROUP == 0 && to <= p->count);
    p->v->all->set->cost(p, from, to);
}

void pass_key(const struct pass *p, uint32_t from, uint32_t to)
{
    assert(from % SCORE_GROUP == 0 && to % SCORE_GROUP == 0 && to <= p->count);
    p->v->all->set->key(p, from, to);
}

int32_t pass_sieve(const struct pass *p, float *low)
{
    uint32_t groups = p->count / SCORE_GROUP;
    for (uint32_t g = groups; g < score_groups(p->count); g++) p->v->least[g] = PASS_OUT;
    return p->v->all->set->sieve(p, low);
}

int32_t pass_strongest(const struct pass *p, float *low)
{
    int32_t arm = -1;
    *low = -PASS_OUT;
    for (uint32_t a = 0; a < p->arms; a++) {
        if (p->v->low[a] <= *low) continue;
        *low = p->v->low[a];
        arm = (int32_t)a;
    }
    return arm;
}

int32_t pass_least(const struct pass *p)
{
    const struct score *v = p->v;
    float least = v->all->set->least(v->least, score_groups(p->count));
    uint32_t group = 0;
    if (least == PASS_OUT) return -1;
    while (v->least[group] != least) group++;
    uint32_t arm = group * SCORE_GROUP;
    while (v->key[arm] != least) arm++;
    assert(arm < p->arms);
    return (int32_t)arm;
}

void pass_mend(const struct pass *p, uint32_t arm)
{
    assert(arm < p->count);
    uint32_t group = arm / SCORE_GROUP;
    p->v->least[group] = p->v->all->set->least(p->v->key + group * SCORE_GROUP, SCORE_GROUP);
}

void pass_cached(const struct pass *p, uint32_t arm, uint32_t tokens)
{
    struct score *v = p->v;
    float n = (float)tokens < p->in ? (float)tokens : p->in;
    float saved = n * (v->price_in[arm] - v->price_cached[arm]);
    if (v->price_in[arm] >= 0 && saved > 0) v->cost[arm] -= saved;
    if (v->cost[arm] < 0) v->cost[arm] = 0;
}

void pass_reprice(const struct pass *p, uint32_t arm, float in, float out)
{
    struct score *v = p->v;
    v->cost[arm] = in * p->in + out * p->mult[arm] * p->out + v->price_request[arm];
}

float pass_success(const struct pass *p, uint32_t arm)
{
    assert(arm < p->count);
    return curve_success(p->t[arm] + p->shift[arm], difficulty(p, false));
}

float pass_success_best(const struct pass *p)
{
    return curve_success(p->best, difficulty(p, false));
}

void pass_view(const struct pass *p, uint32_t arm, struct plan_view *out)
{
    const struct score *v = p->v;
    float t = p->t[arm] + p->shift[arm], low = t - SCORE_Z * p->width[arm];
    float hard = difficulty(p, false), harder = difficulty(p, true);
    bool strongest = v->low[arm] >= p->best_low;
    float share = curve_success(t, hard) / curve_success(p->best, hard);
    float bound = curve_success(low, harder) / curve_success(p->best, harder);
    if (strongest || share > 1) share = 1;
    if (strongest) bound = 1;
    out->t = t;
    out->quality = share;
    out->quality_low = bound < share ? bound : share;
    out->priced = v->price_in[arm] >= 0;
    out->cost = out->priced ? v->cost[arm] : 0;
    out->ttft = v->ttft[arm];
    out->time = (v->ttft[arm] + p->mult[arm] * p->out * v->slow[arm]) * v->tries[arm];
    float cost = v->cost[arm] > PASS_COST_LEAST ? v->cost[arm] : PASS_COST_LEAST;
    out->error = v->error[arm];
    out->room = v->room[arm];
    out->chance = 1 - v->risk[arm];
    out->score = p->mode == PLAN_COST           ? cost
                 : p->mode == PLAN_LATENCY      ? out->time
                 : p->mode == PLAN_AVAILABILITY ? v->risk[arm]
                     : powf(cost, p->cost_power) * powf(out->time, p->time_power);
}
