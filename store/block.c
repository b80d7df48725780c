/* block.c - many request rows in one value of the store.
 *
 *   head       crc 4, version 1, zero 3, rows 4, kinds 4, origins 4, directory's place 4,
 *              first and last admission 8 + 8; little-endian
 *   kinds      path, price, how it ended, model, tags
 *   rows       (admission - first), kind, origin, exchange, seq, cost, gain with reasons,
 *              tokens, times, id
 *   directory  origins: exchange and seq that rows count from, 8 + 8; then where each kind and
 *              each row begins, 4 each
 *
 * Numbers in kinds and rows are varints (varint.h), differences where those are small. An
 * origin is a core of one run (the upper bits of an exchange id), whose ids and seqs lie near
 * each other. An id made by Weir is 75 bits of chance behind the time that the row has anyway.
 * A row is found through the directory and read alone.
 * The rule: what is written reads back as it was, every field but outcome, which is heard when
 * folded, and budget_version, which says nothing outside the run that wrote it; what is read is
 * never trusted: each byte is fetched below a bound, whatever a disk made of it. */
#include "store/block.h"

#include "store/crc.h"
#include "store/kinds.h"
#include "store/varint.h"

#include <string.h>

enum {
    VERSION = 1,
    AT_VERSION = 4, AT_ROWS = 8, AT_KINDS = 12, AT_ORIGINS = 16, AT_DIRECTORY = 20,
    AT_FIRST = 24, AT_LAST = 32,
    ORIGIN_BYTES = 16,
    ORIGINS_MAX = 64,              /* of one block: more share one, with longer numbers */
    ORIGIN_SHIFT = 40,             /* exchange id: boot, core above this bit */
    RUN = 16,                      /* rows that are sorted by insertion */
    ID_TIME = 9, ID_CHANCE = 15,   /* digits of 5 bits in an id of Weir's, behind "req_" */
    ID_BYTES = 10,                 /* of 75 bits */
    ID_OWN = 0xff,                 /* instead of a length */
    COUNTS = TOKEN_KINDS + 1,      /* tokens by kind, then reasoning */
    NS_PER_MS = 1000000,
    GAIN_BITS = 16,                /* reasons stand above them, and nth above those: rows
                                      without any are as before there were such */
    NTH_SHIFT = GAIN_BITS + 32,
};
#define LOW_40 ((UINT64_C(1) << 40) - 1)
static_assert(RECORD_REASONS == 4, "reasons are a 32-bit number");
static_assert(4 + ID_TIME + ID_CHANCE == BLOCK_OWN_ID, "an id's parts");
/* path, prices and their bits, two codes, five bytes, two texts with their lengths; 4 */
static_assert(5 * VARINT_MAX + 2 + 9 * VARINT_MAX + 6 + 5 + 2 + RECORD_MODEL_MAX +
              RECORD_TAGS_MAX + 4 <= BLOCK_KIND_MAX, "the longest kind");
/* four 64-bit numbers, two 32-bit ones, gain with reasons and nth, bits, counts, two times, id;
 * 4; an origin */
static_assert(4 * VARINT_MAX + 2 * 5 + 8 + 2 + (COUNTS + 2) * 5 + 1 + RECORD_REQUEST_ID_MAX +
              4 + ORIGIN_BYTES <= BLOCK_ROW_MAX, "the longest row");

/* Numbers of fixed length are little-endian, as the machine is (journal.c refuses others). */
static uint32_t load32(const void *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof(v));
    return v;
}

static uint64_t load64(const void *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof(v));
    return v;
}

static uint8_t *put32(uint8_t *at, size_t v)
{
    assert(v <= UINT32_MAX);
    uint32_t narrow = (uint32_t)v;
    memcpy(at, &narrow, sizeof(narrow));
    return at + sizeof(narrow);
}

static uint8_t *put64(uint8_t *at, uint64_t v)
{
    memcpy(at, &v, sizeof(v));
    return at + sizeof(v);
}

uint32_t block_part(const struct record *r)
{
    assert(r->kind == RECORD_ATTEMPT || r->kind == RECORD_REQUEST);
    return r->kind == RECORD_REQUEST ? UINT32_MAX : r->nth;
}

