/* serve_none.h - the functions of serve.h for test programs that link parts of the engine and
 * serve nobody: they keep the gateway and the admin API out of the program. */
#ifndef TESTS_UNIT_SERVE_NONE_H
#define TESTS_UNIT_SERVE_NONE_H

#include "engine/serve.h"
#include "tests/unit/serve_rest.h"

#include <stdlib.h>

/* serve.h */
bool serve_trusts(const struct core *core, struct conn *c)
{
    (void)core, (void)c;
    abort();
}

/* serve.h */
bool serve_head(struct core *core, struct conn *c, const struct http_head *head)
{
    (void)core, (void)c, (void)head;
    abort();
}

/* serve.h */
bool serve_piece(struct core *core, struct conn *c, struct bytes piece)
{
    (void)core, (void)c, (void)piece;
    abort();
}

/* serve.h */
void serve_body(struct core *core, struct conn *c)
{
    (void)core, (void)c;
    abort();
}

/* serve.h */
void serve_refuse(struct core *core, struct conn *c, enum close_why why, const char *detail)
{
    (void)core, (void)c, (void)why, (void)detail;
    abort();
}

/* serve.h */
void serve_gone(struct core *core, struct conn *c, enum close_why why)
{
    (void)core, (void)c, (void)why;
    abort();
}

/* serve.h */
void serve_drained(struct core *core, struct conn *c, uint64_t left)
{
    (void)core, (void)c, (void)left;
    abort();
}

/* serve.h */
struct serve_times serve_times(const struct core *core)
{
    (void)core;
    abort();
}

#endif
