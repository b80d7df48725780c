/* test_tr_chat_ask.c - what is read of requests in OpenAI's chat form, wherever they are cut:
 * settings, conversation, tools; and what is refused. */
#include "net/translate/ask.h"
#include "tr_kit.h"
#include "tr_note.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct ask ask;       /* large: not for a stack */

/* The request says want, in one piece and in pieces of 1 to 7 bytes; and a second time. */
static void says(const char *body, const char *want)
{
    for (size_t step = 0; step < 8; step++) {
        struct kit_pieces pieces;
        struct note note = {0};
        struct walk_source source = kit_pieces(&pieces, bytes_of(body), step);
        if (ask_open(&ask, API_CHAT, &source, NULL)) {
            note_ask(&note, &ask);
            if (!ask.error[0]) {
                note_free(&note);
                note_ask(&note, &ask);
            }
        } else {
            note_add(&note, "wrong %s: %s\n", ask.pointer, ask.error);
        }
        note_is(&note, want);
        note_free(&note);
        kit_pieces_free(&pieces);
    }
}

#define M(messages) "{\"model\":\"m\",\"messages\":[" messages "]}"
#define S(settings) "{\"model\":\"m\",\"messages\":[]," settings "}"

static void test_messages(void **state)
{
    (void)state;
    static const struct { const char *body, *want; } cases[] = {
        {M(""), "set\n"},
        {M("{\"role\":\"system\",\"content\":\"be \\\"kind\\\"\"},"
           "{\"role\":\"developer\",\"content\":[{\"type\":\"text\",\"text\":\"brief\"}]},"
           "{\"role\":\"user\",\"name\":\"ann\",\"content\":\"hi\"}"),
         "set\nturn system\ntext text=\"be \\\"kind\\\"\"\n"
         "turn developer\ntext text=\"brief\"\n"
         "turn user name=ann\ntext text=\"hi\"\n"},
        /* What says nothing is no part; the turn is there all the same. */
        {M("{\"role\":\"user\",\"content\":\"\"},{\"role\":\"assistant\",\"content\":null},"
           "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"\"}]},"
           "{\"role\":\"user\",\"content\":[]}"),
         "set\nturn user\nturn model\nturn user\nturn user\n"},
        {M("{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"a\","
           "\"annotations\":[]},{\"type\":\"refusal\",\"refusal\":\"no\"}]},"
           "{\"role\":\"assistant\",\"content\":\"b\",\"refusal\":\"never\"}"),
         "set\nturn model\ntext text=\"a\"\nrefusal text=\"no\"\nturn model\ntext text=\"b\"\n"
         "refusal text=\"never\"\n"},
        {M("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
           "\"data:image/png;base64,QUJD\",\"detail\":\"low\"}},{\"type\":\"image_url\","
           "\"image_url\":\"https://h/x.png\"},{\"type\":\"input_audio\",\"input_audio\":{"
           "\"data\":\"UklG\",\"format\":\"wav\"}},{\"type\":\"video_url\",\"video_url\":{"
           "\"url\":\"https://h/v\"}}]}"),
         "set\nturn user\nimage mime=image/png data=QUJD detail=low\n"
         "image url=https://h/x.png\naudio mime=wav data=UklG\nvideo url=https://h/v\n"},
        {M("{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{\"filename\":"
        "\"a.pdf\","
           "\"file_data\":\"data:application/pdf;base64,JVBE\"}},{\"type\":\"file\",\"file\":{"
           "\"file_id\":\"file-1\"}},{\"type\":\"file\",\"file\":{\"file_data\":\"JVBE\"}},"
           "{\"type\":\"file\",\"file\":{\"file_data\":\"https://h/a.pdf\"}}]}"),
         "set\nturn user\ndocument name=a.pdf mime=application/pdf data=JVBE\n"
         "document file=file-1\ndocument data=JVBE\ndocument url=https://h/a.pdf\n"},
        {M("{\"role\":\"user\",\"content\":[{\"type\":\"odd\",\"x\":1}]}"),
         "set\nturn user\nother raw={\"type\":\"odd\",\"x\":1}\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) says(cases[i].body, cases[i].want);
}

static void test_calls_and_results(void **state)
{
    (void)state;
    /* Results that follow one another are one turn; the tool's name is the call's. */
    says(M("{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"c1\",\"type\":"
           "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}},"
           "{\"id\":\"c2\",\"type\":\"custom\",\"custom\":{\"name\":\"g\",\"input\":\"in\"}},"
           "{\"id\":\"c3\",\"function\":{\"name\":\"h\",\"arguments\":{\"b\":2}}}]},"
           "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"one\"},"
           "{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":[{\"type\":"
           "\"text\",\"text\":"
           "\"two\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"http://i\"}}]},"
           "{\"role\":\"tool\",\"tool_call_id\":\"c9\",\"name\":\"k\",\"content\":\"\"},"
           "{\"role\":\"user\",\"content\":\"go\"}"),
         "set\nturn model\ncall id=\"c1\" name=f args=\"{\\\"a\\\":1}\"\n"
         "call id=\"c2\" custom name=g args=\"in\"\ncall id=\"c3\" name=h args={\"b\":2}\n"
         "turn tool\nresult id=\"c1\" name=f\n  text text=\"one\"\nresult-end\n"
         "result id=\"c2\" name=g\n  text text=\"two\"\n  image url=http://i\nresult-end\n"
         "result id=\"c9\" name=k\nresult-end\nturn user\ntext text=\"go\"\n");
}

static void test_legacy_calls(void **state)
{
    (void)state;
    struct kit_pieces pieces;
    struct note note = {0};
    const char *body = M("{\"role\":\"assistant\",\"content\":null,\"function_call\":{\"name\":"
                         "\"f\",\"arguments\":\"{}\"}},{\"role\":\"function\",\"name\":\"f\","
                         "\"content\":\"r\"}");
    struct walk_source source = kit_pieces(&pieces, bytes_of(body), 0);
    struct ask_part call, part;
    assert_true(ask_open(&ask, API_CHAT, &source, NULL));
    ask_rewind(&ask);
    assert_true(ask_next(&ask, &part) && part.kind == ASK_TURN);
    assert_true(ask_next(&ask, &call) && call.kind == ASK_CALL);
    assert_true(ask_next(&ask, &part) && part.kind == ASK_TURN && part.role == ASK_TOOL);
    assert_true(ask_next(&ask, &part) && part.kind == ASK_RESULT);
    /* Neither has an id: they have one number. */
    assert_true(part.id.start == call.id.start && part.id.end == call.id.end);
    assert_true(walk_is(&ask.walk, part.name, BYTES("f")));
    note_free(&note);
    kit_pieces_free(&pieces);
}

static void test_thoughts(void **state)
{
    (void)state;
    char marked[512], want[512];
    static const struct { const char *body, *want; } cases[] = {
        {M("{\"role\":\"assistant\",\"reasoning_content\":\"hm\",\"content\":\"a\"},"
           "{\"role\":\"assistant\",\"reasoning\":\"so\",\"content\":\"b\"}"),
         "set\nturn model\nthinking text=\"hm\"\ntext text=\"a\"\nturn model\n"
         "thinking text=\"so\"\n"
         "text text=\"b\"\n"},
        /* Details say what the plain member says, and more: it is not told twice. */
        {M("{\"role\":\"assistant\",\"reasoning\":\"hm\",\"reasoning_details\":[{\"type\":"
           "\"reasoning.text\",\"text\":\"hm\",\"signature\":\"sig\"},{\"type\":"
           "\"reasoning.encrypted\",\"data\":\"enc\"},{\"type\":\"reasoning.summary\","
           "\"summary\":\"short\"}],\"content\":\"a\"}"),
         "set\nturn model\nthinking text=\"hm\" maker=chat sig=sig\n"
         "thinking maker=chat sig=enc\n"
         "thinking text=\"short\"\ntext text=\"a\"\n"},
        {M("{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":"
        "[{\"type\":"
           "\"text\",\"text\":\"x\"},{\"type\":\"text\",\"text\":\"y\"}]},{\"type\":\"text\","
           "\"text\":\"z\"}]}"),
         "set\nturn model\nthinking text=\"x\"\nthinking text=\"y\"\ntext text=\"z\"\n"},
        {M("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"f\","
           "\"arguments\":\"{}\"},\"extra_content\":{\"google\":{\"thought_signature\":"
           "\"gs\"}}}]}"),
         "set\nturn model\ncall id=\"c\" name=f args=\"{}\" maker=gemini sig=gs\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) says(cases[i].body, cases[i].want);
    for (enum ask_maker maker = MAKER_RESPONSES; maker < MAKERS; maker++) {
        static const char *const names[MAKERS] = {"none", "chat", "responses", "messages",
                                                  "gemini", "converse"};
        struct bytes mark = ask_mark(maker);
        (void)snprintf(marked, sizeof marked,
                       M("{\"role\":\"assistant\",\"reasoning_details\":[{\"type\":"
                         "\"reasoning.text\",\"text\":\"t\",\"signature\":\"%.*sSIG=\"}]}"),
                       (int)mark.len, mark.ptr);
        (void)snprintf(want, sizeof want,
                       "set\nturn model\nthinking text=\"t\" maker=%s sig=SIG=\n"
                       "", names[maker]);
        says(marked, want);
    }
}

/* opencode marks messages, others parts. A message's mark is its last part's. */
static void test_cache_marks(void **state)
{
    (void)state;
#define E "\"cache_control\":{\"type\":\"ephemeral\"}"
#define CACHE " cache={\"type\":\"ephemeral\"}"
    says(M("{\"role\":\"system\",\"content\":\"s\"," E "},"
           "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":"
           "\"text\",\"text\":\"b\"}]," E "},"
           "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"c\"," E "},{\"type\":"
           "\"text\",\"text\":\"d\"}]},"
           "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":"
           "\"1\",\"function\":"
           "{\"name\":\"f\"}},{\"id\":\"2\",\"function\":{\"name\":\"g\"}}]," E "},"
           "{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"r\"," E "}"),
         "set\nturn system\ntext text=\"s\"" CACHE
         "\nturn user\ntext text=\"a\"\ntext text=\"b\"" CACHE
         "\nturn user\ntext text=\"c\"" CACHE
         "\ntext text=\"d\"\nturn model\ncall id=\"1\" name=f\n"
         "call id=\"2\" name=g" CACHE "\nturn tool\nresult id=\"1\" name=f" CACHE
         "\n  text text=\"r\"\nresult-end\n");
}

static void test_settings(void **state)
{
    (void)state;
    static const struct { const char *body, *want; } cases[] = {
        {S("\"temperature\":0.5,\"top_p\":1,\"top_k\":3,\"seed\":7,\"presence_penalty\":0.1,"
           "\"frequency_penalty\":-1,\"logit_bias\":{\"1\":2},\"stop\":[\"a\",\"b\"],\"user\":"
           "\"u\",\"metadata\":{\"k\":\"v\"},\"service_tier\":\"flex\",\"prompt_cache_key\":"
           "\"p\",\"verbosity\":\"low\""),
         "set temperature=0.5 top_p=1 top_k=3 seed=7 presence=0.1 frequency=-1 bias={\"1\":2} "
         "stop=[\"a\",\"b\"] user=\"u\" metadata={\"k\":\"v\"} tier=\"flex\" cache_key=\"p\" "
         "verbosity=\"low\"\n"},
        {S("\"temperature\":null,\"max_tokens\":null,\"stop\":null,\"tools\":null,\"n\":null,"
           "\"user\":null,\"tool_choice\":null,\"response_format\":null"), "set\n"},
        {S("\"safety_identifier\":\"s\",\"random_seed\":1,\"max_tokens\":5"),
         "set seed=1 user=\"s\" max=5\n"},
        {S("\"max_tokens\":5,\"max_completion_tokens\":9,\"n\":2,\"logprobs\":true,"
           "\"top_logprobs\":0,\"parallel_tool_calls\":false,\"store\":true,\"stream\":true"),
         "set max=9 n=2 top_logprobs=0 parallel=0 stream=1 logprobs=1 store=1\n"},
        {S("\"reasoning_effort\":\"high\""), "set effort=5\n"},
        {S("\"reasoning_effort\":\"none\""), "set effort=1 thinking=1\n"},
        {S("\"reasoning\":{\"max_tokens\":2000,\"exclude\":true}"),
         "set budget=2000 thinking=2 thoughts=0\n"},
        {S("\"reasoning\":{\"effort\":\"xhigh\"}"), "set effort=6\n"},
        {S("\"thinking\":{\"type\":\"disabled\"}"), "set thinking=1\n"},
        {S("\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":9}"),
         "set budget=9 thinking=2\n"},
        {S("\"thinking\":{\"type\":\"adaptive\"}"), "set thinking=3\n"},
        {S("\"response_format\":{\"type\":\"text\"}"), "set\n"},
        {S("\"response_format\":{\"type\":\"json_object\"}"), "set format=1\n"},
        {S("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\","
           "\"description\":\"d\",\"strict\":true,\"schema\":{\"type\":\"object\"}}}"),
         "set schema={\"type\":\"object\"} format=2 strict=1 schema_name=a schema_text=d\n"},
        {S("\"tool_choice\":\"auto\""), "set said=1\n"},
        {S("\"tool_choice\":\"none\""), "set choice=1 said=1\n"},
        {S("\"tool_choice\":\"any\""), "set choice=2 said=1\n"},
        {S("\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}"),
         "set choice=3 said=1 choice_name=f\n"},
        {S("\"function_call\":{\"name\":\"f\"}"), "set choice=3 said=1 choice_name=f\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) says(cases[i].body, cases[i].want);
}

static void test_tools(void **state)
{
    (void)state;
#define TOOLS "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":" \
              "\"f\",\"description\":" \
              "\"d\",\"parameters\":{\"type\":\"object\"},\"strict\":true}},{\"type\":" \
              "\"custom\",\"custom\":{\"name\":\"g\",\"format\":{\"type\":" \
              "\"text\"}}},{\"type\":" \
              "\"web_search\"}]"
    says(S(TOOLS), "set\ntool function name=f about=d schema={\"type\":\"object\"} strict=1\n"
                   "tool custom name=g format={\"type\":\"text\"}\ntool hosted\n");
    says(S("\"functions\":[{\"name\":\"f\",\"parameters\":{}}]"),
         "set\ntool function name=f schema={}\n");
    says(S("\"web_search_options\":{}"), "set\ntool hosted\n");
    /* Tools that are not allowed are none. */
    says(S(TOOLS ",\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":"
           "\"required\",\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"g\"}}]}}"),
         "set choice=2 said=1\ntool custom name=g format={\"type\":\"text\"}\n");
}

static void test_what_is_refused(void **state)
{
    (void)state;
    static const struct { const char *body, *want; } cases[] = {
        {"{\"model\":\"m\"}", "wrong /messages: messages must be an array\n"},
        {S("\"temperature\":\"1\""), "wrong /temperature: temperature is of the wrong type\n"},
        {S("\"max_tokens\":0"), "wrong /max_tokens: max_tokens is too small\n"},
        {S("\"tools\":[{\"type\":\"x\"},{\"type\":\"function\",\"function\":{}}]"),
         "wrong /tools/1: a function must have a name\n"},
        {S("\"tools\":[{\"custom\":{\"name\":\"\"}}]"),
         "wrong /tools/0: a function must have a name\n"},
        {S("\"functions\":[{\"name\":\"f\"},{\"name\":1}]"),
         "wrong /functions/1: a function must have a name\n"},
        {S("\"n\":1.5"), "wrong /n: n must be an integer\n"},
        {S("\"tool_choice\":\"maybe\""),
         "wrong /tool_choice: tool_choice is neither a word nor a tool\n"},
        {S("\"response_format\":{}"), "wrong /response_format: response_format must have a "
                                      "type: text, json_object, json_schema\n"},
        {S("\"response_format\":{\"type\":\"json_schema\"}"),
         "wrong /response_format/json_schema/schema: schema must be an object\n"},
        {M("{\"role\":\"user\",\"content\":\"a\"},{\"content\":\"b\"}"),
         "set\nturn user\ntext text=\"a\"\n"
         "wrong /messages/1/role: role must be system, developer, "
         "user, assistant or tool\n"},
        {M("1"), "set\nwrong /messages/0/role: role must be system, developer, user, assistant "
                 "or tool\n"},
        {M("{\"role\":\"user\",\"content\":1}"),
         "set\nturn user\nwrong /messages/0/content: content must be a string or an array of "
         "parts\n"},
        {M("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":"
           "\"text\"}]}"),
         "set\nturn user\ntext text=\"a\"\n"
         "wrong /messages/0/content/1: text must be a string\n"},
        {M("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}"),
         "set\nturn user\nwrong /messages/0/content/0: url is missing\n"},
        {M("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"a\",\"function\":{}}]}"),
         "set\nturn model\nwrong /messages/0/tool_calls/0: a call must have a function with a "
         "name\n"},
        {M("{\"role\":\"tool\",\"content\":\"x\"}"),
         "set\nwrong /messages/0/tool_call_id: a tool message must have a tool_call_id\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) says(cases[i].body, cases[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages), cmocka_unit_test(test_calls_and_results),
        cmocka_unit_test(test_legacy_calls), cmocka_unit_test(test_thoughts),
        cmocka_unit_test(test_cache_marks), cmocka_unit_test(test_settings),
        cmocka_unit_test(test_tools), cmocka_unit_test(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
