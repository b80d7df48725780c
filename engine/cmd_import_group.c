/* cmd_import_group.c - from LiteLLM's deployments to Weir's providers and aliases.
 *
 * A provider of Weir is an address with its headers, time-outs and keys; every model of it may
 * use every key. So deployments share a provider when all of that is equal, the set of keys
 * included, and never otherwise: no model reaches a key that it did not reach before.
 * A model_name with several deployments becomes one bare model id that several providers have,
 * where nothing else has that id: Weir then chooses among them by mode. Where that cannot be,
 * or where the file gives an order, it is a list, which is an order to fall over in. */
#include <stdio.h>
#include <stdlib.h>

#include "engine/cmd_import.h"
#include "engine/conf.h"
#include "net/url.h"
#include "route/builtin.h"

/* ---- providers ---- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_address(const struct import_deployment *a, const struct import_deployment *b)
{
    bool same = strcmp(a->known, b->known) == 0 && same_text(a->dialect, b->dialect) &&
                same_text(a->auth, b->auth) && same_text(a->url, b->url) &&
                same_text(a->region, b->region) && same_text(a->timeout, b->timeout) &&
                a->header_count == b->header_count;
    for (uint32_t i = 0; same && i < a->header_count; i++) {
        bool found = false;
        for (uint32_t k = 0; k < b->header_count && !found; k++) {
            found = same_text(a->header[i][0], b->header[k][0]) &&
                    same_text(a->header[i][1], b->header[k][1]);
        }
        same = found;
    }
    return same;
}

static bool has_key(const char *const *list, uint32_t count, const char *key)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(list[i], key) == 0) return true;
    }
    return false;
}

static bool same_keys(const struct import_endpoint *e, const struct import_deployment *d)
{
    if (e->key_count != d->key_count) return false;
    for (uint32_t i = 0; i < d->key_count; i++) {
        if (!has_key(e->key, e->key_count, d->keys[i])) return false;
    }
    return true;
}

/* Deployments of one model_name that differ in nothing but their key are one, with the keys of
 * all. */
static void merge_repeats(struct import *im)
{
    for (uint32_t i = 0; i < im->deployment_count; i++) {
        struct import_deployment *d = &im->deployment[i];
        for (uint32_t k = 0; k < i && !d->repeated; k++) {
            struct import_deployment *first = &im->deployment[k];
            if (first->repeated || !bytes_eq(first->group, d->group) ||
                !bytes_eq(first->model, d->model) || first->order != d->order ||
                !same_address(first, d) || !first->key != !d->key) continue;
            bool new = d->key && !has_key(first->keys, first->key_count, d->key);
            if (new && first->key_count == IMPORT_KEYS_MAX) continue;
            if (new) first->keys[first->key_count++] = d->key;
            d->repeated = true;
            d->endpoint = k;     /* of its first; an endpoint later */
        }
    }
}

static bool name_is_taken(const struct import *im, const char *name)
{
    struct builtin_provider known;
    for (uint32_t i = 0; i < im->endpoint_count; i++) {
        if (im->endpoint[i].name && strcmp(im->endpoint[i].name, name) == 0) return true;
    }
    return builtin_provider_find(bytes_of(name), &known);
}

/* A new name from this one; -2, -3 where it is taken, also by a provider Weir knows. */
static const char *free_name(struct import *im, const char *wish)
{
    const char *name = import_format(im, "%.50s", wish);
    for (unsigned i = 2; name_is_taken(im, name); i++) {
        name = import_format(im, "%.50s-%u", wish, i);
    }
    return name;
}

/* What a server of one's own is called: by the first label of its host, or by the variable its
 * address is in. */
