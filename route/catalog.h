/* catalog.h - the immutable table of providers, models and aliases that requests are planned
 * from. Built on the heap by the main thread (engine/tables.c) from the compiled-in lists and
 * the configuration, published to the cores, never changed afterwards. */
#ifndef ROUTE_CATALOG_H
#define ROUTE_CATALOG_H

#include "route/price.h"
#include "route/quality.h"

enum {
    CATALOG_PROVIDERS_MAX = 128, CATALOG_KEYS_MAX = 16, CATALOG_HEADERS_MAX = 16,
    CATALOG_NAME_MAX = 96,       /* bytes of "provider/model" */
};

enum dialect {
    DIALECT_OPENAI, DIALECT_RESPONSES, DIALECT_ANTHROPIC, DIALECT_GEMINI, DIALECT_BEDROCK,
    DIALECT_COHERE, DIALECT_OTHER
};

/* Where an answer of OpenAI's dialect has its thoughts. */
enum catalog_thoughts {
    CATALOG_THOUGHTS_NONE, CATALOG_THOUGHTS_CONTENT,  /* not known; reasoning_content */
    CATALOG_THOUGHTS_REASONING, CATALOG_THOUGHTS_DETAILS,   /* reasoning; reasoning_details */
};

enum model_ability {             /* bits */
    ABILITY_TOOLS = 1, ABILITY_VISION = 2, ABILITY_JSON_SCHEMA = 4, ABILITY_REASONING = 8,
    ABILITIES_ALL = 15,
};

/* What a request must be written like for one provider or model: bits, by the places of words
 * in quirk.def. */
enum catalog_quirk_at {
#define X(name, word) QUIRK_AT_##name,
#define Y X
#include "route/quirk.def"
#undef X
    QUIRKS
};
enum catalog_quirk {
#define X(name, word) QUIRK_##name = 1 << QUIRK_AT_##name,
#include "route/quirk.def"
#undef X
#undef Y
    QUIRKS_ASK = (1 << QUIRK_AT_NO_MAX) - 1,     /* those that enum ask_quirk has */
};
extern const char catalog_quirk_text[];
/* All words, "a|b|c", in the order of the bits. */
#define CATALOG_QUIRK_WORDS (catalog_quirk_text + 1)

/* How a request is given its sender's name, where that is more than a fixed line. */
enum catalog_signs { SIGNS_NOT, SIGNS_TOKEN /* a service account's, fetched */, SIGNS_AWS };

/* How a request's path is made, where that is not as its dialect has it. */
enum catalog_form { FORM_USUAL, FORM_DEPLOYMENT /* Azure, old */,
                    FORM_VERTEX /* Claude there */ };

/* How a model is made to go on with an answer that another one began. The same numbers as enum
 * ask_continues (net/translate/base.h), whose _NOT is _UNSAID here. _PREFIX to _FINAL are said
 * in chat's words, so such a provider is to be asked in that dialect. */
enum catalog_continues {
    CONTINUES_UNSAID,            /* providers: it cannot */
    CONTINUES_PREFILL,           /* its turn comes last, and is gone on with */
    CONTINUES_PREFIX,            /* the same, marked "prefix": true */
    CONTINUES_PREFIX_ECHO,       /* the same, and the answer begins with what was given */
    CONTINUES_PARTIAL,           /* marked "partial": true */
    CONTINUES_FINAL,             /* continue_final_message and no add_generation_prompt */
    CONTINUES_INSTRUCT,          /* a user's turn behind it asks it to */
    CONTINUES_NO,                /* a model: not, whatever its provider's others do */
    CONTINUES
};

struct catalog_provider {        /* texts are NUL-ended and live as long as the catalogue */
    const char *name;
    const char *url;             /* as configured */
    const char *host;            /* without brackets */
    const char *base_path;       /* "" or "/v1" */
    const char *also;            /* comma list of other names it is known by; NULL or "" none */
    const char *auth;            /* "bearer", "x-api-key", "x-goog-api-key", "api-key",
                                    "none", "sigv4", "service-account" */
    const char *region;          /* "" none */
    const char *api_version;     /* Azure's; "" none */
    const char *resource, *project, *location, *account;   /* for known addresses; "" none */
    const char *access_key_id, *secret_access_key, *session_token;  /* AWS; secrets; "" none */
    const char *credentials;     /* of a service account, or their path; a secret; "" none */
    const char *token_email, *token_key_id, *token_key, *token_url;   /* what is in them; the
                                    third is a secret */
    const char *key[CATALOG_KEYS_MAX];         /* secrets */
    const char *header_name[CATALOG_HEADERS_MAX];
    const char *header_value[CATALOG_HEADERS_MAX];
    uint64_t connect_ns, first_byte_ns, stall_ns, total_ns;   /* first_byte, stall: 0 = unset */
    uint64_t queue_ns;           /* how long a request waits for room at it */
    uint64_t tpm;                /* what one of its keys may take: tokens a minute, */
    uint32_t rpm, concurrency;   /* requests a minute and at once; 0: no limit known */
    uint32_t weight;
    uint16_t port;
    uint8_t dialect;             /* enum dialect */
    uint8_t speaks;              /* further ones at the same address: bits of enum dialect */
    uint8_t thoughts;            /* enum catalog_thoughts */
    uint32_t quirks;             /* enum catalog_quirk bits, of all its models */
    uint8_t key_count, header_count;
    bool tls, host_is_ip, zero_retention;
    bool official;               /* at the address of who made the dialect */
    uint8_t signs;               /* enum catalog_signs */
    uint8_t form;                /* enum catalog_form */
    uint8_t continues;           /* enum catalog_continues, of all its models */
};

