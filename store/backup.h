/* backup.h - a copy of a data directory that can be served: the ledger of record as one commit
 * left it, and the admin token. Journals are not copied: what the store has not folded yet
 * (the last group commit's interval) is not in it. In three steps, so that the copy is checked
 * before anybody takes it for one:
 *   backup_copy -> beside its place, under its own name -> backup_keep, or backup_discard */
#ifndef STORE_BACKUP_H
#define STORE_BACKUP_H

#include "store/db.h"

enum { BACKUP_WHY_MAX = DB_DIR_MAX + 280 };

struct backup {
    char made[DB_DIR_MAX + 24];     /* the copy, until it is kept */
    char place[DB_DIR_MAX];         /* where it goes */
    bool in_use;                    /* an instance runs on what was copied */
    uint64_t left;                  /* of a directory not in use: records, and requests that
                                     * never ended, that its journals hold and the copy not */
};

/* Copy directory `from` (in use or not) beside `to`, which must not exist, or be an empty
 * directory. All of it is on the disk then. why: room for BACKUP_WHY_MAX bytes, a sentence on
 * failure. STORE_OK: then keep or discard; STORE_REFUSED: `to` holds something, or `from` is no
 * data directory; STORE_FULL; STORE_FAIL. Else nothing is left behind. */
MUST_USE enum store_rc backup_copy(const char *from, const char *to, struct backup *b,
                                   char *why);
/* Give the copy its name. STORE_OK; else it is gone: STORE_REFUSED: something stands there by
 * now; STORE_FAIL. */
MUST_USE enum store_rc backup_keep(struct backup *b, char *why);
/* Remove it. */
void backup_discard(struct backup *b);

#endif
