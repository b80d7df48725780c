/* test_check.c - a check must pass a sound ledger, changing nothing, and fail for each kind of
 * damage: one thing at a time is changed in a copy of a real data directory (units, keys,
 * budgets, credits, rows of all kinds, journals of a run that was killed), and the line about
 * it must come. */
#include "store/check.h"

#include "store/block.h"
#include "store/credits.h"
#include "store/fold.h"
#include "store/keys.h"
#include "store/ledger.h"
#include "store/limits.h"
#include "store/org.h"
#include "store/tally.h"

#include "store/crc.h"
#include "tests/unit/data_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RUNNING = 8, RING = 64, REQUESTS = 300, KEYS = 3, LINES = 64,
    RUNNING_AT = 4096, HEAD_AT = 128, TAIL_AT = 192, RING_AT = 4096 + 12288,
};

static const uint64_t epoch = UINT64_C(1790000000000000000);

struct made {                   /* what the directory holds */
    store_id org, other, team, member, key[KEYS];
};

/* ---- the directory */

static void make_tree(struct data_dir *d, struct made *m)
{
    MDB_txn *txn = data_dir_begin(d, true);
    struct db *db = d->db;
    assert_int_equal(org_make(db, txn, UNIT_ORGANIZATION, 0, "o", NULL, 1, &m->org), 0);
    assert_int_equal(org_make(db, txn, UNIT_ORGANIZATION, 0, "x", NULL, 1, &m->other), 0);
    assert_int_equal(org_make(db, txn, UNIT_TEAM, m->org, "t", NULL, 1, &m->team), 0);
    assert_int_equal(org_make(db, txn, UNIT_MEMBER, m->team, "m", NULL, 1, &m->member), 0);
    for (int i = 0; i < KEYS; i++) {
        struct key key = {.member = m->member, .hint = "tail"};
        memset(key.hash, i + 1, sizeof(key.hash));
        assert_int_equal(keys_make(db, txn, &key, &m->key[i]), STORE_OK);
    }
    uint8_t hash[STORE_KEY_HASH];
    memset(hash, 77, sizeof(hash));
    assert_int_equal(keys_rotate(db, txn, m->key[1], hash, "new", UINT64_MAX), STORE_OK);
    struct limits limits = {{LIMIT_NONE, 5, LIMIT_NONE, 7, LIMIT_NONE}};
    assert_int_equal(limits_put(db, txn, m->team, &limits), STORE_OK);
    assert_int_equal(credits_mode(db, txn, m->org, true), STORE_OK);
    for (int i = 0; i < 3; i++) {
        struct credit c = {.nusd = 1000 + i, .made_unix_ns = epoch};
        snprintf(c.reference, sizeof(c.reference), "invoice %d", i);
        assert_int_equal(credits_add(db, txn, m->org, &c), STORE_OK);
    }
    data_dir_commit(d, txn);
}

/* Request i: some by Weir's own id, some streams, tags, both kinds of money; two hours. */
static struct record record_of(const struct made *m, uint64_t i)
{
    struct record r;
    memset(&r, 0, sizeof(r));
    r.exchange_id = UINT64_C(3) << 48 | (i + 1);
    r.admitted_unix_ns = epoch + i * UINT64_C(20000000000);
    r.path[UNIT_ORGANIZATION] = m->org;
    r.path[UNIT_TEAM] = m->team;
    r.path[UNIT_MEMBER] = m->member;
    r.path[UNIT_KEY] = m->key[i % KEYS];
    r.cost_nusd = (int64_t)(i * 1001 + 1);
    r.tokens[TOKEN_INPUT] = (uint32_t)i;
    r.tokens[TOKEN_OUTPUT] = 7;
    r.status = i % 10 ? 200 : 502;
    r.close = RECORD_CLOSE_DONE;
    r.ttft_us = 1000;
    r.duration_us = 5000;
    if (i % 2) r.flags = RECORD_PREPAID;
    if (i % 5 == 0) snprintf(r.tags, sizeof(r.tags), "a=%u", (unsigned)(i % 3));
    snprintf(r.model, sizeof(r.model), "mock/%u", (unsigned)(i % 2));
    snprintf(r.request_id, sizeof(r.request_id), "req-%u", (unsigned)i);
    return r;
}

static void end_one(struct journal *j, const struct made *m, uint64_t i)
{
    struct record r = record_of(m, i), attempt = r;
    uint32_t slot = journal_begin(j, &r);
    attempt.cost_nusd = 3;
    attempt.status = 500;
    r.nth = i % 7 == 0;
    if (r.nth) journal_attempt(j, &attempt);
    journal_end(j, slot, &r);
}

static void fold(struct data_dir *d, struct journal **j, size_t max)
{
    uint64_t folded;
    enum store_rc rc = fold_step(d->db, j, 2, max, NULL, NULL, &folded);
    if (rc != STORE_OK) fail_msg("%s", d->db->why);
}

/* Rows, aggregates, meters; behind them two journals with records that are not folded, and
 * exchanges that run, one with a billed attempt that is in the store. */
