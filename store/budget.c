/* budget.c - the store thread's side of budget.h: which cells there are.
 *
 *   limits, pools, policies --touched--> copy of the version, changed --> published
 *                          --an hour--> copy of the version, rolled  --> published
 *   versions: oldest -> ... -> current; any but the current one goes when nobody pins it and
 *   every party has left it, and with it the cells that no other version names
 *
 * A cell is made with what the store says is spent in its window. What the store does not know
 * yet comes from records that are folded later: those whose exchange was admitted under an
 * older version never reserved on this cell, and are added (budget_folded); those of younger
 * exchanges settle by themselves. Both are decided on this thread, which also folds, so that
 * no record can be counted by both or by neither.
 * The rule: a limit that stays keeps its cell; only its amount changes, at once and exactly. */
#include "store/budget.h"
#include "store/budget_part.h"

#include "store/credits.h"
#include "store/journal.h"
#include "store/keys.h"
#include "store/limits.h"
#include "store/maybe.h"
#include "store/org.h"
#include "store/policy.h"
#include "store/spent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CELLS_BYTES ((size_t)CELLS_MAX * sizeof(struct cell))
#define SUMS_BYTES ((size_t)CELLS_MAX * sizeof(int64_t))

struct change {                 /* a version that is being made */
    struct budget *b;
    MDB_txn *txn;
    struct budget_map *from, *to;   /* to->at has room for `max` */
    uint32_t max;
    uint32_t *made, made_count, made_max;    /* cells of it, if it comes to nothing */
    uint32_t *gone, gone_count, gone_max;
    bool differs;
};

static enum store_rc no_memory(struct budget *b)
{
    return db_rc(b->db, ENOMEM, "change budgets");
}

/* Append to a list of places. */
static bool list_add(uint32_t **list, uint32_t *count, uint32_t *max, uint32_t cell)
{
    if (*count == *max) {
        uint32_t more = *max ? *max * 2 : 64;
        uint32_t *grown = realloc(*list, more * sizeof(*grown));
        if (!grown) return false;
        *list = grown;
        *max = more;
    }
    (*list)[(*count)++] = cell;
    return true;
}

/* ---- places in the file */

static enum store_rc file_grow(struct budget *b)
{
    if (b->mapped + CELLS_STEP > CELLS_MAX) return db_rc(b->db, ENOSPC, "make more budgets");
    off_t from = (off_t)b->mapped * (off_t)sizeof(struct cell);
    off_t bytes = (off_t)CELLS_STEP * (off_t)sizeof(struct cell);
    int code = posix_fallocate(b->fd, from, bytes);
    if (code == 0) b->mapped += CELLS_STEP;
    return db_rc(b->db, code, "make room for budgets");
}

/* A free place, zeroed. */
static enum store_rc place_take(struct change *c, uint32_t *cell)
{
    struct budget *b = c->b;
    bool again = b->free_count > 0;
    if (!again && b->cells == b->mapped) {
        enum store_rc rc = file_grow(b);
        if (rc != STORE_OK) return rc;
    }
    uint32_t at = again ? b->free[b->free_count - 1] : b->cells;
    if (!list_add(&c->made, &c->made_count, &c->made_max, at)) return no_memory(b);
    if (again) b->free_count--;
    else b->cells++;
    memset((void *)&b->cell[at], 0, sizeof(struct cell));
    b->cell[at].born = c->to->version;
    for (unsigned i = 0; i < b->parties; i++) {
        atomic_store_explicit(&b->party[i].spent[at], 0, memory_order_relaxed);
    }
    *cell = at;
    return STORE_OK;
}

/* No later version names it. */
static enum store_rc place_drop(struct change *c, uint32_t cell)
{
    c->differs = true;
    bool ok = cell == 0 || list_add(&c->gone, &c->gone_count, &c->gone_max, cell);
    return ok ? STORE_OK : no_memory(c->b);
}

/* ---- cells */

