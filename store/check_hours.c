/* check_hours.c - rows against hourly aggregates, hour by hour: the rows of an hour are added
 * up as the fold did, and the result must be what is stored, byte for byte. Some 32,768
 * aggregates at a time; an hour with more is read again for each such part, chosen by the
 * key's checksum.
 * The rule: of an hour only part of whose rows or aggregates retention has left, nothing can
 * be said, and it is passed over. */
#include "store/check_part.h"

#include "store/crc.h"
#include "store/ledger.h"
#include "store/tally.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MORE_MAX = 4 * CHECK_TALLIES_MAX };  /* keys of rows, where aggregates are missing */

struct part {                   /* of an hour */
    struct check *c;
    uint64_t hour;
    uint32_t number, parts;
    struct tallies sums;        /* of the rows */
    bool *met;                  /* by index in sums: there is an aggregate */
    bool overfull;
};

static bool is_of(const struct part *p, const void *key, size_t len)
{
    return p->parts == 1 || crc32c(key, len) % p->parts == p->number;
}

static enum store_rc row_add(const struct record *r, void *arg)
{
    struct part *p = arg;
    uint8_t key[LEDGER_HOUR_KEY_MAX];
    uint32_t idx;
    size_t len = ledger_hour_key(key, r);
    if (!is_of(p, key, len)) return STORE_OK;
    bool room = tallies_at(&p->sums, key, len, &idx);
    if (!room || !tally_record(&p->sums.entry[idx].tally, r)) return check_no_memory(p->c);
    p->overfull = p->sums.count > MORE_MAX;
    return p->overfull ? STORE_FULL : STORE_OK;
}

/* Which aggregate: hour, narrowest unit, model, tags. */
static const char *where_of(const void *key, size_t len, char out[CHECK_LINE_MAX])
{
    struct ledger_hour h;
    char hour[CHECK_WHERE_MAX], id[CHECK_WHERE_MAX];
    if (!ledger_hour_parse(key, len, &h)) return "aggregates: a key that is none";
    int k = UNIT_KINDS - 1;
    while (k > 0 && h.path[k] == 0) k--;
    snprintf(out, CHECK_LINE_MAX, "aggregate of %s, %s, %.*s%s%.*s", check_hour(h.hour, hour),
             check_id(h.path[k], id), (int)h.model_len, h.model, h.tags_len ? ", " : "",
             (int)h.tags_len, h.tags);
    return out;
}

/* Tell where two sums differ first. */
static void differ(struct check *c, const char *where, const struct tally *rows,
                   const struct tally *stored)
{
    static const char *const tokens[TOKEN_KINDS] = {
        "input tokens", "cached tokens", "cache-write tokens", "1-hour cache-write tokens",
        "output tokens", "audio input tokens", "audio output tokens", "image input tokens",
    };
    struct { const char *name; uint64_t rows, stored; } fields[] = {
        {"requests", rows->requests, stored->requests},
        {"cost in nano-dollars", (uint64_t)rows->cost_nusd, (uint64_t)stored->cost_nusd},
        {"errors", rows->errors, stored->errors},
        {"fallbacks", rows->fallbacks, stored->fallbacks},
        {"first tokens", rows->ttft_count, stored->ttft_count},
        {"time to first tokens", rows->ttft_us_sum, stored->ttft_us_sum},
        {"time of output", rows->output_us_sum, stored->output_us_sum},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        if (fields[i].rows == fields[i].stored) continue;
        check_say(c, "%.300s: %s: expected %" PRId64 " as in its rows, found %" PRId64, where,
                  fields[i].name, (int64_t)fields[i].rows, (int64_t)fields[i].stored);
        return;
    }
    for (int k = 0; k < TOKEN_KINDS; k++) {
        if (rows->tokens[k] == stored->tokens[k]) continue;
        check_say(c, "%.300s: %s: expected %" PRIu64 " as in its rows, found %" PRIu64, where,
                  tokens[k], rows->tokens[k], stored->tokens[k]);
        return;
    }
    check_say(c, "%.300s: expected the distribution of times of its rows, found another",
              where);
}

/* An aggregate against the sum of its rows. */
static enum store_rc aggregate_check(struct part *p, MDB_val key, MDB_val data)
{
    uint8_t written[TALLY_BYTES_MAX];
    char where[CHECK_LINE_MAX];
    uint32_t idx;
    size_t count = p->sums.count;
    if (!tallies_at(&p->sums, key.mv_data, key.mv_size, &idx)) return check_no_memory(p->c);
    if (idx < count) p->met[idx] = true;
    const struct tally *rows = &p->sums.entry[idx].tally;
    size_t len = tally_write(rows, written);
    if (len == data.mv_size && memcmp(written, data.mv_data, len) == 0) return STORE_OK;
    struct tally stored = {.requests = 0};
    enum store_rc rc = tally_read(&stored, data.mv_data, data.mv_size);
    if (rc == STORE_OK) differ(p->c, where_of(key.mv_data, key.mv_size, where), rows, &stored);
    tally_fini(&stored);
    return rc == STORE_FULL ? check_no_memory(p->c) : STORE_OK;   /* damaged: told before */
}

/* Point a cursor at the first aggregate of an hour. */
static int hour_seek(MDB_cursor *cursor, uint64_t hour, MDB_val *key, MDB_val *data)
{
    uint8_t from[4] = {(uint8_t)(hour >> 24), (uint8_t)(hour >> 16), (uint8_t)(hour >> 8),
                       (uint8_t)hour};
    *key = (MDB_val){sizeof(from), from};
    return mdb_cursor_get(cursor, key, data, MDB_SET_RANGE);
}

