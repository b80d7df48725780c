/* translate.h - from one dialect to another: all that the engine calls. A request is read in
 * the client's form and written in the provider's; an answer the other way, event by event or
 * whole. Pure: bytes come from sources (walk.h) and go to pens (pen.h). */
#ifndef NET_TRANSLATE_TRANSLATE_H
#define NET_TRANSLATE_TRANSLATE_H

#include "net/translate/tell.h"

struct api_fault;
struct ask_target;

/* Can a request of one API be put to a provider in another? The same one: true. */
bool translate_can(enum api from, enum api to);

/* Write the client's body as the provider's. a: room for it, private. facts: what the answer
 * will need of the request is noted there. */
MUST_USE enum ask_rc translate_request(struct ask *a, enum api from,
                                       const struct walk_source *body,
                                       struct json_index *scratch,
                                       const struct ask_target *target,
                                       struct tell_facts *facts, struct pen *p);

/* Only note what the answer will need of the request. False: it cannot be read. */
MUST_USE bool translate_facts(struct ask *a, enum api from, const struct walk_source *body,
                              struct json_index *scratch, struct tell_facts *facts);

/* Why an answer cannot be gone on with by another provider. */
enum translate_lack {
    LACK_TEXT_LOST = 1 << 0,     /* its text was not kept */
    LACK_CALL = 1 << 1,          /* it has begun a call */
    LACK_THOUGHT = 1 << 2,       /* a thought is open whose maker would have signed its end */
    LACK_REFUSAL = 1 << 3,
    LACK_MEDIA = 1 << 4,         /* images, audio */
    LACK_CHOICES = 1 << 5,       /* several */
    LACK_LOGPROBS = 1 << 6,
    LACK_FINISHED = 1 << 7,      /* it has finished: there is nothing to go on with, only the
                                    end to be said (translate_end) */
};

struct translate_said {      /* the answer's text, as the client has it: choice 0, as written */
    bool (*put)(void *arg, struct bytes text);  /* keep it; NULL: nobody does, and lacks are
                                                   not noted. False: no room, and nothing was
                                                   put */
    void *arg;
    uint8_t lacks;           /* enum translate_lack bits, as far as was told */
    bool sealed;             /* private: the thought that is open was signed */
};

struct translate_onward {    /* another provider goes on; private but for began and failed */
    const struct walk_source *said;     /* what was said before; as the inside of a string */
    uint64_t size, end;      /* of it, when that began; and of what was sent of it */
    uint64_t tail;           /* where in it a repetition of its end may begin */
    uint64_t from, matched;  /* what the new answer may be repeating, and how far it did */
    uint32_t shift;          /* its blocks have these numbers more */
    uint32_t item, as;       /* its text that is open, and the writer's number for that */
    uint16_t half;           /* of a surrogate pair, whose other half may come */
    uint8_t how;             /* enum ask_continues; 0: the first provider still speaks */
    uint8_t stage;           /* how much of its beginning may still be a repetition */
    bool open;               /* the writer has that text open */
    bool began;              /* the client got something of it */
    bool failed;             /* it does not go on with what was said; no more of it is told */
};

struct translate {           /* a stream that is being translated: in counted memory */
    struct tell_reader reader;
    struct tell_writer writer;
    struct tell_facts *facts;           /* borrowed */
    struct tell_keep keep;
    struct translate_said said;
    struct translate_onward onward;
    struct pen *pen;         /* private: set for each call */
    const struct api_usage *usage;      /* private: to be told before the end */
};
/* Begin. t->facts, ->keep, and ->said.put and .arg are filled in before. from: the provider's
 * API. */
void translate_begin(struct translate *t, enum api from);
/* One event of the provider's: its name and its data. usage: what it told, by api_event_read();
 * NULL: nothing. What the client is to read goes to p. False: no room. */
MUST_USE bool translate_event(struct translate *t, struct bytes name,
                              const struct walk_source *data, struct json_index *scratch,
                              const struct api_usage *usage, struct pen *p);
/* The same of an event that the client has read already, as the provider wrote it:
 * facts->theirs. It is told, and nothing is written; what is written later goes on behind it.
 */
MUST_USE bool translate_fold(struct translate *t, struct bytes name,
                             const struct walk_source *data, struct json_index *scratch,
                             const struct api_usage *usage);
/* All of them were: from here on the client reads what is written. next: the number that the
 * next event has, where the dialect numbers them (struct api_stream, sequence). Tells what the
 * answer lacks on top, now that it breaks here: LACK_CALL where something runs at the provider,
 * LACK_TEXT_LOST where an id or a name could not be kept. */
void translate_folded(struct translate *t, uint32_t next);
/* The provider's good end ("[DONE]", message_stop, or the end of the body, once it had
 * finished). usage: all of it, as it is booked. */
MUST_USE bool translate_end(struct translate *t, const struct api_usage *usage, struct pen *p);
/* Another provider goes on with the answer from here: its reader begins, the writer goes on.
 * Its start is not told again, its thoughts are dropped, its text continues the block that is
 * open (or begins one). What it repeats of `said` is left out (the same text may be escaped
 * otherwise): all of it for _PREFIX_ECHO; for _INSTRUCT the longest repetition of its end, of
 * eight bytes or more, or the whole of it; and always blanks that said was sent without. What
 * may be such a repetition is held back until it is known, or the answer ends. It has failed
 * (onward.failed) where it does not repeat what it should, or begins anew and then differs.
 * LACK_FINISHED and others must not be set. said: borrowed until the end, or until this is
 * called again; it may grow. */
void translate_onward(struct translate *t, enum api from, enum ask_continues how,
                      const struct walk_source *said);
/* Weir stops it: no more may be spent. */
MUST_USE bool translate_stop(struct translate *t, const struct api_usage *usage, struct pen *p);
/* An event of ours that ends it without a good end, in the client's form. */
MUST_USE bool translate_fault(struct translate *t, const struct api_fault *f, struct pen *p);
/* A whole answer, all of it: facts->usage and ->cost_nusd are set. False: no room. */
MUST_USE bool translate_whole(const struct tell_facts *facts, enum api from,
                              const struct walk_source *body, struct json_index *scratch,
                              struct pen *p);

#endif
