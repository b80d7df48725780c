/* check_spent.c - aggregates against meters, pools against their entries and rows.
 * What an hour cost all targets is compared as one number: each target's cost times a factor
 * that only this run knows, added up without end (modulo 2^64) from aggregates and from
 * differences of readings. Two sides that are not the same in every target agree by a chance of
 * 2^-60; where they do not agree, the hour is read again target by target.
 * The rule: the total of a meter is its oldest reading and the costs of the hours behind it, so
 * that it stays provable when those before are gone. */
#include "store/check_part.h"

#include "store/credits.h"
#include "store/ledger.h"
#include "store/rows.h"
#include "store/spent.h"
#include "store/tally.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { READING_KEY = 12 };

struct meters {
    uint64_t seed;
    struct check_sums rows, meters;     /* by hour: what aggregates, what meters say */
    MDB_cursor *readings;
    bool readings_end;
    store_id target;            /* where the readings' cursor stands, if not at the end */
    uint32_t hour;
    uint64_t reading;
};

/* An odd factor for each target, known to nobody. */
static uint64_t factor_of(const struct meters *m, store_id target)
{
    uint64_t x = (target ^ m->seed) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return (x ^ x >> 32) | 1;
}

/* ---- what aggregates say */

/* Visit the path and cost of an aggregate from hours_kept on. */
static enum store_rc hour_cost(struct check *c, MDB_val key, MDB_val data,
                               struct ledger_hour *h, int64_t *cost)
{
    struct tally t = {.requests = 0};
    *cost = 0;
    if (!ledger_hour_parse(key.mv_data, key.mv_size, h)) return STORE_OK;   /* told before */
    enum store_rc rc = tally_read(&t, data.mv_data, data.mv_size);
    if (rc == STORE_OK && h->hour >= c->hours_kept) *cost = t.cost_nusd;
    tally_fini(&t);
    return rc == STORE_FULL ? check_no_memory(c) : STORE_OK;
}

static enum store_rc aggregate_visit(struct check *c, MDB_val key, MDB_val data, void *arg)
{
    struct meters *m = arg;
    struct ledger_hour h;
    int64_t cost;
    enum store_rc rc = hour_cost(c, key, data, &h, &cost);
    for (int k = 0; rc == STORE_OK && cost != 0 && k < UNIT_KINDS; k++) {
        if (!h.path[k]) continue;
        uint64_t part = factor_of(m, h.path[k]) * (uint64_t)cost;
        if (!check_sums_add(&m->rows, h.hour, part)) rc = check_no_memory(c);
    }
    return rc;
}

/* ---- what meters say */

/* Step to the next reading. */
static enum store_rc reading_next(struct check *c, struct meters *m)
{
    MDB_val key, data;
    for (;;) {
        int code = mdb_cursor_get(m->readings, &key, &data, MDB_NEXT);
        m->readings_end = code == MDB_NOTFOUND;
        if (m->readings_end) return STORE_OK;
        if (code != 0) return db_rc(c->db, code, "read the meters");
        if (key.mv_size == READING_KEY && data.mv_size == sizeof(m->reading)) break;
        check_say(c, "meters: expected a reading of 8 bytes for a target and hour, found one "
                  "of %zu under %zu", data.mv_size, key.mv_size);
    }
    const uint8_t *at = (const uint8_t *)key.mv_data + 8;
    m->target = db_from_be64(key.mv_data);
    m->hour = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    memcpy(&m->reading, data.mv_data, sizeof(m->reading));
    return STORE_OK;
}

/* A target cost so much in an hour, by its meter. */
static enum store_rc step_take(struct check *c, struct meters *m, store_id target,
                               uint32_t hour, uint64_t cost)
{
    char id[CHECK_WHERE_MAX], where[CHECK_WHERE_MAX];
    if (cost > INT64_MAX) {
        check_say(c, "meter of %s, %s: expected a reading not below the one before, found one "
                  "%" PRIu64 " below", check_id(target, id), check_hour(hour, where), -cost);
    }
    if (hour < c->hours_kept || cost == 0) return STORE_OK;
    bool ok = check_sums_add(&m->meters, hour, factor_of(m, target) * cost);
    return ok ? STORE_OK : check_no_memory(c);
}

