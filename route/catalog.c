/* catalog.c - the table of providers, models and aliases, and every way to look a name up.
 * Model: models lie sorted by id; by_bare lists them sorted by what follows the first '/', and
 * within one bare name in the order a request for it goes through. Both are binary searches.
 * Rule: only catalog_index() changes or allocates anything; the rest reads. */
#include "route/catalog.h"

#include <stdlib.h>

enum { NEAR_MAX = 4 };           /* edits after which a name is another name */

/* ---- building ---- */

struct place {                   /* where a model was before sorting, and what sorts it */
    const struct catalog_model *model;
    uint32_t was;
};

static int by_id(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    int order = strcmp(x->model->id, y->model->id);
    assert(order != 0 || a == b);  /* the builder has refused repeated ids */
    return order;
}

static int by_bare(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    int order = strcmp(x->model->bare, y->model->bare);
    if (order) return order;
    if (x->model->configured != y->model->configured) return x->model->configured ? -1 : 1;
    if (!x->model->configured && x->model->provider != y->model->provider) {
        return x->model->provider < y->model->provider ? -1 : 1;
    }
    return x->was < y->was ? -1 : x->was > y->was;
}

/* Put models in the order of place, each cycle of the permutation by itself. */
static void permute(struct catalog_model *model, struct place *place, uint32_t count)
{
    for (uint32_t start = 0; start < count; start++) {
        if (place[start].was == start) continue;
        struct catalog_model first = model[start];
        uint32_t to = start;
        for (uint32_t from = place[to].was; from != start; from = place[to].was) {
            assert(from < count);
            model[to] = model[from];
            place[to].was = to;
            to = from;
        }
        model[to] = first;
        place[to].was = to;
    }
}

bool catalog_index(struct catalog *c)
{
    assert(!c->by_bare && c->provider_count <= CATALOG_PROVIDERS_MAX);
    uint32_t count = c->model_count;
    size_t room = count ? count : 1;
    struct place *place = malloc(room * sizeof *place);
    uint32_t *to = malloc(room * sizeof *to);      /* place before sorting -> after */
    uint32_t *list = malloc(room * sizeof *list);
    bool good = place && to && list;
    if (!good) goto out;
    for (uint32_t i = 0; i < count; i++) {
        struct catalog_model *m = &c->model[i];
        const char *slash = strchr(m->id, '/');
        assert(slash && m->provider < c->provider_count);
        m->bare = slash + 1;
        place[i] = (struct place){m, i};
    }
    qsort(place, count, sizeof *place, by_bare);
    for (uint32_t i = 0; i < count; i++) list[i] = place[i].was;
    qsort(place, count, sizeof *place, by_id);
    for (uint32_t i = 0; i < count; i++) to[place[i].was] = i;
    for (uint32_t i = 0; i < count; i++) list[i] = to[list[i]];
    permute(c->model, place, count);
    c->by_bare = list;
    list = NULL;
out:
    free(place);
    free(to);
    free(list);
    return good;
}

/* ---- exact look-up ---- */

/* Byte order of a C string and a slice, as strcmp() would say it. */
static int compare(const char *text, struct bytes b)
{
    struct bytes a = bytes_of(text);
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    if (order) return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

int32_t catalog_find(const struct catalog *c, struct bytes id)
{
    uint32_t low = 0, high = c->model_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        int order = compare(c->model[mid].id, id);
        if (order == 0) return (int32_t)mid;
        if (order < 0) low = mid + 1;
        else high = mid;
    }
    assert(low == high);
    return -1;
}

bool catalog_bare(const struct catalog *c, struct bytes bare, uint32_t *first, uint32_t *count)
{
    assert(c->by_bare || c->model_count == 0);
    uint32_t low = 0, high = c->model_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (compare(c->model[c->by_bare[mid]].bare, bare) < 0) low = mid + 1;
        else high = mid;
    }
    uint32_t end = low;
    while (end < c->model_count && compare(c->model[c->by_bare[end]].bare, bare) == 0) end++;
    if (end == low) return false;
    *first = low;
    *count = end - low;
    return true;
}

