/* test_pass.c - the plan of `auto` against a plain, slow reading of the same rules: doubles,
 * one arm after another, a sort. Catalogues, what was learned, and questions are drawn from
 * seeds. A failure names its seed. */
#include "route/gain.h"
#include "route/pass.h"
#include "route/score_part.h"
#include "tests/unit/route_kit.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { ARMS_MAX = 3 * KIT_MODELS_MAX, SEEDS = 1500 };

struct arm {
    uint32_t model;
    unsigned effort;
    double t, low, cost, time, key;
    uint8_t place;
    bool below;
};

struct reference {
    struct arm arm[ARMS_MAX];
    uint32_t count, cooling;
    double strongest, strongest_low;
    bool unsure;                 /* a number lies on the edge of a rule */
};

/* ---- the rules, slowly ---- */

static bool region_is_eu(void *arg, struct bytes region)
{
    (void)arg;
    return bytes_eq(region, BYTES("eu"));
}

static bool allow_even(void *arg, struct bytes id)
{
    (void)arg;
    return (id.ptr[id.len - 1] - '0') % 2 == 0;
}

static bool is_in(const char *name, const struct bytes *list, uint8_t count, uint8_t *place)
{
    for (*place = 0; *place < count; (*place)++) {
        if (bytes_eq(bytes_of(name), list[*place])) return true;
    }
    return false;
}

static bool passes(const struct kit *k, const struct plan_ask *ask, uint32_t model)
{
    const struct catalog_model *m = &k->c.model[model];
    const struct catalog_provider *p = &k->provider[m->provider];
    const struct price *price = &m->price.at[0];
    uint8_t at;
    uint64_t out = ask->tokens_max ? ask->tokens_max : ask->tokens_out;
    if (ask->allow && !ask->allow(NULL, bytes_of(m->id))) return false;
    if (ask->region && !ask->region(NULL, bytes_of(p->region))) return false;
    if (ask->zdr && !p->zero_retention) return false;
    if (ask->only_count && !is_in(p->name, ask->only, ask->only_count, &at)) return false;
    if (is_in(p->name, ask->ignore, ask->ignore_count, &at)) return false;
    bool capped = ask->max_prompt || ask->max_completion;
    if (!price->known && (ask->need_price || capped)) return false;
    if (ask->max_prompt && price->kind[PRICE_INPUT] > ask->max_prompt) return false;
    if (ask->max_completion && price->kind[PRICE_OUTPUT] > ask->max_completion) return false;
    if (ask->dialects && !(ask->dialects & 1u << p->dialect)) return false;
    if ((m->abilities & ask->needs) != ask->needs) return false;
    if (m->context && ask->tokens_in + out > m->context) return false;
    if (ask->max_ttft_ns && k->v->ttft[model] > (double)ask->max_ttft_ns * 1e-9) return false;
    return score_state_of(k->s, model) == SCORE_ON;
}

static bool is_cooling(const struct kit *k, uint32_t model)
{
    uint32_t keys = k->provider[k->c.model[model].provider].key_count;
    for (uint32_t i = 0; i < (keys ? keys : 1); i++) {
        const breaker_word *w = &k->model_word[model * CATALOG_KEYS_MAX + i];
        if (breaker_left_ms(w, KIT_NOW_MS) == 0) return false;
    }
    return true;
}

static double cost_of(const struct kit *k, const struct plan_ask *ask, uint32_t model,
                      double mult)
{
    const struct price *p = &k->c.model[model].price.at[0];
    if (!p->known) return 1e3;
    const int64_t *kind = price_kinds(p, ask->tokens_in);
    double cost = (double)kind[PRICE_INPUT] * ask->tokens_in
                  + (double)kind[PRICE_OUTPUT] * ask->tokens_out * mult + (double)p->request;
    if (ask->sticky == model + 1) {
        double n = ask->sticky_cached < ask->tokens_in ? ask->sticky_cached : ask->tokens_in;
        cost -= n * (double)(p->kind[PRICE_INPUT] - p->kind[PRICE_CACHED]);
    }
    return fmax(cost * 1e-12, 1e-9);
}

