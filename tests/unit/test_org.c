/* test_org.c - the tree of units: who may stand below whom, what is stored, listed, refused,
 * and that a deletion takes all of a subtree and nothing else. */
#include "store/keys.h"
#include "store/org.h"
#include "tests/unit/data_dir.h"

#include <stdatomic.h>

/* Make a unit that must be made. */
static store_id unit_make(struct data_dir *d, MDB_txn *txn, enum unit_kind kind,
                          store_id parent)
{
    store_id id = 0;
    assert_int_equal(org_make(d->db, txn, kind, parent, "a unit", "", 1000, &id), STORE_OK);
    assert_int_equal(store_id_kind(id), kind);
    return id;
}

/* Make a key whose hash is all `fill`. */
static store_id key_make(struct data_dir *d, MDB_txn *txn, store_id member, uint8_t fill)
{
    struct key key = {.member = member, .hint = "abcd"};
    memset(key.hash, fill, sizeof(key.hash));
    store_id id = 0;
    assert_int_equal(keys_make(d->db, txn, &key, &id), STORE_OK);
    return id;
}

/* --- making */

static void test_levels_may_be_skipped_never_reversed(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    store_id above[UNIT_KINDS], id = 1;
    above[0] = unit_make(d, txn, UNIT_ORGANIZATION, 0);
    for (unsigned k = 1; k < UNIT_KEY; k++) {
        above[k] = unit_make(d, txn, (enum unit_kind)k, above[0]);
    }
    above[UNIT_KEY] = key_make(d, txn, above[UNIT_MEMBER], 1);
    for (unsigned kind = 0; kind < UNIT_KEY; kind++) {
        for (unsigned parent = 0; parent < UNIT_KINDS; parent++) {
            enum store_rc rc = org_make(db, txn, (enum unit_kind)kind, above[parent], "x", NULL,
                                        1, &id);
            assert_int_equal(rc, parent < kind ? STORE_OK : STORE_REFUSED);
        }
        enum store_rc rc = org_make(db, txn, (enum unit_kind)kind, 0, "x", NULL, 1, &id);
        assert_int_equal(rc, kind == UNIT_ORGANIZATION ? STORE_OK : STORE_REFUSED);
    }
    static const store_id wrong[] = {1, UINT64_MAX, UINT64_C(1) << 56};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_int_equal(org_make(db, txn, UNIT_MEMBER, wrong[i], "x", NULL, 1, &id),
                         STORE_NOT_FOUND);
    }
    id = 77;
    assert_int_equal(org_make(db, txn, UNIT_MEMBER, store_id_make(UNIT_TEAM, 999), "x", NULL, 1,
                              &id), STORE_NOT_FOUND);
    assert_int_equal(id, 77);
    db_abort(txn);
}

static void test_texts_at_their_limits(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    char fits[STORE_NAME_MAX], over[STORE_NAME_MAX + 1];
    memset(fits, 'n', sizeof(fits));
    memset(over, 'n', sizeof(over));
    fits[STORE_NAME_MAX - 1] = over[STORE_NAME_MAX] = '\0';
    store_id org = unit_make(d, txn, UNIT_ORGANIZATION, 0), id, none;
    assert_int_equal(org_make(db, txn, UNIT_MEMBER, org, fits, fits, 1, &id), STORE_OK);
    assert_int_equal(org_make(db, txn, UNIT_MEMBER, org, over, "", 1, &none), STORE_REFUSED);
    assert_int_equal(org_make(db, txn, UNIT_MEMBER, org, "x", over, 1, &none), STORE_REFUSED);
    assert_int_equal(org_make(db, txn, UNIT_TEAM, org, "x", "a@b", 1, &none), STORE_REFUSED);
    struct unit u;
    memset(&u, 0x55, sizeof(u));
    assert_int_equal(org_get(db, txn, id, &u), STORE_OK);
    assert_string_equal(u.name, fits);
    assert_string_equal(u.email, fits);
    assert_int_equal(u.policy.len, 0);
    memset(u.name, 'n', sizeof(u.name));  /* no end */
    assert_int_equal(org_put(db, txn, &u), STORE_REFUSED);
    u.name[STORE_NAME_MAX - 1] = '\0';
    memset(u.email, 'e', sizeof(u.email));
    assert_int_equal(org_put(db, txn, &u), STORE_REFUSED);
    u.email[0] = '\0';
    assert_int_equal(org_put(db, txn, &u), STORE_OK);
    db_abort(txn);
}

