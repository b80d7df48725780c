/* test_admin.c - the admin API's table: routing, queries, times, reload, large answers, and the
 * description, which is compared with what is answered. */
#include "engine/admin/admin.h"
#include "engine/admin/admin_part.h"
#include "store/fold.h"

#include "tests/unit/admin_calls.h"

#include <time.h>

/* ---- routing and queries */

static void test_routing(void **state)
{
    static const struct {
        const char *what;
        unsigned status;
        const char *code, *allow;
    } cases[] = {
        {"GET nothing", 404, "not_found", ""},
        {"GET units/", 404, "not_found", ""},
        {"GET units/a/b", 404, "not_found", ""},
        {"GET ", 404, "not_found", ""},
        {"PUT units", 405, "method_not_allowed", "POST, GET, HEAD"},
        {"POST units/x", 405, "method_not_allowed", "GET, HEAD, PATCH, DELETE"},
        {"GET keys/x/rotate", 405, "method_not_allowed", "POST"},
        {"OPTIONS usage", 405, "method_not_allowed", "GET, HEAD"},
        {"GET events", 404, "not_found", ""},
        {"PUT budgets/key_x", 400, "invalid_request", ""},
        {"POST budgets/key_x", 405, "method_not_allowed", "PUT, GET, HEAD, DELETE"},
        {"PUT organizations/x/credits", 405, "method_not_allowed", "POST, GET, HEAD, PATCH"},
        {"GET organizations/x", 404, "not_found", ""},
        {"GET units/x/roles", 404, "not_in_this_release", ""},
        {"PUT units/x/roles/y", 404, "not_in_this_release", ""},
        {"GET alerts/x/deliveries", 404, "not_in_this_release", ""},
        {"POST approvals/x/approve", 404, "not_in_this_release", ""},
        {"GET audit?from=2026", 404, "not_in_this_release", ""},
        {"GET explain", 405, "method_not_allowed", "POST"},
        {"POST explain", 400, "invalid_request_error", ""},
        {"POST explain?mode=frugal", 400, "invalid_request", ""},
        {"POST explain?key=key_x", 400, "invalid_request", ""},
        {"GET units/org_zzz", 404, "not_found", ""},
        {"HEAD units", 200, NULL, ""},
    };
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        want(e, &a, cases[i].status, cases[i].what, NULL);
        check_value(&a, "/error/code", cases[i].code);
        assert_string_equal(a.allow, cases[i].allow);
    }
    drop(&a);
    engine_close(e);
}

/* Its body is not of ours: it comes to the engine as it is, whatever members it has. */
static void test_explain_gets_the_whole_body(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    want(e, &a, 200, "POST explain?mode=cost&api=chat", "{\"model\":\"auto\",\"kind\":1}");
    check_value(&a, "/body/model", "auto");
    check_value(&a, "/body/kind", "1");
    check_value(&a, "/mode", "cost");
    check_value(&a, "/api", "chat");
    check_value(&a, "/key", "false");
    struct lineage f = make_family(e);
    char key[32], path[80];
    make_key(e, f.member, key);
    (void)snprintf(path, sizeof path, "POST explain?key=%s", key);
    want(e, &a, 200, path, "{}");
    check_value(&a, "/key", "true");
    drop(&a);
    engine_close(e);
}

