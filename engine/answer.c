/* answer.c - see answer.h. The provider is as untrusted as the client: its head passes the same
 * strict codec, its body is read to the end its framing declares, and what is odd ends the
 * attempt and the connection. */
#include "engine/answer.h"
#include "engine/attempt.h"
#include "engine/book.h"
#include "engine/cascade.h"
#include "engine/conf.h"
#include "engine/conn.h"
#include "engine/core.h"
#include "engine/cors.h"
#include "engine/exchange.h"
#include "engine/reply.h"
#include "engine/stream.h"
#include "engine/tables.h"
#include "engine/translator.h"
#include "engine/twin.h"
#include "engine/upstream.h"
#include "net/http.h"
#include "net/jsonw.h"

#include <stdio.h>

enum {
    REFUSAL_MAX = MEM_BLOCK,       /* bytes kept of an error's body */
    WINDOW = 16384,                /* bytes copied at a time when an answer is edited */
    HEAD_ROOM = 1536,              /* our own fields of an answer's head */
    REFUSAL_TEXT_MAX = 512,
    TOGETHER_MAX = 2048,           /* a body of fewer bytes is copied behind its head, so that
                                      both leave in one piece */
};

bool answer_keep_lines(struct core *core, struct exchange *x, struct bytes lines)
{
    assert(x->kept.len >= x->theirs_at);
    x->kept.len = x->theirs_at;    /* those of an attempt before go */
    return gather_put(&core->mem, &x->kept, lines);
}

static struct bytes their_lines(const struct exchange *x)
{
    struct bytes all = gather_bytes(&x->kept);
    bytes_cut(&all, x->theirs_at);
    return all;
}

/* The client gets another form than the provider gave: the type is not the provider's. */
static void put_type(struct http_out *o, struct bytes type)
{
    struct bytes lines = {o->out, o->len}, name, value;
    size_t kept = 0;
    while (!o->full && lines.len > 0) {
        const char *line = lines.ptr;
        if (!http_field_next(&lines, &name, &value)) break;
        if (bytes_ieq(name, BYTES("content-type"))) continue;
        size_t len = (size_t)(lines.ptr - line);
        memmove(o->out + kept, line, len);
        kept += len;
    }
    assert(kept <= o->len);
    o->len = kept;
    http_out_field(o, BYTES("content-type"), type);
}

static void say_type(struct http_out *o, const struct exchange *x)
{
    if (x->is_sse && x->array) put_type(o, BYTES("application/json; charset=UTF-8"));
    else if (x->translated && x->is_sse) put_type(o, BYTES("text/event-stream; charset=utf-8"));
    else if (x->translated) put_type(o, BYTES("application/json"));
}

enum attempt_end answer_keep(struct core *core, struct exchange *x,
                             const struct http_head *head)
{
    struct http_out o = {.out = core->text, .room = CORE_SCRATCH};
    struct bytes id = head->field[HTTP_X_REQUEST_ID];
    if (!id.ptr) id = head->field[HTTP_REQUEST_ID];
    http_out_pass(&o, head);
    cors_strip(&o, x);
    say_type(&o, x);
    if (id.ptr) {
        http_out_text(&o, BYTES("x-upstream-request-id: "));
        http_out_text(&o, id);
        http_out_text(&o, BYTES("\r\n"));
    }
    core_text_put(core, o.len);
    if (o.full || x->theirs_at + o.len > MEM_BLOCK) return ATTEMPT_LARGE;
    bool kept = answer_keep_lines(core, x, (struct bytes){o.out, o.len});
    return kept ? ATTEMPT_GOOD : ATTEMPT_NO_ROOM;
}

