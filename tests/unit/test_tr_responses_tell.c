/* test_tr_responses_tell.c - answers of OpenAI's Responses: read from events and whole, written
 * for a client as a stream and whole. What is written is read again, and says the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/json_index.h"
#include "net/translate/walk.h"
#include "openai_tape.h"
#include "tr_kit.h"
#include "tr_note.h"

/* ---- reading ---- */

typedef void (*on_event)(struct bytes name, struct bytes data, void *arg);

/* Take a stream apart: blocks of lines with an empty one behind each. */
static void each_event(struct bytes in, on_event f, void *arg)
{
    while (in.len > 0) {
        struct bytes name = {0}, data = {0};
        for (;;) {
            struct bytes line = bytes_cut(&in, bytes_find(in, '\n'));
            if (in.len > 0) bytes_cut(&in, 1);
            if (line.len > 0 && line.ptr[line.len - 1] == '\r') line.len--;
            if (bytes_starts(line, BYTES("event: "))) bytes_cut(&line, 7), name = line;
            else if (bytes_starts(line, BYTES("data: "))) bytes_cut(&line, 6), data = line;
            if (line.len == 0) break;
        }
        if (data.len > 0) f(name, data, arg);
    }
}

struct reading {
    struct tell_reader *r;
    size_t step;
    bool stopped;
};

static void read_event(struct bytes name, struct bytes data, void *arg)
{
    struct reading *x = arg;
    struct kit_pieces k;
    struct walk_source source = kit_pieces(&k, data, x->step);
    struct json_index *index = x->step == 0 ? malloc(sizeof *index) : NULL;
    struct walk w;
    struct node root;
    if (walk_open(&w, &source, index, &root)) {
        if (!tell_event(x->r, name, &w, root)) x->stopped = true;
    }
    free(index);
    kit_pieces_free(&k);
}

static void tell_stream(struct bytes events, size_t step, tell_take take, void *arg)
{
    struct reading x = {.r = malloc(sizeof *x.r), .step = step};
    tell_begin(x.r, API_RESPONSES, 7, take, arg);
    each_event(events, read_event, &x);
    assert_false(x.stopped);
    assert_true(tell_end(x.r));
    free(x.r);
}

static void tell_document(struct bytes body, size_t step, tell_take take, void *arg)
{
    struct kit_pieces k;
    struct walk_source source = kit_pieces(&k, body, step);
    struct tell_reader *r = malloc(sizeof *r);
    struct walk w;
    struct node root;
    assert_true(walk_open(&w, &source, NULL, &root));
    tell_begin(r, API_RESPONSES, 7, take, arg);
    assert_true(tell_whole(r, &w, root));
    free(r);
    kit_pieces_free(&k);
}

/* ---- writing ---- */

struct log { char *at; size_t len, room, step; };

static bool log_put(void *arg, struct bytes b)
{
    struct tell_keep *k = arg;
    struct log *log = k->source.arg;
    if (log->len + b.len > log->room) {
        log->room = 2 * (log->len + b.len);
        log->at = realloc(log->at, log->room);
    }
    memcpy(log->at + log->len, b.ptr, b.len);
    log->len += b.len;
    k->source.size = log->len;
    return true;
}

static struct bytes log_piece(void *arg, uint64_t at)
{
    const struct log *log = arg;
    size_t end = log->step == 0 ? log->len : (at / log->step + 1) * log->step;
    if (end > log->len) end = log->len;
    return (struct bytes){log->at + at, end - at};
}

struct writing {
    struct tell_writer writer;
    struct tell_facts facts;
    struct tell_keep keep;
    struct log log;
    struct kit_pen out;
};

static void writing_begin(struct writing *x, size_t step)
{
    memset(x, 0, sizeof *x);
    x->facts = (struct tell_facts){.api = API_RESPONSES, .seed = {1, 2}, .created = 1700000000,
                                   .model = "our/model", .cost_nusd = -1, .parallel = true,
                                   .want_thoughts = true};
    x->log.step = step;
    x->keep = (struct tell_keep){.put = log_put, .arg = &x->keep};
    x->keep.source = (struct walk_source){.piece = log_piece, .arg = &x->log};
    kit_pen(&x->out, step ? step : 0, NULL);
    tell_write_begin(&x->writer, &x->facts, &x->keep);
}

