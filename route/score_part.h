/* score_part.h - the inside of score.h, for score.c, pass.c and plan.c alone.
 * A row is an endpoint (model x key) where learning is meant, and an arm (model x effort) where
 * columns are: arm i < model_count is model i at the effort the request has; behind those lie
 * arms of models that let `auto` choose an effort. What is learned of a model's keys is one
 * column entry: keys of one provider differ in room and cool-down, which are looked at when a
 * model is about to be chosen. Columns are padded to SCORE_GROUP arms that no mask lets in. */
#ifndef ROUTE_SCORE_PART_H
#define ROUTE_SCORE_PART_H

#include "route/catalog.h"
#include "route/score.h"

enum {
    SCORE_GROUP = 16,            /* arms whose least key is kept */
    SCORE_LINE = 64,
};

/* How sure a bound is: so many standard deviations, one-sided, are 75 %. Surer bounds leave the
 * strongest model alone for want of evidence; without any, published figures decide. */
#define SCORE_Z 0.67f

struct score_sum {               /* of one endpoint on one core, which alone writes it */
    _Atomic uint64_t ttft;       /* {mean, weight}: seconds */
    _Atomic uint64_t slow;       /* {mean, weight}: seconds a token */
    _Atomic uint64_t error;      /* {mean, weight}: share of failures */
    _Atomic uint64_t high_at;    /* {95th percentile of ttft, tick that weights are as of} */
    _Atomic uint64_t room;       /* {tick it was told, reset in ticks : 16, room : 16} */
    _Atomic uint64_t requests;
    _Atomic uint64_t others;     /* the other percentiles of ttft: 16 bits each, logarithms */
    _Atomic uint32_t in_flight;
    uint32_t pad;
};
static_assert(sizeof(struct score_sum) == SCORE_LINE, "a row is a cache line");

struct score_run { uint32_t first, count; uint16_t provider; };   /* arms of one provider */

struct score {
    struct scores *all;
    uint32_t idx;                /* of the thread */
    uint32_t next;               /* model that the next merge begins with */
    uint64_t price_until_s;      /* when another price comes into force */
    float tier_least;            /* prompt tokens above which some price is a tier's */
    /* by arm: prices in US dollars a token (unknown: in < 0), dollars a request */
    float *price_in, *price_cached, *price_out, *price_request;
    float *ttft, *slow;          /* seconds; seconds a token */
    float *tries;                /* how many until one succeeds */
    float *error, *risk;         /* share of failures; with its width and lack of room */
    float *room, *weight;        /* of the provider's limit; answers of evidence */
    /* scratch of plan_make() */
    int32_t *mask;               /* -1: not out yet */
    float *cost, *low, *key;
    float *least;                /* of key, by group */
    /* scratch of plan_explain(): which name led to an arm, its score, where it is shown */
    int32_t *seen;
    float *said, *shown;
};

struct pass_set;

struct scores {
    const struct catalog *catalog;
    const struct pass_set *set;  /* loops for this processor */
    uint32_t model_count, row_count, arm_count, padded, views, run_count;
    uint32_t *first_row;         /* by model, and one more: endpoints */
    uint32_t *first_arm;         /* by model, and one more: further arms */
    uint32_t *model;             /* by arm */
    uint8_t *effort;             /* by arm; EFFORT_UNSET: the request's */
    struct score_run *run;
    float *t[FAMILIES], *width[FAMILIES];       /* by arm; t at the highest effort */
    float *shift[EFFORTS], *mult[EFFORTS];      /* by arm: what an effort takes off t; tokens
                                    written for each one that is shown */
    int32_t *autos;              /* by arm: -1 one of auto's */
    int32_t *abilities;
    float *context;              /* tokens; unknown: very many */
    float *prior_ttft, *prior_slow;             /* by model */
    float strongest[FAMILIES];   /* t of the strongest model of auto's */
    _Atomic uint8_t *model_state, *provider_state;
    const breaker_word *key_word, *model_word;
    struct score_sum *sum;       /* by view, row */
    uint32_t words;              /* of touched, by view */
    _Atomic uint64_t *touched;   /* by view: bit per model that was ever learned of */
    struct score *view;
};

/* Places of least that groups of so many arms use, in whole groups again. */
static inline uint32_t score_groups(uint32_t arms)
{
    uint32_t groups = (arms + SCORE_GROUP - 1) / SCORE_GROUP;
    return (groups + SCORE_GROUP - 1) / SCORE_GROUP * SCORE_GROUP;
}

/* Is every key of the model open or cooling? */
bool score_cools(const struct scores *s, uint32_t model, uint64_t now_ms);

#endif
