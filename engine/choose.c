/* choose.c - see choose.h. In this order: what the request is (excerpts, features, gain), what
 * is asked of the plan (names, filters, policy, mode by precedence), the plan, and what it must
 * keep to. */
#include "engine/choose.h"
#include "engine/ask.h"
#include "engine/choose_part.h"
#include "engine/conf.h"
#include "engine/control.h"
#include "engine/dialect.h"
#include "engine/twin.h"
#include "net/dialect/api_state.h"
#include "route/gain.h"
#include "store/keys.h"

#include <stdio.h>

static_assert((int)MODE_BALANCED == (int)PLAN_BALANCED && (int)MODE_COST == (int)PLAN_COST &&
              (int)MODE_LATENCY == (int)PLAN_LATENCY &&
              (int)MODE_AVAILABILITY == (int)PLAN_AVAILABILITY, "modes have one number");
static_assert((int)API_NEED_TOOLS == (int)ABILITY_TOOLS &&
              (int)API_NEED_VISION == (int)ABILITY_VISION &&
              (int)API_NEED_SCHEMA == (int)ABILITY_JSON_SCHEMA, "needs are abilities");

/* --- what the request is --- */

/* What an answer usually takes, before anything is learned: rules of thumb by task, which
 * decide nothing but how much a model's output price and speed count beside its others. */
static uint32_t usual_tokens(const struct api_request *req, enum task task, uint32_t ratio)
{
    static const uint16_t usual[TASKS] = {
        [TASK_CHAT] = 250, [TASK_QA] = 150, [TASK_CHOICE] = 80, [TASK_MATH] = 400,
        [TASK_PROOF] = 700, [TASK_CODE] = 500, [TASK_REASONING] = 400, [TASK_WRITE] = 600,
        [TASK_SUMMARISE] = 200, [TASK_CLASSIFY] = 20, [TASK_EXTRACT] = 120,
        [TASK_TRANSLATE] = 100, [TASK_REWRITE] = 100, [TASK_EXPLAIN] = 400,
        [TASK_ROLEPLAY] = 200, [TASK_TOOLS] = 80, [TASK_AGENT] = 120,
    };
    uint64_t tokens = usual[task];
    if (task == TASK_TRANSLATE || task == TASK_REWRITE) {   /* as long as what is there */
        tokens += tokens_of(req->last_bytes, ratio);
    }
    if (req->max_tokens > 0 && tokens > (uint64_t)req->max_tokens) {
        tokens = (uint64_t)req->max_tokens;
    }
    return tokens > UINT32_MAX ? UINT32_MAX : (uint32_t)tokens;
}

/* APIs in which an effort can be put into the body: by an edit (api.h struct api_change), or
 * when it is translated. A model without a choice of efforts is asked for none, and those of
 * Anthropic's and Gemini's own dialects have none in the catalogue. */
static bool takes_effort(enum api api)
{
    return api == API_CHAT || api == API_RESPONSES || api == API_MESSAGES ||
           api == API_GENERATE;
}

/* APIs whose answers are written by a model that was made for conversation. */
static bool generates(enum api api)
{
    return !api_is_textless(api) && !dialect_counts(api);
}

static void look(struct choose_work *w, struct features *f, struct gain *g)
{
    const struct choose_ask *ask = w->ask;
    const struct api_request *req = ask->req;
    struct features_ask q;
    struct ask_room room;
    struct choose *out = w->out;
    ask_make(req, ask->read, ask->read_arg, &room, &q);
    out->tokens = tokens_ask(&q);
    if (!generates((enum api)ask->api)) return;
    features_make(&q, f);
    gain_score(gain_builtin(), ask->tenant, f, g);
    out->tokens_out = usual_tokens(req, (enum task)f->task, out->tokens.answer_ratio);
    out->scored = true;
}

/* --- what is asked of the plan --- */

static bool allow(void *arg, struct bytes model_id)
{
    struct choose_work *w = arg;
    return keys_allow(w->ask->key, model_id.ptr, model_id.len, &w->denier);
}

