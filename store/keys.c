/* keys.c - client keys: made and rotated by the store thread, found by the cores.
 *   DB_HASHES  hash -> key id     the hash in use, and for a time the one before it
 *   DB_KEYS    key id -> key
 *   made -> HASH -> rotated -> HASH and OLD HASH -> rotated -> ...   deleted: neither
 * An old hash past its time stays in the index until the next rotation or the deletion, and
 * keys_find() refuses it by the clock: nobody has to wake up for it.
 * Rule: no secret is ever seen here but by keys_hash(); what the cores call neither allocates
 * nor keeps a pointer into the map. */
#include "store/keys.h"

#include "store/org.h"
#include "store/rows.h"

#include <openssl/sha.h>
#include <string.h>

static_assert(STORE_KEY_HASH == SHA256_DIGEST_LENGTH, "hashes are SHA-256");

static void key_copy(struct key *key, store_id id, const struct key_row *row)
{
    assert(row->name.len < sizeof(key->name));
    assert(row->policy.len <= sizeof(key->policy.blob));
    memset(key, 0, sizeof(*key));
    key->id = id;
    key->member = row->member;
    key->created_unix_ns = row->created_unix_ns;
    key->expires_unix_ns = row->expires_unix_ns;
    key->old_until_unix_ns = row->old_until_unix_ns;
    memcpy(key->hash, row->hash, sizeof(key->hash));
    memcpy(key->old_hash, row->old_hash, sizeof(key->old_hash));
    memcpy(key->name, row->name.ptr, row->name.len);
    size_t hint_len = row->hint.len;
    if (hint_len >= sizeof(key->hint)) hint_len = sizeof(key->hint) - 1;
    memcpy(key->hint, row->hint.ptr, hint_len);
    key->policy.len = (uint16_t)row->policy.len;
    memcpy(key->policy.blob, row->policy.ptr, row->policy.len);
}

/* Take a text of at most max bytes with its end. False where there is no end. */
static bool text_take(const char *text, size_t max, struct row_text *out)
{
    *out = (struct row_text){text, strnlen(text, max)};
    return out->len < max;
}

/* Take over what keys_make() and keys_put() may both set. */
static bool row_take(struct key_row *row, const struct key *key)
{
    if (!text_take(key->name, sizeof(key->name), &row->name)) return false;
    if (!policy_is_sound(&key->policy)) return false;
    row->expires_unix_ns = key->expires_unix_ns;
    row->policy = (struct row_text){key->policy.blob, key->policy.len};
    return true;
}

/* STORE_OK when no key has this hash, STORE_CONFLICT when one has. */
static enum store_rc hash_is_free(struct db *db, MDB_txn *txn, const uint8_t *hash)
{
    store_id owner;
    enum store_rc rc = rows_get_hash(db, txn, hash, &owner);
    if (rc == STORE_NOT_FOUND) return STORE_OK;
    return rc == STORE_OK ? STORE_CONFLICT : rc;
}

/* Enter a hash. The filter learns it before the commit: told too early it costs a look-up,
 * told too late a valid key would be refused. */
static enum store_rc hash_enter(struct db *db, MDB_txn *txn, const uint8_t *hash, store_id id)
{
    db_filter_add(db, hash);
    return rows_put_hash(db, txn, hash, id);
}

