/* conf_provider.c - providers: configured ones, which inherit what is known of their name, or
 * else every known one whose key is in the environment. The catalogue then holds those that
 * speak a dialect of this release, in the order of the file. */
#include <arpa/inet.h>
#include <stdio.h>

#include "engine/conf.h"
#include "engine/conf_parts.h"
#include "engine/dialect.h"
#include "net/url.h"
#include "route/builtin.h"

enum { VARIABLE_MAX = 128, HEADER_VALUE_MAX = 8192 };

/* ---- keys ---- */

/* The first variable of a known provider's comma list that holds something; name gets it
 * (room VARIABLE_MAX). NULL where none does. */
static const char *key_from_env(const struct conf_reader *r, struct bytes list, char *name)
{
    while (list.len && r->env) {
        struct bytes one = bytes_trim(bytes_cut(&list, bytes_find(list, ',')));
        if (list.len) bytes_cut(&list, 1);
        assert(one.len < VARIABLE_MAX);
        memcpy(name, one.ptr, one.len);
        name[one.len] = '\0';
        const char *value = r->env(name);
        if (value && *value) return value;
    }
    return NULL;
}

static void add_key(struct conf_reader *r, struct catalog_provider *p, struct bytes key)
{
    assert(p->key_count < CATALOG_KEYS_MAX);
    p->key[p->key_count++] = conf_heap_text(r->heap, key);
}

void conf_read_keys(struct conf_reader *r, const struct conf_setting *s, struct conf_node *n,
                    void *base)
{
    struct catalog_provider *p = base;
    if (!conf_is_list(r, s, n, CATALOG_KEYS_MAX)) return;
    for (struct conf_node *item = n->first; item; item = item->next) {
        if (item->bad) continue;
        if (item->kind != CONF_SCALAR || !conf_is_visible(item->text)) {
            conf_error(r, item->at, "a key must be one word of visible ASCII characters%s",
                       item->expanded && !item->text.len ? "; this variable is empty" : "");
            continue;
        }
        bool repeated = false;
        for (uint8_t i = 0; i < p->key_count; i++) {
            repeated = repeated || bytes_eq(bytes_of(p->key[i]), item->text);
        }
        if (repeated) conf_error(r, item->at, "this key is in the list already");
        else add_key(r, p, item->text);
    }
}

/* ---- header fields ---- */

/* RFC 9110 section 5.6.2: token. */
bool conf_is_token(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = byte_lower(name.ptr[i]);
        bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                    (c && strchr("!#$%&'*+-.^_`|~", c));
        if (!fine) return false;
    }
    return name.len > 0;
}

/* RFC 9110 section 5.5: visible bytes, blanks, tabs and obs-text; no control bytes. */
static bool is_field_value(struct bytes value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7F) return false;
    }
    return value.len <= HEADER_VALUE_MAX;
}

/* Fields that are ours to write: framing, routing, credentials, and what ends at one hop. */
static bool is_reserved(struct bytes name)
{
    static const char *const reserved[] = {
        "authorization", "host", "content-length", "transfer-encoding", "connection",
        "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "expect",
    };
    for (size_t i = 0; i < COUNT(reserved); i++) {
        if (bytes_ieq(name, bytes_of(reserved[i]))) return true;
    }
    return false;
}

static void add_header(struct conf_reader *r, struct catalog_provider *p,
                       const struct conf_node *n)
{
    char shown[CONF_QUOTE_MAX];
    struct bytes name = n->key->raw;
    conf_quote_text(name, shown);
    if (!conf_is_token(name)) {
        conf_error(r, n->key->at, "%s is no name of a header field", shown);
    } else if (is_reserved(name)) {
        conf_error(r, n->key->at, "the header field %s is written by Weir itself", shown);
    } else if (n->kind != CONF_SCALAR || conf_is_null(n) || !is_field_value(n->text)) {
        conf_error(r, n->at, "the header field %s takes one line of text", shown);
    } else {
        for (uint8_t i = 0; i < p->header_count; i++) {
            if (!bytes_ieq(bytes_of(p->header_name[i]), name)) continue;
            conf_error(r, n->key->at, "the header field %s is given twice", shown);
            return;
        }
        assert(p->header_count < CATALOG_HEADERS_MAX);
        p->header_name[p->header_count] = conf_heap_text(r->heap, name);
        p->header_value[p->header_count++] = conf_heap_text(r->heap, bytes_trim(n->text));
    }
}

