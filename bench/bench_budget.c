/* bench_budget.c - what it costs to reserve and to settle on a path of six budget cells
 * (organisation, department, team, member, key, credit pool), on one core and on two that share
 * them all.
 *   build/bench/bench_budget [ROUNDS]
 * Prints nanoseconds per reserve + settle, the best, median and worst of the rounds, and the
 * sum on all cells, which must be what was paid. */
#include "store/budget.h"
#include "store/credits.h"
#include "store/keys.h"
#include "store/limits.h"
#include "store/org.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TIMES = 1000000, ROUNDS_MAX = 99, THREADS = 2 };

#define START UINT64_C(1790000000000000000)
#define RICH INT64_C(1000000000000000)

struct place { struct db *db; struct budget *b; struct unit_path path; int64_t paid; };

struct work { struct place *p; unsigned party; double ns; };

static double now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must(enum store_rc rc, const char *what)
{
    if (rc == STORE_OK) return;
    (void)fprintf(stderr, "bench_budget: cannot %s\n", what);
    exit(1);
}

static void fill(struct place *p)
{
    MDB_txn *txn;
    store_id parent = 0;
    struct limits l;
    struct credit c = {.nusd = RICH, .reference = "bench"};
    struct key k = {.name = "bench", .hint = "1234", .hash = {1}};
    for (int w = 0; w < WINDOWS; w++) l.nusd[w] = LIMIT_NONE;
    l.nusd[WINDOW_MONTH] = RICH;
    must(db_begin(p->db, true, &txn), "write");
    for (unsigned kind = UNIT_ORGANIZATION; kind < UNIT_KEY; kind++) {
        must(org_make(p->db, txn, (enum unit_kind)kind, parent, "bench", NULL, START, &parent),
             "make a unit");
        must(limits_put(p->db, txn, parent, &l), "set a budget");
        p->path.unit[kind] = parent;
    }
    k.member = parent;
    must(keys_make(p->db, txn, &k, &p->path.unit[UNIT_KEY]), "make a key");
    must(limits_put(p->db, txn, p->path.unit[UNIT_KEY], &l), "set a budget");
    must(credits_add(p->db, txn, p->path.unit[UNIT_ORGANIZATION], &c), "add credits");
    must(credits_mode(p->db, txn, p->path.unit[UNIT_ORGANIZATION], true), "set the pool");
    must(db_commit(p->db, txn), "commit");
}

/* What a core does for a request: find (as cached), begin, reserve, settle. */
static void *run(void *arg)
{
    struct work *w = arg;
    struct budget *b = w->p->b;
    struct budget_path path;
    budget_enter(b, w->party);
    budget_find(b, &w->p->path, &path);
    double from = now_ns();
    for (int i = 0; i < TIMES; i++) {
        struct budget_hold hold = {0};
        budget_begin(b, w->party, &path, START, &hold);
        if (budget_reserve(b, &hold, 1000) != BUDGET_FREE) abort();
        budget_settle(b, w->party, &hold, 700);
    }
    w->ns = (now_ns() - from) / TIMES;
    budget_leave(b, w->party);
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double round_of(struct place *p, unsigned threads)
{
    pthread_t thread[THREADS];
    struct work w[THREADS];
    double worst = 0;
    for (unsigned i = 0; i < threads; i++) {
        w[i] = (struct work){.p = p, .party = i};
        if (pthread_create(&thread[i], NULL, run, &w[i]) != 0) abort();
    }
    for (unsigned i = 0; i < threads; i++) {
        (void)pthread_join(thread[i], NULL);
        if (w[i].ns > worst) worst = w[i].ns;
        p->paid += (int64_t)TIMES * 700;
    }
    return worst;
}

static void check(struct place *p)
{
    struct budget_path path;
    budget_enter(p->b, 0);
    budget_find(p->b, &p->path, &path);
    for (unsigned i = 0; i < path.limit_count; i++) {
        struct budget_look look;
        budget_see(p->b, &path, i, START, &look);
        if (look.spent_nusd == p->paid && look.held_nusd == 0) continue;
        (void)fprintf(stderr, "bench_budget: cell %u is wrong\n", i);
        exit(1);
    }
    budget_leave(p->b, 0);
    (void)printf("%u cells, each paid %lld and holds 0\n", path.limit_count,
                 (long long)p->paid);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 9;
    double ns[ROUNDS_MAX];
    char dir[] = "/tmp/weir-bench-XXXXXX", why[256], command[64];
    struct place p = {.db = calloc(1, sizeof(struct db))};
    if (rounds < 1 || rounds > ROUNDS_MAX || !p.db || !mkdtemp(dir)) return 2;
    must(db_open(p.db, dir, 0), "open a store");
    fill(&p);
    must(budget_open(p.db, THREADS, START, &p.b, why), "open the cells");
    for (unsigned threads = 1; threads <= THREADS; threads++) {
        for (int i = 0; i < rounds; i++) ns[i] = round_of(&p, threads);
        qsort(ns, (size_t)rounds, sizeof(*ns), by_size);
        (void)printf("%u thread%s on 6 cells: reserve + settle %.0f ns [%.0f..%.0f], "
                     "%d rounds of %d\n", threads, threads > 1 ? "s, the same six," : "",
                     ns[rounds / 2], ns[0], ns[rounds - 1], rounds, TIMES);
    }
    check(&p);
    budget_close(p.b);
    db_close(p.db);
    free(p.db);
    (void)snprintf(command, sizeof(command), "rm -r %s", dir);
    return system(command) == 0 ? 0 : 1;
}
