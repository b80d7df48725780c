/* cmd_import_model.c - LiteLLM's model_list: each entry becomes a deployment, or a note that
 * says why it cannot. What a deployment needs to be reached (address, key, name of the model)
 * is taken or the deployment is left whole; what it merely likes (rates, limits, prices) is
 * taken one by one. */
#include <stdio.h>
#include <stdlib.h>

#include "engine/cmd_import.h"
#include "net/url.h"
#include "route/builtin.h"

enum { RATE_MAX = 1000000000, PICO_DIGITS = 12 };

struct entry {                   /* of model_list, while it is read */
    const struct conf_node *params, *info;
    const struct conf_node *credential;   /* litellm_credential_name's values, or NULL */
    struct import_deployment *d;
};

/* ---- values ---- */

const struct conf_node *import_child(const struct conf_node *map, const char *name)
{
    if (!map || map->kind != CONF_MAP) return NULL;
    const struct conf_node *n = conf_child(map, name);
    return n && !conf_is_null(n) ? n : NULL;
}

const char *import_value(struct import *im, const struct conf_node *n)
{
    struct bytes prefix = BYTES("os.environ/");
    if (n->kind != CONF_SCALAR) {
        import_left(im, n, "it is %s, where a text is taken",
                    n->kind == CONF_LIST ? "a list" : "a map");
        return NULL;
    }
    struct bytes text = bytes_trim(n->raw);
    if (bytes_starts(text, prefix)) {
        bytes_cut(&text, prefix.len);
        if (conf_is_variable(text)) {
            return import_format(im, "${%.*s}", (int)text.len, text.ptr);
        }
        import_left(im, n, "what follows os.environ/ is no name of a variable");
        return NULL;
    }
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool reference = c == '$' && i + 1 < text.len && text.ptr[i + 1] == '{';
        if (c >= 0x20 && c != 0x7F && !reference) continue;
        import_left(im, n, reference ? "it holds ${, which Weir would take for a reference"
                                     : "it holds control bytes");
        return NULL;
    }
    return import_format(im, "%.*s", (int)text.len, text.ptr);
}

bool import_count(struct import *im, const struct conf_node *n, uint64_t max, uint64_t *out)
{
    uint64_t number;
    bool fine = n->kind == CONF_SCALAR && bytes_u64(n->raw, &number) && number > 0 &&
                number <= max;
    if (!fine) {
        import_left(im, n, "it takes a whole number from 1 to %llu",
                    (unsigned long long)max);
        return false;
    }
    *out = number;
    return true;
}

const char *import_seconds(struct import *im, const struct conf_node *n)
{
    uint64_t micro;
    bool fine = n->kind == CONF_SCALAR && conf_decimal_parse(n->raw, &micro) &&
                micro >= 1000 && micro <= 86400ull * 1000000;
    if (!fine) {
        import_left(im, n, "it takes seconds, from 0.001 to 86400");
        return NULL;
    }
    if (micro % 1000000 == 0) {
        return import_format(im, "%llus", (unsigned long long)(micro / 1000000));
    }
    return import_format(im, "%llums", (unsigned long long)(micro / 1000));
}

bool import_is_true(const struct conf_node *n)
{
    static const char *const words[] = {"true", "yes", "on"};
    for (size_t i = 0; n && n->kind == CONF_SCALAR && i < COUNT(words); i++) {
        if (bytes_ieq(n->raw, bytes_of(words[i]))) return true;
    }
    return false;
}

/* The exponent of "e-06", all of text; false where it is none. */
static bool exponent(struct bytes text, int *out)
{
    uint64_t value = 0;
    bool minus = text.len && *text.ptr == '-';
    if (text.len && (*text.ptr == '-' || *text.ptr == '+')) bytes_cut(&text, 1);
    if (!bytes_u64(text, &value) || value > 99) return false;
    *out = minus ? -(int)value : (int)value;
    return true;
}

