/* model_check.c - what the clients saw and what was booked, held against what providers sent;
 * see model.h. The checkers here: bytes, status, journal, ends-once, booked. */
#include "tests/sim/calls.h"
#include "tests/sim/cheap.h"
#include "tests/sim/foreign.h"
#include "tests/sim/machine.h"
#include "tests/sim/model.h"
#include "tests/sim/money.h"
#include "tests/sim/onward.h"

#include "engine/stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char awake[] = ": waiting for the provider\n\n";
static const char error_event[] = "data: {\"error\":", done_event[] = "data: [DONE]\n\n";

static unsigned number_of(const struct ask *a) { return (unsigned)(a - model()->ask); }

static bool asks_provider(const struct ask *a)
{
    return a->kind == ASK_WHOLE || a->kind == ASK_STREAM;
}

void model_head(struct ask *a, unsigned status, bool sse)
{
    static const uint16_t allowed[] = {200, 400, 402, 408, 413, 422, 429, 431, 502, 503, 504};
    note("head", number_of(a), status, sse);
    a->began = true;
    a->status = (uint16_t)status;
    bool fine = status == a->expect_status;
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        bool own = asks_provider(a) || allowed[i] == 408 || allowed[i] == 503;
        bool booked = a->kind == ASK_BAD_JSON || a->kind == ASK_NO_MODEL;
        if (allowed[i] == 429 && booked) own = true;
        if (status == allowed[i] && own) fine = true;
    }
    if (a->kind == ASK_MALFORMED) fine = status >= 400 && status < 510;
    unsigned expect = asks_provider(a) ? 200 : a->expect_status;
    if (model()->calm && a->kind != ASK_MALFORMED) fine = status == expect;
    if (!fine) {
        violated("status", "sim-%u (kind %u) was answered %u", number_of(a), a->kind, status);
    }
    if (sse && a->kind != ASK_STREAM) violated("status", "sim-%u is no stream", number_of(a));
}

/* --- bytes */

static bool starts(const struct text *t, size_t from, const char *with)
{
    size_t len = strlen(with), left = t->len - from;
    return memcmp(t->at + from, with, left < len ? left : len) == 0;
}

static void drop_comments(struct ask *a)
{
    size_t len = sizeof awake - 1;
    while (a->kind == ASK_STREAM && a->body.len >= len && starts(&a->body, 0, awake)) {
        memmove(a->body.at, a->body.at + len, a->body.len - len);
        a->body.len -= len;
    }
}

/* Whose answer is it? Its name is in the text. */
static void find_reply(struct ask *a)
{
    char name[24];
    int n = snprintf(name, sizeof name, "sim-%u#", number_of(a));
    const char *at = a->body.len ? memmem(a->body.at, a->body.len, name, (size_t)n) : NULL;
    unsigned number;
    if (!at || !memchr(at, '"', (size_t)(a->body.at + a->body.len - at))) return;
    if (sscanf(at + n, "%u\"", &number) != 1 || number >= a->reply_count) {
        violated("bytes", "sim-%u got the answer %.24s, which nobody gave", number_of(a), at);
    }
    a->from = &a->reply[number];
    note("from", number_of(a), number, a->from->provider);
}

/* The end of the last whole event before `at`. */
static size_t event_end(const struct text *t, size_t at)
{
    for (size_t i = at; i > 1; i--) {
        bool ends = memcmp(t->at + i - 2, "\n\n", 2) == 0;
        if (!ends && i > 3) ends = memcmp(t->at + i - 4, "\r\n\r\n", 4) == 0;
        if (!ends && i == at) ends = memcmp(t->at + i - 2, "\n\r", 2) == 0;  /* cut off */
        if (ends) return i;
    }
    return 0;
}

static void wrong_bytes(const struct ask *a, size_t at)
{
    const struct text *x = &a->from->expect;
    size_t from = at > 40 ? at - 40 : 0;
    int got = (int)(a->body.len - from < 120 ? a->body.len - from : 120);
    int want = (int)(from < x->len ? (x->len - from < 120 ? x->len - from : 120) : 0);
    violated("bytes", "sim-%u: byte %zu differs.\n got: %.*s\nsent: %.*s", number_of(a), at,
             got, a->body.at + from, want, x->at + from);
}

