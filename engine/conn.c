/* conn.c - one client connection, from accept to the return of its slot.
 *   (PROXY ->) (HELLO ->) IDLE -> HEAD -> BODY -> BUSY -> IDLE
 *   any of them -> LINGER -> CLOSING -> slot returned
 * HELLO is the TLS handshake, where the listener has a certificate.
 * A head that arrives whole is parsed where the kernel put it; one that comes in pieces is
 * gathered in a page. The kernel may still complete operations on a CLOSING connection, so
 * conn_reap_all() returns its slot only when nothing is in flight. */
#include "engine/conn.h"
#include "engine/book.h"
#include "engine/conn_part.h"
#include "engine/core.h"
#include "engine/serve.h"
#include "engine/sock.h"
#include "net/http.h"
#include "net/proxy.h"
#include "store/maybe.h"

#include <errno.h>

enum {
    LINGER_NS = 1000000000,        /* contract.md section 4: read on for up to 1 s ... */
    LINGER_BYTES = 1 << 20,        /* ... or 1 MiB */
    DISCARD_MAX = 65536,           /* bytes of body read away to keep a connection */
    SEND_MAX = 65536,              /* bytes in one send: its time tells of a slow reader */
};

#define TO(s) (1u << CONN_##s)
static const uint8_t conn_next[CONN_STATES] = {
    [CONN_HELLO] = TO(IDLE) | TO(BUSY) | TO(CLOSING),
    [CONN_IDLE] = TO(HEAD) | TO(BODY) | TO(BUSY) | TO(LINGER) | TO(CLOSING),
    [CONN_HEAD] = TO(IDLE) | TO(BODY) | TO(BUSY) | TO(LINGER) | TO(CLOSING),
    [CONN_BODY] = TO(BUSY) | TO(LINGER) | TO(CLOSING),
    [CONN_BUSY] = TO(IDLE) | TO(LINGER) | TO(CLOSING),
    [CONN_LINGER] = TO(CLOSING),
    [CONN_PROXY] = TO(IDLE) | TO(HELLO) | TO(BUSY) | TO(CLOSING),
};

void conn_to(struct conn *c, uint8_t next)
{
    assert(conn_next[c->state] & (1u << next));
    c->state = next;
}

/* Bytes on their way to the client, in plain and in records. */
static uint64_t queued(const struct conn *c) { return c->out.bytes + c->wire.bytes; }

static uint64_t user(const struct conn *c, enum ring_op op)
{
    return ring_user(op, c->head.slot, c->head.generation);
}

static void set_timer(struct core *core, struct conn *c)
{
    uint64_t at = c->state_ns;
    if (c->write_ns && (!at || c->write_ns < at)) at = c->write_ns;
    if (at) timer_arm(&core->timers, &c->timer, at);
    else timer_disarm(&core->timers, &c->timer);
}

void conn_deadline(struct core *core, struct conn *c, uint64_t for_ns)
{
    c->state_ns = for_ns ? core->now_ns + for_ns : 0;
    set_timer(core, c);
}

static void arm_recv(struct core *core, struct conn *c)
{
    assert(!c->recv_armed);
    if (c->recv_once) ring_recv_once(core->ring, c->fd, user(c, OP_CONN_RECV));
    else ring_recv(core->ring, c->fd, user(c, OP_CONN_RECV));
    c->recv_armed = true;
    c->recv_paused = false;
    c->inflight++;
}

void conn_recv_off(struct core *core, struct conn *c)
{
    if (c->recv_paused) return;
    c->recv_paused = c->recv_once = true;
    if (c->recv_armed) ring_cancel(core->ring, user(c, OP_CONN_RECV));
}

void conn_recv_on(struct core *core, struct conn *c)
{
    if (!c->recv_paused) return;
    if (c->recv_armed) c->recv_paused = false;  /* the cancellation runs */
    else arm_recv(core, c);
}

