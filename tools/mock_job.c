/* mock_job.c - one answer in time; see mock.h.
 *   READING -> WAITING (delay; the whole time of an answer that is not streamed) -> SENDING
 * While it is sending, job_go() is called whenever something may have changed (its timer fired,
 * or what was queued has left) and does what is due: drips, events up to the next token that
 * has to wait, the script's ending. It holds back while more than CORE_HELD_MAX is unsent. */
#include "engine/conn.h"
#include "engine/core.h"
#include "engine/rand.h"
#include "net/dialect/api_write.h"
#include "net/http.h"
#include "tools/mock.h"
#include "tools/mock_form.h"
#include "tools/mock_text.h"

#include <sys/socket.h>

enum {
    MS = 1000000,              /* ns */
    HEAD_MAX = 1024,           /* bytes of an answer's head */
    ERROR_MAX = 2048,
    SLOWHEAD_NS = 50 * MS,
    DRIP_NS = 10 * MS,
    RESET_NS = 20 * MS,        /* between the last byte and a reset */
    LEN_EXTRA = 4096,          /* bytes that `len` claims and never sends */
};

static bool has(const struct job *job, enum script_word word)
{
    return script_has(&job->script, word);
}

/* Is it of a dialect in mock_form.h? */
static bool has_form(const struct job *job)
{
    return job->api == API_RESPONSES || job->api == API_MESSAGES || job->api == API_GENERATE;
}

bool job_has_words(const struct job *job)
{
    return job->api <= API_COMPLETIONS || has_form(job);
}

void job_drop(struct core *core, struct job *job)
{
    assert(job->head.taken && job->c->job == job);
    job->c->job = NULL;
    timer_disarm(&core->timers, &job->timer);
    chain_drop(&core->mem, &job->content);
    chain_drop(&core->mem, &job->held);
    slab_give(&core->exchanges, job);
}

static void out_of_memory(struct core *core, struct conn *c)
{
    core_count(core, STAT_NO_MEMORY);
    c->close_after = true;
}

/* --- heads --- */

static struct bytes date_of(struct core *core)
{
    struct mock *mock = core->serve;
    uint64_t now_s = core->unix_ns / 1000000000u;
    if (mock->date_s != now_s) {
        mock->date_s = now_s;
        (void)http_date(now_s, mock->date);
    }
    return (struct bytes){mock->date, sizeof mock->date - 1};
}

struct answer {                /* what a head says */
    unsigned status;
    struct bytes type;         /* empty: no content-type */
    uint64_t length;           /* of the body */
    bool chunked, until_close; /* in place of a length */
    bool encoded;
    struct bytes extra;        /* field lines */
};

static size_t head_write(struct core *core, struct conn *c, const struct answer *a, char *out)
{
    struct http_out o = {.out = out, .room = HEAD_MAX};
    http_out_status(&o, a->status);
    http_out_field(&o, BYTES("date"), date_of(core));
    if (a->type.len) http_out_field(&o, BYTES("content-type"), a->type);
    if (a->chunked) http_out_field(&o, BYTES("transfer-encoding"), BYTES("chunked"));
    else if (!a->until_close) http_out_number(&o, BYTES("content-length"), a->length);
    if (a->encoded) http_out_field(&o, BYTES("content-encoding"), BYTES("gzip"));
    if (!c->keep_alive || c->close_after || core->stopping) {
        http_out_field(&o, BYTES("connection"), BYTES("close"));
    } else if (c->http10) {
        http_out_field(&o, BYTES("connection"), BYTES("keep-alive"));
    }
    assert(o.len + a->extra.len + 2 <= o.room);
    if (a->extra.len) memcpy(o.out + o.len, a->extra.ptr, a->extra.len);
    o.len += a->extra.len;
    http_out_end(&o);
    assert(!o.full);
    c->answered = true;
    return o.len;
}

void job_reply(struct core *core, struct conn *c, unsigned status, struct bytes type,
               struct bytes body, struct bytes extra)
{
    char head[HEAD_MAX];
    struct answer a = {.status = status, .type = type, .length = body.len, .extra = extra};
    size_t n = head_write(core, c, &a, head);
    bool ok = chain_copy(&core->mem, &c->out, (struct bytes){head, n});
    if (ok && !c->head_only) ok = chain_copy(&core->mem, &c->out, body);
    if (!ok) out_of_memory(core, c);
    conn_dirty(core, c);
}

