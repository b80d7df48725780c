/* test_ring.c - the io_uring ring against the kernel: what ring.h promises about receiving,
 * sending, cancelling, connecting, buffers and messages, on sockets of this process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/ring.h"

enum { BUFS = 4, BUF_BYTES = 1024, DONES = 64 };

static const uint64_t second = 1000000000;

struct bench {
    struct ring *ring;
    int fd[2];                 /* a pair: fd[0] is the ring's side */
    struct ring_done done[DONES];
    int count, at;
};

static int setup(void **state)
{
    static struct bench b;
    struct ring_config config = {.entries = 64, .buf_count = BUFS, .buf_bytes = BUF_BYTES};
    b = (struct bench){0};
    int rc = ring_open(&config, &b.ring);
    if (rc < 0) print_error("ring_open: %s\n", strerror(-rc));
    if (rc < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, b.fd)) {
        return -1;
    }
    *state = &b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    ring_close(b->ring);
    for (int i = 0; i < 2; i++) {
        if (b->fd[i] >= 0) (void)close(b->fd[i]);
    }
    return 0;
}

/* The next completion that somebody waits for; none within a second is a failure. */
static struct ring_done next_done(struct bench *b)
{
    for (int tries = 0; tries < 20; tries++) {
        while (b->at < b->count) {
            struct ring_done d = b->done[b->at++];
            if (ring_user_op(d.user) != OP_IGNORE) return d;
        }
        b->at = 0;
        b->count = ring_wait(b->ring, second / 10, b->done, DONES);
        assert_true(b->count >= 0);
    }
    fail_msg("no completion came");
    return (struct ring_done){0};
}

/* Nothing is waiting, and nothing comes for a moment. */
static void quiet(struct bench *b)
{
    while (b->at < b->count) {
        assert_int_equal(ring_user_op(b->done[b->at++].user), OP_IGNORE);
    }
    b->count = ring_wait(b->ring, second / 50, b->done, DONES);
    for (b->at = 0; b->at < b->count; b->at++) {
        assert_int_equal(ring_user_op(b->done[b->at].user), OP_IGNORE);
    }
}

static const uint64_t recv_user = (uint64_t)OP_CONN_RECV << 56 | 7ull << 32 | 3;
static const uint64_t send_user = (uint64_t)OP_CONN_SEND << 56 | 7ull << 32 | 3;

/* The kernel is given few of many buffers, and more when those do not suffice: all of them can
 * be held, none twice, and they come back. */
static void test_many_buffers(void **state)
{
    enum { MANY = 256, ONE = 16 };
    (void)state;
    struct bench b = {0};
    struct ring_config config = {.entries = 64, .buf_count = MANY, .buf_bytes = BUF_BYTES};
    static bool held[MANY];
    assert_int_equal(ring_open(&config, &b.ring), 0);
    int made = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, b.fd);
    assert_int_equal(made, 0);
    assert_int_equal(ring_buf_free(b.ring), MANY);
    bool armed = false;
    for (int round = 0; round < 2; round++) {
        memset(held, 0, sizeof held);
        for (uint32_t count = 0; count < MANY;) {
            if (!armed) ring_recv(b.ring, b.fd[0], recv_user);
            char text[ONE] = {0};
            assert_int_equal(write(b.fd[1], text, ONE), ONE);
            struct ring_done d = next_done(&b);
            armed = !d.last;
            if (d.n == -ENOBUFS) continue;
            assert_true(d.n > 0 && d.n % ONE == 0 && d.buf < MANY && !held[d.buf]);
            held[d.buf] = true;
            assert_int_equal(ring_buf_free(b.ring), MANY - ++count);
        }
        for (uint32_t i = 0; i < MANY; i++) ring_buf_give(b.ring, i);
        assert_int_equal(ring_buf_free(b.ring), MANY);
    }
    (void)teardown((void *[]){&b});
}

static void test_user_data(void **state)
{
    (void)state;
    uint64_t u = ring_user(OP_HANDOFF, RING_SLOTS_MAX - 1, UINT32_MAX);
    assert_int_equal(ring_user_op(u), OP_HANDOFF);
    assert_int_equal(ring_user_slot(u), RING_SLOTS_MAX - 1);
    assert_int_equal(ring_user_generation(u), UINT32_MAX);
    assert_int_equal(ring_user(OP_CONN_RECV, 7, 3), recv_user);
}

