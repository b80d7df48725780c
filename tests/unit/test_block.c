/* test_block.c - rows in blocks: what was written reads back, field by field, at every extreme;
 * a row is found by its place; what a disk made of a block is refused or read without harm. */
#include "store/block.h"
#include "store/kinds.h"

#include "tests/unit/wall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { ROWS = 400 };

static uint32_t draw(uint64_t *seed, uint32_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((*seed >> 33) % below);
}

/* A number of any size: 0, all ones, or some bits. */
static uint64_t draw_any(uint64_t *seed)
{
    uint64_t high = draw(seed, 1u << 31), middle = draw(seed, 1u << 31);
    uint64_t bits = high << 33 ^ middle << 11 ^ draw(seed, 1u << 31);
    uint32_t way = draw(seed, 8);
    return way == 0 ? 0 : way == 1 ? UINT64_MAX : bits >> draw(seed, 64);
}

static void draw_text(uint64_t *seed, char *out, size_t room)
{
    memset(out, 0, room);
    size_t len = draw(seed, 4) == 0 ? room : draw(seed, (uint32_t)room + 1);
    for (size_t i = 0; i < len; i++) out[i] = (char)draw(seed, 256);
}

/* An id as the gateway makes it. */
static void make_id(uint64_t *seed, uint64_t ms, char out[RECORD_REQUEST_ID_MAX])
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuv";
    memset(out, 0, RECORD_REQUEST_ID_MAX);
    memcpy(out, "req_", 4);
    for (int i = 8; i >= 0; i--, ms >>= 5) out[4 + i] = letters[ms & 31];
    for (int i = 9; i < 24; i++) out[4 + i] = letters[draw(seed, 32)];
}

/* A record of any bits in every field that a block keeps. */
static struct record draw_record(uint64_t *seed)
{
    struct record r;
    memset(&r, 0, sizeof(r));
    r.version = 1;
    r.kind = (uint8_t)(RECORD_ATTEMPT + draw(seed, 2));
    r.flags = (uint8_t)draw_any(seed);
    r.mode = (uint8_t)draw_any(seed);
    r.seq = draw_any(seed);
    r.exchange_id = draw_any(seed);
    r.admitted_unix_ns = draw_any(seed);
    for (int k = 0; k < UNIT_KINDS; k++) {
        uint64_t base = (uint64_t)(k + 1) << 56;
        r.path[k] = draw(seed, 3) ? base | draw(seed, 4) : draw_any(seed);
    }
    r.cost_nusd = (int64_t)draw_any(seed);
    for (int k = 0; k < TOKEN_KINDS; k++) {
        r.price[k] = (int64_t)draw_any(seed);
        r.tokens[k] = (uint32_t)draw_any(seed);
    }
    r.price_request = (int64_t)draw_any(seed);
    r.reasoning_tokens = (uint32_t)draw_any(seed);
    r.ttft_us = (uint32_t)draw_any(seed);
    r.duration_us = (uint32_t)draw_any(seed);
    r.status = (uint16_t)draw_any(seed);
    r.close = (uint16_t)draw_any(seed);
    r.gain = (uint16_t)draw_any(seed);
    for (int i = 0; i < RECORD_REASONS; i++) r.reason[i] = (uint8_t)draw_any(seed);
    r.attempts = (uint8_t)draw_any(seed);
    r.fallbacks = (uint8_t)draw_any(seed);
    draw_text(seed, r.model, sizeof(r.model));
    draw_text(seed, r.tags, sizeof(r.tags));
    draw_text(seed, r.request_id, sizeof(r.request_id));
    if (draw(seed, 2)) make_id(seed, r.admitted_unix_ns / 1000000, r.request_id);
    return r;
}

/* Rows of records whose parts repeat, as those of one box do, and of any. */
static void draw_records(uint64_t *seed, struct record *r, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        r[i] = draw_record(seed);
        if (i == 0 || draw(seed, 3) == 0) continue;
        const struct record *like = &r[draw(seed, (uint32_t)i)];
        memcpy(r[i].path, like->path, sizeof(r[i].path));
        memcpy(r[i].price, like->price, sizeof(r[i].price));
        r[i].price_request = like->price_request;
        memcpy(r[i].model, like->model, sizeof(r[i].model));
        memcpy(r[i].tags, like->tags, sizeof(r[i].tags));
        r[i].exchange_id = like->exchange_id + draw(seed, 3);
        r[i].admitted_unix_ns = like->admitted_unix_ns + draw(seed, 2);
        r[i].kind = like->kind;
        r[i].seq = like->seq + 1 + draw(seed, 1000);
    }
}

