/* tenants.c - see tenants.h.
 *   DB_TENANTS  organisation -> CRC-32C of the bytes, little-endian, and the bytes
 * The checksum stands for what nobody here can check: bytes that are not what was written would
 * otherwise be believed by whoever learns.
 * Rule: what is read is checked as if somebody else had written it. */
#include "store/tenants.h"

#include "store/crc.h"
#include "store/rows.h"

#include <string.h>

enum { CRC_BYTES = 4 };

bool tenants_parse(MDB_val key, MDB_val data, store_id *org, MDB_val *bytes)
{
    uint32_t crc;
    if (key.mv_size != 8) return false;
    if (data.mv_size <= CRC_BYTES || data.mv_size > CRC_BYTES + TENANT_BYTES_MAX) return false;
    *org = db_from_be64(key.mv_data);
    if (!store_id_is_valid(*org) || store_id_kind(*org) != UNIT_ORGANIZATION) return false;
    memcpy(&crc, data.mv_data, CRC_BYTES);
    *bytes = (MDB_val){data.mv_size - CRC_BYTES, (char *)data.mv_data + CRC_BYTES};
    return crc == crc32c(bytes->mv_data, bytes->mv_size);
}

enum store_rc tenants_put(struct db *db, MDB_txn *txn, store_id org, const void *bytes,
                          size_t len)
{
    uint8_t name[8], row[CRC_BYTES + TENANT_BYTES_MAX];
    assert(len > 0 && len <= TENANT_BYTES_MAX);
    assert(store_id_kind(org) == UNIT_ORGANIZATION);
    enum store_rc rc = rows_exists(db, txn, org);
    if (rc != STORE_OK) return rc;
    uint32_t crc = crc32c(bytes, len);
    memcpy(row, &crc, CRC_BYTES);
    memcpy(row + CRC_BYTES, bytes, len);
    db_be64(name, org);
    MDB_val key = {sizeof(name), name}, data = {CRC_BYTES + len, row};
    int code = mdb_put(txn, db->dbi[DB_TENANTS], &key, &data, 0);
    return db_rc(db, code, "keep what was learned");
}

enum store_rc tenants_drop(struct db *db, MDB_txn *txn, store_id org)
{
    uint8_t name[8];
    db_be64(name, org);
    MDB_val key = {sizeof(name), name};
    int code = mdb_del(txn, db->dbi[DB_TENANTS], &key, NULL);
    return code == MDB_NOTFOUND ? STORE_OK : db_rc(db, code, "forget what was learned");
}

enum store_rc tenants_each(struct db *db, MDB_txn *txn,
                           void (*visit)(store_id org, const void *bytes, size_t len,
                                         void *arg),
                           void *arg)
{
    MDB_cursor *cursor;
    MDB_val key, data, bytes;
    int code = mdb_cursor_open(txn, db->dbi[DB_TENANTS], &cursor);
    if (code != 0) return db_rc(db, code, "read what was learned");
    enum store_rc rc = STORE_OK;
    while (rc == STORE_OK && (code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) == 0) {
        store_id org;
        bool good = tenants_parse(key, data, &org, &bytes);
        if (good) visit(org, bytes.mv_data, bytes.mv_size, arg);
        else rc = db_damaged(db, "what was learned");
    }
    mdb_cursor_close(cursor);
    if (rc != STORE_OK || code == MDB_NOTFOUND) return rc;
    return db_rc(db, code, "read what was learned");
}