static void add_arm(struct reference *r, const struct kit *k, const struct plan_ask *ask,
                    uint32_t model, unsigned effort)
{
    static const double mults[EFFORTS] = {1, 1, 1.2, 1.7, 3, 5, 8};
    const struct catalog_model *m = &k->c.model[model];
    const struct quality *q = &m->quality;
    unsigned asked = effort ? effort : ask->effort, taken = asked;
    if (!(q->efforts & 1u << asked)) {
        taken = EFFORT_UNSET;
        for (unsigned e = EFFORT_NONE; e < EFFORTS; e++) {
            if (!(q->efforts & 1u << e)) continue;
            float usual = q->effort[EFFORT_UNSET];
            float off = fabsf(q->effort[e] - usual);
            if (!taken || off < fabsf(q->effort[taken] - usual)) taken = e;
        }
    }
    double mult = taken ? mults[taken] : m->abilities & ABILITY_REASONING ? 3 : 1;
    struct arm *a = &r->arm[r->count++];
    a->model = model;
    a->effort = effort;
    a->t = (double)(q->t[ask->family] + q->effort[asked]);
    a->low = a->t - 0.67 * (double)q->width[ask->family];
    a->cost = cost_of(k, ask, model, mult);
    a->time = ((double)k->v->ttft[model] + ask->tokens_out * mult * (double)k->v->slow[model])
              / (1 - fmin((double)k->v->error[model], 0.9));
    (void)is_in(k->provider[m->provider].name, ask->order, ask->order_count, &a->place);
}

/* Share of requests of a difficulty that an ability succeeds on. */
static double success(double t, double difficulty)
{
    return 1 / (1 + exp(-1.3 * (t - difficulty)));
}

/* Where abilities of -0.5 and -1.9 differ by the gain, on the side of the easy: found by
 * halving; above the most that they differ by, 3 for each further 1. */
static double difficulty(double gain)
{
    double low = -20, high = -1.2, most = success(-0.5, high) - success(-1.9, high);
    if (gain >= most) return high + 3 * (gain - most);
    for (int i = 0; i < 60; i++) {
        double mid = (low + high) / 2;
        if (success(-0.5, mid) - success(-1.9, mid) < fmax(gain, 0.01)) low = mid;
        else high = mid;
    }
    return low;
}

static void score_arm(struct reference *r, const struct kit *k, const struct plan_ask *ask,
                      enum plan_mode mode, struct arm *a)
{
    double c = a->cost, t = a->time, by_cost = ask->cost_power / 1e6;
    bool logs = ask->cost_power != ask->time_power;
    if (mode == PLAN_COST) a->key = c * (1 + 1e-6 * t);
    else if (mode == PLAN_LATENCY) a->key = (1 + 1e-4 * c) * t;
    else if (!logs) a->key = c * t;
    else a->key = by_cost * log2(c) + ask->time_power / 1e6 * log2(t) + 256;
    double gain = fmin(ask->gain / 1e4 + 0.67 * ask->gain_width / 1e4, 1);
    double hard = difficulty(gain), limit = ask->floor / 1e6;
    double share = success(a->low, hard) / success(r->strongest, hard);
    bool held = ask->floor && a->low < r->strongest_low - 1e-6;
    if (held && fabs(share - limit) < 1e-5) r->unsure = true;
    a->below = held && share < limit;
    if (mode == PLAN_AVAILABILITY) {
        double part = logs ? a->key / 512 : a->key / (a->key + 1e-3) * 0.999;
        if (a->below) part = 1 + (16 - a->t) / 16 / 2.1;
        a->key = 2 * floor((double)k->v->risk[a->model] * 64) + part;
        a->below = false;
    } else if (a->below) {
        a->key = 1e20 * (16 - a->t);
    }
}

static int by_key(const void *x, const void *y)
{
    const struct arm *a = x, *b = y;
    if (a->place != b->place) return a->place < b->place ? -1 : 1;
    return a->key < b->key ? -1 : a->key > b->key;
}

