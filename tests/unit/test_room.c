/* test_room.c - the waiting list against a plain model of its rule: by priority; within it keys
 * take turns at a provider, each by arrival; a full provider is tried once a step; who gives
 * way when the list is full; whom a newcomer must not overtake. Seeded moves, all checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/attempt.h"
#include "engine/core.h"
#include "engine/exchange.h"
#include "engine/tables.h"

enum { MANY = 48, PROVIDERS = 3, KEYS = 5, LINES = 3, MOVES = 40000 };

/* The plain model: whose turn it is, the first one's next. What each has waiting is counted
 * anew from all exchanges whenever it is asked for. */
struct turns { uint32_t key[KEYS], count; };

struct world {
    struct core *core;
    struct tables *tables;
    struct catalog catalog;
    struct catalog_model model[PROVIDERS];
    struct exchange *x;                 /* MANY */
    uint64_t serial;
    uint32_t room[PROVIDERS];           /* places free */
    uint32_t asked[MANY], asked_count, tries[PROVIDERS];
    uint32_t sent_on;
    struct turns turns[LINES][PROVIDERS];
};

static struct world the;

/* attempt.h */
bool attempt_woken(struct core *core, struct exchange *x)
{
    the.tries[x->model]++;
    if (the.room[x->model] == 0) return false;
    the.room[x->model]--;
    the.asked[the.asked_count++] = (uint32_t)(x - the.x);
    room_leave(core, x, true);
    x->state = X_ASK;
    return true;
}

/* attempt.h */
void attempt_waited(struct core *core, struct exchange *x, bool shed)
{
    assert_true(shed);
    room_leave(core, x, false);
    x->shed = true;
    x->state = X_DONE;
    the.sent_on++;
}

static int open_world(void **state)
{
    (void)state;
    the = (struct world){.core = calloc(1, sizeof *the.core),
                         .tables = calloc(1, sizeof *the.tables),
                         .x = calloc(MANY, sizeof *the.x)};
    assert_true(the.core && the.tables && the.x);
    for (uint16_t p = 0; p < PROVIDERS; p++) {
        the.model[p].provider = p;
        the.tables->stat[p] = (uint16_t)(PROVIDERS - p);
    }
    the.catalog = (struct catalog){.model = the.model, .model_count = PROVIDERS};
    the.tables->catalog = &the.catalog;
    the.core->limits.exchanges = MANY;
    the.core->now_ns = 1000000000;
    assert_true(room_init(&the.core->room, MANY));
    timer_init(&the.core->timers, the.core->now_ns);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    free(the.core);
    free(the.tables);
    free(the.x);
    return 0;
}

static unsigned rank(const struct exchange *x)
{
    return x->priority == PRIORITY_HIGH ? 0 : x->priority == PRIORITY_NORMAL ? 1 : 2;
}

static bool is_waiting(const struct exchange *x) { return x->state == X_QUEUE; }

static uint32_t key_of(const struct exchange *x)
{
    return (uint32_t)(x->rec.path[UNIT_KEY] - 100);
}

static bool is_in_turns(const struct exchange *x) { return is_waiting(x) && !x->keys_tried; }

static bool came_before(const struct exchange *a, const struct exchange *b)
{
    return a->rec.exchange_id < b->rec.exchange_id;
}

/* Who of a key waits at a place in a line: how many, the first and the last. */
struct group { uint32_t count; struct exchange *first, *last; };

static struct group group_of(uint32_t key, uint32_t place, unsigned line)
{
    struct group g = {0};
    for (uint32_t i = 0; i < MANY; i++) {
        struct exchange *x = &the.x[i];
        if (!is_in_turns(x) || key_of(x) != key || x->model != place) continue;
        if (rank(x) != line) continue;
        g.count++;
        if (!g.first || came_before(x, g.first)) g.first = x;
        if (!g.last || came_before(g.last, x)) g.last = x;
    }
    return g;
}

