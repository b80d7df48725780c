/* score.c - the score table: columns made once per catalogue, sums learned per core, views
 * merged from them.
 *
 *   learn on core A -> A's sum of the row -(each core, every SCORE_MERGE_MS)-> columns of its
 *   own view -> pass.c
 *
 * A sum is a mean with a weight: answers of evidence, each counting at first 1, fading with
 * time (half after ERROR_HALF_S or SPEED_HALF_S) and bounded by WEIGHT_MAX per core, so that a
 * change shows after some dozens of answers however many there were before. Mean and weight are
 * one atomic word: nobody sees one without the other. Relaxed order is enough, for no word
 * guards another; a reader between two stores is off by one answer until it looks again.
 * A view shows (prior x PRIOR_WEIGHT + sums) / (PRIOR_WEIGHT + weights).
 * Rule: one writer per sum, and nothing here is money. */
#include "route/pass.h"
#include "route/score_part.h"

#include <math.h>
#include <stdlib.h>

enum {
    TICK_MS = 64,                /* times in sums: 32 bits last 8 years */
    ROOM_TICKS_MAX = SCORE_ROOM_S_MAX * 1000 / TICK_MS,
    MERGE_CELLS_MAX = 4096,      /* sums read by one merge: some 30 us */
    SPEED_TOKENS_FEW = 16,       /* an answer of fewer says nothing of the speed ... */
    SPEED_TOKENS_FULL = 64,      /* ... and one of so many counts whole */
    EFFORT_ARMS = 2,             /* further efforts of a model that auto may choose */
};
static_assert(ROOM_TICKS_MAX <= UINT16_MAX, "a reset time fits");

static const float ERROR_HALF_S = 60, SPEED_HALF_S = 600;
static const float WEIGHT_MAX = 32;      /* answers, per core */
static const float PRIOR_WEIGHT = 4;
static const float PRIOR_ERROR = 0.02f;
static const float HIGH_STEP = 0.2f;     /* of the estimate of a percentile, per answer */
#define HIGH_STEP_OCTAVES 0.2885f        /* the same as a logarithm to base 2 */

/* Seconds to the first content and a token, of a model that nothing was learned of, by its
 * output price (US dollars per 1M tokens, up to): what is dear is large, and large is slow. One
 * that thinks takes longer. Judgement from published tables of speeds, not measurement: some
 * four answers outweigh it. */
static const struct { float price, ttft, slow; } priors[] = {
    {1, 0.4f, 1 / 120.0f}, {5, 0.6f, 1 / 80.0f}, {20, 0.9f, 1 / 60.0f}, {1e9f, 1.5f, 1 / 40.0f},
};
static const float THINKS_TTFT = 1.0f;

/* Tokens written for each that is shown, by effort: thinking is billed and takes time.
 * Judgement, as above. */
static const float efforts_mult[EFFORTS] = {
    [EFFORT_UNSET] = 1, [EFFORT_NONE] = 1, [EFFORT_MINIMAL] = 1.2f, [EFFORT_LOW] = 1.7f,
    [EFFORT_MEDIUM] = 3, [EFFORT_HIGH] = 5, [EFFORT_XHIGH] = 8,
};

/* ---- a mean and its weight in one word ---- */

struct mean { float mean, weight; };

static struct mean mean_get(const _Atomic uint64_t *w)
{
    uint64_t bits = atomic_load_explicit(w, memory_order_relaxed);
    struct mean m;
    static_assert(sizeof m == sizeof bits, "a mean is a word");
    memcpy(&m, &bits, sizeof m);
    return m;
}

static void mean_set(_Atomic uint64_t *w, struct mean m)
{
    uint64_t bits;
    assert(m.weight >= 0 && m.weight <= WEIGHT_MAX);
    memcpy(&bits, &m, sizeof bits);
    atomic_store_explicit(w, bits, memory_order_relaxed);
}

struct high { float p95; uint32_t at; };         /* at: tick, 0 never */

static struct high high_get(const _Atomic uint64_t *w)
{
    uint64_t bits = atomic_load_explicit(w, memory_order_relaxed);
    struct high h;
    static_assert(sizeof h == sizeof bits, "a word");
    memcpy(&h, &bits, sizeof h);
    return h;
}

static uint32_t tick_of(uint64_t now_ms) { return (uint32_t)(now_ms / TICK_MS) + 1; }

/* What is left of a weight after so many ticks. A tick in the future is another core's, a
 * moment ahead. */
static float fade(uint32_t from, uint32_t to, float half_s)
{
    if (to - from == 0 || to - from > UINT32_MAX / 2) return 1;
    return exp2f(-(float)(to - from) * (TICK_MS / 1000.0f) / half_s);
}

static void mean_fade(_Atomic uint64_t *w, float left)
{
    struct mean m = mean_get(w);
    m.weight *= left;
    mean_set(w, m);
}

