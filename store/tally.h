/* tally.h - sums over requests that share something: counters and a histogram of times to the
 * first token. fold.c keeps one per hour, path, model and tags in DB_HOURS; usage.c adds them
 * up by whatever is asked for. */
#ifndef STORE_TALLY_H
#define STORE_TALLY_H

#include "store/journal.h"

enum {
    TALLY_BINS = 464,           /* of the histogram: 0..2^32-1 us, 16 to an octave */
    TALLY_BYTES_MAX = 6144,     /* of a written tally */
};

struct tally_bin {
    uint32_t idx;               /* 0..TALLY_BINS-1 */
    uint64_t count;             /* 1.. */
};

struct tally {                  /* all zero is an empty one */
    uint64_t requests, errors, fallbacks;
    uint64_t tokens[TOKEN_KINDS];
    int64_t cost_nusd;
    uint64_t ttft_us_sum, ttft_count;
    uint64_t output_us_sum;     /* time after the first token */
    struct tally_bin *bin;      /* bins that are not empty, ascending; heap */
    uint32_t bin_count, bin_max;
};

/* Sum of two costs. 9 billion dollars fit; one beyond stays there, it never turns negative. */
int64_t tally_cost(int64_t a, int64_t b);
/* Free what t holds; it is empty again. */
void tally_fini(struct tally *t);
/* Add one record: a RECORD_ATTEMPT its tokens and cost, a RECORD_REQUEST all. False without
 * memory. */
MUST_USE bool tally_record(struct tally *t, const struct record *r);
/* Add a written tally. STORE_FAIL: those bytes are none; STORE_FULL: no memory. t is then
 * good for nothing but tally_fini. */
MUST_USE enum store_rc tally_read(struct tally *t, const void *data, size_t len);
/* Write t in few bytes. Gives their number. */
size_t tally_write(const struct tally *t, uint8_t out[TALLY_BYTES_MAX]);
/* The time below which `percent` (1..100) of the first tokens came, us, within 5 %; 0 where
 * there were none. */
uint32_t tally_percentile(const struct tally *t, unsigned percent);

/* Tallies by key, a string of bytes. */
struct tallies_entry {
    const uint8_t *key;         /* in the map's memory */
    size_t key_len;
    uint64_t hash;
    uint32_t number;            /* what tallies_at gave, also after tallies_sort */
    struct tally tally;
};

struct tallies {                /* all zero is an empty map; entry and count may be read */
    struct tallies_entry *entry;
    size_t count, entry_max;
    uint32_t *slot;             /* open addressing: index of an entry + 1, 0 free */
    size_t slot_count;          /* a power of two, or 0 */
    struct tallies_block *block;   /* where the keys lie */
};

/* Free everything; the map is empty again. */
void tallies_fini(struct tallies *m);
/* The tally of that key (copied, 1..512 bytes), made empty where there was none: its index in
 * m->entry, which stays until tallies_sort. False without memory. */
MUST_USE bool tallies_at(struct tallies *m, const void *key, size_t len, uint32_t *idx);
/* Order m->entry by key, bytewise. No tallies_at may follow. */
void tallies_sort(struct tallies *m);

#endif
