/* cert.h - a certificate in service: for every core a context of its own, so that handshakes
 * share nothing, and one ring of ticket keys for all, so that a session of one core is resumed
 * on another. Several versions of the tables may name it; it goes with the last of them, which
 * boot_collect() keeps until no connection of it is left. Made, named and dropped under the
 * reload lock; cores only look. */
#ifndef ENGINE_CERT_H
#define ENGINE_CERT_H

#include "net/bytes.h"

struct cert;
struct tls_ctx;
struct tls_pair;

/* Put a pair into service on count cores. takes *pair, which is NULL then. NULL: out of memory,
 * and the pair stays the caller's. Named once. gives. */
struct cert *cert_make(struct tls_pair **pair, uint32_t count);
/* One more version names it; gives c. */
struct cert *cert_name(struct cert *c);
/* One version less. The last one ends it; no connection has it then. takes c (NULL is fine). */
void cert_drop(struct cert *c);
/* Does it hold the same certificates and key as a pair? */
bool cert_is(const struct cert *c, const struct tls_pair *pair);
/* Connections whose certificate goes if one version less names it; 0 where others still do. */
uint64_t cert_held(const struct cert *c);
/* The context of core idx. Borrows, until the version that names c is no longer adopted. */
struct tls_ctx *cert_ctx(const struct cert *c, uint32_t idx);
/* Give tickets a new key when the present one is old enough. Main thread. */
void cert_turn(struct cert *c, uint64_t now_ns);

#endif
