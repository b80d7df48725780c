/* breaker.c - cool-down and breaker of one endpoint in one atomic word.
 *
 *   CLOSED -(BREAKER_FAILURES_MAX in a row)-> OPEN until T -(T passes, first asker)-> PROBING
 *   PROBING -(success)-> CLOSED  -(failure)-> OPEN, twice as long  -(no verdict)-> OPEN, T now
 *   any -(asked for quiet)-> OPEN until T, cooling
 *
 * bits 0-1 state, 2-5 failures in a row, 6-9 times opened since the last success, 10 cooling,
 * 11-63 time in ms: open until, or in PROBING until when the probe is believed to be alive.
 * Rule: every change is one CAS from a word seen to the word that follows from it. Relaxed
 * order is enough, for the word guards no other memory. */
#include "route/breaker.h"

enum {
    STATE_BITS = 2, FAILURES_BITS = 4, OPENED_BITS = 4,
    FAILURES_AT = STATE_BITS,
    OPENED_AT = FAILURES_AT + FAILURES_BITS,
    COOLING_AT = OPENED_AT + OPENED_BITS,
    UNTIL_AT = COOLING_AT + 1,
    OPENED_MAX = 4,                    /* 1, 2, 4, 8 s, then the cap */
};

#define UNTIL_MAX (UINT64_MAX >> UNTIL_AT)   /* 285,000 years of milliseconds */

static_assert(BREAKER_PROBING < 1 << STATE_BITS, "state fits");
static_assert(BREAKER_FAILURES_MAX < 1 << FAILURES_BITS, "failures fit");
static_assert(OPENED_MAX < 1 << OPENED_BITS, "times opened fit");
static_assert(BREAKER_OPEN_MS_MIN << OPENED_MAX >= BREAKER_OPEN_MS_MAX, "the cap is reached");

struct view {                          /* the word, unpacked */
    uint64_t until_ms;
    unsigned state, failures, opened;
    bool cooling;
};

static struct view unpack(uint64_t word)
{
    struct view v = {
        .until_ms = word >> UNTIL_AT,
        .state = (unsigned)(word & ((1u << STATE_BITS) - 1)),
        .failures = (unsigned)(word >> FAILURES_AT & ((1u << FAILURES_BITS) - 1)),
        .opened = (unsigned)(word >> OPENED_AT & ((1u << OPENED_BITS) - 1)),
        .cooling = (word >> COOLING_AT & 1) != 0,
    };
    assert(v.state <= BREAKER_PROBING);
    return v;
}

static uint64_t pack(struct view v)
{
    assert(v.until_ms <= UNTIL_MAX);
    assert(v.failures < BREAKER_FAILURES_MAX && v.opened <= OPENED_MAX);
    return v.until_ms << UNTIL_AT | (uint64_t)v.cooling << COOLING_AT
           | (uint64_t)v.opened << OPENED_AT | (uint64_t)v.failures << FAILURES_AT | v.state;
}

static uint64_t look(const breaker_word *w)
{
    return atomic_load_explicit(w, memory_order_relaxed);
}

/* Replace *seen by next; where another was faster, *seen is what it left. */
static bool swap(breaker_word *w, uint64_t *seen, uint64_t next)
{
    return atomic_compare_exchange_weak_explicit(w, seen, next, memory_order_relaxed,
                                                 memory_order_relaxed);
}

/* How long it stays open the (opened + 1)-th time without a success between. */
static uint64_t open_ms(unsigned opened)
{
    assert(opened <= OPENED_MAX);
    uint64_t ms = (uint64_t)BREAKER_OPEN_MS_MIN << opened;
    return ms < BREAKER_OPEN_MS_MAX ? ms : BREAKER_OPEN_MS_MAX;
}

bool breaker_ask(breaker_word *w, uint64_t now_ms, bool *probe)
{
    assert(now_ms <= UNTIL_MAX - BREAKER_PROBE_MS_MAX);
    *probe = false;
    uint64_t seen = look(w);
    for (;;) {
        struct view v = unpack(seen);
        if (v.state == BREAKER_CLOSED) return true;
        if (now_ms < v.until_ms) return false;
        /* Also from PROBING: a probe whose owner never reported must not keep others out. */
        v.state = BREAKER_PROBING;
        v.cooling = false;
        v.until_ms = now_ms + BREAKER_PROBE_MS_MAX;
        if (swap(w, &seen, pack(v))) {
            *probe = true;
            return true;
        }
    }
}

bool breaker_is_open(const breaker_word *w, uint64_t now_ms)
{
    struct view v = unpack(look(w));
    return v.state != BREAKER_CLOSED && now_ms < v.until_ms;
}

uint64_t breaker_left_ms(const breaker_word *w, uint64_t now_ms)
{
    struct view v = unpack(look(w));
    return v.state != BREAKER_CLOSED && now_ms < v.until_ms ? v.until_ms - now_ms : 0;
}

void breaker_good(breaker_word *w)
{
    uint64_t seen = look(w);
    uint64_t next = 0;
    do {
        if (seen == 0) return;  /* the usual case writes nothing: the line stays shared */
        struct view v = unpack(seen);
        next = 0;
        if (v.state == BREAKER_OPEN && v.cooling) {
            v.failures = 0;
            v.opened = 0;
            next = pack(v);
        }
    } while (!swap(w, &seen, next));
}

bool breaker_bad(breaker_word *w, uint64_t now_ms)
{
    assert(now_ms <= UNTIL_MAX - BREAKER_OPEN_MS_MAX);
    uint64_t seen = look(w);
    bool opens = false;
    struct view v;
    do {
        v = unpack(seen);
        if (v.state == BREAKER_OPEN) return false;
        opens = v.state == BREAKER_PROBING || v.failures + 1 >= BREAKER_FAILURES_MAX;
        if (opens) {
            v.state = BREAKER_OPEN;
            v.failures = 0;
            v.until_ms = now_ms + open_ms(v.opened);
            if (v.opened < OPENED_MAX) v.opened++;
        } else {
            v.failures++;
        }
    } while (!swap(w, &seen, pack(v)));
    return opens;
}

void breaker_cool(breaker_word *w, uint64_t now_ms, uint64_t cool_ms)
{
    assert(now_ms <= UNTIL_MAX - BREAKER_COOL_MS_MAX);
    if (cool_ms > BREAKER_COOL_MS_MAX) cool_ms = BREAKER_COOL_MS_MAX;
    uint64_t seen = look(w);
    struct view v;
    do {
        v = unpack(seen);
        bool longer = v.state == BREAKER_OPEN && v.until_ms > now_ms + cool_ms;
        if (!longer) v.until_ms = now_ms + cool_ms;
        v.state = BREAKER_OPEN;
        v.cooling = true;
    } while (!swap(w, &seen, pack(v)));
}

void breaker_unprobe(breaker_word *w, uint64_t now_ms)
{
    assert(now_ms <= UNTIL_MAX);
    uint64_t seen = look(w);
    struct view v;
    do {
        v = unpack(seen);
        if (v.state != BREAKER_PROBING) return;
        v.state = BREAKER_OPEN;
        v.until_ms = now_ms;
    } while (!swap(w, &seen, pack(v)));
}

enum breaker_state breaker_look(const breaker_word *w, uint64_t now_ms)
{
    struct view v = unpack(look(w));
    if (v.state == BREAKER_OPEN && now_ms >= v.until_ms) return BREAKER_PROBING;
    return (enum breaker_state)v.state;
}
