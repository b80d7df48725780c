/* exchange.c - one request's life.
 *   READ -> (QUEUE) -> ASK -> HOLD | WAIT -> RELAY -> (DRAIN) -> DONE -> slot returned
 * QUEUE, ASK, HOLD and WAIT may begin again with the next candidate; RELAY only where that one
 * goes on with what the client has (resume.h). A DONE exchange keeps its memory until the
 * connections that may still read it have closed. */
#include "engine/exchange.h"
#include "engine/answer.h"
#include "engine/attempt.h"
#include "engine/big.h"
#include "engine/book.h"
#include "engine/cascade.h"
#include "engine/conf.h"
#include "engine/compose.h"
#include "engine/conn.h"
#include "engine/core.h"
#include "engine/cors.h"
#include "engine/dialect.h"
#include "engine/edge.h"
#include "engine/endpoint.h"
#include "engine/engine.h"
#include "engine/hedge.h"
#include "engine/path.h"
#include "engine/reply.h"
#include "engine/resume.h"
#include "engine/stream.h"
#include "engine/tables.h"
#include "engine/translator.h"
#include "engine/twin.h"
#include "engine/upstream.h"
#include "net/http.h"
#include "store/db.h"
#include "store/maybe.h"

#include <stdio.h>

enum {
    INTERIM_MAX = 16,              /* 1xx heads swallowed per attempt */
    DRAIN_NS = 1000000000,
    PING_S = 15,
};

struct exchange *exchange_open(struct core *core, struct conn *c, const struct http_head *head,
                               const struct path *path)
{
    struct exchange *x = slab_take(&core->exchanges);
    if (!x) return NULL;
    x->api = x->peer = path->api;
    if (!compose_keep(core, x, head, path)) {
        slab_give(&core->exchanges, x);
        return NULL;
    }
    x->timer.kind = TIMER_EXCHANGE;
    x->c = c;
    x->state = X_READ;
    x->tables = core->tables;
    tables_pin(x->tables, core->idx);
    x->client = edge_client(core, c);
    if (head->field[HTTP_ORIGIN].ptr) x->cors = cors_find(x->tables->conf, head->fields);
    x->http10 = c->http10;
    x->admitted_ns = core->now_ns;
    x->rec.version = 1;
    x->rec.admitted_unix_ns = core->unix_ns;
    x->rec.exchange_id = core->engine->db->boot << 48 | (uint64_t)core->idx << 40 |
                         (core->exchange_serial++ & 0xffffffffff);
    core_count(core, STAT_EXCHANGES);
    core_count(core, STAT_EXCHANGES_OPEN);
    return x;
}

void exchange_keep(struct exchange *x) { x->refs++; }

void exchange_drop(struct core *core, struct exchange *x)
{
    (void)core;
    assert(x->refs > 0);
    x->refs--;
}

void exchange_set_timer(struct core *core, struct exchange *x)
{
    uint64_t at = x->deadline_ns;
    if (x->until_ns && (!at || x->until_ns < at)) at = x->until_ns;
    if (x->wait_ns && (!at || x->wait_ns < at)) at = x->wait_ns;
    if (x->ping_ns && (!at || x->ping_ns < at)) at = x->ping_ns;
    if (x->hedge_ns && (!at || x->hedge_ns < at)) at = x->hedge_ns;
    if (at) timer_arm(&core->timers, &x->timer, at);
    else timer_disarm(&core->timers, &x->timer);
}

void exchange_keep_awake(const struct core *core, struct exchange *x)
{
    if (x->ping_ns || !x->stream || !dialect_takes_comments((enum api)x->api)) return;
    if (x->lead) return;               /* which does */
    uint64_t from = resume_goes_on(x) ? core->now_ns : x->admitted_ns;
    uint64_t first = from + PING_S * 1000000000ull;
    x->ping_ns = first > core->now_ns ? first : core->now_ns + 1;
}

static void drop_readers(struct core *core, struct exchange *x)
{
    struct mem *m = &core->mem;
    if (x->reader) mem_block_give(m, x->reader_block, sizeof *x->reader);
    if (x->answer_reader) mem_block_give(m, x->answer_block, sizeof *x->answer_reader);
    x->reader = NULL;
    x->answer_reader = NULL;
    big_drop(core, x);
}

