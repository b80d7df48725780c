/* test_openai_event.c - what each event of a stream is taken for: made up, and every
 * recorded stream from its first byte to its last. Data ends at an unreadable page. */
#include "net/dialect/api.h"
#include "net/sse.h"
#include "openai_tape.h"
#include "wall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { AREA = 64 * WALL_PAGE };

static char *wall;  /* the first byte that must not be read */

static int setup(void **state)
{
    (void)state;
    wall = wall_end(AREA);
    return 0;
}

static void read_event(struct bytes data, struct api_event *ev)
{
    memset(ev, 0xAA, sizeof *ev);
    assert_true(data.len <= AREA);
    if (data.len > 0) memcpy(wall - data.len, data.ptr, data.len);
    struct api_stream stream = {0};
    api_event_read((struct bytes){wall - data.len, data.len}, API_CHAT, &stream, ev);
}

static const char *const kinds[] = {
    [API_EVENT_META] = "meta", [API_EVENT_CONTENT] = "content",
    [API_EVENT_FINISH] = "finish", [API_EVENT_USAGE] = "usage",
    [API_EVENT_DONE] = "done", [API_EVENT_ERROR] = "error", [API_EVENT_BAD] = "bad",
};

static void check(const char *data, const char *kind, bool content, unsigned text_bytes)
{
    struct api_event ev;
    read_event(bytes_of(data), &ev);
    if (strcmp(kinds[ev.kind], kind) != 0) print_error("%s\n", data);
    assert_string_equal(kinds[ev.kind], kind);
    assert_int_equal(ev.has_content, content);
    assert_int_equal(ev.text_bytes, text_bytes);
    assert_int_equal(ev.has_finish, strcmp(kind, "finish") == 0);
}

static void test_kinds(void **state)
{
    (void)state;
    static const struct { const char *data, *kind; } cases[] = {
        {"[DONE]", "done"}, {" [DONE] ", "done"}, {"\"[DONE]\"", "meta"}, {"[done]", "bad"},
        {"", "bad"}, {"{", "bad"}, {"{}}", "bad"}, {"{\"a\":\"\xC3\"}", "bad"}, {"x", "bad"},
        {"{\"choices\":[{\"delta\":{\"content\":\"hi\"}}]", "bad"},
        {"{}", "meta"}, {"[]", "meta"}, {"7", "meta"}, {"{\"value\":\"!\"}", "meta"},
        {"{\"choices\":[]}", "meta"},
        {"{\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}]}", "meta"},
        {"{\"choices\":[],\"usage\":null}", "meta"},
        {"{\"choices\":[],\"usage\":{\"prompt_tokens\":1}}", "usage"},
        {"{\"usage\":{\"prompt_tokens\":1}}", "usage"},
        {"{\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":1}}", "meta"},
        {"{\"choices\":[],\"x_groq\":{\"usage\":{\"prompt_tokens\":1}}}", "meta"},
        {"{\"error\":{\"message\":\"m\"}}", "error"}, {"{\"error\":\"m\"}", "error"},
        {"{\"error\":null,\"choices\":[]}", "meta"},
        {"{\"object\":\"error\",\"message\":\"m\"}", "error"},
        {"{\"choices\":[{\"delta\":{},\"finish_reason\":\"error\"}],\"error\":{}}", "error"},
    };
    struct api_event ev;
    for (size_t i = 0; i < COUNT(cases); i++) {
        read_event(bytes_of(cases[i].data), &ev);
        if (strcmp(kinds[ev.kind], cases[i].kind) != 0) print_error("%s\n", cases[i].data);
        assert_string_equal(kinds[ev.kind], cases[i].kind);
    }
}

