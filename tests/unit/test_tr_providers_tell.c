/* test_tr_providers_tell.c - answers of Bedrock's Converse and Cohere's v2 chat in the neutral
 * form, streamed and whole, from every cut; and the recorded ones. */
#include "net/eventstream.h"
#include "net/sse.h"
#include "net/translate/tell.h"
#include "net/translate/walk.h"
#include "openai_tape.h"
#include "tr_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROOM = 65536 };

struct heard { char at[ROOM]; size_t len; unsigned finishes, ends, calls; bool signing; };
static struct heard heard;

static void __attribute__((format(printf, 1, 2))) note(const char *form, ...)
{
    va_list args;
    va_start(args, form);
    int len = vsnprintf(heard.at + heard.len, ROOM - heard.len, form, args);
    va_end(args);
    assert_true(len >= 0 && (size_t)len < ROOM - heard.len);
    heard.len += (size_t)len;
}

/* One line a block; what is said in parts is put together. */
static bool take(void *arg, const struct tell *t)
{
    static const char *const blocks[] = {"text", "refusal", "thinking", "call"};
    (void)arg;
    switch (t->kind) {
    case TELL_START: note("start %.*s\n", (int)t->id.len, t->id.ptr); break;
    case TELL_OPEN:
        note("%s", blocks[t->block]);
        if (t->block == TELL_CALL) {
            heard.calls++;
            note(" %.*s %.*s", (int)t->id.len, t->id.ptr, (int)t->name.len, t->name.ptr);
        }
        note(":");
        break;
    case TELL_MORE:
        for (size_t i = 0; i < t->text.len; i++) {   /* a value as the text of one */
            note("%s%c", t->value && t->text.ptr[i] == '"' ? "\\" : "", t->text.ptr[i]);
        }
        break;
    case TELL_SIGN:
        assert_int_equal(t->maker, MAKER_CONVERSE);
        note("%s%.*s", heard.signing ? "" : "~", (int)t->text.len, t->text.ptr);
        heard.signing = true;
        return true;
    case TELL_CITE: note("<%.*s>", (int)t->url.len, t->url.ptr); break;
    case TELL_CLOSE: note("\n"); break;
    case TELL_FINISH:
        heard.finishes++;
        note("finish %d\n", t->finish);
        break;
    case TELL_END: heard.ends++; break;
    default: fail();
    }
    heard.signing = false;
    return true;
}

static void tell_one(struct tell_reader *r, struct bytes name, struct bytes data, size_t step,
                     bool whole)
{
    struct kit_pieces pieces;
    struct walk_source source = kit_pieces(&pieces, data, step);
    struct walk w;
    struct node root;
    assert_true(walk_open(&w, &source, NULL, &root));
    assert_true(whole ? tell_whole(r, &w, root) : tell_event(r, name, &w, root));
    kit_pieces_free(&pieces);
}

static void begin(struct tell_reader *r, enum api api)
{
    heard = (struct heard){0};
    tell_begin(r, api, 1, take, NULL);
}

struct said { const char *name, *data; };

static void check_stream(enum api api, const struct said *events, const char *want)
{
    for (size_t step = 0; step < 200; step += 1 + step / 2) {
        struct tell_reader r;
        begin(&r, api);
        for (const struct said *e = events; e->data; e++) {
            tell_one(&r, bytes_of(e->name), bytes_of(e->data), step, false);
        }
        assert_true(tell_end(&r));
        assert_string_equal(heard.at, want);
        assert_int_equal(heard.ends, 1);
    }
}

static void check_whole(enum api api, const char *data, const char *want)
{
    for (size_t step = 0; step < 200; step += 1 + step / 2) {
        struct tell_reader r;
        begin(&r, api);
        tell_one(&r, (struct bytes){0}, bytes_of(data), step, true);
        assert_string_equal(heard.at, want);
        assert_int_equal(heard.ends, 1);
    }
}

