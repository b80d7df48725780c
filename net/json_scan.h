/* json_scan.h - the block scanner of JSON, written once and compiled per instruction set:
 * json_<set>.c defines struct vec (64 bytes), the vec_ functions and prefix_xor, SCAN_NAME,
 * then includes this file.
 *
 * Model: bit i of a mask speaks of byte i of a block. A block always begins outside a
 * string: it is laid where the last string, word or block ended, not on a fixed grid, so
 * no mask carries into the next block. Runs are crossed by addition: a bit added at the
 * start of a run of ones comes out behind it.
 *
 * CORRECTNESS, partial blocks at a cut. A piece's last block may have 1..63 bytes: it is
 * scanned padded with zeros and every mask is limited to the bytes that exist. Nothing of a
 * block outlives its piece but the grammar's state (enum json_state, which is exact at any
 * token boundary), the container bits, and at most one token in the middle:
 *   a string  goes on in string_scan(), whose state between bytes is escape/code (an escape
 *             sequence cut anywhere, stepped by single bytes) and utf8_due/utf8_second (the
 *             continuation bytes that the last lead byte still wants);
 *   a word    goes on in json_word_run(), a state machine by bytes.
 * Inside a piece an escape sequence that crosses a block's end makes the next string block
 * begin at its backslash. Where masks may hold nonsense (right of a fault, e.g. behind a
 * backslash outside strings) only the leftmost fault counts, and every mask depends on
 * bytes to its left alone. So a byte is judged the same wherever blocks and pieces begin. */
#ifndef NET_JSON_SCAN_H
#define NET_JSON_SCAN_H

#include "net/json_simd.h"

enum { ESCAPE_MAX = 6 };         /* bytes: \uXXXX */

#define EVEN UINT64_C(0x5555555555555555)

/* What one block of structure shows; everything is limited to bytes before `limit`. */
struct masks {
    uint64_t opening, closing;  /* quotes of strings */
    uint64_t str;               /* closed strings: opening quote up to the closing one */
    uint64_t open, close, comma, colon, blank, word;
    uint64_t backslash, unicode;
    uint64_t valid;             /* bytes of the block in use, the unclosed quote included */
    uint64_t unclosed;          /* opening quote of a string that outlives the block, or 0 */
    unsigned span;              /* bytes in use */
    unsigned fault;             /* first bad byte in a closed string; BLOCK none */
    enum json_error fault_why;
};

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

/* Move each mark that stands at the start of a run behind that run. */
static inline uint64_t across(uint64_t marks, uint64_t runs)
{
    return (marks + runs) & ~runs;
}

/* m moved up or down by a signed distance. */
static inline uint64_t shifted(uint64_t m, int up)
{
    return up >= 0 ? m << up : m >> -up;
}

/* Bytes that a backslash escapes, escaped backslashes left out: what follows a run of odd
 * length. *pending: such a run reaches the end of len bytes. */
