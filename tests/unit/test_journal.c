/* test_journal.c - the journal's promise, seen from outside: what was acknowledged is in the
 * file in order, once, and whole; what was not is not half there. The checksum's two ways
 * agree; files that are not ours are refused and stay as they are. */
#include "store/crc.h"
#include "store/journal.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

enum { RUNNING = 8, RING = 64, HEADER_BYTES = sizeof(struct journal_header) };

static void path_of(char out[256], const char *dir, const char *name)
{
    snprintf(out, 256, "%s/%s", dir, name);
}

static int make_dir(void **state)
{
    char *dir = strdup("/tmp/weir-journal-XXXXXX");
    assert_non_null(dir);
    assert_non_null(mkdtemp(dir));
    *state = dir;
    return 0;
}

static int remove_dir(void **state)
{
    char *dir = *state, path[256];
    static const char *const names[] = {"journal/core-0", "journal/core-0.new",
                                        "journal/core-1", "journal"};
    for (size_t i = 0; i < COUNT(names); i++) {
        path_of(path, dir, names[i]);
        (void)remove(path);
    }
    (void)remove(dir);
    free(dir);
    return 0;
}

static struct journal *open_journal(const char *dir, uint32_t running, uint32_t ring)
{
    char why[JOURNAL_WHY_MAX];
    struct journal *j = NULL;
    enum store_rc rc = journal_open(dir, 0, running, ring, &j, why);
    if (rc != STORE_OK) print_message("%s\n", why);
    assert_int_equal(rc, STORE_OK);
    return j;
}

static enum store_rc adopt(const char *dir, struct journal **j, char *why)
{
    char path[256];
    path_of(path, dir, "journal/core-0");
    return journal_adopt(path, j, why);
}

static struct record record_of(uint64_t exchange)
{
    struct record r;
    memset(&r, 0, sizeof(r));
    r.exchange_id = exchange;
    r.admitted_unix_ns = 1000 + exchange;
    r.path[UNIT_KEY] = 77;
    r.cost_nusd = (int64_t)exchange * 3;
    r.status = 200;
    r.close = RECORD_CLOSE_DONE;
    snprintf(r.request_id, sizeof(r.request_id), "req-%llu", (unsigned long long)exchange);
    return r;
}

static uint64_t end_one(struct journal *j, uint64_t exchange)
{
    struct record r = record_of(exchange);
    assert_true(journal_has_room(j));
    uint32_t slot = journal_begin(j, &r);
    journal_end(j, slot, &r);
    return exchange;
}

/* ---- checksum */

/* RFC 3720 appendix B.4 */
static void test_crc_known_answers(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0}, ones[32], up[32], down[32];
    memset(ones, 0xff, sizeof(ones));
    for (int i = 0; i < 32; i++) {
        up[i] = (uint8_t)i;
        down[i] = (uint8_t)(31 - i);
    }
    const struct { const uint8_t *data; size_t len; uint32_t crc; } cases[] = {
        {zeros, 32, 0x8a9136aa}, {ones, 32, 0x62a8ab43}, {up, 32, 0x46dd794e},
        {down, 32, 0x113fdb5c},  {(const uint8_t *)"123456789", 9, 0xe3069283},
        {zeros, 0, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(crc32c(cases[i].data, cases[i].len), cases[i].crc);
        assert_int_equal(crc32c_table(cases[i].data, cases[i].len), cases[i].crc);
    }
}

/* At every length, so at every mixture of blocks, words and bytes, flush against a page that
 * cannot be read. */
static void test_crc_both_ways_agree(void **state)
{
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *at = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                       0);
    assert_true(at != MAP_FAILED);
    assert_int_equal(mprotect(at + page, page, PROT_NONE), 0);
    uint32_t seed = 12345;
    for (size_t i = 0; i < page; i++) {
        seed = seed * 1103515245 + 12345;
        at[i] = (uint8_t)(seed >> 16);
    }
    for (size_t len = 0; len <= 2100; len++) {
        const uint8_t *from = at + page - len;
        assert_int_equal(crc32c(from, len), crc32c_table(from, len));
    }
    munmap(at, 2 * page);
}

