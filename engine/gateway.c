/* gateway.c - see gateway.h. */
#include "engine/gateway.h"
#include "engine/attempt.h"
#include "engine/auth.h"
#include "engine/book.h"
#include "engine/conf.h"
#include "engine/conn.h"
#include "engine/control.h"
#include "engine/core.h"
#include "engine/cors.h"
#include "engine/engine.h"
#include "engine/exchange.h"
#include "engine/path.h"
#include "engine/reply.h"
#include "engine/tables.h"
#include "net/http.h"
#include "route/plan.h"

#include <stdio.h>

enum { API_FEEDBACK = 255, FEEDBACK_MAX = 4096, READER_ABOVE = MEM_BLOCK };

void gateway_request_id(struct core *core, const struct http_head *head, char out[65])
{
    struct bytes given = head ? head->field[HTTP_X_REQUEST_ID] : (struct bytes){0};
    bool sane = given.len >= 1 && given.len <= 64;
    for (size_t i = 0; sane && i < given.len; i++) {
        char c = byte_lower(given.ptr[i]);
        sane = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '-';
    }
    if (sane) {
        memcpy(out, given.ptr, given.len);
        out[given.len] = 0;
    } else {
        reply_make_id(core, out);
    }
}

void gateway_refuse(struct core *core, struct conn *c, const struct http_head *head,
                    enum close_why why, const char *text)
{
    char id[65];
    gateway_request_id(core, head, id);
    book_refused(core, c, id, why);
    reply_error(core, c, NULL, id, why, text, NULL);
}

static bool refuse(struct core *core, struct conn *c, const struct http_head *head,
                   enum close_why why, const char *text)
{
    gateway_refuse(core, c, head, why, text);
    conn_answered(core, c);
    return false;
}

static bool refuse_path(struct core *core, struct conn *c, const struct http_head *head,
                        bool known)
{
    char text[256];
    (void)snprintf(text, sizeof text, known ? "%.*s is not in this release"
                                            : "no such path: %.*s",
                   (int)(head->path.len < 128 ? head->path.len : 128), head->path.ptr);
    return refuse(core, c, head, known ? CLOSE_NOT_BUILT : CLOSE_PATH_UNKNOWN, text);
}

/* Who asks? The key's view and its hash; NULL: refused. */
static const struct key_view *known_key(struct core *core, struct conn *c,
                                        const struct http_head *head, uint8_t *hash)
{
    const char *why = "the API key is not known";
    const struct key_view *key = auth_hash(head, hash, &why) ? auth_find(core, hash) : NULL;
    if (!key) (void)refuse(core, c, head, CLOSE_KEY_BAD, why);
    return key;
}

/* --- GET --- */

static bool get(struct core *core, struct conn *c, const struct http_head *head,
                const struct path *path)
{
    uint8_t hash[STORE_KEY_HASH];
    char id[65];
    gateway_request_id(core, head, id);
    if (path->target == PATH_HEALTH || path->target == PATH_READY) {
        gateway_health(core, c, path->target == PATH_READY, id);
        conn_answered(core, c);
        return false;
    }
    const struct key_view *key = known_key(core, c, head, hash);
    if (!key) return false;
    if (path->target == PATH_KEY) gateway_key(core, c, key, id);
    else gateway_models(core, c, key, path->model, id);
    conn_answered(core, c);
    return false;
}

/* --- POST --- */

static enum close_why shortage(struct core *core)
{
    if (core->stopping) return CLOSE_DRAINING;
    if (!atomic_load_explicit(&core->engine->ledger_ok, memory_order_acquire)) {
        return CLOSE_LEDGER_GONE;
    }
    if (!journal_has_room(core->journal)) return CLOSE_LEDGER_GONE;
    return CLOSE_NONE;
}

