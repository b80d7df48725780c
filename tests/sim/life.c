/* life.c - see life.h. What boot_serve.c does with threads is done here without, with the same
 * functions; small pools, so that they run out. */
#include "tests/sim/life.h"
#include "engine/boot.h"
#include "engine/clock.h"
#include "engine/conf.h"
#include "engine/core.h"
#include "engine/exchange.h"
#include "engine/front.h"
#include "engine/heap.h"
#include "engine/keeper.h"
#include "engine/log.h"
#include "engine/look.h"
#include "engine/tables.h"
#include "store/budget.h"
#include "store/check.h"
#include "store/fold.h"
#include "store/usage.h"
#include "tests/sim/check.h"
#include "tests/sim/client.h"
#include "tests/sim/hedged.h"
#include "tests/sim/machine.h"
#include "tests/sim/model.h"
#include "tests/sim/money.h"
#include "tests/sim/provider.h"
#include "tests/sim/ring_sim.h"
#include "tests/sim/room_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MAP_BYTES = 64 << 20,
    WAIT_NS = 250000000,
    STORE_NS = 50000000,
    ADOPT_NS = 2000000000,
};

static struct life the;

struct life *life(void) { return &the; }

void life_begin(const char *dir)
{
    memset(&the, 0, sizeof the);
    the.cores = draw_range(1, LIFE_CORES_MAX);
    (void)snprintf(the.dir, sizeof the.dir, "%s", dir);
}

/* --- start */

static const char *no_environment(const char *name)
{
    (void)name;
    return NULL;
}

static struct tables *configure(uint32_t version, const struct tables *older)
{
    struct text yaml = {0};
    struct conf_report *report = calloc(1, sizeof *report);
    struct conf *conf = NULL;
    model_config(&yaml, version);
    assert(report);
    if (!conf_parse(yaml.at, yaml.len, "sim.yaml", no_environment, &conf, report)) {
        violated("world", "the configuration is refused: %s", report->text);
    }
    struct tables *t = tables_make(conf, &the.engine->hosts, older);
    bool scored = t && tables_score(t, older, the.engine->core_count);
    assert(scored);
    if (!older) hedged_teach(t, the.engine->core_count);
    free(report);
    free(yaml.at);
    return t;
}

static struct core_limits limits_of(bool admin)
{
    struct core_limits l = {.conns = 64, .upstreams = 128, .exchanges = 64, .segs = 8192,
                            .rx_count = 128, .rx_bytes = 4096, .region_bytes = 256 * MEM_BLOCK,
                            .wipe = true};
    if (!model_plays()) return l;
    if (admin) {
        l.rx_count = 16;
        return l;
    }
    if (draw_maybe(300)) l.conns = draw_range(3, 12);
    if (draw_maybe(300)) l.upstreams = draw_range(2, 16);
    if (draw_maybe(300)) l.exchanges = draw_range(2, 12);
    if (draw_maybe(300)) l.segs = draw_range(40, 400);
    if (draw_maybe(500)) l.rx_count = 8u << draw(3);
    if (draw_maybe(300)) l.rx_bytes = 1024;
    if (draw_maybe(300)) l.region_bytes = (uint64_t)draw_range(4, 24) * MEM_BLOCK;
    return l;
}

static void make_core(uint32_t i)
{
    struct engine *e = the.engine;
    bool admin = i == the.cores;
    struct core_limits limits = limits_of(admin);
    struct core *core = calloc(1, sizeof *core);
    assert(core);
    if (!core_init(core, e, i, admin ? ROLE_ADMIN : ROLE_GATEWAY, &limits)) abort();
    if (admin) {
        e->admin = core;
        return;
    }
    char why[256];
    uint32_t ring = 16;
    while (ring < limits.exchanges * 4) ring *= 2;
    if (journal_open(the.dir, i, limits.exchanges, ring * 2, &e->journal[i], why) != STORE_OK) {
        violated("world", "journal: %s", why);
    }
    e->core[i] = core;
    core->log = log_ring_make();
    core->journal = e->journal[i];
    core->listen_fd[core->listen_count++] = wire_listen();
}

/* Where it fails the process would not start: nothing fails here. */
static void open_budget(struct engine *e)
{
    char why[256];
    bool faults = machine()->faults;
    machine()->faults = false;
    if (budget_open(e->db, e->core_count + PARTIES, clock_unix_ns(), &e->budget, why) !=
        STORE_OK) {
        violated("store", "budgets: %s", why);
    }
    machine()->faults = faults;
}

