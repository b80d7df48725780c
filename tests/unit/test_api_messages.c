/* test_api_messages.c - Anthropic's Messages: answers and events, made up and recorded.
 * Source: Anthropic API reference, Messages and streaming. */
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
        {"{\"input_tokens\":12,\"output_tokens\":7}", "12 0 0 0 7 0 0 0 0"},
        {"{\"input_tokens\":3,\"cache_read_input_tokens\":100,\"cache_creation_input_tokens\":"
         "50,"
         "\"output_tokens\":7}", "3 100 50 0 7 0 0 0 0"},
        {"{\"input_tokens\":3,\"cache_creation_input_tokens\":50,\"cache_creation\":"
         "{\"ephemeral_5m_input_tokens\":20,\"ephemeral_1h_input_tokens\":30},"
         "\"output_tokens\":7}", "3 0 20 30 7 0 0 0 0"},
        {"{\"cache_creation\":{\"ephemeral_1h_input_tokens\":30,\"ephemeral_5m_input_tokens\":"
         "1},"
         "\"output_tokens\":7}", "0 0 1 30 7 0 0 0 0 absurd"},
        {"{\"input_tokens\":3,\"cache_creation\":null,\"cache_read_input_tokens\":null,"
         "\"output_tokens\":7,\"service_tier\":\"standard\"}", "3 0 0 0 7 0 0 0 0"},
        {"{\"input_tokens\":3,\"output_tokens\":70,\"output_tokens_details\":"
         "{\"thinking_tokens\":60}}", "3 0 0 0 70 60 0 0 0"},
        {"{\"input_tokens\":3,\"output_tokens\":70,\"server_tool_use\":"
         "{\"web_search_requests\":2},\"iterations\":[{\"input_tokens\":9}]}",
         "3 0 0 0 70 0 0 0 0"},
        {"{\"output_tokens\":7}", "0 0 0 0 7 0 0 0 0 absurd"},  /* of what input? */
        {"{}", "none"}, {"null", "none"}, {"7", "none"}, {"[]", "none"},
        {"{\"inference_geo\":\"us\"}", "none"},
        /* what cannot be */
        {"{\"input_tokens\":-3,\"output_tokens\":7}", "0 0 0 0 7 0 0 0 0 absurd"},
        {"{\"input_tokens\":3.5,\"output_tokens\":7}", "3 0 0 0 7 0 0 0 0 absurd"},
        {"{\"input_tokens\":\"3\",\"output_tokens\":7}", "0 0 0 0 7 0 0 0 0 absurd"},
        {"{\"input_tokens\":1,\"output_tokens\":9223372036854775808}",
         "1 0 0 0 2147483648 0 0 0 0 absurd"},
        {"{\"cache_creation_input_tokens\":50,\"cache_creation\":{\"ephemeral_5m_input_tokens"
         "\":"
         "20,\"ephemeral_1h_input_tokens\":31}}", "0 0 19 31 0 0 0 0 0 absurd"},
        {"{\"cache_creation_input_tokens\":5,\"cache_creation\":{\"ephemeral_1h_input_tokens\":"
         "31}}", "0 0 0 5 0 0 0 0 0 absurd"},
        {"{\"output_tokens\":7,\"output_tokens_details\":{\"thinking_tokens\":8}}",
         "0 0 0 0 7 7 0 0 0 absurd"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[512];
        int n = snprintf(body, sizeof body, "{\"id\":\"msg_1\",\"type\":\"message\",\"usage\":"
        "%s,"
                         "\"content\":[{\"type\":\"text\",\"text\":\"hello\"}]}",
                         cases[i].usage);
        const struct api_answer *a = kit_answer(API_MESSAGES, (struct bytes){body, (size_t)n});
        assert_non_null(a);
        assert_string_equal(kit_usage(&a->usage), cases[i].want);
        assert_int_equal(a->usage_at.end, 0);
        assert_int_equal(a->text_bytes, 5);
        const struct api_answer *c = kit_answer(API_COUNT_TOKENS,
                                                (struct bytes){body, (size_t)n});
        assert_string_equal(kit_usage(&c->usage), "0 0 0 0 0 0 0 0 0 nothing");
    }
}

