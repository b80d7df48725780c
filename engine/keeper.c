/* keeper.c - see keeper.h. A commit that fails closes admission (ledger_ok) and is tried again;
 * records stay in the journals meanwhile. */
#include "engine/keeper.h"
#include "engine/clock.h"
#include "engine/conf.h"
#include "engine/engine.h"
#include "engine/front.h"
#include "engine/heap.h"
#include "engine/learn.h"
#include "engine/look.h"
#include "engine/stats.h"
#include "engine/tables.h"
#include "engine/token.h"
#include "store/budget.h"
#include "store/fold.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum {
    GROUP_MS = 50,                 /* architecture.md section 5: the group-commit interval */
    FOLD_MAX = 32768,              /* records in one transaction: 50 ms of 600,000 a second */
    EXPIRE_S = 60, EXPIRE_MAX = 2000,
    RESOLVE_S = 30,                /* refresh names this often */
    WORKER_NICE = 10,              /* a tenth of a core's share of a processor */
    RESOLVERS = 4,                 /* a name whose server is slow holds up its share only */
};

struct resolver { struct keeper *keeper; uint32_t share; };

struct keeper {
    struct engine *engine;
    struct tokens *tokens;
    pthread_t store, worker, signer, names[RESOLVERS];
    struct resolver resolver[RESOLVERS];
    _Atomic bool stop_store, stop_rest;
    uint64_t folded_ns, expired_ns;
    bool clean, budgets_failed, lessons_failed;
};

static void visit(const struct record *r, void *arg)
{
    struct engine *e = arg;
    if (e->budget) budget_folded(e->budget, r);
    metrics_see(e->metrics, r);
    if (e->learn) learn_see(e->learn, r);
    front_row(e, r);
}

bool keeper_fold(struct keeper *k)
{
    struct engine *e = k->engine;
    uint64_t folded = 0;
    do {
        enum store_rc rc = fold_step(e->db, e->journal, e->core_count, FOLD_MAX, visit, e,
                                     &folded);
        bool ok = rc == STORE_OK;
        if (!ok && atomic_load_explicit(&e->ledger_ok, memory_order_relaxed)) {
            (void)fprintf(stderr, "error: the ledger cannot commit: %s\n", e->db->why);
        }
        atomic_store_explicit(&e->ledger_ok, ok, memory_order_release);
        if (!ok) return false;
    } while (folded == FOLD_MAX);
    atomic_store_explicit(&e->ledger_lag_since_ns, clock_now_ns(), memory_order_relaxed);
    return true;
}

/* Windows that begin, budgets that could not be changed before. */
static void step_budgets(struct keeper *k)
{
    struct engine *e = k->engine;
    if (!e->budget) return;
    bool ok = budget_step(e->budget, clock_unix_ns()) == STORE_OK;
    if (!ok && !k->budgets_failed) {
        (void)fprintf(stderr, "error: budgets cannot be kept: %s\n", e->db->why);
    }
    k->budgets_failed = !ok;
}

/* What outcomes taught; now: at once. */
static void step_lessons(struct keeper *k, uint64_t now_ns, bool now)
{
    struct engine *e = k->engine;
    if (!e->learn) return;
    bool ok = learn_save(e->learn, now_ns, now);
    if (!ok && !k->lessons_failed) {
        (void)fprintf(stderr, "warning: what was learned is not kept: %s\n", e->db->why);
    }
    k->lessons_failed = !ok;
}

static void expire(struct keeper *k)
{
    struct engine *e = k->engine;
    struct tables *t = atomic_load_explicit(&e->tables, memory_order_acquire);
    tables_pin(t, e->core_count + 2);
    uint64_t now = clock_unix_ns(), deleted = 0;
    uint64_t rows = t->conf->retain_requests_ns, hours = t->conf->retain_aggregates_ns;
    tables_unpin(t, e->core_count + 2);
    enum store_rc rc = fold_expire(e->db, rows && rows < now ? now - rows : 0,
                                   hours && hours < now ? now - hours : 0, EXPIRE_MAX,
                                   &deleted);
    if (rc != STORE_OK) (void)fprintf(stderr, "warning: expiry failed: %s\n", e->db->why);
    bool more = rc == STORE_OK && deleted >= EXPIRE_MAX;
    k->expired_ns = more ? 0 : clock_now_ns();
}

