/* policy.c - see policy.h. One walk over entries; each kind has a reader that takes it whole or
 * refuses it.
 *   blob: 'x' text NUL 'x' text NUL ...
 * Rule: what we would not have stored is not well-formed, and a limit that cannot be read is
 * not no limit: who asks refuses. */
#include "store/policy.h"

#include <string.h>
#include <strings.h>

/* Read a rate's digits, up to stop, into *rate, which has none yet. */
static bool rate_read(const char *at, const char *stop, uint32_t *rate)
{
    uint64_t value = 0;
    if (stop - at < 1 || stop - at > 10 || *rate != 0) return false;
    for (; at < stop; at++) {
        if (*at < '0' || *at > '9') return false;
        value = value * 10 + (uint64_t)(*at - '0');
    }
    if (value == 0 || value > UINT32_MAX) return false;
    *rate = (uint32_t)value;
    return true;
}

/* "0", "1", "0.95": at most 6 decimals, none of them a 0 at the end, 0 to 1. */
static bool floor_read(const char *at, const char *stop, struct policy_level *out)
{
    if (out->has_floor || at == stop || (*at != '0' && *at != '1')) return false;
    uint32_t value = (uint32_t)(*at++ - '0') * POLICY_ONE, unit = POLICY_ONE;
    if (at < stop && (*at++ != '.' || at == stop || stop[-1] == '0')) return false;
    for (; at < stop; at++) {
        unit /= 10;
        if (*at < '0' || *at > '9' || unit == 0) return false;
        value += (uint32_t)(*at - '0') * unit;
    }
    out->floor = value;
    out->has_floor = true;
    return value <= POLICY_ONE;
}

/* A lower-case word. */
static bool mode_read(const char *at, const char *stop, struct policy_level *out)
{
    if (out->mode || at == stop || stop - at >= POLICY_WORD_MAX) return false;
    out->mode = at;
    for (; at < stop; at++) {
        if (*at < 'a' || *at > 'z') return false;
    }
    return true;
}

static bool entry_read(char kind, const char *text, const char *stop, struct policy_level *out)
{
    bool has_text = stop > text, first;
    switch (kind) {
    case 'a': case 'd': return has_text;
    case 'A': return !has_text;
    case 'r': return rate_read(text, stop, &out->rates.rpm);
    case 't': return rate_read(text, stop, &out->rates.tpm);
    case 'c': return rate_read(text, stop, &out->rates.concurrency);
    case 'm': return mode_read(text, stop, out);
    case 'q': return floor_read(text, stop, out);
    case 'g':
        out->has_regions = true;
        return has_text && stop - text < POLICY_REGION_MAX;
    case 'G':
        out->has_regions = true;
        return !has_text;
    case 'z':
        first = !out->zero_retention_only;
        out->zero_retention_only = true;
        return first && !has_text;
    default: return false;
    }
}

bool policy_read(const char *blob, size_t len, struct policy_level *out)
{
    const char *at = blob, *end = at + len;
    *out = (struct policy_level){0};
    while (at < end) {
        const char *stop = memchr(at, '\0', (size_t)(end - at));
        if (!stop || stop == at || !entry_read(*at, at + 1, stop, out)) return false;
        at = stop + 1;
    }
    return true;
}

bool policy_rates(const char *blob, size_t len, struct rates *rates)
{
    struct policy_level level;
    bool sound = policy_read(blob, len, &level);
    *rates = level.rates;
    return sound;
}

bool policy_is_sound(const struct policy *policy)
{
    struct policy_level level;
    return policy->len <= sizeof(policy->blob) &&
           policy_read(policy->blob, policy->len, &level);
}

bool policy_region(const char *blob, size_t len, const char *region, size_t region_len)
{
    struct policy_level level;
    if (!policy_read(blob, len, &level)) return false;
    if (!level.has_regions) return true;
    for (const char *at = blob, *end = blob + len; at < end; at += strlen(at) + 1) {
        bool fits = *at == 'g' && strlen(at + 1) == region_len;
        if (fits && strncasecmp(at + 1, region, region_len) == 0) return true;
    }
    return false;
}
