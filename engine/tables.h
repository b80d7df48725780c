/* tables.h - what a configuration means to the cores: one immutable version, swapped by
 * pointer. Made by the main thread, adopted by each core at the end of a turn; an exchange pins
 * the version it began with by a per-core count, and a version is freed when a newer one is
 * adopted everywhere and no pin is left. Breaker words are carried over by name. */
#ifndef ENGINE_TABLES_H
#define ENGINE_TABLES_H

#include "route/breaker.h"
#include "route/catalog.h"

struct conf;
struct hosts;
struct lesson_scale;
struct scores;
struct keyring;
struct quota;
struct token;

enum {
    TABLES_CORES_MAX = 264,       /* cores, admin core, worker, store thread, tokens */
    TABLES_LISTEN_MAX = 8,
};

struct cert;

struct tables_listen {            /* a listener as it runs: carried from version to version */
    char address[256];            /* as configured at start */
    struct cert *cert;            /* one of the version's; NULL: plain, for ever */
};

struct tables {
    uint64_t version;
    struct conf *conf;
    const struct catalog *catalog;          /* conf's */
    uint16_t host[CATALOG_PROVIDERS_MAX];   /* index into engine->hosts, per provider */
    uint16_t stat[CATALOG_PROVIDERS_MAX];   /* place of its counters, kept by name */
    uint16_t stat_count;                    /* places given away so far */
    struct bytes fixed[CATALOG_PROVIDERS_MAX][CATALOG_KEYS_MAX];   /* lines of every request to
                                               it with this key (fixed.h); into fixed_text */
    char *fixed_text;                       /* holds keys: wiped when freed */
    size_t fixed_bytes;
    breaker_word key_word[CATALOG_PROVIDERS_MAX][CATALOG_KEYS_MAX];
    breaker_word *model_word;               /* at model * CATALOG_KEYS_MAX + key */
    struct scores *scores;                  /* a view per core, admin core and worker, by
                                               their numbers; NULL: nothing is learned */
    _Atomic uint8_t provider_state[CATALOG_PROVIDERS_MAX];   /* enum rotation: rota.h */
    _Atomic uint8_t *model_state;           /* of each model by itself */
    struct keyring *keyring;                /* shared by all versions */
    struct quota *quota[CATALOG_PROVIDERS_MAX][CATALOG_KEYS_MAX];   /* the keyring's */
    _Atomic(struct token *) token[CATALOG_PROVIDERS_MAX];   /* of service accounts; token.h */
    struct lesson_scale *scale;             /* what learn.c measures models by */
    uint32_t *model_tag;                    /* per model: what sticky.h knows it by */
    struct tables_listen listen[TABLES_LISTEN_MAX], admin;
    uint32_t listen_count;
    struct cert *cert[TABLES_LISTEN_MAX + 1];   /* all in use, each once: named by it */
    uint32_t cert_count;
    struct tables *older;                   /* list of versions not yet freed */
    _Atomic uint64_t replaced_ns;           /* when a newer one was published */
    _Atomic uint32_t pins[TABLES_CORES_MAX];   /* exchanges per core */
};

/* Build a version from conf (takes it on success), entering provider hosts and carrying breaker
 * words over from older (may be NULL). NULL: out of memory or too many hosts. */
struct tables *tables_make(struct conf *conf, struct hosts *hosts, const struct tables *older);
/* Make the version's scores for so many cores, with what older learned (NULL: nothing). False:
 * out of memory; t is then to be freed. */
MUST_USE bool tables_score(struct tables *t, const struct tables *older, uint32_t cores);
/* Put conf's certificates into service for the listeners, each with a context for every one of
 * cores: those of conf without older; else those that run, each with the certificate that conf
 * has for its address, and the one it had where conf has none. What is the same as before stays
 * in service with its tickets. False: out of memory; t is then to be freed. */
MUST_USE bool tables_listen(struct tables *t, const struct tables *older, uint32_t cores);
/* Connections that keep a version from being freed: their certificate would go with it. */
uint64_t tables_held(const struct tables *t);
/* Free a version that nobody pins and nothing is held of. takes t. */
void tables_free(struct tables *t);
/* Exchanges that pin it. */
uint64_t tables_pins(const struct tables *t, uint32_t core_count);
/* Pin and unpin for an exchange of core idx (that core's thread). */
static inline void tables_pin(struct tables *t, uint32_t idx)
{
    uint32_t now = atomic_load_explicit(&t->pins[idx], memory_order_relaxed);
    atomic_store_explicit(&t->pins[idx], now + 1, memory_order_release);
}
/* The other way. */
static inline void tables_unpin(struct tables *t, uint32_t idx)
{
    uint32_t now = atomic_load_explicit(&t->pins[idx], memory_order_relaxed);
    assert(now > 0);
    atomic_store_explicit(&t->pins[idx], now - 1, memory_order_release);
}

#endif