static void test_which_calls_write(void **state)
{
    static const struct { const char *what; bool writes; } cases[] = {
        {"POST units", true}, {"GET units", false}, {"PATCH units/x", true},
        {"DELETE units/x", true}, {"GET units/x", false}, {"POST keys/x/rotate", true},
        {"DELETE keys/x", true}, {"GET usage", false}, {"POST reload", false},
        {"PUT units", false}, {"POST nothing", false}, {"POST alerts", false},
        {"PUT budgets/x", true}, {"GET budgets/x", false}, {"DELETE budgets/x", true},
        {"POST organizations/x/credits", true}, {"GET organizations/x/credits", false},
        {"PATCH organizations/x/credits", true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char method[16], path[64];
        assert_int_equal(sscanf(cases[i].what, "%15s %40s", method, path), 2);
        char whole[96];
        snprintf(whole, sizeof(whole), "/admin/v1/%s", path);
        assert_int_equal(admin_writes(method_of(method), bytes_of(whole)), cases[i].writes);
    }
}

static void test_queries(void **state)
{
    static const struct { const char *what, *says; } cases[] = {
        {"GET units?limt=3", "'limit'"}, {"GET units?limit=0", "1 to 1000"},
        {"GET units?limit=1001", "1 to 1000"}, {"GET units?limit=", "1 to 1000"},
        {"GET units?limit=-1", "1 to 1000"}, {"GET units?limit=1&limit=1", "repeated"},
        {"GET units?parent=key_0", "id of"}, {"GET units?parent", "id of"},
        {"GET units?%6cimit=x", "1 to 1000"}, {"GET units?limit=%zz", "malformed"},
        {"GET units?limit=%0", "malformed"}, {"GET units?limit=1%00", "malformed"},
        {"GET units/x?limit=1", "unknown query parameter"},
        {"GET usage?group_by=team,teams", "must be one of organization, department"},
        {"GET usage?from=yesterday", "RFC 3339"}, {"GET usage?format=xml", "json, csv, pdf"},
        {"GET usage?format=csv", "not in this release"},
        {"GET usage?format=pdf", "not in this release"},
        {"GET usage?baseline=", "'baseline' must be"},
        {"GET usage?baseline=far/x", "'baseline' is 'far/x'; it takes a model of GET models "
         "(did you mean 'far/plain'?)"},
        {"GET usage?baseline=far/else-where", "'baseline' is 'far/else-where'; it takes a "
         "model of GET models"},
        {"GET usage?baseline=far/unknown", "of which no price is known"},
        {"GET requests?after=1", "id of a row"},
        {"GET requests?after=row_000000000000000100000000000000zz", "id of a row"},
        {"GET requests?limit=2000", "1 to 1000"}, {"DELETE units/x?recursive=maybe", "1 or 0"},
    };
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        want(e, &a, 400, cases[i].what, NULL);
        const char *message = pick(&a, "/error/message", NULL);
        if (!strstr(message, cases[i].says)) fail_msg("%s: %s", cases[i].what, message);
    }
    want(e, &a, 200, "GET units?&limit=1&", NULL);
    want(e, &a, 200, "GET usage?from=2026-01-01T00:00:00+01:00&to=2026-02-01&format=json",
         NULL);
    want(e, &a, 404, "GET requests?after=row_000000000000000100000000000000ff", NULL);
    drop(&a);
    engine_close(e);
}

