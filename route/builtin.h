/* builtin.h - the compiled-in lists of providers and models (route/providers.tsv and
 * route/catalog.tsv, written by tools/catalog.py, embedded by tools/embed.c).
 * Read-only text, walked a row at a time without allocating. Every slice handed out borrows
 * from the program's own constants and is valid for ever; no slice is NUL-ended. */
#ifndef ROUTE_BUILTIN_H
#define ROUTE_BUILTIN_H

#include "route/catalog.h"

struct builtin_provider {        /* an empty slice: not stated */
    struct bytes name;           /* as in front of '/' in a model id */
    struct bytes aliases;        /* comma list of other names people use for it */
    struct bytes dialect;        /* "openai", "anthropic", "gemini", "other" */
    struct bytes base_url;       /* may hold {braces}: then the operator must give a url */
    struct bytes key_env;        /* comma list of environment names, the provider's own first */
    struct bytes auth;           /* "bearer", "x-api-key", "x-goog-api-key", "api-key", "sigv4",
                                    "service-account", "none" */
    struct bytes region;         /* where base_url computes: "eu", "cn", "global", ... */
    struct bytes retention;      /* "none", or how long it keeps prompts: "30d" */
    struct bytes usage;          /* of a stream: "always", "asked", "never" told */
    struct bytes limits;         /* family of its rate-limit headers: "openai", ... */
    struct bytes thoughts;       /* field of an answer that holds them */
    struct bytes speaks;         /* comma list of further dialects at base_url */
    uint32_t quirks;             /* enum catalog_quirk bits */
    uint8_t continues;           /* enum catalog_continues */
    bool ready;                  /* a key in the environment is all it needs: base_url has no
                                    braces, a dialect we speak, auth is a key in a header */
};

struct builtin_model {
    struct bytes provider, id;   /* the catalogue's id is provider + "/" + id */
    struct price_list price;     /* completed; where nobody states one: one entry, not
                                    known */
    unsigned given;              /* bit per price_kind the source stated for the base price */
    uint32_t context, max_output;/* tokens; 0 unknown */
    uint8_t abilities;           /* enum model_ability bits */
    bool no_text;                /* it answers with embeddings or the like */
    bool by_name;                /* for who names it, not for auto */
    uint32_t quirks;             /* enum catalog_quirk bits, without its provider's */
    uint8_t continues;           /* enum catalog_continues; _UNSAID: its provider's */
    struct bytes released;       /* "2026", "2026-03" or "2026-03-05" */
    struct quality quality;
    struct bytes figures_of;     /* the name its published figures stand under; empty: none */
    struct bytes sources;        /* letters of who published them, see quality.tsv */
};

/* The whole text of each list: what to start the walk with. */
struct bytes builtin_providers(void);
/* See builtin_providers(). */
struct bytes builtin_models(void);
/* Take the next row off *at (comments are skipped). False at the end, *out untouched then.
 *   at   borrows the text; on return it starts behind the row */
MUST_USE bool builtin_provider_next(struct bytes *at, struct builtin_provider *out);
/* The same for models: the next one, or where provider is not empty the next of that provider
 * (by its own name; the others are passed over without being read). */
MUST_USE bool builtin_model_next(struct bytes *at, struct bytes provider,
                                 struct builtin_model *out);
/* What is known of the weights that go by this name anywhere: "qwen3-32b" or "org/Qwen3-32B" on
 * a server of one's own (what follows the last '/', ASCII case ignored). Gives *out without
 * efforts, which belong to a provider, and true; or false and *out untouched. Reads the whole
 * list: tens of microseconds. */
MUST_USE bool builtin_quality_find(struct bytes name, struct quality *out);
/* The known provider of this name, or else with this alias (ASCII case ignored). Gives *out
 * and true; or false and *out untouched. */
MUST_USE bool builtin_provider_find(struct bytes name, struct builtin_provider *out);

#endif
