/* test_room.c - the waiting list against a slow reading of its rule: by priority, then arrival;
 * a full provider is tried once a step; who gives way when the list is full; whom a newcomer
 * must not overtake. Seeded moves, all of them checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/attempt.h"
#include "engine/core.h"
#include "engine/exchange.h"
#include "engine/tables.h"

enum { MANY = 24, PROVIDERS = 3, MOVES = 20000 };

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
};

static struct world the;

/* attempt.h */
bool attempt_woken(struct core *core, struct exchange *x)
{
    the.tries[x->model]++;
    if (the.room[x->model] == 0) return false;
    the.room[x->model]--;
    the.asked[the.asked_count++] = (uint32_t)(x - the.x);
    room_leave(core, x);
    x->state = X_ASK;
    return true;
}

/* attempt.h */
void attempt_waited(struct core *core, struct exchange *x, bool shed)
{
    assert_true(shed);
    room_leave(core, x);
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

static bool goes_before(const struct exchange *a, const struct exchange *b)
{
    if (rank(a) != rank(b)) return rank(a) < rank(b);
    return a->rec.exchange_id < b->rec.exchange_id;
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
    the.serial++;                       /* some were at another candidate before */
    uint64_t came = the.serial + 8 - (uint64_t)rand() % 8;
    x->rec.exchange_id = came << 12 | (the.serial & 4095);
    x->admitted_ns = came / 4;          /* and some came in the same turn */
    return x;
}

/* A newcomer that finds no room: it waits, or somebody gives way, by the rule. */
static void come(uint32_t i)
{
    struct exchange *x = fresh(i), *last = NULL;
    bool barred = false;
    for (uint32_t k = 0; k < MANY; k++) {
        struct exchange *w = &the.x[k];
        if (!is_waiting(w)) continue;
        if (!last || goes_before(last, w)) last = w;
        if (w->model == x->model && goes_before(w, x)) barred = true;
    }
    uint32_t count = waiting();
    assert_int_equal(room_is_barred(the.core, x), barred);
    bool full = count == MANY / 2, taken = room_wait(the.core, x);
    assert_int_equal(taken, !full || rank(last) > rank(x));
    x->state = taken ? X_QUEUE : X_DONE;
    if (full && taken) {
        assert_true(room_is_due(the.core));
        uint32_t before = the.sent_on;
        room_step(the.core);
        assert_int_equal(the.sent_on, before + 1);
        assert_int_equal(last->state, X_DONE);
    }
}

/* Some places are free: those who are first by the rule have them. */
static void step(void)
{
    uint32_t room[PROVIDERS];
    for (int p = 0; p < PROVIDERS; p++) room[p] = the.room[p] = (uint32_t)rand() % 4;
    bool wanted[MANY] = {false};
    for (;;) {                           /* the slow reading */
        int best = -1;
        for (int k = 0; k < MANY; k++) {
            bool may = is_waiting(&the.x[k]) && !wanted[k] && room[the.x[k].model] > 0;
            if (may && (best < 0 || goes_before(&the.x[k], &the.x[best]))) best = k;
        }
        if (best < 0) break;
        wanted[best] = true;
        room[the.x[best].model]--;
    }
    the.asked_count = 0;
    memset(the.tries, 0, sizeof the.tries);
    room_stir(the.core);
    room_step(the.core);
    uint32_t count = 0;
    for (int k = 0; k < MANY; k++) count += wanted[k];
    assert_int_equal(the.asked_count, count);
    for (uint32_t k = 0; k < count; k++) {
        assert_true(wanted[the.asked[k]]);
        if (k) assert_true(goes_before(&the.x[the.asked[k - 1]], &the.x[the.asked[k]]));
    }
    for (uint32_t p = 0; p < PROVIDERS; p++) {   /* each is tried until it is full, and then
                                                    once */
        uint32_t had = 0;
        for (uint32_t k = 0; k < count; k++) had += the.x[the.asked[k]].model == p;
        assert_in_range(the.tries[p], had, had + 1);
    }
}

static void test_moves_follow_the_rule(void **state)
{
    (void)state;
    srand(11);
    for (int i = 0; i < MOVES; i++) {
        uint32_t at = (uint32_t)rand() % MANY;
        int move = rand() % 10;
        if (move == 0) {
            step();
        } else if (!is_waiting(&the.x[at])) {
            come(at);
        } else if (move < 4) {
            room_leave(the.core, &the.x[at]);
            room_leave(the.core, &the.x[at]);    /* once is enough */
            the.x[at].state = X_DONE;
        }
        assert_int_equal(the.core->room.count, waiting());
        assert_int_equal(stat_get(&the.core->stats.count[STAT_WAITING]), waiting());
        assert_int_equal(the.core->timers.count > 0, waiting() > 0);
    }
    assert_true(the.sent_on > 100);
}

/* Who has been asked with one key already waits for another one: that it finds none says
 * nothing of the others, who may take any. */
static void test_who_needs_another_key_stops_nobody(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < MANY; i++) {
        room_leave(the.core, &the.x[i]);
        the.x[i].state = X_DONE;
    }
    for (uint32_t i = 0; i < 4; i++) {
        struct exchange *x = fresh(i);
        x->model = 0;
        x->priority = PRIORITY_NORMAL;
        x->keys_tried = i < 2;
        assert_true(room_wait(the.core, x));
        x->state = X_QUEUE;
        assert_int_equal(room_ahead(the.core, x), i + 1);
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
    for (uint32_t i = 0; i < 4; i++) room_leave(the.core, &the.x[i]);
    assert_int_equal(the.core->timers.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves_follow_the_rule),
        cmocka_unit_test(test_who_needs_another_key_stops_nobody),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