static bool write_event(void *arg, const struct tell *t)
{
    struct writing *x = arg;
    return tell_write(&x->writer, t, &x->out.pen);
}

static void writing_end(struct writing *x)
{
    free(x->log.at);
    kit_pen_free(&x->out);
    free(x);
}

static struct writing *writing(size_t step)
{
    struct writing *x = malloc(sizeof *x);
    assert_non_null(x);
    writing_begin(x, step);
    return x;
}

/* Behind the line of TELL_START, whose id is another. */
static const char *behind_start(const struct note *n)
{
    assert_non_null(n->at);
    assert_true(strncmp(n->at, "start", 5) == 0);
    return strchr(n->at, '\n') + 1;
}

/* ---- what is read ---- */

#define ADDED(index, item) \
    "data: {\"type\":\"response.output_item.added\",\"output_index\":" #index \
    ",\"item\":" item "}\n\n"
#define DONE(index, item) \
    "data: {\"type\":\"response.output_item.done\",\"output_index\":" #index \
    ",\"item\":" item "}\n\n"
#define EVENT(type, index, more) \
    "data: {\"type\":\"response." type "\",\"output_index\":" #index "," more "}\n\n"
#define COMPLETED(output) \
    "data: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"model\":\"g\"," \
    "\"output\":" output "}}\n\n"

static void stream_says(const char *events, const char *text)
{
    for (size_t step = 0; step < 12; step += 3) {
        struct note n = {0};
        tell_stream(bytes_of(events), step, note_tell, &n);
        note_is(&n, text);
        note_free(&n);
    }
}

static void test_deltas_are_told_once(void **state)
{
    (void)state;
    stream_says(
        "data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"model\":\"g\"}}"
        "\n\n"
        ADDED(0, "{\"type\":\"message\",\"content\":[]}")
        EVENT("output_text.delta", 0, "\"content_index\":0,\"delta\":\"Hel\"")
        EVENT("output_text.delta", 0, "\"content_index\":0,\"delta\":\"lo\"")
        EVENT("output_text.done", 0, "\"content_index\":0,\"text\":\"Hello\"")
        EVENT("content_part.done", 0, "\"content_index\":0,\"part\":"
              "{\"type\":\"output_text\",\"text\":\"Hello\"}")
        DONE(0, "{\"type\":\"message\",\"content\":"
             "[{\"type\":\"output_text\",\"text\":\"Hello\"}]}")
        COMPLETED("[{\"type\":\"message\",\"content\":"
                  "[{\"type\":\"output_text\",\"text\":\"Hello\"}]}]"),
        "start id=resp_1 name=g\nopen 0 text\nmore 0 Hello\nclose 0 text\nfinish stop\nend\n");
    stream_says(COMPLETED("[]") EVENT("output_text.delta", 0, "\"delta\":\"late\""),
                "start id=resp_1 name=g\nfinish stop\nend\n");
}

