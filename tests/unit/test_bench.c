/* test_bench.c - what the figures of the bench stand on: an answer is read the same however
 * it is cut, a broken one is refused, times fall into slots 3 % wide, and a reading sees the
 * CPU time and memory of a process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <time.h>
#include <unistd.h>

#include "bench/answer.h"
#include "bench/meter.h"
#include "tests/unit/wall.h"

struct outcome {
    enum net_rc rc;        /* of the last answer */
    unsigned answers;
    int status;
    uint64_t body_bytes;
    size_t seen;           /* body bytes that were given out, all answers */
};

static void feed(struct answer *a, struct wall *wall, struct bytes part, struct outcome *o)
{
    struct bytes in = wall_put(wall, part), body;
    while ((o->rc = answer_next(a, &in, &body)) != NET_MORE && o->rc != NET_BAD) {
        if (o->rc == NET_OK) {
            assert_true(body.len > 0);
            o->seen += body.len;
        } else {
            o->answers++;
            o->status = a->status;
            o->body_bytes = a->body_bytes;
        }
    }
}

#define HEAD "HTTP/1.1 200 OK\r\nServer: x\r\n"

static void test_answer_every_cut(void **state)
{
    static const struct { struct bytes wire; enum net_rc rc; unsigned answers; int status;
                          uint64_t body_bytes; size_t seen; } cases[] = {
        {BYTES_INIT(HEAD "Content-Length: 5\r\n\r\nhello"), NET_MORE, 1, 200, 5, 5},
        {BYTES_INIT(HEAD "content-length:0\r\n\r\n"), NET_MORE, 1, 200, 0, 0},
        {BYTES_INIT(HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
         NET_MORE, 1, 200, 5, 5},
        {BYTES_INIT(HEAD "content-length: 2\r\n\r\nab" "HTTP/1.1 503 No\r\ncontent-length: 1"
                    "\r\n\r\nc"), NET_MORE, 2, 503, 1, 3},
        {BYTES_INIT(HEAD "content-length: 9\r\n\r\nab"), NET_MORE, 0, 0, 0, 2},
        {BYTES_INIT(HEAD "\r\nab"), NET_BAD, 0, 0, 0, 0},  /* no framing */
        {BYTES_INIT(HEAD "content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n"), NET_BAD,
         0, 0, 0, 0},
        {BYTES_INIT(HEAD "transfer-encoding: chunked\r\n\r\nzz\r\n"), NET_BAD, 0, 0, 0, 0},
        {BYTES_INIT("SSH-2.0-OpenSSH_9.2\r\n\r\n"), NET_BAD, 0, 0, 0, 0},
        {BYTES_INIT(HEAD "x-content-length: 7\r\ncontent-length: 1\r\n\r\na"), NET_MORE, 1, 200,
         1, 1},
    };
    struct wall wall = wall_open(4096);
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t cut = 0; cut <= cases[i].wire.len; cut++) {
            struct answer a = {0};
            struct outcome o = {.rc = NET_MORE};
            struct bytes rest = cases[i].wire;
            feed(&a, &wall, bytes_cut(&rest, cut), &o);
            if (o.rc == NET_MORE) feed(&a, &wall, rest, &o);
            assert_int_equal(o.rc, cases[i].rc);
            assert_int_equal(o.answers, cases[i].answers);
            assert_int_equal(o.status, cases[i].status);
            assert_int_equal(o.body_bytes, cases[i].body_bytes);
            assert_int_equal(o.seen, cases[i].seen);
            answer_fini(&a);
        }
    }
    wall_close(&wall);
}

static void test_answer_head_too_long(void **state)
{
    struct answer a = {0};
    struct bytes body;
    enum net_rc rc = NET_MORE;
    (void)state;
    for (size_t i = 0; i < ANSWER_HEAD_MAX; i++) {
        assert_int_equal(rc, NET_MORE);
        struct bytes in = BYTES("a");
        rc = answer_next(&a, &in, &body);
    }
    assert_int_equal(rc, NET_BAD);
    answer_fini(&a);
}

static void test_histogram_is_3_percent_wide(void **state)
{
    static struct histogram h;
    (void)state;
    assert_int_equal(histogram_at(&h, 0.5), 0);
    for (uint64_t ns = 1; ns < 1ull << 62; ns += ns / 7 + 1) {
        h = (struct histogram){0};
        histogram_put(&h, ns);
        histogram_put(&h, UINT64_MAX);  /* so that max does not help */
        uint64_t at = histogram_at(&h, 0.25);
        assert_true(at >= ns && at <= ns + ns / 32);
    }
}

static void test_histogram_shares(void **state)
{
    static struct histogram h;
    (void)state;
    for (uint64_t i = 1; i <= 1000; i++) histogram_put(&h, i * 1000);
    assert_int_equal(h.count, 1000);
    assert_int_equal(h.sum, 500500000);
    assert_int_equal(h.max, 1000000);
    uint64_t p50 = histogram_at(&h, 0.5), p99 = histogram_at(&h, 0.99);
    assert_true(p50 >= 500000 && p50 <= 517000);
    assert_true(p99 >= 990000 && p99 <= 1000000);
    assert_int_equal(histogram_at(&h, 1), 1000000);
}

static uint64_t own_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void test_meter_sees_this_process(void **state)
{
    struct meter m = {.pids = {(int)getpid()}, .pid_count = 1};
    struct reading before, after;
    (void)state;
    assert_true(meter_read(&m, &before));
    assert_true(before.rss_bytes > 0 && before.calls == 0);
    size_t room = 8 << 20;
    char *pages = malloc(room);
    assert_non_null(pages);
    uint64_t spent_ns = own_cpu_ns();
    for (int fill = 0; own_cpu_ns() < spent_ns + 20000000; fill++) memset(pages, fill, room);
    spent_ns = own_cpu_ns();
    usleep(1000);  /* schedstat is brought up to date when a thread leaves the processor */
    assert_true(meter_read(&m, &after));
    assert_true(after.cpu_ns >= spent_ns && after.cpu_ns <= own_cpu_ns());
    assert_true(after.rss_bytes >= before.rss_bytes + room / 2);
    free(pages);
    m.pids[0] = 0x3fffffff;  /* above the kernel's largest pid */
    assert_false(meter_read(&m, &after));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_every_cut),
        cmocka_unit_test(test_answer_head_too_long),
        cmocka_unit_test(test_histogram_is_3_percent_wide),
        cmocka_unit_test(test_histogram_shares),
        cmocka_unit_test(test_meter_sees_this_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
