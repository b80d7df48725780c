/* money_check.c - see money.h. The checkers, after every turn of a core and of the store:
 *   held      of every cell that anybody may still settle on: limit - left - spent = what
 *             running exchanges hold on it; versions are pinned by those who hold on them
 *   overdrawn no cell gets below zero but by what somebody spent above what it held: a slice,
 *             an event, the error of a prompt's estimate; where costs are known, nobody does
 *   spent     a cell says what the records say whose path holds its target, admitted in its
 *             window, but for those to be added when they are folded
 *   set       what was answered as set is what the version says, whole
 *   window    the cells are those of this window and the next, and the store follows the clock
 *   admitted  who is admitted meets the newest version, and holds on the cells of its time
 *   refused   who is refused at a layer: it had not enough in that turn
 *   rates     at most N at once; at most 2N - 1 begin in a minute; running ones are counted
 *   sums      the store's meters and pools say what its rows say
 * All of them look at a moment between two turns, where nothing is under way. */
#include "engine/book.h"
#include "engine/clock.h"
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/exchange.h"
#include "store/budget_part.h"
#include "store/credits.h"
#include "store/spent.h"
#include "tests/sim/cheap.h"
#include "tests/sim/life.h"
#include "tests/sim/machine.h"
#include "tests/sim/money.h"

#include <inttypes.h>
#include <string.h>

enum {
    CELLS = 4096,
    HOLDERS_MAX = 4 * ASKS_MAX,
    SLICE_TOKENS = 128,                /* architecture.md section 5 */
    NEED_MAX = 100000000,              /* nano-dollars: more than any prompt here costs */
};

struct holder {                        /* an exchange; a twin has its request's name */
    const struct ask *ask;
    struct budget_hold hold;
    uint32_t prompt;                   /* tokens that are held for */
    uint8_t nth;                       /* of its attempt, which is one record at most */
};

struct before {                        /* a turn */
    struct cell cell[CELLS];
    struct holder holder[HOLDERS_MAX]; /* its core's exchanges */
    uint32_t holders;
    uint64_t refusals[STATS_LAYERS][REFUSALS];
    int64_t over[CELLS];               /* spent above what was held, in this turn */
    uint32_t ended;                    /* records in this turn */
    uint32_t hour;
};

struct arrivals { uint64_t at_ns[ASKS_MAX]; uint32_t count; };

static struct before before;
static struct arrivals arrivals[MONEY_TARGETS];
static uint64_t rates_seen;
static int64_t held[CELLS];
static uint32_t running[CELLS];

/* --- what runs */

typedef void visit_exchange(struct engine *e, struct exchange *x);

static void each_exchange(struct engine *e, uint32_t i, visit_exchange *visit)
{
    struct core *core = e->core[i];
    for (uint32_t k = 0; k < core->exchanges.touched; k++) {
        struct slab_head *h = slab_at(&core->exchanges, k);
        if (h->taken) visit(e, (struct exchange *)(void *)h);
    }
}

static struct ask *ask_of(const struct record *r)
{
    return model_find(r->request_id, strnlen(r->request_id, sizeof r->request_id));
}

static int target_of(store_id id)
{
    for (int i = 0; i < MONEY_TARGETS; i++) {
        if (money()->target[i] == id) return i;
    }
    violated("money", "limits of somebody nobody made");
}

static struct budget_map *current(const struct engine *e)
{
    return atomic_load(&e->budget->map);
}

/* --- before a turn */

static void remember(struct engine *e, struct exchange *x)
{
    const struct ask *a = ask_of(&x->rec);
    (void)e;
    if (!a || x->booked) return;
    if (before.holders == HOLDERS_MAX) violated("money", "%d exchanges", HOLDERS_MAX);
    before.holder[before.holders++] = (struct holder){
        .ask = a, .hold = x->spend.hold, .prompt = book_prompt_tokens(x), .nth = x->rec.nth};
}

