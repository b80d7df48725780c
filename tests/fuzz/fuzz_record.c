/* fuzz_record.c - what comes back from a disk: a record, a written tally, a key of an hour, a
 * journal's file. Properties: a sealed record is sound, with any bit flipped it is not; both
 * ways to the checksum agree; what tally_read takes it would write the same, and reading two
 * doubles one; a key taken apart and put together is the same key; a file is refused or
 * adopted, and an adopted one can be read to its end whatever lies in it.
 * The first byte chooses, the rest is the input. */
#include "store/crc.h"
#include "store/journal.h"
#include "store/ledger.h"
#include "store/tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition) do { if (!(condition)) abort(); } while (0)

static void fuzz_seal(const uint8_t *data, size_t size)
{
    struct record r, bad;
    memset(&r, 0, sizeof(r));
    memcpy(&r, data, size < sizeof(r) ? size : sizeof(r));
    size_t bit = size ? (size_t)data[size - 1] << 4 | data[0] >> 4 : 0;
    CHECK(crc32c(data, size) == crc32c_table(data, size));
    record_seal(&r);
    bool known = r.version == 1 && r.kind >= RECORD_ATTEMPT && r.kind <= RECORD_FEEDBACK;
    CHECK(record_is_sound(&r) == known);
    bad = r;
    ((uint8_t *)&bad)[bit / 8 % sizeof(bad)] ^= (uint8_t)(1u << (bit % 8));
    CHECK(!record_is_sound(&bad));
    if (r.kind != RECORD_ATTEMPT && r.kind != RECORD_REQUEST) return;

    struct tally once = {.requests = 0}, back = {.requests = 0};
    uint8_t written[TALLY_BYTES_MAX], again[TALLY_BYTES_MAX];
    CHECK(tally_record(&once, &r));
    size_t len = tally_write(&once, written);
    CHECK(tally_read(&back, written, len) == STORE_OK);
    CHECK(tally_write(&back, again) == len && memcmp(written, again, len) == 0);
    tally_fini(&once);
    tally_fini(&back);

    uint8_t key[LEDGER_HOUR_KEY_MAX], twin[LEDGER_HOUR_KEY_MAX];
    struct ledger_hour hour;
    len = ledger_hour_key(key, &r);
    if (!ledger_hour_parse(key, len, &hour)) {
        CHECK(r.admitted_unix_ns / LEDGER_HOUR_NS >= UINT64_MAX / LEDGER_HOUR_NS);
        return;
    }
    CHECK(ledger_hour_key(twin, &r) == len && memcmp(key, twin, len) == 0);
    CHECK(hour.hour == r.admitted_unix_ns / LEDGER_HOUR_NS);
    CHECK(memcmp(hour.path, r.path, sizeof(r.path)) == 0);
}

static void fuzz_tally(const uint8_t *data, size_t size)
{
    struct tally one = {.requests = 0}, two = {.requests = 0};
    uint8_t written[TALLY_BYTES_MAX];
    enum store_rc rc = tally_read(&one, data, size);
    CHECK(rc != STORE_FULL);
    if (rc == STORE_OK) {
        size_t len = tally_write(&one, written);
        CHECK(len == size && memcmp(written, data, size) == 0);   /* one form only */
        CHECK(tally_read(&two, data, size) == STORE_OK);
        CHECK(tally_read(&two, data, size) == STORE_OK);
        CHECK(two.requests == one.requests * 2 && two.bin_count == one.bin_count);
        (void)tally_percentile(&one, 50);
        (void)tally_percentile(&one, 100);
    }
    tally_fini(&one);
    tally_fini(&two);
}

static void fuzz_key(const uint8_t *data, size_t size)
{
    struct ledger_hour hour;
    if (size == 0 || !ledger_hour_parse(data, size, &hour)) return;
    struct record r;
    uint8_t key[LEDGER_HOUR_KEY_MAX];
    memset(&r, 0, sizeof(r));
    r.admitted_unix_ns = hour.hour * LEDGER_HOUR_NS;
    memcpy(r.path, hour.path, sizeof(r.path));
    memcpy(r.model, hour.model, hour.model_len);
    memcpy(r.tags, hour.tags, hour.tags_len);
    size_t len = ledger_hour_key(key, &r);
    CHECK(strnlen(r.tags, sizeof(r.tags)) < hour.tags_len || len == size);
    CHECK(len > size || memcmp(key, data, len) == 0);
}

static void read_all(struct journal *j, uint64_t folded)
{
    const struct record *out[8];
    struct record r;
    journal_rewind(j, folded);
    uint64_t lag = journal_lag(j);
    for (size_t n; (n = journal_peek(j, out, 8)) > 0; lag -= n) {
        for (size_t i = 0; i < n; i++) (void)record_is_sound(out[i]);
        journal_folded(j, journal_tail(j) + n);
    }
    CHECK(lag == 0);
    (void)journal_has(j, 1, "x", 1);
    for (uint32_t slot = 0; slot < journal_running_max(j); slot++) {
        if (journal_running(j, slot, &r) == SLOT_RUNNING) CHECK(record_is_sound(&r));
    }
}

/* The first page, the running table and the ring, as far as the input goes; then once more
 * under a header that holds, so that what lies behind it is reached. */
static void fuzz_file(const uint8_t *data, size_t size)
{
    enum { RUNNING = 3, RING = 8, BYTES = 4096 + 4096 + RING * RECORD_BYTES };
    char path[64], why[JOURNAL_WHY_MAX];
    uint8_t bytes[BYTES] = {0};
    memcpy(bytes, data, size < BYTES ? size : BYTES);
    snprintf(path, sizeof(path), "/dev/shm/weir-fuzz-record-%ld", (long)getpid());
    for (int valid = 0; valid < 2; valid++) {
        struct journal_header h = {.version = JOURNAL_VERSION, .generation = 1,
                                   .running_max = RUNNING, .ring_max = RING,
                                   .record_bytes = RECORD_BYTES};
        memcpy(h.magic, "weirjrnl", sizeof(h.magic));
        h.crc = crc32c(&h.version, sizeof(h) - offsetof(struct journal_header, version));
        if (valid) memcpy(bytes, &h, sizeof(h));
        FILE *file = fopen(path, "wb");
        if (!file) return;
        CHECK(fwrite(bytes, 1, sizeof(bytes), file) == sizeof(bytes));
        fclose(file);
        struct journal *j;
        enum store_rc rc = journal_adopt(path, &j, why);
        uint64_t head, tail;     /* where the file keeps them */
        memcpy(&head, bytes + 128, sizeof(head));
        memcpy(&tail, bytes + 192, sizeof(tail));
        bool possible = head >> 61 == 0 && tail >> 61 == 0;
        CHECK(rc == STORE_REFUSED || rc == STORE_OK);
        if (valid) CHECK((rc == STORE_OK) == possible);
        if (rc != STORE_OK) continue;
        read_all(j, size ? data[size - 1] : 0);
        journal_drop(j);
    }
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    uint8_t choice = *data;
    switch (choice % 4) {
    case 0: fuzz_seal(data + 1, size - 1); break;
    case 1: fuzz_tally(data + 1, size - 1); break;
    case 2: fuzz_key(data + 1, size - 1); break;
    default: fuzz_file(data + 1, size - 1); break;
    }
    return 0;
}
