/* model.c - see model.h: requests, answers and configurations as texts. */
#include "tests/sim/model.h"
#include "route/catalog.h"
#include "tests/sim/available.h"
#include "tests/sim/cheap.h"
#include "tests/sim/foreign.h"
#include "tests/sim/hedged.h"
#include "tests/sim/machine.h"
#include "tests/sim/money.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct model the;

struct model *model(void) { return &the; }

static bool is_openai(uint32_t provider) { return !foreign_is(provider); }

/* How each provider goes on with an answer, as the configuration says it. */
static void draw_continues(void)
{
    the.resume = (uint8_t)(draw_maybe(700) ? GOES_ALWAYS : draw(GOES_ALWAYS));
    for (uint32_t i = 0; i < MODEL_PROVIDERS; i++) {
        static const uint8_t any[] = {CONTINUES_PREFILL, CONTINUES_INSTRUCT,
                                      CONTINUES_PREFILL, CONTINUES_NO, CONTINUES_UNSAID};
        the.continues[i] = any[draw(5)];
        if (is_openai(i) && draw_maybe(500)) the.continues[i] = (uint8_t)draw(CONTINUES);
    }
}

bool model_plays(void) { return !the.calm && the.world != WORLD_AVAILABLE; }

void model_id(uint32_t provider, char id[MODEL_ID_MAX])
{
    bool cheap = the.world == WORLD_CHEAP;     /* where models of one name are one model */
    (void)snprintf(id, MODEL_ID_MAX, cheap ? "p%u/m%u" : "p%u/m", provider, provider);
}

/* What the case of availability says, where there is one. */
static void begin_available(void)
{
    the.resume = available()->resume ? GOES_ALWAYS : GOES_NEVER;
    the.hold_bytes = 1 << 20;
    the.patient = the.tight = false;
    the.mode = 3;                  /* availability */
    memset(the.continues, CONTINUES_PREFILL, sizeof the.continues);
}

void model_begin(bool calm, enum model_world world)
{
    memset(&the, 0, sizeof the);
    the.calm = calm;
    the.world = (uint8_t)world;
    if (world == WORLD_CHEAP) cheap_begin();
    the.versions = 1;
    the.hold_bytes = draw_maybe(500) ? 4096 : 1 << 20;
    the.patient = draw_maybe(200);
    the.tight = draw_maybe(500);
    the.mode = draw(4);
    draw_continues();
    if (world == WORLD_AVAILABLE) begin_available();
    for (uint32_t i = 0; i < MODEL_PROVIDERS; i++) {
        struct limits_of *l = &the.limits[i];
        *l = (struct limits_of){.queue_ms = !model_plays() ? 200000 : draw_maybe(200) ? 0
                                : draw_range(1, draw_maybe(500) ? 300 : 5000)};
        if (!the.tight) continue;
        if (draw_maybe(800)) l->concurrency = draw_maybe(750) ? 1 : draw_range(2, 4);
        if (!calm && draw_maybe(500)) l->queue_ms = draw_range(1000, 8000);
        if (!calm && draw_maybe(150)) l->rpm = draw_range(5, 200);
        if (!calm && draw_maybe(100)) l->tpm = draw_range(2000, 200000);
    }
}

const struct limits_of *model_limits(uint32_t provider)
{
    assert(provider < MODEL_PROVIDERS);
    return &the.limits[provider];
}

/* --- texts */

static void grow(struct text *t, size_t more)
{
    if (t->len + more <= t->room) return;
    t->room = (t->len + more) * 2;
    t->at = realloc(t->at, t->room);
    assert(t->at);
}

void text_bytes(struct text *t, const char *bytes, size_t len)
{
    grow(t, len + 1);
    if (len > 0) memcpy(t->at + t->len, bytes, len);
    t->len += len;
    t->at[t->len] = 0;
}

