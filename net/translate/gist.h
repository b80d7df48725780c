/* gist.h - what a text comes down to, as a number of 128 bits: two texts that say the same in
 * other words for the same value (1,000 and 1000.0; members in another order) have the same
 * one. For agree.c. Nothing here allocates or fails; what is no JSON, or deeper than
 * GIST_DEPTH, says so at its end. */
#ifndef NET_TRANSLATE_GIST_H
#define NET_TRANSLATE_GIST_H

#include "net/json.h"

enum { GIST_DEPTH = 12 };    /* containers inside each other */

struct gist { uint64_t h[2]; };

/* Begin one: of which kind tells apart what is written alike. */
struct gist gist_begin(unsigned kind);
/* Add bytes, in order. */
void gist_put(struct gist *g, struct bytes b);
/* Add another one, in order. */
void gist_add(struct gist *g, const struct gist *other);

struct gist_number {         /* a decimal number, by value; all zero: fresh */
    struct gist digits;
    int64_t point, power;    /* of 0.DIGITS x 10^point; what its exponent says */
    uint32_t zeros;          /* that may be the last ones */
    uint8_t seen;            /* bits: what of it has been there */
    bool negative, power_negative, bad;
};
/* The next byte of one: digit, sign, point, e, E. */
void gist_number_put(struct gist_number *n, char c);
/* It is over. False: it was none. */
MUST_USE bool gist_number_end(const struct gist_number *n, struct gist *out);

struct gist_json {           /* a JSON document, by value; all zero: fresh. Private */
    struct {
        struct gist sum, key;
        bool object;
    } at[GIST_DEPTH];
    struct gist value;       /* the one that is being read, or the root's */
    struct gist_number number;
    struct json_unescaper escape;
    uint8_t depth, state;
    bool key, first;
};
/* The next bytes of it. */
void gist_json_put(struct gist_json *j, struct bytes b);
/* It is over. False: it is no JSON, or too deep. */
MUST_USE bool gist_json_end(struct gist_json *j, struct gist *out);

/* A short text, by its words: without case, quotes, emphasis, punctuation that ends or parts
 * sentences; numbers by value. count: of its words and signs. */
struct gist gist_words(struct bytes text, unsigned *count);

#endif
