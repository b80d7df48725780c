/* plan.h - which candidates a request may be sent to, best first, each with a reason.
 * Names lead to models; sieves take out what may not or cannot answer; the mode's score orders
 * what is left. Never fails, never allocates, and is random only by the draw it is given: an
 * empty plan has a reason. */
#ifndef ROUTE_PLAN_H
#define ROUTE_PLAN_H

#include "net/bytes.h"
#include "route/cascade.h"

struct catalog;
struct score;

enum {
    PLAN_MAX = 8, PLAN_NAMES_MAX = 8,
    PLAN_ONE = 1000000,        /* shares are in millionths */
};

/* What is best. The same numbers as engine/conf.h enum conf_mode (engine asserts it). */
enum plan_mode { PLAN_BALANCED, PLAN_COST, PLAN_LATENCY, PLAN_AVAILABILITY, PLAN_MODES };

enum plan_reason {
    PLAN_FINE,
    /* why a candidate is in the plan */
    PLAN_NAMED,            /* asked for by its full id */
    PLAN_BARE,             /* asked for by a bare name */
    PLAN_ALIAS,            /* through an alias */
    PLAN_LISTED,           /* a later entry of models or of an alias list */
    PLAN_CHOSEN,           /* one of auto's, by the mode's score */
    PLAN_STICKY,           /* answered this conversation before */
    PLAN_EXPLORED,         /* little is known of it: tried to learn */
    PLAN_BELOW_FLOOR,      /* may lose more quality than the floor allows: only to fall back */
    PLAN_COOLING,          /* its breaker is open or its keys cool down: last */
    /* Why one is not, and why a plan is empty, in the order of the sieves. The first two are
     * of names. */
    PLAN_UNKNOWN_MODE,     /* 400: "auto:x", and x is no mode */
    PLAN_UNKNOWN_MODEL,    /* 404 model_not_found */
    PLAN_NOT_ALLOWED,      /* 403 model_not_allowed: policy of a level */
    PLAN_REGION,           /* 403 policy_denied: regions of a policy */
    PLAN_RETENTION,        /* 403 policy_denied: zdr, data_collection or a policy asks for zero
                              retention */
    PLAN_FILTERED,         /* 403 policy_denied: provider.only, ignore, or order without
                              fall-backs, leave none */
    PLAN_NO_PRICE,         /* 403 policy_denied: nobody stated a price, and one is needed */
    PLAN_PRICE,            /* 400: dearer than provider.max_price */
    PLAN_WRONG_DIALECT,    /* 400: no candidate speaks what is asked */
    PLAN_ABILITY,          /* 400: tools, images or a schema, and none takes them; or, of auto,
                              none is known to */
    PLAN_CONTEXT,          /* 400 context_length_exceeded: too long for all */
    PLAN_SLOW,             /* 400: expected later than x-weir-max-ttft */
    PLAN_OFF,              /* 503: taken out of rotation by the operator */
    PLAN_BEHIND,           /* passed all sieves, but PLAN_MAX others are better; or another
                              effort of the same model is */
    /* behind them all, for rows of the ledger keep the number: */
    PLAN_CHEAP,            /* in the plan: cheap, asked before the one that was chosen
                              (cascade.h) */
    PLAN_REASONS
};

struct plan_candidate {
    uint32_t model;        /* index into catalog->model */
    uint8_t reason;        /* enum plan_reason */
    uint8_t effort;        /* enum effort to ask for where the request states none;
                              EFFORT_UNSET: leave it to the model */
};

struct plan_ask {
    struct bytes name[PLAN_NAMES_MAX];   /* model, then models: [...]; unescaped; borrows */
    uint8_t name_count;
    bool first_is_model;   /* name[0] came from "model": unknown is an error; others are
                              skipped */
    /* OpenRouter's provider object; all borrow; counts 0 where absent */
    struct bytes order[PLAN_NAMES_MAX], only[PLAN_NAMES_MAX], ignore[PLAN_NAMES_MAX];
    uint8_t order_count, only_count, ignore_count;
    bool zdr;              /* zdr: true, data_collection: deny, or a policy says so */
    bool one_only;         /* allow_fallbacks: false or x-weir-no-fallback */
    bool need_price;       /* unknown_price: refuse */
    int64_t max_prompt, max_completion;  /* pico-dollars per token; 0 none */
    unsigned dialects;     /* bit per enum dialect a candidate may speak; 0: any */
    uint64_t now_unix_s;   /* for dated prices */
    uint64_t now_ms;       /* monotonic, for breakers */
    /* the key's policy: false refuses; arg is the caller's. NULL: all is allowed */
    bool (*allow)(void *arg, struct bytes model_id);
    /* the same of a provider's region ("": none) */
    bool (*region)(void *arg, struct bytes region);
    void *allow_arg;

