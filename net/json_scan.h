/* json_scan.h - the block scanner of JSON, written once and compiled per instruction set:
 * json_<set>.c defines struct vec (64 bytes), the vec_ functions and prefix_xor, SCAN_NAME,
 * then includes this file, and json_pass.h, which has the table of the set.
 *
 * Model: bit i of a mask speaks of byte i of a block. Blocks follow each other without gaps
 * from where the piece began, or the last token that a cut or a block's end went through, so
 * where the next block lies does not wait for what this one holds. Into the next block carry
 * only: inside a string (the caller knows), behind a backslash (j->pending), and the bytes
 * that UTF-8 still wants (j->due). They never carry into the next piece.
 *
 * CORRECTNESS, partial blocks at a cut. A piece's last block may have 1..63 bytes: it is
 * scanned padded with zeros and every mask is limited to the bytes that exist. Nothing of a
 * block outlives its piece but the grammar's state (enum json_state, which is exact at any
 * token boundary), the container bits, and at most one token in the middle:
 *   a string  goes on in string_scan(), whose state between bytes is escape/code (an escape
 *             sequence cut anywhere, stepped by single bytes) and utf8_due/utf8_second (the
 *             continuation bytes that the last lead byte still wants);
 *   a word    goes on in json_word_run(), a state machine by bytes.
 * Inside string_scan() an escape sequence that crosses a block's end makes the next block
 * begin at its backslash. Where masks may hold nonsense (right of a fault, e.g. behind a
 * backslash outside strings) only the leftmost fault counts, and every mask depends on
 * bytes to its left alone. So a byte is judged the same wherever blocks and pieces begin. */
#ifndef NET_JSON_SCAN_H
#define NET_JSON_SCAN_H

#include "net/json_simd.h"

#define EVEN UINT64_C(0x5555555555555555)

/* m moved up or down by a signed distance. */
static inline uint64_t shifted(uint64_t m, int up)
{
    return up >= 0 ? m << up : m >> -up;
}

/* Bytes that a backslash escapes, escaped backslashes left out: what follows a run of odd
 * length. carry: the first byte is escaped, whatever it is. *pending: a run of odd length
 * reaches the end of len bytes. */
static inline uint64_t escaped_by(uint64_t backslash, bool carry, unsigned len, bool *pending)
{
    backslash &= ~(uint64_t)carry;
    uint64_t starts = backslash & ~(backslash << 1);
    uint64_t odd_ends;
    bool over = __builtin_add_overflow(backslash, starts & ~EVEN, &odd_ends);
    uint64_t even_ends = backslash + (starts & EVEN);
    uint64_t escaped = ((even_ends & ~EVEN) | (odd_ends & EVEN)) & ~backslash;
    *pending = len == BLOCK ? over : (escaped >> len & 1) != 0;
    return escaped | carry;
}

/* Bytes of in at which the text stops being UTF-8 (RFC 3629 section 4), from the bit planes
 * b[0..7] of a block. A lead byte makes continuation bytes due; due and present must agree.
 * After E0, ED, F0, F4 the first continuation byte has a narrower range, which bits 5 and 4
 * tell. due, second: carried in; and out, for a block that ends after len bytes. */
