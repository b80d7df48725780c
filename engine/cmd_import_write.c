/* cmd_import_write.c - weir.yaml from what was read. A person will go on with the file, so it
 * says where things come from; every text is quoted, so that none means something to YAML. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/cmd.h"
#include "engine/cmd_import.h"
#include "route/builtin.h"

enum { VARIABLES_MAX = 64 };

static const char *const kind_names[PRICE_KINDS] = {
    [PRICE_INPUT] = "input", [PRICE_CACHED] = "cached", [PRICE_CACHE_WRITE] = "cache_write",
    [PRICE_CACHE_WRITE_1H] = "cache_write_1h", [PRICE_OUTPUT] = "output",
    [PRICE_AUDIO_INPUT] = "audio_input", [PRICE_AUDIO_OUTPUT] = "audio_output",
    [PRICE_IMAGE_INPUT] = "image_input",
};
enum { STATED = 1u << PRICE_INPUT | 1u << PRICE_OUTPUT };

/* ---- prices ---- */

/* Pico-dollars per token as US dollars per million of them. */
static void put_money(struct import_text *out, int64_t pico)
{
    char text[32];
    int len = snprintf(text, sizeof text, "%lld.%06lld", (long long)(pico / 1000000),
                       (long long)(pico % 1000000));
    assert(pico >= 0 && len > 7 && (size_t)len < sizeof text);
    while (text[len - 1] == '0') len--;
    if (text[len - 1] == '.') len--;
    import_put(out, "\"%.*s\"", len, text);
}

/* The kinds that do not follow from input and output by themselves. */
static void put_kinds(struct import_text *out, const int64_t kind[PRICE_KINDS],
                      const int64_t follows[PRICE_KINDS])
{
    import_put(out, "input: ");
    put_money(out, kind[PRICE_INPUT]);
    for (unsigned k = 0; k < PRICE_KINDS; k++) {
        if (k == PRICE_INPUT || (k != PRICE_OUTPUT && kind[k] == follows[k])) continue;
        import_put(out, ", %s: ", kind_names[k]);
        put_money(out, kind[k]);
    }
}

static void put_price(struct import_text *out, const struct price *p)
{
    int64_t follows[PRICE_KINDS];
    memcpy(follows, p->kind, sizeof follows);
    price_complete(follows, STATED);
    import_put(out, "{");
    if (p->from_unix_s) {
        time_t at = (time_t)p->from_unix_s;
        struct tm day;
        if (gmtime_r(&at, &day)) {
            import_put(out, "from: %04d-%02d-%02d, ", day.tm_year + 1900, day.tm_mon + 1,
                       day.tm_mday);
        }
    }
    put_kinds(out, p->kind, follows);
    for (unsigned t = 0; t < p->tier_count; t++) {
        memcpy(follows, p->tier[t].kind, sizeof follows);
        price_tier_complete(p->kind, STATED, follows, STATED);
        import_put(out, "%s{above: %llu, ", t ? ", " : ", tiers: [",
                   (unsigned long long)p->tier[t].above);
        put_kinds(out, p->tier[t].kind, follows);
        import_put(out, "}%s", t + 1 == p->tier_count ? "]" : "");
    }
    import_put(out, "}");
}

static void put_list(struct import_text *out, const struct price_list *list)
{
    import_put(out, "    price: ");
    if (list->count == 1) {
        put_price(out, &list->at[0]);
    } else {
        for (unsigned i = 0; i < list->count; i++) {
            import_put(out, "\n      - ");
            put_price(out, &list->at[i]);
        }
    }
    import_put(out, "\n");
}

/* What the file states, completed by what is known of the model. */
static void stated(const struct import_price *p, const struct builtin_model *known,
                   struct price *out)
{
    unsigned given = p->given;
    *out = (struct price){.known = true};
    memcpy(out->kind, p->kind, sizeof out->kind);
    for (unsigned k = 0; k < PRICE_KINDS && known && known->price.at[0].known; k++) {
        if ((known->given & 1u << k) && !(given & 1u << k)) {
            out->kind[k] = known->price.at[0].kind[k];
            given |= 1u << k;
        }
    }
    price_complete(out->kind, given);
    if (!p->tier.above) return;
    out->tier_count = 1;
    out->tier[0] = p->tier;
    price_tier_complete(out->kind, given, out->tier[0].kind, p->tier_given);
}