/* Compose the head of the client's answer into o. */
static void put_head(struct core *core, struct exchange *x, struct http_out *o,
                     unsigned status, uint64_t length, int64_t cost_nusd)
{
    struct conn *c = x->c;
    reply_begin(o, core, status);
    http_out_text(o, their_lines(x));
    if (length != UINT64_MAX) {
        http_out_text(o, BYTES("content-length: "));
        http_out_digits(o, length, 1);
        http_out_text(o, BYTES("\r\n"));
    } else if (!x->http10) {
        http_out_text(o, BYTES("transfer-encoding: chunked\r\n"));
    } else {
        c->close_after = true;
    }
    reply_fields(o, core, x, NULL);
    cors_put(o, core, c, x);
    if (cost_nusd >= 0) {
        char cost[32];
        http_out_text(o, BYTES("x-weir-cost-usd: "));
        http_out_text(o, (struct bytes){cost, book_cost_text(cost_nusd, cost)});
        http_out_text(o, BYTES("\r\n"));
    }
    reply_end(o, conn_stays(core, c));
}

/* The head is queued. */
static void head_queued(struct core *core, struct exchange *x, unsigned status)
{
    x->head_sent = x->c->answered = true;
    x->shown = (uint16_t)status;
    x->sse_head = x->is_sse;
    conn_dirty(core, x->c);
}

bool answer_head(struct core *core, struct exchange *x, unsigned status, uint64_t length,
                 int64_t cost_nusd)
{
    struct conn *c = x->c;
    assert(!x->head_sent && c);
    size_t want = HEAD_ROOM + their_lines(x).len;
    if (length < TOGETHER_MAX) want += (size_t)length;
    if (x->cors) want += CORS_FIELDS_MAX;
    char *room = want > MEM_BLOCK ? NULL : chain_room(&core->mem, &c->out, want);
    if (!room) return false;
    struct http_out o = {.out = room, .room = want};
    put_head(core, x, &o, status, length, cost_nusd);
    if (o.full) return false;
    chain_fill(&core->mem, &c->out, o.len);
    head_queued(core, x, status);
    return true;
}

/* Head and held body where the body lies, when it came whole in one receive buffer. False, and
 * nothing was queued: it did not. */
static bool send_in_place(struct core *core, struct exchange *x)
{
    assert(!x->head_sent && x->c);
    if (x->answer.count != 1) return false;
    struct http_out o = {.out = core->text, .room = CORE_SCRATCH};
    put_head(core, x, &o, x->status, x->answer.bytes, book_all_cost(x));
    core_text_put(core, o.len);
    struct bytes head = {o.out, o.len};
    if (o.full || !chain_front(&core->mem, &x->c->out, &x->answer, 0, head)) return false;
    chain_drop(&core->mem, &x->answer);
    head_queued(core, x, x->status);
    return true;
}

bool answer_body(struct core *core, struct exchange *x, struct bytes b)
{
    struct chain *out = &x->c->out;
    char line[CHUNK_LINE_MAX];
    if (b.len == 0) return true;
    conn_dirty(core, x->c);
    if (x->http10) return chain_copy(&core->mem, out, b);
    const struct bytes chunk[] = {{line, chunk_line(b.len, line)}, b, BYTES("\r\n")};
    return chain_copy_all(&core->mem, out, chunk, COUNT(chunk));
}

bool answer_end(struct core *core, struct exchange *x)
{
    conn_dirty(core, x->c);
    return x->http10 || chain_copy(&core->mem, &x->c->out, BYTES("0\r\n\r\n"));
}

void answer_complete(struct core *core, struct exchange *x, bool drain)
{
    book_price(core, x);
    book_end(core, x, CLOSE_DONE, x->shown);
    if (!answer_end(core, x)) x->c->close_after = true;
    exchange_finish(core, x, drain);
}

/* --- whole answers --- */

/* Begin reading an answer with all that is checked of it. */
static void begin_full(struct exchange *x, struct api_answer_reader *r)
{
    api_answer_begin(r, x->peer);
    if (!api_check_wants(&x->check)) return;
    api_check_again(&x->check);
    api_answer_check(r, &x->check);
}

