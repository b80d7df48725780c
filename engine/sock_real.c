/* sock_real.c - sock.h over the system's sockets and eventfd(2). */
#include "engine/sock.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

int sock_dial(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0) return -errno;
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    return fd;
}

struct addr sock_peer(int fd)
{
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof ss;
    uint8_t at[16];
    if (getpeername(fd, (struct sockaddr *)&ss, &len) != 0) return (struct addr){0};
    switch (ss.ss_family) {
    case AF_UNIX: return (struct addr){.kind = ADDR_UNIX};
    case AF_INET:
        memcpy(at, &((const struct sockaddr_in *)(const void *)&ss)->sin_addr, 4);
        return addr_of(ADDR_V4, at);
    case AF_INET6:
        memcpy(at, &((const struct sockaddr_in6 *)(const void *)&ss)->sin6_addr, 16);
        return addr_of(ADDR_V6, at);
    default: return (struct addr){0};
    }
}

void sock_accepted(int fd)
{
    assert(fd >= 0);
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

int sock_wake_open(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void sock_wake(int fd)
{
    uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof one);
    (void)n;  /* a full counter wakes as well */
}

void sock_wake_clear(int fd)
{
    uint64_t count;
    ssize_t n = read(fd, &count, sizeof count);
    (void)n;
}
