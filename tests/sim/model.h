/* model.h - what the clients of one run ask, what providers answered to it, what the clients
 * have seen, and what was booked: the truth that the engine is measured by.
 *   an ask     one request of a client, named sim-N: providers and records know it by that
 *   a reply    one provider's answer to it, sim-N#M: the name is in its text, so that a client
 *              can say whose answer it reads */
#ifndef TESTS_SIM_MODEL_H
#define TESTS_SIM_MODEL_H

#include "store/journal.h"

enum {
    ASKS_MAX = 256,
    REPLIES_MAX = 12,          /* providers that were asked, for one request */
    BOOKED_MAX = REPLIES_MAX + 4,      /* records of one request */
    MODEL_PROVIDERS = 5,
    MODEL_KEYS = 2,            /* of a provider, at most */
    MODEL_VERSIONS = 16,       /* configurations published in one run */
    MODEL_ID_MAX = 16,
};

enum ask_kind {
    ASK_WHOLE, ASK_STREAM,     /* chat completions */
    ASK_MODELS, ASK_HEALTH,    /* answered by Weir itself */
    ASK_BAD_KEY, ASK_NO_MODEL, ASK_BAD_JSON, ASK_NO_PATH,
    ASK_MALFORMED,             /* not HTTP: the connection ends with it */
    ASK_KINDS
};

enum model_world {             /* what the run is about, besides everything */
    WORLD_PLAIN,
    WORLD_CHEAP,               /* cascades (cheap.h) */
    WORLD_HEDGED,              /* streams that begin late are asked twice (hedged.h) */
    WORLD_AVAILABLE,           /* no seed's: how often they fail is said (available.h) */
};

enum model_resume { GOES_NEVER, GOES_AVAILABILITY, GOES_ALWAYS };

struct text { char *at; size_t len, room; };   /* grows on the heap */

enum reply_kind {
    REPLY_GOOD, REPLY_NO_USAGE, REPLY_NO_DONE, REPLY_STATUS, REPLY_NOT_JSON, REPLY_EMPTY,
    REPLY_ERROR, REPLY_ENCODED, REPLY_GARBAGE, REPLY_KINDS
};

struct reply {
    uint8_t kind;              /* enum reply_kind: what its text is */
    uint8_t provider;
    uint16_t status;
    bool sse, until_close, close;
    uint32_t empty_ms;         /* its head says that nothing is left for so long; 0: not */
    bool heard;                /* the engine has read that */
    uint8_t breaks;            /* 1 + in which way it breaks off; 0: it does not */
    bool cut;                  /* not all of wire is sent */
    bool sent;                 /* all of it was */
    struct text wire;          /* head and body as sent */
    struct text expect;        /* the body a client shall see of it; of another dialect, its
                                  text (foreign.h) */
    struct text said;          /* of a stream: its text; of one that goes on with another's,
                                  without what it repeats of that */
    bool onward;               /* it goes on with another's ... */
    struct text before;        /* ... text, as the request had it */
    struct text plan;          /* then all that it will say ... */
    size_t at;                 /* ... and how much of that is in events */
    bool usage;
    uint32_t input, cached, output;
    uint32_t event_max;        /* bytes of text in its largest event */
    uint32_t says;             /* in cascades: what its text comes down to, */
    bool unfit;                /* and whether its finish reason says that it will not do */
    const char *finish;        /* OpenAI's finish reason */
};

struct booked {                /* a record, and who wrote it: core 0 where recovery did */
    struct record r;
    uint32_t life, core;
};

