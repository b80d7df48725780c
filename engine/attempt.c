/* attempt.c - asking one candidate after another; see attempt.h. A candidate is tried once;
 * only another key (after 401, 403, 429) or a fresh connection (the pooled one was dead)
 * repeats it. */
#include "engine/attempt.h"
#include "engine/book.h"
#include "engine/compose.h"
#include "engine/conf.h"
#include "engine/core.h"
#include "engine/exchange.h"
#include "engine/tables.h"
#include "engine/upstream.h"
#include "net/http.h"
#include "net/tls.h"

#include <stdio.h>

enum {
    COOL_MS_DEFAULT = 1000,        /* a 429 that does not say how long */
    COOL_KEY_MS = 60000,           /* a key that was refused (401) */
    FIRST_BYTE_S = 30,             /* streams, where none is configured */
    WHY_MAX = 2048,
};

static const struct catalog_provider *provider_of(const struct exchange *x)
{
    const struct catalog *c = x->tables->catalog;
    return &c->provider[c->model[x->model].provider];
}

static breaker_word *key_word(const struct exchange *x, unsigned key)
{
    return &x->tables->key_word[x->tables->catalog->model[x->model].provider][key];
}

static breaker_word *model_word(const struct exchange *x, unsigned key)
{
    return &x->tables->model_word[x->model * CATALOG_KEYS_MAX + key];
}

static void count_attempt(struct core *core, const struct exchange *x, enum attempt_end end)
{
    uint16_t p = x->tables->catalog->model[x->model].provider;
    stat_add(&core->stats.attempts[x->tables->stat[p]][end], 1);
}

/* Choose a key of the current candidate that was not tried and is not cooling; keys rotate by
 * exchange. Providers without keys have one slot. False: none. */
static bool choose_key(struct core *core, struct exchange *x)
{
    const struct catalog_provider *p = provider_of(x);
    unsigned count = p->key_count ? p->key_count : 1;
    uint64_t now_ms = core->now_ns / 1000000;
    unsigned from = (unsigned)(core->exchange_serial % count);
    for (unsigned i = 0; i < count; i++) {
        unsigned key = (from + i) % count;
        bool probe_key = false, probe_model = false;
        if (x->keys_tried & (1u << key)) continue;
        if (breaker_is_open(key_word(x, key), now_ms)) continue;
        if (!breaker_ask(model_word(x, key), now_ms, &probe_model)) continue;
        if (!breaker_ask(key_word(x, key), now_ms, &probe_key)) {
            if (probe_model) breaker_unprobe(model_word(x, key), now_ms);
            continue;
        }
        x->key = (uint8_t)key;
        x->probe = probe_key || probe_model;
        x->keys_tried |= (uint16_t)(1u << key);
        return true;
    }
    return false;
}

/* Seconds until the first key of the current candidate may be asked: what retry-after says. */
static void note_quiet(struct core *core, struct exchange *x)
{
    const struct catalog_provider *p = provider_of(x);
    unsigned count = p->key_count ? p->key_count : 1;
    uint64_t now_ms = core->now_ns / 1000000;
    for (unsigned key = 0; key < count; key++) {
        uint64_t a = breaker_left_ms(key_word(x, key), now_ms);
        uint64_t b = breaker_left_ms(model_word(x, key), now_ms);
        uint64_t s = ((a > b ? a : b) + 999) / 1000;
        if (s == 0) s = 1;
        if (x->quiet_s == 0 || s < x->quiet_s) x->quiet_s = (uint32_t)s;
    }
}

static void note(struct exchange *x, enum attempt_end end, unsigned status, const char *detail)
{
    if (x->note_count == EXCHANGE_PLAN_MAX) return;
    x->note[x->note_count++] =
        (struct attempt_note){x->model, (uint16_t)status, (uint8_t)end, detail};
}

