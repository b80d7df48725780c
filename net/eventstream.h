/* eventstream.h - splits Amazon's binary event streams (application/vnd.amazon.eventstream) in
 * contiguous memory, as sse.h does events of text: one whole message at a time, in place; the
 * caller keeps an unfinished one and calls again with it and what followed.
 *   total length | headers' length | CRC of both | headers | payload | CRC of all before it
 * Numbers are big endian, 4 bytes each; CRCs are CRC-32 as in zlib. Source: the Smithy
 * specification, "Amazon Event Stream". */
#ifndef NET_EVENTSTREAM_H
#define NET_EVENTSTREAM_H

#include "net/bytes.h"

enum {
    EVENTSTREAM_MIN = 16,              /* bytes of a message with nothing in it */
    EVENTSTREAM_MAX = 24 << 20,        /* bytes of a message, as AWS's own clients have it */
    EVENTSTREAM_HEADERS_MAX = 128 << 10,
};

enum eventstream_kind {
    EVENTSTREAM_EVENT,
    EVENTSTREAM_EXCEPTION,   /* one that the service's model knows: name is its type */
    EVENTSTREAM_ERROR,       /* any other: name is its code, text its message */
};

struct eventstream_message {           /* slices borrow from the input */
    uint8_t kind;                      /* enum eventstream_kind */
    struct bytes name;                 /* :event-type, :exception-type, :error-code */
    struct bytes text;                 /* :error-message */
    struct bytes payload;
};

/* Cut the next message off *in.
 *   in  borrows: starts at the first byte not yet cut. On NET_MORE it is left whole: call again
 *       with the same bytes and more behind them (they may have moved).
 * NET_OK   *m borrows from in
 * NET_MORE the message is not all here; *need (never 0) is how many bytes it has in all, or the
 *          fewest that tell more
 * NET_BAD  lengths or headers that cannot be, or a CRC that does not fit */
MUST_USE enum net_rc eventstream_next(struct bytes *in, struct eventstream_message *m,
                                      size_t *need);
/* CRC-32 (polynomial 0x04C11DB7, reflected) of more bytes behind those that gave crc; 0 at the
 * beginning. */
uint32_t eventstream_crc(uint32_t crc, struct bytes more);

#endif
