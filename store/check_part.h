/* check_part.h - what the files of check.h share. Private to store/check*.c. */
#ifndef STORE_CHECK_PART_H
#define STORE_CHECK_PART_H

#include "store/check.h"
#include "store/journal.h"

enum {
    CHECK_TALLIES_MAX = 32768,  /* aggregates that are summed up at a time */
    CHECK_WHERE_MAX = 48,       /* bytes of a time or id as text, with the end */
};

struct check_sum {
    uint64_t key, count, sum;
};

struct check_sums {             /* sums by a number; all zero is empty */
    struct check_sum *slot;     /* open addressing; count 0: free */
    size_t used, size;          /* size: a power of two, or 0 */
};

struct check_file {             /* a journal */
    struct journal *journal;
    char name[32];
    uint64_t generation;
    uint64_t folded;            /* what the store has of it */
    bool known, done;           /* the store has a mark of it; running entries are booked */
    bool same_boot;
};

struct check_end {
    uint64_t exchange_id;
    uint8_t nth;                /* of its attempt */
};

struct check {
    struct db *db;
    MDB_txn *txn;
    bool in_use;
    void (*say)(const char *line, void *arg);
    void *arg;
    uint64_t violations;
    uint64_t rows_kept;         /* ns of admission from which all rows are there */
    uint64_t hours_kept;        /* hours since 1970 from which all aggregates are there */
    bool rows_damaged;          /* a block cannot be read: what is made of rows is not held
                                 * against them */
    struct check_sums prepaid;  /* by organisation: costs of rows from pools */
    struct check_sums row_hours;        /* by hour: rows */
    struct check_file *file;
    size_t file_count, file_max;
    struct check_end *ended, *running;  /* exchanges in journals, their end not in the store:
                                         * recorded, or to be booked; sorted */
    size_t ended_count, running_count, ended_max, running_max;
};

/* Tell of a violation: "what and where: expected ..., found ...". */
__attribute__((format(printf, 2, 3)))
void check_say(struct check *c, const char *format, ...);
/* Give the whole up for want of memory: STORE_FAIL, db->why. */
enum store_rc check_no_memory(struct check *c);
/* Add to the sum of a key and count it. False without memory. */
MUST_USE bool check_sums_add(struct check_sums *s, uint64_t key, uint64_t sum);
/* The sum of a key; NULL: there is none. */
const struct check_sum *check_sums_at(const struct check_sums *s, uint64_t key);
/* Free it; it is empty again. */
void check_sums_fini(struct check_sums *s);
/* An hour since 1970 as text. */
const char *check_hour(uint64_t hour, char out[CHECK_WHERE_MAX]);
/* A time as text, with nanoseconds. */
const char *check_time(uint64_t unix_ns, char out[CHECK_WHERE_MAX]);
/* An id as text, or its number where it is none. */
const char *check_id(store_id id, char out[CHECK_WHERE_MAX]);
/* Visit all of a table, in order. visit gives STORE_OK to go on; gives its last answer. */
MUST_USE enum store_rc check_table(struct check *c, enum db_table table,
                                   enum store_rc (*visit)(struct check *c, MDB_val key,
                                                          MDB_val data, void *arg),
                                   void *arg);

/* ---- the parts: STORE_OK, whatever they found; STORE_FAIL: they could not be looked at */

/* check_files.c: journals, each by itself and against the store. First of all: the others ask
 * it which exchanges have yet to be booked. */
MUST_USE enum store_rc check_files(struct check *c);
/* Has that exchange an end, or may get one, from a journal? */
bool check_files_have(const struct check *c, uint64_t exchange_id);
/* Unmap them. */
void check_files_fini(struct check *c);
/* check_rows.c: blocks and rows, ids that lead to them; no exchange ends twice. */
MUST_USE enum store_rc check_rows(struct check *c);
/* check_hours.c: rows against hourly aggregates. */
MUST_USE enum store_rc check_hours(struct check *c);
/* check_spent.c: aggregates against meters; pools. */
MUST_USE enum store_rc check_spent(struct check *c);
/* check_units.c: units, keys, budgets and what leads to them. */
MUST_USE enum store_rc check_units(struct check *c);

#endif
