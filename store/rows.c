/* rows.c - units and keys as bytes in LMDB.
 * A row is a packed head of fixed size, then its texts without ends, so that the usual key
 * (no policy of its own) takes 150 bytes instead of two pages. Heads are little-endian as the
 * machine has them and may lie unaligned: they are copied, never pointed into.
 * Rule: what is read is checked as if someone else had written it (disks rot, and a wrong
 * length here would be read by a core); what is written was checked by the caller. */
#include "store/rows.h"

#include <string.h>

enum {
    ROW_VERSION = 1,
    ID_BYTES = 8,
};

struct unit_head {
    uint8_t version, name_len, email_len, spare;
    uint16_t policy_len, spare2;
    uint64_t parent, created_unix_ns;
};
static_assert(sizeof(struct unit_head) == 24, "unit head layout");

struct key_head {
    uint8_t version, name_len, hint_len, spare;
    uint16_t policy_len, spare2;
    uint64_t member, created_unix_ns, expires_unix_ns, old_until_unix_ns;
    uint8_t hash[STORE_KEY_HASH], old_hash[STORE_KEY_HASH];
};
static_assert(sizeof(struct key_head) == 40 + 2 * STORE_KEY_HASH, "key head layout");

enum {
    ROW_BYTES_MAX = sizeof(struct key_head) + 2 * STORE_NAME_MAX + STORE_POLICY_MAX,
};
static_assert(sizeof(struct unit_head) < sizeof(struct key_head), "a unit fits too");
static_assert(STORE_NAME_MAX <= 256, "lengths of names fit a byte");
static_assert(STORE_POLICY_MAX <= UINT16_MAX, "lengths of policies fit two");

/* A row under construction. */
struct row_out {
    size_t len;
    char bytes[ROW_BYTES_MAX];
};

static void out_put(struct row_out *out, const void *from, size_t len)
{
    assert(len <= sizeof(out->bytes) - out->len);
    if (len) memcpy(out->bytes + out->len, from, len);
    out->len += len;
}

/* Bytes as LMDB wants them. It does not write through a key. */
static MDB_val bytes_val(const void *ptr, size_t len)
{
    return (MDB_val){len, (void *)(uintptr_t)ptr};
}

/* Point *text at the next len bytes of what was stored. False when they are not there. */
static bool text_cut(MDB_val *left, size_t len, struct row_text *text)
{
    if (len > left->mv_size) return false;
    *text = (struct row_text){left->mv_data, len};
    left->mv_data = (char *)left->mv_data + len;
    left->mv_size -= len;
    return true;
}

/* Point the three texts of a row at what follows its head: all of it, no more. */
static bool texts_cut(MDB_val left, const size_t lens[3], struct row_text *name,
                      struct row_text *other, struct row_text *policy)
{
    return lens[0] < STORE_NAME_MAX && lens[1] < STORE_NAME_MAX && lens[2] <= STORE_POLICY_MAX
        && text_cut(&left, lens[0], name) && text_cut(&left, lens[1], other)
        && text_cut(&left, lens[2], policy) && left.mv_size == 0;
}

/* True when parent may stand above a unit of this kind: none for an organisation, else one
 * that is nearer to the top. So every climb ends. */
static bool parent_fits(enum unit_kind kind, store_id parent)
{
    if (kind == UNIT_ORGANIZATION) return parent == 0;
    return store_id_is_valid(parent) && store_id_kind(parent) < kind;
}

/* The stored bytes of an id in a table, without its head of head_len bytes (copied). */
static enum store_rc row_read(struct db *db, MDB_txn *txn, enum db_table table, store_id id,
                              void *head, size_t head_len, MDB_val *texts)
{
    uint8_t name[ID_BYTES];
    db_be64(name, id);
    MDB_val key = {sizeof(name), name}, data;
    int code = mdb_get(txn, db->dbi[table], &key, &data);
    if (code != 0) return db_rc(db, code, "read a unit or key");
    if (data.mv_size < head_len) return db_damaged(db, "a unit or key");
    memcpy(head, data.mv_data, head_len);
    *texts = (MDB_val){data.mv_size - head_len, (char *)data.mv_data + head_len};
    return STORE_OK;
}

static enum store_rc row_write(struct db *db, MDB_txn *txn, enum db_table table, store_id id,
                               struct row_out *out)
{
    assert(store_id_is_valid(id));
    uint8_t name[ID_BYTES];
    db_be64(name, id);
    MDB_val key = {sizeof(name), name}, data = {out->len, out->bytes};
    db->dirty = true;
    db_touch(db, id);
    return db_rc(db, mdb_put(txn, db->dbi[table], &key, &data, 0), "write a unit or key");
}

