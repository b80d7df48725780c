/* kinds.c - see kinds.h: which rows of a transaction are alike. Some hundred kinds stand for
 * ten thousand rows, so that each row costs one hash of the 350 bytes in question and one
 * comparison, and all that is done with them (finding an hour's sums, writing names and
 * prices) is done once per kind.
 * The rule: two rows are of a kind only if every byte agrees; the hash decides nothing. */
#include "store/kinds.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS_MIN = 256 };

/* What makes a kind, as ranges of bytes of a record that are hashed 32 at a time. Of a path
 * the last 8 bytes, the key, are taken apart. */
static const struct { uint16_t at, bytes; } parts[] = {
    {offsetof(struct record, model), RECORD_MODEL_MAX},
    {offsetof(struct record, tags), RECORD_TAGS_MAX},
    {offsetof(struct record, price), sizeof(int64_t) * TOKEN_KINDS},
    {offsetof(struct record, path), sizeof(store_id) * UNIT_KINDS},
};
/* How it ended: the small fields, as one number. */
static uint64_t ending(const struct record *r)
{
    return (uint64_t)r->kind | (uint64_t)r->flags << 8 | (uint64_t)r->mode << 16 |
           (uint64_t)r->attempts << 24 | (uint64_t)r->fallbacks << 32;
}

static uint64_t codes(const struct record *r)
{
    return (uint64_t)r->status << 16 | r->close;
}

static uint64_t word(const void *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof(v));
    return v;
}

/* Both halves of a product: every bit of a and b reaches every bit. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(const struct record *r, uint64_t seed)
{
    const uint64_t odd[2] = {UINT64_C(0x9e3779b97f4a7c15) ^ seed, UINT64_C(0xd6e8feb86659fd93)};
    uint64_t h = mix(ending(r) ^ odd[0], codes(r) ^ odd[1]);
    uint64_t lane = mix((uint64_t)r->price_request ^ odd[1], r->path[UNIT_KEY] ^ odd[0]);
    for (size_t p = 0; p < sizeof(parts) / sizeof(*parts); p++) {
        const char *at = (const char *)r + parts[p].at, *end = at + parts[p].bytes;
        for (; end - at >= 32; at += 32) {
            h = mix(word(at) ^ odd[0] ^ h, word(at + 8) ^ odd[1]);
            lane = mix(word(at + 16) ^ odd[0] ^ lane, word(at + 24) ^ odd[1]);
        }
    }
    return mix(h ^ odd[1], lane ^ odd[0]);
}

static bool is_alike(const struct record *a, const struct record *b)
{
    if (ending(a) != ending(b) || codes(a) != codes(b)) return false;
    return memcmp(a->path, b->path, sizeof(a->path)) == 0 &&
           memcmp(a->price, b->price, sizeof(a->price)) == 0 &&
           a->price_request == b->price_request &&
           memcmp(a->model, b->model, sizeof(a->model)) == 0 &&
           memcmp(a->tags, b->tags, sizeof(a->tags)) == 0;
}

static bool slots_grow(struct kinds *k)
{
    size_t count = k->slot_count ? k->slot_count * 2 : SLOTS_MIN;
    uint32_t *slot = calloc(count, sizeof(*slot));
    if (!slot) return false;
    for (size_t i = 0; i < k->count; i++) {
        size_t at = k->hash[i] & (count - 1);
        while (slot[at]) at = (at + 1) & (count - 1);
        slot[at] = (uint32_t)i + 1;
    }
    free(k->slot);
    k->slot = slot;
    k->slot_count = count;
    return true;
}

static bool entries_grow(struct kinds *k)
{
    size_t max = k->max ? k->max * 2 : SLOTS_MIN / 2;
    const struct record **record = realloc(k->record, max * sizeof(*record));
    if (record) k->record = record;
    uint64_t *hash = realloc(k->hash, max * sizeof(*hash));
    if (hash) k->hash = hash;
    uint32_t *local = realloc(k->local, max * sizeof(*local));
    if (local) k->local = local;
    if (!record || !hash || !local) return false;
    memset(local + k->max, 0, (max - k->max) * sizeof(*local));
    k->max = max;
    return true;
}

bool kinds_at(struct kinds *k, const struct record *r, uint32_t *kind)
{
    assert(r && kind);
    assert(k->count < UINT32_MAX - 1);
    if (k->count * 2 >= k->slot_count && !slots_grow(k)) return false;
    uint64_t hash = hash_of(r, k->seed);
    size_t at = hash & (k->slot_count - 1);
    for (; k->slot[at]; at = (at + 1) & (k->slot_count - 1)) {
        *kind = k->slot[at] - 1;
        if (k->hash[*kind] == hash && is_alike(k->record[*kind], r)) return true;
    }
    if (k->count == k->max && !entries_grow(k)) return false;
    *kind = (uint32_t)k->count++;
    k->record[*kind] = r;
    k->hash[*kind] = hash;
    k->slot[at] = *kind + 1;
    return true;
}

void kinds_fini(struct kinds *k)
{
    free(k->record);
    free(k->hash);
    free(k->local);
    free(k->slot);
    *k = (struct kinds){.count = 0};
}
