/* onward.h - what translate.c and onward.c share: an answer that another provider goes on with.
 * Private to them. */
#ifndef NET_TRANSLATE_ONWARD_H
#define NET_TRANSLATE_ONWARD_H

#include "net/translate/base.h"

struct tell;
struct translate;

/* What the client is to hear: it is noted what was said, and written. False: no room. */
MUST_USE bool translate_tell(struct translate *t, const struct tell *tell);
/* The same for what the provider tells who goes on: tell_take. */
MUST_USE bool onward_take(struct translate *t, const struct tell *tell);
/* Begin to look for repetitions in what comes. */
void onward_begin(struct translate *t, enum ask_continues how, const struct walk_source *said);

#endif
