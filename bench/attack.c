/* attack.c - clients that mean harm, and one that does not: tests/box and bench/attacks.mjs.
 *   attack MODE ADDRESS PORT [--key K] [--model M] [--connections N] [--rate R] [--seconds S]
 * Every mode is a row of a table and a function that says what the k-th connection does: bytes
 * to send (a head, a pattern repeated, a tail), how fast, whether it reads, when and how it
 * leaves. One thread, one epoll; a tick every 5 ms opens what the rate allows and drips.
 * `paced` is the healthy client: requests at a fixed rate (open loop, timed from when each was
 * due), every answer checked. SIGTERM ends it early; the last line is JSON.
 * Rule: bounded. So many connections, so many a second, so many seconds, loopback in mind. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    HEAD_MAX = 4096,           /* bytes of what a connection sends of its own */
    PATTERN_MAX = 65536,       /* bytes of a pattern that is sent again and again */
    EVENTS_MAX = 512,
    TICK_MS = 5,
    SOURCES = 64,              /* source addresses 127.0.1.1 and on: ports never run out */
    LATENCIES_MAX = 1 << 20,
    STATUS_MAX = 600,
};
#define FOREVER UINT64_MAX

enum leave { LEAVE_RESET, LEAVE_FIN, LEAVE_HALF };

struct client {                /* one connection of an attacker */
    int fd;                    /* -1: none */
    bool connecting, deaf, halved, wants_out;
    uint8_t leave;             /* enum leave */
    char head[HEAD_MAX];
    size_t head_len;
    const char *fill;          /* a pattern, repeated for fill_bytes */
    size_t fill_len;
    uint64_t fill_bytes;
    const char *tail;
    size_t tail_len;
    uint64_t stop_at;          /* leaves after so many bytes sent, or ... */
    uint64_t leave_at;         /* ... received */
    uint64_t sent, received;
    uint64_t drip_bytes;       /* at a time; 0: as fast as it goes */
    uint64_t due_ns;           /* next drip */
    char first[16];            /* of the answer */
    /* paced */
    char *answer;
    size_t answer_len;
    uint64_t asked_ns;         /* when this request was due; 0 none */
};

struct attack;

struct mode {
    const char *name;
    void (*make)(struct attack *a, struct client *c, uint64_t k);
    unsigned connections, rate, drip_ms;
    const char *help;
};

struct attack {
    const struct mode *mode;
    struct sockaddr_in to;
    const char *key, *model;
    unsigned connections, rate, seconds;
    int epoll;
    struct client *client;
    uint64_t serial;           /* scripts begun */
    uint64_t now_ns, begin_ns;
    uint64_t rand;
    char request[2][HEAD_MAX]; /* a chat request, whole and streamed */
    size_t request_len[2];
    char pattern[PATTERN_MAX];
    size_t pattern_len;
    uint64_t opened, failed, peer_ended, sent, received, answers[STATUS_MAX];
    uint64_t good, bad;        /* paced */
    uint32_t *latency_us;
    size_t latencies;
};

static volatile sig_atomic_t stop;  /* a handler has no other way to say so */

