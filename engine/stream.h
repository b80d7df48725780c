/* stream.h - relaying event streams: nothing goes to the client before the first real content
 * (the commit barrier), whole events after it, and never a clean end on half an answer. */
#ifndef ENGINE_STREAM_H
#define ENGINE_STREAM_H

#include "engine/stats.h"

struct bytes;
struct core;
struct exchange;

/* Body bytes of a stream. False when the attempt or the exchange ended in it. */
MUST_USE bool stream_feed(struct core *core, struct exchange *x, struct bytes piece);
/* The provider's body ended. clean: as its framing said. */
void stream_end(struct core *core, struct exchange *x, bool clean);
/* The stream that was held is what the client gets, with its end. Ends x. */
void stream_deliver(struct core *core, struct exchange *x);
/* All of the answer was told: its good end, whatever of it is missing yet, and x is over. */
void stream_finish(struct core *core, struct exchange *x);
/* Put bytes of the client's stream where they belong: held before the commit, sent after it.
 * copies. False: no room. */
MUST_USE bool stream_put(struct core *core, struct exchange *x, struct bytes b);
/* What stands before the next entry of a stream that is an array (Gemini without alt=sse).
 * Static text. */
struct bytes stream_entry(struct exchange *x);
/* End a committed stream with an error event in the client's dialect, without any sign of a
 * good end. text: what happened. */
void stream_break(struct core *core, struct exchange *x, enum close_why why, const char *text);
/* The client has waited long: send the head if it has not gone, and a comment line. */
void stream_keep_awake(struct core *core, struct exchange *x);

#endif