static size_t error_body(const struct job_fault *fault, char out[ERROR_MAX])
{
    struct api_fault f = {.status = fault->status, .code = fault->code,
                          .message = fault->sentence, .param = fault->param};
    size_t n = api_error_body(fault->api, &f, out, ERROR_MAX);
    assert(n > 0);
    return n;
}

void job_error(struct core *core, struct conn *c, const struct job_fault *fault)
{
    char body[ERROR_MAX];
    size_t n = error_body(fault, body);
    job_reply(core, c, fault->status, BYTES("application/json"), (struct bytes){body, n},
              fault->extra);
}

/* --- endings --- */

/* The answer is queued whole. */
static void end(struct core *core, struct job *job)
{
    struct conn *c = job->c;
    if (job->closing) c->keep_alive = false;
    job_drop(core, job);
    conn_answered(core, c);
}

/* A connection that is dissolved (connect(2), AF_UNSPEC) is reset at once; shutting it first,
 * as conn_close does, would tell the peer of a regular end. */
static void reset(struct core *core, struct job *job)
{
    struct conn *c = job->c;
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    (void)connect(c->fd, &none, sizeof none);
    job_drop(core, job);
    conn_close(core, c, CLOSE_DONE);
}

/* Clients that find bytes and a reset at once may take it for a regular end (libuv does), so it
 * comes a moment after them. */
static void reset_later(struct core *core, struct job *job)
{
    if (job->reset_ns == 0) job->reset_ns = core->now_ns + RESET_NS;
    if (core->now_ns >= job->reset_ns) reset(core, job);
    else timer_arm(&core->timers, &job->timer, job->reset_ns);
}

/* The script's ending is due. True: go on with the answer. */
static bool act(struct core *core, struct job *job, struct text *t)
{
    struct conn *c = job->c;
    bool sent = c->out.bytes + t->len == 0 && !c->sending;
    job->acting = true;
    switch ((enum script_word)job->script.act) {
    case SCRIPT_RESET:
        if (sent) reset_later(core, job);
        return false;
    case SCRIPT_CUT:
        job->closing = true;
        text_flush(t);
        end(core, job);
        return false;
    case SCRIPT_ERROR:
        if (has_form(job)) form_error(core, job, t);
        else chat_data(job, t, BYTES("{\"error\":{\"message\":\"the script asks for an error\","
                                "\"type\":\"server_error\",\"param\":null,"
                                "\"code\":\"server_error\"}}"));
        job->phase = PHASE_END;
        break;
    case SCRIPT_GARBAGE:
        if (has_form(job)) form_garbage(core, job, t);
        else chat_data(job, t, BYTES("{\"id\":\"chatcmpl-\",\"choices\":[{\"delta\":"));
        break;
    case SCRIPT_NOEND: job->phase = PHASE_END; break;
    default:
        assert(job->script.act == SCRIPT_STALL);
        return false;
    }
    job->script.act = SCRIPT_WORDS;
    job->acting = false;
    return true;
}

/* --- sending --- */

/* What is held goes byte by byte. True: nothing is held any more. */
static bool drip(struct core *core, struct job *job)
{
    struct conn *c = job->c;
    if (job->held.bytes == 0) return true;
    conn_dirty(core, c);
    if (job->drip_left == 0 && has(job, SCRIPT_DRIP)) {
        job->drip_left = UINT64_MAX;
        job->drip_ns = DRIP_NS;
    }
    if (job->drip_left == 0) {
        chain_move(&core->mem, &c->out, &job->held);
        return true;
    }
    if (core->now_ns >= job->drip_at) {
        char byte;
        chain_read(&core->mem, &job->held, 0, &byte, 1);
        chain_eat(&core->mem, &job->held, 1);
        job->drip_left--;
        if (!chain_copy(&core->mem, &c->out, (struct bytes){&byte, 1})) out_of_memory(core, c);
        job->drip_at = core->now_ns + job->drip_ns;
    }
    timer_arm(&core->timers, &job->timer, job->drip_at);
    return false;
}

/* When the next token is due. */
static uint64_t due_ns(const struct job *job)
{
    uint64_t tps = job->script.value[SCRIPT_TPS];
    return tps ? job->first_ns + job->token * 1000000000ull / tps : job->first_ns;
}

