/* score.h - what is known of every endpoint (model x key of its provider): price, quality,
 * abilities from the catalogue; time to first content, speed, errors, room, requests in flight
 * as learned. One struct scores per catalogue version, made by the main thread; in it one
 * struct score per core.
 *   learning   each core writes its own sums, and nobody else's (relaxed atomics)
 *   merging    every SCORE_MERGE_MS a core adds up the sums of all into its own view: plain
 *              columns of floats, which plan.c goes through in one pass
 * What was learned fades with time towards a prior, and its weight is part of the answer.
 * Rule: nothing here allocates or fails after score_make(); engine calls it with integers. */
#ifndef ROUTE_SCORE_H
#define ROUTE_SCORE_H

#include "route/breaker.h"

struct catalog;
struct score;                   /* one core's view */
struct scores;                  /* of all cores */

enum {
    SCORE_MERGE_MS = 100,
    SCORE_ONE = 10000,          /* a room or a rate of 1 */
    SCORE_ROOM_S_MAX = 3600,    /* a provider's reset time counts up to this */
};

enum score_state { SCORE_ON, SCORE_DRAIN, SCORE_OFF };

/* Percentiles of the time to the first content that are learned. */
enum score_percentile { SCORE_P50, SCORE_P75, SCORE_P90, SCORE_P95, SCORE_P99,
                        SCORE_PERCENTILES };

struct score_setup {            /* borrows for the call; breaker words: as long as the scores */
    const struct catalog *catalog;
    const struct bytes *auto_glob;      /* routing.auto: candidates of `auto`, globs of ids or
                                           of bare names; what answers without text
                                           never is */
    uint32_t auto_count;        /* 0: every model */
    uint32_t views;             /* how many threads ask: cores, then the admin core */
    const breaker_word *key_word;       /* at provider * CATALOG_KEYS_MAX + key; NULL none */
    const breaker_word *model_word;     /* at model * CATALOG_KEYS_MAX + key; NULL none */
    uint64_t now_unix_s;        /* for dated prices */
};

struct score_look {             /* one endpoint, for people; the sums of all cores as of now */
    uint64_t requests;          /* that ended, since this process began to count it */
    uint32_t in_flight;
    uint32_t ttft_us, ttft_p95_us;
    uint32_t speed;             /* tokens per 1000 s after the first content */
    uint32_t error;             /* share of requests that failed, of SCORE_ONE */
    uint32_t room;              /* left of the provider's rate limit, of SCORE_ONE */
    uint32_t room_reset_s;      /* until that is known to change; 0 nothing known */
    uint32_t weight;            /* evidence in answers, fading with time; 0: all is prior */
};

/* Make the scores of a catalogue, all views merged once; NULL: out of memory. The caller calls
 * score_carry() next where there is an older version, then hands them to the cores. */
struct scores *score_make(const struct score_setup *setup);
/* Free them. takes s; NULL is fine. */
void score_close(struct scores *s);
/* Take over what older learned, by provider name, model id and key text, and the states. What
 * is in flight stays with the version it began with. On the thread that made s, before a core
 * has it; older may go on learning meanwhile. */
void score_carry(struct scores *s, const struct scores *older);
/* The view of one thread, idx < views. */
struct score *score_view(struct scores *s, uint32_t idx);
/* The endpoint of a model and one of its keys (0 for providers without keys). */
uint32_t score_row(const struct scores *s, uint32_t model, uint32_t key);

/* Learning, on the thread of the view only; row: score_row(). now_ms is monotonic. */

/* A request went out. */
void score_begin(struct score *v, uint32_t row);
/* It is over, however it ended. Pairs with score_begin() on the same view. */
void score_end(struct score *v, uint32_t row);
/* How it ended: did the endpoint do its part? Not called where the client left or the request
 * was at fault. */
void score_learn_end(struct score *v, uint32_t row, uint64_t now_ms, bool good);
/* First content came after so long. */
void score_learn_ttft(struct score *v, uint32_t row, uint64_t now_ms, uint64_t ns);
/* So many tokens came in the time after the first content. Short answers teach little. */
void score_learn_speed(struct score *v, uint32_t row, uint64_t now_ms, uint64_t tokens,
                       uint64_t ns);
/* The provider said how much is left of its rate limit (0..SCORE_ONE) and in how many ms that
 * is reset. */
void score_learn_room(struct score *v, uint32_t row, uint64_t now_ms, uint32_t room,
                      uint64_t reset_ms);

/* Merge what all cores learned into this view, and adopt prices that came into force. Called
 * every SCORE_MERGE_MS. Bounded: at most SCORE_MERGE_ROWS_MAX rows a call that anybody learned
 * of, the rest in the next one. */
void score_merge(struct score *v, uint64_t now_ms, uint64_t now_unix_s);
/* Microseconds within which so many in a hundred of an endpoint's streams had their first
 * content, and *weight, in answers of evidence for it; 0: none. Nothing but what was learned:
 * a prior says little of a tail. Any thread. */
uint32_t score_ttft_at(const struct scores *s, uint32_t row, uint64_t now_ms,
                       enum score_percentile which, uint32_t *weight);
/* One endpoint's numbers. Any thread. */
void score_look(const struct scores *s, uint32_t row, uint64_t now_ms, struct score_look *out);
/* Take a model, or all of a provider, out of rotation or back; at once on every core. Any one
 * thread at a time. */
void score_set_model(struct scores *s, uint32_t model, enum score_state state);
/* See score_set_model(). */
void score_set_provider(struct scores *s, uint32_t provider, enum score_state state);
/* The state that holds for a model: its own or its provider's, whichever is further off. */
enum score_state score_state_of(const struct scores *s, uint32_t model);

#endif