static void make_dir(struct data_dir *d, struct made *m)
{
    char why[JOURNAL_WHY_MAX];
    struct journal *j[2];
    data_dir_open(d);
    make_tree(d, m);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(journal_open(d->path, i, RUNNING, RING, &j[i], why), STORE_OK);
    }
    for (uint64_t i = 0; i < REQUESTS; i++) {
        end_one(j[i % 2], m, i);
        if (i % 9 == 8) fold(d, j, 100);
    }
    struct record r = record_of(m, 400), feedback = record_of(m, 5);
    feedback.status = 9000;
    assert_true(journal_feedback(j[0], &feedback));
    (void)journal_begin(j[1], &r);
    r.cost_nusd = 5;
    journal_attempt(j[1], &r);
    fold(d, j, 100);
    for (uint64_t i = 500; i < 510; i++) end_one(j[i % 2], m, i);
    fold(d, j, 4);
    r = record_of(m, 600);
    (void)journal_begin(j[0], &r);
    for (unsigned i = 0; i < 2; i++) journal_close(j[i]);
    data_dir_close(d);
}

/* ---- files */

static void file_copy(const char *from, const char *to)
{
    static char bytes[1 << 16];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(in >= 0 && out >= 0);
    for (ssize_t n; (n = read(in, bytes, sizeof(bytes))) > 0;) {
        assert_int_equal(write(out, bytes, (size_t)n), n);
    }
    close(in);
    close(out);
}

static void tree_copy(const char *from, const char *to)
{
    char a[1024], b[1024];
    struct stat st;
    assert_int_equal(mkdir(to, 0700), 0);
    DIR *dir = opendir(from);
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] == '.') continue;
        snprintf(a, sizeof(a), "%.500s/%.400s", from, e->d_name);
        snprintf(b, sizeof(b), "%.500s/%.400s", to, e->d_name);
        assert_int_equal(lstat(a, &st), 0);
        if (S_ISDIR(st.st_mode)) tree_copy(a, b);
        else file_copy(a, b);
    }
    closedir(dir);
}

static uint64_t tree_sum;       /* of names, sizes, times, bytes; nftw has no argument */

static int add_file(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    char bytes[4096];
    (void)ftw;
    uint64_t sum = tree_sum * 31 + crc32c(path, strlen(path)) + (uint64_t)st->st_mtim.tv_nsec;
    int fd = flag == FTW_F ? open(path, O_RDONLY) : -1;
    for (ssize_t n; fd >= 0 && (n = read(fd, bytes, sizeof(bytes))) > 0;) {
        sum = sum * 31 + crc32c(bytes, (size_t)n);
    }
    if (fd >= 0) close(fd);
    tree_sum = sum;
    return 0;
}

static uint64_t sum_of(const char *path)
{
    tree_sum = 1;
    assert_int_equal(nftw(path, add_file, 16, FTW_PHYS), 0);
    return tree_sum;
}

/* ---- checks */

struct lines { size_t count; char line[LINES][CHECK_LINE_MAX]; };

static void keep_line(const char *line, void *arg)
{
    struct lines *l = arg;
    if (l->count < LINES) snprintf(l->line[l->count], CHECK_LINE_MAX, "%.500s", line);
    l->count++;
}

/* Check a directory; what makes it end counts as a line. */
static struct check_found check(const char *dir, struct lines *l)
{
    char why[CHECK_WHY_MAX];
    struct check_found found;
    l->count = 0;
    enum store_rc rc = check_ledger(dir, keep_line, l, &found, why);
    assert_int_equal(found.violations, l->count);
    if (rc != STORE_OK) keep_line(why, l);
    return found;
}

static void assert_sound(const char *dir)
{
    struct lines *l = calloc(1, sizeof(*l));
    assert_non_null(l);
    struct check_found found = check(dir, l);
    if (l->count > 0) fail_msg("%s", l->line[0]);
    assert_false(found.in_use);
    free(l);
}

static void test_a_sound_ledger_passes_unchanged(void **state)
{
    struct data_dir *d = *state;
    struct made m;
    uint64_t recovered, interrupted;
    make_dir(d, &m);
    uint64_t before = sum_of(d->path);
    assert_sound(d->path);
    assert_sound(d->path);
    assert_int_equal(sum_of(d->path), before);
    data_dir_open(d);
    assert_int_equal(fold_recover(d->db, 40, &recovered, &interrupted), STORE_OK);
    assert_int_equal(recovered, 11 - 4);    /* 10 ends and an attempt, less 4 folded */
    assert_int_equal(interrupted, 2);
    data_dir_close(d);
    assert_sound(d->path);
}

/* Rows are kept longer than aggregates, or the other way round. */
static void expire_all(struct data_dir *d, uint64_t rows_later, uint64_t hours_later)
{
    struct made m;
    uint64_t recovered, interrupted, deleted, hour = LEDGER_HOUR_NS;
    make_dir(d, &m);
    data_dir_open(d);
    assert_int_equal(fold_recover(d->db, 40, &recovered, &interrupted), STORE_OK);
    data_dir_close(d);
    for (uint64_t step = 0; step < 40; step += 2) {
        uint64_t before = epoch + step * hour / 10;
        data_dir_open(d);
        do {
            assert_int_equal(fold_expire(d->db, before - rows_later, before - hours_later, 5,
                                         &deleted), STORE_OK);
        } while (step % 4 && deleted > 0);
        data_dir_close(d);
        assert_sound(d->path);
    }
}

