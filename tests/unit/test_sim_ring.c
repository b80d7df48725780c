/* test_sim_ring.c - the simulated ring and network (tests/sim): what they promise is what the
 * simulation's findings rest on. Each promise of ring.h that the engine relies on has a case,
 * without faults and with all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/sock.h"
#include "tests/sim/machine.h"
#include "tests/sim/ring_sim.h"
#include "tests/sim/wire.h"

enum { BUFS = 8, BUF_BYTES = 1024, DONES = 64, MANY = 100000, TURNS = 200000 };

struct pair { struct ring *ring; int listener, engine, peer; };

static struct ring *open_ring(void)
{
    struct ring_config config = {.entries = 64, .buf_count = BUFS, .buf_bytes = BUF_BYTES};
    struct ring *r = NULL;
    assert_int_equal(ring_open(&config, &r), 0);
    return r;
}

static void all_faults(bool on)
{
    for (int i = 0; i < FAULTS; i++) machine()->rate[i] = on ? 1000 : 0;
    machine()->rate[FAULT_NET_RESET] = machine()->rate[FAULT_SEND_FAILS] = 0;
}

/* A machine with a connection between the ring and an actor. */
static struct pair begin(uint64_t seed, bool faults)
{
    machine_begin(seed, !faults);
    wire_begin();
    all_faults(faults);
    struct pair p = {.ring = open_ring(), .listener = wire_listen()};
    p.peer = wire_connect(p.listener);
    p.engine = wire_accept(p.listener);
    assert_true(p.peer >= WIRE_FD && p.engine >= WIRE_FD && p.peer != p.engine);
    return p;
}

static void end(struct pair *p) { ring_close(p->ring); }

static void pass(struct ring *r)
{
    machine()->now_ns += 1000000;
    ring_sim_pump(r);
}

/* Turn until a completion comes. */
static struct ring_done next(struct ring *r)
{
    struct ring_done d;
    for (int i = 0; i < TURNS; i++) {
        pass(r);
        int n = ring_wait(r, 0, &d, 1);
        assert_in_range(n, 0, 1);
        if (n == 1) return d;
    }
    fail_msg("no completion came");
    return d;
}

static void nothing(struct ring *r)
{
    struct ring_done d;
    for (int i = 0; i < 20; i++) {
        pass(r);
        assert_int_equal(ring_wait(r, 0, &d, 1), 0);
    }
}

static char letter(size_t i) { return (char)('a' + i * i % 23); }

/* --- receiving */

/* Bytes come in order, in as many pieces as it likes; the end is told once, last. */
static void receive_all(uint64_t seed, bool faults)
{
    struct pair p = begin(seed, faults);
    uint64_t user = ring_user(OP_CONN_RECV, 1, 2);
    size_t sent = 0, got = 0, rearmed = 0;
    ring_recv(p.ring, p.engine, user);
    for (bool over = false; !over;) {
        while (sent < MANY) {
            char c[64];
            for (size_t i = 0; i < sizeof c; i++) c[i] = letter(sent + i);
            long n = wire_put(p.peer, c, sizeof c);
            assert_true(n >= 0);
            sent += (size_t)n;
            if (n == 0) break;
        }
        if (sent >= MANY) wire_shut(p.peer, 1);
        struct ring_done d = next(p.ring);
        assert_true(d.user == user);
        if (d.n > 0) {
            const char *at = ring_buf(p.ring, d.buf);
            for (int i = 0; i < d.n; i++) assert_int_equal(at[i], letter(got++));
            ring_buf_give(p.ring, d.buf);
        } else {
            assert_true(d.last && d.buf == RING_BUF_NONE && (d.n == 0 || d.n == -ENOBUFS));
            over = d.n == 0;
        }
        if (d.last && !over) {
            ring_recv(p.ring, p.engine, user);
            rearmed++;
        }
    }
    assert_true(got == sent && got >= MANY);
    assert_int_equal(ring_buf_free(p.ring), BUFS);
    assert_true(faults == (rearmed > 0));
    end(&p);
}

static void test_receiving_in_order(void **state)
{
    (void)state;
    receive_all(1, false);
    for (uint64_t seed = 2; seed < 8; seed++) receive_all(seed, true);
}

/* The last buffer taken is the end of the operation; given back, it goes on. */
static void test_no_buffer_is_free(void **state)
{
    (void)state;
    struct pair p = begin(1, false);
    uint64_t user = ring_user(OP_UP_RECV, 3, 1);
    uint32_t held[BUFS];
    ring_recv(p.ring, p.engine, user);
    for (int i = 0; i < BUFS; i++) {
        assert_int_equal(wire_put(p.peer, "x", 1), 1);
        struct ring_done d = next(p.ring);
        assert_int_equal(d.n, 1);
        assert_false(d.last);
        held[i] = d.buf;
    }
    assert_int_equal(wire_put(p.peer, "y", 1), 1);
    struct ring_done d = next(p.ring);
    assert_true(d.n == -ENOBUFS && d.last);
    ring_buf_give(p.ring, held[3]);
    assert_int_not_equal(*ring_buf(p.ring, held[3]), 'x');    /* overwritten at once */
    ring_recv(p.ring, p.engine, user);
    d = next(p.ring);
    assert_true(d.n == 1 && d.buf == held[3] && *ring_buf(p.ring, d.buf) == 'y');
    end(&p);
}

