/* test_chunk.c - chunked coding (RFC 9112 section 7.1): every cut gives the same body and the
 * same verdict, and nothing is framed in two ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/chunk.h"
#include "tests/unit/wall.h"

struct result {
    enum net_rc rc;
    size_t len;       /* of body */
    size_t left;      /* bytes of the input behind the end */
    char body[64 * 1024];
};

static struct wall wall;
static struct result got;

static int setup(void **state)
{
    (void)state;
    wall = wall_open(512 * 1024);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wall_close(&wall);
    return 0;
}

/* Decode one part of the input, from memory that ends at the wall. */
static void feed(struct chunk *c, struct bytes part)
{
    struct bytes in = wall_put(&wall, part), body;
    while ((got.rc = chunk_next(c, &in, &body)) == NET_OK) {
        assert_true(body.len > 0);
        assert_true(got.len + body.len <= sizeof(got.body));
        memcpy(got.body + got.len, body.ptr, body.len);
        got.len += body.len;
    }
    if (got.rc == NET_MORE) assert_int_equal(in.len, 0);
    got.left = in.len;
}

/* Two parts; what a finished decoder leaves is not fed again. */
static void decode_cut(struct bytes wire, size_t cut)
{
    struct chunk c = {0};
    got = (struct result){.rc = NET_MORE};
    feed(&c, (struct bytes){wire.ptr, cut});
    if (got.rc == NET_MORE) feed(&c, (struct bytes){wire.ptr + cut, wire.len - cut});
    else got.left += wire.len - cut;
    struct bytes again = BYTES("0\r\n\r\n"), body;
    if (got.rc != NET_MORE) assert_int_equal(chunk_next(&c, &again, &body), got.rc);
}

static void decode_bytewise(struct bytes wire)
{
    struct chunk c = {0};
    got = (struct result){.rc = NET_MORE};
    size_t at = 0;
    for (; at < wire.len && got.rc == NET_MORE; at++)
        feed(&c, (struct bytes){wire.ptr + at, 1});
    if (got.rc == NET_DONE) got.left = wire.len - at + got.left;
}

static const struct {
    const char *wire, *body;
    enum net_rc rc;
    size_t left;
} splits[] = {
    {"5\r\nhello\r\n0\r\n\r\n", "hello", NET_DONE, 0},
    {"5\r\nhello\r\n6\r\n world\r\n000\r\n\r\nGET", "hello world", NET_DONE, 3},
    {"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", NET_DONE, 0},
    {"00000001\r\nx\r\n0\r\n\r\n", "x", NET_DONE, 0},
    {"3\r\nab", "ab", NET_MORE, 0},
    {"0\r\n", "", NET_MORE, 0},
    {"2\r\n\r\n\r\n0\r\n\r\n", "\r\n", NET_DONE, 0},
    /* bare LF, bare CR, what stands where CRLF is due */
    {"5\nhello\r\n", "", NET_BAD, 0},
    {"5\r\nhello\n0\r\n\r\n", "hello", NET_BAD, 0},
    {"5\r\nhelloX\r\n0\r\n\r\n", "hello", NET_BAD, 0},
    {"5\r\nhello0\r\n\r\n", "hello", NET_BAD, 0},
    {"5\r\nhello\rX0\r\n\r\n", "hello", NET_BAD, 0},
    {"5\r\rhello", "", NET_BAD, 0},
    {"5\rhello", "", NET_BAD, 0},
    {"0\r\n\n", "", NET_BAD, 0},
    {"0\r\n\rX", "", NET_BAD, 0},
    {"0\n\r\n", "", NET_BAD, 0},
    /* sizes */
    {"123456789\r\n", "", NET_BAD, 0},  /* 9 digits */
    {"000000000\r\n", "", NET_BAD, 0},
    {"\r\n0\r\n\r\n", "", NET_BAD, 0},
    {"0x5\r\nhello\r\n", "", NET_BAD, 0},
    {"-1\r\n", "", NET_BAD, 0},
    {"+1\r\n", "", NET_BAD, 0},
    {"5 \r\nhello\r\n", "", NET_BAD, 0},
    {" 5\r\nhello\r\n", "", NET_BAD, 0},
    {"5\t;a\r\nhello\r\n", "", NET_BAD, 0},
    {"g\r\n", "", NET_BAD, 0},
    /* section 7.1.1: extensions */
    {"1;a\r\nx\r\n0;b=c\r\n\r\n", "x", NET_DONE, 0},
    {"1;a=b;c=\"d;\\\"\\\\ e\xff\";f\r\nx\r\n0\r\n\r\n", "x", NET_DONE, 0},
    {"1;a=\"\"\r\nx\r\n0\r\n\r\n", "x", NET_DONE, 0},
    {"1;\r\nx\r\n", "", NET_BAD, 0},
    {"1;;a\r\nx\r\n", "", NET_BAD, 0},
    {"1;=b\r\nx\r\n", "", NET_BAD, 0},
    {"1;a=\r\nx\r\n", "", NET_BAD, 0},
    {"1; a\r\nx\r\n", "", NET_BAD, 0},
    {"1;a =b\r\nx\r\n", "", NET_BAD, 0},
    {"1;a= b\r\nx\r\n", "", NET_BAD, 0},
    {"1;a=\"b\"c\r\nx\r\n", "", NET_BAD, 0},
    {"1;a=\"b\r\nx\r\n", "", NET_BAD, 0},
    {"1;a=\"b\\\r\nx\r\n", "", NET_BAD, 0},
    {"1;a\nb\r\nx\r\n", "", NET_BAD, 0},
    {"1;a\r;b\r\nx\r\n", "", NET_BAD, 0},
    {";a\r\n", "", NET_BAD, 0},
    /* section 7.1.2: trailers are checked like fields, and dropped */
    {"0\r\nA: b\r\nC:\r\n\r\n", "", NET_DONE, 0},
    {"0\r\nA: b\xff\t\r\n\r\nX", "", NET_DONE, 1},
    {"0\r\nA : b\r\n\r\n", "", NET_BAD, 0},
    {"0\r\n A: b\r\n\r\n", "", NET_BAD, 0},
    {"0\r\nA: b\r\n c\r\n\r\n", "", NET_BAD, 0},
    {"0\r\nA\r\n\r\n", "", NET_BAD, 0},
    {"0\r\n: b\r\n\r\n", "", NET_BAD, 0},
    {"0\r\nA: b\n\r\n", "", NET_BAD, 0},
    {"0\r\nA: b\x01\r\n\r\n", "", NET_BAD, 0},
    {"0\r\nA: b\rC\r\n\r\n", "", NET_BAD, 0},
};

