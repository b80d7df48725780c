/* fold.c - from journals to the ledger of record.
 *
 *   peek rings -> [ rows, index entries, feedback, hours, spent, pools, marks ] -> commit
 *   -> move tails
 *
 * All in brackets is one transaction. A mark, "fold:<generation>" in DB_META, holds the highest
 * sequence of a file that is in the store. A crash before the commit leaves nothing, one
 * after it a tail that lags behind the mark, and the mark is what counts. Generations are
 * random per file, so that a new file never meets an old one's mark.
 *
 * Recovery does the same with the files of earlier runs, then books what their running tables
 * still hold, sets DONE in the mark in that transaction, and only then removes a file. A mark
 * is forgotten after its file is gone for good (the directory is synced), never before.
 * The rule: each step can be repeated from its beginning and then changes nothing. */
#include "store/fold.h"

#include "store/block.h"
#include "store/credits.h"
#include "store/kinds.h"
#include "store/ledger.h"
#include "store/maybe.h"
#include "store/spent.h"
#include "store/tally.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    RECOVER_MAX = 4096,     /* records, or running entries, a transaction of recovery takes */
    MARK_NAME_MAX = 32,
    NAME_MAX_BYTES = 32,    /* "core-4294967295", with room */
    LOOKS = 8,              /* meters looked at for each reading that may be deleted */
};

static const char mark_prefix[] = "fold:";
static const uint64_t mark_done = (uint64_t)1 << 63;     /* the running table is booked too */
static const uint64_t mark_damaged = (uint64_t)1 << 62;  /* something in the file was unsound */
#define MARK_SEQ (((uint64_t)1 << 62) - 1)

/* ---- one transaction */

struct share {              /* of one journal in a group */
    const struct record **record;   /* in the group's memory; the records lie in the ring */
    size_t count;
    uint64_t tail;          /* sequence before the first */
    uint64_t mark;          /* as read, and mark_damaged */
};

struct sums {               /* of a kind */
    uint64_t hour;          /* where its last row was counted, + 1; 0: nowhere yet */
    uint32_t idx;           /* in group.hours */
    int64_t cost_nusd;      /* of all its rows */
};

struct group {
    struct db *db;
    MDB_txn *txn;
    struct journal *const *journals;
    struct share *share;
    size_t journal_count;
    const struct record **record;   /* taken; NULL: there before, or unsound */
    size_t count;
    bool recovering;        /* the files are old: what is unsound in them is left out */
    struct block_row *row;  /* to be put: those of the records that are rows */
    size_t row_count;
    struct kinds kinds;
    struct sums *sums;      /* by kind */
    size_t sums_max;
    struct tallies hours;
};

static void mark_name(char out[MARK_NAME_MAX], const struct journal *j)
{
    snprintf(out, MARK_NAME_MAX, "%s%016" PRIx64, mark_prefix, journal_generation(j));
}

static enum store_rc mark_get(struct db *db, MDB_txn *txn, const struct journal *j,
                              uint64_t *mark)
{
    char name[MARK_NAME_MAX];
    mark_name(name, j);
    return db_meta_get(db, txn, name, mark);
}

static enum store_rc mark_put(struct db *db, MDB_txn *txn, const struct journal *j,
                              uint64_t mark)
{
    char name[MARK_NAME_MAX];
    mark_name(name, j);
    return db_meta_put(db, txn, name, mark);
}

enum store_rc fold_mark_get(struct db *db, MDB_txn *txn, uint64_t generation,
                            struct fold_mark *mark)
{
    char name[MARK_NAME_MAX];
    uint64_t value;
    snprintf(name, sizeof(name), "%s%016" PRIx64, mark_prefix, generation);
    enum store_rc rc = db_meta_get(db, txn, name, &value);
    *mark = (struct fold_mark){.folded = value & MARK_SEQ, .done = value & mark_done,
                               .damaged = value & mark_damaged};
    return rc;
}

bool fold_mark_name(const void *name, size_t len, uint64_t *generation)
{
    char text[MARK_NAME_MAX], *end;
    size_t prefix = sizeof(mark_prefix) - 1;
    if (len != prefix + 16 || memcmp(name, mark_prefix, prefix) != 0) return false;
    memcpy(text, (const char *)name + prefix, 16);
    text[16] = '\0';
    *generation = strtoull(text, &end, 16);
    return end == text + 16;
}

