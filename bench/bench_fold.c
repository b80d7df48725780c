/* bench_fold.c - what the ledger costs the store thread for each record: processor time, split
 * into user and system, with and without waiting for the disk, and bytes on the disk.
 * Two worlds: `few` is 8 keys and 2 models, as in a load test; `many` is 1,000 keys, 12 models,
 * tags, streams, attempts that failed, and answers that took up to a minute, so that one group
 * holds rows of many spans. Groups are as large as 50 ms are at 5,000 and 50,000 records/s.
 * `best` is the cheapest group: what remains when nobody else is on the machine. Then questions
 * to a million rows, and a check of them. The data lies in a directory below TMPDIR (/tmp) and
 * is removed. Arguments: how many groups a figure (40), and one world's name for that one
 * alone, without the questions. */
#include "store/check.h"
#include "store/fold.h"
#include "store/limits.h"
#include "store/spent.h"
#include "store/usage.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

enum { RUNNING = 64, RING = 32768, LETTERS = 24, ROWS = 1000000 };

struct world {
    const char *name;
    uint32_t keys, models;
    bool mixed;                 /* tags, streams, attempts, long answers */
};

struct bench {
    struct db *db;
    struct journal *journal;
    uint64_t seed, exchange, unix_ns;
};

struct cost { uint64_t cpu_ns, system_us, wall_ns, best_ns; };   /* best_ns: of a group */

static uint32_t draw(struct bench *b, uint32_t below)
{
    b->seed = b->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((b->seed >> 33) % below);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t us_of(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

/* As the gateway makes them: 9 digits of milliseconds, 15 of chance. */
static void make_id(struct bench *b, uint64_t unix_ns, char out[RECORD_REQUEST_ID_MAX])
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuv";
    uint64_t ms = unix_ns / 1000000;
    memcpy(out, "req_", 4);
    for (int i = 8; i >= 0; i--, ms >>= 5) out[4 + i] = letters[ms & 31];
    for (int i = 9; i < LETTERS; i++) out[4 + i] = letters[draw(b, 32)];
}

static struct record make_record(struct bench *b, const struct world *w)
{
    struct record r;
    uint32_t key = draw(b, 1 + draw(b, w->keys));        /* some keys are busier */
    uint32_t model = (key + draw(b, 2)) % w->models;     /* a key keeps to two models */
    memset(&r, 0, sizeof(r));
    r.exchange_id = (uint64_t)1 << 48 | ++b->exchange;
    uint64_t took_us = w->mixed ? (uint64_t)1000 << draw(b, 16) : 900 + draw(b, 4000);
    r.admitted_unix_ns = b->unix_ns - took_us * 1000;
    r.path[UNIT_ORGANIZATION] = store_id_make(UNIT_ORGANIZATION, 1);
    r.path[UNIT_TEAM] = store_id_make(UNIT_TEAM, 1 + key / 50);
    r.path[UNIT_MEMBER] = store_id_make(UNIT_MEMBER, 1 + key / 4);
    r.path[UNIT_KEY] = store_id_make(UNIT_KEY, 1 + key);
    r.tokens[TOKEN_INPUT] = 50 + draw(b, 4000);
    if (draw(b, 3) == 0) r.tokens[TOKEN_CACHED] = draw(b, 2000);
    r.tokens[TOKEN_OUTPUT] = 1 + draw(b, 1000);
    r.price[TOKEN_INPUT] = 250000 * (int64_t)(model + 1);
    r.price[TOKEN_CACHED] = 25000 * (int64_t)(model + 1);
    r.price[TOKEN_OUTPUT] = 2000000 * (int64_t)(model + 1);
    for (int k = 0; k < TOKEN_KINDS; k++) r.cost_nusd += r.price[k] * r.tokens[k] / 1000;
    r.status = 200;
    r.close = RECORD_CLOSE_DONE;
    r.attempts = 1;
    r.duration_us = (uint32_t)took_us;
    r.ttft_us = (uint32_t)took_us / 2;
    snprintf(r.model, sizeof(r.model), "provider%u/some-model-%u", model % 4, model);
    make_id(b, r.admitted_unix_ns, r.request_id);
    if (!w->mixed) return r;
    if (draw(b, 2)) r.flags = RECORD_STREAM;
    if (draw(b, 50) == 0) r.status = 502, r.close = 7, r.attempts = 3, r.fallbacks = 2;
    if (draw(b, 4) == 0) snprintf(r.tags, sizeof(r.tags), "job=index,team=%u", draw(b, 5));
    return r;
}

static void fill(struct bench *b, const struct world *w, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct record r = make_record(b, w);
        b->unix_ns += 20000;
        journal_end(b->journal, journal_begin(b->journal, &r), &r);
    }
}