static enum store_rc cell_make(struct change *c, store_id target, const struct target_limit *l,
                               uint32_t hour, int64_t limit, int64_t spent, uint32_t *cell)
{
    enum store_rc rc = place_take(c, cell);
    if (rc != STORE_OK) return rc;
    struct cell *to = &c->b->cell[*cell];
    to->first_hour = window_first_hour((enum window)l->window, hour);
    to->next_hour = window_next_hour((enum window)l->window, hour);
    to->layer = l->layer;
    to->window = l->window;
    to->target = target;
    atomic_store_explicit(&to->limit, limit, memory_order_relaxed);
    atomic_store_explicit(&to->known, spent, memory_order_relaxed);
    atomic_store_explicit(&to->left, limit - spent, memory_order_relaxed);
    c->differs = true;
    return STORE_OK;
}

/* The cell of a budget for the window that holds an hour. */
static enum store_rc cell_of_hour(struct change *c, store_id target,
                                  const struct target_limit *l, uint32_t hour, int64_t limit,
                                  uint32_t *cell)
{
    int64_t spent = 0;
    enum window w = (enum window)l->window;
    enum store_rc rc = w == WINDOW_TOTAL
        ? spent_total(c->b->db, c->txn, target, &spent)
        : spent_between(c->b->db, c->txn, target, window_first_hour(w, hour),
                        window_next_hour(w, hour), &spent);
    if (PLANT(forgets_spent)) spent = 0;
    if (rc == STORE_OK) rc = cell_make(c, target, l, hour, limit, spent, cell);
    return rc;
}

static void cell_limit(struct budget *b, uint32_t cell, int64_t limit)
{
    if (cell == 0) return;
    struct cell *at = &b->cell[cell];
    int64_t was = atomic_load_explicit(&at->limit, memory_order_relaxed);
    if (was == limit) return;
    atomic_store_explicit(&at->limit, limit, memory_order_relaxed);
    atomic_fetch_add_explicit(&at->left, limit - was, memory_order_relaxed);
}

/* ---- targets */

struct wanted {                 /* of a target, by the store */
    struct limits limits;
    struct rates rates;
    struct pool pool;
};

static enum store_rc wanted_read(struct change *c, store_id id, struct wanted *w)
{
    struct db *db = c->b->db;
    *w = (struct wanted){0};
    enum store_rc rc = limits_get(db, c->txn, id, &w->limits);
    if (rc != STORE_OK && rc != STORE_NOT_FOUND) return rc;
    bool read = true;
    if (store_id_kind(id) == UNIT_KEY) {
        struct key k;
        rc = keys_get(db, c->txn, id, &k);
        if (rc == STORE_OK) read = policy_rates(k.policy.blob, k.policy.len, &w->rates);
    } else {
        struct unit u;
        rc = org_get(db, c->txn, id, &u);
        if (rc == STORE_OK) read = policy_rates(u.policy.blob, u.policy.len, &w->rates);
    }
    if (!read) return db_damaged(db, "a policy");
    if (rc == STORE_NOT_FOUND) {        /* deleted */
        for (int i = 0; i < WINDOWS; i++) w->limits.nusd[i] = LIMIT_NONE;
        return STORE_OK;
    }
    if (rc == STORE_OK && store_id_kind(id) == UNIT_ORGANIZATION) {
        rc = credits_pool(db, c->txn, id, &w->pool);
    }
    return rc;
}

/* Where in the target this limit is, or -1. */
static int limit_at(const struct target *t, unsigned layer, unsigned window)
{
    for (uint32_t i = 0; i < t->limit_count; i++) {
        if (t->limit[i].layer == layer && t->limit[i].window == window) return (int)i;
    }
    return -1;
}

static enum store_rc limit_drop(struct change *c, struct target *t, int at)
{
    enum store_rc rc = place_drop(c, t->limit[at].cell[0]);
    if (rc == STORE_OK) rc = place_drop(c, t->limit[at].cell[1]);
    t->limit[at] = t->limit[--t->limit_count];
    return rc;
}

