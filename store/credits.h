/* credits.h - the credit pool of an organisation: entries (top-ups, grants, refunds,
 * corrections), each with a reference that is unique in its organisation, and whether the pool
 * is prepaid. What records with RECORD_PREPAID cost is taken from it by the fold, in the
 * transaction that brings the rows: entries - spent = balance + held, to the nano-dollar.
 * Writers run in the store thread's write transaction, mark db->dirty and db_touch() the
 * organisation; results as in limits.h. */
#ifndef STORE_CREDITS_H
#define STORE_CREDITS_H

#include "store/db.h"

enum { CREDIT_REFERENCE_MAX = 128 };    /* bytes, with the end */

enum credit_kind {
    CREDIT_TOP_UP, CREDIT_GRANT, CREDIT_REFUND, CREDIT_CORRECTION, CREDIT_KINDS
};

struct credit {
    uint64_t serial;                    /* 1.. in the order of arrival, per organisation */
    uint64_t made_unix_ns;
    int64_t nusd;                       /* as it counts: a refund is negative; never 0 */
    uint8_t kind;                       /* enum credit_kind */
    char reference[CREDIT_REFERENCE_MAX];
};

struct pool {                           /* all zero: nothing was ever entered, unlimited */
    bool prepaid;
    int64_t entries_nusd;               /* sum of the entries */
    int64_t spent_nusd;                 /* of folded records with RECORD_PREPAID */
    int64_t top_balance_nusd;           /* balance after the newest top-up, for alerts */
    int64_t expired_nusd;               /* part of spent_nusd whose rows expired */
    uint64_t serial;                    /* of the newest entry; 0: there is none */
};

struct credit_cost {                    /* of an organisation, to be taken from its pool */
    store_id org;
    int64_t nusd;
};

/* "top_up" .. "correction". Static text. */
const char *credit_kind_name(enum credit_kind kind);
/* Read a pool. STORE_OK, all zero where there is none; STORE_NOT_FOUND: no such
 * organisation. */
MUST_USE enum store_rc credits_pool(struct db *db, MDB_txn *txn, store_id org,
                                    struct pool *pool);
/* Make a pool prepaid or unlimited. STORE_NOT_FOUND. */
MUST_USE enum store_rc credits_mode(struct db *db, MDB_txn *txn, store_id org, bool prepaid);
/* Enter a credit; c copies, its serial is set here. STORE_OK: entered, *c is the entry;
 * STORE_CONFLICT: the reference is taken, *c is the entry that has it (the caller compares);
 * STORE_REFUSED: an amount of nothing, of the wrong sign (a refund takes out, a top-up and a
 * grant put in) or beyond LIMIT_NUSD_MAX, a sum of entries beyond it, no reference or one
 * without an end; STORE_NOT_FOUND. */
MUST_USE enum store_rc credits_add(struct db *db, MDB_txn *txn, store_id org,
                                   struct credit *c);
/* Visit entries, newest first, below serial `before` (0: from the newest). visit answers false
 * to stop. STORE_NOT_FOUND: no such organisation. */
MUST_USE enum store_rc credits_each(struct db *db, MDB_txn *txn, store_id org,
                                    uint64_t before,
                                    bool (*visit)(const struct credit *c, void *arg),
                                    void *arg);
/* Forget pool and entries of an organisation that is being deleted; there need be none. */
MUST_USE enum store_rc credits_drop(struct db *db, MDB_txn *txn, store_id org);
/* The fold, in its write transaction: take costs of records with RECORD_PREPAID from pools.
 * One of an organisation that exists no more is passed over. Sorts cost. */
MUST_USE enum store_rc credits_spend(struct db *db, MDB_txn *txn, struct credit_cost *cost,
                                     size_t count);
/* Retention: a row with RECORD_PREPAID of that cost is being deleted. */
MUST_USE enum store_rc credits_expire(struct db *db, MDB_txn *txn, store_id org,
                                      int64_t nusd);
/* A value of DB_POOLS. False: it is none. */
MUST_USE bool credits_parse_pool(MDB_val data, struct pool *pool);
/* An entry of DB_CREDITS. False: it is none. */
MUST_USE bool credits_parse(MDB_val key, MDB_val data, struct credit *c);
/* Visit all pools, in the order of ids. visit answers false to stop. */
MUST_USE enum store_rc credits_pools(struct db *db, MDB_txn *txn,
                                     bool (*visit)(store_id org, const struct pool *pool,
                                                   void *arg), void *arg);

#endif
