/* cmd_savings_read.c - the description of a month's traffic (YAML, documented in weir.8 and in
 * tools/savings.yaml). Read with the configuration's tree, as strictly: an unknown name, a
 * share out of place or a sum that is not 1 is an error with its line. */
#include "engine/cmd_savings.h"

#include <stdio.h>

#include "net/decimal.h"

static const char *const root_names[] = {"tokens", "input", "budget", "flagships", "cheap",
                                         "auto", "mixes", NULL};
static const char *const auto_names[] = {"mode", "quality_floor", "candidates", NULL};
static const char *const mix_names[] = {"name", "tasks", NULL};
static const char *const task_names[] = {"name", "share", "prompt", "answer", "outcomes",
                                         "strong", "weak", "prompts", "text", NULL};

/* Report every name of a map that is not in the list. False where it is no map. */
static bool check_names(struct conf_reader *r, const struct conf_node *map,
                        const char *const *names, const char *where)
{
    char shown[CONF_QUOTE_MAX], hint[CONF_QUOTE_MAX];
    if (map->kind != CONF_MAP) {
        conf_error(r, map->at, "%s is %s; it takes a map", where, conf_quote(map, shown));
        return false;
    }
    for (const struct conf_node *n = map->first; n; n = n->next) {
        const char *near = NULL;
        unsigned best = conf_distance_max(n->key->raw) + 1;
        for (const char *const *name = names; *name && best; name++) {
            unsigned d = conf_distance(n->key->raw, bytes_of(*name), best - 1);
            if (d >= best) continue;
            best = d;
            near = *name;
        }
        if (best == 0) continue;
        conf_error(r, n->key->at, "unknown setting %s in %s%s",
                   conf_quote_text(n->key->raw, shown), where, conf_hint(near, hint));
    }
    return true;
}

static const struct conf_node *child(const struct conf_node *map, const char *name)
{
    const struct conf_node *n = map && map->kind == CONF_MAP ? conf_child(map, name) : NULL;
    return n && !conf_is_null(n) ? n : NULL;
}

static void number(struct conf_reader *r, const struct conf_node *map, const char *name,
                   uint64_t max, uint64_t *out)
{
    char shown[CONF_QUOTE_MAX];
    const struct conf_node *n = child(map, name);
    if (!n) return;
    if (n->kind == CONF_SCALAR && bytes_u64(n->raw, out) && *out >= 1 && *out <= max) return;
    conf_error(r, n->at, "%s is %s; it takes a whole number from 1 to %llu", name,
               conf_quote(n, shown), (unsigned long long)max);
    *out = 0;
}

static void share(struct conf_reader *r, const struct conf_node *map, const char *name,
                  uint64_t *out)
{
    char shown[CONF_QUOTE_MAX];
    const struct conf_node *n = child(map, name);
    if (!n) return;
    bool fine = n->kind == CONF_SCALAR && conf_decimal_parse(n->raw, out);
    if (fine && *out <= SAVINGS_ONE) return;
    conf_error(r, n->at, "%s is %s; it takes a number from 0 to 1 with at most 6 decimals",
               name, conf_quote(n, shown));
    *out = 0;
}

static struct bytes text(struct conf_reader *r, const struct conf_node *map, const char *name)
{
    char shown[CONF_QUOTE_MAX];
    const struct conf_node *n = child(map, name);
    if (!n) return (struct bytes){0};
    if (n->kind == CONF_SCALAR && n->raw.len) return n->raw;
    conf_error(r, n->at, "%s is %s; it takes a text", name, conf_quote(n, shown));
    return (struct bytes){0};
}

static const struct conf_node *list(struct conf_reader *r, const struct conf_node *map,
                                    const char *name, uint32_t max)
{
    char shown[CONF_QUOTE_MAX];
    const struct conf_node *n = child(map, name);
    if (!n || (n->kind == CONF_LIST && n->count >= 1 && n->count <= max)) return n;
    conf_error(r, n->at, "%s is %s; it takes a list of 1 to %u", name, conf_quote(n, shown),
               max);
    return NULL;
}

/* Models by their ids. Gives how many. */
static uint32_t models(struct conf_reader *r, const struct conf_node *map, const char *name,
                       const char **out)
{
    uint32_t count = 0;
    char shown[CONF_QUOTE_MAX];
    const struct conf_node *n = list(r, map, name, SAVINGS_FLAGSHIPS_MAX);
    for (n = n ? n->first : NULL; n; n = n->next) {
        bool fine = n->kind == CONF_SCALAR && conf_is_visible(n->raw) &&
                    n->raw.len <= CATALOG_NAME_MAX && bytes_find(n->raw, '/') < n->raw.len;
        if (fine) out[count++] = n->raw.ptr;
        else conf_error(r, n->at, "%s in %s is no model: it takes provider/model",
                        conf_quote(n, shown), name);
    }
    return count;
}

