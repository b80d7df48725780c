/* test_admin_money.c - rates, budgets and credits, as callers of the admin API set and see
 * them, on a real store: exact, and when refused nothing is half done. */
#include "engine/admin/admin.h"
#include "engine/admin/admin_part.h"
#include "store/credits.h"
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
    struct lineage f = make_family(e);
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
    struct lineage f = make_family(e);
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

/* ---- budgets */

/* Answer `what` must give the very text that `before` holds. */
static void check_same(struct engine *e, struct answer *before, const char *what)
{
    struct answer now = {0};
    want(e, &now, 200, what, NULL);
    if (now.len != before->len || memcmp(now.text, before->text, now.len) != 0) {
        fail_msg("%s: %.*s, was %.*s", what, (int)now.len, now.text, (int)before->len,
                 before->text);
    }
    drop(&now);
}

/* A limit of an answer: amount, window, spent, remaining, end. */
static void check_limit(struct answer *a, unsigned at, const char *usd, const char *window,
                        const char *spent, const char *remaining, const char *resets)
{
    const char *names[] = {"usd", "window", "spent", "held", "remaining", "resets_at"};
    const char *values[] = {usd, window, spent, "0", remaining, resets};
    for (size_t i = 0; i < COUNT(names); i++) {
        char pointer[64];
        snprintf(pointer, sizeof(pointer), "/limits/%u/%s", at, names[i]);
        check_value(a, pointer, values[i]);
    }
}

static void test_budgets_are_set_shown_taken_away(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    char key[32], get[64], put[64];
    make_key(e, f.member, key);
    const char *ids[] = {f.org, f.dep, f.team, f.member, key};
    for (size_t i = 0; i < COUNT(ids); i++) {
        snprintf(get, sizeof(get), "GET budgets/%s", ids[i]);
        snprintf(put, sizeof(put), "PUT budgets/%s", ids[i]);
        want(e, &a, 200, get, NULL);
        assert_int_equal(count_of(&a, "/limits"), 0);
        want(e, &a, 200, put, "{\"limits\":[{\"window\":\"total\",\"usd\":\"1000000000\"},"
             "{\"usd\":\"0.000000001\",\"window\":\"hour\"},{\"usd\":\"0\",\"window\":"
             "\"week\"},{\"usd\":\"12.50\",\"window\":\"day\"},"
             "{\"usd\":\"7\",\"window\":\"month\"}]}");
        assert_int_equal(count_of(&a, "/limits"), 5);
        check_limit(&a, 0, "0.000000001", "hour", "0", "0.000000001", "2026-01-30T01:00:00Z");
        check_limit(&a, 1, "12.5", "day", "0", "12.5", "2026-01-31T00:00:00Z");
        check_limit(&a, 2, "0", "week", "0", "0", "2026-02-02T00:00:00Z");
        check_limit(&a, 3, "7", "month", "0", "7", "2026-02-01T00:00:00Z");
        check_limit(&a, 4, "1000000000", "total", "0", "1000000000", "null");
        check_same(e, &a, get);
        /* All of them anew: what is absent goes. */
        want(e, &a, 200, put, "{\"limits\":[{\"usd\":\"3\",\"window\":\"day\"}]}");
        assert_int_equal(count_of(&a, "/limits"), 1);
        check_limit(&a, 0, "3", "day", "0", "3", "2026-01-31T00:00:00Z");
        check_same(e, &a, get);
        want(e, &a, 200, put, "{\"limits\":[]}");
        assert_int_equal(count_of(&a, "/limits"), 0);
        check_same(e, &a, get);
        want(e, &a, 200, put, "{\"limits\":[{\"usd\":\"3\",\"window\":\"day\"}]}");
        for (int again = 0; again < 2; again++) {
            want(e, &a, 200, call_of("DELETE budgets/", ids[i], ""), NULL);
            check_value(&a, "/id", ids[i]);
            check_value(&a, "/deleted", "true");
        }
        want(e, &a, 200, get, NULL);
        assert_int_equal(count_of(&a, "/limits"), 0);
    }
    drop(&a);
    engine_close(e);
}

/* Spent counts from the window's start, also for a limit that is set later, and stays when it
 * is raised or lowered. */