/* Read the held answer; brief: without counting its text. False: it is not JSON. */
static bool read_held(struct core *core, struct exchange *x, bool brief)
{
    static_assert(sizeof(struct api_answer_reader) <= CORE_SCRATCH, "fits the scratch");
    struct api_answer_reader *r = (void *)core->text;
    core_text_put(core, sizeof *r);
    if (brief) api_answer_begin_brief(r, x->peer);
    else begin_full(x, r);
    uint32_t at = x->answer.first, left = x->answer.count;
    struct bytes piece;
    while (chain_next(&core->mem, &at, &left, &piece)) {
        if (api_answer_feed(r, piece) == NET_BAD) return false;
    }
    if (api_answer_end(r) != NET_DONE) return false;
    x->usage = r->ans.usage;
    x->text_bytes = r->ans.text_bytes;
    x->finished = !r->ans.error;
    x->rec.outcome = r->ans.outcome;
    return true;
}

/* Sound says nothing of itself, nor does a transcript that is not JSON. */
static bool is_mute(const struct exchange *x)
{
    struct bytes lines = their_lines(x), name, value;
    if (x->api == API_SPEECH) return true;
    if (!api_is_upload((enum api)x->api)) return false;
    while (http_field_next(&lines, &name, &value)) {
        if (!bytes_ieq(name, BYTES("content-type"))) continue;
        value.len = bytes_find(value, ';');
        return !bytes_ieq(bytes_trim(value), BYTES("application/json"));
    }
    return false;
}

static bool take_mute(struct core *core, struct exchange *x)
{
    struct api_answer_reader *r = (void *)core->text;
    core_text_put(core, sizeof *r);
    memset(&r->ans, 0, sizeof r->ans);
    x->usage = (struct api_usage){0};
    x->text_bytes = 0;
    x->finished = true;
    return true;
}

/* The text is looked at only where something of it is checked, or where the provider's usage
 * does not stand, or says that there is none. */
static bool read_answer(struct core *core, struct exchange *x)
{
    if (is_mute(x)) return take_mute(core, x);
    if (cascade_holds(x) || api_check_wants(&x->check)) return read_held(core, x, false);
    if (!read_held(core, x, true)) return false;
    bool textless = api_is_textless((enum api)x->api);
    bool said = x->usage.output > 0 || x->usage.audio_output > 0 || textless;
    return (said && book_usage_stands(x)) || read_held(core, x, false);
}

/* Where the answer's usage object ends, for the cost to be put in; 0: none. */
static uint64_t usage_end(const struct core *core)
{
    const struct api_answer_reader *r = (const void *)core->text;
    return r->ans.usage_at.end;
}

static bool copy_range(struct core *core, struct exchange *x, uint64_t from, uint64_t to)
{
    while (from < to) {
        size_t n = to - from < WINDOW ? (size_t)(to - from) : WINDOW;
        char *room = chain_room(&core->mem, &x->c->out, n);
        if (!room) return false;
        chain_read(&core->mem, &x->answer, from, room, n);
        chain_fill(&core->mem, &x->c->out, n);
        from += n;
    }
    return true;
}

/* Body with `,"cost":0.0001` before the end of usage (OpenRouter's usage: {include: true}). */
static bool send_with_cost(struct core *core, struct exchange *x, uint64_t end)
{
    char cost[32], member[64];
    (void)book_cost_text(book_all_cost(x), cost);
    int n = snprintf(member, sizeof member, ",\"cost\":%s", cost);
    uint64_t length = x->answer.bytes + (uint64_t)n;
    if (!answer_head(core, x, x->status, length, book_all_cost(x))) return false;
    return copy_range(core, x, 0, end - 1) &&
           chain_copy(&core->mem, &x->c->out, (struct bytes){member, (size_t)n}) &&
           copy_range(core, x, end - 1, x->answer.bytes);
}

