/* exchange.h - one request's life on a core: admitted, read, planned, attempted, answered,
 * booked. It owns the request's bytes; the connection may be gone before it is. */
#ifndef ENGINE_EXCHANGE_H
#define ENGINE_EXCHANGE_H

#include "engine/control.h"
#include "engine/mem.h"
#include "engine/spend.h"
#include "engine/timer.h"
#include "net/addr.h"
#include "net/chunk.h"
#include "net/dialect/api.h"
#include "net/sse.h"
#include "route/plan.h"
#include "route/quota.h"
#include "route/tokens.h"
#include "store/journal.h"

struct big;
struct resume;
struct room_key;
struct conn;
struct core;
struct http_head;
struct path;
struct tables;
struct translation;
struct upstream;

enum { EXCHANGE_PLAN_MAX = PLAN_MAX, EXCHANGE_LESSON_WORDS = 9 };

enum exchange_state {
    X_READ,          /* the request's body is being read */
    X_QUEUE,         /* it waits for room at its candidate's provider (room.h) */
    X_ASK,           /* an attempt runs; its head has not come */
    X_HOLD,          /* a whole answer (or an error's body) is being collected */
    X_WAIT,          /* a stream before its first real content */
    X_RELAY,         /* the client has part of the answer: no other candidate from here on */
    X_DRAIN,         /* the client has all; the provider's last framing is awaited */
    X_DONE,
    X_STATES
};

struct attempt_note {          /* how one candidate failed, for the final error */
    uint32_t model;            /* index into the catalogue */
    uint16_t status;
    uint8_t end;               /* enum attempt_end */
    const char *detail;        /* static text, or NULL */
};

struct billed {               /* attempts of a request that cost something and did not end it:
                                * kept by the lead, for all of its family */
    struct api_usage usage;    /* of all of them; present where there was one */
    struct api_usage began;    /* of those of whose answer the client has the beginning */
    uint64_t tokens;           /* of all of them, of all kinds */
    int64_t cost_nusd;
    uint8_t count;
    uint8_t last_nth;          /* the highest record.nth that was given out */
};

struct listener;

struct cascading {             /* of who is asked in a cascade (cascade.h); all zero: none */
    uint64_t gist[2];          /* what the answer comes down to, */
    uint8_t form;              /* enum agree_form */
    uint8_t part;              /* it is a cheap one, or the strong one */
    uint8_t cheap, need, why;  /* of the plan: struct cascade's */
    uint8_t place;             /* in the plan */
    uint8_t faults;            /* of the answer: enum api_outcome bits that count */
    uint8_t says;              /* x-weir-cascade; */
    uint8_t count;             /* so many agreed */
    bool held;                 /* a stream's first content has come, and is held */
    bool parked;               /* the answer is all there, and waits */
    bool escalated;            /* the strong one was asked */
    bool lost;                 /* a twin failed */
    bool taught;               /* a cheap answer's fault was noted for who learns */
    bool busy;                 /* its twins are being asked */
    bool deaf;                 /* not all of the stream was listened to */
    uint32_t page;
    struct listener *listener; /* in a page: who hears what the stream comes down to */
    uint64_t parked_ns;        /* since when */
    uint64_t usage_at;         /* where the whole answer's usage ends; 0: nowhere */
};