static enum store_rc no_memory(struct db *db, const char *doing)
{
    return db_rc(db, ENOMEM, doing);
}

/* Count a row of a kind in its hour. */
static bool count(struct group *g, const struct record *r, uint32_t kind)
{
    if (kind >= g->sums_max) {
        size_t max = g->kinds.max;
        struct sums *sums = realloc(g->sums, max * sizeof(*sums));
        if (!sums) return false;
        memset(sums + g->sums_max, 0, (max - g->sums_max) * sizeof(*sums));
        g->sums = sums;
        g->sums_max = max;
    }
    struct sums *s = &g->sums[kind];
    uint64_t hour = r->admitted_unix_ns / LEDGER_HOUR_NS + 1;
    if (s->hour != hour) {
        uint8_t key[LEDGER_HOUR_KEY_MAX];
        if (!tallies_at(&g->hours, key, ledger_hour_key(key, r), &s->idx)) return false;
        s->hour = hour;
    }
    s->cost_nusd = tally_cost(s->cost_nusd, r->cost_nusd);
    return tally_record(&g->hours.entry[s->idx].tally, r);
}

/* Take a record in as a row and into its hour's sums. r borrows until the group ends. The
 * caller made sure that it is not in the store. */
static enum store_rc book(struct group *g, const struct record *r)
{
    struct block_row *row = &g->row[g->row_count];
    *row = block_row_of(r);
    if (!kinds_at(&g->kinds, r, &row->kind) || !count(g, r, row->kind)) {
        return no_memory(g->db, "add up an hour");
    }
    g->row_count++;
    return STORE_OK;
}

/* Take in what an hour's sums cost the units of its path, behind those from `first` on. Keys of
 * hours are sorted, so that a unit's follow one another, but for those of other levels. */
static size_t costs_take(struct spent_cost *cost, size_t count, size_t at[UNIT_KINDS],
                         const struct ledger_hour *hour, int64_t nusd)
{
    for (int k = 0; k < UNIT_KINDS; k++) {
        if (!hour->path[k]) continue;
        struct spent_cost *last = at[k] ? &cost[at[k] - 1] : NULL;
        if (last && last->target == hour->path[k] && last->hour == hour->hour) {
            last->nusd = tally_cost(last->nusd, nusd);
        } else {
            cost[count++] = (struct spent_cost){hour->path[k], (uint32_t)hour->hour, nusd};
            at[k] = count;
        }
    }
    return count;
}

/* Add what the group cost to the meters of all units and keys on its paths. The group's hours
 * are sorted, and hold nothing else yet. */
static enum store_rc spent_put(struct group *g)
{
    size_t count = 0, at[UNIT_KINDS] = {0};
    struct spent_cost *cost = malloc((g->hours.count + 1) * UNIT_KINDS * sizeof(*cost));
    if (!cost) return no_memory(g->db, "add up what was spent");
    for (size_t i = 0; i < g->hours.count; i++) {
        const struct tallies_entry *e = &g->hours.entry[i];
        struct ledger_hour hour;
        bool ours = ledger_hour_parse(e->key, e->key_len, &hour);
        assert(ours);
        if (e->tally.cost_nusd == 0) continue;
        count = costs_take(cost, count, at, &hour, e->tally.cost_nusd);
    }
    enum store_rc rc = spent_add(g->db, g->txn, cost, count);
    free(cost);
    return rc;
}

/* Take what prepaid rows of the group cost from their pools. Rows of a kind are of one path and
 * either all prepaid or none. */
static enum store_rc pools_put(struct group *g)
{
    size_t count = 0;
    struct credit_cost *cost = malloc((g->kinds.count + 1) * sizeof(*cost));
    if (!cost) return no_memory(g->db, "add up what pools spent");
    for (size_t i = 0; i < g->kinds.count; i++) {
        const struct record *r = g->kinds.record[i];
        if (!(r->flags & RECORD_PREPAID) || g->sums[i].cost_nusd == 0) continue;
        cost[count++] = (struct credit_cost){r->path[UNIT_ORGANIZATION], g->sums[i].cost_nusd};
    }
    enum store_rc rc = credits_spend(g->db, g->txn, cost, count);
    free(cost);
    return rc;
}

/* Add the group's sums to those in the store: one read and one write per distinct key, in
 * the order of the keys, so that a page is touched once. */