static void arm_later(struct core *core, struct conn *c)
{
    struct pour_queue *q = &core->pouring_conns;
    if (c->pouring) return;
    c->pouring = true;
    if (q->count++ == 0) q->first = c->head.slot;
    else ((struct conn *)(void *)slab_at(&core->conns, q->last))->next_pouring = c->head.slot;
    q->last = c->head.slot;
}

void conn_pour_some(struct core *core)
{
    struct pour_queue *q = &core->pouring_conns;
    for (uint32_t i = 0; i < CORE_POUR_TURN && q->count > 0; i++) {
        struct conn *c = (struct conn *)(void *)slab_at(&core->conns, q->first);
        assert(c->pouring);
        q->count--;
        q->first = c->next_pouring;
        c->pouring = false;
        if (c->state != CONN_CLOSING && !c->recv_armed && !c->recv_paused) arm_recv(core, c);
    }
}

void conn_open(struct core *core, int fd, uint8_t listener)
{
    struct conn *c = slab_take(&core->conns);
    if (!c) {
        core_count(core, STAT_NO_MEMORY);
        ring_close_fd(core->ring, fd);
        return;
    }
    c->fd = fd;
    c->listener = listener;
    c->timer.kind = TIMER_CONN;
    c->secure = core->listen_tls >> listener & 1;
    core_count(core, STAT_CONNECTIONS);
    core_count(core, STAT_CONNECTIONS_OPEN);
    arm_recv(core, c);
    if (serve_trusts(core, c)) c->state = CONN_PROXY;
    else if (c->secure) c->state = CONN_HELLO;
    uint64_t idle_ns = serve_times(core).idle_ns;
    conn_deadline(core, c, c->state == CONN_HELLO ? serve_times(core).header_ns : idle_ns);
}

const struct addr *conn_peer(struct conn *c)
{
    if (c->peer.kind == ADDR_NONE) c->peer = sock_peer(c->fd);
    return &c->peer;
}

void conn_dirty(struct core *core, struct conn *c)
{
    if (c->dirty || c->state == CONN_CLOSING) return;
    c->dirty = true;
    c->next_dirty = core->dirty_conns;
    core->dirty_conns = c;
}

static void make_ready(struct core *core, struct conn *c)
{
    if (c->ready) return;
    c->ready = true;
    c->next_ready = core->ready_conns;
    core->ready_conns = c;
}

static void end_request(struct core *core, struct conn *c)
{
    hold_drop(&core->mem, &c->hold);
    chain_drop(&core->mem, &c->body);
    c->fields = (struct bytes){0};
    c->body_left = c->body_bytes = 0;
    c->chunk = (struct chunk){0};
    c->chunked = c->head_only = c->answered = c->discard = c->expects = false;
}

void conn_close(struct core *core, struct conn *c, enum close_why why)
{
    assert(why != CLOSE_NONE);
    if (c->state == CONN_CLOSING) return;
    bool busy = c->state == CONN_BUSY || c->state == CONN_BODY;
    bool over = c->state == CONN_LINGER;  /* the first reason stands */
    if (c->state == CONN_HELLO && c->tls) core_count(core, STAT_TLS_FAILED);
    conn_to(c, CONN_CLOSING);
    c->why = (uint8_t)why;
    c->state_ns = c->write_ns = 0;
    timer_disarm(&core->timers, &c->timer);
    if (busy) serve_gone(core, c, why);
    if (!busy && !over && why != CLOSE_DONE) book_refused(core, c, "-", why);
    ring_shutdown(core->ring, c->fd, SHUT_RDWR);
    c->next_closing = core->closing_conns;
    core->closing_conns = c;
}

/* All was sent and nothing more is wanted: shut our side, read on for a moment. */
static void linger(struct core *core, struct conn *c)
{
    if (c->peer_shut) {
        conn_close(core, c, CLOSE_DONE);
        return;
    }
    if (c->state != CONN_LINGER) conn_to(c, CONN_LINGER);
    if (c->secure) conn_tls_end(core, c);  /* what is read from now on is only counted */
    end_request(core, c);
    chain_drop(&core->mem, &c->ahead);
    ring_shutdown(core->ring, c->fd, SHUT_WR);
    if (!c->recv_armed) arm_recv(core, c);
    conn_deadline(core, c, LINGER_NS);
}

