/* ledger.c - blocks of rows, and what leads to a row.
 *
 *   DB_ROWS      (span, n)          -> a block (block.h); n = 0, 1, ... without a hole
 *   DB_IDS       (key id, id hash)  -> place of the newest row with such a request id
 *   DB_FEEDBACK  (exchange)         -> struct feedback
 *
 * A span is 17 seconds of admission; a block holds rows that one transaction brought, and while
 * the newest block of a span is small it is written again with the next ones. So a busy box
 * writes each row once and pages one after another, a quiet one has few blocks, and what is
 * asked for by time is found by counting n, without a cursor and its memory.
 *
 * A request id of Weir's begins with the row's time and needs no index. Others come from
 * clients and repeat; the index keeps the newest, which is the one a client means. It keeps a
 * hash of them, so that ids of any length and likeness cost the same.
 * The rule: a row is put once; who puts it has made sure (fold.c). */
#include "store/ledger.h"

#include "store/block.h"
#include "store/credits.h"
#include "store/kinds.h"

#include <openssl/sha.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    SMALL = 128,                    /* rows: a block with fewer is written again */
    HASH_HEAD = LEDGER_ID_KEY - 8,
};
#define NS_PER_MS UINT64_C(1000000)

static const char damaged_block[] = "a block of request rows";

static void be32(uint8_t out[4], uint32_t v)
{
    for (int i = 3; i >= 0; i--, v >>= 8) out[i] = (uint8_t)v;
}