static inline uint64_t utf8_faults(const uint64_t b[8], uint64_t in, unsigned len,
                                   uint8_t *due, uint8_t *second)
{
    uint64_t lead = b[7] & b[6] & in, cont = b[7] & ~b[6] & in;
    uint64_t lead34 = lead & b[5], lead4 = lead34 & b[4], lead3 = lead34 & ~b[4];
    uint64_t zero = ~(b[3] | b[2] | b[1] | b[0]);
    uint64_t fault = lead & ~(b[5] | b[4] | b[3] | b[2] | b[1]);   /* C0, C1: overlong */
    fault |= lead4 & (b[3] | (b[2] & (b[1] | b[0])));               /* F5..FF */
    uint64_t wants = (lead << 1) | (lead34 << 2) | (lead4 << 3) | *due;
    fault |= (wants ^ cont) & in;
    uint64_t e0 = lead3 & zero, ed = lead3 & b[3] & b[2] & ~b[1] & b[0];
    uint64_t f0 = lead4 & zero, f4 = lead4 & ~b[3] & b[2] & ~b[1] & ~b[0];
    uint64_t was = *second;
    fault |= ((e0 << 1) | (was & 1)) & ~b[5] & in;                  /* overlong */
    fault |= ((ed << 1) | (was >> 1 & 1)) & b[5] & in;              /* D800..DFFF */
    fault |= ((f0 << 1) | (was >> 2 & 1)) & ~(b[5] | b[4]) & in;    /* overlong */
    fault |= ((f4 << 1) | (was >> 3 & 1)) & (b[5] | b[4]) & in;     /* above 10FFFF */
    int n = (int)len;
    uint64_t out = shifted(lead, 1 - n) | shifted(lead34, 2 - n) | shifted(lead4, 3 - n);
    if (n < 3) out |= (uint64_t)*due >> n;
    *due = out & 7;
    int last = n - 1;
    *second = (uint8_t)((e0 >> last & 1) | (ed >> last & 1) << 1 | (f0 >> last & 1) << 2 |
                        (f4 >> last & 1) << 3);
    return fault;
}

/* The leftmost of three kinds of fault; on a tie in this order, as single bytes would. */
static inline unsigned first_fault(uint64_t escape, uint64_t control, uint64_t utf8,
                                   enum json_error *why)
{
    unsigned at = lowest(escape | control | utf8);
    if (at == BLOCK) return at;
    *why = escape >> at & 1 ? JSON_BAD_ESCAPE
         : control >> at & 1 ? JSON_BAD_CONTROL : JSON_BAD_UTF8;
    return at;
}

/* The len bytes at p, padded with zeros. */
static inline struct vec vec_of(const char *p, unsigned len)
{
    return len == BLOCK ? vec_load(p) : vec_load_part(p, len);
}

/* Check escapes of a string block; *cut becomes the backslash of a sequence that the block
 * does not hold whole. Gives the faults. */
static inline uint64_t string_escapes(struct json *j, const struct vec *v, const char *p,
                                      uint64_t escaped, unsigned len, unsigned *cut,
                                      uint64_t at)
{
    uint64_t faults = escaped & ~(vec_escape_plain(v) | vec_eq(v, 'u'));
    for (uint64_t u = escaped & vec_eq(v, 'u'); u; u &= u - 1) {
        unsigned pos = lowest(u);
        uint16_t code = 0;
        unsigned stop = hex_stop(p + pos, len - pos, &code);
        if (stop == 0) *cut = pos - 1;
        else if (stop < 5) return faults | UINT64_C(1) << (pos + stop);
        else json_unicode(&j->string, code, at + pos - 1);
    }
    return faults;
}

/* One block of a string. Gives how far it is done: the closing quote and *closed, or the
 * bytes used; *fault is the first bad byte, BLOCK none. */
