/* sigv4.h - AWS Signature Version 4 for one kind of request: a POST without a query whose whole
 * body is known ("Signature Version 4 signing process", AWS General Reference). Pure but for
 * the hash, which comes from the TLS library; nothing is allocated, so that a core may sign.
 *
 *   canonical request -> its SHA-256 -> string to sign -> HMAC with the day's key */
#ifndef NET_SIGV4_H
#define NET_SIGV4_H

#include "net/bytes.h"

#include <openssl/sha.h>

enum {
    SIGV4_HASH = 32,
    SIGV4_LINES_MAX = 4096 + 512,      /* bytes of the lines, token and names in bounds */
    SIGV4_ID_MAX = 128, SIGV4_SECRET_MAX = 256, SIGV4_TOKEN_MAX = 4096,
    SIGV4_WORD_MAX = 64,               /* region, service */
};

struct sigv4_key {           /* borrows; secret: not to be printed */
    struct bytes id, secret;
    struct bytes token;      /* of temporary credentials; empty: none */
    struct bytes region;     /* "eu-central-1" */
    struct bytes service;    /* "bedrock" */
};

/* Are all parts there and within their bounds, of visible ASCII characters? */
bool sigv4_key_is_fine(const struct sigv4_key *k);
/* Write the header lines that sign a request, "x-amz-date", "authorization" and, with a token,
 * "x-amz-security-token", each with its CRLF.
 *   host   the host field's value as sent
 *   path   as sent, percent-encoded; it is encoded once more for the canonical request, as
 *          every service but S3 wants it
 *   hash   SHA-256 of the body
 *   room   SIGV4_LINES_MAX is always enough
 * Gives the length; 0: no room. What is written holds the token: wiped by the caller. */
size_t sigv4_put(const struct sigv4_key *k, uint64_t unix_s, struct bytes host,
                 struct bytes path, const uint8_t hash[SIGV4_HASH], char *out, size_t room);

#endif