/* ---- ids */

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Eight digits (0-9, a-v) as their values, a byte each, all at once: chance decides between
 * digits and letters, so that a branch for each would be a wrong guess for each. */
static uint64_t values_of(uint64_t digits)
{
    uint64_t letter = digits >> 6 & EACH(1);
    return (digits & EACH(0x1f)) + letter * 0x19 - EACH(0x10);
}

/* Back again. Values are below 32, and then the result is digits whatever they are. */
static uint64_t digits_of(uint64_t values)
{
    uint64_t letter = (values + EACH(0x80 - 10)) >> 7 & EACH(1);
    return values + EACH('0') + letter * ('a' - '0' - 10);
}

/* Eight values of 5 bits as one number, the first on top: pairs, fours, all. */
static uint64_t values_join(uint64_t v)
{
    v = (v & UINT64_C(0x00ff00ff00ff00ff)) << 5 | (v >> 8 & UINT64_C(0x00ff00ff00ff00ff));
    v = (v & UINT64_C(0x0000ffff0000ffff)) << 10 | (v >> 16 & UINT64_C(0x0000ffff0000ffff));
    return (v & UINT32_MAX) << 20 | v >> 32;
}

static uint64_t values_split(uint64_t number)
{
    uint64_t v = number >> 20 | (number & 0xfffff) << 32;
    v = (v >> 10 & UINT64_C(0x000003ff000003ff)) | (v & UINT64_C(0x000003ff000003ff)) << 16;
    return (v >> 5 & UINT64_C(0x001f001f001f001f)) | (v & UINT64_C(0x001f001f001f001f)) << 8;
}

/* The 24 digits behind "req_" as three numbers of 40 bits. False: they are none. */
static bool id_numbers(const char *digits, uint64_t number[3])
{
    bool good = true;
    for (int i = 0; i < 3; i++) {
        uint64_t word = load64(digits + 8 * i), v = values_of(word);
        /* Only digits come back as they were. */
        good &= (v & EACH(0xe0)) == 0 && digits_of(v) == word;
        number[i] = values_join(v);
    }
    return good;
}

/* 45 bits of time are the first number and the first digit of the second. */
static uint64_t id_ms(const uint64_t number[3])
{
    return number[0] << 5 | number[1] >> 35;
}

bool block_own_id(const char *id, size_t len, uint64_t *unix_ms)
{
    assert(id && unix_ms);
    uint64_t number[3];
    if (len != BLOCK_OWN_ID || memcmp(id, "req_", 4) != 0) return false;
    if (!id_numbers(id + 4, number)) return false;
    *unix_ms = id_ms(number);
    return true;
}

bool block_id_leads(const struct record *r)
{
    uint64_t ms;
    if (r->request_id[BLOCK_OWN_ID] != '\0') return false;
    if (!block_own_id(r->request_id, BLOCK_OWN_ID, &ms)) return false;
    return ms == r->admitted_unix_ns / NS_PER_MS;
}

/* Bytes of a text without the NULs that pad it. */
static size_t text_len(const char *text, size_t room)
{
    while (room >= 8 && load64(text + room - 8) == 0) room -= 8;
    while (room > 0 && text[room - 1] == '\0') room--;
    return room;
}

static uint8_t *text_put(uint8_t *at, const char *text, size_t room)
{
    size_t len = text_len(text, room);
    *at++ = (uint8_t)len;
    memcpy(at, text, len);
    return at + len;
}

/* 15 digits as 75 bits, the first one's on top; 5 spare bits below. */
static uint8_t *chance_put(uint8_t *at, const char *id)
{
    uint64_t number[3];
    bool own = id_numbers(id + 4, number);
    assert(own);
    uint64_t high = (number[1] << 5 & LOW_40) | number[2] >> 35, low = number[2] << 5 & LOW_40;
    for (int i = 4; i >= 0; i--, high >>= 8, low >>= 8) {
        at[i] = (uint8_t)high;
        at[5 + i] = (uint8_t)low;
    }
    return at + ID_BYTES;
}

