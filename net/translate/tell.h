/* tell.h - an answer in the neutral form: the events that every dialect's reader gives,
 * streamed or not, and every dialect's writer takes, for a stream or a whole answer. Texts are
 * as written in JSON, between the quotes, so that they are copied from one dialect to another
 * as they stand. Usage and errors are read by net/dialect/api.h, whatever the dialect: they
 * come in by the side (struct tell_facts, TELL_USAGE), never from these readers.
 *
 * The order, of each choice:
 *   START (OPEN MORE* CLOSE)* FINISH USAGE? END
 * Blocks follow one another. Only calls may be open at once, where a provider's deltas of
 * several calls are mixed. END comes once, behind the last choice's FINISH. */
#ifndef NET_TRANSLATE_TELL_H
#define NET_TRANSLATE_TELL_H

#include "net/dialect/api_kind.h"
#include "net/translate/base.h"

enum tell_kind {
    TELL_START,      /* id, name (the model's) as the provider has them; once a stream */
    TELL_OPEN,       /* a block begins: block, item; a call: id, name, custom */
    TELL_MORE,       /* its text goes on: text; a call: its arguments */
    TELL_SIGN,       /* THINKING, CALL, TEXT: its signature or encrypted form: text, maker; may
                        come in parts */
    TELL_CITE,       /* TEXT: a source: url, name (title), both as written */
    TELL_CLOSE,      /* the block is over */
    TELL_LOGPROBS,   /* text: an array as chat's choices[].logprobs.content has it, raw JSON;
                        may be left out where it does not lie together */
    TELL_FINISH,     /* finish, and stop_sequence in text where known */
    TELL_USAGE,      /* usage: so far; the last one counts */
    TELL_END,        /* the provider's word that all is told */
    TELL_STEP,       /* of a stream that the client has read from the provider, Responses': a
                        message, or a text of it, began or is over: step, own, place,
                        item (of its next text) */
};

enum tell_step {
    STEP_MESSAGE,    /* a message was added that has no text yet */
    STEP_TEXT,       /* the text's end was told, */
    STEP_PART,       /* that of its part, */
    STEP_ITEM,       /* that of the item */
};

enum tell_block {
    TELL_TEXT, TELL_REFUSAL, TELL_THINKING, TELL_CALL,
    TELL_IMAGE, TELL_AUDIO,     /* name: its MIME type; text: base64; AUDIO: id too */
    TELL_TRANSCRIPT,            /* what is said in AUDIO */
};

enum tell_finish {
    TELL_STOP,           /* the model had said all */
    TELL_STOP_SEQUENCE,  /* one of the client's */
    TELL_LENGTH,         /* the output limit */
    TELL_CONTEXT,        /* the context window */
    TELL_CALLS,          /* to have tools run */
    TELL_FILTER,         /* the provider's filter */
    TELL_REFUSED,        /* the model refused (Anthropic: refusal) */
    TELL_PAUSE,          /* Anthropic: pause_turn */
    TELL_OTHER,          /* anything else: malformed calls, recitation ... */
};

struct tell {
    uint8_t kind;            /* enum tell_kind */
    uint8_t block;           /* OPEN .. CLOSE: enum tell_block */
    uint8_t finish;          /* enum tell_finish */
    uint8_t maker;           /* SIGN: enum ask_maker; text has no mark of ours */
    uint8_t step;            /* STEP: enum tell_step */
    bool custom;             /* OPEN: a call whose input is any text */
    bool lost;               /* START: the id or the name was too long to be told */
    bool value;              /* MORE of a call: text is a whole JSON value (an object), not the
                                inside of a string; the only MORE of its block */
    uint32_t choice;         /* 0.. */
    uint32_t item;           /* OPEN .. CLOSE: number of the block, from 0, over all choices */
    struct bytes text;       /* as written, cut in no escape and no UTF-8 sequence */
    uint32_t place;          /* OPEN, STEP, where tell_reader.theirs: the provider's number of
                                the block, or of the item that it is part of */
    struct bytes id, name;   /* as written; empty: the provider has none */
    struct bytes own;        /* the same: the item's id (Responses) */
    struct bytes url;
    int64_t created;         /* START: Unix seconds; 0: not said */
    struct api_usage usage;
};

/* Takes one event. False: no room, and the rest is not told. t borrows. */
typedef bool (*tell_take)(void *arg, const struct tell *t);

