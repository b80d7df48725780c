/* translate.h - what the targets of translation share: the first byte of an input is the size
 * of the pieces that the rest is cut into; what must hold is in tests/unit/tr_props.h. */
#ifndef TESTS_FUZZ_TRANSLATE_H
#define TESTS_FUZZ_TRANSLATE_H

#include "tests/unit/tr_props.h"

/* A request. Gives what a target gives. */
static inline int fuzz_ask(enum api api, const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    (void)props_ask(api, (struct bytes){(const char *)data + 1, size - 1}, data[0]);
    return 0;
}

/* An answer: a whole one, or with the first bit of the first byte a stream, an event's data a
 * line. */
static inline int fuzz_tell(enum api api, const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    struct bytes in = {(const char *)data + 1, size - 1};
    if (data[0] & 1) props_tell_stream(api, in, data[0] >> 1);
    else (void)props_tell_whole(api, in, data[0] >> 1);
    return 0;
}

#endif
