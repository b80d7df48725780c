/* timer.h - one core's timer wheel: 1 ms ticks, 8,192 slots, lists through the owners' nodes.
 * Arming is O(1). Deadlines beyond the wheel are looked at once a turn of it. Pushing a
 * deadline back is only a store: an owner that fires early is put in again (lazy), so a stall
 * timer that moves with each chunk costs nothing. */
#ifndef ENGINE_TIMER_H
#define ENGINE_TIMER_H

#include "net/bytes.h"

enum { TIMER_SLOTS = 8192, TIMER_TICK_NS = 1000000 };

struct timer {                 /* embedded in its owner; all zero is unarmed */
    struct timer *prev, *next;
    uint64_t at_ns;            /* deadline, monotonic; 0: unarmed */
    uint64_t wheel_ns;         /* the deadline its slot was chosen for */
    uint32_t slot;
    uint8_t kind;              /* the owner's tag: what kind of object holds it */
};

struct timer_wheel {
    uint64_t tick;             /* last tick handled */
    struct timer *slot[TIMER_SLOTS];
    uint64_t map[TIMER_SLOTS / 64];   /* bit per non-empty slot */
    uint32_t count;
};

/* Begin at now_ns. */
void timer_init(struct timer_wheel *w, uint64_t now_ns);
/* Arm or move t to at_ns (not 0). The owner outlives it or disarms it. borrows t. */
void timer_arm(struct timer_wheel *w, struct timer *t, uint64_t at_ns);
/* Disarm; unarmed is fine. */
void timer_disarm(struct timer_wheel *w, struct timer *t);
/* The next timer due at now_ns, disarmed, or NULL: call until NULL. */
struct timer *timer_next(struct timer_wheel *w, uint64_t now_ns);
/* ns from now_ns until the wheel wants a look, at most max_ns. */
uint64_t timer_wait_ns(const struct timer_wheel *w, uint64_t now_ns, uint64_t max_ns);

#endif
