/* test_upgrade.c - a data directory that schema 1 wrote: every row is there afterwards, once,
 * found in every way, also when the upgrade was cut off before. */
#include "store/ledger.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATA_TEST(test_an_old_store_is_brought_up),
        DATA_TEST(test_a_half_upgraded_store_goes_on),
        DATA_TEST(test_an_empty_old_store),
        DATA_TEST(test_a_damaged_old_row_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