enum store_rc rows_get_unit(struct db *db, MDB_txn *txn, store_id id, struct unit_row *row)
{
    struct unit_head head;
    MDB_val texts;
    enum store_rc rc = row_read(db, txn, DB_UNITS, id, &head, sizeof(head), &texts);
    if (rc != STORE_OK) return rc;
    *row = (struct unit_row){.parent = head.parent, .created_unix_ns = head.created_unix_ns};
    size_t lens[3] = {head.name_len, head.email_len, head.policy_len};
    bool sound = head.version == ROW_VERSION
              && store_id_is_valid(id) && parent_fits(store_id_kind(id), head.parent)
              && texts_cut(texts, lens, &row->name, &row->email, &row->policy);
    return sound ? STORE_OK : db_damaged(db, "a unit");
}

enum store_rc rows_put_unit(struct db *db, MDB_txn *txn, store_id id,
                            const struct unit_row *row)
{
    assert(parent_fits(store_id_kind(id), row->parent));
    assert(row->name.len < STORE_NAME_MAX && row->email.len < STORE_NAME_MAX);
    assert(row->policy.len <= STORE_POLICY_MAX);
    struct unit_head head = {
        .version = ROW_VERSION,
        .name_len = (uint8_t)row->name.len,
        .email_len = (uint8_t)row->email.len,
        .policy_len = (uint16_t)row->policy.len,
        .parent = row->parent,
        .created_unix_ns = row->created_unix_ns,
    };
    struct row_out out = {.len = 0};
    out_put(&out, &head, sizeof(head));
    out_put(&out, row->name.ptr, row->name.len);
    out_put(&out, row->email.ptr, row->email.len);
    out_put(&out, row->policy.ptr, row->policy.len);
    return row_write(db, txn, DB_UNITS, id, &out);
}

enum store_rc rows_get_key(struct db *db, MDB_txn *txn, store_id id, struct key_row *row)
{
    struct key_head head;
    MDB_val texts;
    enum store_rc rc = row_read(db, txn, DB_KEYS, id, &head, sizeof(head), &texts);
    if (rc != STORE_OK) return rc;
    *row = (struct key_row){
        .member = head.member,
        .created_unix_ns = head.created_unix_ns,
        .expires_unix_ns = head.expires_unix_ns,
        .old_until_unix_ns = head.old_until_unix_ns,
    };
    memcpy(row->hash, head.hash, sizeof(row->hash));
    memcpy(row->old_hash, head.old_hash, sizeof(row->old_hash));
    size_t lens[3] = {head.name_len, head.hint_len, head.policy_len};
    bool sound = head.version == ROW_VERSION && store_id_is_valid(head.member)
              && store_id_kind(head.member) == UNIT_MEMBER
              && texts_cut(texts, lens, &row->name, &row->hint, &row->policy);
    return sound ? STORE_OK : db_damaged(db, "a key");
}

enum store_rc rows_put_key(struct db *db, MDB_txn *txn, store_id id, const struct key_row *row)
{
    assert(store_id_kind(id) == UNIT_KEY && store_id_kind(row->member) == UNIT_MEMBER);
    assert(row->name.len < STORE_NAME_MAX && row->hint.len < STORE_NAME_MAX);
    assert(row->policy.len <= STORE_POLICY_MAX);
    struct key_head head = {
        .version = ROW_VERSION,
        .name_len = (uint8_t)row->name.len,
        .hint_len = (uint8_t)row->hint.len,
        .policy_len = (uint16_t)row->policy.len,
        .member = row->member,
        .created_unix_ns = row->created_unix_ns,
        .expires_unix_ns = row->expires_unix_ns,
        .old_until_unix_ns = row->old_until_unix_ns,
    };
    memcpy(head.hash, row->hash, sizeof(head.hash));
    memcpy(head.old_hash, row->old_hash, sizeof(head.old_hash));
    struct row_out out = {.len = 0};
    out_put(&out, &head, sizeof(head));
    out_put(&out, row->name.ptr, row->name.len);
    out_put(&out, row->hint.ptr, row->hint.len);
    out_put(&out, row->policy.ptr, row->policy.len);
    return row_write(db, txn, DB_KEYS, id, &out);
}

/* Delete an entry that must exist: tables that disagree are damage, not "not found". */
static enum store_rc entry_drop(struct db *db, MDB_txn *txn, enum db_table table, MDB_val key)
{
    int code = mdb_del(txn, db->dbi[table], &key, NULL);
    db->dirty = true;
    if (code == MDB_NOTFOUND) return db_damaged(db, "an index of units and keys");
    return db_rc(db, code, "delete a unit or key");
}

enum store_rc rows_drop(struct db *db, MDB_txn *txn, enum db_table table, store_id id)
{
    assert(table == DB_UNITS || table == DB_KEYS);
    uint8_t name[ID_BYTES];
    db_be64(name, id);
    db_touch(db, id);
    return entry_drop(db, txn, table, bytes_val(name, sizeof(name)));
}