static enum store_rc hours_put(struct group *g)
{
    uint8_t written[TALLY_BYTES_MAX];
    for (size_t i = 0; i < g->hours.count; i++) {
        struct tallies_entry *e = &g->hours.entry[i];
        uint8_t name[LEDGER_HOUR_KEY_MAX];
        memcpy(name, e->key, e->key_len);
        MDB_val key = {e->key_len, name}, data;
        int code = mdb_get(g->txn, g->db->dbi[DB_HOURS], &key, &data);
        if (code != 0 && code != MDB_NOTFOUND) return db_rc(g->db, code, "read an hour");
        if (code == 0) {
            enum store_rc rc = tally_read(&e->tally, data.mv_data, data.mv_size);
            if (rc == STORE_FULL) return no_memory(g->db, "add up an hour");
            if (rc != STORE_OK) return db_damaged(g->db, "an hour's sums");
        }
        data = (MDB_val){tally_write(&e->tally, written), written};
        code = mdb_put(g->txn, g->db->dbi[DB_HOURS], &key, &data, 0);
        if (code != 0) return db_rc(g->db, code, "write an hour");
    }
    return STORE_OK;
}

/* All sums of a group. */
static enum store_rc sums_put(struct group *g)
{
    tallies_sort(&g->hours);
    enum store_rc rc = spent_put(g);
    if (rc == STORE_OK) rc = pools_put(g);
    return rc == STORE_OK ? hours_put(g) : rc;
}

/* Find the exchange that an outcome is about: in the store (this group's rows are there by
 * now), or among records that this group left in a ring. Else it is of a row that expired. */
static enum store_rc feedback_put(struct group *g, const struct record *r)
{
    store_id key = r->path[UNIT_KEY];
    size_t len = strnlen(r->request_id, RECORD_REQUEST_ID_MAX);
    struct record row;
    uint64_t exchange_id;
    enum store_rc rc = ledger_find(g->db, g->txn, key, r->request_id, len, &row);
    if (rc == STORE_OK) return ledger_put_feedback(g->db, g->txn, row.exchange_id, r);
    if (rc != STORE_NOT_FOUND) return rc;
    for (size_t i = 0; i < g->journal_count; i++) {
        if (!journal_find(g->journals[i], key, r->request_id, len, &exchange_id)) continue;
        return ledger_put_feedback(g->db, g->txn, exchange_id, r);
    }
    return STORE_OK;
}

/* A mark says exactly what of its file is in the store. Where none is, the file is new, or one
 * that was removed and came back: only then the store itself is asked. */
static enum store_rc is_fresh(struct group *g, const struct share *s, const struct record *r,
                              bool *fresh)
{
    *fresh = true;
    if (!g->recovering || (s->mark & MARK_SEQ)) return STORE_OK;
    enum store_rc rc = ledger_has(g->db, g->txn, r->admitted_unix_ns, r->exchange_id,
                                  block_part(r));
    *fresh = rc == STORE_NOT_FOUND;
    return rc == STORE_NOT_FOUND ? STORE_OK : rc;
}

/* Rows of one journal. Outcomes wait for the rows of all. What is unsound in an old file is
 * left out and remembered; in a mapping of our own, nothing is, or we are wrong. */
static enum store_rc share_take(struct group *g, struct share *s)
{
    uint64_t folded = s->mark & MARK_SEQ;
    for (size_t i = 0; i < s->count; i++) {
        const struct record *r = s->record[i];
        uint64_t seq = s->tail + 1 + i;
        bool fresh, sound = r->seq == seq && record_is_sound(r);
        assert(sound || g->recovering);
        if (!sound) s->mark |= mark_damaged;
        if (!sound || seq <= folded) {
            s->record[i] = NULL;
        } else if (r->kind != RECORD_FEEDBACK) {
            enum store_rc rc = is_fresh(g, s, r, &fresh);
            if (rc == STORE_OK && fresh) rc = book(g, r);
            if (rc != STORE_OK) return rc;
        }
    }
    return STORE_OK;
}

