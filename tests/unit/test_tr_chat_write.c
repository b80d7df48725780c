/* test_tr_chat_write.c - requests as OpenAI's chat completions, and as each imitator wants
 * them: what is written, what is left out, what is refused. */
#include "net/translate/ask.h"
#include "tr_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct ask ask;       /* large: not for a stack */

/* Static text: the body, or "code pointer: sentence". */
static const char *written(enum api from, const char *body, size_t step,
                           const struct ask_target *t)
{
    static char text[8192];
    struct kit_pieces pieces;
    struct kit_pen pen;
    struct walk_source source = kit_pieces(&pieces, bytes_of(body), step);
    enum ask_rc rc = ASK_WRONG;
    kit_pen(&pen, PEN_NEED_MAX, &source);
    if (ask_open(&ask, from, &source, NULL)) rc = ask_write(&ask, t, &pen.pen);
    struct bytes out = kit_pen_text(&pen);
    assert_true(out.len < sizeof text);
    if (rc == ASK_WRITTEN) {
        assert_true(kit_is_json(out));
        (void)snprintf(text, sizeof text, "%.*s", (int)out.len, out.ptr);
    } else {
        (void)snprintf(text, sizeof text, "%d %s: %s", rc, ask.pointer, ask.error);
    }
    kit_pen_free(&pen);
    kit_pieces_free(&pieces);
    return text;
}

/* The same wherever it is cut. want: what follows the model. */
static void expect(enum api from, const char *body, struct ask_target t, const char *want)
{
    char all[8192];
    bool refused = want[0] >= '0' && want[0] <= '9';
    (void)snprintf(all, sizeof all, refused ? "%s" : "{\"model\":\"m-1\",%s}", want);
    t.api = API_CHAT;
    t.model = BYTES("m-1");
    for (size_t step = 0; step < 6; step++) {
        assert_string_equal(written(from, body, step, &t), all);
    }
}

static struct ask_target quirks(uint64_t bits)
{
    return (struct ask_target){.quirks = bits, .thinks = true};
}

static const struct ask_target plain = {.thinks = true};
static const struct ask_target official = {.official = true, .thinks = true};

#define M(messages) "{\"model\":\"x\",\"messages\":[" messages "]}"
#define S(settings) "{\"model\":\"x\",\"messages\":[]," settings "}"
#define A(messages) "{\"model\":\"x\",\"max_tokens\":9,\"messages\":[" messages "]}"
#define OUT(messages) "\"messages\":[" messages "]"

static void test_texts(void **state)
{
    (void)state;
    const char *two = M("{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
                        "{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":\"developer\","
                        "\"content\":\"c\"},{\"role\":\"user\",\"name\":\"ann\",\"content\":"
                        "\"\"},"
                        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"d\"},"
                        "{\"type\":\"text\",\"text\":\"e\"}]}");
    expect(API_CHAT, two, official,
           OUT("{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":"
               "\"text\",\"text\":\"b\"}]},{\"role\":\"developer\",\"content\":\"c\"},"
               "{\"role\":\"user\",\"name\":\"ann\",\"content\":\"\"},{\"role\":\"user\","
               "\"content\":[{\"type\":\"text\",\"text\":\"d\"},{\"type\":\"text\",\"text\":"
               "\"e\"}]}"));
    expect(API_CHAT, two, quirks(ASK_PLAIN_TEXT | ASK_NO_NAME),
           OUT("{\"role\":\"system\",\"content\":\"a\\n\\nb\"},{\"role\":\"system\","
               "\"content\":\"c\"},{\"role\":\"user\",\"content\":\"\"},{\"role\":\"user\","
               "\"content\":[{\"type\":\"text\",\"text\":\"d\"},{\"type\":\"text\",\"text\":"
               "\"e\"}]}"));
    expect(API_CHAT, M("{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":"
                       "\"b\"},{\"role\":\"assistant\",\"content\":\"c\"},{\"role\":"
                       "\"assistant\","
                       "\"content\":\"d\"},{\"role\":\"system\",\"content\":\"e\"}"),
           quirks(ASK_ALTERNATE | ASK_PLAIN_TEXT),
           OUT("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":"
               "\"text\",\"text\":\"b\"}]},{\"role\":\"assistant\",\"content\":\"cd\"},{"
               "\"role\":"
               "\"user\",\"content\":\"e\"}"));
    expect(API_CHAT, M("{\"role\":\"assistant\",\"content\":\"a\",\"refusal\":\"no\"}"),
           official, OUT("{\"role\":\"assistant\",\"content\":\"a\",\"refusal\":\"no\"}"));
    expect(API_CHAT, M("{\"role\":\"assistant\",\"refusal\":\"no\"}"), plain,
           OUT("{\"role\":\"assistant\",\"content\":\"no\"}"));
}

