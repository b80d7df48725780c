/* reply.h - answers that Weir writes itself on the data plane. */
#ifndef ENGINE_REPLY_H
#define ENGINE_REPLY_H

#include "engine/stats.h"

struct conn;
struct core;
struct exchange;
struct chain;
struct http_out;

/* Queue a whole answer with our fields: status, JSON (or other) body copied. x may be NULL (no
 * request was admitted: id names it). The caller then calls conn_answered. extra: further
 * field lines, CRLF-ended, or empty. */
void reply_body(struct core *core, struct conn *c, const struct exchange *x, const char *id,
                unsigned status, struct bytes type, struct bytes body, struct bytes extra);
/* Queue a 200 whose body is a chain, which becomes empty. False: out of memory, nothing was
 * queued. */
MUST_USE bool reply_chain(struct core *core, struct conn *c, const char *id, struct bytes type,
                          struct chain *body);
/* Queue an error in the form of x's API, or where x is NULL of c's. text NULL: the reason's own
 * sentence. param: the member at fault, or NULL. */
void reply_error(struct core *core, struct conn *c, const struct exchange *x, const char *id,
                 enum close_why why, const char *text, const char *param);
/* Begin the head of an answer: status line and date. */
void reply_begin(struct http_out *o, struct core *core, unsigned status);
/* End it: the field connection and the empty line. */
void reply_end(struct http_out *o, bool keep);
/* Append our own fields to a head being composed: x-request-id, x-weir-*. */
void reply_fields(struct http_out *o, struct core *core, const struct exchange *x,
                  const char *id);
/* Name of a routing mode ("balanced"). Static text. */
const char *reply_mode_name(uint8_t mode);
/* A fresh request id into out (32 bytes): "req_", 9 digits of time, 15 random ones (base 32),
 * so that ids sort by time and the ledger's index of them grows at its end. */
void reply_make_id(struct core *core, char out[32]);

#endif