/* The request was read to its end. */
static bool is_whole(const struct conn *c)
{
    return c->state == CONN_BUSY || (c->state == CONN_BODY && !c->chunked && !c->body_left);
}

bool conn_stays(const struct core *core, const struct conn *c)
{
    if (!c->keep_alive || c->close_after || core->stopping) return false;
    return is_whole(c) || (c->state == CONN_BODY && !c->chunked && !c->expects &&
                           c->body_left <= DISCARD_MAX);
}

void conn_answered(struct core *core, struct conn *c)
{
    if (c->state == CONN_CLOSING) return;
    c->x = NULL;
    if (conn_stays(core, c) && !is_whole(c)) {
        c->discard = true;
        conn_dirty(core, c);
        return;
    }
    if (!conn_stays(core, c)) {
        c->close_after = true;
        if (c->state != CONN_BUSY) conn_to(c, CONN_BUSY);
        conn_deadline(core, c, 0);
        conn_dirty(core, c);
        return;
    }
    if (c->state == CONN_BODY) conn_to(c, CONN_BUSY);
    end_request(core, c);
    conn_to(c, CONN_IDLE);
    conn_deadline(core, c, serve_times(core).idle_ns);
    if (c->ahead.bytes > 0 || c->recv_paused) make_ready(core, c);
    else if (c->peer_shut) c->close_after = true;
    conn_dirty(core, c);
}

void conn_refuse(struct core *core, struct conn *c, enum close_why why, const char *detail)
{
    if (c->secure && !c->tls) conn_tls_end(core, c);  /* no TLS yet: plainly, then */
    c->close_after = true;
    serve_refuse(core, c, why, detail);
    conn_answered(core, c);
}

static void body_done(struct core *core, struct conn *c)
{
    conn_to(c, CONN_BUSY);
    conn_deadline(core, c, 0);
    serve_body(core, c);
}

/* Append a piece of body; false when the request was answered (or refused) early. */
static bool body_piece(struct core *core, struct conn *c, struct bytes piece, uint32_t buf)
{
    c->body_bytes += piece.len;
    if (c->body_bytes > c->body_max) {
        conn_refuse(core, c, CLOSE_BODY_LARGE, NULL);
        return false;
    }
    bool whole = !c->chunked && c->body_left == 0 && c->body.count == 0;
    if (!chain_add(&core->mem, &c->body, piece, whole ? buf : RING_BUF_NONE, whole)) {
        core_count(core, STAT_NO_MEMORY);
        conn_refuse(core, c, CLOSE_OVERLOADED, "no room for the request body");
        return false;
    }
    return serve_piece(core, c, piece);
}

static void feed_chunked(struct core *core, struct conn *c, struct bytes *in, uint32_t buf)
{
    while (c->state == CONN_BODY) {
        struct bytes piece;
        enum net_rc rc = chunk_next(&c->chunk, in, &piece);
        if (rc == NET_MORE) return;
        if (rc == NET_OK) {
            if (!body_piece(core, c, piece, buf)) return;
        } else if (rc == NET_DONE) {
            body_done(core, c);
        } else {
            conn_refuse(core, c, CLOSE_CHUNK_BAD, NULL);
        }
    }
}

static void feed_body(struct core *core, struct conn *c, struct bytes *in, uint32_t buf)
{
    assert(c->state == CONN_BODY);
    if (c->chunked) {
        feed_chunked(core, c, in, buf);
        return;
    }
    size_t n = in->len < c->body_left ? in->len : (size_t)c->body_left;
    c->body_left -= n;
    struct bytes piece = bytes_cut(in, n);
    if (c->discard) {
        if (c->body_left == 0) conn_answered(core, c);
        return;
    }
    if (piece.len > 0 && !body_piece(core, c, piece, buf)) return;
    if (c->body_left == 0) body_done(core, c);
}