static enum store_rc head_visit(struct check *c, MDB_val key, MDB_val data, void *arg)
{
    struct meters *m = arg;
    struct spent_head h;
    char id[CHECK_WHERE_MAX], where[CHECK_WHERE_MAX];
    store_id target = key.mv_size == 8 ? db_from_be64(key.mv_data) : 0;
    bool good = store_id_is_valid(target) && spent_head_read(&h, data.mv_data, data.mv_size);
    if (!good) {
        check_say(c, "meter of %s: expected its state, found what is none",
                  check_id(target, id));
        return STORE_OK;
    }
    uint64_t before = 0, cost;
    enum store_rc rc = STORE_OK;
    for (; rc == STORE_OK && !m->readings_end && m->target < target; rc = reading_next(c, m)) {
        check_say(c, "meter of %s, %s: expected its state too, found a reading alone",
                  check_id(m->target, id), check_hour(m->hour, where));
    }
    for (; rc == STORE_OK && !m->readings_end && m->target == target; rc = reading_next(c, m)) {
        if (m->hour >= h.hour) {
            check_say(c, "meter of %s: expected readings before its newest hour alone, found "
                      "%s", check_id(target, id), check_hour(m->hour, where));
        }
        cost = m->reading - before;
        before = m->reading;
        rc = step_take(c, m, target, m->hour, cost);
        if (rc != STORE_OK) return rc;
    }
    if (rc != STORE_OK) return rc;
    if (h.before != before) {
        check_say(c, "meter of %s, before %s: expected its newest reading %" PRIu64 ", found %"
                  PRIu64, check_id(target, id), check_hour(h.hour, where), before, h.before);
    }
    if (h.total > INT64_MAX && !h.full) {
        check_say(c, "meter of %s: expected a total that fits, or that it does not, found %"
                  PRIu64, check_id(target, id), h.total);
    }
    return step_take(c, m, target, h.hour, h.total - h.before);
}

static enum store_rc meters_take(struct check *c, struct meters *m)
{
    int code = mdb_cursor_open(c->txn, c->db->dbi[DB_READINGS], &m->readings);
    if (code != 0) return db_rc(c->db, code, "open the meters");
    enum store_rc rc = reading_next(c, m);
    if (rc == STORE_OK) rc = check_table(c, DB_SPENT, head_visit, m);
    char id[CHECK_WHERE_MAX], where[CHECK_WHERE_MAX];
    for (; rc == STORE_OK && !m->readings_end; rc = reading_next(c, m)) {
        check_say(c, "meter of %s, %s: expected its state too, found a reading alone",
                  check_id(m->target, id), check_hour(m->hour, where));
    }
    mdb_cursor_close(m->readings);
    return rc;
}

/* ---- an hour in which they differ */

struct hour_look {
    uint64_t hour;
    struct check_sums costs;    /* by target, of aggregates */
    uint64_t told;
};

static enum store_rc look_visit(struct check *c, MDB_val key, MDB_val data, void *arg)
{
    struct hour_look *l = arg;
    struct ledger_hour h;
    int64_t cost;
    enum store_rc rc = hour_cost(c, key, data, &h, &cost);
    for (int k = 0; rc == STORE_OK && cost != 0 && h.hour == l->hour && k < UNIT_KINDS; k++) {
        if (!h.path[k]) continue;
        if (!check_sums_add(&l->costs, h.path[k], (uint64_t)cost)) rc = check_no_memory(c);
    }
    return rc;
}

static enum store_rc target_look(struct check *c, struct hour_look *l, store_id target,
                                 int64_t cost)
{
    int64_t nusd;
    char id[CHECK_WHERE_MAX], where[CHECK_WHERE_MAX];
    uint32_t hour = (uint32_t)l->hour;
    enum store_rc rc = spent_between(c->db, c->txn, target, hour, hour + 1, &nusd);
    if (rc != STORE_OK || nusd == cost) return rc == STORE_NOT_FOUND ? STORE_OK : rc;
    l->told++;
    check_say(c, "meter of %s, %s: expected %" PRId64 " nano-dollars as in the aggregates, "
              "found %" PRId64, check_id(target, id), check_hour(l->hour, where), cost, nusd);
    return STORE_OK;
}

