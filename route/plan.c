/* plan.c - names in, candidates out.
 * Model: each name of the request is resolved to models; each model goes through the sieves
 * (policy, filters, dialect) and is inserted into a list of at most PLAN_MAX, sorted by rank:
 * the name's place, then the provider's place in provider.order; equals stay as found. What
 * does not fit falls off the end, so the best PLAN_MAX remain however many there were.
 * Rule: reads only the catalogue and the question; never fails, an empty plan has a reason. */
#include "route/plan.h"
#include "route/catalog.h"

enum { RANKS_A_NAME = PLAN_NAMES_MAX + 1 };

struct draft {
    const struct catalog *c;
    const struct plan_ask *ask;
    struct plan *out;
    uint32_t rank[PLAN_MAX];     /* beside out->at; ascending */
    uint8_t name_idx;            /* name being resolved */
    uint8_t reason;              /* of an empty plan so far: of the last sieve reached */
};

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

/* Is the price now within provider.max_price? The base price counts: how long the prompt is
 * in the provider's tokens is not known yet. */
static bool affordable(const struct plan_ask *ask, const struct catalog_model *m)
{
    if (ask->max_prompt == 0 && ask->max_completion == 0) return true;
    const struct price *p = price_at(&m->price, ask->now_unix_s);
    if (!p || !p->known) return false;
    if (ask->max_prompt != 0 && p->kind[PRICE_INPUT] > ask->max_prompt) return false;
    return ask->max_completion == 0 || p->kind[PRICE_OUTPUT] <= ask->max_completion;
}

/* What the request itself says about providers. */
static bool wanted(const struct plan_ask *ask, const struct catalog_model *m,
                   const struct catalog_provider *p)
{
    if (ask->zdr && !p->zero_retention) return false;
    if (ask->only_count
        && provider_place(p, ask->only, ask->only_count) == ask->only_count) return false;
    if (provider_place(p, ask->ignore, ask->ignore_count) < ask->ignore_count) return false;
    /* With an order and no fallbacks, a provider outside the order would be a fallback. */
    if (ask->one_only && ask->order_count
        && provider_place(p, ask->order, ask->order_count) == ask->order_count) return false;
    return affordable(ask, m);
}

/* The reason that speaks against a model, or PLAN_FINE. */
static enum plan_reason sieve(const struct draft *d, const struct catalog_model *m)
{
    const struct plan_ask *ask = d->ask;
    assert(m->provider < d->c->provider_count);
    const struct catalog_provider *p = &d->c->provider[m->provider];
    if (ask->allow && !ask->allow(ask->allow_arg, bytes_of(m->id))) return PLAN_NOT_ALLOWED;
    if (!wanted(ask, m, p)) return PLAN_FILTERED;
    if (ask->dialects && !(ask->dialects & 1u << p->dialect)) return PLAN_WRONG_DIALECT;
    return PLAN_FINE;
}

/* ---- the list ---- */

/* Insert behind all of the same or a better rank; the worst falls off a full list. */
static void insert(struct draft *d, uint32_t model, uint32_t rank, enum plan_reason why)
{
    struct plan *out = d->out;
    assert(out->count <= PLAN_MAX);
    for (uint8_t i = 0; i < out->count; i++) {
        if (out->at[i].model == model) return;
    }
    uint8_t to = out->count;
    while (to > 0 && d->rank[to - 1] > rank) to--;
    if (to == PLAN_MAX) return;
    if (out->count < PLAN_MAX) out->count++;
    for (uint8_t i = (uint8_t)(out->count - 1); i > to; i--) {
        out->at[i] = out->at[i - 1];
        d->rank[i] = d->rank[i - 1];
    }
    out->at[to] = (struct plan_candidate){.model = model, .reason = (uint8_t)why};
    d->rank[to] = rank;
    assert(to == 0 || d->rank[to - 1] <= rank);
}

/* A model that a name led to: through the sieves into the list. */
static void offer(struct draft *d, uint32_t model, enum plan_reason why)
{
    const struct catalog_model *m = &d->c->model[model];
    enum plan_reason against = sieve(d, m);
    assert(against == PLAN_FINE || against > PLAN_UNKNOWN_MODEL);
    if (against != PLAN_FINE) {
        if (against > d->reason) d->reason = (uint8_t)against;
        return;
    }
    const struct plan_ask *ask = d->ask;
    uint32_t place = provider_place(&d->c->provider[m->provider], ask->order, ask->order_count);
    if (d->name_idx > 0) why = PLAN_LISTED;
    insert(d, model, d->name_idx * (uint32_t)RANKS_A_NAME + place, why);
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
        if (offer_name(d, bytes_of(alias->target[i]), why, why)) any = true;
    }
    return any;
}

/* Names that ask for routing. They must not fall through to a glob: an answer by some model
 * would look as if the mode had been obeyed. */
static bool asks_for_routing(struct bytes name)
{
    static const char *const suffixes[] = {":floor", ":nitro"};
    if (bytes_eq(name, BYTES("auto")) || bytes_starts(name, BYTES("auto:"))) return true;
    if (bytes_eq(name, BYTES("openrouter/auto"))) return true;
    for (size_t i = 0; i < COUNT(suffixes); i++) {
        struct bytes suffix = bytes_of(suffixes[i]);
        if (name.len <= suffix.len) continue;
        struct bytes tail = {name.ptr + name.len - suffix.len, suffix.len};
        if (bytes_eq(tail, suffix)) return true;
    }
    return false;
}

/* Offer all that a name stands for. False when it stands for nothing. */
static bool resolve(struct draft *d, struct bytes name)
{
    if (name.len == 0) return false;
    int32_t exact = catalog_alias_exact(d->c, name);
    if (exact >= 0) return offer_alias(d, &d->c->alias[exact]);
    if (asks_for_routing(name)) return false;
    if (offer_name(d, name, PLAN_NAMED, PLAN_BARE)) return true;
    int32_t glob = catalog_alias_find(d->c, name);
    return glob >= 0 && offer_alias(d, &d->c->alias[glob]);
}

void plan_make(const struct catalog *c, const struct plan_ask *ask, struct plan *out)
{
    assert(ask->name_count <= PLAN_NAMES_MAX && ask->order_count <= PLAN_NAMES_MAX);
    assert(ask->only_count <= PLAN_NAMES_MAX && ask->ignore_count <= PLAN_NAMES_MAX);
    *out = (struct plan){.reason = PLAN_FINE};
    struct draft d = {.c = c, .ask = ask, .out = out, .reason = PLAN_UNKNOWN_MODEL};
    if (ask->name_count > 0) out->name = ask->name[0];
    for (uint8_t i = 0; i < ask->name_count; i++) {
        d.name_idx = i;
        if (resolve(&d, ask->name[i]) || i > 0 || !ask->first_is_model) continue;
        out->count = 0;
        out->reason = PLAN_UNKNOWN_MODEL;
        return;
    }
    if (ask->one_only && out->count > 1) out->count = 1;
    if (out->count == 0) out->reason = d.reason;
}
