/* test_tr_gemini_write.c - requests of other dialects,
    and Gemini's own with foreign signatures,
 * as they are written for Gemini: the same text wherever the body is cut. */
#include "net/translate/ask.h"
#include "tr_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct result { enum ask_rc rc; char text[4096]; };

static void write_one(struct result *r, enum api from, const char *body, size_t step,
                      const struct ask_target *t)
{
    static struct ask a;     /* large */
    struct kit_pieces pieces;
    struct walk_source source = kit_pieces(&pieces, bytes_of(body), step);
    struct kit_pen k;
    kit_pen(&k, 0, NULL);
    r->rc = ASK_WRONG;
    if (ask_open(&a, from, &source, NULL)) r->rc = ask_write(&a, t, &k.pen);
    struct bytes out = kit_pen_text(&k);
    if (r->rc != ASK_WRITTEN) {
        snprintf(r->text, sizeof r->text, "%s: %s", a.pointer, a.error);
    } else {
        assert_true(kit_is_json(out));
        snprintf(r->text, sizeof r->text, "%.*s", (int)out.len, out.ptr);
    }
    kit_pen_free(&k);
    kit_pieces_free(&pieces);
}

static void check(enum api from, const char *body, const struct ask_target *t, enum ask_rc rc,
                  const char *want)
{
    struct result r;
    for (size_t step = 0; step < 30; step++) {
        write_one(&r, from, body, step, t);
        if (r.rc == rc && strcmp(r.text, want) == 0) continue;
        fprintf(stderr, "step %zu %s\n-- got %d\n%s\n-- want\n%s\n", step, body, (int)r.rc,
                r.text, want);
        fail();
    }
}

static struct ask_target target(uint64_t quirks)
{
    return (struct ask_target){.api = API_GENERATE, .model = BYTES("gemini-x"),
                               .quirks = quirks, .thinks = true};
}

#define DUMMY ",\"thoughtSignature\":\"skip_thought_signature_validator\""
#define MESSAGES(list) "{\"max_tokens\":9,\"messages\":[" list "]}"
#define REST ",\"generationConfig\":{\"maxOutputTokens\":9}}"