void money_before(struct engine *e, uint32_t i)
{
    const struct budget *b = e->budget;
    if (b->cells > CELLS) violated("money", "%u cells", b->cells);
    memcpy(before.cell, b->cell, b->cells * sizeof *b->cell);
    memset(before.over, 0, sizeof before.over);
    before.ended = 0;
    before.hour = b->hour;
    if (i == e->core_count) return;
    before.holders = 0;
    each_exchange(e, i, remember);
    for (int layer = 0; layer < STATS_LAYERS; layer++) {
        for (int k = 0; k < REFUSALS; k++) {
            before.refusals[layer][k] = stat_get(&e->core[i]->stats.refusals[layer][k]);
        }
    }
}

/* --- rates */

static void arrive(struct engine *e, const struct record *r, uint64_t now_ns)
{
    const struct budget_map *m = current(e);
    for (int k = 0; k < UNIT_KINDS; k++) {
        int64_t at = r->path[k] ? map_find(m, r->path[k]) : -1;
        if (at < 0 || !m->at[at].rates.rpm) continue;
        struct arrivals *a = &arrivals[target_of(r->path[k])];
        uint32_t most = 2 * m->at[at].rates.rpm - 1, count = 0;
        a->at_ns[a->count++] = now_ns;
        for (uint32_t i = 0; i < a->count; i++) count += now_ns - a->at_ns[i] < MINUTE_NS;
        if (count <= most) continue;
        violated("rates", "%u requests began in a minute, %u may", count, most);
    }
}

static void count_running(struct engine *e, struct exchange *x)
{
    const struct budget_hold *h = &x->spend.hold;
    (void)e;
    for (int k = 0; h->rated && k < UNIT_KINDS; k++) {
        int64_t at = x->rec.path[k] ? map_find(h->map, x->rec.path[k]) : -1;
        if (at >= 0 && h->map->at[at].rates.concurrency) running[h->map->at[at].rate_cell]++;
    }
}

static struct rate_cell rate_of(const struct cell *c)
{
    struct rate_cell r;
    memcpy((void *)&r, (const void *)c, sizeof r);
    return r;
}

static void check_rates(struct engine *e)
{
    const struct budget *b = e->budget;
    memset(running, 0, sizeof running);
    for (uint32_t i = 0; i < e->core_count; i++) each_exchange(e, i, count_running);
    const struct budget_map *m = current(e);
    for (uint32_t i = 0; i < m->count; i++) {
        const struct target *t = &m->at[i];
        if (!t->rate_cell) continue;
        uint32_t now = rate_of(&b->cell[t->rate_cell]).running;
        uint32_t was = rate_of(&before.cell[t->rate_cell]).running;
        if (now != running[t->rate_cell]) {
            violated("rates", "target %d: %u run, %u are counted", target_of(t->id),
                     running[t->rate_cell], now);
        }
        if (t->rates.concurrency && now > was && now > t->rates.concurrency) {
            violated("rates", "target %d: %u run at once", target_of(t->id), now);
        }
    }
}

static bool is_full(const struct rates *r, const struct rate_cell *c, uint64_t now_ns)
{
    if (r->concurrency && c->running >= r->concurrency) return true;
    if (r->tpm && c->tokens_ns >= now_ns + MINUTE_NS) return true;
    return r->rpm && c->requests_ns > now_ns + (uint64_t)(r->rpm - 1) * (MINUTE_NS / r->rpm);
}

/* Is or was a rate of that layer used up? */
static bool rate_lacks(const struct engine *e, uint32_t core, int layer)
{
    const struct budget_map *m = current(e);
    uint64_t now_ns = e->core[core]->now_ns;
    for (uint32_t i = 0; i < m->count; i++) {
        const struct target *t = &m->at[i];
        if (!t->rate_cell || (int)store_id_kind(t->id) != layer) continue;
        struct rate_cell was = rate_of(&before.cell[t->rate_cell]);
        struct rate_cell is = rate_of(&e->budget->cell[t->rate_cell]);
        if (is_full(&t->rates, &was, now_ns) || is_full(&t->rates, &is, now_ns)) return true;
    }
    return false;
}

