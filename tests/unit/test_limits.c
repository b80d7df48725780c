/* test_limits.c - windows against the C library's calendar, hour by hour and far away; budgets
 * set, read, refused, and gone with what they were set for. */
#include "store/keys.h"
#include "store/limits.h"
#include "store/org.h"

#include "tests/unit/data_dir.h"

#include <time.h>

enum { HOUR_S = 3600, DAY_H = 24 };

/* Begin of a window by gmtime_r and timegm. add: so many windows later. */
static int64_t library_first(enum window w, uint32_t hour, int add)
{
    time_t s = (time_t)hour * HOUR_S;
    struct tm tm;
    assert_non_null(gmtime_r(&s, &tm));
    tm.tm_min = tm.tm_sec = 0;
    if (w == WINDOW_HOUR) tm.tm_hour += add;
    else tm.tm_hour = 0;
    if (w == WINDOW_DAY) tm.tm_mday += add;
    if (w == WINDOW_WEEK) tm.tm_mday += add * 7 - (tm.tm_wday + 6) % 7;
    if (w == WINDOW_MONTH) tm.tm_mday = 1, tm.tm_mon += add;
    return (int64_t)(timegm(&tm) / HOUR_S);
}

static void check_hour(uint32_t hour)
{
    for (enum window w = WINDOW_HOUR; w < WINDOW_TOTAL; w++) {
        uint32_t first = window_first_hour(w, hour), next = window_next_hour(w, hour);
        int64_t want_first = library_first(w, hour, 0), want_next = library_first(w, hour, 1);
        assert_int_equal(first, want_first < 0 ? 0 : want_first);
        assert_int_equal(next, want_next < UINT32_MAX ? want_next : UINT32_MAX);
        assert_true(first <= hour && (hour < next || next == UINT32_MAX));
    }
    assert_int_equal(window_first_hour(WINDOW_TOTAL, hour), 0);
    assert_int_equal(window_next_hour(WINDOW_TOTAL, hour), UINT32_MAX);
}

static void test_windows_are_those_of_the_calendar(void **state)
{
    (void)state;
    /* Each hour from 1970 to 1973, around 2000 and 2100 (no leap year), then each day with
     * two hours of it to 2400, then anywhere. */
    static const uint32_t spans[][2] = {{0, 3 * 366}, {10900, 11400}, {47400, 47900}};
    for (size_t i = 0; i < COUNT(spans); i++) {
        for (uint32_t h = spans[i][0] * DAY_H; h < spans[i][1] * DAY_H; h++) check_hour(h);
    }
    for (uint32_t day = 0; day < 157000; day++) {
        check_hour(day * DAY_H);
        check_hour(day * DAY_H + DAY_H - 1);
    }
    uint64_t seed = 7;
    for (int i = 0; i < 100000; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1;
        check_hour((uint32_t)(seed >> 32));
    }
    check_hour(UINT32_MAX);
    check_hour(UINT32_MAX - 1);
}

/* ---- budgets */

struct tree { store_id org, team, member, key; };

static struct tree make_tree(struct data_dir *d, uint8_t hash)
{
    struct tree t;
    struct key key = {.hint = "tail"};
    data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    assert_int_equal(org_make(d->db, txn, UNIT_ORGANIZATION, 0, "o", NULL, 1, &t.org), 0);
    assert_int_equal(org_make(d->db, txn, UNIT_TEAM, t.org, "t", NULL, 1, &t.team), 0);
    assert_int_equal(org_make(d->db, txn, UNIT_MEMBER, t.team, "m", NULL, 1, &t.member), 0);
    key.member = t.member;
    memset(key.hash, hash, sizeof(key.hash));
    assert_int_equal(keys_make(d->db, txn, &key, &t.key), STORE_OK);
    data_dir_commit(d, txn);
    return t;
}

static struct limits one(enum window w, int64_t nusd)
{
    struct limits l;
    for (int i = 0; i < WINDOWS; i++) l.nusd[i] = LIMIT_NONE;
    l.nusd[w] = nusd;
    return l;
}

static enum store_rc put(struct data_dir *d, store_id target, struct limits l)
{
    MDB_txn *txn = data_dir_begin(d, true);
    enum store_rc rc = limits_put(d->db, txn, target, &l);
    if (rc == STORE_OK) data_dir_commit(d, txn);
    else db_abort(txn);
    return rc;
}

static enum store_rc get(struct data_dir *d, store_id target, struct limits *l)
{
    MDB_txn *txn = data_dir_begin(d, false);
    enum store_rc rc = limits_get(d->db, txn, target, l);
    db_abort(txn);
    return rc;
}

static bool is_touched(struct data_dir *d, store_id id)
{
    for (uint32_t i = 0; i < d->db->touched_count; i++) {
        if (d->db->touched[i] == id) return true;
    }
    return false;
}