bool keeper_step(struct keeper *k)
{
    bool ok = true;
    front_run(k->engine, &k->engine->front->change);
    uint64_t now = clock_now_ns();
    if (now - k->folded_ns >= GROUP_MS * 1000000ull) {
        ok = keeper_fold(k);
        step_budgets(k);
        k->folded_ns = now;
        step_lessons(k, now, false);
    }
    if (now - k->expired_ns >= EXPIRE_S * 1000000000ull) expire(k);
    return ok;
}

static void *store_main(void *arg)
{
    struct keeper *k = arg;
    struct admin_front *f = k->engine->front;
    heap_join();
    while (!atomic_load_explicit(&k->stop_store, memory_order_acquire)) {
        front_wait(&f->change, GROUP_MS);
        (void)keeper_step(k);
    }
    front_run(k->engine, &f->change);
    k->clean = keeper_fold(k);
    step_lessons(k, clock_now_ns(), true);
    heap_leave();
    return NULL;
}

static void *worker_main(void *arg)
{
    struct keeper *k = arg;
    struct admin_front *f = k->engine->front;
    /* Of this thread alone: where a report and a core want one processor, the report waits. */
    (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + WORKER_NICE);
    heap_join();
    while (!atomic_load_explicit(&k->stop_rest, memory_order_acquire)) {
        front_wait(&f->look, 1000);
        front_run(k->engine, &f->look);
    }
    heap_leave();
    return NULL;
}

static void *resolver_main(void *arg)
{
    const struct resolver *r = arg;
    struct keeper *k = r->keeper;
    struct hosts *h = &k->engine->hosts;
    while (!atomic_load_explicit(&k->stop_rest, memory_order_acquire)) {
        uint32_t count = atomic_load_explicit(&h->count, memory_order_acquire);
        uint64_t now = clock_now_ns();
        for (uint32_t i = r->share; i < count; i += RESOLVERS) {
            struct host *at = h->at[i];
            uint64_t last = atomic_load_explicit(&at->resolved_ns, memory_order_relaxed);
            bool due = last == 0 || now - last > RESOLVE_S * 1000000000ull;
            if (!at->literal && due) (void)host_resolve(at, now);
            atomic_store_explicit(&at->tried_ns, now, memory_order_release);
        }
        struct timespec pause = {.tv_nsec = 200000000};
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

/* Blocks in exchanges with token endpoints, and in nothing else that anybody waits for. */
static void *signer_main(void *arg)
{
    struct keeper *k = arg;
    heap_join();
    while (!atomic_load_explicit(&k->stop_rest, memory_order_acquire)) {
        tokens_step(k->tokens, k->engine, clock_now_ns(), clock_unix_ns() / 1000000000u);
        struct timespec pause = {.tv_nsec = 200000000};
        (void)nanosleep(&pause, NULL);
    }
    heap_leave();
    return NULL;
}

struct keeper *keeper_make(struct engine *engine)
{
    assert(engine->db);
    struct keeper *k = calloc(1, sizeof *k);
    if (!k) return NULL;
    engine->keeper = k;  /* before its threads are there, who look for it */
    k->engine = engine;
    k->expired_ns = clock_now_ns();
    return k;
}

struct keeper *keeper_start(struct engine *engine)
{
    struct keeper *k = keeper_make(engine);
    if (!k) return NULL;
    k->tokens = tokens_make();
    bool ok = pthread_create(&k->store, NULL, store_main, k) == 0 &&
              pthread_create(&k->worker, NULL, worker_main, k) == 0 && k->tokens &&
              pthread_create(&k->signer, NULL, signer_main, k) == 0;
    for (uint32_t i = 0; ok && i < RESOLVERS; i++) {
        k->resolver[i] = (struct resolver){k, i};
        ok = pthread_create(&k->names[i], NULL, resolver_main, &k->resolver[i]) == 0;
    }
    return ok ? k : NULL;  /* the caller ends the process */
}

bool keeper_stop(struct keeper *k)
{
    struct admin_front *f = k->engine->front;
    atomic_store_explicit(&k->stop_rest, true, memory_order_release);
    front_poke(&f->look);
    (void)pthread_join(k->worker, NULL);
    for (uint32_t i = 0; i < RESOLVERS; i++) {
        (void)pthread_detach(k->names[i]);  /* may hang in getaddrinfo; ends with the process */
    }
    (void)pthread_detach(k->signer);          /* may wait for a token's address */
    atomic_store_explicit(&k->stop_store, true, memory_order_release);
    front_poke(&f->change);
    (void)pthread_join(k->store, NULL);
    return k->clean;                     /* k itself stays: resolvers may still look at it */
}