static void test_every_flipped_bit_shows(void **state)
{
    (void)state;
    struct record r = record_of(5);
    r.version = 1;
    r.kind = RECORD_REQUEST;
    record_seal(&r);
    assert_true(record_is_sound(&r));
    for (size_t bit = 0; bit < 8 * sizeof(r); bit++) {
        struct record bad = r;
        ((uint8_t *)&bad)[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_false(record_is_sound(&bad));
    }
    static const struct { uint8_t version, kind; bool sound; } cases[] = {
        {1, RECORD_NONE, false}, {1, RECORD_ATTEMPT, true}, {1, RECORD_REQUEST, true},
        {1, RECORD_FEEDBACK, true}, {1, RECORD_FEEDBACK + 1, false}, {0, RECORD_REQUEST, false},
        {2, RECORD_REQUEST, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        r.version = cases[i].version;
        r.kind = cases[i].kind;
        record_seal(&r);
        assert_int_equal(record_is_sound(&r), cases[i].sound);
    }
}

/* ---- the ring */

static void test_records_come_back_in_order(void **state)
{
    struct journal *j = open_journal(*state, RUNNING, RING);
    struct record a = record_of(1);
    const struct record *out[RING];
    memset(a.spare, 0xee, sizeof(a.spare));   /* a caller's rubbish does not get in */
    uint32_t slot = journal_begin(j, &a);
    journal_attempt(j, &a);
    journal_end(j, slot, &a);
    a.status = 7;
    assert_true(journal_feedback(j, &a));
    assert_int_equal(journal_lag(j), 3);
    assert_int_equal(journal_peek(j, out, 2), 2);
    assert_int_equal(journal_peek(j, out, RING), 3);
    static const uint8_t kinds[] = {RECORD_ATTEMPT, RECORD_REQUEST, RECORD_FEEDBACK};
    for (size_t i = 0; i < 3; i++) {
        assert_true(record_is_sound(out[i]));
        assert_int_equal(out[i]->seq, i + 1);
        assert_int_equal(out[i]->kind, kinds[i]);
        assert_int_equal(out[i]->exchange_id, 1);
        for (size_t k = 0; k < sizeof(a.spare); k++) assert_int_equal(out[i]->spare[k], 0);
    }
    journal_folded(j, 2);
    assert_int_equal(journal_tail(j), 2);
    assert_int_equal(journal_peek(j, out, RING), 1);
    assert_int_equal(out[0]->seq, 3);
    journal_close(j);
}

static void test_the_ring_wraps(void **state)
{
    struct journal *j = open_journal(*state, RUNNING, RING);
    const struct record *out[RING];
    uint64_t next = 1;
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 20; i++) end_one(j, next++);
        size_t n = journal_peek(j, out, RING);
        assert_int_equal(n, 20);
        for (size_t i = 0; i < n; i++) {
            assert_true(record_is_sound(out[i]));
            assert_int_equal(out[i]->exchange_id, next - 20 + i);
            assert_int_equal(out[i]->seq, out[i]->exchange_id);
        }
        journal_folded(j, out[n - 1]->seq);
    }
    assert_int_equal(journal_lag(j), 0);
    journal_close(j);
}

/* Whatever runs when admission stops can still write its end, whatever attempts others billed;
 * and two of them each of all that were admitted find room, if no feedback took it. */
static void test_room_is_kept_for_what_runs(void **state)
{
    static const struct { uint32_t running, ring; } cases[] = {
        {1, 4}, {8, 8}, {8, 16}, {8, 64}, {64, 64}, {64, 256}, {1000, 64},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct journal *j = open_journal(*state, cases[i].running, cases[i].ring);
        uint32_t slots[1000], count = 0;
        struct record r = record_of(9);
        while (journal_feedback(j, &r) && journal_lag(j) < 5) { }
        for (; journal_has_room(j); count++) slots[count] = journal_begin(j, &r);
        assert_true(count <= cases[i].running);
        assert_true(count == cases[i].running || 3 * count + 3 + journal_lag(j) +
                    cases[i].ring / 16 > cases[i].ring);
        while (journal_feedback(j, &r)) { }
        for (uint32_t k = 0; k < count; k++) {
            while (journal_has_room_more(j) && (k == 0 || journal_lag(j) % 3)) {
                journal_attempt(j, &r);     /* the first one takes all that there is */
            }
            if (k % 2) journal_twin_end(j, slots[k], k % 4 == 1 ? &r : NULL);
            else journal_end(j, slots[k], &r);
        }
        assert_true(journal_lag(j) <= cases[i].ring);
        const struct record **out = calloc(cases[i].ring, sizeof(*out));
        assert_non_null(out);
        size_t n = journal_peek(j, out, cases[i].ring);
        for (size_t k = 0; k < n; k++) assert_true(record_is_sound(out[k]));
        journal_folded(j, n);
        assert_true(journal_has_room(j));
        free(out);
        journal_close(j);
    }
}

