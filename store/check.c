/* check.c - see check.h.
 *
 *   journals -> rows -> hours -> meters, pools -> units, keys, budgets
 *
 * All is read in one transaction: a snapshot, also of a store in use. The directory is not
 * changed: LMDB opens it for reading without a lock file where nobody runs, journals are mapped
 * as private copies.
 * The rule: a part takes nothing for granted that it read; what cannot be read is itself a
 * violation, and the next part goes on without it. */
#include "store/check_part.h"

#include "store/ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SLOTS_MIN = 64, NS_PER_S = 1000000000, S_PER_HOUR = 3600 };

void check_say(struct check *c, const char *format, ...)
{
    char line[CHECK_LINE_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    assert(n > 0);
    c->violations++;
    c->say(line, c->arg);
}

enum store_rc check_no_memory(struct check *c)
{
    return db_rc(c->db, ENOMEM, "check the ledger");
}

/* ---- sums by a number */

/* Where a key stands, or would. */
static size_t slot_of(const struct check_sums *s, uint64_t key)
{
    assert(s->size > 0);
    size_t at = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (s->size - 1);
    while (s->slot[at].count > 0 && s->slot[at].key != key) at = (at + 1) & (s->size - 1);
    return at;
}

static bool sums_grow(struct check_sums *s)
{
    struct check_sums more = {.size = s->size ? s->size * 2 : SLOTS_MIN, .used = s->used};
    more.slot = calloc(more.size, sizeof(*more.slot));
    if (!more.slot) return false;
    for (size_t i = 0; i < s->size; i++) {
        if (s->slot[i].count > 0) more.slot[slot_of(&more, s->slot[i].key)] = s->slot[i];
    }
    free(s->slot);
    *s = more;
    return true;
}

bool check_sums_add(struct check_sums *s, uint64_t key, uint64_t sum)
{
    if (s->used * 2 >= s->size && !sums_grow(s)) return false;
    struct check_sum *at = &s->slot[slot_of(s, key)];
    if (at->count == 0) s->used++;
    *at = (struct check_sum){.key = key, .count = at->count + 1, .sum = at->sum + sum};
    return true;
}

const struct check_sum *check_sums_at(const struct check_sums *s, uint64_t key)
{
    if (s->size == 0) return NULL;
    const struct check_sum *at = &s->slot[slot_of(s, key)];
    return at->count > 0 ? at : NULL;
}

void check_sums_fini(struct check_sums *s)
{
    free(s->slot);
    *s = (struct check_sums){.size = 0};
}

/* ---- words */

const char *check_time(uint64_t unix_ns, char out[CHECK_WHERE_MAX])
{
    time_t seconds = (time_t)(unix_ns / NS_PER_S);
    struct tm tm;
    char text[32];
    if (!gmtime_r(&seconds, &tm)) memset(&tm, 0, sizeof(tm));   /* of 64 bits of ns: never */
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, CHECK_WHERE_MAX, "%s.%09uZ", text, (unsigned)(unix_ns % NS_PER_S));
    return out;
}

const char *check_hour(uint64_t hour, char out[CHECK_WHERE_MAX])
{
    time_t seconds = (time_t)(hour * S_PER_HOUR);
    struct tm tm;
    char text[32];
    if (hour > UINT32_MAX || !gmtime_r(&seconds, &tm)) {
        snprintf(out, CHECK_WHERE_MAX, "hour %" PRIu64, hour);
        return out;
    }
    strftime(text, sizeof(text), "%Y-%m-%dT%H:00Z", &tm);
    snprintf(out, CHECK_WHERE_MAX, "hour %s", text);
    return out;
}

const char *check_id(store_id id, char out[CHECK_WHERE_MAX])
{
    if (store_id_is_valid(id)) store_id_text(id, out);
    else snprintf(out, CHECK_WHERE_MAX, "id %016" PRIx64, id);
    return out;
}

enum store_rc check_table(struct check *c, enum db_table table,
                          enum store_rc (*visit)(struct check *c, MDB_val key, MDB_val data,
                                                 void *arg), void *arg)
{
    MDB_cursor *cursor;
    MDB_val key, data;
    int code = mdb_cursor_open(c->txn, c->db->dbi[table], &cursor);
    if (code != 0) return db_rc(c->db, code, "open a table");
    enum store_rc rc = STORE_OK;
    while (rc == STORE_OK && (code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) == 0) {
        rc = visit(c, key, data, arg);
    }
    mdb_cursor_close(cursor);
    if (rc != STORE_OK || code == MDB_NOTFOUND) return rc;
    return db_rc(c->db, code, "read a table");
}

/* ---- all of it */

static enum store_rc check_parts(struct check *c)
{
    enum store_rc rc = db_meta_get(c->db, c->txn, LEDGER_ROWS_KEPT, &c->rows_kept);
    if (rc == STORE_OK) rc = db_meta_get(c->db, c->txn, LEDGER_HOURS_KEPT, &c->hours_kept);
    if (rc == STORE_OK && !c->in_use) rc = check_files(c);
    if (rc == STORE_OK) rc = check_rows(c);
    if (rc == STORE_OK) rc = check_hours(c);
    if (rc == STORE_OK) rc = check_spent(c);
    return rc == STORE_OK ? check_units(c) : rc;
}

enum store_rc check_ledger(const char *dir, void (*say)(const char *line, void *arg), void *arg,
                           struct check_found *found, char *why)
{
    assert(dir && say);
    assert(found && why);
    struct check c = {.say = say, .arg = arg};
    *found = (struct check_found){.violations = 0};
    snprintf(why, CHECK_WHY_MAX, "out of memory");
    c.db = calloc(1, sizeof(*c.db));
    if (!c.db) return STORE_FAIL;
    enum store_rc rc = db_view(c.db, dir, &c.in_use);
    if (rc == STORE_OK) {
        rc = db_begin(c.db, false, &c.txn);
        if (rc == STORE_OK) rc = check_parts(&c);
        if (c.txn) db_abort(c.txn);
        db_close(c.db);
    }
    *found = (struct check_found){c.violations, c.in_use};
    if (rc != STORE_OK) snprintf(why, CHECK_WHY_MAX, "%s", c.db->why);
    check_files_fini(&c);
    check_sums_fini(&c.prepaid);
    check_sums_fini(&c.row_hours);
    free(c.db);
    return rc == STORE_OK || rc == STORE_NOT_FOUND ? rc : STORE_FAIL;
}