static enum store_rc meter_visit(struct check *c, MDB_val key, MDB_val data, void *arg)
{
    struct hour_look *l = arg;
    struct spent_head h;
    if (key.mv_size != 8 || !spent_head_read(&h, data.mv_data, data.mv_size)) return STORE_OK;
    store_id target = db_from_be64(key.mv_data);
    if (check_sums_at(&l->costs, target)) return STORE_OK;
    return target_look(c, l, target, 0);
}

static enum store_rc hour_look(struct check *c, uint64_t hour)
{
    struct hour_look l = {.hour = hour};
    char where[CHECK_WHERE_MAX];
    enum store_rc rc = check_table(c, DB_HOURS, look_visit, &l);
    for (size_t i = 0; rc == STORE_OK && i < l.costs.size; i++) {
        const struct check_sum *at = &l.costs.slot[i];
        if (at->count > 0) rc = target_look(c, &l, at->key, (int64_t)at->sum);
    }
    if (rc == STORE_OK) rc = check_table(c, DB_SPENT, meter_visit, &l);
    check_sums_fini(&l.costs);
    if (rc == STORE_OK && l.told == 0) {
        check_say(c, "meters, %s: expected what the aggregates cost, found another sum",
                  check_hour(hour, where));
    }
    return rc;
}

static enum store_rc meters_compare(struct check *c, const struct meters *m)
{
    enum store_rc rc = STORE_OK;
    for (size_t i = 0; rc == STORE_OK && i < m->rows.size; i++) {
        const struct check_sum *at = &m->rows.slot[i];
        if (at->count == 0) continue;
        const struct check_sum *other = check_sums_at(&m->meters, at->key);
        if ((other ? other->sum : 0) != at->sum) rc = hour_look(c, at->key);
    }
    for (size_t i = 0; rc == STORE_OK && i < m->meters.size; i++) {
        const struct check_sum *at = &m->meters.slot[i];
        if (at->count > 0 && !check_sums_at(&m->rows, at->key)) rc = hour_look(c, at->key);
    }
    return rc;
}

static enum store_rc meters_check(struct check *c)
{
    struct meters m = {.seed = 0};
    ssize_t n = getrandom(&m.seed, sizeof(m.seed), 0);
    if (n != (ssize_t)sizeof(m.seed)) return db_rc(c->db, EIO, "draw a number");
    enum store_rc rc = check_table(c, DB_HOURS, aggregate_visit, &m);
    if (rc == STORE_OK) rc = meters_take(c, &m);
    if (rc == STORE_OK) rc = meters_compare(c, &m);
    check_sums_fini(&m.rows);
    check_sums_fini(&m.meters);
    return rc;
}

/* ---- pools */

struct entries {
    store_id org;               /* 0: none yet */
    uint64_t serial, count;     /* newest of the organisation; all entries */
    struct check_sums sums;     /* by organisation: amounts */
    struct check_sums serials;  /* ... steps between serials, so the newest */
};

static enum store_rc reference_check(struct check *c, store_id org, const struct credit *e)
{
    uint8_t name[8 + CREDIT_REFERENCE_MAX];
    char id[CHECK_WHERE_MAX];
    size_t len = strlen(e->reference);
    db_be64(name, org);
    memcpy(name + 8, e->reference, len);
    MDB_val key = {8 + len, name}, data = {0, NULL};
    int code = mdb_get(c->txn, c->db->dbi[DB_REFERENCES], &key, &data);
    if (code != 0 && code != MDB_NOTFOUND) return db_rc(c->db, code, "read the references");
    bool good = code == 0 && data.mv_size == 8 && db_from_be64(data.mv_data) == e->serial;
    if (!good) {
        check_say(c, "credits of %s: entry %" PRIu64 ": expected its reference to lead to it "
                  "alone, found that it leads to %s", check_id(org, id), e->serial,
                  code ? "none" : "another");
    }
    return STORE_OK;
}

static enum store_rc credit_visit(struct check *c, MDB_val key, MDB_val data, void *arg)
{
    struct entries *e = arg;
    struct credit credit;
    char id[CHECK_WHERE_MAX];
    store_id org = key.mv_size >= 8 ? db_from_be64(key.mv_data) : 0;
    e->count++;
    if (org != e->org) e->serial = 0;
    e->org = org;
    if (!credits_parse(key, data, &credit)) {
        check_say(c, "credits of %s: expected entry %" PRIu64 ", found what is none",
                  check_id(org, id), e->serial + 1);
        e->serial++;
        return STORE_OK;
    }
    if (credit.serial != e->serial + 1) {
        check_say(c, "credits of %s: expected entry %" PRIu64 ", found %" PRIu64,
                  check_id(org, id), e->serial + 1, credit.serial);
    }
    uint64_t step = credit.serial - e->serial;
    e->serial = credit.serial;
    bool ok = check_sums_add(&e->sums, org, (uint64_t)credit.nusd) &&
              check_sums_add(&e->serials, org, step);
    return ok ? reference_check(c, org, &credit) : check_no_memory(c);
}