void text_put(struct text *t, const char *format, ...)
{
    char part[2048];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(part, sizeof part, format, args);
    va_end(args);
    assert(n >= 0 && (size_t)n < sizeof part);
    text_bytes(t, part, (size_t)n);
}

void model_words(struct text *t, uint32_t len)
{
    static const char *const odd[] = {"\\n", "\\\"", "\\u00e9", "\xc3\xa9", "\xe2\x82\xac",
                                      "\\\\", "{", "]", "data: ", "\\t"};
    for (uint32_t i = 0; i < len; i++) {
        if (draw_maybe(30)) text_put(t, "%s", odd[draw(10)]);
        else text_put(t, "%c", "abcdefghijklmnopqrstuvwxyz     "[draw(31)]);
    }
}

size_t model_unit(const char *at)
{
    unsigned char c = (unsigned char)*at;
    if (c == '\\') return at[1] == 'u' ? 6 : 2;
    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

void model_piece(struct reply *p, struct text *words, uint32_t len, bool last)
{
    size_t had = words->len;
    if (!p->onward) {
        model_words(words, len);
        if (last) cheap_tail(words, p);
        text_bytes(&p->said, words->at + had, words->len - had);
        return;
    }
    size_t from = p->at;
    while (p->at < p->plan.len && (last || p->at - from < len)) {
        p->at += model_unit(p->plan.at + p->at);
    }
    text_bytes(words, p->plan.at + from, p->at - from);
}

/* --- requests */

static const char *model_name(enum ask_kind kind)
{
    static const char *const names[] = {"p0/m", "p1/m", "two", "three", "all", "p4/m", "m",
                                        "auto", "auto:cost", "m:nitro", "auto:availability"};
    if (kind == ASK_NO_MODEL) return "p0/unheard-of";
    if (the.world == WORLD_AVAILABLE) return "here";
    if (the.world == WORLD_CHEAP) return draw_maybe(150) ? "three" : "auto";
    return the.world == WORLD_HEDGED ? names[2 + draw(3)] : names[draw(11)];
}

static uint32_t body_size(void)
{
    if (the.world == WORLD_AVAILABLE) return draw_range(100, 300);
    switch (draw(8)) {
    case 0: return draw_range(3000, 12000);
    case 1: return draw_range(60000, 140000);
    default: return draw_range(1, 400);
    }
}

static void put_json(struct text *t, struct ask *a)
{
    text_put(&a->prompt, "q");     /* blanks alone are no message to Anthropic */
    if (the.world == WORLD_CHEAP) cheap_question(&a->prompt);
    model_words(&a->prompt, body_size());
    bool stream = a->kind == ASK_STREAM;
    text_put(t, "{\"model\":\"%s\",", model_name((enum ask_kind)a->kind));
    if (stream && draw_maybe(500)) {
        text_put(t, "\"stream\":true,");
        stream = false;
    }
    if (a->want_usage) text_put(t, "\"stream_options\":{\"include_usage\":true},");
    text_put(t, "\"messages\":[{\"role\":\"user\",\"content\":\"");
    text_bytes(t, a->prompt.at, a->prompt.len);
    text_put(t, "\"}]%s%s", stream ? ",\"stream\":true" : "",
             a->kind == ASK_BAD_JSON ? ",}" : "}");
}

static void put_chunked(struct text *t, const struct text *body)
{
    for (size_t from = 0; from < body->len;) {
        size_t n = draw_range(1, draw_maybe(500) ? 20000 : 200);
        if (n > body->len - from) n = body->len - from;
        text_put(t, "%zx%s\r\n", n, draw_maybe(50) ? ";x=1" : "");
        text_bytes(t, body->at + from, n);
        text_put(t, "\r\n");
        from += n;
    }
    text_put(t, "0\r\n%s\r\n", draw_maybe(50) ? "x-trailer: 1\r\n" : "");
}

static void put_post(struct ask *a, uint32_t number)
{
    struct text body = {0};
    const char *path = a->kind == ASK_NO_PATH ? "/v1/nothing" : "/v1/chat/completions";
    put_json(&body, a);
    text_put(&a->wire, "POST %s HTTP/1.1\r\nhost: weir.test\r\nx-request-id: sim-%u\r\n"
             "content-type: application/json\r\nauthorization: Bearer %s\r\n", path, number,
             a->kind == ASK_BAD_KEY ? "sk-weir-nobody-has-this-key" : money()->secret[a->key]);
    if (draw_maybe(100)) text_put(&a->wire, "x-filler: %0*u\r\n", (int)draw_range(1, 1800), 0);
    if (a->last) text_put(&a->wire, "connection: close\r\n");
    if (the.world == WORLD_CHEAP) cheap_ask(&a->wire, a);
    if (draw_maybe(60)) text_put(&a->wire, "expect: 100-continue\r\n");
    if (draw_maybe(300)) {
        text_put(&a->wire, "transfer-encoding: chunked\r\n\r\n");
        put_chunked(&a->wire, &body);
    } else {
        text_put(&a->wire, "content-length: %zu\r\n\r\n", body.len);
        text_bytes(&a->wire, body.at, body.len);
    }
    free(body.at);
}

static void put_malformed(struct text *t)
{
    static const char *const odd[] = {
        "GET /v1/models\r\n\r\n", "BREW / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00\x01",
        ("POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n"
         "transfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        "GET /healthz HTTP/1.1\r\nhost: a\r\nbad header : 1\r\n\r\n",
        "GET /healthz HTTP/2.7\r\nhost: a\r\n\r\n",
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: -5\r\n\r\n",
        "GET  /healthz HTTP/1.1\r\nhost: a\r\n\r\n",
    };
    const char *one = odd[draw(8)];
    text_bytes(t, one, strlen(one));
}

static void put_get(struct ask *a, uint32_t number)
{
    const char *path = a->kind == ASK_MODELS ? "/v1/models" : "/healthz";
    text_put(&a->wire, "GET %s HTTP/1.1\r\nhost: weir.test\r\nx-request-id: sim-%u\r\n"
             "authorization: Bearer %s\r\n%s\r\n", path, number, money()->secret[a->key],
             a->last ? "connection: close\r\n" : "");
}

uint32_t model_ask(enum ask_kind kind, bool last)
{
    static const uint16_t status[ASK_KINDS] = {
        [ASK_MODELS] = 200, [ASK_HEALTH] = 200, [ASK_BAD_KEY] = 401, [ASK_NO_MODEL] = 404,
        [ASK_BAD_JSON] = 400, [ASK_NO_PATH] = 404};
    assert(the.ask_count < ASKS_MAX);
    uint32_t number = the.ask_count++;
    struct ask *a = &the.ask[number];
    a->kind = (uint8_t)kind;
    a->last = last;
    a->key = money()->on ? (uint8_t)draw(MONEY_KEYS) : 0;
    a->want_usage = kind == ASK_STREAM && draw_maybe(400);
    a->expect_status = status[kind];
    if (kind == ASK_MALFORMED) put_malformed(&a->wire);
    else if (kind == ASK_MODELS || kind == ASK_HEALTH) put_get(a, number);
    else put_post(a, number);
    return number;
}

struct ask *model_find(const char *name, size_t len)
{
    char text[24] = "";
    unsigned number;
    int used = 0;
    if (len >= sizeof text) return NULL;
    memcpy(text, name, len);
    if (sscanf(text, "sim-%u%n", &number, &used) != 1 || (size_t)used != len) return NULL;
    return number < the.ask_count ? &the.ask[number] : NULL;
}

/* --- answers */

static void put_usage(struct text *t, const struct reply *p)
{
    text_put(t, "\"usage\":{\"prompt_tokens\":%u,\"completion_tokens\":%u,\"total_tokens\":%u,"
             "\"prompt_tokens_details\":{\"cached_tokens\":%u}}", p->input + p->cached,
             p->output, p->input + p->cached + p->output, p->cached);
}

uint32_t model_answer_size(void)
{
    if (the.world == WORLD_AVAILABLE) return draw_range(200, 400);
    switch (draw(8)) {
    case 0: return draw_range(2000, 20000);
    case 1: return draw_maybe(300) ? draw_range(60000, 150000) : 0;
    default: return draw_range(1, 300);
    }
}

static void put_whole(struct text *t, const struct reply *p, const char *name)
{
    if (p->kind == REPLY_EMPTY) return;
    if (p->kind == REPLY_ERROR) {
        text_put(t, "{\"error\":{\"message\":\"no %s\",\"code\":500}}", name);
        return;
    }
    text_put(t, "{\"id\":\"%s\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,"
             "\"message\":{\"role\":\"assistant\",\"content\":\"", name);
    model_words(t, model_answer_size());
    cheap_tail(t, p);
    text_put(t, "\"},\"finish_reason\":\"%s\"}]", p->finish);
    if (p->usage) {
        text_put(t, ",");
        put_usage(t, p);
    }
    text_put(t, p->kind == REPLY_NOT_JSON ? ",,}" : "}");
}

/* One event as the provider writes it; what the client shall see of it goes to expect. */
static void put_event(struct text *sent, struct text *expect, const char *name, bool crlf,
                      bool null_usage, const char *inside, const struct text *words)
{
    const char *end = crlf ? "\r\n\r\n" : "\n\n";
    struct text *to[2] = {sent, expect};
    for (int i = 0; i < 2; i++) {
        text_put(to[i], "data: {\"id\":\"%s\",\"choices\":[{\"index\":0,\"delta\":{", name);
        if (words) {
            text_put(to[i], "\"content\":\"");
            text_bytes(to[i], words->at, words->len);
            text_put(to[i], "\"");
        }
        text_put(to[i], "%s", inside);
        if (null_usage && i == 0) text_put(to[i], ",\"usage\":null");
        text_put(to[i], "}%s", end);
    }
}

/* Gives the bytes of the largest. */
static uint32_t put_contents(struct text *sent, struct reply *p, const char *name, bool crlf,
                             bool null_usage)
{
    struct text *expect = &p->expect;
    uint32_t most = 0;
    uint32_t events = draw_range(1, 12), size = model_answer_size() / events + 1;
    if (null_usage && size > 30000) size = 30000;  /* larger ones pass uninspected */
    for (uint32_t i = 0; i < events; i++) {
        struct text words = {0};
        model_piece(p, &words, draw_range(1, size), i + 1 == events);
        put_event(sent, expect, name, crlf, null_usage, "}}]", &words);
        if (words.len > most) most = (uint32_t)words.len;
        free(words.at);
        if (draw_maybe(50)) {
            text_put(sent, ": ping%s", crlf ? "\r\n\r\n" : "\n\n");
            text_put(expect, ": ping%s", crlf ? "\r\n\r\n" : "\n\n");
        }
    }
    return most;
}

static void put_stream(struct text *t, struct reply *p, const struct ask *a, const char *name)
{
    bool crlf = draw_maybe(150), null_usage = !a->want_usage && draw_maybe(300);
    const char *end = crlf ? "\r\n\r\n" : "\n\n";
    struct text *x = &p->expect;
    if (draw_maybe(500)) put_event(t, x, name, crlf, false, "\"role\":\"assistant\"}}]", NULL);
    if (p->kind == REPLY_EMPTY) return;
    p->event_max = put_contents(t, p, name, crlf, null_usage);
    if (p->kind == REPLY_ERROR) {
        text_put(t, "data: {\"error\":{\"message\":\"broke\",\"code\":500}}%s", end);
        return;
    }
    if (p->kind == REPLY_NOT_JSON) {
        text_put(t, "data: {\"choices\":[}%s", end);
        return;
    }
    char finish[64];
    (void)snprintf(finish, sizeof finish, "},\"finish_reason\":\"%s\"}]", p->finish);
    put_event(t, x, name, crlf, null_usage, finish, NULL);
    struct text *to[2] = {t, a->want_usage ? x : NULL};
    for (int i = 0; i < 2 && p->usage; i++) {
        if (!to[i]) continue;
        text_put(to[i], "data: {\"id\":\"%s\",\"choices\":[],", name);
        put_usage(to[i], p);
        text_put(to[i], "}%s", end);
    }
    bool done = p->kind != REPLY_NO_DONE;
    if (done) text_put(t, "data: [DONE]%s", end);
    text_put(x, "data: [DONE]%s", done ? end : "\n\n");
}

static void put_framed(struct reply *p, const struct text *body)
{
    struct text *w = &p->wire;
    uint32_t way = draw(p->sse ? 2 : 3);
    p->until_close = draw_maybe(80);
    p->close = p->until_close || draw_maybe(150);
    if (p->close) text_put(w, "connection: close\r\n");
    if (p->until_close) {
        text_put(w, "\r\n");
        text_bytes(w, body->at, body->len);
    } else if (way == 0 || (p->sse && !draw_maybe(100))) {
        text_put(w, "transfer-encoding: chunked\r\n\r\n");
        put_chunked(w, body);
    } else {
        text_put(w, "content-length: %zu\r\n\r\n", body->len);
        text_bytes(w, body->at, body->len);
    }
}

static enum reply_kind draw_kind(const struct ask *a)
{
    if (!model_plays() || draw_maybe(600)) return REPLY_GOOD;
    enum reply_kind kind = (enum reply_kind)draw(REPLY_KINDS);
    return kind == REPLY_NO_DONE && a->kind != ASK_STREAM ? REPLY_GOOD : kind;
}

/* What is left of the provider's own limits, now and then nothing, in one of the usual
 * forms. */
static void put_limits(struct reply *p)
{
    if (!model_plays() || draw_maybe(600)) return;
    bool empty = draw_maybe(500), anthropic = draw_maybe(300);
    uint32_t reset_ms = empty ? draw_range(100, 3000) : draw(3000);
    const char *a = anthropic ? "anthropic-" : "x-", *b = anthropic ? "requests-" : "";
    const char *c = anthropic ? "" : "-requests";
    text_put(&p->wire, "%sratelimit-%slimit%s: 50\r\n%sratelimit-%sremaining%s: %u\r\n", a, b,
             c, a, b, c, empty ? 0 : draw_range(1, 50));
    text_put(&p->wire, "%sratelimit-%sreset%s: %u%s\r\n", a, b, c, reset_ms, "ms");
    if (empty) p->empty_ms = reset_ms;
}

static void put_status(struct reply *p)
{
    static const uint16_t bad[] = {400, 401, 403, 404, 408, 422, 429, 429, 500, 502, 503, 529};
    if (p->status == 0) p->status = p->kind == REPLY_STATUS ? bad[draw(12)] : 200;
    if (model_plays() && draw_maybe(50)) {
        text_put(&p->wire, "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n");
    }
    text_put(&p->wire, "HTTP/1.1 %u Word\r\nx-request-id: theirs\r\ndate: then\r\n", p->status);
    if (p->status == 429 && draw_maybe(500)) {
        text_put(&p->wire, "retry-after: %u\r\n", draw(3));
    }
    put_limits(p);
    if (p->kind == REPLY_ENCODED) text_put(&p->wire, "content-encoding: gzip\r\n");
}

/* What is repeated of the text before, by a provider that does such things: all of it, or
 * the end of it. */
static void put_repeated(struct reply *p)
{
    const struct text *before = &p->before;
    uint8_t how = the.continues[p->provider];
    bool all = how == CONTINUES_PREFIX_ECHO || draw_maybe(300);
    size_t from = 0;
    if (how != CONTINUES_PREFIX_ECHO && (how != CONTINUES_INSTRUCT || draw_maybe(400))) return;
    if (!all && before->len < 40) return;      /* less might stand there by chance */
    while (!all && before->len - from > 40 + draw(80)) from += model_unit(before->at + from);
    text_bytes(&p->plan, before->at + from, before->len - from);
}

/* It goes on with what was said before: how it begins can stand nowhere else. */
static void plan_onward(struct reply *p, const struct text *before)
{
    p->onward = true;
    text_bytes(&p->before, before->at, before->len);
    text_put(&p->said, "@");
    model_words(&p->said, model_answer_size());
    put_repeated(p);
    text_bytes(&p->plan, p->said.at, p->said.len);
}

struct reply *model_reply(struct ask *a, uint32_t provider, const struct text *before)
{
    assert(provider < MODEL_PROVIDERS);
    if (a->reply_count == REPLIES_MAX) return NULL;
    struct reply *p = &a->reply[a->reply_count];
    char name[32];
    struct text body = {0};
    (void)snprintf(name, sizeof name, "sim-%u#%u", (unsigned)(a - the.ask), a->reply_count);
    *p = (struct reply){.kind = (uint8_t)draw_kind(a), .provider = (uint8_t)provider};
    if (the.world == WORLD_AVAILABLE) available_reply(p);
    a->reply_count++;
    if (before && before->len > 0) plan_onward(p, before);
    p->finish = "stop";
    if (the.world == WORLD_CHEAP && !p->onward) cheap_reply(p, a);
    p->usage = p->kind != REPLY_NO_USAGE;
    p->input = draw(2000);
    p->cached = draw(500);
    p->output = draw_range(1, 3000);
    if (the.world == WORLD_AVAILABLE) available_usage(p);
    if (p->kind == REPLY_GARBAGE) {
        text_put(&p->wire, "HTTP/1.1 two hundred\r\n\r\nwhat?");
        return p;
    }
    put_status(p);
    p->sse = a->kind == ASK_STREAM && p->status == 200;
    if (p->status != 200) text_put(&body, "{\"error\":{\"message\":\"not now\",\"id\":\"%s\"}}",
                                   name);
    else if (foreign_is(provider)) foreign_answer(&body, p, name);
    else if (p->sse) put_stream(&body, p, a, name);
    else put_whole(&body, p, name);
    text_put(&p->wire, "content-type: %s\r\n", p->sse ? "text/event-stream; charset=utf-8"
                                                      : "application/json");
    put_framed(p, &body);
    if (!p->sse && !(foreign_is(provider) && p->status == 200)) p->expect = body;
    else free(body.at);
    return p;
}

/* --- the configuration */

int64_t model_price(uint32_t provider, uint32_t version, enum token_kind kind)
{
    if (the.flat_nusd) return 0;
    if (the.world == WORLD_AVAILABLE) provider = version = 0;
    int64_t base = 1000000 + 300000 * (int64_t)provider + 7 * (int64_t)version;
    if (the.world == WORLD_CHEAP && provider == the.strong) base *= CHEAP_FACTOR;
    switch (kind) {
    case TOKEN_INPUT: return base;
    case TOKEN_CACHED: return base / 4;
    case TOKEN_OUTPUT: return base * 3;
    default: return -1;
    }
}

static void put_price(struct text *t, const char *name, int64_t pico)
{
    text_put(t, "%s: \"%lld.%06lld\"", name, (long long)(pico / 1000000),
             (long long)(pico % 1000000));
}

static void put_limit(struct text *t, const char *name, uint32_t value)
{
    if (value) text_put(t, ", %s: %u", name, value);
}

static void put_alias(struct text *t, const char *name, const char *providers)
{
    char id[MODEL_ID_MAX];
    text_put(t, "%s: [", name);
    for (const char *at = providers; *at; at++) {
        model_id((uint32_t)(*at - '0'), id);
        text_put(t, "%s%s", at > providers ? ", " : "", id);
    }
    text_put(t, "]");
}

static void put_aliases(struct text *t)
{
    put_alias(t, "aliases: {two", "01");
    put_alias(t, ", three", "234");
    put_alias(t, ", all", "43210");
    static const char *const here[] = {"0", "0", "01", "012"};
    put_alias(t, ", here", here[available()->providers]);
    text_put(t, "}\n");
}

void model_config(struct text *t, uint32_t version)
{
    static const char *const continues[CONTINUES] = {
        [CONTINUES_PREFILL] = "prefill", [CONTINUES_PREFIX] = "prefix",
        [CONTINUES_PREFIX_ECHO] = "prefix_echo", [CONTINUES_PARTIAL] = "partial",
        [CONTINUES_FINAL] = "final", [CONTINUES_INSTRUCT] = "instruct", [CONTINUES_NO] = "no"};
    static const char *const resumes[] = {"never", "availability", "always"};
    text_put(t, "providers:\n");
    for (uint32_t i = 0; i < MODEL_PROVIDERS; i++) {
        char address[32] = "many.test";
        bool quick = the.world == WORLD_AVAILABLE, two = quick || i % 2;
        if (i < 4) (void)snprintf(address, sizeof address, "10.0.0.%u", i + 1);
        text_put(t, "  - {name: p%u, dialect: %s, url: \"http://%s:8000/v1\", ", i,
                 foreign_dialect(i), address);
        text_put(t, "keys: [k%u-a%s], timeouts: {connect: 1s, first_byte: %s, stall: %s, "
                 "total: %s}", i, two ? ", other" : "", quick ? "1s" : the.patient ? "40s"
                 : "3s", quick ? "500ms" : "2s", the.patient ? "90s" : "12s");
        put_limit(t, "concurrency", the.limits[i].concurrency);
        put_limit(t, "rpm", the.limits[i].rpm);
        put_limit(t, "tpm", the.limits[i].tpm);
        if (the.continues[i]) text_put(t, ", continues: %s", continues[the.continues[i]]);
        text_put(t, ", queue: %ums}\n", the.limits[i].queue_ms);
    }
    text_put(t, "models:\n");
    for (uint32_t i = 0; i < MODEL_PROVIDERS; i++) {
        char id[MODEL_ID_MAX];
        model_id(i, id);
        text_put(t, "  - {id: %s, upstream: m, ", id);
        if (the.world == WORLD_CHEAP) cheap_quality(t, i);
        text_put(t, "price: {");
        put_price(t, "input", model_price(i, version, TOKEN_INPUT));
        put_price(t, ", cached", model_price(i, version, TOKEN_CACHED));
        put_price(t, ", output", model_price(i, version, TOKEN_OUTPUT));
        text_put(t, ", request: \"%lld.%09lld\"}}\n", (long long)(the.flat_nusd / 1000000000),
                 (long long)(the.flat_nusd % 1000000000));
    }
    put_aliases(t);
    static const char *const modes[] = {"balanced", "cost", "latency", "availability"};
    text_put(t, "routing: {mode: %s, explore: %s, resume: %s",
             modes[(the.mode + version) % 4], the.world == WORLD_CHEAP ? "0" : "0.2",
             resumes[the.resume]);
    if (the.world == WORLD_CHEAP) cheap_config(t);
    if (the.world == WORLD_HEDGED) hedged_config(t);
    text_put(t, "}\n");
    text_put(t, "timeouts: {header: 2s, body: 4s, idle: 5s, write: 3s}\n");
    text_put(t, "limits: {hold: %llu, answer: 1MiB, body: 1MiB}\n",
             (unsigned long long)the.hold_bytes);
}
