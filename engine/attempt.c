/* attempt.c - asking one candidate after another; see attempt.h. A candidate is tried once;
 * only another key (after 401, 403, 429), a fresh connection (the pooled one was dead) or, in
 * the mode availability, that none is left (has_next) repeats it.
 *   next candidate -> a key is free      -> asked
 *                  -> all keys are full  -> waits (room.h) -> woken: asked | waited: next
 *                  -> all keys cool down -> next
 * What a request may still do is bounded by three budgets of its own: routing.max_attempts
 * candidates, x-weir-timeout for all of them together, providers[].queue for each wait. The
 * time is not divided among candidates: a slow good answer beats a quick second question, and
 * how long a dead provider may be silent is its own timeouts.first_byte. */
#include "engine/attempt.h"
#include "engine/big.h"
#include "engine/book.h"
#include "engine/cascade.h"
#include "engine/compose.h"
#include "engine/conf.h"
#include "engine/core.h"
#include "engine/count.h"
#include "engine/dialect.h"
#include "engine/endpoint.h"
#include "engine/exchange.h"
#include "engine/hedge.h"
#include "engine/observe.h"
#include "engine/resume.h"
#include "engine/sign.h"
#include "engine/tables.h"
#include "engine/translator.h"
#include "engine/twin.h"
#include "engine/upstream.h"
#include "route/quota.h"
#include "store/maybe.h"
#include "net/http.h"
#include "net/tls.h"

#include <stdio.h>

enum {
    FIRST_BYTE_S = 30,             /* streams, where none is configured */
    WHY_MAX = 2048,
    PAUSE_STEP_MS = 100,           /* a pause is looked at so often */
    SIGN_QUIET_MS = 2000,          /* a token that is not there yet may be soon */
};

#define ROOM_NS_MAX UINT64_C(3600000000000)   /* nobody is told to come later than in an hour */

static const struct catalog_provider *provider_of(const struct exchange *x)
{
    const struct catalog *c = x->tables->catalog;
    return &c->provider[c->model[x->model].provider];
}

static void count_attempt(struct core *core, const struct exchange *x, enum attempt_end end)
{
    uint16_t p = x->tables->catalog->model[x->model].provider;
    stat_add(&core->stats.attempts[x->tables->stat[p]][end], 1);
}

/* In so many milliseconds there is room at a candidate, or a key's cool-down ends: what
 * retry-after says is the least of it. */
static void note_quiet(struct exchange *x, uint64_t ms)
{
    uint64_t s = (ms + 999) / 1000;
    if (s == 0) s = 1;
    if (s > UINT32_MAX) s = UINT32_MAX;
    if (x->quiet_s == 0 || s < x->quiet_s) x->quiet_s = (uint32_t)s;
}

/* All keys of the current candidate pause. */
static void note_pause(const struct core *core, struct exchange *x)
{
    uint64_t ms = endpoint_quiet_ms(core, x);
    assert(x->plan_next > 0);
    note_quiet(x, ms);
    if (x->cooling == 0 || ms < x->quiet_ms) x->quiet_ms = ms;
    x->cooling |= (uint8_t)(1u << (x->plan_next - 1u));
}

static void note(struct exchange *x, enum attempt_end end, unsigned status, const char *detail)
{
    if (x->note_count == EXCHANGE_PLAN_MAX) return;
    x->note[x->note_count++] =
        (struct attempt_note){x->model, (uint16_t)status, (uint8_t)end, detail};
}

static void final_text(const struct exchange *x, char *out, size_t room)
{
    const struct resume *r = x->resume;
    size_t len = resume_goes_on(x)
        ? (size_t)snprintf(out, room, "%s: %s; nobody could go on: ",
                           x->tables->catalog->model[r->broken_model].id,
                           attempt_words((enum attempt_end)r->broken))
        : (size_t)snprintf(out, room, "all candidates failed: ");
    for (unsigned i = 0; i < x->note_count && len < room; i++) {
        const struct attempt_note *n = &x->note[i];
        const char *id = x->tables->catalog->model[n->model].id;
        const char *words = attempt_words(n->end);
        int more = n->end == ATTEMPT_STATUS
                       ? snprintf(out + len, room - len, "%s%s: status %u", i ? "; " : "", id,
                                  n->status)
                       : snprintf(out + len, room - len, "%s%s: %s%s%s", i ? "; " : "", id,
                                  words, n->detail ? ": " : "", n->detail ? n->detail : "");
        len += (size_t)more;
    }
}

