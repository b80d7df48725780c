/* room.h - the waiting list of a core: requests whose provider has no room for them just now
 * (route/quota.h), in the order in which they will be asked.
 * Order: priority, then arrival. Who is no urgent case does not overtake whoever waits at the
 * same provider; between cores there is no order, only the same chance. (Fairness between keys
 * belongs into is_before() and nowhere else.)
 * Those that wait are woken when somebody leaves a provider on this core, and every
 * ROOM_TICK_NS, for room that other cores or the passing of a minute have made. */
#ifndef ENGINE_ROOM_H
#define ENGINE_ROOM_H

#include "engine/stats.h"
#include "engine/timer.h"

struct core;
struct exchange;

enum {
    ROOM_TICK_NS = 10000000,
    ROOM_LINES = 4,            /* of enum control_priority, most urgent first, and of those
                                  whose place was given to somebody more urgent */
};

struct room_line { struct exchange *first, *last; };

struct room {                  /* all zero: nobody waits */
    struct room_line line[ROOM_LINES];
    struct timer timer;
    uint32_t count;            /* in all lines but the last */
    uint16_t at[STATS_PROVIDERS];   /* of them, by the place of their provider's counters */
    bool stirred;              /* there may be room: look at them in this turn */
};

/* Let x, which is not in it, wait for its candidate's provider. When the list is full, the last
 * one of the least urgent gives way, if it is less urgent than x. False: nobody was. */
MUST_USE bool room_wait(struct core *core, struct exchange *x);
/* x waits no more; also where it did not. */
void room_leave(struct core *core, struct exchange *x);
/* Does somebody wait at the provider of x's candidate whom x must not overtake? */
bool room_is_barred(const struct core *core, const struct exchange *x);
/* How many wait at the provider of x's candidate. */
uint32_t room_ahead(const struct core *core, const struct exchange *x);
/* Somebody left a provider. */
void room_stir(struct core *core);
/* Is there something to do in this turn? */
bool room_is_due(const struct core *core);
/* Its timer fired. */
void room_on_timer(struct core *core);
/* End of turn: ask for those for whom there is room now, send those on who gave way. */
void room_step(struct core *core);

#endif
