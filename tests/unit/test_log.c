/* test_log.c - the ring of log lines: whole lines in order, or a refusal; times as RFC 3339
 * writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/log.h"

enum { LINES = 60000 };

/* A file of no name to drain into. */
static int scratch_file(void)
{
    int fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static char *content(int fd, size_t *len)
{
    off_t end = lseek(fd, 0, SEEK_END);
    assert_true(end >= 0);
    char *text = malloc((size_t)end + 1);
    assert_non_null(text);
    assert_int_equal(pread(fd, text, (size_t)end, 0), end);
    text[end] = 0;
    *len = (size_t)end;
    return text;
}

static void test_lines_come_out_as_put(void **state)
{
    (void)state;
    struct log_ring *r = log_ring_make();
    int fd = scratch_file();
    assert_int_equal(log_drain(r, fd), 0);
    assert_true(log_put(r, BYTES("one")));
    assert_true(log_put(r, BYTES("")));
    assert_true(log_put(r, BYTES("three")));
    assert_int_equal(log_drain(r, fd), 11);
    assert_int_equal(log_drain(r, fd), 0);
    size_t len;
    char *text = content(fd, &len);
    assert_string_equal(text, "one\n\nthree\n");
    free(text);
    close(fd);
    free(r);
}

/* Exactly full, one byte more, and every place where a line may wrap. */
static void test_full_and_wrapped(void **state)
{
    (void)state;
    struct log_ring *r = log_ring_make();
    static char big[LOG_RING_BYTES];
    memset(big, 'x', sizeof big);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_false(log_put(r, (struct bytes){big, LOG_RING_BYTES}));
    assert_true(log_put(r, (struct bytes){big, LOG_RING_BYTES - 1}));
    assert_false(log_put(r, BYTES("")));
    assert_int_equal(log_drain(r, null), LOG_RING_BYTES);
    for (size_t shift = 0; shift <= 6; shift++) {   /* "abcd\n" across the end */
        struct log_ring *w = log_ring_make();
        assert_true(log_put(w, (struct bytes){big, LOG_RING_BYTES - 1 - shift}));
        assert_int_equal(log_drain(w, null), LOG_RING_BYTES - shift);
        assert_true(log_put(w, BYTES("abcd")));
        assert_true(log_put(w, BYTES("efg")));
        int fd = scratch_file();
        assert_int_equal(log_drain(w, fd), 9);
        size_t len;
        char *text = content(fd, &len);
        assert_string_equal(text, "abcd\nefg\n");
        free(text);
        close(fd);
        free(w);
    }
    close(null);
    free(r);
}

static void test_a_closed_output_loses_lines_only(void **state)
{
    (void)state;
    struct log_ring *r = log_ring_make();
    assert_true(log_put(r, BYTES("gone")));
    assert_int_equal(log_drain(r, -1), 5);
    int fd = scratch_file();
    assert_true(log_put(r, BYTES("kept")));
    assert_int_equal(log_drain(r, fd), 5);
    size_t len;
    char *text = content(fd, &len);
    assert_string_equal(text, "kept\n");
    free(text);
    close(fd);
    free(r);
}

static void *put_lines(void *arg)
{
    struct log_ring *r = arg;
    for (unsigned i = 0; i < LINES; i++) {
        char line[64];
        int n = snprintf(line, sizeof line, "%u %.*s", i, (int)(i % 40),
                         "........................................");
        while (!log_put(r, (struct bytes){line, (size_t)n})) {
        }
    }
    return NULL;
}

static void test_two_threads(void **state)
{
    (void)state;
    struct log_ring *r = log_ring_make();
    int fd = scratch_file();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, put_lines, r), 0);
    unsigned last = 0;
    while (last + 1 < LINES) {
        if (log_drain(r, fd) == 0) continue;
        size_t len;
        char *text = content(fd, &len), *at = text;
        for (; *at; at = strchr(at, '\n') + 1) {
            char *end;
            unsigned long n = strtoul(at, &end, 10);
            if (at == text && n == 0) last = 0;
            else assert_int_equal(n, last + 1);
            last = (unsigned)n;
            assert_int_equal(*end, ' ');
            assert_int_equal(strspn(end + 1, "."), n % 40);
            assert_int_equal(end[1 + n % 40], '\n');   /* whole lines only */
        }
        free(text);
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(fd);
    free(r);
}

static void test_times(void **state)
{
    (void)state;
    static const struct { uint64_t s, ms; const char *text; } cases[] = {
        {0, 0, "1970-01-01T00:00:00.000Z"},
        {86399, 999, "1970-01-01T23:59:59.999Z"},
        {951782399, 0, "2000-02-28T23:59:59.000Z"},
        {951782400, 0, "2000-02-29T00:00:00.000Z"},     /* a leap century */
        {951868800, 0, "2000-03-01T00:00:00.000Z"},
        {1709164800, 1, "2024-02-29T00:00:00.001Z"},
        {1735689599, 0, "2024-12-31T23:59:59.000Z"},
        {1740787200, 0, "2025-03-01T00:00:00.000Z"},
        {4107542400, 0, "2100-03-01T00:00:00.000Z"},    /* no leap century */
        {4107542399, 0, "2100-02-28T23:59:59.000Z"},
    };
    char text[25];
    for (size_t i = 0; i < COUNT(cases); i++) {
        log_time(cases[i].s * 1000000000 + cases[i].ms * 1000000 + 999999, text);
        assert_string_equal(text, cases[i].text);
    }
}

/* Every day for 400 years agrees with the C library. */
static void test_every_day(void **state)
{
    (void)state;
    for (uint64_t day = 0; day < 146097; day++) {
        char text[25], want[25];
        time_t t = (time_t)(day * 86400 + day % 86400);
        struct tm tm;
        assert_non_null(gmtime_r(&t, &tm));
        assert_int_equal(strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%S.000Z", &tm), 24);
        log_time((uint64_t)t * 1000000000u, text);
        assert_string_equal(text, want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_come_out_as_put),
        cmocka_unit_test(test_full_and_wrapped),
        cmocka_unit_test(test_a_closed_output_loses_lines_only),
        cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_every_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