static void test_what_retention_leaves_passes(void **state)
{
    expire_all(*state, 0, LEDGER_HOUR_NS / 2);
}

static void test_what_retention_leaves_of_rows_passes(void **state)
{
    expire_all(*state, 2 * LEDGER_HOUR_NS, 0);
}

static void test_nothing_to_check(void **state)
{
    struct data_dir *d = *state;
    struct lines l;
    char why[CHECK_WHY_MAX];
    struct check_found found;
    assert_int_equal(check_ledger(d->path, keep_line, &l, &found, why), STORE_NOT_FOUND);
    assert_int_equal(access(d->path, F_OK), -1);
    assert_int_equal(mkdir(d->path, 0700), 0);
    assert_int_equal(check_ledger(d->path, keep_line, &l, &found, why), STORE_NOT_FOUND);
    assert_non_null(strstr(why, "cannot open the store"));
    data_dir_open(d);
    data_dir_close(d);
    assert_sound(d->path);      /* empty tables */
}

/* ---- damage to the store */

struct hurt {                   /* a copy that is about to be damaged */
    struct db *db;
    MDB_txn *txn;
    const struct made *made;
    const char *dir;
};

/* The n-th entry of a table: copies, for the transaction writes. */
static MDB_val nth(struct hurt *h, enum db_table table, size_t n, uint8_t *room, MDB_val *key)
{
    MDB_cursor *cursor;
    MDB_val data;
    assert_int_equal(mdb_cursor_open(h->txn, h->db->dbi[table], &cursor), 0);
    for (size_t i = 0; i <= n; i++) {
        assert_int_equal(mdb_cursor_get(cursor, key, &data, MDB_NEXT), 0);
    }
    assert_true(key->mv_size <= 512 && data.mv_size <= 16384 - 512);
    memcpy(room, key->mv_data, key->mv_size);
    memcpy(room + 512, data.mv_data, data.mv_size);
    key->mv_data = room;
    mdb_cursor_close(cursor);
    return (MDB_val){data.mv_size, room + 512};
}

/* Add to a byte of the n-th value. */
static void bend(struct hurt *h, enum db_table table, size_t n, size_t at, uint8_t by)
{
    uint8_t room[16384];
    MDB_val key, data = nth(h, table, n, room, &key);
    assert_true(at < data.mv_size);
    ((uint8_t *)data.mv_data)[at] = (uint8_t)(((uint8_t *)data.mv_data)[at] + by);
    assert_int_equal(mdb_put(h->txn, h->db->dbi[table], &key, &data, 0), 0);
}

static void drop(struct hurt *h, enum db_table table, size_t n)
{
    uint8_t room[16384];
    MDB_val key;
    (void)nth(h, table, n, room, &key);
    assert_int_equal(mdb_del(h->txn, h->db->dbi[table], &key, NULL), 0);
}

/* Put the n-th value under its key with a byte changed too. */
static void twin(struct hurt *h, enum db_table table, size_t n, size_t at, uint8_t by)
{
    uint8_t room[16384];
    MDB_val key, data = nth(h, table, n, room, &key);
    assert_true(at < key.mv_size);
    room[at] = (uint8_t)(room[at] + by);
    assert_int_equal(mdb_put(h->txn, h->db->dbi[table], &key, &data, MDB_NOOVERWRITE), 0);
}

/* Write a value of 3 bytes. */
static void cut(struct hurt *h, enum db_table table, size_t n)
{
    uint8_t room[16384];
    MDB_val key, data = nth(h, table, n, room, &key);
    data.mv_size = 3;
    assert_int_equal(mdb_put(h->txn, h->db->dbi[table], &key, &data, 0), 0);
}

/* Write an aggregate with something added to its tally. */
static void aggregate(struct hurt *h, void (*change)(struct tally *t))
{
    uint8_t room[16384], out[TALLY_BYTES_MAX];
    struct tally t = {.requests = 0};
    MDB_val key, data = nth(h, DB_HOURS, 2, room, &key);
    assert_int_equal(tally_read(&t, data.mv_data, data.mv_size), STORE_OK);
    change(&t);
    data = (MDB_val){tally_write(&t, out), out};
    assert_int_equal(mdb_put(h->txn, h->db->dbi[DB_HOURS], &key, &data, 0), 0);
    tally_fini(&t);
}

static void more_cost(struct tally *t) { t->cost_nusd++; }
static void more_requests(struct tally *t) { t->requests++; }
static void more_tokens(struct tally *t) { t->tokens[TOKEN_OUTPUT]++; }
static void other_bin(struct tally *t) { t->bin[0].idx++; }

