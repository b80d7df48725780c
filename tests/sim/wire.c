/* wire.c - see wire.h, and sock.h of the simulation. */
#include "tests/sim/wire.h"
#include "engine/sock.h"
#include "tests/sim/machine.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { SLOW_NS = 300000000, USUAL_NS = 400000, WAKE_NS = 20000000 };

static struct wire the;
static char *memory;               /* WIRE_MAX x WIRE_ROOM, mapped once */

struct wire *wire(void) { return &the; }

void wire_begin(void)
{
    size_t bytes = (size_t)WIRE_MAX * WIRE_ROOM;
    if (!memory) {
        void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        assert(at != MAP_FAILED);
        memory = at;
    }
    memset(the.sock, 0, sizeof the.sock);
}

static struct sock *at(int fd)
{
    assert(fd >= WIRE_FD && fd < WIRE_FD + WIRE_MAX);
    return &the.sock[fd - WIRE_FD];
}

struct sock *wire_sock(int fd, const char *doing)
{
    bool known = fd >= WIRE_FD && fd < WIRE_FD + WIRE_MAX;
    if (!known || !at(fd)->open) violated("descriptor", "%s of %d, which is closed", doing, fd);
    return at(fd);
}

/* The lowest free number, as the kernel gives it: a late use of a closed one hits. */
static int make(enum sock_kind kind, bool engine)
{
    for (int i = 0; i < WIRE_MAX; i++) {
        struct sock *s = &the.sock[i];
        if (s->kind != SOCK_FREE) continue;
        *s = (struct sock){.kind = (uint8_t)kind, .open = true, .engine = engine, .peer = -1,
                           .room = 1024u << chance(6), .bytes = memory + (size_t)i * WIRE_ROOM};
        return WIRE_FD + i;
    }
    return -1;
}

/* Free what neither end holds any more. */
static void reap(int fd)
{
    struct sock *s = at(fd), *p = s->peer >= 0 ? at(s->peer) : NULL;
    if (s->open || (p && p->open)) return;
    if (p) p->kind = SOCK_FREE;
    s->kind = SOCK_FREE;
}

int wire_listen(void) { return make(SOCK_LISTENER, true); }

static void join(int a, int b)
{
    at(a)->kind = at(b)->kind = SOCK_CONNECTED;
    at(a)->peer = b;
    at(b)->peer = a;
}

int wire_connect(int listener)
{
    struct sock *l = at(listener);
    bool listens = l->kind == SOCK_LISTENER && l->open && !l->shut_read;
    if (!listens || l->backlog_len == WIRE_BACKLOG) return -1;
    int mine = make(SOCK_CONNECTED, false);
    int theirs = mine < 0 ? -1 : make(SOCK_CONNECTED, true);
    if (mine >= 0 && theirs < 0) at(mine)->kind = SOCK_FREE;
    if (theirs < 0) return -1;
    join(mine, theirs);
    l->backlog[l->backlog_len++] = theirs;
    note("connect", (uint64_t)mine, (uint64_t)theirs, (uint64_t)listener);
    return mine;
}

int wire_accept(int listener)
{
    struct sock *l = wire_sock(listener, "accept");
    if (l->backlog_len == 0) return WIRE_AGAIN;
    int fd = l->backlog[0];
    memmove(l->backlog, l->backlog + 1, --l->backlog_len * sizeof l->backlog[0]);
    return fd;
}

int wire_join(int fd)
{
    int end = make(SOCK_CONNECTED, false);
    if (end < 0) return -1;
    join(fd, end);
    return end;
}

/* When what is put now arrives: with what waits already, or after a time. */
static void delay(struct sock *to)
{
    if (to->len > 0) return;
    uint64_t ns = chance(USUAL_NS);
    if (fault(FAULT_NET_SLOW)) ns += chance(SLOW_NS);
    to->ready_ns = machine()->now_ns + ns;
}

long wire_put(int end, const char *bytes, size_t len)
{
    struct sock *s = wire_sock(end, "send");
    assert(s->kind == SOCK_CONNECTED);
    if (s->reset) return WIRE_RESET;
    struct sock *to = at(s->peer);
    if (s->shut_write || !to->open) return WIRE_PIPE;
    size_t n = to->room - to->len;
    if (n > len) n = len;
    if (n > 0) delay(to);
    for (size_t i = 0; i < n; i++) to->bytes[(to->head + to->len + i) % to->room] = bytes[i];
    to->len += (uint32_t)n;
    return (long)n;
}

