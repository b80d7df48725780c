/* ids.c - ids as numbers and as text.
 * The number is kind + 1 in the top 8 bits and a serial below, so that 0 is none. The text is
 * the kind's prefix and 13 base32 digits of the number behind a fixed one-to-one mixing: it
 * needs no table in either direction, but neighbours look unrelated, so that nobody counts our
 * customers or guesses the next id by adding one. It is no secret and no protection.
 * Rule: one text per id. Parsing turns the mixing back and checks the kind it finds against
 * the prefix, so of the texts of the right form all but 1 in 256 are refused here. */
#include "store/store.h"

#include <string.h>

enum {
    KIND_SHIFT = 56,
    DIGITS = 13,    /* 65 bits: the first digit carries four */
    DIGIT_BITS = 5,
    PREFIX_MAX = 5,
};
static_assert(PREFIX_MAX + DIGITS < STORE_ID_TEXT_MAX, "an id's text and its end fit");
static_assert(UNIT_KINDS < 255, "a kind and its 1 fit the top byte");

/* Without i, l, o and u, which people misread. */
static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

static const char *const prefixes[UNIT_KINDS] = {
    [UNIT_ORGANIZATION] = "org_", [UNIT_DEPARTMENT] = "dep_", [UNIT_TEAM] = "team_",
    [UNIT_MEMBER] = "mem_",       [UNIT_KEY] = "key_",
};

/* The mixing: two odd factors, and what undoes them modulo 2^64. Fixed for ever, because
 * people keep the texts. */
static const uint64_t factor_a = 0x9d6a2b3f51c8e7a5, undo_a = 0xf81021fa510fa82d;
static const uint64_t factor_b = 0xc3e1f7285d94b60b, undo_b = 0x376d078a16d1a5a3;

/* One-to-one on 64 bits: a shift of half the width or more is its own inverse under xor. */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= factor_a;
    x ^= x >> 33;
    x *= factor_b;
    return x ^ (x >> 32);
}

static uint64_t unmix(uint64_t x)
{
    x ^= x >> 32;
    x *= undo_b;
    x ^= x >> 33;
    x *= undo_a;
    return x ^ (x >> 32);
}

const char *unit_kind_name(enum unit_kind kind)
{
    static const char *const names[UNIT_KINDS] = {"organization", "department", "team",
                                                  "member", "key"};
    assert(kind < UNIT_KINDS);
    return names[kind];
}

enum unit_kind store_id_kind(store_id id)
{
    uint64_t top = id >> KIND_SHIFT;
    assert(top >= 1);
    assert(top <= UNIT_KINDS);
    return (enum unit_kind)(top - 1);
}

bool store_id_is_valid(store_id id)
{
    uint64_t top = id >> KIND_SHIFT;
    return top >= 1 && top <= UNIT_KINDS && id << (64 - KIND_SHIFT) != 0;
}

store_id store_id_make(enum unit_kind kind, uint64_t serial)
{
    assert(kind < UNIT_KINDS);
    assert(serial > 0 && serial >> KIND_SHIFT == 0);
    return ((uint64_t)kind + 1) << KIND_SHIFT | serial;
}

void store_id_text(store_id id, char out[STORE_ID_TEXT_MAX])
{
    memset(out, 0, STORE_ID_TEXT_MAX);
    if (id == 0) return;
    const char *prefix = prefixes[store_id_kind(id)];
    size_t len = strlen(prefix);
    assert(len <= PREFIX_MAX);
    memcpy(out, prefix, len);
    uint64_t left = mix(id);
    for (size_t i = DIGITS; i-- > 0; left >>= DIGIT_BITS) {
        out[len + i] = alphabet[left & ((1u << DIGIT_BITS) - 1)];
    }
    assert(left == 0);
}

/* The number that DIGITS digits spell. Gives true; false where they are none or spell more
 * than 64 bits. */
static bool digits_value(const char *text, uint64_t *value)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < DIGITS; i++) {
        const char *at = text[i] ? strchr(alphabet, text[i]) : NULL;
        if (!at || sum >> (64 - DIGIT_BITS)) return false;
        sum = sum << DIGIT_BITS | (uint64_t)(at - alphabet);
    }
    *value = sum;
    return true;
}

store_id store_id_parse(const char *text, size_t len)
{
    for (unsigned kind = 0; kind < UNIT_KINDS; kind++) {
        size_t prefix_len = strlen(prefixes[kind]);
        if (len != prefix_len + DIGITS) continue;
        if (memcmp(text, prefixes[kind], prefix_len) != 0) continue;
        uint64_t value;
        if (!digits_value(text + prefix_len, &value)) return 0;
        store_id id = unmix(value);
        return store_id_is_valid(id) && store_id_kind(id) == kind ? id : 0;
    }
    return 0;
}
