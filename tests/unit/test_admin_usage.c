/* test_admin_usage.c - repeated POSTs, request rows and grouped usage, from records that went
 * through a journal and the fold. */
#include "engine/admin/admin.h"
#include "engine/admin/admin_part.h"
#include "store/fold.h"

#include "tests/unit/admin_calls.h"

#include <time.h>

/* ---- repeated POSTs */

static const char org_body[] = "{\"kind\":\"organization\",\"name\":\"o\"}";

static unsigned units_count(struct engine *e)
{
    struct answer a = {0};
    want(e, &a, 200, "GET units", NULL);
    unsigned count = count_of(&a, "/data");
    drop(&a);
    return count;
}

static void test_a_repeated_post_is_answered_again(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0}, b = {0};
    struct bytes body = bytes_of(org_body);
    ask_once(e, &a, "POST units", body, "k1");
    assert_int_equal(a.status, 201);
    ask_once(e, &b, "POST units", body, "k1");
    assert_int_equal(b.status, 201);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.text, b.text, a.len);
    assert_int_equal(units_count(e), 1);
    ask_once(e, &b, "POST units", BYTES("{\"kind\":\"organization\",\"name\":\"p\"}"), "k1");
    assert_int_equal(b.status, 409);
    check_value(&b, "/error/code", "idempotency_conflict");
    ask_once(e, &b, "POST units", body, "k2");
    assert_int_equal(b.status, 201);
    assert_int_equal(units_count(e), 2);
    /* Another path is another request; a refusal is not kept. */
    ask_once(e, &b, "POST keys", BYTES("{\"member\":1}"), "k1");
    assert_int_equal(b.status, 400);
    ask_once(e, &b, "POST units", BYTES("{}"), "k3");
    assert_int_equal(b.status, 400);
    ask_once(e, &b, "POST units", body, "k3");
    assert_int_equal(b.status, 201);
    assert_int_equal(units_count(e), 3);
    drop(&a);
    drop(&b);
    engine_close(e);
}

static void test_kept_answers_end_after_a_day(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct bytes body = bytes_of(org_body);
    ask_once(e, &a, "POST units", body, "k");
    e->now += 86400 * S_NS - 1;
    ask_once(e, &a, "POST units", body, "k");
    assert_int_equal(units_count(e), 1);
    e->now += 1;
    ask_once(e, &a, "POST units", body, "k");
    assert_int_equal(units_count(e), 2);
    ask_once(e, &a, "POST units", body, "k");
    assert_int_equal(units_count(e), 2);
    MDB_txn *txn = data_dir_begin(*state, false);
    uint64_t count;
    assert_int_equal(db_meta_get(e->host.db, txn, "idem_count", &count), STORE_OK);
    assert_int_equal(count, 1);
    db_abort(txn);
    drop(&a);
    engine_close(e);
}

static void test_kept_answers_are_bounded(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct bytes body = bytes_of(org_body);
    size_t before = 0;
    for (unsigned i = 0; i < 6; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%u", i);
        e->now++;
        ask_once(e, &a, "POST units", body, key);
        assert_int_equal(a.status, 201);
        MDB_txn *txn = data_dir_begin(*state, true);
        size_t rows = data_dir_rows(*state, txn, DB_META);
        /* As if there were so many: from here on each new one costs the oldest. */
        if (i == 3) {
            assert_int_equal(db_meta_put(e->host.db, txn, "idem_count", ADMIN_IDEM_MAX),
                             STORE_OK);
            before = rows;
        }
        if (i > 3) assert_int_equal(rows, before);
        data_dir_commit(*state, txn);
    }
    assert_int_equal(units_count(e), 6);
    ask_once(e, &a, "POST units", body, "k2");
    assert_int_equal(units_count(e), 6);
    ask_once(e, &a, "POST units", body, "k0");
    assert_int_equal(units_count(e), 7);
    char key[300];
    memset(key, 'k', sizeof(key));
    key[256] = '\0';
    ask_once(e, &a, "POST units", body, key);
    assert_int_equal(a.status, 400);
    ask_once(e, &a, "POST units", body, key + 1);
    assert_int_equal(a.status, 201);
    ask_once(e, &a, "POST units", body, "a\nb");
    assert_int_equal(a.status, 400);
    drop(&a);
    engine_close(e);
}

