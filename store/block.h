/* block.h - many request rows in one value of the store: some 50 bytes a row instead of 512.
 * A block is written once, from sorted rows; its rows are read one by one, in any order,
 * without unpacking the rest and without memory of its own. What rows have in common (who,
 * which model at which price, how it ended) stands once, as a kind. */
#ifndef STORE_BLOCK_H
#define STORE_BLOCK_H

#include "store/journal.h"

enum {
    BLOCK_HEAD = 40,            /* bytes before the kinds */
    BLOCK_KIND_MAX = 384,       /* most bytes of a kind, its entry in the directory included */
    BLOCK_ROW_MAX = 200,        /* most bytes of a row, likewise, and its origin's */
    BLOCK_ROWS_MAX = 1 << 20,   /* rows of one block, so that it stays below 1 GiB */
    BLOCK_OWN_ID = 28,          /* bytes of a request id made by Weir: "req_" and 24 digits */
};

struct kinds;       /* kinds.h */

/* ---- writing */

struct block_row {                  /* a row to be written */
    uint64_t admitted_unix_ns, exchange_id;   /* of the record: the order of rows */
    uint32_t part;                  /* block_part(): the third part of that order */
    uint32_t kind;                  /* of the kinds it is written with */
    const struct record *record;    /* borrowed */
};

/* The third part of a row's place: attempts by nth, the end of a request behind them. */
uint32_t block_part(const struct record *r);

/* The row of a record, its kind not known yet; r borrows. */
static inline struct block_row block_row_of(const struct record *r)
{
    return (struct block_row){r->admitted_unix_ns, r->exchange_id, block_part(r), 0, r};
}

/* True when a comes before b: by time of admission, exchange, part. */
static inline bool block_row_before(const struct block_row *a, const struct block_row *b)
{
    if (a->admitted_unix_ns != b->admitted_unix_ns) {
        return a->admitted_unix_ns < b->admitted_unix_ns;
    }
    if (a->exchange_id != b->exchange_id) return a->exchange_id < b->exchange_id;
    return a->part < b->part;
}

/* Sort rows by that order. spare: room for as many. Rows that are in order, or nearly, cost
 * little. */
void block_sort(struct block_row *row, struct block_row *spare, size_t count);
/* Most bytes that block_write may need for so many rows with these kinds. */
size_t block_room(const struct kinds *k, size_t count);
/* Write sorted rows, 1..BLOCK_ROWS_MAX, to out, which has block_room bytes; their kinds are of
 * k. Gives the length. */
size_t block_write(struct kinds *k, const struct block_row *row, size_t count, uint8_t *out);

/* ---- reading: no memory, any thread */

struct block {                      /* fields may be read */
    const uint8_t *at;              /* borrowed; aligned to nothing */
    size_t len, directory;          /* bytes; where the directory begins */
    uint32_t count, kind_count, origin_count;
    uint64_t first_ns, last_ns;     /* admission of the first and of the last row */
};

/* Take a value apart; *b borrows from data. False: no block of this version. What block_open
 * took can be read to its end whatever lies in it. */
MUST_USE bool block_open(struct block *b, const void *data, size_t len);
/* True when the checksum is right. Reads all of it. */
bool block_is_sound(const struct block *b);
/* Row idx (below count), every field but crc, which is 0. False: damaged. */
MUST_USE bool block_row_read(const struct block *b, uint32_t idx, struct record *r);
/* Rows before the given place: 0..count. What lies there is the first that is not before. */
uint32_t block_lower(const struct block *b, uint64_t admitted_unix_ns, uint64_t exchange_id,
                     uint32_t part);
/* True when a row may be of that unit (its path holds it); 0 is everybody's. */
bool block_may_hold(const struct block *b, store_id unit);

/* The millisecond (since 1970) in an id of len bytes made by Weir. False: it is none. */
MUST_USE bool block_own_id(const char *id, size_t len, uint64_t *unix_ms);
/* True when a record's request id is Weir's own and of the record's millisecond of admission:
 * then the time in the id leads to the row, and no index is needed. */
bool block_id_leads(const struct record *r);

#endif
