/* test_admin_units.c - units, keys, policies, and the bodies that make and change them, as
 * callers see them, on a real store. */
#include "engine/admin/admin.h"
#include "engine/admin/admin_part.h"
#include "store/fold.h"

#include "tests/unit/admin_calls.h"

#include <stdatomic.h>

/* ---- units */

static void test_units_are_made_shown_changed(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    want(e, &a, 200, call_of("GET units/", f.team, ""), NULL);
    check_value(&a, "/id", f.team);
    check_value(&a, "/kind", "team");
    check_value(&a, "/parent", f.dep);
    check_value(&a, "/name", "team's name");
    check_value(&a, "/email", NULL);
    check_value(&a, "/policy", "{");
    check_value(&a, "/created_at", "2026-01-30T00:00:00Z");
    want(e, &a, 200, call_of("GET units/", f.org, ""), NULL);
    check_value(&a, "/parent", "null");
    e->now += S_NS;
    want(e, &a, 200, call_of("PATCH units/", f.member, ""),
         "{\"name\":\"\\u00dcnal \\\"x\\\"\",\"email\":\"u@example.org\"}");
    check_value(&a, "/name", "\xc3\x9cnal \"x\"");
    want(e, &a, 200, call_of("GET units/", f.member, ""), NULL);
    check_value(&a, "/name", "\xc3\x9cnal \"x\"");
    check_value(&a, "/email", "u@example.org");
    check_value(&a, "/created_at", "2026-01-30T00:00:00Z");
    want(e, &a, 200, call_of("PATCH units/", f.member, ""), "{\"email\":null}");
    check_value(&a, "/email", NULL);
    check_value(&a, "/name", "\xc3\x9cnal \"x\"");
    drop(&a);
    engine_close(e);
}

static void test_levels_may_be_skipped_never_reversed(void **state)
{
    static const char *const kinds[] = {"organization", "department", "team", "member"};
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    const char *ids[] = {f.org, f.dep, f.team, f.member};
    for (unsigned above = 0; above < 4; above++) {
        for (unsigned below = 0; below < 4; below++) {
            char body[TEXT_MAX];
            snprintf(body, sizeof(body), "{\"kind\":\"%s\",\"parent\":\"%s\",\"name\":\"n\"}",
                     kinds[below], ids[above]);
            want(e, &a, above < below ? 201 : 400, "POST units", body);
            if (above >= below) check_value(&a, "/error/pointer", "/parent");
        }
    }
    drop(&a);
    engine_close(e);
}

static void test_units_are_listed_in_pages(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    char id[5][32], last[32];
    for (int i = 0; i < 5; i++) make_unit(e, "team", f.org, id[i]);
    want(e, &a, 200, "GET units", NULL);
    assert_int_equal(count_of(&a, "/data"), 9);
    check_value(&a, "/has_more", "false");
    check_value(&a, "/data/0/id", f.org);
    want(e, &a, 200, call_of("GET units?parent=", f.org, "&limit=4"), NULL);
    assert_int_equal(count_of(&a, "/data"), 4);
    check_value(&a, "/has_more", "true");
    check_value(&a, "/data/0/id", f.dep);
    check_value(&a, "/data/3/id", id[2]);
    snprintf(last, sizeof(last), "%s", id[2]);
    char query[TEXT_MAX];
    snprintf(query, sizeof(query), "GET units?parent=%s&limit=4&after=%s", f.org, last);
    want(e, &a, 200, query, NULL);
    assert_int_equal(count_of(&a, "/data"), 2);
    check_value(&a, "/has_more", "false");
    check_value(&a, "/data/1/id", id[4]);
    want(e, &a, 200, call_of("GET units?parent=", f.member, ""), NULL);
    assert_int_equal(count_of(&a, "/data"), 0);
    want(e, &a, 200, call_of("DELETE units/", f.dep, "?recursive=1"), NULL);
    want(e, &a, 404, call_of("GET units?parent=", f.dep, ""), NULL);
    drop(&a);
    engine_close(e);
}

