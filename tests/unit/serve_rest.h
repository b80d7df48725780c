/* serve_rest.h - the functions of engine/serve.h that a test of connections does not give a
 * meaning to: no timer of theirs ever fires, the others have nothing to do. Included behind
 * engine/serve.h. */
#ifndef TESTS_UNIT_SERVE_REST_H
#define TESTS_UNIT_SERVE_REST_H

#include <stdlib.h>

/* serve.h */
void serve_timer(struct core *core, struct timer *t)
{
    (void)core, (void)t;
    abort();
}

/* serve.h */
void serve_wake(struct core *core) { (void)core; }

/* serve.h */
void serve_end(struct core *core) { (void)core; }

/* serve.h */
bool serve_boot(struct core *core)
{
    (void)core;
    return true;
}

#endif