enum store_rc rows_exists(struct db *db, MDB_txn *txn, store_id id)
{
    if (!store_id_is_valid(id)) return STORE_NOT_FOUND;
    uint8_t name[ID_BYTES];
    db_be64(name, id);
    MDB_val key = {sizeof(name), name}, data;
    enum db_table table = store_id_kind(id) == UNIT_KEY ? DB_KEYS : DB_UNITS;
    return db_rc(db, mdb_get(txn, db->dbi[table], &key, &data), "find a unit or key");
}

enum store_rc rows_get_hash(struct db *db, MDB_txn *txn, const uint8_t hash[STORE_KEY_HASH],
                            store_id *id)
{
    MDB_val key = bytes_val(hash, STORE_KEY_HASH), data;
    int code = mdb_get(txn, db->dbi[DB_HASHES], &key, &data);
    if (code != 0) return db_rc(db, code, "find a key");
    if (data.mv_size != ID_BYTES) return db_damaged(db, "an index of keys");
    *id = db_from_be64(data.mv_data);
    return STORE_OK;
}

enum store_rc rows_put_hash(struct db *db, MDB_txn *txn, const uint8_t hash[STORE_KEY_HASH],
                            store_id id)
{
    assert(store_id_kind(id) == UNIT_KEY);
    uint8_t value[ID_BYTES];
    db_be64(value, id);
    MDB_val key = bytes_val(hash, STORE_KEY_HASH), data = {sizeof(value), value};
    db->dirty = true;
    return db_rc(db, mdb_put(txn, db->dbi[DB_HASHES], &key, &data, 0), "write a key's hash");
}

enum store_rc rows_drop_hash(struct db *db, MDB_txn *txn, const uint8_t hash[STORE_KEY_HASH])
{
    return entry_drop(db, txn, DB_HASHES, bytes_val(hash, STORE_KEY_HASH));
}

enum store_rc rows_link(struct db *db, MDB_txn *txn, store_id unit, store_id child)
{
    assert(store_id_kind(unit) < store_id_kind(child));
    uint8_t name[2 * ID_BYTES];
    db_be64(name, unit);
    db_be64(name + ID_BYTES, child);
    MDB_val key = {sizeof(name), name}, data = {0, name};
    db->dirty = true;
    return db_rc(db, mdb_put(txn, db->dbi[DB_CHILDREN], &key, &data, 0), "write a unit");
}

enum store_rc rows_unlink(struct db *db, MDB_txn *txn, store_id unit, store_id child)
{
    assert(store_id_kind(unit) < store_id_kind(child));
    uint8_t name[2 * ID_BYTES];
    db_be64(name, unit);
    db_be64(name + ID_BYTES, child);
    return entry_drop(db, txn, DB_CHILDREN, bytes_val(name, sizeof(name)));
}

enum store_rc rows_next(struct db *db, MDB_txn *txn, enum db_table table, store_id unit,
                        store_id after, store_id *id)
{
    assert((table == DB_CHILDREN) == (unit != 0));
    uint8_t name[2 * ID_BYTES];
    size_t prefix_len = unit ? ID_BYTES : 0, len = prefix_len + ID_BYTES;
    db_be64(name, unit);
    db_be64(name + prefix_len, after);
    MDB_val key = {len, name}, data;
    MDB_cursor *cursor;
    int code = mdb_cursor_open(txn, db->dbi[table], &cursor);
    if (code != 0) return db_rc(db, code, "list units or keys");
    code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    if (code == 0 && key.mv_size == len && memcmp(key.mv_data, name, len) == 0) {
        code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    if (code != 0) return db_rc(db, code, "list units or keys");
    if (key.mv_size != len) return db_damaged(db, "an index of units and keys");
    if (memcmp(key.mv_data, name, prefix_len) != 0) return STORE_NOT_FOUND;
    *id = db_from_be64((const char *)key.mv_data + prefix_len);
    bool sound = store_id_is_valid(*id) && *id > after;
    return sound ? STORE_OK : db_damaged(db, "an index of units and keys");
}

enum store_rc rows_climb(struct db *db, MDB_txn *txn, store_id unit, struct unit_path *path,
                         struct unit_row rows[UNIT_KEY])
{
    memset(path, 0, sizeof(*path));
    memset(rows, 0, UNIT_KEY * sizeof(rows[0]));
    store_id id = unit;
    do {
        struct unit_row row;
        enum store_rc rc = rows_get_unit(db, txn, id, &row);
        if (rc == STORE_NOT_FOUND && id != unit) return db_damaged(db, "a unit's parent");
        if (rc != STORE_OK) return rc;
        enum unit_kind kind = store_id_kind(id);
        if (kind >= UNIT_KEY) return db_damaged(db, "a unit");
        path->unit[kind] = id;
        rows[kind] = row;
        id = row.parent;
    } while (id != 0);
    assert(path->unit[UNIT_ORGANIZATION] != 0);
    return STORE_OK;
}
