/* org.h - units: organisation > department > team > member. A level may be skipped, never
 * reversed; units do not move. Changes run in the store thread's write transaction and raise
 * db->generation once committed (db_commit does it).
 * Results of writers: after STORE_NOT_FOUND, STORE_CONFLICT and STORE_REFUSED the transaction
 * is as it was before; after STORE_FULL and STORE_FAIL abort it (db->why). */
#ifndef STORE_ORG_H
#define STORE_ORG_H

#include "store/db.h"

struct unit {
    store_id id, parent;          /* parent 0 for an organisation */
    uint64_t created_unix_ns;
    char name[STORE_NAME_MAX];
    char email[STORE_NAME_MAX];   /* members; else "" */
    struct policy policy;
};

/* Make a unit under parent (0 only for organisations). name and email (may be NULL) copy.
 * Gives *id. STORE_REFUSED: the parent's level is not above, a text too long, an e-mail of
 * other than a member; STORE_NOT_FOUND: no such parent. */
MUST_USE enum store_rc org_make(struct db *db, MDB_txn *txn, enum unit_kind kind,
                                store_id parent, const char *name, const char *email,
                                uint64_t now_unix_ns, store_id *id);
/* Read one unit. Copies into *u. STORE_NOT_FOUND (also for a key's id). */
MUST_USE enum store_rc org_get(struct db *db, MDB_txn *txn, store_id id, struct unit *u);
/* Write changed name, email or policy of an existing unit; its time of making stays.
 * STORE_NOT_FOUND; STORE_REFUSED: another parent, a text too long or without end, an e-mail
 * of other than a member, a policy that policy_is_sound() refuses. */
MUST_USE enum store_rc org_put(struct db *db, MDB_txn *txn, const struct unit *u);
/* Delete a unit; recursive: with everything below it, keys included. STORE_NOT_FOUND;
 * STORE_CONFLICT while children or keys exist and not recursive. */
MUST_USE enum store_rc org_delete(struct db *db, MDB_txn *txn, store_id id, bool recursive);
/* Visit children (units, not keys) of parent in id order after `after` (0: from the start);
 * parent 0: all units, the higher levels first. visit answers false to stop; it may change
 * the tables. STORE_OK also where there is none; STORE_NOT_FOUND: no such parent. */
MUST_USE enum store_rc org_list(struct db *db, MDB_txn *txn, store_id parent, store_id after,
                                bool (*visit)(const struct unit *u, void *arg), void *arg);
/* The way from the top to id (a unit or a key), id included. STORE_NOT_FOUND. */
MUST_USE enum store_rc org_path(struct db *db, MDB_txn *txn, store_id id,
                                struct unit_path *path);
/* Delete one key, for keys_delete() and for org_delete(), which is below it. Takes it out of
 * every table. STORE_NOT_FOUND. */
MUST_USE enum store_rc org_drop_key(struct db *db, MDB_txn *txn, store_id key);

#endif
