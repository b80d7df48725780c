/* log.c - see log.h: one producer, one consumer, head and tail are byte positions that only
 * grow. */
#include "engine/log.h"

#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct log_ring {
    _Atomic uint64_t head, tail;
    char bytes[LOG_RING_BYTES];
};

struct log_ring *log_ring_make(void) { return calloc(1, sizeof(struct log_ring)); }

static void copy_in(struct log_ring *r, uint64_t at, struct bytes b)
{
    size_t pos = at % LOG_RING_BYTES, first = LOG_RING_BYTES - pos;
    if (first > b.len) first = b.len;
    memcpy(r->bytes + pos, b.ptr, first);
    memcpy(r->bytes, b.ptr + first, b.len - first);
}

bool log_put(struct log_ring *r, struct bytes line)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
    assert(head - tail <= LOG_RING_BYTES);
    if (LOG_RING_BYTES - (head - tail) < line.len + 1) return false;
    copy_in(r, head, line);
    copy_in(r, head + line.len, BYTES("\n"));
    atomic_store_explicit(&r->head, head + line.len + 1, memory_order_release);
    return true;
}

/* A pipe that nobody reads must not stop the thread that also takes signals. */
static bool is_writable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return fd < 0 || poll(&p, 1, 0) > 0;  /* one that is closed loses the lines */
}

size_t log_drain(struct log_ring *r, int fd)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed), begin = tail;
    uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
    while (tail < head && is_writable(fd)) {
        size_t pos = tail % LOG_RING_BYTES, n = LOG_RING_BYTES - pos;
        if (n > head - tail) n = (size_t)(head - tail);
        if (n > PIPE_BUF) n = PIPE_BUF;           /* what a writable pipe takes at once */
        ssize_t wrote = write(fd, r->bytes + pos, n);
        tail += wrote > 0 ? (uint64_t)wrote : n;  /* a closed stdout only loses lines */
    }
    atomic_store_explicit(&r->tail, tail, memory_order_release);
    return (size_t)(tail - begin);
}

/* Days since 1970-01-01 as year, month, day of the Gregorian calendar: the C library's own
 * conversion reads the time zone and allocates. Years are counted from March, so that the leap
 * day is the last of its year. */
static void civil(uint64_t days, unsigned *year, unsigned *month, unsigned *day)
{
    enum { DAYS_400_YEARS = 146097, DAYS_TO_1970 = 719468 };  /* from 0000-03-01 */
    uint64_t z = days + DAYS_TO_1970, era = z / DAYS_400_YEARS;
    unsigned of_era = (unsigned)(z % DAYS_400_YEARS);
    unsigned years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * years + years / 4 - years / 100);
    unsigned from_march = (5 * of_year + 2) / 153;
    *day = of_year - (153 * from_march + 2) / 5 + 1;
    *month = from_march < 10 ? from_march + 3 : from_march - 9;
    *year = years + (unsigned)era * 400 + (*month <= 2);
}

static char *digits(char *at, unsigned value, unsigned width)
{
    for (unsigned i = width; i > 0; i--) {
        at[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + width;
}

void log_time(uint64_t unix_ns, char out[25])
{
    unsigned year, month, day, s = (unsigned)(unix_ns / 1000000000u % 86400);
    civil(unix_ns / 1000000000u / 86400, &year, &month, &day);
    memcpy(out, "0000-00-00T00:00:00.000Z", 25);
    (void)digits(out, year, 4);
    (void)digits(out + 5, month, 2);
    (void)digits(out + 8, day, 2);
    (void)digits(out + 11, s / 3600, 2);
    (void)digits(out + 14, s / 60 % 60, 2);
    (void)digits(out + 17, s % 60, 2);
    (void)digits(out + 20, (unsigned)(unix_ns / 1000000u % 1000u), 3);
}
