/* mock_text.h - writes an answer of any length through a fixed buffer into a chain, so that
 * small answers cost one copy and large ones no memory of their own. Running out is sticky
 * and looked at once, at the end. */
#ifndef TOOLS_MOCK_TEXT_H
#define TOOLS_MOCK_TEXT_H

#include "engine/mem.h"

struct text {
    struct mem *mem;
    struct chain *to;      /* where full buffers go; borrows */
    char *buf;             /* borrows */
    size_t len, room;      /* bytes in buf, of buf */
    bool failed;           /* no memory: what was written is not whole */
};

/* Move what is in the buffer to the chain. */
void text_flush(struct text *t);
/* text_put for what does not fit the buffer's rest. */
void text_put_large(struct text *t, struct bytes b);
/* A number in decimal. */
void text_number(struct text *t, uint64_t value);
/* A number in hexadecimal, as chunk sizes are written (RFC 9112 section 7.1). */
void text_hex(struct text *t, uint64_t value);
/* b as the inside of a JSON string. b is UTF-8 or is passed on as it is. */
void text_escape(struct text *t, struct bytes b);
/* b in base64 with padding (RFC 4648 section 4); of several pieces all but the last are
 * multiples of 3 bytes. */
void text_base64(struct text *t, struct bytes b);
/* The content of src, which becomes empty. */
void text_move(struct text *t, struct chain *src);

/* Append a copy of b. */
static inline void text_put(struct text *t, struct bytes b)
{
    if (b.len > t->room - t->len) {
        text_put_large(t, b);
        return;
    }
    memcpy(t->buf + t->len, b.ptr, b.len);
    t->len += b.len;
}

/* A string literal. */
#define TEXT(t, literal) text_put(t, BYTES(literal))

#endif
