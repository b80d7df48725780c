/* octet.c - the class table. Read by every parser, written by none. */
#include "net/octet.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

/* Shorthands for the table alone; undefined behind it. */
#define T_ OCTET_TOKEN
#define V_ OCTET_TARGET
#define TV (OCTET_TOKEN | OCTET_TARGET)
#define VH (OCTET_TARGET | OCTET_HOST)
#define TVH (OCTET_TOKEN | OCTET_TARGET | OCTET_HOST)
#define L TVH
#define X (TVH | OCTET_HEX)
#define N (TVH | OCTET_HEX | OCTET_DIGIT)
#define C OCTET_CONTROL

/* A registered name may hold a comma by RFC 3986; not here, on purpose: "a,b" may be two
 * Host fields that somebody joined. Percent-encoded names are refused as well. */
const uint8_t octet_class[256] = {
    ['!'] = TVH, ['"'] = V_, ['#'] = T_, ['$'] = TVH, ['%'] = TV, ['&'] = TVH, ['\''] = TVH,
    ['('] = VH, [')'] = VH, ['*'] = TVH, ['+'] = TVH, [','] = V_, ['-'] = TVH, ['.'] = TVH,
    ['/'] = V_,
    ['0'] = N, ['1'] = N, ['2'] = N, ['3'] = N, ['4'] = N, ['5'] = N, ['6'] = N, ['7'] = N,
    ['8'] = N, ['9'] = N,
    [':'] = V_, [';'] = VH, ['<'] = V_, ['='] = VH, ['>'] = V_, ['?'] = V_, ['@'] = V_,
    ['A'] = X, ['B'] = X, ['C'] = X, ['D'] = X, ['E'] = X, ['F'] = X, ['G'] = L, ['H'] = L,
    ['I'] = L, ['J'] = L, ['K'] = L, ['L'] = L, ['M'] = L, ['N'] = L, ['O'] = L, ['P'] = L,
    ['Q'] = L, ['R'] = L, ['S'] = L, ['T'] = L, ['U'] = L, ['V'] = L, ['W'] = L, ['X'] = L,
    ['Y'] = L, ['Z'] = L,
    ['['] = V_, ['\\'] = V_, [']'] = V_, ['^'] = TV, ['_'] = TVH, ['`'] = TV,
    ['a'] = X, ['b'] = X, ['c'] = X, ['d'] = X, ['e'] = X, ['f'] = X, ['g'] = L, ['h'] = L,
    ['i'] = L, ['j'] = L, ['k'] = L, ['l'] = L, ['m'] = L, ['n'] = L, ['o'] = L, ['p'] = L,
    ['q'] = L, ['r'] = L, ['s'] = L, ['t'] = L, ['u'] = L, ['v'] = L, ['w'] = L, ['x'] = L,
    ['y'] = L, ['z'] = L,
    ['{'] = V_, ['|'] = TV, ['}'] = V_, ['~'] = TVH,
    [0] = C, [1] = C, [2] = C, [3] = C, [4] = C, [5] = C, [6] = C, [7] = C, [8] = C,
    [10] = C, [11] = C, [12] = C, [13] = C, [14] = C, [15] = C, [16] = C, [17] = C,
    [18] = C, [19] = C, [20] = C, [21] = C, [22] = C, [23] = C, [24] = C, [25] = C,
    [26] = C, [27] = C, [28] = C, [29] = C, [30] = C, [31] = C, [127] = C,
};

#undef T_
#undef V_
#undef TV
#undef VH
#undef TVH
#undef L
#undef X
#undef N
#undef C

static_assert(sizeof(octet_class) == 256, "every byte value has an entry");

#ifdef __x86_64__
__attribute__((target("avx512bw"))) static struct octet_block look_512(const char *p)
{
    const __m512i v = _mm512_loadu_si512((const void *)p);
    const __m512i letter = _mm512_sub_epi8(_mm512_or_si512(v, _mm512_set1_epi8(0x20)),
                                           _mm512_set1_epi8('a'));
    const __m512i digit = _mm512_sub_epi8(v, _mm512_set1_epi8('0'));
    const uint64_t name = _mm512_cmplt_epu8_mask(letter, _mm512_set1_epi8(26)) |
                          _mm512_cmplt_epu8_mask(digit, _mm512_set1_epi8(10)) |
                          _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('-'));
    const uint64_t low = _mm512_cmplt_epu8_mask(v, _mm512_set1_epi8(0x20)) &
                         _mm512_cmpneq_epi8_mask(v, _mm512_set1_epi8('\t'));
    return (struct octet_block){low | _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8(0x7f)),
                                ~name};
}
#endif

struct octet_block octet_look(const char *p)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512bw")) return look_512(p);
#endif
    struct octet_block b = {0};
#ifdef __SSE2__
    for (unsigned at = 0; at < OCTET_BLOCK; at += OCTET_STRIDE) {
        b.control |= (uint64_t)octet_stride_control(p + at) << at;
        b.nameless |= (uint64_t)octet_stride_nameless(p + at) << at;
    }
#else
    for (unsigned at = 0; at < OCTET_BLOCK; at++) {
        const uint8_t c = (uint8_t)p[at], lower = c | 0x20;
        const bool name = (uint8_t)(lower - 'a') < 26 || (uint8_t)(c - '0') < 10 || c == '-';
        b.control |= (uint64_t)octet_is((char)c, OCTET_CONTROL) << at;
        b.nameless |= (uint64_t)!name << at;
    }
#endif
    return b;
}
