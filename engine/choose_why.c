/* choose_why.c - what a client is told when no candidate is left: which of its constraints, or
 * of those over it, took the last ones (plan.h enum plan_reason). */
#include "engine/choose_part.h"
#include "engine/conf.h"
#include "engine/control.h"
#include "engine/dialect.h"
#include "store/policy.h"

#include <stdio.h>

enum { SHOWN = 128 };            /* bytes of a name that a text repeats */

bool choose_refuse(struct choose_work *w, enum close_why why, const char *param)
{
    assert(why != CLOSE_NONE && why <= UINT8_MAX);
    w->out->plan.count = 0;
    w->out->why = (uint8_t)why;
    w->out->param = param;
    return false;
}

static int shown(struct bytes name)
{
    return (int)(name.len < SHOWN ? name.len : SHOWN);
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
static bool wrong_dialect(struct choose_work *w, struct bytes name)
{
    const struct catalog *cat = w->cat;
    int32_t idx = model_meant(cat, name);
    if (idx < 0) return choose_refuse(w, CLOSE_DIALECT, "model");
    struct dialect_words words = dialect_words(cat->provider[cat->model[idx].provider].dialect);
    (void)snprintf(w->out->text, sizeof w->out->text,
                   "'%.*s' speaks %s dialect, which has no such request: what it has is asked "
                   "at %s", shown(name), name.ptr, words.whose, words.path);
    return choose_refuse(w, CLOSE_DIALECT, "model");
}

static bool unknown_model(struct choose_work *w, struct bytes name)
{
    if (w->out->plan.routed) {
        (void)snprintf(w->out->text, sizeof w->out->text, "routing.auto names no model that is "
                       "here and writes text: '%.*s' has nothing to choose from", shown(name),
                       name.ptr);
        return choose_refuse(w, CLOSE_MODEL_UNKNOWN, "model");
    }
    const char *near = catalog_nearest(w->cat, name);
    (void)snprintf(w->out->text, sizeof w->out->text,
                   "the model '%.*s' does not exist here%s%s%s", shown(name), name.ptr,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return choose_refuse(w, CLOSE_MODEL_UNKNOWN, "model");
}

static bool no_retention(struct choose_work *w, struct bytes name)
{
    const struct policy_routing *p = w->ask->routing;
    bool policy = p && p->zero_retention_only;
    if (policy) {
        (void)snprintf(w->out->text, sizeof w->out->text, "the policy of this key's %s asks "
                       "for zero retention, which no provider of '%.*s' promises",
                       unit_kind_name((enum unit_kind)p->zero_level), shown(name), name.ptr);
    } else {
        (void)snprintf(w->out->text, sizeof w->out->text, "provider.zdr or data_collection "
                       "asks for zero retention, which no provider of '%.*s' promises",
                       shown(name), name.ptr);
    }
    return choose_refuse(w, CLOSE_POLICY_DENIED, policy ? "model" : "provider");
}

/* What the request needs, in words and by member. */
static bool no_ability(struct choose_work *w, struct bytes name)
{
    static const struct { uint8_t bit; const char *words, *param; } needs[] = {
        {ABILITY_TOOLS, "tools", "tools"},
        {ABILITY_VISION, "images", "messages"},
        {ABILITY_JSON_SCHEMA, "a JSON schema", "response_format"},
        {ABILITY_REASONING, "reasoning at that effort", "reasoning_effort"},
    };
    char text[64] = "";
    const char *param = "model";
    size_t len = 0;
    for (size_t i = 0; i < COUNT(needs); i++) {
        if (!(w->out->needs & needs[i].bit)) continue;
        if (len == 0) param = needs[i].param;
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", len ? " and " : "",
                                needs[i].words);
    }
    (void)snprintf(w->out->text, sizeof w->out->text,
                   "the request needs %s, and no candidate of '%.*s' is known to take %s",
                   text, shown(name), name.ptr, len > 16 ? "all of it" : "that");
    return choose_refuse(w, CLOSE_REQUEST_BAD, param);
}

static bool too_long(struct choose_work *w, struct bytes name)
{
    (void)snprintf(w->out->text, sizeof w->out->text,
                   "the prompt is about %u tokens long, which with the output that is asked "
                   "for is more than the context of every candidate of '%.*s'",
                   w->out->tokens.prompt, shown(name), name.ptr);
    return choose_refuse(w, CLOSE_CONTEXT_LONG, "messages");
}

/* A sentence about the name alone: format holds one %.*s. */
struct sentence { enum close_why why; const char *param, *before, *behind; };

static const struct sentence *sentence_of(enum plan_reason reason)
{
    static const struct sentence all[PLAN_REASONS] = {
        [PLAN_UNKNOWN_MODE] = {CLOSE_REQUEST_BAD, "model", "no such mode: ",
                               ". auto takes :balanced, :cost, :latency, :availability"},
        [PLAN_FILTERED] = {CLOSE_POLICY_DENIED, "provider", "no provider of ",
                           " passes the request's own provider filters (only, ignore, or "
                           "order without fall-backs)"},
        [PLAN_NO_PRICE] = {CLOSE_POLICY_DENIED, "model", "no price is known for ",
                           ": state one under models, or set unknown_price: allow"},
        [PLAN_PRICE] = {CLOSE_REQUEST_BAD, "provider", "every candidate of ",
                        " is dearer than provider.max_price"},
        [PLAN_SLOW] = {CLOSE_REQUEST_BAD, NULL, "every candidate of ",
                       " is expected to begin later than x-weir-max-ttft allows"},
        [PLAN_OFF] = {CLOSE_NO_PROVIDER, "model", "every candidate of ",
                      " is taken out of rotation"},
    };
    return all[reason].before ? &all[reason] : NULL;
}

bool choose_nothing(struct choose_work *w)
{
    struct bytes name = w->out->plan.name;
    enum plan_reason reason = (enum plan_reason)w->out->plan.reason;
    assert(w->out->plan.count == 0 && reason < PLAN_REASONS);
    const struct sentence *s = sentence_of(reason);
    if (s) {
        (void)snprintf(w->out->text, CHOOSE_TEXT_MAX, "%s'%.*s'%s", s->before, shown(name),
                       name.ptr, s->behind);
        return choose_refuse(w, s->why, s->param);
    }
    switch (reason) {
    case PLAN_NOT_ALLOWED:
        (void)snprintf(w->out->text, CHOOSE_TEXT_MAX, "the policy of this key's %s does not "
                       "allow '%.*s'", unit_kind_name(w->denier), shown(name), name.ptr);
        return choose_refuse(w, CLOSE_MODEL_DENIED, "model");
    case PLAN_REGION:
        (void)snprintf(w->out->text, CHOOSE_TEXT_MAX, "the policy of this key's %s names "
                       "regions, and no provider of '%.*s' is in one of them",
                       unit_kind_name(w->denier), shown(name), name.ptr);
        return choose_refuse(w, CLOSE_POLICY_DENIED, "model");
    case PLAN_RETENTION: return no_retention(w, name);
    case PLAN_ABILITY: return no_ability(w, name);
    case PLAN_CONTEXT: return too_long(w, name);
    case PLAN_WRONG_DIALECT: return wrong_dialect(w, name);
    default: return unknown_model(w, name);
    }
}
