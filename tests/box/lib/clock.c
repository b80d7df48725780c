/* clock.c - preloaded: the wall clock runs beside the machine's by as many seconds as the file
 * WEIR_CLOCK holds now. Only for machine.test.mjs, which builds it. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *out)
{
    static const char *file;
    char text[32] = "";
    long rc = syscall(SYS_clock_gettime, clock, out);
    if (rc != 0 || clock != CLOCK_REALTIME) return (int)rc;
    if (!file) file = getenv("WEIR_CLOCK");
    int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return 0;
    if (read(fd, text, sizeof text - 1) > 0) out->tv_sec += strtol(text, NULL, 10);
    (void)close(fd);
    return 0;
}
