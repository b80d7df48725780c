/* cert.c - see cert.h. */
#include "engine/cert.h"
#include "net/tls.h"

#include <stdlib.h>

enum { KEY_HOURS = 12 };          /* RFC 9325 section 3.4: ticket keys change in time */

struct cert {
    struct tls_pair *pair;
    struct tls_tickets *tickets;
    uint64_t turned_ns;           /* when the newest ticket key was drawn; 0 not looked yet */
    uint32_t named;               /* versions */
    uint32_t count;
    struct tls_ctx *ctx[];        /* per core */
};

static void close_cert(struct cert *c)
{
    for (uint32_t i = 0; i < c->count; i++) tls_ctx_close(c->ctx[i]);
    tls_tickets_close(c->tickets);
    tls_pair_close(c->pair);
    free(c);
}

struct cert *cert_make(struct tls_pair **pair, uint32_t count)
{
    assert(pair && *pair && count > 0);
    struct cert *c = calloc(1, sizeof *c + count * sizeof c->ctx[0]);
    if (!c) return NULL;
    const char *why = NULL;
    c->named = 1;
    c->tickets = tls_tickets_open();
    bool good = c->tickets != NULL;
    for (; good && c->count < count; c->count += good) {
        good = tls_server_open(*pair, c->tickets, &c->ctx[c->count], &why) == NET_OK;
    }
    if (!good) {
        close_cert(c);
        return NULL;
    }
    c->pair = *pair;
    *pair = NULL;
    return c;
}

struct cert *cert_name(struct cert *c)
{
    assert(c->named > 0 && c->named < UINT32_MAX);
    c->named++;
    return c;
}

void cert_drop(struct cert *c)
{
    if (!c) return;
    assert(c->named > 0);
    if (--c->named == 0) close_cert(c);
}

bool cert_is(const struct cert *c, const struct tls_pair *pair)
{
    return tls_pair_same(c->pair, pair);
}

uint64_t cert_held(const struct cert *c)
{
    uint64_t users = 0;
    if (!c || c->named > 1) return 0;
    for (uint32_t i = 0; i < c->count; i++) users += tls_ctx_users(c->ctx[i]);
    return users;
}

struct tls_ctx *cert_ctx(const struct cert *c, uint32_t idx)
{
    assert(idx < c->count);
    return c->ctx[idx];
}

void cert_turn(struct cert *c, uint64_t now_ns)
{
    if (!c->turned_ns) c->turned_ns = now_ns;
    if (now_ns - c->turned_ns < KEY_HOURS * 3600000000000ull) return;
    c->turned_ns = now_ns;
    tls_tickets_turn(c->tickets);
}
