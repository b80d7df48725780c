/* test_tr_messages.c - requests of Anthropic's Messages: what is read of them, however the body
 * lies in memory, what is wrong, and what is written where they stay Anthropic's. */
#include "net/translate/ask.h"
#include "net/json_index.h"
#include "tr_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct ask ask;                /* large: not for a stack */
static struct json_index scratch;
static struct kit_pieces pieces;
static struct walk_source source;
static char said[16384];
static size_t said_len;

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(said + said_len, sizeof said - said_len, format, args);
    va_end(args);
    assert_true(n >= 0 && (size_t)n < sizeof said - said_len);
    said_len += (size_t)n;
}

static void say_span(const char *name, struct walk_span s)
{
    if (!walk_has(s)) return;
    char room[512];
    struct bytes b = walk_bytes(&ask.walk, s, room, sizeof room);
    assert_non_null(b.ptr);
    say(" %s=%.*s", name, (int)b.len, b.ptr);
}

static void say_node(const char *name, struct node n)
{
    if (n.type != JSON_NONE) say_span(name, walk_all(n));
}

static bool ask_of(struct bytes body, size_t step, bool index)
{
    kit_pieces_free(&pieces);
    source = kit_pieces(&pieces, body, step);
    return ask_open(&ask, API_MESSAGES, &source, index ? &scratch : NULL);
}

static void say_part(const struct ask_part *part)
{
    static const char *const kinds[] = {"end", "turn", "text", "refusal", "image", "document",
        "audio", "video", "thinking", "call", "result", "result_end", "other"};
    static const char *const roles[] = {"system", "developer", "user", "model", "tool"};
    if (part->kind == ASK_TURN) {
        say("%s:", roles[part->role]);
    } else {
        say("%s%s", part->inside ? "  " : " ", kinds[part->kind]);
        say_span("is", part->text);
        say_span("id", part->id);
        say_span("name", part->name);
        say_node("args", part->arguments);
        say_span("sig", part->signature);
        if (part->maker != MAKER_NONE) say(" by=%u", part->maker);
        say_span("mime", part->mime);
        say_span("data", part->data);
        say_span("url", part->url);
        say_span("file", part->file);
        say_node("cache", part->cache);
        if (part->is_error) say(" error");
        if (part->kind == ASK_OTHER) say_node("raw", part->raw);
    }
    say("\n");
}

/* All parts, a line each; "wrong" where they are. */
static const char *conversation(void)
{
    struct ask_part part;
    said_len = 0;
    ask_rewind(&ask);
    do {
        if (!ask_next(&ask, &part)) return "wrong";
        if (part.kind != ASK_END) say_part(&part);
    } while (part.kind != ASK_END);
    return said_len > 0 ? said : "";
}

/* Read it in every way it may lie in memory, twice each. */
static void expect(const char *body, const char *parts)
{
    for (size_t step = 0; step < 9; step++) {
        for (int index = 0; index < 2; index++) {
            assert_true(ask_of(bytes_of(body), step, index));
            assert_string_equal(conversation(), parts);
            assert_string_equal(conversation(), parts);
        }
    }
}

static void test_a_turn_is_what_one_side_says(void **state)
{
    (void)state;
    expect("{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\","
           "\"content\":\"\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":"
           "\"a\\nb\",\"cache_control\":{\"type\":\"ephemeral\"}},{\"type\":\"text\",\"text\":"
           "\"\"}]}],\"system\":\"Be brief\"}",
           "system:\n text is=Be brief\nuser:\n text is=Hi\nmodel:\n"
           "user:\n text is=a\\nb cache={\"type\":\"ephemeral\"}\n");
    expect("{\"system\":[{\"type\":\"text\",\"text\":\"one\"},{\"type\":\"text\",\"text\":"
           "\"two\",\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1h\"}}],\"messages\":["
           "{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"system\",\"content\":\"now\","
           "\"output_config\":{\"effort\":\"low\"}},{\"role\":\"system\",\"content\":[{\"type\""
           ":\"text\",\"text\":\"then\"}]}]}",
           "system:\n text is=one\n text is=two cache={\"type\":\"ephemeral\",\"ttl\":\"1h\"}\n"
           "user:\n text is=Hi\nsystem:\n text is=now\nsystem:\n text is=then\n");
    expect("{\"system\":[],\"messages\":[]}", "");
}

