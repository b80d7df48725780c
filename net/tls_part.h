/* tls_part.h - what the two sides of the TLS codec share: tls.c has connections and contexts of
 * the client, tls_server.c those of the server. tls.h is what others see. */
#ifndef NET_TLS_PART_H
#define NET_TLS_PART_H

#include "net/tls.h"

#include <stdatomic.h>

#include <openssl/ssl.h>

struct session;

struct tls_ctx {
    SSL_CTX *ssl;
    BIO_METHOD *method;
    struct session *sessions;    /* client: TLS_SESSIONS_MAX; server: NULL */
    struct tls_tickets *tickets; /* server: borrows until tls_ctx_close; client: NULL */
    uint32_t stamp;              /* client: sessions put */
    _Atomic uint32_t users;      /* connections; its thread alone writes */
};

struct tls {
    SSL *ssl;
    struct tls_ctx *ctx;         /* borrows until tls_close */
    const char *why;             /* static text; not NULL: FAILED */
    struct bytes *in;            /* window: only during a call */
    char *out;                   /* window: only during a call */
    size_t out_room, out_len;
    uint64_t host;               /* client: hash, as in struct session */
    uint32_t session_key;        /* client */
    uint32_t sealing;            /* plain bytes of a record the library has not got rid of */
    bool ready, ended, said_goodbye;
};

/* A context with what both sides agree on: versions, curves, ciphers, modes. NULL with *why
 * (static). gives. */
struct tls_ctx *tls_ctx_make(const SSL_METHOD *side, const char **why);
/* A connection of ctx without a side yet. NULL when the library's pool is empty. gives. */
struct tls *tls_make(struct tls_ctx *ctx);
/* The connection that the library calls back for. Borrows. */
struct tls *tls_of(const SSL *ssl);

#endif
