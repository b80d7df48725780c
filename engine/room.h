/* room.h - the waiting list of a core: requests whose provider has no room for them just now
 * (route/quota.h), in the order in which they will be asked.
 * Order: priority; within it the client keys that wait at a provider take turns, one request
 * each, and a key's own requests go by arrival. (That is start-time fair queueing where all
 * requests weigh the same: a key that comes new has its turn when each of those that wait has
 * had one, whatever they have waiting.) Nobody overtakes who waits at its provider with the
 * same or a higher priority; between cores there is no order, only the same chance.
 * Who needs another key of the provider than the one that sent it away goes first: its turn is
 * over, and it has been asked.
 * Too many: the least urgent go first, and of those the last one of the key that has most of
 * them waiting at a provider.
 * Those that wait are woken when somebody leaves a provider on this core, and every
 * ROOM_TICK_NS, for room that other cores or the passing of a minute have made. */
#ifndef ENGINE_ROOM_H
#define ENGINE_ROOM_H

#include "engine/slab.h"
#include "engine/stats.h"
#include "engine/timer.h"

struct core;
struct exchange;
struct room_key;

enum {
    ROOM_TICK_NS = 10000000,
    ROOM_LINES = 3,            /* of enum control_priority, most urgent first */
    ROOM_NAMES = 256,          /* chains of keys by their name */
    ROOM_COUNTS = 64,          /* lists of keys by how many they have waiting: 0 .. 62, more */
};

struct room_list { struct exchange *first, *last; };

struct room {                  /* room_init(); private but for counts, to be read */
    struct room_key *turn[ROOM_LINES][STATS_PROVIDERS];  /* at a place: whose turn is next, in a
                                                            ring; by place of the counters */
    struct room_key *most[ROOM_LINES][ROOM_COUNTS];
    struct room_key *name[ROOM_NAMES];
    struct room_list again[ROOM_LINES];   /* need another key of the provider, by arrival */
    struct room_list sent_on;             /* their place was given to somebody else */
    struct slab keys;          /* struct room_key: who waits where */
    struct timer timer;
    uint32_t count;            /* all but those in sent_on */
    uint32_t at[ROOM_LINES][STATS_PROVIDERS];         /* of them, by place */
    uint32_t keys_at[ROOM_LINES][STATS_PROVIDERS];    /* keys in each ring */
    bool stirred;              /* there may be room: look at them in this turn */
};

/* Boot: reserve for so many exchanges of a core. False: no address space. */
MUST_USE bool room_init(struct room *r, uint32_t exchanges);
/* Let x, which is not in it, wait for its candidate's provider. When the list is full somebody
 * gives way: less urgent, or of a key with more waiting. False: nobody was. */
MUST_USE bool room_wait(struct core *core, struct exchange *x);
/* x waits no more; also where it did not. asked: for it is asked, which was its key's turn. */
void room_leave(struct core *core, struct exchange *x, bool asked);
/* Does somebody wait at the provider of x's candidate whom x must not overtake? */
bool room_is_barred(const struct core *core, const struct exchange *x);
/* How many will be asked there before x, at most, if it waits from now on. */
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
