/* Choosing candidates as the data plane does it, without a core: a configuration and a request
 * body in, a plan or the sentence for the client out. */
#include "engine/choose.h"
#include "engine/conf.h"
#include "engine/control.h"
#include "net/dialect/api.h"
#include "route/gain.h"
#include "route/catalog.h"
#include "route/score.h"
#include "store/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char yaml[] =
    "providers:\n"
    "  - {name: cheap, url: 'http://127.0.0.1:1/v1', zero_retention: true, region: eu}\n"
    "  - {name: fast, url: 'http://127.0.0.1:2/v1'}\n"
    "  - {name: other, dialect: anthropic, url: 'http://127.0.0.1:3/v1'}\n"
    "models:\n"
    "  - {id: cheap/small, price: {input: '0.1', output: '0.2'}, quality: 3}\n"
    "  - {id: cheap/tiny, price: {input: '0.1', output: '0.2'}, context: 10}\n"
    "  - {id: fast/small, price: {input: '1', output: '2'}, quality: 3}\n"
    "  - {id: fast/large, price: {input: '3', output: '15'}, quality: 95,"
    " supports: [tools, json_schema]}\n"
    "  - {id: fast/free}\n"
    "  - {id: other/word, price: {input: '3', output: '15'}}\n"
    "aliases: {list: [fast/large, cheap/small], 'gpt-*': cheap/small}\n"
    "routing: {explore: 0}\n";

struct world {
    struct conf *conf;
    struct scores *scores;
};

static const char *no_env(const char *name) { return name ? NULL : name; }

static int open_world(void **state)
{
    static struct conf_report report;
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    bool ok = conf_parse(yaml, strlen(yaml), "weir.yaml", no_env, &w->conf, &report);
    if (!ok) fail_msg("%s", report.text);
    struct score_setup setup = {.catalog = &w->conf->catalog, .auto_glob = w->conf->auto_globs,
                                .auto_count = w->conf->auto_count, .views = 1,
                                .now_unix_s = 1790000000};
    w->scores = score_make(&setup);
    assert_non_null(w->scores);
    *state = w;
    return 0;
}

static int close_world(void **state)
{
    struct world *w = *state;
    score_close(w->scores);
    conf_free(w->conf);
    free(w);
    return 0;
}

struct question {
    const char *body;
    struct control control;
    enum api api;
    const struct key_view *key;
    struct choose_hint hint;
    size_t blanks;
};

static void read_text(void *arg, uint64_t from, char *out, size_t len)
{
    const char *body = arg;
    assert_true(from + len <= strlen(body));
    memcpy(out, body + from, len);
}

static struct features features;
static struct gain gain;

static bool choose(struct world *w, const struct question *q, struct choose *out)
{
    static struct api_reader r;
    struct policy_routing routing = {0};
    static char text[(1 << 20) + 4096];
    assert_in_range(strlen(q->body), 1, 4095);
    memcpy(text, q->body, strlen(q->body) + 1);
    size_t end = strlen(text) - 1;      /* blanks before the last bracket, so many */
    memset(text + end, ' ', q->blanks);
    memcpy(text + end + q->blanks, "}", 2);
    api_request_begin(&r, q->api);
    assert_int_equal(api_request_feed(&r, bytes_of(text)), NET_MORE);
    assert_int_equal(api_request_end(&r), NET_DONE);
    if (q->key) assert_true(keys_routing(q->key, &routing));
    struct choose_ask ask = {.conf = w->conf, .score = score_view(w->scores, 0), .req = &r.req,
                             .control = &q->control, .key = q->key,
                             .routing = q->key ? &routing : NULL, .read = read_text,
                             .read_arg = text, .api = (uint8_t)q->api, .hint = q->hint,
                             .body_bytes = strlen(text),
                             .now_unix_s = 1790000000, .draw = UINT64_MAX};
    bool found = choose_make(&ask, out, &features, &gain);
    assert_int_equal(found, out->plan.count > 0);
    return found;
}

/* The ids of a plan, blank-separated. */
static const char *ids(const struct world *w, const struct choose *out)
{
    static char text[1024];
    text[0] = 0;
    for (unsigned i = 0; i < out->plan.count; i++) {
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof text - len, "%s%s", i ? " " : "",
                       w->conf->catalog.model[out->plan.at[i].model].id);
    }
    return text;
}

#define BODY(members) "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]," members "}"