/* Admit: slot, control fields, journal. False: answered. */
static bool admit(struct core *core, struct conn *c, const struct http_head *head,
                  const struct path *path, const struct key_view *key, const uint8_t *hash)
{
    const struct conf *conf = core->tables->conf;
    struct exchange *x = exchange_open(core, c, head);
    if (!x) {
        core_count(core, STAT_NO_MEMORY);
        return refuse(core, c, head, CLOSE_OVERLOADED, "too many requests are running");
    }
    char id[65];
    gateway_request_id(core, head, id);
    memcpy(x->rec.request_id, id, strnlen(id, 64));
    memcpy(x->rec.path, key->path.unit, sizeof x->rec.path);
    memcpy(x->key_hash, hash, STORE_KEY_HASH);
    x->rec.mode = (uint8_t)conf->mode;
    x->no_row = path->target == PATH_FEEDBACK;
    x->api = x->no_row ? API_FEEDBACK : path->api;
    c->x = x;
    c->body_max = x->no_row ? FEEDBACK_MAX : conf->limit_body;
    bool welcome = x->no_row || spend_admit(core, x, auth_budget(key));
    bool begun = x->no_row || book_begin(core, x);
    assert(begun);  /* room was asked for in this turn */
    if (!welcome) {
        spend_refuse(core, x);
        return false;
    }
    const char *wrong = control_read(x, head);
    struct bytes encoding = head->field[HTTP_CONTENT_ENCODING];
    if (encoding.len && !bytes_ieq(encoding, BYTES("identity"))) {
        wrong = "a content-encoding is not understood here: send the body as it is";
    }
    if (wrong) {
        exchange_fail(core, x, CLOSE_REQUEST_BAD, wrong, NULL);
        return false;
    }
    if (x->timeout_ns) x->deadline_ns = core->now_ns + x->timeout_ns;
    if (head->framing == HTTP_LENGTH && head->content_length > c->body_max) {
        exchange_fail(core, x, CLOSE_BODY_LARGE, NULL, NULL);
        return false;
    }
    hold_drop(&core->mem, &c->hold);
    c->fields = (struct bytes){0};
    return true;
}

bool gateway_head(struct core *core, struct conn *c, const struct http_head *head)
{
    if (head->method == HTTP_OPTIONS) {
        char id[65];
        gateway_request_id(core, head, id);
        enum cors_verdict verdict = cors_preflight(core, c, head, id);
        if (verdict == CORS_DENIED) return refuse(core, c, head, CLOSE_ORIGIN_DENIED, NULL);
        if (verdict == CORS_ANSWERED) {
            conn_answered(core, c);
            return false;
        }
    }
    if (head->upgrade_websocket && head->method == HTTP_GET) {
        return refuse(core, c, head, CLOSE_WEBSOCKET, NULL);
    }
    struct path path = path_read(head->path);
    bool later = path.target == PATH_NOT_BUILT || path.api > API_MODERATIONS;
    if (later || path.target == PATH_NONE) return refuse_path(core, c, head, later);
    bool is_get = path.target >= PATH_MODELS;
    bool reads = head->method == HTTP_GET || head->method == HTTP_HEAD;
    if (is_get ? !reads : head->method != HTTP_POST) {
        c->wants_post = !is_get;
        return refuse(core, c, head, CLOSE_METHOD_BAD, NULL);
    }
    if (is_get) return get(core, c, head, &path);
    uint8_t hash[STORE_KEY_HASH];
    const struct key_view *key = known_key(core, c, head, hash);
    if (!key) return false;
    enum close_why lack = shortage(core);
    if (lack != CLOSE_NONE) return refuse(core, c, head, lack, NULL);
    return admit(core, c, head, &path, key, hash);
}

/* --- the body --- */

static bool bad_body(struct core *core, struct exchange *x, const struct api_reader *r)
{
    bool json = strcmp(r->code, "invalid_json") == 0;
    exchange_fail(core, x, json ? CLOSE_JSON_BAD : CLOSE_REQUEST_BAD, r->error,
                  r->pointer[0] ? r->pointer : NULL);
    return false;
}