static void test_an_unfolded_request_is_found(void **state)
{
    struct journal *j = open_journal(*state, RUNNING, RING);
    struct record r = record_of(3);
    uint64_t exchange;
    memset(r.request_id, 'x', sizeof(r.request_id));   /* full: no NUL */
    uint32_t slot = journal_begin(j, &r);
    journal_attempt(j, &r);
    assert_false(journal_has(j, 77, r.request_id, sizeof(r.request_id)));
    journal_end(j, slot, &r);
    end_one(j, 4);
    assert_true(journal_has(j, 77, r.request_id, sizeof(r.request_id)));
    assert_false(journal_has(j, 77, r.request_id, sizeof(r.request_id) - 1));
    assert_true(journal_has(j, 77, "req-4", 5));
    assert_false(journal_has(j, 78, "req-4", 5));
    assert_false(journal_has(j, 77, "req-4", 4));
    assert_false(journal_has(j, 77, "req-40", 6));
    assert_false(journal_has(j, 77, "", 0));
    r = record_of(5);
    snprintf(r.request_id, sizeof(r.request_id), "req-4");   /* clients repeat their ids */
    slot = journal_begin(j, &r);
    journal_end(j, slot, &r);
    assert_true(journal_find(j, 77, "req-4", 5, &exchange));
    assert_int_equal(exchange, 5);
    journal_folded(j, 4);
    assert_false(journal_has(j, 77, "req-4", 5));
    journal_close(j);
}

/* ---- running entries and files */

static void test_running_entries_survive(void **state)
{
    char why[JOURNAL_WHY_MAX];
    struct journal *j = open_journal(*state, RUNNING, RING);
    struct record r = record_of(1), s = record_of(2), seen;
    uint32_t a = journal_begin(j, &r), b = journal_begin(j, &s);
    assert_int_not_equal(a, b);
    for (uint32_t t = 1; t <= 5; t++) {
        s.tokens[TOKEN_OUTPUT] = t;
        journal_update(j, b, &s);
    }
    journal_end(j, a, &r);
    struct journal *old;
    assert_int_equal(adopt(*state, &old, why), STORE_OK);
    assert_true(journal_same_boot(old));
    assert_int_equal(journal_generation(old), journal_generation(j));
    assert_int_equal(journal_running_max(old), RUNNING);
    for (uint32_t slot = 0; slot < RUNNING; slot++) {
        enum journal_slot found = journal_running(old, slot, &seen);
        assert_int_equal(found, slot == b ? SLOT_RUNNING : SLOT_FREE);
    }
    assert_int_equal(journal_running(old, b, &seen), SLOT_RUNNING);
    assert_int_equal(seen.exchange_id, 2);
    assert_int_equal(seen.tokens[TOKEN_OUTPUT], 5);
    assert_int_equal(journal_lag(old), 1);
    journal_drop(old);
    journal_close(j);
    /* What holds something is not replaced ... */
    assert_int_equal(journal_open(*state, 0, RUNNING, RING, &j, why), STORE_FAIL);
    assert_non_null(strstr(why, "not recovered"));
}

/* ... and what holds nothing is, under another generation. */
static void test_an_empty_file_is_replaced(void **state)
{
    struct journal *j = open_journal(*state, RUNNING, RING);
    uint64_t generation = journal_generation(j);
    end_one(j, 1);
    journal_folded(j, 1);
    journal_close(j);
    j = open_journal(*state, 2 * RUNNING, 2 * RING);
    assert_int_not_equal(journal_generation(j), generation);
    assert_int_equal(journal_lag(j), 0);
    struct stat st;
    char path[256];
    path_of(path, *state, "journal/core-0");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true((off_t)st.st_blocks * 512 >= st.st_size);   /* allocated, not sparse */
    path_of(path, *state, "journal");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    journal_close(j);
}