bool import_price_parse(struct bytes text, int64_t *pico)
{
    uint64_t mantissa = 0;
    int places = 0, shift = 0;
    bool point = false, digits = false;
    for (; text.len && *text.ptr != 'e' && *text.ptr != 'E'; bytes_cut(&text, 1)) {
        char c = *text.ptr;
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9' || mantissa > (UINT64_MAX - 9) / 10) return false;
        mantissa = mantissa * 10 + (uint64_t)(c - '0');
        digits = true;
        places += point;
    }
    if (!digits) return false;
    if (text.len) {
        bytes_cut(&text, 1);
        if (!exponent(text, &shift)) return false;
    }
    shift += PICO_DIGITS - places;
    for (; shift < 0 && mantissa; shift++) {
        if (mantissa % 10) return false;     /* a part below a pico-dollar */
        mantissa /= 10;
    }
    for (; shift > 0 && mantissa; shift--) {
        if (mantissa >= 100000000000000u) return false;   /* price_parse()'s bound */
        mantissa *= 10;
    }
    if (mantissa >= 1000000000000000u) return false;
    *pico = (int64_t)mantissa;
    return true;
}

/* A parameter: of the entry itself, else of the credential it names. */
static const struct conf_node *param(const struct entry *e, const char *name)
{
    const struct conf_node *n = import_child(e->params, name);
    return n ? n : import_child(e->credential, name);
}

/* ---- prices and limits ---- */

static const struct { const char *name; uint8_t kind; } costs[] = {
    {"input_cost_per_token", PRICE_INPUT}, {"output_cost_per_token", PRICE_OUTPUT},
    {"cache_read_input_token_cost", PRICE_CACHED},
    {"cache_creation_input_token_cost", PRICE_CACHE_WRITE},
    {"cache_creation_input_token_cost_above_1hr", PRICE_CACHE_WRITE_1H},
    {"input_cost_per_audio_token", PRICE_AUDIO_INPUT},
    {"output_cost_per_audio_token", PRICE_AUDIO_OUTPUT},
    {"input_cost_per_image_token", PRICE_IMAGE_INPUT},
};

/* Which price a name states, and of which tier (0: the base). False where it is none. */
static bool cost_of(struct bytes name, unsigned *kind, uint64_t *above)
{
    struct bytes tail = BYTES("k_tokens"), over = BYTES("_above_");
    for (size_t i = 0; i < COUNT(costs); i++) {
        struct bytes rest = name;
        if (!bytes_starts(name, bytes_of(costs[i].name))) continue;
        bytes_cut(&rest, strlen(costs[i].name));
        *kind = costs[i].kind;
        *above = 0;
        if (rest.len == 0) return true;
        if (!bytes_starts(rest, over) || rest.len <= over.len + tail.len) continue;
        bytes_cut(&rest, over.len);
        struct bytes number = {rest.ptr, rest.len - tail.len};
        bytes_cut(&rest, number.len);
        if (!bytes_eq(rest, tail) || !bytes_u64(number, above) || *above > 100000) continue;
        *above *= 1000;
        return true;
    }
    return false;
}

static void read_cost(struct import *im, struct import_price *p, const struct conf_node *n,
                      unsigned kind, uint64_t above)
{
    int64_t pico;
    if (n->kind != CONF_SCALAR || !import_price_parse(n->raw, &pico)) {
        import_left(im, n, "it takes US dollars per token that are whole pico-dollars, like "
                    "2.5e-06");
    } else if (above == 0) {
        p->kind[kind] = pico;
        p->given |= 1u << kind;
    } else if (p->tier.above && p->tier.above != above) {
        import_left(im, n, "one tier is taken, the one above %llu tokens",
                    (unsigned long long)p->tier.above);
    } else {
        p->tier.above = above;
        p->tier.kind[kind] = pico;
        p->tier_given |= 1u << kind;
    }
}