static void open_store(void)
{
    struct engine *e = the.engine;
    uint64_t recovered, interrupted;
    e->db = calloc(1, sizeof *e->db);
    assert(e->db);
    if (db_open(e->db, the.dir, MAP_BYTES) != STORE_OK) violated("store", "%s", e->db->why);
    /* A start that fails is tried again, as an operator does: what was done stays done. */
    bool faults = machine()->faults;
    for (int i = 0; fold_recover(e->db, CLOSE_INTERRUPTED, &recovered, &interrupted); i++) {
        note("not-recovered", recovered, interrupted, 0);
        if (!machine()->faults) violated("store", "recovery: %s", e->db->why);
        machine()->faults = i < 3;
    }
    machine()->faults = faults;
    if (e->db->why[0]) violated("store", "recovery: %s", e->db->why);
    note("recovered", recovered, interrupted, e->db->boot);
    if (the.lives > 1) life_audit(true);
    open_budget(e);
    char secret[80] = "";
    if (!boot_first_start(e, secret)) violated("store", "%s", e->db->why);
    if (secret[0]) money_found(e, secret);
}

void life_start(void)
{
    struct engine *e = calloc(1, sizeof *e);
    assert(e && !the.engine && the.lives < LIFE_LIVES_MAX);
    the.engine = e;
    the.lives++;
    e->core_count = the.cores;
    e->started_ns = machine()->now_ns;
    e->ledger_ok = true;
    memset(the.seen, 0, sizeof the.seen);
    memset(the.attempts, 0, sizeof the.attempts);
    open_store();
    atomic_store(&e->tables, configure(model()->versions - 1, NULL));
    for (uint32_t i = 0; i < e->hosts.count; i++) {
        if (!e->hosts.at[i]->literal) provider_addresses(e->hosts.at[i]);
    }
    for (uint32_t i = 0; i <= the.cores; i++) make_core(i);
    e->metrics = metrics_make();
    e->front = front_make(e);
    assert(e->metrics && e->front);
    int listener[LIFE_CORES_MAX];
    for (uint32_t i = 0; i <= the.cores; i++) {
        struct core *core = i < the.cores ? e->core[i] : e->admin;
        if (core_boot(core) != 0) abort();
        if (i < the.cores) listener[i] = core->listen_fd[0];
        the.due_ns[i] = 0;
    }
    e->keeper = keeper_make(e);
    assert(e->keeper);
    the.store_ns = machine()->now_ns + STORE_NS;
    money_opened(e);
    client_listeners(listener, (int)the.cores);
    note("start", the.lives, the.cores, 0);
}

/* --- turns */

/* Records that were appended since: the model hears of each once. */
static void hear(uint32_t i)
{
    struct journal *j = the.engine->journal[i];
    uint64_t tail = journal_tail(j), head = tail + journal_lag(j);
    if (head == the.seen[i]) return;
    size_t count = (size_t)(head - tail);
    const struct record **r = calloc(count, sizeof *r);
    assert(r);
    count = journal_peek(j, r, count);
    for (size_t k = 0; k < count; k++) {
        if (r[k]->seq <= the.seen[i]) continue;
        if (!record_is_sound(r[k])) violated("journal", "a record with a wrong checksum");
        model_row(r[k], the.lives, i);
        the.attempts[i] += r[k]->kind == RECORD_ATTEMPT;
        money_row(the.engine, r[k]);
    }
    the.seen[i] = head;
    free(r);
}

static struct core *core_of(uint32_t i)
{
    return i < the.cores ? the.engine->core[i] : the.engine->admin;
}

bool life_turn(uint32_t i)
{
    jmp_buf grave;
    struct core *core = core_of(i);
    if (i < the.cores) money_before(the.engine, i);
    if (i < the.cores) room_before(the.engine, i);
    machine()->grave = &grave;
    if (setjmp(grave) != 0) {
        heap_unseal();
        machine()->grave = NULL;
        return false;
    }
    if (i < the.cores) heap_seal();
    int rc = core_turn(core_of(i), WAIT_NS);
    if (i < the.cores) heap_unseal();
    machine()->grave = NULL;
    if (rc != 0) violated("world", "a turn failed: %d", rc);
    if (i < the.cores) hear(i);
    core = core_of(i);
    check_core(core);
    if (i < the.cores && model()->world == WORLD_HEDGED) {
        hedged_after(core, the.seen[i] - the.attempts[i]);
    }
    if (i < the.cores) money_after(the.engine, i);
    if (i < the.cores) room_after(the.engine, i);
    bool again = core->ready_conns || core->timers_left || core->pouring_conns.count > 0 ||
                 core->pouring_ups.count > 0 || room_is_due(core);
    the.due_ns[i] = again ? 0 : machine()->now_ns + timer_wait_ns(&core->timers,
                                                                  machine()->now_ns, WAIT_NS);
    return true;
}

uint64_t life_next(uint32_t i)
{
    uint64_t when;
    const struct core *core = core_of(i);
    if (ring_sim_ready(core->ring, &when)) return 0;
    return when < the.due_ns[i] ? when : the.due_ns[i];
}

