/* ledger.c - keys and index entries of request rows.
 *
 *   DB_REQUESTS    (admitted, exchange, part)  -> the record, 512 bytes as in the journal
 *   DB_BY_REQUEST  (key id, request id)         -> key of the newest such request row
 *                  (0, exchange)                -> key of that exchange's request row
 *   DB_FEEDBACK    (exchange)                   -> struct feedback
 *
 * Request ids may come from clients and repeat; the index keeps the newest, which is the one a
 * client means. It keeps a hash of them, so that ids of any length and likeness cost the same.
 * The rule: a row is put once. Whoever finds it there counts nothing. */
#include "store/ledger.h"

#include <openssl/sha.h>
#include <string.h>

enum {
    HASH_HEAD = LEDGER_BY_REQUEST_KEY - 8,
    OWN_ID_LEN = 28,                /* "req_" and 24 digits of 5 bits */
    OWN_BYTES = 15,
    OWN_ID = 1, HASHED_ID = 2,      /* first byte: which of the two a key is */
};
static_assert(OWN_BYTES + 1 == HASH_HEAD, "both kinds of key have one length");

static void be32(uint8_t out[4], uint32_t v)
{
    for (int i = 3; i >= 0; i--, v >>= 8) out[i] = (uint8_t)v;
}

void ledger_row_key(uint8_t out[LEDGER_ROW_KEY], uint64_t admitted_unix_ns,
                    uint64_t exchange_id, uint32_t part)
{
    db_be64(out, admitted_unix_ns);
    db_be64(out + 8, exchange_id);
    be32(out + 16, part);
}

static void key_of(uint8_t out[LEDGER_ROW_KEY], const struct record *r)
{
    assert(r->kind == RECORD_ATTEMPT || r->kind == RECORD_REQUEST);
    /* Attempts of an exchange come from one ring, so that their seq tells them apart. */
    uint32_t part = (uint32_t)(r->seq & (LEDGER_PART_END >> 1));
    if (r->kind == RECORD_REQUEST) part = LEDGER_PART_END;
    ledger_row_key(out, r->admitted_unix_ns, r->exchange_id, part);
}

size_t ledger_hour_key(uint8_t out[LEDGER_HOUR_KEY_MAX], const struct record *r)
{
    be32(out, (uint32_t)(r->admitted_unix_ns / LEDGER_HOUR_NS));
    for (int k = 0; k < UNIT_KINDS; k++) db_be64(out + 4 + 8 * k, r->path[k]);
    uint8_t *at = out + LEDGER_HOUR_HEAD;
    size_t model = strnlen(r->model, RECORD_MODEL_MAX);
    size_t tags = strnlen(r->tags, RECORD_TAGS_MAX);
    memcpy(at, r->model, model);
    at[model] = '\0';
    memcpy(at + model + 1, r->tags, tags);
    return LEDGER_HOUR_HEAD + model + 1 + tags;
}

bool ledger_hour_parse(const void *key, size_t len, struct ledger_hour *h)
{
    assert(key && h);
    if (len <= LEDGER_HOUR_HEAD || len > LEDGER_HOUR_KEY_MAX) return false;
    const uint8_t *at = key;
    h->hour = (uint64_t)at[0] << 24 | (uint64_t)at[1] << 16 | (uint64_t)at[2] << 8 | at[3];
    if (h->hour >= UINT64_MAX / LEDGER_HOUR_NS) return false;
    for (int k = 0; k < UNIT_KINDS; k++) h->path[k] = db_from_be64(at + 4 + 8 * k);
    h->model = (const char *)at + LEDGER_HOUR_HEAD;
    size_t rest = len - LEDGER_HOUR_HEAD;
    h->model_len = strnlen(h->model, rest);
    if (h->model_len == rest || h->model_len > RECORD_MODEL_MAX) return false;
    h->tags = h->model + h->model_len + 1;
    h->tags_len = rest - h->model_len - 1;
    return h->tags_len <= RECORD_TAGS_MAX;
}

/* An id that Weir made ("req_" and 24 digits of base 32, its time first) is packed, not hashed:
 * such entries then arrive in nearly ascending order and fill pages one after another, where
 * hashes would dirty a page each. Lossless, so that two ids never meet. */
static bool pack_own(uint8_t out[OWN_BYTES], const char *id, size_t len)
{
    if (len != OWN_ID_LEN || memcmp(id, "req_", 4) != 0) return false;
    uint32_t bits = 0, count = 0;
    for (size_t i = 4; i < len; i++) {
        char c = id[i];
        bool digit = c >= '0' && c <= '9', letter = c >= 'a' && c <= 'v';
        if (!digit && !letter) return false;
        bits = bits << 5 | (uint32_t)(digit ? c - '0' : c - 'a' + 10);
        count += 5;
        if (count >= 8) {
            count -= 8;
            *out++ = (uint8_t)(bits >> count);
        }
    }
    assert(count == 0);
    return true;
}

