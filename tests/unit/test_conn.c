/* test_conn.c - client connections on a real core and ring, with a server of a few lines behind
 * serve.h: framing, pipelining, refusals, timeouts, lingering, back-pressure, and that
 * everything is given back whatever the client did. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "engine/clock.h"
#include "engine/conn.h"
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/serve.h"
#include "net/http.h"
#include "tests/unit/rig.h"
#include "tests/unit/serve_rest.h"

enum { HEARD_MAX = 4 << 20, FLOOD_PIECE = 16384 };

static const uint64_t second = 1000000000;

/* --- the server: /w waits, /e answers at the head, /p in the body, /f floods as it is read, /h
 * queues all at once; any other answers "[200 <path> <body>]" when the body is complete --- */

struct served {
    struct serve_times times;
    uint64_t body_max;
    unsigned heads, bodies, gones;
    enum close_why gone, refused;
    char detail[128];
    struct conn *waiting;          /* its request is /w, and not answered */
    uint64_t flood, flood_left;    /* bytes of a /f answer */
    uint64_t out_max;              /* most bytes queued on a connection */
    char kind[16];                 /* second byte of the path, by slot */
};

static struct served served;
static char flood_bytes[FLOOD_PIECE];

static void put(struct core *core, struct conn *c, const char *text)
{
    assert_true(chain_copy(&core->mem, &c->out, bytes_of(text)));
    if (c->out.bytes > served.out_max) served.out_max = c->out.bytes;
    conn_dirty(core, c);
}

static void answer(struct core *core, struct conn *c, const char *body)
{
    char text[1024];
    (void)snprintf(text, sizeof text, "[200 %c %s]", served.kind[c->head.slot], body);
    put(core, c, text);
    conn_answered(core, c);
}

bool serve_trusts(const struct core *core, struct conn *c)
{
    (void)core, (void)c;
    return false;
}

bool serve_head(struct core *core, struct conn *c, const struct http_head *head)
{
    served.heads++;
    assert_true(head->path.len >= 2 && c->head.slot < sizeof served.kind);
    served.kind[c->head.slot] = head->path.ptr[1];
    c->body_max = served.body_max;
    if (head->path.ptr[1] != 'e') return true;
    answer(core, c, "early");
    return false;
}

bool serve_piece(struct core *core, struct conn *c, struct bytes piece)
{
    assert_true(piece.len > 0 && c->body.bytes >= piece.len);
    if (served.kind[c->head.slot] != 'p') return true;
    answer(core, c, "piece");
    return false;
}

static void pump(struct core *core, struct conn *c)
{
    while (served.flood_left > 0 && c->out.bytes < CORE_HELD_MAX) {
        size_t n = served.flood_left < FLOOD_PIECE ? (size_t)served.flood_left : FLOOD_PIECE;
        assert_true(chain_borrow(&core->mem, &c->out, (struct bytes){flood_bytes, n}));
        served.flood_left -= n;
        if (c->out.bytes > served.out_max) served.out_max = c->out.bytes;
    }
    conn_dirty(core, c);
    if (served.flood_left > 0) return;
    c->job = NULL;
    conn_answered(core, c);
}

void serve_body(struct core *core, struct conn *c)
{
    char body[900];
    served.bodies++;
    size_t len = c->body.bytes < sizeof body ? (size_t)c->body.bytes : sizeof body - 1;
    chain_read(&core->mem, &c->body, 0, body, len);
    body[len] = 0;
    switch (served.kind[c->head.slot]) {
    case 'w': served.waiting = c; break;
    case 'f':
        c->job = &served;
        served.flood_left = served.flood;
        pump(core, c);
        break;
    case 'h':
        for (uint64_t n = 0; n < served.flood; n += FLOOD_PIECE) {
            struct bytes piece = {flood_bytes, FLOOD_PIECE};
            assert_true(chain_borrow(&core->mem, &c->out, piece));
        }
        if (c->out.bytes > served.out_max) served.out_max = c->out.bytes;
        conn_dirty(core, c);
        conn_answered(core, c);
        break;
    default: answer(core, c, body); break;
    }
}

