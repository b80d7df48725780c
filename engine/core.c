/* core.c - one turn and the thread around it; see core.h. */
#include "engine/core.h"
#include "engine/clock.h"
#include "engine/conn.h"
#include "engine/engine.h"
#include "engine/exchange.h"
#include "engine/heap.h"
#include "engine/rand.h"
#include "engine/serve.h"
#include "engine/sock.h"
#include "engine/tables.h"
#include "engine/upstream.h"
#include "engine/vault.h"
#include "net/dialect/api.h"
#include "route/allowance.h"
#include "route/score.h"
#include "store/budget.h"

#include <errno.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    DONES_MAX = 256,           /* completions handled a turn */
    TIMERS_MAX = 1024,         /* timers handled a turn */
    WAIT_NS_MAX = 250000000,   /* so that /healthz sees a turn a second */
    ACCEPT_AGAIN_NS = 100000000,
    TRIM_NS = 250000000,
    KILL_NS = 20000000,        /* for last words after a second SIGTERM */
    BALANCE_MIN = 8,           /* below so many open exchanges cores are not compared */
};

bool core_init(struct core *core, struct engine *engine, uint32_t idx, enum core_role role,
               const struct core_limits *limits)
{
    *core = (struct core){.engine = engine, .idx = idx, .role = (uint8_t)role,
                          .limits = *limits, .accepting = true};
    core->wake_fd = sock_wake_open();
    static_assert(sizeof *core->shapes % alignof(struct allowances) == 0, "it may follow");
    size_t bytes = 3 * CORE_SCRATCH + sizeof *core->shapes + sizeof *core->allowances;
    char *scratch = vault_take(bytes);
    if (!scratch || core->wake_fd < 0) return false;
    core->scratch = scratch;
    core->scratch_2 = scratch + CORE_SCRATCH;
    core->text = scratch + 2 * CORE_SCRATCH;
    core->shapes = (void *)(scratch + 3 * CORE_SCRATCH);
    core->allowances = (void *)(core->shapes + 1);
    rand_secret(&core->rand, sizeof core->rand);
    return slab_init(&core->conns, sizeof(struct conn), limits->conns) &&
           slab_init(&core->upstreams, sizeof(struct upstream), limits->upstreams) &&
           slab_init(&core->exchanges, sizeof(struct exchange), limits->exchanges) &&
           room_init(&core->room, limits->exchanges);
}

void core_wake(struct core *core)
{
    sock_wake(core->wake_fd);
}

/* The gateway core with the least load, when this one is above 1.25 times the mean. */
static struct core *lighter(struct core *core)
{
    struct engine *e = core->engine;
    if (core->role != ROLE_GATEWAY || e->core_count < 2) return NULL;
    uint64_t sum = 0;
    struct core *least = core;
    uint32_t mine = atomic_load_explicit(&core->load, memory_order_relaxed), low = mine;
    for (uint32_t i = 0; i < e->core_count; i++) {
        uint32_t load = atomic_load_explicit(&e->core[i]->load, memory_order_relaxed);
        sum += load;
        if (load < low) {
            low = load;
            least = e->core[i];
        }
    }
    if (mine < BALANCE_MIN || (uint64_t)mine * e->core_count * 4 <= sum * 5) return NULL;
    return least == core ? NULL : least;
}

/* A unix socket is one for all cores (boot_unix.c): the kernel wakes whoever waited first,
 * again and again, and who is woken takes all that wait. So cores take turns. */
static struct core *next_core(struct core *core)
{
    struct engine *e = core->engine;
    if (core->role != ROLE_GATEWAY || e->core_count < 2) return NULL;
    struct core *to = e->core[(core->idx + core->spread++) % e->core_count];
    return to == core ? NULL : to;
}