static void mean_add(_Atomic uint64_t *w, float value, float weight)
{
    struct mean m = mean_get(w);
    assert(weight > 0 && weight <= 1);
    if (m.weight > WEIGHT_MAX - weight) m.weight = WEIGHT_MAX - weight;
    m.mean = (m.mean * m.weight + value * weight) / (m.weight + weight);
    m.weight += weight;
    mean_set(w, m);
}

/* ---- making ---- */

/* Places in one allocation: a first round without memory measures. */
struct yard { char *at; size_t used; };

static void *yard_take(struct yard *y, size_t count, size_t size)
{
    void *place = y->at ? y->at + y->used : NULL;
    y->used += (count * size + SCORE_LINE - 1) / SCORE_LINE * SCORE_LINE;
    return place;
}

static void place_view(struct yard *y, struct score *v, size_t arms)
{
    float **column[] = {&v->price_in, &v->price_cached, &v->price_out, &v->price_request,
                        &v->ttft, &v->slow, &v->tries, &v->error, &v->risk, &v->room,
                        &v->weight, &v->cost, &v->low, &v->key, &v->said, &v->shown};
    for (size_t i = 0; i < COUNT(column); i++) *column[i] = yard_take(y, arms, sizeof(float));
    v->mask = yard_take(y, arms, sizeof *v->mask);
    v->seen = yard_take(y, arms, sizeof *v->seen);
    v->least = yard_take(y, score_groups((uint32_t)arms), sizeof *v->least);
}

/* The columns of s, in its shape. */
static void place(struct yard *y, struct scores *s)
{
    size_t models = s->model_count, arms = s->padded;
    s->first_row = yard_take(y, models + 1, sizeof *s->first_row);
    s->first_arm = yard_take(y, models + 1, sizeof *s->first_arm);
    s->model = yard_take(y, arms, sizeof *s->model);
    s->effort = yard_take(y, arms, sizeof *s->effort);
    s->run = yard_take(y, arms, sizeof *s->run);
    for (int f = 0; f < FAMILIES; f++) {
        s->t[f] = yard_take(y, arms, sizeof(float));
        s->width[f] = yard_take(y, arms, sizeof(float));
    }
    for (int e = 0; e < EFFORTS; e++) {
        s->shift[e] = yard_take(y, arms, sizeof(float));
        s->mult[e] = yard_take(y, arms, sizeof(float));
    }
    s->autos = yard_take(y, arms, sizeof *s->autos);
    s->abilities = yard_take(y, arms, sizeof *s->abilities);
    s->context = yard_take(y, arms, sizeof(float));
    s->prior_ttft = yard_take(y, models, sizeof(float));
    s->prior_slow = yard_take(y, models, sizeof(float));
    s->model_state = yard_take(y, models, sizeof *s->model_state);
    s->provider_state = yard_take(y, CATALOG_PROVIDERS_MAX, sizeof *s->provider_state);
    s->sum = yard_take(y, (size_t)s->views * s->row_count, sizeof *s->sum);
    s->touched = yard_take(y, (size_t)s->views * s->words, sizeof *s->touched);
    s->view = yard_take(y, s->views, sizeof *s->view);
    for (uint32_t i = 0; i < s->views; i++) {
        struct score none;
        place_view(y, y->at ? &s->view[i] : &none, arms);
    }
}

/* The efforts that auto may ask a model for beside its own choice: the least and the most. */
static unsigned further_efforts(const struct catalog_model *m, uint8_t effort[EFFORT_ARMS])
{
    unsigned count = 0, bits = m->quality.efforts & ~(1u << EFFORT_UNSET);
    for (unsigned e = 0; e < EFFORTS; e++) {
        if (!(bits & 1u << e)) continue;
        if (count == EFFORT_ARMS) count--;
        effort[count++] = (uint8_t)e;
    }
    return count;
}

static uint32_t keys_of(const struct catalog *c, uint32_t model)
{
    uint32_t count = c->provider[c->model[model].provider].key_count;
    return count ? count : 1;
}

static struct scores shape_of(const struct score_setup *setup)
{
    const struct catalog *c = setup->catalog;
    struct scores s = {.catalog = c, .model_count = c->model_count, .views = setup->views,
                       .arm_count = c->model_count, .key_word = setup->key_word,
                       .model_word = setup->model_word};
    for (uint32_t m = 0; m < c->model_count; m++) {
        uint8_t effort[EFFORT_ARMS];
        s.row_count += keys_of(c, m);
        s.arm_count += further_efforts(&c->model[m], effort);
    }
    s.padded = (s.arm_count + SCORE_GROUP - 1) / SCORE_GROUP * SCORE_GROUP;
    s.words = (s.model_count + 63) / 64;
    return s;
}

