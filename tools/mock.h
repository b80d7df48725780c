/* mock.h - the parts of weir-mock, a provider of every dialect on the engine's cores.
 *   weir-mock.c    options, threads, signals
 *   mock_serve.c   engine/serve.h: which request it is, errors, GETs
 *   mock_job.c     one answer in time: delays, pieces, endings
 *   mock_words.c   what answers say
 *   mock_chat.c    chats and completions, whole and as events
 *   mock_form.h    the other dialects, a file each
 *   mock_data.c    embeddings and moderations
 *   mock_past.c    what the conversation has of the answer already
 *   mock_fault.c   failures at random, and outages
 *   mock_script.c  what the model's name asks for
 * Rule: the same request always gets the same answer, but for id, date and created, and for the
 * failures of mock_fault.c, which are drawn from a seed. */
#ifndef TOOLS_MOCK_H
#define TOOLS_MOCK_H

#include "engine/mem.h"
#include "engine/timer.h"
#include "net/dialect/api.h"
#include "net/json.h"
#include "tools/mock_script.h"

#include <stdatomic.h>

enum {
    MOCK_MODEL_MAX = API_NAME_MAX * 6 + 2,  /* bytes of a model's name as JSON */
    CHAT_LEAD = MOCK_MODEL_MAX + 256,          /* bytes of what a stream's events begin with */
    MOCK_TOOL_MAX = 128,                       /* bytes of a tool's name as written */
    MOCK_FILLER = 65536,                       /* bytes of words */
    MOCK_FAILS = 256,                          /* counters of fail<K>, by hash of the model */
    MOCK_ID = 24,                              /* letters of an id */
    MOCK_BODY_MAX = 64 << 20,                  /* bytes of a request */
};

struct conn;
struct core;
struct text;

struct mock_faults {           /* all zero: nothing fails but by script */
    uint64_t seed, outage_seed;
    uint64_t every_ms, long_ms;   /* an outage of long_ms in each every_ms of the wall clock */
    uint32_t failing;          /* of 1,000 requests */
    uint32_t capacity;         /* of 1,000 of those: for want of room */
    _Atomic uint64_t drawn;    /* requests so far */
};

struct mock_shared {           /* one a process; after the start only the counters change */
    struct bytes key;          /* what Authorization must bear; empty: anything */
    struct mock_faults faults;
    _Atomic uint32_t fails[MOCK_FAILS];
    char filler[MOCK_FILLER];  /* the words again and again, from the first on */
    uint32_t filler_len;       /* whole rounds */
    uint32_t round_len;        /* bytes of one */
};

struct mock {                  /* one a core, in core->serve */
    struct mock_shared *shared;
    struct api_reader reader;
    uint64_t date_s;           /* the second that date is of */
    char date[30];
};

enum job_stage {
    JOB_READING,               /* the request comes in */
    JOB_WAITING,               /* for the time of the head */
    JOB_SENDING,
};

/* What comes next of an answer; the order is the order of an answer. */
enum job_phase {
    PHASE_ROLE, PHASE_REASONING, PHASE_CALL, PHASE_TEXT, PHASE_FINISH, PHASE_USAGE, PHASE_DONE,
    PHASE_END,
};

struct job {                   /* a request and its answer; a slot of core->exchanges */
    struct slab_head head;
    struct timer timer;
    struct conn *c;
    struct script script;
    struct bytes method, target;  /* live as long as the request's head */
    struct bytes path_model;   /* the same; Gemini's model, as the path has it */
    struct chain content;      /* instead of words: the inside of a JSON string */
    struct chain held;         /* composed, and sent byte by byte */
    uint64_t drip_left;        /* bytes of held that go one by one */
    uint64_t drip_ns;          /* time between them */
    uint64_t drip_at;          /* when the next may go, monotonic */
    uint64_t reset_ns;         /* when the connection is reset; 0 not known yet */
    uint64_t first_ns;         /* when the head, then the first token is due, monotonic */
    uint64_t created_s;
    uint32_t events;           /* sent so far */
    uint32_t token;            /* next token, reasoning before text */
    uint32_t prompt_tokens, reasoning_tokens, text_tokens;
    uint32_t turn;             /* the word that the text begins with */
    uint32_t said_tokens;      /* of the text, which the conversation has already ... */
    uint32_t said_bytes;       /* ... and of the token behind them */
    uint32_t cached, cache_write, cache_write_1h;   /* of the prompt, besides prompt_tokens */
    uint16_t model_len, tool_len;
    uint16_t status;           /* of an error answer; 0 none */
    uint8_t api;               /* enum api */
    uint8_t stage, phase;
    uint8_t step;              /* enum form_step */
    bool stream, usage, framed, tools, length, acting, closing, out;   /* out: an outage */
    bool array;                /* Gemini without alt=sse: the events are a JSON array */
    char id[MOCK_ID];
    char model[MOCK_MODEL_MAX];   /* as JSON, with quotes */
    char tool[MOCK_TOOL_MAX];     /* as written in the request */
};

