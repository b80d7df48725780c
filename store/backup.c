/* backup.c - see backup.h.
 *
 *   from/store -- LMDB's copy of one snapshot --> to.copy-PID/store/data.mdb, marks forgotten
 *   from/admin.token -------------------------->  to.copy-PID/admin.token
 *
 * LMDB copies pages in use alone, within a read transaction: writers go on, but reuse no page
 * until it ends. What the store knows of journals ("fold:" marks) is of files that the copy has
 * not, and goes.
 * The rule: a directory has its final name when all of it is on the disk, not before. */
#include "store/backup.h"

#include "store/fold.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_MAX_BYTES = DB_DIR_MAX + 64, TOKEN_MAX = 4096 };

static enum store_rc fail(char *why, const char *doing, const char *path, int error)
{
    assert(error > 0);
    const char *text = strerrordesc_np(error);
    snprintf(why, BACKUP_WHY_MAX, "cannot %s %s: %s", doing, path,
             text ? text : "unknown error");
    return error == ENOSPC || error == EDQUOT ? STORE_FULL : STORE_FAIL;
}

/* ---- places */

/* May a copy go there? Nothing, or an empty directory. */
static enum store_rc place_check(const char *to, char *why)
{
    DIR *dir = opendir(to);
    if (!dir && errno == ENOENT) return STORE_OK;
    if (!dir && errno == ENOTDIR) {
        snprintf(why, BACKUP_WHY_MAX, "%s is not a directory", to);
        return STORE_REFUSED;
    }
    if (!dir) return fail(why, "look into", to, errno);
    const struct dirent *entry;
    bool empty = true;
    while (empty && (entry = readdir(dir)) != NULL) {
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    }
    closedir(dir);
    if (empty) return STORE_OK;
    snprintf(why, BACKUP_WHY_MAX, "%s is not empty", to);
    return STORE_REFUSED;
}

/* A path without slashes at its end, so that something can be made beside it. */
static bool place_take(const char *to, char out[DB_DIR_MAX])
{
    size_t len = strlen(to);
    while (len > 1 && to[len - 1] == '/') len--;
    if (len == 0 || len >= DB_DIR_MAX) return false;
    memcpy(out, to, len);
    out[len] = '\0';
    const char *name = strrchr(out, '/');
    name = name ? name + 1 : out;
    return *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Put a file or directory on the disk. */
static int path_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno;
    int error = fsync(fd) < 0 && errno != EINVAL ? errno : 0;
    close(fd);
    return error;
}

/* ... the directory that something lies in. */
static int parent_sync(const char *path)
{
    char parent[PATH_MAX_BYTES];
    snprintf(parent, sizeof(parent), "%s", path);
    char *slash = strrchr(parent, '/');
    if (!slash) return path_sync(".");
    slash[slash == parent] = '\0';
    return path_sync(parent);
}

