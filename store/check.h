/* check.h - is the ledger of a data directory what it says? Everything that is stored twice is
 * held against itself, rows against sums, sums against meters, indexes against what they lead
 * to, journals against the store; nothing is changed.
 * Memory is bounded, whatever the size of the store: 64 MiB for ids that were seen, sums of
 * 32,768 aggregates at a time (some 25 MiB, at worst 300), 16 bytes for each record that a
 * journal holds, 40 for each hour and each organisation. What does not fit at once takes
 * another pass over the rows. */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H

#include "store/db.h"

enum { CHECK_LINE_MAX = 512, CHECK_WHY_MAX = DB_DIR_MAX + 280 };

struct check_found {
    uint64_t violations;
    bool in_use;                /* an instance runs: the newest commit was checked, and no
                                 * journal looked at */
};

/* Check the directory. say (not NULL) hears of each violation, a line: what and where,
 * expected, found. why: room for CHECK_WHY_MAX bytes, a sentence on failure.
 * STORE_OK: all of it was looked at; STORE_NOT_FOUND: there is no store; STORE_FAIL: it cannot
 * be read to its end. */
MUST_USE enum store_rc check_ledger(const char *dir, void (*say)(const char *line, void *arg),
                                    void *arg, struct check_found *found, char *why);

#endif
