/* test_proxy.c - the PROXY protocol, both versions (proxy-protocol.txt, sections 2.1 and 2.2):
 * what is taken, what is refused, at every cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/proxy.h"
#include "tests/unit/wall.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define ENDS4 "\300\000\002\001\012\000\000\001\0\1\0\2"       /* 192.0.2.1 to 10.0.0.1 */
#define ENDS6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07" \
              "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01" "\0\1\0\2"
#define MAPPED "\0\0\0\0\0\0\0\0\0\0\xff\xff\300\000\002\002" \
               "\0\0\0\0\0\0\0\0\0\0\xff\xff\012\0\0\1" "\0\1\0\2"

static struct wall wall;

static int setup(void **state)
{
    (void)state;
    wall = wall_open(2 * WALL_PAGE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wall_close(&wall);
    return 0;
}

struct row {
    struct bytes wire;
    const char *from;       /* NULL: no header is to be found */
    enum net_rc rc;         /* where from is NULL */
    size_t rest;            /* bytes behind the header */
};

/* Every prefix is undecided or has the verdict of the whole. */
static void check_cuts(struct bytes wire, enum net_rc rc, const struct proxy *whole)
{
    bool decided = false;
    for (size_t n = 0; n <= wire.len; n++) {
        struct proxy p;
        const char *why = NULL;
        struct bytes part = wall_put(&wall, (struct bytes){wire.ptr, n});
        enum net_rc got = proxy_read(part, &p, &why);
        assert_true(got == rc || (got == NET_MORE && !decided));
        decided = got != NET_MORE;
        if (got == NET_OK) assert_memory_equal(&p.from, &whole->from, sizeof p.from);
        if (got == NET_OK) assert_int_equal(p.bytes, whole->bytes);
        if (got == NET_BAD) assert_non_null(why);
        if (got == NET_OK) assert_true(n >= p.bytes);
        if (rc == NET_DONE && n > PROXY_BEGIN_MAX) assert_int_equal(got, NET_DONE);
    }
}

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct row *r = &rows[i];
        struct proxy p;
        const char *why = NULL;
        char text[ADDR_TEXT_MAX + 1];
        enum net_rc rc = proxy_read(wall_put(&wall, r->wire), &p, &why);
        text[addr_text(&p.from, text)] = 0;
        bool good = rc == (r->from ? NET_OK : r->rc);
        if (good && r->from) {
            good = strcmp(text, r->from) == 0 && p.bytes + r->rest == r->wire.len;
        }
        if (!good) wall_row(r->wire);
        assert_true(good);
        check_cuts(r->wire, rc, &p);
    }
}

