/* upgrade.c - from schema 1 to 2.
 * Schema 1 kept each row of 512 bytes under (admitted, exchange, part) in "requests" and an
 * index of every id in "by_request". Rows move to blocks, oldest first, a few thousand in a
 * transaction that also deletes them; ids of clients enter DB_IDS on the way. When none is
 * left, both tables go and the schema is 2, in one transaction. Until then it is 1.
 * The rule: in every committed state each row is in one of the two places. */
#include "store/upgrade.h"

#include "store/block.h"
#include "store/kinds.h"
#include "store/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MOVE_MAX = 8192, OLD_KEY = 20 };

struct move {
    struct db *db;
    MDB_txn *txn;
    MDB_dbi requests;
    struct record *record;      /* MOVE_MAX of each */
    struct block_row *row;
    struct kinds kinds;
    size_t count;
};

/* Take the oldest rows out of the old table. */
static enum store_rc rows_take(struct move *m)
{
    MDB_cursor *cursor;
    MDB_val key, data;
    enum store_rc rc = STORE_OK;
    int code = mdb_cursor_open(m->txn, m->requests, &cursor);
    if (code != 0) return db_rc(m->db, code, "open the old request rows");
    for (m->count = 0; rc == STORE_OK && m->count < MOVE_MAX; m->count++) {
        struct record *r = &m->record[m->count];
        code = mdb_cursor_get(cursor, &key, &data, MDB_FIRST);
        if (code != 0) break;
        bool good = key.mv_size == OLD_KEY && data.mv_size == sizeof(*r);
        if (good) memcpy(r, data.mv_data, sizeof(*r));
        if (!good || !record_is_sound(r) || r->kind == RECORD_FEEDBACK) {
            rc = db_damaged(m->db, "an old request row");
            break;
        }
        struct block_row *row = &m->row[m->count];
        *row = block_row_of(r);
        if (!kinds_at(&m->kinds, r, &row->kind)) rc = db_rc(m->db, ENOMEM, "move rows");
        code = mdb_cursor_del(cursor, 0);
        if (code != 0) break;
    }
    mdb_cursor_close(cursor);
    if (code != 0 && code != MDB_NOTFOUND) return db_rc(m->db, code, "move request rows");
    return rc;
}

static enum store_rc rows_move(struct move *m)
{
    enum store_rc rc = db_begin(m->db, true, &m->txn);
    if (rc != STORE_OK) return rc;
    rc = rows_take(m);
    if (rc == STORE_OK) rc = ledger_put(m->db, m->txn, &m->kinds, m->row, m->count);
    kinds_fini(&m->kinds);
    if (rc == STORE_OK) return db_commit(m->db, m->txn);
    db_abort(m->txn);
    return rc;
}

/* Open a table of the old schema; one that is not there has been moved. */
static enum store_rc old_open(struct db *db, MDB_txn *txn, const char *name, MDB_dbi *dbi)
{
    return db_rc(db, mdb_dbi_open(txn, name, 0, dbi), "open an old table");
}

static enum store_rc rows_move_all(struct db *db)
{
    struct move m = {.db = db};
    enum store_rc rc = db_begin(db, true, &m.txn);
    if (rc != STORE_OK) return rc;
    rc = old_open(db, m.txn, "requests", &m.requests);
    if (rc != STORE_OK) {
        db_abort(m.txn);
        return rc == STORE_NOT_FOUND ? STORE_OK : rc;
    }
    rc = db_commit(db, m.txn);   /* a table that a transaction opened is its own until then */
    m.record = malloc(MOVE_MAX * sizeof(*m.record));
    m.row = malloc(MOVE_MAX * sizeof(*m.row));
    if (rc == STORE_OK && (!m.record || !m.row)) rc = db_rc(db, ENOMEM, "move request rows");
    m.count = MOVE_MAX;
    while (rc == STORE_OK && m.count == MOVE_MAX) rc = rows_move(&m);
    free(m.record);
    free(m.row);
    return rc;
}

static enum store_rc old_drop(struct db *db)
{
    static const char *const names[] = {"requests", "by_request"};
    MDB_txn *txn;
    enum store_rc rc = db_begin(db, true, &txn);
    if (rc != STORE_OK) return rc;
    for (int i = 0; rc == STORE_OK && i < 2; i++) {
        MDB_dbi dbi;
        rc = old_open(db, txn, names[i], &dbi);
        if (rc == STORE_OK) rc = db_rc(db, mdb_drop(txn, dbi, 1), "drop an old table");
        else if (rc == STORE_NOT_FOUND) rc = STORE_OK;
    }
    if (rc == STORE_OK) rc = db_meta_put(db, txn, "schema", DB_SCHEMA);
    if (rc == STORE_OK) return db_commit(db, txn);
    db_abort(txn);
    return rc;
}

enum store_rc upgrade_run(struct db *db)
{
    MDB_txn *txn;
    uint64_t schema;
    enum store_rc rc = db_begin(db, false, &txn);
    if (rc != STORE_OK) return rc;
    rc = db_meta_get(db, txn, "schema", &schema);
    db_abort(txn);
    if (rc != STORE_OK || schema == DB_SCHEMA) return rc;
    assert(schema == 1);
    rc = rows_move_all(db);
    return rc == STORE_OK ? old_drop(db) : rc;
}
