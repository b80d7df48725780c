/* auth.c - see auth.h. The table is two-way set-associative; entries of another generation are
 * misses, so a revoked key ends with the store's commit. */
#include "engine/auth.h"
#include "engine/core.h"
#include "engine/engine.h"
#include "net/http.h"
#include "store/budget.h"
#include "store/credits.h"
#include "store/journal.h"
#include "store/maybe.h"
#include "store/usage.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { AUTH_SETS = 512, AUTH_WAYS = 2 };

struct entry {
    uint8_t hash[STORE_KEY_HASH];
    uint64_t generation;         /* 0: empty */
    uint64_t used;
    struct key_view view;
    struct budget_path budget;
    struct policy_routing routing;
    bool routing_read;
};

struct auth {
    struct entry *entries;       /* AUTH_SETS x AUTH_WAYS, mapped */
    MDB_txn *reader;             /* reset between calls */
    uint64_t clock;
};

struct auth *auth_make(struct db *db)
{
    struct auth *a = calloc(1, sizeof *a);
    if (!a) return NULL;
    void *mem = mmap(NULL, sizeof(struct entry) * AUTH_SETS * AUTH_WAYS,
                     PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                     0);
    if (mem == MAP_FAILED || db_reader(db, &a->reader) != STORE_OK) {
        free(a);
        return NULL;
    }
    a->entries = mem;
    return a;
}

static bool read_store(struct core *core, const uint8_t *hash, struct key_view *view)
{
    struct db *db = core->engine->db;
    core_count(core, STAT_KEY_MISSES);
    if (mdb_txn_renew(core->auth->reader) != 0) return false;
    enum store_rc rc = keys_find(db, core->auth->reader, hash, core->unix_ns, view);
    mdb_txn_reset(core->auth->reader);
    return rc == STORE_OK;
}

const struct key_view *auth_find(struct core *core, const uint8_t hash[STORE_KEY_HASH])
{
    struct auth *a = core->auth;
    struct db *db = core->engine->db;
    uint64_t generation = atomic_load_explicit(&db->generation, memory_order_acquire) + 1;
    uint64_t word;
    memcpy(&word, hash, sizeof word);
    struct entry *set = &a->entries[word % AUTH_SETS * AUTH_WAYS], *oldest = set;
    a->clock++;
    for (unsigned i = 0; i < AUTH_WAYS; i++) {
        struct entry *e = &set[i];
        bool fresh = e->generation == generation || (e->generation && PLANT(stale_path));
        if (fresh && memcmp(e->hash, hash, STORE_KEY_HASH) == 0) {
            e->used = a->clock;
            bool live = !e->view.expires_unix_ns || e->view.expires_unix_ns > core->unix_ns;
            return live ? &e->view : NULL;
        }
        if (e->used < oldest->used) oldest = e;
    }
    if (!keys_maybe(db, hash)) return NULL;   /* asked last: those that are here are many */
    if (!read_store(core, hash, &oldest->view)) {
        oldest->generation = 0;
        return NULL;
    }
    memcpy(oldest->hash, hash, STORE_KEY_HASH);
    struct budget *b = core->engine->budget;
    if (b) budget_find(b, &oldest->view.path, &oldest->budget);
    oldest->routing_read = keys_routing(&oldest->view, &oldest->routing);
    oldest->generation = generation;
    oldest->used = a->clock;
    return &oldest->view;
}

static const struct entry *entry_of(const struct key_view *view)
{
    const char *at = (const char *)view;
    return (const void *)(at - offsetof(struct entry, view));
}

const struct budget_path *auth_budget(const struct key_view *view)
{
    return &entry_of(view)->budget;
}

const struct policy_routing *auth_routing(const struct key_view *view)
{
    const struct entry *e = entry_of(view);
    return e->routing_read ? &e->routing : NULL;
}

static struct bytes bearer(struct bytes value)
{
    if (value.len > 7 && bytes_ieq((struct bytes){value.ptr, 7}, BYTES("bearer "))) {
        bytes_cut(&value, 7);
        return bytes_trim(value);
    }
    return (struct bytes){0};
}

bool auth_hash(const struct http_head *head, struct bytes in_query,
               uint8_t hash[STORE_KEY_HASH], const char **why)
{
    struct bytes given[] = {bearer(head->field[HTTP_AUTHORIZATION]),
                            head->field[HTTP_X_API_KEY], head->field[HTTP_X_GOOG_API_KEY],
                            head->field[HTTP_API_KEY], in_query};
    struct bytes secret = {0};
    for (size_t i = 0; i < COUNT(given); i++) {
        if (given[i].len == 0) continue;
        if (secret.len && !bytes_eq(secret, given[i])) {
            *why = "two API keys that differ were sent";
            return false;
        }
        secret = given[i];
    }
    if (secret.len == 0) {
        *why = head->field[HTTP_AUTHORIZATION].len
                   ? "the Authorization header is not 'Bearer <key>'"
                   : "no API key was sent: use the header 'Authorization: Bearer sk-weir-...'";
        return false;
    }
    keys_hash(secret.ptr, secret.len, hash);
    return true;
}

bool auth_request_known(struct core *core, store_id key, const char *id, size_t len)
{
    struct engine *e = core->engine;
    for (uint32_t i = 0; i < e->core_count; i++) {
        if (journal_has(e->journal[i], key, id, len)) return true;
    }
    if (mdb_txn_renew(core->auth->reader) != 0) return false;
    enum store_rc rc = usage_find(e->db, core->auth->reader, key, id, len);
    mdb_txn_reset(core->auth->reader);
    return rc == STORE_OK;
}

bool auth_pool(struct core *core, store_id org, struct pool *pool)
{
    if (mdb_txn_renew(core->auth->reader) != 0) return false;
    enum store_rc rc = credits_pool(core->engine->db, core->auth->reader, org, pool);
    mdb_txn_reset(core->auth->reader);
    return rc == STORE_OK;
}