static void test_features(void **state)
{
    struct bench *b = *state;
    struct ring_features has;
    ring_look(b->ring, &has);
    assert_true(has.multishot_accept && has.multishot_recv && has.provided_buffers);
    assert_true(has.message);
    assert_true(has.defer_taskrun != has.coop_taskrun);   /* one of the two ways */
    assert_int_equal(has.single_issuer, has.defer_taskrun);
    assert_int_equal(ring_buf_free(b->ring), BUFS);
}

static void test_waiting_ends(void **state)
{
    struct bench *b = *state;
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    assert_int_equal(ring_wait(b->ring, 0, b->done, DONES), 0);
    assert_int_equal(ring_wait(b->ring, 20000000, b->done, DONES), 0);
    clock_gettime(CLOCK_MONOTONIC, &to);
    int64_t ns = (to.tv_sec - from.tv_sec) * (int64_t)second + to.tv_nsec - from.tv_nsec;
    assert_true(ns >= 19000000 && ns < (int64_t)second * 5);
}

/* One operation receives again and again, each time into a buffer that is then ours. */
static void test_receiving_goes_on(void **state)
{
    struct bench *b = *state;
    ring_recv(b->ring, b->fd[0], recv_user);
    for (int i = 0; i < 3 * BUFS; i++) {
        char text[32];
        int n = snprintf(text, sizeof text, "message %d", i);
        assert_int_equal(write(b->fd[1], text, (size_t)n), n);
        struct ring_done d = next_done(b);
        assert_int_equal(d.user, recv_user);
        assert_int_equal(d.n, n);
        assert_false(d.last);
        assert_true(d.buf < BUFS);
        assert_memory_equal(ring_buf(b->ring, d.buf), text, (size_t)n);
        assert_int_equal(ring_buf_free(b->ring), BUFS - 1);
        ring_buf_give(b->ring, d.buf);
    }
    assert_int_equal(shutdown(b->fd[1], SHUT_WR), 0);
    struct ring_done d = next_done(b);
    assert_true(d.n == 0 && d.last);
    if (d.buf != RING_BUF_NONE) ring_buf_give(b->ring, d.buf);
    assert_int_equal(ring_buf_free(b->ring), BUFS);
    quiet(b);
}

/* Asked once it takes one buffer, however much is there, and is over. */
static void test_receiving_once(void **state)
{
    struct bench *b = *state;
    static char sent[2 * BUF_BYTES + 5];
    for (size_t i = 0; i < sizeof sent; i++) sent[i] = (char)(i * 5 + i / 256);
    assert_int_equal(write(b->fd[1], sent, sizeof sent), sizeof sent);
    for (size_t at = 0; at < sizeof sent;) {
        ring_recv_once(b->ring, b->fd[0], recv_user);
        struct ring_done d = next_done(b);
        size_t left = sizeof sent - at, n = left < BUF_BYTES ? left : BUF_BYTES;
        assert_true(d.last && d.user == recv_user);
        assert_int_equal(d.n, n);
        assert_memory_equal(ring_buf(b->ring, d.buf), sent + at, n);
        ring_buf_give(b->ring, d.buf);
        quiet(b);                          /* nothing more until it is asked again */
        at += n;
    }
    ring_recv_once(b->ring, b->fd[0], recv_user);
    assert_int_equal(shutdown(b->fd[1], SHUT_WR), 0);
    struct ring_done d = next_done(b);
    assert_true(d.n == 0 && d.last);
    if (d.buf != RING_BUF_NONE) ring_buf_give(b->ring, d.buf);
    assert_int_equal(ring_buf_free(b->ring), BUFS);
}

/* Buffers run out: the operation ends with -ENOBUFS, nothing received is lost, and after one
 * buffer came back a new operation goes on where it stopped. */
