/* ledger.h - the ledger of record: rows of requests in blocks by time of admission, the index
 * of request ids that clients made, keys of hourly sums, feedback. All numbers in keys are
 * big-endian, so that order of bytes is order of time. */
#ifndef STORE_LEDGER_H
#define STORE_LEDGER_H

#include "store/db.h"
#include "store/journal.h"

struct block_row;
struct kinds;

enum {
    LEDGER_SPAN_SHIFT = 34,         /* a span is 2^34 ns, 17 seconds, of admission */
    LEDGER_BLOCK_KEY = 16,          /* span (8), number of the block in it, from 0 (8) */
    LEDGER_ID_KEY = 24,             /* key id (8), head of the id's SHA-256 (16) */
    LEDGER_PLACE = 16,              /* admitted ns (8), exchange id (8) */
    LEDGER_HOUR_HEAD = 4 + 8 * UNIT_KINDS,    /* hour, path; then model, NUL, tags */
    LEDGER_HOUR_KEY_MAX = LEDGER_HOUR_HEAD + RECORD_MODEL_MAX + 1 + RECORD_TAGS_MAX,
};
#define LEDGER_HOUR_NS UINT64_C(3600000000000)
#define LEDGER_ROWS_KEPT "rows.kept"       /* in DB_META */
#define LEDGER_HOURS_KEPT "hours.kept"

struct ledger_hour {                /* a key of DB_HOURS, taken apart */
    uint64_t hour;                  /* since 1970 */
    store_id path[UNIT_KINDS];
    const char *model, *tags;       /* in the key's memory; not NUL-ended */
    size_t model_len, tags_len;
};

struct feedback {                   /* a value of DB_FEEDBACK, little-endian */
    uint64_t given_unix_ns;
    uint16_t score;                 /* 0..10000 */
    uint8_t spare[6];               /* zero */
};
static_assert(sizeof(struct feedback) == 16, "feedback layout");

/* Write the key of the aggregate that r belongs to. Gives its length. */
size_t ledger_hour_key(uint8_t out[LEDGER_HOUR_KEY_MAX], const struct record *r);
/* Take such a key apart; *h borrows from it. False when it is none. */
MUST_USE bool ledger_hour_parse(const void *key, size_t len, struct ledger_hour *h);

/* Put rows of RECORD_ATTEMPTs and RECORD_REQUESTs and what leads to them; none of them may be
 * there (ledger_has). Sorts row. kinds: theirs. */
MUST_USE enum store_rc ledger_put(struct db *db, MDB_txn *txn, struct kinds *kinds,
                                  struct block_row *row, size_t count);
/* Retention deleted what is older than `kept`, and that is written down: name LEDGER_ROWS_KEPT,
 * in ns of admission, or LEDGER_HOURS_KEPT, in hours. What is left of earlier times is not all
 * of them. */
MUST_USE enum store_rc ledger_mark_kept(struct db *db, MDB_txn *txn, const char *name,
                                        uint64_t kept);
/* Is there a row of that place? part: block_part. STORE_OK or STORE_NOT_FOUND. Does not
 * allocate. */
MUST_USE enum store_rc ledger_has(struct db *db, MDB_txn *txn, uint64_t admitted_unix_ns,
                                  uint64_t exchange_id, uint32_t part);
/* The row of such a place: STORE_OK and *r, or STORE_NOT_FOUND. */
MUST_USE enum store_rc ledger_get(struct db *db, MDB_txn *txn, uint64_t admitted_unix_ns,
                                  uint64_t exchange_id, uint32_t part, struct record *r);
/* Does the index of request ids lead to rows like this one? Then *name is where it stands. */
MUST_USE bool ledger_id_name(const struct record *r, uint8_t name[LEDGER_ID_KEY]);
/* Delete the oldest blocks whose span ended before before_unix_ns, with all that leads to
 * their rows and the feedback on them, until max rows went or no such block is left; adds the
 * rows to *deleted. */
MUST_USE enum store_rc ledger_expire(struct db *db, MDB_txn *txn, uint64_t before_unix_ns,
                                     uint64_t max, uint64_t *deleted);
/* The newest request row of that key and request id (len bytes): STORE_OK and *r, or
 * STORE_NOT_FOUND. Does not allocate: cores call it. An id made by Weir is looked for where
 * its time says, any other by the index. */
MUST_USE enum store_rc ledger_find(struct db *db, MDB_txn *txn, store_id key,
                                   const char *request_id, size_t len, struct record *r);
/* Visit rows admitted at or after from_ns and before to_ns, in no order; blocks without any row
 * of unit (0: everybody's) are passed over, other rows in the rest are not. visit answers
 * STORE_OK to go on. Gives its last answer, or what failed. */
MUST_USE enum store_rc ledger_each(struct db *db, MDB_txn *txn, uint64_t from_ns,
                                   uint64_t to_ns, store_id unit,
                                   enum store_rc (*visit)(const struct record *r, void *arg),
                                   void *arg);

/* A walk over rows from the newest down, span by span. */
struct ledger_down {                /* all zero but db, txn and unit is a new one */
    struct db *db;                  /* borrowed, with txn */
    MDB_txn *txn;
    store_id unit;                  /* as in ledger_each */
    struct ledger_run *run;         /* private: blocks of the span, the one with the newest
                                     * row on top */
    size_t count, max;
};
/* Step to the newest span that holds rows and does not begin after unix_ns: *span_ns out, when
 * it begins. Nothing is read of it. STORE_OK or STORE_NOT_FOUND. */
MUST_USE enum store_rc ledger_down_span(struct ledger_down *d, uint64_t unix_ns,
                                        uint64_t *span_ns);
/* Read a span that ledger_down_span gave: ledger_down_next then gives its rows before the place
 * (admitted, exchange). */
MUST_USE enum store_rc ledger_down_load(struct ledger_down *d, uint64_t span_ns,
                                        uint64_t admitted_unix_ns, uint64_t exchange_id);
/* The next row of the span. STORE_OK and *r, or STORE_NOT_FOUND. */
MUST_USE enum store_rc ledger_down_next(struct ledger_down *d, struct record *r);
/* Free what d holds. */
void ledger_down_fini(struct ledger_down *d);

/* Put the outcome of an exchange; a later one replaces it. */
MUST_USE enum store_rc ledger_put_feedback(struct db *db, MDB_txn *txn, uint64_t exchange_id,
                                           const struct record *r);

#endif