/* Prices may stand in both maps; litellm_params is read first and wins. */
static void read_costs(struct import *im, struct import_price *p, const struct conf_node *map)
{
    unsigned before = p->given, kind;
    uint64_t above;
    if (!map || map->kind != CONF_MAP) return;
    for (const struct conf_node *n = map->first; n; n = n->next) {
        if (conf_is_null(n) || !cost_of(n->key->raw, &kind, &above)) continue;
        if (above == 0 && (before & 1u << kind)) continue;
        read_cost(im, p, n, kind, above);
    }
}

static const struct { const char *name; uint8_t bit; } can[] = {
    {"supports_function_calling", ABILITY_TOOLS}, {"supports_vision", ABILITY_VISION},
    {"supports_response_schema", ABILITY_JSON_SCHEMA},
    {"supports_reasoning", ABILITY_REASONING},
};

static void read_limits(struct import *im, struct entry *e)
{
    struct import_deployment *d = e->d;
    uint64_t number;
    const struct conf_node *n = import_child(e->info, "max_input_tokens");
    if (n && import_count(im, n, 1000000000, &number)) d->context = (uint32_t)number;
    n = import_child(e->info, "max_output_tokens");
    if (!n) n = import_child(e->info, "max_tokens");
    if (n && import_count(im, n, 1000000000, &number)) d->max_output = (uint32_t)number;
    for (size_t i = 0; i < COUNT(can); i++) {
        n = import_child(e->info, can[i].name);
        if (!n) continue;
        d->abilities_said |= can[i].bit;
        if (import_is_true(n)) d->abilities |= can[i].bit;
    }
    n = import_child(e->info, "base_model");
    if (n && n->kind == CONF_SCALAR) d->base_model = n->raw;
    read_costs(im, &d->price, e->params);
    read_costs(im, &d->price, e->info);
}

static void read_rate(struct import *im, const struct entry *e, const char *name,
                      struct import_amount *out)
{
    const struct conf_node *n = param(e, name);
    if (!n) n = import_child(e->info, name);
    if (n && import_count(im, n, RATE_MAX, &out->number)) out->at = n;
}

static void read_wishes(struct import *im, struct entry *e)
{
    struct import_deployment *d = e->d;
    read_rate(im, e, "rpm", &d->rpm);
    read_rate(im, e, "tpm", &d->tpm);
    read_rate(im, e, "max_parallel_requests", &d->concurrency);
    const struct conf_node *n = param(e, "order");
    if (n && !import_count(im, n, UINT32_MAX, &d->order)) d->order = 0;
    n = param(e, "weight");
    if (n && n->kind == CONF_SCALAR && conf_decimal_parse(n->raw, &d->weight.number)) {
        d->weight.at = n;
    } else if (n) {
        import_left(im, n, "it takes a number");
    }
    n = param(e, "timeout");
    if (!n) n = param(e, "request_timeout");
    if (n) d->timeout = import_seconds(im, n);
    n = param(e, "region_name");
    if (n) d->region = import_value(im, n);
}

/* ---- headers ---- */

static void add_header(struct import *im, struct import_deployment *d, struct bytes name,
                       const struct conf_node *n)
{
    static const char *const ours[] = {
        "authorization", "host", "content-length", "transfer-encoding", "connection",
        "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "expect",
    };
    for (size_t i = 0; i < COUNT(ours); i++) {
        if (!bytes_ieq(name, bytes_of(ours[i]))) continue;
        import_left(im, n, "Weir writes this header field itself");
        return;
    }
    for (uint32_t i = 0; i < d->header_count; i++) {
        if (!bytes_ieq(bytes_of(d->header[i][0]), name)) continue;
        import_left(im, n, "this header field is there already");
        return;
    }
    if (!conf_is_token(name) || d->header_count == IMPORT_HEADERS_MAX) {
        import_left(im, n, conf_is_token(name) ? "a provider takes 16 header fields"
                                          : "this is no name of a header field (RFC 9110)");
        return;
    }
    const char *value = import_value(im, n);
    if (!value) return;
    d->header[d->header_count][0] = import_format(im, "%.*s", (int)name.len, name.ptr);
    d->header[d->header_count++][1] = value;
}