/* Most of a key at a place that a line has. */
static uint32_t heaviest(unsigned line)
{
    uint32_t most = 0;
    for (uint32_t key = 0; key < KEYS; key++) {
        for (uint32_t p = 0; p < PROVIDERS; p++) {
            uint32_t count = group_of(key, p, line).count;
            if (count > most) most = count;
        }
    }
    return most;
}

static void turns_quit(struct turns *t, uint32_t key)
{
    uint32_t at = 0;
    while (at < t->count && t->key[at] != key) at++;
    assert_true(at < t->count);
    for (t->count--; at < t->count; at++) t->key[at] = t->key[at + 1];
}

/* Before x waits there: its key may be new. */
static void model_join(const struct exchange *x)
{
    struct turns *t = &the.turns[rank(x)][x->model];
    if (x->keys_tried || group_of(key_of(x), x->model, rank(x)).count > 0) return;
    t->key[t->count++] = key_of(x);
}

/* After x left: its key may be gone, or it had its turn. */
static void model_quit(const struct exchange *x, bool was_in_turns, bool asked)
{
    struct turns *t = &the.turns[rank(x)][x->model];
    if (!was_in_turns) return;
    bool more = group_of(key_of(x), x->model, rank(x)).count > 0;
    if (!more || asked) turns_quit(t, key_of(x));
    if (more && asked) t->key[t->count++] = key_of(x);
}

static uint32_t waiting(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < MANY; i++) count += is_waiting(&the.x[i]);
    return count;
}

static struct exchange *fresh(uint32_t i)
{
    struct exchange *x = &the.x[i];
    *x = (struct exchange){.tables = the.tables, .model = (uint32_t)rand() % PROVIDERS,
                           .priority = (uint8_t)(rand() % 3), .state = X_READ};
    uint32_t key = (uint32_t)rand() % (2 * KEYS);
    x->rec.path[UNIT_KEY] = 100 + (key < KEYS ? key : 0);       /* one of them is busy */
    x->keys_tried = rand() % 12 == 0;
    the.serial++;                       /* some were at another candidate before */
    uint64_t came = the.serial + 8 - (uint64_t)rand() % 8;
    x->rec.exchange_id = came << 12 | (the.serial & 4095);
    x->admitted_ns = came / 4;          /* and some came in the same turn */
    return x;
}

/* How many are asked before the newest of x's key, if there is room for one after another. */
static uint32_t ahead_of(const struct exchange *x)
{
    uint32_t before = 0, own = group_of(key_of(x), x->model, rank(x)).count;
    bool passed = false;
    for (unsigned line = 0; line <= rank(x); line++) {
        const struct turns *t = &the.turns[line][x->model];
        for (uint32_t i = 0; i < t->count; i++) {
            uint32_t count = group_of(t->key[i], x->model, line).count;
            if (line == rank(x) && t->key[i] == key_of(x)) passed = true;
            uint32_t most = line < rank(x) ? MANY : passed ? own : own + 1;
            before += count < most ? count : most;
        }
    }
    return before;
}

/* Who must have given way to x: last of its key, which had most of the last line that has any;
 * or, where nobody of that line takes turns, the last of all. */
static void check_sent_on(const struct exchange *gone, const uint32_t most[LINES], uint32_t own)
{
    unsigned line = rank(gone);
    assert_true(line >= own);
    for (unsigned behind = line + 1; behind < LINES; behind++) {
        for (uint32_t k = 0; k < MANY; k++) {
            assert_false(is_waiting(&the.x[k]) && rank(&the.x[k]) == behind && behind > own);
        }
    }
    if (gone->keys_tried) {
        assert_int_equal(most[line], 0);
        return;
    }
    struct group left = group_of(key_of(gone), gone->model, line);
    assert_int_equal(left.count + 1, most[line]);
    assert_true(!left.last || came_before(left.last, gone));
}

