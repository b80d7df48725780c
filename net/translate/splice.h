/* splice.h - a client's request with a turn more: the answer that another provider began, for
 * the next one to go on with. The body stays where it lies; the result is a list of parts of
 * it and of words of ours, which a walk_source can show as one document. What the parts say is
 * in the client's own dialect, so that its reader reads it as it read the request. */
#ifndef NET_TRANSLATE_SPLICE_H
#define NET_TRANSLATE_SPLICE_H

#include "net/dialect/api_kind.h"
#include "net/translate/base.h"

enum { SPLICE_PARTS = 9 };

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
 * adds a user's turn behind it that asks to go on. Where nothing is left of said, the request
 * is asked again as it is: a body alone, without an unfinished turn. False: this request cannot
 * be gone on with: it ends in an unfinished turn of the model's itself, has no conversation to
 * add to, or one that lies at its provider. */
MUST_USE bool splice_make(struct splice *s, enum api api, const struct walk *w,
                          struct node root, const struct walk_source *said,
                          enum ask_continues how);
/* Has it an unfinished turn? */
static inline bool splice_goes_on(const struct splice *s) { return s->count > 1; }
/* May an answer in that format (enum api_format) be cut here? said as above: of JSON, not
 * inside of a string, a number or a word. */
bool splice_may_cut(unsigned format, const struct walk_source *said);

struct splice_view {         /* it as one document: all three are borrowed */
    const struct splice *splice;
    const struct walk_source *body, *said;
};
/* The source of that document, which borrows the view. */
struct walk_source splice_source(struct splice_view *view);

#endif