static void test_budgets_know_what_is_spent(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    char key[32], put[64], get[64];
    make_key(e, f.member, key);
    struct record r[3];
    for (uint64_t i = 0; i < 3; i++) r[i] = make_record(&f, key, i * 60 + 1);
    fold(*state, r, 3);  /* 0.001234567 each, at 0:01, 1:01 and 2:01 */
    e->now = EPOCH + 2 * 3600 * S_NS + 600 * S_NS;
    const char *ids[] = {f.org, f.dep, f.team, f.member, key};
    for (size_t i = 0; i < COUNT(ids); i++) {
        snprintf(put, sizeof(put), "PUT budgets/%s", ids[i]);
        snprintf(get, sizeof(get), "GET budgets/%s", ids[i]);
        want(e, &a, 200, put, "{\"limits\":[{\"usd\":\"1\",\"window\":\"hour\"},"
             "{\"usd\":\"0.003\",\"window\":\"day\"},{\"usd\":\"2\",\"window\":\"total\"}]}");
        check_limit(&a, 0, "1", "hour", "0.001234567", "0.998765433", "2026-01-30T03:00:00Z");
        check_limit(&a, 1, "0.003", "day", "0.003703701", "0", "2026-01-31T00:00:00Z");
        check_limit(&a, 2, "2", "total", "0.003703701", "1.996296299", "null");
        want(e, &a, 200, put, "{\"limits\":[{\"usd\":\"0.003703702\",\"window\":\"day\"}]}");
        check_limit(&a, 0, "0.003703702", "day", "0.003703701", "0.000000001",
                    "2026-01-31T00:00:00Z");
        check_same(e, &a, get);
    }
    e->now = EPOCH + 86400 * S_NS;
    want(e, &a, 200, get, NULL);
    check_limit(&a, 0, "0.003703702", "day", "0", "0.003703702", "2026-02-01T00:00:00Z");
    drop(&a);
    engine_close(e);
}