static void refer(struct reference *r, const struct kit *k, const struct plan_ask *ask,
                  enum plan_mode mode)
{
    *r = (struct reference){.strongest_low = -INFINITY};
    for (uint32_t m = 0; m < k->c.model_count; m++) {
        if (!passes(k, ask, m)) continue;
        if (is_cooling(k, m)) {
            r->cooling++;
            continue;
        }
        const struct quality *q = &k->c.model[m].quality;
        unsigned least = 0, most = 0;
        add_arm(r, k, ask, m, EFFORT_UNSET);
        for (unsigned e = EFFORT_NONE; e < EFFORTS; e++) {
            if (!(q->efforts & 1u << e)) continue;
            if (!least) least = e;
            most = e;
        }
        if (ask->effort == EFFORT_UNSET && least) add_arm(r, k, ask, m, least);
        if (ask->effort == EFFORT_UNSET && most != least) add_arm(r, k, ask, m, most);
    }
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->arm[i].low <= r->strongest_low) continue;
        r->strongest_low = r->arm[i].low;
        r->strongest = r->arm[i].t;
    }
    for (uint32_t i = 0; i < r->count; i++) {
        score_arm(r, k, ask, mode, &r->arm[i]);
        if (fabs(r->arm[i].low - r->strongest_low) < 1e-5
            && fabs(r->arm[i].t - r->strongest) > 1e-9) r->unsure = true;   /* two strongest */
    }
    qsort(r->arm, r->count, sizeof *r->arm, by_key);
}

/* ---- questions ---- */

static struct plan_ask draw_ask(struct kit *k)
{
    struct plan_ask ask = kit_ask(k, "auto");
    ask.mode = (uint8_t)kit_draw(k, PLAN_MODES);
    ask.family = (uint8_t)kit_draw(k, FAMILIES);
    ask.gain = (uint16_t)kit_draw(k, 10000);
    ask.gain_width = (uint16_t)kit_draw(k, 2000);
    ask.tokens_in = 1 + kit_draw(k, kit_draw(k, 2) ? 2000 : 200000);
    ask.tokens_out = 1 + kit_draw(k, 4000);
    ask.floor = kit_draw(k, 4) ? 800000 + kit_draw(k, 200000) : 0;
    ask.cost_power = kit_draw(k, 1000001);
    ask.time_power = kit_draw(k, 2) ? ask.cost_power : kit_draw(k, 1000001);
    if (kit_draw(k, 4) == 0) ask.effort = (uint8_t)(1 + kit_draw(k, EFFORTS - 1));
    if (kit_draw(k, 3) == 0) ask.needs = (uint8_t)kit_draw(k, 8);
    if (kit_draw(k, 4) == 0) ask.tokens_max = kit_draw(k, 30000);
    if (kit_draw(k, 4) == 0) ask.max_ttft_ns = (1 + kit_draw(k, 30)) * UINT64_C(100000000);
    if (kit_draw(k, 4) == 0) ask.max_prompt = kit_draw(k, 10000000);
    if (kit_draw(k, 4) == 0) ask.max_completion = kit_draw(k, 20000000);
    if (kit_draw(k, 4) == 0) ask.dialects = 1u << DIALECT_OPENAI;
    if (kit_draw(k, 5) == 0) ask.region = region_is_eu;
    if (kit_draw(k, 5) == 0) ask.allow = allow_even;
    ask.zdr = kit_draw(k, 6) == 0;
    ask.need_price = kit_draw(k, 2);
    if (kit_draw(k, 4) == 0) ask.only[ask.only_count++] = BYTES("p1");
    if (ask.only_count) ask.only[ask.only_count++] = BYTES("p4");
    if (kit_draw(k, 4) == 0) ask.ignore[ask.ignore_count++] = BYTES("p0");
    if (kit_draw(k, 4) == 0) ask.order[ask.order_count++] = BYTES("p3");
    if (ask.order_count && kit_draw(k, 2)) ask.order[ask.order_count++] = BYTES("p1");
    if (kit_draw(k, 3) == 0) {
        ask.sticky = 1 + kit_draw(k, k->c.model_count);
        ask.sticky_cached = kit_draw(k, 3000);
    }
    return ask;
}

static const struct arm *find(const struct reference *r, struct plan_candidate it)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->arm[i].model == it.model && r->arm[i].effort == it.effort) return &r->arm[i];
    }
    return NULL;
}

