/* quality.h - what is known of a model's ability before anything is learned here: one number
 * per family on a scale where all known models together are N(0, 1), with a width (one
 * standard deviation) and what it rests on. Written by tools/catalog.py from published
 * figures; the configuration may say otherwise (models[].quality). The families and the levels
 * of effort are also what the features of a request are told in. */
#ifndef ROUTE_QUALITY_H
#define ROUTE_QUALITY_H

#include "net/bytes.h"

enum family {
    FAMILY_KNOWLEDGE, FAMILY_MATH, FAMILY_CODE, FAMILY_REASONING, FAMILY_INSTRUCTION,
    FAMILY_TOOLS, FAMILY_LONGCTX, FAMILY_VISION, FAMILY_MULTILINGUAL, FAMILY_CHAT, FAMILIES
};

enum effort {              /* ascending; what providers call max is EFFORT_XHIGH */
    EFFORT_UNSET, EFFORT_NONE, EFFORT_MINIMAL, EFFORT_LOW, EFFORT_MEDIUM, EFFORT_HIGH,
    EFFORT_XHIGH, EFFORTS
};

/* "knowledge", "math", ... as the catalogue and the configuration write them. Static text. */
const char *family_name(enum family family);
/* The family of exactly this name, or -1. */
int family_find(struct bytes name);
/* "none", "minimal", ... as the OpenAI dialect writes them; "" for EFFORT_UNSET. Static
 * text. */
const char *effort_name(enum effort effort);

enum quality_evidence {
    QUALITY_NOTHING,       /* not even a price: the middle of all models */
    QUALITY_PRICE,         /* price, and release date where that is known */
    QUALITY_ELSEWHERE,     /* published figures, but of other families only */
    QUALITY_FIGURES,       /* published figures of this family */
    QUALITY_STATED,        /* the configuration says so */
};

/* Widths in t, as measured on the models with figures: price and date only; figures of other
 * families only; n figures of the family make it ELSEWHERE / sqrt(1 + n), not below the least,
 * for a leaderboard is not the user's traffic. */
#define QUALITY_WIDTH_NOTHING 0.9f    /* the spread of all models */
#define QUALITY_WIDTH_FLAT 0.8f       /* a price without a date */
#define QUALITY_WIDTH_PRICE 0.6f
#define QUALITY_WIDTH_ELSEWHERE 0.4f
#define QUALITY_WIDTH_LEAST 0.15f
#define QUALITY_WIDTH_STATED QUALITY_WIDTH_LEAST   /* who runs it knows the traffic */

struct quality {
    float t[FAMILIES];     /* ability at the highest effort the model takes, about -3 to 3 */
    float width[FAMILIES]; /* > 0 */
    uint8_t evidence[FAMILIES];     /* enum quality_evidence */
    uint8_t figures[FAMILIES];      /* how many benchmarks, 255 and more as 255 */
    float effort[EFFORTS]; /* <= 0: what t loses at this effort; [EFFORT_UNSET] where the
                              request says none */
    uint8_t efforts;       /* bit per enum effort that the model takes; 0: it has no choice */
};

/* Where a percentage lies on the scale of t: the ability that so many percent of all known
 * models do not reach. percent: 0..100; the result is within -3..3. */
float quality_t(float percent);
/* The other way: 0..100. */
float quality_percent(float t);
/* The same for answers, without floating point: tenths of a percent. */
uint32_t quality_tenths(float t);
/* A t or a width in hundredths, rounded. */
int32_t quality_hundredths(float value);
/* t of a family at an effort: t[family] and what that effort takes off it. */
float quality_at(const struct quality *q, enum family family, enum effort effort);
/* A model that nothing is known of. */
void quality_nothing(struct quality *q);
/* A model of which only the price is known, in pico-dollars per token of output (0: not even
 * that). */
void quality_price(struct quality *q, int64_t output_pico);
/* The configuration states some families (a bit each, at least one) in millionths of a percent
 * (quality_t). The others keep what rests on figures; else they get the mean of what is stated,
 * with the width of figures from elsewhere. */
void quality_state(struct quality *q, unsigned families, const uint32_t micro[FAMILIES]);
/* A short text for an evidence: "figures", "elsewhere", ... Static. */
const char *quality_evidence_name(enum quality_evidence evidence);

#endif
