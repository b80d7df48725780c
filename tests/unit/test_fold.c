/* test_fold.c - from journals to the ledger: each acknowledged record once, whatever dies when.
 * The crash tests kill real processes on one data directory, round after round, also in the
 * middle of recovering from the round before, and count only at the end. */
#include "store/check.h"
#include "store/fold.h"
#include "store/ledger.h"
#include "store/usage.h"

#include "store/crc.h"
#include "tests/unit/data_dir.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RUNNING = 16, RING = 256, INTERRUPTED = 40,
    RUNNING_AT = 4096, TAIL_AT = 192,      /* where the file keeps them */
};

static const uint64_t epoch = UINT64_C(1790000000000000000);
static const uint64_t hour_ns = UINT64_C(3600000000000);

static struct record record_of(uint64_t exchange)
{
    struct record r;
    memset(&r, 0, sizeof(r));
    r.exchange_id = exchange;
    r.admitted_unix_ns = epoch + exchange;
    for (int k = 0; k < UNIT_KINDS; k++) r.path[k] = (store_id)(k + 1) << 56 | 5;
    r.cost_nusd = 100;
    r.tokens[TOKEN_INPUT] = 10;
    r.status = 200;
    r.close = RECORD_CLOSE_DONE;
    r.ttft_us = 1000;
    r.duration_us = 5000;
    snprintf(r.model, sizeof(r.model), "mock/one");
    snprintf(r.request_id, sizeof(r.request_id), "req-%llu", (unsigned long long)exchange);
    return r;
}

static struct journal *open_journal(const struct data_dir *d, unsigned core)
{
    char why[JOURNAL_WHY_MAX];
    struct journal *j = NULL;
    if (journal_open(d->path, core, RUNNING, RING, &j, why) != STORE_OK) fail_msg("%s", why);
    return j;
}

static void end_one(struct journal *j, uint64_t exchange)
{
    struct record r = record_of(exchange);
    assert_true(journal_has_room(j));
    uint32_t slot = journal_begin(j, &r);
    journal_end(j, slot, &r);
}

static void feedback_one(struct journal *j, uint64_t about, uint16_t score)
{
    struct record r = record_of(about);
    r.status = score;
    assert_true(journal_feedback(j, &r));
}

static uint64_t fold(struct data_dir *d, struct journal *const *j, size_t count, size_t max)
{
    uint64_t folded;
    if (fold_step(d->db, j, count, max, NULL, NULL, &folded) != STORE_OK) {
        fail_msg("%s", d->db->why);
    }
    return folded;
}

static void recover(struct data_dir *d, uint64_t recovered, uint64_t interrupted)
{
    uint64_t r, i;
    if (fold_recover(d->db, INTERRUPTED, &r, &i) != STORE_OK) fail_msg("%s", d->db->why);
    assert_int_equal(r, recovered);
    assert_int_equal(i, interrupted);
}

static bool keep_row(const struct usage_row *row, void *arg)
{
    *(struct usage_row *)arg = *row;
    return true;
}

/* Everything there is: by hours, or by rows (a range that ends inside an hour). */
static struct usage_row sum(struct data_dir *d, bool by_rows)
{
    struct usage_row row;
    struct usage_ask ask = {.from_unix_ns = by_rows ? 1 : 0};
    if (by_rows) {
        /* Rows of the test lie in few hours; ask for just less than whole ones. */
        ask.from_unix_ns = epoch / hour_ns * hour_ns + 1;
        ask.to_unix_ns = ask.from_unix_ns + hour_ns - 2;
    }
    MDB_txn *txn = data_dir_begin(d, false);
    assert_int_equal(usage_query(d->db, txn, &ask, keep_row, &row), STORE_OK);
    db_abort(txn);
    return row;
}

static void assert_counts(struct data_dir *d, uint64_t requests, uint64_t errors, int64_t cost)
{
    for (int by_rows = 0; by_rows < 2; by_rows++) {
        struct usage_row row = sum(d, by_rows);
        assert_int_equal(row.requests, requests);
        assert_int_equal(row.errors, errors);
        assert_int_equal(row.cost_nusd, cost);
    }
}

static int score_of(struct data_dir *d, uint64_t exchange)
{
    uint16_t score;
    MDB_txn *txn = data_dir_begin(d, false);
    enum store_rc rc = usage_feedback(d->db, txn, exchange, &score);
    db_abort(txn);
    return rc == STORE_OK ? score : -1;
}