void conf_read_headers(struct conf_reader *r, const struct conf_setting *s,
                       struct conf_node *n, void *base)
{
    if (conf_is_null(n)) return;
    if (n->kind != CONF_MAP || n->count > CATALOG_HEADERS_MAX) {
        conf_value_wrong(r, s, n);
        return;
    }
    for (struct conf_node *field = n->first; field; field = field->next) {
        if (!field->bad) add_header(r, base, field);
    }
}

/* ---- one provider ---- */

static uint8_t dialect_of(struct bytes word)
{
    static const char *const words[] = {
        [DIALECT_OPENAI] = "openai", [DIALECT_RESPONSES] = "responses",
        [DIALECT_ANTHROPIC] = "anthropic", [DIALECT_GEMINI] = "gemini",
        [DIALECT_BEDROCK] = "bedrock", [DIALECT_COHERE] = "cohere",
    };
    for (size_t i = 0; i < COUNT(words); i++) {
        if (bytes_eq(word, bytes_of(words[i]))) return (uint8_t)i;
    }
    return DIALECT_OTHER;
}

/* The dialects of a comma list, as bits. */
static uint8_t dialects_of(struct bytes list)
{
    unsigned bits = 0;
    while (list.len) {
        bits |= 1u << dialect_of(bytes_trim(bytes_cut(&list, bytes_find(list, ','))));
        if (list.len) bytes_cut(&list, 1);
    }
    assert(bits < 1u << DIALECT_OTHER);
    return (uint8_t)bits;
}

static uint8_t thoughts_of(struct bytes field)
{
    if (bytes_eq(field, BYTES("reasoning_content"))) return CATALOG_THOUGHTS_CONTENT;
    if (bytes_eq(field, BYTES("reasoning"))) return CATALOG_THOUGHTS_REASONING;
    if (bytes_eq(field, BYTES("reasoning_details"))) return CATALOG_THOUGHTS_DETAILS;
    return CATALOG_THOUGHTS_NONE;
}

/* Is the address that of who made the dialect? Others imitate what it was. */
static bool is_official(const struct catalog_provider *p)
{
    static const char *const hosts[] = {
        [DIALECT_OPENAI] = "api.openai.com", [DIALECT_RESPONSES] = "api.openai.com",
        [DIALECT_ANTHROPIC] = "api.anthropic.com",
        [DIALECT_GEMINI] = "generativelanguage.googleapis.com",
        [DIALECT_COHERE] = "api.cohere.com",
    };
    const char *host = p->dialect < COUNT(hosts) ? hosts[p->dialect] : NULL;
    return host && bytes_ieq(bytes_of(p->host), bytes_of(host));
}

static bool is_loopback(const struct catalog_provider *p)
{
    struct bytes host = bytes_of(p->host);
    return bytes_ieq(host, BYTES("localhost")) || bytes_eq(host, BYTES("::1")) ||
           (p->host_is_ip && bytes_starts(host, BYTES("127.")));
}

/* Split the address. False when it is none. */
static bool take_url(struct conf_reader *r, struct catalog_provider *p)
{
    struct url url;
    const char *why;
    if (url_parse(bytes_of(p->url), &url, &why) != NET_OK) return false;
    p->host = conf_heap_text(r->heap, url.host);
    p->base_path = conf_heap_text(r->heap, url.path);
    p->port = url.port;
    p->tls = url.tls;
    struct in_addr ip;
    p->host_is_ip = url.ipv6 || inet_pton(AF_INET, p->host, &ip) == 1;
    p->official = is_official(p);
    return true;
}

/* How providers of a dialect take their key. */
static const char *usual_auth(uint8_t dialect)
{
    if (dialect == DIALECT_ANTHROPIC) return "x-api-key";
    return dialect == DIALECT_GEMINI ? "x-goog-api-key" : "bearer";
}