/* A stream that an outage comes over is reset. */
static void fall_out(struct core *core, struct job *job)
{
    if (job->out || !job->stream || !fault_out(core)) return;
    job->out = true;
    job->script.act = SCRIPT_RESET;
    job->script.value[SCRIPT_RESET] = 0;
}

static bool act_is_due(const struct job *job)
{
    return job->script.act != SCRIPT_WORDS &&
           job->events >= job->script.value[job->script.act];
}

/* Write what is due into t. False: the job waits, or is gone (then c->job is NULL). */
static bool write_due(struct core *core, struct job *job, struct text *t)
{
    struct conn *c = job->c;
    struct bytes lead = {0};
    fall_out(core, job);
    for (;;) {
        if (act_is_due(job) && !act(core, job, t)) return false;
        if (job->phase == PHASE_END) return true;
        if (c->out.bytes + job->held.bytes + t->len > CORE_HELD_MAX) return false;
        bool token = has_form(job) ? form_is_token(job) : chat_is_token(job);
        if (token && core->now_ns < due_ns(job)) {
            timer_arm(&core->timers, &job->timer, due_ns(job));
            return false;
        }
        if (has_form(job)) {
            form_event(core, job, t);
            continue;
        }
        if (!lead.ptr) lead = chat_lead(job, core->scratch);
        chat_event(job, lead, t);
    }
}

static void go_on(struct core *core, struct job *job)
{
    struct conn *c = job->c;
    if (job->acting && job->script.act == SCRIPT_STALL) return;
    if (!drip(core, job)) return;
    bool dripping = has(job, SCRIPT_DRIP);
    struct text t = {.mem = &core->mem, .to = dripping ? &job->held : &c->out,
                     .buf = core->text, .room = CORE_SCRATCH};
    bool whole = write_due(core, job, &t);
    if (!c->job) return;
    if (whole && job->stream && job->framed && !has(job, SCRIPT_LEN)) TEXT(&t, "0\r\n\r\n");
    if (whole) job->framed = false;  /* said once, also when a drip comes between */
    text_flush(&t);
    if (t.failed) {
        out_of_memory(core, c);
        end(core, job);
        return;
    }
    conn_dirty(core, c);
    if (job->held.bytes > 0) (void)drip(core, job);
    else if (whole) end(core, job);
}

/* --- whole answers --- */

static void write_whole(struct core *core, struct job *job, struct text *t)
{
    if (job->script.act == SCRIPT_ERROR && has_form(job)) {
        char body[ERROR_MAX];
        struct job_fault fault = {.api = job->api, .status = 500, .code = "server_error",
                                  .sentence = "the script asks for an error"};
        size_t n = error_body(&fault, body);
        text_put(t, (struct bytes){body, n});
        return;
    }
    if (job->script.act == SCRIPT_ERROR) {
        TEXT(t, "{\"error\":{\"message\":\"the script asks for an error\","
                "\"type\":\"server_error\",\"param\":null,\"code\":\"server_error\"}}");
        return;
    }
    if (job->script.act == SCRIPT_GARBAGE) TEXT(t, "{\"id\":\"chatcmpl-\",\"choices\":[{]}");
    else if (job->api == API_EMBEDDINGS) data_embeddings(core, job, t);
    else if (job->api == API_MODERATIONS) data_moderations(core, job, t);
    else if (has_form(job)) form_whole(core, job, t);
    else if (!job_has_words(job)) data_count(job, t);
    else chat_whole(core, job, t);
}

/* Keep only the first n bytes. */
static bool shorten(struct core *core, struct chain *body, uint64_t n)
{
    struct chain all = *body;
    *body = (struct chain){0};
    uint32_t at = all.first, left = all.count;
    struct bytes piece;
    bool ok = true;
    while (ok && n > 0 && chain_next(&core->mem, &at, &left, &piece)) {
        if (piece.len > n) piece.len = (size_t)n;
        n -= piece.len;
        ok = chain_copy(&core->mem, body, piece);
    }
    chain_drop(&core->mem, &all);
    return ok;
}

/* Of an answer that is no stream, events are bytes of its body. */
static bool cut_whole(struct core *core, struct job *job, struct chain *body, uint64_t *claim)
{
    uint8_t what = job->script.act;
    *claim = body->bytes + (has(job, SCRIPT_LEN) ? LEN_EXTRA : 0);
    if (what == SCRIPT_ERROR || what == SCRIPT_GARBAGE) job->script.act = what = SCRIPT_WORDS;
    if (what == SCRIPT_WORDS) return true;
    uint64_t keep = job->script.value[what];
    if (keep >= body->bytes) keep = body->bytes - 1;
    bool ok = shorten(core, body, keep);
    if (what == SCRIPT_NOEND) {
        *claim = body->bytes;
        job->script.act = SCRIPT_WORDS;
    } else {
        job->script.value[what] = 0;
    }
    return ok;
}