/* What a client could miss commits a stream; roles and empty texts do not. */
static void test_what_commits(void **state)
{
    (void)state;
    static const struct { const char *delta; unsigned bytes; bool content; } cases[] = {
        {"{}", 0, false},
        {"null", 0, false},
        {"{\"role\":\"assistant\",\"content\":\"\"}", 0, false},
        {"{\"role\":\"assistant\",\"content\":null,\"refusal\":null,\"tool_calls\":null}", 0,
         false},
        {"{\"content\":\"Hi\"}", 2, true},
        {"{\"content\":\"\\u0000\"}", 6, true},
        {"{\"content\":[]}", 0, false},
        {"{\"content\":[{\"type\":\"text\",\"text\":\"\"}]}", 0, false},
        {"{\"content\":[{\"type\":\"text\",\"text\":\"Hi\"}]}", 2, true},
        {"{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":"
         "\"abc\"}]}]}", 3, true},
        {"{\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"http://x\"}}]}", 0,
         true},
        {"{\"reasoning_content\":\"Hm\"}", 2, true},
        {"{\"reasoning_content\":\"\",\"content\":null}", 0, false},
        {"{\"reasoning\":\"Hm\",\"reasoning_content\":\"Hm\"}", 2, true},
        {"{\"reasoning\":null,\"reasoning_details\":[]}", 0, false},
        {"{\"reasoning_details\":[{\"type\":\"reasoning.text\"}]}", 0, true},
        {"{\"refusal\":\"No\"}", 2, true},
        {"{\"tool_calls\":[]}", 0, false},
        {"{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}", 0,
         true},
        {"{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"\"}}]}", 3, true},
        {"{\"function_call\":{\"arguments\":\"a\"}}", 1, true},
        {"{\"function_call\":null}", 0, false},
        {"{\"function_call\":{}}", 0, false},
        {"{\"audio\":{\"id\":\"a\"}}", 0, true},
        {"{\"audio\":{\"transcript\":\"hey\"}}", 3, true},
        {"{\"audio\":null,\"annotations\":[],\"images\":[]}", 0, false},
        {"{\"images\":[{\"type\":\"image_url\"}]}", 0, true},
        {"{\"annotations\":[{\"type\":\"url_citation\"}]}", 0, true},
        {"{\"unknown\":\"abc\",\"logprobs\":{\"content\":\"abc\"}}", 0, false},
    };
    char data[512];
    for (size_t i = 0; i < COUNT(cases); i++) {
        (void)snprintf(data, sizeof data,
                       "{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":"
                       "[{\"index\":0,\"delta\":%s,\"finish_reason\":null}]}", cases[i].delta);
        check(data, cases[i].content ? "content" : "meta", cases[i].content, cases[i].bytes);
        (void)snprintf(data, sizeof data, "{\"choices\":[{\"finish_reason\":\"stop\","
                       "\"delta\":%s}]}", cases[i].delta);
        check(data, "finish", cases[i].content, cases[i].bytes);
    }
}

static void test_other_forms_of_a_choice(void **state)
{
    (void)state;
    check("{\"choices\":[{\"text\":\"abc\",\"finish_reason\":null}]}", "content", true, 3);
    check("{\"choices\":[{\"text\":\"\",\"finish_reason\":\"\"}]}", "meta", false, 0);
    check("{\"choices\":[{\"message\":{\"content\":\"abc\"}}]}", "content", true, 3);
    /* Perplexity: the text so far is no news */
    check("{\"choices\":[{\"delta\":{\"content\":\"\"},\"message\":{\"content\":\"abc\"}}]}",
          "meta", false, 0);
    check("{\"choices\":[{\"message\":{\"content\":\"abc\"},\"delta\":{\"content\":\"c\"}}]}",
          "content", true, 1);
    check("{\"choices\":[{\"text\":\"ab\",\"delta\":{\"content\":\"ab\"}}]}", "content", true,
          2);
    check("{\"choices\":[{\"delta\":{}},{\"delta\":{\"content\":\"x\"}}]}", "content", true, 1);
    check("{\"choices\":[{\"delta\":{\"content\":\"x\"}},{\"delta\":{}}]}", "content", true, 1);
    check("{\"choices\":[{\"text\":\"x\",\"finish_reason\":\"length\"}]}", "finish", true, 1);
}

static void test_usage_of_events(void **state)
{
    (void)state;
    struct api_event ev;
    read_event(BYTES("{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"x_groq\":{"
                     "\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":26}}}"), &ev);
    assert_int_equal(ev.kind, API_EVENT_FINISH);
    assert_true(ev.usage.present);
    assert_int_equal(ev.usage.input, 12);
    assert_int_equal(ev.usage_at.key.end, 0);
    read_event(BYTES("{\"x_groq\":{\"usage\":{\"prompt_tokens\":1}},\"usage\":{"
                     "\"prompt_tokens\":2}}"), &ev);
    assert_int_equal(ev.usage.input, 2);
    read_event(BYTES("{\"usage\":null}"), &ev);
    assert_false(ev.usage.present);
}