static void on_signal(int signal)
{
    (void)signal;
    stop = 1;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t draw(struct attack *a)
{
    a->rand ^= a->rand << 13;
    a->rand ^= a->rand >> 7;
    a->rand ^= a->rand << 17;
    return a->rand;
}

/* --- what to send */

__attribute__((format(printf, 2, 3)))
static void say(struct client *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(c->head + c->head_len, HEAD_MAX - c->head_len, format, args);
    va_end(args);
    assert(n >= 0 && (size_t)n < HEAD_MAX - c->head_len);
    c->head_len += (size_t)n;
}

static void say_post(struct attack *a, struct client *c, uint64_t length)
{
    say(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: weir.test\r\n"
        "Authorization: Bearer %s\r\nContent-Type: application/json\r\n"
        "Content-Length: %" PRIu64 "\r\n\r\n", a->key, length);
}

static void fill(struct client *c, const char *pattern, size_t len, uint64_t bytes)
{
    assert(len > 0);
    c->fill = pattern;
    c->fill_len = len;
    c->fill_bytes = bytes;
}

/* Repeat text in the attack's pattern: long writes, few system calls. */
static void make_pattern(struct attack *a, const char *text, size_t len)
{
    a->pattern_len = 0;
    while (a->pattern_len + len <= PATTERN_MAX) {
        memcpy(a->pattern + a->pattern_len, text, len);
        a->pattern_len += len;
    }
}

static void make_request(struct attack *a, bool stream)
{
    char body[512];
    int n = snprintf(body, sizeof body,
                     "{\"model\":\"%s\",\"stream\":%s,\"messages\":[{\"role\":\"user\","
                     "\"content\":\"attack\"}]}", a->model, stream ? "true" : "false");
    struct client c = {0};
    say_post(a, &c, (uint64_t)n);
    say(&c, "%s", body);
    memcpy(a->request[stream], c.head, c.head_len);
    a->request_len[stream] = c.head_len;
}

static void say_request(struct attack *a, struct client *c, bool stream)
{
    memcpy(c->head, a->request[stream], a->request_len[stream]);
    c->head_len = a->request_len[stream];
}

static void make_heads(struct attack *a, struct client *c, uint64_t k)
{
    (void)a;
    say(c, "GET /v1/models HTTP/1.1\r\nHost: weir.test\r\nX-Slow-%" PRIu64 ": ", k);
    fill(c, "slowly ", 7, FOREVER);
    c->drip_bytes = 1;
}

static void make_bodies(struct attack *a, struct client *c, uint64_t k)
{
    say_post(a, c, 1 << 20);
    say(c, "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"%" PRIu64,
        a->model, k);
    fill(c, "never whole ", 12, FOREVER);
    c->drip_bytes = 1 + k % 900;
}

static void make_readers(struct attack *a, struct client *c, uint64_t k)
{
    (void)k;
    say_request(a, c, true);
    c->deaf = true;
}

static void make_streams(struct attack *a, struct client *c, uint64_t k)
{
    (void)k;
    say_request(a, c, true);
}

static void make_idle(struct attack *a, struct client *c, uint64_t k)
{
    (void)a;
    if (k % 2) say(c, "GET /healthz HTTP/1.1\r\nHost: weir.test\r\n\r\n");
}

static void make_pipeline(struct attack *a, struct client *c, uint64_t k)
{
    (void)k;
    make_pattern(a, a->request[0], a->request_len[0]);
    fill(c, a->pattern, a->pattern_len, FOREVER);
    c->drip_bytes = 2048;
}

static void make_flood(struct attack *a, struct client *c, uint64_t k)
{
    static const char get[] = "GET /v1/nothing HTTP/1.1\r\nHost: weir.test\r\n\r\n";
    (void)k;
    make_pattern(a, get, sizeof get - 1);
    fill(c, a->pattern, a->pattern_len, FOREVER);
    c->drip_bytes = 8192;
    c->deaf = true;
}

/* Bodies that cost the reader of JSON what they can: depth, members, escapes, one number, one
 * text, blanks; the last never ends its text. All as large as the default limits.body. */
static void make_bombs(struct attack *a, struct client *c, uint64_t k)
{
    static const struct { const char *begin, *unit, *end; } bombs[] = {
        {"", "[", ""},
        {"{\"model\":\"%s\",\"x\":", "[", "]"},
        {"{\"model\":\"%s\",\"x\":", "{\"a\":", "1"},
        {"{\"model\":\"%s\",\"x\":1", ",\"k\":0", "}"},
        {"{\"model\":\"%s\",\"messages\":[{\"content\":\"", "\\u00e9", "\"}]}"},
        {"{\"model\":\"%s\",\"messages\":[{\"content\":\"", "\\\\", "\"}]}"},
        {"{\"model\":\"%s\",\"x\":1", "9", "}"},
        {"{\"model\":\"%s\",\"x\":", " \n", "1}"},
        {"{\"model\":\"%s\",\"messages\":[", "{\"role\":\"user\",\"content\":\"a\"},", "{}]}"},
        {"{\"model\":\"%s\",\"x\":\"", "a", ""},
    };
    size_t i = k % (sizeof bombs / sizeof *bombs);
    char begin[256];
    int n = snprintf(begin, sizeof begin, bombs[i].begin, a->model);
    uint64_t unit = strlen(bombs[i].unit), end = strlen(bombs[i].end), total = 32 << 20;
    uint64_t room = (total - (uint64_t)n - end) / unit * unit;
    say_post(a, c, (uint64_t)n + room + end);
    say(c, "%s", begin);
    fill(c, bombs[i].unit, unit, room);
    c->tail = bombs[i].end;
    c->tail_len = end;
    c->leave_at = 1;
}

/* Leaves after k bytes of the request, for each k; then after k bytes of the answer. */
static void make_aborts(struct attack *a, struct client *c, uint64_t k)
{
    bool stream = k / 2 % 2;
    uint64_t at = k / 4, len = a->request_len[stream];
    say_request(a, c, stream);
    c->leave = k % 2 ? LEAVE_RESET : LEAVE_FIN;
    at %= len + 900;
    if (at <= len) c->stop_at = at;
    else c->leave_at = at - len;
}

static void make_halves(struct attack *a, struct client *c, uint64_t k)
{
    say_request(a, c, k % 2);
    c->leave = LEAVE_HALF;
    c->stop_at = k % 3 ? c->head_len : c->head_len / 2;
}

static void make_headers(struct attack *a, struct client *c, uint64_t k)
{
    static const char *const units[] = {"a", "A: b\r\n", "\r\n", "Cookie: a=b\r\n"};
    const char *unit = units[k % 4];
    (void)a;
    if (k % 4 != 2) {
        say(c, "GET /v1/models HTTP/1.1\r\nHost: weir.test\r\n%s", k % 4 ? "" : "X: ");
    }
    fill(c, unit, strlen(unit), 1 << 20);
    c->leave_at = FOREVER;
}

static void make_keys(struct attack *a, struct client *c, uint64_t k)
{
    (void)k;
    for (int i = 0; i < 8; i++) {
        say(c, "GET /v1/key HTTP/1.1\r\nHost: weir.test\r\nAuthorization: Bearer sk-weir-"
            "%016" PRIx64 "%016" PRIx64 "\r\n\r\n", draw(a), draw(a));
    }
    c->leave_at = 1;
}

static void make_churn(struct attack *a, struct client *c, uint64_t k)
{
    if (k % 4 == 3) say_request(a, c, false);
    else if (k % 4) say(c, "GET /healthz HTTP/1.1\r\nHost: weir.test\r\n\r\n");
    c->leave = k % 8 < 4 ? LEAVE_RESET : LEAVE_FIN;
    if (k % 4) c->leave_at = 1;
    else c->stop_at = 0;
}

/* A TLS 1.3 hello with a key share: whoever answers has signed for it (RFC 8446 section 4). */
static void make_hellos(struct attack *a, struct client *c, uint64_t k)
{
    static const uint8_t before[] = {
        0x16, 3, 1, 0, 128, 1, 0, 0, 124, 3, 3};     /* record, hello, legacy version */
    static const uint8_t after[] = {
        0, 0, 2, 0x13, 0x01, 1, 0, 0, 81,            /* no session; AES-128-GCM; extensions */
        0, 0x2b, 0, 3, 2, 3, 4,                      /* supported_versions: 1.3 */
        0, 0x0a, 0, 4, 0, 2, 0, 0x1d,                /* supported_groups: x25519 */
        0, 0x0d, 0, 14, 0, 12, 4, 3, 8, 4, 4, 1, 8, 5, 5, 3, 6, 1,   /* signature_algorithms */
        0, 0x33, 0, 38, 0, 36, 0, 0x1d, 0, 32};      /* key_share: x25519, 32 bytes */
    static const uint8_t last[] = {0, 0x2d, 0, 2, 1, 1};             /* psk modes */
    (void)k;
    memcpy(c->head, before, sizeof before);
    size_t at = sizeof before;
    for (int i = 0; i < 32; i++) c->head[at++] = (char)draw(a);
    memcpy(c->head + at, after, sizeof after);
    at += sizeof after;
    for (int i = 0; i < 32; i++) c->head[at++] = (char)(draw(a) | 1);
    memcpy(c->head + at, last, sizeof last);
    c->head_len = at + sizeof last;
    c->leave_at = 1;
}

static void make_paced(struct attack *a, struct client *c, uint64_t k)
{
    (void)a;
    (void)c;
    (void)k;
}

static const struct mode modes[] = {
    {"paced", make_paced, 4, 200, 0, "healthy: whole requests at --rate, each answer checked"},
    {"heads", make_heads, 1000, 2000, 1000, "request heads that never end, a byte a second"},
    {"bodies", make_bodies, 1000, 2000, 500, "request bodies that never end"},
    {"readers", make_readers, 200, 400, 0, "streams that nobody reads"},
    {"streams", make_streams, 1000, 1000, 0, "streams that are read, as long as they last"},
    {"idle", make_idle, 5000, 5000, 0, "connections that stay open"},
    {"pipeline", make_pipeline, 16, 100, 10, "requests without waiting for answers"},
    {"flood", make_flood, 64, 200, 10, "requests whose answers nobody reads"},
    {"bombs", make_bombs, 4, 100, 0, "JSON of 32 MiB: depth, members, escapes, ..."},
    {"aborts", make_aborts, 64, 2000, 0, "leaves after k bytes, for each k"},
    {"halves", make_halves, 64, 1000, 0, "shuts its sending side behind a request"},
    {"headers", make_headers, 16, 200, 0, "heads of a megabyte"},
    {"keys", make_keys, 64, 500, 0, "guesses keys, eight a connection"},
    {"churn", make_churn, 64, 2000, 0, "connections that come and go"},
    {"hellos", make_hellos, 64, 1000, 0, "TLS handshakes begun and left"},
};

/* --- connections */

static void watch(struct attack *a, struct client *c, int how)
{
    struct epoll_event e = {.events = EPOLLRDHUP, .data.ptr = c};
    if (!c->deaf) e.events |= EPOLLIN;
    else if (!c->connecting) e.events = 0;
    if (c->connecting || c->wants_out) e.events |= EPOLLOUT;
    if (epoll_ctl(a->epoll, how, c->fd, &e) != 0) stop = 1;
}

static void leave(struct client *c, bool reset)
{
    struct linger none = {.l_onoff = 1};
    if (reset) (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    (void)close(c->fd);
    c->fd = -1;
}

/* The first line of an answer names its status. */
static void note_status(struct attack *a, const struct client *c)
{
    if (c->received < 12 || memcmp(c->first, "HTTP/1.1 ", 9) != 0) return;
    long status = strtol(c->first + 9, NULL, 10);
    if (status > 0 && status < STATUS_MAX) a->answers[status]++;
}

static void gone(struct attack *a, struct client *c, bool by_peer)
{
    note_status(a, c);
    if (by_peer) a->peer_ended++;
    if (c->asked_ns) a->bad++;
    c->asked_ns = 0;
    leave(c, c->leave == LEAVE_RESET || by_peer);
}

static bool begin(struct attack *a, struct client *c)
{
    char *answer = c->answer;
    *c = (struct client){.fd = -1, .stop_at = FOREVER, .leave_at = FOREVER, .answer = answer};
    uint64_t k = a->serial++;
    a->mode->make(a, c, k);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        a->failed++;
        return false;
    }
    int one = 1, little = 4096;
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(0x7f000101u + (uint32_t)(k % SOURCES))};
    (void)setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (c->deaf) (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
    (void)bind(c->fd, (struct sockaddr *)&from, sizeof from);
    if (connect(c->fd, (struct sockaddr *)&a->to, sizeof a->to) != 0 && errno != EINPROGRESS) {
        a->failed++;
        leave(c, false);
        return false;
    }
    c->connecting = true;
    a->opened++;
    watch(a, c, EPOLL_CTL_ADD);
    return true;
}

static uint64_t total_of(const struct client *c)
{
    if (c->fill_bytes == FOREVER) return FOREVER;
    return c->head_len + c->fill_bytes + c->tail_len;
}

/* The piece that is to be sent next: at most max bytes of it. */
static size_t piece(const struct client *c, uint64_t max, const char **ptr)
{
    uint64_t at = c->sent, end = total_of(c) < c->stop_at ? total_of(c) : c->stop_at;
    uint64_t left = end - at, n;
    if (at < c->head_len) {
        *ptr = c->head + at;
        n = c->head_len - at;
    } else if (c->fill_bytes == FOREVER || at - c->head_len < c->fill_bytes) {
        uint64_t in = (at - c->head_len) % c->fill_len;
        uint64_t over = c->fill_bytes == FOREVER ? FOREVER : c->fill_bytes - (at - c->head_len);
        *ptr = c->fill + in;
        n = c->fill_len - in < over ? c->fill_len - in : over;
    } else {
        uint64_t in = at - c->head_len - c->fill_bytes;
        *ptr = c->tail + in;
        n = c->tail_len - in;
    }
    if (n > left) n = left;
    return (size_t)(n < max ? n : max);
}

static void all_sent(struct attack *a, struct client *c)
{
    if (c->stop_at == FOREVER) return;
    if (c->leave == LEAVE_HALF && !c->halved) {
        c->halved = true;
        (void)shutdown(c->fd, SHUT_WR);
    } else if (c->leave != LEAVE_HALF) {
        gone(a, c, false);
    }
}

static void set_out(struct attack *a, struct client *c, bool out)
{
    if (c->wants_out == out) return;
    c->wants_out = out;
    watch(a, c, EPOLL_CTL_MOD);
}

/* Send up to max bytes; the rest when the kernel takes more. Short patterns are joined, so that
 * a flood of one byte is not one system call each. */
static void push(struct attack *a, struct client *c, uint64_t max)
{
    char joined[16384];
    uint64_t end = total_of(c) < c->stop_at ? total_of(c) : c->stop_at;
    for (uint64_t pushed = 0; c->sent < end && pushed < max;) {
        size_t n = 0, want = sizeof joined;
        uint64_t at = c->sent;
        if (max - pushed < want) want = (size_t)(max - pushed);
        while (n < want && c->sent < end) {
            const char *ptr;
            size_t more = piece(c, want - n, &ptr);
            memcpy(joined + n, ptr, more);
            n += more;
            c->sent += more;
        }
        ssize_t sent = send(c->fd, joined, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        c->sent = at + (sent > 0 ? (uint64_t)sent : 0);
        if (sent < 0 && errno != EAGAIN) {
            gone(a, c, true);
            return;
        }
        if (sent > 0) a->sent += (uint64_t)sent, pushed += (uint64_t)sent;
        if (sent < (ssize_t)n) {
            if (!c->drip_bytes) set_out(a, c, true);
            return;
        }
    }
    set_out(a, c, false);
    if (c->sent == end) all_sent(a, c);
}

/* --- the healthy client */

static void paced_done(struct attack *a, struct client *c, bool good)
{
    uint64_t us = (now_ns() - c->asked_ns) / 1000;
    c->asked_ns = 0;
    c->answer_len = 0;
    if (good) a->good++;
    else a->bad++;
    if (a->latencies < LATENCIES_MAX) a->latency_us[a->latencies++] = (uint32_t)us;
}

/* Is the answer whole, and is it the one that was asked for? */
static void paced_look(struct attack *a, struct client *c)
{
    c->answer[c->answer_len] = 0;
    char *end = strstr(c->answer, "\r\n\r\n");
    if (!end) return;
    char *field = strcasestr(c->answer, "\r\ncontent-length:");
    size_t length = field && field < end ? strtoul(field + 17, NULL, 10) : 0;
    size_t have = c->answer_len - (size_t)(end + 4 - c->answer);
    if (field && have < length) return;
    bool good = field && have == length && strncmp(c->answer, "HTTP/1.1 200 ", 13) == 0 &&
                strstr(end, "\"choices\"");
    memcpy(c->first, c->answer, sizeof c->first);
    note_status(a, c);
    paced_done(a, c, good);
}

static void paced_tick(struct attack *a)
{
    uint64_t due = (a->now_ns - a->begin_ns) / 1000 * a->rate / 1000000;
    for (unsigned i = 0; i < a->connections && a->serial <= due; i++) {
        struct client *c = &a->client[i];
        if (c->fd < 0) {
            uint64_t serial = a->serial;
            if (!begin(a, c)) a->bad++;
            a->serial = serial;
        } else if (!c->connecting && !c->asked_ns) {
            c->asked_ns = a->begin_ns + a->serial * 1000000000u / a->rate;
            c->answer_len = 0;
            c->sent = 0;
            say_request(a, c, false);
            a->serial++;
            push(a, c, FOREVER);
        }
    }
}

/* --- events */

static void take(struct attack *a, struct client *c)
{
    char bytes[65536];
    for (int i = 0; i < 8; i++) {
        ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            gone(a, c, true);
            return;
        }
        for (ssize_t j = 0; j < n && c->received + (uint64_t)j < sizeof c->first; j++) {
            c->first[c->received + (uint64_t)j] = bytes[j];
        }
        c->received += (uint64_t)n;
        a->received += (uint64_t)n;
        if (c->answer && c->answer_len + (size_t)n < PATTERN_MAX) {
            memcpy(c->answer + c->answer_len, bytes, (size_t)n);
            c->answer_len += (size_t)n;
            paced_look(a, c);
        }
        if (c->received >= c->leave_at) {
            gone(a, c, false);
            return;
        }
    }
}

static void on_event(struct attack *a, struct client *c, uint32_t events)
{
    if (c->fd < 0) return;
    if (c->connecting) {
        int error = 0;
        socklen_t len = sizeof error;
        (void)getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error) {
            a->failed++;
            leave(c, false);
            return;
        }
        if (!(events & EPOLLOUT)) return;
        c->connecting = false;
        watch(a, c, EPOLL_CTL_MOD);
        push(a, c, c->drip_bytes ? c->head_len : FOREVER);
        return;
    }
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) take(a, c);
    if (c->fd >= 0 && (events & EPOLLOUT)) push(a, c, FOREVER);
}

