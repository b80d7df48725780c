/* test_keys.c - client keys: what is stored, found, refused by the clock, rotated, listed,
 * deleted; what policies allow; and that a core's look-up allocates nothing and sees whole
 * states while the store thread writes. */
#include "store/keys.h"
#include "store/org.h"
#include "tests/unit/data_dir.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

/* Allocations of this process, LMDB's included: these stand before the C library's. Not under
 * sanitizers, which bring their own. */
#ifndef SANITIZED
static atomic_uint allocations;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *old);

void *malloc(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(old, size);
}

void free(void *old)
{
    __libc_free(old);
}
#endif

static const uint64_t now = UINT64_C(1700000000000000000);

/* The hash of a secret with a number. */
static const uint8_t *hash_of(unsigned number, uint8_t hash[STORE_KEY_HASH])
{
    char secret[32];
    int len = snprintf(secret, sizeof(secret), "sk-weir-%u", number);
    keys_hash(secret, (size_t)len, hash);
    return hash;
}

static store_id unit_make(struct data_dir *d, MDB_txn *txn, enum unit_kind kind,
                          store_id parent)
{
    store_id id = 0;
    assert_int_equal(org_make(d->db, txn, kind, parent, "a unit", "", 1000, &id), STORE_OK);
    return id;
}

/* An organisation with one member. */
static store_id member_make(struct data_dir *d, MDB_txn *txn)
{
    return unit_make(d, txn, UNIT_MEMBER, unit_make(d, txn, UNIT_ORGANIZATION, 0));
}

static struct key key_of(store_id member, unsigned number)
{
    struct key key = {.member = member, .created_unix_ns = now, .name = "laptop",
                      .hint = "x7Qz"};
    hash_of(number, key.hash);
    return key;
}

static store_id key_make(struct data_dir *d, MDB_txn *txn, store_id member, unsigned number)
{
    struct key key = key_of(member, number);
    store_id id = 0;
    assert_int_equal(keys_make(d->db, txn, &key, &id), STORE_OK);
    assert_int_equal(store_id_kind(id), UNIT_KEY);
    return id;
}

static struct key_view view;   /* large; the one that find() filled last */

static enum store_rc find(struct data_dir *d, MDB_txn *txn, unsigned number, uint64_t at)
{
    uint8_t hash[STORE_KEY_HASH];
    memset(&view, 0x55, sizeof(view));
    return keys_find(d->db, txn, hash_of(number, hash), at, &view);
}

static void policy_set(struct policy *policy, const char *blob, size_t len)
{
    assert_true(len <= sizeof(policy->blob));
    policy->len = (uint16_t)len;
    memcpy(policy->blob, blob, len);
}

/* --- making */

static void test_hash_is_sha256(void **state)
{
    (void)state;
    static const uint8_t abc[STORE_KEY_HASH] = {  /* FIPS 180-2 appendix B.1 */
        0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae,
        0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61,
        0xf2, 0x00, 0x15, 0xad};
    uint8_t hash[STORE_KEY_HASH];
    keys_hash("abc", 3, hash);
    assert_memory_equal(hash, abc, sizeof(abc));
    keys_hash("abcd", 3, hash);
    assert_memory_equal(hash, abc, sizeof(abc));
}

