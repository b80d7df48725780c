/* control.h - the header fields by which a client controls one request (contract.md
 * section 4). */
#ifndef ENGINE_CONTROL_H
#define ENGINE_CONTROL_H

#include "engine/stats.h"

struct exchange;
struct http_head;

/* Read x-weir-* into x. NULL; or what is wrong, as a sentence for the client (static text). */
const char *control_read(struct exchange *x, const struct http_head *head);
/* Seconds with up to 9 decimals ("1.5") as ns; false for anything else, 0 and > 86,400. */
MUST_USE bool control_seconds(struct bytes text, uint64_t *ns);
/* Are these well-formed tags: a=b,c=d of printable ASCII, <= 128 bytes? */
bool control_tags(struct bytes text);

#endif