static void test_units_go_with_all_below_or_not_at_all(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    char key[32];
    make_key(e, f.member, key);
    want(e, &a, 409, call_of("DELETE units/", f.org, ""), NULL);
    want(e, &a, 409, call_of("DELETE units/", f.member, "?recursive=0"), NULL);
    check_value(&a, "/error/code", "conflict");
    want(e, &a, 200, call_of("GET keys/", key, ""), NULL);
    want(e, &a, 200, call_of("DELETE units/", f.org, "?recursive=1"), NULL);
    check_value(&a, "/id", f.org);
    check_value(&a, "/deleted", "true");
    want(e, &a, 404, call_of("GET keys/", key, ""), NULL);
    want(e, &a, 404, call_of("GET units/", f.member, ""), NULL);
    want(e, &a, 404, call_of("DELETE units/", f.org, ""), NULL);
    check_value(&a, "/error/code", "not_found");
    want(e, &a, 200, "GET units", NULL);
    assert_int_equal(count_of(&a, "/data"), 0);
    drop(&a);
    engine_close(e);
}

static void test_policy_members_stay_until_taken_back(void **state)
{
    static const struct { const char *body, *allow0, *allow1, *deny0; } steps[] = {
        {"{\"policy\":{\"allow\":[\"openai/*\",\"gpt-?\"]}}", "openai/*", "gpt-?", NULL},
        {"{\"policy\":{\"deny\":[\"*mini*\"]}}", "openai/*", "gpt-?", "*mini*"},
        {"{\"policy\":{}}", "openai/*", "gpt-?", "*mini*"},
        {"{\"name\":\"x\"}", "openai/*", "gpt-?", "*mini*"},
        {"{\"policy\":{\"allow\":[\"a\"],\"deny\":null}}", "a", NULL, NULL},
        {"{\"policy\":{\"deny\":[\"d\"]}}", "a", NULL, "d"},
        {"{\"policy\":{\"allow\":null}}", NULL, NULL, "d"},
        {"{\"policy\":null}", NULL, NULL, NULL},
    };
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    char key[32];
    make_key(e, f.member, key);
    for (size_t p = 0; p < 2; p++) {
        for (size_t i = 0; i < COUNT(steps); i++) {
            const char *id = p ? key : f.team;
            want(e, &a, 200, call_of(p ? "PATCH keys/" : "PATCH units/", id, ""),
                 steps[i].body);
            want(e, &a, 200, call_of(p ? "GET keys/" : "GET units/", id, ""), NULL);
            check_value(&a, "/policy/allow/0", steps[i].allow0);
            check_value(&a, "/policy/allow/1", steps[i].allow1);
            check_value(&a, "/policy/deny/0", steps[i].deny0);
        }
        /* An empty allow list is not an absent one. */
        const char *id = p ? key : f.team;
        want(e, &a, 200, call_of(p ? "PATCH keys/" : "PATCH units/", id, ""),
             "{\"policy\":{\"allow\":[]}}");
        check_value(&a, "/policy/allow", "[");
        assert_int_equal(count_of(&a, "/policy/allow"), 0);
    }
    drop(&a);
    engine_close(e);
}

/* What the API stores is what the cores act on. */
static void test_policies_reach_the_cores(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    char body[TEXT_MAX];
    uint64_t generation = atomic_load(&e->host.db->generation);
    want(e, &a, 200, call_of("PATCH units/", f.org, ""), "{\"policy\":{\"deny\":[\"b/*\"]}}");
    assert_true(atomic_load(&e->host.db->generation) > generation);
    snprintf(body, sizeof(body), "{\"member\":\"%s\",\"name\":\"k\",\"policy\":{\"allow\":"
             "[\"a/*\",\"b/*\"]}}", f.member);
    want(e, &a, 201, "POST keys", body);
    uint8_t hash[STORE_KEY_HASH];
    keys_hash(e->secret, strlen(e->secret), hash);
    MDB_txn *txn = data_dir_begin(*state, false);
    struct key_view *view = calloc(1, sizeof(*view));
    assert_int_equal(keys_find(e->host.db, txn, hash, e->now, view), STORE_OK);
    enum unit_kind level;
    assert_true(keys_allow(view, "a/x", 3, &level));
    assert_false(keys_allow(view, "b/x", 3, &level));
    assert_int_equal(level, UNIT_ORGANIZATION);
    assert_false(keys_allow(view, "c/x", 3, &level));
    assert_int_equal(level, UNIT_KEY);
    db_abort(txn);
    free(view);
    drop(&a);
    engine_close(e);
}

