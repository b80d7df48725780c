/* room_check.c - see room_check.h. The checkers:
 *   room      requests at a key = those that hold its room <= its concurrency; none is asked
 *             without it
 *   quiet     no attempt begins at a key whose word, or whose word for the model, was open
 *             before the turn and still is as it was
 *   heard     an answer's head that says that nothing is left has closed the key until then
 *   line      who waits is in one line, in order, no longer than the queue of its provider
 *   turn      who begins at a provider has overtaken nobody of its client key who waited there
 *             before the turn
 * Versions of the configuration have the same providers, keys and models at the same places. */
#include "tests/sim/room_check.h"
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/exchange.h"
#include "engine/tables.h"
#include "tests/sim/machine.h"
#include "tests/sim/model.h"

#include <inttypes.h>
#include <string.h>

enum { SLOTS_MAX = 256, KEYS = MODEL_KEYS, SLACK_MS = 3 };

struct before {
    uint64_t key_word[MODEL_PROVIDERS][KEYS], model_word[MODEL_PROVIDERS][KEYS];
    uint32_t waited[SLOTS_MAX];    /* generation of the exchange that waited there; 0 none */
    uint8_t place[SLOTS_MAX];      /* its place in its plan: what it waited for */
};

static struct before before;

static struct exchange *exchange_at(const struct core *core, uint32_t i)
{
    struct slab_head *h = slab_at(&core->exchanges, i);
    return h->taken ? (struct exchange *)(void *)h : NULL;
}

static const struct tables *newest(const struct engine *e) { return atomic_load(&e->tables); }

static uint32_t provider_of(const struct exchange *x)
{
    return x->tables->catalog->model[x->model].provider;
}

static breaker_word *model_word(const struct tables *t, uint32_t provider, uint32_t key)
{
    for (uint32_t m = 0; m < t->catalog->model_count; m++) {
        if (t->catalog->model[m].provider == provider) {
            return &t->model_word[m * CATALOG_KEYS_MAX + key];
        }
    }
    violated("world", "provider %u has no model", provider);
}

static bool is_asked(const struct exchange *x)
{
    return x->state >= X_ASK && x->state < X_DONE && x->u != NULL;
}

void room_before(struct engine *e, uint32_t i)
{
    const struct tables *t = newest(e);
    const struct core *core = e->core[i];
    memset(&before, 0, sizeof before);
    for (uint32_t p = 0; p < MODEL_PROVIDERS; p++) {
        for (uint32_t k = 0; k < KEYS; k++) {
            before.key_word[p][k] = atomic_load((breaker_word *)&t->key_word[p][k]);
            before.model_word[p][k] = atomic_load(model_word(t, p, k));
        }
    }
    for (uint32_t s = 0; s < core->exchanges.touched && s < SLOTS_MAX; s++) {
        const struct exchange *x = exchange_at(core, s);
        if (!x || x->state != X_QUEUE) continue;
        before.waited[s] = x->head.generation + 1;
        before.place[s] = x->plan_next;
    }
}

/* --- room, quiet, heard */

static void check_room(const struct engine *e)
{
    const struct tables *t = newest(e);
    uint32_t holds[MODEL_PROVIDERS][KEYS] = {{0}};
    for (uint32_t i = 0; i < e->core_count; i++) {
        for (uint32_t s = 0; s < e->core[i]->exchanges.touched; s++) {
            const struct exchange *x = exchange_at(e->core[i], s);
            if (!x) continue;
            uint32_t p = x->state == X_READ ? 0 : provider_of(x);
            bool limited = model_limits(p)->concurrency > 0;
            if (x->hold.runs && x->hold.at == t->quota[p][x->key]) holds[p][x->key]++;
            if (is_asked(x) && limited && !x->hold.runs) {
                violated("room", "core %u: p%u is asked without room", i, p);
            }
            if (!is_asked(x) && x->hold.at) {
                violated("room", "core %u: room at p%u is held in state %u", i, p, x->state);
            }
        }
    }
    for (uint32_t p = 0; p < MODEL_PROVIDERS; p++) {
        for (uint32_t k = 0; k < KEYS && t->quota[p][k]; k++) {
            uint32_t running = atomic_load(&t->quota[p][k]->running);
            uint32_t most = model_limits(p)->concurrency;
            if (running != holds[p][k] || (most && running > most)) {
                violated("room", "p%u key %u: %u run, %u hold room, %u may", p, k, running,
                         holds[p][k], most);
            }
        }
    }
}

static void check_quiet(const struct core *core, const struct tables *t,
                        const struct exchange *x)
{
    uint64_t now_ms = core->now_ns / 1000000;
    uint32_t p = provider_of(x), k = x->key;
    if (!is_asked(x) || x->attempt_ns != core->now_ns) return;
    if (x->fresh) return;          /* the same attempt, on a connection that lives */
    breaker_word *key = (breaker_word *)&t->key_word[p][k], *model = model_word(t, p, k);
    bool was = breaker_is_open(key, now_ms) && atomic_load(key) == before.key_word[p][k];
    bool has = breaker_is_open(model, now_ms) && atomic_load(model) == before.model_word[p][k];
    if (was || has) {
        violated("quiet", "core %u: p%u key %u is asked, which is closed for %" PRIu64 " ms",
                 core->idx, p, k, breaker_left_ms(was ? key : model, now_ms));
    }
}

