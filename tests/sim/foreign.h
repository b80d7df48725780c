/* foreign.h - providers of other dialects than the clients': what they answer, and what a
 * client must see of it: not the bytes, which are Weir's own, but every text in its order. */
#ifndef TESTS_SIM_FOREIGN_H
#define TESTS_SIM_FOREIGN_H

#include "tests/sim/model.h"

/* Does this provider speak another dialect? */
bool foreign_is(uint32_t provider);
/* Its dialect as weir.yaml says it. Static text. */
const char *foreign_dialect(uint32_t provider);
/* The field in which it wants its key, with its colon, and what stands in front of the key.
 * Static text. */
const char *foreign_key_field(uint32_t provider, const char **before);
/* The body of an answer of it, whole or streamed; p->expect becomes its text. */
void foreign_answer(struct text *body, struct reply *p, const char *name);
/* What the model's turn at the end of a request says, as written; nothing: it has none. On the
 * heap. */
struct text foreign_before(uint32_t provider, const char *body, size_t len);
/* All that stands in "content":"..." of a piece of an answer, one behind the other. On the
 * heap. */
struct text foreign_texts(const char *at, size_t len);
/* A request came to it: violates "request" where it is not the client's. */
void foreign_request(const struct ask *a, uint32_t provider, const char *path, const char *body,
                     size_t len);
/* The client has all of an answer of it: violates "bytes" where texts differ; says whether it
 * broke, or was stopped. */
void foreign_done(struct ask *a);
/* The client has all of a stream that nothing of any answer is in. False: it is not what is due
 * where the first words of such a provider found no room: the head of Weir's own stream, then
 * the error. Else says that it broke. */
bool foreign_nothing(struct ask *a);

#endif