/* --- what is held */

static void count_held(struct engine *e, struct exchange *x)
{
    const struct budget_hold *h = &x->spend.hold;
    (void)e;
    for (int k = 0; k < h->count; k++) held[h->cell[k]] += h->nusd;
}

static struct { const struct budget_map *map; uint32_t count; } pins;

static void count_pins(struct engine *e, struct exchange *x)
{
    (void)e;
    pins.count += x->spend.hold.map == pins.map;
}

static void check_pins(struct engine *e, const struct budget_map *m)
{
    for (uint32_t i = 0; i < e->core_count; i++) {
        pins.map = m;
        pins.count = 0;
        each_exchange(e, i, count_pins);
        if (pins.count == atomic_load(&m->pins[i])) continue;
        violated("held", "version %u: %u exchanges of core %u hold on it, %u pins", m->version,
                 pins.count, i, atomic_load(&m->pins[i]));
    }
}

static int64_t spent_of(const struct budget *b, uint32_t cell)
{
    int64_t sum = atomic_load(&b->cell[cell].known);
    for (unsigned i = 0; i < b->parties; i++) sum += atomic_load(&b->party[i].spent[cell]);
    return sum;
}

static void check_held_cell(const struct budget *b, uint32_t cell)
{
    const struct cell *c = &b->cell[cell];
    int64_t limit = atomic_load(&c->limit), left = atomic_load(&c->left);
    if (limit - left - spent_of(b, cell) == held[cell]) return;
    violated("held", "target %d, window %u: limit %" PRId64 ", left %" PRId64 ", spent %" PRId64
             ", held %" PRId64, target_of(c->target), c->window, limit, left, spent_of(b, cell),
             held[cell]);
}

static void check_held(struct engine *e)
{
    const struct budget *b = e->budget;
    memset(held, 0, sizeof held);
    for (uint32_t i = 0; i < e->core_count; i++) each_exchange(e, i, count_held);
    for (const struct budget_map *m = b->oldest; m; m = m->newer) {
        check_pins(e, m);
        for (uint32_t i = 0; i < m->count; i++) {
            for (uint32_t k = 0; k < m->at[i].limit_count; k++) {
                const uint32_t *cell = m->at[i].limit[k].cell;
                if (cell[0]) check_held_cell(b, cell[0]);
                if (cell[1]) check_held_cell(b, cell[1]);
            }
        }
    }
}

/* Only who spends more than it held takes a cell below zero. */
static void check_overdrawn(const struct engine *e)
{
    const struct budget *b = e->budget;
    const struct budget_map *m = current(e);
    for (uint32_t i = 0; i < m->count; i++) {
        for (uint32_t k = 0; k < m->at[i].limit_count * 2; k++) {
            uint32_t cell = m->at[i].limit[k / 2].cell[k % 2];
            int64_t was = before.cell[cell].left, left = atomic_load(&b->cell[cell].left);
            int64_t least = (was < 0 ? was : 0) - before.over[cell];
            if (cell == 0 || left >= least) continue;
            violated("overdrawn", "target %d, window %u: %" PRId64 " left, %" PRId64
                     " before, %" PRId64 " above what was held", target_of(m->at[i].id),
                     b->cell[cell].window, left, was, before.over[cell]);
        }
    }
}

/* What its prompt cost above the estimate that is held for it, less than nothing where it is
 * cheaper: nothing where we counted it ourselves; a provider may tell it before it answers, and
 * then break off. */
static int64_t prompt_over(const struct ask *a, const struct record *r, uint32_t held_for)
{
    int64_t pico = r->tokens[TOKEN_INPUT] * r->price[TOKEN_INPUT] +
                   r->tokens[TOKEN_CACHED] * r->price[TOKEN_CACHED] -
                   held_for * r->price[TOKEN_INPUT];
    for (uint32_t i = 0; i < a->reply_count; i++) {
        const struct reply *p = &a->reply[i];
        bool told = p->usage && r->tokens[TOKEN_INPUT] == p->input &&
                    r->tokens[TOKEN_CACHED] == p->cached;
        if (told) return pico / 1000 + 1;
    }
    return 0;
}

