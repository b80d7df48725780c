/* journal.h - what a core writes about requests before anybody hears of them: a shared file
 * mapping per core with a table of running exchanges (updated in place) and a ring of finished
 * records (sequence numbers, checksums). The core is the one writer of the table and of the
 * ring's head; the store thread is the one writer of the ring's tail. Neither waits.
 * kill -9 at any instant loses nothing (the page cache keeps the mapping) and counts nothing
 * twice (fold.h stores the highest sequence folded in the same transaction). */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include "store/store.h"

enum {
    RECORD_BYTES = 512,
    RECORD_MODEL_MAX = 96,      /* "provider/model", NUL-padded; longer is cut */
    RECORD_REQUEST_ID_MAX = 64, /* not NUL-ended when full */
    RECORD_TAGS_MAX = 128,      /* as sent: "a=b,c=d"; not NUL-ended when full */
    RECORD_REASONS = 4,         /* codes that say why a model was chosen */
    RECORD_CLOSE_DONE = 1,      /* the one `close` that is a good end (engine/close.def DONE) */
    RECORD_PER_EXCHANGE = 3,    /* records there is room for when an exchange begins: its end,
                                 * which always has it, and what it shares with all others */

    JOURNAL_VERSION = 1,
    JOURNAL_RUNNING_MAX = 1 << 20,   /* most running_max */
    JOURNAL_RING_MAX = 1 << 22,      /* most ring_max: 2 GiB */
    JOURNAL_WHY_MAX = 256,           /* bytes of `why`, with the end */
};

/* Disjoint kinds of tokens (architecture.md section 5). */
enum token_kind {
    TOKEN_INPUT, TOKEN_CACHED, TOKEN_CACHE_WRITE, TOKEN_CACHE_WRITE_1H, TOKEN_OUTPUT,
    TOKEN_AUDIO_INPUT, TOKEN_AUDIO_OUTPUT, TOKEN_IMAGE_INPUT, TOKEN_KINDS
};

enum record_kind {
    RECORD_NONE,
    RECORD_ATTEMPT,    /* a billed attempt that did not end the request: of the same exchange
                        * and admission, of another nth, with its own model, cost and times */
    RECORD_REQUEST,    /* the end of a request: the row of /requests. One per exchange */
    RECORD_FEEDBACK,   /* an outcome for request_id of this key: score in `status`, 0..10000 */
};

enum record_flag {
    RECORD_STREAM = 1,
    RECORD_ESTIMATED = 2,
    RECORD_FREE_PRICE = 4,      /* unknown price, booked 0 */
    RECORD_INTERRUPTED = 8,
    RECORD_PREPAID = 16,        /* its cost is taken from the organisation's credit pool */
    RECORD_BEGAN = 32,          /* an attempt: the client has the beginning of its answer */
    RECORD_MORE = 64,           /* an end: attempts were billed before it */
};

struct record {                          /* 512 bytes, little-endian, as mapped and as stored */
    uint32_t crc;                        /* CRC-32C of all that follows; written last */
    uint8_t version;                     /* 1 */
    uint8_t kind;                        /* enum record_kind */
    uint8_t flags;                       /* enum record_flag */
    uint8_t mode;                        /* routing mode, the engine's number */
    uint64_t seq;                        /* of this ring, from 1, no holes */
    uint64_t exchange_id;                /* unique per data directory */
    uint64_t admitted_unix_ns;
    store_id path[UNIT_KINDS];           /* organisation .. key */
    int64_t cost_nusd;
    int64_t price[TOKEN_KINDS];          /* pico-dollars per token, as used */
    int64_t price_request;               /* pico-dollars per request */
    uint32_t tokens[TOKEN_KINDS];
    uint32_t reasoning_tokens;           /* inside TOKEN_OUTPUT */
    uint32_t ttft_us;                    /* 0: no content came */
    uint32_t duration_us;
    uint16_t status;                     /* HTTP status the client saw */
    uint16_t close;                      /* enum close_why, the engine's number */
    uint16_t gain;                       /* 0..10000 */
    uint8_t attempts;                    /* candidates tried */
    uint8_t fallbacks;                   /* candidates tried after the first */
    char model[RECORD_MODEL_MAX];
    char request_id[RECORD_REQUEST_ID_MAX];
    char tags[RECORD_TAGS_MAX];
    uint32_t budget_version;             /* budget.h: of the cells it reserved on; means
                                          * nothing after the run that wrote it */
    uint8_t reason[RECORD_REASONS];      /* why this model: the engine's codes; 0: none */
    uint8_t outcome;                     /* signs of a bad answer: the engine's bits. Told to
                                          * who hears of folded records, and not stored */
    uint8_t nth;                         /* which of its exchange's attempts it is of, from 0:
                                          * no two records of an exchange have the same */
    uint8_t spare[10];                   /* zero */
};
static_assert(sizeof(struct record) == RECORD_BYTES, "record layout");

/* What a file begins with. It is written once, before the file gets its name, and says whether
 * the rest can be believed: after kill -9 all of it (the page cache outlives the process),
 * after a restart of the machine only what a checksum vouches for. */
