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

enum { TABLES_CORES_MAX = 264 };  /* cores, admin core, worker, store thread */

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
    struct tables *older;                   /* list of versions not yet freed */
    _Atomic uint64_t replaced_ns;           /* when a newer one was published */
    _Atomic uint32_t pins[TABLES_CORES_MAX];   /* exchanges per core */
};

/* Build a version from conf (takes it on success), entering provider hosts and carrying breaker
 * words over from older (may be NULL). NULL: out of memory or too many hosts. */
struct tables *tables_make(struct conf *conf, struct hosts *hosts, const struct tables *older);
/* Free a version nobody pins. takes t. */
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