static void test_a_reset(void **state)
{
    (void)state;
    struct pair p = begin(1, false);
    ring_recv(p.ring, p.engine, ring_user(OP_CONN_RECV, 1, 1));
    wire_abort(p.peer);
    struct ring_done d = next(p.ring);
    assert_true(d.n == -ECONNRESET && d.last);
    struct iovec v = {(void *)(uintptr_t)"x", 1};
    ring_send(p.ring, p.engine, ring_user(OP_CONN_SEND, 1, 1), &v, 1);
    d = next(p.ring);
    assert_true(d.n == -ECONNRESET && d.last);
    end(&p);
}

/* --- sending */

static void send_all(uint64_t seed, bool faults)
{
    struct pair p = begin(seed, faults);
    char *bytes = malloc(MANY);
    size_t done = 0, got = 0;
    assert_non_null(bytes);
    for (size_t i = 0; i < MANY; i++) bytes[i] = letter(i);
    uint64_t user = ring_user(OP_CONN_SEND, 9, 9);
    while (done < MANY) {
        size_t third = (MANY - done) / 3;
        struct iovec v[3] = {{bytes + done, third}, {bytes + done + third, third},
                             {bytes + done + 2 * third, MANY - done - 2 * third}};
        ring_send(p.ring, p.engine, user, v, 3);
        for (bool over = false; !over;) {
            struct ring_done d;
            char c[700];
            pass(p.ring);
            long n = wire_take(p.peer, c, sizeof c);
            for (long i = 0; i < n; i++) assert_int_equal(c[i], letter(got++));
            if (ring_wait(p.ring, 0, &d, 1) == 0) continue;
            assert_true(d.user == user && d.n > 0 && d.last);
            assert_true(faults || (size_t)d.n == MANY);
            done += (size_t)d.n;
            over = true;
        }
    }
    assert_int_equal(done, MANY);
    assert_true(got <= MANY && got + WIRE_ROOM >= MANY);
    free(bytes);
    end(&p);
}

static void test_sending_in_order(void **state)
{
    (void)state;
    send_all(1, false);
    for (uint64_t seed = 2; seed < 6; seed++) send_all(seed, true);
}

/* The bytes are read as they leave: memory that is given back too early shows. */
static void test_a_send_reads_late(void **state)
{
    (void)state;
    struct pair p = begin(1, false);
    static char bytes[2 * WIRE_ROOM];
    char last = 0, c[4096];
    memset(bytes, 'a', sizeof bytes);
    struct iovec v = {bytes, sizeof bytes};
    ring_send(p.ring, p.engine, ring_user(OP_CONN_SEND, 1, 1), &v, 1);
    struct ring_done d;
    assert_int_equal(ring_wait(p.ring, 0, &d, 1), 0);
    memset(bytes, 'b', sizeof bytes);
    for (bool over = false; !over;) {
        pass(p.ring);
        long n = wire_take(p.peer, c, sizeof c);
        if (n > 0) last = c[n - 1];
        over = ring_wait(p.ring, 0, &d, 1) == 1;
    }
    assert_int_equal(d.n, sizeof bytes);
    while (wire_take(p.peer, c, 1) == 1) last = c[0];
    assert_int_equal(last, 'b');
    end(&p);
}

/* --- the others */

static void test_cancelling(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct pair p = begin(3, false);
        uint64_t user = ring_user(OP_CONN_RECV, 4, 4);
        machine()->faults = true;
        machine()->rate[FAULT_CANCEL_LATE] = late ? 10000 : 0;
        ring_recv(p.ring, p.engine, user);
        nothing(p.ring);
        assert_int_equal(ring_sim_inflight(p.ring, 1u << OP_CONN_RECV, 4, 4), 1);
        ring_cancel(p.ring, user);
        ring_cancel(p.ring, ring_user(OP_CONN_RECV, 4, 5));   /* nobody's: nothing happens */
        struct ring_done d = next(p.ring);
        assert_true(d.user == user && d.n == -ECANCELED && d.last);
        assert_int_equal(ring_sim_inflight(p.ring, 1u << OP_CONN_RECV, 4, 4), 0);
        nothing(p.ring);
        end(&p);
    }
}

static void test_accepting(void **state)
{
    (void)state;
    struct pair p = begin(5, false);
    uint64_t user = ring_user(OP_ACCEPT, 0, 0);
    ring_accept(p.ring, p.listener, user);
    int peer[2] = {wire_connect(p.listener), wire_connect(p.listener)};
    for (int i = 0; i < 2; i++) {
        struct ring_done d = next(p.ring);
        assert_true(d.n >= WIRE_FD && !d.last);
        assert_int_equal(wire_sock(d.n, "test")->peer, peer[i]);
    }
    machine()->faults = true;
    machine()->rate[FAULT_ACCEPT_FAILS] = 10000;
    assert_true(wire_connect(p.listener) >= WIRE_FD);
    struct ring_done d = next(p.ring);
    assert_true(d.n == -EMFILE && d.last);
    machine()->rate[FAULT_ACCEPT_FAILS] = 0;
    ring_accept(p.ring, p.listener, user);
    assert_true(next(p.ring).n >= WIRE_FD);    /* it was not lost */
    ring_shutdown(p.ring, p.listener, 2);
    ring_cancel(p.ring, user);
    ring_close_fd(p.ring, p.listener);
    d = next(p.ring);
    assert_true(d.n < 0 && d.last);
    assert_int_equal(wire_connect(p.listener), -1);
    end(&p);
}

