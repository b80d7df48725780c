/* chunk.h - chunked transfer coding (RFC 9112 section 7.1), decode side and size lines.
 * Hands out body bytes in place, never copies. Strict wherever two parsers could
 * disagree on the end of a message: CRLF only, and no whitespace around the size
 * (section 7.1.1 tolerates BWS; we refuse it on purpose). Extensions and trailers are
 * checked against their grammar and dropped. */
#ifndef NET_CHUNK_H
#define NET_CHUNK_H

#include "net/bytes.h"

enum {
    CHUNK_DIGITS_MAX = 8,      /* hex digits in one size, so a chunk is < 4 GiB */
    CHUNK_FRAMING_MAX = 4096,  /* bytes: one size line, or the trailer section */
    CHUNK_EXTRA_MAX = 65536,   /* bytes of chunk extensions in one body */
    CHUNK_LINE_MAX = 12,       /* bytes chunk_line may write */
};

struct chunk {          /* all zero is a fresh decoder; fields are private */
    uint64_t left;      /* data bytes the current chunk still owes */
    uint32_t extra;     /* bytes of chunk extensions so far, all chunks together */
    uint16_t framing;   /* bytes of the size line or trailer so far */
    uint8_t digits;     /* hex digits of the size so far */
    uint8_t state;      /* enum chunk_state */
};

/* Advance to the next piece of body.
 *   in    borrows; on return it starts after what was consumed
 *   body  out, on NET_OK only; borrows from in's memory
 * NET_OK    body holds 1.. bytes
 * NET_MORE  in is used up: call again with the bytes that follow
 * NET_DONE  body and trailers ended; in starts at the next message
 * NET_BAD   framing error; stays bad: answer 400 or 502 and close */
MUST_USE enum net_rc chunk_next(struct chunk *c, struct bytes *in, struct bytes *body);

/* Write the size line of a chunk of data_bytes (1..UINT32_MAX, what chunk_next accepts): hex
 * and CRLF. Gives its length. */
size_t chunk_line(uint64_t data_bytes, char out[CHUNK_LINE_MAX]);

#endif
