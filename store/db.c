/* db.c - the LMDB environment of one data directory, its lock, its unknown-key filter.
 *   db_open: DATA -> DATA/lock -> DATA/store -> tables, schema, boot count -> filter
 * What fails leaves nothing held and one sentence. LMDB runs as safe as it can: every commit is
 * synced, the map is read-only (a stray pointer cannot write the ledger), new pages are
 * zeroed. Readers belong to transactions instead of threads (MDB_NOTLS), so that a core can
 * keep a renewed one while a worker thread opens several.
 * Rule: only here do LMDB's codes and errno become sentences. */
#include "store/db.h"

#include "store/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    READERS_MAX = 1024,
    NAMED_MAX = 32,                  /* tables LMDB has room for: later schemas add some */
    PATH_BYTES = DB_DIR_MAX + 16,
    META_NAME_MAX = 63,
    FILTER_KEYS_MIN = 1000 * 1000,
    FILTER_GROWTH = 4,               /* room for so many times the keys found at open */
    FILTER_BITS_PER_KEY = 10,        /* with 7 probes: 0.8 % of unknown keys pass */
    FILTER_PROBES = 7,               /* one 32-bit word of the hash each */
};
static_assert(FILTER_PROBES * sizeof(uint32_t) <= STORE_KEY_HASH, "enough hash words");

static const size_t map_bytes_default = (size_t)64 << 30;
static const uint64_t filter_bits_max = (uint64_t)1 << 32;

static const char *const table_names[DB_TABLES] = {
    [DB_META] = "meta",           [DB_UNITS] = "units",           [DB_CHILDREN] = "children",
    [DB_KEYS] = "keys",           [DB_HASHES] = "hashes",         [DB_ROWS] = "rows",
    [DB_IDS] = "ids",             [DB_HOURS] = "hours",           [DB_FEEDBACK] = "feedback",
    [DB_SPENT] = "spent",         [DB_READINGS] = "readings",     [DB_LIMITS] = "limits",
    [DB_POOLS] = "pools",         [DB_CREDITS] = "credits",
    [DB_REFERENCES] = "references", [DB_ROTATION] = "rotation",
    [DB_TENANTS] = "tenants",
};

static const char *const serial_names[UNIT_KINDS] = {
    [UNIT_ORGANIZATION] = "serial.organization", [UNIT_DEPARTMENT] = "serial.department",
    [UNIT_TEAM] = "serial.team",                 [UNIT_MEMBER] = "serial.member",
    [UNIT_KEY] = "serial.key",
};

/* Write db->why. A thread that comes while another one writes leaves it that one's sentence:
 * both failed, and the text never runs into itself. */
__attribute__((format(printf, 2, 3)))
static void say(struct db *db, const char *format, ...)
{
    if (atomic_exchange_explicit(&db->why_busy, true, memory_order_acquire)) return;
    va_list args;
    va_start(args, format);
    vsnprintf(db->why, sizeof(db->why), format, args);
    va_end(args);
    atomic_store_explicit(&db->why_busy, false, memory_order_release);
}

/* Text of an LMDB code or errno, without strerror's allocation. */
static const char *cause(int code)
{
    if (code == ENOSPC || code == EDQUOT) return "no space is left on the disk";
    if (code == MDB_MAP_FULL) return "the store has grown to the size reserved for it";
    if (code < 0) return mdb_strerror(code);
    const char *text = strerrordesc_np(code);
    return text ? text : "unknown error";
}

enum store_rc db_rc(struct db *db, int code, const char *doing)
{
    assert(doing);
    if (code == MDB_SUCCESS) return STORE_OK;
    if (code == MDB_NOTFOUND) return STORE_NOT_FOUND;
    if (code == MDB_KEYEXIST) return STORE_CONFLICT;
    say(db, "cannot %s in %s: %s", doing, db->dir, cause(code));
    bool full = code == ENOSPC || code == EDQUOT || code == MDB_MAP_FULL
             || code == MDB_TXN_FULL;
    return full ? STORE_FULL : STORE_FAIL;
}

