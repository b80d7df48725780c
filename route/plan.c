/* plan.c - names in, candidates out.
 * Model: each name of the request is resolved to models; each model goes through the sieves
 * and is inserted into a list of at most PLAN_MAX, sorted by rank: the name's place, the
 * provider's place in provider.order, the target's place in an alias's list, what it is (first
 * for its session, fine, below the floor, cooling), the mode's key, the provider's weight;
 * equals stay as found. What does not fit falls off the end, so the best PLAN_MAX remain
 * however many there were.
 * `auto` goes another way to the same list: sieves by numbers and keys are made for all arms
 * at once (pass.c), and what only a look at one model tells (policy, state, cool-down) is
 * looked at for the strongest and for the best alone.
 * Rule: reads only the catalogue, the view and the question; never fails, an empty plan has a
 * reason. */
#include "route/plan.h"
#include "route/catalog.h"
#include "route/gain.h"
#include "route/pass.h"
#include "route/score_part.h"

#include <math.h>

enum rank_class { CLASS_CHEAP, CLASS_FIRST, CLASS_FINE, CLASS_BELOW, CLASS_COOLING };

enum {
    NAMED_STEPS = 16,            /* of log2: numbers of one model closer than that are equal */
    EXPLORE_WEIGHT = 4,          /* answers from which on enough is known */
    LEFT_OUT_MAX = 2 * PLAN_MAX, /* cooling arms of auto that are remembered */
};

/* Explaining: what comes before and behind all scores. */
#define SHOWN_FIRST -1e6f
#define SHOWN_LAST 1e6f

struct rank {
    uint32_t place;              /* name, provider.order, target, class: 8 bits each */
    float key;
    uint32_t weight;             /* more is better */
};

struct draft {
    const struct catalog *c;
    const struct plan_ask *ask;
    struct plan *out;
    struct rank rank[PLAN_MAX];  /* beside out->at; ascending */
    struct pass pass;            /* for the name being resolved */
    uint8_t name_idx, target;    /* being resolved */
    uint8_t mode;
    uint8_t reason;              /* of an empty plan so far: of the last sieve reached */
    uint32_t left_out[LEFT_OUT_MAX];     /* of auto: cooling arms */
    uint32_t left_count;
    struct pass *passes;         /* explaining: by name; NULL not. Then the view's seen has, by
                                    arm, 1 + the name that led to it */
};

/* ---- words ---- */

static const char *const mode_names[PLAN_MODES] = {
    [PLAN_BALANCED] = "balanced", [PLAN_COST] = "cost", [PLAN_LATENCY] = "latency",
    [PLAN_AVAILABILITY] = "availability",
};

/* Take a suffix off a text that has it. */
static bool cut_tail(struct bytes *text, struct bytes tail)
{
    if (text->len <= tail.len) return false;
    struct bytes end = {text->ptr + text->len - tail.len, tail.len};
    if (!bytes_eq(end, tail)) return false;
    text->len -= tail.len;
    return true;
}

int plan_mode_of(struct bytes word)
{
    (void)cut_tail(&word, BYTES("-first"));
    for (int i = 0; i < PLAN_MODES; i++) {
        if (bytes_eq(word, bytes_of(mode_names[i]))) return i;
    }
    return -1;
}

const char *plan_mode_name(enum plan_mode mode)
{
    assert(mode < PLAN_MODES);
    return mode_names[mode];
}

const char *plan_reason_text(enum plan_reason reason)
{
    static const char *const texts[PLAN_REASONS] = {
        [PLAN_FINE] = "fine", [PLAN_NAMED] = "named", [PLAN_BARE] = "a provider of the model",
        [PLAN_ALIAS] = "through an alias", [PLAN_LISTED] = "a later entry of the list",
        [PLAN_CHOSEN] = "chosen by score", [PLAN_STICKY] = "answered this conversation before",
        [PLAN_EXPLORED] = "tried to learn of it",
        [PLAN_BELOW_FLOOR] = "below the quality floor: only to fall back",
        [PLAN_COOLING] = "cooling down: last",
        [PLAN_UNKNOWN_MODE] = "no such mode", [PLAN_UNKNOWN_MODEL] = "no such model",
        [PLAN_NOT_ALLOWED] = "not allowed by policy",
        [PLAN_REGION] = "not in an allowed region",
        [PLAN_RETENTION] = "no zero retention",
        [PLAN_FILTERED] = "left out by the request's provider filters",
        [PLAN_NO_PRICE] = "no price is known", [PLAN_PRICE] = "above the maximum price",
        [PLAN_WRONG_DIALECT] = "speaks another dialect",
        [PLAN_ABILITY] = "lacks an ability that is needed",
        [PLAN_CONTEXT] = "the context is too short", [PLAN_SLOW] = "too slow to begin",
        [PLAN_OFF] = "out of rotation", [PLAN_BEHIND] = "others are better",
        [PLAN_CHEAP] = "cheap: asked first, and checked",
    };
    assert(reason < PLAN_REASONS && texts[reason]);
    return texts[reason];
}