static void test_make_get_put_after_reopening(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    store_id mem = member_make(d, txn), id;
    struct key key = key_of(mem, 1), back;
    key.id = 12345;                     /* ignored, as is an old hash */
    key.old_until_unix_ns = 9;
    memset(key.old_hash, 3, sizeof(key.old_hash));
    key.expires_unix_ns = now + 5;
    policy_set(&key.policy, "a*\0", 3);
    assert_int_equal(keys_make(db, txn, &key, &id), STORE_OK);
    data_dir_commit(d, txn);
    assert_int_equal(atomic_load(&db->generation), 2);

    db = data_dir_open(d);
    txn = data_dir_begin(d, true);
    memset(&back, 0x55, sizeof(back));
    assert_int_equal(keys_get(db, txn, id, &back), STORE_OK);
    key.id = id;
    key.old_until_unix_ns = 0;
    memset(key.old_hash, 0, sizeof(key.old_hash));
    assert_true(back.id == id && back.member == mem);
    assert_true(back.created_unix_ns == now && back.expires_unix_ns == now + 5);
    assert_true(back.old_until_unix_ns == 0);
    assert_memory_equal(back.hash, key.hash, sizeof(key.hash));
    assert_memory_equal(back.old_hash, key.old_hash, sizeof(key.old_hash));
    assert_string_equal(back.name, "laptop");
    assert_string_equal(back.hint, "x7Qz");
    assert_int_equal(back.policy.len, 3);
    assert_memory_equal(back.policy.blob, key.policy.blob, sizeof(key.policy.blob));

    struct key change = back;           /* name, expiry, policy change; the rest stays */
    snprintf(change.name, sizeof(change.name), "desktop");
    change.expires_unix_ns = 0;
    policy_set(&change.policy, "dx\0A\0", 5);
    memset(change.hash, 1, sizeof(change.hash));
    memset(change.hint, 'h', sizeof(change.hint));
    change.created_unix_ns = 1;
    change.old_until_unix_ns = 1;
    assert_int_equal(keys_put(db, txn, &change), STORE_OK);
    data_dir_commit(d, txn);
    assert_int_equal(atomic_load(&db->generation), 2);
    txn = data_dir_begin(d, false);
    assert_int_equal(keys_get(db, txn, id, &back), STORE_OK);
    assert_string_equal(back.name, "desktop");
    assert_string_equal(back.hint, "x7Qz");
    assert_true(back.created_unix_ns == now && back.expires_unix_ns == 0);
    assert_true(back.old_until_unix_ns == 0);
    assert_memory_equal(back.hash, key.hash, sizeof(key.hash));
    assert_int_equal(back.policy.len, 5);
    db_abort(txn);
}

static void test_make_refuses(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    store_id org = unit_make(d, txn, UNIT_ORGANIZATION, 0);
    store_id mem = unit_make(d, txn, UNIT_MEMBER, org), first = key_make(d, txn, mem, 1);
    data_dir_commit(d, txn);
    txn = data_dir_begin(d, true);
    const struct { store_id member; enum store_rc rc; } cases[] = {
        {0, STORE_REFUSED}, {1, STORE_REFUSED}, {UINT64_MAX, STORE_REFUSED},
        {org, STORE_REFUSED}, {first, STORE_REFUSED},
        {store_id_make(UNIT_DEPARTMENT, 1), STORE_REFUSED},
        {store_id_make(UNIT_MEMBER, 99), STORE_NOT_FOUND},
    };
    store_id id = 5;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct key key = key_of(cases[i].member, 2);
        assert_int_equal(keys_make(db, txn, &key, &id), cases[i].rc);
    }
    struct key key = key_of(mem, 1);
    assert_int_equal(keys_make(db, txn, &key, &id), STORE_CONFLICT);
    key = key_of(mem, 2);
    memset(key.hint, 'h', sizeof(key.hint));
    assert_int_equal(keys_make(db, txn, &key, &id), STORE_REFUSED);
    key = key_of(mem, 2);
    memset(key.name, 'n', sizeof(key.name));
    assert_int_equal(keys_make(db, txn, &key, &id), STORE_REFUSED);
    key = key_of(mem, 2);
    policy_set(&key.policy, "a", 1);
    assert_int_equal(keys_make(db, txn, &key, &id), STORE_REFUSED);
    assert_int_equal(id, 5);
    assert_int_equal(data_dir_rows(d, txn, DB_KEYS), 1);
    assert_int_equal(data_dir_rows(d, txn, DB_HASHES), 1);
    assert_false(db->dirty);

    assert_int_equal(keys_get(db, txn, first, &key), STORE_OK);
    policy_set(&key.policy, "a", 1);
    assert_int_equal(keys_put(db, txn, &key), STORE_REFUSED);
    key.policy.len = 0;
    key.member = store_id_make(UNIT_MEMBER, 99);
    assert_int_equal(keys_put(db, txn, &key), STORE_REFUSED);
    key.member = mem;
    memset(key.name, 'n', sizeof(key.name));
    assert_int_equal(keys_put(db, txn, &key), STORE_REFUSED);
    key.name[STORE_NAME_MAX - 1] = '\0';
    assert_int_equal(keys_put(db, txn, &key), STORE_OK);
    static const store_id wrong[] = {0, 1, UINT64_MAX};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        key.id = wrong[i];
        assert_int_equal(keys_put(db, txn, &key), STORE_NOT_FOUND);
        assert_int_equal(keys_get(db, txn, wrong[i], &key), STORE_NOT_FOUND);
        assert_int_equal(keys_delete(db, txn, wrong[i]), STORE_NOT_FOUND);
        assert_int_equal(keys_rotate(db, txn, wrong[i], key.hash, "", 0), STORE_NOT_FOUND);
    }
    assert_int_equal(keys_get(db, txn, mem, &key), STORE_NOT_FOUND);
    assert_int_equal(keys_delete(db, txn, org), STORE_NOT_FOUND);
    db_abort(txn);
}