/* Read, change and write back a file's header. */
static void edit_header(const char *dir, void (*edit)(struct journal_header *h, size_t arg),
                        size_t arg, bool seal)
{
    char path[256];
    struct journal_header h;
    path_of(path, dir, "journal/core-0");
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &h, sizeof(h), 0), sizeof(h));
    edit(&h, arg);
    if (seal) h.crc = crc32c(&h.version, sizeof(h) - offsetof(struct journal_header, version));
    assert_int_equal(pwrite(fd, &h, sizeof(h), 0), sizeof(h));
    close(fd);
}

static void flip(struct journal_header *h, size_t bit)
{
    ((uint8_t *)h)[bit / 8] ^= (uint8_t)(1u << (bit % 8));
}

static void other_boot(struct journal_header *h, size_t arg)
{
    (void)arg;
    h->boot_id[0] ^= 1;
}

static void odd_field(struct journal_header *h, size_t field)
{
    switch (field) {
    case 0: h->version++; break;
    case 1: h->ring_max = RING - 1; break;
    case 2: h->ring_max = RING * 2; break;
    case 3: h->ring_max = 0; break;
    case 4: h->ring_max = 1u << 31; break;
    case 5: h->running_max = 0; break;
    case 6: h->running_max = UINT32_MAX; break;
    case 7: h->record_bytes = 256; break;
    case 8: h->generation = 0; break;
    case 9: memset(h->boot_id, 'x', sizeof(h->boot_id)); break;
    default: h->magic[0] = 'W'; break;
    }
}

static void test_what_is_not_ours_is_refused(void **state)
{
    char why[JOURNAL_WHY_MAX];
    struct journal *old, *j = open_journal(*state, RUNNING, RING);
    end_one(j, 1);
    journal_close(j);
    for (size_t bit = 0; bit < 8 * HEADER_BYTES; bit++) {
        edit_header(*state, flip, bit, false);
        assert_int_equal(adopt(*state, &old, why), STORE_REFUSED);
        assert_non_null(strstr(why, "journal/core-0: "));
        assert_int_equal(journal_open(*state, 0, RUNNING, RING, &j, why), STORE_FAIL);
        edit_header(*state, flip, bit, false);
    }
    for (size_t field = 0; field <= 10; field++) {
        char path[256];
        struct journal_header before;
        path_of(path, *state, "journal/core-0");
        int fd = open(path, O_RDWR);
        assert_int_equal(pread(fd, &before, sizeof(before), 0), sizeof(before));
        edit_header(*state, odd_field, field, true);
        assert_int_equal(adopt(*state, &old, why), STORE_REFUSED);
        assert_int_equal(pwrite(fd, &before, sizeof(before), 0), sizeof(before));
        close(fd);
    }
    assert_int_equal(adopt(*state, &old, why), STORE_OK);
    assert_int_equal(journal_lag(old), 1);
    journal_drop(old);
}

static void test_odd_files_are_refused(void **state)
{
    char why[JOURNAL_WHY_MAX], path[256];
    struct journal *old, *j = open_journal(*state, RUNNING, RING);
    journal_close(j);
    path_of(path, *state, "journal/core-0");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    const off_t lengths[] = {st.st_size - 1, 4096, HEADER_BYTES, HEADER_BYTES - 1, 1, 0};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        assert_int_equal(truncate(path, lengths[i]), 0);
        assert_int_equal(adopt(*state, &old, why), STORE_REFUSED);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(adopt(*state, &old, why), STORE_NOT_FOUND);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(adopt(*state, &old, why), STORE_REFUSED);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(adopt(*state, &old, why), STORE_FAIL);
}

