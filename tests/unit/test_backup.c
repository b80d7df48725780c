/* test_backup.c - copies of a data directory: whole, sound, of one commit, also while records
 * are folded; nothing but them is left behind, whatever fails. */
#include "store/backup.h"

#include "store/check.h"
#include "store/fold.h"
#include "store/usage.h"

#include "tests/unit/data_dir.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RUNNING = 8, RING = 256 };

static const uint64_t epoch = UINT64_C(1790000000000000000);

struct place { char path[600]; };

static struct place at(const struct data_dir *d, const char *name)
{
    struct place p;
    snprintf(p.path, sizeof(p.path), "%s/%s", d->base, name);
    return p;
}

static struct record record_of(uint64_t exchange)
{
    struct record r;
    memset(&r, 0, sizeof(r));
    r.exchange_id = exchange;
    r.admitted_unix_ns = epoch + exchange;
    for (int k = 0; k < UNIT_KINDS; k++) r.path[k] = store_id_make((enum unit_kind)k, 1);
    r.cost_nusd = 100;
    r.status = 200;
    r.close = RECORD_CLOSE_DONE;
    snprintf(r.model, sizeof(r.model), "mock/one");
    return r;
}

static struct journal *open_journal(const char *dir)
{
    char why[JOURNAL_WHY_MAX];
    struct journal *j;
    if (journal_open(dir, 0, RUNNING, RING, &j, why) != STORE_OK) fail_msg("%s", why);
    return j;
}

static void end_some(struct journal *j, uint64_t first, uint64_t end)
{
    for (uint64_t e = first; e < end; e++) {
        struct record r = record_of(e);
        journal_end(j, journal_begin(j, &r), &r);
    }
}

/* A directory with 100 rows, 7 records and a running exchange behind them, and a token. */
static void make_dir(struct data_dir *d)
{
    uint64_t folded;
    data_dir_open(d);
    struct journal *j = open_journal(d->path);
    end_some(j, 1, 101);
    assert_int_equal(fold_step(d->db, &j, 1, 1000, NULL, NULL, &folded), STORE_OK);
    end_some(j, 101, 108);
    struct record r = record_of(200);
    (void)journal_begin(j, &r);
    journal_close(j);
    data_dir_close(d);
    struct place token = at(d, "data/admin.token");
    int fd = open(token.path, O_WRONLY | O_CREAT, 0644);
    assert_int_equal(write(fd, "token\n", 6), 6);
    close(fd);
}

static bool keep_row(const struct usage_row *row, void *arg)
{
    *(uint64_t *)arg = row->requests;
    return true;
}

static uint64_t requests_of(const char *dir)
{
    struct db *db = calloc(1, sizeof(*db));
    MDB_txn *txn;
    struct usage_ask all = {.unit = 0};
    uint64_t requests = 0;
    assert_non_null(db);
    if (db_open(db, dir, 64 * MIB) != STORE_OK) fail_msg("%s", db->why);
    assert_int_equal(db_begin(db, false, &txn), STORE_OK);
    assert_int_equal(usage_query(db, txn, &all, keep_row, &requests), STORE_OK);
    db_abort(txn);
    db_close(db);
    free(db);
    return requests;
}

static void no_line(const char *line, void *arg)
{
    (void)arg;
    fail_msg("%s", line);
}

