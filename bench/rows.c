/* rows.c - fills a data directory with a month of realistic traffic, by way of a journal and
 * the fold, so that reports have something to report on (reports.py).
 *     rows DATA [--rows 1000000] [--group 2500] [--days 30]
 * 1,000 keys of 250 members in 20 teams and 5 departments of one organisation; a few keys are
 * busy and most are not, and each keeps to two of 40 models of 8 providers. A quarter of the
 * requests have tags, half are streams, 2 % failed, some after an attempt that is billed too.
 * Requests come evenly over the days up to now. --group is how many are committed together:
 * what 50 ms bring. DATA may exist; nothing may run on it. Nothing is synced before the end. */
#include "store/fold.h"
#include "store/keys.h"
#include "store/org.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    DEPARTMENTS = 5, TEAMS = 20, MEMBERS = 250, KEYS = 1000, MODELS = 40, PROVIDERS = 8,
    RUNNING = 64, RING = 32768, LETTERS = 24,
};

struct rows {
    struct db *db;
    struct journal *journal;
    struct unit_path path[KEYS];
    uint64_t seed, exchange;
};

static uint32_t draw(struct rows *w, uint32_t below)
{
    w->seed = w->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((w->seed >> 33) % below);
}

static void check(struct rows *w, enum store_rc rc, const char *what)
{
    if (rc == STORE_OK) return;
    fprintf(stderr, "rows: %s: %s\n", what, w->db->why);
    exit(1);
}

static store_id unit(struct rows *w, MDB_txn *txn, enum unit_kind kind, store_id parent,
                     unsigned number)
{
    char name[64];
    store_id id;
    snprintf(name, sizeof(name), "%s %u", unit_kind_name(kind), number);
    check(w, org_make(w->db, txn, kind, parent, name, NULL, 1, &id), "make a unit");
    return id;
}

/* The tree of units, and the way to each key. */
static void plant(struct rows *w)
{
    MDB_txn *txn;
    store_id dep[DEPARTMENTS], team[TEAMS], member[MEMBERS];
    check(w, db_begin(w->db, true, &txn), "begin");
    store_id org = unit(w, txn, UNIT_ORGANIZATION, 0, 0);
    for (unsigned i = 0; i < DEPARTMENTS; i++) dep[i] = unit(w, txn, UNIT_DEPARTMENT, org, i);
    for (unsigned i = 0; i < TEAMS; i++) team[i] = unit(w, txn, UNIT_TEAM, dep[i % 5], i);
    for (unsigned i = 0; i < MEMBERS; i++) {
        member[i] = unit(w, txn, UNIT_MEMBER, team[i % TEAMS], i);
    }
    for (unsigned i = 0; i < KEYS; i++) {
        struct key key = {.member = member[i % MEMBERS], .created_unix_ns = 1};
        snprintf(key.name, sizeof(key.name), "key %u", i);
        keys_hash(key.name, strlen(key.name), key.hash);
        check(w, keys_make(w->db, txn, &key, &key.id), "make a key");
        check(w, org_path(w->db, txn, key.id, &w->path[i]), "find a key");
    }
    check(w, db_commit(w->db, txn), "commit");
}

/* As the gateway makes them: 9 digits of milliseconds, 15 of chance. */
static void make_id(struct rows *w, uint64_t unix_ns, char out[RECORD_REQUEST_ID_MAX])
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuv";
    uint64_t ms = unix_ns / 1000000;
    memcpy(out, "req_", 4);
    for (int i = 8; i >= 0; i--, ms >>= 5) out[4 + i] = letters[ms & 31];
    for (int i = 9; i < LETTERS; i++) out[4 + i] = letters[draw(w, 32)];
}