static void test_what_is_put_is_got(void **state)
{
    struct data_dir *d = *state;
    struct tree t = make_tree(d, 1);
    const store_id targets[] = {t.org, t.team, t.member, t.key};
    struct limits l, none = one(WINDOW_HOUR, LIMIT_NONE);
    for (size_t i = 0; i < COUNT(targets); i++) {
        d->db->touched_count = 0;
        uint64_t generation = d->db->generation;
        assert_int_equal(get(d, targets[i], &l), STORE_NOT_FOUND);
        assert_memory_equal(&l, &none, sizeof(l));
        struct limits some = {{0, 1, LIMIT_NONE, LIMIT_NUSD_MAX, (int64_t)i}};
        assert_int_equal(put(d, targets[i], some), STORE_OK);
        assert_true(is_touched(d, targets[i]));
        assert_true(d->db->generation > generation);
        assert_int_equal(get(d, targets[i], &l), STORE_OK);
        assert_memory_equal(&l, &some, sizeof(l));
    }
    assert_int_equal(put(d, t.team, one(WINDOW_WEEK, 5)), STORE_OK);    /* all anew */
    assert_int_equal(get(d, t.team, &l), STORE_OK);
    assert_int_equal(l.nusd[WINDOW_WEEK], 5);
    assert_int_equal(l.nusd[WINDOW_MONTH], LIMIT_NONE);
    d->db->touched_count = 0;
    uint64_t generation = d->db->generation;
    assert_int_equal(put(d, t.team, none), STORE_OK);
    assert_true(is_touched(d, t.team));
    assert_true(d->db->generation > generation);
    assert_int_equal(get(d, t.team, &l), STORE_NOT_FOUND);
    assert_int_equal(put(d, t.team, none), STORE_OK);
}

static void test_what_is_refused(void **state)
{
    struct data_dir *d = *state;
    struct tree t = make_tree(d, 1);
    struct limits l;
    assert_int_equal(put(d, t.org, one(WINDOW_DAY, -2)), STORE_REFUSED);
    assert_int_equal(put(d, t.org, one(WINDOW_DAY, INT64_MIN)), STORE_REFUSED);
    assert_int_equal(put(d, t.org, one(WINDOW_TOTAL, LIMIT_NUSD_MAX + 1)), STORE_REFUSED);
    const store_id nobody[] = {0, 5, t.key + 1, store_id_make(UNIT_TEAM, 99), UINT64_MAX};
    for (size_t i = 0; i < COUNT(nobody); i++) {
        assert_int_equal(put(d, nobody[i], one(WINDOW_DAY, 1)), STORE_NOT_FOUND);
        assert_int_equal(get(d, nobody[i], &l), STORE_NOT_FOUND);
    }
    MDB_txn *txn = data_dir_begin(d, false);
    assert_int_equal(data_dir_rows(d, txn, DB_LIMITS), 0);
    db_abort(txn);
}

struct seen { size_t count, max; store_id target[8]; };

static bool see(store_id target, const struct limits *l, void *arg)
{
    struct seen *s = arg;
    assert_int_equal(l->nusd[WINDOW_DAY], 7);
    s->target[s->count++] = target;
    return s->count < s->max;
}

static struct seen all(struct data_dir *d, size_t max)
{
    struct seen s = {.max = max};
    MDB_txn *txn = data_dir_begin(d, false);
    assert_int_equal(limits_each(d->db, txn, see, &s), STORE_OK);
    db_abort(txn);
    return s;
}

static void test_a_budget_goes_with_its_owner(void **state)
{
    struct data_dir *d = *state;
    struct tree t = make_tree(d, 1);
    const store_id targets[] = {t.org, t.team, t.member, t.key};
    assert_int_equal(all(d, 8).count, 0);
    for (size_t i = COUNT(targets); i-- > 0;) {
        assert_int_equal(put(d, targets[i], one(WINDOW_DAY, 7)), STORE_OK);
    }
    struct seen s = all(d, 8);
    assert_int_equal(s.count, 4);
    for (size_t i = 0; i < 4; i++) assert_int_equal(s.target[i], targets[i]);
    assert_int_equal(all(d, 2).count, 2);
    MDB_txn *txn = data_dir_begin(d, true);
    assert_int_equal(keys_delete(d->db, txn, t.key), STORE_OK);
    data_dir_commit(d, txn);
    assert_int_equal(all(d, 8).count, 3);
    txn = data_dir_begin(d, true);
    assert_int_equal(org_delete(d->db, txn, t.org, true), STORE_OK);
    data_dir_commit(d, txn);
    assert_int_equal(all(d, 8).count, 0);
}

/* Each byte of a stored budget that would make it another thing is noticed. */
static void test_a_damaged_budget_is_told(void **state)
{
    struct data_dir *d = *state;
    struct tree t = make_tree(d, 1);
    struct { uint8_t bytes[48]; } row = {{1}};
    static const struct { size_t at, len; uint8_t byte; } cases[] = {
        {0, 48, 2}, {0, 47, 1}, {15, 48, 0x80}, {47, 48, 0x7f}, {0, 0, 1},
    };
    uint8_t name[8];
    db_be64(name, t.team);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct limits l;
        struct seen s = {.max = 8};
        memset(row.bytes + 1, 0, 47);
        row.bytes[0] = 1;
        row.bytes[cases[i].at] = cases[i].byte;
        MDB_txn *txn = data_dir_begin(d, true);
        MDB_val key = {sizeof(name), name}, data = {cases[i].len, &row};
        assert_int_equal(mdb_put(txn, d->db->dbi[DB_LIMITS], &key, &data, 0), 0);
        assert_int_equal(limits_get(d->db, txn, t.team, &l), STORE_FAIL);
        assert_int_equal(limits_each(d->db, txn, see, &s), STORE_FAIL);
        assert_non_null(strstr(d->db->why, "a budget"));
        db_abort(txn);
    }
}

static void test_names(void **state)
{
    (void)state;
    static const char *const names[WINDOWS] = {"hour", "day", "week", "month", "total"};
    for (int w = 0; w < WINDOWS; w++) {
        assert_string_equal(window_name((enum window)w), names[w]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows_are_those_of_the_calendar),
        cmocka_unit_test(test_names),
        DATA_TEST(test_what_is_put_is_got),
        DATA_TEST(test_what_is_refused),
        DATA_TEST(test_a_budget_goes_with_its_owner),
        DATA_TEST(test_a_damaged_budget_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
