/* choose.c - see choose.h. */
#include "engine/choose.h"
#include "engine/conf.h"
#include "engine/control.h"
#include "engine/dialect.h"
#include "store/keys.h"

#include <stdio.h>

enum { SHOWN = 128 };            /* bytes of a name that a text repeats */

/* One choice as it is being made. */
struct work {
    const struct choose_ask *ask;
    const struct catalog *cat;
    struct choose *out;
    enum unit_kind denier;       /* the level whose policy refused a model last */
};

int choose_mode(struct bytes word)
{
    static const char *const words[] = {
        [MODE_BALANCED] = "balanced", [MODE_COST] = "cost", [MODE_LATENCY] = "latency",
        [MODE_AVAILABILITY] = "availability",
    };
    struct bytes tail = BYTES("-first");
    if (word.len > tail.len && bytes_eq((struct bytes){word.ptr + word.len - tail.len,
                                                       tail.len}, tail)) {
        word.len -= tail.len;
    }
    for (int i = 0; i < (int)COUNT(words); i++) {
        if (bytes_eq(word, bytes_of(words[i]))) return i;
    }
    return -1;
}

static bool allow(void *arg, struct bytes model_id)
{
    struct work *w = arg;
    return !w->ask->key ||
           keys_allow(w->ask->key, model_id.ptr, model_id.len, &w->denier);
}

/* --- what is answered where nothing is left --- */

static bool refuse(struct work *w, enum close_why why, const char *param)
{
    w->out->plan.count = 0;
    w->out->why = (uint8_t)why;
    w->out->param = param;
    return false;
}

static int shown(struct bytes name)
{
    return (int)(name.len < SHOWN ? name.len : SHOWN);
}

static bool is_routing(struct bytes name)
{
    size_t n = name.len;
    return bytes_eq(name, BYTES("auto")) || bytes_starts(name, BYTES("auto:")) ||
           bytes_eq(name, BYTES("openrouter/auto")) ||
           (n > 6 && memcmp(name.ptr + n - 6, ":floor", 6) == 0) ||
           (n > 6 && memcmp(name.ptr + n - 6, ":nitro", 6) == 0);
}

/* The model with this id, or the first of those with this bare name; -1: there is none. */
static int32_t model_named(const struct catalog *cat, struct bytes name)
{
    uint32_t first = 0, count = 0;
    int32_t found = catalog_find(cat, name);
    if (found >= 0 || !catalog_bare(cat, name, &first, &count)) return found;
    return (int32_t)cat->by_bare[first];
}

/* The same through an alias. */
static int32_t model_meant(const struct catalog *cat, struct bytes name)
{
    int32_t alias = catalog_alias_exact(cat, name);
    int32_t found = alias < 0 ? model_named(cat, name) : -1;
    if (found < 0 && alias < 0) alias = catalog_alias_find(cat, name);
    for (uint16_t i = 0; alias >= 0 && i < cat->alias[alias].target_count && found < 0; i++) {
        found = model_named(cat, bytes_of(cat->alias[alias].target[i]));
    }
    return found;
}

/* All that were named are at providers who speak otherwise: say how to ask them. */
static bool wrong_dialect(struct work *w, struct bytes name)
{
    const struct catalog *cat = w->cat;
    int32_t idx = model_meant(cat, name);
    if (idx < 0) return refuse(w, CLOSE_DIALECT, "model");
    struct dialect_words words = dialect_words(cat->provider[cat->model[idx].provider].dialect);
    (void)snprintf(w->out->text, sizeof w->out->text,
                   "'%.*s' speaks %s dialect: ask it at %s. Translating this request into it "
                   "is not in this release", shown(name), name.ptr, words.whose, words.path);
    return refuse(w, CLOSE_DIALECT, "model");
}

static bool unknown_model(struct work *w, struct bytes name)
{
    const char *near = catalog_nearest(w->cat, name);
    bool routing = is_routing(name);
    (void)snprintf(w->out->text, sizeof w->out->text, "the model '%.*s' %s%s%s%s", shown(name),
                   name.ptr,
                   routing ? "needs routing, which is not in this release"
                           : "does not exist here",
                   near && !routing ? "; did you mean '" : "",
                   near && !routing ? near : "", near && !routing ? "'?" : "");
    return refuse(w, CLOSE_MODEL_UNKNOWN, "model");
}

