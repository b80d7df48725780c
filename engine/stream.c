/* stream.c - see stream.h. The unit is the event: whole ones are read (usage, finish, errors),
 * dropped where the client must not see our own question for usage, appended to the client's
 * body; an unfinished one waits in a page. Events over 64 KiB are read as they
 * pass. */
#include "engine/stream.h"
#include "engine/answer.h"
#include "engine/attempt.h"
#include "engine/big.h"
#include "engine/book.h"
#include "engine/conn.h"
#include "engine/core.h"
#include "engine/dialect.h"
#include "engine/exchange.h"
#include "engine/tables.h"
#include "engine/upstream.h"
#include "net/dialect/api_write.h"

#include <stdio.h>

enum {
    HELD_MAX = 65536,              /* bytes held before the first content */
    EVENT_MAX = 64 << 20,          /* bytes: an event over this ends the stream (hostile.md) */
    ERROR_EVENT_MAX = 16384,       /* the text of all attempts, each byte escaped */
    TEXT_MAX = 512,
};

/* Put whole event bytes where they belong: held before the commit, to the client after it. */
static bool emit(struct core *core, struct exchange *x, struct bytes b)
{
    if (x->state == X_WAIT) {
        if (x->answer.bytes > HELD_MAX) return true;  /* comments without end: enough kept */
        return chain_copy(&core->mem, &x->answer, b);
    }
    core_count(core, STAT_CHUNKS);
    return answer_body(core, x, b);
}

/* What stands before the next entry of the client's array. */
static struct bytes array_next(struct exchange *x)
{
    struct bytes before = x->array_begun ? BYTES(",\r\n") : BYTES("[");
    x->array_begun = true;
    return before;
}

/* A whole event as the client has it: as it came, or its data as an entry of an array, where
 * comments have no place. */
static bool emit_whole(struct core *core, struct exchange *x, const struct sse_event *ev,
                       struct bytes data)
{
    if (!x->array) return emit(core, x, ev->raw);
    return data.len == 0 || (emit(core, x, array_next(x)) && emit(core, x, data));
}

static bool send_held(struct core *core, struct exchange *x)
{
    uint32_t at = x->answer.first, left = x->answer.count;
    struct bytes piece;
    bool ok = true;
    while (ok && chain_next(&core->mem, &at, &left, &piece)) ok = answer_body(core, x, piece);
    chain_drop(&core->mem, &x->answer);
    return ok;
}

/* The commit barrier: from here on no other candidate. */
static bool commit(struct core *core, struct exchange *x)
{
    assert(x->state == X_WAIT);
    if (!x->head_sent && !answer_head(core, x, x->status, UINT64_MAX, -1)) return false;
    x->rec.ttft_us = (uint32_t)((core->now_ns - x->admitted_ns) / 1000);
    if (x->rec.ttft_us == 0) x->rec.ttft_us = 1;
    attempt_good(core, x);
    x->state = X_RELAY;
    x->ping_ns = 0;
    if (x->sent) exchange_release_request(core, x);
    return send_held(core, x);
}

/* --- edits of one event --- */

/* ev's raw bytes without the member usage of its data: our asking for it is nobody's business.
 * The same room holds joined data lines, which is why only events of one data line come
 * here. */
static bool emit_without_usage(struct core *core, struct exchange *x,
                               const struct sse_event *ev, const struct api_event *e)
{
    struct api_span cut = api_member_cut(&e->usage_at);
    size_t data_at = (size_t)(ev->data.ptr - ev->raw.ptr);
    size_t from = data_at + (size_t)cut.start, to = data_at + (size_t)cut.end;
    if (ev->raw.len > CORE_SCRATCH) return emit(core, x, ev->raw);
    core_text_put(core, ev->raw.len);
    memcpy(core->text, ev->raw.ptr, from);
    memcpy(core->text + from, ev->raw.ptr + to, ev->raw.len - to);
    return emit(core, x, (struct bytes){core->text, from + ev->raw.len - to});
}