/* Is text anywhere in the store's file? */
static bool is_in_store(struct data_dir *d, const char *text)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/store/data.mdb", d->path);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size_t len = (size_t)ftell(file);
    rewind(file);
    char *all = malloc(len);
    assert_non_null(all);
    assert_int_equal(fread(all, 1, len, file), len);
    fclose(file);
    bool found = memmem(all, len, text, strlen(text)) != NULL;
    free(all);
    return found;
}

static void test_no_secret_is_kept(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    char body[TEXT_MAX], id[32];
    snprintf(body, sizeof(body), "{\"member\":\"%s\",\"name\":\"the-key-name\"}", f.member);
    ask_once(e, &a, "POST keys", bytes_of(body), "once");
    check_value(&a, "/key", e->secret);
    check_value(&a, "/note", NULL);
    snprintf(id, sizeof(id), "%s", pick(&a, "/id", NULL));
    ask_once(e, &a, "POST keys", bytes_of(body), "once");
    assert_int_equal(a.status, 201);
    check_value(&a, "/id", id);
    check_value(&a, "/key", "null");
    check_value(&a, "/path/member", f.member);
    assert_non_null(strstr(pick(&a, "/note", NULL), "first answer"));
    assert_int_equal(e->secrets, 1);
    ask_once(e, &a, call_of("POST keys/", id, "/rotate"), (struct bytes){0}, "once");
    check_value(&a, "/key", e->secret);
    assert_int_equal(e->secrets, 2);
    ask_once(e, &a, call_of("POST keys/", id, "/rotate"), (struct bytes){0}, "once");
    check_value(&a, "/key", "null");
    assert_int_equal(e->secrets, 2);
    data_dir_close(*state);
    assert_true(is_in_store(*state, "the-key-name"));
    assert_false(is_in_store(*state, "sk-weir-"));
    drop(&a);
    engine_close(e);
}

/* ---- usage and requests */

static void test_request_rows(void **state)
{
    static const struct { const char *pointer, *value; } values[] = {
        {"id", "row_188f59504cc308000000000000000003"}, {"request_id", "client-3"},
        {"time", "2026-01-30T00:03:00Z"}, {"model", "openai/gpt-1"}, {"provider", "openai"},
        {"mode", "balanced"}, {"gain", "0.25"}, {"status", "200"}, {"close", "done"},
        {"stream", "true"}, {"attempts", "2"}, {"input_tokens", "11"}, {"cached_tokens", "4"},
        {"cache_write_tokens", "11"}, {"output_tokens", "100"}, {"reasoning_tokens", "3"},
        {"cost_usd", "0.001234567"}, {"price/input", "0.1"}, {"price/output", "0.000001"},
        {"price/cached", NULL}, {"price/request", "0.001"}, {"estimated", "false"},
        {"ttft_ms", "1.5"}, {"duration_ms", "2001.5"}, {"tags/a", "1"}, {"tags/b", "x=y"},
        {"tags/flag", ""},
    };
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e), g = make_family(e);
    char key[32], other[32], path[64];
    make_key(e, f.member, key);
    make_key(e, g.member, other);
    struct record r[5];
    for (unsigned i = 0; i < 5; i++) r[i] = make_record(&f, key, i + 1);
    r[4] = make_record(&g, other, 5);
    r[3].path[UNIT_TEAM] = 0;
    r[3].ttft_us = 0;
    r[3].model[0] = '\0';
    r[3].flags = RECORD_ESTIMATED | RECORD_FREE_PRICE;
    memset(r[3].request_id, 'q', sizeof(r[3].request_id));
    fold(*state, r, 5);
    want(e, &a, 200, call_of("GET requests?unit=", f.org, "&limit=2"), NULL);
    assert_int_equal(count_of(&a, "/data"), 2);
    check_value(&a, "/has_more", "true");
    for (size_t i = 0; i < COUNT(values); i++) {
        snprintf(path, sizeof(path), "/data/1/%s", values[i].pointer);
        check_value(&a, path, values[i].value);
    }
    check_value(&a, "/data/1/organization", f.org);
    check_value(&a, "/data/1/member", f.member);
    check_value(&a, "/data/1/key", key);
    check_value(&a, "/data/0/team", "null");
    check_value(&a, "/data/0/model", "null");
    check_value(&a, "/data/0/provider", "null");
    check_value(&a, "/data/0/ttft_ms", "null");
    check_value(&a, "/data/0/estimated", "true");
    check_value(&a, "/data/0/unpriced", "true");
    assert_int_equal(strlen(pick(&a, "/data/0/request_id", NULL)), RECORD_REQUEST_ID_MAX);
    want(e, &a, 200, call_of("GET requests?after=row_188f59504cc308000000000000000003"
                              "&unit=", f.org, ""), NULL);
    assert_int_equal(count_of(&a, "/data"), 2);
    check_value(&a, "/has_more", "false");
    check_value(&a, "/data/0/request_id", "client-2");
    want(e, &a, 200, call_of("GET requests?unit=", other, ""), NULL);
    assert_int_equal(count_of(&a, "/data"), 1);
    want(e, &a, 200, "GET requests?from=2026-01-30T00:02:00Z&to=2026-01-30T00:04:00Z", NULL);
    assert_int_equal(count_of(&a, "/data"), 2);
    want(e, &a, 200, "GET requests", NULL);
    assert_int_equal(count_of(&a, "/data"), 5);
    drop(&a);
    engine_close(e);
}