enum { TELL_CALLS_MAX = 56,      /* calls in one answer whose deltas may be mixed */
       TELL_ID_MAX = 384,        /* bytes of an answer's id: LiteLLM packs a lot into it, */
       TELL_CALL_ID_MAX = 2048,  /* and signatures into a call's; a longer one is made anew */
       TELL_NAMES = 2560 };      /* bytes of tool names that a stream must know */

/* What a writer must know besides; kept as long as the answer runs. */
struct tell_facts {
    enum api api;            /* whose form to write: the client's */
    uint64_t seed[2];        /* random: ids are made of it */
    int64_t created;         /* Unix seconds */
    char model[256];         /* what the client calls the model; as written in JSON */
    struct api_usage usage;  /* whole answers: all of it. Streams: what is known at the start,
                                the prompt's tokens estimated */
    int64_t cost_nusd;       /* to be put into usage: OpenRouter's include; -1: not asked for */
    bool theirs;             /* streams: ids, model and time as the provider has them: the
                                client has read them from it (engine/resume.h). Then START puts
                                model, created, and: */
    uint16_t id_len;         /* 0: ids are made of seed */
    char id[TELL_ID_MAX];    /* the answer's, as written */
    bool want_usage;         /* chat, streams: the client asked for its usage chunk */
    bool want_thoughts;      /* the client asked to see them, or did not say: true */
    bool encrypted;          /* Responses: reasoning.encrypted_content was asked for */
    bool parallel;           /* Responses: echoed */
    uint16_t names_len;      /* tools whose calls must be written otherwise (custom ones, names
                                in namespaces): tell_note_names(), tell_name() */
    char names[TELL_NAMES];
};

/* What a writer keeps of a stream, which its dialect repeats at the end (Responses), or cannot
 * say in parts (Gemini's calls): a log in the engine's counted memory. */
struct tell_keep {
    bool (*put)(void *arg, struct bytes b);     /* append, and add to source.size. False: no
                                                   room, and nothing was put */
    void *arg;
    struct walk_source source;                  /* what was put */
};

/* ---- readers ---- */

struct tell_call_state {     /* private: a call of a stream */
    uint32_t index, item;    /* the provider's number of it; its block */
    uint32_t id;             /* hash of its id; 0: the provider has none */
    uint16_t depth;          /* of its arguments so far: brackets open */
    uint8_t choice, flags;
};

struct tell_reader {         /* of one answer; all private. In the engine's counted memory */
    enum api api;            /* the provider's */
    tell_take take;
    void *arg;
    uint32_t items;          /* blocks so far */
    uint32_t item;           /* the open block that is no call */
    uint32_t stage, flags;   /* a reader's own */
    uint32_t number[8];      /* a reader's own */
    uint64_t seed;           /* ids for calls that come without one are made of it */
    uint64_t choices, called, finishes;     /* a bit per choice: was seen, has calls, is over */
    uint8_t block;           /* of item */
    uint8_t choice;          /* whose blocks begin now: the reader sets it; below 64 */
    uint8_t open_choice;     /* of item */
    bool open, started, finished, ended;
    bool whole;              /* the answer is: each call of it is over when the next begins */
    bool theirs;             /* set behind tell_begin(): the client reads the provider's own
                                events, and its blocks are told as they begin there */
    bool foreign;            /* the same: a block is open that is passed over */
    uint8_t call_count;
    uint16_t kept_len;
    uint32_t place, places;  /* the same: of the block, or item, that begins; and behind the
                                last one */
    struct bytes own;        /* the same: its id */
    char kept[256];          /* a reader's own: a name or id that comes before its use */
    struct tell_call_state call[TELL_CALLS_MAX];    /* call_count mean anything */
};

/* Is there a reader, a writer of that API's answers? */
bool tell_reads(enum api api);
/* The same for its writer. */
bool tell_writes(enum api api);
/* Begin an answer. take, arg: who is told. */
void tell_begin(struct tell_reader *r, enum api api, uint64_t seed, tell_take take, void *arg);
/* One event of a stream: its name (event:) and its data, a JSON document that was opened
 * ("[DONE]" and other ends that are none: tell_end). What a reader does not know it passes
 * over. False: take said so. */