static void assert_sound(const char *dir)
{
    char why[CHECK_WHY_MAX];
    struct check_found found;
    if (check_ledger(dir, no_line, NULL, &found, why) != STORE_OK) fail_msg("%s", why);
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

/* Entries of the directory around all: none but those expected may be left. */
static size_t entries_of(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 ? (size_t)st.st_nlink - 2 : 0;   /* directories in it */
}

static void test_a_copy_is_whole(void **state)
{
    struct data_dir *d = *state;
    struct place to = at(d, "copy//"), copy = at(d, "copy");
    struct backup b;
    char why[BACKUP_WHY_MAX];
    make_dir(d);
    if (backup_copy(d->path, to.path, &b, why) != STORE_OK) fail_msg("%s", why);
    assert_false(b.in_use);
    assert_int_equal(b.left, 8);
    assert_string_equal(b.place, copy.path);
    assert_int_equal(access(copy.path, F_OK), -1);      /* not before it is kept */
    assert_sound(b.made);
    if (backup_keep(&b, why) != STORE_OK) fail_msg("%s", why);
    assert_sound(copy.path);
    static const struct { const char *name; mode_t mode; } files[] = {
        {"copy", 0700}, {"copy/store", 0700}, {"copy/store/data.mdb", 0600},
        {"copy/admin.token", 0600}, {"copy/lock", 0}, {"copy/store/lock.mdb", 0},
        {"copy/journal", 0},
    };
    for (size_t i = 0; i < COUNT(files); i++) {
        struct place p = at(d, files[i].name);
        assert_int_equal(mode_of(p.path), files[i].mode);
    }
    assert_int_equal(entries_of(d->base), 2);           /* data and copy */
    assert_int_equal(requests_of(copy.path), 100);
    /* A copy of the copy, into an empty directory: restore. Its next start recovers nothing. */
    struct place again = at(d, "again");
    assert_int_equal(mkdir(again.path, 0755), 0);
    if (backup_copy(copy.path, again.path, &b, why) != STORE_OK) fail_msg("%s", why);
    assert_int_equal(b.left, 0);
    if (backup_keep(&b, why) != STORE_OK) fail_msg("%s", why);
    assert_int_equal(requests_of(again.path), 100);
    assert_sound(again.path);
}

static void test_what_is_refused(void **state)
{
    struct data_dir *d = *state;
    struct place full = at(d, "full"), file = at(d, "full/file"), none = at(d, "none");
    struct place nowhere = at(d, "no/where"), to = at(d, "to");
    struct backup b;
    char why[BACKUP_WHY_MAX];
    make_dir(d);
    assert_int_equal(mkdir(full.path, 0700), 0);
    close(open(file.path, O_WRONLY | O_CREAT, 0600));
    const struct { const char *from, *to; enum store_rc rc; const char *why; } cases[] = {
        {d->path, full.path, STORE_REFUSED, "is not empty"},
        {d->path, d->path, STORE_REFUSED, "is not empty"},
        {d->path, file.path, STORE_REFUSED, "is not a directory"},
        {d->path, "", STORE_REFUSED, "does not name a directory"},
        {d->path, "/", STORE_REFUSED, "does not name a directory"},
        {d->path, "..", STORE_REFUSED, "does not name a directory"},
        {d->path, nowhere.path, STORE_FAIL, "cannot make the directory"},
        {none.path, to.path, STORE_REFUSED, "holds no ledger"},
        {full.path, to.path, STORE_REFUSED, "holds no ledger"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(backup_copy(cases[i].from, cases[i].to, &b, why), cases[i].rc);
        if (!strstr(why, cases[i].why)) fail_msg("%zu: %s", i, why);
        assert_int_equal(entries_of(d->base), 2);       /* data, full */
        assert_sound(d->path);
    }
}

/* Something came to stand where the copy goes, while it was made. */
static void test_a_place_that_was_taken(void **state)
{
    struct data_dir *d = *state;
    struct place to = at(d, "to"), file = at(d, "to/file");
    struct backup b;
    char why[BACKUP_WHY_MAX];
    make_dir(d);
    if (backup_copy(d->path, to.path, &b, why) != STORE_OK) fail_msg("%s", why);
    assert_int_equal(mkdir(to.path, 0700), 0);
    close(open(file.path, O_WRONLY | O_CREAT, 0600));
    assert_int_equal(backup_keep(&b, why), STORE_REFUSED);
    assert_non_null(strstr(why, "is not empty any more"));
    assert_int_equal(entries_of(d->base), 2);
    assert_int_equal(access(file.path, F_OK), 0);
    struct place other = at(d, "other");
    if (backup_copy(d->path, other.path, &b, why) != STORE_OK) fail_msg("%s", why);
    backup_discard(&b);
    backup_discard(&b);
    assert_int_equal(entries_of(d->base), 2);
}

/* Folds a row at a time, as fast as it can, until it is killed. */
static void fold_for_ever(const char *dir, int ready)
{
    static struct db db;
    uint64_t folded;
    prctl(PR_SET_PDEATHSIG, SIGKILL);       /* a test that failed leaves nobody */
    if (db_open(&db, dir, 64 * MIB) != STORE_OK) _exit(1);
    uint64_t recovered, interrupted;
    if (fold_recover(&db, 40, &recovered, &interrupted) != STORE_OK) _exit(2);
    mdb_env_set_flags(db.env, MDB_NOSYNC, 1);
    struct journal *j = open_journal(dir);
    for (uint64_t e = 1000;; e++) {
        end_some(j, e, e + 1);
        if (fold_step(&db, &j, 1, 100, NULL, NULL, &folded) != STORE_OK) _exit(3);
        if (e == 1100 && write(ready, "", 1) != 1) _exit(4);
    }
}

static void test_copies_of_a_ledger_in_use(void **state)
{
    struct data_dir *d = *state;
    int ready[2], status;
    char byte, why[BACKUP_WHY_MAX];
    make_dir(d);
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) fold_for_ever(d->path, ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    uint64_t before = 108;
    for (int i = 0; i < 10; i++) {
        struct backup b;
        char name[16];
        snprintf(name, sizeof(name), "copy%d", i);
        struct place to = at(d, name);
        if (backup_copy(d->path, to.path, &b, why) != STORE_OK) fail_msg("%s", why);
        assert_true(b.in_use);
        assert_sound(b.made);
        if (backup_keep(&b, why) != STORE_OK) fail_msg("%s", why);
        uint64_t requests = requests_of(to.path);
        assert_true(requests > before);
        before = requests;
    }
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_sound(d->path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATA_TEST(test_a_copy_is_whole),
        DATA_TEST(test_what_is_refused),
        DATA_TEST(test_a_place_that_was_taken),
        DATA_TEST(test_copies_of_a_ledger_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
