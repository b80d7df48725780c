/* ring_sim.c - ring.h over the simulated network.
 *   queued --ring_wait--> under way --ready, cancelled, failed--> completed
 * Operations are looked at in an order drawn anew each time; those of one stream stay in order.
 * A send reads the caller's bytes only as they leave, so that memory given back too early is
 * seen by the peer; a receive buffer given back is overwritten at once.
 * Rule: what io_uring may do by its manual, this does now and then; what it never does, this
 * never does. */
#include "tests/sim/ring_sim.h"
#include "tests/sim/machine.h"
#include "tests/sim/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPS_MAX = 4096,
    CANCEL_NS = 5000000,
    POISON = 0xa5,
    RUN_MAX = 3,               /* completions of one operation in a turn */
};

enum job { JOB_START, JOB_CANCEL, JOB_CLOSE, JOB_MESSAGE };

struct op {
    uint64_t user;
    uint64_t cancel_ns;        /* when its cancellation takes effect; 0: not cancelled */
    uint64_t due_ns;           /* connect: when it is decided */
    struct wire_dial dial;
    struct iovec iov[RING_IOV_MAX];
    uint32_t iov_count, sent;
    int fd;
    bool used, started;
    bool once;                 /* a receive that ends with its first bytes */
};

struct entry {                 /* of the submission queue */
    enum job job;
    uint32_t op;               /* JOB_START */
    int fd;
    uint64_t user, on_fail;
    struct ring *to;
};

struct mail { uint64_t user; int fd; };   /* a message that came from another ring */

struct ring {
    struct op op[OPS_MAX];
    uint32_t op_high;          /* no op in use at or above */
    struct entry queue[OPS_MAX];
    uint32_t queue_len;
    struct mail mail[WIRE_MAX];
    uint32_t mail_len;
    struct ring_done done[OPS_MAX];       /* decided at submission */
    uint32_t done_len;
    char *bufs;
    uint32_t *free_buf;        /* first in, first out, as the kernel walks them */
    bool *is_free;
    uint32_t buf_count, buf_bytes, free_head, free_len, free_seen;
};

int ring_open(const struct ring_config *config, struct ring **out)
{
    assert(config->buf_count && (config->buf_count & (config->buf_count - 1)) == 0);
    struct ring *r = calloc(1, sizeof *r);
    if (!r) return -ENOMEM;
    r->buf_count = config->buf_count;
    r->buf_bytes = config->buf_bytes;
    r->bufs = malloc((size_t)r->buf_count * (r->buf_bytes + RING_FRONT));
    r->free_buf = calloc(r->buf_count, sizeof *r->free_buf);
    r->is_free = calloc(r->buf_count, sizeof *r->is_free);
    assert(r->bufs && r->free_buf && r->is_free);
    for (uint32_t i = 0; i < r->buf_count; i++) ring_buf_give(r, i);
    *out = r;
    return 0;
}

void ring_close(struct ring *r)
{
    if (!r) return;
    free(r->bufs);
    free(r->free_buf);
    free(r->is_free);
    free(r);
}

void ring_look(const struct ring *r, struct ring_features *out)
{
    (void)r;
    *out = (struct ring_features){.multishot_accept = true, .multishot_recv = true,
                                  .provided_buffers = true, .message = true};
}

/* --- queueing */

static struct entry *enqueue(struct ring *r, enum job job)
{
    assert(r->queue_len < OPS_MAX);
    struct entry *e = &r->queue[r->queue_len++];
    *e = (struct entry){.job = job};
    return e;
}

static struct op *start(struct ring *r, int fd, uint64_t user)
{
    uint32_t i = 0;
    while (i < OPS_MAX && r->op[i].used) i++;
    assert(i < OPS_MAX);
    if (i >= r->op_high) r->op_high = i + 1;
    r->op[i] = (struct op){.user = user, .fd = fd, .used = true};
    enqueue(r, JOB_START)->op = i;
    return &r->op[i];
}

