/* builtin.c - walking the compiled-in TSV lists.
 * Model: a line is a row, a tab ends a field, '#' begins a comment line. The text is ours
 * (tools/catalog.py checks every field before it is committed), so oddities are asserted. */
#include "route/builtin.h"

extern const char builtin_providers_tsv[], builtin_catalog_tsv[], builtin_quality_tsv[];
extern const size_t builtin_providers_tsv_len, builtin_catalog_tsv_len, builtin_quality_tsv_len;

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

static uint32_t quirks(struct bytes words)
{
    static const struct { struct bytes word; enum catalog_quirk bit; } known[] = {
#define X(name, text) {BYTES_INIT(text), QUIRK_##name},
#define Y X
#include "route/quirk.def"
#undef X
#undef Y
    };
    unsigned bits = 0;
    while (words.len > 0) {
        struct bytes word = cut_until(&words, ',');
        unsigned before = bits;
        for (size_t i = 0; i < COUNT(known); i++) {
            if (bytes_eq(word, known[i].word)) bits |= (unsigned)known[i].bit;
        }
        assert(bits != before);
    }
    return bits;
}

static uint8_t continues(struct bytes word)
{
    if (word.len == 0) return CONTINUES_UNSAID;
    for (unsigned how = CONTINUES_UNSAID + 1;; how++) {
        assert(how < CONTINUES);
        const char *known = catalog_continues_word((enum catalog_continues)how);
        if (bytes_eq(bytes_of(known), word)) return (uint8_t)how;
    }
}

bool builtin_provider_next(struct bytes *at, struct builtin_provider *out)
{
    struct bytes row;
    if (!next_row(at, &row)) return false;
    struct builtin_provider p = {0};
    struct bytes *const field[] = {&p.name, &p.aliases, &p.dialect, &p.base_url, &p.key_env,
                                   &p.auth, &p.region, &p.retention, &p.usage, &p.limits,
                                   &p.thoughts, &p.speaks};
    for (size_t i = 0; i < COUNT(field); i++) *field[i] = cut_until(&row, '\t');
    p.quirks = quirks(cut_until(&row, '\t'));
    p.continues = continues(row);
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
    static const char known[] = "tvjr";   /* in the order of the bits */
    unsigned bits = 0;
    for (size_t i = 0; i < letters.len; i++) {
        const char *at = strchr(known, letters.ptr[i]);
        assert(at || letters.ptr[i] == 'e' || letters.ptr[i] == 'o');   /* catalog.py's */
        if (at) bits |= 1u << (at - known);
    }
    return (uint8_t)bits;
}

/* ---- quality ---- */

/* Read a signed number of hundredths, of which there may be none. */
static float hundredths(struct bytes text)
{
    bool negative = bytes_starts(text, BYTES("-"));
    if (negative) bytes_cut(&text, 1);
    float value = (float)number(text) / 100;
    return negative ? -value : value;
}

/* The row of quality.tsv with this name: its rows are sorted, so by halving. */
static bool quality_row(struct bytes name, struct bytes *row)
{
    struct bytes left = {builtin_quality_tsv, builtin_quality_tsv_len};
    while (left.len > 0 && *left.ptr == '#') cut_until(&left, '\n');
    while (left.len > 0) {
        size_t mid = left.len / 2;
        while (mid > 0 && left.ptr[mid - 1] != '\n') mid--;
        struct bytes rest = {left.ptr + mid, left.len - mid};
        struct bytes line = cut_until(&rest, '\n'), whole = line;
        struct bytes its = cut_until(&line, '\t');
        size_t common = its.len < name.len ? its.len : name.len;
        int order = memcmp(its.ptr, name.ptr, common);
        if (order == 0) order = (its.len > name.len) - (its.len < name.len);
        if (order == 0) {
            *row = whole;
            return true;
        }
        if (order < 0) left = rest;
        else left.len = mid;
    }
    return false;
}

/* "t:width:figures" of each family. */
static void put_families(struct bytes cells, struct quality *q)
{
    for (int f = 0; f < FAMILIES; f++) {
        struct bytes cell = cut_until(&cells, ' ');
        q->t[f] = hundredths(cut_until(&cell, ':'));
        q->width[f] = hundredths(cut_until(&cell, ':'));
        uint64_t count = number(cell);
        assert(count <= UINT8_MAX && q->width[f] > 0);
        q->figures[f] = (uint8_t)count;
        q->evidence[f] = count ? QUALITY_FIGURES : QUALITY_ELSEWHERE;
    }
    assert(cells.len == 0);
}