static void check_heard(const struct core *core, const struct tables *t,
                        const struct exchange *x)
{
    bool answers = x->state == X_HOLD || x->state == X_WAIT || x->state == X_RELAY;
    if (!is_asked(x) || !answers || x->status != 200) return;
    size_t len = strnlen(x->rec.request_id, sizeof x->rec.request_id);
    struct ask *a = model_find(x->rec.request_id, len);
    struct reply *r = a && a->reply_count ? &a->reply[a->reply_count - 1] : NULL;
    uint32_t p = provider_of(x);
    if (!r || r->provider != p || r->empty_ms == 0 || r->heard) return;
    r->heard = true;
    note("heard-empty", p, x->key, r->empty_ms);
    uint64_t left = breaker_left_ms(model_word(t, p, x->key), core->now_ns / 1000000);
    if (left >= r->empty_ms) return;
    violated("heard", "p%u has nothing left for %u ms, and is closed for %" PRIu64, p,
             r->empty_ms, left);
}

/* --- line, turn */

static void check_waiter(const struct core *core, const struct exchange *x)
{
    if (!x->head.taken || x->state != X_QUEUE || x->line == 0) {
        violated("line", "core %u: somebody who waits for nothing is in line", core->idx);
    }
    uint64_t queue = model_limits(provider_of(x))->queue_ms * 1000000ull;
    bool over = x->wait_ns + SLACK_MS * 1000000ull < core->now_ns;
    if (over || x->wait_ns > core->now_ns + queue) {
        violated("line", "core %u: exchange %u waits until %" PRIu64 ", now %" PRIu64,
                 core->idx, x->head.slot, x->wait_ns, core->now_ns);
    }
}

/* All that wait behind first, who is the first one of his list; gives their number. */
static uint32_t check_list(const struct core *core, const struct exchange *first)
{
    uint32_t count = 0;
    const struct exchange *last = NULL;
    for (const struct exchange *x = first; x; x = x->wait_next) {
        check_waiter(core, x);
        if (x->wait_prev != last || (last && x->wait_key != last->wait_key)) {
            violated("line", "core %u: a line that is not one", core->idx);
        }
        if (last && x->admitted_ns < last->admitted_ns) {
            violated("line", "core %u: exchange %u came before who is before it", core->idx,
                     x->head.slot);
        }
        last = x;
        count++;
    }
    return count;
}

/* All lines of a core: of those that need another key, that are sent on, and of each key that
 * takes turns, found by who is first there. */
static uint32_t check_lines(const struct core *core)
{
    uint32_t count = check_list(core, core->room.sent_on.first);
    for (unsigned l = 0; l < ROOM_LINES; l++) {
        count += check_list(core, core->room.again[l].first);
    }
    for (uint32_t s = 0; s < core->exchanges.touched; s++) {
        const struct exchange *x = exchange_at(core, s);
        if (x && x->wait_key && !x->wait_prev) count += check_list(core, x);
    }
    return count;
}

static void check_turn(const struct core *core, const struct exchange *began)
{
    uint32_t p = provider_of(began);
    for (uint32_t s = 0; s < core->exchanges.touched && s < SLOTS_MAX; s++) {
        const struct exchange *w = exchange_at(core, s);
        bool waits = w && w->state == X_QUEUE && before.waited[s] == w->head.generation + 1;
        if (!waits || provider_of(w) != p || !w->wait_key) continue;
        if (w->rec.path[UNIT_KEY] != began->rec.path[UNIT_KEY]) continue;   /* its own turn */
        if (w->plan_next != before.place[s]) continue;      /* it came there in this turn */
        if (w->priority != began->priority || w->admitted_ns >= began->admitted_ns) continue;
        violated("turn", "core %u: exchange %u was asked at p%u before %u, which waited",
                 core->idx, began->head.slot, p, s);
    }
}

void room_after(struct engine *e, uint32_t i)
{
    const struct core *core = e->core[i];
    const struct tables *t = newest(e);
    uint32_t in_line, waiting = 0;
    check_room(e);
    in_line = check_lines(core);
    for (uint32_t s = 0; s < core->exchanges.touched; s++) {
        const struct exchange *x = exchange_at(core, s);
        if (!x || x->state == X_READ) continue;
        waiting += x->state == X_QUEUE && x->line;
        check_quiet(core, t, x);
        check_heard(core, t, x);
        bool begins = is_asked(x) && x->attempt_ns == core->now_ns && !x->fresh;
        if (begins) check_turn(core, x);
    }
    if (in_line != waiting) {
        violated("line", "core %u: %u wait, %u are in line", i, waiting, in_line);
    }
}