void ring_accept(struct ring *r, int fd, uint64_t user)
{
    (void)wire_sock(fd, "ring_accept");
    (void)start(r, fd, user);
}

void ring_recv(struct ring *r, int fd, uint64_t user)
{
    (void)wire_sock(fd, "ring_recv");
    (void)start(r, fd, user);
}

void ring_recv_once(struct ring *r, int fd, uint64_t user)
{
    (void)wire_sock(fd, "ring_recv_once");
    start(r, fd, user)->once = true;
}

void ring_send(struct ring *r, int fd, uint64_t user, const struct iovec *iov, unsigned count)
{
    assert(count > 0 && count <= RING_IOV_MAX);
    (void)wire_sock(fd, "ring_send");
    struct op *op = start(r, fd, user);
    memcpy(op->iov, iov, count * sizeof *iov);
    op->iov_count = count;
}

void ring_connect(struct ring *r, int fd, uint64_t user, const struct sockaddr *addr,
                  socklen_t len)
{
    assert(len <= sizeof(struct sockaddr_storage));
    (void)wire_sock(fd, "ring_connect");
    struct op *op = start(r, fd, user);
    op->dial = wire()->dial(addr);
}

void ring_wake(struct ring *r, int fd, uint64_t user)
{
    (void)wire_sock(fd, "ring_wake");
    (void)start(r, fd, user);
}

void ring_cancel(struct ring *r, uint64_t user) { enqueue(r, JOB_CANCEL)->user = user; }

void ring_shutdown(struct ring *r, int fd, int how)
{
    (void)r;
    note("shutdown", (uint64_t)fd, (uint64_t)how, 0);
    wire_shut(fd, how);
}

uint32_t ring_unsent(const struct ring *r, int fd)
{
    (void)r;
    const struct sock *s = wire_sock(fd, "SIOCOUTQ");
    return s->peer >= 0 ? wire_sock(s->peer, "SIOCOUTQ")->len : 0;
}

void ring_close_fd(struct ring *r, int fd)
{
    (void)wire_sock(fd, "ring_close_fd");
    enqueue(r, JOB_CLOSE)->fd = fd;
}

void ring_message(struct ring *r, const struct ring *to, int fd, uint64_t user,
                  uint64_t on_fail)
{
    struct entry *e = enqueue(r, JOB_MESSAGE);
    e->fd = fd;
    e->user = user;
    e->on_fail = on_fail;
    e->to = (struct ring *)(uintptr_t)to;  /* the kernel writes there, not the caller */
}

/* --- buffers */

char *ring_buf(const struct ring *r, uint32_t buf)
{
    assert(buf < r->buf_count);
    return r->bufs + RING_FRONT + (size_t)buf * (r->buf_bytes + RING_FRONT);
}

void ring_buf_give(struct ring *r, uint32_t buf)
{
    assert(buf < r->buf_count);
    if (r->is_free[buf]) violated("buffers", "receive buffer %u was given back twice", buf);
    memset(ring_buf(r, buf) - RING_FRONT, POISON, r->buf_bytes + RING_FRONT);
    r->is_free[buf] = true;
    r->free_buf[(r->free_head + r->free_len++) % r->buf_count] = buf;
}

uint32_t ring_buf_free(const struct ring *r) { return r->free_len; }

/* Those given back since the last ring_wait() are not seen by the kernel yet. */
static uint32_t take_buf(struct ring *r)
{
    assert(r->free_seen > 0 && r->free_seen <= r->free_len);
    uint32_t buf = r->free_buf[r->free_head];
    r->free_head = (r->free_head + 1) % r->buf_count;
    r->free_len--;
    r->free_seen--;
    assert(r->is_free[buf]);
    r->is_free[buf] = false;
    return buf;
}

/* --- submission */

static void submit_cancel(struct ring *r, uint64_t user)
{
    for (uint32_t i = 0; i < r->op_high; i++) {
        struct op *op = &r->op[i];
        if (!op->used || !op->started || op->user != user || op->cancel_ns) continue;
        op->cancel_ns = machine()->now_ns;
        if (fault(FAULT_CANCEL_LATE)) op->cancel_ns += chance(CANCEL_NS);
        return;
    }
}

