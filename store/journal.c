/* journal.c - a core's running exchanges and finished records in a shared file mapping.
 *
 *   page 0      header (written once), head and tail of the ring on cache lines of their own
 *   then        running_max entries: state word, exchange id, two versions of a record
 *   then        ring_max records; record seq lies at (seq - 1) mod ring_max
 *
 * A record counts from the moment head passes it; what was written before that store is in the
 * page cache whenever the store is, because a process killed between two instructions has done
 * all before and none after. An entry's state is `version << 1 | in use`; version v lives in
 * copy v mod 2, so an update writes the copy that nobody looks at, then turns the state.
 * The rule: bytes first, then the one word that makes them true.
 *
 * kill -9 asks for no more than program order, which the compiler keeps at a release store and
 * at the signal fences below. A machine restart keeps no order at all: crc and seq decide. */
#include "store/journal.h"

#include "store/crc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "records are mapped and stored little-endian"
#endif

enum {
    PAGE = 4096,
    SPARE_MAX = 64,     /* records kept free beyond what is running: feedback, odd attempts */
    SPARE_SHARE = 16,   /* ... but at most this share of the ring */
};

#define SEQ_MAX (((uint64_t)1 << 61) - 1)  /* a million records a second for 73,000 years */
static const char magic[8] = {'w', 'e', 'i', 'r', 'j', 'r', 'n', 'l'};

struct ring_ends {
    struct journal_header header;
    alignas(64) _Atomic uint64_t head;   /* seq of the newest record; the core writes */
    alignas(64) _Atomic uint64_t tail;   /* seq of the newest folded one; the store writes */
};
static_assert(sizeof(struct ring_ends) <= PAGE, "the ring's ends fit the first page");

struct running {
    alignas(64) _Atomic uint64_t state;  /* version << 1 | in use */
    uint64_t exchange_id;                /* of whom the copies must be */
    struct record copy[2];
};
static_assert(sizeof(struct running) == 64 + 2 * RECORD_BYTES, "running entry layout");

struct journal {
    struct ring_ends *ends;
    struct running *running;
    struct record *ring;
    size_t bytes;                        /* of the mapping */
    uint32_t running_max, ring_max;
    uint32_t spare;                      /* records */
    bool same_boot;
    /* The core's own: on lines that no other thread reads. */
    alignas(64) uint64_t written;        /* = head */
    uint32_t *free_slot;                 /* a stack; NULL in an adopted journal */
    uint32_t free_count;
};

void record_seal(struct record *r)
{
    assert(r);
    r->crc = crc32c((const char *)r + sizeof(r->crc), sizeof(*r) - sizeof(r->crc));
}

bool record_is_sound(const struct record *r)
{
    assert(r);
    if (r->version != 1 || r->kind < RECORD_ATTEMPT || r->kind > RECORD_FEEDBACK) return false;
    return r->crc == crc32c((const char *)r + sizeof(r->crc), sizeof(*r) - sizeof(r->crc));
}

/* ---- files */

