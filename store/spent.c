/* spent.c - a meter for each unit and key.
 *
 *   DB_SPENT     target          -> struct spent_head: newest hour, meter now and before it
 *   DB_READINGS  (target, hour)  -> the meter at the end of that hour, 8 bytes
 *
 *   readings   ... h-7: 40   h-3: 55   h-1: 90 | head: hour h, before 90, now 112
 *   the cost of hours h-3..h-1 is 90 - 40
 *
 * Traffic writes heads alone, which lie close together: the pages of a group commit grow with
 * the number of targets, not of their hours. When a target's first cost of a new hour comes,
 * its head becomes a reading. A cost of an earlier hour (a long stream, a journal found late)
 * raises the readings from there on, of which there are as many as hours since.
 * The rule: a reading is the sum of all costs of its hour and those before, whatever came in
 * which order; and before is the newest reading. */
#include "store/spent.h"

#include "store/rows.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD_VERSION = 1, READING_KEY = 12 };

static void be32(uint8_t out[4], uint32_t v)
{
    for (int i = 3; i >= 0; i--, v >>= 8) out[i] = (uint8_t)v;
}

static void reading_key(uint8_t out[READING_KEY], store_id target, uint32_t hour)
{
    db_be64(out, target);
    be32(out + 8, hour);
}

static bool is_of(MDB_val key, store_id target)
{
    return key.mv_size == READING_KEY && db_from_be64(key.mv_data) == target;
}

