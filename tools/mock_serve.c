/* mock_serve.c - engine/serve.h as a provider sees it: which request it is, what it asks for,
 * and the answers that need no script; see mock.h. A job is a slot of core->exchanges, so that
 * the engine's balancing and draining count it. */
#include "engine/serve.h"
#include "engine/conn.h"
#include "engine/core.h"
#include "net/http.h"
#include "net/jsonw.h"
#include "tools/mock.h"

enum { TOKENS_DEFAULT = 16, TOKENS_MAX = 1000000 };

bool serve_boot(struct core *core)
{
    assert(core->serve);
    return slab_init(&core->exchanges, sizeof(struct job), core->limits.conns);
}

struct serve_times serve_times(const struct core *core)
{
    (void)core;
    const uint64_t second = 1000000000;
    return (struct serve_times){60 * second, 300 * second, 600 * second, 600 * second,
                                MEM_BLOCK};
}

/* --- heads --- */

static bool ends_with(struct bytes path, struct bytes end)
{
    return path.len >= end.len &&
           bytes_eq((struct bytes){path.ptr + path.len - end.len, end.len}, end);
}

static const struct {
    struct bytes end;          /* the longer before what it ends with */
    enum api api;
} paths[] = {
    {BYTES_INIT("/chat/completions"), API_CHAT},
    {BYTES_INIT("/completions"), API_COMPLETIONS},
    {BYTES_INIT("/embeddings"), API_EMBEDDINGS},
    {BYTES_INIT("/moderations"), API_MODERATIONS},
    {BYTES_INIT("/responses"), API_RESPONSES},
    {BYTES_INIT("/messages/count_tokens"), API_COUNT_TOKENS},
    {BYTES_INIT("/messages"), API_MESSAGES},
    {BYTES_INIT(":generateContent"), API_GENERATE},
    {BYTES_INIT(":streamGenerateContent"), API_GENERATE},
    {BYTES_INIT(":countTokens"), API_GENERATE_COUNT},
};

static bool is_gemini(enum api api) { return api == API_GENERATE || api == API_GENERATE_COUNT; }

static bool find_api(struct bytes path, enum api *api)
{
    for (size_t i = 0; i < COUNT(paths); i++) {
        if (!ends_with(path, paths[i].end)) continue;
        *api = paths[i].api;
        return true;
    }
    return false;
}

/* The key comes as each dialect has it. */
static bool is_allowed(const struct mock_shared *s, const struct http_head *head)
{
    struct bytes value = head->field[HTTP_AUTHORIZATION], scheme = BYTES("Bearer "), query;
    if (s->key.len == 0 || bytes_eq(head->field[HTTP_X_API_KEY], s->key) ||
        bytes_eq(head->field[HTTP_X_GOOG_API_KEY], s->key) ||
        (http_query_find(head->query, BYTES("key"), &query) && bytes_eq(query, s->key))) {
        return true;
    }
    if (value.len <= scheme.len || !bytes_ieq(bytes_cut(&value, scheme.len), scheme)) {
        return false;
    }
    return bytes_eq(bytes_trim(value), s->key);
}

#define MODEL(id) "{\"id\":\"" id "\",\"object\":\"model\",\"created\":1700000000," \
                  "\"owned_by\":\"weir-mock\"}"
static const struct bytes models = BYTES_INIT(
    "{\"object\":\"list\",\"data\":[" MODEL("mock") "," MODEL("mock-ttft200-tps50-n100") ","
    MODEL("mock-reasoning") "," MODEL("mock-tool") "," MODEL("mock-embedding") "]}");

/* An answer to a request whose body, if any, is not wanted. */
static bool refuse(struct core *core, struct conn *c, enum api api, unsigned status,
                   const char *code, const char *sentence)
{
    struct job_fault fault = {.api = api, .status = status, .code = code, .sentence = sentence};
    if (status == 405) fault.extra = BYTES("allow: GET, HEAD, POST\r\n");
    job_error(core, c, &fault);
    conn_answered(core, c);
    return false;
}

static bool serve_get(struct core *core, struct conn *c, const struct http_head *head)
{
    if (bytes_eq(head->path, BYTES("/healthz"))) {
        job_reply(core, c, 200, BYTES("text/plain"), BYTES("ok\n"), BYTES(""));
    } else if (ends_with(head->path, BYTES("/models"))) {
        job_reply(core, c, 200, BYTES("application/json"), models, BYTES(""));
    } else {
        return refuse(core, c, API_CHAT, 404, "not_found", "no such path");
    }
    conn_answered(core, c);
    return false;
}

