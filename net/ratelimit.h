/* ratelimit.h - what a provider's answer says of the room that is left under its rate limits.
 * No standard is followed by all (the IETF's draft-ietf-httpapi-ratelimit-headers by nobody
 * yet): the fields are read by what their names have in common,
 *   [x-|anthropic-]ratelimit-  limit | remaining | reset  with the words of a kind around it
 * ("requests", "tokens-minute", none), so that x-ratelimit-remaining-requests and
 * anthropic-ratelimit-requests-remaining are one thing. Whoever counts otherwise says nothing,
 * which is no error: these fields are hints of a peer that is not trusted. */
#ifndef NET_RATELIMIT_H
#define NET_RATELIMIT_H

#include "net/bytes.h"

enum {
    RATELIMIT_ONE = 10000,          /* all of a limit is left */
    RATELIMIT_KINDS_MAX = 8,        /* in one head; further ones are not looked at */
    RATELIMIT_MS_MAX = 86400000,    /* no time is believed beyond a day */
    RATELIMIT_AGAIN_MS = 1000,      /* a limit is used up and nobody says until when */
};

struct ratelimit {
    uint32_t wait_ms;       /* a limit is used up: until it is said to have room again, up to
                               RATELIMIT_MS_MAX; 0: none is */
    uint32_t reset_ms;      /* when the tightest limit is said to be whole again; 0 unsaid */
    uint16_t room;          /* what is left of the tightest limit, of RATELIMIT_ONE */
    bool said;              /* anything of the above; else room is RATELIMIT_ONE */
};

/* Read the field lines of a head.
 *   fields   borrows: struct http_head's, each line ended by CRLF
 *   unix_ns  now, for the forms that name a moment */
void ratelimit_read(struct bytes fields, uint64_t unix_ns, struct ratelimit *out);
/* Milliseconds from unix_ns to a reset, rounded up, at most RATELIMIT_MS_MAX; a moment that has
 * passed is 0. Forms: "12ms", "6m0s", "1h2m3.5s" (units d h m s ms us ns); "7.66" seconds; from
 * 1,000,000,000 on a Unix time in seconds, from 100,000,000,000 on in milliseconds; RFC 3339;
 * an HTTP date. False, and *ms untouched: it is none of them. */
MUST_USE bool ratelimit_time(struct bytes value, uint64_t unix_ns, uint64_t *ms);

#endif
