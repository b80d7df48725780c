/* conf_routing.c - what the choice of a model goes by: routing.auto, the weights of balanced,
 * and the quality of models. Shares are millionths and qualities millionths of a percent:
 * floating point begins in route/. */
#include <stdio.h>

#include "engine/conf.h"
#include "engine/conf_parts.h"

/* ---- models[].quality ---- */

static bool read_percent(struct conf_reader *r, const struct conf_setting *s,
                         struct conf_node *n, uint32_t *micro)
{
    uint64_t value;
    if (n->bad) return false;
    bool fine = n->kind == CONF_SCALAR && (!n->quoted || n->expanded) &&
                conf_decimal_parse(n->text, &value) && value <= s->max;
    if (fine) *micro = (uint32_t)value;
    else conf_value_wrong(r, s, n);
    return fine;
}

static void unknown_family(struct conf_reader *r, const struct conf_node *n)
{
    char shown[CONF_QUOTE_MAX], hint[CONF_QUOTE_MAX];
    const char *near = NULL;
    struct bytes name = n->key->raw;
    unsigned best = conf_distance_max(name) + 1;
    for (unsigned f = 0; f < FAMILIES; f++) {
        const char *known = family_name((enum family)f);
        unsigned d = conf_distance(name, bytes_of(known), best - 1);
        if (d >= best) continue;
        best = d;
        near = known;
    }
    conf_error(r, n->key->at, "unknown kind of task %s in quality%s; it takes knowledge, math, "
               "code, reasoning, instruction, tools, longctx, vision, multilingual, chat",
               conf_quote_text(name, shown), conf_hint(near, hint));
}

void conf_read_quality(struct conf_reader *r, const struct conf_setting *s, struct conf_node *n,
                       struct quality *out)
{
    uint32_t micro[FAMILIES] = {0}, before = r->errors.count;
    unsigned families = 0;
    if (n->bad || conf_is_null(n)) return;
    if (n->kind != CONF_MAP) {
        if (!read_percent(r, s, n, &micro[0])) return;
        for (unsigned f = 1; f < FAMILIES; f++) micro[f] = micro[0];
        families = (1u << FAMILIES) - 1;
    }
    for (struct conf_node *one = n->first; n->kind == CONF_MAP && one; one = one->next) {
        int f = family_find(one->key->raw);
        if (f < 0) unknown_family(r, one);
        else if (read_percent(r, s, one, &micro[f])) families |= 1u << f;
    }
    assert(families < 1u << FAMILIES);
    if (families && r->errors.count == before) quality_state(out, families, micro);
}

/* ---- routing ---- */

void conf_read_auto(struct conf_reader *r, const struct conf_setting *s, struct conf_node *n)
{
    struct conf *c = r->conf;
    if (!conf_is_list(r, s, n, (uint32_t)s->max) || n->kind != CONF_LIST) return;
    if (n->count == 0) {
        conf_error(r, n->at, "routing.auto is an empty list; it takes at least one model id, "
                   "in which * stands for any text");
        return;
    }
    struct bytes *globs = conf_heap_take(r->heap, n->count * sizeof *globs);
    if (!globs) return;
    c->auto_globs = globs;
    c->auto_count = 0;
    for (struct conf_node *item = n->first; item; item = item->next) {
        struct conf_value v;
        if (!conf_value(r, s, item, &v)) continue;
        globs[c->auto_count++] = bytes_of(conf_heap_text(r->heap, v.text));
    }
    assert(c->auto_count <= n->count);
}

/* Where the file says nothing: "*", and all that shows an answer to be bad. */
static void preset_auto(struct conf *c)
{
    if (!c->cascade_on) c->cascade_on = CONF_ON_ALL;
    static const struct bytes any[] = {BYTES_INIT("*")};
    if (c->auto_count) return;
    c->auto_globs = any;
    c->auto_count = COUNT(any);
}

static void check_globs(struct conf_reader *r, const struct conf_node *list)
{
    const struct catalog *c = &r->conf->catalog;
    char shown[CONF_QUOTE_MAX];
    if (!list || list->kind != CONF_LIST || !c->model_count) return;
    for (const struct conf_node *n = list->first; n; n = n->next) {
        bool fits = n->bad || n->kind != CONF_SCALAR;
        for (uint32_t m = 0; !fits && m < c->model_count; m++) {
            fits = glob_match(n->text, bytes_of(c->model[m].id)) ||
                   glob_match(n->text, bytes_of(c->model[m].bare));
        }
        if (!fits) {
            conf_warning(r, n->at, "no model is called %s, so it adds none to auto",
                         conf_quote(n, shown));
        }
    }
}

/* Other models that auto may choose from, counted up to enough. */
static uint32_t count_autos(const struct conf *c, uint32_t enough)
{
    uint32_t found = 0;
    for (uint32_t m = 0; m < c->catalog.model_count && found < enough; m++) {
        const struct catalog_model *model = &c->catalog.model[m];
        struct bytes id = bytes_of(model->id), bare = bytes_of(model->bare);
        bool fits = false, full = false;
        for (uint32_t i = 0; i < c->auto_count && !full; i++) {
            full = bytes_eq(c->auto_globs[i], id) || bytes_eq(c->auto_globs[i], bare);
            fits = fits || glob_match(c->auto_globs[i], id) ||
                   glob_match(c->auto_globs[i], bare);
        }
        if (!model->no_text && (full || (fits && !model->by_name))) found++;
    }
    return found;
}