static void own_id_read(const uint8_t *at, uint64_t unix_ms, char out[BLOCK_OWN_ID])
{
    uint64_t high = 0, low = 0;
    for (int i = 0; i < 5; i++) {
        high = high << 8 | at[i];
        low = low << 8 | at[5 + i];
    }
    const uint64_t number[3] = {
        unix_ms >> 5 & LOW_40, (unix_ms & 31) << 35 | high >> 5, (high & 31) << 35 | low >> 5,
    };
    memcpy(out, "req_", 4);
    for (int i = 0; i < 3; i++) {
        put64((uint8_t *)out + 4 + 8 * i, digits_of(values_split(number[i])));
    }
}

/* ---- order */

static void sort_run(struct block_row *row, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (!block_row_before(&row[i], &row[i - 1])) continue;
        struct block_row moved = row[i];
        size_t at = i;
        for (; at > 0 && block_row_before(&moved, &row[at - 1]); at--) row[at] = row[at - 1];
        row[at] = moved;
    }
}

static void merge(struct block_row *to, const struct block_row *a, size_t a_count,
                  const struct block_row *b, size_t b_count)
{
    while (a_count > 0 && b_count > 0) {
        if (block_row_before(b, a)) *to++ = *b++, b_count--;
        else *to++ = *a++, a_count--;
    }
    memcpy(to, a, a_count * sizeof(*a));   /* what is left of b lies in its place */
}

void block_sort(struct block_row *row, struct block_row *spare, size_t count)
{
    assert(row && spare);
    for (size_t at = 0; at < count; at += RUN) {
        sort_run(row + at, count - at < RUN ? count - at : RUN);
    }
    for (size_t run = RUN; run < count; run *= 2) {
        for (size_t at = 0; at + run < count; at += 2 * run) {
            struct block_row *a = row + at, *b = a + run;
            size_t rest = count - at - run < run ? count - at - run : run;
            if (!block_row_before(b, b - 1)) continue;   /* the two runs are one */
            memcpy(spare, a, run * sizeof(*a));
            merge(a, spare, run, b, rest);
        }
    }
}

/* ---- writing */

struct origin {
    uint64_t top, exchange, seq;
};

struct writer {
    struct origin origin[ORIGINS_MAX];
    uint32_t origin_count, last;   /* last: the origin of the row before */
};

/* The origin a row counts from; the 64th serves for all that have none of their own. */
static uint32_t origin_of(struct writer *w, const struct record *r)
{
    uint64_t top = r->exchange_id >> ORIGIN_SHIFT;
    if (w->origin_count > 0 && w->origin[w->last].top == top) return w->last;
    for (w->last = 0; w->last < w->origin_count; w->last++) {
        if (w->origin[w->last].top == top) return w->last;
    }
    if (w->last == ORIGINS_MAX) return --w->last;
    w->origin[w->last] = (struct origin){top, r->exchange_id, r->seq};
    w->origin_count++;
    return w->last;
}

/* Ids of a level differ in their serial: 1, 2, ... become short numbers, and so does 0, none,
 * which changes places with the serial 0 that no id has. */
static uint64_t id_fold(store_id id, int kind)
{
    uint64_t base = (uint64_t)(kind + 1) << 56, v = id ^ base;
    return v == 0 ? base : v == base ? 0 : v;
}

static store_id id_unfold(uint64_t v, int kind)
{
    uint64_t base = (uint64_t)(kind + 1) << 56;
    return (v == 0 ? base : v == base ? 0 : v) ^ base;
}

static uint8_t *kind_put(uint8_t *at, const struct record *r)
{
    for (int k = 0; k < UNIT_KINDS; k++) at = varint_put(at, id_fold(r->path[k], k));
    uint64_t bits = r->price_request != 0;
    for (int k = 0; k < TOKEN_KINDS; k++) bits |= (uint64_t)(r->price[k] != 0) << (k + 1);
    at = varint_put(at, bits);
    if (r->price_request) at = varint_put(at, zigzag(r->price_request));
    for (int k = 0; k < TOKEN_KINDS; k++) {
        if (r->price[k]) at = varint_put(at, zigzag(r->price[k]));
    }
    *at++ = r->kind;
    *at++ = r->flags;
    *at++ = r->mode;
    *at++ = r->attempts;
    *at++ = r->fallbacks;
    at = varint_put(at, r->status);
    at = varint_put(at, r->close);
    at = text_put(at, r->model, sizeof(r->model));
    return text_put(at, r->tags, sizeof(r->tags));
}