/* --- reading and changing */

static void test_put_and_get_after_reopening(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    store_id org, mem;
    struct unit u, back;
    assert_int_equal(org_make(db, txn, UNIT_ORGANIZATION, 0, "Acme", NULL, 11, &org), STORE_OK);
    assert_int_equal(org_make(db, txn, UNIT_MEMBER, org, "Ann", "ann@x", 12, &mem), STORE_OK);
    assert_int_equal(org_get(db, txn, mem, &u), STORE_OK);
    snprintf(u.name, sizeof(u.name), "Anne");
    u.created_unix_ns = 99;  /* stays what it was */
    u.policy.len = STORE_POLICY_MAX;
    memset(u.policy.blob, 'a', sizeof(u.policy.blob));
    u.policy.blob[STORE_POLICY_MAX - 1] = '\0';
    assert_int_equal(org_put(db, txn, &u), STORE_OK);
    data_dir_commit(d, txn);
    assert_int_equal(atomic_load(&db->generation), 2);

    db = data_dir_open(d);
    txn = data_dir_begin(d, false);
    assert_int_equal(org_get(db, txn, mem, &back), STORE_OK);
    assert_true(back.id == mem && back.parent == org);
    assert_int_equal(back.created_unix_ns, 12);
    assert_string_equal(back.name, "Anne");
    assert_string_equal(back.email, "ann@x");
    assert_int_equal(back.policy.len, STORE_POLICY_MAX);
    assert_memory_equal(back.policy.blob, u.policy.blob, STORE_POLICY_MAX);
    assert_int_equal(org_get(db, txn, org, &back), STORE_OK);
    assert_string_equal(back.name, "Acme");
    assert_int_equal(back.parent, 0);
    assert_int_equal(back.created_unix_ns, 11);
    db_abort(txn);
}

static void test_put_refuses(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    store_id org = unit_make(d, txn, UNIT_ORGANIZATION, 0);
    store_id dep = unit_make(d, txn, UNIT_DEPARTMENT, org);
    store_id team = unit_make(d, txn, UNIT_TEAM, org);
    store_id mem = unit_make(d, txn, UNIT_MEMBER, team);
    store_id key = key_make(d, txn, mem, 1);
    data_dir_commit(d, txn);
    uint64_t generation = atomic_load(&db->generation);
    txn = data_dir_begin(d, true);
    struct unit u;
    assert_int_equal(org_get(db, txn, team, &u), STORE_OK);
    u.parent = dep;  /* units do not move */
    assert_int_equal(org_put(db, txn, &u), STORE_REFUSED);
    u.parent = org;
    snprintf(u.email, sizeof(u.email), "a@b");
    assert_int_equal(org_put(db, txn, &u), STORE_REFUSED);
    u.email[0] = '\0';
    u.policy = (struct policy){.len = 1, .blob = "A"};
    assert_int_equal(org_put(db, txn, &u), STORE_REFUSED);
    static const store_id wrong[] = {0, 1, UINT64_MAX};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        u.id = wrong[i];
        assert_int_equal(org_put(db, txn, &u), STORE_NOT_FOUND);
        assert_int_equal(org_get(db, txn, wrong[i], &u), STORE_NOT_FOUND);
        assert_int_equal(org_delete(db, txn, wrong[i], true), STORE_NOT_FOUND);
    }
    assert_int_equal(org_get(db, txn, key, &u), STORE_NOT_FOUND);
    assert_int_equal(org_delete(db, txn, key, true), STORE_NOT_FOUND);
    assert_int_equal(org_delete(db, txn, store_id_make(UNIT_TEAM, 44), true), STORE_NOT_FOUND);
    data_dir_commit(d, txn);
    assert_true(atomic_load(&db->generation) == generation);  /* nothing was changed */
}

