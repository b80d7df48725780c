/* test_spent.c - what every unit and key has cost, against a plain model: an amount for each
 * target and hour. Random records come through journals in groups of random size, mostly in the
 * order of time, sometimes weeks late; retention runs in between. */
#include "store/credits.h"
#include "store/fold.h"
#include "store/ledger.h"
#include "store/limits.h"
#include "store/org.h"
#include "store/rows.h"
#include "store/spent.h"

#include "tests/unit/data_dir.h"

enum {
    FIRST = 497000,             /* the model's first hour */
    HOURS = 60 * 24,            /* of the model */
    KEYS = 8, TARGETS = 2 + 1 + 3 + 4 + KEYS, RING = 256,
};

/* Two organisations; the first has a department; a key has no team or member. */
static const struct { unsigned org, dep, team, member; } owner[KEYS] = {
    {1, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, 2}, {1, 1, 2, 3}, {1, 1, 2, 3}, {2, 0, 3, 4},
    {2, 0, 3, 4}, {2, 0, 0, 0},
};

struct model {
    struct data_dir *d;
    struct journal *journal;
    int64_t cost[UNIT_KINDS][KEYS + 1][HOURS];   /* by kind and serial */
    int64_t prepaid[3];
    uint64_t seed, exchange;
    uint32_t now;               /* hour of the model */
};

static uint32_t draw(struct model *m, uint32_t below)
{
    m->seed = m->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((m->seed >> 33) % below);
}

static struct model *model_make(struct data_dir *d)
{
    struct model *m = calloc(1, sizeof(*m));
    char why[JOURNAL_WHY_MAX];
    assert_non_null(m);
    m->d = d;
    m->seed = 11;
    data_dir_open(d);
    if (journal_open(d->path, 0, 16, RING, &m->journal, why) != STORE_OK) fail_msg("%s", why);
    return m;
}

static void model_free(struct model *m)
{
    journal_close(m->journal);
    free(m);
}

/* A record of a key's, admitted in an hour of the model; the model takes it in. */
static struct record make_record(struct model *m, unsigned key, uint32_t hour, int64_t nusd)
{
    struct record r;
    memset(&r, 0, sizeof(r));
    const unsigned serial[UNIT_KINDS] = {owner[key].org, owner[key].dep, owner[key].team,
                                         owner[key].member, key + 1};
    assert_true(hour < HOURS);
    r.exchange_id = ++m->exchange;
    r.admitted_unix_ns = (FIRST + (uint64_t)hour) * LEDGER_HOUR_NS + draw(m, 3600u * 1000000);
    r.cost_nusd = nusd;
    r.status = 200;
    r.close = RECORD_CLOSE_DONE;
    for (int k = 0; k < UNIT_KINDS; k++) {
        if (serial[k]) r.path[k] = store_id_make((enum unit_kind)k, serial[k]);
        m->cost[k][serial[k]][hour] += serial[k] ? nusd : 0;
    }
    snprintf(r.model, sizeof(r.model), "mock/%u", draw(m, 3));
    if (draw(m, 4) == 0) snprintf(r.tags, sizeof(r.tags), "a=%u", draw(m, 3));
    if (draw(m, 2)) {
        r.flags = RECORD_PREPAID;
        m->prepaid[owner[key].org] += nusd;
    }
    return r;
}

static void end_one(struct model *m, unsigned key, uint32_t hour, int64_t nusd)
{
    struct record r = make_record(m, key, hour, nusd);
    uint32_t slot = journal_begin(m->journal, &r);
    if (draw(m, 5) == 0) {      /* an attempt before it, which costs too */
        struct record a = make_record(m, key, hour, nusd / 2);
        a.exchange_id = r.exchange_id;
        a.admitted_unix_ns = r.admitted_unix_ns;
        m->exchange--;
        journal_attempt(m->journal, &a);
    }
    journal_end(m->journal, slot, &r);
}

static void fold(struct model *m, size_t max)
{
    uint64_t folded;
    enum store_rc rc = fold_step(m->d->db, &m->journal, 1, max, NULL, NULL, &folded);
    if (rc != STORE_OK) fail_msg("%s", m->d->db->why);
}