/* --- finding */

static void test_find_gives_path_and_policies(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    store_id org = unit_make(d, txn, UNIT_ORGANIZATION, 0);
    store_id team = unit_make(d, txn, UNIT_TEAM, org);     /* no department */
    store_id mem = unit_make(d, txn, UNIT_MEMBER, team);
    struct unit u;
    assert_int_equal(org_get(db, txn, org, &u), STORE_OK);
    policy_set(&u.policy, "dbad*\0", 6);
    assert_int_equal(org_put(db, txn, &u), STORE_OK);
    assert_int_equal(org_get(db, txn, mem, &u), STORE_OK);
    u.policy.len = STORE_POLICY_MAX;
    memset(u.policy.blob, 'a', sizeof(u.policy.blob));
    u.policy.blob[STORE_POLICY_MAX - 1] = '\0';
    assert_int_equal(org_put(db, txn, &u), STORE_OK);
    struct key key = key_of(mem, 1);
    policy_set(&key.policy, "agpt*\0", 6);
    store_id id, bare = key_make(d, txn, mem, 2);
    assert_int_equal(keys_make(db, txn, &key, &id), STORE_OK);
    data_dir_commit(d, txn);

    MDB_txn *reader;
    assert_int_equal(db_reader(db, &reader), STORE_OK);
    assert_int_equal(mdb_txn_renew(reader), 0);
    assert_int_equal(find(d, reader, 1, now), STORE_OK);
    const store_id path[UNIT_KINDS] = {org, 0, team, mem, id};
    assert_memory_equal(view.path.unit, path, sizeof(path));
    assert_true(view.expires_unix_ns == 0);
    const uint16_t lens[UNIT_KINDS] = {6, 0, 0, STORE_POLICY_MAX, 6};
    assert_memory_equal(view.policy_len, lens, sizeof(lens));
    assert_memory_equal(view.policy, "dbad*", 6);
    assert_memory_equal(view.policy + 6, u.policy.blob, STORE_POLICY_MAX);
    assert_memory_equal(view.policy + 6 + STORE_POLICY_MAX, "agpt*", 6);
    assert_int_equal(find(d, reader, 2, now), STORE_OK);
    assert_true(view.path.unit[UNIT_KEY] == bare);
    assert_int_equal(view.policy_len[UNIT_KEY], 0);
    assert_int_equal(find(d, reader, 3, now), STORE_NOT_FOUND);
    mdb_txn_reset(reader);
    db_abort(reader);
}

/* Every level's blob at its largest fits the view. */
static void test_find_with_the_largest_policies(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    struct policy full = {.len = STORE_POLICY_MAX};
    store_id parent = 0;
    for (unsigned kind = 0; kind < UNIT_KEY; kind++) {
        parent = unit_make(d, txn, (enum unit_kind)kind, parent);
        struct unit u;
        assert_int_equal(org_get(db, txn, parent, &u), STORE_OK);
        memset(full.blob, 'a', sizeof(full.blob));
        full.blob[1] = (char)('0' + kind);
        full.blob[STORE_POLICY_MAX - 1] = '\0';
        u.policy = full;
        assert_int_equal(org_put(db, txn, &u), STORE_OK);
    }
    struct key key = key_of(parent, 1);
    key.policy = full;
    key.policy.blob[1] = '0' + UNIT_KEY;
    store_id id;
    assert_int_equal(keys_make(db, txn, &key, &id), STORE_OK);
    assert_int_equal(find(d, txn, 1, now), STORE_OK);
    for (unsigned kind = 0; kind < UNIT_KINDS; kind++) {
        assert_int_equal(view.policy_len[kind], STORE_POLICY_MAX);
        assert_int_equal(view.policy[kind * STORE_POLICY_MAX + 1], '0' + (int)kind);
    }
    db_abort(txn);
}

static void test_expiry_by_the_clock(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    struct key key = key_of(member_make(d, txn), 1);
    key.expires_unix_ns = now;
    store_id id;
    assert_int_equal(keys_make(db, txn, &key, &id), STORE_OK);
    assert_int_equal(find(d, txn, 1, now - 1), STORE_OK);
    assert_true(view.expires_unix_ns == now);
    assert_int_equal(find(d, txn, 1, now), STORE_NOT_FOUND);
    assert_int_equal(find(d, txn, 1, UINT64_MAX), STORE_NOT_FOUND);
    db_abort(txn);
}

