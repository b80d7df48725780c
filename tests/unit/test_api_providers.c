/* test_api_providers.c - answers that only providers give: Bedrock's Converse and Cohere's v2
 * chat, made up and recorded. Sources: Amazon Bedrock API reference, Converse and
 * ConverseStream; Cohere API reference, v2 chat. */
#include "api_kit.h"
#include "net/eventstream.h"
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
    static const struct { enum api api; const char *usage, *want; } cases[] = {
        {API_CONVERSE, "{\"inputTokens\":8,\"outputTokens\":10,\"totalTokens\":18}",
         "8 0 0 0 10 0 0 0 0"},
        {API_CONVERSE, "{\"inputTokens\":8,\"outputTokens\":10,\"totalTokens\":123,"
         "\"cacheReadInputTokens\":100,\"cacheWriteInputTokens\":5}", "8 100 5 0 10 0 0 0 0"},
        /* what was written is told twice */
        {API_CONVERSE, "{\"inputTokens\":13,\"outputTokens\":10,\"totalTokens\":123,"
         "\"cacheReadInputTokens\":100,\"cacheWriteInputTokens\":5}", "8 100 5 0 10 0 0 0 0"},
        {API_CONVERSE, "{\"outputTokens\":10,\"totalTokens\":18}", "8 0 0 0 10 0 0 0 0"},
        {API_CONVERSE, "{\"outputTokens\":10}", "0 0 0 0 10 0 0 0 0 absurd"},
        {API_CONVERSE, "{\"inputTokens\":-8,\"outputTokens\":1}", "0 0 0 0 1 0 0 0 0 absurd"},
        {API_CONVERSE, "{}", "none"}, {API_CONVERSE, "null", "none"},
        {API_COHERE, "{\"billed_units\":{\"input_tokens\":11,\"output_tokens\":4},\"tokens\":{"
         "\"input_tokens\":506,\"output_tokens\":5},\"cached_tokens\":448}",
         "11 0 0 0 4 0 0 0 0"},
        {API_COHERE, "{\"tokens\":{\"input_tokens\":506,\"output_tokens\":5},\"cached_tokens\":"
         "448}", "58 448 0 0 5 0 0 0 0"},
        {API_COHERE, "{\"tokens\":{\"input_tokens\":5},\"cached_tokens\":6}",
         "0 5 0 0 0 0 0 0 0 absurd"},
        {API_COHERE, "{\"billed_units\":{\"input_tokens\":2147483649}}",
         "2147483648 0 0 0 0 0 0 0 0 absurd"},
        {API_COHERE, "{}", "none"}, {API_COHERE, "7", "none"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[512];
        int n = snprintf(body, sizeof body, "{\"usage\":%s}", cases[i].usage);
        const struct api_answer *a = kit_answer(cases[i].api, (struct bytes){body, (size_t)n});
        if (strcmp(kit_usage(&a->usage), cases[i].want) != 0) print_error("%s\n", body);
        assert_string_equal(kit_usage(&a->usage), cases[i].want);
        struct api_stream s = {0};
        struct api_event ev;
        kit_event(cases[i].api, body, &s, &ev);
        assert_string_equal(kit_usage(&ev.usage), cases[i].want);
        assert_int_equal(ev.usage_at.key.end, 0);
    }
}