void backup_discard(struct backup *b)
{
    static const char *const names[] = {"store/data.mdb", "store/lock.mdb", "lock",
                                        "admin.token"};
    char path[PATH_MAX_BYTES];
    if (!b->made[0]) return;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        snprintf(path, sizeof(path), "%s/%s", b->made, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/store", b->made);
    rmdir(path);
    rmdir(b->made);
    b->made[0] = '\0';
}

/* ---- what is copied */

/* What the journals of a directory that is not in use still hold. */
static uint64_t journals_left(struct db *db)
{
    char path[PATH_MAX_BYTES], why[JOURNAL_WHY_MAX];
    uint64_t left = 0;
    MDB_txn *txn;
    snprintf(path, sizeof(path), "%s/journal", db->dir);
    DIR *dir = opendir(path);
    if (!dir) return 0;
    if (db_begin(db, false, &txn) != STORE_OK) txn = NULL;
    const struct dirent *entry;
    while (txn && (entry = readdir(dir)) != NULL) {
        struct journal *j;
        struct fold_mark mark;
        struct record r;
        if (!fold_is_journal(entry->d_name)) continue;
        snprintf(path, sizeof(path), "%s/journal/%.40s", db->dir, entry->d_name);
        if (journal_view(path, &j, why) != STORE_OK) continue;
        if (fold_mark_get(db, txn, journal_generation(j), &mark) == STORE_OK) {
            journal_rewind(j, mark.folded);
            left += journal_lag(j);
            for (uint32_t i = 0; !mark.done && i < journal_running_max(j); i++) {
                left += journal_running(j, i, &r) == SLOT_RUNNING;
            }
        }
        journal_drop(j);
    }
    if (txn) db_abort(txn);
    closedir(dir);
    return left;
}

static enum store_rc store_copy(struct db *db, struct backup *b, const char *from, char *why)
{
    char path[PATH_MAX_BYTES];
    enum store_rc rc = db_view(db, from, &b->in_use);
    if (rc == STORE_NOT_FOUND) {
        snprintf(why, BACKUP_WHY_MAX, "%s holds no ledger", from);
        return STORE_REFUSED;
    }
    if (rc != STORE_OK) {
        snprintf(why, BACKUP_WHY_MAX, "%s", db->why);
        return rc;
    }
    if (!b->in_use) b->left = journals_left(db);
    snprintf(path, sizeof(path), "%s/store", b->made);
    if (mkdir(b->made, 0700) < 0 || mkdir(path, 0700) < 0) {
        rc = fail(why, "make the directory", path, errno);
    } else {
        rc = db_rc(db, mdb_env_copy2(db->env, path, MDB_CP_COMPACT), "copy the ledger");
        if (rc != STORE_OK) snprintf(why, BACKUP_WHY_MAX, "%s", db->why);
    }
    db_close(db);
    return rc;
}

/* Forget in the copy what is of other files, and take away what opening it has made. */
static enum store_rc store_settle(struct db *db, const struct backup *b, char *why)
{
    char path[PATH_MAX_BYTES];
    snprintf(path, sizeof(path), "%s/store/data.mdb", b->made);
    if (chmod(path, 0600) < 0) return fail(why, "change the mode of", path, errno);
    enum store_rc rc = db_open(db, b->made, 0);
    if (rc == STORE_OK) {
        rc = fold_forget(db);
        db_close(db);
    }
    if (rc != STORE_OK) {
        snprintf(why, BACKUP_WHY_MAX, "%s", db->why);
        return rc;
    }
    int error = path_sync(path);
    snprintf(path, sizeof(path), "%s/store/lock.mdb", b->made);
    if (!error && unlink(path) < 0) error = errno;
    snprintf(path, sizeof(path), "%s/lock", b->made);
    if (!error && unlink(path) < 0) error = errno;
    snprintf(path, sizeof(path), "%s/store", b->made);
    if (!error) error = path_sync(path);
    return error ? fail(why, "settle the copy", path, error) : STORE_OK;
}

/* The admin token, if there is one: an operator may have configured it elsewhere. */
static enum store_rc token_copy(const char *from, const struct backup *b, char *why)
{
    char path[PATH_MAX_BYTES], text[TOKEN_MAX];
    snprintf(path, sizeof(path), "%s/admin.token", from);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return STORE_OK;
    if (fd < 0) return fail(why, "read", path, errno);
    ssize_t len = read(fd, text, sizeof(text));
    int error = len < 0 ? errno : len == (ssize_t)sizeof(text) ? EFBIG : 0;
    close(fd);
    if (error) return fail(why, "read", path, error);
    snprintf(path, sizeof(path), "%s/admin.token", b->made);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return fail(why, "make", path, errno);
    ssize_t written = write(fd, text, (size_t)len);
    if (written != len) error = written < 0 ? errno : ENOSPC;
    if (!error && fsync(fd) < 0) error = errno;
    close(fd);
    explicit_bzero(text, sizeof(text));
    return error ? fail(why, "write", path, error) : STORE_OK;
}

/* ---- the steps */

enum store_rc backup_copy(const char *from, const char *to, struct backup *b, char *why)
{
    assert(from && to);
    assert(b && why);
    memset(b, 0, sizeof(*b));
    if (!place_take(to, b->place)) {
        snprintf(why, BACKUP_WHY_MAX, "\"%.200s\" does not name a directory", to);
        return STORE_REFUSED;
    }
    enum store_rc rc = place_check(b->place, why);
    struct db *db = rc == STORE_OK ? calloc(1, sizeof(*db)) : NULL;
    if (rc == STORE_OK && !db) rc = fail(why, "copy", from, ENOMEM);
    if (rc != STORE_OK) return rc;
    snprintf(b->made, sizeof(b->made), "%s.copy-%ld", b->place, (long)getpid());
    rc = store_copy(db, b, from, why);
    if (rc == STORE_OK) rc = store_settle(db, b, why);
    if (rc == STORE_OK) rc = token_copy(from, b, why);
    free(db);
    int error = rc == STORE_OK ? path_sync(b->made) : 0;
    if (error) rc = fail(why, "sync", b->made, error);
    if (rc != STORE_OK) backup_discard(b);
    return rc;
}

enum store_rc backup_keep(struct backup *b, char *why)
{
    assert(b->made[0]);
    int error = rename(b->made, b->place) < 0 ? errno : parent_sync(b->place);
    if (!error) {
        b->made[0] = '\0';
        return STORE_OK;
    }
    backup_discard(b);
    if (error != ENOTEMPTY && error != EEXIST) return fail(why, "make", b->place, error);
    snprintf(why, BACKUP_WHY_MAX, "%s is not empty any more", b->place);
    return STORE_REFUSED;
}