static void tick(struct attack *a)
{
    if (a->mode->make == make_paced) {
        paced_tick(a);
        return;
    }
    uint64_t due = (a->now_ns - a->begin_ns) / 1000 * a->rate / 1000000;
    for (unsigned i = 0; i < a->connections; i++) {
        struct client *c = &a->client[i];
        if (c->fd < 0) {
            if (a->serial < due) (void)begin(a, c);
        } else if (c->drip_bytes && !c->connecting && c->due_ns <= a->now_ns) {
            c->due_ns = a->now_ns + a->mode->drip_ms * 1000000ull;
            push(a, c, c->drip_bytes);
        }
    }
    /* what could not be begun for want of a free connection is not owed */
    if (a->serial < due) a->begin_ns += (due - a->serial) * 1000000000ull / a->rate;
}

static void run(struct attack *a)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t begun = a->begin_ns = now_ns(), next = 0;
    bool paced = a->mode->make == make_paced;
    while (!stop) {
        int n = epoll_wait(a->epoll, events, EVENTS_MAX, paced ? 1 : TICK_MS);
        a->now_ns = now_ns();
        for (int i = 0; i < n; i++) on_event(a, events[i].data.ptr, events[i].events);
        if (paced || a->now_ns >= next) {
            tick(a);
            next = a->now_ns + TICK_MS * 1000000u / 2;
        }
        if (a->now_ns - begun > a->seconds * 1000000000ull) stop = 1;
    }
    for (unsigned i = 0; i < a->connections; i++) {
        struct client *c = &a->client[i];
        if (c->fd < 0) continue;
        c->asked_ns = 0;       /* ours to give up: no fault of the other side */
        gone(a, c, false);
    }
}