/* Rows of records, sorted, each place once. */
static size_t make_rows(struct kinds *k, const struct record *r, size_t count,
                        struct block_row *row)
{
    struct block_row *spare = calloc(count, sizeof(*spare));
    assert_non_null(spare);
    for (size_t i = 0; i < count; i++) {
        row[i] = block_row_of(&r[i]);
        assert_true(kinds_at(k, &r[i], &row[i].kind));
    }
    block_sort(row, spare, count);
    free(spare);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && !block_row_before(&row[kept - 1], &row[i])) continue;
        row[kept++] = row[i];
    }
    return kept;
}

struct made {
    struct record record[ROWS];
    struct block_row row[ROWS];
    size_t count, len;
    uint8_t *bytes;
};

static struct made *make(uint64_t seed, size_t count)
{
    struct made *m = calloc(1, sizeof(*m));
    struct kinds kinds = {.seed = seed};
    assert_non_null(m);
    draw_records(&seed, m->record, count);
    m->count = make_rows(&kinds, m->record, count, m->row);
    m->bytes = malloc(block_room(&kinds, m->count));
    assert_non_null(m->bytes);
    m->len = block_write(&kinds, m->row, m->count, m->bytes);
    assert_true(m->len <= block_room(&kinds, m->count));
    for (size_t i = 0; i < kinds.count; i++) assert_int_equal(kinds.local[i], 0);
    kinds_fini(&kinds);
    return m;
}

static void made_free(struct made *m)
{
    free(m->bytes);
    free(m);
}

static void assert_same(const struct record *got, const struct record *want)
{
    struct record clean = *want;
    clean.crc = clean.budget_version = 0;   /* of the run that wrote it, not of the row */
    clean.outcome = 0;                      /* heard when folded, not stored */
    assert_memory_equal(got, &clean, sizeof(clean));
}

static void test_what_is_written_reads_back(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        uint64_t size_seed = seed;
        struct made *m = make(seed, 1 + draw(&size_seed, ROWS));
        struct block b;
        struct wall w = wall_open(m->len);     /* an unreadable page follows */
        const char *at = wall_put(&w, (struct bytes){(char *)m->bytes, m->len}).ptr;
        assert_true(block_open(&b, at, m->len));
        assert_true(block_is_sound(&b));
        assert_int_equal(b.count, m->count);
        assert_int_equal(b.first_ns, m->row[0].admitted_unix_ns);
        assert_int_equal(b.last_ns, m->row[m->count - 1].admitted_unix_ns);
        for (uint32_t i = 0; i < b.count; i++) {
            struct record r;
            assert_true(block_row_read(&b, i, &r));
            assert_same(&r, m->row[i].record);
        }
        wall_close(&w);
        made_free(m);
    }
}

/* As many bytes as a row or a kind can have, and they fit the room that block_room tells. */
static void test_the_longest_row_fits(void **state)
{
    (void)state;
    struct record r[64];
    struct block_row row[64];
    struct kinds kinds = {.seed = 0};
    for (size_t i = 0; i < 64; i++) {
        memset(&r[i], 0xff, sizeof(r[i]));
        memset(r[i].spare, 0, sizeof(r[i].spare));
        r[i].version = 1;
        r[i].kind = RECORD_ATTEMPT;
        r[i].seq = i << 58;
        r[i].exchange_id = i << 40 | (i & 1 ? UINT64_C(0xffffffffff) : 0);
        r[i].admitted_unix_ns = i == 0 ? 0 : UINT64_MAX - 63 + i;
        r[i].model[0] = (char)(i + 1);
        r[i].cost_nusd = i & 1 ? INT64_MIN : INT64_MAX;
        for (int k = 0; k < TOKEN_KINDS; k++) r[i].price[k] = INT64_MIN;
        r[i].price_request = INT64_MIN;
        for (int k = 0; k < UNIT_KINDS; k++) r[i].path[k] = UINT64_MAX - (uint64_t)k;
    }
    assert_int_equal(make_rows(&kinds, r, 64, row), 64);
    assert_int_equal(kinds.count, 64);
    uint8_t *out = malloc(block_room(&kinds, 64));
    assert_non_null(out);
    size_t len = block_write(&kinds, row, 64, out);
    struct block b;
    struct record back;
    assert_true(block_open(&b, out, len));
    for (uint32_t i = 0; i < 64; i++) {
        assert_true(block_row_read(&b, i, &back));
        assert_same(&back, row[i].record);
    }
    free(out);
    kinds_fini(&kinds);
}