static const char *name_of(struct import *im, const struct import_deployment *d)
{
    struct bytes url = bytes_of(d->url);
    struct url parsed;
    const char *why;
    char name[48];
    size_t len = 0;
    if (bytes_starts(url, BYTES("${"))) {
        bytes_cut(&url, 2);
        url.len = bytes_find(url, '}');
        static const char *const tails[] = {"_API_BASE", "_BASE_URL", "_URL", "_BASE"};
        for (size_t i = 0; i < COUNT(tails); i++) {
            struct bytes t = bytes_of(tails[i]);
            if (url.len <= t.len) continue;
            struct bytes end = {url.ptr + url.len - t.len, t.len};
            if (bytes_ieq(end, t)) url.len -= t.len;
        }
    } else if (url_parse(url, &parsed, &why) == NET_OK) {
        bool digits = parsed.ipv6 || (*parsed.host.ptr >= '0' && *parsed.host.ptr <= '9');
        url = parsed.host;
        if (!digits) url.len = bytes_find(url, '.');
    }
    for (size_t i = 0; i < url.len && len < sizeof name - 1; i++) {
        char c = byte_lower(url.ptr[i]);
        bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.';
        if (!fine) c = '-';
        if (c != '-' || len) name[len++] = c;
    }
    name[len] = '\0';
    char kind[32];
    (void)snprintf(kind, sizeof kind, "%s", *d->known ? d->known : d->kind->prefix);
    for (char *c = kind; *c; c++) {
        if (*c == '_') *c = '-';
    }
    if (bytes_starts((struct bytes){name, len}, bytes_of(kind))) {
        return import_format(im, "%s", name);
    }
    return import_format(im, "%s-%s", kind, name);
}

/* The name of a known provider as its list has it: "gemini" is one of google's. */
static const char *listed_name(struct import *im, const char *name)
{
    struct builtin_provider known;
    if (!*name || !builtin_provider_find(bytes_of(name), &known)) return name;
    return import_format(im, "%.*s", (int)known.name.len, known.name.ptr);
}

static void add_endpoint(struct import *im, struct import_deployment *d)
{
    struct import_endpoint *e = &im->endpoint[im->endpoint_count];
    *e = (struct import_endpoint){.of = d, .key_count = d->key_count};
    memcpy(e->key, d->keys, sizeof e->key);
    d->known = listed_name(im, d->known);
    bool first = *d->known && !d->url;
    for (uint32_t i = 0; i < im->endpoint_count && first; i++) {
        first = strcmp(im->endpoint[i].name, d->known) != 0;
    }
    e->known = first;
    if (first) e->name = d->known;
    else e->name = free_name(im, d->url ? name_of(im, d) : d->known);
    d->endpoint = im->endpoint_count++;
}

static void make_endpoints(struct import *im)
{
    im->endpoint = conf_heap_take(&im->r->scratch,
                                  (im->deployment_count + 1) * sizeof *im->endpoint);
    if (!im->endpoint) return;
    for (uint32_t i = 0; i < im->deployment_count; i++) {
        struct import_deployment *d = &im->deployment[i];
        if (d->repeated) {
            d->endpoint = im->deployment[d->endpoint].endpoint;
            continue;
        }
        d->known = listed_name(im, d->known);
        uint32_t k = 0;
        while (k < im->endpoint_count && !(same_address(im->endpoint[k].of, d) &&
                                           same_keys(&im->endpoint[k], d))) k++;
        if (k < im->endpoint_count) d->endpoint = k;
        else add_endpoint(im, d);
    }
}

/* ---- groups and ids ---- */

static bool is_member(const struct import *im, uint32_t i, struct bytes group)
{
    const struct import_deployment *d = &im->deployment[i];
    return !d->repeated && !d->wildcard && bytes_eq(d->group, group);
}

struct import_group *import_group_find(const struct import *im, struct bytes name)
{
    for (uint32_t i = 0; i < im->group_count; i++) {
        if (bytes_eq(im->group[i].name, name)) return &im->group[i];
    }
    return NULL;
}

static int by_order(const void *a, const void *b)
{
    const struct import_deployment *const *x = a, *const *y = b;
    uint64_t p = (*x)->order ? (*x)->order : UINT64_MAX;
    uint64_t q = (*y)->order ? (*y)->order : UINT64_MAX;
    if (p != q) return p < q ? -1 : 1;
    return (*x > *y) - (*x < *y);     /* of one array: the order of the file */
}

static bool has_order(const struct import *im, const struct import_group *g)
{
    for (uint32_t i = 0; i < g->count; i++) {
        if (im->deployment[im->member[g->first + i]].order) return true;
    }
    return false;
}

static bool fits(struct bytes provider, struct bytes bare)
{
    return conf_is_visible(bare) && provider.len + 1 + bare.len <= CATALOG_NAME_MAX;
}

