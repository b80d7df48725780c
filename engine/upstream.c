/* upstream.c - one connection to a provider.
 *   DIAL -> SHAKE -> BUSY <-> IDLE      any of them -> CLOSING -> slot returned
 * A dial tries one address, after 250 ms a second one beside it (RFC 8305 section 5), the first
 * to connect wins; then the next addresses one after another within the dial's time. */
#include "engine/upstream.h"
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/exchange.h"
#include "engine/sock.h"
#include "net/tls.h"

#include <errno.h>

enum {
    RACE_NS = 250000000,             /* RFC 8305: Connection Attempt Delay */
    POOL_IDLE_S = 55,                /* below the 60 s many providers allow */
    POOL_MAX = 1024,                 /* idle connections kept for one host */
    SEAL_MAX = MEM_BLOCK,            /* record bytes queued per flush */
};

static uint64_t user(const struct upstream *u, enum ring_op op)
{
    return ring_user(op, u->head.slot, u->head.generation);
}

static void pool_remove(struct core *core, struct upstream *u)
{
    assert(u->state == UP_IDLE);
    if (u->pool_prev) u->pool_prev->pool_next = u->pool_next;
    else core->pool[u->host_idx] = u->pool_next;
    if (u->pool_next) u->pool_next->pool_prev = u->pool_prev;
    u->pool_prev = u->pool_next = NULL;
    assert(core->pooled[u->host_idx] > 0);
    core->pooled[u->host_idx]--;
}

static void arm_recv(struct core *core, struct upstream *u)
{
    assert(!u->recv_armed);
    if (u->recv_once) ring_recv_once(core->ring, u->fd, user(u, OP_UP_RECV));
    else ring_recv(core->ring, u->fd, user(u, OP_UP_RECV));
    u->recv_armed = true;
    u->recv_paused = false;
    u->inflight++;
}

static void arm_later(struct core *core, struct upstream *u)
{
    struct pour_queue *q = &core->pouring_ups;
    if (u->pouring) return;
    u->pouring = true;
    if (q->count++ == 0) q->first = u->head.slot;
    else ((struct upstream *)(void *)slab_at(&core->upstreams, q->last))->next_pouring =
             u->head.slot;
    q->last = u->head.slot;
}

void upstream_pour_some(struct core *core)
{
    struct pour_queue *q = &core->pouring_ups;
    for (uint32_t i = 0; i < CORE_POUR_TURN && q->count > 0; i++) {
        struct upstream *u = (struct upstream *)(void *)slab_at(&core->upstreams, q->first);
        assert(u->pouring);
        q->count--;
        q->first = u->next_pouring;
        u->pouring = false;
        if (u->state != UP_CLOSING && !u->recv_armed && !u->recv_paused) arm_recv(core, u);
    }
}

/* Start connecting to the next address. False: none left, or no socket for any. */
static bool dial_next(struct core *core, struct upstream *u, bool second)
{
    struct host_addresses all;
    if (!host_look(core->engine->hosts.at[u->host_idx], &all)) return false;
    while (u->address < all.count) {
        uint32_t i = u->address++;
        int fd = sock_dial(all.at[i].ss_family);
        if (fd < 0) continue;
        if (second) {
            u->fd_2 = fd;
            u->connecting_2 = true;
        } else {
            u->fd = fd;
            u->connecting = true;
        }
        ring_connect(core->ring, fd, user(u, second ? OP_UP_CONNECT_2 : OP_UP_CONNECT),
                     (const struct sockaddr *)&all.at[i], all.len[i]);
        u->inflight++;
        core_count(core, STAT_DIALS);
        return true;
    }
    return false;
}

static struct upstream *take_pooled(struct core *core, struct exchange *x, uint16_t host_idx)
{
    struct upstream *u = core->pool[host_idx];
    if (!u) return NULL;
    pool_remove(core, u);
    timer_disarm(&core->timers, &u->timer);
    u->state = UP_BUSY;
    u->x = x;
    u->reused = true;
    u->got_bytes = false;
    u->unasked = true;
    core_count(core, STAT_REUSED);
    return u;
}

