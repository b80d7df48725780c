/* json_scalar.c - JSON blocks in plain C: eight words a block, eight bytes a word. Right on
 * every machine; the other instruction sets are tested against it. */
#include "net/json_simd.h"

enum { WORDS = BLOCK / 8 };

#define EACH UINT64_C(0x0101010101010101)
#define TOPS UINT64_C(0x8080808080808080)

struct vec { uint64_t word[WORDS]; };  /* byte i of memory is bits 8i.. of the word */

static inline struct vec vec_load(const char *p)
{
    struct vec v;
    memcpy(v.word, p, BLOCK);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (int i = 0; i < WORDS; i++) v.word[i] = __builtin_bswap64(v.word[i]);
#endif
    return v;
}

static inline struct vec vec_load_part(const char *p, unsigned n)
{
    char padded[BLOCK] = {0};
    memcpy(padded, p, n);
    return vec_load(padded);
}

/* The top bits of eight bytes, as eight bits: byte i's lands at bit 56 + i of the product,
 * and no two others of its terms meet. */
static inline uint64_t tops_of(uint64_t word)
{
    return ((word & TOPS) >> 7) * UINT64_C(0x0102040810204080) >> 56;
}

/* Top bit of each byte that is zero; exact, no borrow between bytes. */
static inline uint64_t zeros_of(uint64_t word)
{
    return ~(((word & ~TOPS) + ~TOPS) | word) & TOPS;
}

static inline uint64_t vec_eq(const struct vec *v, char c)
{
    uint64_t m = 0;
    for (int i = 0; i < WORDS; i++) {
        m |= tops_of(zeros_of(v->word[i] ^ (EACH * (uint8_t)c))) << (8 * i);
    }
    return m;
}

/* The bytes { } [ ] : and , (and perhaps some control bytes). */
static inline uint64_t vec_marks(const struct vec *v)
{
    uint64_t m = 0;
    for (int i = 0; i < WORDS; i++) {
        uint64_t word = v->word[i], up = word | (EACH * 0x20);
        uint64_t tops = zeros_of(up ^ (EACH * '{')) | zeros_of(up ^ (EACH * '}')) |
                        zeros_of(word ^ (EACH * ':')) | zeros_of(word ^ (EACH * ','));
        m |= tops_of(tops) << (8 * i);
    }
    return m;
}

/* Equal to c, bit 5 set. */
static inline uint64_t vec_eq_up(const struct vec *v, char c)
{
    uint64_t m = 0;
    for (int i = 0; i < WORDS; i++) {
        uint64_t up = v->word[i] | (EACH * 0x20);
        m |= tops_of(zeros_of(up ^ (EACH * (uint8_t)c))) << (8 * i);
    }
    return m;
}

/* Bit 5: set in { and }, not in [ and ]. */
static inline uint64_t vec_wide(const struct vec *v)
{
    uint64_t m = 0;
    for (int i = 0; i < WORDS; i++) m |= tops_of(v->word[i] << 2) << (8 * i);
    return m;
}

/* tokens_list() */
static inline void vec_list(const struct vec *v, uint64_t tokens, const char *p, char *first,
                            uint32_t *at, uint32_t base)
{
    (void)v;
    tokens_list(tokens, p, first, at, base);
}

/* Top bit of each byte that is a control byte or above 7F. */
static inline uint64_t lows_of(uint64_t word)
{
    return (zeros_of(word & (EACH * 0xE0)) | word) & TOPS;
}

/* Control bytes, and bytes above 7F. */
static inline uint64_t vec_low(const struct vec *v)
{
    uint64_t m = 0;
    for (int i = 0; i < WORDS; i++) m |= tops_of(lows_of(v->word[i])) << (8 * i);
    return m;
}

static inline uint64_t vec_high(const struct vec *v)
{
    uint64_t m = 0;
    for (int i = 0; i < WORDS; i++) m |= tops_of(v->word[i]) << (8 * i);
    return m;
}

static inline uint64_t vec_blank(const struct vec *v)
{
    return vec_eq(v, ' ') | vec_eq(v, '\n') | vec_eq(v, '\r') | vec_eq(v, '\t');
}

/* Letters that may follow a backslash but for u. */
static inline uint64_t vec_escape_plain(const struct vec *v)
{
    return vec_eq(v, '"') | vec_eq(v, '\\') | vec_eq(v, '/') | vec_eq(v, 'b') |
           vec_eq(v, 'f') | vec_eq(v, 'n') | vec_eq(v, 'r') | vec_eq(v, 't');
}

/* Neither quote nor backslash nor low nor high. */
static inline bool vec_quiet(const struct vec *v)
{
    uint64_t loud = 0;
    for (int i = 0; i < WORDS; i++) {
        loud |= zeros_of(v->word[i] ^ (EACH * '"')) | zeros_of(v->word[i] ^ (EACH * '\\'));
        loud |= lows_of(v->word[i]);
    }
    return loud == 0;
}

static inline void vec_planes(const struct vec *v, uint64_t b[8])
{
    for (int i = 0; i < 8; i++) {
        b[i] = 0;
        for (int k = 0; k < WORDS; k++) b[i] |= tops_of(v->word[k] << (7 - i)) << (8 * k);
    }
}

static inline uint64_t prefix_xor(uint64_t m)
{
    for (int by = 1; by < 64; by *= 2) m ^= m << by;
    return m;
}

#define SCAN_NAME json_scalar
#define SCAN_TEXT "scalar"
#include "net/json_scan.h"
#include "net/json_pass.h"