static int by_size(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return (a > b) - (a < b);
}

static void report(struct attack *a)
{
    size_t n = a->latencies;
    if (n > 0) qsort(a->latency_us, n, sizeof *a->latency_us, by_size);
    (void)printf("{\"mode\":\"%s\",\"opened\":%" PRIu64 ",\"failed\":%" PRIu64
                 ",\"ended_by_peer\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"received\":%" PRIu64
                 ",\"answers\":{", a->mode->name, a->opened, a->failed, a->peer_ended, a->sent,
                 a->received);
    const char *comma = "";
    for (unsigned i = 0; i < STATUS_MAX; i++) {
        if (!a->answers[i]) continue;
        (void)printf("%s\"%u\":%" PRIu64, comma, i, a->answers[i]);
        comma = ",";
    }
    (void)printf("},\"good\":%" PRIu64 ",\"bad\":%" PRIu64 ",\"p50_us\":%u,\"p99_us\":%u,"
                 "\"max_us\":%u}\n", a->good, a->bad, n ? a->latency_us[n / 2] : 0,
                 n ? a->latency_us[n * 99 / 100] : 0, n ? a->latency_us[n - 1] : 0);
    (void)fflush(stdout);
}

static int usage(void)
{
    (void)fprintf(stderr, "usage: attack MODE ADDRESS PORT [--key K] [--model M] "
                  "[--connections N] [--rate R] [--seconds S]\n");
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        (void)fprintf(stderr, "  %-9s %s (%u connections, %u a second)\n", modes[i].name,
                      modes[i].help, modes[i].connections, modes[i].rate);
    }
    return 2;
}

