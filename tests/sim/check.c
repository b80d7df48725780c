/* check.c - see check.h. The checkers:
 *   slots       used slots = taken slots = the gauge in the counters
 *   inflight    what an owner counts as under way is under way
 *   cancel      nothing goes on for a client that is gone: its provider was let go at once
 *   links       connection, exchange and upstream name each other; a lead and its twins too
 *   stuck       what runs has something that it waits for
 *   ends-once   exchanges begun - running = records written
 *   memory      segments in use = those in chains; the region holds what is held
 *   buffers     receive buffers are free or counted, none is both or neither
 *   descriptors every open descriptor of the engine has one owner */
#include "engine/engine.h"
#include "engine/conn.h"
#include "engine/core.h"
#include "engine/exchange.h"
#include "engine/resume.h"
#include "engine/translator.h"
#include "engine/upstream.h"
#include "tests/sim/check.h"
#include "tests/sim/life.h"
#include "tests/sim/machine.h"
#include "tests/sim/ring_sim.h"
#include "tests/sim/wire.h"

#define BIT(op) (1u << (op))

struct sums {
    uint64_t conns, ups, exchanges, unbooked, segs, armed;
    uint32_t idle[CORE_HOSTS_MAX];
};

static void inflight(const struct core *core, const char *what, const struct slab_head *h,
                     uint32_t ops, uint32_t counted)
{
    uint32_t n = ring_sim_inflight(core->ring, ops, h->slot, h->generation);
    if (n == counted) return;
    violated("inflight", "core %u, %s %u: %u operations under way, %u counted", core->idx, what,
             h->slot, n, counted);
}

static bool is_timer_armed(const struct timer *t) { return t->wheel_ns != 0; }

static void check_conn(const struct core *core, const struct conn *c, struct sums *s)
{
    s->conns++;
    s->segs += c->out.count + c->ahead.count + c->body.count;
    s->armed += is_timer_armed(&c->timer);
    (void)wire_sock(c->fd, "owned by a connection");
    inflight(core, "connection", &c->head, BIT(OP_CONN_RECV) | BIT(OP_CONN_SEND), c->inflight);
    if (c->x && (c->x->c != c || !c->x->head.taken)) {
        violated("links", "core %u: connection %u names an exchange that does not name it",
                 core->idx, c->head.slot);
    }
    if (c->state != CONN_CLOSING && c->inflight == 0 && !is_timer_armed(&c->timer) && !c->x &&
        !c->ready && !c->job) {
        violated("stuck", "core %u: connection %u in state %u waits for nothing", core->idx,
                 c->head.slot, c->state);
    }
}

static void check_upstream(const struct core *core, const struct upstream *u, struct sums *s)
{
    uint32_t ops = BIT(OP_UP_CONNECT) | BIT(OP_UP_CONNECT_2) | BIT(OP_UP_RECV) |
                   BIT(OP_UP_SEND);
    s->ups++;
    s->segs += u->out.count + u->wire.count;
    s->armed += is_timer_armed(&u->timer);
    inflight(core, "upstream", &u->head, ops, u->inflight);
    if (u->state == UP_CLOSING) return;
    if (u->state == UP_IDLE) {
        s->idle[u->host_idx]++;
        if (u->x) violated("links", "core %u: a pooled upstream has an exchange", core->idx);
    } else if (!u->x || !u->x->head.taken || u->x->u != u) {
        violated("cancel", "core %u: upstream %u runs in state %u for nobody", core->idx,
                 u->head.slot, u->state);
    }
}

/* A lead and its twins know each other; the lead alone has a client, and outlives them. */
static void check_family(const struct core *core, const struct exchange *x)
{
    const struct exchange *lead = x->lead ? x->lead : x, *t = lead->twins;
    bool runs = lead->head.taken && lead->c && lead->state < X_RELAY && !lead->lead;
    if (!x->lead && !t) return;
    if (!runs || lead->booked || (x->lead && x->c)) {
        violated("cancel", "core %u: exchange %u in state %u is a twin for nobody", core->idx,
                 x->head.slot, x->state);
    }
    while (x->lead && t && t != x) t = t->next_twin;
    if (!t || t->lead != lead) {
        violated("links", "core %u: twin %u, whom its lead does not name", core->idx,
                 x->head.slot);
    }
}

