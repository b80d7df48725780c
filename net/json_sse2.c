/* json_sse2.c - JSON blocks with what every x86-64 has: four registers a block. */
#include "net/json_simd.h"

#if defined(__x86_64__)
#include <emmintrin.h>

struct vec { __m128i part[4]; };

static inline struct vec vec_load(const char *p)
{
    struct vec v;
    for (int i = 0; i < 4; i++) {
        v.part[i] = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
    }
    return v;
}

static inline struct vec vec_load_part(const char *p, unsigned n)
{
    char padded[BLOCK] = {0};
    memcpy(padded, p, n);
    return vec_load(padded);
}

static inline uint64_t bits_of(const struct vec *v)
{
    uint64_t m = 0;
    for (int i = 0; i < 4; i++) {
        m |= (uint64_t)(uint32_t)_mm_movemask_epi8(v->part[i]) << (16 * i);
    }
    return m;
}

static inline uint64_t vec_eq(const struct vec *v, char c)
{
    struct vec m;
    for (int i = 0; i < 4; i++) m.part[i] = _mm_cmpeq_epi8(v->part[i], _mm_set1_epi8(c));
    return bits_of(&m);
}

/* The bytes { } [ ] : and , (and perhaps some control bytes). */
static inline uint64_t vec_marks(const struct vec *v)
{
    struct vec m;
    for (int i = 0; i < 4; i++) {
        __m128i up = _mm_or_si128(v->part[i], _mm_set1_epi8(0x20));
        __m128i brackets = _mm_or_si128(_mm_cmpeq_epi8(up, _mm_set1_epi8('{')),
                                        _mm_cmpeq_epi8(up, _mm_set1_epi8('}')));
        __m128i others = _mm_or_si128(_mm_cmpeq_epi8(v->part[i], _mm_set1_epi8(':')),
                                      _mm_cmpeq_epi8(v->part[i], _mm_set1_epi8(',')));
        m.part[i] = _mm_or_si128(brackets, others);
    }
    return bits_of(&m);
}

/* Equal to c, bit 5 set. */
static inline uint64_t vec_eq_up(const struct vec *v, char c)
{
    struct vec m;
    for (int i = 0; i < 4; i++) {
        __m128i up = _mm_or_si128(v->part[i], _mm_set1_epi8(0x20));
        m.part[i] = _mm_cmpeq_epi8(up, _mm_set1_epi8(c));
    }
    return bits_of(&m);
}

/* Bit 5: set in { and }, not in [ and ]. */
static inline uint64_t vec_wide(const struct vec *v)
{
    struct vec m;
    for (int i = 0; i < 4; i++) m.part[i] = _mm_slli_epi16(v->part[i], 2);
    return bits_of(&m);
}

/* tokens_list() */
static inline void vec_list(const struct vec *v, uint64_t tokens, const char *p, char *first,
                            uint32_t *at, uint32_t base)
{
    (void)v;
    tokens_list(tokens, p, first, at, base);
}

/* Control bytes, and bytes above 7F. */
static inline uint64_t vec_low(const struct vec *v)
{
    struct vec m;
    for (int i = 0; i < 4; i++) m.part[i] = _mm_cmplt_epi8(v->part[i], _mm_set1_epi8(0x20));
    return bits_of(&m);
}

static inline uint64_t vec_high(const struct vec *v)
{
    return bits_of(v);
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
    __m128i loud = _mm_setzero_si128();
    for (int i = 0; i < 4; i++) {
        __m128i quote = _mm_cmpeq_epi8(v->part[i], _mm_set1_epi8('"'));
        __m128i backslash = _mm_cmpeq_epi8(v->part[i], _mm_set1_epi8('\\'));
        __m128i low = _mm_cmplt_epi8(v->part[i], _mm_set1_epi8(0x20));
        loud = _mm_or_si128(loud, _mm_or_si128(_mm_or_si128(quote, backslash), low));
    }
    return _mm_movemask_epi8(loud) == 0;
}

/* Shifting pairs of bytes brings bit i of each byte to its top. */
static inline void vec_planes(const struct vec *v, uint64_t b[8])
{
    for (int i = 0; i < 8; i++) {
        struct vec m;
        for (int k = 0; k < 4; k++) m.part[k] = _mm_slli_epi16(v->part[k], 7 - i);
        b[i] = bits_of(&m);
    }
}

static inline uint64_t prefix_xor(uint64_t m)
{
    for (int by = 1; by < 64; by *= 2) m ^= m << by;
    return m;
}

#define SCAN_NAME json_sse2
#define SCAN_TEXT "sse2"
#include "net/json_scan.h"
#include "net/json_pass.h"

#endif