enum store_rc db_damaged(struct db *db, const char *what)
{
    assert(what);
    say(db, "%s in %s/store is damaged", what, db->dir);
    return STORE_FAIL;
}

/* The pid that the owner of an open lock file wrote, or 0. */
static long lock_owner(int fd)
{
    char text[24] = "";
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    if (n <= 0) return 0;
    long pid = strtol(text, NULL, 10);
    return pid > 0 ? pid : 0;
}

/* Write our pid into the lock file, for people and for the sentence of a second instance. */
static int lock_sign(int fd)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    assert(len > 0 && (size_t)len < sizeof(text));
    if (ftruncate(fd, 0) < 0) return errno;
    ssize_t n = pwrite(fd, text, (size_t)len, 0);
    if (n < 0) return errno;
    return n == len ? 0 : ENOSPC;
}

/* Take DATA/lock. The file stays when we go: removing it would let a third instance lock a
 * new file while a second one locks the old. */
static enum store_rc lock_take(struct db *db)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/lock", db->dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        say(db, "cannot open %s: %s", path, cause(errno));
        return STORE_FAIL;
    }
    enum store_rc rc = STORE_FAIL;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK) {
            say(db, "cannot lock %s: %s", path, cause(errno));
            goto fail;
        }
        long pid = lock_owner(fd);
        if (pid) say(db, "%s is in use by another instance (pid %ld)", db->dir, pid);
        else say(db, "%s is in use by another instance", db->dir);
        rc = STORE_IN_USE;
        goto fail;
    }
    int code = lock_sign(fd);
    if (code != 0) {
        say(db, "cannot write %s: %s", path, cause(code));
        goto fail;
    }
    db->lock_fd = fd;
    return STORE_OK;

fail:
    close(fd);
    return rc;
}

/* Give DATA/lock back, emptied, so that nobody is told of a pid that is gone. */
static void lock_give(struct db *db)
{
    assert(db->lock_fd >= 0);
    if (ftruncate(db->lock_fd, 0) < 0) { /* the pid stays behind, to no harm */ }
    close(db->lock_fd);
    db->lock_fd = -1;
}

/* Make a directory, mode 0700, unless it is there. */
static enum store_rc dir_make(struct db *db, const char *path)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST) return STORE_OK;
    say(db, "cannot make the directory %s: %s", path, cause(errno));
    return STORE_FAIL;
}

/* Put a directory's entries on disk: a new data file must not vanish with the power. */
static enum store_rc dir_sync(struct db *db, const char *path)
{
    int code = 0;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0) code = errno;
    if (fd >= 0) close(fd);
    if (code == 0 || code == EINVAL) return STORE_OK;  /* EINVAL: not on this file system */
    say(db, "cannot sync the directory %s: %s", path, cause(code));
    return STORE_FAIL;
}

/* Give LMDB's table of readers, store/lock.mdb, its room on the disk. LMDB makes it as a hole
 * and writes into its mapping, where a full disk is no error but a SIGBUS. Before LMDB opens
 * it, a little less than it will have: of a larger file LMDB would take more readers. And all
 * of it afterwards. *kept: out, the file, which then stays open as long as LMDB has it: closing
 * any descriptor of a file drops all POSIX locks of the process on it (fcntl(2)), and without
 * its lock the next process to look would begin the table anew, under our readers. */
static enum store_rc readers_allocate(struct db *db, const char *store, int *kept)
{
    enum { READER_BYTES = 64 };
    char path[PATH_BYTES + 16];
    struct stat st = {0};
    snprintf(path, sizeof(path), "%s/lock.mdb", store);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int code = fd < 0 || fstat(fd, &st) < 0 ? errno : 0;
    off_t least = READERS_MAX * READER_BYTES;
    if (code == 0) code = posix_fallocate(fd, 0, st.st_size > least ? st.st_size : least);
    if (fd >= 0 && !kept) close(fd);
    if (kept) *kept = fd;
    if (code == 0) return STORE_OK;
    say(db, "cannot open the store %s: %s", store, cause(code));
    return STORE_FAIL;
}

static void readers_release(struct db *db)
{
    if (db->readers_fd >= 0) close(db->readers_fd);
    db->readers_fd = -1;
}

