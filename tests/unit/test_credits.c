/* test_credits.c - credit pools: entries once for a reference, sums to the nano-dollar, newest
 * first, gone with their organisation. */
#include "store/credits.h"
#include "store/limits.h"
#include "store/org.h"

#include "tests/unit/data_dir.h"

static store_id make_org(struct data_dir *d)
{
    store_id org;
    if (!d->db) data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    assert_int_equal(org_make(d->db, txn, UNIT_ORGANIZATION, 0, "o", NULL, 1, &org), STORE_OK);
    data_dir_commit(d, txn);
    return org;
}

static struct credit credit_of(enum credit_kind kind, int64_t nusd, const char *reference)
{
    struct credit c = {.kind = (uint8_t)kind, .nusd = nusd, .made_unix_ns = 77, .serial = 99};
    snprintf(c.reference, sizeof(c.reference), "%s", reference);
    return c;
}

static enum store_rc add(struct data_dir *d, store_id org, struct credit *c)
{
    MDB_txn *txn = data_dir_begin(d, true);
    enum store_rc rc = credits_add(d->db, txn, org, c);
    if (rc == STORE_OK) data_dir_commit(d, txn);
    else db_abort(txn);
    return rc;
}

static enum store_rc enter(struct data_dir *d, store_id org, enum credit_kind kind,
                           int64_t nusd, const char *reference)
{
    struct credit c = credit_of(kind, nusd, reference);
    return add(d, org, &c);
}

static struct pool pool_of(struct data_dir *d, store_id org)
{
    struct pool pool;
    MDB_txn *txn = data_dir_begin(d, false);
    assert_int_equal(credits_pool(d->db, txn, org, &pool), STORE_OK);
    db_abort(txn);
    return pool;
}

static void spend(struct data_dir *d, struct credit_cost *cost, size_t count)
{
    MDB_txn *txn = data_dir_begin(d, true);
    assert_int_equal(credits_spend(d->db, txn, cost, count), STORE_OK);
    data_dir_commit(d, txn);
}

struct seen { size_t count, max; struct credit credit[64]; };

static bool see(const struct credit *c, void *arg)
{
    struct seen *s = arg;
    s->credit[s->count++] = *c;
    return s->count < s->max;
}

static struct seen entries(struct data_dir *d, store_id org, uint64_t before, size_t max)
{
    struct seen s = {.max = max};
    MDB_txn *txn = data_dir_begin(d, false);
    assert_int_equal(credits_each(d->db, txn, org, before, see, &s), STORE_OK);
    db_abort(txn);
    return s;
}

static void test_entries_add_up(void **state)
{
    struct data_dir *d = *state;
    store_id org = make_org(d), other = make_org(d);
    struct pool zero, p = pool_of(d, org);
    memset(&zero, 0, sizeof(zero));
    assert_memory_equal(&p, &zero, sizeof(p));
    d->db->touched_count = 0;
    uint64_t generation = d->db->generation;
    struct credit c = credit_of(CREDIT_TOP_UP, 1000, "first");
    assert_int_equal(add(d, org, &c), STORE_OK);
    assert_int_equal(c.serial, 1);
    assert_true(d->db->generation > generation);
    assert_int_equal(d->db->touched_count, 1);
    assert_int_equal(d->db->touched[0], org);
    assert_int_equal(enter(d, org, CREDIT_GRANT, 5, "second"), STORE_OK);
    assert_int_equal(enter(d, org, CREDIT_REFUND, -300, "third"), STORE_OK);
    assert_int_equal(enter(d, org, CREDIT_CORRECTION, -1, "fourth"), STORE_OK);
    assert_int_equal(enter(d, org, CREDIT_CORRECTION, 2, "fifth"), STORE_OK);
    p = pool_of(d, org);
    assert_int_equal(p.entries_nusd, 706);
    assert_int_equal(p.top_balance_nusd, 1000);
    assert_int_equal(p.serial, 5);
    assert_false(p.prepaid);
    struct credit_cost costs[] = {{org, 100}, {other, 7}, {org, 50}};
    spend(d, costs, COUNT(costs));
    assert_int_equal(pool_of(d, org).spent_nusd, 150);
    assert_int_equal(pool_of(d, other).spent_nusd, 7);
    assert_int_equal(enter(d, org, CREDIT_TOP_UP, 44, "sixth"), STORE_OK);
    assert_int_equal(pool_of(d, org).top_balance_nusd, 706 + 44 - 150);
    assert_int_equal(pool_of(d, other).entries_nusd, 0);
}