static bool exists(const struct data_dir *d, const char *name)
{
    char path[600];
    struct stat st;
    snprintf(path, sizeof(path), "%s/journal/%s", d->path, name);
    return lstat(path, &st) == 0;
}

static void poke(const struct data_dir *d, const char *name, off_t at, const void *data,
                 size_t len)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/journal/%s", d->path, name);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, len, at), (ssize_t)len);
    close(fd);
}

static size_t marks(struct data_dir *d)
{
    MDB_txn *txn = data_dir_begin(d, false);
    MDB_cursor *cursor;
    MDB_val key, data;
    size_t count = 0;
    assert_int_equal(mdb_cursor_open(txn, d->db->dbi[DB_META], &cursor), 0);
    while (mdb_cursor_get(cursor, &key, &data, MDB_NEXT) == 0) {
        count += key.mv_size > 5 && memcmp(key.mv_data, "fold:", 5) == 0;
    }
    mdb_cursor_close(cursor);
    db_abort(txn);
    return count;
}

/* ---- group commits */

struct seen { uint64_t count, exchange[1024]; };

static void see(const struct record *r, void *arg)
{
    struct seen *s = arg;
    assert_true(s->count < COUNT(s->exchange));
    s->exchange[s->count++] = r->exchange_id;
}

static void test_a_step_takes_all_journals_in_turn(void **state)
{
    struct data_dir *d = *state;
    data_dir_open(d);
    struct journal *j[3];
    for (unsigned i = 0; i < 3; i++) j[i] = open_journal(d, i);
    for (uint64_t e = 0; e < 100; e++) end_one(j[0], 1000 + e);
    for (uint64_t e = 0; e < 5; e++) end_one(j[2], 3000 + e);
    struct seen s = {0};
    uint64_t folded;
    assert_int_equal(fold_step(d->db, j, 3, 30, see, &s, &folded), STORE_OK);
    /* All 5 of the quiet one; the busy one, which could fill the group, has what is left. */
    assert_int_equal(folded, 30);
    assert_int_equal(s.count, 30);
    for (uint64_t i = 0; i < 25; i++) assert_int_equal(s.exchange[i], 1000 + i);
    for (uint64_t i = 0; i < 5; i++) assert_int_equal(s.exchange[25 + i], 3000 + i);
    assert_counts(d, 30, 0, 3000);
    assert_int_equal(journal_lag(j[0]), 75);
    assert_int_equal(marks(d), 2);
    while (fold(d, j, 3, 30) > 0) { }
    assert_counts(d, 105, 0, 10500);
    assert_int_equal(fold(d, j, 3, 30), 0);
    assert_int_equal(fold(d, NULL, 0, 30), 0);
    for (unsigned i = 0; i < 3; i++) journal_close(j[i]);
    recover(d, 0, 0);
    assert_int_equal(marks(d), 0);
}

/* However few there are and wherever they lie: a limit that is set now counts on them. */
static void test_a_step_takes_all_that_is_due(void **state)
{
    struct data_dir *d = *state;
    data_dir_open(d);
    struct journal *j[3];
    uint64_t exchange = 1000, due[3] = {0};
    for (unsigned i = 0; i < 3; i++) j[i] = open_journal(d, i);
    for (unsigned n = 0; n < 4 * 4 * 4; n++) {
        uint64_t sum = 0, at_most = n % 2 ? 100 : 5;
        for (unsigned i = 0; i < 3; i++) {
            due[i] = n >> (2 * i) & 3;
            for (uint64_t k = 0; k < due[i]; k++) end_one(j[i], exchange++);
            sum += due[i];
        }
        uint64_t first = sum < at_most ? sum : at_most;
        assert_int_equal(fold(d, j, 3, at_most), first);
        for (unsigned i = 0; i < 3; i++) {
            if (first == sum) assert_int_equal(journal_lag(j[i]), 0);
            else if (due[i] > 0) assert_true(journal_lag(j[i]) < due[i]);   /* none waits */
        }
        assert_int_equal(fold(d, j, 3, at_most), sum - first);
    }
    for (unsigned i = 0; i < 3; i++) journal_close(j[i]);
    recover(d, 0, 0);
}