static void test_what_has_no_deltas_is_told_where_it_first_stands(void **state)
{
    static const char *const says =
        "start id=resp_1 name=g\nopen 0 text\nmore 0 Hello\nclose 0 text\n"
        "open 1 call id=c1 name=f\nmore 1 {\\\"a\\\":1}\nclose 1 call\nfinish calls\nend\n";
    (void)state;
#define BEGIN "data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"," \
              "\"model\":\"g\"}}\n\n"
#define MESSAGE "{\"type\":\"message\",\"content\":[{\"type\":\"output_text\"," \
                "\"text\":\"Hello\"}]}"
#define CALL(args) "{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"f\"," \
                   "\"arguments\":\"" args "\"}"
#define ARGS "{\\\"a\\\":1}"
    stream_says(COMPLETED("[" MESSAGE "," CALL(ARGS) "]"), says);
    stream_says(BEGIN DONE(0, MESSAGE) DONE(1, CALL(ARGS))
                COMPLETED("[" MESSAGE "," CALL(ARGS) "]"), says);
    stream_says(BEGIN EVENT("output_text.done", 0, "\"content_index\":0,\"text\":\"Hello\"")
                DONE(0, MESSAGE) ADDED(1, CALL(""))
                EVENT("function_call_arguments.done", 1, "\"arguments\":\"" ARGS "\"")
                DONE(1, CALL(ARGS)) COMPLETED("[" MESSAGE "," CALL(ARGS) "]"), says);
    stream_says(BEGIN DONE(0, MESSAGE) ADDED(1, CALL(ARGS)) DONE(1, CALL(ARGS))
                COMPLETED("[]"), says);
    stream_says(BEGIN DONE(0, MESSAGE) ADDED(1, CALL(""))
                EVENT("function_call_arguments.delta", 1, "\"delta\":\"{\\\"a\"")
                EVENT("function_call_arguments.delta", 1, "\"delta\":\"\\\":1}\"")
                DONE(1, CALL(ARGS)) COMPLETED("[]"), says);
}

static void test_thoughts_are_one_block_with_their_encrypted_form(void **state)
{
    (void)state;
    stream_says(BEGIN ADDED(0, "{\"type\":\"reasoning\",\"summary\":[]}")
                EVENT("reasoning_summary_text.delta", 0, "\"summary_index\":0,\"delta\":\"a\"")
                EVENT("reasoning_summary_text.done", 0, "\"summary_index\":0,\"text\":\"a\"")
                EVENT("reasoning_summary_text.done", 0, "\"summary_index\":1,\"text\":\"b\"")
                EVENT("reasoning_text.delta", 0, "\"content_index\":0,\"delta\":\"raw\"")
                DONE(0, "{\"type\":\"reasoning\",\"summary\":[{\"text\":\"a\"},"
                     "{\"text\":\"b\"}],\"encrypted_content\":\"EEEE\"}")
                DONE(1, "{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"F\"}")
                DONE(2, "{\"type\":\"reasoning\",\"summary\":[],\"content\":["
                     "{\"type\":\"reasoning_text\",\"text\":\"raw\"}]}")
                DONE(3, "{\"type\":\"reasoning\",\"summary\":[]}") COMPLETED("[]"),
                "start id=resp_1 name=g\nopen 0 thinking\nmore 0 a\\n\\nb\n"
                "sign 0 responses EEEE\nclose 0 thinking\nopen 1 thinking\n"
                "sign 1 responses F\nclose 1 thinking\nopen 2 thinking\nmore 2 raw\n"
                "close 2 thinking\nfinish stop\nend\n");
}

static void test_other_items(void **state)
{
    (void)state;
    stream_says(BEGIN DONE(0, "{\"type\":\"web_search_call\",\"status\":\"completed\"}")
                DONE(1, "{\"type\":\"image_generation_call\",\"result\":\"AAAA\","
                     "\"output_format\":\"webp\"}")
                ADDED(2, "{\"type\":\"custom_tool_call\",\"call_id\":\"c\",\"name\":\"e\","
                      "\"input\":\"\"}")
                EVENT("custom_tool_call_input.delta", 2, "\"delta\":\"ls\"")
                DONE(2, "{\"type\":\"custom_tool_call\",\"call_id\":\"c\",\"name\":\"e\","
                     "\"input\":\"ls\"}")
                DONE(3, "{\"type\":\"function_call\",\"call_id\":\"d\",\"name\":\"f\","
                     "\"namespace\":\"ns\",\"arguments\":\"{}\"}")
                EVENT("output_text.delta", 4, "\"content_index\":0,\"delta\":\"x\"")
                EVENT("output_text.annotation.added", 4, "\"annotation\":{\"type\":"
                      "\"url_citation\",\"url\":\"https://u\",\"title\":\"t\"}")
                EVENT("refusal.delta", 4, "\"content_index\":1,\"delta\":\"no\"")
                "data: {\"type\":\"response.incomplete\",\"response\":{\"output\":[],"
                "\"incomplete_details\":{\"reason\":\"max_output_tokens\"}}}\n\n",
                "start id=resp_1 name=g\nopen 0 image name=image/webp\nmore 0 AAAA\n"
                "close 0 image\nopen 1 call custom id=c name=e\nmore 1 ls\nclose 1 call\n"
                "open 2 call id=d name=ns__f\nmore 2 {}\nclose 2 call\nopen 3 text\nmore 3 x\n"
                "cite 3 name=t url=https://u\nclose 3 text\nopen 4 refusal\nmore 4 no\n"
                "close 4 refusal\nfinish length\nend\n");
}

