/* kinds.h - which rows of a transaction are alike: of one path, model and price, with the same
 * tags, and ended the same way. Off core: it uses the heap. */
#ifndef STORE_KINDS_H
#define STORE_KINDS_H

#include "store/journal.h"

struct kinds {                      /* all zero is an empty table */
    const struct record **record;   /* one of each kind; borrowed */
    uint64_t *hash;
    uint32_t *local;                /* block_write: kind -> index in the block + 1, else 0 */
    size_t count, max;
    uint32_t *slot;                 /* open addressing: kind + 1, 0 free */
    size_t slot_count;              /* a power of two, or 0 */
    uint64_t seed;                  /* any number that who chooses tags does not know */
};

/* The kind of a record: *kind out, numbered from 0 in the order of arrival. r borrows, until
 * kinds_fini. False without memory. */
MUST_USE bool kinds_at(struct kinds *k, const struct record *r, uint32_t *kind);
/* Free everything; the table is empty again. */
void kinds_fini(struct kinds *k);

#endif
