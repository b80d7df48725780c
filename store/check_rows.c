/* check_rows.c - blocks and rows by themselves, and that no exchange ends twice.
 * Each block is read alone, then the blocks of a span as one stream in order of time, then all
 * ids are met once more: a bit for each, in pages of 32,768 neighbours (ids of a core are
 * consecutive). Where 64 MiB of pages do not do, the highest wait for another pass.
 * The rule: an attempt comes with the end of its exchange, or a journal has that still. */
#include "store/check_part.h"

#include "store/block.h"
#include "store/ledger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAGE_SHIFT = 15, PAGE_WORDS = (1 << PAGE_SHIFT) / 64,   /* 4 KiB of bits */
    PAGES_MAX = 16384,                                      /* 64 MiB */
};

/* ---- blocks */

struct walk {
    uint64_t span, next;        /* + 1; number of the next block in it */
    bool broken;                /* a block of this span cannot be read */
};

/* The index of ids leads to this row, or to a later one with that id. */
static enum store_rc id_check(struct check *c, const struct record *r)
{
    uint8_t name[LEDGER_ID_KEY];
    char time[CHECK_WHERE_MAX];
    if (!ledger_id_name(r, name)) return STORE_OK;
    MDB_val key = {sizeof(name), name}, data = {0, NULL};
    int code = mdb_get(c->txn, c->db->dbi[DB_IDS], &key, &data);
    if (code != 0 && code != MDB_NOTFOUND) return db_rc(c->db, code, "look an id up");
    bool good = code == 0 && data.mv_size == LEDGER_PLACE;
    if (good) {
        uint64_t admitted = db_from_be64(data.mv_data);
        uint64_t exchange = db_from_be64((const uint8_t *)data.mv_data + 8);
        good = admitted > r->admitted_unix_ns ||
               (admitted == r->admitted_unix_ns && exchange >= r->exchange_id);
    }
    if (!good) {
        check_say(c, "index of request ids: row of %s, exchange %" PRIx64 ": expected an entry "
                  "that leads to it, found %s", check_time(r->admitted_unix_ns, time),
                  r->exchange_id, code ? "none" : "another");
    }
    return STORE_OK;
}

static enum store_rc row_check(struct check *c, const struct record *r)
{
    char time[CHECK_WHERE_MAX];
    uint64_t hour = r->admitted_unix_ns / LEDGER_HOUR_NS;
    bool known = r->kind == RECORD_ATTEMPT || r->kind == RECORD_REQUEST;
    if (!known || !store_id_is_valid(r->path[UNIT_ORGANIZATION])) {
        check_say(c, "row of %s, exchange %" PRIx64 ": expected %s, found none",
                  check_time(r->admitted_unix_ns, time), r->exchange_id,
                  known ? "an organization" : "an attempt or a request");
    }
    if (!check_sums_add(&c->row_hours, hour, 0)) return check_no_memory(c);
    if (r->flags & RECORD_PREPAID) {
        store_id org = r->path[UNIT_ORGANIZATION];
        bool ok = check_sums_add(&c->prepaid, org, (uint64_t)r->cost_nusd);
        if (!ok) return check_no_memory(c);
    }
    return id_check(c, r);
}

/* Rows of one block: readable, in order, of its span. */
static enum store_rc block_check(struct check *c, struct walk *w, const struct block *b,
                                 uint64_t span, uint64_t n)
{
    char time[CHECK_WHERE_MAX];
    struct block_row before = {.admitted_unix_ns = 0};
    for (uint32_t i = 0; i < b->count; i++) {
        struct record r;
        bool readable = block_row_read(b, i, &r);
        struct block_row row = {.part = 0};
        if (readable) row = block_row_of(&r);
        bool ordered = i == 0 || (readable && block_row_before(&before, &row));
        if (!readable || !ordered || r.admitted_unix_ns >> LEDGER_SPAN_SHIFT != span) {
            check_say(c, "rows of %s, block %" PRIu64 ", row %u: expected %s, found %s",
                      check_time(span << LEDGER_SPAN_SHIFT, time), n, i,
                      readable && !ordered ? "rows in order" : "a row of that time",
                      readable ? "another" : "what cannot be read");
            w->broken = c->rows_damaged = true;
            return STORE_OK;
        }
        before = row;
        enum store_rc rc = row_check(c, &r);
        if (rc != STORE_OK) return rc;
    }
    return STORE_OK;
}

/* ---- spans */