static enum store_rc limit_make(struct change *c, struct target *t, unsigned layer,
                                unsigned window, int64_t nusd)
{
    uint32_t hour = c->b->hour;
    struct target_limit l = {.layer = (uint8_t)layer, .window = (uint8_t)window};
    enum store_rc rc = cell_of_hour(c, t->id, &l, hour, nusd, &l.cell[0]);
    if (rc == STORE_OK && window != WINDOW_TOTAL) {
        uint32_t next = window_next_hour((enum window)window, hour);
        rc = cell_of_hour(c, t->id, &l, next, nusd, &l.cell[1]);
    }
    assert(t->limit_count < HOLDS_MAX);
    t->limit[t->limit_count++] = l;
    return rc;
}

static enum store_rc pool_make(struct change *c, struct target *t, const struct pool *p)
{
    struct target_limit l = {.layer = BUDGET_LAYER_POOL, .window = WINDOW_TOTAL};
    enum store_rc rc = cell_make(c, t->id, &l, c->b->hour, p->entries_nusd, p->spent_nusd,
                                 &l.cell[0]);
    assert(t->limit_count < HOLDS_MAX);
    t->limit[t->limit_count++] = l;
    return rc;
}

/* Make a target what it is wanted to be. */
static enum store_rc target_change(struct change *c, struct target *t, const struct wanted *w)
{
    enum store_rc rc = STORE_OK;
    unsigned layer = store_id_kind(t->id);
    for (unsigned i = 0; rc == STORE_OK && i < WINDOWS; i++) {
        int at = limit_at(t, layer, i);
        int64_t nusd = w->limits.nusd[i];
        if (nusd == LIMIT_NONE) {
            if (at >= 0) rc = limit_drop(c, t, at);
        } else if (at >= 0) {
            cell_limit(c->b, t->limit[at].cell[0], nusd);
            cell_limit(c->b, t->limit[at].cell[1], nusd);
        } else {
            rc = limit_make(c, t, layer, i, nusd);
        }
    }
    int at = limit_at(t, BUDGET_LAYER_POOL, WINDOW_TOTAL);
    if (rc == STORE_OK && !w->pool.prepaid && at >= 0) rc = limit_drop(c, t, at);
    if (rc == STORE_OK && w->pool.prepaid && at < 0) rc = pool_make(c, t, &w->pool);
    if (w->pool.prepaid && at >= 0) cell_limit(c->b, t->limit[at].cell[0],
                                               w->pool.entries_nusd);
    if (rc != STORE_OK || memcmp(&t->rates, &w->rates, sizeof(t->rates)) == 0) return rc;
    bool any = w->rates.rpm || w->rates.tpm || w->rates.concurrency;
    t->rates = w->rates;
    c->differs = true;
    if (any && !t->rate_cell) return place_take(c, &t->rate_cell);
    if (any) return STORE_OK;
    uint32_t was = t->rate_cell;
    t->rate_cell = 0;
    return place_drop(c, was);
}

/* The target of an id in the version that is being made; made where there was none. No id is
 * asked for twice in a change. */
static enum store_rc target_at(struct change *c, store_id id, struct target **t)
{
    int64_t at = map_find(c->from, id);
    if (at < 0 && c->to->count == c->max) {
        uint32_t max = c->max * 2 + 16;
        struct target *more = realloc(c->to->at, max * sizeof(*more));
        if (!more) return no_memory(c->b);
        c->to->at = more;
        c->max = max;
    }
    if (at < 0) {
        at = c->to->count++;
        c->to->at[at] = (struct target){.id = id};
    }
    *t = &c->to->at[at];
    return STORE_OK;
}

static enum store_rc target_take(struct change *c, store_id id)
{
    struct wanted w;
    struct target *t = NULL;
    enum store_rc rc = wanted_read(c, id, &w);
    if (rc == STORE_OK) rc = target_at(c, id, &t);
    return rc == STORE_OK ? target_change(c, t, &w) : rc;
}

/* ---- versions */

static void map_free(struct budget_map *m)
{
    if (!m) return;
    free(m->at);
    free(m->slot);
    free(m->gone);
    free(m);
}

