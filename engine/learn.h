/* learn.h - what outcomes teach of each organisation's requests.
 *   core: request planned -> lesson in the exchange -> end -> its own table of lessons
 *   store thread: outcome folded -> lesson by its request -> tenant -> published, kept
 *   core: plan -> the tenant's newest state, copied once it changed
 * Lessons are numbers, in memory alone, for an hour and as long as there is room; an outcome
 * that finds none changes nothing here. Tenants are kept in the store (tenants.h) a second
 * after they changed and at the end: a crash loses what a second taught.
 * What is learned of an outcome: a score that a client states weighs 1, once a request; signs
 * that an answer is bad, which nobody has to state, weigh less (learn.c), also once a request,
 * and all together not more than the scores and LEARN_SIGNS_MOST more: they say nothing of
 * answers that are merely wrong, and nothing good of any. */
#ifndef ENGINE_LEARN_H
#define ENGINE_LEARN_H

#include "store/store.h"

struct core;
struct db;
struct exchange;
struct features;
struct gain;
struct gain_tenant;
struct jsonw;
struct learn;                    /* one per process */
struct record;

enum {
    LEARN_KEEP_S = 3600,         /* an outcome may come so much later */
    LEARN_SIGNS_MOST = 30,       /* scores' worth of signs before any score is stated */
};

/* Signs of a bad answer: bits of record.outcome, which has enum api_outcome's. */
enum learn_sign {
    SIGN_LENGTH, SIGN_REFUSAL, SIGN_JSON, SIGN_TOOLS, SIGNS
};

/* Make it (boot, heap, maps memory that is touched as it is used) for so many cores and a
 * worker, with what the store has. NULL: out of memory, or the store failed (db->why). */
struct learn *learn_open(struct db *db, uint32_t cores);
/* takes l; no thread uses it. NULL is fine. */
void learn_close(struct learn *l);

/* Core. The request was planned, and scored by gain_builtin(): keep what it may teach. */
void learn_begin(struct exchange *x, const struct features *f, const struct gain *scored);
/* Core. It was answered, and its record is about to be written: enter its lesson. */
void learn_end(struct core *core, const struct exchange *x);
/* Core. A cheap answer was not taken for what shows (cascade.h), and its attempt's record, that
 * says so, is about to be written. Once a request. */
void learn_escalated(struct core *core, const struct exchange *x);
/* Core or worker; viewer: the core's number, or their count for the worker. What is known of an
 * organisation; NULL: nothing. Borrows until the same viewer's next call. */
const struct gain_tenant *learn_tenant(struct learn *l, uint32_t viewer, store_id org);

/* Store thread. A record was folded. */
void learn_see(struct learn *l, const struct record *r);
/* Store thread. Keep what changed, if it is time (or now). False: the store failed; it is tried
 * again. */
bool learn_save(struct learn *l, uint64_t now_ns, bool now);

/* Worker. The value that says what is known of an organisation: null for nothing. */
void learn_put(struct learn *l, uint32_t viewer, store_id org, struct jsonw *w);

#endif
