/* chat.h - what the files of the chat dialect share among themselves. */
#ifndef NET_TRANSLATE_CHAT_H
#define NET_TRANSLATE_CHAT_H

#include "net/dialect/api.h"

struct ask;
struct ask_target;
struct pen;
struct tell;
struct tell_facts;
struct tell_story;
struct tell_writer;

/* chat_ask's write: see ask_write. */
MUST_USE enum ask_rc chat_ask_write(struct ask *a, const struct ask_target *t, struct pen *p);
/* What stands behind the messages: tools and settings, members of the open root object.
 * ASK_WRITTEN or ASK_UNSAYABLE. */
MUST_USE enum ask_rc chat_put_settings(struct ask *a, const struct ask_target *t,
                                       struct pen *p);
/* chat_tell's write: see tell_write. */
MUST_USE bool chat_tell_write(struct tell_writer *s, const struct tell *t, struct pen *p);
/* chat_tell's write_whole: see tell_write_whole. */
MUST_USE bool chat_tell_whole(const struct tell_facts *facts, const struct tell_story *story,
                              struct pen *p);

#endif
