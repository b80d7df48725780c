/* json.h - a resumable JSON scanner (RFC 8259): one pass, in place, no tree, no copies.
 * The document arrives in pieces cut anywhere; tokens carry offsets from its first byte.
 * Structure is found 64 bytes at a time from bit masks (AVX-512, AVX2, SSE2 or scalar,
 * chosen at run time); escapes are resolved on demand. The whole grammar is checked, skipped
 * values included: what this accepts every other strict parser frames alike.
 * Refused: invalid UTF-8, raw control bytes, bad escapes, depth over the limit, trailing
 * bytes, a BOM. Flagged, not refused, so that the reader decides by what it reads:
 * escaped keys, lone surrogates, NUL escapes. Repeated keys are the reader's to notice. */
#ifndef NET_JSON_H
#define NET_JSON_H

#include "net/bytes.h"

enum {
    JSON_DEPTH_MAX = 512,  /* nesting; the limit of json_init may be lower */
    JSON_TEXT_MAX = 512,   /* a scalar up to this is gathered when a cut goes through it */
    JSON_ESCAPE_MAX = 6,   /* bytes: \uXXXX */
};

enum json_type {
    JSON_NONE,
    JSON_OBJECT,     /* "{": its members follow, then JSON_OBJECT_END */
    JSON_OBJECT_END,
    JSON_ARRAY,
    JSON_ARRAY_END,
    JSON_KEY,        /* the value's tokens follow */
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
    JSON_SKIPPED,    /* a whole value nobody wanted (json_skip): only its extent */
};

enum json_error {
    JSON_FINE,
    JSON_BAD_SYNTAX,   /* a byte where the grammar has no place for it */
    JSON_BAD_UTF8,
    JSON_BAD_CONTROL,  /* a raw control byte in a string */
    JSON_BAD_ESCAPE,
    JSON_BAD_NUMBER,
    JSON_BAD_LITERAL,
    JSON_TOO_DEEP,
    JSON_TRAILING,     /* bytes after the document */
    JSON_CUT_SHORT,    /* the input ended inside the document, or is empty */
};

struct json_token {
    uint64_t start;     /* offset of the token's first byte; a string's opening quote */
    uint64_t end;       /* offset behind its last byte */
    struct bytes text;  /* key, string: what is between the quotes, escapes unresolved;
                           number: itself. Borrows from the piece or from the scanner until
                           the next json_next. ptr is NULL when it is longer than
                           JSON_TEXT_MAX and a cut goes through it: gather by offsets
                           (len is right all the same) */
    uint16_t depth;     /* 0 the root value, 1 a member or element of the root, ... */
    uint8_t type;       /* enum json_type */
    bool escaped;       /* string, key: has at least one backslash */
    bool surrogate;     /* string, key: has an unpaired \uD800..\uDFFF */
    bool nul;           /* string, key: has \u0000 */
};

struct json_string {     /* a string that a cut, or the end of a block, goes through */
    uint64_t pair_at;    /* offset where the low half of a surrogate pair is due */
    uint16_t code;       /* \uXXXX as far as read */
    uint8_t escape;      /* 0; 5 behind a backslash; 4..1 hex digits still due */
    uint8_t utf8_due;    /* bit i: byte i from here must be a continuation byte */
    uint8_t utf8_second; /* what a first continuation byte may be: see utf8_faults() */
    bool half;           /* a high surrogate waits for its low half at pair_at */
    bool escaped, surrogate, nul;
};

struct json_word {       /* a number or literal that a cut goes through */
    uint8_t state;       /* enum word_state */
    uint8_t type;        /* enum json_type */
    uint8_t matched;     /* letters of a literal so far */
};

struct json {               /* fields are private but for error and at */
    const struct json_simd *simd;
    uint64_t offset;        /* of the first byte not yet consumed */
    uint64_t at;            /* of the byte that was refused */
    uint8_t error;          /* enum json_error */
    uint8_t state;          /* enum json_state: what the grammar allows next */
    uint8_t partial;        /* enum json_partial: what the last cut went through */
    bool skip;              /* one JSON_SKIPPED is due instead of tokens */
    uint16_t depth;         /* open containers */
    uint16_t depth_max;
    uint16_t skip_depth;    /* the skipped value ends when depth is back here */
    uint16_t gathered;      /* bytes in text; above JSON_TEXT_MAX: given up */
    uint64_t base;          /* offset of the block in hand */
    uint64_t tokens;        /* bit i: a token starts, or a string ends, at base + i */
    uint64_t word_bytes;    /* bit i: a byte of a number or literal */
    uint64_t backslash;     /* bit i: a backslash */
    uint64_t unicode;       /* bit i: the u of a \uXXXX */
    uint8_t span;           /* bytes of the block, 0..64 */
    uint8_t fault;          /* first bad byte inside the block's strings; 64 none */
    uint8_t fault_why;      /* enum json_error */
    uint8_t due;            /* struct json_string's utf8_due, at the end of the block */
    uint8_t due_second;     /* its utf8_second */
    bool pending;           /* the block ends behind a backslash that escapes */
    uint64_t started;       /* offset of the partial token */
    uint64_t opened;        /* offset of the latest opening bracket, or skipped value */
    uint64_t kinds;         /* the innermost 64 containers, innermost lowest; 1 object */
    uint64_t outer[JSON_DEPTH_MAX / 64 - 1];  /* full words of kinds, outermost first */
    struct json_string string;
    struct json_word word;
    char text[JSON_TEXT_MAX];  /* text of a token with a cut in it */
};

