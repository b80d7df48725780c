/* tls.h - TLS 1.2 and 1.3 as a sans-IO codec over memory (BoringSSL; RFC 8446, RFC 5246).
 * Bytes in, bytes out: the library reads received ciphertext from the caller's slice and
 * writes records into the caller's room, with no buffer of ours between. The engine owns
 * sockets and buffers.
 * OpenSSL >= 3.0 compiles too (make TLS=openssl). */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "net/bytes.h"

struct tls_ctx;      /* one side's settings, per thread: client with trust store and sessions,
                        or server with certificate and key */
struct tls;          /* one connection; private */
struct tls_pair;     /* a certificate chain with its private key; immutable, shared */
struct tls_tickets;  /* keys of session tickets; shared by the contexts of one certificate */

enum {
    TLS_RECORD_MAX = 16384 + 256 + 5,  /* bytes of one record on the wire */
    TLS_ALERT_MAX = 2048,     /* of an alert, with the tickets that a server owes before it */
    TLS_SEAL_EXTRA = 160,     /* room that tls_seal keeps free beyond a record's plain bytes */
    TLS_SESSIONS_MAX = 128,   /* sessions that a context remembers */
};

/* Settings of a client context. Called at boot only (it allocates). */
struct tls_client_config {
    const char *ca_file;      /* extra PEM roots (tests, private CAs); NULL: system store */
    bool insecure;            /* never in the product: unit tests only */
};

/* Open a client context with the system's certificate store (SSL_CERT_FILE, SSL_CERT_DIR,
 * else /etc/ssl/certs). gives *out; NET_BAD with *why (static text) otherwise. */
MUST_USE enum net_rc tls_client_open(const struct tls_client_config *config,
                                     struct tls_ctx **out, const char **why);
/* Read a chain (PEM certificates, the server's own first; RFC 8446 section 4.4.2) and the
 * private key of its first certificate (PEM, not encrypted). NET_OK gives *out. NET_BAD: *why
 * is a clause (static), and *at_key says whether the key or the chain is at fault. */
MUST_USE enum net_rc tls_pair_open(struct bytes chain, struct bytes key, struct tls_pair **out,
                                   bool *at_key, const char **why);
/* What a client will not like about it now ("has expired"), or NULL. Static text. */
const char *tls_pair_doubt(const struct tls_pair *pair);
/* True when both hold the same certificates and the same key. */
bool tls_pair_same(const struct tls_pair *a, const struct tls_pair *b);
/* Make the private key anew, in memory that the library's hooks give now, and wipe the old one.
 * Before contexts are made of it. NULL is fine. False: out of memory, and all is as it was. */
MUST_USE bool tls_pair_move(struct tls_pair *pair);
/* Close a pair; contexts made of it live on. takes pair (NULL is fine). */
void tls_pair_close(struct tls_pair *pair);

/* Keys for session tickets (RFC 5077 section 4, RFC 8446 section 4.6.1), drawn at random. NULL:
 * out of memory. gives. */
struct tls_tickets *tls_tickets_open(void);
/* Draw a new key: tickets are made with it from now on, those of the key before are still
 * taken, older ones are not. One thread calls; contexts of others may be using them. */
void tls_tickets_turn(struct tls_tickets *tickets);
/* Wipe and close; contexts that use them are closed before. takes tickets (NULL is fine). */
void tls_tickets_close(struct tls_tickets *tickets);

/* Open a server context: TLS 1.2 and 1.3, ALPN http/1.1 where the client names protocols, no
 * client certificates, no early data, no renegotiation. A ticket made by one context is taken
 * by every other with the same tickets. pair and tickets: borrows, tickets until
 * tls_ctx_close. gives *out; NET_BAD with *why (static text) otherwise. */
MUST_USE enum net_rc tls_server_open(const struct tls_pair *pair, struct tls_tickets *tickets,
                                     struct tls_ctx **out, const char **why);
/* Connections that a context has. Any thread. */
uint32_t tls_ctx_users(const struct tls_ctx *ctx);
/* Close a context; all its connections are closed before. takes ctx. */
void tls_ctx_close(struct tls_ctx *ctx);

/* A server connection, waiting for the client's hello. NULL when the library's pool is empty.
 * gives. */
struct tls *tls_server(struct tls_ctx *ctx);

/* A client connection to host (SNI and certificate check; an IP literal is checked as an IP
 * and sends no SNI), ALPN http/1.1. A session of an earlier connection with the same
 * session_key (any number the caller gives each provider address) is resumed. NULL when the
 * library's pool is empty. gives. */
struct tls *tls_client(struct tls_ctx *ctx, const char *host, bool host_is_ip,
                       uint32_t session_key);
/* Forget the connection: nothing is sent. takes t (NULL is fine). */
void tls_close(struct tls *t);

/* Feed received bytes and draw what comes of them. Call in a loop until it answers NET_MORE
 * with in empty and out not written.
 *   in     borrows; ciphertext; consumed from the front (may be empty: at the start, to make
 *          the first hello, and after each out was taken away)
 *   plain  room for decrypted bytes: plain_room bytes; *plain_len out
 *   out    room for records to send (>= TLS_RECORD_MAX): *out_len out
 * NET_OK   plain or out or both hold bytes; call again
 * NET_MORE nothing more without further input
 * NET_DONE the peer said close-notify
 * NET_BAD  handshake, certificate or record error: tls_why; out may hold an alert to send */
MUST_USE enum net_rc tls_pull(struct tls *t, struct bytes *in, char *plain, size_t plain_room,
                              size_t *plain_len, char *out, size_t out_room, size_t *out_len);

/* True once application bytes may be sealed (the handshake ended). */
bool tls_ready(const struct tls *t);

/* Encrypt the front of plain into out, as many records as fit; tls_ready() must be true.
 * plain is consumed by what fitted. Gives the bytes written to out: 0 when plain is empty,
 * out_room is TLS_SEAL_EXTRA or less, or the library failed (then tls_failed() is true).
 * Where plain was not consumed, the next call must offer the same bytes again. */
size_t tls_seal(struct tls *t, struct bytes *plain, char *out, size_t out_room);

/* Write close-notify into out (out_room >= TLS_ALERT_MAX); gives its length: 0 before the
 * handshake ended, after a failure, and the second time. */
size_t tls_goodbye(struct tls *t, char *out, size_t out_room);

/* True once the connection is of no more use: tls_pull answers NET_BAD from then on. */
bool tls_failed(const struct tls *t);
/* Why NET_BAD, in words for an attempt's error ("certificate has expired"); "" before that.
 * Static text. */
const char *tls_why(const struct tls *t);
/* True when NET_BAD came of an empty pool, not of the peer. */
bool tls_starved(const struct tls *t);
/* True when the connection resumed an earlier session. */
bool tls_resumed(const struct tls *t);
/* Name and version of the library, for `weir version`. Static text. */
const char *tls_library(void);

#endif