static void final_text(const struct exchange *x, char *out, size_t room)
{
    size_t len = (size_t)snprintf(out, room, "all candidates failed: ");
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

/* No candidate is left: 504 if every attempt ended by a timeout, 503 if none could be asked
 * (by our own shortage of memory or descriptors, or because all cool down), else 502
 * (contract.md section 4). */
static void none_left(struct core *core, struct exchange *x)
{
    bool asked = false, all_slow = x->note_count > 0, no_room = false, all_poor = all_slow;
    for (unsigned i = 0; i < x->note_count; i++) {
        uint8_t end = x->note[i].end;
        if (end != ATTEMPT_TIMEOUT) all_slow = false;
        if (end != ATTEMPT_UNAFFORDABLE) all_poor = false;
        if (end == ATTEMPT_NO_ROOM) no_room = true;
        else if (end != ATTEMPT_OPEN_BREAKER && end != ATTEMPT_UNAFFORDABLE) asked = true;
    }
    if (all_poor) {
        spend_fail(core, x);
        return;
    }
    enum close_why why = all_slow  ? CLOSE_UPSTREAM_SLOW
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
    gather_drop(&core->mem, &x->up_head);
    gather_drop(&core->mem, &x->tail);
    chain_drop(&core->mem, &x->answer);
    x->chunk = (struct chunk){0};
    x->sse = (struct sse){0};
    x->usage = (struct api_usage){0};
    x->notes = (struct api_stream){0};
    book_clear(x);
    x->answer_bytes = x->text_bytes = 0;
    x->array_begun = false;
    x->interim = 0;
    x->status = 0;
    x->is_sse = x->sent = x->good = x->finished = x->done_seen = false;
}

static void start(struct core *core, struct exchange *x)
{
    const struct catalog_model *m = &x->tables->catalog->model[x->model];
    enum attempt_end end = ATTEMPT_NO_ROOM;
    reset_answer(core, x);
    memset(x->rec.model, 0, sizeof x->rec.model);
    strncpy(x->rec.model, m->id, sizeof x->rec.model - 1);
    set_limits(core, x);
    x->state = X_ASK;
    x->u = upstream_take(core, x, x->tables->host[m->provider], provider_of(x)->connect_ns,
                         x->fresh, &end);
    if (x->u && compose_request(core, x)) {
        upstream_dirty(core, x->u);
        exchange_set_timer(core, x);
    } else {
        attempt_failed(core, x, x->u ? ATTEMPT_NO_ROOM : end, 0, 0);
    }
}

void attempt_next(struct core *core, struct exchange *x)
{
    const struct conf *conf = x->tables->conf;
    while (x->plan_next < x->plan_count) {
        if (x->attempts >= conf->max_attempts) break;
        x->model = x->plan[x->plan_next++];
        x->keys_tried = 0;
        x->fresh = false;
        if (!spend_reserve(core, x)) {
            note(x, ATTEMPT_UNAFFORDABLE, 0, spend_layer_name(x->spend.layer));
            count_attempt(core, x, ATTEMPT_UNAFFORDABLE);
            continue;
        }
        if (!choose_key(core, x)) {
            note(x, ATTEMPT_OPEN_BREAKER, 0, NULL);
            note_quiet(core, x);
            count_attempt(core, x, ATTEMPT_OPEN_BREAKER);
            continue;
        }
        x->attempts++;
        start(core, x);
        return;
    }
    none_left(core, x);
}

static void let_go(struct core *core, struct exchange *x)
{
    if (x->u) upstream_close(core, x->u);
    x->u = NULL;
    if (x->attempt_ns) x->spent_ns += core->now_ns - x->attempt_ns;
    x->attempt_ns = 0;
}

/* What the failure says about the endpoint, for all cores. */
static void judge(struct core *core, struct exchange *x, enum attempt_end end, unsigned status,
                  uint64_t retry_ms)
{
    uint64_t now_ms = core->now_ns / 1000000;
    breaker_word *word = model_word(x, x->key);
    if (status == 401) {
        breaker_cool(key_word(x, x->key), now_ms, retry_ms ? retry_ms : COOL_KEY_MS);
        breaker_unprobe(word, now_ms);
    } else if (status == 403 || status == 429) {  /* 403: of this model, or of this content */
        breaker_cool(word, now_ms, retry_ms ? retry_ms : COOL_MS_DEFAULT);
        breaker_good(key_word(x, x->key));
    } else if (status >= 400 && status < 500 && status != 408) {
        breaker_good(word);  /* it answered: the request was at fault */
        breaker_good(key_word(x, x->key));
    } else if (end != ATTEMPT_NO_ROOM && end != ATTEMPT_LARGE && end != ATTEMPT_NAME) {
        (void)breaker_bad(word, now_ms);
        if (retry_ms) breaker_cool(word, now_ms, retry_ms);
        breaker_unprobe(key_word(x, x->key), now_ms);
    } else {
        attempt_void(core, x);
    }
    x->probe = false;
}

static bool time_left(const struct core *core, const struct exchange *x)
{
    return !x->deadline_ns || core->now_ns < x->deadline_ns;
}

void attempt_failed(struct core *core, struct exchange *x, enum attempt_end end,
                    unsigned status, uint64_t retry_ms)
{
    assert(x->state != X_RELAY && x->state != X_DRAIN && x->state != X_DONE);
    bool stale = x->u && x->u->reused && !x->u->got_bytes && !x->fresh &&
                 (end == ATTEMPT_RESET || end == ATTEMPT_UNREACHABLE);
    const char *detail = end == ATTEMPT_TLS && x->u && x->u->tls ? tls_why(x->u->tls) : NULL;
    let_go(core, x);
    if (stale && time_left(core, x)) {
        x->fresh = true;
        start(core, x);
        return;
    }
    if (end == ATTEMPT_TIMEOUT && !status && !time_left(core, x)) attempt_void(core, x);
    else judge(core, x, end, status, retry_ms);
    count_attempt(core, x, end);
    bool other_key = status == 401 || status == 403 || status == 429;
    if (other_key && time_left(core, x) && choose_key(core, x)) {
        x->fresh = false;
        start(core, x);
        return;
    }
    note(x, end, status, detail);
    assert(x->c);  /* with the client gone nothing is attempted */
    if (time_left(core, x)) attempt_next(core, x);
    else none_left(core, x);
}

void attempt_good(struct core *core, struct exchange *x)
{
    if (x->good) return;
    x->good = true;
    x->probe = false;
    breaker_good(model_word(x, x->key));
    breaker_good(key_word(x, x->key));
    count_attempt(core, x, ATTEMPT_GOOD);
}

void attempt_void(struct core *core, struct exchange *x)
{
    if (!x->probe) return;
    x->probe = false;
    breaker_unprobe(model_word(x, x->key), core->now_ns / 1000000);
    breaker_unprobe(key_word(x, x->key), core->now_ns / 1000000);
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
