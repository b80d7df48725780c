/* test_admin_live.c - budgets and credits as they stand in the cells: the admin API beside
 * requests that run, on a real store. What one of them takes is not there for the other. */
#include "engine/admin/admin.h"
#include "engine/admin/admin_part.h"
#include "store/budget.h"
#include "store/fold.h"

#include "tests/unit/admin_calls.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

enum { CORE, WORKER, STORE_THREAD, PARTIES };

struct live {                   /* an engine with budget cells, and a request of a family */
    struct engine *e;
    struct lineage f;
    struct unit_path path;
    struct budget *b;
    struct budget_hold hold;
    char key[32];
    int rival_lacks;            /* what rival() got */
};

static bool refresh(void *arg)
{
    struct engine *e = arg;
    e->commits++;
    return budget_refresh(e->host.budget) == STORE_OK;
}

static struct live live_open(struct data_dir *d)
{
    char why[256];
    struct live l = {.e = engine_open(d)};
    if (budget_open(d->db, PARTIES, l.e->now, &l.b, why) != STORE_OK) fail_msg("%s", why);
    l.e->host.budget = l.b;
    l.e->host.look_party = WORKER;
    l.e->host.change_party = STORE_THREAD;
    l.e->host.committed = refresh;
    l.f = make_family(l.e);
    make_key(l.e, l.f.member, l.key);
    l.path.unit[UNIT_ORGANIZATION] = store_id_parse(l.f.org, strlen(l.f.org));
    l.path.unit[UNIT_TEAM] = store_id_parse(l.f.team, strlen(l.f.team));
    l.path.unit[UNIT_KEY] = store_id_parse(l.key, strlen(l.key));
    return l;
}

static void live_close(struct live *l)
{
    budget_close(l->b);
    engine_close(l->e);
}

/* A core admits a request and reserves. */
static void reserve(struct live *l, int64_t nusd)
{
    struct budget_path found;
    budget_enter(l->b, CORE);
    budget_find(l->b, &l->path, &found);
    budget_begin(l->b, CORE, &found, l->e->now, &l->hold);
    assert_int_equal(budget_reserve(l->b, &l->hold, nusd), BUDGET_FREE);
    budget_leave(l->b, CORE);
}

/* Amounts of the first limit of a unit or key. */
static void check_now(struct live *l, const char *id, const char *spent, const char *held,
                      const char *remaining)
{
    struct answer a = {0};
    want(l->e, &a, 200, call_of("GET budgets/", id, ""), NULL);
    check_value(&a, "/limits/0/spent", spent);
    check_value(&a, "/limits/0/held", held);
    check_value(&a, "/limits/0/remaining", remaining);
    drop(&a);
}

static void test_running_requests_are_seen(void **state)
{
    struct live l = live_open(*state);
    struct answer a = {0};
    want(l.e, &a, 200, call_of("PUT budgets/", l.f.org, ""),
         LIMITS(LIMIT("\"10\"", "\"day\"")));
    want(l.e, &a, 200, call_of("PUT budgets/", l.key, ""),
         LIMITS(LIMIT("\"1\"", "\"total\"")));
    want(l.e, &a, 200, call_of("PUT budgets/", l.f.dep, ""),
         LIMITS(LIMIT("\"3\"", "\"total\"")));
    reserve(&l, 500000000);
    check_now(&l, l.f.org, "0", "0.5", "9.5");
    check_now(&l, l.key, "0", "0.5", "0.5");
    check_now(&l, l.f.dep, "0", "0", "3");  /* not on the path: nobody else's numbers */
    /* Lowered below what is held: there is nothing, not less than nothing. */
    want(l.e, &a, 200, call_of("PUT budgets/", l.f.org, ""),
         LIMITS(LIMIT("\"0.25\"", "\"day\"")));
    check_value(&a, "/limits/0/usd", "0.25");
    check_value(&a, "/limits/0/held", "0.5");
    check_value(&a, "/limits/0/remaining", "0");
    /* Settled, and not folded yet: the store does not know, the cells do. */
    budget_settle(l.b, CORE, &l.hold, 125000001);
    check_now(&l, l.f.org, "0.125000001", "0", "0.124999999");
    check_now(&l, l.key, "0.125000001", "0", "0.874999999");
    want(l.e, &a, 200, call_of("PUT budgets/", l.key, ""),
         LIMITS(LIMIT("\"0.1\"", "\"total\"")));
    check_value(&a, "/limits/0/spent", "0.125000001");
    check_value(&a, "/limits/0/remaining", "0");
    want(l.e, &a, 200, call_of("DELETE budgets/", l.key, ""), NULL);
    want(l.e, &a, 200, call_of("GET budgets/", l.key, ""), NULL);
    assert_int_equal(count_of(&a, "/limits"), 0);
    drop(&a);
    live_close(&l);
}