static enum close_why head_why(enum http_error error)
{
    switch (error) {
    case HTTP_BAD_VERSION: return CLOSE_VERSION_BAD;
    case HTTP_TOO_MANY: return CLOSE_HEAD_FIELDS;
    case HTTP_TARGET_LONG: return CLOSE_TARGET_LONG;
    default: return CLOSE_HEAD_BAD;
    }
}

/* RFC 9110 section 10.1.1: a client that waits for it is told to go on. */
static void send_continue(struct core *core, struct conn *c, const struct http_head *head,
                          bool body_here)
{
    if (!head->expect_continue || head->minor == 0 || body_here) return;
    if (chain_borrow(&core->mem, &c->out, BYTES("HTTP/1.1 100 Continue\r\n\r\n"))) {
        conn_dirty(core, c);
    }
}

/* Not HTTP: what was gathered says whether a peer that is not believed sent a PROXY header. A
 * head ends at its first byte that none may hold, NUL is one; what came with it is here too. */
static void refuse_head(struct core *core, struct conn *c, enum http_error error)
{
    bool proxy = proxy_is_like(gather_bytes(&c->hold.gather));
    conn_refuse(core, c, proxy ? CLOSE_PROXY_DENIED : head_why(error),
           proxy ? NULL : http_why(error));
}

/* A head was read (rc says how); rest is what came behind it. */
static void head_done(struct core *core, struct conn *c, enum net_rc rc,
                      const struct http_head *head, struct bytes rest)
{
    c->http10 = head->minor == 0 && rc == NET_OK;
    c->keep_alive = rc == NET_OK && head->keep_alive;
    c->head_only = head->method == HTTP_HEAD;
    c->body_max = UINT64_MAX;
    if (rc != NET_OK) {
        refuse_head(core, c, head->error);
        return;
    }
    if (head->field[HTTP_EXPECT].ptr && !head->expect_continue) {
        conn_refuse(core, c, CLOSE_EXPECT_BAD, NULL);
        return;
    }
    c->expects = head->expect_continue;
    c->fields = head->fields;
    c->chunked = head->framing == HTTP_CHUNKED;
    c->body_left = head->framing == HTTP_LENGTH ? head->content_length : 0;
    conn_to(c, CONN_BODY);
    conn_deadline(core, c, serve_times(core).body_ns);
    if (!serve_head(core, c, head)) return;
    if (c->body_left > c->body_max) {
        conn_refuse(core, c, CLOSE_BODY_LARGE, NULL);
        return;
    }
    send_continue(core, c, head, rest.len > 0);
}

/* How many of the n bytes that begin a request are gathered: no more of what follows the head
 * than a page holds, so that a body is not refused for want of room for a head. */
static size_t gathered_of(struct bytes in, size_t n)
{
    size_t end = 0;
    if (n <= MEM_PAGE || http_head_end((struct bytes){in.ptr, n}, &end) != NET_OK) return n;
    return end > MEM_PAGE ? end : MEM_PAGE;
}

static void feed_gathered(struct core *core, struct conn *c, struct bytes *in)
{
    struct gather *g = &c->hold.gather;
    size_t scanned = g->len > 3 ? g->len - 3 : 0, before = g->len;
    uint64_t max = serve_times(core).header_max;
    if (before == 1 && *g->ptr == '\r' && *in->ptr == '\n') {
        bytes_cut(in, 1);          /* an empty line, cut in two (RFC 9112 section 2.2) */
        gather_drop(&core->mem, g);
        conn_to(c, CONN_IDLE);
        return;
    }
    size_t take = in->len < max - before ? in->len : (size_t)(max - before);
    if (before == 0) take = gathered_of(*in, take);
    bool tight = before + take > MEM_PAGE && mem_is_tight(&core->mem);
    if (tight || !gather_put(&core->mem, g, (struct bytes){in->ptr, take})) {
        conn_refuse(core, c, CLOSE_OVERLOADED, "no room for the request head");
        return;
    }
    struct bytes all = gather_bytes(g);
    if (http_head_end(all, &scanned) == NET_OK) {
        struct http_head head;
        enum net_rc rc = http_request((struct bytes){all.ptr, scanned}, &head);
        bytes_cut(in, scanned - before);
        head_done(core, c, rc, &head, *in);
    } else if (take < in->len || g->len >= max) {
        conn_refuse(core, c, CLOSE_HEAD_LARGE, NULL);
    } else {
        bytes_cut(in, take);
    }
}