/* A newcomer that finds no room: it waits, or somebody gives way, by the rule. */
static void come(uint32_t i)
{
    struct exchange *x = fresh(i);
    bool barred = false, less = false;
    uint32_t most[LINES], own = group_of(key_of(x), x->model, rank(x)).count;
    bool was[MANY];
    for (unsigned line = 0; line < LINES; line++) most[line] = heaviest(line);
    for (uint32_t k = 0; k < MANY; k++) {
        struct exchange *w = &the.x[k];
        was[k] = is_in_turns(w);
        if (was[k] && w->model == x->model && rank(w) <= rank(x)) barred = true;
        if (is_waiting(w) && rank(w) > rank(x)) less = true;
    }
    bool full = waiting() == MANY / 2;
    assert_int_equal(room_is_barred(the.core, x), barred);
    uint32_t ahead = room_ahead(the.core, x);
    assert_true(ahead >= ahead_of(x) && ahead <= waiting());
    bool goes = less || most[rank(x)] > own + 1;
    bool taken = room_wait(the.core, x);
    assert_int_equal(taken, !full || goes);
    if (full && taken) {
        assert_true(room_is_due(the.core));
        uint32_t before = the.sent_on;
        room_step(the.core);
        assert_int_equal(the.sent_on, before + 1);
        for (uint32_t k = 0; k < MANY; k++) {
            if (k == i || the.x[k].state != X_DONE || !the.x[k].shed) continue;
            the.x[k].shed = false;
            check_sent_on(&the.x[k], most, rank(x));
            model_quit(&the.x[k], was[k], false);
        }
    }
    if (taken) model_join(x);
    x->state = taken ? X_QUEUE : X_DONE;
}

/* The model asks x, if there is room: it is noted in `want`. */
static bool model_ask(struct exchange *x, uint32_t room[PROVIDERS], uint32_t *want,
                      uint32_t *count)
{
    if (room[x->model] == 0) return false;
    bool in_turns = is_in_turns(x);
    room[x->model]--;
    want[(*count)++] = (uint32_t)(x - the.x);
    x->state = X_DONE;                  /* as if; step() takes that back */
    model_quit(x, in_turns, true);
    return true;
}

/* Whom a step asks, in order. */
static uint32_t model_step(uint32_t room[PROVIDERS], uint32_t *want)
{
    uint32_t count = 0;
    for (unsigned line = 0; line < LINES; line++) {
        struct exchange *last = NULL;
        for (;;) {                      /* those that need another key, by arrival */
            struct exchange *next = NULL;
            for (uint32_t k = 0; k < MANY; k++) {
                struct exchange *x = &the.x[k];
                if (!is_waiting(x) || !x->keys_tried || rank(x) != line) continue;
                if (last && !came_before(last, x)) continue;
                if (!next || came_before(x, next)) next = x;
            }
            if (!next) break;
            (void)model_ask(next, room, want, &count);
            last = next;
        }
        for (uint32_t s = 1; s <= PROVIDERS; s++) {     /* by place of the counters */
            uint32_t p = PROVIDERS - s;
            const struct turns *t = &the.turns[line][p];
            while (t->count > 0) {
                if (!model_ask(group_of(t->key[0], p, line).first, room, want, &count)) break;
            }
        }
    }
    return count;
}

/* Some places are free: those who are first by the rule have them. */
static void step(void)
{
    uint32_t room[PROVIDERS], want[MANY];
    for (int p = 0; p < PROVIDERS; p++) room[p] = the.room[p] = (uint32_t)rand() % 4;
    uint32_t count = model_step(room, want);
    for (uint32_t k = 0; k < count; k++) the.x[want[k]].state = X_QUEUE;
    the.asked_count = 0;
    memset(the.tries, 0, sizeof the.tries);
    room_stir(the.core);
    room_step(the.core);
    assert_int_equal(the.asked_count, count);
    for (uint32_t k = 0; k < count; k++) assert_int_equal(the.asked[k], want[k]);
}