static void test_find_does_not_allocate(void **state)
{
#ifdef SANITIZED
    (void)state;
    skip();
#else
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    store_id mem = member_make(d, txn);
    for (unsigned i = 0; i < 2000; i++) key_make(d, txn, mem, i);
    data_dir_commit(d, txn);
    MDB_txn *reader;
    assert_int_equal(db_reader(db, &reader), STORE_OK);
    unsigned before = atomic_load(&allocations), found = 0;
    for (unsigned i = 0; i < 4000; i++) {
        if (mdb_txn_renew(reader) != 0) break;
        enum unit_kind level;
        bool is_found = find(d, reader, i, now) == STORE_OK;
        if (is_found && keys_allow(&view, "a/b", 3, &level)) found++;
        mdb_txn_reset(reader);
    }
    unsigned after = atomic_load(&allocations);
    assert_int_equal(found, 2000);
    assert_int_equal(after, before);
    assert_true(before > 0);  /* the count counts */
    db_abort(reader);
#endif
}

/* --- rotation */

static void test_rotation_with_grace(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    store_id id = key_make(d, txn, member_make(d, txn), 1);
    data_dir_commit(d, txn);
    uint8_t hash[STORE_KEY_HASH];
    txn = data_dir_begin(d, true);
    assert_int_equal(keys_rotate(db, txn, id, hash_of(2, hash), "new1", now + 10), STORE_OK);
    data_dir_commit(d, txn);
    assert_int_equal(atomic_load(&db->generation), 3);

    db = data_dir_open(d);
    txn = data_dir_begin(d, true);
    assert_int_equal(find(d, txn, 1, now + 9), STORE_OK);  /* both find the same key */
    assert_true(view.path.unit[UNIT_KEY] == id);
    assert_true(view.expires_unix_ns == now + 10);
    assert_int_equal(find(d, txn, 2, now + 9), STORE_OK);
    assert_true(view.path.unit[UNIT_KEY] == id);
    assert_true(view.expires_unix_ns == 0);
    assert_int_equal(find(d, txn, 1, now + 10), STORE_NOT_FOUND);
    assert_int_equal(find(d, txn, 2, now + 10), STORE_OK);
    struct key key;
    assert_int_equal(keys_get(db, txn, id, &key), STORE_OK);
    assert_string_equal(key.hint, "new1");
    assert_string_equal(key.name, "laptop");
    assert_true(key.old_until_unix_ns == now + 10);
    assert_memory_equal(key.hash, hash_of(2, hash), sizeof(hash));
    assert_memory_equal(key.old_hash, hash_of(1, hash), sizeof(hash));
    assert_int_equal(data_dir_rows(d, txn, DB_HASHES), 2);

    key.expires_unix_ns = now + 5;  /* the key's own end comes first, for both */
    assert_int_equal(keys_put(db, txn, &key), STORE_OK);
    assert_int_equal(find(d, txn, 1, now + 4), STORE_OK);
    assert_true(view.expires_unix_ns == now + 5);
    assert_int_equal(find(d, txn, 1, now + 5), STORE_NOT_FOUND);
    key.expires_unix_ns = now + 20;
    assert_int_equal(keys_put(db, txn, &key), STORE_OK);
    assert_int_equal(find(d, txn, 1, now), STORE_OK);
    assert_true(view.expires_unix_ns == now + 10);
    assert_int_equal(find(d, txn, 1, now + 10), STORE_NOT_FOUND);
    assert_int_equal(find(d, txn, 2, now + 19), STORE_OK);
    assert_true(view.expires_unix_ns == now + 20);
    db_abort(txn);
}