/* ---- sieves ---- */

/* Position of the first entry that means this provider, or count. */
static uint8_t provider_place(const struct catalog_provider *p, const struct bytes *list,
                              uint8_t count)
{
    assert(count <= PLAN_NAMES_MAX && p->name);
    for (uint8_t i = 0; i < count; i++) {
        if (bytes_ieq(bytes_of(p->name), list[i])) return i;
        if (comma_list_has(bytes_of(p->also), list[i])) return i;
    }
    return count;
}

/* What speaks against a provider as such, up to the sieve of prices. */
static enum plan_reason sieve_provider(const struct plan_ask *ask,
                                       const struct catalog_provider *p)
{
    if (ask->region && !ask->region(ask->allow_arg, bytes_of(p->region))) return PLAN_REGION;
    if (ask->zdr && !p->zero_retention) return PLAN_RETENTION;
    if (ask->only_count
        && provider_place(p, ask->only, ask->only_count) == ask->only_count) {
        return PLAN_FILTERED;
    }
    if (provider_place(p, ask->ignore, ask->ignore_count) < ask->ignore_count) {
        return PLAN_FILTERED;
    }
    /* With an order and no fallbacks, a provider outside the order would be a fallback. */
    if (ask->one_only && ask->order_count
        && provider_place(p, ask->order, ask->order_count) == ask->order_count) {
        return PLAN_FILTERED;
    }
    return PLAN_FINE;
}

/* Is the price now known where it must be, and within provider.max_price? The base price
 * counts: how long the prompt is in the provider's tokens is not known yet. */
static enum plan_reason sieve_price(const struct plan_ask *ask, const struct catalog_model *m)
{
    if (!ask->need_price && ask->max_prompt == 0 && ask->max_completion == 0) return PLAN_FINE;
    const struct price *p = price_at(&m->price, ask->now_unix_s);
    bool known = p && p->known;
    if (!known && ask->need_price) return PLAN_NO_PRICE;
    if (ask->max_prompt == 0 && ask->max_completion == 0) return PLAN_FINE;
    if (!known) return PLAN_PRICE;
    if (ask->max_prompt != 0 && p->kind[PRICE_INPUT] > ask->max_prompt) return PLAN_PRICE;
    bool dear = ask->max_completion != 0 && p->kind[PRICE_OUTPUT] > ask->max_completion;
    return dear ? PLAN_PRICE : PLAN_FINE;
}

/* Does the model take the effort that the request states? Not known of all that think. */
static bool thinks_so(const struct plan_ask *ask, const struct catalog_model *m)
{
    if (!(ask->needs & ABILITY_REASONING) || ask->effort == EFFORT_UNSET) return true;
    return !m->quality.efforts || m->quality.efforts & 1u << ask->effort;
}

/* Could the model answer the request at all? Of a named one the doubt is in its favour: what
 * the operator does not say of its abilities, and our count of tokens, which is an estimate. */
static enum plan_reason sieve_fit(const struct draft *d, const struct catalog_model *m,
                                  uint32_t arm, bool named)
{
    const struct plan_ask *ask = d->ask;
    unsigned lacks = named ? m->lacks & ~(unsigned)ABILITY_REASONING
                           : ~(unsigned)m->abilities;
    if (lacks & ask->needs || (!named && !thinks_so(ask, m))) return PLAN_ABILITY;
    float in = (float)ask->tokens_in, context = (float)m->context;
    if (m->context && named && in - in / 8 > context) return PLAN_CONTEXT;
    if (!ask->score) return PLAN_FINE;
    if (m->context && !named && d->pass.fit > context) return PLAN_CONTEXT;
    return ask->score->ttft[arm] > d->pass.ttft_max ? PLAN_SLOW : PLAN_FINE;
}

static bool is_on(const struct draft *d, uint32_t model)
{
    return !d->ask->score || score_state_of(d->ask->score->all, model) == SCORE_ON;
}

