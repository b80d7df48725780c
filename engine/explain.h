/* explain.h - what the router would do with one request, told: `weir explain` and POST
 * /admin/v1/explain. It runs the very code of the data plane (choose.h) on a body in memory.
 * On the heap: never on a core thread. */
#ifndef ENGINE_EXPLAIN_H
#define ENGINE_EXPLAIN_H

#include "net/bytes.h"

struct conf;
struct control;
struct gain_tenant;
struct jsonw;
struct key_view;
struct policy_routing;
struct score;

enum { EXPLAIN_BODY_MAX = 64 << 20 };   /* bytes of a request body */

struct explain_ask {             /* all borrowed for the call */
    struct bytes body;
    struct bytes api;            /* "chat", "responses", ...; empty: told by the body's shape */
    struct bytes model;          /* Gemini's model, which its path has; empty: auto */
    const struct conf *conf;
    const struct control *control;
    struct score *score;
    const struct key_view *key;  /* whose policies hold; NULL: nobody's */
    const struct policy_routing *routing;
    const struct gain_tenant *tenant;
    uint64_t now_unix_s, now_ms;
};

struct explain;                  /* what was found */

/* Explain a request. Gives what explain_close() takes; NULL: out of memory. */
struct explain *explain_make(const struct explain_ask *ask);
/* What is wrong with the body, as a sentence, where it is no request that would be served; NULL
 * otherwise. pointer: where, or "". Borrows from e. */
const char *explain_fault(const struct explain *e, const char **pointer);
/* All that was found, as one JSON object. e has no fault. */
void explain_put(const struct explain *e, struct jsonw *w);
/* The same in lines for people, by put. At most `most` of the candidates left out are shown. */
void explain_lines(const struct explain *e, unsigned most,
                   void (*put)(void *arg, const char *line), void *arg);
/* takes e; NULL is fine. */
void explain_close(struct explain *e);

#endif
