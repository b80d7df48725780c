/* host.h - the addresses behind provider names: one entry per (host, port, TLS), made when a
 * configuration first names it and kept for the life of the process, so that pools and learned
 * addresses outlive a reload. Resolver threads write, cores copy under a sequence lock. A
 * stale address beats none. */
#ifndef ENGINE_HOST_H
#define ENGINE_HOST_H

#include "net/bytes.h"

#include <stdatomic.h>
#include <sys/socket.h>

enum { HOST_ADDRESSES_MAX = 8, HOSTS_MAX = 512, HOST_NAME_MAX_BYTES = 256 };

struct host_addresses {
    uint32_t count;
    socklen_t len[HOST_ADDRESSES_MAX];
    struct sockaddr_storage at[HOST_ADDRESSES_MAX];   /* families alternate, IPv6 first */
};

struct host {
    char name[HOST_NAME_MAX_BYTES];
    uint16_t port;
    bool tls, literal;
    _Atomic uint32_t seq;              /* odd while written */
    struct host_addresses addresses;
    _Atomic uint64_t resolved_ns;      /* when it last succeeded, monotonic; 0 never */
    _Atomic uint64_t tried_ns;         /* when it was last tried; 0 never */
    _Atomic bool off;                  /* all its providers are off: keeps no connections */
};

struct hosts {
    struct host *at[HOSTS_MAX];
    _Atomic uint32_t count;
};

/* Index of the entry for name, port, tls; made when new (main thread only; an IP literal is
 * resolved at once). -1: table full or out of memory. */
int32_t hosts_find(struct hosts *h, const char *name, uint16_t port, bool tls, bool literal);
/* Copy the addresses; false while there are none. Any thread, never waits long. */
MUST_USE bool host_look(const struct host *h, struct host_addresses *out);
/* Resolve one entry now (blocks in getaddrinfo) and store what was found; false: nothing was,
 * the old addresses stay. Resolver threads. */
bool host_resolve(struct host *h, uint64_t now_ns);

#endif
