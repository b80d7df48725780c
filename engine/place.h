/* place.h - a document that lies in a chain, as translation reads it (net/translate/walk.h):
 * where it is, and where in it somebody looked last, from where the next look goes on.
 * Rule: the chain may grow behind the document, and is not eaten from as long as it is read. */
#ifndef ENGINE_PLACE_H
#define ENGINE_PLACE_H

#include "net/translate/base.h"

struct chain;
struct mem;

struct place {
    const struct mem *mem;
    const struct chain *chain;
    uint64_t base, end;            /* of the document, in the chain */
    uint64_t pos;                  /* of piece */
    struct bytes piece;
    uint32_t at, left;             /* what follows it */
};

/* The document is bytes [from, to) of the chain; c, m: borrowed. */
void place_begin(struct place *p, const struct mem *m, const struct chain *c, uint64_t from,
                 uint64_t to);
/* It as a source, which borrows p. Its size is what it is now. */
struct walk_source place_source(struct place *p);

#endif
