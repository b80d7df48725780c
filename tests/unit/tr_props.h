/* tr_props.h - what must hold of any request and any answer that is translated: unit tests hold
 * recordings to it, fuzz targets whatever they find. What does not hold is said on stderr and
 * ends the program. */
#ifndef TESTS_UNIT_TR_PROPS_H
#define TESTS_UNIT_TR_PROPS_H

#include "net/translate/ask.h"
#include "net/translate/tell.h"

/* A request of that API, or anything else:
 *   cut into pieces of step bytes, it has the same settings, parts and tools, or the same fault
 *   written for any provider, it is JSON, and a request of theirs that its reader takes
 *   written in its own dialect, and read again, it has the same parts and tools; and written
 *   again it is the same text
 * Gives whether it was a request. */
bool props_ask(enum api api, struct bytes body, size_t step);

/* A stream of that API as events, each a line of text that is its data: the same, of what is
 * told, which must be in order, and of the streams that are made of it for every client. */
void props_tell_stream(enum api api, struct bytes lines, size_t step);
/* The same of a whole answer. What is made of it as a stream says the same. False: no JSON. */
bool props_tell_whole(enum api api, struct bytes answer, size_t step);

#endif