enum store_rc keys_make(struct db *db, MDB_txn *txn, const struct key *key, store_id *id)
{
    struct key_row row = {.member = key->member, .created_unix_ns = key->created_unix_ns};
    struct unit_row above[UNIT_KEY];
    struct unit_path path;
    if (!store_id_is_valid(key->member)) return STORE_REFUSED;
    if (store_id_kind(key->member) != UNIT_MEMBER) return STORE_REFUSED;
    if (!row_take(&row, key)) return STORE_REFUSED;
    if (!text_take(key->hint, sizeof(key->hint), &row.hint)) return STORE_REFUSED;
    memcpy(row.hash, key->hash, sizeof(row.hash));
    enum store_rc rc = rows_climb(db, txn, key->member, &path, above);
    if (rc == STORE_OK) rc = hash_is_free(db, txn, key->hash);
    if (rc != STORE_OK) return rc;
    store_id made;
    rc = db_next_id(db, txn, UNIT_KEY, &made);
    if (rc == STORE_OK) rc = rows_put_key(db, txn, made, &row);
    if (rc == STORE_OK) rc = hash_enter(db, txn, key->hash, made);
    for (unsigned level = 0; rc == STORE_OK && level < UNIT_KEY; level++) {
        if (path.unit[level]) rc = rows_link(db, txn, path.unit[level], made);
    }
    if (rc == STORE_OK) *id = made;
    return rc;
}

enum store_rc keys_get(struct db *db, MDB_txn *txn, store_id id, struct key *key)
{
    struct key_row row;
    enum store_rc rc = rows_get_key(db, txn, id, &row);
    if (rc == STORE_OK) key_copy(key, id, &row);
    return rc;
}

enum store_rc keys_put(struct db *db, MDB_txn *txn, const struct key *key)
{
    struct key_row row;
    enum store_rc rc = rows_get_key(db, txn, key->id, &row);
    if (rc != STORE_OK) return rc;
    if (key->member != row.member || !row_take(&row, key)) return STORE_REFUSED;
    return rows_put_key(db, txn, key->id, &row);
}

enum store_rc keys_rotate(struct db *db, MDB_txn *txn, store_id id,
                          const uint8_t hash[STORE_KEY_HASH], const char *hint,
                          uint64_t old_until_unix_ns)
{
    assert(hint);
    struct key_row row;
    enum store_rc rc = rows_get_key(db, txn, id, &row);
    if (rc != STORE_OK) return rc;
    if (!text_take(hint, KEYS_HINT_MAX, &row.hint)) return STORE_REFUSED;
    rc = hash_is_free(db, txn, hash);
    if (rc != STORE_OK) return rc;
    struct key_row before = row;
    memcpy(row.hash, hash, sizeof(row.hash));
    memset(row.old_hash, 0, sizeof(row.old_hash));
    if (old_until_unix_ns) memcpy(row.old_hash, before.hash, sizeof(row.old_hash));
    row.old_until_unix_ns = old_until_unix_ns;
    /* The row goes first: its name and policy borrow from the transaction until it writes. */
    rc = rows_put_key(db, txn, id, &row);
    if (rc == STORE_OK && before.old_until_unix_ns) {
        rc = rows_drop_hash(db, txn, before.old_hash);
    }
    if (rc == STORE_OK && !old_until_unix_ns) rc = rows_drop_hash(db, txn, before.hash);
    if (rc == STORE_OK) rc = hash_enter(db, txn, hash, id);
    return rc;
}

enum store_rc keys_delete(struct db *db, MDB_txn *txn, store_id id)
{
    return org_drop_key(db, txn, id);
}

/* Visit one key that an index names. *more: the visitor's answer. */
static enum store_rc key_visit(struct db *db, MDB_txn *txn, store_id id,
                               bool (*visit)(const struct key *key, void *arg), void *arg,
                               bool *more)
{
    struct key key;
    enum store_rc rc = keys_get(db, txn, id, &key);
    if (rc == STORE_OK) *more = visit(&key, arg);
    return rc;
}