/* The reason that speaks against a model, or PLAN_FINE. */
static enum plan_reason sieve(const struct draft *d, uint32_t model, uint32_t arm, bool named)
{
    const struct plan_ask *ask = d->ask;
    const struct catalog_model *m = &d->c->model[model];
    assert(m->provider < d->c->provider_count);
    const struct catalog_provider *p = &d->c->provider[m->provider];
    if (ask->allow && !ask->allow(ask->allow_arg, bytes_of(m->id))) return PLAN_NOT_ALLOWED;
    enum plan_reason against = sieve_provider(ask, p);
    if (against == PLAN_FINE) against = sieve_price(ask, m);
    if (against != PLAN_FINE) return against;
    if (ask->dialects && !(ask->dialects & 1u << p->dialect)) return PLAN_WRONG_DIALECT;
    against = sieve_fit(d, m, arm, named);
    if (against != PLAN_FINE) return against;
    return is_on(d, model) ? PLAN_FINE : PLAN_OFF;
}

static bool cools(const struct draft *d, uint32_t model)
{
    return d->ask->score && score_cools(d->ask->score->all, model, d->ask->now_ms);
}

static void blame(struct draft *d, enum plan_reason against)
{
    assert(against > PLAN_UNKNOWN_MODEL);
    if (against > d->reason) d->reason = (uint8_t)against;
}

/* ---- the list ---- */

static bool is_before(const struct rank *a, const struct rank *b)
{
    if (a->place != b->place) return a->place < b->place;
    if (a->key < b->key || a->key > b->key) return a->key < b->key;
    return a->weight > b->weight;
}

static bool is_listed(const struct draft *d, uint32_t model)
{
    for (uint8_t i = 0; i < d->out->count; i++) {
        if (d->out->at[i].model == model) return true;
    }
    return false;
}

/* Insert behind all of the same or a better rank; the worst falls off a full list. */
static void insert(struct draft *d, struct plan_candidate it, struct rank rank)
{
    struct plan *out = d->out;
    assert(out->count <= PLAN_MAX);
    if (is_listed(d, it.model)) return;
    uint8_t to = out->count;
    while (to > 0 && is_before(&rank, &d->rank[to - 1])) to--;
    if (to == PLAN_MAX) return;
    if (out->count < PLAN_MAX) out->count++;
    for (uint8_t i = (uint8_t)(out->count - 1); i > to; i--) {
        out->at[i] = out->at[i - 1];
        d->rank[i] = d->rank[i - 1];
    }
    out->at[to] = it;
    d->rank[to] = rank;
}

static struct rank rank_of(const struct draft *d, uint32_t model, enum rank_class class,
                           float key)
{
    const struct plan_ask *ask = d->ask;
    const struct catalog_provider *p = &d->c->provider[d->c->model[model].provider];
    uint32_t place = provider_place(p, ask->order, ask->order_count);
    return (struct rank){(uint32_t)d->name_idx << 24 | place << 16 | (uint32_t)d->target << 8
                             | (uint32_t)class, key, p->weight};
}

/* Prices of the tiers that so long a prompt pays; what a conversation's provider has cached. */
static void adjust_cost(const struct draft *d, uint32_t arm)
{
    const struct plan_ask *ask = d->ask;
    const struct score *v = ask->score;
    uint32_t model = v->all->model[arm];
    const struct price *p = NULL;
    if (d->pass.in > v->tier_least) {
        p = price_at(&d->c->model[model].price, ask->now_unix_s);
    }
    if (p && p->known && p->tier_count) {
        const int64_t *kind = price_kinds(p, ask->tokens_in);
        pass_reprice(&d->pass, arm, (float)kind[PRICE_INPUT] * 1e-12f,
                     (float)kind[PRICE_OUTPUT] * 1e-12f);
    }
    if (ask->sticky == model + 1) pass_cached(&d->pass, arm, ask->sticky_cached);
}

/* The key of one model that was named. Providers of one model whose numbers are as good as
 * equal stay in the operator's order: small noise must not move traffic about. */
static float key_of(struct draft *d, uint32_t arm)
{
    struct score *v = d->ask->score;
    uint32_t group = arm / SCORE_GROUP * SCORE_GROUP;
    int32_t mask[SCORE_GROUP];
    memcpy(mask, v->mask + group, sizeof mask);
    memset(v->mask + group, 0, sizeof mask);
    v->mask[arm] = -1;
    pass_cost(&d->pass, group, group + SCORE_GROUP);
    adjust_cost(d, arm);
    pass_key(&d->pass, group, group + SCORE_GROUP);
    memcpy(v->mask + group, mask, sizeof mask);
    float key = v->key[arm];
    return d->mode == PLAN_COST ? key : roundf(log2f(key) * NAMED_STEPS);
}

