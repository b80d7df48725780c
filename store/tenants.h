/* tenants.h - what was learned of each organisation's requests: bytes that the store keeps and
 * does not read, at most one row an organisation; they go with it.
 * Writers run in the store thread's write transaction. After STORE_FULL and STORE_FAIL abort it
 * (db->why). */
#ifndef STORE_TENANTS_H
#define STORE_TENANTS_H

#include "store/db.h"

enum { TENANT_BYTES_MAX = 2048 };   /* of what is kept for one */

/* Keep len bytes (1..TENANT_BYTES_MAX), which copy, for an organisation instead of what was
 * kept. STORE_NOT_FOUND: there is no such organisation. */
MUST_USE enum store_rc tenants_put(struct db *db, MDB_txn *txn, store_id org,
                                   const void *bytes, size_t len);
/* Forget what is kept of an organisation; nothing may be. */
MUST_USE enum store_rc tenants_drop(struct db *db, MDB_txn *txn, store_id org);
/* Visit all, in the order of ids. bytes borrow until visit returns, and lie at any address. */
MUST_USE enum store_rc tenants_each(struct db *db, MDB_txn *txn,
                                    void (*visit)(store_id org, const void *bytes, size_t len,
                                                  void *arg),
                                    void *arg);
/* A key and value of DB_TENANTS: whose, and the bytes. False: they are none. */
MUST_USE bool tenants_parse(MDB_val key, MDB_val data, store_id *org, MDB_val *bytes);

#endif