/* The effort that a model takes where the request says none: the one that costs as much. */
static unsigned usual_effort(const struct quality *q)
{
    unsigned best = EFFORT_UNSET;
    float apart = INFINITY;
    for (unsigned e = EFFORT_NONE; e < EFFORTS; e++) {
        float d = fabsf(q->effort[e] - q->effort[EFFORT_UNSET]);
        if (!(q->efforts & 1u << e) || d >= apart) continue;
        apart = d;
        best = e;
    }
    return best;
}

static void fill_arm(struct scores *s, uint32_t arm, uint32_t model, unsigned effort)
{
    const struct catalog_model *m = &s->catalog->model[model];
    const struct quality *q = &m->quality;
    bool thinks = m->abilities & ABILITY_REASONING;
    s->model[arm] = model;
    s->effort[arm] = (uint8_t)effort;
    for (int f = 0; f < FAMILIES; f++) {
        s->t[f][arm] = q->t[f];
        s->width[f][arm] = q->width[f];
    }
    for (unsigned e = 0; e < EFFORTS; e++) {
        unsigned asked = effort == EFFORT_UNSET ? e : effort;
        unsigned taken = q->efforts & 1u << asked ? asked : usual_effort(q);
        s->shift[e][arm] = q->effort[asked];
        s->mult[e][arm] = taken != EFFORT_UNSET ? efforts_mult[taken]
                          : thinks              ? efforts_mult[EFFORT_MEDIUM] : 1;
    }
    s->abilities[arm] = m->abilities;
    s->context[arm] = m->context ? (float)m->context : 1e12f;
}

static bool is_auto(const struct score_setup *setup, const struct catalog_model *m)
{
    const struct bytes id = bytes_of(m->id), bare = bytes_of(m->bare);
    if (m->no_text) return false;
    if (setup->auto_count == 0) return !m->by_name;
    for (uint32_t i = 0; i < setup->auto_count; i++) {
        const struct bytes glob = setup->auto_glob[i];
        if (bytes_eq(glob, id) || bytes_eq(glob, bare)) return true;
        if (!m->by_name && (glob_match(glob, id) || glob_match(glob, bare))) return true;
    }
    return false;
}

/* Arms of one provider that lie side by side: filters of providers go through runs. */
static void find_runs(struct scores *s)
{
    for (uint32_t a = 0; a < s->arm_count; a++) {
        uint16_t provider = s->catalog->model[s->model[a]].provider;
        struct score_run *last = s->run_count ? &s->run[s->run_count - 1] : NULL;
        if (last && last->provider == provider) last->count++;
        else s->run[s->run_count++] = (struct score_run){a, 1, provider};
    }
}

static void fill_model(struct scores *s, const struct score_setup *setup, uint32_t m,
                       uint32_t *row, uint32_t *arm)
{
    const struct catalog_model *model = &s->catalog->model[m];
    uint8_t effort[EFFORT_ARMS];
    unsigned count = further_efforts(model, effort);
    bool chosen = is_auto(setup, model);
    s->first_row[m] = *row;
    *row += keys_of(s->catalog, m);
    s->first_arm[m] = *arm;
    fill_arm(s, m, m, EFFORT_UNSET);
    s->autos[m] = chosen ? -1 : 0;
    for (unsigned i = 0; i < count; i++) {
        fill_arm(s, *arm, m, effort[i]);
        s->autos[(*arm)++] = chosen ? -1 : 0;
    }
    for (int f = 0; f < FAMILIES && chosen; f++) {
        float t = model->quality.t[f] + model->quality.effort[EFFORT_UNSET];
        if (t > s->strongest[f]) s->strongest[f] = t;
    }
    const struct price *p = price_at(&model->price, setup->now_unix_s);
    float out = p ? (float)p->kind[PRICE_OUTPUT] * 1e-6f : 0;
    size_t class = 0;
    while (class + 1 < COUNT(priors) && out > priors[class].price) class++;
    s->prior_ttft[m] = priors[class].ttft;
    if (model->abilities & ABILITY_REASONING) s->prior_ttft[m] += THINKS_TTFT;
    s->prior_slow[m] = priors[class].slow;
}

/* What no request may choose: the arms behind the last one. */
static void fill_padding(struct scores *s)
{
    for (uint32_t a = s->arm_count; a < s->padded; a++) {
        for (unsigned e = 0; e < EFFORTS; e++) s->mult[e][a] = 1;
        for (uint32_t i = 0; i < s->views; i++) s->view[i].tries[a] = s->view[i].ttft[a] = 1;
    }
}

static void merge_model(struct score *v, uint32_t m, uint32_t tick);
static void adopt_prices(struct score *v, uint64_t now_unix_s);

