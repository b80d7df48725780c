/* test_rota.c - states of providers and models, from the store into every version of the
 * tables: its scores, its hosts; over reloads and restarts. */
#include "engine/conf.h"
#include "engine/engine.h"
#include "engine/rota.h"
#include "engine/tables.h"
#include "route/score.h"
#include "store/rotation.h"

#include "tests/unit/conf_kit.h"
#include "tests/unit/data_dir.h"

static const char yaml[] =
    "providers:\n"
    "  - {name: a, url: \"http://127.0.0.1:9/v1\", keys: [k]}\n"
    "  - {name: b, url: \"http://127.0.0.1:9/v2\", keys: [k]}\n"
    "  - {name: c, url: \"http://127.0.0.1:10/v1\", keys: [k]}\n"
    "models: [{id: a/m}, {id: b/m}, {id: c/m}, {id: c/n}]\n";

struct place {
    struct data_dir *d;
    struct engine *e;
};

static struct tables *version(struct place *p, const char *text, struct tables *older)
{
    struct tables *t = tables_make(conf_of(text), &p->e->hosts, older);
    assert_non_null(t);
    assert_true(tables_score(t, older, 1));
    return t;
}

/* As the main thread publishes. */
static struct tables *publish(struct place *p, const char *text)
{
    struct tables *older = atomic_load(&p->e->tables), *t = version(p, text, older);
    rota_lock(p->e->rota);
    assert_true(rota_take(p->e, t));
    t->older = older;
    atomic_store(&p->e->tables, t);
    rota_unlock(p->e->rota);
    return t;
}

static struct place open_place(struct data_dir *d)
{
    struct place p = {d, calloc(1, sizeof(struct engine))};
    assert_non_null(p.e);
    p.e->db = data_dir_open(d);
    p.e->rota = rota_make();
    assert_non_null(p.e->rota);
    (void)publish(&p, yaml);
    return p;
}

static void close_place(struct place *p)
{
    for (struct tables *t = atomic_load(&p->e->tables), *older; t; t = older) {
        older = t->older;
        tables_free(t);
    }
    for (uint32_t i = 0; i < p->e->hosts.count; i++) free(p->e->hosts.at[i]);
    free(p->e->rota);
    free(p->e);
}

static void set(struct place *p, enum rotation_of of, const char *name, enum rotation state)
{
    MDB_txn *txn = data_dir_begin(p->d, true);
    assert_int_equal(rotation_put(p->d->db, txn, of, name, strlen(name), state), STORE_OK);
    data_dir_commit(p->d, txn);
    assert_true(p->d->db->rotated);
    uint32_t changes = p->e->rota_changes;
    assert_true(rota_commit(p->e));
    assert_false(p->d->db->rotated);
    assert_true(p->e->rota_changes != changes);
}

/* "a/m=off b/m=on ...": what holds for each model. */
static void check(const struct tables *t, const char *want)
{
    char text[256] = "";
    for (uint32_t m = 0; m < t->catalog->model_count; m++) {
        if (!t->catalog->model[m].configured) continue;
        size_t len = strlen(text);
        enum score_state s = score_state_of(t->scores, m);
        snprintf(text + len, sizeof(text) - len, "%s%s=%s", len ? " " : "",
                 t->catalog->model[m].id, rotation_name((enum rotation)s));
    }
    assert_string_equal(text, want);
}

static bool is_off(const struct place *p, const struct tables *t, const char *provider)
{
    int32_t i = catalog_provider_find(t->catalog, bytes_of(provider));
    return atomic_load(&p->e->hosts.at[t->host[i]]->off);
}