static void send_whole(struct core *core, struct exchange *x, uint64_t usage_at)
{
    bool ok;
    if (x->want_cost && usage_at > 1 && x->usage.present) {
        ok = send_with_cost(core, x, usage_at);
    } else if (send_in_place(core, x)) {
        ok = true;
    } else {
        ok = answer_head(core, x, x->status, x->answer.bytes, book_all_cost(x));
        if (ok && x->answer.bytes < TOGETHER_MAX) ok = copy_range(core, x, 0, x->answer.bytes);
        else if (ok) chain_move(&core->mem, &x->c->out, &x->answer);
    }
    if (!ok) x->c->close_after = true;
    exchange_finish(core, x, false);
}

/* What the provider said, in the client's dialect. Its page is the only place that knows how
 * the client asked, so an answer that does not fit is no other candidate's fault. */
static void send_translated(struct core *core, struct exchange *x)
{
    struct chain said = {0};
    if (!translator_whole(core, x, &said)) {
        core_count(core, STAT_NO_MEMORY);
        if (!x->cascade.parked) {
            attempt_failed(core, x, ATTEMPT_NO_ROOM, 0, 0);
            return;
        }
        twin_wins(core, x, CLOSE_NOT_NEEDED);      /* it was tried: only memory lacks */
        exchange_fail(core, x, CLOSE_OVERLOADED, "out of memory", NULL);
        return;
    }
    attempt_good(core, x);
    twin_wins(core, x, CLOSE_HEDGE_LOST);
    book_end(core, x, CLOSE_DONE, x->status);
    if (answer_head(core, x, x->status, said.bytes, book_all_cost(x))) {
        chain_move(&core->mem, &x->c->out, &said);
    } else {
        x->c->close_after = true;
        chain_drop(&core->mem, &said);
    }
    exchange_finish(core, x, false);
}

void answer_deliver(struct core *core, struct exchange *x, uint64_t usage_at)
{
    x->rec.ttft_us = (uint32_t)((core->now_ns - x->admitted_ns) / 1000);
    book_price(core, x);
    if (x->translated) {
        send_translated(core, x);
        return;
    }
    attempt_good(core, x);
    twin_wins(core, x, CLOSE_HEDGE_LOST);
    book_end(core, x, CLOSE_DONE, x->status);
    send_whole(core, x, usage_at);
}

static void whole_done(struct core *core, struct exchange *x)
{
    /* on_head() takes no whole answer where a stream has begun; a twin's lead may have begun it
     * since. */
    bool empty = x->answer.bytes == 0;
    if (empty || twin_head_sent(x)) {
        attempt_failed(core, x, empty ? ATTEMPT_EMPTY : ATTEMPT_PROTOCOL, 0, 0);
        return;
    }
    if (!read_answer(core, x)) {
        attempt_failed(core, x, ATTEMPT_NOT_JSON, x->status, 0);
        return;
    }
    uint64_t usage_at = usage_end(core);
    const struct api_answer_reader *r = (const void *)core->text;
    if (r->ans.error) {                 /* 200 with an error body */
        attempt_failed(core, x, ATTEMPT_ERROR_EVENT, 0, 0);
        return;
    }
    if (cascade_holds(x) && !cascade_takes(core, x, usage_at)) return;
    answer_deliver(core, x, usage_at);
}

/* --- refusals --- */

static bool holds(const struct core *core, const struct chain *chain, struct bytes word)
{
    char window[4096 + 64];
    for (uint64_t from = 0; from < chain->bytes; from += 4096) {
        uint64_t left = chain->bytes - from;
        size_t n = left < sizeof window ? (size_t)left : sizeof window;
        chain_read(&core->mem, chain, from, window, n);
        if (memmem(window, n, word.ptr, word.len)) return true;
    }
    return false;
}

static bool context_length(const struct core *core, const struct exchange *x)
{
    return holds(core, &x->answer, BYTES("context_length_exceeded")) ||
           holds(core, &x->answer, BYTES("maximum context length")) ||
           holds(core, &x->answer, BYTES("context window")) ||
           holds(core, &x->answer, BYTES("prompt is too long")) ||
           holds(core, &x->answer, BYTES("exceeds the maximum number of tokens"));
}