static void test_wakes(void **state)
{
    (void)state;
    struct pair p = begin(6, false);
    int fd = sock_wake_open();
    ring_wake(p.ring, fd, ring_user(OP_WAKE, 0, 0));
    nothing(p.ring);
    sock_wake(fd);
    sock_wake(fd);
    assert_int_equal(next(p.ring).n, 1);
    sock_wake_clear(fd);
    nothing(p.ring);
    sock_wake(fd);
    assert_int_equal(next(p.ring).n, 1);
    end(&p);
}

static void test_messages(void **state)
{
    (void)state;
    struct pair p = begin(7, false);
    struct ring *other = open_ring();
    uint64_t user = ring_user(OP_HANDOFF, 0, 1);
    ring_message(p.ring, other, p.engine, user, user);
    nothing(p.ring);
    struct ring_done d = next(other);
    assert_true(d.user == user && d.n == p.engine);
    machine()->faults = true;
    machine()->rate[FAULT_MESSAGE_FAILS] = 10000;
    ring_message(p.ring, other, p.engine, user, user);
    d = next(p.ring);
    assert_true(d.user == user && d.n < 0);
    nothing(other);
    ring_close(other);
    end(&p);
}

/* --- dials: the answer of the world is the case's */

static struct wire_dial verdict;
static int connected_end;

static struct wire_dial on_dial(const struct sockaddr *to)
{
    (void)to;
    return verdict;
}

static void on_connected(int sock, int server)
{
    assert_int_equal(server, 3);
    connected_end = sock;
}

static void test_dialling(void **state)
{
    (void)state;
    struct pair p = begin(8, false);
    struct sockaddr_storage to = {.ss_family = AF_INET};
    uint64_t user = ring_user(OP_UP_CONNECT, 0, 1);
    wire()->dial = on_dial;
    wire()->connected = on_connected;
    static const int codes[] = {0, -ECONNREFUSED, -ETIMEDOUT};
    for (size_t i = 0; i < 3; i++) {
        int fd = sock_dial(AF_INET);
        verdict = (struct wire_dial){5000000, codes[i], 3};
        connected_end = 0;
        ring_connect(p.ring, fd, user, (struct sockaddr *)&to, sizeof to);
        struct ring_done d = next(p.ring);
        assert_true(d.n == codes[i] && d.last);
        assert_true((connected_end > 0) == (codes[i] == 0));
        ring_close_fd(p.ring, fd);
        nothing(p.ring);
    }
    int fd = sock_dial(AF_INET6);
    verdict = (struct wire_dial){1ull << 60, 0, 3};
    ring_connect(p.ring, fd, user, (struct sockaddr *)&to, sizeof to);
    nothing(p.ring);
    ring_cancel(p.ring, user);
    assert_int_equal(next(p.ring).n, -ECANCELED);
    end(&p);
}

/* --- violations, each in a process that must end by it */

static void close_in_use(struct pair *p)
{
    ring_recv(p->ring, p->engine, ring_user(OP_CONN_RECV, 1, 1));
    ring_close_fd(p->ring, p->engine);
    nothing(p->ring);
}

static void use_of_closed(struct pair *p)
{
    ring_close_fd(p->ring, p->engine);
    nothing(p->ring);
    ring_shutdown(p->ring, p->engine, 2);
}

static void buffer_twice(struct pair *p) { ring_buf_give(p->ring, 0); }

static void test_violations(void **state)
{
    (void)state;
    static void (*const cases[])(struct pair *p) = {close_in_use, use_of_closed, buffer_twice};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int status = 0;
        (void)fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
            (void)close(STDERR_FILENO);
            struct pair p = begin(9, false);
            cases[i](&p);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    }
}

/* --- the seed decides */

static uint64_t hash_of(uint64_t seed)
{
    receive_all(seed, true);
    return machine()->hash;
}

static void test_same_seed_same_trace(void **state)
{
    (void)state;
    assert_true(hash_of(11) == hash_of(11));
    assert_true(hash_of(11) != hash_of(12));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_receiving_in_order), cmocka_unit_test(test_no_buffer_is_free),
        cmocka_unit_test(test_a_reset), cmocka_unit_test(test_sending_in_order),
        cmocka_unit_test(test_a_send_reads_late), cmocka_unit_test(test_cancelling),
        cmocka_unit_test(test_accepting), cmocka_unit_test(test_wakes),
        cmocka_unit_test(test_messages), cmocka_unit_test(test_dialling),
        cmocka_unit_test(test_violations), cmocka_unit_test(test_same_seed_same_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