static void on_accept(struct core *core, const struct ring_done *d)
{
    uint32_t listener = ring_user_slot(d->user);
    if (d->n >= 0) {
        sock_accepted(d->n);
        bool shared = core->listen_unix & 1u << listener;
        struct core *to = shared ? next_core(core) : lighter(core);
        if (to && to->ring) {
            core_count(core, STAT_HANDOFFS);
            uint64_t user = ring_user(OP_HANDOFF, listener, (uint32_t)d->n);
            ring_message(core->ring, to->ring, d->n, user, user);
        } else {
            conn_open(core, d->n, (uint8_t)listener);
        }
    }
    if (!d->last || !core->accepting) return;
    if (d->n >= 0) {
        ring_accept(core->ring, core->listen_fd[listener], d->user);
    } else {                       /* out of descriptors or memory: again in a moment */
        core->accept_again |= 1u << listener;
        core->accept_ns = core->now_ns + ACCEPT_AGAIN_NS;
    }
}

static void accept_again(struct core *core)
{
    if (!core->accept_again || core->now_ns < core->accept_ns) return;
    for (uint32_t i = 0; i < core->listen_count; i++) {
        if (!(core->accept_again & 1u << i)) continue;
        ring_accept(core->ring, core->listen_fd[i], ring_user(OP_ACCEPT, i, 0));
    }
    core->accept_again = 0;
}

static void on_conn(struct core *core, const struct ring_done *d, enum ring_op op)
{
    struct conn *c = slab_find(&core->conns, ring_user_slot(d->user),
                               ring_user_generation(d->user));
    if (!c) {
        core_count(core, STAT_STALE);
        if (d->buf != RING_BUF_NONE) ring_buf_give(core->ring, d->buf);
    } else if (op == OP_CONN_RECV) {
        conn_on_recv(core, c, d);
    } else {
        conn_on_send(core, c, d);
    }
}

static void on_upstream(struct core *core, const struct ring_done *d, enum ring_op op)
{
    struct upstream *u = slab_find(&core->upstreams, ring_user_slot(d->user),
                                   ring_user_generation(d->user));
    if (!u) {
        core_count(core, STAT_STALE);
        if (d->buf != RING_BUF_NONE) ring_buf_give(core->ring, d->buf);
        return;
    }
    if (op == OP_UP_RECV) upstream_on_recv(core, u, d);
    else if (op == OP_UP_SEND) upstream_on_send(core, u, d);
    else upstream_on_connect(core, u, d, op == OP_UP_CONNECT_2);
}

static void on_wake(struct core *core, const struct ring_done *d)
{
    sock_wake_clear(core->wake_fd);
    serve_wake(core);
    if (d->last) ring_wake(core->ring, core->wake_fd, d->user);
}

static void dispatch(struct core *core, const struct ring_done *d)
{
    enum ring_op op = ring_user_op(d->user);
    switch (op) {
    case OP_IGNORE: case OP_COUNT: break;
    case OP_ACCEPT: on_accept(core, d); break;
    case OP_CONN_RECV: case OP_CONN_SEND: on_conn(core, d, op); break;
    case OP_UP_CONNECT: case OP_UP_CONNECT_2: case OP_UP_RECV: case OP_UP_SEND:
        on_upstream(core, d, op);
        break;
    case OP_WAKE: on_wake(core, d); break;
    case OP_HANDOFF:
        /* n is the descriptor where it arrived, -errno where it could not be sent */
        conn_open(core, (int)ring_user_generation(d->user), (uint8_t)ring_user_slot(d->user));
        break;
    }
}

static void expire(struct core *core)
{
    core->timers_left = false;
    for (int i = 0; i < TIMERS_MAX; i++) {
        struct timer *t = timer_next(&core->timers, core->now_ns);
        if (!t) return;
        char *owner = (char *)t;
        switch ((enum timer_kind)t->kind) {
        case TIMER_CONN:
            conn_on_timer(core, (struct conn *)(void *)(owner - offsetof(struct conn, timer)));
            break;
        case TIMER_UPSTREAM:
            upstream_on_timer(
                core, (struct upstream *)(void *)(owner - offsetof(struct upstream, timer)));
            break;
        case TIMER_EXCHANGE:
            exchange_on_timer(
                core, (struct exchange *)(void *)(owner - offsetof(struct exchange, timer)));
            break;
        case TIMER_SERVE: serve_timer(core, t); break;
        case TIMER_ROOM: room_on_timer(core); break;
        }
    }
    core->timers_left = true;
}