static void test_what_answers_say(void **state)
{
    (void)state;
    static const struct { const char *body; unsigned text; bool error, length; int status; }
    cases[] = {
        {"{\"content\":[{\"type\":\"thinking\",\"thinking\":\"ab\",\"signature\":\"sig\"},"
         "{\"type\":\"text\",\"text\":\"cde\"}],\"stop_reason\":\"max_tokens\"}", 5, false,
         true, 0},
        {"{\"content\":[{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"a\":1}"
         "}],"
         "\"stop_reason\":\"tool_use\"}", 7, false, false, 0},
        {"{\"content\":[{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}]}", 0,
         false, false, 0},
        {"{\"content\":[]}", 0, false, false, 0}, {"[]", 0, false, false, 0},
        {"{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":"
         "\"Over\"}}", 0, true, false, 529},
        {"{\"error\":{\"message\":\"Over\",\"type\":\"rate_limit_error\"},\"type\":"
         "\"error\"}", 0, true, false, 429},
        {"{\"type\":\"error\",\"error\":{\"type\":\"odd\",\"message\":\"Over\"}}", 0, true,
         false,
         0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct api_answer *a = kit_answer(API_MESSAGES, bytes_of(cases[i].body));
        assert_non_null(a);
        assert_int_equal(a->text_bytes, cases[i].text);
        assert_int_equal(a->error, cases[i].error);
        assert_int_equal(a->error_status, cases[i].status);
        assert_int_equal(a->finish_length, cases[i].length);
        assert_string_equal(a->error_text, cases[i].error ? "Over" : "");
    }
    assert_null(kit_answer(API_MESSAGES, BYTES("{\"content\":[}")));
}

static void test_what_events_are(void **state)
{
    (void)state;
    static const struct { const char *data; enum api_event_kind kind; unsigned text; }
    cases[] = {
        {"{\"type\":\"ping\"}", API_EVENT_META, 0},
        {"{\"type\":\"message_start\",\"message\":{\"content\":[],\"stop_reason\":\"tool_use\","
         "\"usage\":{\"input_tokens\":1}}}", API_EVENT_META, 0},
        {"{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\","
         "\"text\":\"\"}}", API_EVENT_META, 0},
        {"{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking"
         "\","
         "\"thinking\":\"\",\"signature\":\"\"}}", API_EVENT_META, 0},
        {"{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"fallback"
         "\","
         "\"from\":{\"model\":\"a\"},\"to\":{\"model\":\"b\"}}}", API_EVENT_META, 0},
        {"{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use"
         "\","
         "\"id\":\"t\",\"name\":\"f\",\"input\":{}}}", API_EVENT_CONTENT, 0},
        {"{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":"
         "\"redacted_thinking\",\"data\":\"xyz\"}}", API_EVENT_CONTENT, 0},
        {"{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":"
         "\"web_search_tool_result\",\"tool_use_id\":\"t\",\"content\":[{}]}}",
         API_EVENT_CONTENT, 0},
        {"{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"text\":\"Hi\"}}",
         API_EVENT_CONTENT, 2},
        {"{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
         "\"text\":\"abc\"}}", API_EVENT_CONTENT, 3},
        {"{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
         "\"text\":\"\"}}", API_EVENT_META, 0},
        {"{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"thinking\":\"abcd\"}}",
         API_EVENT_CONTENT, 4},
        {"{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"signature\":\"abcd\"}}",
         API_EVENT_META, 0},
        {"{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"partial_json\":\"{\\\"\"}"
         "}",
         API_EVENT_CONTENT, 3},
        {"{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"citation\":{\"url\":\"u\""
         "}}}",
         API_EVENT_CONTENT, 0},
        {"{\"type\":\"content_block_stop\",\"index\":0}", API_EVENT_META, 0},
        {"{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":null}}", API_EVENT_META, 0},
        {"{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}",
         API_EVENT_FINISH, 0},
        {"{\"type\":\"message_stop\"}", API_EVENT_DONE, 0},
        {"{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"m\"}}",
         API_EVENT_ERROR, 0},
        {"{\"type\":\"error\"}", API_EVENT_ERROR, 0},
        {"[DONE]", API_EVENT_BAD, 0}, {"", API_EVENT_BAD, 0}, {"{", API_EVENT_BAD, 0},
        {"{\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}", API_EVENT_META, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct api_stream s = {0};
        struct api_event ev;
        kit_event(API_MESSAGES, cases[i].data, &s, &ev);
        if (ev.kind != cases[i].kind) print_error("%s\n", cases[i].data);
        assert_int_equal(ev.kind, cases[i].kind);
        assert_int_equal(ev.text_bytes, cases[i].text);
        assert_int_equal(ev.has_content, ev.kind == API_EVENT_CONTENT);
        assert_int_equal(ev.has_finish, ev.kind == API_EVENT_FINISH);
        assert_int_equal(ev.usage_at.key.end, 0);  /* nothing of it is ever cut out */
    }
}

/* Usage comes in parts: what a later part does not tell stays as it was. */
static void test_usage_of_a_stream(void **state)
{
    (void)state;
    static const struct { const char *data, *want; } cases[] = {
        {"{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":10,"
         "\"cache_read_input_tokens\":4,\"cache_creation_input_tokens\":9,\"cache_creation\":{"
         "\"ephemeral_1h_input_tokens\":3,\"ephemeral_5m_input_tokens\":6},"
         "\"output_tokens\":1}}}", "10 4 6 3 1 0 0 0 0 open"},
        {"{\"type\":\"ping\"}", "none"},
        {"{\"type\":\"message_delta\",\"usage\":{\"output_tokens\":20}}", "10 4 6 3 20 0 0 0 0"
         ""},
        {"{\"type\":\"message_delta\",\"usage\":{\"output_tokens\":30,\"input_tokens\":0,"
         "\"cache_creation_input_tokens\":12}}", "10 4 9 3 30 0 0 0 0"},
        {"{\"type\":\"message_delta\",\"usage\":{\"output_tokens\":31,\"input_tokens\":5}}",
         "5 4 9 3 31 0 0 0 0"},
        {"{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":1}}}",
         "1 0 0 0 0 0 0 0 0 open"},
        {"{\"type\":\"message_delta\",\"usage\":{\"output_tokens\":-1}}",
         "1 0 0 0 0 0 0 0 0 absurd"},
        {"{\"type\":\"message_delta\",\"usage\":{\"output_tokens\":2}}",
         "1 0 0 0 2 0 0 0 0 absurd"},
    };
    struct api_stream s = {0};
    struct api_event ev;
    for (size_t i = 0; i < COUNT(cases); i++) {
        kit_event(API_MESSAGES, cases[i].data, &s, &ev);
        assert_string_equal(kit_usage(&ev.usage), cases[i].want);
    }
}