    /* how to order; without score the order is that of names and of the configuration, and
     * names that need routing are unknown */
    struct score *score;   /* this thread's view; scratch space in it is written */
    uint8_t mode;          /* enum plan_mode, where the name says none */
    bool mode_forced;      /* it overrules a name's suffix (x-weir-mode) */
    uint8_t family;        /* enum family of the request */
    uint8_t effort;        /* enum effort that the request states; EFFORT_UNSET none */
    bool keep_effort;      /* none may be put into it: it says something, or has no place */
    uint8_t needs;         /* enum model_ability bits the request cannot be answered without */
    uint16_t gain, gain_width;   /* of GAIN_ONE: struct gain's */
    uint32_t tokens_in, tokens_out;      /* estimated; out as expected, without reasoning */
    uint32_t tokens_max;   /* output limit the client states, 0 none: must fit the context */
    uint32_t floor;        /* quality floor, millionths; 0 none */
    uint32_t cost_power, time_power;     /* balanced: cost^a x time^b, millionths */
    uint64_t max_ttft_ns;  /* 0 none */
    uint32_t explore;      /* share of auto requests that try an unknown one, millionths */
    uint64_t draw;         /* uniform; decides explore, and shares by weight */
    uint32_t sticky;       /* 1 + model that answered this conversation before; 0 none */
    uint32_t sticky_cached;      /* tokens of the prompt it probably has in its cache */
    bool sticky_first;     /* x-weir-session: first while it may and can answer */
    uint8_t cheap;         /* auto: so many cheap candidates go first, where that pays
                              (cascade.h); 0: none, because of */
    uint8_t cheap_why;     /* this enum cascade_why; _FINE with cheap */
    bool cheap_any_mode;   /* whatever the mode is; else where it is cost */
    uint32_t comparable;   /* share of answers to such a request that can be compared,
                              millionths */
};

struct plan {
    struct plan_candidate at[PLAN_MAX];
    uint8_t count;
    uint8_t reason;        /* enum plan_reason when count is 0, else PLAN_FINE */
    uint8_t mode;          /* enum plan_mode that ordered the first name */
    bool routed;           /* the first name let us choose among models (auto) */
    struct bytes name;     /* the name that an empty plan is about */
    float strongest;       /* t of the strongest candidate that auto could choose, in the
                              request's family; 0 without auto */
    struct cascade cascade;      /* of the first name; its cheap ones are the first of at */
};

/* One endpoint as plan_explain() shows it: a model at an effort. */
struct plan_view {
    uint32_t model;
    uint8_t effort;        /* enum effort; EFFORT_UNSET as the request or the model has it */
    uint8_t reason;        /* enum plan_reason */
    uint8_t place;         /* in the plan, from 0; PLAN_MAX: not in it */
    bool priced;           /* cost is known */
    float t;               /* ability in the family, at this effort */
    float quality;         /* expected, as a share of the strongest candidate's */
    float quality_low;     /* with the widths of gain and ability, what the floor is held to */
    float cost;            /* US dollars, expected */
    float ttft, time;      /* seconds: to the first content, to the last */
    float error, room;     /* 0..1 */
    float chance;          /* of a complete answer, with the widths */
    float score;           /* what the mode orders by; less is better */
};

/* Make the plan. Reads c and ask, writes scratch space of ask->score's view alone.
 * Names, first rule that answers: an alias written exactly so (operators overrule names) -> its
 * targets, one level deep, each an id or a bare name; "auto", "auto:MODE", "openrouter/auto" ->
 * all models of routing.auto, with MODE of balanced, cost, latency, availability, each also
 * with "-first"; "x:floor", "x:nitro" -> what x means, ordered by cost or latency; where x
 * means nothing, the whole is a name; "provider/model" -> that one; a bare id (which may hold a
 * '/') -> every provider that has it; an alias whose glob matches. A name with an unknown model
 * of a configured provider is unknown.
 * Order: that of the names; within one (of an alias's list: within one target) the provider's
 * place in provider.order, then the mode's score, then the providers' weights, then the order
 * found. No candidate comes twice. one_only keeps the first; with provider.order it is taken
 * from those providers alone, as at OpenRouter. A candidate whose price nobody knows is above
 * any maximum.
 * An empty plan's reason is that of the last sieve that took one. */
void plan_make(const struct catalog *c, const struct plan_ask *ask, struct plan *out);
/* The same, and tell of every endpoint that the names lead to: those of the plan first, in its
 * order, then those left out, by score. visit borrows its argument. */
void plan_explain(const struct catalog *c, const struct plan_ask *ask, struct plan *out,
                  void (*visit)(void *arg, const struct plan_view *view), void *arg);
/* The mode that a word means: "cost", "cost-first" ...; -1: none. */
int plan_mode_of(struct bytes word);
/* A mode's name. Static text. */
const char *plan_mode_name(enum plan_mode mode);
/* A reason as a few words for people. Static text. */
const char *plan_reason_text(enum plan_reason reason);

#endif