bool serve_trusts(const struct core *core, struct conn *c)
{
    (void)core, (void)c;
    return false;
}

/* Gemini's path says which model, and whether to stream; the query in which form. */
static void read_path(struct job *job, const struct http_head *head)
{
    struct bytes path = head->path, alt;
    size_t colon = path.len, from;
    while (path.ptr[colon - 1] != ':') colon--;
    job->stream = path.ptr[colon] == 's';
    bool sse = http_query_find(head->query, BYTES("alt"), &alt) && bytes_eq(alt, BYTES("sse"));
    job->array = job->stream && !sse;
    struct bytes folder = BYTES("/models/");
    const char *at = memmem(path.ptr, colon, folder.ptr, folder.len);
    from = at ? (size_t)(at - path.ptr) + folder.len : colon - 1;
    while (!at && from > 0 && path.ptr[from - 1] != '/') from--;
    job->path_model = (struct bytes){path.ptr + from, colon - 1 - from};
}

bool serve_head(struct core *core, struct conn *c, const struct http_head *head)
{
    const struct mock *mock = core->serve;
    enum api api = API_CHAT;
    bool get = head->method == HTTP_GET || head->method == HTTP_HEAD;
    bool open = get && bytes_eq(head->path, BYTES("/healthz"));
    assert(!c->job);
    bool found = find_api(head->path, &api);
    if (!open && !is_allowed(mock->shared, head)) {
        return refuse(core, c, api, 401, "invalid_api_key", "Incorrect API key provided");
    }
    if (get) return serve_get(core, c, head);
    if (!found) return refuse(core, c, api, 404, "not_found", "no such path");
    if (head->method != HTTP_POST) {
        return refuse(core, c, api, 405, "method_not_allowed", "this path takes POST");
    }
    struct job *job = slab_take(&core->exchanges);
    if (!job) return refuse(core, c, api, 503, "overloaded", "too many requests at once");
    job->c = c;
    job->timer.kind = TIMER_SERVE;
    job->api = (uint8_t)api;
    job->method = head->method_text;
    job->target = head->target;
    if (is_gemini(api)) read_path(job, head);
    c->job = job;
    c->body_max = MOCK_BODY_MAX;
    return true;
}

/* --- bodies --- */

static void write_model(struct job *job, struct bytes model)
{
    struct jsonw w;
    assert(model.len <= API_NAME_MAX);
    jsonw_init(&w, job->model, sizeof job->model);
    jsonw_string(&w, model);
    assert(!w.full);
    job->model_len = (uint16_t)w.len;
}

static uint32_t tokens_of(uint64_t bytes)
{
    uint64_t tokens = (bytes + API_TOKEN_BYTES - 1) / API_TOKEN_BYTES;
    return tokens > 0 ? (uint32_t)tokens : 1;
}

static uint32_t at_most(uint32_t tokens) { return tokens < TOKENS_MAX ? tokens : TOKENS_MAX; }

/* How many tokens of what kind: as the script says, within the request's limit. */
static void count_tokens(struct job *job, int64_t limit)
{
    const struct script *s = &job->script;
    uint32_t text = script_has(s, SCRIPT_N) ? s->value[SCRIPT_N] : TOKENS_DEFAULT;
    uint32_t reasoning = job->api == API_COMPLETIONS ? 0 : s->value[SCRIPT_REASONING];
    text = at_most(text);
    text -= job->said_tokens < text ? job->said_tokens : text;
    reasoning = at_most(reasoning);
    bool call = job->tools && script_has(s, SCRIPT_TOOL);
    if (call && text < 2) text = 2;  /* what opens the arguments, and what closes them */
    job->length = limit >= 0 && (uint64_t)limit < (uint64_t)text + reasoning;
    if (job->length) {
        if (reasoning > (uint64_t)limit) reasoning = (uint32_t)limit;
        text = (uint32_t)((uint64_t)limit - reasoning);
    }
    job->text_tokens = text;
    job->reasoning_tokens = reasoning;
    job->cached = at_most(s->value[SCRIPT_CACHED]);
    job->cache_write = at_most(s->value[SCRIPT_CACHEWRITE]);
    job->cache_write_1h = at_most(s->value[SCRIPT_CACHEHOUR]);
}

static uint32_t name_hash(struct bytes name)
{
    uint64_t hash = name.len;
    for (size_t i = 0; i < name.len; i++) hash = data_mix(hash ^ (unsigned char)name.ptr[i]);
    return (uint32_t)(hash % MOCK_FAILS);
}