static uint8_t *row_put(uint8_t *at, struct writer *w, const struct record *r, uint32_t kind,
                        uint64_t first_ns)
{
    uint32_t origin = origin_of(w, r);
    at = varint_put(at, r->admitted_unix_ns - first_ns);
    at = varint_put(at, kind);
    at = varint_put(at, origin);
    at = varint_put(at, zigzag((int64_t)(r->exchange_id - w->origin[origin].exchange)));
    at = varint_put(at, zigzag((int64_t)(r->seq - w->origin[origin].seq)));
    at = varint_put(at, zigzag(r->cost_nusd));
    at = varint_put(at, r->gain | (uint64_t)load32(r->reason) << GAIN_BITS |
                            (uint64_t)r->nth << NTH_SHIFT);
    uint64_t bits = (uint64_t)(r->reasoning_tokens != 0) << TOKEN_KINDS;
    for (int k = 0; k < TOKEN_KINDS; k++) bits |= (uint64_t)(r->tokens[k] != 0) << k;
    at = varint_put(at, bits);
    for (int k = 0; k < TOKEN_KINDS; k++) {
        if (r->tokens[k]) at = varint_put(at, r->tokens[k]);
    }
    if (r->reasoning_tokens) at = varint_put(at, r->reasoning_tokens);
    at = varint_put(at, r->ttft_us);
    at = varint_put(at, r->duration_us);
    if (!block_id_leads(r) ||
        text_len(r->request_id, sizeof(r->request_id)) != BLOCK_OWN_ID) {
        return text_put(at, r->request_id, sizeof(r->request_id));
    }
    *at++ = ID_OWN;
    return chance_put(at, r->request_id);
}

size_t block_room(const struct kinds *k, size_t count)
{
    assert(count <= BLOCK_ROWS_MAX);
    size_t kind_count = k->count < count ? k->count : count;
    return BLOCK_HEAD + kind_count * BLOCK_KIND_MAX + count * BLOCK_ROW_MAX;
}

/* Number the kinds that these rows have, in order of first use, and write them. Offsets go to
 * `place`. Gives their number; *at moves. */
static uint32_t kinds_put(struct kinds *k, const struct block_row *row, size_t count,
                          const uint8_t *out, uint8_t **at, uint8_t *place)
{
    uint32_t used = 0;
    for (size_t i = 0; i < count; i++) {
        assert(row[i].kind < k->count);
        if (k->local[row[i].kind]) continue;
        k->local[row[i].kind] = ++used;
        place = put32(place, (size_t)(*at - out));
        *at = kind_put(*at, row[i].record);
    }
    return used;
}

size_t block_write(struct kinds *k, const struct block_row *row, size_t count, uint8_t *out)
{
    assert(count > 0);
    assert(count <= BLOCK_ROWS_MAX);
    struct writer w = {.origin_count = 0};
    /* The directory is written at the end of the room, then moved to where the rows end. */
    size_t kinds_most = k->count < count ? k->count : count;
    uint8_t *end = out + block_room(k, count), *at = out + BLOCK_HEAD;
    uint8_t *row_place = end - 4 * count, *kind_place = row_place - 4 * kinds_most;
    uint32_t kind_count = kinds_put(k, row, count, out, &at, kind_place);
    for (size_t i = 0; i < count; i++) {
        assert(i == 0 || block_row_before(&row[i - 1], &row[i]));
        put32(row_place + 4 * i, (size_t)(at - out));
        at = row_put(at, &w, row[i].record, k->local[row[i].kind] - 1, row[0].admitted_unix_ns);
    }
    for (size_t i = 0; i < count; i++) k->local[row[i].kind] = 0;
    size_t directory = (size_t)(at - out);
    assert(at + ORIGIN_BYTES * w.origin_count <= kind_place);
    for (uint32_t i = 0; i < w.origin_count; i++) {
        at = put64(put64(at, w.origin[i].exchange), w.origin[i].seq);
    }
    memmove(at, kind_place, 4 * (size_t)kind_count);
    at += 4 * (size_t)kind_count;
    memmove(at, row_place, 4 * count);
    at += 4 * count;
    memset(out, 0, BLOCK_HEAD);
    out[AT_VERSION] = VERSION;
    put32(out + AT_ROWS, count);
    put32(out + AT_KINDS, kind_count);
    put32(out + AT_ORIGINS, w.origin_count);
    put32(out + AT_DIRECTORY, directory);
    put64(out + AT_FIRST, row[0].admitted_unix_ns);
    put64(out + AT_LAST, row[count - 1].admitted_unix_ns);
    put32(out, crc32c(out + 4, (size_t)(at - out) - 4));
    return (size_t)(at - out);
}