/* The first bytes of a head: parsed in place when it is whole, gathered when not. */
static void feed_head(struct core *core, struct conn *c, struct bytes *in, uint32_t buf)
{
    if (c->state == CONN_IDLE) {
        bytes_cut(in, http_blank_lines(*in));
        if (in->len == 0) return;
    }
    struct http_head head;
    bool whole = c->state == CONN_IDLE && buf != RING_BUF_NONE &&
                 !mem_rx_scarce(&core->mem) && http_request(*in, &head) == NET_OK &&
                 head.bytes <= serve_times(core).header_max;
    if (whole) {
        bytes_cut(in, head.bytes);
        mem_rx_share(&core->mem, buf);
        c->hold.rx = buf + 1;
        head_done(core, c, NET_OK, &head, *in);
        return;
    }
    if (c->state == CONN_IDLE) {
        conn_to(c, CONN_HEAD);
        conn_deadline(core, c, serve_times(core).header_ns);
    }
    feed_gathered(core, c, in);
}

/* The connection's own first byte comes next: everything before it was the proxy's. begun: of
 * its own, what was gathered before that was clear. */
static void begin(struct core *core, struct conn *c, struct bytes begun)
{
    char copy[PROXY_BEGIN_MAX];
    assert(begun.len < sizeof copy);
    if (begun.len) memcpy(copy, begun.ptr, begun.len);
    gather_drop(&core->mem, &c->hold.gather);
    conn_to(c, c->secure ? CONN_HELLO : CONN_IDLE);
    struct serve_times times = serve_times(core);
    conn_deadline(core, c, c->secure ? times.header_ns : times.idle_ns);
    begun.ptr = copy;
    if (begun.len && c->secure) conn_tls_input(core, c, begun, RING_BUF_NONE);
    else if (begun.len) feed_head(core, c, &begun, RING_BUF_NONE);
}

/* A header in several pieces is gathered; what else a trusted peer sends first is its own. */
void conn_feed_proxy(struct core *core, struct conn *c, struct bytes *in)
{
    struct gather *g = &c->hold.gather;
    size_t before = g->len, room = PROXY_MAX - before;
    struct bytes all = *in;
    if (before > 0) {
        all.len = in->len < room ? in->len : room;
        if (!gather_put(&core->mem, g, all)) {
            conn_close(core, c, CLOSE_OVERLOADED);
            return;
        }
        all = gather_bytes(g);
    }
    struct proxy p;
    const char *why = NULL;
    enum net_rc rc = proxy_read(all, &p, &why);
    if (rc == NET_OK) {
        core_count(core, STAT_PROXIED);
        if (p.from.kind != ADDR_NONE) c->peer = p.from;
        bytes_cut(in, p.bytes - before);
        begin(core, c, (struct bytes){0});
    } else if (rc == NET_DONE) {
        begin(core, c, (struct bytes){g->ptr, before});
    } else if (rc == NET_BAD) {
        conn_refuse(core, c, CLOSE_PROXY_BAD, why);
    } else if (before == 0 && !gather_put(&core->mem, g, *in)) {
        conn_close(core, c, CLOSE_OVERLOADED);
    } else {
        bytes_cut(in, in->len);
        if (before == 0) conn_deadline(core, c, serve_times(core).header_ns);
    }
}