struct scores *score_make(const struct score_setup *setup)
{
    assert(setup->catalog && setup->views > 0);
    struct scores shape = shape_of(setup);
    struct yard y = {0};
    (void)yard_take(&y, 1, sizeof shape);
    place(&y, &shape);
    size_t bytes = y.used;
    y = (struct yard){.at = aligned_alloc(SCORE_LINE, bytes)};
    if (!y.at) return NULL;
    memset(y.at, 0, bytes);
    struct scores *s = yard_take(&y, 1, sizeof *s);
    *s = shape_of(setup);
    s->set = pass_set_best();
    place(&y, s);
    assert(y.used == bytes);
    uint32_t row = 0, arm = s->model_count;
    for (int f = 0; f < FAMILIES; f++) s->strongest[f] = -INFINITY;
    for (uint32_t m = 0; m < s->model_count; m++) fill_model(s, setup, m, &row, &arm);
    s->first_row[s->model_count] = row;
    s->first_arm[s->model_count] = arm;
    assert(row == s->row_count && arm == s->arm_count);
    for (int f = 0; f < FAMILIES; f++) {
        if (isinf(s->strongest[f])) s->strongest[f] = 0;
    }
    find_runs(s);
    fill_padding(s);
    for (uint32_t i = 0; i < s->views; i++) {
        struct score *v = &s->view[i];
        v->all = s;
        v->idx = i;
        adopt_prices(v, setup->now_unix_s);
        for (uint32_t m = 0; m < s->model_count; m++) merge_model(v, m, 1);
    }
    return s;
}

void score_close(struct scores *s)
{
    free(s);
}

struct score *score_view(struct scores *s, uint32_t idx)
{
    assert(idx < s->views && s->view[idx].all == s);
    return &s->view[idx];
}

uint32_t score_row(const struct scores *s, uint32_t model, uint32_t key)
{
    assert(model < s->model_count);
    assert(s->first_row[model] + key < s->first_row[model + 1]);
    return s->first_row[model] + key;
}

/* ---- another version ---- */

static struct score_sum *sum_of(const struct scores *s, uint32_t view, uint32_t row)
{
    assert(view < s->views && row < s->row_count);
    return &s->sum[(size_t)view * s->row_count + row];
}

static void touch(const struct scores *s, uint32_t view, uint32_t model)
{
    _Atomic uint64_t *word = &s->touched[(size_t)view * s->words + model / 64];
    uint64_t bits = atomic_load_explicit(word, memory_order_relaxed);
    if (bits >> model % 64 & 1) return;
    atomic_store_explicit(word, bits | UINT64_C(1) << model % 64, memory_order_relaxed);
}

static void carry_word(_Atomic uint64_t *to, const _Atomic uint64_t *from)
{
    atomic_store_explicit(to, atomic_load_explicit(from, memory_order_relaxed),
                          memory_order_relaxed);
}

static void carry_row(struct scores *s, uint32_t row, const struct scores *older, uint32_t was)
{
    uint32_t views = s->views < older->views ? s->views : older->views;
    for (uint32_t i = 0; i < views; i++) {
        struct score_sum *to = sum_of(s, i, row);
        const struct score_sum *from = sum_of(older, i, was);
        carry_word(&to->ttft, &from->ttft);
        carry_word(&to->slow, &from->slow);
        carry_word(&to->error, &from->error);
        carry_word(&to->high_at, &from->high_at);
        carry_word(&to->room, &from->room);
        carry_word(&to->requests, &from->requests);
        carry_word(&to->others, &from->others);
    }
}

static void carry_model(struct scores *s, uint32_t m, const struct scores *older, uint32_t om)
{
    const struct catalog *c = s->catalog, *oc = older->catalog;
    const struct catalog_provider *a = &c->provider[c->model[m].provider];
    const struct catalog_provider *b = &oc->provider[oc->model[om].provider];
    atomic_store_explicit(&s->model_state[m],
                          atomic_load_explicit(&older->model_state[om], memory_order_relaxed),
                          memory_order_relaxed);
    if (a->key_count == 0 && b->key_count == 0) {
        carry_row(s, s->first_row[m], older, older->first_row[om]);
    }
    for (uint32_t k = 0; k < a->key_count; k++) {
        for (uint32_t was = 0; was < b->key_count; was++) {
            if (strcmp(a->key[k], b->key[was]) != 0) continue;
            carry_row(s, s->first_row[m] + k, older, older->first_row[om] + was);
        }
    }
    for (uint32_t i = 0; i < s->views && i < older->views; i++) {
        const _Atomic uint64_t *word = &older->touched[(size_t)i * older->words + om / 64];
        uint64_t bits = atomic_load_explicit(word, memory_order_relaxed);
        if (bits >> om % 64 & 1) touch(s, i, m);
    }
}