/* What the engine does for a client that did not ask: the member goes, its comma too. */
static void test_usage_can_be_cut_out(void **state)
{
    (void)state;
    static const struct { const char *data, *want; bool first; } cases[] = {
        {"{\"id\":1,\"usage\":null}", "{\"id\":1}", false},
        {"{\"id\":1 , \"usage\" : { \"prompt_tokens\" : 2 } , \"x\":[1]}",
         "{\"id\":1 , \"x\":[1]}", false},
        {"{\"usage\":null,\"id\":1}", "{\"id\":1}", true},
        {"{ \"usage\": {} , \"id\":1}", "{ \"id\":1}", true},
        {"{\"usage\":null}", "{}", true},
        {"{\"a\":{\"usage\":1},\"usage\":[3],\"b\":{\"usage\":2}}",
         "{\"a\":{\"usage\":1},\"b\":{\"usage\":2}}", false},
        {"{\"choices\":[],\"usage\":7.5,\"error\":{\"code\":1}}",
         "{\"choices\":[],\"error\":{\"code\":1}}", false},
    };
    struct api_event ev;
    char out[256];
    for (size_t i = 0; i < COUNT(cases); i++) {
        read_event(bytes_of(cases[i].data), &ev);
        assert_int_equal(ev.usage_first, cases[i].first);
        assert_memory_equal(cases[i].data + ev.usage_at.key.start, "\"usage\"", 7);
        struct api_span cut = api_member_cut(&ev.usage_at);
        (void)snprintf(out, sizeof out, "%.*s%s", (int)cut.start, cases[i].data,
                       cases[i].data + cut.end);
        assert_string_equal(out, cases[i].want);
    }
    read_event(BYTES("{\"a\":1,\"b\":{\"usage\":1}}"), &ev);
    assert_int_equal(ev.usage_at.key.end, 0);
    assert_false(ev.usage_first);
}

static void test_errors_tell_status_and_text(void **state)
{
    (void)state;
    struct api_event ev;
    read_event(BYTES("{\"id\":\"g\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},"
                     "\"finish_reason\":\"error\"}],\"error\":{\"code\":502,\"message\":"
                     "\"Provider \\\"x\\\" gone\"}}"), &ev);
    assert_int_equal(ev.kind, API_EVENT_ERROR);
    assert_int_equal(ev.error_status, 502);
    assert_string_equal(ev.error_text, "Provider \"x\" gone");
    read_event(BYTES("{\"error\":{\"code\":\"rate_limit\",\"type\":\"x\"}}"), &ev);
    assert_int_equal(ev.error_status, 0);
    assert_string_equal(ev.error_text, "");
}

/* A prefix of a chunk is never taken for a chunk. */
static void test_a_cut_chunk_is_bad(void **state)
{
    (void)state;
    static const char chunk[] = "{\"id\":\"x\",\"choices\":[{\"delta\":{\"content\":"
                                "\"h\\u00e9\"},\"finish_reason\":null}],"
                                "\"usage\":{\"prompt_tokens\":1}}";
    struct api_event ev;
    for (size_t len = 0; len < sizeof chunk - 1; len++) {
        read_event((struct bytes){chunk, len}, &ev);
        assert_int_equal(ev.kind, API_EVENT_BAD);
        assert_false(ev.has_content || ev.has_finish || ev.usage.present);
    }
    read_event((struct bytes){chunk, sizeof chunk - 1}, &ev);
    assert_int_equal(ev.kind, API_EVENT_CONTENT);
}

struct stream { size_t events, contents, finishes, usages, done, text, prompt, output; };

static void count_event(struct stream *s, struct bytes data)
{
    struct api_event ev;
    struct bytes found;
    read_event(data, &ev);
    s->events++;
    assert_int_not_equal(ev.kind, API_EVENT_BAD);
    s->contents += ev.has_content;
    s->finishes += ev.has_finish;
    s->text += ev.text_bytes;
    s->done += ev.kind == API_EVENT_DONE;
    bool has = tape_path(data, "usage", &found) && *found.ptr == '{';
    bool groq = !has && tape_path(data, "x_groq.usage", &found);
    assert_int_equal(ev.usage.present, has || groq);
    assert_false(ev.usage.absurd);
    if (has) assert_int_equal(ev.usage_at.value.start, found.ptr - data.ptr);
    if (has) assert_int_equal(ev.usage_at.value.end - ev.usage_at.value.start, found.len);
    if (!ev.usage.present) return;
    struct bytes text;
    uint64_t value = 0;
    s->usages++;
    s->prompt = ev.usage.input + ev.usage.cached + ev.usage.audio_input;
    s->output = ev.usage.output + ev.usage.audio_output;
    assert_true(tape_path(found, "prompt_tokens", &text) && bytes_u64(text, &value));
    assert_int_equal(s->prompt, value);
    assert_true(tape_path(found, "completion_tokens", &text) && bytes_u64(text, &value));
    assert_true(s->output >= value);
}

struct tally { size_t streams, finished, done, usages; };

