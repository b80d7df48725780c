/* test_api_stop.c - the proper end of a stream that Weir stops: as bytes, and as the readers of
 * the same dialect take it, behind every event of recorded streams. */
#include "net/dialect/api_write.h"
#include "api_kit.h"
#include "net/sse.h"
#include "openai_tape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct api_usage used = {.present = true, .input = 100, .cached = 20,
                                      .output = 30, .reasoning = 10};

static void read_events(enum api api, struct api_stream *s, const char *const *data, size_t n)
{
    struct api_event ev;
    for (size_t i = 0; i < n; i++) kit_event(api, data[i], s, &ev);
}

static void check_stop(enum api api, const struct api_stream *s, const struct api_stop *stop,
                       const char *want)
{
    static char out[API_STOP_MAX + 1];
    size_t len = api_stream_stop(api, s, stop, out, API_STOP_MAX);
    out[len] = '\0';
    assert_string_equal(out, want);
    for (size_t room = 0; room < len; room++) {
        memset(out, '~', sizeof out);
        assert_int_equal(api_stream_stop(api, s, stop, out, room), 0);
        assert_int_equal(out[room], '~');
    }
    assert_int_equal(api_stream_stop(api, s, stop, out, len), len);
}

static void test_chat(void **state)
{
    (void)state;
    static const char *const events[] = {
        "{\"id\":\"chatcmpl-\\u0041\",\"created\":17,\"model\":\"gpt\",\"choices\":[{\"delta\":"
        "{\"content\":\"a\"}}]}",
        "{\"id\":\"other\",\"created\":17,\"model\":\"other\",\"choices\":[{\"delta\":{}}]}",
    };
    struct api_stream s = {0};
    struct api_stop stop = {.usage = used, .model = BYTES("a/b"), .cost_nusd = -1};
    read_events(API_CHAT, &s, events, COUNT(events));
    check_stop(API_CHAT, &s, &stop,
               "data: {\"id\":\"chatcmpl-\\u0041\",\"object\":\"chat.completion.chunk\",\"crea"
               "ted\""
               ":17,\"model\":\"gpt\",\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,"
               "\"finish_reason\":\"length\"}]}\n\ndata: [DONE]\n\n");
    stop.want_usage = true;
    stop.cost_nusd = 1500;
    stop.choices = 2;
    check_stop(API_CHAT, &s, &stop,
               "data: {\"id\":\"chatcmpl-\\u0041\",\"object\":\"chat.completion.chunk\",\"crea"
               "ted\""
               ":17,\"model\":\"gpt\",\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,"
               "\"finish_reason\":\"length\"},{\"index\":1,\"delta\":{},\"logprobs\":null,"
               "\"finish_reason\":\"length\"}]}\n\n"
               "data: {\"id\":\"chatcmpl-\\u0041\",\"object\":\"chat.completion.chunk\",\"crea"
               "ted\""
               ":17,\"model\":\"gpt\",\"choices\":[],\"usage\":{\"prompt_tokens\":120,"
               "\"completion_tokens\":30,\"total_tokens\":150,\"prompt_tokens_details\":{"
               "\"cached_tokens\":20,\"audio_tokens\":0},\"completion_tokens_details\":{"
               "\"reasoning_tokens\":10,\"audio_tokens\":0},\"cost\":0.0000015}}\n\n"
               "data: [DONE]\n\n");
    struct api_stream fresh = {0};  /* the provider told no id and no model */
    stop = (struct api_stop){.usage = used, .model = BYTES("a\"b"), .cost_nusd = -1};
    check_stop(API_COMPLETIONS, &fresh, &stop,
               "data: {\"id\":\"cmpl-stopped\",\"object\":\"text_completion\",\"created\":0,"
               "\"model\":\"a\\\"b\",\"choices\":[{\"index\":0,\"text\":\"\",\"logprobs\":null,"
               "\"finish_reason\":\"length\"}]}\n\ndata: [DONE]\n\n");
}