/* A shape of one stream fits another; of chat it does not fit. */
static void test_shapes(void **state)
{
    (void)state;
    static const char data[] =
        "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
        "\"text\":\" and\"}                }";
    struct api_shapes shapes = {0};
    struct api_stream s = {0}, other = {0};
    struct api_event ev;
    api_event_read_like(bytes_of(data), API_MESSAGES, &s, &shapes, &ev);
    assert_int_equal(shapes.missed, 1);
    api_event_read_like(bytes_of(data), API_MESSAGES, &other, &shapes,
    &ev);  /* the first is read */
    assert_int_equal(shapes.missed, 2);
    api_event_read_like(bytes_of(data), API_MESSAGES, &other, &shapes, &ev);
    assert_int_equal(shapes.missed, 0);
    assert_int_equal(ev.kind, API_EVENT_CONTENT);
    assert_int_equal(ev.text_bytes, 4);
    api_event_read_like(bytes_of(data), API_CHAT, &other, &shapes, &ev);
    assert_int_equal(ev.kind, API_EVENT_META);
    api_event_read_like(bytes_of(data), API_RESPONSES, &other, &shapes, &ev);
    assert_int_equal(ev.kind, API_EVENT_CONTENT);  /* delta is an object: a tool's, to it */
    assert_int_equal(ev.text_bytes, 0);
}

/* ---- recordings ---- */

struct tally { size_t answers, streams, errors, contents; };

