/* rota.c - see rota.h. The store is asked anew each time, into bytes of our own, and what
 * differs is set: nobody sees a moment in which all is on.
 * Rule: a state is an atomic byte that stands for itself; who reads it next obeys it. */
#include "engine/rota.h"
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/tables.h"
#include "route/score.h"
#include "store/rotation.h"

#include <pthread.h>
#include <stdlib.h>

struct rota {
    pthread_mutex_t lock;
};

static_assert((int)ROTATION_ON == (int)SCORE_ON && (int)ROTATION_DRAIN == (int)SCORE_DRAIN &&
              (int)ROTATION_OFF == (int)SCORE_OFF, "states have one number");

struct rota *rota_make(void)
{
    struct rota *r = calloc(1, sizeof *r);
    if (r) (void)pthread_mutex_init(&r->lock, NULL);
    return r;
}

void rota_lock(struct rota *r)
{
    if (r) (void)pthread_mutex_lock(&r->lock);
}

void rota_unlock(struct rota *r)
{
    if (r) (void)pthread_mutex_unlock(&r->lock);
}

/* What the store says of one version's names. */
struct states {
    const struct catalog *c;
    uint8_t provider[CATALOG_PROVIDERS_MAX];
    uint8_t *model;              /* c->model_count */
};

static void see(enum rotation_of of, const char *name, enum rotation state, void *arg)
{
    struct states *s = arg;
    int32_t i = of == ROTATION_PROVIDER ? catalog_provider_find(s->c, bytes_of(name))
                                        : catalog_find(s->c, bytes_of(name));
    if (i < 0) return;           /* not configured now */
    if (of == ROTATION_PROVIDER) s->provider[i] = (uint8_t)state;
    else s->model[i] = (uint8_t)state;
}

static void set(struct tables *t, const struct states *s)
{
    for (uint32_t p = 0; p < s->c->provider_count; p++) {
        atomic_store_explicit(&t->provider_state[p], s->provider[p], memory_order_relaxed);
        if (t->scores) score_set_provider(t->scores, p, (enum score_state)s->provider[p]);
    }
    for (uint32_t m = 0; m < s->c->model_count; m++) {
        atomic_store_explicit(&t->model_state[m], s->model[m], memory_order_relaxed);
        if (t->scores) score_set_model(t->scores, m, (enum score_state)s->model[m]);
    }
}

/* The same into t. False: t is as it was. */
static bool states_take(struct engine *e, MDB_txn *txn, struct tables *t)
{
    struct states s = {.c = t->catalog};
    s.model = calloc(s.c->model_count + 1, 1);
    bool good = s.model && rotation_each(e->db, txn, see, &s) == STORE_OK;
    if (good) set(t, &s);
    free(s.model);
    return good;
}

/* A host of which all providers are off keeps no connections. */
static void mark_hosts(struct engine *e, const struct tables *t)
{
    bool on[HOSTS_MAX] = {false};
    for (uint32_t p = 0; p < t->catalog->provider_count; p++) {
        uint8_t state = atomic_load_explicit(&t->provider_state[p], memory_order_relaxed);
        if (state != ROTATION_OFF) on[t->host[p]] = true;
    }
    for (uint32_t p = 0; p < t->catalog->provider_count; p++) {
        atomic_store_explicit(&e->hosts.at[t->host[p]]->off, !on[t->host[p]],
                              memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&e->rota_changes, 1, memory_order_release);
}

/* What a version of the same names had, for one whose states cannot be read. */
static void states_copy(struct tables *t, const struct tables *older)
{
    for (uint32_t p = 0; p < t->catalog->provider_count; p++) {
        int32_t was = catalog_provider_find(older->catalog,
                                            bytes_of(t->catalog->provider[p].name));
        if (was >= 0) t->provider_state[p] = older->provider_state[was];
    }
    for (uint32_t m = 0; m < t->catalog->model_count; m++) {
        int32_t was = catalog_find(older->catalog, bytes_of(t->catalog->model[m].id));
        if (was >= 0) t->model_state[m] = older->model_state[was];
    }
}

bool rota_take(struct engine *e, struct tables *t)
{
    MDB_txn *txn;
    const struct tables *older = atomic_load_explicit(&e->tables, memory_order_acquire);
    if (older && older != t) states_copy(t, older);
    if (!e->db) return true;
    if (db_begin(e->db, false, &txn) != STORE_OK) return false;
    bool good = states_take(e, txn, t);
    db_abort(txn);
    mark_hosts(e, t);
    return good;
}

bool rota_commit(struct engine *e)
{
    MDB_txn *txn;
    assert(e->db);
    rota_lock(e->rota);
    bool good = db_begin(e->db, false, &txn) == STORE_OK;
    struct tables *newest = atomic_load_explicit(&e->tables, memory_order_acquire);
    bool reads = good;
    for (struct tables *t = newest; good && t; t = t->older) good = states_take(e, txn, t);
    if (reads) db_abort(txn);
    if (good) mark_hosts(e, newest);
    if (good) e->db->rotated = false;
    rota_unlock(e->rota);
    for (uint32_t i = 0; good && i < e->core_count; i++) core_wake(e->core[i]);
    return good;
}