/* Bytes came: from the ring (buf) or from what waited (RING_BUF_NONE). */
void conn_input(struct core *core, struct conn *c, struct bytes in, uint32_t buf)
{
    while (in.len > 0) {
        switch ((enum conn_state)c->state) {
        case CONN_IDLE:
            if (c->ready || c->ahead.bytes > 0 || c->out.bytes > CORE_HELD_MAX) goto keep;
            feed_head(core, c, &in, buf);
            break;
        case CONN_HEAD: feed_head(core, c, &in, buf); break;
        case CONN_PROXY: conn_feed_proxy(core, c, &in); break;
        case CONN_BODY: feed_body(core, c, &in, buf); break;
        case CONN_BUSY: goto keep;
        case CONN_LINGER:
            c->lingered += (uint32_t)in.len;
            if (c->lingered > LINGER_BYTES) conn_close(core, c, CLOSE_DONE);
            return;
        default: return;
        }
        if (c->state == CONN_BODY && !c->chunked && c->body_left == 0) {
            feed_body(core, c, &in, buf);
        }
    }
    if (c->state == CONN_BODY && !c->chunked && c->body_left == 0) {
        feed_body(core, c, &in, buf);
    }
    return;
keep:
    if (c->close_after) return;  /* no further request will be read */
    if (!chain_add(&core->mem, &c->ahead, in, buf, false)) {
        conn_close(core, c, CLOSE_OVERLOADED);
        return;
    }
    if (c->ahead.bytes > CORE_HELD_MAX) conn_recv_off(core, c);
    if (c->state == CONN_IDLE) make_ready(core, c);
}

/* Nothing was begun that its end would break off. */
static bool is_quiet(const struct conn *c)
{
    bool unasked = c->state == CONN_PROXY && c->hold.gather.len == 0;  /* a proxy's probe */
    return unasked || c->state == CONN_IDLE || c->state == CONN_LINGER;
}

void conn_peer_shut(struct core *core, struct conn *c)
{
    c->peer_shut = true;
    if (c->state == CONN_BUSY && c->close_after && !c->x && !c->job) return;
    if (c->state == CONN_HELLO && c->ready) return;  /* what came before is looked at first */
    bool owes = c->state == CONN_IDLE && (c->ready || queued(c) > 0 || conn_tls_owes(c));
    if (owes) {
        c->close_after = true;
        conn_dirty(core, c);
    } else {
        conn_close(core, c, is_quiet(c) ? CLOSE_DONE : conn_tls_gone(c));
    }
}

/* The receive operation is over: what for, and what now? */
static void recv_ended(struct core *core, struct conn *c, int32_t n)
{
    if (n == -ENOBUFS) {
        core_count(core, STAT_NO_BUFFERS);
        if (!c->recv_paused) arm_recv(core, c);
    } else if (n == -ECANCELED) {
        if (!c->recv_paused) arm_recv(core, c);
    } else if (n == 0) {
        conn_peer_shut(core, c);
    } else if (n < 0) {
        conn_close(core, c, n == -ECONNRESET ? CLOSE_CLIENT_GONE : CLOSE_CLIENT_RECV);
    } else if (c->recv_paused) {
        return;                    /* what is held is to be read first */
    } else if (c->recv_once) {
        arm_later(core, c);
    } else if (!c->recv_armed) {
        arm_recv(core, c);
    }
}

static void note_pouring(struct core *core, struct conn *c, uint32_t n, bool last)
{
    bool pours = core_pours(core, &c->full_run, n);
    if (last) c->recv_once = pours;
    if (last || !pours || c->recv_once || c->state == CONN_CLOSING) return;
    c->recv_once = true;
    ring_cancel(core->ring, user(c, OP_CONN_RECV));
}

void conn_on_recv(struct core *core, struct conn *c, const struct ring_done *d)
{
    if (d->last) {
        assert(c->inflight > 0);
        c->inflight--;
        c->recv_armed = false;
    }
    if (d->buf != RING_BUF_NONE) {
        uint32_t n = d->n > 0 ? (uint32_t)d->n : 0;
        mem_rx_take(&core->mem, d->buf, n);
        stat_add(&core->stats.count[STAT_BYTES_IN], n);
        note_pouring(core, c, n, d->last);
        if (c->state != CONN_CLOSING && n > 0) {
            struct bytes in = {ring_buf(core->ring, d->buf), n};
            if (c->secure) conn_tls_input(core, c, in, d->buf);
            else conn_input(core, c, in, d->buf);
        }
        mem_rx_give(&core->mem, d->buf);
    }
    if (c->state != CONN_CLOSING && d->last) recv_ended(core, c, d->n);
}

