/* test_db.c - the environment of a data directory: its lock, schema, boot count, counters,
 * commits, readers, filter, its failures as sentences; and ids as text. */
#include "tests/unit/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- ids */

static const char *const prefixes[UNIT_KINDS] = {"org_", "dep_", "team_", "mem_", "key_"};

static const uint64_t serials[] = {1, 2, 3, 255, 256, 65536, 1000003, UINT64_C(1) << 32,
                                   (UINT64_C(1) << 56) - 1};

static void test_id_text_and_number_convert_both_ways(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < UNIT_KINDS; kind++) {
        for (size_t i = 0; i < COUNT(serials); i++) {
            store_id id = store_id_make((enum unit_kind)kind, serials[i]);
            assert_int_equal(id >> 56, kind + 1);
            assert_int_equal(store_id_kind(id), kind);
            assert_true(store_id_is_valid(id));
            char text[STORE_ID_TEXT_MAX];
            memset(text, 'x', sizeof(text));
            store_id_text(id, text);
            assert_int_equal(strlen(text), strlen(prefixes[kind]) + 13);
            assert_memory_equal(text, prefixes[kind], strlen(prefixes[kind]));
            assert_true(store_id_parse(text, strlen(text)) == id);
        }
    }
}

static void test_id_none(void **state)
{
    (void)state;
    char text[STORE_ID_TEXT_MAX] = "x";
    store_id_text(0, text);
    assert_string_equal(text, "");
    assert_int_equal(store_id_parse("", 0), 0);
    static const store_id invalid[] = {0, 1, UINT64_C(1) << 56, UINT64_C(5) << 56,
                                       (UINT64_C(6) << 56) | 1, UINT64_MAX};
    for (size_t i = 0; i < COUNT(invalid); i++) assert_false(store_id_is_valid(invalid[i]));
}

/* People keep these texts: the mixing may never change. */
static void test_id_texts_are_fixed_for_ever(void **state)
{
    (void)state;
    static const struct {
        enum unit_kind kind;
        uint64_t serial;
        const char *text;
    } cases[] = {
        {UNIT_ORGANIZATION, 1, "org_fp6shhqd296tz"},
        {UNIT_ORGANIZATION, 2, "org_ccpm3ff0hkmy8"},
        {UNIT_TEAM, 1, "team_776arxm34wdz7"},
        {UNIT_KEY, 123456789, "key_eypevfz9gq8n0"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[STORE_ID_TEXT_MAX];
        store_id_text(store_id_make(cases[i].kind, cases[i].serial), text);
        assert_string_equal(text, cases[i].text);
    }
}

/* Whatever parses is the one text of its id; nearly nothing that was altered parses. */
static void test_id_altered_texts(void **state)
{
    (void)state;
    unsigned tried = 0, parsed = 0;
    char text[STORE_ID_TEXT_MAX], back[STORE_ID_TEXT_MAX];
    for (unsigned kind = 0; kind < UNIT_KINDS; kind++) {
        store_id id = store_id_make((enum unit_kind)kind, 77);
        store_id_text(id, text);
        size_t len = strlen(text);
        for (size_t i = 0; i < len; i++) {
            char was = text[i];
            for (int c = 0; c < 256; c++) {
                if ((char)c == was) continue;
                text[i] = (char)c;
                store_id other = store_id_parse(text, len);
                tried++;
                if (other == 0) continue;
                parsed++;
                assert_true(other != id);
                store_id_text(other, back);
                assert_string_equal(back, text);
            }
            text[i] = was;
        }
    }
    assert_true(parsed * 100 < tried);
}

static void test_id_refuses_other_forms(void **state)
{
    (void)state;
    char text[STORE_ID_TEXT_MAX], other[STORE_ID_TEXT_MAX + 8];
    store_id_text(store_id_make(UNIT_MEMBER, 5), text);
    size_t len = strlen(text);
    for (size_t cut = 0; cut < len; cut++) assert_int_equal(store_id_parse(text, cut), 0);
    for (unsigned kind = 0; kind < UNIT_KINDS; kind++) {
        if (kind == UNIT_MEMBER) continue;
        int n = snprintf(other, sizeof(other), "%s%s", prefixes[kind], text + 4);
        assert_int_equal(store_id_parse(other, (size_t)n), 0);
    }
    static const char *const bad[] = {
        "mem_zzzzzzzzzzzzz", "mem_g000000000000", "mem_             ", "mem_-000000000001",
        "MEM_0000000000000", "mem-0000000000000", "usr_0000000000000", "0000000000000",
        "mem_iiiiiiiiiiiii", "mem_0000000000000",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(store_id_parse(bad[i], strlen(bad[i])), 0);
    }
    snprintf(other, sizeof(other), "%s0", text);
    assert_int_equal(store_id_parse(other, len + 1), 0);
    for (size_t i = 4; i < len; i++) text[i] = (char)(text[i] >= 'a' ? text[i] - 32 : text[i]);
    assert_int_equal(store_id_parse(text, len), 0);
}

static void test_id_parse_reads_no_byte_too_far(void **state)
{
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                     -1, 0);
    assert_true(map != MAP_FAILED);
    assert_int_equal(mprotect(map + page, page, PROT_NONE), 0);
    char text[STORE_ID_TEXT_MAX];
    store_id id = store_id_make(UNIT_TEAM, 9);
    store_id_text(id, text);
    size_t len = strlen(text);
    for (size_t cut = 0; cut <= len; cut++) {
        char *at = map + page - cut;
        memcpy(at, text, cut);
        assert_true(store_id_parse(at, cut) == (cut == len ? id : 0));
    }
    munmap(map, 2 * page);
}

