/* test_eventstream.c - Amazon's event streams: messages made here and recorded ones, cut
 * everywhere, with every byte of them wrong once. */
#include "net/eventstream.h"
#include "openai_tape.h"
#include "tests/unit/wall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static struct wall wall;

struct maker { char at[8192]; size_t len; };

static void put_number(struct maker *m, uint32_t value, unsigned bytes)
{
    while (bytes-- > 0) m->at[m->len++] = (char)(value >> 8 * bytes);
}

/* A header of a type with so many bytes; text types get their length before. */
static void put_header(struct maker *m, const char *name, uint8_t type, struct bytes value)
{
    put_number(m, (uint32_t)strlen(name), 1);
    memcpy(m->at + m->len, name, strlen(name));
    m->len += strlen(name);
    put_number(m, type, 1);
    if (type == 6 || type == 7) put_number(m, (uint32_t)value.len, 2);
    if (value.len) memcpy(m->at + m->len, value.ptr, value.len);
    m->len += value.len;
}

/* Frame what lies behind the first 12 bytes: headers up to headers_end, then a payload. */
static void frame(struct maker *m, size_t headers_end)
{
    size_t len = m->len;
    m->len = 0;
    put_number(m, (uint32_t)len + 4, 4);
    put_number(m, (uint32_t)headers_end - 12, 4);
    put_number(m, eventstream_crc(0, (struct bytes){m->at, 8}), 4);
    m->len = len;
    put_number(m, eventstream_crc(0, (struct bytes){m->at, len}), 4);
}

static struct bytes made(struct maker *m, const char *kind, const char *name_of,
                         const char *name, struct bytes payload)
{
    m->len = 12;
    if (kind) put_header(m, ":message-type", 7, bytes_of(kind));
    if (name_of) put_header(m, name_of, 7, bytes_of(name));
    size_t headers = m->len;
    if (payload.len) memcpy(m->at + m->len, payload.ptr, payload.len);
    m->len += payload.len;
    frame(m, headers);
    return (struct bytes){m->at, m->len};
}

static void test_crc(void **state)
{
    (void)state;
    assert_int_equal(eventstream_crc(0, BYTES("123456789")), 0xcbf43926u);  /* its check */
    assert_int_equal(eventstream_crc(eventstream_crc(0, BYTES("1234")), BYTES("56789")),
                     0xcbf43926u);
    assert_int_equal(eventstream_crc(0, (struct bytes){0}), 0);
}

static void test_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *name_of, *name;
        uint8_t want;
        bool named;
    } cases[] = {
        {"event", ":event-type", "messageStart", EVENTSTREAM_EVENT, true},
        {"exception", ":exception-type", "throttlingException", EVENTSTREAM_EXCEPTION, true},
        {"error", ":error-code", "InternalError", EVENTSTREAM_ERROR, true},
        {NULL, ":event-type", "chunk", EVENTSTREAM_EVENT, true},
        {"event", ":exception-type", "x", EVENTSTREAM_EVENT, false},
        {"odd", NULL, NULL, EVENTSTREAM_EVENT, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct maker m;
        struct eventstream_message got;
        size_t need;
        struct bytes in = wall_put(&wall, made(&m, cases[i].kind, cases[i].name_of,
                                               cases[i].name, BYTES("{\"a\":1}")));
        assert_int_equal(eventstream_next(&in, &got, &need), NET_OK);
        assert_int_equal(in.len, 0);
        assert_int_equal(got.kind, cases[i].want);
        assert_true(bytes_eq(got.name, cases[i].named ? bytes_of(cases[i].name)
                                                      : (struct bytes){0}));
        assert_true(bytes_eq(got.payload, BYTES("{\"a\":1}")));
    }
}