static void test_rotation_again_and_at_once(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    store_id mem = member_make(d, txn), id = key_make(d, txn, mem, 1);
    key_make(d, txn, mem, 100);
    uint8_t hash[STORE_KEY_HASH];
    assert_int_equal(keys_rotate(db, txn, id, hash_of(2, hash), "", now), STORE_OK);
    assert_int_equal(keys_rotate(db, txn, id, hash_of(3, hash), "", now), STORE_OK);
    assert_int_equal(find(d, txn, 1, now - 1), STORE_NOT_FOUND);
    assert_int_equal(find(d, txn, 2, now - 1), STORE_OK);
    assert_int_equal(find(d, txn, 3, now - 1), STORE_OK);
    assert_int_equal(data_dir_rows(d, txn, DB_HASHES), 3);
    for (unsigned taken = 2; taken <= 4; taken++) {  /* its old, its own, another's */
        hash_of(taken == 4 ? 100 : taken, hash);
        assert_int_equal(keys_rotate(db, txn, id, hash, "", now), STORE_CONFLICT);
    }
    assert_int_equal(keys_rotate(db, txn, id, hash_of(4, hash), "123456789012", 0),
                     STORE_REFUSED);
    assert_int_equal(keys_rotate(db, txn, id, hash_of(4, hash), "12345678901", 0), STORE_OK);
    for (unsigned gone = 1; gone <= 3; gone++) {
        assert_int_equal(find(d, txn, gone, 0), STORE_NOT_FOUND);
    }
    assert_int_equal(find(d, txn, 4, now), STORE_OK);
    assert_true(view.expires_unix_ns == 0);
    assert_int_equal(data_dir_rows(d, txn, DB_HASHES), 2);
    struct key key;
    assert_int_equal(keys_get(db, txn, id, &key), STORE_OK);
    assert_string_equal(key.hint, "12345678901");
    static const uint8_t none[STORE_KEY_HASH];
    assert_memory_equal(key.old_hash, none, sizeof(none));
    /* A name and policy that borrow from pages which the rotation rewrites stay whole. */
    memset(key.name, 'n', STORE_NAME_MAX - 1);
    policy_set(&key.policy, "aopenai/*\0", 10);
    assert_int_equal(keys_put(db, txn, &key), STORE_OK);
    assert_int_equal(keys_rotate(db, txn, id, hash_of(5, hash), "z", now), STORE_OK);
    struct key after;
    assert_int_equal(keys_get(db, txn, id, &after), STORE_OK);
    assert_string_equal(after.name, key.name);
    assert_memory_equal(after.policy.blob, key.policy.blob, sizeof(key.policy.blob));
    assert_int_equal(keys_delete(db, txn, id), STORE_OK);
    assert_int_equal(keys_delete(db, txn, id), STORE_NOT_FOUND);
    assert_int_equal(find(d, txn, 4, 0), STORE_NOT_FOUND);
    assert_int_equal(find(d, txn, 5, 0), STORE_NOT_FOUND);
    assert_int_equal(find(d, txn, 100, 0), STORE_OK);
    assert_int_equal(data_dir_rows(d, txn, DB_HASHES), 1);
    assert_int_equal(data_dir_rows(d, txn, DB_KEYS), 1);
    db_abort(txn);
}

/* --- lists */

struct seen { store_id id[64]; size_t count, max; };

static bool see(const struct key *key, void *arg)
{
    struct seen *seen = arg;
    assert_true(seen->count < COUNT(seen->id));
    assert_string_equal(key->name, "laptop");
    seen->id[seen->count++] = key->id;
    return seen->count < seen->max;
}

static void check_list(struct data_dir *d, MDB_txn *txn, store_id unit, const store_id *ids,
                       size_t count)
{
    struct seen seen = {.max = COUNT(seen.id)};
    assert_int_equal(keys_list(d->db, txn, unit, 0, see, &seen), STORE_OK);
    assert_int_equal(seen.count, count);
    if (count) assert_memory_equal(seen.id, ids, count * sizeof(ids[0]));
    for (size_t i = 0; i < count; i++) {  /* each as the place to go on behind */
        seen = (struct seen){.max = 1};
        assert_int_equal(keys_list(d->db, txn, unit, ids[i], see, &seen), STORE_OK);
        assert_int_equal(seen.count, i + 1 < count);
        if (seen.count) assert_true(seen.id[0] == ids[i + 1]);
    }
}

static void test_list_at_every_level(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    check_list(d, txn, 0, NULL, 0);
    store_id org = unit_make(d, txn, UNIT_ORGANIZATION, 0);
    store_id dep = unit_make(d, txn, UNIT_DEPARTMENT, org);
    store_id team = unit_make(d, txn, UNIT_TEAM, dep);
    store_id bare = unit_make(d, txn, UNIT_TEAM, dep);
    store_id mem[3] = {unit_make(d, txn, UNIT_MEMBER, team),
                       unit_make(d, txn, UNIT_MEMBER, dep),
                       unit_make(d, txn, UNIT_MEMBER, org)};
    store_id other = member_make(d, txn), k[7];
    for (unsigned i = 0; i < 6; i++) k[i] = key_make(d, txn, mem[i % 3], i);
    k[6] = key_make(d, txn, other, 6);
    check_list(d, txn, 0, k, 7);
    check_list(d, txn, org, k, 6);
    check_list(d, txn, dep, (store_id[]){k[0], k[1], k[3], k[4]}, 4);
    check_list(d, txn, team, (store_id[]){k[0], k[3]}, 2);
    check_list(d, txn, mem[1], (store_id[]){k[1], k[4]}, 2);
    check_list(d, txn, bare, NULL, 0);
    check_list(d, txn, k[2], &k[2], 1);
    assert_int_equal(keys_delete(db, txn, k[3]), STORE_OK);
    check_list(d, txn, dep, (store_id[]){k[0], k[1], k[4]}, 3);
    struct seen seen = {.max = 64};
    static const store_id wrong[] = {1, UINT64_MAX};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_int_equal(keys_list(db, txn, wrong[i], 0, see, &seen), STORE_NOT_FOUND);
    }
    assert_int_equal(keys_list(db, txn, k[3], 0, see, &seen), STORE_NOT_FOUND);
    assert_int_equal(keys_list(db, txn, org, UINT64_MAX, see, &seen), STORE_OK);
    assert_int_equal(keys_list(db, txn, 0, UINT64_MAX, see, &seen), STORE_OK);
    assert_int_equal(seen.count, 0);
    db_abort(txn);
}