/* x cannot go on. True: others of its family do, or one of them has answered; x is over. */
static bool leaves(struct core *core, struct exchange *x)
{
    struct exchange *lead = x->lead ? x->lead : x->twins;    /* of those that are left */
    if (cascade_rescues(core, x)) return true;
    if (!twin_fails(core, x)) return false;
    cascade_lost(core, lead);
    return true;
}

/* No candidate is left: 504 if every attempt ended by a timeout, 503 if none could be asked
 * (by our own shortage of memory, descriptors or places to wait, or because all cool down or
 * have no room), else 502 (contract.md section 4). */
static void none_left(struct core *core, struct exchange *x)
{
    if (leaves(core, x)) return;
    bool asked = false, all_slow = x->note_count > 0, no_room = false, all_poor = all_slow;
    bool unsaid = all_slow && x->other && x->other->unsaid[0];
    for (unsigned i = 0; i < x->note_count; i++) {
        uint8_t end = x->note[i].end;
        if (end != ATTEMPT_TIMEOUT) all_slow = false;
        if (end != ATTEMPT_UNAFFORDABLE) all_poor = false;
        if (end != ATTEMPT_UNSAYABLE) unsaid = false;
        bool quiet = end == ATTEMPT_OPEN_BREAKER || end == ATTEMPT_BUSY ||
                     end == ATTEMPT_OFF || end == ATTEMPT_UNSAYABLE ||
                     end == ATTEMPT_UNSIGNED;
        if (end == ATTEMPT_NO_ROOM || (end == ATTEMPT_BUSY && x->shed)) no_room = true;
        else if (!quiet && end != ATTEMPT_UNAFFORDABLE) asked = true;
    }
    if (all_poor) {
        spend_fail(core, x);
        return;
    }
    if (unsaid && !resume_goes_on(x)) {
        exchange_fail(core, x, CLOSE_UNSAYABLE, x->other->unsaid, x->other->unsaid_at);
        return;
    }
    if (resume_goes_on(x)) core_count(core, STAT_RESUME_FAILED);
    enum close_why why = resume_goes_on(x)
                             ? attempt_close((enum attempt_end)x->resume->broken)
                         : all_slow ? CLOSE_UPSTREAM_SLOW
                         : asked   ? CLOSE_UPSTREAM_FAILED
                         : no_room ? CLOSE_OVERLOADED : CLOSE_NO_PROVIDER;
    char text[WHY_MAX];
    final_text(x, text, sizeof text);
    exchange_fail(core, x, why, text, NULL);
}

static void set_limits(struct core *core, struct exchange *x)
{
    const struct catalog_provider *p = provider_of(x);
    bool thinks = x->tables->catalog->model[x->model].abilities & ABILITY_REASONING;
    uint64_t first = p->first_byte_ns, stall = p->stall_ns;
    if (!first) first = x->stream ? FIRST_BYTE_S * 1000000000ull : p->total_ns;
    if (!stall) stall = (thinks ? 300u : 60u) * 1000000000ull;
    x->stall_ns = stall;
    x->attempt_ns = core->now_ns;
    x->wait_ns = core->now_ns + first;
    x->until_ns = core->now_ns + p->total_ns;
}

static void reset_answer(struct core *core, struct exchange *x)
{
    bool goes_on = resume_goes_on(x);      /* the client's side of it stays */
    gather_drop(&core->mem, &x->up_head);
    gather_drop(&core->mem, &x->tail);
    chain_drop(&core->mem, &x->answer);
    big_drop(core, x);
    translator_reset(core, x);
    cascade_forget(core, x);
    x->chunk = (struct chunk){0};
    x->sse = (struct sse){0};
    x->usage = (struct api_usage){0};
    x->notes = (struct api_stream){.check = api_check_wants(&x->check) ? &x->check : NULL};
    api_check_again(&x->check);
    x->rec.outcome = 0;
    book_clear(x);
    x->answer_bytes = x->text_bytes = 0;
    x->array_begun = x->array_begun && goes_on;
    x->tail_big = 0;
    x->interim = 0;
    x->status = 0;
    x->is_sse = x->is_binary = x->sent = x->good = x->finished = x->done_seen = false;
}

