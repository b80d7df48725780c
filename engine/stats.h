/* stats.h - counters of one core: plain stores by their one writer, relaxed loads by whoever
 * adds them up. */
#ifndef ENGINE_STATS_H
#define ENGINE_STATS_H

#include "net/bytes.h"

#include <stdatomic.h>

enum stat_id {
#define X(id, metric, help) STAT_##id,
#include "engine/stats.def"
#undef X
    STAT_COUNT
};

enum close_why {
#define X(id, label, status, code, sentence) CLOSE_##id,
#include "engine/close.def"
#undef X
    CLOSE_COUNT
};

/* How an attempt at a candidate ended: metric label and the words of an error text. */
enum attempt_end {
    ATTEMPT_GOOD, ATTEMPT_REFUSED, ATTEMPT_UNREACHABLE, ATTEMPT_RESET, ATTEMPT_TIMEOUT,
    ATTEMPT_NAME, ATTEMPT_TLS, ATTEMPT_PROTOCOL, ATTEMPT_STATUS, ATTEMPT_ERROR_EVENT,
    ATTEMPT_EMPTY, ATTEMPT_NOT_JSON, ATTEMPT_LARGE, ATTEMPT_OPEN_BREAKER,
    ATTEMPT_ENCODED, ATTEMPT_NO_ROOM, ATTEMPT_UNAFFORDABLE, ATTEMPT_BUSY, ATTEMPT_OFF,
    ATTEMPT_UNSAYABLE, ATTEMPT_UNSIGNED,
    ATTEMPT_ENDS
};

enum { STATS_PROVIDERS = 128, STATS_LAYERS = 6 };   /* layers: organisation .. key, pool */

/* What a limit did to a request. */
enum refusal { REFUSAL_RATE, REFUSAL_BUDGET, REFUSAL_CREDITS, REFUSAL_STOPPED, REFUSALS };

struct stats {                      /* written by one core only */
    _Atomic uint64_t count[STAT_COUNT];
    _Atomic uint64_t closes[CLOSE_COUNT];
    _Atomic uint64_t attempts[STATS_PROVIDERS][ATTEMPT_ENDS];
    _Atomic uint64_t refusals[STATS_LAYERS][REFUSALS];
    _Atomic uint64_t busy_ns;       /* time spent outside of waiting */
    _Atomic uint64_t turned_ns;     /* when the last turn ended, monotonic */
};

/* Add n to one counter (its one writer only). */
static inline void stat_add(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, now + n, memory_order_relaxed);
}

/* Read a counter from any thread. */
static inline uint64_t stat_get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* HTTP status of a close reason; 0: nothing is answered. */
unsigned close_status(enum close_why why);
/* Error code for the client. Static text. */
const char *close_code(enum close_why why);
/* Its sentence. Static text. */
const char *close_sentence(enum close_why why);
/* Its label in metrics, rows and logs: lower case ("client_gone"). Static text. */
const char *close_name(enum close_why why);
/* The words for how an attempt ended ("connection refused"). Static text. */
const char *attempt_words(enum attempt_end end);
/* Metric name and help of a counter. Static texts. */
const char *stat_name(enum stat_id stat);
/* Its help text. */
const char *stat_help(enum stat_id stat);

#endif
