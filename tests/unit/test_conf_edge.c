/* test_conf_edge.c - trusted_proxies and cors: what is taken and as what, and why the rest is
 * refused. (Where the sentences point is in conf_cases.h.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine/conf.h"
#include "net/addr.h"

static struct conf_report report;

static struct conf *parse(const char *yaml)
{
    struct conf *conf = NULL;
    bool fine = conf_parse(yaml, strlen(yaml), "t.yaml", NULL, &conf, &report);
    assert_int_equal(fine, conf != NULL);
    return conf;
}

static void test_nothing_is_the_default(void **state)
{
    static const char *const texts[] = {"", "cors:\ntrusted_proxies:\n",
                                        "cors: []\ntrusted_proxies: []\n"};
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct conf *c = parse(texts[i]);
        assert_non_null(c);
        assert_int_equal(c->trusted_count, 0);
        assert_int_equal(c->cors_count, 0);
        assert_false(c->cors_any);
        conf_free(c);
    }
}

static void test_proxies(void **state)
{
    static const char *const in[] = {"10.1.2.3", "10.255.0.1", "192.0.2.7", "::1",
                                     "2001:db8:5::1", "::ffff:10.0.0.1"};
    static const char *const out[] = {"11.0.0.0", "192.0.2.8", "::2", "2001:db9::"};
    (void)state;
    struct conf *c = parse("trusted_proxies: [10.0.0.0/8, 192.0.2.7, \"::1\", 2001:db8::/32]");
    assert_non_null(c);
    assert_int_equal(c->trusted_count, 4);
    struct addr a;
    for (size_t i = 0; i < COUNT(in); i++) {
        assert_true(addr_parse(bytes_of(in[i]), &a));
        assert_true(addr_net_has(c->trusted, c->trusted_count, &a));
    }
    for (size_t i = 0; i < COUNT(out); i++) {
        assert_true(addr_parse(bytes_of(out[i]), &a));
        assert_false(addr_net_has(c->trusted, c->trusted_count, &a));
    }
    conf_free(c);
}

/* 256 are taken, 257 are not. */
static void test_how_many(void **state)
{
    char text[16384];
    (void)state;
    for (int more = 0; more < 2; more++) {
        int n = snprintf(text, sizeof text, "trusted_proxies: [10.0.0.0");
        for (int i = 1; i < 256 + more; i++) {
            n += snprintf(text + n, sizeof text - (size_t)n, ", 10.0.%d.1", i % 256);
        }
        (void)snprintf(text + n, sizeof text - (size_t)n, "]\n");
        struct conf *c = parse(text);
        assert_int_equal(c != NULL, !more);
        if (more) assert_non_null(strstr(report.text, "has 257 items; it takes at most 256"));
        else assert_int_equal(c->trusted_count, 256);
        conf_free(c);
    }
}

/* As it is kept; or why it is not. */
static void test_origins(void **state)
{
    static const struct { const char *text, *kept, *why; } rows[] = {
        {"https://app.example.com", "https://app.example.com", NULL},
        {"HTTPS://App.Example.COM", "https://app.example.com", NULL},
        {"http://localhost:3000", "http://localhost:3000", NULL},
        {"http://127.0.0.1:65535", "http://127.0.0.1:65535", NULL},
        {"https://[::1]:8443", "https://[::1]:8443", NULL},
        {"http://[::1]", "http://[::1]", NULL},
        {"https://a.example:80", "https://a.example:80", NULL},
        {"chrome-extension://abcdefgh", "chrome-extension://abcdefgh", NULL},
        {"tauri://localhost", "tauri://localhost", NULL},
        {"http://under_score.example", "http://under_score.example", NULL}, {"*", "*", NULL},
        {"app.example.com", NULL, "no scheme"}, {"//a.example", NULL, "no scheme"},
        {"null", NULL, "no scheme"}, {"://a", NULL, "no scheme"}, {"1a://b", NULL, "no scheme"},
        {"https:/a", NULL, "no scheme"}, {"ht tp://a", NULL, "no scheme"},
        {"https://a.example/", NULL, "no path"}, {"https://a.example/x", NULL, "no path"},
        {"https://a.example?x", NULL, "no query"}, {"https://", NULL, "no host"},
        {"https://:80", NULL, "no host"}, {"https://u@a.example", NULL, "no user"},
        {"https://*.example.com", NULL, "stands alone"},
        {"**", NULL, "no scheme"},
        {"https://a.example:443", NULL, "usual port"}, {"http://a.example:80", NULL, "usual"},
        {"https://a.example:", NULL, "port is not"}, {"https://a.example:0", NULL, "port is"},
        {"https://a.example:65536", NULL, "port is not"},
        {"https://a:1:2", NULL, "port is not"},
        {"https://a:01", NULL, "port is not"}, {"https://\\u00fcber.example", NULL, "xn--"},
        {"https://[::1", NULL, "brackets"}, {"https://[a]", NULL, "brackets"},
        {"https://[::1]x", NULL, "may follow the bracket"}, {"https://a b", NULL, "byte other"},
        {"https://a#b", NULL, "byte other"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[256];
        (void)snprintf(text, sizeof text, "cors: [\"%s\"]\n", rows[i].text);
        struct conf *c = parse(text);
        bool good = rows[i].kept ? c && c->cors_count == 1 &&
                                   bytes_eq(c->cors[0], bytes_of(rows[i].kept)) &&
                                   c->cors_any == (rows[i].text[0] == '*')
                                 : !c && strstr(report.text, rows[i].why);
        conf_free(c);
        if (!good) fail_msg("%s: %s", rows[i].text, report.text);
    }
}

static void test_how_long(void **state)
{
    char text[400];
    (void)state;
    for (size_t len = 255; len <= 256; len++) {
        (void)snprintf(text, sizeof text, "cors: [\"https://%0*d\"]", (int)len - 8, 0);
        struct conf *c = parse(text);
        assert_int_equal(c != NULL, len == 255);
        if (!c) assert_non_null(strstr(report.text, "longer than 255 bytes"));
        conf_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_the_default),
        cmocka_unit_test(test_proxies),
        cmocka_unit_test(test_how_many),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_how_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