static uint64_t span_of(uint64_t unix_ns)
{
    return unix_ns >> LEDGER_SPAN_SHIFT;
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

/* ---- blocks */

static void block_key(uint8_t out[LEDGER_BLOCK_KEY], uint64_t span, uint64_t n)
{
    db_be64(out, span);
    db_be64(out + 8, n);
}

/* Block n of a span. Without the checksum: who reads all of it looks at that. */
static enum store_rc block_get(struct db *db, MDB_txn *txn, uint64_t span, uint64_t n,
                               struct block *b)
{
    uint8_t name[LEDGER_BLOCK_KEY];
    block_key(name, span, n);
    MDB_val key = {sizeof(name), name}, data;
    int code = mdb_get(txn, db->dbi[DB_ROWS], &key, &data);
    if (code != 0) return db_rc(db, code, "read request rows");
    return block_open(b, data.mv_data, data.mv_size) ? STORE_OK : db_damaged(db, damaged_block);
}

/* A block under a cursor, checked. */
static enum store_rc block_of(struct db *db, MDB_val key, MDB_val data, struct block *b)
{
    bool sound = key.mv_size == LEDGER_BLOCK_KEY &&
                 block_open(b, data.mv_data, data.mv_size) && block_is_sound(b);
    return sound ? STORE_OK : db_damaged(db, damaged_block);
}

/* The newest block of a span: *n its number and *key, *data; STORE_NOT_FOUND: *n is 0. */
static enum store_rc newest_of(struct db *db, MDB_txn *txn, uint64_t span, uint64_t *n,
                               MDB_val *data)
{
    MDB_cursor *cursor;
    uint8_t name[LEDGER_BLOCK_KEY];
    *n = 0;
    int code = mdb_cursor_open(txn, db->dbi[DB_ROWS], &cursor);
    if (code != 0) return db_rc(db, code, "open the request rows");
    block_key(name, span + 1, 0);
    MDB_val key = {sizeof(name), name};
    code = mdb_cursor_get(cursor, &key, data, MDB_SET_RANGE);
    code = mdb_cursor_get(cursor, &key, data, code == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
    mdb_cursor_close(cursor);
    if (code != 0) return db_rc(db, code, "read request rows");
    if (key.mv_size != sizeof(name)) return db_damaged(db, damaged_block);
    if (db_from_be64(key.mv_data) != span) return STORE_NOT_FOUND;
    *n = db_from_be64((const uint8_t *)key.mv_data + 8);
    return STORE_OK;
}

/* ---- putting */

struct put {                        /* rows of one span, on their way */
    struct db *db;
    MDB_txn *txn;
    struct kinds again;             /* of the rows written again, and those with them */
    struct block_row *row, *spare;
    struct record *old;             /* what the newest block held */
    uint8_t *out;
};

static void put_fini(struct put *p)
{
    kinds_fini(&p->again);
    free(p->row);
    free(p->spare);
    free(p->old);
    free(p->out);
}

static enum store_rc put_write(struct put *p, struct kinds *kinds, uint64_t span, uint64_t n,
                               const struct block_row *row, size_t count)
{
    p->out = malloc(block_room(kinds, count));
    if (!p->out) return db_rc(p->db, ENOMEM, "write request rows");
    size_t len = block_write(kinds, row, count, p->out);
    uint8_t name[LEDGER_BLOCK_KEY];
    block_key(name, span, n);
    MDB_val key = {sizeof(name), name}, data = {len, p->out};
    int code = mdb_put(p->txn, p->db->dbi[DB_ROWS], &key, &data, 0);
    return db_rc(p->db, code, "write request rows");
}

/* Rows of a small block together with new ones, as one. */
static enum store_rc put_again(struct put *p, const struct block *b, uint64_t span, uint64_t n,
                               const struct block_row *row, size_t count)
{
    size_t all = b->count + count;
    p->old = malloc(b->count * sizeof(*p->old));
    p->row = malloc(all * sizeof(*p->row));
    p->spare = malloc(all * sizeof(*p->spare));
    if (!p->old || !p->row || !p->spare) return db_rc(p->db, ENOMEM, "write request rows");
    for (uint32_t i = 0; i < b->count; i++) {
        struct record *r = &p->old[i];
        if (!block_row_read(b, i, r)) return db_damaged(p->db, damaged_block);
        p->row[i] = block_row_of(r);
    }
    memcpy(p->row + b->count, row, count * sizeof(*row));
    block_sort(p->row, p->spare, all);
    for (size_t i = 0; i < all; i++) {
        bool ok = kinds_at(&p->again, p->row[i].record, &p->row[i].kind);
        if (!ok) return db_rc(p->db, ENOMEM, "write request rows");
    }
    return put_write(p, &p->again, span, n, p->row, all);
}

/* Sorted rows of one span: behind its newest block, or with it. */
static enum store_rc put_span(struct db *db, MDB_txn *txn, struct kinds *kinds,
                              const struct block_row *row, size_t count)
{
    struct put p = {.db = db, .txn = txn};
    uint64_t span = span_of(row[0].admitted_unix_ns), n;
    MDB_val data;
    struct block b;
    enum store_rc rc = newest_of(db, txn, span, &n, &data);
    if (rc == STORE_NOT_FOUND) {
        rc = put_write(&p, kinds, span, 0, row, count);
    } else if (rc == STORE_OK) {
        bool good = block_open(&b, data.mv_data, data.mv_size);
        bool again = good && b.count < SMALL;
        if (!good || (again && !block_is_sound(&b))) rc = db_damaged(db, damaged_block);
        else if (again) rc = put_again(&p, &b, span, n, row, count);
        else rc = put_write(&p, kinds, span, n + 1, row, count);
    }
    put_fini(&p);
    return rc;
}

static void id_key(uint8_t out[LEDGER_ID_KEY], store_id key, const char *id, size_t len)
{
    assert(key != 0);
    uint8_t hash[SHA256_DIGEST_LENGTH];
    SHA256((const uint8_t *)id, len, hash);
    db_be64(out, key);
    memcpy(out + 8, hash, HASH_HEAD);
}

/* Does the index lead to this row? */
static bool is_indexed(const struct record *r)
{
    return r->kind == RECORD_REQUEST && r->path[UNIT_KEY] != 0 && r->request_id[0] != '\0' &&
           !block_id_leads(r);
}

bool ledger_id_name(const struct record *r, uint8_t name[LEDGER_ID_KEY])
{
    if (!is_indexed(r)) return false;
    size_t len = strnlen(r->request_id, RECORD_REQUEST_ID_MAX);
    id_key(name, r->path[UNIT_KEY], r->request_id, len);
    return true;
}

static void place_of(uint8_t out[LEDGER_PLACE], const struct record *r)
{
    db_be64(out, r->admitted_unix_ns);
    db_be64(out + 8, r->exchange_id);
}

/* Point an id's entry to a row, unless it points to a later one. */
static enum store_rc id_put(struct db *db, MDB_txn *txn, const struct record *r)
{
    uint8_t name[LEDGER_ID_KEY], place[LEDGER_PLACE];
    id_key(name, r->path[UNIT_KEY], r->request_id, strnlen(r->request_id,
                                                           RECORD_REQUEST_ID_MAX));
    place_of(place, r);
    MDB_val key = {sizeof(name), name}, data = {sizeof(place), place};
    int code = mdb_put(txn, db->dbi[DB_IDS], &key, &data, MDB_NOOVERWRITE);
    if (code != MDB_KEYEXIST) return db_rc(db, code, "write the index of request ids");
    if (data.mv_size != sizeof(place)) return db_damaged(db, "the index of request ids");
    if (memcmp(data.mv_data, place, sizeof(place)) >= 0) return STORE_OK;
    data = (MDB_val){sizeof(place), place};
    return db_rc(db, mdb_put(txn, db->dbi[DB_IDS], &key, &data, 0),
                 "write the index of request ids");
}

enum store_rc ledger_put(struct db *db, MDB_txn *txn, struct kinds *kinds,
                         struct block_row *row, size_t count)
{
    assert(row || count == 0);
    if (count == 0) return STORE_OK;
    struct block_row *spare = malloc(count * sizeof(*spare));
    if (!spare) return db_rc(db, ENOMEM, "sort request rows");
    block_sort(row, spare, count);
    free(spare);
    enum store_rc rc = STORE_OK;
    for (size_t first = 0, end; rc == STORE_OK && first < count; first = end) {
        uint64_t span = span_of(row[first].admitted_unix_ns);
        for (end = first + 1; end < count; end++) {
            if (span_of(row[end].admitted_unix_ns) != span) break;
        }
        rc = put_span(db, txn, kinds, row + first, end - first);
    }
    for (size_t i = 0; rc == STORE_OK && i < count; i++) {
        if (is_indexed(row[i].record)) rc = id_put(db, txn, row[i].record);
    }
    return rc;
}

/* ---- finding one */

enum store_rc ledger_get(struct db *db, MDB_txn *txn, uint64_t admitted_unix_ns,
                         uint64_t exchange_id, uint32_t part, struct record *r)
{
    struct block b;
    enum store_rc rc;
    uint64_t span = span_of(admitted_unix_ns);
    for (uint64_t n = 0; (rc = block_get(db, txn, span, n, &b)) == STORE_OK; n++) {
        if (admitted_unix_ns < b.first_ns || admitted_unix_ns > b.last_ns) continue;
        uint32_t at = block_lower(&b, admitted_unix_ns, exchange_id, part);
        if (at == b.count) continue;
        if (!block_row_read(&b, at, r)) return db_damaged(db, damaged_block);
        if (r->admitted_unix_ns == admitted_unix_ns && r->exchange_id == exchange_id &&
            block_part(r) == part) return STORE_OK;
    }
    return rc;
}

enum store_rc ledger_has(struct db *db, MDB_txn *txn, uint64_t admitted_unix_ns,
                         uint64_t exchange_id, uint32_t part)
{
    struct record r;
    return ledger_get(db, txn, admitted_unix_ns, exchange_id, part, &r);
}

static bool is_request(const struct record *r, store_id key, const char *id, size_t len)
{
    if (r->kind != RECORD_REQUEST || r->path[UNIT_KEY] != key) return false;
    if (memcmp(r->request_id, id, len) != 0) return false;
    return len == RECORD_REQUEST_ID_MAX || r->request_id[len] == '\0';
}

/* The newest such row admitted in one millisecond, of the span that unix_ns is of. */
static enum store_rc find_by_time(struct db *db, MDB_txn *txn, uint64_t unix_ns, store_id key,
                                  const char *id, struct record *r)
{
    struct block b;
    struct record seen;
    enum store_rc rc;
    uint64_t span = span_of(unix_ns), ms = unix_ns / NS_PER_MS, low = ms * NS_PER_MS;
    bool found = false;
    for (uint64_t n = 0; (rc = block_get(db, txn, span, n, &b)) == STORE_OK; n++) {
        if (b.last_ns < low || b.first_ns >= low + NS_PER_MS) continue;
        for (uint32_t i = block_lower(&b, low, 0, 0); i < b.count; i++) {
            if (!block_row_read(&b, i, &seen)) return db_damaged(db, damaged_block);
            if (seen.admitted_unix_ns >= low + NS_PER_MS) break;
            if (!is_request(&seen, key, id, BLOCK_OWN_ID)) continue;
            bool newer = !found || seen.admitted_unix_ns > r->admitted_unix_ns ||
                         (seen.admitted_unix_ns == r->admitted_unix_ns &&
                          seen.exchange_id > r->exchange_id);
            if (newer) *r = seen;
            found = true;
        }
    }
    return rc == STORE_NOT_FOUND && found ? STORE_OK : rc;
}

static enum store_rc find_by_index(struct db *db, MDB_txn *txn, store_id key, const char *id,
                                   size_t len, struct record *r)
{
    uint8_t name[LEDGER_ID_KEY];
    id_key(name, key, id, len);
    MDB_val at = {sizeof(name), name}, place;
    int code = mdb_get(txn, db->dbi[DB_IDS], &at, &place);
    if (code != 0) return db_rc(db, code, "look a request up");
    if (place.mv_size != LEDGER_PLACE) return db_damaged(db, "the index of request ids");
    uint64_t admitted = db_from_be64(place.mv_data);
    uint64_t exchange = db_from_be64((const uint8_t *)place.mv_data + 8);
    enum store_rc rc = ledger_get(db, txn, admitted, exchange, UINT32_MAX, r);
    /* Half a hash is enough against chance; the comparison is against everything else. */
    return rc == STORE_OK && !is_request(r, key, id, len) ? STORE_NOT_FOUND : rc;
}

enum store_rc ledger_find(struct db *db, MDB_txn *txn, store_id key, const char *request_id,
                          size_t len, struct record *r)
{
    assert(request_id && r);
    uint64_t ms;
    if (key == 0 || len == 0 || len > RECORD_REQUEST_ID_MAX) return STORE_NOT_FOUND;
    if (block_own_id(request_id, len, &ms) && ms < UINT64_MAX / NS_PER_MS) {
        uint64_t first = ms * NS_PER_MS, last = first + NS_PER_MS - 1;
        enum store_rc rc = find_by_time(db, txn, last, key, request_id, r);
        if (rc == STORE_NOT_FOUND && span_of(first) != span_of(last)) {
            rc = find_by_time(db, txn, first, key, request_id, r);
        }
        if (rc != STORE_NOT_FOUND) return rc;
        /* One that a client made up in our form, or repeated later. */
    }
    return find_by_index(db, txn, key, request_id, len, r);
}

/* ---- retention */

/* What leads to a row that goes. */
static enum store_rc id_delete(struct db *db, MDB_txn *txn, const struct record *r)
{
    uint8_t name[LEDGER_ID_KEY], place[LEDGER_PLACE];
    id_key(name, r->path[UNIT_KEY], r->request_id, strnlen(r->request_id,
                                                           RECORD_REQUEST_ID_MAX));
    place_of(place, r);
    MDB_val key = {sizeof(name), name}, data;
    int code = mdb_get(txn, db->dbi[DB_IDS], &key, &data);
    if (code == MDB_NOTFOUND) return STORE_OK;
    if (code == 0 && (data.mv_size != sizeof(place) ||
                      memcmp(data.mv_data, place, sizeof(place)) != 0)) return STORE_OK;
    if (code == 0) code = mdb_del(txn, db->dbi[DB_IDS], &key, NULL);
    return db_rc(db, code, "delete from the index of request ids");
}

static enum store_rc rows_forget(struct db *db, MDB_txn *txn, const struct block *b)
{
    MDB_stat stat;
    int code = mdb_stat(txn, db->dbi[DB_FEEDBACK], &stat);
    if (code != 0) return db_rc(db, code, "look at feedback");
    for (uint32_t i = 0; i < b->count; i++) {
        struct record r;
        if (!block_row_read(b, i, &r)) return db_damaged(db, damaged_block);
        if (r.kind == RECORD_REQUEST && stat.ms_entries > 0) {
            uint8_t exchange[8];
            db_be64(exchange, r.exchange_id);
            MDB_val key = {sizeof(exchange), exchange};
            code = mdb_del(txn, db->dbi[DB_FEEDBACK], &key, NULL);
            if (code != 0 && code != MDB_NOTFOUND) return db_rc(db, code, "delete feedback");
        }
        enum store_rc rc = is_indexed(&r) ? id_delete(db, txn, &r) : STORE_OK;
        if (rc == STORE_OK && (r.flags & RECORD_PREPAID)) {
            rc = credits_expire(db, txn, r.path[UNIT_ORGANIZATION], r.cost_nusd);
        }
        if (rc != STORE_OK) return rc;
    }
    return STORE_OK;
}

enum store_rc ledger_mark_kept(struct db *db, MDB_txn *txn, const char *name, uint64_t kept)
{
    uint64_t before;
    enum store_rc rc = db_meta_get(db, txn, name, &before);
    if (rc != STORE_OK || before >= kept) return rc;
    return db_meta_put(db, txn, name, kept);
}

/* From the newest of the oldest span down, so that numbers stay without a hole. */
enum store_rc ledger_expire(struct db *db, MDB_txn *txn, uint64_t before_unix_ns, uint64_t max,
                            uint64_t *deleted)
{
    assert(deleted);
    for (uint64_t gone = 0; gone < max;) {
        uint64_t n, span;
        MDB_val key, data;
        MDB_cursor *cursor;
        int code = mdb_cursor_open(txn, db->dbi[DB_ROWS], &cursor);
        if (code != 0) return db_rc(db, code, "open the request rows");
        code = mdb_cursor_get(cursor, &key, &data, MDB_FIRST);
        bool good = code != 0 || key.mv_size == LEDGER_BLOCK_KEY;
        span = code == 0 && good ? db_from_be64(key.mv_data) : 0;
        mdb_cursor_close(cursor);
        if (code == MDB_NOTFOUND) return STORE_OK;
        if (!good) return db_damaged(db, damaged_block);
        if (code != 0) return db_rc(db, code, "read the oldest request row");
        if (span >= span_of(before_unix_ns)) return STORE_OK;
        struct block b;
        enum store_rc rc = newest_of(db, txn, span, &n, &data);
        if (rc != STORE_OK) return rc;
        if (!block_open(&b, data.mv_data, data.mv_size)) return db_damaged(db, damaged_block);
        rc = rows_forget(db, txn, &b);
        if (rc != STORE_OK) return rc;
        gone += b.count;
        uint8_t name[LEDGER_BLOCK_KEY];
        block_key(name, span, n);
        key = (MDB_val){sizeof(name), name};
        rc = db_rc(db, mdb_del(txn, db->dbi[DB_ROWS], &key, NULL), "delete request rows");
        uint64_t kept = (span + 1) << LEDGER_SPAN_SHIFT;
        if (rc == STORE_OK) rc = ledger_mark_kept(db, txn, LEDGER_ROWS_KEPT, kept);
        if (rc != STORE_OK) return rc;
        *deleted += b.count;
    }
    return STORE_OK;
}

/* ---- walking */

enum store_rc ledger_each(struct db *db, MDB_txn *txn, uint64_t from_ns, uint64_t to_ns,
                          store_id unit,
                          enum store_rc (*visit)(const struct record *r, void *arg), void *arg)
{
    assert(visit);
    if (from_ns >= to_ns) return STORE_OK;
    MDB_cursor *cursor;
    int code = mdb_cursor_open(txn, db->dbi[DB_ROWS], &cursor);
    if (code != 0) return db_rc(db, code, "open the request rows");
    uint8_t from[LEDGER_BLOCK_KEY];
    block_key(from, span_of(from_ns), 0);
    MDB_val key = {sizeof(from), from}, data;
    enum store_rc rc = STORE_OK;
    for (MDB_cursor_op op = MDB_SET_RANGE; rc == STORE_OK; op = MDB_NEXT) {
        struct block b;
        struct record r;
        code = mdb_cursor_get(cursor, &key, &data, op);
        if (code != 0) break;
        rc = block_of(db, key, data, &b);
        if (rc == STORE_OK && db_from_be64(key.mv_data) > span_of(to_ns - 1)) break;
        if (rc != STORE_OK || !block_may_hold(&b, unit)) continue;
        uint32_t i = block_lower(&b, from_ns, 0, 0);
        for (; rc == STORE_OK && i < b.count; i++) {
            if (!block_row_read(&b, i, &r)) rc = db_damaged(db, damaged_block);
            else if (r.admitted_unix_ns >= to_ns) break;
            else rc = visit(&r, arg);
        }
    }
    mdb_cursor_close(cursor);
    if (code != 0 && code != MDB_NOTFOUND) return db_rc(db, code, "read request rows");
    return rc;
}

struct ledger_run {                 /* a block of a span, from its newest row down */
    struct block block;
    uint32_t left;                  /* rows not given yet, the next one included: 1.. */
    struct block_row next;          /* its place */
};

/* Read the place of a run's next row. */
static bool run_look(struct ledger_run *run)
{
    struct record r;
    if (!block_row_read(&run->block, run->left - 1, &r)) return false;
    run->next = block_row_of(&r);
    run->next.record = NULL;
    return true;
}

/* Let the run at `at` sink until none below it is newer. */
static void heap_sink(struct ledger_run *run, size_t count, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count) return;
        if (child + 1 < count && block_row_before(&run[child].next, &run[child + 1].next)) {
            child++;
        }
        if (!block_row_before(&run[at].next, &run[child].next)) return;
        struct ledger_run moved = run[at];
        run[at] = run[child];
        run[child] = moved;
        at = child;
    }
}