static void test_no_buffers_ends_it_and_arming_again_works(void **state)
{
    struct bench *b = *state;
    static char sent[(BUFS + 3) * BUF_BYTES], got[sizeof sent + BUF_BYTES];
    for (size_t i = 0; i < sizeof sent; i++) sent[i] = (char)(i * 7 + i / 256);
    assert_int_equal(write(b->fd[1], sent, sizeof sent), sizeof sent);
    ring_recv(b->ring, b->fd[0], recv_user);
    size_t len = 0;
    uint32_t held[BUFS], count = 0;
    struct ring_done d;
    for (;;) {
        d = next_done(b);
        if (d.n < 0) break;
        assert_true(count < BUFS && d.n > 0 && d.n <= BUF_BYTES);
        memcpy(got + len, ring_buf(b->ring, d.buf), (size_t)d.n);
        len += (size_t)d.n;
        held[count++] = d.buf;
        if (d.last) {                      /* the kernel may end it with the last buffer */
            ring_recv(b->ring, b->fd[0], recv_user);
        }
    }
    assert_int_equal(d.n, -ENOBUFS);
    assert_true(d.last);
    assert_int_equal(d.buf, RING_BUF_NONE);
    assert_int_equal(count, BUFS);
    assert_int_equal(ring_buf_free(b->ring), 0);
    while (count > 0) ring_buf_give(b->ring, held[--count]);
    assert_int_equal(ring_buf_free(b->ring), BUFS);
    bool armed = false;
    while (len < sizeof sent) {
        if (!armed) ring_recv(b->ring, b->fd[0], recv_user);
        d = next_done(b);
        assert_true(d.n > 0);
        memcpy(got + len, ring_buf(b->ring, d.buf), (size_t)d.n);
        len += (size_t)d.n;
        ring_buf_give(b->ring, d.buf);
        armed = !d.last;
    }
    assert_int_equal(len, sizeof sent);
    assert_memory_equal(got, sent, sizeof sent);
}