/* ---- keys */

static void test_keys_are_made_shown_changed(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    char body[TEXT_MAX], id[32];
    snprintf(body, sizeof(body), "{\"member\":\"%s\",\"name\":\"ci\",\"expires_at\":"
             "\"2026-02-01T02:00:00.5+02:00\",\"policy\":{\"deny\":[\"x\"]}}", f.member);
    want(e, &a, 201, "POST keys", body);
    check_value(&a, "/key", e->secret);
    snprintf(id, sizeof(id), "%s", pick(&a, "/id", NULL));
    want(e, &a, 200, call_of("GET keys/", id, ""), NULL);
    check_value(&a, "/key", NULL);
    check_value(&a, "/member", f.member);
    check_value(&a, "/name", "ci");
    check_value(&a, "/hint", "0001");
    check_value(&a, "/created_at", "2026-01-30T00:00:00Z");
    check_value(&a, "/expires_at", "2026-02-01T00:00:00.500Z");
    check_value(&a, "/policy/deny/0", "x");
    check_value(&a, "/path/organization", f.org);
    check_value(&a, "/path/department", f.dep);
    check_value(&a, "/path/team", f.team);
    check_value(&a, "/path/member", f.member);
    want(e, &a, 200, call_of("PATCH keys/", id, ""), "{\"name\":\"cd\",\"expires_at\":null}");
    check_value(&a, "/expires_at", "null");
    check_value(&a, "/name", "cd");
    check_value(&a, "/hint", "0001");
    want(e, &a, 400, call_of("PATCH keys/", id, ""), "{\"expires_at\":\"2026-01-30\"}");
    check_value(&a, "/error/pointer", "/expires_at");
    want(e, &a, 200, call_of("DELETE keys/", id, ""), NULL);
    check_value(&a, "/deleted", "true");
    want(e, &a, 404, call_of("DELETE keys/", id, ""), NULL);
    want(e, &a, 404, call_of("GET keys/", f.member, ""), NULL);
    want(e, &a, 404, call_of("GET units/", id, ""), NULL);
    drop(&a);
    engine_close(e);
}

static void test_keys_are_listed_below_a_unit(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e), g = make_family(e);
    char key[4][32];
    for (int i = 0; i < 3; i++) make_key(e, f.member, key[i]);
    make_key(e, g.member, key[3]);
    want(e, &a, 200, "GET keys", NULL);
    assert_int_equal(count_of(&a, "/data"), 4);
    want(e, &a, 200, call_of("GET keys?limit=2&unit=", f.dep, ""), NULL);
    assert_int_equal(count_of(&a, "/data"), 2);
    check_value(&a, "/has_more", "true");
    check_value(&a, "/data/1/id", key[1]);
    char query[TEXT_MAX];
    snprintf(query, sizeof(query), "GET keys?unit=%s&after=%s", f.dep, key[1]);
    want(e, &a, 200, query, NULL);
    assert_int_equal(count_of(&a, "/data"), 1);
    check_value(&a, "/data/0/id", key[2]);
    check_value(&a, "/data/0/key", NULL);
    check_value(&a, "/has_more", "false");
    want(e, &a, 200, call_of("GET keys?unit=", key[3], ""), NULL);
    assert_int_equal(count_of(&a, "/data"), 1);
    want(e, &a, 200, call_of("DELETE units/", g.org, "?recursive=true"), NULL);
    want(e, &a, 404, call_of("GET keys?unit=", g.org, ""), NULL);
    drop(&a);
    engine_close(e);
}

static enum store_rc find_secret(struct engine *e, struct data_dir *d, const char *secret)
{
    uint8_t hash[STORE_KEY_HASH];
    keys_hash(secret, strlen(secret), hash);
    MDB_txn *txn = data_dir_begin(d, false);
    struct key_view *view = calloc(1, sizeof(*view));
    enum store_rc rc = keys_find(e->host.db, txn, hash, e->now, view);
    db_abort(txn);
    free(view);
    return rc;
}

