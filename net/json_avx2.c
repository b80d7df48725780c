/* json_avx2.c - JSON blocks with AVX2: two registers a block. */
#include "net/json_simd.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(                                                          \
    __attribute__((target("avx2,pclmul,bmi,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,pclmul,bmi,popcnt")
#endif

struct vec { __m256i a, b; };

/* c in every byte. */
static ALWAYS_INLINE __m256i all_of(char c)
{
    const char *row = json_row(c);
    return row ? _mm256_load_si256((const __m256i *)(const void *)row) : _mm256_set1_epi8(c);
}

static inline struct vec vec_load(const char *p)
{
    return (struct vec){_mm256_loadu_si256((const __m256i *)(const void *)p),
                        _mm256_loadu_si256((const __m256i *)(const void *)(p + 32))};
}

static inline struct vec vec_load_part(const char *p, unsigned n)
{
    char padded[BLOCK] = {0};
    memcpy(padded, p, n);
    return vec_load(padded);
}

static inline uint64_t bits_of(__m256i a, __m256i b)
{
    uint64_t high = (uint32_t)_mm256_movemask_epi8(b);
    return high << 32 | (uint32_t)_mm256_movemask_epi8(a);
}

static inline uint64_t vec_eq(const struct vec *v, char c)
{
    __m256i all = all_of(c);
    return bits_of(_mm256_cmpeq_epi8(v->a, all), _mm256_cmpeq_epi8(v->b, all));
}

static inline __m256i marks_of(__m256i half)
{
    const __m256i table = _mm256_broadcastsi128_si256(_mm_setr_epi8(
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ':', '{', ',', '}', 0, 0));
    __m256i up = _mm256_or_si256(half, all_of(' '));
    return _mm256_cmpeq_epi8(_mm256_shuffle_epi8(table, half), up);
}

/* The bytes { } [ ] : and , (and perhaps some control bytes). */
static inline uint64_t vec_marks(const struct vec *v)
{
    return bits_of(marks_of(v->a), marks_of(v->b));
}

/* Equal to c, bit 5 set. */
static inline uint64_t vec_eq_up(const struct vec *v, char c)
{
    __m256i all = all_of(c), up = all_of(' ');
    return bits_of(_mm256_cmpeq_epi8(_mm256_or_si256(v->a, up), all),
                   _mm256_cmpeq_epi8(_mm256_or_si256(v->b, up), all));
}

/* Bit 5: set in { and }, not in [ and ]. */
static inline uint64_t vec_wide(const struct vec *v)
{
    return bits_of(_mm256_slli_epi16(v->a, 2), _mm256_slli_epi16(v->b, 2));
}

/* List the lowest token, and give the others. None: the first byte is listed, for nothing. */
static ALWAYS_INLINE uint64_t list_one(uint64_t tokens, const char *p, char *first,
                                       uint32_t *at, uint32_t base)
{
    uint32_t pos = (uint32_t)_tzcnt_u64(tokens) & (BLOCK - 1);
    *first = p[pos];
    *at = base + pos;
    return _blsr_u64(tokens);
}

/* tokens_list(), without a jump where there are eight or fewer. */
static inline void vec_list(const struct vec *v, uint64_t tokens, const char *p, char *first,
                            uint32_t *at, uint32_t base)
{
    (void)v;
    do {
        tokens = list_one(tokens, p, first, at, base);
        tokens = list_one(tokens, p, first + 1, at + 1, base);
        tokens = list_one(tokens, p, first + 2, at + 2, base);
        tokens = list_one(tokens, p, first + 3, at + 3, base);
        tokens = list_one(tokens, p, first + 4, at + 4, base);
        tokens = list_one(tokens, p, first + 5, at + 5, base);
        tokens = list_one(tokens, p, first + 6, at + 6, base);
        tokens = list_one(tokens, p, first + 7, at + 7, base);
        first += 8;
        at += 8;
    } while (tokens);
}

/* Control bytes, and bytes above 7F. */
static inline uint64_t vec_low(const struct vec *v)
{
    __m256i all = all_of(' ');
    return bits_of(_mm256_cmpgt_epi8(all, v->a), _mm256_cmpgt_epi8(all, v->b));
}

static inline uint64_t vec_high(const struct vec *v)
{
    return bits_of(v->a, v->b);
}

static inline uint64_t vec_blank(const struct vec *v)
{
    const __m256i table = _mm256_broadcastsi128_si256(_mm_setr_epi8(
        ' ', 0, 0, 0, 0, 0, 0, 0, 0, '\t', '\n', 0, 0, '\r', 0, 0));
    return bits_of(_mm256_cmpeq_epi8(_mm256_shuffle_epi8(table, v->a), v->a),
                   _mm256_cmpeq_epi8(_mm256_shuffle_epi8(table, v->b), v->b));
}

static inline __m256i escape_plain(__m256i half)
{
    const __m256i table = _mm256_broadcastsi128_si256(_mm_setr_epi8(
        1, 0, '"', 0, 't', 0, 'f', 0, 0, 0, 0, 0, '\\', 0, 'n', '/'));
    __m256i up = _mm256_or_si256(half, _mm256_set1_epi8(0x10));
    return _mm256_or_si256(_mm256_cmpeq_epi8(_mm256_shuffle_epi8(table, half), half),
                           _mm256_cmpeq_epi8(up, _mm256_set1_epi8('r')));
}

/* Letters that may follow a backslash but for u, by their low four bits; b and r share
 * theirs. */
static inline uint64_t vec_escape_plain(const struct vec *v)
{
    return bits_of(escape_plain(v->a), escape_plain(v->b));
}

static inline __m256i loud(__m256i half)
{
    __m256i quote = _mm256_cmpeq_epi8(half, all_of('"'));
    __m256i backslash = _mm256_cmpeq_epi8(half, all_of('\\'));
    __m256i low = _mm256_cmpgt_epi8(all_of(' '), half);
    return _mm256_or_si256(_mm256_or_si256(quote, backslash), low);
}

/* Neither quote nor backslash nor low nor high. */
static inline bool vec_quiet(const struct vec *v)
{
    __m256i both = _mm256_or_si256(loud(v->a), loud(v->b));
    return _mm256_testz_si256(both, both);
}

/* Shifting pairs of bytes brings bit i of each byte to its top. */
static inline void vec_planes(const struct vec *v, uint64_t b[8])
{
    for (int i = 0; i < 8; i++) {
        b[i] = bits_of(_mm256_slli_epi16(v->a, 7 - i), _mm256_slli_epi16(v->b, 7 - i));
    }
}

static inline uint64_t prefix_xor(uint64_t m)
{
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)m),
                                           _mm_set1_epi8(-1), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

#define SCAN_NAME json_avx2
#define SCAN_TEXT "avx2"
#include "net/json_scan.h"
#include "net/json_pass.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