/* --- mock_job.c --- */
/* The request is known (script, tokens): wait, then answer. job may be gone afterwards. */
void job_start(struct core *core, struct job *job);
/* Answer at once, before the body is read. job is gone afterwards. */
void job_early(struct core *core, struct job *job);
/* Its timer fired, or what was sent has left: go on. job may be gone afterwards. */
void job_go(struct core *core, struct job *job);
/* Release. takes job. */
void job_drop(struct core *core, struct job *job);
/* An answer with a body of some kind, now; the connection's request is over with it.
 *   extra   further field lines, each with CRLF */
void job_reply(struct core *core, struct conn *c, unsigned status, struct bytes type,
               struct bytes body, struct bytes extra);
struct job_fault {             /* an error answer; texts borrow */
    enum api api;              /* in whose shape */
    unsigned status;
    const char *code, *sentence;
    const char *param;         /* NULL: none */
    struct bytes extra;        /* further field lines, each with CRLF */
};
/* Answer so. Does not end the request. */
void job_error(struct core *core, struct conn *c, const struct job_fault *fault);
/* True when the answer is made of words. */
bool job_has_words(const struct job *job);

/* --- mock_words.c --- */
/* Fill the words of a process. */
void words_fill(struct mock_shared *shared);
/* The content that a script asks for instead of words, into job->content. */
void words_content(struct core *core, struct job *job);
/* Token i of an answer's reasoning or of a call; the first has no blank before it. */
struct bytes words_token(uint32_t i);
/* Tokens [0, count) as one text. */
void words_put(struct core *core, struct text *t, uint32_t count);
/* Token i of an answer's text, from where the conversation leaves off. */
struct bytes words_said(const struct job *job, uint32_t i);
/* All of that text. */
void words_answer(struct core *core, const struct job *job, struct text *t);
/* How many words there are before they begin again. */
uint32_t words_count(void);
/* True when the answer is a call of a tool. */
bool words_call(const struct job *job);
/* Piece i of a call's arguments: {"text":"words ..."}, escaped once. An answer that is cut at
 * its length never comes to the closing piece. */
struct bytes words_argument(const struct job *job, uint32_t i);

/* --- mock_chat.c --- */
/* The whole answer as one JSON document. */
void chat_whole(struct core *core, struct job *job, struct text *t);
/* What all events of a stream begin with, into out (CHAT_LEAD bytes). */
struct bytes chat_lead(const struct job *job, char *out);
/* The next event of a stream, framed; lead is chat_lead's; job->phase moves on. PHASE_END:
 * none is left. */
void chat_event(struct job *job, struct bytes lead, struct text *t);
/* An event with this data, framed. */
void chat_data(struct job *job, struct text *t, struct bytes data);
/* True when the next event is a token, which has its time. */
bool chat_is_token(struct job *job);

/* --- mock_data.c --- */
/* Embeddings of c->body's inputs. */
void data_embeddings(struct core *core, struct job *job, struct text *t);
/* Nothing is ever flagged. */
void data_moderations(struct core *core, struct job *job, struct text *t);
/* How many tokens the prompt has. */
void data_count(const struct job *job, struct text *t);
/* The first tool's name, into job->tool. */
void data_tool(struct core *core, struct job *job);
/* The model of a body whose start is piece, into model; false when it is not in there. */
bool data_model(struct bytes piece, char model[API_NAME_MAX], size_t *len);
/* A number that depends on seed alone: splitmix64's output function. */
uint64_t data_mix(uint64_t seed);
/* Which member of the root a token of a request is in. */
enum member { MEMBER_OTHER, MEMBER_INPUT, MEMBER_DIMENSIONS, MEMBER_ENCODING, MEMBER_TOOLS,
              MEMBER_TURNS };
/* Called for each token of a body that was read once and found well-formed. False: enough. */
typedef bool data_scan_fn(enum member member, const struct json_token *t, void *arg);
/* Call it for the members that have a name above. */
void data_scan(struct core *core, const struct chain *body, data_scan_fn *on_token, void *arg);

/* --- mock_past.c --- */
/* Where the answer to job->c->body begins: job->turn, ->said_tokens, ->said_bytes. */
void past_read(struct core *core, struct job *job);

/* --- mock_fault.c --- */
/* Read `SEED:FAILING:CAPACITY`, or `SEED:EVERY:LONG` of outages. False: it is not that. */
bool fault_option(struct mock_faults *f, bool outages, const char *value);
/* A request came whole: does it fail, and how? That becomes its script. */
void fault_draw(struct core *core, struct job *job);
/* Is there an outage now? */
bool fault_out(const struct core *core);

#endif
