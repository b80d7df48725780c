/* test_keeper.c - the store thread's round under clocks that the test sets: request rows and
 * hourly sums go when the configuration says so, whichever is kept longer. */
#include "engine/clock.h"
#include "engine/conf.h"
#include "engine/engine.h"
#include "engine/front.h"
#include "engine/keeper.h"
#include "engine/tables.h"
#include "store/fold.h"
#include "store/usage.h"

#include "tests/unit/conf_kit.h"
#include "tests/unit/data_dir.h"

enum { DAYS = 12 };

static const uint64_t day_ns = UINT64_C(86400000000000);
static const uint64_t epoch = UINT64_C(1769731200) * 1000000000;   /* 2026-01-30 */

/* keeper.c finds the clocks here instead of in clock_real.c. */
static uint64_t now_ns, unix_ns;

uint64_t clock_now_ns(void) { return now_ns; }
uint64_t clock_unix_ns(void) { return unix_ns; }

/* A request at noon of each day. */
static void fill(struct data_dir *d)
{
    char why[JOURNAL_WHY_MAX];
    struct journal *j = NULL;
    uint64_t folded;
    if (journal_open(d->path, 0, 16, 64, &j, why) != STORE_OK) fail_msg("%s", why);
    for (uint64_t day = 0; day < DAYS; day++) {
        struct record r = {.exchange_id = day + 1, .status = 200, .close = RECORD_CLOSE_DONE,
                           .admitted_unix_ns = epoch + day * day_ns + day_ns / 2};
        r.path[UNIT_KEY] = store_id_make(UNIT_KEY, 1);
        snprintf(r.request_id, sizeof(r.request_id), "r%u", (unsigned)day);
        snprintf(r.model, sizeof(r.model), "a/m");
        journal_end(j, journal_begin(j, &r), &r);
    }
    assert_int_equal(fold_step(d->db, &j, 1, 64, NULL, NULL, &folded), STORE_OK);
    assert_int_equal(folded, DAYS);
    journal_close(j);
}

static bool count_row(const struct request_row *row, void *arg)
{
    assert_int_equal(row->end.kind, RECORD_REQUEST);
    ++*(unsigned *)arg;
    return true;
}

static bool take_sum(const struct usage_row *row, void *arg)
{
    *(uint64_t *)arg = row->requests;
    return true;
}

/* What is left of both. */
static void check_left(struct data_dir *d, unsigned rows, uint64_t summed)
{
    unsigned seen = 0;
    uint64_t sum = 0;
    struct usage_ask all = {.unit = 0};
    MDB_txn *txn = data_dir_begin(d, false);
    assert_int_equal(usage_requests(d->db, txn, &all, NULL, count_row, &seen), STORE_OK);
    assert_int_equal(usage_query(d->db, txn, &all, take_sum, &sum), STORE_OK);
    db_abort(txn);
    assert_int_equal(seen, rows);
    assert_int_equal(sum, summed);
}

/* A minute of the store thread, ended by a round. */
static void minute(struct keeper *k)
{
    now_ns += UINT64_C(60000000000);
    unix_ns += UINT64_C(60000000000);
    assert_true(keeper_step(k));
}

static void test_retention(void **state)
{
    struct data_dir *d = *state;
    struct engine *e = calloc(1, sizeof(*e));
    assert_non_null(e);
    e->db = data_dir_open(d);
    fill(d);
    now_ns = UINT64_C(1000000000);
    unix_ns = epoch + 13 * day_ns + day_ns / 4;      /* in the morning */
    struct tables *first =
        tables_load(&e->hosts, "retention: {requests: 4d, aggregates: 8d}\n");
    struct tables *second =
        tables_load(&e->hosts, "retention: {requests: 6d, aggregates: 2d}\n");
    atomic_store(&e->tables, first);
    e->front = front_make(e);
    assert_non_null(e->front);
    struct keeper *k = keeper_make(e);
    assert_non_null(k);
    assert_true(keeper_step(k));
    check_left(d, DAYS, DAYS);             /* not before a minute has passed */
    minute(k);
    /* Days 9 to 11 are younger than 4 days; days 5 to 11 than 8. */
    check_left(d, 3, 7);
    unix_ns += day_ns / 4;                 /* noon: day 9 is 4 days old */
    minute(k);
    check_left(d, 2, 7);                   /* day 5's hour is not over yet */
    unix_ns += day_ns / 24;
    minute(k);
    check_left(d, 2, 6);
    atomic_store(&e->tables, second);      /* a reload: sums go before their rows */
    minute(k);
    check_left(d, 2, 0);
    unix_ns += 2 * day_ns;
    minute(k);
    check_left(d, 2, 0);                   /* days 10 and 11 are younger than 6 days */
    unix_ns += day_ns;
    minute(k);
    check_left(d, 1, 0);
    unix_ns = day_ns;                      /* a clock that steps back deletes nothing */
    minute(k);
    check_left(d, 1, 0);
    tables_free(first);
    tables_free(second);
    free(e->front->host);
    free(e->front);
    free(k);
    free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {DATA_TEST(test_retention)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