struct ask {
    uint8_t kind;              /* enum ask_kind */
    uint8_t key;               /* whose it is, of money.h */
    bool want_usage, last;     /* last: it says connection: close */
    struct text wire;          /* as sent */
    struct text prompt;        /* a piece of the body that providers must get as it is */
    uint32_t expect_status;    /* where nothing fails; 0: a provider decides */
    struct reply reply[REPLIES_MAX];
    uint32_t reply_count;
    /* what its client saw */
    bool began, complete, broken;   /* broken: ended by an error event, or cut off */
    bool stopped;              /* ended by Weir, properly: nothing more may be spent */
    bool onward;               /* another one went on with it, a comment says */
    uint32_t went_on;          /* how often */
    const struct reply *by[REPLIES_MAX];   /* by whom */
    uint16_t status;
    struct text body;          /* as decoded, comments to keep awake left out */
    size_t checked;            /* bytes of it that agree with the reply's */
    const struct reply *from;  /* whose it is; NULL: not known yet */
    bool tail;                 /* behind checked: an end that Weir put there */
    /* what was booked */
    uint32_t rows;
    struct record row;         /* its end */
    struct booked booked[BOOKED_MAX];  /* the end, and the attempts besides */
    uint32_t booked_count;
    uint64_t sent_ns, done_ns; /* its first byte left; its answer was complete */
    uint64_t admitted_ns;      /* when it was seen to run; 0: never */
    /* in cascades (cheap.h) */
    uint8_t need;              /* cheap answers that must agree; 0: one is looked at */
    bool denied;               /* it asks for none */
    uint32_t truth;            /* what most of its answers say */
    char verdict[48];          /* x-weir-cascade, as its client got it */
};

struct limits_of {             /* what a provider's keys take; 0: any number */
    uint32_t concurrency, rpm, tpm, queue_ms;
};

struct model {
    struct ask ask[ASKS_MAX];
    uint32_t ask_count;
    uint32_t versions;         /* configurations published so far */
    uint64_t hold_bytes;       /* limits.hold */
    int64_t flat_nusd;         /* what any request costs; 0: it costs by its tokens */
    bool calm;                 /* nothing fails in this run */
    bool patient;              /* long first_byte: streams are kept awake */
    uint32_t mode;             /* of the first configuration: the later ones take turns */
    bool tight;                /* keys take few requests, and are slow */
    uint8_t resume;            /* enum model_resume */
    uint8_t world;             /* enum model_world */
    uint8_t strong;            /* in cascades: whose model is the strong one */
    uint8_t agree;             /* routing.cascade.agree */
    uint8_t continues[MODEL_PROVIDERS];    /* enum catalog_continues, of each */
    struct limits_of limits[MODEL_PROVIDERS];   /* the same in all versions */
};

/* The one model. */
struct model *model(void);
/* As new. */
void model_begin(bool calm, enum model_world world);
/* May anything befall, besides what the world says? */
bool model_plays(void);
/* What its model is called. */
void model_id(uint32_t provider, char id[MODEL_ID_MAX]);

/* Append to t. */
void text_put(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Append bytes. */
void text_bytes(struct text *t, const char *bytes, size_t len);

/* Append the inside of a JSON string: letters, escapes, bytes above ASCII. */
void model_words(struct text *t, uint32_t len);
/* The next piece of p's text, of about so many bytes; last: all that is left. */
void model_piece(struct reply *p, struct text *words, uint32_t len, bool last);
/* The length of the piece of a JSON string at `at` that no cut may go through: a letter of one
 * or more bytes, or an escape. */
size_t model_unit(const char *at);
/* How long an answer shall be. */
uint32_t model_answer_size(void);
/* Make the next request of a client: its number. last: it is the connection's last. */
uint32_t model_ask(enum ask_kind kind, bool last);
/* The request of that name ("sim-12"), or NULL. */
struct ask *model_find(const char *name, size_t len);
/* Make a provider's answer to it, which goes on with what was said before, if there is any;
 * NULL: too many. */
struct reply *model_reply(struct ask *a, uint32_t provider, const struct text *before);
/* The configuration of that version (0..): YAML. */
void model_config(struct text *out, uint32_t version);
/* What a provider's keys take. */
const struct limits_of *model_limits(uint32_t provider);
/* Price of a provider's model in a configuration, pico-dollars per token. */
int64_t model_price(uint32_t provider, uint32_t version, enum token_kind kind);

/* A client got the head of an answer. */
void model_head(struct ask *a, unsigned status, bool sse);
/* It got bytes of its body: violates "bytes" where they are not the reply's. */
void model_body(struct ask *a, const char *bytes, size_t len);
/* The answer is complete (its framing says so). */
void model_done(struct ask *a);
/* A record was written in that life, by that core: violates "journal" where it is not as it
 * should be. */
void model_row(const struct record *r, uint32_t life, uint32_t core);
/* What all records of a say together, as a row of the store does. */
struct record model_sum(const struct ask *a);
/* What its tokens cost at its prices, nano-dollars. */
int64_t model_cost(const struct record *r);
/* At the end: every answer booked once, as it was. violates "booked". */
void model_settle(void);

#endif