enum store_rc ledger_down_span(struct ledger_down *d, uint64_t unix_ns, uint64_t *span_ns)
{
    MDB_cursor *cursor;
    int code = mdb_cursor_open(d->txn, d->db->dbi[DB_ROWS], &cursor);
    if (code != 0) return db_rc(d->db, code, "open the request rows");
    uint8_t name[LEDGER_BLOCK_KEY];
    block_key(name, span_of(unix_ns) + 1, 0);
    MDB_val key = {sizeof(name), name}, data;
    code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    code = mdb_cursor_get(cursor, &key, &data, code == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
    mdb_cursor_close(cursor);
    if (code != 0) return db_rc(d->db, code, "read request rows");
    if (key.mv_size != sizeof(name)) return db_damaged(d->db, damaged_block);
    *span_ns = db_from_be64(key.mv_data) << LEDGER_SPAN_SHIFT;
    return STORE_OK;
}

static enum store_rc run_add(struct ledger_down *d, const struct block *b,
                             uint64_t admitted_unix_ns, uint64_t exchange_id)
{
    if (!block_may_hold(b, d->unit)) return STORE_OK;
    uint32_t left = block_lower(b, admitted_unix_ns, exchange_id, 0);
    if (left == 0) return STORE_OK;
    if (d->count == d->max) {
        size_t max = d->max ? d->max * 2 : 64;
        struct ledger_run *run = realloc(d->run, max * sizeof(*run));
        if (!run) return db_rc(d->db, ENOMEM, "read request rows");
        d->run = run;
        d->max = max;
    }
    struct ledger_run *run = &d->run[d->count];
    *run = (struct ledger_run){.block = *b, .left = left};
    if (!run_look(run)) return db_damaged(d->db, damaged_block);
    d->count++;
    return STORE_OK;
}

enum store_rc ledger_down_load(struct ledger_down *d, uint64_t span_ns,
                               uint64_t admitted_unix_ns, uint64_t exchange_id)
{
    struct block b;
    enum store_rc rc;
    uint64_t span = span_of(span_ns);
    d->count = 0;
    for (uint64_t n = 0; (rc = block_get(d->db, d->txn, span, n, &b)) == STORE_OK; n++) {
        rc = block_is_sound(&b) ? run_add(d, &b, admitted_unix_ns, exchange_id)
                                : db_damaged(d->db, damaged_block);
        if (rc != STORE_OK) return rc;
    }
    if (rc != STORE_NOT_FOUND) return rc;
    for (size_t at = d->count / 2; at-- > 0;) heap_sink(d->run, d->count, at);
    return STORE_OK;
}

enum store_rc ledger_down_next(struct ledger_down *d, struct record *r)
{
    if (d->count == 0) return STORE_NOT_FOUND;
    struct ledger_run *run = d->run;
    if (!block_row_read(&run->block, run->left - 1, r)) return db_damaged(d->db, damaged_block);
    if (--run->left == 0) *run = d->run[--d->count];
    else if (!run_look(run)) return db_damaged(d->db, damaged_block);
    heap_sink(d->run, d->count, 0);
    return STORE_OK;
}

void ledger_down_fini(struct ledger_down *d)
{
    free(d->run);
    d->run = NULL;
    d->count = d->max = 0;
}

/* ---- outcomes */

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