static const struct {
    enum api api;
    const char *data;
    enum api_event_kind kind;
    unsigned text;
    bool says;
} event_cases[] = {
    {API_CONVERSE, "{\"role\":\"assistant\",\"p\":\"ab\"}", API_EVENT_META, 0, false},
    {API_CONVERSE, "{\"contentBlockIndex\":0,\"delta\":{\"text\":\"abc\"},\"p\":\"abcd\"}",
     API_EVENT_CONTENT, 3, true},
    {API_CONVERSE, "{\"contentBlockIndex\":0,\"delta\":{\"text\":\"\"}}", API_EVENT_META, 0,
     false},
    {API_CONVERSE, "{\"contentBlockIndex\":1,\"start\":{\"toolUse\":{\"name\":\"f\","
     "\"toolUseId\":\"t\"}}}", API_EVENT_CONTENT, 0, true},
    {API_CONVERSE, "{\"contentBlockIndex\":1,\"delta\":{\"toolUse\":{\"input\":\"{}\"}}}",
     API_EVENT_CONTENT, 2, true},
    {API_CONVERSE, "{\"delta\":{\"reasoningContent\":{\"text\":\"abcd\"}}}",
     API_EVENT_CONTENT, 4, true},
    {API_CONVERSE, "{\"delta\":{\"reasoningContent\":{\"signature\":\"abcd\"}}}",
     API_EVENT_CONTENT, 0, true},
    {API_CONVERSE, "{\"delta\":{\"reasoningContent\":{\"redactedContent\":\"QUI=\"}}}",
     API_EVENT_CONTENT, 0, true},
    {API_CONVERSE, "{\"contentBlockIndex\":1}", API_EVENT_META, 0, false},
    {API_CONVERSE, "{\"stopReason\":\"end_turn\"}", API_EVENT_FINISH, 0, false},
    {API_CONVERSE, "{\"metrics\":{\"latencyMs\":1},\"usage\":{\"inputTokens\":1}}",
     API_EVENT_META, 0, false},
    {API_CONVERSE, "{\"message\":\"Too many\"}", API_EVENT_ERROR, 0, false},
    {API_CONVERSE, "{", API_EVENT_BAD, 0, false},
    {API_COHERE, "{\"id\":\"a\",\"type\":\"message-start\",\"delta\":{\"message\":{"
     "\"role\":"
     "\"assistant\",\"content\":[],\"tool_plan\":\"\",\"tool_calls\":[],"
     "\"citations\":[]}}}",
     API_EVENT_META, 0, false},
    {API_COHERE, "{\"type\":\"content-start\",\"index\":0,\"delta\":{\"message\":{"
     "\"content\":"
     "{\"type\":\"text\",\"text\":\"\"}}}}", API_EVENT_META, 0, false},
    {API_COHERE, "{\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{"
     "\"content\":"
     "{\"text\":\"abc\"}}}}", API_EVENT_CONTENT, 3, true},
    {API_COHERE, "{\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{"
     "\"content\":"
     "{\"thinking\":\"ab\"}}}}", API_EVENT_CONTENT, 2, true},
    {API_COHERE, "{\"type\":\"tool-plan-delta\",\"delta\":{\"message\":{\"tool_plan"
     "\":\"I\"}}"
     "}", API_EVENT_CONTENT, 1, true},
    {API_COHERE, "{\"type\":\"tool-call-start\",\"index\":0,\"delta\":{\"message\":{"
     "\"tool_calls\":{\"id\":\"i\",\"type\":\"function\",\"function\":{\"name\":\"f\","
     "\"arguments\":\"\"}}}}}", API_EVENT_CONTENT, 0, true},
    {API_COHERE, "{\"type\":\"tool-call-delta\",\"index\":0,\"delta\":{\"message\":{"
     "\"tool_calls\":{\"function\":{\"arguments\":\"{}\"}}}}}", API_EVENT_CONTENT, 2, true},
    {API_COHERE, "{\"type\":\"content-end\",\"index\":0}", API_EVENT_META, 0, false},
    {API_COHERE, "{\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"COMPLETE\"}}",
     API_EVENT_DONE, 0, false},
    {API_COHERE, "{\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"ERROR\","
     "\"error\":"
     "\"no\"}}", API_EVENT_ERROR, 0, false},
    {API_COHERE, "{\"id\":\"a\",\"message\":\"no such model\"}", API_EVENT_ERROR, 0, false},
};

static void test_events(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(event_cases); i++) {
        struct api_stream s = {0};
        struct api_event ev;
        kit_event(event_cases[i].api, event_cases[i].data, &s, &ev);
        if (ev.kind != event_cases[i].kind) print_error("%s\n", event_cases[i].data);
        assert_int_equal(ev.kind, event_cases[i].kind);
        assert_int_equal(ev.has_content, event_cases[i].says);
        if (ev.text_bytes != event_cases[i].text) print_error("%s\n", event_cases[i].data);
        assert_int_equal(ev.text_bytes, event_cases[i].text);
        bool finish = ev.kind == API_EVENT_FINISH || ev.kind == API_EVENT_DONE;
        if (ev.kind != API_EVENT_ERROR) assert_int_equal(ev.has_finish, finish);
    }
}

