/* addr.h - network addresses of peers as values: parsed from text, written as text, compared
 * with networks. An IPv4 address has one form only: what comes as IPv4-mapped IPv6 (RFC 4291
 * section 2.5.5.2) is turned into it, so that ::ffff:10.0.0.1 is in 10.0.0.0/8 and not in
 * ::/0. No ports: they tell nothing about who asks. */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include "net/bytes.h"

enum {
    ADDR_TEXT_MAX = 40,         /* "ffff:" eight times, and the end */
};

enum addr_kind {
    ADDR_NONE,                  /* not known */
    ADDR_V4,                    /* at[0..3] */
    ADDR_V6,                    /* at[0..15] */
    ADDR_UNIX,                  /* a local socket; it has no address of its own */
};

struct addr {                   /* all zero is ADDR_NONE */
    uint8_t at[16];             /* network order; zero where kind does not use it */
    uint8_t kind;               /* enum addr_kind */
};

struct addr_net {               /* addresses whose first bits are those of base */
    struct addr base;           /* ADDR_V4 or ADDR_V6; zero behind bits */
    uint8_t bits;               /* 0..32 or 0..128 */
};

/* The address of 4 or 16 bytes in network order. bytes borrows until the call returns. */
struct addr addr_of(enum addr_kind kind, const uint8_t *bytes);
/* Parse all of text: dotted IPv4 without leading zeros, or IPv6 (RFC 4291 section 2.2)
 * without brackets, zone or port. False, and *out untouched, where it is neither. */
MUST_USE bool addr_parse(struct bytes text, struct addr *out);
/* Write a as text into out: dotted, RFC 5952 section 4, "unix", "-" for ADDR_NONE. Gives its
 * length; no end is written. */
size_t addr_text(const struct addr *a, char out[ADDR_TEXT_MAX]);

/* Parse "ADDR" or "ADDR/BITS". False with *why a clause saying what is wrong (static). */
MUST_USE bool addr_net_parse(struct bytes text, struct addr_net *out, const char **why);
/* Is a in one of count networks (borrows)? Never for ADDR_NONE and ADDR_UNIX. */
bool addr_net_has(const struct addr_net *nets, size_t count, const struct addr *a);

#endif