/* The tick of what was learned last, so that a merge without a clock fades nothing. */
static uint32_t latest(const struct scores *s, uint32_t m)
{
    uint32_t at = 1;
    for (uint32_t i = 0; i < s->views; i++) {
        for (uint32_t row = s->first_row[m]; row < s->first_row[m + 1]; row++) {
            struct high h = high_get(&sum_of(s, i, row)->high_at);
            if (h.at > at) at = h.at;
        }
    }
    return at;
}

void score_carry(struct scores *s, const struct scores *older)
{
    const struct catalog *c = s->catalog, *oc = older->catalog;
    assert(s != older);
    for (uint32_t p = 0; p < c->provider_count; p++) {
        int32_t was = catalog_provider_find(oc, bytes_of(c->provider[p].name));
        if (was < 0) continue;
        uint8_t state = atomic_load_explicit(&older->provider_state[was], memory_order_relaxed);
        atomic_store_explicit(&s->provider_state[p], state, memory_order_relaxed);
    }
    for (uint32_t m = 0; m < s->model_count; m++) {
        int32_t was = catalog_find(oc, bytes_of(c->model[m].id));
        if (was < 0) continue;
        carry_model(s, m, older, (uint32_t)was);
        for (uint32_t i = 0; i < s->views; i++) merge_model(&s->view[i], m, latest(s, m));
    }
}

/* ---- learning ---- */

/* The sum of a row on this thread, faded to now. */
static struct score_sum *sum_now(struct score *v, uint32_t row, uint64_t now_ms)
{
    struct score_sum *sum = sum_of(v->all, v->idx, row);
    struct high h = high_get(&sum->high_at);
    uint32_t tick = tick_of(now_ms);
    if (h.at == tick) return sum;
    if (h.at != 0) {
        float speed = fade(h.at, tick, SPEED_HALF_S);
        mean_fade(&sum->ttft, speed);
        mean_fade(&sum->slow, speed);
        mean_fade(&sum->error, fade(h.at, tick, ERROR_HALF_S));
    }
    h.at = tick;
    uint64_t bits;
    memcpy(&bits, &h, sizeof bits);
    atomic_store_explicit(&sum->high_at, bits, memory_order_relaxed);
    return sum;
}

/* The model of a row; rows lie in the order of models. */
static uint32_t model_of(const struct scores *s, uint32_t row)
{
    uint32_t low = 0, high = s->model_count;
    assert(row < s->row_count);
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        if (s->first_row[mid] <= row) low = mid;
        else high = mid;
    }
    return low;
}

/* Something was learned of a row: this thread's view shows it at once. */
static void learned(struct score *v, uint32_t row, uint64_t now_ms)
{
    uint32_t m = model_of(v->all, row);
    touch(v->all, v->idx, m);
    merge_model(v, m, tick_of(now_ms));
}

static void count_in_flight(struct score *v, uint32_t row, uint32_t change)
{
    _Atomic uint32_t *n = &sum_of(v->all, v->idx, row)->in_flight;
    uint32_t now = atomic_load_explicit(n, memory_order_relaxed) + change;
    assert(now < UINT32_MAX / 2);
    atomic_store_explicit(n, now, memory_order_relaxed);
}

void score_begin(struct score *v, uint32_t row)
{
    count_in_flight(v, row, 1);
}

void score_end(struct score *v, uint32_t row)
{
    count_in_flight(v, row, UINT32_MAX);
}

void score_learn_end(struct score *v, uint32_t row, uint64_t now_ms, bool good)
{
    struct score_sum *sum = sum_now(v, row, now_ms);
    mean_add(&sum->error, good ? 0 : 1, 1);
    uint64_t n = atomic_load_explicit(&sum->requests, memory_order_relaxed);
    atomic_store_explicit(&sum->requests, n + 1, memory_order_relaxed);
    learned(v, row, now_ms);
}

/* A percentile by stochastic approximation: up by 19 steps where a value is above, down by one
 * where it is not, so that it rests where one in twenty is above. Steps are shares of the
 * estimate, in the logarithm of time. */
static float percentile(struct high h, float value, float mean)
{
    if (h.p95 <= 0) return value > mean ? value * 1.5f : mean * 1.5f;
    return h.p95 * expf(value > h.p95 ? HIGH_STEP * 0.95f : -HIGH_STEP * 0.05f);
}

/* The other percentiles are kept as logarithms of nanoseconds, in so many parts of an octave:
 * fine enough for the least step down of the highest. 0: nothing was learned. */
enum { LOG_ONE = 1024, LOG_BITS = 16, OTHERS = 4 };

static const struct other { float share, first; } others[OTHERS] = {   /* first: of the first */
    {0.50f, 1.0f}, {0.75f, 1.15f}, {0.90f, 1.3f}, {0.99f, 2.0f},       /* value */
};
static_assert(SCORE_P50 == 0 && SCORE_P75 == 1 && SCORE_P90 == 2 && SCORE_P95 == 3 &&
              SCORE_P99 == 4, "others without p95 are in this order");

