/* gateway_money.c - what a key may know of its money: GET /v1/key and /v1/credits. Every limit
 * that stands on its path is shown, the narrowest first, the organization's pool last, as the
 * cells have it in this turn. Nothing is taken and nobody waits. */
#include "engine/auth.h"
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/gateway.h"
#include "engine/reply.h"
#include "engine/show.h"
#include "engine/spend.h"
#include "net/jsonw.h"
#include "store/budget.h"
#include "store/credits.h"

enum {
    LIMIT_JSON_MAX = 256,   /* bytes of one limit: three amounts of up to 21 */
    MONEY_JSON_MAX = (BUDGET_CELLS_MAX + 2 * UNIT_KINDS) * LIMIT_JSON_MAX,
};

struct asked {              /* what a call looks at */
    struct core *core;
    const struct budget_path *path;
};

static void see(const struct asked *a, unsigned idx, struct budget_look *look)
{
    budget_see(a->core->engine->budget, a->path, idx, a->core->unix_ns, look);
}

static void put_layer(struct jsonw *w, unsigned layer)
{
    jsonw_object(w);
    jsonw_key(w, "layer");
    jsonw_text(w, spend_layer_name(layer));
}

/* The limits of a layer, the shortest window first. */
static void put_limits_of(struct jsonw *w, const struct asked *a, unsigned layer)
{
    for (unsigned window = 0; window < WINDOWS; window++) {
        for (unsigned i = 0; i < a->path->limit_count; i++) {
            const struct budget_limit *l = &a->path->limit[i];
            struct budget_look look;
            if (l->layer != layer || l->window != window) continue;
            see(a, i, &look);
            put_layer(w, layer);
            show_limit(w, &look);
            jsonw_object_end(w);
        }
    }
}

static void put_limits(struct jsonw *w, const struct asked *a)
{
    jsonw_key(w, "limits");
    jsonw_array(w);
    for (unsigned layer = UNIT_KINDS; layer-- > 0;) put_limits_of(w, a, layer);
    put_limits_of(w, a, BUDGET_LAYER_POOL);
    jsonw_array_end(w);
}

static void put_rates(struct jsonw *w, const struct asked *a)
{
    jsonw_key(w, "rates");
    jsonw_array(w);
    for (unsigned i = 0; i < a->path->rate_count; i++) {
        const struct budget_rate *r = &a->path->rate[i];
        put_layer(w, r->layer);
        jsonw_key(w, "rpm"), show_known(w, r->rates.rpm);
        jsonw_key(w, "tpm"), show_known(w, r->rates.tpm);
        jsonw_key(w, "concurrency"), show_known(w, r->rates.concurrency);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
}

static void put_path(struct jsonw *w, const struct unit_path *path)
{
    for (unsigned i = 0; i < UNIT_KINDS; i++) {
        char id[STORE_ID_TEXT_MAX];
        store_id_text(path->unit[i], id);
        jsonw_key(w, unit_kind_name((enum unit_kind)i));
        jsonw_text(w, id[0] ? id : NULL);
    }
}

/* The pool: its cell where it is prepaid, else what the store says of its entries. False: the
 * store cannot be read. */
static bool pool_look(const struct asked *a, store_id org, struct budget_look *look,
                      bool *prepaid)
{
    struct pool pool;
    *prepaid = false;
    for (unsigned i = 0; i < a->path->limit_count; i++) {
        if (a->path->limit[i].layer != BUDGET_LAYER_POOL) continue;
        see(a, i, look);
        *prepaid = true;
        return true;
    }
    if (!auth_pool(a->core, org, &pool)) return false;
    *look = (struct budget_look){.limit_nusd = pool.entries_nusd,
                                 .spent_nusd = pool.spent_nusd};
    return true;
}

/* `data` is what OpenRouter's clients read: numbers, whose difference is what is there, held
 * money included. */
static bool put_pool(struct jsonw *w, const struct asked *a, store_id org)
{
    struct budget_look look;
    bool prepaid;
    if (!pool_look(a, org, &look, &prepaid)) return false;
    jsonw_key(w, "pool");
    jsonw_text(w, prepaid ? "prepaid" : "unlimited");
    jsonw_key(w, "balance");
    jsonw_fixed_text(w, look.limit_nusd - look.spent_nusd - look.held_nusd, 9);
    jsonw_key(w, "data");
    jsonw_object(w);
    jsonw_key(w, "total_credits"), jsonw_fixed(w, look.limit_nusd, 9);
    jsonw_key(w, "total_usage"), jsonw_fixed(w, look.spent_nusd, 9);
    jsonw_object_end(w);
    return true;
}

void gateway_money(struct core *core, struct conn *c, const struct key_view *key, bool credits,
                   const char *request_id)
{
    struct asked a = {core, auth_budget(key)};
    char text[MONEY_JSON_MAX];
    struct jsonw w;
    assert(core->engine->budget || a.path->limit_count == 0);
    jsonw_init(&w, text, sizeof text);
    jsonw_object(&w);
    bool ok = !credits || put_pool(&w, &a, key->path.unit[UNIT_ORGANIZATION]);
    if (!credits) put_path(&w, &key->path);
    put_limits(&w, &a);
    put_rates(&w, &a);
    jsonw_object_end(&w);
    assert(!w.full);
    if (ok) {
        reply_body(core, c, NULL, request_id, 200, BYTES("application/json"),
                   (struct bytes){text, w.len}, (struct bytes){0});
        return;
    }
    gateway_refuse(core, c, NULL, CLOSE_LEDGER_GONE, NULL);
}