/* Gemini and who follows it say in the body what others say in Retry-After. */
static void read_retry_info(struct core *core, struct exchange *x)
{
    static_assert((int)REFUSAL_MAX <= (int)CORE_SCRATCH, "a refusal fits the scratch");
    if (x->retry_ms || (x->status != 429 && x->status != 503)) return;
    size_t n = (size_t)x->answer.bytes;
    assert(n <= REFUSAL_MAX);
    core_text_put(core, n);
    chain_read(&core->mem, &x->answer, 0, core->text, n);
    x->retry_ms = (uint32_t)attempt_retry_info_ms((struct bytes){core->text, n});
}

/* Does a provider's text repeat the key it was asked with? */
static bool quotes_key(const struct exchange *x, const char *text)
{
    const struct catalog *c = x->tables->catalog;
    const struct catalog_provider *p = &c->provider[c->model[x->model].provider];
    return p->key_count > 0 && strstr(text, p->key[x->key]);
}

/* A refusal in the client's form of errors, with the provider's sentence. */
static void refuse_translated(struct core *core, struct exchange *x)
{
    char text[REFUSAL_TEXT_MAX];
    const struct api_answer_reader *r = (const void *)core->text;
    const char *id = x->tables->catalog->model[x->model].id;
    bool read = read_held(core, x, true), more = read && r->ans.error_text[0] &&
                !quotes_key(x, r->ans.error_text);
    bool is_long = context_length(core, x);
    /* the words that agents look for to shorten what they send */
    (void)snprintf(text, sizeof text, "%s%s refused the request%s%s",
                   is_long ? "prompt is too long: " : "", id, more ? ": " : "",
                   more ? r->ans.error_text : "");
    enum close_why why = is_long ? CLOSE_CONTEXT_LONG : CLOSE_UPSTREAM_REFUSED;
    book_end(core, x, why, close_status(why));
    reply_error(core, x->c, x, NULL, why, text, NULL);
    exchange_finish(core, x, false);
}

static void refusal_done(struct core *core, struct exchange *x)
{
    read_retry_info(core, x);
    bool theirs = (x->status == 400 || x->status == 422) && !cascade_holds(x);
    bool last = x->plan_next >= x->plan_count && !x->twins;
    if (theirs && context_length(core, x) && !last) theirs = false;
    /* A twin's is nobody's answer while its lead may have a better one. */
    if (!theirs || x->lead || x->head_sent || x->answer.bytes == 0) {
        attempt_failed(core, x, ATTEMPT_STATUS, x->status, x->retry_ms);
        return;
    }
    attempt_good(core, x);
    twin_wins(core, x, CLOSE_NOT_NEEDED);
    x->rec.cost_nusd = 0;
    if (x->translated) {
        refuse_translated(core, x);
        return;
    }
    book_end(core, x, CLOSE_UPSTREAM_REFUSED, x->status);
    bool ok = answer_head(core, x, x->status, x->answer.bytes, book_all_cost(x));
    if (ok) chain_move(&core->mem, &x->c->out, &x->answer);
    else x->c->close_after = true;
    exchange_finish(core, x, false);
}

/* --- large answers: relayed as they arrive --- */

static bool relay_begin(struct core *core, struct exchange *x)
{
    char *block;
    static_assert(sizeof(struct api_answer_reader) <= MEM_BLOCK, "fits a block");
    cascade_unchecked(x);
    twin_wins(core, x, CLOSE_HEDGE_LOST);
    if (!answer_head(core, x, x->status, UINT64_MAX, -1)) return false;
    if (!is_mute(x) && mem_bulk_take(&core->mem, &x->answer_block, &block)) {
        x->answer_reader = (void *)block;
        begin_full(x, x->answer_reader);
    }
    attempt_good(core, x);
    x->rec.ttft_us = (uint32_t)((core->now_ns - x->admitted_ns) / 1000);
    x->state = X_RELAY;
    exchange_release_request(core, x);
    return true;
}

