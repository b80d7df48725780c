/* splice.h - a client's request with a turn more: the answer that another provider began, for
 * the next one to go on with. The body stays where it lies; the result is a list of parts of
 * it and of words of ours, which a walk_source can show as one document. What the parts say is
 * in the client's own dialect, so that its reader reads it as it read the request. */
#ifndef NET_TRANSLATE_SPLICE_H
#define NET_TRANSLATE_SPLICE_H

#include "net/translate/ask.h"

enum { SPLICE_PARTS = 8 };

struct splice_part {
    uint8_t kind;            /* enum splice_kind */
    uint64_t from, to;       /* _BODY: of it; _SAID: of what was said */
    struct bytes word;       /* _WORD: static text */
};
enum splice_kind { SPLICE_BODY, SPLICE_SAID, SPLICE_WORD };

struct splice {
    struct splice_part part[SPLICE_PARTS];
    uint8_t count;
    uint64_t size;           /* of all of them, bytes */
};

/* Where the turn goes. w, root: the client's body, opened; said: the inside of a JSON string as
 * written, of which blanks and half a surrogate pair at the end are left out. how: _INSTRUCT
 * adds a user's turn behind it that asks to go on. False: this request cannot be gone on with
 * (it ends in an unfinished turn of the model's itself, or has no conversation to add to). */
MUST_USE bool splice_make(struct splice *s, enum api api, const struct walk *w,
                          struct node root, const struct walk_source *said,
                          enum ask_continues how);
/* May an answer in that format be cut here? said as above: of JSON, not inside of a string, a
 * number or a word. */
bool splice_may_cut(enum api_format format, const struct walk_source *said);

#endif
