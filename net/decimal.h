/* decimal.h - numbers as decimal digits: one writer for heads, log lines and costs,
 * one reader for money. */
#ifndef NET_DECIMAL_H
#define NET_DECIMAL_H

#include "net/bytes.h"

enum { DECIMAL_MAX = 20 };   /* digits of the largest 64-bit number */

/* Write value with at least width (<= DECIMAL_MAX) digits, zeros in front, to the end of room.
 * Gives the digits; borrows from room. */
struct bytes decimal_put(char room[DECIMAL_MAX], uint64_t value, unsigned width);

/* Read all of text as a number such as "12.5": no needless zero in front, 1 to `decimals`
 * digits behind a point if there is one, no blanks; a '-' before it where is_signed. Nothing is
 * rounded: a digit too many is refused, also a zero. decimals: 0..18; max: 9..INT64_MAX, in
 * units of the last decimal. Gives *value in these units, at most max either way; false: it is
 * untouched. */
MUST_USE bool decimal_read(struct bytes text, unsigned decimals, bool is_signed, int64_t max,
                           int64_t *value);

#endif
