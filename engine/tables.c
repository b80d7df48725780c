/* tables.c - see tables.h. */
#include "engine/tables.h"
#include "engine/cert.h"
#include "engine/clock.h"
#include "engine/conf.h"
#include "engine/fixed.h"
#include "engine/host.h"
#include "engine/keyring.h"
#include "engine/sticky.h"
#include "engine/vault.h"
#include "net/http.h"
#include "route/lesson.h"
#include "route/score.h"

#include <stdlib.h>

static void carry_word(breaker_word *to, const breaker_word *from)
{
    atomic_store_explicit(to, atomic_load_explicit(from, memory_order_relaxed),
                          memory_order_relaxed);
}

/* One word per key goes over by the key's text; a provider without keys has one word. */
static void carry_keys(breaker_word *to, const struct catalog_provider *a,
                       const breaker_word *from, const struct catalog_provider *b)
{
    if (a->key_count == 0 && b->key_count == 0) carry_word(to, from);
    for (uint32_t k = 0; k < a->key_count; k++) {
        for (uint32_t old = 0; old < b->key_count; old++) {
            if (strcmp(a->key[k], b->key[old]) == 0) carry_word(&to[k], &from[old]);
        }
    }
}

static bool same_account(const struct catalog_provider *a, const struct catalog_provider *b)
{
    return a->signs == SIGNS_TOKEN && b->signs == SIGNS_TOKEN &&
           strcmp(a->token_email, b->token_email) == 0 &&
           strcmp(a->token_key, b->token_key) == 0 &&
           strcmp(a->token_url, b->token_url) == 0;
}

/* Learned state goes over by provider name and key text, then by model id. */
static void carry(struct tables *t, const struct tables *older)
{
    const struct catalog *c = t->catalog, *oc = older->catalog;
    for (uint32_t p = 0; p < c->provider_count; p++) {
        int32_t op = catalog_provider_find(oc, bytes_of(c->provider[p].name));
        if (op < 0) continue;
        carry_keys(t->key_word[p], &c->provider[p], older->key_word[op], &oc->provider[op]);
        if (!same_account(&c->provider[p], &oc->provider[op])) continue;
        atomic_store_explicit(&t->token[p], atomic_load_explicit(&older->token[op],
                              memory_order_relaxed), memory_order_relaxed);
    }
    for (uint32_t m = 0; m < c->model_count; m++) {
        int32_t om = catalog_find(oc, bytes_of(c->model[m].id));
        if (om < 0) continue;
        const struct catalog_provider *a = &c->provider[c->model[m].provider];
        const struct catalog_provider *b = &oc->provider[oc->model[om].provider];
        carry_keys(&t->model_word[m * CATALOG_KEYS_MAX], a,
                   &older->model_word[(uint32_t)om * CATALOG_KEYS_MAX], b);
    }
}

/* Counters outlive a reload: a provider keeps its place by name, a new one takes the next; when
 * all are given away, the last is shared. */
static void place_stats(struct tables *t, const struct tables *older)
{
    t->stat_count = older ? older->stat_count : 0;
    for (uint32_t p = 0; p < t->catalog->provider_count; p++) {
        struct bytes name = bytes_of(t->catalog->provider[p].name);
        int32_t was = older ? catalog_provider_find(older->catalog, name) : -1;
        if (was >= 0) t->stat[p] = older->stat[was];
        else if (t->stat_count < CATALOG_PROVIDERS_MAX) t->stat[p] = t->stat_count++;
        else t->stat[p] = CATALOG_PROVIDERS_MAX - 1;
    }
}

