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
    bool (*put)(void *arg, struct bytes text);  /* keep it; NULL: nobody does. False: no room,
                                                   and nothing was put */
    void *arg;
    uint8_t lacks;           /* enum translate_lack bits, as far as was told */
};

struct translate_onward {    /* private: another provider goes on */
    const struct walk_source *said;     /* what was said before; as the inside of a string */
    uint64_t matched;        /* of it, that the new answer repeated */
    uint32_t shift;          /* its blocks have these numbers more */
    uint8_t how;             /* enum ask_continues; 0: the first provider still speaks */
    bool began;              /* the client got something of it */
    bool failed;             /* it said something else than it should have repeated */
    uint8_t held_len;
    char held[160];          /* its beginning, which may be a repetition */
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
/* Begin. t->facts and ->keep are filled in before. from: the provider's API. */
void translate_begin(struct translate *t, enum api from);
/* One event of the provider's: its name and its data. usage: what it told, by api_event_read();
 * NULL: nothing. What the client is to read goes to p. False: no room. */
MUST_USE bool translate_event(struct translate *t, struct bytes name,
                              const struct walk_source *data, struct json_index *scratch,
                              const struct api_usage *usage, struct pen *p);
/* The provider's good end ("[DONE]", message_stop, or the end of the body, once it had
 * finished). usage: all of it, as it is booked. */
MUST_USE bool translate_end(struct translate *t, const struct api_usage *usage, struct pen *p);
/* Another provider goes on with the answer from here: its reader begins, the writer goes on.
 * Its start is not told again, its thoughts are dropped, its text continues the block that is
 * open (or begins one), what it repeats of `said` is left out (the same text may be escaped
 * otherwise): all of it for _PREFIX_ECHO, for _INSTRUCT whatever is repeated of its end or from
 * its start, else only blanks that said was sent without. LACK_FINISHED and others must not be
 * set. said: borrowed until the end. */
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