/* Every type of header is passed over; the text of an error is kept. */
static void test_headers(void **state)
{
    (void)state;
    static const uint8_t sizes[] = {0, 0, 1, 2, 4, 8, 5, 5, 8, 16};
    struct maker m = {.len = 12};
    struct eventstream_message got;
    size_t need;
    for (uint8_t type = 0; type < COUNT(sizes); type++) {
        put_header(&m, "other", type, (struct bytes){"0123456789abcdef", sizes[type]});
    }
    put_header(&m, ":message-type", 7, BYTES("error"));
    put_header(&m, ":error-message", 7, BYTES("no"));
    frame(&m, m.len);
    struct bytes in = wall_put(&wall, (struct bytes){m.at, m.len});
    assert_int_equal(eventstream_next(&in, &got, &need), NET_OK);
    assert_int_equal(got.kind, EVENTSTREAM_ERROR);
    assert_true(bytes_eq(got.text, BYTES("no")));
    assert_int_equal(got.payload.len, 0);
    for (size_t end = 13; end < m.len - 4; end++) {  /* headers that end in the middle of one */
        struct maker cut = m;
        cut.len = end;
        frame(&cut, end);
        in = wall_put(&wall, (struct bytes){cut.at, cut.len});
        enum net_rc rc = eventstream_next(&in, &got, &need);
        assert_true(rc == NET_BAD || rc == NET_OK);
    }
    m.len = 12;
    put_header(&m, "x", 10, (struct bytes){0});
    frame(&m, m.len);
    in = wall_put(&wall, (struct bytes){m.at, m.len});
    assert_int_equal(eventstream_next(&in, &got, &need), NET_BAD);
    m.len = 12;
    put_header(&m, "", 0, (struct bytes){0});
    frame(&m, m.len);
    in = wall_put(&wall, (struct bytes){m.at, m.len});
    assert_int_equal(eventstream_next(&in, &got, &need), NET_BAD);
}

/* Any wrong byte is found; any part of a message is no message, and nothing of it is cut. */
static void test_every_byte(void **state)
{
    (void)state;
    struct maker m;
    struct eventstream_message got;
    size_t need;
    struct bytes whole = made(&m, "event", ":event-type", "e", BYTES("{}"));
    for (size_t cut = 0; cut < whole.len; cut++) {
        struct bytes in = wall_put(&wall, (struct bytes){whole.ptr, cut}), before = in;
        assert_int_equal(eventstream_next(&in, &got, &need), NET_MORE);
        assert_true(in.ptr == before.ptr && in.len == before.len);
        assert_int_equal(need, cut < 12 ? 12 : whole.len);
    }
    for (size_t at = 0; at < whole.len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct maker wrong = m;
            wrong.at[at] = (char)(wrong.at[at] ^ (1 << bit));
            struct bytes in = wall_put(&wall, (struct bytes){wrong.at, whole.len});
            assert_int_equal(eventstream_next(&in, &got, &need), NET_BAD);
        }
    }
}

static void test_lengths(void **state)
{
    (void)state;
    static const struct { uint32_t total, headers; enum net_rc want; } cases[] = {
        {15, 0, NET_BAD}, {16, 1, NET_BAD}, {0, 0, NET_BAD}, {UINT32_MAX, 0, NET_BAD},
        {EVENTSTREAM_MAX, 0, NET_MORE}, {EVENTSTREAM_MAX + 1, 0, NET_BAD},
        {EVENTSTREAM_MAX, EVENTSTREAM_HEADERS_MAX, NET_MORE},
        {EVENTSTREAM_MAX, EVENTSTREAM_HEADERS_MAX + 1, NET_BAD}, {17, 1, NET_MORE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct maker m = {.len = 0};
        struct eventstream_message got;
        size_t need;
        put_number(&m, cases[i].total, 4);
        put_number(&m, cases[i].headers, 4);
        put_number(&m, eventstream_crc(0, (struct bytes){m.at, 8}), 4);
        struct bytes in = wall_put(&wall, (struct bytes){m.at, m.len});
        assert_int_equal(eventstream_next(&in, &got, &need), cases[i].want);
        if (cases[i].want == NET_MORE) assert_int_equal(need, cases[i].total);
    }
}

struct tally { unsigned streams, messages; };

static void read_tape(const struct tape *tape, void *arg)
{
    struct tally *all = arg;
    struct bytes in = tape->events;
    struct eventstream_message m = {0};
    size_t need;
    if (!tape->binary) return;
    all->streams++;
    while (in.len > 0) {
        assert_int_equal(eventstream_next(&in, &m, &need), NET_OK);
        assert_true(m.kind == EVENTSTREAM_EVENT && m.name.len > 0 && m.payload.len > 0);
        all->messages++;
    }
    assert_true(bytes_eq(m.name, BYTES("metadata")));
}

static void test_recorded(void **state)
{
    (void)state;
    struct tally all = {0};
    if (!tapes_each("bedrock-converse", read_tape, &all)) skip();
    assert_int_equal(all.streams, 13);
    assert_true(all.messages > 300);
}

static int setup(void **state)
{
    (void)state;
    wall = wall_open(65536);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc), cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_headers), cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_lengths), cmocka_unit_test(test_recorded),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