static void test_budgets_are_refused_whole(void **state)
{
    static const struct { const char *body, *code, *pointer, *says; } cases[] = {
        {"", "invalid_request", "/limits", "missing"},
        {"{}", "invalid_request", "/limits", "missing"},
        {"[]", "invalid_request", NULL, "object"},
        {"{\"limits\":", "invalid_json", NULL, "JSON"},
        {"{\"limits\":null}", "invalid_request", "/limits", "null"},
        {"{\"limits\":{}}", "invalid_request", "/limits", "list"},
        {"{\"limits\":\"100\"}", "invalid_request", "/limits", "list"},
        {"{\"limits\":[],\"limits\":[]}", "invalid_request", "/limits", "repeated"},
        {"{\"limit\":[]}", "invalid_request", "/limit", "'limits'"},
        {"{\"limits\":[],\"x/~\":1}", "invalid_request", "/x~1~0", "unknown"},
        {LIMITS("1"), "invalid_request", "/limits/0", "object"},
        {LIMITS("null"), "invalid_request", "/limits/0", "object"},
        {LIMITS("[]"), "invalid_request", "/limits/0", "object"},
        {LIMITS("{}"), "invalid_request", "/limits/0/usd", "missing"},
        {LIMITS("{\"usd\":\"1\"}"), "invalid_request", "/limits/0/window", "missing"},
        {LIMITS("{\"window\":\"day\"}"), "invalid_request", "/limits/0/usd", "missing"},
        {LIMITS(LIMIT("\"1\"", "\"year\"")), "invalid_request", "/limits/0/window",
         "hour, day, week, month, total"},
        {LIMITS(LIMIT("\"1\"", "1")), "invalid_request", "/limits/0/window", "text"},
        {LIMITS(LIMIT("\"1\"", "null")), "invalid_request", "/limits/0/window", "null"},
        {LIMITS(LIMIT("1", "\"day\"")), "invalid_request", "/limits/0/usd", "exact"},
        {LIMITS(LIMIT("1.5", "\"day\"")), "invalid_request", "/limits/0/usd", "exact"},
        {LIMITS(LIMIT("null", "\"day\"")), "invalid_request", "/limits/0/usd", "null"},
        {LIMITS(LIMIT("true", "\"day\"")), "invalid_request", "/limits/0/usd", "exact"},
        {LIMITS(LIMIT("[]", "\"day\"")), "invalid_request", "/limits/0/usd", "exact"},
        {LIMITS(LIMIT("\"\"", "\"day\"")), "invalid_request", "/limits/0/usd", "dollars"},
        {LIMITS(LIMIT("\"-1\"", "\"day\"")), "invalid_request", "/limits/0/usd", "0 to"},
        {LIMITS(LIMIT("\"+1\"", "\"day\"")), "invalid_request", "/limits/0/usd", "dollars"},
        {LIMITS(LIMIT("\" 1\"", "\"day\"")), "invalid_request", "/limits/0/usd", "dollars"},
        {LIMITS(LIMIT("\"1e3\"", "\"day\"")), "invalid_request", "/limits/0/usd", "dollars"},
        {LIMITS(LIMIT("\"1.0000000001\"", "\"day\"")), "invalid_request", "/limits/0/usd",
         "at most 9 decimals"},
        {LIMITS(LIMIT("\"1000000000.000000001\"", "\"day\"")), "invalid_request",
         "/limits/0/usd", "1000000000"},
        {LIMITS(LIMIT("\"99999999999999999999\"", "\"day\"")), "invalid_request",
         "/limits/0/usd", "1000000000"},
        {LIMITS("{\"usd\":\"1\",\"window\":\"day\",\"usd\":\"1\"}"), "invalid_request",
         "/limits/0/usd", "repeated"},
        {LIMITS("{\"usd\":\"1\",\"window\":\"day\",\"spent\":\"0\"}"), "invalid_request",
         "/limits/0/spent", "unknown"},
        {LIMITS(LIMIT("\"1\"", "\"day\"") "," LIMIT("\"1\"", "\"day\"")), "invalid_request",
         "/limits/1/window", "repeated"},
        {LIMITS(LIMIT("\"1\"", "\"day\"") "," LIMIT("\"1\"", "\"hour\"") ","
                LIMIT("\"x\"", "\"week\"")), "invalid_request", "/limits/2/usd", "'x'"},
    };
    struct engine *e = engine_open(*state);
    struct answer a = {0}, before = {0};
    struct lineage f = make_family(e);
    want(e, &before, 200, call_of("PUT budgets/", f.team, ""),
         LIMITS(LIMIT("\"5\"", "\"month\"")));
    unsigned commits = e->commits;
    for (size_t i = 0; i < COUNT(cases); i++) {
        want(e, &a, 400, call_of("PUT budgets/", f.team, ""), cases[i].body);
        check_value(&a, "/error/code", cases[i].code);
        check_value(&a, "/error/pointer", cases[i].pointer);
        const char *message = pick(&a, "/error/message", NULL);
        if (!strstr(message, cases[i].says)) fail_msg("%s: %s", cases[i].body, message);
        check_same(e, &before, call_of("GET budgets/", f.team, ""));
    }
    assert_int_equal(e->commits, commits);
    drop(&a);
    drop(&before);
    engine_close(e);
}

static void test_budgets_of_nobody(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    char key[32], gone[UNIT_KINDS][STORE_ID_TEXT_MAX];
    make_key(e, f.member, key);
    want(e, &a, 200, call_of("DELETE keys/", key, ""), NULL);
    for (unsigned kind = 0; kind < UNIT_KINDS; kind++) {
        store_id_text(store_id_make((enum unit_kind)kind, 999), gone[kind]);
    }
    const char *ids[] = {"x", "org_", "key_zzzzzzzzzzzzz", "crd_0000000000000001", key,
                         gone[0], gone[1], gone[2], gone[3], gone[4]};
    for (size_t i = 0; i < COUNT(ids); i++) {
        want(e, &a, 404, call_of("GET budgets/", ids[i], ""), NULL);
        check_value(&a, "/error/code", "not_found");
        want(e, &a, 404, call_of("PUT budgets/", ids[i], ""), "{\"limits\":[]}");
        want(e, &a, 404, call_of("PUT budgets/", ids[i], ""),
             LIMITS(LIMIT("\"5\"", "\"month\"")));
        check_value(&a, "/error/code", "not_found");
        want(e, &a, 404, call_of("DELETE budgets/", ids[i], ""), NULL);
    }
    drop(&a);
    engine_close(e);
}