bool exchange_keep_request(struct core *core, struct exchange *x,
                           const struct api_request *r)
{
    enum { ALIGN = 16 };
    size_t bytes = offsetof(struct api_request, pool) + r->pool_len;
    char *room = gather_room(&core->mem, &x->kept, bytes + ALIGN);
    if (!room) return false;
    uint32_t pad = (ALIGN - x->kept.len % ALIGN) % ALIGN;
    struct api_request *kept = (void *)(room + pad);
    memset(room, 0, pad);
    memcpy((void *)kept, r, bytes);
    if (r->model.len) x->model_at = (uint32_t)(r->model.ptr - r->pool);
    x->req_at = x->kept.len + pad;
    gather_fill(&x->kept, pad + bytes);
    x->theirs_at = x->kept.len;
    return true;
}

const struct api_request *exchange_request(const struct exchange *x)
{
    assert(x->theirs_at > x->req_at);
    struct api_request *kept = (void *)(x->kept.ptr + x->req_at);
    if (kept->model.len) kept->model.ptr = kept->pool + x->model_at;
    return kept;
}

void exchange_release_request(struct core *core, struct exchange *x)
{
    if (x->refs > 0 || !x->sent) return;  /* a closing connection may still send from it */
    if (resume_needs_request(core, x)) return;
    chain_drop(&core->mem, &x->body);
    gather_drop(&core->mem, &x->kept);
    x->req_at = x->theirs_at = x->was_bytes = 0;
}

void exchange_retire(struct core *core, struct exchange *x)
{
    assert(x->state != X_DONE && x->booked && !x->twins);
    x->state = X_DONE;
    timer_disarm(&core->timers, &x->timer);
    room_leave(core, x, false);
    if (x->u && !PLANT(missed_cancel)) upstream_close(core, x->u);
    x->u = NULL;
    endpoint_leave(core, x, book_tokens(&x->rec));
    x->next_dead = core->dead_exchanges;
    core->dead_exchanges = x;
}

void exchange_reap_all(struct core *core)
{
    struct exchange **at = &core->dead_exchanges;
    while (*at) {
        struct exchange *x = *at;
        if (x->refs > 0) {
            at = &x->next_dead;
            continue;
        }
        *at = x->next_dead;
        drop_readers(core, x);
        gather_drop(&core->mem, &x->up_head);
        gather_drop(&core->mem, &x->tail);
        chain_drop(&core->mem, &x->answer);
        cascade_forget(core, x);
        translator_drop(core, x);     /* may borrow from the body */
        resume_drop(core, x);
        chain_drop(&core->mem, &x->body);
        gather_drop(&core->mem, &x->kept);
        tables_unpin(x->tables, core->idx);
        core_uncount(core, STAT_EXCHANGES_OPEN);
        if (core->limits.wipe) memset(&x->notes, 0, sizeof x->notes);  /* a provider's words */
        slab_give(&core->exchanges, x);
    }
}

void exchange_finish(struct core *core, struct exchange *x, bool drain)
{
    struct conn *c = x->c;
    assert(!x->lead && !x->twins);
    x->c = NULL;
    if (c) conn_answered(core, c);
    if (!drain || !x->u) {
        exchange_retire(core, x);
        return;
    }
    x->state = X_DRAIN;
    x->ping_ns = 0;
    x->wait_ns = core->now_ns + DRAIN_NS;
    exchange_set_timer(core, x);
}

void exchange_fail(struct core *core, struct exchange *x, enum close_why why, const char *text,
                   const char *param)
{
    assert(!x->booked && !x->lead);
    twin_end_all(core, x, CLOSE_NOT_NEEDED);
    endpoint_void(core, x);
    bool owes = x->state == X_RELAY || x->cascade.parked;      /* an answer, or half of one */
    if (!owes) book_clear(x);
    if (x->head_sent) {                 /* keep-awake comments went out before */
        stream_break(core, x, why, text);
        return;
    }
    if (x->attempts == 0) memset(x->rec.model, 0, sizeof x->rec.model);
    book_end(core, x, why, close_status(why));
    reply_error(core, x->c, x, NULL, why, text, param);
    exchange_finish(core, x, false);
}