static void test_marks(void **state)
{
    (void)state;
    const char *marked = A("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\","
                           "\"cache_control\":{\"type\":\"ephemeral\"}}]}");
    expect(API_MESSAGES, marked, plain,
           OUT("{\"role\":\"user\",\"content\":\"a\"}") ",\"max_tokens\":9");
    expect(API_MESSAGES, marked, quirks(ASK_CACHE_MARKS),
           OUT("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\","
               "\"cache_control\":{\"type\":\"ephemeral\"}}]}") ",\"max_tokens\":9");
}

/* A text behind calls stands in the same message, a result's image behind all results. */
static void test_calls(void **state)
{
    (void)state;
    const char *body = A(
        "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":"
        "\"tool_use\",\"id\":\"toolu_1\",\"name\":\"f\",\"input\":{\"q\":\"\\\"\"}},{\"type\":"
        "\"tool_use\",\"id\":\"toolu_2\",\"name\":\"g\",\"input\":{}},{\"type\":\"text\","
        "\"text\":\"b\"}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
        "\"tool_use_id\":\"toolu_1\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":"
        "\"base64\",\"media_type\":\"image/png\",\"data\":\"QUJD\"}},{\"type\":\"text\","
        "\"text\":\"r\"}]},{\"type\":\"tool_result\",\"tool_use_id\":\"toolu_2\",\"content\":"
        "\"s\"},{\"type\":\"text\",\"text\":\"go on\"}]}");
#define RESULTS(one, two) "{\"role\":\"tool\",\"tool_call_id\":\"" one "\",\"content\":" \
              "\"r\"}," \
    "{\"role\":\"tool\",\"tool_call_id\":\"" two "\",\"content\":\"s\"},{\"role\":\"user\"," \
    "\"content\":[{\"type\":\"text\",\"text\":\"This is what the tool calls above returned " \
    "besides text:\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64," \
    "QUJD\"}}]},{\"role\":\"user\",\"content\":\"go on\"}"
#define CALLS(one, two) "\"tool_calls\":[{\"id\":\"" one "\",\"type\":\"function\"," \
    "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"q\\\":\\\"\\\\\\\"\\\"}\"}},{\"id\":\"" \
    two "\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]"
    expect(API_MESSAGES, body, quirks(ASK_PLAIN_TEXT),
           OUT("{\"role\":\"assistant\"," CALLS("toolu_1", "toolu_2") ",\"content\":\"ab\"},"
               RESULTS("toolu_1", "toolu_2")) ",\"max_tokens\":9");
    /* Mistral's ids: one of nine letters each, the same in call and result. */
    struct ask_target mistral = quirks(ASK_ID_9 | ASK_PLAIN_TEXT);
    mistral.api = API_CHAT;
    const char *out = written(API_MESSAGES, body, 0, &mistral), *at = out;
    char id[2][10];
    for (unsigned i = 0; i < 2; i++) {
        at = strstr(at, "{\"id\":\"") + 7;
        assert_int_equal(strcspn(at, "\""), 9);
        (void)snprintf(id[i], sizeof id[i], "%.9s", at);
    }
    assert_string_not_equal(id[0], id[1]);
    for (unsigned i = 0; i < 2; i++) {
        char result[64];
        (void)snprintf(result, sizeof result, "\"tool_call_id\":\"%s\"", id[i]);
        assert_non_null(strstr(out, result));
    }
    /* Only calls: the content is null. */
    expect(API_CHAT, M("{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"c\","
                       "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},{\"role\":"
                       "\"tool\","
                       "\"tool_call_id\":\"c\",\"content\":null}"), plain,
           OUT("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\","
               "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}],\"content\":null},{"
               "\"role\":"
               "\"tool\",\"tool_call_id\":\"c\",\"content\":\"\"}"));
}