/* May this bare id stand for the group, and for nothing else? */
static bool pool_is_free(const struct import *im, const struct import_group *g,
                         struct bytes bare)
{
    struct builtin_model m;
    for (uint32_t e = 0; e < im->endpoint_count; e++) {
        const struct import_endpoint *at = &im->endpoint[e];
        uint32_t members = 0;
        bool same = true;
        for (uint32_t i = 0; i < im->deployment_count; i++) {
            const struct import_deployment *d = &im->deployment[i];
            if (d->repeated || d->wildcard || d->endpoint != e) continue;
            bool mine = bytes_eq(d->group, g->name);
            members += mine;
            if (mine) same = same && bytes_eq(d->model, bare);
            else if (bytes_eq(d->model, bare) || (d->id && bytes_eq(bytes_of(
                     strchr(d->id, '/') + 1), bare))) return false;
        }
        /* Two models of one provider cannot have one id, and an id that is built in means
         * what it says. */
        bool known = at->known && import_builtin(at->name, bare, &m);
        if (members > 1 || (known && (members == 0 || !same))) return false;
        if (members == 1 && !fits(bytes_of(at->name), bare)) return false;
    }
    return true;
}

/* Give each deployment of a group its id, and the group what it stands for. */
static void name_members(struct import *im, struct import_group *g)
{
    struct bytes bare = g->name;
    if (g->count > 1 && !has_order(im, g)) {
        if (!pool_is_free(im, g, bare)) {
            bare = bytes_of(import_format(im, "%.*s-pool", (int)g->name.len, g->name.ptr));
        }
        if (pool_is_free(im, g, bare)) {
            g->bare = import_format(im, "%.*s", (int)bare.len, bare.ptr);
        }
    }
    for (uint32_t i = 0; i < g->count; i++) {
        struct import_deployment *d = &im->deployment[im->member[g->first + i]];
        const char *provider = im->endpoint[d->endpoint].name;
        struct bytes name = g->bare ? bytes_of(g->bare) : d->model;
        if (fits(bytes_of(provider), name)) {
            d->id = import_format(im, "%s/%.*s", provider, (int)name.len, name.ptr);
        } else {
            d->id = import_format(im, "%s/model-%u", provider, im->member[g->first + i] + 1);
        }
        bool known = false;          /* two entries may mean one model */
        for (uint32_t k = 0; k < g->target_count; k++) {
            known = known || strcmp(g->target[k], d->id) == 0;
        }
        if (!g->bare && !known && g->target_count < IMPORT_TARGETS_MAX) {
            g->target[g->target_count++] = d->id;
        }
    }
    if (g->bare) g->target[g->target_count++] = g->bare;
    g->own_count = g->target_count;
}

static void make_group(struct import *im, struct bytes name)
{
    struct import_group *g = &im->group[im->group_count++];
    const struct import_deployment **sorted =
        conf_heap_take(&im->r->scratch, im->deployment_count * sizeof(void *));
    *g = (struct import_group){.name = name, .first = im->member_count};
    if (!sorted) return;
    for (uint32_t i = 0; i < im->deployment_count; i++) {
        if (is_member(im, i, name)) sorted[g->count++] = &im->deployment[i];
    }
    qsort(sorted, g->count, sizeof(void *), by_order);
    for (uint32_t i = 0; i < g->count; i++) {
        im->member[im->member_count++] = (uint32_t)(sorted[i] - im->deployment);
    }
}

static uint32_t alias_count(const struct conf_node *root)
{
    const struct conf_node *map = import_child(import_child(root, "router_settings"),
                                               "model_group_alias");
    return map ? map->count : 0;
}

/* A pattern that providers answer by themselves: names of models reach whoever has them. */
static void look_at_wildcard(struct import *im, struct import_deployment *d)
{
    char shown[CONF_QUOTE_MAX], named[CONF_QUOTE_MAX];
    const struct import_endpoint *e = &im->endpoint[d->endpoint];
    struct bytes group = d->group, prefix = {group.ptr, bytes_find(group, '/')};
    bool all = bytes_eq(group, BYTES("*")) || bytes_eq(group, d->model);
    if (prefix.len < group.len) {
        bool its = import_kind_find(prefix) == d->kind;
        bytes_cut(&group, prefix.len + 1);
        all = all || (its && bytes_eq(group, d->model));
    }
    conf_quote_text(d->group, shown);
    if (!e->known) {
        import_left(im, d->at, "the pattern %s: Weir knows no models of %s; list them under "
                    "models, as %s/NAME", shown, conf_quote_text(bytes_of(e->name), named),
                    e->name);
    } else if (!all) {
        import_left(im, d->at, "the pattern %s: Weir does not rename by pattern; its models "
                    "answer to their own names, and as %s/NAME", shown, e->name);
    } else {
        import_changed(im, d->at, "the pattern %s: Weir serves the models it knows of %s (weir "
                       "models) and those listed under models", shown, e->name);
    }
}