/* What a record may have cost above what was held. A stream whose answer we counted ourselves
 * was stopped at the event in which its hold ended, and no slice of room was left; a byte is no
 * more than a token by any count. Whoever tells tokens of their own tells here what they
 * like. */
static int64_t over_max(const struct ask *a, const struct record *r, uint32_t held_for)
{
    bool own = r->flags & RECORD_STREAM && r->flags & RECORD_ESTIMATED;
    uint32_t event = 0;
    if (!own) return INT64_MAX;
    for (uint32_t i = 0; i < a->reply_count; i++) {
        if (a->reply[i].event_max > event) event = a->reply[i].event_max;
    }
    return r->price[TOKEN_OUTPUT] * (int64_t)(event + SLICE_TOKENS + 1) / 1000 + 1 +
           prompt_over(a, r, held_for);
}

/* Who held for what r says. An attempt that began and ended in this turn is not known: nothing
 * may be above what was only just reserved. */
static const struct holder *holder_of(const struct ask *a, const struct record *r)
{
    static const struct holder nobody;
    for (uint32_t i = 0; i < before.holders; i++) {
        const struct holder *by = &before.holder[i];
        if (by->ask == a && by->nth == r->nth) return by;
    }
    return &nobody;
}

void money_row(struct engine *e, const struct record *r)
{
    struct ask *a = ask_of(r);
    const struct holder *held_by = holder_of(a, r);
    const struct budget_hold *h = &held_by->hold;
    before.ended++;
    bool met = r->budget_version != 0;       /* not those whose body was never complete */
    if (!a->admitted_ns && r->close != CLOSE_RATE_LIMITED && met) {
        a->admitted_ns = machine()->now_ns;
        arrive(e, r, a->admitted_ns);
        if (r->budget_version != current(e)->version) violated("admitted", "by an old version");
    }
    int64_t over = r->cost_nusd - h->nusd, most = over_max(a, r, held_by->prompt);
    if (over > most) over = most;
    if (over <= 0 || h->count == 0) return;
    if (money()->flat_nusd) {
        violated("overdrawn", "%.24s cost %" PRId64 " and held %" PRId64, r->request_id,
                 r->cost_nusd, h->nusd);
    }
    for (int k = 0; k < h->count; k++) before.over[h->cell[k]] += over;
}

/* --- what is spent */

static bool is_on_path(const struct record *r, store_id target)
{
    for (int k = 0; k < UNIT_KINDS; k++) {
        if (r->path[k] == target) return true;
    }
    return false;
}

typedef bool choose_record(const struct booked *b, const void *arg);

/* What all records cost that are chosen. */
static int64_t sum_if(choose_record *choose, const void *arg)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < model()->ask_count; i++) {
        const struct ask *a = &model()->ask[i];
        for (uint32_t k = 0; k < a->booked_count; k++) {
            if (choose(&a->booked[k], arg)) sum += a->booked[k].r.cost_nusd;
        }
    }
    return sum;
}

struct span_of { store_id target; uint32_t from, before; bool prepaid; };

static bool is_in(const struct booked *b, const void *arg)
{
    const struct span_of *s = arg;
    uint64_t hour = b->r.admitted_unix_ns / HOUR_NS;
    return hour >= s->from && hour < s->before && is_on_path(&b->r, s->target) &&
           (!s->prepaid || b->r.flags & RECORD_PREPAID);
}

/* What the records say of a target in hours from..before-1. */
static int64_t sum_of(store_id target, uint32_t from, uint32_t before_hour, bool prepaid)
{
    struct span_of s = {target, from, before_hour, prepaid};
    return sum_if(is_in, &s);
}

struct owed { const struct engine *e; const struct cell *c; };

