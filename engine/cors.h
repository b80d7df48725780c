/* cors.h - what browsers ask before a page may call another origin (the Fetch standard's CORS
 * protocol): the setting cors lists the origins that may. Keys are sent as header fields, never
 * as cookies, so nothing is ever answered about credentials. */
#ifndef ENGINE_CORS_H
#define ENGINE_CORS_H

#include "net/bytes.h"

struct conf;
struct conn;
struct core;
struct exchange;
struct http_head;
struct http_out;

enum { CORS_FIELDS_MAX = 1024 };   /* bytes that cors_put appends at most */

enum cors_verdict {
    CORS_NONE,       /* no preflight, or cors is empty: a request like any other */
    CORS_ANSWERED,   /* 204 was queued; conn_answered is the caller's */
    CORS_DENIED,     /* a preflight of an origin that is not listed: to be refused */
};

/* Which entry of conf->cors allows the Origin among these field lines (borrows)? Its place
 * + 1; 0: there is none, or it is not listed. */
uint16_t cors_find(const struct conf *conf, struct bytes fields);
/* Append to the head of an answer what lets the asking page read it; nothing where cors is
 * empty or its origin not listed. x: the request's exchange, NULL where none was admitted. */
void cors_put(struct http_out *o, const struct core *core, const struct conn *c,
              const struct exchange *x);
/* Take out of o, which holds field lines only, what a provider says about pages: whether
 * they may read an answer of ours is not its word. Nothing where cors is empty. */
void cors_strip(struct http_out *o, const struct exchange *x);
/* Answer a preflight (OPTIONS with Access-Control-Request-Method). id: of the request. */
MUST_USE enum cors_verdict cors_preflight(struct core *core, struct conn *c,
                                          const struct http_head *head, const char *id);

#endif