static void test_an_attempt_costs_but_is_no_request(void **state)
{
    struct data_dir *d = *state;
    data_dir_open(d);
    struct journal *j = open_journal(d, 0);
    struct record r = record_of(1), attempt = r;
    attempt.cost_nusd = 7;
    attempt.status = 500;
    snprintf(attempt.model, sizeof(attempt.model), "mock/two");
    uint32_t slot = journal_begin(j, &r);
    journal_attempt(j, &attempt);
    attempt.nth = 1;
    journal_attempt(j, &attempt);
    r.nth = 2;
    journal_end(j, slot, &r);
    assert_int_equal(fold(d, &j, 1, 100), 3);
    assert_counts(d, 1, 0, 114);
    assert_int_equal(sum(d, false).tokens[TOKEN_INPUT], 30);
    assert_int_equal(sum(d, false).ttft_count, 1);
    journal_close(j);
}

static void test_feedback_finds_its_exchange(void **state)
{
    struct data_dir *d = *state;
    data_dir_open(d);
    struct journal *j[2] = {open_journal(d, 0), open_journal(d, 1)};
    end_one(j[1], 1);
    feedback_one(j[0], 1, 9000);    /* a journal before the request's: same group */
    feedback_one(j[0], 99, 1);      /* of nothing */
    assert_int_equal(fold(d, j, 2, 100), 3);
    assert_int_equal(score_of(d, 1), 9000);
    assert_int_equal(score_of(d, 99), -1);
    feedback_one(j[1], 1, 4000);    /* a later group: replaces */
    assert_int_equal(fold(d, j, 2, 100), 1);
    assert_int_equal(score_of(d, 1), 4000);
    for (uint64_t e = 2; e < 10; e++) end_one(j[1], e);
    feedback_one(j[0], 9, 5000);    /* its request is left in the ring by this group */
    assert_int_equal(fold(d, j, 2, 2), 2);
    assert_int_equal(score_of(d, 9), 5000);
    assert_int_equal(journal_lag(j[1]), 7);
    while (fold(d, j, 2, 100) > 0) { }
    assert_counts(d, 9, 0, 900);    /* feedback is no row */
    for (int i = 0; i < 2; i++) journal_close(j[i]);
}

/* The store is full: nothing is folded, no tail moves, and the records are there later. */
static void test_a_full_store_loses_nothing(void **state)
{
    struct data_dir *d = *state;
    d->db = calloc(1, sizeof(*d->db));
    assert_non_null(d->db);
    assert_int_equal(db_open(d->db, d->path, 256 * 1024), STORE_OK);
    struct journal *j = open_journal(d, 0);
    uint64_t next = 1, folded;
    enum store_rc rc = STORE_OK;
    while (rc == STORE_OK && next < 5000) {
        for (int i = 0; i < 100; i++) end_one(j, next++);
        rc = fold_step(d->db, &j, 1, 1000, NULL, NULL, &folded);
    }
    assert_int_equal(rc, STORE_FULL);
    assert_int_equal(folded, 0);
    assert_int_equal(journal_lag(j), 100);
    assert_true(d->db->why[0]);
    data_dir_open(d);               /* with room */
    assert_int_equal(fold(d, &j, 1, 1000), 100);
    assert_counts(d, next - 1, 0, (int64_t)(next - 1) * 100);
    journal_close(j);
}

/* ---- recovery */

static void test_what_ran_is_booked_as_interrupted(void **state)
{
    struct data_dir *d = *state;
    data_dir_open(d);
    struct journal *j = open_journal(d, 0);
    struct record r = record_of(1);
    uint32_t slot = journal_begin(j, &r);
    r.tokens[TOKEN_OUTPUT] = 55;
    r.cost_nusd = 777;
    r.status = 0;
    r.close = 0;
    journal_update(j, slot, &r);
    end_one(j, 2);
    journal_close(j);
    recover(d, 1, 1);
    assert_false(exists(d, "core-0"));
    assert_int_equal(marks(d), 0);
    assert_counts(d, 2, 1, 877);
    MDB_txn *txn = data_dir_begin(d, false);
    struct record seen;
    assert_int_equal(ledger_find(d->db, txn, r.path[UNIT_KEY], "req-1", 5, &seen), STORE_OK);
    db_abort(txn);
    assert_int_equal(seen.kind, RECORD_REQUEST);
    assert_int_equal(seen.status, 499);
    assert_int_equal(seen.close, INTERRUPTED);
    assert_int_equal(seen.flags, RECORD_INTERRUPTED | RECORD_ESTIMATED);
    assert_int_equal(seen.tokens[TOKEN_OUTPUT], 55);
    recover(d, 0, 0);
}

/* Death between the end's record and the clearing of its entry: the record wins, whether it
 * is still in the ring or folded before. */