static inline uint64_t escaped_by(uint64_t backslash, unsigned len, bool *pending)
{
    uint64_t starts = backslash & ~(backslash << 1);
    uint64_t odd_ends;
    bool over = __builtin_add_overflow(backslash, starts & ~EVEN, &odd_ends);
    uint64_t even_ends = backslash + (starts & EVEN);
    uint64_t escaped = ((even_ends & ~EVEN) | (odd_ends & EVEN)) & ~backslash;
    *pending = len == BLOCK ? over : (escaped >> len & 1) != 0;
    return escaped;
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
    uint64_t faults = escaped & ~vec_escape_names(v);
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
        escaped = escaped_by(backslash, len, &pending);
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

/* The common case of a string, a whole block at a time: no byte outside printable ASCII, no
 * \u, no escape across the block's end. Gives how many of the n bytes are done: up to the
 * closing quote (*closed), or to the first block that needs string_block(). */
static inline size_t string_run(struct json *j, const char *p, size_t n, bool *closed)
{
    size_t i = 0;
    for (; n - i >= BLOCK; i += BLOCK) {
        struct vec v = vec_load(p + i);
        if (vec_quiet(&v)) continue;
        if (vec_low(&v)) break;
        uint64_t quote = vec_eq(&v, '"'), backslash = vec_eq(&v, '\\');
        bool pending;
        uint64_t escaped = escaped_by(backslash, BLOCK, &pending);
        quote &= ~escaped;
        uint64_t inside = quote ? quote ^ (quote - 1) : ~UINT64_C(0);
        uint64_t odd = escaped & ~(vec_escape_names(&v) & ~vec_eq(&v, 'u'));
        if ((odd & inside) || (pending && !quote)) break;
        if (backslash & inside) j->string.escaped = true;
        if (!quote) continue;
        *closed = true;
        return i + lowest(quote);
    }
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
        bool closed = false;
        if (!s->utf8_due) i += string_run(j, p + i, n - i, &closed);
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

/* Check the closed strings of a block. Out of line: most blocks have nothing to check, and
 * inlined it would push the masks of all others out of registers. */
__attribute__((noinline)) static
void string_faults(struct masks *m, const struct vec *v, const char *p, uint64_t escaped,
                   uint64_t low)
{
    uint64_t inside = m->str & ~m->opening;
    uint64_t bad_escape = 0, bad_utf8 = 0, high = low & inside ? vec_high(v) : 0;
    if (escaped & inside) {
        bad_escape = escaped & inside & ~vec_escape_names(v);
        m->unicode = escaped & inside & vec_eq(v, 'u');
        for (uint64_t u = m->unicode; u; u &= u - 1) {
            uint16_t code;
            unsigned pos = lowest(u), stop = hex_stop(p + pos, m->span - pos, &code);
            if (stop < 5) bad_escape |= UINT64_C(1) << (pos + stop);
        }
    }
    if (high & inside) {
        uint8_t due = 0, second = 0;
        uint64_t planes[8];
        vec_planes(v, planes);
        planes[7] &= inside;
        bad_utf8 = utf8_faults(planes, inside | m->closing, m->span, &due, &second);
    }
    m->fault = first_fault(bad_escape, low & ~high & inside, bad_utf8, &m->fault_why);
}

/* Describe the block at p, which begins outside a string. n >= 1 bytes follow p. */
__attribute__((always_inline)) static inline
void masks_of(struct masks *m, const char *p, size_t n)
{
    unsigned len = n < BLOCK ? (unsigned)n : BLOCK;
    struct vec v = vec_of(p, len);
    uint64_t quote = vec_eq(&v, '"') & below(len), escaped = 0;
    m->backslash = vec_eq(&v, '\\') & below(len);
    if (m->backslash) {
        bool pending;
        escaped = escaped_by(m->backslash, len, &pending);
        quote &= ~escaped;
    }
    m->str = prefix_xor(quote);
    m->opening = quote & m->str;
    m->closing = quote & ~m->str;
    m->unclosed = 0;
    m->span = len;
    m->valid = below(len);
    if (m->str >> (BLOCK - 1)) {  /* an odd number of quotes */
        unsigned pos = BLOCK - 1 - (unsigned)__builtin_clzll(quote);
        m->unclosed = UINT64_C(1) << pos;
        m->span = pos + 1;
        m->valid = below(pos + 1);
        m->str &= below(pos);
    }
    uint64_t use = m->valid & ~m->str & ~quote;
    m->open = vec_eq20(&v, '{') & use;
    m->close = vec_eq20(&v, '}') & use;
    m->comma = vec_eq(&v, ',') & use;
    m->colon = vec_eq(&v, ':') & use;
    m->blank = vec_blank(&v) & use;
    m->word = use & ~(m->open | m->close | m->comma | m->colon | m->blank);
    m->unicode = 0;
    m->fault = BLOCK;
    m->fault_why = JSON_FINE;
    uint64_t low = vec_low(&v);
    if ((low | m->backslash) & m->str) string_faults(m, &v, p, escaped, low);
}

/* First byte of every token: a string's opening quote, a word's first byte, punctuation. */
static inline uint64_t starts_of(const struct masks *m)
{
    uint64_t words = m->word & ~(m->word << 1);
    return m->open | m->close | m->comma | m->colon | m->opening | words;
}

/* Hand the block over to json_next, from offset base on, tokens from bit `from` on. */
static inline void give_block(struct json *j, const struct masks *m, uint64_t base,
                              uint64_t from)
{
    j->base = base;
    j->tokens = (starts_of(m) | m->closing) & from;
    j->backslash = m->backslash;
    j->unicode = m->unicode;
    j->span = (uint8_t)m->span;
    j->fault = (uint8_t)m->fault;
    j->fault_why = (uint8_t)m->fault_why;
}

/* struct json_simd */
static void block_index(struct json *j, const char *p, size_t n)
{
    assert(n > 0);
    struct masks m;
    masks_of(&m, p, n);
    give_block(j, &m, j->offset, ~UINT64_C(0));
}

/* Bits for which the innermost container is an object, from each bracket's next byte on.
 * Enters and leaves containers up to the end of the skipped one (*end), or the first
 * bracket that has no place (*fault). */
static inline uint64_t objects_of(struct json *j, const struct masks *m, const char *p,
                                  unsigned *end, unsigned *fault, enum json_error *why)
{
    bool now = json_in_object(j);
    uint64_t objects = now ? ~UINT64_C(0) : 0;
    for (uint64_t left = m->open | m->close; left; left &= left - 1) {
        unsigned pos = lowest(left);
        bool object = p[pos] & 0x20;  /* { } and not [ ] */
        if (m->open >> pos & 1) {
            if (!json_push(j, object)) {
                *fault = pos;
                *why = JSON_TOO_DEEP;
                break;
            }
        } else {
            if (object != now) {
                *fault = pos;
                break;
            }
            json_pop(j);
            if (j->depth == j->skip_depth) {
                *end = pos;
                break;
            }
        }
        if (json_in_object(j) == now) continue;
        now = !now;
        objects ^= ~UINT64_C(1) << pos;
    }
    return objects;
}

/* Tokens that the grammar has no place for (RFC 8259 sections 2, 4, 5), matching of
 * brackets aside. `objects` as objects_of() gave it. Gives in *keys the closing quotes of
 * keys, and the unclosed quote if it opens one. */
static inline uint64_t grammar_faults(const struct masks *m, uint64_t objects,
                                      unsigned state, uint64_t *keys)
{
    uint64_t starts = starts_of(m);
    uint64_t ended = ((m->closing | m->close) << 1) | ((m->word << 1) & ~m->word);
    ended |= state == STATE_AFTER || state == STATE_COLON;
    uint64_t behind = across(ended, m->blank);  /* what follows a value or a key */
    uint64_t opening = m->opening | m->unclosed;
    uint64_t fault = behind & starts & ~(m->comma | m->colon | m->close);
    fault |= (m->comma | m->colon) & ~behind;
    uint64_t lone = m->close & ~behind;         /* right only in an empty container */
    if (lone) {
        uint64_t first = state == STATE_FIRST_KEY || state == STATE_FIRST_VALUE;
        fault |= lone & ~across((m->open << 1) | first, m->blank);
    }
    uint64_t due = ((m->open | m->comma) << 1) & objects;
    due |= state == STATE_FIRST_KEY || state == STATE_KEY;
    due = across(due, m->blank);                /* where a key must stand */
    fault |= due & ~(opening | m->close);
    uint64_t names = due & opening;
    uint64_t ends = across(names & ~m->unclosed, m->str) & m->closing;
    uint64_t colon_due = across((ends << 1) | (state == STATE_COLON), m->blank);
    fault |= colon_due ^ m->colon;
    *keys = ends | (names & m->unclosed);
    return fault & m->valid;
}

/* The state behind a block that ended within the skipped container. */
static inline unsigned state_behind(const struct json *j, const struct masks *m,
                                    uint64_t keys, const char *p)
{
    uint64_t tokens = (starts_of(m) & ~m->unclosed) | m->closing;
    if (!tokens) return j->state;
    unsigned last = BLOCK - 1 - (unsigned)__builtin_clzll(tokens);
    switch (p[last]) {
    case '{': return STATE_FIRST_KEY;
    case '[': return STATE_FIRST_VALUE;
    case ':': return STATE_VALUE;
    case ',': return json_in_object(j) ? STATE_KEY : STATE_VALUE;
    default: return keys >> last & 1 ? STATE_COLON : STATE_AFTER;
    }
}

/* Check the words that begin before bit `limit` of the block at p. *used, at entry the
 * block's span, grows to where a word that outlives the block ends. */
static inline enum run_end words_check(struct json *j, uint64_t words, unsigned limit,
                                       const char *p, size_t n, size_t *used)
{
    for (words &= below(limit); words; words &= words - 1) {
        unsigned pos = lowest(words);
        size_t run = 0;
        if (!json_word_begin(&j->word, p[pos])) {
            *used = pos;
            j->error = JSON_BAD_SYNTAX;
            return RUN_BAD;
        }
        enum run_end end = json_word_run(j, p + pos, n - pos, &run);
        run += pos;
        if (end == RUN_CLOSED) {
            if (run < n && json_word_byte(p[run])) end = RUN_BAD;  /* "truex" */
            if (end == RUN_BAD) j->error = JSON_BAD_SYNTAX;
        }
        if (end != RUN_CLOSED || run > *used) *used = run;
        if (end != RUN_CLOSED) return end;
    }
    return RUN_CLOSED;
}

/* Check one block of the skipped container. */
static inline enum json_step skip_block(struct json *j, struct bytes *in)
{
    struct masks m;
    masks_of(&m, in->ptr, in->len);
    const char *p = in->ptr;
    unsigned end = BLOCK, fault = BLOCK;
    enum json_error why = JSON_BAD_SYNTAX;
    uint64_t keys;
    uint64_t objects = objects_of(j, &m, p, &end, &fault, &why);
    unsigned syntax = lowest(grammar_faults(&m, objects, j->state, &keys));
    if (syntax <= fault && syntax < BLOCK) {
        fault = syntax;
        why = JSON_BAD_SYNTAX;
    }
    if (m.fault < fault) {
        fault = m.fault;
        why = m.fault_why;
    }
    if (fault > end) fault = BLOCK;
    unsigned limit = fault < end ? fault : end;
    size_t used = m.span;
    uint64_t words = m.word & ~(m.word << 1);
    enum run_end run = words_check(j, words, limit, p, in->len, &used);
    if (run == RUN_BAD) return json_refuse(j, (enum json_error)j->error, j->offset + used);
    if (fault < BLOCK) return json_refuse(j, why, j->offset + fault);
    if (end < BLOCK) {
        j->state = j->depth ? STATE_AFTER : STATE_DONE;
        give_block(j, &m, j->offset, ~below(end + 1));
        json_eat(j, in, end + 1);
        return STEP_ON;
    }
    j->state = (uint8_t)state_behind(j, &m, keys, p);
    if (run == RUN_OPEN) j->partial = PARTIAL_WORD;
    if (m.unclosed) {
        j->partial = PARTIAL_STRING;
        j->string = (struct json_string){0};
        if (keys & m.unclosed) j->state = STATE_KEY;
    }
    json_eat(j, in, used);
    return STEP_ON;
}

/* struct json_simd */
static enum json_step container_skip(struct json *j, struct bytes *in)
{
    assert(json_skipping(j));
    assert(j->partial == PARTIAL_NONE);
    j->tokens = 0;
    j->span = 0;
    while (json_skipping(j)) {
        if (in->len == 0) return STEP_MORE;
        if (skip_block(j, in) == STEP_BAD) return STEP_BAD;
        if (j->partial == PARTIAL_NONE) continue;
        if (j->partial == PARTIAL_WORD || in->len == 0) return STEP_ON;
        size_t used;
        enum run_end run = string_scan(j, in->ptr, in->len, &used);
        if (run == RUN_BAD) {
            return json_refuse(j, (enum json_error)j->error, j->offset + used);
        }
        json_eat(j, in, run == RUN_CLOSED ? used + 1 : used);
        if (run == RUN_OPEN) return STEP_MORE;
        j->partial = PARTIAL_NONE;
        j->state = j->state == STATE_KEY ? STATE_COLON : STATE_AFTER;
    }
    return STEP_ON;
}

const struct json_simd SCAN_NAME = {
    .name = SCAN_TEXT,
    .index = block_index,
    .string = string_scan,
    .skip = container_skip,
};

#undef EVEN
#endif