static void fold_all(struct model *m)
{
    while (journal_lag(m->journal) > 0) fold(m, RING);
}

static int64_t model_between(const struct model *m, unsigned kind, unsigned serial,
                             uint32_t from, uint32_t before)
{
    int64_t sum = 0;
    for (uint32_t h = from; h < before && h < HOURS; h++) sum += m->cost[kind][serial][h];
    return sum;
}

static int64_t between(struct model *m, MDB_txn *txn, store_id id, uint32_t from, uint32_t to)
{
    int64_t nusd = -1;
    assert_int_equal(spent_between(m->d->db, txn, id, from, to, &nusd), STORE_OK);
    return nusd;
}

static int64_t total(struct model *m, MDB_txn *txn, store_id id)
{
    int64_t nusd = -1;
    assert_int_equal(spent_total(m->d->db, txn, id, &nusd), STORE_OK);
    return nusd;
}

/* All targets: the total, and windows that begin at `oldest` or later. */
static void check(struct model *m, uint32_t oldest)
{
    MDB_txn *txn = data_dir_begin(m->d, false);
    for (unsigned kind = 0; kind < UNIT_KINDS; kind++) {
        for (unsigned serial = 1; serial <= KEYS; serial++) {
            store_id id = store_id_make((enum unit_kind)kind, serial);
            int64_t all = model_between(m, kind, serial, 0, HOURS);
            assert_int_equal(total(m, txn, id), all);
            assert_int_equal(between(m, txn, id, 0, UINT32_MAX), all);
            uint32_t newest = HOURS - 1;
            while (newest > oldest && m->cost[kind][serial][newest] == 0) newest--;
            assert_int_equal(between(m, txn, id, FIRST + oldest, FIRST + newest),
                             model_between(m, kind, serial, oldest, newest));
            assert_int_equal(between(m, txn, id, FIRST + newest, UINT32_MAX),
                             model_between(m, kind, serial, newest, HOURS));
            for (int i = 0; i < 8; i++) {
                uint32_t a = oldest + draw(m, HOURS - oldest), b = a + draw(m, 800);
                assert_int_equal(between(m, txn, id, FIRST + a, FIRST + b),
                                 model_between(m, kind, serial, a, b));
                assert_int_equal(between(m, txn, id, FIRST + a, FIRST + a + 1),
                                 m->cost[kind][serial][a]);
                assert_int_equal(between(m, txn, id, FIRST + b, FIRST + a), 0);
            }
        }
    }
    for (unsigned org = 1; org <= 2; org++) {
        struct pool pool;
        enum store_rc rc = credits_pool(m->d->db, txn, store_id_make(0, org), &pool);
        if (rc == STORE_OK) assert_int_equal(pool.spent_nusd, m->prepaid[org]);
    }
    db_abort(txn);
}

/* Records up to an hour of the model: mostly of now, some late by an hour or two, a few by
 * weeks. */
static void drive(struct model *m, uint32_t until, uint32_t oldest)
{
    for (; m->now < until; m->now += draw(m, 7)) {
        for (unsigned i = draw(m, 12); i > 0; i--) {
            uint32_t back = draw(m, 100) == 0 ? draw(m, 700) : draw(m, 8) ? 0 : draw(m, 3);
            uint32_t hour = m->now > oldest + back ? m->now - back : oldest;
            int64_t nusd = draw(m, 6) ? (int64_t)draw(m, 1000000) : 0;
            end_one(m, draw(m, KEYS), hour, nusd);
        }
        if (draw(m, 3) == 0) fold(m, 1 + draw(m, 40));
        if (journal_lag(m->journal) > RING - 64) fold_all(m);
    }
    fold_all(m);
}

static void make_orgs(struct data_dir *d)
{
    MDB_txn *txn = data_dir_begin(d, true);
    for (int i = 0; i < 2; i++) {
        store_id id;
        assert_int_equal(org_make(d->db, txn, UNIT_ORGANIZATION, 0, "o", NULL, 1, &id), 0);
    }
    data_dir_commit(d, txn);
}

