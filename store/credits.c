/* credits.c - the credit pools of organisations.
 *   DB_POOLS       organisation              -> mode and sums
 *   DB_CREDITS     (organisation, serial)    -> entry; serials 1, 2, ... without a hole
 *   DB_REFERENCES  (organisation, reference) -> serial, so that none is entered twice
 * Entries are never changed and go only with their organisation: a mistake is put right by a
 * correction, another entry.
 * Rule: a pool's entries_nusd is the sum of its entries, its spent_nusd that of the costs of
 * rows with RECORD_PREPAID, those in expired_nusd included that are gone. */
#include "store/credits.h"

#include "store/limits.h"
#include "store/rows.h"

#include <stdlib.h>
#include <string.h>

enum { ROW_VERSION = 1, CREDIT_KEY = 16, REFERENCE_KEY_MAX = 8 + CREDIT_REFERENCE_MAX };

struct pool_row {               /* little-endian */
    uint8_t version, prepaid, spare[6];
    int64_t entries_nusd, spent_nusd, top_balance_nusd, expired_nusd;
    uint64_t serial;
};
static_assert(sizeof(struct pool_row) == 48, "pool layout");

struct credit_head {            /* then the reference, without an end */
    uint8_t version, kind, reference_len, spare[5];
    uint64_t made_unix_ns;
    int64_t nusd;
};
static_assert(sizeof(struct credit_head) == 24, "credit layout");

const char *credit_kind_name(enum credit_kind kind)
{
    static const char *const names[CREDIT_KINDS] = {"top_up", "grant", "refund", "correction"};
    assert(kind < CREDIT_KINDS);
    return names[kind];
}

static enum store_rc damaged(struct db *db)
{
    return db_damaged(db, "a credit pool");
}

/* A sum that would leave int64 stays at its end instead of changing its sign. */
static int64_t sum_of(int64_t a, int64_t b)
{
    int64_t sum;
    if (!__builtin_add_overflow(a, b, &sum)) return sum;
    return b > 0 ? INT64_MAX : INT64_MIN;
}

/* ---- pools */

bool credits_parse_pool(MDB_val data, struct pool *pool)
{
    struct pool_row row;
    if (data.mv_size != sizeof(row)) return false;
    memcpy(&row, data.mv_data, sizeof(row));
    *pool = (struct pool){.prepaid = row.prepaid, .entries_nusd = row.entries_nusd,
                          .spent_nusd = row.spent_nusd, .expired_nusd = row.expired_nusd,
                          .top_balance_nusd = row.top_balance_nusd, .serial = row.serial};
    return row.version == ROW_VERSION && row.prepaid <= 1;
}

/* A pool as it is stored; all zero where there is none, whoever asks. */
static enum store_rc pool_get(struct db *db, MDB_txn *txn, store_id org, struct pool *pool)
{
    uint8_t name[8];
    db_be64(name, org);
    memset(pool, 0, sizeof(*pool));
    MDB_val key = {sizeof(name), name}, data;
    int code = mdb_get(txn, db->dbi[DB_POOLS], &key, &data);
    if (code != 0) return db_rc(db, code, "read a credit pool");
    return credits_parse_pool(data, pool) ? STORE_OK : damaged(db);
}

static enum store_rc pool_put(struct db *db, MDB_txn *txn, store_id org,
                              const struct pool *pool)
{
    uint8_t name[8];
    db_be64(name, org);
    struct pool_row row = {
        .version = ROW_VERSION, .prepaid = pool->prepaid, .serial = pool->serial,
        .entries_nusd = pool->entries_nusd, .spent_nusd = pool->spent_nusd,
        .top_balance_nusd = pool->top_balance_nusd, .expired_nusd = pool->expired_nusd,
    };
    MDB_val key = {sizeof(name), name}, data = {sizeof(row), &row};
    return db_rc(db, mdb_put(txn, db->dbi[DB_POOLS], &key, &data, 0), "write a credit pool");
}