bool exchange_owes(const struct exchange *x)
{
    bool answering = x->state == X_ASK || x->state == X_WAIT || x->state == X_HOLD;
    bool told = x->sent || x->cascade.parked;
    return x->state == X_RELAY || (answering && told && x->status < 300);
}

void exchange_gone(struct core *core, struct exchange *x, enum close_why why)
{
    assert(!x->lead);
    x->c = NULL;
    twin_end_all(core, x, why);
    endpoint_void(core, x);
    /* What the provider generated and will bill is booked as an estimate. */
    if (exchange_owes(x)) {
        book_price(core, x);
        if (!x->cascade.parked) x->rec.flags |= RECORD_ESTIMATED;
    }
    if (!x->booked) book_end(core, x, why, 499);
    exchange_retire(core, x);
}

void exchange_end_all(struct core *core)
{
    for (uint32_t i = 0; i < core->exchanges.touched; i++) {
        struct exchange *x = (struct exchange *)(void *)slab_at(&core->exchanges, i);
        if (!x->head.taken || x->state == X_DONE || x->lead) continue;
        endpoint_void(core, x);
        if (x->state == X_DRAIN) exchange_retire(core, x);
        else if (x->state == X_RELAY) stream_break(core, x, CLOSE_KILLED, NULL);
        else exchange_fail(core, x, CLOSE_KILLED, NULL, NULL);
    }
}

/* --- the provider's head --- */

static bool type_is(struct bytes value, struct bytes type)
{
    value.len = bytes_find(value, ';');
    return bytes_ieq(bytes_trim(value), type);
}

/* Take the answer's head over. False: the attempt ended. */
static bool on_head(struct core *core, struct exchange *x, const struct http_head *h)
{
    struct bytes encoding = h->field[HTTP_CONTENT_ENCODING];
    if (encoding.len && !bytes_ieq(encoding, BYTES("identity"))) {
        attempt_failed(core, x, ATTEMPT_ENCODED, h->status, 0);
        return false;
    }
    struct bytes type = h->field[HTTP_CONTENT_TYPE], after = h->field[HTTP_RETRY_AFTER];
    uint32_t full_ms = endpoint_heard(core, x, h);
    x->retry_ms = after.ptr ? (uint32_t)attempt_retry_ms(after, core->unix_ns) : 0;
    if (x->retry_ms == 0) x->retry_ms = full_ms;
    bool good = h->status >= 200 && h->status < 300;
    x->status = h->status;
    x->framing = (uint8_t)h->framing;
    x->left = h->framing == HTTP_LENGTH ? h->content_length : 0;
    x->up_keep = h->keep_alive;
    x->is_binary = good && x->peer == API_CONVERSE &&
                   type_is(type, BYTES("application/vnd.amazon.eventstream"));
    x->is_sse = x->is_binary || (good && type_is(type, BYTES("text/event-stream")));
    enum attempt_end kept = answer_keep(core, x, h);
    gather_drop(&core->mem, &x->up_head);       /* from here on h's slices mean nothing */
    if (kept != ATTEMPT_GOOD) {
        attempt_failed(core, x, kept, 0, 0);
        return false;
    }
    bool other = x->translated && x->is_sse != x->stream;
    other = other || (x->is_sse && api_is_textless((enum api)x->api));  /* never asked for */
    /* no stream, where one has begun; or another form than was asked for */
    if (good && (other || (!x->is_sse && twin_head_sent(x)))) {
        attempt_failed(core, x, ATTEMPT_PROTOCOL, 0, 0);
        return false;
    }
    x->state = x->is_sse ? X_WAIT : X_HOLD;
    if (x->is_sse && x->translated) translator_begin(core, x);
    x->wait_ns = core->now_ns + x->stall_ns;
    return true;
}

/* Read the head that begins in *in or in what was gathered before it, and cut it off *in.
 * False: the attempt ended, or all of *in was gathered. */
