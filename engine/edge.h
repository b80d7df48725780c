/* edge.h - who stands behind a connection: trusted_proxies, the PROXY protocol and
 * X-Forwarded-For. The address tells the log who asked; nothing is allowed because of it. */
#ifndef ENGINE_EDGE_H
#define ENGINE_EDGE_H

#include "net/addr.h"

struct conn;
struct core;

/* Is there anybody whom this core, on this listener, may have to believe? Else nothing needs to
 * be known of a new connection. */
bool edge_may_trust(const struct core *core, uint8_t listener);
/* Is this the address of a trusted proxy: one of trusted_proxies, or a local socket? */
bool edge_trusts(const struct core *core, const struct addr *peer);
/* Who sent the request: the peer, the one its PROXY header named, or the one that
 * X-Forwarded-For names where either of those is trusted. Before a head was understood it is
 * the connection's alone. */
struct addr edge_client(struct core *core, struct conn *c);

#endif
