/* conf_alias.c - aliases: further names for models, each to one target or to a list in order.
 * A target is a model the catalogue has, by its id or its bare name; what nobody has is an
 * error here rather than a 404 at midnight. */
#include "engine/conf.h"
#include "engine/conf_parts.h"
#include "route/builtin.h"

static struct bytes bare_of(struct bytes id)
{
    size_t slash = bytes_find(id, '/');
    if (slash < id.len) bytes_cut(&id, slash + 1);
    return id;
}

/* Is this a model the file meant to have, but for an error in its entry or its provider's?
 * Then all has been said. */
static bool is_in_doubt(const struct conf_reader *r, struct bytes target)
{
    const struct conf_node *models = r->models;
    struct bytes provider = {target.ptr, bytes_find(target, '/')};
    bool bare = provider.len == target.len;
    if (bare ? conf_has_bad_entry(r) : conf_is_bad_entry(r, provider)) return true;
    if (!models || conf_is_null(models)) return false;
    if (models->kind != CONF_LIST || models->bad) return true;
    for (const struct conf_node *n = models->first; n; n = n->next) {
        const struct conf_node *id = n->kind == CONF_MAP ? conf_child(n, "id") : NULL;
        if (!id || id->kind != CONF_SCALAR) continue;
        if (bytes_eq(bare ? bare_of(id->text) : id->text, target)) return true;
    }
    return false;
}

static bool is_model(const struct catalog *c, struct bytes name)
{
    uint32_t first, count;
    if (catalog_find(c, name) >= 0) return true;
    return catalog_bare(c, name, &first, &count);
}

/* The target in n, kept; NULL when reported. */
static const char *target(struct conf_reader *r, struct conf_node *n)
{
    const struct catalog *c = &r->conf->catalog;
    char shown[CONF_QUOTE_MAX], hint[CONF_QUOTE_MAX];
    if (n->bad) return NULL;
    bool fine = n->kind == CONF_SCALAR && !conf_is_typed(n) && conf_is_visible(n->text);
    if (!fine || conf_is_null(n)) {
        conf_error(r, n->at, "the target of an alias is %s; it takes the name of a model",
                   conf_quote(n, shown));
        return NULL;
    }
    if (!is_model(c, n->text)) {
        bool hints = r->errors.count < CONF_HINTS_MAX;   /* both walk long lists */
        if (hints && is_in_doubt(r, n->text)) return NULL;
        struct bytes provider = {n->text.ptr, bytes_find(n->text, '/')};
        bool strange = provider.len < n->text.len && catalog_provider_find(c, provider) < 0;
        struct builtin_provider known;
        if (strange && builtin_provider_find(provider, &known)) {
            conf_warning(r, n->at, "the provider of %s is not configured: the alias goes "
                         "without it", conf_quote(n, shown));
            return conf_heap_text(r->heap, n->text);
        }
        conf_hint(hints ? catalog_nearest(c, n->text) : NULL, hint);
        if (strange) {
            conf_error(r, n->at, "no model is called %s: its provider is not configured%s",
                       conf_quote(n, shown), hint);
        } else {
            conf_error(r, n->at, "no model is called %s%s", conf_quote(n, shown), hint);
        }
        return NULL;
    }
    return conf_heap_text(r->heap, n->text);
}

static void read_alias(struct conf_reader *r, struct conf_node *n, struct catalog_alias *out)
{
    struct bytes name = n->key->raw;
    char shown[CONF_QUOTE_MAX];
    bool list = n->kind == CONF_LIST;
    if (!conf_is_visible(name) || name.len > CATALOG_NAME_MAX) {
        conf_error(r, n->key->at, "the alias %s is no name; it takes 1 to %d visible ASCII "
                   "characters", conf_quote_text(name, shown), CATALOG_NAME_MAX);
        return;
    }
    if (n->kind == CONF_MAP || (list && (n->count == 0 || n->count > UINT8_MAX))) {
        conf_error(r, n->at, "the alias %s takes a model or a list of 1 to %d models",
                   conf_quote_text(name, shown), UINT8_MAX);
        return;
    }
    const char **targets = conf_heap_take(r->heap, (list ? n->count : 1) * sizeof *targets);
    if (!targets) return;
    uint16_t count = 0;
    for (struct conf_node *t = list ? n->first : n; t; t = list ? t->next : NULL) {
        const char *kept = target(r, t);
        if (kept) targets[count++] = kept;
    }
    assert(count <= (list ? n->count : 1));
    *out = (struct catalog_alias){
        .pattern = conf_heap_text(r->heap, name),
        .target = targets,
        .target_count = count,
        .is_list = list,
    };
}

void conf_read_aliases(struct conf_reader *r)
{
    struct catalog *c = &r->conf->catalog;
    struct conf_node *map = r->aliases;
    if (!map || map->bad || conf_is_null(map)) return;
    if (map->kind != CONF_MAP) {
        size_t count;
        const struct conf_setting *s = conf_settings(&count);
        while (s->type != CONF_ALIASES) s++;
        conf_value_wrong(r, s, map);
        return;
    }
    struct catalog_alias *list = conf_heap_take(r->heap, map->count * sizeof *list);
    if (!list) return;
    uint32_t count = 0;
    for (struct conf_node *n = map->first; n; n = n->next) {
        if (n->bad && n->kind != CONF_SCALAR) continue;
        if (!n->bad) read_alias(r, n, &list[count]);
        if (list[count].pattern) count++;
    }
    /* Only now: the hint for a wrong target must not be an alias. */
    c->alias = list;
    c->alias_count = count;
    assert(count <= map->count);
}
