/* route_kit.h - catalogues made from a seed, with scores on them, for tests of routing. */
#ifndef TESTS_ROUTE_KIT_H
#define TESTS_ROUTE_KIT_H

#include "route/catalog.h"
#include "route/plan.h"
#include "route/score.h"

enum { KIT_PROVIDERS = 6, KIT_MODELS_MAX = 600, KIT_NOW_MS = 1000000, KIT_NOW_S = 1000 };

struct kit {
    struct catalog_provider provider[KIT_PROVIDERS];
    char name[KIT_PROVIDERS][4];
    struct catalog_model model[KIT_MODELS_MAX];
    char id[KIT_MODELS_MAX][24];
    struct catalog c;
    breaker_word key_word[KIT_PROVIDERS * CATALOG_KEYS_MAX];
    breaker_word model_word[KIT_MODELS_MAX * CATALOG_KEYS_MAX];
    struct bytes glob[2];
    uint32_t glob_count;
    struct scores *s;
    struct score *v;
    uint64_t seed;
};

/* The next number of a seed, below n. */
uint32_t kit_draw(struct kit *k, uint32_t n);
/* Fill providers and count models by the seed, without scores: prices, quality, context,
 * abilities, efforts; about a third of the models share their bare name with another
 * provider's. Change what is to be different, then call kit_score(). Gives NULL never. */
struct kit *kit_make(uint64_t seed, uint32_t count);
/* Index the catalogue and make its scores. */
void kit_score(struct kit *k);
/* Let the scores learn of some models, and let some breakers be open. */
void kit_learn(struct kit *k);
/* Free all. */
void kit_free(struct kit *k);
/* A question for `auto` in the middle of everything: no filters. */
struct plan_ask kit_ask(struct kit *k, const char *name);

#endif
