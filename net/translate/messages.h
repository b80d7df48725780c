/* messages.h - what the files of Anthropic's dialect share. */
#ifndef NET_TRANSLATE_MESSAGES_H
#define NET_TRANSLATE_MESSAGES_H

#include "net/translate/tell.h"

struct ask_part;
struct ask_target;

/* In front of what a redacted_thinking block holds, so that it is not taken for the signature
 * of thoughts without words when it comes back from a client of another dialect. As long as a
 * mark, and of base64's letters, for the same reason. */
#define MESSAGES_REDACTED BYTES("redacted")

/* ask_dialect's write: the body for Anthropic. */
MUST_USE enum ask_rc messages_write(struct ask *a, const struct ask_target *t, struct pen *p);
/* The same, of a body that is Anthropic's already: what stands in it stays, but for the
 * thoughts that others made. */
MUST_USE enum ask_rc messages_write_own(struct ask *a, const struct ask_target *t,
                                        struct pen *p);
/* Why an image or document cannot be given to Anthropic: "... no way to say" it. NULL: it can.
 * Static text. */
const char *messages_media_fault(const struct walk *w, const struct ask_part *part);
/* The member source of an image or document that can. */
void messages_put_source(struct pen *p, const struct walk *w, const struct ask_part *part);

/* tell_dialect's write and write_whole. */
MUST_USE bool messages_tell_write(struct tell_writer *s, const struct tell *t, struct pen *p);
/* A whole answer. */
MUST_USE bool messages_tell_write_whole(const struct tell_facts *facts,
                                        const struct tell_story *story, struct pen *p);

/* ---- what both of them write ---- */

enum { MESSAGES_REFUSED = 1,    /* something in the answer is a refusal */
       MESSAGES_CALLED = 2 };   /* it has calls */
/* A string member, as written. */
void messages_put_word(struct pen *p, struct bytes key, struct bytes word);
/* Members of a message before its content. */
void messages_put_head(struct pen *p, const struct tell_facts *facts);
/* stop_reason: how an answer with these flags ended. */
void messages_put_reason(struct pen *p, enum tell_finish finish, unsigned flags);
/* The member usage. */
void messages_put_usage(struct pen *p, const struct api_usage *usage);
/* May a call's id stand in Anthropic's messages as it is? */
bool messages_id_stands(struct bytes id);
/* What stands for an image: there is no way to hand one out. As written. */
struct bytes messages_no_image(void);

#endif