static void test_rotation_ends_the_old_secret(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    char id[32], old[64];
    make_key(e, f.member, id);
    snprintf(old, sizeof(old), "%s", e->secret);
    want(e, &a, 200, call_of("POST keys/", id, "/rotate"), NULL);
    check_value(&a, "/key", e->secret);
    check_value(&a, "/id", id);
    check_value(&a, "/hint", "0002");
    assert_int_equal(find_secret(e, *state, old), STORE_NOT_FOUND);
    assert_int_equal(find_secret(e, *state, e->secret), STORE_OK);
    snprintf(old, sizeof(old), "%s", e->secret);
    want(e, &a, 200, call_of("POST keys/", id, "/rotate"), "{\"grace\":\"1h\"}");
    e->now += 3600 * S_NS - 1;
    assert_int_equal(find_secret(e, *state, old), STORE_OK);
    e->now += 1;
    assert_int_equal(find_secret(e, *state, old), STORE_NOT_FOUND);
    assert_int_equal(find_secret(e, *state, e->secret), STORE_OK);
    want(e, &a, 400, call_of("POST keys/", id, "/rotate"), "{\"grace\":\"31d\"}");
    check_value(&a, "/error/pointer", "/grace");
    drop(&a);
    engine_close(e);
}

/* ---- bodies */

static void test_bodies_are_refused_with_a_pointer(void **state)
{
    static const struct { const char *body, *code, *pointer, *says; } cases[] = {
        {"", "invalid_request", "/kind", "missing"},
        {" \n", "invalid_request", "/kind", "missing"},
        {"{\"kind\":\"organization\"}", "invalid_request", "/name", "missing"},
        {"[]", "invalid_request", NULL, "must be a JSON object"},
        {"nul", "invalid_json", NULL, "byte"},
        {"{\"kind\":\"organization\",\"name\":\"a\"} x", "invalid_json", NULL, "byte"},
        {"{\"kind\":\"organization\",\"name\":\"a\"", "invalid_json", NULL, "JSON"},
        {"{\"kind\":\"organization\",\"nmae\":\"a\"}", "invalid_request", "/nmae", "'name'"},
        {"{\"kind\":\"organization\",\"a/b~c\":1}", "invalid_request", "/a~1b~0c", "unknown"},
        {"{\"kind\":\"company\",\"name\":\"a\"}", "invalid_request", "/kind",
         "organization, department, team, member"},
        {"{\"kind\":1,\"name\":\"a\"}", "invalid_request", "/kind", "text"},
        {"{\"kind\":null,\"name\":\"a\"}", "invalid_request", "/kind", "null"},
        {"{\"kind\":\"team\",\"name\":\"a\"}", "invalid_request", "/parent", "needs a parent"},
        {"{\"kind\":\"team\",\"name\":\"a\",\"parent\":\"team_x\"}", "invalid_request",
         "/parent", "id of"},
        {"{\"kind\":\"organization\",\"name\":\"a\",\"name\":\"b\"}", "invalid_request",
         "/name", "repeated"},
        {"{\"kind\":\"organization\",\"n\\u0061me\":\"a\",\"name\":\"b\"}", "invalid_request",
         "/name", "repeated"},
        {"{\"kind\":\"organization\",\"name\":\"\"}", "invalid_request", "/name", "127"},
        {"{\"kind\":\"organization\",\"name\":\"a\\u0000\"}", "invalid_request", "/name",
         "u0000"},
        {"{\"kind\":\"organization\",\"name\":\"a\\n\"}", "invalid_request", "/name",
         "control"},
        {"{\"kind\":\"organization\",\"name\":\"\\ud800\"}", "invalid_request", "/name",
         "surrogate"},
        {"{\"kind\":\"organization\",\"name\":\"a\",\"email\":\"a@b\"}", "invalid_request",
         "/email", "member"},
        {"{\"kind\":\"organization\",\"name\":\"a\",\"email\":\"a b@c\"}", "invalid_request",
         "/email", "e-mail"},
        {"{\"kind\":\"organization\",\"name\":\"a\",\"policy\":[]}", "invalid_request",
         "/policy", "object"},
        {"{\"kind\":\"organization\",\"name\":\"a\",\"policy\":{\"alow\":[]}}",
         "invalid_request", "/policy/alow", "'allow'"},
        {"{\"kind\":\"organization\",\"name\":\"a\",\"policy\":{\"allow\":\"x\"}}",
         "invalid_request", "/policy/allow", "list"},
        {"{\"kind\":\"organization\",\"name\":\"a\",\"policy\":{\"allow\":[\"x\",1]}}",
         "invalid_request", "/policy/allow/1", "text"},
        {"{\"kind\":\"organization\",\"name\":\"a\",\"policy\":{\"deny\":[\"\"]}}",
         "invalid_request", "/policy/deny/0", "glob"},
        {"{\"kind\":\"organization\",\"name\":\"a\",\"policy\":{\"deny\":[],\"deny\":[]}}",
         "invalid_request", "/policy/deny", "repeated"},
    };
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        want(e, &a, 400, "POST units", cases[i].body);
        check_value(&a, "/error/code", cases[i].code);
        check_value(&a, "/error/pointer", cases[i].pointer);
        const char *message = pick(&a, "/error/message", NULL);
        if (!strstr(message, cases[i].says)) fail_msg("%s: %s", cases[i].body, message);
    }
    want(e, &a, 200, "GET units", NULL);
    assert_int_equal(count_of(&a, "/data"), 0);
    drop(&a);
    engine_close(e);
}

