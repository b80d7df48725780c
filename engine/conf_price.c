/* conf_price.c - the price of a model: a map of decimal strings, with tiers by the size of the
 * prompt; or a list of such maps, each from its date on. All exact integers (route/price.h);
 * what is not stated follows contract.md section 3, and a price is stated whole or not at
 * all: input and output are always asked for, because a forgotten one would be given away. */
#include <stdio.h>

#include "engine/conf_parts.h"
#include "route/price.h"

static const char *const kinds[PRICE_KINDS] = {
    [PRICE_INPUT] = "input", [PRICE_CACHED] = "cached", [PRICE_CACHE_WRITE] = "cache_write",
    [PRICE_CACHE_WRITE_1H] = "cache_write_1h", [PRICE_OUTPUT] = "output",
    [PRICE_AUDIO_INPUT] = "audio_input", [PRICE_AUDIO_OUTPUT] = "audio_output",
    [PRICE_IMAGE_INPUT] = "image_input",
};
static const char *const others[] = {"request", "tiers", "from", "above"};

static void unknown(struct conf_reader *r, const struct conf_node *n, const char *where)
{
    char shown[CONF_QUOTE_MAX], hint[CONF_QUOTE_MAX];
    const char *near = NULL;
    struct bytes name = n->key->raw;
    unsigned best = conf_distance_max(name) + 1;
    for (size_t i = 0; i < PRICE_KINDS + COUNT(others); i++) {
        const char *known = i < PRICE_KINDS ? kinds[i] : others[i - PRICE_KINDS];
        unsigned d = conf_distance(name, bytes_of(known), best - 1);
        if (d >= best) continue;
        best = d;
        near = known;
    }
    conf_error(r, n->key->at, "unknown setting %s in %s%s", conf_quote_text(name, shown), where,
               conf_hint(near, hint));
}

/* One amount of money. False when reported. */
static bool money(struct conf_reader *r, struct conf_node *n, bool per_request, int64_t *out)
{
    char shown[CONF_QUOTE_MAX], label[CONF_QUOTE_MAX];
    if (n->bad) return false;
    bool fine = n->kind == CONF_SCALAR && (per_request ? price_parse_usd(n->text, out)
                                                       : price_parse(n->text, out));
    if (fine) return true;
    conf_error(r, n->at, "the price %s is %s; it takes a decimal number like \"0.25\" (US "
               "dollars %s)", conf_quote_text(n->key->raw, label), conf_quote(n, shown),
               per_request ? "per request, at most 9 decimals"
                           : "per 1M tokens, at most 6 decimals");
    return false;
}

/* Which price_kind a name is; PRICE_KINDS where none. */
static unsigned kind_of(struct bytes name)
{
    unsigned k = 0;
    while (k < PRICE_KINDS && !bytes_eq(name, bytes_of(kinds[k]))) k++;
    return k;
}

static void read_above(struct conf_reader *r, struct conf_node *n, uint64_t before,
                       uint64_t *out)
{
    char shown[CONF_QUOTE_MAX];
    uint64_t above = 0;
    if (n->bad) return;
    bool fine = n->kind == CONF_SCALAR && (!n->quoted || n->expanded) &&
                bytes_u64(n->text, &above) && above > 0 && above <= UINT32_MAX;
    if (!fine) {
        conf_error(r, n->at, "above is %s; it takes a whole number of prompt tokens from 1 to "
                   "%u", conf_quote(n, shown), UINT32_MAX);
    } else if (above <= before) {
        conf_error(r, n->at, "above is %s; each tier must be above the one before it",
                   conf_quote(n, shown));
    } else {
        *out = above;
    }
}

static void read_tier(struct conf_reader *r, struct conf_node *map, const struct price *base,
                      unsigned base_given, uint64_t before, struct price_tier *out)
{
    unsigned given = 0;
    if (map->kind != CONF_MAP) {
        char shown[CONF_QUOTE_MAX];
        conf_error(r, map->at, "a tier is %s; it takes a map of above and prices",
                   conf_quote(map, shown));
        return;
    }
    for (struct conf_node *n = map->first; n; n = n->next) {
        unsigned k = kind_of(n->key->raw);
        if (n->bad) continue;
        if (bytes_eq(n->key->raw, BYTES("above"))) read_above(r, n, before, &out->above);
        else if (k == PRICE_KINDS) unknown(r, n, "a tier");
        else if (money(r, n, false, &out->kind[k])) given |= 1u << k;
    }
    if (!conf_child(map, "above")) conf_error(r, map->at, "a tier needs above");
    price_tier_complete(base->kind, base_given, out->kind, given);
}

