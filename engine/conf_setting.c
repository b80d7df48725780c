/* conf_setting.c - the tree of the file walked along the table of settings (conf.def).
 * A name is looked up by its dotted path; what the table does not have is an error with the
 * nearest name that it has. What is not built yet is checked like the rest, and then
 * refused unless it says the default, so that the printed example file can be used. */
#include <stdio.h>

#include "engine/conf.h"
#include "engine/conf_parts.h"
#include "net/translate/ask.h"
#include "net/url.h"
#include "route/score.h"

#define MS(n) ((uint64_t)(n) * 1000000u)
#define HOURS(n) ((uint64_t)(n) * 3600000000000u)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)
#define FIELD(type, member) offsetof(type, member), sizeof(((type *)0)->member)
#define IN_CONF(member) FIELD(struct conf, member)
#define IN_LISTEN(member) FIELD(struct conf_listen, member)
#define IN_PROVIDER(member) FIELD(struct catalog_provider, member)
#define IN_MODEL(member) FIELD(struct catalog_model, member)
#define NOWHERE 0, 0
#define BUILT true
#define LATER false

/* The field expands to two members, so the arguments are expanded once before X takes them. */
#define X(...) ROW(__VA_ARGS__)
#define ROW(p, t, d, lo, hi, w, at, bytes, yes, h) \
    {.path = p, .preset = d, .words = w, .help = h, .min = lo, .max = hi, .offset = at, \
     .size = bytes, .type = CONF_##t, .built = yes},
static const struct conf_setting settings[] = {
#include "engine/conf.def"
};
#undef X

static_assert(MODE_COST == 1 && MODE_LATENCY == 2 && MODE_AVAILABILITY == 3,
              "enum conf_mode is the order of words in conf.def");
static_assert(CONF_CASCADE_ALWAYS == 1 && CONF_CASCADE_NEVER == 2 && CONF_ON_REFUSAL == 2 &&
              CONF_ON_LENGTH == 4, "words of routing.cascade are in the order of conf.def");
static_assert(HEDGE_LATENCY == 1 && HEDGE_ALWAYS == 2 && SCORE_P50 == 0 && SCORE_P99 == 4,
              "so are when to hedge and after which time");
static_assert(DIALECT_RESPONSES == 1 && DIALECT_ANTHROPIC == 2 && DIALECT_GEMINI == 3 &&
              DIALECT_BEDROCK == 4 && DIALECT_COHERE == 5,
              "enum dialect is the order of words in conf.def");
static_assert(ABILITY_TOOLS == 1 && ABILITY_VISION == 2 && ABILITY_JSON_SCHEMA == 4 &&
              ABILITY_REASONING == 8, "abilities are the bits of words in conf.def");

static_assert(CONTINUES_PREFILL == 1 && CONTINUES_PREFIX == 2 && CONTINUES_PREFIX_ECHO == 3 &&
              CONTINUES_PARTIAL == 4 && CONTINUES_FINAL == 5 && CONTINUES_INSTRUCT == 6 &&
              CONTINUES_NO == 7, "enum catalog_continues is the order of words in conf.def");
static_assert((int)CONTINUES_UNSAID == (int)ASK_CONTINUES_NOT &&
              (int)CONTINUES_PREFILL == (int)ASK_CONTINUES_PREFILL &&
              (int)CONTINUES_PREFIX == (int)ASK_CONTINUES_PREFIX &&
              (int)CONTINUES_PREFIX_ECHO == (int)ASK_CONTINUES_PREFIX_ECHO &&
              (int)CONTINUES_PARTIAL == (int)ASK_CONTINUES_PARTIAL &&
              (int)CONTINUES_FINAL == (int)ASK_CONTINUES_FINAL &&
              (int)CONTINUES_INSTRUCT == (int)ASK_CONTINUES_INSTRUCT, "one list");

#define X(name, word) static_assert((int)ASK_##name == (int)QUIRK_##name, "one bit " word);
#define Y(name, word)
#include "route/quirk.def"
#undef X
#undef Y

const struct conf_setting *conf_settings(size_t *count)
{
    *count = COUNT(settings);
    return settings;
}

/* A path behind its last "[].". */
static const char *label(const char *path)
{
    const char *item = strstr(path, "[].");
    return item ? label(item + 3) : path;
}

const char *conf_setting_label(const struct conf_setting *s)
{
    return label(s->path);
}

/* ---- storing ---- */

static void store_number(const struct conf_setting *s, uint64_t number, void *base)
{
    char *at = (char *)base + s->offset;
    if (s->size == 1) *(uint8_t *)at = (uint8_t)number;
    else if (s->size == 2) *(uint16_t *)(void *)at = (uint16_t)number;
    else if (s->size == 4) *(uint32_t *)(void *)at = (uint32_t)number;
    else memcpy(at, &number, sizeof number);
    assert(s->size == 8 || number >> (8 * s->size) == 0);
}

static bool is_stored_as_text(const struct conf_setting *s)
{
    return s->type == CONF_TEXT || s->type == CONF_URL || s->type == CONF_NAME ||
           s->type == CONF_MODEL_ID || s->type == CONF_WORD_TEXT;
}

static bool is_kept_in_place(const struct conf_setting *s)
{
    return s->type == CONF_CHARS || s->type == CONF_ADDRESS || s->type == CONF_LISTEN ||
           s->type == CONF_TOKEN;
}

static void store(struct conf_reader *r, const struct conf_setting *s,
                  const struct conf_value *v, void *base)
{
    if (s->size == 0) return;
    char *at = (char *)base + s->offset;
    if (is_stored_as_text(s)) {
        const char *copy = conf_heap_text(r->heap, v->text);
        assert(s->size == sizeof copy);
        memcpy(at, &copy, sizeof copy);
    } else if (is_kept_in_place(s)) {
        assert(v->text.len < s->size);
        if (v->text.len) memcpy(at, v->text.ptr, v->text.len);
        at[v->text.len] = '\0';
    } else {
        store_number(s, v->number, base);
    }
}

static struct conf_node preset_node(const struct conf_setting *s)
{
    struct bytes text = bytes_of(s->preset);
    return (struct conf_node){.raw = text, .text = text, .kind = CONF_SCALAR, .expanded = true};
}

static bool is_simple(const struct conf_setting *s)
{
    switch (s->type) {
    case CONF_LISTENS: case CONF_TEXTS: case CONF_WORDS: case CONF_KEYS:
    case CONF_NETS: case CONF_ORIGINS:
    case CONF_HEADERS: case CONF_PRICE: case CONF_QUALITY: case CONF_PROVIDERS:
    case CONF_MODELS: case CONF_ALIASES: case CONF_NOTHING:
        return false;
    default:
        return true;
    }
}

static struct conf_value preset_value(struct conf_reader *r, const struct conf_setting *s)
{
    struct conf_node n = preset_node(s);
    struct conf_value v = {0};
    bool fine = conf_value(r, s, &n, &v);
    assert(fine);
    return v;
}

void conf_defaults(struct conf_reader *r, const char *prefix, void *base)
{
    size_t skip = strlen(prefix);
    for (size_t i = 0; i < COUNT(settings); i++) {
        const struct conf_setting *s = &settings[i];
        bool inside = strncmp(s->path, prefix, skip) == 0 && !strstr(s->path + skip, "[]");
        if (!inside || !s->preset || !is_simple(s)) continue;
        struct conf_value v = preset_value(r, s);
        store(r, s, &v, base);
    }
}

/* ---- settings of one value ---- */

static void refuse_later(struct conf_reader *r, const struct conf_setting *s,
                         struct conf_node *n)
{
    char shown[CONF_QUOTE_MAX];
    bool only = s->preset && *s->preset;
    conf_error(r, n->at, "%s is %s, which is not in this release%s%s", conf_setting_label(s),
               conf_quote(n, shown), only ? "; it takes only " : "", only ? s->preset : "");
    n->bad = true;
}

/* A clause about a text whose type has a grammar of its own; NULL where it is fine. */
static const char *text_fault(const struct conf_setting *s, struct bytes text)
{
    struct url url;
    const char *why = NULL;
    switch (s->type) {
    case CONF_ADDRESS:
    case CONF_LISTEN:
        return url_listen(text, &url, &why) == NET_OK ? NULL : why;
    case CONF_URL:
        return url_parse(text, &url, &why) == NET_OK ? NULL : why;
    case CONF_TOKEN:
        return conf_is_visible(text) ? NULL : "not one word of visible ASCII characters";
    case CONF_NAME:
        for (size_t i = 0; i < text.len; i++) {
            char c = byte_lower(text.ptr[i]);
            bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                        (c && strchr("._-", c));
            if (!fine) return "not made of letters, digits and . _ - only";
        }
        return NULL;
    case CONF_MODEL_ID: {
        size_t slash = bytes_find(text, '/');
        bool fine = conf_is_visible(text) && slash > 0 && slash + 1 < text.len;
        return fine ? NULL : "not of the form provider/model";
    }
    default:
        return NULL;
    }
}

static void apply_simple(struct conf_reader *r, const struct conf_setting *s,
                         struct conf_node *n, void *base)
{
    struct conf_value v;
    if (!conf_value(r, s, n, &v)) return;
    const char *fault = text_fault(s, v.text);
    if (fault) {
        char shown[CONF_QUOTE_MAX], takes[CONF_TAKES_MAX];
        if (s->type == CONF_URL && (memchr(v.text.ptr, '@', v.text.len) ||
                                    memchr(v.text.ptr, '?', v.text.len))) {
            conf_hide_node(r, n);   /* user:password@, ?key= */
        }
        conf_error(r, n->at, "%s is %s: %s; it takes %s", conf_setting_label(s),
                   conf_quote(n, shown), fault, conf_takes(s, takes, sizeof takes));
        n->bad = true;
        return;
    }
    /* "balanced-first" is another word for "balanced" */
    if (strcmp(s->path, "routing.mode") == 0) v.number %= MODE_AVAILABILITY + 1;
    if (!s->built && (!s->preset || v.number != preset_value(r, s).number)) {
        refuse_later(r, s, n);
        return;
    }
    store(r, s, &v, base);
}

/* ---- settings with parts ---- */

static const struct conf_setting *setting_find(const char *path)
{
    for (size_t i = 0; i < COUNT(settings); i++) {
        if (strcmp(settings[i].path, path) == 0) return &settings[i];
    }
    return NULL;
}

void conf_apply(struct conf_reader *r, const char *path, struct conf_node *n, void *base)
{
    const struct conf_setting *s = setting_find(path);
    assert(s && is_simple(s));
    apply_simple(r, s, n, base);
}

static void read_words(struct conf_reader *r, const struct conf_setting *s,
                       struct conf_node *n, void *base)
{
    uint64_t bits = 0;
    if (!conf_is_list(r, s, n, (uint32_t)s->max)) return;
    for (struct conf_node *item = n->first; item; item = item->next) {
        int place = item->kind == CONF_SCALAR && !item->bad
                    ? conf_word_find(s->words, item->text) : -1;
        if (place < 0) conf_value_wrong(r, s, item);
        else bits |= 1ull << place;
    }
    store_number(s, bits, base);
}

static void apply(struct conf_reader *r, const struct conf_setting *s, struct conf_node *n,
                  void *base)
{
    struct catalog_model *model = base;   /* where the path says so */
    switch (s->type) {
    case CONF_LISTENS: conf_read_listens(r, s, n); break;
    case CONF_LISTEN: conf_read_admin(r, n); break;
    case CONF_TEXTS: conf_read_auto(r, s, n); break;
    case CONF_NETS: conf_read_nets(r, s, n); break;
    case CONF_ORIGINS: conf_read_origins(r, s, n); break;
    case CONF_WORDS: read_words(r, s, n, base); break;
    case CONF_QUALITY: conf_read_quality(r, s, n, &model->quality); break;
    case CONF_KEYS: conf_read_keys(r, s, n, base); break;
    case CONF_HEADERS: conf_read_headers(r, s, n, base); break;
    case CONF_PRICE: conf_read_price(r, s, n, &model->price); break;
    case CONF_PROVIDERS: r->providers = n; break;
    case CONF_MODELS: r->models = n; break;
    case CONF_ALIASES: r->aliases = n; break;
    case CONF_NOTHING:
        if (conf_is_null(n) || (n->kind == CONF_MAP && !n->count)) break;
        if (n->kind == CONF_MAP) refuse_later(r, s, n);
        else conf_value_wrong(r, s, n);
        break;
    default: apply_simple(r, s, n, base); break;
    }
}

/* ---- names ---- */

/* The part of a path behind prefix up to the next '.', empty where it is not below prefix. */
static struct bytes segment(const char *path, const char *prefix)
{
    size_t skip = strlen(prefix);
    if (strncmp(path, prefix, skip) != 0) return (struct bytes){0};
    return (struct bytes){path + skip, strcspn(path + skip, ".[")};
}

/* Where else a name stands: "mode" at the top was meant as routing.mode. */
static const char *elsewhere(struct bytes name)
{
    for (size_t i = 0; i < COUNT(settings); i++) {
        const char *path = settings[i].path, *dot = strrchr(path, '.');
        bool item = strchr(path, '[') != NULL;
        if (dot && !item && bytes_eq(bytes_of(dot + 1), name)) return path;
    }
    return NULL;
}

static void unknown(struct conf_reader *r, const struct conf_node *n, const char *prefix)
{
    char shown[CONF_QUOTE_MAX], hint[CONF_QUOTE_MAX], near[CONF_PATH_MAX] = "";
    char inside[CONF_PATH_MAX + 8] = "";
    struct bytes name = n->key->raw;
    unsigned best = conf_distance_max(name) + 1;
    bool hints = r->errors.count < CONF_HINTS_MAX;
    for (size_t i = 0; hints && i < COUNT(settings); i++) {
        struct bytes known = segment(settings[i].path, prefix);
        unsigned d = known.len ? conf_distance(name, known, best - 1) : best;
        if (d >= best) continue;
        best = d;
        snprintf(near, sizeof near, "%.*s", (int)known.len, known.ptr);
    }
    const char *other = hints ? elsewhere(name) : NULL;
    if (near[0] && (best < 2 || !other)) other = near;
    size_t len = strlen(prefix);
    if (len > 1) {
        size_t end = len - (prefix[len - 2] == ']' ? 3 : 1);
        snprintf(inside, sizeof inside, " in %.*s", (int)end, prefix);
    }
    conf_error(r, n->key->at, "unknown setting %s%s%s", conf_quote_text(name, shown), inside,
               conf_hint(other, hint));
}

static bool is_section(const char *path)
{
    for (size_t i = 0; i < COUNT(settings); i++) {
        size_t len = strlen(path);
        const char *at = settings[i].path;
        if (strncmp(at, path, len) == 0 && at[len] == '.') return true;
    }
    return false;
}

void conf_walk(struct conf_reader *r, struct conf_node *map, const char *prefix, void *base)
{
    assert(map->kind == CONF_MAP);
    for (struct conf_node *n = map->first; n; n = n->next) {
        char path[CONF_PATH_MAX];
        struct bytes name = n->key->raw;
        if (n->bad) continue;
        bool fits = strlen(prefix) + name.len + 2 < sizeof path;
        for (size_t i = 0; fits && i < name.len; i++) {
            fits = name.ptr[i] && !strchr(".[", name.ptr[i]);   /* those join the parts */
        }
        const struct conf_setting *s = NULL;
        bool section = false;
        if (fits && name.len) {
            snprintf(path, sizeof path, "%s%.*s", prefix, (int)name.len, name.ptr);
            s = setting_find(path);
            section = !s && is_section(path);
        }
        if (s) {
            apply(r, s, n, base);
        } else if (!section) {
            unknown(r, n, prefix);
        } else if (n->kind == CONF_MAP) {
            size_t len = strlen(path);
            memcpy(path + len, ".", 2);
            conf_walk(r, n, path, base);
        } else if (!conf_is_null(n)) {
            char shown[CONF_QUOTE_MAX];
            conf_error(r, n->at, "%s is %s; it takes a map", label(path),
                       conf_quote(n, shown));
        }
    }
}
