/* tokens.h - how many tokens a text has, told from its bytes: words by their length and
 * language, digits, marks, blanks, letters of other scripts. An estimate, in integers: it says
 * what a prompt may cost before it is sent, and whether it fits a model; and it stands in where
 * a provider tells no usage. Measured against o200k_base; other vocabularies count within a
 * few percent of that in English, and up to a third apart in other scripts. */
#ifndef ROUTE_TOKENS_H
#define ROUTE_TOKENS_H

#include "net/bytes.h"

struct features_ask;

enum tokens_kind {
#define KIND(name, english, near, far) TOKENS_##name,
#include "route/tokens.def"
#undef KIND
    TOKENS_KINDS
};

enum tokens_language { TOKENS_ENGLISH, TOKENS_NEAR, TOKENS_FAR, TOKENS_LANGUAGES,
                       TOKENS_COSTS };

enum {
    TOKENS_ONE = 256,           /* fractions of a token that are counted */
    TOKENS_RATIO_ONE = 65536,   /* a token a byte */
    TOKENS_RATIO_USUAL = TOKENS_RATIO_ONE / 4,  /* where no text is known */
    TOKENS_LOOK_MAX = 512,      /* bytes of one text that are looked at */
};

struct tokens {                 /* what was seen of texts; all zero to begin with; private */
    uint32_t bytes;             /* as written */
    int32_t cost[TOKENS_COSTS]; /* of the words in each language; of all else */
    uint16_t language[TOKENS_LANGUAGES];    /* small words that tell it */
};

/* Look at a text, a JSON string's contents as written, escapes and all; it may be cut anywhere.
 * Of a longer one only the first TOKENS_LOOK_MAX bytes. Borrows. At most 64 texts. */
void tokens_look(struct tokens *t, struct bytes text);
/* Tokens of what was seen, in 1/TOKENS_ONE. */
uint64_t tokens_seen(const struct tokens *t);
/* Tokens a byte of what was seen, in 1/TOKENS_RATIO_ONE; at least one for 64 bytes, at most two
 * a byte. TOKENS_RATIO_USUAL where nothing was seen. */
uint32_t tokens_ratio(const struct tokens *t);
/* Tokens of so many bytes, rounded up, at most UINT32_MAX. */
static inline uint32_t tokens_of(uint64_t bytes, uint32_t ratio)
{
    if (bytes > UINT64_MAX / (4 * TOKENS_RATIO_ONE)) return UINT32_MAX;
    uint64_t tokens = (bytes * ratio + TOKENS_RATIO_ONE - 1) / TOKENS_RATIO_ONE;
    return tokens > UINT32_MAX ? UINT32_MAX : (uint32_t)tokens;
}

/* What is stored of a request whose text will be gone. */
struct tokens_kept {
    uint32_t prompt;            /* tokens of the prompt with the tools, without what a provider
                                   puts around it */
    uint32_t answer_ratio;      /* of the answer, as far as the prompt lets one guess */
};
/* The tokens of a request, by its excerpts: each part has the ratio of its own, what is between
 * them that of all. Reads nothing but texts and sizes. Borrows. */
struct tokens_kept tokens_ask(const struct features_ask *ask);

#endif