static void read_tiers(struct conf_reader *r, struct conf_node *n, unsigned base_given,
                       struct price *p)
{
    if (conf_is_null(n) || n->bad) return;
    if (n->kind != CONF_LIST || n->count > PRICE_TIERS_MAX) {
        char shown[CONF_QUOTE_MAX];
        conf_error(r, n->at, "tiers is %s; it takes a list of at most %d maps",
                   conf_quote(n, shown), PRICE_TIERS_MAX);
        return;
    }
    uint64_t before = 0;
    for (struct conf_node *tier = n->first; tier; tier = tier->next) {
        assert(p->tier_count < PRICE_TIERS_MAX);
        struct price_tier *out = &p->tier[p->tier_count++];
        if (!tier->bad) read_tier(r, tier, p, base_given, before, out);
        if (out->above) before = out->above;
    }
}

/* Days since 1970-01-01 of a day of the Gregorian calendar, years 1970 and later. */
static uint64_t days(unsigned year, unsigned month, unsigned day)
{
    static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    assert(year >= 1970 && month >= 1 && month <= 12);
    unsigned y = year - (month <= 2);          /* leap days up to now */
    unsigned leaps = y / 4 - y / 100 + y / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400);
    return (uint64_t)(year - 1970) * 365 + leaps + before[month - 1] + day - 1;
}

static bool date(struct bytes text, uint64_t *unix_s)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint64_t y, m, d;
    if (text.len != 10 || text.ptr[4] != '-' || text.ptr[7] != '-') return false;
    struct bytes left = text;
    if (!bytes_u64(bytes_cut(&left, 4), &y) ||
        !bytes_u64((struct bytes){text.ptr + 5, 2}, &m) ||
        !bytes_u64((struct bytes){text.ptr + 8, 2}, &d)) return false;
    if (y < 1970 || m < 1 || m > 12 || d < 1) return false;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    if (d > lengths[m - 1] + (uint64_t)(leap && m == 2)) return false;
    *unix_s = days((unsigned)y, (unsigned)m, (unsigned)d) * 86400;
    return true;
}

static void read_from(struct conf_reader *r, struct conf_node *n, uint64_t *out)
{
    char shown[CONF_QUOTE_MAX];
    if (n->bad || (n->kind == CONF_SCALAR && date(n->text, out))) return;
    conf_error(r, n->at, "from is %s; it takes a day like 2026-01-31, which begins at 00:00 "
               "UTC", conf_quote(n, shown));
}

static void read_price(struct conf_reader *r, struct conf_node *map, struct price *p)
{
    unsigned given = 0;
    struct conf_node *tiers = NULL;
    p->known = true;
    for (struct conf_node *n = map->first; n; n = n->next) {
        struct bytes name = n->key->raw;
        unsigned k = kind_of(name);
        if (n->bad) continue;
        if (bytes_eq(name, BYTES("request"))) {
            if (!money(r, n, true, &p->request)) continue;
        } else if (bytes_eq(name, BYTES("from"))) {
            read_from(r, n, &p->from_unix_s);
        } else if (bytes_eq(name, BYTES("tiers"))) {
            tiers = n;
        } else if (k == PRICE_KINDS) {
            unknown(r, n, "a price");
        } else if (money(r, n, false, &p->kind[k])) {
            given |= 1u << k;
        }
    }
    for (unsigned k = 0; k < PRICE_KINDS; k++) {
        if (k != PRICE_INPUT && k != PRICE_OUTPUT) continue;
        if (!conf_child(map, kinds[k])) {
            conf_error(r, map->at, "a price needs %s (\"0\" where it costs nothing)", kinds[k]);
        }
    }
    price_complete(p->kind, given);
    if (tiers) read_tiers(r, tiers, given, p);
}

void conf_read_price(struct conf_reader *r, const struct conf_setting *s, struct conf_node *n,
                     struct price_list *out)
{
    struct price_list list = {0};
    uint32_t before = r->errors.count;
    if (n->bad) return;
    bool dated = n->kind == CONF_LIST;
    if (n->kind == CONF_SCALAR || (dated && (n->count == 0 || n->count > PRICE_DATES_MAX))) {
        conf_value_wrong(r, s, n);
        return;
    }
    for (struct conf_node *m = dated ? n->first : n; m; m = dated ? m->next : NULL) {
        struct price *p = &list.at[list.count++];
        if (m->kind != CONF_MAP) {
            conf_value_wrong(r, s, m);
            continue;
        }
        read_price(r, m, p);
        struct conf_node *from = conf_child(m, "from");
        if (list.count < 2 || p->from_unix_s > p[-1].from_unix_s) continue;
        if (!from) {
            conf_error(r, m->at, "every price of a list but the first needs from");
        } else if (p->from_unix_s) {
            conf_error(r, from->at, "each from must be later than the one before it");
        }
    }
    if (r->errors.count == before) *out = list;
}