static uint64_t log_of(float s)
{
    float log = log2f(s > 1e-9f ? s * 1e9f : 1) * LOG_ONE;
    return log < 1 ? 1 : log > UINT16_MAX ? UINT16_MAX : (uint64_t)(log + 0.5f);
}

/* As percentile() does it. */
static uint64_t other_next(uint64_t was, const struct other *o, float value)
{
    static const float STEP = HIGH_STEP_OCTAVES * LOG_ONE;
    uint64_t log = log_of(value), up = (uint64_t)(STEP * o->share + 0.5f);
    uint64_t down = (uint64_t)(STEP * (1 - o->share) + 0.5f);
    if (was == 0) return log_of(value * o->first);
    if (log > was) return was + up < UINT16_MAX ? was + up : UINT16_MAX;
    return was > down ? was - down : 1;
}

static void learn_others(struct score_sum *sum, float value)
{
    uint64_t was = atomic_load_explicit(&sum->others, memory_order_relaxed), now = 0;
    for (unsigned i = 0; i < OTHERS; i++) {
        uint64_t log = was >> LOG_BITS * i & UINT16_MAX;
        now |= other_next(log, &others[i], value) << LOG_BITS * i;
    }
    atomic_store_explicit(&sum->others, now, memory_order_relaxed);
}

void score_learn_ttft(struct score *v, uint32_t row, uint64_t now_ms, uint64_t ns)
{
    struct score_sum *sum = sum_now(v, row, now_ms);
    float s = (float)ns * 1e-9f;
    mean_add(&sum->ttft, s, 1);
    struct high h = high_get(&sum->high_at);
    h.p95 = percentile(h, s, mean_get(&sum->ttft).mean);
    uint64_t bits;
    memcpy(&bits, &h, sizeof bits);
    atomic_store_explicit(&sum->high_at, bits, memory_order_relaxed);
    learn_others(sum, s);
    learned(v, row, now_ms);
}

void score_learn_speed(struct score *v, uint32_t row, uint64_t now_ms, uint64_t tokens,
                       uint64_t ns)
{
    if (tokens < SPEED_TOKENS_FEW || ns == 0) return;
    struct score_sum *sum = sum_now(v, row, now_ms);
    float weight = tokens < SPEED_TOKENS_FULL ? (float)tokens / SPEED_TOKENS_FULL : 1;
    mean_add(&sum->slow, (float)ns * 1e-9f / (float)tokens, weight);
    learned(v, row, now_ms);
}

void score_learn_room(struct score *v, uint32_t row, uint64_t now_ms, uint32_t room,
                      uint64_t reset_ms)
{
    struct score_sum *sum = sum_now(v, row, now_ms);
    uint64_t ticks = (reset_ms + TICK_MS - 1) / TICK_MS;
    if (ticks > ROOM_TICKS_MAX) ticks = ROOM_TICKS_MAX;
    if (room > SCORE_ONE) room = SCORE_ONE;
    uint64_t word = (uint64_t)tick_of(now_ms) << 32 | ticks << 16 | room;
    atomic_store_explicit(&sum->room, word, memory_order_relaxed);
    learned(v, row, now_ms);
}

/* ---- merging ---- */

struct total { float ttft, ttft_weight, slow, slow_weight, error, error_weight, high; };

/* Add up one endpoint over all threads. */
static void add_row(const struct scores *s, uint32_t row, uint32_t tick, struct total *t)
{
    for (uint32_t i = 0; i < s->views; i++) {
        const struct score_sum *sum = sum_of(s, i, row);
        struct high h = high_get(&sum->high_at);
        if (h.at == 0) continue;
        float speed = fade(h.at, tick, SPEED_HALF_S);
        struct mean ttft = mean_get(&sum->ttft), slow = mean_get(&sum->slow);
        struct mean error = mean_get(&sum->error);
        t->ttft += ttft.mean * ttft.weight * speed;
        t->high += h.p95 * ttft.weight * speed;
        t->ttft_weight += ttft.weight * speed;
        t->slow += slow.mean * slow.weight * speed;
        t->slow_weight += slow.weight * speed;
        float left = fade(h.at, tick, ERROR_HALF_S);
        t->error += error.mean * error.weight * left;
        t->error_weight += error.weight * left;
    }
}

/* What was said last of an endpoint's room and still holds; 1 where nothing is. */
static float room_of(const struct scores *s, uint32_t row, uint32_t tick, uint32_t *left)
{
    uint64_t newest = 0;
    for (uint32_t i = 0; i < s->views; i++) {
        uint64_t w = atomic_load_explicit(&sum_of(s, i, row)->room, memory_order_relaxed);
        if (w >> 32 > newest >> 32) newest = w;
    }
    uint32_t age = tick - (uint32_t)(newest >> 32), reset = newest >> 16 & UINT16_MAX;
    if (age > UINT32_MAX / 2) age = 0;  /* another core is a moment ahead */
    *left = newest && age < reset ? reset - age : 0;
    return *left ? (float)(newest & UINT16_MAX) / SCORE_ONE : 1;
}

