/* test_budget.c - cells against a plain model: whatever is set, raised, lowered, taken away,
 * reserved, settled, folded, rolled and restarted in whatever order, each cell says what the
 * records say. Then the same under several threads, where only sums can be asked for. */
#include "store/budget.h"
#include "store/budget_part.h"
#include "store/credits.h"
#include "store/fold.h"
#include "store/limits.h"
#include "store/keys.h"
#include "store/org.h"
#include "store/spent.h"

#include "tests/unit/data_dir.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { PARTIES = 3, RUNS_MAX = 40, STEPS = 4000, KEYS = 3, ENDED_MAX = STEPS };

#define HOUR UINT64_C(3600000000000)
static const uint64_t start = UINT64_C(1790000000000000000) / HOUR * HOUR;

struct place {
    struct data_dir *d;
    struct db *db;
    struct budget *b;
    struct journal *j;
    store_id org, team, member[2], key[KEYS];
    struct unit_path path[KEYS];
};

static store_id unit_make(struct place *p, enum unit_kind kind, store_id parent)
{
    store_id id = 0;
    MDB_txn *txn = data_dir_begin(p->d, true);
    assert_int_equal(org_make(p->db, txn, kind, parent, "u", NULL, start, &id), STORE_OK);
    data_dir_commit(p->d, txn);
    return id;
}

static store_id key_make(struct place *p, store_id member, uint8_t n)
{
    store_id id = 0;
    struct key k = {.member = member, .hash = {n}, .name = "k", .hint = "1234"};
    MDB_txn *txn = data_dir_begin(p->d, true);
    assert_int_equal(keys_make(p->db, txn, &k, &id), STORE_OK);
    data_dir_commit(p->d, txn);
    return id;
}

static void open_budget(struct place *p, uint64_t now)
{
    char why[256];
    if (budget_open(p->db, PARTIES, now, &p->b, why) != STORE_OK) fail_msg("%s", why);
    if (journal_open(p->d->path, 0, 256, 4096, &p->j, why) != STORE_OK) fail_msg("%s", why);
}

static struct place *place_make(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    p->d = *state;
    p->db = data_dir_open(p->d);
    p->org = unit_make(p, UNIT_ORGANIZATION, 0);
    p->team = unit_make(p, UNIT_TEAM, p->org);
    p->member[0] = unit_make(p, UNIT_MEMBER, p->team);
    p->member[1] = unit_make(p, UNIT_MEMBER, p->org);   /* levels may be skipped */
    for (int i = 0; i < KEYS; i++) {
        p->key[i] = key_make(p, p->member[i == 2], (uint8_t)(i + 1));
        MDB_txn *txn = data_dir_begin(p->d, false);
        assert_int_equal(org_path(p->db, txn, p->key[i], &p->path[i]), STORE_OK);
        db_abort(txn);
    }
    open_budget(p, start);
    return p;
}

static void place_free(struct place *p)
{
    journal_close(p->j);
    budget_close(p->b);
    free(p);
}

static void limits_set(struct place *p, store_id target, const struct limits *l)
{
    MDB_txn *txn = data_dir_begin(p->d, true);
    assert_int_equal(limits_put(p->db, txn, target, l), STORE_OK);
    data_dir_commit(p->d, txn);
    uint64_t before = atomic_load(&p->db->generation);
    assert_int_equal(budget_refresh(p->b), STORE_OK);
    assert_true(atomic_load(&p->db->generation) >= before);
}

static struct limits one_limit(enum window w, int64_t nusd)
{
    struct limits l;
    for (int i = 0; i < WINDOWS; i++) l.nusd[i] = LIMIT_NONE;
    l.nusd[w] = nusd;
    return l;
}

static void pool_set(struct place *p, bool prepaid, int64_t add, unsigned n, uint64_t now)
{
    struct credit c = {.nusd = add, .made_unix_ns = now};
    snprintf(c.reference, sizeof(c.reference), "ref-%u", n);
    MDB_txn *txn = data_dir_begin(p->d, true);
    if (add) assert_int_equal(credits_add(p->db, txn, p->org, &c), STORE_OK);
    assert_int_equal(credits_mode(p->db, txn, p->org, prepaid), STORE_OK);
    data_dir_commit(p->d, txn);
    assert_int_equal(budget_refresh(p->b), STORE_OK);
}

static void rates_set(struct place *p, store_id unit, const char *blob, size_t len)
{
    struct unit u;
    MDB_txn *txn = data_dir_begin(p->d, true);
    assert_int_equal(org_get(p->db, txn, unit, &u), STORE_OK);
    u.policy.len = (uint16_t)len;
    memcpy(u.policy.blob, blob, len);
    assert_int_equal(org_put(p->db, txn, &u), STORE_OK);
    data_dir_commit(p->d, txn);
    assert_int_equal(budget_refresh(p->b), STORE_OK);
}

static void see_record(const struct record *r, void *arg) { budget_folded(arg, r); }