static void name_model(struct exchange *x)
{
    const char *id = x->tables->catalog->model[x->model].id;
    memset(x->rec.model, 0, sizeof x->rec.model);
    strncpy(x->rec.model, id, sizeof x->rec.model - 1);
}

static void start(struct core *core, struct exchange *x)
{
    const struct catalog_model *m = &x->tables->catalog->model[x->model];
    enum attempt_end end = ATTEMPT_NO_ROOM;
    reset_answer(core, x);
    name_model(x);
    set_limits(core, x);
    observe_begin(core, x);
    hedge_arm(core, x);
    x->state = X_ASK;
    x->u = upstream_take(core, x, x->tables->host[m->provider], provider_of(x)->connect_ns,
                         x->fresh, &end);
    /* written for the candidate; for another key or connection, again */
    bool again = x->translated && x->other->wire.bytes == 0;
    bool written = x->u && (!again || translator_ask(core, x) == TRANSLATOR_WRITTEN);
    if (written && compose_request(core, x)) {
        upstream_dirty(core, x->u);
        exchange_set_timer(core, x);
    } else {
        attempt_failed(core, x, x->u ? ATTEMPT_NO_ROOM : end, 0, 0);
    }
}

/* The current candidate cannot be asked, for a reason of ours or of its keys. */
static void pass_over(struct core *core, struct exchange *x, enum attempt_end end,
                      const char *detail)
{
    note(x, end, 0, detail);
    count_attempt(core, x, end);
}

/* A key is taken: ask. Only the first one of a candidate counts as an attempt. */
static void ask(struct core *core, struct exchange *x)
{
    bool first = (x->keys_tried & (x->keys_tried - 1u)) == 0;
    if (first) x->attempts++;
    x->fresh = false;
    start(core, x);
}

/* No key of the candidate has room: how long until one may have, behind all who are asked there
 * before x; *what is lacking. */
static uint64_t room_ns(const struct core *core, const struct exchange *x, uint8_t *what)
{
    struct endpoint_lack lack = endpoint_wait(core, x);
    __extension__ unsigned __int128 ns = lack.each_ns;
    ns = ns * room_ahead(core, x) + lack.wait_ns;
    *what = lack.what == QUOTA_ROOM ? QUOTA_CONCURRENCY : lack.what;    /* others are before */
    return ns < ROOM_NS_MAX ? (uint64_t)ns : ROOM_NS_MAX;
}

/* Wait for room at the candidate. False: it would be in vain, or nobody may wait there. */
static bool wait_for_room(struct core *core, struct exchange *x)
{
    uint64_t until = core->now_ns + provider_of(x)->queue_ns * (PLANT(late_wait) ? 2 : 1);
    if (x->deadline_ns && x->deadline_ns < until) until = x->deadline_ns;
    uint64_t room = room_ns(core, x, &x->lack);
    /* a minute's share comes at its time, and no sooner */
    bool vain = x->lack != QUOTA_CONCURRENCY && core->now_ns + room > until;
    bool may = !vain && until > core->now_ns && !(x->lead && x->hurried);
    if (!may || !room_wait(core, x)) {
        x->shed |= may;
        note_quiet(x, (room + 999999) / 1000000);
        return false;
    }
    x->state = X_QUEUE;
    x->until_ns = 0;
    x->wait_ns = until;
    name_model(x);
    exchange_keep_awake(core, x);
    exchange_set_timer(core, x);
    return true;
}

/* Ask a key of the candidate, or wait for one. False: neither, and why is noted. */
static bool ask_or_wait(struct core *core, struct exchange *x)
{
    switch (endpoint_take(core, x, false)) {
    case ENDPOINT_TAKEN:
        ask(core, x);
        return true;
    case ENDPOINT_FULL:
        if (wait_for_room(core, x)) return true;
        pass_over(core, x, ATTEMPT_BUSY, quota_words(x->lack));
        return false;
    case ENDPOINT_QUIET:
        note_pause(core, x);
        pass_over(core, x, ATTEMPT_OPEN_BREAKER, NULL);
        return false;
    case ENDPOINT_OFF: break;
    }
    pass_over(core, x, ATTEMPT_OFF, NULL);
    return false;
}

