/* rotation.c - see rotation.h.
 *   DB_ROTATION  'p' or 'm', name -> version, state; no row for who is on
 * Rule: what is read is checked as if somebody else had written it. */
#include "store/rotation.h"

#include <string.h>

enum { ROW_VERSION = 1, ROW_BYTES = 2 };

const char *rotation_name(enum rotation state)
{
    static const char *const names[ROTATIONS] = {"on", "drain", "off"};
    assert(state < ROTATIONS);
    return names[state];
}

bool rotation_parse(MDB_val key, MDB_val data, enum rotation_of *of, char *name,
                    enum rotation *state)
{
    const uint8_t *row = data.mv_data;
    const char *text = key.mv_data;
    size_t len = key.mv_size;
    bool good = len > 1 && len <= ROTATION_NAME_MAX && !memchr(text, '\0', len) &&
                (*text == ROTATION_PROVIDER || *text == ROTATION_MODEL);
    good = good && data.mv_size == ROW_BYTES && row[0] == ROW_VERSION &&
           row[1] != ROTATION_ON && row[1] < ROTATIONS;
    if (!good) return false;
    *of = (enum rotation_of)*text;
    memcpy(name, text + 1, len - 1);
    name[len - 1] = '\0';
    *state = (enum rotation)row[1];
    return true;
}

enum store_rc rotation_put(struct db *db, MDB_txn *txn, enum rotation_of of, const char *name,
                           size_t len, enum rotation state)
{
    char text[ROTATION_NAME_MAX];
    uint8_t row[ROW_BYTES] = {ROW_VERSION, (uint8_t)state};
    assert(of == ROTATION_PROVIDER || of == ROTATION_MODEL);
    assert(state < ROTATIONS);
    if (len == 0 || len >= sizeof(text) || memchr(name, '\0', len)) return STORE_REFUSED;
    text[0] = (char)of;
    memcpy(text + 1, name, len);
    MDB_val key = {len + 1, text}, data = {sizeof(row), row};
    MDB_dbi dbi = db->dbi[DB_ROTATION];
    db->rotated = true;
    if (state != ROTATION_ON) {
        return db_rc(db, mdb_put(txn, dbi, &key, &data, 0), "write a state");
    }
    int code = mdb_del(txn, dbi, &key, NULL);
    return code == MDB_NOTFOUND ? STORE_OK : db_rc(db, code, "delete a state");
}

enum store_rc rotation_each(struct db *db, MDB_txn *txn,
                            void (*visit)(enum rotation_of of, const char *name,
                                          enum rotation state, void *arg),
                            void *arg)
{
    MDB_cursor *cursor;
    MDB_val key, data;
    int code = mdb_cursor_open(txn, db->dbi[DB_ROTATION], &cursor);
    if (code != 0) return db_rc(db, code, "read states");
    enum store_rc rc = STORE_OK;
    while (rc == STORE_OK && (code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) == 0) {
        char name[ROTATION_NAME_MAX];
        enum rotation_of of;
        enum rotation state;
        if (rotation_parse(key, data, &of, name, &state)) visit(of, name, state, arg);
        else rc = db_damaged(db, "a state");
    }
    mdb_cursor_close(cursor);
    if (rc != STORE_OK || code == MDB_NOTFOUND) return rc;
    return db_rc(db, code, "read states");
}
