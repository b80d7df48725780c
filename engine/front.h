/* front.h - the admin core's side of the admin API: HTTP in and out, the token, jobs to the
 * store thread (changes) and the worker thread (reads), live events. */
#ifndef ENGINE_FRONT_H
#define ENGINE_FRONT_H

#include "engine/mailbox.h"
#include "engine/stats.h"

struct conn;
struct core;
struct engine;
struct http_head;
struct record;
struct timer;

struct front_queue {           /* jobs for one thread */
    struct mailbox box;
    int fd;                    /* eventfd the thread waits on */
};

struct admin_front {
    struct front_queue change, look;   /* store thread, worker thread */
    struct mailbox done;               /* answered jobs, for the admin core */
    struct mailbox events;             /* rows for /admin/v1/events */
    _Atomic uint32_t listeners;        /* connections on /admin/v1/events */
    void *host;                        /* struct admin_host, for the handlers */
};

/* Make it (boot, heap). NULL: out of memory. */
struct admin_front *front_make(struct engine *engine);
/* Run the jobs waiting in q. Store or worker thread. */
void front_run(struct engine *engine, struct front_queue *q);
/* Wait up to timeout_ms for a job (or a call of front_poke). Store or worker thread. */
void front_wait(struct front_queue *q, int timeout_ms);
/* Wake the thread that waits on q. */
void front_poke(struct front_queue *q);
/* Store thread: a record was folded; show it to those who listen. */
void front_row(struct engine *engine, const struct record *r);

/* serve.h's calls on the admin core. */
MUST_USE bool front_head(struct core *core, struct conn *c, const struct http_head *head);
/* The body is complete. */
void front_body(struct core *core, struct conn *c);
/* A codec's or limit's refusal. */
void front_refuse(struct core *core, struct conn *c, enum close_why why, const char *detail);
/* The connection goes while its job runs. */
void front_gone(struct core *core, struct conn *c);
/* Once a second: rates for the listeners. */
void front_timer(struct core *core, struct timer *t);
/* Jobs are done, rows have come. */
void front_wake(struct core *core);
/* Before the first turn. */
MUST_USE bool front_boot(struct core *core);

#endif
