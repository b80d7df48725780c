/* book.c - see book.h. Token kinds are disjoint; integer arithmetic only. Where a provider
 * tells no usage, a part of it, or an absurd one, our own count stands in and the record is
 * marked. It stands in for all of it: a counter that is wrong once is not believed about the
 * rest. */
#include "engine/book.h"
#include "engine/conf.h"
#include "engine/core.h"
#include "engine/dialect.h"
#include "engine/edge.h"
#include "engine/engine.h"
#include "engine/exchange.h"
#include "engine/hedge.h"
#include "engine/learn.h"
#include "engine/line.h"
#include "engine/log.h"
#include "engine/observe.h"
#include "engine/tables.h"
#include "net/jsonw.h"
#include "store/maybe.h"

enum {
    CHAT_TOKENS = 6,               /* what a provider puts around a chat's messages */
    PROGRESS_NS = 100000000,
    LINE_MAX = 1024,
};

static_assert((int)TOKEN_KINDS == (int)PRICE_KINDS, "one list of token kinds");
static_assert((int)TOKEN_OUTPUT == (int)PRICE_OUTPUT, "in one order");
static_assert((int)TOKEN_IMAGE_INPUT == (int)PRICE_IMAGE_INPUT, "in one order");

/* Tokens of the answer so far. */
static uint32_t answer_tokens(const struct exchange *x)
{
    return tokens_of(x->text_bytes, x->tokens.answer_ratio);
}

uint64_t book_text_bytes(const struct exchange *x, uint64_t tokens)
{
    assert(x->tokens.answer_ratio > 0);
    if (tokens > UINT32_MAX) return UINT64_MAX / 2;  /* some are added */
    return tokens * TOKENS_RATIO_ONE / x->tokens.answer_ratio;
}

uint32_t book_prompt_tokens(const struct exchange *x)
{
    uint32_t around = x->api == API_CHAT && x->tokens.prompt > 0 ? CHAT_TOKENS : 0;
    return x->tokens.prompt > UINT32_MAX - around ? UINT32_MAX : x->tokens.prompt + around;
}

bool book_usage_stands(const struct exchange *x)
{
    const struct api_usage *u = &x->usage;
    uint64_t prompt = (uint64_t)u->input + u->cached + u->cache_write + u->cache_write_1h +
                      u->audio_input + u->image_input;
    if (!u->present || u->absurd) return false;
    if (u->nothing) return true;
    /* Nothing for a text that was there: servers that do not count say 0. */
    if (prompt == 0 && x->tokens.prompt > 0) return false;
    return u->output > 0 || u->audio_output > 0 || u->open || x->text_bytes == 0;
}

/* The input was told, the output not to its end: the stream broke off, or still runs. */
static void finish_output(struct exchange *x)
{
    struct record *r = &x->rec;
    uint32_t own = answer_tokens(x);
    assert(x->usage.open);
    if (own > r->tokens[TOKEN_OUTPUT]) r->tokens[TOKEN_OUTPUT] = own;
    r->flags |= RECORD_ESTIMATED;
}

static void fill_tokens(struct exchange *x)
{
    struct record *r = &x->rec;
    const struct api_usage *u = &x->usage;
    memset(r->tokens, 0, sizeof r->tokens);
    r->reasoning_tokens = 0;
    r->flags &= (uint8_t)~RECORD_ESTIMATED;  /* progress before the usage came was one */
    if (dialect_counts((enum api)x->api)) return;
    if (book_usage_stands(x)) {
        r->tokens[TOKEN_INPUT] = u->input;
        r->tokens[TOKEN_CACHED] = u->cached;
        r->tokens[TOKEN_CACHE_WRITE] = u->cache_write;
        r->tokens[TOKEN_CACHE_WRITE_1H] = u->cache_write_1h;
        r->tokens[TOKEN_OUTPUT] = u->output;
        r->tokens[TOKEN_AUDIO_INPUT] = u->audio_input;
        r->tokens[TOKEN_AUDIO_OUTPUT] = u->audio_output;
        r->tokens[TOKEN_IMAGE_INPUT] = u->image_input;
        r->reasoning_tokens = u->reasoning;
        if (u->open) finish_output(x);
    } else {
        r->tokens[TOKEN_INPUT] = book_prompt_tokens(x);
        r->tokens[TOKEN_OUTPUT] = answer_tokens(x);
        r->flags |= RECORD_ESTIMATED;
    }
}

