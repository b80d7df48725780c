/* json_simd.h - inside of the JSON scanner: what json.c, the block scanners (json_scan.h,
 * compiled once per instruction set) and the lexers tell each other. Not for callers.
 *
 * Rule: every function here takes the bytes of one piece and leaves struct json at a byte
 * boundary; nothing refers to a piece by pointer once it returned. */
#ifndef NET_JSON_SIMD_H
#define NET_JSON_SIMD_H

#include "net/json.h"

enum {
    BLOCK = 64,                  /* bytes that one mask describes */
    ESCAPE_MAX = 6,              /* bytes: \uXXXX */
};

enum json_state {                /* what may come next (RFC 8259 section 2) */
    STATE_VALUE,                 /* a value */
    STATE_FIRST_VALUE,           /* a value, or "]" */
    STATE_FIRST_KEY,             /* a key, or "}" */
    STATE_KEY,                   /* a key */
    STATE_COLON,                 /* ":" */
    STATE_AFTER,                 /* "," or the end of the container */
    STATE_DONE,                  /* blanks */
    STATE_BAD,                   /* nothing: refused */
};

enum json_partial { PARTIAL_NONE, PARTIAL_STRING, PARTIAL_WORD };

enum json_step { STEP_TOKEN, STEP_ON, STEP_LONG, STEP_ODD, STEP_WRONG, STEP_MORE, STEP_BAD };

enum run_end {                   /* how a string or a word ended */
    RUN_OPEN,                    /* the piece ended first; *used is all of it */
    RUN_CLOSED,                  /* *used is the closing quote, or behind the word */
    RUN_BAD,                     /* *used is the bad byte, j->error says why */
};

struct json_index;

/* One instruction set. Chosen per document: an indirect call a block is the price of having
 * no -march flag. */
struct json_simd {
    const char *name;
    /* Describe the block at p, which begins outside strings; n >= 1 bytes of the piece
     * follow p. Gives j->tokens. */
    uint64_t (*block)(struct json *j, const char *p, size_t n);
    /* The same behind a whole block whose end is within a string; *passed bytes of plain
     * string are passed over first, and there may be nothing behind them. */
    uint64_t (*inside)(struct json *j, const char *p, size_t n, size_t *passed);
    /* Go on in the string whose contents continue at p. */
    enum run_end (*string)(struct json *j, const char *p, size_t n, size_t *used);
    /* json_index_build(), of a document that ends with "}". */
    bool (*index)(struct json_index *x, struct bytes doc, unsigned depth_max);
};

#define ALWAYS_INLINE __attribute__((always_inline)) inline
#define NOINLINE __attribute__((noinline))

extern const struct json_simd json_scalar;
#if defined(__x86_64__)
extern const struct json_simd json_sse2;
extern const struct json_simd json_avx2;
extern const struct json_simd json_avx512;
#endif

/* 0..9, whatever the locale. */
static ALWAYS_INLINE bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Length of the number at p (RFC 8259 section 6), 0 where none is. There must be a byte
 * behind it that none goes on with. */
static ALWAYS_INLINE size_t number_len(const char *begin)
{
    const char *p = begin;
    if (*p == '-') p++;
    bool zero = *p == '0';
    if (!is_digit(*p++)) return 0;
    if (!zero) while (is_digit(*p)) p++;
    if (*p == '.') {
        p++;
        if (!is_digit(*p)) return 0;
        while (is_digit(*p)) p++;
    }
    if ((*p | 0x20) == 'e') {
        p++;
        if (*p == '+' || *p == '-') p++;
        if (!is_digit(*p)) return 0;
        while (is_digit(*p)) p++;
    }
    return (size_t)(p - begin);
}

/* A block's worth of each byte that blocks are compared with. Out of the compiler's sight, or
 * it would make them anew in every turn of a loop, on the port that comparing needs. */
enum { ROW_QUOTE, ROW_BACKSLASH, ROW_COMMA, ROW_COLON, ROW_OPEN, ROW_CLOSE, ROW_BLANK, ROWS };
extern const char json_rows[ROWS][BLOCK];

