/* limits.h - budgets as they are set: per unit or key an amount for each window (contract.md
 * section 5), and the windows themselves, which are UTC calendar ones. What is spent of them
 * is in spent.h, what may still be taken in budget.h.
 * Writers run in the store thread's write transaction, mark db->dirty and db_touch() the
 * target. After STORE_NOT_FOUND and STORE_REFUSED the transaction is as it was before; after
 * STORE_FULL and STORE_FAIL abort it (db->why). */
#ifndef STORE_LIMITS_H
#define STORE_LIMITS_H

#include "store/db.h"

#define LIMIT_NONE INT64_C(-1)
#define LIMIT_NUSD_MAX INT64_C(1000000000000000000)   /* a billion dollars */

struct limits {
    int64_t nusd[WINDOWS];      /* nano-dollars, 0..LIMIT_NUSD_MAX; LIMIT_NONE: no limit */
};

/* "hour" .. "total". Static text. */
const char *window_name(enum window w);
/* Hours since 1970, UTC, at which the window that holds an hour begins, and at which the next
 * one begins: days from midnight, weeks from Monday, months by the calendar (Gregorian);
 * WINDOW_TOTAL gives 0 and UINT32_MAX. */
uint32_t window_first_hour(enum window w, uint32_t hour);
/* The other end. */
uint32_t window_next_hour(enum window w, uint32_t hour);

/* Read what is set for a unit or key. STORE_OK and *limits; STORE_NOT_FOUND: nothing is set
 * (*limits is all LIMIT_NONE). */
MUST_USE enum store_rc limits_get(struct db *db, MDB_txn *txn, store_id target,
                                  struct limits *limits);
/* A value of DB_LIMITS. False: it is none. */
MUST_USE bool limits_parse(MDB_val data, struct limits *limits);
/* Set all of them anew; all LIMIT_NONE takes them away. STORE_NOT_FOUND: no such unit or key;
 * STORE_REFUSED: an amount outside 0..LIMIT_NUSD_MAX. */
MUST_USE enum store_rc limits_put(struct db *db, MDB_txn *txn, store_id target,
                                  const struct limits *limits);
/* Forget those of a unit or key that is being deleted; none may be set. */
MUST_USE enum store_rc limits_drop(struct db *db, MDB_txn *txn, store_id target);
/* Visit all that are set, in the order of ids. visit answers false to stop. */
MUST_USE enum store_rc limits_each(struct db *db, MDB_txn *txn,
                                   bool (*visit)(store_id target, const struct limits *limits,
                                                 void *arg), void *arg);

#endif
