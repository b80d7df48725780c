/* rig.h - one core of the engine under test: the real core, connections, memory, timers and
 * ring, turned by hand, on a clock that can be moved (the seam of clock.h). The program brings
 * its own serve_* functions, and includes engine/clock.h, conn.h, core.h and engine.h. */
#ifndef TESTS_UNIT_RIG_H
#define TESTS_UNIT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { RIG_WAIT_NS = 400000 };

struct rig {
    struct engine *engine;
    struct core *core;
    struct core_limits limits;
};

static uint64_t rig_skipped_ns;     /* by how much the clock was moved on */

/* A clock of the system, moved on. */
static inline uint64_t rig_clock(clockid_t id)
{
    struct timespec ts;
    (void)clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec + rig_skipped_ns;
}

/* clock.h */
uint64_t clock_now_ns(void) { return rig_clock(CLOCK_MONOTONIC); }

/* clock.h */
uint64_t clock_unix_ns(void) { return rig_clock(CLOCK_REALTIME); }

/* Small enough that a test can use up every pool. */
static inline struct core_limits rig_limits(void)
{
    return (struct core_limits){.conns = 4, .upstreams = 4, .exchanges = 4, .segs = 2000,
                                .rx_count = 32, .rx_bytes = 4096,
                                .region_bytes = 16 * MEM_BLOCK, .wipe = true};
}

/* What core_run does before its first turn. */
static inline struct rig rig_open(struct core_limits limits)
{
    struct rig r = {calloc(1, sizeof *r.engine), calloc(1, sizeof *r.core), limits};
    assert_true(r.engine && r.core);
    assert_true(core_init(r.core, r.engine, 0, ROLE_GATEWAY, &limits));
    struct ring_config config = {.entries = 256, .buf_count = limits.rx_count,
                                 .buf_bytes = limits.rx_bytes};
    assert_int_equal(ring_open(&config, &r.core->ring), 0);
    assert_true(mem_init(&r.core->mem, r.core->ring, limits.rx_count, limits.rx_bytes,
                         limits.region_bytes, limits.segs, limits.wipe));
    r.core->now_ns = clock_now_ns();
    r.core->unix_ns = clock_unix_ns();
    timer_init(&r.core->timers, r.core->now_ns);
    r.engine->core[0] = r.core;
    r.engine->core_count = 1;
    return r;
}

/* Some turns: enough for what is under way between sockets of one process. */
static inline void rig_turn(struct rig *r)
{
    for (int i = 0; i < 4; i++) assert_int_equal(core_turn(r->core, RIG_WAIT_NS), 0);
}

/* A client comes to the listener; gives its end, which the caller closes. */
static inline int rig_dial(struct rig *r, uint8_t listener)
{
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
    conn_open(r->core, fd[0], listener);
    return fd[1];
}

/* Time passes at once. */
static inline void rig_skip(struct rig *r, uint64_t ns)
{
    rig_turn(r);
    rig_skipped_ns += ns;
    rig_turn(r);
}

/* What a turn leaves in its scratch is zeros: whoever writes there says how much. */
static inline void rig_check_wiped(const struct core *core)
{
    static const char zeros[CORE_SCRATCH];
    assert_true(core->limits.wipe);
    assert_memory_equal(core->text, zeros, CORE_SCRATCH);
    assert_memory_equal(core->scratch, zeros, CORE_SCRATCH);
}

/* Every pool is full again: nothing leaked. */
static inline void rig_check_empty(struct rig *r)
{
    struct core *core = r->core;
    for (int i = 0; i < 500 && (i < 1 || core->conns.used || core->upstreams.used); i++) {
        rig_turn(r);
    }
    rig_check_wiped(core);
    assert_int_equal(r->core->conns.used, 0);
    assert_int_equal(r->core->upstreams.used, 0);
    assert_int_equal(r->core->mem.segs.used, 0);
    assert_int_equal(r->core->mem.bytes_used, 0);
    assert_int_equal(ring_buf_free(r->core->ring), r->limits.rx_count);
    assert_int_equal(r->core->timers.count, 0);
    assert_int_equal(stat_get(&r->core->stats.count[STAT_CONNECTIONS_OPEN]), 0);
    assert_int_equal(stat_get(&r->core->stats.count[STAT_UPSTREAMS_OPEN]), 0);
}

/* Unmap a slab. */
static inline void rig_drop_slab(struct slab *s) { munmap(s->items, s->item_bytes * s->count); }

/* End, where everything was given back. */
static inline void rig_close(struct rig *r)
{
    rig_check_empty(r);
    struct core *core = r->core;
    struct mem *m = &core->mem;
    ring_close(core->ring);
    munmap(m->region, (size_t)m->block_count * MEM_BLOCK);
    rig_drop_slab(&m->segs);
    rig_drop_slab(&core->conns);
    rig_drop_slab(&core->upstreams);
    rig_drop_slab(&core->exchanges);
    munmap(core->scratch, 3 * CORE_SCRATCH);
    (void)close(core->wake_fd);
    free(m->rx_refs);
    free(m->rx_used);
    free(m->rx_front);
    free(m->block_next);
    free(m->page_map);
    free(m->split_prev);
    free(m->split_next);
    free(core);
    for (uint32_t i = 0; i < r->engine->hosts.count; i++) free(r->engine->hosts.at[i]);
    free(r->engine);
}

#endif
