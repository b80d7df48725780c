/* choose.h - from a request that was read to the candidates it is sent to, best first, and why
 * those: names, policy, header fields and the score view are put together for route/'s plan.
 * One piece of code for the data plane, `weir explain`, POST /admin/v1/explain and
 * `weir savings`: it takes no core, no exchange, allocates nothing, and asks nobody. */
#ifndef ENGINE_CHOOSE_H
#define ENGINE_CHOOSE_H

#include "engine/stats.h"
#include "net/dialect/api.h"
#include "route/plan.h"

struct conf;
struct control;
struct key_view;

enum { CHOOSE_TEXT_MAX = 512 };

struct choose_ask {              /* all borrowed for the call */
    const struct conf *conf;     /* with the catalogue */
    const struct key_view *key;  /* whose policies hold; NULL: nobody's */
    const struct api_request *req;      /* as read; valid */
    const struct control *control;
    uint64_t now_unix_s;         /* for dated prices */
    enum api api;
};

struct choose {
    struct plan plan;            /* count 0: why, text and param say what is answered */
    uint8_t mode;                /* enum conf_mode that took effect */
    uint8_t priority;            /* enum control_priority */
    uint8_t why;                 /* enum close_why of an empty plan */
    const char *param;           /* the member at fault, or NULL. Static text */
    char text[CHOOSE_TEXT_MAX];  /* the sentence for the client; "": the reason's own */
};

/* Choose. True: plan has 1.. candidates. False: nothing is left, or the request contradicts
 * itself: *out says what to answer. */
MUST_USE bool choose_make(const struct choose_ask *ask, struct choose *out);
/* The mode that a word means ("cost", "cost-first"), as enum conf_mode; -1: none. */
int choose_mode(struct bytes word);

#endif