/* More cores and runs than a block has origins for share the last one. */
static void test_many_origins(void **state)
{
    (void)state;
    struct record r[200];
    struct block_row row[200];
    struct kinds kinds = {.seed = 9};
    uint64_t seed = 4;
    for (uint64_t i = 0; i < 200; i++) {
        r[i] = draw_record(&seed);
        r[i].exchange_id = i << 40 | i;
    }
    size_t count = make_rows(&kinds, r, 200, row);
    uint8_t *out = malloc(block_room(&kinds, count));
    assert_non_null(out);
    struct block b;
    assert_true(block_open(&b, out, block_write(&kinds, row, count, out)));
    assert_int_equal(b.origin_count, 64);
    for (uint32_t i = 0; i < b.count; i++) {
        struct record back;
        assert_true(block_row_read(&b, i, &back));
        assert_same(&back, row[i].record);
    }
    free(out);
    kinds_fini(&kinds);
}

static int by_place(const void *left, const void *right)
{
    if (block_row_before(left, right)) return -1;
    return block_row_before(right, left);
}

static void test_sorting_agrees_with_the_library(void **state)
{
    (void)state;
    enum { MAX = 3000 };
    struct block_row *row = calloc(3 * MAX, sizeof(*row)), *want = row + MAX;
    assert_non_null(row);
    uint64_t seed = 5;
    for (int round = 0; round < 300; round++) {
        size_t count = draw(&seed, MAX + 1);
        uint32_t near = 1u << draw(&seed, 20);       /* from nearly in order to any */
        for (size_t i = 0; i < count; i++) {
            row[i] = (struct block_row){.admitted_unix_ns = i * 3 + draw(&seed, near),
                                        .exchange_id = draw(&seed, 4),
                                        .part = (uint32_t)i};
        }
        memcpy(want, row, count * sizeof(*row));
        qsort(want, count, sizeof(*want), by_place);
        block_sort(row, row + 2 * MAX, count);
        assert_memory_equal(row, want, count * sizeof(*row));
    }
    free(row);
}

static void test_a_place_is_found(void **state)
{
    (void)state;
    uint64_t draws = 3;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct made *m = make(seed, 1 + draw(&draws, ROWS));
        struct block b;
        assert_true(block_open(&b, m->bytes, m->len));
        for (int i = 0; i < 200; i++) {
            struct block_row at = m->row[draw(&draws, (uint32_t)m->count)];
            at.admitted_unix_ns += draw(&draws, 3) - 1u;
            at.exchange_id += draw(&draws, 3) - 1u;
            at.part += draw(&draws, 3) - 1u;
            uint32_t want = 0;
            while (want < m->count && block_row_before(&m->row[want], &at)) want++;
            assert_int_equal(block_lower(&b, at.admitted_unix_ns, at.exchange_id, at.part),
                             want);
        }
        for (size_t i = 0; i < m->count; i++) {
            for (int k = 0; k < UNIT_KINDS; k++) {
                store_id unit = m->row[i].record->path[k];
                bool asked = unit >> 56 == (uint64_t)k + 1;   /* an id of that level */
                if (asked) assert_true(block_may_hold(&b, unit));
            }
        }
        assert_true(block_may_hold(&b, 0));
        assert_false(block_may_hold(&b, (uint64_t)5 << 56 | 77777));
        assert_false(block_may_hold(&b, (uint64_t)9 << 56 | 1));
        made_free(m);
    }
}

/* Cut, or with bytes changed, a block is refused, or its checksum tells; all reading ends. */
static void test_damage_is_harmless(void **state)
{
    (void)state;
    uint64_t draws = 8;
    struct record r;
    size_t good = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct made *m = make(seed, 1 + draw(&draws, 30));
        struct block b;
        struct wall w = wall_open(m->len);
        for (size_t len = 0; len < m->len; len++) {
            const char *at = wall_put(&w, (struct bytes){(char *)m->bytes, len}).ptr;
            assert_false(block_open(&b, at, len));
        }
        wall_close(&w);
        for (int i = 0; i < 2000; i++) {
            size_t at = i & 1 ? draw(&draws, (uint32_t)m->len) : draw(&draws, BLOCK_HEAD);
            uint8_t kept = m->bytes[at];
            m->bytes[at] ^= (uint8_t)(1 + draw(&draws, 255));
            if (block_open(&b, m->bytes, m->len)) {
                assert_false(block_is_sound(&b));
                for (uint32_t k = 0; k < b.count; k++) good += block_row_read(&b, k, &r);
                (void)block_lower(&b, draw_any(&draws), draw_any(&draws), 7);
                (void)block_may_hold(&b, (uint64_t)5 << 56 | 1);
            }
            m->bytes[at] = kept;
        }
        made_free(m);
    }
    assert_true(good > 0);
}