static void fold_all(struct place *p)
{
    uint64_t folded;
    do {
        assert_int_equal(fold_step(p->db, &p->j, 1, 4096, see_record, p->b, &folded), STORE_OK);
    } while (folded == 4096);
}

/* ---- the plain model */

struct run {
    struct budget_hold hold;
    struct record r;
    uint32_t slot;
    int key;
    bool on;
};

struct ended { uint64_t admitted; int64_t cost; int key; bool prepaid; };

struct model {
    struct place *p;
    uint64_t seed, now;
    uint64_t exchange;
    uint8_t nth[STEPS + 1];         /* by exchange: the last that was given out */
    struct run run[RUNS_MAX];
    struct ended ended[ENDED_MAX];
    size_t ended_count;
    store_id target[7];
    struct limits set[7];
    bool prepaid;
    int64_t entries;
    unsigned references;
};

static uint64_t draw(struct model *m, uint64_t below)
{
    m->seed ^= m->seed << 13, m->seed ^= m->seed >> 7, m->seed ^= m->seed << 17;
    return m->seed % below;
}

static bool path_holds(const struct unit_path *path, store_id id)
{
    for (int i = 0; i < UNIT_KINDS; i++) {
        if (path->unit[i] == id) return true;
    }
    return false;
}

static void run_begin(struct model *m)
{
    struct place *p = m->p;
    struct run *x = &m->run[draw(m, RUNS_MAX)];
    if (x->on) return;
    *x = (struct run){.key = (int)draw(m, KEYS), .on = true};
    struct budget_path path;
    struct rate_refusal why;
    budget_enter(p->b, 0);
    budget_find(p->b, &p->path[x->key], &path);
    uint64_t now = budget_time(p->b, &path, m->now);
    budget_begin(p->b, 0, &path, now, &x->hold);
    assert_true(budget_rates_begin(p->b, &path, 1, &x->hold, &why));
    budget_leave(p->b, 0);
    x->r = (struct record){.version = 1, .exchange_id = ++m->exchange, .status = 200,
                           .close = RECORD_CLOSE_DONE, .admitted_unix_ns = now,
                           .budget_version = path.version, .model = "mock/one",
                           .flags = x->hold.prepaid ? RECORD_PREPAID : 0};
    memcpy(x->r.path, p->path[x->key].unit, sizeof(x->r.path));
    assert_true(journal_has_room(p->j));
    x->slot = journal_begin(p->j, &x->r);
}

static void run_reserve(struct model *m, struct run *x)
{
    int64_t room = budget_room(m->p->b, &x->hold, NULL), want = (int64_t)draw(m, 2000);
    int lack = budget_reserve(m->p->b, &x->hold, want);
    assert_int_equal(lack == BUDGET_FREE, want == 0 || want <= room);
}

/* x ends, or an attempt of it is billed and it goes on; for more or less than it holds. */
static void run_bill(struct model *m, struct run *x, bool ends)
{
    struct place *p = m->p;
    x->r.cost_nusd = (int64_t)draw(m, 4) ? x->hold.nusd / 2 + (int64_t)draw(m, 900)
                                         : x->hold.nusd;
    assert_true(m->ended_count < ENDED_MAX);
    m->ended[m->ended_count++] = (struct ended){x->r.admitted_unix_ns, x->r.cost_nusd, x->key,
                                                (x->r.flags & RECORD_PREPAID) != 0};
    if (!ends) journal_attempt(p->j, &x->r);
    else if (x->r.kind == RECORD_ATTEMPT) journal_twin_end(p->j, x->slot, &x->r);
    else journal_end(p->j, x->slot, &x->r);
    if (ends) budget_settle(p->b, 0, &x->hold, x->r.cost_nusd);
    else budget_pay(p->b, 0, &x->hold, x->r.cost_nusd);
    x->on = !ends;
    if (ends) return;
    x->r.cost_nusd = 0;
    x->r.nth = ++m->nth[x->r.exchange_id];
    journal_update(p->j, x->slot, &x->r);
}

/* Somebody does the same as x at the same time, from the same limits. */
static void run_join(struct model *m, struct run *x)
{
    struct run *twin = &m->run[draw(m, RUNS_MAX)];
    if (twin->on) return;
    run_reserve(m, x);
    *twin = (struct run){.r = x->r, .key = x->key, .on = true};
    twin->r.kind = RECORD_ATTEMPT;
    twin->r.nth = ++m->nth[x->r.exchange_id];
    budget_join(0, &x->hold, &twin->hold);
    assert_true(journal_has_room(m->p->j));
    twin->slot = journal_begin(m->p->j, &twin->r);
}

static void change_limits(struct model *m)
{
    size_t at = draw(m, 7);
    for (int w = 0; w < WINDOWS; w++) {
        uint64_t kind = draw(m, 6);
        if (kind == 0) m->set[at].nusd[w] = LIMIT_NONE;
        if (kind == 1) m->set[at].nusd[w] = (int64_t)draw(m, 3000000);
        if (kind == 2 && m->set[at].nusd[w] > 0) m->set[at].nusd[w] /= 2;
    }
    limits_set(m->p, m->target[at], &m->set[at]);
}

