/* octet.h - what each byte may be in HTTP and in URLs: one class table of 256 entries, so
 * that every parser asks with one load and one mask, and the two scans that heads spend
 * their time in. obs-text (0x80 and up, RFC 9110
 * section 5.5) has no class at all: it may stand in field values and nowhere else. */
#ifndef NET_OCTET_H
#define NET_OCTET_H

#include "net/bytes.h"

#ifdef __SSE2__  /* always there on x86-64 */
#include <emmintrin.h>
#endif

enum octet {
    OCTET_TOKEN = 1,    /* tchar (RFC 9110 section 5.6.2) */
    OCTET_TARGET = 2,   /* may stand in a request target: visible ASCII without '#' */
    OCTET_HOST = 4,     /* may stand in a registered name (RFC 3986 section 3.2.2) */
    OCTET_HEX = 8,      /* hexadecimal digit, either case */
    OCTET_CONTROL = 16, /* C0 without HTAB, and DEL: may stand nowhere */
    OCTET_DIGIT = 32,   /* decimal digit */
};

extern const uint8_t octet_class[256];

/* True when byte c has one of the given classes. */
static inline bool octet_is(char c, unsigned classes)
{
    return (octet_class[(uint8_t)c] & classes) != 0;
}

/* Value of a hexadecimal digit (c must be OCTET_HEX), 0..15. */
static inline unsigned octet_hex(char c)
{
    assert(octet_is(c, OCTET_HEX));
    return (unsigned)(c & 15) + (c > '9' ? 9U : 0U);
}

/* How many leading bytes of a have one of the given classes. */
static inline size_t octet_span(struct bytes a, unsigned classes)
{
    size_t n = 0;
    while (n < a.len && octet_is(a.ptr[n], classes)) n++;
    return n;
}

#ifdef __SSE2__
enum { OCTET_STRIDE = 16 };

/* Not zero when one of the OCTET_STRIDE bytes at p is a control byte: then the number of
 * trailing zeros is the position of the first. */
static inline unsigned octet_stride_control(const char *p)
{
    const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    const __m128i tab = _mm_cmpeq_epi8(v, _mm_set1_epi8('\t'));
    const __m128i del = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), del));
}

/* The same for bytes that are no letter, digit or '-'. Those are what field names are made
 * of; the other token bytes are left to the caller. */
static inline unsigned octet_stride_nameless(const char *p)
{
    const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    const __m128i letter = _mm_sub_epi8(_mm_or_si128(v, _mm_set1_epi8(0x20)),
                                        _mm_set1_epi8('a'));
    const __m128i digit = _mm_sub_epi8(v, _mm_set1_epi8('0'));
    const __m128i good = _mm_or_si128(
        _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(25)), letter),
                     _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit)),
        _mm_cmpeq_epi8(v, _mm_set1_epi8('-')));
    return (unsigned)_mm_movemask_epi8(good) ^ 0xffffU;
}
#else
enum { OCTET_STRIDE = 8 };

/* The same for 8 bytes, in any byte order: a word test, and only where it finds something
 * (a tab can be a false alarm) the single bytes. */
static inline unsigned octet_stride_control(const char *p)
{
    const uint64_t ones = UINT64_MAX / 255;
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    const uint64_t low = (v - ones * 0x20) & ~v;
    const uint64_t del = ((v ^ ones * 0x7f) - ones) & ~(v ^ ones * 0x7f);
    if (((low | del) & ones * 0x80) == 0) return 0;
    for (unsigned n = 0; n < OCTET_STRIDE; n++) {
        if (octet_is(p[n], OCTET_CONTROL)) return 1U << n;
    }
    return 0;
}

/* The same, byte by byte. */
static inline unsigned octet_stride_nameless(const char *p)
{
    for (unsigned n = 0; n < OCTET_STRIDE; n++) {
        if (!octet_is(p[n], OCTET_TOKEN)) return 1U << n;
    }
    return 0;
}
#endif

/* What 64 bytes are, a bit each, the first byte in bit 0. */
struct octet_block {
    uint64_t control;   /* OCTET_CONTROL */
    uint64_t nameless;  /* no letter, digit or '-', which is what field names are made of */
};

enum { OCTET_BLOCK = 64 };

/* Look at the OCTET_BLOCK bytes at p, with the widest registers this processor has. */
struct octet_block octet_look(const char *p);

/* Where a line or field value stops: the position of the first control byte at or behind at
 * (HTAB is none), or a.len where there is none. No byte outside of a is read. */
static inline size_t octet_value_end(struct bytes a, size_t at)
{
    assert(at <= a.len);
    for (; a.len - at >= OCTET_STRIDE; at += OCTET_STRIDE) {
        const unsigned found = octet_stride_control(a.ptr + at);
        if (found) return at + (size_t)__builtin_ctz(found);
    }
    while (at < a.len && !octet_is(a.ptr[at], OCTET_CONTROL)) at++;
    return at;
}

/* octet_span for OCTET_TOKEN, fast for field names: how long the token is that a starts
 * with. No byte outside of a is read. */
static inline size_t octet_token_len(struct bytes a)
{
    size_t at = 0;
    while (a.len - at >= OCTET_STRIDE) {
        const unsigned found = octet_stride_nameless(a.ptr + at);
        if (!found) {
            at += OCTET_STRIDE;
            continue;
        }
        at += (size_t)__builtin_ctz(found);
        if (!octet_is(a.ptr[at], OCTET_TOKEN)) return at;
        at++;  /* a rare one such as '_' */
    }
    while (at < a.len && octet_is(a.ptr[at], OCTET_TOKEN)) at++;
    return at;
}

#endif