static void test_a_reference_counts_once(void **state)
{
    struct data_dir *d = *state;
    store_id org = make_org(d), other = make_org(d);
    char longest[CREDIT_REFERENCE_MAX];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    const char *const references[] = {"a", "ab", "abc", longest};
    for (size_t i = 0; i < COUNT(references); i++) {
        struct credit c = credit_of(CREDIT_TOP_UP, 10 + (int64_t)i, references[i]), again = c;
        assert_int_equal(add(d, org, &c), STORE_OK);
        again.nusd = 999;
        again.kind = CREDIT_GRANT;
        assert_int_equal(add(d, org, &again), STORE_CONFLICT);
        assert_memory_equal(&again, &c, sizeof(c));
        again = credit_of(CREDIT_TOP_UP, 0, references[i]);     /* nonsense, but known */
        assert_int_equal(add(d, org, &again), STORE_CONFLICT);
        assert_int_equal(add(d, other, &c), STORE_OK);      /* another organisation's */
    }
    assert_int_equal(pool_of(d, org).entries_nusd, 10 + 11 + 12 + 13);
    assert_int_equal(entries(d, org, 0, 64).count, 4);
}

static void test_what_is_refused(void **state)
{
    struct data_dir *d = *state;
    store_id org = make_org(d);
    static const struct { enum credit_kind kind; int64_t nusd; } cases[] = {
        {CREDIT_TOP_UP, 0}, {CREDIT_TOP_UP, -1}, {CREDIT_GRANT, -1}, {CREDIT_REFUND, 1},
        {CREDIT_CORRECTION, 0}, {CREDIT_TOP_UP, LIMIT_NUSD_MAX + 1}, {CREDIT_KINDS, 1},
        {CREDIT_REFUND, -LIMIT_NUSD_MAX - 1}, {CREDIT_CORRECTION, INT64_MIN},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(enter(d, org, cases[i].kind, cases[i].nusd, "r"), STORE_REFUSED);
    }
    assert_int_equal(enter(d, org, CREDIT_TOP_UP, 1, ""), STORE_REFUSED);
    struct credit endless = credit_of(CREDIT_TOP_UP, 1, "r");
    memset(endless.reference, 'x', sizeof(endless.reference));
    assert_int_equal(add(d, org, &endless), STORE_REFUSED);
    assert_int_equal(enter(d, org, CREDIT_TOP_UP, LIMIT_NUSD_MAX, "r"), STORE_OK);
    assert_int_equal(enter(d, org, CREDIT_TOP_UP, 1, "s"), STORE_REFUSED);
    assert_int_equal(enter(d, org, CREDIT_REFUND, -LIMIT_NUSD_MAX, "t"), STORE_OK);
    const store_id nobody[] = {0, 5, org + 1, store_id_make(UNIT_TEAM, 1), UINT64_MAX};
    for (size_t i = 0; i < COUNT(nobody); i++) {
        struct pool pool;
        struct seen s = {.max = 1};
        assert_int_equal(enter(d, nobody[i], CREDIT_TOP_UP, 1, "r"), STORE_NOT_FOUND);
        MDB_txn *txn = data_dir_begin(d, true);
        assert_int_equal(credits_mode(d->db, txn, nobody[i], true), STORE_NOT_FOUND);
        assert_int_equal(credits_pool(d->db, txn, nobody[i], &pool), STORE_NOT_FOUND);
        assert_int_equal(credits_each(d->db, txn, nobody[i], 0, see, &s), STORE_NOT_FOUND);
        struct credit_cost cost = {nobody[i], 5};
        assert_int_equal(credits_spend(d->db, txn, &cost, 1), STORE_OK);
        assert_int_equal(data_dir_rows(d, txn, DB_POOLS), 1);
        db_abort(txn);
    }
    assert_int_equal(pool_of(d, org).entries_nusd, 0);
    assert_int_equal(entries(d, org, 0, 64).count, 2);
}

