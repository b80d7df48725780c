/* answer.h - reads what a proxy answers to the load generator: status, length, body.
 * Framing by content-length or chunked coding (RFC 9112 section 6.3); anything else is bad.
 *   head -> body -> done, and the next answer begins
 * Rule: it checks what a lying or broken proxy would get wrong, and costs little enough not
 * to become the bottleneck: names are compared only where their first letter fits. */
#ifndef BENCH_ANSWER_H
#define BENCH_ANSWER_H

#include "net/chunk.h"

enum { ANSWER_HEAD_MAX = 8192 };  /* bytes of a head that came in pieces */

struct answer {           /* all zero is a fresh one; private but status and body_bytes */
    struct chunk chunk;
    uint64_t left;        /* of a body with content-length */
    uint64_t body_bytes;  /* of this answer so far */
    char *head;           /* ANSWER_HEAD_MAX bytes once needed */
    size_t kept;          /* bytes in head */
    int status;           /* of this answer once its head is read */
    bool in_body, is_chunked;
};

/* Advance by what was received.
 *   in    borrows; consumed
 *   body  out, on NET_OK only; borrows from in's memory
 * NET_OK    body holds 1.. bytes
 * NET_MORE  in is used up
 * NET_DONE  the answer ended; status and body_bytes are its own until the next call
 * NET_BAD   no HTTP, or no framing we take */
MUST_USE enum net_rc answer_next(struct answer *a, struct bytes *in, struct bytes *body);

/* Forget an answer that was under way, keep the memory. */
void answer_reset(struct answer *a);

/* Give the memory back. */
void answer_fini(struct answer *a);

#endif