static void read_auto(struct savings *s, const struct conf_node *map)
{
    struct conf_reader *r = s->r;
    if (!map || !check_names(r, map, auto_names, "auto")) return;
    s->mode = text(r, map, "mode");
    s->floor = text(r, map, "quality_floor");
    const struct conf_node *n = list(r, map, "candidates", COUNT(s->candidates));
    for (n = n ? n->first : NULL; n; n = n->next) {
        char shown[CONF_QUOTE_MAX];
        bool fine = n->kind == CONF_SCALAR && conf_is_visible(n->raw) &&
                    bytes_find(n->raw, '/') < n->raw.len && bytes_find(n->raw, '/') > 0 &&
                    *n->raw.ptr != '*';
        if (fine) s->candidates[s->candidate_count++] = n->raw;
        else conf_error(r, n->at, "%s is no candidate: it takes provider/model, where the "
                        "model may hold *", conf_quote(n, shown));
    }
}

static void read_task(struct savings *s, struct savings_mix *mix, const struct conf_node *n)
{
    struct conf_reader *r = s->r;
    struct savings_task *t = &mix->task[mix->task_count++];
    *t = (struct savings_task){.at = n->at};
    if (!check_names(r, n, task_names, "a task")) return;
    share(r, n, "share", &t->share);
    number(r, n, "prompt", 1000000000, &t->prompt);
    number(r, n, "answer", 1000000000, &t->answer);
    t->outcomes = text(r, n, "outcomes");
    t->prompts = text(r, n, "prompts");
    t->text = text(r, n, "text");
    t->strong = text(r, n, "strong");
    t->weak = text(r, n, "weak");
    t->name = text(r, n, "name");
    int kinds = (t->outcomes.len > 0) + (t->prompts.len > 0) + (t->text.len > 0);
    if (kinds != 1) {
        conf_error(r, n->at, "a task takes one of outcomes (a source), prompts (a file) and "
                   "text");
    }
    if (t->share == 0) conf_error(r, n->at, "a task takes a share of the tokens above 0");
    if (!t->prompt != !t->answer) {
        conf_error(r, n->at, "prompt and answer go together: tokens of one request");
    }
    if (!t->strong.len != !t->weak.len) {
        conf_error(r, n->at, "strong and weak go together: two models of the outcomes");
    }
    if (!t->name.len) t->name = t->outcomes.len ? t->outcomes : t->prompts;
    if (!t->name.len && t->text.len) conf_error(r, n->at, "a task with a text takes a name");
}

static void read_mix(struct savings *s, const struct conf_node *n)
{
    struct conf_reader *r = s->r;
    struct savings_mix *mix = &s->mix[s->mix_count++];
    uint64_t sum = 0;
    if (!check_names(r, n, mix_names, "a mix")) return;
    struct bytes name = text(r, n, "name");
    const struct conf_node *tasks = list(r, n, "tasks", SAVINGS_TASKS_MAX);
    mix->name = name.ptr;
    if (!name.len) conf_error(r, n->at, "a mix takes a name");
    if (!tasks) {
        if (!child(n, "tasks")) conf_error(r, n->at, "a mix takes tasks");
        return;
    }
    for (const struct conf_node *t = tasks->first; t; t = t->next) {
        read_task(s, mix, t);
        sum += mix->task[mix->task_count - 1].share;
    }
    if (sum != SAVINGS_ONE) {
        conf_error(r, tasks->at, "the shares of the tasks add up to %llu.%06llu, not to 1",
                   (unsigned long long)(sum / SAVINGS_ONE),
                   (unsigned long long)(sum % SAVINGS_ONE));
    }
}

/* "tokens" looks like the name of a secret to the tree; nothing here is one. */
static void reveal(struct conf_node *n)
{
    n->secret = false;
    for (struct conf_node *c = n->first; c; c = c->next) reveal(c);
}

bool savings_read(struct savings *s)
{
    struct conf_reader *r = s->r;
    char shown[CONF_QUOTE_MAX];
    if (!conf_tree_read(r)) return false;
    if (!r->root) {
        conf_error(r, (struct conf_mark){1, 1}, "the description is empty");
        return false;
    }
    reveal(r->root);
    r->hidden = NULL;
    if (!check_names(r, r->root, root_names, "the description")) return false;
    s->input = SAVINGS_ONE / 4;
    number(r, r->root, "tokens", 1000000000000000, &s->tokens);
    share(r, r->root, "input", &s->input);
    if (!child(r->root, "tokens")) conf_error(r, r->root->at, "tokens a month are missing");
    const struct conf_node *n = child(r->root, "budget");
    bool fine = !n || (n->kind == CONF_SCALAR &&
                       decimal_read(n->raw, 9, false, INT64_MAX, &s->budget));
    if (!fine) {
        conf_error(r, n->at, "budget is %s; it takes US dollars a month", conf_quote(n, shown));
    }
    s->flagship_count = models(r, r->root, "flagships", s->flagship);
    s->cheap_count = models(r, r->root, "cheap", s->cheap);
    if (!child(r->root, "flagships")) conf_error(r, r->root->at, "flagships are missing");
    if (!child(r->root, "cheap")) conf_error(r, r->root->at, "cheap models are missing");
    read_auto(s, child(r->root, "auto"));
    n = list(r, r->root, "mixes", SAVINGS_MIXES_MAX);
    for (n = n ? n->first : NULL; n; n = n->next) read_mix(s, n);
    return r->errors.count == 0;
}
