/* look.c - the engine as the admin API sees it: providers, models, secrets. Runs on the worker
 * and store threads. */
#include "engine/look.h"
#include "engine/admin/admin.h"
#include "engine/choose.h"
#include "engine/clock.h"
#include "engine/conf_parts.h"
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/keeper.h"
#include "engine/rand.h"
#include "engine/reply.h"
#include "engine/rota.h"
#include "engine/show.h"
#include "engine/tables.h"
#include "route/builtin.h"
#include "store/budget.h"

#include <stdio.h>
#include <stdlib.h>

void look_secret(char *out)
{
    static const char letters[] =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    memcpy(out, "sk-weir-", 8);
    size_t len = 8;
    while (len < 8 + 43) {
        uint8_t bytes[64];
        rand_secret(bytes, sizeof bytes);
        for (size_t i = 0; i < sizeof bytes && len < 8 + 43; i++) {
            if (bytes[i] >= 248) continue;  /* 248 = 4 x 62: no bias */
            out[len++] = letters[bytes[i] % 62];
        }
    }
    out[len] = 0;
}

/* The newest version, pinned under a number of the worker's own so that main keeps it. */
static struct tables *borrow_tables(struct engine *e)
{
    struct tables *t = atomic_load_explicit(&e->tables, memory_order_acquire);
    tables_pin(t, e->core_count + 1);
    return t;
}

static void return_tables(struct engine *e, struct tables *t)
{
    tables_unpin(t, e->core_count + 1);
}

static const char *breaker_name(enum breaker_state s)
{
    return s == BREAKER_CLOSED ? "closed" : s == BREAKER_OPEN ? "open" : "half_open";
}

static const char *state_name(const _Atomic uint8_t *state)
{
    return rotation_name((enum rotation)atomic_load_explicit(state, memory_order_relaxed));
}

static enum breaker_state worst_key(const struct tables *t, uint32_t provider, uint64_t now_ms)
{
    enum breaker_state best = BREAKER_OPEN;
    unsigned count = t->catalog->provider[provider].key_count;
    if (count == 0) return BREAKER_CLOSED;
    for (unsigned k = 0; k < count; k++) {
        enum breaker_state s = breaker_look(&t->key_word[provider][k], now_ms);
        if (s == BREAKER_CLOSED) best = s;
    }
    return best;
}