static uint32_t hour_of(MDB_val key)
{
    const uint8_t *at = (const uint8_t *)key.mv_data + 8;
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static enum store_rc damaged(struct db *db)
{
    return db_damaged(db, "a unit's or key's spending");
}

bool spent_head_read(struct spent_head *h, const void *data, size_t len)
{
    assert(h);
    if (len != sizeof(*h)) return false;
    memcpy(h, data, sizeof(*h));
    return h->version == HEAD_VERSION && h->full <= 1;
}

/* ---- reading */

static enum store_rc head_get(struct db *db, MDB_txn *txn, store_id target,
                              struct spent_head *h)
{
    uint8_t name[8];
    db_be64(name, target);
    MDB_val key = {sizeof(name), name}, data;
    int code = mdb_get(txn, db->dbi[DB_SPENT], &key, &data);
    if (code != 0) return db_rc(db, code, "read what was spent");
    return spent_head_read(h, data.mv_data, data.mv_size) ? STORE_OK : damaged(db);
}

/* The newest reading of an hour before the given one; 0 where there is none. The cursor moves
 * to it, if there is one. */
static enum store_rc reading_before(struct db *db, MDB_cursor *cursor, store_id target,
                                    uint32_t hour, uint64_t *reading)
{
    uint8_t name[READING_KEY];
    reading_key(name, target, hour);
    MDB_val key = {sizeof(name), name}, data;
    *reading = 0;
    int code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    code = mdb_cursor_get(cursor, &key, &data, code == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
    if (code == MDB_NOTFOUND) return STORE_OK;
    if (code != 0) return db_rc(db, code, "read what was spent");
    if (!is_of(key, target)) return STORE_OK;
    if (data.mv_size != sizeof(*reading)) return damaged(db);
    memcpy(reading, data.mv_data, sizeof(*reading));
    return STORE_OK;
}

/* The meter at the end of all hours before the given one. */
static enum store_rc meter_before(struct db *db, MDB_txn *txn, const struct spent_head *h,
                                  store_id target, uint32_t hour, uint64_t *reading)
{
    *reading = h->total;
    if (hour > h->hour) return STORE_OK;
    *reading = h->before;
    if (hour == h->hour) return STORE_OK;
    *reading = 0;
    if (hour == 0) return STORE_OK;
    MDB_cursor *cursor;
    int code = mdb_cursor_open(txn, db->dbi[DB_READINGS], &cursor);
    if (code != 0) return db_rc(db, code, "read what was spent");
    enum store_rc rc = reading_before(db, cursor, target, hour, reading);
    mdb_cursor_close(cursor);
    return rc;
}

/* A difference of readings. Costs are not negative, so that one above int64 is just that. */
static int64_t nusd_of(uint64_t difference)
{
    return difference <= INT64_MAX ? (int64_t)difference : INT64_MAX;
}

enum store_rc spent_between(struct db *db, MDB_txn *txn, store_id target, uint32_t from_hour,
                            uint32_t before_hour, int64_t *nusd)
{
    assert(nusd);
    struct spent_head h;
    uint64_t from = 0, before = 0;
    *nusd = 0;
    if (from_hour >= before_hour) return STORE_OK;
    enum store_rc rc = head_get(db, txn, target, &h);
    if (rc == STORE_NOT_FOUND) return STORE_OK;
    if (rc == STORE_OK) rc = meter_before(db, txn, &h, target, from_hour, &from);
    if (rc == STORE_OK) rc = meter_before(db, txn, &h, target, before_hour, &before);
    if (rc == STORE_OK) *nusd = nusd_of(before - from);
    return rc;
}

enum store_rc spent_total(struct db *db, MDB_txn *txn, store_id target, int64_t *nusd)
{
    assert(nusd);
    struct spent_head h;
    *nusd = 0;
    enum store_rc rc = head_get(db, txn, target, &h);
    if (rc == STORE_OK) *nusd = h.full ? INT64_MAX : nusd_of(h.total);
    return rc == STORE_NOT_FOUND ? STORE_OK : rc;
}

/* ---- adding */

struct adder {
    struct db *db;
    MDB_cursor *heads, *readings;
};

static enum store_rc reading_put(struct adder *a, store_id target, uint32_t hour,
                                 uint64_t reading)
{
    uint8_t name[READING_KEY];
    reading_key(name, target, hour);
    MDB_val key = {sizeof(name), name}, data = {sizeof(reading), &reading};
    return db_rc(a->db, mdb_cursor_put(a->readings, &key, &data, 0), "write what was spent");
}

/* Add to the readings of an hour and those behind it; the hour's is made where it is not. */
static enum store_rc readings_raise(struct adder *a, const struct spent_cost *c)
{
    uint8_t name[READING_KEY];
    uint64_t reading;
    reading_key(name, c->target, c->hour);
    MDB_val key = {sizeof(name), name}, data;
    int code = mdb_cursor_get(a->readings, &key, &data, MDB_SET_KEY);
    if (code == MDB_NOTFOUND) {
        enum store_rc rc = reading_before(a->db, a->readings, c->target, c->hour, &reading);
        if (rc == STORE_OK) rc = reading_put(a, c->target, c->hour, reading);
        if (rc != STORE_OK) return rc;
        code = mdb_cursor_get(a->readings, &key, &data, MDB_SET_KEY);
    }
    while (code == 0 && is_of(key, c->target)) {
        if (data.mv_size != sizeof(reading)) return damaged(a->db);
        memcpy(&reading, data.mv_data, sizeof(reading));
        reading += (uint64_t)c->nusd;
        data = (MDB_val){sizeof(reading), &reading};
        code = mdb_cursor_put(a->readings, &key, &data, MDB_CURRENT);
        if (code == 0) code = mdb_cursor_get(a->readings, &key, &data, MDB_NEXT);
    }
    if (code == MDB_NOTFOUND) return STORE_OK;
    return db_rc(a->db, code, "write what was spent");
}

/* Add a cost to a head that was read, or is new. */
static enum store_rc head_add(struct adder *a, struct spent_head *h, const struct spent_cost *c)
{
    enum store_rc rc = STORE_OK;
    int64_t sum;
    if (c->hour > h->hour) {
        if (h->hour > 0 || h->total > 0) rc = reading_put(a, c->target, h->hour, h->total);
        h->hour = c->hour;
        h->before = h->total;
    } else if (c->hour < h->hour) {
        rc = readings_raise(a, c);
        h->before += (uint64_t)c->nusd;
    }
    h->full |= h->total > INT64_MAX ||
               __builtin_add_overflow((int64_t)h->total, c->nusd, &sum);
    h->total += (uint64_t)c->nusd;
    return rc;
}

/* Costs of one target, sorted by hour. */
static enum store_rc target_add(struct adder *a, const struct spent_cost *c, size_t count)
{
    uint8_t name[8];
    struct spent_head h = {.version = HEAD_VERSION};
    db_be64(name, c->target);
    MDB_val key = {sizeof(name), name}, data;
    int code = mdb_cursor_get(a->heads, &key, &data, MDB_SET_KEY);
    bool is_new = code == MDB_NOTFOUND;
    if (code != 0 && !is_new) return db_rc(a->db, code, "read what was spent");
    if (!is_new && !spent_head_read(&h, data.mv_data, data.mv_size)) return damaged(a->db);
    enum store_rc rc = STORE_OK;
    for (size_t i = 0; rc == STORE_OK && i < count; i++) rc = head_add(a, &h, &c[i]);
    if (rc != STORE_OK) return rc;
    key = (MDB_val){sizeof(name), name};
    data = (MDB_val){sizeof(h), &h};
    code = mdb_cursor_put(a->heads, &key, &data, is_new ? 0 : MDB_CURRENT);
    return db_rc(a->db, code, "write what was spent");
}

static int by_target(const void *left, const void *right)
{
    const struct spent_cost *a = left, *b = right;
    if (a->target != b->target) return a->target < b->target ? -1 : 1;
    return (a->hour > b->hour) - (a->hour < b->hour);
}

enum store_rc spent_add(struct db *db, MDB_txn *txn, struct spent_cost *cost, size_t count)
{
    assert(cost || count == 0);
    if (count == 0) return STORE_OK;
    struct adder a = {.db = db};
    int code = mdb_cursor_open(txn, db->dbi[DB_SPENT], &a.heads);
    if (code == 0) code = mdb_cursor_open(txn, db->dbi[DB_READINGS], &a.readings);
    enum store_rc rc = db_rc(db, code, "open what was spent");
    qsort(cost, count, sizeof(*cost), by_target);
    for (size_t first = 0, end; rc == STORE_OK && first < count; first = end) {
        for (end = first + 1; end < count; end++) {
            if (cost[end].target != cost[first].target) break;
        }
        rc = target_add(&a, cost + first, end - first);
    }
    if (a.heads) mdb_cursor_close(a.heads);
    if (a.readings) mdb_cursor_close(a.readings);
    return rc;
}

/* ---- retention */

/* Readings of a target that are not needed: those of hours before `before` but the last, or
 * all. */
static enum store_rc readings_drop(struct db *db, MDB_cursor *cursor, store_id target,
                                   uint32_t before, bool all, size_t max, uint64_t *gone)
{
    uint8_t name[READING_KEY];
    MDB_val key, data;
    reading_key(name, target, 0);
    for (;;) {
        key = (MDB_val){sizeof(name), name};
        int code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
        if (code == MDB_NOTFOUND || (code == 0 && !is_of(key, target))) return STORE_OK;
        if (code == 0 && !all) {
            if (hour_of(key) >= before) return STORE_OK;
            code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
            bool is_last = code == MDB_NOTFOUND ||
                           (code == 0 && (!is_of(key, target) || hour_of(key) >= before));
            if (is_last) return STORE_OK;
            if (code == 0) code = mdb_cursor_get(cursor, &key, &data, MDB_PREV);
        }
        if (code == 0 && *gone >= max) return STORE_OK;
        if (code == 0) code = mdb_cursor_del(cursor, 0);
        if (code != 0) return db_rc(db, code, "delete what was spent");
        ++*gone;
    }
}

/* One target. *kept: its head stays. */
static enum store_rc target_expire(struct db *db, MDB_txn *txn, MDB_cursor *readings,
                                   store_id target, const struct spent_head *h,
                                   uint32_t before, size_t max, uint64_t *gone, bool *kept)
{
    enum store_rc rc = h->hour < before ? rows_exists(db, txn, target) : STORE_OK;
    if (rc != STORE_OK && rc != STORE_NOT_FOUND) return rc;
    bool all = rc == STORE_NOT_FOUND;
    rc = readings_drop(db, readings, target, before, all, max, gone);
    *kept = !all || *gone >= max;
    return rc;
}

enum store_rc spent_expire(struct db *db, MDB_txn *txn, uint32_t before_hour, size_t looks,
                           size_t max, uint64_t *deleted)
{
    assert(deleted);
    MDB_cursor *heads = NULL, *readings = NULL;
    MDB_val key, data;
    uint64_t gone = 0;
    int code = mdb_cursor_open(txn, db->dbi[DB_SPENT], &heads);
    if (code == 0) code = mdb_cursor_open(txn, db->dbi[DB_READINGS], &readings);
    enum store_rc rc = db_rc(db, code, "open what was spent");
    for (size_t i = 0; rc == STORE_OK && i < looks && gone < max; i++) {
        uint8_t name[8];
        struct spent_head h;
        bool kept;
        db_be64(name, db->swept + 1);
        key = (MDB_val){sizeof(name), name};
        code = mdb_cursor_get(heads, &key, &data, MDB_SET_RANGE);
        if (code == MDB_NOTFOUND) {
            db->swept = 0;      /* around */
            break;
        }
        if (code != 0) rc = db_rc(db, code, "read what was spent");
        else if (key.mv_size != sizeof(name)) rc = damaged(db);
        else if (!spent_head_read(&h, data.mv_data, data.mv_size)) rc = damaged(db);
        if (rc != STORE_OK) break;
        store_id target = db_from_be64(key.mv_data);
        rc = target_expire(db, txn, readings, target, &h, before_hour, max, &gone, &kept);
        if (rc == STORE_OK && !kept) {
            rc = db_rc(db, mdb_cursor_del(heads, 0), "delete what was spent");
            gone++;
        }
        if (rc == STORE_OK) db->swept = target;
    }
    if (heads) mdb_cursor_close(heads);
    if (readings) mdb_cursor_close(readings);
    *deleted += gone;
    return rc;
}
