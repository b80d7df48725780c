/* pass.h - the arithmetic of a plan: one question put to the columns of a score view, some
 * hundred arms at a time, in vectors. What is written is scratch space of the view.
 *   pass_sieve  who may answer, by numbers; what they cost; how strong they surely are
 *   pass_key    the mode's score of each, with the quality floor
 * Rule: no branches by arm, and none that plan.c could take instead. */
#ifndef ROUTE_PASS_H
#define ROUTE_PASS_H

#include "route/plan.h"

/* Keys. The score of a mode lies within +-PASS_SCORE_MAX; what comes behind all of those that
 * are better by rank, not by score, is further by a whole step. */
#define PASS_SCORE_MAX 120.0f
#define PASS_BELOW 256.0f        /* missed the floor */
#define PASS_PLACE 1024.0f       /* a place in provider.order */
#define PASS_OUT 1e30f           /* is no candidate */

struct pass {                    /* fields are pass.c's, but for those that plan.c sets */
    struct score *v;             /* borrows */
    const float *t, *width, *shift, *mult;      /* columns of the family and the effort */
    float gain, gain_width;      /* 0..1 */
    float limit;                 /* loss of quality from which on the floor is missed */
    float in, out, fit;          /* tokens; fit: what must find place in the context */
    float cost_power, time_power, risk_power;
    float ttft_max;              /* seconds */
    float best, best_low;        /* t, and its lower bound, of the strongest: plan.c's */
    int32_t needs;               /* enum model_ability bits */
    bool need_price;
    bool wide;                   /* for auto: with a floor */
    uint32_t arms;               /* candidates; without further efforts where the request
                                    states one */
    uint32_t count;              /* the same up to a multiple of SCORE_GROUP */
};

/* Prepare for a question: of auto, with a floor, or of models that were named, without. */
void pass_open(struct pass *p, const struct plan_ask *ask, enum plan_mode mode, bool wide);
/* Cost, and t's lower bound, of arms from..to (multiples of SCORE_GROUP; to <= count). */
void pass_cost(const struct pass *p, uint32_t from, uint32_t to);
/* Clear the mask of arms that cannot answer, and give low of all others its bound; of the rest
 * it is -PASS_OUT. */
void pass_sieve(const struct pass *p);
/* The key of arms from..to and the least of each group. Those out have PASS_OUT. */
void pass_key(const struct pass *p, uint32_t from, uint32_t to);
/* The arm with the highest low; -1: all are out. Gives its low. */
int32_t pass_strongest(const struct pass *p, float *low);
/* The arm with the least key, the first of equals; -1: all are out. */
int32_t pass_least(const struct pass *p);
/* The key of one arm was changed by hand. */
void pass_mend(const struct pass *p, uint32_t arm);
/* All the numbers of an arm that cost and keys were made for. */
void pass_view(const struct pass *p, uint32_t arm, struct plan_view *out);
/* Lower the cost of an arm, made before: so many tokens of its prompt are cached there. */
void pass_cached(const struct pass *p, uint32_t arm, uint32_t tokens);
/* Make the cost of an arm with exactly these prices (of a tier). */
void pass_reprice(const struct pass *p, uint32_t arm, float in, float out);

#endif