/* Members of a policy that speak of routing: what is sent, what is shown. */
static void test_rules_of_routing(void **state)
{
    static const struct { const char *sent, *shown; } steps[] = {
        {"{\"mode\":\"cost\"}", "{\"mode\":\"cost\"}"},
        {"{\"mode\":\"latency-first\",\"regions\":[\"eu\",\"us-east-1\"]}",
         "{\"mode\":\"latency\",\"regions\":[\"eu\",\"us-east-1\"]}"},
        {"{\"zero_retention_only\":true,\"mode\":null}",
         "{\"regions\":[\"eu\",\"us-east-1\"],\"zero_retention_only\":true}"},
        {"{\"regions\":[],\"zero_retention_only\":false,\"quality_floor\":0.95,\"rpm\":7}",
         "{\"rpm\":7,\"regions\":[],\"quality_floor\":0.95}"},
        {"{\"regions\":null,\"quality_floor\":1,\"rpm\":null}", "{\"quality_floor\":1}"},
        {"{\"quality_floor\":0.000001}", "{\"quality_floor\":0.000001}"},
        {"{\"quality_floor\":0.500}", "{\"quality_floor\":0.5}"},
        {"{\"quality_floor\":0}", "{\"quality_floor\":0}"},
        {"{\"quality_floor\":null,\"zero_retention_only\":true}",
         "{\"zero_retention_only\":true}"},
        {"{\"zero_retention_only\":null,\"mode\":\"availability\",\"deny\":[\"x\"]}",
         "{\"deny\":[\"x\"],\"mode\":\"availability\"}"},
        {"null", "{}"},
    };
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    char key[32], body[TEXT_MAX], shown[TEXT_MAX];
    make_key(e, f.member, key);
    for (size_t i = 0; i < 2 * COUNT(steps); i++) {
        const char *kind = i % 2 ? "keys/" : "units/", *id = i % 2 ? key : f.team;
        char patch[32], get[32];
        snprintf(patch, sizeof(patch), "PATCH %s", kind);
        snprintf(get, sizeof(get), "GET %s", kind);
        snprintf(body, sizeof(body), "{\"policy\":%s}", steps[i / 2].sent);
        snprintf(shown, sizeof(shown), "\"policy\":%s,", steps[i / 2].shown);
        want(e, &a, 200, call_of(patch, id, ""), body);
        want(e, &a, 200, call_of(get, id, ""), NULL);
        if (!memmem(a.text, a.len, shown, strlen(shown))) {
            fail_msg("%s: %.*s", body, (int)a.len, a.text);
        }
    }
    drop(&a);
    engine_close(e);
}

