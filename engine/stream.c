/* stream.c - see stream.h. The unit is the event: whole ones are read (usage, finish, errors),
 * dropped where the client must not see our own question for usage, appended to the client's
 * body; an unfinished one waits in a page. Events over 64 KiB are read as they pass. Where the
 * provider speaks another dialect than the client, what is read is the provider's and what is
 * appended the translator's; then large events are gathered whole. A stream that goes on with
 * another candidate (resume.h) is such a one. */
#include "engine/stream.h"
#include "engine/answer.h"
#include "engine/attempt.h"
#include "engine/big.h"
#include "engine/book.h"
#include "engine/cascade.h"
#include "engine/conf.h"
#include "engine/conn.h"
#include "engine/core.h"
#include "engine/dialect.h"
#include "engine/exchange.h"
#include "engine/observe.h"
#include "engine/resume.h"
#include "engine/tables.h"
#include "engine/translator.h"
#include "engine/twin.h"
#include "engine/upstream.h"
#include "net/dialect/api_write.h"
#include "net/eventstream.h"

#include <stdio.h>

enum {
    COMMENTS_MAX = 65536,          /* bytes held before the first content: no comments then */
    SILENT_MAX = 1 << 20,          /* and of all events: the attempt is given up */
    EVENT_MAX = 64 << 20,          /* bytes: an event over this ends the stream (hostile.md) */
    GATHER_MAX = 16 << 20,         /* the same, where it has to be whole */
    EVENT_NAME_MAX = 128,
    ERROR_EVENT_MAX = 16384,       /* the text of all attempts, each byte escaped */
    TEXT_MAX = 512,
    COMMENT_MAX = CATALOG_NAME_MAX + 32,
};

bool stream_put(struct core *core, struct exchange *x, struct bytes b)
{
    if (x->state == X_WAIT && !x->booked) return chain_copy(&core->mem, &x->answer, b);
    core_count(core, STAT_CHUNKS);
    return answer_body(core, x, b);
}

/* Is so much held before the first content? A held stream's is not before it. */
static bool holds(const struct exchange *x, uint64_t bytes)
{
    return x->state == X_WAIT && !x->cascade.held && x->answer.bytes > bytes;
}

struct bytes stream_entry(struct exchange *x)
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
    if (!x->array) return stream_put(core, x, ev->raw);
    return data.len == 0 || (stream_put(core, x, stream_entry(x)) && stream_put(core, x, data));
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
    twin_wins(core, x, CLOSE_HEDGE_LOST);
    if (!x->head_sent && !answer_head(core, x, x->status, UINT64_MAX, -1)) return false;
    x->rec.ttft_us = (uint32_t)((core->now_ns - x->admitted_ns) / 1000);
    if (x->rec.ttft_us == 0) x->rec.ttft_us = 1;
    attempt_good(core, x);
    x->state = X_RELAY;
    x->ping_ns = x->hedge_ns = 0;
    resume_arm(core, x);
    if (x->sent) exchange_release_request(core, x);
    return send_held(core, x);
}

/* The same for one that goes on with what the client has: who, and the first of it. */
static bool commit_onward(struct core *core, struct exchange *x)
{
    char line[COMMENT_MAX];
    assert(x->state == X_WAIT && x->head_sent);
    attempt_good(core, x);
    core_count(core, STAT_RESUMED);
    x->state = X_RELAY;
    x->ping_ns = 0;
    const char *id = x->tables->catalog->model[x->model].id;
    int n = snprintf(line, sizeof line, ": continued by %s\n\n", id);
    assert(n > 0 && (size_t)n < sizeof line);
    bool may = dialect_takes_comments((enum api)x->api);
    return (!may || answer_body(core, x, (struct bytes){line, (size_t)n})) &&
           send_held(core, x);
}

void stream_deliver(struct core *core, struct exchange *x)
{
    if (commit(core, x)) answer_complete(core, x, false);
    else exchange_fail(core, x, CLOSE_OVERLOADED, "out of memory", NULL);
}