static void hurt_cost(struct hurt *h) { aggregate(h, more_cost); }
static void hurt_requests(struct hurt *h) { aggregate(h, more_requests); }
static void hurt_tokens(struct hurt *h) { aggregate(h, more_tokens); }
static void hurt_bins(struct hurt *h) { aggregate(h, other_bin); }
static void hurt_aggregate_gone(struct hurt *h) { drop(h, DB_HOURS, 3); }
static void hurt_aggregate_cut(struct hurt *h) { cut(h, DB_HOURS, 3); }
static void hurt_aggregate_stray(struct hurt *h) { twin(h, DB_HOURS, 0, 49, 5); }
static void hurt_aggregate_key(struct hurt *h) { twin(h, DB_HOURS, 0, 50, 0x90); }
static void hurt_hour_gone(struct hurt *h)      /* all aggregates of the newest hour */
{
    MDB_cursor *cursor;
    MDB_val key, data;
    uint8_t newest[4], room[4];
    assert_int_equal(mdb_cursor_open(h->txn, h->db->dbi[DB_HOURS], &cursor), 0);
    assert_int_equal(mdb_cursor_get(cursor, &key, &data, MDB_LAST), 0);
    memcpy(newest, key.mv_data, sizeof(newest));
    for (;;) {
        memcpy(room, newest, sizeof(room));
        key = (MDB_val){sizeof(room), room};
        if (mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE) != 0) break;
        assert_int_equal(mdb_cursor_del(cursor, 0), 0);
    }
    mdb_cursor_close(cursor);
}
static void hurt_block(struct hurt *h) { bend(h, DB_ROWS, 5, 50, 1); }
static void hurt_block_gone(struct hurt *h) { drop(h, DB_ROWS, 5); }
static void hurt_block_number(struct hurt *h) { twin(h, DB_ROWS, 5, 15, 2); }
static void hurt_block_twice(struct hurt *h) { twin(h, DB_ROWS, 5, 15, 1); }
static void hurt_block_moved(struct hurt *h) { twin(h, DB_ROWS, 5, 5, 1); }
static void hurt_rows_key(struct hurt *h)
{
    MDB_val key = {3, (void *)(uintptr_t)"\xff\xff\xff"}, data = {1, key.mv_data};
    assert_int_equal(mdb_put(h->txn, h->db->dbi[DB_ROWS], &key, &data, 0), 0);
}
static void hurt_id_gone(struct hurt *h) { drop(h, DB_IDS, 9); }
static void hurt_id_other(struct hurt *h) { bend(h, DB_IDS, 9, 15, 1); }
static void hurt_id_stray(struct hurt *h) { twin(h, DB_IDS, 9, 20, 1); }
static void hurt_feedback(struct hurt *h) { bend(h, DB_FEEDBACK, 0, 9, 0x80); }
static void hurt_total(struct hurt *h) { bend(h, DB_SPENT, 0, 8, 1); }
static void hurt_before(struct hurt *h) { bend(h, DB_SPENT, 1, 16, 1); }
static void hurt_head_gone(struct hurt *h) { drop(h, DB_SPENT, 2); }
static void hurt_head_cut(struct hurt *h) { cut(h, DB_SPENT, 2); }
static void hurt_head_hour(struct hurt *h) { bend(h, DB_SPENT, 0, 4, 1); }
static void hurt_head_back(struct hurt *h) { bend(h, DB_SPENT, 0, 4, 0xf0); }
static void hurt_head_wraps(struct hurt *h) { bend(h, DB_SPENT, 0, 15, 0x90); }
static void hurt_reading(struct hurt *h) { bend(h, DB_READINGS, 0, 0, 1); }
static void hurt_reading_gone(struct hurt *h) { drop(h, DB_READINGS, 0); }
static void hurt_reading_cut(struct hurt *h) { cut(h, DB_READINGS, 0); }
static void hurt_reading_stray(struct hurt *h) { twin(h, DB_READINGS, 0, 11, 0xff); }
static void hurt_reading_falls(struct hurt *h) { bend(h, DB_READINGS, 0, 7, 1); }
static void hurt_reading_alone(struct hurt *h) { twin(h, DB_READINGS, 0, 7, 9); }
static void hurt_pool_entries(struct hurt *h) { bend(h, DB_POOLS, 0, 8, 1); }
static void hurt_pool_spent(struct hurt *h) { bend(h, DB_POOLS, 0, 16, 1); }
static void hurt_pool_expired(struct hurt *h) { bend(h, DB_POOLS, 0, 32, 1); }
static void hurt_pool_serial(struct hurt *h) { bend(h, DB_POOLS, 0, 40, 1); }
static void hurt_pool_gone(struct hurt *h) { drop(h, DB_POOLS, 0); }
static void hurt_pool_stray(struct hurt *h) { twin(h, DB_POOLS, 0, 7, 9); }
static void hurt_credit(struct hurt *h) { bend(h, DB_CREDITS, 1, 16, 1); }
static void hurt_credit_gone(struct hurt *h) { drop(h, DB_CREDITS, 1); }
static void hurt_reference(struct hurt *h) { bend(h, DB_REFERENCES, 1, 7, 1); }
static void hurt_reference_gone(struct hurt *h) { drop(h, DB_REFERENCES, 1); }
static void hurt_reference_stray(struct hurt *h) { twin(h, DB_REFERENCES, 1, 10, 1); }
static void hurt_reference_name(struct hurt *h) { bend(h, DB_CREDITS, 1, 25, 1); }
static void hurt_unit_gone(struct hurt *h) { drop(h, DB_UNITS, 2); }
static void hurt_unit_cut(struct hurt *h) { cut(h, DB_UNITS, 3); }
static void hurt_unit_parent(struct hurt *h) { bend(h, DB_UNITS, 2, 8, 1); }
static void hurt_unit_stray(struct hurt *h) { twin(h, DB_UNITS, 2, 7, 7); }
static void hurt_key_gone(struct hurt *h) { drop(h, DB_KEYS, 0); }
static void hurt_key_cut(struct hurt *h) { cut(h, DB_KEYS, 0); }
static void hurt_key_hash(struct hurt *h) { bend(h, DB_KEYS, 0, 41, 1); }
static void hurt_key_member(struct hurt *h) { bend(h, DB_KEYS, 0, 8, 1); }
static void hurt_hash_gone(struct hurt *h) { drop(h, DB_HASHES, 0); }
static void hurt_hash_other(struct hurt *h) { bend(h, DB_HASHES, 0, 7, 2); }
static void hurt_hash_stray(struct hurt *h) { twin(h, DB_HASHES, 0, 3, 1); }
static void hurt_child_gone(struct hurt *h) { drop(h, DB_CHILDREN, 1); }
static void hurt_child_stray(struct hurt *h) { twin(h, DB_CHILDREN, 1, 15, 9); }
static void hurt_child_below(struct hurt *h)
{
    uint8_t name[16];       /* a member is below its team alone */
    db_be64(name, h->made->org);
    db_be64(name + 8, h->made->member);
    MDB_val key = {sizeof(name), name}, data = {0, name};
    assert_int_equal(mdb_put(h->txn, h->db->dbi[DB_CHILDREN], &key, &data, 0), 0);
}
static void hurt_limit_stray(struct hurt *h) { twin(h, DB_LIMITS, 0, 7, 9); }
static void hurt_limit_cut(struct hurt *h) { cut(h, DB_LIMITS, 0); }
static void hurt_policy(struct hurt *h)
{
    struct unit u;
    assert_int_equal(org_get(h->db, h->txn, h->made->team, &u), STORE_OK);
    memcpy(u.policy.blob, "amock/*", 8);
    u.policy.len = 8;
    assert_int_equal(org_put(h->db, h->txn, &u), STORE_OK);
    bend(h, DB_UNITS, 2, 25, 'z' - 'a');
}
static void hurt_serial(struct hurt *h)
{
    assert_int_equal(db_meta_put(h->db, h->txn, "serial.key", 1), STORE_OK);
}