int32_t catalog_provider_find(const struct catalog *c, struct bytes name)
{
    assert(c->provider_count <= CATALOG_PROVIDERS_MAX);
    for (uint32_t i = 0; i < c->provider_count; i++) {
        if (compare(c->provider[i].name, name) == 0) return (int32_t)i;
    }
    return -1;
}

/* ---- aliases ---- */

bool glob_match(struct bytes pattern, struct bytes text)
{
    size_t p = 0, t = 0;
    size_t star = SIZE_MAX, star_t = 0;    /* the last '*', and where its run ends so far */
    while (t < text.len) {
        char want = p < pattern.len ? pattern.ptr[p] : '\0';
        if (p < pattern.len && want == '*') {
            star = p++;
            star_t = t;
        } else if (p < pattern.len && (want == '?' || want == text.ptr[t])) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++star_t;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*') p++;
    assert(p <= pattern.len);
    return p == pattern.len;
}

int32_t catalog_alias_exact(const struct catalog *c, struct bytes name)
{
    for (uint32_t i = 0; i < c->alias_count; i++) {
        assert(c->alias[i].pattern);
        if (compare(c->alias[i].pattern, name) == 0) return (int32_t)i;
    }
    return -1;
}

int32_t catalog_alias_find(const struct catalog *c, struct bytes name)
{
    int32_t exact = catalog_alias_exact(c, name);
    if (exact >= 0) return exact;
    for (uint32_t i = 0; i < c->alias_count; i++) {
        if (glob_match(bytes_of(c->alias[i].pattern), name)) return (int32_t)i;
    }
    return -1;
}

bool comma_list_has(struct bytes list, struct bytes name)
{
    while (list.len > 0) {
        struct bytes item = bytes_cut(&list, bytes_find(list, ','));
        if (list.len > 0) bytes_cut(&list, 1);
        item = bytes_trim(item);
        if (item.len > 0 && bytes_ieq(item, name)) return true;
    }
    return false;
}

/* ---- the nearest name ---- */

/* Edit distance of a and b without regard to ASCII case, or limit + 1 where it is more. Only
 * the diagonal band that a distance within limit can pass through is computed. */
static unsigned distance(struct bytes a, struct bytes b, unsigned limit)
{
    assert(a.len <= CATALOG_NAME_MAX && limit <= NEAR_MAX);
    size_t apart = a.len < b.len ? b.len - a.len : a.len - b.len;
    unsigned over = limit + 1;
    if (apart > limit || b.len > CATALOG_NAME_MAX) return over;
    uint8_t rows[2][CATALOG_NAME_MAX + 1];
    for (size_t j = 0; j <= b.len; j++) rows[0][j] = (uint8_t)(j < over ? j : over);
    for (size_t i = 1; i <= a.len; i++) {
        uint8_t *was = rows[(i - 1) & 1], *now = rows[i & 1];
        size_t low = i > limit ? i - limit : 1;
        size_t high = i + limit < b.len ? i + limit : b.len;
        now[low - 1] = (uint8_t)(low == 1 && i < over ? i : over);
        unsigned least = now[low - 1];
        for (size_t j = low; j <= high; j++) {
            unsigned best = was[j - 1];
            if (byte_lower(a.ptr[i - 1]) != byte_lower(b.ptr[j - 1])) best++;
            if (now[j - 1] + 1u < best) best = now[j - 1] + 1u;
            /* Above the band's end the row before holds nothing. */
            if (j < i + limit && was[j] + 1u < best) best = was[j] + 1u;
            if (best > over) best = over;
            now[j] = (uint8_t)best;
            if (best < least) least = best;
        }
        if (least > limit) return over;
    }
    return rows[a.len & 1][b.len];
}

/* The same model under another prefix: "azure/gpt-x" where openai/gpt-x is known, or "gpt-x"
 * where only openrouter/openai/gpt-x is. */
static const char *elsewhere(const struct catalog *c, struct bytes name)
{
    struct bytes rest = name;
    while (bytes_find(rest, '/') < rest.len) {
        bytes_cut(&rest, bytes_find(rest, '/') + 1);
        uint32_t first = 0, count = 0;
        int32_t found = catalog_find(c, rest);
        if (found >= 0) return c->model[found].id;
        if (catalog_bare(c, rest, &first, &count)) return c->model[c->by_bare[first]].id;
    }
    if (rest.len == 0) return NULL;
    for (uint32_t i = 0; i < c->model_count; i++) {
        struct bytes id = bytes_of(c->model[i].id);
        if (id.len <= rest.len || id.ptr[id.len - rest.len - 1] != '/') continue;
        struct bytes tail = {id.ptr + id.len - rest.len, rest.len};
        if (bytes_ieq(tail, rest)) return c->model[i].id;
    }
    return NULL;
}

struct nearest { struct bytes name; const char *found; unsigned limit; };

/* Keep text where it is nearer than what was found before; false once nothing can be. */
static bool consider(struct nearest *n, const char *text)
{
    unsigned d = distance(n->name, bytes_of(text), n->limit);
    if (d > n->limit) return true;
    n->found = text;
    if (d == 0) return false;
    n->limit = d - 1;
    return true;
}

const char *catalog_nearest(const struct catalog *c, struct bytes name)
{
    if (name.len == 0 || name.len > CATALOG_NAME_MAX) return NULL;
    /* Never all of a name: what shares nothing with it is no suggestion. */
    unsigned limit = name.len > 1 ? 1 + (unsigned)(name.len / 4) : 0;
    struct nearest n = {name, NULL, limit < NEAR_MAX ? limit : NEAR_MAX};
    const char *same = elsewhere(c, name);
    if (same) return same;
    bool more = true;
    for (uint32_t i = 0; more && i < c->alias_count; i++) {
        const char *pattern = c->alias[i].pattern;
        if (!strpbrk(pattern, "*?")) more = consider(&n, pattern);
    }
    for (uint32_t i = 0; more && i < c->model_count; i++) {
        const struct catalog_model *m = &c->model[c->by_bare[i]];
        assert(m->bare > m->id);
        more = consider(&n, m->bare) && consider(&n, m->id);
    }
    return n.found;
}

const char catalog_quirk_text[] = ""
#define X(name, word) "|" word
#define Y X
#include "route/quirk.def"
#undef X
#undef Y
    ;

enum catalog_continues catalog_continues_of(const struct catalog_model *m,
                                            const struct catalog_provider *p)
{
    unsigned how = m->continues != CONTINUES_UNSAID ? m->continues : p->continues;
    bool refused = (m->quirks | p->quirks) & QUIRK_NO_PREFILL && how != CONTINUES_INSTRUCT;
    assert(how < CONTINUES);
    if (how == CONTINUES_NO || refused || m->no_text) return CONTINUES_UNSAID;
    return (enum catalog_continues)how;
}

const char *catalog_continues_word(enum catalog_continues how)
{
    static const char *const words[CONTINUES] = {
        [CONTINUES_PREFILL] = "prefill", [CONTINUES_PREFIX] = "prefix",
        [CONTINUES_PREFIX_ECHO] = "prefix_echo", [CONTINUES_PARTIAL] = "partial",
        [CONTINUES_FINAL] = "final", [CONTINUES_INSTRUCT] = "instruct", [CONTINUES_NO] = "no",
    };
    assert(how < CONTINUES);
    return words[how];
}

uint64_t catalog_quirks(const struct catalog_model *m, const struct catalog_provider *p)
{
    uint32_t all = m->quirks | p->quirks, bits = all & QUIRKS_ASK;
    if (all & QUIRK_NO_MAX) bits |= QUIRK_COMPLETION_TOKENS;
    if (all & QUIRK_NO_COMPLETION) bits &= ~(uint32_t)QUIRK_COMPLETION_TOKENS;
    return bits;
}
