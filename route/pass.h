/* pass.h - the arithmetic of a plan: one question put to the columns of a score view, some
 * hundred arms at a time, in vectors. What is written is scratch space of the view.
 *   pass_sieve  who may answer, by numbers; what they cost; how strong they surely are
 *   pass_key    the mode's score of each, with the quality floor
 * Rule: no branches by arm, and none that plan.c could take instead. */
#ifndef ROUTE_PASS_H
#define ROUTE_PASS_H

#include "route/plan.h"

/* Keys are positive: what the mode minds, less is better, below PASS_BELOW; from there on
 * those that missed the floor, the strongest first; PASS_OUT is no candidate. */
#define PASS_BELOW 1e20f
#define PASS_OUT 1e30f
#define PASS_T_MAX 16.0f         /* beyond any ability */
#define PASS_COST_LEAST 1e-9f    /* US dollars: what is free is not infinitely cheap, */
#define PASS_COST_UNKNOWN 1e3f   /* and what has no price is dearer than all that has */

struct pass {                    /* fields are pass.c's, but for those that plan.c sets */
    struct score *v;             /* borrows */
    const float *t, *width, *shift, *mult;      /* columns of the family and the effort */
    float gain, gain_width;      /* 0..1 */
    float floor;                 /* share of the strongest's quality; 0: none */
    float enough;                /* the least lower bound of t that keeps to it */
    float may;                   /* the least t that keeps to it by the means */
    float in, out, fit;          /* tokens; fit: what must find place in the context */
    /* The score is (cost_base + cost_share x cost) x (time_base + time_share x time); or with
     * logs, for balances that are not half and half, cost_power log2 cost + time_power log2
     * time + 256; with risks, of availability, it comes behind that of failing. */
    float cost_base, cost_share, time_base, time_share, cost_power, time_power;
    bool logs, risks;
    float ttft_max;              /* seconds */
    float best, best_low;        /* t, and its lower bound, of the strongest */
    int32_t needs;               /* enum model_ability bits */
    bool need_price;
    uint8_t mode;                /* enum plan_mode */
    bool wide;                   /* for auto: with a floor */
    uint32_t arms;               /* candidates; without further efforts where the request
                                    states one */
    uint32_t count;              /* the same up to a multiple of SCORE_GROUP */
};

/* The loops for one instruction set: of pass_cost, pass_sieve, pass_key; and the least
 * of some floats. */
struct pass_set {
    void (*cost)(const struct pass *p, uint32_t from, uint32_t to);
    int32_t (*sieve)(const struct pass *p, float *low);
    void (*key)(const struct pass *p, uint32_t from, uint32_t to);
    float (*least)(const float *at, uint32_t count);    /* count: of SCORE_GROUP */
};

extern const struct pass_set pass_narrow;
#if defined(__x86_64__)
extern const struct pass_set pass_avx2, pass_avx512;
#endif

/* The best one for this processor. */
const struct pass_set *pass_set_best(void);
/* Prepare for a question: of auto, with a floor, or of models that were named, without. */
void pass_open(struct pass *p, const struct plan_ask *ask, enum plan_mode mode, bool wide);
/* Cost, and t's lower bound, of arms from..to (multiples of SCORE_GROUP; to <= count). */
void pass_cost(const struct pass *p, uint32_t from, uint32_t to);
/* Begin with auto: clear the mask of arms that cannot answer; their low is -PASS_OUT. Gives the
 * arm with the highest low, as pass_strongest(). */
int32_t pass_sieve(const struct pass *p, float *low);
/* The strongest is known: its t and its lower bound. */
void pass_floor(struct pass *p, float best, float best_low);
/* The key of arms from..to and the least of each group. Those out have PASS_OUT. */
void pass_key(const struct pass *p, uint32_t from, uint32_t to);
/* The arm with the highest low; -1: all are out. Gives its low. */
int32_t pass_strongest(const struct pass *p, float *low);
/* The arm with the least key, the first of equals; -1: all are out. */
int32_t pass_least(const struct pass *p);
/* The key of one arm was changed by hand. */
void pass_mend(const struct pass *p, uint32_t arm);
/* All the numbers of an arm that cost and keys were made for; score is cost, time, cost^a x
 * time^b, or the risk of failing. */
void pass_view(const struct pass *p, uint32_t arm, struct plan_view *out);
/* Share of such requests that an arm is expected to answer well, by the means. The floor is
 * set. */
float pass_success(const struct pass *p, uint32_t arm);
/* The same of the strongest. */
float pass_success_best(const struct pass *p);
/* Lower the cost of an arm, made before: so many tokens of its prompt are cached there. */
void pass_cached(const struct pass *p, uint32_t arm, uint32_t tokens);
/* Make the cost of an arm with exactly these prices (of a tier). */
void pass_reprice(const struct pass *p, uint32_t arm, float in, float out);

#endif