static void test_every_number_of_pieces(void **state)
{
    struct bench *b = *state;
    static const char text[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    for (unsigned count = 1; count <= RING_IOV_MAX; count++) {
        struct iovec iov[RING_IOV_MAX];
        for (unsigned i = 0; i < count; i++) {
            iov[i] = (struct iovec){(void *)(uintptr_t)(text + 2 * i), 2};
        }
        ring_send(b->ring, b->fd[0], send_user, iov, count);
        memset(iov, 0xff, sizeof iov);     /* the vector was copied */
        struct ring_done d = next_done(b);
        assert_int_equal(d.user, send_user);
        assert_int_equal(d.n, 2 * count);
        assert_true(d.last && d.buf == RING_BUF_NONE);
        char got[64];
        assert_int_equal(read(b->fd[1], got, sizeof got), 2 * count);
        assert_memory_equal(got, text, 2 * count);
    }
}

/* More sends in a turn than the ring keeps vectors for, and than it has entries. */
static void test_more_sends_than_entries(void **state)
{
    struct bench *b = *state;
    enum { SENDS = 700 };
    struct iovec iov[2] = {{(void *)(uintptr_t)"x", 1}, {(void *)(uintptr_t)"y", 1}};
    for (int i = 0; i < SENDS; i++) {
        ring_send(b->ring, b->fd[0], ring_user(OP_CONN_SEND, 1, (uint32_t)i), iov, 2);
    }
    bool seen[SENDS] = {0};
    uint32_t ended = 0, len = 0;
    for (int turn = 0; turn < 10000 && (ended < SENDS || len < 2 * SENDS); turn++) {
        int n = ring_wait(b->ring, 1000000, b->done, DONES);
        assert_true(n >= 0);
        for (int i = 0; i < n; i++, ended++) {
            uint32_t which = ring_user_generation(b->done[i].user);
            assert_int_equal(b->done[i].n, 2);
            assert_true(which < SENDS && !seen[which]);
            seen[which] = true;
        }
        char got[4096];       /* no two pieces of a send come apart */
        ssize_t r = read(b->fd[1], got, sizeof got);
        for (ssize_t k = 0; k < r; k++, len++) assert_int_equal(got[k], len % 2 ? 'y' : 'x');
    }
    assert_int_equal(ended, SENDS);
    assert_int_equal(len, 2 * SENDS);
}

/* A large send completes once, when all of it went, however slowly the peer reads. */
static void test_a_send_is_whole(void **state)
{
    struct bench *b = *state;
    enum { BYTES_SENT = 3 << 20 };
    char *big = malloc(BYTES_SENT), *got = malloc(BYTES_SENT);
    assert_true(big && got);
    for (size_t i = 0; i < BYTES_SENT; i++) big[i] = (char)(i * 31 + i / 4096);
    struct iovec iov[3];
    for (int i = 0; i < 3; i++) iov[i] = (struct iovec){big + ((size_t)i << 20), 1 << 20};
    ring_send(b->ring, b->fd[0], send_user, iov, 3);
    size_t len = 0;
    bool ended = false;
    while (len < BYTES_SENT || !ended) {
        int n = ring_wait(b->ring, 1000000, b->done, DONES);
        assert_true(n >= 0);
        for (int i = 0; i < n; i++) {
            assert_false(ended);
            assert_int_equal(b->done[i].n, BYTES_SENT);
            ended = true;
        }
        ssize_t r = read(b->fd[1], got + len, BYTES_SENT - len);
        if (r > 0) len += (size_t)r;
    }
    assert_memory_equal(got, big, BYTES_SENT);
    free(big);
    free(got);
}

static void test_sending_to_nobody(void **state)
{
    struct bench *b = *state;
    (void)close(b->fd[1]);
    b->fd[1] = -1;
    struct iovec iov = {(void *)(uintptr_t)"x", 1};
    ring_send(b->ring, b->fd[0], send_user, &iov, 1);   /* and no SIGPIPE */
    assert_int_equal(next_done(b).n, -EPIPE);
}

static void test_cancelling(void **state)
{
    struct bench *b = *state;
    ring_recv(b->ring, b->fd[0], recv_user);
    quiet(b);
    ring_cancel(b->ring, ring_user(OP_CONN_RECV, 7, 4));   /* somebody else's */
    quiet(b);
    ring_cancel(b->ring, recv_user);
    struct ring_done d = next_done(b);
    assert_int_equal(d.user, recv_user);
    assert_int_equal(d.n, -ECANCELED);
    assert_true(d.last && d.buf == RING_BUF_NONE);
    assert_int_equal(write(b->fd[1], "later", 5), 5);
    quiet(b);
    ring_recv(b->ring, b->fd[0], recv_user);               /* what came meanwhile is there */
    d = next_done(b);
    assert_int_equal(d.n, 5);
    ring_buf_give(b->ring, d.buf);
}

static void test_shutdown_ends_a_receive(void **state)
{
    struct bench *b = *state;
    ring_recv(b->ring, b->fd[0], recv_user);
    ring_shutdown(b->ring, b->fd[0], SHUT_RDWR);
    struct ring_done d = next_done(b);
    assert_true(d.n == 0 && d.last);
    char c;
    assert_int_equal(read(b->fd[1], &c, 1), 0);
}

static int listener(struct sockaddr_in *at)
{
    socklen_t len = sizeof *at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *at = (struct sockaddr_in){.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)at, sizeof *at), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
    return fd;
}