static enum store_rc limits_of(struct data_dir *d, const char *id)
{
    struct limits limits;
    MDB_txn *txn = data_dir_begin(d, false);
    enum store_rc rc = limits_get(d->db, txn, store_id_parse(id, strlen(id)), &limits);
    db_abort(txn);
    return rc;
}

static void test_budgets_go_with_their_targets(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    char key[32], other[32];
    make_key(e, f.member, key);
    make_key(e, f.member, other);
    const char *ids[] = {f.org, f.dep, f.team, f.member, key, other};
    for (size_t i = 0; i < COUNT(ids); i++) {
        want(e, &a, 200, call_of("PUT budgets/", ids[i], ""),
             LIMITS(LIMIT("\"5\"", "\"month\"")));
        assert_int_equal(limits_of(*state, ids[i]), STORE_OK);
    }
    want(e, &a, 200, call_of("DELETE keys/", other, ""), NULL);
    assert_int_equal(limits_of(*state, other), STORE_NOT_FOUND);
    assert_int_equal(limits_of(*state, key), STORE_OK);
    want(e, &a, 200, call_of("DELETE units/", f.dep, "?recursive=1"), NULL);
    assert_int_equal(limits_of(*state, f.org), STORE_OK);
    for (size_t i = 1; i < COUNT(ids); i++) {
        assert_int_equal(limits_of(*state, ids[i]), STORE_NOT_FOUND);
    }
    drop(&a);
    engine_close(e);
}

/* ---- credits */

static void check_pool(struct engine *e, const struct lineage *f, const char *balance,
                       unsigned entries)
{
    struct answer a = {0};
    want(e, &a, 200, credits(f, "GET", ""), NULL);
    check_value(&a, "/balance", balance);
    check_value(&a, "/held", "0");
    assert_int_equal(count_of(&a, "/entries"), entries);
    drop(&a);
}

static void test_credits_are_entered_and_add_up(void **state)
{
    static const struct { const char *usd, *reference, *kind, *change, *balance; } steps[] = {
        {"100", "inv-1", "top_up", "100", "100"},
        {"0.000000001", "gift", "grant", "0.000000001", "100.000000001"},
        {"30.5", "back-1", "refund", "-30.5", "69.500000001"},
        {"-70", "oops", "correction", "-70", "-0.499999999"},
        {"5", "oops 2 \\u00fc", "correction", "5", "4.500000001"},
        {"4.500000001", "back-2", "refund", "-4.500000001", "0"},
        {"1000000000", "all", "top_up", "1000000000", "1000000000"},
    };
    struct engine *e = engine_open(*state);
    struct answer a = {0}, first = {0};
    struct lineage f = make_family(e);
    want(e, &a, 200, credits(&f, "GET", ""), NULL);
    check_value(&a, "/pool", "unlimited");
    check_value(&a, "/has_more", "false");
    check_pool(e, &f, "0", 0);
    for (unsigned i = 0; i < COUNT(steps); i++) {
        e->now += S_NS;
        const char *body = entry(steps[i].usd, steps[i].reference, steps[i].kind);
        want(e, &first, 201, credits(&f, "POST", ""), body);
        check_value(&first, "/usd", steps[i].usd);
        check_value(&first, "/kind", steps[i].kind);
        check_value(&first, "/balance_change", steps[i].change);
        check_pool(e, &f, steps[i].balance, i + 1);
        /* The same again is the same entry: nothing is entered. */
        e->now += S_NS;
        want(e, &a, 200, credits(&f, "POST", ""), body);
        assert_int_equal(a.len, first.len);
        assert_memory_equal(a.text, first.text, a.len);
        check_pool(e, &f, steps[i].balance, i + 1);
    }
    want(e, &a, 200, credits(&f, "GET", ""), NULL);
    check_value(&a, "/entries/0/reference", "all");
    check_value(&a, "/entries/2/reference", "oops 2 \xc3\xbc");
    check_value(&a, "/entries/6/created_at", "2026-01-30T00:00:01Z");
    drop(&a);
    drop(&first);
    engine_close(e);
}