static void test_thoughts(void **state)
{
    (void)state;
    const char *body = A("{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\","
                         "\"thinking\":\"hm\",\"signature\":\"sig\"},{\"type\":\"text\","
                         "\"text\":\"a\"}]}");
    const char *without = OUT("{\"role\":\"assistant\",\"content\":\"a\"}") ",\"max_tokens\":9";
    expect(API_MESSAGES, body, plain, without);
    expect(API_MESSAGES, body, quirks(ASK_KEEP_THOUGHTS | ASK_NO_THOUGHTS), without);
    expect(API_MESSAGES, body, quirks(ASK_KEEP_THOUGHTS),
           OUT("{\"role\":\"assistant\",\"reasoning_content\":\"hm\",\"content\":\"a\"}")
           ",\"max_tokens\":9");
    struct ask_target brief = quirks(ASK_KEEP_THOUGHTS);
    brief.thoughts = THOUGHTS_REASONING;
    expect(API_MESSAGES, body, brief,
           OUT("{\"role\":\"assistant\",\"reasoning\":\"hm\",\"content\":\"a\"}")
           ",\"max_tokens\":9");
    /* With calls something must be there. */
    expect(API_CHAT, M("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\",\"function\":{"
                       "\"name\":\"f\",\"arguments\":\"{}\"}}]}"), quirks(ASK_KEEP_THOUGHTS),
           OUT("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\","
               "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}],\"reasoning_content\":"
               "\"\","
               "\"content\":null}"));
    /* OpenRouter's own go back as they came, others' never. */
    struct ask_target details = plain;
    details.thoughts = THOUGHTS_DETAILS;
    struct bytes mark = ask_mark(MAKER_MESSAGES);
    char mixed[1024];
    (void)snprintf(mixed, sizeof mixed,
                   M("{\"role\":\"assistant\",\"content\":\"a\",\"reasoning_details\":[{"
                     "\"type\":"
                     "\"reasoning.text\",\"text\":\"x\",\"signature\":\"own\",\"id\":1},"
                     "{\"type\":\"reasoning.text\",\"text\":\"y\",\"signature\":"
                     "\"%.*sSIG\"}]}"),
                   (int)mark.len, mark.ptr);
    expect(API_CHAT, mixed, details,
           OUT("{\"role\":\"assistant\",\"reasoning_details\":[{\"type\":\"reasoning.text\","
               "\"text\":\"x\",\"signature\":\"own\",\"id\":1}],\"content\":\"a\"}"));
    expect(API_CHAT, mixed, plain, OUT("{\"role\":\"assistant\",\"content\":\"a\"}"));
    /* A turn of nothing else is one for a provider who takes it back, and none otherwise. */
#define DETAILS "\"reasoning_details\":[{\"type\":\"reasoning.encrypted\",\"data\":\"D\"}]"
    const char *alone = M("{\"role\":\"assistant\"," DETAILS "}");
    expect(API_CHAT, alone, details,
           OUT("{\"role\":\"assistant\"," DETAILS ",\"content\":\"\"}"));
    expect(API_CHAT, alone, plain, OUT(""));
    /* Signed ones go back all, or none. */
    char many[2048] = "{\"messages\":[{\"role\":\"assistant\",\"content\":\"a\","
                      "\"reasoning_details\":[";
    for (int i = 0; i < 33; i++) {
        size_t at = strlen(many);
        (void)snprintf(many + at, sizeof many - at, "%s{\"data\":\"%d\"}", i ? "," : "", i);
    }
    size_t end = strlen(many);
    (void)snprintf(many + end, sizeof many - end, "]}]}");
    expect(API_CHAT, many, details, "1 /messages/0/content/0: the OpenAI chat dialect has no "
           "way to say so many signed thoughts in one turn");
    details.quirks = ASK_NO_THOUGHTS;
    expect(API_CHAT, many, details, OUT("{\"role\":\"assistant\",\"content\":\"a\"}"));
    expect(API_CHAT, alone, details, OUT(""));
}

