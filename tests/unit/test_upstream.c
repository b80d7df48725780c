/* test_upstream.c - connections to providers on a real core and ring, lent to a stand-in for
 * the exchange: dialling, racing, pooling, back-pressure, every way to break, and that each
 * slot, descriptor and byte comes back. */
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
#include "engine/exchange.h"
#include "engine/hedge.h"
#include "engine/upstream.h"
#include "tests/unit/rig.h"
#include "tests/unit/serve_none.h"

enum { GOT_MAX = 8 << 20, WAITS = 500 };

static const uint64_t second = 1000000000;

/* --- the stand-in for the exchange --- */

struct lent {
    struct exchange *x;
    size_t len, give_at;       /* bytes got; give the connection back at so many */
    unsigned eofs, brokens, sents, keeps, drops;
    enum attempt_end end;
    struct upstream *u;        /* NULL once it was given back or closed */
    bool close_on_bytes;
};

static struct lent lent;
static char got[GOT_MAX];

void exchange_keep(struct exchange *x)
{
    assert_ptr_equal(x, lent.x);
    lent.keeps++;
}

void exchange_drop(struct core *core, struct exchange *x)
{
    (void)core;
    assert_ptr_equal(x, lent.x);
    lent.drops++;
}

bool exchange_on_bytes(struct core *core, struct exchange *x, struct upstream *u,
                       struct bytes in, uint32_t buf)
{
    assert_ptr_equal(x, lent.x);
    assert_ptr_equal(u, lent.u);
    assert_true(buf != RING_BUF_NONE && in.len > 0 && lent.len + in.len <= GOT_MAX);
    memcpy(got + lent.len, in.ptr, in.len);
    lent.len += in.len;
    if (lent.close_on_bytes) upstream_close(core, u);
    else if (lent.give_at && lent.len >= lent.give_at) upstream_give(core, u);
    else return true;
    lent.u = NULL;
    return false;
}

void exchange_on_eof(struct core *core, struct exchange *x, struct upstream *u)
{
    assert_ptr_equal(x, lent.x);
    assert_ptr_equal(u, lent.u);
    lent.eofs++;
    upstream_close(core, u);
    lent.u = NULL;
}

void exchange_on_broken(struct core *core, struct exchange *x, struct upstream *u,
                        enum attempt_end end)
{
    (void)core;
    assert_ptr_equal(x, lent.x);
    assert_ptr_equal(u, lent.u);
    lent.brokens++;
    lent.end = end;
    lent.u = NULL;
}

void exchange_on_sent(struct core *core, struct exchange *x, struct upstream *u)
{
    (void)core;
    assert_ptr_equal(x, lent.x);
    assert_int_equal(u->out.bytes, 0);
    lent.sents++;
}

void exchange_on_timer(struct core *core, struct exchange *x)
{
    (void)core, (void)x;
    abort();
}

void exchange_reap_all(struct core *core) { (void)core; }

/* room.h: nobody waits here */
bool room_init(struct room *r, uint32_t exchanges) { return r && exchanges > 0; }

void room_step(struct core *core) { (void)core; }

bool room_is_due(const struct core *core) { return core->room.count > 0; }

void room_on_timer(struct core *core)
{
    (void)core;
    abort();
}

void spend_settle(struct core *core, struct exchange *x, enum close_why why)
{
    (void)core, (void)x, (void)why;
    abort();
}

void hedge_pay(struct core *core, const struct exchange *x)
{
    (void)core, (void)x;
    abort();
}

/* --- the provider --- */

static struct rig rig;
static int server;                 /* listens */
static struct sockaddr_in server_at;

static int listen_on(struct sockaddr_in *at, int backlog)
{
    socklen_t len = sizeof *at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *at = (struct sockaddr_in){.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)at, sizeof *at), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
    return fd;
}

static void add_host(const struct sockaddr_in *at, uint32_t count)
{
    struct host *h = calloc(1, sizeof *h);
    assert_non_null(h);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(&h->addresses.at[i], &at[i], sizeof at[i]);
        h->addresses.len[i] = sizeof at[i];
    }
    h->addresses.count = count;
    rig.engine->hosts.at[rig.engine->hosts.count++] = h;
}