/* Everything of a group, inside its transaction. */
static enum store_rc group_put(struct group *g)
{
    enum store_rc rc = STORE_OK;
    for (size_t i = 0; rc == STORE_OK && i < g->journal_count; i++) {
        struct share *s = &g->share[i];
        if (s->count == 0) continue;
        rc = mark_get(g->db, g->txn, g->journals[i], &s->mark);
        if (rc == STORE_OK) rc = share_take(g, s);
    }
    if (rc == STORE_OK) rc = ledger_put(g->db, g->txn, &g->kinds, g->row, g->row_count);
    for (size_t i = 0; rc == STORE_OK && i < g->count; i++) {
        const struct record *r = g->record[i];
        if (r && r->kind == RECORD_FEEDBACK) rc = feedback_put(g, r);
    }
    if (rc == STORE_OK) rc = sums_put(g);
    for (size_t i = 0; rc == STORE_OK && i < g->journal_count; i++) {
        struct share *s = &g->share[i];
        uint64_t last = s->tail + s->count;
        if (s->count == 0 || last <= (s->mark & MARK_SEQ)) continue;
        rc = mark_put(g->db, g->txn, g->journals[i], (s->mark & ~MARK_SEQ) | last);
    }
    return rc;
}

/* Take what is due now: all, or where that is more than max, exactly max. Each journal gets a
 * fair part of it, and what the others do not need. What comes meanwhile waits: taken instead
 * of what was there, it would leave that behind. */
static enum store_rc group_take(struct group *g, size_t max)
{
    uint64_t rest = 0;          /* due in the journals behind this one */
    g->share = calloc(g->journal_count, sizeof(*g->share));
    if (!g->share) return no_memory(g->db, "take records");
    for (size_t i = 0; i < g->journal_count; i++) {
        g->share[i].count = journal_lag(g->journals[i]);
        rest += g->share[i].count;
    }
    if (rest < max) max = (size_t)rest;
    if (max == 0) return STORE_OK;
    g->record = malloc(max * sizeof(*g->record));
    g->row = malloc(max * sizeof(*g->row));
    if (!g->record || !g->row) return no_memory(g->db, "take records");
    g->kinds.seed = journal_generation(g->journals[0]);   /* random */
    for (size_t i = 0; i < g->journal_count; i++) {
        struct share *s = &g->share[i];
        size_t room = max - g->count, others = g->journal_count - i;
        size_t part = (room + others - 1) / others;
        rest -= s->count;
        if (room > rest && part < room - rest) part = room - (size_t)rest;
        if (part > s->count) part = s->count;
        s->record = g->record + g->count;
        s->tail = journal_tail(g->journals[i]);
        s->count = journal_peek(g->journals[i], s->record, part);
        assert(s->count == part);
        g->count += s->count;
    }
    assert(g->count == max);
    return STORE_OK;
}

static void group_fini(struct group *g)
{
    tallies_fini(&g->hours);
    kinds_fini(&g->kinds);
    free(g->sums);
    free(g->row);
    free(g->record);
    free(g->share);
}

/* Take up to max records and commit them. On STORE_OK, g->record are those committed, until
 * group_let_go moves the tails. group_fini in any case. */
static enum store_rc group_fold(struct group *g, size_t max)
{
    assert(max > 0);
    enum store_rc rc = group_take(g, max);
    if (rc != STORE_OK || g->count == 0) return rc;
    DEATH(before_commit);
    rc = db_begin(g->db, true, &g->txn);
    if (rc != STORE_OK) return rc;
    rc = MAYBE(commit_fails) ? STORE_FULL : group_put(g);
    if (rc == STORE_OK) rc = db_commit(g->db, g->txn);
    else db_abort(g->txn);
    g->txn = NULL;
    return rc;
}

/* What was committed may be written over. */
static void group_let_go(struct group *g)
{
    for (size_t i = 0; g->count > 0 && i < g->journal_count; i++) {
        struct share *s = &g->share[i];
        DEATH(committed);
        if (s->count > 0) journal_folded(g->journals[i], s->tail + s->count);
    }
}

enum store_rc fold_step(struct db *db, struct journal *const *journals, size_t count,
                        size_t max, void (*visit)(const struct record *r, void *arg),
                        void *arg, uint64_t *folded)
{
    assert(db && folded);
    assert(journals || count == 0);
    *folded = 0;
    if (count == 0 || max == 0) return STORE_OK;
    struct group g = {.db = db, .journals = journals, .journal_count = count};
    enum store_rc rc = group_fold(&g, max);
    if (rc == STORE_OK) {
        *folded = g.count;
        for (size_t i = 0; visit && i < g.count; i++) {
            if (g.record[i]) visit(g.record[i], arg);
        }
        group_let_go(&g);
    }
    group_fini(&g);
    return rc;
}