static void test_converse(void **state)
{
    (void)state;
    static const struct said events[] = {
        {"messageStart", "{\"role\":\"assistant\",\"p\":\"ab\"}"},
        {"contentBlockDelta", "{\"contentBlockIndex\":0,\"delta\":{\"reasoningContent\":{"
         "\"text\":\"hm\"}},\"p\":\"x\"}"},
        {"contentBlockDelta", "{\"contentBlockIndex\":0,\"delta\":{\"reasoningContent\":{"
         "\"signature\":\"c2ln\"}}}"},
        {"contentBlockStop", "{\"contentBlockIndex\":0}"},
        {"contentBlockDelta", "{\"contentBlockIndex\":1,\"delta\":{\"reasoningContent\":{"
         "\"redactedContent\":\"cmVk\"}}}"},
        {"contentBlockStop", "{\"contentBlockIndex\":1}"},
        {"contentBlockDelta", "{\"contentBlockIndex\":2,\"delta\":{\"text\":\"a\\nb\"}}"},
        {"contentBlockDelta", "{\"contentBlockIndex\":2,\"delta\":{\"text\":\"c\"}}"},
        {"contentBlockDelta", "{\"contentBlockIndex\":2,\"delta\":{\"citation\":{\"title\":"
         "\"t\",\"location\":{\"web\":{\"url\":\"https://h/\"}}}}}"},
        {"contentBlockStop", "{\"contentBlockIndex\":2}"},
        {"contentBlockStart", "{\"contentBlockIndex\":3,\"start\":{\"toolUse\":{\"name\":\"f\","
         "\"toolUseId\":\"i1\"}}}"},
        {"contentBlockDelta", "{\"contentBlockIndex\":3,\"delta\":{\"toolUse\":{\"input\":"
         "\"\"}}}"},
        {"contentBlockDelta", "{\"contentBlockIndex\":3,\"delta\":{\"toolUse\":{\"input\":"
         "\"{\\\"a\\\":\"}}}"},
        {"contentBlockDelta", "{\"contentBlockIndex\":3,\"delta\":{\"toolUse\":{\"input\":"
         "\"1}\"}}}"},
        {"contentBlockStop", "{\"contentBlockIndex\":3}"},
        {"contentBlockStart", "{\"contentBlockIndex\":4,\"start\":{\"toolUse\":{\"name\":\"g\","
         "\"toolUseId\":\"i2\"}}}"},
        {"contentBlockStop", "{\"contentBlockIndex\":4}"},
        {"messageStop", "{\"stopReason\":\"tool_use\"}"},
        {"contentBlockDelta", "{\"contentBlockIndex\":5,\"delta\":{\"reasoningContent\":{"
         "\"redactedContent\":\"cmVk\"}}}"},
        {"metadata", "{\"usage\":{\"inputTokens\":1}}"},
        {"laterInvention", "{\"text\":\"x\"}"}, {NULL, NULL},
    };
    check_stream(API_CONVERSE, events,
                 "start \nthinking:hm~c2ln\nthinking:~redactedcmVk\ntext:a\\nbc<https://h/>\n"
                 "call i1 f:{\\\"a\\\":1}\ncall i2 g:\nfinish 4\n");
    check_whole(API_CONVERSE,
                "{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[{"
                "\"reasoningContent\":{\"reasoningText\":{\"text\":\"hm\",\"signature\":"
                "\"c2ln\"}}},{\"reasoningContent\":{\"redactedContent\":\"cmVk\"}},{\"text\":"
                "\"a\"},{\"text\":\"b\"},{\"citationsContent\":{\"content\":[{\"text\":\"c\"}],"
                "\"citations\":[{\"location\":{\"web\":{\"url\":\"https://h/\"}}}]}},{"
                "\"toolUse\":{\"toolUseId\":\"i1\",\"name\":\"f\",\"input\":{\"a\":1}}}]}},"
                "\"stopReason\":\"max_tokens\",\"usage\":{\"inputTokens\":1}}",
                "start \nthinking:hm~c2ln\nthinking:~redactedcmVk\ntext:a\ntext:b\n"
                "text:c<https://h/>\ncall i1 f:{\\\"a\\\":1}\nfinish 2\n");
}