/* After a machine restart head means nothing: what counts ends at the first gap. */
static void test_after_a_restart_only_contiguous_records_count(void **state)
{
    char why[JOURNAL_WHY_MAX], path[256];
    struct journal *old, *j = open_journal(*state, RUNNING, RING);
    for (uint64_t e = 1; e <= 40; e++) end_one(j, e);
    journal_folded(j, 10);
    for (uint64_t e = 41; e <= 60; e++) end_one(j, e);
    journal_close(j);
    path_of(path, *state, "journal/core-0");
    edit_header(*state, other_boot, 0, true);
    static const struct { uint64_t folded, bad; size_t left; } cases[] = {
        {0, 0, 50}, {12, 0, 48}, {60, 0, 0}, {70, 0, 0}, {0, 31, 20}, {30, 31, 0}, {31, 31, 29},
    };
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        int fd = open(path, O_RDWR);
        off_t at = st.st_size - RING * RECORD_BYTES + (off_t)((cases[i].bad - 1) % RING) * 512;
        uint8_t byte, other;
        if (cases[i].bad) {
            assert_int_equal(pread(fd, &byte, 1, at + 40), 1);
            other = byte ^ 0x10;
            assert_int_equal(pwrite(fd, &other, 1, at + 40), 1);
        }
        assert_int_equal(adopt(*state, &old, why), STORE_OK);
        assert_false(journal_same_boot(old));
        uint64_t tail = journal_tail(old);
        journal_rewind(old, cases[i].folded);
        const struct record *out[RING];
        assert_int_equal(journal_peek(old, out, RING), cases[i].left);
        if (cases[i].left) {
            uint64_t first = cases[i].folded > tail ? cases[i].folded + 1 : tail + 1;
            assert_int_equal(out[0]->seq, first);
        }
        journal_drop(old);
        if (cases[i].bad) assert_int_equal(pwrite(fd, &byte, 1, at + 40), 1);
        uint64_t ends[2] = {60, 10};   /* the ends lie on lines of their own */
        assert_int_equal(pwrite(fd, &ends[0], 8, 128), 8);
        assert_int_equal(pwrite(fd, &ends[1], 8, 192), 8);
        close(fd);
    }
}

/* A torn copy of a running entry gives way to the one before it, but never to what another
 * exchange left in the slot. */
static void test_a_torn_running_entry(void **state)
{
    char why[JOURNAL_WHY_MAX], path[256];
    struct journal *old, *j = open_journal(*state, 1, RING);
    struct record r = record_of(1), seen;
    uint32_t slot = journal_begin(j, &r);       /* version 1, copy 1 */
    journal_end(j, slot, &r);
    r = record_of(2);
    slot = journal_begin(j, &r);                /* version 2, copy 0 */
    r.tokens[0] = 5;
    journal_update(j, slot, &r);                /* version 3, copy 1 */
    path_of(path, *state, "journal/core-0");
    int fd = open(path, O_RDWR);
    off_t copy_0 = 4096 + 64, copy_1 = copy_0 + RECORD_BYTES;
    assert_int_equal(pwrite(fd, "torn", 4, copy_1 + 100), 4);
    assert_int_equal(adopt(*state, &old, why), STORE_OK);
    assert_int_equal(journal_running(old, 0, &seen), SLOT_RUNNING);
    assert_int_equal(seen.exchange_id, 2);
    assert_int_equal(seen.tokens[0], 0);
    assert_int_equal(pwrite(fd, "torn", 4, copy_0 + 100), 4);
    assert_int_equal(journal_running(old, 0, &seen), SLOT_DAMAGED);
    journal_drop(old);
    journal_end(j, slot, &r);
    r = record_of(3);
    slot = journal_begin(j, &r);                /* version 4, copy 0 */
    assert_int_equal(pwrite(fd, "torn", 4, copy_0 + 100), 4);
    assert_int_equal(adopt(*state, &old, why), STORE_OK);
    assert_int_equal(journal_running(old, 0, &seen), SLOT_DAMAGED);
    journal_drop(old);
    close(fd);
    journal_close(j);
}