static void fold_group(struct bench *b, unsigned count, struct cost *cost)
{
    struct rusage before, after;
    uint64_t folded, begin = now_ns(), cpu = cpu_ns();
    getrusage(RUSAGE_THREAD, &before);
    enum store_rc rc = fold_step(b->db, &b->journal, 1, count, NULL, NULL, &folded);
    getrusage(RUSAGE_THREAD, &after);
    if (rc != STORE_OK || folded != count) {
        fprintf(stderr, "fold: %s\n", b->db->why);
        exit(1);
    }
    cost->system_us += us_of(after.ru_stime) - us_of(before.ru_stime);
    cpu = cpu_ns() - cpu;
    cost->cpu_ns += cpu;
    if (cost->best_ns == 0 || cpu < cost->best_ns) cost->best_ns = cpu;
    cost->wall_ns += now_ns() - begin;
}

static uint64_t store_bytes(const struct bench *b)
{
    MDB_envinfo info;
    mdb_env_info(b->db->env, &info);
    return ((uint64_t)info.me_last_pgno + 1) * 4096;
}

static void bench_groups(struct bench *b, const struct world *w, unsigned size, unsigned groups,
                         bool sync)
{
    struct cost cost = {.cpu_ns = 0};
    mdb_env_set_flags(b->db->env, MDB_NOSYNC, !sync);
    uint64_t before = store_bytes(b);
    for (unsigned i = 0; i < groups; i++) {
        fill(b, w, size);
        fold_group(b, size, &cost);
    }
    mdb_env_set_flags(b->db->env, MDB_NOSYNC, 0);
    double records = (double)size * groups;
    double cpu = (double)cost.cpu_ns / 1000 / records;
    printf("fold: %-4s groups of %4u%s  cpu %5.3f us (about %5.3f in the kernel), "
           "best %5.3f us; wall %6.3f us; %4.0f bytes a record\n", w->name, size,
           sync ? "        " : ", nosync", cpu, (double)cost.system_us / records,
           (double)cost.best_ns / 1000 / size,
           (double)cost.wall_ns / 1000 / records, (double)(store_bytes(b) - before) / records);
}

/* What cells are built from at start: 10,000 limits of all windows. */
static void bench_windows(struct bench *b)
{
    enum { LIMITS = 10000 };
    MDB_txn *txn;
    int64_t nusd, all = 0;
    uint32_t hour = (uint32_t)(b->unix_ns / UINT64_C(3600000000000));
    if (db_begin(b->db, false, &txn) != STORE_OK) exit(1);
    uint64_t begin = cpu_ns();
    for (int i = 0; i < LIMITS; i++) {
        store_id key = store_id_make(UNIT_KEY, 1 + (uint64_t)i % 1000);
        uint32_t from = window_first_hour((enum window)(i / 1000 % WINDOWS), hour);
        if (spent_between(b->db, txn, key, from, UINT32_MAX, &nusd) != STORE_OK) exit(1);
        all += nusd;
    }
    printf("ask:  %-42s %8.3f ms cpu, %lld nano-dollars\n", "what 10,000 limits have spent",
           (double)(cpu_ns() - begin) / 1e6, (long long)all);
    db_abort(txn);
}

static void print_line(const char *line, void *arg)
{
    (void)arg;
    printf("check: %s\n", line);
}

