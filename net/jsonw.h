/* jsonw.h - writes JSON (RFC 8259) into caller's memory: commas and quotes are its job.
 * Running out of room is sticky and checked once at the end; nothing is written past it. */
#ifndef NET_JSONW_H
#define NET_JSONW_H

#include "net/bytes.h"

enum { JSONW_DEPTH_MAX = 64 };

struct jsonw {       /* fields are private, but for len and full */
    char *out;       /* borrows until the last call */
    size_t room;     /* bytes */
    size_t len;      /* bytes written */
    uint64_t more;   /* bit per open container: a comma is due before the next item */
    uint64_t objects;  /* bit per open container: an object */
    uint8_t depth;
    bool after_key;  /* the next value belongs to a key just written */
    bool full;       /* something did not fit; all later calls write nothing */
    /* NULL, or set after jsonw_init: asked before something does not fit. True: out holds what
     * it held, and room is at least `need`; false: it does not fit. */
    bool (*grow)(struct jsonw *w, size_t need);
};

/* Begin writing at out, which borrows and holds room bytes. */
void jsonw_init(struct jsonw *w, char *out, size_t room);

/* Open and close containers; the caller pairs them (asserted). */
void jsonw_object(struct jsonw *w);
/* Close the innermost object. */
void jsonw_object_end(struct jsonw *w);
/* Open an array. */
void jsonw_array(struct jsonw *w);
/* Close the innermost array. */
void jsonw_array_end(struct jsonw *w);

/* The key of the next value. name is a C string, escaped as needed. copies. */
void jsonw_key(struct jsonw *w, const char *name);

/* A string value: escapes quotes, backslashes, control bytes; invalid UTF-8 becomes
 * U+FFFD so that the output is always valid. copies. */
void jsonw_string(struct jsonw *w, struct bytes text);
/* A string value from a C string; NULL writes null. copies. */
void jsonw_text(struct jsonw *w, const char *text);
/* An integer. */
void jsonw_int(struct jsonw *w, int64_t value);
/* An unsigned integer. */
void jsonw_uint(struct jsonw *w, uint64_t value);
/* true or false. */
void jsonw_bool(struct jsonw *w, bool value);
/* null. */
void jsonw_null(struct jsonw *w);
/* value / 10^digits as a plain decimal number without trailing zeros (1500, 3 -> 1.5).
 * digits 0..19. */
void jsonw_fixed(struct jsonw *w, int64_t value, unsigned digits);
/* The same, as a string ("1.5"): money. */
void jsonw_fixed_text(struct jsonw *w, int64_t value, unsigned digits);
/* raw is one whole JSON value and is written as it is. copies. */
void jsonw_raw(struct jsonw *w, struct bytes raw);

#endif