static void by_request_key(uint8_t out[LEDGER_BY_REQUEST_KEY], store_id key, const char *id,
                           size_t len)
{
    assert(key != 0);
    uint8_t hash[SHA256_DIGEST_LENGTH];
    db_be64(out, key);
    out[8] = OWN_ID;
    if (pack_own(out + 9, id, len)) return;
    SHA256((const uint8_t *)id, len, hash);
    out[8] = HASHED_ID;
    memcpy(out + 9, hash, HASH_HEAD - 1);
}

static void by_exchange_key(uint8_t out[LEDGER_BY_EXCHANGE_KEY], uint64_t exchange_id)
{
    db_be64(out, 0);
    db_be64(out + 8, exchange_id);
}

static bool has_request_index(const struct record *r)
{
    return r->path[UNIT_KEY] != 0 && r->request_id[0] != '\0';
}

/* Point an index entry to a row, unless it points to a later one. */
static enum store_rc index_put(struct db *db, MDB_txn *txn, MDB_val key,
                               uint8_t row[LEDGER_ROW_KEY])
{
    MDB_val data = {LEDGER_ROW_KEY, row};
    int code = mdb_put(txn, db->dbi[DB_BY_REQUEST], &key, &data, MDB_NOOVERWRITE);
    if (code != MDB_KEYEXIST) return db_rc(db, code, "write the request index");
    if (data.mv_size != LEDGER_ROW_KEY) return db_damaged(db, "the request index");
    if (memcmp(data.mv_data, row, LEDGER_ROW_KEY) >= 0) return STORE_OK;
    data = (MDB_val){LEDGER_ROW_KEY, row};
    code = mdb_put(txn, db->dbi[DB_BY_REQUEST], &key, &data, 0);
    return db_rc(db, code, "write the request index");
}

enum store_rc ledger_put(struct db *db, MDB_txn *txn, const struct record *r, bool *fresh)
{
    assert(record_is_sound(r));
    *fresh = false;
    uint8_t row[LEDGER_ROW_KEY];
    key_of(row, r);
    struct record copy = *r;
    MDB_val key = {sizeof(row), row}, data = {sizeof(copy), &copy};
    int code = mdb_put(txn, db->dbi[DB_REQUESTS], &key, &data, MDB_NOOVERWRITE);
    if (code == MDB_KEYEXIST) return STORE_OK;
    if (code != 0) return db_rc(db, code, "write a request row");
    *fresh = true;
    if (r->kind != RECORD_REQUEST) return STORE_OK;
    uint8_t by_exchange[LEDGER_BY_EXCHANGE_KEY];
    by_exchange_key(by_exchange, r->exchange_id);
    enum store_rc rc = index_put(db, txn, (MDB_val){sizeof(by_exchange), by_exchange}, row);
    if (rc != STORE_OK || !has_request_index(r)) return rc;
    uint8_t by_request[LEDGER_BY_REQUEST_KEY];
    by_request_key(by_request, r->path[UNIT_KEY], r->request_id,
                   strnlen(r->request_id, RECORD_REQUEST_ID_MAX));
    return index_put(db, txn, (MDB_val){sizeof(by_request), by_request}, row);
}

/* Delete an index entry if it points to that row. */
static enum store_rc index_delete(struct db *db, MDB_txn *txn, MDB_val key,
                                  const uint8_t row[LEDGER_ROW_KEY])
{
    MDB_val data;
    int code = mdb_get(txn, db->dbi[DB_BY_REQUEST], &key, &data);
    if (code == MDB_NOTFOUND) return STORE_OK;
    if (code == 0 && (data.mv_size != LEDGER_ROW_KEY ||
                      memcmp(data.mv_data, row, LEDGER_ROW_KEY) != 0)) return STORE_OK;
    if (code == 0) code = mdb_del(txn, db->dbi[DB_BY_REQUEST], &key, NULL);
    return db_rc(db, code, "delete from the request index");
}