static void test_times(void **state)
{
    static const struct { const char *in, *out; } cases[] = {
        {"1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"},
        {"2026-01-30", "2026-01-30T00:00:00Z"},
        {"2000-02-29t23:59:59z", "2000-02-29T23:59:59Z"},
        {"2024-12-31T23:59:60Z", "2025-01-01T00:00:00Z"},
        {"2026-03-01T00:30:00+01:00", "2026-02-28T23:30:00Z"},
        {"2026-12-31T23:30:00-01:30", "2027-01-01T01:00:00Z"},
        {"2026-01-30T01:02:03.5Z", "2026-01-30T01:02:03.500Z"},
        {"2026-01-30T01:02:03.0004Z", "2026-01-30T01:02:03.000400Z"},
        {"2026-01-30T01:02:03.1234567899Z", "2026-01-30T01:02:03.123456Z"},
        {"2500-12-31", "2500-12-31T00:00:00Z"},
        {"2100-02-29", NULL}, {"2026-13-01", NULL}, {"2026-00-01", NULL},
        {"2026-04-31", NULL}, {"1969-12-31", NULL}, {"2501-01-01", NULL},
        {"2026-01-30T24:00:00Z", NULL}, {"2026-01-30T00:60:00Z", NULL},
        {"2026-01-30T00:00:61Z", NULL}, {"2026-01-30T00:00:00", NULL},
        {"2026-01-30T00:00Z", NULL}, {"2026-01-30 00:00:00Z", NULL},
        {"2026-01-30T00:00:00.Z", NULL}, {"2026-01-30T00:00:00Zx", NULL},
        {"2026-01-30T00:00:00+24:00", NULL}, {"2026-1-30", NULL}, {"", NULL},
        {"1970-01-01T00:00:00+01:00", NULL}, {"-026-01-30", NULL},
    };
    (void)state;
    struct wall wall = wall_open(64);
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t ns;
        bool good = admin_time_parse(wall_put(&wall, bytes_of(cases[i].in)), &ns);
        if (good != (cases[i].out != NULL)) fail_msg("%s", cases[i].in);
        if (!good) continue;
        char room[64], wanted[64];
        struct jsonw w;
        jsonw_init(&w, room, sizeof(room));
        admin_put_time(&w, ns);
        snprintf(wanted, sizeof(wanted), "\"%s\"", cases[i].out);
        room[w.len] = '\0';
        assert_string_equal(room, wanted);
    }
    wall_close(&wall);
    /* Every day of 400 years and some goes there and back, against the C library. */
    for (uint64_t day = 0; day < 190000; day += 7) {
        char room[64], wanted[64];
        struct jsonw w;
        time_t seconds = (time_t)(day * 86400 + 1);
        struct tm tm;
        uint64_t ns;
        jsonw_init(&w, room, sizeof(room));
        admin_put_time(&w, (uint64_t)seconds * S_NS);
        assert_non_null(gmtime_r(&seconds, &tm));
        strftime(wanted, sizeof(wanted), "\"%Y-%m-%dT%H:%M:%SZ\"", &tm);
        room[w.len] = '\0';
        assert_string_equal(room, wanted);
        assert_true(admin_time_parse((struct bytes){room + 1, w.len - 2}, &ns));
        assert_true(ns == (uint64_t)seconds * S_NS);
    }
}

/* ---- the rest */

static void test_reload_says_what_is_wrong(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    want(e, &a, 200, "POST reload", "{}");
    check_value(&a, "/reloaded", "true");
    static char long_text[ADMIN_MESSAGE_MAX + 100];
    memset(long_text, '\n', sizeof(long_text) - 1);
    e->diagnostics = "weir.yaml:3:1: error: unknown key 'listn'\nlistn: 1\n^";
    want(e, &a, 400, "POST reload", NULL);
    check_value(&a, "/error/message", e->diagnostics);
    e->diagnostics = long_text;
    want(e, &a, 400, "POST reload", NULL);
    assert_int_equal(e->reloads, 3);
    want(e, &a, 400, "POST reload", "{\"x\":1}");
    assert_int_equal(e->reloads, 3);
    drop(&a);
    engine_close(e);
}

static void test_answers_grow(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    want(e, &a, 200, "GET providers", NULL);
    check_value(&a, "/data/0/name", "mock");
    e->pad = 40000;
    want(e, &a, 200, "GET models", NULL);
    assert_int_equal(count_of(&a, "/data"), 40000);
    assert_int_equal(e->models, 1);   /* however much it writes, it runs once */
    e->pad = 6000000;
    want(e, &a, 400, "GET models", NULL);
    check_value(&a, "/error/code", "answer_too_large");
    drop(&a);
    engine_close(e);
}

