/* conn_part.h - what the two files of a client connection share: conn.c has its states and
 * requests, conn_tls.c the records around them. conn.h is what others see. */
#ifndef ENGINE_CONN_PART_H
#define ENGINE_CONN_PART_H

#include "engine/stats.h"

struct conn;
struct core;

/* --- conn.c */

/* Change to a state, enum conn_state; the table of allowed changes is asserted. */
void conn_to(struct conn *c, uint8_t next);
/* The state ends for_ns from now; 0: never. */
void conn_deadline(struct core *core, struct conn *c, uint64_t for_ns);
/* Plain bytes came: from the ring (buf) or from elsewhere (RING_BUF_NONE). in borrows. */
void conn_input(struct core *core, struct conn *c, struct bytes in, uint32_t buf);
/* Refuse the request in progress, or what should have become one; close after the answer. */
void conn_refuse(struct core *core, struct conn *c, enum close_why why, const char *detail);
/* Bytes of a PROXY header, or what a trusted peer sends instead; in starts behind it. */
void conn_feed_proxy(struct core *core, struct conn *c, struct bytes *in);
/* Nothing more will come from the client. */
void conn_peer_shut(struct core *core, struct conn *c);
/* Stop receiving until conn_recv_on(). */
void conn_recv_off(struct core *core, struct conn *c);
/* Go on receiving, where it was stopped. */
void conn_recv_on(struct core *core, struct conn *c);

/* --- conn_tls.c: connections with c->secure */

/* Bytes of the wire came in receive buffer buf. in borrows. */
void conn_tls_input(struct core *core, struct conn *c, struct bytes in, uint32_t buf);
/* Seal what is queued into records, as much as one send takes; close-notify behind the last. */
void conn_tls_seal(struct core *core, struct conn *c);
/* Why a connection ended that the client left: what it left behind tells. */
enum close_why conn_tls_gone(const struct conn *c);
/* TLS is over for this connection: its memory goes back. */
void conn_tls_end(struct core *core, struct conn *c);
/* True while close-notify is still to be said (RFC 8446 section 6.1). */
bool conn_tls_owes(const struct conn *c);

#endif
