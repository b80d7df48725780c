/* lesson.c - see lesson.h. */
#include "route/lesson.h"
#include "route/catalog.h"
#include "route/gain.h"

#include <math.h>
#include <stdlib.h>

void lesson_scale_make(const struct catalog *c, struct lesson_scale *out)
{
    for (unsigned f = 0; f < FAMILIES; f++) {
        out->best[f] = -INFINITY;
        for (uint32_t m = 0; m < c->model_count; m++) {
            float t = quality_at(&c->model[m].quality, (enum family)f, EFFORT_UNSET);
            if (t > out->best[f]) out->best[f] = t;
        }
    }
}

uint16_t lesson_below(const struct lesson_scale *s, const struct quality *q,
                      enum family family)
{
    assert(family < FAMILIES);
    float share = (s->best[family] - quality_at(q, family, EFFORT_UNSET)) / GAIN_SPAN;
    if (!(share > 0)) return 0;
    return share < 1 ? (uint16_t)(share * GAIN_ONE) : GAIN_ONE;
}

/* One outcome is one opinion: it weighs this much of what a label of both models weighs, so
 * that a single score cannot turn an organisation's routing about. */
static const float trust = 0.25f;

void lesson_learn(struct gain_tenant *t, const struct lesson *l, uint32_t score,
                  uint32_t weight)
{
    assert(score <= GAIN_ONE);
    assert(weight > 0 && weight <= GAIN_ONE && l->below <= GAIN_ONE);
    const float one = GAIN_ONE;
    gain_learn(t, gain_builtin(), &l->kept, (float)l->below / one,
               1 - (float)score / one, trust * (float)weight / one);
}

void lesson_weights(const struct gain_tenant *t, struct lesson_weight out[LESSON_WEIGHTS])
{
    for (unsigned i = 0; i < LESSON_WEIGHTS; i++) out[i] = (struct lesson_weight){0};
    for (unsigned d = 0; d < GAIN_DIMENSIONS; d++) {
        const char *name = gain_dimension_name(d);
        int32_t weight = name ? (int32_t)(t->mean[d] * GAIN_ONE) : 0;
        unsigned at = LESSON_WEIGHTS;
        while (at > 0 && abs(out[at - 1].weight) < abs(weight)) at--;
        if (at == LESSON_WEIGHTS) continue;
        for (unsigned i = LESSON_WEIGHTS - 1; i > at; i--) out[i] = out[i - 1];
        out[at] = (struct lesson_weight){name, weight};
    }
}
