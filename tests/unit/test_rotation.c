/* test_rotation.c - what is out of rotation, and what was learned of organizations: written,
 * read, refused, gone with whom it is of. */
#include "store/check.h"
#include "store/org.h"
#include "store/rotation.h"
#include "store/tenants.h"
#include "tests/unit/data_dir.h"

struct seen { size_t count; char text[512]; };

static void see_state(enum rotation_of of, const char *name, enum rotation state, void *arg)
{
    struct seen *s = arg;
    size_t len = strlen(s->text);
    snprintf(s->text + len, sizeof(s->text) - len, "%c %s %s\n", of, name,
             rotation_name(state));
    s->count++;
}

static void put(struct data_dir *d, enum rotation_of of, const char *name, enum rotation state)
{
    MDB_txn *txn = data_dir_begin(d, true);
    assert_int_equal(rotation_put(d->db, txn, of, name, strlen(name), state), STORE_OK);
    data_dir_commit(d, txn);
}

static void check_states(struct data_dir *d, const char *want)
{
    struct seen seen = {0};
    MDB_txn *txn = data_dir_begin(d, false);
    assert_int_equal(rotation_each(d->db, txn, see_state, &seen), STORE_OK);
    db_abort(txn);
    assert_string_equal(seen.text, want);
}

static void test_states_stand_until_on_again(void **state)
{
    struct data_dir *d = *state;
    data_dir_open(d);
    check_states(d, "");
    put(d, ROTATION_PROVIDER, "openai", ROTATION_DRAIN);
    put(d, ROTATION_MODEL, "openai/gpt-5.4", ROTATION_OFF);
    put(d, ROTATION_MODEL, "openai", ROTATION_OFF);       /* a model, not the provider */
    put(d, ROTATION_PROVIDER, "groq", ROTATION_ON);       /* as it was */
    check_states(d, "m openai off\nm openai/gpt-5.4 off\np openai drain\n");
    data_dir_open(d);
    check_states(d, "m openai off\nm openai/gpt-5.4 off\np openai drain\n");
    put(d, ROTATION_PROVIDER, "openai", ROTATION_OFF);
    put(d, ROTATION_MODEL, "openai", ROTATION_ON);
    check_states(d, "m openai/gpt-5.4 off\np openai off\n");
    put(d, ROTATION_PROVIDER, "openai", ROTATION_ON);
    put(d, ROTATION_MODEL, "openai/gpt-5.4", ROTATION_ON);
    check_states(d, "");
}