/* The usage chunk with the cost put in at the end of its usage object. */
static bool emit_with_cost(struct core *core, struct exchange *x, const struct sse_event *ev,
                           const struct api_event *e)
{
    char cost[32], member[64];
    (void)book_cost_text(x->rec.cost_nusd, cost);
    size_t n = (size_t)snprintf(member, sizeof member, ",\"cost\":%s", cost);
    size_t at = (size_t)(ev->data.ptr - ev->raw.ptr) + (size_t)e->usage_at.value.end - 1;
    if (ev->raw.len + n > CORE_SCRATCH) return emit(core, x, ev->raw);
    char *text = core->text;
    core_text_put(core, ev->raw.len + n);
    memcpy(text, ev->raw.ptr, at);
    memcpy(text + at, member, n);
    memcpy(text + at + n, ev->raw.ptr + at, ev->raw.len - at);
    return emit(core, x, (struct bytes){text, ev->raw.len + n});
}

static bool emit_event(struct core *core, struct exchange *x, const struct sse_event *ev,
                       struct bytes data, const struct api_event *e)
{
    bool plain = ev->data_lines == 1 && e->usage_at.value.end > 0;
    if (plain && x->want_cost && x->want_usage && e->usage_said) {
        book_price(core, x);
        return emit_with_cost(core, x, ev, e);
    }
    if (plain && !x->want_usage) return emit_without_usage(core, x, ev, e);
    return emit_whole(core, x, ev, data);
}

/* --- events --- */

static bool broke(struct core *core, struct exchange *x, enum attempt_end end, unsigned status,
                  const char *detail)
{
    if (x->state != X_RELAY) {
        attempt_failed(core, x, end, status, 0);
        return false;
    }
    char text[TEXT_MAX];
    const char *id = x->tables->catalog->model[x->model].id;
    (void)snprintf(text, sizeof text, "%s: %s%s%s", id, attempt_words(end),
                   detail && *detail ? ": " : "", detail ? detail : "");
    enum close_why why = end == ATTEMPT_ERROR_EVENT ? CLOSE_UPSTREAM_ERROR_EVENT
                         : end == ATTEMPT_TIMEOUT   ? CLOSE_UPSTREAM_STALLED
                                                    : CLOSE_UPSTREAM_BROKE;
    stream_break(core, x, why, text);
    return false;
}

static bool no_room(struct core *core, struct exchange *x)
{
    core_count(core, STAT_NO_MEMORY);
    return broke(core, x, ATTEMPT_NO_ROOM, 0, NULL);
}

/* The provider's word that all is told, also where it gave no finish reason (seen in
 * recordings). Without any content before it there is no answer. */
static bool done(struct core *core, struct exchange *x, const struct sse_event *ev,
                 struct bytes data)
{
    if (x->state == X_WAIT) return broke(core, x, ATTEMPT_EMPTY, 0, NULL);
    x->done_seen = x->finished = true;
    return emit_whole(core, x, ev, data) || no_room(core, x);
}

static void took_content(struct core *core, struct exchange *x, const struct api_event *e)
{
    x->text_bytes += e->text_bytes;
    if (e->has_content || e->has_finish) x->wait_ns = core->now_ns + x->stall_ns;
    if (e->has_finish) x->finished = true;
    if (e->usage.present) x->usage = e->usage;
}

