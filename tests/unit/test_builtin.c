/* test_builtin.c - the compiled-in lists: every row reads, and facts that can be checked
 * against something published are right. */
#include "route/builtin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { MODELS_MAX = 4096 };

static struct builtin_model model_of(const char *provider, const char *id)
{
    struct builtin_model m;
    struct bytes its = bytes_of(provider);
    for (struct bytes at = builtin_models(); builtin_model_next(&at, its, &m);) {
        assert_true(bytes_eq(m.provider, its));
        if (bytes_eq(m.id, bytes_of(id))) return m;
    }
    fail_msg("%s/%s", provider, id);
    return m;
}

static void test_every_row_reads(void **state)
{
    (void)state;
    struct builtin_provider p, named;
    size_t providers = 0, ready = 0, models = 0, priced = 0;
    for (struct bytes at = builtin_providers(); builtin_provider_next(&at, &p); providers++) {
        if (p.ready) ready++;
        assert_true(builtin_provider_find(p.name, &named));
        assert_ptr_equal(named.name.ptr, p.name.ptr);   /* no name is another's alias */
    }
    struct builtin_model m;
    struct bytes any = {0};
    for (struct bytes at = builtin_models(); builtin_model_next(&at, any, &m); models++) {
        assert_true(builtin_provider_find(m.provider, &named));
        assert_true(bytes_eq(named.name, m.provider));
        assert_true(m.provider.len + 1 + m.id.len <= CATALOG_NAME_MAX);
        const struct price *now = price_at(&m.price, 0);
        assert_non_null(now);
        if (now->known) priced++;
        assert_int_equal(now->known, m.given != 0);
    }
    assert_true(providers >= 50 && ready >= 40 && models >= 1000 && priced >= 1000);
    assert_false(builtin_provider_find(BYTES("nobody"), &named));
}

/* The end is the end, and what was given before is left alone. */
static void test_end_leaves_out_untouched(void **state)
{
    (void)state;
    struct builtin_model m = {.context = 7};
    struct builtin_provider p = {.ready = true};
    struct bytes none = {NULL, 0}, comment = BYTES("# no rows\n\n# here");
    assert_false(builtin_model_next(&none, (struct bytes){0}, &m));
    assert_false(builtin_provider_next(&comment, &p));
    assert_true(m.context == 7 && p.ready && comment.len == 0);
}

