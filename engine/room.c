/* room.c - see room.h.
 *   name -> room_key -> its requests, by arrival
 *   turn of a place and line -> room_key -> room_key ...  a ring; who is asked goes to its end
 *   most of a line and count -> room_key -> ...  who gives way
 * A room_key is a client key with requests of one priority that wait at one provider; it goes
 * with the last of them. A step asks at each place until it is full, so it is bounded by the
 * room there is; those that need another key are each tried. Who gets no room at any candidate
 * ends as it would have without waiting.
 * The rule: a turn is used up by being asked and by nothing else, so that nobody gains or loses
 * by requests that leave. */
#include "engine/room.h"
#include "engine/attempt.h"
#include "engine/core.h"
#include "engine/exchange.h"
#include "engine/tables.h"
#include "store/maybe.h"

enum { LINE_HIGH, LINE_NORMAL, LINE_LOW, LINE_SENT_ON };

static_assert((int)LINE_SENT_ON == (int)ROOM_LINES, "every line has a name");
static_assert((int)STATS_PROVIDERS == (int)CATALOG_PROVIDERS_MAX, "a place a provider");

struct room_key {
    struct slab_head head;
    store_id id;                            /* of the client's key */
    struct room_list of;                    /* its requests */
    struct room_key *turn_prev, *turn_next; /* in the ring; itself where it is alone */
    struct room_key *same_name;             /* the next one in its chain */
    struct room_key *most_prev, *most_next;
    uint32_t count;                         /* of its requests */
    uint16_t place;
    uint8_t line;
};

bool room_init(struct room *r, uint32_t exchanges)
{
    return slab_init(&r->keys, sizeof(struct room_key), exchanges);
}

static unsigned line_of(const struct exchange *x)
{
    return x->priority == PRIORITY_HIGH ? LINE_HIGH
           : x->priority == PRIORITY_LOW ? LINE_LOW : LINE_NORMAL;
}

static uint16_t place_of(const struct exchange *x)
{
    return x->tables->stat[x->tables->catalog->model[x->model].provider];
}

/* Of two of one key: whose request came first? */
static bool is_before(const struct exchange *a, const struct exchange *b)
{
    if (a->admitted_ns != b->admitted_ns) return a->admitted_ns < b->admitted_ns;
    return a->rec.exchange_id < b->rec.exchange_id;
}

/* ---- lists of requests */

static void unlink_from(struct room_list *l, struct exchange *x)
{
    if (x->wait_prev) x->wait_prev->wait_next = x->wait_next;
    else l->first = x->wait_next;
    if (x->wait_next) x->wait_next->wait_prev = x->wait_prev;
    else l->last = x->wait_prev;
    x->wait_prev = x->wait_next = NULL;
}

/* From the end, where most belong. */
static void link_into(struct room_list *l, struct exchange *x)
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

/* ---- keys that wait somewhere */

/* Ids are serials with a level above them: neighbours fall into different chains. */
static uint8_t name_of(store_id id, uint16_t place, unsigned line)
{
    uint64_t mixed = (id + ((uint64_t)place << 2 | line)) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint8_t)(mixed >> 56);
}
static_assert(ROOM_NAMES == 1 << 8, "8 bits choose a chain");

static struct room_key *key_find(const struct room *r, const struct exchange *x, unsigned line)
{
    uint16_t place = place_of(x);
    store_id id = x->rec.path[UNIT_KEY];
    struct room_key *k = r->name[name_of(id, place, line)];
    while (k && (k->id != id || k->place != place || k->line != line)) k = k->same_name;
    return k;
}

static struct room_key **most_of(struct room *r, const struct room_key *k)
{
    uint32_t most = k->count < ROOM_COUNTS ? k->count : ROOM_COUNTS - 1;
    return &r->most[k->line][most];
}

/* k has one request more, or one less; the lists tell. */
static void key_count(struct room *r, struct room_key *k, bool more)
{
    struct room_key **from = most_of(r, k);
    assert(more || k->count > 0);
    if (k->count > 0) {
        if (k->most_prev) k->most_prev->most_next = k->most_next;
        else *from = k->most_next;
        if (k->most_next) k->most_next->most_prev = k->most_prev;
    }
    k->count = more ? k->count + 1 : k->count - 1;
    if (k->count == 0) return;
    struct room_key **to = most_of(r, k);
    k->most_prev = NULL;
    k->most_next = *to;
    if (*to) (*to)->most_prev = k;
    *to = k;
}

