/* line.h - composes short texts on the hot path, where the C library's formatting would cost
 * more than the rest of the work. Sticky when full; no end mark is written. */
#ifndef ENGINE_LINE_H
#define ENGINE_LINE_H

#include "net/decimal.h"

struct line {
    char *out;          /* borrows */
    size_t room, len;
    bool full;
};

/* Append bytes. copies. */
static inline void line_bytes(struct line *l, struct bytes b)
{
    if (l->full || l->room - l->len < b.len) {
        l->full = true;
        return;
    }
    if (b.len) memcpy(l->out + l->len, b.ptr, b.len);
    l->len += b.len;
}

/* Append a decimal number of at least width digits. */
static inline void line_uint(struct line *l, uint64_t value, unsigned width)
{
    char room[DECIMAL_MAX];
    line_bytes(l, decimal_put(room, value, width));
}

/* Append a literal and a number: the form of most fields. */
#define LINE_UINT(l, literal, value)                                                          \
    do {                                                                                      \
        line_bytes((l), BYTES(literal));                                                      \
        line_uint((l), (value), 1);                                                           \
    } while (0)

#endif
