/* test_url.c - base addresses and listen addresses from the configuration (RFC 3986). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/url.h"
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

struct row {
    const char *text, *host, *path;
    unsigned port;
    bool tls, ipv6;
};

static void check_rows(const struct row *rows, size_t count,
                       enum net_rc (*parse)(struct bytes, struct url *, const char **))
{
    for (size_t i = 0; i < count; i++) {
        const struct bytes text = wall_put(&wall, bytes_of(rows[i].text));
        struct url url = {.port = 7};
        const char *why = NULL;
        const enum net_rc rc = parse(text, &url, &why);
        bool good = (rc == NET_OK) == (rows[i].host != NULL);
        if (rc == NET_OK) {
            good = good && !why && bytes_eq(url.host, bytes_of(rows[i].host)) &&
                   bytes_eq(url.path, bytes_of(rows[i].path)) && url.port == rows[i].port &&
                   url.tls == rows[i].tls && url.ipv6 == rows[i].ipv6;
        } else {
            good = good && why && strlen(why) > 5 && url.port == 7;  /* untouched */
        }
        if (!good) wall_row(text);
        if (!good) fail_msg("%s", why ? why : "accepted");
    }
}

static void test_parse(void **state)
{
    static const struct row rows[] = {
        {"https://api.openai.com/v1", "api.openai.com", "/v1", 443, 1, 0},
        {"http://127.0.0.1:8000/v1/", "127.0.0.1", "/v1", 8000, 0, 0},
        {"HTTPS://Host_1.x-y", "Host_1.x-y", "", 443, 1, 0},
        {"http://h/", "h", "", 80, 0, 0},
        {"http://h///", "h", "", 80, 0, 0},
        {"http://h/a//b//", "h", "/a//b", 80, 0, 0},
        {"http://h:1", "h", "", 1, 0, 0},
        {"http://h:65535/%2F", "h", "/%2F", 65535, 0, 0},
        {"http://[::1]:8080/v1", "::1", "/v1", 8080, 0, 1},
        {"https://[2001:db8::7]", "2001:db8::7", "", 443, 1, 1},
        {"http://h/p:q@r", "h", "/p:q@r", 80, 0, 0},
        {"http://a123456789012345678901234567890123456789012345678901234567890123/",
         NULL, NULL, 0, 0, 0},
        {"http://a12345678901234567890123456789012345678901234567890123456789012",
         "a12345678901234567890123456789012345678901234567890123456789012", "", 80, 0, 0},
        {"", NULL, NULL, 0, 0, 0},
        {"api.openai.com", NULL, NULL, 0, 0, 0},
        {"api.openai.com:443/v1", NULL, NULL, 0, 0, 0},
        {"//h/", NULL, NULL, 0, 0, 0},
        {"://h/", NULL, NULL, 0, 0, 0},
        {"ftp://h/", NULL, NULL, 0, 0, 0},
        {"httpss://h/", NULL, NULL, 0, 0, 0},
        {"http:/h/", NULL, NULL, 0, 0, 0},
        {"http://", NULL, NULL, 0, 0, 0},
        {"http:///v1", NULL, NULL, 0, 0, 0},
        {"http://:80/", NULL, NULL, 0, 0, 0},
        {"http://u@h/", NULL, NULL, 0, 0, 0},
        {"http://u:p@h/", NULL, NULL, 0, 0, 0},
        {"http://h?x", NULL, NULL, 0, 0, 0},
        {"http://h/v1?x=y", NULL, NULL, 0, 0, 0},
        {"http://h/v1#f", NULL, NULL, 0, 0, 0},
        {"http://h:", NULL, NULL, 0, 0, 0},
        {"http://h:0/", NULL, NULL, 0, 0, 0},
        {"http://h:65536/", NULL, NULL, 0, 0, 0},
        {"http://h:080808/", NULL, NULL, 0, 0, 0},
        {"http://h:8x/", NULL, NULL, 0, 0, 0},
        {"http://h:-1/", NULL, NULL, 0, 0, 0},
        {"http://h:1:2/", NULL, NULL, 0, 0, 0},
        {"http://::1/", NULL, NULL, 0, 0, 0},
        {"http://[::1/", NULL, NULL, 0, 0, 0},
        {"http://[]/", NULL, NULL, 0, 0, 0},
        {"http://[::g]/", NULL, NULL, 0, 0, 0},
        {"http://[fe80::1%25eth0]/", NULL, NULL, 0, 0, 0},
        {"http://[127.0.0.1]/", NULL, NULL, 0, 0, 0},
        {"http://[::1]x/", NULL, NULL, 0, 0, 0},
        {"http://[::1]:1:2/", NULL, NULL, 0, 0, 0},
        {"http://1.2.3.4.5/", NULL, NULL, 0, 0, 0},
        {"http://1.2.3.400/", NULL, NULL, 0, 0, 0},
        {"http://127.1/", NULL, NULL, 0, 0, 0},
        {"http://a..b/", NULL, NULL, 0, 0, 0},
        {"http://.a/", NULL, NULL, 0, 0, 0},
        {"http://a./", NULL, NULL, 0, 0, 0},
        {"http://a%41/", NULL, NULL, 0, 0, 0},
        {"http://a*b/", NULL, NULL, 0, 0, 0},
        {"http://h/a b", NULL, NULL, 0, 0, 0},
        {" http://h/", NULL, NULL, 0, 0, 0},
        {"http://h/\t", NULL, NULL, 0, 0, 0},
        {"http://h/\n", NULL, NULL, 0, 0, 0},
        {"http://h/\x7f", NULL, NULL, 0, 0, 0},
        {"http://h/\xc3\xa4", NULL, NULL, 0, 0, 0},
        {"http://h/%", NULL, NULL, 0, 0, 0},
        {"http://h/%4", NULL, NULL, 0, 0, 0},
        {"http://h/%4g", NULL, NULL, 0, 0, 0},
    };
    (void)state;
    check_rows(rows, COUNT(rows), url_parse);
}