static enum store_rc aggregates_check(struct part *p, MDB_cursor *cursor)
{
    MDB_val key, data;
    struct ledger_hour h;
    size_t rows = p->sums.count;
    p->met = calloc(rows + 1, sizeof(*p->met));
    if (!p->met) return check_no_memory(p->c);
    enum store_rc rc = STORE_OK;
    int code = hour_seek(cursor, p->hour, &key, &data);
    for (; code == 0 && rc == STORE_OK; code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) {
        if (!ledger_hour_parse(key.mv_data, key.mv_size, &h)) continue;
        if (h.hour != p->hour) break;
        if (is_of(p, key.mv_data, key.mv_size)) rc = aggregate_check(p, key, data);
    }
    if (rc == STORE_OK && code != 0 && code != MDB_NOTFOUND) {
        return db_rc(p->c->db, code, "read the hours");
    }
    for (size_t i = 0; rc == STORE_OK && i < rows; i++) {
        const struct tallies_entry *e = &p->sums.entry[i];
        char where[CHECK_LINE_MAX];
        if (p->met[i]) continue;
        check_say(p->c, "%.300s: expected %" PRIu64 " requests as in its rows, found no "
                  "aggregate", where_of(e->key, e->key_len, where), e->tally.requests);
    }
    return rc;
}

static enum store_rc part_check(struct check *c, MDB_cursor *cursor, uint64_t hour,
                                uint32_t number, uint32_t parts)
{
    struct part p = {.c = c, .hour = hour, .number = number, .parts = parts};
    uint64_t from = hour * LEDGER_HOUR_NS;
    char where[CHECK_WHERE_MAX];
    enum store_rc rc = ledger_each(c->db, c->txn, from, from + LEDGER_HOUR_NS, 0, row_add, &p);
    if (p.overfull) {
        check_say(c, "aggregates of %s: expected more than %d for its rows, found %d at most",
                  check_hour(hour, where), MORE_MAX, CHECK_TALLIES_MAX);
        rc = STORE_OK;
    } else if (rc == STORE_OK) {
        rc = aggregates_check(&p, cursor);
    }
    free(p.met);
    tallies_fini(&p.sums);
    return rc;
}

/* Can rows and aggregates of an hour be compared? */
static bool is_whole(const struct check *c, uint64_t hour)
{
    return hour >= c->hours_kept && hour < UINT64_MAX / LEDGER_HOUR_NS &&
           hour * LEDGER_HOUR_NS >= c->rows_kept;
}

static enum store_rc hour_check(struct check *c, MDB_cursor *cursor, uint64_t hour,
                                uint64_t aggregates)
{
    enum store_rc rc = STORE_OK;
    if (!is_whole(c, hour) || c->rows_damaged) return STORE_OK;
    uint32_t parts = (uint32_t)(aggregates / CHECK_TALLIES_MAX + 1);
    for (uint32_t i = 0; rc == STORE_OK && i < parts; i++) {
        rc = part_check(c, cursor, hour, i, parts);
    }
    return rc;
}

/* ---- all hours */

struct hours {
    MDB_cursor *cursor;         /* another one than the walk's */
    uint64_t hour, count;       /* aggregates of the hour so far */
    struct check_sums met;      /* hours with aggregates */
};

static enum store_rc hours_visit(struct check *c, MDB_val key, MDB_val data, void *arg)
{
    struct hours *w = arg;
    struct ledger_hour h;
    struct tally t = {.requests = 0};
    char where[CHECK_LINE_MAX];
    if (!ledger_hour_parse(key.mv_data, key.mv_size, &h)) {
        check_say(c, "aggregates: expected an hour and a path, found a key that is none");
        return STORE_OK;
    }
    enum store_rc rc = tally_read(&t, data.mv_data, data.mv_size);
    tally_fini(&t);
    if (rc == STORE_FULL) return check_no_memory(c);
    if (rc != STORE_OK) {
        check_say(c, "%.300s: expected sums, found what cannot be read",
                  where_of(key.mv_data, key.mv_size, where));
    }
    rc = STORE_OK;
    if (w->count > 0 && h.hour != w->hour) {
        rc = hour_check(c, w->cursor, w->hour, w->count);
        w->count = 0;
    }
    w->hour = h.hour;
    if (w->count++ == 0 && !check_sums_add(&w->met, h.hour, 0)) return check_no_memory(c);
    return rc;
}

enum store_rc check_hours(struct check *c)
{
    struct hours w = {.count = 0};
    int code = mdb_cursor_open(c->txn, c->db->dbi[DB_HOURS], &w.cursor);
    if (code != 0) return db_rc(c->db, code, "open the hours");
    enum store_rc rc = check_table(c, DB_HOURS, hours_visit, &w);
    if (rc == STORE_OK && w.count > 0) rc = hour_check(c, w.cursor, w.hour, w.count);
    for (size_t i = 0; rc == STORE_OK && i < c->row_hours.size; i++) {
        const struct check_sum *at = &c->row_hours.slot[i];
        if (at->count == 0 || check_sums_at(&w.met, at->key)) continue;
        rc = hour_check(c, w.cursor, at->key, 0);
    }
    check_sums_fini(&w.met);
    mdb_cursor_close(w.cursor);
    return rc;
}