static void test_a_running_entry_with_a_record_is_ignored(void **state)
{
    for (int folded = 0; folded < 2; folded++) {
        struct data_dir *d = *state;
        data_dir_open(d);
        struct journal *j = open_journal(d, 0);
        uint64_t in_use = 1 << 1 | 1;
        end_one(j, 10 + (uint64_t)folded);
        if (folded) fold(d, &j, 1, 10);
        journal_close(j);
        poke(d, "core-0", RUNNING_AT, &in_use, sizeof(in_use));
        recover(d, folded ? 0 : 1, 0);
        assert_counts(d, 1 + (uint64_t)folded, 0, 100 + 100 * folded);
    }
}

static void complain(const char *line, void *arg)
{
    (void)arg;
    print_error("%s\n", line);
}

/* The ledger's own proof, on a directory that nobody has open. */
static void check(const struct data_dir *d)
{
    struct check_found found;
    char why[CHECK_WHY_MAX];
    enum store_rc rc = check_ledger(d->path, complain, NULL, &found, why);
    if (rc != STORE_OK) fail_msg("%s", why);
    assert_int_equal(found.violations, 0);
}

/* Death between a record and what it changes in the entries: nth tells what was counted. */
static void test_attempts_and_twins_that_ran(void **state)
{
    enum { PAID, GOES_ON, TWIN, IDLE, TAKES_OVER, TAKEN, TWIN_ENDS, CASES };
    static const struct { uint64_t interrupted; int64_t cost; } want[CASES] = {
        [PAID] = {1, 100},           /* the attempt was recorded, the entry still has it */
        [GOES_ON] = {1, 107},
        [TWIN] = {2, 107},
        [IDLE] = {1, 100},           /* a twin that owes nothing yet */
        [TAKES_OVER] = {2, 107},     /* both run as the request */
        [TAKEN] = {2, 107},
        [TWIN_ENDS] = {1, 107},      /* recorded, its entry not given back */
    };
    for (int at = 0; at < CASES; at++) {
        struct data_dir *d = *state;
        data_dir_open(d);
        struct journal *j = open_journal(d, 0);
        struct record lead = record_of(100 + (uint64_t)at), twin = lead;
        struct usage_row before = sum(d, true);
        uint32_t slot = journal_begin(j, &lead), other = slot;
        twin.nth = 1;
        twin.cost_nusd = at == IDLE ? 0 : 7;
        if (at == IDLE) twin.tokens[TOKEN_INPUT] = 0;
        if (at == PAID || at == GOES_ON) journal_attempt(j, &lead);
        if (at == GOES_ON) journal_update(j, slot, &twin);
        twin.kind = RECORD_ATTEMPT;
        if (at >= TWIN) other = journal_begin(j, &twin);
        twin.kind = at == TAKES_OVER || at == TAKEN ? RECORD_REQUEST : RECORD_ATTEMPT;
        if (at == TAKES_OVER || at == TAKEN) journal_update(j, other, &twin);
        lead.kind = at == TAKEN ? RECORD_ATTEMPT : RECORD_REQUEST;
        if (at == TAKEN) journal_update(j, slot, &lead);
        uint64_t in_use = 1 << 1 | 1;
        if (at == TWIN_ENDS) journal_twin_end(j, other, &twin);
        journal_close(j);
        if (at == TWIN_ENDS) poke(d, "core-0", RUNNING_AT + 1088, &in_use, sizeof(in_use));
        data_dir_close(d);
        check(d);                       /* what is to be recovered is no violation */
        data_dir_open(d);
        recover(d, at == PAID || at == GOES_ON || at == TWIN_ENDS, want[at].interrupted);
        struct usage_row now = sum(d, true);
        if (now.cost_nusd - before.cost_nusd != want[at].cost) print_error("case %d\n", at);
        assert_int_equal(now.cost_nusd - before.cost_nusd, want[at].cost);
        assert_int_equal(now.requests - before.requests, 1);
        recover(d, 0, 0);
        data_dir_close(d);
        check(d);
        data_dir_open(d);
    }
}

/* A crash after the commit and before the tail moved: the mark knows. The rows are deleted
 * in between, so that nothing but the mark can. */
static void test_the_mark_counts_and_not_the_tail(void **state)
{
    struct data_dir *d = *state;
    data_dir_open(d);
    struct journal *j = open_journal(d, 0);
    for (uint64_t e = 1; e <= 9; e++) end_one(j, e);
    assert_int_equal(fold(d, &j, 1, 5), 5);
    journal_close(j);
    uint64_t zero = 0, deleted;
    poke(d, "core-0", TAIL_AT, &zero, sizeof(zero));
    assert_int_equal(fold_expire(d->db, epoch + hour_ns, 0, 100, &deleted), STORE_OK);
    assert_int_equal(deleted, 5);
    recover(d, 4, 0);
    assert_int_equal(sum(d, false).requests, 9);
    assert_int_equal(sum(d, true).requests, 4);
}