struct exchange {
    struct slab_head head;
    struct timer timer;
    struct exchange *next_dead;
    struct exchange *wait_prev, *wait_next;   /* in X_QUEUE: its neighbours in line */
    struct room_key *wait_key;      /* with whom it takes turns (room.c); NULL: in no turn */
    struct conn *c;            /* NULL once the client is gone or answered, and in a twin */
    struct exchange *lead;     /* of a twin (twin.h): for whom it asks; else NULL */
    struct exchange *twins, *next_twin;     /* of a lead: the first; of a twin: the next */
    struct resume *resume;     /* in a page: it can be continued elsewhere (resume.h), or is */
    const char *unarmed;       /* static text: why not, where that was wanted; or NULL */
    struct cascading cascade;
    struct billed billed;      /* before the current attempt */
    struct upstream *u;
    struct tables *tables;     /* pinned */
    /* the request */
    struct gather kept;        /* until the commit: the client's field lines that go on, its
                                  query, what was read of its body, the provider's lines */
    uint32_t lines_bytes;      /* of the client's field lines, which come first */
    uint32_t query_bytes;      /* of its query, behind them */
    uint32_t path_bytes;       /* of the model in Gemini's path, behind that */
    uint32_t req_at;           /* where struct api_request lies */
    uint32_t model_at;         /* where in its pool the model's name lies */
    uint16_t was_bytes;        /* of the body's beginning, overwritten by the first attempt and
                                  kept in front of theirs_at */
    uint32_t theirs_at;        /* where the provider's lines lie, up to the end; 0: the body
                                  was not read */
    struct chain body;
    struct translation *other;     /* in a page, once a request of it was translated */
    struct api_reader *reader;   /* in a block, while a large body is read */
    uint32_t reader_block;
    struct plan_candidate plan[EXCHANGE_PLAN_MAX];   /* candidates */
    struct attempt_note note[EXCHANGE_PLAN_MAX];
    uint8_t plan_count, plan_next;  /* plan_next: the candidate after the current one */
    uint8_t lent;                   /* a twin: so many of its last ones are its lead's */
    uint8_t note_count, attempts;
    uint8_t fleeting;               /* bit per candidate that failed in a way that passes */
    uint8_t cooling;                /* the same: its keys pause */
    bool again;                     /* they are asked once more (attempt.c) */
    uint64_t patience_ns;           /* until when a pause is waited for; 0: none was yet */
    uint64_t quiet_ms;              /* the least of their pauses */
    uint8_t api;                    /* enum api, the client's */
    uint8_t peer;                   /* that of the current candidate; APIS: Weir itself */
    bool translated;                /* what it gets and says is translated */
    uint8_t marks;                  /* translator.c: does the body hold marked signatures? */
    uint8_t state;
    uint8_t choices;                /* asked for, as far as a stop says their ends */
    uint8_t priority;               /* enum control_priority */
    uint8_t line;                   /* 1 + the line it waits in; 0: it does not */
    uint8_t lack;                   /* enum quota_lack: what it waits for */
    bool shed;                      /* a place to wait was denied to it */
    bool hurried;                   /* a twin, a hedge's: it does not wait for room */
    int64_t hedge_nusd;             /* and holds so much of the allowance (hedge.h) */
    /* the current attempt */
    uint32_t model;                 /* index into the catalogue */
    uint16_t keys_tried;            /* bit per provider key, of this candidate */
    uint8_t key;
    uint8_t interim;                /* 1xx heads swallowed */
    uint8_t effort;                 /* enum effort to ask for; EFFORT_UNSET: as it is */
    bool scored;                    /* its row of the score table counts it as in flight */
    struct quota_hold hold;         /* its room at the key */
    bool probe;                     /* elected to probe a breaker */
    bool fresh;                     /* the pooled connection was dead: no pool this time */
    bool sent;                      /* all of the request left */
    uint64_t attempt_ns;            /* when it began */
    uint64_t first_ns;              /* when its first content came; 0 none */
    uint32_t score_row;             /* of its model and key */
    uint64_t spent_ns;              /* with the attempts before it */
    uint32_t quiet_s;               /* candidates cool down: the least time left; 0 none does */
    uint64_t stall_ns;              /* longest silence of this attempt's answer */
    uint64_t wait_ns;               /* deadline for what is awaited now */
    uint64_t ping_ns;               /* when the next comment line is due; 0 none */
    uint64_t hedge_ns;              /* when somebody else is asked too; 0 never */
    uint64_t until_ns;              /* of this attempt: the provider's total */
    uint64_t deadline_ns;           /* of the whole exchange */
    uint64_t timeout_ns;            /* x-weir-timeout; 0 none */
    uint64_t admitted_ns;
    /* its answer */
    struct gather up_head;          /* its head while it comes in pieces */
    struct gather tail;             /* an unfinished stream event */
    struct chain answer;            /* held bytes */
    struct chunk chunk;
    struct sse sse;
    uint64_t left;                  /* with a Content-Length */
    uint64_t answer_bytes;          /* of the body so far */
    uint64_t event_bytes;           /* of the oversized event that is being relayed */
    uint64_t text_bytes;            /* of generated text, for own counts */
    struct tokens_kept tokens;      /* of the request's text and tools, and what the answer's
                                       bytes count, for own counts */
    uint64_t progress_ns;           /* when the running entry was last brought up to date */
    struct api_answer_reader *answer_reader;   /* in a block: a large answer relayed */
    uint32_t answer_block;
    struct big *big;                /* in a block: an oversized event that is read (big.h) */
    uint32_t big_block;
    uint32_t retry_ms;              /* its Retry-After; 0 none */
    uint16_t status;                /* the provider's */
    uint16_t shown;                 /* in the head that the client has; 0: it has none */
    uint8_t framing;                /* enum http_framing */
    uint8_t tail_big;               /* an event over 64 KiB is relayed uninspected:
                                       1 + line ends just seen */
    bool stream;                    /* the client asked for a stream */
    bool path_stream;               /* so says Gemini's path */
    bool array;                     /* Gemini without alt=sse: its events are a JSON array */
    bool array_begun;               /* its bracket is open */
    bool versioned;                 /* the client sent anthropic-version */
    bool want_usage;                /* the client asked for its usage chunk */
    bool want_cost;                 /* OpenRouter's usage: {include: true} */
    bool is_sse;                    /* the answer is an event stream; else it must be JSON */
    bool is_binary;                 /* Amazon's framing of it (net/eventstream.h) */
    bool sse_head;                  /* the client was told of an event stream */
    bool up_keep;                   /* the provider keeps the connection */
    bool head_sent;                 /* the client has our head (also by keep-awake comments) */
    bool http10;
    bool finished, done_seen;       /* stream: a finish reason, [DONE] */
    bool booked;
    bool good;                      /* the answer counts as a success of the endpoint */
    bool no_row;                    /* feedback: no request row, nothing in the journal */
    uint16_t cors;                  /* cors_find(): the entry that allows its origin */
    uint16_t refs;                  /* closing upstreams that may still read its memory */
    uint32_t journal_slot;
    uint64_t lesson[EXCHANGE_LESSON_WORDS];   /* what it may teach of its organisation ... */
    bool has_lesson;                /* ... once it is planned: a struct lesson, learn.h's */
    uint8_t key_hash[STORE_KEY_HASH];
    struct control control;         /* what the client's header fields ask */
    uint64_t session;               /* which conversation it belongs to (sticky.h); 0 none */
    bool routed;                    /* the client left the model to us */
    struct addr client;             /* who asked, by edge_client() */
    struct api_stream notes;        /* of the stream that is being relayed */
    struct api_check check;         /* what of the answer is checked */
    struct api_usage usage;
    struct spend spend;
    struct record rec;              /* as it will be booked */
};

