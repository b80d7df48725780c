/* expect.c - see expect.h. An exponential mean in integers: each answer weighs an eighth, so
 * that some dozen answers forget what was before, and one odd answer moves little. */
#include "route/expect.h"

enum { SHARE = 8, Q = 16 };

uint64_t expect_name(uint64_t key, struct bytes model)
{
    uint64_t x = key * UINT64_C(0x9e3779b97f4a7c15);
    size_t i = 0;
    for (; i + 8 <= model.len; i += 8) {
        uint64_t word;
        memcpy(&word, model.ptr + i, sizeof word);
        x = (x ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        x ^= x >> 32;
    }
    for (; i < model.len; i++) x = (x ^ (unsigned char)model.ptr[i]) * UINT64_C(0x100000001b3);
    return (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
}

static uint32_t tag_of(uint64_t name)
{
    uint32_t tag = (uint32_t)(name >> 32);
    return tag ? tag : 1;
}

uint32_t expect_tokens(const struct expect *e, uint64_t name)
{
    const struct expect_place *p = &e->at[name % EXPECT_PLACES];
    if (p->tag != tag_of(name)) return EXPECT_TOKENS_FIRST;
    return (p->mean_q4 + Q - 1) / Q;
}

void expect_learn(struct expect *e, uint64_t name, uint32_t tokens)
{
    struct expect_place *p = &e->at[name % EXPECT_PLACES];
    uint64_t now = (uint64_t)(tokens < UINT32_MAX / Q ? tokens : UINT32_MAX / Q) * Q;
    if (p->tag != tag_of(name)) {
        *p = (struct expect_place){tag_of(name), (uint32_t)now};
        return;
    }
    uint64_t mean = ((uint64_t)p->mean_q4 * (SHARE - 1) + now + SHARE / 2) / SHARE;
    assert(mean <= UINT32_MAX);
    p->mean_q4 = (uint32_t)mean;
}