/* An update stopped between any two instructions leaves a whole version: SIGKILL at random. */
static void test_updates_are_never_torn(void **state)
{
    char why[JOURNAL_WHY_MAX];
    _Atomic uint32_t *done = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(done != MAP_FAILED);
    for (int round = 0; round < 20; round++) {
        int ready[2];
        atomic_store(done, 0);
        assert_int_equal(pipe(ready), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct journal *j = NULL;
            if (journal_open(*state, 0, 1, RING, &j, why) != STORE_OK) _exit(1);
            struct record r = record_of(1);
            uint32_t slot = journal_begin(j, &r);
            if (write(ready[1], "r", 1) != 1) _exit(1);
            for (uint32_t v = 1;; v++) {
                memset(r.tokens, (int)(v & 0xff), sizeof(r.tokens));
                memset(r.model, (int)(v & 0xff), sizeof(r.model));
                r.reasoning_tokens = v;
                journal_update(j, slot, &r);
                atomic_store(done, v);
            }
        }
        char byte;
        assert_int_equal(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        close(ready[1]);
        usleep((useconds_t)(500 + 137 * round));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        struct journal *old;
        struct record seen;
        assert_int_equal(adopt(*state, &old, why), STORE_OK);
        assert_int_equal(journal_running(old, 0, &seen), SLOT_RUNNING);
        for (size_t i = 0; i < sizeof(seen.model); i++) {
            assert_int_equal((uint8_t)seen.model[i], seen.tokens[0] & 0xff);
        }
        assert_true(seen.reasoning_tokens >= atomic_load(done));   /* none is forgotten */
        journal_drop(old);
        char path[256];
        path_of(path, *state, "journal/core-0");
        assert_int_equal(unlink(path), 0);
    }
    munmap((void *)done, 4096);
}

/* ---- two threads */

struct drain {
    struct journal *j;
    _Atomic bool stop;
    uint64_t next, bad;
};

static void *drain_run(void *arg)
{
    struct drain *d = arg;
    const struct record *out[16];
    for (;;) {
        bool last = atomic_load(&d->stop);
        size_t n = journal_peek(d->j, out, COUNT(out));
        for (size_t i = 0; i < n; i++) {
            d->bad += !record_is_sound(out[i]) || out[i]->seq != d->next ||
                      out[i]->exchange_id != d->next;
            d->next++;
        }
        if (n > 0) journal_folded(d->j, out[n - 1]->seq);
        else if (last) return NULL;
    }
}

static void test_a_core_and_the_store_thread(void **state)
{
    struct drain d = {.j = open_journal(*state, RUNNING, RING), .next = 1};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, drain_run, &d), 0);
    uint64_t written = 0;
    while (written < 20000) {
        if (journal_has_room(d.j)) end_one(d.j, ++written);
    }
    atomic_store(&d.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(d.bad, 0);
    assert_int_equal(d.next, written + 1);
    journal_close(d.j);
}

static void test_a_full_disk_is_noticed(void **state)
{
    char why[JOURNAL_WHY_MAX];
    struct journal *j = NULL;
    struct rlimit before, small = {.rlim_cur = 8192, .rlim_max = RLIM_INFINITY};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum store_rc rc = journal_open(*state, 0, RUNNING, RING, &j, why);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, old);
    assert_int_equal(rc, STORE_FAIL);
    assert_null(j);
    assert_non_null(strstr(why, "cannot allocate"));
    struct stat st;
    char path[256];
    path_of(path, *state, "journal/core-0.new");
    assert_int_equal(stat(path, &st), -1);
    assert_int_equal(journal_open("/proc/nowhere", 0, RUNNING, RING, &j, why), STORE_FAIL);
}

#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc_known_answers),
        cmocka_unit_test(test_crc_both_ways_agree),
        cmocka_unit_test(test_every_flipped_bit_shows),
        IN_DIR(test_records_come_back_in_order),
        IN_DIR(test_the_ring_wraps),
        IN_DIR(test_room_is_kept_for_what_runs),
        IN_DIR(test_an_unfolded_request_is_found),
        IN_DIR(test_running_entries_survive),
        IN_DIR(test_an_empty_file_is_replaced),
        IN_DIR(test_what_is_not_ours_is_refused),
        IN_DIR(test_odd_files_are_refused),
        IN_DIR(test_after_a_restart_only_contiguous_records_count),
        IN_DIR(test_a_torn_running_entry),
        IN_DIR(test_updates_are_never_torn),
        IN_DIR(test_a_core_and_the_store_thread),
        IN_DIR(test_a_full_disk_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