void import_groups(struct import *im)
{
    assert(im->endpoint_count == 0 && im->group_count == 0);
    uint32_t room = im->deployment_count + alias_count(im->r->root) + 1;
    im->group = conf_heap_take(&im->r->scratch, room * sizeof *im->group);
    im->member = conf_heap_take(&im->r->scratch, room * sizeof *im->member);
    merge_repeats(im);
    make_endpoints(im);
    if (!im->group || !im->member || im->r->scratch.full) return;
    for (uint32_t i = 0; i < im->deployment_count; i++) {
        struct import_deployment *d = &im->deployment[i];
        if (d->repeated) continue;
        if (d->wildcard) look_at_wildcard(im, d);
        else if (!import_group_find(im, d->group)) make_group(im, d->group);
    }
    if (im->everything && im->endpoint_count) {
        import_left(im, im->everything, "Weir uses the providers of the list alone, once there "
                    "is one: name those that are meant");
    } else if (im->everything) {
        import_changed(im, im->everything, "Weir takes every known provider whose key is in "
                       "the environment, and the models that it knows of them (weir models)");
    }
    for (uint32_t i = 0; i < im->group_count; i++) {
        struct import_group *g = &im->group[i];
        name_members(im, g);
        if (g->count > 1 && !g->bare && !has_order(im, g)) {
            char shown[CONF_QUOTE_MAX];
            import_changed(im, im->deployment[im->member[g->first]].at, "the deployments of %s "
                           "become an order to fall over in: no one id can stand for them all",
                           conf_quote_text(g->name, shown));
        }
    }
    assert(im->member_count <= im->deployment_count);
}

/* ---- fall-backs ---- */

static void add_targets(struct import_group *g, const struct import_group *from)
{
    for (uint32_t i = 0; i < from->own_count; i++) {
        bool there = g->target_count == IMPORT_TARGETS_MAX;
        for (uint32_t k = 0; k < g->target_count && !there; k++) {
            there = strcmp(g->target[k], from->target[i]) == 0;
        }
        if (!there) g->target[g->target_count++] = from->target[i];
    }
}

/* A name that a pattern of a known provider brings with it. NULL: none does. */
static const char *by_pattern(struct import *im, struct bytes name)
{
    struct builtin_model m;
    for (uint32_t i = 0; i < im->deployment_count; i++) {
        const struct import_deployment *d = &im->deployment[i];
        if (!d->wildcard || !im->endpoint[d->endpoint].known) continue;
        struct bytes bare = name;
        struct bytes prefix = bytes_cut(&bare, bytes_find(bare, '/'));
        if (bare.len && import_kind_find(prefix) == d->kind) bytes_cut(&bare, 1);
        else bare = name;
        const char *provider = im->endpoint[d->endpoint].name;
        if (!import_builtin(provider, bare, &m)) continue;
        return import_format(im, "%s/%.*s", provider, (int)bare.len, bare.ptr);
    }
    return NULL;
}

/* The models behind one group's name in a list of fall-backs. */
static void add_fallbacks(struct import *im, struct import_group *g,
                          const struct conf_node *list)
{
    char shown[CONF_QUOTE_MAX];
    for (const struct conf_node *n = list->first; n; n = n->next) {
        const struct import_group *to = NULL;
        const char *id = NULL;
        if (n->kind == CONF_SCALAR) to = import_group_find(im, n->raw);
        if (n->kind == CONF_SCALAR && !to) id = by_pattern(im, n->raw);
        if (to && to != g) {
            add_targets(g, to);
        } else if (id && g->target_count < IMPORT_TARGETS_MAX) {
            g->target[g->target_count++] = id;
        } else if (n->kind != CONF_SCALAR) {
            import_left(im, n, "a fall-back with parameters of its own");
        } else if (!to) {
            import_left(im, n, "the fall-back %s is no model that was taken",
                        conf_quote_text(n->raw, shown));
        }
    }
}