/* ---- what is written ---- */

struct check { uint32_t sequence; unsigned count; char last[64]; };

/* Each event is one line of JSON, of the type its event line says, and numbered. */
static void check_event(struct bytes name, struct bytes data, void *arg)
{
    struct check *c = arg;
    struct bytes type, sequence;
    char number[16];
    assert_true(kit_is_json(data));
    assert_true(tape_path(data, "type", &type));
    assert_true(bytes_eq((struct bytes){type.ptr + 1, type.len - 2}, name));
    assert_true(tape_path(data, "sequence_number", &sequence));
    (void)snprintf(number, sizeof number, "%u", c->sequence++);
    assert_true(bytes_eq(sequence, bytes_of(number)));
    assert_true(name.len < sizeof c->last);
    memcpy(c->last, name.ptr, name.len);
    c->last[name.len] = '\0';
    c->count++;
}

/* What it writes of these events, checked. */
static struct bytes written(struct writing *x, const struct tell *events, size_t count)
{
    struct check c = {0};
    for (size_t i = 0; i < count; i++) assert_true(write_event(x, &events[i]));
    struct bytes out = kit_pen_text(&x->out);
    each_event(out, check_event, &c);
    return out;
}

static void has(struct bytes out, const char *text)
{
    if (!memmem(out.ptr, out.len, text, strlen(text))) {
        fail_msg("no %s in\n%.*s", text, (int)out.len, out.ptr);
    }
}

static const struct tell texts[] = {
    {.kind = TELL_START},
    {.kind = TELL_OPEN, .block = TELL_TEXT, .item = 0},
    {.kind = TELL_MORE, .block = TELL_TEXT, .item = 0, .text = BYTES_INIT("a\\n")},
    {.kind = TELL_CLOSE, .block = TELL_TEXT, .item = 0},
    {.kind = TELL_OPEN, .block = TELL_TEXT, .item = 1},
    {.kind = TELL_MORE, .block = TELL_TEXT, .item = 1, .text = BYTES_INIT("b")},
    {.kind = TELL_CITE, .block = TELL_TEXT, .item = 1, .url = BYTES_INIT("https://u"),
     .name = BYTES_INIT("t")},
    {.kind = TELL_CITE, .block = TELL_TEXT, .item = 1, .url = BYTES_INIT("https://v")},
    {.kind = TELL_LOGPROBS, .item = 1, .text = BYTES_INIT("[{\"token\":\"a\"}]")},
    {.kind = TELL_LOGPROBS, .item = 1, .text = BYTES_INIT("[{\"token\":\"b\"}]")},
    {.kind = TELL_CLOSE, .block = TELL_TEXT, .item = 1},
    {.kind = TELL_OPEN, .block = TELL_REFUSAL, .item = 2},
    {.kind = TELL_MORE, .block = TELL_REFUSAL, .item = 2, .text = BYTES_INIT("no")},
    {.kind = TELL_CLOSE, .block = TELL_REFUSAL, .item = 2},
    {.kind = TELL_FINISH, .finish = TELL_LENGTH},
    {.kind = TELL_USAGE, .usage = {.present = true, .input = 3, .output = 5}},
    {.kind = TELL_END},
};