/* --- policies */

#define BLOB(text) text, sizeof(text) - 1

/* Put one blob at a level of the view, keeping those of the others. */
static void view_set(enum unit_kind level, const char *blob, size_t len)
{
    size_t at = 0, rest = 0;
    for (unsigned kind = 0; kind < UNIT_KINDS; kind++) {
        if (kind < level) at += view.policy_len[kind];
        if (kind > level) rest += view.policy_len[kind];
    }
    assert_int_equal(view.policy_len[level], 0);
    memmove(view.policy + at + len, view.policy + at, rest);
    memcpy(view.policy + at, blob, len);
    view.policy_len[level] = (uint16_t)len;
}

static void test_one_level_allows(void **state)
{
    (void)state;
    static const struct {
        const char *blob;
        size_t len;
        const char *model;
        bool ok;
    } cases[] = {
        {BLOB(""), "openai/gpt-4o", true},
        {BLOB("aopenai/*\0"), "openai/gpt-4o", true},
        {BLOB("aopenai/*\0"), "groq/gpt-4o", false},
        {BLOB("aopenai/gpt-4o\0"), "openai/gpt-4o", true},
        {BLOB("aopenai/gpt-4o\0"), "openai/gpt-4o-mini", false},
        {BLOB("aopenai/gpt-4o\0"), "openai/gpt-4", false},
        {BLOB("aopenai/gpt-4o\0"), "xopenai/gpt-4o", false},
        {BLOB("agpt-4o\0"), "openai/gpt-4o", true},      /* bare name */
        {BLOB("agpt-4o\0"), "gpt-4o", true},
        {BLOB("agpt-*\0"), "openai/gpt-4o", true},
        {BLOB("agpt-*\0"), "openai/not-gpt-4o", false},
        {BLOB("a*\0"), "openai/gpt-4o", true},
        {BLOB("a*\0"), "", true},
        {BLOB("a?\0"), "", false},
        {BLOB("aopen*\0"), "openai/gpt-4o", true},       /* a star runs across the slash */
        {BLOB("aopenai?gpt-4o\0"), "openai/gpt-4o", true},
        {BLOB("a*/gpt-4?\0"), "openai/gpt-4o", true},
        {BLOB("a*/gpt-4?\0"), "openai/gpt-4", false},
        {BLOB("a*/gpt-4?\0"), "gpt-4o", false},          /* a glob's slash must be there */
        {BLOB("a/gpt-4o\0"), "openai/gpt-4o", false},
        {BLOB("aclaude\0"), "openrouter/anthropic/claude", false},  /* first slash only */
        {BLOB("aanthropic*\0"), "openrouter/anthropic/claude", true},
        {BLOB("aanthropic/*\0"), "openrouter/anthropic/claude", false},  /* has a slash */
        {BLOB("a*a*b*\0"), "xx/yaybz", true},
        {BLOB("a*a*b\0"), "xx/yaybz", false},
        {BLOB("a*ab*abc\0"), "p/ababab_abc", true},
        {BLOB("a**?**\0"), "p/x", true},
        {BLOB("aGPT-4o\0"), "openai/gpt-4o", false},
        {BLOB("ax\0aopenai/*\0"), "openai/gpt-4o", true},
        {BLOB("ax\0ay\0"), "openai/gpt-4o", false},
        {BLOB("A\0"), "openai/gpt-4o", false},           /* a list, and nothing in it */
        {BLOB("A\0aopenai/*\0"), "openai/gpt-4o", true},
        {BLOB("dopenai/*\0"), "openai/gpt-4o", false},
        {BLOB("dopenai/*\0"), "groq/llama", true},
        {BLOB("dgpt-4o\0"), "openai/gpt-4o", false},     /* deny goes by bare names too */
        {BLOB("a*\0dgpt-4o\0"), "openai/gpt-4o", false}, /* deny wins, in any order */
        {BLOB("dgpt-4o\0a*\0"), "openai/gpt-4o", false},
        {BLOB("a*\0dgpt-4o\0"), "openai/gpt-4o-mini", true},
        {BLOB("dx\0"), "openai/gpt-4o", true},
        {BLOB("a*"), "openai/gpt-4o", false},            /* damaged: nothing passes */
        {BLOB("a*\0dx"), "openai/gpt-4o", false},
        {BLOB("\0"), "openai/gpt-4o", false},
        {BLOB("x*\0a*\0"), "openai/gpt-4o", false},
        {BLOB("geu\0G\0mcost\0q0.5\0z\0a*\0"), "openai/gpt-4o", true},  /* not of models */
    };
    for (unsigned kind = 0; kind < UNIT_KINDS; kind++) {
        for (size_t i = 0; i < COUNT(cases); i++) {
            memset(&view, 0, sizeof(view));
            view_set((enum unit_kind)kind, cases[i].blob, cases[i].len);
            enum unit_kind level = UNIT_KINDS;
            bool ok = keys_allow(&view, cases[i].model, strlen(cases[i].model), &level);
            if (ok != cases[i].ok) fail_msg("case %zu, level %u", i, kind);
            assert_int_equal(level, ok ? UNIT_KINDS : kind);
        }
    }
}