/* A look of the day after goes to the day's own cell, and the clock does not lead back. */
static void test_windows_of_the_cells(void **state)
{
    struct live l = live_open(*state);
    struct answer a = {0};
    want(l.e, &a, 200, call_of("PUT budgets/", l.f.team, ""),
         LIMITS(LIMIT("\"2\"", "\"day\"")));
    reserve(&l, 500000000);
    budget_settle(l.b, CORE, &l.hold, 500000000);
    check_now(&l, l.f.team, "0.5", "0", "1.5");
    l.e->now += 86400 * S_NS;
    check_now(&l, l.f.team, "0", "0", "2");
    want(l.e, &a, 200, call_of("GET budgets/", l.f.team, ""), NULL);
    check_value(&a, "/limits/0/resets_at", "2026-02-01T00:00:00Z");
    assert_int_equal(budget_step(l.b, l.e->now), STORE_OK);
    l.e->now -= 86400 * S_NS;
    want(l.e, &a, 200, call_of("GET budgets/", l.f.team, ""), NULL);
    check_value(&a, "/limits/0/spent", "0");
    check_value(&a, "/limits/0/resets_at", "2026-02-01T00:00:00Z");
    drop(&a);
    live_close(&l);
}

static void check_credits(struct live *l, const char *balance, const char *held)
{
    struct answer a = {0};
    want(l->e, &a, 200, credits(&l->f, "GET", ""), NULL);
    check_value(&a, "/balance", balance);
    check_value(&a, "/held", held);
    drop(&a);
}

/* What running requests hold is nobody's to take back. */
static void test_the_pool_as_it_stands(void **state)
{
    struct live l = live_open(*state);
    struct answer a = {0};
    want(l.e, &a, 201, credits(&l.f, "POST", ""), entry("5", "r", "top_up"));
    want(l.e, &a, 200, credits(&l.f, "PATCH", ""), "{\"pool\":\"prepaid\"}");
    check_value(&a, "/balance", "5");
    reserve(&l, 500000000);
    check_credits(&l, "4.5", "0.5");
    want(l.e, &a, 409, credits(&l.f, "POST", ""), entry("4.500000001", "b", "refund"));
    check_value(&a, "/error/pointer", "/usd");
    check_credits(&l, "4.5", "0.5");
    want(l.e, &a, 201, credits(&l.f, "POST", ""), entry("4.5", "b", "refund"));
    check_credits(&l, "0", "0.5");
    budget_settle(l.b, CORE, &l.hold, 400000000);
    check_credits(&l, "0.1", "0");
    want(l.e, &a, 201, credits(&l.f, "POST", ""), entry("-1", "c", "correction"));
    check_credits(&l, "-0.9", "0");
    want(l.e, &a, 409, credits(&l.f, "POST", ""), entry("0.000000001", "d", "refund"));
    want(l.e, &a, 201, credits(&l.f, "POST", ""), entry("2", "e", "grant"));
    want(l.e, &a, 200, credits(&l.f, "PATCH", ""), "{\"pool\":\"prepaid\"}");
    check_value(&a, "/balance", "1.1");
    drop(&a);
    live_close(&l);
}

/* A request comes between a refund's commit and its coming into effect. */
static bool rival(void *arg)
{
    struct live *l = arg;
    l->rival_lacks = budget_reserve(l->b, &l->hold, 1);
    return refresh(l->e);
}

static void test_a_refund_and_a_request_get_no_same_dollar(void **state)
{
    struct live l = live_open(*state);
    struct answer a = {0};
    want(l.e, &a, 201, credits(&l.f, "POST", ""), entry("5", "r", "top_up"));
    want(l.e, &a, 200, credits(&l.f, "PATCH", ""), "{\"pool\":\"prepaid\"}");
    reserve(&l, 1000000000);
    l.e->host.committed = rival;
    l.e->host.arg = &l;
    want(l.e, &a, 201, credits(&l.f, "POST", ""), entry("4", "b", "refund"));
    assert_int_equal(l.rival_lacks, 0);         /* the pool's cell, the only one */
    check_credits(&l, "0", "1");
    l.e->host.committed = NULL;                 /* what was taken does not wait for it */
    budget_release(l.b, &l.hold, 500000000);
    want(l.e, &a, 201, credits(&l.f, "POST", ""), entry("0.25", "c", "refund"));
    want(l.e, &a, 409, credits(&l.f, "POST", ""), entry("0.26", "d", "refund"));
    check_credits(&l, "0.25", "0.5");
    l.e->host.committed = refresh;
    l.e->host.arg = l.e;
    want(l.e, &a, 201, credits(&l.f, "POST", ""), entry("1", "e", "grant"));
    check_credits(&l, "1.25", "0.5");
    budget_settle(l.b, CORE, &l.hold, 0);
    drop(&a);
    live_close(&l);
}

