/* look_routes.c - the live score table as the admin API shows it: a row for each endpoint (a
 * model at one key of its provider), with what all cores learned of it up to now. */
#include "engine/clock.h"
#include "engine/engine.h"
#include "engine/learn.h"
#include "engine/look.h"
#include "engine/show.h"
#include "engine/tables.h"
#include "net/jsonw.h"
#include "route/score.h"
#include "store/rotation.h"

struct view {
    struct jsonw *w;
    struct tables *t;
    uint64_t now_ms, now_unix_s;
};

/* Of two words that both must let a request pass: the one that keeps it out longer. */
static void put_breaker(const struct view *v, const breaker_word *key,
                        const breaker_word *model)
{
    static const char *const names[] = {
        [BREAKER_CLOSED] = "closed", [BREAKER_OPEN] = "open", [BREAKER_PROBING] = "half_open",
    };
    enum breaker_state a = breaker_look(key, v->now_ms), b = breaker_look(model, v->now_ms);
    uint64_t left = breaker_left_ms(key, v->now_ms), other = breaker_left_ms(model, v->now_ms);
    enum breaker_state worst = a == BREAKER_OPEN || b == BREAKER_CLOSED ? a : b;
    jsonw_key(v->w, "breaker"), jsonw_text(v->w, names[worst]);
    jsonw_key(v->w, "breaker_s"), jsonw_fixed(v->w, (int64_t)(left > other ? left : other), 3);
}

static void put_learned(struct jsonw *w, const struct score_look *l)
{
    jsonw_key(w, "requests"), jsonw_uint(w, l->requests);
    jsonw_key(w, "in_flight"), jsonw_uint(w, l->in_flight);
    jsonw_key(w, "ttft_ms"), jsonw_fixed(w, l->ttft_us, 3);
    jsonw_key(w, "p95_ttft_ms"), jsonw_fixed(w, l->ttft_p95_us, 3);
    jsonw_key(w, "tokens_per_s"), jsonw_fixed(w, l->speed, 3);
    jsonw_key(w, "error_rate"), jsonw_fixed(w, l->error, 4);
    jsonw_key(w, "room"), jsonw_fixed(w, l->room, 4);
    jsonw_key(w, "room_reset_s"), jsonw_uint(w, l->room_reset_s);
    jsonw_key(w, "weight"), jsonw_uint(w, l->weight);
}

static void put_row(const struct view *v, uint32_t model, uint32_t key)
{
    const struct tables *t = v->t;
    const struct catalog_model *m = &t->catalog->model[model];
    struct score_look look;
    struct jsonw *w = v->w;
    score_look(t->scores, score_row(t->scores, model, key), v->now_ms, &look);
    enum score_state state = score_state_of(t->scores, model);
    jsonw_object(w);
    jsonw_key(w, "model"), jsonw_text(w, m->id);
    jsonw_key(w, "provider"), jsonw_text(w, t->catalog->provider[m->provider].name);
    jsonw_key(w, "key"), jsonw_uint(w, key);
    jsonw_key(w, "state"), jsonw_text(w, rotation_name((enum rotation)state));
    put_breaker(v, &t->key_word[m->provider][key],
                &t->model_word[model * CATALOG_KEYS_MAX + key]);
    put_learned(w, &look);
    jsonw_key(w, "price"), show_price(w, price_at(&m->price, v->now_unix_s));
    jsonw_key(w, "quality"), show_quality(w, &m->quality);
    jsonw_object_end(w);
}

void look_routes(struct engine *e, struct bytes provider, struct bytes model, store_id tenant,
                 struct jsonw *w)
{
    uint32_t worker = e->core_count + PARTY_WORKER;
    struct tables *t = atomic_load_explicit(&e->tables, memory_order_acquire);
    tables_pin(t, worker);
    struct view v = {.w = w, .t = t, .now_ms = clock_now_ns() / 1000000,
                     .now_unix_s = clock_unix_ns() / 1000000000u};
    jsonw_object(w);
    jsonw_key(w, "data");
    jsonw_array(w);
    for (uint32_t m = 0; t->scores && m < t->catalog->model_count; m++) {
        const struct catalog_model *at = &t->catalog->model[m];
        const struct catalog_provider *p = &t->catalog->provider[at->provider];
        if (provider.len && !bytes_eq(provider, bytes_of(p->name))) continue;
        bool named = bytes_eq(model, bytes_of(at->id)) || bytes_eq(model, bytes_of(at->bare));
        if (model.len && !named) continue;
        put_row(&v, m, 0);
        for (uint32_t k = 1; k < p->key_count; k++) put_row(&v, m, k);
    }
    jsonw_array_end(w);
    if (tenant) jsonw_key(w, "tenant"), learn_put(e->learn, e->core_count, tenant, w);
    jsonw_object_end(w);
    tables_unpin(t, worker);
}
