/* engine.h - what the threads of one process share: the cores, the store, published tables.
 * Filled by the main thread before the others start; afterwards only atomics change. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "engine/host.h"

enum { ENGINE_CORES_MAX = 256 };

/* Who enters budget.h, behind the gateway cores, whose numbers are their own. */
enum engine_party { PARTY_ADMIN, PARTY_WORKER, PARTY_STORE, PARTIES };

struct core;
struct tables;
struct db;
struct journal;
struct keeper;
struct admin_front;
struct metrics;
struct budget;
struct learn;
struct rota;
struct sticky;

struct engine {
    struct core *core[ENGINE_CORES_MAX];       /* gateway cores */
    uint32_t core_count;               /* gateway cores */
    struct core *admin;
    struct hosts hosts;
    _Atomic(struct tables *) tables;   /* newest published version */
    struct db *db;
    struct budget *budget;             /* parties: cores by number, worker, store thread; NULL:
                                          nothing is limited (tests) */
    struct journal *journal[ENGINE_CORES_MAX]; /* per gateway core */
    struct keeper *keeper;             /* store thread */
    struct admin_front *front;         /* admin API jobs */
    struct metrics *metrics;
    struct learn *learn;               /* what outcomes teach; NULL: nothing is learned */
    struct rota *rota;                 /* NULL: one thread does everything (tests) */
    _Atomic uint32_t rota_changes;     /* raised when hosts were marked off or on */
    struct sticky *sticky;             /* conversations; NULL: none is known (tests) */
    uint64_t started_ns;               /* monotonic */
    uint64_t started_unix_ns;
    _Atomic bool draining;             /* SIGTERM: no new requests */
    _Atomic bool killed;               /* second SIGTERM: end now */
    _Atomic bool ledger_ok;            /* the store commits */
    _Atomic uint64_t ledger_lag_since_ns;  /* the last time nothing was waiting, monotonic */
    _Atomic uint32_t ready;            /* threads that are up */
    uint8_t admin_token_hash[32];      /* compared instead of the text: constant time */
    void *reload_arg;
    /* Reload the configuration; main.c. Diagnostics into text. */
    bool (*reload)(void *arg, char *text, size_t room);
};

#endif