/* Section 2.1. */
static void test_lines(void **state)
{
    static const struct row rows[] = {
        {BYTES_INIT("PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\nGET / HTTP/1.1\r\n"),
         "192.0.2.1", 0, 16},
        {BYTES_INIT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
         "255.255.255.255", 0, 0},
        {BYTES_INIT("PROXY TCP4 192.0.2.1 10.0.0.1 0 0\r\n"), "192.0.2.1", 0, 0},
        {BYTES_INIT("PROXY TCP6 2001:db8::7 ::1 1 2\r\n"), "2001:db8::7", 0, 0},
        {BYTES_INIT("PROXY TCP6 ::ffff:192.0.2.2 ::ffff:10.0.0.1 1 2\r\n"), "192.0.2.2", 0, 0},
        {BYTES_INIT("PROXY TCP6 ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"), NULL,
         NET_BAD, 0},
        {BYTES_INIT("PROXY UNKNOWN\r\nX"), "-", 0, 1},
        {BYTES_INIT("PROXY UNKNOWN what ever it says\r\n"), "-", 0, 0},
        {BYTES_INIT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"), "-", 0, 0},
        {BYTES_INIT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff  "
                    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"), NULL,
         NET_BAD, 0},
        {BYTES_INIT("PROXY UNKNOWN a\rb\r\n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY UNKNOWN a\tb\r\n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY UNKNOWNS\r\n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY \n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY \r\n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY TCP4\r\n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY TCP4 192.0.2.1 10.0.0.1 1\r\n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY TCP4 192.0.2.1 10.0.0.1 1 2 \r\n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY TCP4 192.0.2.1 10.0.0.1 1 2 3\r\n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY TCP4  192.0.2.1 10.0.0.1 1 2\r\n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY TCP4 192.0.2.1\t10.0.0.1 1 2\r\n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY TCP4 192.0.2.1 10.0.0.1 1 65536\r\n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY TCP4 192.0.2.1 10.0.0.1 01 2\r\n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY TCP4 192.0.2.1 10.0.0.1 -1 2\r\n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY TCP4 192.0.2.01 10.0.0.1 1 2\r\n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY TCP4 ::1 ::1 1 2\r\n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY TCP4 1.1.1.1 ::1 1 2\r\n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY TCP6 1.1.1.1 1.1.1.1 1 2\r\n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY TCP4 1.1.1.1 1.1.1 1 2\r\n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY TCP5 1.1.1.1 1.1.1.1 1 2\r\n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY tcp4 1.1.1.1 1.1.1.1 1 2\r\n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY / HTTP/1.1\r\n"), NULL, NET_BAD, 0},
        {BYTES_INIT("PROXY"), NULL, NET_MORE, 0},
        {BYTES_INIT("PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r"), NULL, NET_MORE, 0},
    };
    (void)state;
    check_rows(rows, COUNT(rows));
}

/* Section 2.2. */
static void test_blocks(void **state)
{
    static const struct row rows[] = {
        {BYTES_INIT(SIG "\x21\x11\0\x0c" ENDS4 "GET"), "192.0.2.1", 0, 3},
        {BYTES_INIT(SIG "\x21\x12\0\x0c" ENDS4), "192.0.2.1", 0, 0},
        {BYTES_INIT(SIG "\x21\x11\0\x13" ENDS4 "\x04\0\4\1\2\3\4GET"), "192.0.2.1", 0, 3},
        {BYTES_INIT(SIG "\x21\x21\0\x24" ENDS6), "2001:db8::7", 0, 0},
        {BYTES_INIT(SIG "\x21\x21\0\x24" MAPPED "\x16\x03"), "192.0.2.2", 0, 2},
        {BYTES_INIT(SIG "\x20\x11\0\x0c" ENDS4), "-", 0, 0},       /* LOCAL */
        {BYTES_INIT(SIG "\x20\0\0\0"), "-", 0, 0},
        {BYTES_INIT(SIG "\x20\x7f\0\x03" "abcd"), "-", 0, 1},
        {BYTES_INIT(SIG "\x21\0\0\0"), "-", 0, 0},                 /* UNSPEC */
        {BYTES_INIT(SIG "\x21\0\0\2zzX"), "-", 0, 1},
        {BYTES_INIT(SIG "\x11\x11\0\x0c" ENDS4), NULL, NET_BAD, 0},  /* version 1 */
        {BYTES_INIT(SIG "\x31\x11\0\x0c" ENDS4), NULL, NET_BAD, 0},
        {BYTES_INIT(SIG "\x22\x11\0\x0c" ENDS4), NULL, NET_BAD, 0},  /* command 2 */
        {BYTES_INIT(SIG "\x21\x13\0\x0c" ENDS4), NULL, NET_BAD, 0},  /* transport 3 */
        {BYTES_INIT(SIG "\x21\x10\0\x0c" ENDS4), NULL, NET_BAD, 0},
        {BYTES_INIT(SIG "\x21\x01\0\x0c" ENDS4), NULL, NET_BAD, 0},
        {BYTES_INIT(SIG "\x21\x41\0\x0c" ENDS4), NULL, NET_BAD, 0},  /* family 4 */
        {BYTES_INIT(SIG "\x21\x11\0\x0b" ENDS4), NULL, NET_BAD, 0},  /* too short */
        {BYTES_INIT(SIG "\x21\x21\0\x23" ENDS6), NULL, NET_BAD, 0},
        {BYTES_INIT(SIG "\x21\x11\x0f\xf1"), NULL, NET_BAD, 0},      /* 4097 in all */
        {BYTES_INIT(SIG "\x21\x11\xff\xff"), NULL, NET_BAD, 0},
        {BYTES_INIT(SIG "\x21\x11\x0f\xf0" ENDS4), NULL, NET_MORE, 0},
        {BYTES_INIT(SIG "\x21\x11\0\x0d" ENDS4), NULL, NET_MORE, 0},
        {BYTES_INIT(SIG), NULL, NET_MORE, 0},
    };
    (void)state;
    check_rows(rows, COUNT(rows));
}

/* What goes to a connection that begins without a header. */
static void test_others_begin_at_once(void **state)
{
    static const struct row rows[] = {
        {BYTES_INIT("GET / HTTP/1.1\r\n\r\n"), NULL, NET_DONE, 0},
        {BYTES_INIT("POST / HTTP/1.1\r\n\r\n"), NULL, NET_DONE, 0},
        {BYTES_INIT("PROXYING / HTTP/1.1\r\n\r\n"), NULL, NET_DONE, 0},
        {BYTES_INIT("proxy TCP4 1.1.1.1 1.1.1.1 1 2\r\n"), NULL, NET_DONE, 0},
        {BYTES_INIT("PROXY\tTCP4 1.1.1.1 1.1.1.1 1 2\r\n"), NULL, NET_DONE, 0},
        {BYTES_INIT("\r\nGET / HTTP/1.1\r\n\r\n"), NULL, NET_DONE, 0},
        {BYTES_INIT("\r\n\r\nGET / HTTP/1.1\r\n\r\n"), NULL, NET_DONE, 0},
        {BYTES_INIT("\r\n\r\n\0\r\nQUIT\rGET"), NULL, NET_DONE, 0},
        {BYTES_INIT("\x16\x03\x01\x02\x00\x01"), NULL, NET_DONE, 0},   /* TLS */
        {BYTES_INIT("\0"), NULL, NET_DONE, 0},
    };
    (void)state;
    check_rows(rows, COUNT(rows));
}

/* The largest block, and one of two local sockets. */
static void test_large_and_local(void **state)
{
    char wire[PROXY_MAX + 1];
    struct proxy p;
    const char *why;
    (void)state;
    memset(wire, 'x', sizeof wire);
    memcpy(wire, SIG "\x21\x31\x0f\xf0", 16);
    assert_int_equal(proxy_read((struct bytes){wire, PROXY_MAX - 1}, &p, &why), NET_MORE);
    assert_int_equal(proxy_read((struct bytes){wire, sizeof wire}, &p, &why), NET_OK);
    assert_int_equal(p.from.kind, ADDR_UNIX);
    assert_int_equal(p.bytes, PROXY_MAX);
    memcpy(wire + 14, "\0\xd8", 2);                    /* exactly two paths */
    assert_int_equal(proxy_read((struct bytes){wire, sizeof wire}, &p, &why), NET_OK);
    assert_int_equal(p.bytes, 16 + 216);
    memcpy(wire + 14, "\0\xd7", 2);
    assert_int_equal(proxy_read((struct bytes){wire, sizeof wire}, &p, &why), NET_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_others_begin_at_once),
        cmocka_unit_test(test_large_and_local),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