void conf_check_continues(struct conf_reader *r, const struct conf_node *entry,
                          unsigned continues, unsigned dialect)
{
    const struct conf_node *said = conf_child(entry, "continues");
    /* Those answer a turn of the model's with one of their own (net/translate/ask.c). */
    bool silent = dialect == DIALECT_RESPONSES || dialect == DIALECT_COHERE;
    bool any = continues == CONTINUES_INSTRUCT || continues == CONTINUES_NO;
    bool plain = continues == CONTINUES_PREFILL && !silent;
    assert(continues < CONTINUES);
    if (!said || said->bad || any || plain) return;
    if (dialect == DIALECT_OPENAI || dialect == DIALECT_OTHER) return;
    char shown[CONF_QUOTE_MAX];
    conf_error(r, said->at, "continues is %s, which the dialect %s has no words for; it takes "
               "%sinstruct or no", conf_quote(said, shown), dialect_words(dialect).name,
               silent ? "" : "prefill, ");
}

static void inherit(struct conf_reader *r, struct catalog_provider *p,
                    const struct builtin_provider *known)
{
    p->dialect = dialect_of(known->dialect);
    /* who can be asked with an account can be asked with a key too */
    bool signs = bytes_eq(known->auth, BYTES("service-account")) ||
                 bytes_eq(known->auth, BYTES("sigv4"));
    p->auth = signs ? usual_auth(p->dialect) : conf_heap_text(r->heap, known->auth);
    bool whole = bytes_find(known->base_url, '{') == known->base_url.len;
    if (whole) p->url = conf_heap_text(r->heap, known->base_url);
    if (whole) p->region = conf_heap_text(r->heap, known->region);
    p->quirks = known->quirks;
    p->continues = known->continues;
    p->thoughts = thoughts_of(known->thoughts);
    p->speaks = dialects_of(known->speaks);
}

/* Fill in the address of a known provider, or say what it lacks. */
static bool take_known_url(struct conf_reader *r, const struct builtin_provider *known,
                           struct catalog_provider *p, const char **missing)
{
    struct bytes address = known->base_url, end = BYTES("/openai/v1");
    bool dated = *p->api_version >= '0' && *p->api_version <= '9';
    bool azure = dated && address.len > end.len &&
                 bytes_eq((struct bytes){address.ptr + address.len - end.len, end.len}, end);
    if (azure) address.len -= sizeof "/v1" - 1;  /* versions by date are of the old form */
    p->url = conf_account_url(r, p, address, missing);
    return p->url != NULL;
}

/* Is a provider of the environment alone all there? */
static bool is_addressed(struct conf_reader *r, const struct builtin_provider *known,
                         struct catalog_provider *p, const char **missing)
{
    *missing = "an entry in the configuration file";
    if (bytes_eq(known->auth, BYTES("none"))) return false;
    return (p->url || take_known_url(r, known, p, missing)) && take_url(r, p);
}

/* A provider from the environment alone. False where it cannot be one: no key, or a note
 * says why not. */
static bool from_env(struct conf_reader *r, const struct builtin_provider *known,
                     struct catalog_provider *p)
{
    static const struct conf_mark nowhere = {0, 0};
    char name[VARIABLE_MAX];
    const char *missing;
    const char *key = key_from_env(r, known->key_env, name);
    if (!key) return false;
    conf_defaults(r, "providers[].", p);
    p->name = conf_heap_text(r->heap, known->name);
    inherit(r, p, known);
    if (p->dialect == DIALECT_OTHER) {
        conf_warning(r, nowhere, "%s is set, but the dialect of %s is not in this release; "
                     "it is left out", name, p->name);
    } else if (!is_addressed(r, known, p, &missing)) {
        conf_warning(r, nowhere, "%s is set, but %s needs %s; it is left out", name, p->name,
                     missing);
    } else if (!conf_is_visible(bytes_of(key))) {
        conf_warning(r, nowhere, "%s is not one word of visible ASCII characters; %s is left "
                     "out", name, p->name);
    } else {
        add_key(r, p, bytes_of(key));
        conf_account_read(r, nowhere, p, true);
        return true;
    }
    return false;
}

