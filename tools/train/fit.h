/* fit.h - makes the weights of route/weights.h from rows: a ridge over hashed words, then
 * boosted trees over the dense numbers of what is left. Everything is drawn from a seed; the
 * same rows in the same order give the same bytes. */
#ifndef TRAIN_FIT_H
#define TRAIN_FIT_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

struct features;
struct gain_model;
struct rows;

struct fit_sample {
    const struct features *f;
    float y;                    /* what the trained part is to say */
    float weight;               /* > 0 */
};

struct fit_options {
    uint64_t seed;
    unsigned trees;             /* at most WEIGHTS_TREES */
    float ridge;                /* of the words */
    float rate;                 /* of each tree */
    float leaf;                 /* added to a leaf's weight: shrinks small leaves */
};

extern const struct fit_options fit_usual;

/* Fit to the samples; out is written whole, checksum included. Borrows. */
void fit_weights(const struct fit_sample *s, size_t count, const struct fit_options *o,
                 struct gain_model *out);
/* The target of each of these rows: its gain less the mean of its source, less what the rule
 * prior says of it already, so that what is trained adds to the rule. Rows need a pair. */
void fit_targets(const struct rows *r, const size_t *at, size_t count, struct fit_sample *out);

#endif
