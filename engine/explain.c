/* explain.c - see explain.h. */
#include "engine/explain.h"
#include "engine/choose.h"
#include "engine/conf.h"
#include "engine/dialect.h"
#include "net/dialect/api.h"
#include "net/jsonw.h"
#include "route/gain.h"

#include <stdio.h>
#include <stdlib.h>

enum { LINE_BYTES = 1024 };

struct explain {
    const struct catalog *cat;
    struct api_reader r;
    struct choose chosen;
    struct features features;
    struct gain gain;
    struct plan_view *view;
    uint32_t count, room;
    enum api api;
    bool found, fault, no_memory;
};

/* --- reading the request --- */

struct api_word { const char *word; enum api api; };

static const struct api_word apis[] = {
    {"chat", API_CHAT}, {"responses", API_RESPONSES}, {"messages", API_MESSAGES},
    {"generate", API_GENERATE}, {"completions", API_COMPLETIONS},
    {"embeddings", API_EMBEDDINGS},
};

static const char *api_name(enum api api)
{
    for (size_t i = 0; i < COUNT(apis); i++) {
        if (apis[i].api == api) return apis[i].word;
    }
    return "chat";
}

/* The API that a root member is a sign of; APIS: of none. */
static enum api sign_of(struct bytes key)
{
    static const struct api_word signs[] = {
        {"contents", API_GENERATE}, {"generationConfig", API_GENERATE},
        {"systemInstruction", API_GENERATE}, {"input", API_RESPONSES},
        {"max_output_tokens", API_RESPONSES}, {"previous_response_id", API_RESPONSES},
        {"system", API_MESSAGES}, {"stop_sequences", API_MESSAGES},
        {"thinking", API_MESSAGES}, {"anthropic_version", API_MESSAGES},
        {"prompt", API_COMPLETIONS},
    };
    for (size_t i = 0; i < COUNT(signs); i++) {
        if (bytes_eq(key, bytes_of(signs[i].word))) return signs[i].api;
    }
    return APIS;
}

/* The dialect of a body, by the names of its root members: the first that only one API has. */
static enum api shape_of(struct bytes body)
{
    struct json j;
    struct json_token t;
    json_init(&j, API_REQUEST_DEPTH_MAX);
    while (json_next(&j, &body, &t) == NET_OK) {
        if (t.type != JSON_KEY || t.depth != 1) continue;
        enum api api = t.text.ptr ? sign_of(t.text) : APIS;
        if (api != APIS) return api;
        json_skip(&j);
    }
    return API_CHAT;
}

static bool read_api(struct explain *e, const struct explain_ask *ask)
{
    if (ask->api.len == 0) {
        e->api = shape_of(ask->body);
        return true;
    }
    for (size_t i = 0; i < COUNT(apis); i++) {
        if (!bytes_eq(ask->api, bytes_of(apis[i].word))) continue;
        e->api = apis[i].api;
        return true;
    }
    (void)snprintf(e->r.error, sizeof e->r.error, "the api is one of chat, responses, messages,"
                   " generate, completions, embeddings");
    return false;
}

static bool read_request(struct explain *e, const struct explain_ask *ask)
{
    struct bytes model = ask->model.len ? ask->model : BYTES("auto");
    if (!read_api(e, ask)) return false;
    api_request_begin(&e->r, e->api);
    if (e->api == API_GENERATE && !api_request_path(&e->r, model, false)) {
        (void)snprintf(e->r.error, sizeof e->r.error, "the model's name is too long");
        return false;
    }
    return api_request_feed(&e->r, ask->body) == NET_MORE &&
           api_request_end(&e->r) == NET_DONE;
}

static void read_body(void *arg, uint64_t from, char *out, size_t len)
{
    const struct bytes *body = arg;
    assert(from <= body->len && len <= body->len - from);
    memcpy(out, body->ptr + from, len);
}

static void keep_view(void *arg, const struct plan_view *view)
{
    struct explain *e = arg;
    if (e->count == e->room) {
        uint32_t room = e->room ? e->room * 2 : 256;
        struct plan_view *more = realloc(e->view, room * sizeof *more);
        if (!more) {
            e->no_memory = true;
            return;
        }
        e->view = more;
        e->room = room;
    }
    e->view[e->count++] = *view;
}

struct explain *explain_make(const struct explain_ask *ask)
{
    struct explain *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    struct bytes body = ask->body;
    e->cat = &ask->conf->catalog;
    e->fault = !read_request(e, ask);
    if (e->fault) return e;
    struct choose_ask q = {.conf = ask->conf, .score = ask->score, .key = ask->key,
                           .routing = ask->routing, .tenant = ask->tenant, .req = &e->r.req,
                           .control = ask->control, .read = read_body, .read_arg = &body,
                           .body_bytes = body.len, .api = (uint8_t)e->api,
                           .now_unix_s = ask->now_unix_s, .now_ms = ask->now_ms,
                           .draw = UINT64_MAX};
    e->found = choose_explain(&q, &e->chosen, &e->features, &e->gain, keep_view, e);
    if (!e->no_memory) return e;
    explain_close(e);
    return NULL;
}

