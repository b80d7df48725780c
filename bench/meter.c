/* meter.c - meter.h over /proc and perf_event_open(2). */
#include "bench/meter.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The number a file begins with, after skip words; 0 where it cannot be read. */
static uint64_t number_in(const char *path, unsigned skip)
{
    char text[512];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *at = text;
    for (; skip > 0 && at; skip--) at = (at = strchr(at, ' ')) ? at + 1 : NULL;
    return at ? strtoull(at, NULL, 10) : 0;
}

/* Write the threads of m->pids to out; gives how many, 0 where a process is gone or there
 * are too many. */
static uint32_t list_threads(const struct meter *m, int out[METER_THREADS_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->pid_count; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/task", m->pids[i]);
        DIR *dir = opendir(path);
        if (!dir) return 0;
        for (struct dirent *e; (e = readdir(dir));) {
            if (e->d_name[0] == '.') continue;
            if (count == METER_THREADS_MAX) {
                closedir(dir);
                return 0;
            }
            out[count++] = (int)strtol(e->d_name, NULL, 10);
        }
        closedir(dir);
    }
    return count;
}

bool meter_count_calls(struct meter *m)
{
    int threads[METER_THREADS_MAX];
    assert(m->calls_count == 0);
    uint64_t id = number_in("/sys/kernel/tracing/events/raw_syscalls/sys_enter/id", 0);
    if (id == 0) return false;
    struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT, .size = sizeof attr,
                                   .config = id};
    uint32_t count = list_threads(m, threads);
    for (uint32_t i = 0; i < count; i++) {
        int fd = (int)syscall(SYS_perf_event_open, &attr, threads[i], -1, -1, 0);
        if (fd < 0) {
            meter_close(m);
            return false;
        }
        m->calls_fds[m->calls_count++] = fd;
    }
    return count > 0;
}

bool meter_read(const struct meter *m, struct reading *out)
{
    char path[64];
    int threads[METER_THREADS_MAX];
    assert(m->pid_count <= METER_PIDS_MAX);
    *out = (struct reading){0};
    uint32_t count = list_threads(m, threads);
    if (m->pid_count > 0 && count == 0) return false;
    for (uint32_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "/proc/%d/schedstat", threads[i]);
        out->cpu_ns += number_in(path, 0);
    }
    for (uint32_t i = 0; i < m->calls_count; i++) {
        uint64_t calls = 0;
        if (read(m->calls_fds[i], &calls, sizeof calls) > 0) out->calls += calls;
    }
    for (uint32_t i = 0; i < m->pid_count; i++) {
        snprintf(path, sizeof path, "/proc/%d/statm", m->pids[i]);
        out->rss_bytes += number_in(path, 1) * (uint64_t)sysconf(_SC_PAGESIZE);
    }
    return true;
}

void meter_close(struct meter *m)
{
    for (uint32_t i = 0; i < m->calls_count; i++) close(m->calls_fds[i]);
    m->calls_count = 0;
}

/* Times below 32 ns have slots of their own, the others one for their power of two and the
 * five bits below its top one. */
void histogram_put(struct histogram *h, uint64_t ns)
{
    unsigned power = 63 - (unsigned)__builtin_clzll(ns | 1);
    size_t slot = power < 5 ? ns : (size_t)(power - 4) * 32 + (ns >> (power - 5) & 31);
    assert(slot < HISTOGRAM_SLOTS);
    h->slots[slot]++;
    h->count++;
    h->sum += ns;
    if (ns > h->max) h->max = ns;
}

uint64_t histogram_at(const struct histogram *h, double share)
{
    assert(share >= 0 && share <= 1);
    uint64_t want = (uint64_t)((double)h->count * share), seen = 0;
    for (size_t slot = 0; slot < HISTOGRAM_SLOTS; slot++) {
        seen += h->slots[slot];
        if (seen <= want && seen < h->count) continue;
        if (h->count == 0) return 0;
        if (slot < 32) return slot;
        unsigned power = (unsigned)(slot / 32) + 4;
        uint64_t top = ((32 + slot % 32 + 1) << (power - 5)) - 1;
        return top < h->max ? top : h->max;
    }
    return h->max;
}
