/* test_conf_provider.c - what a dialect brings with it where an entry says nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine/conf.h"

static struct conf *parse(const char *yaml)
{
    static struct conf_report report;
    struct conf *conf = NULL;
    bool fine = conf_parse(yaml, strlen(yaml), "t.yaml", NULL, &conf, &report);
    assert_int_equal(fine, conf != NULL);
    return conf;
}

/* How the key is sent follows from the dialect, unless the file says it. */
static void test_auth_of_a_dialect(void **state)
{
    (void)state;
    static const struct { const char *entry; uint8_t dialect; const char *auth; } cases[] = {
        {"{name: x, url: \"http://h\", keys: [k]}", DIALECT_OPENAI, "bearer"},
        {"{name: x, url: \"http://h\", keys: [k], dialect: responses}", DIALECT_RESPONSES,
         "bearer"},
        {"{name: x, url: \"http://h\", keys: [k], dialect: anthropic}", DIALECT_ANTHROPIC,
         "x-api-key"},
        {"{name: x, url: \"http://h\", keys: [k], dialect: gemini}", DIALECT_GEMINI,
         "x-goog-api-key"},
        {"{name: x, url: \"http://h\", keys: [k], dialect: anthropic, auth: bearer}",
         DIALECT_ANTHROPIC, "bearer"},
        {"{name: openai, keys: [k], dialect: responses}", DIALECT_RESPONSES, "bearer"},
        {"{name: openai, keys: [k], dialect: anthropic}", DIALECT_ANTHROPIC, "x-api-key"},
        {"{name: anthropic, keys: [k]}", DIALECT_ANTHROPIC, "x-api-key"},
        {"{name: anthropic, keys: [k], dialect: openai}", DIALECT_OPENAI, "bearer"},
        {"{name: gemini, keys: [k]}", DIALECT_GEMINI, "x-goog-api-key"},
        {"{name: vertex, url: \"http://h\", keys: [k]}", DIALECT_GEMINI, "x-goog-api-key"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char yaml[256];
        (void)snprintf(yaml, sizeof yaml, "providers: [%s]", cases[i].entry);
        struct conf *c = parse(yaml);
        assert_non_null(c);
        assert_int_equal(c->catalog.provider[0].dialect, cases[i].dialect);
        assert_string_equal(c->catalog.provider[0].auth, cases[i].auth);
        conf_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_auth_of_a_dialect)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
