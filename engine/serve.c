/* serve.c - serve.h for the product: the data plane on gateway cores, the admin API and the
 * console on the admin core. */
#include "engine/serve.h"
#include "engine/auth.h"
#include "engine/conf.h"
#include "engine/conn.h"
#include "engine/core.h"
#include "engine/edge.h"
#include "engine/engine.h"
#include "engine/exchange.h"
#include "engine/front.h"
#include "engine/gateway.h"
#include "engine/tables.h"
#include "engine/upstream.h"
#include "net/tls.h"
#include "route/expect.h"

#include <stdlib.h>

bool serve_trusts(const struct core *core, struct conn *c)
{
    return edge_may_trust(core, c->listener) && edge_trusts(core, conn_peer(c));
}

bool serve_head(struct core *core, struct conn *c, const struct http_head *head)
{
    return core->role == ROLE_ADMIN ? front_head(core, c, head) : gateway_head(core, c, head);
}

bool serve_piece(struct core *core, struct conn *c, struct bytes piece)
{
    return core->role == ROLE_ADMIN || gateway_piece(core, c, piece);
}

void serve_body(struct core *core, struct conn *c)
{
    if (core->role == ROLE_ADMIN) front_body(core, c);
    else gateway_body(core, c);
}

void serve_refuse(struct core *core, struct conn *c, enum close_why why, const char *detail)
{
    if (core->role == ROLE_ADMIN) {
        front_refuse(core, c, why, detail);
        return;
    }
    struct exchange *x = c->x;
    if (!x) {
        gateway_refuse(core, c, NULL, why, detail);
        return;
    }
    exchange_fail(core, x, why, detail, NULL);
}

void serve_gone(struct core *core, struct conn *c, enum close_why why)
{
    if (core->role == ROLE_ADMIN) front_gone(core, c);
    else if (c->x) exchange_gone(core, c->x, why);
    c->x = NULL;
}

void serve_drained(struct core *core, struct conn *c, uint64_t left)
{
    if (left > CORE_HELD_MAX / 2 || !c->x || !c->x->u) return;
    upstream_pause(core, c->x->u, false);
}

void serve_timer(struct core *core, struct timer *t) { front_timer(core, t); }

void serve_wake(struct core *core)
{
    if (core->role == ROLE_ADMIN) front_wake(core);
}

void serve_end(struct core *core)
{
    if (core->role == ROLE_GATEWAY) exchange_end_all(core);
}

bool serve_boot(struct core *core)
{
    if (core->role == ROLE_ADMIN) return front_boot(core);
    const char *why = NULL;
    struct tls_client_config config = {0};
    core->auth = auth_make(core->engine->db);
    core->expect = calloc(1, sizeof *core->expect);
    if (tls_client_open(&config, &core->tls, &why) != NET_OK) core->tls = NULL;
    return core->auth && core->expect;
}

struct serve_times serve_times(const struct core *core)
{
    const struct conf *conf = core->tables->conf;
    return (struct serve_times){conf->header_ns, conf->body_ns, conf->idle_ns, conf->write_ns,
                                conf->limit_header < MEM_BLOCK ? conf->limit_header
                                                               : MEM_BLOCK};
}