static bool arguments(struct attack *a, int argc, char **argv)
{
    if (argc < 4) return false;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(argv[1], modes[i].name) == 0) a->mode = &modes[i];
    }
    a->to = (struct sockaddr_in){.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)strtoul(argv[3], NULL, 10))};
    if (!a->mode || inet_pton(AF_INET, argv[2], &a->to.sin_addr) != 1) return false;
    a->connections = a->mode->connections;
    a->rate = a->mode->rate;
    for (int i = 4; i + 1 < argc; i += 2) {
        unsigned n = (unsigned)strtoul(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--key") == 0) a->key = argv[i + 1];
        else if (strcmp(argv[i], "--model") == 0) a->model = argv[i + 1];
        else if (strcmp(argv[i], "--connections") == 0) a->connections = n;
        else if (strcmp(argv[i], "--rate") == 0) a->rate = n;
        else if (strcmp(argv[i], "--seconds") == 0) a->seconds = n;
        else return false;
    }
    return a->connections > 0 && a->rate > 0 && argc % 2 == 0;
}

int main(int argc, char **argv)
{
    struct attack *a = calloc(1, sizeof *a);
    if (!a) return 1;
    *a = (struct attack){.key = "", .model = "mock/mock-n5", .seconds = 5,
                         .rand = 0x9e3779b97f4a7c15u};
    if (!arguments(a, argc, argv)) return usage();
    struct rlimit files;
    (void)getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    (void)signal(SIGTERM, on_signal);
    (void)signal(SIGINT, on_signal);
    a->epoll = epoll_create1(EPOLL_CLOEXEC);
    a->client = calloc(a->connections, sizeof *a->client);
    a->latency_us = calloc(LATENCIES_MAX, sizeof *a->latency_us);
    if (a->epoll < 0 || !a->client || !a->latency_us) return 1;
    make_request(a, false);
    make_request(a, true);
    for (unsigned i = 0; i < a->connections; i++) {
        a->client[i].fd = -1;
        if (a->mode->make != make_paced) continue;
        a->client[i].answer = calloc(1, PATTERN_MAX + 1);
        if (!a->client[i].answer) return 1;
    }
    run(a);
    report(a);
    return 0;
}