/* Its answer is all there: it waits for somebody else of its family, who runs. */
static bool waits_for_others(const struct exchange *x)
{
    const struct exchange *lead = x->lead ? x->lead : x, *m = lead;
    bool rests = x->cascade.parked && !x->u && is_timer_armed(&x->timer) == (x->ping_ns > 0);
    if (!rests) return false;
    for (; m; m = m == lead ? lead->twins : m->next_twin) {
        if (!m->cascade.parked && m->state != X_DONE) return true;
    }
    return false;
}

static void check_exchange(const struct core *core, const struct exchange *x, struct sums *s)
{
    s->exchanges++;
    s->unbooked += !x->booked && !x->lead;     /* a family has one end */
    s->segs += x->body.count + x->answer.count;
    const struct translation *o = x->other;
    if (o) s->segs += o->wire.count + o->event.count + o->keep.count;
    const struct resume *r = x->resume;
    if (r) s->segs += r->raw.count + r->said.count;
    s->armed += is_timer_armed(&x->timer);
    if (x->state == X_DONE) {
        if (x->u || x->c) violated("links", "core %u: a dead exchange holds on", core->idx);
        return;
    }
    check_family(core, x);
    if (!x->c && !x->lead && x->state != X_DRAIN) {
        violated("cancel", "core %u: exchange %u in state %u goes on without a client",
                 core->idx, x->head.slot, x->state);
    }
    if (x->c && (x->c->x != x || x->c->state == CONN_CLOSING)) {
        violated("links", "core %u: exchange %u has a connection that is not its own",
                 core->idx, x->head.slot);
    }
    if (x->state == X_READ) return;
    if (x->state == X_QUEUE) {
        bool waits = x->line || x->cooling;    /* for room, or for a pause to end */
        if (x->u || !waits || !is_timer_armed(&x->timer)) {
            violated("stuck", "core %u: exchange %u waits for room in no line", core->idx,
                     x->head.slot);
        }
        return;
    }
    if (waits_for_others(x)) return;
    if (!x->u || x->u->x != x || x->u->state == UP_IDLE || x->u->state == UP_CLOSING) {
        violated("stuck", "core %u: exchange %u in state %u has no upstream", core->idx,
                 x->head.slot, x->state);
    }
}

static void check_counts(const struct core *core, const struct sums *s)
{
    const struct stats *st = &core->stats;
    uint64_t conns = stat_get(&st->count[STAT_CONNECTIONS_OPEN]);
    uint64_t ups = stat_get(&st->count[STAT_UPSTREAMS_OPEN]);
    uint64_t exchanges = stat_get(&st->count[STAT_EXCHANGES_OPEN]);
    if (core->conns.used != s->conns || conns != s->conns) {
        violated("slots", "core %u: %u connections, %llu counted, %llu taken", core->idx,
                 core->conns.used, (unsigned long long)conns, (unsigned long long)s->conns);
    }
    if (core->upstreams.used != s->ups || ups != s->ups) {
        violated("slots", "core %u: %u upstreams, %llu counted, %llu taken", core->idx,
                 core->upstreams.used, (unsigned long long)ups, (unsigned long long)s->ups);
    }
    if (core->exchanges.used != s->exchanges || exchanges != s->exchanges) {
        violated("slots", "core %u: %u exchanges, %llu counted, %llu taken", core->idx,
                 core->exchanges.used, (unsigned long long)exchanges,
                 (unsigned long long)s->exchanges);
    }
    if (core->mem.segs.used != s->segs) {
        violated("memory", "core %u: %u segments in use, %llu in chains", core->idx,
                 core->mem.segs.used, (unsigned long long)s->segs);
    }
    for (int i = 0; i < CORE_HOSTS_MAX; i++) {
        if (core->pooled[i] == s->idle[i]) continue;
        violated("slots", "core %u: %u pooled for host %d, %u idle", core->idx, core->pooled[i],
                 i, s->idle[i]);
    }
}

