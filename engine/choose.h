/* choose.h - from a request that was read to the candidates it is sent to, best first, and why
 * those: names, policy, header fields, excerpts of the text and the score view are put together
 * for route/'s features, gain and plan. One piece of code for the data plane, `weir explain`,
 * POST /admin/v1/explain and `weir savings`: it takes no core, no exchange, allocates nothing,
 * and asks nobody. What it keeps is numbers. */
#ifndef ENGINE_CHOOSE_H
#define ENGINE_CHOOSE_H

#include "engine/stats.h"
#include "route/plan.h"
#include "route/tokens.h"

struct api_request;
struct conf;
struct control;
struct features;
struct gain;
struct gain_tenant;
struct key_view;
struct policy_routing;

enum { CHOOSE_TEXT_MAX = 512, CHOOSE_REASONS = 4 };

struct choose_hint {             /* who answered this conversation before; all zero: nobody */
    uint32_t model;              /* 1 + index into the catalogue */
    uint32_t cached;             /* tokens it probably has in its prompt cache */
    bool first;                  /* the client asked for the same again (x-weir-session) */
};

struct choose_ask {              /* all borrowed for the call */
    const struct conf *conf;     /* with the catalogue */
    struct score *score;         /* this thread's view, whose scratch space is written; NULL:
                                    nothing can be routed, names are in their own order */
    const struct key_view *key;  /* whose policies hold; NULL: nobody's */
    const struct policy_routing *routing;       /* of that key; NULL with it */
    const struct gain_tenant *tenant;           /* of its organisation; NULL: nothing learned */
    const struct api_request *req;              /* as read; valid */
    const struct control *control;
    /* Copies bytes [from, from + len) of the request's body, which are there, to out. */
    void (*read)(void *arg, uint64_t from, char *out, size_t len);
    void *read_arg;
    uint64_t body_bytes;         /* of it */
    uint8_t api;                 /* enum api */
    struct choose_hint hint;
    uint64_t now_unix_s;         /* for dated prices */
    uint64_t now_ms;             /* monotonic */
    uint64_t draw;               /* uniform */
};

struct choose {                  /* numbers and static texts, but for text */
    struct plan plan;            /* count 0: why, text and param say what is answered */
    struct tokens_kept tokens;   /* of the prompt, estimated */
    uint32_t tokens_out;         /* expected */
    uint8_t mode;                /* enum plan_mode that took effect */
    uint8_t mode_from;           /* enum choose_source */
    uint8_t priority;            /* enum control_priority */
    uint8_t needs;               /* enum model_ability bits it cannot be answered without */
    bool scored;                 /* there is a gain: features and gain mean something */
    uint8_t why;                 /* enum close_why of an empty plan */
    const char *param;           /* the member at fault, or NULL */
    char text[CHOOSE_TEXT_MAX];  /* the sentence for the client; "": the reason's own */
};

/* Where a mode came from, strongest first (contract.md section 4). */
enum choose_source {
    CHOOSE_HEADER, CHOOSE_SUFFIX, CHOOSE_SORT, CHOOSE_POLICY, CHOOSE_FILE
};

/* Choose. *f and *g are written where out->scored says so: the APIs that generate nothing have
 * no gain. True: plan has 1.. candidates. False: nothing is left, or the request contradicts
 * itself: *out says what to answer. */
MUST_USE bool choose_make(const struct choose_ask *ask, struct choose *out,
                          struct features *f, struct gain *g);
/* The same, and every endpoint that was considered goes to visit (plan_explain). */
MUST_USE bool choose_explain(const struct choose_ask *ask, struct choose *out,
                             struct features *f, struct gain *g,
                             void (*visit)(void *arg, const struct plan_view *view), void *arg);
/* The reasons for a candidate as the codes of a record: that of the plan, then those of the
 * gain (NULL: none). */
void choose_codes(const struct plan_candidate *c, const struct gain *g,
                  uint8_t out[CHOOSE_REASONS]);
/* Such a code in words; place: which of the four. NULL: none. Static text. */
const char *choose_code_text(unsigned place, uint8_t code);
/* "header", "model", "sort", "policy", "file". Static text. */
const char *choose_source_name(enum choose_source from);

#endif