/* Marks: what the store says it has of core-0 and core-1, in any order. */
static void marks_add(struct hurt *h, uint64_t by)
{
    MDB_cursor *cursor;
    MDB_val key, data;
    uint64_t generation, value;
    int met = 0;
    assert_int_equal(mdb_cursor_open(h->txn, h->db->dbi[DB_META], &cursor), 0);
    while (mdb_cursor_get(cursor, &key, &data, MDB_NEXT) == 0) {
        if (!fold_mark_name(key.mv_data, key.mv_size, &generation)) continue;
        memcpy(&value, data.mv_data, sizeof(value));
        value += by;
        data = (MDB_val){sizeof(value), &value};
        assert_int_equal(mdb_cursor_put(cursor, &key, &data, MDB_CURRENT), 0);
        met++;
    }
    assert_int_equal(met, 2);
    mdb_cursor_close(cursor);
}

static void hurt_marks_ahead(struct hurt *h) { marks_add(h, 1000); }
static void hurt_marks_behind(struct hurt *h) { marks_add(h, UINT64_MAX); }
static void hurt_marks_skip(struct hurt *h) { marks_add(h, 1); }
static void hurt_marks_gone(struct hurt *h)
{
    MDB_cursor *cursor;
    MDB_val key, data;
    uint64_t generation;
    assert_int_equal(mdb_cursor_open(h->txn, h->db->dbi[DB_META], &cursor), 0);
    while (mdb_cursor_get(cursor, &key, &data, MDB_NEXT) == 0) {
        if (!fold_mark_name(key.mv_data, key.mv_size, &generation)) continue;
        assert_int_equal(mdb_cursor_del(cursor, 0), 0);
        break;
    }
    mdb_cursor_close(cursor);
}

/* ---- damage to files */

static int file_of(const struct hurt *h, const char *name)
{
    char path[700];
    snprintf(path, sizeof(path), "%s/%s", h->dir, name);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    return fd;
}

static void poke(const struct hurt *h, const char *name, off_t at, const void *bytes,
                 size_t len)
{
    int fd = file_of(h, name);
    assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
    close(fd);
}

static uint64_t peek(const struct hurt *h, const char *name, off_t at)
{
    uint64_t value;
    int fd = file_of(h, name);
    assert_int_equal(pread(fd, &value, sizeof(value), at), sizeof(value));
    close(fd);
    return value;
}

/* Where the newest record of a journal lies. */
static off_t newest_at(const struct hurt *h, const char *name)
{
    uint64_t head = peek(h, name, HEAD_AT);
    return RING_AT + (off_t)((head - 1) % RING) * RECORD_BYTES;
}

static void rewrite(const struct hurt *h, const char *name, off_t at,
                    void (*change)(struct record *r))
{
    struct record r;
    int fd = file_of(h, name);
    assert_int_equal(pread(fd, &r, sizeof(r), at), sizeof(r));
    assert_true(record_is_sound(&r));
    change(&r);
    record_seal(&r);
    assert_int_equal(pwrite(fd, &r, sizeof(r), at), sizeof(r));
    close(fd);
}