/* Remember, for plan_explain(), which name led to an arm first. */
static void see(const struct draft *d, uint32_t arm)
{
    if (d->passes && !d->ask->score->seen[arm]) d->ask->score->seen[arm] = d->name_idx + 1;
}

/* A model that a name led to: through the sieves into the list. */
static void offer(struct draft *d, uint32_t model, enum plan_reason why)
{
    const struct plan_ask *ask = d->ask;
    enum plan_reason against = sieve(d, model, model, true);
    see(d, model);
    if (against != PLAN_FINE) {
        blame(d, against);
        return;
    }
    enum rank_class class = CLASS_FINE;
    if (d->name_idx > 0) why = PLAN_LISTED;
    if (ask->sticky_first && ask->sticky == model + 1) class = CLASS_FIRST, why = PLAN_STICKY;
    if (cools(d, model)) class = CLASS_COOLING, why = PLAN_COOLING;
    float key = ask->score ? key_of(d, model) : 0;
    insert(d, (struct plan_candidate){.model = model, .reason = (uint8_t)why},
           rank_of(d, model, class, key));
}

/* ---- auto ---- */

/* Leave to the mask the arms of providers that pass, and of those only what max_price lets by.
 * A sieve that takes one is blamed later, where nothing is left. */
static void mask_auto(struct draft *d)
{
    const struct plan_ask *ask = d->ask;
    struct score *v = ask->score;
    const struct scores *s = v->all;
    memcpy(v->mask, s->autos, d->pass.arms * sizeof *v->mask);
    for (uint32_t a = d->pass.arms; a < d->pass.count; a++) v->mask[a] = 0;
    for (uint32_t i = 0; i < s->run_count; i++) {
        const struct score_run *run = &s->run[i];
        const struct catalog_provider *p = &d->c->provider[run->provider];
        bool dialect = !ask->dialects || ask->dialects & 1u << p->dialect;
        if (dialect && sieve_provider(ask, p) == PLAN_FINE) continue;
        memset(v->mask + run->first, 0, run->count * sizeof *v->mask);
    }
    bool priced = ask->max_prompt || ask->max_completion;
    if (!priced && !(ask->needs & ABILITY_REASONING)) return;
    for (uint32_t a = 0; a < d->pass.arms; a++) {
        const struct catalog_model *m = &d->c->model[s->model[a]];
        bool out = (priced && sieve_price(ask, m) != PLAN_FINE) || !thinks_so(ask, m);
        if (out) v->mask[a] = 0;
    }
}

/* A model is out: none of its arms is looked at again. */
static void drop(struct draft *d, uint32_t model)
{
    struct score *v = d->ask->score;
    const struct scores *s = v->all;
    uint32_t arm = model;
    for (uint32_t next = s->first_arm[model]; ; next++) {
        if (arm < d->pass.arms) {
            v->mask[arm] = 0;
            v->low[arm] = -PASS_OUT;
            v->key[arm] = PASS_OUT;
            pass_mend(&d->pass, arm);
        }
        if (next == s->first_arm[model + 1]) break;
        arm = next;
    }
}

/* What numbers do not tell: may this arm's model be asked now? Else it is dropped; one that
 * cools is remembered. */
static bool is_eligible(struct draft *d, uint32_t arm)
{
    const struct plan_ask *ask = d->ask;
    uint32_t model = ask->score->all->model[arm];
    bool may = is_on(d, model)
               && (!ask->allow || ask->allow(ask->allow_arg, bytes_of(d->c->model[model].id)));
    if (may && !cools(d, model)) return true;
    if (may && d->left_count < LEFT_OUT_MAX) d->left_out[d->left_count++] = arm;
    drop(d, model);
    return false;
}

/* Why nothing is left for auto. The slow way: no answer hangs on it. */
static void blame_auto(struct draft *d)
{
    const struct scores *s = d->ask->score->all;
    for (uint32_t m = 0; m < s->model_count; m++) {
        enum plan_reason against = s->autos[m] ? sieve(d, m, m, false) : PLAN_FINE;
        if (against != PLAN_FINE) blame(d, against);
    }
}

/* Put the arm into the list and take its model's arms out of the columns. */
static void choose(struct draft *d, uint32_t arm, enum rank_class class, enum plan_reason why)
{
    const struct score *v = d->ask->score;
    const struct scores *s = v->all;
    uint32_t model = s->model[arm];
    float key = v->key[arm];
    struct plan_candidate it = {model, (uint8_t)why, s->effort[arm]};
    drop(d, model);
    insert(d, it, rank_of(d, model, class, key));
}