/* Parts of the model's that nobody knows stay where they are in its content; what it has spoken
 * is beside that. */
static void test_what_only_chat_knows(void **state)
{
    (void)state;
#define ODD "{\"type\":\"reference\",\"reference_ids\":[1]}"
#define T1 "{\"type\":\"text\",\"text\":\"a\"}"
    expect(API_CHAT, M("{\"role\":\"assistant\",\"content\":[" T1 "," ODD "," T1 "]}"), plain,
           OUT("{\"role\":\"assistant\",\"content\":[" T1 "," ODD "," T1 "]}"));
    expect(API_CHAT, M("{\"role\":\"assistant\",\"content\":[" ODD "]}"), plain,
           OUT("{\"role\":\"assistant\",\"content\":[" ODD "]}"));
    expect(API_CHAT, M("{\"role\":\"assistant\",\"content\":[" ODD "]}"),
           quirks(ASK_PLAIN_TEXT), "1 /messages/0/content/1: the OpenAI chat dialect has no "
           "way to say this part where text alone is taken");
    expect(API_CHAT, M("{\"role\":\"assistant\",\"audio\":{\"id\":\"s\"},\"content\":[" ODD
                       "]}"), plain,
           OUT("{\"role\":\"assistant\",\"audio\":{\"id\":\"s\"},\"content\":[" ODD "]}"));
    /* Two turns that must be one would have two. */
    expect(API_CHAT, M("{\"role\":\"assistant\",\"audio\":{\"id\":\"s\"}},"
                       "{\"role\":\"assistant\",\"audio\":{\"id\":\"t\"}}"),
           quirks(ASK_ALTERNATE), "1 /messages/1/content/0: the OpenAI chat dialect has no way "
           "to say this behind calls, or audio");
}

static void test_signed_calls(void **state)
{
    (void)state;
    const char *body = M("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\",\"function\":{"
                         "\"name\":\"f\",\"arguments\":\"{}\"},\"extra_content\":{\"google\":{"
                         "\"thought_signature\":\"gs\"}}}]}");
#define CALL "{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\"," \
             "\"arguments\":\"{}\"}"
    expect(API_CHAT, body, plain, OUT("{\"role\":\"assistant\",\"tool_calls\":[" CALL "}],"
                                      "\"content\":null}"));
    expect(API_CHAT, body, quirks(ASK_SIGNED_CALLS),
           OUT("{\"role\":\"assistant\",\"tool_calls\":[" CALL ",\"extra_content\":{"
                                                               "\"google\":{"
               "\"thought_signature\":\"gs\"}}}],\"content\":null}"));
}

