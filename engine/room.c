/* room.c - see room.h. Lists through the exchanges. A step looks at each of those that wait
 * once, and tries each full provider once, so it is bounded by the length of the list. Who gets
 * no room at any candidate ends as it would have without waiting. */
#include "engine/room.h"
#include "engine/attempt.h"
#include "engine/core.h"
#include "engine/exchange.h"
#include "engine/tables.h"
#include "store/maybe.h"

enum { LINE_HIGH, LINE_NORMAL, LINE_LOW, LINE_SENT_ON };

static_assert(LINE_SENT_ON + 1 == ROOM_LINES, "every line has a name");
static_assert((int)STATS_PROVIDERS == (int)CATALOG_PROVIDERS_MAX, "a place a provider");

static unsigned line_of(const struct exchange *x)
{
    return x->priority == PRIORITY_HIGH ? LINE_HIGH
           : x->priority == PRIORITY_LOW ? LINE_LOW : LINE_NORMAL;
}

static uint16_t place_of(const struct exchange *x)
{
    return x->tables->stat[x->tables->catalog->model[x->model].provider];
}

/* Of two in one line: whose request came first? */
static bool is_before(const struct exchange *a, const struct exchange *b)
{
    if (a->admitted_ns != b->admitted_ns) return a->admitted_ns < b->admitted_ns;
    return a->rec.exchange_id < b->rec.exchange_id;
}

static void unlink_from(struct room_line *l, struct exchange *x)
{
    if (x->wait_prev) x->wait_prev->wait_next = x->wait_next;
    else l->first = x->wait_next;
    if (x->wait_next) x->wait_next->wait_prev = x->wait_prev;
    else l->last = x->wait_prev;
    x->wait_prev = x->wait_next = NULL;
}

/* From the end, where most belong. */
static void link_into(struct room_line *l, struct exchange *x)
{
    struct exchange *at = l->last;
    while (at && (is_before(x, at) || PLANT(overtakes))) at = at->wait_prev;
    x->wait_prev = at;
    x->wait_next = at ? at->wait_next : l->first;
    if (x->wait_prev) x->wait_prev->wait_next = x;
    else l->first = x;
    if (x->wait_next) x->wait_next->wait_prev = x;
    else l->last = x;
}

static void uncount(struct core *core, const struct exchange *x)
{
    struct room *r = &core->room;
    assert(r->count > 0 && r->at[place_of(x)] > 0);
    r->count--;
    r->at[place_of(x)]--;
    core_uncount(core, STAT_WAITING);
    if (r->count == 0) timer_disarm(&core->timers, &r->timer);
}

/* Half of the slots may wait: the others are for those that need not. */
static uint32_t most(const struct core *core) { return (core->limits.exchanges + 1) / 2; }

/* Make place for one of line `line`: the last one of the last line behind it goes. */
static bool make_place(struct core *core, unsigned line)
{
    struct room *r = &core->room;
    for (unsigned i = LINE_LOW; i > line; i--) {
        struct exchange *x = r->line[i].last;
        if (!x) continue;
        unlink_from(&r->line[i], x);
        uncount(core, x);
        x->line = 1 + LINE_SENT_ON;
        link_into(&r->line[LINE_SENT_ON], x);
        core_count(core, STAT_SHED);
        return true;
    }
    return false;
}

bool room_wait(struct core *core, struct exchange *x)
{
    struct room *r = &core->room;
    unsigned line = line_of(x);
    assert(x->line == 0);
    if (r->count >= most(core) && !make_place(core, line)) {
        core_count(core, STAT_SHED);
        return false;
    }
    x->line = (uint8_t)(1 + line);
    link_into(&r->line[line], x);
    r->count++;
    r->at[place_of(x)]++;
    core_count(core, STAT_WAITING);
    core_count(core, STAT_WAITS);
    r->timer.kind = TIMER_ROOM;
    if (!r->timer.at_ns) timer_arm(&core->timers, &r->timer, core->now_ns + ROOM_TICK_NS);
    return true;
}

void room_leave(struct core *core, struct exchange *x)
{
    if (x->line == 0 || PLANT(lost_waiter)) return;
    unsigned line = x->line - 1u;
    assert(line < ROOM_LINES);
    x->line = 0;
    unlink_from(&core->room.line[line], x);
    if (line != LINE_SENT_ON) uncount(core, x);
}

bool room_is_barred(const struct core *core, const struct exchange *x)
{
    const struct room *r = &core->room;
    if (r->count == 0 || r->at[place_of(x)] == 0 || PLANT(overtakes)) return false;
    for (unsigned i = 0; i <= line_of(x); i++) {
        for (const struct exchange *w = r->line[i].first; w; w = w->wait_next) {
            if (place_of(w) == place_of(x) && (i < line_of(x) || is_before(w, x))) return true;
        }
    }
    return false;
}

uint32_t room_ahead(const struct core *core, const struct exchange *x)
{
    return core->room.at[place_of(x)];
}

void room_stir(struct core *core)
{
    if (core->room.count > 0) core->room.stirred = true;
}

bool room_is_due(const struct core *core)
{
    return core->room.stirred || core->room.line[LINE_SENT_ON].first;
}

void room_on_timer(struct core *core)
{
    assert(core->room.count > 0);
    core->room.stirred = true;
    timer_arm(&core->timers, &core->room.timer, core->now_ns + ROOM_TICK_NS);
}

void room_step(struct core *core)
{
    struct room *r = &core->room;
    while (r->line[LINE_SENT_ON].first) {
        attempt_waited(core, r->line[LINE_SENT_ON].first, true);
    }
    if (!r->stirred) return;
    r->stirred = false;
    bool full[STATS_PROVIDERS] = {false};
    for (unsigned i = 0; i < LINE_SENT_ON; i++) {
        for (struct exchange *x = r->line[i].first, *next; x; x = next) {
            next = x->wait_next;        /* only x itself moves within */
            uint16_t at = place_of(x);
            bool any = x->keys_tried == 0;  /* else some keys may have room, but not for x */
            if ((!any || !full[at]) && !attempt_woken(core, x) && any) full[at] = true;
        }
    }
}
