/* endpoint.c - see endpoint.h. */
#include "engine/endpoint.h"
#include "engine/book.h"
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/exchange.h"
#include "engine/observe.h"
#include "engine/tables.h"
#include "net/http.h"
#include "net/ratelimit.h"
#include "route/score.h"
#include "store/maybe.h"

enum {
    COOL_MS_DEFAULT = 1000,        /* a 429 that does not say how long */
    COOL_KEY_MS = 60000,           /* a key that was refused (401) */
};

struct endpoint {
    struct tables *tables;         /* in which it is found ... */
    uint32_t model, key;           /* ... as these */
    breaker_word *key_word, *model_word;
    struct quota *quota;
    const struct catalog_provider *provider;
};

static const struct catalog_provider *provider_of(const struct tables *t, uint32_t model)
{
    return &t->catalog->provider[t->catalog->model[model].provider];
}

/* The same model and key in other tables. False: they have them no more. */
static bool find_in(const struct tables *to, const struct tables *from, uint32_t *model,
                    unsigned *key)
{
    int32_t at = catalog_find(to->catalog, bytes_of(from->catalog->model[*model].id));
    if (at < 0) return false;
    const struct catalog_provider *a = provider_of(from, *model);
    const struct catalog_provider *b = provider_of(to, (uint32_t)at);
    unsigned k = 0;
    if (a->key_count > 0) {
        while (k < b->key_count && strcmp(b->key[k], a->key[*key]) != 0) k++;
    }
    if (k >= (b->key_count ? b->key_count : 1u)) return false;
    *model = (uint32_t)at;
    *key = k;
    return true;
}

/* What is published and adopted by not all cores yet is not freed before this one has turned:
 * it may be looked at. */
static struct endpoint endpoint_of(const struct core *core, const struct exchange *x,
                                   unsigned key)
{
    struct tables *t = x->tables;
    struct tables *now = atomic_load_explicit(&core->engine->tables, memory_order_acquire);
    uint32_t model = x->model;
    if (now && now != t && find_in(now, t, &model, &key)) t = now;
    uint16_t p = t->catalog->model[model].provider;
    return (struct endpoint){.tables = t, .model = model, .key = key,
                             .key_word = &t->key_word[p][key],
                             .model_word = &t->model_word[model * CATALOG_KEYS_MAX + key],
                             .quota = t->quota[p][key], .provider = &t->catalog->provider[p]};
}

static uint64_t ms(const struct core *core) { return core->now_ns / 1000000; }

static unsigned key_count(const struct exchange *x)
{
    const struct catalog_provider *p = provider_of(x->tables, x->model);
    return p->key_count ? p->key_count : 1;
}

static struct quota_limits limits_of(const struct endpoint *e)
{
    const struct catalog_provider *p = e->provider;
    return (struct quota_limits){.tpm = p->tpm, .rpm = p->rpm, .concurrency = p->concurrency};
}

/* Take room at one that does not cool down. */
static enum endpoint_verdict take_room(struct core *core, struct exchange *x,
                                       const struct endpoint *e)
{
    struct quota_limits limits = limits_of(e);
    uint64_t wait;
    if (PLANT(overfull)) limits.concurrency *= 2;
    enum quota_lack what = quota_take(e->quota, &limits, core->now_ns, book_prompt_tokens(x),
                                      &x->hold, &wait);
    return what == QUOTA_ROOM ? ENDPOINT_TAKEN : ENDPOINT_FULL;
}

static enum endpoint_verdict take_key(struct core *core, struct exchange *x, unsigned key)
{
    struct endpoint e = endpoint_of(core, x, key);
    bool probe_key = false, probe_model = false;
    if (!PLANT(asks_cooling)) {
        if (breaker_is_open(e.key_word, ms(core))) return ENDPOINT_QUIET;
        if (!breaker_ask(e.model_word, ms(core), &probe_model)) return ENDPOINT_QUIET;
    }
    enum endpoint_verdict v = ENDPOINT_QUIET;
    if (breaker_ask(e.key_word, ms(core), &probe_key) || PLANT(asks_cooling)) {
        v = take_room(core, x, &e);
    }
    if (v != ENDPOINT_TAKEN) {
        if (probe_model) breaker_unprobe(e.model_word, ms(core));
        if (probe_key) breaker_unprobe(e.key_word, ms(core));
        return v;
    }
    x->key = (uint8_t)key;
    x->probe = probe_key || probe_model;
    x->keys_tried |= (uint16_t)(1u << key);
    return ENDPOINT_TAKEN;
}

/* Who waited, or has other candidates, was planned a while ago. */
static bool is_off(const struct core *core, const struct exchange *x)
{
    struct endpoint e = endpoint_of(core, x, 0);
    const struct scores *scores = e.tables->scores;
    return scores && score_state_of(scores, e.model) != SCORE_ON;
}