/* A removed file that comes back (a lost directory entry) counts nothing twice either. */
static void test_a_file_that_comes_back(void **state)
{
    struct data_dir *d = *state;
    char from[600], to[600];
    data_dir_open(d);
    struct journal *j = open_journal(d, 0);
    struct record r = record_of(50);
    for (uint64_t e = 1; e <= 9; e++) end_one(j, e);
    uint32_t slot = journal_begin(j, &r);
    journal_attempt(j, &r);
    r.nth = 1;
    journal_update(j, slot, &r);
    journal_close(j);
    snprintf(from, sizeof(from), "%s/journal/core-0", d->path);
    snprintf(to, sizeof(to), "%s/kept", d->path);
    assert_int_equal(link(from, to), 0);
    recover(d, 10, 1);
    assert_counts(d, 10, 1, 1100);
    assert_int_equal(rename(to, from), 0);
    uint64_t zero = 0, recovered, interrupted;
    poke(d, "core-0", TAIL_AT, &zero, sizeof(zero));
    assert_int_equal(fold_recover(d->db, INTERRUPTED, &recovered, &interrupted), STORE_OK);
    assert_int_equal(interrupted, 0);
    assert_counts(d, 10, 1, 1100);
}

static void test_a_bad_file_is_refused_and_left(void **state)
{
    struct data_dir *d = *state;
    data_dir_open(d);
    struct journal *j[2] = {open_journal(d, 0), open_journal(d, 12)};
    for (int i = 0; i < 2; i++) {
        end_one(j[i], 100 + (uint64_t)i);
        journal_close(j[i]);
    }
    uint64_t recovered, interrupted;
    poke(d, "core-0", 0, "W", 1);
    poke(d, "core-0", 4096 + 1088 * RUNNING, "", 0);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(fold_recover(d->db, INTERRUPTED, &recovered, &interrupted),
                         STORE_FAIL);
        assert_int_equal(recovered, again ? 0 : 1);   /* the good one's record counts */
        assert_non_null(strstr(d->db->why, "journal/core-0"));
        assert_true(exists(d, "core-0"));
        assert_false(exists(d, "core-12"));
    }
    poke(d, "core-0", 0, "w", 1);
    recover(d, 1, 0);
    assert_counts(d, 2, 0, 200);
}

/* A byte of a record changed though the machine never stopped: the others count, and the
 * file is kept for people. */
static void test_a_damaged_record_is_left_out(void **state)
{
    struct data_dir *d = *state;
    data_dir_open(d);
    struct journal *j = open_journal(d, 0);
    for (uint64_t e = 1; e <= 5; e++) end_one(j, e);
    char name[64];
    snprintf(name, sizeof(name), "core-0.damaged-%016llx",
             (unsigned long long)journal_generation(j));
    journal_close(j);
    off_t ring = 4096 + (1088 * RUNNING + 4095) / 4096 * 4096;
    poke(d, "core-0", ring + 2 * RECORD_BYTES + 50, "damage", 6);
    recover(d, 4, 0);
    assert_non_null(strstr(d->db->why, name));
    assert_true(exists(d, name));
    assert_false(exists(d, "core-0"));
    assert_counts(d, 4, 0, 400);
    recover(d, 0, 0);
    assert_true(exists(d, name));
}

/* After a machine restart: records up to the first gap, running entries still. */
static void test_a_machine_restart(void **state)
{
    struct data_dir *d = *state;
    data_dir_open(d);
    struct journal *j = open_journal(d, 0);
    struct record r = record_of(50);
    for (uint64_t e = 1; e <= 9; e++) end_one(j, e);
    fold(d, &j, 1, 3);
    (void)journal_begin(j, &r);
    journal_close(j);
    char path[600];
    struct journal_header h;
    snprintf(path, sizeof(path), "%s/journal/core-0", d->path);
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, &h, sizeof(h), 0), sizeof(h));
    h.boot_id[3] ^= 1;
    h.crc = crc32c(&h.version, sizeof(h) - offsetof(struct journal_header, version));
    assert_int_equal(pwrite(fd, &h, sizeof(h), 0), sizeof(h));
    close(fd);
    off_t ring = 4096 + (1088 * RUNNING + 4095) / 4096 * 4096;
    poke(d, "core-0", ring + 6 * RECORD_BYTES + 50, "lost", 4);
    recover(d, 3, 1);
    assert_counts(d, 7, 1, 700);
    assert_false(exists(d, "core-0"));
    assert_int_equal(marks(d), 0);
}

