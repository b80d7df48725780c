/* letter.h - texts as they are written in JSON, letter by letter: the same text may be written
 * in several ways ("\u00e9", "é"), and only letters tell. Model: a source whose bytes are the
 * inside of a string (RFC 8259 section 7); a letter is a code point, or what is written where
 * none is: half a surrogate pair, a byte that begins no letter. */
#ifndef NET_TRANSLATE_LETTER_H
#define NET_TRANSLATE_LETTER_H

#include "net/translate/base.h"

enum { LETTER_MAX = 12 };    /* bytes of one as written: a surrogate pair */

struct letter {
    uint64_t from, to;       /* where it is written */
    uint32_t code;           /* its code point; 0xD800 .. 0xDFFF: half a pair; 0x110000 and the
                                byte: none */
};

struct letters {             /* a part of a text, to be read */
    const struct walk_source *source;   /* borrowed */
    uint64_t at, end;
};

/* The letter that b begins with: its code, and its bytes as written. b holds it whole, or is
 * the rest of its text; it is not empty. */
size_t letter_read(struct bytes b, uint32_t *code);
/* The next one of a text. False: that was all. */
bool letters_next(struct letters *l, struct letter *out);
/* Where a letter begins, at or behind at. In a text of escapes alone it may be the end. */
uint64_t letters_seam(const struct walk_source *source, uint64_t at);
/* The end of a text without what it ends in of blanks and halves of surrogate pairs. */
uint64_t letters_end(const struct walk_source *source);

/* The first half of a surrogate pair, and the second (RFC 2781 section 2.1). */
static inline bool letter_is_high(uint32_t code) { return code >= 0xD800 && code < 0xDC00; }
/* The second. */
static inline bool letter_is_low(uint32_t code) { return code >= 0xDC00 && code < 0xE000; }
/* Bytes that it has in UTF-8 (RFC 3629 section 3). */
static inline size_t letter_bytes(uint32_t code)
{
    return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}
/* Is it a blank, or a line's end: Unicode's White_Space, and the separators that Python takes
 * for such (Anthropic refuses an answer to go on with that ends in them)? */
bool letter_is_blank(uint32_t code);

#endif
