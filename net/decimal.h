/* decimal.h - numbers as decimal digits: one writer for heads, log lines and costs. */
#ifndef NET_DECIMAL_H
#define NET_DECIMAL_H

#include "net/bytes.h"

enum { DECIMAL_MAX = 20 };   /* digits of the largest 64-bit number */

/* Write value with at least width (<= DECIMAL_MAX) digits, zeros in front, to the end of room.
 * Gives the digits; borrows from room. */
struct bytes decimal_put(char room[DECIMAL_MAX], uint64_t value, unsigned width);

#endif
