/* pass.c - see pass.h.
 * q of an arm, relative to the strongest candidate: 1 - loss, where loss = gain x gap and gap =
 * (t of the strongest - t) / GAIN_SPAN. Gain and t are estimates with widths, so the floor is
 * held to a bound: loss + Z x sqrt((gain x width of t)^2 + (gap x width of gain)^2), 75 %
 * one-sided. The root is never taken: x > Z sqrt(y) is x > 0 and x^2 > Z^2 y.
 * Scores are sums of logarithms: cost^a x time^b orders as a log cost + b log time does.
 * Rule: vectors of four floats, which every x86-64 and aarch64 has; wider ones gained less than
 * what a second build of this file would cost (bench/bench_route.c). */
#include "route/pass.h"
#include "route/gain.h"
#include "route/score_part.h"

#include <math.h>

/* Vector types cannot be written without a typedef. */
typedef float v4 __attribute__((vector_size(16)));
typedef int32_t i4 __attribute__((vector_size(16)));
static_assert(sizeof(v4) == SCORE_LANES * sizeof(float), "lanes");

static const float COST_LEAST = 1e-9f;   /* US dollars: what is free is not infinitely cheap */
static const float COST_UNKNOWN = 1e6f;  /* and what has no price is dearer than all that has */
static const float OTHER_POWER = 1.0f / 1024;   /* cost and latency: of the other one, for
                                                   equals */
static const float T_MAX = 16;           /* beyond any ability */

static inline v4 load(const float *at) { return *(const v4 *)at; }
static inline i4 load_mask(const int32_t *at) { return *(const i4 *)at; }
static inline v4 all(float x) { return (v4){x, x, x, x}; }

/* Lane by lane: a where m is -1, b where it is 0. */
static inline v4 pick(i4 m, v4 a, v4 b)
{
    return (v4)((m & (i4)a) | (~m & (i4)b));
}

static inline v4 least_of(v4 a, v4 b) { return pick(a < b, a, b); }
static inline v4 most_of(v4 a, v4 b) { return pick(a > b, a, b); }

/* log2 within 2e-5 of a normal number > 0. The polynomial is exact at both ends of the mantissa
 * and rises between them, so the whole rises: a dearer arm never looks cheaper. */
static inline v4 log2_of(v4 x)
{
    i4 bits = (i4)x;
    v4 e = __builtin_convertvector((bits >> 23) - 127, v4);
    v4 m = (v4)((bits & 0x7fffff) | 0x3f800000) - 1.0f;
    v4 c = ((-0.0442437f * m + 0.1470188f) * m - 0.2665363f) * m + 0.4418359f;
    return e + m + m * (1.0f - m) * c;
}

void pass_open(struct pass *p, const struct plan_ask *ask, enum plan_mode mode, bool wide)
{
    assert(ask->score && ask->family < FAMILIES && ask->effort < EFFORTS && mode < PLAN_MODES);
    const struct scores *s = ask->score->all;
    float a = (float)ask->cost_power / PLAN_ONE, b = (float)ask->time_power / PLAN_ONE;
    if (mode == PLAN_COST || mode == PLAN_LATENCY) {
        a = mode == PLAN_COST ? 1 : OTHER_POWER;
        b = mode == PLAN_COST ? OTHER_POWER : 1;
    }
    uint32_t out = ask->tokens_max ? ask->tokens_max : ask->tokens_out;
    *p = (struct pass){
        .v = ask->score, .t = s->t[ask->family], .width = s->width[ask->family],
        .shift = s->shift[ask->effort], .mult = s->mult[ask->effort],
        .gain = (float)ask->gain / GAIN_ONE, .gain_width = (float)ask->gain_width / GAIN_ONE,
        .in = (float)ask->tokens_in, .out = (float)ask->tokens_out,
        .fit = (float)ask->tokens_in + (float)out, .cost_power = a, .time_power = b,
        .risk_power = mode == PLAN_AVAILABILITY ? 1 : 0,
        .ttft_max = ask->max_ttft_ns ? (float)ask->max_ttft_ns * 1e-9f : PASS_OUT,
        .needs = ask->needs, .need_price = ask->need_price,
        .limit = PASS_OUT, .arms = s->arm_count, .wide = wide,
        .best = s->strongest[ask->family], .best_low = PASS_OUT,
    };
    if (wide && ask->floor && mode != PLAN_AVAILABILITY) {
        p->limit = 1 - (float)ask->floor / PLAN_ONE;
    }
    if (ask->effort != EFFORT_UNSET) p->arms = s->model_count;
    p->count = (p->arms + SCORE_GROUP - 1) / SCORE_GROUP * SCORE_GROUP;
    assert(p->cost_power >= 0 && p->time_power >= 0);
}

void pass_cost(const struct pass *p, uint32_t from, uint32_t to)
{
    const struct score *v = p->v;
    assert(from % SCORE_GROUP == 0 && to <= p->count);
    for (uint32_t a = from; a < to; a += SCORE_LANES) {
        v4 in = load(v->price_in + a), mult = load(p->mult + a);
        v4 cost = in * p->in + load(v->price_out + a) * mult * p->out
                  + load(v->price_request + a);
        *(v4 *)(v->cost + a) = pick(in < 0.0f, all(COST_UNKNOWN), cost);
        v4 t = load(p->t + a) + load(p->shift + a);
        *(v4 *)(v->low + a) = t - SCORE_Z * load(p->width + a);
    }
}