/* Give the reader all of the body that is here. */
static enum net_rc feed_reader(struct core *core, struct api_reader *r,
                               const struct chain *body)
{
    uint32_t at = body->first, left = body->count;
    struct bytes piece;
    while (chain_next(&core->mem, &at, &left, &piece)) {
        if (api_request_feed(r, piece) == NET_BAD) return NET_BAD;
    }
    return NET_MORE;
}

bool gateway_piece(struct core *core, struct conn *c, struct bytes piece)
{
    struct exchange *x = c->x;
    if (x->api == API_FEEDBACK || c->body.bytes <= READER_ABOVE) return true;
    if (x->reader) {
        if (api_request_feed(x->reader, piece) == NET_BAD) {
            return bad_body(core, x, x->reader);
        }
        return true;
    }
    char *block;
    static_assert(sizeof(struct api_reader) <= MEM_BLOCK, "a reader fits a block");
    /* read at the end where there is no room */
    if (!mem_bulk_take(&core->mem, &x->reader_block, &block)) return true;
    x->reader = (void *)block;
    api_request_begin(x->reader, (enum api)x->api);
    if (feed_reader(core, x->reader, &c->body) == NET_BAD) {
        return bad_body(core, x, x->reader);
    }
    return true;
}

struct allow_arg { const struct key_view *view; enum unit_kind level; };

static bool allow(void *arg, struct bytes model_id)
{
    struct allow_arg *a = arg;
    return keys_allow(a->view, model_id.ptr, model_id.len, &a->level);
}

static void take_names(struct plan_ask *ask, const struct api_request *req)
{
    if (req->model.len) {
        ask->name[ask->name_count++] = req->model;
        ask->first_is_model = true;
    }
    for (unsigned i = 0; i < req->models.count && ask->name_count < PLAN_NAMES_MAX; i++) {
        ask->name[ask->name_count++] = req->models.at[i];
    }
    memcpy(ask->order, req->order.at, sizeof ask->order);
    memcpy(ask->only, req->only.at, sizeof ask->only);
    memcpy(ask->ignore, req->ignore.at, sizeof ask->ignore);
    ask->order_count = req->order.count;
    ask->only_count = req->only.count;
    ask->ignore_count = req->ignore.count;
}

static bool is_routing(struct bytes name)
{
    size_t n = name.len;
    return bytes_eq(name, BYTES("auto")) || bytes_starts(name, BYTES("auto:")) ||
           bytes_eq(name, BYTES("openrouter/auto")) ||
           (n > 6 && memcmp(name.ptr + n - 6, ":floor", 6) == 0) ||
           (n > 6 && memcmp(name.ptr + n - 6, ":nitro", 6) == 0);
}

static void no_plan(struct core *core, struct exchange *x, const struct plan *plan,
                    const struct allow_arg *arg)
{
    const struct catalog *cat = x->tables->catalog;
    char text[512];
    int n = (int)(plan->name.len < 128 ? plan->name.len : 128);
    if (plan->reason == PLAN_NOT_ALLOWED) {
        (void)snprintf(text, sizeof text, "the policy of this key's %s does not allow '%.*s'",
                       unit_kind_name(arg->level), n, plan->name.ptr);
        exchange_fail(core, x, CLOSE_MODEL_DENIED, text, "model");
    } else if (plan->reason == PLAN_FILTERED || plan->reason == PLAN_WRONG_DIALECT) {
        (void)snprintf(text, sizeof text,
                       "no provider of '%.*s' passes the request's provider filters", n,
                       plan->name.ptr);
        exchange_fail(core, x, CLOSE_POLICY_DENIED, text, "provider");
    } else {
        const char *near = catalog_nearest(cat, plan->name);
        bool routing = is_routing(plan->name);
        (void)snprintf(text, sizeof text, "the model '%.*s' %s%s%s%s", n, plan->name.ptr,
                       routing ? "needs routing, which is not in this release"
                               : "does not exist here",
                       near && !routing ? "; did you mean '" : "",
                       near && !routing ? near : "", near && !routing ? "'?" : "");
        exchange_fail(core, x, CLOSE_MODEL_UNKNOWN, text, "model");
    }
}

