/* responses.h - what the files of OpenAI's Responses dialect share. Private to them. */
#ifndef NET_TRANSLATE_RESPONSES_H
#define NET_TRANSLATE_RESPONSES_H

#include "net/translate/tell.h"

struct ask_target;

/* Write the request for a provider that speaks Responses: struct ask_dialect's write. */
MUST_USE enum ask_rc responses_ask_write(struct ask *a, const struct ask_target *t,
                                         struct pen *p);

/* Write an event of an answer for a client that does: struct tell_dialect's write. */
MUST_USE bool responses_tell_write(struct tell_writer *s, const struct tell *t, struct pen *p);
/* And a whole answer: its write_whole. */
MUST_USE bool responses_tell_whole(const struct tell_facts *facts,
                                   const struct tell_story *story, struct pen *p);

enum responses_status { RESPONSES_RUNS, RESPONSES_DONE, RESPONSES_CUT, RESPONSES_FILTERED };

/* The status that an end stands for. */
enum responses_status responses_status(enum tell_finish finish);
/* Members of the response object before its output; the object is open. */
void responses_put_head(struct pen *p, const struct tell_facts *facts,
                        enum responses_status status);
/* Those behind it. usage NULL: there is none yet. */
void responses_put_tail(struct pen *p, const struct tell_facts *facts,
                        const struct api_usage *usage);
/* Its type, behind the id of an item, and its status but for thoughts, which have none. The
 * object is open. */
void responses_put_item(struct pen *p, enum tell_block block, bool custom,
                        enum responses_status status);
/* The id of an item of ours, as a string. index: its place in the output. */
void responses_put_id(struct pen *p, const struct tell_facts *facts, enum tell_block block,
                      bool custom, uint32_t index);
/* A source as an annotation. */
void responses_put_cite(struct pen *p, const struct tell *cite);

#endif
