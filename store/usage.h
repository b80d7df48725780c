/* usage.h - questions to the ledger: request rows and grouped usage. Read transactions only;
 * run on a worker thread, never on a core. */
#ifndef STORE_USAGE_H
#define STORE_USAGE_H

#include "store/db.h"
#include "store/journal.h"

enum usage_group {           /* bits of usage_ask.group_by; the order columns appear in */
    GROUP_ORGANIZATION = 1, GROUP_DEPARTMENT = 2, GROUP_TEAM = 4, GROUP_MEMBER = 8,
    GROUP_KEY = 16, GROUP_MODEL = 32, GROUP_PROVIDER = 64, GROUP_TAG = 128, GROUP_HOUR = 256,
    GROUP_DAY = 512, GROUP_MONTH = 1024
};

/* The price of another model, which usage is compared with. */
struct usage_baseline {
    /* The price in force at a time for a prompt of so many tokens (0: the base price): kind,
     * pico-dollars per token, and *request, pico-dollars per request. False: nobody stated one
     * for that time. */
    bool (*price)(const struct usage_baseline *b, uint64_t unix_ns, uint64_t prompt_tokens,
                  int64_t kind[TOKEN_KINDS], int64_t *request);
    void *arg;
    uint64_t above;          /* up to so many prompt tokens the base price holds at any time;
                              * 0: there are no tiers */
};

struct usage_ask {
    store_id unit;           /* rows whose path holds it; 0: all */
    uint64_t from_unix_ns;   /* admitted at or after; 0: the beginning */
    uint64_t to_unix_ns;     /* admitted before; 0: now and later */
    unsigned group_by;       /* enum usage_group bits; 0: one row of everything */
    const struct usage_baseline *baseline;  /* or NULL */
};

struct usage_row {
    store_id path[UNIT_KINDS];       /* grouped columns only, else 0 */
    char model[RECORD_MODEL_MAX];    /* "provider/model", or the provider alone */
    char tag[RECORD_TAGS_MAX];       /* one "a=b"; a request with two tags counts under each */
    uint64_t time_unix_ns;           /* start of hour, day or month */
    uint64_t requests, errors, fallbacks;   /* errors: status >= 400 or not a good end */
    uint64_t tokens[TOKEN_KINDS];
    int64_t cost_nusd;
    uint64_t ttft_us_sum, ttft_count;
    uint32_t ttft_p50_us, ttft_p95_us;      /* within 5 % (log-linear histogram) */
    uint64_t output_us_sum;                 /* time after the first token, for tokens_per_s */
    int64_t baseline_nusd;                  /* the same tokens at the baseline's price */
};

/* Group and visit rows in ascending order of their group columns. visit answers false to
 * stop. Whole hours come from aggregates, the edges of from and to from request rows. With
 * group_by 0 there is one row, also of nothing. A piece of tags is what lies between commas,
 * blanks around it cut; a request without any counts under "".
 * The baseline's price is the one in force when the hour of admission began; its price for a
 * request is counted for each good one, as `errors` tells. Tiers are applied to every request
 * that still has a row; of older hours only sums are left, which have the base price. Rounded
 * half up once a row. STORE_REFUSED: the baseline has no price for one of the hours. */
MUST_USE enum store_rc usage_query(struct db *db, MDB_txn *txn, const struct usage_ask *ask,
                                   bool (*visit)(const struct usage_row *row, void *arg),
                                   void *arg);

enum { REQUEST_BILLED_MAX = 16 };   /* attempts that a row lists; it sums all */

/* One request: its RECORD_REQUEST with the attempts that were billed besides it added in (cost,
 * tokens, and whether any part was estimated or had no price). Where the client has the
 * beginning of another model's answer, `end` has that model, and continued_by who went on. */
struct request_row {
    struct record end;
    char continued_by[RECORD_MODEL_MAX];       /* "": nobody had to */
    uint32_t billed_count;                     /* of those listed */
    struct record billed[REQUEST_BILLED_MAX];  /* RECORD_ATTEMPTs, by nth */
};

/* Where a page ended: of the last row seen. */
struct request_mark {
    uint64_t admitted_unix_ns, exchange_id;
};

/* Visit request rows, newest first, of ask's unit and time, starting behind `after` (NULL:
 * from the newest). group_by is not looked at. A page costs what it shows: hours, and blocks,
 * without anything of the unit are passed over. STORE_NOT_FOUND: no row has that mark (any
 * more). */
MUST_USE enum store_rc usage_requests(struct db *db, MDB_txn *txn, const struct usage_ask *ask,
                                      const struct request_mark *after,
                                      bool (*visit)(const struct request_row *row, void *arg),
                                      void *arg);

/* The row of that exchange, whose end is in the store. STORE_OK and *row; STORE_NOT_FOUND. */
MUST_USE enum store_rc usage_request(struct db *db, MDB_txn *txn, const struct request_mark *of,
                                     struct request_row *row);

/* Is there a request row of this key with this request id? Does not allocate: cores call it.
 * STORE_OK or STORE_NOT_FOUND. */
MUST_USE enum store_rc usage_find(struct db *db, MDB_txn *txn, store_id key,
                                  const char *request_id, size_t len);

/* The outcome told of an exchange, 0..10000. STORE_OK and *score, or STORE_NOT_FOUND. */
MUST_USE enum store_rc usage_feedback(struct db *db, MDB_txn *txn, uint64_t exchange_id,
                                      uint16_t *score);

#endif