/* With a share of the requests, one of whom little is known goes first: it may lose no more
 * than the floor by its mean, and costs no more than the strongest. */
static void explore(struct draft *d, uint32_t strongest)
{
    const struct plan_ask *ask = d->ask;
    const struct score *v = ask->score;
    if ((uint32_t)ask->draw >= (uint64_t)ask->explore * UINT32_MAX / PLAN_ONE) return;
    uint32_t count = d->pass.count, found = count;
    uint32_t start = count ? (uint32_t)(ask->draw >> 32) % count : 0;
    for (uint32_t i = 0; i < count; i++) {  /* from anywhere: equals take turns */
        uint32_t arm = start + i < count ? start + i : start + i - count;
        if (!v->mask[arm] || v->weight[arm] >= EXPLORE_WEIGHT) continue;
        if (v->cost[arm] > v->cost[strongest]) continue;
        if (found < count && v->weight[arm] >= v->weight[found]) continue;
        if (d->pass.t[arm] + d->pass.shift[arm] >= d->pass.may) found = arm;
    }
    if (found < count && is_eligible(d, found)) choose(d, found, CLASS_FIRST, PLAN_EXPLORED);
}

/* Take the best until none or enough are left. */
static void choose_best(struct draft *d)
{
    const struct score *v = d->ask->score;
    for (unsigned n = 0; n < PLAN_MAX; ) {
        int32_t arm = pass_least(&d->pass);
        if (arm < 0) break;
        if (!is_eligible(d, (uint32_t)arm)) continue;
        bool below = v->key[arm] >= PASS_BELOW;
        choose(d, (uint32_t)arm, below ? CLASS_BELOW : CLASS_FINE,
               below ? PLAN_BELOW_FLOOR : PLAN_CHOSEN);
        n++;
    }
}

static bool may_be_cheap(void *arg, uint32_t arm) { return is_eligible(arg, arm); }

/* Why there is no cascade, as far as the question tells. */
static enum cascade_why cascade_not(const struct draft *d)
{
    const struct plan_ask *ask = d->ask;
    if (ask->cheap == 0) return (enum cascade_why)d->out->cascade.why;
    if (!ask->cheap_any_mode && d->mode != PLAN_COST) return CASCADE_MODE;
    if (ask->one_only) return CASCADE_ALONE;
    if (ask->effort != EFFORT_UNSET) return CASCADE_EFFORT;
    if (ask->order_count) return CASCADE_ORDER;
    return ask->sticky ? CASCADE_STICKY : CASCADE_FINE;
}

/* Put the cheap ones of a cascade before the one that the mode chooses, where that pays. */
static void choose_cheap(struct draft *d)
{
    struct cascade *out = &d->out->cascade;
    uint32_t arm[CASCADE_CHEAP_MAX];
    int32_t strong;
    if (d->name_idx > 0) return;
    out->why = (uint8_t)cascade_not(d);
    if (out->why == CASCADE_FINE && d->out->count) out->why = CASCADE_EXPLORED;
    if (out->why != CASCADE_FINE) return;
    do strong = pass_least(&d->pass);
    while (strong >= 0 && !is_eligible(d, (uint32_t)strong));
    if (strong < 0) {
        out->why = CASCADE_NOBODY;
        return;
    }
    float comparable = (float)d->ask->comparable / PLAN_ONE;
    cascade_choose(&d->pass, d->c, (uint32_t)strong, d->ask->cheap, comparable, may_be_cheap,
                   d, arm, out);
    for (unsigned i = 0; i < out->cheap; i++) {
        d->ask->score->key[arm[i]] = (float)i;
        choose(d, arm[i], CLASS_CHEAP, PLAN_CHEAP);
    }
}

/* provider.order goes before scores: one place of it after the other, with the keys of all
 * others put aside. */
static void choose_by_order(struct draft *d)
{
    const struct plan_ask *ask = d->ask;
    struct score *v = ask->score;
    const struct scores *s = v->all;
    memcpy(v->said, v->key, d->pass.count * sizeof *v->key);
    for (uint8_t place = 0; place <= ask->order_count; place++) {
        for (uint32_t i = 0; i < s->run_count; i++) {
            const struct score_run *run = &s->run[i];
            const struct catalog_provider *p = &d->c->provider[run->provider];
            bool here = provider_place(p, ask->order, ask->order_count) == place;
            for (uint32_t a = run->first; a < run->first + run->count; a++) {
                if (a >= d->pass.arms) break;
                v->key[a] = here && v->mask[a] ? v->said[a] : PASS_OUT;
                pass_mend(&d->pass, a);
            }
        }
        choose_best(d);
    }
}