/* Has no content come that would go to the client, or be held for it? */
static bool is_silent(const struct exchange *x)
{
    return x->state == X_WAIT && (!x->cascade.held || resume_goes_on(x));
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
    if (ev->raw.len > CORE_SCRATCH) return stream_put(core, x, ev->raw);
    core_text_put(core, ev->raw.len);
    memcpy(core->text, ev->raw.ptr, from);
    memcpy(core->text + from, ev->raw.ptr + to, ev->raw.len - to);
    return stream_put(core, x, (struct bytes){core->text, from + ev->raw.len - to});
}

/* The usage chunk with the cost put in at the end of its usage object. */
static bool emit_with_cost(struct core *core, struct exchange *x, const struct sse_event *ev,
                           const struct api_event *e)
{
    char cost[32], member[64];
    (void)book_cost_text(book_all_cost(x), cost);
    size_t n = (size_t)snprintf(member, sizeof member, ",\"cost\":%s", cost);
    size_t at = (size_t)(ev->data.ptr - ev->raw.ptr) + (size_t)e->usage_at.value.end - 1;
    if (ev->raw.len + n > CORE_SCRATCH) return stream_put(core, x, ev->raw);
    char *text = core->text;
    core_text_put(core, ev->raw.len + n);
    memcpy(text, ev->raw.ptr, at);
    memcpy(text + at, member, n);
    memcpy(text + at + n, ev->raw.ptr + at, ev->raw.len - at);
    return stream_put(core, x, (struct bytes){text, ev->raw.len + n});
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
    const char *hinders, *id = x->tables->catalog->model[x->model].id;
    if (resume_try(core, x, end, &hinders)) return false;
    char text[TEXT_MAX];
    (void)snprintf(text, sizeof text, "%s: %s%s%s%s%s", id, attempt_words(end),
                   detail && *detail ? ": " : "", detail ? detail : "",
                   hinders ? "; it cannot be continued: " : "", hinders ? hinders : "");
    stream_break(core, x, attempt_close(end), text);
    return false;
}

static bool no_room(struct core *core, struct exchange *x)
{
    core_count(core, STAT_NO_MEMORY);
    if (x->state == X_WAIT && resume_goes_on(x)) {     /* half of it may be told */
        exchange_fail(core, x, CLOSE_OVERLOADED, NULL, NULL);
        return false;
    }
    return broke(core, x, ATTEMPT_NO_ROOM, 0, NULL);
}

/* The provider's word that all is told, also where it gave no finish reason (seen in
 * recordings). Without any content before it there is no answer. */