/* All rows of a span, newest first: each place once, and attempts behind their end. */
static enum store_rc span_check(struct check *c, uint64_t span)
{
    struct ledger_down d = {.db = c->db, .txn = c->txn};
    struct record r, before = {.kind = 0};
    uint64_t ended = 0, ended_ns = 0;
    char time[CHECK_WHERE_MAX];
    uint64_t begin = span << LEDGER_SPAN_SHIFT;
    enum store_rc rc = ledger_down_load(&d, begin, UINT64_MAX, UINT64_MAX);
    while (rc == STORE_OK && (rc = ledger_down_next(&d, &r)) == STORE_OK) {
        bool same = before.kind != 0 && before.admitted_unix_ns == r.admitted_unix_ns &&
                    before.exchange_id == r.exchange_id &&
                    block_part(&before) == block_part(&r);
        if (same) {
            check_say(c, "row of %s, exchange %" PRIx64 ": expected one %s, found two",
                      check_time(r.admitted_unix_ns, time), r.exchange_id,
                      r.kind == RECORD_REQUEST ? "end" : "such attempt");
        }
        before = r;
        if (r.kind == RECORD_REQUEST) {
            ended = r.exchange_id;
            ended_ns = r.admitted_unix_ns;
            continue;
        }
        bool has_end = ended == r.exchange_id && ended_ns == r.admitted_unix_ns;
        if (has_end || c->in_use || begin < c->rows_kept) continue;
        if (check_files_have(c, r.exchange_id)) continue;
        check_say(c, "row of %s, exchange %" PRIx64 ": expected an end of the exchange whose "
                  "attempt it is, found none", check_time(r.admitted_unix_ns, time),
                  r.exchange_id);
    }
    ledger_down_fini(&d);
    return rc == STORE_NOT_FOUND ? STORE_OK : rc;
}

static enum store_rc span_end(struct check *c, const struct walk *w)
{
    return w->span == 0 || w->broken ? STORE_OK : span_check(c, w->span - 1);
}

static enum store_rc block_visit(struct check *c, MDB_val key, MDB_val data, void *arg)
{
    struct walk *w = arg;
    struct block b;
    char time[CHECK_WHERE_MAX];
    if (key.mv_size != LEDGER_BLOCK_KEY) {
        check_say(c, "rows: expected keys of %d bytes, found one of %zu", LEDGER_BLOCK_KEY,
                  key.mv_size);
        c->rows_damaged = true;
        return STORE_OK;
    }
    uint64_t span = db_from_be64(key.mv_data);
    uint64_t n = db_from_be64((const uint8_t *)key.mv_data + 8);
    if (w->span != span + 1) {
        enum store_rc rc = span_end(c, w);
        if (rc != STORE_OK) return rc;
        *w = (struct walk){.span = span + 1};
    }
    const char *where = check_time(span << LEDGER_SPAN_SHIFT, time);
    if (n != w->next) {
        check_say(c, "rows of %s: expected block %" PRIu64 ", found %" PRIu64, where, w->next,
                  n);
        w->broken = c->rows_damaged = true;
    }
    w->next = n + 1;
    if (block_open(&b, data.mv_data, data.mv_size) && block_is_sound(&b)) {
        return block_check(c, w, &b, span, n);
    }
    check_say(c, "rows of %s, block %" PRIu64 ": expected its checksum, found another: it is "
              "damaged", where, n);
    w->broken = c->rows_damaged = true;
    return STORE_OK;
}

/* ---- ids */

struct seen {
    uint64_t page[PAGES_MAX];       /* sorted: ids >> PAGE_SHIFT */
    uint64_t *bits[PAGES_MAX];
    size_t count, last;             /* last: where the newest id was */
    uint64_t low, high;             /* pages from low on and below high are met in this pass */
};

enum met { MET_FIRST, MET_AGAIN, MET_LATER, MET_NO_MEMORY };

/* Where a page is, or would be. */
static size_t page_find(const struct seen *s, uint64_t page)
{
    if (s->last < s->count && s->page[s->last] == page) return s->last;
    size_t low = 0;
    for (size_t left = s->count; left > 0;) {
        size_t half = left / 2;
        if (s->page[low + half] < page) low += half + 1, left -= half + 1;
        else left = half;
    }
    return low;
}

/* Make room for a page at its place; the highest goes where there is none. */
static enum met page_make(struct seen *s, size_t at, uint64_t page)
{
    uint64_t *bits = NULL;
    if (s->count == PAGES_MAX) {
        s->high = at == s->count ? page : s->page[s->count - 1];
        if (at == s->count) return MET_LATER;
        bits = s->bits[--s->count];
        memset(bits, 0, PAGE_WORDS * sizeof(*bits));
    } else {
        bits = calloc(PAGE_WORDS, sizeof(*bits));
        if (!bits) return MET_NO_MEMORY;
    }
    memmove(s->page + at + 1, s->page + at, (s->count - at) * sizeof(*s->page));
    memmove(s->bits + at + 1, s->bits + at, (s->count - at) * sizeof(*s->bits));
    s->page[at] = page;
    s->bits[at] = bits;
    s->count++;
    return MET_FIRST;
}

