/* json_avx512.c - JSON blocks with AVX-512BW and VBMI2 (which lists tokens): one register a
 * block, masks for free. */
#include "net/json_simd.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(                                                          \
    __attribute__((target("avx2,avx512f,avx512bw,avx512vbmi2,pclmul,bmi,popcnt"))),   \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,avx512f,avx512bw,avx512vbmi2,pclmul,bmi,popcnt")
#endif

struct vec { __m512i all; };

/* c in every byte. */
static ALWAYS_INLINE __m512i all_of(char c)
{
    const char *row = json_row(c);
    return row ? _mm512_load_si512(row) : _mm512_set1_epi8(c);
}

static inline struct vec vec_load(const char *p)
{
    return (struct vec){_mm512_loadu_si512(p)};
}

static inline struct vec vec_load_part(const char *p, unsigned n)
{
    return (struct vec){_mm512_maskz_loadu_epi8((UINT64_C(1) << n) - 1, p)};
}

static inline uint64_t vec_eq(const struct vec *v, char c)
{
    return _mm512_cmpeq_epi8_mask(v->all, all_of(c));
}

/* The bytes { } [ ] : and , (and perhaps some control bytes). */
static inline uint64_t vec_marks(const struct vec *v)
{
    const __m512i table = _mm512_broadcast_i32x4(_mm_setr_epi8(
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ':', '{', ',', '}', 0, 0));
    __m512i up = _mm512_or_si512(v->all, all_of(' '));
    return _mm512_cmpeq_epi8_mask(_mm512_shuffle_epi8(table, v->all), up);
}

/* Equal to c, bit 5 set. */
static inline uint64_t vec_eq_up(const struct vec *v, char c)
{
    __m512i up = _mm512_or_si512(v->all, all_of(' '));
    return _mm512_cmpeq_epi8_mask(up, all_of(c));
}

/* Bit 5: set in { and }, not in [ and ]. */
static inline uint64_t vec_wide(const struct vec *v)
{
    return _mm512_test_epi8_mask(v->all, all_of(' '));
}

/* tokens_list() */
static inline void vec_list(const struct vec *v, uint64_t tokens, const char *p, char *first,
                            uint32_t *at, uint32_t base)
{
    const __m512i places = _mm512_set_epi8(
        63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42,
        41, 40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20,
        19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    (void)p;
    _mm512_storeu_si512(first, _mm512_maskz_compress_epi8(tokens, v->all));
    __m512i pos = _mm512_maskz_compress_epi8(tokens, places);
    __m512i all = _mm512_set1_epi32((int)base);
    __m128i part = _mm512_castsi512_si128(pos);
    _mm512_storeu_si512(at, _mm512_add_epi32(all, _mm512_cvtepu8_epi32(part)));
    if (__builtin_popcountll(tokens) <= 16) return;
    part = _mm512_extracti32x4_epi32(pos, 1);
    _mm512_storeu_si512(at + 16, _mm512_add_epi32(all, _mm512_cvtepu8_epi32(part)));
    part = _mm512_extracti32x4_epi32(pos, 2);
    _mm512_storeu_si512(at + 32, _mm512_add_epi32(all, _mm512_cvtepu8_epi32(part)));
    part = _mm512_extracti32x4_epi32(pos, 3);
    _mm512_storeu_si512(at + 48, _mm512_add_epi32(all, _mm512_cvtepu8_epi32(part)));
}

/* Control bytes, and bytes above 7F. */
static inline uint64_t vec_low(const struct vec *v)
{
    return _mm512_cmplt_epi8_mask(v->all, all_of(' '));
}

static inline uint64_t vec_high(const struct vec *v)
{
    return _mm512_movepi8_mask(v->all);
}

static inline uint64_t vec_blank(const struct vec *v)
{
    const __m512i table = _mm512_broadcast_i32x4(_mm_setr_epi8(
        ' ', 0, 0, 0, 0, 0, 0, 0, 0, '\t', '\n', 0, 0, '\r', 0, 0));
    return _mm512_cmpeq_epi8_mask(_mm512_shuffle_epi8(table, v->all), v->all);
}

/* Letters that may follow a backslash but for u, by their low four bits; b and r share
 * theirs. */
static inline uint64_t vec_escape_plain(const struct vec *v)
{
    const __m512i table = _mm512_broadcast_i32x4(_mm_setr_epi8(
        1, 0, '"', 0, 't', 0, 'f', 0, 0, 0, 0, 0, '\\', 0, 'n', '/'));
    __m512i up = _mm512_or_si512(v->all, _mm512_set1_epi8(0x10));
    return _mm512_cmpeq_epi8_mask(_mm512_shuffle_epi8(table, v->all), v->all) |
           _mm512_cmpeq_epi8_mask(up, _mm512_set1_epi8('r'));
}

/* Neither quote nor backslash nor low nor high. */
static inline bool vec_quiet(const struct vec *v)
{
    return (vec_eq(v, '"') | vec_eq(v, '\\') | vec_low(v)) == 0;
}

static inline void vec_planes(const struct vec *v, uint64_t b[8])
{
    for (int i = 0; i < 8; i++) {
        b[i] = _mm512_test_epi8_mask(v->all, _mm512_set1_epi8((char)(1 << i)));
    }
}

static inline uint64_t prefix_xor(uint64_t m)
{
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)m),
                                           _mm_set1_epi8(-1), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

#define SCAN_NAME json_avx512
#define SCAN_TEXT "avx512"
#include "net/json_scan.h"
#include "net/json_pass.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