/* ---- models ---- */

/* A model like the deployment's, for what the file does not say: of base_model, else of its
 * own name; at Azure those are the names of OpenAI's models as well. */
static bool likeness(struct import *im, const struct import_deployment *d,
                     struct builtin_model *out)
{
    struct bytes names[] = {d->base_model, d->model};
    for (size_t i = 0; i < COUNT(names); i++) {
        struct bytes rest = names[i];
        struct bytes prefix = bytes_cut(&rest, bytes_find(rest, '/'));
        const struct import_kind *kind = rest.len && i == 0 ? import_kind_find(prefix) : NULL;
        const char *provider = d->known;
        if (kind) {
            bytes_cut(&rest, 1);
            provider = kind->known ? kind->known : kind->prefix;
        } else {
            rest = names[i];
        }
        if (!rest.len) continue;
        if (*provider && import_builtin(provider, rest, out)) return true;
        bool azure = strcmp(provider, "azure") == 0;
        if ((azure || i == 0) && import_builtin("openai", rest, out)) return true;
    }
    (void)im;
    return false;
}

static void put_abilities(struct import_text *out, unsigned bits)
{
    static const char *const names[] = {"tools", "vision", "json_schema", "reasoning"};
    const char *comma = "";
    import_put(out, "    supports: [");
    for (unsigned i = 0; i < COUNT(names); i++) {
        if (!(bits & 1u << i)) continue;
        import_put(out, "%s%s", comma, names[i]);
        comma = ", ";
    }
    import_put(out, "]\n");
}

static void put_model_price(struct import *im, struct import_text *out,
                            const struct import_deployment *d, const struct builtin_model *like,
                            bool inherits)
{
    struct price_list list = {.count = 1};
    const struct price *known = NULL;
    for (unsigned i = 0; like && i < like->price.count; i++) {
        if (like->price.at[i].known) known = &like->price.at[i];
    }
    if (d->price.given || d->price.tier.above) {
        stated(&d->price, like, &list.at[0]);
        put_list(out, &list);
    } else if (!inherits && known) {
        put_list(out, &like->price);
    } else if (!known) {
        im->price_missing = true;
        import_put(out, "    # no price is known: requests are booked as 0, and flagged\n");
    }
}

/* One entry of models; nothing where the built-in one says all. */
static void put_model(struct import *im, struct import_text *out,
                      const struct import_deployment *d)
{
    const struct import_endpoint *e = &im->endpoint[d->endpoint];
    struct bytes bare = bytes_of(strchr(d->id, '/') + 1);
    struct builtin_model m;
    bool inherits = e->known && import_builtin(e->name, bare, &m);
    bool alike = inherits || likeness(im, d, &m);
    bool priced = d->price.given || d->price.tier.above;
    bool renamed = !bytes_eq(bare, d->model);
    bool limits = d->context || d->max_output || d->abilities_said;
    if (inherits && !renamed && !priced && !limits) return;
    char was[CONF_QUOTE_MAX];
    import_put(out, "  - id: ");
    import_put_quoted(out, bytes_of(d->id));
    import_put(out, "    # line %u, %s\n", d->at->at.line, conf_quote_text(d->group, was));
    if (renamed) {
        import_put(out, "    upstream: ");
        import_put_quoted(out, d->model);
        import_put(out, "\n");
    }
    put_model_price(im, out, d, alike ? &m : NULL, inherits);
    uint32_t context = d->context ? d->context : alike && !inherits ? m.context : 0;
    uint32_t longest = d->max_output ? d->max_output : alike && !inherits ? m.max_output : 0;
    if (context) import_put(out, "    context: %u\n", context);
    if (longest) import_put(out, "    max_output: %u\n", longest);
    unsigned has = alike ? m.abilities : 0;
    if (d->abilities_said || (has && !inherits)) {
        put_abilities(out, (has & ~(unsigned)d->abilities_said) | d->abilities);
    }
}

