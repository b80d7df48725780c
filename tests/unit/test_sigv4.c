/* test_sigv4.c - signatures against AWS's published test suite (aws-sig-v4-test-suite:
 * post-vanilla, post-sts-header-before), and against one computed by other code where the suite
 * has no such case: a colon in a path, which is encoded twice. */
#include "net/sigv4.h"
#include "tests/unit/wall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define TOKEN \
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMic" \
    "RXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKs" \
    "burEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0" \
    "iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

static struct sigv4_key key_of(struct bytes token, struct bytes region, struct bytes service)
{
    return (struct sigv4_key){.id = BYTES("AKIDEXAMPLE"),
                              .secret = BYTES("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
                              .token = token, .region = region, .service = service};
}

static void test_vectors(void **state)
{
    (void)state;
    static const struct {
        struct bytes token, region, service, host, path, body;
        uint64_t at;
        const char *want;
    } cases[] = {
        {{0}, BYTES_INIT("us-east-1"), BYTES_INIT("service"),
         BYTES_INIT("example.amazonaws.com"), BYTES_INIT("/"), {0}, 1440938160,
         "x-amz-date: 20150830T123600Z\r\nauthorization: AWS4-HMAC-SHA256 Credential="
         "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, "
         "Signature="
         "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b\r\n"},
        {BYTES_INIT(TOKEN), BYTES_INIT("us-east-1"), BYTES_INIT("service"),
         BYTES_INIT("example.amazonaws.com"), BYTES_INIT("/"), {0}, 1440938160,
         "x-amz-date: 20150830T123600Z\r\nx-amz-security-token: " TOKEN "\r\nauthorization: "
         "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
         "SignedHeaders=host;x-amz-date;x-amz-security-token, Signature="
         "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead\r\n"},
        {BYTES_INIT(TOKEN), BYTES_INIT("eu-central-1"), BYTES_INIT("bedrock"),
         BYTES_INIT("bedrock-runtime.eu-central-1.amazonaws.com"),
         BYTES_INIT("/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream"),
         BYTES_INIT("{\"messages\":[]}"), 1787393472,
         "x-amz-date: 20260822T101112Z\r\nx-amz-security-token: " TOKEN "\r\nauthorization: "
         "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260822/eu-central-1/bedrock/aws4_request, "
         "SignedHeaders=host;x-amz-date;x-amz-security-token, Signature="
         "573118e04f682f0d34e02797addafcde4dcd851beb7c026b2d2ef3aad58499cf\r\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sigv4_key k = key_of(cases[i].token, cases[i].region, cases[i].service);
        uint8_t hash[SIGV4_HASH];
        char out[SIGV4_LINES_MAX];
        (void)SHA256((const uint8_t *)(cases[i].body.len ? cases[i].body.ptr : ""),
                     cases[i].body.len, hash);
        assert_true(sigv4_key_is_fine(&k));
        size_t n = sigv4_put(&k, cases[i].at, cases[i].host, cases[i].path, hash, out,
                             sizeof out);
        assert_int_equal(n, strlen(cases[i].want));
        assert_memory_equal(out, cases[i].want, n);
        for (size_t room = 0; room <= n; room += 7) {
            assert_int_equal(sigv4_put(&k, cases[i].at, cases[i].host, cases[i].path, hash, out,
                                       room), 0);
        }
    }
}

/* Days that a calendar gets wrong first. */
static void test_dates(void **state)
{
    (void)state;
    static const struct { uint64_t at; const char *want; } cases[] = {
        {0, "19700101T000000Z"}, {951782399, "20000228T235959Z"},
        {951782400, "20000229T000000Z"}, {951868800, "20000301T000000Z"},
        {1709164800, "20240229T000000Z"}, {1735689599, "20241231T235959Z"},
        {1735689600, "20250101T000000Z"}, {4107542400, "21000301T000000Z"},
    };
    struct sigv4_key k = key_of((struct bytes){0}, BYTES("r"), BYTES("s"));
    uint8_t hash[SIGV4_HASH] = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        char out[SIGV4_LINES_MAX];
        size_t n = sigv4_put(&k, cases[i].at, BYTES("h"), BYTES("/"), hash, out, sizeof out);
        assert_true(n > 28);
        assert_memory_equal(out + 12, cases[i].want, 16);
    }
}

static void test_bad_keys(void **state)
{
    (void)state;
    char large[SIGV4_TOKEN_MAX + 1];
    memset(large, 'x', sizeof large);
    struct sigv4_key good = key_of((struct bytes){large, SIGV4_TOKEN_MAX}, BYTES("r"),
                                   BYTES("s"));
    assert_true(sigv4_key_is_fine(&good));
    uint8_t hash[SIGV4_HASH] = {0};
    char out[SIGV4_LINES_MAX];
    good.id = (struct bytes){large, SIGV4_ID_MAX};
    good.secret = (struct bytes){large, SIGV4_SECRET_MAX};
    good.region = good.service = (struct bytes){large, SIGV4_WORD_MAX};
    assert_true(sigv4_put(&good, 1, BYTES("h"), BYTES("/"), hash, out, sizeof out) > 0);
    for (unsigned i = 0; i < 9; i++) {
        struct sigv4_key k = good;
        struct bytes *of[] = {&k.id, &k.secret, &k.region, &k.service, &k.token};
        static const size_t max[] = {SIGV4_ID_MAX, SIGV4_SECRET_MAX, SIGV4_WORD_MAX,
                                     SIGV4_WORD_MAX, SIGV4_TOKEN_MAX};
        if (i < 4) *of[i] = (struct bytes){0};
        else *of[i - 4] = (struct bytes){large, max[i - 4] + 1};
        assert_false(sigv4_key_is_fine(&k));
    }
    good.secret = BYTES("a\r\nb");
    assert_false(sigv4_key_is_fine(&good));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors), cmocka_unit_test(test_dates),
        cmocka_unit_test(test_bad_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