/* Does that pass, so that the same may be asked again soon? Who was slow has had its time. */
static bool is_fleeting(enum attempt_end end, unsigned status)
{
    switch (end) {
    case ATTEMPT_RESET: case ATTEMPT_ERROR_EVENT: case ATTEMPT_EMPTY: case ATTEMPT_NOT_JSON:
        return true;
    case ATTEMPT_STATUS: return status >= 500 || status == 429 || status == 408;
    default: return false;
    }
}

bool attempt_may_repeat(const struct exchange *x)
{
    return x->rec.mode == MODE_AVAILABILITY && !x->again && !x->cascade.part;
}

/* Is there a candidate to take next? In the mode availability, where all others are worse than
 * asking somebody twice, those whose failure passes are asked once more when none is left. */
static bool has_next(struct exchange *x)
{
    static_assert((int)EXCHANGE_PLAN_MAX <= 8, "a bit each");
    if (twin_attempts(x) >= x->tables->conf->max_attempts) return false;
    for (;;) {
        while (x->again && x->plan_next < x->plan_count &&
               !(x->fleeting >> x->plan_next & 1)) {
            x->plan_next++;
        }
        if (x->plan_next < x->plan_count) return true;
        if (!x->fleeting || !attempt_may_repeat(x)) return false;
        x->again = true;
        x->plan_next = 0;
    }
}

/* Where nobody else is left, in the mode availability, wait for one whose pause ends within
 * its provider's queue time, in steps: others may wait for the same, and the first of them is
 * its probe. False: there is none, or it was waited for long enough. */
static bool wait_for_pause(struct core *core, struct exchange *x)
{
    bool alone = !x->lead && !x->twins && !x->cascade.part;
    if (!x->cooling || !alone || x->rec.mode != MODE_AVAILABILITY) return false;
    if (twin_attempts(x) >= x->tables->conf->max_attempts) return false;
    if (!x->patience_ns) x->patience_ns = core->now_ns + provider_of(x)->queue_ns;
    uint64_t ms = x->quiet_ms < PAUSE_STEP_MS ? x->quiet_ms + 1 : PAUSE_STEP_MS;
    uint64_t until = core->now_ns + ms * 1000000;
    if (until > x->patience_ns || (x->deadline_ns && until > x->deadline_ns)) return false;
    x->state = X_QUEUE;
    x->until_ns = 0;
    x->wait_ns = until;
    exchange_keep_awake(core, x);
    exchange_set_timer(core, x);
    return true;
}

static void go_on(struct core *core, struct exchange *x);

/* It was waited for. */
static void pause_over(struct core *core, struct exchange *x)
{
    assert(x->cooling && x->line == 0);
    x->fleeting |= x->cooling;
    x->cooling = 0;
    x->again = true;
    x->plan_next = 0;
    go_on(core, x);
}

/* Go on to the next candidate of the plan. */
static void take_candidate(struct core *core, struct exchange *x)
{
    const struct plan_candidate *c = &x->plan[x->plan_next++];
    assert(x->plan_next <= x->plan_count);
    x->model = c->model;
    x->effort = c->effort;
    x->rec.reason[0] = c->reason;
    translator_aim(core, x);
}

/* The candidate's provider does not count tokens: Weir does. */
static void estimate(struct core *core, struct exchange *x)
{
    name_model(x);
    count_estimate(core, x);
}

/* Write the request as a candidate of another dialect has it. False: its dialect cannot say it,
 * which is noted, or the exchange ended. */
