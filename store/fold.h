/* fold.h - from journals to the ledger of record: recovery at start and the store thread's
 * group commits. One transaction takes the records, the hourly aggregates they raise, what they
 * cost each unit, key and pool, and the highest sequence folded per journal, so that a crash
 * between any two steps neither loses nor repeats one. */
#ifndef STORE_FOLD_H
#define STORE_FOLD_H

#include "store/db.h"
#include "store/journal.h"

/* Fold what earlier runs left in DATA/journal/ (all files, also of cores that no longer exist),
 * book running entries without a record as interrupted with close_interrupted and status 499,
 * remove the files. recovered, interrupted: out, counts of this call. After a machine restart
 * only contiguous checksummed records count. Before any journal_open; may be repeated.
 * STORE_OK: also when a record was damaged though the machine ran on; the others count, the
 * file is kept beside as core-N.damaged-..., and db->why, else "", says so.
 * STORE_FULL, STORE_FAIL: db->why; nothing that is not booked was removed. So too when a file
 * is no journal of this version: the others are recovered, that one is left in place. */
MUST_USE enum store_rc fold_recover(struct db *db, uint16_t close_interrupted,
                                    uint64_t *recovered, uint64_t *interrupted);

/* One group commit over all journals: up to max records in one write transaction, then the
 * tails move. visit (may be NULL) sees each folded record after the commit. *folded out.
 * STORE_OK also when there was nothing. */
MUST_USE enum store_rc fold_step(struct db *db, struct journal *const *journals, size_t count,
                                 size_t max, void (*visit)(const struct record *r, void *arg),
                                 void *arg, uint64_t *folded);

/* What the store holds of a journal. */
struct fold_mark {
    uint64_t folded;            /* highest sequence that is in the store */
    bool done;                  /* recovery booked its running entries too */
    bool damaged;               /* recovery left something unsound of it out */
};
/* Read it; all zero where the store knows nothing of that file. STORE_OK; STORE_FAIL. */
MUST_USE enum store_rc fold_mark_get(struct db *db, MDB_txn *txn, uint64_t generation,
                                     struct fold_mark *mark);
/* The generation that a name in DB_META is the mark of. False: it is no mark. */
MUST_USE bool fold_mark_name(const void *name, size_t len, uint64_t *generation);
/* Forget the marks of all journals, whose files are gone for good. */
MUST_USE enum store_rc fold_forget(struct db *db);
/* Is that the name of a journal in DATA/journal? */
bool fold_is_journal(const char *name);

/* Delete request rows admitted before rows_before_unix_ns, block by block when all of a span
 * (17 seconds) is that old, aggregates of hours before hours_before_unix_ns, and what those
 * hours had cost, by unit, once it is 35 days older than the newest hour too; until max of each
 * went; *deleted out. Totals stay. Write transaction of its own. */
MUST_USE enum store_rc fold_expire(struct db *db, uint64_t rows_before_unix_ns,
                                   uint64_t hours_before_unix_ns, size_t max,
                                   uint64_t *deleted);

#endif