/* The counts of a usage object, added up by other means than the reader's. */
static void check_counts(const struct api_usage *u, struct bytes usage)
{
    uint32_t write = kit_number(usage, "cache_creation_input_tokens");
    uint32_t hour = kit_number(usage, "cache_creation.ephemeral_1h_input_tokens");
    assert_true(u->present);
    assert_false(u->absurd);
    assert_int_equal(u->input, kit_number(usage, "input_tokens"));
    assert_int_equal(u->cached, kit_number(usage, "cache_read_input_tokens"));
    assert_int_equal(u->cache_write + u->cache_write_1h, write);
    assert_int_equal(u->cache_write_1h, hour);
    assert_int_equal(u->output, kit_number(usage, "output_tokens"));
    assert_int_equal(u->reasoning, kit_number(usage, "output_tokens_details.thinking_tokens"));
}

/* The streams of a tape that joins several: each begins with message_start. */
static struct bytes first_stream(struct bytes text)
{
    struct bytes rest = text, mark = BYTES("event: message_start");
    if (rest.len < mark.len) return text;
    bytes_cut(&rest, mark.len);
    const char *next = memmem(rest.ptr, rest.len, mark.ptr, mark.len);
    return next ? bytes_between(text.ptr, next) : text;
}

static void check_stream(struct bytes text, struct tally *tally)
{
    struct kit_stream s;
    struct sse sse = {0};
    struct sse_event event;
    struct bytes rest = text, usage = {0}, found;
    kit_stream(API_MESSAGES, text, &s);
    assert_int_equal(s.bads, 0);
    assert_int_equal(s.dones, memmem(text.ptr, text.len, "\"message_stop\"", 14) ? 1 : 0);
    bool delta = memmem(text.ptr, text.len, "\"message_delta\"", 15) != NULL;
    if (delta) assert_true(s.finishes > 0);
    assert_int_equal(s.notes.id_len > 0, 1);
    assert_int_equal(s.notes.model_len > 0, 1);
    uint32_t input = 0;
    while (sse_next(&sse, &rest, &event) == NET_OK) {
        if (tape_path(event.data, "message.usage", &found)) {
            input = kit_number(found, "input_tokens");
        }
        if (tape_path(event.data, "usage", &found)) usage = found;
    }
    if (usage.len == 0) return;
    if (!tape_path(usage, "input_tokens", &found)) {
        assert_int_equal(s.usage.input, input);
        assert_int_equal(s.usage.output, kit_number(usage, "output_tokens"));
    } else if (tape_path(usage, "cache_creation", &found)) {
        check_counts(&s.usage, usage);
    } else {
        assert_int_equal(s.usage.input, kit_number(usage, "input_tokens"));
        assert_int_equal(s.usage.cached, kit_number(usage, "cache_read_input_tokens"));
        assert_int_equal(s.usage.output, kit_number(usage, "output_tokens"));
    }
    bool refused = memmem(text.ptr, text.len, "\"stop_reason\":\"refusal\"", 23) != NULL;
    if (s.usage.output > 3 && !refused) assert_true(s.contents > 0);
    tally->contents += s.contents > 0;
}

static void check_recorded(const struct tape *tape, void *arg)
{
    struct tally *tally = arg;
    struct bytes found;
    if (tape->answer.len > 0) {
        const struct api_answer *a = kit_answer(API_MESSAGES, tape->answer);
        assert_non_null(a);
        assert_int_equal(a->error, tape_path(tape->answer, "error", &found));
        tally->answers++;
        tally->errors += a->error;
        if (tape_path(tape->answer, "usage", &found)) check_counts(&a->usage, found);
        else assert_false(a->usage.present);
    }
    struct bytes rest = tape->events;
    while (rest.len > 0) {
        struct bytes one = first_stream(rest);
        check_stream(one, tally);
        bytes_cut(&rest, one.len);
        tally->streams++;
    }
}

static void test_recorded(void **state)
{
    (void)state;
    struct tally tally = {0};
    if (!tapes_each("anthropic-messages", check_recorded, &tally)) skip();
    assert_true(tally.answers >= 64);
    assert_true(tally.streams >= 100);
    assert_true(tally.contents >= 85);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage_of_answers),
        cmocka_unit_test(test_what_answers_say),
        cmocka_unit_test(test_what_events_are),
        cmocka_unit_test(test_usage_of_a_stream),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