static bool in_region(void *arg, struct bytes region)
{
    struct choose_work *w = arg;
    return keys_region(w->ask->key, region.ptr ? region.ptr : "", region.len, &w->denier);
}

static void ask_names(struct plan_ask *p, const struct api_request *req)
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

static void ask_policy(struct choose_work *w, struct plan_ask *p)
{
    const struct policy_routing *r = w->ask->routing;
    p->allow_arg = w;
    if (w->ask->key) p->allow = allow;
    if (!r) return;
    if (r->has_regions) p->region = in_region;
    if (r->zero_retention_only) p->zdr = true;
    if (r->has_floor) p->floor = r->floor;
}

/* The mode, by precedence (contract.md section 4); a suffix of the name is the plan's to read.
 * provider.sort: throughput is latency's, as what it asks for is tokens soon. */
static void ask_mode(struct choose_work *w, struct plan_ask *p)
{
    const struct choose_ask *ask = w->ask;
    const struct policy_routing *r = ask->routing;
    int policy = r && r->mode[0] ? plan_mode_of(bytes_of(r->mode)) : -1;
    if (ask->control->mode) {
        p->mode = (uint8_t)(ask->control->mode - 1);
        p->mode_forced = true;
        w->out->mode_from = CHOOSE_HEADER;
    } else if (ask->req->sort) {
        p->mode = ask->req->sort == 'p' ? PLAN_COST : PLAN_LATENCY;
        w->out->mode_from = CHOOSE_SORT;
    } else if (policy >= 0) {
        p->mode = (uint8_t)policy;
        w->out->mode_from = CHOOSE_POLICY;
    } else {
        p->mode = (uint8_t)ask->conf->mode;
        w->out->mode_from = CHOOSE_FILE;
    }
    assert(p->mode < PLAN_MODES);
}

static void ask_request(struct choose_work *w, struct plan_ask *p, const struct features *f,
                        const struct gain *g)
{
    const struct choose_ask *ask = w->ask;
    struct choose *out = w->out;
    p->tokens_in = out->tokens.prompt;
    p->tokens_out = out->tokens_out;
    p->needs = out->needs;
    if (!out->scored) return;
    if (ask->req->max_tokens > 0) {
        p->tokens_max = ask->req->max_tokens > UINT32_MAX ? UINT32_MAX
                                                          : (uint32_t)ask->req->max_tokens;
    }
    p->family = f->family;
    p->effort = f->effort;
    p->keep_effort = ask->req->effort_said || !takes_effort((enum api)ask->api);
    /* Of auto: who is told how much to think and cannot think refuses the request. */
    bool none_said = f->effort == EFFORT_NONE && ask->req->effort_said;
    if (f->effort > EFFORT_NONE || none_said) p->needs |= ABILITY_REASONING;
    out->needs = p->needs;
    p->gain = g->gain;
    p->gain_width = g->width;
}

/* How many of a hundred answers to such a task come down to something that can be compared
 * (net/translate/agree.h): rules of thumb, which decide nothing but whether asking several
 * cheap models may pay. */
static uint32_t comparable(const struct api_request *req, enum task task)
{
    enum { JSON = 90, PERCENT = PLAN_ONE / 100 };
    static const uint8_t share[TASKS] = {
        [TASK_CHAT] = 20, [TASK_QA] = 50, [TASK_CHOICE] = 95, [TASK_MATH] = 90,
        [TASK_PROOF] = 10, [TASK_CODE] = 5, [TASK_REASONING] = 60, [TASK_WRITE] = 5,
        [TASK_SUMMARISE] = 5, [TASK_CLASSIFY] = 95, [TASK_EXTRACT] = 60,
        [TASK_TRANSLATE] = 10, [TASK_REWRITE] = 10, [TASK_EXPLAIN] = 10,
        [TASK_ROLEPLAY] = 5, [TASK_TOOLS] = 80, [TASK_AGENT] = 50,
    };
    assert(task < TASKS);
    return (req->format == API_FORMAT_TEXT ? share[task] : JSON) * (uint32_t)PERCENT;
}