static void put_providers(void *arg, struct jsonw *w)
{
    struct engine *e = arg;
    struct tables *t = borrow_tables(e);
    uint64_t now_ms = clock_now_ns() / 1000000;
    jsonw_object(w);
    jsonw_key(w, "data");
    jsonw_array(w);
    for (uint32_t i = 0; i < t->catalog->provider_count; i++) {
        const struct catalog_provider *p = &t->catalog->provider[i];
        uint64_t good = 0, bad = 0;
        for (uint32_t c = 0; c < e->core_count; c++) {
            for (unsigned end = 0; end < ATTEMPT_ENDS; end++) {
                uint64_t n = stat_get(&e->core[c]->stats.attempts[t->stat[i]][end]);
                if (end == ATTEMPT_GOOD) good += n;
                else bad += n;
            }
        }
        jsonw_object(w);
        jsonw_key(w, "name"), jsonw_text(w, p->name);
        jsonw_key(w, "url"), jsonw_text(w, p->url);
        jsonw_key(w, "region"), jsonw_text(w, p->region && *p->region ? p->region : NULL);
        jsonw_key(w, "keys"), jsonw_uint(w, p->key_count);
        jsonw_key(w, "zero_retention"), jsonw_bool(w, p->zero_retention);
        jsonw_key(w, "state"), jsonw_text(w, state_name(&t->provider_state[i]));
        jsonw_key(w, "breaker"), jsonw_text(w, breaker_name(worst_key(t, i, now_ms)));
        jsonw_key(w, "attempts_good"), jsonw_uint(w, good);
        jsonw_key(w, "attempts_failed"), jsonw_uint(w, bad);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
    jsonw_object_end(w);
    return_tables(e, t);
}

static void put_model(struct jsonw *w, const struct tables *t, uint32_t i, uint64_t now_ms)
{
    const struct catalog_model *m = &t->catalog->model[i];
    const struct price *p = price_at(&m->price, clock_unix_ns() / 1000000000u);
    jsonw_object(w);
    jsonw_key(w, "id"), jsonw_text(w, m->id);
    jsonw_key(w, "provider"), jsonw_text(w, t->catalog->provider[m->provider].name);
    jsonw_key(w, "upstream"), jsonw_text(w, m->upstream);
    jsonw_key(w, "configured"), jsonw_bool(w, m->configured);
    jsonw_key(w, "context"), show_known(w, m->context);
    jsonw_key(w, "max_output"), show_known(w, m->max_output);
    jsonw_key(w, "price"), show_price(w, p);
    jsonw_key(w, "continues");
    jsonw_text(w, catalog_continues_word(
                      catalog_continues_of(m, &t->catalog->provider[m->provider])));
    jsonw_key(w, "breaker");
    jsonw_text(w, breaker_name(breaker_look(&t->model_word[i * CATALOG_KEYS_MAX], now_ms)));
    jsonw_key(w, "state"), jsonw_text(w, state_name(&t->model_state[i]));
    jsonw_key(w, "provider_state"), jsonw_text(w, state_name(&t->provider_state[m->provider]));
    jsonw_object_end(w);
}

static void put_models(void *arg, struct jsonw *w)
{
    struct engine *e = arg;
    struct tables *t = borrow_tables(e);
    uint64_t now_ms = clock_now_ns() / 1000000;
    jsonw_object(w);
    jsonw_key(w, "data");
    jsonw_array(w);
    for (uint32_t i = 0; i < t->catalog->model_count; i++) put_model(w, t, i, now_ms);
    jsonw_array_end(w);
    jsonw_object_end(w);
    return_tables(e, t);
}

/* The compiled-in price of a model whose provider is not configured: usage is compared with
 * models that one could use. */
static bool builtin_price(struct bytes model, struct price_list *out)
{
    struct bytes at = builtin_models(), id = model;
    struct bytes provider = bytes_cut(&id, bytes_find(id, '/'));
    struct builtin_model m;
    if (id.len == 0 || provider.len == 0) return false;
    bytes_cut(&id, 1);
    while (builtin_model_next(&at, provider, &m)) {
        if (!bytes_eq(m.id, id)) continue;
        *out = m.price;
        return true;
    }
    return false;
}

static bool find_price(void *arg, struct bytes model, struct price_list *out,
                       char near[CATALOG_NAME_MAX + 1])
{
    struct engine *e = arg;
    struct tables *t = borrow_tables(e);
    int32_t i = catalog_find(t->catalog, model);
    const char *nearest = i < 0 ? catalog_nearest(t->catalog, model) : NULL;
    (void)snprintf(near, CATALOG_NAME_MAX + 1, "%s", nearest ? nearest : "");
    if (i >= 0) *out = t->catalog->model[i].price;
    return_tables(e, t);
    return i >= 0 || builtin_price(model, out);
}

static const char *nearest_provider(const struct catalog *c, struct bytes name)
{
    unsigned best = conf_distance_max(name) + 1;
    const char *near = NULL;
    for (uint32_t i = 0; i < c->provider_count; i++) {
        unsigned distance = conf_distance(name, bytes_of(c->provider[i].name), best);
        if (distance >= best) continue;
        best = distance;
        near = c->provider[i].name;
    }
    return near;
}

static bool find(void *arg, enum rotation_of of, struct bytes name,
                 char near[CATALOG_NAME_MAX + 1])
{
    struct engine *e = arg;
    /* On the store thread, which has a number of its own. */
    struct tables *t = atomic_load_explicit(&e->tables, memory_order_acquire);
    tables_pin(t, e->core_count + PARTY_STORE);
    bool model = of == ROTATION_MODEL;
    int32_t i = model ? catalog_find(t->catalog, name)
                      : catalog_provider_find(t->catalog, name);
    const char *nearest = NULL;
    if (i < 0) nearest = model ? catalog_nearest(t->catalog, name)
                               : nearest_provider(t->catalog, name);
    (void)snprintf(near, CATALOG_NAME_MAX + 1, "%s", nearest ? nearest : "");
    tables_unpin(t, e->core_count + PARTY_STORE);
    return i >= 0;
}

static void put_routes(void *arg, struct bytes provider, struct bytes model, store_id tenant,
                       struct jsonw *w)
{
    look_routes(arg, provider, model, tenant, w);
}

static bool explain(void *arg, const struct admin_explain *q, struct jsonw *w, char *why,
                    size_t room, char pointer[ADMIN_POINTER_MAX])
{
    return look_explain(arg, q, w, why, room, pointer);
}

static void make_secret(void *arg, char *out)
{
    (void)arg;
    look_secret(out);
}

static bool reload(void *arg, char *text, size_t room)
{
    struct engine *e = arg;
    return e->reload(e->reload_arg, text, room);
}

/* A limit begins with what is in the store: what ended before it was set is folded first. What
 * could not be is added when it is. */
static bool committed(void *arg)
{
    struct engine *e = arg;
    bool good = !e->db->rotated || rota_commit(e);
    if (e->budget && e->db->touched_count > 0) (void)keeper_fold(e->keeper);
    return (!e->budget || budget_refresh(e->budget) == STORE_OK) && good;
}

static const char *name_of_close(uint16_t why)
{
    return why < CLOSE_COUNT ? close_name((enum close_why)why) : "unknown";
}

void *look_host(struct engine *engine)
{
    struct admin_host *h = calloc(1, sizeof *h);
    if (!h) return NULL;
    *h = (struct admin_host){.db = engine->db, .arg = engine, .make_secret = make_secret,
                             .reload = reload, .find = find, .committed = committed,
                             .put_providers = put_providers,
                             .put_routes = put_routes, .explain = explain,
                             .put_models = put_models,
                             .find_price = find_price,
                             .close_name = name_of_close, .mode_name = reply_mode_name,
                             .reason_name = choose_code_text,
                             .budget = engine->budget,
                             .look_party = engine->core_count + PARTY_WORKER,
                             .change_party = engine->core_count + PARTY_STORE};
    return h;
}
