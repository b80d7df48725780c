/* test_import.c - what `weir import litellm` does with numbers, and the words it knows. What
 * becomes of whole files: tests/box/import.test.mjs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/cmd_import.h"
#include "route/builtin.h"

/* US dollars per token, as people and Python write them, are whole pico-dollars or nothing. */
static void test_prices_are_exact(void **state)
{
    (void)state;
    static const struct { const char *text; int64_t pico; } good[] = {
        {"2.5e-06", 2500000}, {"2.5E-6", 2500000}, {"2.5e-6", 2500000}, {"0.0000025", 2500000},
        {"25e-07", 2500000}, {"0.000421", 421000000}, {"1e-12", 1}, {"1.0e-12", 1},
        {"0", 0}, {"0.0", 0}, {"0e-99", 0}, {"1e-08", 10000}, {"3.125e-06", 3125000},
        {".5e-06", 500000}, {"5.e-06", 5000000}, {"1e+0", 1000000000000},
        {"1", 1000000000000}, {"999.999999999999", 999999999999999},
        {"0.00000250000000000", 2500000}, {"0.000000000001", 1},
    };
    static const char *const bad[] = {
        "", "e", "-1e-06", "+1e-06", "1e", "1e-", "1e-06x", "1.5e-12", "1e-13",
        "0.0000000000001", "1000", "1e3", "1e100", "99999999999999999999", "1..2", "nan",
        "inf", "0x1", "1,5e-06", " 1e-06", "1e-06 ", "os.environ/PRICE", "1e--6",
        "1.00000000000001e-07", "123456789012345678901234567890e-30",
    };
    int64_t pico;
    for (size_t i = 0; i < COUNT(good); i++) {
        pico = -1;
        if (!import_price_parse(bytes_of(good[i].text), &pico)) fail_msg("%s", good[i].text);
        assert_int_equal(pico, good[i].pico);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        pico = -1;
        if (import_price_parse(bytes_of(bad[i]), &pico)) fail_msg("%s", bad[i]);
        assert_int_equal(pico, -1);
    }
}

/* Every text that goes into the new file comes out of the reader as it went in. */
static void test_quoted_texts(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "plain", "true", "5", "a\"b", "a\\b", "\\", "\"", "a: b # c", "~", "", "\x01\x7f",
        "caf\xc3\xa9", "os.environ/NAME", "*", "&x", "{a}",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct import_text t = {0};
        import_put(&t, "k: ");
        import_put_quoted(&t, bytes_of(texts[i]));
        import_put(&t, "\n");
        assert_false(t.full);
        struct conf_reader *r = calloc(1, sizeof *r);
        assert_non_null(r);
        r->source = (struct bytes){t.ptr, t.len};
        r->file = "t.yaml";
        assert_true(conf_tree_read(r));
        const struct conf_node *n = conf_child(r->root, "k");
        assert_non_null(n);
        assert_true(bytes_eq(n->raw, bytes_of(texts[i])));
        conf_heap_fini(&r->scratch);
        free(r);
        free(t.ptr);
    }
}

static void test_a_text_grows(void **state)
{
    (void)state;
    struct import_text t = {0};
    for (unsigned i = 0; i < 5000; i++) import_put(&t, "%04u", i);
    assert_false(t.full);
    assert_int_equal(t.len, 20000);
    assert_memory_equal(t.ptr + 4 * 4321, "4321", 4);
    free(t.ptr);
}

/* A prefix that is said to be a provider of the built-in list is one that can be reached. */
static void test_prefixes_lead_somewhere(void **state)
{
    (void)state;
    static const char *const prefixes[] = {
        "openai", "azure", "anthropic", "gemini", "groq", "together_ai", "fireworks_ai",
        "perplexity", "cohere_chat", "huggingface", "deepseek", "xai", "mistral", "openrouter",
        "cerebras", "nvidia_nim", "moonshot", "dashscope", "lambda_ai", "ollama_chat",
        "meta_llama", "github", "ai21_chat", "zai", "friendliai", "vercel_ai_gateway",
    };
    for (size_t i = 0; i < COUNT(prefixes); i++) {
        const struct import_kind *kind = import_kind_find(bytes_of(prefixes[i]));
        struct builtin_provider known;
        if (!kind || kind->refused) fail_msg("%s", prefixes[i]);
        const char *name = kind->known ? kind->known : kind->prefix;
        if (!builtin_provider_find(bytes_of(name), &known)) fail_msg("%s", name);
        bool local = bytes_eq(known.auth, BYTES("none"));
        if (!kind->own && !known.ready && !local) fail_msg("%s is not ready", name);
    }
    assert_non_null(import_kind_find(BYTES("bedrock"))->refused);
    assert_non_null(import_kind_find(BYTES("vertex_ai"))->refused);
    assert_null(import_kind_find(BYTES("nobody")));
    assert_null(import_kind_find(BYTES("")));
}

static void test_reasons(void **state)
{
    (void)state;
    const char *other = import_reason(IMPORT_ROUTER, BYTES("nobody_knows"));
    assert_string_equal(other, "Weir has nothing like it");
    assert_string_not_equal(import_reason(IMPORT_ROUTER, BYTES("redis_host")), other);
    assert_string_not_equal(import_reason(IMPORT_ROUTER, BYTES("redis_")), other);
    assert_string_equal(import_reason(IMPORT_ROUTER, BYTES("redis")), other);
    assert_string_not_equal(import_reason(IMPORT_GENERAL, BYTES("master_key")), other);
    assert_string_equal(import_reason(IMPORT_ROOT, BYTES("master_key")), other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prices_are_exact),
        cmocka_unit_test(test_quoted_texts),
        cmocka_unit_test(test_a_text_grows),
        cmocka_unit_test(test_prefixes_lead_somewhere),
        cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