/* ---- recovery */

struct old {                    /* files that earlier runs left */
    struct db *db;
    struct journal **journal;
    char (*name)[NAME_MAX_BYTES];
    size_t count, max;
    size_t refused;             /* files that are none of ours; db->why tells of the first */
    uint64_t interrupted;
    uint16_t close_interrupted;
};

/* "core-" and a number: else the file is none that we wrote. */
bool fold_is_journal(const char *name)
{
    if (strncmp(name, "core-", 5) != 0) return false;
    size_t digits = strspn(name + 5, "0123456789");
    return digits > 0 && digits <= 10 && name[5 + digits] == '\0';
}

/* A file that was being made when its maker died. It never had its name, so no record. */
static bool is_unborn_name(const char *name)
{
    size_t len = strlen(name);
    if (len <= 4 || len >= NAME_MAX_BYTES || strcmp(name + len - 4, ".new") != 0) return false;
    char head[NAME_MAX_BYTES];
    snprintf(head, sizeof(head), "%.*s", (int)(len - 4), name);
    return fold_is_journal(head);
}

static enum store_rc old_add(struct old *o, const char *dir, const char *name)
{
    if (o->count == o->max) {
        size_t max = o->max ? o->max * 2 : 16;
        struct journal **journal = realloc(o->journal, max * sizeof(*journal));
        if (journal) o->journal = journal;
        void *names = realloc(o->name, max * sizeof(*o->name));
        if (names) o->name = names;
        if (!journal || !names) return no_memory(o->db, "recover a journal");
        o->max = max;
    }
    char path[DB_DIR_MAX + 64], why[JOURNAL_WHY_MAX];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    enum store_rc rc = journal_adopt(path, &o->journal[o->count], why);
    if (rc == STORE_OK) {
        snprintf(o->name[o->count++], NAME_MAX_BYTES, "%s", name);
    } else if (rc == STORE_REFUSED || rc == STORE_NOT_FOUND) {
        if (o->refused++ == 0) snprintf(o->db->why, sizeof(o->db->why), "%s", why);
        rc = STORE_OK;
    } else {
        snprintf(o->db->why, sizeof(o->db->why), "%s", why);
    }
    return rc;
}

static enum store_rc old_open(struct old *o, const char *path, DIR *dir)
{
    const struct dirent *entry;
    while (errno = 0, (entry = readdir(dir)) != NULL) {
        if (is_unborn_name(entry->d_name)) {
            if (unlinkat(dirfd(dir), entry->d_name, 0) < 0 && errno != ENOENT) {
                return db_rc(o->db, errno, "remove an unfinished journal");
            }
        } else if (fold_is_journal(entry->d_name)) {
            enum store_rc rc = old_add(o, path, entry->d_name);
            if (rc != STORE_OK) return rc;
        }
    }
    return errno ? db_rc(o->db, errno, "list the journals") : STORE_OK;
}

/* Let the tails stand where the store says, which may be ahead of what the files say. */
static enum store_rc old_rewind(struct old *o)
{
    MDB_txn *txn;
    enum store_rc rc = db_begin(o->db, false, &txn);
    if (rc != STORE_OK) return rc;
    for (size_t i = 0; rc == STORE_OK && i < o->count; i++) {
        uint64_t mark;
        rc = mark_get(o->db, txn, o->journal[i], &mark);
        if (rc == STORE_OK) journal_rewind(o->journal[i], mark & MARK_SEQ);
    }
    db_abort(txn);
    return rc;
}

static enum store_rc old_fold(struct old *o, uint64_t *recovered)
{
    for (;;) {
        struct group g = {.db = o->db, .journals = o->journal, .journal_count = o->count,
                          .recovering = true};
        enum store_rc rc = group_fold(&g, RECOVER_MAX);
        size_t taken = g.count;
        for (size_t i = 0; rc == STORE_OK && i < taken; i++) {
            *recovered += g.record[i] != NULL;
        }
        if (rc == STORE_OK) group_let_go(&g);
        group_fini(&g);
        if (rc != STORE_OK || taken == 0) return rc;
    }
}