static bool is_owed(const struct booked *b, const void *arg)
{
    const struct owed *o = arg;
    struct span_of s = {o->c->target, o->c->first_hour, o->c->next_hour,
                        o->c->layer == BUDGET_LAYER_POOL};
    if (b->life != life()->lives || b->r.budget_version >= o->c->born) return false;
    return b->r.seq > journal_tail(o->e->journal[b->core]) && is_in(b, &s);
}

/* Of those, what the fold is still to add: older than the cell, and not folded. */
static int64_t owed_to(const struct engine *e, const struct cell *c)
{
    struct owed o = {e, c};
    return sum_if(is_owed, &o);
}

static void check_spent_cell(const struct engine *e, uint32_t cell)
{
    const struct cell *c = &e->budget->cell[cell];
    bool pool = c->layer == BUDGET_LAYER_POOL;
    int64_t spent = spent_of(e->budget, cell), owed = owed_to(e, c);
    int64_t sum = sum_of(c->target, c->first_hour, c->next_hour, pool);
    if (spent + owed == sum) return;
    violated("spent", "target %d, window %u%s, hours %u to %u: %" PRId64 " and %" PRId64
             " to be folded, the records say %" PRId64, target_of(c->target), c->window,
             pool ? " (pool)" : "", c->first_hour, c->next_hour, spent, owed, sum);
}

static void check_window(const struct engine *e, const struct target_limit *l)
{
    const struct budget *b = e->budget;
    const struct cell *now = &b->cell[l->cell[0]], *next = &b->cell[l->cell[1]];
    if (b->unrolled) return;
    bool right = l->window == WINDOW_TOTAL
                     ? l->cell[1] == 0
                     : now->next_hour == next->first_hour && now->first_hour <= b->hour &&
                           b->hour < now->next_hour;
    if (!right) violated("window", "window %u: hours %u to %u, then %u, in hour %u", l->window,
                         now->first_hour, now->next_hour, next->first_hour, b->hour);
}

static void check_spent(const struct engine *e)
{
    const struct budget_map *m = current(e);
    for (uint32_t i = 0; i < m->count; i++) {
        for (uint32_t k = 0; k < m->at[i].limit_count; k++) {
            const struct target_limit *l = &m->at[i].limit[k];
            check_window(e, l);
            check_spent_cell(e, l->cell[0]);
            if (l->cell[1]) check_spent_cell(e, l->cell[1]);
        }
    }
}

/* --- what is set */

static void check_limit(const struct budget *b, int target, const struct target_limit *l)
{
    const struct mirror *set = &money()->mirror;
    bool pool = l->layer == BUDGET_LAYER_POOL;
    int64_t want = pool ? set->prepaid ? set->entries_nusd : LIMIT_NONE
                        : set->limits[target].nusd[l->window];
    for (int k = 0; k < 2; k++) {
        int64_t is = atomic_load(&b->cell[l->cell[k]].limit);
        if (l->cell[k] == 0 || is == want) continue;
        violated("set", "target %d, window %u: %" PRId64 " is in force, %" PRId64 " was set",
                 target, l->window, is, want);
    }
}

static void check_set(const struct engine *e)
{
    const struct mirror *set = &money()->mirror;
    const struct budget_map *m = current(e);
    uint32_t want = set->prepaid, limits = 0;
    if (e->budget->stale) return;              /* not answered as set */
    for (uint32_t i = 0; i < m->count; i++) {
        int target = target_of(m->at[i].id);
        limits += m->at[i].limit_count;
        for (uint32_t k = 0; k < m->at[i].limit_count; k++) {
            check_limit(e->budget, target, &m->at[i].limit[k]);
        }
    }
    for (int i = 0; i < MONEY_TARGETS; i++) {
        for (int w = 0; w < WINDOWS; w++) want += set->limits[i].nusd[w] != LIMIT_NONE;
        int64_t at = map_find(m, money()->target[i]);
        struct rates none = {0};
        const struct rates *is = at >= 0 ? &m->at[at].rates : &none;
        if (memcmp(is, &set->rates[i], sizeof *is) != 0) {
            violated("set", "target %d: other rates are in force", i);
        }
    }
    if (limits != want) violated("set", "%u limits are in force, %u were set", limits, want);
}