void serve_refuse(struct core *core, struct conn *c, enum close_why why, const char *detail)
{
    char text[32];
    served.refused = why;
    (void)snprintf(served.detail, sizeof served.detail, "%s", detail ? detail : "");
    (void)snprintf(text, sizeof text, "[%u]", close_status(why));
    put(core, c, text);
}

void serve_gone(struct core *core, struct conn *c, enum close_why why)
{
    (void)core;
    served.gones++;
    served.gone = why;
    if (served.waiting == c) served.waiting = NULL;
    c->job = NULL;
}

void serve_drained(struct core *core, struct conn *c, uint64_t left)
{
    assert_int_equal(left, c->out.bytes);
    if (left <= CORE_HELD_MAX / 2) pump(core, c);
}

struct serve_times serve_times(const struct core *core)
{
    (void)core;
    return served.times;
}

/* --- the client --- */

static struct rig rig;
static char heard[HEARD_MAX + 1];
static size_t heard_len;
static bool heard_end;

static int setup(void **state)
{
    (void)state;
    served = (struct served){
        .times = {10 * second, 30 * second, 75 * second, 60 * second, 2048},
        .body_max = 1 << 20,
    };
    rig_skipped_ns = 0;
    rig = rig_open(rig_limits());
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_close(&rig);
    return 0;
}

static int dial(void)
{
    int fd = rig_dial(&rig, 0);
    heard_len = 0;
    heard_end = false;
    heard[0] = 0;
    return fd;
}

static void say_bytes(int fd, struct bytes b)
{
    while (b.len > 0) {
        ssize_t n = send(fd, b.ptr, b.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            rig_turn(&rig);
            continue;
        }
        if (n <= 0) return;
        bytes_cut(&b, (size_t)n);
    }
}

static void say(int fd, const char *text)
{
    say_bytes(fd, bytes_of(text));
    rig_turn(&rig);
}

/* Read what is there, at most max bytes; the text of the connection so far. */
static const char *hear_some(int fd, size_t max)
{
    while (max > 0 && heard_len < HEARD_MAX) {
        size_t room = HEARD_MAX - heard_len;
        ssize_t n = recv(fd, heard + heard_len, room < max ? room : max, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) heard_end = true;
        if (n <= 0) break;
        heard_len += (size_t)n;
        max -= (size_t)n;
    }
    heard[heard_len] = 0;
    return heard;
}

static const char *hear(int fd)
{
    return hear_some(fd, SIZE_MAX);
}

/* Wait until the client heard so much, and the end where it is due; then that is all. */
static void hears(int fd, const char *want, bool end)
{
    size_t len = strlen(want);
    for (int i = 0; i < 500 && (hear(fd), heard_len < len || heard_end < end); i++) {
        rig_turn(&rig);
    }
    assert_string_equal(heard, want);
    assert_int_equal(heard_end, end);
}

static void hang_up(int fd)
{
    (void)close(fd);
    rig_turn(&rig);
    rig_check_empty(&rig);
}

/* Say all of it, hear exactly this and the end (or no end). */
static void talk(const char *say_text, const char *want, bool end)
{
    int fd = dial();
    say(fd, say_text);
    hears(fd, want, end);
    hang_up(fd);
}

/* --- framing --- */