static void test_rules_of_routing_are_refused(void **state)
{
    static const struct { const char *policy, *pointer, *says; } cases[] = {
        {"{\"mode\":1}", "/policy/mode", "text"},
        {"{\"mode\":\"costs\"}", "/policy/mode",
         "'costs', must be one of balanced, cost, latency, availability"},
        {"{\"mode\":\"-first\"}", "/policy/mode", "must be one of"},
        {"{\"mode\":\"\"}", "/policy/mode", "must be one of"},
        {"{\"mode\":[\"cost\"]}", "/policy/mode", "text"},
        {"{\"modes\":\"cost\"}", "/policy/modes", "did you mean 'mode'"},
        {"{\"mode\":\"cost\",\"mode\":\"cost\"}", "/policy/mode", "repeated"},
        {"{\"regions\":\"eu\"}", "/policy/regions", "list of regions"},
        {"{\"regions\":[\"eu\",7]}", "/policy/regions/1", "region"},
        {"{\"regions\":[\"\"]}", "/policy/regions/0", "63"},
        {"{\"regions\":[\"e u\"]}", "/policy/regions/0", "blanks"},
        {"{\"regions\":[\"1234567890123456789012345678901234567890123456789012345678901234"
         "\"]}", "/policy/regions/0", "63"},
        {"{\"region\":[\"eu\"]}", "/policy/region", "did you mean 'regions'"},
        {"{\"zero_retention_only\":1}", "/policy/zero_retention_only", "true, false or null"},
        {"{\"zero_retention_only\":\"true\"}", "/policy/zero_retention_only", "true"},
        {"{\"quality_floor\":1.000001}", "/policy/quality_floor", "0 to 1"},
        {"{\"quality_floor\":-0.1}", "/policy/quality_floor", "0 to 1"},
        {"{\"quality_floor\":0.1234567}", "/policy/quality_floor", "6 decimals"},
        {"{\"quality_floor\":9e-1}", "/policy/quality_floor", "such as 0.95"},
        {"{\"quality_floor\":\"0.9\"}", "/policy/quality_floor", "number"},
        {"{\"quality_floor\":{}}", "/policy/quality_floor", "number"},
    };
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    char body[TEXT_MAX];
    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(body, sizeof(body),
                 "{\"kind\":\"organization\",\"name\":\"a\",\"policy\":%s}",
                 cases[i].policy);
        want(e, &a, 400, "POST units", body);
        check_value(&a, "/error/code", "invalid_request");
        check_value(&a, "/error/pointer", cases[i].pointer);
        const char *message = pick(&a, "/error/message", NULL);
        if (!strstr(message, cases[i].says)) fail_msg("%s: %s", body, message);
    }
    drop(&a);
    engine_close(e);
}

/* A fault found after the unit was written takes the unit with it. */
static void test_a_refused_call_changes_nothing(void **state)
{
    enum { GLOBS = 400 };   /* of one byte: 1200 bytes; either list fits, both do not */
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    static char body[8192];
    size_t len = (size_t)snprintf(body, sizeof(body), "{\"kind\":\"organization\","
                                  "\"name\":\"n\",\"policy\":{\"deny\":[\"x\"");
    for (unsigned i = 1; i < 2 * GLOBS; i++) {
        const char *next = i == GLOBS ? "],\"allow\":[\"x\"" : ",\"x\"";
        len += (size_t)snprintf(body + len, sizeof(body) - len, "%s", next);
    }
    snprintf(body + len, sizeof(body) - len, "]}}");
    want(e, &a, 400, "POST units", body);
    check_value(&a, "/error/pointer", "/policy");
    want(e, &a, 200, "GET units", NULL);
    assert_int_equal(count_of(&a, "/data"), 0);
    drop(&a);
    engine_close(e);
}