static void test_media(void **state)
{
    (void)state;
    expect(API_CHAT, M("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{"
                       "\"url\":\"https://h/i\",\"detail\":\"high\"}},{\"type\":"
                       "\"input_audio\","
                       "\"input_audio\":{\"data\":\"AA\",\"format\":\"mp3\"}},{\"type\":"
                       "\"file\","
                       "\"file\":{\"file_id\":\"f-1\"}}]}"), official,
           OUT("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
               "\"https://h/i\",\"detail\":\"high\"}},{\"type\":\"input_audio\","
               "\"input_audio\":{"
               "\"data\":\"AA\",\"format\":\"mp3\"}},{\"type\":\"file\",\"file\":{\"file_id\":"
               "\"f-1\"}}]}"));
    expect(API_MESSAGES, A("{\"role\":\"user\",\"content\":[{\"type\":\"document\",\"title\":"
                           "\"t.pdf\",\"source\":{\"type\":\"base64\",\"media_type\":"
                           "\"application/pdf\",\"data\":\"JVBE\"}},{\"type\":\"document\","
                           "\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\","
                           "\"data\":\"words\"}}]}"), plain,
           OUT("{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{\"filename\":"
               "\"t.pdf\",\"file_data\":\"data:application/pdf;base64,JVBE\"}},{\"type\":"
               "\"text\",\"text\":\"words\"}]}") ",\"max_tokens\":9");
    expect(API_GENERATE, "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"inlineData\":{"
                         "\"mimeType\":\"audio/mpeg\",\"data\":\"AA\"}}]}]}", plain,
           OUT("{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_audio\":{"
               "\"data\":\"AA\",\"format\":\"mp3\"}}]}"));
    expect(API_RESPONSES, "{\"model\":\"x\",\"input\":[{\"role\":\"user\",\"content\":[{"
                          "\"type\":"
                          "\"input_image\",\"file_id\":\"f\"}]}]}", plain,
           "1 /input/0/content/0: the OpenAI chat dialect has no way to say an image by the id "
           "of a file");
}

static void test_tools(void **state)
{
    (void)state;
    const char *tools = S("\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\","
                          "\"description\":\"d\",\"parameters\":{\"type\":\"object\"},"
                          "\"strict\":"
                          "true}},{\"type\":\"function\",\"function\":{\"name\":\"g\"}}],"
                          "\"tool_choice\":\"required\",\"parallel_tool_calls\":false");
#define EMPTY "{\"type\":\"object\",\"properties\":{}}"
#define F(strict) "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\"," \
                  "\"parameters\":{\"type\":\"object\"}" strict "}}"
#define G "{\"type\":\"function\",\"function\":{\"name\":\"g\",\"parameters\":" EMPTY "}}"
    expect(API_CHAT, tools, official,
           OUT("") ",\"tools\":[" F(",\"strict\":true") "," G "],\"parallel_tool_calls\":false,"
           "\"tool_choice\":\"required\"");
    expect(API_CHAT, tools, quirks(ASK_NO_STRICT | ASK_NO_PARALLEL | ASK_CHOICE_ANY),
           OUT("") ",\"tools\":[" F("") "," G "],\"tool_choice\":\"any\"");
#define C "{\"type\":\"custom\",\"custom\":{\"name\":\"c\"}}"
#define CHOSEN(name) "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":" name "}}"
    expect(API_CHAT, S("\"tools\":[" C "," G "],\"tool_choice\":" C), official,
           OUT("") ",\"tools\":[" C "," G "],\"tool_choice\":" C);
    expect(API_CHAT, S("\"tools\":[" C "," G "]," CHOSEN("\"g\"")), official,
           OUT("") ",\"tools\":[" C "," G "]," CHOSEN("\"g\""));
    /* Whoever knows functions alone is given one, and asked for one. */
#define NAMED "{\"type\":\"custom\",\"name\":\"c\"}"
    const char *custom = "{\"input\":[],\"tools\":[" NAMED "],\"tool_choice\":" NAMED "}";
    expect(API_RESPONSES, custom, official,
           OUT("") ",\"tools\":[" C "],\"tool_choice\":" C);
    expect(API_RESPONSES, custom, plain,
           OUT("") ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"c\","
           "\"parameters\":{\"type\":\"object\",\"properties\":{\"input\":{\"type\":"
           "\"string\"}},\"required\":[\"input\"],\"additionalProperties\":false}}}],"
           CHOSEN("\"c\""));
    /* Hosted tools: left out beside functions, refused alone. */
#define SEARCH "{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}"
#define T(tools) "{\"model\":\"x\",\"max_tokens\":9,\"messages\":[],\"tools\":[" tools "]}"
    expect(API_MESSAGES, T(SEARCH ",{\"name\":\"f\",\"description\":\"d\",\"input_schema\":"
                           "{\"type\":\"object\"}}"), plain,
           OUT("") ",\"tools\":[" F("") "],\"max_tokens\":9");
    expect(API_MESSAGES, T(SEARCH), plain,
           "1 /tools: the OpenAI chat dialect of this provider has no way to ask for a tool "
           "that the provider runs itself");
    expect(API_CHAT, S("\"web_search_options\":{\"user_location\":null}"), plain,
           OUT("") ",\"web_search_options\":{\"user_location\":null}");
    /* Whatever it looks like, it is one of the list, or it is none. */
#define OPTIONS ",\"web_search_options\":{\"type\":\"x\"}"
    expect(API_CHAT, S("\"tools\":[{\"plugin\":1}," G "]" OPTIONS), plain,
           OUT("") ",\"tools\":[{\"plugin\":1}," G "]" OPTIONS);
    expect(API_GENERATE, "{\"contents\":[],\"tools\":[{\"functionDeclarations\":[{\"name\":"
                         "\"f\","
                         "\"parameters\":{\"type\":\"OBJECT\"}}]}]}", plain,
           OUT("") ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\","
           "\"parameters\":{\"type\":\"object\"}}}]");
}