/* Leave out candidates nobody has stated a price for, where the operator asks for prices. */
static void need_prices(struct exchange *x, struct plan *plan)
{
    const struct catalog *cat = x->tables->catalog;
    if (((const struct conf *)x->tables->conf)->unknown_price_allow) return;
    unsigned kept = 0;
    for (unsigned i = 0; i < plan->count; i++) {
        const struct price *p = price_at(&cat->model[plan->at[i].model].price,
                                         x->rec.admitted_unix_ns / 1000000000u);
        if (p && p->known) plan->at[kept++] = plan->at[i];
    }
    plan->count = (uint8_t)kept;
}

static bool make_plan(struct core *core, struct exchange *x, const struct api_request *req)
{
    const struct key_view *key = auth_find(core, x->key_hash);
    if (!key) {
        exchange_fail(core, x, CLOSE_KEY_BAD, "the API key is not known", NULL);
        return false;
    }
    struct allow_arg arg = {.view = key};
    struct plan_ask ask = {.zdr = req->zdr, .one_only = x->one_only || !req->allow_fallbacks,
                           .max_prompt = req->max_prompt,
                           .max_completion = req->max_completion,
                           .dialects = 1u << DIALECT_OPENAI,
                           .now_unix_s = core->unix_ns / 1000000000u,
                           .allow = allow, .allow_arg = &arg};
    struct plan plan;
    take_names(&ask, req);
    plan_make(x->tables->catalog, &ask, &plan);
    if (plan.count == 0) {
        no_plan(core, x, &plan, &arg);
        return false;
    }
    need_prices(x, &plan);
    if (plan.count == 0) {
        exchange_fail(core, x, CLOSE_POLICY_DENIED,
                      "no price is known for this model: state one under models, or set "
                      "unknown_price: allow", "model");
        return false;
    }
    for (unsigned i = 0; i < plan.count; i++) x->plan[i] = plan.at[i].model;
    x->plan_count = plan.count;
    return true;
}

/* Keep what repeating the request needs: the spans of the members that are edited. */
static bool keep_request(struct core *core, struct exchange *x, const struct api_request *r)
{
    if (!exchange_keep_request(core, x, r)) {
        exchange_fail(core, x, CLOSE_OVERLOADED, NULL, NULL);
        return false;
    }
    x->stream = r->stream;
    x->want_usage = r->include_usage || r->usage_include;
    x->want_cost = r->usage_include;
    x->prompt_bytes = r->prompt_bytes;
    if (r->stream) x->rec.flags |= RECORD_STREAM;
    return true;
}

static void read_request(struct core *core, struct exchange *x)
{
    struct api_reader *r = x->reader;
    enum net_rc rc = NET_MORE;
    if (!r) {
        static_assert(sizeof *r <= CORE_SCRATCH, "a reader fits the scratch");
        r = (void *)core->text;
        core_text_put(core, sizeof *r);
        api_request_begin(r, (enum api)x->api);
        rc = feed_reader(core, r, &x->body);
    }
    if (rc == NET_BAD || api_request_end(r) != NET_DONE) {
        (void)bad_body(core, x, r);
        return;
    }
    if (r->req.sort) {
        exchange_fail(core, x, CLOSE_REQUEST_BAD, "provider.sort is not in this release",
                      "provider");
        return;
    }
    if (!keep_request(core, x, &r->req) || !make_plan(core, x, &r->req)) return;
    if (x->reader) mem_block_give(&core->mem, x->reader_block, sizeof *x->reader);
    x->reader = NULL;
    attempt_next(core, x);
}

void gateway_body(struct core *core, struct conn *c)
{
    struct exchange *x = c->x;
    assert(x && x->state == X_READ);
    chain_move(&core->mem, &x->body, &c->body);
    if (x->api == API_FEEDBACK) gateway_feedback(core, x);
    else read_request(core, x);
}