/* The kernel keeps what a cancelled operation works on; here it ends with its descriptor. */
static void submit_close(struct ring *r, int fd)
{
    for (uint32_t i = 0; i < r->op_high; i++) {
        struct op *op = &r->op[i];
        if (!op->used || op->fd != fd) continue;
        if (!op->cancel_ns) {
            violated("descriptor", "%d is closed while operation %llx is under way", fd,
                     (unsigned long long)op->user);
        }
        r->done[r->done_len++] = (struct ring_done){op->user, -ECANCELED, RING_BUF_NONE, true};
        op->used = false;
    }
    note("close", (uint64_t)fd, 0, 0);
    wire_close(fd);
}

static void submit_message(struct ring *r, const struct entry *e)
{
    (void)wire_sock(e->fd, "ring_message");
    if (fault(FAULT_MESSAGE_FAILS) || e->to->mail_len == WIRE_MAX) {
        r->done[r->done_len++] = (struct ring_done){e->on_fail, -EOVERFLOW, RING_BUF_NONE,
                                                    true};
        return;
    }
    e->to->mail[e->to->mail_len++] = (struct mail){e->user, e->fd};
}

static void submit(struct ring *r)
{
    for (uint32_t i = 0; i < r->queue_len; i++) {
        const struct entry *e = &r->queue[i];
        switch (e->job) {
        case JOB_START:
            r->op[e->op].started = true;
            r->op[e->op].due_ns = machine()->now_ns + r->op[e->op].dial.after_ns;
            break;
        case JOB_CANCEL: submit_cancel(r, e->user); break;
        case JOB_CLOSE: submit_close(r, e->fd); break;
        case JOB_MESSAGE: submit_message(r, e); break;
        }
    }
    r->queue_len = 0;
    r->free_seen = r->free_len;
}

/* --- completion */

static bool cancelled(const struct op *op)
{
    return op->cancel_ns && machine()->now_ns >= op->cancel_ns;
}

static uint32_t send_total(const struct op *op)
{
    size_t n = 0;
    for (uint32_t i = 0; i < op->iov_count; i++) n += op->iov[i].iov_len;
    return (uint32_t)n;
}

/* Move bytes of a send on, as far as there is room. Gives 0, WIRE_RESET or WIRE_PIPE. */
static long push(struct op *op)
{
    uint32_t skip = op->sent;
    for (uint32_t i = 0; i < op->iov_count; i++) {
        const struct iovec *v = &op->iov[i];
        if (skip >= v->iov_len) {
            skip -= (uint32_t)v->iov_len;
            continue;
        }
        size_t left = v->iov_len - skip;
        long n = wire_put(op->fd, (const char *)v->iov_base + skip, left);
        if (n < 0) return n;
        op->sent += (uint32_t)n;
        if ((size_t)n < left) return 0;
        skip = 0;
    }
    return 0;
}

static bool is_send(const struct op *op)
{
    enum ring_op kind = ring_user_op(op->user);
    return kind == OP_CONN_SEND || kind == OP_UP_SEND;
}

void ring_sim_pump(struct ring *r)
{
    for (uint32_t i = 0; i < r->op_high; i++) {
        struct op *op = &r->op[i];
        if (op->used && op->started && is_send(op) && !cancelled(op)) (void)push(op);
    }
}

static bool finish(struct op *op, struct ring_done *d, int32_t n)
{
    *d = (struct ring_done){op->user, n, RING_BUF_NONE, true};
    op->used = false;
    return true;
}

