/* db.h - the LMDB environment of one data directory and its lock.
 * One instance owns DATA (an flock on DATA/lock). The store thread alone writes; any thread
 * may read, each with read transactions that end within its turn.
 * Keys of all tables compare as bytes: numbers in them are stored big-endian (db_be64). */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "store/store.h"

#include <lmdb.h>

enum {
    DB_SCHEMA = 4,     /* version of all tables together; a newer one is refused,
                        * an older one brought up to it (upgrade.h) */
    DB_DIR_MAX = 1000, /* bytes of DATA's path, with the end */
    DB_TOUCHED_MAX = 64,
};

enum db_table {
    DB_META,       /* name -> value: schema version, id serials, highest sequence folded */
    DB_UNITS,      /* id -> unit (rows.h) */
    DB_CHILDREN,   /* (unit, child unit) and (unit, any key below it) -> nothing */
    DB_KEYS,       /* key id -> key (rows.h) */
    DB_HASHES,     /* SHA-256 of a client key -> key id */
    DB_ROWS,       /* (span of admission, number) -> block of request rows (ledger.h) */
    DB_IDS,        /* (key id, SHA-256 head of a client's request id) -> place of the row */
    DB_HOURS,      /* hourly aggregates */
    DB_FEEDBACK,   /* exchange id -> outcome */
    DB_SPENT,      /* unit or key -> its meter now (spent.h) */
    DB_READINGS,   /* (unit or key, hour) -> its meter at the end of that hour */
    DB_LIMITS,     /* unit or key -> budgets (limits.h) */
    DB_POOLS,      /* organisation -> its credit pool (credits.h) */
    DB_CREDITS,    /* (organisation, serial) -> entry of its pool */
    DB_REFERENCES, /* (organisation, reference) -> serial of the entry that has it */
    DB_ROTATION,   /* provider or model -> its state, where that is not "on" (rotation.h) */
    DB_TENANTS,    /* organisation -> what was learned of its requests (tenants.h) */
    DB_TABLES
};

struct db {                      /* large: on the heap. Private, but for env, dbi, boot, why */
    MDB_env *env;
    MDB_dbi dbi[DB_TABLES];
    int lock_fd;                 /* of a view: -1 where nobody holds or can hold the lock */
    bool view;                   /* opened by db_view */
    int readers_fd;              /* store/lock.mdb; -1: of a view */
    uint64_t boot;               /* how often DATA was opened, this time included (1..) */
    char dir[DB_DIR_MAX];        /* DATA */
    char why[DB_DIR_MAX + 280];  /* after STORE_FAIL, STORE_FULL or STORE_IN_USE: a sentence.
                                  * Threads that fail together share it: one of them wins */
    _Atomic bool why_busy;       /* somebody writes why */
    bool dirty;                  /* store thread: this write transaction changed policy */
    uint32_t touched_count;      /* store thread: whose limits, rates or pools changed since
                                  * budget_refresh; above DB_TOUCHED_MAX: anybody's */
    store_id touched[DB_TOUCHED_MAX];
    bool rotated;                /* store thread: states were changed (rotation.h) */
    store_id swept;              /* store thread: spent_expire goes on behind it */
    _Atomic uint64_t generation; /* policy generation: raised by key, unit, policy changes.
                                  * A reader takes it before it begins its transaction */
    _Atomic uint64_t *filter;    /* bits of the unknown-key filter; keys.c */
    uint64_t filter_bits;        /* a multiple of 64, at most 2^32 */
};

/* Open DATA (made, mode 0700, where absent; files 0600), take its lock, open or make the
 * store, load the unknown-key filter. db is overwritten, dir copies. map_bytes: size of the
 * address space reserved, the most the store may grow to (0: 64 GiB).
 * STORE_OK; STORE_IN_USE; STORE_FAIL: nothing is held. db->why says why in a sentence. */