MUST_USE bool tell_event(struct tell_reader *r, struct bytes name, const struct walk *w,
                         struct node root);
/* The stream is over, and well: whatever is open is closed; FINISH where the provider had none,
 * END, once. */
MUST_USE bool tell_end(struct tell_reader *r);
/* A whole answer, START to END. Begun afresh for each pass. */
MUST_USE bool tell_whole(struct tell_reader *r, const struct walk *w, struct node root);

/* ---- for readers: they keep the order above, and close what has to be closed before ---- */

/* The answer begins: its id and model, as written; empty: not told. Once, else nothing. */
bool tell_start(struct tell_reader *r, struct bytes id, struct bytes model);
/* The same, by the nodes of both, which may be none, with when: Unix seconds; 0: not told. What
 * is longer than TELL_ID_MAX, or than a model's name may be, is lost. */
bool tell_start_of(struct tell_reader *r, const struct walk *w, struct node id,
                   struct node model, int64_t created);
/* A block begins that is no call. */
bool tell_open(struct tell_reader *r, enum tell_block block);
/* The same with its id and name: an image's MIME type, audio. */
bool tell_open_as(struct tell_reader *r, enum tell_block block, struct bytes id,
                  struct bytes name);
/* Text of a block that is no call: it is opened where another one is open, or none. An empty
 * text opens nothing. */
bool tell_more(struct tell_reader *r, enum tell_block block, struct bytes text);
/* The same, in as many pieces as it lies in. */
bool tell_more_span(struct tell_reader *r, enum tell_block block, const struct walk *w,
                    struct walk_span inside);
/* A signature, of the open block, or of the latest call that is open; of nothing: not told. */
bool tell_sign(struct tell_reader *r, enum ask_maker maker, const struct walk *w,
               struct walk_span inside);
/* A word of ours before a signature, of the open block; where none is, behind the end of the
 * answer for one, nothing is told. text borrows. */
bool tell_mark(struct tell_reader *r, enum ask_maker maker, struct bytes text);
/* A source of the text that is open: its address and title, strings of the document. Without an
 * address, or where no text is open: nothing. */
bool tell_cite(struct tell_reader *r, const struct walk *w, struct node url,
               struct node title);
/* A step of a stream that the client reads itself; of any other: nothing. */
bool tell_step(struct tell_reader *r, enum tell_step step);
/* The open block that is no call is over, if there is one. */
bool tell_close(struct tell_reader *r);
/* A call begins: index is the provider's number of it. An id is made where it has none. Of an
 * index that was there with this id, or again without one: nothing, but in a whole answer. */
bool tell_call(struct tell_reader *r, uint32_t index, struct bytes id, struct bytes name,
               bool custom);
/* Its arguments go on, as the inside of a string. Calls whose arguments are complete are closed
 * when the next block or call begins, of a whole answer all; the others, at the end. */
bool tell_arguments(struct tell_reader *r, uint32_t index, const struct walk *w,
                    struct walk_span inside);
/* All of its arguments, an object; absent: {}. */
bool tell_arguments_value(struct tell_reader *r, uint32_t index, const struct walk *w,
                          struct node object);
/* The provider says that a call is over; not needed where it does not. */
bool tell_close_call(struct tell_reader *r, uint32_t index);
/* A choice is over, and so are its blocks. Once a choice. STOP behind calls becomes CALLS. */
bool tell_finish(struct tell_reader *r, uint32_t choice, enum tell_finish finish,
                 struct bytes stop_sequence);

/* ---- writers ---- */

struct tell_slot {           /* private: a block of a stream that is being written */
    uint64_t kept_from;      /* where in the log its first piece may be, */
    uint64_t kept_to;        /* and where none can be any more; 0: it is open */
    uint32_t item, index;    /* its number in the events, and in what is written */
    uint16_t flags;
    uint8_t block;           /* enum tell_block */
};

struct tell_writer {         /* of one stream; all private. In the engine's counted memory */
    const struct tell_facts *facts;
    struct tell_keep *keep;
    uint32_t sequence;       /* Responses: of the next event */
    uint32_t blocks;         /* a writer's own numbers: of blocks, items, parts */
    uint32_t items;
    uint32_t number[12];
    uint32_t flags;
    uint8_t finish;
    bool started, finished, ended, said_call;
    bool relayed;            /* what is told now the client has: nothing of it is written */
    struct api_usage usage;
    struct tell_slot open[TELL_CALLS_MAX];  /* blocks that are open, or must be repeated */
    uint8_t open_count;
    /* tell_write()'s, for an end before the end */
    bool told_start, told_end;
    uint8_t live_count;
    uint64_t choices, finishes;         /* a bit per choice: was seen, is over */
    struct { uint32_t item; uint8_t block, choice; } live[TELL_CALLS_MAX + 1];
};