static void test_every_split_gives_the_same_result(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(splits); i++) {
        const struct bytes wire = bytes_of(splits[i].wire), body = bytes_of(splits[i].body);
        for (size_t cut = 0; cut <= wire.len + 1; cut++) {
            if (cut <= wire.len) decode_cut(wire, cut);
            else decode_bytewise(wire);
            const bool good = got.rc == splits[i].rc &&
                              bytes_eq((struct bytes){got.body, got.len}, body) &&
                              (got.rc != NET_DONE || got.left == splits[i].left);
            if (!good) wall_row(wire);
            if (!good) fail_msg("cut at %zu: rc %d, %zu bytes", cut, (int)got.rc, got.len);
        }
    }
}

/* NUL needs lengths of its own. */
static void test_nul(void **state)
{
    (void)state;
    decode_cut(BYTES("3\r\na\0b\r\n0\r\n\r\n"), 4);
    assert_int_equal(got.rc, NET_DONE);
    assert_memory_equal(got.body, "a\0b", 3);
    decode_cut(BYTES("1;a\0\r\nx\r\n"), 2);
    assert_int_equal(got.rc, NET_BAD);
    decode_cut(BYTES("0\r\nA: \0\r\n\r\n"), 2);
    assert_int_equal(got.rc, NET_BAD);
}

/* CHUNK_FRAMING_MAX for a size line and for the trailers, at max and max + 1. */
static void test_framing_limits(void **state)
{
    static char wire[CHUNK_FRAMING_MAX + 64];
    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        memset(wire, 'x', sizeof(wire));
        memcpy(wire, "1;", 2);
        memcpy(wire + CHUNK_FRAMING_MAX + extra - 2, "\r\nz\r\n0\r\n\r\n", 11);
        decode_cut((struct bytes){wire, CHUNK_FRAMING_MAX + extra + 8}, 100);
        assert_int_equal(got.rc, extra ? NET_BAD : NET_DONE);
        assert_int_equal(got.len, extra ? 0 : 1);
        memset(wire, 'x', sizeof(wire));
        memcpy(wire, "0\r\nA:", 5);
        memcpy(wire + 3 + CHUNK_FRAMING_MAX + extra - 4, "\r\n\r\n", 4);
        decode_cut((struct bytes){wire, 3 + CHUNK_FRAMING_MAX + extra}, 100);
        assert_int_equal(got.rc, extra ? NET_BAD : NET_DONE);
    }
}

/* CHUNK_EXTRA_MAX bytes of extensions in one body, however many chunks share them. */
static void test_extra_limit(void **state)
{
    static char wire[400 * 1024];
    static const char piece[] = "1;12345678\r\nx\r\n";  /* 8 bytes of name and the CR */
    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        const size_t count = CHUNK_EXTRA_MAX / 9 + extra;
        size_t len = 0;
        for (size_t i = 0; i < count; i++, len += sizeof(piece) - 1)
            memcpy(wire + len, piece, sizeof(piece) - 1);
        memcpy(wire + len, "0\r\n\r\n", 5);
        decode_cut((struct bytes){wire, len + 5}, len / 2);
        assert_int_equal(got.rc, extra ? NET_BAD : NET_DONE);
    }
}

static void test_largest_chunk(void **state)
{
    struct chunk c = {0};
    struct bytes in = BYTES("FFFFffff\r\nab"), body;
    (void)state;
    assert_int_equal(chunk_next(&c, &in, &body), NET_OK);
    assert_int_equal(body.len, 2);
    assert_int_equal(c.left, UINT32_MAX - 2);
}

static void test_line(void **state)
{
    static const uint64_t sizes[] = {1, 9, 10, 15, 16, 255, 256, 4095, 65536, 0xabcdef12,
                                     UINT32_MAX};
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        char want[16], out[CHUNK_LINE_MAX];
        snprintf(want, sizeof(want), "%llx\r\n", (unsigned long long)sizes[i]);
        const size_t len = chunk_line(sizes[i], out);
        assert_int_equal(len, strlen(want));
        assert_memory_equal(out, want, len);
        struct chunk c = {0};
        struct bytes in = wall_put(&wall, (struct bytes){out, len}), body;
        assert_int_equal(chunk_next(&c, &in, &body), NET_MORE);
        assert_int_equal(c.left, sizes[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_split_gives_the_same_result),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_framing_limits),
        cmocka_unit_test(test_extra_limit),
        cmocka_unit_test(test_largest_chunk),
        cmocka_unit_test(test_line),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
