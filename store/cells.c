/* cells.c - the cores' side of budget.h: find the cells of a path, reserve, settle, rates. No
 * lock, no memory, no waiting; all shared words are atomics that order nothing but themselves,
 * for what they say is a number and no other data hangs on it.
 * The rule: `left` is only ever taken down by a compare-and-swap that saw enough of it, or by a
 * settlement of what was really spent. */
#include "store/budget.h"
#include "store/budget_part.h"

#include "store/maybe.h"

enum { TRIES = 4 };             /* of a reservation that met others on their way back */

#define RELAXED memory_order_relaxed

void budget_enter(struct budget *b, unsigned party)
{
    assert(party < b->parties);
    /* Not by way of the map: until `seen` is there, that may be freed. Nor the map's own
     * version, which is there before the generation that ends the paths of the one before. */
    uint32_t version = atomic_load_explicit(&b->version, memory_order_acquire);
    atomic_store_explicit(&b->party[party].seen, version, RELAXED);
    /* Who frees looks at `seen` behind its publishing; we look at the generation, and at the
     * map, behind this: either it sees us, or we see the new ones. */
    atomic_thread_fence(memory_order_seq_cst);
}

void budget_leave(struct budget *b, unsigned party)
{
    assert(party < b->parties);
    atomic_store_explicit(&b->party[party].seen, 0, memory_order_release);
}

uint64_t budget_floor(const struct budget *b)
{
    return atomic_load_explicit(&b->floor_ns, RELAXED);
}

int64_t map_find(const struct budget_map *m, store_id id)
{
    uint32_t mask = m->slot_count - 1;
    for (uint32_t i = (uint32_t)map_hash(id) & mask; m->slot[i]; i = (i + 1) & mask) {
        if (m->at[m->slot[i] - 1].id == id) return m->slot[i] - 1;
    }
    return -1;
}

static void put_target(const struct budget *b, const struct target *t, unsigned layer,
                       struct budget_path *out)
{
    for (uint32_t i = 0; i < t->limit_count; i++) {
        const struct target_limit *l = &t->limit[i];
        uint32_t edge = b->cell[l->cell[1]].first_hour;
        uint64_t until = b->cell[l->cell[1]].next_hour * HOUR_NS;
        assert(out->limit_count < BUDGET_CELLS_MAX);
        if (l->cell[1] && until < out->until_unix_ns) out->until_unix_ns = until;
        out->limit[out->limit_count++] = (struct budget_limit){
            .edge_unix_ns = l->cell[1] ? edge * HOUR_NS : UINT64_MAX,
            .cell = {l->cell[0], l->cell[1]}, .layer = l->layer, .window = l->window};
    }
    if (!t->rate_cell) return;
    out->rate[out->rate_count++] = (struct budget_rate){t->rates, t->rate_cell,
                                                        (uint8_t)layer};
}

void budget_find(struct budget *b, const struct unit_path *path, struct budget_path *out)
{
    struct budget_map *m = atomic_load_explicit(&b->map, memory_order_acquire);
    out->map = m;
    out->version = m->version;
    out->limit_count = out->rate_count = 0;
    out->until_unix_ns = UINT64_MAX;
    for (unsigned layer = UNIT_KINDS; m->count > 0 && layer-- > 0;) {
        int64_t at = path->unit[layer] ? map_find(m, path->unit[layer]) : -1;
        if (at >= 0) put_target(b, &m->at[at], layer, out);
    }
}

uint64_t budget_time(const struct budget *b, const struct budget_path *path,
                     uint64_t now_unix_ns)
{
    uint64_t floor = budget_floor(b), now = now_unix_ns > floor ? now_unix_ns : floor;
    assert(path->until_unix_ns > 0);
    return now < path->until_unix_ns ? now : path->until_unix_ns - 1;
}

/* The cell of a limit for who is admitted at that time. */
static uint32_t cell_at(const struct budget_limit *l, uint64_t unix_ns)
{
    return l->cell[unix_ns >= l->edge_unix_ns];
}

static uint64_t cell_end_ns(const struct cell *c)
{
    return c->next_hour == UINT32_MAX ? 0 : c->next_hour * HOUR_NS;
}

static int64_t cell_spent(const struct budget *b, uint32_t cell)
{
    int64_t sum = atomic_load_explicit(&b->cell[cell].known, RELAXED);
    for (unsigned i = 0; i < b->parties; i++) {
        sum += atomic_load_explicit(&b->party[i].spent[cell], RELAXED);
    }
    return sum;
}