/* A custom tool that the provider knows as a function, in a namespace; Gemini's signature. */
static const struct tell calls[] = {
    {.kind = TELL_START},
    {.kind = TELL_OPEN, .block = TELL_CALL, .item = 0, .id = BYTES_INIT("c0"),
     .name = BYTES_INIT("ns__exec")},
    {.kind = TELL_SIGN, .block = TELL_CALL, .item = 0, .maker = MAKER_GEMINI,
     .text = BYTES_INIT("sig")},
    {.kind = TELL_OPEN, .block = TELL_CALL, .item = 1, .id = BYTES_INIT("c1"),
     .name = BYTES_INIT("f")},
    {.kind = TELL_MORE, .block = TELL_CALL, .item = 0,
     .text = BYTES_INIT("{\\\"input\\\":\\\"ls ")},
    {.kind = TELL_MORE, .block = TELL_CALL, .item = 1, .value = true,
     .text = BYTES_INIT("{\"a\":\"b\"}")},
    {.kind = TELL_MORE, .block = TELL_CALL, .item = 0,
     .text = BYTES_INIT("\\\\\\\"x\\\\\\\"\\\"}")},
    {.kind = TELL_CLOSE, .block = TELL_CALL, .item = 0},
    {.kind = TELL_CLOSE, .block = TELL_CALL, .item = 1},
    {.kind = TELL_OPEN, .block = TELL_CALL, .item = 2, .id = BYTES_INIT("c2"),
     .name = BYTES_INIT("g")},
    {.kind = TELL_CLOSE, .block = TELL_CALL, .item = 2},
    {.kind = TELL_FINISH, .finish = TELL_CALLS},
    {.kind = TELL_END},
};
static const char call_names[] = "s\2\0nsc\10\0ns__exec";

/* Thoughts, shown and not; an image; what is of another choice. */
static const struct tell others[] = {
    {.kind = TELL_START},
    {.kind = TELL_OPEN, .block = TELL_THINKING, .item = 0},
    {.kind = TELL_MORE, .block = TELL_THINKING, .item = 0, .text = BYTES_INIT("hm")},
    {.kind = TELL_SIGN, .block = TELL_THINKING, .item = 0, .maker = MAKER_MESSAGES,
     .text = BYTES_INIT("si")},
    {.kind = TELL_SIGN, .block = TELL_THINKING, .item = 0, .maker = MAKER_MESSAGES,
     .text = BYTES_INIT("gn")},
    {.kind = TELL_CLOSE, .block = TELL_THINKING, .item = 0},
    {.kind = TELL_OPEN, .block = TELL_THINKING, .item = 1},
    {.kind = TELL_SIGN, .block = TELL_THINKING, .item = 1, .maker = MAKER_RESPONSES,
     .text = BYTES_INIT("gA")},
    {.kind = TELL_CLOSE, .block = TELL_THINKING, .item = 1},
    {.kind = TELL_OPEN, .block = TELL_IMAGE, .item = 2, .name = BYTES_INIT("image/png")},
    {.kind = TELL_MORE, .block = TELL_IMAGE, .item = 2, .text = BYTES_INIT("AAAA")},
    {.kind = TELL_CLOSE, .block = TELL_IMAGE, .item = 2},
    {.kind = TELL_OPEN, .block = TELL_AUDIO, .item = 3},
    {.kind = TELL_MORE, .block = TELL_AUDIO, .item = 3, .text = BYTES_INIT("BBBB")},
    {.kind = TELL_CLOSE, .block = TELL_AUDIO, .item = 3},
    {.kind = TELL_OPEN, .block = TELL_TRANSCRIPT, .item = 4},
    {.kind = TELL_MORE, .block = TELL_TRANSCRIPT, .item = 4, .text = BYTES_INIT("said")},
    {.kind = TELL_CLOSE, .block = TELL_TRANSCRIPT, .item = 4},
    {.kind = TELL_OPEN, .block = TELL_TEXT, .item = 5, .choice = 1},
    {.kind = TELL_MORE, .block = TELL_TEXT, .item = 5, .choice = 1, .text = BYTES_INIT("?")},
    {.kind = TELL_CLOSE, .block = TELL_TEXT, .item = 5, .choice = 1},
    {.kind = TELL_FINISH, .finish = TELL_STOP},
    {.kind = TELL_FINISH, .finish = TELL_STOP, .choice = 1},
    {.kind = TELL_USAGE, .usage = {.present = true, .input = 3, .output = 5}},
    {.kind = TELL_END},
};