/* The end that Weir writes for a provider whom it stopped: a chunk that says where it ends. */
static bool starts_stop(const struct ask *a)
{
    char text[96];
    if (!a->from || !money()->binds) return false;
    (void)snprintf(text, sizeof text, "data: {\"id\":\"sim-%u#%u\",\"object\":", number_of(a),
                   (unsigned)(a->from - a->reply));
    return starts(&a->body, a->checked, text);
}

/* Did the engine perhaps not get all of it? */
static bool was_cut(const struct reply *p)
{
    return p->cut || !p->sent || machine()->hits[FAULT_NET_RESET] > 0;
}

/* Behind the reply's bytes: the error event, the end or the [DONE] that Weir puts there. */
static void check_tail(const struct ask *a, size_t at)
{
    bool ours = starts(&a->body, a->checked, error_event) || starts_stop(a) ||
                onward_starts(a) ||
                (starts(&a->body, a->checked, done_event) && a->from && was_cut(a->from));
    bool may = a->kind == ASK_STREAM && a->status == 200 && !model()->calm;
    if (!may || !ours) wrong_bytes(a, at);
}

static void compare(struct ask *a)
{
    const struct text *x = &a->from->expect;
    size_t at = a->checked;
    while (at < a->body.len && at < x->len && a->body.at[at] == x->at[at]) at++;
    a->checked = at;
    if (at == a->body.len) return;
    /* Behind the last whole event; or behind one whose empty line Weir completed. */
    size_t behind = at;
    while (behind < a->body.len && strchr("\r\n", a->body.at[behind])) behind++;
    if (behind == a->body.len) return;
    a->checked = behind > at ? behind : event_end(&a->body, at);
    a->tail = true;
    check_tail(a, at);
}

void model_body(struct ask *a, const char *bytes, size_t len)
{
    text_bytes(&a->body, bytes, len);
    if (!asks_provider(a) || a->kind == ASK_MALFORMED) return;
    if (a->tail) {
        check_tail(a, a->checked);
        return;
    }
    if (!a->from) drop_comments(a);
    size_t skip = 0;            /* line ends behind a first event that found no room */
    while (!a->from && skip < 2 && skip < a->body.len && a->body.at[skip] == '\n') skip++;
    bool error_only = a->kind == ASK_STREAM && a->body.len - skip >= sizeof error_event - 1 &&
                      starts(&a->body, skip, error_event);
    if (!a->from && error_only && a->status == 200) {
        a->tail = true;
        a->checked = skip;
    }
    if (!a->from && !a->tail) find_reply(a);
    bool ours = a->from && foreign_is(a->from->provider) && a->from->status == 200;
    if (a->from && !a->tail && !ours) compare(a);
}

static bool line_ends_only(const struct text *t, size_t from)
{
    while (from < t->len && strchr("\r\n", t->at[from])) from++;
    return from == t->len;
}

/* All of the reply; or all but the empty line behind its last event, which Weir completed. */
static bool is_all(const struct ask *a)
{
    const struct text *x = &a->from->expect;
    if (a->checked == x->len) return true;
    return was_cut(a->from) && a->kind == ASK_STREAM &&
           event_end(&a->body, a->body.len) == a->body.len &&
           line_ends_only(&a->body, a->checked) && line_ends_only(x, a->checked);
}

/* Weir stopped it, or ended what had finished and lacked its usage or its end. */
static bool is_stop(const struct ask *a)
{
    const char *at = a->body.at + a->checked;
    return a->tail && starts_stop(a) &&
           memmem(at, a->body.len - a->checked, "\"length\"", 8) != NULL;
}

/* As an answer that its output limit has cut: finish reason, usage where asked for, [DONE]. */
static void check_stop(const struct ask *a)
{
    const char *at = a->body.at + a->checked;
    size_t len = a->body.len - a->checked, end = sizeof done_event - 1;
    bool done = len > end && memcmp(at + len - end, done_event, end) == 0;
    bool usage = memmem(at, len, "\"prompt_tokens\"", 15) != NULL;
    bool reason = memmem(at, len, "\"length\"", 8) != NULL;
    if (done && reason && usage == a->want_usage) return;
    violated("bytes", "sim-%u was stopped by: %.*s", number_of(a), (int)len, at);
}

