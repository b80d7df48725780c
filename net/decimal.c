/* decimal.c - see decimal.h. Two digits at a time, and by multiplication where 32 bits suffice;
 * most numbers are lengths and milliseconds of a few digits. */
#include "net/decimal.h"

struct bytes decimal_put(char room[DECIMAL_MAX], uint64_t value, unsigned width)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
        "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
        "8081828384858687888990919293949596979899";
    size_t at = DECIMAL_MAX;
    assert(width <= DECIMAL_MAX);
    for (; value > UINT32_MAX; value /= 10) room[--at] = (char)('0' + value % 10);
    uint32_t left = (uint32_t)value;  /* divided by multiplying */
    for (; left >= 10; left /= 100) {
        at -= 2;
        memcpy(room + at, pairs + left % 100 * 2, 2);
    }
    if (left > 0 || at == DECIMAL_MAX) room[--at] = (char)('0' + left);
    while (DECIMAL_MAX - at < width) room[--at] = '0';
    return (struct bytes){room + at, DECIMAL_MAX - at};
}
