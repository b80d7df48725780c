/* upgrade.c - from schema 1 to 2, from 2 to 3, from 3 to 4.
 * Schema 1 kept each row of 512 bytes under (admitted, exchange, part) in "requests" and an
 * index of every id in "by_request". Rows move to blocks, oldest first, a few thousand in a
 * transaction that also deletes them; ids of clients enter DB_IDS on the way. When none is
 * left, both tables go and the schema is 2, in one transaction. Until then it is 1.
 * The rule: in every committed state each row is in one of the two places.
 * Schema 2 had no meters (spent.h). They are filled from the hourly aggregates, in the order of
 * those, a few thousand in a transaction that also writes down, as "upgrade.at", the last one
 * that counts; with the end of them that goes and the schema is 3.
 * The rule: in every committed state the meters are those of the aggregates up to there.
 * Schema 3 had neither states (rotation.h) nor tenants (tenants.h): all providers and models
 * are on, nothing was learned, the tables are there and empty. */
#include "store/upgrade.h"

#include "store/block.h"
#include "store/kinds.h"
#include "store/ledger.h"
#include "store/spent.h"
#include "store/tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MOVE_MAX = 8192, OLD_KEY = 20 };

static const char meter_mark[] = "upgrade.at";    /* in DB_META: a key of DB_HOURS */

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
    if (rc == STORE_OK) rc = db_meta_put(db, txn, "schema", 2);
    if (rc == STORE_OK) return db_commit(db, txn);
    db_abort(txn);
    return rc;
}

/* ---- 2 to 3 */

struct meter {
    struct db *db;
    MDB_txn *txn;
    struct spent_cost *cost;    /* MOVE_MAX * UNIT_KINDS */
    size_t count;               /* of costs */
    uint8_t at[LEDGER_HOUR_KEY_MAX];
    size_t at_len;              /* 0: nothing was read yet */
    bool more;
};

static MDB_val mark_key(void)
{
    return (MDB_val){sizeof(meter_mark) - 1, (void *)(uintptr_t)meter_mark};
}

/* Where the transaction before ended. */
static enum store_rc mark_read(struct meter *m)
{
    MDB_val key = mark_key(), data;
    int code = mdb_get(m->txn, m->db->dbi[DB_META], &key, &data);
    m->at_len = 0;
    if (code == MDB_NOTFOUND) return STORE_OK;
    if (code != 0) return db_rc(m->db, code, "read how far the upgrade came");
    if (data.mv_size > sizeof(m->at)) return db_damaged(m->db, "the state of the upgrade");
    memcpy(m->at, data.mv_data, data.mv_size);
    m->at_len = data.mv_size;
    return STORE_OK;
}

/* Point a cursor behind the mark. */
static int hours_seek(struct meter *m, MDB_cursor *cursor, MDB_val *key, MDB_val *data)
{
    if (m->at_len == 0) return mdb_cursor_get(cursor, key, data, MDB_FIRST);
    *key = (MDB_val){m->at_len, m->at};
    int code = mdb_cursor_get(cursor, key, data, MDB_SET_RANGE);
    bool same = code == 0 && key->mv_size == m->at_len &&
                memcmp(key->mv_data, m->at, m->at_len) == 0;
    return same ? mdb_cursor_get(cursor, key, data, MDB_NEXT) : code;
}

static enum store_rc hour_take(struct meter *m, MDB_val key, MDB_val data)
{
    struct ledger_hour hour;
    struct tally t = {.requests = 0};
    bool good = ledger_hour_parse(key.mv_data, key.mv_size, &hour);
    enum store_rc rc = good ? tally_read(&t, data.mv_data, data.mv_size) : STORE_FAIL;
    for (int k = 0; rc == STORE_OK && t.cost_nusd != 0 && k < UNIT_KINDS; k++) {
        if (!hour.path[k]) continue;
        m->cost[m->count++] =
            (struct spent_cost){hour.path[k], (uint32_t)hour.hour, t.cost_nusd};
    }
    tally_fini(&t);
    if (rc == STORE_FULL) return db_rc(m->db, ENOMEM, "add up what was spent");
    if (rc != STORE_OK) return db_damaged(m->db, "an hour's sums");
    memcpy(m->at, key.mv_data, key.mv_size);
    m->at_len = key.mv_size;
    return STORE_OK;
}