static void test_texts_in_a_row_are_one_message(void **state)
{
    (void)state;
    struct writing *x = writing(0);
    struct bytes out = written(x, texts, COUNT(texts));
    has(out, "\"content\":[{\"type\":\"output_text\",\"text\":\"a\\nb\",\"annotations\":["
             "{\"type\":\"url_citation\",\"url\":\"https://u\",\"title\":\"t\","
             "\"start_index\":0,\"end_index\":0},{\"type\":\"url_citation\","
             "\"url\":\"https://v\",\"title\":\"\",\"start_index\":0,\"end_index\":0}],"
             "\"logprobs\":[{\"token\":\"a\"},{\"token\":\"b\"}]},"
             "{\"type\":\"refusal\",\"refusal\":\"no\"}]");
    has(out, "\"status\":\"incomplete\",\"role\"");
    has(out, "\"incomplete_details\":{\"reason\":\"max_output_tokens\"}");
    has(out, "event: response.incomplete\n");
    has(out, "\"usage\":{\"input_tokens\":3,");
    has(out, "\"annotation_index\":1");
    writing_end(x);
}

static void test_calls_come_back_as_the_client_defined_them(void **state)
{
    (void)state;
    struct writing *x = writing(0);
    memcpy(x->facts.names, call_names, sizeof call_names - 1);
    x->facts.names_len = sizeof call_names - 1;
    struct bytes out = written(x, calls, COUNT(calls));
    struct bytes last = {0};
    for (struct bytes at = out; at.len > 0; bytes_cut(&at, 1)) {
        if (bytes_starts(at, BYTES("\"output\":[{"))) last = at;
    }
    assert_true(last.len > 0);
    has(last, "\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"WeirSgG0sig\"},");
    has(last, "\"type\":\"custom_tool_call\",\"status\":\"completed\",\"call_id\":\"c0\","
              "\"name\":\"exec\",\"namespace\":\"ns\",\"input\":\"ls \\\"x\\\"\"},");
    has(last, "\"type\":\"function_call\",\"status\":\"completed\",\"call_id\":\"c1\","
              "\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\\\"b\\\"}\"},");
    has(last, "\"call_id\":\"c2\",\"name\":\"g\",\"arguments\":\"{}\"}]");
    writing_end(x);
}

static void test_thoughts_and_images(void **state)
{
    (void)state;
    struct writing *x = writing(0);
    struct bytes out = written(x, others, COUNT(others));
    has(out, "\"summary\":[{\"type\":\"summary_text\",\"text\":\"hm\"}],"
             "\"encrypted_content\":\"WeirSgM0sign\"}");
    has(out, "\"summary\":[],\"encrypted_content\":\"gA\"}");
    has(out, "\"result\":\"AAAA\"}");
    has(out, "\"text\":\"said\",\"annotations\":[],\"logprobs\":[]}]}]");
    writing_end(x);
    x = writing(0);
    x->facts.want_thoughts = false;
    out = written(x, others, COUNT(others));
    has(out, "\"summary\":[],\"encrypted_content\":\"WeirSgM0sign\"}");
    assert_null(memmem(out.ptr, out.len, "hm", 2));
    writing_end(x);
}

struct script { struct tell_story story; const struct tell *events; size_t count; };

/* Blocks one behind the other, as all documents have them. */
static bool tell_script(const struct tell_story *story, tell_take take, void *arg)
{
    const struct script *script = (const struct script *)story;
    const struct tell *t = script->events, *end = t + script->count;
    if (!take(arg, t)) return false;
    for (uint32_t item = 0; item < script->count; item++) {
        for (t = script->events + 1; t < end; t++) {
            bool block = t->kind >= TELL_OPEN && t->kind <= TELL_LOGPROBS;
            if (block && t->item == item && !take(arg, t)) return false;
        }
    }
    for (t = script->events + 1; t < end; t++) {
        if (t->kind >= TELL_FINISH && t->kind != TELL_USAGE && !take(arg, t)) return false;
    }
    return true;
}