struct endpoint_lack endpoint_wait(const struct core *core, const struct exchange *x)
{
    struct endpoint_lack least = {.what = QUOTA_CONCURRENCY};
    unsigned open = 0;
    for (unsigned key = 0; key < key_count(x); key++) {
        if (x->keys_tried & (1u << key)) continue;
        struct endpoint e = endpoint_of(core, x, key);
        if (breaker_is_open(e.key_word, ms(core))) continue;
        if (breaker_is_open(e.model_word, ms(core))) continue;
        struct quota_limits limits = limits_of(&e);
        enum quota_lack what;
        uint64_t each, wait = quota_wait(e.quota, &limits, core->now_ns, book_prompt_tokens(x),
                                         &what, &each);
        if (open++ > 0 && wait >= least.wait_ns) continue;
        least = (struct endpoint_lack){wait, each, (uint8_t)what};
    }
    if (open > 1) least.each_ns /= open;
    return least;
}

enum endpoint_verdict endpoint_take(struct core *core, struct exchange *x, bool turn)
{
    assert(!x->hold.at);
    unsigned count = key_count(x), from = (unsigned)(core->exchange_serial % count);
    enum endpoint_verdict all = ENDPOINT_QUIET;
    if (is_off(core, x)) return ENDPOINT_OFF;
    if (!turn && room_is_barred(core, x)) return ENDPOINT_FULL;
    for (unsigned i = 0; i < count; i++) {
        unsigned key = (from + i) % count;
        if (x->keys_tried & (1u << key)) continue;
        enum endpoint_verdict v = take_key(core, x, key);
        if (v == ENDPOINT_TAKEN) return v;
        if (v == ENDPOINT_FULL) all = v;
    }
    return all;
}

void endpoint_leave(struct core *core, struct exchange *x, uint64_t tokens)
{
    if (!x->hold.at || PLANT(leaked_room)) return;
    quota_give(&x->hold, core->now_ns, tokens);
    room_stir(core);
}

uint64_t endpoint_quiet_ms(const struct core *core, const struct exchange *x)
{
    uint64_t least = UINT64_MAX;
    for (unsigned key = 0; key < key_count(x); key++) {
        struct endpoint e = endpoint_of(core, x, key);
        uint64_t a = breaker_left_ms(e.key_word, ms(core));
        uint64_t b = breaker_left_ms(e.model_word, ms(core));
        if (a < b) a = b;
        if (a < least) least = a;
    }
    return least;
}

void endpoint_good(struct core *core, struct exchange *x)
{
    struct endpoint e = endpoint_of(core, x, x->key);
    x->probe = false;
    breaker_good(e.model_word);
    breaker_good(e.key_word);
}

void endpoint_void(struct core *core, struct exchange *x)
{
    if (!x->probe) return;
    struct endpoint e = endpoint_of(core, x, x->key);
    x->probe = false;
    breaker_unprobe(e.model_word, ms(core));
    breaker_unprobe(e.key_word, ms(core));
}

void endpoint_judge(struct core *core, struct exchange *x, enum attempt_end end,
                    unsigned status, uint64_t retry_ms)
{
    struct endpoint e = endpoint_of(core, x, x->key);
    if (status == 401) {
        breaker_cool(e.key_word, ms(core), retry_ms ? retry_ms : COOL_KEY_MS);
        breaker_unprobe(e.model_word, ms(core));
        observe_failed(core, x);
    } else if (status == 403 || status == 429) {  /* 403: of this model, or of this content */
        breaker_cool(e.model_word, ms(core), retry_ms ? retry_ms : COOL_MS_DEFAULT);
        breaker_good(e.key_word);
        if (status == 429) observe_failed(core, x);
    } else if (status >= 400 && status < 500 && status != 408) {
        breaker_good(e.model_word);  /* it answered: the request was at fault */
        breaker_good(e.key_word);
        /* or the model is gone, or the account empty: nobody is shut out for what a request may
         * have named, but who chooses chooses others */
        if (status == 402 || status == 404 || status == 410) observe_failed(core, x);
    } else if (end != ATTEMPT_NO_ROOM && end != ATTEMPT_LARGE && end != ATTEMPT_NAME) {
        (void)breaker_bad(e.model_word, ms(core));
        if (retry_ms) breaker_cool(e.model_word, ms(core), retry_ms);
        breaker_unprobe(e.key_word, ms(core));
        observe_failed(core, x);
    } else {
        endpoint_void(core, x);
    }
    x->probe = false;
}

uint32_t endpoint_heard(struct core *core, struct exchange *x, const struct http_head *head)
{
    struct ratelimit r;
    ratelimit_read(head->fields, core->unix_ns, &r);
    static_assert((int)RATELIMIT_ONE == (int)SCORE_ONE, "one scale of room");
    if (!r.said) return 0;
    observe_room(core, x, r.room, r.reset_ms);
    struct endpoint e = endpoint_of(core, x, x->key);
    /* a refusal says by itself how long, and that is less where a bucket refills steadily */
    bool cools = r.wait_ms > 0 && head->status != 429 && head->status != 503;
    if (cools && !PLANT(deaf)) breaker_cool(e.model_word, ms(core), r.wait_ms);
    return r.wait_ms;
}
