/* cmd_models.c - `weir models`: what would be served with this configuration, then what else is
 * compiled in and only lacks a key or an entry. One row a model; with --json all that is known
 * of it and where that comes from. */
#include "engine/cmd.h"
#include "engine/conf.h"
#include "engine/show.h"
#include "net/jsonw.h"
#include "route/builtin.h"

#include <stdio.h>
#include <time.h>

enum { ROW_MAX = 16384, AMOUNT_MAX = 32 };

struct row {                     /* a model, served or not */
    const struct catalog_model *model;
    struct bytes provider, region;
    bool zero_retention, available;
    enum catalog_continues continues;
    struct bytes released, figures_of, sources;   /* of what is built in; else empty */
    struct builtin_provider known;   /* all empty: a provider that nobody knows */
};

static void put_text(struct jsonw *w, const char *name, struct bytes text)
{
    jsonw_key(w, name);
    if (text.len) jsonw_string(w, text);
    else jsonw_null(w);
}

/* Prices that are announced for later. */
static void put_later(struct jsonw *w, const struct price_list *list, uint64_t now)
{
    jsonw_key(w, "later");
    jsonw_array(w);
    for (unsigned i = 0; i < list->count; i++) {
        if (list->at[i].from_unix_s <= now) continue;
        jsonw_object(w);
        char day[16];
        struct tm tm;
        time_t from = (time_t)list->at[i].from_unix_s;
        if (!gmtime_r(&from, &tm) || !strftime(day, sizeof day, "%F", &tm)) day[0] = '\0';
        jsonw_key(w, "from"), jsonw_text(w, day);
        jsonw_key(w, "price"), show_price(w, &list->at[i]);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
}

static void print_json(const struct row *r, uint64_t now, bool first)
{
    char line[ROW_MAX];
    struct jsonw w;
    const struct catalog_model *m = r->model;
    jsonw_init(&w, line, sizeof line);
    jsonw_object(&w);
    jsonw_key(&w, "id"), jsonw_text(&w, m->id);
    put_text(&w, "provider", r->provider);
    jsonw_key(&w, "upstream"), jsonw_text(&w, m->upstream);
    jsonw_key(&w, "available"), jsonw_bool(&w, r->available);
    jsonw_key(&w, "configured"), jsonw_bool(&w, m->configured);
    jsonw_key(&w, "price"), show_price(&w, price_at(&m->price, now));
    put_later(&w, &m->price, now);
    jsonw_key(&w, "context"), show_known(&w, m->context);
    jsonw_key(&w, "max_output"), show_known(&w, m->max_output);
    jsonw_key(&w, "supports");
    show_words(&w, "tools|vision|json_schema|reasoning", m->abilities);
    put_text(&w, "released", r->released);
    jsonw_key(&w, "quality"), show_quality(&w, &m->quality);
    put_text(&w, "figures_of", r->figures_of);
    put_text(&w, "sources", r->sources);
    jsonw_key(&w, "efforts"), show_efforts(&w, &m->quality);
    put_text(&w, "region", r->region);
    jsonw_key(&w, "zero_retention"), jsonw_bool(&w, r->zero_retention);
    put_text(&w, "retention", r->known.retention);
    put_text(&w, "usage_in_stream", r->known.usage);
    put_text(&w, "rate_limit_headers", r->known.limits);
    put_text(&w, "reasoning_field", r->known.thoughts);
    jsonw_key(&w, "quirks");
    show_words(&w, CATALOG_QUIRK_WORDS, m->quirks | r->known.quirks);
    jsonw_key(&w, "continues"), jsonw_text(&w, catalog_continues_word(r->continues));
    jsonw_object_end(&w);
    assert(!w.full);
    (void)printf("%s%.*s", first ? "" : ",\n", (int)w.len, line);
}

static void amount(const struct price *p, enum price_kind kind, char out[AMOUNT_MAX])
{
    struct jsonw w;
    (void)snprintf(out, AMOUNT_MAX, "?");
    if (!p || !p->known) return;
    jsonw_init(&w, out, AMOUNT_MAX - 1);
    jsonw_fixed(&w, p->kind[kind], 6);
    out[w.len] = 0;
}

static void count(uint32_t value, char out[AMOUNT_MAX])
{
    if (value) (void)snprintf(out, AMOUNT_MAX, "%u", value);
    else (void)snprintf(out, AMOUNT_MAX, "?");
}

/* Ability in percent, and what it rests on: 97f by figures, 60e by those of other families, 40p
 * by price and date, 62s as stated. */
static void ability(const struct quality *q, enum family f, char out[AMOUNT_MAX])
{
    if (q->evidence[f] == QUALITY_NOTHING) (void)snprintf(out, AMOUNT_MAX, "?");
    else (void)snprintf(out, AMOUNT_MAX, "%u%c", (quality_tenths(q->t[f]) + 5) / 10,
                        *quality_evidence_name((enum quality_evidence)q->evidence[f]));
}

static void print_row(const struct row *r, uint64_t now)
{
    const struct catalog_model *m = r->model;
    const struct price *p = price_at(&m->price, now);
    char in[AMOUNT_MAX], cached[AMOUNT_MAX], out[AMOUNT_MAX], context[AMOUNT_MAX];
    char most[AMOUNT_MAX], can[8] = "", know[AMOUNT_MAX], code[AMOUNT_MAX], math[AMOUNT_MAX];
    size_t len = 0;
    amount(p, PRICE_INPUT, in);
    amount(p, PRICE_CACHED, cached);
    amount(p, PRICE_OUTPUT, out);
    count(m->context, context);
    count(m->max_output, most);
    for (unsigned i = 0; i < 4; i++) {
        if (m->abilities & 1u << i) can[len++] = "tvjr"[i];
    }
    if (r->continues != CONTINUES_UNSAID) can[len++] = 'c';
    ability(&m->quality, FAMILY_KNOWLEDGE, know);
    ability(&m->quality, FAMILY_CODE, code);
    ability(&m->quality, FAMILY_MATH, math);
    (void)printf("%-56s %9s %9s %9s %9s %8s %-5s %5s %5s %5s %.*s\n", m->id, in, cached, out,
                 context, most, can, know, code, math, (int)r->region.len, r->region.ptr);
}

struct print { uint64_t now; size_t count; bool json; };

static void print(struct print *p, const struct row *r)
{
    if (p->json) print_json(r, p->now, p->count == 0);
    else print_row(r, p->now);
    p->count++;
}

/* What is built in of a served model, for its dates and sources. */
static void look_up(struct row *r)
{
    struct builtin_model b;
    struct bytes at = builtin_models(), id = bytes_of(r->model->bare);
    if (!r->known.name.len) return;
    while (builtin_model_next(&at, r->known.name, &b)) {
        if (!bytes_eq(b.id, id)) continue;
        r->released = b.released;
        r->figures_of = b.figures_of;
        r->sources = b.sources;
        return;
    }
}

static void print_served(struct print *out, const struct conf *conf)
{
    const struct catalog *c = &conf->catalog;
    for (uint32_t i = 0; i < c->model_count; i++) {
        const struct catalog_provider *p = &c->provider[c->model[i].provider];
        struct row r = {.model = &c->model[i], .provider = bytes_of(p->name),
                        .region = bytes_of(p->region), .available = true,
                        .continues = catalog_continues_of(&c->model[i], p),
                        .zero_retention = p->zero_retention};
        if (!builtin_provider_find(r.provider, &r.known)) r.known.name = (struct bytes){0};
        r.known.quirks = p->quirks;   /* as configured */
        look_up(&r);
        print(out, &r);
    }
}

static bool is_used(const struct conf *conf, struct bytes provider)
{
    for (uint32_t i = 0; i < conf->catalog.provider_count; i++) {
        struct builtin_provider known;
        struct bytes name = bytes_of(conf->catalog.provider[i].name);
        if (builtin_provider_find(name, &known) && bytes_eq(known.name, provider)) return true;
    }
    return false;
}

static void print_others(struct print *out, const struct conf *conf)
{
    struct row r = {0};
    for (struct bytes at = builtin_providers(); builtin_provider_next(&at, &r.known);) {
        struct builtin_model b;
        struct bytes models = builtin_models();
        bool used = is_used(conf, r.known.name);
        while (!used && builtin_model_next(&models, r.known.name, &b)) {
            char id[CATALOG_NAME_MAX + 1];
            int len = snprintf(id, sizeof id, "%.*s/%.*s", (int)b.provider.len,
                               b.provider.ptr, (int)b.id.len, b.id.ptr);
            assert(len > 0 && (size_t)len < sizeof id);   /* tools/catalog.py saw to it */
            struct catalog_model m = {.id = id, .upstream = id + b.provider.len + 1,
                                      .price = b.price, .quality = b.quality,
                                      .context = b.context, .max_output = b.max_output,
                                      .abilities = b.abilities, .quirks = b.quirks,
                                      .continues = b.continues, .no_text = b.no_text};
            struct catalog_provider p = {.quirks = r.known.quirks,
                                         .continues = r.known.continues};
            r.model = &m;
            r.continues = catalog_continues_of(&m, &p);
            r.provider = b.provider;
            r.region = r.known.region;
            r.released = b.released;
            r.figures_of = b.figures_of;
            r.sources = b.sources;
            print(out, &r);
        }
    }
}

int cmd_models(const char *config, int json)
{
    struct conf *conf = cmd_load(config);
    if (!conf) return 1;
    struct print out = {.now = (uint64_t)time(NULL), .json = json != 0};
    if (json) (void)printf("[");
    else (void)printf("%-56s %9s %9s %9s %9s %8s %-5s %5s %5s %5s %s\n", "model", "input",
                      "cached", "output", "context", "max_out", "can", "know", "code", "math",
                      "region");
    print_served(&out, conf);
    if (!json) (void)printf("\n# known, but without a key or an entry in the configuration:\n");
    print_others(&out, conf);
    if (json) (void)printf("]\n");
    if (conf->catalog.provider_count == 0) {
        (void)fprintf(stderr, "no provider is configured: set a key such as OPENAI_API_KEY, or "
                              "list providers in the configuration\n");
    }
    conf_free(conf);
    return 0;
}