static void test_path(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    store_id org = unit_make(d, txn, UNIT_ORGANIZATION, 0);
    store_id dep = unit_make(d, txn, UNIT_DEPARTMENT, org);
    store_id team = unit_make(d, txn, UNIT_TEAM, dep);
    store_id mem = unit_make(d, txn, UNIT_MEMBER, team);
    store_id lone = unit_make(d, txn, UNIT_MEMBER, org);
    store_id key = key_make(d, txn, mem, 1), lone_key = key_make(d, txn, lone, 2);
    const struct { store_id id, path[UNIT_KINDS]; } cases[] = {
        {org, {org}},
        {dep, {org, dep}},
        {team, {org, dep, team}},
        {mem, {org, dep, team, mem}},
        {key, {org, dep, team, mem, key}},
        {lone, {org, 0, 0, lone}},
        {lone_key, {org, 0, 0, lone, lone_key}},
    };
    struct unit_path path;
    for (size_t i = 0; i < COUNT(cases); i++) {
        memset(&path, 0x55, sizeof(path));
        assert_int_equal(org_path(db, txn, cases[i].id, &path), STORE_OK);
        assert_memory_equal(path.unit, cases[i].path, sizeof(path.unit));
    }
    assert_int_equal(org_path(db, txn, 0, &path), STORE_NOT_FOUND);
    assert_int_equal(org_path(db, txn, UINT64_MAX, &path), STORE_NOT_FOUND);
    assert_int_equal(org_path(db, txn, store_id_make(UNIT_KEY, 99), &path), STORE_NOT_FOUND);
    assert_int_equal(org_path(db, txn, store_id_make(UNIT_TEAM, 99), &path), STORE_NOT_FOUND);
    db_abort(txn);
}

/* --- lists */

struct seen { store_id id[64]; size_t count, max; };

static bool see(const struct unit *u, void *arg)
{
    struct seen *seen = arg;
    assert_true(seen->count < COUNT(seen->id));
    seen->id[seen->count++] = u->id;
    return seen->count < seen->max;
}

/* Listing must give exactly these ids, in this order, whole and in pages of any size. */
static void check_list(struct data_dir *d, MDB_txn *txn, store_id parent, const store_id *ids,
                       size_t count)
{
    struct seen seen = {.max = COUNT(seen.id)};
    assert_int_equal(org_list(d->db, txn, parent, 0, see, &seen), STORE_OK);
    assert_int_equal(seen.count, count);
    if (count) assert_memory_equal(seen.id, ids, count * sizeof(ids[0]));
    for (size_t page = 1; page <= count + 1; page++) {
        seen = (struct seen){.max = 0};
        store_id after = 0;
        size_t before;
        do {
            before = seen.count;
            seen.max = before + page;
            assert_int_equal(org_list(d->db, txn, parent, after, see, &seen), STORE_OK);
            if (seen.count) after = seen.id[seen.count - 1];
        } while (seen.count == before + page);
        assert_int_equal(seen.count, count);
        if (count) assert_memory_equal(seen.id, ids, count * sizeof(ids[0]));
    }
}

static void test_list(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    check_list(d, txn, 0, NULL, 0);
    store_id a = unit_make(d, txn, UNIT_ORGANIZATION, 0);
    store_id b = unit_make(d, txn, UNIT_ORGANIZATION, 0);
    store_id a_mem = unit_make(d, txn, UNIT_MEMBER, a);
    store_id a_team = unit_make(d, txn, UNIT_TEAM, a);
    store_id a_team2 = unit_make(d, txn, UNIT_TEAM, a);
    store_id a_dep = unit_make(d, txn, UNIT_DEPARTMENT, a);
    store_id b_mem = unit_make(d, txn, UNIT_MEMBER, b);
    store_id low = unit_make(d, txn, UNIT_MEMBER, a_team);
    key_make(d, txn, a_mem, 1);  /* keys are never listed */
    key_make(d, txn, low, 2);
    check_list(d, txn, a, (store_id[]){a_dep, a_team, a_team2, a_mem}, 4);
    check_list(d, txn, b, (store_id[]){b_mem}, 1);
    check_list(d, txn, a_team, (store_id[]){low}, 1);
    check_list(d, txn, a_team2, NULL, 0);
    check_list(d, txn, a_mem, NULL, 0);
    check_list(d, txn, 0, (store_id[]){a, b, a_dep, a_team, a_team2, a_mem, b_mem, low}, 8);
    struct seen seen = {.max = 64};
    assert_int_equal(org_list(db, txn, a, UINT64_MAX, see, &seen), STORE_OK);
    assert_int_equal(org_list(db, txn, 0, UINT64_MAX, see, &seen), STORE_OK);
    assert_int_equal(seen.count, 0);
    static const store_id wrong[] = {1, UINT64_MAX};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_int_equal(org_list(db, txn, wrong[i], 0, see, &seen), STORE_NOT_FOUND);
    }
    db_abort(txn);
}