static bool on_event(struct core *core, struct exchange *x, const struct sse_event *ev)
{
    if (x->done_seen) return true;                   /* what follows the end is nobody's */
    if (ev->data_lines == 0) {
        return emit_whole(core, x, ev, (struct bytes){0}) || no_room(core, x);
    }
    struct api_event e;
    struct bytes data = ev->data;
    if (ev->data_lines > 1) {
        bool large = ev->raw.len > CORE_SCRATCH;
        if (large && x->array) return broke(core, x, ATTEMPT_LARGE, 0, NULL);
        if (large) return emit(core, x, ev->raw);
        data = (struct bytes){core->text, sse_join(ev, core->text)};
        core_text_put(core, data.len);
    }
    api_event_read_like(data, x->api, &x->notes, core->shapes, &e);
    if (e.kind == API_EVENT_ERROR) {
        /* what a provider says of a refused key may quote the key */
        bool ours = e.error_status == 401 || e.error_status == 403;
        return broke(core, x, ATTEMPT_ERROR_EVENT, (unsigned)e.error_status,
                     ours ? NULL : e.error_text);
    }
    if (e.kind == API_EVENT_BAD) return broke(core, x, ATTEMPT_PROTOCOL, 0, NULL);
    took_content(core, x, &e);
    if (x->state == X_WAIT && (e.has_content || e.has_finish)) {
        if (!commit(core, x)) return no_room(core, x);
    }
    if (e.kind == API_EVENT_DONE) return done(core, x, ev, data);
    if (e.kind == API_EVENT_USAGE && !x->want_usage) return true;
    return emit_event(core, x, ev, data, &e) || no_room(core, x);
}

/* --- bytes --- */

/* An oversized event has gone by. What it said counts, though the client has it already. */
static bool end_big(struct core *core, struct exchange *x)
{
    struct api_event e;
    if (!big_end(core, x, &e)) return true;
    if (e.kind == API_EVENT_ERROR) {
        bool ours = e.error_status == 401 || e.error_status == 403;
        return broke(core, x, ATTEMPT_ERROR_EVENT, (unsigned)e.error_status,
                     ours ? NULL : e.error_text);
    }
    took_content(core, x, &e);
    if (e.kind == API_EVENT_DONE) x->done_seen = x->finished = true;
    return true;
}

/* Pass bytes of an oversized event on until its empty line has gone by. */
static bool pass_big(struct core *core, struct exchange *x, struct bytes *in)
{
    size_t n = 0;
    unsigned ends = x->tail_big - 1u;
    while (n < in->len && ends < 2) {
        char c = in->ptr[n++];
        if (c == '\n') ends++;
        else if (c != '\r') ends = 0;
    }
    struct bytes part = bytes_cut(in, n);
    x->wait_ns = core->now_ns + x->stall_ns;
    if (!big_feed(x, part)) x->text_bytes += part.len;
    x->event_bytes += part.len;
    x->tail_big = ends >= 2 ? 0 : (uint8_t)(ends + 1);
    if (x->event_bytes > EVENT_MAX && x->tail_big) {
        return broke(core, x, ATTEMPT_LARGE, 0, NULL);
    }
    if (!emit(core, x, part)) return no_room(core, x);
    return x->tail_big || end_big(core, x);
}

/* The unfinished event does not fit: from here on it is relayed as it comes, and read as it
 * passes. */
static bool begin_big(struct core *core, struct exchange *x, struct bytes *in)
{
    struct bytes part = gather_bytes(&x->tail), field = BYTES("data:");
    if (x->array && !bytes_starts(part, field)) return broke(core, x, ATTEMPT_LARGE, 0, NULL);
    if (x->state == X_WAIT && !commit(core, x)) return no_room(core, x);
    /* what follows the field's name is one JSON text, and line ends behind it are blanks */
    if (x->array) bytes_cut(&part, field.len);
    bool ok = (!x->array || emit(core, x, array_next(x))) && emit(core, x, part);
    x->tail_big = part.ptr[part.len - 1] == '\n' ? 2 : 1;
    x->event_bytes = part.len;
    big_begin(core, x, gather_bytes(&x->tail));
    gather_drop(&core->mem, &x->tail);
    x->sse = (struct sse){.begun = true};
    if (!ok) return no_room(core, x);
    return pass_big(core, x, in);
}

