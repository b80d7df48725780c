/* pass_loop.h - the loops of pass.h over columns, written once and compiled per instruction
 * set: pass_<set>.c includes it with
 *   LANES          floats in a vector
 *   PASS_SET       the name of the struct pass_set that it defines
 * behind gain.h, pass.h and score_part.h.
 * q of an arm, relative to the strongest candidate, is that of curve.h. Gain and t are
 * estimates with widths, so the floor is held to bounds of both, 75 % one-sided: it comes down
 * to the least lower bound of t that is enough (pass_floor), found once a plan.
 * Rule: no branch by arm. */
#ifndef ROUTE_PASS_LOOP_H
#define ROUTE_PASS_LOOP_H

/* Vector types cannot be written without a typedef. */
typedef float vec __attribute__((vector_size(LANES * 4)));
typedef int32_t ivec __attribute__((vector_size(LANES * 4)));
typedef float vec4 __attribute__((vector_size(16)));
typedef int32_t ivec4 __attribute__((vector_size(16)));
static_assert(SCORE_GROUP % LANES == 0, "a group is whole vectors");

#define INLINE static inline __attribute__((always_inline))

/* Columns begin on cache lines, and arms come by whole vectors. */
INLINE vec load(const float *at) { return *(const vec *)(const void *)at; }
/* The same of masks. */
INLINE ivec load_mask(const int32_t *at) { return *(const ivec *)(const void *)at; }
/* The other way. */
INLINE void store(float *at, vec x) { *(vec *)(void *)at = x; }

/* Lane by lane: a where m is -1, b where it is 0. */
INLINE vec pick(ivec m, vec a, vec b)
{
    return (vec)((m & (ivec)a) | (~m & (ivec)b));
}

/* The lesser one, lane by lane. */
INLINE vec least_of(vec a, vec b) { return pick(a < b, a, b); }
/* The greater one. */
INLINE vec most_of(vec a, vec b) { return pick(a > b, a, b); }

/* The least of all lanes: by quarters, then one by one. Without a loop that is left as one. */
INLINE float least_lane(vec x)
{
    vec4 part[LANES / 4], least;
    memcpy(part, &x, sizeof x);
    least = part[0];
    for (int i = 1; i < LANES / 4; i++) {
        ivec4 less = part[i] < least;
        least = (vec4)((less & (ivec4)part[i]) | (~less & (ivec4)least));
    }
    float a = least[0] < least[1] ? least[0] : least[1];
    float b = least[2] < least[3] ? least[2] : least[3];
    return a < b ? a : b;
}

/* log2 within 2e-5 of a normal number > 0. The polynomial is exact at both ends of the mantissa
 * and rises between them, so the whole rises: a dearer arm never looks cheaper. */
INLINE vec log2_of(vec x)
{
    ivec bits = (ivec)x;
    vec e = __builtin_convertvector((bits >> 23) - 127, vec);
    vec m = (vec)((bits & 0x7fffff) | 0x3f800000) - 1.0f;
    vec c = ((-0.0442437f * m + 0.1470188f) * m - 0.2665363f) * m + 0.4418359f;
    return e + m + m * (1.0f - m) * c;
}

/* struct pass_set's cost. */
static void loop_cost(const struct pass *at, uint32_t from, uint32_t to)
{
    const struct pass here = *at;
    const struct score columns = *at->v;
    const struct pass *p = &here;
    const struct score *v = &columns;
    const vec unknown = (vec){0} + PASS_COST_UNKNOWN;
    for (uint32_t a = from; a < to; a += LANES) {
        vec in = load(v->price_in + a), mult = load(p->mult + a);
        vec cost = in * p->in + load(v->price_out + a) * mult * p->out
                   + load(v->price_request + a);
        store(v->cost + a, pick(in < 0.0f, unknown, cost));
        store(v->low + a, load(p->t + a) + load(p->shift + a) - SCORE_Z * load(p->width + a));
    }
}

