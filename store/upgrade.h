/* upgrade.h - bring a store that an older Weir wrote up to DB_SCHEMA. */
#ifndef STORE_UPGRADE_H
#define STORE_UPGRADE_H

#include "store/db.h"

/* Called by db_open with all of today's tables open. In small transactions: who dies in the
 * middle goes on at the next start. STORE_OK, also when there was nothing to do; STORE_FULL,
 * STORE_FAIL: db->why. */
MUST_USE enum store_rc upgrade_run(struct db *db);

#endif