struct catalog_model {
    const char *id;              /* "provider/model" */
    const char *bare;            /* behind the first '/' of id; points into id */
    const char *upstream;        /* what the provider calls it */
    struct price_list price;
    struct quality quality;
    uint32_t context, max_output;   /* tokens; 0 unknown */
    uint16_t provider;           /* index */
    uint8_t abilities;           /* enum model_ability bits */
    uint8_t lacks;               /* those that the configuration says it has not: what sources
                                    say of that is not to be relied on */
    uint32_t quirks;             /* enum catalog_quirk bits, beside its provider's */
    uint8_t continues;           /* enum catalog_continues; CONTINUES_UNSAID: its provider's */
    bool no_text;                /* embeddings, moderations: never a candidate of auto */
    bool by_name;                /* a candidate of auto only where that names it in full */
    bool configured;             /* named by the configuration, not only built in */
};

struct catalog_alias {
    const char *pattern;         /* "fast", "gpt-4o*" */
    const char *const *target;   /* target_count names, in order */
    uint16_t target_count;
    bool is_list;                /* written as a list: an order to fall over in */
};

struct catalog {
    struct catalog_provider *provider;
    struct catalog_model *model;       /* sorted by id (byte order) */
    struct catalog_alias *alias;
    uint32_t *by_bare;                 /* indexes of model, sorted by (bare, configured ones
                                          first in their order, then built-in ones in their
                                          providers' order) */
    uint32_t provider_count, model_count, alias_count;
};

/* Sort models by id, set each one's bare, build by_bare. Called once by the builder, with
 * models in the order of the configuration, every id holding a '/' and none twice. by_bare is
 * malloc's and freed by the catalogue's owner. False when out of memory: nothing changed. */
MUST_USE bool catalog_index(struct catalog *c);
/* Index of the model with exactly this id, or -1. */
int32_t catalog_find(const struct catalog *c, struct bytes id);
/* First place in by_bare whose bare name is this, and how many follow it; false where none. */
bool catalog_bare(const struct catalog *c, struct bytes bare, uint32_t *first, uint32_t *count);
/* Index of the provider with exactly this name, or -1. */
int32_t catalog_provider_find(const struct catalog *c, struct bytes name);
/* The alias whose pattern matches (exact ones first, then globs in order), or -1. */
int32_t catalog_alias_find(const struct catalog *c, struct bytes name);
/* The alias whose pattern is exactly this name, or -1. */
int32_t catalog_alias_exact(const struct catalog *c, struct bytes name);
/* The known model or alias name nearest to a wrong one: the same model under another prefix, or
 * within a small edit distance; NULL where none is near. Borrows. For error texts only: it
 * looks at every name (about a millisecond for a thousand models). */
const char *catalog_nearest(const struct catalog *c, struct bytes name);
/* What a request that is written anew for this model is to be like, its provider's quirks
 * included: bits of enum ask_quirk (net/translate/ask.h). */
uint64_t catalog_quirks(const struct catalog_model *m, const struct catalog_provider *p);
/* How this model can be made to go on with another one's answer; CONTINUES_UNSAID: it cannot.
 * Never CONTINUES_NO. */
enum catalog_continues catalog_continues_of(const struct catalog_model *m,
                                            const struct catalog_provider *p);
/* Its word, as in weir.yaml. NULL: CONTINUES_UNSAID. Static. */
const char *catalog_continues_word(enum catalog_continues how);
/* Glob match: '*' any run, '?' one byte. No recursion, no backtracking beyond the last '*': at
 * most pattern.len * text.len steps. */
bool glob_match(struct bytes pattern, struct bytes text);
/* True when a comma list holds name (ASCII case and blanks around items ignored). */
bool comma_list_has(struct bytes list, struct bytes name);

#endif