/* Each level has its say, and the narrowest that refuses is named. */
static void test_levels_together(void **state)
{
    (void)state;
    static const struct { const char *model; bool ok; enum unit_kind level; } cases[] = {
        {"openai/gpt-4o", true, UNIT_KINDS},
        {"openai/o3", false, UNIT_KEY},            /* the organisation would take it */
        {"groq/gpt-oss", false, UNIT_ORGANIZATION},
        {"groq/llama", false, UNIT_KEY},           /* both refuse: the key is named */
        {"openai/gpt-3", false, UNIT_TEAM},
    };
    memset(&view, 0, sizeof(view));
    view_set(UNIT_KEY, BLOB("agpt-*\0"));
    view_set(UNIT_ORGANIZATION, BLOB("aopenai/*\0aanthropic/*\0"));
    view_set(UNIT_TEAM, BLOB("d*gpt-3*\0"));
    for (size_t i = 0; i < COUNT(cases); i++) {
        enum unit_kind level = UNIT_KINDS;
        bool ok = keys_allow(&view, cases[i].model, strlen(cases[i].model), &level);
        assert_int_equal(ok, cases[i].ok);
        assert_int_equal(level, cases[i].level);
    }
}

/* The matcher against its definition: recursion over all ways a star may end. */
static bool glob_slow(const char *glob, const char *text)
{
    if (!*glob) return !*text;
    if (*glob == '*') return glob_slow(glob + 1, text) || (*text && glob_slow(glob, text + 1));
    return *text && (*glob == '?' || *glob == *text) && glob_slow(glob + 1, text + 1);
}

/* The words over three letters, numbered by length: 0 is the empty one. */
static void word_fill(unsigned number, const char letters[3], char out[8])
{
    size_t len = 0;
    for (; number > 0; number = (number - 1) / 3) out[len++] = letters[(number - 1) % 3];
    out[len] = '\0';
}

static void test_globs_agree_with_their_definition(void **state)
{
    (void)state;
    enum { WORDS = 1 + 3 + 9 + 27 + 81 + 243 };
    for (unsigned g = 1; g < WORDS; g++) {
        char blob[10] = "a";
        word_fill(g, "*?x", blob + 1);
        memset(&view, 0, sizeof(view));
        view_set(UNIT_KEY, blob, strlen(blob) + 1);
        for (unsigned t = 0; t < WORDS; t++) {
            char model[8];
            enum unit_kind level;
            word_fill(t, "xyz", model);
            bool ok = keys_allow(&view, model, strlen(model), &level);
            if (ok != glob_slow(blob + 1, model)) fail_msg("%s on %s", blob, model);
        }
    }
}

/* --- many, and at once */