static void change_pool(struct model *m)
{
    int64_t add = draw(m, 2) ? (int64_t)draw(m, 900000) + 1 : 0;
    m->prepaid = draw(m, 3) != 0;
    m->entries += add;
    pool_set(m->p, m->prepaid, add, m->references++, m->now);
}

/* Wall clocks step, also back. */
static void step_clock(struct model *m)
{
    uint64_t kind = draw(m, 10);
    if (kind < 6) m->now += draw(m, HOUR / 2);
    else if (kind < 8) m->now += HOUR + draw(m, 30 * HOUR);
    else if (kind == 8) m->now += draw(m, 800) * HOUR;
    else m->now -= draw(m, 3 * HOUR);
    if (draw(m, 4)) assert_int_equal(budget_step(m->p->b, m->now), STORE_OK);
}

static void expect_look(const struct model *m, const struct budget_look *look,
                        uint32_t first, uint32_t next, store_id target, uint32_t cell)
{
    int64_t spent = 0, held = 0;
    bool pool = look->layer == BUDGET_LAYER_POOL;
    for (size_t i = 0; i < m->ended_count; i++) {
        const struct ended *e = &m->ended[i];
        uint64_t hour = e->admitted / HOUR;
        if (!path_holds(&m->p->path[e->key], target) || hour < first || hour >= next) continue;
        if (!pool || e->prepaid) spent += e->cost;
    }
    for (size_t i = 0; i < RUNS_MAX; i++) {
        for (int k = 0; m->run[i].on && k < m->run[i].hold.count; k++) {
            if (m->run[i].hold.cell[k] == cell) held += m->run[i].hold.nusd;
        }
    }
    if (look->spent_nusd != spent) {
        fail_msg("layer %u window %u: spent %lld, the records say %lld", look->layer,
                 look->window, (long long)look->spent_nusd, (long long)spent);
    }
    assert_int_equal(look->held_nusd, held);
}

/* After a fold, all cells that are in force say what the records say. */
static void check_all(struct model *m)
{
    struct place *p = m->p;
    fold_all(p);
    assert_int_equal(budget_step(p->b, m->now), STORE_OK);
    uint64_t now = m->now > budget_floor(p->b) ? m->now : budget_floor(p->b);
    budget_enter(p->b, 1);
    for (int key = 0; key < KEYS; key++) {
        struct budget_path path;
        unsigned want = 0;
        budget_find(p->b, &p->path[key], &path);
        for (unsigned i = 0; i < path.limit_count; i++) {
            struct budget_look look;
            const struct budget_limit *l = &path.limit[i];
            bool pool = l->layer == BUDGET_LAYER_POOL;
            store_id target = p->path[key].unit[pool ? UNIT_ORGANIZATION : l->layer];
            for (unsigned k = 0; k < 2 && l->cell[k]; k++) {
                uint64_t at = k ? l->edge_unix_ns : now;
                uint32_t hour = (uint32_t)(at / HOUR);
                budget_see(p->b, &path, i, at, &look);
                expect_look(m, &look, window_first_hour((enum window)l->window, hour),
                            window_next_hour((enum window)l->window, hour), target,
                            l->cell[at >= l->edge_unix_ns]);
            }
            if (pool) assert_int_equal(look.limit_nusd, m->entries);
        }
        for (size_t t = 0; t < 7; t++) {
            for (int w = 0; path_holds(&p->path[key], m->target[t]) && w < WINDOWS; w++) {
                if (m->set[t].nusd[w] != LIMIT_NONE) want++;
            }
        }
        assert_int_equal(path.limit_count, want + m->prepaid);
    }
    budget_leave(p->b, 1);
}

/* A restart: what ran is booked as interrupted by recovery, at what it cost so far: nothing. */
static void restart(struct model *m)
{
    struct place *p = m->p;
    uint64_t recovered, interrupted;
    for (size_t i = 0; i < RUNS_MAX; i++) {
        if (m->run[i].on) budget_settle(p->b, 0, &m->run[i].hold, 0);
        m->run[i].on = false;
    }
    journal_close(p->j);
    budget_close(p->b);
    p->db = data_dir_open(p->d);
    assert_int_equal(fold_recover(p->db, 40, &recovered, &interrupted), STORE_OK);
    open_budget(p, m->now);
}

static void model_init(struct model *m, struct place *p, uint64_t seed)
{
    *m = (struct model){.p = p, .seed = seed, .now = start + 7};
    const store_id targets[7] = {p->org, p->team, p->member[0], p->member[1], p->key[0],
                                 p->key[1], p->key[2]};
    memcpy(m->target, targets, sizeof(targets));
    for (int i = 0; i < 7; i++) m->set[i] = one_limit(WINDOW_HOUR, LIMIT_NONE);
}