/* What hangs on a request row that goes. */
static enum store_rc indexes_delete(struct db *db, MDB_txn *txn, const struct record *r,
                                    const uint8_t row[LEDGER_ROW_KEY])
{
    uint8_t by_exchange[LEDGER_BY_EXCHANGE_KEY];
    by_exchange_key(by_exchange, r->exchange_id);
    enum store_rc rc = index_delete(db, txn, (MDB_val){sizeof(by_exchange), by_exchange}, row);
    if (rc != STORE_OK) return rc;
    MDB_val exchange = {8, by_exchange + 8};
    int code = mdb_del(txn, db->dbi[DB_FEEDBACK], &exchange, NULL);
    if (code != 0 && code != MDB_NOTFOUND) return db_rc(db, code, "delete feedback");
    if (!has_request_index(r)) return STORE_OK;
    uint8_t by_request[LEDGER_BY_REQUEST_KEY];
    by_request_key(by_request, r->path[UNIT_KEY], r->request_id,
                   strnlen(r->request_id, RECORD_REQUEST_ID_MAX));
    return index_delete(db, txn, (MDB_val){sizeof(by_request), by_request}, row);
}

enum store_rc ledger_expire(struct db *db, MDB_txn *txn, uint64_t before_unix_ns)
{
    MDB_cursor *cursor;
    int code = mdb_cursor_open(txn, db->dbi[DB_REQUESTS], &cursor);
    if (code != 0) return db_rc(db, code, "open the request rows");
    MDB_val key, data;
    uint8_t row[LEDGER_ROW_KEY];
    struct record r;
    enum store_rc rc = db_rc(db, mdb_cursor_get(cursor, &key, &data, MDB_FIRST),
                             "read the oldest request row");
    if (rc != STORE_OK) goto done;
    if (key.mv_size != sizeof(row) || data.mv_size != sizeof(r)) {
        rc = db_damaged(db, "the oldest request row");
        goto done;
    }
    memcpy(row, key.mv_data, sizeof(row));
    memcpy(&r, data.mv_data, sizeof(r));
    if (db_from_be64(row) >= before_unix_ns) {
        rc = STORE_NOT_FOUND;
        goto done;
    }
    rc = db_rc(db, mdb_cursor_del(cursor, 0), "delete a request row");
    if (rc == STORE_OK && r.kind == RECORD_REQUEST) rc = indexes_delete(db, txn, &r, row);
done:
    mdb_cursor_close(cursor);
    return rc;
}

enum store_rc ledger_find(struct db *db, MDB_txn *txn, store_id key, const char *request_id,
                          size_t len, const void **r)
{
    assert(request_id && r);
    if (key == 0 || len == 0 || len > RECORD_REQUEST_ID_MAX) return STORE_NOT_FOUND;
    uint8_t by_request[LEDGER_BY_REQUEST_KEY];
    by_request_key(by_request, key, request_id, len);
    MDB_val at = {sizeof(by_request), by_request}, row, data;
    int code = mdb_get(txn, db->dbi[DB_BY_REQUEST], &at, &row);
    if (code == 0) code = mdb_get(txn, db->dbi[DB_REQUESTS], &row, &data);
    if (code != 0) return db_rc(db, code, "look a request up");
    if (data.mv_size != sizeof(struct record)) return db_damaged(db, "a request row");
    /* Half a hash is enough against chance; the comparison is against everything else. */
    const char *id = (const char *)data.mv_data + offsetof(struct record, request_id);
    if (memcmp(id, request_id, len) != 0) return STORE_NOT_FOUND;
    if (len < RECORD_REQUEST_ID_MAX && id[len] != '\0') return STORE_NOT_FOUND;
    *r = data.mv_data;
    return STORE_OK;
}

enum store_rc ledger_find_exchange(struct db *db, MDB_txn *txn, uint64_t exchange_id,
                                   uint64_t *admitted_unix_ns)
{
    assert(admitted_unix_ns);
    uint8_t by_exchange[LEDGER_BY_EXCHANGE_KEY];
    by_exchange_key(by_exchange, exchange_id);
    MDB_val key = {sizeof(by_exchange), by_exchange}, row;
    int code = mdb_get(txn, db->dbi[DB_BY_REQUEST], &key, &row);
    if (code != 0) return db_rc(db, code, "look an exchange up");
    if (row.mv_size != LEDGER_ROW_KEY) return db_damaged(db, "the request index");
    *admitted_unix_ns = db_from_be64(row.mv_data);
    return STORE_OK;
}

enum store_rc ledger_put_feedback(struct db *db, MDB_txn *txn, uint64_t exchange_id,
                                  const struct record *r)
{
    assert(r->kind == RECORD_FEEDBACK);
    uint8_t exchange[8];
    db_be64(exchange, exchange_id);
    struct feedback given = {.given_unix_ns = r->admitted_unix_ns, .score = r->status};
    MDB_val key = {sizeof(exchange), exchange}, data = {sizeof(given), &given};
    int code = mdb_put(txn, db->dbi[DB_FEEDBACK], &key, &data, 0);
    return db_rc(db, code, "write feedback");
}
