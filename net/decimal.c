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

/* Append a digit to value. False: it would exceed max. */
static bool digit_add(int64_t *value, unsigned digit, int64_t max)
{
    assert(digit <= 9 && max >= 9);
    if (*value > (max - (int64_t)digit) / 10) return false;
    *value = *value * 10 + (int64_t)digit;
    return true;
}

/* Append all of text, which must be digits and at least one. */
static bool digits_add(int64_t *value, struct bytes text, int64_t max)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c < '0' || c > '9' || !digit_add(value, (unsigned)(c - '0'), max)) return false;
    }
    return text.len > 0;
}

bool decimal_read(struct bytes text, unsigned decimals, bool is_signed, int64_t max,
                  int64_t *value)
{
    assert(decimals <= 18);
    int64_t read = 0;
    bool negative = is_signed && text.len > 0 && *text.ptr == '-';
    if (negative) bytes_cut(&text, 1);
    struct bytes whole = bytes_cut(&text, bytes_find(text, '.'));
    if (whole.len > 1 && *whole.ptr == '0') return false;
    if (!digits_add(&read, whole, max)) return false;
    bool has_point = text.len > 0;
    if (has_point) {
        bytes_cut(&text, 1);
        if (text.len > decimals || !digits_add(&read, text, max)) return false;
    }
    for (size_t i = text.len; i < decimals; i++) {
        if (!digit_add(&read, 0, max)) return false;
    }
    assert(read >= 0 && read <= max);
    *value = negative ? -read : read;
    return true;
}