/* Cut whole events off *in. False: the attempt or exchange ended. */
static bool events(struct core *core, struct exchange *x, struct bytes *in)
{
    struct sse_event ev;
    while (in->len > 0) {
        enum net_rc rc = sse_next(&x->sse, in, &ev);
        if (rc == NET_MORE) return true;
        if (rc != NET_OK) return broke(core, x, ATTEMPT_PROTOCOL, 0, NULL);
        if (!on_event(core, x, &ev)) return false;
    }
    return true;
}

static bool feed_tail(struct core *core, struct exchange *x, struct bytes *in)
{
    size_t room = MEM_BLOCK - x->tail.len;
    size_t n = in->len < room ? in->len : room;
    if (!gather_put(&core->mem, &x->tail, (struct bytes){in->ptr, n})) return no_room(core, x);
    bytes_cut(in, n);
    struct bytes rest = gather_bytes(&x->tail);
    if (!events(core, x, &rest)) return false;
    gather_eat(&core->mem, &x->tail, x->tail.len - rest.len);
    if (x->tail.len == MEM_BLOCK) return begin_big(core, x, in);
    return true;
}

/* Say the proper end of a stream that is stopped; in an array, as its last entry. */
static bool say_stop(struct core *core, struct exchange *x, const struct api_stop *s)
{
    size_t n = api_stream_stop((enum api)x->api, &x->notes, s, core->text, CORE_SCRATCH);
    struct bytes said = {core->text, n};
    if (!x->array) {
        bool apart = !x->tail_big || answer_body(core, x, BYTES("\n\n"));
        return apart && answer_body(core, x, said);
    }
    if (x->tail_big) return true;       /* its big entry was cut: the array stays open */
    assert(bytes_starts(said, BYTES("data: ")) && n > 10);
    said = (struct bytes){said.ptr + 6, n - 6 - 4};     /* without CRLF CRLF */
    return answer_body(core, x, array_next(x)) && answer_body(core, x, said) &&
           answer_body(core, x, BYTES("]"));
}

/* Nothing more may be spent on this stream: it ends as if its output limit had been reached,
 * and the provider is told so by the close. */
static void stop(struct core *core, struct exchange *x)
{
    assert(x->state == X_RELAY && x->c);
    static_assert((int)API_STOP_MAX <= (int)CORE_SCRATCH, "a stop fits the scratch");
    book_price(core, x);
    x->rec.flags |= RECORD_ESTIMATED;
    book_end(core, x, CLOSE_BUDGET_STOPPED, x->shown);
    struct api_stop s = {.usage = book_usage(&x->rec), .want_usage = x->want_usage,
                         .choices = x->choices,
                         .cost_nusd = x->want_cost ? x->rec.cost_nusd : -1,
                         .model = bytes_of(x->tables->catalog->model[x->model].upstream)};
    if (!say_stop(core, x, &s) || !answer_end(core, x)) x->c->close_after = true;
    exchange_finish(core, x, false);
}

bool stream_feed(struct core *core, struct exchange *x, struct bytes piece)
{
    while (piece.len > 0) {
        if (x->tail_big) {
            if (!pass_big(core, x, &piece)) return false;
            continue;
        }
        if (x->tail.len == 0) {
            if (!events(core, x, &piece)) return false;
            if (piece.len == 0) break;
        }
        if (!feed_tail(core, x, &piece)) return false;
    }
    if (x->state != X_RELAY) return true;
    if (x->done_seen) return true;
    if (!x->finished && SPEND_IS_DUE(x) && !spend_widen(core, x)) {
        stop(core, x);
        return false;
    }
    if (x->c && x->c->out.bytes > CORE_HELD_MAX) upstream_pause(core, x->u, true);
    book_progress(core, x);
    return true;
}

