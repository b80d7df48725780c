/* tally.c - counters and a sparse log-linear histogram, and a map of them.
 * A bin of the histogram is a 16th of an octave: below 16 us exact, above at most 1/16 wide, so
 * that its middle is within 1/32 (3.2 %) of everything in it. Written, a tally is a version
 * byte and LEB128 numbers, bins as (distance to the bin before, count): some 30 bytes for one
 * request, because with a tag per user most tallies hold one.
 * The rule: adding is all there is. Whatever the order, the sums are the same. */
#include "store/tally.h"

#include "store/varint.h"

#include <stdlib.h>
#include <string.h>

enum {
    WRITTEN_VERSION = 1,
    SUB_BITS = 4,               /* 16 bins to an octave */
    SUB = 1 << SUB_BITS,
    PLAIN = 7 + TOKEN_KINDS,    /* numbers before the bins */
    KEY_MAX = 512,
    BLOCK_BYTES = 64 * 1024,
    SLOTS_MIN = 64,
};
/* A bin takes 2 bytes of distance at most (TALLY_BINS < 2^14) and 10 of count. */
static_assert(1 + (PLAIN + 1) * VARINT_MAX + TALLY_BINS * 12 <= TALLY_BYTES_MAX,
              "the fullest tally fits");

/* ---- histogram */

static uint32_t bin_of(uint32_t us)
{
    if (us < SUB) return us;
    uint32_t octave = 31 - (uint32_t)__builtin_clz(us);   /* SUB_BITS..31 */
    uint32_t idx = (octave - SUB_BITS + 1) * SUB + (us >> (octave - SUB_BITS)) - SUB;
    assert(idx < TALLY_BINS);
    return idx;
}

/* The middle of a bin. */
static uint32_t bin_us(uint32_t idx)
{
    assert(idx < TALLY_BINS);
    if (idx < SUB) return idx;
    uint32_t shift = idx / SUB - 1;
    uint32_t low = (SUB + idx % SUB) << shift;
    return shift ? low + (1u << (shift - 1)) : low;
}

static bool bin_add(struct tally *t, uint32_t idx, uint64_t count)
{
    assert(idx < TALLY_BINS);
    assert(count > 0);
    uint32_t low = 0;
    for (uint32_t left = t->bin_count; left > 0;) {
        /* By a move instead of a branch, which chance would guess wrong half the time. */
        uint32_t half = (left + 1) / 2, next = low + half;
        low = t->bin[next - 1].idx < idx ? next : low;
        left -= half;
    }
    if (low < t->bin_count && t->bin[low].idx == idx) {
        t->bin[low].count += count;
        return true;
    }
    if (t->bin_count == t->bin_max) {
        uint32_t max = t->bin_max ? t->bin_max * 2 : 4;
        struct tally_bin *bin = realloc(t->bin, max * sizeof(*bin));
        if (!bin) return false;
        t->bin = bin;
        t->bin_max = max;
    }
    memmove(t->bin + low + 1, t->bin + low, (t->bin_count - low) * sizeof(*t->bin));
    t->bin[low] = (struct tally_bin){.idx = idx, .count = count};
    t->bin_count++;
    return true;
}

uint32_t tally_percentile(const struct tally *t, unsigned percent)
{
    assert(percent >= 1);
    assert(percent <= 100);
    if (t->ttft_count == 0) return 0;
    /* Nearest rank: the least time that so many are not above. In parts: no overflow. */
    uint64_t rank = t->ttft_count / 100 * percent + (t->ttft_count % 100 * percent + 99) / 100;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < t->bin_count; i++) {
        seen += t->bin[i].count;
        if (seen >= rank) return bin_us(t->bin[i].idx);
    }
    return t->bin_count ? bin_us(t->bin[t->bin_count - 1].idx) : 0;
}

/* ---- one tally */

void tally_fini(struct tally *t)
{
    free(t->bin);
    *t = (struct tally){.requests = 0};
}

int64_t tally_cost(int64_t a, int64_t b)
{
    int64_t sum;
    if (!__builtin_add_overflow(a, b, &sum)) return sum;
    return b > 0 ? INT64_MAX : INT64_MIN;
}

