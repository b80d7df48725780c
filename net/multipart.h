/* multipart.h - forms with files, decode side (multipart/form-data: RFC 7578 over RFC 2046
 * section 5.1). Looks through a body that comes in pieces cut anywhere and tells of each part
 * its name, where its value lies, and a short value's bytes; the body stays where it is.
 * Rule: what two readers could take for different forms is refused, on purpose more strictly
 * than the RFCs: nothing before the first boundary and nothing but a line end behind the last,
 * CRLF only, no blanks behind a boundary, no folded lines, no value without a line of its own,
 * no name that could be spelled otherwise. */
#ifndef NET_MULTIPART_H
#define NET_MULTIPART_H

#include "net/bytes.h"

enum {
    MULTIPART_BOUNDARY_MAX = 70,   /* bytes, RFC 2046 section 5.1.1 */
    MULTIPART_LINE_MAX = 1024,     /* bytes of one header line of a part */
    MULTIPART_LINES_MAX = 8,       /* header lines of a part */
    MULTIPART_NAME_MAX = 64,       /* bytes of a field's name */
    MULTIPART_VALUE_MAX = 256,     /* bytes of a value that is given */
    MULTIPART_MARK_MAX = MULTIPART_BOUNDARY_MAX + 3,      /* LF, two hyphens, boundary */
};

struct multipart {             /* private but for error; begun by multipart_begin */
    const char *error;         /* after NET_BAD: a sentence for the client, static text */
    uint64_t at;               /* offset in the body of what comes next */
    uint64_t start;            /* of the value that is being read */
    uint16_t line_len;
    uint16_t value_len;        /* bytes in value, which may end with part of a boundary */
    uint8_t mark_len, matched; /* matched: bytes of mark just seen */
    uint8_t name_len;
    uint8_t lines;             /* header lines of this part */
    uint8_t state;
    bool cr;                   /* the byte before, or before what matched, was a CR */
    bool first;                /* no boundary came yet */
    bool file, typed, encoded; /* of this part: filename, Content-Disposition, other fields */
    char mark[MULTIPART_MARK_MAX];
    char name[MULTIPART_NAME_MAX];
    char line[MULTIPART_LINE_MAX];
    char value[MULTIPART_VALUE_MAX + MULTIPART_MARK_MAX + 1];
};

struct multipart_part {
    struct bytes name;         /* borrows until the next call */
    struct bytes value;        /* the same; without memory where it is longer than
                                  MULTIPART_VALUE_MAX */
    uint64_t start, end;       /* offsets of the value in the body */
    bool file;                 /* it has a filename */
    bool encoded;              /* it has header fields that RFC 7578 does not ask for, so that
                                  its value may mean something else than its bytes */
};

/* Begin reading the body of a request. type: the value of its Content-Type; copies what is
 * needed of it. False: it names no form, or no boundary of 1 to 70 bytes, or more than one; m
 * is bad then and error says so. */
MUST_USE bool multipart_begin(struct multipart *m, struct bytes type);
/* Go on to the end of the next part.
 *   in    borrows; on return it starts after what was consumed
 *   part  out, on NET_OK only
 * NET_OK: a part ended. NET_MORE: in is used up. NET_BAD: error says why; stays bad. */
MUST_USE enum net_rc multipart_next(struct multipart *m, struct bytes *in,
                                    struct multipart_part *part);
/* The body ended. NET_DONE: the form is complete. NET_BAD: error says why. */
MUST_USE enum net_rc multipart_end(struct multipart *m);

#endif
