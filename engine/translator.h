/* translator.h - an exchange whose provider speaks another dialect than its client, or whose
 * history holds what only another maker can read: the request is written anew for each
 * candidate, the answer as it comes. Model: two pages of counted memory per exchange that needs
 * them, taken for its first such request; what a client's dialect repeats at the end of a
 * stream (net/translate/tell.h) lies in a chain. Rule: bodies are read where they lie and
 * written where they are sent from; nothing of them stays on the stack. */
#ifndef ENGINE_TRANSLATOR_H
#define ENGINE_TRANSLATOR_H

#include "engine/mem.h"

struct api_fault;
struct api_usage;
struct core;
struct exchange;
struct tell;

enum translator_rc {         /* the numbers of enum ask_rc (net/translate/ask.h) */
    TRANSLATOR_WRITTEN,
    TRANSLATOR_UNSAYABLE,    /* the provider's dialect has no way to say it */
    TRANSLATOR_WRONG,        /* it is malformed where the client's own API says so */
    TRANSLATOR_NO_ROOM,
};

struct translator;           /* private */

struct translation {         /* of an exchange */
    struct chain wire;       /* the body as the current candidate is to have it */
    struct chain event;      /* a large event of a stream while it is gathered */
    struct chain keep;       /* what is said again at a stream's end */
    uint64_t event_data;     /* where in it its data begins */
    uint8_t event_name;      /* where in it its name begins; 0: it has none */
    uint8_t event_name_len;
    char unsaid[160];        /* what a candidate's dialect cannot say; "" nothing yet */
    char unsaid_at[80];      /* and where in the body: a JSON pointer */
    struct translator *to;
};

struct translator_text {     /* an event's data: in one piece, or [at, end) of a chain */
    struct bytes name;       /* of the event (event:) */
    struct bytes data;       /* ptr NULL: it lies in the chain */
    const struct chain *chain;
    uint64_t at, end;
};

/* Decide in which form x's current candidate is asked: x->peer, x->translated. */
void translator_aim(struct core *core, struct exchange *x);
/* Write the request for it: x->other->wire. _UNSAYABLE, _WRONG: unsaid and unsaid_at say why
 * and where, the first time; wire is empty then, and with _NO_ROOM, which alone may leave
 * x->other NULL. */
MUST_USE enum translator_rc translator_ask(struct core *core, struct exchange *x);
/* The answer is a stream: what the client reads of it begins; or goes on, where x goes on with
 * what another candidate began (resume.h). */
void translator_begin(struct core *core, struct exchange *x);
/* One event of the provider's; usage: what it told, or NULL. These say what the client is to
 * read with stream_put(). False: no room, or the answer holds more than may be kept of it. */
MUST_USE bool translator_event(struct core *core, struct exchange *x,
                               const struct translator_text *event,
                               const struct api_usage *usage);
/* Who keeps the answer's text, as the inside of a JSON string; struct translate_said. */
typedef bool (*translator_put)(void *arg, struct bytes text);
/* From here on put is told what is said; nothing was, but a beginning without content. */
void translator_listen(struct exchange *x, translator_put put, void *arg);
/* What the client reads of x was relayed as its provider sent it, and may have to be gone on
 * with: a writer begins that will have written it. False: no room. */
MUST_USE bool translator_follow(struct core *core, struct exchange *x, translator_put put,
                                void *arg);
/* After that: these events were relayed, in this order; they lie at the start of the core's
 * text, or not in it. Nothing is said. Told ones are cut off *events; last: all of them, where
 * else the beginning of one may be left. False: no room. */
MUST_USE bool translator_fold(struct core *core, struct exchange *x, struct bytes *events,
                              bool last);
/* After that: these were all, and the answer broke off behind them. next: the number of the
 * next event, where the client's dialect numbers them. */
void translator_folded(struct exchange *x, uint32_t next);
/* Why the answer cannot be gone on with: enum translate_lack bits. */
unsigned translator_lacks(const struct exchange *x);
/* Has who was to repeat the answer, and go on, said something else? */
bool translator_strayed(const struct exchange *x);
/* All is told. */
MUST_USE bool translator_end(struct core *core, struct exchange *x);
/* Nothing more may be spent: the proper end. */
MUST_USE bool translator_stop(struct core *core, struct exchange *x,
                              const struct api_usage *usage);
/* An error of ours ends what has begun. */
MUST_USE bool translator_fault(struct core *core, struct exchange *x,
                               const struct api_fault *fault);
/* The whole answer in x->answer becomes the client's, in *out. False: no room. */
MUST_USE bool translator_whole(struct core *core, struct exchange *x, struct chain *out);
/* Tell the whole answer in x->answer, as its provider said it, to take (net/translate/tell.h,
 * tell_take). False: it is no answer, or take said so. */
MUST_USE bool translator_tell(struct core *core, struct exchange *x,
                              bool (*take)(void *arg, const struct tell *t), void *arg);
/* Forget what was said of an attempt's answer. */
void translator_reset(struct core *core, struct exchange *x);
/* Release. */
void translator_drop(struct core *core, struct exchange *x);

#endif
