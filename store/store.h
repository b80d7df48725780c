/* store.h - words shared by the files of store/: result codes, ids, kinds of units.
 * Nothing of ours is included below store/; text comes in and goes out as NUL-ended C strings
 * of bounded length or as (const void *, size_t). */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef MUST_USE
#define MUST_USE __attribute__((warn_unused_result))
#endif

enum store_rc {
    STORE_OK,
    STORE_NOT_FOUND,
    STORE_CONFLICT,   /* exists already, or has children */
    STORE_REFUSED,    /* against the rules of the data model; the caller says which */
    STORE_FULL,       /* map, disk or table is full: db->why */
    STORE_IN_USE,     /* another instance owns the directory */
    STORE_FAIL,       /* the disk or LMDB failed: db->why */
};

enum {
    STORE_NAME_MAX = 128,     /* bytes of a name or e-mail, with the end */
    STORE_ID_TEXT_MAX = 24,   /* bytes of an id's text, with the end */
    STORE_POLICY_MAX = 2048,  /* bytes of one unit's or key's policy blob */
    STORE_KEY_HASH = 32,      /* SHA-256 of a client key */
};

/* Levels, from the top. A unit's id carries its kind, so that text and number convert both
 * ways without a look-up. */
enum unit_kind {
    UNIT_ORGANIZATION, UNIT_DEPARTMENT, UNIT_TEAM, UNIT_MEMBER, UNIT_KEY, UNIT_KINDS
};

/* 0 is none; else kind + 1 in the top 8 bits, a serial (1..) below. Ids are never reused. */
typedef uint64_t store_id;

/* Kind of a valid id (not 0; from this file's functions or from the store). */
enum unit_kind store_id_kind(store_id id);
/* What a level is called: "organization" .. "key". Static text. */
const char *unit_kind_name(enum unit_kind kind);
/* True when id has the form of one; it need not exist. Any number may be asked. */
bool store_id_is_valid(store_id id);
/* The id of a kind's serial; serial: 1 .. 2^56 - 1. */
store_id store_id_make(enum unit_kind kind, uint64_t serial);
/* Id as text: prefix (org_ dep_ team_ mem_ key_) and 13 base32 digits that look random but
 * are fixed for the id. out copies, NUL-padded. Id 0 gives "". */
void store_id_text(store_id id, char out[STORE_ID_TEXT_MAX]);
/* Parse such a text (len bytes, no end needed). Gives 0 where it is none. */
store_id store_id_parse(const char *text, size_t len);

/* The way from an organisation down to a key; skipped levels are 0. */
struct unit_path {
    store_id unit[UNIT_KINDS];  /* indexed by enum unit_kind */
};

/* For how long a budget is: UTC calendar windows, and for ever. */
enum window {
    WINDOW_HOUR, WINDOW_DAY, WINDOW_WEEK, WINDOW_MONTH, WINDOW_TOTAL, WINDOWS
};

struct rates {                    /* of a unit's or key's policy; 0: no limit */
    uint32_t rpm, tpm;            /* requests, tokens a minute */
    uint32_t concurrency;         /* requests that run at once */
};

/* Policy blob: entries 'a' (allow) or 'd' (deny), then the glob, then NUL, one after another.
 * An absent kind sets no limit at this level; 'A' alone marks "allow list present though
 * empty" (nothing is allowed). Globs: '*' any run, '?' any byte; matched against
 * "provider/model", a glob without '/' also against the part behind the first '/'.
 * 'g' and the name of a region: providers of the regions listed may be used; 'G' alone: of
 * none. Each at most once: 'r' (rpm), 't' (tpm), 'c' (concurrency) and a decimal number,
 * 1..4294967295; 'm' and the name of a routing mode; 'q' and a quality floor, "0" to "1" with
 * at most 6 decimals; 'z' alone, providers without retention only. policy.h reads them. */
struct policy {
    uint16_t len;                 /* bytes used */
    char blob[STORE_POLICY_MAX];
};

#endif
