/* serve.h - what a request means: the seam between connections and their owners. Two
 * implementations at link time: serve.c (gateway and admin, by the core's role) and
 * tools/weir-mock.c. */
#ifndef ENGINE_SERVE_H
#define ENGINE_SERVE_H

#include "engine/stats.h"

struct conn;
struct core;
struct http_head;
struct timer;

/* A connection came in: is what its peer says of others believed, so that a PROXY header may
 * stand before everything else? */
MUST_USE bool serve_trusts(const struct core *core, struct conn *c);
/* A complete, well-formed head came in. head borrows until the call returns; c->hold keeps its
 * bytes until the answer is done. True: read the body (c->body_max may be set), then
 * serve_body; false: an answer was queued and conn_answered called. */
MUST_USE bool serve_head(struct core *core, struct conn *c, const struct http_head *head);
/* A piece of body arrived and was appended to c->body (piece borrows). False: an answer was
 * queued; the rest is not read. */
MUST_USE bool serve_piece(struct core *core, struct conn *c, struct bytes piece);
/* The body is complete in c->body. */
void serve_body(struct core *core, struct conn *c);
/* The request is refused by the codec or a limit (why: a CLOSE_ with a status): queue the
 * error answer, count and log the ending. detail: a clause, may be NULL. Does not close. */
void serve_refuse(struct core *core, struct conn *c, enum close_why why, const char *detail);
/* The connection is closing while its request is in progress: let go of it. */
void serve_gone(struct core *core, struct conn *c, enum close_why why);
/* What was queued on c has been sent down to `left` bytes. */
void serve_drained(struct core *core, struct conn *c, uint64_t left);
/* A timer of kind TIMER_SERVE fired. */
void serve_timer(struct core *core, struct timer *t);
/* Another thread woke this core. */
void serve_wake(struct core *core);
/* Told to end at once: end every request in progress now, with its error and its record. */
void serve_end(struct core *core);
/* Once, on the core's thread, before the first turn and before the heap is sealed. False: out
 * of memory. */
MUST_USE bool serve_boot(struct core *core);
/* Longest time towards clients: header, body, idle, write, in ns. */
struct serve_times { uint64_t header_ns, body_ns, idle_ns, write_ns; uint64_t header_max; };
/* The times in force. */
struct serve_times serve_times(const struct core *core);

#endif