static void test_messages(void **state)
{
    (void)state;
    static const char *const events[] = {
        "{\"type\":\"message_start\",\"message\":{\"model\":\"claude\",\"id\":\"msg_1\"}}",
        "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"text\":\"\"}}",
        "{\"type\":\"content_block_stop\",\"index\":0}",
        "{\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"text\":\"\"}}",
    };
    static const char end[] =
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
        "\"max_tokens\",\"stop_sequence\":null},\"usage\":{\"input_tokens\":100,"
        "\"cache_creation_input_tokens\":9,\"cache_read_input_tokens\":20,\"cache_creation\":{"
        "\"ephemeral_5m_input_tokens\":2,\"ephemeral_1h_input_tokens\":7},"
        "\"output_tokens\":30}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    char want[1024];
    struct api_stop stop = {.usage = used, .model = BYTES("a/b"), .cost_nusd = -1};
    stop.usage.cache_write = 2;
    stop.usage.cache_write_1h = 7;
    struct api_stream s = {0};
    read_events(API_MESSAGES, &s, events, 3);
    check_stop(API_MESSAGES, &s, &stop, end);
    read_events(API_MESSAGES, &s, events + 3, 1);
    (void)snprintf(want, sizeof want, "event: content_block_stop\ndata: {\"type\":"
                   "\"content_block_stop\",\"index\":1}\n\n%s", end);
    check_stop(API_MESSAGES, &s, &stop, want);
}

static void test_responses(void **state)
{
    (void)state;
    static const char *const events[] = {
        "{\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"created_at\":17,"
        "\"model\":\"gpt\",\"error\":null,\"usage\":null},\"sequence_number\":0}",
        "{\"type\":\"response.output_text.delta\",\"delta\":\"a\",\"sequence_number\":6}",
    };
    struct api_stream s = {0};
    struct api_stop stop = {.usage = used, .model = BYTES("a/b"), .cost_nusd = -1};
    read_events(API_RESPONSES, &s, events, COUNT(events));
    check_stop(API_RESPONSES, &s, &stop,
               "event: response.incomplete\ndata: {\"type\":\"response.incomplete\","
               "\"sequence_number\":7,\"response\":{\"id\":\"resp_1\",\"object\":\"response\","
               "\"created_at\":17,\"status\":\"incomplete\",\"error\":null,"
               "\"incomplete_details\":{\"reason\":\"max_output_tokens\"},\"instructions\":nul"
               "l,"
               "\"metadata\":{},\"model\":\"gpt\",\"output\":[],\"parallel_tool_calls\":true,"
               "\"tool_choice\":\"auto\",\"tools\":[],\"usage\":{\"input_tokens\":120,"
               "\"input_tokens_details\":{\"cached_tokens\":20},\"output_tokens\":30,"
               "\"output_tokens_details\":{\"reasoning_tokens\":10},\"total_tokens\":150}}}\n"
               "\n");
}

static void test_generate(void **state)
{
    (void)state;
    static const char *const events[] = {
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}],\"modelVersion\":"
        "\"gemini\",\"responseId\":\"r1\"}",
    };
    struct api_stream s = {0};
    struct api_stop stop = {.usage = used, .model = BYTES("a/b"), .cost_nusd = -1};
    read_events(API_GENERATE, &s, events, COUNT(events));
    check_stop(API_GENERATE, &s, &stop,
               "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":"
               "\"model\"},\"finishReason\":\"MAX_TOKENS\",\"index\":0}],\"usageMetadata\":{"
               "\"promptTokenCount\":120,\"candidatesTokenCount\":20,\"totalTokenCount\":150,"
               "\"cachedContentTokenCount\":20,\"thoughtsTokenCount\":10},\"modelVersion\":"
               "\"gemini\",\"responseId\":\"r1\"}\r\n\r\n");
}

/* The longest: every name as long as it may be, every number too. */
static void test_the_longest_fits(void **state)
{
    (void)state;
    static const enum api apis[] = {API_CHAT, API_COMPLETIONS, API_RESPONSES, API_MESSAGES,
                                    API_GENERATE};
    static char out[API_STOP_MAX];
    char name[API_NAME_MAX];
    memset(name, '\x01', sizeof name);
    const uint32_t most = UINT32_MAX;
    struct api_stop stop = {{.present = true, .input = most, .cached = most, .output = most,
                             .audio_input = most, .audio_output = most, .reasoning = most,
                             .cache_write = most, .cache_write_1h = most, .image_input = most},
                            {name, sizeof name}, INT64_MAX, UINT32_MAX, true};
    struct api_stream s = {.created = INT64_MAX, .sequence = most, .block = most,
                           .flags = UINT8_MAX};
    for (size_t i = 0; i < COUNT(apis); i++) {
        assert_true(api_stream_stop(apis[i], &s, &stop, out, sizeof out) > 0);
    }
}