/* Open the environment in DATA/store. On failure db->env is NULL. */
static enum store_rc env_open(struct db *db, size_t map_bytes)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/store", db->dir);
    if (dir_make(db, path) != STORE_OK) return STORE_FAIL;
    if (readers_allocate(db, path, NULL) != STORE_OK) return STORE_FAIL;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = map_bytes ? map_bytes : map_bytes_default;
    MDB_env *env = NULL;
    int code = mdb_env_create(&env);
    if (code != 0) goto fail;
    code = mdb_env_set_maxreaders(env, READERS_MAX);
    if (code != 0) goto fail;
    code = mdb_env_set_maxdbs(env, NAMED_MAX);
    if (code != 0) goto fail;
    code = mdb_env_set_mapsize(env, (size + page - 1) / page * page);
    if (code != 0) goto fail;
    code = mdb_env_open(env, path, MDB_NOTLS, 0600);
    if (code != 0) goto fail;
    if (readers_allocate(db, path, &db->readers_fd) != STORE_OK ||
        dir_sync(db, path) != STORE_OK || dir_sync(db, db->dir) != STORE_OK) {
        mdb_env_close(env);
        readers_release(db);
        return STORE_FAIL;
    }
    db->env = env;
    return STORE_OK;

fail:
    say(db, "cannot open the store %s: %s", path, cause(code));
    if (env) mdb_env_close(env);
    return STORE_FAIL;
}

/* Check the schema before anything is changed: written by a newer Weir, it may hold what we
 * would misread. A new store gets ours; an older one is upgraded when its tables are open. */
static enum store_rc schema_check(struct db *db, MDB_txn *txn)
{
    uint64_t schema, boots;
    enum store_rc rc = db_meta_get(db, txn, "schema", &schema);
    if (rc == STORE_OK) rc = db_meta_get(db, txn, "boot", &boots);
    if (rc != STORE_OK) return rc;
    if (schema > 0 && schema <= DB_SCHEMA) return STORE_OK;
    if (schema == 0 && boots == 0) return db_meta_put(db, txn, "schema", DB_SCHEMA);
    if (schema == 0) return db_damaged(db, "the schema version");
    say(db, "%s was written by a newer version (schema %llu; this one reads up to %d)",
        db->dir, (unsigned long long)schema, DB_SCHEMA);
    return STORE_FAIL;
}

/* Open or make all tables, check the schema and count this boot, in one transaction. */
static enum store_rc tables_open(struct db *db)
{
    MDB_txn *txn;
    enum store_rc rc = db_begin(db, true, &txn);
    if (rc != STORE_OK) return rc;
    int code = mdb_dbi_open(txn, table_names[DB_META], MDB_CREATE, &db->dbi[DB_META]);
    rc = db_rc(db, code, "open the tables");
    if (rc == STORE_OK) rc = schema_check(db, txn);
    for (unsigned t = DB_META + 1; rc == STORE_OK && t < DB_TABLES; t++) {
        code = mdb_dbi_open(txn, table_names[t], MDB_CREATE, &db->dbi[t]);
        rc = db_rc(db, code, "open the tables");
    }
    uint64_t boots = 0;
    if (rc == STORE_OK) rc = db_meta_get(db, txn, "boot", &boots);
    if (rc == STORE_OK) rc = db_meta_put(db, txn, "boot", boots + 1);
    if (rc != STORE_OK) {
        db_abort(txn);
        return rc;
    }
    db->boot = boots + 1;
    return db_commit(db, txn);
}

