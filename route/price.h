/* price.h - prices as exact integers: pico-dollars per token, nano-dollars of cost.
 * A decimal string of US dollars per 1M tokens with up to 6 decimals is an integer number of
 * pico-dollars per token ("0.10" -> 100,000). Never floating point. */
#ifndef ROUTE_PRICE_H
#define ROUTE_PRICE_H

#include "net/bytes.h"

/* Same order as store/journal.h enum token_kind (engine asserts it). */
enum price_kind {
    PRICE_INPUT, PRICE_CACHED, PRICE_CACHE_WRITE, PRICE_CACHE_WRITE_1H, PRICE_OUTPUT,
    PRICE_AUDIO_INPUT, PRICE_AUDIO_OUTPUT, PRICE_IMAGE_INPUT, PRICE_KINDS
};

enum { PRICE_TIERS_MAX = 4, PRICE_DATES_MAX = 4 };

struct price_tier {
    uint64_t above;             /* prompt tokens, cached ones included, over this */
    int64_t kind[PRICE_KINDS];  /* pico-dollars per token */
};

struct price {
    uint64_t from_unix_s;       /* in force from then; 0: always */
    int64_t kind[PRICE_KINDS];  /* pico-dollars per token */
    int64_t request;            /* pico-dollars per request */
    uint8_t tier_count;
    bool known;                 /* false: nobody stated a price */
    struct price_tier tier[PRICE_TIERS_MAX];   /* ascending by above */
};

struct price_list { uint8_t count; struct price at[PRICE_DATES_MAX]; };  /* ascending by from */

/* Parse all of "12.345678": US dollars per 1M tokens, 1 to 9 integer digits, 6 exact decimals
 * (further ones only if zero), digits on both sides of a point, no sign, no blanks. Gives
 * *pico_per_token and true; or false and it is untouched. */
MUST_USE bool price_parse(struct bytes text, int64_t *pico_per_token);
/* The same for US dollars per request: 1 to 6 integer digits, 9 exact decimals. Gives
 * pico-dollars. */
MUST_USE bool price_parse_usd(struct bytes text, int64_t *pico);
/* Fill what a price list leaves open: cached = input, 5-minute writes = 1.25 x input (half a
 * pico-dollar up), 1-hour = 2 x input (contract.md section 3), audio and image input = input,
 * audio output = output; input and output that nobody stated are 0. given: bit per price_kind
 * that was stated. Applies to the base and each tier alike. */
void price_complete(int64_t kind[PRICE_KINDS], unsigned given);
/* The same for a tier that may leave more open than the base did: its input, output, audio and
 * image prices are the base's where it states none, so that a tier of {above, input} does not
 * give output away; the rest as price_complete(). base: completed, base_given as it was. */
void price_tier_complete(const int64_t base[PRICE_KINDS], unsigned base_given,
                         int64_t kind[PRICE_KINDS], unsigned given);
/* The price in force at unix_s; NULL where the list is empty or begins later. Borrows. */
const struct price *price_at(const struct price_list *list, uint64_t unix_s);
/* The per-kind prices for a prompt of so many tokens (fresh + cached + cache writes + audio and
 * image input): the base's or the highest tier's that applies. Borrows. */
const int64_t *price_kinds(const struct price *p, uint64_t prompt_tokens);
/* Cost in nano-dollars: sum of tokens x price (128-bit), plus per request, rounded half up
 * once. Saturates at INT64_MAX. */
int64_t price_cost(const int64_t kind[PRICE_KINDS], int64_t request,
                   const uint32_t tokens[PRICE_KINDS]);

#endif
