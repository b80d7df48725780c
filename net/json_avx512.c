/* json_avx512.c - JSON blocks with AVX-512BW: one register a block, masks for free. */
#include "net/json_simd.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(                                                          \
    __attribute__((target("avx2,avx512f,avx512bw,pclmul,bmi,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,avx512f,avx512bw,pclmul,bmi,popcnt")
#endif

struct vec { __m512i all; };

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
    return _mm512_cmpeq_epi8_mask(v->all, _mm512_set1_epi8(c));
}

/* The bytes { } [ ] : and , (and perhaps some control bytes). */
static inline uint64_t vec_marks(const struct vec *v)
{
    const __m512i table = _mm512_broadcast_i32x4(_mm_setr_epi8(
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ':', '{', ',', '}', 0, 0));
    __m512i up = _mm512_or_si512(v->all, _mm512_set1_epi8(0x20));
    return _mm512_cmpeq_epi8_mask(_mm512_shuffle_epi8(table, v->all), up);
}

/* Control bytes, and bytes above 7F. */
static inline uint64_t vec_low(const struct vec *v)
{
    return _mm512_cmplt_epi8_mask(v->all, _mm512_set1_epi8(0x20));
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

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