/* fallbacks: a list of maps, each of groups to lists. "*" stands for any other group. */
static void read_fallbacks(struct import *im, const struct conf_node *list, bool context)
{
    if (!list) return;
    if (list->kind != CONF_LIST) {
        import_left(im, list, "it takes a list of maps");
        return;
    }
    for (const struct conf_node *item = list->first; item; item = item->next) {
        if (item->kind != CONF_MAP) import_left(im, item, "it takes a map of model names");
        for (const struct conf_node *n = item->kind == CONF_MAP ? item->first : NULL; n;
             n = n->next) {
            struct import_group *g = import_group_find(im, n->key->raw);
            char shown[CONF_QUOTE_MAX];
            conf_quote_text(n->key->raw, shown);
            if (n->kind != CONF_LIST) {
                import_left(im, n, "it takes a list of model names");
            } else if (!g && bytes_eq(n->key->raw, BYTES("*"))) {
                for (uint32_t i = 0; i < im->group_count; i++) {
                    if (im->group[i].target_count == im->group[i].own_count) {
                        add_fallbacks(im, &im->group[i], n);
                    }
                }
            } else if (!g) {
                import_left(im, n, "%s is no model that was taken under that name", shown);
            } else {
                add_fallbacks(im, g, n);
                if (context) {
                    import_changed(im, n, "they follow in the list of %s: Weir also asks them "
                                   "when the others fail", shown);
                }
            }
        }
    }
}

static void read_default_fallbacks(struct import *im, const struct conf_node *list)
{
    if (!list) return;
    if (list->kind != CONF_LIST) {
        import_left(im, list, "it takes a list of model names");
        return;
    }
    for (uint32_t i = 0; i < im->group_count; i++) {
        if (im->group[i].target_count == im->group[i].own_count) {
            add_fallbacks(im, &im->group[i], list);
        }
    }
}

/* model_group_alias: further names for groups. */
static void read_aliases(struct import *im, const struct conf_node *map)
{
    if (!map) return;
    if (map->kind != CONF_MAP) {
        import_left(im, map, "it takes a map of names");
        return;
    }
    for (const struct conf_node *n = map->first; n; n = n->next) {
        const struct conf_node *model = n->kind == CONF_MAP ? import_child(n, "model") : n;
        const struct import_group *to = NULL;
        if (model && model->kind == CONF_SCALAR) to = import_group_find(im, model->raw);
        if (!to || !conf_is_visible(n->key->raw) || n->key->raw.len > CATALOG_NAME_MAX) {
            import_left(im, n, to ? "this is no name of an alias"
                                  : "it stands for no model that was taken");
            continue;
        }
        struct import_group *g = import_group_find(im, n->key->raw);
        if (!g) g = &im->group[im->group_count++];
        struct import_group copy = *to;
        copy.name = n->key->raw;
        copy.count = 0;              /* its members are written once, under their own name */
        *g = copy;
        if (n->kind == CONF_MAP && import_is_true(import_child(n, "hidden"))) {
            import_changed(im, n, "it is shown in /v1/models as other aliases are");
        }
    }
}

/* ---- settings ---- */

bool import_is_built(const char *path)
{
    size_t count;
    const struct conf_setting *s = conf_settings(&count);
    size_t i = 0;
    while (i < count && strcmp(s[i].path, path) != 0) i++;
    assert(i < count);
    return s[i].built;
}

static const struct { const char *strategy, *mode; } modes[] = {
    {"simple-shuffle", "balanced"}, {"least-busy", "availability"},
    {"usage-based-routing", "availability"}, {"usage-based-routing-v2", "availability"},
    {"latency-based-routing", "latency"}, {"cost-based-routing", "cost"},
};

static void read_strategy(struct import *im, const struct conf_node *n)
{
    char shown[CONF_QUOTE_MAX];
    if (!n) return;
    for (size_t i = 0; i < COUNT(modes) && n->kind == CONF_SCALAR; i++) {
        if (!bytes_eq(n->raw, bytes_of(modes[i].strategy))) continue;
        im->mode = modes[i].mode;
        import_changed(im, n, "%s becomes the mode %s, the nearest there is",
                       conf_quote_text(n->raw, shown), im->mode);
        return;
    }
    import_left(im, n, "it is no strategy known here");
}