/* Compare the members of a row (an object at `row`) with what the description says of it. */
static void check_schema(struct engine *e, struct answer *row, const char *at, const char *name)
{
    struct answer api = {0};
    struct json json;
    struct json_token t;
    struct bytes in = {row->text, row->len};
    struct place p = {0};
    char where[TEXT_MAX], pointer[TEXT_MAX];
    unsigned members = 0, required;
    want(e, &api, 200, "GET openapi.json", NULL);
    size_t len = strlen(at);
    json_init(&json, 16);
    while (json_next(&json, &in, &t) == NET_OK) {
        if (t.type == JSON_OBJECT_END || t.type == JSON_ARRAY_END) continue;
        if (t.type == JSON_KEY) {
            p.step[t.depth][json_unescape(t.text, p.step[t.depth])] = '\0';
            continue;
        }
        place_enter(&p, &t, where);
        if (strncmp(where, at, len) != 0 || where[len] != '/') continue;
        if (strchr(where + len + 1, '/')) continue;
        members++;
        snprintf(pointer, sizeof(pointer), "/components/schemas/%s/properties%s", name,
                 where + len);
        if (!pick(&api, pointer, NULL)) fail_msg("%s is not described", pointer);
    }
    assert_true(members > 1);
    snprintf(pointer, sizeof(pointer), "/components/schemas/%s/required", name);
    assert_non_null(pick(&api, pointer, &required));
    for (unsigned i = 0; i < required; i++) {
        snprintf(pointer, sizeof(pointer), "/components/schemas/%s/required/%u", name, i);
        snprintf(where, sizeof(where), "%s/%s", at, pick(&api, pointer, NULL));
        if (!pick(row, where, NULL)) fail_msg("%s of %s is missing", where, name);
    }
    drop(&api);
}

static void test_answers_are_as_described(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    char key[32], body[TEXT_MAX];
    snprintf(body, sizeof(body), "{\"member\":\"%s\",\"name\":\"n\"}", f.member);
    want(e, &a, 201, "POST keys", body);
    check_schema(e, &a, "", "NewKey");
    snprintf(key, sizeof(key), "%s", pick(&a, "/id", NULL));
    struct record r = make_record(&f, key, 1);
    fold(*state, &r, 1);
    want(e, &a, 200, call_of("GET units/", f.member, ""), NULL);
    check_schema(e, &a, "", "Unit");
    want(e, &a, 200, "GET keys", NULL);
    check_schema(e, &a, "/data/0", "Key");
    want(e, &a, 200, "GET requests", NULL);
    check_schema(e, &a, "/data/0", "Request");
    want(e, &a, 200, "GET usage?group_by=organization,department,team,member,key,model,"
         "provider,tag,hour,day,month", NULL);
    check_schema(e, &a, "/data/0", "Usage");
    want(e, &a, 200, call_of("PUT budgets/", key, ""),
         "{\"limits\":[{\"usd\":\"1\",\"window\":\"total\"}]}");
    check_schema(e, &a, "/limits/0", "Limit");
    want(e, &a, 201, call_of("POST organizations/", f.org, "/credits"),
         "{\"usd\":\"1\",\"reference\":\"r\",\"kind\":\"grant\"}");
    check_schema(e, &a, "", "Credit");
    want(e, &a, 200, call_of("GET organizations/", f.org, "/credits"), NULL);
    check_schema(e, &a, "", "Credits");
    check_schema(e, &a, "/entries/0", "Credit");
    want(e, &a, 200, call_of("PATCH organizations/", f.org, "/credits"),
         "{\"pool\":\"unlimited\"}");
    check_schema(e, &a, "", "Pool");
    want(e, &a, 200, call_of("DELETE budgets/", key, ""), NULL);
    check_schema(e, &a, "", "Deleted");
    want(e, &a, 200, call_of("DELETE keys/", key, ""), NULL);
    check_schema(e, &a, "", "Deleted");
    drop(&a);
    engine_close(e);
}

