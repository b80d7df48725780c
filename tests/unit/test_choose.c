/* Choosing candidates as the data plane does it, without a core: a configuration and a request
 * body in, a plan or the sentence for the client out. */
#include "engine/choose.h"
#include "engine/conf.h"
#include "engine/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char yaml[] =
    "providers:\n"
    "  - {name: cheap, url: 'http://127.0.0.1:1/v1', zero_retention: true}\n"
    "  - {name: fast, url: 'http://127.0.0.1:2/v1'}\n"
    "  - {name: other, dialect: anthropic, url: 'http://127.0.0.1:3/v1'}\n"
    "models:\n"
    "  - {id: cheap/small, price: {input: '0.1', output: '0.2'}}\n"
    "  - {id: fast/small, price: {input: '1', output: '2'}}\n"
    "  - {id: fast/large, price: {input: '3', output: '15'}}\n"
    "  - {id: fast/free}\n"
    "  - {id: other/word, price: {input: '3', output: '15'}}\n"
    "aliases: {list: [fast/large, cheap/small], 'gpt-*': cheap/small}\n";

static const char *no_env(const char *name) { return name ? NULL : name; }

static struct conf *conf_of(const char *text)
{
    static struct conf_report report;
    struct conf *conf = NULL;
    bool ok = conf_parse(text, strlen(text), "weir.yaml", no_env, &conf, &report);
    if (!ok) fail_msg("%s", report.text);
    return conf;
}

static int open_conf(void **state)
{
    *state = conf_of(yaml);
    return 0;
}

static int close_conf(void **state)
{
    conf_free(*state);
    return 0;
}

struct question {
    const char *body;
    struct control control;
    enum api api;
};

static bool choose(struct conf *conf, const struct question *q, struct choose *out)
{
    static struct api_reader r;
    api_request_begin(&r, q->api);
    assert_int_equal(api_request_feed(&r, bytes_of(q->body)), NET_MORE);
    assert_int_equal(api_request_end(&r), NET_DONE);
    struct choose_ask ask = {.conf = conf, .req = &r.req, .control = &q->control,
                             .api = q->api, .now_unix_s = 1790000000};
    bool found = choose_make(&ask, out);
    assert_int_equal(found, out->plan.count > 0);
    return found;
}

/* The ids of a plan, blank-separated. */
static const char *ids(const struct conf *conf, const struct choose *out)
{
    static char text[1024];
    text[0] = 0;
    for (unsigned i = 0; i < out->plan.count; i++) {
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof text - len, "%s%s", i ? " " : "",
                       conf->catalog.model[out->plan.at[i].model].id);
    }
    return text;
}

#define BODY(members) "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]," members "}"

static void test_names_become_candidates(void **state)
{
    static const struct { struct question q; const char *ids; } cases[] = {
        {{BODY("\"model\":\"cheap/small\""), {0}, API_CHAT}, "cheap/small"},
        {{BODY("\"model\":\"list\""), {0}, API_CHAT}, "fast/large cheap/small"},
        {{BODY("\"model\":\"gpt-9\""), {0}, API_CHAT}, "cheap/small"},
        {{BODY("\"model\":\"list\""), {.no_fallback = true}, API_CHAT}, "fast/large"},
        {{BODY("\"model\":\"list\",\"provider\":{\"allow_fallbacks\":false}"), {0}, API_CHAT},
         "fast/large"},
        {{BODY("\"model\":\"fast/large\",\"models\":[\"nobody/x\",\"cheap/small\"]"), {0},
          API_CHAT}, "fast/large cheap/small"},
        {{BODY("\"model\":\"small\",\"provider\":{\"only\":[\"fast\"]}"), {0}, API_CHAT},
         "fast/small"},
        {{BODY("\"model\":\"small\",\"provider\":{\"zdr\":true}"), {0}, API_CHAT},
         "cheap/small"},
        {{BODY("\"model\":\"word\",\"max_tokens\":9"), {0}, API_MESSAGES}, "other/word"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct choose out;
        if (!choose(*state, &cases[i].q, &out)) fail_msg("%zu: %s", i, out.text);
        assert_string_equal(ids(*state, &out), cases[i].ids);
        assert_int_equal(out.why, CLOSE_NONE);
    }
}

static void test_an_empty_plan_says_why(void **state)
{
    static const struct { struct question q; enum close_why why; const char *text, *param; }
    cases[] = {
        {{BODY("\"model\":\"cheap/smal\""), {0}, API_CHAT}, CLOSE_MODEL_UNKNOWN,
         "did you mean 'cheap/small'?", "model"},
        {{BODY("\"model\":\"other/word\""), {0}, API_CHAT}, CLOSE_DIALECT,
         "ask it at /v1/messages", "model"},
        {{BODY("\"model\":\"fast/small\",\"provider\":{\"zdr\":true}"), {0}, API_CHAT},
         CLOSE_POLICY_DENIED, "fast/small", "provider"},
        {{BODY("\"model\":\"fast/free\""), {0}, API_CHAT}, CLOSE_POLICY_DENIED,
         "no price is known", "model"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct choose out;
        assert_false(choose(*state, &cases[i].q, &out));
        assert_int_equal(out.why, cases[i].why);
        assert_non_null(strstr(out.text, cases[i].text));
        assert_string_equal(out.param, cases[i].param);
    }
}

/* What a provider keeps is nowhere else. */
static void test_what_is_kept_needs_one_provider(void **state)
{
    struct choose out;
    struct question q = {"{\"model\":\"list\",\"input\":\"hi\",\"store\":true}", {0},
                         API_RESPONSES};
    assert_false(choose(*state, &q, &out));
    assert_int_equal(out.why, CLOSE_REQUEST_BAD);
    assert_non_null(strstr(out.text, "name it as 'fast/large'"));
    assert_string_equal(out.param, "store");
    q.body = "{\"model\":\"cheap/small\",\"input\":\"hi\",\"store\":true}";
    assert_true(choose(*state, &q, &out));
}

static void test_words_of_modes(void **state)
{
    static const struct { const char *word; int mode; } cases[] = {
        {"balanced", MODE_BALANCED}, {"cost", MODE_COST}, {"latency", MODE_LATENCY},
        {"availability", MODE_AVAILABILITY}, {"cost-first", MODE_COST},
        {"availability-first", MODE_AVAILABILITY}, {"", -1}, {"Cost", -1}, {"-first", -1},
        {"costs", -1}, {"cost-first-first", -1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(choose_mode(bytes_of(cases[i].word)), cases[i].mode);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names_become_candidates, open_conf, close_conf),
        cmocka_unit_test_setup_teardown(test_an_empty_plan_says_why, open_conf, close_conf),
        cmocka_unit_test_setup_teardown(test_what_is_kept_needs_one_provider, open_conf,
                                        close_conf),
        cmocka_unit_test(test_words_of_modes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