/* What cools may be well again when its turn comes; and else the answer says for how long
 * everything is quiet. */
static void choose_cooling(struct draft *d)
{
    const struct scores *s = d->ask->score->all;
    for (uint32_t i = 0; i < d->left_count && d->out->count < PLAN_MAX; i++) {
        struct plan_candidate it = {s->model[d->left_out[i]], PLAN_COOLING,
                                    s->effort[d->left_out[i]]};
        insert(d, it, rank_of(d, it.model, CLASS_COOLING, (float)i));
    }
}

/* Costs that the columns do not tell: of tiers, and of what is cached. */
static void adjust_costs(struct draft *d)
{
    const struct plan_ask *ask = d->ask;
    const struct scores *s = ask->score->all;
    if (d->pass.in > ask->score->tier_least) {
        for (uint32_t a = 0; a < d->pass.arms; a++) adjust_cost(d, a);
        return;
    }
    if (ask->sticky == 0 || ask->sticky > s->model_count) return;
    uint32_t model = ask->sticky - 1;
    adjust_cost(d, model);
    for (uint32_t a = s->first_arm[model]; a < s->first_arm[model + 1]; a++) {
        if (a < d->pass.arms) adjust_cost(d, a);
    }
}

/* Offer the best of all that auto may choose. */
static void offer_auto(struct draft *d)
{
    const struct plan_ask *ask = d->ask;
    const struct score *v = ask->score;
    float low;
    int32_t strongest;
    pass_open(&d->pass, ask, (enum plan_mode)d->mode, true);
    d->left_count = 0;
    if (d->name_idx == 0 && ask->cheap) d->out->cascade.why = CASCADE_NOBODY;
    mask_auto(d);
    for (uint32_t a = 0; d->passes && a < d->pass.arms; a++) {
        if (v->all->autos[a]) see(d, a);
    }
    pass_cost(&d->pass, 0, d->pass.count);
    adjust_costs(d);
    strongest = pass_sieve(&d->pass, &low);
    while (strongest >= 0 && !is_eligible(d, (uint32_t)strongest)) {
        strongest = pass_strongest(&d->pass, &low);
    }
    if (strongest < 0 && d->left_count == 0) blame_auto(d);
    if (strongest >= 0) {
        pass_floor(&d->pass, d->pass.t[strongest] + d->pass.shift[strongest], low);
        d->out->strongest = d->pass.best;
        pass_key(&d->pass, 0, d->pass.count);
        explore(d, (uint32_t)strongest);
        uint32_t model = ask->sticky - 1;
        if (ask->sticky_first && ask->sticky && model < v->all->model_count && v->mask[model]
            && is_eligible(d, model)) {
            choose(d, model, CLASS_FIRST, PLAN_STICKY);
        }
        choose_cheap(d);
        if (ask->order_count) choose_by_order(d);
        else choose_best(d);
    }
    choose_cooling(d);
}

/* ---- names ---- */

/* Offer the model with this id, or all with this bare name. False when there is none. */
static bool offer_name(struct draft *d, struct bytes name, enum plan_reason if_id,
                       enum plan_reason if_bare)
{
    int32_t found = catalog_find(d->c, name);
    if (found >= 0) {
        offer(d, (uint32_t)found, if_id);
        return true;
    }
    uint32_t first = 0, count = 0;
    if (!catalog_bare(d->c, name, &first, &count)) return false;
    for (uint32_t i = 0; i < count; i++) offer(d, d->c->by_bare[first + i], if_bare);
    return true;
}

/* Offer an alias's targets. False when none of them is known. */
static bool offer_alias(struct draft *d, const struct catalog_alias *alias)
{
    bool any = false;
    for (uint16_t i = 0; i < alias->target_count; i++) {
        enum plan_reason why = i ? PLAN_LISTED : PLAN_ALIAS;
        d->target = (uint8_t)(i < UINT8_MAX ? i : UINT8_MAX);
        if (offer_name(d, bytes_of(alias->target[i]), why, why)) any = true;
    }
    d->target = 0;
    return any;
}

/* A name begins: the mode that orders it, its own (-1: none) or the request's. */
static void begin_name(struct draft *d, int own, bool routed)
{
    const struct plan_ask *ask = d->ask;
    d->mode = own >= 0 && !ask->mode_forced ? (uint8_t)own : ask->mode;
    if (d->name_idx == 0) {
        d->out->mode = d->mode;
        d->out->routed = routed;
    }
    if (ask->score) pass_open(&d->pass, ask, (enum plan_mode)d->mode, routed);
}

