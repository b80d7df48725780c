/* rotation.h - providers and models that an operator took out of rotation, by name: what is not
 * written down is on. The store knows no catalogue: a name may be of nobody, and stands until
 * it is on again.
 * Writers run in the store thread's write transaction. After STORE_FULL and STORE_FAIL abort it
 * (db->why). */
#ifndef STORE_ROTATION_H
#define STORE_ROTATION_H

#include "store/db.h"

enum { ROTATION_NAME_MAX = 128 };   /* bytes of a name, with the end */

enum rotation {
    ROTATION_ON,
    ROTATION_DRAIN,   /* gets no new requests */
    ROTATION_OFF,     /* nor keeps connections */
    ROTATIONS
};

enum rotation_of { ROTATION_PROVIDER = 'p', ROTATION_MODEL = 'm' };

/* "on", "drain" or "off". Static text. */
const char *rotation_name(enum rotation state);
/* Set the state of a name, which copies. STORE_REFUSED: the name is empty or too long, or holds
 * a NUL; nothing was changed. */
MUST_USE enum store_rc rotation_put(struct db *db, MDB_txn *txn, enum rotation_of of,
                                    const char *name, size_t len, enum rotation state);
/* Visit all that is not on: models first, each in the order of names. name: NUL-ended, borrows
 * until visit returns. */
MUST_USE enum store_rc rotation_each(struct db *db, MDB_txn *txn,
                                     void (*visit)(enum rotation_of of, const char *name,
                                                   enum rotation state, void *arg),
                                     void *arg);
/* A key and value of DB_ROTATION. False: they are none. *name: room for ROTATION_NAME_MAX. */
MUST_USE bool rotation_parse(MDB_val key, MDB_val data, enum rotation_of *of, char *name,
                             enum rotation *state);

#endif
