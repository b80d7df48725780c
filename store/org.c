/* org.c - the tree of units, in LMDB.
 *   DB_UNITS     id -> unit, which names its parent: the way up
 *   DB_CHILDREN  (unit, child unit): the way down, one level
 *                (unit, key): every key is entered under each unit above it, so that "keys
 *                below" is one range at any level; ids begin with their kind, keys sort last
 * Units never move, so a key's entries stay true for its life. Kinds strictly rise from
 * parent to child: every climb ends after four steps, every descent too, without recursion.
 * Rule: what can be refused is refused before the first write. */
#include "store/org.h"

#include "store/credits.h"
#include "store/limits.h"
#include "store/policy.h"
#include "store/rows.h"
#include "store/tenants.h"

#include <string.h>

/* text as a row holds it. Gives false where it does not end within STORE_NAME_MAX bytes. */
static bool name_take(const char *text, struct row_text *out)
{
    *out = (struct row_text){text, text ? strnlen(text, STORE_NAME_MAX) : 0};
    return out->len < STORE_NAME_MAX;
}

static void name_copy(char out[STORE_NAME_MAX], struct row_text text)
{
    assert(text.len < STORE_NAME_MAX);
    memcpy(out, text.ptr, text.len);
    memset(out + text.len, 0, STORE_NAME_MAX - text.len);
}

static void unit_copy(struct unit *u, store_id id, const struct unit_row *row)
{
    assert(row->policy.len <= sizeof(u->policy.blob));
    u->id = id;
    u->parent = row->parent;
    u->created_unix_ns = row->created_unix_ns;
    name_copy(u->name, row->name);
    name_copy(u->email, row->email);
    u->policy.len = (uint16_t)row->policy.len;
    memcpy(u->policy.blob, row->policy.ptr, row->policy.len);
    memset(u->policy.blob + row->policy.len, 0, sizeof(u->policy.blob) - row->policy.len);
}

/* May a unit of this kind be made under parent? STORE_OK; STORE_REFUSED; STORE_NOT_FOUND. */
static enum store_rc parent_check(struct db *db, MDB_txn *txn, enum unit_kind kind,
                                  store_id parent)
{
    if ((kind == UNIT_ORGANIZATION) != (parent == 0)) return STORE_REFUSED;
    if (parent == 0) return STORE_OK;
    if (!store_id_is_valid(parent)) return STORE_NOT_FOUND;
    if (store_id_kind(parent) >= kind) return STORE_REFUSED;
    struct unit_row above;
    return rows_get_unit(db, txn, parent, &above);
}

enum store_rc org_make(struct db *db, MDB_txn *txn, enum unit_kind kind, store_id parent,
                       const char *name, const char *email, uint64_t now_unix_ns,
                       store_id *id)
{
    assert(kind < UNIT_KEY);
    assert(name);
    struct unit_row row = {.parent = parent, .created_unix_ns = now_unix_ns};
    if (!name_take(name, &row.name) || !name_take(email, &row.email)) return STORE_REFUSED;
    if (row.email.len > 0 && kind != UNIT_MEMBER) return STORE_REFUSED;
    enum store_rc rc = parent_check(db, txn, kind, parent);
    if (rc != STORE_OK) return rc;
    store_id made;
    rc = db_next_id(db, txn, kind, &made);
    if (rc == STORE_OK) rc = rows_put_unit(db, txn, made, &row);
    if (rc == STORE_OK && parent) rc = rows_link(db, txn, parent, made);
    if (rc == STORE_OK) *id = made;
    return rc;
}

enum store_rc org_get(struct db *db, MDB_txn *txn, store_id id, struct unit *u)
{
    struct unit_row row;
    enum store_rc rc = rows_get_unit(db, txn, id, &row);
    if (rc == STORE_OK) unit_copy(u, id, &row);
    return rc;
}

enum store_rc org_put(struct db *db, MDB_txn *txn, const struct unit *u)
{
    struct unit_row row;
    enum store_rc rc = rows_get_unit(db, txn, u->id, &row);
    if (rc != STORE_OK) return rc;
    if (u->parent != row.parent) return STORE_REFUSED;
    if (!name_take(u->name, &row.name) || !name_take(u->email, &row.email)) {
        return STORE_REFUSED;
    }
    if (row.email.len > 0 && store_id_kind(u->id) != UNIT_MEMBER) return STORE_REFUSED;
    if (!policy_is_sound(&u->policy)) return STORE_REFUSED;
    row.policy = (struct row_text){u->policy.blob, u->policy.len};
    return rows_put_unit(db, txn, u->id, &row);
}

enum store_rc org_drop_key(struct db *db, MDB_txn *txn, store_id key)
{
    struct key_row row;
    struct unit_row above[UNIT_KEY];
    struct unit_path path;
    enum store_rc rc = rows_get_key(db, txn, key, &row);
    if (rc != STORE_OK) return rc;
    rc = rows_climb(db, txn, row.member, &path, above);
    if (rc == STORE_NOT_FOUND) return db_damaged(db, "a key's member");
    if (rc == STORE_OK) rc = rows_drop(db, txn, DB_KEYS, key);
    if (rc == STORE_OK) rc = limits_drop(db, txn, key);
    if (rc == STORE_OK) rc = rows_drop_hash(db, txn, row.hash);
    if (rc == STORE_OK && row.old_until_unix_ns) rc = rows_drop_hash(db, txn, row.old_hash);
    for (unsigned level = 0; rc == STORE_OK && level < UNIT_KEY; level++) {
        if (path.unit[level]) rc = rows_unlink(db, txn, path.unit[level], key);
    }
    return rc;
}

