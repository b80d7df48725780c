/* varint.h - numbers in few bytes: LEB128, seven bits a byte, low ones first, written the one
 * shortest way, so that what is read would be written the same. */
#ifndef STORE_VARINT_H
#define STORE_VARINT_H

#include "store/store.h"

enum { VARINT_MAX = 10 };   /* bytes of the largest */

/* Write v, at most VARINT_MAX bytes. Gives where it ends. */
static inline uint8_t *varint_put(uint8_t *at, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) *at++ = (uint8_t)(v | 0x80);
    *at++ = (uint8_t)v;
    return at;
}

/* Read the number at *at, which moves behind it; end: of the bytes. False: no whole number of
 * at most 64 bits, written the one shortest way. */
static inline bool varint_next(const uint8_t **at, const uint8_t *end, uint64_t *v)
{
    *v = 0;
    for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
        uint8_t byte = *(*at)++;
        if (shift == 63 && byte > 1) return false;
        *v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return shift == 0 || byte != 0;
    }
    return false;
}

/* Numbers of either sign near zero stay short: 0, -1, 1, -2, ... become 0, 1, 2, 3, ... */
static inline uint64_t zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0);
}

/* What zigzag was given. */
static inline int64_t zigzag_back(uint64_t v)
{
    return (int64_t)(v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
}

#endif
