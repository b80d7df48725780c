/* test_forwarded.c - X-Forwarded-For: who is believed, and that nothing a client invents is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/forwarded.h"
#include "tests/unit/wall.h"

static struct addr_net trusted[3];

static int setup(void **state)
{
    const char *why;
    (void)state;
    bool fine = addr_net_parse(BYTES("10.0.0.0/8"), &trusted[0], &why) &&
                addr_net_parse(BYTES("2001:db8:ffff::/48"), &trusted[1], &why) &&
                addr_net_parse(BYTES("192.0.2.7"), &trusted[2], &why);
    return fine ? 0 : -1;
}

static void check(const char *fields, enum net_rc rc, const char *client)
{
    struct wall wall = wall_open(WALL_PAGE);
    struct bytes in = wall_put(&wall, bytes_of(fields));
    struct addr a = {.kind = ADDR_UNIX};
    char text[ADDR_TEXT_MAX + 1];
    enum net_rc got = forwarded_client(in, trusted, COUNT(trusted), &a);
    text[addr_text(&a, text)] = 0;
    bool good = got == rc && strcmp(text, client ? client : "unix") == 0;
    if (!good) wall_row(in);
    wall_close(&wall);
    assert_true(good);
}

#define XFF "X-Forwarded-For: "

static void test_the_rightmost_stranger(void **state)
{
    (void)state;
    check(XFF "203.0.113.9\r\n", NET_OK, "203.0.113.9");
    check(XFF "1.1.1.1, 203.0.113.9\r\n", NET_OK, "203.0.113.9");
    check(XFF "1.1.1.1,203.0.113.9 , 10.1.2.3\r\n", NET_OK, "203.0.113.9");
    check(XFF "203.0.113.9,10.1.2.3,192.0.2.7\r\n", NET_OK, "203.0.113.9");
    check(XFF "203.0.113.9,\t::ffff:10.1.2.3\r\n", NET_OK, "203.0.113.9");
    check(XFF "2001:db8::5, 2001:db8:ffff::1\r\n", NET_OK, "2001:db8::5");
    /* all are ours: the leftmost, where it began */
    check(XFF "10.0.0.1\r\n", NET_OK, "10.0.0.1");
    check(XFF "10.0.0.1, 10.0.0.2, 192.0.2.7\r\n", NET_OK, "10.0.0.1");
}

static void test_lines_are_one_list(void **state)
{
    (void)state;
    check("host: a\r\n" XFF "1.1.1.1\r\naccept: b\r\nx-forwarded-for: 203.0.113.9\r\n", NET_OK,
          "203.0.113.9");
    check(XFF "203.0.113.9\r\n" XFF "10.0.0.1\r\n", NET_OK, "203.0.113.9");
    check(XFF "203.0.113.9\r\n" XFF "\r\n", NET_OK, "203.0.113.9");
    check("host: a\r\nforwarded: for=1.1.1.1\r\n", NET_DONE, NULL);
    check("x-forwarded-for-x: 1.1.1.1\r\n", NET_DONE, NULL);
    check(XFF "\r\n", NET_DONE, NULL);
    check("", NET_DONE, NULL);
}

static void test_ports(void **state)
{
    (void)state;
    check(XFF "203.0.113.9:4711\r\n", NET_OK, "203.0.113.9");
    check(XFF "203.0.113.9:65535, 10.0.0.1:1\r\n", NET_OK, "203.0.113.9");
    check(XFF "[2001:db8::5]:4711\r\n", NET_OK, "2001:db8::5");
    check(XFF "[2001:db8::5]\r\n", NET_OK, "2001:db8::5");
    check(XFF "203.0.113.9:65536\r\n", NET_BAD, NULL);
    check(XFF "203.0.113.9:\r\n", NET_BAD, NULL);
    check(XFF "203.0.113.9:x\r\n", NET_BAD, NULL);
    check(XFF "[2001:db8::5]:\r\n", NET_BAD, NULL);
    check(XFF "[2001:db8::5]4711\r\n", NET_BAD, NULL);
    check(XFF "[2001:db8::5\r\n", NET_BAD, NULL);
    check(XFF "[203.0.113.9]\r\n", NET_BAD, NULL);
}

/* Garbage that a trusted proxy let stand is not believed; what lies left of the client is the
 * client's own invention and is not looked at. */
static void test_garbage(void **state)
{
    (void)state;
    check(XFF "unknown\r\n", NET_BAD, NULL);
    check(XFF "203.0.113.9, unknown\r\n", NET_BAD, NULL);
    check(XFF "203.0.113.9, unknown, 10.0.0.1\r\n", NET_BAD, NULL);
    check(XFF "203.0.113.9,\r\n", NET_BAD, NULL);
    check(XFF "203.0.113.9,,10.0.0.1\r\n", NET_BAD, NULL);
    check(XFF "203.0.113.9 10.0.0.1\r\n", NET_BAD, NULL);
    check(XFF "for=203.0.113.9\r\n", NET_BAD, NULL);
    check(XFF "\"203.0.113.9\"\r\n", NET_BAD, NULL);
    check(XFF "unknown, <script>, 203.0.113.9\r\n", NET_OK, "203.0.113.9");
    check(XFF "unknown, 203.0.113.9, 10.0.0.1\r\n", NET_OK, "203.0.113.9");
    check(XFF ",203.0.113.9\r\n", NET_OK, "203.0.113.9");
    check(XFF ",10.0.0.1\r\n", NET_BAD, NULL);
}

static void test_too_many_lines(void **state)
{
    char fields[1024];
    size_t n = 0;
    (void)state;
    for (int i = 0; i < FORWARDED_LINES_MAX; i++) {
        n += (size_t)snprintf(fields + n, sizeof fields - n, XFF "203.0.113.%d\r\n", i);
    }
    check(fields, NET_OK, "203.0.113.15");
    (void)snprintf(fields + n, sizeof fields - n, XFF "203.0.113.9\r\n");
    check(fields, NET_BAD, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_rightmost_stranger),
        cmocka_unit_test(test_lines_are_one_list),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_too_many_lines),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