static bool translate(struct core *core, struct exchange *x, bool *ended)
{
    *ended = false;
    if (!x->translated) return true;
    if (resume_goes_on(x)) resume_bound(x);    /* the answer's beginning counts for its limit */
    switch (translator_ask(core, x)) {
    case TRANSLATOR_WRITTEN: return true;
    case TRANSLATOR_WRONG:
        *ended = true;
        if (leaves(core, x)) return false;
        exchange_fail(core, x, CLOSE_REQUEST_BAD, x->other->unsaid, x->other->unsaid_at);
        return false;
    case TRANSLATOR_UNSAYABLE:
        if (dialect_counts((enum api)x->api)) {     /* then it is counted here */
            *ended = true;
            estimate(core, x);
            return false;
        }
        pass_over(core, x, ATTEMPT_UNSAYABLE, x->other->unsaid); return false;
    case TRANSLATOR_NO_ROOM: break;
    }
    pass_over(core, x, ATTEMPT_NO_ROOM, NULL);
    return false;
}

void attempt_next(struct core *core, struct exchange *x)
{
    while (has_next(x) && cascade_goes_on(x)) {
        bool ended = false;
        take_candidate(core, x);
        x->keys_tried = 0;
        if (resume_goes_on(x) && !resume_takes(x)) continue;
        if (x->peer == APIS) {
            estimate(core, x);
            return;
        }
        const char *lack = sign_lack(core, x);
        if (lack) {
            note_quiet(x, SIGN_QUIET_MS);
            pass_over(core, x, ATTEMPT_UNSIGNED, lack);
        } else if (!spend_reserve(core, x)) {
            pass_over(core, x, ATTEMPT_UNAFFORDABLE, spend_layer_name(x->spend.layer));
        } else if (translate(core, x, &ended) && ask_or_wait(core, x)) {
            return;
        }
        if (ended) return;
    }
    if (!wait_for_pause(core, x)) none_left(core, x);
}

static void let_go(struct core *core, struct exchange *x)
{
    if (x->u) upstream_close(core, x->u);
    x->u = NULL;
    if (x->attempt_ns) x->spent_ns += core->now_ns - x->attempt_ns;
    x->attempt_ns = x->hedge_ns = 0;
}

static bool time_left(const struct core *core, const struct exchange *x)
{
    return !x->deadline_ns || core->now_ns < x->deadline_ns;
}

static void go_on(struct core *core, struct exchange *x)
{
    assert(x->c || x->lead);  /* with the client gone nothing is attempted */
    if (time_left(core, x)) attempt_next(core, x);
    else none_left(core, x);
}

bool attempt_woken(struct core *core, struct exchange *x)
{
    assert(x->state == X_QUEUE);
    enum endpoint_verdict v = endpoint_take(core, x, true);
    if (v == ENDPOINT_FULL) return false;
    room_leave(core, x, v == ENDPOINT_TAKEN);
    if (v == ENDPOINT_TAKEN) {
        ask(core, x);
        return true;
    }
    if (v == ENDPOINT_QUIET) note_pause(core, x);
    pass_over(core, x, v == ENDPOINT_OFF ? ATTEMPT_OFF : ATTEMPT_OPEN_BREAKER, NULL);
    go_on(core, x);
    return true;
}

void attempt_waited(struct core *core, struct exchange *x, bool shed)
{
    assert(x->state == X_QUEUE);
    if (x->line == 0) {
        pause_over(core, x);
        return;
    }
    room_leave(core, x, false);
    if (shed) x->shed = true;
    note_quiet(x, (room_ns(core, x, &x->lack) + 999999) / 1000000);
    pass_over(core, x, ATTEMPT_BUSY, quota_words(x->lack));
    go_on(core, x);
}