static void other_seq(struct record *r) { r->seq += 3; }
static void other_exchange(struct record *r) { r->exchange_id = UINT64_C(3) << 48 | 8; }
static void like_500(struct record *r) { r->exchange_id = UINT64_C(3) << 48 | 507; }

static void hurt_record(struct hurt *h)
{
    poke(h, "journal/core-0", newest_at(h, "journal/core-0") + 60, "damage", 6);
}
static void hurt_record_seq(struct hurt *h)
{
    rewrite(h, "journal/core-0", newest_at(h, "journal/core-0"), other_seq);
}
static void hurt_record_twice(struct hurt *h)       /* an id that a row ended with */
{
    rewrite(h, "journal/core-0", newest_at(h, "journal/core-0"), other_exchange);
}
static void hurt_records_twice(struct hurt *h)      /* ... that another record ended with */
{
    rewrite(h, "journal/core-1", newest_at(h, "journal/core-1"), like_500);
}
static void hurt_tail(struct hurt *h)
{
    uint64_t tail = peek(h, "journal/core-0", TAIL_AT) + 1;
    poke(h, "journal/core-0", TAIL_AT, &tail, sizeof(tail));
}
static void hurt_tails_behind(struct hurt *h)
{
    for (int i = 0; i < 2; i++) {
        const char *name = i ? "journal/core-1" : "journal/core-0";
        uint64_t tail = peek(h, name, TAIL_AT) - 1;
        poke(h, name, TAIL_AT, &tail, sizeof(tail));
    }
}
static void hurt_ends(struct hurt *h)
{
    uint64_t head = UINT64_C(1) << 40;
    poke(h, "journal/core-0", HEAD_AT, &head, sizeof(head));
}
static void hurt_running(struct hurt *h)
{
    for (int slot = 0; slot < RUNNING; slot++) {
        off_t at = RUNNING_AT + slot * 1088;
        if (!(peek(h, "journal/core-0", at) & 1)) continue;
        for (int copy = 0; copy < 2; copy++) {
            poke(h, "journal/core-0", at + 64 + copy * RECORD_BYTES + 100, "damage", 6);
        }
    }
}
static void hurt_running_gone(struct hurt *h)       /* the attempt's exchange never ends then */
{
    uint64_t none = 0;
    for (int slot = 0; slot < RUNNING; slot++) {
        poke(h, "journal/core-1", RUNNING_AT + slot * 1088, &none, sizeof(none));
    }
}
static void hurt_header(struct hurt *h) { poke(h, "journal/core-1", 20, "x", 1); }
static void hurt_magic(struct hurt *h) { poke(h, "journal/core-1", 0, "W", 1); }
static void hurt_file_cut(struct hurt *h)
{
    int fd = file_of(h, "journal/core-1");
    assert_int_equal(ftruncate(fd, RING_AT), 0);
    close(fd);
}
static void hurt_file_gone(struct hurt *h)
{
    char path[700];
    snprintf(path, sizeof(path), "%s/journal/core-1", h->dir);
    assert_int_equal(unlink(path), 0);
}
static void hurt_file_twice(struct hurt *h)
{
    char from[700], to[700];
    snprintf(from, sizeof(from), "%s/journal/core-1", h->dir);
    snprintf(to, sizeof(to), "%s/journal/core-7", h->dir);
    file_copy(from, to);
}
static void hurt_store_cut(struct hurt *h)
{
    struct stat st;
    int fd = file_of(h, "store/data.mdb");
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(ftruncate(fd, st.st_size / 2), 0);
    close(fd);
}
static void hurt_schema(struct hurt *h)
{
    assert_int_equal(db_meta_put(h->db, h->txn, "schema", DB_SCHEMA - 1), STORE_OK);
}