/* Offer what an ordinary name stands for. False when it stands for nothing. */
static bool resolve_plain(struct draft *d, struct bytes name, int mode)
{
    int32_t exact = catalog_alias_exact(d->c, name);
    begin_name(d, mode, false);
    if (exact >= 0) return offer_alias(d, &d->c->alias[exact]);
    if (offer_name(d, name, PLAN_NAMED, PLAN_BARE)) return true;
    int32_t glob = catalog_alias_find(d->c, name);
    return glob >= 0 && offer_alias(d, &d->c->alias[glob]);
}

/* Is it a name for all that may be chosen of? *mode: its own, -1 none, -2 one that is not. */
static bool is_auto(struct bytes name, int *mode)
{
    struct bytes prefix = BYTES("auto:"), maker = BYTES("openrouter/");
    *mode = -1;
    if (bytes_starts(name, maker)) bytes_cut(&name, maker.len);
    if (bytes_eq(name, BYTES("auto"))) return true;
    if (!bytes_starts(name, prefix)) return false;
    bytes_cut(&name, prefix.len);
    *mode = plan_mode_of(name);
    if (*mode < 0) *mode = -2;
    return true;
}

/* Offer all that a name stands for. False when it stands for nothing. Names that ask for a mode
 * must not fall through to a glob: an answer by some model would look as if the mode had been
 * obeyed. */
static bool resolve(struct draft *d, struct bytes name)
{
    int mode = -1, own = -1;
    if (name.len == 0) return false;
    if (catalog_alias_exact(d->c, name) >= 0) return resolve_plain(d, name, -1);
    struct bytes stem = name;
    if (cut_tail(&stem, BYTES(":floor"))) mode = PLAN_COST;
    else if (cut_tail(&stem, BYTES(":nitro"))) mode = PLAN_LATENCY;
    bool wide = is_auto(stem, &own);
    if ((wide || mode >= 0) && !d->ask->score) return false;
    if (!wide) {
        if (mode >= 0 && resolve_plain(d, stem, mode)) return true;
        return resolve_plain(d, name, -1);
    }
    if (own == -2) {
        d->reason = PLAN_UNKNOWN_MODE;
        return false;
    }
    begin_name(d, own >= 0 ? own : mode, true);
    offer_auto(d);
    return true;
}

/* ---- the whole ---- */

/* Providers that are as good as each other share requests by their weights, where the operator
 * gave them different ones. */
static void share(struct draft *d)
{
    struct plan *out = d->out;
    uint64_t total = 0;
    uint8_t equals = 0;
    bool differ = false;
    for (; equals < out->count; equals++) {
        const struct rank *r = &d->rank[equals];
        if (r->place != d->rank[0].place || is_before(&(struct rank){0, d->rank[0].key, 0},
                                                      &(struct rank){0, r->key, 0})) break;
        differ = differ || r->weight != d->rank[0].weight;
        total += r->weight;
    }
    if (!differ || !d->ask->score) return;
    uint64_t at = (d->ask->draw >> 16) % total;
    uint8_t first = 0;
    while (at >= d->rank[first].weight) at -= d->rank[first++].weight;
    assert(first < equals);
    struct plan_candidate it = out->at[first];
    struct rank rank = d->rank[first];
    for (uint8_t i = first; i > 0; i--) {
        out->at[i] = out->at[i - 1];
        d->rank[i] = d->rank[i - 1];
    }
    out->at[0] = it;
    d->rank[0] = rank;
}

static void build(struct draft *d)
{
    const struct plan_ask *ask = d->ask;
    struct plan *out = d->out;
    assert(ask->name_count <= PLAN_NAMES_MAX && ask->order_count <= PLAN_NAMES_MAX);
    assert(ask->only_count <= PLAN_NAMES_MAX && ask->ignore_count <= PLAN_NAMES_MAX);
    *out = (struct plan){.reason = PLAN_FINE, .mode = ask->mode};
    out->cascade.why = ask->cheap       ? CASCADE_NAMED
                       : ask->cheap_why ? ask->cheap_why : CASCADE_NEVER;
    if (ask->score) out->strongest = ask->score->all->strongest[ask->family];
    if (ask->name_count > 0) out->name = ask->name[0];
    for (uint8_t i = 0; i < ask->name_count; i++) {
        d->name_idx = i;
        bool known = resolve(d, ask->name[i]);
        if (d->passes) d->passes[i] = d->pass;
        if (known || i > 0 || !ask->first_is_model) continue;
        out->count = 0;
        out->reason = d->reason;
        return;
    }
    if (out->count > 1) share(d);
    if (ask->one_only && out->count > 1) out->count = 1;
    if (out->count == 0) out->reason = d->reason;
}