static void test_names(void **state)
{
    struct data_dir *d = *state;
    char name[ROTATION_NAME_MAX + 1];
    memset(name, 'x', sizeof(name));
    data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    static const struct { size_t len; enum store_rc rc; } cases[] = {
        {0, STORE_REFUSED}, {1, STORE_OK}, {ROTATION_NAME_MAX - 1, STORE_OK},
        {ROTATION_NAME_MAX, STORE_REFUSED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(rotation_put(d->db, txn, ROTATION_MODEL, name, cases[i].len,
                                      ROTATION_OFF), cases[i].rc);
    }
    assert_int_equal(rotation_put(d->db, txn, ROTATION_MODEL, "a\0b", 3, ROTATION_OFF),
                     STORE_REFUSED);
    struct seen seen = {0};
    assert_int_equal(rotation_each(d->db, txn, see_state, &seen), STORE_OK);
    assert_int_equal(seen.count, 2);
    db_abort(txn);
}

static void test_what_is_no_state(void **state)
{
    struct data_dir *d = *state;
    static const struct { const char *key; size_t key_len; const char *data; size_t len; }
    cases[] = {
        {"p", 1, "\1\1", 2},     {"xa", 2, "\1\1", 2},    {"pa", 2, "\1", 1},
        {"pa", 2, "\1\0", 2},    {"pa", 2, "\1\3", 2},    {"pa", 2, "\2\1", 2},
        {"p\0", 2, "\1\1", 2},   {"pa", 2, "\1\1\0", 3},
    };
    data_dir_open(d);
    for (size_t i = 0; i < COUNT(cases); i++) {
        MDB_txn *txn = data_dir_begin(d, true);
        MDB_val key = {cases[i].key_len, (void *)(uintptr_t)cases[i].key};
        MDB_val data = {cases[i].len, (void *)(uintptr_t)cases[i].data};
        struct seen seen = {0};
        assert_int_equal(mdb_put(txn, d->db->dbi[DB_ROTATION], &key, &data, 0), 0);
        assert_int_equal(rotation_each(d->db, txn, see_state, &seen), STORE_FAIL);
        assert_non_null(strstr(d->db->why, "a state"));
        db_abort(txn);
    }
}

/* ---- tenants */

static store_id org_new(struct data_dir *d)
{
    store_id id;
    MDB_txn *txn = data_dir_begin(d, true);
    assert_int_equal(org_make(d->db, txn, UNIT_ORGANIZATION, 0, "o", NULL, 1, &id), STORE_OK);
    data_dir_commit(d, txn);
    return id;
}

struct kept { size_t count; store_id org[4]; size_t len[4]; uint8_t first[4]; };

static void see_tenant(store_id org, const void *bytes, size_t len, void *arg)
{
    struct kept *k = arg;
    assert_true(k->count < 4);
    k->org[k->count] = org;
    k->len[k->count] = len;
    k->first[k->count++] = *(const uint8_t *)bytes;
}

static struct kept tenants_of(struct data_dir *d)
{
    struct kept k = {0};
    MDB_txn *txn = data_dir_begin(d, false);
    assert_int_equal(tenants_each(d->db, txn, see_tenant, &k), STORE_OK);
    db_abort(txn);
    return k;
}

static void test_tenants_are_kept_until_their_organization_goes(void **state)
{
    struct data_dir *d = *state;
    uint8_t bytes[TENANT_BYTES_MAX];
    data_dir_open(d);
    store_id a = org_new(d), b = org_new(d);
    memset(bytes, 7, sizeof(bytes));
    MDB_txn *txn = data_dir_begin(d, true);
    assert_int_equal(tenants_put(d->db, txn, a, bytes, sizeof(bytes)), STORE_OK);
    assert_int_equal(tenants_put(d->db, txn, b, bytes, 1), STORE_OK);
    bytes[0] = 9;
    assert_int_equal(tenants_put(d->db, txn, a, bytes, 100), STORE_OK);
    assert_int_equal(tenants_put(d->db, txn, store_id_make(UNIT_ORGANIZATION, 99), bytes, 1),
                     STORE_NOT_FOUND);
    data_dir_commit(d, txn);
    data_dir_open(d);
    struct kept k = tenants_of(d);
    assert_int_equal(k.count, 2);
    assert_true(k.org[0] == a && k.len[0] == 100 && k.first[0] == 9);
    assert_true(k.org[1] == b && k.len[1] == 1 && k.first[1] == 7);
    txn = data_dir_begin(d, true);
    assert_int_equal(org_delete(d->db, txn, a, false), STORE_OK);
    assert_int_equal(tenants_put(d->db, txn, a, bytes, 1), STORE_NOT_FOUND);
    data_dir_commit(d, txn);
    k = tenants_of(d);
    assert_true(k.count == 1 && k.org[0] == b);
}

static void test_a_damaged_tenant_is_told(void **state)
{
    struct data_dir *d = *state;
    data_dir_open(d);
    store_id org = org_new(d);
    MDB_txn *txn = data_dir_begin(d, true);
    assert_int_equal(tenants_put(d->db, txn, org, "abc", 3), STORE_OK);
    uint8_t name[8], row[7];
    db_be64(name, org);
    MDB_val key = {sizeof(name), name}, data;
    assert_int_equal(mdb_get(txn, d->db->dbi[DB_TENANTS], &key, &data), 0);
    assert_int_equal(data.mv_size, sizeof(row));
    memcpy(row, data.mv_data, sizeof(row));
    row[6] ^= 1;
    data = (MDB_val){sizeof(row), row};
    struct kept k = {0};
    assert_int_equal(mdb_put(txn, d->db->dbi[DB_TENANTS], &key, &data, 0), 0);
    assert_int_equal(tenants_each(d->db, txn, see_tenant, &k), STORE_FAIL);
    assert_non_null(strstr(d->db->why, "what was learned"));
    row[6] ^= 1;
    for (data.mv_size = 0; data.mv_size < 5; data.mv_size++) {
        assert_int_equal(mdb_put(txn, d->db->dbi[DB_TENANTS], &key, &data, 0), 0);
        assert_int_equal(tenants_each(d->db, txn, see_tenant, &k), STORE_FAIL);
    }
    db_abort(txn);
    assert_int_equal(k.count, 0);
}

/* ---- weir check --ledger */

static void keep_line(const char *line, void *arg)
{
    snprintf(arg, CHECK_LINE_MAX, "%s", line);
}

/* What the check finds last; "": nothing. The store is closed by it. */
static void check(struct data_dir *d, char line[CHECK_LINE_MAX])
{
    struct check_found found;
    char why[CHECK_WHY_MAX];
    data_dir_close(d);
    line[0] = '\0';
    assert_int_equal(check_ledger(d->path, keep_line, line, &found, why), STORE_OK);
}

static void test_both_are_checked(void **state)
{
    static const struct {
        enum db_table table;
        size_t key_at, at;
        const char *line;
    } cases[] = {
        {DB_ROTATION, 0, 1, "states of providers and models: expected one, found damage"},
        {DB_TENANTS, 0, 5, "expected the organization of what was learned, found damage"},
        {DB_TENANTS, 7, 0, "expected the organization of what was learned, found none"},
    };
    struct data_dir *d = *state;
    char line[CHECK_LINE_MAX];
    data_dir_open(d);
    store_id org = org_new(d);
    put(d, ROTATION_PROVIDER, "openai", ROTATION_DRAIN);
    MDB_txn *txn = data_dir_begin(d, true);
    assert_int_equal(tenants_put(d->db, txn, org, "learned", 7), STORE_OK);
    data_dir_commit(d, txn);
    check(d, line);
    assert_string_equal(line, "");
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t name[64], row[64];
        MDB_cursor *cursor;
        MDB_val key, data;
        data_dir_open(d);
        txn = data_dir_begin(d, true);
        assert_int_equal(mdb_cursor_open(txn, d->db->dbi[cases[i].table], &cursor), 0);
        assert_int_equal(mdb_cursor_get(cursor, &key, &data, MDB_FIRST), 0);
        memcpy(name, key.mv_data, key.mv_size);
        memcpy(row, data.mv_data, data.mv_size);
        if (cases[i].key_at) name[cases[i].key_at]++;
        row[cases[i].at] = (uint8_t)(row[cases[i].at] + (cases[i].key_at ? 0 : 7));
        key.mv_data = name;
        data.mv_data = row;
        mdb_cursor_close(cursor);
        assert_int_equal(mdb_put(txn, d->db->dbi[cases[i].table], &key, &data, 0), 0);
        data_dir_commit(d, txn);
        check(d, line);
        if (!strstr(line, cases[i].line)) fail_msg("%s: %s", cases[i].line, line);
        data_dir_open(d);
        txn = data_dir_begin(d, true);
        MDB_dbi dbi = d->db->dbi[cases[i].table];
        row[cases[i].at] = (uint8_t)(row[cases[i].at] - 7);
        int code = cases[i].key_at ? mdb_del(txn, dbi, &key, NULL)
                                   : mdb_put(txn, dbi, &key, &data, 0);
        assert_int_equal(code, 0);
        data_dir_commit(d, txn);
        check(d, line);
        assert_string_equal(line, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATA_TEST(test_states_stand_until_on_again),
        DATA_TEST(test_names),
        DATA_TEST(test_what_is_no_state),
        DATA_TEST(test_tenants_are_kept_until_their_organization_goes),
        DATA_TEST(test_a_damaged_tenant_is_told),
        DATA_TEST(test_both_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