static const struct { const char *body, *want; uint64_t quirks; } messages[] = {
    /* The system's turns in front; a later one stays where it is. */
    {"{\"max_tokens\":9,\"system\":[{\"type\":\"text\",\"text\":\"A\"},{\"type\":\"text\","
     "\"text\":\"B\"}],\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"system"
     "\","
     "\"content\":\"C\"},{\"role\":\"assistant\",\"content\":\"y\"},{\"role\":\"user\","
     "\"content\":\"z\"}]}",
     "{\"systemInstruction\":{\"parts\":[{\"text\":\"A\"},{\"text\":\"B\"}]},\"contents\":["
     "{\"role\":\"user\",\"parts\":[{\"text\":\"x\"},{\"text\":\"C\"}]},{\"role\":\"model\","
     "\"parts\":[{\"text\":\"y\"}]},{\"role\":\"user\",\"parts\":[{\"text\":\"z\"}]}]" REST, 0},
    /* Thoughts of Gemini's with their signature, which stands at the call; others' go. */
    {MESSAGES("{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":["
              "{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"WeirSgG0SIG\"},"
              "{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{\"k\":1}},"
              "{\"type\":\"tool_use\",\"id\":\"b\",\"name\":\"g\",\"input\":{}}]},"
              "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"b\","
              "\"content\":[{\"type\":\"text\",\"text\":\"one\"},{\"type\":\"text\",\"text\":"
              "\"two\"}]},{\"type\":\"tool_result\",\"tool_use_id\":\"a\",\"is_error\":true,"
              "\"content\":\"{}\"},{\"type\":\"text\",\"text\":\"go on\"}]},"
              "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"own"
              "\","
              "\"signature\":\"theirs\"},{\"type\":\"tool_use\",\"id\":\"c\",\"name\":\"f\","
              "\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
              "\"tool_use_id\":\"c\",\"content\":\"{\\\"n\\\": [1]}\"}]}"),
     "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"x\"}]},{\"role\":\"model\","
     "\"parts\":[{\"text\":\"hm\",\"thought\":true},{\"functionCall\":{\"id\":\"a\",\"name\":"
     "\"f\",\"args\":{\"k\":1}},\"thoughtSignature\":\"SIG\"},{\"functionCall\":{\"id\":\"b\","
     "\"name\":\"g\",\"args\":{}}}]},{\"role\":\"user\",\"parts\":[{\"functionResponse\":{"
     "\"id\":\"b\",\"name\":\"g\",\"response\":{\"output\":\"one\\ntwo\"}}},{"
     "\"functionResponse\":{\"id\":\"a\",\"name\":\"f\",\"response\":{\"error\":\"{}\"}}},"
     "{\"text\":\"go on\"}]},{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"id\":\"c\","
     "\"name\":\"f\",\"args\":{}}" DUMMY "}]},{\"role\":\"user\",\"parts\":[{"
     "\"functionResponse\":{\"id\":\"c\",\"name\":\"f\",\"response\":{\"n\": [1]}}}]}]" REST,
     ASK_SIGNED_CALLS},
    /* A signature that no part follows; without the quirk none is made up. */
    {MESSAGES("{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":["
              "{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{}},"
              "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"WeirSgG0SIG\"}]},"
              "{\"role\":\"user\",\"content\":\"y\"}"),
     "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"x\"}]},{\"role\":\"model\","
     "\"parts\":[{\"functionCall\":{\"id\":\"a\",\"name\":\"f\",\"args\":{}}},{\"text\":\"\","
     "\"thoughtSignature\":\"SIG\"}]},{\"role\":\"user\",\"parts\":[{\"text\":\"y\"}]}]" REST,
         0},
    /* Images in results: parts of their own, or inside. */
    {MESSAGES("{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"a\","
              "\"name\":\"f\",\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":"
              "\"tool_result\",\"tool_use_id\":\"a\",\"content\":[{\"type\":\"image\",\"source"
              "\":"
              "{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"AA==\"}},{\"type\":"
              "\"text\",\"text\":\"see\"}]}]}"),
     "{\"contents\":[{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"id\":\"a\",\"name\":"
     "\"f\",\"args\":{}}}]},{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"id\":\"a\","
     "\"name\":\"f\",\"response\":{\"output\":\"see\"}}},{\"inlineData\":{\"mimeType\":"
     "\"image/png\",\"data\":\"AA==\"}}]}]" REST, 0},
    {MESSAGES("{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"a\","
              "\"name\":\"f\",\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":"
              "\"tool_result\",\"tool_use_id\":\"a\",\"content\":[{\"type\":\"image\",\"source"
              "\":"
              "{\"type\":\"url\",\"url\":\"https://a/b.webp\"}}]}]}"),
     "{\"contents\":[{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"id\":\"a\",\"name\":"
     "\"f\",\"args\":{}}" DUMMY "}]},{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"id"
     "\":"
     "\"a\",\"name\":\"f\",\"response\":{\"output\":\"\"},\"parts\":[{\"fileData\":{\"mimeType"
     "\":"
     "\"image/webp\",\"fileUri\":\"https://a/b.webp\"}}]}}]}]" REST, ASK_SIGNED_CALLS},
    {"{\"max_tokens\":9,\"system\":\"only\",\"messages\":[]}",
     "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"only\"}]}]" REST, 0},
    /* Tools, a choice, thinking. */
    {"{\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"temperature\":0"
     ".5,"
     "\"stop_sequences\":[\"s\"],\"tools\":[{\"name\":\"f\",\"description\":\"F\","
     "\"input_schema\":{\"type\":\"object\",\"$schema\":\"s\"}},{\"name\":\"g\",\"input_schema"
     "\":"
     "{}},{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}],\"tool_choice\":{\"type"
     "\":"
     "\"tool\",\"name\":\"g\"},\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":99999}}",
     "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"x\"}]}],\"tools\":[{"
     "\"functionDeclarations\":[{\"name\":\"f\",\"description\":\"F\",\"parametersJsonSchema\":"
     "{\"type\":\"object\",\"$schema\":\"s\"}},{\"name\":\"g\"}]}],\"toolConfig\":{"
     "\"functionCallingConfig\":{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"g\"]}},"
     "\"generationConfig\":{\"temperature\":0.5,\"maxOutputTokens\":9,\"stopSequences\":[\"s\""
     "],"
     "\"thinkingConfig\":{\"thinkingBudget\":24576,\"includeThoughts\":true}}}", 0},
    {"{\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"temperature\":0"
     ".5,"
     "\"thinking\":{\"type\":\"disabled\"}}",
     "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"x\"}]}],\"generationConfig\":{"
     "\"maxOutputTokens\":9,\"thinkingConfig\":{\"thinkingLevel\":\"LOW\"}}}",
     ASK_SIGNED_CALLS | ASK_NO_SAMPLING},
};