void budget_cell_look(const struct budget *b, uint32_t cell, struct budget_look *look)
{
    const struct cell *c = &b->cell[cell];
    int64_t left = atomic_load_explicit(&c->left, RELAXED);
    look->limit_nusd = atomic_load_explicit(&c->limit, RELAXED);
    look->spent_nusd = cell_spent(b, cell);
    look->held_nusd = look->limit_nusd - look->spent_nusd - left;
    if (look->held_nusd < 0) look->held_nusd = 0;  /* read while somebody settled */
    look->resets_unix_ns = cell_end_ns(c);
    look->layer = c->layer;
    look->window = c->window;
}

void budget_see(const struct budget *b, const struct budget_path *path, unsigned idx,
                uint64_t now_unix_ns, struct budget_look *look)
{
    assert(idx < path->limit_count);
    budget_cell_look(b, cell_at(&path->limit[idx], now_unix_ns), look);
}

/* ---- money */

static void pin(struct budget_map *m, unsigned party, uint32_t step)
{
    uint32_t now = atomic_load_explicit(&m->pins[party], RELAXED);
    assert(now + step != UINT32_MAX);
    atomic_store_explicit(&m->pins[party], now + step, memory_order_release);
}

void budget_begin(struct budget *b, unsigned party, const struct budget_path *path,
                  uint64_t admitted_unix_ns, struct budget_hold *hold)
{
    assert(!hold->map && hold->count == 0);
    assert(admitted_unix_ns < path->until_unix_ns);
    (void)b;
    if (path->limit_count == 0 && path->rate_count == 0) return;
    for (unsigned i = 0; i < path->limit_count; i++) {
        hold->cell[i] = cell_at(&path->limit[i], admitted_unix_ns);
        if (path->limit[i].layer == BUDGET_LAYER_POOL) hold->prepaid = true;
    }
    hold->count = path->limit_count;
    hold->map = path->map;
    pin(hold->map, party, 1);
}

int64_t budget_room(const struct budget *b, const struct budget_hold *hold, uint8_t *layer)
{
    int64_t least = INT64_MAX;
    for (unsigned i = 0; i < hold->count; i++) {
        const struct cell *c = &b->cell[hold->cell[i]];
        int64_t left = atomic_load_explicit(&c->left, RELAXED);
        if (left >= least || PLANT(overdraw)) continue;
        least = left;
        if (layer) *layer = c->layer;
    }
    return least;
}

int64_t budget_free(const struct budget *b, const struct budget_hold *hold)
{
    int64_t least = INT64_MAX;
    for (unsigned i = 0; i < hold->count; i++) {
        const struct cell *c = &b->cell[hold->cell[i]];
        int64_t left = atomic_load_explicit(&c->left, RELAXED);
        int64_t free = left - atomic_load_explicit(&c->promised, RELAXED);
        if (free < least) least = free;
    }
    return hold->count ? least + hold->promised_nusd : least;
}

/* Change the promise on all cells by step. */
static void promise(struct budget *b, const struct budget_hold *hold, int64_t step)
{
    for (unsigned i = 0; step && i < hold->count; i++) {
        atomic_fetch_add_explicit(&b->cell[hold->cell[i]].promised, step, RELAXED);
    }
}

bool budget_promise(struct budget *b, struct budget_hold *hold, int64_t nusd,
                    int64_t free_nusd)
{
    assert(nusd >= 0);
    promise(b, hold, nusd - hold->promised_nusd);
    hold->promised_nusd = nusd;
    /* Seen behind the promise: of two that raced at least one sees the other. */
    if (nusd == 0 || nusd > free_nusd || budget_free(b, hold) >= nusd) return true;
    promise(b, hold, -nusd);
    hold->promised_nusd = 0;
    return false;
}

static void give(struct cell *c, int64_t nusd)
{
    atomic_fetch_add_explicit(&c->left, nusd, RELAXED);
}

/* All or none: the number of the cell that had less, or -1. */
static int take_all(struct budget *b, const struct budget_hold *hold, int64_t nusd)
{
    for (int i = 0; i < hold->count; i++) {
        if (cell_take(&b->cell[hold->cell[i]], nusd)) continue;
        for (int back = i; back-- > 0;) give(&b->cell[hold->cell[back]], nusd);
        return i;
    }
    return -1;
}