/* Where a setting stands, or else what it is part of. */
static struct conf_mark mark_of(const struct conf_node *map, const char *name)
{
    const struct conf_node *n = conf_child(map, name);
    return n ? n->at : map->at;
}

/* routing.cascade: what contradicts itself, or could never do anything. */
static void check_cascade(struct conf_reader *r, const struct conf_node *map)
{
    struct conf *c = r->conf;
    const struct conf_node *on = conf_child(map, "on");
    bool empty = on && on->kind == CONF_LIST && on->count == 0;
    if (!conf_child(map, "mode")) c->cascade_mode = CONF_CASCADE_COST;
    if (empty) c->cascade_on = 0;
    if (c->cascade_agree == 1) {
        conf_error(r, mark_of(map, "agree"), "agree is 1, and one answer has none to agree "
                   "with; it takes 0, 2 or 3");
        return;
    }
    if (c->cascade_mode == CONF_CASCADE_NEVER) {
        if (c->cascade_agree) {
            conf_error(r, mark_of(map, "agree"), "agree is %u, and mode is never: nothing "
                       "would be compared", c->cascade_agree);
        }
        return;
    }
    if (empty && !c->cascade_agree) {
        conf_error(r, mark_of(map, "on"), "on is an empty list and agree is 0: nothing would "
                   "ever show that an answer is bad");
    }
    uint32_t all = (c->cascade_agree ? c->cascade_agree : 1) + 1;
    if (all > c->max_attempts) {
        conf_error(r, mark_of(map, "agree"), "a cascade of %u cheap models and a strong one "
                   "needs %u candidates, and routing.max_attempts is %u", all - 1, all,
                   c->max_attempts);
    }
    uint32_t autos = c->catalog.model_count ? count_autos(c, all) : all;
    if (autos < all) {
        conf_error(r, mark_of(map, "agree"), "a cascade of %u cheap models and a strong one "
                   "needs %u models, and auto has %u to choose from", all - 1, all, autos);
    }
}

/* A resumption that is asked for and that no model is able to. */
static void check_resume(struct conf_reader *r, const struct conf_node *resume)
{
    const struct catalog *c = &r->conf->catalog;
    char shown[CONF_QUOTE_MAX];
    if (!resume || resume->bad || resume->kind != CONF_SCALAR || !c->model_count ||
        bytes_eq(resume->text, BYTES("never"))) return;
    if (r->conf->max_attempts < 2) {
        conf_warning(r, resume->at, "routing.resume is %s, and routing.max_attempts is %u: "
                     "nobody may go on with a stream", conf_quote(resume, shown),
                     r->conf->max_attempts);
        return;
    }
    for (uint32_t m = 0; m < c->model_count; m++) {
        const struct catalog_provider *p = &c->provider[c->model[m].provider];
        if (catalog_continues_of(&c->model[m], p) != CONTINUES_UNSAID) return;
    }
    conf_warning(r, resume->at, "routing.resume is %s, but no model is known to go on with "
                 "what another one began, so no stream will: see continues of providers and "
                 "models", conf_quote(resume, shown));
}

/* Hedging that is asked for, and can never be done. */
static void check_hedge(struct conf_reader *r, const struct conf_node *map)
{
    const struct conf *c = r->conf;
    const struct conf_node *mode = conf_child(map, "mode"), *at = mode ? mode : map;
    if (c->hedge_mode == HEDGE_NEVER) return;
    if (c->hedge_share == 0 && mode) {
        conf_warning(r, mark_of(map, "max_share"), "routing.hedge.max_share is 0: nothing may "
                     "be spent on a second candidate, so none will be asked");
    } else if (c->max_attempts < 2) {
        conf_warning(r, at->at, "a hedge is a second candidate, and routing.max_attempts is "
                     "%u: none will be asked", c->max_attempts);
    }
}

void conf_check_routing(struct conf_reader *r)
{
    struct conf *c = r->conf;
    preset_auto(c);
    const struct conf_node *routing = NULL;
    if (r->root && r->root->kind == CONF_MAP) routing = conf_child(r->root, "routing");
    if (!routing || routing->kind != CONF_MAP) return;
    const struct conf_node *balance = conf_child(routing, "balance");
    if (balance && c->balance_cost == 0 && c->balance_time == 0) {
        conf_error(r, balance->at, "routing.balance gives neither cost nor time any weight; "
                   "one of them must be above 0");
    }
    check_globs(r, conf_child(routing, "auto"));
    const struct conf_node *cascade = conf_child(routing, "cascade");
    if (cascade && cascade->kind == CONF_MAP && !cascade->bad) check_cascade(r, cascade);
    const struct conf_node *hedge = conf_child(routing, "hedge");
    if (hedge && hedge->kind == CONF_MAP && !hedge->bad) check_hedge(r, hedge);
    check_resume(r, conf_child(routing, "resume"));
    assert(c->auto_count > 0);
}