/* ---- reading */

bool block_open(struct block *b, const void *data, size_t len)
{
    assert(b && (data || len == 0));
    const uint8_t *at = data;
    if (len <= BLOCK_HEAD || len > UINT32_MAX || at[AT_VERSION] != VERSION) return false;
    *b = (struct block){.at = at, .len = len, .directory = load32(at + AT_DIRECTORY),
                        .count = load32(at + AT_ROWS), .kind_count = load32(at + AT_KINDS),
                        .origin_count = load32(at + AT_ORIGINS),
                        .first_ns = load64(at + AT_FIRST), .last_ns = load64(at + AT_LAST)};
    if (b->count == 0 || b->count > BLOCK_ROWS_MAX || b->kind_count > b->count ||
        b->origin_count > ORIGINS_MAX || b->directory < BLOCK_HEAD) return false;
    return b->directory + ORIGIN_BYTES * (size_t)b->origin_count + 4 * (size_t)b->kind_count +
           4 * (size_t)b->count == len;
}

bool block_is_sound(const struct block *b)
{
    return load32(b->at) == crc32c(b->at + 4, b->len - 4);
}

/* Where a kind or a row begins; NULL where it cannot. */
static const uint8_t *kind_at(const struct block *b, uint64_t idx)
{
    if (idx >= b->kind_count) return NULL;
    const uint8_t *places = b->at + b->directory + ORIGIN_BYTES * (size_t)b->origin_count;
    uint32_t place = load32(places + 4 * (size_t)idx);
    return place >= BLOCK_HEAD && place < b->directory ? b->at + place : NULL;
}

static const uint8_t *row_at(const struct block *b, uint32_t idx)
{
    assert(idx < b->count);
    uint32_t place = load32(b->at + b->len - 4 * (size_t)(b->count - idx));
    return place >= BLOCK_HEAD && place < b->directory ? b->at + place : NULL;
}

static bool text_next(const uint8_t **at, const uint8_t *end, char *out, size_t room)
{
    if (*at >= end) return false;
    size_t len = *(*at)++;
    if (len > room || len > (size_t)(end - *at)) return false;
    memcpy(out, *at, len);
    *at += len;
    return true;
}

static bool path_next(const uint8_t **at, const uint8_t *end, store_id path[UNIT_KINDS])
{
    uint64_t v;
    for (int k = 0; k < UNIT_KINDS; k++) {
        if (!varint_next(at, end, &v)) return false;
        path[k] = id_unfold(v, k);
    }
    return true;
}

static bool kind_read(const struct block *b, uint64_t idx, struct record *r)
{
    const uint8_t *at = kind_at(b, idx), *end = b->at + b->directory;
    uint64_t bits, v = 0, status, close;
    if (!at || !path_next(&at, end, r->path) || !varint_next(&at, end, &bits)) return false;
    if (bits >> (TOKEN_KINDS + 1)) return false;
    if ((bits & 1) && !varint_next(&at, end, &v)) return false;
    r->price_request = zigzag_back(v);
    for (int k = 0; k < TOKEN_KINDS; k++) {
        if (!(bits >> (k + 1) & 1)) continue;
        if (!varint_next(&at, end, &v)) return false;
        r->price[k] = zigzag_back(v);
    }
    if (end - at < 5) return false;
    r->kind = *at++;
    r->flags = *at++;
    r->mode = *at++;
    r->attempts = *at++;
    r->fallbacks = *at++;
    if (!varint_next(&at, end, &status) || !varint_next(&at, end, &close)) return false;
    if (status > UINT16_MAX || close > UINT16_MAX) return false;
    r->status = (uint16_t)status;
    r->close = (uint16_t)close;
    return text_next(&at, end, r->model, sizeof(r->model)) &&
           text_next(&at, end, r->tags, sizeof(r->tags));
}

