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

struct translate {           /* a stream that is being translated: in counted memory */
    struct tell_reader reader;
    struct tell_writer writer;
    struct tell_facts *facts;           /* borrowed */
    struct tell_keep keep;
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
/* Weir stops it: no more may be spent. */
MUST_USE bool translate_stop(struct translate *t, const struct api_usage *usage, struct pen *p);
/* An event of ours that ends it without a good end, in the client's form. */
MUST_USE bool translate_fault(struct translate *t, const struct api_fault *f, struct pen *p);
/* A whole answer, all of it: facts->usage and ->cost_nusd are set. False: no room. */
MUST_USE bool translate_whole(const struct tell_facts *facts, enum api from,
                              const struct walk_source *body, struct json_index *scratch,
                              struct pen *p);

#endif