/* Leave out what has nothing, and make the index. */
static bool map_index(struct budget_map *m)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        const struct target *t = &m->at[i];
        if (t->limit_count || t->rate_cell) m->at[count++] = *t;
    }
    m->count = count;
    for (m->slot_count = 16; m->slot_count < count * 2; ) m->slot_count *= 2;
    m->slot = calloc(m->slot_count, sizeof(*m->slot));
    if (!m->slot) return false;
    uint32_t mask = m->slot_count - 1;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (uint32_t)map_hash(m->at[i].id) & mask;
        while (m->slot[at]) at = (at + 1) & mask;
        m->slot[at] = i + 1;
    }
    return true;
}

static struct budget_map *map_make(const struct budget *b, uint32_t version, uint32_t room)
{
    struct budget_map *m = calloc(1, sizeof(*m) + b->parties * sizeof(m->pins[0]));
    if (!m) return NULL;
    m->version = version;
    m->at = malloc((room ? room : 1) * sizeof(*m->at));
    if (m->at) return m;
    map_free(m);
    return NULL;
}

static enum store_rc change_begin(struct budget *b, struct change *c)
{
    struct budget_map *from = atomic_load_explicit(&b->map, memory_order_relaxed);
    *c = (struct change){.b = b, .from = from, .max = from->count + 16};
    assert(from->version < UINT32_MAX);
    c->to = map_make(b, from->version + 1, c->max);
    if (!c->to) return no_memory(b);
    memcpy(c->to->at, from->at, from->count * sizeof(*from->at));
    c->to->count = from->count;
    return MAYBE(refresh_fails) ? no_memory(b) : db_begin(b->db, false, &c->txn);
}

/* Publish it, where it differs; or forget it, where rc is a failure. */
static enum store_rc change_end(struct change *c, enum store_rc rc)
{
    struct budget *b = c->b;
    if (c->txn) db_abort(c->txn);
    if (rc == STORE_OK && c->differs && !map_index(c->to)) rc = no_memory(b);
    bool good = rc == STORE_OK && c->differs;
    if (good) {
        c->from->gone = c->gone;
        c->from->gone_count = c->gone_count;
        c->from->gone_max = c->gone_max;
        c->from->newer = c->to;
        atomic_store_explicit(&b->map, c->to, memory_order_release);
        atomic_fetch_add_explicit(&b->db->generation, 1, memory_order_release);
        atomic_store_explicit(&b->version, c->to->version, memory_order_release);
        atomic_thread_fence(memory_order_seq_cst);  /* before `seen` is looked at */
    } else {
        /* There is room: these places came from there, or were never in use. */
        for (uint32_t i = 0; i < c->made_count; i++) {
            (void)list_add(&b->free, &b->free_count, &b->free_max, c->made[i]);
        }
        map_free(c->to);
        free(c->gone);
    }
    free(c->made);
    return rc;
}

static bool map_in_use(const struct budget *b, const struct budget_map *m)
{
    for (unsigned i = 0; i < b->parties; i++) {
        uint32_t seen = atomic_load_explicit(&b->party[i].seen, memory_order_acquire);
        if (seen && seen <= m->version) return true;
        if (atomic_load_explicit(&m->pins[i], memory_order_acquire)) return true;
    }
    return false;
}

/* Cells that no version after m names: those that an older version may name wait with the next
 * older one, which is its newest user now; the others are free. False: out of memory, and m
 * keeps the rest. */
static bool gone_pass(struct budget *b, struct budget_map *older, struct budget_map *m)
{
    for (; m->gone_count > 0; m->gone_count--) {
        uint32_t cell = m->gone[m->gone_count - 1];
        bool named = older && b->cell[cell].born <= older->version;
        bool ok = named ? list_add(&older->gone, &older->gone_count, &older->gone_max, cell)
                        : list_add(&b->free, &b->free_count, &b->free_max, cell);
        if (!ok) return false;
    }
    return true;
}

/* Each version that nobody is in, also between others: one exchange that runs for hours keeps
 * the version it was admitted under, and none of those that came later. */
