/* sticky.c - see sticky.h. A word, from the top: 20 bits of the conversation (the set is chosen
 * by others), 20 of the model, 12 of time in half minutes, 12 of tokens in units of 256. */
#include "engine/sticky.h"

enum {
    MODEL_BITS = 20, TIME_BITS = 12, TOKEN_BITS = 12,
    MODEL_MASK = (1 << MODEL_BITS) - 1, TIME_MASK = (1 << TIME_BITS) - 1,
    TOKEN_MASK = (1 << TOKEN_BITS) - 1,
    TIME_S = 30, TOKEN_UNIT = 256,
    AGE_MAX = STICKY_TTL_S / TIME_S,
};

static_assert(STICKY_TTL_S % TIME_S == 0, "a time to live is whole units");

/* The finaliser of splitmix64 (Steele, Lea, Flood 2014): each bit depends on all. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

uint64_t sticky_seed(const uint8_t *key_hash)
{
    uint64_t seed;
    memcpy(&seed, key_hash, sizeof seed);
    return seed;
}

uint64_t sticky_hash(uint64_t seed, struct bytes text)
{
    const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = mix(seed + text.len + 1), word = 0;
    size_t i = 0;
    for (; text.len - i >= sizeof word; i += sizeof word) {     /* a load, not a call */
        memcpy(&word, text.ptr + i, sizeof word);
        x = mix(x ^ word) + step;
    }
    if (i < text.len) {
        word = 0;
        memcpy(&word, text.ptr + i, text.len - i);
        x = mix(x ^ word) + step;
    }
    return x ? x : 1;
}

uint32_t sticky_model(struct bytes id)
{
    return (uint32_t)(sticky_hash(0, id) >> 32) & MODEL_MASK;
}

static uint64_t tag_of(uint64_t session) { return session >> 44; }

static uint64_t age_of(uint64_t word, uint64_t now_unix_s)
{
    uint64_t then = word >> TOKEN_BITS & TIME_MASK;
    return (now_unix_s / TIME_S - then) & TIME_MASK;
}

bool sticky_find(const struct sticky *s, uint64_t session, uint64_t now_unix_s,
                 struct sticky_last *out)
{
    const _Atomic uint64_t *set = &s->word[session % STICKY_SETS * STICKY_WAYS];
    assert(session != 0);
    for (unsigned i = 0; i < STICKY_WAYS; i++) {
        uint64_t word = atomic_load_explicit(&set[i], memory_order_relaxed);
        if (word == 0 || word >> 44 != tag_of(session)) continue;
        if (age_of(word, now_unix_s) > AGE_MAX) return false;
        out->model = (uint32_t)(word >> (TIME_BITS + TOKEN_BITS)) & MODEL_MASK;
        out->tokens = (uint32_t)(word & TOKEN_MASK) * TOKEN_UNIT;
        return true;
    }
    return false;
}

void sticky_note(struct sticky *s, uint64_t session, uint64_t now_unix_s,
                 struct sticky_last last)
{
    _Atomic uint64_t *set = &s->word[session % STICKY_SETS * STICKY_WAYS];
    assert(session != 0 && last.model <= MODEL_MASK);
    uint64_t units = last.tokens / TOKEN_UNIT;
    if (units > TOKEN_MASK) units = TOKEN_MASK;
    unsigned to = 0;
    uint64_t oldest = 0;
    for (unsigned i = 0; i < STICKY_WAYS; i++) {
        uint64_t word = atomic_load_explicit(&set[i], memory_order_relaxed);
        bool own = word != 0 && word >> 44 == tag_of(session);
        uint64_t age = own || word == 0 ? UINT64_MAX : age_of(word, now_unix_s);
        if (i == 0 || age > oldest || own) to = i, oldest = age;
        if (own) break;
    }
    uint64_t word = tag_of(session) << 44 | (uint64_t)last.model << (TIME_BITS + TOKEN_BITS) |
                    (now_unix_s / TIME_S & TIME_MASK) << TOKEN_BITS | units;
    /* Two cores may write at once: one of them is forgotten, and no word is of two. */
    atomic_store_explicit(&set[to], word, memory_order_relaxed);
}
