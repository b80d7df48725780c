/* conf_model.c - models: the built-in ones of the providers that are used, with what the file
 * says on top, and those that only the file knows. Found by id through a hash table, because
 * a generated file may list thousands. */
#include <stdio.h>

#include "engine/conf.h"
#include "engine/conf_parts.h"
#include "route/builtin.h"

struct ids {                     /* open addressing; slots hold index + 1, 0 is free */
    uint32_t *slot;
    uint32_t mask;
};

static bool ids_init(struct conf_reader *r, struct ids *t, size_t count)
{
    size_t slots = 64;
    while (slots < 2 * count) slots *= 2;
    t->slot = conf_heap_take(&r->scratch, slots * sizeof *t->slot);
    t->mask = (uint32_t)slots - 1;
    return t->slot != NULL;
}

/* The slot of an id, or the free one where it belongs (FNV-1a). */
static uint32_t *ids_find(const struct ids *t, const struct catalog_model *model,
                          struct bytes id)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < id.len; i++) hash = (hash ^ (uint8_t)id.ptr[i]) * 0x100000001b3u;
    for (uint32_t at = (uint32_t)(hash >> 20);; at++) {
        uint32_t *slot = &t->slot[at & t->mask];
        if (!*slot || bytes_eq(bytes_of(model[*slot - 1].id), id)) return slot;
    }
}

/* Walk the built-in models of one provider, which may go by another of its names. */
static bool next_of(const struct catalog_provider *p, struct bytes *at, struct builtin_model *m)
{
    struct builtin_provider known;
    return builtin_provider_find(bytes_of(p->name), &known) &&
           builtin_model_next(at, known.name, m);
}

static size_t count_builtin(const struct catalog *c)
{
    size_t count = 0;
    struct builtin_model m;
    for (uint32_t p = 0; p < c->provider_count; p++) {
        struct bytes at = builtin_models();
        while (next_of(&c->provider[p], &at, &m)) count++;
    }
    return count;
}

static void add_builtin(struct conf_reader *r, const struct builtin_model *from,
                        uint16_t provider, struct catalog_model *out)
{
    char id[CATALOG_NAME_MAX + 1];
    int len = snprintf(id, sizeof id, "%s/%.*s", r->conf->catalog.provider[provider].name,
                       (int)from->id.len, from->id.ptr);
    if (len < 0 || (size_t)len >= sizeof id) return;   /* a long name of its own: unreachable */
    *out = (struct catalog_model){
        .id = conf_heap_text(r->heap, (struct bytes){id, (size_t)len}),
        .upstream = conf_heap_text(r->heap, from->id),
        .price = from->price,
        .context = from->context,
        .max_output = from->max_output,
        .provider = provider,
        .abilities = from->abilities,
        .quirks = from->quirks,
        .continues = from->continues,
        .no_text = from->no_text,
        .by_name = from->by_name,
        .quality = from->quality,
    };
}

static void read_builtin(struct conf_reader *r, struct ids *t)
{
    struct catalog *c = &r->conf->catalog;
    for (uint32_t p = 0; p < c->provider_count; p++) {
        struct bytes at = builtin_models();
        struct builtin_model m;
        while (next_of(&c->provider[p], &at, &m)) {
            struct catalog_model *out = &c->model[c->model_count];
            add_builtin(r, &m, (uint16_t)p, out);
            if (!out->id || r->heap->full) continue;
            uint32_t *slot = ids_find(t, c->model, bytes_of(out->id));
            c->model_count++;
            assert(*slot == 0);
            *slot = c->model_count;
        }
    }
}

/* Which provider an id belongs to; -1 where none (reported, unless its entry already was). */
static int32_t provider_of(struct conf_reader *r, const struct conf_node *id)
{
    const struct catalog *c = &r->conf->catalog;
    struct bytes name = {id->text.ptr, bytes_find(id->text, '/')};
    int32_t found = catalog_provider_find(c, name);
    if (found >= 0 || conf_is_bad_entry(r, name)) return found;
    char whole[CONF_QUOTE_MAX], hint[CONF_QUOTE_MAX];
    const char *near = NULL;
    unsigned best = conf_distance_max(name) + 1;
    for (uint32_t i = 0; i < c->provider_count; i++) {
        unsigned d = conf_distance(name, bytes_of(c->provider[i].name), best - 1);
        if (d >= best) continue;
        best = d;
        near = c->provider[i].name;
    }
    conf_error(r, id->at, "the provider of the model %s is not configured%s",
               conf_quote(id, whole), conf_hint(near, hint));
    return -1;
}