static bool read_head(struct core *core, struct exchange *x, struct bytes *in,
                      struct http_head *h)
{
    const struct conf *conf = x->tables->conf;
    size_t before = x->up_head.len, scanned = before > 3 ? before - 3 : 0;
    size_t max = conf->limit_header < MEM_BLOCK ? (size_t)conf->limit_header : MEM_BLOCK;
    if (before == 0 && http_response(*in, false, h) == NET_OK && h->bytes <= max) {
        bytes_cut(in, h->bytes);  /* the usual case: parsed where it was received */
        return true;
    }
    size_t take = in->len < max - before ? in->len : max - before;
    if (!gather_put(&core->mem, &x->up_head, (struct bytes){in->ptr, take})) {
        attempt_failed(core, x, ATTEMPT_NO_ROOM, 0, 0);
        return false;
    }
    struct bytes all = gather_bytes(&x->up_head);
    if (http_head_end(all, &scanned) != NET_OK) {
        bytes_cut(in, take);
        if (x->up_head.len >= max) attempt_failed(core, x, ATTEMPT_PROTOCOL, 0, 0);
        return false;
    }
    bytes_cut(in, scanned - before);
    if (http_response((struct bytes){all.ptr, scanned}, false, h) == NET_OK) return true;
    attempt_failed(core, x, ATTEMPT_PROTOCOL, 0, 0);
    return false;
}

/* Head bytes: true when the body may follow in *in; false when the attempt ended or more is
 * needed (then *in is empty). */
static bool feed_head(struct core *core, struct exchange *x, struct bytes *in)
{
    struct http_head h;
    for (;;) {
        if (!read_head(core, x, in, &h)) return false;
        if (h.status == 101 || (h.status < 200 && ++x->interim > INTERIM_MAX)) {
            attempt_failed(core, x, ATTEMPT_PROTOCOL, 0, 0);
            return false;
        }
        if (h.status >= 200) return on_head(core, x, &h);
        gather_drop(&core->mem, &x->up_head);   /* RFC 9110 section 15.2: interim, swallowed */
        if (in->len == 0) return false;
    }
}

/* --- its body --- */

/* The provider's message is complete: what follows on the connection is not ours. */
static void message_done(struct core *core, struct exchange *x, bool more_bytes)
{
    struct upstream *u = x->u;
    bool keep = x->up_keep && !more_bytes && x->sent && x->framing != HTTP_UNTIL_CLOSE;
    if (keep) {
        x->u = NULL;
        upstream_give(core, u);
    }
    if (x->state == X_DRAIN) {
        exchange_retire(core, x);
        return;
    }
    answer_done(core, x);
    /* answer_done() may have begun another attempt on another connection; the old one: */
    if (!keep) upstream_close(core, u);
}

static bool feed_length(struct core *core, struct exchange *x, struct bytes *in, uint32_t buf)
{
    size_t n = in->len < x->left ? in->len : (size_t)x->left;
    struct bytes piece = bytes_cut(in, n);
    x->left -= n;
    if (piece.len && x->state != X_DRAIN && !answer_piece(core, x, piece, buf)) return false;
    if (x->left > 0) return true;
    message_done(core, x, in->len > 0);
    return false;
}

static bool feed_chunked(struct core *core, struct exchange *x, struct bytes *in, uint32_t buf)
{
    while (in->len > 0) {
        struct bytes piece;
        enum net_rc rc = chunk_next(&x->chunk, in, &piece);
        if (rc == NET_MORE) return true;
        if (rc == NET_OK) {
            if (x->state != X_DRAIN && !answer_piece(core, x, piece, buf)) return false;
        } else if (rc == NET_DONE) {
            message_done(core, x, in->len > 0);
            return false;
        } else {
            struct upstream *u = x->u;
            upstream_close(core, u);
            exchange_on_broken(core, x, u, ATTEMPT_PROTOCOL);
            return false;
        }
    }
    return true;
}

/* A stream said that all is told and its framing has not ended: the client need not wait. */
static bool end_early(struct core *core, struct exchange *x)
{
    if (x->done_seen && x->state == X_WAIT) {       /* held (cascade.h) */
        stream_end(core, x, true);
        return false;
    }
    if (!x->done_seen || x->state != X_RELAY) return true;
    answer_complete(core, x, true);
    return x->state == X_DRAIN;
}