static int setup(void **state)
{
    (void)state;
    rig_skipped_ns = 0;
    rig = rig_open(rig_limits());
    server = listen_on(&server_at, 64);
    add_host(&server_at, 1);
    lent = (struct lent){.x = calloc(1, sizeof *lent.x)};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    upstream_close_idle(rig.core);
    rig_close(&rig);
    free(lent.x);
    (void)close(server);
    return 0;
}

/* Turn until the condition holds. It is asked again only while it does not. */
#define UNTIL(condition)                                                                     \
    do {                                                                                     \
        bool holds = false;                                                                  \
        for (int i_ = 0; i_ < WAITS && !(holds = (condition)); i_++) rig_turn(&rig);          \
        if (!holds) fail_msg("never: %s", #condition);                                       \
    } while (0)

static struct upstream *take(uint16_t host, bool fresh)
{
    enum attempt_end end = ATTEMPT_GOOD;
    lent.len = 0;
    lent.u = upstream_take(rig.core, lent.x, host, 10 * second, fresh, &end);
    return lent.u;
}

static void ask(struct upstream *u, const char *text)
{
    assert_true(chain_copy(&rig.core->mem, &u->out, bytes_of(text)));
    upstream_dirty(rig.core, u);
}

/* The provider's end of the connection; it was made already, or will be in some turns. */
static int accepted(void)
{
    int fd = -1;
    UNTIL((fd = accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
    return fd;
}

static void reads(int fd, const char *want)
{
    char text[256];
    size_t len = 0;
    for (int i = 0; i < WAITS && len < strlen(want); i++) {
        ssize_t n = read(fd, text + len, sizeof text - 1 - len);
        if (n > 0) len += (size_t)n;
        else rig_turn(&rig);
    }
    text[len] = 0;
    assert_string_equal(text, want);
}

static void writes(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static bool ended(int fd)
{
    char c;
    ssize_t n = recv(fd, &c, 1, 0);
    return n == 0 || (n < 0 && errno != EAGAIN);
}

/* --- use and reuse --- */

static void test_lent_given_and_lent_again(void **state)
{
    (void)state;
    struct upstream *u = take(0, false);
    assert_non_null(u);
    ask(u, "question");                    /* before it is connected */
    int fd = accepted();
    reads(fd, "question");
    UNTIL(lent.sents == 1);
    assert_false(u->got_bytes || u->reused);
    lent.give_at = 6;
    writes(fd, "ans");
    UNTIL(lent.len == 3);
    assert_true(u->got_bytes);
    writes(fd, "wer");
    UNTIL(!lent.u);
    assert_memory_equal(got, "answer", 6);
    assert_int_equal(u->state, UP_IDLE);
    assert_ptr_equal(take(0, false), u);   /* the same one */
    assert_true(u->reused && !u->got_bytes);
    ask(u, "again");
    reads(fd, "again");
    lent.give_at = 2;
    writes(fd, "ok");
    UNTIL(!lent.u);
    struct upstream *other = take(0, true);
    assert_ptr_not_equal(other, u);        /* fresh: the pool is left alone */
    int fd_2 = accepted();
    UNTIL(other->state == UP_BUSY);
    assert_int_equal(rig.core->upstreams.used, 2);
    assert_int_equal(stat_get(&rig.core->stats.count[STAT_REUSED]), 1);
    assert_int_equal(stat_get(&rig.core->stats.count[STAT_DIALS]), 2);
    upstream_close(rig.core, other);
    UNTIL(ended(fd_2));
    upstream_close_idle(rig.core);
    UNTIL(ended(fd));
    (void)close(fd);
    (void)close(fd_2);
    rig_check_empty(&rig);
    assert_int_equal(lent.brokens, 0);
    assert_int_equal(lent.keeps, lent.drops);
}

/* The newest idle one is taken first, from its own host's pool only. */
static void test_pools(void **state)
{
    (void)state;
    add_host(&server_at, 1);
    struct upstream *u[3];
    int fd[3];
    lent.give_at = 1;
    for (int i = 0; i < 3; i++) {
        u[i] = take(i == 2, true);
        fd[i] = accepted();
        UNTIL(u[i]->state == UP_BUSY);
        writes(fd[i], "x");
        UNTIL(u[i]->state == UP_IDLE);
    }
    assert_ptr_equal(take(0, false), u[1]);
    assert_ptr_equal(take(1, false), u[2]);
    assert_ptr_equal(take(0, false), u[0]);
    for (int i = 0; i < 3; i++) {
        upstream_close(rig.core, u[i]);
        (void)close(fd[i]);
    }
}

static struct upstream *pooled(int *fd)
{
    struct upstream *u = take(0, false);
    *fd = accepted();
    UNTIL(u->state == UP_BUSY);
    lent.give_at = 1;
    writes(*fd, "x");
    UNTIL(u->state == UP_IDLE);
    return u;
}

static void test_bytes_nobody_asked_for_close_it(void **state)
{
    (void)state;
    int fd;
    (void)pooled(&fd);
    writes(fd, "HTTP/1.1 200 OK\r\n\r\n");
    UNTIL(rig.core->upstreams.used == 0);
    UNTIL(ended(fd));
    assert_int_equal(lent.brokens, 0);     /* it was nobody's */
    assert_null(rig.core->pool[0]);
    (void)close(fd);
}

static void test_an_idle_one_the_provider_closes(void **state)
{
    (void)state;
    int fd;
    (void)pooled(&fd);
    (void)close(fd);
    UNTIL(rig.core->upstreams.used == 0);
    assert_null(rig.core->pool[0]);
    assert_int_equal(lent.brokens, 0);
}

static void test_an_idle_one_ends_by_time(void **state)
{
    (void)state;
    int fd;
    struct upstream *u = pooled(&fd);
    rig_skip(&rig, 54 * second);
    assert_int_equal(u->state, UP_IDLE);
    rig_skip(&rig, second);
    UNTIL(rig.core->upstreams.used == 0);
    assert_null(rig.core->pool[0]);
    (void)close(fd);
}

/* What is not clean is not reused. */
static void test_not_pooled(void **state)
{
    (void)state;
    int fd;
    for (int why = 0; why < 3; why++) {
        struct upstream *u = take(0, true);
        fd = accepted();
        UNTIL(u->state == UP_BUSY);
        if (why == 0) assert_true(chain_copy(&rig.core->mem, &u->out, BYTES("unsent")));
        if (why == 1) upstream_pause(rig.core, u, true);
        if (why == 2) rig.core->stopping = true;
        upstream_give(rig.core, u);
        assert_null(rig.core->pool[0]);
        UNTIL(rig.core->upstreams.used == 0);
        rig.core->stopping = false;
        (void)close(fd);
    }
}

/* --- dialling --- */

static void test_refused(void **state)
{
    (void)state;
    struct sockaddr_in at;
    (void)close(listen_on(&at, 1));
    add_host(&at, 1);
    assert_non_null(take(1, false));
    UNTIL(lent.brokens == 1);
    assert_int_equal(lent.end, ATTEMPT_REFUSED);
    assert_int_equal(stat_get(&rig.core->stats.count[STAT_DIAL_FAILED]), 1);
    rig_check_empty(&rig);
    assert_int_equal(lent.keeps, lent.drops);
}

static void test_the_next_address(void **state)
{
    (void)state;
    struct sockaddr_in at[3];
    (void)close(listen_on(&at[0], 1));
    (void)close(listen_on(&at[1], 1));
    at[2] = server_at;
    add_host(at, 3);
    struct upstream *u = take(1, false);
    ask(u, "hello");
    int fd = accepted();
    reads(fd, "hello");
    assert_int_equal(lent.brokens, 0);
    assert_int_equal(stat_get(&rig.core->stats.count[STAT_DIALS]), 3);
    upstream_close(rig.core, u);
    (void)close(fd);
}

/* An address whose queue is full does not answer: what a lost packet looks like. */
static int deaf(struct sockaddr_in *at, int *fill, int count)
{
    int fd = listen_on(at, 0);
    for (int i = 0; i < count; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fill[i], (struct sockaddr *)at, sizeof *at);
    }
    return fd;
}

/* RFC 8305 section 5: a second address beside a silent one, after 250 ms; the first wins. */
static void test_the_race(void **state)
{
    (void)state;
    struct sockaddr_in at[2];
    int fill[4], silent = deaf(&at[0], fill, 4);
    at[1] = server_at;
    add_host(at, 2);
    struct upstream *u = take(1, false);
    ask(u, "hello");
    rig_skip(&rig, second / 10);
    assert_int_equal(u->state, UP_DIAL);
    assert_int_equal(stat_get(&rig.core->stats.count[STAT_DIALS]), 1);
    rig_skip(&rig, second / 5);
    int fd = accepted();
    reads(fd, "hello");
    assert_int_equal(stat_get(&rig.core->stats.count[STAT_DIALS]), 2);
    UNTIL(u->fd_2 < 0);                    /* the loser is closed, the winner stays */
    lent.give_at = 1;
    writes(fd, "x");
    UNTIL(u->state == UP_IDLE);
    assert_int_equal(u->inflight, 1);
    upstream_close_idle(rig.core);
    rig_check_empty(&rig);
    for (int i = 0; i < 4; i++) (void)close(fill[i]);
    (void)close(silent);
    (void)close(fd);
}

static void test_a_silent_address_ends_by_time(void **state)
{
    (void)state;
    struct sockaddr_in at;
    int fill[4], silent = deaf(&at, fill, 4);
    add_host(&at, 1);
    assert_non_null(take(1, false));
    rig_skip(&rig, 9 * second);
    assert_int_equal(lent.brokens, 0);
    rig_skip(&rig, second);
    assert_int_equal(lent.brokens, 1);
    assert_int_equal(lent.end, ATTEMPT_TIMEOUT);
    rig_check_empty(&rig);
    assert_int_equal(lent.keeps, lent.drops);
    assert_non_null(take(1, false));       /* closing in the middle of a dial */
    rig_turn(&rig);
    upstream_close(rig.core, lent.u);
    rig_check_empty(&rig);
    assert_int_equal(lent.brokens, 1);
    for (int i = 0; i < 4; i++) (void)close(fill[i]);
    (void)close(silent);
}

static void test_no_name_no_room(void **state)
{
    (void)state;
    enum attempt_end end = ATTEMPT_GOOD;
    add_host(NULL, 0);
    assert_null(upstream_take(rig.core, lent.x, 1, second, false, &end));
    assert_int_equal(end, ATTEMPT_NAME);
    assert_int_equal(rig.core->upstreams.used, 0);
    struct upstream *u[4];
    int fd[4];
    for (int i = 0; i < 4; i++) {
        u[i] = take(0, true);
        fd[i] = accepted();
    }
    assert_null(upstream_take(rig.core, lent.x, 0, second, true, &end));
    assert_int_equal(end, ATTEMPT_NO_ROOM);
    for (int i = 0; i < 4; i++) {
        upstream_close(rig.core, u[i]);
        (void)close(fd[i]);
    }
    rig_check_empty(&rig);
}

/* --- breaking --- */

static void test_end_and_reset(void **state)
{
    (void)state;
    struct upstream *u = take(0, true);
    int fd = accepted();
    UNTIL(u->state == UP_BUSY);
    writes(fd, "half");
    (void)close(fd);
    UNTIL(lent.eofs == 1);
    assert_int_equal(lent.len, 4);         /* what came before the end was handed on */
    assert_int_equal(lent.brokens, 0);
    u = take(0, true);
    fd = accepted();
    UNTIL(u->state == UP_BUSY);
    struct linger hard = {.l_onoff = 1};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    (void)close(fd);
    UNTIL(lent.brokens == 1);
    assert_int_equal(lent.end, ATTEMPT_RESET);
    rig_check_empty(&rig);
    assert_int_equal(lent.keeps, lent.drops);
}

static void test_closed_from_within(void **state)
{
    (void)state;
    struct upstream *u = take(0, true);
    int fd = accepted();
    UNTIL(u->state == UP_BUSY);
    lent.close_on_bytes = true;
    writes(fd, "bad answer");
    UNTIL(rig.core->upstreams.used == 0);
    UNTIL(ended(fd));
    assert_int_equal(lent.brokens + lent.eofs, 0);
    (void)close(fd);
}

/* A request that is being sent when the connection closes: the exchange's memory is read by
 * the kernel until the send ended, and is let go of exactly once after that. */
static void test_closing_under_a_send(void **state)
{
    (void)state;
    static char big[6 << 20];
    struct upstream *u = take(0, true);
    int fd = accepted();
    UNTIL(u->state == UP_BUSY);
    assert_true(chain_borrow(&rig.core->mem, &u->out, (struct bytes){big, sizeof big}));
    upstream_dirty(rig.core, u);
    rig_turn(&rig);
    assert_true(u->sending);
    upstream_close(rig.core, u);
    assert_int_equal(lent.keeps, 1);
    assert_int_equal(lent.drops, 0);
    rig_check_empty(&rig);
    assert_int_equal(lent.drops, 1);
    assert_int_equal(lent.sents, 0);
    (void)close(fd);
}

/* --- back-pressure --- */

static void test_a_large_request(void **state)
{
    (void)state;
    enum { PIECES = 40, PIECE = 100000 };
    static char pattern[PIECE];
    for (size_t i = 0; i < PIECE; i++) pattern[i] = (char)(i * 17 + i / 256);
    struct upstream *u = take(0, true);
    for (int i = 0; i < PIECES; i++) {     /* more pieces than one send takes */
        assert_true(chain_borrow(&rig.core->mem, &u->out, (struct bytes){pattern, PIECE}));
    }
    upstream_dirty(rig.core, u);
    int fd = accepted();
    size_t len = 0;
    static char part[PIECE];
    while (len < (size_t)PIECES * PIECE) {
        ssize_t n = read(fd, part, sizeof part);
        if (n < 0) rig_turn(&rig);
        for (ssize_t k = 0; k < n; k++) {
            if (part[k] != pattern[(len + (size_t)k) % PIECE]) fail_msg("at %zu", len);
        }
        if (n > 0) len += (size_t)n;
    }
    UNTIL(lent.sents == 1);
    upstream_close(rig.core, u);
    (void)close(fd);
}

static void test_a_pause_is_a_pause(void **state)
{
    (void)state;
    static char pattern[4 << 20];
    for (size_t i = 0; i < sizeof pattern; i++) pattern[i] = (char)(i * 29 + i / 4096);
    struct upstream *u = take(0, true);
    int fd = accepted();
    UNTIL(u->state == UP_BUSY);
    size_t sent = 0, before = 0;
    for (int round = 0; sent < sizeof pattern || lent.len < sizeof pattern; round++) {
        assert_true(round < 20000);
        ssize_t n = send(fd, pattern + sent, sizeof pattern - sent, MSG_NOSIGNAL);
        if (n > 0) sent += (size_t)n;
        if (round % 6 == 2) upstream_pause(rig.core, u, true);
        if (round % 12 == 2) upstream_pause(rig.core, u, false);   /* at once again */
        if (round % 12 == 2) upstream_pause(rig.core, u, true);
        if (round % 6 == 3) before = lent.len;
        if (round % 6 == 4) assert_int_equal(lent.len, before);    /* nothing comes */
        if (round % 6 == 5) upstream_pause(rig.core, u, false);
        rig_turn(&rig);
    }
    assert_int_equal(lent.len, sizeof pattern);
    assert_memory_equal(got, pattern, sizeof pattern);
    upstream_close(rig.core, u);
    (void)close(fd);
}

#define ON_CORE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_CORE(test_lent_given_and_lent_again),
        ON_CORE(test_pools),
        ON_CORE(test_bytes_nobody_asked_for_close_it),
        ON_CORE(test_an_idle_one_the_provider_closes),
        ON_CORE(test_an_idle_one_ends_by_time),
        ON_CORE(test_not_pooled),
        ON_CORE(test_refused),
        ON_CORE(test_the_next_address),
        ON_CORE(test_the_race),
        ON_CORE(test_a_silent_address_ends_by_time),
        ON_CORE(test_no_name_no_room),
        ON_CORE(test_end_and_reset),
        ON_CORE(test_closed_from_within),
        ON_CORE(test_closing_under_a_send),
        ON_CORE(test_a_large_request),
        ON_CORE(test_a_pause_is_a_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
