/* gemini.h - what the files of the Gemini dialect share, and nobody else needs. */
#ifndef NET_TRANSLATE_GEMINI_H
#define NET_TRANSLATE_GEMINI_H

#include "net/translate/tell.h"

struct ask_target;

/* Members of an object by their names in lowerCamelCase, which stand as such or in snake_case
 * (proto JSON takes both): values[i] is that of names[i]; absent where there is none, or null.
 * Anything but an object has no members. Gives how many members there are, these and others. */
size_t gemini_members(const struct walk *w, struct node object, const struct bytes *names,
                      size_t count, struct node *values);
/* ask_dialect.write, of gemini_ask. */
MUST_USE enum ask_rc gemini_ask_write(struct ask *a, const struct ask_target *t,
                                      struct pen *p);
/* tell_dialect.write, of gemini_tell. */
MUST_USE bool gemini_tell_write(struct tell_writer *s, const struct tell *t, struct pen *p);
/* tell_dialect.write_whole, of gemini_tell. */
MUST_USE bool gemini_tell_write_whole(const struct tell_facts *facts,
                                      const struct tell_story *story, struct pen *p);

/* Gemini's word for how an answer ended. */
struct bytes gemini_reason(enum tell_finish finish);
/* The last members of an answer: its usage (NULL: it is not told here), model and id. */
void gemini_put_foot(struct pen *p, const struct tell_facts *facts,
                     const struct api_usage *usage);
/* Elements of logprobsResult.chosenCandidates, or of .topCandidates, from an array as chat's
 * choices[].logprobs.content has it. */
void gemini_put_tokens(struct pen *p, struct bytes json, bool tops);
/* Does a signature of thoughts stand for itself, at whichever part comes next? text: the
 * thoughts have one. Else it is of that very text. */
bool gemini_is_apart(enum ask_maker maker, bool text);
/* Where the path of an address ends: its query and fragment tell no type (RFC 3986 section
 * 3.3). uri: the inside of a string. */
uint64_t gemini_path_end(const struct walk *w, struct walk_span uri);

enum gemini_number {         /* tell_reader.number */
    GEMINI_CALLS,            /* of this answer so far */
    GEMINI_FINISH,           /* some bits a choice: enum tell_finish + 1; 0: not told */
};
enum gemini_flag {           /* tell_reader.flags */
    GEMINI_PARTIAL = 1,      /* arguments of the latest call come in pieces, */
    GEMINI_STRING = 2,       /* in the middle of a string */
};
/* A piece of the latest call's arguments: an element of partialArgs. False: take said so. */
MUST_USE bool gemini_take_partial(struct tell_reader *r, const struct walk *w,
                                  struct node piece);
/* Those arguments are all there, if they came in pieces, and the call is over. */
MUST_USE bool gemini_end_partial(struct tell_reader *r);

#endif
