/* url.h - provider base addresses from the configuration (RFC 3986, http and https only). */
#ifndef NET_URL_H
#define NET_URL_H

#include "net/bytes.h"

struct url {             /* slices borrow from the text */
    struct bytes host;   /* without brackets for an IPv6 literal */
    struct bytes path;   /* begins with '/' or is empty; no trailing '/'; no query */
    uint16_t port;       /* 80 or 443 where the text has none */
    bool tls;
    bool ipv6;           /* host is an IPv6 literal */
};

/* Parse text. NET_OK and *out; or NET_BAD with *why a clause saying what is wrong (static):
 * no scheme, user info, query, fragment, bad port, empty host, control bytes, blanks. */
MUST_USE enum net_rc url_parse(struct bytes text, struct url *out, const char **why);

/* An "ADDR:PORT" listen address: IPv4, [IPv6], or "unix:/path" (out->path then holds it and
 * port is 0, host empty). Names are not resolved: localhost is 127.0.0.1. NET_BAD with *why. */
MUST_USE enum net_rc url_listen(struct bytes text, struct url *out, const char **why);

#endif