static void test_settings(void **state)
{
    (void)state;
    static const struct { const char *in; struct ask_target t; const char *out; } cases[] = {
        {"\"max_tokens\":50", {.output_max = 40}, ",\"max_tokens\":40"},
        {"\"max_tokens\":50", {.quirks = ASK_COMPLETION_TOKENS},
         ",\"max_completion_tokens\":50"},
        {"\"max_completion_tokens\":50", {0}, ",\"max_tokens\":50"},
        {"\"temperature\":1.5,\"top_p\":0.5,\"top_k\":4", {0},
         ",\"temperature\":1.5,\"top_p\":0.5"},
        {"\"temperature\":1.5,\"top_k\":4", {.quirks = ASK_TOP_K | ASK_COOL},
         ",\"temperature\":1,\"top_k\":4"},
        {"\"temperature\":1.00", {.quirks = ASK_COOL}, ",\"temperature\":1.00"},
        {"\"temperature\":10", {.quirks = ASK_COOL}, ",\"temperature\":1"},
        {"\"temperature\":0.9", {.quirks = ASK_COOL}, ",\"temperature\":0.9"},
        {"\"temperature\":1,\"top_p\":1,\"top_k\":1", {.quirks = ASK_NO_SAMPLING | ASK_TOP_K},
         ""},
        {"\"presence_penalty\":1,\"frequency_penalty\":2,\"seed\":3,\"logit_bias\":{}", {0},
         ",\"presence_penalty\":1,\"frequency_penalty\":2,\"seed\":3,\"logit_bias\":{}"},
        {"\"presence_penalty\":1,\"frequency_penalty\":2,\"seed\":3,\"logit_bias\":{}",
         {.quirks = ASK_NO_PENALTIES | ASK_RANDOM_SEED | ASK_NO_LOGPROBS},
         ",\"random_seed\":3"},
        {"\"stop\":[]", {.quirks = ASK_NO_STOP}, ""},
        {"\"stop\":\"a\"", {0}, ",\"stop\":\"a\""},
        {"\"n\":1", {0}, ""}, {"\"n\":3", {0}, ",\"n\":3"},
        {"\"logprobs\":true,\"top_logprobs\":2", {0}, ",\"logprobs\":true,\"top_logprobs\":2"},
        {"\"response_format\":{\"type\":\"json_object\"}", {0},
         ",\"response_format\":{\"type\":\"json_object\"}"},
        {"\"reasoning_effort\":\"low\"", {.efforts = 1 << API_EFFORT_HIGH},
         ",\"reasoning_effort\":\"high\""},
        {"\"reasoning_effort\":\"low\"", {0}, ",\"reasoning_effort\":\"low\""},
        {"\"reasoning_effort\":\"low\"", {.effort = API_EFFORT_HIGH, .official = true,
                                          .thinks = true}, ",\"reasoning_effort\":\"high\""},
        {"\"reasoning_effort\":\"low\"", {.quirks = ASK_NO_EFFORT, .thinks = true}, ""},
        {"\"reasoning_effort\":\"none\"", {.quirks = ASK_THINK_OBJECT},
         ",\"thinking\":{\"type\":\"disabled\"}"},
        {"\"thinking\":{\"type\":\"enabled\"}", {.quirks = ASK_THINK_OBJECT | ASK_NO_EFFORT},
         ",\"thinking\":{\"type\":\"enabled\"}"},
        {"\"reasoning\":{\"max_tokens\":900}", {.quirks = ASK_THINK_SWITCH},
         ",\"enable_thinking\":true,\"thinking_budget\":900"},
        {"\"user\":\"u\",\"metadata\":{},\"store\":true,\"prompt_cache_key\":\"k\","
         "\"service_tier\":\"flex\",\"verbosity\":\"low\"", {0},
         ",\"user\":\"u\",\"metadata\":{},\"store\":true,\"prompt_cache_key\":\"k\","
         "\"service_tier\":\"flex\",\"verbosity\":\"low\""},
        {"\"user\":\"u\",\"metadata\":{},\"store\":true,\"prompt_cache_key\":\"k\","
         "\"service_tier\":\"flex\"", {.quirks = ASK_NO_USER | ASK_NO_TIER}, ""},
        {"\"stream\":true", {.stream = true},
         ",\"stream\":true,\"stream_options\":{\"include_usage\":true}"},
        {"\"stream\":true", {.stream = true, .quirks = ASK_NO_OPTIONS}, ",\"stream\":true"},
        {"\"modalities\":[\"text\",\"audio\"],\"audio\":{\"voice\":\"a\"}", {0},
         ",\"modalities\":[\"text\",\"audio\"],\"audio\":{\"voice\":\"a\"}"},
        {"\"prediction\":{\"type\":\"content\",\"content\":\"x\"},\"unknown\":1", {0}, ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[1024], want[1024];
        (void)snprintf(body, sizeof body, S("%s"), cases[i].in);
        (void)snprintf(want, sizeof want, OUT("") "%s", cases[i].out);
        expect(API_CHAT, body, cases[i].t, want);
    }
}

/* What only some take is not written where another dialect's client asked. */
static void test_settings_of_others(void **state)
{
    (void)state;
#define CLAUDE(more) "{\"model\":\"x\",\"max_tokens\":9,\"messages\":[]," more "}"
    const char *body = CLAUDE("\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":30000},"
                              "\"metadata\":{\"user_id\":\"u\"},\"service_tier\":\"auto\","
                              "\"stop_sequences\":[\"x\"],\"top_k\":3");
    expect(API_MESSAGES, body, quirks(ASK_NO_EFFORT),
           OUT("") ",\"max_tokens\":9,\"stop\":[\"x\"]");
    expect(API_MESSAGES, body, plain,
           OUT("") ",\"max_tokens\":9,\"stop\":[\"x\"],\"reasoning_effort\":\"high\"");
    expect(API_MESSAGES, body, (struct ask_target){0},
           OUT("") ",\"max_tokens\":9,\"stop\":[\"x\"]");
    expect(API_MESSAGES, body, official,
           OUT("") ",\"max_tokens\":9,\"stop\":[\"x\"],\"reasoning_effort\":\"high\","
           "\"user\":\"u\"");
    expect(API_MESSAGES, CLAUDE("\"thinking\":{\"type\":\"disabled\"}"),
           quirks(ASK_THINK_OBJECT),
           OUT("") ",\"max_tokens\":9,\"thinking\":{\"type\":\"disabled\"}");
    expect(API_MESSAGES, CLAUDE("\"thinking\":{\"type\":\"adaptive\"}"), official,
           OUT("") ",\"max_tokens\":9");
}