static void test_names_become_candidates(void **state)
{
    static const struct { struct question q; const char *ids; } cases[] = {
        {{.body = BODY("\"model\":\"cheap/small\"")}, "cheap/small"},
        {{.body = BODY("\"model\":\"list\"")}, "fast/large cheap/small"},
        {{.body = BODY("\"model\":\"gpt-9\"")}, "cheap/small"},
        {{.body = BODY("\"model\":\"list\""), .control = {.no_fallback = true}}, "fast/large"},
        {{.body = BODY("\"model\":\"list\",\"provider\":{\"allow_fallbacks\":false}")},
         "fast/large"},
        {{.body = BODY("\"model\":\"fast/large\",\"models\":[\"nobody/x\",\"cheap/small\"]")},
         "fast/large cheap/small"},
        {{.body = BODY("\"model\":\"small\",\"provider\":{\"only\":[\"fast\"]}")},
         "fast/small"},
        {{.body = BODY("\"model\":\"small\",\"provider\":{\"zdr\":true}")},
         "cheap/small"},
        {{.body = BODY("\"model\":\"word\",\"max_tokens\":9"), .api = API_MESSAGES},
         "other/word"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct choose out;
        if (!choose(*state, &cases[i].q, &out)) fail_msg("%zu: %s", i, out.text);
        assert_string_equal(ids(*state, &out), cases[i].ids);
        assert_int_equal(out.why, CLOSE_NONE);
    }
}

/* Who is asked for a cascade, and who is told that there is none: by the header field first,
 * then by the file; never for what cannot be held back and looked at. */
static void test_cascades_are_asked_for(void **state)
{
#define ASK "\"model\":\"auto\""
    static const struct {
        struct question q;
        uint8_t mode, agree, why, cheap;
    } cases[] = {
        {{.body = BODY(ASK)}, CONF_CASCADE_NEVER, 0, CASCADE_NEVER, 0},
        {{.body = BODY(ASK)}, CONF_CASCADE_COST, 0, CASCADE_MODE, 0},
        {{.body = BODY(ASK), .control = {.mode = 1 + MODE_COST}}, CONF_CASCADE_COST, 0,
         CASCADE_FINE, 1},
        {{.body = BODY(ASK)}, CONF_CASCADE_ALWAYS, 0, CASCADE_FINE, 1},
        {{.body = BODY(ASK), .control = {.cascade = ASKS_NO_CASCADE}}, CONF_CASCADE_ALWAYS, 0,
         CASCADE_DENIED, 0},
        {{.body = BODY(ASK), .control = {.cascade = ASKS_CHECK}}, CONF_CASCADE_NEVER, 0,
         CASCADE_FINE, 1},
        {{.body = BODY(ASK), .control = {.cascade = ASKS_CHECK, .no_fallback = true}},
         CONF_CASCADE_NEVER, 0, CASCADE_ALONE, 0},
        {{.body = BODY(ASK ",\"n\":2")}, CONF_CASCADE_ALWAYS, 0, CASCADE_API, 0},
        {{.body = BODY(ASK ",\"n\":1")}, CONF_CASCADE_ALWAYS, 0, CASCADE_FINE, 1},
        {{.body = "{\"model\":\"auto\",\"prompt\":\"x\"}", .api = API_COMPLETIONS},
         CONF_CASCADE_ALWAYS, 0, CASCADE_API, 0},
        {{.body = BODY("\"model\":\"fast/large\"")}, CONF_CASCADE_ALWAYS, 0,
         CASCADE_NAMED, 0},
        {{.body = BODY(ASK ",\"reasoning_effort\":\"low\"")}, CONF_CASCADE_ALWAYS, 0,
         CASCADE_NOBODY, 0},
        {{.body = BODY(ASK), .control = {.cascade = ASKS_AGREE_3}}, CONF_CASCADE_NEVER, 2,
         CASCADE_ATTEMPTS, 0},
        {{.body = BODY(ASK ",\"store\":true"), .blanks = 5000}, CONF_CASCADE_ALWAYS, 0,
         CASCADE_KEPT, 0},
        {{.body = BODY(ASK ",\"store\":false"), .blanks = 5000}, CONF_CASCADE_ALWAYS, 0,
         CASCADE_FINE, 1},
        {{.body = BODY(ASK ",\"web_search_options\":{}")}, CONF_CASCADE_ALWAYS, 0,
         CASCADE_KEPT, 0},
        {{.body = "{\"model\":\"auto\",\"input\":\"hi\"}", .api = API_RESPONSES},
         CONF_CASCADE_ALWAYS, 0, CASCADE_KEPT, 0},
        {{.body = "{\"model\":\"auto\",\"input\":\"hi\",\"store\":false}",
          .api = API_RESPONSES}, CONF_CASCADE_ALWAYS, 0, CASCADE_FINE, 1},
        {{.body = BODY(ASK), .blanks = (1 << 20) - sizeof BODY(ASK) + 1}, CONF_CASCADE_ALWAYS,
         0, CASCADE_FINE, 1},
        {{.body = BODY(ASK), .blanks = (1 << 20) - sizeof BODY(ASK) + 2}, CONF_CASCADE_ALWAYS,
         0, CASCADE_LARGE, 0},
    };
    struct world *w = *state;
    struct conf was = *w->conf;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct choose out;
        w->conf->cascade_mode = cases[i].mode;
        w->conf->cascade_agree = cases[i].agree;
        w->conf->max_attempts = 3;
        (void)choose(w, &cases[i].q, &out);
        if (out.plan.cascade.why != cases[i].why) {
            fail_msg("%zu: %s", i, cascade_why_text((enum cascade_why)out.plan.cascade.why));
        }
        assert_int_equal(out.plan.cascade.cheap, cases[i].cheap);
    }
    w->conf->cascade_mode = was.cascade_mode;
    w->conf->cascade_agree = was.cascade_agree;
    w->conf->max_attempts = was.max_attempts;
#undef ASK
}