static void test_results_are_a_turn_of_their_own(void **state)
{
    (void)state;
    expect("{\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":"
           "\"Look\"},{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"read\",\"input\":{\"p\":"
           "1}},{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"list\",\"input\":{}}]},"
           "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t2\","
           "\"content\":\"none\",\"is_error\":true},{\"type\":\"tool_result\",\"tool_use_id\":"
           "\"t1\",\"content\":[{\"type\":\"text\",\"text\":\"x\"},{\"type\":\"image\","
           "\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"iVBO\"}}],"
           "\"cache_control\":{\"type\":\"ephemeral\"}},{\"type\":\"tool_result\","
           "\"tool_use_id\":\"t3\"},{\"type\":\"text\",\"text\":\"go on\"}]}]}",
           "model:\n text is=Look\n call id=t1 name=read args={\"p\":1}\n"
           " call id=t2 name=list args={}\ntool:\n result id=t2 name=list error\n"
           "  text is=none\n result_end\n result id=t1 name=read cache={\"type\":\"ephemeral\"}"
           "\n  text is=x\n  image mime=image/png data=iVBO\n result_end\n result id=t3\n"
           " result_end\nuser:\n text is=go on\n");
}

static void test_thoughts_and_who_signed_them(void **state)
{
    (void)state;
    expect("{\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\","
           "\"thinking\":\"hm\",\"signature\":\"EqQB\"},{\"type\":\"redacted_thinking\","
           "\"data\":\"Emw\"},{\"type\":\"thinking\",\"thinking\":\"gpt\",\"signature\":"
           "\"WeirSgR0gAAA\"},{\"type\":\"thinking\",\"thinking\":\"deep\",\"signature\":"
           "\"WeirSgN0\"},{\"type\":\"thinking\",\"thinking\":\"bare\",\"signature\":\"\"}]}]}",
           "model:\n thinking is=hm sig=EqQB by=3\n thinking sig=Emw by=3\n"
           " thinking is=gpt sig=gAAA by=2\n thinking is=deep\n thinking is=bare\n");
}

/* Gemini's signature of a call stands in a block of thoughts before it. */
static void test_a_calls_signature_comes_back_to_it(void **state)
{
    (void)state;
    expect("{\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\","
           "\"thinking\":\"\",\"signature\":\"WeirSgG0c2ln\"},{\"type\":\"tool_use\",\"id\":"
           "\"a\",\"name\":\"f\",\"input\":{}},{\"type\":\"tool_use\",\"id\":\"b\",\"name\":"
           "\"f\",\"input\":{}},{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":"
           "\"WeirSgG0ZW5k\"}]},{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\","
           "\"id\":\"c\",\"name\":\"f\",\"input\":{}}]}]}",
           "model:\n call id=a name=f args={} sig=c2ln by=4\n call id=b name=f args={}\n"
           " thinking sig=ZW5k by=4\nmodel:\n call id=c name=f args={}\n");
    expect("{\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\","
           "\"thinking\":\"\",\"signature\":\"WeirSgG0c2ln\"},{\"type\":\"text\",\"text\":"
           "\"t\"},{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{}}]}]}",
           "model:\n thinking sig=c2ln by=4\n text is=t\n call id=a name=f args={}\n");
}

static void test_media_of_every_source(void **state)
{
    (void)state;
    expect("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"source\":{"
           "\"type\":\"url\",\"url\":\"https://x/y.png\"}},{\"type\":\"image\",\"source\":{"
           "\"type\":\"file\",\"file_id\":\"file_1\"}},{\"type\":\"document\",\"source\":{"
           "\"type\":\"base64\",\"media_type\":\"application/pdf\",\"data\":\"JVBE\"},"
           "\"title\":\"a.pdf\",\"context\":\"mine\"},{\"type\":\"document\",\"source\":{"
           "\"type\":\"text\",\"media_type\":\"text/plain\",\"data\":\"plain\"}},{\"type\":"
           "\"document\",\"source\":{\"type\":\"content\",\"content\":[{\"type\":\"text\","
           "\"text\":\"one\"},{\"type\":\"text\",\"text\":\"two\"}]}},{\"type\":\"document\","
           "\"source\":{\"type\":\"content\",\"content\":\"three\"}},{\"type\":"
           "\"search_result\",\"title\":\"T\",\"source\":\"S\",\"content\":[{\"type\":"
           "\"text\",\"text\":\"found\"}]}]}]}",
           "user:\n image url=https://x/y.png\n image file=file_1\n text is=mine\n"
           " document name=a.pdf mime=application/pdf data=JVBE\n"
           " document is=plain mime=text/plain\n text is=one\n text is=two\n text is=three\n"
           " text is=T\n text is=S\n text is=found\n");
    expect("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
           "\"tool_use_id\":\"t\",\"content\":[{\"type\":\"search_result\",\"title\":\"T\","
           "\"content\":[{\"type\":\"text\",\"text\":\"in\"}]},{\"type\":\"text\",\"text\":"
           "\"behind\"}]},{\"type\":\"text\",\"text\":\"out\"}]}]}",
           "tool:\n result id=t\n  text is=T\n  text is=in\n  text is=behind\n result_end\n"
           "user:\n text is=out\n");
}

