/* breaker.h - cool-down and breaker state shared by all cores: one atomic word per (provider
 * key, model) and one per provider key. Relaxed atomics and CAS only; time is the caller's.
 * closed -(failures in a row, or a rate limit)-> open until T -(T passes: one probe elected
 * by CAS)-> half open -(success)-> closed, -(failure)-> open for twice as long, capped. */
#ifndef ROUTE_BREAKER_H
#define ROUTE_BREAKER_H

#include "net/bytes.h"

#include <stdatomic.h>

enum {
    BREAKER_FAILURES_MAX = 5,          /* in a row, then it opens */
    BREAKER_OPEN_MS_MIN = 1000,        /* first time open */
    BREAKER_OPEN_MS_MAX = 10000,       /* contract.md section 4: probed within 10 s */
    BREAKER_PROBE_MS_MAX = 10000,      /* a probe silent for so long: another is elected */
    BREAKER_COOL_MS_MAX = 60000,       /* Retry-After is honoured up to this */
};

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_PROBING };

typedef _Atomic uint64_t breaker_word;  /* zero is closed with no failures */

/* May the endpoint be asked at now_ms (monotonic)? For an open one whose time has passed the
 * first asker is elected as probe: true once, and *probe is set. */
MUST_USE bool breaker_ask(breaker_word *w, uint64_t now_ms, bool *probe);
/* The same question without electing anyone. */
bool breaker_is_open(const breaker_word *w, uint64_t now_ms);
/* Milliseconds until an open endpoint may be asked again; 0 where it may be now. */
uint64_t breaker_left_ms(const breaker_word *w, uint64_t now_ms);
/* A success: closes. Except that a cool-down still running stands: what succeeds then was sent
 * before the endpoint asked for quiet. */
void breaker_good(breaker_word *w);
/* A failure that speaks against the endpoint (connect, timeout, 5xx, broken answer). True when
 * this failure opened it: the last of a row, or a probe's (opened again). Failures that arrive
 * while it is open belong to requests sent before and change nothing. */
bool breaker_bad(breaker_word *w, uint64_t now_ms);
/* The endpoint asked for quiet (429, 401, 403): cools for cool_ms (capped), whatever its state;
 * never shortens the time it is already open for. */
void breaker_cool(breaker_word *w, uint64_t now_ms, uint64_t cool_ms);
/* A probe ended without a verdict (client gone): the next asker may probe. */
void breaker_unprobe(breaker_word *w, uint64_t now_ms);
/* State at now_ms for metrics; open with its time passed shows as PROBING (half open). */
enum breaker_state breaker_look(const breaker_word *w, uint64_t now_ms);

#endif
