/* gateway.h - the data plane's paths: who asks, for what, and where it goes from there. */
#ifndef ENGINE_GATEWAY_H
#define ENGINE_GATEWAY_H

#include "engine/stats.h"

struct conn;
struct core;
struct exchange;
struct http_head;
struct key_view;

/* serve.h's calls on a gateway core. */
MUST_USE bool gateway_head(struct core *core, struct conn *c, const struct http_head *head);
/* A piece of body. */
MUST_USE bool gateway_piece(struct core *core, struct conn *c, struct bytes piece);
/* The body is complete. */
void gateway_body(struct core *core, struct conn *c);
/* Answer a refusal that has no exchange: error, log line, counter; conn_answered is the
 * caller's. head may be NULL; text NULL: the reason's sentence. */
void gateway_refuse(struct core *core, struct conn *c, const struct http_head *head,
                    enum close_why why, const char *text);
/* GET /v1/models and /v1/models/{id} for a key, in the form of c->api; id empty: the list. */
void gateway_models(struct core *core, struct conn *c, const struct key_view *key,
                    struct bytes id, const char *request_id);
/* GET /v1/key; or /v1/credits, which tells of the pool as well. key: of auth_find, in this
 * turn. */
void gateway_money(struct core *core, struct conn *c, const struct key_view *key, bool credits,
                   const char *request_id);
/* GET /healthz and /readyz: 200 or 503 with a line saying why. */
void gateway_health(struct core *core, struct conn *c, bool ready, const char *request_id);
/* The body of POST /v1/feedback is complete in x->body: book it, 204; or the error. */
void gateway_feedback(struct core *core, struct exchange *x);
/* The client's request id when sane, else a fresh one, into out (65 bytes, NUL-ended). */
void gateway_request_id(struct core *core, const struct http_head *head, char out[65]);

#endif
