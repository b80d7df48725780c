/* core.h - one core: a thread with its own ring, memory, timers and slots, sharing nothing on
 * the hot path. One turn: submit and wait; read the clock once; handle completions; expire
 * timers; adopt published tables; flush what was queued; reap what has nothing in flight;
 * publish counters. Each step is bounded; a handler never calls another connection's
 * handler. */
#ifndef ENGINE_CORE_H
#define ENGINE_CORE_H

#include "engine/mem.h"
#include "engine/ring.h"
#include "engine/room.h"
#include "engine/stats.h"
#include "engine/timer.h"

enum {
    CORE_LISTEN_MAX = 8,
    CORE_HELD_MAX = 65536,     /* bytes received and unsent before receiving pauses */
    CORE_HOSTS_MAX = 512,
    CORE_SCRATCH = 65536,
    CORE_POUR_RUN = 8,         /* whole receive buffers in a row: see core_pours() */
    CORE_POUR_TURN = 16,       /* of those that pour, so many are received from in a turn */
};

enum core_role { ROLE_GATEWAY, ROLE_ADMIN };

enum timer_kind { TIMER_CONN = 1, TIMER_UPSTREAM, TIMER_EXCHANGE, TIMER_SERVE, TIMER_ROOM };

struct conn;
struct upstream;
struct exchange;
struct tables;
struct engine;
struct allowances;

struct core_limits {           /* copied from the configuration, fixed until a restart */
    uint32_t conns, upstreams, exchanges, segs, rx_count, rx_bytes;
    uint64_t region_bytes;
    bool wipe;                 /* zero_retention */
};

struct pour_queue {            /* slots of connections that pour, in order; 0 in count: empty */
    uint32_t first, last, count;
};

struct core {
    uint64_t now_ns, unix_ns;  /* read once a turn */
    struct ring *ring;
    struct mem mem;
    struct timer_wheel timers;
    struct slab conns, upstreams, exchanges;
    struct engine *engine;
    struct tables *tables;     /* adopted version */
    struct journal *journal;
    struct auth *auth;
    struct expect *expect;     /* how long answers usually are */
    struct allowances *allowances;   /* of organisations, for hedges */
    struct tls_ctx *tls;
    struct log_ring *log;
    void *serve;               /* private to the serve_* functions */
    struct conn *dirty_conns, *ready_conns, *closing_conns;    /* lists through the slots */
    struct conn *hello_first, *hello_last;   /* queue of TLS handshakes with a step to do */
    struct upstream *dirty_ups, *closing_ups;
    struct pour_queue pouring_conns, pouring_ups;
    struct exchange *dead_exchanges;
    struct room room;          /* who waits for room at a provider */
    struct upstream *pool[CORE_HOSTS_MAX];   /* idle provider connections, newest first */
    uint32_t pooled[CORE_HOSTS_MAX];         /* how many */
    uint64_t rand;
    uint64_t date_s;           /* the second that date tells of */
    char date[32];             /* what the field date says (29 bytes) */
    uint64_t exchange_serial;
    _Atomic(struct tables *) adopted;   /* the same as tables, for the publisher to look at */
    _Atomic uint32_t load;     /* open exchanges and connections, for balancing */
    int listen_fd[CORE_LISTEN_MAX];
    uint32_t listen_count;
    uint32_t listen_unix;      /* bit per listener that is a unix socket */
    uint32_t spread;           /* connections such a listener gave, for taking turns */
    uint32_t listen_tls;       /* bit per listener that speaks TLS */
    uint32_t accept_again;     /* bit per listener whose accepting failed */
    uint64_t accept_ns;        /* when to try again */
    uint32_t rota_seen;        /* engine->rota_changes, of which idle connections know */
    uint64_t trim_ns;          /* when memory is trimmed next */
    uint64_t merge_ns;         /* when what all cores learned is looked at next */
    uint64_t kill_ns;          /* told to end at once: until then; 0 not told */
    uint64_t tls_told_s;       /* the second in which ... */
    uint32_t tls_told;         /* ... so many failed handshakes had their line */
    int wake_fd;
    uint32_t idx;
    uint8_t role;              /* enum core_role */
    bool stopping;             /* no accepting; ends when all exchanges have ended */
    bool accepting;
    bool timers_left;          /* more were due than a turn handles */
    struct core_limits limits;
    struct stats stats;
    char *scratch, *scratch_2; /* CORE_SCRATCH bytes each: TLS plain bytes and records */
    char *text;                /* CORE_SCRATCH bytes: heads and bodies being composed */
    uint32_t scratch_used, text_used;   /* the most bytes put there in this turn: wiped at its
                                           end. scratch_2 holds encrypted bytes only */
    bool busy;                 /* something happened in this turn ... */
    bool stirred;              /* ... or in one since the stack was wiped */
    struct api_shapes *shapes;  /* of the events that this core relayed */
};

/* Prepare a core's memory and slots; the ring comes with core_run on its own thread.
 * False: out of memory. */
MUST_USE bool core_init(struct core *core, struct engine *engine, uint32_t idx,
                        enum core_role role, const struct core_limits *limits);
/* On the core's thread, before its first turn: opens the ring, reads the clock, adopts the
 * newest tables, begins to accept. 0 or -errno. */
MUST_USE int core_boot(struct core *core);
/* Told to end, and nothing is left to do: no further turn is needed. */
bool core_finished(const struct core *core);
/* The thread: opens the ring, runs turns until stopped. on_ready is called once, on the thread,
 * with 0 or -errno of the ring, before the first turn. Gives 0 or -errno. */
MUST_USE int core_run(struct core *core, void (*on_ready)(struct core *core, int rc, void *arg),
                      void *arg);
/* One turn, waiting at most wait_ns. 0 or -errno of the ring. */
MUST_USE int core_turn(struct core *core, uint64_t wait_ns);
/* Any thread: make the core turn now. */
void core_wake(struct core *core);
/* n bytes of a request or an answer, or fewer, were put at the start of text: at the end of the
 * turn they are wiped. Whoever writes there says so. */
static inline void core_text_put(struct core *core, size_t n)
{
    assert(n <= CORE_SCRATCH);
    if (n > core->text_used) core->text_used = (uint32_t)n;
}
/* The same of scratch. */
static inline void core_scratch_put(struct core *core, size_t n)
{
    assert(n <= CORE_SCRATCH);
    if (n > core->scratch_used) core->scratch_used = (uint32_t)n;
}
/* Count one event. */
static inline void core_count(struct core *core, enum stat_id stat)
{
    stat_add(&core->stats.count[stat], 1);
}
/* One step down of a gauge. */
static inline void core_uncount(struct core *core, enum stat_id stat)
{
    stat_add(&core->stats.count[stat], (uint64_t)-1);
}
/* Count receives in *run that fill a whole buffer; true from the CORE_POUR_RUN-th in a row on,
 * and from the first one while buffers are scarce.
 * One multishot receive takes up to 32 buffers at once: too many of those that others wait
 * for, and too late for back-pressure. Who pours is asked for one buffer at a time, a few of
 * them in a turn, so that a turn stays short for everybody else. */
static inline bool core_pours(const struct core *core, uint8_t *run, uint32_t n)
{
    if (n < core->limits.rx_bytes) *run = 0;
    else if (*run < CORE_POUR_RUN) ++*run;
    return *run >= CORE_POUR_RUN || (*run > 0 && mem_rx_scarce(&core->mem));
}

#endif