bool tally_record(struct tally *t, const struct record *r)
{
    assert(r->kind == RECORD_ATTEMPT || r->kind == RECORD_REQUEST);
    for (int k = 0; k < TOKEN_KINDS; k++) t->tokens[k] += r->tokens[k];
    t->cost_nusd = tally_cost(t->cost_nusd, r->cost_nusd);
    if (r->kind == RECORD_ATTEMPT) return true;
    bool good = r->status < 400 && r->close == RECORD_CLOSE_DONE &&
                !(r->flags & RECORD_INTERRUPTED);
    t->requests++;
    t->errors += !good;
    t->fallbacks += r->fallbacks;
    if (r->ttft_us == 0) return true;
    t->ttft_us_sum += r->ttft_us;
    t->ttft_count++;
    if (r->duration_us > r->ttft_us) t->output_us_sum += r->duration_us - r->ttft_us;
    return bin_add(t, bin_of(r->ttft_us), 1);
}

size_t tally_write(const struct tally *t, uint8_t out[TALLY_BYTES_MAX])
{
    uint8_t *at = out;
    *at++ = WRITTEN_VERSION;
    at = varint_put(at, t->requests);
    at = varint_put(at, t->errors);
    at = varint_put(at, t->fallbacks);
    for (int k = 0; k < TOKEN_KINDS; k++) at = varint_put(at, t->tokens[k]);
    at = varint_put(at, zigzag(t->cost_nusd));
    at = varint_put(at, t->ttft_us_sum);
    at = varint_put(at, t->ttft_count);
    at = varint_put(at, t->output_us_sum);
    at = varint_put(at, t->bin_count);
    uint32_t before = 0;
    for (uint32_t i = 0; i < t->bin_count; i++) {
        at = varint_put(at, t->bin[i].idx - before);
        at = varint_put(at, t->bin[i].count);
        before = t->bin[i].idx;
    }
    size_t len = (size_t)(at - out);
    assert(len <= TALLY_BYTES_MAX);
    return len;
}

static enum store_rc bins_read(struct tally *t, const uint8_t *at, const uint8_t *end)
{
    uint64_t bins, step, count, idx = 0;
    if (!varint_next(&at, end, &bins) || bins > TALLY_BINS) return STORE_FAIL;
    for (uint64_t i = 0; i < bins; i++) {
        if (!varint_next(&at, end, &step) || !varint_next(&at, end, &count)) return STORE_FAIL;
        if (step >= TALLY_BINS || (i > 0 && step == 0) || count == 0) return STORE_FAIL;
        idx += step;
        if (idx >= TALLY_BINS) return STORE_FAIL;
        if (!bin_add(t, (uint32_t)idx, count)) return STORE_FULL;
    }
    return at == end ? STORE_OK : STORE_FAIL;
}

enum store_rc tally_read(struct tally *t, const void *data, size_t len)
{
    assert(data || len == 0);
    const uint8_t *at = data, *end = at + len;
    uint64_t v[PLAIN];
    if (len == 0 || *at++ != WRITTEN_VERSION) return STORE_FAIL;
    for (int i = 0; i < PLAIN; i++) {
        if (!varint_next(&at, end, &v[i])) return STORE_FAIL;
    }
    t->requests += v[0];
    t->errors += v[1];
    t->fallbacks += v[2];
    for (int k = 0; k < TOKEN_KINDS; k++) t->tokens[k] += v[3 + k];
    const uint64_t *rest = v + 3 + TOKEN_KINDS;
    t->cost_nusd = tally_cost(t->cost_nusd, zigzag_back(rest[0]));
    t->ttft_us_sum += rest[1];
    t->ttft_count += rest[2];
    t->output_us_sum += rest[3];
    return bins_read(t, at, end);
}

/* ---- the map */

struct tallies_block {
    struct tallies_block *next;
    size_t used;
    uint8_t bytes[BLOCK_BYTES];
};

void tallies_fini(struct tallies *m)
{
    for (size_t i = 0; i < m->count; i++) tally_fini(&m->entry[i].tally);
    while (m->block) {
        struct tallies_block *next = m->block->next;
        free(m->block);
        m->block = next;
    }
    free(m->entry);
    free(m->slot);
    *m = (struct tallies){.count = 0};
}

