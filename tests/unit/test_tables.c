/* test_tables.c - a version of the tables: provider hosts entered once, what was learned goes
 * over by name to the next version, pins hold a version. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/conf.h"
#include "engine/host.h"
#include "engine/tables.h"
#include "tests/unit/conf_kit.h"

static struct hosts *hosts;

static int setup(void **state)
{
    (void)state;
    hosts = calloc(1, sizeof *hosts);
    return hosts ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < hosts->count; i++) free(hosts->at[i]);
    free(hosts);
    return 0;
}

static uint32_t provider(const struct tables *t, const char *name)
{
    int32_t i = catalog_provider_find(t->catalog, bytes_of(name));
    assert_true(i >= 0);
    return (uint32_t)i;
}

static breaker_word *model_word(struct tables *t, const char *id, uint32_t key)
{
    int32_t i = catalog_find(t->catalog, bytes_of(id));
    assert_true(i >= 0);
    return &t->model_word[(uint32_t)i * CATALOG_KEYS_MAX + key];
}

static void test_hosts_are_entered_once(void **state)
{
    (void)state;
    static const char yaml[] =
        "providers:\n"
        "  - {name: a, url: \"https://api.example/v1\", keys: [k]}\n"
        "  - {name: b, url: \"https://api.example/v2\", keys: [k]}\n"
        "  - {name: c, url: \"http://api.example/v1\", keys: [k]}\n"
        "  - {name: d, url: \"http://127.0.0.1:9/v1\", keys: [k]}\n";
    struct tables *t = tables_make(conf_of(yaml), hosts, NULL);
    assert_non_null(t);
    assert_int_equal(t->version, 1);
    assert_int_equal(hosts->count, 3);
    assert_int_equal(t->host[provider(t, "a")], t->host[provider(t, "b")]);
    assert_int_not_equal(t->host[provider(t, "a")], t->host[provider(t, "c")]);
    const struct host *d = hosts->at[t->host[provider(t, "d")]];
    struct host_addresses found;
    assert_true(d->literal && host_look(d, &found));
    struct tables *next = tables_make(conf_of(yaml), hosts, t);
    assert_int_equal(next->version, 2);
    assert_int_equal(hosts->count, 3);         /* pools and addresses outlive a reload */
    for (uint32_t p = 0; p < 4; p++) assert_int_equal(next->host[p], t->host[p]);
    tables_free(t);
    tables_free(next);
}

static void test_learned_state_goes_over_by_name(void **state)
{
    (void)state;
    struct tables *old = tables_make(conf_of(
        "providers:\n"
        "  - {name: a, url: \"http://a.example\", keys: [one, two, three]}\n"
        "  - {name: b, url: \"http://b.example\", keys: [one]}\n"
        "models: [{id: a/m}, {id: a/n}, {id: b/m}]\n"), hosts, NULL);
    uint32_t a = provider(old, "a"), b = provider(old, "b");
    for (uint32_t k = 0; k < 3; k++) atomic_store(&old->key_word[a][k], 100 + k);
    atomic_store(&old->key_word[b][0], 200);
    atomic_store(model_word(old, "a/m", 0), 300);
    atomic_store(model_word(old, "a/n", 0), 400);
    atomic_store(model_word(old, "b/m", 0), 500);
    /* Providers in another order, keys in another order, one gone, one new; models too. */
    struct tables *t = tables_make(conf_of(
        "providers:\n"
        "  - {name: c, url: \"http://c.example\", keys: [one]}\n"
        "  - {name: b, url: \"http://elsewhere.example\", keys: [one]}\n"
        "  - {name: a, url: \"http://a.example\", keys: [three, four, one]}\n"
        "models: [{id: c/m}, {id: a/m}, {id: b/m}, {id: a/new}]\n"), hosts, old);
    assert_int_equal(t->version, 2);
    a = provider(t, "a");
    assert_int_equal(atomic_load(&t->key_word[a][0]), 102);
    assert_int_equal(atomic_load(&t->key_word[a][1]), 0);
    assert_int_equal(atomic_load(&t->key_word[a][2]), 100);
    assert_int_equal(atomic_load(&t->key_word[provider(t, "b")][0]), 200);
    assert_int_equal(atomic_load(&t->key_word[provider(t, "c")][0]), 0);
    assert_int_equal(atomic_load(model_word(t, "a/new", 0)), 0);
    assert_int_equal(atomic_load(model_word(t, "c/m", 0)), 0);
    assert_int_equal(atomic_load(model_word(t, "b/m", 0)), 500);
    tables_free(old);
    tables_free(t);
}

/* A model's words are per key: they follow the key's name, as the key's own words do. */
static void test_words_of_models_follow_their_key(void **state)
{
    (void)state;
    struct tables *old = tables_make(conf_of(
        "providers: [{name: a, url: \"http://a.example\", keys: [one, two]}]\n"
        "models: [{id: a/m}]\n"), hosts, NULL);
    atomic_store(model_word(old, "a/m", 0), 31);
    atomic_store(model_word(old, "a/m", 1), 32);
    struct tables *t = tables_make(conf_of(
        "providers: [{name: a, url: \"http://a.example\", keys: [two, new]}]\n"
        "models: [{id: a/m}]\n"), hosts, old);
    assert_int_equal(atomic_load(model_word(t, "a/m", 0)), 32);
    assert_int_equal(atomic_load(model_word(t, "a/m", 1)), 0);
    tables_free(old);
    tables_free(t);
}

static void test_too_many_hosts(void **state)
{
    (void)state;
    for (uint16_t i = 0; i < HOSTS_MAX; i++) {
        assert_int_equal(hosts_find(hosts, "full.example", (uint16_t)(1 + i), true, false), i);
    }
    struct conf *conf =
        conf_of("providers: [{name: a, url: \"http://a.example\", keys: [k]}]\n");
    assert_null(tables_make(conf, hosts, NULL));
    conf_free(conf);                           /* it was not taken */
    conf = conf_of("providers: [{name: a, url: \"https://full.example:7\", keys: [k]}]\n");
    struct tables *t = tables_make(conf, hosts, NULL);
    assert_non_null(t);
    assert_int_equal(t->host[0], 6);
    tables_free(t);
}

static void test_pins(void **state)
{
    (void)state;
    struct tables *t = tables_make(conf_of(""), hosts, NULL);
    assert_int_equal(tables_pins(t, TABLES_CORES_MAX), 0);
    tables_pin(t, 0);
    tables_pin(t, 0);
    tables_pin(t, TABLES_CORES_MAX - 1);
    assert_int_equal(tables_pins(t, TABLES_CORES_MAX), 3);
    assert_int_equal(tables_pins(t, 1), 2);
    tables_unpin(t, 0);
    tables_unpin(t, TABLES_CORES_MAX - 1);
    assert_int_equal(tables_pins(t, TABLES_CORES_MAX), 1);
    tables_unpin(t, 0);
    assert_int_equal(tables_pins(t, TABLES_CORES_MAX), 0);
    tables_free(t);
}

#define WITH_HOSTS(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HOSTS(test_hosts_are_entered_once),
        WITH_HOSTS(test_learned_state_goes_over_by_name),
        WITH_HOSTS(test_words_of_models_follow_their_key),
        WITH_HOSTS(test_too_many_hosts),
        WITH_HOSTS(test_pins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
