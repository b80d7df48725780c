/* cmd_import.h - what the parts of `weir import litellm` share; cmd.h is what others see.
 *
 *   config.yaml -> conf_tree (nodes with positions)
 *     -> deployments, one for each entry of model_list that can be taken (cmd_import_model)
 *     -> endpoints (providers of Weir) and groups (its aliases)           (cmd_import_group)
 *     -> weir.yaml                                                        (cmd_import_write)
 *
 * Rule: nothing is dropped in silence. What the other file says is in the new one, or there is
 * a note with its place and the reason. Values of secrets are copied, never shown. Everything
 * lives in the reader's scratch heap, which is wiped when freed. */
#ifndef ENGINE_CMD_IMPORT_H
#define ENGINE_CMD_IMPORT_H

#include "engine/conf_parts.h"
#include "route/catalog.h"

struct builtin_model;

enum {
    IMPORT_KEYS_MAX = CATALOG_KEYS_MAX, IMPORT_HEADERS_MAX = CATALOG_HEADERS_MAX,
    IMPORT_TARGETS_MAX = 32,     /* names one alias may get */
    IMPORT_NOTE_MAX = 320,       /* bytes of one note */
};

enum import_section {
    IMPORT_ROOT, IMPORT_PARAMS, IMPORT_INFO, IMPORT_ROUTER, IMPORT_MODULE, IMPORT_GENERAL
};

struct import_note {             /* something that is not in the new file as it was */
    struct conf_mark at;
    bool left;                   /* not taken at all */
    const char *text;
    struct import_note *next;
};

struct import_text {             /* a text that grows; malloc's */
    char *ptr;
    size_t len, room;
    bool full;                   /* malloc failed once: the text is of no use */
};

struct import_amount {           /* a rate; 0: none was stated */
    uint64_t number;
    const struct conf_node *at;
};

struct import_price {
    unsigned given;              /* bit per price_kind */
    int64_t kind[PRICE_KINDS];   /* pico-dollars per token */
    struct price_tier tier;      /* above 0: none */
    unsigned tier_given;
};

/* How models of one prefix ("azure/...") are reached. */
struct import_kind {
    const char *prefix;          /* as in litellm_params.model */
    const char *known;           /* name in route/providers.tsv; NULL: the prefix itself */
    const char *env;             /* where the key is if the file says nothing; NULL: as known */
    const char *tail;            /* what an api_base lacks to be a url of Weir; NULL: nothing */
    const char *refused;         /* why such a deployment is not taken; NULL: it is */
    bool own;                    /* always a server of one's own: the known name is not used */
    const char *auth;            /* NULL: as known */
};

struct import_deployment {       /* an entry of model_list */
    const struct conf_node *at;
    struct bytes group;          /* model_name */
    struct bytes model;          /* what the provider calls it */
    const struct import_kind *kind;
    const char *known;           /* the provider's name in the built-in list; "" none */
    const char *dialect, *auth;  /* as weir.yaml says it; NULL: that of the known provider */
    const char *url;             /* as weir.yaml says it; NULL: that of the known provider */
    const char *key;             /* NULL: none; may be a ${NAME} */
    bool key_implied;            /* the file says nothing: the usual variable */
    const char *keys[IMPORT_KEYS_MAX];   /* its own, and those of its repetitions */
    uint32_t key_count;
    const char *region;          /* NULL: none */
    const char *timeout;         /* "600s"; NULL: none */
    const char *header[IMPORT_HEADERS_MAX][2];
    uint32_t header_count;
    struct import_amount rpm, tpm, concurrency;
    struct import_amount weight; /* millionths */
    uint64_t order;              /* 0: none */
    struct import_price price;
    struct bytes base_model;     /* whose price it has; empty: its own name's */
    uint32_t context, max_output;    /* 0: not stated */
    uint8_t abilities, abilities_said;   /* enum model_ability bits */
    bool wildcard;               /* the model ends in or is '*' */
    bool repeated;               /* its key went to an earlier one; nothing else is of use */
    uint32_t endpoint;           /* index */
    const char *id;              /* provider/model in Weir */
};