/* Delete all keys below unit. */
static enum store_rc keys_drop(struct db *db, MDB_txn *txn, store_id unit)
{
    for (;;) {
        store_id key;
        enum store_rc rc = rows_next(db, txn, DB_CHILDREN, unit, rows_floor(UNIT_KEY), &key);
        if (rc == STORE_NOT_FOUND) return STORE_OK;
        if (rc != STORE_OK) return rc;
        rc = org_drop_key(db, txn, key);
        if (rc == STORE_NOT_FOUND) return db_damaged(db, "an index of keys");
        if (rc != STORE_OK) return rc;
    }
}

/* A unit at or below unit that has nothing below it, unit's keys being gone already. */
static enum store_rc leaf_find(struct db *db, MDB_txn *txn, store_id unit, store_id *leaf)
{
    *leaf = unit;
    for (;;) {
        store_id child;
        enum store_rc rc = rows_next(db, txn, DB_CHILDREN, *leaf, 0, &child);
        if (rc == STORE_NOT_FOUND) return STORE_OK;
        if (rc != STORE_OK) return rc;
        bool descends = store_id_kind(child) > store_id_kind(*leaf)
                     && store_id_kind(child) < UNIT_KEY;
        if (!descends) return db_damaged(db, "an index of units");
        *leaf = child;
    }
}

/* Delete one unit that has nothing below it. */
static enum store_rc leaf_drop(struct db *db, MDB_txn *txn, store_id id)
{
    struct unit_row row;
    enum store_rc rc = rows_get_unit(db, txn, id, &row);
    if (rc == STORE_NOT_FOUND) return db_damaged(db, "an index of units");
    if (rc == STORE_OK) rc = rows_drop(db, txn, DB_UNITS, id);
    if (rc == STORE_OK) rc = limits_drop(db, txn, id);
    if (rc == STORE_OK && !row.parent) rc = credits_drop(db, txn, id);
    if (rc == STORE_OK && !row.parent) rc = tenants_drop(db, txn, id);
    if (rc == STORE_OK && row.parent) rc = rows_unlink(db, txn, row.parent, id);
    return rc;
}

enum store_rc org_delete(struct db *db, MDB_txn *txn, store_id id, bool recursive)
{
    struct unit_row row;
    enum store_rc rc = rows_get_unit(db, txn, id, &row);
    if (rc != STORE_OK) return rc;
    if (!recursive) {
        store_id child;
        rc = rows_next(db, txn, DB_CHILDREN, id, 0, &child);
        if (rc == STORE_OK) return STORE_CONFLICT;
        return rc == STORE_NOT_FOUND ? leaf_drop(db, txn, id) : rc;
    }
    rc = keys_drop(db, txn, id);
    store_id leaf = 0;
    while (rc == STORE_OK && leaf != id) {
        rc = leaf_find(db, txn, id, &leaf);
        if (rc == STORE_OK) rc = leaf_drop(db, txn, leaf);
    }
    return rc;
}

enum store_rc org_list(struct db *db, MDB_txn *txn, store_id parent, store_id after,
                       bool (*visit)(const struct unit *u, void *arg), void *arg)
{
    struct unit_row row;
    if (parent) {
        enum store_rc rc = rows_get_unit(db, txn, parent, &row);
        if (rc != STORE_OK) return rc;
    }
    enum db_table table = parent ? DB_CHILDREN : DB_UNITS;
    for (;;) {
        store_id id;
        enum store_rc rc = rows_next(db, txn, table, parent, after, &id);
        if (rc == STORE_NOT_FOUND) return STORE_OK;
        if (rc != STORE_OK) return rc;
        if (store_id_kind(id) == UNIT_KEY) return STORE_OK;
        rc = rows_get_unit(db, txn, id, &row);
        if (rc == STORE_NOT_FOUND) return db_damaged(db, "an index of units");
        if (rc != STORE_OK) return rc;
        struct unit u;
        unit_copy(&u, id, &row);
        if (!visit(&u, arg)) return STORE_OK;
        after = id;
    }
}

enum store_rc org_path(struct db *db, MDB_txn *txn, store_id id, struct unit_path *path)
{
    struct unit_row rows[UNIT_KEY];
    struct key_row row;
    bool is_key = store_id_is_valid(id) && store_id_kind(id) == UNIT_KEY;
    if (!is_key) return rows_climb(db, txn, id, path, rows);
    enum store_rc rc = rows_get_key(db, txn, id, &row);
    if (rc != STORE_OK) return rc;
    rc = rows_climb(db, txn, row.member, path, rows);
    if (rc == STORE_NOT_FOUND) return db_damaged(db, "a key's member");
    path->unit[UNIT_KEY] = id;
    return rc;
}
