/* test_conf_provider.c - what a dialect brings with it where an entry says nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine/conf.h"

static struct conf_report report;

static struct conf *parse(const char *yaml)
{
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

/* What is known of a name, and what an entry of the file changes of it. */
static void test_what_a_name_brings_with_it(void **state)
{
    (void)state;
    const unsigned mistral = QUIRK_NO_COMPLETION | QUIRK_ID_9 | QUIRK_NO_NAME |
        QUIRK_RANDOM_SEED | QUIRK_CHOICE_ANY | QUIRK_NO_EFFORT | QUIRK_NO_THOUGHTS |
        QUIRK_NO_LOGPROBS | QUIRK_NO_TIER | QUIRK_NO_USER;
    const struct { const char *entry, *region; unsigned quirks; } cases[] = {
        {"{name: mistral, keys: [k]}", "eu", mistral},
        {"{name: mistral, keys: [k], region: fr}", "fr", mistral},
        {"{name: mistral, keys: [k], url: \"http://h/v1\"}", "", mistral},
        {"{name: mistral, keys: [k], url: \"http://h/v1\", region: eu}", "eu",
         mistral},
        {"{name: mistral, keys: [k], quirks: []}", "eu", 0},
        {"{name: openai, keys: [k], quirks: [no_options, no_sampling]}", "",
         QUIRK_NO_OPTIONS | QUIRK_NO_SAMPLING},
        {"{name: x, url: \"http://h\"}", "", 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char yaml[256];
        (void)snprintf(yaml, sizeof yaml, "providers: [%s]", cases[i].entry);
        struct conf *c = parse(yaml);
        assert_non_null(c);
        assert_string_equal(c->catalog.provider[0].region, cases[i].region);
        assert_int_equal(c->catalog.provider[0].quirks, cases[i].quirks);
        assert_false(c->catalog.provider[0].zero_retention);
        conf_free(c);
    }
}

/* What else is spoken at its address holds there alone; the field of thoughts is its
 * software's, wherever it runs. */
static void test_further_dialects_belong_to_an_address(void **state)
{
    (void)state;
    static const struct { const char *entry; unsigned speaks, thoughts; bool official; }
    cases[] = {
        {"{name: openai, keys: [k]}", 1u << DIALECT_RESPONSES, CATALOG_THOUGHTS_NONE, true},
        {"{name: openai, keys: [k], url: \"http://h/v1\"}", 0, CATALOG_THOUGHTS_NONE, false},
        {"{name: me, url: \"https://API.openai.com/v1\"}", 0, CATALOG_THOUGHTS_NONE, true},
        {"{name: anthropic, keys: [k]}", 0, CATALOG_THOUGHTS_NONE, true},
        {"{name: google, keys: [k]}", 0, CATALOG_THOUGHTS_NONE, true},
        {"{name: groq, keys: [k]}", 1u << DIALECT_RESPONSES, CATALOG_THOUGHTS_REASONING, false},
        {"{name: deepseek, keys: [k], url: \"http://h\"}", 0, CATALOG_THOUGHTS_CONTENT, false},
        {"{name: openrouter, keys: [k]}", 1u << DIALECT_RESPONSES, CATALOG_THOUGHTS_DETAILS,
         false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char yaml[256];
        (void)snprintf(yaml, sizeof yaml, "providers: [%s]", cases[i].entry);
        struct conf *c = parse(yaml);
        assert_non_null(c);
        const struct catalog_provider *p = &c->catalog.provider[0];
        assert_int_equal(p->speaks, cases[i].speaks);
        assert_int_equal(p->thoughts, cases[i].thoughts);
        assert_int_equal(p->official, cases[i].official);
        conf_free(c);
    }
}

static const struct catalog_model *model(const struct conf *c, const char *id)
{
    int32_t at = catalog_find(&c->catalog, bytes_of(id));
    assert_true(at >= 0);
    return &c->catalog.model[at];
}

/* Stated, known by its weights, guessed from a price, or nothing at all. */
static void test_quality_of_models(void **state)
{
    (void)state;
    struct conf *c = parse(
        "providers: [{name: x, url: \"http://h\"}, {name: openai, keys: [k]}]\n"
        "models:\n"
        "  - {id: x/a, quality: 50}\n"
        "  - {id: x/b, quality: {code: 50, math: 50}}\n"
        "  - {id: x/Qwen/Qwen3-32B}\n"
        "  - {id: x/mine, upstream: qwen3-32b}\n"
        "  - {id: x/priced, price: {input: \"1\", output: \"10\"}}\n"
        "  - {id: x/bare, quirks: [no_max]}\n"
        "  - {id: openai/gpt-5, quality: {chat: 50}}\n");
    assert_non_null(c);
    const struct quality *q = &model(c, "x/a")->quality;
    assert_true(q->evidence[FAMILY_VISION] == QUALITY_STATED && q->t[FAMILY_VISION] < 0.01f);
    q = &model(c, "x/b")->quality;
    assert_int_equal(q->evidence[FAMILY_CODE], QUALITY_STATED);
    assert_int_equal(q->evidence[FAMILY_CHAT], QUALITY_ELSEWHERE);
    q = &model(c, "x/Qwen/Qwen3-32B")->quality;
    assert_int_equal(q->evidence[FAMILY_CODE], QUALITY_FIGURES);
    assert_memory_equal(q, &model(c, "x/mine")->quality, sizeof *q);
    q = &model(c, "x/priced")->quality;
    assert_int_equal(q->evidence[FAMILY_CODE], QUALITY_PRICE);
    assert_true(q->t[0] > 0.4f && q->t[0] < 0.7f && q->width[0] > 0.7f);
    q = &model(c, "x/bare")->quality;
    assert_true(q->evidence[0] == QUALITY_NOTHING && q->width[0] > 0.8f && q->t[0] == 0);
    assert_int_equal(model(c, "x/bare")->quirks, QUIRK_NO_MAX);
    q = &model(c, "openai/gpt-5")->quality;
    assert_int_equal(q->evidence[FAMILY_CHAT], QUALITY_STATED);
    assert_int_equal(q->evidence[FAMILY_CODE], QUALITY_FIGURES);
    assert_true(q->efforts && model(c, "openai/gpt-5")->quirks);
    conf_free(c);
}

/* How an answer is continued: known of a name, said for a provider, said for a model. */
static void test_who_goes_on(void **state)
{
    (void)state;
    static const struct { const char *entry, *model; enum catalog_continues how; } cases[] = {
        {"{name: openai}", "{id: openai/gpt-5}", CONTINUES_UNSAID},
        {"{name: openai, continues: instruct}", "{id: openai/gpt-5}", CONTINUES_INSTRUCT},
        {"{name: openai, continues: instruct}", "{id: openai/gpt-5, continues: no}",
         CONTINUES_UNSAID},
        {"{name: openai}", "{id: openai/gpt-5, continues: prefill}", CONTINUES_PREFILL},
        {"{name: mistral}", "{id: mistral/new}", CONTINUES_PREFIX_ECHO},
        {"{name: mistral}", "{id: mistral/magistral-small}", CONTINUES_UNSAID},
        {"{name: mistral, continues: no}", "{id: mistral/new}", CONTINUES_UNSAID},
        {"{name: mistral, dialect: anthropic}", "{id: mistral/new}", CONTINUES_UNSAID},
        {"{name: anthropic}", "{id: anthropic/claude-opus-4-5}", CONTINUES_PREFILL},
        {"{name: anthropic}", "{id: anthropic/claude-opus-4-6}", CONTINUES_UNSAID},
        {"{name: anthropic, continues: prefill}", "{id: anthropic/claude-opus-4-6}",
         CONTINUES_UNSAID},     /* it refuses a last turn of its own, */
        {"{name: anthropic, continues: instruct}", "{id: anthropic/claude-opus-4-6}",
         CONTINUES_INSTRUCT},   /* and takes one of the user's */
        {"{name: anthropic}", "{id: anthropic/claude-opus-4-6, quirks: [], "
         "continues: prefill}", CONTINUES_PREFILL},
        {"{name: x, url: \"http://h\"}", "{id: x/m}", CONTINUES_UNSAID},
        {"{name: x, url: \"http://h\", continues: final}", "{id: x/m}", CONTINUES_FINAL},
        {"{name: x, url: \"http://h\", continues: prefix}", "{id: x/m, continues: partial}",
         CONTINUES_PARTIAL},
        {"{name: openai, continues: prefill}", "{id: openai/text-embedding-3-small}",
         CONTINUES_UNSAID},     /* nothing to go on with */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char yaml[512];
        (void)snprintf(yaml, sizeof yaml, "providers: [%s]\nmodels: [%s]", cases[i].entry,
                       cases[i].model);
        struct conf *c = parse(yaml);
        assert_non_null(c);
        for (uint32_t m = 0; m < c->catalog.model_count; m++) {
            if (!c->catalog.model[m].configured) continue;
            assert_int_equal(catalog_continues_of(&c->catalog.model[m],
                                                  &c->catalog.provider[0]), cases[i].how);
        }
        conf_free(c);
    }
}

/* Each word is that of its number: conf.def and the catalogue list them alike. */
static void test_words_of_going_on(void **state)
{
    (void)state;
    assert_null(catalog_continues_word(CONTINUES_UNSAID));
    for (unsigned how = CONTINUES_UNSAID + 1; how < CONTINUES; how++) {
        char yaml[256];
        (void)snprintf(yaml, sizeof yaml, "providers: [{name: x, url: \"http://h\", "
                       "continues: %s}]", catalog_continues_word((enum catalog_continues)how));
        struct conf *c = parse(yaml);
        assert_non_null(c);
        assert_int_equal(c->catalog.provider[0].continues, how);
        conf_free(c);
    }
}

/* A resumption that nobody is able to is warned of; not where it is only the default. */
static void test_resume_that_nobody_can(void **state)
{
    (void)state;
    static const struct { const char *yaml; unsigned warnings; } cases[] = {
        {"routing: {resume: availability}\nproviders: [{name: openai, keys: [k]}]", 1},
        {"providers: [{name: openai, keys: [k]}]", 0},
        {"routing: {resume: availability}", 0},
        {"routing: {resume: availability}\nproviders: [{name: mistral, keys: [k]}]", 0},
        {"routing: {resume: availability}\nproviders: [{name: mistral, keys: [k], "
         "continues: no}]", 1},
        {"routing: {resume: availability}\nproviders: [{name: openai, keys: [k]}]\n"
         "models: [{id: openai/gpt-5, continues: instruct}]", 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct conf *c = parse(cases[i].yaml);
        assert_non_null(c);
        assert_int_equal(report.warning_count, cases[i].warnings);
        if (cases[i].warnings) {
            assert_non_null(strstr(report.text, "t.yaml:1:19: warning: routing.resume is "
                "'availability', but no model is known to go on with what another one began, "
                "so no stream will: see continues of providers and models"));
        }
        conf_free(c);
    }
}

/* A second candidate that is asked for and can never be asked is warned of. */
static void test_second_candidates_that_cannot_be(void **state)
{
    (void)state;
    static const struct { const char *yaml, *says; } cases[] = {
        {"routing: {hedge: {mode: always, max_share: 0}}",
         "1:44: warning: routing.hedge.max_share is 0: nothing may be spent on a second "
         "candidate, so none will be asked"},
        {"routing: {hedge: {mode: always}, max_attempts: 1}",
         "1:25: warning: a hedge is a second candidate, and routing.max_attempts is 1: none "
         "will be asked"},
        {"routing: {hedge: {after: p99}, max_attempts: 1}",
         "1:18: warning: a hedge is a second candidate, and routing.max_attempts is 1: none "
         "will be asked"},
        {"routing: {resume: always, max_attempts: 1}\n"
         "providers: [{name: mistral, keys: [k]}]",
         "1:19: warning: routing.resume is 'always', and routing.max_attempts is 1: nobody "
         "may go on with a stream"},
        {"routing: {hedge: {max_share: 0}}", NULL},          /* how it is switched off, too */
        {"routing: {hedge: {mode: never, max_share: 0}}", NULL},
        {"routing: {hedge: {mode: never}, max_attempts: 1}", NULL},
        {"routing: {hedge: {mode: always}, max_attempts: 2}", NULL},
        {"routing: {max_attempts: 1}", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct conf *c = parse(cases[i].yaml);
        assert_non_null(c);
        assert_int_equal(report.warning_count, cases[i].says ? 1 : 0);
        if (cases[i].says) assert_non_null(strstr(report.text, cases[i].says));
        conf_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_auth_of_a_dialect),
        cmocka_unit_test(test_what_a_name_brings_with_it),
        cmocka_unit_test(test_further_dialects_belong_to_an_address),
        cmocka_unit_test(test_quality_of_models),
        cmocka_unit_test(test_who_goes_on),
        cmocka_unit_test(test_words_of_going_on),
        cmocka_unit_test(test_resume_that_nobody_can),
        cmocka_unit_test(test_second_candidates_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
