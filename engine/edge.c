/* edge.c - see edge.h. Trust is asked for again with every request, so that a reload takes away
 * what an open connection had. */
#include "engine/edge.h"
#include "engine/conf.h"
#include "engine/conn.h"
#include "engine/core.h"
#include "engine/tables.h"
#include "net/forwarded.h"

bool edge_may_trust(const struct core *core, uint8_t listener)
{
    assert(listener < CORE_LISTEN_MAX);
    return core->tables->conf->trusted_count > 0 || (core->listen_unix & 1u << listener);
}

bool edge_trusts(const struct core *core, const struct addr *peer)
{
    const struct conf *conf = core->tables->conf;
    if (peer->kind == ADDR_UNIX) return true;
    return addr_net_has(conf->trusted, conf->trusted_count, peer);
}

struct addr edge_client(struct core *core, struct conn *c)
{
    struct addr client = *conn_peer(c);
    if (!edge_may_trust(core, c->listener) || !edge_trusts(core, &client)) {
        return client;
    }
    const struct conf *conf = core->tables->conf;
    enum net_rc rc = forwarded_client(c->fields, conf->trusted, conf->trusted_count,
                                      &client);
    if (rc == NET_BAD) core_count(core, STAT_FORWARDED_BAD);
    return client;
}