/* Begin a document. depth_max 1..JSON_DEPTH_MAX. No allocation, nothing to release. */
void json_init(struct json *j, unsigned depth_max);

/* Advance to the next token.
 *   in   borrows until the call that follows; on return starts after what was consumed.
 *        After NET_OK call again with the rest (it may have moved, more may be behind it)
 *   t    out, on NET_OK
 * NET_OK   *t is the next token
 * NET_MORE in is used up: call again with the bytes that follow, or json_finish
 * NET_DONE the root value has ended and in holds only blanks so far (all consumed);
 *          calling again with more input checks that only blanks follow
 * NET_BAD  malformed: json_why, j->at; stays bad */
MUST_USE enum net_rc json_next(struct json *j, struct bytes *in, struct json_token *t);

/* After JSON_KEY: the coming value; after JSON_OBJECT or JSON_ARRAY: the rest of it, is
 * checked but not reported; one JSON_SKIPPED token tells its extent (from its opening
 * bracket) and depth. Before the first token: the whole document. At the end of the value
 * the scan goes on as usual. At any other point: a mistake of the caller (asserted). */
void json_skip(struct json *j);

/* The whole document, n bytes, was checked elsewhere (json_index.h): go on behind it, as if
 * json_next had said NET_DONE. Only after json_init. */
void json_pass(struct json *j, size_t n);

/* No more input follows. NET_DONE when a number at the root or the whole document is
 * complete; else NET_BAD (JSON_CUT_SHORT). A root number that only the end completes comes
 * as NET_OK in *t, and then the call is repeated. */
MUST_USE enum net_rc json_finish(struct json *j, struct json_token *t);

/* What went wrong, as a clause for an error message ("invalid UTF-8"). Static text. */
const char *json_why(const struct json *j);
/* Offset of the byte that was refused. */
uint64_t json_at(const struct json *j);

/* Resolve escapes of a key's or string's text into out (UTF-8; unpaired surrogates become
 * U+FFFD). out copies, room >= text.len. Gives the length written. */
size_t json_unescape(struct bytes text, char *out);

/* The same byte by byte, for a text that comes in pieces. All zero: fresh. Private. */
struct json_unescaper {
    uint16_t unit, high;     /* of \u: so far; a high surrogate that waits for its low one */
    uint8_t due;             /* 1: behind a backslash; 2..5: hex digits to come, + 1 */
};
enum { JSON_UNESCAPED_MAX = 7 };  /* bytes of U+FFFD for a high surrogate alone, and a letter */
/* The next byte, of contents that a scanner has passed. Gives how many bytes it resolves to,
 * in out, JSON_UNESCAPED_MAX bytes. */
size_t json_unescape_byte(struct json_unescaper *e, char c, char *out);
/* It is over: a high surrogate that still waits becomes U+FFFD in out, 3 bytes. Gives how many
 * bytes; e is fresh. */
size_t json_unescape_end(struct json_unescaper *e, char *out);

/* Value of a hex digit, or -1. */
int json_hex(char c);

/* Bytes at the start of a that a string may hold as they are. What follows them: *bad 0: the
 * end, or a byte to escape; else *bad bytes that are no UTF-8, for one U+FFFD. */
size_t json_plain(struct bytes a, size_t *bad);

/* Escape a quote, a backslash or a control byte into out, JSON_ESCAPE_MAX bytes (RFC 8259
 * section 7). Gives the length. */
size_t json_escape(char c, char *out);

/* A number's text as an integer: false for fractions, exponents, or beyond +-2^53 (two
 * parsers may differ there, RFC 8259 section 6). "-0" is 0. */
MUST_USE bool json_integer(struct bytes text, int64_t *out);

/* Name of the implementation in use ("avx512", "avx2", "sse2", "scalar"). Static text. */
const char *json_simd(void);

/* Use the named implementation for documents begun from now on (tests); false, and nothing
 * changed, where the name is unknown or the processor lacks it. */
bool json_simd_use(const char *name);

#endif