void plan_make(const struct catalog *c, const struct plan_ask *ask, struct plan *out)
{
    struct draft d = {.c = c, .ask = ask, .out = out, .reason = PLAN_UNKNOWN_MODEL};
    assert(!ask->score || ask->score->all->catalog == c);
    build(&d);
    assert(out->count <= PLAN_MAX && (out->count > 0) == (out->reason == PLAN_FINE));
}

/* ---- explaining ---- */

/* The plan's place of an arm, or PLAN_MAX. */
static uint8_t place_of(const struct draft *d, uint32_t arm)
{
    const struct scores *s = d->ask->score->all;
    for (uint8_t i = 0; i < d->out->count; i++) {
        if (d->out->at[i].model == s->model[arm] && d->out->at[i].effort == s->effort[arm]) {
            return i;
        }
    }
    return PLAN_MAX;
}

/* Why an arm is where it is. */
static enum plan_reason reason_of(const struct draft *d, uint32_t arm, uint8_t place)
{
    uint32_t model = d->ask->score->all->model[arm];
    if (place < PLAN_MAX) return (enum plan_reason)d->out->at[place].reason;
    enum plan_reason against = sieve(d, model, arm, !d->pass.wide);
    if (against != PLAN_FINE) return against;
    return cools(d, model) ? PLAN_COOLING : PLAN_BEHIND;
}

/* The arm as it is shown; its cost and key were made before, by the pass in d. */
static struct plan_view view_of(const struct draft *d, uint32_t arm)
{
    const struct scores *s = d->ask->score->all;
    struct plan_view view = {.model = s->model[arm], .effort = s->effort[arm],
                             .place = place_of(d, arm)};
    view.reason = (uint8_t)reason_of(d, arm, view.place);
    pass_view(&d->pass, arm, &view);
    return view;
}

/* Make the numbers of all arms seen again, each by the name that led to it, and what they are
 * shown in the order of: those of the plan, those behind them, those that are out. */
static void number(struct draft *d)
{
    struct score *v = d->ask->score;
    for (uint8_t n = 0; n < d->ask->name_count; n++) {
        d->pass = d->passes[n];
        if (!d->pass.v) continue;
        for (uint32_t a = 0; a < d->pass.count; a++) v->mask[a] = v->seen[a] == n + 1 ? -1 : 0;
        pass_cost(&d->pass, 0, d->pass.count);
        for (uint32_t a = 0; a < d->pass.count; a++) {
            if (v->seen[a]) adjust_cost(d, a);
        }
        pass_key(&d->pass, 0, d->pass.count);
        for (uint32_t a = 0; a < d->pass.count; a++) {
            if (!v->mask[a]) continue;
            struct plan_view view = view_of(d, a);
            v->said[a] = view.score;
            bool out = view.place == PLAN_MAX && view.reason > PLAN_COOLING
                       && view.reason < PLAN_BEHIND;
            v->shown[a] = view.place < PLAN_MAX ? SHOWN_FIRST + view.place
                          : view.score + (out ? SHOWN_LAST : 0);
        }
    }
}

void plan_explain(const struct catalog *c, const struct plan_ask *ask, struct plan *out,
                  void (*visit)(void *arg, const struct plan_view *view), void *arg)
{
    struct score *v = ask->score;
    struct pass passes[PLAN_NAMES_MAX] = {{.v = NULL}};
    assert(v && v->all->catalog == c && visit);
    memset(v->seen, 0, v->all->padded * sizeof *v->seen);
    struct draft d = {.c = c, .ask = ask, .out = out, .reason = PLAN_UNKNOWN_MODEL,
                      .passes = passes};
    build(&d);
    number(&d);
    for (;;) {
        uint32_t next = v->all->arm_count;
        for (uint32_t a = 0; a < v->all->arm_count; a++) {
            if (!v->seen[a]) continue;
            if (next == v->all->arm_count || v->shown[a] < v->shown[next]) next = a;
        }
        if (next == v->all->arm_count) break;
        d.pass = passes[v->seen[next] - 1];
        struct plan_view view = view_of(&d, next);
        view.score = v->said[next];
        v->seen[next] = 0;
        visit(arg, &view);
    }
}