struct import_endpoint {         /* a provider of Weir */
    const struct import_deployment *of;   /* the first one: address, headers, timeouts */
    const char *name;
    const char *key[IMPORT_KEYS_MAX];
    uint32_t key_count;
    bool known;                  /* has the name of the built-in list, and so its models */
};

struct import_group {            /* a model_name, with an alias of Weir */
    struct bytes name;
    uint32_t first, count;       /* of import->member */
    const char *bare;            /* all members share this bare id; NULL: they are an order */
    const char *target[IMPORT_TARGETS_MAX];
    uint32_t target_count;
    uint32_t own_count;          /* of these, its own; fall-backs follow */
};

struct import {
    struct conf_reader *r;       /* file, diagnostics, memory */
    struct import_note *notes;
    struct import_deployment *deployment;
    struct import_endpoint *endpoint;
    struct import_group *group;
    uint32_t *member;            /* indexes of deployment, group by group */
    uint32_t deployment_count, endpoint_count, group_count, member_count;
    const struct conf_node *everything;   /* "*": whatever has a key in the environment */
    bool price_missing;          /* of at least one model */
    /* settings, as weir.yaml says them; NULL: not stated */
    const char *mode, *max_attempts, *body, *answer, *retention, *log_format, *log_level;
    const char *timeout;         /* of deployments that state none */
};

/* ---- notes and texts ---- */

/* Note that n (its key, where it has one) was not taken. */
void import_left(struct import *im, const struct conf_node *n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Note that n was taken, but means something else. */
void import_changed(struct import *im, const struct conf_node *n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Format into the scratch heap. "" when out of memory. */
const char *import_format(struct import *im, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Append to a text. */
void import_put(struct import_text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Append a scalar in double quotes (YAML 1.1 section 5.7: escapes). */
void import_put_quoted(struct import_text *t, struct bytes text);

/* ---- reading values ---- */

/* The entry of a map; NULL where map is none, the entry is absent or null. Borrows. */
const struct conf_node *import_child(const struct conf_node *map, const char *name);
/* A scalar as weir.yaml says it: os.environ/NAME becomes ${NAME}. NULL where it cannot be
 * said (noted). Lives as long as the import. */
const char *import_value(struct import *im, const struct conf_node *n);
/* A whole number from 1 to max. False where it is none (noted). */
MUST_USE bool import_count(struct import *im, const struct conf_node *n, uint64_t max,
                           uint64_t *out);
/* Seconds, as a duration of Weir ("600s"). NULL where they are none (noted). */
const char *import_seconds(struct import *im, const struct conf_node *n);
/* A truth value of YAML 1.1 ("True", yes, on). */
bool import_is_true(const struct conf_node *n);
/* Price per token like 2.5e-06 in exact pico-dollars. False where it is no number, negative,
 * or has a part below a pico-dollar. */
MUST_USE bool import_price_parse(struct bytes text, int64_t *pico);

/* ---- the steps ---- */

/* Read model_list into deployments. root is a map. */
void import_models(struct import *im, const struct conf_node *root);
/* How models with this prefix are reached; NULL where it is not known at all. Static. */
const struct import_kind *import_kind_find(struct bytes prefix);
/* Make endpoints, ids and groups of the deployments. */
void import_groups(struct import *im);
/* Take settings and fall-backs from the other sections; note all that is left of them. */
void import_settings(struct import *im, const struct conf_node *root);
/* Why an entry of a section is not taken; one that is in no table has nothing like it in Weir.
 * Static. */
const char *import_reason(enum import_section section, struct bytes name);
/* Note each entry of a map that is not among taken (a NULL-ended list of names). */
void import_left_rest(struct import *im, enum import_section section,
                      const struct conf_node *map, const char *const *taken);
/* The group with this name, or NULL. Borrows. */
struct import_group *import_group_find(const struct import *im, struct bytes name);
/* Has this release the setting, by its path in conf.def? */
bool import_is_built(const char *path);
/* Write the new file. */
void import_write(struct import *im, struct import_text *out);
/* The built-in price and limits of a model of the known provider with this name; false where
 * there is none. */
MUST_USE bool import_builtin(const char *provider, struct bytes id, struct builtin_model *out);

#endif