/* Nothing above one byte of any file can be written. */
static void disk_fails(bool fails)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = fails ? 1 : limit.rlim_max;
    (void)signal(SIGXFSZ, fails ? SIG_IGN : SIG_DFL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Let the count of kept answers be one, or what no count looks like. */
static void set_answers(struct live *l, uint64_t count, bool damaged)
{
    struct db *db = l->e->host.db;
    MDB_val name = {10, "idem_count"}, odd = {3, "odd"};
    MDB_txn *txn;
    assert_int_equal(db_begin(db, true, &txn), STORE_OK);
    if (damaged) assert_int_equal(mdb_put(txn, db->dbi[DB_META], &name, &odd, 0), 0);
    else assert_int_equal(db_meta_put(db, txn, "idem_count", count), STORE_OK);
    assert_int_equal(db_commit(db, txn), STORE_OK);
}

static void test_a_refund_that_fails_takes_nothing(void **state)
{
    struct live l = live_open(*state);
    struct answer a = {0};
    want(l.e, &a, 201, credits(&l.f, "POST", ""), entry("5", "r", "top_up"));
    want(l.e, &a, 200, credits(&l.f, "PATCH", ""), "{\"pool\":\"prepaid\"}");
    reserve(&l, 1000000000);
    disk_fails(true);
    ask(l.e, &a, credits(&l.f, "POST", ""), entry("3", "b", "refund"));
    disk_fails(false);
    assert_int_equal(a.status, 503);            /* at the commit */
    check_credits(&l, "4", "1");
    struct bytes body = bytes_of(entry("3", "b", "refund"));
    ask_once(l.e, &a, credits(&l.f, "POST", ""), body, "once");
    assert_int_equal(a.status, 201);
    set_answers(&l, 0, true);
    body = bytes_of(entry("1", "c", "refund"));
    ask_once(l.e, &a, credits(&l.f, "POST", ""), body, "again");
    assert_int_equal(a.status, 503);            /* behind it, where its answer is kept */
    check_credits(&l, "1", "1");
    set_answers(&l, 1, false);
    want(l.e, &a, 201, credits(&l.f, "POST", ""), entry("1", "c", "refund"));
    check_credits(&l, "0", "1");
    budget_settle(l.b, CORE, &l.hold, 0);
    drop(&a);
    live_close(&l);
}

/* An answered change is what the next request meets. */
static void test_a_change_acts_on_the_next_request(void **state)
{
    struct live l = live_open(*state);
    struct answer a = {0};
    struct budget_path found;
    uint64_t generation = atomic_load(&l.e->host.db->generation);
    want(l.e, &a, 200, call_of("PUT budgets/", l.key, ""),
         LIMITS(LIMIT("\"0.1\"", "\"total\"")));
    assert_true(atomic_load(&l.e->host.db->generation) > generation);
    budget_enter(l.b, CORE);
    budget_find(l.b, &l.path, &found);
    assert_int_equal(found.limit_count, 1);
    budget_begin(l.b, CORE, &found, l.e->now, &l.hold);
    budget_leave(l.b, CORE);
    assert_int_equal(budget_reserve(l.b, &l.hold, 100000001), 0);
    budget_settle(l.b, CORE, &l.hold, 0);
    want(l.e, &a, 200, call_of("PATCH keys/", l.key, ""), "{\"policy\":{\"rpm\":7}}");
    want(l.e, &a, 200, call_of("PUT budgets/", l.key, ""), "{\"limits\":[]}");
    budget_enter(l.b, CORE);
    budget_find(l.b, &l.path, &found);
    assert_int_equal(found.limit_count, 0);
    assert_int_equal(found.rate_count, 1);
    assert_int_equal(found.rate[0].rates.rpm, 7);
    budget_leave(l.b, CORE);
    want(l.e, &a, 200, call_of("DELETE keys/", l.key, ""), NULL);
    budget_enter(l.b, CORE);
    budget_find(l.b, &l.path, &found);
    assert_int_equal(found.rate_count, 0);
    budget_leave(l.b, CORE);
    drop(&a);
    live_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATA_TEST(test_running_requests_are_seen),
        DATA_TEST(test_windows_of_the_cells),
        DATA_TEST(test_the_pool_as_it_stands),
        DATA_TEST(test_a_refund_and_a_request_get_no_same_dollar),
        DATA_TEST(test_a_refund_that_fails_takes_nothing),
        DATA_TEST(test_a_change_acts_on_the_next_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
