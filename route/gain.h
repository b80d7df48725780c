/* gain.h - how much is expected to be lost when a weak model answers a request in place of a
 * strong one: the expected gain of the stronger model. Not difficulty: where both fail, paying
 * more buys nothing.
 * It is a sum: a prior by rule (task, length), what was trained (route/gain.weights, written
 * by tools/train: a table of hashed words and small trees), and what was learned of one tenant
 * from outcomes. Each part is told apart in the reasons. What it means for other models than
 * those two is curve.h's. */
#ifndef ROUTE_GAIN_H
#define ROUTE_GAIN_H

#include "route/features.h"

#define GAIN_SPAN 2.0f      /* so far below the strongest (in t) an outcome teaches in full */

enum {
    GAIN_ONE = 10000,           /* a gain of 1: the weak model always fails, the strong never */
    GAIN_REASONS = 3,
    GAIN_DIMENSIONS = FEATURES_LEARNED,
    GAIN_COVARIANCE = GAIN_DIMENSIONS * (GAIN_DIMENSIONS + 1) / 2,
};

enum gain_reason {
    GAIN_NOTHING,               /* no (further) reason */
    GAIN_TASK,                  /* prior of the task */
    GAIN_LENGTH,                /* prior of the length */
    GAIN_TOPIC,                 /* words, as trained */
    GAIN_NUMBERS,               /* numbers and formulas, as trained */
    GAIN_CHOICES,               /* options to choose from, as trained */
    GAIN_CODE,                  /* code, as trained */
    GAIN_STYLE,                 /* how it is written, as trained */
    GAIN_TOOLS,                 /* tools that are offered */
    GAIN_LEARNED,               /* the tenant's outcomes */
    GAIN_REASON_COUNT
};

struct gain {
    float exact;                /* expected, 0..1, never quite either: fit to rank by */
    uint16_t gain;              /* the same, 0..GAIN_ONE */
    uint16_t width;             /* one standard deviation of that expectation */
    uint8_t reason[GAIN_REASONS];       /* enum gain_reason, largest first */
    int16_t share[GAIN_REASONS];        /* what each adds (or takes), of GAIN_ONE */
    bool learned;               /* the tenant's outcomes had a part */
    int32_t trained;            /* the weights' part, for gain_keep_scored */
};

/* What one tenant's outcomes taught: a Bayesian linear correction. No pointers: may be stored
 * and copied as it is, on machines of the same byte order. All zero knows nothing. */
struct gain_tenant {
    uint32_t model_id;          /* of the weights it was learned beside: new ones start anew */
    float weight;               /* outcomes taken in */
    float mean[GAIN_DIMENSIONS];        /* the last: the loss that no choice of model
                                           explains */
    float covariance[GAIN_COVARIANCE];  /* lower triangle, by rows */
};
static_assert(sizeof(struct gain_tenant) <= 2048, "one per tenant, in the store and in memory");

struct gain_model;              /* read-only, for ever */

/* The weights compiled in. Never NULL. */
const struct gain_model *gain_builtin(void);
/* The weights of a file as tools/train writes them. text borrows for as long as they are used,
 * aligned as uint32_t. NULL: not such a file, of another version or machine, or damaged. */
const struct gain_model *gain_open(struct bytes text);
/* Expected gain of one request. tenant borrows, NULL: nobody's. Never allocates. */
void gain_score(const struct gain_model *m, const struct gain_tenant *tenant,
                const struct features *f, struct gain *out);
/* Keep what gain_learn needs of a request. */
void gain_keep(const struct gain_model *m, const struct features *f, struct features_kept *out);
/* The same of a request that gain_score, with the same weights, made scored of: half the
 * work. */
void gain_keep_scored(const struct gain_model *m, const struct features *f,
                      const struct gain *scored, struct features_kept *out);
/* An outcome is known.
 *   weak_share  how far below the strongest candidate the model that answered is, 0..1:
 *               (t_best - t_model) / GAIN_SPAN, clamped. At 0 only the usual loss is learned
 *   loss        1 - score of the outcome, 0..1
 *   weight      how sure the outcome is: 1 a statement of the user, less for weak signs */
void gain_learn(struct gain_tenant *t, const struct gain_model *m,
                const struct features_kept *k, float weak_share, float loss, float weight);
/* The gain itself is known (both models were asked): -1..1. */
void gain_learn_label(struct gain_tenant *t, const struct gain_model *m,
                      const struct features_kept *k, float label, float weight);
/* What a tenant's mean[] is of, 0..GAIN_DIMENSIONS - 1: a feature's or a task's name, "tools
 * ...", or "level", "trained", "prior" (parts of the estimate); all are different. NULL: the
 * loss that is no gain. Static text. */
const char *gain_dimension_name(unsigned dimension);
/* A reason as a word of the logs and of x-weir-explain. Static text. */
const char *gain_reason_text(enum gain_reason reason);

#endif