static struct record make_record(struct rows *w, uint64_t unix_ns)
{
    struct record r;
    uint32_t key = draw(w, 1 + draw(w, KEYS));           /* some keys are busier */
    uint32_t model = (key * 7 + draw(w, 2)) % MODELS;    /* a key keeps to two models */
    memset(&r, 0, sizeof(r));
    r.exchange_id = (uint64_t)1 << 48 | ++w->exchange;
    r.admitted_unix_ns = unix_ns;
    memcpy(r.path, w->path[key].unit, sizeof(r.path));
    r.tokens[TOKEN_INPUT] = 50 + draw(w, 4000);
    if (draw(w, 3) == 0) r.tokens[TOKEN_CACHED] = draw(w, 300000) >> draw(w, 12);
    r.tokens[TOKEN_OUTPUT] = 1 + draw(w, 1000);
    r.price[TOKEN_INPUT] = 250000 * (int64_t)(model + 1);
    r.price[TOKEN_CACHED] = 25000 * (int64_t)(model + 1);
    r.price[TOKEN_OUTPUT] = 2000000 * (int64_t)(model + 1);
    for (int k = 0; k < TOKEN_KINDS; k++) r.cost_nusd += r.price[k] * r.tokens[k] / 1000;
    r.status = 200;
    r.close = RECORD_CLOSE_DONE;
    r.attempts = 1;
    r.ttft_us = 1 + (150000u << draw(w, 4)) + draw(w, 100000);
    r.duration_us = r.ttft_us + r.tokens[TOKEN_OUTPUT] * (8000 + draw(w, 20000));
    snprintf(r.model, sizeof(r.model), "provider%u/some-model-%u", model % PROVIDERS, model);
    make_id(w, unix_ns, r.request_id);
    if (draw(w, 2)) r.flags = RECORD_STREAM;
    if (draw(w, 50) == 0) r.status = 502, r.close = 7, r.attempts = 3, r.fallbacks = 2;
    if (draw(w, 4) == 0) snprintf(r.tags, sizeof(r.tags), "job=index,app=%u", draw(w, 20));
    return r;
}

static void one(struct rows *w, uint64_t unix_ns)
{
    struct record r = make_record(w, unix_ns);
    uint32_t slot = journal_begin(w->journal, &r);
    if (r.status != 200) journal_attempt(w->journal, &r);
    journal_end(w->journal, slot, &r);
}

static void fill(struct rows *w, uint64_t count, uint64_t group, uint64_t days)
{
    const uint64_t day_ns = UINT64_C(86400000000000);
    uint64_t end = (uint64_t)time(NULL) * 1000000000, folded;
    uint64_t step = days * day_ns / count, at = end - days * day_ns;
    mdb_env_set_flags(w->db->env, MDB_NOSYNC, 1);
    for (uint64_t i = 0; i < count;) {
        for (uint64_t k = 0; k < group && i < count; k++, i++, at += step) {
            one(w, at + draw(w, (uint32_t)(step < UINT32_MAX ? step : UINT32_MAX)));
        }
        do {
            check(w, fold_step(w->db, &w->journal, 1, RING, NULL, NULL, &folded), "fold");
        } while (folded > 0);
    }
    mdb_env_set_flags(w->db->env, MDB_NOSYNC, 0);
    mdb_env_sync(w->db->env, 1);
}

static uint64_t number(const char *text, uint64_t low, uint64_t high)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (*end == '\0' && end != text && value >= low && value <= high) return value;
    fprintf(stderr, "rows: %s is not a number from %llu to %llu\n", text,
            (unsigned long long)low, (unsigned long long)high);
    exit(2);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"rows", required_argument, NULL, 'r'},
                                            {"group", required_argument, NULL, 'g'},
                                            {"days", required_argument, NULL, 'd'}, {0}};
    uint64_t count = 1000000, group = 2500, days = 30, a, b;
    char why[JOURNAL_WHY_MAX];
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'r') count = number(optarg, 1, 100000000);
        else if (c == 'g') group = number(optarg, 1, RING / 4);
        else if (c == 'd') days = number(optarg, 1, 400);
        else return 2;
    }
    if (optind != argc - 1) {
        fprintf(stderr, "usage: rows DATA [--rows N] [--group N] [--days N]\n");
        return 2;
    }
    const char *dir = argv[optind];
    struct rows *w = calloc(1, sizeof(*w));
    if (!w || !(w->db = calloc(1, sizeof(*w->db)))) return 1;
    w->seed = 1;
    check(w, db_open(w->db, dir, 0), "open");
    check(w, fold_recover(w->db, 2, &a, &b), "recover");
    if (journal_open(dir, 0, RUNNING, RING, &w->journal, why) != STORE_OK) {
        fprintf(stderr, "rows: %s\n", why);
        return 1;
    }
    plant(w);
    fill(w, count, group, days);
    journal_close(w->journal);
    db_close(w->db);
    free(w->db);
    free(w);
    return 0;
}