static void test_what_only_anthropic_knows_stays_as_it_is(void **state)
{
    (void)state;
    expect("{\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"server_tool_use\","
           "\"id\":\"s\",\"name\":\"web_search\",\"input\":{}},{\"type\":\"compaction\","
           "\"content\":\"so far\"},{\"type\":\"fallback\",\"from\":{},\"to\":{}}]}]}",
           "model:\n other raw={\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":"
           "\"web_search\",\"input\":{}}\n text is=so far\n");
}

static void test_what_is_wrong_and_where(void **state)
{
    (void)state;
    static const struct { const char *body, *pointer; } cases[] = {
        {"{\"messages\":{}}", "/messages"},
        {"{}", "/messages"},
        {"{\"messages\":[],\"system\":7}", "/system"},
        {"{\"messages\":[],\"system\":[{\"type\":\"text\",\"text\":\"a\"},5]}", "/system/1"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},7]}", "/messages/1"},
        {"{\"messages\":[{\"role\":\"tool\",\"content\":\"a\"}]}", "/messages/0"},
        {"{\"messages\":[{\"role\":\"user\"}]}", "/messages/0"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"a\"}]}]}",
         "/messages/0/content/0"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
         "{\"type\":\"text\"}]}]}", "/messages/0/content/1"},
        {"{\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\","
         "\"name\":\"f\"}]}]}", "/messages/0/content/0"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\"}]}]}",
         "/messages/0/content/0"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
         "\"tool_use_id\":\"t\",\"content\":5}]}]}", "/messages/0/content/0"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\","
         "\"source\":{}}]}]}",
         "/messages/0/content/0"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t step = 0; step < 4; step++) {
            bool right = ask_of(bytes_of(cases[i].body), step, false);
            if (right) assert_string_equal(conversation(), "wrong");
            assert_string_equal(ask.pointer, cases[i].pointer);
            assert_int_not_equal(ask.error[0], '\0');
        }
    }
}

static void test_settings(void **state)
{
    (void)state;
    const struct bytes body = BYTES(
        "{\"max_tokens\":100,\"temperature\":0.5,\"top_p\":1,\"top_k\":4,\"stream\":true,"
        "\"stop_sequences\":[\"a\"],\"metadata\":{\"user_id\":\"u\"},\"service_tier\":\"auto\","
        "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2048,\"display\":\"omitted\"},"
        "\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\",\"disable_parallel_tool_use\":true},"
        "\"output_config\":{\"effort\":\"max\",\"format\":{\"type\":\"json_schema\","
        "\"schema\":{\"type\":\"object\"}}},\"messages\":[]}");
    const struct ask_settings *s = &ask.settings;
    assert_true(ask_of(body, 7, false));
    assert_int_equal(s->max_tokens, 100);
    assert_int_equal(s->budget, 2048);
    assert_int_equal(s->thinking, THINKING_ON);
    assert_int_equal(s->thoughts, 0);
    assert_int_equal(s->effort, API_EFFORT_XHIGH);
    assert_int_equal(s->format, API_FORMAT_SCHEMA);
    assert_int_equal(s->choice, API_CHOICE_NAMED);
    assert_int_equal(s->parallel, 0);
    assert_true(s->choice_said && s->stream);
    said_len = 0;
    say_node("t", s->temperature), say_node("p", s->top_p), say_node("k", s->top_k);
    say_node("stop", s->stop), say_node("user", s->user), say_node("tier", s->tier);
    say_node("schema", s->schema), say_span("choice", s->choice_name);
    assert_string_equal(said, " t=0.5 p=1 k=4 stop=[\"a\"] user=\"u\" tier=\"auto\""
                              " schema={\"type\":\"object\"} choice=f");
    assert_true(ask_of(BYTES("{\"messages\":[],\"stop_sequences\":[],\"thinking\":{\"type\":"
        "\"adaptive\",\"display\":\"summarized\"},\"output_format\":{\"type\":\"json_schema\","
        "\"schema\":{}},\"tool_choice\":{\"type\":\"any\"}}"), 0, true));
    assert_int_equal(s->thinking, THINKING_ADAPTIVE);
    assert_int_equal(s->thoughts, 1);
    assert_int_equal(s->effort, API_EFFORT_UNSET);
    assert_int_equal(s->format, API_FORMAT_SCHEMA);
    assert_int_equal(s->choice, API_CHOICE_REQUIRED);
    assert_int_equal(s->max_tokens, -1);
    assert_int_equal(s->stop.type, JSON_NONE);
    assert_true(ask_of(BYTES("{\"messages\":[],\"thinking\":{\"type\":\"disabled\"},"
                             "\"output_config\":{\"effort\":\"high\"}}"), 0, true));
    assert_int_equal(s->thinking, THINKING_OFF);
    assert_int_equal(s->effort, API_EFFORT_NONE);
    assert_true(ask_of(BYTES("{\"messages\":[],\"service_tier\":\"standard_only\"}"), 0, true));
    assert_int_equal(s->tier.type, JSON_NONE);
}