/* Weights that are known from elsewhere are as good here. */
static void look_up(const struct conf_node *item, struct quality *out)
{
    const struct conf_node *name = conf_child(item, "upstream");
    if (!name || name->kind != CONF_SCALAR || conf_is_null(name)) name = conf_child(item, "id");
    if (!builtin_quality_find(name->text, out)) quality_nothing(out);
}

/* One entry: what is built in or all zero, then what the file says. */
static void read_entry(struct conf_reader *r, struct ids *t, struct conf_node *item)
{
    struct catalog *c = &r->conf->catalog;
    struct catalog_model m = {0};
    struct conf_node *id = conf_child(item, "id");
    uint32_t *slot = NULL;
    int32_t provider = -1;
    if (!id) {
        conf_error(r, item->at, "a model needs an id");
    } else if (id->kind == CONF_SCALAR && !id->bad) {
        slot = ids_find(t, c->model, id->text);
        bool again = *slot && c->model[*slot - 1].configured;
        if (*slot) m = c->model[*slot - 1];
        else look_up(item, &m.quality);
        if (again) {
            char shown[CONF_QUOTE_MAX];
            conf_error(r, id->at, "the model %s is given twice", conf_quote(id, shown));
        }
    }
    uint32_t before = r->errors.count;
    conf_walk(r, item, "models[].", &m);
    if (id && slot && !id->bad) provider = provider_of(r, id);
    if (provider < 0 || !m.id || !slot || r->heap->full) return;
    if (*slot && c->model[*slot - 1].configured) return;
    m.provider = (uint16_t)provider;
    m.configured = true;
    conf_check_continues(r, item, m.continues, c->provider[provider].dialect);
    if (conf_child(item, "supports")) m.lacks = ABILITIES_ALL & (uint8_t)~m.abilities;
    if (!m.upstream) m.upstream = strchr(m.id, '/') + 1;
    if (!m.price.count) m.price = (struct price_list){.count = 1};
    if (m.quality.evidence[0] == QUALITY_NOTHING) {
        quality_price(&m.quality, m.price.at[0].kind[PRICE_OUTPUT]);
    }
    assert(r->errors.count >= before);
    /* A built-in model that is changed here takes its place in the order of the file. */
    if (*slot) c->model[*slot - 1].id = NULL;
    c->model[c->model_count++] = m;
    *slot = c->model_count;
}

/* Close the gaps that changed built-in models left. */
static void close_gaps(struct catalog *c)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->model_count; i++) {
        if (c->model[i].id) c->model[kept++] = c->model[i];
    }
    c->model_count = kept;
}

void conf_read_models(struct conf_reader *r)
{
    struct catalog *c = &r->conf->catalog;
    struct conf_node *list = r->models;
    size_t count;
    const struct conf_setting *s = conf_settings(&count);
    while (s->type != CONF_MODELS) s++;
    if (list && !conf_is_list(r, s, list, (uint32_t)s->max)) list = NULL;
    size_t room = count_builtin(c) + (list ? list->count : 0);
    struct ids t;
    c->model = conf_heap_take(r->heap, (room ? room : 1) * sizeof *c->model);
    if (!c->model || !ids_init(r, &t, room)) return;
    read_builtin(r, &t);
    for (struct conf_node *item = list ? list->first : NULL; item; item = item->next) {
        if (item->kind == CONF_MAP) {
            read_entry(r, &t, item);
        } else if (!item->bad) {
            char shown[CONF_QUOTE_MAX];
            conf_error(r, item->at, "an entry of models is %s; it takes a map",
                       conf_quote(item, shown));
        }
    }
    assert(c->model_count <= room);
    close_gaps(c);
}