static void after_send(struct core *core, struct conn *c)
{
    uint64_t left = queued(c);
    if (c->state == CONN_BUSY && c->x) serve_drained(core, c, left);
    else if (c->state == CONN_BUSY && c->job) serve_drained(core, c, left);
    left = queued(c);
    bool waits = c->state == CONN_IDLE && (c->ahead.bytes > 0 || c->recv_paused);
    if (waits && left <= CORE_HELD_MAX) make_ready(core, c);
    if (left > 0 || (c->close_after && conn_tls_owes(c))) conn_dirty(core, c);
    else if (c->close_after && c->state != CONN_CLOSING && c->state != CONN_LINGER &&
             !c->x && !c->job) {
        linger(core, c);
    }
}

void conn_on_send(struct core *core, struct conn *c, const struct ring_done *d)
{
    assert(c->inflight > 0 && c->sending);
    c->inflight--;
    c->sending = false;
    c->write_ns = 0;
    if (c->state == CONN_CLOSING) return;
    if (d->n < 0) {
        bool gone = d->n == -EPIPE || d->n == -ECONNRESET;
        conn_close(core, c, gone ? CLOSE_CLIENT_GONE : CLOSE_CLIENT_SEND);
        return;
    }
    stat_add(&core->stats.count[STAT_BYTES_OUT], (uint64_t)d->n);
    chain_eat(&core->mem, c->secure ? &c->wire : &c->out, (uint64_t)d->n);
    /* it is idle since its last answer left, not since that was queued */
    bool rests = c->state == CONN_IDLE && !c->close_after && queued(c) == 0;
    if (rests) conn_deadline(core, c, serve_times(core).idle_ns);
    else set_timer(core, c);
    after_send(core, c);
}

/* A send is looked at every half of timeouts.write: the kernel ends it late where its buffer is
 * large, so what counts is whether what it holds for the client moved since. */
static bool still_reads(struct core *core, struct conn *c)
{
    uint32_t unsent = ring_unsent(core->ring, c->fd);
    if (unsent == c->unsent) return false;
    c->unsent = unsent;
    c->write_ns = core->now_ns + serve_times(core).write_ns / 2;
    return true;
}

/* Nothing is in progress: end, with close-notify where that is due. */
static void end_idle(struct core *core, struct conn *c, enum close_why why)
{
    if (c->close_after || !conn_tls_owes(c)) {
        conn_close(core, c, c->close_after ? CLOSE_DONE : why);
        return;
    }
    if (why != CLOSE_DONE) book_refused(core, c, "-", why);
    c->close_after = true;
    conn_deadline(core, c, LINGER_NS);
    conn_dirty(core, c);
}

void conn_on_timer(struct core *core, struct conn *c)
{
    if (c->state == CONN_CLOSING) return;
    if (c->write_ns && c->write_ns <= core->now_ns && !still_reads(core, c)) {
        conn_close(core, c, CLOSE_CLIENT_WRITE_SLOW);
        return;
    }
    if (!c->state_ns || c->state_ns > core->now_ns) {
        set_timer(core, c);
        return;
    }
    switch ((enum conn_state)c->state) {
    case CONN_HEAD: conn_refuse(core, c, CLOSE_HEAD_SLOW, NULL); break;
    case CONN_PROXY:
        if (c->hold.gather.len) conn_refuse(core, c, CLOSE_HEAD_SLOW, NULL);
        else conn_close(core, c, CLOSE_CLIENT_IDLE);
        break;
    case CONN_BODY:
        if (c->discard) conn_close(core, c, CLOSE_DONE);
        else conn_refuse(core, c, CLOSE_BODY_SLOW, NULL);
        break;
    case CONN_LINGER: conn_close(core, c, CLOSE_DONE); break;
    case CONN_HELLO: conn_close(core, c, CLOSE_TLS_SLOW); break;
    default:  /* one whose last answer is still being read is not idle */
        if (queued(c) > 0) conn_deadline(core, c, serve_times(core).idle_ns);
        else end_idle(core, c, CLOSE_CLIENT_IDLE);
        break;
    }
}