static void sum_check(struct check *c, store_id org, const char *what, int64_t want,
                      int64_t found)
{
    char id[CHECK_WHERE_MAX];
    if (want == found) return;
    check_say(c, "pool of %s: %s: expected %" PRId64 ", found %" PRId64, check_id(org, id),
              what, want, found);
}

static int64_t sum_at(const struct check_sums *s, store_id org)
{
    const struct check_sum *at = check_sums_at(s, org);
    return at ? (int64_t)at->sum : 0;
}

static enum store_rc pool_visit(struct check *c, MDB_val key, MDB_val data, void *arg)
{
    struct entries *e = arg;
    struct pool pool;
    char id[CHECK_WHERE_MAX];
    store_id org = key.mv_size == 8 ? db_from_be64(key.mv_data) : 0;
    if (!credits_parse_pool(data, &pool) || rows_exists(c->db, c->txn, org) != STORE_OK) {
        check_say(c, "pool of %s: expected that of an organization, found another",
                  check_id(org, id));
        return STORE_OK;
    }
    sum_check(c, org, "sum of entries", sum_at(&e->sums, org), pool.entries_nusd);
    sum_check(c, org, "newest entry", sum_at(&e->serials, org), (int64_t)pool.serial);
    if (c->rows_damaged || pool.spent_nusd == INT64_MAX) return STORE_OK;
    int64_t rows = sum_at(&c->prepaid, org);
    sum_check(c, org, "spent by rows there are and rows that expired",
              (int64_t)((uint64_t)rows + (uint64_t)pool.expired_nusd), pool.spent_nusd);
    return STORE_OK;
}

/* Sums of organisations must have a pool, but for those that are gone. */
static enum store_rc no_pool_check(struct check *c, const struct check_sums *s,
                                   const char *what, bool gone_too)
{
    char id[CHECK_WHERE_MAX];
    for (size_t i = 0; i < s->size; i++) {
        uint8_t name[8];
        if (s->slot[i].count == 0 || (s->slot[i].sum == 0 && !gone_too)) continue;
        store_id org = s->slot[i].key;
        db_be64(name, org);
        MDB_val key = {sizeof(name), name}, data;
        int code = mdb_get(c->txn, c->db->dbi[DB_POOLS], &key, &data);
        if (code == 0) continue;
        if (code != MDB_NOTFOUND) return db_rc(c->db, code, "read the pools");
        if (!gone_too && rows_exists(c->db, c->txn, org) == STORE_NOT_FOUND) continue;
        check_say(c, "pool of %s: expected one for its %s, found none", check_id(org, id),
                  what);
    }
    return STORE_OK;
}

static enum store_rc pools_check(struct check *c)
{
    struct entries e = {.org = 0};
    MDB_stat stat;
    enum store_rc rc = check_table(c, DB_CREDITS, credit_visit, &e);
    if (rc == STORE_OK) rc = check_table(c, DB_POOLS, pool_visit, &e);
    if (rc == STORE_OK) rc = no_pool_check(c, &e.sums, "entries", true);
    if (rc == STORE_OK) rc = no_pool_check(c, &c->prepaid, "prepaid rows", false);
    int code = mdb_stat(c->txn, c->db->dbi[DB_REFERENCES], &stat);
    if (rc == STORE_OK) rc = db_rc(c->db, code, "read the references");
    if (rc == STORE_OK && stat.ms_entries != e.count) {
        check_say(c, "references of credits: expected %" PRIu64 ", one for each entry, found "
                  "%zu", e.count, stat.ms_entries);
    }
    check_sums_fini(&e.sums);
    check_sums_fini(&e.serials);
    return rc;
}

enum store_rc check_spent(struct check *c)
{
    enum store_rc rc = meters_check(c);
    return rc == STORE_OK ? pools_check(c) : rc;
}