static void test_credits_are_refused_whole(void **state)
{
    static const struct { unsigned status; const char *usd, *reference, *kind, *pointer; }
    cases[] = {
        {409, "99", "inv-1", "top_up", "/reference"},
        {409, "100", "inv-1", "grant", "/reference"},
        {409, "-100", "inv-1", "correction", "/reference"},
        {409, "100", "inv-1", "refund", "/reference"},
        {409, "100.000000001", "back", "refund", "/usd"},
        {400, "0", "a", "top_up", "/usd"}, {400, "-1", "a", "top_up", "/usd"},
        {400, "0.0", "a", "grant", "/usd"}, {400, "-1", "a", "grant", "/usd"},
        {400, "0", "a", "refund", "/usd"}, {400, "-1", "a", "refund", "/usd"},
        {400, "0", "a", "correction", "/usd"}, {400, "-0", "a", "correction", "/usd"},
        {400, "1.0000000001", "a", "top_up", "/usd"}, {400, "1e3", "a", "top_up", "/usd"},
        {400, "+1", "a", "top_up", "/usd"}, {400, " 1", "a", "top_up", "/usd"},
        {400, "", "a", "top_up", "/usd"}, {400, "1000000000.1", "a", "top_up", "/usd"},
        {400, "-1000000001", "a", "correction", "/usd"},
        {400, "999999900.000000001", "a", "top_up", "/usd"},
        {400, "1", "", "top_up", "/reference"}, {400, "1", "a\\n", "top_up", "/reference"},
        {400, "1", "a\\u0000", "top_up", "/reference"},
        {400, "1", "a", "gift", "/kind"}, {400, "1", "a", "", "/kind"},
    };
    struct engine *e = engine_open(*state);
    struct answer a = {0}, before = {0};
    struct lineage f = make_family(e);
    want(e, &a, 201, credits(&f, "POST", ""), entry("100", "inv-1", "top_up"));
    want(e, &before, 200, credits(&f, "GET", ""), NULL);
    unsigned commits = e->commits;
    for (size_t i = 0; i < COUNT(cases); i++) {
        want(e, &a, cases[i].status, credits(&f, "POST", ""),
             entry(cases[i].usd, cases[i].reference, cases[i].kind));
        check_value(&a, "/error/code", cases[i].status == 409 ? "conflict" : "invalid_request");
        check_value(&a, "/error/pointer", cases[i].pointer);
        assert_true(strlen(pick(&a, "/error/message", NULL)) > 15);
        check_same(e, &before, credits(&f, "GET", ""));
    }
    assert_int_equal(e->commits, commits);
    drop(&a);
    drop(&before);
    engine_close(e);
}

static void test_bodies_of_credits(void **state)
{
    static const struct { const char *method, *body, *pointer; } cases[] = {
        {"POST", "", "/usd"}, {"POST", "{}", "/usd"},
        {"POST", "{\"usd\":\"1\",\"kind\":\"grant\"}", "/reference"},
        {"POST", "{\"usd\":\"1\",\"reference\":\"a\"}", "/kind"},
        {"POST", "{\"usd\":1,\"reference\":\"a\",\"kind\":\"grant\"}", "/usd"},
        {"POST", "{\"usd\":null,\"reference\":\"a\",\"kind\":\"grant\"}", "/usd"},
        {"POST", "{\"usd\":\"1\",\"reference\":7,\"kind\":\"grant\"}", "/reference"},
        {"POST", "{\"usd\":\"1\",\"reference\":\"a\",\"kind\":[]}", "/kind"},
        {"POST", "{\"usd\":\"1\",\"reference\":\"a\",\"kind\":\"grant\",\"note\":\"x\"}",
         "/note"},
        {"POST", "{\"usd\":\"1\",\"usd\":\"1\",\"reference\":\"a\",\"kind\":\"grant\"}",
         "/usd"},
        {"PATCH", "", "/pool"}, {"PATCH", "{\"pool\":null}", "/pool"},
        {"PATCH", "{\"pool\":\"Prepaid\"}", "/pool"}, {"PATCH", "{\"pool\":true}", "/pool"},
        {"PATCH", "{\"pool\":\"prepaid\",\"balance\":\"5\"}", "/balance"},
    };
    struct engine *e = engine_open(*state);
    struct answer a = {0}, before = {0};
    struct lineage f = make_family(e);
    want(e, &before, 200, credits(&f, "GET", ""), NULL);
    for (size_t i = 0; i < COUNT(cases); i++) {
        want(e, &a, 400, credits(&f, cases[i].method, ""), cases[i].body);
        check_value(&a, "/error/pointer", cases[i].pointer);
        check_same(e, &before, credits(&f, "GET", ""));
    }
    /* A reference of the longest kind, and one byte more. */
    char long_one[129];
    memset(long_one, 'r', 128);
    long_one[128] = '\0';
    want(e, &a, 400, credits(&f, "POST", ""), entry("1", long_one, "grant"));
    long_one[127] = '\0';
    want(e, &a, 201, credits(&f, "POST", ""), entry("1", long_one, "grant"));
    want(e, &a, 200, credits(&f, "GET", ""), NULL);
    check_value(&a, "/entries/0/reference", long_one);
    drop(&a);
    drop(&before);
    engine_close(e);
}