static void test_accepting_goes_on(void **state)
{
    struct bench *b = *state;
    struct sockaddr_in at;
    int fd = listener(&at), client[5];
    uint64_t user = ring_user(OP_ACCEPT, 3, 0);
    ring_accept(b->ring, fd, user);
    for (int i = 0; i < 5; i++) {
        client[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(client[i], (struct sockaddr *)&at, sizeof at), 0);
        struct ring_done d = next_done(b);
        assert_int_equal(d.user, user);
        assert_true(d.n >= 0 && !d.last);
        assert_true(fcntl(d.n, F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(d.n, F_GETFL) & O_NONBLOCK);
        ring_close_fd(b->ring, d.n);
        quiet(b);
        assert_int_equal(fcntl(d.n, F_GETFD), -1);
    }
    ring_cancel(b->ring, user);
    assert_int_equal(next_done(b).n, -ECANCELED);
    for (int i = 0; i < 5; i++) (void)close(client[i]);
    (void)close(fd);
}

static void test_connecting(void **state)
{
    struct bench *b = *state;
    struct sockaddr_in at;
    int fd = listener(&at);
    uint64_t user = ring_user(OP_UP_CONNECT, 9, 1);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in copy = at;
    ring_connect(b->ring, client, user, (struct sockaddr *)&copy, sizeof copy);
    memset(&copy, 0xff, sizeof copy);      /* the address was copied */
    struct ring_done d = next_done(b);
    assert_int_equal(d.user, user);
    assert_true(d.n == 0 && d.last);
    (void)close(client);
    (void)close(fd);                       /* now nobody listens there */
    client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ring_connect(b->ring, client, user, (struct sockaddr *)&at, sizeof at);
    assert_int_equal(next_done(b).n, -ECONNREFUSED);
    (void)close(client);
}

static void test_waking(void **state)
{
    struct bench *b = *state;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    uint64_t user = ring_user(OP_WAKE, 0, 0), n = 1;
    ring_wake(b->ring, fd, user);
    quiet(b);
    for (int i = 0; i < 3; i++) {
        n = 1;
        assert_int_equal(write(fd, &n, sizeof n), sizeof n);
        struct ring_done d = next_done(b);
        assert_int_equal(d.user, user);
        assert_true(d.n > 0 && !d.last);   /* again and again */
        assert_int_equal(read(fd, &n, sizeof n), sizeof n);
        quiet(b);
    }
    (void)close(fd);
}

static void test_a_message_to_another_ring(void **state)
{
    struct bench *b = *state;
    struct bench other = {0};
    struct ring_config config = {.entries = 8, .buf_count = 1, .buf_bytes = 1024};
    assert_int_equal(ring_open(&config, &other.ring), 0);
    uint64_t user = ring_user(OP_HANDOFF, 2, 41), fail = ring_user(OP_HANDOFF, 5, 41);
    ring_message(b->ring, other.ring, 41, user, fail);
    quiet(b);                               /* a success is no news here */
    struct ring_done d = next_done(&other);
    assert_int_equal(d.user, user);
    assert_int_equal(d.n, 41);
    assert_true(d.last);
    quiet(&other);
    ring_close(other.ring);
}

/* A ring whose completions nobody takes for a while loses none. */
static void test_taking_them_a_few_at_a_time(void **state)
{
    struct bench *b = *state;
    struct iovec iov = {(void *)(uintptr_t)"x", 1};
    for (uint32_t i = 0; i < 50; i++) {
        ring_send(b->ring, b->fd[0], ring_user(OP_CONN_SEND, 1, i), &iov, 1);
    }
    struct ring_done few[3];
    uint32_t got = 0;
    for (int turn = 0; turn < 100 && got < 50; turn++) {
        int n = ring_wait(b->ring, second / 10, few, 3);
        assert_true(n >= 0 && n <= 3);
        for (int i = 0; i < n; i++) assert_int_equal(ring_user_generation(few[i].user), got++);
    }
    assert_int_equal(got, 50);
}

static void test_opening_and_closing(void **state)
{
    (void)state;
    ring_close(NULL);
    int before = dup(0);
    (void)close(before);
    for (int i = 0; i < 20; i++) {
        struct ring *r = NULL;
        struct ring_config config = {.entries = 8, .buf_count = 8, .buf_bytes = 4096};
        assert_int_equal(ring_open(&config, &r), 0);
        ring_close(r);
    }
    int after = dup(0);
    (void)close(after);
    assert_int_equal(after, before);       /* no descriptor stays open */
}

#define ON_RING(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_user_data),
        cmocka_unit_test(test_many_buffers),
        ON_RING(test_features),
        ON_RING(test_waiting_ends),
        ON_RING(test_receiving_goes_on),
        ON_RING(test_receiving_once),
        ON_RING(test_no_buffers_ends_it_and_arming_again_works),
        ON_RING(test_every_number_of_pieces),
        ON_RING(test_more_sends_than_entries),
        ON_RING(test_a_send_is_whole),
        ON_RING(test_sending_to_nobody),
        ON_RING(test_cancelling),
        ON_RING(test_shutdown_ends_a_receive),
        ON_RING(test_accepting_goes_on),
        ON_RING(test_connecting),
        ON_RING(test_waking),
        ON_RING(test_a_message_to_another_ring),
        ON_RING(test_taking_them_a_few_at_a_time),
        cmocka_unit_test(test_opening_and_closing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