/* --- deletion */

static void test_delete_refuses_while_something_is_below(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    store_id org = unit_make(d, txn, UNIT_ORGANIZATION, 0);
    store_id team = unit_make(d, txn, UNIT_TEAM, org);
    store_id mem = unit_make(d, txn, UNIT_MEMBER, team);
    store_id key = key_make(d, txn, mem, 1);
    const store_id held[] = {org, team, mem};
    for (size_t i = 0; i < COUNT(held); i++) {
        assert_int_equal(org_delete(db, txn, held[i], false), STORE_CONFLICT);
    }
    assert_int_equal(keys_delete(db, txn, key), STORE_OK);
    for (size_t i = COUNT(held); i-- > 0;) {
        assert_int_equal(org_delete(db, txn, held[i], false), STORE_OK);
        assert_int_equal(org_delete(db, txn, held[i], false), STORE_NOT_FOUND);
    }
    assert_int_equal(data_dir_rows(d, txn, DB_UNITS), 0);
    assert_int_equal(data_dir_rows(d, txn, DB_CHILDREN), 0);
    db_abort(txn);
}

/* Grow a tree below org: every shape of skipped level, rotated keys too. */
static void tree_grow(struct data_dir *d, MDB_txn *txn, store_id org, uint8_t fill)
{
    store_id dep = unit_make(d, txn, UNIT_DEPARTMENT, org);
    store_id parents[] = {org, dep, unit_make(d, txn, UNIT_TEAM, org),
                          unit_make(d, txn, UNIT_TEAM, dep)};
    for (size_t i = 0; i < COUNT(parents); i++) {
        for (int m = 0; m < 3; m++) {
            store_id mem = unit_make(d, txn, UNIT_MEMBER, parents[i]);
            for (int k = 0; k < 3; k++) {
                store_id key = key_make(d, txn, mem, fill++);
                uint8_t hash[STORE_KEY_HASH];
                memset(hash, fill++, sizeof(hash));
                if (k == 0) continue;
                assert_int_equal(keys_rotate(d->db, txn, key, hash, "", k == 1 ? 5 : 0),
                                 STORE_OK);
            }
        }
    }
}

static const enum db_table org_tables[] = {DB_UNITS, DB_CHILDREN, DB_KEYS, DB_HASHES};

static void rows_count(struct data_dir *d, MDB_txn *txn, size_t rows[4])
{
    for (size_t i = 0; i < COUNT(org_tables); i++) {
        rows[i] = data_dir_rows(d, txn, org_tables[i]);
    }
}

static void test_recursive_delete_takes_the_subtree_only(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    size_t alone[4], both[4], rows[4];
    store_id a = unit_make(d, txn, UNIT_ORGANIZATION, 0);
    tree_grow(d, txn, a, 0);
    rows_count(d, txn, alone);
    assert_int_equal(alone[0], 1 + 3 + 12);
    assert_int_equal(alone[2], 36);
    assert_int_equal(alone[3], 48);
    store_id b = unit_make(d, txn, UNIT_ORGANIZATION, 0);
    tree_grow(d, txn, b, 100);
    rows_count(d, txn, both);
    data_dir_commit(d, txn);
    uint64_t generation = atomic_load(&db->generation);

    txn = data_dir_begin(d, true);
    assert_int_equal(org_delete(db, txn, a, true), STORE_OK);
    rows_count(d, txn, rows);
    assert_memory_equal(rows, alone, sizeof(rows));
    assert_int_equal(org_delete(db, txn, b, true), STORE_OK);
    rows_count(d, txn, rows);
    for (size_t i = 0; i < COUNT(rows); i++) assert_int_equal(rows[i], 0);
    db_abort(txn);

    txn = data_dir_begin(d, true);  /* all is there again */
    rows_count(d, txn, rows);
    assert_memory_equal(rows, both, sizeof(rows));
    assert_int_equal(org_delete(db, txn, b, true), STORE_OK);
    data_dir_commit(d, txn);
    assert_true(atomic_load(&db->generation) == generation + 1);
    txn = data_dir_begin(d, true);
    rows_count(d, txn, rows);
    assert_memory_equal(rows, alone, sizeof(rows));
    assert_true(unit_make(d, txn, UNIT_ORGANIZATION, 0) > b);  /* ids are not given again */
    db_abort(txn);
}