static void adopt(struct core *core)
{
    struct tables *newest = atomic_load_explicit(&core->engine->tables, memory_order_acquire);
    if (newest == core->tables) return;
    core->tables = newest;
    atomic_store_explicit(&core->adopted, newest, memory_order_release);
}

/* Providers were switched off: nothing waits for them. */
static void shed(struct core *core)
{
    uint32_t changes = atomic_load_explicit(&core->engine->rota_changes, memory_order_acquire);
    if (changes == core->rota_seen) return;
    core->rota_seen = changes;
    upstream_close_off(core);
}

static void stop_accepting(struct core *core)
{
    core->accepting = false;
    for (uint32_t i = 0; i < core->listen_count; i++) {
        ring_shutdown(core->ring, core->listen_fd[i], SHUT_RDWR);  /* refuses from now on */
        ring_cancel(core->ring, ring_user(OP_ACCEPT, i, 0));
        ring_close_fd(core->ring, core->listen_fd[i]);
    }
    core->listen_count = 0;
}

/* Draining (architecture.md): no accepting, idle connections end, requests run to their end. */
static void drain(struct core *core)
{
    if (core->kill_ns) return;
    if (!atomic_load_explicit(&core->engine->draining, memory_order_acquire)) return;
    if (core->role == ROLE_ADMIN) return;  /* answers until the cores have ended */
    if (!core->stopping) {
        core->stopping = true;
        stop_accepting(core);
        upstream_close_idle(core);
    }
    conn_close_idle(core);
}

/* Told to end at once: every request gets its error and its record, in this turn; what the
 * kernel takes of it in a moment is sent. */
static void end_now(struct core *core)
{
    if (core->kill_ns || !atomic_load_explicit(&core->engine->killed, memory_order_acquire)) {
        return;
    }
    core->kill_ns = core->now_ns + KILL_NS;
    serve_end(core);
    if (core->accepting) stop_accepting(core);
}

static void publish(struct core *core, uint64_t woke_ns)
{
    uint64_t now = clock_now_ns();
    stat_add(&core->stats.busy_ns, now - woke_ns);
    stat_add(&core->stats.count[STAT_TURNS], 1);
    atomic_store_explicit(&core->stats.turned_ns, now, memory_order_relaxed);
    atomic_store_explicit(&core->load, core->exchanges.used, memory_order_relaxed);
    atomic_store_explicit(&core->stats.count[STAT_MEMORY], core->mem.bytes_used,
                          memory_order_relaxed);
    atomic_store_explicit(&core->stats.count[STAT_BUFFERS],
                          core->limits.rx_count - ring_buf_free(core->ring),
                          memory_order_relaxed);
}

/* What other cores learned of providers since. After a long sleep too, and before the turn's
 * requests are placed. */
static void merge(struct core *core)
{
    if (core->now_ns < core->merge_ns || !core->tables || !core->tables->scores) return;
    core->merge_ns = core->now_ns + SCORE_MERGE_MS * 1000000ull;
    score_merge(score_view(core->tables->scores, core->idx), core->now_ns / 1000000,
                core->unix_ns / 1000000000u);
}

static void trim(struct core *core)
{
    if (core->now_ns < core->trim_ns) return;
    core->trim_ns = core->now_ns + TRIM_NS;
    mem_trim(&core->mem);
}

/* What the turn left in its scratch goes; it starts each turn as zeros. */
static void wipe_scratch(struct core *core)
{
    if (!core->limits.wipe) return;
    memset(core->text, 0, core->text_used);
    memset(core->scratch, 0, core->scratch_used);
    core->text_used = core->scratch_used = 0;
}

/* The core had nothing to do for a while: what was left on its stack goes, and the shapes of
 * events, whose names of members are a provider's words. Wiping that much every turn would cost
 * as much as a request; while a core has work, the work writes over it. */
static void forget(struct core *core)
{
    if (!core->limits.wipe || !core->stirred) return;
    core->stirred = false;
    memset(core->shapes, 0, sizeof *core->shapes);
    vault_forget();
}

