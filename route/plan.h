/* plan.h - which candidates a request may be sent to, best first, each with a reason.
 * Today's order is the caller's (names, lists, configuration order); scores and modes replace
 * plan_order() later and nothing else. Never fails: an empty plan has a reason. */
#ifndef ROUTE_PLAN_H
#define ROUTE_PLAN_H

#include "net/bytes.h"

struct catalog;

enum { PLAN_MAX = 8, PLAN_NAMES_MAX = 8 };

enum plan_reason {
    PLAN_FINE,
    PLAN_NAMED,            /* asked for by its full id */
    PLAN_BARE,             /* asked for by a bare name */
    PLAN_ALIAS,            /* through an alias */
    PLAN_LISTED,           /* a later entry of models or of an alias list */
    /* reasons for an empty plan */
    PLAN_UNKNOWN_MODEL,    /* 404 model_not_found */
    PLAN_NOT_ALLOWED,      /* 403 model_not_allowed: policy of a level */
    PLAN_FILTERED,         /* 403 policy_denied: provider.only, ignore, zdr, max_price leave
                              none */
    PLAN_WRONG_DIALECT,    /* 400: no candidate speaks what is asked */
};

struct plan_candidate {
    uint32_t model;        /* index into catalog->model */
    uint8_t reason;        /* enum plan_reason */
};

struct plan_ask {
    struct bytes name[PLAN_NAMES_MAX];   /* model, then models: [...]; unescaped; borrows */
    uint8_t name_count;
    bool first_is_model;   /* name[0] came from "model": unknown is an error; others are
                              skipped */
    /* OpenRouter's provider object; all borrow; counts 0 where absent */
    struct bytes order[PLAN_NAMES_MAX], only[PLAN_NAMES_MAX], ignore[PLAN_NAMES_MAX];
    uint8_t order_count, only_count, ignore_count;
    bool zdr;              /* zdr: true or data_collection: deny */
    bool one_only;         /* allow_fallbacks: false or x-weir-no-fallback */
    int64_t max_prompt, max_completion;  /* pico-dollars per token; 0 none */
    unsigned dialects;     /* bit per enum dialect a candidate may speak; 0: any */
    uint64_t now_unix_s;   /* for dated prices */
    /* the key's policy: false refuses; arg is the caller's */
    bool (*allow)(void *arg, struct bytes model_id);
    void *allow_arg;
};

struct plan {
    struct plan_candidate at[PLAN_MAX];
    uint8_t count;
    uint8_t reason;        /* enum plan_reason when count is 0, else PLAN_FINE */
    struct bytes name;     /* the name that an empty plan is about */
};

/* Make the plan. Pure: reads only c and ask.
 * Names, first rule that answers: an alias written exactly so (operators overrule names) -> its
 * targets, one level deep, each an id or a bare name; "auto", "auto:mode", "openrouter/auto",
 * "x:floor", "x:nitro" -> PLAN_UNKNOWN_MODEL until routing is built; "provider/model" -> that
 * one; a bare id (which may hold a '/') -> every provider that has it, configured order; an
 * alias whose glob matches. A name with an unknown model of a configured provider is unknown.
 * Order: that of the names; within a name provider.order comes first, then the order found. No
 * candidate comes twice. one_only keeps the first; with provider.order it is taken from those
 * providers alone, as at OpenRouter. A candidate whose price nobody knows is above any maximum.
 * An empty plan's reason is that of the last sieve that took one: dialect, then filters, then
 * policy. */
void plan_make(const struct catalog *c, const struct plan_ask *ask, struct plan *out);

#endif