/* --- who comes in */

static void check_cells(const struct exchange *x, const struct budget *b,
                        const struct target *t, uint32_t *count)
{
    uint64_t hour = x->rec.admitted_unix_ns / HOUR_NS;
    const struct budget_hold *h = &x->spend.hold;
    for (uint32_t k = 0; k < t->limit_count; k++) {
        uint32_t found = 0;
        for (uint32_t i = 0; i < h->count * 2u; i++) {
            uint32_t cell = t->limit[k].cell[i % 2];
            const struct cell *c = &b->cell[cell];
            found += cell && h->cell[i / 2] == cell && hour >= c->first_hour &&
                     hour < c->next_hour;
        }
        ++*count;
        if (found == 1) continue;
        violated("admitted", "%.24s of hour %" PRIu64 " holds %u cells of target %d, window %u",
                 x->rec.request_id, hour, found, target_of(t->id), t->limit[k].window);
    }
}

static void check_admitted(struct engine *e, struct exchange *x)
{
    const struct budget_map *m = current(e);
    struct ask *a = ask_of(&x->rec);
    uint32_t count = 0;
    bool pool = false;
    if (!a || x->booked || a->admitted_ns || x->state == X_READ) return;
    a->admitted_ns = machine()->now_ns;      /* its body is complete */
    arrive(e, &x->rec, a->admitted_ns);
    if (x->rec.budget_version != m->version) {
        violated("admitted", "%.24s by version %u, %u is in force", x->rec.request_id,
                 x->rec.budget_version, m->version);
    }
    for (int k = 0; k < UNIT_KINDS; k++) {
        int64_t at = x->rec.path[k] ? map_find(m, x->rec.path[k]) : -1;
        if (at < 0) continue;
        check_cells(x, e->budget, &m->at[at], &count);
        pool = pool || (k == UNIT_ORGANIZATION && money()->mirror.prepaid && !e->budget->stale);
    }
    if (count != x->spend.hold.count) violated("admitted", "it holds more than there is");
    bool flag = (x->rec.flags & RECORD_PREPAID) != 0;
    if (flag != pool && !e->budget->stale) violated("admitted", "prepaid: %d", flag);
}

/* --- who is refused */

static bool money_lacks(const struct engine *e, int layer)
{
    const struct budget *b = e->budget;
    int64_t need = model()->world == WORLD_CHEAP ? NEED_MAX * CHEAP_FACTOR : NEED_MAX;
    if (money()->flat_nusd) need = money()->flat_nusd * (1 + before.ended);
    else if (before.ended > 1) return true;    /* they may have held it for a moment */
    for (const struct budget_map *m = b->oldest; m; m = m->newer) {
        for (uint32_t i = 0; i < m->count; i++) {
            for (uint32_t k = 0; k < m->at[i].limit_count * 2; k++) {
                uint32_t cell = m->at[i].limit[k / 2].cell[k % 2];
                const struct cell *c = &b->cell[cell];
                if (cell == 0 || c->layer != layer) continue;
                if (before.cell[cell].left < need || c->left < need) return true;
            }
        }
    }
    return false;
}

static void check_refused(struct engine *e, uint32_t core)
{
    for (int layer = 0; layer < STATS_LAYERS; layer++) {
        for (int k = 0; k < REFUSALS; k++) {
            uint64_t now = stat_get(&e->core[core]->stats.refusals[layer][k]);
            uint64_t count = now - before.refusals[layer][k];
            if (count == 0) continue;
            money()->refusals[k] += count;
            note("refused", (uint64_t)layer, (uint64_t)k, count);
            bool lacks = k == REFUSAL_RATE ? before.ended > 1 || rate_lacks(e, core, layer)
                                           : money_lacks(e, layer);
            if (!lacks) violated("refused", "layer %d had enough (kind %d)", layer, k);
        }
    }
}

/* --- all of them */