/* Is that an organisation, and there? */
static enum store_rc org_check(struct db *db, MDB_txn *txn, store_id org)
{
    if (!store_id_is_valid(org)) return STORE_NOT_FOUND;
    if (store_id_kind(org) != UNIT_ORGANIZATION) return STORE_NOT_FOUND;
    return rows_exists(db, txn, org);
}

enum store_rc credits_pool(struct db *db, MDB_txn *txn, store_id org, struct pool *pool)
{
    assert(pool);
    memset(pool, 0, sizeof(*pool));
    enum store_rc rc = org_check(db, txn, org);
    if (rc != STORE_OK) return rc;
    rc = pool_get(db, txn, org, pool);
    return rc == STORE_NOT_FOUND ? STORE_OK : rc;
}

enum store_rc credits_mode(struct db *db, MDB_txn *txn, store_id org, bool prepaid)
{
    struct pool pool;
    enum store_rc rc = credits_pool(db, txn, org, &pool);
    if (rc != STORE_OK) return rc;
    pool.prepaid = prepaid;
    db->dirty = true;
    db_touch(db, org);
    return pool_put(db, txn, org, &pool);
}

enum store_rc credits_pools(struct db *db, MDB_txn *txn,
                            bool (*visit)(store_id org, const struct pool *pool, void *arg),
                            void *arg)
{
    assert(visit);
    MDB_cursor *cursor;
    MDB_val key, data;
    int code = mdb_cursor_open(txn, db->dbi[DB_POOLS], &cursor);
    if (code != 0) return db_rc(db, code, "open the credit pools");
    enum store_rc rc = STORE_OK;
    while (rc == STORE_OK && (code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) == 0) {
        struct pool pool;
        bool good = key.mv_size == 8 && credits_parse_pool(data, &pool);
        store_id org = good ? db_from_be64(key.mv_data) : 0;
        if (!store_id_is_valid(org)) rc = damaged(db);
        else if (!visit(org, &pool, arg)) break;
    }
    mdb_cursor_close(cursor);
    if (rc != STORE_OK || code == MDB_NOTFOUND) return rc;
    return db_rc(db, code, "read the credit pools");
}

/* ---- entries */

static void credit_key(uint8_t out[CREDIT_KEY], store_id org, uint64_t serial)
{
    db_be64(out, org);
    db_be64(out + 8, serial);
}

static size_t reference_key(uint8_t out[REFERENCE_KEY_MAX], store_id org, const char *reference,
                            size_t len)
{
    assert(len > 0 && len < CREDIT_REFERENCE_MAX);
    db_be64(out, org);
    memcpy(out + 8, reference, len);
    return 8 + len;
}

bool credits_parse(MDB_val key, MDB_val data, struct credit *c)
{
    struct credit_head head;
    if (key.mv_size != CREDIT_KEY || data.mv_size < sizeof(head)) return false;
    memcpy(&head, data.mv_data, sizeof(head));
    if (head.version != ROW_VERSION || head.kind >= CREDIT_KINDS) return false;
    if (head.reference_len == 0 || head.reference_len >= CREDIT_REFERENCE_MAX) return false;
    if (data.mv_size != sizeof(head) + head.reference_len) return false;
    memset(c, 0, sizeof(*c));
    c->serial = db_from_be64((const uint8_t *)key.mv_data + 8);
    c->made_unix_ns = head.made_unix_ns;
    c->nusd = head.nusd;
    c->kind = head.kind;
    memcpy(c->reference, (const uint8_t *)data.mv_data + sizeof(head), head.reference_len);
    return true;
}

/* The entry that has a reference. */
static enum store_rc credit_find(struct db *db, MDB_txn *txn, store_id org, const char *name,
                                 size_t len, struct credit *c)
{
    uint8_t reference[REFERENCE_KEY_MAX], entry[CREDIT_KEY];
    MDB_val key = {reference_key(reference, org, name, len), reference}, data;
    int code = mdb_get(txn, db->dbi[DB_REFERENCES], &key, &data);
    if (code != 0) return db_rc(db, code, "look a reference up");
    if (data.mv_size != 8) return damaged(db);
    credit_key(entry, org, db_from_be64(data.mv_data));
    key = (MDB_val){sizeof(entry), entry};
    code = mdb_get(txn, db->dbi[DB_CREDITS], &key, &data);
    if (code == MDB_NOTFOUND) return damaged(db);
    if (code != 0) return db_rc(db, code, "read a credit");
    return credits_parse(key, data, c) ? STORE_OK : damaged(db);
}

