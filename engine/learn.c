/* learn.c - see learn.h. Two tables that one thread writes and others read without waiting,
 * each entry under a sequence of its own (odd while it is written; Boehm, "Can seqlocks get
 * along with programming language memory models?"): what is copied while it changes is copied
 * again, or given up. Their words are atomics, so that a torn copy is no race, only useless.
 *   lessons  a core's: sets of 4, found by key and request id; the oldest of a set goes
 *   tenants  the store thread's: places in order, found by organisation; none is given back
 * Rule: a core never waits for the store thread, nor it for a core. */
#include "engine/learn.h"
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/exchange.h"
#include "engine/tables.h"
#include "net/jsonw.h"
#include "route/gain.h"
#include "route/lesson.h"
#include "store/journal.h"
#include "store/tenants.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    SETS = 4096, WAYS = 4,       /* lessons a core keeps: 16384, 2 MiB when all are there */
    TENANTS_MAX = 1 << 16,       /* organisations that learn */
    INDEX = TENANTS_MAX * 2,     /* open addressing; a power of two */
    COPIES = 64,                 /* tenants that a core has at hand; a power of two */
    TRIES = 64,                  /* to copy what is being written */
    LEARNED_VERSION = 1,
    SAVE_MAX = 256,              /* tenants in one transaction */
};
#define SAVE_NS UINT64_C(1000000000)
#define S_NS UINT64_C(1000000000)

/* ---- what is kept of a tenant, in the store too */

struct learned {                 /* little-endian */
    uint32_t version;
    uint32_t scores;             /* stated */
    uint32_t signs[SIGNS];
    uint64_t scores_weight, signs_weight;   /* of GAIN_ONE */
    struct gain_tenant tenant;
};
static_assert(sizeof(struct lesson) <= 8 * EXCHANGE_LESSON_WORDS, "an exchange holds one");
static_assert(sizeof(struct learned) <= TENANT_BYTES_MAX, "the store takes it");

#define WORDS(type) ((sizeof(type) + 7) / 8)

struct tenant {
    _Atomic uint32_t seq;
    uint32_t dirty_next;         /* store thread: place + 1 of the next one to be kept */
    bool dirty;
    store_id org;                /* before it is in the index */
    _Atomic uint64_t word[WORDS(struct learned)];
};

struct copy {                    /* a core's */
    store_id org;
    uint32_t seq;
    struct learned learned;
};

/* ---- what is kept of a request */

struct noted {
    uint64_t tag;                /* of key and request id */
    uint64_t exchange_id;
    uint64_t at_unix_ns;         /* its end */
    struct lesson lesson;
    uint64_t cheap;              /* of an answer that was not taken (cascade.h); 0 or 1 */
};

struct entry {
    _Atomic uint32_t seq;        /* 0: never written */
    _Atomic uint64_t scored;     /* store thread: the exchange whose score was learned */
    _Atomic uint64_t word[WORDS(struct noted)];
};

struct learn {
    struct db *db;
    struct entry *entry[ENGINE_CORES_MAX];   /* SETS x WAYS each, mapped */
    struct copy *copy[ENGINE_CORES_MAX + 1]; /* COPIES each */
    struct tenant *tenant;       /* TENANTS_MAX, mapped */
    _Atomic uint32_t *index;     /* INDEX, mapped: place + 1; 0 free */
    uint32_t cores, tenant_count;
    uint32_t dirty;              /* place + 1 of the first to be kept; 0: none */
    uint64_t saved_ns;
};

/* ---- words under a sequence */