static bool counts_next(const uint8_t **at, const uint8_t *end, struct record *r)
{
    uint64_t bits, v[COUNTS + 2];
    if (!varint_next(at, end, &bits) || bits >> COUNTS) return false;
    for (int k = 0; k < COUNTS + 2; k++) {
        bool written = k >= COUNTS || (bits >> k & 1);   /* the two times always */
        v[k] = 0;
        if (written && (!varint_next(at, end, &v[k]) || v[k] > UINT32_MAX)) return false;
    }
    for (int k = 0; k < TOKEN_KINDS; k++) r->tokens[k] = (uint32_t)v[k];
    r->reasoning_tokens = (uint32_t)v[TOKEN_KINDS];
    r->ttft_us = (uint32_t)v[COUNTS];
    r->duration_us = (uint32_t)v[COUNTS + 1];
    return true;
}

static bool id_next(const uint8_t **at, const uint8_t *end, struct record *r)
{
    if (*at >= end) return false;
    if (**at != ID_OWN) return text_next(at, end, r->request_id, sizeof(r->request_id));
    if (end - *at < 1 + ID_BYTES) return false;
    own_id_read(*at + 1, r->admitted_unix_ns / NS_PER_MS, r->request_id);
    return true;
}

bool block_row_read(const struct block *b, uint32_t idx, struct record *r)
{
    assert(idx < b->count);
    const uint8_t *at = row_at(b, idx), *end = b->at + b->directory;
    uint64_t v[7];
    memset(r, 0, sizeof(*r));
    for (int i = 0; i < 7; i++) {
        if (!at || !varint_next(&at, end, &v[i])) return false;
    }
    if (v[2] >= b->origin_count || v[6] >> (NTH_SHIFT + 8)) return false;
    if (!kind_read(b, v[1], r)) return false;
    const uint8_t *origin = end + ORIGIN_BYTES * (size_t)v[2];
    r->version = 1;
    r->admitted_unix_ns = b->first_ns + v[0];
    r->exchange_id = load64(origin) + (uint64_t)zigzag_back(v[3]);
    r->seq = load64(origin + 8) + (uint64_t)zigzag_back(v[4]);
    r->cost_nusd = zigzag_back(v[5]);
    r->gain = (uint16_t)v[6];
    uint32_t reason = (uint32_t)(v[6] >> GAIN_BITS);
    memcpy(r->reason, &reason, sizeof(r->reason));
    r->nth = (uint8_t)(v[6] >> NTH_SHIFT);
    if (r->kind != RECORD_ATTEMPT && r->kind != RECORD_REQUEST) return false;
    return counts_next(&at, end, r) && id_next(&at, end, r);
}

/* Is row idx before that place? A damaged one is, so that a search ends and meets it or not. */
static bool is_before(const struct block *b, uint32_t idx, uint64_t admitted_unix_ns,
                      uint64_t exchange_id, uint32_t part)
{
    const uint8_t *at = row_at(b, idx), *end = b->at + b->directory;
    uint64_t v;
    if (!at || !varint_next(&at, end, &v)) return true;
    if (b->first_ns + v != admitted_unix_ns) return b->first_ns + v < admitted_unix_ns;
    struct record r;
    if (!block_row_read(b, idx, &r)) return true;
    if (r.exchange_id != exchange_id) return r.exchange_id < exchange_id;
    return block_part(&r) < part;
}

uint32_t block_lower(const struct block *b, uint64_t admitted_unix_ns, uint64_t exchange_id,
                     uint32_t part)
{
    uint32_t low = 0, high = b->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (is_before(b, mid, admitted_unix_ns, exchange_id, part)) low = mid + 1;
        else high = mid;
    }
    return low;
}

bool block_may_hold(const struct block *b, store_id unit)
{
    if (unit == 0) return true;
    unsigned level = (unsigned)(unit >> 56) - 1;
    if (level >= UNIT_KINDS) return false;
    for (uint32_t i = 0; i < b->kind_count; i++) {
        store_id path[UNIT_KINDS];
        const uint8_t *at = kind_at(b, i);
        if (!at || !path_next(&at, b->at + b->directory, path)) return true;  /* look at rows */
        if (path[level] == unit) return true;
    }
    return false;
}