static void test_outcomes(void **state)
{
    (void)state;
    static const struct { enum api api; const char *body; uint8_t want; } cases[] = {
        {API_CONVERSE, "{\"stopReason\":\"max_tokens\"}", API_OUTCOME_LENGTH},
        {API_CONVERSE, "{\"stopReason\":\"guardrail_intervened\"}", API_OUTCOME_REFUSAL},
        {API_CONVERSE, "{\"stopReason\":\"malformed_tool_use\"}", API_OUTCOME_ARGUMENTS},
        {API_CONVERSE, "{\"stopReason\":\"end_turn\"}", 0},
        {API_COHERE, "{\"finish_reason\":\"MAX_TOKENS\"}", API_OUTCOME_LENGTH},
        {API_COHERE, "{\"finish_reason\":\"COMPLETE\"}", 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct api_answer *a = kit_answer(cases[i].api, bytes_of(cases[i].body));
        assert_int_equal(a->outcome, cases[i].want);
        assert_int_equal(a->finish_length, cases[i].want == API_OUTCOME_LENGTH);
    }
    struct bytes said = BYTES("{\"message\":\"no such model\"}");
    const struct api_answer *a = kit_answer(API_COHERE, said);
    assert_true(a->error);
    assert_string_equal(a->error_text, "no such model");
}

/* The exceptions of a stream. */
static void test_exceptions(void **state)
{
    (void)state;
    static const struct { const char *name, *text, *data, *want; int32_t status; } cases[] = {
        {"throttlingException", "", "{\"message\":\"slow down\"}", "slow down", 429},
        {"ThrottlingException", "", "{\"Message\":\"slow down\"}", "slow down", 429},
        {"validationException", "", "{}", "validationException", 400},
        {"internalServerException", "broken", "", "broken", 500},
        {"modelStreamErrorException", "", "{\"message\":\"x\",\"originalStatusCode\":500}", "x",
         500},
        {"", "", "{\"message\":", "", 500},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct api_event ev;
        memset(&ev, 0xAA, sizeof ev);
        api_event_exception(bytes_of(cases[i].name), bytes_of(cases[i].text),
                            bytes_of(cases[i].data), &ev);
        assert_int_equal(ev.kind, API_EVENT_ERROR);
        assert_int_equal(ev.error_status, cases[i].status);
        assert_string_equal(ev.error_text, cases[i].want);
        assert_false(ev.has_content || ev.has_finish || ev.usage.present);
    }
    struct api_event ev;
    char large[600];
    memset(large, 'x', sizeof large);
    api_event_exception(BYTES("e"), (struct bytes){large, sizeof large}, BYTES("{}"), &ev);
    assert_int_equal(strlen(ev.error_text), sizeof ev.error_text - 1);
}

struct tally { unsigned streams, answers, errors; };

/* The events of a recording as text, however it was kept: framed, or by a client that put each
 * event's name around it. The caller frees. */
static struct bytes as_text(const struct tape *tape)
{
    size_t room = 2 * tape->events.len + 64, len = 0, need;
    char *out = malloc(room);
    struct bytes in = tape->events;
    struct eventstream_message m;
    struct sse sse = {0};
    struct sse_event ev;
    assert_non_null(out);
    for (;;) {
        struct bytes data;
        if (tape->binary) {
            if (in.len == 0) break;
            assert_int_equal(eventstream_next(&in, &m, &need), NET_OK);
            data = m.payload;
        } else {
            if (sse_next(&sse, &in, &ev) != NET_OK) break;
            size_t colon = bytes_find(ev.data, ':');
            data = (struct bytes){ev.data.ptr + colon + 1, ev.data.len - colon - 2};
        }
        len += (size_t)snprintf(out + len, room - len, "data: %.*s\n\n", (int)data.len,
                                data.ptr);
        assert_true(len < room);
    }
    return (struct bytes){out, len};
}

static void check_converse(const struct tape *tape, void *arg)
{
    struct tally *all = arg;
    struct kit_stream s;
    if (tape->answer.len > 0) {
        const struct api_answer *a = kit_answer(API_CONVERSE, tape->answer);
        assert_non_null(a);
        assert_false(a->error);
        assert_true(a->text_bytes > 0 && a->usage.present && !a->usage.absurd);
        uint32_t total = a->usage.input + a->usage.cached + a->usage.output +
                         a->usage.cache_write;
        assert_int_equal(total, kit_number(tape->answer, "usage.totalTokens"));
        all->answers++;
    }
    if (tape->events.len == 0) return;
    struct bytes text = as_text(tape);
    kit_stream(API_CONVERSE, text, &s);
    free((void *)(uintptr_t)text.ptr);
    assert_int_equal(s.bads + s.errors + s.dones, 0);
    assert_int_equal(s.finishes, 1);
    assert_true(s.contents > 0 && s.text_bytes > 0 && s.before <= 1);
    assert_true(s.usage.present && !s.usage.absurd && s.usage.output > 0);
    all->streams++;
}

static void check_cohere(const struct tape *tape, void *arg)
{
    struct tally *all = arg;
    struct kit_stream s;
    struct bytes found;
    /* v1 has other words */
    if (tape->answer.len > 0) {
        const struct api_answer *a = kit_answer(API_COHERE, tape->answer);
        assert_non_null(a);
        if (tape_path(tape->answer, "message.role", &found)) {
            assert_false(a->error);
            assert_true(a->text_bytes > 0 && a->usage.present && !a->usage.absurd);
            assert_int_equal(a->usage.output,
                             kit_number(tape->answer, "usage.billed_units.output_tokens"));
            all->answers++;
        } else if (tape_path(tape->answer, "message", &found)) {
            assert_true(a->error && a->error_text[0]);
            all->errors++;
        }
    }
    if (tape->events.len == 0) return;
    if (!memmem(tape->events.ptr, tape->events.len, "message-start", 13)) return;
    kit_stream(API_COHERE, tape->events, &s);
    assert_int_equal(s.bads + s.errors, 0);
    assert_int_equal(s.finishes, 1);
    assert_in_range(s.dones, 1, 2);  /* some have [DONE] behind the end */
    assert_true(s.contents > 0 && s.usage.present && !s.usage.absurd && s.usage.output > 0);
    all->streams++;
}

static void test_recorded(void **state)
{
    (void)state;
    struct tally all = {0};
    if (!tapes_each("bedrock-converse", check_converse, &all)) skip();
    assert_int_equal(all.streams, 19);
    assert_int_equal(all.answers, 11);
    all = (struct tally){0};
    if (!tapes_each("cohere-chat", check_cohere, &all)) skip();
    assert_true(all.streams >= 9);
    assert_true(all.answers >= 8);
    assert_true(all.errors >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage), cmocka_unit_test(test_events),
        cmocka_unit_test(test_outcomes), cmocka_unit_test(test_exceptions),
        cmocka_unit_test(test_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