/* Compose the fixed lines of all providers and keys: once to measure, once to keep. */
static bool fix_lines(struct tables *t)
{
    enum { ONE_MAX = 65536 };
    char *one = vault_take(ONE_MAX);
    for (int pass = 0; one && pass < 2; pass++) {
        if (pass == 1) t->fixed_text = vault_take(t->fixed_bytes + 1);
        if (pass == 1 && !t->fixed_text) break;
        size_t at = 0;
        for (uint32_t p = 0; p < t->catalog->provider_count; p++) {
            const struct catalog_provider *cp = &t->catalog->provider[p];
            for (unsigned key = 0; key < cp->key_count || key == 0; key++) {
                struct http_out o = {.out = one, .room = ONE_MAX};
                fixed_put(&o, cp, key);
                assert(!o.full);  /* conf bounds names, values and their count */
                if (pass == 1) memcpy(t->fixed_text + at, one, o.len);
                t->fixed[p][key] = (struct bytes){t->fixed_text + at, o.len};
                at += o.len;
            }
        }
        t->fixed_bytes = at;
    }
    vault_give(one, ONE_MAX);
    return t->fixed_text != NULL;
}

/* The quota of each key; a provider without keys has one place. */
static bool find_quotas(struct tables *t, const struct tables *older)
{
    t->keyring = older ? keyring_share(older->keyring) : keyring_make();
    bool ok = t->keyring != NULL;
    for (uint32_t p = 0; ok && p < t->catalog->provider_count; p++) {
        const struct catalog_provider *cp = &t->catalog->provider[p];
        for (unsigned key = 0; ok && (key < cp->key_count || key == 0); key++) {
            const char *text = cp->key_count ? cp->key[key] : "";
            t->quota[p][key] = keyring_find(t->keyring, cp->name, text);
            ok = t->quota[p][key] != NULL;
        }
    }
    return ok;
}

struct tables *tables_make(struct conf *conf, struct hosts *hosts, const struct tables *older)
{
    struct tables *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->catalog = &conf->catalog;
    t->version = older ? older->version + 1 : 1;
    size_t words = (size_t)(t->catalog->model_count + 1) * CATALOG_KEYS_MAX;
    t->model_word = calloc(words, sizeof *t->model_word);
    t->model_state = calloc((size_t)t->catalog->model_count + 1, sizeof *t->model_state);
    t->scale = calloc(1, sizeof *t->scale);
    t->model_tag = calloc((size_t)t->catalog->model_count + 1, sizeof *t->model_tag);
    bool ok = t->model_word && t->model_state && t->scale && t->model_tag;
    for (uint32_t p = 0; ok && p < t->catalog->provider_count; p++) {
        const struct catalog_provider *cp = &t->catalog->provider[p];
        int32_t idx = hosts_find(hosts, cp->host, cp->port, cp->tls, cp->host_is_ip);
        ok = idx >= 0;
        if (ok) t->host[p] = (uint16_t)idx;
    }
    if (ok) ok = fix_lines(t);
    if (ok) ok = find_quotas(t, older);
    if (!ok) {
        free(t->scale);
        free(t->model_state);
        if (t->keyring) keyring_drop(t->keyring);
        free(t->model_tag);
        free(t->model_word);
        free(t);
        return NULL;
    }
    for (uint32_t m = 0; m < t->catalog->model_count; m++) {
        t->model_tag[m] = sticky_model(bytes_of(t->catalog->model[m].id));
    }
    if (older) carry(t, older);
    lesson_scale_make(t->catalog, t->scale);
    place_stats(t, older);
    t->conf = conf;
    return t;
}

bool tables_score(struct tables *t, const struct tables *older, uint32_t cores)
{
    enum { OTHERS = 2 };  /* the admin core and the worker ask too */
    assert(!t->scores && cores + OTHERS <= TABLES_CORES_MAX);
    struct score_setup setup = {
        .catalog = t->catalog, .auto_glob = t->conf->auto_globs,
        .auto_count = t->conf->auto_count, .views = cores + OTHERS,
        .key_word = &t->key_word[0][0], .model_word = t->model_word,
        .now_unix_s = clock_unix_ns() / 1000000000u,
    };
    t->scores = score_make(&setup);
    if (t->scores && older && older->scores) score_carry(t->scores, older->scores);
    return t->scores != NULL;
}

/* --- listeners --- */