/* Has the exchange another end? In the store: STORE_OK and *nth, of which attempt; or among
 * those of this group, then *nth is of nobody. STORE_NOT_FOUND. */
static enum store_rc end_find(const struct group *g, const struct record *r, unsigned *nth)
{
    struct record end;
    enum store_rc rc = ledger_get(g->db, g->txn, r->admitted_unix_ns, r->exchange_id,
                                  UINT32_MAX, &end);
    *nth = rc == STORE_OK ? end.nth : UINT8_MAX + 1u;
    for (size_t i = 0; rc == STORE_NOT_FOUND && i < g->row_count; i++) {
        if (g->row[i].part != UINT32_MAX || g->row[i].exchange_id != r->exchange_id) continue;
        rc = STORE_OK;
    }
    return rc;
}

/* An attempt of which nothing is known that costs. */
static bool is_idle(const struct record *r)
{
    uint64_t tokens = 0;
    for (int k = 0; k < TOKEN_KINDS; k++) tokens += r->tokens[k];
    return r->kind == RECORD_ATTEMPT && r->cost_nusd == 0 && tokens == 0;
}

/* What its attempt cost is in a record of its own. */
static void clear_cost(struct record *r)
{
    memset(r->tokens, 0, sizeof(r->tokens));
    memset(r->price, 0, sizeof(r->price));
    r->reasoning_tokens = 0;
    r->price_request = r->cost_nusd = 0;
    r->flags &= (uint8_t)~RECORD_FREE_PRICE;
}

/* Book a running exchange as it was last seen. A process may die between a record and what it
 * changes in the entry, so that both tell of the same, and nth says so:
 *   the end's record, then the entry is given back    -> this one is none
 *   an attempt's record, then the entry goes on       -> the cost is in there
 *   a twin runs as the request, its lead still does   -> of two, the second is an attempt */
static enum store_rc interrupt(struct old *o, struct group *g, struct record *r)
{
    assert(g->txn);
    unsigned nth;
    enum store_rc rc = STORE_NOT_FOUND;
    if (r->kind == RECORD_REQUEST) {
        rc = end_find(g, r, &nth);
        if (rc == STORE_OK && nth == r->nth) return STORE_OK;
        if (rc == STORE_OK) r->kind = RECORD_ATTEMPT;
        else if (rc != STORE_NOT_FOUND) return rc;
    }
    rc = ledger_has(g->db, g->txn, r->admitted_unix_ns, r->exchange_id, r->nth);
    if (rc != STORE_OK && rc != STORE_NOT_FOUND) return rc;
    if (rc == STORE_OK) clear_cost(r);
    if (is_idle(r)) return STORE_OK;
    r->flags |= RECORD_INTERRUPTED | RECORD_ESTIMATED;
    r->status = 499;
    r->close = o->close_interrupted;
    r->seq = 0;  /* of no ring */
    record_seal(r);
    return book(g, r);
}

/* Entries first..end-1 of a running table, in the group's transaction. */
static enum store_rc interrupt_some(struct old *o, struct group *g, const struct journal *j,
                                    uint32_t first, uint32_t end, uint64_t *mark)
{
    struct record *kept = malloc((end - first) * sizeof(*kept));
    g->row = malloc((end - first) * sizeof(*g->row));
    enum store_rc rc = kept && g->row ? STORE_OK : no_memory(g->db, "recover a journal");
    for (uint32_t slot = first; rc == STORE_OK && slot < end; slot++) {
        struct record *r = &kept[g->row_count];
        enum journal_slot found = journal_running(j, slot, r);
        /* A torn entry is what a machine restart may leave, and nothing can be booked of it. */
        if (found == SLOT_DAMAGED) *mark |= mark_damaged;
        if (found == SLOT_RUNNING) rc = interrupt(o, g, r);
    }
    o->interrupted += g->row_count;
    if (rc == STORE_OK) rc = ledger_put(g->db, g->txn, &g->kinds, g->row, g->row_count);
    if (rc == STORE_OK) rc = sums_put(g);
    free(kept);
    if (end == journal_running_max(j)) *mark |= mark_done;
    return rc == STORE_OK ? mark_put(g->db, g->txn, j, *mark) : rc;
}

