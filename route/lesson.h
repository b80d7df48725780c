/* lesson.h - what one request may teach of its organisation, once its outcome is known: the
 * numbers kept of it (features.h) and how far below the strongest model the one that answered
 * is. Integers outside, floats within: engine and store keep lessons and tenants as they are.
 * Pure; any thread. */
#ifndef ROUTE_LESSON_H
#define ROUTE_LESSON_H

#include "route/features.h"

struct catalog;
struct gain_tenant;

enum { LESSON_WEIGHTS = 5 };

struct lesson {
    struct features_kept kept;
    uint16_t below;              /* of GAIN_ONE: 0 the strongest, GAIN_ONE GAIN_SPAN below it */
};

struct lesson_scale {            /* of a catalogue */
    float best[FAMILIES];        /* ability of its strongest model */
};

struct lesson_weight {           /* what a tenant's correction leans on */
    const char *name;            /* of a dimension; NULL: no further one */
    int32_t weight;              /* gain for one unit of it, of GAIN_ONE */
};

/* The strongest of each family. */
void lesson_scale_make(const struct catalog *c, struct lesson_scale *out);
/* How far below it a model is, of GAIN_ONE. */
uint16_t lesson_below(const struct lesson_scale *s, const struct quality *q,
                      enum family family);
/* Let a tenant learn it. score: of the outcome, 0 bad .. GAIN_ONE good; weight: how sure that
 * is, 1..GAIN_ONE. t: all zero knows nothing yet. */
void lesson_learn(struct gain_tenant *t, const struct lesson *l, uint32_t score,
                  uint32_t weight);
/* The largest weights, largest first. */
void lesson_weights(const struct gain_tenant *t, struct lesson_weight out[LESSON_WEIGHTS]);

#endif