/* Who is refused at a wide layer has for a moment taken from the narrower ones, where somebody
 * else may have missed it: so a refusal is checked again before it counts. */
int budget_reserve(struct budget *b, struct budget_hold *hold, int64_t nusd)
{
    assert(nusd >= 0);
    if (nusd == 0 || hold->count == 0) return BUDGET_FREE;
    int lack = -1;
    for (unsigned i = 0; i < TRIES; i++) {
        lack = take_all(b, hold, nusd);
        if (lack < 0) {
            hold->nusd += nusd;
            return BUDGET_FREE;
        }
    }
    return lack;
}

void budget_release(struct budget *b, struct budget_hold *hold, int64_t nusd)
{
    assert(nusd >= 0 && nusd <= hold->nusd);
    for (unsigned i = 0; i < hold->count; i++) give(&b->cell[hold->cell[i]], nusd);
    hold->nusd -= nusd;
}

void budget_pay(struct budget *b, unsigned party, struct budget_hold *hold, int64_t cost_nusd)
{
    assert(cost_nusd >= 0);
    if (!hold->map) return;
    assert(party < b->parties);
    int64_t back = hold->nusd - cost_nusd;
    promise(b, hold, -hold->promised_nusd);
    hold->promised_nusd = 0;
    for (unsigned i = 0; i < hold->count; i++) {
        _Atomic int64_t *spent = &b->party[party].spent[hold->cell[i]];
        int64_t was = atomic_load_explicit(spent, RELAXED);
        atomic_store_explicit(spent, was + cost_nusd, RELAXED);
        if (back) give(&b->cell[hold->cell[i]], back);
    }
    hold->nusd = 0;
}

void budget_settle(struct budget *b, unsigned party, struct budget_hold *hold,
                   int64_t cost_nusd)
{
    assert(cost_nusd >= 0);
    if (!hold->map) return;
    assert(!hold->rated);
    budget_pay(b, party, hold, cost_nusd);
    pin(hold->map, party, (uint32_t)-1);
    hold->map = NULL;
    hold->count = 0;
    hold->prepaid = false;
}

void budget_join(unsigned party, const struct budget_hold *of, struct budget_hold *hold)
{
    assert(!hold->map && hold->nusd == 0);
    if (!of->map) return;
    *hold = *of;
    hold->nusd = hold->promised_nusd = 0;
    hold->rated = false;
    pin(hold->map, party, 1);
}

/* ---- rates: the generic cell rate algorithm. A bucket of N that refills in a minute; the word
 * is the time at which it would be full again, the theoretical arrival time. */

static struct rate_cell *rate_at(const struct budget *b, uint32_t cell)
{
    return (struct rate_cell *)(void *)&b->cell[cell];
}

/* Put cost_ns behind the word's time, where that leaves it at most most_ns ahead of now. Gives
 * 0, or how long until it would. */
static uint64_t gcra_take(_Atomic uint64_t *word, uint64_t now_ns, uint64_t cost_ns,
                          uint64_t most_ns)
{
    uint64_t was = atomic_load_explicit(word, RELAXED), next;
    do {
        next = (was > now_ns ? was : now_ns) + cost_ns;
        if (next - now_ns > most_ns) return next - now_ns - most_ns;
    } while (!atomic_compare_exchange_weak_explicit(word, &was, next, RELAXED, RELAXED));
    return 0;
}

/* Rounded up: with N at once and the next ones a nanosecond early, a minute would see 2N. */
static uint64_t request_ns(const struct rates *r) { return (MINUTE_NS + r->rpm - 1) / r->rpm; }

/* Admit by one level. 0; else how long to wait, at least 1; *kind: which rate. */
static uint64_t rate_take(struct rate_cell *c, const struct rates *r, uint64_t now_ns,
                          uint8_t *kind)
{
    *kind = RATE_TOKENS;
    if (r->tpm) {
        uint64_t full = atomic_load_explicit(&c->tokens_ns, RELAXED);
        if (full >= now_ns + MINUTE_NS) return full - now_ns - MINUTE_NS + 1;
    }
    *kind = RATE_RUNNING;
    if (r->concurrency) {
        uint32_t running = atomic_load_explicit(&c->running, RELAXED);
        do {
            if (running >= r->concurrency) return 1;
        } while (!atomic_compare_exchange_weak_explicit(&c->running, &running, running + 1,
                                                        RELAXED, RELAXED));
    }
    *kind = RATE_REQUESTS;
    uint64_t wait = r->rpm ? gcra_take(&c->requests_ns, now_ns, request_ns(r),
                                       request_ns(r) * r->rpm) : 0;
    if (wait && r->concurrency) atomic_fetch_sub_explicit(&c->running, 1, RELAXED);
    return wait;
}

