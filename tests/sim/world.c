/* world.c - see world.h. A sweep gives everybody who can go on one step, in an order drawn
 * anew; when nobody can, time passes to when the next one can. */
#include "tests/sim/world.h"
#include "engine/core.h"
#include "engine/exchange.h"
#include "engine/upstream.h"
#include "tests/sim/available.h"
#include "tests/sim/check.h"
#include "tests/sim/client.h"
#include "tests/sim/life.h"
#include "tests/sim/machine.h"
#include "tests/sim/model.h"
#include "tests/sim/money.h"
#include "tests/sim/provider.h"
#include "tests/sim/ring_sim.h"

#include <assert.h>
#include <string.h>

enum {
    S = 1000000000,
    STEP_NS = 40000,               /* a sweep takes up to this */
    DOWN_NS = 300000000,           /* a restart takes up to this */
    SWEEPS_MAX = 400000,
    CALM_S = 300,                  /* once faults stopped, all ends within this */
};

enum actor_kind { ACTOR_CORE, ACTOR_STORE, ACTOR_CLIENT, ACTOR_PROVIDER };
enum { ACTORS_MAX = LIFE_CORES_MAX + 2 + CLIENTS_MAX + PROVIDER_ENDS };

struct actor { uint8_t kind; uint8_t idx; };

struct world {
    uint64_t sweeps, turns, up_ns;
    int64_t wall_ns;               /* as it began */
    uint32_t kills, kills_left;
};

static struct world the;

/* --- who can go on */

struct ready { struct actor at[ACTORS_MAX]; uint32_t count; uint64_t next_ns; };

static void consider(struct ready *r, enum actor_kind kind, uint32_t idx, uint64_t when)
{
    if (when <= machine()->now_ns) {
        uint32_t at = chance(++r->count);
        r->at[r->count - 1] = r->at[at];
        r->at[at] = (struct actor){(uint8_t)kind, (uint8_t)idx};
    } else if (when < r->next_ns) {
        r->next_ns = when;
    }
}

static void look_around(struct ready *r)
{
    *r = (struct ready){.next_ns = UINT64_MAX};
    if (life()->engine) {
        for (uint32_t i = 0; i <= life()->cores; i++) consider(r, ACTOR_CORE, i, life_next(i));
        consider(r, ACTOR_STORE, 0, life()->store_ns);
    } else if (the.up_ns < r->next_ns) {
        r->next_ns = the.up_ns;
    }
    for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
        consider(r, ACTOR_CLIENT, i, client_next((int)i));
    }
    for (uint32_t i = 0; i < PROVIDER_ENDS; i++) {
        consider(r, ACTOR_PROVIDER, i, provider_next((int)i));
    }
}

static void pump(void)
{
    for (uint32_t i = 0; life()->engine && i <= life()->cores; i++) {
        struct engine *e = life()->engine;
        ring_sim_pump(i < life()->cores ? e->core[i]->ring : e->admin->ring);
    }
}

static void die(void)
{
    life_kill();
    the.kills++;
    machine()->death_in = 0;
    the.up_ns = machine()->now_ns + chance(DOWN_NS) + 1;
}

static void act(struct actor a)
{
    bool alive = true;
    if (a.kind <= ACTOR_STORE && !life()->engine) return;    /* it died in this sweep */
    switch ((enum actor_kind)a.kind) {
    case ACTOR_CORE:
        alive = life_turn(a.idx);
        the.turns++;
        break;
    case ACTOR_STORE: alive = life_store(); break;
    case ACTOR_CLIENT: (void)client_step(a.idx); break;
    case ACTOR_PROVIDER: (void)provider_step(a.idx); break;
    }
    if (!alive) die();
    pump();
    if (life()->engine) check_engine(life()->engine);
}

/* Mostly within the hour; now and then over days and months, there and back: further than any
 * window, and not as far as what retention deletes. */
static int64_t wall_step(void)
{
    uint32_t span = 3600;
    if (chance(3) == 0) span = chance(2) ? 5 * 3600 : 20 * 24 * 3600;
    int64_t step = ((int64_t)chance(2 * span) - span) * S;
    int64_t ahead = machine()->wall_ns - the.wall_ns + step, most = 40ll * 24 * 3600 * S;
    return ahead > most || ahead < -most ? 0 : step;
}

/* What befalls the whole process now and then. */
static void befall(void)
{
    if (fault(FAULT_WALL_STEPS)) {
        machine()->wall_ns += wall_step();
        note("wall", (uint64_t)machine()->wall_ns, 0, 0);
    }
    if (!life()->engine) return;
    if (fault(FAULT_PUBLISH)) life_publish();
    if (the.kills_left > 0 && machine()->faults && chance(400) == 0) {
        the.kills_left--;
        if (chance(2)) machine()->death_in = 1 + chance(6);   /* between two steps, somewhere */
        else die();
    }
}

static void sweep(void)
{
    struct ready r;
    if (++the.sweeps > SWEEPS_MAX) violated("liveness", "%d sweeps and no end", SWEEPS_MAX);
    machine()->now_ns += 1 + chance(STEP_NS);
    if (!life()->engine && machine()->now_ns >= the.up_ns) life_start();
    look_around(&r);
    if (r.count == 0) {
        assert(r.next_ns != UINT64_MAX);
        machine()->now_ns = r.next_ns;
        return;
    }
    for (uint32_t i = 0; i < r.count; i++) act(r.at[i]);
    befall();
}

