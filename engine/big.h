/* big.h - an event of a stream that is too large to be gathered, read as its bytes pass: what
 * it tells of usage, finish and errors counts like any other's. Responses end in one that holds
 * the whole answer again. */
#ifndef ENGINE_BIG_H
#define ENGINE_BIG_H

#include "engine/stats.h"

struct api_event;
struct bytes;
struct core;
struct exchange;

/* Begin with part, the event's first bytes. Without a block of memory to spare, or a data line
 * in part, the event is not read. */
void big_begin(struct core *core, struct exchange *x, struct bytes part);
/* Cut everything in front of the first data line's value off an event's first bytes. False:
 * there is no data line in them. */
bool big_data(struct bytes *in);
/* Further bytes of it. True: they are read. */
bool big_feed(struct exchange *x, struct bytes part);
/* It is over: what it said. False: it was not read. */
MUST_USE bool big_end(struct core *core, struct exchange *x, struct api_event *ev);
/* Release, in the middle of one too. */
void big_drop(struct core *core, struct exchange *x);

#endif