static void rate_untake(struct rate_cell *c, const struct rates *r)
{
    if (r->rpm) atomic_fetch_sub_explicit(&c->requests_ns, request_ns(r), RELAXED);
    if (r->concurrency) atomic_fetch_sub_explicit(&c->running, 1, RELAXED);
}

bool budget_rates_begin(struct budget *b, const struct budget_path *path, uint64_t now_ns,
                        struct budget_hold *hold, struct rate_refusal *why)
{
    assert(hold->map == path->map || path->rate_count == 0);
    for (unsigned i = 0; i < path->rate_count; i++) {
        const struct budget_rate *r = &path->rate[i];
        uint64_t wait = rate_take(rate_at(b, r->cell), &r->rates, now_ns, &why->kind);
        if (wait == 0) continue;
        why->layer = r->layer;
        why->wait_ns = why->kind == RATE_RUNNING ? 0 : wait;
        while (i-- > 0) rate_untake(rate_at(b, path->rate[i].cell), &path->rate[i].rates);
        return false;
    }
    hold->rated = path->rate_count > 0;
    return true;
}

/* Tokens that came in at now_ns: the word moves on by their share of a minute. */
static void tokens_put(struct rate_cell *c, uint32_t tpm, uint64_t now_ns, uint64_t tokens)
{
    __extension__ unsigned __int128 wide = (unsigned __int128)tokens * MINUTE_NS / tpm;
    uint64_t most = 24 * HOUR_NS, cost = wide > most ? most : (uint64_t)wide;
    (void)gcra_take(&c->tokens_ns, now_ns, cost, UINT64_MAX);
}

void budget_rates_end(struct budget *b, struct budget_hold *hold, const struct unit_path *path,
                      uint64_t now_ns, uint64_t tokens)
{
    assert(hold->rated && hold->map);
    for (unsigned layer = 0; layer < UNIT_KINDS; layer++) {
        int64_t at = path->unit[layer] ? map_find(hold->map, path->unit[layer]) : -1;
        if (at < 0 || !hold->map->at[at].rate_cell) continue;
        const struct target *t = &hold->map->at[at];
        struct rate_cell *c = rate_at(b, t->rate_cell);
        if (t->rates.concurrency && !PLANT(leaked_running)) {
            atomic_fetch_sub_explicit(&c->running, 1, RELAXED);
        }
        if (t->rates.tpm && tokens) tokens_put(c, t->rates.tpm, now_ns, tokens);
    }
    hold->rated = false;
}

void budget_rates_see(const struct budget *b, const struct budget_path *path,
                      enum rate_kind kind, uint64_t now_ns, struct rate_look *look)
{
    assert(kind == RATE_REQUESTS || kind == RATE_TOKENS);
    *look = (struct rate_look){0};
    for (unsigned i = 0; i < path->rate_count; i++) {
        const struct rates *r = &path->rate[i].rates;
        struct rate_cell *c = rate_at(b, path->rate[i].cell);
        uint32_t limit = kind == RATE_REQUESTS ? r->rpm : r->tpm;
        if (limit == 0) continue;
        _Atomic uint64_t *word = kind == RATE_REQUESTS ? &c->requests_ns : &c->tokens_ns;
        uint64_t full = atomic_load_explicit(word, RELAXED);
        uint64_t owed = full > now_ns ? full - now_ns : 0;
        __extension__ unsigned __int128 used = (unsigned __int128)owed * limit;
        used = (used + MINUTE_NS - 1) / MINUTE_NS;
        if (kind == RATE_REQUESTS) used = (owed + request_ns(r) - 1) / request_ns(r);
        uint32_t remaining = used >= limit ? 0 : limit - (uint32_t)used;
        if (look->limit && remaining >= look->remaining) continue;
        *look = (struct rate_look){limit, remaining, owed};
    }
}