static bool done(struct core *core, struct exchange *x, const struct sse_event *ev,
                 struct bytes data)
{
    if (is_silent(x)) return broke(core, x, ATTEMPT_EMPTY, 0, NULL);
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

/* The provider sent an error. What it says of a refused key may quote the key. */
static bool said_error(struct core *core, struct exchange *x, const struct api_event *e)
{
    bool ours = e->error_status == 401 || e->error_status == 403;
    return broke(core, x, ATTEMPT_ERROR_EVENT, (unsigned)e->error_status,
                 ours ? NULL : e->error_text);
}

/* Act on what a whole event says, before it goes on. False: the attempt or exchange ended. */
static bool took_event(struct core *core, struct exchange *x, const struct api_event *e)
{
    if (e->kind == API_EVENT_ERROR) return said_error(core, x, e);
    if (e->kind == API_EVENT_BAD) return broke(core, x, ATTEMPT_PROTOCOL, 0, NULL);
    took_content(core, x, e);
    if (x->state == X_WAIT && resume_goes_on(x)) return true;      /* told first: goes_on() */
    bool begins = is_silent(x) && (e->has_content || e->has_finish);
    if (begins && cascade_holds(x)) {
        x->cascade.held = true;
        observe_first(core, x);
        return true;
    }
    return !begins || commit(core, x) || no_room(core, x);
}

static bool retell_end(struct core *core, struct exchange *x)
{
    return translator_end(core, x) && (!x->array || stream_put(core, x, BYTES("]")));
}

/* What a candidate that goes on has told so far is held. Commit, once it has something to say
 * to the client, be it only that the answer had ended. False: it ended, or has said something
 * else than the answer that it was to repeat. */
static bool goes_on(struct core *core, struct exchange *x, const struct api_event *e)
{
    if (x->state != X_WAIT || !resume_goes_on(x)) return true;
    if (translator_strayed(x)) return broke(core, x, ATTEMPT_PROTOCOL, 0, NULL);
    if (x->answer.bytes == 0 && !e->has_finish) {
        return e->kind != API_EVENT_DONE || broke(core, x, ATTEMPT_EMPTY, 0, NULL);
    }
    return commit_onward(core, x) || no_room(core, x);
}

/* An event in the provider's dialect was read: say it in the client's. What is no JSON is a
 * sign of the end only. */
static bool retell(struct core *core, struct exchange *x, const struct translator_text *event,
                   const struct api_event *e)
{
    bool over = e->kind == API_EVENT_DONE;
    bool sign = over && event->data.len > 0 && *event->data.ptr != '{';
    if (over && is_silent(x) && !resume_goes_on(x)) {
        return broke(core, x, ATTEMPT_EMPTY, 0, NULL);
    }
    bool ok = sign || translator_event(core, x, event, e->usage.present ? &e->usage : NULL);
    if (!ok) return no_room(core, x);
    if (x->resume && !goes_on(core, x, e)) return false;
    if (over) x->done_seen = x->finished = true;
    if (over && !retell_end(core, x)) return no_room(core, x);
    if (x->resume) resume_told(core, x);
    return true;
}

/* The provider says that it is still there, in its own way: so does Weir, where a client takes
 * that. */
static bool ping(struct core *core, struct exchange *x)
{
    bool may = x->state == X_RELAY && dialect_takes_comments((enum api)x->api);
    return !may || stream_put(core, x, BYTES(": ping\n\n")) || no_room(core, x);
}

static bool on_event(struct core *core, struct exchange *x, const struct sse_event *ev)
{
    if (x->done_seen) return true;                   /* what follows the end is nobody's */
    if (ev->data_lines == 0) {
        if (x->translated) return ping(core, x);
        bool enough = holds(x, COMMENTS_MAX);       /* without end */
        return enough || emit_whole(core, x, ev, (struct bytes){0}) || no_room(core, x);
    }
    struct api_event e;
    struct bytes data = ev->data;
    if (ev->data_lines > 1) {
        bool large = ev->raw.len > CORE_SCRATCH;
        if (large && (x->array || x->translated)) return broke(core, x, ATTEMPT_LARGE, 0, NULL);
        if (large && x->resume) resume_lose(core, x);
        if (large) return stream_put(core, x, ev->raw);
        data = (struct bytes){core->text, sse_join(ev, core->text)};
        core_text_put(core, data.len);
    }
    api_event_read_like(data, x->peer, &x->notes, core->shapes, &e);
    if (!took_event(core, x, &e)) return false;
    if (x->cascade.need) cascade_event(core, x, ev->event, data);
    if (holds(x, SILENT_MAX)) return broke(core, x, ATTEMPT_LARGE, 0, NULL);
    if (x->translated && bytes_eq(ev->event, BYTES("ping"))) return ping(core, x);
    if (x->translated) {
        struct translator_text event = {.name = ev->event, .data = data};
        return retell(core, x, &event, &e);
    }
    if (e.kind == API_EVENT_DONE) return done(core, x, ev, data);
    if (e.kind == API_EVENT_USAGE && !x->want_usage) return true;
    if (!emit_event(core, x, ev, data, &e)) return no_room(core, x);
    if (x->resume) resume_kept(core, x, ev->raw);
    return true;
}

/* The same of Amazon's framing, which says itself what is an error. */
static bool on_message(struct core *core, struct exchange *x,
                       const struct eventstream_message *m)
{
    struct api_event e;
    assert(x->translated);
    if (x->done_seen) return true;
    if (m->kind == EVENTSTREAM_EVENT) {
        api_event_read_like(m->payload, x->peer, &x->notes, core->shapes, &e);
    } else {
        api_event_exception(m->name, m->text, m->payload, &e);
    }
    if (!took_event(core, x, &e)) return false;
    if (x->cascade.need) cascade_event(core, x, m->name, m->payload);
    struct translator_text event = {.name = m->name, .data = m->payload};
    return retell(core, x, &event, &e);
}

/* --- bytes --- */

/* Where the line that begins at `from` of the gathered event ends. */
static uint64_t line_end(const struct core *core, const struct exchange *x, uint64_t from)
{
    uint32_t at = x->other->event.first, left = x->other->event.count;
    struct bytes piece;
    uint64_t pos = 0;
    while (chain_next(&core->mem, &at, &left, &piece)) {
        size_t skip = from > pos ? (size_t)(from - pos) : 0;
        pos += piece.len;
        if (skip >= piece.len) continue;
        bytes_cut(&piece, skip);
        size_t lf = bytes_find(piece, '\n');
        size_t end = bytes_find((struct bytes){piece.ptr, lf}, '\r');
        if (end < piece.len) return pos - piece.len + end;
    }
    return pos;
}

/* An event that was gathered is whole. */
static bool end_gathered(struct core *core, struct exchange *x)
{
    struct api_event e;
    char name[EVENT_NAME_MAX];
    if (!big_end(core, x, &e)) return broke(core, x, ATTEMPT_PROTOCOL, 0, NULL);
    if (!took_event(core, x, &e)) return false;
    x->cascade.deaf = true;            /* what is not all heard agrees with nothing */
    struct translation *o = x->other;
    struct translator_text event = {.chain = &o->event, .at = o->event_data,
                                    .end = line_end(core, x, o->event_data)};
    if (o->event_name) {
        chain_read(&core->mem, &o->event, o->event_name, name, o->event_name_len);
        event.name = (struct bytes){name, o->event_name_len};
    }
    if (!retell(core, x, &event, &e)) return false;    /* and reset, or over */
    chain_drop(&core->mem, &o->event);
    return true;
}

/* An oversized event has gone by. What it said counts, though the client has it already. */
static bool end_big(struct core *core, struct exchange *x)
{
    struct api_event e;
    if (x->translated) return end_gathered(core, x);
    if (!big_end(core, x, &e)) return true;
    if (e.kind == API_EVENT_ERROR) return said_error(core, x, &e);
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
    if (x->event_bytes > (x->translated ? GATHER_MAX : EVENT_MAX) && x->tail_big) {
        return broke(core, x, ATTEMPT_LARGE, 0, NULL);
    }
    bool ok = x->translated ? chain_copy(&core->mem, &x->other->event, part)
                            : stream_put(core, x, part);
    if (!ok) return no_room(core, x);
    return x->tail_big || end_big(core, x);
}

/* The unfinished event does not fit, and is to be translated: it goes on in a chain. */
static bool begin_gathered(struct core *core, struct exchange *x, struct bytes *in)
{
    struct bytes part = gather_bytes(&x->tail), rest = part;
    size_t name = x->sse.event, name_len = x->sse.event_len;
    /* in one line, as everybody sends them */
    bool one = x->sse.data_lines <= 1 && big_data(&rest);
    if (!one || name > UINT8_MAX || name_len > EVENT_NAME_MAX) {
        return broke(core, x, ATTEMPT_LARGE, 0, NULL);
    }
    x->other->event_data = (uint64_t)(rest.ptr - part.ptr);
    x->other->event_name = name_len ? (uint8_t)name : 0;
    x->other->event_name_len = (uint8_t)name_len;
    x->tail_big = part.ptr[part.len - 1] == '\n' ? 2 : 1;
    x->event_bytes = part.len;
    big_begin(core, x, part);
    bool ok = x->big && chain_copy(&core->mem, &x->other->event, part);
    gather_drop(&core->mem, &x->tail);
    x->sse = (struct sse){.begun = true};
    return ok ? pass_big(core, x, in) : no_room(core, x);
}

/* The unfinished event does not fit: from here on it is relayed as it comes, and read as it
 * passes. */
static bool begin_big(struct core *core, struct exchange *x, struct bytes *in)
{
    struct bytes part = gather_bytes(&x->tail), field = BYTES("data:");
    if (x->translated) return begin_gathered(core, x, in);
    if (x->array && !bytes_starts(part, field)) return broke(core, x, ATTEMPT_LARGE, 0, NULL);
    if (x->state == X_WAIT) {
        cascade_unchecked(x);
        if (!commit(core, x)) return no_room(core, x);
    }
    if (x->resume) resume_lose(core, x);
    /* what follows the field's name is one JSON text, and line ends behind it are blanks */
    if (x->array) bytes_cut(&part, field.len);
    bool ok = (!x->array || stream_put(core, x, stream_entry(x))) && stream_put(core, x, part);
    x->tail_big = part.ptr[part.len - 1] == '\n' ? 2 : 1;
    x->event_bytes = part.len;
    big_begin(core, x, gather_bytes(&x->tail));
    gather_drop(&core->mem, &x->tail);
    x->sse = (struct sse){.begun = true};
    if (!ok) return no_room(core, x);
    return pass_big(core, x, in);
}

static bool messages(struct core *core, struct exchange *x, struct bytes *in)
{
    struct eventstream_message m;
    while (in->len > 0) {
        size_t need;
        enum net_rc rc = eventstream_next(in, &m, &need);
        if (rc == NET_MORE && need > MEM_BLOCK) return broke(core, x, ATTEMPT_LARGE, 0, NULL);
        if (rc == NET_MORE) return true;
        if (rc != NET_OK) return broke(core, x, ATTEMPT_PROTOCOL, 0, NULL);
        if (!on_message(core, x, &m)) return false;
    }
    return true;
}

/* Cut whole events off *in. False: the attempt or exchange ended. */
static bool events(struct core *core, struct exchange *x, struct bytes *in)
{
    struct sse_event ev;
    if (x->is_binary) return messages(core, x, in);
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
    if (x->translated) {
        if (!translator_stop(core, x, &s->usage)) return false;
        return !x->array || answer_body(core, x, BYTES("]"));
    }
    size_t n = api_stream_stop((enum api)x->api, &x->notes, s, core->text, CORE_SCRATCH);
    struct bytes said = {core->text, n};
    if (!x->array) {
        bool apart = !x->tail_big || answer_body(core, x, BYTES("\n\n"));
        return apart && answer_body(core, x, said);
    }
    if (x->tail_big) return true;       /* its big entry was cut: the array stays open */
    assert(bytes_starts(said, BYTES("data: ")) && n > 10);
    said = (struct bytes){said.ptr + 6, n - 6 - 4};     /* without CRLF CRLF */
    return answer_body(core, x, stream_entry(x)) && answer_body(core, x, said) &&
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
    struct api_stop s = {.usage = book_all_usage(x), .want_usage = x->want_usage,
                         .choices = x->choices,
                         .cost_nusd = x->want_cost ? book_all_cost(x) : -1,
                         .model = bytes_of(x->tables->catalog->model[x->model].upstream)};
    if (!say_stop(core, x, &s) || !answer_end(core, x)) x->c->close_after = true;
    exchange_finish(core, x, false);
}

/* May more of a held stream be held, by limits.hold, and by what is reserved for it? */
static bool may_hold(struct core *core, struct exchange *x)
{
    if (x->answer.bytes > x->tables->conf->limit_hold) return false;
    return x->finished || !SPEND_IS_DUE(x) || spend_widen(core, x);
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
    if (x->cascade.held && x->state == X_WAIT && !may_hold(core, x)) {
        cascade_unchecked(x);
        if (!commit(core, x)) return no_room(core, x);
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
    char before = rest.len > 1 && rest.ptr[rest.len - 1] == '\r' ? rest.ptr[rest.len - 2] : 0;
    bool cr_ended = before == '\r' || before == '\n';
    bool cut = rest.len > 0 && x->is_binary;       /* in the middle of a message */
    bool text = rest.len > 0 && !x->is_binary && !x->done_seen;
    if (text && sse_finish(&x->sse, rest, &ev) == NET_OK) {
        if (!on_event(core, x, &ev)) return;
        /* Its empty line was cut off; what we put behind it must not become part of it. A line
         * feed alone only completes a CR: all that is due where that ends the empty line behind
         * a CRLF, for readers who know no CR alone. Who ends all lines so has said it all. */
        bool cr = ev.raw.ptr[ev.raw.len - 1] == '\r';
        struct bytes end = cr && !cr_ended ? BYTES("\n\n") : BYTES("\n");
        bool theirs = x->state == X_RELAY && !x->array && !x->translated;
        if (theirs && before != '\r' && !stream_put(core, x, end)) {
            (void)no_room(core, x);
            return;
        }
    }
    bool half = cut || x->tail_big || (!clean && !x->done_seen);
    if (is_silent(x) || !x->finished || half) {
        bool empty = is_silent(x) && clean;
        (void)broke(core, x, empty ? ATTEMPT_EMPTY : ATTEMPT_RESET, 0, NULL);
        return;
    }
    stream_finish(core, x);
}

void stream_finish(struct core *core, struct exchange *x)
{
    assert(x->finished);
    struct bytes end = x->array ? BYTES("]") : dialect_good_end((enum api)x->api);
    if (!x->done_seen && !(x->translated ? retell_end(core, x) : stream_put(core, x, end))) {
        (void)no_room(core, x);
        return;
    }
    if (x->state == X_RELAY) answer_complete(core, x, false);
    else if (cascade_takes(core, x, 0)) stream_deliver(core, x);
}

/* The error as the stream's own event, or as the array's last entry. An array whose big entry
 * was cut in the middle stays open: nothing behind it would be an entry. */
static size_t error_event(struct exchange *x, const struct api_fault *fault,
                          char out[ERROR_EVENT_MAX])
{
    static const struct api_stream fresh;
    enum api api = (enum api)x->api;
    const struct api_stream *notes = x->translated ? &fresh : &x->notes;
    if (!x->array) return api_error_event(api, fault, notes, out, ERROR_EVENT_MAX);
    if (x->tail_big) return 0;
    struct bytes before = stream_entry(x);
    memcpy(out, before.ptr, before.len);
    size_t n = api_error_body(api, fault, out + before.len, ERROR_EVENT_MAX - 4);
    assert(n > 0);
    out[before.len + n] = ']';
    return before.len + n + 1;
}

/* Say the error, in a stream that has begun. */
static bool say_fault(struct core *core, struct exchange *x, enum close_why why,
                      const char *text)
{
    char id[65] = {0}, event[ERROR_EVENT_MAX];
    memcpy(id, x->rec.request_id, sizeof x->rec.request_id);
    struct api_fault fault = {.status = close_status(why), .code = close_code(why),
                              .message = text ? text : close_sentence(why),
                              .request_id = id};
    if (x->translated && (x->state == X_RELAY || resume_goes_on(x))) {
        bool said = translator_fault(core, x, &fault);
        return said && (!x->array || answer_body(core, x, BYTES("]")));
    }
    size_t n = error_event(x, &fault, event);
    return answer_body(core, x, (struct bytes){event, n});
}

void stream_break(struct core *core, struct exchange *x, enum close_why why, const char *text)
{
    assert(x->c && x->head_sent);
    if (x->state == X_RELAY) book_price(core, x);
    if (!x->booked) book_end(core, x, why, x->shown);
    bool sse = x->sse_head;        /* else the close without a last chunk tells */
    bool half = x->tail_big && !x->translated;     /* of the provider's event */
    bool ok = !half || answer_body(core, x, BYTES("\n\n"));
    if (ok && sse) ok = say_fault(core, x, why, text);
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