static void test_pages_newest_first(void **state)
{
    struct data_dir *d = *state;
    store_id a = make_org(d), b = make_org(d), c = make_org(d);
    for (int i = 1; i <= 9; i++) {
        char reference[16];
        snprintf(reference, sizeof(reference), "r%d", i);
        assert_int_equal(enter(d, b, CREDIT_TOP_UP, i, reference), STORE_OK);
        if (i > 3) assert_int_equal(enter(d, a, CREDIT_TOP_UP, 100 + i, reference), STORE_OK);
    }
    struct seen s = entries(d, b, 0, 4);
    assert_int_equal(s.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(s.credit[i].serial, 9 - i);
        assert_int_equal(s.credit[i].nusd, 9 - (int)i);
        assert_int_equal(s.credit[i].made_unix_ns, 77);
    }
    s = entries(d, b, 6, 64);
    assert_int_equal(s.count, 5);
    assert_int_equal(s.credit[0].serial, 5);
    assert_string_equal(s.credit[4].reference, "r1");
    assert_int_equal(entries(d, b, 1, 64).count, 0);
    assert_int_equal(entries(d, a, 0, 64).count, 6);
    assert_int_equal(entries(d, c, 0, 64).count, 0);
}

struct pools { size_t count; store_id org[4]; bool prepaid[4]; };

static bool see_pool(store_id org, const struct pool *pool, void *arg)
{
    struct pools *p = arg;
    p->org[p->count] = org;
    p->prepaid[p->count++] = pool->prepaid;
    return p->count < 3;
}

static void test_a_pool_goes_with_its_organisation(void **state)
{
    struct data_dir *d = *state;
    store_id org[3] = {make_org(d), make_org(d), make_org(d)};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(enter(d, org[i], CREDIT_TOP_UP, 5, "same"), STORE_OK);
        MDB_txn *txn = data_dir_begin(d, true);
        assert_int_equal(credits_mode(d->db, txn, org[i], i != 1), STORE_OK);
        data_dir_commit(d, txn);
        assert_int_equal(pool_of(d, org[i]).entries_nusd, 5);
        assert_int_equal(pool_of(d, org[i]).prepaid, i != 1);
    }
    MDB_txn *txn = data_dir_begin(d, true);
    assert_int_equal(org_delete(d->db, txn, org[0], false), STORE_OK);
    data_dir_commit(d, txn);
    struct pools p = {.count = 0};
    txn = data_dir_begin(d, false);
    assert_int_equal(credits_pools(d->db, txn, see_pool, &p), STORE_OK);
    assert_int_equal(data_dir_rows(d, txn, DB_CREDITS), 2);
    assert_int_equal(data_dir_rows(d, txn, DB_REFERENCES), 2);
    db_abort(txn);
    assert_int_equal(p.count, 2);
    assert_int_equal(p.org[0], org[1]);
    assert_int_equal(p.org[1], org[2]);
    assert_false(p.prepaid[0]);
    assert_true(p.prepaid[1]);
    assert_int_equal(entries(d, org[1], 0, 9).count, 1);
    struct credit_cost cost = {org[0], 5};
    spend(d, &cost, 1);         /* a record that comes late makes no pool */
    txn = data_dir_begin(d, true);
    assert_int_equal(credits_expire(d->db, txn, org[0], 5), STORE_OK);
    assert_int_equal(data_dir_rows(d, txn, DB_POOLS), 2);
    db_abort(txn);
}

static void test_sums_do_not_turn_over(void **state)
{
    struct data_dir *d = *state;
    store_id org = make_org(d);
    struct credit_cost costs[] = {{org, INT64_MAX}, {org, INT64_MAX}};
    spend(d, costs, 2);
    spend(d, costs, 1);
    assert_int_equal(pool_of(d, org).spent_nusd, INT64_MAX);
    assert_int_equal(enter(d, org, CREDIT_TOP_UP, 1, "r"), STORE_OK);
    assert_int_equal(pool_of(d, org).top_balance_nusd, 1 - INT64_MAX);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const names[] = {"top_up", "grant", "refund", "correction"};
    for (int k = 0; k < CREDIT_KINDS; k++) {
        assert_string_equal(credit_kind_name((enum credit_kind)k), names[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        DATA_TEST(test_entries_add_up),
        DATA_TEST(test_a_reference_counts_once),
        DATA_TEST(test_what_is_refused),
        DATA_TEST(test_pages_newest_first),
        DATA_TEST(test_a_pool_goes_with_its_organisation),
        DATA_TEST(test_sums_do_not_turn_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