/* Allocate the filter for the keys there are and many more, and enter those there are. */
static enum store_rc filter_load(struct db *db)
{
    MDB_txn *txn;
    enum store_rc rc = db_begin(db, false, &txn);
    if (rc != STORE_OK) return rc;
    MDB_cursor *cursor = NULL;
    MDB_stat stat;
    MDB_val hash, id;
    int code = mdb_stat(txn, db->dbi[DB_HASHES], &stat);
    if (code == 0) code = mdb_cursor_open(txn, db->dbi[DB_HASHES], &cursor);
    if (code != 0) goto done;
    uint64_t keys = (uint64_t)stat.ms_entries * FILTER_GROWTH;
    if (keys < FILTER_KEYS_MIN) keys = FILTER_KEYS_MIN;
    uint64_t bits = (keys * FILTER_BITS_PER_KEY + 63) / 64 * 64;
    db->filter_bits = bits < filter_bits_max ? bits : filter_bits_max;
    db->filter = calloc(db->filter_bits / 64, sizeof(*db->filter));
    code = db->filter ? 0 : ENOMEM;
    while (code == 0) {
        code = mdb_cursor_get(cursor, &hash, &id, MDB_NEXT);
        if (code != 0) break;
        if (hash.mv_size == STORE_KEY_HASH) db_filter_add(db, hash.mv_data);
        else code = MDB_CORRUPTED;
    }
    if (code == MDB_NOTFOUND) code = 0;

done:
    if (cursor) mdb_cursor_close(cursor);
    db_abort(txn);
    return db_rc(db, code, "read the key hashes");
}

enum store_rc db_open(struct db *db, const char *dir, size_t map_bytes)
{
    assert(db);
    assert(dir);
    memset(db, 0, sizeof(*db));
    db->lock_fd = db->readers_fd = -1;
    atomic_init(&db->generation, 1);
    size_t len = strlen(dir);
    if (len == 0 || len >= sizeof(db->dir)) {
        say(db, "the data directory's path has %zu bytes, allowed are 1 to %d", len,
            DB_DIR_MAX - 1);
        return STORE_FAIL;
    }
    memcpy(db->dir, dir, len + 1);
    enum store_rc rc = dir_make(db, db->dir);
    if (rc != STORE_OK) return rc;
    rc = lock_take(db);
    if (rc != STORE_OK) return rc;
    rc = env_open(db, map_bytes);
    if (rc != STORE_OK) goto fail_lock;
    rc = tables_open(db);
    if (rc == STORE_OK) rc = upgrade_run(db);
    if (rc == STORE_OK) rc = filter_load(db);
    if (rc == STORE_OK) return STORE_OK;

    free(db->filter);
    db->filter = NULL;
    mdb_env_close(db->env);
    db->env = NULL;
    readers_release(db);
fail_lock:
    lock_give(db);
    assert(db->why[0]);
    return STORE_FAIL;
}

/* ---- looking */

/* Keep instances from starting, unless one runs. Where no lock was ever made, none does. */
static enum store_rc lock_share(struct db *db, bool *in_use)
{
    char path[PATH_BYTES];
    *in_use = false;
    snprintf(path, sizeof(path), "%s/lock", db->dir);
    db->lock_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (db->lock_fd < 0 && errno == ENOENT) return STORE_OK;
    if (db->lock_fd < 0) {
        say(db, "cannot open %s: %s", path, cause(errno));
        return STORE_FAIL;
    }
    if (flock(db->lock_fd, LOCK_SH | LOCK_NB) == 0) return STORE_OK;
    *in_use = errno == EWOULDBLOCK;
    if (!*in_use) say(db, "cannot lock %s: %s", path, cause(errno));
    return *in_use ? STORE_OK : STORE_FAIL;
}

/* Is all of the file there that its newest state speaks of? LMDB does not ask, and who reads
 * behind the end of a file is killed. */
static enum store_rc env_is_whole(struct db *db)
{
    MDB_envinfo info;
    MDB_stat stat;
    struct stat st;
    int fd, code = mdb_env_info(db->env, &info);
    if (code == 0) code = mdb_env_stat(db->env, &stat);
    if (code == 0) code = mdb_env_get_fd(db->env, &fd);
    if (code == 0 && fstat(fd, &st) < 0) code = errno;
    if (code != 0) return db_rc(db, code, "look at the store");
    uint64_t want = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
    if ((uint64_t)st.st_size >= want) return STORE_OK;
    say(db, "%s/store/data.mdb is cut off: expected %llu bytes, found %llu", db->dir,
        (unsigned long long)want, (unsigned long long)st.st_size);
    return STORE_FAIL;
}