static void test_schemas(void **state)
{
    (void)state;
    const char *body = S("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{"
                         "\"name\":\"n\",\"strict\":true,\"schema\":{\"type\":\"object\"}}}");
    expect(API_CHAT, body, plain,
           OUT("") ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":"
           "\"n\",\"schema\":{\"type\":\"object\"},\"strict\":true}}");
    expect(API_CHAT, body, quirks(ASK_NO_SCHEMA),
           OUT("{\"role\":\"system\",\"content\":\"Answer with one JSON value and nothing "
               "else. "
               "It must be valid by this JSON Schema:\\n{\\\"type\\\":\\\"object\\\"}\"}")
           ",\"response_format\":{\"type\":\"json_object\"}");
    expect(API_GENERATE, "{\"contents\":[],\"generationConfig\":{\"responseMimeType\":"
                         "\"application/json\",\"responseSchema\":{\"type\":"
                         "\"STRING\"}}}", plain,
           OUT("") ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":"
           "\"answer\",\"schema\":{\"type\":\"string\"}}}");
}

static void test_what_cannot_be_said(void **state)
{
    (void)state;
    expect(API_CHAT, S("\"stop\":\"a\""), quirks(ASK_NO_STOP),
           "1 /stop: the OpenAI chat dialect of this provider has no way to ask for stop "
           "sequences");
    expect(API_CHAT, S("\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\"]"), official,
           "1 /stop: the OpenAI chat dialect of this provider has no way to ask for more "
           "than 4 "
           "stop sequences");
    expect(API_CHAT, S("\"logprobs\":true"), quirks(ASK_NO_LOGPROBS),
           "1 /logprobs: the OpenAI chat dialect of this provider has no way to ask for "
           "logprobs");
    const char *prefill = M("{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\","
                            "\"content\":\"b\"}");
    expect(API_CHAT, prefill, plain,
           OUT("{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":"
               "\"b\"}"));
    expect(API_CHAT, prefill, quirks(ASK_NO_PREFILL),
           "1 /messages/1/content/0: the OpenAI chat dialect has no way to say that the last "
           "turn is the model's");
}

