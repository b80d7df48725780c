/* gateway.c - see gateway.h. */
#include "engine/gateway.h"
#include "engine/attempt.h"
#include "engine/auth.h"
#include "engine/book.h"
#include "engine/cascade.h"
#include "engine/choose.h"
#include "engine/compose.h"
#include "engine/conf.h"
#include "engine/conn.h"
#include "engine/control.h"
#include "engine/core.h"
#include "engine/cors.h"
#include "engine/dialect.h"
#include "engine/engine.h"
#include "engine/exchange.h"
#include "engine/learn.h"
#include "engine/path.h"
#include "engine/rand.h"
#include "engine/reply.h"
#include "engine/sticky.h"
#include "engine/tables.h"
#include "net/http.h"
#include "route/gain.h"
#include "route/score.h"

#include <stdio.h>

enum {
    FEEDBACK_MAX = 4096, READER_ABOVE = MEM_BLOCK,
    CONVERSATION_TEXT = 192,       /* bytes of a text that tell conversations apart */
};

struct body { const struct mem *mem; const struct chain *chain; };   /* as it was received */

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
    struct bytes in_query = {0};
    if (path_is_gemini((enum api)c->api)) {
        (void)http_query_find(head->query, BYTES("key"), &in_query);
    }
    bool found = auth_hash(head, in_query, hash, &why);
    const struct key_view *key = found ? auth_find(core, hash) : NULL;
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
    bool money = path->target == PATH_KEY || path->target == PATH_CREDITS;
    if (money) gateway_money(core, c, key, path->target == PATH_CREDITS, id);
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

/* In which form Gemini's client wants a stream: alt=sse, or a JSON array. NULL, or what is
 * wrong. */
static const char *read_alt(struct exchange *x, const struct http_head *head)
{
    struct bytes alt = {0};
    if (!path_is_gemini((enum api)x->api)) return NULL;
    bool said = http_query_find(head->query, BYTES("alt"), &alt);
    bool sse = bytes_eq(alt, BYTES("sse"));
    if (said && !sse && !bytes_eq(alt, BYTES("json"))) return "alt must be json or sse";
    x->array = x->path_stream && !sse;
    return NULL;
}