/* Admit a request whose head is complete; what is needed of it and of its path is copied. key
 * paths are in rec.path. Gives NULL when there is no room (the caller answers 503). */
struct exchange *exchange_open(struct core *core, struct conn *c, const struct http_head *head,
                               const struct path *path);
/* The upstream closing keeps the exchange's memory until exchange_drop. */
void exchange_keep(struct exchange *x);
/* The other half. */
void exchange_drop(struct core *core, struct exchange *x);
/* Does somebody bill x's attempt, were it given up now? Who has the prompt does, also where it
 * has not answered yet, or did before all was sent; who refused does not. */
bool exchange_owes(const struct exchange *x);
/* The client is gone: cancel the upstream in this turn, book what is owed. */
void exchange_gone(struct core *core, struct exchange *x, enum close_why why);
/* Fail before anything of an answer went out (or as an error event after): book, answer, end.
 * text: the message; param: JSON pointer member or NULL. */
void exchange_fail(struct core *core, struct exchange *x, enum close_why why, const char *text,
                   const char *param);
/* The answer is queued whole on the client's connection: let go of it. The booking was done.
 * Ends x unless it is to drain its upstream. */
void exchange_finish(struct core *core, struct exchange *x, bool drain);
/* Events from its upstream (upstream.h). exchange_on_bytes: false when u was closed or given
 * back within. buf: the receive buffer in lies in, or RING_BUF_NONE. */
bool exchange_on_bytes(struct core *core, struct exchange *x, struct upstream *u,
                       struct bytes in, uint32_t buf);
/* The provider closed its side. */
void exchange_on_eof(struct core *core, struct exchange *x, struct upstream *u);
/* The connection failed and is closing. */
void exchange_on_broken(struct core *core, struct exchange *x, struct upstream *u,
                        enum attempt_end end);
/* The request left. */
void exchange_on_sent(struct core *core, struct exchange *x, struct upstream *u);
/* Its timer fired. */
void exchange_on_timer(struct core *core, struct exchange *x);
/* Begin to keep a client awake that has asked for a stream and may wait long. */
void exchange_keep_awake(const struct core *core, struct exchange *x);
/* Set the timer to the earliest of its deadlines. */
void exchange_set_timer(struct core *core, struct exchange *x);
/* Keep what was read of the request's body until the commit. copies r, without the names other
 * than model. False: no room. */
MUST_USE bool exchange_keep_request(struct core *core, struct exchange *x,
                                    const struct api_request *r);
/* What was kept, whose model is found anew: more may have been kept since, elsewhere. borrows
 * until something else is kept. */
const struct api_request *exchange_request(const struct exchange *x);
/* Release what only planning and repeating need: reader, request page, body, head. */
void exchange_release_request(struct core *core, struct exchange *x);
/* x is booked: it lets go of all it has but its memory, whose turn comes when nobody can read
 * it any more. */
void exchange_retire(struct core *core, struct exchange *x);
/* Told to end at once: every request ends now, with its error and its record. */
void exchange_end_all(struct core *core);
/* End of turn: return slots that nothing refers to. */
void exchange_reap_all(struct core *core);

#endif