/* The output of the last event of a stream, and of a whole answer. */
static void take_output(struct bytes name, struct bytes data, void *arg)
{
    (void)name;
    if (tape_path(data, "response.output", arg)) return;
}

static void test_a_whole_answer_is_what_a_stream_ends_with(void **state)
{
    (void)state;
    const struct { const struct tell *at; size_t count; } tables[] = {
        {texts, COUNT(texts)}, {calls, COUNT(calls)}, {others, COUNT(others)},
    };
    for (size_t i = 0; i < 2 * COUNT(tables); i++) {
        struct script script = {{.again = tell_script}, tables[i / 2].at, tables[i / 2].count};
        struct writing *x = writing(0), *y = writing(0);
        memcpy(x->facts.names, call_names, sizeof call_names - 1);
        x->facts.names_len = sizeof call_names - 1;
        x->facts.want_thoughts = i % 2 == 0;
        struct bytes stream, whole, out = written(x, script.events, script.count);
        each_event(out, take_output, &stream);
        assert_true(tell_write_whole(&x->facts, &script.story, &y->out.pen));
        out = kit_pen_text(&y->out);
        assert_true(kit_is_json(out));
        assert_true(tape_path(out, "output", &whole));
        char *a = strndup(stream.ptr, stream.len), *b = strndup(whole.ptr, whole.len);
        char *cut = strstr(a, "incomplete");  /* of which item, only a stream says */
        if (cut) {
            memcpy(cut, "completed", 9);
            memmove(cut + 9, cut + 10, strlen(cut + 10) + 1);
        }
        assert_string_equal(a, b);
        free(a), free(b);
        writing_end(x), writing_end(y);
    }
}

/* ---- recordings ---- */

struct tally { unsigned streams, wholes; size_t step; };

static void compare(const struct tape *tape, const char *a, const char *b)
{
    size_t i = 0;
    while (a[i] != '\0' && a[i] == b[i]) i++;
    if (a[i] == b[i]) return;
    size_t from = i > 100 ? i - 100 : 0;
    fail_msg("%s at %zu: ...%.300s\n--- and ---\n%.300s", tape->name, i, a + from, b + from);
}

/* The response that a stream repeats at its end; the first one, where two were recorded. */
static void keep_response(struct bytes name, struct bytes data, void *arg)
{
    struct bytes type, *response = arg;
    (void)name;
    if (response->len > 0 || !tape_path(data, "type", &type)) return;
    if (!bytes_eq(type, BYTES("\"response.completed\"")) &&
        !bytes_eq(type, BYTES("\"response.incomplete\""))) return;
    assert_true(tape_path(data, "response", response));
}

/* The same without what may differ between a stream and the response it repeats, or that is
 * written of it: thoughts are encrypted anew each time, sources stand among the deltas of their
 * text or behind it, texts in a row are one. So blocks have no numbers either. */
static void calm(struct note *n)
{
    struct note out = {0};
    bool more = false, closed = false;  /* the line before is text; the end of a text */
    for (char *line = n->at, *end; *line != '\0'; line = end) {
        end = strchr(line, '\n') + 1;
        size_t word = strcspn(line, " \n"), head = word;
        if (line[word] == ' ') head += 1 + strcspn(line + word + 1, " \n");
        size_t len = (size_t)(end - line) - 1;
        if (strncmp(line, "cite ", 5) == 0 || strncmp(line, "logprobs ", 9) == 0) continue;
        bool opens = strncmp(line, "open ", 5) == 0 && len - head == 5 &&
                     strncmp(line + head, " text", 5) == 0;
        if (closed && opens) {  /* takes the end of the text before back */
            out.len -= strlen("close text\n");
            out.at[out.len] = '\0';
            more = true, closed = false;
            continue;
        }
        bool goes_on = more && strncmp(line, "more ", 5) == 0;
        if (goes_on) out.len--;
        else note_add(&out, "%.*s", (int)word, line);
        if (strncmp(line, "sign ", 5) == 0) len = head;
        note_add(&out, "%.*s\n", (int)(len - head - goes_on), line + head + goes_on);
        more = strncmp(line, "more ", 5) == 0;
        closed = strncmp(line, "close ", 6) == 0 && len - head == 5 &&
                 strncmp(line + head, " text", 5) == 0;
    }
    note_free(n);
    *n = out;
}