static void test_moves_follow_the_rule(void **state)
{
    (void)state;
    srand(11);
    for (int i = 0; i < MOVES; i++) {
        uint32_t at = (uint32_t)rand() % MANY;
        struct exchange *x = &the.x[at];
        int move = rand() % 10;
        if (move == 0) {
            step();
        } else if (!is_waiting(x)) {
            come(at);
        } else if (move < 4) {
            bool in_turns = is_in_turns(x);
            room_leave(the.core, x, false);
            room_leave(the.core, x, false);      /* once is enough */
            x->state = X_DONE;
            model_quit(x, in_turns, false);
        }
        assert_int_equal(the.core->room.count, waiting());
        assert_int_equal(stat_get(&the.core->stats.count[STAT_WAITING]), waiting());
        assert_int_equal(the.core->timers.count > 0, waiting() > 0);
    }
    assert_true(the.sent_on > 100);
}

static void empty(void)
{
    for (uint32_t i = 0; i < MANY; i++) {
        room_leave(the.core, &the.x[i], false);
        the.x[i].state = X_DONE;
    }
    assert_int_equal(the.core->room.count, 0);
    assert_int_equal(the.core->room.keys.used, 0);
}

static struct exchange *wait_at_first(uint32_t i, uint32_t key, uint8_t priority)
{
    struct exchange *x = fresh(i);
    x->model = 0;
    x->priority = priority;
    x->keys_tried = 0;
    x->rec.path[UNIT_KEY] = 100 + key;
    assert_true(room_wait(the.core, x));
    x->state = X_QUEUE;
    return x;
}

/* One key has many waiting when another one comes: they take turns from then on, and a third
 * that sends one after another gets no more than its turn. */
static void test_nobody_starves(void **state)
{
    (void)state;
    static const uint32_t turns[] = {0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 2, 0, 2};
    empty();
    uint32_t next = 0;
    for (; next < 12; next++) (void)wait_at_first(next, 0, PRIORITY_NORMAL);
    for (; next < 15; next++) {
        struct exchange *x = wait_at_first(next, 1, PRIORITY_NORMAL);
        room_leave(the.core, x, false);
        uint32_t ahead = next == 12 ? 1 : next == 13 ? 4 : 6;
        assert_int_equal(room_ahead(the.core, x), ahead);
        assert_true(room_wait(the.core, x));
    }
    for (size_t i = 0; i < COUNT(turns); i++) {
        if (i == 0 || turns[i - 1] == 2) (void)wait_at_first(next++, 2, PRIORITY_NORMAL);
        the.room[0] = 1;
        the.asked_count = 0;
        room_stir(the.core);
        room_step(the.core);
        assert_int_equal(the.asked_count, 1);
        assert_int_equal(key_of(&the.x[the.asked[0]]), turns[i]);
    }
    empty();
}

/* Who has been asked with one key already waits for another one: that it finds none says
 * nothing of the others, who may take any. */
static void test_who_needs_another_key_stops_nobody(void **state)
{
    (void)state;
    empty();
    for (uint32_t i = 0; i < 4; i++) {
        struct exchange *x = fresh(i);
        x->model = 0;
        x->priority = PRIORITY_NORMAL;
        x->keys_tried = i < 2;
        assert_int_equal(room_is_barred(the.core, x), i > 2);
        assert_true(room_wait(the.core, x));
        x->state = X_QUEUE;
    }
    the.room[0] = 0;
    memset(the.tries, 0, sizeof the.tries);
    room_step(the.core);
    assert_int_equal(the.tries[0], 0);           /* nothing stirred */
    the.core->now_ns += ROOM_TICK_NS;
    struct timer *t = timer_next(&the.core->timers, the.core->now_ns + 2000000);
    assert_ptr_equal(t, &the.core->room.timer);
    room_on_timer(the.core);
    assert_true(room_is_due(the.core));
    room_step(the.core);
    assert_int_equal(the.tries[0], 3);           /* both of those, and one of the others */
    empty();
    assert_int_equal(the.core->timers.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves_follow_the_rule),
        cmocka_unit_test(test_nobody_starves),
        cmocka_unit_test(test_who_needs_another_key_stops_nobody),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