static void test_states_reach_every_version(void **state)
{
    struct place p = open_place(*state);
    struct tables *first = atomic_load(&p.e->tables);
    check(first, "a/m=on b/m=on c/m=on c/n=on");
    struct tables *second = publish(&p, yaml);
    set(&p, ROTATION_PROVIDER, "a", ROTATION_OFF);
    set(&p, ROTATION_MODEL, "c/n", ROTATION_DRAIN);
    set(&p, ROTATION_MODEL, "nobody/x", ROTATION_OFF);       /* not configured */
    set(&p, ROTATION_PROVIDER, "nobody", ROTATION_OFF);
    check(first, "a/m=off b/m=on c/m=on c/n=drain");
    check(second, "a/m=off b/m=on c/m=on c/n=drain");
    int32_t a = catalog_provider_find(first->catalog, BYTES("a"));
    int32_t n = catalog_find(first->catalog, BYTES("c/n"));
    assert_int_equal(first->provider_state[a], ROTATION_OFF);
    assert_int_equal(first->model_state[n], ROTATION_DRAIN);
    set(&p, ROTATION_PROVIDER, "c", ROTATION_OFF);
    check(second, "a/m=off b/m=on c/m=off c/n=off");
    set(&p, ROTATION_PROVIDER, "c", ROTATION_ON);            /* a model's own state stays */
    set(&p, ROTATION_PROVIDER, "a", ROTATION_ON);
    check(second, "a/m=on b/m=on c/m=on c/n=drain");
    close_place(&p);
}

static void test_states_outlive_reload_and_restart(void **state)
{
    static const char fewer[] =
        "providers:\n"
        "  - {name: z, url: \"http://127.0.0.1:11/v1\", keys: [k]}\n"
        "  - {name: c, url: \"http://127.0.0.1:10/v1\", keys: [k]}\n"
        "models: [{id: z/m}, {id: c/n}]\n";
    struct place p = open_place(*state);
    set(&p, ROTATION_PROVIDER, "a", ROTATION_DRAIN);
    set(&p, ROTATION_MODEL, "c/n", ROTATION_OFF);
    check(publish(&p, fewer), "c/n=off z/m=on");
    check(publish(&p, yaml), "a/m=drain b/m=on c/m=on c/n=off");   /* a is back, as it was */
    close_place(&p);
    p = open_place(*state);
    check(atomic_load(&p.e->tables), "a/m=drain b/m=on c/m=on c/n=off");
    close_place(&p);
}

/* Connections are kept as long as one provider of the host is not off. */
static void test_hosts_without_a_provider_are_marked(void **state)
{
    struct place p = open_place(*state);
    const struct tables *t = atomic_load(&p.e->tables);
    set(&p, ROTATION_PROVIDER, "a", ROTATION_OFF);
    assert_false(is_off(&p, t, "a"));
    set(&p, ROTATION_PROVIDER, "b", ROTATION_DRAIN);
    set(&p, ROTATION_MODEL, "c/m", ROTATION_OFF);
    set(&p, ROTATION_MODEL, "c/n", ROTATION_OFF);
    assert_false(is_off(&p, t, "a"));
    assert_false(is_off(&p, t, "c"));
    set(&p, ROTATION_PROVIDER, "b", ROTATION_OFF);
    assert_true(is_off(&p, t, "a"));
    assert_false(is_off(&p, t, "c"));
    set(&p, ROTATION_PROVIDER, "a", ROTATION_DRAIN);
    assert_false(is_off(&p, t, "a"));
    close_place(&p);
}

/* A store that cannot be read leaves what was. */
static void test_damage_changes_nothing(void **state)
{
    struct place p = open_place(*state);
    set(&p, ROTATION_PROVIDER, "a", ROTATION_OFF);
    MDB_txn *txn = data_dir_begin(p.d, true);
    MDB_val key = {2, (void *)(uintptr_t)"pc"}, data = {2, (void *)(uintptr_t)"\1\7"};
    assert_int_equal(mdb_put(txn, p.d->db->dbi[DB_ROTATION], &key, &data, 0), 0);
    data_dir_commit(p.d, txn);
    struct tables *t = atomic_load(&p.e->tables), *next = version(&p, yaml, t);
    assert_false(rota_commit(p.e));
    assert_non_null(strstr(p.d->db->why, "a state"));
    check(t, "a/m=off b/m=on c/m=on c/n=on");
    assert_false(rota_take(p.e, next));
    check(next, "a/m=off b/m=on c/m=on c/n=on");
    assert_int_equal(next->provider_state[0], ROTATION_OFF);
    tables_free(next);
    close_place(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATA_TEST(test_states_reach_every_version),
        DATA_TEST(test_states_outlive_reload_and_restart),
        DATA_TEST(test_hosts_without_a_provider_are_marked),
        DATA_TEST(test_damage_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