static void read_script(struct core *core, struct job *job, struct bytes model)
{
    const struct mock *mock = core->serve;
    script_read(model, &job->script);
    write_model(job, model);
    job->status = job->script.status;
    uint32_t every = job->script.value[SCRIPT_FAIL];
    if (every == 0) return;
    _Atomic uint32_t *counter = &mock->shared->fails[name_hash(model)];
    uint32_t before = atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    if (before % every == every - 1) job->status = 500;
}

static enum net_rc read_request(struct core *core, struct conn *c, struct job *job)
{
    struct mock *mock = core->serve;
    uint32_t at = c->body.first, left = c->body.count;
    struct bytes piece;
    api_request_begin(&mock->reader, (enum api)job->api);
    char name[API_NAME_MAX * 3];
    struct bytes raw = job->path_model;
    int64_t n = raw.len <= sizeof name ? http_percent_decode(raw, name) : -1;
    struct bytes model = {name, n > 0 ? (size_t)n : 0};
    if (is_gemini(job->api) && !api_request_path(&mock->reader, model, job->stream)) {
        return NET_BAD;
    }
    while (chain_next(&core->mem, &at, &left, &piece)) {
        if (api_request_feed(&mock->reader, piece) == NET_BAD) return NET_BAD;
    }
    return api_request_end(&mock->reader);
}

void serve_body(struct core *core, struct conn *c)
{
    struct mock *mock = core->serve;
    struct job *job = c->job;
    assert(job && job->stage == JOB_READING);
    const struct api_reader *r = &mock->reader;
    if (read_request(core, c, job) != NET_DONE) {
        struct job_fault fault = {.api = job->api, .status = 400, .code = r->code,
                                  .sentence = r->error,
                                  .param = r->pointer[0] ? r->pointer : NULL};
        if (!r->code) fault.code = "invalid_request_error", fault.sentence = "no such model";
        job_drop(core, job);
        job_error(core, c, &fault);
        conn_answered(core, c);
        return;
    }
    bool words = job_has_words(job);
    read_script(core, job, r->req.model);
    job->tools = r->req.tool_count > 0 && words && job->api != API_COMPLETIONS;
    if (job->tools && script_has(&job->script, SCRIPT_TOOL)) data_tool(core, job);
    job->prompt_tokens = tokens_of(r->req.prompt_bytes + r->req.tool_bytes);
    if (words) past_read(core, job);
    if (words) count_tokens(job, r->req.max_tokens);
    job->stream = words && r->req.stream;
    if (words) fault_draw(core, job);
    job->usage = r->req.include_usage && !script_has(&job->script, SCRIPT_NOUSAGE);
    job_start(core, job);
}

bool serve_piece(struct core *core, struct conn *c, struct bytes piece)
{
    struct job *job = c->job;
    char model[API_NAME_MAX];
    size_t len;
    assert(job);
    bool first = c->body_bytes == piece.len, whole = !c->chunked && c->body_left == 0;
    if (!first || whole || is_gemini(job->api) || !data_model(piece, model, &len)) return true;
    struct script script;
    script_read((struct bytes){model, len}, &script);
    if (!script_has(&script, SCRIPT_EARLY)) return true;
    read_script(core, job, (struct bytes){model, len});
    job->script.act = SCRIPT_WORDS;  /* what takes time is for requests that were read */
    job->script.has &= ~(1ull << SCRIPT_SLOWHEAD | 1ull << SCRIPT_DRIP);
    job->prompt_tokens = tokens_of(piece.len);
    if (job_has_words(job)) count_tokens(job, -1);
    job_early(core, job);
    return false;
}

/* --- the rest of serve.h --- */

void serve_refuse(struct core *core, struct conn *c, enum close_why why, const char *detail)
{
    struct job_fault fault = {.status = close_status(why), .code = close_code(why),
                              .sentence = detail ? detail : close_sentence(why)};
    struct job *job = c->job;
    if (job) fault.api = (enum api)job->api;
    if (job) job_drop(core, job);
    job_error(core, c, &fault);
}

void serve_gone(struct core *core, struct conn *c, enum close_why why)
{
    (void)why;
    if (c->job) job_drop(core, c->job);
}

void serve_drained(struct core *core, struct conn *c, uint64_t left)
{
    if (c->job && left <= CORE_HELD_MAX / 2) job_go(core, c->job);
}

void serve_timer(struct core *core, struct timer *t)
{
    job_go(core, (struct job *)(void *)((char *)t - offsetof(struct job, timer)));
}

void serve_wake(struct core *core) { (void)core; }

void serve_end(struct core *core) { (void)core; }