static void read_headers(struct import *im, struct entry *e)
{
    const struct conf_node *map = param(e, "extra_headers");
    if (!map) map = param(e, "headers");
    if (map && map->kind != CONF_MAP) import_left(im, map, "it takes a map of header fields");
    for (const struct conf_node *n = map && map->kind == CONF_MAP ? map->first : NULL; n;
         n = n->next) {
        if (!conf_is_null(n)) add_header(im, e->d, n->key->raw, n);
    }
    const struct conf_node *org = param(e, "organization");
    if (org && org->kind == CONF_LIST) {
        import_left(im, org, "one organization is taken for a provider: make a provider with "
                    "the header openai-organization for each");
    } else if (org) {
        add_header(im, e->d, BYTES("openai-organization"), org);
    }
}

/* ---- where it is ---- */

bool import_builtin(const char *provider, struct bytes id, struct builtin_model *out)
{
    struct builtin_provider known;
    struct builtin_model m;
    if (!builtin_provider_find(bytes_of(provider), &known)) return false;
    struct bytes at = builtin_models();
    while (builtin_model_next(&at, known.name, &m)) {
        if (!bytes_eq(m.id, id)) continue;
        *out = m;
        return true;
    }
    return false;
}

/* What a value will be, as far as that is known now: its variable's content, or itself. */
static struct bytes looked_up(const struct import *im, const char *value)
{
    struct bytes text = bytes_of(value);
    char name[128];
    if (!bytes_starts(text, BYTES("${"))) return text;
    if (text.len - 3 >= sizeof name) return (struct bytes){0};
    memcpy(name, text.ptr + 2, text.len - 3);
    name[text.len - 3] = '\0';
    return bytes_of(im->r->env ? im->r->env(name) : NULL);
}

static struct bytes without_slash(struct bytes text)
{
    while (text.len && text.ptr[text.len - 1] == '/') text.len--;
    return text;
}

/* The url for an api_base. Weir's ends where /chat/completions begins; what LiteLLM adds by
 * itself (tail) is added here. */
static const char *url_of(struct import *im, const struct import_kind *kind, const char *base)
{
    struct bytes now = looked_up(im, base), text = bytes_of(base);
    bool slash = now.len && now.ptr[now.len - 1] == '/';
    struct bytes tail = bytes_of(kind->tail);
    struct bytes bare = without_slash(now);
    if (now.ptr == base) text = bare;        /* written out, not a variable */
    if (now.ptr == base && bytes_eq(tail, BYTES("/openai/v1"))) {
        const char *cut = strstr(base, "/openai");
        if (cut && cut < base + text.len) text.len = (size_t)(cut - base);
        bare = text;
    }
    bool has = bare.len >= tail.len &&
               bytes_eq((struct bytes){bare.ptr + bare.len - tail.len, tail.len}, tail);
    if (!tail.len || has) tail = (struct bytes){0};
    else if (slash && now.ptr != base) bytes_cut(&tail, 1);
    return import_format(im, "%.*s%.*s", (int)text.len, text.ptr, (int)tail.len, tail.ptr);
}

/* LiteLLM's variables are called by the prefix: HOSTED_VLLM_API_BASE. */
static const char *variable_of(struct import *im, const char *prefix, const char *rest)
{
    char name[80];
    int len = snprintf(name, sizeof name, "%.60s%s", prefix, rest);
    assert(len > 0 && (size_t)len < sizeof name);
    for (char *c = name; *c; c++) {
        if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 0x20);
        else if (*c == '-') *c = '_';
    }
    return import_format(im, "${%s}", name);
}

/* Is its address whole? A local server's is, though no key switches it on. */
static bool is_placed(const struct builtin_provider *known)
{
    return known->ready || bytes_eq(known->auth, BYTES("none"));
}