const char *explain_fault(const struct explain *e, const char **pointer)
{
    *pointer = e->r.pointer;
    return e->fault ? e->r.error : NULL;
}

void explain_close(struct explain *e)
{
    if (!e) return;
    free(e->view);
    free(e);
}

/* --- as JSON --- */

/* What is shown of a number of the plan: millionths. No decision is made of it here. */
static int64_t micro(float value)
{
    if (!(value > -9e12f && value < 9e12f)) return INT64_MAX;   /* infinite: nobody knows */
    return (int64_t)(value * 1e6 + (value < 0 ? -0.5 : 0.5));
}

static void put_micro(struct jsonw *w, const char *name, float value)
{
    int64_t shown = micro(value);
    jsonw_key(w, name);
    if (shown == INT64_MAX) jsonw_null(w);
    else jsonw_fixed(w, shown, 6);
}

static void put_word(struct jsonw *w, const char *name, const char *word)
{
    jsonw_key(w, name);
    jsonw_text(w, word);
}

/* The API that a candidate would be asked in, where that is not the client's: its request would
 * be translated. NULL: it is. */
static const char *asked_in(const struct explain *e, uint32_t model)
{
    static const char *const words[APIS] = {
        [API_CHAT] = "chat", [API_RESPONSES] = "responses", [API_MESSAGES] = "messages",
        [API_GENERATE] = "generate", [API_CONVERSE] = "converse", [API_COHERE] = "cohere",
    };
    const struct catalog_provider *p = &e->cat->provider[e->cat->model[model].provider];
    bool spoken = dialect_bits(e->api) >> p->dialect & 1;
    enum api peer = spoken ? dialect_peer(e->api, p) : e->api;
    return peer == e->api || peer == APIS ? NULL : words[peer];
}

static void put_view(const struct explain *e, struct jsonw *w, const struct plan_view *v)
{
    jsonw_object(w);
    put_word(w, "model", e->cat->model[v->model].id);
    put_word(w, "effort", v->effort == EFFORT_UNSET ? NULL : effort_name(v->effort));
    put_word(w, "reason", plan_reason_text((enum plan_reason)v->reason));
    put_word(w, "asked_in", asked_in(e, v->model));
    put_micro(w, "score", v->score);
    put_micro(w, "quality", v->quality);
    put_micro(w, "quality_low", v->quality_low);
    put_micro(w, "ability", v->t);
    jsonw_key(w, "cost_usd");
    if (v->priced) jsonw_fixed_text(w, micro(v->cost * 1e3f), 9);
    else jsonw_null(w);
    put_micro(w, "ttft_s", v->ttft);
    put_micro(w, "time_s", v->time);
    put_micro(w, "error_rate", v->error);
    put_micro(w, "room", v->room);
    put_micro(w, "chance", v->chance);
    jsonw_object_end(w);
}

static void put_views(const struct explain *e, struct jsonw *w, const char *name, bool planned)
{
    jsonw_key(w, name);
    jsonw_array(w);
    for (uint32_t i = 0; i < e->count; i++) {
        if ((e->view[i].place < PLAN_MAX) == planned) put_view(e, w, &e->view[i]);
    }
    jsonw_array_end(w);
}