static bool no_plan(struct work *w)
{
    struct bytes name = w->out->plan.name;
    char *text = w->out->text;
    switch ((enum plan_reason)w->out->plan.reason) {
    case PLAN_NOT_ALLOWED:
        (void)snprintf(text, CHOOSE_TEXT_MAX, "the policy of this key's %s does not allow "
                       "'%.*s'", unit_kind_name(w->denier), shown(name), name.ptr);
        return refuse(w, CLOSE_MODEL_DENIED, "model");
    case PLAN_RETENTION:
    case PLAN_PRICE:
    case PLAN_FILTERED:
        (void)snprintf(text, CHOOSE_TEXT_MAX,
                       "no provider of '%.*s' passes the request's provider filters",
                       shown(name), name.ptr);
        return refuse(w, CLOSE_POLICY_DENIED, "provider");
    case PLAN_WRONG_DIALECT: return wrong_dialect(w, name);
    default: return unknown_model(w, name);
    }
}

/* --- the question --- */

static void take_names(struct plan_ask *p, const struct api_request *req)
{
    if (req->model.len) {
        p->name[p->name_count++] = req->model;
        p->first_is_model = true;
    }
    for (unsigned i = 0; i < req->models.count && p->name_count < PLAN_NAMES_MAX; i++) {
        p->name[p->name_count++] = req->models.at[i];
    }
    memcpy(p->order, req->order.at, sizeof p->order);
    memcpy(p->only, req->only.at, sizeof p->only);
    memcpy(p->ignore, req->ignore.at, sizeof p->ignore);
    p->order_count = req->order.count;
    p->only_count = req->only.count;
    p->ignore_count = req->ignore.count;
}

/* --- what the plan must keep to --- */

/* Leave out candidates nobody has stated a price for, where the operator asks for prices. */
static bool have_prices(struct work *w)
{
    struct plan *plan = &w->out->plan;
    if (w->ask->conf->unknown_price_allow || dialect_counts(w->ask->api)) return true;
    unsigned kept = 0;
    for (unsigned i = 0; i < plan->count; i++) {
        const struct price *p = price_at(&w->cat->model[plan->at[i].model].price,
                                         w->ask->now_unix_s);
        if (p && p->known) plan->at[kept++] = plan->at[i];
    }
    plan->count = (uint8_t)kept;
    if (kept > 0) return true;
    (void)snprintf(w->out->text, sizeof w->out->text, "no price is known for this model: state "
                   "one under models, or set unknown_price: allow");
    return refuse(w, CLOSE_POLICY_DENIED, "model");
}

/* What a provider keeps for a later request is there only: a request that leans on it, or asks
 * for it, must not land anywhere else. */
static bool one_keeper(struct work *w)
{
    const struct api_request *req = w->ask->req;
    const struct plan *plan = &w->out->plan;
    const char *what = req->previous.len   ? "previous_response_id"
                       : req->conversation ? "conversation"
                       : req->store        ? "store" : NULL;
    const struct catalog_model *model = w->cat->model;
    bool one = true;
    for (unsigned i = 1; what && i < plan->count; i++) {
        one = one && model[plan->at[i].model].provider == model[plan->at[0].model].provider;
    }
    if (one) return true;
    (void)snprintf(w->out->text, sizeof w->out->text, "several providers have this model, and "
                   "%s needs one that is known: name it as '%s'", what,
                   model[plan->at[0].model].id);
    return refuse(w, CLOSE_REQUEST_BAD, what);
}

bool choose_make(const struct choose_ask *ask, struct choose *out)
{
    assert(ask->conf && ask->req && ask->control);
    const struct api_request *req = ask->req;
    *out = (struct choose){.mode = (uint8_t)ask->conf->mode};
    struct work w = {.ask = ask, .cat = &ask->conf->catalog, .out = out};
    struct plan_ask p = {.zdr = req->zdr,
                         .one_only = ask->control->no_fallback || !req->allow_fallbacks,
                         .max_prompt = req->max_prompt,
                         .max_completion = req->max_completion,
                         .dialects = dialect_bits(ask->api),
                         .now_unix_s = ask->now_unix_s, .allow = allow, .allow_arg = &w};
    take_names(&p, req);
    plan_make(w.cat, &p, &out->plan);
    if (out->plan.count == 0) return no_plan(&w);
    if (!have_prices(&w) || !one_keeper(&w)) return false;
    assert(out->plan.count > 0 && out->why == CLOSE_NONE);
    return true;
}