struct upstream *upstream_take(struct core *core, struct exchange *x, uint16_t host_idx,
                               uint64_t connect_ns, bool fresh, enum attempt_end *end)
{
    assert(host_idx < CORE_HOSTS_MAX);
    struct upstream *u = fresh ? NULL : take_pooled(core, x, host_idx);
    if (u) return u;
    *end = ATTEMPT_NO_ROOM;
    u = slab_take(&core->upstreams);
    if (!u) return NULL;
    u->x = x;
    u->host_idx = host_idx;
    u->connect_ns = connect_ns;
    u->fd = u->fd_2 = -1;
    u->state = UP_DIAL;
    u->timer.kind = TIMER_UPSTREAM;
    struct host_addresses all;
    if (!host_look(core->engine->hosts.at[host_idx], &all)) *end = ATTEMPT_NAME;
    if (!dial_next(core, u, false)) {
        slab_give(&core->upstreams, u);
        return NULL;
    }
    core_count(core, STAT_UPSTREAMS_OPEN);
    uint64_t race = connect_ns < RACE_NS ? connect_ns : RACE_NS;
    u->connect_ns = core->now_ns + connect_ns;
    timer_arm(&core->timers, &u->timer, core->now_ns + race);
    return u;
}

void upstream_dirty(struct core *core, struct upstream *u)
{
    if (u->dirty || u->state == UP_CLOSING) return;
    u->dirty = true;
    u->next_dirty = core->dirty_ups;
    core->dirty_ups = u;
}

void upstream_close(struct core *core, struct upstream *u)
{
    if (u->state == UP_CLOSING) return;
    if (u->state == UP_IDLE) pool_remove(core, u);
    timer_disarm(&core->timers, &u->timer);
    u->state = UP_CLOSING;
    if (u->connecting) ring_cancel(core->ring, user(u, OP_UP_CONNECT));
    if (u->connecting_2) ring_cancel(core->ring, user(u, OP_UP_CONNECT_2));
    if (u->fd >= 0 && !u->connecting) ring_shutdown(core->ring, u->fd, SHUT_RDWR);
    if (u->x) exchange_keep(u->x);  /* a send in flight may read its memory */
    u->next_closing = core->closing_ups;
    core->closing_ups = u;
}

/* The connection failed under its exchange: tell it, which decides; close. */
static void fail(struct core *core, struct upstream *u, enum attempt_end end)
{
    if (u->state == UP_CLOSING) return;
    bool lent = u->state != UP_IDLE;
    struct exchange *x = u->x;
    upstream_close(core, u);
    if (lent && x) exchange_on_broken(core, x, u, end);
}

void upstream_give(struct core *core, struct upstream *u)
{
    assert(u->state == UP_BUSY);
    bool odd = u->sending || u->out.bytes || u->wire.bytes || u->recv_paused ||
               (!u->recv_armed && u->full_run > 0);   /* more may lie behind a whole buffer */
    bool off = atomic_load_explicit(&core->engine->hosts.at[u->host_idx]->off,
                                    memory_order_relaxed);
    if (odd || off || core->stopping || core->pooled[u->host_idx] >= POOL_MAX) {
        upstream_close(core, u);
        return;
    }
    u->x = NULL;
    u->state = UP_IDLE;
    u->pool_prev = NULL;
    u->pool_next = core->pool[u->host_idx];
    if (u->pool_next) u->pool_next->pool_prev = u;
    core->pool[u->host_idx] = u;
    core->pooled[u->host_idx]++;
    timer_arm(&core->timers, &u->timer, core->now_ns + POOL_IDLE_S * 1000000000ull);
}

void upstream_pause(struct core *core, struct upstream *u, bool pause)
{
    if (u->state != UP_BUSY || pause == u->recv_paused) return;
    if (pause) {
        u->recv_paused = u->recv_once = true;
        if (u->recv_armed) ring_cancel(core->ring, user(u, OP_UP_RECV));
    } else if (u->recv_armed) {
        u->recv_paused = false;       /* the cancellation runs: re-armed after it */
    } else {
        arm_recv(core, u);
    }
}

/* --- TLS --- */