static const struct {
    const char *line;
    void (*store)(struct hurt *h);      /* in a write transaction */
    void (*file)(struct hurt *h);
} hurts[] = {
    {"cost in nano-dollars: expected", hurt_cost, NULL},
    {"requests: expected", hurt_requests, NULL},
    {"output tokens: expected", hurt_tokens, NULL},
    {"distribution of times", hurt_bins, NULL},
    {"found no aggregate", hurt_aggregate_gone, NULL},
    {"expected sums, found what cannot be read", hurt_aggregate_cut, NULL},
    {"found no aggregate", hurt_hour_gone, NULL},
    {"expected 0 nano-dollars as in the aggregates", hurt_hour_gone, NULL},
    {"requests: expected 0 as in its rows", hurt_aggregate_stray, NULL},
    {"found a key that is none", hurt_aggregate_key, NULL},
    {"expected its checksum, found another: it is damaged", hurt_block, NULL},
    {"as in its rows, found", hurt_block_gone, NULL},
    {"expected block 1, found 2", hurt_block_number, NULL},
    {"expected one end, found two", hurt_block_twice, NULL},
    {"expected one end in rows and journals, found another", hurt_block_twice, NULL},
    {"expected a row of that time", hurt_block_moved, NULL},
    {"expected keys of 16 bytes", hurt_rows_key, NULL},
    {"expected an entry that leads to it, found none", hurt_id_gone, NULL},
    {"expected a row with that id, found none", hurt_id_other, NULL},
    {"expected a row with that id, found another", hurt_id_stray, NULL},
    {"expected a score", hurt_feedback, NULL},
    {"nano-dollars as in the aggregates", hurt_total, NULL},
    {"expected its newest reading", hurt_before, NULL},
    {"expected its state too, found a reading alone", hurt_head_gone, NULL},
    {"expected its state, found what is none", hurt_head_cut, NULL},
    {"nano-dollars as in the aggregates", hurt_head_hour, NULL},
    {"expected readings before its newest hour alone", hurt_head_back, NULL},
    {"expected a total that fits", hurt_head_wraps, NULL},
    {"nano-dollars as in the aggregates", hurt_reading, NULL},
    {"nano-dollars as in the aggregates", hurt_reading_gone, NULL},
    {"expected a reading of 8 bytes", hurt_reading_cut, NULL},
    {"nano-dollars as in the aggregates", hurt_reading_stray, NULL},
    {"expected a reading not below the one before", hurt_reading_falls, NULL},
    {"found a reading alone", hurt_reading_alone, NULL},
    {"sum of entries: expected 3003, found 3004", hurt_pool_entries, NULL},
    {"spent by rows there are and rows that expired", hurt_pool_spent, NULL},
    {"spent by rows there are and rows that expired", hurt_pool_expired, NULL},
    {"newest entry: expected 3, found 4", hurt_pool_serial, NULL},
    {"expected one for its entries, found none", hurt_pool_gone, NULL},
    {"expected one for its prepaid rows, found none", hurt_pool_gone, NULL},
    {"expected that of an organization, found another", hurt_pool_stray, NULL},
    {"sum of entries", hurt_credit, NULL},
    {"expected entry 2, found 3", hurt_credit_gone, NULL},
    {"found that it leads to another", hurt_reference, NULL},
    {"found that it leads to none", hurt_reference_gone, NULL},
    {"expected 3, one for each entry, found 4", hurt_reference_stray, NULL},
    {"found that it leads to none", hurt_reference_name, NULL},
    {"expected the unit above it, found none", hurt_unit_gone, NULL},
    {"expected a unit, found damage", hurt_unit_cut, NULL},
    {"index of units: expected team_", hurt_unit_parent, NULL},
    {"index of units: expected", hurt_unit_stray, NULL},
    {"found one that leads to key_", hurt_key_gone, NULL},
    {"expected a key, found damage", hurt_key_cut, NULL},
    {"expected its hash in the index of keys", hurt_key_hash, NULL},
    {"expected its member and the units above", hurt_key_member, NULL},
    {"expected its hash in the index of keys", hurt_hash_gone, NULL},
    {"expected its hash in the index of keys", hurt_hash_other, NULL},
    {"index of keys: expected 4 entries, found 5", hurt_hash_stray, NULL},
    {"found it not", hurt_child_gone, NULL},
    {"expected what is below org_", hurt_child_stray, NULL},
    {"expected what is below org_", hurt_child_below, NULL},
    {"expected a unit or key, found none", hurt_limit_stray, NULL},
    {"expected amounts, found damage", hurt_limit_cut, NULL},
    {"expected a policy that can be read", hurt_policy, NULL},
    {"serials of kind key: expected at least 3, found 1", hurt_serial, NULL},
    {"as many as the store has folded, found", hurt_marks_ahead, NULL},
    {"expected no row of it in the store", hurt_marks_behind, hurt_tails_behind},
    {"records given up", hurt_marks_gone, NULL},
    {"an older version (schema", hurt_schema, NULL},
    {"expected its checksum, found another: it is damaged", NULL, hurt_record},
    {"expected that sequence number, found", NULL, hurt_record_seq},
    {"expected one end in rows and journals, found another", NULL, hurt_record_twice},
    {"expected one end, found two", NULL, hurt_records_twice},
    {"records given up", NULL, hurt_tail},
    {"the ends of its ring are damaged", NULL, hurt_ends},
    {"expected a sound record, found none", NULL, hurt_running},
    {"expected an end of the exchange whose attempt it is", NULL, hurt_running_gone},
    {"its header is damaged", NULL, hurt_header},
    {"not a journal", NULL, hurt_magic},
    {"its length is wrong", NULL, hurt_file_cut},
    {"expected the file of which", NULL, hurt_file_gone},
    {"found a copy of journal/core-", NULL, hurt_file_twice},
    {"data.mdb is cut off", NULL, hurt_store_cut},
};

