/* test_upgrade.c - a data directory that schema 1 wrote: every row is there afterwards, once,
 * found in every way, also when the upgrade was cut off before. One of schema 2: every meter
 * stands where the aggregates say. One of schema 3: nothing but two empty tables is new. */
#include "store/fold.h"
#include "store/ledger.h"
#include "store/spent.h"
#include "store/usage.h"

#include "tests/unit/data_dir.h"

enum { ROWS = 20000, OLD_KEY = 20 };

static const uint64_t epoch = UINT64_C(1790000000000000000);

/* Row i of an old store. Each third request had a billed attempt before. */
static struct record record_of(uint64_t i)
{
    struct record r;
    memset(&r, 0, sizeof(r));
    r.version = 1;
    r.kind = i % 3 == 2 ? RECORD_ATTEMPT : RECORD_REQUEST;
    r.seq = i + 1;
    r.exchange_id = 1 + i / 3 * 2 + (i % 3 != 0);
    r.admitted_unix_ns = epoch + r.exchange_id * 700 * 1000000;
    for (int k = 0; k < UNIT_KINDS; k++) r.path[k] = store_id_make((enum unit_kind)k, 5);
    r.cost_nusd = 100;
    r.status = 200;
    r.close = RECORD_CLOSE_DONE;
    snprintf(r.model, sizeof(r.model), "mock/one");
    snprintf(r.request_id, sizeof(r.request_id), "req-%llu",
             (unsigned long long)r.exchange_id);
    record_seal(&r);
    return r;
}

static void old_put(struct data_dir *d, MDB_txn *txn, uint64_t first, uint64_t end)
{
    MDB_dbi requests, by_request;
    uint8_t name[OLD_KEY];
    (void)d;
    assert_int_equal(mdb_dbi_open(txn, "requests", MDB_CREATE, &requests), 0);
    assert_int_equal(mdb_dbi_open(txn, "by_request", MDB_CREATE, &by_request), 0);
    for (uint64_t i = first; i < end; i++) {
        struct record r = record_of(i);
        uint32_t part = r.kind == RECORD_REQUEST ? UINT32_MAX : (uint32_t)r.seq;
        db_be64(name, r.admitted_unix_ns);
        db_be64(name + 8, r.exchange_id);
        for (int k = 0; k < 4; k++) name[16 + k] = (uint8_t)(part >> (24 - 8 * k));
        MDB_val key = {sizeof(name), name}, data = {sizeof(r), &r};
        assert_int_equal(mdb_put(txn, requests, &key, &data, 0), 0);
        assert_int_equal(mdb_put(txn, by_request, &key, &key, 0), 0);
    }
}

/* Turn the store into one of schema 1 with these rows in the old tables. */
static void make_old(struct data_dir *d, uint64_t first, uint64_t end)
{
    MDB_txn *txn = data_dir_begin(d, true);
    old_put(d, txn, first, end);
    assert_int_equal(db_meta_put(d->db, txn, "schema", 1), STORE_OK);
    data_dir_commit(d, txn);
}

struct seen { uint64_t count; uint8_t met[ROWS]; };

static enum store_rc see(const struct record *r, void *arg)
{
    struct seen *s = arg;
    struct record want = record_of(r->seq - 1);
    want.crc = 0;
    assert_memory_equal(r, &want, sizeof(want));
    s->met[r->seq - 1]++;
    s->count++;
    return STORE_OK;
}

static void check(struct data_dir *d)
{
    struct seen *s = calloc(1, sizeof(*s));
    MDB_dbi gone;
    uint64_t schema;
    struct record r;
    MDB_txn *txn = data_dir_begin(d, false);
    assert_non_null(s);
    assert_int_equal(db_meta_get(d->db, txn, "schema", &schema), STORE_OK);
    assert_int_equal(schema, DB_SCHEMA);
    assert_int_equal(mdb_dbi_open(txn, "requests", 0, &gone), MDB_NOTFOUND);
    assert_int_equal(mdb_dbi_open(txn, "by_request", 0, &gone), MDB_NOTFOUND);
    assert_int_equal(ledger_each(d->db, txn, 0, UINT64_MAX, 0, see, s), STORE_OK);
    assert_int_equal(s->count, ROWS);
    for (size_t i = 0; i < ROWS; i++) assert_int_equal(s->met[i], 1);
    for (uint64_t i = 0; i < ROWS; i += 997) {
        struct record want = record_of(i);
        if (want.kind != RECORD_REQUEST) continue;
        size_t len = strlen(want.request_id);
        assert_int_equal(ledger_find(d->db, txn, want.path[UNIT_KEY], want.request_id, len, &r),
                         STORE_OK);
        assert_int_equal(r.exchange_id, want.exchange_id);
    }
    db_abort(txn);
    free(s);
}

static void test_an_old_store_is_brought_up(void **state)
{
    struct data_dir *d = *state;
    data_dir_open(d);
    make_old(d, 0, ROWS);
    data_dir_open(d);
    check(d);
    data_dir_open(d);   /* and it stays so */
    check(d);
}