/* Deleting each unit of a tree in turn leaves what a count by hand says. */
static void test_recursive_delete_at_each_level(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    store_id org = unit_make(d, txn, UNIT_ORGANIZATION, 0);
    store_id dep = unit_make(d, txn, UNIT_DEPARTMENT, org);
    store_id team = unit_make(d, txn, UNIT_TEAM, dep);
    store_id mem = unit_make(d, txn, UNIT_MEMBER, team);
    store_id kept = unit_make(d, txn, UNIT_MEMBER, org);
    key_make(d, txn, mem, 1);
    key_make(d, txn, kept, 2);
    data_dir_commit(d, txn);
    const struct { store_id id; size_t rows[4]; } cases[] = {
        {mem, {4, 3 + 2, 1, 1}}, {team, {3, 2 + 2, 1, 1}}, {dep, {2, 1 + 2, 1, 1}},
        {kept, {4, 3 + 4, 1, 1}}, {org, {0, 0, 0, 0}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t rows[4];
        txn = data_dir_begin(d, true);
        assert_int_equal(org_delete(db, txn, cases[i].id, true), STORE_OK);
        rows_count(d, txn, rows);
        assert_memory_equal(rows, cases[i].rows, sizeof(rows));
        db_abort(txn);
    }
}

/* --- damage */

/* Put bytes as the row of an id. */
static void row_put(struct data_dir *d, MDB_txn *txn, store_id id, const void *row, size_t len)
{
    uint8_t name[8];
    db_be64(name, id);
    MDB_val key = {sizeof(name), name}, data = {len, (void *)(uintptr_t)row};
    assert_int_equal(mdb_put(txn, d->db->dbi[DB_UNITS], &key, &data, 0), 0);
}

/* A stored row cut or changed anywhere is a failure in a sentence, or still a sound row. */
static void test_damaged_rows_are_noticed(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    store_id org = unit_make(d, txn, UNIT_ORGANIZATION, 0), mem;
    assert_int_equal(org_make(db, txn, UNIT_MEMBER, org, "Ann", "a@b", 3, &mem), STORE_OK);
    uint8_t name[8], row[64];
    db_be64(name, mem);
    MDB_val key = {sizeof(name), name}, data;
    assert_int_equal(mdb_get(txn, db->dbi[DB_UNITS], &key, &data), 0);
    size_t len = data.mv_size;
    assert_int_equal(len, 24 + 3 + 3);
    memcpy(row, data.mv_data, len);
    row[len] = 'x';
    struct unit u;
    struct unit_path path;
    for (size_t cut = 0; cut <= len + 1; cut++) {
        row_put(d, txn, mem, row, cut);
        db->why[0] = '\0';
        assert_int_equal(org_get(db, txn, mem, &u), cut == len ? STORE_OK : STORE_FAIL);
        if (cut != len) assert_non_null(strstr(db->why, "is damaged"));
    }
    for (size_t i = 0; i < len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            row[i] ^= (uint8_t)(1u << bit);
            row_put(d, txn, mem, row, len);
            enum store_rc rc = org_path(db, txn, mem, &path);
            bool counts = i < 3 || i == 4 || i == 5 || (i >= 8 && i < 16);
            assert_int_equal(rc, counts ? STORE_FAIL : STORE_OK);
            row[i] ^= (uint8_t)(1u << bit);
        }
    }
    memcpy(row + 8, &mem, sizeof(mem));  /* its own parent: no endless climb */
    row_put(d, txn, mem, row, len);
    assert_int_equal(org_path(db, txn, mem, &path), STORE_FAIL);
    db_abort(txn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATA_TEST(test_levels_may_be_skipped_never_reversed),
        DATA_TEST(test_texts_at_their_limits),
        DATA_TEST(test_put_and_get_after_reopening),
        DATA_TEST(test_put_refuses),
        DATA_TEST(test_path),
        DATA_TEST(test_list),
        DATA_TEST(test_delete_refuses_while_something_is_below),
        DATA_TEST(test_recursive_delete_takes_the_subtree_only),
        DATA_TEST(test_recursive_delete_at_each_level),
        DATA_TEST(test_damaged_rows_are_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