/* Where the row of c is; NULL: it has none. c is to be a constant. */
static ALWAYS_INLINE const char *json_row(char c)
{
    return c == '"' ? json_rows[ROW_QUOTE] : c == '\\' ? json_rows[ROW_BACKSLASH]
         : c == ',' ? json_rows[ROW_COMMA] : c == ':' ? json_rows[ROW_COLON]
         : c == '{' ? json_rows[ROW_OPEN] : c == '}' ? json_rows[ROW_CLOSE]
         : c == ' ' ? json_rows[ROW_BLANK] : NULL;
}

/* The implementation that json_init gives to a document. */
const struct json_simd *json_simd_chosen(void);

/* One byte at `at` of an escape sequence that a cut goes through. False: not allowed here. */
bool json_escape_byte(struct json_string *s, char c, uint64_t at);

/* The escape \uXXXX that began at offset `at` stands for code: note halves of pairs, NUL. */
void json_unicode(struct json_string *s, uint16_t code, uint64_t at);

/* Begin a word at its first byte c: false where none starts with it. */
bool json_word_begin(struct json_word *w, char c);

/* Go on in j->word with the bytes at p. */
enum run_end json_word_run(struct json *j, const char *p, size_t n, size_t *used);

/* True when the word, should nothing follow, is complete. */
bool json_word_whole(const struct json_word *w);

/* True for bytes that a word is made of: neither blank nor quote nor structural. */
bool json_word_byte(char c);

/* Refuse the byte at offset `at`. */
static inline enum json_step json_refuse(struct json *j, enum json_error why, uint64_t at)
{
    assert(why != JSON_FINE);
    assert(j->state != STATE_BAD);
    j->state = STATE_BAD;
    j->error = (uint8_t)why;
    j->at = at;
    j->tokens = 0;
    return STEP_BAD;
}

/* Consume n bytes of the piece. */
static inline void json_eat(struct json *j, struct bytes *in, size_t n)
{
    bytes_cut(in, n);
    j->offset += n;
}

/* Enter a container; false when it is one too many. */
static inline bool json_push(struct json *j, bool object)
{
    if (j->depth == j->depth_max) return false;
    if (j->depth > 0 && j->depth % 64 == 0) j->outer[j->depth / 64 - 1] = j->kinds;
    j->kinds = j->kinds << 1 | (object ? 1 : 0);
    j->depth++;
    return true;
}

/* Leave the innermost container. */
static inline void json_pop(struct json *j)
{
    assert(j->depth > 0);
    j->depth--;
    j->kinds >>= 1;
    if (j->depth > 0 && j->depth % 64 == 0) j->kinds = j->outer[j->depth / 64 - 1];
}

/* True when the innermost container is an object; there must be one. */
static inline bool json_in_object(const struct json *j)
{
    return j->kinds & 1;
}

/* True while a container is being passed over. */
static inline bool json_skipping(const struct json *j)
{
    return j->skip && j->depth > j->skip_depth;
}

/* Bits 0..n-1. */
static inline uint64_t below(unsigned n)
{
    return n < BLOCK ? (UINT64_C(1) << n) - 1 : ~UINT64_C(0);
}

/* Position of the lowest bit, BLOCK for none. */
static inline unsigned lowest(uint64_t m)
{
    return m ? (unsigned)__builtin_ctzll(m) : BLOCK;
}

/* List the tokens of a block at p: their first bytes, and their offsets, the block's being
 * base. Both have room for BLOCK more. The first eight without asking how many there are:
 * nobody foretells it. */
static ALWAYS_INLINE void tokens_list(uint64_t tokens, const char *p, char *first,
                                      uint32_t *at, uint32_t base)
{
    unsigned count = (unsigned)__builtin_popcountll(tokens);
    for (unsigned i = 0; i < count; i += 8) {
        for (unsigned k = i; k < i + 8; k++) {
            unsigned pos = lowest(tokens) & (BLOCK - 1);
            first[k] = p[pos];
            at[k] = base + pos;
            tokens &= tokens - 1;
        }
    }
}

/* First digit of the \uXXXX whose u is p[0] that is no hex digit: its distance 1..4; 5 all
 * are; 0 the n bytes at p end before that is known. */
static inline unsigned hex_stop(const char *p, size_t n, uint16_t *code)
{
    unsigned value = 0;
    for (unsigned i = 1; i <= 4; i++) {
        if (i >= n) return 0;
        int digit = json_hex(p[i]);
        if (digit < 0) return i;
        value = value << 4 | (unsigned)digit;
    }
    *code = (uint16_t)value;
    return 5;
}

#endif