static void free_old(struct budget *b)
{
    const struct budget_map *current = atomic_load_explicit(&b->map, memory_order_relaxed);
    struct budget_map *older = NULL;
    for (struct budget_map *m = b->oldest, *newer; m != current; m = newer) {
        newer = m->newer;
        assert(newer && newer->version > m->version);
        if (map_in_use(b, m) || !gone_pass(b, older, m)) {
            older = m;
            continue;
        }
        if (older) older->newer = newer;
        else b->oldest = newer;
        map_free(m);
    }
}

/* ---- changes */

struct ids { uint32_t count, max; store_id *at; bool failed; };

static bool ids_add(struct ids *ids, store_id id)
{
    if (ids->count == ids->max) {
        uint32_t max = ids->max ? ids->max * 2 : 256;
        store_id *more = realloc(ids->at, max * sizeof(*more));
        ids->failed = !more;
        if (!more) return false;
        ids->at = more;
        ids->max = max;
    }
    ids->at[ids->count++] = id;
    return true;
}

static bool ids_limits(store_id target, const struct limits *limits, void *arg)
{
    (void)limits;
    return ids_add(arg, target);
}

static bool ids_pool(store_id org, const struct pool *pool, void *arg)
{
    return !pool->prepaid || ids_add(arg, org);
}

static bool has_rates(const struct policy *p)
{
    struct rates r;
    return p->len > 0 && policy_rates(p->blob, p->len, &r) &&
           (r.rpm || r.tpm || r.concurrency);
}

static bool ids_unit(const struct unit *u, void *arg)
{
    return !has_rates(&u->policy) || ids_add(arg, u->id);
}

static bool ids_key(const struct key *k, void *arg)
{
    return !has_rates(&k->policy) || ids_add(arg, k->id);
}

