/* spent.h - what every unit and key has cost: per hour of admission, and in all. Kept by the
 * fold, in the transaction that brings the rows, so that a limit set in mid-window, and cells
 * at start, know what is spent without reading rows. One sum per (hour, target) and one total.
 * Sums of hours outlive their rows: as long as aggregates are kept, and never less than 35 days
 * (the longest window). The total stays for ever. */
#ifndef STORE_SPENT_H
#define STORE_SPENT_H

#include "store/db.h"

enum { SPENT_HOURS_MIN = 35 * 24 };     /* hours that are kept at least */

/* Nano-dollars of records admitted in hours from..before-1 (since 1970) whose path holds
 * target. STORE_OK (0 where there are none); STORE_FAIL. */
MUST_USE enum store_rc spent_between(struct db *db, MDB_txn *txn, store_id target,
                                     uint32_t from_hour, uint32_t before_hour, int64_t *nusd);
/* Of all records ever folded. */
MUST_USE enum store_rc spent_total(struct db *db, MDB_txn *txn, store_id target,
                                   int64_t *nusd);

#endif