static inline unsigned string_block(struct json *j, const struct vec *v, const char *p,
                                    unsigned len, uint64_t at, bool *closed, unsigned *fault)
{
    struct json_string *s = &j->string;
    uint64_t in = below(len);
    uint64_t quote = vec_eq(v, '"') & in, backslash = vec_eq(v, '\\') & in;
    uint64_t low = vec_low(v) & in, bad_escape = 0, bad_control = 0, bad_utf8 = 0, escaped = 0;
    unsigned cut = len;
    if (backslash) {
        bool pending;
        escaped = escaped_by(backslash, false, len, &pending);
        quote &= ~escaped;
        if (pending) cut = len - 1;
    }
    unsigned stop = lowest(quote);
    *closed = stop < BLOCK;
    uint64_t inside = below(*closed ? stop : cut);
    if (backslash & inside) {
        s->escaped = true;
        bad_escape = string_escapes(j, v, p, escaped & inside, len, &cut, at);
    }
    if (!*closed) stop = cut;
    if (low & below(stop) || s->utf8_due) {
        uint64_t high = vec_high(v) & in;
        bad_control = low & ~high & below(stop);
        if ((high & below(stop)) || s->utf8_due) {
            /* The quote or backslash at stop must not be due as a continuation byte. */
            unsigned seen = stop < len ? stop + 1 : stop;
            uint64_t planes[8];
            vec_planes(v, planes);
            bad_utf8 = utf8_faults(planes, below(seen), seen, &s->utf8_due, &s->utf8_second);
        }
    }
    enum json_error why = JSON_FINE;
    *fault = first_fault(bad_escape, bad_control, bad_utf8, &why);
    if (*fault < BLOCK) j->error = (uint8_t)why;
    return stop;
}

/* The common case of a string, a whole block at a time: no quote, no byte outside printable
 * ASCII, no \u. Gives how many of the n bytes are done, all whole blocks: up to the first that
 * must be looked at closely. *carry, in and out: the byte that follows is escaped. */
static ALWAYS_INLINE size_t string_run(const char *p, size_t n, bool *carry, bool *escaped)
{
    size_t i = 0;
    bool over = *carry, seen = *escaped;
    for (; n - i >= BLOCK; i += BLOCK) {
        struct vec v = vec_load(p + i);
        /* Where escapes are, no branch on whether this block has one: nobody foretells it. */
        if (!seen && vec_quiet(&v)) continue;
        bool pending;
        uint64_t names = escaped_by(vec_eq(&v, '\\'), over, BLOCK, &pending);
        uint64_t odd = vec_low(&v) | (vec_eq(&v, '"') & ~names);
        odd |= names & ~vec_escape_plain(&v);
        if (odd) break;
        seen = true;
        over = pending;
    }
    *carry = over;
    *escaped = seen;
    return i;
}

/* Go on in a string: struct json_simd. */
static enum run_end string_scan(struct json *j, const char *p, size_t n, size_t *used)
{
    struct json_string *s = &j->string;
    size_t i = 0;
    while (i < n) {
        if (s->escape) {
            if (!json_escape_byte(s, p[i], j->offset + i)) {
                j->error = JSON_BAD_ESCAPE;
                *used = i;
                return RUN_BAD;
            }
            i++;
            continue;
        }
        bool closed = false, carry = false;
        if (!s->utf8_due) i += string_run(p + i, n - i, &carry, &s->escaped);
        if (carry) i--;  /* the next block begins at the backslash */
        if (!closed) {
            if (i == n) break;
            unsigned len = n - i < BLOCK ? (unsigned)(n - i) : BLOCK;
            struct vec v = vec_of(p + i, len);
            unsigned fault;
            unsigned stop = string_block(j, &v, p + i, len, j->offset + i, &closed, &fault);
            if (fault < BLOCK) {
                *used = i + fault;
                return RUN_BAD;
            }
            i += stop;
            /* An escape the block cuts starts the next one, if that is sure to hold it. */
            if (!closed && stop < len && n - i < ESCAPE_MAX) {
                bool begun = json_escape_byte(s, p[i], j->offset + i);
                assert(begun);
                i++;
            }
        }
        if (closed) {
            assert(s->utf8_due == 0);
            if (s->half) s->surrogate = true;
            *used = i;
            return RUN_CLOSED;
        }
    }
    *used = n;
    return RUN_OPEN;
}

/* What strings_check() is told of a block. */
struct inside {
    uint64_t str;      /* bytes of strings, quotes left out */
    uint64_t closing;  /* closing quotes */
    uint64_t escaped;  /* bytes behind a backslash, see escaped_by() */
    uint64_t low;      /* control bytes and bytes above 7F */
};