static void test_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(messages); i++) {
        struct ask_target t = target(messages[i].quirks);
        check(API_MESSAGES, messages[i].body, &t, ASK_WRITTEN, messages[i].want);
    }
    struct ask_target t = target(ASK_NO_PREFILL);
    check(API_MESSAGES, MESSAGES("{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant"
        "\","
                                 "\"content\":\"y\"}"), &t, ASK_UNSAYABLE,
          "/messages/1: the Gemini dialect has no way to say how an answer of this model is to "
          "begin");
    check(API_MESSAGES, "{\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}"
        "],"
          "\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}]}", &t,
          ASK_UNSAYABLE, "/tools: the Gemini dialect has no way to offer a tool that runs at "
          "another provider");
    check(API_MESSAGES, MESSAGES("{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"source"
        "\":{"
                                 "\"type\":\"file\",\"file_id\":\"f1\"}}]}"), &t, ASK_UNSAYABLE,
          "/messages/0: the Gemini dialect has no way to say a file by an id that only its "
          "provider knows");
}

static void test_responses(void **state)
{
    (void)state;
    struct ask_target t = target(ASK_SIGNED_CALLS);
    t.output_max = 100;
    t.effort = API_EFFORT_XHIGH;
    check(API_RESPONSES, "{\"instructions\":\"I\",\"input\":[{\"role\":\"user\",\"content\":[{"
          "\"type\":\"input_image\",\"image_url\":\"data:image/png;base64,AA==\"}]},{\"type\":"
          "\"reasoning\",\"id\":\"r\",\"summary\":[],\"encrypted_content\":\"WeirSgG0SIG\"},"
          "{\"type\":\"function_call\",\"call_id\":\"a\",\"name\":\"f\",\"arguments\":"
          "\"{\\\"k\\\": \\\"\\\\u00e9\\\"}\"},{\"type\":\"function_call_output\",\"call_id\":"
          "\"a\",\"output\":\"done\"}],\"max_output_tokens\":500,\"seed\":4294967297,\"text\":{"
          "\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":{\"type\":\"object\""
          "}}}"
          ",\"tools\":[{\"type\":\"namespace\",\"name\":\"ns\",\"tools\":[{\"type\":\"function"
          "\","
          "\"name\":\"f\",\"parameters\":null}]},{\"type\":\"custom\",\"name\":\"c\"}]}", &t,
          ASK_WRITTEN,
          "{\"systemInstruction\":{\"parts\":[{\"text\":\"I\"}]},\"contents\":[{\"role\":\"use"
          "r\","
          "\"parts\":[{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"AA==\"}}]},{\"rol"
          "e\":"
          "\"model\",\"parts\":[{\"functionCall\":{\"id\":\"a\",\"name\":\"f\",\"args\":{\"k\""
          ": "
          "\"\\u00e9\"}},\"thoughtSignature\":\"SIG\"}]},{\"role\":\"user\",\"parts\":[{"
          "\"functionResponse\":{\"id\":\"a\",\"name\":\"f\",\"response\":{\"output\":\"done\""
          "}}}]"
          "}],\"tools\":[{\"functionDeclarations\":[{\"name\":\"ns__f\"},{\"name\":\"c\","
          "\"parametersJsonSchema\":{\"type\":\"object\",\"properties\":{\"input\":{\"type\":"
          "\"string\"}},\"required\":[\"input\"],\"additionalProperties\":false}}]}],"
          "\"generationConfig\":{\"maxOutputTokens\":100,\"responseMimeType\":"
          "\"application/json\",\"responseJsonSchema\":{\"type\":\"object\"},\"thinkingConfig"
          "\":{"
          "\"thinkingLevel\":\"HIGH\",\"includeThoughts\":true}}}");
}

/* Chat: efforts by level, as the model takes them; texts that are parts; a result in chat's
 * role of its own. */
static void test_chat(void **state)
{
    (void)state;
    struct ask_target t = target(ASK_SIGNED_CALLS);
    static const char body[] = "{\"messages\":[{\"role\":\"developer\",\"content\":\"D\"},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"},{\"type\":"
        "\"input_audio\",\"input_audio\":{\"data\":\"AA\",\"format\":\"mp3\"}}]},{\"role\":"
        "\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"a\",\"type\":\"function\","
        "\"function\":{\"name\":\"f\",\"arguments\":\"\"},\"extra_content\":{\"google\":{"
        "\"thought_signature\":\"WeirSgG0SIG\"}}}]},{\"role\":\"tool\",\"tool_call_id\":\"a\","
        "\"content\":\"[1]\"}],\"reasoning_effort\":\"minimal\",\"n\":2,\"stop\":\"s\","
        "\"seed\":-1,\"presence_penalty\":1,\"logit_bias\":{},\"user\":\"u\"}";
    char want[1024];
    for (unsigned minimal = 0; minimal < 2; minimal++) {
        t.efforts = minimal ? 1u << API_EFFORT_MINIMAL | 1u << API_EFFORT_LOW : 0;
        snprintf(want, sizeof want, "{\"systemInstruction\":{\"parts\":[{\"text\":\"D\"}]},"
                 "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"x\"},{\"inlineData\":"
                 "{\"mimeType\":\"audio/mp3\",\"data\":\"AA\"}}]},{\"role\":\"model\",\"parts"
                 "\":"
                 "[{\"functionCall\":{\"id\":\"a\",\"name\":\"f\",\"args\":{}},"
                 "\"thoughtSignature\":\"SIG\"}]},{\"role\":\"user\",\"parts\":[{"
                 "\"functionResponse\":{\"id\":\"a\",\"name\":\"f\",\"response\":{\"output\":"
                 "\"[1]\"}}}]}],\"generationConfig\":{\"candidateCount\":2,\"stopSequences\":["
                 "\"s\"],\"seed\":2147483647,\"presencePenalty\":1,\"thinkingConfig\":{"
                 "\"thinkingLevel\":\"%s\",\"includeThoughts\":true}}}",
                 minimal ? "MINIMAL" : "LOW");
        check(API_CHAT, body, &t, ASK_WRITTEN, want);
    }
}

/* Gemini's own: all stays but what is foreign. */
static void test_own(void **state)
{
    (void)state;
    struct ask_target t = target(ASK_SIGNED_CALLS);
    static const char body[] =
        "{\"contents\":[{\"role\":\"model\",\"parts\":[{\"text\":\"t\",\"thought\":true,"
        "\"thoughtSignature\":\"WeirSgM0x\"},{\"functionCall\":{\"name\":\"f\"},"
        "\"thoughtSignature\":\"WeirSgR0y\"},{\"functionCall\":{\"name\":\"g\"},"
        "\"thoughtSignature\":\"own\"}]},{\"parts\":[{\"text\":\"\",\"thoughtSignature\":"
        "\"WeirSgR0z\"}]},{\"parts\":[{\"text\":\"v\",\"videoMetadata\":{}}]}],\"model\":\"m\","
        "\"generation_config\":{\"maxOutputTokens\":50,\"speechConfig\":{\"x\":1}},"
        "\"cachedContent\":\"c\",\"tools\":[{\"googleSearch\":{}}]}";
#define COPIED \
        "\"contents\":[{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"f\"}" \
        DUMMY \
        "},{\"functionCall\":{\"name\":\"g\"},\"thoughtSignature\":\"own\"}]},{\"parts\":[" \
        "{\"text\":\"v\",\"videoMetadata\":{}}]}],\"cachedContent\":\"c\",\"tools\":[" \
        "{\"googleSearch\":{}}]"
    check(API_GENERATE, body, &t, ASK_WRITTEN, "{" COPIED
          ",\"generationConfig\":{\"speechConfig\":{\"x\":1},\"maxOutputTokens\":50}}");
    t.output_max = 20;
    t.effort = API_EFFORT_LOW;
    check(API_GENERATE, body, &t, ASK_WRITTEN, "{" COPIED
          ",\"generationConfig\":{\"speechConfig\":{\"x\":1},\"maxOutputTokens\":20,"
          "\"thinkingConfig\":{\"thinkingLevel\":\"LOW\"}}}");
}

static void test_counts(void **state)
{
    (void)state;
    struct ask_target t = target(0);
    static const char body[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],"
                               "\"system\":\"s\",\"tools\":[]}";
#define COUNTED "\"systemInstruction\":{\"parts\":[{\"text\":\"s\"}]},\"contents\":[{" \
                "\"role\":\"user\",\"parts\":[{\"text\":\"x\"}]}]"
    t.api = API_GENERATE_COUNT;
    check(API_COUNT_TOKENS, body, &t, ASK_WRITTEN,
          "{\"generateContentRequest\":{\"model\":\"models/gemini-x\"," COUNTED "}}");
    t.quirks = ASK_COUNT_FLAT;
    check(API_COUNT_TOKENS, body, &t, ASK_WRITTEN, "{" COUNTED "}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_chat),
        cmocka_unit_test(test_own),
        cmocka_unit_test(test_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