static enum store_rc hours_take(struct meter *m)
{
    MDB_cursor *cursor;
    MDB_val key, data;
    int code = mdb_cursor_open(m->txn, m->db->dbi[DB_HOURS], &cursor);
    if (code != 0) return db_rc(m->db, code, "open the hours");
    enum store_rc rc = STORE_OK;
    m->count = 0;
    code = hours_seek(m, cursor, &key, &data);
    for (size_t i = 0; code == 0 && rc == STORE_OK && i < MOVE_MAX; i++) {
        rc = hour_take(m, key, data);
        if (rc == STORE_OK) code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    m->more = code == 0;
    if (rc != STORE_OK || code == 0 || code == MDB_NOTFOUND) return rc;
    return db_rc(m->db, code, "read the hours");
}

/* Schema 2 did not write down what retention had deleted: it may have been part of the oldest
 * span and of the oldest hour that are there. */
static enum store_rc kept_guess(struct meter *m)
{
    static const enum db_table tables[] = {DB_ROWS, DB_HOURS};
    static const char *const names[] = {LEDGER_ROWS_KEPT, LEDGER_HOURS_KEPT};
    enum store_rc rc = STORE_OK;
    for (int i = 0; rc == STORE_OK && i < 2; i++) {
        MDB_cursor *cursor;
        MDB_val key, data;
        int code = mdb_cursor_open(m->txn, m->db->dbi[tables[i]], &cursor);
        if (code != 0) return db_rc(m->db, code, "look for the oldest hour");
        code = mdb_cursor_get(cursor, &key, &data, MDB_FIRST);
        mdb_cursor_close(cursor);
        if (code == MDB_NOTFOUND) continue;
        if (code != 0) return db_rc(m->db, code, "look for the oldest hour");
        struct ledger_hour hour;
        uint64_t kept = 0;
        bool good = key.mv_size == LEDGER_BLOCK_KEY;
        if (i == 0 && good) kept = (db_from_be64(key.mv_data) + 1) << LEDGER_SPAN_SHIFT;
        if (i == 1) good = ledger_hour_parse(key.mv_data, key.mv_size, &hour);
        if (i == 1 && good) kept = hour.hour + 1;
        if (!good) return db_damaged(m->db, "the oldest hour");
        rc = ledger_mark_kept(m->db, m->txn, names[i], kept);
    }
    return rc;
}

/* Write down how far it came, or that it is done. */
static enum store_rc mark_write(struct meter *m)
{
    MDB_val key = mark_key(), data = {m->at_len, m->at};
    MDB_dbi meta = m->db->dbi[DB_META];
    if (m->more) return db_rc(m->db, mdb_put(m->txn, meta, &key, &data, 0), "upgrade");
    int code = mdb_del(m->txn, meta, &key, NULL);
    if (code != 0 && code != MDB_NOTFOUND) return db_rc(m->db, code, "upgrade");
    enum store_rc rc = kept_guess(m);
    return rc == STORE_OK ? db_meta_put(m->db, m->txn, "schema", 3) : rc;
}

static enum store_rc meters_fill(struct db *db)
{
    struct meter m = {.db = db, .more = true};
    m.cost = malloc((size_t)MOVE_MAX * UNIT_KINDS * sizeof(*m.cost));
    enum store_rc rc = m.cost ? STORE_OK : db_rc(db, ENOMEM, "add up what was spent");
    while (rc == STORE_OK && m.more) {
        rc = db_begin(db, true, &m.txn);
        if (rc != STORE_OK) break;
        rc = mark_read(&m);
        if (rc == STORE_OK) rc = hours_take(&m);
        if (rc == STORE_OK) rc = spent_add(db, m.txn, m.cost, m.count);
        if (rc == STORE_OK) rc = mark_write(&m);
        if (rc == STORE_OK) rc = db_commit(db, m.txn);
        else db_abort(m.txn);
    }
    free(m.cost);
    return rc;
}

/* ---- 3 to 4 */

static enum store_rc schema_put(struct db *db, uint64_t schema)
{
    MDB_txn *txn;
    enum store_rc rc = db_begin(db, true, &txn);
    if (rc != STORE_OK) return rc;
    rc = db_meta_put(db, txn, "schema", schema);
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
    static_assert(DB_SCHEMA == 4, "all steps are there");
    assert(schema >= 1 && schema < DB_SCHEMA);
    if (schema == 1) rc = rows_move_all(db);
    if (schema == 1 && rc == STORE_OK) rc = old_drop(db);
    if (schema < 3 && rc == STORE_OK) rc = meters_fill(db);
    return rc == STORE_OK ? schema_put(db, 4) : rc;
}