static enum attempt_end tls_begin(struct core *core, struct upstream *u)
{
    const struct host *h = core->engine->hosts.at[u->host_idx];
    u->tls = core->tls ? tls_client(core->tls, h->name, h->literal, u->host_idx) : NULL;
    if (!u->tls) return ATTEMPT_NO_ROOM;
    u->state = UP_SHAKE;
    return ATTEMPT_GOOD;
}

/* close-notify ends a body as a plain end of stream would; all else is a failure. */
static void tls_ended(struct core *core, struct upstream *u, enum net_rc rc)
{
    if (rc == NET_DONE && u->state == UP_BUSY && u->x) exchange_on_eof(core, u->x, u);
    else fail(core, u, u->state == UP_SHAKE ? ATTEMPT_TLS : ATTEMPT_RESET);
}

/* Hand decrypted bytes on. *over: the answer they belong to has ended, so that further ones are
 * nobody's, even when u was lent anew within. False: u is closing. */
static bool tls_plain(struct core *core, struct upstream *u, struct bytes plain, bool *over)
{
    if (u->state != UP_BUSY || *over || u->unasked) {
        fail(core, u, u->state == UP_BUSY && u->unasked ? ATTEMPT_RESET : ATTEMPT_PROTOCOL);
        return false;
    }
    u->got_bytes = true;
    *over = !exchange_on_bytes(core, u->x, u, plain, RING_BUF_NONE);
    return u->state != UP_CLOSING;
}

/* Draw from the library until it wants more input (tickets and close-notify may follow the last
 * byte of an answer). */
static void tls_input(struct core *core, struct upstream *u, struct bytes in)
{
    static_assert((int)CORE_SCRATCH >= (int)TLS_RECORD_MAX, "one record fits the scratch");
    bool over = false;
    for (;;) {
        size_t plain_len = 0, out_len = 0;
        enum net_rc rc = tls_pull(u->tls, &in, core->scratch, CORE_SCRATCH, &plain_len,
                                  core->scratch_2, CORE_SCRATCH, &out_len);
        if (out_len) {
            if (!chain_copy(&core->mem, &u->wire, (struct bytes){core->scratch_2, out_len})) {
                fail(core, u, ATTEMPT_NO_ROOM);
                return;
            }
            upstream_dirty(core, u);
        }
        struct bytes plain = {core->scratch, plain_len};
        core_scratch_put(core, plain_len);
        if (plain_len && !tls_plain(core, u, plain, &over)) return;
        if (u->state == UP_SHAKE && tls_ready(u->tls)) {
            if (tls_resumed(u->tls)) core_count(core, STAT_TLS_RESUMED);
            u->state = UP_BUSY;
            timer_disarm(&core->timers, &u->timer);
            upstream_dirty(core, u);
        }
        if (rc == NET_MORE) return;
        if (rc == NET_OK) continue;
        tls_ended(core, u, rc);
        return;
    }
}

static void tls_seal_out(struct core *core, struct upstream *u)
{
    while (u->out.bytes > 0 && u->wire.bytes < SEAL_MAX) {
        uint32_t at = u->out.first, left = u->out.count;
        struct bytes piece;
        if (!chain_next(&core->mem, &at, &left, &piece)) return;
        size_t before = piece.len;
        size_t n = tls_seal(u->tls, &piece, core->scratch_2, CORE_SCRATCH);
        if (n == 0) {
            if (tls_failed(u->tls)) fail(core, u, ATTEMPT_TLS);
            return;
        }
        if (!chain_copy(&core->mem, &u->wire, (struct bytes){core->scratch_2, n})) {
            fail(core, u, ATTEMPT_NO_ROOM);
            return;
        }
        chain_eat(&core->mem, &u->out, before - piece.len);
    }
}

/* --- completions --- */

static void connected(struct core *core, struct upstream *u)
{
    arm_recv(core, u);
    if (core->engine->hosts.at[u->host_idx]->tls) {
        enum attempt_end end = tls_begin(core, u);
        if (end != ATTEMPT_GOOD) fail(core, u, end);
        else tls_input(core, u, (struct bytes){0});
        return;
    }
    u->state = UP_BUSY;
    timer_disarm(&core->timers, &u->timer);
    upstream_dirty(core, u);
}