/* The running table of one journal, whose ring is folded. */
static enum store_rc old_interrupt(struct old *o, const struct journal *j)
{
    enum store_rc rc = STORE_OK;
    uint32_t end, max = journal_running_max(j);
    for (uint32_t first = 0; rc == STORE_OK && first < max; first = end) {
        end = max - first < RECOVER_MAX ? max : first + RECOVER_MAX;
        struct group g = {.db = o->db};
        uint64_t mark, before = o->interrupted;
        rc = db_begin(o->db, true, &g.txn);
        if (rc != STORE_OK) return rc;
        rc = mark_get(o->db, g.txn, j, &mark);
        bool done = rc == STORE_OK && (mark & mark_done);
        if (rc == STORE_OK && !done) rc = interrupt_some(o, &g, j, first, end, &mark);
        if (rc == STORE_OK && !done) rc = db_commit(o->db, g.txn);
        else db_abort(g.txn);
        if (rc != STORE_OK) o->interrupted = before;
        group_fini(&g);
        if (done) break;
    }
    return rc;
}

/* Remove the files; one in which something was unsound is kept under a name that nobody
 * reads, as evidence, and db->why tells of it. Then make that last. */
static enum store_rc old_remove(struct old *o, int dir_fd)
{
    MDB_txn *txn;
    enum store_rc rc = db_begin(o->db, false, &txn);
    if (rc != STORE_OK) return rc;
    for (size_t i = 0; rc == STORE_OK && i < o->count; i++) {
        uint64_t mark;
        rc = mark_get(o->db, txn, o->journal[i], &mark);
        if (rc != STORE_OK) break;
        assert(mark & mark_done);
        int failed;
        if ((mark & mark_damaged) && journal_same_boot(o->journal[i])) {
            char kept[NAME_MAX_BYTES + 32];
            snprintf(kept, sizeof(kept), "%s.damaged-%016" PRIx64, o->name[i],
                     journal_generation(o->journal[i]));
            failed = renameat(dir_fd, o->name[i], dir_fd, kept);
            if (o->refused == 0) {
                snprintf(o->db->why, sizeof(o->db->why),
                         "journal/%s: some records are damaged and were left out; the file is "
                         "kept as journal/%s", o->name[i], kept);
            }
        } else {
            failed = unlinkat(dir_fd, o->name[i], 0);
        }
        if (failed < 0 && errno != ENOENT) rc = db_rc(o->db, errno, "remove a journal");
    }
    db_abort(txn);
    if (rc == STORE_OK && fsync(dir_fd) < 0) rc = db_rc(o->db, errno, "sync the journals");
    return rc;
}

/* Forget the marks of files that are gone for good: all, for recovery leaves none. */
enum store_rc fold_forget(struct db *db)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    enum store_rc rc = db_begin(db, true, &txn);
    if (rc != STORE_OK) return rc;
    int code = mdb_cursor_open(txn, db->dbi[DB_META], &cursor);
    size_t len = sizeof(mark_prefix) - 1, deleted = 0;
    while (code == 0) {
        char from[sizeof(mark_prefix)];
        memcpy(from, mark_prefix, sizeof(from));
        MDB_val key = {len, from}, data;
        code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
        if (code != 0 || key.mv_size < len || memcmp(key.mv_data, mark_prefix, len) != 0) break;
        code = mdb_cursor_del(cursor, 0);
        deleted++;
    }
    if (code != 0 && code != MDB_NOTFOUND) {
        db_abort(txn);
        return db_rc(db, code, "forget folded journals");
    }
    mdb_cursor_close(cursor);
    if (deleted > 0) return db_commit(db, txn);
    db_abort(txn);
    return STORE_OK;
}

static enum store_rc old_recover(struct old *o, const char *path, DIR *dir,
                                 uint64_t *recovered)
{
    enum store_rc rc = old_open(o, path, dir);
    if (rc == STORE_OK) rc = old_rewind(o);
    if (rc == STORE_OK && o->count > 0) rc = old_fold(o, recovered);
    for (size_t i = 0; rc == STORE_OK && i < o->count; i++) {
        rc = old_interrupt(o, o->journal[i]);
    }
    if (rc == STORE_OK) rc = old_remove(o, dirfd(dir));
    if (rc == STORE_OK && o->refused > 0) return STORE_FAIL;
    if (rc == STORE_OK) rc = fold_forget(o->db);
    return rc;
}

