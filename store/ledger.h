/* ledger.h - rows of the ledger of record: how the keys of DB_REQUESTS, DB_BY_REQUEST,
 * DB_HOURS and DB_FEEDBACK are written, and the one way in which a row and its index entries
 * come and go together. All numbers in keys are big-endian, so that order of bytes is order of
 * time. */
#ifndef STORE_LEDGER_H
#define STORE_LEDGER_H

#include "store/db.h"
#include "store/journal.h"

enum {
    LEDGER_ROW_KEY = 20,            /* admitted ns (8), exchange id (8), part (4) */
    LEDGER_BY_REQUEST_KEY = 24,     /* key id (8), kind (1), the id packed or hashed (15) */
    LEDGER_BY_EXCHANGE_KEY = 16,    /* 0 (8: no key has that id), exchange id (8) */
    LEDGER_HOUR_HEAD = 4 + 8 * UNIT_KINDS,    /* hour, path; then model, NUL, tags */
    LEDGER_HOUR_KEY_MAX = LEDGER_HOUR_HEAD + RECORD_MODEL_MAX + 1 + RECORD_TAGS_MAX,
};
#define LEDGER_PART_END UINT32_MAX       /* part of a RECORD_REQUEST: behind its attempts */
#define LEDGER_HOUR_NS UINT64_C(3600000000000)

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

/* Write the key of a row. */
void ledger_row_key(uint8_t out[LEDGER_ROW_KEY], uint64_t admitted_unix_ns,
                    uint64_t exchange_id, uint32_t part);
/* Write the key of the aggregate that r belongs to. Gives its length. */
size_t ledger_hour_key(uint8_t out[LEDGER_HOUR_KEY_MAX], const struct record *r);
/* Take such a key apart; *h borrows from it. False when it is none. */
MUST_USE bool ledger_hour_parse(const void *key, size_t len, struct ledger_hour *h);

/* Put a RECORD_ATTEMPT or RECORD_REQUEST and its index entries. *fresh: false when the row was
 * there already; then nothing changes, and nothing may be counted for it. */
MUST_USE enum store_rc ledger_put(struct db *db, MDB_txn *txn, const struct record *r,
                                  bool *fresh);
/* Delete the oldest row, its index entries and its feedback, if it was admitted before
 * before_unix_ns; else STORE_NOT_FOUND. */
MUST_USE enum store_rc ledger_expire(struct db *db, MDB_txn *txn, uint64_t before_unix_ns);
/* The newest request row of that key and request id (len bytes): *r points to it until the
 * transaction ends or writes, and is aligned to nothing. Does not allocate. */
MUST_USE enum store_rc ledger_find(struct db *db, MDB_txn *txn, store_id key,
                                   const char *request_id, size_t len, const void **r);
/* When was an exchange with a request row admitted? STORE_OK and *admitted_unix_ns. */
MUST_USE enum store_rc ledger_find_exchange(struct db *db, MDB_txn *txn, uint64_t exchange_id,
                                            uint64_t *admitted_unix_ns);
/* Put the outcome of an exchange; a later one replaces it. */
MUST_USE enum store_rc ledger_put_feedback(struct db *db, MDB_txn *txn, uint64_t exchange_id,
                                           const struct record *r);

#endif