/* Behind all others of its ring. */
static void turn_join(struct room *r, struct room_key *k)
{
    struct room_key **turn = &r->turn[k->line][k->place], *first = *turn;
    k->turn_prev = first ? first->turn_prev : k;
    k->turn_next = first ? first : k;
    k->turn_prev->turn_next = k->turn_next->turn_prev = k;
    if (!first) *turn = k;
}

static void turn_quit(struct room *r, struct room_key *k)
{
    struct room_key **turn = &r->turn[k->line][k->place];
    if (*turn == k) *turn = k->turn_next == k ? NULL : k->turn_next;
    k->turn_prev->turn_next = k->turn_next;
    k->turn_next->turn_prev = k->turn_prev;
}

static struct room_key *key_make(struct room *r, const struct exchange *x, unsigned line)
{
    struct room_key *k = slab_take_own(&r->keys);       /* one for each exchange */
    k->id = x->rec.path[UNIT_KEY];
    k->place = place_of(x);
    k->line = (uint8_t)line;
    struct room_key **chain = &r->name[name_of(k->id, k->place, line)];
    k->same_name = *chain;
    *chain = k;
    turn_join(r, k);
    r->keys_at[line][k->place]++;
    return k;
}

static void key_drop(struct room *r, struct room_key *k)
{
    struct room_key **at = &r->name[name_of(k->id, k->place, k->line)];
    assert(k->count == 0);
    while (*at != k) at = &(*at)->same_name;
    *at = k->same_name;
    turn_quit(r, k);
    r->keys_at[k->line][k->place]--;
    slab_give(&r->keys, k);
}

/* ---- in and out */

static const enum stat_id waits_in[ROOM_LINES] = {
    STAT_WAITING_HIGH, STAT_WAITING_NORMAL, STAT_WAITING_LOW,
};

static void join(struct core *core, struct exchange *x, unsigned line)
{
    struct room *r = &core->room;
    assert(x->line == 0 && !x->wait_key);
    x->line = (uint8_t)(1 + line);
    if (x->keys_tried) {
        link_into(&r->again[line], x);
    } else {
        struct room_key *k = key_find(r, x, line);
        x->wait_key = k ? k : key_make(r, x, line);
        link_into(&x->wait_key->of, x);
        key_count(r, x->wait_key, true);
    }
    r->count++;
    r->at[line][place_of(x)]++;
    core_count(core, STAT_WAITING);
    core_count(core, waits_in[line]);
}

static void quit(struct core *core, struct exchange *x, bool asked)
{
    struct room *r = &core->room;
    struct room_key *k = x->wait_key;
    unsigned line = x->line - 1u;
    assert(line < ROOM_LINES && r->count > 0);
    assert(r->at[line][place_of(x)] > 0);
    x->line = 0;
    x->wait_key = NULL;
    unlink_from(k ? &k->of : &r->again[line], x);
    if (k) key_count(r, k, false);
    if (k && asked) {
        turn_quit(r, k);
        turn_join(r, k);
    }
    if (k && k->count == 0) key_drop(r, k);
    r->count--;
    r->at[line][place_of(x)]--;
    core_uncount(core, STAT_WAITING);
    core_uncount(core, waits_in[line]);
    if (r->count == 0) timer_disarm(&core->timers, &r->timer);
}

/* Half of the slots may wait: the others are for those that need not. */
static uint32_t most(const struct core *core) { return (core->limits.exchanges + 1) / 2; }

/* Of a line, a key with as many requests waiting at a place as any; NULL: none has. */
static const struct room_key *heaviest(const struct room *r, unsigned line)
{
    const struct room_key *best = NULL;
    for (unsigned i = ROOM_COUNTS; i-- > 1 && !best;) {
        for (const struct room_key *k = r->most[line][i]; k; k = k->most_next) {
            if (!best || k->count > best->count) best = k;
            if (i + 1 < ROOM_COUNTS) break;     /* all in this list have as many */
        }
    }
    return best;
}