static enum attempt_end connect_end(int32_t n)
{
    switch (-n) {
    case ECONNREFUSED: return ATTEMPT_REFUSED;
    case ETIMEDOUT: return ATTEMPT_TIMEOUT;
    case ECONNRESET: return ATTEMPT_RESET;
    default: return ATTEMPT_UNREACHABLE;
    }
}

static void connect_failed(struct core *core, struct upstream *u, int32_t n, bool second)
{
    if (second) {
        ring_close_fd(core->ring, u->fd_2);
        u->fd_2 = -1;
    } else {
        ring_close_fd(core->ring, u->fd);
        u->fd = -1;
    }
    if (u->connecting || u->connecting_2) return;  /* the other one still runs */
    if (dial_next(core, u, false)) return;
    core_count(core, STAT_DIAL_FAILED);
    fail(core, u, connect_end(n));
}

void upstream_on_connect(struct core *core, struct upstream *u, const struct ring_done *d,
                         bool second)
{
    assert(u->inflight > 0);
    u->inflight--;
    if (second) u->connecting_2 = false;
    else u->connecting = false;
    if (u->state == UP_CLOSING) return;
    if (u->state != UP_DIAL) {          /* the loser of the race: always in fd_2 */
        if (u->fd_2 >= 0) ring_close_fd(core->ring, u->fd_2);
        u->fd_2 = -1;
        return;
    }
    if (d->n < 0) {
        connect_failed(core, u, d->n, second);
        return;
    }
    if (u->connecting) ring_cancel(core->ring, user(u, OP_UP_CONNECT));
    if (u->connecting_2) ring_cancel(core->ring, user(u, OP_UP_CONNECT_2));
    u->connecting = u->connecting_2 = false;
    if (second) {                       /* the winner is always fd */
        int loser = u->fd;
        u->fd = u->fd_2;
        u->fd_2 = loser;
    }
    connected(core, u);
}

static void plain_input(struct core *core, struct upstream *u, uint32_t buf, uint32_t n)
{
    struct bytes in = {ring_buf(core->ring, buf), n};
    if (u->tls) {
        tls_input(core, u, in);
    } else if (u->state == UP_BUSY && !u->unasked) {
        u->got_bytes = true;
        (void)exchange_on_bytes(core, u->x, u, in, buf);
    } else {
        /* bytes nobody asked for; a request that took this connection meanwhile gets another */
        fail(core, u, u->state == UP_BUSY ? ATTEMPT_RESET : ATTEMPT_PROTOCOL);
    }
}

static void recv_ended(struct core *core, struct upstream *u, int32_t n)
{
    if (n == -ENOBUFS) core_count(core, STAT_NO_BUFFERS);
    if (n == -ENOBUFS || n > 0 || n == -ECANCELED) {
        if (u->recv_paused) return;
        if (n > 0 && u->recv_once) arm_later(core, u);
        else if (!u->recv_armed) arm_recv(core, u);
    } else if (n == 0 && u->state == UP_BUSY && u->x && !u->tls) {
        exchange_on_eof(core, u->x, u);
    } else {
        fail(core, u, n == 0 || n == -ECONNRESET ? ATTEMPT_RESET : ATTEMPT_UNREACHABLE);
    }
}

static void note_pouring(struct core *core, struct upstream *u, uint32_t n, bool last)
{
    bool pours = core_pours(core, &u->full_run, n);
    if (last) u->recv_once = pours;
    if (last || !pours || u->recv_once || u->state == UP_CLOSING) return;
    u->recv_once = true;
    ring_cancel(core->ring, user(u, OP_UP_RECV));
}