static void flush(struct core *core, struct conn *c)
{
    if (c->state == CONN_CLOSING || c->sending) return;
    const struct chain *from = &c->out;
    if (c->secure) {
        conn_tls_seal(core, c);
        if (c->state == CONN_CLOSING) return;
        from = &c->wire;
    }
    if (from->bytes == 0) {
        if (c->close_after && !c->x && !c->job && c->state != CONN_LINGER) linger(core, c);
        return;
    }
    struct iovec iov[RING_IOV_MAX];
    unsigned n = chain_iov(&core->mem, from, iov, RING_IOV_MAX), some = 0;
    for (size_t left = SEND_MAX; some < n && left > 0; some++) {
        if (iov[some].iov_len > left) iov[some].iov_len = left;
        left -= iov[some].iov_len;
    }
    ring_send(core->ring, c->fd, user(c, OP_CONN_SEND), iov, some);
    c->sending = true;
    c->inflight++;
    c->unsent = UINT32_MAX;
    c->write_ns = core->now_ns + serve_times(core).write_ns / 2;
    set_timer(core, c);
}

void conn_flush_all(struct core *core)
{
    while (core->dirty_conns) {
        struct conn *c = core->dirty_conns;
        core->dirty_conns = c->next_dirty;
        c->dirty = false;
        flush(core, c);
    }
}

void conn_resume_all(struct core *core)
{
    struct conn *list = core->ready_conns;
    core->ready_conns = NULL;
    while (list) {
        struct conn *c = list;
        list = c->next_ready;
        c->ready = false;
        if (c->state != CONN_IDLE || c->out.bytes > CORE_HELD_MAX) continue;
        struct chain todo = c->ahead;
        c->ahead = (struct chain){0};
        uint32_t at = todo.first, left = todo.count;
        struct bytes piece;
        while (c->state != CONN_CLOSING && chain_next(&core->mem, &at, &left, &piece)) {
            conn_input(core, c, piece, RING_BUF_NONE);
        }
        chain_drop(&core->mem, &todo);
        if (c->state != CONN_CLOSING && c->ahead.bytes < CORE_HELD_MAX / 2) {
            if (c->recv_armed) c->recv_paused = false;  /* the cancellation runs */
            else arm_recv(core, c);
        }
    }
}

void conn_reap_all(struct core *core)
{
    struct conn **at = &core->closing_conns;
    while (*at) {
        struct conn *c = *at;
        if (c->inflight > 0 || c->dirty || c->ready || c->pouring) {
            at = &c->next_closing;
            continue;
        }
        *at = c->next_closing;
        end_request(core, c);
        chain_drop(&core->mem, &c->ahead);
        chain_drop(&core->mem, &c->out);
        if (c->secure) conn_tls_end(core, c);
        ring_close_fd(core->ring, c->fd);
        core_uncount(core, STAT_CONNECTIONS_OPEN);
        if (!PLANT(leaked_slot)) slab_give(&core->conns, c);
    }
}

void conn_close_idle(struct core *core)
{
    for (uint32_t i = 0; i < core->conns.touched; i++) {
        struct conn *c = (struct conn *)(void *)slab_at(&core->conns, i);
        if (!c->head.taken || c->state == CONN_CLOSING) continue;
        bool idle = c->state == CONN_IDLE || c->state == CONN_PROXY || c->state == CONN_HELLO;
        if (idle && queued(c) == 0 && !c->sending) end_idle(core, c, CLOSE_DONE);
        c->keep_alive = false;
    }
}