static void check_buffers(const struct core *core)
{
    uint32_t held = 0;
    for (uint32_t i = 0; i < core->mem.rx_count; i++) held += core->mem.rx_refs[i] > 0;
    uint32_t freed = ring_buf_free(core->ring);
    if (held + freed == core->mem.rx_count) return;
    violated("buffers", "core %u: %u held, %u free, of %u", core->idx, held, freed,
             core->mem.rx_count);
}

/* Records of this core's journal, this life: all that ended. */
static void check_ends(const struct core *core, const struct sums *s)
{
    uint64_t begun = stat_get(&core->stats.count[STAT_EXCHANGES]);
    uint64_t ended = journal_tail(core->journal) + journal_lag(core->journal) -
                     life()->attempts[core->idx];
    if (begun - s->unbooked == ended) return;
    violated("ends-once", "core %u: %llu exchanges began, %llu run, %llu records", core->idx,
             (unsigned long long)begun, (unsigned long long)s->unbooked,
             (unsigned long long)ended);
}

void check_core(struct core *core)
{
    struct sums s = {0};
    for (uint32_t i = 0; i < core->conns.touched; i++) {
        const struct slab_head *h = slab_at(&core->conns, i);
        if (h->taken) check_conn(core, (const struct conn *)(const void *)h, &s);
    }
    for (uint32_t i = 0; i < core->upstreams.touched; i++) {
        const struct slab_head *h = slab_at(&core->upstreams, i);
        if (h->taken) check_upstream(core, (const struct upstream *)(const void *)h, &s);
    }
    for (uint32_t i = 0; i < core->exchanges.touched; i++) {
        const struct slab_head *h = slab_at(&core->exchanges, i);
        if (h->taken) check_exchange(core, (const struct exchange *)(const void *)h, &s);
    }
    check_counts(core, &s);
    check_buffers(core);
    if (core->role == ROLE_GATEWAY) {
        check_ends(core, &s);
        s.armed += is_timer_armed(&core->room.timer);
        if (core->timers.count != s.armed) {
            violated("slots", "core %u: %u timers on the wheel, %llu armed", core->idx,
                     core->timers.count, (unsigned long long)s.armed);
        }
    }
}

static uint32_t owned(const struct core *core)
{
    uint32_t count = core->conns.used + ring_sim_closing(core->ring) +
                     ring_sim_passing(core->ring);
    for (uint32_t i = 0; i < core->upstreams.touched; i++) {
        const struct slab_head *h = slab_at(&core->upstreams, i);
        const struct upstream *u = (const struct upstream *)(const void *)h;
        if (h->taken) count += (uint32_t)(u->fd >= 0) + (uint32_t)(u->fd_2 >= 0);
    }
    for (uint32_t i = 0; i < core->listen_count; i++) {
        count += wire_sock(core->listen_fd[i], "listener")->backlog_len;
    }
    return count;
}

void check_engine(const struct engine *e)
{
    uint32_t count = owned(e->admin);
    for (uint32_t i = 0; i < e->core_count; i++) count += owned(e->core[i]);
    uint32_t open = wire_engine_open(SOCK_CONNECTED) + wire_engine_open(SOCK_DIALLING);
    if (open == count || atomic_load(&e->draining)) return;  /* listeners are being closed */
    violated("descriptors", "%u are open, %u are owned", open, count);
}

void check_rest(struct core *core, bool drained)
{
    const struct mem *m = &core->mem;
    if (core->conns.used || core->exchanges.used || (drained && core->upstreams.used)) {
        violated("rest", "core %u: %u connections, %u exchanges, %u upstreams are left",
                 core->idx, core->conns.used, core->exchanges.used, core->upstreams.used);
    }
    if (m->segs.used || m->bytes_used) {
        violated("rest", "core %u: %u segments, %llu bytes are left", core->idx, m->segs.used,
                 (unsigned long long)m->bytes_used);
    }
    if (ring_buf_free(core->ring) != m->rx_count) {
        violated("rest", "core %u: %u of %u receive buffers are left", core->idx,
                 m->rx_count - ring_buf_free(core->ring), m->rx_count);
    }
    if (drained && core->timers.count) {
        violated("rest", "core %u: %u timers are left", core->idx, core->timers.count);
    }
}