/* Behind what keeps a client awake while another one is asked to go on. */
static size_t waits_end(const struct ask *a)
{
    size_t at = a->checked, len = sizeof awake - 1;
    while (a->tail && a->body.len - at >= len && starts(&a->body, at, awake)) at += len;
    return at;
}

/* Nobody went on, and the client has waited for that: it is told so. */
static void check_waited(const struct ask *a, size_t at)
{
    if (at == a->checked || (a->broken && at < a->body.len)) return;
    violated("bytes", "sim-%u waited for: %.*s", number_of(a), (int)(a->body.len - at),
             a->body.at + at);
}

void model_done(struct ask *a)
{
    size_t waited = waits_end(a);
    note("answered", number_of(a), a->status, a->body.len);
    a->complete = true;
    a->done_ns = machine()->now_ns;
    a->broken = a->tail && starts(&a->body, waited, error_event);
    if (!asks_provider(a)) return;
    if (a->from && a->from->status == 200 && onward_done(a)) return;
    if (a->from && foreign_is(a->from->provider) && a->from->status == 200) {
        foreign_done(a);
        if (model()->calm && a->broken) violated("bytes", "sim-%u broke", number_of(a));
        return;
    }
    check_waited(a, waited);
    a->stopped = is_stop(a);
    if (a->stopped) check_stop(a);
    if (a->from && !a->tail && !is_all(a)) {
        violated("bytes", "sim-%u: %zu bytes of %zu are said to be all", number_of(a),
                 a->checked, a->from->expect.len);
    }
    if (a->status == 200 && !a->from && !a->tail && !foreign_nothing(a)) {
        violated("bytes", "sim-%u: 200 with %zu bytes that nobody sent: %.200s", number_of(a),
                 a->body.len, a->body.len ? a->body.at : "");
    }
    if (model()->calm && (!a->from || a->tail)) {
        violated("bytes", "sim-%u: no whole answer though nothing failed", number_of(a));
    }
}

/* --- records */

/* Each attempt has its own number, and none comes behind the end. */
static void check_attempt(const struct ask *a, const struct record *r)
{
    if (a->rows) violated("ends-once", "sim-%u: an attempt behind its end", number_of(a));
    for (uint32_t i = 0; i < a->booked_count; i++) {
        if (a->booked[i].r.nth != r->nth) continue;
        violated("attempt-once", "sim-%u: attempt %u is booked twice", number_of(a), r->nth);
    }
}

static void add_booked(struct ask *a, const struct record *r, uint32_t life, uint32_t core)
{
    if (a->booked_count == BOOKED_MAX) {
        violated("journal", "sim-%u has more than %d records", number_of(a), BOOKED_MAX);
    }
    a->booked[a->booked_count++] = (struct booked){*r, life, core};
}

void model_row(const struct record *r, uint32_t life, uint32_t core)
{
    size_t len = strnlen(r->request_id, sizeof r->request_id);
    struct ask *a = model_find(r->request_id, len);
    bool attempt = r->kind == RECORD_ATTEMPT;
    if (!a || (r->kind != RECORD_REQUEST && !attempt)) {
        violated("journal", "a record of kind %u of %.*s, which nobody asked", r->kind,
                 (int)len, r->request_id);
    }
    if (!asks_provider(a) && a->kind != ASK_BAD_JSON && a->kind != ASK_NO_MODEL) {
        violated("journal", "sim-%u is no request to be booked", number_of(a));
    }
    note(attempt ? "attempt" : "row", number_of(a), r->status, r->close);
    check_attempt(a, r);
    add_booked(a, r, life, core);
    if (attempt) return;
    a->rows++;
    a->row = *r;
}

struct record model_sum(const struct ask *a)
{
    struct record sum = a->row;
    bool named = false;            /* a row is named by who began */
    for (uint32_t i = 0; i < a->booked_count; i++) {
        const struct record *r = &a->booked[i].r;
        if (r->kind != RECORD_ATTEMPT) continue;
        if (r->flags & RECORD_BEGAN && !named) memcpy(sum.model, r->model, sizeof sum.model);
        named = named || r->flags & RECORD_BEGAN;
        sum.cost_nusd += r->cost_nusd;
        for (int k = 0; k < TOKEN_KINDS; k++) sum.tokens[k] += r->tokens[k];
    }
    return sum;
}