struct journal_header {
    char magic[8];               /* "weirjrnl" */
    uint32_t crc;                /* CRC-32C of all that follows */
    uint32_t version;            /* JOURNAL_VERSION */
    uint64_t generation;         /* random, not 0: another one for every file ever made */
    uint32_t core_idx, running_max, ring_max, record_bytes;
    char boot_id[40];            /* of the machine's run, NUL-padded; "" when unknown */
};
static_assert(sizeof(struct journal_header) == 80, "journal header layout");

struct journal;      /* one core's mapping; private */

/* Make or replace DATA/journal/core-N: running_max entries, ring_max records (a power of two),
 * allocated and populated now, so that a full disk is noticed here. Any earlier file must have
 * been recovered before (fold.h): one that still holds something is not replaced but refused.
 * Threads may open journals of different cores at once.
 * why: room for 256 bytes, a sentence on failure.
 * STORE_OK and gives *out; STORE_FULL; STORE_FAIL. */
MUST_USE enum store_rc journal_open(const char *data_dir, unsigned core_idx,
                                    uint32_t running_max, uint32_t ring_max,
                                    struct journal **out, char *why);
/* Flush to disk and unmap. takes j. */
void journal_close(struct journal *j);

/* Core. May one more exchange begin? False while the ring could not take the end of
 * everything running plus spare (then admission answers 503 ledger_unavailable). */
bool journal_has_room(const struct journal *j);
/* Core. Enter a running exchange; r copies (seq and crc are set here). Its kind says what it is
 * booked as if nobody ends it: a RECORD_ATTEMPT, or else a request. Of an exchange several may
 * run, one of them as a request. Gives its slot; journal_has_room was true. */
uint32_t journal_begin(struct journal *j, const struct record *r);
/* Core. The running exchange's kind, nth, model, price, tokens so far, ttft: copied whole. */
void journal_update(struct journal *j, uint32_t slot, const struct record *r);
/* Core. May a running exchange append a record besides its end? False while the ring could not
 * take the end of everything running too. */
MUST_USE bool journal_has_room_more(const struct journal *j);
/* Core. Append a billed attempt of a running exchange that goes on; journal_has_room_more was
 * true. Its entry is to be updated next, with another nth. */
void journal_attempt(struct journal *j, const struct record *r);
/* Core. Append the end of the exchange and free its slot; the record is in place before the
 * slot is cleared. */
void journal_end(struct journal *j, uint32_t slot, const struct record *r);
/* Core. The same of what ran as a RECORD_ATTEMPT; r NULL: it costs nothing, no record. */
void journal_twin_end(struct journal *j, uint32_t slot, const struct record *r);
/* Core. Append a RECORD_FEEDBACK. False when there is no room. */
MUST_USE bool journal_feedback(struct journal *j, const struct record *r);
/* Any thread. Is a finished RECORD_REQUEST with this request id and key among the records not
 * yet folded? Ask the journals first and usage_find after them: a record leaves the ring only
 * when it is in the store. */
bool journal_has(const struct journal *j, store_id key, const char *request_id, size_t len);
/* The same, and the newest such record's exchange: true and *exchange_id. */
MUST_USE bool journal_find(const struct journal *j, store_id key, const char *request_id,
                           size_t len, uint64_t *exchange_id);

/* Store thread. The records behind the tail, at most max of them: out gets pointers, which
 * borrow from the mapping until journal_folded. Gives the count. */
size_t journal_peek(const struct journal *j, const struct record **out, size_t max);
/* Store thread. Sequence of the newest record folded: peek begins behind it. */
uint64_t journal_tail(const struct journal *j);
/* Store thread. Records up to seq are committed: move the tail. */
void journal_folded(struct journal *j, uint64_t seq);
/* Any thread. Records written and not folded. */
uint64_t journal_lag(const struct journal *j);
/* Any thread. Which file this is: header's generation. */
uint64_t journal_generation(const struct journal *j);

/* Recovery. Map a file that an earlier run left, found at path. It can be peeked and folded,
 * not appended to. why as above. STORE_OK and gives *out; STORE_NOT_FOUND: no such file;
 * STORE_REFUSED: not a journal of this version, or damaged; STORE_FAIL. */
MUST_USE enum store_rc journal_adopt(const char *path, struct journal **out, char *why);
/* The same to look only: the file is not changed, whatever is done with *out. */
MUST_USE enum store_rc journal_view(const char *path, struct journal **out, char *why);
/* Recovery. Let the tail stand behind seq `folded` or where it stood, whichever is later. After
 * a machine restart the head becomes the end of the sound and contiguous records behind it. */
void journal_rewind(struct journal *j, uint64_t folded);
/* Recovery. Unmap an adopted file. takes j. */
void journal_drop(struct journal *j);
/* Recovery. Was the file written since the machine started? */
bool journal_same_boot(const struct journal *j);
/* Recovery. Entries of the running table. */
uint32_t journal_running_max(const struct journal *j);
enum journal_slot { SLOT_FREE, SLOT_RUNNING, SLOT_DAMAGED };
/* Recovery. Look at an entry of the running table; *r: out on SLOT_RUNNING, the newest whole
 * version of the record. */
enum journal_slot journal_running(const struct journal *j, uint32_t slot, struct record *r);

/* True when crc, version and kind are right. */
bool record_is_sound(const struct record *r);
/* Set seq-independent crc over the record as it is now. */
void record_seal(struct record *r);

#endif