void book_price(struct core *core, struct exchange *x)
{
    struct record *r = &x->rec;
    const struct catalog_model *m = &x->tables->catalog->model[x->model];
    (void)core;
    fill_tokens(x);
    const struct price *p = price_at(&m->price, r->admitted_unix_ns / 1000000000u);
    /* Nothing of a candidate that was asked before stays. */
    memset(r->price, 0, sizeof r->price);
    r->price_request = r->cost_nusd = 0;
    r->flags &= (uint8_t)~RECORD_FREE_PRICE;
    if (dialect_counts((enum api)x->api)) return;   /* free, whatever a request costs */
    if (!p || !p->known) {
        r->flags |= RECORD_FREE_PRICE;
        return;
    }
    uint64_t prompt = (uint64_t)r->tokens[TOKEN_INPUT] + r->tokens[TOKEN_CACHED] +
                      r->tokens[TOKEN_CACHE_WRITE] + r->tokens[TOKEN_CACHE_WRITE_1H] +
                      r->tokens[TOKEN_AUDIO_INPUT] + r->tokens[TOKEN_IMAGE_INPUT];
    const int64_t *kinds = price_kinds(p, prompt);
    memcpy(r->price, kinds, sizeof r->price);
    r->price_request = p->request;
    r->cost_nusd = price_cost(kinds, p->request, r->tokens);
}

void book_clear(struct exchange *x)
{
    struct record *r = &x->rec;
    memset(r->tokens, 0, sizeof r->tokens);
    memset(r->price, 0, sizeof r->price);
    r->reasoning_tokens = 0;
    r->price_request = r->cost_nusd = 0;
    r->flags &= (uint8_t)~(RECORD_ESTIMATED | RECORD_FREE_PRICE);
}

uint64_t book_tokens(const struct record *r)
{
    uint64_t sum = 0;
    for (int i = 0; i < TOKEN_KINDS; i++) sum += r->tokens[i];
    return sum;
}

struct api_usage book_usage(const struct record *r)
{
    const uint32_t *t = r->tokens;
    return (struct api_usage){.present = true, .input = t[TOKEN_INPUT],
                              .cached = t[TOKEN_CACHED], .output = t[TOKEN_OUTPUT],
                              .audio_input = t[TOKEN_AUDIO_INPUT],
                              .audio_output = t[TOKEN_AUDIO_OUTPUT],
                              .reasoning = r->reasoning_tokens,
                              .cache_write = t[TOKEN_CACHE_WRITE],
                              .cache_write_1h = t[TOKEN_CACHE_WRITE_1H],
                              .image_input = t[TOKEN_IMAGE_INPUT]};
}

void book_progress(struct core *core, struct exchange *x)
{
    if (core->now_ns < x->progress_ns + PROGRESS_NS) return;
    x->progress_ns = core->now_ns;
    book_price(core, x);
    journal_update(core->journal, x->journal_slot, &x->rec);
}

size_t book_cost_text(int64_t nusd, char *out)
{
    assert(nusd >= 0);
    struct line l = {.out = out, .room = 31};
    line_uint(&l, (uint64_t)nusd / 1000000000, 1);
    line_bytes(&l, BYTES("."));
    line_uint(&l, (uint64_t)nusd % 1000000000, 9);
    while (out[l.len - 1] == '0') l.len--;
    if (out[l.len - 1] == '.') l.len--;
    out[l.len] = 0;
    return l.len;
}

static struct bytes padded(const char *text, size_t max)
{
    return (struct bytes){text, strnlen(text, max)};
}

/* The key's id; "-" where the request was refused before its key was known. */
static void key_text(const struct record *r, char out[STORE_ID_TEXT_MAX])
{
    if (r->path[UNIT_KEY]) store_id_text(r->path[UNIT_KEY], out);
    else memcpy(out, "-", 2);
}

static size_t line_text(const struct record *r, const struct addr *who, enum close_why why,
                        char *out, size_t room)
{
    struct line l = {.out = out, .room = room};
    char when[25], cost[32], key[STORE_ID_TEXT_MAX], client[ADDR_TEXT_MAX];
    log_time(r->admitted_unix_ns, when);
    key_text(r, key);
    line_bytes(&l, (struct bytes){when, 24});
    line_bytes(&l, BYTES(" "));
    line_bytes(&l, padded(r->request_id, sizeof r->request_id));
    LINE_UINT(&l, " ", r->status);
    line_bytes(&l, BYTES(" "));
    line_bytes(&l, bytes_of(close_name(why)));
    line_bytes(&l, BYTES(" key="));
    line_bytes(&l, bytes_of(key));
    line_bytes(&l, BYTES(" model="));
    line_bytes(&l, r->model[0] ? padded(r->model, sizeof r->model) : BYTES("-"));
    LINE_UINT(&l, " stream=", (r->flags & RECORD_STREAM) != 0);
    LINE_UINT(&l, " attempts=", r->attempts);
    LINE_UINT(&l, " in=", r->tokens[TOKEN_INPUT]);
    LINE_UINT(&l, " cached=", r->tokens[TOKEN_CACHED]);
    LINE_UINT(&l, " out=", r->tokens[TOKEN_OUTPUT]);
    line_bytes(&l, BYTES(" cost="));
    line_bytes(&l, (struct bytes){cost, book_cost_text(r->cost_nusd, cost)});
    LINE_UINT(&l, " ttft_ms=", r->ttft_us / 1000);
    LINE_UINT(&l, " duration_ms=", r->duration_us / 1000);
    line_bytes(&l, BYTES(" client="));
    line_bytes(&l, (struct bytes){client, addr_text(who, client)});
    return l.len;
}