/* Damage a copy of the directory, check it. */
static void hurt_copy(const struct data_dir *d, const struct made *m, size_t i, struct lines *l)
{
    char dir[600];
    snprintf(dir, sizeof(dir), "%s/copy", d->base);
    tree_copy(d->path, dir);
    struct hurt h = {.made = m, .dir = dir};
    if (hurts[i].file) hurts[i].file(&h);
    if (hurts[i].store) {
        h.db = calloc(1, sizeof(*h.db));
        assert_non_null(h.db);
        if (db_open(h.db, dir, 64 * MIB) != STORE_OK) fail_msg("%s", h.db->why);
        assert_int_equal(db_begin(h.db, true, &h.txn), STORE_OK);
        hurts[i].store(&h);
        assert_int_equal(db_commit(h.db, h.txn), STORE_OK);
        db_close(h.db);
        free(h.db);
    }
    uint64_t before = sum_of(dir);
    check(dir, l);
    assert_int_equal(sum_of(dir), before);
    assert_int_equal(nftw(dir, data_dir_unlink, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void test_each_damage_is_found(void **state)
{
    struct data_dir *d = *state;
    struct made m;
    struct lines *l = calloc(1, sizeof(*l));
    size_t missed = 0;
    assert_non_null(l);
    make_dir(d, &m);
    for (size_t i = 0; i < COUNT(hurts); i++) {
        bool found = false;
        hurt_copy(d, &m, i, l);
        for (size_t k = 0; k < l->count && k < LINES; k++) {
            found |= strstr(l->line[k], hurts[i].line) != NULL;
        }
        missed += !found;
        if (found) continue;
        print_error("%zu: no line \"%s\" of %zu\n", i, hurts[i].line, l->count);
        for (size_t k = 0; k < l->count && k < 3; k++) print_error("   %s\n", l->line[k]);
    }
    assert_int_equal(missed, 0);
    free(l);
}

/* A mark ahead by a record that exists: the store is short of it, and all sums agree. Only an
 * exchange whose other parts are there would show it; so marks have no second writing. */
static void test_marks_are_all_there_is_of_what_was_never_folded(void **state)
{
    struct data_dir *d = *state;
    struct made m;
    make_dir(d, &m);
    data_dir_open(d);
    struct hurt h = {.db = d->db, .txn = data_dir_begin(d, true), .made = &m, .dir = d->path};
    hurt_marks_skip(&h);
    data_dir_commit(d, h.txn);
    data_dir_close(d);
    assert_sound(d->path);
}

/* While an instance runs: its newest commit, and no word of journals. */
static void test_a_ledger_in_use(void **state)
{
    struct data_dir *d = *state;
    struct made m;
    struct lines *l = calloc(1, sizeof(*l));
    int ready[2], done[2];
    char byte = 0;
    assert_true(l && pipe(ready) == 0 && pipe(done) == 0);
    make_dir(d, &m);
    struct hurt h = {.dir = d->path};
    hurt_record(&h);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        static struct db db;
        prctl(PR_SET_PDEATHSIG, SIGKILL);       /* a test that failed leaves nobody */
        MDB_txn *reader;        /* as a core's: its place must be its own afterwards */
        if (db_open(&db, d->path, 64 * MIB) != STORE_OK) _exit(1);
        if (db_reader(&db, &reader) != STORE_OK) _exit(2);
        if (write(ready[1], &byte, 1) != 1 || read(done[0], &byte, 1) != 1) _exit(3);
        _exit(mdb_txn_renew(reader) == 0 ? 0 : 4);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    struct check_found found = check(d->path, l);
    if (l->count > 0) fail_msg("%s", l->line[0]);
    assert_true(found.in_use);
    assert_int_equal(write(done[1], &byte, 1), 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(check(d->path, l).violations > 0);
    free(l);
}

/* Ids so far apart that their bits do not fit in the memory there is: more passes. */
static void test_ids_that_take_many_passes(void **state)
{
    struct data_dir *d = *state;
    struct made m;
    enum { MANY = 40000, TWICE = 400 };   /* a page of bits each; 16,384 are kept */
    struct journal *j[2];
    char why[JOURNAL_WHY_MAX];
    struct lines *l = calloc(1, sizeof(*l));
    assert_non_null(l);
    data_dir_open(d);
    make_tree(d, &m);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(journal_open(d->path, i, RUNNING, 4096, &j[i], why), STORE_OK);
    }
    for (uint64_t i = 0; i < MANY + TWICE; i++) {
        struct record r = record_of(&m, 0);
        uint64_t id = i < MANY ? i : (i - MANY) * (MANY / TWICE) + 7;
        r.exchange_id = (id * 7919 % MANY + 1) << 15;
        r.admitted_unix_ns = epoch + i * 1000000;
        r.request_id[0] = '\0';
        journal_end(j[0], journal_begin(j[0], &r), &r);
        while (i % 3000 == 2999 && journal_lag(j[0]) > 0) fold(d, j, 8192);
    }
    while (journal_lag(j[0]) > 0) fold(d, j, 8192);
    for (unsigned i = 0; i < 2; i++) journal_close(j[i]);
    data_dir_close(d);
    check(d->path, l);
    assert_int_equal(l->count, TWICE);
    for (int i = 0; i < LINES; i++) assert_non_null(strstr(l->line[i], "expected one end in"));
    free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATA_TEST(test_a_sound_ledger_passes_unchanged),
        DATA_TEST(test_what_retention_leaves_passes),
        DATA_TEST(test_what_retention_leaves_of_rows_passes),
        DATA_TEST(test_nothing_to_check),
        DATA_TEST(test_each_damage_is_found),
        DATA_TEST(test_marks_are_all_there_is_of_what_was_never_folded),
        DATA_TEST(test_a_ledger_in_use),
        DATA_TEST(test_ids_that_take_many_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