static void test_description(void **state)
{
    static const struct { const char *pointer, *value; } cases[] = {
        {"/openapi", "3.1.0"},
        {"/paths/", NULL},
        {"/components/schemas/Unit/properties/created_at/format", "date-time"},
        {"/components/schemas/Unit/properties/parent/type/1", "null"},
        {"/components/securitySchemes/admin_token/scheme", "bearer"},
        {"/components/responses/Error/description", "refused"},
    };
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    want(e, &a, 200, "GET openapi.json", NULL);
    for (size_t i = 0; i < COUNT(cases); i++) {
        check_value(&a, cases[i].pointer, cases[i].value);
    }
    /* pick() does not escape names, so a path is its own pointer behind /paths/. */
    check_value(&a, "/paths//admin/v1/units/post/operationId", "post_units");
    check_value(&a, "/paths//admin/v1/units/{id}/patch/requestBody/required", "false");
    check_value(&a, "/paths//admin/v1/units/post/requestBody/content/application/json/schema/"
                "properties/kind/enum/3", "member");
    check_value(&a, "/paths//admin/v1/units/get/parameters/1/schema/maximum", "1000");
    check_value(&a, "/paths//admin/v1/keys/{id}/rotate/post/operationId",
                "post_keys_id_rotate");
    check_value(&a, "/paths//admin/v1/usage/get/parameters/3/name", "group_by");
    check_value(&a, "/paths//admin/v1/usage/get/parameters/5/name", "baseline");
    check_value(&a, "/paths//admin/v1/usage/get/parameters/6/name", NULL);
    check_value(&a, "/paths//admin/v1/alerts", NULL);
    check_value(&a, "/paths//admin/v1/units/post/requestBody/content/application/json/schema/"
                "properties/policy/properties/rpm/maximum", "4294967295");
    check_value(&a, "/paths//admin/v1/budgets/{id}/put/requestBody/content/application/json/"
                "schema/properties/limits/items/properties/window/enum/4", "total");
    check_value(&a, "/paths//admin/v1/budgets/{id}/put/requestBody/content/application/json/"
                "schema/properties/limits/items/required/1", "window");
    check_value(&a, "/components/schemas/Budget/properties/limits/items/$ref",
                "#/components/schemas/Limit");
    check_value(&a, "/components/schemas/Limit/properties/resets_at/type/1", "null");
    check_value(&a, "/paths//admin/v1/organizations/{id}/credits/post/responses/200/"
                "description", "it was done before");
    check_value(&a, "/paths//admin/v1/organizations/{id}/credits/post/parameters/1/name",
                "Idempotency-Key");
    check_value(&a, "/paths//admin/v1/events/get/operationId", "get_events");
    drop(&a);
    engine_close(e);
}

/* The table's own rules. */
static void test_the_table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < admin_route_count; i++) {
        const struct admin_route *r = &admin_routes[i];
        assert_int_equal(strncmp(r->pattern, "/admin/v1/", 10), 0);
        if (r->state == ROUTE_LATER) continue;
        assert_true(r->summary && r->answer && r->success >= 200);
        assert_int_equal(r->run != NULL, r->state == ROUTE_HERE);
        if (r->show) assert_true(r->needs == NEEDS_WRITE && r->method != HTTP_POST);
        const struct admin_field *lists[] = {r->body, r->query};
        for (size_t l = 0; l < 2; l++) {
            size_t count = 0;
            for (const struct admin_field *f = lists[l]; f && f->name; f++, count++) {
                if (f->refused || f->later) continue;
                assert_non_null(f->about);
                assert_int_equal(f->type == ADMIN_ID, f->kinds != 0);
                assert_int_equal(f->type == ADMIN_WORD, f->words != NULL);
            }
            assert_true(count <= ADMIN_FIELDS_MAX);
        }
        /* Entries of one path stand together: the description opens each path once. */
        for (size_t j = 0; j + 1 < i; j++) {
            bool same = strcmp(admin_routes[j].pattern, r->pattern) == 0;
            if (same) assert_string_equal(admin_routes[i - 1].pattern, r->pattern);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATA_TEST(test_routing),
        DATA_TEST(test_explain_gets_the_whole_body),
        cmocka_unit_test(test_which_calls_write),
        DATA_TEST(test_queries),
        cmocka_unit_test(test_times),
        DATA_TEST(test_reload_says_what_is_wrong),
        DATA_TEST(test_answers_grow),
        DATA_TEST(test_answers_are_as_described),
        DATA_TEST(test_description),
        cmocka_unit_test(test_the_table_is_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
