/* price.c - exact prices: decimal text in, integers all the way, one rounding at the end.
 * Rule: no floating point, and no sum that could leave its type. Prices are bounded by what
 * price_parse() accepts (under 10^15 pico-dollars a token), token counts by 32 bits, sums are
 * 128 bits wide. */
#include "route/price.h"

enum { PICO_PER_NANO = 1000 };

/* Parse all of text as decimal with up to int_digits before the point and exact decimals
 * behind it, in units of the last exact decimal. What is not exact is refused, not rounded. */
static bool decimal(struct bytes text, size_t int_digits, size_t decimals, int64_t *out)
{
    assert(int_digits + decimals <= 15 && out);
    size_t point = bytes_find(text, '.');
    if (point == 0 || point > int_digits || point + 1 == text.len) return false;
    int64_t value = 0;
    size_t places = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (i == point) continue;
        char c = text.ptr[i];
        if (c < '0' || c > '9') return false;
        bool exact = i < point || places < decimals;
        if (!exact && c != '0') return false;
        if (exact) value = value * 10 + (c - '0');
        if (i > point) places++;
    }
    for (; places < decimals; places++) value *= 10;
    assert(value >= 0);
    *out = value;
    return true;
}

bool price_parse(struct bytes text, int64_t *pico_per_token)
{
    /* US dollars per 1M tokens: the sixth decimal is a pico-dollar per token. */
    return decimal(text, 9, 6, pico_per_token);
}

bool price_parse_usd(struct bytes text, int64_t *pico)
{
    int64_t nano = 0;
    if (!decimal(text, 6, 9, &nano)) return false;
    assert(nano <= INT64_MAX / PICO_PER_NANO);
    *pico = nano * PICO_PER_NANO;
    return true;
}

/* price * num / den, half up, at most INT64_MAX. */
static int64_t scaled(int64_t price, unsigned num, unsigned den)
{
    assert(price >= 0 && den > 0);
    __extension__ unsigned __int128 wide = (uint64_t)price;
    wide = (wide * num + den / 2) / den;
    return wide > INT64_MAX ? INT64_MAX : (int64_t)wide;
}

void price_complete(int64_t kind[PRICE_KINDS], unsigned given)
{
    assert(given < 1u << PRICE_KINDS);
    if (!(given & 1u << PRICE_INPUT)) kind[PRICE_INPUT] = 0;
    if (!(given & 1u << PRICE_OUTPUT)) kind[PRICE_OUTPUT] = 0;
    int64_t input = kind[PRICE_INPUT], output = kind[PRICE_OUTPUT];
    assert(input >= 0 && output >= 0);
    const int64_t fill[PRICE_KINDS] = {
        [PRICE_INPUT] = input, [PRICE_CACHED] = input,
        [PRICE_CACHE_WRITE] = scaled(input, 5, 4), [PRICE_CACHE_WRITE_1H] = scaled(input, 2, 1),
        [PRICE_OUTPUT] = output, [PRICE_AUDIO_INPUT] = input, [PRICE_AUDIO_OUTPUT] = output,
        [PRICE_IMAGE_INPUT] = input,
    };
    for (unsigned i = 0; i < PRICE_KINDS; i++) {
        if (!(given & 1u << i)) kind[i] = fill[i];
        assert(kind[i] >= 0);
    }
}

void price_tier_complete(const int64_t base[PRICE_KINDS], unsigned base_given,
                         int64_t kind[PRICE_KINDS], unsigned given)
{
    /* What has a rule of its own from the tier's input (cached, writes) is not taken over. */
    const unsigned inherited = 1u << PRICE_INPUT | 1u << PRICE_OUTPUT | 1u << PRICE_AUDIO_INPUT
                               | 1u << PRICE_AUDIO_OUTPUT | 1u << PRICE_IMAGE_INPUT;
    unsigned taken = inherited & base_given & ~given;
    assert(base_given < 1u << PRICE_KINDS);
    for (unsigned i = 0; i < PRICE_KINDS; i++) {
        if (taken & 1u << i) kind[i] = base[i];
    }
    price_complete(kind, given | taken);
}

const struct price *price_at(const struct price_list *list, uint64_t unix_s)
{
    assert(list->count <= PRICE_DATES_MAX);
    const struct price *found = NULL;
    for (unsigned i = 0; i < list->count; i++) {
        assert(i == 0 || list->at[i].from_unix_s > list->at[i - 1].from_unix_s);
        if (list->at[i].from_unix_s <= unix_s) found = &list->at[i];
    }
    return found;
}

const int64_t *price_kinds(const struct price *p, uint64_t prompt_tokens)
{
    assert(p->tier_count <= PRICE_TIERS_MAX);
    const int64_t *found = p->kind;
    for (unsigned i = 0; i < p->tier_count; i++) {
        assert(i == 0 || p->tier[i].above > p->tier[i - 1].above);
        if (prompt_tokens > p->tier[i].above) found = p->tier[i].kind;
    }
    return found;
}

int64_t price_cost(const int64_t kind[PRICE_KINDS], int64_t request,
                   const uint32_t tokens[PRICE_KINDS])
{
    assert(request >= 0);
    /* 8 products of under 2^95 and one term of 63 bits: far from 128. */
    __extension__ unsigned __int128 pico = (uint64_t)request;
    for (size_t i = 0; i < PRICE_KINDS; i++) {
        assert(kind[i] >= 0);
        __extension__ unsigned __int128 wide = (uint64_t)kind[i];
        pico += wide * tokens[i];
    }
    pico = (pico + PICO_PER_NANO / 2) / PICO_PER_NANO;
    return pico > INT64_MAX ? INT64_MAX : (int64_t)pico;
}