/* The head, byte by byte if the script says so, and behind it what there is of body. */
static void queue(struct core *core, struct job *job, struct bytes head, struct chain *body)
{
    struct conn *c = job->c;
    bool slow = has(job, SCRIPT_SLOWHEAD);
    if (!chain_copy(&core->mem, slow ? &job->held : &c->out, head)) out_of_memory(core, c);
    if (slow) {
        job->drip_left = bytes_find(head, '\r') + 2;
        job->drip_ns = SLOWHEAD_NS;
    }
    bool hold = slow || has(job, SCRIPT_DRIP);
    if (body && !c->head_only) chain_move(&core->mem, hold ? &job->held : &c->out, body);
    conn_dirty(core, c);
}

/* Most answers: a head in front of a body that is still in the buffer, one copy, one send. */
static bool queue_plain(struct core *core, struct job *job, struct text *t, struct answer *a)
{
    struct conn *c = job->c;
    bool special = job->script.act != SCRIPT_WORDS || has(job, SCRIPT_LEN) ||
                   has(job, SCRIPT_SLOWHEAD) || has(job, SCRIPT_DRIP) || c->head_only;
    if (special || t->to->count > 0 || t->failed) return false;
    char head[HEAD_MAX];
    a->length = t->len;
    size_t n = head_write(core, c, a, head);
    memcpy(t->buf - n, head, n);
    if (!chain_copy(&core->mem, &c->out, (struct bytes){t->buf - n, n + t->len})) {
        out_of_memory(core, c);
    }
    conn_dirty(core, c);
    end(core, job);
    return true;
}

static void answer_whole(struct core *core, struct job *job)
{
    struct conn *c = job->c;
    struct chain body = {0};
    struct text t = {.mem = &core->mem, .to = &body, .buf = core->text + HEAD_MAX,
                     .room = CORE_SCRATCH - HEAD_MAX};
    struct answer a = {.status = 200, .type = BYTES("application/json"),
                       .encoded = has(job, SCRIPT_ENCODED)};
    write_whole(core, job, &t);
    if (queue_plain(core, job, &t, &a)) return;
    text_flush(&t);
    if (t.failed || !cut_whole(core, job, &body, &a.length)) {
        struct job_fault fault = {.api = job->api, .status = 503, .code = "overloaded",
                                  .sentence = "out of memory"};
        chain_drop(&core->mem, &body);
        job_drop(core, job);
        job_error(core, c, &fault);
        conn_answered(core, c);
        return;
    }
    char head[HEAD_MAX];
    size_t n = head_write(core, c, &a, head);
    queue(core, job, (struct bytes){head, n}, &body);
    job->phase = PHASE_END;
    job_go(core, job);
}

static void answer_stream(struct core *core, struct job *job)
{
    struct conn *c = job->c;
    char head[HEAD_MAX];
    job->framed = !c->http10;
    if (!job->framed) c->keep_alive = false;
    struct bytes events = BYTES("text/event-stream; charset=utf-8");
    struct answer a = {.status = 200,
                       .type = job->array ? BYTES("application/json; charset=UTF-8") : events,
                       .chunked = job->framed, .until_close = !job->framed,
                       .encoded = has(job, SCRIPT_ENCODED),
                       .extra = BYTES("cache-control: no-cache\r\n")};
    size_t n = head_write(core, c, &a, head);
    queue(core, job, (struct bytes){head, n}, NULL);
    job->first_ns = core->now_ns + (uint64_t)job->script.value[SCRIPT_TTFT] * MS;
    job->phase = PHASE_ROLE;
    job_go(core, job);
}

/* --- other answers --- */

static const char *error_code(unsigned status)
{
    switch (status) {
    case 401: return "invalid_api_key";
    case 402: return "insufficient_quota";
    case 404: return "model_not_found";
    case 429: return "rate_limit_exceeded";
    default: return status < 500 ? "invalid_request" : "server_error";
    }
}