static void test_ten_thousand_keys(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    enum { KEYS = 10000 };
    store_id mem = member_make(d, txn), first = 0;
    uint8_t hash[STORE_KEY_HASH];
    for (unsigned i = 0; i < KEYS; i++) {
        store_id id = key_make(d, txn, mem, i);
        if (i == 0) first = id;
        assert_true(keys_maybe(db, hash_of(i, hash)));
    }
    data_dir_commit(d, txn);
    db = data_dir_open(d);
    MDB_txn *reader;
    assert_int_equal(db_reader(db, &reader), STORE_OK);
    assert_int_equal(mdb_txn_renew(reader), 0);
    unsigned passed = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        assert_true(keys_maybe(db, hash_of(i, hash)));
        assert_int_equal(find(d, reader, i, now), STORE_OK);
        assert_true(view.path.unit[UNIT_KEY] == first + i);
        passed += keys_maybe(db, hash_of(KEYS + i, hash));
    }
    assert_true(passed < KEYS / 100);
    mdb_txn_reset(reader);
    db_abort(reader);
    txn = data_dir_begin(d, true);
    assert_int_equal(org_delete(db, txn, mem, true), STORE_OK);
    assert_int_equal(data_dir_rows(d, txn, DB_KEYS), 0);
    assert_int_equal(data_dir_rows(d, txn, DB_HASHES), 0);
    db_abort(txn);
    /* A rotated hash is in the filter at once, and after a new start. */
    txn = data_dir_begin(d, true);
    hash_of(3 * KEYS, hash);
    assert_int_equal(keys_rotate(db, txn, first, hash, "", 0), STORE_OK);
    assert_true(keys_maybe(db, hash));
    data_dir_commit(d, txn);
    assert_true(keys_maybe(data_dir_open(d), hash));
}

struct core {            /* what the reading thread is told */
    struct data_dir *d;
    store_id key;
    atomic_bool stop;
    atomic_uint found;
    unsigned wrong;
};

/* A core: takes the generation, reads, and expects the state it names or a later one. */
static void *core_run(void *arg)
{
    struct core *core = arg;
    static struct key_view seen;
    MDB_txn *reader;
    if (db_reader(core->d->db, &reader) != STORE_OK) return NULL;
    while (!atomic_load(&core->stop)) {
        uint64_t generation = atomic_load(&core->d->db->generation);
        uint8_t hash[STORE_KEY_HASH];
        if (mdb_txn_renew(reader) != 0) break;
        hash_of((unsigned)generation, hash);  /* not rotated out for two generations */
        enum store_rc rc = keys_find(core->d->db, reader, hash, now, &seen);
        bool is_known = keys_maybe(core->d->db, hash);
        mdb_txn_reset(reader);
        bool is_late = atomic_load(&core->d->db->generation) > generation;
        if (rc == STORE_NOT_FOUND && is_late) continue;  /* slower than two rotations */
        if (rc != STORE_OK || !is_known || seen.path.unit[UNIT_KEY] != core->key) core->wrong++;
        else atomic_fetch_add(&core->found, 1);
    }
    db_abort(reader);
    return core;
}

static void test_cores_read_while_the_store_writes(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    struct core core = {.d = d, .key = key_make(d, txn, member_make(d, txn), 2)};
    data_dir_commit(d, txn);
    assert_int_equal(atomic_load(&db->generation), 2);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, core_run, &core), 0);
    for (unsigned round = 3; round < 200; round++) {
        uint8_t hash[STORE_KEY_HASH];
        txn = data_dir_begin(d, true);
        assert_int_equal(keys_rotate(db, txn, core.key, hash_of(round, hash), "", now + 1),
                         STORE_OK);
        data_dir_commit(d, txn);
        assert_int_equal(atomic_load(&db->generation), round);
    }
    for (unsigned before = atomic_load(&core.found); atomic_load(&core.found) < before + 100;) {
        sched_yield();
    }
    atomic_store(&core.stop, true);
    void *ended = NULL;
    assert_int_equal(pthread_join(thread, &ended), 0);
    assert_ptr_equal(ended, &core);
    assert_int_equal(core.wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_is_sha256),
        DATA_TEST(test_make_get_put_after_reopening),
        DATA_TEST(test_make_refuses),
        DATA_TEST(test_find_gives_path_and_policies),
        DATA_TEST(test_find_with_the_largest_policies),
        DATA_TEST(test_expiry_by_the_clock),
        DATA_TEST(test_find_does_not_allocate),
        DATA_TEST(test_rotation_with_grace),
        DATA_TEST(test_rotation_again_and_at_once),
        DATA_TEST(test_list_at_every_level),
        cmocka_unit_test(test_one_level_allows),
        cmocka_unit_test(test_levels_together),
        cmocka_unit_test(test_globs_agree_with_their_definition),
        DATA_TEST(test_ten_thousand_keys),
        DATA_TEST(test_cores_read_while_the_store_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
