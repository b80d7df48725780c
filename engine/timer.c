/* timer.c - see timer.h. A slot holds every timer whose tick is that slot modulo the wheel; one
 * that is not due yet when its slot comes by is put in again at its true deadline. */
#include "engine/timer.h"

static uint64_t tick_of(uint64_t at_ns)
{
    return (at_ns + TIMER_TICK_NS - 1) / TIMER_TICK_NS;  /* never early */
}

void timer_init(struct timer_wheel *w, uint64_t now_ns)
{
    memset(w, 0, sizeof *w);
    w->tick = now_ns / TIMER_TICK_NS;
}

static void link_in(struct timer_wheel *w, struct timer *t)
{
    uint64_t tick = tick_of(t->at_ns);
    if (tick <= w->tick) tick = w->tick + 1;
    if (tick - w->tick >= TIMER_SLOTS) tick = w->tick + TIMER_SLOTS - 1;
    t->slot = (uint32_t)(tick % TIMER_SLOTS);
    t->wheel_ns = tick * TIMER_TICK_NS;
    t->prev = NULL;
    t->next = w->slot[t->slot];
    if (t->next) t->next->prev = t;
    w->slot[t->slot] = t;
    w->map[t->slot / 64] |= 1ull << t->slot % 64;
    w->count++;
}

static void unlink_from(struct timer_wheel *w, struct timer *t)
{
    assert(w->count > 0);
    if (t->prev) t->prev->next = t->next;
    else w->slot[t->slot] = t->next;
    if (t->next) t->next->prev = t->prev;
    if (!w->slot[t->slot]) w->map[t->slot / 64] &= ~(1ull << t->slot % 64);
    t->prev = t->next = NULL;
    t->wheel_ns = 0;
    w->count--;
}

void timer_arm(struct timer_wheel *w, struct timer *t, uint64_t at_ns)
{
    assert(at_ns > 0);
    t->at_ns = at_ns;
    if (t->wheel_ns && t->wheel_ns <= at_ns) return;  /* fires early, then goes in again */
    if (t->wheel_ns) unlink_from(w, t);
    link_in(w, t);
}

void timer_disarm(struct timer_wheel *w, struct timer *t)
{
    if (t->wheel_ns) unlink_from(w, t);
    t->at_ns = 0;
}

struct timer *timer_next(struct timer_wheel *w, uint64_t now_ns)
{
    uint64_t now_tick = now_ns / TIMER_TICK_NS;
    for (;;) {
        struct timer *t = w->slot[w->tick % TIMER_SLOTS];
        while (t) {
            struct timer *next = t->next;
            if (t->wheel_ns <= w->tick * TIMER_TICK_NS) {
                unlink_from(w, t);
                if (t->at_ns <= now_ns) {
                    t->at_ns = 0;
                    return t;
                }
                link_in(w, t);
            }
            t = next;
        }
        if (w->tick >= now_tick) return NULL;
        if (w->count == 0) w->tick = now_tick;
        else w->tick++;
    }
}

uint64_t timer_wait_ns(const struct timer_wheel *w, uint64_t now_ns, uint64_t max_ns)
{
    if (w->count == 0) return max_ns;
    uint64_t from = w->tick + 1;
    for (uint64_t i = 0; i < TIMER_SLOTS;) {
        uint64_t slot = (from + i) % TIMER_SLOTS;
        uint64_t bits = w->map[slot / 64] >> slot % 64;
        if (!bits) {
            i += 64 - slot % 64;
            continue;
        }
        uint64_t at = (from + i + (uint64_t)__builtin_ctzll(bits)) * TIMER_TICK_NS;
        if (at <= now_ns) return 0;
        return at - now_ns < max_ns ? at - now_ns : max_ns;
    }
    return max_ns;
}