/* What t loses at each effort, from none on. */
static void put_shifts(struct bytes cells, struct quality *q)
{
    for (int e = EFFORT_NONE; e < EFFORTS; e++) {
        q->effort[e] = hundredths(cut_until(&cells, ':'));
        assert(q->effort[e] <= 0);
    }
    assert(cells.len == 0);
}

/* Read the row of this name, all but what depends on the provider. */
static void put_figures(struct bytes name, struct quality *q, struct bytes *sources)
{
    struct bytes row;
    bool found = quality_row(name, &row);
    assert(found);   /* tools/catalog.py wrote both */
    cut_until(&row, '\t');
    *sources = cut_until(&row, '\t');
    put_families(cut_until(&row, '\t'), q);
    if (row.len) put_shifts(row, q);
}

/* Where nobody published the difference, it is the median of models. */
static void put_usual_shifts(struct quality *q)
{
    struct bytes row;
    bool found = quality_row(BYTES("*"), &row);
    assert(found);
    for (int i = 0; i < 3; i++) cut_until(&row, '\t');
    put_shifts(row, q);
}

/* The column quality: a name in quality.tsv, or t by price and date. */
static void put_quality(struct bytes cell, struct builtin_model *m)
{
    struct quality *q = &m->quality;
    quality_nothing(q);
    put_usual_shifts(q);
    struct bytes digits = cell;
    bool dated = !(cell.len && cell.ptr[cell.len - 1] == '?');
    if (!dated) digits.len--;
    if (bytes_starts(digits, BYTES("-"))) bytes_cut(&digits, 1);
    uint64_t any;
    if (cell.len == 0) return;
    if (!bytes_u64(digits, &any)) {
        m->figures_of = cell;
        put_figures(cell, q, &m->sources);
        return;
    }
    if (!dated) cell.len--;
    for (int f = 0; f < FAMILIES; f++) {
        q->t[f] = hundredths(cell);
        q->width[f] = dated ? QUALITY_WIDTH_PRICE : QUALITY_WIDTH_FLAT;
        q->evidence[f] = QUALITY_PRICE;
    }
}

static enum effort effort_of(char letter)
{
    static const char letters[EFFORTS] = " nilmhx";
    const char *at = memchr(letters, letter, sizeof letters);
    assert(at && at != letters);
    return (enum effort)(at - letters);
}

/* "lmh:m": the levels, and the one that counts where a request says none. Without the latter a
 * request that says nothing gets all the model has. */
static void put_efforts(struct bytes cell, struct quality *q)
{
    struct bytes levels = cut_until(&cell, ':');
    for (size_t i = 0; i < levels.len; i++) {
        q->efforts |= (uint8_t)(1u << effort_of(levels.ptr[i]));
    }
    q->effort[EFFORT_UNSET] = cell.len ? q->effort[effort_of(*cell.ptr)] : 0;
}

/* ---- models ---- */

/* Take the next row of this provider, or of any. */
static bool next_of(struct bytes *at, struct bytes provider, struct bytes *row)
{
    while (next_row(at, row)) {
        bool its = bytes_starts(*row, provider) && row->len > provider.len &&
                   row->ptr[provider.len] == '\t';
        if (its || provider.len == 0) return true;
    }
    return false;
}

bool builtin_model_next(struct bytes *at, struct bytes provider, struct builtin_model *out)
{
    struct bytes row;
    if (!next_of(at, provider, &row)) return false;
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
    struct bytes letters = cut_until(&row, '\t');
    m.abilities = abilities(letters);
    m.no_text = bytes_find(letters, 'e') < letters.len;
    m.by_name = bytes_find(letters, 'o') < letters.len;
    m.released = cut_until(&row, '\t');
    put_quality(cut_until(&row, '\t'), &m);
    put_efforts(cut_until(&row, '\t'), &m.quality);
    m.quirks = quirks(cut_until(&row, '\t'));
    m.continues = continues(row);
    *out = m;
    return true;
}

/* What follows the last '/'. */
static struct bytes tail_of(struct bytes name)
{
    size_t start = name.len;
    while (start > 0 && name.ptr[start - 1] != '/') start--;
    bytes_cut(&name, start);
    return name;
}

bool builtin_quality_find(struct bytes name, struct quality *out)
{
    struct bytes at = builtin_models(), row, sources, tail = tail_of(name);
    while (tail.len > 0 && next_of(&at, (struct bytes){0}, &row)) {
        cut_until(&row, '\t');
        if (!bytes_ieq(tail_of(cut_until(&row, '\t')), tail)) continue;
        for (int i = 0; i < 13; i++) cut_until(&row, '\t');
        struct bytes cell = cut_until(&row, '\t'), figures;
        if (!quality_row(cell, &figures)) continue;
        quality_nothing(out);
        put_usual_shifts(out);
        put_figures(cell, out, &sources);
        return true;
    }
    return false;
}