/* The tables, which are all there, of this schema. */
static enum store_rc tables_view(struct db *db)
{
    MDB_txn *txn;
    uint64_t schema;
    enum store_rc rc = db_begin(db, false, &txn);
    if (rc != STORE_OK) return rc;
    int code = mdb_dbi_open(txn, table_names[DB_META], 0, &db->dbi[DB_META]);
    rc = code == MDB_NOTFOUND ? db_damaged(db, "the list of tables")
                              : db_rc(db, code, "open the tables");
    if (rc == STORE_OK) rc = db_meta_get(db, txn, "schema", &schema);
    if (rc == STORE_OK && schema != DB_SCHEMA) {
        say(db, "%s was written by %s version (schema %llu; this one reads %d)%s", db->dir,
            schema > DB_SCHEMA ? "a newer" : "an older", (unsigned long long)schema, DB_SCHEMA,
            schema > DB_SCHEMA ? "" : ": start it once");
        rc = STORE_FAIL;
    }
    for (unsigned t = DB_META + 1; rc == STORE_OK && t < DB_TABLES; t++) {
        code = mdb_dbi_open(txn, table_names[t], 0, &db->dbi[t]);
        rc = code == MDB_NOTFOUND ? db_damaged(db, "the list of tables")
                                  : db_rc(db, code, "open the tables");
    }
    if (rc == STORE_OK) return db_commit(db, txn);  /* else the tables were this one's own */
    db_abort(txn);
    return rc;
}

static enum store_rc env_view(struct db *db, bool in_use)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/store", db->dir);
    /* Where nobody writes, readers need not say what they read, and no file is touched. */
    unsigned flags = MDB_RDONLY | MDB_NOTLS | (in_use ? 0 : MDB_NOLOCK);
    int code = mdb_env_create(&db->env);
    if (code == 0) code = mdb_env_set_maxdbs(db->env, NAMED_MAX);
    if (code == 0) code = mdb_env_open(db->env, path, flags, 0600);
    if (code == 0) return STORE_OK;
    if (db->env) mdb_env_close(db->env);
    db->env = NULL;
    say(db, "cannot open the store %s: %s", path, cause(code));
    return code == ENOENT ? STORE_NOT_FOUND : STORE_FAIL;
}

enum store_rc db_view(struct db *db, const char *dir, bool *in_use)
{
    assert(db && dir && in_use);
    memset(db, 0, sizeof(*db));
    db->lock_fd = db->readers_fd = -1;
    db->view = true;
    size_t len = strlen(dir);
    *in_use = false;
    if (len == 0 || len >= sizeof(db->dir)) {
        say(db, "the directory's path has %zu bytes, allowed are 1 to %d", len, DB_DIR_MAX - 1);
        return STORE_FAIL;
    }
    memcpy(db->dir, dir, len + 1);
    enum store_rc rc = lock_share(db, in_use);
    if (rc == STORE_OK) rc = env_view(db, *in_use);
    if (rc == STORE_OK) rc = env_is_whole(db);
    if (rc == STORE_OK) rc = tables_view(db);
    if (rc == STORE_OK) return STORE_OK;
    if (db->env) mdb_env_close(db->env);
    db->env = NULL;
    if (db->lock_fd >= 0) close(db->lock_fd);
    db->lock_fd = -1;
    return rc;
}

void db_close(struct db *db)
{
    if (!db->env) return;
    free(db->filter);
    db->filter = NULL;
    mdb_env_close(db->env);
    db->env = NULL;
    readers_release(db);
    if (!db->view) lock_give(db);
    else if (db->lock_fd >= 0) close(db->lock_fd);
}

enum store_rc db_begin(struct db *db, bool write, MDB_txn **txn)
{
    assert(db->env);
    int code = mdb_txn_begin(db->env, NULL, write ? 0 : MDB_RDONLY, txn);
    if (code == 0 && write) db->dirty = false;  /* also what an aborted one left */
    return db_rc(db, code, write ? "begin to write" : "begin to read");
}

void db_touch(struct db *db, store_id id)
{
    for (uint32_t i = 0; i < db->touched_count && i < DB_TOUCHED_MAX; i++) {
        if (db->touched[i] == id) return;
    }
    if (db->touched_count < DB_TOUCHED_MAX) db->touched[db->touched_count] = id;
    if (db->touched_count <= DB_TOUCHED_MAX) db->touched_count++;
}

