/* data_dir.h - a data directory of a test's own, and the store in it.
 * Every test begins with an empty one and takes it away again, also when it failed. */
#ifndef TESTS_UNIT_DATA_DIR_H
#define TESTS_UNIT_DATA_DIR_H

#include "store/db.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { MIB = 1024 * 1024 };

struct data_dir {
    char path[512];        /* DATA, not made yet */
    char base[500];        /* around it; removed at the end */
    struct db *db;         /* open, or NULL */
};

/* nftw's visitor: remove one entry. */
static inline int data_dir_unlink(const char *path, const struct stat *st, int flag,
                                  struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

/* cmocka setup: *state is a struct data_dir. */
static inline int data_dir_setup(void **state)
{
    struct data_dir *d = calloc(1, sizeof(*d));
    if (!d) return -1;
    const char *tmp = getenv("TMPDIR");
    snprintf(d->base, sizeof(d->base), "%s/weir-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(d->base)) return -1;
    snprintf(d->path, sizeof(d->path), "%s/data", d->base);
    *state = d;
    return 0;
}

/* Close the store, give the lock back. */
static inline void data_dir_close(struct data_dir *d)
{
    if (!d->db) return;
    db_close(d->db);
    free(d->db);
    d->db = NULL;
}

/* cmocka teardown. */
static inline int data_dir_teardown(void **state)
{
    struct data_dir *d = *state;
    data_dir_close(d);
    int rc = nftw(d->base, data_dir_unlink, 16, FTW_DEPTH | FTW_PHYS);
    free(d);
    return rc;
}

/* Open the store, closing it first where it is open. */
static inline struct db *data_dir_open(struct data_dir *d)
{
    data_dir_close(d);
    d->db = calloc(1, sizeof(*d->db));
    assert_non_null(d->db);
    if (db_open(d->db, d->path, 256 * MIB) != STORE_OK) fail_msg("%s", d->db->why);
    return d->db;
}

/* Begin a transaction that must begin. */
static inline MDB_txn *data_dir_begin(struct data_dir *d, bool write)
{
    MDB_txn *txn = NULL;
    if (db_begin(d->db, write, &txn) != STORE_OK) fail_msg("%s", d->db->why);
    assert_non_null(txn);
    return txn;
}

/* Commit what must commit. */
static inline void data_dir_commit(struct data_dir *d, MDB_txn *txn)
{
    if (db_commit(d->db, txn) != STORE_OK) fail_msg("%s", d->db->why);
}

/* Rows of a table. */
static inline size_t data_dir_rows(struct data_dir *d, MDB_txn *txn, enum db_table table)
{
    MDB_stat stat;
    assert_int_equal(mdb_stat(txn, d->db->dbi[table], &stat), 0);
    return stat.ms_entries;
}

#define DATA_TEST(f) cmocka_unit_test_setup_teardown(f, data_dir_setup, data_dir_teardown)

#endif