MUST_USE enum store_rc db_open(struct db *db, const char *dir, size_t map_bytes);
/* Open DATA to look at it, changing nothing, not even to make or upgrade it. Where no instance
 * runs, none can start until db_close. *in_use: out, one runs; then each read transaction holds
 * on to the pages it sees. No filter is loaded.
 * STORE_OK; STORE_NOT_FOUND: no store is there; STORE_FAIL: it cannot be read, or is not of
 * this schema. db->why says why in a sentence. */
MUST_USE enum store_rc db_view(struct db *db, const char *dir, bool *in_use);
/* Close and give the lock back. All transactions have ended, readers too. Again, or after a
 * failed db_open, it does nothing. */
void db_close(struct db *db);

/* Begin a transaction. write: the store thread only. Gives *txn, or STORE_FAIL. */
MUST_USE enum store_rc db_begin(struct db *db, bool write, MDB_txn **txn);
/* Commit a write transaction (synced to disk) and raise the policy generation where it
 * changed policy. takes txn, also on failure; then nothing of it was done.
 * STORE_OK; STORE_FULL; STORE_FAIL. */
MUST_USE enum store_rc db_commit(struct db *db, MDB_txn *txn);
/* Drop a transaction. takes txn. */
void db_abort(MDB_txn *txn);

/* A read transaction for a core thread that is opened once at boot (allocates) and then
 * renewed (mdb_txn_renew) and reset each time without allocating, on any thread, but one at a
 * time. Gives *txn in reset state; end it by db_abort before db_close. */
MUST_USE enum store_rc db_reader(struct db *db, MDB_txn **txn);

/* Turn an LMDB code or errno into a store code; others than success, not-found and key-exists
 * (STORE_CONFLICT) fill db->why: "cannot <doing> in <DATA>: <cause>". Any thread. */
enum store_rc db_rc(struct db *db, int code, const char *doing);
/* Say in db->why that a stored value is not what we wrote. Gives STORE_FAIL. Any thread. */
enum store_rc db_damaged(struct db *db, const char *what);

/* Store thread, inside a write transaction: limits, rates or pool of a unit or key change. */
void db_touch(struct db *db, store_id id);

/* Next id of a kind, inside a write transaction. STORE_OK and *id. */
MUST_USE enum store_rc db_next_id(struct db *db, MDB_txn *txn, enum unit_kind kind,
                                  store_id *id);
/* The serial of the newest id of a kind; 0: there was none. STORE_OK and *serial. */
MUST_USE enum store_rc db_serial(struct db *db, MDB_txn *txn, enum unit_kind kind,
                                 uint64_t *serial);
/* Read a number of DB_META; absent gives 0. name borrows, at most 63 bytes.
 * STORE_OK; STORE_FAIL. */
MUST_USE enum store_rc db_meta_get(struct db *db, MDB_txn *txn, const char *name,
                                   uint64_t *value);
/* Write a number of DB_META. STORE_OK; STORE_FULL; STORE_FAIL. */
MUST_USE enum store_rc db_meta_put(struct db *db, MDB_txn *txn, const char *name,
                                   uint64_t value);

/* Add a key's hash to the unknown-key filter, for as long as db is open. Any thread. */
void db_filter_add(struct db *db, const uint8_t hash[STORE_KEY_HASH]);
/* False when the hash was surely never added. Any thread. */
bool db_filter_has(const struct db *db, const uint8_t hash[STORE_KEY_HASH]);

/* A number as a table key: big-endian, so that bytes compare as numbers do. */
static inline void db_be64(uint8_t out[8], uint64_t value)
{
    for (int i = 7; i >= 0; i--, value >>= 8) out[i] = (uint8_t)value;
}

/* The number that db_be64 wrote. in: 8 bytes, any alignment. */
static inline uint64_t db_from_be64(const void *in)
{
    const uint8_t *byte = in;
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | byte[i];
    return value;
}

#endif