static void test_an_empty_plan_says_why(void **state)
{
    static const struct { struct question q; enum close_why why; const char *text, *param; }
    cases[] = {
        {{.body = BODY("\"model\":\"cheap/smal\"")}, CLOSE_MODEL_UNKNOWN,
         "did you mean 'cheap/small'?", "model"},
        {{.body = "{\"input\":\"hi\",\"model\":\"other/word\"}", .api = API_EMBEDDINGS},
         CLOSE_DIALECT, "is asked at /v1/messages", "model"},
        {{.body = BODY("\"model\":\"fast/small\",\"provider\":{\"zdr\":true}")},
         CLOSE_POLICY_DENIED, "fast/small", "provider"},
        {{.body = BODY("\"model\":\"fast/free\"")}, CLOSE_POLICY_DENIED,
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
    struct question q = {.body = "{\"model\":\"list\",\"input\":\"hi\",\"store\":true}",
                         .api = API_RESPONSES};
    assert_false(choose(*state, &q, &out));
    assert_int_equal(out.why, CLOSE_REQUEST_BAD);
    assert_non_null(strstr(out.text, "name it as 'fast/large'"));
    assert_string_equal(out.param, "store");
    q.body = "{\"model\":\"cheap/small\",\"input\":\"hi\",\"store\":true}";
    assert_true(choose(*state, &q, &out));
}

/* A key whose levels have these policies; NUL-ended entries, one after another. */
static const struct key_view *key_of(const char *org, size_t org_len, const char *key,
                                     size_t key_len)
{
    static struct key_view view;
    view = (struct key_view){0};
    view.policy_len[UNIT_ORGANIZATION] = (uint16_t)org_len;
    view.policy_len[UNIT_KEY] = (uint16_t)key_len;
    memcpy(view.policy, org, org_len);
    memcpy(view.policy + org_len, key, key_len);
    return &view;
}

#define KEY(org, key) key_of(org, sizeof(org) - 1, key, sizeof(key) - 1)

static void test_the_strongest_word_on_the_mode_holds(void **state)
{
    static const struct {
        const char *members; uint8_t header; bool policy; uint8_t mode, from;
    } cases[] = {
        {"\"model\":\"auto\"", 0, false, PLAN_BALANCED, CHOOSE_FILE},
        {"\"model\":\"auto\"", 0, true, PLAN_COST, CHOOSE_POLICY},
        {"\"model\":\"auto\",\"provider\":{\"sort\":\"latency\"}", 0, true, PLAN_LATENCY,
         CHOOSE_SORT},
        {"\"model\":\"auto\",\"provider\":{\"sort\":\"price\"}", 0, false, PLAN_COST,
         CHOOSE_SORT},
        {"\"model\":\"auto\",\"provider\":{\"sort\":\"throughput\"}", 0, false, PLAN_LATENCY,
         CHOOSE_SORT},
        {"\"model\":\"auto:availability\",\"provider\":{\"sort\":\"price\"}", 0, true,
         PLAN_AVAILABILITY, CHOOSE_SUFFIX},
        {"\"model\":\"auto:availability\"", 1 + PLAN_BALANCED, true, PLAN_BALANCED,
         CHOOSE_HEADER},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[512];
        struct choose out;
        (void)snprintf(body, sizeof body, BODY("%s"), cases[i].members);
        struct question q = {.body = body, .control = {.mode = cases[i].header}};
        if (cases[i].policy) q.key = KEY("mlatency\0", "mcost\0");   /* the narrower one */
        if (!choose(*state, &q, &out)) fail_msg("%zu: %s", i, out.text);
        assert_int_equal(out.mode, cases[i].mode);
        assert_int_equal(out.mode_from, cases[i].from);
    }
}

static void test_policies_refuse_with_their_level(void **state)
{
    static const struct {
        const char *model, *org; size_t org_len; enum close_why why; const char *text;
    } cases[] = {
        {"fast/large", "geu\0", 4, CLOSE_POLICY_DENIED, "organization names regions"},
        {"fast/large", "z\0", 2, CLOSE_POLICY_DENIED, "organization asks for zero retention"},
        {"fast/large", "acheap/*\0", 9, CLOSE_MODEL_DENIED, "organization does not allow"},
        {"cheap/small", "geu\0z\0", 6, CLOSE_NONE, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[256];
        struct choose out;
        (void)snprintf(body, sizeof body, BODY("\"model\":\"%s\""), cases[i].model);
        struct question q = {.body = body,
                             .key = key_of(cases[i].org, cases[i].org_len, "", 0)};
        assert_int_equal(choose(*state, &q, &out), cases[i].why == CLOSE_NONE);
        assert_int_equal(out.why, cases[i].why);
        if (cases[i].text) assert_non_null(strstr(out.text, cases[i].text));
    }
}

/* The policy's floor counts instead of the file's, also a lower one. */
static void test_the_floor_is_the_policys(void **state)
{
    struct choose out;
    struct question q = {BODY("\"model\":\"auto:cost\""), {0}, API_CHAT, NULL, {0}, 0};
    assert_true(choose(*state, &q, &out));
    assert_int_equal(out.plan.at[0].reason, PLAN_CHOSEN);
    /* whatever dialect they speak */
    assert_string_equal(ids(*state, &out), "fast/large other/word cheap/small fast/small");
    q.key = KEY("q0.1\0", "");
    assert_true(choose(*state, &q, &out));
    assert_string_equal(ids(*state, &out), "cheap/small fast/small fast/large other/word");
}

static void test_what_the_request_needs(void **state)
{
    static const struct { const char *members; const char *text, *param; } cases[] = {
        {"\"model\":\"cheap/tiny\",\"tools\":[{\"name\":\"a function with a long "
         "name and words\",\"description\":\"what it does is told in more "
         "words than the model can take\"}]",
         "context", "messages"},
        {"\"model\":\"auto\",\"tools\":[{\"type\":\"function\"}],"
         "\"provider\":{\"only\":[\"cheap\"]}", "needs tools", "tools"},
        {"\"model\":\"auto\",\"provider\":{\"max_price\":{\"prompt\":0.01}}", "max_price",
         "provider"},
        {"\"model\":\"auto:fast\"", "no such mode: 'auto:fast'", "model"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[512];
        struct choose out;
        (void)snprintf(body, sizeof body, BODY("%s"), cases[i].members);
        struct question q = {.body = body};
        if (choose(*state, &q, &out)) fail_msg("%zu: %s", i, ids(*state, &out));
        assert_int_equal(close_status((enum close_why)out.why), 400);
        if (!strstr(out.text, cases[i].text)) fail_msg("%zu: %s", i, out.text);
        assert_string_equal(out.param, cases[i].param);
    }
    struct choose out;
    struct question late = {.body = BODY("\"model\":\"auto\""),
                            .control = {.max_ttft_ns = 1}};
    assert_false(choose(*state, &late, &out));
    assert_non_null(strstr(out.text, "x-weir-max-ttft"));
}

/* The text of a request is read from the body, in every dialect, and nothing else is. */
static void test_a_request_is_looked_at(void **state)
{
    static const struct { const char *body; enum api api; } same[] = {
        {"{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":"
         "\"Prove that 2 + 2 = 4.\"}]}", API_CHAT},
        {"{\"model\":\"auto\",\"input\":\"Prove that 2 + 2 = 4.\"}", API_RESPONSES},
        {"{\"model\":\"auto\",\"max_tokens\":99999,\"messages\":[{\"role\":\"user\","
         "\"content\":[{\"type\":\"text\",\"text\":\"Prove that 2 + 2 = 4.\"}]}]}",
         API_MESSAGES},
    };
    struct choose out;
    for (size_t i = 0; i < COUNT(same); i++) {
        struct question q = {.body = same[i].body, .api = same[i].api};
        (void)choose(*state, &q, &out);
        assert_true(out.scored);
        assert_int_equal(features.task, TASK_PROOF);
        assert_true(gain.gain <= GAIN_ONE && gain.width > 0);
    }
    struct question none = {"{\"model\":\"cheap/small\",\"input\":\"x\"}", {0}, API_EMBEDDINGS,
                            NULL, {0}, 0};
    assert_true(choose(*state, &none, &out));
    assert_false(out.scored);
    none.body = "{\"model\":\"auto\",\"input\":\"x\"}";
    assert_false(choose(*state, &none, &out));
    assert_non_null(strstr(out.text, "name a model here"));
}

static void test_priority_is_the_headers_then_the_bodys(void **state)
{
    static const struct { const char *tier; uint8_t header, priority; } cases[] = {
        {"auto", 0, PRIORITY_NORMAL}, {"flex", 0, PRIORITY_LOW},
        {"priority", 0, PRIORITY_HIGH}, {"flex", 1 + PRIORITY_HIGH, PRIORITY_HIGH},
        {"priority", 1 + PRIORITY_NORMAL, PRIORITY_NORMAL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[256];
        struct choose out;
        (void)snprintf(body, sizeof body, BODY("\"model\":\"list\",\"service_tier\":\"%s\""),
                       cases[i].tier);
        struct question q = {.body = body, .control = {.priority = cases[i].header}};
        assert_true(choose(*state, &q, &out));
        assert_int_equal(out.priority, cases[i].priority);
    }
}

static void test_a_session_goes_back(void **state)
{
    struct world *w = *state;
    struct choose out;
    struct question q = {BODY("\"model\":\"auto:cost\""), {0}, API_CHAT, KEY("q0.1\0", ""),
                         {0}, 0};
    q.hint.model = 1 + (uint32_t)catalog_find(&w->conf->catalog, BYTES("fast/large"));
    q.hint.first = true;
    assert_true(choose(*state, &q, &out));
    assert_string_equal(ids(*state, &out), "fast/large cheap/small fast/small other/word");
    assert_int_equal(out.plan.at[0].reason, PLAN_STICKY);
}

static void test_reasons_have_words(void **state)
{
    struct gain g = {.reason = {GAIN_TASK, GAIN_TOPIC, 0}};
    struct plan_candidate c = {.reason = PLAN_CHOSEN};
    uint8_t codes[CHOOSE_REASONS];
    choose_codes(&c, &g, codes);
    assert_string_equal(choose_code_text(0, codes[0]), plan_reason_text(PLAN_CHOSEN));
    assert_string_equal(choose_code_text(1, codes[1]), gain_reason_text(GAIN_TASK));
    assert_null(choose_code_text(3, codes[3]));
    choose_codes(&c, NULL, codes);
    assert_null(choose_code_text(1, codes[1]));
    assert_null(choose_code_text(0, 255));      /* of another version's record */
    assert_null(choose_code_text(2, 255));
    (void)state;
}

#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_names_become_candidates),
        WORLD_TEST(test_cascades_are_asked_for),
        WORLD_TEST(test_an_empty_plan_says_why),
        WORLD_TEST(test_what_is_kept_needs_one_provider),
        WORLD_TEST(test_the_strongest_word_on_the_mode_holds),
        WORLD_TEST(test_policies_refuse_with_their_level),
        WORLD_TEST(test_the_floor_is_the_policys),
        WORLD_TEST(test_what_the_request_needs),
        WORLD_TEST(test_a_request_is_looked_at),
        WORLD_TEST(test_priority_is_the_headers_then_the_bodys),
        WORLD_TEST(test_a_session_goes_back),
        cmocka_unit_test(test_reasons_have_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