static void test_cells_agree_with_a_plain_model(void **state)
{
    struct place *p = place_make(state);
    struct model *m = malloc(sizeof(*m));
    assert_non_null(m);
    const char *given = getenv("WEIR_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 20261121;
    print_message("WEIR_SEED=%llu\n", (unsigned long long)seed);
    model_init(m, p, seed * 2 + 1);
    for (int step = 0; step < STEPS; step++) {
        uint64_t kind = draw(m, 100);
        struct run *x = &m->run[draw(m, RUNS_MAX)];
        if (kind < 40) run_begin(m);
        else if (kind < 60 && x->on) run_reserve(m, x);
        else if (kind < 64 && x->on) budget_release(p->b, &x->hold, x->hold.nusd / 2);
        else if (kind < 82 && x->on) run_bill(m, x, true);
        else if (kind < 84 && x->on) run_bill(m, x, false);
        else if (kind < 86 && x->on) run_join(m, x);
        else if (kind < 88) change_limits(m);
        else if (kind < 89) change_pool(m);
        else if (kind < 91) step_clock(m);
        else if (kind < 92) fold_all(p);
        else if (kind < 94) check_all(m);
        else if (kind == 94 && draw(m, 5) == 0) restart(m);
    }
    for (size_t i = 0; i < RUNS_MAX; i++) {
        if (m->run[i].on) run_bill(m, &m->run[i], true);
    }
    check_all(m);
    free(m);
    place_free(p);
}

/* ---- one at a time */

static void begin(struct place *p, int key, struct budget_hold *hold)
{
    struct budget_path path;
    *hold = (struct budget_hold){0};
    budget_enter(p->b, 0);
    budget_find(p->b, &p->path[key], &path);
    budget_begin(p->b, 0, &path, start, hold);
    budget_leave(p->b, 0);
}

static void test_the_narrowest_refuses_and_nothing_stays_taken(void **state)
{
    struct place *p = place_make(state);
    struct limits org = one_limit(WINDOW_DAY, 50), key = one_limit(WINDOW_MONTH, 100);
    limits_set(p, p->org, &org);
    limits_set(p, p->key[0], &key);
    struct budget_hold a, b;
    struct budget_look look;
    uint8_t layer;
    begin(p, 0, &a);
    begin(p, 2, &b);
    assert_int_equal(a.count, 2);
    assert_int_equal(b.count, 1);
    assert_int_equal(budget_room(p->b, &a, &layer), 50);
    assert_int_equal(layer, UNIT_ORGANIZATION);
    assert_int_equal(budget_reserve(p->b, &a, 51), 1);      /* narrowest first: cell 0 has it */
    assert_int_equal(budget_reserve(p->b, &a, 50), BUDGET_FREE);
    assert_int_equal(budget_reserve(p->b, &b, 1), 0);
    assert_int_equal(budget_reserve(p->b, &b, 0), BUDGET_FREE);
    budget_cell_look(p->b, a.cell[0], &look);
    assert_int_equal(look.held_nusd, 50);
    budget_settle(p->b, 0, &a, 70);                          /* more than was held */
    budget_cell_look(p->b, b.cell[0], &look);
    assert_int_equal(look.spent_nusd, 70);
    assert_int_equal(look.held_nusd, 0);
    assert_int_equal(budget_room(p->b, &b, NULL), -20);
    budget_settle(p->b, 0, &b, 0);
    place_free(p);
}

static void test_a_removed_limit_is_not_reused_while_it_is_held(void **state)
{
    struct place *p = place_make(state);
    struct limits some = one_limit(WINDOW_TOTAL, 1000), none = one_limit(WINDOW_TOTAL, -1);
    limits_set(p, p->key[0], &some);
    struct budget_hold old, young;
    begin(p, 0, &old);
    assert_int_equal(budget_reserve(p->b, &old, 600), BUDGET_FREE);
    limits_set(p, p->key[0], &none);
    for (int i = 0; i < 3; i++) assert_int_equal(budget_step(p->b, start), STORE_OK);
    limits_set(p, p->key[1], &some);
    begin(p, 1, &young);
    assert_int_not_equal(young.cell[0], old.cell[0]);
    uint32_t was = old.cell[0];
    budget_settle(p->b, 0, &old, 600);
    budget_settle(p->b, 0, &young, 0);
    assert_int_equal(budget_step(p->b, start), STORE_OK);
    limits_set(p, p->key[2], &some);
    begin(p, 2, &young);
    assert_int_equal(young.cell[0], was);                    /* now it is */
    assert_int_equal(budget_room(p->b, &young, NULL), 1000);
    budget_settle(p->b, 0, &young, 0);
    place_free(p);
}

/* What runs when a limit or a prepaid pool goes and comes back is not held of the new cell: its
 * cost counts when it ends, once; what begins later is held. */
static void test_what_runs_counts_at_its_end_when_its_limit_is_set_again(void **state)
{
    struct place *p = place_make(state);
    struct model *m = calloc(1, sizeof(*m));
    assert_non_null(m);
    struct limits some = one_limit(WINDOW_DAY, 1000), none = one_limit(WINDOW_DAY, LIMIT_NONE);
    struct budget_hold young;
    struct budget_look look;
    model_init(m, p, 1);
    limits_set(p, p->org, &some);
    pool_set(p, true, 900, 1, start);
    run_begin(m);
    struct run *x = m->run;
    while (!x->on) x++;
    assert_int_equal(x->hold.count, 2);
    assert_int_equal(budget_reserve(p->b, &x->hold, 600), BUDGET_FREE);
    for (int i = 0; i < 3; i++) {
        limits_set(p, p->org, &none);
        pool_set(p, false, 0, 2, start);
        limits_set(p, p->org, &some);
        pool_set(p, true, 0, 3, start);
    }
    begin(p, 0, &young);
    assert_int_equal(young.count, 2);
    assert_int_equal(budget_reserve(p->b, &young, 500), BUDGET_FREE);
    x->r.cost_nusd = 600;
    journal_end(p->j, x->slot, &x->r);
    budget_settle(p->b, 0, &x->hold, 600);
    for (int i = 0; i < 2; i++) {
        fold_all(p);
        assert_int_equal(budget_step(p->b, start), STORE_OK);
        assert_int_equal(budget_room(p->b, &young, NULL), 900 - 500 - 600);
        for (unsigned k = 0; k < 2; k++) {
            budget_cell_look(p->b, young.cell[k], &look);
            assert_int_equal(look.spent_nusd, 600);
            assert_int_equal(look.held_nusd, 500);
        }
    }
    budget_settle(p->b, 0, &young, 0);
    free(m);
    place_free(p);
}

static void test_a_party_inside_keeps_its_version(void **state)
{
    struct place *p = place_make(state);
    struct limits some = one_limit(WINDOW_TOTAL, 1000), none = one_limit(WINDOW_TOTAL, -1);
    limits_set(p, p->key[0], &some);
    struct budget_path path;
    struct budget_hold hold = {0}, other;
    budget_enter(p->b, 2);
    budget_find(p->b, &p->path[0], &path);
    limits_set(p, p->key[0], &none);
    assert_int_equal(budget_step(p->b, start), STORE_OK);
    limits_set(p, p->key[1], &some);
    begin(p, 1, &other);
    assert_int_not_equal(other.cell[0], path.limit[0].cell[0]);
    budget_begin(p->b, 2, &path, start, &hold);              /* its version is still there */
    budget_leave(p->b, 2);
    assert_int_equal(budget_reserve(p->b, &hold, 1000), BUDGET_FREE);
    budget_settle(p->b, 2, &hold, 0);
    budget_settle(p->b, 0, &other, 0);
    place_free(p);
}

/* The clock steps over two edges, and back, before the store rolls: what is spent meanwhile is
 * of a window that its limits have cells for, so that the cells keep saying what the records
 * say. Found by the simulation. */
static void test_times_that_no_cell_is_for(void **state)
{
    struct place *p = place_make(state);
    struct limits l = one_limit(WINDOW_HOUR, 1000), total = one_limit(WINDOW_TOTAL, 1000);
    struct budget_path path;
    limits_set(p, p->key[0], &total);
    budget_find(p->b, &p->path[0], &path);
    assert_int_equal(budget_time(p->b, &path, start + 50 * HOUR), start + 50 * HOUR);
    limits_set(p, p->key[0], &l);
    budget_find(p->b, &p->path[0], &path);
    assert_int_equal(budget_time(p->b, &path, start - 1), start);
    assert_int_equal(budget_time(p->b, &path, start + 5), start + 5);
    assert_int_equal(budget_time(p->b, &path, start + 2 * HOUR - 1), start + 2 * HOUR - 1);
    assert_int_equal(budget_time(p->b, &path, start + 2 * HOUR), start + 2 * HOUR - 1);
    assert_int_equal(budget_time(p->b, &path, start + 90 * HOUR), start + 2 * HOUR - 1);
    struct budget_path old = path;
    assert_int_equal(budget_step(p->b, start + 90 * HOUR), STORE_OK);
    budget_find(p->b, &p->path[0], &path);
    assert_int_equal(budget_time(p->b, &path, start), start + 90 * HOUR);
    assert_int_equal(budget_time(p->b, &old, start), start + 2 * HOUR - 1);
    place_free(p);
}

static void test_more_targets_than_are_noted(void **state)
{
    struct place *p = place_make(state);
    struct limits some = one_limit(WINDOW_WEEK, 77);
    store_id id[DB_TOUCHED_MAX + 40];
    for (size_t i = 0; i < COUNT(id); i++) id[i] = unit_make(p, UNIT_MEMBER, p->org);
    MDB_txn *txn = data_dir_begin(p->d, true);
    for (size_t i = 0; i < COUNT(id); i++) {
        assert_int_equal(limits_put(p->db, txn, id[i], &some), STORE_OK);
    }
    data_dir_commit(p->d, txn);
    assert_int_equal(budget_refresh(p->b), STORE_OK);
    budget_enter(p->b, 0);
    for (size_t i = 0; i < COUNT(id); i++) {
        struct unit_path path = {.unit = {[UNIT_MEMBER] = id[i]}};
        struct budget_path found;
        struct budget_look look;
        budget_find(p->b, &path, &found);
        assert_int_equal(found.limit_count, 1);
        budget_see(p->b, &found, 0, start, &look);
        assert_int_equal(look.limit_nusd, 77);
        assert_true(look.resets_unix_ns > start && look.resets_unix_ns <= start + 168 * HOUR);
    }
    budget_leave(p->b, 0);
    place_free(p);
}

/* ---- rates */

static bool ask(struct place *p, int key, uint64_t now, struct budget_hold *hold,
                struct rate_refusal *why)
{
    struct budget_path path;
    *hold = (struct budget_hold){0};
    budget_enter(p->b, 0);
    budget_find(p->b, &p->path[key], &path);
    budget_begin(p->b, 0, &path, start, hold);
    bool in = budget_rates_begin(p->b, &path, now, hold, why);
    budget_leave(p->b, 0);
    return in;
}

static void finish(struct place *p, int key, uint64_t now, struct budget_hold *hold,
                   uint64_t tokens)
{
    if (hold->rated) budget_rates_end(p->b, hold, &p->path[key], now, tokens);
    budget_settle(p->b, 0, hold, 0);
}

#define SECOND UINT64_C(1000000000)

static void test_requests_a_minute(void **state)
{
    struct place *p = place_make(state);
    struct budget_hold hold;
    struct rate_refusal why;
    uint64_t now = 5 * SECOND;
    rates_set(p, p->team, "r6", 3);
    for (int i = 0; i < 6; i++) {                            /* N at once */
        assert_true(ask(p, i & 1, now, &hold, &why));
        finish(p, i & 1, now, &hold, 5);
    }
    assert_false(ask(p, 0, now, &hold, &why));
    assert_int_equal(why.layer, UNIT_TEAM);
    assert_int_equal(why.kind, RATE_REQUESTS);
    assert_int_equal(why.wait_ns, 10 * SECOND);
    finish(p, 0, now, &hold, 0);
    assert_true(ask(p, 2, now, &hold, &why));                /* of another team */
    finish(p, 2, now, &hold, 0);
    assert_false(ask(p, 0, now + 10 * SECOND - 1, &hold, &why));
    finish(p, 0, now, &hold, 0);
    assert_true(ask(p, 0, now + 10 * SECOND, &hold, &why));  /* then evenly */
    finish(p, 0, now, &hold, 0);
    assert_false(ask(p, 0, now + 10 * SECOND, &hold, &why));
    finish(p, 0, now, &hold, 0);
    place_free(p);
}

/* Whoever asks all the time gets N, then one each Nth of a minute: below 2N in any minute, also
 * where N does not divide it; and what is said to be left is what is left. */
static void test_a_minute_sees_less_than_twice(void **state)
{
    static const struct { const char *blob; uint32_t n; } cases[] = {{"r7", 7}, {"r1", 1},
                                                                     {"r13", 13}, {"r60", 60}};
    struct place *p = place_make(state);
    uint64_t now = 5 * SECOND;
    struct budget_path path;
    struct rate_look look;
    for (size_t i = 0; i < COUNT(cases); i++, now += 1000 * SECOND) {
        uint64_t end = now + 60 * SECOND;
        uint32_t count = 0;
        rates_set(p, p->org, cases[i].blob, strlen(cases[i].blob) + 1);
        for (uint64_t at = now; at < end;) {
            struct budget_hold hold = {0};
            struct rate_refusal why;
            if (!ask(p, 0, at, &hold, &why)) {
                budget_settle(p->b, 0, &hold, 0);
                at += why.wait_ns;
                continue;
            }
            count++;
            finish(p, 0, at, &hold, 0);
            budget_find(p->b, &p->path[0], &path);
            budget_rates_see(p->b, &path, RATE_REQUESTS, at, &look);
            assert_int_equal(look.remaining, count < cases[i].n ? cases[i].n - count : 0);
        }
        assert_int_equal(count, 2 * cases[i].n - 1);
    }
    place_free(p);
}

static void test_tokens_and_concurrency(void **state)
{
    struct place *p = place_make(state);
    struct budget_hold hold, more[3];
    struct rate_refusal why;
    uint64_t now = SECOND;
    rates_set(p, p->org, "t600\0c2", 8);
    assert_true(ask(p, 0, now, &more[0], &why));
    assert_true(ask(p, 2, now, &more[1], &why));
    assert_false(ask(p, 0, now, &more[2], &why));
    assert_int_equal(why.kind, RATE_RUNNING);
    finish(p, 0, now, &more[2], 0);
    finish(p, 0, now, &more[0], 599);
    assert_true(ask(p, 0, now, &more[0], &why));             /* below: admitted */
    finish(p, 0, now, &more[0], 61);
    finish(p, 2, now, &more[1], 0);
    assert_false(ask(p, 0, now, &hold, &why));               /* 660 of 600 */
    assert_int_equal(why.kind, RATE_TOKENS);
    assert_true(why.wait_ns > 6 * SECOND && why.wait_ns < 7 * SECOND);
    finish(p, 0, now, &hold, 0);
    struct budget_path path;
    struct rate_look look;
    budget_enter(p->b, 0);
    budget_find(p->b, &p->path[0], &path);
    budget_rates_see(p->b, &path, RATE_TOKENS, now, &look);
    assert_int_equal(look.limit, 600);
    assert_int_equal(look.remaining, 0);
    budget_rates_see(p->b, &path, RATE_TOKENS, now + 36 * SECOND, &look);
    assert_int_equal(look.remaining, 300);
    budget_rates_see(p->b, &path, RATE_REQUESTS, now, &look);
    assert_int_equal(look.limit, 0);
    budget_leave(p->b, 0);
    place_free(p);
}

/* ---- versions */

static unsigned versions(const struct budget *b)
{
    unsigned count = 0;
    for (const struct budget_map *m = b->oldest; m; m = m->newer) count++;
    return count;
}

/* Places of cells that were given away and are not free again. */
static uint32_t places_in_use(const struct budget *b) { return b->cells - b->free_count; }

/* One exchange that runs for long keeps its version, not all that come after it; and of cells
 * only those it may use. */
static void test_a_pinned_version_keeps_no_later_one(void **state)
{
    static const char *const rates[2] = {"r6", "r7"};
    struct place *p = place_make(state);
    struct limits some = one_limit(WINDOW_DAY, 1000), none = one_limit(WINDOW_DAY, LIMIT_NONE);
    limits_set(p, p->key[1], &some);
    assert_int_equal(budget_step(p->b, start), STORE_OK);
    uint32_t before = places_in_use(p->b);
    struct budget_hold old, middle, young;
    struct rate_refusal why;
    limits_set(p, p->key[0], &some);
    begin(p, 0, &old);
    assert_int_equal(budget_reserve(p->b, &old, 600), BUDGET_FREE);
    rates_set(p, p->org, rates[0], 3);
    assert_true(ask(p, 0, 1, &middle, &why));
    for (int i = 0; i < 1000; i++) {
        rates_set(p, p->org, rates[i % 2], i % 3 ? 3 : 0);   /* its cell comes and goes */
        limits_set(p, p->key[0], i % 2 ? &some : &none);
        assert_int_equal(budget_step(p->b, start), STORE_OK);
        assert_true(versions(p->b) <= 4);
        assert_true(places_in_use(p->b) <= before + 16);
    }
    assert_int_equal(versions(p->b), 3);
    rates_set(p, p->org, "", 0);
    limits_set(p, p->key[0], &none);
    assert_int_equal(budget_step(p->b, start), STORE_OK);
    limits_set(p, p->key[2], &some);                  /* takes no place of theirs */
    begin(p, 2, &young);
    assert_int_not_equal(young.cell[0], old.cell[0]);
    assert_int_not_equal(young.cell[0], middle.cell[0]);
    assert_int_equal(budget_room(p->b, &old, NULL), 400);
    budget_settle(p->b, 0, &young, 0);
    finish(p, 0, 1, &middle, 0);
    assert_int_equal(budget_step(p->b, start), STORE_OK);
    assert_int_equal(versions(p->b), 2);
    assert_int_equal(budget_room(p->b, &old, NULL), 400);
    budget_settle(p->b, 0, &old, 600);
    limits_set(p, p->key[2], &none);
    for (int i = 0; i < 2; i++) assert_int_equal(budget_step(p->b, start), STORE_OK);
    assert_int_equal(versions(p->b), 1);
    assert_int_equal(places_in_use(p->b), before);
    place_free(p);
}

/* ---- threads */

enum { TAKERS = 2, TAKES = 20000 };

struct taker {
    pthread_t thread;
    struct place *p;
    unsigned party;
    uint64_t admitted;
    int64_t spent;
};

static void *take_main(void *arg)
{
    struct taker *t = arg;
    struct place *p = t->p;
    for (int i = 0; i < TAKES; i++) {
        struct budget_path path;
        struct budget_hold hold = {0};
        budget_enter(p->b, t->party);
        budget_find(p->b, &p->path[i % KEYS], &path);
        budget_begin(p->b, t->party, &path, start, &hold);
        budget_leave(p->b, t->party);
        if (budget_reserve(p->b, &hold, 7) == BUDGET_FREE) {
            t->admitted++;
            t->spent += 7;
            budget_settle(p->b, t->party, &hold, 7);
        } else {
            budget_settle(p->b, t->party, &hold, 0);
        }
    }
    return NULL;
}

/* 40,000 ask for what is there for 10,000 of them; others come and go meanwhile. */
static void test_threads_admit_exactly_what_is_there(void **state)
{
    struct place *p = place_make(state);
    struct limits org = one_limit(WINDOW_TOTAL, 70000), some = one_limit(WINDOW_TOTAL, 1 << 30);
    struct limits none = one_limit(WINDOW_TOTAL, LIMIT_NONE);
    struct taker t[TAKERS];
    limits_set(p, p->org, &org);
    for (unsigned i = 0; i < TAKERS; i++) {
        t[i] = (struct taker){.p = p, .party = i};
        assert_int_equal(pthread_create(&t[i].thread, NULL, take_main, &t[i]), 0);
    }
    for (int i = 0; i < 50; i++) {
        limits_set(p, p->key[i % KEYS], i & 4 ? &none : &some);
        assert_int_equal(budget_step(p->b, start), STORE_OK);
    }
    for (unsigned i = 0; i < TAKERS; i++) assert_int_equal(pthread_join(t[i].thread, NULL), 0);
    assert_int_equal(t[0].admitted + t[1].admitted, 10000);
    struct budget_hold hold;
    begin(p, 0, &hold);
    struct budget_look look;
    budget_cell_look(p->b, hold.cell[hold.count - 1], &look);
    assert_int_equal(look.layer, UNIT_ORGANIZATION);
    assert_int_equal(look.spent_nusd, 70000);
    assert_int_equal(look.held_nusd, 0);
    budget_settle(p->b, 0, &hold, 0);
    place_free(p);
}

/* As auth.c does: a path is kept while the generation stays. Who holds on to what a version
 * freed reads freed memory, which a sanitizer sees; and pins are left on the wrong version. */
static void *keep_main(void *arg)
{
    struct taker *t = arg;
    struct place *p = t->p;
    struct budget_path path;
    uint64_t generation = 0;
    for (int i = 0; i < TAKES * 5; i++) {
        struct budget_hold hold = {0};
        budget_enter(p->b, t->party);
        uint64_t now = atomic_load_explicit(&p->db->generation, memory_order_acquire) + 1;
        if (now != generation) budget_find(p->b, &p->path[0], &path);
        generation = now;
        if (i % 32 == 0) (void)sched_yield();   /* a turn may be interrupted anywhere */
        budget_begin(p->b, t->party, &path, start, &hold);
        t->admitted += budget_reserve(p->b, &hold, 1) == BUDGET_FREE;
        budget_settle(p->b, t->party, &hold, 0);
        budget_leave(p->b, t->party);
    }
    return NULL;
}

static void test_threads_keep_their_paths(void **state)
{
    struct place *p = place_make(state);
    struct limits some = one_limit(WINDOW_TOTAL, 1 << 30);
    struct taker t[TAKERS];
    limits_set(p, p->key[0], &some);
    for (unsigned i = 0; i < TAKERS; i++) {
        t[i] = (struct taker){.p = p, .party = i};
        assert_int_equal(pthread_create(&t[i].thread, NULL, keep_main, &t[i]), 0);
    }
    for (int i = 0; i < 400; i++) {
        struct limits other = one_limit(i % 2 ? WINDOW_MONTH : WINDOW_TOTAL, 1 << 30);
        other.nusd[WINDOW_TOTAL] = 1 << 30;
        limits_set(p, p->member[0], &other);
        assert_int_equal(budget_step(p->b, start), STORE_OK);
    }
    for (unsigned i = 0; i < TAKERS; i++) assert_int_equal(pthread_join(t[i].thread, NULL), 0);
    assert_int_equal(t[0].admitted + t[1].admitted, TAKERS * TAKES * 5);
    struct budget_hold hold;
    begin(p, 0, &hold);
    struct budget_look look;
    budget_cell_look(p->b, hold.cell[0], &look);
    assert_int_equal(look.held_nusd, 0);
    budget_settle(p->b, 0, &hold, 0);
    place_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATA_TEST(test_cells_agree_with_a_plain_model),
        DATA_TEST(test_the_narrowest_refuses_and_nothing_stays_taken),
        DATA_TEST(test_a_removed_limit_is_not_reused_while_it_is_held),
        DATA_TEST(test_what_runs_counts_at_its_end_when_its_limit_is_set_again),
        DATA_TEST(test_a_party_inside_keeps_its_version),
        DATA_TEST(test_times_that_no_cell_is_for),
        DATA_TEST(test_more_targets_than_are_noted),
        DATA_TEST(test_requests_a_minute),
        DATA_TEST(test_a_minute_sees_less_than_twice),
        DATA_TEST(test_tokens_and_concurrency),
        DATA_TEST(test_a_pinned_version_keeps_no_later_one),
        DATA_TEST(test_threads_admit_exactly_what_is_there),
        DATA_TEST(test_threads_keep_their_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