static void check_stream(const struct tape *tape, struct tally *tally)
{
    struct note note = {0}, cut = {0}, whole = {0}, again = {0};
    struct bytes response = {0};
    struct check c = {0};
    if (strstr(tape->name, "869bde4ecb62")) return;  /* of its deltas, most were left out */
    tell_stream(tape->events, 0, note_tell, &note);
    tell_stream(tape->events, tally->step, note_tell, &cut);
    compare(tape, note.at, cut.at);
    each_event(tape->events, keep_response, &response);
    if (response.len == 0) {  /* an error ended it */
        note_free(&note), note_free(&cut);
        return;
    }
    tell_document(response, 0, note_tell, &whole);
    struct note stream = {0};
    note_add(&stream, "%s", note.at);
    calm(&whole), calm(&stream);
    compare(tape, behind_start(&whole), behind_start(&stream));
    note_free(&stream);
    struct writing *x = writing(tally->step);
    tell_stream(tape->events, 0, write_event, x);
    struct bytes out = kit_pen_text(&x->out);
    each_event(out, check_event, &c);
    tell_stream(out, 0, note_tell, &again);
    calm(&note), calm(&again);
    if (!strstr(note.at, "image")) compare(tape, behind_start(&note), behind_start(&again));
    writing_end(x);
    note_free(&note), note_free(&cut), note_free(&whole), note_free(&again);
    tally->streams++;
}

static void check_whole(const struct tape *tape, struct tally *tally)
{
    struct note note = {0}, cut = {0}, again = {0};
    struct walk_source source;
    struct walk w;
    struct node root;
    struct bytes body = tape->answer, at;
    if (!tape_path(body, "output", &at)) return;
    tell_document(body, 0, note_tell, &note);
    tell_document(body, tally->step, note_tell, &cut);
    compare(tape, note.at, cut.at);
    struct writing *x = writing(tally->step);
    walk_source_of(&source, &body);
    assert_true(walk_open(&w, &source, NULL, &root));
    struct tell_story story = tell_story(API_RESPONSES, 7, &w, root);
    assert_true(tell_write_whole(&x->facts, &story, &x->out.pen));
    struct bytes out = kit_pen_text(&x->out);
    assert_true(kit_is_json(out));
    tell_document(out, 0, note_tell, &again);
    calm(&note), calm(&again);
    if (!strstr(note.at, "image")) compare(tape, behind_start(&note), behind_start(&again));
    writing_end(x);
    note_free(&note), note_free(&cut), note_free(&again);
    tally->wholes++;
}

static void check_tape(const struct tape *tape, void *arg)
{
    if (tape->events.len > 0) check_stream(tape, arg);
    if (tape->answer.len > 0) check_whole(tape, arg);
}

static void test_recordings_read_written_and_read_again(void **state)
{
    (void)state;
    for (size_t step = 1; step < 1000; step = step * 9 + 4) {
        struct tally tally = {.step = step};
        if (!tapes_each("openai-responses", check_tape, &tally)) {
            print_message("no recordings here: skipped\n");
            skip();
        }
        assert_true(tally.streams >= 70);
        assert_true(tally.wholes >= 50);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deltas_are_told_once),
        cmocka_unit_test(test_what_has_no_deltas_is_told_where_it_first_stands),
        cmocka_unit_test(test_thoughts_are_one_block_with_their_encrypted_form),
        cmocka_unit_test(test_other_items),
        cmocka_unit_test(test_texts_in_a_row_are_one_message),
        cmocka_unit_test(test_calls_come_back_as_the_client_defined_them),
        cmocka_unit_test(test_thoughts_and_images),
        cmocka_unit_test(test_a_whole_answer_is_what_a_stream_ends_with),
        cmocka_unit_test(test_recordings_read_written_and_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
