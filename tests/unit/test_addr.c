/* test_addr.c - addresses and networks of peers: text in both directions, IPv4-mapped ones,
 * prefixes at every length. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/addr.h"
#include "tests/unit/wall.h"

static struct wall wall;

static int setup(void **state)
{
    (void)state;
    wall = wall_open(WALL_PAGE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wall_close(&wall);
    return 0;
}

static void check_text(const struct addr *a, const char *want)
{
    char text[ADDR_TEXT_MAX + 1];
    text[addr_text(a, text)] = 0;
    assert_string_equal(text, want);
}

/* Text in, text out; NULL: refused. */
static void test_text(void **state)
{
    static const struct { const char *in, *out; } rows[] = {
        {"0.0.0.0", "0.0.0.0"}, {"255.255.255.255", "255.255.255.255"},
        {"10.20.100.9", "10.20.100.9"}, {"::", "::"}, {"::1", "::1"}, {"1::", "1::"},
        {"2001:DB8::A", "2001:db8::a"}, {"2001:db8:0:0:0:0:0:1", "2001:db8::1"},
        /* RFC 5952 section 4.2: the longest run, of equal ones the first, never a single 0 */
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"}, {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"}, {"1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"},
        {"0:0:3:4:5:6:7:8", "::3:4:5:6:7:8"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
        {"1000:200:30:4::", "1000:200:30:4::"},
        /* RFC 4291 section 2.5.5.2: one form for IPv4 */
        {"::ffff:10.0.0.1", "10.0.0.1"}, {"::ffff:a00:1", "10.0.0.1"},
        {"::10.0.0.1", "::a00:1"},
        {"", NULL}, {"1.2.3", NULL}, {"1.2.3.4.5", NULL}, {"01.2.3.4", NULL},
        {"256.1.1.1", NULL}, {" 1.2.3.4", NULL}, {"1.2.3.4 ", NULL}, {"1.2.3.4:80", NULL},
        {"0x1.2.3.4", NULL}, {":", NULL}, {":::", NULL}, {"1::2::3", NULL}, {"12345::", NULL},
        {"[::1]", NULL}, {"fe80::1%lo", NULL}, {"1:2:3:4:5:6:7", NULL}, {"localhost", NULL},
        {"1:2:3:4:5:6:7:8:9", NULL}, {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct addr a = {.kind = 77};
        struct bytes text = wall_put(&wall, bytes_of(rows[i].in));
        bool good = addr_parse(text, &a) == (rows[i].out != NULL);
        if (!good) wall_row(text);
        assert_true(good);
        if (rows[i].out) check_text(&a, rows[i].out);
        else assert_int_equal(a.kind, 77);
    }
    struct addr a;
    assert_false(addr_parse((struct bytes){"1.2.3.4\0", 8}, &a));
}

/* The C library's own text is another implementation of the same RFC. */
static void test_text_as_inet_ntop_writes_it(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252u;
    for (int round = 0; round < 20000; round++) {
        uint8_t raw[16];
        char want[INET6_ADDRSTRLEN];
        for (int i = 0; i < 16; i++) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            raw[i] = (seed & 0x300) ? 0 : (uint8_t)(seed >> 16);
        }
        raw[0] |= 0x20;                    /* not one that is written with dots */
        struct addr a = addr_of(ADDR_V6, raw), back, four = addr_of(ADDR_V4, raw);
        check_text(&a, inet_ntop(AF_INET6, raw, want, sizeof want));
        assert_true(addr_parse(bytes_of(want), &back));
        assert_memory_equal(&a, &back, sizeof a);
        check_text(&four, inet_ntop(AF_INET, raw, want, sizeof want));
    }
}