static void adopted(void)
{
    struct engine *e = the.engine;
    if (!the.offered_ns) return;
    if (boot_adopted(e, atomic_load(&e->tables))) {
        note("adopted", model()->versions, 0, 0);
        the.offered_ns = 0;
    } else if (machine()->now_ns > the.offered_ns + ADOPT_NS && !atomic_load(&e->draining)) {
        violated("publish", "a configuration was not adopted in %d s", ADOPT_NS / 1000000000);
    }
}

bool life_store(void)
{
    jmp_buf grave;
    machine()->grave = &grave;
    if (setjmp(grave) != 0) {
        machine()->grave = NULL;
        return false;
    }
    money_before(the.engine, the.cores);
    money_change(the.engine);
    bool ok = keeper_step(the.engine->keeper);
    machine()->grave = NULL;
    money_after(the.engine, the.cores);
    the.store_ns = machine()->now_ns + STORE_NS;
    if (fault(FAULT_STORE_SLOW)) the.store_ns += (uint64_t)chance(20) * 1000000000;
    if (!ok) note("commit-failed", 0, 0, 0);
    if (fault(FAULT_STORE_DIES)) {
        note("store-dies", 0, 0, 0);
        the.engine->keeper = keeper_make(the.engine);
        assert(the.engine->keeper);
    }
    adopted();
    boot_collect(the.engine);
    return true;
}

void life_publish(void)
{
    struct engine *e = the.engine;
    if (the.offered_ns || model()->versions == MODEL_VERSIONS) return;
    struct tables *older = atomic_load(&e->tables);
    struct tables *next = configure(model()->versions++, older);
    note("publish", model()->versions, 0, 0);
    boot_offer(e, next);
    the.offered_ns = machine()->now_ns;
}

/* --- ends */

static void count_admitted(void)
{
    for (uint32_t i = 0; i < the.cores; i++) {
        const struct stats *s = &the.engine->core[i]->stats;
        the.admitted[the.lives - 1] += stat_get(&s->count[STAT_EXCHANGES]);
        the.handoffs += stat_get(&s->count[STAT_HANDOFFS]);
        the.reused += stat_get(&s->count[STAT_REUSED]);
        the.waits += stat_get(&s->count[STAT_WAITS]);
        the.hedges += stat_get(&s->count[STAT_HEDGES]);
        the.shed += stat_get(&s->count[STAT_SHED]);
        the.no_buffers += stat_get(&s->count[STAT_NO_BUFFERS]);
    }
}

static void on_violation(const char *line, void *arg)
{
    (void)arg;
    violated("check", "%s", line);
}

/* What lies on the disk, as `weir check --ledger` sees it, also between death and recovery. */
static void check_disk(void)
{
    struct check_found found;
    char why[CHECK_WHY_MAX];
    if (check_ledger(the.dir, on_violation, NULL, &found, why) != STORE_OK) {
        violated("check", "%s", why);
    }
    if (found.in_use) violated("check", "the lock outlived the life");
}

/* Its memory stays as it is: nobody looks at it again. What the kernel keeps of a process is
 * given back: descriptors, the lock, the store's readers. */
void life_kill(void)
{
    note("kill", the.lives, 0, 0);
    for (uint32_t i = 0; i < the.cores; i++) hear(i);
    count_admitted();
    wire_kill();
    db_close(the.engine->db);
    check_disk();
    the.engine = NULL;
    the.offered_ns = 0;
    client_listeners(NULL, 0);
}

void life_drain(void)
{
    struct engine *e = the.engine;
    note("drain", 0, 0, 0);
    client_listeners(NULL, 0);
    atomic_store(&e->draining, true);
    for (uint32_t i = 0; i < the.cores; i++) core_wake(e->core[i]);
}

void life_hurry(void)
{
    struct engine *e = the.engine;
    note("hurry", 0, 0, 0);
    atomic_store(&e->killed, true);
    for (uint32_t i = 0; i < the.cores; i++) core_wake(e->core[i]);
}

bool life_drained(void)
{
    for (uint32_t i = 0; i < the.cores; i++) {
        if (!core_finished(the.engine->core[i])) return false;
    }
    return true;
}

void life_end(void)
{
    struct engine *e = the.engine;
    uint64_t recovered, interrupted;
    for (uint32_t i = 0; i < the.cores; i++) check_rest(e->core[i], true);
    if (tables_pins(atomic_load(&e->tables), the.cores + 3)) violated("rest", "pinned tables");
    count_admitted();
    money_rest(e);
    for (uint32_t i = 0; i < the.cores; i++) journal_close(e->journal[i]);
    if (fold_recover(e->db, CLOSE_INTERRUPTED, &recovered, &interrupted) != STORE_OK) {
        violated("store", "%s", e->db->why);
    }
    if (interrupted) violated("ends-once", "%llu requests ran on after the drain",
                              (unsigned long long)interrupted);
    life_audit(false);
    budget_close(e->budget);
    db_close(e->db);
    check_disk();
    the.engine = NULL;
}