/* Admit: slot, control fields, journal. False: answered. */
static bool admit(struct core *core, struct conn *c, const struct http_head *head,
                  const struct path *path, const struct key_view *key, const uint8_t *hash)
{
    const struct conf *conf = core->tables->conf;
    struct exchange *x = exchange_open(core, c, head, path);
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
    c->x = x;
    c->body_max = x->no_row ? FEEDBACK_MAX : conf->limit_body;
    bool begun = x->no_row || book_begin(core, x);
    assert(begun);  /* room was asked for in this turn */
    const char *wrong = control_read(x, head);
    if (!wrong) wrong = read_alt(x, head);
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
    bool later = path.target == PATH_NOT_BUILT, none = path.target == PATH_NONE;
    bool general = path.target >= PATH_MODELS && path.api == API_CHAT;
    if (general && head->field[HTTP_ANTHROPIC_VERSION].ptr) path.api = API_MESSAGES;
    c->api = path.api;
    if (later || none) return refuse_path(core, c, head, later);
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

/* Gemini's model, from the path. False: it is none, and r says so. */
static bool take_path(const struct exchange *x, struct api_reader *r)
{
    char name[API_NAME_MAX * 3];
    struct bytes raw = compose_path_model(x);
    int64_t n = raw.len <= sizeof name ? http_percent_decode(raw, name) : -1;
    if (n > 0 && api_request_path(r, (struct bytes){name, (size_t)n}, x->path_stream)) {
        return true;
    }
    (void)snprintf(r->error, sizeof r->error, "the model in the path is malformed, or longer "
                   "than %d bytes", API_NAME_MAX);
    r->code = "invalid_request_error";
    return false;
}

/* The type of a form, from the client's field lines. False: it is not one, or is said twice,
 * and r says so. */
static bool take_type(const struct exchange *x, struct api_reader *r)
{
    struct bytes lines = {x->kept.ptr, x->lines_bytes}, name, value, type = {0};
    while (http_field_next(&lines, &name, &value)) {
        if (!bytes_ieq(name, BYTES("content-type"))) continue;
        if (type.len > 0) value.len = 0;
        type = value;
        if (value.len == 0) break;
    }
    return api_request_upload(r, type);
}

/* Begin a reader and give it all of the body that is here. */
static enum net_rc feed_reader(struct core *core, const struct exchange *x,
                               struct api_reader *r, const struct chain *body)
{
    uint32_t at = body->first, left = body->count;
    struct bytes piece;
    enum api api = (enum api)x->api;
    api_request_begin(r, api);
    if (path_is_gemini(api) && !take_path(x, r)) return NET_BAD;
    if (api_is_upload(api) && !take_type(x, r)) return NET_BAD;
    while (chain_next(&core->mem, &at, &left, &piece)) {
        if (api_request_feed(r, piece) == NET_BAD) return NET_BAD;
    }
    return NET_MORE;
}

bool gateway_piece(struct core *core, struct conn *c, struct bytes piece)
{
    struct exchange *x = c->x;
    if (x->no_row || c->body.bytes <= READER_ABOVE) return true;
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
    if (feed_reader(core, x, x->reader, &c->body) == NET_BAD) {
        return bad_body(core, x, x->reader);
    }
    return true;
}

static void read_body(void *arg, uint64_t from, char *out, size_t len)
{
    const struct body *b = arg;
    chain_read(b->mem, b->chain, from, out, len);
}

/* The start of a text of the request, and its length, into a conversation's hash. */
static uint64_t take_text(const struct body *b, struct api_span span, uint64_t hash)
{
    char text[CONVERSATION_TEXT + sizeof(uint64_t)];
    uint64_t len = span.end - span.start;
    size_t n = len < CONVERSATION_TEXT ? (size_t)len : CONVERSATION_TEXT;
    memcpy(text, &len, sizeof len);
    if (n) chain_read(b->mem, b->chain, span.start, text + sizeof len, n);
    return sticky_hash(hash, (struct bytes){text, sizeof len + n});
}

/* Which conversation a request belongs to: the one its client names, else that of this key
 * which begins with these texts. 0: none can be told. */
static uint64_t conversation(const struct exchange *x, const struct body *b,
                             const struct api_request *req)
{
    const struct api_span *text = req->text;
    if (x->control.session) return x->control.session;
    if (text[API_TEXT_FIRST].end == 0 || dialect_counts((enum api)x->api)) return 0;
    uint64_t hash = take_text(b, text[API_TEXT_SYSTEM], sticky_seed(x->key_hash));
    return take_text(b, text[API_TEXT_FIRST], hash);
}

/* Who answered it before. Without an answer of a model in it, it has only just begun. */
static struct choose_hint who_before(const struct core *core, const struct exchange *x,
                                     const struct api_request *req)
{
    const struct tables *t = x->tables;
    struct choose_hint hint = {.first = x->control.session != 0};
    struct sticky_last last;
    bool goes_on = hint.first || req->assistant_turns > 0;
    if (!x->session || !goes_on || !core->engine->sticky || !t->model_tag) return hint;
    uint64_t now_s = core->unix_ns / 1000000000u;
    if (!sticky_find(core->engine->sticky, x->session, now_s, &last)) return hint;
    for (uint32_t i = 0; i < t->catalog->model_count; i++) {
        if (t->model_tag[i] != last.model) continue;
        hint.model = i + 1;
        hint.cached = last.tokens;
        break;
    }
    return hint;
}

static void keep_choice(struct exchange *x, const struct choose *chosen,
                        const struct features *f, const struct gain *g)
{
    const struct plan *plan = &chosen->plan;
    memcpy(x->plan, plan->at, plan->count * sizeof plan->at[0]);
    x->plan_count = plan->count;
    x->routed = plan->routed;
    x->cascade.cheap = plan->cascade.cheap;
    x->cascade.need = plan->cascade.need;
    x->cascade.why = plan->cascade.why;
    x->priority = chosen->priority;
    choose_codes(&plan->at[0], chosen->scored ? g : NULL, x->rec.reason);
    if (!chosen->scored) return;
    x->rec.gain = g->gain;
    learn_begin(x, f, g);
}

/* Find the candidates. False: answered. */
static bool make_plan(struct core *core, struct exchange *x, const struct api_request *req,
                      const struct key_view *key)
{
    struct scores *scores = x->tables->scores;
    struct body body = {&core->mem, &x->body};
    struct choose_ask ask = {.conf = x->tables->conf, .key = key,
                             .routing = auth_routing(key), .req = req,
                             .score = scores ? score_view(scores, core->idx) : NULL,
                             .control = &x->control, .api = x->api,
                             .read = read_body, .read_arg = &body,
                             .body_bytes = x->body.bytes,
                             .now_unix_s = core->unix_ns / 1000000000u,
                             .now_ms = core->now_ns / 1000000,
                             .draw = rand_next(&core->rand)};
    struct choose chosen;
    struct features f;
    struct gain g;
    if (!ask.routing) {
        exchange_fail(core, x, CLOSE_POLICY_DENIED, "the key's policy cannot be read", NULL);
        return false;
    }
    if (core->engine->learn) {
        ask.tenant = learn_tenant(core->engine->learn, core->idx, x->rec.path[0]);
    }
    x->session = conversation(x, &body, req);
    ask.hint = who_before(core, x, req);
    bool found = choose_make(&ask, &chosen, &f, &g);
    x->rec.mode = chosen.mode;
    x->tokens = chosen.tokens;
    if (!found) {
        exchange_fail(core, x, (enum close_why)chosen.why, chosen.text[0] ? chosen.text : NULL,
                      chosen.param);
        return false;
    }
    keep_choice(x, &chosen, &f, &g);
    return true;
}

/* What of the answer is checked. The schema is read now: the body will be gone. */
static void begin_check(struct core *core, struct exchange *x, const struct api_request *r)
{
    char schema[API_SCHEMA_MAX];
    struct api_span at = r->schema_at;
    api_check_begin(&x->check, r);
    if (!x->check.wants_text || at.end == 0 || at.end - at.start > sizeof schema) return;
    size_t n = (size_t)(at.end - at.start);
    chain_read(&core->mem, &x->body, at.start, schema, n);
    api_check_schema(&x->check, (struct bytes){schema, n});
    explicit_bzero(schema, n);  /* a client's words */
}

/* Keep what repeating the request needs: the spans of the members that are edited. */
static bool keep_request(struct core *core, struct exchange *x, const struct api_request *r)
{
    if (!exchange_keep_request(core, x, r)) {
        exchange_fail(core, x, CLOSE_OVERLOADED, NULL, NULL);
        return false;
    }
    x->stream = r->stream;
    x->want_usage = r->include_usage || r->usage_include || x->api >= API_RESPONSES;
    x->want_cost = r->usage_include && x->api < API_RESPONSES;
    begin_check(core, x, r);
    x->choices = r->n < 1 ? 1 : r->n > UINT8_MAX ? UINT8_MAX : (uint8_t)r->n;
    if (r->stream) x->rec.flags |= RECORD_STREAM;
    return true;
}

static void read_request(struct core *core, struct exchange *x, const struct key_view *key)
{
    struct api_reader *r = x->reader;
    enum net_rc rc = NET_MORE;
    if (!r) {
        static_assert(sizeof *r <= CORE_SCRATCH, "a reader fits the scratch");
        r = (void *)core->text;
        core_text_put(core, sizeof *r);
        rc = feed_reader(core, x, r, &x->body);
    }
    if (rc == NET_BAD || api_request_end(r) != NET_DONE) {
        (void)bad_body(core, x, r);
        return;
    }
    if (r->req.background) {
        exchange_fail(core, x, CLOSE_REQUEST_BAD, "background is not in this release",
                      "background");
        return;
    }
    if (!keep_request(core, x, &r->req) || !make_plan(core, x, &r->req, key)) return;
    if (x->reader) mem_block_give(&core->mem, x->reader_block, sizeof *x->reader);
    x->reader = NULL;
    cascade_begin(core, x);
}

void gateway_body(struct core *core, struct conn *c)
{
    struct exchange *x = c->x;
    assert(x && x->state == X_READ);
    chain_move(&core->mem, &x->body, &c->body);
    if (x->no_row) {
        gateway_feedback(core, x);
        return;
    }
    /* Asked again, for the key may have been revoked while the body came. */
    const struct key_view *key = auth_find(core, x->key_hash);
    if (!key) {
        exchange_fail(core, x, CLOSE_KEY_BAD, "the API key is not known", NULL);
        return;
    }
    /* Limits are met by whole requests: a head whose body never comes would else hold a place
     * of everybody's concurrency for nothing. */
    if (spend_admit(core, x, auth_budget(key))) read_request(core, x, key);
    else spend_refuse(core, x);
}