/* Cut off in the middle: some rows moved, the schema still 1. */
static void test_a_half_upgraded_store_goes_on(void **state)
{
    struct data_dir *d = *state;
    data_dir_open(d);
    make_old(d, 0, ROWS / 2);
    data_dir_open(d);
    make_old(d, ROWS / 2, ROWS);
    data_dir_open(d);
    check(d);
}

/* ... or before the tables went, or with nothing in them, or without them. */
static void test_an_empty_old_store(void **state)
{
    struct data_dir *d = *state;
    data_dir_open(d);
    make_old(d, 0, 0);
    data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    assert_int_equal(data_dir_rows(d, txn, DB_ROWS), 0);
    assert_int_equal(db_meta_put(d->db, txn, "schema", 1), STORE_OK);
    data_dir_commit(d, txn);
    data_dir_open(d);
}

static void test_a_damaged_old_row_is_told(void **state)
{
    struct data_dir *d = *state;
    data_dir_open(d);
    make_old(d, 0, 10);
    MDB_txn *txn = data_dir_begin(d, true);
    MDB_dbi requests;
    uint8_t name[OLD_KEY] = {0};
    MDB_val key = {sizeof(name), name}, data = {3, name};
    assert_int_equal(mdb_dbi_open(txn, "requests", 0, &requests), 0);
    assert_int_equal(mdb_put(txn, requests, &key, &data, 0), 0);
    data_dir_commit(d, txn);
    data_dir_close(d);
    struct db *db = calloc(1, sizeof(*db));
    assert_non_null(db);
    assert_int_equal(db_open(db, d->path, 256 * MIB), STORE_FAIL);
    assert_non_null(strstr(db->why, "an old request row"));
    free(db);
}

/* ---- from schema 2 */

enum { GROUPS = 120, GROUP = 100 };

/* A store with 12,000 aggregates (a tag of its own for each record), in 60 hours. */
static void make_hours(struct data_dir *d)
{
    char why[JOURNAL_WHY_MAX];
    struct journal *j;
    uint64_t folded;
    data_dir_open(d);
    assert_int_equal(journal_open(d->path, 0, 16, 256, &j, why), STORE_OK);
    for (uint64_t i = 0; i < GROUPS * GROUP; i++) {
        struct record r = record_of(i);
        r.exchange_id = i + 1;
        r.admitted_unix_ns = epoch + i * 18 * UINT64_C(1000000000);
        r.path[UNIT_KEY] += i % 7;
        r.cost_nusd = (int64_t)i;
        snprintf(r.tags, sizeof(r.tags), "n=%llu", (unsigned long long)i);
        journal_end(j, journal_begin(j, &r), &r);
        if (i % GROUP != GROUP - 1) continue;
        assert_int_equal(fold_step(d->db, &j, 1, GROUP, NULL, NULL, &folded), STORE_OK);
    }
    journal_close(j);
}

/* What is in a table, byte for byte. */
static size_t table_copy(struct data_dir *d, enum db_table table, uint8_t *out, size_t room)
{
    MDB_txn *txn = data_dir_begin(d, false);
    MDB_cursor *cursor;
    MDB_val key, data;
    size_t len = 0;
    assert_int_equal(mdb_cursor_open(txn, d->db->dbi[table], &cursor), 0);
    while (mdb_cursor_get(cursor, &key, &data, MDB_NEXT) == 0) {
        assert_true(key.mv_size + data.mv_size <= room - len);
        memcpy(out + len, key.mv_data, key.mv_size);
        memcpy(out + len + key.mv_size, data.mv_data, data.mv_size);
        len += key.mv_size + data.mv_size;
    }
    mdb_cursor_close(cursor);
    db_abort(txn);
    return len;
}

static uint64_t meta(struct data_dir *d, const char *name)
{
    uint64_t value;
    MDB_txn *txn = data_dir_begin(d, false);
    assert_int_equal(db_meta_get(d->db, txn, name, &value), STORE_OK);
    db_abort(txn);
    return value;
}

/* Take the meters away, as if schema 2 had written all that is there. */
static void forget_meters(struct data_dir *d)
{
    MDB_txn *txn = data_dir_begin(d, true);
    assert_int_equal(mdb_drop(txn, d->db->dbi[DB_SPENT], 0), 0);
    assert_int_equal(mdb_drop(txn, d->db->dbi[DB_READINGS], 0), 0);
    assert_int_equal(db_meta_put(d->db, txn, "schema", 2), STORE_OK);
    data_dir_commit(d, txn);
}