static enum met seen_add(struct seen *s, uint64_t id)
{
    uint64_t page = id >> PAGE_SHIFT;
    if (page < s->low || page >= s->high) return MET_LATER;
    size_t at = page_find(s, page);
    if (at == s->count || s->page[at] != page) {
        enum met made = page_make(s, at, page);
        if (made != MET_FIRST) return made;
    }
    s->last = at;
    uint64_t bit = id & ((1u << PAGE_SHIFT) - 1), mask = UINT64_C(1) << (bit % 64);
    uint64_t *word = &s->bits[at][bit / 64];
    bool again = *word & mask;
    *word |= mask;
    return again ? MET_AGAIN : MET_FIRST;
}

static void seen_clear(struct seen *s)
{
    while (s->count > 0) free(s->bits[--s->count]);
}

static enum store_rc id_meet(struct check *c, struct seen *s, uint64_t id)
{
    enum met met = seen_add(s, id);
    if (met == MET_NO_MEMORY) return check_no_memory(c);
    if (met == MET_AGAIN) {
        check_say(c, "exchange %" PRIx64 ": expected one end in rows and journals, found "
                  "another", id);
    }
    return STORE_OK;
}

static enum store_rc ids_visit(struct check *c, MDB_val key, MDB_val data, void *arg)
{
    struct block b;
    struct record r;
    (void)key;
    if (!block_open(&b, data.mv_data, data.mv_size) || !block_is_sound(&b)) return STORE_OK;
    enum store_rc rc = STORE_OK;
    for (uint32_t i = 0; rc == STORE_OK && i < b.count && block_row_read(&b, i, &r); i++) {
        if (r.kind == RECORD_REQUEST) rc = id_meet(c, arg, r.exchange_id);
    }
    return rc;
}

static enum store_rc ends_check(struct check *c)
{
    struct seen *s = calloc(1, sizeof(*s));
    enum store_rc rc = s ? STORE_OK : check_no_memory(c);
    for (bool more = true; rc == STORE_OK && more;) {
        s->high = UINT64_MAX;
        for (size_t i = 0; rc == STORE_OK && i < c->ended_count; i++) {
            uint64_t id = c->ended[i].exchange_id;
            bool same = i > 0 && id == c->ended[i - 1].exchange_id;    /* told before */
            if (!same) rc = id_meet(c, s, id);
        }
        if (rc == STORE_OK) rc = check_table(c, DB_ROWS, ids_visit, s);
        more = s->high != UINT64_MAX;
        s->low = s->high;
        seen_clear(s);
    }
    if (s) seen_clear(s);
    free(s);
    return rc;
}

/* ---- what leads to rows */

static enum store_rc index_visit(struct check *c, MDB_val key, MDB_val data, void *arg)
{
    struct record r;
    uint8_t name[LEDGER_ID_KEY];
    enum store_rc rc = STORE_NOT_FOUND;
    (void)arg;
    if (key.mv_size == sizeof(name) && data.mv_size == LEDGER_PLACE) {
        uint64_t exchange = db_from_be64((const uint8_t *)data.mv_data + 8);
        rc = ledger_get(c->db, c->txn, db_from_be64(data.mv_data), exchange, UINT32_MAX, &r);
    }
    bool good = rc == STORE_OK && ledger_id_name(&r, name) &&
                memcmp(name, key.mv_data, sizeof(name)) == 0;
    if (good || (c->rows_damaged && rc == STORE_FAIL)) return STORE_OK;
    char key_id[CHECK_WHERE_MAX];
    check_say(c, "index of request ids: an entry of %s: expected a row with that id, found %s",
              check_id(key.mv_size >= 8 ? db_from_be64(key.mv_data) : 0, key_id),
              rc == STORE_OK ? "another" : "none");
    return STORE_OK;
}

static enum store_rc feedback_visit(struct check *c, MDB_val key, MDB_val data, void *arg)
{
    struct feedback given = {.score = UINT16_MAX};
    (void)arg;
    if (data.mv_size == sizeof(given)) memcpy(&given, data.mv_data, sizeof(given));
    if (key.mv_size != 8 || given.score > 10000) {
        check_say(c, "feedback: exchange %" PRIx64 ": expected a score of at most 10000, found "
                  "none", key.mv_size == 8 ? db_from_be64(key.mv_data) : 0);
    }
    return STORE_OK;
}

enum store_rc check_rows(struct check *c)
{
    struct walk w = {.span = 0};
    enum store_rc rc = check_table(c, DB_ROWS, block_visit, &w);
    if (rc == STORE_OK) rc = span_end(c, &w);
    if (rc == STORE_OK) rc = ends_check(c);
    if (rc == STORE_OK) rc = check_table(c, DB_IDS, index_visit, NULL);
    return rc == STORE_OK ? check_table(c, DB_FEEDBACK, feedback_visit, NULL) : rc;
}
