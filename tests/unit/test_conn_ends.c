/* test_conn_ends.c - why a connection ends, where no exchange is there to say it: errors of the
 * kernel, and that the first reason stands. Connections on a real core and ring, with a server
 * that knows nothing but refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
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

static struct rig rig;
static unsigned refused;

/* --- serve.h: no request gets this far */

bool serve_trusts(const struct core *core, struct conn *c)
{
    (void)core, (void)c;
    return false;
}

bool serve_head(struct core *core, struct conn *c, const struct http_head *head)
{
    (void)core, (void)c, (void)head;
    fail();
    return false;
}

bool serve_piece(struct core *core, struct conn *c, struct bytes piece)
{
    (void)core, (void)c, (void)piece;
    fail();
    return false;
}

void serve_body(struct core *core, struct conn *c)
{
    (void)core, (void)c;
    fail();
}

void serve_refuse(struct core *core, struct conn *c, enum close_why why, const char *detail)
{
    assert_int_equal(why, CLOSE_HEAD_BAD);
    assert_non_null(detail);
    refused++;
    assert_true(chain_copy(&core->mem, &c->out, BYTES("[400]")));
    conn_dirty(core, c);
}

void serve_gone(struct core *core, struct conn *c, enum close_why why)
{
    (void)core, (void)c, (void)why;
    fail();
}

void serve_drained(struct core *core, struct conn *c, uint64_t left)
{
    (void)core, (void)c, (void)left;
    fail();
}

struct serve_times serve_times(const struct core *core)
{
    const uint64_t minute = 60000000000;
    (void)core;
    return (struct serve_times){minute, minute, minute, minute, 2048};
}

/* --- the client */

static int setup(void **state)
{
    (void)state;
    refused = 0;
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

static void hang_up(int fd)
{
    (void)close(fd);
    rig_turn(&rig);
    rig_check_empty(&rig);
}

/* What the kernel may say of a socket besides that its peer has gone: no peer can make it say
 * that, so here the completion of one more operation is made up. */
static void test_errors_of_the_kernel(void **state)
{
    (void)state;
    static const struct { bool sending; int32_t n; enum close_why why; } cases[] = {
        {false, -EIO, CLOSE_CLIENT_RECV},       {true, -EIO, CLOSE_CLIENT_SEND},
        {false, -ECONNRESET, CLOSE_CLIENT_GONE}, {true, -EPIPE, CLOSE_CLIENT_GONE},
    };
    struct conn *c = (struct conn *)(void *)slab_at(&rig.core->conns, 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const _Atomic uint64_t *count = &rig.core->stats.closes[cases[i].why];
        const struct ring_done done = {.n = cases[i].n, .buf = RING_BUF_NONE, .last = true};
        const uint64_t before = stat_get(count);
        int fd = rig_dial(&rig, 0);
        rig_turn(&rig);
        assert_int_equal(c->state, CONN_IDLE);
        c->inflight++;
        c->sending = cases[i].sending;
        if (cases[i].sending) conn_on_send(rig.core, c, &done);
        else conn_on_recv(rig.core, c, &done);
        assert_int_equal(c->why, cases[i].why);
        assert_int_equal(stat_get(count), before + 1);
        rig_turn(&rig);
        hang_up(fd);
        assert_int_equal(rig.core->conns.used, 0);
    }
}

/* The first reason stands: who resets the connection behind its refusal has not gone. A socket
 * that is closed over bytes nobody read resets its peer. */
static void test_a_reset_behind_a_refusal(void **state)
{
    (void)state;
    int fd = rig_dial(&rig, 0);
    const struct bytes bad = BYTES("GET /a HTTP/1.1\r\nHost : h\r\n\r\n");
    assert_int_equal(send(fd, bad.ptr, bad.len, MSG_NOSIGNAL), bad.len);
    rig_turn(&rig);
    assert_int_equal(refused, 1);
    assert_int_equal(rig.core->conns.used, 1);  /* it lingers */
    hang_up(fd);
    assert_int_equal(stat_get(&rig.core->stats.closes[CLOSE_CLIENT_GONE]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_errors_of_the_kernel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_reset_behind_a_refusal, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
