/* rows.h - how units and keys lie in their tables. Private to store/: others use org.h and
 * keys.h. A row that was read borrows its texts from the transaction (until it ends,
 * or writes); nothing here allocates on the way of keys_find. Writers mark db->dirty. */
#ifndef STORE_ROWS_H
#define STORE_ROWS_H

#include "store/db.h"

struct row_text {         /* all zero is empty */
    const char *ptr;      /* borrows; no end */
    size_t len;           /* bytes */
};

struct unit_row {
    store_id parent;      /* 0 for an organisation */
    uint64_t created_unix_ns;
    struct row_text name, email;     /* below STORE_NAME_MAX bytes */
    struct row_text policy;          /* up to STORE_POLICY_MAX bytes */
};

struct key_row {
    store_id member;
    uint64_t created_unix_ns;
    uint64_t expires_unix_ns;        /* 0: never */
    uint64_t old_until_unix_ns;      /* 0: there is no old hash */
    uint8_t hash[STORE_KEY_HASH];
    uint8_t old_hash[STORE_KEY_HASH];
    struct row_text name, hint;      /* below STORE_NAME_MAX bytes */
    struct row_text policy;          /* up to STORE_POLICY_MAX bytes */
};

/* Below every id of a kind: where a walk by rows_next over that kind begins. */
static inline store_id rows_floor(enum unit_kind kind)
{
    return store_id_make(kind, 1) - 1;
}

/* Read a unit; a key's id or a wrong one is not found.
 * STORE_OK and *row; STORE_NOT_FOUND; STORE_FAIL. */
MUST_USE enum store_rc rows_get_unit(struct db *db, MDB_txn *txn, store_id id,
                                     struct unit_row *row);
/* Write a unit, new or not; copies. row may borrow from txn. STORE_OK; STORE_FULL;
 * STORE_FAIL. */
MUST_USE enum store_rc rows_put_unit(struct db *db, MDB_txn *txn, store_id id,
                                     const struct unit_row *row);
/* Read a key. STORE_OK and *row; STORE_NOT_FOUND; STORE_FAIL. */
MUST_USE enum store_rc rows_get_key(struct db *db, MDB_txn *txn, store_id id,
                                    struct key_row *row);
/* Write a key, new or not; copies. row may borrow from txn. STORE_OK; STORE_FULL;
 * STORE_FAIL. */
MUST_USE enum store_rc rows_put_key(struct db *db, MDB_txn *txn, store_id id,
                                    const struct key_row *row);
/* Is there such a unit or key? Any number may be asked. STORE_OK; STORE_NOT_FOUND;
 * STORE_FAIL. */
MUST_USE enum store_rc rows_exists(struct db *db, MDB_txn *txn, store_id id);
/* Remove a row of DB_UNITS or DB_KEYS that exists. STORE_OK; STORE_FULL; STORE_FAIL. */
MUST_USE enum store_rc rows_drop(struct db *db, MDB_txn *txn, enum db_table table,
                                 store_id id);

/* Find the key of a hash. STORE_OK and *id; STORE_NOT_FOUND; STORE_FAIL. */
MUST_USE enum store_rc rows_get_hash(struct db *db, MDB_txn *txn,
                                     const uint8_t hash[STORE_KEY_HASH], store_id *id);
/* Make a hash find key id. STORE_OK; STORE_FULL; STORE_FAIL. */
MUST_USE enum store_rc rows_put_hash(struct db *db, MDB_txn *txn,
                                     const uint8_t hash[STORE_KEY_HASH], store_id id);
/* Make a hash that finds a key find none. STORE_OK; STORE_FULL; STORE_FAIL. */
MUST_USE enum store_rc rows_drop_hash(struct db *db, MDB_txn *txn,
                                      const uint8_t hash[STORE_KEY_HASH]);

/* Enter child in DB_CHILDREN below unit. STORE_OK; STORE_FULL; STORE_FAIL. */
MUST_USE enum store_rc rows_link(struct db *db, MDB_txn *txn, store_id unit, store_id child);
/* Take it out again; it was there. STORE_OK; STORE_FULL; STORE_FAIL. */
MUST_USE enum store_rc rows_unlink(struct db *db, MDB_txn *txn, store_id unit,
                                   store_id child);
/* The lowest id above `after` (which need not exist): of unit's entries in DB_CHILDREN, or
 * (unit 0) of a table with ids for keys. Allocates a cursor for the call; the table may change
 * between calls. STORE_OK and *id; STORE_NOT_FOUND at the end; STORE_FAIL. */
MUST_USE enum store_rc rows_next(struct db *db, MDB_txn *txn, enum db_table table,
                                 store_id unit, store_id after, store_id *id);

/* Read unit and all above it: rows[kind] and path->unit[kind] of each level there is, 0 in
 * path and all zero in rows else. STORE_OK; STORE_NOT_FOUND: no such unit; STORE_FAIL. */
MUST_USE enum store_rc rows_climb(struct db *db, MDB_txn *txn, store_id unit,
                                  struct unit_path *path, struct unit_row rows[UNIT_KEY]);

#endif