/* Who gives way to x; NULL: nobody has less right to a place than x itself. */
static struct exchange *who_goes(struct room *r, const struct exchange *x)
{
    unsigned own = line_of(x);
    for (unsigned line = LINE_LOW; line > own; line--) {
        const struct room_key *k = heaviest(r, line);
        struct exchange *last = k ? k->of.last : r->again[line].last;
        if (last) return last;
    }
    const struct room_key *k = heaviest(r, own), *mine = key_find(r, x, own);
    return k && k->count > (mine ? mine->count : 0) + 1 ? k->of.last : NULL;
}

static bool make_place(struct core *core, const struct exchange *x)
{
    struct room *r = &core->room;
    struct exchange *goes = who_goes(r, x);
    core_count(core, STAT_SHED);
    if (!goes) return false;
    quit(core, goes, false);
    goes->line = 1 + LINE_SENT_ON;
    link_into(&r->sent_on, goes);
    return true;
}

bool room_wait(struct core *core, struct exchange *x)
{
    struct room *r = &core->room;
    if (r->count >= most(core) && !make_place(core, x)) return false;
    join(core, x, line_of(x));
    core_count(core, STAT_WAITS);
    r->timer.kind = TIMER_ROOM;
    if (!r->timer.at_ns) timer_arm(&core->timers, &r->timer, core->now_ns + ROOM_TICK_NS);
    return true;
}

void room_leave(struct core *core, struct exchange *x, bool asked)
{
    if (x->line == 0 || PLANT(lost_waiter)) return;
    if (x->line != 1 + LINE_SENT_ON) {
        quit(core, x, asked);
        return;
    }
    assert(!asked);
    x->line = 0;
    unlink_from(&core->room.sent_on, x);
}

/* ---- questions */

bool room_is_barred(const struct core *core, const struct exchange *x)
{
    const struct room *r = &core->room;
    if (r->count == 0 || PLANT(overtakes)) return false;
    for (unsigned i = 0; i <= line_of(x); i++) {
        if (r->turn[i][place_of(x)]) return true;
    }
    return false;
}

/* Each key that is there has a turn for each of x's key, x's own included, or fewer. */
uint32_t room_ahead(const struct core *core, const struct exchange *x)
{
    const struct room *r = &core->room;
    unsigned line = line_of(x);
    uint16_t place = place_of(x);
    uint32_t ahead = 0;
    for (unsigned i = 0; i < line; i++) ahead += r->at[i][place];
    const struct room_key *mine = key_find(r, x, line);
    uint64_t turns = (uint64_t)r->keys_at[line][place] * ((mine ? mine->count : 0) + 1u);
    return turns < r->at[line][place] ? ahead + (uint32_t)turns : ahead + r->at[line][place];
}

void room_stir(struct core *core)
{
    if (core->room.count > 0) core->room.stirred = true;
}

bool room_is_due(const struct core *core)
{
    return core->room.stirred || core->room.sent_on.first;
}

void room_on_timer(struct core *core)
{
    assert(core->room.count > 0);
    core->room.stirred = true;
    timer_arm(&core->timers, &core->room.timer, core->now_ns + ROOM_TICK_NS);
}

/* ---- a step */

static bool is_again(const struct exchange *x, unsigned line)
{
    return x->line == 1 + line && !x->wait_key;
}

/* Ask for those of a line: at each place until it is full. */
static void ask_line(struct core *core, unsigned line, bool full[STATS_PROVIDERS])
{
    struct room *r = &core->room;
    for (struct exchange *x = r->again[line].first, *next; x; x = next) {
        next = x->wait_next;
        bool gone = attempt_woken(core, x);
        assert(gone || x->line == 1 + line);
        if (next && !is_again(next, line)) {    /* it went with x, as one of its family */
            r->stirred = true;                  /* the others: in the next turn */
            break;
        }
    }
    for (unsigned p = 0; p < STATS_PROVIDERS; p++) {
        while (!full[p] && r->turn[line][p]) {
            full[p] = !attempt_woken(core, r->turn[line][p]->of.first);
        }
    }
}

void room_step(struct core *core)
{
    struct room *r = &core->room;
    while (r->sent_on.first) attempt_waited(core, r->sent_on.first, true);
    if (!r->stirred) return;
    r->stirred = false;
    bool full[STATS_PROVIDERS] = {false};
    for (unsigned i = 0; i < ROOM_LINES; i++) ask_line(core, i, full);
}