enum store_rc fold_recover(struct db *db, uint16_t close_interrupted, uint64_t *recovered,
                           uint64_t *interrupted)
{
    assert(db && recovered && interrupted);
    assert(close_interrupted != RECORD_CLOSE_DONE);
    *recovered = 0;
    *interrupted = 0;
    db->why[0] = '\0';
    char path[DB_DIR_MAX + 16];
    snprintf(path, sizeof(path), "%s/journal", db->dir);
    DIR *dir = opendir(path);
    if (!dir && errno == ENOENT) return STORE_OK;
    if (!dir) return db_rc(db, errno, "open the journals");
    struct old o = {.db = db, .close_interrupted = close_interrupted};
    enum store_rc rc = old_recover(&o, path, dir, recovered);
    *interrupted = o.interrupted;
    for (size_t i = 0; i < o.count; i++) journal_drop(o.journal[i]);
    free(o.journal);
    free(o.name);
    closedir(dir);
    return rc;
}

/* ---- retention */

static enum store_rc hours_expire(struct db *db, MDB_txn *txn, uint64_t before_unix_ns,
                                  size_t max, uint64_t *deleted)
{
    MDB_cursor *cursor;
    uint64_t kept = 0;
    int code = mdb_cursor_open(txn, db->dbi[DB_HOURS], &cursor);
    for (size_t n = 0; code == 0 && n < max; n++) {
        MDB_val key, data;
        struct ledger_hour hour;
        code = mdb_cursor_get(cursor, &key, &data, MDB_FIRST);
        if (code != 0) break;
        if (!ledger_hour_parse(key.mv_data, key.mv_size, &hour)) {
            return db_damaged(db, "the key of an hour");
        }
        if ((hour.hour + 1) * LEDGER_HOUR_NS > before_unix_ns) break;
        code = mdb_cursor_del(cursor, 0);
        *deleted += code == 0;
        kept = hour.hour + 1;
    }
    if (code != 0 && code != MDB_NOTFOUND) return db_rc(db, code, "delete old hours");
    return kept ? ledger_mark_kept(db, txn, LEDGER_HOURS_KEPT, kept) : STORE_OK;
}

/* The hour of which and before which no reading of a meter is needed: aggregates of it are
 * gone, and no window that holds the newest hour reaches that far. */
static enum store_rc readings_before(struct db *db, MDB_txn *txn, uint32_t *before)
{
    MDB_cursor *cursor;
    uint64_t kept;
    MDB_val key, data;
    struct ledger_hour newest = {.hour = 0};
    *before = 0;
    int code = mdb_cursor_open(txn, db->dbi[DB_HOURS], &cursor);
    if (code == 0) {
        code = mdb_cursor_get(cursor, &key, &data, MDB_LAST);
        bool good = code != 0 || ledger_hour_parse(key.mv_data, key.mv_size, &newest);
        mdb_cursor_close(cursor);
        if (!good) return db_damaged(db, "the key of an hour");
    }
    if (code == MDB_NOTFOUND) return STORE_OK;
    enum store_rc rc = db_rc(db, code, "look for the newest hour");
    if (rc != STORE_OK || newest.hour < SPENT_HOURS_MIN) return rc;
    rc = db_meta_get(db, txn, LEDGER_HOURS_KEPT, &kept);
    uint64_t safe = newest.hour - SPENT_HOURS_MIN;
    if (rc == STORE_OK) *before = (uint32_t)(kept < safe ? kept : safe);
    return rc;
}

enum store_rc fold_expire(struct db *db, uint64_t rows_before_unix_ns,
                          uint64_t hours_before_unix_ns, size_t max, uint64_t *deleted)
{
    assert(db && deleted);
    *deleted = 0;
    MDB_txn *txn;
    enum store_rc rc = db_begin(db, true, &txn);
    if (rc != STORE_OK) return rc;
    uint64_t count = 0;
    uint32_t before;
    rc = ledger_expire(db, txn, rows_before_unix_ns, max, &count);
    if (rc == STORE_OK) rc = hours_expire(db, txn, hours_before_unix_ns, max, &count);
    if (rc == STORE_OK) rc = readings_before(db, txn, &before);
    if (rc == STORE_OK) rc = spent_expire(db, txn, before, LOOKS * max, max, &count);
    if (rc != STORE_OK || count == 0) {
        db_abort(txn);
        return rc;
    }
    rc = db_commit(db, txn);
    if (rc == STORE_OK) *deleted = count;
    return rc;
}