/* --- the ledger against the model */

struct audit { uint64_t rows, admitted[LIFE_LIVES_MAX], tokens[TOKEN_KINDS]; int64_t cost_nusd;
               bool recovered; };

static bool same_row(const struct record *a, const struct record *b)
{
    return a->exchange_id == b->exchange_id && a->status == b->status && a->close == b->close &&
           a->cost_nusd == b->cost_nusd && strncmp(a->model, b->model, RECORD_MODEL_MAX) == 0 &&
           memcmp(a->tokens, b->tokens, sizeof a->tokens) == 0;
}

/* A row that recovery wrote holds what was running, and the attempts booked before. */
static struct record without_attempts(const struct record *row, const struct ask *a)
{
    struct record r = *row;
    for (uint32_t i = 0; i < a->booked_count; i++) {
        const struct record *attempt = &a->booked[i].r;
        r.cost_nusd -= attempt->cost_nusd;
        for (int k = 0; k < TOKEN_KINDS; k++) r.tokens[k] -= attempt->tokens[k];
        if (r.nth == attempt->nth) r.nth = UINT8_MAX;     /* its cost is in that record */
    }
    if (r.cost_nusd < 0) violated("ledger", "%.64s cost less than its attempts", r.request_id);
    return r;
}

static bool on_row(const struct request_row *row, void *arg)
{
    struct audit *audit = arg;
    const struct record *r = &row->end;
    size_t len = strnlen(r->request_id, sizeof r->request_id);
    struct ask *a = model_find(r->request_id, len);
    uint64_t boot = r->exchange_id >> 48;
    if (!a || boot == 0 || boot > the.lives) violated("ledger", "whose row is %.64s?",
                                                      r->request_id);
    if (a->rows == 0) {
        bool may = audit->recovered && (r->flags & RECORD_INTERRUPTED);
        if (!may) violated("ledger", "%.64s is in the ledger and in no journal", r->request_id);
        struct record end = without_attempts(r, a);
        model_row(&end, 0, 0);
    }
    struct record sum = model_sum(a);
    if (!same_row(&sum, r)) {
        violated("ledger", "%.64s: %.40s, %lld in the row; %.40s, %lld in %u records",
                 r->request_id, r->model, (long long)r->cost_nusd, sum.model,
                 (long long)sum.cost_nusd, a->booked_count);
    }
    audit->rows++;
    audit->admitted[boot - 1]++;
    audit->cost_nusd += r->cost_nusd;
    for (int i = 0; i < TOKEN_KINDS; i++) audit->tokens[i] += r->tokens[i];
    return true;
}

static bool on_sum(const struct usage_row *row, void *arg)
{
    const struct audit *audit = arg;
    bool same = row->requests == audit->rows && row->cost_nusd == audit->cost_nusd &&
                memcmp(row->tokens, audit->tokens, sizeof audit->tokens) == 0;
    if (!same) violated("ledger", "the aggregates (%llu requests) are not the sum of %llu rows",
                        (unsigned long long)row->requests, (unsigned long long)audit->rows);
    return true;
}

void life_audit(bool recovered)
{
    struct db *db = the.engine->db;
    struct audit audit = {.recovered = recovered};
    struct usage_ask all = {0};
    MDB_txn *txn;
    uint64_t booked = 0;
    if (db_begin(db, false, &txn) != STORE_OK ||
        usage_requests(db, txn, &all, 0, on_row, &audit) != STORE_OK ||
        usage_query(db, txn, &all, on_sum, &audit) != STORE_OK) {
        violated("ledger", "cannot be read: %s", db->why);
    }
    money_audit(db, txn);
    db_abort(txn);
    for (uint32_t i = 0; i < model()->ask_count; i++) booked += model()->ask[i].rows;
    if (booked != audit.rows) {
        violated("ledger", "%llu records were written, %llu rows are there",
                 (unsigned long long)booked, (unsigned long long)audit.rows);
    }
    uint32_t ended = recovered ? the.lives - 1 : the.lives;
    for (uint32_t i = 0; i < ended; i++) {
        if (the.admitted[i] == audit.admitted[i]) continue;
        violated("ledger", "life %u admitted %llu requests, %llu rows are there", i + 1,
                 (unsigned long long)the.admitted[i], (unsigned long long)audit.admitted[i]);
    }
    note("audited", audit.rows, (uint64_t)audit.cost_nusd, booked);
}