/* So many texts around calls that they cannot be noted: written on where no call is, refused
 * where one is. */
static void test_many_texts(void **state)
{
    (void)state;
    char body[16384] = "", *at = body;
    size_t room = sizeof body;
    for (unsigned calls = 0; calls < 2; calls++) {
        at = body;
        at += snprintf(at, room, "{\"model\":\"x\",\"max_tokens\":9,\"messages\":[{\"role\":"
                       "\"assistant\",\"content\":[");
        if (calls) at += snprintf(at, room, "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":"
                                            "\"f\","
                                  "\"input\":{}},");
        for (unsigned i = 0; i < 100; i++) {
            at += snprintf(at, room - (size_t)(at - body), "%s{\"type\":\"text\",\"text\":"
                                                           "\"%u\"}",
                           i ? "," : "", i);
        }
        (void)snprintf(at, room - (size_t)(at - body), "]}]}");
        struct ask_target t = {.api = API_CHAT};
        const char *out = written(API_MESSAGES, body, 0, &t);
        if (calls) assert_string_equal(out, "1 /messages/0/content/65: the OpenAI chat dialect "
                                            "has no way to say so many texts around calls");
        else assert_non_null(strstr(out, "\"text\":\"99\"}]}"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts), cmocka_unit_test(test_marks),
        cmocka_unit_test(test_calls), cmocka_unit_test(test_thoughts),
        cmocka_unit_test(test_signed_calls), cmocka_unit_test(test_media),
        cmocka_unit_test(test_tools), cmocka_unit_test(test_settings),
        cmocka_unit_test(test_settings_of_others), cmocka_unit_test(test_schemas),
        cmocka_unit_test(test_what_cannot_be_said), cmocka_unit_test(test_many_texts),
        cmocka_unit_test(test_what_only_chat_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
