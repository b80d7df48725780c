/* fuzz_block.c - blocks of request rows. The first byte chooses: bytes of a block as a disk may
 * give them back, or records that are written. Properties: what opens is read to its end
 * without harm; rows that can be read, written again, read back the same; every record reads
 * back as it was written, and is found at its place. */
#include "store/block.h"
#include "store/kinds.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition) do { if (!(condition)) abort(); } while (0)

enum { ROWS_MAX = 64 };

/* Write records (sorted here, of one place the first), read them back. */
static void write_and_read(const struct record *r, size_t count)
{
    struct block_row row[ROWS_MAX], spare[ROWS_MAX];
    struct kinds kinds = {.seed = count};
    size_t kept = 0;
    if (count == 0) return;
    for (size_t i = 0; i < count; i++) {
        row[i] = block_row_of(&r[i]);
        CHECK(kinds_at(&kinds, &r[i], &row[i].kind));
    }
    block_sort(row, spare, count);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || block_row_before(&row[kept - 1], &row[i])) row[kept++] = row[i];
    }
    uint8_t *out = malloc(block_room(&kinds, kept));
    CHECK(out != NULL);
    size_t len = block_write(&kinds, row, kept, out);
    struct block b;
    CHECK(block_open(&b, out, len) && block_is_sound(&b) && b.count == kept);
    for (uint32_t i = 0; i < kept; i++) {
        struct record back;
        CHECK(block_row_read(&b, i, &back));
        CHECK(memcmp(&back, row[i].record, sizeof(back)) == 0);
        CHECK(block_lower(&b, row[i].admitted_unix_ns, row[i].exchange_id, row[i].part) == i);
    }
    free(out);
    kinds_fini(&kinds);
}

static void fuzz_records(const uint8_t *data, size_t size)
{
    struct record r[ROWS_MAX];
    size_t count = 0;
    memset(r, 0, sizeof(r));
    for (; size > 0 && count < ROWS_MAX; count++) {
        struct record *at = &r[count];
        size_t part = size < sizeof(*at) ? size : sizeof(*at);
        if (count > 0) *at = r[count - 1];   /* so that rows are alike where bytes run out */
        memcpy(at, data, part);
        data += part;
        size -= part;
        at->crc = 0;
        at->version = 1;
        at->kind = at->kind & 1 ? RECORD_REQUEST : RECORD_ATTEMPT;
        at->budget_version = 0;              /* of the run that wrote it: not kept */
        at->outcome = 0;                     /* heard when folded: not kept either */
        memset(at->spare, 0, sizeof(at->spare));
    }
    write_and_read(r, count);
}

static void fuzz_bytes(const uint8_t *data, size_t size)
{
    struct block b;
    struct record r[ROWS_MAX], one;
    size_t count = 0;
    if (!block_open(&b, data, size)) return;
    (void)block_is_sound(&b);
    (void)block_may_hold(&b, (uint64_t)5 << 56 | 1);
    for (uint32_t i = 0; i < b.count; i++) {
        if (!block_row_read(&b, i, &one)) continue;
        if (count < ROWS_MAX) r[count++] = one;
        uint32_t at = block_lower(&b, one.admitted_unix_ns, one.exchange_id, block_part(&one));
        CHECK(at <= b.count);
    }
    write_and_read(r, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    if (*data & 1) fuzz_records(data + 1, size - 1);
    else fuzz_bytes(data + 1, size - 1);
    return 0;
}