static float weighed(float prior, float sum, float weight)
{
    return (prior * PRIOR_WEIGHT + sum) / (PRIOR_WEIGHT + weight);
}

/* The columns of a model and its arms. */
static void put_columns(struct score *v, uint32_t arm, const struct score *from, uint32_t at)
{
    v->ttft[arm] = from->ttft[at];
    v->slow[arm] = from->slow[at];
    v->tries[arm] = from->tries[at];
    v->error[arm] = from->error[at];
    v->risk[arm] = from->risk[at];
    v->room[arm] = from->room[at];
    v->weight[arm] = from->weight[at];
}

static void merge_model(struct score *v, uint32_t m, uint32_t tick)
{
    const struct scores *s = v->all;
    struct total t = {0};
    float room = 0;
    for (uint32_t row = s->first_row[m]; row < s->first_row[m + 1]; row++) {
        uint32_t left;
        float here = room_of(s, row, tick, &left);
        if (here > room) room = here;
        add_row(s, row, tick, &t);
    }
    float error = weighed(PRIOR_ERROR, t.error, t.error_weight);
    float high = error + SCORE_Z * sqrtf(error * (1 - error) / (PRIOR_WEIGHT + t.error_weight));
    float full = room < 0.1f ? 0.5f - room * 5 : 0;  /* the last tenth of a limit may be gone */
    v->ttft[m] = weighed(s->prior_ttft[m], t.ttft, t.ttft_weight);
    v->slow[m] = weighed(s->prior_slow[m], t.slow, t.slow_weight);
    v->error[m] = error;
    v->tries[m] = 1 / (1 - (error < 0.9f ? error : 0.9f));
    v->risk[m] = high + full < 1 ? high + full : 1;
    v->room[m] = room;
    v->weight[m] = t.error_weight;
    assert(v->ttft[m] > 0 && v->slow[m] > 0);
    for (uint32_t a = s->first_arm[m]; a < s->first_arm[m + 1]; a++) put_columns(v, a, v, m);
}

static void adopt_price(struct score *v, uint32_t arm, const struct price *p)
{
    bool known = p && p->known;
    v->price_in[arm] = known ? (float)p->kind[PRICE_INPUT] * 1e-12f : -1;
    v->price_cached[arm] = known ? (float)p->kind[PRICE_CACHED] * 1e-12f : 0;
    v->price_out[arm] = known ? (float)p->kind[PRICE_OUTPUT] * 1e-12f : 0;
    v->price_request[arm] = known ? (float)p->request * 1e-12f : 0;
}

/* The prices in force, and until when they are. */
static void adopt_prices(struct score *v, uint64_t now_unix_s)
{
    const struct scores *s = v->all;
    v->price_until_s = UINT64_MAX;
    v->tier_least = INFINITY;
    for (uint32_t m = 0; m < s->model_count; m++) {
        const struct price_list *list = &s->catalog->model[m].price;
        const struct price *p = price_at(list, now_unix_s);
        adopt_price(v, m, p);
        for (uint32_t a = s->first_arm[m]; a < s->first_arm[m + 1]; a++) adopt_price(v, a, p);
        if (p && p->tier_count && (float)p->tier[0].above < v->tier_least) {
            v->tier_least = (float)p->tier[0].above;
        }
        for (unsigned i = 0; i < list->count; i++) {
            uint64_t from = list->at[i].from_unix_s;
            if (from > now_unix_s && from < v->price_until_s) v->price_until_s = from;
        }
    }
}

static uint64_t touched_by_any(const struct scores *s, uint32_t word)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < s->views; i++) {
        bits |= atomic_load_explicit(&s->touched[(size_t)i * s->words + word],
                                     memory_order_relaxed);
    }
    return bits;
}

void score_merge(struct score *v, uint64_t now_ms, uint64_t now_unix_s)
{
    const struct scores *s = v->all;
    uint32_t tick = tick_of(now_ms), cells = 0, m = v->next < s->model_count ? v->next : 0;
    uint64_t bits = s->words ? touched_by_any(s, m / 64) : 0;
    if (now_unix_s >= v->price_until_s) adopt_prices(v, now_unix_s);
    for (uint32_t seen = 0; seen < s->model_count && cells < MERGE_CELLS_MAX; seen++) {
        if (m % 64 == 0) bits = touched_by_any(s, m / 64);
        if (bits >> m % 64 & 1) {
            merge_model(v, m, tick);
            cells += (s->first_row[m + 1] - s->first_row[m]) * s->views;
        }
        if (++m == s->model_count) m = 0;
    }
    v->next = m;
}

