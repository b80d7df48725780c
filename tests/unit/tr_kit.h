/* tr_kit.h - what the tests of translation share: documents that lie in pieces, with bytes
 * between them that nobody must read; pens that write into memory, window by window. */
#ifndef TESTS_UNIT_TR_KIT_H
#define TESTS_UNIT_TR_KIT_H

#include "net/translate/pen.h"

struct kit_pieces {          /* a document in pieces of `step` bytes, 0: in one */
    char *room;
    size_t step, len;
};
/* Lay a copy of text out. Gives its source, which borrows from k until kit_pieces_free(). */
struct walk_source kit_pieces(struct kit_pieces *k, struct bytes text, size_t step);
/* Its memory. */
void kit_pieces_free(struct kit_pieces *k);

struct kit_pen {             /* what was written, all of it in out */
    struct pen pen;
    char *out;
    size_t len, room;
    size_t window;           /* bytes of the next windows, PEN_NEED_MAX at least */
    size_t limit;            /* bytes that fit in all; 0 any number */
    char *at;                /* the window */
    const struct walk_source *source;   /* what views are of */
    size_t views;
};
/* Begin. A source: spans of it that are long are viewed, not copied. NULL: none are. */
void kit_pen(struct kit_pen *k, size_t window, const struct walk_source *source);
/* All that was written so far, borrowed until the next call. */
struct bytes kit_pen_text(struct kit_pen *k);
/* Its memory. */
void kit_pen_free(struct kit_pen *k);

/* Is it one whole JSON document? */
bool kit_is_json(struct bytes text);

#endif
