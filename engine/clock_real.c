/* clock_real.c - clock.h over clock_gettime(2). */
#include "engine/clock.h"

#include <time.h>

static uint64_t read_clock(clockid_t id)
{
    struct timespec ts;
    (void)clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t clock_now_ns(void) { return read_clock(CLOCK_MONOTONIC); }

uint64_t clock_unix_ns(void) { return read_clock(CLOCK_REALTIME); }
