/* word.h - a word's number: the hash that the table of keywords is built with (tools/words.c,
 * at build time) and that features.c looks words up by. Words are compared in lower case, by
 * their first sixteen bytes and their length. */
#ifndef ROUTE_WORD_H
#define ROUTE_WORD_H

#include "net/bytes.h"

enum {
    WORD_READ = 16,             /* bytes of a word that are looked at */
    WORD_PLACES = 1024,         /* of the table of keywords, a power of two */
    WORD_SHARED = 4,            /* keywords of one place */
};

struct word_place {
    uint16_t tag[WORD_SHARED];  /* of the words; 0: none */
    uint8_t group[WORD_SHARED]; /* enum word_group */
};

/* A number of a word of len 1 or more. at: WORD_READ bytes can be read there, whatever len is.
 * Letters count as lower case; so do, alike in every text, a few bytes beyond ASCII. */
static inline uint64_t word_hash(const char *at, size_t len)
{
    /* What is behind the word is masked without branches: lengths cannot be foreseen. */
    static const unsigned char window[2 * WORD_READ] = {
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    };
    const unsigned char *kept = window + WORD_READ - (len < WORD_READ ? len : WORD_READ);
    uint64_t a, b, kept_a, kept_b, lower = 0x2020202020202020u;
    memcpy(&a, at, 8);
    memcpy(&b, at + 8, 8);
    memcpy(&kept_a, kept, 8);
    memcpy(&kept_b, kept + 8, 8);
    a = (a | lower) & kept_a;
    b = (b | lower) & kept_b;
    a = (a ^ (uint64_t)len) * 0x9e3779b97f4a7c15u;
    b = (b ^ 0x5851f42d4c957f2du) * 0xd6e8feb86659fd93u;
    a ^= (b << 29 | b >> 35) ^ a >> 32;
    a *= 0xff51afd7ed558ccdu;
    return a ^ a >> 29;
}

/* The place of a keyword with this number, and what it is told from its neighbours by. */
static inline uint32_t word_place(uint64_t hash) { return (uint32_t)(hash % WORD_PLACES); }
/* See word_place(). */
static inline uint16_t word_tag(uint64_t hash) { return (uint16_t)(hash >> 48 | 1); }

#endif
