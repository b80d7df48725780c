/* rows.h - outcomes of models to train on and to measure with: rows of the JSON Lines files
 * described in the data's README (id, source, family, group, split, key, prompt, tools, scores,
 * use). Features are made by the product's own code. Model: everything stays in memory until
 * the program ends. */
#ifndef TRAIN_ROWS_H
#define TRAIN_ROWS_H

#include "route/features.h"

enum { ROWS_SOURCES_MAX = 64, ROWS_NAMES_MAX = 512, ROWS_SPLIT_TRAIN = 0, ROWS_SPLIT_DEV = 1 };

struct row {
    struct bytes id, prompt, tools;     /* raw; tools is JSON, unescaped; borrow */
    uint64_t key;               /* equal for the same question */
    uint32_t tie;               /* order among equal scores */
    uint16_t source, family, group;     /* indexes of names */
    uint8_t split;              /* ROWS_SPLIT_* */
    bool may_train;             /* use = train */
    bool paired;                /* strong and weak are known */
    float strong, weak;         /* score of the source's pair, 0..1 */
    float weight;               /* beside rows of other sources */
    struct features features;
};

struct rows {
    struct row *at;
    size_t count;
    struct bytes name[ROWS_NAMES_MAX];  /* of sources, families, groups */
    uint16_t name_count;
};

/* Read all rows of a stream. Ends the program with a sentence for what is no such row. */
void rows_read(struct rows *r, FILE *in);
/* Index of a name, or ROWS_NAMES_MAX where no row has it. */
uint16_t rows_name(const struct rows *r, struct bytes name);
/* What a request of one user message, and these tools, asks. Both raw as in struct row. */
void rows_ask(struct bytes prompt, struct bytes tools, struct features_ask *out);

#endif