bool wire_ready(int end, uint64_t *at_ns)
{
    const struct sock *s = at(end);
    *at_ns = UINT64_MAX;
    bool there = s->len > 0 || s->fin || s->reset || s->shut_read;
    if (!there) return false;
    *at_ns = s->reset || s->shut_read ? 0 : s->ready_ns;
    return machine()->now_ns >= *at_ns;
}

long wire_take(int end, char *out, size_t len)
{
    struct sock *s = wire_sock(end, "receive");
    uint64_t when;
    assert(s->kind == SOCK_CONNECTED && len > 0);
    if (!wire_ready(end, &when)) return WIRE_AGAIN;
    if (s->len == 0) return s->reset ? WIRE_RESET : 0;
    size_t n = s->len < len ? s->len : len;
    for (size_t i = 0; i < n; i++) out[i] = s->bytes[(s->head + i) % s->room];
    s->head = (uint32_t)((s->head + n) % s->room);
    s->len -= (uint32_t)n;
    return (long)n;
}

static void send_fin(struct sock *s)
{
    if (s->shut_write) return;
    s->shut_write = true;
    struct sock *to = at(s->peer);
    if (to->len == 0) to->ready_ns = machine()->now_ns + chance(USUAL_NS);
    to->fin = true;
}

/* What was not taken when a RST comes may be lost, or may still be read (Linux). */
static void send_rst(struct sock *to)
{
    to->reset = true;
    if (to->len > 0 && chance(2) == 0) to->len = chance(to->len + 1);
}

void wire_shut(int end, int how)
{
    struct sock *s = wire_sock(end, "shutdown");
    if (how != SHUT_WR) s->shut_read = true;
    if (s->kind == SOCK_LISTENER) {
        for (uint32_t i = 0; i < s->backlog_len; i++) wire_abort(s->backlog[i]);
        s->backlog_len = 0;
    }
    if (s->kind == SOCK_CONNECTED && how != SHUT_RD) send_fin(s);
}

void wire_close(int end)
{
    struct sock *s = wire_sock(end, "close");
    if (s->kind == SOCK_LISTENER && s->backlog_len > 0) wire_shut(end, SHUT_RDWR);
    if (s->kind == SOCK_CONNECTED) {
        if (s->len > 0) send_rst(at(s->peer));
        send_fin(s);
    }
    s->open = false;
    reap(end);
}

void wire_abort(int end)
{
    struct sock *s = wire_sock(end, "abort");
    send_rst(at(s->peer));
    s->open = false;
    reap(end);
}

void wire_break(int end)
{
    struct sock *s = wire_sock(end, "break");
    send_rst(s);
    send_rst(at(s->peer));
}

void wire_kill(void)
{
    for (int i = 0; i < WIRE_MAX; i++) {
        struct sock *s = &the.sock[i];
        if (s->kind != SOCK_FREE && s->open && s->engine) wire_close(WIRE_FD + i);
    }
}

uint32_t wire_engine_open(enum sock_kind kind)
{
    uint32_t count = 0;
    for (int i = 0; i < WIRE_MAX; i++) {
        const struct sock *s = &the.sock[i];
        if (s->kind == kind && s->open && s->engine) count++;
    }
    return count;
}

/* --- sock.h */

int sock_dial(int family)
{
    assert(family == AF_INET || family == AF_INET6);
    int fd = fault(FAULT_NO_SOCKET) ? -1 : make(SOCK_DIALLING, true);
    return fd < 0 ? -EMFILE : fd;
}

struct addr sock_peer(int fd)
{
    const struct sock *s = wire_sock(fd, "getpeername");
    return (struct addr){.kind = ADDR_V4, .at = {192, 0, 2, (uint8_t)(s - the.sock)}};
}

void sock_accepted(int fd) { (void)wire_sock(fd, "setsockopt"); }

int sock_wake_open(void)
{
    int fd = make(SOCK_WAKE, true);
    return fd < 0 ? -EMFILE : fd;
}

void sock_wake(int fd)
{
    struct sock *s = wire_sock(fd, "wake");
    assert(s->kind == SOCK_WAKE);
    if (s->wakes++ == 0) {
        s->ready_ns = machine()->now_ns;
        if (fault(FAULT_WAKE_LATE)) s->ready_ns += chance(WAKE_NS);
    }
}

void sock_wake_clear(int fd) { wire_sock(fd, "wake")->wakes = 0; }
