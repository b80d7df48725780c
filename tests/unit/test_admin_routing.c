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

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATA_TEST(test_states_are_stored_and_answered),
        DATA_TEST(test_states_are_refused),
        DATA_TEST(test_a_state_that_is_not_in_effect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
