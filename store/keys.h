/* keys.h - client keys. Only the SHA-256 of a key is stored. A core looks a key up in place
 * within one turn and copies what it needs; an unknown key meets the filter first.
 * Results of writers: after STORE_NOT_FOUND, STORE_CONFLICT and STORE_REFUSED the transaction
 * is as it was before; after STORE_FULL and STORE_FAIL abort it (db->why). */
#ifndef STORE_KEYS_H
#define STORE_KEYS_H

#include "store/db.h"
#include "store/policy.h"

enum { KEYS_HINT_MAX = 12 };              /* bytes of a hint, with the end */

struct key {
    store_id id, member;
    uint64_t created_unix_ns;
    uint64_t expires_unix_ns;             /* 0: never */
    uint64_t old_until_unix_ns;           /* until then the hash before rotation works too */
    uint8_t hash[STORE_KEY_HASH];
    uint8_t old_hash[STORE_KEY_HASH];     /* of the key before rotation; zero: none */
    char name[STORE_NAME_MAX];
    char hint[KEYS_HINT_MAX];             /* last 4 characters of the secret, for people */
    struct policy policy;
};

/* What a core keeps of a key for one policy generation. */
struct key_view {
    struct unit_path path;                /* organisation .. key */
    uint64_t expires_unix_ns;             /* 0: never; of the hash that was asked for */
    uint16_t policy_len[UNIT_KINDS];      /* blobs of each level, one after another */
    char policy[UNIT_KINDS * STORE_POLICY_MAX];
};

/* Make a key of a member: its secret's hash and hint were made by the caller. key copies; its
 * id and old hash are ignored. Gives *id. STORE_REFUSED: not a member, a text without end, a
 * policy that policy_is_sound() refuses; STORE_NOT_FOUND: no such member; STORE_CONFLICT: the
 * hash exists. */
MUST_USE enum store_rc keys_make(struct db *db, MDB_txn *txn, const struct key *key,
                                 store_id *id);
/* Read a key by id. Copies. STORE_NOT_FOUND. */
MUST_USE enum store_rc keys_get(struct db *db, MDB_txn *txn, store_id id, struct key *key);
/* Write name, expiry or policy of an existing key (hashes, hint, time of making stay).
 * STORE_NOT_FOUND; STORE_REFUSED: another member, a text without end, a policy that
 * policy_is_sound() refuses. */
MUST_USE enum store_rc keys_put(struct db *db, MDB_txn *txn, const struct key *key);
/* Replace the secret: the old hash ends at old_until_unix_ns (0: at once), one of an earlier
 * rotation ends now. hash, hint copy. STORE_NOT_FOUND; STORE_CONFLICT: the hash exists;
 * STORE_REFUSED: hint too long. */
MUST_USE enum store_rc keys_rotate(struct db *db, MDB_txn *txn, store_id id,
                                   const uint8_t hash[STORE_KEY_HASH], const char *hint,
                                   uint64_t old_until_unix_ns);
/* Delete a key. STORE_NOT_FOUND. */
MUST_USE enum store_rc keys_delete(struct db *db, MDB_txn *txn, store_id id);
/* Visit keys below unit (any kind, a key is below itself; 0: all) in id order after `after`
 * (0: from the start). visit answers false to stop; it may change the tables. STORE_OK also
 * where there is none; STORE_NOT_FOUND: no such unit or key. */
MUST_USE enum store_rc keys_list(struct db *db, MDB_txn *txn, store_id unit, store_id after,
                                 bool (*visit)(const struct key *key, void *arg), void *arg);
/* Look a presented key's hash up: path and policies copied into *view. Does not allocate.
 * txn is a core's renewed reader. STORE_NOT_FOUND for unknown, expired or rotated-out (a key
 * works while now < expiry); STORE_FAIL. Then *view is undefined. */
MUST_USE enum store_rc keys_find(struct db *db, MDB_txn *txn,
                                 const uint8_t hash[STORE_KEY_HASH], uint64_t now_unix_ns,
                                 struct key_view *view);
/* False when the hash is surely unknown (a Bloom filter over DB_HASHES: bits are only ever
 * added). Any thread. */
bool keys_maybe(const struct db *db, const uint8_t hash[STORE_KEY_HASH]);
/* SHA-256 of a secret's text. secret borrows. */
void keys_hash(const char *secret, size_t len, uint8_t out[STORE_KEY_HASH]);
/* True when model ("provider/model", len bytes) passes every level's allow and deny lists of
 * the view: at each level with an allow list one glob of it matches, no level denies.
 * *level: on false, the narrowest level that refuses. */
bool keys_allow(const struct key_view *view, const char *model, size_t len,
                enum unit_kind *level);
/* What all levels of a view say of routing. Regions apart: keys_region. False: a policy cannot
 * be read; then nothing is allowed. */
MUST_USE bool keys_routing(const struct key_view *view, struct policy_routing *out);
/* True when every level's list of regions, where it has one, holds this one (len bytes, not
 * NULL; none: 0). *level: on false, the narrowest level whose list does not. */
bool keys_region(const struct key_view *view, const char *region, size_t len,
                 enum unit_kind *level);

#endif
