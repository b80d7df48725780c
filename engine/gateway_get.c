/* gateway_get.c - the data plane's small answers: models, health, feedback. */
#include "engine/auth.h"
#include "engine/book.h"
#include "engine/clock.h"
#include "engine/conn.h"
#include "engine/core.h"
#include "engine/dialect.h"
#include "engine/engine.h"
#include "engine/exchange.h"
#include "engine/gateway.h"
#include "engine/reply.h"
#include "engine/show.h"
#include "engine/tables.h"
#include "net/http.h"
#include "net/json.h"
#include "net/jsonw.h"

#include <stdio.h>

enum { MODEL_JSON_MAX = 2048, TURN_NS_MAX = 1000000000 };

static void put_abilities(struct jsonw *w, unsigned abilities)
{
    static const char *const names[] = {"tools", "vision", "json_schema", "reasoning"};
    jsonw_array(w);
    for (unsigned i = 0; i < COUNT(names); i++) {
        if (abilities & 1u << i) jsonw_text(w, names[i]);
    }
    jsonw_array_end(w);
}

/* What OpenAI's SDKs read of a model, and Anthropic's, and Gemini's. A date nobody knows is the
 * epoch's. */
static void put_head(struct jsonw *w, enum api form, const struct catalog *cat,
                     const struct catalog_model *m)
{
    const struct catalog_provider *p = &cat->provider[m->provider];
    if (form == API_MESSAGES) {
        jsonw_key(w, "type"), jsonw_text(w, "model");
        jsonw_key(w, "id"), jsonw_text(w, m->id);
        jsonw_key(w, "display_name"), jsonw_text(w, m->id);
        jsonw_key(w, "created_at"), jsonw_text(w, "1970-01-01T00:00:00Z");
    } else if (form == API_GENERATE) {
        char name[CATALOG_NAME_MAX + sizeof "models/"];
        (void)snprintf(name, sizeof name, "models/%s", m->id);
        jsonw_key(w, "name"), jsonw_text(w, name);
        jsonw_key(w, "displayName"), jsonw_text(w, m->id);
        jsonw_key(w, "inputTokenLimit"), show_known(w, m->context);
        jsonw_key(w, "outputTokenLimit"), show_known(w, m->max_output);
        jsonw_key(w, "supportedGenerationMethods");
        jsonw_array(w);
        if (dialect_bits(API_GENERATE) & 1u << p->dialect) {
            jsonw_text(w, "generateContent");
            jsonw_text(w, "countTokens");
        }
        jsonw_array_end(w);
    } else {
        jsonw_key(w, "id"), jsonw_text(w, m->id);
        jsonw_key(w, "object"), jsonw_text(w, "model");
        jsonw_key(w, "created"), jsonw_int(w, 0);
        jsonw_key(w, "owned_by"), jsonw_text(w, p->name);
    }
}

static void put_model(struct jsonw *w, const struct core *core, enum api form, uint32_t idx)
{
    const struct catalog *cat = core->tables->catalog;
    const struct catalog_model *m = &cat->model[idx];
    const struct price *p = price_at(&m->price, core->unix_ns / 1000000000u);
    jsonw_object(w);
    put_head(w, form, cat, m);
    jsonw_key(w, "dialect");
    jsonw_text(w, dialect_words(cat->provider[m->provider].dialect).name);
    jsonw_key(w, "price"), show_price(w, p);
    jsonw_key(w, "context"), show_known(w, m->context);
    jsonw_key(w, "max_output"), show_known(w, m->max_output);
    jsonw_key(w, "supports"), put_abilities(w, m->abilities);
    jsonw_object_end(w);
}

static bool allowed(const struct key_view *key, const char *id)
{
    enum unit_kind level;
    return keys_allow(key, id, strlen(id), &level);
}