static bool read_address(struct import *im, struct entry *e)
{
    struct import_deployment *d = e->d;
    struct builtin_provider known;
    bool is_known = *d->known && builtin_provider_find(bytes_of(d->known), &known);
    const struct conf_node *n = param(e, "api_base");
    if (!n) n = param(e, "base_url");
    const char *base = n ? import_value(im, n) : NULL;
    if (n && !base) return false;
    if (!base && d->kind->own) {
        base = variable_of(im, d->kind->prefix, "_API_BASE");
        import_changed(im, d->at, "it has no api_base: its address is taken from %s", base);
    }
    if (!base && (!is_known || !is_placed(&known))) {
        import_left(im, d->at, "it needs an api_base: the address of %s is not known",
                    d->kind->prefix);
        return false;
    }
    if (!base) return true;
    const char *url = url_of(im, d->kind, base);
    struct bytes now = looked_up(im, base);
    struct url parsed;
    const char *why = NULL;
    if (now.ptr == base && url_parse(bytes_of(url), &parsed, &why) != NET_OK) {
        import_left(im, n ? n : d->at, "the deployment's address is none: %s", why);
        return false;
    }
    if (is_known && !d->kind->own && bytes_eq(bytes_of(url), known.base_url)) return true;
    d->url = url;
    if (is_known && !bytes_eq(known.dialect, BYTES("openai"))) {
        d->dialect = import_format(im, "%.*s", (int)known.dialect.len, known.dialect.ptr);
    }
    if (d->kind->auth) d->auth = d->kind->auth;
    return true;
}

/* Its key: said, or where LiteLLM looks for it. False where what is said cannot be written. */
static bool read_key(struct import *im, struct entry *e)
{
    struct import_deployment *d = e->d;
    const struct conf_node *n = param(e, "api_key");
    struct builtin_provider known;
    if (n) {
        d->key = import_value(im, n);
        if (d->key && conf_is_visible(bytes_of(d->key))) {
            if (!bytes_starts(bytes_of(d->key), BYTES("${"))) {
                import_changed(im, n, "the key stands in clear in the new file as well; "
                               "${NAME} or ${file:PATH} would keep it out");
            }
            return true;
        }
        if (d->key) import_left(im, n, "a key is one word of visible ASCII characters");
        return false;
    }
    d->key_implied = true;
    if (d->kind->env) {
        if (*d->kind->env) d->key = import_format(im, "${%s}", d->kind->env);
        return true;
    }
    if (*d->known && builtin_provider_find(bytes_of(d->known), &known) &&
        !bytes_eq(known.auth, BYTES("none"))) {
        struct bytes list = known.key_env;
        struct bytes first = bytes_cut(&list, bytes_find(list, ','));
        if (first.len) d->key = import_format(im, "${%.*s}", (int)first.len, first.ptr);
    }
    return true;
}

/* ---- which model ---- */

static const struct { const char *begin, *prefix; } guesses[] = {
    {"gpt-", "openai"}, {"chatgpt-", "openai"}, {"o1", "openai"}, {"o3", "openai"},
    {"o4", "openai"}, {"ft:", "openai"}, {"text-embedding-", "openai"},
    {"omni-moderation", "openai"}, {"text-moderation", "openai"}, {"davinci", "openai"},
    {"babbage", "openai"}, {"claude-", "anthropic"}, {"command", "cohere"},
    {"gemini-", "vertex_ai"}, {"mistral-", "mistral"}, {"deepseek-", "deepseek"},
};

/* The provider of a name without one, as LiteLLM guesses it. NULL: it would not. */
static const struct import_kind *guess(struct bytes model)
{
    for (size_t i = 0; i < COUNT(guesses); i++) {
        if (bytes_starts(model, bytes_of(guesses[i].begin))) {
            return import_kind_find(bytes_of(guesses[i].prefix));
        }
    }
    return NULL;
}

