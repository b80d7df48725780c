/* test_conn_proxy.c - the first bytes of a connection whose peer is trusted, on a real core and
 * ring: with a PROXY header, without, in pieces, malformed, slow, or none at all; and of one
 * whose peer is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
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
#include "net/proxy.h"
#include "tests/unit/rig.h"
#include "tests/unit/serve_rest.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define GET_A "GET /a HTTP/1.1\r\nhost: h\r\n\r\n"
#define POST_B "POST /b HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi"

static const uint64_t second = 1000000000;

/* --- the server answers "[<client> <path>]", "[<status> <detail>]" when it refuses --- */

static struct { bool trusts; enum close_why gone; unsigned refusals; } served;

static void put(struct core *core, struct conn *c, const char *text)
{
    assert_true(chain_copy(&core->mem, &c->out, bytes_of(text)));
    conn_dirty(core, c);
}

bool serve_trusts(const struct core *core, struct conn *c)
{
    (void)core, (void)c;
    return served.trusts;
}

bool serve_head(struct core *core, struct conn *c, const struct http_head *head)
{
    char text[128], who[ADDR_TEXT_MAX];
    int n = (int)addr_text(conn_peer(c), who);
    (void)snprintf(text, sizeof text, "[%.*s %.*s]", n, who, (int)head->path.len,
                   head->path.ptr);
    put(core, c, text);
    if (head->framing != HTTP_NO_BODY) return true;
    conn_answered(core, c);
    return false;
}

bool serve_piece(struct core *core, struct conn *c, struct bytes piece)
{
    (void)core, (void)c, (void)piece;
    return true;
}

void serve_body(struct core *core, struct conn *c) { conn_answered(core, c); }

void serve_refuse(struct core *core, struct conn *c, enum close_why why, const char *detail)
{
    char text[256];
    served.refusals++;
    (void)snprintf(text, sizeof text, "[%s %u %s]", close_name(why), close_status(why),
                   detail ? detail : "");
    put(core, c, text);
}

void serve_gone(struct core *core, struct conn *c, enum close_why why)
{
    (void)core, (void)c;
    served.gone = why;
}

void serve_drained(struct core *core, struct conn *c, uint64_t left)
{
    (void)core, (void)c, (void)left;
}

struct serve_times serve_times(const struct core *core)
{
    (void)core;
    return (struct serve_times){10 * second, 30 * second, 75 * second, 60 * second, 2048};
}

/* --- the client --- */

static struct rig rig;

static int setup(void **state)
{
    (void)state;
    memset(&served, 0, sizeof served);
    served.trusts = true;
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

static void say(int fd, struct bytes text)
{
    if (text.len) assert_int_equal(send(fd, text.ptr, text.len, MSG_NOSIGNAL), text.len);
    rig_turn(&rig);
}

/* Exactly this comes, and the end where it is due. */
static void hears(int fd, const char *want, bool end)
{
    char heard[1024];
    size_t len = 0;
    bool ended = false;
    for (int i = 0; i < 500 && (len < strlen(want) || ended < end); i++) {
        ssize_t n = recv(fd, heard + len, sizeof heard - 1 - len, 0);
        if (n > 0) len += (size_t)n;
        else if (n == 0 || errno != EAGAIN) ended = true;
        else rig_turn(&rig);
    }
    heard[len] = 0;
    assert_string_equal(heard, want);
    assert_int_equal(ended, end);
}

static void hang_up(int fd)
{
    (void)close(fd);
    rig_check_empty(&rig);
}

/* --- */

struct talk { struct bytes say; const char *want; bool end; };

static const struct talk talks[] = {
    {BYTES_INIT("PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r\n" GET_A), "[192.0.2.1 /a]", false},
    {BYTES_INIT("PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r\n" POST_B GET_A),
     "[192.0.2.1 /b][192.0.2.1 /a]", false},
    {BYTES_INIT("PROXY TCP6 2001:db8::7 ::1 1 2\r\n" GET_A), "[2001:db8::7 /a]", false},
    {BYTES_INIT("PROXY UNKNOWN\r\n" GET_A), "[unix /a]", false},
    {BYTES_INIT(SIG "\x21\x11\0\x0f\300\0\2\7\012\0\0\1\0\1\0\2\4\0\0" GET_A),
     "[192.0.2.7 /a]", false},
    {BYTES_INIT(SIG "\x20\x11\0\x0c\300\0\2\7\012\0\0\1\0\1\0\2" GET_A), "[unix /a]", false},
    /* none: what comes is a request's */
    {BYTES_INIT(GET_A), "[unix /a]", false},
    {BYTES_INIT(POST_B GET_A), "[unix /b][unix /a]", false},
    {BYTES_INIT("\r\n" GET_A), "[unix /a]", false},
    {BYTES_INIT("\r\n\r\n" GET_A), "[unix /a]", false},
    {BYTES_INIT("PROXYED /a HTTP/1.1\r\nhost: h\r\n\r\n"), "[unix /a]", false},
    /* a second header is no request */
    {BYTES_INIT("PROXY UNKNOWN\r\nPROXY UNKNOWN\r\n\r\n"), "[proxy_denied 400 ]", true},
    {BYTES_INIT("PROXY TCP4 ::1 ::1 1 2\r\n" GET_A), "[proxy_bad 400 the PROXY line is not "
     "'PROXY TCP4|TCP6 SOURCE DESTINATION PORT PORT']", true},
    {BYTES_INIT(SIG "\x22\x11\0\x0c\300\0\2\7\012\0\0\1\0\1\0\2" GET_A),
     "[proxy_bad 400 the PROXY header is of an unknown version or command]", true},
};

static void test_every_split_gives_the_same_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(talks); i++) {
        for (size_t cut = 0; cut <= talks[i].say.len; cut++) {
            struct bytes rest = talks[i].say;
            int fd = rig_dial(&rig, 0);
            say(fd, bytes_cut(&rest, cut));
            say(fd, rest);
            hears(fd, talks[i].want, talks[i].end);
            hang_up(fd);
        }
    }
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(talks); i++) {
        int fd = rig_dial(&rig, 0);
        for (size_t at = 0; at < talks[i].say.len; at++) {
            struct bytes one = {talks[i].say.ptr + at, 1};
            (void)!send(fd, one.ptr, 1, MSG_NOSIGNAL);
            assert_int_equal(core_turn(rig.core, RIG_WAIT_NS), 0);
        }
        hears(fd, talks[i].want, talks[i].end);
        hang_up(fd);
    }
}

