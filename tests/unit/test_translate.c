/* test_translate.c - every recorded request and answer, of every dialect, held to what must
 * hold of all (tr_props.h); and what translate.h does besides. */
#include "net/dialect/api_write.h"
#include "net/sse.h"
#include "net/translate/translate.h"
#include "openai_tape.h"
#include "tr_kit.h"
#include "tr_props.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct played { enum api api; size_t requests, answers, streams; const char *name; };

/* The data of all events, a line each. The caller frees. */
static struct bytes lines_of(struct bytes stream)
{
    char *lines = malloc(stream.len + 2);
    struct sse sse = {0};
    struct sse_event ev;
    size_t n = 0;
    assert_non_null(lines);
    while (sse_next(&sse, &stream, &ev) == NET_OK) {
        if (ev.data_lines == 0) continue;
        n += sse_join(&ev, lines + n);
        lines[n++] = '\n';
    }
    return (struct bytes){lines, n};
}

static void play(const struct tape *tape, void *arg)
{
    struct played *p = arg;
    if (getenv("WEIR_TAPES")) (void)fprintf(stderr, "%s\n", tape->name);
    if (tape->request.len > 0 && ask_reads(p->api)) {
        p->requests += props_ask(p->api, tape->request, tape->request.len % 61 + 1);
    }
    if (!tell_reads(p->api)) return;
    if (tape->answer.len > 0) {
        p->answers += props_tell_whole(p->api, tape->answer, tape->answer.len % 61 + 1);
    }
    if (tape->events.len > 0) {
        struct bytes lines = lines_of(tape->events);
        props_tell_stream(p->api, lines, lines.len % 61 + 1);
        props_tell_stream(p->api, lines, 1);
        free((void *)(uintptr_t)lines.ptr);
        p->streams++;
    }
}

static void test_recordings(void **state)
{
    (void)state;
    static const struct { const char *name; enum api api; } dialects[] = {
        {"openai-chat", API_CHAT}, {"openai-responses", API_RESPONSES},
        {"anthropic-messages", API_MESSAGES}, {"gemini-generate", API_GENERATE},
        {"cohere-chat", API_COHERE},
    };
    for (size_t i = 0; i < COUNT(dialects); i++) {
        struct played p = {.api = dialects[i].api, .name = dialects[i].name};
        if (!tapes_each(dialects[i].name, play, &p)) {
            print_message("no recordings here: skipped\n");
            skip();
        }
        print_message("%s: %zu requests, %zu answers, %zu streams\n", p.name, p.requests,
                      p.answers, p.streams);
    }
}

/* ---- what translate.h does besides ---- */

enum { LOG_MAX = 4096 };

struct fixture {             /* a stream that is being translated */
    struct translate t;
    struct tell_facts facts;
    struct kit_pen pen;
    char log[LOG_MAX];
    size_t log_room;
};
static struct fixture f;

static struct bytes log_piece(void *arg, uint64_t at)
{
    struct fixture *x = arg;
    return (struct bytes){x->log + at, (size_t)(x->t.keep.source.size - at)};
}

static bool log_put(void *arg, struct bytes b)
{
    struct fixture *x = arg;
    uint64_t size = x->t.keep.source.size;
    if (size + b.len > x->log_room) return false;
    memcpy(x->log + size, b.ptr, b.len);
    x->t.keep.source.size = size + b.len;
    return true;
}

static void stream_begin(enum api from, enum api to)
{
    f.log_room = LOG_MAX;
    f.facts = (struct tell_facts){.api = to, .seed = {1, 2}, .created = 1700000000,
        .model = "m", .cost_nusd = -1, .want_usage = true, .want_thoughts = true};
    f.t.facts = &f.facts;
    f.t.keep = (struct tell_keep){.put = log_put, .arg = &f, .source = {log_piece, &f, 0}};
    kit_pen(&f.pen, 0, NULL);
    translate_begin(&f.t, from);
}

static bool event(const char *data, const struct api_usage *usage)
{
    struct bytes text = bytes_of(data);
    struct walk_source source;
    walk_source_of(&source, &text);
    return translate_event(&f.t, (struct bytes){0}, &source, NULL, usage, &f.pen.pen);
}