static size_t table_bytes(uint32_t running_max)
{
    size_t bytes = (size_t)running_max * sizeof(struct running);
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

static size_t file_bytes(uint32_t running_max, uint32_t ring_max)
{
    return PAGE + table_bytes(running_max) + (size_t)ring_max * RECORD_BYTES;
}

static bool sizes_are_valid(uint32_t running_max, uint32_t ring_max)
{
    return running_max > 0 && running_max <= JOURNAL_RUNNING_MAX && ring_max > 0 &&
           ring_max <= JOURNAL_RING_MAX && (ring_max & (ring_max - 1)) == 0;
}

static uint32_t header_crc(const struct journal_header *h)
{
    size_t from = offsetof(struct journal_header, version);
    return crc32c((const char *)h + from, sizeof(*h) - from);
}

/* The file's name without the directories before it, which may be longer than a sentence. */
static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static enum store_rc fail(char *why, const char *path, const char *doing, int error)
{
    assert(error > 0);
    snprintf(why, JOURNAL_WHY_MAX, "journal/%.40s: %s: %.80s", last_part(path), doing,
             strerror(error));
    return error == ENOSPC || error == EDQUOT ? STORE_FULL : STORE_FAIL;
}

/* The id of this run of the machine; "" where there is none to read, and then no file counts
 * as written in the same run. */
static void boot_id_read(char out[40])
{
    memset(out, 0, 40);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t n = read(fd, out, 39);
    close(fd);
    if (n != 37) memset(out, 0, 40);  /* 36 characters and a newline */
    out[36] = '\0';
}

static int generation_make(uint64_t *generation)
{
    do {
        ssize_t n = getrandom(generation, sizeof(*generation), 0);
        if (n < 0 && errno == EINTR) continue;
        if (n != (ssize_t)sizeof(*generation)) return n < 0 ? errno : EIO;
    } while (*generation == 0);
    return 0;
}

static int dir_sync(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno;
    int error = fsync(fd) < 0 ? errno : 0;
    close(fd);
    return error;
}

/* A struct journal over fd's pages. The sizes are valid and the file is that long. */
static int map(int fd, uint32_t running_max, uint32_t ring_max, int flags,
               struct journal **out)
{
    assert(sizes_are_valid(running_max, ring_max));
    struct journal *j = aligned_alloc(alignof(struct journal), sizeof(*j));
    if (!j) return ENOMEM;
    memset(j, 0, sizeof(*j));
    j->bytes = file_bytes(running_max, ring_max);
    char *at = mmap(NULL, j->bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (at == MAP_FAILED) {
        int error = errno;
        free(j);
        return error;
    }
    j->ends = (struct ring_ends *)(void *)at;
    j->running = (struct running *)(void *)(at + PAGE);
    j->ring = (struct record *)(void *)(at + PAGE + table_bytes(running_max));
    j->running_max = running_max;
    j->ring_max = ring_max;
    j->spare = ring_max / SPARE_SHARE < SPARE_MAX ? ring_max / SPARE_SHARE : SPARE_MAX;
    *out = j;
    return 0;
}

static void unmap(struct journal *j)
{
    assert(j->ends);
    munmap(j->ends, j->bytes);
    free(j->free_slot);  /* off core: closing or recovering */
    free(j);             /* off core */
}

/* Fill a new file's header and the core's free list. */
static int begin_file(struct journal *j, unsigned core_idx)
{
    struct journal_header h = {.version = JOURNAL_VERSION, .core_idx = core_idx,
                               .running_max = j->running_max, .ring_max = j->ring_max,
                               .record_bytes = RECORD_BYTES};
    memcpy(h.magic, magic, sizeof(h.magic));
    boot_id_read(h.boot_id);
    int error = generation_make(&h.generation);
    if (error) return error;
    h.crc = header_crc(&h);
    j->ends->header = h;
    j->same_boot = true;
    j->free_slot = malloc(j->running_max * sizeof(*j->free_slot));
    if (!j->free_slot) return ENOMEM;
    for (uint32_t i = 0; i < j->running_max; i++) {
        j->free_slot[i] = j->running_max - 1 - i;  /* low slots first: they stay warm */
    }
    j->free_count = j->running_max;
    return 0;
}

/* Make the file under a name that recovery does not read, then give it its own: a file called
 * core-N is whole from its first moment. */
static int make_file(const char *path, unsigned core_idx, uint32_t running_max,
                     uint32_t ring_max, struct journal **out, const char **doing)
{
    char made[1100];
    snprintf(made, sizeof(made), "%s.new", path);
    *doing = "cannot make the journal";
    if (unlink(made) < 0 && errno != ENOENT) return errno;
    int fd = open(made, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return errno;
    *doing = "cannot allocate the journal";
    int error = posix_fallocate(fd, 0, (off_t)file_bytes(running_max, ring_max));
    if (error) goto fail_file;
    error = map(fd, running_max, ring_max, MAP_SHARED | MAP_POPULATE, out);
    if (error) goto fail_file;
    error = begin_file(*out, core_idx);
    if (error) goto fail_map;
    *doing = "cannot write the journal";
    if (fsync(fd) < 0 || rename(made, path) < 0) {
        error = errno;
        goto fail_map;
    }
    close(fd);
    return 0;

fail_map:
    unmap(*out);
    *out = NULL;
fail_file:
    close(fd);
    unlink(made);
    return error;
}

/* May what is at path be replaced? STORE_OK also when there is nothing. */
static enum store_rc may_replace(const char *path, char *why)
{
    struct journal *old;
    enum store_rc rc = journal_adopt(path, &old, why);
    if (rc == STORE_NOT_FOUND) return STORE_OK;
    if (rc != STORE_OK) return STORE_FAIL;
    journal_rewind(old, 0);
    bool empty = journal_lag(old) == 0;
    for (uint32_t i = 0; empty && i < old->running_max; i++) {
        struct record r;
        empty = journal_running(old, i, &r) == SLOT_FREE;
    }
    unmap(old);
    if (empty) return STORE_OK;
    snprintf(why, JOURNAL_WHY_MAX, "journal/%.40s: holds records that were not recovered",
             last_part(path));
    return STORE_FAIL;
}

enum store_rc journal_open(const char *data_dir, unsigned core_idx, uint32_t running_max,
                           uint32_t ring_max, struct journal **out, char *why)
{
    assert(data_dir && out && why);
    assert(sizes_are_valid(running_max, ring_max));
    char dir[1060], path[1080];
    int n = snprintf(dir, sizeof(dir), "%s/journal", data_dir);
    if (n < 0 || (size_t)n >= sizeof(dir)) return fail(why, "journal", "path", ENAMETOOLONG);
    snprintf(path, sizeof(path), "%s/core-%u", dir, core_idx);
    if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
        return fail(why, dir, "cannot make the directory", errno);
    }
    enum store_rc rc = may_replace(path, why);
    if (rc != STORE_OK) return rc;
    const char *doing;
    int error = make_file(path, core_idx, running_max, ring_max, out, &doing);
    if (error) return fail(why, path, doing, error);
    error = dir_sync(dir);
    if (error) {
        unmap(*out);
        *out = NULL;
        return fail(why, dir, "cannot sync the directory", error);
    }
    return STORE_OK;
}

void journal_close(struct journal *j)
{
    assert(j);
    /* Nothing can be done about an error here, and nothing hangs on it: what matters was
     * committed to the store, and the rest is in the page cache. */
    (void)msync(j->ends, j->bytes, MS_SYNC);
    unmap(j);
}

/* ---- the core's side */

static struct record *slot_of(const struct journal *j, uint64_t seq)
{
    assert(seq > 0);
    return &j->ring[(seq - 1) & (j->ring_max - 1)];
}

static uint64_t room(const struct journal *j)
{
    uint64_t tail = atomic_load_explicit(&j->ends->tail, memory_order_acquire);
    assert(j->written - tail <= j->ring_max);
    return j->ring_max - (j->written - tail);
}

bool journal_has_room(const struct journal *j)
{
    assert(j->free_slot);
    if (j->free_count == 0) return false;
    uint64_t running = j->running_max - j->free_count + 1;
    return room(j) >= running * RECORD_PER_EXCHANGE + j->spare;
}

/* Put r behind the newest record. It counts once head passes it, not before. */
static void append(struct journal *j, const struct record *r, enum record_kind kind)
{
    assert(j->free_slot);
    assert(room(j) > 0);  /* journal_has_room kept it: overwriting would lose money */
    uint64_t seq = j->written + 1;
    struct record *to = slot_of(j, seq);
    *to = *r;
    to->version = 1;
    to->kind = (uint8_t)kind;
    to->seq = seq;
    memset(to->spare, 0, sizeof(to->spare));
    record_seal(to);
    j->written = seq;
    atomic_store_explicit(&j->ends->head, seq, memory_order_release);
}

/* Write version v of an entry beside the one that counts, then let it count. */
static void version_put(struct running *e, const struct record *r, uint64_t version)
{
    /* A release store does not hold back what comes after it: without this the compiler might
     * move these bytes above the state of the update before, into the copy that counts. */
    atomic_signal_fence(memory_order_seq_cst);
    struct record *to = &e->copy[version & 1];
    *to = *r;
    to->version = 1;
    to->kind = r->kind == RECORD_ATTEMPT ? RECORD_ATTEMPT : RECORD_REQUEST;
    to->seq = version;
    memset(to->spare, 0, sizeof(to->spare));
    record_seal(to);
    e->exchange_id = r->exchange_id;
    atomic_store_explicit(&e->state, version << 1 | 1, memory_order_release);
}

uint32_t journal_begin(struct journal *j, const struct record *r)
{
    assert(j->free_slot);
    assert(j->free_count > 0);
    uint32_t slot = j->free_slot[--j->free_count];
    struct running *e = &j->running[slot];
    uint64_t state = atomic_load_explicit(&e->state, memory_order_relaxed);
    assert((state & 1) == 0);
    version_put(e, r, (state >> 1) + 1);
    return slot;
}

void journal_update(struct journal *j, uint32_t slot, const struct record *r)
{
    assert(slot < j->running_max);
    struct running *e = &j->running[slot];
    uint64_t state = atomic_load_explicit(&e->state, memory_order_relaxed);
    assert(state & 1);
    assert(e->exchange_id == r->exchange_id);
    version_put(e, r, (state >> 1) + 1);
}

bool journal_has_room_more(const struct journal *j)
{
    assert(j->free_slot);
    uint64_t running = j->running_max - j->free_count;
    return room(j) > running;
}

void journal_attempt(struct journal *j, const struct record *r)
{
    assert(journal_has_room_more(j));
    append(j, r, RECORD_ATTEMPT);
}

/* Give an entry back, whose record is behind head: until then the exchange is in both places,
 * and recovery prefers the record. The other order could leave it in neither. */
static void slot_give(struct journal *j, uint32_t slot)
{
    assert(slot < j->running_max);
    struct running *e = &j->running[slot];
    uint64_t state = atomic_load_explicit(&e->state, memory_order_relaxed);
    assert(state & 1);
    atomic_store_explicit(&e->state, state & ~(uint64_t)1, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    assert(j->free_count < j->running_max);
    j->free_slot[j->free_count++] = slot;
}

void journal_end(struct journal *j, uint32_t slot, const struct record *r)
{
    assert(slot < j->running_max);
    assert(j->running[slot].exchange_id == r->exchange_id);
    append(j, r, RECORD_REQUEST);
    slot_give(j, slot);
}

void journal_twin_end(struct journal *j, uint32_t slot, const struct record *r)
{
    assert(slot < j->running_max);
    assert(!r || j->running[slot].exchange_id == r->exchange_id);
    if (r) append(j, r, RECORD_ATTEMPT);
    slot_give(j, slot);
}

bool journal_feedback(struct journal *j, const struct record *r)
{
    assert(j->free_slot);
    uint64_t running = j->running_max - j->free_count;
    if (room(j) < running * RECORD_PER_EXCHANGE + j->spare + 1) return false;
    append(j, r, RECORD_FEEDBACK);
    return true;
}

/* ---- readers */

static bool is_request(const struct record *r, store_id key, const char *id, size_t len)
{
    if (r->path[UNIT_KEY] != key || r->kind != RECORD_REQUEST) return false;
    if (memcmp(r->request_id, id, len) != 0) return false;
    return len == RECORD_REQUEST_ID_MAX || r->request_id[len] == '\0';
}

bool journal_find(const struct journal *j, store_id key, const char *request_id, size_t len,
                  uint64_t *exchange_id)
{
    assert(request_id && exchange_id);
    if (len == 0 || len > RECORD_REQUEST_ID_MAX) return false;
    uint64_t head = atomic_load_explicit(&j->ends->head, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&j->ends->tail, memory_order_acquire);
    for (uint64_t seq = head; seq > tail; seq--) {
        const struct record *r = slot_of(j, seq);
        if (!is_request(r, key, request_id, len)) continue;
        uint64_t exchange = r->exchange_id;
        /* Once folded, the place may have been written over while we read it. Then the store
         * has the record, and the caller asks there next. */
        atomic_thread_fence(memory_order_acquire);
        if (seq <= atomic_load_explicit(&j->ends->tail, memory_order_relaxed)) return false;
        *exchange_id = exchange;
        return true;
    }
    return false;
}

bool journal_has(const struct journal *j, store_id key, const char *request_id, size_t len)
{
    uint64_t exchange_id;
    return journal_find(j, key, request_id, len, &exchange_id);
}

size_t journal_peek(const struct journal *j, const struct record **out, size_t max)
{
    assert(out || max == 0);
    uint64_t head = atomic_load_explicit(&j->ends->head, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&j->ends->tail, memory_order_relaxed);
    assert(head - tail <= j->ring_max);
    size_t count = head - tail < max ? (size_t)(head - tail) : max;
    for (size_t i = 0; i < count; i++) out[i] = slot_of(j, tail + 1 + i);
    return count;
}

uint64_t journal_tail(const struct journal *j)
{
    return atomic_load_explicit(&j->ends->tail, memory_order_relaxed);
}

void journal_folded(struct journal *j, uint64_t seq)
{
    uint64_t head = atomic_load_explicit(&j->ends->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&j->ends->tail, memory_order_relaxed);
    assert(seq >= tail);
    assert(seq <= head);
    atomic_store_explicit(&j->ends->tail, seq, memory_order_release);
}

uint64_t journal_lag(const struct journal *j)
{
    /* Tail first: it never passes a head read after it. */
    uint64_t tail = atomic_load_explicit(&j->ends->tail, memory_order_acquire);
    uint64_t head = atomic_load_explicit(&j->ends->head, memory_order_acquire);
    assert(head >= tail);
    return head - tail;
}

uint64_t journal_generation(const struct journal *j)
{
    assert(j->ends->header.generation != 0);
    return j->ends->header.generation;
}

/* ---- recovery */

/* NULL, or what is wrong with a file of that many bytes that begins with h. */
static const char *header_fault(const struct journal_header *h, off_t bytes)
{
    if (memcmp(h->magic, magic, sizeof(magic)) != 0) return "not a journal";
    if (h->version != JOURNAL_VERSION) return "a journal of another version of Weir";
    if (h->crc != header_crc(h)) return "its header is damaged";
    if (h->record_bytes != RECORD_BYTES || h->generation == 0 ||
        !sizes_are_valid(h->running_max, h->ring_max) ||
        h->boot_id[sizeof(h->boot_id) - 1] != '\0') {
        return "its header makes no sense";
    }
    if (bytes != (off_t)file_bytes(h->running_max, h->ring_max)) return "its length is wrong";
    return NULL;
}

/* In one run of the machine the ends are what the process left; there is no other truth. After
 * a restart they may be of different moments, but no ring ever gets as far as SEQ_MAX. */
static bool ends_are_valid(const struct journal *j)
{
    uint64_t head = atomic_load_explicit(&j->ends->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&j->ends->tail, memory_order_relaxed);
    if (head > SEQ_MAX || tail > SEQ_MAX) return false;
    return !j->same_boot || (head >= tail && head - tail <= j->ring_max);
}

/* mode: O_RDWR or O_RDONLY; flags: of the mapping. */
static enum store_rc file_open(const char *path, int mode, int flags, struct journal **out,
                               char *why)
{
    assert(path && out && why);
    int fd = open(path, mode | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return STORE_NOT_FOUND;
    if (fd < 0) return fail(why, path, "cannot open the journal", errno);
    struct stat st;
    struct journal_header h = {.version = 0};
    const char *fault = "not a journal";
    int error = 0;
    if (fstat(fd, &st) < 0) error = errno;
    else if (S_ISREG(st.st_mode)) {
        if (pread(fd, &h, sizeof(h), 0) < 0) error = errno;
        else fault = header_fault(&h, st.st_size);
    }
    if (!error && !fault) error = map(fd, h.running_max, h.ring_max, flags, out);
    close(fd);
    if (error) return fail(why, path, "cannot read the journal", error);
    if (!fault) {
        char now[40];
        boot_id_read(now);
        (*out)->same_boot = now[0] && strcmp(now, h.boot_id) == 0;
        if (!ends_are_valid(*out)) {
            fault = "the ends of its ring are damaged";
            unmap(*out);
            *out = NULL;
        }
    }
    if (!fault) return STORE_OK;
    snprintf(why, JOURNAL_WHY_MAX, "journal/%.40s: %s; it was left as it is", last_part(path),
             fault);
    return STORE_REFUSED;
}

enum store_rc journal_adopt(const char *path, struct journal **out, char *why)
{
    return file_open(path, O_RDWR, MAP_SHARED | MAP_POPULATE, out, why);
}

enum store_rc journal_view(const char *path, struct journal **out, char *why)
{
    return file_open(path, O_RDONLY, MAP_PRIVATE, out, why);
}

void journal_rewind(struct journal *j, uint64_t folded)
{
    assert(!j->free_slot);  /* of an earlier run: nobody appends */
    assert(folded <= SEQ_MAX);
    uint64_t head = atomic_load_explicit(&j->ends->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&j->ends->tail, memory_order_relaxed);
    if (tail < folded) tail = folded;
    if (!j->same_boot) {
        /* The pages reached the disk in any order or not at all, head's among them. */
        for (head = tail; head - tail < j->ring_max; head++) {
            const struct record *r = slot_of(j, head + 1);
            if (r->seq != head + 1 || !record_is_sound(r)) break;
        }
    }
    if (head < tail) head = tail;
    atomic_store_explicit(&j->ends->head, head, memory_order_relaxed);
    atomic_store_explicit(&j->ends->tail, tail, memory_order_relaxed);
}

void journal_drop(struct journal *j)
{
    assert(!j->free_slot);
    unmap(j);
}

bool journal_same_boot(const struct journal *j)
{
    return j->same_boot;
}

uint32_t journal_running_max(const struct journal *j)
{
    return j->running_max;
}

enum journal_slot journal_running(const struct journal *j, uint32_t slot, struct record *r)
{
    assert(slot < j->running_max);
    const struct running *e = &j->running[slot];
    uint64_t state = atomic_load_explicit(&e->state, memory_order_acquire);
    if ((state & 1) == 0) return SLOT_FREE;
    uint64_t version = state >> 1;
    /* The copy that counts; after a machine restart it may be torn, then the one before it, if
     * that is the same exchange's. */
    for (uint64_t back = 0; back < 2 && back < version; back++) {
        const struct record *copy = &e->copy[(version - back) & 1];
        if (!record_is_sound(copy) || copy->kind == RECORD_FEEDBACK) continue;
        if (copy->seq != version - back || copy->exchange_id != e->exchange_id) continue;
        *r = *copy;
        return SLOT_RUNNING;
    }
    return SLOT_DAMAGED;
}