static int by_id(const void *a, const void *b)
{
    const store_id *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* Everybody who has, or had, limits, rates or a pool. */
static enum store_rc take_all_targets(struct change *c)
{
    struct db *db = c->b->db;
    struct ids ids = {0};
    enum store_rc rc = limits_each(db, c->txn, ids_limits, &ids);
    if (rc == STORE_OK) rc = credits_pools(db, c->txn, ids_pool, &ids);
    if (rc == STORE_OK) rc = org_list(db, c->txn, 0, 0, ids_unit, &ids);
    if (rc == STORE_OK) rc = keys_list(db, c->txn, 0, 0, ids_key, &ids);
    for (uint32_t i = 0; rc == STORE_OK && i < c->from->count; i++) {
        if (!ids_add(&ids, c->from->at[i].id)) break;
    }
    if (rc == STORE_OK && ids.failed) rc = no_memory(c->b);
    if (rc == STORE_OK && ids.count) qsort(ids.at, ids.count, sizeof(*ids.at), by_id);
    for (uint32_t i = 0; rc == STORE_OK && i < ids.count; i++) {
        if (i == 0 || ids.at[i] != ids.at[i - 1]) rc = target_take(c, ids.at[i]);
    }
    free(ids.at);
    return rc;
}

enum store_rc budget_refresh(struct budget *b)
{
    struct db *db = b->db;
    struct change c;
    if (db->touched_count == 0 && !b->stale) return STORE_OK;
    bool all = b->stale || db->touched_count > DB_TOUCHED_MAX;
    enum store_rc rc = change_begin(b, &c);
    if (rc == STORE_OK && all) rc = take_all_targets(&c);
    for (uint32_t i = 0; rc == STORE_OK && !all && i < db->touched_count; i++) {
        rc = target_take(&c, db->touched[i]);
    }
    rc = change_end(&c, rc);
    b->stale = rc != STORE_OK;  /* tried again by the next step */
    if (rc == STORE_OK) db->touched_count = 0;
    return rc;
}

/* ---- refunds */

/* The cell of an organisation's pool, or NULL. */
static struct cell *pool_cell(const struct budget *b, store_id org)
{
    const struct budget_map *m = atomic_load_explicit(&b->map, memory_order_relaxed);
    int64_t at = map_find(m, org);
    int which = at >= 0 ? limit_at(&m->at[at], BUDGET_LAYER_POOL, WINDOW_TOTAL) : -1;
    return which >= 0 ? &b->cell[m->at[at].limit[which].cell[0]] : NULL;
}

enum store_rc budget_pool_take(struct budget *b, store_id org, int64_t nusd)
{
    struct cell *c = pool_cell(b, org);
    assert(nusd > 0);
    if (!c) return STORE_NOT_FOUND;
    if (!cell_take(c, nusd)) return STORE_REFUSED;
    atomic_fetch_sub_explicit(&c->limit, nusd, memory_order_relaxed);
    return STORE_OK;
}

void budget_pool_give(struct budget *b, store_id org, int64_t nusd)
{
    struct cell *c = pool_cell(b, org);
    assert(c && nusd > 0);
    atomic_fetch_add_explicit(&c->limit, nusd, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->left, nusd, memory_order_relaxed);
}

/* ---- windows */

static enum store_rc limit_roll(struct change *c, const struct target *t,
                                struct target_limit *l)
{
    struct budget *b = c->b;
    uint32_t hour = b->hour, old[2] = {l->cell[0], l->cell[1]};
    if (l->window == WINDOW_TOTAL || b->cell[old[0]].next_hour > hour) return STORE_OK;
    int64_t limit = atomic_load_explicit(&b->cell[old[1]].limit, memory_order_relaxed);
    enum window w = (enum window)l->window;
    enum store_rc rc = place_drop(c, old[0]);
    if (b->cell[old[1]].next_hour > hour) {
        l->cell[0] = old[1];
    } else {                                    /* the clock stepped over a whole window */
        if (rc == STORE_OK) rc = place_drop(c, old[1]);
        if (rc == STORE_OK) rc = cell_of_hour(c, t->id, l, hour, limit, &l->cell[0]);
    }
    uint32_t next = window_next_hour(w, hour);
    return rc == STORE_OK ? cell_of_hour(c, t->id, l, next, limit, &l->cell[1]) : rc;
}

static enum store_rc roll(struct budget *b, uint32_t hour)
{
    struct change c;
    /* First the floor, then the version: who finds cells of an hour is not admitted before
     * it. */
    b->hour = hour;
    atomic_store_explicit(&b->floor_ns, hour * HOUR_NS, memory_order_relaxed);
    enum store_rc rc = change_begin(b, &c);
    for (uint32_t i = 0; rc == STORE_OK && i < c.to->count; i++) {
        struct target *t = &c.to->at[i];
        for (uint32_t k = 0; rc == STORE_OK && k < t->limit_count; k++) {
            rc = limit_roll(&c, t, &t->limit[k]);
        }
    }
    return change_end(&c, rc);
}

enum store_rc budget_step(struct budget *b, uint64_t now_unix_ns)
{
    uint32_t hour = (uint32_t)(now_unix_ns / HOUR_NS);
    enum store_rc rc = STORE_OK;
    if (hour > b->hour || b->unrolled) {
        rc = roll(b, hour > b->hour ? hour : b->hour);
        b->unrolled = rc != STORE_OK;
    }
    if (rc == STORE_OK && b->stale) rc = budget_refresh(b);
    free_old(b);
    return rc;
}

void budget_folded(struct budget *b, const struct record *r)
{
    const struct budget_map *m = atomic_load_explicit(&b->map, memory_order_relaxed);
    if (r->kind == RECORD_FEEDBACK || r->cost_nusd == 0 || PLANT(missed_fold)) return;
    if ((r->budget_version >= m->version && !PLANT(folded_twice)) || m->count == 0) return;
    uint32_t hour = (uint32_t)(r->admitted_unix_ns / HOUR_NS);
    for (unsigned layer = 0; layer < UNIT_KINDS; layer++) {
        int64_t at = r->path[layer] ? map_find(m, r->path[layer]) : -1;
        for (uint32_t i = 0; at >= 0 && i < m->at[at].limit_count; i++) {
            const struct target_limit *l = &m->at[at].limit[i];
            bool pays = l->layer != BUDGET_LAYER_POOL || r->flags & RECORD_PREPAID;
            for (unsigned k = 0; pays && k < 2; k++) {
                struct cell *c = &b->cell[l->cell[k]];
                bool holds = l->cell[k] && hour >= c->first_hour && hour < c->next_hour;
                bool settled = r->budget_version >= c->born && !PLANT(folded_twice);
                if (!holds || settled) continue;
                atomic_fetch_add_explicit(&c->known, r->cost_nusd, memory_order_relaxed);
                atomic_fetch_add_explicit(&c->left, -r->cost_nusd, memory_order_relaxed);
            }
        }
    }
}

/* ---- start and end */

static enum store_rc map_file(struct budget *b, char *why)
{
    char path[DB_DIR_MAX + 16];
    snprintf(path, sizeof(path), "%s/cells", b->db->dir);
    b->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (b->fd < 0) {
        snprintf(why, 256, "cannot make %.180s: %s", path, strerror(errno));
        return errno == ENOSPC ? STORE_FULL : STORE_FAIL;
    }
    void *at = mmap(NULL, CELLS_BYTES, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_NORESERVE, b->fd, 0);
    if (at == MAP_FAILED) {
        snprintf(why, 256, "cannot map %.180s: %s", path, strerror(errno));
        return STORE_FAIL;
    }
    b->cell = at;
    enum store_rc rc = file_grow(b);
    b->cells = 1;                               /* place 0 is nobody's */
    if (rc != STORE_OK) snprintf(why, 256, "%.255s", b->db->why);
    return rc;
}

/* The parties and their sums. */
static bool parties_make(struct budget *b)
{
    b->party = aligned_alloc(64, b->parties * sizeof(*b->party));
    if (!b->party) return false;
    memset((void *)b->party, 0, b->parties * sizeof(*b->party));
    for (unsigned i = 0; i < b->parties; i++) {
        void *at = mmap(NULL, SUMS_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED) return false;
        b->party[i].spent = at;
    }
    return true;
}

enum store_rc budget_open(struct db *db, unsigned parties, uint64_t now_unix_ns,
                          struct budget **out, char *why)
{
    assert(parties > 0);
    struct budget *b = calloc(1, sizeof(*b));
    why[0] = '\0';
    if (b) {
        *b = (struct budget){.db = db, .parties = parties, .fd = -1,
                             .hour = (uint32_t)(now_unix_ns / HOUR_NS)};
        atomic_store_explicit(&b->floor_ns, b->hour * HOUR_NS, memory_order_relaxed);
        b->oldest = map_make(b, 1, 1);
    }
    if (!b || !b->oldest || !map_index(b->oldest) || !parties_make(b)) {
        snprintf(why, 256, "out of memory for budgets");
        budget_close(b);
        return STORE_FULL;
    }
    atomic_store_explicit(&b->map, b->oldest, memory_order_relaxed);
    atomic_store_explicit(&b->version, b->oldest->version, memory_order_relaxed);
    enum store_rc rc = map_file(b, why);
    b->stale = true;                            /* read everything */
    if (rc == STORE_OK) rc = budget_refresh(b);
    if (rc != STORE_OK && !why[0]) snprintf(why, 256, "%.255s", db->why);
    if (rc == STORE_OK) *out = b;
    else budget_close(b);
    return rc;
}

void budget_close(struct budget *b)
{
    if (!b) return;
    while (b->oldest) {
        struct budget_map *m = b->oldest;
        b->oldest = m->newer;
        map_free(m);
    }
    for (unsigned i = 0; b->party && i < b->parties; i++) {
        if (b->party[i].spent) (void)munmap((void *)b->party[i].spent, SUMS_BYTES);
    }
    if (b->cell) (void)munmap(b->cell, CELLS_BYTES);
    if (b->fd >= 0) (void)close(b->fd);
    free(b->party);
    free(b->free);
    free(b);
}