/* A stream that went on elsewhere, and lost a hedge before: one row, its parts, each model's
 * share in the sums. */
static void test_a_row_with_attempts(void **state)
{
    static const struct { const char *pointer, *value; } values[] = {
        {"model", "openai/gpt-1"}, {"provider", "openai"}, {"continued_by", "far/other"},
        {"cost_usd", "0.003703701"}, {"output_tokens", "300"}, {"input_tokens", "33"},
        {"estimated", "true"}, {"status", "200"}, {"close", "done"},
        {"billed/0/model", "far/slow"}, {"billed/0/provider", "far"},
        {"billed/0/close", "upstream_failed"}, {"billed/0/estimated", "true"},
        {"billed/0/ttft_ms", "null"}, {"billed/0/status", "0"},
        {"billed/1/model", "openai/gpt-1"}, {"billed/1/cost_usd", "0.001234567"},
        {"billed/1/output_tokens", "100"}, {"billed/1/input_tokens", "11"},
        {"billed/1/estimated", "false"}, {"billed/1/ttft_ms", "1.5"}, {"billed/2", NULL},
    };
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    char key[32], path[64];
    make_key(e, f.member, key);
    struct record r[3];
    for (unsigned i = 0; i < 3; i++) {
        r[i] = make_record(&f, key, 1);
        r[i].nth = (uint8_t)i;
        if (i == 2) continue;
        r[i].kind = RECORD_ATTEMPT;
        r[i].close = RECORD_CLOSE_DONE + 1;
    }
    snprintf(r[0].model, sizeof(r[0].model), "far/slow");
    r[0].flags |= RECORD_ESTIMATED;
    r[0].ttft_us = r[0].status = 0;
    r[1].flags |= RECORD_BEGAN;
    snprintf(r[2].model, sizeof(r[2].model), "far/other");
    fold(*state, r, 3);
    want(e, &a, 200, "GET requests", NULL);
    assert_int_equal(count_of(&a, "/data"), 1);
    for (size_t i = 0; i < COUNT(values); i++) {
        snprintf(path, sizeof(path), "/data/0/%s", values[i].pointer);
        check_value(&a, path, values[i].value);
    }
    want(e, &a, 200, "GET usage?group_by=model", NULL);
    assert_int_equal(count_of(&a, "/data"), 3);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "/data/%d/cost_usd", i);
        check_value(&a, path, "0.001234567");
        snprintf(path, sizeof(path), "/data/%d/requests", i);
        check_value(&a, path, i == 0 ? "1" : "0");      /* far/other's */
    }
    drop(&a);
    engine_close(e);
}