static void test_tools(void **state)
{
    (void)state;
    const struct bytes body = BYTES(
        "{\"messages\":[],\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":"
        "{\"type\":\"object\"},\"cache_control\":{\"type\":\"ephemeral\"},\"strict\":true},"
        "{\"type\":\"custom\",\"name\":\"g\",\"defer_loading\":true,\"input_schema\":{}},"
        "{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}]}");
    struct ask_tool tool;
    assert_true(ask_of(body, 5, false));
    for (int twice = 0; twice < 2; twice++) {
        said_len = 0;
        ask_tools(&ask);
        while (ask_tool(&ask, &tool)) {
            say("%u %d", tool.kind, tool.strict);
            say_span("n", tool.name), say_span("d", tool.description);
            say_node("s", tool.schema), say_node("c", tool.cache);
            say("\n");
        }
        assert_string_equal(said, "0 1 n=f d=d s={\"type\":\"object\"} "
            "c={\"type\":\"ephemeral\"}\n0 -1 n=g s={}\n2 -1 n=web_search\n");
    }
}

static void test_containers_are_anthropics_alone(void **state)
{
    (void)state;
    assert_true(ask_of(BYTES("{\"messages\":[],\"container\":\"c\"}"), 0, true));
    assert_true(ask.unsayable);
    assert_string_equal(ask.pointer, "/container");
    assert_true(ask_of(BYTES("{\"messages\":[],\"mcp_servers\":[{}]}"), 0, true));
    assert_true(ask.unsayable);
    assert_string_equal(ask.pointer, "/mcp_servers");
    assert_true(ask_of(BYTES("{\"messages\":[],\"container\":null,\"mcp_servers\":[]}"), 0,
                       true));
    assert_false(ask.unsayable);
}

/* A body that stays Anthropic's. */
static void expect_own(const char *body, struct ask_target t, const char *written)
{
    for (size_t step = 0; step < 6; step++) {
        struct kit_pen pen;
        assert_true(ask_of(bytes_of(body), step, false));
        kit_pen(&pen, PEN_NEED_MAX, &source);
        assert_int_equal(ask_write(&ask, &t, &pen.pen), ASK_WRITTEN);
        struct bytes out = kit_pen_text(&pen);
        assert_true(kit_is_json(out));
        assert_int_equal(out.len, strlen(written));
        assert_memory_equal(out.ptr, written, out.len);
        kit_pen_free(&pen);
    }
}

static void test_a_body_of_anthropics_stays_but_for_foreign_thoughts(void **state)
{
    (void)state;
    const char *body =
        "{\"model\":\"x\",\"unknown\":[1, 2],\"max_tokens\":900,\"stream\":false,"
        "\"temperature\":1,\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":"
        "\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"g\",\"signature\":"
        "\"WeirSgR0gAAA\"},{\"type\":\"thinking\",\"thinking\":\"c\",\"signature\":\"EqQB\"},"
        "{\"type\":\"redacted_thinking\",\"data\":\"WeirSgG0AA\"},{\"type\":\"text\",\"text\":"
        "\"t\",\"new\":1}],\"odd\":2},{\"role\":\"assistant\",\"content\":[{\"type\":"
        "\"thinking\",\"thinking\":\"\",\"signature\":\"WeirSgN0\"}]},{\"role\":\"user\","
        "\"content\":[{\"type\":\"text\",\"text\":\"b\"}]}]}";
    const char *messages =
        "\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\","
        "\"content\":[{\"type\":\"thinking\",\"thinking\":\"c\",\"signature\":\"EqQB\"},"
        "{\"type\":\"text\",\"text\":\"t\",\"new\":1}],\"odd\":2},{\"role\":\"user\","
        "\"content\":[{\"type\":\"text\",\"text\":\"b\"}]}]";
    char written[1024];
    snprintf(written, sizeof written, "{\"model\":\"claude\",\"unknown\":[1, 2],"
             "\"temperature\":1,%s,\"max_tokens\":900}", messages);
    expect_own(body, (struct ask_target){.api = API_MESSAGES, .model = BYTES("claude")},
               written);
    snprintf(written, sizeof written, "{\"unknown\":[1, 2],%s,\"max_tokens\":500,"
             "\"stream\":true}", messages);
    expect_own(body, (struct ask_target){.api = API_MESSAGES, .output_max = 500,
               .quirks = ASK_NO_SAMPLING, .stream = true}, written);
}

