/* test_admin_routing.c - what the admin API says and changes of routing: states of providers
 * and models. */
#include "engine/admin/admin.h"
#include "store/fold.h"

#include "tests/unit/admin_calls.h"

struct seen { size_t count; char text[256]; };

static void see(enum rotation_of of, const char *name, enum rotation state, void *arg)
{
    struct seen *s = arg;
    size_t len = strlen(s->text);
    snprintf(s->text + len, sizeof(s->text) - len, "%c %s %s;", of, name, rotation_name(state));
    s->count++;
}

static void check_states(struct data_dir *d, const char *want)
{
    struct seen seen = {0};
    MDB_txn *txn = data_dir_begin(d, false);
    assert_int_equal(rotation_each(d->db, txn, see, &seen), STORE_OK);
    db_abort(txn);
    assert_string_equal(seen.text, want);
}

static void test_states_are_stored_and_answered(void **state)
{
    static const struct { const char *call, *body, *answer, *stored; } steps[] = {
        {"PATCH providers/mock", "{\"state\":\"drain\"}",
         "{\"name\":\"mock\",\"state\":\"drain\"}", "p mock drain;"},
        {"PATCH models/mock/one", "{\"state\":\"off\"}",
         "{\"id\":\"mock/one\",\"state\":\"off\"}", "m mock/one off;p mock drain;"},
        {"PATCH providers/mock", "{\"state\":\"on\"}",
         "{\"name\":\"mock\",\"state\":\"on\"}", "m mock/one off;"},
        {"PATCH models/mock/one", "{\"state\":\"on\"}",
         "{\"id\":\"mock/one\",\"state\":\"on\"}", ""},
    };
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    for (size_t i = 0; i < COUNT(steps); i++) {
        unsigned commits = e->commits;
        want(e, &a, 200, steps[i].call, steps[i].body);
        assert_int_equal(a.len, strlen(steps[i].answer));
        assert_memory_equal(a.text, steps[i].answer, a.len);
        assert_int_equal(e->commits, commits + 1);   /* told before it is answered */
        check_states(*state, steps[i].stored);
    }
    drop(&a);
    engine_close(e);
}

static void test_states_are_refused(void **state)
{
    static const struct {
        const char *call, *body;
        unsigned status;
        const char *pointer, *says;
    } cases[] = {
        {"PATCH providers/mack", "{\"state\":\"off\"}", 404, NULL, "did you mean 'mock'"},
        {"PATCH providers/x", "{\"state\":\"off\"}", 404, NULL, "no such provider: x"},
        {"PATCH models/mock/two", "{\"state\":\"off\"}", 404, NULL, "mean 'mock/one'"},
        {"PATCH models/mock", "{\"state\":\"off\"}", 404, NULL, "no such model: mock"},
        {"PATCH providers/mock", "{\"state\":\"of\"}", 400, "/state", "on, drain, off"},
        {"PATCH providers/mock", "{\"state\":null}", 400, "/state", "null"},
        {"PATCH providers/mock", "{\"state\":true}", 400, "/state", "text"},
        {"PATCH providers/mock", "{}", 400, "/state", "missing"},
        {"PATCH providers/mock", NULL, 400, "/state", "missing"},
        {"PATCH providers/mock", "{\"stat\":\"on\"}", 400, "/stat", "did you mean 'state'"},
        {"PUT providers/mock", "{\"state\":\"on\"}", 405, NULL, "PATCH"},
        {"GET models/mock/one", NULL, 405, NULL, "PATCH"},
    };
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        want(e, &a, cases[i].status, cases[i].call, cases[i].body);
        check_value(&a, "/error/pointer", cases[i].pointer);
        const char *message = pick(&a, "/error/message", NULL);
        if (!strstr(message, cases[i].says)) fail_msg("%s: %s", cases[i].call, message);
    }
    assert_int_equal(e->commits, 0);
    check_states(*state, "");
    drop(&a);
    engine_close(e);
}

/* It is stored though it is not in effect, and that is said. */
static void test_a_state_that_is_not_in_effect(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    e->stuck = true;
    want(e, &a, 503, "PATCH providers/mock", "{\"state\":\"off\"}");
    check_value(&a, "/error/code", "store_unavailable");
    check_states(*state, "p mock off;");
    drop(&a);
    engine_close(e);
}

static void test_what_routes_are_asked_for(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    char text[128], org[32], dept[32];
    want(e, &a, 201, "POST units", "{\"kind\":\"organization\",\"name\":\"o\"}");
    snprintf(org, sizeof(org), "%s", pick(&a, "/id", NULL));
    snprintf(text, sizeof(text),
             "{\"kind\":\"department\",\"name\":\"d\",\"parent\":\"%s\"}", org);
    want(e, &a, 201, "POST units", text);
    snprintf(dept, sizeof(dept), "%s", pick(&a, "/id", NULL));
    want(e, &a, 200, "GET routes", NULL);
    check_value(&a, "/data/0", "");
    check_value(&a, "/data/2", "false");
    snprintf(text, sizeof(text), "GET routes?provider=mock&model=mock%%2Fone&tenant=%s", org);
    want(e, &a, 200, text, NULL);
    check_value(&a, "/data/0", "mock");
    check_value(&a, "/data/1", "mock/one");
    check_value(&a, "/data/2", "true");
    snprintf(text, sizeof(text), "GET routes?tenant=%s", dept);
    want(e, &a, 400, text, NULL);
    want(e, &a, 400, "GET routes?tenants=x", NULL);
    want(e, &a, 400, "GET routes?provider=", NULL);
    snprintf(text, sizeof(text), "DELETE units/%s?recursive=1", org);
    want(e, &a, 200, text, NULL);
    snprintf(text, sizeof(text), "GET routes?tenant=%s", org);
    want(e, &a, 404, text, NULL);
    drop(&a);
    engine_close(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATA_TEST(test_states_are_stored_and_answered),
        DATA_TEST(test_states_are_refused),
        DATA_TEST(test_what_routes_are_asked_for),
        DATA_TEST(test_a_state_that_is_not_in_effect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