static size_t line_json(const struct record *r, const struct addr *who, enum close_why why,
                        char *line, size_t room)
{
    char when[25], key[STORE_ID_TEXT_MAX], client[ADDR_TEXT_MAX];
    log_time(r->admitted_unix_ns, when);
    key_text(r, key);
    struct jsonw w;
    jsonw_init(&w, line, room);
    jsonw_object(&w);
    jsonw_key(&w, "time"), jsonw_text(&w, when);
    jsonw_key(&w, "request_id"), jsonw_string(&w, padded(r->request_id, sizeof r->request_id));
    jsonw_key(&w, "status"), jsonw_uint(&w, r->status);
    jsonw_key(&w, "close"), jsonw_text(&w, close_name(why));
    jsonw_key(&w, "key"), jsonw_text(&w, key);
    jsonw_key(&w, "model"), jsonw_string(&w, padded(r->model, sizeof r->model));
    jsonw_key(&w, "stream"), jsonw_bool(&w, (r->flags & RECORD_STREAM) != 0);
    jsonw_key(&w, "attempts"), jsonw_uint(&w, r->attempts);
    jsonw_key(&w, "input_tokens"), jsonw_uint(&w, r->tokens[TOKEN_INPUT]);
    jsonw_key(&w, "cached_tokens"), jsonw_uint(&w, r->tokens[TOKEN_CACHED]);
    jsonw_key(&w, "output_tokens"), jsonw_uint(&w, r->tokens[TOKEN_OUTPUT]);
    jsonw_key(&w, "cost_usd"), jsonw_fixed_text(&w, r->cost_nusd, 9);
    jsonw_key(&w, "ttft_ms"), jsonw_uint(&w, r->ttft_us / 1000);
    jsonw_key(&w, "duration_ms"), jsonw_uint(&w, r->duration_us / 1000);
    size_t len = addr_text(who, client);
    jsonw_key(&w, "client"), jsonw_string(&w, (struct bytes){client, len});
    jsonw_object_end(&w);
    return w.len;
}

static void write_line(struct core *core, const struct conf *conf, const struct record *r,
                       const struct addr *who, enum close_why why)
{
    if (conf->log_level < 2 || !core->log) return;
    char line[LINE_MAX];
    size_t len = conf->log_json ? line_json(r, who, why, line, sizeof line)
                                : line_text(r, who, why, line, sizeof line);
    if (!log_put(core->log, (struct bytes){line, len})) core_count(core, STAT_LOG_LOST);
}

static_assert(API_OUTCOME_LENGTH == 1 << SIGN_LENGTH &&
              API_OUTCOME_REFUSAL == 1 << SIGN_REFUSAL && API_OUTCOME_JSON == 1 << SIGN_JSON &&
              API_OUTCOME_ARGUMENTS == 1 << SIGN_TOOLS, "what learns has the same bits");

/* What the answer lacks, for those who learn of records: only of one that ended well, and not
 * that it ended where a budget had it end. */
static void note_outcome(struct exchange *x, enum close_why why)
{
    struct record *r = &x->rec;
    if (x->is_sse) r->outcome = (uint8_t)api_check_end(&x->check, x->notes.outcome);
    bool capped = x->spend.output_max > 0 && !x->spend.model_max;
    if (capped) r->outcome &= (uint8_t)~API_OUTCOME_LENGTH;
    if (why != CLOSE_DONE) r->outcome = 0;
}

/* ---- all that a request is billed */