static void answer_error(struct core *core, struct job *job)
{
    char text[64];
    struct text extra = {.buf = text, .room = sizeof text};
    if (has(job, SCRIPT_RETRY)) {
        TEXT(&extra, "retry-after: ");
        text_number(&extra, job->script.value[SCRIPT_RETRY]);
        TEXT(&extra, "\r\n");
    }
    struct job_fault fault = {.api = job->api, .status = job->status,
                              .code = error_code(job->status),
                              .sentence = "the script of this model asks for this error",
                              .extra = {text, extra.len}};
    job_error(core, job->c, &fault);
    end(core, job);
}

static void answer_text(struct core *core, struct job *job, unsigned status,
                        struct bytes type, struct bytes body, struct bytes extra)
{
    job_reply(core, job->c, status, type, body, extra);
    end(core, job);
}

static void answer(struct core *core, struct job *job)
{
    struct conn *c = job->c;
    job->stage = JOB_SENDING;
    job->created_s = core->unix_ns / 1000000000u;
    if (has(job, SCRIPT_RESETHEAD)) {
        reset(core, job);
        return;
    }
    if (has(job, SCRIPT_CUTHEAD)) {
        job->closing = true;
        end(core, job);
        return;
    }
    if (has(job, SCRIPT_INTERIM) && !c->http10 &&
        !chain_borrow(&core->mem, &c->out, BYTES("HTTP/1.1 103 Early Hints\r\n"
                                                 "link: </v1/models>; rel=preload\r\n\r\n"))) {
        out_of_memory(core, c);
    }
    if (job->closing) c->keep_alive = false;
    if (job->status) answer_error(core, job);
    else if (has(job, SCRIPT_REDIRECT)) {
        answer_text(core, job, 302, BYTES(""), BYTES(""),
                    BYTES("location: http://127.0.0.1:1/elsewhere\r\n"));
    } else if (has(job, SCRIPT_HTML)) {
        answer_text(core, job, 200, BYTES("text/html; charset=utf-8"),
                    BYTES("<!doctype html>\n<title>Sign in</title>\n<p>Sign in first.\n"),
                    BYTES(""));
    } else if (has(job, SCRIPT_EMPTY)) {
        answer_text(core, job, 200, BYTES("application/json"), BYTES(""), BYTES(""));
    } else {
        if (job_has_words(job)) words_content(core, job);
        if (job->stream) answer_stream(core, job);
        else answer_whole(core, job);
    }
}

/* How long before the head: of a whole answer, all the time its tokens take. */
static uint64_t wait_ns(const struct job *job)
{
    const struct script *s = &job->script;
    uint64_t wait = (uint64_t)s->value[SCRIPT_DELAY] * MS;
    if (job->stream || job->status) return wait;
    wait += (uint64_t)s->value[SCRIPT_TTFT] * MS;
    uint64_t tokens = job->reasoning_tokens + job->text_tokens, tps = s->value[SCRIPT_TPS];
    bool words = job_has_words(job);
    return tps && tokens && words ? wait + (tokens - 1) * 1000000000u / tps : wait;
}

static void make_id(struct core *core, char out[MOCK_ID])
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuv";
    uint64_t bits = 0;
    for (int i = 0; i < MOCK_ID; i++) {
        if (i % 12 == 0) bits = rand_next(&core->rand);
        out[i] = letters[bits & 31];
        bits >>= 5;
    }
}

void job_start(struct core *core, struct job *job)
{
    assert(job->stage == JOB_READING && job->c->job == job);
    make_id(core, job->id);
    job->closing = has(job, SCRIPT_CLOSE) || has(job, SCRIPT_LEN);
    job->stage = JOB_WAITING;
    job->first_ns = core->now_ns + wait_ns(job);
    if (has(job, SCRIPT_STALLHEAD)) job->first_ns = UINT64_MAX;
    else if (job->first_ns > core->now_ns) timer_arm(&core->timers, &job->timer, job->first_ns);
    else answer(core, job);
}

void job_early(struct core *core, struct job *job)
{
    assert(job->stage == JOB_READING && job->c->job == job);
    make_id(core, job->id);
    job->closing = true;
    answer(core, job);
}

void job_go(struct core *core, struct job *job)
{
    if (job->stage == JOB_WAITING) {
        if (core->now_ns >= job->first_ns) answer(core, job);
    } else if (job->stage == JOB_SENDING) {
        go_on(core, job);
    }
}