static void read_retries(struct import *im, const struct conf_node *n)
{
    enum { ATTEMPTS_MAX = 8 };
    uint64_t number = 0;
    if (!n) return;
    if (n->kind != CONF_SCALAR || !bytes_u64(n->raw, &number)) {
        import_left(im, n, "it takes a whole number");
        return;
    }
    uint64_t attempts = number + 1 < ATTEMPTS_MAX ? number + 1 : ATTEMPTS_MAX;
    im->max_attempts = import_format(im, "%u", (unsigned)attempts);
    import_changed(im, n, "Weir counts candidates, the first included: max_attempts %u",
                   (unsigned)attempts);
}

/* Megabytes as a size. NULL: noted, or absent. */
static const char *megabytes(struct import *im, const struct conf_node *n, uint64_t max)
{
    uint64_t number;
    if (!n || !import_count(im, n, max, &number)) return NULL;
    return import_format(im, "%lluMiB", (unsigned long long)number);
}

static void read_general(struct import *im, const struct conf_node *general)
{
    enum { MIB_MAX = 4096 };
    static const char *const taken[] = {"max_request_size_mb", "max_response_size_mb",
                                        "maximum_spend_logs_retention_period", NULL};
    const struct conf_node *n = import_child(general, "maximum_spend_logs_retention_period");
    uint64_t ns;
    im->body = megabytes(im, import_child(general, taken[0]), MIB_MAX);
    im->answer = megabytes(im, import_child(general, taken[1]), MIB_MAX);
    if (n && n->kind == CONF_SCALAR && conf_duration_parse(n->raw, &ns) && ns >= 1000000000u &&
        ns <= 87600ull * 3600000000000u) {
        im->retention = import_format(im, "%.*s", (int)n->raw.len, n->raw.ptr);
    } else if (n) {
        import_left(im, n, "it takes a duration like 30d");
    }
    import_left_rest(im, IMPORT_GENERAL, general, taken);
}

void import_settings(struct import *im, const struct conf_node *root)
{
    static const char *const routers[] = {
        "routing_strategy", "num_retries", "timeout", "fallbacks", "default_fallbacks",
        "context_window_fallbacks", "model_group_alias", NULL};
    static const char *const modules[] = {
        "num_retries", "request_timeout", "fallbacks", "default_fallbacks",
        "context_window_fallbacks", "json_logs", "set_verbose", NULL};
    static const char *const sections[] = {
        "model_list", "router_settings", "litellm_settings", "general_settings",
        "credential_list", NULL};
    const struct conf_node *router = import_child(root, "router_settings");
    const struct conf_node *module = import_child(root, "litellm_settings");
    static const char *const both[] = {"fallbacks", "context_window_fallbacks",
                                       "default_fallbacks", "num_retries"};
    const struct conf_node *said[COUNT(both)];
    for (size_t i = 0; i < COUNT(both); i++) {
        said[i] = import_child(router, both[i]);
        const struct conf_node *other = import_child(module, both[i]);
        if (!said[i]) said[i] = other;
        else if (other) import_left(im, other, "router_settings says it too, and wins");
    }
    read_fallbacks(im, said[0], false);
    read_default_fallbacks(im, said[2]);
    read_fallbacks(im, said[1], true);
    read_aliases(im, import_child(router, "model_group_alias"));
    read_strategy(im, import_child(router, "routing_strategy"));
    read_retries(im, said[3]);
    const struct conf_node *timeout = import_child(router, "timeout");
    if (!timeout) timeout = import_child(module, "request_timeout");
    if (timeout) im->timeout = import_seconds(im, timeout);
    if (import_is_true(import_child(module, "json_logs"))) im->log_format = "json";
    if (import_is_true(import_child(module, "set_verbose"))) im->log_level = "debug";
    read_general(im, import_child(root, "general_settings"));
    import_left_rest(im, IMPORT_ROUTER, router, routers);
    import_left_rest(im, IMPORT_MODULE, module, modules);
    import_left_rest(im, IMPORT_ROOT, root, sections);
    for (size_t i = 1; i < COUNT(sections) - 1; i++) {
        const struct conf_node *n = import_child(root, sections[i]);
        bool list = strcmp(sections[i], "credential_list") == 0;
        if (n && n->kind != (list ? CONF_LIST : CONF_MAP)) {
            import_left(im, n, "it takes a %s", list ? "list" : "map");
        }
    }
}