int core_turn(struct core *core, uint64_t wait_ns)
{
    struct ring_done done[DONES_MAX];
    bool pouring = core->pouring_conns.count > 0 || core->pouring_ups.count > 0;
    bool shaking = core->hello_first != NULL;
    bool more = core->ready_conns || core->timers_left || room_is_due(core);
    if (more || pouring || shaking) wait_ns = 0;
    else if (core->kill_ns && wait_ns > KILL_NS) wait_ns = KILL_NS;
    else wait_ns = timer_wait_ns(&core->timers, clock_now_ns(), wait_ns);
    int count = ring_wait(core->ring, wait_ns, done, DONES_MAX);
    if (count < 0) return count;
    if (count > 0) core->stirred = core->busy = true;
    else core->busy = false;
    core->now_ns = clock_now_ns();
    core->unix_ns = clock_unix_ns();
    uint64_t woke_ns = core->now_ns;
    bool spends = core->engine->budget && core->role == ROLE_GATEWAY;
    if (spends) budget_enter(core->engine->budget, core->idx);
    merge(core);
    for (int i = 0; i < count; i++) dispatch(core, &done[i]);
    expire(core);
    accept_again(core);
    adopt(core);
    shed(core);
    drain(core);
    end_now(core);
    conn_shake_some(core);
    conn_resume_all(core);
    conn_pour_some(core);
    upstream_pour_some(core);
    room_step(core);
    upstream_flush_all(core);
    conn_flush_all(core);
    exchange_reap_all(core);
    upstream_reap_all(core);
    conn_reap_all(core);
    if (spends) budget_leave(core->engine->budget, core->idx);
    trim(core);
    wipe_scratch(core);
    publish(core, woke_ns);
    return 0;
}

bool core_finished(const struct core *core)
{
    if (core->kill_ns) return core->now_ns >= core->kill_ns || core->role == ROLE_ADMIN;
    if (!core->stopping) return false;
    return core->exchanges.used == 0 && core->conns.used == 0 && core->upstreams.used == 0;
}

int core_boot(struct core *core)
{
    struct ring_config config = {.entries = 4096, .buf_count = core->limits.rx_count,
                                 .buf_bytes = core->limits.rx_bytes};
    int rc = ring_open(&config, &core->ring);
    if (rc < 0) return rc;
    if (!mem_init(&core->mem, core->ring, core->limits.rx_count, core->limits.rx_bytes,
                  core->limits.region_bytes, core->limits.segs, core->limits.wipe)) {
        return -ENOMEM;
    }
    core->now_ns = clock_now_ns();
    core->unix_ns = clock_unix_ns();
    atomic_store_explicit(&core->stats.turned_ns, core->now_ns, memory_order_relaxed);
    timer_init(&core->timers, core->now_ns);
    core->tables = atomic_load_explicit(&core->engine->tables, memory_order_acquire);
    atomic_store_explicit(&core->adopted, core->tables, memory_order_release);
    if (!serve_boot(core)) return -ENOMEM;
    ring_wake(core->ring, core->wake_fd, ring_user(OP_WAKE, 0, 0));
    for (uint32_t i = 0; i < core->listen_count; i++) {
        ring_accept(core->ring, core->listen_fd[i], ring_user(OP_ACCEPT, i, 0));
    }
    return 0;
}

/* Texts of a request pass over the stack of whoever looks at them, which is wiped when the core
 * has nothing to do; until then a dump must not have it. */
static void hide_stack(void)
{
    pthread_attr_t attr;
    void *at;
    size_t bytes;
    if (pthread_getattr_np(pthread_self(), &attr) != 0) return;
    if (pthread_attr_getstack(&attr, &at, &bytes) == 0) (void)madvise(at, bytes, MADV_DONTDUMP);
    (void)pthread_attr_destroy(&attr);
}

int core_run(struct core *core, void (*on_ready)(struct core *core, int rc, void *arg),
             void *arg)
{
    int rc = core_boot(core);
    if (core->limits.wipe) hide_stack();
    on_ready(core, rc, arg);
    if (rc == 0 && core->role == ROLE_GATEWAY) heap_seal();
    while (rc == 0 && !core_finished(core)) {
        rc = core_turn(core, WAIT_NS_MAX);
        if (!core->busy) forget(core);
    }
    if (rc == 0) rc = core_turn(core, 0);  /* submits the closes of the last turn */
    if (core->role == ROLE_GATEWAY) heap_unseal();
    return rc;
}