static void test_cohere(void **state)
{
    (void)state;
#define SAID(type, index, message) \
    {"", "{\"type\":\"" type "\",\"index\":" index ",\"delta\":{\"message\":" message "}}"}
    static const struct said events[] = {
        {"message-start", "{\"id\":\"m1\",\"type\":\"message-start\",\"delta\":{\"message\":{"
         "\"role\":\"assistant\",\"content\":[],\"tool_plan\":\"\"}}}"},
        SAID("content-start", "0", "{\"content\":{\"type\":\"thinking\",\"thinking\":\"\"}}"),
        SAID("content-delta", "0", "{\"content\":{\"thinking\":\"hm\"}}"),
        {"", "{\"type\":\"content-end\",\"index\":0}"},
        SAID("content-start", "1", "{\"content\":{\"type\":\"text\",\"text\":\"\"}}"),
        SAID("content-delta", "1", "{\"content\":{\"text\":\"a\"}}"),
        SAID("content-delta", "1", "{\"content\":{\"text\":\"b\"}}"),
        SAID("citation-start", "0", "{\"citations\":{\"sources\":[{\"type\":\"document\","
             "\"document\":{\"url\":\"https://h/\",\"title\":\"t\"}},{\"type\":\"tool\"}]}}"),
        {"", "{\"type\":\"content-end\",\"index\":1}"},
        SAID("tool-plan-delta", "0", "{\"tool_plan\":\"I will\"}"),
        SAID("tool-call-start", "0", "{\"tool_calls\":{\"id\":\"i1\",\"type\":\"function\","
             "\"function\":{\"name\":\"f\",\"arguments\":\"\"}}}"),
        SAID("tool-call-delta", "0", "{\"tool_calls\":{\"function\":{\"arguments\":\"{}\"}}}"),
        {"", "{\"type\":\"tool-call-end\",\"index\":0}"},
        SAID("tool-call-start", "1", "{\"tool_calls\":{\"id\":\"i2\",\"type\":\"function\","
             "\"function\":{\"name\":\"g\",\"arguments\":\"null\"}}}"),
        {"", "{\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"TOOL_CALL\"}}"},
        {NULL, NULL},
    };
    check_stream(API_COHERE, events,
                 "start m1\nthinking:hm\ntext:ab<https://h/>\ntext:I will\ncall i1 f:{}\n"
                 "call i2 g:\nfinish 4\n");
    check_whole(API_COHERE,
                "{\"id\":\"m1\",\"message\":{\"role\":\"assistant\",\"tool_plan\":\"I will\","
                "\"tool_calls\":[{\"id\":\"i1\",\"type\":\"function\",\"function\":{\"name\":"
                "\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}],\"content\":[{\"type\":\"thinking\","
                "\"thinking\":\"hm\"},{\"type\":\"text\",\"text\":\"a\"}]},\"finish_reason\":"
                "\"COMPLETE\"}",
                "start m1\ntext:I will\nthinking:hm\ntext:a\ncall i1 f:{\\\"a\\\":1}\n"
                "finish 4\n");
}

struct tally { unsigned streams, answers, calls; };

static void check_ends(struct tally *all)
{
    assert_int_equal(heard.finishes, 1);
    assert_int_equal(heard.ends, 1);
    all->calls += heard.calls;
}

static void check_converse(const struct tape *tape, void *arg)
{
    struct tally *all = arg;
    struct tell_reader r;
    struct bytes in = tape->events;
    struct eventstream_message m;
    size_t need;
    if (tape->answer.len > 0) {
        begin(&r, API_CONVERSE);
        tell_one(&r, (struct bytes){0}, tape->answer, 0, true);
        check_ends(all);
        all->answers++;
    }
    if (!tape->binary) return;
    begin(&r, API_CONVERSE);
    while (in.len > 0) {
        assert_int_equal(eventstream_next(&in, &m, &need), NET_OK);
        tell_one(&r, m.name, m.payload, 7, false);
    }
    assert_true(tell_end(&r));
    check_ends(all);
    all->streams++;
}

