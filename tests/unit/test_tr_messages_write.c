/* test_tr_messages_write.c - requests of other dialects as Anthropic's: what is written, what
 * is left out, what is refused. */
#include "net/translate/ask.h"
#include "tr_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct ask ask;                /* large: not for a stack */

static struct ask_target claude(uint64_t quirks)
{
    return (struct ask_target){.api = API_MESSAGES, .model = BYTES("c"), .thinks = true,
                               .output_default = 8192, .quirks = quirks};
}

/* Static text: the body, or "code pointer: sentence". */
static const char *written(enum api from, struct bytes body, size_t step,
                           struct ask_target t)
{
    static char text[8192];
    struct kit_pieces pieces;
    struct kit_pen pen;
    struct walk_source source = kit_pieces(&pieces, body, step);
    enum ask_rc rc = ASK_WRONG;
    kit_pen(&pen, PEN_NEED_MAX, &source);
    if (ask_open(&ask, from, &source, NULL)) rc = ask_write(&ask, &t, &pen.pen);
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

static void expect(enum api from, const char *body, struct ask_target t, const char *want)
{
    for (size_t step = 0; step < 10; step++) {
        assert_string_equal(written(from, bytes_of(body), step, t), want);
    }
}

/* A request of Responses with this input and these other members; what is written but for the
 * model in front. */
static void expect_input(const char *input, const char *more, uint64_t quirks,
                         const char *want)
{
    char body[4096], all[4096];
    (void)snprintf(body, sizeof body, "{\"model\":\"m\",\"input\":%s%s}", input, more);
    (void)snprintf(all, sizeof all, "{\"model\":\"c\",%s}", want);
    expect(API_RESPONSES, body, claude(quirks), all);
}

#define HI "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"," \
           "\"text\":\"hi\"}]}]"

static void test_the_system_prompt_stands_apart(void **state)
{
    (void)state;
    expect_input("[{\"role\":\"developer\",\"content\":\"two\"},{\"role\":\"user\",\"content\":"
                 "\"hi\"},{\"role\":\"system\",\"content\":\"three\"}]",
                 ",\"instructions\":\"one\"", 0,
                 "\"system\":[{\"type\":\"text\",\"text\":\"one\"},{\"type\":\"text\",\"text\":"
                 "\"two\"},{\"type\":\"text\",\"text\":\"three\"}]," HI ",\"max_tokens\":8192");
    /* Anthropic takes no conversation in which nobody speaks. */
    expect_input("[{\"role\":\"system\",\"content\":\"hi\"}]", "", 0,
                 HI ",\"max_tokens\":8192");
}

static void test_turns_are_merged_and_results_stand_first(void **state)
{
    (void)state;
    const char *want =
        "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
        "{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":\"assistant\",\"content\":[{\"type\":"
        "\"text\",\"text\":\"c\"},{\"type\":\"tool_use\",\"id\":\"call_1\",\"name\":\"f\","
        "\"input\":{\"k\":1}},{\"type\":\"tool_use\",\"id\":\"call_2\",\"name\":\"f\","
        "\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
        "\"tool_use_id\":\"call_2\",\"content\":[{\"type\":\"text\",\"text\":\"two\"}]},"
        "{\"type\":\"tool_result\",\"tool_use_id\":\"call_1\"},{\"type\":\"text\",\"text\":"
        "\"d\"},{\"type\":\"text\",\"text\":\"e\"}]}],\"tools\":[{\"name\":\"f\","
        "\"input_schema\":{\"type\":\"object\"}}],\"tool_choice\":{\"type\":\"none\"},"
        "\"max_tokens\":8192";
    const char *calls =
        "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\" \\n\"},"
        "{\"role\":\"user\",\"content\":\"b\"},{\"role\":\"assistant\",\"content\":\"c\"},"
        "{\"type\":\"function_call\",\"call_id\":\"call_1\",\"name\":\"f\",\"arguments\":"
        "\"{\\\"k\\\":1}\"},{\"type\":\"function_call\",\"call_id\":\"call_2\",\"name\":\"f\","
        "\"arguments\":\"\"},%s]";
    static const char *const orders[] = {
        "{\"type\":\"function_call_output\",\"call_id\":\"call_2\",\"output\":\"two\"},"
        "{\"type\":\"function_call_output\",\"call_id\":\"call_1\",\"output\":\"\"},"
        "{\"role\":\"user\",\"content\":\"d\"},{\"role\":\"user\",\"content\":\"e\"}",
        "{\"role\":\"user\",\"content\":\"d\"},"
        "{\"type\":\"function_call_output\",\"call_id\":\"call_2\",\"output\":\"two\"},"
        "{\"role\":\"user\",\"content\":\"e\"},"
        "{\"type\":\"function_call_output\",\"call_id\":\"call_1\",\"output\":\"\"}",
    };
    for (size_t i = 0; i < COUNT(orders); i++) {
        char input[2048];
        (void)snprintf(input, sizeof input, calls, orders[i]);
        expect_input(input, "", 0, want);
    }
}

/* Two turns of the user's are out of order, with one of the model's between. */
static void test_every_turn_is_put_in_order(void **state)
{
    (void)state;
    expect_input(
        "[{\"type\":\"function_call\",\"call_id\":\"a\",\"name\":\"f\",\"arguments\":\"\"},"
        "{\"role\":\"user\",\"content\":\"1\"},{\"role\":\"system\",\"content\":\"s\"},"
        "{\"type\":\"function_call_output\",\"call_id\":\"a\",\"output\":\"2\"},"
        "{\"type\":\"function_call\",\"call_id\":\"b\",\"name\":\"f\",\"arguments\":\"\"},"
        "{\"role\":\"user\",\"content\":\"3\"},"
        "{\"type\":\"function_call_output\",\"call_id\":\"b\",\"output\":\"4\"}]",
        ",\"tools\":[{\"type\":\"function\",\"name\":\"f\"}]", 0,
        "\"system\":[{\"type\":\"text\",\"text\":\"s\"}],\"messages\":[{\"role\":\"assistant\","
        "\"content\":[{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{}}]},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"a\","
        "\"content\":[{\"type\":\"text\",\"text\":\"2\"}]},{\"type\":\"text\",\"text\":\"1\"}]}"
        ",{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"b\",\"name\":"
        "\"f\",\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
        "\"tool_use_id\":\"b\",\"content\":[{\"type\":\"text\",\"text\":\"4\"}]},{\"type\":"
        "\"text\",\"text\":\"3\"}]}],\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":"
        "\"object\"}}],\"max_tokens\":8192");
}

#define REASONING(signature, id) \
    "{\"type\":\"reasoning\",\"id\":\"" id "\",\"summary\":[{\"type\":\"summary_text\"," \
    "\"text\":\"hm\"}],\"encrypted_content\":\"" signature "\"}"
#define LOOP(reasoning) \
    "[{\"role\":\"user\",\"content\":\"hi\"}," reasoning ",{\"type\":\"function_call\"," \
    "\"call_id\":\"a\",\"name\":\"f\",\"arguments\":\"\"},{\"type\":" \
    "\"function_call_output\",\"call_id\":\"a\",\"output\":\"1\"}]"
#define EFFORT ",\"tools\":[{\"type\":\"function\",\"name\":\"f\"}],\"reasoning\":{" \
               "\"effort\":\"low\"}"
#define LOOPED(thinking, rest) \
    "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}," \
    "{\"role\":\"assistant\",\"content\":[" thinking "{\"type\":\"tool_use\",\"id\":\"a\"," \
    "\"name\":\"f\",\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":" \
    "\"tool_result\",\"tool_use_id\":\"a\",\"content\":[{\"type\":\"text\",\"text\":\"1\"}" \
    "]}]}],\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}]," \
    "\"max_tokens\":8192" rest

/* Thoughts go back to their maker alone. Older models think on only where a loop of tools began
 * with signed thoughts. */
static void test_thoughts_go_to_their_maker(void **state)
{
    (void)state;
    expect_input(LOOP(REASONING("WeirSgM0EqQB", "rs_1")), EFFORT, 0,
                 LOOPED("{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"EqQB\"},",
                        ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":4096}"));
    expect_input(LOOP(REASONING("WeirSgM0redactedEmw", "rs_1")), EFFORT, 0,
                 LOOPED("{\"type\":\"redacted_thinking\",\"data\":\"Emw\"},",
                        ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":4096}"));
    expect_input(LOOP(REASONING("gAAA", "rs_1")), EFFORT, 0, LOOPED("", ""));
    expect_input(LOOP(REASONING("gAAA", "rs_1")), EFFORT, ASK_ADAPTIVE,
                 LOOPED("", ",\"thinking\":{\"type\":\"adaptive\"},"
                            "\"output_config\":{\"effort\":\"low\"}"));
    /* Nor where it does not think. */
    expect_input(LOOP(REASONING("WeirSgM0EqQB", "rs_1")),
                 ",\"tools\":[{\"type\":\"function\",\"name\":\"f\"}]", 0, LOOPED("", ""));
}

#define ASKED "[{\"role\":\"user\",\"content\":\"hi\"}]"

static void test_how_much_it_thinks(void **state)
{
    (void)state;
    expect_input(ASKED, ",\"reasoning\":{\"effort\":\"high\"},\"max_output_tokens\":4000", 0,
                 HI ",\"max_tokens\":4000,\"thinking\":{\"type\":\"enabled\","
                 "\"budget_tokens\":3000}");
    expect_input(ASKED, ",\"reasoning\":{\"effort\":\"high\"},\"max_output_tokens\":1024", 0,
                 HI ",\"max_tokens\":1024");
    expect_input(ASKED, ",\"reasoning\":{\"effort\":\"high\"},\"max_output_tokens\":1025", 0,
                 HI ",\"max_tokens\":1025,\"thinking\":{\"type\":\"enabled\","
                 "\"budget_tokens\":1024}");
    expect_input(ASKED, ",\"reasoning\":{\"effort\":\"none\"}", 0, HI ",\"max_tokens\":8192");
    expect_input(ASKED, ",\"reasoning\":{\"effort\":\"none\"}", ASK_ADAPTIVE,
                 HI ",\"max_tokens\":8192,\"thinking\":{\"type\":\"disabled\"}");
    expect_input(ASKED, ",\"reasoning\":{\"effort\":\"xhigh\",\"summary\":\"auto\"},"
                 "\"temperature\":0.1", ASK_ADAPTIVE, HI ",\"max_tokens\":8192,"
                 "\"thinking\":{\"type\":\"adaptive\",\"display\":\"summarized\"},"
                 "\"output_config\":{\"effort\":\"xhigh\"}");
    struct ask_target t = claude(ASK_ADAPTIVE);
    t.efforts = 1 << API_EFFORT_LOW | 1 << API_EFFORT_HIGH;
    t.effort = API_EFFORT_XHIGH;
    expect(API_RESPONSES, "{\"input\":" ASKED "}", t, "{\"model\":\"c\"," HI
           ",\"max_tokens\":8192,\"thinking\":{\"type\":\"adaptive\"},"
           "\"output_config\":{\"effort\":\"high\"}}");
    t.thinks = false;
    expect(API_RESPONSES, "{\"input\":" ASKED "}", t,
           "{\"model\":\"c\"," HI ",\"max_tokens\":8192}");
}

/* A forced tool, or an answer that is begun, and thoughts exclude each other. */
static void test_what_keeps_it_from_thinking(void **state)
{
    (void)state;
    const char *forced = ",\"reasoning\":{\"effort\":\"low\"},\"tools\":[{\"type\":"
                         "\"function\",\"name\":\"f\"}],\"tool_choice\":\"required\"";
    expect_input(ASKED, forced, 0, HI ",\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":"
                 "\"object\"}}],\"tool_choice\":{\"type\":\"any\"},\"max_tokens\":8192");
    expect_input(ASKED, forced, ASK_ADAPTIVE, HI ",\"tools\":[{\"name\":\"f\","
                 "\"input_schema\":{\"type\":\"object\"}}],\"tool_choice\":{\"type\":\"any\"},"
                 "\"max_tokens\":8192,\"output_config\":{\"effort\":\"low\"}");
    const char *begun = "[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\","
                        "\"content\":\"so\"}]";
    const char *messages =
        "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]},"
        "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"so\"}]}],"
        "\"max_tokens\":8192";
    expect_input(begun, ",\"reasoning\":{\"effort\":\"low\"}", 0, messages);
    expect(API_RESPONSES, "{\"input\":[{\"role\":\"assistant\",\"content\":\"so\"}]}",
           claude(ASK_NO_PREFILL),
           "1 /input: this model does not go on with an answer that is begun");
}

static void test_sampling(void **state)
{
    (void)state;
    expect_input(ASKED, ",\"temperature\":1.7,\"top_p\":0.5", 0,
                 HI ",\"max_tokens\":8192,\"temperature\":1");
    expect_input(ASKED, ",\"temperature\":0.25", 0,
                 HI ",\"max_tokens\":8192,\"temperature\":0.25");
    expect_input(ASKED, ",\"top_p\":0.5", 0, HI ",\"max_tokens\":8192,\"top_p\":0.5");
    expect_input(ASKED, ",\"temperature\":0.5", ASK_NO_SAMPLING, HI ",\"max_tokens\":8192");
    expect_input(ASKED, ",\"temperature\":0.5,\"reasoning\":{\"effort\":\"low\"}", 0,
                 HI ",\"max_tokens\":8192,\"thinking\":{\"type\":\"enabled\","
                 "\"budget_tokens\":4096}");
}

static void test_the_output_limit(void **state)
{
    (void)state;
    struct ask_target t = claude(0);
    t.output_max = 500;
    const char *want = "{\"model\":\"c\"," HI ",\"max_tokens\":500}";
    expect(API_RESPONSES, "{\"input\":" ASKED "}", t, want);
    expect(API_RESPONSES, "{\"input\":" ASKED ",\"max_output_tokens\":900}", t, want);
    t.output_default = t.output_max = 0;
    t.stream = true;
    t.model.len = 0;
    expect(API_RESPONSES, "{\"input\":" ASKED "}", t,
           "{" HI ",\"max_tokens\":4096,\"stream\":true}");
}

static void test_tools_of_every_kind(void **state)
{
    (void)state;
    expect_input(ASKED, ",\"parallel_tool_calls\":false,\"tools\":[{\"type\":\"web_search\"},"
        "{\"type\":\"function\",\"name\":\"f\",\"description\":\"d\",\"parameters\":{"
        "\"properties\":{\"a\":{}}},\"strict\":true},{\"type\":\"custom\",\"name\":\"p\","
        "\"description\":\"e\",\"format\":{\"type\":\"grammar\",\"syntax\":\"lark\","
        "\"definition\":\"start: \\\"x\\\"\"}}],\"tool_choice\":{\"type\":\"function\","
        "\"name\":\"f\"}", 0,
        HI ",\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":"
        "\"object\",\"properties\":{\"a\":{}}}},{\"name\":\"p\",\"description\":\"e\\n\\nThe "
        "input must follow this grammar:\\nstart: \\\"x\\\"\",\"input_schema\":{\"type\":"
        "\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},\"required\":[\"input\"],"
        "\"additionalProperties\":false}}],\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\","
        "\"disable_parallel_tool_use\":true},\"max_tokens\":8192");
    expect(API_GENERATE, "{\"contents\":[{\"parts\":[{\"text\":\"hi\"}]}],\"tools\":[{"
           "\"googleSearch\":{}}]}", claude(0),
           "1 /tools: the Anthropic dialect has no such tools");
}

static void test_answers_in_json(void **state)
{
    (void)state;
    const char *schema = ",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\","
        "\"schema\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\","
        "\"minimum\":1}}}}}";
    expect_input(ASKED, schema, 0, HI ",\"max_tokens\":8192,\"output_config\":{\"format\":{"
        "\"type\":\"json_schema\",\"schema\":{\"type\":\"object\",\"properties\":{\"a\":{"
        "\"type\":\"integer\"}},\"additionalProperties\":false}}}");
    expect_input(ASKED, schema, ASK_NO_SCHEMA, "\"system\":[{\"type\":\"text\",\"text\":"
        "\"Answer with one JSON value and nothing else: no words around it, no code fence. It "
        "must be valid against this JSON Schema:\\n{\\\"type\\\":\\\"object\\\","
        "\\\"properties\\\":{\\\"a\\\":{\\\"type\\\":\\\"integer\\\",\\\"minimum\\\":1}}}\"}],"
        HI ",\"max_tokens\":8192");
    expect_input(ASKED, ",\"instructions\":\"s\",\"text\":{\"format\":{\"type\":"
        "\"json_object\"}}", 0, "\"system\":[{\"type\":\"text\",\"text\":\"s\"},{\"type\":"
        "\"text\",\"text\":\"Answer with one JSON value and nothing else: no words around it, "
        "no code fence. It must be an object.\"}]," HI ",\"max_tokens\":8192");
}

static void expect_refused(const char *content, const char *sentence)
{
    char body[1024], want[512];
    (void)snprintf(body, sizeof body, "{\"input\":[{\"role\":\"user\",\"content\":\"a\"},"
                   "{\"role\":\"user\",\"content\":[%s]}]}", content);
    (void)snprintf(want, sizeof want, "1 /input/1: the Anthropic dialect has no way to say %s",
                   sentence);
    expect(API_RESPONSES, body, claude(0), want);
}

static void test_media(void **state)
{
    (void)state;
    expect_input("[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"image_url\":"
        "\"data:image/jpg;base64,/9j/\"},{\"type\":\"input_image\",\"image_url\":"
        "\"https://x/y\"},{\"type\":\"input_file\",\"filename\":\"a.pdf\",\"file_data\":"
        "\"data:application/pdf;base64,JVBERi0\"},{\"type\":\"input_file\",\"file_url\":"
        "\"https://x/z\"}]}]", "", 0,
        "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"source\":{"
        "\"type\":\"base64\",\"media_type\":\"image/jpeg\",\"data\":\"/9j/\"}},{\"type\":"
        "\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://x/y\"}},{\"type\":"
        "\"document\",\"source\":{\"type\":\"base64\",\"media_type\":\"application/pdf\","
        "\"data\":\"JVBERi0\"},\"title\":\"a.pdf\"},{\"type\":\"document\",\"source\":{"
        "\"type\":\"url\",\"url\":\"https://x/z\"}}]}],\"max_tokens\":8192");
    expect_input("[{\"role\":\"user\",\"content\":[{\"type\":\"input_file\",\"file_data\":"
        "\"data:text/markdown;base64,IyBHcsO8w59lICJ5b3UiCvCfmoA=\"}]}]", "", 0,
        "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"document\",\"source\":{"
        "\"type\":\"text\",\"media_type\":\"text/plain\",\"data\":"
        "\"# Gr\xC3\xBC\xC3\x9F" "e \\\"you\\\"\\n\xF0\x9F\x9A\x80\"}}]}],\"max_tokens\":8192");
    expect_refused("{\"type\":\"input_image\",\"file_id\":\"f\"}", "an image by file id");
    expect_refused("{\"type\":\"input_file\",\"file_id\":\"f\"}", "a document by file id");
    expect_refused("{\"type\":\"input_image\",\"image_url\":\"data:image/heic;base64,AAAA\"}",
                   "images but JPEG, PNG, GIF and WebP");
    expect_refused("{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AA\",\"format\":"
                   "\"wav\"}}", "audio");
}

/* Text in base64 that is longer than what is decoded together: no letter is cut. */
static void test_long_documents(void **state)
{
    (void)state;
    static char body[8192], want[8192];
    for (size_t shift = 0; shift < 3; shift++) {
        char text[1536] = "", data[2049];
        size_t n = shift;
        memset(text, 'x', shift);
        while (n + 4 <= 1500) memcpy(text + n, "\xF0\x9F\x9A\x80", 4), n += 4;
        while (n % 3 != 0) text[n++] = 'y';
        static const char letters[] =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for (size_t i = 0; i < n / 3; i++) {
            const unsigned char *t = (const unsigned char *)text + 3 * i;
            uint32_t bits = (uint32_t)t[0] << 16 | (uint32_t)t[1] << 8 | t[2];
            for (unsigned k = 0; k < 4; k++) {
                data[4 * i + k] = letters[bits >> (18 - 6 * k) & 63];
            }
        }
        data[n / 3 * 4] = '\0';
        (void)snprintf(body, sizeof body, "{\"contents\":[{\"parts\":[{\"inlineData\":{"
                       "\"mimeType\":\"text/plain\",\"data\":\"%s\"}}]}]}", data);
        (void)snprintf(want, sizeof want, "{\"model\":\"c\",\"messages\":[{\"role\":\"user\","
                       "\"content\":[{\"type\":\"document\",\"source\":{\"type\":\"text\","
                       "\"media_type\":\"text/plain\",\"data\":\"%s\"}}]}],"
                       "\"max_tokens\":8192}", text);
        expect(API_GENERATE, body, claude(0), want);
    }
}

static void test_what_is_refused(void **state)
{
    (void)state;
    expect(API_RESPONSES, "{\"input\":" ASKED ",\"store\":true}", claude(0),
           "1 /store: store: true is possible only where the provider speaks Responses");
    expect(API_GENERATE, "{\"contents\":[{\"parts\":[{\"text\":\"hi\"}]}],\"generationConfig\":"
           "{\"candidateCount\":2}}", claude(0), "1 /generationConfig/candidateCount: the "
           "Anthropic dialect has no way to ask for n > 1");
    expect(API_GENERATE, "{\"contents\":[{\"parts\":[{\"text\":\"hi\"}]}],\"generationConfig\":"
           "{\"stopSequences\":[\"a\",\"\\n\"]}}", claude(0),
           "1 /generationConfig/stopSequences: the Anthropic dialect has no way to stop at "
           "blanks alone");
    expect(API_RESPONSES, "{\"input\":[{\"type\":\"function_call\",\"call_id\":\"a\","
           "\"name\":\"f\",\"arguments\":\"{oops\"}]}", claude(0),
           "2 : the arguments of a tool call (message 0) are no JSON object");
}

/* Gemini's schemas, ids that it does not need, results that are objects; its budgets. */
static void test_from_gemini(void **state)
{
    (void)state;
    const char *body =
        "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],\"tools\":[{"
        "\"functionDeclarations\":[{\"name\":\"f\",\"parameters\":{\"type\":\"OBJECT\","
        "\"properties\":{\"a\":{\"type\":\"INTEGER\"}}}}]}],\"generationConfig\":{\"topK\":7,"
        "\"stopSequences\":[\"X\"],\"maxOutputTokens\":5000,\"thinkingConfig\":{"
        "\"thinkingBudget\":2000}}}";
    const char *head = "{\"model\":\"c\"," HI ",\"tools\":[{\"name\":\"f\",\"input_schema\":{"
        "\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}}}]";
    char want[1024];
    (void)snprintf(want, sizeof want, "%s,\"max_tokens\":5000,\"stop_sequences\":[\"X\"],"
                   "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}}", head);
    expect(API_GENERATE, body, claude(0), want);
    (void)snprintf(want, sizeof want, "%s,\"max_tokens\":5000,\"stop_sequences\":[\"X\"],"
                   "\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":"
                   "\"low\"}}",
                   head);
    expect(API_GENERATE, body, claude(ASK_ADAPTIVE), want);
    struct ask_target t = claude(0);
    t.api = API_COUNT_TOKENS;
    (void)snprintf(want, sizeof want, "%s,\"thinking\":{\"type\":\"enabled\","
                   "\"budget_tokens\":2000}}", head);
    expect(API_GENERATE_COUNT, body, t, want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_system_prompt_stands_apart),
        cmocka_unit_test(test_turns_are_merged_and_results_stand_first),
        cmocka_unit_test(test_every_turn_is_put_in_order),
        cmocka_unit_test(test_thoughts_go_to_their_maker),
        cmocka_unit_test(test_how_much_it_thinks),
        cmocka_unit_test(test_what_keeps_it_from_thinking),
        cmocka_unit_test(test_sampling),
        cmocka_unit_test(test_the_output_limit),
        cmocka_unit_test(test_tools_of_every_kind),
        cmocka_unit_test(test_answers_in_json),
        cmocka_unit_test(test_media),
        cmocka_unit_test(test_long_documents),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_from_gemini),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
