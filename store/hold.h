/* hold.h - what an exchange holds of its budgets; the rest is in budget.h. */
#ifndef STORE_HOLD_H
#define STORE_HOLD_H

#include "store/store.h"

enum {
    BUDGET_LAYER_POOL = UNIT_KINDS,             /* layers: enum unit_kind, then the pool */
    BUDGET_CELLS_MAX = UNIT_KINDS * WINDOWS + 1,/* cells of one path */
};

struct budget_map;

struct budget_hold {            /* of an exchange; all zero holds nothing */
    struct budget_map *map;     /* pinned; NULL: none */
    int64_t nusd;               /* reserved on each of the cells */
    int64_t promised_nusd;      /* what it may cost beyond that, and cannot be stopped from */
    uint32_t cell[BUDGET_CELLS_MAX];
    uint8_t count;
    bool prepaid;               /* one of them is a pool's */
    bool rated;                 /* counts as running: budget_rates_end is owed */
};

#endif