static void test_every_window_is_that_of_the_model(void **state)
{
    struct model *m = model_make(*state);
    make_orgs(m->d);
    check(m, 0);
    for (uint32_t hour = 100; hour < HOURS; hour += 100) {
        drive(m, hour, 0);
        check(m, 0);
    }
    model_free(m);
}

/* The model's hour from which all aggregates are there. */
static uint32_t hours_kept(struct model *m)
{
    uint64_t kept;
    MDB_txn *txn = data_dir_begin(m->d, false);
    assert_int_equal(db_meta_get(m->d->db, txn, LEDGER_HOURS_KEPT, &kept), STORE_OK);
    db_abort(txn);
    return kept > FIRST ? (uint32_t)kept - FIRST : 0;
}

/* Retention takes hours that no window reaches and no total. */
static void test_retention_keeps_totals_and_35_days(void **state)
{
    struct model *m = model_make(*state);
    make_orgs(m->d);
    uint32_t oldest = 0;
    uint64_t gone = 0, deleted;
    for (uint32_t hour = 100; hour < HOURS; hour += 50) {
        drive(m, hour, oldest);
        uint64_t now = (FIRST + (uint64_t)m->now) * LEDGER_HOUR_NS;
        uint64_t before = now - draw(m, 50 * 24) * LEDGER_HOUR_NS;
        uint64_t newest = 0;
        for (uint32_t h = 0; h < HOURS; h++) {
            for (unsigned k = 1; k <= KEYS; k++) if (m->cost[UNIT_KEY][k][h]) newest = h;
        }
        do {
            size_t max = 1 + draw(m, 300);
            enum store_rc rc = fold_expire(m->d->db, before, before, max, &deleted);
            if (rc != STORE_OK) fail_msg("%s", m->d->db->why);
            gone += deleted;
        } while (deleted > 0 || m->d->db->swept != 0);
        uint32_t safe = newest > SPENT_HOURS_MIN ? (uint32_t)newest - SPENT_HOURS_MIN : 0;
        uint32_t kept = hours_kept(m);      /* aggregates are kept longer: so are readings */
        if (kept > safe) kept = safe;
        if (oldest < kept) oldest = kept;
        check(m, oldest);
    }
    MDB_txn *txn = data_dir_begin(m->d, false);
    size_t rows = data_dir_rows(m->d, txn, DB_READINGS);
    db_abort(txn);
    /* Without retention each target would have a reading for most of 1440 hours. */
    assert_true(gone > 1000);
    assert_true(rows < (size_t)TARGETS * (SPENT_HOURS_MIN + 200));
    model_free(m);
}

static void test_who_is_gone_and_old_is_forgotten(void **state)
{
    struct model *m = model_make(*state);
    make_orgs(m->d);            /* no teams, members, keys */
    drive(m, 200, 0);
    uint64_t deleted;
    end_one(m, 7, HOURS - 1, 5);
    fold_all(m);
    MDB_txn *txn = data_dir_begin(m->d, false);
    assert_int_equal(data_dir_rows(m->d, txn, DB_SPENT), TARGETS);
    db_abort(txn);
    uint64_t end = (FIRST + (uint64_t)HOURS - 1) * LEDGER_HOUR_NS;
    do {
        assert_int_equal(fold_expire(m->d->db, 0, end, 50, &deleted), STORE_OK);
    } while (deleted > 0 || m->d->db->swept != 0);
    txn = data_dir_begin(m->d, false);
    /* Two organisations, and the key (of no team or member) that cost something since. */
    assert_int_equal(data_dir_rows(m->d, txn, DB_SPENT), 3);
    assert_int_equal(total(m, txn, store_id_make(UNIT_TEAM, 1)), 0);
    for (unsigned org = 1; org <= 2; org++) {
        assert_int_equal(total(m, txn, store_id_make(UNIT_ORGANIZATION, org)),
                         model_between(m, UNIT_ORGANIZATION, org, 0, HOURS));
    }
    db_abort(txn);
    model_free(m);
}