static void put_gain(const struct explain *e, struct jsonw *w)
{
    const struct gain *g = &e->gain;
    jsonw_key(w, "gain");
    if (!e->chosen.scored) {
        jsonw_null(w);
        return;
    }
    jsonw_object(w);
    jsonw_key(w, "value"), jsonw_fixed(w, g->gain, 4);
    jsonw_key(w, "width"), jsonw_fixed(w, g->width, 4);
    jsonw_key(w, "learned"), jsonw_bool(w, g->learned);
    jsonw_key(w, "reasons");
    jsonw_array(w);
    for (unsigned i = 0; i < GAIN_REASONS && g->reason[i]; i++) {
        jsonw_object(w);
        put_word(w, "reason", gain_reason_text((enum gain_reason)g->reason[i]));
        jsonw_key(w, "share"), jsonw_fixed(w, g->share[i], 4);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
    jsonw_object_end(w);
}

static void put_features(const struct explain *e, struct jsonw *w)
{
    const struct features *f = &e->features;
    if (!e->chosen.scored) return;
    put_word(w, "task", task_name((enum task)f->task));
    put_word(w, "family", family_name((enum family)f->family));
    put_word(w, "language", language_name((enum language)f->language));
    put_word(w, "effort", f->effort == EFFORT_UNSET ? NULL : effort_name(f->effort));
    jsonw_key(w, "features");
    jsonw_object(w);
    for (unsigned i = 0; i < FEATURES; i++) {
        if (f->dense[i] == 0) continue;
        jsonw_key(w, feature_name((enum feature)i));
        jsonw_int(w, f->dense[i]);
    }
    jsonw_object_end(w);
    jsonw_key(w, "words"), jsonw_uint(w, f->word_count);
}

static const struct { uint8_t bit; const char *name; } needs[] = {
    {ABILITY_TOOLS, "tools"}, {ABILITY_VISION, "vision"}, {ABILITY_JSON_SCHEMA, "json_schema"},
};

static void put_needs(const struct explain *e, struct jsonw *w)
{
    jsonw_key(w, "needs");
    jsonw_array(w);
    for (size_t i = 0; i < COUNT(needs); i++) {
        if (e->chosen.needs & needs[i].bit) jsonw_text(w, needs[i].name);
    }
    jsonw_array_end(w);
}

static const char *sentence(const struct explain *e)
{
    return e->chosen.text[0] ? e->chosen.text : close_sentence((enum close_why)e->chosen.why);
}

static void put_error(const struct explain *e, struct jsonw *w)
{
    enum close_why why = (enum close_why)e->chosen.why;
    jsonw_key(w, "error");
    if (e->found) {
        jsonw_null(w);
        return;
    }
    jsonw_object(w);
    jsonw_key(w, "status"), jsonw_uint(w, close_status(why));
    put_word(w, "code", close_code(why));
    put_word(w, "message", sentence(e));
    put_word(w, "param", e->chosen.param);
    jsonw_object_end(w);
}

/* What would be asked before the one that was chosen; or why nobody is. */
static void put_cascade(const struct explain *e, struct jsonw *w)
{
    const struct cascade *c = &e->chosen.plan.cascade;
    jsonw_key(w, "cascade");
    jsonw_object(w);
    jsonw_key(w, "cheap"), jsonw_uint(w, c->cheap);
    jsonw_key(w, "agree"), jsonw_uint(w, c->need);
    put_word(w, "reason", cascade_why_text((enum cascade_why)c->why));
    if (c->cheap || c->why == CASCADE_DEAR) {
        put_micro(w, "escalates", c->escalates);
        put_micro(w, "quality", c->quality);
        jsonw_key(w, "cost_usd"), jsonw_fixed_text(w, micro(c->cost * 1e3f), 9);
        jsonw_key(w, "alone_usd"), jsonw_fixed_text(w, micro(c->alone * 1e3f), 9);
    }
    jsonw_object_end(w);
}

void explain_put(const struct explain *e, struct jsonw *w)
{
    const struct choose *c = &e->chosen;
    assert(!e->fault && c->mode < PLAN_MODES);
    jsonw_object(w);
    put_word(w, "api", api_name(e->api));
    jsonw_key(w, "model"), jsonw_string(w, e->r.req.model);
    put_word(w, "mode", plan_mode_name((enum plan_mode)c->mode));
    put_word(w, "mode_from", choose_source_name((enum choose_source)c->mode_from));
    jsonw_key(w, "routed"), jsonw_bool(w, c->plan.routed);
    jsonw_key(w, "prompt_tokens"), jsonw_uint(w, c->tokens.prompt);
    jsonw_key(w, "output_tokens"), jsonw_uint(w, c->tokens_out);
    put_needs(e, w);
    put_cascade(e, w);
    put_gain(e, w);
    put_features(e, w);
    put_error(e, w);
    put_views(e, w, "candidates", true);
    put_views(e, w, "left_out", false);
    jsonw_object_end(w);
}

/* --- for people --- */

struct lines {
    void (*put)(void *arg, const char *line);
    void *arg;
    char text[LINE_BYTES];
};

#define LINE(l, ...) \
    ((void)snprintf((l)->text, LINE_BYTES, __VA_ARGS__), (l)->put((l)->arg, (l)->text))

/* A share as a percentage with one digit, or "-". */
static const char *percent(float share, char out[16])
{
    int64_t m = micro(share);
    if (m < 0 || m > 10000000) return "-";
    (void)snprintf(out, 16, "%d.%d%%", (int)(m / 10000), (int)(m / 1000 % 10));
    return out;
}

static void view_line(const struct explain *e, struct lines *l, const struct plan_view *v,
                      bool planned)
{
    char place[8] = "-", quality[16], low[16], error[16], cost[24] = "?", model[128];
    struct bytes effort = bytes_of(v->effort == EFFORT_UNSET ? "" : effort_name(v->effort));
    if (planned) (void)snprintf(place, sizeof place, "%d", (v->place & 15) + 1);
    if (v->priced) (void)snprintf(cost, sizeof cost, "%.6f", (double)v->cost);
    (void)snprintf(model, sizeof model, "%s%s%.*s", e->cat->model[v->model].id,
                   effort.len ? " @" : "", (int)effort.len, effort.ptr);
    LINE(l, "%3s %-48s %7s %7s %11s %8.3f %8.3f %6s %10.4g  %s", place, model,
         percent(v->quality, quality), percent(v->quality_low, low), cost, (double)v->ttft,
         (double)v->time, percent(v->error, error), (double)v->score,
         plan_reason_text((enum plan_reason)v->reason));
}

static void gain_lines(const struct explain *e, struct lines *l)
{
    const struct gain *g = &e->gain;
    if (!e->chosen.scored) {
        LINE(l, "gain      none: nothing is generated here");
        return;
    }
    LINE(l, "task      %s (family %s, language %s)", task_name((enum task)e->features.task),
         family_name((enum family)e->features.family),
         language_name((enum language)e->features.language));
    LINE(l, "gain      %.4f +- %.4f%s", g->gain / (double)GAIN_ONE, g->width / (double)GAIN_ONE,
         g->learned ? ", with what outcomes taught" : "");
    for (unsigned i = 0; i < GAIN_REASONS && g->reason[i]; i++) {
        LINE(l, "          %+.4f %s", g->share[i] / (double)GAIN_ONE,
             gain_reason_text((enum gain_reason)g->reason[i]));
    }
    char text[LINE_BYTES - 16] = " none";
    size_t len = 0;
    for (unsigned i = 0; i < FEATURES && len + 64 < sizeof text; i++) {
        if (e->features.dense[i] == 0) continue;
        len += (size_t)snprintf(text + len, sizeof text - len, " %s=%d",
                                feature_name((enum feature)i), e->features.dense[i]);
    }
    LINE(l, "features %s", text);
}

static void cascade_lines(const struct explain *e, struct lines *l)
{
    const struct cascade *c = &e->chosen.plan.cascade;
    char share[16], quality[16];
    if (c->cheap == 0) {
        LINE(l, "cascade   none: %s", cascade_why_text((enum cascade_why)c->why));
        return;
    }
    if (c->need == 0) LINE(l, "cascade   one cheap model, whose answer is checked");
    else LINE(l, "cascade   %u cheap models, of which %u must agree", c->cheap, c->need);
    LINE(l, "          goes on to the chosen one in %s, costs %.6f $ instead of %.6f, answers "
         "%s well", percent(c->escalates, share), (double)c->cost, (double)c->alone,
         percent(c->quality, quality));
}

static void request_lines(const struct explain *e, struct lines *l)
{
    const struct choose *c = &e->chosen;
    char text[64] = "";
    for (size_t i = 0; i < COUNT(needs); i++) {
        if (!(c->needs & needs[i].bit)) continue;
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof text - len, " %s", needs[i].name);
    }
    LINE(l, "request   %s for '%.*s'", api_name(e->api), (int)e->r.req.model.len,
         e->r.req.model.ptr);
    LINE(l, "mode      %s (by %s)", plan_mode_name((enum plan_mode)c->mode),
         choose_source_name((enum choose_source)c->mode_from));
    LINE(l, "tokens    about %u of prompt, %u expected of the answer", c->tokens.prompt,
         c->tokens_out);
    if (text[0]) LINE(l, "needs    %s", text);
    gain_lines(e, l);
    cascade_lines(e, l);
}

void explain_lines(const struct explain *e, unsigned most,
                   void (*put)(void *arg, const char *line), void *arg)
{
    struct lines l = {.put = put, .arg = arg};
    unsigned out = 0;
    assert(!e->fault);
    request_lines(e, &l);
    if (!e->found) {
        LINE(&l, "answer    %u %s: %s", close_status((enum close_why)e->chosen.why),
             close_code((enum close_why)e->chosen.why), sentence(e));
    }
    LINE(&l, "%3s %-48s %7s %7s %11s %8s %8s %6s %10s  %s", "", "model", "quality", "at least",
         "cost $", "first s", "whole s", "errors", "score", "reason");
    for (uint32_t i = 0; i < e->count; i++) {
        bool planned = e->view[i].place < PLAN_MAX;
        if (planned || out < most) view_line(e, &l, &e->view[i], planned);
        if (!planned) out++;
    }
    if (out > most) LINE(&l, "    and %u more left out (--json shows all)", out - most);
}
