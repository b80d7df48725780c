/* limits.c - budgets as they are set, and the calendar of their windows.
 *   DB_LIMITS  unit or key -> version, amounts by window; no row where none is set
 * A window is known by the hour it begins with. Months are found from the number of the day
 * alone: counted from 1 March 1600 a leap day is the last of its year, of four years, of four
 * centuries, so that divisions find year and month. No time zone, no table, no libc.
 * Rule: what is read is checked as if somebody else had written it. */
#include "store/limits.h"

#include "store/rows.h"

#include <string.h>

enum {
    ROW_VERSION = 1,
    HOURS_PER_DAY = 24,
    DAYS_FROM_1600 = 135080,    /* 1 March 1600 to 1 January 1970 */
    DAYS_400 = 146097, DAYS_100 = 36524, DAYS_4 = 1461, DAYS_1 = 365,
    THURSDAY = 3,               /* 1 January 1970 was one; Monday is 0 */
};

struct limits_row {             /* little-endian */
    uint8_t version, spare[7];
    int64_t nusd[WINDOWS];
};
static_assert(sizeof(struct limits_row) == 8 + 8 * WINDOWS, "limits layout");

/* ---- windows */

const char *window_name(enum window w)
{
    static const char *const names[WINDOWS] = {"hour", "day", "week", "month", "total"};
    assert(w < WINDOWS);
    return names[w];
}

/* The first day of a day's month, both since 1970. */
static uint64_t month_first(uint64_t day)
{
    uint64_t left = (day + DAYS_FROM_1600) % DAYS_400;
    uint64_t centuries = left / DAYS_100 < 4 ? left / DAYS_100 : 3;
    left -= centuries * DAYS_100;
    left %= DAYS_4;
    uint64_t years = left / DAYS_1 < 4 ? left / DAYS_1 : 3;
    left -= years * DAYS_1;     /* day of the year that began in March */
    /* From March on, months last 31 30 31 30 31 days, twice, and what is left of a third. */
    uint64_t month = (5 * left + 2) / 153;
    assert(month < 12);
    return day - (left - (153 * month + 2) / 5);
}

static uint32_t hour_of(uint64_t day)
{
    uint64_t hour = day * HOURS_PER_DAY;
    return hour < UINT32_MAX ? (uint32_t)hour : UINT32_MAX;
}

uint32_t window_first_hour(enum window w, uint32_t hour)
{
    uint32_t day = hour / HOURS_PER_DAY, weekday = (day + THURSDAY) % 7;
    switch (w) {
    case WINDOW_HOUR: return hour;
    case WINDOW_DAY: return hour_of(day);
    case WINDOW_WEEK: return weekday < day ? hour_of(day - weekday) : 0;
    case WINDOW_MONTH: return hour_of(month_first(day));
    case WINDOW_TOTAL: case WINDOWS: break;
    }
    assert(w == WINDOW_TOTAL);
    return 0;
}

uint32_t window_next_hour(enum window w, uint32_t hour)
{
    uint32_t day = hour / HOURS_PER_DAY, weekday = (day + THURSDAY) % 7;
    switch (w) {
    case WINDOW_HOUR: return hour < UINT32_MAX ? hour + 1 : UINT32_MAX;
    case WINDOW_DAY: return hour_of((uint64_t)day + 1);
    case WINDOW_WEEK: return hour_of((uint64_t)day + 7 - weekday);
    /* No month is longer than 31 days, none shorter than 4. */
    case WINDOW_MONTH: return hour_of(month_first(month_first(day) + 31));
    case WINDOW_TOTAL: case WINDOWS: break;
    }
    assert(w == WINDOW_TOTAL);
    return UINT32_MAX;
}

/* ---- amounts */

static enum store_rc damaged(struct db *db)
{
    return db_damaged(db, "a budget");
}

bool limits_parse(MDB_val data, struct limits *limits)
{
    struct limits_row row;
    bool is_set = false;
    if (data.mv_size != sizeof(row)) return false;
    memcpy(&row, data.mv_data, sizeof(row));
    if (row.version != ROW_VERSION) return false;
    for (int w = 0; w < WINDOWS; w++) {
        if (row.nusd[w] < LIMIT_NONE || row.nusd[w] > LIMIT_NUSD_MAX) return false;
        is_set |= row.nusd[w] != LIMIT_NONE;
        limits->nusd[w] = row.nusd[w];
    }
    return is_set;
}

enum store_rc limits_get(struct db *db, MDB_txn *txn, store_id target, struct limits *limits)
{
    assert(limits);
    uint8_t name[8];
    db_be64(name, target);
    for (int w = 0; w < WINDOWS; w++) limits->nusd[w] = LIMIT_NONE;
    MDB_val key = {sizeof(name), name}, data;
    int code = mdb_get(txn, db->dbi[DB_LIMITS], &key, &data);
    if (code != 0) return db_rc(db, code, "read a budget");
    return limits_parse(data, limits) ? STORE_OK : damaged(db);
}

enum store_rc limits_drop(struct db *db, MDB_txn *txn, store_id target)
{
    uint8_t name[8];
    db_be64(name, target);
    MDB_val key = {sizeof(name), name};
    int code = mdb_del(txn, db->dbi[DB_LIMITS], &key, NULL);
    if (code == MDB_NOTFOUND) return STORE_OK;
    db->dirty = true;
    db_touch(db, target);
    return db_rc(db, code, "delete a budget");
}

enum store_rc limits_put(struct db *db, MDB_txn *txn, store_id target,
                         const struct limits *limits)
{
    assert(limits);
    struct limits_row row = {.version = ROW_VERSION};
    bool is_set = false;
    enum store_rc rc = rows_exists(db, txn, target);
    if (rc != STORE_OK) return rc;
    for (int w = 0; w < WINDOWS; w++) {
        int64_t nusd = limits->nusd[w];
        if (nusd != LIMIT_NONE && (nusd < 0 || nusd > LIMIT_NUSD_MAX)) return STORE_REFUSED;
        is_set |= nusd != LIMIT_NONE;
        row.nusd[w] = nusd;
    }
    if (!is_set) return limits_drop(db, txn, target);
    uint8_t name[8];
    db_be64(name, target);
    MDB_val key = {sizeof(name), name}, data = {sizeof(row), &row};
    db->dirty = true;
    db_touch(db, target);
    return db_rc(db, mdb_put(txn, db->dbi[DB_LIMITS], &key, &data, 0), "write a budget");
}

enum store_rc limits_each(struct db *db, MDB_txn *txn,
                          bool (*visit)(store_id target, const struct limits *limits,
                                        void *arg), void *arg)
{
    assert(visit);
    MDB_cursor *cursor;
    MDB_val key, data;
    int code = mdb_cursor_open(txn, db->dbi[DB_LIMITS], &cursor);
    if (code != 0) return db_rc(db, code, "open the budgets");
    enum store_rc rc = STORE_OK;
    while (rc == STORE_OK && (code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) == 0) {
        struct limits limits;
        bool good = key.mv_size == 8 && limits_parse(data, &limits);
        store_id target = good ? db_from_be64(key.mv_data) : 0;
        if (!store_id_is_valid(target)) rc = damaged(db);
        else if (!visit(target, &limits, arg)) break;
    }
    mdb_cursor_close(cursor);
    if (rc != STORE_OK || code == MDB_NOTFOUND) return rc;
    return db_rc(db, code, "read the budgets");
}