/* Sums beyond int64: differences stay exact, totals stay at the end. */
static void test_a_meter_may_wrap(void **state)
{
    struct model *m = model_make(*state);
    store_id id = store_id_make(UNIT_ORGANIZATION, 9);
    static const int64_t costs[] = {INT64_MAX, 5, INT64_MAX / 2, INT64_MAX / 2, 7, 1};
    MDB_txn *txn = data_dir_begin(m->d, true);
    for (uint32_t i = 0; i < COUNT(costs); i++) {
        struct spent_cost c = {id, FIRST + i, costs[i]};
        assert_int_equal(spent_add(m->d->db, txn, &c, 1), STORE_OK);
        assert_int_equal(total(m, txn, id), INT64_MAX);
    }
    for (uint32_t i = 0; i < COUNT(costs); i++) {
        assert_int_equal(between(m, txn, id, FIRST + i, FIRST + i + 1), costs[i]);
    }
    assert_int_equal(between(m, txn, id, FIRST + 1, FIRST + 4), INT64_MAX);
    assert_int_equal(between(m, txn, id, FIRST + 4, FIRST + 99), 8);
    db_abort(txn);
    model_free(m);
}

static void test_the_first_hour_of_all(void **state)
{
    struct model *m = model_make(*state);
    store_id id = store_id_make(UNIT_KEY, 1);
    struct spent_cost c[] = {{id, 3, 30}, {id, 0, 5}, {id, UINT32_MAX - 1, 100}, {id, 2, 7}};
    MDB_txn *txn = data_dir_begin(m->d, true);
    assert_int_equal(spent_add(m->d->db, txn, c, 1), STORE_OK);
    assert_int_equal(spent_add(m->d->db, txn, c + 1, 3), STORE_OK);
    assert_int_equal(between(m, txn, id, 0, 1), 5);
    assert_int_equal(between(m, txn, id, 1, 3), 7);
    assert_int_equal(between(m, txn, id, 0, 4), 42);
    assert_int_equal(between(m, txn, id, 3, UINT32_MAX), 130);
    assert_int_equal(spent_add(m->d->db, txn, NULL, 0), STORE_OK);
    struct spent_cost later[] = {{id + 1, 0, 9}, {id + 1, 5, 1}};
    assert_int_equal(spent_add(m->d->db, txn, later, 2), STORE_OK);
    assert_int_equal(between(m, txn, id + 1, 0, 1), 9);
    assert_int_equal(between(m, txn, id + 1, 1, 6), 1);
    db_abort(txn);
    model_free(m);
}

static void test_damage_is_told(void **state)
{
    struct model *m = model_make(*state);
    struct db *db = m->d->db;
    store_id id = store_id_make(UNIT_KEY, 1);
    int64_t nusd;
    for (int which = 0; which < 3; which++) {
        MDB_txn *txn = data_dir_begin(m->d, true);
        struct spent_cost c[] = {{id, 10, 1}, {id, 20, 2}}, late = {id, 5, 1};
        assert_int_equal(spent_add(db, txn, c, 2), STORE_OK);
        uint8_t name[12] = {0}, bytes[24] = {1};
        db_be64(name, id);
        name[11] = 10;
        MDB_val key = {which ? 8 : 12, name}, data = {which == 2 ? 24 : 7, bytes};
        bytes[1] = 2;           /* neither full nor not */
        assert_int_equal(mdb_put(txn, db->dbi[which ? DB_SPENT : DB_READINGS], &key, &data, 0),
                         0);
        assert_int_equal(spent_between(db, txn, id, 0, 15, &nusd), STORE_FAIL);
        assert_non_null(strstr(db->why, "spending"));
        assert_int_equal(spent_add(db, txn, &late, 1), STORE_FAIL);
        if (which) assert_int_equal(spent_total(db, txn, id, &nusd), STORE_FAIL);
        db_abort(txn);
    }
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATA_TEST(test_every_window_is_that_of_the_model),
        DATA_TEST(test_retention_keeps_totals_and_35_days),
        DATA_TEST(test_who_is_gone_and_old_is_forgotten),
        DATA_TEST(test_a_meter_may_wrap),
        DATA_TEST(test_the_first_hour_of_all),
        DATA_TEST(test_damage_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