/* Does asking it twice do twice what is to be done once? */
static bool changes_state(const struct choose_ask *ask)
{
    enum { PIECE = 4096 };
    char piece[PIECE];
    struct api_state s;
    api_state_begin(&s, (enum api)ask->api);
    for (uint64_t at = 0; at < ask->body_bytes; at += PIECE) {
        uint64_t left = ask->body_bytes - at;
        size_t n = left < PIECE ? (size_t)left : PIECE;
        ask->read(ask->read_arg, at, piece, n);
        api_state_feed(&s, (struct bytes){piece, n});
    }
    bool changes = api_changes_state(&s);
    explicit_bzero(&s, sizeof s);      /* a client's words */
    explicit_bzero(piece, sizeof piece);
    return changes;
}

/* May an answer to it be held back until it is whole, and looked at, and the request be sent to
 * others too? */
static enum cascade_why no_cascade(const struct choose_ask *ask, unsigned cheap)
{
    const struct api_request *req = ask->req;
    enum api api = (enum api)ask->api;
    bool talks = api == API_CHAT || api == API_RESPONSES || api == API_MESSAGES ||
                 api == API_GENERATE;
    if (!talks || req->n > 1 || req->audio_out) return CASCADE_API;
    if (cheap + 1 > ask->conf->max_attempts) return CASCADE_ATTEMPTS;
    if (ask->body_bytes > TWIN_BODY_MAX) return CASCADE_LARGE;
    return changes_state(ask) ? CASCADE_KEPT : CASCADE_FINE;
}

/* A cascade: as the request's header field says, else as configured. */
static void ask_cascade(struct choose_work *w, struct plan_ask *p, const struct features *f)
{
    const struct choose_ask *ask = w->ask;
    uint8_t said = ask->control->cascade;
    unsigned agree = said >= ASKS_AGREE_2 ? said - ASKS_AGREE_2 + 2u
                     : said == ASKS_CHECK ? 0 : ask->conf->cascade_agree;
    unsigned cheap = agree ? agree : 1;
    p->cheap_why = said == ASKS_NO_CASCADE ? CASCADE_DENIED
                   : !said && ask->conf->cascade_mode == CONF_CASCADE_NEVER ? CASCADE_NEVER
                   : (uint8_t)no_cascade(ask, cheap);
    if (p->cheap_why != CASCADE_FINE) return;
    if (!w->out->scored) {
        p->cheap_why = CASCADE_API;
        return;
    }
    p->cheap = (uint8_t)cheap;
    p->cheap_any_mode = said || ask->conf->cascade_mode == CONF_CASCADE_ALWAYS;
    p->comparable = comparable(ask->req, (enum task)f->task);
}

static void ask_plan(struct choose_work *w, struct plan_ask *p, struct features *f,
                     struct gain *g)
{
    const struct choose_ask *ask = w->ask;
    const struct api_request *req = ask->req;
    const struct conf *conf = ask->conf;
    w->out->needs = (uint8_t)(api_request_needs(req) &
                              (ABILITY_TOOLS | ABILITY_VISION | ABILITY_JSON_SCHEMA));
    look(w, f, g);
    *p = (struct plan_ask){
        .zdr = req->zdr, .one_only = ask->control->no_fallback || !req->allow_fallbacks,
        .need_price = !conf->unknown_price_allow && !dialect_counts((enum api)ask->api),
        .max_prompt = req->max_prompt, .max_completion = req->max_completion,
        .dialects = dialect_bits((enum api)ask->api), .now_unix_s = ask->now_unix_s,
        .now_ms = ask->now_ms, .score = ask->score, .floor = conf->quality_floor,
        .cost_power = conf->balance_cost, .time_power = conf->balance_time,
        .max_ttft_ns = ask->control->max_ttft_ns, .explore = conf->explore,
        .draw = ask->draw, .sticky = ask->hint.model, .sticky_cached = ask->hint.cached,
        .sticky_first = ask->hint.first,
    };
    ask_names(p, req);
    ask_policy(w, p);
    ask_mode(w, p);
    ask_request(w, p, f, g);
    ask_cascade(w, p, f);
}

