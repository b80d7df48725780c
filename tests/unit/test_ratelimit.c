/* test_ratelimit.c - what providers' heads say of the room left: every form that was recorded
 * or is documented, every time, and what must say nothing. The lines are as they came, in
 * memory that ends at an unreadable page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/ratelimit.h"
#include "tests/unit/wall.h"

#define NOW_S 1700000000ull                 /* 2023-11-14T22:13:20Z */
#define NOW_NS (NOW_S * 1000000000ull)
#define R "X-RateLimit-"
#define A "anthropic-ratelimit-"

static struct wall wall;

static int setup(void **state)
{
    (void)state;
    wall = wall_open(4 * WALL_PAGE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wall_close(&wall);
    return 0;
}

enum { NO = -1 };

static void test_times(void **state)
{
    (void)state;
    static const struct { const char *text; int64_t ms; } rows[] = {
        {"12ms", 12}, {"6m0s", 360000}, {"1s", 1000}, {"0s", 0}, {"7.66s", 7660},
        {"2m59.56s", 179560}, {"1h2m3s", 3723000}, {"1d", 86400000}, {"2d", RATELIMIT_MS_MAX},
        {"59.369s", 59369}, {"0.5ms", 1}, {"100us", 1}, {"1ns", 1}, {"0ns", 0},
        {"1500\xc2\xb5s", 2}, {"1m1ms", 60001}, {"3.0000000001s", 3000},
        {"60", 60000}, {"0", 0}, {"7.66", 7660}, {"0.0001", 1}, {"00012", 12000},
        {"999999999", RATELIMIT_MS_MAX}, {"86400", RATELIMIT_MS_MAX},
        {"86399.9", 86399900},
        {"1700000030", 30000}, {"1700000000", 0}, {"1600000000", 0},       /* seconds */
        {"1700000030.25", 30250}, {"1700086400", RATELIMIT_MS_MAX},
        {"1700000030500", 30500}, {"1600000000000", 0},                    /* milliseconds */
        {"2023-11-14T22:13:20Z", 0}, {"2023-11-14T22:13:21Z", 1000},
        {"2023-11-14T22:13:50.5Z", 30500}, {"2023-11-14t22:13:21z", 1000},
        {"2023-11-15T00:13:20+02:00", 0}, {"2023-11-14T21:14:20-01:00", 60000},
        {"2023-11-15T22:13:19Z", 86399000}, {"2024-02-29T00:00:00Z", RATELIMIT_MS_MAX},
        {"1999-12-31T23:59:59Z", 0}, {"2023-11-14 22:13:21Z", 1000},
        {"Tue, 14 Nov 2023 22:13:26 GMT", 6000}, {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
        {"", NO}, {"soon", NO}, {"-5", NO}, {"-5s", NO}, {"5 s", NO}, {"s", NO}, {"1x", NO},
        {"1s2", NO}, {".5s", NO}, {"5.", NO}, {"5.s", NO}, {"1e3", NO}, {"0x10", NO},
        {"1234567890123456", NO}, {"1s ", NO}, {"2023-11-14T22:13:20", NO},
        {"2023-11-14T22:13:20+2:00", NO}, {"2023-13-14T22:13:20Z", NO},
        {"2023-11-14T24:13:20Z", NO}, {"2023-11-14T22:13:21.Z", NO}, {"2023-11-14", NO},
        {"2023-11-14T22:13:20+24:00", NO}, {"0000-00-00T00:00:00Z", NO},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bytes text = wall_put(&wall, bytes_of(rows[i].text));
        uint64_t ms = 4711;
        bool ok = ratelimit_time(text, NOW_NS, &ms);
        if (ok != (rows[i].ms != NO) || ms != (ok ? (uint64_t)rows[i].ms : 4711)) {
            wall_row(text);
            fail_msg("%d, %llu ms", ok, (unsigned long long)ms);
        }
    }
    uint64_t ms;                            /* within a second it is rounded up */
    assert_true(ratelimit_time(BYTES("1700000030"), NOW_NS + 999999, &ms));
    assert_int_equal(ms, 30000);
    assert_true(ratelimit_time(BYTES("1700000030"), NOW_NS + 400000000, &ms));
    assert_int_equal(ms, 29600);
}

struct row {
    const char *head;
    int room;               /* -1: nothing is said */
    uint32_t wait_ms, reset_ms;
};

static const struct row rows[] = {
    /* OpenAI, Azure, Groq: as recorded */
    {R "Limit-Requests: 10000\r\n" R "Limit-Tokens: 200000\r\n" R "Remaining-Requests: 9999\r\n"
     R "Remaining-Tokens: 199987\r\n" R "Reset-Requests: 8.64s\r\n" R "Reset-Tokens: 3ms\r\n",
     9999, 0, 8640},
    {R "limit-requests: 500\r\n" R "limit-tokens: 30000\r\n" R "remaining-requests: 499\r\n"
     R "remaining-tokens: 1500\r\n" R "reset-requests: 120ms\r\n" R "reset-tokens: 57s\r\n"
     R "limit-input-images: 50\r\n" R "remaining-input-images: 40\r\n", 500, 0, 57000},
    {R "limit-requests: 30\r\n" R "remaining-requests: 0\r\n" R "reset-requests: 2m59.56s\r\n"
     R "limit-tokens: 6000\r\n" R "remaining-tokens: 5900\r\n" R "reset-tokens: 1s\r\n",
     0, 179560, 179560},
    {R "limit-requests: 250\r\n" R "remaining-requests: 249\r\n" R "renewalperiod-requests: 60"
     "\r\n" R "limit-tokens: 250000\r\n" R "remaining-tokens: -1\r\n" R "reset-tokens: 7\r\n",
     9960, 0, 0},
    /* both used up: the longer wait holds */
    {R "limit-requests: 3\r\n" R "remaining-requests: 0\r\n" R "reset-requests: 20s\r\n"
     R "limit-tokens: 100\r\n" R "remaining-tokens: 0\r\n" R "reset-tokens: 6m0s\r\n",
     0, 360000, 360000},
    /* Anthropic */
    {A "requests-limit: 50\r\n" A "requests-remaining: 49\r\n"
     A "requests-reset: 2023-11-14T22:13:21Z\r\n" A "input-tokens-limit: 30000\r\n"
     A "input-tokens-remaining: 0\r\n" A "input-tokens-reset: 2023-11-14T22:14:05Z\r\n"
     A "output-tokens-limit: 8000\r\n" A "output-tokens-remaining: 8000\r\n"
     A "output-tokens-reset: 2023-11-14T22:13:20Z\r\n", 0, 45000, 45000},
    /* Mistral: no reset; Cerebras: a day and a minute; SambaNova: moments; Together */
    {R "limit-req-minute: 60\r\n" R "remaining-req-minute: 0\r\n" R "limit-tokens-minute: 500"
     "\r\n" R "remaining-tokens-minute: 250\r\n" R "tokens-query-cost: 12\r\n",
     0, RATELIMIT_AGAIN_MS, 0},
    {R "limit-requests-day: 14400\r\n" R "remaining-requests-day: 7200\r\n"
     R "reset-requests-day: 33011.38\r\n" R "limit-tokens-minute: 60000\r\n"
     R "remaining-tokens-minute: 59999\r\n" R "reset-tokens-minute: 11.4\r\n",
     5000, 0, 33011380},
    {R "limit-requests: 20\r\n" R "remaining-requests: 0\r\n" R "reset-requests: 1700000045\r\n"
     R "limit-requests-day: 12000\r\n" R "remaining-requests-day: 11990\r\n", 0, 45000, 45000},
    {R "limit: 2\r\n" R "remaining: 0\r\n" R "reset: 1\r\n", 0, 1000, 1000},
    {R "limit: 2\r\n" R "remaining: 1\r\n" R "reset: 1\r\n", 5000, 0, 1000},
    /* the IETF's names; a limit with its windows */
    {"RateLimit-Limit: 100, 100;w=60\r\nRateLimit-Remaining: 40\r\nRateLimit-Reset: 12\r\n",
     4000, 0, 12000},
    /* any order, any case, other lines around, blanks */
    {"content-type: x\r\nX-RATELIMIT-RESET-REQUESTS:  2s \r\nx-ratelimit-remaining-requests:0"
     "\r\nX-Request-Id: 7\r\nx-ratelimit-limit-requests:\t9\r\n", 0, 2000, 2000},
    /* no limit is told, but a time is; neither: nothing is said */
    {R "remaining-requests: 0\r\n" R "reset-requests: 3s\r\n", 0, 3000, 3000},
    {R "remaining-requests: 0\r\n" R "reset-requests: 0s\r\n", -1, 0, 0},
    {R "remaining-requests: 0\r\n", -1, 0, 0},
    {R "remaining-requests: 5\r\n" R "reset-requests: 3s\r\n", -1, 0, 0},
    {R "limit-requests: 0\r\n" R "remaining-requests: 0\r\n" R "reset-requests: 9s\r\n",
     -1, 0, 0},
    /* a time that is none; one that has passed */
    {R "limit: 5\r\n" R "remaining: 0\r\n" R "reset: soon\r\n", 0, RATELIMIT_AGAIN_MS, 0},
    {R "limit: 5\r\n" R "remaining: 0\r\n" R "reset: 1600000000\r\n", 0, 0, 0},
    /* little is not nothing; more than there can be; the first of two */
    {R "limit: 900000000000000\r\n" R "remaining: 1\r\n", 1, 0, 0},
    {R "limit: 5\r\n" R "remaining: 7\r\n", 10000, 0, 0},
    {R "limit: 4\r\n" R "remaining: 1\r\n" R "remaining: 0\r\n", 2500, 0, 0},
    /* not ours, not understood */
    {"", -1, 0, 0}, {"\r\n", -1, 0, 0}, {"x-ratelimit-\r\n", -1, 0, 0},
    {"x-ratelimit-remaining", -1, 0, 0}, {"x-ratelimit-remaining:", -1, 0, 0},
    {"x-ratelimits-limit: 3\r\nx-ratelimits-remaining: 0\r\n", -1, 0, 0},
    {R "limit-remaining: 3\r\n" R "type: UserByModelByDay\r\n", -1, 0, 0},
    {R "limit: five\r\n" R "remaining: 0\r\n", -1, 0, 0},
    {R "limit: 5 per s\r\n" R "remaining: 0\r\n", -1, 0, 0},
    {R "a-b-c-d-e-f-limit: 5\r\n" R "a-b-c-d-e-f-remaining: 0\r\n", -1, 0, 0},
};

static void check(struct bytes head, const struct row *row)
{
    struct ratelimit r;
    ratelimit_read(head, NOW_NS, &r);
    bool same = r.said == (row->room >= 0) && r.wait_ms == row->wait_ms &&
                r.reset_ms == row->reset_ms &&
                r.room == (row->room < 0 ? RATELIMIT_ONE : row->room);
    if (same) return;
    wall_row(head);
    fail_msg("said %d, room %u, wait %u, reset %u", r.said, r.room, r.wait_ms, r.reset_ms);
}

static void test_heads(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        check(wall_put(&wall, bytes_of(rows[i].head)), &rows[i]);
    }
}

/* What is behind the last kind that has a place is not looked at, and harms nothing. */
static void test_many_kinds(void **state)
{
    (void)state;
    char text[4096];
    size_t len = 0;
    for (int i = 0; i <= RATELIMIT_KINDS_MAX; i++) {
        int left = i == RATELIMIT_KINDS_MAX ? 0 : 80 - i;
        len += (size_t)snprintf(text + len, sizeof text - len, R "limit-k%d: 100\r\n"
                                R "remaining-k%d: %d\r\n" R "reset-k%d: %ds\r\n", i, i, left, i,
                                i + 1);
    }
    struct row row = {text, 8100 - 100 * RATELIMIT_KINDS_MAX, 0, 1000 * RATELIMIT_KINDS_MAX};
    check(wall_put(&wall, (struct bytes){text, len}), &row);
}

/* However a head is cut off, nothing behind it is read. */
static void test_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bytes head = bytes_of(rows[i].head);
        for (size_t n = 0; n <= head.len; n++) {
            struct ratelimit r;
            ratelimit_read(wall_put(&wall, (struct bytes){head.ptr, n}), NOW_NS, &r);
            assert_true(r.room <= RATELIMIT_ONE);
            assert_true(r.wait_ms == 0 || (r.said && r.room == 0));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_many_kinds),
        cmocka_unit_test(test_every_cut),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