/* ---- for people, and the operator's word ---- */

void score_look(const struct scores *s, uint32_t row, uint64_t now_ms, struct score_look *out)
{
    uint32_t tick = tick_of(now_ms), m = model_of(s, row), left;
    struct total t = {0};
    *out = (struct score_look){0};
    for (uint32_t i = 0; i < s->views; i++) {
        const struct score_sum *sum = sum_of(s, i, row);
        out->requests += atomic_load_explicit(&sum->requests, memory_order_relaxed);
        out->in_flight += atomic_load_explicit(&sum->in_flight, memory_order_relaxed);
    }
    add_row(s, row, tick, &t);
    float ttft = weighed(s->prior_ttft[m], t.ttft, t.ttft_weight);
    out->ttft_us = (uint32_t)(ttft * 1e6f < 4e9f ? ttft * 1e6f : 4e9f);
    float high = weighed(s->prior_ttft[m] * 2, t.high, t.ttft_weight);
    out->ttft_p95_us = (uint32_t)(high * 1e6f < 4e9f ? high * 1e6f : 4e9f);
    float speed = 1000 / weighed(s->prior_slow[m], t.slow, t.slow_weight);
    out->speed = (uint32_t)(speed < 4e9f ? speed : 4e9f);
    out->error = (uint32_t)(weighed(PRIOR_ERROR, t.error, t.error_weight) * SCORE_ONE + 0.5f);
    out->room = (uint32_t)(room_of(s, row, tick, &left) * SCORE_ONE + 0.5f);
    out->room_reset_s = (left * TICK_MS + 999) / 1000;
    out->weight = (uint32_t)(t.error_weight + 0.5f);
}

/* One core's estimate, in seconds; 0: none. */
static float ttft_at(const struct score_sum *sum, enum score_percentile which)
{
    if (which == SCORE_P95) return high_get(&sum->high_at).p95;
    unsigned place = which < SCORE_P95 ? which : which - 1u;
    uint64_t all = atomic_load_explicit(&sum->others, memory_order_relaxed);
    uint64_t log = all >> LOG_BITS * place & UINT16_MAX;
    return log ? exp2f((float)log / LOG_ONE) * 1e-9f : 0;
}

uint32_t score_ttft_at(const struct scores *s, uint32_t row, uint64_t now_ms,
                       enum score_percentile which, uint32_t *weight)
{
    assert(which < SCORE_PERCENTILES);
    float sum = 0, weights = 0;
    for (uint32_t i = 0; i < s->views; i++) {
        const struct score_sum *one = sum_of(s, i, row);
        struct high h = high_get(&one->high_at);
        float at = ttft_at(one, which);
        if (h.at == 0 || at <= 0) continue;
        float w = mean_get(&one->ttft).weight * fade(h.at, tick_of(now_ms), SPEED_HALF_S);
        sum += at * w;
        weights += w;
    }
    *weight = (uint32_t)(weights + 0.5f);
    if (*weight == 0) return 0;
    float us = sum / weights * 1e6f;
    return us < 4e9f ? (uint32_t)us : (uint32_t)4e9f;
}

void score_set_model(struct scores *s, uint32_t model, enum score_state state)
{
    assert(model < s->model_count && state <= SCORE_OFF);
    atomic_store_explicit(&s->model_state[model], (uint8_t)state, memory_order_release);
}

void score_set_provider(struct scores *s, uint32_t provider, enum score_state state)
{
    assert(provider < s->catalog->provider_count && state <= SCORE_OFF);
    atomic_store_explicit(&s->provider_state[provider], (uint8_t)state, memory_order_release);
}

enum score_state score_state_of(const struct scores *s, uint32_t model)
{
    assert(model < s->model_count);
    uint16_t provider = s->catalog->model[model].provider;
    uint8_t a = atomic_load_explicit(&s->model_state[model], memory_order_acquire);
    uint8_t b = atomic_load_explicit(&s->provider_state[provider], memory_order_acquire);
    return (enum score_state)(a > b ? a : b);
}

bool score_cools(const struct scores *s, uint32_t model, uint64_t now_ms)
{
    size_t provider = s->catalog->model[model].provider;
    uint32_t keys = s->first_row[model + 1] - s->first_row[model];
    if (!s->model_word || !s->key_word) return false;
    for (uint32_t k = 0; k < keys; k++) {
        size_t at = (size_t)model * CATALOG_KEYS_MAX + k;
        if (!breaker_is_open(&s->model_word[at], now_ms)
            && !breaker_is_open(&s->key_word[provider * CATALOG_KEYS_MAX + k], now_ms)) {
            return false;
        }
    }
    return true;
}