static void test_one_after_another(void **state)
{
    (void)state;
    int fd = dial();
    say(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    hears(fd, "[200 a ]", false);
    say(fd, "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
    hears(fd, "[200 a ][200 b abc]", false);
    say(fd, "\r\nPOST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
            "3\r\nxyz\r\n0\r\n\r\n");
    hears(fd, "[200 a ][200 b abc][200 c xyz]", false);
    assert_false(heard_end);
    assert_int_equal(rig.core->conns.used, 1);
    assert_int_equal(rig.core->mem.bytes_used, 0);     /* an idle one holds no memory */
    hang_up(fd);
    assert_int_equal(served.gones, 0);
}

static const char pipeline[] =
    "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
    "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
    "\r\n"
    "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nT: u\r\n\r\n"
    "POST /d HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
    "GET /g HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
static const char pipelined[] = "[200 a ][200 b hello][200 c abcdefg][200 d ][200 g ]";

static void test_every_split_gives_the_same_answers(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof pipeline; cut++) {
        int fd = dial();
        say_bytes(fd, (struct bytes){pipeline, cut});
        rig_turn(&rig);
        say(fd, pipeline + cut);
        hears(fd, pipelined, true);
        hang_up(fd);
    }
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    int fd = dial();
    for (size_t i = 0; i + 1 < sizeof pipeline; i++) {
        say_bytes(fd, (struct bytes){pipeline + i, 1});
        assert_int_equal(core_turn(rig.core, RIG_WAIT_NS), 0);
    }
    rig_turn(&rig);
    hears(fd, pipelined, true);
    hang_up(fd);
}

static void test_connections_that_end(void **state)
{
    (void)state;
    talk("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
         "[200 a ]", true);
    talk("GET /a HTTP/1.0\r\nHost: h\r\n\r\n", "[200 a ]", true);
    talk("GET /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", "[200 a ]", false);
    /* answered before the body was read: a small one is read away, never taken for a request */
    talk("POST /e HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nGET /a HTTP/1.1\r\n\r\n",
         "[200 e early][400]", true);
    talk("POST /e HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabcd"
         "GET /a HTTP/1.1\r\nHost: h\r\n\r\n", "[200 e early][200 a ]", false);
    /* ... a large one, or one that may never come, ends the connection */
    talk("POST /e HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\nabcd", "[200 e early]",
         true);
    talk("POST /e HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
         "[200 e early]", true);
    talk("POST /e HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n"
         "\r\n", "[200 e early]", true);
    talk("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabcd", "[200 p piece]",
         false);
    /* ... but where it was read, the connection goes on */
    talk("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabcd", "[200 p piece]",
         false);
    talk("GET /e HTTP/1.1\r\nHost: h\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n",
         "[200 e early][200 a ]", false);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct { const char *head; enum close_why why; } cases[] = {
        {"GET /a HTTP/2.0\r\nHost: h\r\n\r\n", CLOSE_VERSION_BAD},
        {"GET /a HTTP/1.1\r\n\r\n", CLOSE_HEAD_BAD},
        {"GET /a HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", CLOSE_HEAD_BAD},
        {"GET /a HTTP/1.1\r\nHost : h\r\n\r\n", CLOSE_HEAD_BAD},
        {"GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n"
         "Transfer-Encoding: chunked\r\n\r\n", CLOSE_HEAD_BAD},
        {"GET /a HTTP/1.1\r\nHost: h\r\nExpect: miracles\r\n\r\n", CLOSE_EXPECT_BAD},
        {"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
         CLOSE_CHUNK_BAD},
        {"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
         CLOSE_CHUNK_BAD},
        {"\x16\x03\x01\x02\r\n\r\n", CLOSE_HEAD_BAD},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char want[16];
        (void)snprintf(want, sizeof want, "[%u]", close_status(cases[i].why));
        int fd = dial();
        say(fd, cases[i].head);
        say(fd, "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");   /* never read */
        hears(fd, want, true);
        assert_int_equal(served.refused, cases[i].why);
        hang_up(fd);
    }
}

/* The head's limit, whole and in pieces: at it and one byte over it. */
static void test_the_longest_head(void **state)
{
    (void)state;
    char head[4096];
    for (size_t over = 0; over <= 1; over++) {
        size_t len = (size_t)served.times.header_max + over;
        memset(head, 'x', sizeof head);
        memcpy(head, "GET /a HTTP/1.1\r\nHost: h\r\nX: ", 29);
        memcpy(head + len - 4, "\r\n\r\n", 5);
        talk(head, over ? "[431]" : "[200 a ]", over);
        int fd = dial();
        say_bytes(fd, (struct bytes){head, 100});
        rig_turn(&rig);
        say(fd, head + 100);
        hears(fd, over ? "[431]" : "[200 a ]", over);
        hang_up(fd);
        fd = dial();                       /* refused without waiting for the end of it */
        say_bytes(fd, (struct bytes){head, (size_t)served.times.header_max - 1 + over});
        rig_turn(&rig);
        hears(fd, over ? "[431]" : "", over);
        hang_up(fd);
    }
}

static void test_the_longest_body(void **state)
{
    (void)state;
    served.body_max = 10;
    talk("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789",
         "[200 a 0123456789]", false);
    unsigned bodies = served.bodies;
    talk("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n", "[413]", true);
    static const char chunked[] =
        "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    char text[256];
    (void)snprintf(text, sizeof text, "%s5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n", chunked);
    talk(text, "[200 a 0123456789]", false);
    (void)snprintf(text, sizeof text, "%s5\r\n01234\r\n6\r\n56789x\r\n", chunked);
    talk(text, "[413]", true);
    assert_int_equal(served.bodies, bodies + 1);
}

/* RFC 9110 section 10.1.1 */
static void test_expect_continue(void **state)
{
    (void)state;
    static const char head[] =
        "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    int fd = dial();
    say(fd, head);
    hears(fd, "HTTP/1.1 100 Continue\r\n\r\n", false);
    say(fd, "ok");
    hears(fd, "HTTP/1.1 100 Continue\r\n\r\n[200 a ok]", false);
    hang_up(fd);
    talk("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nok",
         "[200 a ok]", false);              /* it did not wait: the body is here */
    talk("POST /e HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
         "[200 e early]", true);
    served.body_max = 1;
    talk(head, "[413]", true);
}

/* --- time --- */

static void test_slow_heads_and_bodies(void **state)
{
    (void)state;
    int fd = dial();
    say(fd, "GET /a HT");
    rig_skip(&rig, 9 * second);
    say(fd, "TP");                          /* a byte now and then does not help */
    hears(fd, "", false);
    rig_skip(&rig, second);
    hears(fd, "[408]", true);
    assert_int_equal(served.refused, CLOSE_HEAD_SLOW);
    hang_up(fd);
    fd = dial();
    say(fd, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    rig_skip(&rig, 29 * second);
    say(fd, "c");
    hears(fd, "", false);
    rig_skip(&rig, second);
    hears(fd, "[408]", true);
    assert_int_equal(served.refused, CLOSE_BODY_SLOW);
    hang_up(fd);
}

static void test_idle_connections_end_silently(void **state)
{
    (void)state;
    int fd = dial();
    rig_skip(&rig, 74 * second);
    assert_false((hear(fd), heard_end));
    say(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_skip(&rig, 74 * second);
    assert_false((hear(fd), heard_end));
    rig_skip(&rig, second);
    hears(fd, "[200 a ]", true);
    hang_up(fd);
    assert_int_equal(stat_get(&rig.core->stats.closes[CLOSE_CLIENT_IDLE]), 1);
}

/* A request that is being served has no time of ours. */
static void test_waiting_is_not_idle(void **state)
{
    (void)state;
    int fd = dial();
    say(fd, "GET /w HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_skip(&rig, 3600 * second);
    assert_non_null(served.waiting);
    answer(rig.core, served.waiting, "late");
    rig_turn(&rig);
    hears(fd, "[200 w late]", false);
    hang_up(fd);
}

static void test_a_client_that_does_not_read(void **state)
{
    (void)state;
    served.flood = 2 << 20;
    int fd = dial();
    say(fd, "GET /f HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_skip(&rig, 30 * second);           /* looked at half-way, and at the end */
    rig_skip(&rig, 29 * second);
    assert_int_equal(served.gones, 0);
    rig_skip(&rig, second);
    assert_int_equal(served.gones, 1);
    assert_int_equal(served.gone, CLOSE_CLIENT_WRITE_SLOW);
    for (int i = 0; i < 500 && !heard_end; i++) {
        rig_turn(&rig);
        (void)hear(fd);
    }
    assert_true(heard_end);
    hang_up(fd);
}

/* One that reads slowly is not a client that read nothing for timeouts.write. (How slowly the
 * kernel's buffer decides, which wakes a sender when a good part of it is free: a small one
 * here.) */
static void test_a_slow_reader_is_served(void **state)
{
    (void)state;
    served.flood = 1 << 20;
    int fd = dial(), small = 16384;
    struct conn *c = (struct conn *)(void *)slab_at(&rig.core->conns, 0);
    assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    say(fd, "GET /h HTTP/1.1\r\nHost: h\r\n\r\n");
    while (heard_len < served.flood && !heard_end) {
        rig_skip(&rig, 25 * second);
        (void)hear_some(fd, 50000);
    }
    assert_int_equal(heard_len, served.flood);
    assert_int_equal(served.gones, 0);
    hang_up(fd);
}

/* Ask for a flood, until it is answered, and not yet sent. */
static void ask_flood(int fd)
{
    say(fd, "GET /f HTTP/1.1\r\nHost: h\r\n\r\n");
    for (; served.flood_left > 0; rig_turn(&rig)) (void)hear_some(fd, 10000);
}

/* An answer that takes longer to read than timeouts.idle is no idle connection. */
static void test_reading_on_is_not_idle(void **state)
{
    (void)state;
    served.flood = 400000;
    int fd = dial();
    ask_flood(fd);
    assert_true(heard_len < served.flood - 100000);
    while (heard_len < served.flood && !heard_end) {
        rig_skip(&rig, 40 * second);
        (void)hear_some(fd, 70000);
    }
    assert_int_equal(heard_len, served.flood);
    rig_skip(&rig, 75 * second);
    rig_turn(&rig);
    (void)hear(fd);
    heard_len = 0;
    hears(fd, "", true);                   /* now it is */
    hang_up(fd);
}

/* timeouts.idle counts from when the last answer has left, not from when it was queued. */
static void test_idle_since_the_answer_left(void **state)
{
    (void)state;
    served.flood = 2 << 20;
    int fd = dial(), small = 16384;
    const struct conn *c = (struct conn *)(void *)slab_at(&rig.core->conns, 0);
    assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    ask_flood(fd);
    rig_skip(&rig, 40 * second);
    assert_true(c->out.bytes > 0);
    for (; c->out.bytes > 0 || c->sending; rig_turn(&rig)) (void)hear_some(fd, 10000);
    rig_skip(&rig, 74 * second);
    while (heard_len < served.flood && !heard_end) (void)hear(fd);
    assert_false(heard_end);
    rig_skip(&rig, second);
    rig_turn(&rig);
    (void)hear(fd);
    assert_true(heard_end);
    assert_int_equal(stat_get(&rig.core->stats.closes[CLOSE_CLIENT_IDLE]), 1);
    hang_up(fd);
}

/* --- lingering: what the client still sends must not reset the answer away --- */

static void test_the_answer_survives_what_is_still_sent(void **state)
{
    (void)state;
    static char rest[600000];
    memset(rest, 'x', sizeof rest);
    served.body_max = 10;
    int fd = dial();
    say(fd, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
    say_bytes(fd, (struct bytes){rest, sizeof rest});
    rig_turn(&rig);
    hears(fd, "[413]", true);                /* our side is shut */
    assert_int_equal(rig.core->conns.used, 1);
    assert_int_equal(rig.core->mem.bytes_used, 0);
    say_bytes(fd, (struct bytes){rest, sizeof rest});
    for (int i = 0; i < 500 && rig.core->conns.used; i++) rig_turn(&rig);
    assert_int_equal(rig.core->conns.used, 0);    /* beyond 1 MiB nobody listens any more */
    hang_up(fd);
}

static void test_lingering_ends(void **state)
{
    (void)state;
    int fd = dial();
    say(fd, "nonsense\r\n\r\n");
    hears(fd, "[400]", true);
    assert_int_equal(rig.core->conns.used, 1);
    rig_skip(&rig, second);
    for (int i = 0; i < 500 && rig.core->conns.used; i++) rig_turn(&rig);
    assert_int_equal(rig.core->conns.used, 0);
    hang_up(fd);
}

/* --- clients that go away --- */

static void test_gone_at_any_byte(void **state)
{
    (void)state;
    static const char wire[] = "POST /w HTTP/1.1\r\nHost: h\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n"
                               "4\r\nabcd\r\n0\r\n\r\nGET /a HTTP/1.1\r\n";
    for (size_t len = 0; len < sizeof wire; len++) {
        served.gones = served.heads = 0;
        int fd = dial();
        say_bytes(fd, (struct bytes){wire, len});
        rig_turn(&rig);
        hang_up(fd);
        assert_int_equal(served.gones, served.heads);   /* each request is let go of once */
        if (served.gones) assert_int_equal(served.gone, CLOSE_CLIENT_GONE);
        assert_null(served.waiting);
    }
}

static void test_gone_in_the_middle_of_an_answer(void **state)
{
    (void)state;
    served.flood = 2 << 20;
    int fd = dial();
    say(fd, "GET /f HTTP/1.1\r\nHost: h\r\n\r\n");
    (void)hear_some(fd, 100000);
    hang_up(fd);
    assert_int_equal(served.gones, 1);
}

/* A client may shut its side when it has sent all: what it asked for is answered. */
static void test_half_closed(void **state)
{
    (void)state;
    int fd = dial();
    say_bytes(fd, BYTES("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
                        "GET /b HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    rig_turn(&rig);
    hears(fd, "[200 a ][200 b ]", true);
    hang_up(fd);
}

/* --- back-pressure and limits --- */

static void test_a_flood_is_bounded_and_complete(void **state)
{
    (void)state;
    served.flood = 3 << 20;
    for (size_t i = 0; i < sizeof flood_bytes; i++) flood_bytes[i] = (char)(i * 13);
    int fd = dial();
    say(fd, "GET /f HTTP/1.1\r\nHost: h\r\n\r\n");
    while (heard_len < served.flood) {
        size_t before = heard_len;
        (void)hear_some(fd, 50000);
        rig_turn(&rig);
        if (heard_len == before) assert_false(heard_end);
    }
    assert_int_equal(heard_len, served.flood);
    for (size_t i = 0; i < heard_len; i++) {
        if (heard[i] != flood_bytes[i % FLOOD_PIECE]) fail_msg("byte %zu", i);
    }
    assert_true(served.out_max < CORE_HELD_MAX + FLOOD_PIECE);
    say(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_string_equal(hear(fd) + served.flood, "[200 a ]");
    hang_up(fd);
}

/* Requests behind one that takes long: receiving stops at a bound, and goes on afterwards. */
static void test_pipelining_is_bounded(void **state)
{
    (void)state;
    static const char one[] = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
    int fd = dial();
    say(fd, "GET /w HTTP/1.1\r\nHost: h\r\n\r\n");
    size_t sent = 0, blocked = 0, part = 0;
    while (blocked < 50) {                 /* until nothing more goes in */
        ssize_t n = send(fd, one + part, sizeof one - 1 - part, MSG_NOSIGNAL);
        assert_int_equal(core_turn(rig.core, n < 0 ? RIG_WAIT_NS : 0), 0);
        if (n < 0) {
            blocked++;
            continue;
        }
        part = (part + (size_t)n) % (sizeof one - 1);
        sent += (size_t)n;
    }
    assert_true(rig.core->mem.bytes_used <= 4 * MEM_BLOCK);
    answer(rig.core, served.waiting, "late");
    size_t whole = sent / (sizeof one - 1), want = strlen("[200 w late]") + whole * 8;
    for (int i = 0; i < 5000 && heard_len < want; i++) {
        rig_turn(&rig);
        (void)hear(fd);
    }
    assert_int_equal(heard_len, want);
    assert_int_equal(served.heads, 1 + whole);
    hang_up(fd);
}

/* A client that pipelines without ever reading cannot make us queue without bound. */
static void test_answers_nobody_reads_are_bounded(void **state)
{
    (void)state;
    served.flood = FLOOD_PIECE;
    int fd = dial();
    static char wire[1000 * 28 + 1];
    for (int i = 0; i < 1000; i++) {
        memcpy(wire + i * 28, "GET /h HTTP/1.1\r\nHost: h\r\n\r\n", 28);
    }
    assert_int_equal(strlen("GET /h HTTP/1.1\r\nHost: h\r\n\r\n"), 28);
    (void)send(fd, wire, sizeof wire - 1, MSG_NOSIGNAL);
    for (int i = 0; i < 20; i++) rig_turn(&rig);
    assert_true(served.heads < 60);
    assert_true(served.out_max <= CORE_HELD_MAX + FLOOD_PIECE);
    for (int i = 0; i < 20000 && heard_len < 2000000; i++) {
        (void)hear(fd);
        assert_int_equal(core_turn(rig.core, 0), 0);
    }
    assert_true(heard_len >= 2000000);     /* and they all come when it does read */
    hang_up(fd);
}

/* Behind a request that ends the connection nothing is kept, let alone read as a request. */
static void test_nothing_is_kept_behind_the_last(void **state)
{
    (void)state;
    static char more[50000];
    served.flood = 1 << 20;
    int fd = dial();
    say(fd, "GET /h HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    say_bytes(fd, (struct bytes){more, sizeof more});
    rig_turn(&rig);
    const struct conn *c = (struct conn *)(void *)slab_at(&rig.core->conns, 0);
    assert_int_equal(c->state, CONN_BUSY);
    assert_int_equal(c->ahead.bytes, 0);
    for (int i = 0; i < 5000 && !heard_end; i++) {
        (void)hear(fd);
        rig_turn(&rig);
    }
    assert_int_equal(heard_len, served.flood);
    assert_int_equal(served.heads, 1);
    hang_up(fd);
}

static void test_one_connection_too_many(void **state)
{
    (void)state;
    int fd[5];
    for (uint32_t i = 0; i < 5; i++) {
        fd[i] = dial();
        say(fd[i], "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
        hears(fd[i], i < 4 ? "[200 a ]" : "", i == 4);
    }
    assert_int_equal(rig.core->conns.used, 4);
    assert_int_equal(stat_get(&rig.core->stats.count[STAT_NO_MEMORY]), 1);
    for (int i = 0; i < 5; i++) (void)close(fd[i]);
    rig_turn(&rig);
}

static void test_no_memory_is_503(void **state)
{
    (void)state;
    static char body[200000];
    uint32_t block[16];
    char *ptr;
    memset(body, 'b', sizeof body);
    for (int i = 0; i < 14; i++) assert_true(mem_block_take(&rig.core->mem, &block[i], &ptr));
    int fd = dial();
    say(fd, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n");
    say_bytes(fd, (struct bytes){body, sizeof body});
    rig_turn(&rig);
    hears(fd, "[503]", true);
    assert_int_equal(served.refused, CLOSE_OVERLOADED);
    (void)close(fd);
    rig_turn(&rig);
    for (int i = 0; i < 14; i++) mem_block_give(&rig.core->mem, block[i], 0);
}

/* Who pours gets a receive buffer a turn, so that some are left for others; nothing is lost. */
static void test_who_pours_gets_a_buffer_a_turn(void **state)
{
    (void)state;
    static char body[260000];   /* thrice: below what the region has for bulk */
    for (size_t i = 0; i < sizeof body; i++) body[i] = (char)('a' + i % 26);
    char head[128];
    (void)snprintf(head, sizeof head,
                   "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", sizeof body);
    int fd[4];
    for (int i = 0; i < 3; i++) {
        fd[i] = dial();
        assert_int_equal(send(fd[i], head, strlen(head), MSG_NOSIGNAL), strlen(head));
    }
    size_t sent[3] = {0};
    for (int turn = 0; served.bodies < 3 && turn < 20000; turn++) {
        for (int i = 0; i < 3; i++) {
            ssize_t n = send(fd[i], body + sent[i], sizeof body - sent[i], MSG_NOSIGNAL);
            if (n > 0) sent[i] += (size_t)n;
        }
        uint64_t before = stat_get(&rig.core->stats.count[STAT_BYTES_IN]);
        assert_int_equal(core_turn(rig.core, 0), 0);
        uint64_t after = stat_get(&rig.core->stats.count[STAT_BYTES_IN]);
        assert_true(turn < 4 || after - before <= 3u * rig.limits.rx_bytes);
    }
    assert_int_equal(served.bodies, 3);
    rig_turn(&rig);
    for (int i = 0; i < 3; i++) {
        heard_len = 0;
        assert_int_equal(strncmp(hear(fd[i]), "[200 a abcdefgh", 15), 0);
        (void)close(fd[i]);
    }
    rig_turn(&rig);
}

/* --- accepting and draining --- */

static void test_accepting_and_draining(void **state)
{
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd[2];
    assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    rig.core->listen_fd[rig.core->listen_count++] = listener;
    ring_accept(rig.core->ring, listener, ring_user(OP_ACCEPT, 0, 0));
    for (int i = 0; i < 2; i++) {
        fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd[i], (struct sockaddr *)&at, sizeof at), 0);
        assert_int_equal(fcntl(fd[i], F_SETFL, O_NONBLOCK), 0);
        rig_turn(&rig);
    }
    assert_int_equal(rig.core->conns.used, 2);
    heard_len = 0;
    heard_end = false;
    say(fd[0], "GET /w HTTP/1.1\r\nHost: h\r\n\r\n");
    atomic_store(&rig.engine->draining, true);
    rig_turn(&rig);
    hears(fd[1], "", true);                /* the idle one ends */
    int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(late, (struct sockaddr *)&at, sizeof at), -1);
    (void)close(late);
    heard_end = false;
    answer(rig.core, served.waiting, "last");
    hears(fd[0], "[200 w last]", true);    /* the busy one is answered first */
    for (int i = 0; i < 2; i++) (void)close(fd[i]);
    rig_turn(&rig);
}

#define ON_CORE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_CORE(test_one_after_another),
        ON_CORE(test_every_split_gives_the_same_answers),
        ON_CORE(test_byte_by_byte),
        ON_CORE(test_connections_that_end),
        ON_CORE(test_refusals),
        ON_CORE(test_the_longest_head),
        ON_CORE(test_the_longest_body),
        ON_CORE(test_expect_continue),
        ON_CORE(test_slow_heads_and_bodies),
        ON_CORE(test_idle_connections_end_silently),
        ON_CORE(test_waiting_is_not_idle),
        ON_CORE(test_a_client_that_does_not_read),
        ON_CORE(test_a_slow_reader_is_served),
        ON_CORE(test_reading_on_is_not_idle),
        ON_CORE(test_idle_since_the_answer_left),
        ON_CORE(test_the_answer_survives_what_is_still_sent),
        ON_CORE(test_lingering_ends),
        ON_CORE(test_gone_at_any_byte),
        ON_CORE(test_gone_in_the_middle_of_an_answer),
        ON_CORE(test_half_closed),
        ON_CORE(test_a_flood_is_bounded_and_complete),
        ON_CORE(test_pipelining_is_bounded),
        ON_CORE(test_answers_nobody_reads_are_bounded),
        ON_CORE(test_nothing_is_kept_behind_the_last),
        ON_CORE(test_one_connection_too_many),
        ON_CORE(test_no_memory_is_503),
        ON_CORE(test_who_pours_gets_a_buffer_a_turn),
        ON_CORE(test_accepting_and_draining),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