static enum store_rc credit_put(struct db *db, MDB_txn *txn, store_id org,
                                const struct credit *c, size_t len)
{
    uint8_t entry[CREDIT_KEY], reference[REFERENCE_KEY_MAX], serial[8];
    struct { struct credit_head head; char reference[CREDIT_REFERENCE_MAX]; } row = {
        .head = {.version = ROW_VERSION, .kind = c->kind, .reference_len = (uint8_t)len,
                 .made_unix_ns = c->made_unix_ns, .nusd = c->nusd},
    };
    memcpy(row.reference, c->reference, len);
    credit_key(entry, org, c->serial);
    MDB_val key = {sizeof(entry), entry}, data = {sizeof(row.head) + len, &row};
    int code = mdb_put(txn, db->dbi[DB_CREDITS], &key, &data, MDB_NOOVERWRITE);
    if (code == MDB_KEYEXIST) return damaged(db);
    if (code != 0) return db_rc(db, code, "write a credit");
    db_be64(serial, c->serial);
    key = (MDB_val){reference_key(reference, org, c->reference, len), reference};
    data = (MDB_val){sizeof(serial), serial};
    code = mdb_put(txn, db->dbi[DB_REFERENCES], &key, &data, MDB_NOOVERWRITE);
    return code == MDB_KEYEXIST ? damaged(db) : db_rc(db, code, "write a reference");
}

/* May that be entered? */
static bool credit_is_good(const struct credit *c)
{
    if (c->kind >= CREDIT_KINDS || c->nusd == 0) return false;
    if (c->nusd > LIMIT_NUSD_MAX || c->nusd < -LIMIT_NUSD_MAX) return false;
    if (c->kind == CREDIT_REFUND) return c->nusd < 0;
    return c->kind == CREDIT_CORRECTION || c->nusd > 0;
}

enum store_rc credits_add(struct db *db, MDB_txn *txn, store_id org, struct credit *c)
{
    assert(c);
    struct pool pool;
    struct credit there;
    size_t len = strnlen(c->reference, sizeof(c->reference));
    enum store_rc rc = credits_pool(db, txn, org, &pool);
    if (rc != STORE_OK) return rc;
    if (len == 0 || len == sizeof(c->reference)) return STORE_REFUSED;
    rc = credit_find(db, txn, org, c->reference, len, &there);
    if (rc == STORE_OK) *c = there;
    if (rc != STORE_NOT_FOUND) return rc == STORE_OK ? STORE_CONFLICT : rc;
    int64_t entries = sum_of(pool.entries_nusd, c->nusd);
    if (!credit_is_good(c)) return STORE_REFUSED;
    if (entries > LIMIT_NUSD_MAX || entries < -LIMIT_NUSD_MAX) return STORE_REFUSED;
    pool.entries_nusd = entries;
    if (c->kind == CREDIT_TOP_UP) pool.top_balance_nusd = sum_of(entries, -pool.spent_nusd);
    c->serial = ++pool.serial;
    db->dirty = true;
    db_touch(db, org);
    rc = credit_put(db, txn, org, c, len);
    return rc == STORE_OK ? pool_put(db, txn, org, &pool) : rc;
}