static bool relay_piece(struct core *core, struct exchange *x, struct bytes piece)
{
    if (x->answer_reader && api_answer_feed(x->answer_reader, piece) == NET_BAD) {
        mem_block_give(&core->mem, x->answer_block, sizeof *x->answer_reader);
        x->answer_reader = NULL;  /* not JSON after all: our own count stands in */
    }
    return answer_body(core, x, piece);
}

static bool relay_held(struct core *core, struct exchange *x)
{
    uint32_t at = x->answer.first, left = x->answer.count;
    struct bytes piece;
    bool ok = relay_begin(core, x);
    while (ok && chain_next(&core->mem, &at, &left, &piece)) ok = relay_piece(core, x, piece);
    if (x->state == X_RELAY) chain_drop(&core->mem, &x->answer);
    return ok;
}

/* A close is an end only where the text is complete: a close-delimited answer that was cut off
 * looks like one that ended (RFC 9112 section 8). What is no JSON at all has no reader. */
static void relay_done(struct core *core, struct exchange *x)
{
    if (x->answer_reader && api_answer_end(x->answer_reader) != NET_DONE) {
        stream_break(core, x, CLOSE_UPSTREAM_BROKE, NULL);
        return;
    }
    if (x->answer_reader) {
        x->usage = x->answer_reader->ans.usage;
        x->text_bytes = x->answer_reader->ans.text_bytes;
        x->rec.outcome = x->answer_reader->ans.outcome;
    }
    answer_complete(core, x, false);
}

/* --- pieces --- */

static bool hold_piece(struct core *core, struct exchange *x, struct bytes piece, uint32_t buf)
{
    const struct conf *conf = x->tables->conf;
    bool refusal = x->status >= 300;
    if (refusal && x->answer.bytes + piece.len > REFUSAL_MAX) {
        piece.len = REFUSAL_MAX > x->answer.bytes ? REFUSAL_MAX - (size_t)x->answer.bytes : 0;
    }
    bool whole = x->framing == HTTP_LENGTH && x->left == 0 && x->answer.count == 0;
    if (!chain_add(&core->mem, &x->answer, piece, buf, whole)) {
        attempt_failed(core, x, ATTEMPT_LARGE, x->status, 0);
        return false;
    }
    bool held = refusal || x->translated;      /* however large */
    if (held || x->answer.bytes <= conf->limit_hold) return true;
    if (twin_head_sent(x)) {           /* as in whole_done() */
        attempt_failed(core, x, ATTEMPT_PROTOCOL, 0, 0);
        return false;
    }
    if (relay_held(core, x)) return true;
    if (x->state != X_RELAY) {
        attempt_failed(core, x, ATTEMPT_NO_ROOM, x->status, 0);
        return false;
    }
    stream_break(core, x, CLOSE_OVERLOADED, "out of memory");
    return false;
}

bool answer_piece(struct core *core, struct exchange *x, struct bytes piece, uint32_t buf)
{
    const struct conf *conf = x->tables->conf;
    x->answer_bytes += piece.len;
    if (x->is_sse) return stream_feed(core, x, piece);
    x->wait_ns = core->now_ns + x->stall_ns;
    if (x->answer_bytes > conf->limit_answer) {
        if (x->state == X_RELAY) stream_break(core, x, CLOSE_ANSWER_LARGE, NULL);
        else attempt_failed(core, x, ATTEMPT_LARGE, x->status, 0);
        return false;
    }
    if (x->state != X_RELAY) return hold_piece(core, x, piece, buf);
    if (relay_piece(core, x, piece)) {
        if (x->c->out.bytes > CORE_HELD_MAX) upstream_pause(core, x->u, true);
        return true;
    }
    stream_break(core, x, CLOSE_OVERLOADED, "out of memory");
    return false;
}

void answer_done(struct core *core, struct exchange *x)
{
    if (x->is_sse) stream_end(core, x, true);
    else if (x->status >= 300) refusal_done(core, x);
    else if (x->state == X_RELAY) relay_done(core, x);
    else whole_done(core, x);
}