int64_t model_cost(const struct record *r)
{
    int64_t pico = r->tokens[TOKEN_INPUT] * r->price[TOKEN_INPUT] +
                   r->tokens[TOKEN_CACHED] * r->price[TOKEN_CACHED] +
                   r->tokens[TOKEN_OUTPUT] * r->price[TOKEN_OUTPUT] +
                   r->price_request;
    return (pico + 500) / 1000;
}

static bool price_was_published(const struct record *r, uint32_t provider)
{
    static const enum token_kind kinds[] = {TOKEN_INPUT, TOKEN_CACHED, TOKEN_OUTPUT};
    for (uint32_t v = 0; v < model()->versions; v++) {
        bool same = true;
        for (size_t i = 0; i < 3; i++) {
            if (r->price[kinds[i]] != model_price(provider, v, kinds[i])) same = false;
        }
        if (same && r->price_request == model()->flat_nusd * 1000) return true;
    }
    return false;
}

/* A whole good answer: tokens, price, cost and model of the provider that gave it. */
static void settle_good(const struct ask *a)
{
    const struct record *r = &a->row;
    const struct reply *p = a->went_on ? a->by[a->went_on - 1] : a->from;
    char name[MODEL_ID_MAX];
    unsigned n = number_of(a);
    model_id(p->provider, name);
    if (r->close != CLOSE_DONE) violated("booked", "sim-%u is booked as %u", n, r->close);
    if (strncmp(r->model, name, sizeof r->model) != 0) {
        violated("booked", "sim-%u: %s is booked, %s answered", n, r->model, name);
    }
    if (!price_was_published(r, p->provider)) violated("booked", "sim-%u: whose price?", n);
    if (r->cost_nusd != model_cost(r)) {
        violated("booked", "sim-%u cost %" PRId64 ", by its tokens %" PRId64, n, r->cost_nusd,
                 model_cost(r));
    }
    bool estimated = (r->flags & RECORD_ESTIMATED) != 0;
    /* cut off between its last content and its usage, perhaps by the network */
    if (estimated && !model()->calm && a->kind == ASK_STREAM) return;
    /* A large answer is read as it passes, where there is memory for the reader. */
    if (estimated && p->expect.len > model()->hold_bytes && !model()->calm) return;
    if (estimated != !p->usage) violated("booked", "sim-%u: estimated %d", n, estimated);
    if (p->usage && (r->tokens[TOKEN_INPUT] != p->input || r->tokens[TOKEN_CACHED] != p->cached
                     || r->tokens[TOKEN_OUTPUT] != p->output)) {
        violated("booked", "sim-%u: %u + %u + %u tokens, %u + %u + %u were told", n,
                 r->tokens[TOKEN_INPUT], r->tokens[TOKEN_CACHED], r->tokens[TOKEN_OUTPUT],
                 p->input, p->cached, p->output);
    }
}

void model_settle(void)
{
    for (uint32_t i = 0; i < model()->ask_count; i++) {
        const struct ask *a = &model()->ask[i];
        bool answered = a->complete && a->status == 200 && asks_provider(a);
        if ((a->reply_count > 0 || answered) && a->rows != 1) {
            violated("booked", "sim-%u was asked of %u providers and is booked %u times", i,
                     a->reply_count, a->rows);
        }
        if (a->rows == 0 || !a->complete) continue;
        if (a->row.status != a->status) {
            violated("booked", "sim-%u was answered %u and is booked as %u", i, a->status,
                     a->row.status);
        }
        if (a->broken && a->row.close == CLOSE_DONE) {
            violated("booked", "sim-%u broke and is booked as whole", i);
        }
        if (a->stopped != (a->row.close == CLOSE_BUDGET_STOPPED)) {
            violated("booked", "sim-%u was stopped: %d, booked as %u", i, a->stopped,
                     a->row.close);
        }
        if (answered && !a->broken && !a->stopped && a->from) settle_good(a);
        if (answered && a->from) onward_settle(a);
        if (asks_provider(a)) calls_settle(a);
        if (model()->world == WORLD_CHEAP) cheap_settle(a);
    }
}