static void test_changes_that_are_not_possible(void **state)
{
    static const struct { const char *body, *pointer, *says; } cases[] = {
        {"{\"parent\":null}", "/parent", "do not move"},
        {"{\"kind\":\"team\"}", "/kind", "keeps"},
        {"{\"name\":null}", "/name", "null"},
        {"{\"email\":\"a@b\"}", "/email", "member"},
    };
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    for (size_t i = 0; i < COUNT(cases); i++) {
        want(e, &a, 400, call_of("PATCH units/", f.team, ""), cases[i].body);
        check_value(&a, "/error/pointer", cases[i].pointer);
        assert_non_null(strstr(pick(&a, "/error/message", NULL), cases[i].says));
    }
    want(e, &a, 400, call_of("DELETE units/", f.team, ""), "{\"x\":1}");
    char id[STORE_ID_TEXT_MAX], body[TEXT_MAX];
    store_id_text(store_id_make(UNIT_ORGANIZATION, 999), id);
    snprintf(body, sizeof(body), "{\"kind\":\"team\",\"name\":\"x\",\"parent\":\"%s\"}", id);
    want(e, &a, 404, "POST units", body);
    check_value(&a, "/error/pointer", "/parent");
    store_id_text(store_id_make(UNIT_MEMBER, 999), id);
    snprintf(body, sizeof(body), "{\"name\":\"x\",\"member\":\"%s\"}", id);
    want(e, &a, 404, "POST keys", body);
    check_value(&a, "/error/pointer", "/member");
    drop(&a);
    engine_close(e);
}

/* Every prefix of a good body is refused, and what follows a name's 127th byte too. */
static void test_every_cut_and_every_limit(void **state)
{
    static const char body[] =
        "{\"kind\":\"organization\",\"name\":\"\\u00fc\",\"policy\":{\"allow\":[\"a\"]}}";
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    for (size_t cut = 0; cut < sizeof(body) - 1; cut++) {
        ask_once(e, &a, "POST units", (struct bytes){body, cut}, NULL);
        assert_int_equal(a.status, 400);
    }
    want(e, &a, 201, "POST units", body);
    for (int len = 126; len <= 129; len++) {
        char text[TEXT_MAX], name[130];
        memset(name, 'n', sizeof(name));
        snprintf(text, sizeof(text), "{\"kind\":\"organization\",\"name\":\"%.*s\"}", len,
                 name);
        want(e, &a, len <= 127 ? 201 : 400, "POST units", text);
    }
    for (unsigned len = 199; len <= 202; len++) {
        char text[TEXT_MAX], glob[202];
        memset(glob, 'g', sizeof(glob));
        snprintf(text, sizeof(text), "{\"kind\":\"organization\",\"name\":\"n\",\"policy\":"
                 "{\"deny\":[\"%.*s\"]}}", (int)len, glob);
        want(e, &a, len <= 200 ? 201 : 400, "POST units", text);
    }
    /* A policy blob of 2048 bytes: 682 globs of one byte take 2046 of them. */
    for (unsigned count = 682; count <= 683; count++) {
        static char text[8192];
        size_t len = (size_t)snprintf(text, sizeof(text), "{\"kind\":\"organization\","
                                      "\"name\":\"n\",\"policy\":{\"deny\":[");
        for (unsigned i = 0; i < count; i++) {
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s\"x\"", i ? "," : "");
        }
        snprintf(text + len, sizeof(text) - len, "]}}");
        want(e, &a, count == 682 ? 201 : 400, "POST units", text);
    }
    char id[32];
    want(e, &a, 200, "GET units?limit=1000", NULL);
    snprintf(id, sizeof(id), "%s", pick(&a, "/data/5/id", NULL));
    check_value(&a, "/data/5/policy/deny/681", "x");
    want(e, &a, 400, call_of("PATCH units/", id, ""), "{\"policy\":{\"allow\":[\"a\"]}}");
    check_value(&a, "/error/pointer", "/policy");
    drop(&a);
    engine_close(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATA_TEST(test_units_are_made_shown_changed),
        DATA_TEST(test_levels_may_be_skipped_never_reversed),
        DATA_TEST(test_units_are_listed_in_pages),
        DATA_TEST(test_units_go_with_all_below_or_not_at_all),
        DATA_TEST(test_policy_members_stay_until_taken_back),
        DATA_TEST(test_rules_of_routing),
        DATA_TEST(test_rules_of_routing_are_refused),
        DATA_TEST(test_policies_reach_the_cores),
        DATA_TEST(test_keys_are_made_shown_changed),
        DATA_TEST(test_keys_are_listed_below_a_unit),
        DATA_TEST(test_rotation_ends_the_old_secret),
        DATA_TEST(test_bodies_are_refused_with_a_pointer),
        DATA_TEST(test_a_refused_call_changes_nothing),
        DATA_TEST(test_changes_that_are_not_possible),
        DATA_TEST(test_every_cut_and_every_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
