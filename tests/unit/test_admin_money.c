/* test_admin_money.c - rates of policies, as callers of the admin API set and see them, on a
 * real store. */
#include "engine/admin/admin.h"
#include "engine/admin/admin_part.h"
#include "store/fold.h"
#include "store/org.h"

#include "tests/unit/admin_calls.h"

/* ---- rates of policies */

static void check_rates(struct answer *a, const char *rpm, const char *tpm, const char *running)
{
    check_value(a, "/policy/rpm", rpm);
    check_value(a, "/policy/tpm", tpm);
    check_value(a, "/policy/concurrency", running);
}

static void test_rates_stay_until_taken_back(void **state)
{
    static const struct { const char *policy, *rpm, *tpm, *running, *allow; } steps[] = {
        {"{\"rpm\":60}", "60", NULL, NULL, NULL},
        {"{\"tpm\":4294967295,\"allow\":[\"a\"]}", "60", "4294967295", NULL, "a"},
        {"{\"concurrency\":1}", "60", "4294967295", "1", "a"},
        {"{}", "60", "4294967295", "1", "a"},
        {"{\"rpm\":null,\"allow\":null}", NULL, "4294967295", "1", NULL},
        {"{\"concurrency\":20,\"tpm\":5,\"rpm\":1}", "1", "5", "20", NULL},
        {"{\"deny\":[\"x\"]}", "1", "5", "20", NULL},
        {"null", NULL, NULL, NULL, NULL},
    };
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct family f = make_family(e);
    char key[32], body[TEXT_MAX];
    make_key(e, f.member, key);
    for (size_t p = 0; p < 2; p++) {
        const char *path = p ? "keys/" : "units/", *id = p ? key : f.dep;
        for (size_t i = 0; i < COUNT(steps); i++) {
            char change[64], show[64];
            snprintf(change, sizeof(change), "PATCH %s%s", path, id);
            snprintf(show, sizeof(show), "GET %s%s", path, id);
            snprintf(body, sizeof(body), "{\"policy\":%s}", steps[i].policy);
            want(e, &a, 200, change, body);
            check_rates(&a, steps[i].rpm, steps[i].tpm, steps[i].running);
            want(e, &a, 200, show, NULL);
            check_rates(&a, steps[i].rpm, steps[i].tpm, steps[i].running);
            check_value(&a, "/policy/allow/0", steps[i].allow);
        }
    }
    drop(&a);
    engine_close(e);
}

static void test_rates_are_stored_as_the_cores_read_them(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct unit u;
    struct rates rates;
    want(e, &a, 201, "POST units", "{\"kind\":\"organization\",\"name\":\"n\",\"policy\":"
         "{\"concurrency\":3,\"deny\":[\"x\"],\"rpm\":60,\"tpm\":4294967295}}");
    const char *id = pick(&a, "/id", NULL);
    MDB_txn *txn = data_dir_begin(*state, false);
    assert_int_equal(org_get(e->host.db, txn, store_id_parse(id, strlen(id)), &u), STORE_OK);
    db_abort(txn);
    assert_true(policy_rates(u.policy.blob, u.policy.len, &rates));
    assert_int_equal(rates.rpm, 60);
    assert_true(rates.tpm == UINT32_MAX);
    assert_int_equal(rates.concurrency, 3);
    drop(&a);
    engine_close(e);
}

static void test_rates_are_whole_numbers(void **state)
{
    static const char *const names[] = {"rpm", "tpm", "concurrency"};
    static const char *const values[] = {"0", "-1", "4294967296", "1.5", "1.0", "1e3", "\"5\"",
                                         "true", "[1]", "{}", "18446744073709551617"};
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct family f = make_family(e);
    char body[TEXT_MAX], pointer[64];
    for (size_t n = 0; n < COUNT(names); n++) {
        snprintf(pointer, sizeof(pointer), "/policy/%s", names[n]);
        for (size_t i = 0; i < COUNT(values); i++) {
            snprintf(body, sizeof(body), "{\"policy\":{\"deny\":[\"a\"],\"%s\":%s}}", names[n],
                     values[i]);
            want(e, &a, 400, call_of("PATCH units/", f.org, ""), body);
            check_value(&a, "/error/code", "invalid_request");
            check_value(&a, "/error/pointer", pointer);
            assert_non_null(strstr(pick(&a, "/error/message", NULL), "1 to 4294967295"));
        }
        snprintf(body, sizeof(body), "{\"policy\":{\"%s\":1,\"%s\":1}}", names[n], names[n]);
        want(e, &a, 400, call_of("PATCH units/", f.org, ""), body);
        check_value(&a, "/error/pointer", pointer);
    }
    want(e, &a, 200, call_of("GET units/", f.org, ""), NULL);
    assert_int_equal(count_of(&a, "/policy"), 0);
    drop(&a);
    engine_close(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATA_TEST(test_rates_stay_until_taken_back),
        DATA_TEST(test_rates_are_stored_as_the_cores_read_them),
        DATA_TEST(test_rates_are_whole_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