/* Split "azure/gpt-4o" into kind and model. False: noted. */
static bool read_model(struct import *im, struct entry *e)
{
    static const struct import_kind compatible = {.prefix = "openai_like", .known = "",
                                                  .own = true};
    struct import_deployment *d = e->d;
    const struct conf_node *n = param(e, "model"), *custom = param(e, "custom_llm_provider");
    char shown[CONF_QUOTE_MAX];
    if (!n || n->kind != CONF_SCALAR || !n->raw.len) {
        import_left(im, d->at, "it has no litellm_params.model");
        return false;
    }
    struct bytes model = bytes_trim(n->raw);
    struct bytes prefix = {model.ptr, bytes_find(model, '/')};
    if (custom && custom->kind == CONF_SCALAR) {
        d->kind = import_kind_find(custom->raw);
        if (!d->kind && param(e, "api_base")) d->kind = &compatible;
        if (prefix.len < model.len && bytes_eq(prefix, custom->raw)) {
            bytes_cut(&model, prefix.len + 1);
        }
    } else if (prefix.len < model.len && (d->kind = import_kind_find(prefix)) != NULL) {
        bytes_cut(&model, prefix.len + 1);
    } else {
        d->kind = guess(model);
        if (!d->kind && param(e, "api_base")) d->kind = &compatible;
        if (d->kind == &compatible) {
            import_changed(im, n, "%s names no provider known here: its api_base is taken to "
                           "speak OpenAI's API", conf_quote_text(model, shown));
        }
    }
    struct bytes responses = BYTES("responses/");
    if (bytes_starts(model, responses)) bytes_cut(&model, responses.len);
    d->model = model;
    d->wildcard = model.len && bytes_find(model, '*') < model.len;
    if (bytes_eq(model, BYTES("*")) && !d->kind) return true;
    if (!d->kind) {
        import_left(im, n, "no provider is known for %s: give it an api_base, or take one of "
                    "Weir's by name", conf_quote_text(model, shown));
        return false;
    }
    if (d->kind->refused) import_left(im, d->at, "%s: %s", d->kind->prefix, d->kind->refused);
    return !d->kind->refused;
}

/* huggingface/together/org/model: the router of today takes org/model:together. */
static void name_at_router(struct import *im, struct import_deployment *d)
{
    if (strcmp(d->kind->prefix, "huggingface") != 0 || d->url) return;
    struct bytes rest = d->model;
    struct bytes host = bytes_cut(&rest, bytes_find(rest, '/'));
    if (!rest.len || bytes_find((struct bytes){rest.ptr + 1, rest.len - 1}, '/') + 1 ==
        rest.len) return;
    bytes_cut(&rest, 1);
    d->model = bytes_of(import_format(im, "%.*s:%.*s", (int)rest.len, rest.ptr, (int)host.len,
                                      host.ptr));
}

/* Does this release serve what the model is for? */
static bool mode_is_fine(struct import *im, const struct entry *e)
{
    static const char *const fine[] = {"chat", "completion", "embedding", "responses",
                                       "moderation"};
    const struct conf_node *n = import_child(e->info, "mode");
    char shown[CONF_QUOTE_MAX];
    if (!n || n->kind != CONF_SCALAR) return true;
    for (size_t i = 0; i < COUNT(fine); i++) {
        if (bytes_eq(n->raw, bytes_of(fine[i]))) return true;
    }
    import_left(im, e->d->at, "its mode %s is not in this release of Weir",
                conf_quote_text(n->raw, shown));
    return false;
}

/* ---- the list ---- */

void import_left_rest(struct import *im, enum import_section section,
                      const struct conf_node *map, const char *const *taken)
{
    unsigned kind;
    uint64_t above;
    if (!map || map->kind != CONF_MAP) return;
    bool priced = section == IMPORT_PARAMS || section == IMPORT_INFO;
    for (const struct conf_node *n = map->first; n; n = n->next) {
        bool read = conf_is_null(n) || (priced && cost_of(n->key->raw, &kind, &above));
        for (size_t i = 0; taken[i] && !read; i++) {
            read = bytes_eq(n->key->raw, bytes_of(taken[i]));
        }
        if (!read) import_left(im, n, "%s", import_reason(section, n->key->raw));
    }
}

