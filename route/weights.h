/* weights.h - the file route/gain.weights: what tools/train writes and gain.c reads in place.
 * One layout for file and memory: little-endian, no padding, aligned as the arrays need.
 * Rule: a field that changes its meaning changes WEIGHTS_VERSION. */
#ifndef ROUTE_WEIGHTS_H
#define ROUTE_WEIGHTS_H

#include "route/features.h"

enum {
    WEIGHTS_VERSION = 1,
    WEIGHTS_WORDS = 1 << FEATURES_WORD_BITS,
    WEIGHTS_TREES = 48,
    WEIGHTS_NODES = 7,          /* of a tree: three questions deep */
    WEIGHTS_LEAVES = 8,
    WEIGHTS_UNIT = 65536,       /* a leaf of so much is a gain of 1 */
};

#define WEIGHTS_MAGIC "weirgain"

struct weights_tree {
    int16_t leaf[WEIGHTS_LEAVES];       /* 1/WEIGHTS_UNIT */
    int16_t threshold[WEIGHTS_NODES];   /* go right above it */
    uint8_t feature[WEIGHTS_NODES];     /* enum feature */
    uint8_t zero[3];
};

/* Also the model in memory. */
struct gain_model {
    char magic[8];
    uint32_t version;           /* WEIGHTS_VERSION */
    uint32_t bytes;             /* of all this */
    uint32_t features;          /* FEATURES when it was written */
    uint32_t crc;               /* CRC-32C of what is behind it */
    uint32_t id;                /* tells trainings apart; 0: nothing is trained */
    float word_scale;           /* a word's weight of 1 is so much gain */
    float mean[FEATURES];       /* of each number over the rows trained on */
    float scale[FEATURES];      /* one over its standard deviation; 0 where it never varies */
    int8_t word[WEIGHTS_WORDS];
    struct weights_tree tree[WEIGHTS_TREES];
};
static_assert(sizeof(struct weights_tree) == 40, "no padding");
static_assert(sizeof(struct gain_model) <= 32 * 1024, "stays in the first caches");

/* CRC-32C over what follows the member crc. */
uint32_t weights_crc(const struct gain_model *m);
/* The trained part of a gain, bounded: 1/WEIGHTS_UNIT. by is NULL, or where the part of each
 * enum gain_reason is added. */
int32_t weights_score(const struct gain_model *m, const struct features *f, int32_t *by);

#endif