/* --- a run */

static bool at_rest(void)
{
    const struct engine *e = life()->engine;
    if (!e || client_count() > 0) return false;
    for (uint32_t i = 0; i < life()->cores; i++) {
        const struct core *core = e->core[i];
        if (core->conns.used || core->exchanges.used) return false;
        for (uint32_t k = 0; k < core->upstreams.touched; k++) {
            const struct slab_head *h = slab_at(&core->upstreams, k);
            if (h->taken && ((const struct upstream *)(const void *)h)->state != UP_IDLE) {
                return false;
            }
        }
    }
    return true;
}

static void until(bool (*over)(void), uint64_t by_ns, const char *what)
{
    while (!over()) {
        if (machine()->now_ns > by_ns) {
            violated("liveness", "%s: not within %d s (%d clients)", what, CALM_S,
                     client_count());
        }
        sweep();
    }
}

static bool clients_gone(void) { return client_count() == 0; }

/* Told to end at once, the cores ended: every request has its record. */
static void check_hurried(void)
{
    for (uint32_t i = 0; i < life()->cores; i++) {
        const struct core *core = life()->engine->core[i];
        for (uint32_t k = 0; k < core->exchanges.touched; k++) {
            const struct slab_head *h = slab_at(&core->exchanges, k);
            const struct exchange *x = (const struct exchange *)(const void *)h;
            if (h->taken && !x->booked) violated("ends-once", "exchange %u was not ended", k);
        }
    }
}

enum ending { END_RESTED, END_KILLED, END_DRAINED, END_HURRIED };

static void finish(void)
{
    enum ending way = (enum ending)draw(4);
    machine()->faults = false;
    machine()->death_in = 0;
    the.kills_left = 0;
    client_calm_down();
    provider_calm_down();
    note("faults-stop", way, 0, 0);
    uint64_t by = machine()->now_ns + (uint64_t)CALM_S * S;
    if (way == END_RESTED || way == END_KILLED || !life()->engine) {
        until(at_rest, by, "requests");
        for (uint32_t i = 0; i < life()->cores; i++) check_rest(life()->engine->core[i], false);
    }
    if (way == END_KILLED) {
        life_kill();
        life_start();
    }
    life_drain();
    if (way == END_HURRIED) {
        life_hurry();
        until(life_drained, by, "the end at once");
        check_hurried();
        life_kill();
        life_start();
        life_drain();
    }
    until(life_drained, by + (uint64_t)CALM_S * S, "the drain");
    until(clients_gone, by + 2 * (uint64_t)CALM_S * S, "the clients' end");
    life_end();
    model_settle();
}

static void sum_up(struct summary *out)
{
    const struct machine *m = machine();
    *out = (struct summary){.hash = m->hash, .sweeps = the.sweeps, .turns = the.turns,
                            .virtual_ms = m->now_ns / 1000000, .asks = model()->ask_count,
                            .kills = the.kills, .changes = money()->changes,
                            .rolls = money()->rolls, .publishes = model()->versions - 1,
                            .handoffs = life()->handoffs, .reused = life()->reused,
                            .no_buffers = life()->no_buffers, .waits = life()->waits,
                            .shed = life()->shed, .hedges = life()->hedges};
    available_sum(&out->available);
    for (int i = 0; i < FAULTS; i++) out->faults[i] = m->hits[i];
    for (int i = 0; i < REFUSALS; i++) out->refusals[i] = money()->refusals[i];
    for (uint32_t i = 0; i < model()->ask_count; i++) {
        const struct ask *a = &model()->ask[i];
        if (a->rows && a->row.close < CLOSE_COUNT) out->closes[a->row.close]++;
        out->onward += a->went_on;
        out->taken += strncmp(a->verdict, "agreed", 6) == 0 || strcmp(a->verdict, "taken") == 0;
        out->escalated += strncmp(a->verdict, "escalated", 9) == 0;
    }
}

/* Seeds take turns: of five, one is of cascades, and one of hedges. */
static enum model_world world_of(uint64_t seed)
{
    if (available()->on) return WORLD_AVAILABLE;
    return seed % 5 == 1 ? WORLD_CHEAP : seed % 5 == 3 ? WORLD_HEDGED : WORLD_PLAIN;
}

void world_run(uint64_t seed, const char *dir, struct summary *out)
{
    enum model_world world = world_of(seed);
    bool takes_turns = world != WORLD_AVAILABLE;
    bool calm = takes_turns && (seed % 8 == 0 || (world && seed % 3 == 0));
    memset(&the, 0, sizeof the);
    machine_begin(seed, calm || !takes_turns);
    wire_begin();
    model_begin(calm, world);
    money_begin(calm);
    the.wall_ns = machine()->wall_ns;
    provider_begin();
    life_begin(dir);
    if (model_plays() && draw_maybe(300)) the.kills_left = draw_range(1, 3);
    life_start();
    client_begin();
    bool short_one = draw_maybe(300) && !calm;
    uint64_t ms = short_one ? draw_range(20, 3000) : 1000 * draw_range(5, 120);
    if (!takes_turns) ms = UINT64_C(1000) * CALM_S;
    uint64_t limit = machine()->now_ns + ms * (S / 1000);
    while (machine()->now_ns < limit && (client_count() > 0 || !life()->engine)) sweep();
    if (calm) until(at_rest, limit + (uint64_t)CALM_S * S, "calm requests");
    finish();
    sum_up(out);
}