static void put_models(struct import *im, struct import_text *out)
{
    struct import_text list = {0};
    for (uint32_t i = 0; i < im->member_count; i++) {
        const struct import_deployment *d = &im->deployment[im->member[i]];
        bool again = false;
        for (uint32_t k = 0; k < i && !again; k++) {
            again = strcmp(im->deployment[im->member[k]].id, d->id) == 0;
        }
        if (!again) put_model(im, &list, d);
    }
    if (list.len) import_put(out, "\nmodels:\n%s", list.ptr);
    if (list.full) out->full = true;
    if (list.ptr) explicit_bzero(list.ptr, list.room);
    free(list.ptr);
}

/* ---- providers ---- */

/* A limit that every deployment of a provider states: for each of its keys the sum, where all
 * keys have the same. Weir limits a key, LiteLLM a deployment. 0: cannot be said. */
static uint64_t per_key(const struct import *im, uint32_t endpoint, size_t field)
{
    const struct import_endpoint *e = &im->endpoint[endpoint];
    uint64_t sum[IMPORT_KEYS_MAX] = {0};
    for (uint32_t i = 0; i < im->deployment_count; i++) {
        const struct import_deployment *d = &im->deployment[i];
        const struct import_amount *a = (const void *)((const char *)d + field);
        if (d->endpoint != endpoint) continue;
        if (!a->number) return 0;
        for (uint32_t k = 0; k < IMPORT_KEYS_MAX; k++) {
            bool its = k < e->key_count ? d->key && strcmp(e->key[k], d->key) == 0
                                        : k == 0 && !d->key;
            if (its) sum[k] += a->number;
        }
    }
    for (uint32_t k = 1; k < e->key_count; k++) {
        if (sum[k] != sum[0]) return 0;
    }
    return sum[0];
}

static void put_rate(struct import *im, struct import_text *out, uint32_t endpoint,
                     const char *name, size_t field)
{
    uint64_t number = per_key(im, endpoint, field);
    const char *path = import_format(im, "providers[].%s", name);
    bool built = import_is_built(path);
    uint32_t stated_by = 0;
    for (uint32_t i = 0; i < im->deployment_count; i++) {
        const struct import_deployment *d = &im->deployment[i];
        const struct import_amount *a = (const void *)((const char *)d + field);
        if (d->endpoint != endpoint || !a->at) continue;
        stated_by++;
        if (!number) {
            import_left(im, a->at, "Weir limits a key of a provider, and the deployments of %s "
                        "do not add up to one limit", im->endpoint[endpoint].name);
        } else if (!built) {
            import_left(im, a->at, "%s is not in this release of Weir; it is a comment in the "
                        "new file", path);
        } else if (stated_by == 2) {
            import_changed(im, a->at, "the limits of the deployments of %s are added: Weir "
                           "limits a key, not a model", im->endpoint[endpoint].name);
        }
    }
    if (number) {
        import_put(out, "    %s%s: %llu\n", built ? "" : "# ", name,
                   (unsigned long long)number);
    }
}

/* Weights compare deployments of one name; Weir's are whole numbers of a provider. */
static void put_weight(struct import *im, struct import_text *out, uint32_t endpoint)
{
    enum { ONE = 1000000, SCALE = 100, WEIGHT_MAX = 1000 };
    const struct import_amount *first = NULL;
    bool whole = true, same = true, built = import_is_built("providers[].weight");
    for (uint32_t i = 0; i < im->deployment_count; i++) {
        const struct import_deployment *d = &im->deployment[i];
        if (d->weight.at && d->weight.number % ONE) whole = false;
        if (d->endpoint != endpoint || !d->weight.at) continue;
        if (!first) first = &d->weight;
        else if (first->number != d->weight.number) same = false;
    }
    if (!first) return;
    uint64_t weight = first->number / (whole ? ONE : ONE / SCALE);
    bool fine = same && weight >= 1 && weight <= WEIGHT_MAX;
    if (!fine) {
        import_left(im, first->at, "Weir's weight is one whole number from 1 to 1000 for the "
                    "provider %s", im->endpoint[endpoint].name);
        return;
    }
    if (!built) {
        import_left(im, first->at, "providers[].weight is not in this release of Weir; it is "
                    "a comment in the new file");
    }
    import_put(out, "    %sweight: %llu\n", built ? "" : "# ", (unsigned long long)weight);
}