static void check_cohere(const struct tape *tape, void *arg)
{
    struct tally *all = arg;
    struct tell_reader r;
    struct bytes in = tape->events, found;
    struct sse sse = {0};
    struct sse_event ev;
    if (tape->answer.len > 0 && tape_path(tape->answer, "message.role", &found)) {
        begin(&r, API_COHERE);
        tell_one(&r, (struct bytes){0}, tape->answer, 0, true);
        check_ends(all);
        all->answers++;
    }
    if (!memmem(in.ptr ? in.ptr : "", in.len, "message-start", 13)) return;
    begin(&r, API_COHERE);
    while (sse_next(&sse, &in, &ev) == NET_OK) {
        if (*ev.data.ptr == '{') tell_one(&r, ev.event, ev.data, 11, false);
    }
    assert_true(tell_end(&r));
    check_ends(all);
    all->streams++;
}

static void test_recorded(void **state)
{
    (void)state;
    struct tally all = {0};
    if (!tapes_each("bedrock-converse", check_converse, &all)) skip();
    assert_int_equal(all.streams, 13);
    assert_int_equal(all.answers, 11);
    assert_true(all.calls >= 8);
    all = (struct tally){0};
    if (!tapes_each("cohere-chat", check_cohere, &all)) skip();
    assert_true(all.streams >= 9 && all.answers >= 8 && all.calls >= 4);
}

/* What is longer than its room is not told, whether it lies together or apart: ids are made,
 * names stay empty, sources are left out. */
static void test_long_words(void **state)
{
    (void)state;
    enum { LONG = 5000 };
    static const struct { enum api api; const char *form; } answers[] = {
        {API_CONVERSE,
         "{'output':{'message':{'content':[{'citationsContent':{'content':[{'text':'t'}],"
         "'citations':[{'title':'%1$s','location':{'web':{'url':'%1$s'}}},{'title':'%1$s',"
         "'location':{'web':{'url':'u'}}}]}},{'toolUse':{'toolUseId':'%1$s','name':'%1$s',"
         "'input':{}}}]}},'stopReason':'tool_use'}"},
        {API_COHERE,
         "{'id':'%1$s','message':{'content':[{'type':'text','text':'t'}],'citations':[{"
         "'sources':[{'document':{'url':'%1$s','title':'%1$s'}},{'document':{'url':'u',"
         "'title':'%1$s'}}]}],'tool_calls':[{'id':'%1$s','function':{'name':'%1$s',"
         "'arguments':'{}'}}]},'finish_reason':'TOOL_CALL'}"},
    };
    static char word[LONG + 1], text[ROOM];
    memset(word, 'w', LONG);
    for (size_t i = 0; i < COUNT(answers) * 4; i++) {
        static const size_t steps[] = {0, 1, 7, 300};
        struct tell_reader r;
        int len = snprintf(text, sizeof text, answers[i / 4].form, word);
        assert_true(len > 0 && (size_t)len < sizeof text);
        for (int k = 0; k < len; k++) text[k] = text[k] == '\'' ? '"' : text[k];
        begin(&r, answers[i / 4].api);
        tell_one(&r, (struct bytes){0}, bytes_of(text), steps[i % 4], true);
        assert_int_equal(heard.ends, 1);
        assert_int_equal(heard.calls, 1);
        assert_non_null(strstr(heard.at, "<u>"));
        assert_null(strstr(heard.at, "<>"));
        assert_null(strstr(heard.at, "ww"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_converse), cmocka_unit_test(test_cohere),
        cmocka_unit_test(test_recorded), cmocka_unit_test(test_long_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