/* Each kind of token comes back from what was written, but for those that the form lacks. */
static void test_usage_is_read_again(void **state)
{
    (void)state;
    static const struct { enum api api; const char *want; } cases[] = {
        {API_CHAT, "1000 200 37 0 400 50 60 70 80"},
        {API_RESPONSES, "1140 200 37 0 470 50 0 0 0"},
        {API_MESSAGES, "1140 200 30 7 470 0 0 0 0"},
        {API_GENERATE, "1037 200 0 0 400 50 60 70 80"},
    };
    static const struct api_usage all = {
        .present = true, .input = 1000, .cached = 200, .cache_write = 30, .cache_write_1h = 7,
        .output = 400, .reasoning = 50, .audio_input = 60, .audio_output = 70,
        .image_input = 80};
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[1024], body[1200];
        size_t len = api_usage_json(cases[i].api, &all, text, sizeof text);
        assert_true(len > 0);
        assert_int_equal(api_usage_json(cases[i].api, &all, text, len - 1), 0);
        len = api_usage_json(cases[i].api, &all, text, sizeof text);
        int n = snprintf(body, sizeof body, "{\"%s\":%.*s}",
                         cases[i].api == API_GENERATE ? "usageMetadata" : "usage", (int)len,
                         text);
        const struct api_answer *a = kit_answer(cases[i].api, (struct bytes){body, (size_t)n});
        assert_non_null(a);
        assert_string_equal(kit_usage(&a->usage), cases[i].want);
    }
}

/* ---- recordings: stopped behind any event, the stream ends well ---- */

struct stopped { enum api api; size_t count; };

static void check_recorded(const struct tape *tape, void *arg)
{
    struct stopped *all = arg;
    struct sse sse = {0};
    struct sse_event event;
    struct bytes rest = tape->events;
    struct api_stream s = {0};
    struct api_event ev;
    static char out[API_STOP_MAX];
    struct api_stop stop = {.usage = used, .model = BYTES("a/b"), .cost_nusd = -1,
                            .want_usage = true};
    size_t k = 0, next = 1;
    while (sse_next(&sse, &rest, &event) == NET_OK) {
        if (event.data_lines != 1) continue;
        api_event_read(event.data, all->api, &s, &ev);
        if (ev.kind == API_EVENT_DONE || ev.kind == API_EVENT_ERROR) break;
        if (++k < next) continue;
        next += 1 + next / 4;
        size_t len = api_stream_stop(all->api, &s, &stop, out, sizeof out);
        assert_true(len > 0);
        struct api_stream behind = s;
        struct sse_event last;
        struct sse again = {0};
        struct bytes text = {out, len};
        bool done = false, finished = false;
        struct api_usage usage = {0};
        while (sse_next(&again, &text, &last) == NET_OK) {
            api_event_read(last.data, all->api, &behind, &ev);
            assert_true(ev.kind != API_EVENT_BAD && ev.kind != API_EVENT_ERROR);
            done = done || ev.kind == API_EVENT_DONE;
            finished = finished || ev.has_finish;
            if (ev.usage.present) usage = ev.usage;
        }
        assert_int_equal(text.len, 0);
        assert_true(finished);
        assert_int_equal(done, all->api != API_GENERATE);
        assert_int_equal(usage.input, used.input);
        assert_int_equal(usage.cached, used.cached);
        assert_int_equal(usage.output, used.output);
        all->count++;
    }
}

static void test_recorded(void **state)
{
    (void)state;
    struct stopped chat = {API_CHAT, 0}, messages = {API_MESSAGES, 0};
    struct stopped responses = {API_RESPONSES, 0}, generate = {API_GENERATE, 0};
    if (!tapes_each("openai-chat", check_recorded, &chat)) skip();
    assert_true(tapes_each("anthropic-messages", check_recorded, &messages));
    assert_true(tapes_each("openai-responses", check_recorded, &responses));
    assert_true(tapes_each("gemini-generate", check_recorded, &generate));
    assert_true(chat.count > 500 && messages.count > 400);
    assert_true(responses.count > 400 && generate.count > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chat),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_generate),
        cmocka_unit_test(test_the_longest_fits),
        cmocka_unit_test(test_usage_is_read_again),
        cmocka_unit_test(test_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