/* --- what the request itself contradicts, and what the plan must keep to --- */

/* auto chooses among models that converse: an embedding of another model is another space. */
static bool may_route(struct choose_work *w)
{
    const struct plan *plan = &w->out->plan;
    enum api api = (enum api)w->ask->api;
    if (!plan->routed || generates(api) || dialect_counts(api)) return true;
    (void)snprintf(w->out->text, sizeof w->out->text,
                   "auto chooses among models that generate text: name a model here");
    return choose_refuse(w, CLOSE_REQUEST_BAD, "model");
}

/* What a provider keeps for a later request is there only: a request that leans on it, or asks
 * for it, must not land anywhere else. */
static bool one_keeper(struct choose_work *w)
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
    return choose_refuse(w, CLOSE_REQUEST_BAD, what);
}

static uint8_t priority(const struct choose_ask *ask)
{
    if (ask->control->priority) return (uint8_t)(ask->control->priority - 1);
    if (ask->req->tier == API_TIER_FLEX) return PRIORITY_LOW;
    return ask->req->tier == API_TIER_PRIORITY ? PRIORITY_HIGH : PRIORITY_NORMAL;
}

/* The plan is made: what became of it. */
static bool settle(struct choose_work *w, const struct plan_ask *p)
{
    struct choose *out = w->out;
    bool overruled = out->plan.mode != p->mode;
    out->mode = out->plan.mode;
    if (overruled) out->mode_from = CHOOSE_SUFFIX;
    out->priority = priority(w->ask);
    if (out->plan.count == 0) return choose_nothing(w);
    if (!may_route(w) || !one_keeper(w)) return false;
    assert(out->plan.count > 0 && out->why == CLOSE_NONE);
    return true;
}

bool choose_make(const struct choose_ask *ask, struct choose *out, struct features *f,
                 struct gain *g)
{
    assert(ask->conf && ask->req && ask->control && !ask->key == !ask->routing);
    *out = (struct choose){0};
    struct choose_work w = {.ask = ask, .cat = &ask->conf->catalog, .out = out};
    struct plan_ask p;
    ask_plan(&w, &p, f, g);
    plan_make(w.cat, &p, &out->plan);
    return settle(&w, &p);
}

bool choose_explain(const struct choose_ask *ask, struct choose *out, struct features *f,
                    struct gain *g, void (*visit)(void *arg, const struct plan_view *view),
                    void *arg)
{
    assert(ask->conf && ask->req && ask->control && !ask->key == !ask->routing);
    *out = (struct choose){0};
    struct choose_work w = {.ask = ask, .cat = &ask->conf->catalog, .out = out};
    struct plan_ask p;
    ask_plan(&w, &p, f, g);
    plan_explain(w.cat, &p, &out->plan, visit, arg);
    return settle(&w, &p);
}

/* --- words --- */

void choose_codes(const struct plan_candidate *c, const struct gain *g,
                  uint8_t out[CHOOSE_REASONS])
{
    static_assert(CHOOSE_REASONS == 1 + GAIN_REASONS, "one of the plan, the rest of the gain");
    assert(c->reason > PLAN_FINE && c->reason < PLAN_REASONS);
    out[0] = c->reason;
    for (unsigned i = 0; i < GAIN_REASONS; i++) out[1 + i] = g ? g->reason[i] : 0;
}

const char *choose_code_text(unsigned place, uint8_t code)
{
    assert(place < CHOOSE_REASONS);
    if (code == 0 || code >= (place ? (int)GAIN_REASON_COUNT : (int)PLAN_REASONS)) return NULL;
    return place ? gain_reason_text((enum gain_reason)code)
                 : plan_reason_text((enum plan_reason)code);
}

const char *choose_source_name(enum choose_source from)
{
    static const char *const names[] = {
        [CHOOSE_HEADER] = "header", [CHOOSE_SUFFIX] = "model", [CHOOSE_SORT] = "sort",
        [CHOOSE_POLICY] = "policy", [CHOOSE_FILE] = "file",
    };
    assert(from < COUNT(names));
    return names[from];
}