void money_after(struct engine *e, uint32_t i)
{
    const struct budget *b = e->budget;
    if (money()->rate_changes != rates_seen || b->stale) memset(arrivals, 0, sizeof arrivals);
    rates_seen = money()->rate_changes;
    check_held(e);
    if (i < e->core_count) {
        check_overdrawn(e);
        check_refused(e, i);
        each_exchange(e, i, check_admitted);
        check_rates(e);
        if (before.ended > 0) check_spent(e);
        return;
    }
    money()->rolls += b->hour != before.hour;
    check_spent(e);
    check_set(e);
    if (!b->unrolled && clock_unix_ns() / HOUR_NS > b->hour) {
        violated("window", "the store is in hour %u, the clock in %" PRIu64, b->hour,
                 clock_unix_ns() / HOUR_NS);
    }
}

void money_opened(struct engine *e)
{
    memset(arrivals, 0, sizeof arrivals);
    check_held(e);
    check_spent(e);
    check_set(e);
}

void money_rest(struct engine *e)
{
    struct budget *b = e->budget;
    uint32_t named = 1;                        /* place 0 */
    if (budget_step(b, clock_unix_ns()) != STORE_OK) violated("rest", "%s", e->db->why);
    check_held(e);
    const struct budget_map *m = current(e);
    if (b->oldest != m) violated("rest", "version %u is still held", b->oldest->version);
    for (uint32_t i = 0; i < m->count; i++) {
        named += m->at[i].rate_cell != 0;
        for (uint32_t k = 0; k < m->at[i].limit_count * 2; k++) {
            uint32_t cell = m->at[i].limit[k / 2].cell[k % 2];
            named += cell != 0;
            if (held[cell]) violated("rest", "%" PRId64 " are still held", held[cell]);
        }
    }
    if (named + b->free_count != b->cells) {
        violated("rest", "%u cells are named, %u free, of %u", named, b->free_count, b->cells);
    }
}

/* --- the store */

static void audit_between(struct db *db, MDB_txn *txn, store_id target, uint32_t from,
                          uint32_t before_hour)
{
    int64_t is, want = sum_of(target, from, before_hour, false);
    if (spent_between(db, txn, target, from, before_hour, &is) != STORE_OK) {
        violated("sums", "%s", db->why);
    }
    if (is == want) return;
    violated("sums", "target %d spent %" PRId64 " in hours %u to %u, its rows %" PRId64,
             target_of(target), is, from, before_hour, want);
}

void money_audit(struct db *db, MDB_txn *txn)
{
    const struct mirror *set = &money()->mirror;
    struct pool pool = {0};
    uint32_t hour = (uint32_t)(clock_unix_ns() / HOUR_NS);
    for (int i = 0; i < MONEY_TARGETS; i++) {
        store_id id = money()->target[i];
        int64_t total, want = sum_of(id, 0, UINT32_MAX, false);
        if (spent_total(db, txn, id, &total) != STORE_OK) violated("sums", "%s", db->why);
        if (total != want) violated("sums", "target %d spent %" PRId64 " in all, its rows %"
                                    PRId64, i, total, want);
        for (int w = 0; w < WINDOW_TOTAL; w++) {
            uint32_t first = window_first_hour((enum window)w, hour);
            uint32_t next = window_next_hour((enum window)w, hour);
            audit_between(db, txn, id, first, next);
            audit_between(db, txn, id, next, window_next_hour((enum window)w, next));
            audit_between(db, txn, id, window_first_hour((enum window)w, first - 1), first);
        }
    }
    enum store_rc rc = credits_pool(db, txn, money()->target[0], &pool);
    if (rc != STORE_OK) violated("sums", "%s", db->why);
    int64_t want = sum_of(money()->target[0], 0, UINT32_MAX, true);
    if (pool.spent_nusd != want || pool.entries_nusd != set->entries_nusd ||
        pool.prepaid != set->prepaid) {
        violated("sums", "the pool: %" PRId64 " entered, %" PRId64 " spent; %" PRId64 " and %"
                 PRId64 " it should be", pool.entries_nusd, pool.spent_nusd, set->entries_nusd,
                 want);
    }
}