/* The largest header, its request in the same bytes or behind them. */
static void test_the_largest(void **state)
{
    static char text[PROXY_MAX + sizeof GET_A];
    (void)state;
    memset(text, 'x', sizeof text);
    memcpy(text, SIG "\x21\x11\x0f\xf0\300\0\2\7\012\0\0\1\0\1\0\2", 28);
    memcpy(text + PROXY_MAX, GET_A, sizeof GET_A - 1);
    for (size_t cut = PROXY_MAX - 2; cut <= PROXY_MAX + 2; cut++) {
        int fd = rig_dial(&rig, 0);
        say(fd, (struct bytes){text, cut});
        say(fd, (struct bytes){text + cut, sizeof text - 1 - cut});
        hears(fd, "[192.0.2.7 /a]", false);
        hang_up(fd);
    }
}

/* A proxy asks whether we are there, and goes. */
static void test_probes(void **state)
{
    (void)state;
    hang_up(rig_dial(&rig, 0));
    assert_int_equal(stat_get(&rig.core->stats.closes[CLOSE_CLIENT_GONE]), 0);
    int fd = rig_dial(&rig, 0);
    say(fd, BYTES("PROXY UNKNOWN\r\n"));
    hang_up(fd);
    assert_int_equal(stat_get(&rig.core->stats.closes[CLOSE_CLIENT_GONE]), 0);
    fd = rig_dial(&rig, 0);
    say(fd, BYTES("PROXY UNK"));
    hang_up(fd);
    assert_int_equal(stat_get(&rig.core->stats.closes[CLOSE_CLIENT_GONE]), 1);
    assert_int_equal(served.refusals, 0);
    assert_int_equal(stat_get(&rig.core->stats.count[STAT_PROXIED]), 1);
}

static void test_slow_ones(void **state)
{
    (void)state;
    int fd = rig_dial(&rig, 0);
    rig_skip(&rig, 74 * second);
    hears(fd, "", false);
    rig_skip(&rig, 2 * second);                 /* timeouts.idle */
    hears(fd, "", true);
    assert_int_equal(stat_get(&rig.core->stats.closes[CLOSE_CLIENT_IDLE]), 1);
    hang_up(fd);
    fd = rig_dial(&rig, 0);
    say(fd, BYTES("PRO"));
    rig_skip(&rig, 6 * second);
    say(fd, BYTES("X"));                        /* does not begin the time anew */
    rig_skip(&rig, 5 * second);                 /* timeouts.header */
    hears(fd, "[head_slow 408 ]", true);
    hang_up(fd);
}

static void test_draining_ends_those_that_wait(void **state)
{
    (void)state;
    int fd = rig_dial(&rig, 0);
    rig_turn(&rig);
    conn_close_idle(rig.core);
    hears(fd, "", true);
    hang_up(fd);
}

/* Nobody else is believed, and the answer says what was wrong. */
static void test_from_others_it_is_a_bad_request(void **state)
{
    (void)state;
    served.trusts = false;
    for (size_t i = 0; i < 6; i++) {
        bool block = talks[i].say.ptr[0] != 'P';
        for (size_t cut = 0; cut <= talks[i].say.len; cut += 5) {
            struct bytes rest = talks[i].say;
            int fd = rig_dial(&rig, 0);
            say(fd, bytes_cut(&rest, cut));
            say(fd, rest);
            /* of a block in two pieces only the first one is seen before it is refused */
            bool seen = !block || cut == 0 || cut > PROXY_BEGIN_MAX;
            hears(fd, seen ? "[proxy_denied 400 ]" : "[head_bad 400 malformed method]", true);
            hang_up(fd);
        }
    }
    int fd = rig_dial(&rig, 0);
    say(fd, BYTES(GET_A));
    hears(fd, "[unix /a]", false);
    hang_up(fd);
    assert_int_equal(stat_get(&rig.core->stats.count[STAT_PROXIED]), 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_every_split_gives_the_same_answers),
        CASE(test_byte_by_byte),
        CASE(test_the_largest),
        CASE(test_probes),
        CASE(test_slow_ones),
        CASE(test_draining_ends_those_that_wait),
        CASE(test_from_others_it_is_a_bad_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
