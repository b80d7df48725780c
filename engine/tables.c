/* tables.c - see tables.h. */
#include "engine/tables.h"
#include "engine/conf.h"
#include "engine/fixed.h"
#include "engine/host.h"
#include "net/http.h"

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

/* Learned state goes over by provider name and key text, then by model id. */
static void carry(struct tables *t, const struct tables *older)
{
    const struct catalog *c = t->catalog, *oc = older->catalog;
    for (uint32_t p = 0; p < c->provider_count; p++) {
        int32_t op = catalog_provider_find(oc, bytes_of(c->provider[p].name));
        if (op < 0) continue;
        carry_keys(t->key_word[p], &c->provider[p], older->key_word[op], &oc->provider[op]);
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
    char *one = malloc(ONE_MAX);
    for (int pass = 0; one && pass < 2; pass++) {
        if (pass == 1) t->fixed_text = malloc(t->fixed_bytes + 1);
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
    if (one) explicit_bzero(one, ONE_MAX);
    free(one);
    return t->fixed_text != NULL;
}

struct tables *tables_make(struct conf *conf, struct hosts *hosts, const struct tables *older)
{
    struct tables *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->catalog = &conf->catalog;
    t->version = older ? older->version + 1 : 1;
    size_t words = (size_t)(t->catalog->model_count + 1) * CATALOG_KEYS_MAX;
    t->model_word = calloc(words, sizeof *t->model_word);
    bool ok = t->model_word != NULL;
    for (uint32_t p = 0; ok && p < t->catalog->provider_count; p++) {
        const struct catalog_provider *cp = &t->catalog->provider[p];
        int32_t idx = hosts_find(hosts, cp->host, cp->port, cp->tls, cp->host_is_ip);
        ok = idx >= 0;
        if (ok) t->host[p] = (uint16_t)idx;
    }
    if (ok) ok = fix_lines(t);
    if (!ok) {
        free(t->model_word);
        free(t);
        return NULL;
    }
    if (older) carry(t, older);
    place_stats(t, older);
    t->conf = conf;
    return t;
}

void tables_free(struct tables *t)
{
    conf_free(t->conf);
    explicit_bzero(t->fixed_text, t->fixed_bytes);
    free(t->fixed_text);
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