/* Begin the client's stream. facts, keep: borrowed as long as it runs. */
void tell_write_begin(struct tell_writer *s, const struct tell_facts *facts,
                      struct tell_keep *keep);
/* Write one event as the client's own, with the lines around it: all that an SSE stream needs,
 * empty lines and a good end included. False: no room in p or keep. */
MUST_USE bool tell_write(struct tell_writer *s, const struct tell *t, struct pen *p);
/* The stream is stopped by Weir as if the output limit had been reached: closes what is open,
 * says so, usage and the good end. */
MUST_USE bool tell_write_stop(struct tell_writer *s, const struct api_usage *usage,
                              struct pen *p);

/* An answer that can be told as often as a writer likes. */
struct tell_story {
    /* Tell all of it again, START to END. False: take said so. */
    bool (*again)(const struct tell_story *story, tell_take take, void *arg);
    const struct walk *walk;
    struct node root;
    enum api api;            /* the provider's */
    uint64_t seed;
};
/* A story of a document that was opened. */
struct tell_story tell_story(enum api api, uint64_t seed, const struct walk *w,
                             struct node root);
/* Write it whole in the client's form (facts->api), cost and usage included. */
MUST_USE bool tell_write_whole(const struct tell_facts *facts, const struct tell_story *story,
                               struct pen *p);

/* One dialect: what the functions above call. write, write_whole NULL: no client speaks it.
 * end NULL: tell_end() does all. */
struct tell_dialect {
    bool (*event)(struct tell_reader *r, struct bytes name, const struct walk *w,
                  struct node root);
    bool (*end)(struct tell_reader *r);
    bool (*whole)(struct tell_reader *r, const struct walk *w, struct node root);
    bool (*write)(struct tell_writer *s, const struct tell *t, struct pen *p);
    bool (*write_whole)(const struct tell_facts *facts, const struct tell_story *story,
                        struct pen *p);
};
/* The one of that API; there must be one. */
const struct tell_dialect *tell_dialect_of(enum api api);
extern const struct tell_dialect chat_tell, responses_tell, messages_tell, gemini_tell,
    converse_tell, cohere_tell;

/* ---- for writers ---- */

/* Note the names that ask_put_name() and custom tools change, for tell_name(). False: there are
 * too many; blamed, and unsayable. */
MUST_USE bool tell_note_names(struct ask *a, struct tell_facts *facts);
struct tell_name {           /* what the client calls a tool; as written */
    struct bytes space, name;
    bool custom;             /* it takes any text; the provider was given a function */
};
/* The tool behind the name that a provider knows. Borrows from facts and flat. */
struct tell_name tell_name(const struct tell_facts *facts, struct bytes flat);
enum { TELL_FLAT_MAX = 64 };
/* What ask_put_name() makes of it: copied to room. */
struct bytes tell_flat(struct bytes space, struct bytes name, char room[TELL_FLAT_MAX]);

/* An id of our own in the client's form, as a string: prefix and 24 letters and digits, the nth
 * of this answer. The 0th is the answer's own: facts->id where there is one. */
void tell_put_id(struct pen *p, const struct tell_facts *facts, struct bytes prefix,
                 uint32_t nth);
/* Keep a piece of block `item`; what: a writer's own. False: no room. */
MUST_USE bool tell_keep_put(struct tell_keep *k, uint32_t item, uint8_t what, struct bytes b);
/* Write what was kept of it, in order, as parts of a string that was begun. from: where in the
 * log its first piece may be. */
void tell_keep_parts(const struct tell_keep *k, uint64_t from, uint32_t item, uint8_t what,
                     struct pen *p);
/* The same as a value: arguments that were kept as the insides of strings become an object.
 * False, and nothing is written: they are none. */
MUST_USE bool tell_keep_value(const struct tell_keep *k, uint64_t from, uint32_t item,
                              uint8_t what, struct pen *p);

#endif