/* --- opening */

static mode_t mode_of(const char *dir, const char *name)
{
    char path[600];
    struct stat st;
    snprintf(path, sizeof(path), "%s%s", dir, name);
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

/* Write a file below DATA. */
static void file_put(const struct data_dir *d, const char *name, const char *text)
{
    char path[600];
    snprintf(path, sizeof(path), "%s%s", d->path, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* DATA/lock holds our pid and nothing else. */
static void check_lock_is_signed(const struct data_dir *d)
{
    char path[600], text[64] = "", pid[32];
    snprintf(path, sizeof(path), "%s/lock", d->path);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t len = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    assert_int_equal(len, strlen(pid));
    assert_string_equal(text, pid);
}

static void test_open_makes_a_private_directory(void **state)
{
    struct data_dir *d = *state;
    mode_t before = umask(0);
    struct db *db = data_dir_open(d);
    umask(before);
    assert_int_equal(mode_of(d->path, ""), 0700);
    assert_int_equal(mode_of(d->path, "/store"), 0700);
    assert_int_equal(mode_of(d->path, "/lock"), 0600);
    assert_int_equal(mode_of(d->path, "/store/data.mdb"), 0600);
    assert_int_equal(mode_of(d->path, "/store/lock.mdb"), 0600);
    assert_string_equal(db->dir, d->path);
    assert_int_equal(db->boot, 1);
    assert_int_equal(atomic_load(&db->generation), 1);
    check_lock_is_signed(d);
    data_dir_close(d);
    file_put(d, "/lock", "a long text that someone killed has left\n");
    data_dir_open(d);
    check_lock_is_signed(d);
}

static void test_open_with_the_default_map(void **state)
{
    struct data_dir *d = *state;
    struct db *db = calloc(1, sizeof(*db));
    assert_non_null(db);
    assert_int_equal(db_open(db, d->path, 0), STORE_OK);
    MDB_envinfo info;
    assert_int_equal(mdb_env_info(db->env, &info), 0);
    assert_true(info.me_mapsize == (size_t)64 << 30);
    assert_int_equal(info.me_maxreaders, 1024);
    unsigned flags;
    assert_int_equal(mdb_env_get_flags(db->env, &flags), 0);
    assert_int_equal(flags & (MDB_NOSYNC | MDB_NOMETASYNC | MDB_WRITEMAP | MDB_MAPASYNC), 0);
    assert_true(flags & MDB_NOTLS);
    db_close(db);
    db_close(db);  /* again: nothing */
    free(db);
}

static void test_second_instance_is_refused(void **state)
{
    struct data_dir *d = *state;
    data_dir_open(d);
    struct db *second = calloc(1, sizeof(*second));
    assert_non_null(second);
    char want[700];
    snprintf(want, sizeof(want), "%s is in use by another instance (pid %ld)", d->path,
             (long)getpid());
    assert_int_equal(db_open(second, d->path, 16 * MIB), STORE_IN_USE);
    assert_string_equal(second->why, want);
    db_close(second);  /* holds nothing, closes nothing */
    assert_int_equal(db_open(second, d->path, 16 * MIB), STORE_IN_USE);
    assert_string_equal(second->why, want);
    MDB_txn *txn = data_dir_begin(d, true);
    data_dir_commit(d, txn);
    data_dir_close(d);
    assert_int_equal(db_open(second, d->path, 16 * MIB), STORE_OK);
    assert_int_equal(second->boot, 2);
    db_close(second);
    free(second);
}

/* A child is killed in the middle of a write transaction; what it had committed is there, its
 * lock is free, nothing else is. */
static void test_kill_leaves_the_last_commit(void **state)
{
    struct data_dir *d = *state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct db *db = calloc(1, sizeof(*db));
        MDB_txn *txn;
        store_id id;
        if (!db || db_open(db, d->path, 16 * MIB) != STORE_OK) _exit(1);
        if (db_begin(db, true, &txn) != STORE_OK) _exit(2);
        if (db_meta_put(db, txn, "kept", 7) != STORE_OK) _exit(3);
        if (db_next_id(db, txn, UNIT_TEAM, &id) != STORE_OK) _exit(4);
        if (db_commit(db, txn) != STORE_OK) _exit(5);
        if (db_begin(db, true, &txn) != STORE_OK) _exit(6);
        if (db_meta_put(db, txn, "lost", 7) != STORE_OK) _exit(7);
        kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    struct db *db = data_dir_open(d);
    assert_int_equal(db->boot, 2);
    MDB_txn *txn = data_dir_begin(d, true);
    uint64_t value;
    store_id id;
    assert_int_equal(db_meta_get(db, txn, "kept", &value), STORE_OK);
    assert_int_equal(value, 7);
    assert_int_equal(db_meta_get(db, txn, "lost", &value), STORE_OK);
    assert_int_equal(value, 0);
    assert_int_equal(db_next_id(db, txn, UNIT_TEAM, &id), STORE_OK);
    assert_true(id == store_id_make(UNIT_TEAM, 2));
    db_abort(txn);
}

static void test_boots_are_counted(void **state)
{
    struct data_dir *d = *state;
    for (uint64_t boot = 1; boot <= 4; boot++) {
        assert_int_equal(data_dir_open(d)->boot, boot);
    }
}

/* Overwrite the stored schema version; 0 takes it away. */
static void schema_put(struct data_dir *d, uint64_t schema)
{
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    assert_int_equal(db_meta_put(db, txn, "schema", schema), STORE_OK);
    data_dir_commit(d, txn);
    data_dir_close(d);
}

static void test_newer_schema_is_refused(void **state)
{
    struct data_dir *d = *state;
    schema_put(d, DB_SCHEMA + 1);
    struct db *db = calloc(1, sizeof(*db));
    assert_non_null(db);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(db_open(db, d->path, 16 * MIB), STORE_FAIL);
        assert_non_null(strstr(db->why, "was written by a newer version (schema "));
        assert_null(db->env);
        assert_null((void *)db->filter);
        assert_int_equal(db->lock_fd, -1);
    }
    free(db);
}

static void test_store_without_schema_is_damaged(void **state)
{
    struct data_dir *d = *state;
    schema_put(d, 0);
    struct db *db = calloc(1, sizeof(*db));
    assert_non_null(db);
    assert_int_equal(db_open(db, d->path, 16 * MIB), STORE_FAIL);
    assert_non_null(strstr(db->why, "the schema version in "));
    assert_non_null(strstr(db->why, "is damaged"));
    free(db);
}

/* Opening d->path below must fail, with words in the sentence, and hold nothing. */
static void check_open_fails(const char *path, const char *words)
{
    struct db *db = calloc(1, sizeof(*db));
    assert_non_null(db);
    assert_int_equal(db_open(db, path, 16 * MIB), STORE_FAIL);
    if (!strstr(db->why, words)) fail_msg("\"%s\" lacks \"%s\"", db->why, words);
    assert_null(db->env);
    assert_int_equal(db->lock_fd, -1);
    free(db);
}

static void test_open_failures_are_sentences(void **state)
{
    struct data_dir *d = *state;
    char path[2000], deep[600];
    snprintf(deep, sizeof(deep), "%s/a/b", d->base);
    check_open_fails(deep, "cannot make the directory");
    check_open_fails(deep, "No such file or directory");
    check_open_fails("", "path has 0 bytes, allowed are 1 to 999");
    memset(path, 'a', sizeof(path));
    path[DB_DIR_MAX] = '\0';
    check_open_fails(path, "path has 1000 bytes, allowed are 1 to 999");
    path[DB_DIR_MAX - 1] = '\0';
    check_open_fails(path, "File name too long");

    FILE *f = fopen(d->path, "w");  /* DATA is a file */
    assert_non_null(f);
    fclose(f);
    check_open_fails(d->path, "Not a directory");
    assert_int_equal(unlink(d->path), 0);

    assert_int_equal(mkdir(d->path, 0700), 0);
    snprintf(path, sizeof(path), "%s/lock", d->path);
    assert_int_equal(mkdir(path, 0700), 0);
    check_open_fails(d->path, "/lock: Is a directory");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("/dev/null", path), 0);
    check_open_fails(d->path, "cannot open ");
    assert_int_equal(unlink(path), 0);

    file_put(d, "/store", "");
    check_open_fails(d->path, "cannot open the store ");
    snprintf(path, sizeof(path), "%s/store", d->path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    char junk[8192];
    memset(junk, 'j', sizeof(junk));
    junk[sizeof(junk) - 1] = '\0';
    file_put(d, "/store/data.mdb", junk);
    check_open_fails(d->path, "cannot open the store ");
    snprintf(path, sizeof(path), "%s/store/data.mdb", d->path);
    assert_int_equal(unlink(path), 0);
    data_dir_open(d);  /* nothing of all that is in the way */
}

static void test_lock_without_a_pid(void **state)
{
    struct data_dir *d = *state;
    data_dir_open(d);
    struct db *db = calloc(1, sizeof(*db));
    assert_non_null(db);
    static const char *const texts[] = {"", "\n", "x\n", "-3\n", "0\n"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        file_put(d, "/lock", texts[i]);
        assert_int_equal(db_open(db, d->path, 16 * MIB), STORE_IN_USE);
        assert_non_null(strstr(db->why, "is in use by another instance"));
        assert_null(strstr(db->why, "pid"));
    }
    free(db);
}

/* --- transactions */

static void test_numbers_as_keys_sort(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0, 1, 255, 256, 65535, UINT64_C(1) << 40, UINT64_MAX};
    uint8_t before[8], after[8];
    for (size_t i = 0; i < COUNT(numbers); i++) {
        db_be64(after, numbers[i]);
        assert_true(db_from_be64(after) == numbers[i]);
        if (i > 0) assert_true(memcmp(before, after, sizeof(after)) < 0);
        memcpy(before, after, sizeof(after));
    }
}

static void test_counters_survive_and_ids_never_repeat(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    store_id id;
    for (unsigned round = 1; round <= 3; round++) {
        MDB_txn *txn = data_dir_begin(d, true);
        for (unsigned kind = 0; kind < UNIT_KINDS; kind++) {
            assert_int_equal(db_next_id(db, txn, (enum unit_kind)kind, &id), STORE_OK);
            assert_true(id == store_id_make((enum unit_kind)kind, round));
        }
        data_dir_commit(d, txn);
        txn = data_dir_begin(d, true);  /* dropped: the next one may have the number */
        assert_int_equal(db_next_id(db, txn, UNIT_KEY, &id), STORE_OK);
        db_abort(txn);
        db = data_dir_open(d);
    }
    char name[64];
    memset(name, 'n', sizeof(name));
    name[63] = '\0';
    MDB_txn *txn = data_dir_begin(d, true);
    uint64_t value = 3;
    assert_int_equal(db_meta_get(db, txn, name, &value), STORE_OK);
    assert_int_equal(value, 0);
    assert_int_equal(db_meta_put(db, txn, name, UINT64_MAX), STORE_OK);
    assert_int_equal(db_meta_get(db, txn, name, &value), STORE_OK);
    assert_true(value == UINT64_MAX);
    MDB_val key = {3, (char[]){"odd"}}, data = {3, (char[]){"abc"}};
    assert_int_equal(mdb_put(txn, db->dbi[DB_META], &key, &data, 0), 0);
    assert_int_equal(db_meta_get(db, txn, "odd", &value), STORE_FAIL);
    assert_non_null(strstr(db->why, "odd in "));
    db_abort(txn);
}

static void test_codes_become_results(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    static const struct { int code; enum store_rc rc; const char *words; } cases[] = {
        {0, STORE_OK, ""}, {MDB_NOTFOUND, STORE_NOT_FOUND, ""},
        {MDB_KEYEXIST, STORE_CONFLICT, ""},
        {MDB_MAP_FULL, STORE_FULL, "the store has grown to the size reserved for it"},
        {ENOSPC, STORE_FULL, "no space is left on the disk"},
        {EDQUOT, STORE_FULL, "no space is left on the disk"},
        {MDB_TXN_FULL, STORE_FULL, "MDB_TXN_FULL"},
        {EIO, STORE_FAIL, "Input/output error"}, {MDB_PANIC, STORE_FAIL, "MDB_PANIC"},
        {MDB_BAD_TXN, STORE_FAIL, "MDB_BAD_TXN"}, {99999, STORE_FAIL, "unknown error"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        db->why[0] = '\0';
        assert_int_equal(db_rc(db, cases[i].code, "test"), cases[i].rc);
        if (!*cases[i].words) assert_string_equal(db->why, "");
        else assert_non_null(strstr(db->why, cases[i].words));
        if (*cases[i].words) assert_int_equal(strncmp(db->why, "cannot test in /", 16), 0);
    }
}

static void test_generation_rises_with_committed_policy_only(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    assert_int_equal(db_meta_put(db, txn, "x", 1), STORE_OK);
    data_dir_commit(d, txn);
    assert_int_equal(atomic_load(&db->generation), 1);
    txn = data_dir_begin(d, true);
    db->dirty = true;
    db_abort(txn);
    txn = data_dir_begin(d, true);  /* what was dropped does not count for the next */
    data_dir_commit(d, txn);
    assert_int_equal(atomic_load(&db->generation), 1);
    txn = data_dir_begin(d, true);
    db->dirty = true;
    assert_int_equal(atomic_load(&db->generation), 1);
    MDB_txn *reader = data_dir_begin(d, false);  /* does not forget the writer's mark */
    db_abort(reader);
    data_dir_commit(d, txn);
    assert_int_equal(atomic_load(&db->generation), 2);
    txn = data_dir_begin(d, true);
    data_dir_commit(d, txn);
    assert_int_equal(atomic_load(&db->generation), 2);
}

/* A full map refuses in a sentence, and the store goes on with what it has; a larger map
 * takes more. */
static void test_full_store(void **state)
{
    struct data_dir *d = *state;
    struct db *db = d->db = calloc(1, sizeof(*db));
    assert_non_null(db);
    assert_int_equal(db_open(db, d->path, 256 * 1024), STORE_OK);
    static char blob[16 * 1024];
    enum store_rc rc = STORE_OK;
    uint64_t count = 0;
    while (rc == STORE_OK && count < 100) {
        uint8_t name[8];
        db_be64(name, count);
        MDB_val key = {sizeof(name), name}, data = {sizeof(blob), blob};
        MDB_txn *txn = data_dir_begin(d, true);
        db->dirty = true;
        rc = db_rc(db, mdb_put(txn, db->dbi[DB_FEEDBACK], &key, &data, 0), "put");
        if (rc != STORE_OK) db_abort(txn);
        else rc = db_commit(db, txn);
        if (rc == STORE_OK) count++;
    }
    assert_int_equal(rc, STORE_FULL);
    assert_non_null(strstr(db->why, "the store has grown to the size reserved for it"));
    assert_in_range(count, 1, 20);
    assert_int_equal(atomic_load(&db->generation), 1 + count);
    db = data_dir_open(d);
    MDB_txn *txn = data_dir_begin(d, true);
    assert_int_equal(data_dir_rows(d, txn, DB_FEEDBACK), count);
    assert_int_equal(db_meta_put(db, txn, "x", 1), STORE_OK);
    data_dir_commit(d, txn);
}

/* --- readers */

static void *reader_use(void *arg)
{
    MDB_txn *reader = arg;
    if (mdb_txn_renew(reader) != 0) return NULL;
    mdb_txn_reset(reader);
    return reader;
}

/* Several on one thread beside a writer; each sees what was committed when it was renewed. */
static void test_reader_sees_what_was_committed_at_renewal(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    MDB_txn *old, *new;
    assert_int_equal(db_reader(db, &old), STORE_OK);
    assert_int_equal(db_reader(db, &new), STORE_OK);
    assert_int_equal(mdb_txn_renew(old), 0);
    MDB_txn *txn = data_dir_begin(d, true);
    assert_int_equal(db_meta_put(db, txn, "x", 5), STORE_OK);
    data_dir_commit(d, txn);
    assert_int_equal(mdb_txn_renew(new), 0);
    uint64_t value;
    assert_int_equal(db_meta_get(db, old, "x", &value), STORE_OK);
    assert_int_equal(value, 0);
    assert_int_equal(db_meta_get(db, new, "x", &value), STORE_OK);
    assert_int_equal(value, 5);
    mdb_txn_reset(old);
    mdb_txn_reset(new);
    pthread_t thread;
    void *used = NULL;
    assert_int_equal(pthread_create(&thread, NULL, reader_use, old), 0);
    assert_int_equal(pthread_join(thread, &used), 0);
    assert_ptr_equal(used, old);
    assert_int_equal(mdb_txn_renew(old), 0);
    assert_int_equal(db_meta_get(db, old, "x", &value), STORE_OK);
    assert_int_equal(value, 5);
    db_abort(old);
    db_abort(new);  /* in reset state */
}

static void test_readers_up_to_the_limit(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    static MDB_txn *readers[1024];
    MDB_txn *more;
    for (size_t i = 0; i < COUNT(readers); i++) {
        assert_int_equal(db_reader(db, &readers[i]), STORE_OK);
    }
    assert_int_equal(db_reader(db, &more), STORE_FAIL);
    assert_non_null(strstr(db->why, "cannot begin to read in "));
    db_abort(readers[7]);
    assert_int_equal(db_reader(db, &readers[7]), STORE_OK);
    for (size_t i = 0; i < COUNT(readers); i++) db_abort(readers[i]);
}

/* --- filter */

/* Hashes that look like SHA-256, without it (splitmix64's step and finish). */
static void hash_fill(uint64_t seed, uint8_t hash[STORE_KEY_HASH])
{
    for (size_t i = 0; i < 4; i++) {
        uint64_t x = seed * 4 + i + 1;
        x *= UINT64_C(0x9e3779b97f4a7c15);
        x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
        x ^= x >> 31;
        memcpy(hash + 8 * i, &x, sizeof(x));
    }
}

static void test_filter_knows_all_and_few_others(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    uint8_t hash[STORE_KEY_HASH];
    assert_in_range(db->filter_bits, 10 * 1000 * 1000, 11 * 1000 * 1000);
    for (uint64_t i = 0; i < 1000; i++) {
        hash_fill(i, hash);
        assert_false(db_filter_has(db, hash));
    }
    enum { KEYS = 200000 };
    for (uint64_t i = 0; i < KEYS; i++) {
        hash_fill(i, hash);
        db_filter_add(db, hash);
    }
    unsigned passed = 0;
    for (uint64_t i = 0; i < KEYS; i++) {
        hash_fill(i, hash);
        assert_true(db_filter_has(db, hash));
        hash_fill(KEYS + i, hash);
        passed += db_filter_has(db, hash);
    }
    assert_true(passed < KEYS / 1000);  /* a fifth full; 0.001 % are to be expected */
}

/* Each of the seven probes counts, and reaches all of the filter. */
static void test_filter_probes(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    uint8_t hash[STORE_KEY_HASH];
    memset(hash, 0xff, sizeof(hash));
    db_filter_add(db, hash);
    uint64_t last = atomic_load(&db->filter[db->filter_bits / 64 - 1]);
    assert_true(last == UINT64_C(1) << 63);
    assert_true(db_filter_has(db, hash));
    for (unsigned probe = 0; probe < 8; probe++) {
        memset(hash, 0xff, sizeof(hash));
        memset(hash + probe * 4, 0x11, 4);
        assert_int_equal(db_filter_has(db, hash), probe == 7);
    }
}

static void test_filter_is_loaded_at_open(void **state)
{
    struct data_dir *d = *state;
    struct db *db = data_dir_open(d);
    uint8_t hash[STORE_KEY_HASH], id[8] = {5};
    MDB_txn *txn = data_dir_begin(d, true);
    enum { KEYS = 300 * 1000 };  /* more than a quarter of the least size: it grows */
    for (uint64_t i = 0; i < KEYS; i++) {
        hash_fill(i, hash);
        MDB_val key = {sizeof(hash), hash}, data = {sizeof(id), id};
        assert_int_equal(mdb_put(txn, db->dbi[DB_HASHES], &key, &data, 0), 0);
    }
    data_dir_commit(d, txn);
    db = data_dir_open(d);
    assert_in_range(db->filter_bits, 4 * 10 * KEYS, 4 * 10 * KEYS + 63);
    for (uint64_t i = 0; i < KEYS; i++) {
        hash_fill(i, hash);
        assert_true(db_filter_has(db, hash));
    }
    txn = data_dir_begin(d, true);
    MDB_val key = {3, (char[]){"odd"}}, data = {sizeof(id), id};
    assert_int_equal(mdb_put(txn, db->dbi[DB_HASHES], &key, &data, 0), 0);
    data_dir_commit(d, txn);
    data_dir_close(d);
    check_open_fails(d->path, "cannot read the key hashes in ");
}

/* A hole in the table of readers would be SIGBUS on a full disk, when a core first reads. */
static void test_the_table_of_readers_has_its_room(void **state)
{
    struct data_dir *d = *state;
    for (int again = 0; again <= 1; again++) {
        struct db *db = data_dir_open(d);
        char path[600];
        struct stat st;
        (void)snprintf(path, sizeof path, "%s/store/lock.mdb", d->path);
        assert_int_equal(stat(path, &st), 0);
        assert_true(st.st_size >= 1024 * 64);
        assert_true((uint64_t)st.st_blocks * 512 >= (uint64_t)st.st_size);
        MDB_envinfo info;
        assert_int_equal(mdb_env_info(db->env, &info), 0);
        assert_int_equal(info.me_maxreaders, 1024);
        data_dir_close(d);
        assert_int_equal(truncate(path, 0), 0);      /* as a Weir before may have left it */
        assert_int_equal(truncate(path, 8192), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_id_text_and_number_convert_both_ways),
        cmocka_unit_test(test_id_none),
        cmocka_unit_test(test_id_texts_are_fixed_for_ever),
        cmocka_unit_test(test_id_altered_texts),
        cmocka_unit_test(test_id_refuses_other_forms),
        cmocka_unit_test(test_id_parse_reads_no_byte_too_far),
        DATA_TEST(test_open_makes_a_private_directory),
        DATA_TEST(test_open_with_the_default_map),
        DATA_TEST(test_second_instance_is_refused),
        DATA_TEST(test_kill_leaves_the_last_commit),
        DATA_TEST(test_boots_are_counted),
        DATA_TEST(test_newer_schema_is_refused),
        DATA_TEST(test_store_without_schema_is_damaged),
        DATA_TEST(test_open_failures_are_sentences),
        DATA_TEST(test_lock_without_a_pid),
        cmocka_unit_test(test_numbers_as_keys_sort),
        DATA_TEST(test_counters_survive_and_ids_never_repeat),
        DATA_TEST(test_codes_become_results),
        DATA_TEST(test_generation_rises_with_committed_policy_only),
        DATA_TEST(test_full_store),
        DATA_TEST(test_reader_sees_what_was_committed_at_renewal),
        DATA_TEST(test_readers_up_to_the_limit),
        DATA_TEST(test_the_table_of_readers_has_its_room),
        DATA_TEST(test_filter_knows_all_and_few_others),
        DATA_TEST(test_filter_probes),
        DATA_TEST(test_filter_is_loaded_at_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