static void compare(const struct reference *r, const struct plan *p, uint64_t seed)
{
    uint32_t at = 0;
    for (uint8_t i = 0; i < p->count; i++) {
        if (p->at[i].reason == PLAN_COOLING) continue;
        const struct arm *got = find(r, p->at[i]);
        if (!got) fail_msg("seed %lu: candidate %u is out", (unsigned long)seed, i);
        for (; at < r->count; at++) {  /* the next whose model is not in the plan yet */
            bool listed = false;
            for (uint8_t n = 0; n < i; n++) listed |= p->at[n].model == r->arm[at].model;
            if (!listed) break;
        }
        assert_true(at < r->count);
        const struct arm *want = &r->arm[at];
        if (got->place != want->place || fabs(got->key - want->key) > 2e-5 * want->key) {
            fail_msg("seed %lu: at %u key %u:%g, not %u:%g", (unsigned long)seed, i, got->place,
                     got->key, want->place, want->key);
        }
        assert_int_equal(p->at[i].reason, got->below ? PLAN_BELOW_FLOOR : PLAN_CHOSEN);
        for (uint8_t n = 0; n < i; n++) assert_int_not_equal(p->at[n].model, p->at[i].model);
    }
    uint32_t models = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        bool first = true;
        for (uint32_t n = 0; n < i && first; n++) first = r->arm[n].model != r->arm[i].model;
        models += first;
    }
    uint32_t all = models + r->cooling;
    if (models >= PLAN_MAX) assert_int_equal(p->count, PLAN_MAX);
    else assert_true(p->count >= models && (all == 0) == (p->count == 0));
    if (p->count == 0) assert_true(p->reason >= PLAN_NOT_ALLOWED && p->reason <= PLAN_OFF);
}

/* The loops of all instruction sets that this processor has, in turn. */
static const struct pass_set *set_of(int n)
{
    const struct pass_set *best = pass_set_best();
    if (n % 3 == 0 || best == &pass_narrow) return &pass_narrow;
#if defined(__x86_64__)
    if (n % 3 == 1) return &pass_avx2;
#endif
    return best;
}

static void test_as_the_slow_reference(void **state)
{
    static struct reference r;
    uint32_t unsure = 0, empty = 0, below = 0, efforts = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct kit *k = kit_make(seed, 1 + (uint32_t)(seed * 7919 % 150));
        kit_score(k);
        kit_learn(k);
        for (int n = 0; n < 4; n++) {
            k->s->set = set_of(n);
            struct plan_ask ask = draw_ask(k);
            struct plan p;
            plan_make(&k->c, &ask, &p);
            assert_true(p.routed && p.mode == ask.mode);
            refer(&r, k, &ask, (enum plan_mode)ask.mode);
            if (r.unsure) unsure++;
            else compare(&r, &p, seed);
            empty += p.count == 0;
            for (uint8_t i = 0; i < p.count; i++) {
                below += p.at[i].reason == PLAN_BELOW_FLOOR;
                efforts += p.at[i].effort != EFFORT_UNSET;
            }
        }
        kit_free(k);
    }
    assert_true(unsure < SEEDS / 5 && empty > 50 && below > 500 && efforts > 500);
}

/* ---- properties ---- */

static uint8_t rank_in(struct kit *k, const struct plan_ask *ask, uint32_t model)
{
    struct plan p;
    plan_make(&k->c, ask, &p);
    for (uint8_t i = 0; i < p.count; i++) {
        if (p.at[i].model == model) return i;
    }
    return PLAN_MAX;
}

/* What gets worse in what a mode minds never comes earlier. */
static void test_worse_is_never_better(void **state)
{
    (void)state;
    uint32_t moved = 0;
    for (uint64_t seed = 1; seed <= 600; seed++) {
        struct kit *k = kit_make(seed, 12);
        kit_score(k);
        struct plan_ask ask = kit_ask(k, "auto");
        ask.floor = 0;
        ask.effort = EFFORT_MEDIUM;
        ask.mode = (uint8_t)(seed % PLAN_MODES);
        uint32_t model = kit_draw(k, 12), row = score_row(k->s, model, 0);
        k->c.model[model].price.at[0].known = true;
        score_close(k->s);
        kit_score(k);
        ask.score = k->v;
        uint8_t before = rank_in(k, &ask, model);
        if (ask.mode == PLAN_COST || seed % 8 == PLAN_BALANCED) {
            k->c.model[model].price.at[0].kind[PRICE_OUTPUT] *= 3;
            score_close(k->s);
            kit_score(k);  /* the prior follows the price: slower too */
            ask.score = k->v;
        } else if (ask.mode == PLAN_AVAILABILITY) {
            for (int i = 0; i < 9; i++) score_learn_end(k->v, row, KIT_NOW_MS, false);
        } else {
            for (int i = 0; i < 9; i++) score_learn_ttft(k->v, row, KIT_NOW_MS, 1u << 31);
        }
        uint8_t after = rank_in(k, &ask, model);
        if (after < before) fail_msg("seed %lu: %u to %u", (unsigned long)seed, before, after);
        moved += after > before;
        kit_free(k);
    }
    assert_true(moved > 100);
}