bool exchange_on_bytes(struct core *core, struct exchange *x, struct upstream *u,
                       struct bytes in, uint32_t buf)
{
    assert(x->u == u && x->state >= X_ASK && x->state != X_DONE);
    if (x->state == X_ASK) {
        if (!feed_head(core, x, &in)) return x->u == u;
        if (x->framing == HTTP_NO_BODY || (x->framing == HTTP_LENGTH && x->left == 0)) {
            message_done(core, x, in.len > 0);
            return false;
        }
    }
    bool goes_on = true;
    if (in.len > 0) {
        switch ((enum http_framing)x->framing) {
        case HTTP_LENGTH: goes_on = feed_length(core, x, &in, buf); break;
        case HTTP_CHUNKED: goes_on = feed_chunked(core, x, &in, buf); break;
        case HTTP_UNTIL_CLOSE:
            goes_on = x->state == X_DRAIN || answer_piece(core, x, in, buf);
            break;
        case HTTP_NO_BODY: goes_on = false; break;
        }
    }
    if (!goes_on) return false;
    if (!end_early(core, x)) return false;
    exchange_set_timer(core, x);
    return true;
}

void exchange_on_eof(struct core *core, struct exchange *x, struct upstream *u)
{
    assert(x->u == u);
    bool body = x->state == X_HOLD || x->state == X_WAIT || x->state == X_RELAY;
    if (body && x->framing == HTTP_UNTIL_CLOSE) {   /* RFC 9112 section 6.3 */
        message_done(core, x, false);
        return;
    }
    upstream_close(core, u);
    exchange_on_broken(core, x, u, ATTEMPT_RESET);
}

void exchange_on_broken(struct core *core, struct exchange *x, struct upstream *u,
                        enum attempt_end end)
{
    assert(x->u == u);
    if (x->state == X_DRAIN) {
        exchange_retire(core, x);
    } else if (x->state != X_RELAY) {
        attempt_failed(core, x, end, 0, 0);
    } else if (x->is_sse) {
        stream_end(core, x, false);
    } else {
        stream_break(core, x, CLOSE_UPSTREAM_BROKE, NULL);
    }
}

void exchange_on_sent(struct core *core, struct exchange *x, struct upstream *u)
{
    if (x->u != u || u->state != UP_BUSY) return;
    x->sent = true;
    if (!x->ping_ns && x->state != X_RELAY && x->state != X_DRAIN) {
        exchange_keep_awake(core, x);
        if (x->ping_ns) exchange_set_timer(core, x);
    }
    if (x->state == X_RELAY) exchange_release_request(core, x);
}

/* --- time --- */

static void too_slow(struct core *core, struct exchange *x)
{
    const char *why = NULL;
    if (x->state == X_RELAY && resume_try(core, x, ATTEMPT_TIMEOUT, &why)) return;
    if (x->state == X_RELAY) {
        char text[256];
        (void)snprintf(text, sizeof text, "%s: %s%s%s",
                       x->tables->catalog->model[x->model].id,
                       close_sentence(CLOSE_UPSTREAM_STALLED),
                       why ? "; it cannot be continued: " : "", why ? why : "");
        endpoint_void(core, x);
        stream_break(core, x, CLOSE_UPSTREAM_STALLED, text);
    } else {
        attempt_failed(core, x, ATTEMPT_TIMEOUT, 0, 0);
    }
}

void exchange_on_timer(struct core *core, struct exchange *x)
{
    if (x->state == X_DONE) return;
    uint64_t now = core->now_ns;
    bool over = (x->until_ns && now >= x->until_ns) ||
                (x->deadline_ns && now >= x->deadline_ns);
    bool late = over || (x->wait_ns && now >= x->wait_ns);
    if (x->state == X_DRAIN) {
        if (late) exchange_retire(core, x);
        else exchange_set_timer(core, x);
        return;
    }
    if (late && x->state == X_QUEUE) {
        attempt_waited(core, x, false);
        return;
    }
    if (late && x->state != X_READ) {
        /* Not the provider's stall when it is us who do not read (back-pressure). */
        if (x->u && x->u->recv_paused && !over) {
            x->wait_ns = now + x->stall_ns;
        } else {
            too_slow(core, x);
            return;
        }
    }
    if (x->hedge_ns && now >= x->hedge_ns) hedge_ask(core, x);
    if (x->ping_ns && now >= x->ping_ns && x->c) {
        x->ping_ns = now + PING_S * 1000000000ull;
        if (x->state == X_QUEUE || x->state == X_ASK || x->state == X_WAIT) {
            stream_keep_awake(core, x);
        }
        else x->ping_ns = 0;
    }
    exchange_set_timer(core, x);
}