/* What the stream holds so far; static text. */
static const char *stream_text(void)
{
    static char text[1 << 15];
    struct bytes out = kit_pen_text(&f.pen);
    assert_true(out.len < sizeof text);
    (void)snprintf(text, sizeof text, "%.*s", (int)out.len, out.ptr);
    return text;
}

static const char text_event[] =
    "{\"id\":\"c\",\"model\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}";
static const char stop_event[] =
    "{\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}";
static const struct api_usage used = {.present = true, .input = 41, .output = 17};

static void test_pairs(void **state)
{
    (void)state;
    static const enum api clients[] = {API_CHAT, API_RESPONSES, API_MESSAGES, API_GENERATE};
    for (size_t i = 0; i < COUNT(clients); i++) {
        for (size_t j = 0; j < COUNT(clients); j++) {
            assert_true(translate_can(clients[i], clients[j]));
        }
        assert_true(translate_can(clients[i], API_CONVERSE));
        assert_true(translate_can(clients[i], API_COHERE));
        assert_false(translate_can(API_CONVERSE, clients[i]));
        assert_false(translate_can(clients[i], API_EMBEDDINGS));
        assert_false(translate_can(clients[i], API_COUNT_TOKENS));
        assert_false(translate_can(API_GENERATE_COUNT, clients[i]));
    }
    assert_true(translate_can(API_COUNT_TOKENS, API_GENERATE_COUNT));
    assert_true(translate_can(API_EMBEDDINGS, API_EMBEDDINGS));
}

/* Usage that comes behind the finish, or with the end, is in the client's end. */
static void test_usage(void **state)
{
    (void)state;
    for (unsigned when = 0; when < 3; when++) {
        stream_begin(API_CHAT, API_MESSAGES);
        assert_true(event(text_event, NULL));
        assert_true(event(stop_event, when == 0 ? &used : NULL));
        if (when == 1) assert_true(event("{\"choices\":[]}", &used));
        assert_true(event("[DONE]", NULL));
        assert_null(strstr(stream_text(), "message_stop"));
        assert_true(translate_end(&f.t, when == 2 ? &used : NULL, &f.pen.pen));
        const char *all = stream_text();
        assert_non_null(strstr(all, "\"text\":\"hi\""));
        assert_non_null(strstr(all, "\"output_tokens\":17"));
        assert_non_null(strstr(all, "event: message_stop\n"));
        assert_true(translate_end(&f.t, &used, &f.pen.pen));
        assert_true(event(text_event, &used));
        assert_string_equal(stream_text(), all);
        kit_pen_free(&f.pen);
    }
}

/* Stopped by us: as if the limit had been reached; nothing comes behind it. */
static void test_stop(void **state)
{
    (void)state;
    static const struct { enum api to; const char *finish, *end; } cases[] = {
        {API_CHAT, "\"finish_reason\":\"length\"", "data: [DONE]\n\n"},
        {API_MESSAGES, "\"stop_reason\":\"max_tokens\"", "event: message_stop\n"},
        {API_RESPONSES, "\"reason\":\"max_output_tokens\"", "event: response.incomplete\n"},
        {API_GENERATE, "\"finishReason\":\"MAX_TOKENS\"", "\r\n\r\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (unsigned begun = 0; begun < 2; begun++) {
            enum api from = cases[i].to == API_CHAT ? API_GENERATE : API_CHAT;
            stream_begin(from, cases[i].to);
            if (begun && from == API_CHAT) assert_true(event(text_event, NULL));
            assert_true(translate_stop(&f.t, &used, &f.pen.pen));
            assert_true(translate_end(&f.t, &used, &f.pen.pen));
            assert_true(event(text_event, NULL));
            const char *all = stream_text();
            assert_non_null(strstr(all, cases[i].finish));
            assert_non_null(strstr(all, cases[i].end));
            kit_pen_free(&f.pen);
        }
    }
}