static void test_credits_belong_to_organizations(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e), g = make_family(e);
    char gone[STORE_ID_TEXT_MAX];
    store_id_text(store_id_make(UNIT_ORGANIZATION, 999), gone);
    const char *ids[] = {"x", gone, f.dep, f.member, "key_zzzzzzzzzzzzz"};
    for (size_t i = 0; i < COUNT(ids); i++) {
        struct lineage of;
        snprintf(of.org, sizeof(of.org), "%s", ids[i]);
        want(e, &a, 404, credits(&of, "GET", ""), NULL);
        check_value(&a, "/error/code", "not_found");
        want(e, &a, 404, credits(&of, "POST", ""), entry("1", "r", "grant"));
        check_value(&a, "/error/code", "not_found");
        want(e, &a, 404, credits(&of, "PATCH", ""), "{\"pool\":\"prepaid\"}");
    }
    /* A reference is unique in its organization, and no entry leaks into another's pool. */
    want(e, &a, 201, credits(&f, "POST", ""), entry("1", "r", "grant"));
    want(e, &a, 201, credits(&g, "POST", ""), entry("2", "r", "grant"));
    check_pool(e, &f, "1", 1);
    check_pool(e, &g, "2", 1);
    want(e, &a, 200, call_of("DELETE units/", f.org, "?recursive=1"), NULL);
    want(e, &a, 404, credits(&f, "GET", ""), NULL);
    check_pool(e, &g, "2", 1);
    drop(&a);
    engine_close(e);
}

static void test_credits_are_listed_in_pages(void **state)
{
    enum { ENTRIES = 7 };
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    for (int i = 0; i < ENTRIES; i++) {
        char reference[16];
        snprintf(reference, sizeof(reference), "r%d", i);
        want(e, &a, 201, credits(&f, "POST", ""), entry("1", reference, "grant"));
    }
    char tail[64] = "?limit=3";
    for (int seen = 0; seen < ENTRIES;) {
        want(e, &a, 200, credits(&f, "GET", tail), NULL);
        check_value(&a, "/balance", "7");
        int rows = (int)count_of(&a, "/entries");
        assert_int_equal(rows, seen < 6 ? 3 : 1);
        check_value(&a, "/has_more", seen < 4 ? "true" : "false");
        for (int i = 0; i < rows; i++, seen++) {
            char pointer[32], reference[16];
            snprintf(pointer, sizeof(pointer), "/entries/%d/reference", i);
            snprintf(reference, sizeof(reference), "r%d", ENTRIES - 1 - seen);
            check_value(&a, pointer, reference);
            snprintf(pointer, sizeof(pointer), "/entries/%d/id", i);
            snprintf(tail, sizeof(tail), "?limit=3&after=%s", pick(&a, pointer, NULL));
        }
    }
    want(e, &a, 200, credits(&f, "GET", tail), NULL);
    assert_int_equal(count_of(&a, "/entries"), 0);
    want(e, &a, 400, credits(&f, "GET", "?after=crd_0000000000000000"), NULL);
    want(e, &a, 400, credits(&f, "GET", "?after=7"), NULL);
    want(e, &a, 400, credits(&f, "GET", "?limit=0"), NULL);
    drop(&a);
    engine_close(e);
}