static const char *known_nearest(struct conf_reader *r, struct bytes name)
{
    struct bytes at = builtin_providers(), found = {0};
    struct builtin_provider known;
    unsigned best = conf_distance_max(name) + 1;
    while (builtin_provider_next(&at, &known)) {
        unsigned d = conf_distance(name, known.name, best - 1);
        if (d >= best) continue;
        best = d;
        found = known.name;
    }
    return found.len ? conf_heap_text(&r->scratch, found) : NULL;
}

/* What is still open after the entry's own settings: address and key. A local server's
 * usual auth is none; a key given or found for it is sent as a bearer token. */
static void complete(struct conf_reader *r, struct conf_node *item, struct catalog_provider *p,
                     const struct builtin_provider *known)
{
    const struct conf_node *name_node = conf_child(item, "name");
    struct conf_mark at = name_node->at;
    char hint[CONF_QUOTE_MAX], shown[CONF_QUOTE_MAX], name[VARIABLE_MAX];
    conf_quote(name_node, shown);
    if (known && !conf_child(item, "dialect") && p->dialect == DIALECT_OTHER) {
        conf_error(r, at, "the dialect '%.*s' of the provider %s is not in this release",
                   (int)known->dialect.len, known->dialect.ptr, shown);
        return;
    }
    conf_account_credentials(r, at, p, known != NULL);
    const char *missing = NULL;
    if (!p->url && conf_child(item, "url")) return;   /* reported */
    if (!p->url && known && !take_known_url(r, known, p, &missing)) {
        conf_error(r, at, "the provider %s needs %s", shown, missing);
        return;
    }
    if (!p->url) {
        const char *near = known_nearest(r, bytes_of(p->name));
        conf_error(r, at, "the provider %s is not one of the known ones, so it needs a url%s",
                   shown, conf_hint(near, hint));
        return;
    }
    bool none = strcmp(p->auth, "none") == 0;
    bool silent = none && conf_child(item, "auth");   /* none is what the file says */
    struct conf_node *keys = conf_child(item, "keys");
    if (take_url(r, p) && none && !silent && p->key_count) p->auth = "bearer";
    bool keyed = (keys && !conf_is_null(keys)) || silent || !known || p->signs;
    const char *key = keyed ? NULL : key_from_env(r, known->key_env, name);
    if (!key) conf_account_read(r, at, p, known != NULL);
    if (keyed || p->signs) return;
    if (key) conf_account_read(r, at, p, false);
    if (key && conf_is_visible(bytes_of(key))) {
        add_key(r, p, bytes_of(key));
        if (none) p->auth = "bearer";   /* a local server that was given a key after all */
    } else if (key) {
        conf_error(r, at, "%s is not one word of visible ASCII characters", name);
    } else if (!none && !is_loopback(p)) {
        struct bytes list = known->key_env;
        struct bytes first = bytes_cut(&list, bytes_find(list, ','));
        if (!first.len) return;
        conf_warning(r, at, "the provider %s has no key: set %.*s, or keys", shown,
                     (int)first.len, first.ptr);
    }
}

/* Read an entry whose name is fine. */
static void read_entry(struct conf_reader *r, struct conf_node *item,
                       struct catalog_provider *p)
{
    struct builtin_provider known;
    struct bytes name = conf_child(item, "name")->text;
    bool is_known = builtin_provider_find(name, &known);
    conf_defaults(r, "providers[].", p);
    if (is_known) inherit(r, p, &known);
    struct conf_node *dialect = conf_child(item, "dialect");
    bool other = !is_known || (dialect && dialect->kind == CONF_SCALAR &&
                               !bytes_eq(dialect->text, known.dialect));
    if (dialect) p->dialect = DIALECT_OPENAI;   /* or reported */
    struct conf_node *url = conf_child(item, "url");
    if (url) p->url = NULL;      /* or reported */
    if (url) p->region = "";     /* who is behind another address computes elsewhere, */
    if (url) p->speaks = 0;      /* and may have less */
    if (other) p->continues = CONTINUES_UNSAID;
    conf_walk(r, item, "providers[].", p);
    conf_check_continues(r, item, p->continues, p->dialect);
    /* what it inherits belongs to the dialect it inherits */
    if (other && !conf_child(item, "auth")) p->auth = usual_auth(p->dialect);
    if (p->name) complete(r, item, p, is_known ? &known : NULL);
}