static void test_networks_are_parsed(void **state)
{
    static const struct { const char *text; int bits; const char *why; } rows[] = {
        {"10.0.0.0/8", 8, NULL}, {"10.1.2.3", 32, NULL}, {"10.1.2.3/32", 32, NULL},
        {"0.0.0.0/0", 0, NULL}, {"::/0", 0, NULL}, {"2001:db8::/32", 32, NULL},
        {"::1", 128, NULL}, {"::1/128", 128, NULL}, {"::ffff:10.0.0.0/104", 8, NULL},
        {"::ffff:10.0.0.1", 32, NULL}, {"::ffff:0.0.0.0/96", 0, NULL}, {"128.0.0.0/1", 1, NULL},
        {"::ffff:0.0.0.0/95", -1, "96 bits"}, {"10.0.0.0/33", -1, "0 to 32"},
        {"::/129", -1, "0 to 128"}, {"10.0.0.0/", -1, "0 to 32"}, {"10.0.0.0/-1", -1, "0 to"},
        {"10.0.0.0/0008", -1, "0 to 32"}, {"10.0.0.1/8", -1, "behind its prefix"},
        {"10.0.0.128/24", -1, "behind its prefix"}, {"2001:db8::1/64", -1, "behind its"},
        {"192.0.0.0/1", -1, "behind its prefix"}, {"proxy.example", -1, "not an"},
        {"", -1, "not an"}, {"/8", -1, "not an"}, {"10.0.0.0/8/8", -1, "0 to 32"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct addr_net net = {.bits = 200};
        const char *why = NULL;
        struct bytes text = wall_put(&wall, bytes_of(rows[i].text));
        bool fine = addr_net_parse(text, &net, &why);
        bool good = fine == (rows[i].bits >= 0) && net.bits == (fine ? rows[i].bits : 200) &&
                    (fine || strstr(why, rows[i].why));
        if (!good) wall_row(text);
        assert_true(good);
    }
}

/* Of every length, an address whose first differing bit lies behind the prefix is in it, and
 * one whose lies in it is not. */
static void check_prefixes(enum addr_kind kind, unsigned most)
{
    uint8_t raw[16] = {0xa5, 0x5a, 0x99, 0x66, 0xff, 0, 0xff, 0, 1, 2, 3, 4, 5, 6, 7, 8};
    for (unsigned bits = 0; bits <= most; bits++) {
        struct addr_net net = {.base = addr_of(kind, raw), .bits = (uint8_t)bits};
        for (unsigned i = bits; i < most; i++) {
            net.base.at[i / 8] &= (uint8_t)~(0x80u >> i % 8);
        }
        for (unsigned flip = 0; flip < most; flip++) {
            struct addr a = addr_of(kind, raw);
            a.at[flip / 8] ^= (uint8_t)(0x80u >> flip % 8);
            assert_int_equal(addr_net_has(&net, 1, &a), flip >= bits);
        }
    }
}

static void test_networks_hold_addresses(void **state)
{
    (void)state;
    check_prefixes(ADDR_V4, 32);
    check_prefixes(ADDR_V6, 128);
    struct addr_net nets[3];
    const char *why;
    struct addr a = {.kind = ADDR_UNIX}, none = {0};
    assert_true(addr_net_parse(BYTES("0.0.0.0/0"), &nets[0], &why));
    assert_true(addr_net_parse(BYTES("2001:db8::/32"), &nets[1], &why));
    assert_true(addr_net_parse(BYTES("::/0"), &nets[2], &why));
    assert_false(addr_net_has(nets, 3, &a));
    assert_false(addr_net_has(nets, 3, &none));
    assert_true(addr_parse(BYTES("::1"), &a));
    assert_false(addr_net_has(nets, 2, &a));
    assert_true(addr_net_has(nets, 3, &a));
    assert_false(addr_net_has(nets, 0, &a));
    assert_true(addr_parse(BYTES("::ffff:9.9.9.9"), &a));
    assert_false(addr_net_has(nets + 2, 1, &a));   /* IPv4 is not in ::/0 */
    assert_true(addr_net_has(nets, 1, &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_text_as_inet_ntop_writes_it),
        cmocka_unit_test(test_networks_are_parsed),
        cmocka_unit_test(test_networks_hold_addresses),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