static void test_pools_are_prepaid_or_not(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    want(e, &a, 201, credits(&f, "POST", ""), entry("2.5", "r", "grant"));
    for (int i = 0; i < 2; i++) {
        want(e, &a, 200, credits(&f, "PATCH", ""), "{\"pool\":\"prepaid\"}");
        check_value(&a, "/pool", "prepaid");
        check_value(&a, "/balance", "2.5");
        check_value(&a, "/held", "0");
        want(e, &a, 200, credits(&f, "GET", ""), NULL);
        check_value(&a, "/pool", "prepaid");
    }
    want(e, &a, 200, credits(&f, "PATCH", ""), "{\"pool\":\"unlimited\"}");
    check_value(&a, "/pool", "unlimited");
    check_value(&a, "/balance", "2.5");
    drop(&a);
    engine_close(e);
}

static void test_credits_repeat_by_their_key_too(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    struct bytes one = bytes_of(entry("2.5", "r", "grant"));
    ask_once(e, &a, credits(&f, "POST", ""), one, "k1");
    assert_int_equal(a.status, 201);
    ask_once(e, &a, credits(&f, "POST", ""), one, "k1");
    assert_int_equal(a.status, 201);   /* the first answer, as it was */
    ask_once(e, &a, credits(&f, "POST", ""), one, "k2");
    assert_int_equal(a.status, 200);
    ask_once(e, &a, credits(&f, "POST", ""), one, "k2");
    assert_int_equal(a.status, 200);
    struct bytes two = bytes_of(entry("2.5", "r2", "grant"));
    ask_once(e, &a, credits(&f, "POST", ""), two, "k1");
    assert_int_equal(a.status, 409);
    check_value(&a, "/error/code", "idempotency_conflict");
    check_pool(e, &f, "2.5", 1);
    drop(&a);
    engine_close(e);
}

/* ---- in effect before it is answered */

static void test_changes_get_into_effect_first(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    assert_int_equal(e->commits, 4);
    want(e, &a, 200, call_of("PUT budgets/", f.org, ""), LIMITS(LIMIT("\"5\"", "\"day\"")));
    assert_int_equal(e->commits, 5);
    want(e, &a, 200, call_of("GET budgets/", f.org, ""), NULL);
    want(e, &a, 400, call_of("PUT budgets/", f.org, ""), "{}");
    want(e, &a, 404, call_of("PUT budgets/", "x", ""), "{\"limits\":[]}");
    assert_int_equal(e->commits, 5);
    want(e, &a, 200, call_of("PATCH units/", f.org, ""), "{\"policy\":{\"rpm\":5}}");
    want(e, &a, 200, credits(&f, "PATCH", ""), "{\"pool\":\"prepaid\"}");
    want(e, &a, 200, call_of("DELETE budgets/", f.org, ""), NULL);
    assert_int_equal(e->commits, 8);
    /* Where that fails the caller hears it, and that the change is stored. */
    e->stuck = true;
    want(e, &a, 503, call_of("PUT budgets/", f.org, ""), LIMITS(LIMIT("\"7\"", "\"day\"")));
    check_value(&a, "/error/code", "store_unavailable");
    assert_non_null(strstr(pick(&a, "/error/message", NULL), "is stored"));
    want(e, &a, 503, credits(&f, "POST", ""), entry("1", "r", "grant"));
    check_value(&a, "/id", NULL);
    want(e, &a, 200, call_of("GET budgets/", f.org, ""), NULL);
    check_value(&a, "/limits/0/usd", "7");
    drop(&a);
    engine_close(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATA_TEST(test_rates_stay_until_taken_back),
        DATA_TEST(test_rates_are_stored_as_the_cores_read_them),
        DATA_TEST(test_rates_are_whole_numbers),
        DATA_TEST(test_budgets_are_set_shown_taken_away),
        DATA_TEST(test_budgets_know_what_is_spent),
        DATA_TEST(test_budgets_are_refused_whole),
        DATA_TEST(test_budgets_of_nobody),
        DATA_TEST(test_budgets_go_with_their_targets),
        DATA_TEST(test_credits_are_entered_and_add_up),
        DATA_TEST(test_credits_are_refused_whole),
        DATA_TEST(test_bodies_of_credits),
        DATA_TEST(test_credits_belong_to_organizations),
        DATA_TEST(test_credits_are_listed_in_pages),
        DATA_TEST(test_pools_are_prepaid_or_not),
        DATA_TEST(test_credits_repeat_by_their_key_too),
        DATA_TEST(test_changes_get_into_effect_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
