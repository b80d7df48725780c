/* test_api_responses.c - OpenAI's Responses: answers and events, made up and recorded.
 * Source: OpenAI API reference, Responses and its streaming events. */
#include "api_kit.h"
#include "net/sse.h"
#include "openai_tape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void test_usage_of_answers(void **state)
{
    (void)state;
    static const struct { const char *usage, *want; } cases[] = {
        {"{\"input_tokens\":12,\"output_tokens\":7,\"total_tokens\":19}", "12 0 0 0 7 0 0 0 0"},
        {"{\"input_tokens\":12,\"input_tokens_details\":{\"cached_tokens\":4,\"cache_write_tok"
         "ens\""
         ":3,\"audio_tokens\":1,\"image_tokens\":2},\"output_tokens\":7,\"output_tokens_detail"
         "s\":"
         "{\"reasoning_tokens\":5,\"audio_tokens\":1}}", "2 4 3 0 6 5 1 1 2"},
        {"null", "none"}, {"{}", "none"},
        {"{\"input_tokens\":3,\"input_tokens_details\":{\"cached_tokens\":4},\"output_tokens\""
         ":1}",
         "0 3 0 0 1 0 0 0 0 absurd"},
        {"{\"input_tokens\":3,\"output_tokens\":1,\"output_tokens_details\":{\"reasoning_token"
         "s\":"
         "2}}", "3 0 0 0 1 1 0 0 0 absurd"},
        {"{\"input_tokens\":3,\"input_tokens_details\":{\"image_tokens\":4},\"output_tokens\":"
         "1}",
         "0 0 0 0 1 0 0 0 3 absurd"},
        /* what is cached may be image */
        {"{\"input_tokens\":9,\"input_tokens_details\":{\"image_tokens\":8,\"cached_tokens\":4"
         "},"
         "\"output_tokens\":1}", "0 4 0 0 1 0 0 0 5"},
        {"{\"input_tokens\":\"3\",\"output_tokens\":1}", "0 0 0 0 1 0 0 0 0 absurd"},
        {"{\"output_tokens\":1}", "0 0 0 0 1 0 0 0 0 absurd"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[768];
        int n = snprintf(body, sizeof body, "{\"id\":\"resp_1\",\"error\":null,\"usage\":%s,"
                         "\"output\":[{\"type\":\"message\",\"content\":[{\"text\":\"hello\"}]"
                         "}],"
                         "\"tool_usage\":{\"image_gen\":{\"input_tokens\":9}}}",
                         cases[i].usage);
        const struct api_answer *a = kit_answer(API_RESPONSES, (struct bytes){body, (size_t)n});
        assert_non_null(a);
        assert_string_equal(kit_usage(&a->usage), cases[i].want);
        assert_int_equal(a->usage_at.end, 0);
        assert_int_equal(a->text_bytes, 5);
        assert_false(a->error);
    }
}

static void test_what_answers_say(void **state)
{
    (void)state;
    static const struct { const char *body; unsigned text; bool error, length; int status; }
    cases[] = {
        {"{\"output\":[{\"type\":\"reasoning\",\"summary\":[{\"text\":\"ab\"}],"
         "\"encrypted_content\":\"xyz\"},{\"type\":\"function_call\",\"arguments\":\"{}\"},"
         "{\"type\":\"message\",\"content\":[{\"text\":\"c\"},{\"refusal\":\"de\"}]}]}", 7,
         false,
         false, 0},
        {"{\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":\"max_output_tokens\"}"
         "}", 0,
         false, true, 0},
        {"{\"incomplete_details\":{\"reason\":\"content_filter\"}}", 0, false, false, 0},
        {"{\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"Over\"}}",
         0,
         true, false, 500},
        {"{\"error\":{\"message\":\"Over\",\"type\":\"insufficient_quota\",\"code\":null}}", 0,
         true, false, 429},
        {"[]", 0, false, false, 0}, {"7", 0, false, false, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct api_answer *a = kit_answer(API_RESPONSES, bytes_of(cases[i].body));
        assert_non_null(a);
        assert_int_equal(a->text_bytes, cases[i].text);
        assert_int_equal(a->error, cases[i].error);
        assert_int_equal(a->error_status, cases[i].status);
        assert_int_equal(a->finish_length, cases[i].length);
        assert_string_equal(a->error_text, cases[i].error ? "Over" : "");
    }
}

#define EVENT(type, rest) "{\"type\":\"" type "\",\"sequence_number\":4" rest "}"

static const struct {
    const char *data;
    enum api_event_kind kind;
    unsigned text;
    bool says;
} events[] = {
    {EVENT("response.created", ",\"response\":{\"error\":null,\"output\":[],\"usage\":null"
     "}"),
     API_EVENT_META, 0, false},
    {EVENT("response.output_item.added", ",\"item\":{\"type\":\"message\",\"content\":[]}"),
     API_EVENT_META, 0, false},
    {EVENT("response.output_item.added", ",\"item\":{\"type\":\"reasoning\",\"summary\":[],"
           "\"encrypted_content\":\"abc\"}"), API_EVENT_META, 0, false},
    {EVENT("response.output_item.added", ",\"item\":{\"type\":\"function_call\",\"name\":"
     "\"f\","
           "\"arguments\":\"\"}"), API_EVENT_CONTENT, 0, true},
    {EVENT("response.output_item.added", ",\"item\":{\"type\":\"web_search_call\"}"),
     API_EVENT_CONTENT, 0, true},
    {EVENT("response.content_part.added", ",\"part\":{\"type\":\"output_text\",\"text\":\""
     "\"}"),
     API_EVENT_META, 0, false},
    {EVENT("response.output_text.delta", ",\"delta\":\"abc\",\"logprobs\":[]"),
     API_EVENT_CONTENT, 3, true},
    {EVENT("response.output_text.delta", ",\"delta\":\"\""), API_EVENT_META, 0, false},
    {EVENT("response.refusal.delta", ",\"delta\":\"ab\""), API_EVENT_CONTENT, 2, true},
    {EVENT("response.reasoning_summary_text.delta", ",\"delta\":\"ab\""), API_EVENT_CONTENT,
     2, true},
    {EVENT("response.function_call_arguments.delta", ",\"delta\":\"{\\\"\""),
     API_EVENT_CONTENT, 3, true},
    {EVENT("response.audio.delta", ",\"delta\":\"QUJD\""), API_EVENT_CONTENT, 0, true},
    {EVENT("response.output_audio.delta", ",\"delta\":\"QUJD\""), API_EVENT_CONTENT, 0,
     true},
    {EVENT("response.audio.transcript.delta", ",\"delta\":\"ab\""), API_EVENT_CONTENT, 2,
     true},
    {EVENT("response.image_generation_call.partial_image", ",\"partial_image_b64\":\"QUJD"
     "\""),
     API_EVENT_CONTENT, 0, true},
    {EVENT("response.output_text.annotation.added", ",\"annotation\":{\"url\":\"u\"}"),
     API_EVENT_CONTENT, 0, true},
    {EVENT("response.output_text.done", ",\"text\":\"abc\""), API_EVENT_CONTENT, 0, true},
    {EVENT("response.output_item.done", ",\"item\":{\"type\":\"message\",\"content\":[{\"t"
     "ext\""
           ":\"abc\"}]}"), API_EVENT_CONTENT, 3, true},  /* no delta had told it */
    {EVENT("response.output_item.added", ",\"item\":{\"type\":\"shell_call\",\"action\":"
           "{\"commands\":[]}}"), API_EVENT_CONTENT, 0, true},
    {EVENT("response.output_item.done", ",\"item\":{\"type\":\"shell_call\",\"action\":"
           "{\"commands\":[]}}"), API_EVENT_CONTENT, 15, true},
    {EVENT("response.completed", ",\"response\":{\"error\":null,\"output\":[{\"content\":["
           "{\"text\":\"abc\"}]}]}"), API_EVENT_DONE, 3, true},
    {EVENT("response.completed", ""), API_EVENT_DONE, 0, false},
    {EVENT("response.incomplete", ",\"response\":{\"incomplete_details\":{\"reason\":"
           "\"max_output_tokens\"}}"), API_EVENT_DONE, 0, false},
    {EVENT("response.failed", ",\"response\":{\"error\":{\"code\":\"server_error\"}}"),
     API_EVENT_ERROR, 0, false},
    {EVENT("response.failed", ""), API_EVENT_ERROR, 0, false},
    {EVENT("error", ",\"code\":\"rate_limit_exceeded\",\"message\":\"m\""),
     API_EVENT_ERROR, 0,
     false},
    {EVENT("error", ",\"error\":{\"code\":\"x\",\"message\":\"m\"}"), API_EVENT_ERROR, 0,
     false},
    {EVENT("response.code_interpreter_call_code.done", ",\"code\":\"server_error\""),
     API_EVENT_META, 0, false},
    {"[DONE]", API_EVENT_DONE, 0, false}, {"{", API_EVENT_BAD, 0, false},
    {"{\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}", API_EVENT_META, 0, false},
};

static void test_what_events_are(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(events); i++) {
        struct api_stream s = {0};
        struct api_event ev;
        if (events[i].kind == API_EVENT_DONE && events[i].data[0] == '[') {
            api_event_read(bytes_of(events[i].data), API_RESPONSES, &s, &ev);
        } else {
            kit_event(API_RESPONSES, events[i].data, &s, &ev);
        }
        if (ev.kind != events[i].kind) print_error("%s\n", events[i].data);
        assert_int_equal(ev.kind, events[i].kind);
        assert_int_equal(ev.text_bytes, events[i].text);
        assert_int_equal(ev.has_content, events[i].says);
        bool end = ev.kind == API_EVENT_DONE && events[i].data[0] == '{';
        assert_int_equal(ev.has_finish, end);
        assert_int_equal(ev.usage_at.key.end, 0);
    }
}

/* A text is told by deltas, by its item's end and by the end of all: it counts once. */
static void test_text_counts_once(void **state)
{
    (void)state;
    static const char stream[] =
        "data: {\"type\":\"response.output_item.added\",\"item\":{\"type\":\"message\"}}\n\n"
        "data: {\"type\":\"response.output_text.delta\",\"delta\":\"abc\"}\n\n"
        "data: {\"type\":\"response.output_text.done\",\"text\":\"abc\"}\n\n"
        "data: {\"type\":\"response.output_item.done\",\"item\":{\"content\":[{\"text\":\"abc"
        "\"}]}}"
        "\n\n"
        "data: {\"type\":\"response.output_item.added\",\"item\":{\"type\":\"function_call\"}}"
        "\n\n"
        "data: {\"type\":\"response.function_call_arguments.done\",\"arguments\":\"{}\"}\n\n"
        "data: {\"type\":\"response.output_item.done\",\"item\":{\"arguments\":\"{}\"}}\n\n"
        "data: {\"type\":\"response.completed\",\"response\":{\"output\":[{\"content\":[{\"tex"
        "t\":"
        "\"abc\"}]},{\"arguments\":\"{}\"}]}}\n\n";
    struct kit_stream s;
    kit_stream(API_RESPONSES, bytes_of(stream), &s);
    assert_int_equal(s.text_bytes, 5);
    assert_int_equal(s.dones, 1);
    const char *end = strstr(stream, "data: {\"type\":\"response.completed");
    kit_stream(API_RESPONSES, bytes_of(end), &s);
    assert_int_equal(s.text_bytes, 5);
}

/* ---- recordings ---- */

struct tally { size_t answers, streams, errors, contents; };

static void check_counts(const struct api_usage *u, struct bytes usage)
{
    assert_true(u->present);
    assert_false(u->absurd);
    uint32_t cached = kit_number(usage, "input_tokens_details.cached_tokens");
    assert_int_equal(u->input + u->cached + u->cache_write,
                     kit_number(usage, "input_tokens"));
    assert_int_equal(u->cached, cached);
    assert_int_equal(u->output, kit_number(usage, "output_tokens"));
    assert_int_equal(u->reasoning, kit_number(usage, "output_tokens_details.reasoning_tokens"));
}

static bool holds(struct bytes text, const char *word)
{
    return memmem(text.ptr, text.len, word, strlen(word)) != NULL;
}

static void check_stream(struct bytes text, struct tally *tally)
{
    struct kit_stream s;
    struct sse sse = {0};
    struct sse_event event;
    struct bytes rest = text, usage = {0}, found;
    kit_stream(API_RESPONSES, text, &s);
    assert_int_equal(s.bads, 0);
    bool ends = holds(text, "\"response.completed\"") || holds(text, "\"response.incomplete\"");
    assert_int_equal(s.dones > 0, ends);  /* some tapes join two */
    assert_int_equal(s.errors > 0, holds(text, "\"response.failed\""));
    assert_true(s.notes.id_len > 0);
    while (sse_next(&sse, &rest, &event) == NET_OK) {
        if (tape_path(event.data, "response.usage", &found)) usage = found;
    }
    if (usage.len > 0) check_counts(&s.usage, usage);
    else assert_false(s.usage.present);
    if (s.usage.output > s.usage.reasoning + 4) assert_true(s.contents > 0);
    if (s.errors) assert_int_equal(s.error_status, 429);
    tally->streams++;
    tally->errors += s.errors > 0;
    tally->contents += s.contents > 0;
}

static void check_recorded(const struct tape *tape, void *arg)
{
    struct tally *tally = arg;
    struct bytes found;
    if (tape->events.len > 0) check_stream(tape->events, tally);
    if (tape->answer.len == 0) return;
    const struct api_answer *a = kit_answer(API_RESPONSES, tape->answer);
    assert_non_null(a);
    assert_int_equal(a->error, tape_path(tape->answer, "error", &found));
    tally->answers++;
    if (tape_path(tape->answer, "choices", &found)) return;  /* one is a chat answer */
    if (tape_path(tape->answer, "usage", &found)) check_counts(&a->usage, found);
    else assert_false(a->usage.present);
    if (a->usage.output > a->usage.reasoning + 4) assert_true(a->text_bytes > 0);
}

static void test_recorded(void **state)
{
    (void)state;
    struct tally tally = {0};
    if (!tapes_each("openai-responses", check_recorded, &tally)) skip();
    assert_true(tally.answers >= 66);
    assert_true(tally.streams >= 75);
    assert_true(tally.errors >= 1);
    assert_true(tally.contents >= 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage_of_answers),
        cmocka_unit_test(test_what_answers_say),
        cmocka_unit_test(test_what_events_are),
        cmocka_unit_test(test_text_counts_once),
        cmocka_unit_test(test_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