/* Names do not matter: the same models under other ids are ordered alike. */
static void test_ids_do_not_matter(void **state)
{
    enum { N = 40 };
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct kit *a = kit_make(seed, N), *b = kit_make(seed, N);
        for (uint32_t i = 0; i < N; i++) {
            a->model[i].upstream = b->model[i].upstream = a->id[i];
            snprintf(b->id[i], sizeof b->id[i], "%s/%02u", b->name[b->model[i].provider],
                     (unsigned)((i * 17 + seed) % N));
        }
        kit_score(a);
        kit_score(b);
        struct plan_ask ask = draw_ask(a);
        struct plan p, q;
        ask.allow = NULL;
        ask.sticky = 0;
        ask.cost_power = 500000;
        plan_make(&a->c, &ask, &p);
        ask.score = b->v;
        plan_make(&b->c, &ask, &q);
        assert_int_equal(p.count, q.count);
        for (uint8_t i = 0; i < p.count; i++) {
            const char *x = a->c.model[p.at[i].model].upstream;
            if (strcmp(x, b->c.model[q.at[i].model].upstream) == 0) continue;
            uint8_t place = rank_in(b, &ask, q.at[i].model);
            assert_int_equal(place, i);
            break;  /* equals: from here on the orders may differ */
        }
        kit_free(a);
        kit_free(b);
    }
}

/* Every endpoint is told of once, the plan first and in its order, sums included. */
struct told { struct plan_view view[ARMS_MAX]; uint32_t count; };

static void tell(void *arg, const struct plan_view *view)
{
    struct told *t = arg;
    assert_true(t->count < ARMS_MAX);
    t->view[t->count++] = *view;
}

static void test_explained(void **state)
{
    static struct told told;
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct kit *k = kit_make(seed, 60);
        kit_score(k);
        kit_learn(k);
        struct plan_ask ask = draw_ask(k);
        struct plan p, q;
        plan_make(&k->c, &ask, &p);
        told.count = 0;
        plan_explain(&k->c, &ask, &q, tell, &told);
        assert_int_equal(p.count, q.count);
        for (uint8_t i = 0; i < p.count; i++) {
            assert_int_equal(p.at[i].model, q.at[i].model);
            assert_int_equal(p.at[i].effort, q.at[i].effort);
            assert_int_equal(p.at[i].reason, q.at[i].reason);
        }
        assert_int_equal(told.count,
                         ask.effort == EFFORT_UNSET ? k->s->arm_count : k->s->model_count);
        for (uint32_t i = 0; i < told.count; i++) {
            const struct plan_view *v = &told.view[i];
            bool in = i < p.count;
            assert_int_equal(v->place, in ? i : PLAN_MAX);
            if (in) assert_int_equal(v->model, p.at[i].model);
            if (in) assert_int_equal(v->effort, p.at[i].effort);
            if (in) assert_int_equal(v->reason, p.at[i].reason);
            bool fits = passes(k, &ask, v->model);
            if (fits && !in) assert_true(v->reason == PLAN_BEHIND || v->reason == PLAN_COOLING);
            if (!fits) assert_true(v->reason > PLAN_UNKNOWN_MODEL && v->reason < PLAN_BEHIND);
            assert_true(v->quality >= v->quality_low && v->quality_low >= 0 && v->quality <= 1);
            assert_true(v->time >= v->ttft && v->cost >= 0 && v->chance <= 1 - v->error);
            if (p.count && v->reason == PLAN_BELOW_FLOOR) {
                assert_true(v->quality_low < (float)ask.floor / 1e6f + 1e-4f);
            }
            if (ask.mode != PLAN_AVAILABILITY && v->reason == PLAN_CHOSEN) {
                assert_true(v->quality_low > (float)ask.floor / 1e6f - 1e-4f);
            }
        }
        kit_free(k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_the_slow_reference),
        cmocka_unit_test(test_worse_is_never_better), cmocka_unit_test(test_ids_do_not_matter),
        cmocka_unit_test(test_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