static void words_write(_Atomic uint32_t *seq, _Atomic uint64_t *word, const void *from,
                        size_t len)
{
    uint32_t was = atomic_load_explicit(seq, memory_order_relaxed);
    assert(was % 2 == 0);
    atomic_store_explicit(seq, was + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (size_t i = 0; i * 8 < len; i++) {
        uint64_t value = 0;
        memcpy(&value, (const char *)from + i * 8, len - i * 8 < 8 ? len - i * 8 : 8);
        atomic_store_explicit(&word[i], value, memory_order_relaxed);
    }
    was = was + 2 ? was + 2 : 2;     /* 0 is: never written */
    atomic_store_explicit(seq, was, memory_order_release);
}

/* One try. The sequence it was read under; 0: never written, or being written. */
static uint32_t words_read(const _Atomic uint32_t *seq, const _Atomic uint64_t *word, void *to,
                           size_t len)
{
    uint32_t before = atomic_load_explicit(seq, memory_order_acquire);
    if (before % 2) return 0;
    for (size_t i = 0; i * 8 < len; i++) {
        uint64_t value = atomic_load_explicit(&word[i], memory_order_relaxed);
        memcpy((char *)to + i * 8, &value, len - i * 8 < 8 ? len - i * 8 : 8);
    }
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(seq, memory_order_relaxed) == before ? before : 0;
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 31;
    x *= UINT64_C(0x9e3779b97f4a7c15);
    return x ^ x >> 29;
}

/* ---- lessons */

/* Of a record's key and request id. Two that meet are told apart by nothing, so that one would
 * teach in place of the other: one in 2^64. */
static uint64_t tag_of(const struct record *r)
{
    uint64_t tag = mix(r->path[UNIT_KEY]);
    for (size_t i = 0; i < sizeof r->request_id; i += 8) {
        uint64_t word;
        memcpy(&word, r->request_id + i, 8);
        tag = mix(tag + word);
    }
    return tag;
}

static struct entry *set_of(struct learn *l, uint32_t core, uint64_t tag)
{
    return &l->entry[core][tag % SETS * WAYS];
}

void learn_begin(struct exchange *x, const struct features *f, const struct gain *scored)
{
    struct lesson lesson = {.below = 0};
    gain_keep_scored(gain_builtin(), f, scored, &lesson.kept);
    memcpy(x->lesson, &lesson, sizeof lesson);
    x->has_lesson = true;
}

static void enter(struct core *core, const struct exchange *x, bool cheap)
{
    const struct record *r = &x->rec;
    struct learn *l = x->has_lesson ? core->engine->learn : NULL;
    if (!l) return;
    struct noted n = {.tag = tag_of(r), .exchange_id = r->exchange_id,
                      .at_unix_ns = core->unix_ns, .cheap = cheap};
    memcpy(&n.lesson, x->lesson, sizeof n.lesson);
    const struct catalog_model *m = &x->tables->catalog->model[x->model];
    n.lesson.below = lesson_below(x->tables->scale, &m->quality,
                                  (enum family)n.lesson.kept.family);
    struct entry *set = set_of(l, core->idx, n.tag), *oldest = set;
    uint64_t oldest_ns = UINT64_MAX;
    for (unsigned i = 0; i < WAYS; i++) {
        struct noted has = {0};      /* this core is its writer: it is whole */
        if (words_read(&set[i].seq, set[i].word, &has, sizeof has) == 0) has.at_unix_ns = 0;
        if (has.at_unix_ns >= oldest_ns) continue;
        oldest_ns = has.at_unix_ns;
        oldest = &set[i];
    }
    words_write(&oldest->seq, oldest->word, &n, sizeof n);
}

void learn_end(struct core *core, const struct exchange *x)
{
    if (x->rec.status == 200) enter(core, x, false);
}

void learn_escalated(struct core *core, const struct exchange *x) { enter(core, x, true); }

/* The newest lesson of a record's request that ended less than an hour before; exchange_id 0:
 * of any exchange that had that id. NULL: none, or it is being written over. */
static struct entry *lesson_find(struct learn *l, const struct record *r, uint64_t exchange_id,
                                 bool cheap, struct noted *out)
{
    uint64_t tag = tag_of(r);
    struct entry *found = NULL;
    for (uint32_t c = 0; c < l->cores; c++) {
        struct entry *set = set_of(l, c, tag);
        for (unsigned i = 0; i < WAYS; i++) {
            struct noted n;
            if (words_read(&set[i].seq, set[i].word, &n, sizeof n) == 0 || n.tag != tag) {
                continue;
            }
            bool late = r->admitted_unix_ns > n.at_unix_ns + LEARN_KEEP_S * S_NS;
            bool other = n.cheap != cheap || (exchange_id && n.exchange_id != exchange_id);
            if (late || other || (found && n.at_unix_ns < out->at_unix_ns)) continue;
            found = &set[i];
            *out = n;
        }
    }
    return found;
}

/* ---- tenants, read */

/* The place of an organisation, or -1. */
static int64_t place_find(const struct learn *l, store_id org)
{
    for (uint32_t i = (uint32_t)mix(org) & (INDEX - 1);; i = (i + 1) & (INDEX - 1)) {
        uint32_t at = atomic_load_explicit(&l->index[i], memory_order_acquire);
        if (at == 0) return -1;
        if (l->tenant[at - 1].org == org) return at - 1;
    }
}

static const struct learned *learned_of(struct learn *l, uint32_t viewer, store_id org)
{
    int64_t at = org ? place_find(l, org) : -1;
    if (at < 0) return NULL;
    struct tenant *t = &l->tenant[at];
    struct copy *c = &l->copy[viewer][mix(org) & (COPIES - 1)];
    uint32_t seq = atomic_load_explicit(&t->seq, memory_order_acquire);
    for (unsigned i = 0; i < TRIES && (c->org != org || c->seq != seq); i++) {
        c->org = 0;                  /* of nobody, should it not come out */
        seq = words_read(&t->seq, t->word, &c->learned, sizeof c->learned);
        if (seq == 0) continue;
        c->org = org;
        c->seq = seq;
    }
    return c->org == org ? &c->learned : NULL;
}

const struct gain_tenant *learn_tenant(struct learn *l, uint32_t viewer, store_id org)
{
    assert(!l || viewer <= l->cores);
    const struct learned *has = l ? learned_of(l, viewer, org) : NULL;
    return has ? &has->tenant : NULL;
}

/* ---- tenants, written */

/* A place for an organisation that has none. NULL: all are taken. */
static struct tenant *place_make(struct learn *l, store_id org)
{
    if (l->tenant_count == TENANTS_MAX) return NULL;
    uint32_t at = l->tenant_count++, i = (uint32_t)mix(org) & (INDEX - 1);
    l->tenant[at].org = org;
    while (atomic_load_explicit(&l->index[i], memory_order_relaxed)) i = (i + 1) & (INDEX - 1);
    atomic_store_explicit(&l->index[i], at + 1, memory_order_release);
    return &l->tenant[at];
}

/* What is known of it, on the thread that writes it. */
static void tenant_read(const struct tenant *t, struct learned *out)
{
    *out = (struct learned){.version = LEARNED_VERSION};
    bool any = atomic_load_explicit(&t->seq, memory_order_relaxed) != 0;
    uint32_t seq = any ? words_read(&t->seq, t->word, out, sizeof *out) : 1;
    assert(seq != 0);
}

static void teach(struct learn *l, store_id org, const struct lesson *lesson, int sign,
                  uint32_t score, uint32_t weight)
{
    struct learned has;
    int64_t at = place_find(l, org);
    struct tenant *t = at >= 0 ? &l->tenant[at] : place_make(l, org);
    if (!t) return;
    tenant_read(t, &has);
    if (sign >= 0) {
        uint64_t most = has.scores_weight + (uint64_t)LEARN_SIGNS_MOST * GAIN_ONE;
        if (has.signs_weight + weight > most) return;
        has.signs_weight += weight;
        has.signs[sign]++;
    } else {
        has.scores_weight += weight;
        has.scores++;
    }
    lesson_learn(&has.tenant, lesson, score, weight);
    words_write(&t->seq, t->word, &has, sizeof has);
    if (t->dirty) return;
    t->dirty = true;
    t->dirty_next = l->dirty;
    l->dirty = (uint32_t)(t - l->tenant) + 1;
}

/* The sign of a record that weighs most, or -1. A broken form is certain; a refusal may be
 * right, and a client may want a short answer. */
static int worst_sign(uint8_t outcome, uint32_t *weight)
{
    static const uint32_t weights[SIGNS] = {
        [SIGN_LENGTH] = GAIN_ONE / 20, [SIGN_REFUSAL] = GAIN_ONE / 10,
        [SIGN_JSON] = GAIN_ONE / 2, [SIGN_TOOLS] = GAIN_ONE / 2,
    };
    int worst = -1;
    *weight = 0;
    for (int i = 0; i < SIGNS; i++) {
        if (!(outcome & 1u << i) || weights[i] <= *weight) continue;
        *weight = weights[i];
        worst = i;
    }
    return worst;
}

void learn_see(struct learn *l, const struct record *r)
{
    struct noted n;
    uint32_t weight;
    store_id org = r->path[UNIT_ORGANIZATION];
    bool cheap = r->kind == RECORD_ATTEMPT;
    if ((r->kind == RECORD_REQUEST || cheap) && r->outcome) {
        int sign = worst_sign(r->outcome, &weight);
        if (sign < 0 || !lesson_find(l, r, r->exchange_id, cheap, &n)) return;
        teach(l, org, &n.lesson, sign, 0, weight);
    } else if (r->kind == RECORD_FEEDBACK && r->status <= GAIN_ONE) {
        struct entry *e = lesson_find(l, r, 0, false, &n);
        if (!e) return;
        uint64_t scored = atomic_load_explicit(&e->scored, memory_order_relaxed);
        if (scored == n.exchange_id) return;     /* stated again: the first one counts */
        atomic_store_explicit(&e->scored, n.exchange_id, memory_order_relaxed);
        teach(l, org, &n.lesson, -1, r->status, GAIN_ONE);
    }
}

/* ---- the store */

static enum store_rc save_some(struct learn *l, MDB_txn *txn, uint32_t *left)
{
    enum store_rc rc = STORE_OK;
    uint32_t at = l->dirty;
    for (unsigned n = 0; rc == STORE_OK && at && n < SAVE_MAX; n++) {
        const struct tenant *t = &l->tenant[at - 1];
        struct learned has;
        tenant_read(t, &has);
        rc = tenants_put(l->db, txn, t->org, &has, sizeof has);
        if (rc == STORE_NOT_FOUND) rc = STORE_OK;   /* deleted: its keys are gone with it */
        at = t->dirty_next;
    }
    *left = at;
    return rc;
}

bool learn_save(struct learn *l, uint64_t now_ns, bool now)
{
    if (!l->dirty || (!now && now_ns < l->saved_ns + SAVE_NS)) return true;
    l->saved_ns = now_ns;
    do {
        MDB_txn *txn;
        uint32_t left;
        if (db_begin(l->db, true, &txn) != STORE_OK) return false;
        enum store_rc rc = save_some(l, txn, &left);
        if (rc == STORE_OK) rc = db_commit(l->db, txn);
        else db_abort(txn);
        if (rc != STORE_OK) return false;
        while (l->dirty != left) {
            struct tenant *t = &l->tenant[l->dirty - 1];
            t->dirty = false;
            l->dirty = t->dirty_next;
        }
    } while (l->dirty);
    return true;
}

static void load_one(store_id org, const void *bytes, size_t len, void *arg)
{
    struct learned has;
    if (len != sizeof has) return;               /* of another version: learned anew */
    memcpy(&has, bytes, len);
    struct tenant *t = has.version == LEARNED_VERSION ? place_make(arg, org) : NULL;
    if (t) words_write(&t->seq, t->word, &has, sizeof has);
}

static void *map(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static bool maps_open(struct learn *l)
{
    l->tenant = map(sizeof *l->tenant * TENANTS_MAX);
    l->index = map(sizeof *l->index * INDEX);
    bool good = l->tenant && l->index;
    for (uint32_t i = 0; good && i <= l->cores; i++) {
        l->copy[i] = map(sizeof *l->copy[i] * COPIES);
        if (i < l->cores) l->entry[i] = map(sizeof *l->entry[i] * SETS * WAYS);
        good = l->copy[i] && (i == l->cores || l->entry[i]);
    }
    return good;
}

struct learn *learn_open(struct db *db, uint32_t cores)
{
    assert(db && cores > 0 && cores <= ENGINE_CORES_MAX);
    MDB_txn *txn;
    struct learn *l = calloc(1, sizeof *l);
    if (!l) return NULL;
    l->db = db;
    l->cores = cores;
    enum store_rc rc = maps_open(l) ? db_begin(db, false, &txn)
                                    : db_rc(db, ENOMEM, "learn from outcomes");
    if (rc == STORE_OK) {
        rc = tenants_each(db, txn, load_one, l);
        db_abort(txn);
    }
    if (rc == STORE_OK) return l;
    learn_close(l);
    return NULL;
}

static void unmap(void *at, size_t bytes)
{
    if (at) (void)munmap(at, bytes);
}

void learn_close(struct learn *l)
{
    if (!l) return;
    unmap(l->tenant, sizeof *l->tenant * TENANTS_MAX);
    unmap((void *)l->index, sizeof *l->index * INDEX);
    for (uint32_t i = 0; i <= l->cores; i++) {
        unmap(l->copy[i], sizeof *l->copy[i] * COPIES);
        if (i < l->cores) unmap(l->entry[i], sizeof *l->entry[i] * SETS * WAYS);
    }
    free(l);
}

/* ---- for people */

void learn_put(struct learn *l, uint32_t viewer, store_id org, struct jsonw *w)
{
    static const char *const names[SIGNS] = {
        [SIGN_LENGTH] = "length", [SIGN_REFUSAL] = "refusal", [SIGN_JSON] = "invalid_json",
        [SIGN_TOOLS] = "bad_tool_arguments",
    };
    struct lesson_weight weights[LESSON_WEIGHTS];
    const struct learned *has = l ? learned_of(l, viewer, org) : NULL;
    if (!has) {
        jsonw_null(w);
        return;
    }
    jsonw_object(w);
    jsonw_key(w, "scores"), jsonw_uint(w, has->scores);
    jsonw_key(w, "signs");
    jsonw_object(w);
    for (unsigned i = 0; i < SIGNS; i++) {
        jsonw_key(w, names[i]), jsonw_uint(w, has->signs[i]);
    }
    jsonw_object_end(w);
    jsonw_key(w, "weight");
    jsonw_fixed(w, (int64_t)(has->scores_weight + has->signs_weight), 4);
    jsonw_key(w, "weights");
    jsonw_array(w);
    lesson_weights(&has->tenant, weights);
    for (unsigned i = 0; i < LESSON_WEIGHTS && weights[i].name; i++) {
        jsonw_object(w);
        jsonw_key(w, "feature"), jsonw_text(w, weights[i].name);
        jsonw_key(w, "gain"), jsonw_fixed(w, weights[i].weight, 4);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
    jsonw_object_end(w);
}