static void bench_check(const char *dir)
{
    struct check_found found;
    char why[CHECK_WHY_MAX];
    uint64_t begin = now_ns(), cpu = cpu_ns();
    if (check_ledger(dir, print_line, NULL, &found, why) != STORE_OK || found.violations) {
        fprintf(stderr, "check: %s\n", why);
        exit(1);
    }
    printf("check: --ledger of all that: %.2f s, cpu %.2f s\n",
           (double)(now_ns() - begin) / 1e9, (double)(cpu_ns() - cpu) / 1e9);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static void count_rows(struct bench *b, const struct world *w)
{
    struct cost cost = {.cpu_ns = 0};
    for (unsigned done = 0; done < ROWS; done += 10000) {
        fill(b, w, 10000);
        fold_group(b, 10000, &cost);
    }
    printf("fold: %-4s a million rows in groups of 10,000: cpu %.3f us a record\n", w->name,
           (double)cost.cpu_ns / 1000 / ROWS);
}

static bool see_usage(const struct usage_row *row, void *arg)
{
    *(uint64_t *)arg += row->requests;
    return true;
}

static bool see_request(const struct request_row *row, void *arg)
{
    (void)row;
    return --*(uint64_t *)arg > 0;
}

static void ask(struct bench *b, const char *what, struct usage_ask q, uint64_t limit)
{
    MDB_txn *txn;
    uint64_t seen = limit, begin = now_ns();
    if (db_begin(b->db, false, &txn) != STORE_OK) exit(1);
    enum store_rc rc = limit ? usage_requests(b->db, txn, &q, NULL, see_request, &seen)
                             : usage_query(b->db, txn, &q, see_usage, &seen);
    if (rc != STORE_OK) exit(1);
    db_abort(txn);
    printf("ask:  %-42s %8.3f ms, %llu rows\n", what, (double)(now_ns() - begin) / 1e6,
           (unsigned long long)(limit ? limit - seen : seen));
}

static void bench_questions(struct bench *b)
{
    uint64_t end = b->unix_ns, from = end - UINT64_C(20000) * ROWS;
    ask(b, "usage by key, all hours", (struct usage_ask){.group_by = GROUP_KEY}, 0);
    ask(b, "usage by key, from rows alone", (struct usage_ask){
        .from_unix_ns = from + 1, .to_unix_ns = end, .group_by = GROUP_KEY}, 0);
    ask(b, "the newest 50 requests", (struct usage_ask){.unit = 0}, 50);
    ask(b, "the newest 50 of a key", (struct usage_ask){
        .unit = store_id_make(UNIT_KEY, 7)}, 50);
    ask(b, "500 requests from the middle", (struct usage_ask){
        .to_unix_ns = from + (end - from) / 2}, 500);
}

int main(int argc, char **argv)
{
    static const struct world worlds[] = {{"few", 8, 2, false}, {"many", 1000, 12, true}};
    unsigned groups = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 40;
    char dir[512], why[JOURNAL_WHY_MAX];
    const char *tmp = getenv("TMPDIR");
    struct bench b = {.seed = 1, .unix_ns = UINT64_C(1790000000000000000)};
    snprintf(dir, sizeof(dir), "%s/weir-bench-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    b.db = calloc(1, sizeof(*b.db));
    if (!b.db || !mkdtemp(dir) || db_open(b.db, dir, (size_t)8 << 30) != STORE_OK) return 1;
    if (journal_open(dir, 0, RUNNING, RING, &b.journal, why) != STORE_OK) {
        fprintf(stderr, "journal: %s\n", why);
        return 1;
    }
    for (size_t i = 0; i < sizeof(worlds) / sizeof(*worlds); i++) {
        if (argc > 2 && strcmp(argv[2], worlds[i].name) != 0) continue;
        for (int sync = 0; sync < 2; sync++) {
            bench_groups(&b, &worlds[i], 250, groups, sync);
            bench_groups(&b, &worlds[i], 2500, groups, sync);
        }
    }
    if (argc <= 2) {
        count_rows(&b, &worlds[1]);
        bench_questions(&b);
        bench_windows(&b);
    }
    journal_close(b.journal);
    db_close(b.db);
    if (argc <= 2) bench_check(dir);
    free(b.db);
    return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : 1;
}
