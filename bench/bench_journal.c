/* bench_journal.c - what the journal costs a core: a whole exchange (begin and end), an update,
 * an attempt, the checksum; and what folding costs the store thread per record. Nanoseconds,
 * best and median of several rounds, since the machine is shared. The data lies in a directory
 * of its own under TMPDIR and is removed. */
#include "store/crc.h"
#include "store/fold.h"
#include "store/journal.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 101, FOLD_ROUNDS = 11, RUNNING = 1024, RING = 16384, CALLS = 4000 };

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void print_figure(const char *what, uint64_t *ns, size_t rounds, unsigned calls)
{
    qsort(ns, rounds, sizeof(*ns), by_number);
    uint64_t best = ns[0] * 10 / calls, median = ns[rounds / 2] * 10 / calls;
    printf("journal: %-34s best %4llu.%llu ns, median %4llu.%llu ns\n", what,
           (unsigned long long)best / 10, (unsigned long long)best % 10,
           (unsigned long long)median / 10, (unsigned long long)median % 10);
}

static struct record record_of(void)
{
    struct record r;
    memset(&r, 0, sizeof(r));
    r.admitted_unix_ns = UINT64_C(1790000000000000000);
    for (int k = 0; k < UNIT_KINDS; k++) r.path[k] = (store_id)(k + 1) << 56 | 1;
    r.status = 200;
    r.close = RECORD_CLOSE_DONE;
    r.ttft_us = 250000;
    snprintf(r.model, sizeof(r.model), "openai/gpt-5.4-mini");
    snprintf(r.tags, sizeof(r.tags), "team=search,job=index");
    return r;
}

static void drain(struct journal *j)
{
    journal_folded(j, journal_tail(j) + journal_lag(j));
}

enum what { EXCHANGE, ATTEMPT, UPDATE, WHATS };

static uint64_t time_calls(struct journal *j, enum what what)
{
    struct record r = record_of();
    uint32_t slot = journal_begin(j, &r);
    uint64_t begin = now_ns();
    for (unsigned i = 0; i < CALLS; i++) {
        r.cost_nusd++;
        if (what == ATTEMPT) journal_attempt(j, &r);
        else if (what == UPDATE) journal_update(j, slot, &r);
        else journal_end(j, journal_begin(j, &r), &r);
    }
    uint64_t took = now_ns() - begin;
    journal_end(j, slot, &r);
    drain(j);
    return took;
}

static void bench_core(struct journal *j)
{
    static const char *const names[WHATS] = {
        [EXCHANGE] = "begin and end", [ATTEMPT] = "append",
        [UPDATE] = "update of a running one"};
    uint64_t ns[ROUNDS];
    for (int what = 0; what < WHATS; what++) {
        for (int i = 0; i < ROUNDS; i++) ns[i] = time_calls(j, (enum what)what);
        print_figure(names[what], ns, ROUNDS, CALLS);
    }
}

static void bench_crc(void)
{
    uint64_t ns[ROUNDS];
    uint32_t sink = 0;
    for (int way = 0; way < 2; way++) {
        struct record r = record_of();
        for (int i = 0; i < ROUNDS; i++) {
            uint64_t begin = now_ns();
            for (unsigned k = 0; k < CALLS; k++) {
                r.seq += sink & 1;   /* each waits for the one before */
                sink = way ? crc32c_table(&r, 508) : crc32c(&r, 508);
            }
            ns[i] = now_ns() - begin;
        }
        print_figure(way ? "checksum of a record, by table" : "checksum of a record", ns,
                     ROUNDS, CALLS);
    }
}

static void bench_fold(struct db *db, struct journal *j)
{
    uint64_t ns[FOLD_ROUNDS], exchange = 0;
    for (int i = 0; i < FOLD_ROUNDS; i++) {
        struct record r = record_of();
        for (unsigned k = 0; k < CALLS; k++) {
            r.exchange_id = ++exchange;
            r.admitted_unix_ns += 10000;
            r.path[UNIT_KEY] = (store_id)5 << 56 | (1 + exchange % 100);
            snprintf(r.request_id, sizeof(r.request_id), "req-%llu",
                     (unsigned long long)exchange);
            journal_end(j, journal_begin(j, &r), &r);
        }
        uint64_t folded, begin = now_ns();
        if (fold_step(db, &j, 1, CALLS, NULL, NULL, &folded) != STORE_OK || folded != CALLS) {
            fprintf(stderr, "journal: %s\n", db->why);
            exit(1);
        }
        ns[i] = now_ns() - begin;
    }
    print_figure("fold, each of 4,000 in one commit", ns, FOLD_ROUNDS, CALLS);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

int main(void)
{
    char dir[512], why[JOURNAL_WHY_MAX];
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof(dir), "%s/weir-bench-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    struct db *db = calloc(1, sizeof(*db));
    struct journal *j;
    if (!db || !mkdtemp(dir) || db_open(db, dir, (size_t)1 << 30) != STORE_OK) return 1;
    if (journal_open(dir, 0, RUNNING, RING, &j, why) != STORE_OK) {
        fprintf(stderr, "journal: %s\n", why);
        return 1;
    }
    bench_crc();
    bench_core(j);
    bench_fold(db, j);
    journal_close(j);
    db_close(db);
    free(db);
    return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : 1;
}
