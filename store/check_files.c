/* check_files.c - journals of an instance that does not run: what recovery will find.
 *
 *   0 ... tail ... mark ........ head
 *          folded | not folded: sound, contiguous, not in the store
 *
 * The mark is the store's word on a file; the tail follows it. After a restart of the machine
 * the file's own ends mean nothing, and the records that count are the sound ones in a row.
 * The rule: each record is in the store or behind the mark, never in both. */
#include "store/check_part.h"

#include "store/block.h"
#include "store/fold.h"
#include "store/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool end_push(struct check_end **ends, size_t *count, size_t *max,
                     const struct record *r)
{
    if (*count == *max) {
        size_t more = *max ? *max * 2 : 256;
        struct check_end *grown = realloc(*ends, more * sizeof(**ends));
        if (!grown) return false;
        *ends = grown;
        *max = more;
    }
    (*ends)[(*count)++] = (struct check_end){r->exchange_id, r->nth};
    return true;
}

static int by_id(const void *left, const void *right)
{
    const struct check_end *a = left, *b = right;
    return (a->exchange_id > b->exchange_id) - (a->exchange_id < b->exchange_id);
}

static int by_id_and_nth(const void *left, const void *right)
{
    const struct check_end *a = left, *b = right;
    int order = by_id(left, right);
    return order ? order : (a->nth > b->nth) - (a->nth < b->nth);
}

static bool end_has(const struct check_end *ends, size_t count, uint64_t id)
{
    struct check_end want = {.exchange_id = id};
    return count > 0 && bsearch(&want, ends, count, sizeof(*ends), by_id) != NULL;
}

bool check_files_have(const struct check *c, uint64_t exchange_id)
{
    return end_has(c->ended, c->ended_count, exchange_id) ||
           end_has(c->running, c->running_count, exchange_id);
}

/* ---- one file */

/* Ends against the mark, before recovery's view is taken. */
static void ends_check(struct check *c, const struct check_file *f)
{
    uint64_t tail = journal_tail(f->journal), head = tail + journal_lag(f->journal);
    if (!f->same_boot) return;
    if (tail > f->folded) {
        check_say(c, "journal/%s: expected at most %" PRIu64 " records given up, as many as "
                  "the store has folded, found %" PRIu64, f->name, f->folded, tail);
    }
    if (f->folded > head) {
        check_say(c, "journal/%s: expected %" PRIu64 " records, as many as the store has "
                  "folded, found %" PRIu64, f->name, f->folded, head);
    }
}

/* A record behind the mark: not in the store, unless the file came back after the store had
 * forgotten it; recovery asks then too. */
static enum store_rc row_check(struct check *c, const struct check_file *f,
                               const struct record *r, uint64_t seq)
{
    enum store_rc rc = ledger_has(c->db, c->txn, r->admitted_unix_ns, r->exchange_id,
                                  block_part(r));
    if (rc == STORE_OK && f->known) {
        check_say(c, "journal/%s: record %" PRIu64 ": exchange %" PRIx64 ": expected no row of "
                  "it in the store before it is folded, found one", f->name, seq,
                  r->exchange_id);
    }
    if (rc == STORE_FAIL) {
        check_say(c, "journal/%s: record %" PRIu64 ": its row cannot be looked for: %s",
                  f->name, seq, c->db->why);
    }
    if (rc != STORE_NOT_FOUND || r->kind != RECORD_REQUEST) return STORE_OK;
    bool ok = end_push(&c->ended, &c->ended_count, &c->ended_max, r);
    return ok ? STORE_OK : check_no_memory(c);
}

static enum store_rc ring_check(struct check *c, const struct check_file *f)
{
    enum { SOME = 1024 };
    const struct record *some[SOME];
    enum store_rc rc = STORE_OK;
    journal_rewind(f->journal, f->folded);
    uint64_t seq = journal_tail(f->journal);
    for (size_t count; (count = journal_peek(f->journal, some, SOME)) > 0;) {
        for (size_t i = 0; rc == STORE_OK && i < count; i++) {
            const struct record *r = some[i];
            seq++;
            if (!record_is_sound(r)) {
                check_say(c, "journal/%s: record %" PRIu64 ": expected its checksum, found "
                          "another: it is damaged", f->name, seq);
            } else if (r->seq != seq) {
                check_say(c, "journal/%s: record %" PRIu64 ": expected that sequence number, "
                          "found %" PRIu64, f->name, seq, r->seq);
            } else if (r->kind != RECORD_FEEDBACK) {
                rc = row_check(c, f, r, seq);
            }
        }
        if (rc != STORE_OK) return rc;
        journal_folded(f->journal, seq);
    }
    return STORE_OK;
}

/* Entries of the running table that recovery will book as requests. One whose end is a record
 * is none; of two of an exchange, a twin that takes over and its lead, one will be. */