static void test_own_ids(void **state)
{
    (void)state;
    static const struct { const char *id; uint64_t ms; bool own; } cases[] = {
        {"req_000000000000000000000000", 0, true},
        {"req_vvvvvvvvv000000000000000", ((uint64_t)1 << 45) - 1, true},
        {"req_000000010vvvvvvvvvvvvvvv", 32, true},
        {"req_00000001000000000000000", 0, false},     /* a digit less, a digit more */
        {"req_0000000100000000000000000", 0, false},
        {"req_00000001000000000000000w", 0, false},
        {"req_w00000000000000000000000", 0, false},
        {"req_0000A0000000000000000000", 0, false},
        {"req-000000000000000000000000", 0, false},
        {"REQ_000000000000000000000000", 0, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t ms = 0;
        assert_int_equal(block_own_id(cases[i].id, strlen(cases[i].id), &ms), cases[i].own);
        if (cases[i].own) assert_int_equal(ms, cases[i].ms);
    }
    struct record r;
    memset(&r, 0, sizeof(r));
    memcpy(r.request_id, cases[2].id, BLOCK_OWN_ID);
    r.admitted_unix_ns = 32999999;
    assert_true(block_id_leads(&r));
    r.admitted_unix_ns = 33000000;
    assert_false(block_id_leads(&r));       /* of another millisecond: the index leads there */
    r.admitted_unix_ns = 31999999;
    assert_false(block_id_leads(&r));
    r.admitted_unix_ns = 32000000;
    r.request_id[BLOCK_OWN_ID] = 'x';
    assert_false(block_id_leads(&r));
}

/* Two records are of a kind when nothing of a kind differs, whatever else does. */
static void test_kinds_agree_with_a_comparison(void **state)
{
    (void)state;
    enum { MAX = 1500 };
    struct record *r = calloc(MAX, sizeof(*r));
    uint32_t kind[MAX];
    struct kinds k = {.seed = 77};
    uint64_t seed = 6;
    assert_non_null(r);
    for (size_t i = 0; i < MAX; i++) {
        r[i] = draw_record(&seed);
        if (i > 0 && draw(&seed, 4)) {      /* like another in all but one byte, or in all */
            r[i] = r[draw(&seed, (uint32_t)i)];
            if (draw(&seed, 2)) ((uint8_t *)&r[i])[8 + draw(&seed, 484)] ^= 1;
            if (r[i].kind < RECORD_ATTEMPT || r[i].kind > RECORD_REQUEST) r[i].kind = 1;
        }
        assert_true(kinds_at(&k, &r[i], &kind[i]));
    }
    for (size_t i = 0; i < MAX; i++) {
        for (size_t j = 0; j < i; j++) {
            struct record a = r[i], b = r[j];
            a.crc = b.crc = 0;                      /* what a kind has nothing to do with */
            a.version = b.version;
            a.seq = b.seq;
            a.exchange_id = b.exchange_id;
            a.admitted_unix_ns = b.admitted_unix_ns;
            a.cost_nusd = b.cost_nusd;
            memcpy(a.tokens, b.tokens, sizeof(a.tokens));
            a.reasoning_tokens = b.reasoning_tokens;
            a.ttft_us = b.ttft_us;
            a.duration_us = b.duration_us;
            a.gain = b.gain;
            memcpy(a.reason, b.reason, sizeof(a.reason));
            memcpy(a.request_id, b.request_id, sizeof(a.request_id));
            bool alike = memcmp(&a, &b, sizeof(a)) == 0;
            assert_int_equal(kind[i] == kind[j], alike);
        }
    }
    kinds_fini(&k);
    free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_reads_back),
        cmocka_unit_test(test_the_longest_row_fits),
        cmocka_unit_test(test_many_origins),
        cmocka_unit_test(test_sorting_agrees_with_the_library),
        cmocka_unit_test(test_a_place_is_found),
        cmocka_unit_test(test_damage_is_harmless),
        cmocka_unit_test(test_own_ids),
        cmocka_unit_test(test_kinds_agree_with_a_comparison),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