/* Eight bytes at a time, each word folded in by a 64 x 64 -> 128 bit product whose halves are
 * joined. Keys are ours or a client's tags; whoever crafts collisions slows down the store
 * thread by the tags of one batch, each of which costs him a request. */
static uint64_t fold_in(uint64_t h, uint64_t word)
{
    const uint64_t odd = 0x9e3779b97f4a7c15;   /* 2^64 / golden ratio */
    __extension__ unsigned __int128 product = (unsigned __int128)(h ^ word) * odd;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(const uint8_t *key, size_t len)
{
    uint64_t h = 1 + len, word;
    for (; len >= sizeof(word); key += sizeof(word), len -= sizeof(word)) {
        memcpy(&word, key, sizeof(word));
        h = fold_in(h, word);
    }
    word = 0;
    memcpy(&word, key, len);
    return fold_in(h, word);
}

static bool slots_grow(struct tallies *m)
{
    size_t count = m->slot_count ? m->slot_count * 2 : SLOTS_MIN;
    uint32_t *slot = calloc(count, sizeof(*slot));
    if (!slot) return false;
    for (size_t i = 0; i < m->count; i++) {
        size_t at = m->entry[i].hash & (count - 1);
        while (slot[at]) at = (at + 1) & (count - 1);
        slot[at] = (uint32_t)i + 1;
    }
    free(m->slot);
    m->slot = slot;
    m->slot_count = count;
    return true;
}

static const uint8_t *key_keep(struct tallies *m, const void *key, size_t len)
{
    if (!m->block || m->block->used + len > BLOCK_BYTES) {
        struct tallies_block *block = malloc(sizeof(*block));
        if (!block) return NULL;
        block->next = m->block;
        block->used = 0;
        m->block = block;
    }
    uint8_t *kept = m->block->bytes + m->block->used;
    memcpy(kept, key, len);
    m->block->used += len;
    return kept;
}

static bool entry_make(struct tallies *m, const void *key, size_t len, uint64_t hash)
{
    if (m->count == m->entry_max) {
        size_t max = m->entry_max ? m->entry_max * 2 : SLOTS_MIN / 2;
        struct tallies_entry *entry = realloc(m->entry, max * sizeof(*entry));
        if (!entry) return false;
        m->entry = entry;
        m->entry_max = max;
    }
    const uint8_t *kept = key_keep(m, key, len);
    if (!kept) return false;
    struct tallies_entry *e = &m->entry[m->count];
    *e = (struct tallies_entry){.key = kept, .key_len = len, .hash = hash,
                                .number = (uint32_t)m->count};
    m->count++;
    return true;
}

bool tallies_at(struct tallies *m, const void *key, size_t len, uint32_t *idx)
{
    assert(len > 0);
    assert(len <= KEY_MAX);
    if (m->count * 2 >= m->slot_count && !slots_grow(m)) return false;
    uint64_t hash = hash_of(key, len);
    size_t at = hash & (m->slot_count - 1);
    for (; m->slot[at]; at = (at + 1) & (m->slot_count - 1)) {
        const struct tallies_entry *e = &m->entry[m->slot[at] - 1];
        *idx = m->slot[at] - 1;
        if (e->hash != hash || e->key_len != len) continue;
        if (memcmp(e->key, key, len) == 0) return true;
    }
    assert(m->count < UINT32_MAX - 1);
    *idx = (uint32_t)m->count;
    if (!entry_make(m, key, len, hash)) return false;
    m->slot[at] = *idx + 1;
    return true;
}

static int by_key(const void *left, const void *right)
{
    const struct tallies_entry *a = left, *b = right;
    size_t len = a->key_len < b->key_len ? a->key_len : b->key_len;
    int order = memcmp(a->key, b->key, len);
    if (order != 0) return order;
    return (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

void tallies_sort(struct tallies *m)
{
    if (m->count > 1) qsort(m->entry, m->count, sizeof(*m->entry), by_key);
    free(m->slot);   /* it points at the old order */
    m->slot = NULL;
    m->slot_count = 0;
}