/* A limit of 0 asks for the prompt to be cached and no more: it is no limit that is missing. */
static void test_no_output_stays_no_output(void **state)
{
    (void)state;
    struct ask_target t = {.api = API_MESSAGES, .output_default = 4096};
    expect_own("{\"max_tokens\":0,\"messages\":[]}", t, "{\"messages\":[],\"max_tokens\":0}");
    expect_own("{\"messages\":[]}", t, "{\"messages\":[],\"max_tokens\":4096}");
}

static void test_a_tool_has_a_name(void **state)
{
    (void)state;
    static const struct { const char *tools; bool right; } cases[] = {
        {"{\"name\":\"f\"},{\"type\":\"custom\",\"name\":\"g\"}", true},
        {"{\"name\":\"f\"},{\"type\":\"web_search_20250305\"}", true},
        {"{\"name\":\"f\"},{\"input_schema\":{}}", false},
        {"{\"name\":\"f\"},{\"type\":\"custom\",\"name\":\"\"}", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[128];
        (void)snprintf(body, sizeof body, "{\"messages\":[],\"tools\":[%s]}", cases[i].tools);
        assert_int_equal(ask_of(bytes_of(body), 0, true), cases[i].right);
        if (!cases[i].right) assert_string_equal(ask.pointer, "/tools/1");
    }
    assert_false(ask_of(BYTES("{\"messages\":[],\"tool_choice\":{\"type\":\"tool\"}}"), 0,
                        true));
    assert_string_equal(ask.pointer, "/tool_choice");
}

/* A turn that another maker began is not thought about, nor has it thoughts to be cleared; the
 * user's next word begins another. */
static void test_a_turn_that_another_began_goes_on_without_thoughts(void **state)
{
    (void)state;
    static const char *const turn =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\","
        "\"content\":[%s{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}]},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t\"}]}%s]"
        "%s}";
    static const char *const thinking =
        ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024},"
        "\"context_management\":{\"edits\":[]}";
    static const char *const foreign =
        "{\"type\":\"thinking\",\"thinking\":\"g\",\"signature\":\"WeirSgR0gAAA\"},";
    static const char *const own =
        "{\"type\":\"thinking\",\"thinking\":\"c\",\"signature\":\"EqQB\"},";
    static const char *const more = ",{\"role\":\"user\",\"content\":\"b\"}";
    static const struct { const char *said, *then; bool thinks; } cases[] = {
        {foreign, "", false}, {own, "", true}, {foreign, more, true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[1024], written[1024];
        const char *stays = cases[i].said == own ? own : "";
        (void)snprintf(body, sizeof body, turn, cases[i].said, cases[i].then, thinking);
        (void)snprintf(written, sizeof written, turn, stays, cases[i].then,
                       cases[i].thinks ? thinking : "");
        expect_own(body, (struct ask_target){.api = API_MESSAGES}, written);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_turn_is_what_one_side_says),
        cmocka_unit_test(test_results_are_a_turn_of_their_own),
        cmocka_unit_test(test_thoughts_and_who_signed_them),
        cmocka_unit_test(test_a_calls_signature_comes_back_to_it),
        cmocka_unit_test(test_media_of_every_source),
        cmocka_unit_test(test_what_only_anthropic_knows_stays_as_it_is),
        cmocka_unit_test(test_what_is_wrong_and_where),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_tools),
        cmocka_unit_test(test_containers_are_anthropics_alone),
        cmocka_unit_test(test_a_body_of_anthropics_stays_but_for_foreign_thoughts),
        cmocka_unit_test(test_no_output_stays_no_output),
        cmocka_unit_test(test_a_tool_has_a_name),
        cmocka_unit_test(test_a_turn_that_another_began_goes_on_without_thoughts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