/* Check the contents of the strings in a block at p, n bytes before the piece's end. Out of
 * line: most blocks have nothing to check, and inlined it would push the masks of all others
 * out of registers. A \uXXXX may reach into the next block: a fault there, or the end of the
 * piece, is laid on the last byte of this one, for string_scan() to look at. */
__attribute__((noinline)) static
void strings_check(struct json *j, const char *p, size_t n, struct inside in)
{
    struct vec v = vec_of(p, j->span);
    uint64_t bad_escape = 0, bad_utf8 = 0, escaped = in.escaped & in.str;
    uint64_t high = in.low & in.str ? vec_high(&v) & in.str : 0;
    if (escaped) {
        j->unicode = escaped & vec_eq(&v, 'u');
        bad_escape = escaped & ~(vec_escape_plain(&v) | j->unicode);
        for (uint64_t u = j->unicode; u; u &= u - 1) {
            uint16_t code;
            unsigned pos = lowest(u), stop = hex_stop(p + pos, n - pos, &code);
            if (stop == 5) continue;
            if (stop == 0) stop = BLOCK;  /* the piece ends in it */
            bad_escape |= UINT64_C(1) << (pos + stop < BLOCK ? pos + stop : BLOCK - 1);
        }
    }
    if (high || j->due) {
        uint64_t planes[8];
        vec_planes(&v, planes);
        planes[7] &= in.str;
        bad_utf8 = utf8_faults(planes, in.str | in.closing, j->span, &j->due, &j->due_second);
    }
    enum json_error why = JSON_FINE;
    uint64_t control = in.low & ~high & in.str;
    j->fault = (uint8_t)first_fault(bad_escape, control, bad_utf8, &why);
    j->fault_why = (uint8_t)why;
}

/* Describe the block at p, n >= 1 bytes before the piece's end; `within` a string, whose
 * first byte here is escaped if carry. Gives its tokens. */
static ALWAYS_INLINE uint64_t block_masks(struct json *j, const char *p, size_t n, bool within,
                                          bool carry)
{
    unsigned len = n < BLOCK ? (unsigned)n : BLOCK;
    struct vec v = vec_of(p, len);
    uint64_t valid = below(len);
    uint64_t quote = vec_eq(&v, '"') & valid, escaped = 0;
    uint64_t backslash = vec_eq(&v, '\\') & valid;
    bool pending = false;
    if (backslash || carry) {
        escaped = escaped_by(backslash, carry, len, &pending);
        quote &= ~escaped;
    }
    uint64_t str = (prefix_xor(quote) ^ (within ? ~UINT64_C(0) : 0)) & valid;
    uint64_t use = valid & ~str & ~quote;
    uint64_t low = vec_low(&v), marks = vec_marks(&v) & use & ~low;
    uint64_t words = use & ~(marks | vec_blank(&v));
    j->word_bytes = words;
    j->backslash = backslash;
    j->unicode = 0;
    j->span = (uint8_t)len;
    j->fault = BLOCK;
    j->pending = pending;
    if (!within) j->due = j->due_second = 0;
    if ((low | backslash) & str || (within && (j->due || carry))) {
        struct inside in = {str & ~quote, quote & ~str, escaped, low};
        strings_check(j, p, n, in);
    }
    return marks | quote | (words & ~(words << 1));
}

/* struct json_simd */
static uint64_t block_plain(struct json *j, const char *p, size_t n)
{
    assert(n > 0);
    return block_masks(j, p, n, false, false);
}

/* struct json_simd */
static uint64_t block_inside(struct json *j, const char *p, size_t n, size_t *passed)
{
    bool carry = j->pending;
    size_t run = j->due ? 0 : string_run(p, n, &carry, &j->string.escaped);
    *passed = run;
    return run < n ? block_masks(j, p + run, n - run, true, carry) : 0;
}

#undef EVEN
#endif