static enum store_rc running_check(struct check *c, const struct check_file *f)
{
    for (uint32_t slot = 0; slot < journal_running_max(f->journal); slot++) {
        struct record r;
        enum journal_slot found = journal_running(f->journal, slot, &r);
        if (found == SLOT_DAMAGED && f->same_boot) {
            check_say(c, "journal/%s: running exchange in slot %u: expected a sound record, "
                      "found none", f->name, slot);
        }
        if (found != SLOT_RUNNING || r.kind != RECORD_REQUEST) continue;
        enum store_rc rc = ledger_has(c->db, c->txn, r.admitted_unix_ns, r.exchange_id,
                                      block_part(&r));
        if (rc == STORE_OK || end_has(c->ended, c->ended_count, r.exchange_id)) continue;
        if (!end_push(&c->running, &c->running_count, &c->running_max, &r)) {
            return check_no_memory(c);
        }
    }
    return STORE_OK;
}

/* ---- all of them */

static enum store_rc file_open(struct check *c, const char *dir, const char *name)
{
    if (c->file_count == c->file_max) {
        size_t max = c->file_max ? c->file_max * 2 : 16;
        struct check_file *file = realloc(c->file, max * sizeof(*file));
        if (!file) return check_no_memory(c);
        c->file = file;
        c->file_max = max;
    }
    char path[DB_DIR_MAX + 300], why[JOURNAL_WHY_MAX];
    struct check_file *f = &c->file[c->file_count];
    *f = (struct check_file){.journal = NULL};
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    snprintf(f->name, sizeof(f->name), "%.31s", name);
    if (journal_view(path, &f->journal, why) != STORE_OK) {
        check_say(c, "%s", why);
        return STORE_OK;
    }
    c->file_count++;
    f->generation = journal_generation(f->journal);
    f->same_boot = journal_same_boot(f->journal);
    for (size_t i = 0; i + 1 < c->file_count; i++) {
        if (c->file[i].generation != f->generation) continue;
        check_say(c, "journal/%s: expected a file of its own, found a copy of journal/%s",
                  f->name, c->file[i].name);
    }
    return STORE_OK;
}

static enum store_rc files_open(struct check *c)
{
    char path[DB_DIR_MAX + 16];
    snprintf(path, sizeof(path), "%s/journal", c->db->dir);
    DIR *dir = opendir(path);
    if (!dir && errno == ENOENT) return STORE_OK;
    if (!dir) return db_rc(c->db, errno, "open the journals");
    enum store_rc rc = STORE_OK;
    const struct dirent *entry;
    while (errno = 0, rc == STORE_OK && (entry = readdir(dir)) != NULL) {
        if (fold_is_journal(entry->d_name)) rc = file_open(c, path, entry->d_name);
    }
    if (rc == STORE_OK && errno) rc = db_rc(c->db, errno, "list the journals");
    closedir(dir);
    return rc;
}

/* A mark whose file is gone is one that recovery had done with. */
static enum store_rc mark_visit(struct check *c, MDB_val key, MDB_val data, void *arg)
{
    uint64_t generation;
    struct fold_mark mark;
    (void)data, (void)arg;
    if (!fold_mark_name(key.mv_data, key.mv_size, &generation)) return STORE_OK;
    enum store_rc rc = fold_mark_get(c->db, c->txn, generation, &mark);
    if (rc != STORE_OK) return rc;
    for (size_t i = 0; i < c->file_count; i++) {
        struct check_file *f = &c->file[i];
        if (f->generation != generation) continue;
        f->known = true;
        f->folded = mark.folded;
        f->done = mark.done;
        return STORE_OK;
    }
    if (!mark.done) {
        check_say(c, "journal %016" PRIx64 ": expected the file of which %" PRIu64 " records "
                  "were folded, found none", generation, mark.folded);
    }
    return STORE_OK;
}

static void twice_check(struct check *c, const struct check_end *ends, size_t count,
                        int (*order)(const void *left, const void *right), const char *what)
{
    for (size_t i = 1; i < count; i++) {
        if (order(&ends[i], &ends[i - 1]) != 0) continue;
        check_say(c, "journals: exchange %" PRIx64 ": expected one %s, found two",
                  ends[i].exchange_id, what);
    }
}

enum store_rc check_files(struct check *c)
{
    enum store_rc rc = files_open(c);
    if (rc == STORE_OK) rc = check_table(c, DB_META, mark_visit, NULL);
    for (size_t i = 0; rc == STORE_OK && i < c->file_count; i++) {
        ends_check(c, &c->file[i]);
        rc = ring_check(c, &c->file[i]);
    }
    if (c->ended_count) qsort(c->ended, c->ended_count, sizeof(*c->ended), by_id);
    for (size_t i = 0; rc == STORE_OK && i < c->file_count; i++) {
        if (!c->file[i].done) rc = running_check(c, &c->file[i]);
    }
    if (c->running_count) qsort(c->running, c->running_count, sizeof(*c->running),
                                by_id_and_nth);
    if (rc != STORE_OK) return rc;
    twice_check(c, c->ended, c->ended_count, by_id, "end");
    twice_check(c, c->running, c->running_count, by_id_and_nth, "running entry");
    return STORE_OK;
}

void check_files_fini(struct check *c)
{
    for (size_t i = 0; i < c->file_count; i++) journal_drop(c->file[i].journal);
    free(c->file);
    free(c->ended);
    free(c->running);
}
