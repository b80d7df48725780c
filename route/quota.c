/* quota.c - see quota.h. rpm and tpm are the generic cell rate algorithm (as the rates of keys
 * and units in store/cells.c): a bucket of N that refills in a minute, kept as one word, the
 * time at which it would be full again.
 * Rule: what was taken is given back by the same numbers, whatever a reload has made of the
 * limits since; so a hold remembers them. */
#include "route/quota.h"

#define MINUTE_NS 60000000000u
#define TOKENS_NS_MAX (24 * 60 * (uint64_t)MINUTE_NS)   /* of one request, however large */
#define RELAXED memory_order_relaxed

enum { USUAL_SHIFT = 3 };      /* an average over about 8 requests */

/* Put cost_ns behind the word's time, where that leaves it at most most_ns ahead of now. 0, or
 * how long until it would. */
static uint64_t put(_Atomic uint64_t *word, uint64_t now_ns, uint64_t cost_ns, uint64_t most_ns)
{
    uint64_t was = atomic_load_explicit(word, RELAXED), next;
    do {
        next = (was > now_ns ? was : now_ns) + cost_ns;
        if (next - now_ns > most_ns) return next - now_ns - most_ns;
    } while (!atomic_compare_exchange_weak_explicit(word, &was, next, RELAXED, RELAXED));
    return 0;
}

/* Rounded up: with N at once and the next ones a nanosecond early, a minute would see 2N. */
static uint64_t request_ns(uint32_t rpm) { return (MINUTE_NS + rpm - 1) / rpm; }

static uint64_t tokens_ns(uint64_t tpm, uint64_t tokens)
{
    __extension__ unsigned __int128 wide = (unsigned __int128)tokens * MINUTE_NS / tpm;
    return wide > TOKENS_NS_MAX ? TOKENS_NS_MAX : (uint64_t)wide;
}

/* Until one of those that run may have ended, where they began at odd times. */
static uint64_t end_ns(const struct quota *q, uint32_t running)
{
    uint64_t usual = atomic_load_explicit(&q->usual_us, RELAXED) * 1000ull;
    return usual / running + 1;
}

static bool run(struct quota *q, uint32_t most)
{
    uint32_t running = atomic_load_explicit(&q->running, RELAXED);
    do {
        if (running >= most) return false;
    } while (!atomic_compare_exchange_weak_explicit(&q->running, &running, running + 1, RELAXED,
                                                    RELAXED));
    return true;
}

enum quota_lack quota_take(struct quota *q, const struct quota_limits *l, uint64_t now_ns,
                           uint64_t tokens, struct quota_hold *hold, uint64_t *wait_ns)
{
    assert(!hold->at && !hold->runs);
    *wait_ns = 0;
    if (!l->tpm && !l->rpm && !l->concurrency) return QUOTA_ROOM;
    uint64_t full = l->tpm ? atomic_load_explicit(&q->tokens_ns, RELAXED) : 0;
    if (full >= now_ns + MINUTE_NS) {
        *wait_ns = full - now_ns - MINUTE_NS + 1;
        return QUOTA_TOKENS;
    }
    if (l->concurrency && !run(q, l->concurrency)) {
        *wait_ns = end_ns(q, l->concurrency);
        return QUOTA_CONCURRENCY;
    }
    if (l->rpm) {
        uint64_t one = request_ns(l->rpm);
        *wait_ns = put(&q->requests_ns, now_ns, one, one * l->rpm);
    }
    if (*wait_ns) {
        if (l->concurrency) atomic_fetch_sub_explicit(&q->running, 1, RELAXED);
        return QUOTA_REQUESTS;
    }
    *hold = (struct quota_hold){.at = q, .since_ns = now_ns, .tpm = l->tpm, .tokens = tokens,
                                .runs = l->concurrency > 0};
    if (l->tpm) (void)put(&q->tokens_ns, now_ns, tokens_ns(l->tpm, tokens), UINT64_MAX);
    return QUOTA_ROOM;
}

uint64_t quota_wait(const struct quota *q, const struct quota_limits *l, uint64_t now_ns,
                    uint64_t tokens, enum quota_lack *what, uint64_t *each_ns)
{
    uint64_t wait = 0;
    *what = QUOTA_ROOM;
    *each_ns = 0;
    if (l->concurrency && atomic_load_explicit(&q->running, RELAXED) >= l->concurrency) {
        *what = QUOTA_CONCURRENCY;
        wait = end_ns(q, l->concurrency);
    }
    uint64_t one = l->rpm ? request_ns(l->rpm) : 0;
    uint64_t used = l->rpm ? atomic_load_explicit(&q->requests_ns, RELAXED) : 0;
    uint64_t free = now_ns + one * l->rpm;
    if (used + one > free && used + one - free > wait) {
        *what = QUOTA_REQUESTS;
        wait = used + one - free;
    }
    uint64_t full = l->tpm ? atomic_load_explicit(&q->tokens_ns, RELAXED) : 0;
    if (full >= now_ns + MINUTE_NS && full - now_ns - MINUTE_NS + 1 > wait) {
        *what = QUOTA_TOKENS;
        wait = full - now_ns - MINUTE_NS + 1;
    }
    uint64_t share = l->tpm ? tokens_ns(l->tpm, tokens) : 0;
    if (l->concurrency) *each_ns = end_ns(q, l->concurrency);
    if (one > *each_ns) *each_ns = one;
    if (share > *each_ns) *each_ns = share;
    return wait;
}

/* One writer at a time is not worth waiting for: of two that end together one may be lost. */
static void learn_usual(struct quota *q, uint64_t ns)
{
    int64_t us = ns / 1000 < UINT32_MAX ? (int64_t)(ns / 1000) : UINT32_MAX;
    int64_t was = atomic_load_explicit(&q->usual_us, RELAXED);
    int64_t now = was ? was + (us - was) / (1 << USUAL_SHIFT) : us;
    atomic_store_explicit(&q->usual_us, (uint32_t)now, RELAXED);
}

void quota_give(struct quota_hold *hold, uint64_t now_ns, uint64_t tokens)
{
    struct quota *q = hold->at;
    if (!q) return;
    assert(now_ns >= hold->since_ns);
    if (hold->runs) {
        uint32_t was = atomic_fetch_sub_explicit(&q->running, 1, RELAXED);
        assert(was > 0);
        learn_usual(q, now_ns - hold->since_ns);
    }
    if (hold->tpm) {
        /* Taken back as it was put in; the word may have been overtaken by time since, and a
         * little of what others then find is more than there is. */
        uint64_t guess = tokens_ns(hold->tpm, hold->tokens);
        uint64_t real = tokens_ns(hold->tpm, tokens);
        if (real > guess) (void)put(&q->tokens_ns, now_ns, real - guess, UINT64_MAX);
        else atomic_fetch_sub_explicit(&q->tokens_ns, guess - real, RELAXED);
    }
    *hold = (struct quota_hold){0};
}

const char *quota_words(enum quota_lack lack)
{
    static const char *const words[] = {
        [QUOTA_ROOM] = "nothing", [QUOTA_CONCURRENCY] = "its concurrency",
        [QUOTA_REQUESTS] = "its requests a minute", [QUOTA_TOKENS] = "its tokens a minute",
    };
    assert(lack < COUNT(words));
    return words[lack];
}
