/* test_api_generate.c - Gemini's generateContent: answers and events, made up and recorded.
 * Source: Gemini API reference, GenerateContentResponse and UsageMetadata. */
#include "api_kit.h"
#include "net/sse.h"
#include "openai_tape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void test_usage(void **state)
{
    (void)state;
    static const struct { const char *usage, *want; } cases[] = {
        {"{\"promptTokenCount\":12,\"candidatesTokenCount\":7,\"totalTokenCount\":19}",
         "12 0 0 0 7 0 0 0 0"},
        {"{\"promptTokenCount\":12,\"candidatesTokenCount\":7,\"thoughtsTokenCount\":5,"
         "\"toolUsePromptTokenCount\":100,\"cachedContentTokenCount\":4}", "108 4 0 0 12 5 0 0"
         " 0"},
        {"{\"promptTokenCount\":12,\"thoughtsTokenCount\":5}", "12 0 0 0 5 5 0 0 0"},
        {"{\"promptTokenCount\":100,\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCou"
         "nt\":"
         "40},{\"tokenCount\":50,\"modality\":\"AUDIO\"},{\"modality\":\"IMAGE\",\"tokenCount"
         "\":10}"
         "],\"candidatesTokenCount\":9,\"candidatesTokensDetails\":[{\"modality\":\"AUDIO\","
         "\"tokenCount\":8}]}", "40 0 0 0 1 0 50 8 10"},
        /* of the 70 cached 30 were sound; a modality as a number, and in two parts */
        {"{\"promptTokenCount\":100,\"cachedContentTokenCount\":70,\"promptTokensDetails\":["
         "{\"modality\":4,\"tokenCount\":25},{\"modality\":\"AUDIO\",\"tokenCount\":25},"
         "{\"modality\":2,\"tokenCount\":3}],\"cacheTokensDetails\":[{\"modality\":\"AUDIO\","
         "\"tokenCount\":30},{\"modality\":\"TEXT\",\"tokenCount\":40}]}", "7 70 0 0 0 0 20 0 "
         "3"},
        /* nobody says what was cached: no more than is left can be sound */
        {"{\"promptTokenCount\":100,\"cachedContentTokenCount\":70,\"promptTokensDetails\":["
         "{\"modality\":\"AUDIO\",\"tokenCount\":90}]}", "0 70 0 0 0 0 30 0 0"},
        {"{\"candidatesTokenCount\":7,\"totalTokenCount\":19}", "12 0 0 0 7 0 0 0 0"},
        {"{\"candidatesTokenCount\":7,\"thoughtsTokenCount\":2}", "0 0 0 0 9 2 0 0 0 absurd"},
        {"null", "none"}, {"{}", "none"}, {"{\"trafficType\":\"ON_DEMAND\"}", "none"},
        {"{\"promptTokenCount\":-1,\"candidatesTokenCount\":7}", "0 0 0 0 7 0 0 0 0 absurd"},
        {"{\"promptTokenCount\":1.5,\"candidatesTokenCount\":7}", "1 0 0 0 7 0 0 0 0 absurd"},
        {"{\"promptTokenCount\":1,\"candidatesTokenCount\":2147483648,\"thoughtsTokenCount\":1"
         "}",
         "1 0 0 0 2147483648 1 0 0 0 absurd"},
        {"{\"promptTokenCount\":3,\"cachedContentTokenCount\":4}", "0 3 0 0 0 0 0 0 0 absurd"},
        {"{\"promptTokenCount\":3,\"promptTokensDetails\":[{\"modality\":\"AUDIO\",\"tokenCoun"
         "t\":"
         "4}]}", "0 0 0 0 0 0 3 0 0 absurd"},
        {"{\"promptTokenCount\":3,\"cacheTokensDetails\":[{\"modality\":\"IMAGE\",\"tokenCount"
         "\":"
         "1}]}", "3 0 0 0 0 0 0 0 0 absurd"},
        {"{\"promptTokenCount\":3,\"candidatesTokenCount\":1,\"candidatesTokensDetails\":["
         "{\"modality\":\"AUDIO\",\"tokenCount\":2}]}", "3 0 0 0 0 0 0 1 0 absurd"},
        {"{\"promptTokenCount\":3,\"promptTokensDetails\":[{\"modality\":\"AUDIO\",\"tokenCoun"
         "t\":"
         "\"1\"}]}", "3 0 0 0 0 0 0 0 0 absurd"},
        {"{\"promptTokenCount\":3,\"promptTokensDetails\":[7,[],{\"modality\":\"AUDIO\"},{}]}",
         "3 0 0 0 0 0 0 0 0"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[1024];
        int n = snprintf(body, sizeof body, "{\"candidates\":[{\"content\":{\"parts\":[{\"text"
        "\":"
                         "\"hello\"}]}}],\"usageMetadata\":%s}", cases[i].usage);
        const struct api_answer *a = kit_answer(API_GENERATE, (struct bytes){body, (size_t)n});
        assert_non_null(a);
        if (strcmp(kit_usage(&a->usage), cases[i].want) != 0) print_error("%s\n", body);
        assert_string_equal(kit_usage(&a->usage), cases[i].want);
        assert_int_equal(a->usage_at.end, 0);
        assert_int_equal(a->text_bytes, 5);
        assert_int_equal(a->choice_count, 1);
        struct api_stream s = {0};
        struct api_event ev;
        kit_event(API_GENERATE, body, &s, &ev);
        assert_string_equal(kit_usage(&ev.usage), cases[i].want);
    }
    const struct api_answer *count =
        kit_answer(API_GENERATE_COUNT, BYTES("{\"totalTokens\":31}"));
    assert_string_equal(kit_usage(&count->usage), "0 0 0 0 0 0 0 0 0 nothing");
}

#define PARTS(parts) "{\"candidates\":[{\"content\":{\"parts\":[" parts "]},\"index\":0}]}"

static void test_what_events_are(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        enum api_event_kind kind;
        unsigned text;
        bool says;
    } cases[] = {
        {PARTS("{\"text\":\"abc\"}"), API_EVENT_CONTENT, 3, true},
        {PARTS("{\"text\":\"\"}"), API_EVENT_META, 0, false},
        {PARTS("{\"text\":\"\",\"thoughtSignature\":\"abc\"}"), API_EVENT_META, 0, false},
        {PARTS("{\"text\":\"ab\",\"thought\":true}"), API_EVENT_CONTENT, 2, true},
        {PARTS("{\"functionCall\":{\"name\":\"f\",\"args\":{\"a\":\"b\"}}}"),
         API_EVENT_CONTENT, 9,
         true},
        {PARTS("{\"functionCall\":{\"name\":\"f\",\"args\":{}}}"), API_EVENT_CONTENT, 0, true},
        {PARTS("{\"inlineData\":{\"mimeType\":\"a/b\",\"data\":\"QUJD\"}}"),
         API_EVENT_CONTENT, 0,
         true},
        {PARTS("{\"executableCode\":{\"language\":\"PYTHON\",\"code\":\"abcd\"}}"),
         API_EVENT_CONTENT, 4, true},
        {PARTS("{\"codeExecutionResult\":{\"output\":\"7\"}}"), API_EVENT_CONTENT, 0, true},
        {"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"ab\"}]},\"finishReason\":\"STO"
         "P\"}]"
         "}", API_EVENT_FINISH, 2, true},
        {"{\"candidates\":[{\"finishReason\":\"STOP\"}]}", API_EVENT_FINISH, 0, false},
        {"{\"candidates\":[{\"finishReason\":\"\"}]}", API_EVENT_META, 0, false},
        {"{\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}", API_EVENT_FINISH, 0, false},
        {"{\"promptFeedback\":{\"safetyRatings\":[]}}", API_EVENT_META, 0, false},
        {"{\"error\":{\"code\":503,\"message\":\"m\",\"status\":\"UNAVAILABLE\"}}",
         API_EVENT_ERROR,
         0, false},
        {"[{\"error\":{\"code\":503,\"message\":\"m\"}}]", API_EVENT_ERROR, 0, false},
        {"{}", API_EVENT_META, 0, false}, {"[DONE]", API_EVENT_BAD, 0, false},
        {"{\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}", API_EVENT_META, 0, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct api_stream s = {0};
        struct api_event ev;
        kit_event(API_GENERATE, cases[i].data, &s, &ev);
        if (ev.kind != cases[i].kind) print_error("%s\n", cases[i].data);
        assert_int_equal(ev.kind, cases[i].kind);
        assert_int_equal(ev.text_bytes, cases[i].text);
        assert_int_equal(ev.has_content, cases[i].says);
        assert_int_equal(ev.has_finish, ev.kind == API_EVENT_FINISH);
        assert_int_equal(ev.error_status, ev.kind == API_EVENT_ERROR ? 503 : 0);
        assert_int_equal(ev.usage_at.key.end, 0);
    }
    const struct api_answer *a =
        kit_answer(API_GENERATE, BYTES("{\"candidates\":[{\"finishReason\":\"MAX_TOKENS\"},{}]"
        "}"));
    assert_true(a->finish_length);
    assert_int_equal(a->choice_count, 2);
}

/* ---- recordings ---- */

struct tally { size_t answers, streams, errors; };

static void check_counts(const struct api_usage *u, struct bytes usage)
{
    struct bytes found;
    assert_true(u->present);
    assert_int_equal(u->absurd, !tape_path(usage, "promptTokenCount", &found));
    uint32_t prompt = kit_number(usage, "promptTokenCount");
    uint32_t thoughts = kit_number(usage, "thoughtsTokenCount");
    assert_int_equal(u->input + u->cached + u->audio_input + u->image_input,
                     prompt + kit_number(usage, "toolUsePromptTokenCount"));
    assert_int_equal(u->cached, kit_number(usage, "cachedContentTokenCount"));
    assert_int_equal(u->output + u->audio_output,
                     kit_number(usage, "candidatesTokenCount") + thoughts);
    assert_int_equal(u->reasoning, thoughts);
    if (prompt == 0) return;
    assert_int_equal(u->input + u->cached + u->audio_input + u->image_input + u->output +
                         u->audio_output, kit_number(usage, "totalTokenCount"));
}

static void check_stream(struct bytes text, struct tally *tally)
{
    struct kit_stream s;
    struct sse sse = {0};
    struct sse_event event;
    struct bytes rest = text, usage = {0}, found;
    kit_stream(API_GENERATE, text, &s);
    assert_int_equal(s.bads, 0);
    assert_int_equal(s.finishes, 1);
    assert_int_equal(s.dones, 0);
    assert_int_equal(s.errors, 0);
    assert_true(s.contents > 0 || s.usage.output == s.usage.reasoning);
    while (sse_next(&sse, &rest, &event) == NET_OK) {
        if (tape_path(event.data, "usageMetadata", &found)) usage = found;
    }
    assert_true(usage.len > 0);
    check_counts(&s.usage, usage);
    tally->streams++;
}

static void check_recorded(const struct tape *tape, void *arg)
{
    struct tally *tally = arg;
    struct bytes found;
    if (tape->events.len > 0) check_stream(tape->events, tally);
    if (tape->answer.len == 0) return;
    const struct api_answer *a = kit_answer(API_GENERATE, tape->answer);
    assert_non_null(a);
    assert_int_equal(a->error, tape_path(tape->answer, "error", &found));
    tally->answers++;
    tally->errors += a->error;
    if (a->error) assert_true(a->error_status >= 400);
    if (tape_path(tape->answer, "usageMetadata", &found)) check_counts(&a->usage, found);
    else assert_false(a->usage.present);
}

static void test_recorded(void **state)
{
    (void)state;
    struct tally tally = {0};
    if (!tapes_each("gemini-generate", check_recorded, &tally)) skip();
    assert_true(tally.answers >= 55);
    assert_true(tally.streams >= 52);
    assert_true(tally.errors >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_what_events_are),
        cmocka_unit_test(test_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