static uint32_t tokens_sum(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

static int64_t cost_sum(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static struct api_usage usage_sum(const struct api_usage *a, const struct api_usage *b)
{
    struct api_usage sum = {.present = true};
    sum.input = tokens_sum(a->input, b->input);
    sum.cached = tokens_sum(a->cached, b->cached);
    sum.output = tokens_sum(a->output, b->output);
    sum.audio_input = tokens_sum(a->audio_input, b->audio_input);
    sum.audio_output = tokens_sum(a->audio_output, b->audio_output);
    sum.reasoning = tokens_sum(a->reasoning, b->reasoning);
    sum.cache_write = tokens_sum(a->cache_write, b->cache_write);
    sum.cache_write_1h = tokens_sum(a->cache_write_1h, b->cache_write_1h);
    sum.image_input = tokens_sum(a->image_input, b->image_input);
    return sum;
}

void book_add(struct billed *b, const struct record *r)
{
    assert(r->kind == RECORD_ATTEMPT && r->cost_nusd >= 0);
    struct api_usage usage = book_usage(r);
    b->usage = usage_sum(&b->usage, &usage);
    if (r->flags & RECORD_BEGAN) b->began = usage_sum(&b->began, &usage);
    b->tokens += book_tokens(r);
    b->cost_nusd = cost_sum(b->cost_nusd, r->cost_nusd);
    if (b->count < UINT8_MAX) b->count++;
}

struct api_usage book_all_usage(const struct exchange *x)
{
    struct api_usage own = book_usage(&x->rec);
    return x->billed.began.present ? usage_sum(&own, &x->billed.began) : own;
}

int64_t book_all_cost(const struct exchange *x)
{
    return cost_sum(x->rec.cost_nusd, x->billed.cost_nusd);
}

/* The line of x: with all that was billed. */
static void log_end(struct core *core, const struct exchange *x, enum close_why why)
{
    const struct conf *conf = x->tables->conf;
    if (x->billed.count == 0) {
        write_line(core, conf, &x->rec, &x->client, why);
        return;
    }
    struct record r = x->rec;
    struct api_usage own = book_usage(&r), all = usage_sum(&own, &x->billed.usage);
    r.tokens[TOKEN_INPUT] = all.input;
    r.tokens[TOKEN_CACHED] = all.cached;
    r.tokens[TOKEN_OUTPUT] = all.output;
    r.cost_nusd = book_all_cost(x);
    write_line(core, conf, &r, &x->client, why);
}

void book_end(struct core *core, struct exchange *x, enum close_why why, unsigned status)
{
    assert(!x->booked && why != CLOSE_NONE);
    assert(!x->lead);
    struct record *r = &x->rec;
    x->booked = true;
    r->kind = RECORD_REQUEST;
    r->status = (uint16_t)status;
    r->close = (uint16_t)why;
    r->attempts = x->attempts;
    r->fallbacks = x->attempts > 1 ? (uint8_t)(x->attempts - 1) : 0;
    uint64_t us = (core->now_ns - x->admitted_ns) / 1000;
    r->duration_us = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    if (x->billed.count > 0) r->flags |= RECORD_MORE;
    note_outcome(x, why);
    DEATH(before_record);
    learn_end(core, x);
    if (!x->no_row && !PLANT(lost_settle)) journal_end(core->journal, x->journal_slot, r);
    if (PLANT(double_end)) journal_end(core->journal, journal_begin(core->journal, r), r);
    DEATH(recorded);
    spend_settle(core, x, why);
    hedge_pay(core, x);
    observe_booked(core, x, why);
    stat_add(&core->stats.closes[why], 1);
    log_end(core, x, why);
}

/* A storm of handshakes must not flood the log: of those that fail, some a second have their
 * line; all are counted. */
static bool may_tell(struct core *core, enum close_why why)
{
    enum { LINES_S = 10 };
    bool handshake = why == CLOSE_TLS_FAILED || why == CLOSE_TLS_SLOW ||
                     why == CLOSE_TLS_PLAIN || why == CLOSE_TLS_MEMORY;
    if (!handshake) return true;
    uint64_t now_s = core->now_ns / 1000000000u;
    if (now_s != core->tls_told_s) core->tls_told = 0;
    core->tls_told_s = now_s;
    if (core->tls_told >= LINES_S) return false;
    core->tls_told++;
    return true;
}

void book_refused(struct core *core, struct conn *c, const char *id, enum close_why why)
{
    assert(why != CLOSE_NONE && why != CLOSE_DONE);
    stat_add(&core->stats.closes[why], 1);
    if (!core->log || !core->tables || !may_tell(core, why)) return;
    struct addr client = edge_client(core, c);
    struct record r = {.admitted_unix_ns = core->unix_ns, .close = (uint16_t)why};
    r.status = (uint16_t)close_status(why);
    memcpy(r.request_id, id, strnlen(id, sizeof r.request_id));
    write_line(core, core->tables->conf, &r, &client, why);
}