static void check_recorded(const struct tape *tape, void *arg)
{
    struct tally *tally = arg;
    struct stream s = {0};
    struct sse sse = {0};
    struct sse_event event;
    struct bytes in = tape->events;
    if (in.len == 0) return;
    while (sse_next(&sse, &in, &event) == NET_OK) {
        if (event.data_lines == 1) count_event(&s, event.data);
    }
    if (in.len > 0 && sse_finish(&sse, in, &event) == NET_OK) count_event(&s, event.data);
    const char *text = tape->events.ptr;
    size_t len = tape->events.len;
    bool has_stop = memmem(text, len, "\"finish_reason\":\"", 17) ||
                    memmem(text, len, "\"finish_reason\": \"", 18);
    assert_int_equal(s.finishes > 0, has_stop);
    assert_int_equal(s.done, memmem(text, len, "data: [DONE]", 12) ? 1 : 0);
    if (s.output > 0 && s.events > 4) assert_true(s.contents > 0);
    tally->streams++;
    tally->finished += s.finishes > 0;
    tally->done += s.done;
    tally->usages += s.usages > 0;
}

static void test_recorded_streams(void **state)
{
    (void)state;
    struct tally tally = {0};
    if (!tapes_each("openai-chat", check_recorded, &tally)) skip();
    assert_true(tapes_each("openai-completions", check_recorded, &tally));
    assert_true(tally.streams > 90);
    assert_true(tally.finished > 90);
    assert_true(tally.done > 85);
    assert_true(tally.usages > 40);
}

/* ---- shapes ---- */

static const char shaped[] =
    "{\"id\":\"chatcmpl-B9MBs8Cj10\",\"object\":\"chat.completion.chunk\","
    "\"created\":1741569910,\"model\":\"gpt-4o\",\"usage\":null,\"choices\":[{\"index\":0,"
    "\"delta\":{\"content\":\" and\"},\"logprobs\":null,\"finish_reason\":null}],"
    "\"fingerprint\":\"fp_1\"}";

/* Read data, at the wall, after shaped: as if nothing had been before it. */
static void check_like(struct bytes data)
{
    struct api_event plain, like;
    struct api_shapes shapes = {0};
    struct api_stream stream = {0};
    api_event_read_like(bytes_of(shaped), API_CHAT, &stream, &shapes, &like);
    assert_int_equal(shapes.missed, 1);
    read_event(data, &plain);
    memset(&like, 0xAA, sizeof like);
    api_event_read_like((struct bytes){wall - data.len, data.len}, API_CHAT, &stream,
                        &shapes, &like);
    assert_int_equal(like.kind, plain.kind);
    assert_int_equal(like.has_content, plain.has_content);
    assert_int_equal(like.has_finish, plain.has_finish);
    assert_int_equal(like.text_bytes, plain.text_bytes);
    assert_int_equal(like.usage_first, plain.usage_first);
    assert_int_equal(like.error_status, plain.error_status);
    assert_string_equal(like.error_text, plain.error_text);
    assert_memory_equal(&like.usage, &plain.usage, sizeof like.usage);
    assert_memory_equal(&like.usage_at, &plain.usage_at, sizeof like.usage_at);
}

static void test_a_shape_tells_what_reading_tells(void **state)
{
    (void)state;
    static const char *const put[] = {"x", "xy", "7", "\"", "\\", "\\n", "}", "\x01",
                                      "\xC3\xA9", "\xFF", " ", "\x7F", ""};
    size_t len = sizeof shaped - 1;
    char text[sizeof shaped + 8];
    for (size_t at = 0; at <= len; at++) {
        for (unsigned c = 0; at < len && c < 256; c++) {
            memcpy(text, shaped, len);
            text[at] = (char)c;
            check_like((struct bytes){text, len});
        }
        for (size_t k = 0; k < COUNT(put); k++) {
            for (size_t gone = 0; gone < 5 && gone <= len - at; gone++) {
                size_t n = strlen(put[k]);
                memcpy(text, shaped, at);
                memcpy(text + at, put[k], n);
                memcpy(text + at + n, shaped + at + gone, len - at - gone);
                check_like((struct bytes){text, len + n - gone});
            }
        }
    }
}