void upstream_on_recv(struct core *core, struct upstream *u, const struct ring_done *d)
{
    if (d->last) {
        assert(u->inflight > 0);
        u->inflight--;
        u->recv_armed = false;
    }
    if (d->buf != RING_BUF_NONE) {
        uint32_t n = d->n > 0 ? (uint32_t)d->n : 0;
        mem_rx_take(&core->mem, d->buf, n);
        note_pouring(core, u, n, d->last);
        if (u->state != UP_CLOSING && n > 0) plain_input(core, u, d->buf, n);
        mem_rx_give(&core->mem, d->buf);
    }
    if (u->state != UP_CLOSING && d->last) recv_ended(core, u, d->n);
}

void upstream_on_send(struct core *core, struct upstream *u, const struct ring_done *d)
{
    assert(u->inflight > 0 && u->sending);
    u->inflight--;
    u->sending = false;
    if (u->state == UP_CLOSING) return;
    if (d->n < 0) {
        /* An answer that came before the reset is still to be read: the receive tells. */
        chain_drop(&core->mem, &u->out);
        chain_drop(&core->mem, &u->wire);
        if (!u->recv_armed && !u->recv_paused) fail(core, u, ATTEMPT_RESET);
        return;
    }
    chain_eat(&core->mem, u->tls ? &u->wire : &u->out, (uint64_t)d->n);
    if (u->out.bytes || u->wire.bytes) upstream_dirty(core, u);
    else if (u->x) exchange_on_sent(core, u->x, u);
}

void upstream_on_timer(struct core *core, struct upstream *u)
{
    if (u->state == UP_IDLE) {
        upstream_close(core, u);
        return;
    }
    if (u->state != UP_DIAL && u->state != UP_SHAKE) return;
    if (core->now_ns >= u->connect_ns) {
        core_count(core, STAT_DIAL_FAILED);
        fail(core, u, ATTEMPT_TIMEOUT);
        return;
    }
    if (u->state == UP_DIAL && !u->connecting_2 && u->fd_2 < 0) (void)dial_next(core, u, true);
    timer_arm(&core->timers, &u->timer, u->connect_ns);
}

static void flush(struct core *core, struct upstream *u)
{
    if (u->sending || (u->state != UP_BUSY && u->state != UP_SHAKE)) return;
    if (u->tls && u->state == UP_BUSY) tls_seal_out(core, u);
    if (u->state == UP_CLOSING) return;
    struct chain *from = u->tls ? &u->wire : &u->out;
    if (from->bytes == 0) return;
    struct iovec iov[RING_IOV_MAX];
    unsigned n = chain_iov(&core->mem, from, iov, RING_IOV_MAX);
    ring_send(core->ring, u->fd, user(u, OP_UP_SEND), iov, n);
    if (u->state == UP_BUSY) u->unasked = false;
    u->sending = true;
    u->inflight++;
}

void upstream_flush_all(struct core *core)
{
    while (core->dirty_ups) {
        struct upstream *u = core->dirty_ups;
        core->dirty_ups = u->next_dirty;
        u->dirty = false;
        flush(core, u);
    }
}

void upstream_reap_all(struct core *core)
{
    struct upstream **at = &core->closing_ups;
    while (*at) {
        struct upstream *u = *at;
        if (u->inflight > 0 || u->dirty || u->pouring) {
            at = &u->next_closing;
            continue;
        }
        *at = u->next_closing;
        chain_drop(&core->mem, &u->out);
        chain_drop(&core->mem, &u->wire);
        tls_close(u->tls);
        if (u->fd >= 0) ring_close_fd(core->ring, u->fd);
        if (u->fd_2 >= 0) ring_close_fd(core->ring, u->fd_2);
        if (u->x) exchange_drop(core, u->x);
        core_uncount(core, STAT_UPSTREAMS_OPEN);
        slab_give(&core->upstreams, u);
    }
}

void upstream_close_off(struct core *core)
{
    const struct hosts *hosts = &core->engine->hosts;
    uint32_t count = atomic_load_explicit(&hosts->count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        if (!atomic_load_explicit(&hosts->at[i]->off, memory_order_relaxed)) continue;
        while (core->pool[i]) upstream_close(core, core->pool[i]);
    }
}

void upstream_close_idle(struct core *core)
{
    for (uint32_t i = 0; i < CORE_HOSTS_MAX; i++) {
        while (core->pool[i]) upstream_close(core, core->pool[i]);
    }
}