static void test_providers(void **state)
{
    (void)state;
    static const struct {
        const char *name, *dialect, *base_url, *key_env, *auth;
        bool ready;
    } cases[] = {
        {"openai", "openai", "https://api.openai.com/v1", "OPENAI_API_KEY", "bearer", true},
        {"anthropic", "anthropic", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY",
         "x-api-key", true},
        {"gemini", "gemini", "https://generativelanguage.googleapis.com/v1beta",
         "GEMINI_API_KEY,GOOGLE_API_KEY,GOOGLE_GENERATIVE_AI_API_KEY", "x-goog-api-key", true},
        {"DeepSeek", "openai", "https://api.deepseek.com", "DEEPSEEK_API_KEY", "bearer", true},
        {"cohere", "openai", "https://api.cohere.ai/compatibility/v1",
         "COHERE_API_KEY,CO_API_KEY", "bearer", true},
        {"azure", "openai", "https://{resource}.openai.azure.com/openai/v1",
         "AZURE_OPENAI_API_KEY,AZURE_API_KEY", "api-key", false},
        {"amazon-bedrock", "bedrock", "https://bedrock-runtime.{region}.amazonaws.com",
         "AWS_BEARER_TOKEN_BEDROCK", "sigv4", false},
        {"ollama", "openai", "http://localhost:11434/v1", "OLLAMA_API_KEY", "none", false},
        {"llama.cpp", "openai", "http://127.0.0.1:8080/v1", "", "none", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct builtin_provider p;
        assert_true(builtin_provider_find(bytes_of(cases[i].name), &p));
        assert_true(bytes_eq(p.dialect, bytes_of(cases[i].dialect)));
        assert_true(bytes_eq(p.base_url, bytes_of(cases[i].base_url)));
        assert_true(bytes_eq(p.key_env, bytes_of(cases[i].key_env)));
        assert_true(bytes_eq(p.auth, bytes_of(cases[i].auth)));
        assert_int_equal(p.ready, cases[i].ready);
    }
    /* contract.md section 1 names these. */
    static const char *const keys[] = {
        "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "DEEPSEEK_API_KEY",
        "XAI_API_KEY", "MISTRAL_API_KEY", "GROQ_API_KEY", "OPENROUTER_API_KEY",
    };
    for (size_t i = 0; i < COUNT(keys); i++) {
        bool found = false;
        struct builtin_provider p;
        for (struct bytes at = builtin_providers(); builtin_provider_next(&at, &p);) {
            if (p.ready && comma_list_has(p.key_env, bytes_of(keys[i]))) found = true;
        }
        if (!found) fail_msg("%s", keys[i]);
    }
}

/* 1B tokens, a quarter of them input: figures the product's texts state. */
static void test_costs_that_were_published(void **state)
{
    (void)state;
    static const struct { const char *provider, *id; int64_t usd; } cases[] = {
        {"anthropic", "claude-opus-4-7", 20000}, {"openai", "gpt-5.4", 11875},
        {"openai", "gpt-5.5-pro", 142500}, {"deepseek", "deepseek-v4-flash", 245},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct builtin_model m = model_of(cases[i].provider, cases[i].id);
        uint32_t tokens[PRICE_KINDS] = {[PRICE_INPUT] = 250000000, [PRICE_OUTPUT] = 750000000};
        const struct price *p = price_at(&m.price, 1787000000);
        assert_true(p && p->known);
        assert_int_equal(price_cost(p->kind, p->request, tokens), cases[i].usd * 1000000000);
    }
}

static void test_dated_price(void **state)
{
    (void)state;
    struct builtin_model m = model_of("anthropic", "claude-sonnet-5");
    const uint64_t change = 1788220800;             /* 2026-09-01T00:00:00Z */
    assert_int_equal(m.price.count, 2);
    const int64_t *before = price_at(&m.price, change - 1)->kind;
    const int64_t *after = price_at(&m.price, change)->kind;
    assert_int_equal(before[PRICE_INPUT], 2000000);
    assert_int_equal(before[PRICE_CACHED], 200000);
    assert_int_equal(before[PRICE_CACHE_WRITE], 2500000);
    assert_int_equal(before[PRICE_CACHE_WRITE_1H], 4000000);
    assert_int_equal(before[PRICE_OUTPUT], 10000000);
    assert_int_equal(after[PRICE_INPUT], 3000000);
    assert_int_equal(after[PRICE_CACHED], 300000);
    assert_int_equal(after[PRICE_CACHE_WRITE], 3750000);
    assert_int_equal(after[PRICE_OUTPUT], 15000000);
    assert_true(m.abilities == (ABILITY_TOOLS | ABILITY_VISION | ABILITY_JSON_SCHEMA
                                | ABILITY_REASONING));
    assert_true(m.context == 1000000 && m.max_output == 128000);
}

static void test_tiered_and_free_and_plain(void **state)
{
    (void)state;
    struct builtin_model pro = model_of("google", "gemini-2.5-pro");
    const struct price *p = price_at(&pro.price, 0);
    assert_int_equal(p->tier_count, 1);
    assert_int_equal(p->tier[0].above, 200000);
    assert_int_equal(price_kinds(p, 200000)[PRICE_INPUT], 1250000);
    assert_int_equal(price_kinds(p, 200001)[PRICE_INPUT], 2500000);
    assert_int_equal(price_kinds(p, 200001)[PRICE_OUTPUT], 15000000);
    assert_int_equal(price_kinds(p, 200001)[PRICE_CACHED], 250000);

    struct builtin_model gratis = model_of("zai", "glm-4.5-flash");
    assert_true(gratis.price.at[0].known);
    assert_int_equal(gratis.price.at[0].kind[PRICE_INPUT], 0);

    struct builtin_model plain = model_of("openai", "gpt-3.5-turbo");
    assert_true(plain.given == (1u << PRICE_INPUT | 1u << PRICE_OUTPUT));
    assert_int_equal(plain.price.at[0].kind[PRICE_CACHED], 500000);
    assert_int_equal(plain.abilities, 0);
}

/* A row without a price is kept, and known to have none. */
static void test_unpriced(void **state)
{
    (void)state;
    struct bytes at = BYTES("p\tx/y\t\t\t\t\t\t\t\t\t\t8192\t\tt\n");
    struct builtin_model m;
    assert_true(builtin_model_next(&at, (struct bytes){0}, &m));
    assert_int_equal(at.len, 0);
    assert_true(m.price.count == 1 && !m.price.at[0].known && m.given == 0);
    assert_true(m.context == 8192 && m.max_output == 0 && m.abilities == ABILITY_TOOLS);
    assert_true(bytes_eq(m.id, BYTES("x/y")));
}

static float t_of(const struct builtin_model *m, enum family f)
{
    assert_true(m->quality.evidence[f] >= QUALITY_ELSEWHERE);
    return m->quality.t[f];
}

/* Orders that every table of 2024 to 2026 agrees on, and what a row has to be like. */
static void test_quality(void **state)
{
    (void)state;
    static const struct { const char *weak[2], *strong[2]; } cases[] = {
        {{"openai", "gpt-3.5-turbo"}, {"openai", "gpt-4-turbo"}},
        {{"openai", "gpt-4-turbo"}, {"openai", "gpt-4.1"}},
        {{"openai", "gpt-5-nano"}, {"openai", "gpt-5-mini"}},
        {{"openai", "gpt-5-mini"}, {"openai", "gpt-5.4"}},
        {{"anthropic", "claude-3-haiku-20240307"}, {"anthropic", "claude-haiku-4-5"}},
        {{"anthropic", "claude-haiku-4-5"}, {"anthropic", "claude-opus-4-7"}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct builtin_model weak = model_of(cases[i].weak[0], cases[i].weak[1]);
        struct builtin_model strong = model_of(cases[i].strong[0], cases[i].strong[1]);
        assert_true(t_of(&weak, FAMILY_CODE) + 0.2f < t_of(&strong, FAMILY_CODE));
    }
    size_t figures = 0, priced = 0;
    struct builtin_model m;
    struct bytes any = {0};
    for (struct bytes at = builtin_models(); builtin_model_next(&at, any, &m);) {
        const struct quality *q = &m.quality;
        for (int f = 0; f < FAMILIES; f++) {
            assert_true(q->t[f] >= -3 && q->t[f] <= 3);
            assert_true(q->width[f] >= QUALITY_WIDTH_LEAST - 0.001f);
            assert_true(q->width[f] <= QUALITY_WIDTH_NOTHING);
            assert_int_equal(q->evidence[f] == QUALITY_FIGURES, q->figures[f] > 0);
        }
        assert_int_equal(q->evidence[0] >= QUALITY_ELSEWHERE, m.figures_of.len > 0);
        assert_int_equal(m.figures_of.len > 0, m.sources.len > 0);
        for (int e = 0; e < EFFORTS; e++) assert_true(q->effort[e] <= 0);
        if (m.figures_of.len) figures++;
        else if (q->evidence[0] == QUALITY_PRICE) priced++;
        assert_true(!m.no_text || q->evidence[0] == QUALITY_NOTHING);
    }
    assert_true(figures > 850 && priced > 150);
}

static void test_efforts_and_quirks(void **state)
{
    (void)state;
    struct builtin_model m = model_of("openai", "gpt-5");
    assert_int_equal(m.quality.efforts, 1u << EFFORT_MINIMAL | 1u << EFFORT_LOW |
                     1u << EFFORT_MEDIUM | 1u << EFFORT_HIGH);
    assert_true(m.quality.effort[EFFORT_UNSET] == m.quality.effort[EFFORT_MEDIUM]);
    assert_true(m.quality.effort[EFFORT_MINIMAL] < m.quality.effort[EFFORT_LOW]);
    assert_true(m.quality.effort[EFFORT_LOW] < m.quality.effort[EFFORT_HIGH]);
    assert_int_equal(m.quirks, QUIRK_NO_MAX | QUIRK_NO_SAMPLING | QUIRK_NO_STOP);
    m = model_of("anthropic", "claude-sonnet-4-5");   /* thinks only when it is told to */
    assert_int_equal(m.quality.efforts, 0);
    assert_true(m.quality.effort[EFFORT_UNSET] == m.quality.effort[EFFORT_NONE]);
    assert_true(m.quality.effort[EFFORT_UNSET] < -0.1f);
    assert_int_equal(model_of("anthropic", "claude-opus-4-6").quirks, QUIRK_NO_PREFILL);
    assert_int_equal(model_of("anthropic", "claude-opus-4-5").quirks, 0);
    assert_int_equal(model_of("vertex-anthropic", "claude-opus-4-7@default").quirks,
                     QUIRK_NO_SAMPLING | QUIRK_ADAPTIVE | QUIRK_NO_PREFILL);
    assert_int_equal(model_of("google", "gemini-3-flash-preview").quirks, QUIRK_SIGNED_CALLS);
    assert_int_equal(model_of("google", "gemini-2.5-flash").quirks, 0);
    m = model_of("openai", "gpt-4.1");
    assert_true(m.quality.efforts == 0 && m.quality.effort[EFFORT_UNSET] == 0 && !m.quirks);
    m = model_of("openai", "text-embedding-3-small");
    assert_true(m.no_text && m.abilities == 0);
    assert_true(!model_of("openai", "gpt-4.1").by_name);
    assert_true(model_of("openai", "gpt-4.1-2025-04-14").by_name);      /* the same again */
    assert_true(model_of("openai", "o3-deep-research").by_name);
    assert_int_equal(model_of("anthropic", "claude-opus-4-5").continues, CONTINUES_PREFILL);
    assert_int_equal(model_of("anthropic", "claude-opus-4-6").continues, CONTINUES_UNSAID);
    assert_int_equal(model_of("alibaba", "qwen-plus").continues, CONTINUES_PARTIAL);
    assert_int_equal(model_of("mistral", "magistral-small").continues, CONTINUES_NO);
    struct builtin_provider p;
    assert_true(builtin_provider_find(BYTES("vllm"), &p));
    assert_int_equal(p.continues, CONTINUES_FINAL);
    assert_true(builtin_provider_find(BYTES("openai"), &p));
    assert_int_equal(p.continues, CONTINUES_UNSAID);
    assert_int_equal(p.quirks, QUIRK_COMPLETION_TOKENS);
    assert_true(builtin_provider_find(BYTES("mistral"), &p));
    assert_int_equal(p.quirks, QUIRK_NO_COMPLETION | QUIRK_ID_9 | QUIRK_NO_NAME |
                     QUIRK_RANDOM_SEED | QUIRK_CHOICE_ANY | QUIRK_NO_EFFORT |
                     QUIRK_NO_THOUGHTS | QUIRK_NO_LOGPROBS | QUIRK_NO_TIER | QUIRK_NO_USER);
    assert_true(bytes_eq(p.region, BYTES("eu")) && bytes_eq(p.limits, BYTES("mistral")));
    assert_true(bytes_eq(p.usage, BYTES("always")));
}

/* The same weights are as good on a server of one's own. */
static void test_quality_by_name(void **state)
{
    (void)state;
    struct quality q, theirs = model_of("alibaba", "qwen3-32b").quality;
    assert_true(builtin_quality_find(BYTES("Qwen/Qwen3-32B"), &q));
    assert_memory_equal(q.t, theirs.t, sizeof q.t);
    assert_int_equal(q.efforts, 0);
    assert_true(builtin_quality_find(BYTES("gpt-5"), &q));
    q = (struct quality){.efforts = 9};
    assert_false(builtin_quality_find(BYTES("qwen3-32"), &q));
    assert_false(builtin_quality_find(BYTES("*"), &q));
    assert_false(builtin_quality_find(BYTES("x/"), &q));
    assert_int_equal(q.efforts, 9);
}

/* The builder's whole way: all rows into a catalogue, indexed, found again. */
static void test_all_models_make_a_catalogue(void **state)
{
    (void)state;
    struct catalog_model *model = calloc(MODELS_MAX, sizeof *model);
    char (*names)[CATALOG_NAME_MAX + 1] = calloc(MODELS_MAX, sizeof *names);
    struct catalog_provider provider = {.name = "any"};
    struct catalog c = {.provider = &provider, .model = model, .provider_count = 1};
    assert_true(model && names);
    struct builtin_model m;
    for (struct bytes at = builtin_models(); builtin_model_next(&at, (struct bytes){0}, &m);) {
        assert_true(c.model_count < MODELS_MAX);
        char *name = names[c.model_count];
        snprintf(name, sizeof *names, "%.*s/%.*s", (int)m.provider.len, m.provider.ptr,
                 (int)m.id.len, m.id.ptr);
        model[c.model_count++] = (struct catalog_model){.id = name, .price = m.price};
    }
    assert_true(catalog_index(&c));
    for (uint32_t i = 0; i < c.model_count; i++) {
        assert_true(catalog_find(&c, bytes_of(names[i])) >= 0);
        uint32_t first, count;
        assert_true(catalog_bare(&c, bytes_of(strchr(names[i], '/') + 1), &first, &count));
    }
    assert_string_equal(catalog_nearest(&c, BYTES("claude-opus-4.7-")), "claude-opus-4-7");
    free(c.by_bare);
    free(model);
    free(names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_reads), cmocka_unit_test(test_end_leaves_out_untouched),
        cmocka_unit_test(test_providers), cmocka_unit_test(test_costs_that_were_published),
        cmocka_unit_test(test_dated_price), cmocka_unit_test(test_tiered_and_free_and_plain),
        cmocka_unit_test(test_unpriced), cmocka_unit_test(test_all_models_make_a_catalogue),
        cmocka_unit_test(test_quality), cmocka_unit_test(test_efforts_and_quirks),
        cmocka_unit_test(test_quality_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