/* Which events fit the shape of shaped, and which do not. */
static void test_what_fits_a_shape(void **state)
{
    (void)state;
    static const struct { const char *from, *to; bool fits; } cases[] = {
        {" and", "x", true}, {" and", "a text that is longer than two lanes are", true},
        {"Cj10", "xX_9", true}, {"1741569910", "1799999999", true}, {"gpt-4o", "qwen-7", true},
        {"fp_1", "fp-2", true},
        {" and", "", false}, {" and", "caf\xC3\xA9", false}, {" and", "\\n", false},
        {" and", "a\nb", false}, {"Cj10", "Cj1", false}, {"Cj10", "Cj\\n", false},
        {"1741569910", "2741569910", false}, {"1741569910", "17415699.0", false},
        {"chunk", "chunx", false}, {"content", "refusal", false},
        {"\"index\":0", "\"index\":1", false},
        {"reason\":null", "reason\":true", false}, {"Cj10", "C\x7Fj1", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct api_shapes shapes = {0};
        struct api_stream stream = {0};
        struct api_event ev;
        char text[512];
        const char *at = strstr(shaped, cases[i].from);
        int n = snprintf(text, sizeof text, "%.*s%s%s", (int)(at - shaped), shaped, cases[i].to,
                         at + strlen(cases[i].from));
        assert_true(n > 0 && (size_t)n < sizeof text);
        api_event_read_like(bytes_of(shaped), API_CHAT, &stream, &shapes, &ev);
        api_event_read_like(bytes_of(text), API_CHAT, &stream, &shapes, &ev);
        if ((shapes.missed == 0) != cases[i].fits) print_error("%s\n", cases[i].to);
        assert_int_equal(shapes.missed == 0, cases[i].fits);
        check_like(bytes_of(text));
    }
}

/* What two texts make up, or one that is not told by its length, has no shape. */
static void test_what_has_no_shape(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "\"delta\":{\"content\":\"hello\",\"refusal\":\"x\"}",
        "\"delta\":{\"content\":[{\"type\":\"text\",\"text\":\"hello\"}]}",
        "\"delta\":{\"content\":[{\"text\":\"hello\"}]},\"message\":{\"content\":\"world\"}",
        "\"delta\":{},\"message\":{\"content\":\"hello\"}",
        "\"delta\":{\"content\":\"h\\u00e9\"}",
        "\"delta\":{\"content\":\"hello\"},\"finish_reason\":\"stop\"",
        "\"delta\":{\"content\":\"caf\xC3\xA9\"}", "\"delta\":{\"content\":\"\"}",
        "\"delta\":{\"content\":\"hello\"},\"seed\":\"a\\nb\"",
        "\"delta\":{\"tool_calls\":[{}]},\"message\":{\"content\":\"hello\"}",
        "\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":\"hello\"}}]}",
        "\"delta\":{\"reasoning\":\"hello\",\"reasoning_content\":\"hello\"}",
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct api_shapes shapes = {0};
        struct api_stream stream = {0};
        struct api_event ev;
        char text[512];
        (void)snprintf(text, sizeof text, "{\"id\":\"chatcmpl-1\",\"choices\":[{%s}],"
                       "\"model\":\"gpt-4o\"}", cases[i]);
        api_event_read_like(bytes_of(text), API_CHAT, &stream, &shapes, &ev);
        if (shapes.at[1].head != 0) print_error("%s\n", text);
        for (size_t k = 0; k < API_SHAPES; k++) assert_int_equal(shapes.at[k].head, 0);
    }
}

/* More kinds of events than there is room for are read all the same. */
static void test_shapes_make_room(void **state)
{
    (void)state;
    struct api_shapes shapes = {0};
    struct api_stream stream = {0};
    struct api_event ev;
    for (unsigned i = 0; i < 1000; i++) {
        char text[256];
        unsigned kind = i % 7;
        (void)snprintf(text, sizeof text, "{\"choices\":[{%.*s\"delta\":{\"content\":"
                       "\"%u\"}}],\"model\":\"gpt-4o\"}", (int)kind, "      ", i);
        api_event_read_like(bytes_of(text), API_CHAT, &stream, &shapes, &ev);
        assert_int_equal(ev.kind, API_EVENT_CONTENT);
        assert_int_equal(ev.text_bytes, i < 10 ? 1 : i < 100 ? 2 : 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_what_commits),
        cmocka_unit_test(test_other_forms_of_a_choice),
        cmocka_unit_test(test_usage_of_events),
        cmocka_unit_test(test_usage_can_be_cut_out),
        cmocka_unit_test(test_errors_tell_status_and_text),
        cmocka_unit_test(test_a_cut_chunk_is_bad),
        cmocka_unit_test(test_recorded_streams),
        cmocka_unit_test(test_a_shape_tells_what_reading_tells),
        cmocka_unit_test(test_what_fits_a_shape),
        cmocka_unit_test(test_what_has_no_shape),
        cmocka_unit_test(test_shapes_make_room),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