static void test_meters_are_those_the_fold_would_have_kept(void **state)
{
    struct data_dir *d = *state;
    enum { ROOM = 64 * 1024 };
    uint8_t *want = malloc(ROOM), *got = malloc(ROOM);
    assert_true(want && got);
    make_hours(d);
    for (int again = 0; again < 2; again++) {
        size_t heads = table_copy(d, DB_SPENT, want, ROOM);
        size_t all = heads + table_copy(d, DB_READINGS, want + heads, ROOM - heads);
        assert_true(heads == 11 * 32 && all > 60 * 7 * 20);
        forget_meters(d);
        data_dir_open(d);
        assert_int_equal(table_copy(d, DB_SPENT, got, ROOM), heads);
        table_copy(d, DB_READINGS, got + heads, ROOM - heads);
        assert_memory_equal(want, got, all);
        assert_int_equal(meta(d, "schema"), DB_SCHEMA);
        uint64_t hour = epoch / LEDGER_HOUR_NS, span = epoch >> LEDGER_SPAN_SHIFT;
        assert_int_equal(meta(d, LEDGER_HOURS_KEPT), hour + 1);
        assert_int_equal(meta(d, LEDGER_ROWS_KEPT), (span + 1) << LEDGER_SPAN_SHIFT);
    }
    free(want);
    free(got);
}

/* Cut off behind the first transaction: its mark says where to go on, and what is before it is
 * not counted again. */
static void test_half_filled_meters_go_on(void **state)
{
    struct data_dir *d = *state;
    store_id org = record_of(0).path[UNIT_ORGANIZATION];
    int64_t nusd;
    make_hours(d);
    forget_meters(d);
    MDB_txn *txn = data_dir_begin(d, true);
    MDB_cursor *cursor;
    MDB_val key, data, name = {10, "upgrade.at"};
    assert_int_equal(mdb_cursor_open(txn, d->db->dbi[DB_HOURS], &cursor), 0);
    for (int i = 0; i < 9000; i++) {
        assert_int_equal(mdb_cursor_get(cursor, &key, &data, MDB_NEXT), 0);
    }
    uint8_t at[LEDGER_HOUR_KEY_MAX];
    memcpy(at, key.mv_data, key.mv_size);
    key.mv_data = at;
    mdb_cursor_close(cursor);
    assert_int_equal(mdb_put(txn, d->db->dbi[DB_META], &name, &key, 0), 0);
    data_dir_commit(d, txn);
    data_dir_open(d);
    /* The hours before the mark are as much as nothing, but for the one it lies in. */
    uint32_t first = (uint32_t)(epoch / LEDGER_HOUR_NS);
    txn = data_dir_begin(d, false);
    assert_int_equal(spent_between(d->db, txn, org, 0, first + 45, &nusd), STORE_OK);
    assert_int_equal(nusd, 0);
    assert_int_equal(spent_between(d->db, txn, org, first + 46, first + 99, &nusd), STORE_OK);
    assert_true(nusd > 0);
    assert_int_equal(mdb_get(txn, d->db->dbi[DB_META], &name, &data), MDB_NOTFOUND);
    db_abort(txn);
}

/* ---- from schema 3 */

static void test_schema_3_gets_its_tables(void **state)
{
    static const enum db_table tables[] = {DB_ROTATION, DB_TENANTS};
    struct data_dir *d = *state;
    enum { ROOM = 4 << 20 };
    uint8_t *want = malloc(ROOM), *got = malloc(ROOM);
    assert_true(want && got);
    make_hours(d);
    size_t hours = table_copy(d, DB_HOURS, want, ROOM);
    size_t all = hours + table_copy(d, DB_SPENT, want + hours, ROOM - hours);
    MDB_txn *txn = data_dir_begin(d, true);
    for (int i = 0; i < 2; i++) assert_int_equal(mdb_drop(txn, d->db->dbi[tables[i]], 1), 0);
    assert_int_equal(db_meta_put(d->db, txn, "schema", 3), STORE_OK);
    data_dir_commit(d, txn);
    data_dir_close(d);
    struct db *view = calloc(1, sizeof(*view));
    bool in_use;
    assert_non_null(view);
    assert_int_equal(db_view(view, d->path, &in_use), STORE_FAIL);
    assert_non_null(strstr(view->why, "an older version (schema 3"));
    free(view);
    for (int again = 0; again < 2; again++) {
        data_dir_open(d);
        assert_int_equal(meta(d, "schema"), DB_SCHEMA);
        txn = data_dir_begin(d, false);
        for (int i = 0; i < 2; i++) assert_int_equal(data_dir_rows(d, txn, tables[i]), 0);
        db_abort(txn);
        assert_int_equal(table_copy(d, DB_HOURS, got, ROOM), hours);
        table_copy(d, DB_SPENT, got + hours, ROOM - hours);
        assert_memory_equal(want, got, all);
    }
    free(want);
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATA_TEST(test_an_old_store_is_brought_up),
        DATA_TEST(test_a_half_upgraded_store_goes_on),
        DATA_TEST(test_an_empty_old_store),
        DATA_TEST(test_a_damaged_old_row_is_told),
        DATA_TEST(test_meters_are_those_the_fold_would_have_kept),
        DATA_TEST(test_half_filled_meters_go_on),
        DATA_TEST(test_schema_3_gets_its_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