/* struct pass_set's sieve. */
static int32_t loop_sieve(const struct pass *at, float *low_max)
{
    const struct pass here = *at;
    const struct score columns = *at->v;
    const struct pass *p = &here;
    const struct score *v = &columns;
    const struct scores *s = v->all;
    const int32_t *abilities = s->abilities;
    const float *context = s->context;
    const ivec needs = (ivec){0} + p->needs;
    const vec out = (vec){0} - PASS_OUT;
    const float price = p->need_price ? 0 : -PASS_OUT;
    vec best = out;
    ivec arm = {0}, lane;        /* of best; and of this vector */
    for (int i = 0; i < LANES; i++) lane[i] = i;
    for (uint32_t a = 0; a < p->count; a += LANES, lane += LANES) {
        ivec ok = load_mask(v->mask + a);
        ok &= (load_mask(abilities + a) & needs) == needs;
        ok &= load(context + a) >= p->fit;
        ok &= load(v->ttft + a) <= p->ttft_max;
        ok &= load(v->price_in + a) >= price;
        *(ivec *)(void *)(v->mask + a) = ok;
        vec low = pick(ok, load(v->low + a), out);
        store(v->low + a, low);
        ivec more = low > best;
        best = pick(more, low, best);
        arm = (more & lane) | (~more & arm);
    }
    int32_t first = INT32_MAX;   /* of those that are as strong */
    *low_max = -least_lane(-best);
    for (int i = 0; i < LANES; i++) {
        if (best[i] == *low_max && arm[i] < first) first = arm[i];
    }
    return *low_max == -PASS_OUT ? -1 : first;
}

/* Which arms may lose more than the floor allows; the strongest loses nothing. */
INLINE ivec below_floor(const struct pass *p, const struct score *v, uint32_t a)
{
    vec low = load(v->low + a);
    return (low < p->enough) & (low < p->best_low);
}

/* What the mode minds, > 0. */
INLINE vec score_of(const struct pass *p, const struct score *v, uint32_t a, bool logs)
{
    vec out = load(p->mult + a) * p->out;
    vec time = (load(v->ttft + a) + out * load(v->slow + a)) * load(v->tries + a);
    vec cost = most_of(load(v->cost + a), (vec){0} + PASS_COST_LEAST);
    if (logs) return p->cost_power * log2_of(cost) + p->time_power * log2_of(time) + 256.0f;
    return (p->cost_base + p->cost_share * cost) * (p->time_base + p->time_share * time);
}

/* Chances of failing within 1/64 are equal: then those that keep to the floor, as balanced, and
 * behind them the strongest first. */
INLINE vec risk_of(const struct score *v, uint32_t a, vec score, vec t, ivec below, bool logs)
{
    ivec bucket = __builtin_convertvector(load(v->risk + a) * 64.0f, ivec);
    vec part = logs ? score * (1.0f / 512) : score / (score + 1e-3f) * 0.999f;
    vec weak = 1.0f + (PASS_T_MAX - t) * (1 / PASS_T_MAX / 2.1f);
    return __builtin_convertvector(bucket * 2, vec) + pick(below, weak, part);
}

/* Keys of whole groups. What the loops read is copied, else each store might have changed
 * it. */
INLINE void keys(const struct pass *at, uint32_t from, uint32_t to, bool logs, bool risks)
{
    const struct pass here = *at;
    const struct score columns = *at->v;
    const struct pass *p = &here;
    const struct score *v = &columns;
    const vec out = (vec){0} + PASS_OUT;
    for (uint32_t group = from; group < to; group += SCORE_GROUP) {
        vec least = out;
        for (uint32_t a = group; a < group + SCORE_GROUP; a += LANES) {
            vec t = load(p->t + a) + load(p->shift + a);
            vec weak = PASS_BELOW * (PASS_T_MAX - t);   /* to fall back: the strongest first */
            vec score = score_of(p, v, a, logs);
            ivec below = below_floor(p, v, a);
            vec key = risks ? risk_of(v, a, score, t, below, logs) : pick(below, weak, score);
            key = pick(load_mask(v->mask + a), key, out);
            store(v->key + a, key);
            least = least_of(key, least);
        }
        v->least[group / SCORE_GROUP] = least_lane(least);
    }
}

/* struct pass_set's key. */
static void loop_key(const struct pass *p, uint32_t from, uint32_t to)
{
    if (p->logs && p->risks) keys(p, from, to, true, true);
    else if (p->logs) keys(p, from, to, true, false);
    else if (p->risks) keys(p, from, to, false, true);
    else keys(p, from, to, false, false);
}

/* struct pass_set's least. */
static float loop_least(const float *at, uint32_t count)
{
    vec least = load(at);
    for (uint32_t i = LANES; i < count; i += LANES) least = least_of(load(at + i), least);
    return least_lane(least);
}

const struct pass_set PASS_SET = {loop_cost, loop_sieve, loop_key, loop_least};

#endif