void stream_end(struct core *core, struct exchange *x, bool clean)
{
    struct sse_event ev;
    struct bytes rest = gather_bytes(&x->tail);
    /* CR alone ends lines too: the empty line is there, it only waited for an LF to follow. */
    bool cr_ended = rest.len > 1 && rest.ptr[rest.len - 1] == '\r' &&
                    (rest.ptr[rest.len - 2] == '\r' || rest.ptr[rest.len - 2] == '\n');
    if (rest.len > 0 && !x->done_seen && sse_finish(&x->sse, rest, &ev) == NET_OK) {
        if (!on_event(core, x, &ev)) return;
        /* Its empty line was cut off; what we put behind it must not become part of it. A line
         * feed alone would only complete a CR. */
        struct bytes end = ev.raw.ptr[ev.raw.len - 1] == '\r' ? BYTES("\n\n") : BYTES("\n");
        if (x->state == X_RELAY && !cr_ended && !x->array && !emit(core, x, end)) {
            (void)no_room(core, x);
            return;
        }
    }
    if (x->state == X_WAIT || !x->finished || x->tail_big || (!clean && !x->done_seen)) {
        bool empty = x->state == X_WAIT && clean;
        (void)broke(core, x, empty ? ATTEMPT_EMPTY : ATTEMPT_RESET, 0, NULL);
        return;
    }
    struct bytes end = x->array ? BYTES("]") : dialect_good_end((enum api)x->api);
    if (!x->done_seen && !emit(core, x, end)) {
        (void)no_room(core, x);
        return;
    }
    answer_complete(core, x, false);
}

/* The error as the stream's own event, or as the array's last entry. An array whose big entry
 * was cut in the middle stays open: nothing behind it would be an entry. */
static size_t error_event(struct exchange *x, enum close_why why, const char *text,
                          char out[ERROR_EVENT_MAX])
{
    char id[65] = {0};
    memcpy(id, x->rec.request_id, sizeof x->rec.request_id);
    struct api_fault fault = {.status = close_status(why), .code = close_code(why),
                              .message = text ? text : close_sentence(why),
                              .request_id = id};
    enum api api = (enum api)x->api;
    if (!x->array) return api_error_event(api, &fault, &x->notes, out, ERROR_EVENT_MAX);
    if (x->tail_big) return 0;
    struct bytes before = array_next(x);
    memcpy(out, before.ptr, before.len);
    size_t n = api_error_body(api, &fault, out + before.len, ERROR_EVENT_MAX - 4);
    assert(n > 0);
    out[before.len + n] = ']';
    return before.len + n + 1;
}

void stream_break(struct core *core, struct exchange *x, enum close_why why, const char *text)
{
    assert(x->c && x->head_sent);
    char event[ERROR_EVENT_MAX];
    size_t n = error_event(x, why, text, event);
    if (x->state == X_RELAY) book_price(core, x);
    if (!x->booked) book_end(core, x, why, x->shown);
    bool sse = x->sse_head;        /* else the close without a last chunk tells */
    bool ok = !x->tail_big || answer_body(core, x, BYTES("\n\n"));
    if (ok && sse) ok = answer_body(core, x, (struct bytes){event, n});
    if (ok && sse) ok = answer_end(core, x);
    x->c->close_after = true;  /* without room for it the close tells */
    exchange_finish(core, x, false);
}

void stream_keep_awake(struct core *core, struct exchange *x)
{
    if (!x->head_sent) {
        x->rec.model[0] = 0;  /* which one answers is not known yet */
        bool kept = answer_keep_lines(core, x, BYTES("content-type: text/event-stream\r\n"
                                                     "cache-control: no-cache\r\n"));
        if (kept && !answer_head(core, x, 200, UINT64_MAX, -1)) {
            core_count(core, STAT_NO_MEMORY);
        }
        x->sse_head = x->head_sent;
        const char *id = x->tables->catalog->model[x->model].id;
        memcpy(x->rec.model, id, strnlen(id, sizeof x->rec.model - 1));
    }
    if (x->head_sent && !answer_body(core, x, BYTES(": waiting for the provider\n\n"))) {
        core_count(core, STAT_NO_MEMORY);
    }
}