static void one_model(struct core *core, struct conn *c, const struct key_view *key,
                      struct bytes id, const char *request_id)
{
    const struct catalog *cat = core->tables->catalog;
    char text[MODEL_JSON_MAX], name[CATALOG_NAME_MAX * 3];
    int64_t len = id.len < sizeof name ? http_percent_decode(id, name) : -1;
    int32_t idx = len > 0 ? catalog_find(cat, (struct bytes){name, (size_t)len}) : -1;
    uint32_t first, count;
    if (idx < 0 && len > 0 &&
        catalog_bare(cat, (struct bytes){name, (size_t)len}, &first, &count)) {
        idx = (int32_t)cat->by_bare[first];
    }
    if (idx < 0 || !allowed(key, cat->model[idx].id)) {
        struct bytes asked = {name, len > 0 ? (size_t)len : 0};
        const char *near = len > 0 ? catalog_nearest(cat, asked) : NULL;
        if (near && idx < 0 && catalog_find(cat, bytes_of(near)) >= 0 && !allowed(key, near)) {
            near = NULL;
        }
        (void)snprintf(text, sizeof text, "the model '%.*s' does not exist here%s%s%s",
                       (int)(id.len < 128 ? id.len : 128), id.ptr,
                       near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        book_refused(core, c, request_id, CLOSE_MODEL_UNKNOWN);
        reply_error(core, c, NULL, request_id, CLOSE_MODEL_UNKNOWN, text, "model");
        return;
    }
    struct jsonw w;
    jsonw_init(&w, text, sizeof text);
    put_model(&w, core, (enum api)c->api, (uint32_t)idx);
    reply_body(core, c, NULL, request_id, 200, BYTES("application/json"),
               (struct bytes){text, w.len}, (struct bytes){0});
}

/* Anthropic's lists say where a page ends; ours is always the last one. */
static bool end_list(struct core *core, struct chain *list, enum api form, const char *first,
                     const char *last)
{
    char text[2 * CATALOG_NAME_MAX * 6 + 128];
    struct jsonw w;
    if (form != API_MESSAGES) return chain_copy(&core->mem, list, BYTES("]}"));
    jsonw_init(&w, text + 1, sizeof text - 1);
    jsonw_object(&w);
    jsonw_key(&w, "has_more"), jsonw_bool(&w, false);
    jsonw_key(&w, "first_id"), jsonw_text(&w, first);
    jsonw_key(&w, "last_id"), jsonw_text(&w, last);
    jsonw_object_end(&w);
    assert(!w.full);
    text[0] = ']';
    text[1] = ',';      /* for the brace */
    return chain_copy(&core->mem, list, (struct bytes){text, w.len + 1});
}

void gateway_models(struct core *core, struct conn *c, const struct key_view *key,
                    struct bytes id, const char *request_id)
{
    if (id.len) {
        one_model(core, c, key, id, request_id);
        return;
    }
    const struct catalog *cat = core->tables->catalog;
    struct chain list = {0};
    enum api form = (enum api)c->api;
    bool ok = chain_copy(&core->mem, &list, form == API_GENERATE ? BYTES("{\"models\":[")
                                            : form == API_MESSAGES
                                                ? BYTES("{\"data\":[")
                                                : BYTES("{\"object\":\"list\",\"data\":["));
    const char *first = NULL, *last = NULL;
    for (uint32_t i = 0; ok && i < cat->model_count; i++) {
        if (!allowed(key, cat->model[i].id)) continue;
        char text[MODEL_JSON_MAX];
        struct jsonw w;
        bool some = first != NULL;
        jsonw_init(&w, text + 1, sizeof text - 1);
        put_model(&w, core, form, i);
        assert(!w.full);
        text[0] = ',';
        ok = chain_copy(&core->mem, &list, (struct bytes){text + !some, w.len + some});
        last = cat->model[i].id;
        if (!first) first = last;
    }
    ok = ok && end_list(core, &list, form, first, last);
    if (ok && reply_chain(core, c, request_id, BYTES("application/json"), &list)) return;
    chain_drop(&core->mem, &list);
    c->close_after = true;
    book_refused(core, c, request_id, CLOSE_OVERLOADED);
    reply_error(core, c, NULL, request_id, CLOSE_OVERLOADED, NULL, NULL);
}

/* The first thing that keeps the process from being healthy or ready; NULL: all is well. */
static const char *trouble(const struct core *core, bool ready)
{
    const struct engine *e = core->engine;
    uint64_t now = clock_now_ns();
    for (uint32_t i = 0; i < e->core_count; i++) {
        uint64_t turned = stat_get(&e->core[i]->stats.turned_ns);
        if (e->core[i] != core && turned + TURN_NS_MAX < now) return "a core has not turned";
    }
    if (!ready) return NULL;
    if (atomic_load_explicit(&e->draining, memory_order_acquire)) return "draining";
    if (!atomic_load_explicit(&e->ledger_ok, memory_order_acquire)) {
        return "the ledger cannot commit";
    }
    return NULL;
}

void gateway_health(struct core *core, struct conn *c, bool ready, const char *request_id)
{
    const char *why = trouble(core, ready);
    struct bytes body = why ? bytes_of(why) : BYTES("ok");
    reply_body(core, c, NULL, request_id, why ? 503 : 200, BYTES("text/plain"), body,
               (struct bytes){0});
}

/* --- feedback --- */

struct feedback {
    char id[65];
    size_t id_len;
    int64_t score;
    const char *param;                  /* the member an error is about */
    bool not_json;
};

/* A JSON number 0..1 as 0..10000; -1 for anything else. */
static int64_t score_of(struct bytes text)
{
    if (text.len == 0 || (*text.ptr != '0' && *text.ptr != '1')) return -1;
    int64_t value = (*text.ptr - '0') * 10000;
    if (text.len == 1) return value;
    if (text.ptr[1] != '.') return -1;
    int64_t unit = 1000;
    for (size_t i = 2; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return -1;
        value += (text.ptr[i] - '0') * unit;
        unit /= 10;
    }
    return value <= 10000 ? value : -1;
}

/* Take one member; NULL, or what is wrong. */
static const char *take_member(struct feedback *f, struct bytes key, const struct json_token *t)
{
    f->param = bytes_eq(key, BYTES("request_id")) ? "/request_id" : "/score";
    if (bytes_eq(key, BYTES("request_id"))) {
        if (f->id_len) return "request_id appears twice";
        if (t->type != JSON_STRING || t->escaped || t->text.len == 0 || t->text.len > 64) {
            return "request_id must be the x-request-id of an answer";
        }
        memcpy(f->id, t->text.ptr, t->text.len);
        f->id_len = t->text.len;
        return NULL;
    }
    if (!bytes_eq(key, BYTES("score"))) {
        f->param = NULL;
        return "only request_id and score are known here";
    }
    if (f->score >= 0) return "score appears twice";
    f->score = t->type == JSON_NUMBER ? score_of(t->text) : -1;
    return f->score < 0 ? "score must be a number from 0 to 1" : NULL;
}

static const char *read_feedback(struct bytes body, struct feedback *f)
{
    struct json j;
    struct json_token t;
    char key_text[32];
    struct bytes key = {key_text, 0};
    json_init(&j, 4);
    enum net_rc rc;
    while ((rc = json_next(&j, &body, &t)) == NET_OK) {
        const char *wrong = NULL;
        if (t.depth == 0 && t.type != JSON_OBJECT && t.type != JSON_OBJECT_END) {
            wrong = "the body must be an object";
        } else if (t.type == JSON_KEY) {
            key.len = t.text.len < sizeof key_text ? t.text.len : sizeof key_text;
            memcpy(key_text, t.text.ptr, key.len);
        } else if (t.depth == 1) {
            wrong = take_member(f, key, &t);
        }
        if (wrong) return wrong;
    }
    f->param = NULL;
    f->not_json = rc == NET_BAD || json_finish(&j, &t) != NET_DONE;
    if (f->not_json) return "the body is not valid JSON";
    f->param = f->id_len ? "/score" : "/request_id";
    if (!f->id_len) return "request_id is missing";
    return f->score < 0 ? "score is missing" : NULL;
}

void gateway_feedback(struct core *core, struct exchange *x)
{
    char body[4096];
    struct feedback f = {.score = -1};
    assert(x->body.bytes <= sizeof body);
    size_t len = (size_t)x->body.bytes;
    chain_read(&core->mem, &x->body, 0, body, len);
    const char *wrong = read_feedback((struct bytes){body, len}, &f);
    if (wrong) {
        enum close_why why = f.not_json ? CLOSE_JSON_BAD : CLOSE_REQUEST_BAD;
        exchange_fail(core, x, why, wrong, f.param);
        return;
    }
    store_id key = x->rec.path[UNIT_KEY];
    if (!auth_request_known(core, key, f.id, f.id_len)) {
        exchange_fail(core, x, CLOSE_FEEDBACK_UNKNOWN, NULL, "request_id");
        return;
    }
    struct record r = x->rec;
    r.kind = RECORD_FEEDBACK;
    r.status = (uint16_t)f.score;
    memset(r.request_id, 0, sizeof r.request_id);
    memcpy(r.request_id, f.id, f.id_len);
    if (!journal_feedback(core->journal, &r)) {
        exchange_fail(core, x, CLOSE_LEDGER_GONE, NULL, NULL);
        return;
    }
    book_end(core, x, CLOSE_DONE, 204);
    char id[65] = {0};
    memcpy(id, x->rec.request_id, 64);
    reply_body(core, x->c, NULL, id, 204, (struct bytes){0}, (struct bytes){0},
               (struct bytes){0});
    exchange_finish(core, x, false);
}
