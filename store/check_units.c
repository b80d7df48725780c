/* check_units.c - units and keys against the indexes that lead to them, in both directions:
 * what is there must be found, by counting what should be; what is found must be there.
 * Budgets and what was learned, of what there is alone. States. Serials, so that no id is
 * given twice. */
#include "store/check_part.h"

#include "store/limits.h"
#include "store/org.h"
#include "store/policy.h"
#include "store/rotation.h"
#include "store/rows.h"
#include "store/tenants.h"

#include <inttypes.h>
#include <string.h>

struct tree {
    uint64_t links, hashes;             /* that should be there */
    uint64_t serial[UNIT_KINDS];        /* highest of each kind */
};

/* A row cannot be read, or what it names is not there. */
static void tell(struct check *c, store_id id, const char *expected, enum store_rc rc)
{
    char text[CHECK_WHERE_MAX];
    check_say(c, "%s: expected %s, found %s", check_id(id, text), expected,
              rc == STORE_FAIL ? "damage" : "none");
}

/* Is there an entry (unit, child)? */
static enum store_rc link_check(struct check *c, store_id unit, store_id child)
{
    uint8_t name[16];
    char above[CHECK_WHERE_MAX], below[CHECK_WHERE_MAX];
    db_be64(name, unit);
    db_be64(name + 8, child);
    MDB_val key = {sizeof(name), name}, data;
    int code = mdb_get(c->txn, c->db->dbi[DB_CHILDREN], &key, &data);
    if (code == 0) return STORE_OK;
    if (code != MDB_NOTFOUND) return db_rc(c->db, code, "read the index of units");
    check_say(c, "index of units: expected %s below %s, found it not", check_id(child, below),
              check_id(unit, above));
    return STORE_OK;
}

static store_id id_take(struct tree *t, MDB_val key)
{
    store_id id = key.mv_size == 8 ? db_from_be64(key.mv_data) : 0;
    if (!store_id_is_valid(id)) return 0;
    uint64_t serial = id & ((UINT64_C(1) << 56) - 1), *top = &t->serial[store_id_kind(id)];
    if (serial > *top) *top = serial;
    return id;
}

static void policy_check(struct check *c, store_id id, struct row_text policy)
{
    struct rates rates;
    if (!policy_rates(policy.ptr, policy.len, &rates)) {
        tell(c, id, "a policy that can be read", STORE_FAIL);
    }
}

static enum store_rc unit_visit(struct check *c, MDB_val key, MDB_val data, void *arg)
{
    struct tree *t = arg;
    struct unit_row row, above;
    (void)data;
    store_id id = id_take(t, key);
    enum store_rc rc = id ? rows_get_unit(c->db, c->txn, id, &row) : STORE_FAIL;
    if (rc != STORE_OK) {
        tell(c, id, "a unit", STORE_FAIL);
        return STORE_OK;
    }
    policy_check(c, id, row.policy);
    if (row.parent == 0) return STORE_OK;
    t->links++;
    rc = rows_get_unit(c->db, c->txn, row.parent, &above);
    if (rc != STORE_OK) tell(c, id, "the unit above it", rc);
    return link_check(c, row.parent, id);
}

static enum store_rc hash_check(struct check *c, store_id id, const uint8_t *hash,
                                const char *what)
{
    store_id found;
    enum store_rc rc = rows_get_hash(c->db, c->txn, hash, &found);
    if (rc == STORE_OK && found != id) rc = STORE_NOT_FOUND;
    if (rc != STORE_OK) tell(c, id, what, rc);
    return STORE_OK;
}

static enum store_rc key_visit(struct check *c, MDB_val key, MDB_val data, void *arg)
{
    struct tree *t = arg;
    struct key_row row;
    struct unit_row above[UNIT_KEY];
    struct unit_path path;
    (void)data;
    store_id id = id_take(t, key);
    enum store_rc rc = id ? rows_get_key(c->db, c->txn, id, &row) : STORE_FAIL;
    if (rc != STORE_OK) {
        tell(c, id, "a key", STORE_FAIL);
        return STORE_OK;
    }
    policy_check(c, id, row.policy);
    t->hashes += row.old_until_unix_ns ? 2 : 1;
    rc = hash_check(c, id, row.hash, "its hash in the index of keys");
    if (rc == STORE_OK && row.old_until_unix_ns) {
        rc = hash_check(c, id, row.old_hash, "its old hash in the index of keys");
    }
    if (rc != STORE_OK) return rc;
    rc = rows_climb(c->db, c->txn, row.member, &path, above);
    if (rc != STORE_OK) {
        tell(c, id, "its member and the units above", rc);
        return STORE_OK;
    }
    for (int k = 0; rc == STORE_OK && k < UNIT_KEY; k++) {
        if (!path.unit[k]) continue;
        t->links++;
        rc = link_check(c, path.unit[k], id);
    }
    return rc;
}

/* ---- and back */