/* Point a cursor at an organisation's newest entry below a serial. */
static int credit_below(MDB_cursor *cursor, store_id org, uint64_t serial, MDB_val *key,
                        MDB_val *data)
{
    uint8_t name[CREDIT_KEY];
    credit_key(name, org, serial);
    *key = (MDB_val){sizeof(name), name};
    int code = mdb_cursor_get(cursor, key, data, MDB_SET_RANGE);
    code = mdb_cursor_get(cursor, key, data, code == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
    bool is_of = code == 0 && key->mv_size == sizeof(name) && db_from_be64(key->mv_data) == org;
    return code == 0 && !is_of ? MDB_NOTFOUND : code;
}

enum store_rc credits_each(struct db *db, MDB_txn *txn, store_id org, uint64_t before,
                           bool (*visit)(const struct credit *c, void *arg), void *arg)
{
    assert(visit);
    enum store_rc rc = org_check(db, txn, org);
    if (rc != STORE_OK) return rc;
    for (uint64_t below = before ? before : UINT64_MAX;;) {
        MDB_cursor *cursor;
        MDB_val key, data;
        struct credit c;
        int code = mdb_cursor_open(txn, db->dbi[DB_CREDITS], &cursor);
        if (code != 0) return db_rc(db, code, "open the credits");
        code = credit_below(cursor, org, below, &key, &data);
        bool good = code != 0 || credits_parse(key, data, &c);
        mdb_cursor_close(cursor);
        if (code == MDB_NOTFOUND) return STORE_OK;
        if (code != 0) return db_rc(db, code, "read the credits");
        if (!good) return damaged(db);
        if (!visit(&c, arg)) return STORE_OK;
        below = c.serial;
    }
}

/* Delete all of a table whose key begins with the organisation. */
static enum store_rc entries_drop(struct db *db, MDB_txn *txn, enum db_table table,
                                  store_id org)
{
    MDB_cursor *cursor;
    uint8_t name[8];
    db_be64(name, org);
    int code = mdb_cursor_open(txn, db->dbi[table], &cursor);
    if (code != 0) return db_rc(db, code, "open the credits");
    for (;;) {
        MDB_val key = {sizeof(name), name}, data;
        code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
        if (code != 0) break;
        if (key.mv_size < sizeof(name) || db_from_be64(key.mv_data) != org) break;
        code = mdb_cursor_del(cursor, 0);
        if (code != 0) break;
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? STORE_OK : db_rc(db, code, "delete credits");
}

enum store_rc credits_drop(struct db *db, MDB_txn *txn, store_id org)
{
    static const enum db_table tables[] = {DB_POOLS, DB_CREDITS, DB_REFERENCES};
    enum store_rc rc = STORE_OK;
    db->dirty = true;
    db_touch(db, org);
    for (size_t i = 0; rc == STORE_OK && i < sizeof(tables) / sizeof(*tables); i++) {
        rc = entries_drop(db, txn, tables[i], org);
    }
    return rc;
}

/* ---- what rows cost */

static int by_org(const void *left, const void *right)
{
    const struct credit_cost *a = left, *b = right;
    return (a->org > b->org) - (a->org < b->org);
}

enum store_rc credits_spend(struct db *db, MDB_txn *txn, struct credit_cost *cost, size_t count)
{
    assert(cost || count == 0);
    enum store_rc rc = STORE_OK;
    if (count > 1) qsort(cost, count, sizeof(*cost), by_org);
    for (size_t first = 0, end; rc == STORE_OK && first < count; first = end) {
        store_id org = cost[first].org;
        int64_t nusd = 0;
        for (end = first; end < count && cost[end].org == org; end++) {
            nusd = sum_of(nusd, cost[end].nusd);
        }
        struct pool pool;
        rc = credits_pool(db, txn, org, &pool);
        if (rc == STORE_NOT_FOUND) {
            rc = STORE_OK;      /* deleted meanwhile, its pool with it */
        } else if (rc == STORE_OK) {
            pool.spent_nusd = sum_of(pool.spent_nusd, nusd);
            rc = pool_put(db, txn, org, &pool);
        }
    }
    return rc;
}

enum store_rc credits_expire(struct db *db, MDB_txn *txn, store_id org, int64_t nusd)
{
    struct pool pool;
    enum store_rc rc = pool_get(db, txn, org, &pool);
    if (rc == STORE_NOT_FOUND) return STORE_OK;
    if (rc != STORE_OK) return rc;
    pool.expired_nusd = sum_of(pool.expired_nusd, nusd);
    return pool_put(db, txn, org, &pool);
}