enum store_rc db_commit(struct db *db, MDB_txn *txn)
{
    assert(txn);
    bool dirty = db->dirty;
    db->dirty = false;
    enum store_rc rc = db_rc(db, mdb_txn_commit(txn), "commit");
    if (rc == STORE_OK && dirty) {
        /* Behind the commit: who sees the new generation reads the new policy. */
        atomic_fetch_add_explicit(&db->generation, 1, memory_order_release);
    }
    return rc;
}

void db_abort(MDB_txn *txn)
{
    assert(txn);
    mdb_txn_abort(txn);
}

enum store_rc db_reader(struct db *db, MDB_txn **txn)
{
    enum store_rc rc = db_begin(db, false, txn);
    if (rc == STORE_OK) mdb_txn_reset(*txn);
    return rc;
}

/* A DB_META name as LMDB wants it. LMDB does not write through it. */
static MDB_val meta_name(const char *name)
{
    size_t len = strlen(name);
    assert(len > 0);
    assert(len <= META_NAME_MAX);
    return (MDB_val){len, (void *)(uintptr_t)name};
}

enum store_rc db_meta_get(struct db *db, MDB_txn *txn, const char *name, uint64_t *value)
{
    MDB_val key = meta_name(name), data;
    *value = 0;
    int code = mdb_get(txn, db->dbi[DB_META], &key, &data);
    if (code == MDB_NOTFOUND) return STORE_OK;
    if (code != 0) return db_rc(db, code, "read a counter");
    if (data.mv_size != sizeof(*value)) return db_damaged(db, name);
    memcpy(value, data.mv_data, sizeof(*value));
    return STORE_OK;
}

enum store_rc db_meta_put(struct db *db, MDB_txn *txn, const char *name, uint64_t value)
{
    MDB_val key = meta_name(name), data = {sizeof(value), &value};
    return db_rc(db, mdb_put(txn, db->dbi[DB_META], &key, &data, 0), "write a counter");
}

enum store_rc db_serial(struct db *db, MDB_txn *txn, enum unit_kind kind, uint64_t *serial)
{
    assert(kind < UNIT_KINDS);
    return db_meta_get(db, txn, serial_names[kind], serial);
}

enum store_rc db_next_id(struct db *db, MDB_txn *txn, enum unit_kind kind, store_id *id)
{
    assert(kind < UNIT_KINDS);
    uint64_t serial;
    enum store_rc rc = db_meta_get(db, txn, serial_names[kind], &serial);
    if (rc == STORE_OK) rc = db_meta_put(db, txn, serial_names[kind], serial + 1);
    if (rc == STORE_OK) *id = store_id_make(kind, serial + 1);
    return rc;
}

/* Position of a hash's probe: its word, scaled to the filter without a division. */
static uint64_t filter_bit(const struct db *db, const uint8_t *hash, unsigned probe)
{
    uint32_t word;
    memcpy(&word, hash + probe * sizeof(word), sizeof(word));
    uint64_t bit = word * db->filter_bits >> 32;  /* fits: at most 2^32 bits */
    assert(bit < db->filter_bits);
    return bit;
}

void db_filter_add(struct db *db, const uint8_t hash[STORE_KEY_HASH])
{
    assert(db->filter);
    for (unsigned probe = 0; probe < FILTER_PROBES; probe++) {
        uint64_t bit = filter_bit(db, hash, probe);
        uint64_t mask = (uint64_t)1 << (bit % 64);
        atomic_fetch_or_explicit(&db->filter[bit / 64], mask, memory_order_relaxed);
    }
}

bool db_filter_has(const struct db *db, const uint8_t hash[STORE_KEY_HASH])
{
    assert(db->filter);
    for (unsigned probe = 0; probe < FILTER_PROBES; probe++) {
        uint64_t bit = filter_bit(db, hash, probe);
        uint64_t word = atomic_load_explicit(&db->filter[bit / 64], memory_order_relaxed);
        if (!(word >> (bit % 64) & 1)) return false;
    }
    return true;
}