/* An error of ours has the next sequence number. */
static void test_fault(void **state)
{
    (void)state;
    const struct api_fault fault = {.status = 502, .code = "upstream_reset",
                                    .message = "the provider went away"};
    stream_begin(API_CHAT, API_RESPONSES);
    assert_true(event(text_event, NULL));
    char next[40];
    (void)snprintf(next, sizeof next, "\"sequence_number\":%u", f.t.writer.sequence);
    assert_true(f.t.writer.sequence > 2);
    assert_null(strstr(stream_text(), next));
    assert_true(translate_fault(&f.t, &fault, &f.pen.pen));
    assert_true(translate_end(&f.t, &used, &f.pen.pen));
    const char *all = stream_text();
    assert_non_null(strstr(all, next));
    assert_non_null(strstr(all, "event: error\n"));
    assert_null(strstr(all, "response.completed"));
    kit_pen_free(&f.pen);
}

/* No room in the log, or for what is written, is said. */
static void test_no_room(void **state)
{
    (void)state;
    stream_begin(API_CHAT, API_RESPONSES);
    f.log_room = 5;
    assert_false(event(text_event, NULL));
    kit_pen_free(&f.pen);
    stream_begin(API_CHAT, API_RESPONSES);
    f.pen.limit = 1;
    assert_false(event(text_event, NULL));
    kit_pen_free(&f.pen);
}

static void test_counts(void **state)
{
    (void)state;
    static const struct { enum api from, to; const char *in, *out; } cases[] = {
        {API_COUNT_TOKENS, API_GENERATE_COUNT, "{\"input_tokens\":12}",
         "{\"totalTokens\":12}"},
        {API_GENERATE_COUNT, API_COUNT_TOKENS, "{\"totalTokens\":7,\"x\":1}",
         "{\"input_tokens\":7}"},
        {API_GENERATE_COUNT, API_COUNT_TOKENS, "{\"totalTokens\":\"7\"}", NULL},
        {API_GENERATE_COUNT, API_COUNT_TOKENS, "[", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bytes in = bytes_of(cases[i].in);
        struct walk_source source;
        struct kit_pen k;
        f.facts.api = cases[i].to;
        walk_source_of(&source, &in);
        kit_pen(&k, 0, NULL);
        bool right = translate_whole(&f.facts, cases[i].from, &source, NULL, &k.pen);
        assert_int_equal(right, cases[i].out != NULL);
        assert_true(bytes_eq(kit_pen_text(&k), bytes_of(cases[i].out)));
        kit_pen_free(&k);
    }
}

/* A request's own faults are told before anything is written; what the answer will need of it
 * is noted. */
static void test_requests(void **state)
{
    (void)state;
    static struct ask ask;
    static const struct { const char *body; enum ask_rc rc; } cases[] = {
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],"
         "\"stream\":true,\"stream_options\":{\"include_usage\":true},"
         "\"parallel_tool_calls\":false}",
         ASK_WRITTEN},
        {"{\"messages\":", ASK_WRONG}, {"[]", ASK_WRONG},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"n\":2}",
         ASK_UNSAYABLE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ask_target target = {.api = API_MESSAGES, .model = BYTES("c"),
                                    .output_default = 99, .stream = true};
        struct bytes body = bytes_of(cases[i].body);
        struct walk_source source;
        walk_source_of(&source, &body);
        for (size_t limit = 0; limit < 2; limit++) {
            struct kit_pen k;
            kit_pen(&k, 0, NULL);
            if (limit) k.pen.full = true;
            memset(&f.facts, 0xFF, sizeof f.facts);
            enum ask_rc rc = translate_request(&ask, API_CHAT, &source, NULL, &target,
                                               &f.facts, &k.pen);
            bool full = limit && cases[i].rc != ASK_WRONG;
            assert_int_equal(rc, full ? ASK_NO_ROOM : cases[i].rc);
            if (rc != ASK_WRITTEN && rc != ASK_NO_ROOM) assert_true(ask.error[0] != '\0');
            if (i == 0) {
                assert_true(f.facts.api == API_CHAT && f.facts.want_usage);
                assert_false(f.facts.parallel);
                assert_int_equal(f.facts.names_len, 0);
            }
            kit_pen_free(&k);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recordings),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_fault),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
