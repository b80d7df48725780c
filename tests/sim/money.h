/* money.h - the money of one run: an organisation with every level, its limits, pool and rates,
 * the administrator who changes them in mid-run, and what must be true of it all at any time.
 *   money.c         who there is, what was set, the administrator
 *   money_check.c   the checkers; it begins with the list of them
 * What was set is kept here a second time, by the plainest means: the mirror. */
#ifndef TESTS_SIM_MONEY_H
#define TESTS_SIM_MONEY_H

#include "engine/stats.h"
#include "store/limits.h"
#include "tests/sim/model.h"

enum {
    MONEY_KEYS = 4,
    MONEY_TARGETS = 6 + MONEY_KEYS,    /* organisation, department, team, three members */
};

struct engine;

struct mirror {                    /* as it was set by what was committed */
    struct limits limits[MONEY_TARGETS];
    struct rates rates[MONEY_TARGETS];
    bool prepaid;
    int64_t entries_nusd;
    uint32_t references;
};

struct money {
    bool on;                       /* there are limits in this run */
    bool binds;                    /* some are reached */
    bool busy;                     /* the administrator changes things */
    int64_t flat_nusd;             /* all a request costs; 0: it costs by its tokens */
    store_id target[MONEY_TARGETS];
    struct unit_path path[MONEY_KEYS];
    char secret[MONEY_KEYS][80];
    struct mirror mirror;
    uint64_t changes, rate_changes, rolls;   /* so far */
    uint64_t refusals[REFUSALS];   /* by enum refusal */
};

/* The one money. */
struct money *money(void);
/* Draw what there will be, and when it begins: some runs a few seconds before an edge. */
void money_begin(bool calm);
/* The first start: make the organisation around the key that is there, set what it begins
 * with. The budget is open. */
void money_found(struct engine *e, const char *secret);
/* The store thread: the administrator may do something. */
void money_change(struct engine *e);

/* A core (or, at core_count, the store thread) turns now: remember what is. */
void money_before(struct engine *e, uint32_t i);
/* A record was heard in that turn. */
void money_row(struct engine *e, const struct record *r);
/* It turned: all of the checkers. */
void money_after(struct engine *e, uint32_t i);
/* The budget was opened: nothing is known of the last life but what is in the store. */
void money_opened(struct engine *e);
/* All work is over: everything was given back. */
void money_rest(struct engine *e);
/* The store's sums against the rows. txn: a reader. */
void money_audit(struct db *db, MDB_txn *txn);

#endif