/* Is there a name, and is it new? */
static bool name_is_fine(struct conf_reader *r, struct conf_node *item)
{
    struct conf_node *name = conf_child(item, "name");
    if (!name) {
        conf_error(r, item->at, "a provider needs a name");
        return false;
    }
    if (name->kind != CONF_SCALAR || name->bad) return true;   /* reported by the walk */
    for (struct conf_node *other = r->providers->first; other != item; other = other->next) {
        struct conf_node *its = other->kind == CONF_MAP ? conf_child(other, "name") : NULL;
        if (!its || its->kind != CONF_SCALAR || !bytes_eq(its->text, name->text)) continue;
        char shown[CONF_QUOTE_MAX];
        conf_error(r, name->at, "the provider %s is given twice, first on line %u",
                   conf_quote(name, shown), its->at.line);
        return false;
    }
    return true;
}

static void read_list(struct conf_reader *r, const struct conf_setting *s)
{
    struct catalog *c = &r->conf->catalog;
    struct conf_node *list = r->providers;
    if (!conf_is_list(r, s, list, CATALOG_PROVIDERS_MAX) || list->count == 0) return;
    c->provider = conf_heap_take(r->heap, list->count * sizeof *c->provider);
    if (!c->provider) return;
    for (struct conf_node *item = list->first; item; item = item->next) {
        if (item->kind != CONF_MAP) {
            char shown[CONF_QUOTE_MAX];
            if (!item->bad) {
                conf_error(r, item->at, "an entry of providers is %s; it takes a map",
                           conf_quote(item, shown));
            }
            continue;
        }
        struct catalog_provider p = {0};
        bool fine = name_is_fine(r, item);
        uint32_t before = r->errors.count;
        if (conf_child(item, "name")) read_entry(r, item, &p);
        else conf_walk(r, item, "providers[].", &p);
        if (fine && p.name && r->errors.count == before) c->provider[c->provider_count++] = p;
    }
}

bool conf_is_bad_entry(const struct conf_reader *r, struct bytes name)
{
    const struct conf_node *list = r->providers;
    if (!list || conf_is_null(list)) return false;
    if (list->kind != CONF_LIST || list->bad) return true;
    if (catalog_provider_find(&r->conf->catalog, name) >= 0) return false;
    for (const struct conf_node *n = list->first; n; n = n->next) {
        const struct conf_node *its = n->kind == CONF_MAP ? conf_child(n, "name") : NULL;
        if (its && its->kind == CONF_SCALAR && bytes_eq(its->text, name)) return true;
    }
    return false;
}

bool conf_has_bad_entry(const struct conf_reader *r)
{
    const struct conf_node *list = r->providers;
    if (!list || conf_is_null(list)) return false;
    return list->kind != CONF_LIST || list->bad ||
           list->count != r->conf->catalog.provider_count;
}

void conf_read_providers(struct conf_reader *r)
{
    struct catalog *c = &r->conf->catalog;
    size_t count;
    const struct conf_setting *s = conf_settings(&count);
    while (s->type != CONF_PROVIDERS) s++;
    if (r->providers && !conf_is_null(r->providers)) {
        read_list(r, s);
        return;
    }
    c->provider = conf_heap_take(r->heap, CATALOG_PROVIDERS_MAX * sizeof *c->provider);
    if (!c->provider) return;
    struct bytes at = builtin_providers();
    struct builtin_provider known;
    while (builtin_provider_next(&at, &known) && c->provider_count < CATALOG_PROVIDERS_MAX) {
        struct catalog_provider p = {0};
        if (from_env(r, &known, &p)) c->provider[c->provider_count++] = p;
    }
    assert(c->provider_count <= CATALOG_PROVIDERS_MAX);
}