enum store_rc keys_list(struct db *db, MDB_txn *txn, store_id unit, store_id after,
                        bool (*visit)(const struct key *key, void *arg), void *arg)
{
    bool more = true;
    if (store_id_is_valid(unit) && store_id_kind(unit) == UNIT_KEY) {
        struct key_row row;
        if (unit <= after) return rows_get_key(db, txn, unit, &row);
        return key_visit(db, txn, unit, visit, arg, &more);
    }
    if (unit) {
        struct unit_row row;
        enum store_rc rc = rows_get_unit(db, txn, unit, &row);
        if (rc != STORE_OK) return rc;
    }
    if (after < rows_floor(UNIT_KEY)) after = rows_floor(UNIT_KEY);
    while (more) {
        store_id id;
        enum store_rc rc = rows_next(db, txn, unit ? DB_CHILDREN : DB_KEYS, unit, after, &id);
        if (rc == STORE_NOT_FOUND) return STORE_OK;
        if (rc == STORE_OK) rc = key_visit(db, txn, id, visit, arg, &more);
        if (rc == STORE_NOT_FOUND) return db_damaged(db, "an index of keys");
        if (rc != STORE_OK) return rc;
        after = id;
    }
    return STORE_OK;
}

/* When the hash that was asked for stops to work (0: never). False when the key has neither
 * as its hash nor as its old one. */
static bool hash_expiry(const struct key_row *row, const uint8_t *hash, uint64_t *expires)
{
    *expires = row->expires_unix_ns;
    if (memcmp(hash, row->hash, STORE_KEY_HASH) == 0) return true;
    if (row->old_until_unix_ns == 0) return false;
    if (memcmp(hash, row->old_hash, STORE_KEY_HASH) != 0) return false;
    if (*expires == 0 || row->old_until_unix_ns < *expires) *expires = row->old_until_unix_ns;
    return true;
}

enum store_rc keys_find(struct db *db, MDB_txn *txn, const uint8_t hash[STORE_KEY_HASH],
                        uint64_t now_unix_ns, struct key_view *view)
{
    store_id id;
    struct key_row key;
    struct unit_row units[UNIT_KEY];
    enum store_rc rc = rows_get_hash(db, txn, hash, &id);
    if (rc != STORE_OK) return rc;
    rc = rows_get_key(db, txn, id, &key);
    if (rc == STORE_NOT_FOUND) return db_damaged(db, "an index of keys");
    if (rc != STORE_OK) return rc;
    if (!hash_expiry(&key, hash, &view->expires_unix_ns)) {
        return db_damaged(db, "an index of keys");
    }
    bool is_over = view->expires_unix_ns && now_unix_ns >= view->expires_unix_ns;
    if (is_over) return STORE_NOT_FOUND;
    rc = rows_climb(db, txn, key.member, &view->path, units);
    if (rc == STORE_NOT_FOUND) return db_damaged(db, "a key's member");
    if (rc != STORE_OK) return rc;
    view->path.unit[UNIT_KEY] = id;
    size_t used = 0;
    for (unsigned level = 0; level < UNIT_KINDS; level++) {
        struct row_text policy = level == UNIT_KEY ? key.policy : units[level].policy;
        assert(policy.len <= STORE_POLICY_MAX);
        if (policy.len) memcpy(view->policy + used, policy.ptr, policy.len);
        view->policy_len[level] = (uint16_t)policy.len;
        used += policy.len;
    }
    assert(used <= sizeof(view->policy));
    return STORE_OK;
}

bool keys_maybe(const struct db *db, const uint8_t hash[STORE_KEY_HASH])
{
    return db_filter_has(db, hash);
}

void keys_hash(const char *secret, size_t len, uint8_t out[STORE_KEY_HASH])
{
    assert(secret || len == 0);
    SHA256((const uint8_t *)secret, len, out);
}

/* Does all of text match the glob? On a mismatch the last star takes one byte more; earlier
 * ones never need to, so this takes at most glob x text steps. */
static bool glob_match(struct row_text glob, struct row_text text)
{
    size_t g = 0, t = 0, star = glob.len, star_end = 0;
    while (t < text.len) {
        if (g < glob.len && glob.ptr[g] == '*') {
            star = g++;
            star_end = t;
        } else if (g < glob.len && (glob.ptr[g] == '?' || glob.ptr[g] == text.ptr[t])) {
            g++;
            t++;
        } else if (star < glob.len) {
            g = star + 1;
            t = ++star_end;
        } else {
            return false;
        }
    }
    while (g < glob.len && glob.ptr[g] == '*') g++;
    return g == glob.len;
}