static void put_address(struct import_text *out, const struct import_endpoint *e)
{
    const struct import_deployment *d = e->of;
    struct builtin_provider known;
    if (e->known) return;
    if (d->dialect) import_put(out, "    dialect: %s\n", d->dialect);
    if (d->url) {
        import_put(out, "    url: ");
        import_put_quoted(out, bytes_of(d->url));
        import_put(out, "\n");
        if (d->auth) import_put(out, "    auth: %s\n", d->auth);
    } else if (builtin_provider_find(bytes_of(d->known), &known)) {
        import_put(out, "    dialect: %.*s\n    url: \"%.*s\"\n    auth: %.*s\n",
                   (int)known.dialect.len, known.dialect.ptr, (int)known.base_url.len,
                   known.base_url.ptr, (int)known.auth.len, known.auth.ptr);
    }
}

static void put_provider(struct import *im, struct import_text *out, uint32_t index)
{
    const struct import_endpoint *e = &im->endpoint[index];
    const struct import_deployment *d = e->of;
    import_put(out, "  - name: \"%s\"    # %s, line %u\n", e->name,
               d->kind->prefix, d->at->at.line);
    put_address(out, e);
    bool usual = e->known && d->key_implied && !d->kind->env && e->key_count == 1;
    if (e->key_count && !usual) {
        import_put(out, "    keys: [");
        for (uint32_t k = 0; k < e->key_count; k++) {
            import_put(out, "%s", k ? ", " : "");
            import_put_quoted(out, bytes_of(e->key[k]));
        }
        import_put(out, "]\n");
    }
    for (uint32_t i = 0; i < d->header_count; i++) {
        import_put(out, "%s      ", i ? "" : "    headers:\n");
        import_put_quoted(out, bytes_of(d->header[i][0]));
        import_put(out, ": ");
        import_put_quoted(out, bytes_of(d->header[i][1]));
        import_put(out, "\n");
    }
    if (d->region) {
        import_put(out, "    region: ");
        import_put_quoted(out, bytes_of(d->region));
        import_put(out, "\n");
    }
    const char *timeout = d->timeout ? d->timeout : im->timeout;
    if (timeout) import_put(out, "    timeouts: {total: %s}\n", timeout);
    put_rate(im, out, index, "rpm", offsetof(struct import_deployment, rpm));
    put_rate(im, out, index, "tpm", offsetof(struct import_deployment, tpm));
    put_rate(im, out, index, "concurrency", offsetof(struct import_deployment, concurrency));
    put_weight(im, out, index);
}

/* ---- aliases and settings ---- */

static void put_alias(struct import_text *out, const struct import_group *g)
{
    char shown[CONF_QUOTE_MAX];
    bool itself = g->target_count == 1 && bytes_eq(g->name, bytes_of(g->target[0]));
    if (g->target_count == 0) return;
    if (itself) {
        if (g->bare) {
            import_put(out, "  # %s is the name that its %u providers share: Weir chooses "
                       "among them\n", conf_quote_text(g->name, shown), g->count);
        }
        return;
    }
    import_put(out, "  ");
    import_put_quoted(out, g->name);
    import_put(out, ": %s", g->target_count > 1 ? "[" : "");
    for (uint32_t i = 0; i < g->target_count; i++) {
        import_put(out, "%s", i ? ", " : "");
        import_put_quoted(out, bytes_of(g->target[i]));
    }
    import_put(out, "%s\n", g->target_count > 1 ? "]" : "");
}

