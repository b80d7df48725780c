/* host.c - see host.h. Addresses are stored with families alternating (RFC 8305 section 4), so
 * that the second one tried is of the other family where there is one. */
#include "engine/host.h"
#include "store/maybe.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

static void store(struct host *h, const struct host_addresses *found)
{
    uint32_t seq = atomic_load_explicit(&h->seq, memory_order_relaxed);
    atomic_store_explicit(&h->seq, seq + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    h->addresses = *found;
    atomic_store_explicit(&h->seq, seq + 2, memory_order_release);
}

bool host_look(const struct host *h, struct host_addresses *out)
{
    if (MAYBE(no_address)) return false;
    for (int tries = 0; tries < 1000; tries++) {
        uint32_t before = atomic_load_explicit(&h->seq, memory_order_acquire);
        if (before & 1) continue;
        *out = h->addresses;
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&h->seq, memory_order_relaxed) == before) {
            return out->count > 0;
        }
    }
    return false;
}

static void add(struct host_addresses *out, const struct addrinfo *ai)
{
    if (out->count == HOST_ADDRESSES_MAX || ai->ai_addrlen > sizeof out->at[0]) return;
    memcpy(&out->at[out->count], ai->ai_addr, ai->ai_addrlen);
    out->len[out->count++] = ai->ai_addrlen;
}

static const struct addrinfo *next_of(const struct addrinfo *ai, int family)
{
    while (ai && ai->ai_family != family) ai = ai->ai_next;
    return ai;
}

bool host_resolve(struct host *h, uint64_t now_ns)
{
    char port[8];
    (void)snprintf(port, sizeof port, "%u", (unsigned)h->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = h->literal ? AI_NUMERICHOST : AI_ADDRCONFIG};
    struct addrinfo *all = NULL;
    if (getaddrinfo(h->name, port, &hints, &all) != 0) return false;
    struct host_addresses found = {0};
    const struct addrinfo *six = next_of(all, AF_INET6), *four = next_of(all, AF_INET);
    while (six || four) {
        if (six) {
            add(&found, six);
            six = next_of(six->ai_next, AF_INET6);
        }
        if (four) {
            add(&found, four);
            four = next_of(four->ai_next, AF_INET);
        }
    }
    freeaddrinfo(all);
    if (found.count == 0) return false;
    store(h, &found);
    atomic_store_explicit(&h->resolved_ns, now_ns ? now_ns : 1, memory_order_release);
    return true;
}

int32_t hosts_find(struct hosts *h, const char *name, uint16_t port, bool tls, bool literal)
{
    uint32_t count = atomic_load_explicit(&h->count, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        const struct host *at = h->at[i];
        if (at->port == port && at->tls == tls && strcmp(at->name, name) == 0) {
            return (int32_t)i;
        }
    }
    size_t len = strlen(name);
    if (count == HOSTS_MAX || len >= HOST_NAME_MAX_BYTES) return -1;
    struct host *made = calloc(1, sizeof *made);
    if (!made) return -1;
    memcpy(made->name, name, len);
    made->port = port;
    made->tls = tls;
    made->literal = literal;
    if (literal) (void)host_resolve(made, 1);
    h->at[count] = made;
    atomic_store_explicit(&h->count, count + 1, memory_order_release);
    return (int32_t)count;
}