static struct cert *cert_in(const struct tables *t, const struct tls_pair *pair)
{
    for (uint32_t i = 0; t && i < t->cert_count; i++) {
        if (cert_is(t->cert[i], pair)) return t->cert[i];
    }
    return NULL;
}

/* Name a certificate in t, where it is not named already. */
static struct cert *cert_add(struct tables *t, struct cert *c, bool fresh)
{
    for (uint32_t i = 0; i < t->cert_count; i++) {
        if (t->cert[i] == c) return c;
    }
    assert(t->cert_count < TABLES_LISTEN_MAX + 1);
    return t->cert[t->cert_count++] = fresh ? c : cert_name(c);
}

/* Find the certificate of a listener that has had one, or is to have its first. */
static bool certify(struct tables *t, const struct tables *older, struct tls_pair **pair,
                    uint32_t cores, struct cert **out)
{
    if (!*pair) {
        if (*out) *out = cert_add(t, *out, false);
        return true;
    }
    struct cert *c = cert_in(t, *pair);
    if (!c) c = cert_in(older, *pair);
    bool fresh = !c;
    if (fresh) c = cert_make(pair, cores + 1);  /* the admin core has one too */
    if (c) *out = cert_add(t, c, fresh);
    return c != NULL;
}

/* What conf says of the listener that runs at place idx: addresses may move in the list. */
static struct conf_listen *conf_of(struct conf *conf, const struct tables_listen *l,
                                   uint32_t idx)
{
    if (idx < conf->listen_count && strcmp(conf->listen[idx].address, l->address) == 0) {
        return &conf->listen[idx];
    }
    for (uint32_t i = 0; i < conf->listen_count; i++) {
        if (strcmp(conf->listen[i].address, l->address) == 0) return &conf->listen[i];
    }
    return NULL;
}

static void start_listen(struct tables_listen *out, const struct conf_listen *in)
{
    static_assert(sizeof out->address == sizeof in->address, "an address fits");
    memcpy(out->address, in->address, sizeof out->address);
}

bool tables_listen(struct tables *t, const struct tables *older, uint32_t cores)
{
    static_assert((int)TABLES_LISTEN_MAX == (int)CONF_LISTEN_MAX, "every listener has a place");
    struct conf *conf = t->conf;
    t->listen_count = older ? older->listen_count : conf->listen_count;
    for (uint32_t i = 0; i < t->listen_count; i++) {
        if (older) t->listen[i] = older->listen[i];
        else start_listen(&t->listen[i], &conf->listen[i]);
    }
    if (older) t->admin = older->admin;
    else start_listen(&t->admin, &conf->admin);
    struct tls_pair *none = NULL;
    bool good = true;
    for (uint32_t i = 0; i < t->listen_count && good; i++) {
        struct conf_listen *from = conf_of(conf, &t->listen[i], i);
        bool plain = older && !t->listen[i].cert;   /* TLS or not is settled at start */
        struct tls_pair **pair = from && !plain ? &from->tls.pair : &none;
        good = certify(t, older, pair, cores, &t->listen[i].cert);
    }
    bool plain = older && !t->admin.cert;
    struct tls_pair **pair = plain ? &none : &conf->admin.tls.pair;
    return good && certify(t, older, pair, cores, &t->admin.cert);
}

uint64_t tables_held(const struct tables *t)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < t->cert_count; i++) sum += cert_held(t->cert[i]);
    return sum;
}

void tables_free(struct tables *t)
{
    for (uint32_t i = 0; i < t->cert_count; i++) cert_drop(t->cert[i]);
    conf_free(t->conf);
    keyring_drop(t->keyring);
    vault_give(t->fixed_text, t->fixed_bytes + 1);
    score_close(t->scores);
    free(t->scale);
    free(t->model_state);
    free(t->model_tag);
    free(t->model_word);
    free(t);
}

uint64_t tables_pins(const struct tables *t, uint32_t core_count)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < core_count; i++) {
        sum += atomic_load_explicit(&t->pins[i], memory_order_acquire);
    }
    return sum;
}