static enum store_rc child_visit(struct check *c, MDB_val key, MDB_val data, void *arg)
{
    struct unit_path path = {.unit = {0}};
    char above[CHECK_WHERE_MAX], below[CHECK_WHERE_MAX];
    (void)data, (void)arg;
    bool good = key.mv_size == 16;
    store_id unit = good ? db_from_be64(key.mv_data) : 0;
    store_id child = good ? db_from_be64((const uint8_t *)key.mv_data + 8) : 0;
    good = store_id_is_valid(unit) && store_id_is_valid(child) &&
           store_id_kind(unit) < UNIT_KEY && store_id_kind(unit) < store_id_kind(child) &&
           org_path(c->db, c->txn, child, &path) == STORE_OK &&
           path.unit[store_id_kind(unit)] == unit;
    /* Of units only the next one above; keys are below all of them. */
    int next = good ? (int)store_id_kind(child) - 1 : 0;
    while (good && store_id_kind(child) != UNIT_KEY && next > 0 && !path.unit[next]) next--;
    if (good && store_id_kind(child) != UNIT_KEY) good = path.unit[next] == unit;
    if (!good) {
        check_say(c, "index of units: expected what is below %s, found %s",
                  check_id(unit, above), check_id(child, below));
    }
    return STORE_OK;
}

static enum store_rc hash_visit(struct check *c, MDB_val key, MDB_val data, void *arg)
{
    struct key_row row;
    char id[CHECK_WHERE_MAX];
    (void)arg;
    store_id found = data.mv_size == 8 ? db_from_be64(data.mv_data) : 0;
    bool good = key.mv_size == STORE_KEY_HASH && store_id_is_valid(found) &&
                store_id_kind(found) == UNIT_KEY &&
                rows_get_key(c->db, c->txn, found, &row) == STORE_OK;
    if (good) {
        bool is_old = row.old_until_unix_ns &&
                      memcmp(row.old_hash, key.mv_data, STORE_KEY_HASH) == 0;
        good = is_old || memcmp(row.hash, key.mv_data, STORE_KEY_HASH) == 0;
    }
    if (!good) {
        check_say(c, "index of keys: expected a key with each hash, found one that leads to "
                  "%s, which has it not", check_id(found, id));
    }
    return STORE_OK;
}

static enum store_rc limit_visit(struct check *c, MDB_val key, MDB_val data, void *arg)
{
    struct limits limits;
    char id[CHECK_WHERE_MAX];
    (void)arg;
    store_id target = key.mv_size == 8 ? db_from_be64(key.mv_data) : 0;
    enum store_rc rc = rows_exists(c->db, c->txn, target);
    if (rc != STORE_OK || !limits_parse(data, &limits)) {
        check_say(c, "budget of %s: expected %s, found %s", check_id(target, id),
                  rc == STORE_OK ? "amounts" : "a unit or key",
                  rc == STORE_OK ? "damage" : "none");
    }
    return STORE_OK;
}

static enum store_rc count_check(struct check *c, enum db_table table, const char *what,
                                 uint64_t want)
{
    MDB_stat stat;
    int code = mdb_stat(c->txn, c->db->dbi[table], &stat);
    if (code != 0) return db_rc(c->db, code, "look at an index");
    if (stat.ms_entries != want) {
        check_say(c, "%s: expected %" PRIu64 " entries, found %zu", what, want,
                  stat.ms_entries);
    }
    return STORE_OK;
}

static enum store_rc serials_check(struct check *c, const struct tree *t)
{
    enum store_rc rc = STORE_OK;
    for (int k = 0; rc == STORE_OK && k < UNIT_KINDS; k++) {
        uint64_t next;
        rc = db_serial(c->db, c->txn, (enum unit_kind)k, &next);
        if (rc == STORE_OK && next < t->serial[k]) {
            check_say(c, "serials of kind %s: expected at least %" PRIu64 ", found %" PRIu64,
                      unit_kind_name((enum unit_kind)k), t->serial[k], next);
        }
    }
    return rc;
}

static enum store_rc rotation_visit(struct check *c, MDB_val key, MDB_val data, void *arg)
{
    char name[ROTATION_NAME_MAX];
    enum rotation_of of;
    enum rotation state;
    (void)arg;
    if (!rotation_parse(key, data, &of, name, &state)) {
        check_say(c, "states of providers and models: expected one, found damage");
    }
    return STORE_OK;
}

static enum store_rc tenant_visit(struct check *c, MDB_val key, MDB_val data, void *arg)
{
    store_id org = 0;
    MDB_val bytes;
    struct unit_row row;
    (void)arg;
    bool good = tenants_parse(key, data, &org, &bytes);
    enum store_rc rc = good ? rows_get_unit(c->db, c->txn, org, &row) : STORE_FAIL;
    if (rc != STORE_OK) tell(c, org, "the organization of what was learned", rc);
    return STORE_OK;
}

enum store_rc check_units(struct check *c)
{
    struct tree t = {.links = 0};
    enum store_rc rc = check_table(c, DB_UNITS, unit_visit, &t);
    if (rc == STORE_OK) rc = check_table(c, DB_KEYS, key_visit, &t);
    if (rc == STORE_OK) rc = check_table(c, DB_CHILDREN, child_visit, NULL);
    if (rc == STORE_OK) rc = check_table(c, DB_HASHES, hash_visit, NULL);
    if (rc == STORE_OK) rc = check_table(c, DB_LIMITS, limit_visit, NULL);
    if (rc == STORE_OK) rc = check_table(c, DB_ROTATION, rotation_visit, NULL);
    if (rc == STORE_OK) rc = check_table(c, DB_TENANTS, tenant_visit, NULL);
    if (rc == STORE_OK) rc = count_check(c, DB_CHILDREN, "index of units", t.links);
    if (rc == STORE_OK) rc = count_check(c, DB_HASHES, "index of keys", t.hashes);
    return rc == STORE_OK ? serials_check(c, &t) : rc;
}