static bool on_send(struct op *op, struct ring_done *d)
{
    uint32_t total = send_total(op);
    long rc = cancelled(op) ? -ECANCELED : push(op);
    if (rc == WIRE_RESET) rc = -ECONNRESET;
    else if (rc == WIRE_PIPE) rc = -EPIPE;
    if (op->sent == total) return finish(op, d, (int32_t)op->sent);
    if (rc < 0) return finish(op, d, op->sent ? (int32_t)op->sent : (int32_t)rc);
    if (op->sent > 0 && fault(FAULT_SEND_SHORT)) return finish(op, d, (int32_t)op->sent);
    if (fault(FAULT_SEND_FAILS)) {
        wire_break(op->fd);
        return finish(op, d, op->sent ? (int32_t)op->sent : -ECONNRESET);
    }
    return false;
}

static bool on_recv(struct ring *r, struct op *op, struct ring_done *d)
{
    uint64_t when;
    struct sock *s = wire_sock(op->fd, "receive");
    if (fault(FAULT_NET_RESET)) wire_break(op->fd);
    bool there = wire_ready(op->fd, &when);
    if (cancelled(op) && (!there || chance(2))) return finish(op, d, -ECANCELED);
    if (!there) return false;
    if (s->len == 0) return finish(op, d, s->reset ? -ECONNRESET : 0);
    if (r->free_seen == 0 || fault(FAULT_RECV_NO_BUFS)) return finish(op, d, -ENOBUFS);
    uint32_t buf = take_buf(r);
    size_t most = fault(FAULT_RECV_SMALL) ? 1 + chance(64) : r->buf_bytes;
    long n = wire_take(op->fd, ring_buf(r, buf), most < r->buf_bytes ? most : r->buf_bytes);
    assert(n > 0);
    *d = (struct ring_done){op->user, (int32_t)n, buf, op->once || fault(FAULT_RECV_LAST)};
    if (d->last) op->used = false;
    return true;
}

static bool on_accept(struct op *op, struct ring_done *d)
{
    const struct sock *l = wire_sock(op->fd, "accept");
    if (cancelled(op)) return finish(op, d, -ECANCELED);
    if (l->shut_read) return finish(op, d, -EINVAL);
    if (l->backlog_len == 0) return false;
    if (fault(FAULT_ACCEPT_FAILS)) return finish(op, d, -EMFILE);
    *d = (struct ring_done){op->user, wire_accept(op->fd), RING_BUF_NONE,
                            fault(FAULT_ACCEPT_LAST)};
    if (d->last) op->used = false;
    return true;
}

static bool on_connect(struct op *op, struct ring_done *d)
{
    if (cancelled(op) && (machine()->now_ns < op->due_ns || chance(2))) {
        return finish(op, d, -ECANCELED);
    }
    if (machine()->now_ns < op->due_ns) return false;
    if (op->dial.rc == 0) {
        int end = wire_join(op->fd);
        if (end < 0) return finish(op, d, -ENETUNREACH);
        wire()->connected(end, op->dial.server);
    }
    return finish(op, d, op->dial.rc);
}

static bool on_wake(struct op *op, struct ring_done *d)
{
    const struct sock *s = wire_sock(op->fd, "wake");
    if (s->wakes == 0 || machine()->now_ns < s->ready_ns) return false;
    *d = (struct ring_done){op->user, 1, RING_BUF_NONE, fault(FAULT_WAKE_LAST)};
    if (d->last) op->used = false;
    return true;
}

/* What an operation has to say now; false: nothing. */
static bool complete(struct ring *r, struct op *op, struct ring_done *d)
{
    switch (ring_user_op(op->user)) {
    case OP_ACCEPT: return on_accept(op, d);
    case OP_CONN_RECV: case OP_UP_RECV: return on_recv(r, op, d);
    case OP_CONN_SEND: case OP_UP_SEND: return on_send(op, d);
    case OP_UP_CONNECT: case OP_UP_CONNECT_2: return on_connect(op, d);
    case OP_WAKE: return on_wake(op, d);
    default: violated("ring", "no such operation: %llx", (unsigned long long)op->user);
    }
}

static unsigned deliver_posted(struct ring *r, struct ring_done *out, unsigned max)
{
    unsigned count = 0;
    while (count < max && r->done_len > 0) out[count++] = r->done[--r->done_len];
    while (count < max && r->mail_len > 0) {
        const struct mail *m = &r->mail[--r->mail_len];
        out[count++] = (struct ring_done){m->user, m->fd, RING_BUF_NONE, true};
    }
    return count;
}

