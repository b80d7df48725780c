/* builtin.c - walking the compiled-in TSV lists.
 * Model: a line is a row, a tab ends a field, '#' begins a comment line. The text is ours
 * (tools/catalog.py checks every field before it is committed), so oddities are asserted. */
#include "route/builtin.h"

extern const char builtin_providers_tsv[], builtin_catalog_tsv[];
extern const size_t builtin_providers_tsv_len, builtin_catalog_tsv_len;

struct bytes builtin_providers(void)
{
    return (struct bytes){builtin_providers_tsv, builtin_providers_tsv_len};
}

struct bytes builtin_models(void)
{
    return (struct bytes){builtin_catalog_tsv, builtin_catalog_tsv_len};
}

/* Take what stands before the next end byte (or all) off *in, and the end byte itself. */
static struct bytes cut_until(struct bytes *in, char end)
{
    struct bytes head = bytes_cut(in, bytes_find(*in, end));
    if (in->len > 0) bytes_cut(in, 1);
    return head;
}

/* Take the next line that is a row; false at the end. */
static bool next_row(struct bytes *at, struct bytes *row)
{
    while (at->len > 0) {
        struct bytes line = cut_until(at, '\n');
        if (line.len > 0 && line.ptr[0] != '#') {
            *row = line;
            return true;
        }
    }
    return false;
}

/* Is a key in the environment all that this provider needs? */
static bool is_ready(const struct builtin_provider *p)
{
    static const struct bytes header_auths[] = {
        {"bearer", 6}, {"x-api-key", 9}, {"x-goog-api-key", 14}, {"api-key", 7},
    };
    if (p->key_env.len == 0 || bytes_eq(p->dialect, BYTES("other"))) return false;
    if (bytes_find(p->base_url, '{') < p->base_url.len) return false;
    for (size_t i = 0; i < COUNT(header_auths); i++) {
        if (bytes_eq(p->auth, header_auths[i])) return true;
    }
    return false;
}

bool builtin_provider_next(struct bytes *at, struct builtin_provider *out)
{
    struct bytes row;
    if (!next_row(at, &row)) return false;
    struct builtin_provider p = {0};
    struct bytes *const field[] = {&p.name, &p.aliases, &p.dialect, &p.base_url, &p.key_env,
                                   &p.auth};
    for (size_t i = 0; i < COUNT(field); i++) *field[i] = cut_until(&row, '\t');
    assert(row.len == 0);
    assert(p.name.len > 0 && p.base_url.len > 0 && p.auth.len > 0);
    p.ready = is_ready(&p);
    *out = p;
    return true;
}

bool builtin_provider_find(struct bytes name, struct builtin_provider *out)
{
    struct builtin_provider p;
    for (struct bytes at = builtin_providers(); builtin_provider_next(&at, &p);) {
        /* tools/catalog.py sees to it that no alias is a name or another's alias. */
        if (!bytes_ieq(p.name, name) && !comma_list_has(p.aliases, name)) continue;
        *out = p;
        return true;
    }
    return false;
}

/* Read a price into kind[which] and note it as given; an empty one is left open. */
static void put_price(struct bytes text, enum price_kind which, int64_t kind[PRICE_KINDS],
                      unsigned *given)
{
    if (text.len == 0) return;
    bool exact = price_parse(text, &kind[which]);
    assert(exact);
    *given |= 1u << which;
}

/* Read an unsigned number; empty is 0. */
static uint64_t number(struct bytes text)
{
    uint64_t value = 0;
    if (text.len == 0) return 0;
    bool good = bytes_u64(text, &value);
    assert(good);
    return value;
}

static uint32_t tokens(struct bytes text)
{
    uint64_t value = number(text);
    assert(value <= UINT32_MAX);
    return (uint32_t)value;
}

/* The four fields of the long-prompt tier, which may all be empty. */
static void put_tier(struct bytes *row, unsigned base_given, struct price *p)
{
    uint64_t above = number(cut_until(row, '\t'));
    struct price_tier tier = {.above = above};
    unsigned given = 0;
    put_price(cut_until(row, '\t'), PRICE_INPUT, tier.kind, &given);
    put_price(cut_until(row, '\t'), PRICE_CACHED, tier.kind, &given);
    put_price(cut_until(row, '\t'), PRICE_OUTPUT, tier.kind, &given);
    assert((above == 0) == (given == 0));
    if (above == 0) return;
    price_tier_complete(p->kind, base_given, tier.kind, given);
    p->tier[p->tier_count++] = tier;
}

/* Later prices, "seconds:input/cached/output" separated by blanks. */
static void put_later(struct bytes text, struct price_list *list)
{
    while (text.len > 0) {
        struct bytes item = cut_until(&text, ' ');
        assert(list->count < PRICE_DATES_MAX);
        struct price *p = &list->at[list->count++];
        *p = (struct price){.from_unix_s = number(cut_until(&item, ':')), .known = true};
        assert(p->from_unix_s > p[-1].from_unix_s);
        unsigned given = 0;
        put_price(cut_until(&item, '/'), PRICE_INPUT, p->kind, &given);
        put_price(cut_until(&item, '/'), PRICE_CACHED, p->kind, &given);
        put_price(item, PRICE_OUTPUT, p->kind, &given);
        price_complete(p->kind, given);
    }
}

static uint8_t abilities(struct bytes letters)
{
    unsigned bits = 0;
    for (size_t i = 0; i < letters.len; i++) {
        switch (letters.ptr[i]) {
        case 't': bits |= ABILITY_TOOLS; break;
        case 'v': bits |= ABILITY_VISION; break;
        case 'j': bits |= ABILITY_JSON_SCHEMA; break;
        case 'r': bits |= ABILITY_REASONING; break;
        default: assert(letters.ptr[i] == 'r');  /* all that tools/catalog.py writes */
        }
    }
    return (uint8_t)bits;
}

bool builtin_model_next(struct bytes *at, struct builtin_model *out)
{
    struct bytes row;
    if (!next_row(at, &row)) return false;
    struct builtin_model m = {.price.count = 1};
    struct price *base = &m.price.at[0];
    m.provider = cut_until(&row, '\t');
    m.id = cut_until(&row, '\t');
    assert(m.provider.len > 0 && m.id.len > 0);
    put_price(cut_until(&row, '\t'), PRICE_INPUT, base->kind, &m.given);
    put_price(cut_until(&row, '\t'), PRICE_CACHED, base->kind, &m.given);
    put_price(cut_until(&row, '\t'), PRICE_CACHE_WRITE, base->kind, &m.given);
    put_price(cut_until(&row, '\t'), PRICE_OUTPUT, base->kind, &m.given);
    base->known = m.given != 0;
    price_complete(base->kind, m.given);
    put_tier(&row, m.given, base);
    put_later(cut_until(&row, '\t'), &m.price);
    m.context = tokens(cut_until(&row, '\t'));
    m.max_output = tokens(cut_until(&row, '\t'));
    m.abilities = abilities(row);
    *out = m;
    return true;
}
