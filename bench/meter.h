/* meter.h - what processes cost, read from outside: CPU time, memory, system calls; and a
 * histogram of times.
 * CPU time is that of /proc/PID/task/TID/schedstat, in nanoseconds: utime and stime count
 * ticks of 10 ms, a thousand requests each.
 * Rule: threads are listed anew at every reading, so that one which came in between counts
 * with all it used; one that ended in between is lost, and its system calls are not seen. */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include "net/bytes.h"

enum { METER_PIDS_MAX = 16, METER_THREADS_MAX = 256, HISTOGRAM_SLOTS = 64 * 32 };

struct meter {
    int pids[METER_PIDS_MAX];
    int calls_fds[METER_THREADS_MAX]; /* system call counters, -1: none */
    uint32_t pid_count, calls_count;
};

struct reading {
    uint64_t cpu_ns, rss_bytes;
    uint64_t calls;           /* system calls since they are counted */
};

/* Start counting system calls of the threads there are; meter_close() ends it. False where
 * the kernel does not let us. */
MUST_USE bool meter_count_calls(struct meter *m);
/* Read everything now into *out. False where a process is gone. */
MUST_USE bool meter_read(const struct meter *m, struct reading *out);
/* Stop counting. */
void meter_close(struct meter *m);

struct histogram {            /* all zero is an empty one */
    uint64_t slots[HISTOGRAM_SLOTS];  /* 32 to each power of two: 3 % wide */
    uint64_t count, sum, max;
};

/* Count one time. */
void histogram_put(struct histogram *h, uint64_t ns);
/* The time that share (0..1) of all are not above, to 3 %; 0 when empty. */
uint64_t histogram_at(const struct histogram *h, double share);

#endif