static void test_odd_names_are_let_alone(void **state)
{
    struct data_dir *d = *state;
    data_dir_open(d);
    recover(d, 0, 0);               /* no directory yet */
    journal_close(open_journal(d, 0));
    static const struct { const char *name; bool stays; } cases[] = {
        {"core-0.new", false}, {"core-", true}, {"core-1x", true}, {"core-12345678901", true},
        {"README", true}, {"core-.new", true}, {"x.new", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char path[600];
        snprintf(path, sizeof(path), "%s/journal/%s", d->path, cases[i].name);
        int fd = open(path, O_CREAT | O_RDWR, 0600);
        assert_true(fd >= 0);
        close(fd);
    }
    recover(d, 0, 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(exists(d, cases[i].name), cases[i].stays);
    }
    assert_false(exists(d, "core-0"));
}

/* ---- retention */

static void test_expiry(void **state)
{
    struct data_dir *d = *state;
    data_dir_open(d);
    struct journal *j = open_journal(d, 0);
    for (uint64_t e = 1; e <= 9; e++) {
        struct record r = record_of(e);
        r.admitted_unix_ns = epoch / hour_ns * hour_ns + e * hour_ns;
        if (e == 9) snprintf(r.request_id, sizeof(r.request_id), "req-1");   /* again */
        uint32_t slot = journal_begin(j, &r);
        journal_attempt(j, &r);
        journal_end(j, slot, &r);
    }
    feedback_one(j, 2, 100);
    feedback_one(j, 5, 100);
    fold(d, &j, 1, 100);
    journal_close(j);
    uint64_t first = epoch / hour_ns * hour_ns, deleted;
    store_id key = record_of(1).path[UNIT_KEY];
    assert_int_equal(fold_expire(d->db, first + 3 * hour_ns, first + 2 * hour_ns, 3, &deleted),
                     STORE_OK);
    assert_int_equal(deleted, 4 + 1);                   /* two blocks; an hour */
    assert_int_equal(fold_expire(d->db, first + 3 * hour_ns, first + 2 * hour_ns, 3, &deleted),
                     STORE_OK);
    assert_int_equal(deleted, 0);
    MDB_txn *txn = data_dir_begin(d, false);
    assert_int_equal(data_dir_rows(d, txn, DB_ROWS), 7);    /* an hour apart: 7 blocks of 2 */
    assert_int_equal(data_dir_rows(d, txn, DB_HOURS), 8);
    assert_int_equal(data_dir_rows(d, txn, DB_FEEDBACK), 1);
    assert_int_equal(data_dir_rows(d, txn, DB_IDS), 7);
    assert_int_equal(usage_find(d->db, txn, key, "req-2", 5), STORE_NOT_FOUND);
    assert_int_equal(usage_find(d->db, txn, key, "req-3", 5), STORE_OK);
    assert_int_equal(usage_find(d->db, txn, key, "req-1", 5), STORE_OK);   /* the newer one */
    db_abort(txn);
    assert_int_equal(fold_expire(d->db, 0, 0, 100, &deleted), STORE_OK);
    assert_int_equal(deleted, 0);
    assert_int_equal(fold_expire(d->db, UINT64_MAX, UINT64_MAX, 100, &deleted), STORE_OK);
    assert_int_equal(deleted, 14 + 8);
    txn = data_dir_begin(d, false);
    assert_int_equal(data_dir_rows(d, txn, DB_IDS), 0);
    assert_int_equal(data_dir_rows(d, txn, DB_FEEDBACK), 0);
    db_abort(txn);
}

/* ---- kill -9 */

enum { ROUNDS = 40, CORES = 2 };

struct told {                       /* what a child said before it died; shared memory */
    _Atomic uint64_t begun[ROUNDS][CORES], acked[ROUNDS][CORES];
    _Atomic uint64_t stage;         /* of the child now: 1 recovers, 2 recovered, 3 runs */
    _Atomic uint64_t recovered, killed_recovering;
};

struct core_run {
    struct told *told;
    struct journal *journal;
    int round, core;
};

static uint64_t exchange_of(int round, int core, uint64_t serial)
{
    return (uint64_t)round << 40 | (uint64_t)core << 32 | serial;
}

static struct record crash_record(const struct core_run *c, uint64_t serial)
{
    struct record r = record_of(exchange_of(c->round, c->core, serial));
    r.admitted_unix_ns = epoch + serial;     /* the same for many: the exchange tells */
    return r;
}

/* A twin runs beside the request, takes it over, and the old lead ends as its twin. Gives the
 * slot of the one that goes on. */
static uint32_t twin_run(struct journal *j, uint32_t slot, const struct record *part,
                         struct record *r)
{
    struct record lead = *part, twin = *part;
    if (!journal_has_room(j)) return slot;
    twin.kind = RECORD_ATTEMPT;
    twin.nth = (uint8_t)(part->nth + 1);
    uint32_t other = journal_begin(j, &twin);
    twin.kind = RECORD_REQUEST;
    journal_update(j, other, &twin);
    lead.kind = RECORD_ATTEMPT;
    journal_update(j, slot, &lead);
    journal_twin_end(j, slot, &lead);
    r->nth = twin.nth;
    return other;
}

static void *core_main(void *arg)
{
    struct core_run *c = arg;
    for (uint64_t serial = 1;; serial++) {
        while (!journal_has_room(c->journal)) usleep(50);
        struct record r = crash_record(c, serial), part = r;
        part.cost_nusd = 1;
        uint32_t slot = journal_begin(c->journal, &part);
        atomic_store(&c->told->begun[c->round][c->core], serial);
        if (serial % 3 == 0) journal_update(c->journal, slot, &part);
        if (serial % 4 == 0) {
            journal_attempt(c->journal, &part);
            part.nth = r.nth = 1;
            journal_update(c->journal, slot, &part);
        }
        if (serial % 5 == 0) slot = twin_run(c->journal, slot, &part, &r);
        journal_end(c->journal, slot, &r);
        atomic_store(&c->told->acked[c->round][c->core], serial);
    }
    return NULL;
}

/* A whole life: recover, then two cores and the store thread, until killed. */
static void child_main(const char *path, struct told *told, int round)
{
    struct db *db = calloc(1, sizeof(*db));
    struct journal *j[CORES];
    struct core_run core[CORES];
    char why[JOURNAL_WHY_MAX];
    uint64_t recovered, interrupted, folded;
    if (!db || db_open(db, path, 256 * MIB) != STORE_OK) _exit(2);
    atomic_store(&told->stage, 1);
    if (fold_recover(db, INTERRUPTED, &recovered, &interrupted) != STORE_OK) _exit(3);
    atomic_fetch_add(&told->recovered, recovered > 0);
    atomic_store(&told->stage, 2);
    for (int i = 0; i < CORES; i++) {
        pthread_t thread;
        if (journal_open(path, (unsigned)i, RUNNING, RING, &j[i], why) != STORE_OK) _exit(4);
        core[i] = (struct core_run){told, j[i], round, i};
        if (pthread_create(&thread, NULL, core_main, &core[i]) != 0) _exit(5);
    }
    atomic_store(&told->stage, 3);
    for (;;) {
        if (fold_step(db, j, CORES, 100, NULL, NULL, &folded) != STORE_OK) _exit(6);
        usleep(300);
    }
}

static void check_row(const struct told *told, const struct record *r, uint8_t *seen[][CORES],
                      uint8_t *attempts[][CORES])
{
    int round = (int)(r->exchange_id >> 40), core = (int)(r->exchange_id >> 32 & 0xff);
    uint64_t serial = r->exchange_id & UINT32_MAX;
    assert_true(round < ROUNDS && core < CORES);
    assert_true(serial <= told->begun[round][core] + 1);
    if (r->kind == RECORD_ATTEMPT) {
        assert_true(serial % 4 == 0 || serial % 5 == 0);
        assert_true(r->nth < 3);
        assert_int_equal(attempts[round][core][serial] >> r->nth & 1, 0);
        attempts[round][core][serial] |= (uint8_t)(1 << r->nth);
        return;
    }
    seen[round][core][serial]++;
    bool whole = r->status == 200 && r->cost_nusd == 100;
    bool broken = r->status == 499 && r->cost_nusd == 1 && (r->flags & RECORD_INTERRUPTED);
    assert_true(whole || broken);
    if (serial <= told->acked[round][core]) assert_true(whole);
}

struct checked {
    const struct told *told;
    uint8_t *(*seen)[CORES], *(*attempts)[CORES];
    uint64_t rows;
    int64_t cost;
};

static enum store_rc check_each(const struct record *r, void *arg)
{
    struct checked *c = arg;
    check_row(c->told, r, c->seen, c->attempts);
    c->rows += r->kind == RECORD_REQUEST;
    c->cost += r->cost_nusd;
    return STORE_OK;
}

static void check_told(struct data_dir *d, const struct told *told)
{
    uint8_t *seen[ROUNDS][CORES], *attempts[ROUNDS][CORES];
    for (int i = 0; i < ROUNDS * CORES; i++) {
        size_t count = told->begun[i / CORES][i % CORES] + 2;
        seen[i / CORES][i % CORES] = calloc(count, 1);
        attempts[i / CORES][i % CORES] = calloc(count, 1);
    }
    MDB_txn *txn = data_dir_begin(d, false);
    struct checked c = {.told = told, .seen = seen, .attempts = attempts};
    assert_int_equal(ledger_each(d->db, txn, 0, UINT64_MAX, 0, check_each, &c), STORE_OK);
    db_abort(txn);
    uint64_t acked = 0;
    for (int i = 0; i < ROUNDS * CORES; i++) {
        int round = i / CORES, core = i % CORES;
        acked += told->acked[round][core];
        for (uint64_t s = 1; s <= told->begun[round][core]; s++) {
            assert_int_equal(seen[round][core][s], 1);   /* running ones are booked too */
            int most = (s % 4 == 0) + (s % 5 == 0), have = 0;
            for (int n = 0; n < 3; n++) have += attempts[round][core][s] >> n & 1;
            assert_true(have <= most);
            if (s % 4 == 0 && s <= told->acked[round][core]) assert_true(have > 0);
        }
        free(seen[round][core]);
        free(attempts[round][core]);
    }
    struct usage_row row = sum(d, false);
    assert_int_equal(row.requests, c.rows);
    assert_int_equal(row.cost_nusd, c.cost);
    print_message("%llu acknowledged, %llu rows; %llu recoveries of some, %llu killed\n",
                  (unsigned long long)acked, (unsigned long long)c.rows,
                  (unsigned long long)told->recovered,
                  (unsigned long long)told->killed_recovering);
    assert_true(acked > 1000);           /* else the test has shown nothing */
    assert_true(told->recovered >= 5);
}

static void test_kill_at_random_moments(void **state)
{
    struct data_dir *d = *state;
    struct told *told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(told != MAP_FAILED);
    unsigned seed = (unsigned)getpid();
    for (int round = 0; round < ROUNDS; round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) child_main(d->path, told, round);
        /* A third of the children die while they recover what the one before left. */
        uint64_t stage = round % 3 == 2 ? 1 : 3;
        while (atomic_load(&told->stage) < stage) {
            assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
            usleep(20);
        }
        usleep((useconds_t)rand_r(&seed) % (stage == 1 ? 2500 : 12000));
        kill(child, SIGKILL);
        int status;
        told->killed_recovering += atomic_load(&told->stage) == 1;
        atomic_store(&told->stage, 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        if (round % 4 == 0) check(d);   /* as it was left: nothing lost or twice */
    }
    data_dir_open(d);
    uint64_t recovered, interrupted;
    assert_int_equal(fold_recover(d->db, INTERRUPTED, &recovered, &interrupted), STORE_OK);
    assert_int_equal(marks(d), 0);
    assert_false(exists(d, "core-0"));
    check_told(d, told);
    data_dir_close(d);
    check(d);
    munmap(told, sizeof(*told));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATA_TEST(test_a_step_takes_all_journals_in_turn),
        DATA_TEST(test_a_step_takes_all_that_is_due),
        DATA_TEST(test_an_attempt_costs_but_is_no_request),
        DATA_TEST(test_feedback_finds_its_exchange),
        DATA_TEST(test_a_full_store_loses_nothing),
        DATA_TEST(test_what_ran_is_booked_as_interrupted),
        DATA_TEST(test_a_running_entry_with_a_record_is_ignored),
        DATA_TEST(test_attempts_and_twins_that_ran),
        DATA_TEST(test_the_mark_counts_and_not_the_tail),
        DATA_TEST(test_a_file_that_comes_back),
        DATA_TEST(test_a_bad_file_is_refused_and_left),
        DATA_TEST(test_a_damaged_record_is_left_out),
        DATA_TEST(test_a_machine_restart),
        DATA_TEST(test_odd_names_are_let_alone),
        DATA_TEST(test_expiry),
        DATA_TEST(test_kill_at_random_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