void pass_sieve(const struct pass *p)
{
    struct score *v = p->v;
    const struct scores *s = v->all;
    i4 needs = {p->needs, p->needs, p->needs, p->needs};
    float price = p->need_price ? 0 : -PASS_OUT;
    for (uint32_t a = 0; a < p->count; a += SCORE_LANES) {
        i4 ok = load_mask(v->mask + a);
        ok &= (load_mask(s->abilities + a) & needs) == needs;
        ok &= load(s->context + a) >= p->fit;
        ok &= load(v->ttft + a) <= p->ttft_max;
        ok &= load(v->price_in + a) >= price;
        *(i4 *)(v->mask + a) = ok;
        *(v4 *)(v->low + a) = pick(ok, load(v->low + a), all(-PASS_OUT));
    }
}

static inline float least_lane(v4 x)
{
    float a = x[0] < x[1] ? x[0] : x[1], b = x[2] < x[3] ? x[2] : x[3];
    return a < b ? a : b;
}

/* Which of four arms may lose more than the floor allows. */
static inline i4 below_floor(const struct pass *p, uint32_t a, v4 t)
{
    v4 gap = (p->best - t) * (1 / GAIN_SPAN);
    v4 some = least_of(most_of(gap, all(0)), all(1));
    v4 rest = p->limit - p->gain * gap;
    v4 by_t = p->gain * (1 / GAIN_SPAN) * load(p->width + a), by_gain = some * p->gain_width;
    v4 bound = (by_t * by_t + by_gain * by_gain) * (SCORE_Z * SCORE_Z);
    i4 below = (rest < 0.0f) | (rest * rest < bound);
    return below & (load(p->v->low + a) < p->best_low);  /* the strongest loses nothing */
}

/* The score of four arms. */
static inline v4 score_of(const struct pass *p, uint32_t a)
{
    const struct score *v = p->v;
    v4 out = load(p->mult + a) * p->out;
    v4 time = (load(v->ttft + a) + out * load(v->slow + a)) * load(v->tries + a);
    v4 cost = most_of(load(v->cost + a), all(COST_LEAST));
    v4 score = p->cost_power * log2_of(cost) + p->time_power * log2_of(time);
    if (p->risk_power > 0) {  /* chances within 1/64 are equal: then as balanced */
        i4 bucket = __builtin_convertvector(load(v->risk + a) * 64.0f, i4);
        score = __builtin_convertvector(bucket, v4) + (score + 64.0f) * (1.0f / 128);
    }
    return score;
}

void pass_key(const struct pass *p, uint32_t from, uint32_t to)
{
    struct score *v = p->v;
    assert(from % SCORE_GROUP == 0 && to <= p->count);
    for (uint32_t group = from; group < to; group += SCORE_GROUP) {
        v4 least = all(PASS_OUT);
        for (uint32_t a = group; a < group + SCORE_GROUP; a += SCORE_LANES) {
            v4 t = load(p->t + a) + load(p->shift + a);
            v4 weak = PASS_BELOW + (T_MAX - t);   /* fall-backs: the strongest first */
            v4 key = pick(below_floor(p, a, t), weak, score_of(p, a));
            key = pick(load_mask(v->mask + a), key, all(PASS_OUT));
            *(v4 *)(v->key + a) = key;
            least = least_of(key, least);
        }
        v->least[group / SCORE_GROUP] = least_lane(least);
    }
}

int32_t pass_strongest(const struct pass *p, float *low)
{
    const float *at = p->v->low;
    v4 most = all(-PASS_OUT);
    for (uint32_t a = 0; a < p->count; a += SCORE_LANES) most = most_of(load(at + a), most);
    float best = -least_lane(-most);
    *low = best;
    if (best == -PASS_OUT) return -1;
    uint32_t arm = 0;
    while (at[arm] != best) arm++;
    assert(arm < p->count);
    return (int32_t)arm;
}

int32_t pass_least(const struct pass *p)
{
    const struct score *v = p->v;
    uint32_t best = 0;
    for (uint32_t g = 1; g < p->count / SCORE_GROUP; g++) {
        if (v->least[g] < v->least[best]) best = g;
    }
    if (p->count == 0 || v->least[best] == PASS_OUT) return -1;
    uint32_t arm = best * SCORE_GROUP;
    while (v->key[arm] != v->least[best]) arm++;
    assert(arm < (best + 1) * SCORE_GROUP);
    return (int32_t)arm;
}

void pass_mend(const struct pass *p, uint32_t arm)
{
    assert(arm < p->count);
    uint32_t group = arm / SCORE_GROUP;
    const float *key = p->v->key + group * SCORE_GROUP;
    v4 least = least_of(least_of(load(key), load(key + 4)),
                        least_of(load(key + 8), load(key + 12)));
    p->v->least[group] = least_lane(least);
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

void pass_view(const struct pass *p, uint32_t arm, struct plan_view *out)
{
    const struct score *v = p->v;
    float t = p->t[arm] + p->shift[arm], gap = (p->best - t) / GAIN_SPAN;
    float some = gap < 0 ? 0 : gap > 1 ? 1 : gap;
    float by_t = p->gain * p->width[arm] / GAIN_SPAN, by_gain = some * p->gain_width;
    bool strongest = v->low[arm] >= p->best_low;
    float loss = strongest ? 0 : p->gain * gap;
    float bound = strongest ? 0 : loss + SCORE_Z * sqrtf(by_t * by_t + by_gain * by_gain);
    out->t = t;
    out->quality = loss < 0 ? 1 : loss > 1 ? 0 : 1 - loss;
    out->quality_low = bound < 0 ? 1 : bound > 1 ? 0 : 1 - bound;
    out->priced = v->price_in[arm] >= 0;
    out->cost = out->priced ? v->cost[arm] : 0;
    out->ttft = v->ttft[arm];
    out->time = (v->ttft[arm] + p->mult[arm] * p->out * v->slow[arm]) * v->tries[arm];
    out->error = v->error[arm];
    out->room = v->room[arm];
    out->chance = 1 - v->risk[arm];
    out->score = v->key[arm];
}