static void put_aliases(struct import *im, struct import_text *out)
{
    struct import_text list = {0};
    for (uint32_t i = 0; i < im->group_count; i++) {
        const struct import_group *g = &im->group[i];
        if (conf_is_visible(g->name) && g->name.len <= CATALOG_NAME_MAX) put_alias(&list, g);
        else import_left(im, im->deployment[im->member[g->first]].at, "its name is no name of "
                         "Weir's: 1 to %d visible ASCII characters; its model is taken",
                         CATALOG_NAME_MAX);
    }
    if (list.len) {
        bool entries = list.ptr[0] == '\n' || strstr(list.ptr, "\n  \"") ||
                       strncmp(list.ptr, "  \"", 3) == 0;
        import_put(out, "\n%s%s", entries ? "aliases:\n" : "# aliases:\n", list.ptr);
    }
    if (list.full) out->full = true;
    free(list.ptr);
}

static void put_settings(struct import *im, struct import_text *out)
{
    if (im->mode || im->max_attempts) import_put(out, "\nrouting:\n");
    if (im->mode) {
        bool usual = strcmp(im->mode, "balanced") == 0;   /* the default is always there */
        bool built = usual || import_is_built("routing.mode");
        import_put(out, "  %smode: %s\n", built ? "" : "# not in this release: ", im->mode);
    }
    if (im->max_attempts) import_put(out, "  max_attempts: %s\n", im->max_attempts);
    if (im->mode && !im->max_attempts && !import_is_built("routing.mode") &&
        strcmp(im->mode, "balanced") != 0) import_put(out, "  max_attempts: 4\n");
    if (im->body || im->answer) {
        import_put(out, "\nlimits:\n");
        if (im->body) import_put(out, "  body: %s\n", im->body);
        if (im->answer) import_put(out, "  answer: %s\n", im->answer);
    }
    if (im->retention) import_put(out, "\nretention: {requests: %s}\n", im->retention);
    if (im->log_format || im->log_level) {
        import_put(out, "\nlog:\n");
        if (im->log_format) import_put(out, "  format: %s\n", im->log_format);
        if (im->log_level) import_put(out, "  level: %s\n", im->log_level);
    }
    if (im->price_missing) {
        import_put(out, "\n# LiteLLM counts a model without a price as free. With refuse, "
                   "Weir's default, such a\n# request is an error; give the models above a "
                   "price, then take this out.\nunknown_price: allow\n");
    }
}

/* Name the variables that the text refers to, each once. */
static void put_variables(struct import_text *out, const struct import_text *body)
{
    struct bytes seen[VARIABLES_MAX], left = {body->ptr, body->len};
    uint32_t count = 0;
    while (left.len) {
        bytes_cut(&left, bytes_find(left, '$'));
        if (!bytes_starts(left, BYTES("${"))) {
            if (left.len) bytes_cut(&left, 1);
            continue;
        }
        bytes_cut(&left, 2);
        struct bytes name = bytes_cut(&left, bytes_find(left, '}'));
        bool again = count == VARIABLES_MAX;
        for (uint32_t i = 0; i < count && !again; i++) again = bytes_eq(seen[i], name);
        if (!again) seen[count++] = name;
    }
    for (uint32_t i = 0; i < count; i++) {
        import_put(out, "%s%.*s", i ? "\n#   " : "# It wants in the environment:\n#   ",
                   (int)seen[i].len, seen[i].ptr);
    }
    if (count) import_put(out, "\n");
}

void import_write(struct import *im, struct import_text *out)
{
    struct import_text body = {0};
    char shown[CONF_QUOTE_MAX];
    if (im->endpoint_count) import_put(&body, "\nproviders:\n");
    for (uint32_t i = 0; i < im->endpoint_count; i++) put_provider(im, &body, i);
    if (im->everything && im->endpoint_count == 0) {
        import_put(&body, "\n# No providers: every known one whose key is in the environment "
                   "is used.\n");
    }
    put_models(im, &body);
    put_aliases(im, &body);
    put_settings(im, &body);
    import_put(out, "# Made by `weir import litellm` (weir %s) from %s.\n"
               "# What was not taken, and why, was said while it was made.\n", WEIR_VERSION,
               conf_quote_text(bytes_of(im->r->file), shown));
    put_variables(out, &body);
    import_put(out, "%s", body.ptr ? body.ptr : "");
    if (body.full) out->full = true;
    if (body.ptr) explicit_bzero(body.ptr, body.room);
    free(body.ptr);
}