static void test_listen(void **state)
{
    static const struct row rows[] = {
        {"127.0.0.1:8080", "127.0.0.1", "", 8080, 0, 0},
        {"0.0.0.0:0", "0.0.0.0", "", 0, 0, 0},
        {"localhost:65535", "127.0.0.1", "", 65535, 0, 0},
        {"[::]:80", "::", "", 80, 0, 1},
        {"[::ffff:1.2.3.4]:80", "::ffff:1.2.3.4", "", 80, 0, 1},
        {"unix:/run/weir.sock", "", "/run/weir.sock", 0, 0, 0},
        {"", NULL, NULL, 0, 0, 0},
        {":8080", NULL, NULL, 0, 0, 0},
        {"8080", NULL, NULL, 0, 0, 0},
        {"127.0.0.1", NULL, NULL, 0, 0, 0},
        {"127.0.0.1:", NULL, NULL, 0, 0, 0},
        {"127.0.0.1:65536", NULL, NULL, 0, 0, 0},
        {"127.0.0.1:8080x", NULL, NULL, 0, 0, 0},
        {"127.0.0.1: 80", NULL, NULL, 0, 0, 0},
        {"127.0.0.256:80", NULL, NULL, 0, 0, 0},
        {"example.com:80", NULL, NULL, 0, 0, 0},
        {"::1:80", NULL, NULL, 0, 0, 0},
        {"[::1]", NULL, NULL, 0, 0, 0},
        {"[::1]80", NULL, NULL, 0, 0, 0},
        {"[127.0.0.1]:80", NULL, NULL, 0, 0, 0},
        {"*:80", NULL, NULL, 0, 0, 0},
        {"unix:", NULL, NULL, 0, 0, 0},
        {"unix:/", NULL, NULL, 0, 0, 0},
        {"unix:run/weir.sock", NULL, NULL, 0, 0, 0},
        {"http://127.0.0.1:80", NULL, NULL, 0, 0, 0},
    };
    (void)state;
    check_rows(rows, COUNT(rows), url_listen);
}

/* 253 bytes of name; 107 bytes of socket path; NUL in the middle. */
static void test_limits(void **state)
{
    char text[400];
    struct url url;
    const char *why;
    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        memset(text, 'a', sizeof(text));
        memcpy(text, "http://", 7);
        for (size_t dot = 63; dot < 253; dot += 64) text[7 + dot] = '.';
        const struct bytes name = wall_put(&wall, (struct bytes){text, 7 + 253 + extra});
        assert_int_equal(url_parse(name, &url, &why), extra ? NET_BAD : NET_OK);
        memset(text, 'a', sizeof(text));
        memcpy(text, "unix:/", 6);
        const struct bytes path = wall_put(&wall, (struct bytes){text, 5 + 107 + extra});
        assert_int_equal(url_listen(path, &url, &why), extra ? NET_BAD : NET_OK);
    }
    assert_int_equal(url_parse(BYTES("http://a\0b/"), &url, &why), NET_BAD);
    assert_int_equal(url_listen(BYTES("unix:/a\0b"), &url, &why), NET_BAD);
    assert_int_equal(url_listen(BYTES("127.0.0.1\0:80"), &url, &why), NET_BAD);
    assert_int_equal(url_listen((struct bytes){0}, &url, &why), NET_BAD);
    assert_int_equal(url_parse((struct bytes){0}, &url, &why), NET_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_listen),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