static void note_rest(struct import *im, const struct entry *e)
{
    static const char *const params[] = {
        "model", "api_base", "base_url", "api_key", "custom_llm_provider", "rpm", "tpm",
        "max_parallel_requests", "order", "weight", "timeout", "request_timeout",
        "region_name", "extra_headers", "headers", "organization", "litellm_credential_name",
        "api_version", NULL,
    };
    static const char *const infos[] = {
        "mode", "max_tokens", "max_input_tokens", "max_output_tokens", "base_model", "rpm",
        "tpm", "supports_function_calling", "supports_vision", "supports_response_schema",
        "supports_reasoning", NULL,
    };
    import_left_rest(im, IMPORT_PARAMS, e->params, params);
    import_left_rest(im, IMPORT_INFO, e->info, infos);
    const struct conf_node *version = param(e, "api_version");
    if (!version) return;
    bool azure = strcmp(e->d->known, "azure") == 0;
    import_left(im, version, azure ? "Weir speaks Azure's /openai/v1, which has no versions"
                                   : "Weir's provider takes none");
}

static const struct conf_node *credential(struct import *im, const struct conf_node *root,
                                          const struct conf_node *params)
{
    const struct conf_node *name = import_child(params, "litellm_credential_name");
    const struct conf_node *list = import_child(root, "credential_list");
    if (!name || name->kind != CONF_SCALAR) return NULL;
    for (const struct conf_node *n = list && list->kind == CONF_LIST ? list->first : NULL; n;
         n = n->next) {
        const struct conf_node *its = import_child(n, "credential_name");
        if (its && its->kind == CONF_SCALAR && bytes_eq(its->raw, name->raw)) {
            return import_child(n, "credential_values");
        }
    }
    import_left(im, name, "credential_list has none of this name");
    return NULL;
}

/* Read one entry into e->d. False: it is not taken, and noted. */
static bool read_entry(struct import *im, struct entry *e)
{
    struct import_deployment *d = e->d;
    const struct conf_node *name = import_child(d->at, "model_name");
    if (!e->params || e->params->kind != CONF_MAP) {
        import_left(im, d->at, "it has no litellm_params");
        return false;
    }
    if (!read_model(im, e)) return false;
    d->group = name && name->kind == CONF_SCALAR ? name->raw : d->model;
    if (!d->kind) {
        im->everything = d->at;
        return false;
    }
    d->known = d->kind->known ? d->kind->known : d->kind->prefix;
    if (!mode_is_fine(im, e) || !read_address(im, e) || !read_key(im, e)) return false;
    name_at_router(im, d);
    read_headers(im, e);
    read_wishes(im, e);
    read_limits(im, e);
    note_rest(im, e);
    d->keys[0] = d->key;
    d->key_count = d->key ? 1 : 0;
    return true;
}

void import_models(struct import *im, const struct conf_node *root)
{
    const struct conf_node *list = import_child(root, "model_list");
    if (!list) return;
    if (list->kind != CONF_LIST) {
        import_left(im, list, "it takes a list");
        return;
    }
    im->deployment = conf_heap_take(&im->r->scratch,
                                    (list->count + 1) * sizeof *im->deployment);
    if (!im->deployment) return;
    for (const struct conf_node *n = list->first; n; n = n->next) {
        struct import_deployment *d = &im->deployment[im->deployment_count];
        *d = (struct import_deployment){.at = n, .known = ""};
        struct entry e = {.params = import_child(n, "litellm_params"),
                          .info = import_child(n, "model_info"), .d = d};
        if (n->kind != CONF_MAP) {
            import_left(im, n, "an entry of model_list takes a map");
            continue;
        }
        if (e.info && e.info->kind != CONF_MAP) import_left(im, e.info, "it takes a map");
        e.credential = credential(im, root, e.params);
        if (read_entry(im, &e)) im->deployment_count++;
    }
}