/* Does the glob match "provider/model", or, having no slash itself, "model"? */
static bool model_match(struct row_text glob, struct row_text model)
{
    if (glob_match(glob, model)) return true;
    if (glob.len && memchr(glob.ptr, '/', glob.len)) return false;
    const char *slash = model.len ? memchr(model.ptr, '/', model.len) : NULL;
    if (!slash) return false;
    size_t provider_len = (size_t)(slash + 1 - model.ptr);
    return glob_match(glob, (struct row_text){slash + 1, model.len - provider_len});
}

/* What one level says to a model. A blob that we would not have stored refuses all: a limit
 * that cannot be read is not no limit. */
static bool level_allows(const char *blob, size_t len, struct row_text model)
{
    bool is_listed = false, is_allowed = false;
    const char *at = blob, *end = blob + len;
    while (at < end) {
        const char *stop = memchr(at, '\0', (size_t)(end - at));
        if (!stop || stop == at) return false;
        struct row_text glob = {at + 1, (size_t)(stop - at) - 1};
        switch (*at) {
        case 'd':
            if (model_match(glob, model)) return false;
            break;
        case 'a':
            is_listed = true;
            if (model_match(glob, model)) is_allowed = true;
            break;
        case 'A':
            is_listed = true;
            break;
        case 'r': case 't': case 'c':             /* budget.h has those */
        case 'm': case 'g': case 'G': case 'z': case 'q':   /* policy.h */
            break;
        default:
            return false;
        }
        at = stop + 1;
    }
    return is_allowed || !is_listed;
}

bool keys_allow(const struct key_view *view, const char *model, size_t len,
                enum unit_kind *level)
{
    assert(level);
    const char *at = view->policy;
    for (unsigned kind = 0; kind < UNIT_KINDS; kind++) at += view->policy_len[kind];
    assert(at <= view->policy + sizeof(view->policy));
    for (unsigned kind = UNIT_KINDS; kind-- > 0;) {
        at -= view->policy_len[kind];
        if (!level_allows(at, view->policy_len[kind], (struct row_text){model, len})) {
            *level = (enum unit_kind)kind;
            return false;
        }
    }
    return true;
}

bool keys_routing(const struct key_view *view, struct policy_routing *out)
{
    const char *at = view->policy;
    *out = (struct policy_routing){0};
    for (unsigned kind = 0; kind < UNIT_KINDS; kind++) {   /* narrower ones later */
        struct policy_level level;
        if (!policy_read(at, view->policy_len[kind], &level)) return false;
        at += view->policy_len[kind];
        if (level.mode) {
            size_t len = strlen(level.mode);
            assert(len < sizeof(out->mode));
            memset(out->mode, 0, sizeof(out->mode));
            memcpy(out->mode, level.mode, len);
            out->mode_level = (uint8_t)kind;
        }
        if (level.has_floor && level.floor >= out->floor) {
            out->floor = level.floor;
            out->floor_level = (uint8_t)kind;
        }
        out->has_floor |= level.has_floor;
        if (level.has_regions) out->regions_level = (uint8_t)kind;
        if (level.zero_retention_only) out->zero_level = (uint8_t)kind;
        out->has_regions |= level.has_regions;
        out->zero_retention_only |= level.zero_retention_only;
    }
    assert(at <= view->policy + sizeof(view->policy));
    return true;
}

bool keys_region(const struct key_view *view, const char *region, size_t len,
                 enum unit_kind *level)
{
    assert(level);
    const char *at = view->policy;
    bool allowed = true;
    for (unsigned kind = 0; kind < UNIT_KINDS; kind++) {
        if (!policy_region(at, view->policy_len[kind], region, len)) {
            *level = (enum unit_kind)kind;
            allowed = false;
        }
        at += view->policy_len[kind];
    }
    return allowed;
}