static void test_usage_rows(void **state)
{
    static const struct { const char *pointer, *value; } all[] = {
        {"requests", "5"}, {"errors", "1"}, {"fallbacks", "5"}, {"input_tokens", "55"},
        {"cached_tokens", "20"}, {"cache_write_tokens", "55"}, {"output_tokens", "500"},
        {"cost_usd", "0.006172835"}, {"mean_ttft_ms", "1.5"}, {"tokens_per_s", "50"},
        {"organization", NULL}, {"hour", NULL},
    };
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e), g = make_family(e);
    char key[32], other[32], path[64];
    make_key(e, f.member, key);
    make_key(e, g.member, other);
    struct record r[5];
    for (unsigned i = 0; i < 5; i++) r[i] = make_record(&f, key, i + 1);
    r[4] = make_record(&g, other, 5);
    r[4].status = 502;
    r[4].path[UNIT_DEPARTMENT] = 0;
    r[4].admitted_unix_ns += 50 * UINT64_C(86400) * S_NS;
    fold(*state, r, 5);
    want(e, &a, 200, "GET usage", NULL);
    assert_int_equal(count_of(&a, "/data"), 1);
    for (size_t i = 0; i < COUNT(all); i++) {
        snprintf(path, sizeof(path), "/data/0/%s", all[i].pointer);
        check_value(&a, path, all[i].value);
    }
    want(e, &a, 200, "GET usage?group_by=organization,department,team,member,key,model,"
         "provider,tag,hour,day,month", NULL);
    /* Two models of f with three tags each (a=1, b=x=y, a=2, flag: four), and g's. */
    assert_int_equal(count_of(&a, "/data"), 12);
    check_value(&a, "/data/0/organization", f.org);
    check_value(&a, "/data/0/organization_name", "organization's name");
    check_value(&a, "/data/0/department_name", "department's name");
    check_value(&a, "/data/0/member", f.member);
    check_value(&a, "/data/0/key", key);
    check_value(&a, "/data/0/key_name", "k");
    check_value(&a, "/data/0/model", "openai/gpt-0");
    check_value(&a, "/data/0/provider", "openai");
    check_value(&a, "/data/0/tag", "a=1");
    check_value(&a, "/data/0/requests", "2");
    check_value(&a, "/data/0/hour", "2026-01-30T00:00:00Z");
    check_value(&a, "/data/0/month", "2026-01-01T00:00:00Z");
    want(e, &a, 200, call_of("DELETE units/", g.org, "?recursive=1"), NULL);
    want(e, &a, 200, "GET usage?group_by=department,month,day", NULL);
    assert_int_equal(count_of(&a, "/data"), 2);
    check_value(&a, "/data/0/department", "null");
    check_value(&a, "/data/0/department_name", "null");
    check_value(&a, "/data/0/day", "2026-03-21T00:00:00Z");
    check_value(&a, "/data/0/month", "2026-03-01T00:00:00Z");
    want(e, &a, 200, "GET usage?group_by=organization", NULL);
    check_value(&a, "/data/1/organization", g.org);
    check_value(&a, "/data/1/organization_name", "null");
    want(e, &a, 200, call_of("GET usage?unit=", other, ""), NULL);
    check_value(&a, "/data/0/requests", "1");
    want(e, &a, 200, "GET usage?from=2027-01-01", NULL);
    check_value(&a, "/data/0/requests", "0");
    check_value(&a, "/data/0/mean_ttft_ms", "null");
    check_value(&a, "/data/0/tokens_per_s", "null");
    want(e, &a, 200, "GET usage?from=2027-01-01&group_by=provider", NULL);
    assert_int_equal(count_of(&a, "/data"), 0);
    drop(&a);
    engine_close(e);
}

/* 26 prompt tokens and 100 of output a request: what they cost with make_record is
 * 1,234,567 nano-dollars. */