void attempt_failed(struct core *core, struct exchange *x, enum attempt_end end,
                    unsigned status, uint64_t retry_ms)
{
    assert(x->state == X_ASK || x->state == X_HOLD || x->state == X_WAIT);
    bool stale = x->u && x->u->reused && !x->u->got_bytes && !x->fresh &&
                 (end == ATTEMPT_RESET || end == ATTEMPT_UNREACHABLE);
    const char *detail = end == ATTEMPT_TLS && x->u && x->u->tls ? tls_why(x->u->tls) : NULL;
    uint64_t waited_ns = x->attempt_ns ? core->now_ns - x->attempt_ns : 0;
    let_go(core, x);
    if (stale && time_left(core, x)) {
        x->fresh = true;
        start(core, x);
        return;
    }
    bool ours = end == ATTEMPT_TIMEOUT && !status && !time_left(core, x);
    if (ours) {
        observe_silence(core, x, waited_ns);
        endpoint_void(core, x);
    } else {
        endpoint_judge(core, x, end, status, retry_ms);
    }
    endpoint_leave(core, x, 0);
    observe_end(core, x);
    count_attempt(core, x, end);
    bool other_key = status == 401 || status == 403 || status == 429;
    enum endpoint_verdict v = ENDPOINT_QUIET;
    if (other_key && time_left(core, x)) v = endpoint_take(core, x, false);
    if (v == ENDPOINT_TAKEN) {
        ask(core, x);
        return;
    }
    if (is_fleeting(end, status)) x->fleeting |= (uint8_t)(1u << (x->plan_next - 1u));
    note(x, end, status, detail);
    if (v == ENDPOINT_FULL && wait_for_room(core, x)) return;
    go_on(core, x);
}

void attempt_onward(struct core *core, struct exchange *x, enum attempt_end end)
{
    assert(x->state == X_RELAY && resume_goes_on(x) && x->plan_next > 0);
    if (is_fleeting(end, 0)) x->fleeting |= (uint8_t)(1u << (x->plan_next - 1u));
    let_go(core, x);
    x->state = X_ASK;              /* nothing runs that could cost something */
    x->note_count = 0;             /* what became of those before it, nobody asks any more */
    go_on(core, x);
}

enum close_why attempt_close(enum attempt_end end)
{
    assert(end != ATTEMPT_GOOD);
    return end == ATTEMPT_ERROR_EVENT ? CLOSE_UPSTREAM_ERROR_EVENT
           : end == ATTEMPT_TIMEOUT   ? CLOSE_UPSTREAM_STALLED
           : end == ATTEMPT_NO_ROOM   ? CLOSE_OVERLOADED : CLOSE_UPSTREAM_BROKE;
}

void attempt_good(struct core *core, struct exchange *x)
{
    if (x->good) return;
    x->good = true;
    observe_first(core, x);
    endpoint_good(core, x);
    count_attempt(core, x, ATTEMPT_GOOD);
}

uint64_t attempt_retry_ms(struct bytes value, uint64_t unix_ns)
{
    uint64_t seconds, at, whole = bytes_find(value, '.');
    if (bytes_u64((struct bytes){value.ptr, (size_t)whole}, &seconds)) {
        if (seconds > BREAKER_COOL_MS_MAX / 1000) return BREAKER_COOL_MS_MAX;
        return seconds ? seconds * 1000 : (whole < value.len ? 1000 : 0);
    }
    if (!http_date_parse(value, &at)) return 0;
    uint64_t now_s = unix_ns / 1000000000u;
    if (at <= now_s) return 0;
    uint64_t left = (at - now_s) * 1000;
    return left > BREAKER_COOL_MS_MAX ? BREAKER_COOL_MS_MAX : left;
}

static void skip_blanks(struct bytes *b)
{
    while (b->len > 0 && (*b->ptr == ' ' || *b->ptr == '\t' || *b->ptr == '\r' ||
                          *b->ptr == '\n')) {
        bytes_cut(b, 1);
    }
}

/* The member is looked for as text: a refusal need not be JSON to be obeyed, and a wrong answer
 * costs its provider a pause within the cap. */
uint64_t attempt_retry_info_ms(struct bytes body)
{
    struct bytes name = BYTES("\"retryDelay\"");
    const char *at = body.len ? memmem(body.ptr, body.len, name.ptr, name.len) : NULL;
    if (!at) return 0;
    struct bytes rest = bytes_between(at + name.len, body.ptr + body.len);
    skip_blanks(&rest);
    if (rest.len == 0 || *bytes_cut(&rest, 1).ptr != ':') return 0;
    skip_blanks(&rest);
    if (rest.len == 0 || *bytes_cut(&rest, 1).ptr != '"') return 0;
    struct bytes value = bytes_cut(&rest, bytes_find(rest, '"'));
    if (rest.len == 0 || value.len < 2 || value.ptr[value.len - 1] != 's') return 0;
    value.len--;
    return attempt_retry_ms(value, 0);
}