int ring_wait(struct ring *r, uint64_t timeout_ns, struct ring_done *out, unsigned max)
{
    uint32_t order[OPS_MAX];
    uint32_t live = 0;
    (void)timeout_ns;              /* the world does not turn a core before it is due */
    submit(r);
    unsigned count = deliver_posted(r, out, max);
    for (uint32_t i = 0; i < r->op_high; i++) {
        if (!r->op[i].used || !r->op[i].started) continue;
        uint32_t at = chance(++live);
        order[live - 1] = order[at];
        order[at] = i;
    }
    for (uint32_t i = 0; i < live && count < max; i++) {
        struct op *op = &r->op[order[i]];
        if (fault(FAULT_NO_EVENT)) continue;
        bool keeps = ring_user_op(op->user) != OP_WAKE;
        for (uint32_t run = 0; run < (keeps ? RUN_MAX : 1) && count < max && op->used; run++) {
            if (!complete(r, op, &out[count])) break;
            const struct ring_done *d = &out[count++];
            note("done", d->user, (uint64_t)(int64_t)d->n, (uint64_t)d->buf << 1 | d->last);
        }
    }
    while (r->op_high > 0 && !r->op[r->op_high - 1].used) r->op_high--;
    return (int)count;
}

/* --- for the world */

static bool op_ready(const struct op *op, uint64_t *at_ns)
{
    const struct sock *s = wire_sock(op->fd, "look");
    uint64_t now = machine()->now_ns;
    bool ready = false;
    *at_ns = UINT64_MAX;
    switch (ring_user_op(op->user)) {
    case OP_ACCEPT: ready = s->backlog_len > 0 || s->shut_read; break;
    case OP_CONN_RECV: case OP_UP_RECV: ready = wire_ready(op->fd, at_ns); break;
    case OP_CONN_SEND: case OP_UP_SEND:
        ready = op->sent == send_total(op) || s->reset || s->shut_write ||
                !wire()->sock[s->peer - WIRE_FD].open;
        break;
    case OP_UP_CONNECT: case OP_UP_CONNECT_2: *at_ns = op->due_ns; break;
    case OP_WAKE: *at_ns = s->wakes ? s->ready_ns : UINT64_MAX; break;
    default: break;
    }
    if (op->cancel_ns && op->cancel_ns < *at_ns) *at_ns = op->cancel_ns;
    return ready || now >= *at_ns;
}

bool ring_sim_ready(const struct ring *r, uint64_t *at_ns)
{
    *at_ns = UINT64_MAX;
    if (r->queue_len > 0 || r->mail_len > 0 || r->done_len > 0) return true;
    for (uint32_t i = 0; i < r->op_high; i++) {
        uint64_t when;
        if (!r->op[i].used) continue;
        if (op_ready(&r->op[i], &when)) return true;
        if (when < *at_ns) *at_ns = when;
    }
    return false;
}

uint32_t ring_sim_inflight(const struct ring *r, uint32_t ops, uint32_t slot,
                           uint32_t generation)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->op_high; i++) {
        uint64_t user = r->op[i].user;
        if (!r->op[i].used || !(ops & 1u << ring_user_op(user))) continue;
        if (ring_user_slot(user) == slot && ring_user_generation(user) == generation) count++;
    }
    return count;
}

uint32_t ring_sim_closing(const struct ring *r)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->queue_len; i++) count += r->queue[i].job == JOB_CLOSE;
    return count;
}

uint32_t ring_sim_passing(const struct ring *r)
{
    uint32_t count = r->mail_len;
    for (uint32_t i = 0; i < r->queue_len; i++) count += r->queue[i].job == JOB_MESSAGE;
    for (uint32_t i = 0; i < r->done_len; i++) {
        count += ring_user_op(r->done[i].user) == OP_HANDOFF;
    }
    return count;
}