static void test_usage_beside_a_baseline(void **state)
{
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    char key[32];
    make_key(e, f.member, key);
    struct record r[4];
    for (unsigned i = 0; i < 4; i++) r[i] = make_record(&f, key, i + 1);
    r[2].admitted_unix_ns = r[3].admitted_unix_ns = EPOCH + 86400 * S_NS + 5;
    r[2].tokens[TOKEN_INPUT] = 4;               /* a prompt of 20 */
    r[3].status = 502;                          /* no good request: its tokens alone */
    r[3].cost_nusd = 9000000000;
    fold(*state, r, 4);
    want(e, &a, 200, "GET usage?baseline=far/plain&group_by=day", NULL);
    assert_int_equal(count_of(&a, "/data"), 2);
    /* 252 tokens x 10,000 + 2 x 1,000,000; 246 x 10,000 + 1,000,000 */
    check_value(&a, "/data/0/baseline_usd", "0.00452");
    check_value(&a, "/data/0/saved_usd", "0.002050866");
    check_value(&a, "/data/1/baseline_usd", "0.00346");
    check_value(&a, "/data/1/saved_usd", "-8.997774567");
    want(e, &a, 200, "GET usage?group_by=day", NULL);
    check_value(&a, "/data/0/baseline_usd", NULL);
    check_value(&a, "/data/0/saved_usd", NULL);
    want(e, &a, 200, "GET usage?baseline=far%2Ftiers&from=2026-01-31", NULL);
    /* 120 x 1,000 below the tier and 126 x 100,000 above it, and one request */
    check_value(&a, "/data/0/baseline_usd", "0.01372");
    want(e, &a, 400, "GET usage?baseline=far/tiers", NULL);
    check_value(&a, "/error/code", "unknown_price");
    check_value(&a, "/error/pointer", "baseline");
    check_value(&a, "/error/message", "query parameter 'baseline': no price of it is known for "
                "2026-01-30T00:00:00Z; ask for later times with 'from'");
    want(e, &a, 400, "GET usage?baseline=far/x", NULL);
    check_value(&a, "/error/code", "invalid_request");
    check_value(&a, "/error/pointer", "baseline");
    want(e, &a, 400, "GET usage?baseline=far/unknown", NULL);
    check_value(&a, "/error/code", "unknown_price");
    want(e, &a, 200, "GET usage?baseline=far/tiers&from=2027-01-01", NULL);
    check_value(&a, "/data/0/baseline_usd", "0");
    check_value(&a, "/data/0/saved_usd", "0");
    drop(&a);
    engine_close(e);
}

/* The first and last day of each month of four years, against the C library. */
static void test_months_begin_where_they_begin(void **state)
{
    enum { MONTHS = 48 };
    struct engine *e = engine_open(*state);
    struct answer a = {0};
    struct lineage f = make_family(e);
    char key[32];
    make_key(e, f.member, key);
    struct record r[2 * MONTHS];
    for (unsigned i = 0; i < COUNT(r); i++) {
        struct tm tm = {.tm_year = 122, .tm_mon = (int)(i / 2 + i % 2), .tm_mday = 1};
        time_t day = timegm(&tm) - (i % 2 ? 86400 : 0);
        r[i] = make_record(&f, key, i + 1);
        r[i].admitted_unix_ns = (uint64_t)day * S_NS + 5 * S_NS;
    }
    fold(*state, r, COUNT(r));
    want(e, &a, 200, "GET usage?group_by=day,month", NULL);
    assert_int_equal(count_of(&a, "/data"), COUNT(r));
    for (unsigned i = 0; i < COUNT(r); i++) {
        char path[32], wanted[32];
        snprintf(path, sizeof(path), "/data/%u/month", i);
        snprintf(wanted, sizeof(wanted), "%04u-%02u-01T00:00:00Z", 2022 + i / 24,
                 i / 2 % 12 + 1);
        check_value(&a, path, wanted);
    }
    drop(&a);
    engine_close(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATA_TEST(test_a_repeated_post_is_answered_again),
        DATA_TEST(test_kept_answers_end_after_a_day),
        DATA_TEST(test_kept_answers_are_bounded),
        DATA_TEST(test_no_secret_is_kept),
        DATA_TEST(test_request_rows),
        DATA_TEST(test_a_row_with_attempts),
        DATA_TEST(test_usage_rows),
        DATA_TEST(test_usage_beside_a_baseline),
        DATA_TEST(test_months_begin_where_they_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
