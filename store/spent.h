/* spent.h - what every unit and key has cost: per hour of admission, and in all. Kept by the
 * fold, in the transaction that brings the rows, so that a limit set in mid-window, and cells
 * at start, know what is spent without reading rows. One meter for each target that ever cost
 * something, read at the end of each hour: what a window cost is the difference of two
 * readings, however long it is.
 * Readings outlive their rows: as long as aggregates are kept, and never less than 35 days
 * (the longest window). The total stays for ever, or until the unit is gone. */
#ifndef STORE_SPENT_H
#define STORE_SPENT_H

#include "store/db.h"

enum { SPENT_HOURS_MIN = 35 * 24 };     /* hours that are kept at least */

struct spent_cost {             /* of a unit or key, to be added */
    store_id target;
    uint32_t hour;              /* of admission, since 1970 */
    int64_t nusd;
};

struct spent_head {             /* a value of DB_SPENT, little-endian */
    uint8_t version;            /* 1 */
    uint8_t full;               /* 1: the total has left int64 */
    uint8_t spare[2];           /* zero */
    uint32_t hour;              /* the newest that cost something */
    uint64_t total;             /* the meter now; it wraps, and differences stay right */
    uint64_t before;            /* the meter before that hour: the newest of DB_READINGS */
};
static_assert(sizeof(struct spent_head) == 24, "spent layout");

/* Nano-dollars of records admitted in hours from..before-1 (since 1970) whose path holds
 * target. STORE_OK (0 where there are none); STORE_FAIL. */
MUST_USE enum store_rc spent_between(struct db *db, MDB_txn *txn, store_id target,
                                     uint32_t from_hour, uint32_t before_hour, int64_t *nusd);
/* Of all records ever folded. */
MUST_USE enum store_rc spent_total(struct db *db, MDB_txn *txn, store_id target,
                                   int64_t *nusd);

/* The fold and the upgrade: add costs, in a write transaction. Sorts cost. */
MUST_USE enum store_rc spent_add(struct db *db, MDB_txn *txn, struct spent_cost *cost,
                                 size_t count);
/* Retention, in a write transaction: look at `looks` targets behind where the last call ended
 * (around and around) and forget readings of hours before before_hour, the last of them
 * excepted, which is what later hours count from; and all of targets that exist no more and
 * cost nothing since. Until max readings went; adds them to *deleted. */
MUST_USE enum store_rc spent_expire(struct db *db, MDB_txn *txn, uint32_t before_hour,
                                    size_t looks, size_t max, uint64_t *deleted);

/* A value of DB_SPENT. False: it is none. */
MUST_USE bool spent_head_read(struct spent_head *h, const void *data, size_t len);

#endif
