/* test_tr_messages_tell.c - answers of Anthropic's: what is read of streams and whole messages,
 * and what is written of both. Recorded ones are read, written and read again. */
#include "net/json_index.h"
#include "net/sse.h"
#include "net/translate/ask.h"
#include "net/translate/tell.h"
#include "openai_tape.h"
#include "tr_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { BLOCKS = TELL_CALLS_MAX + 1, TEXT = 1 << 18, WIRE = 1 << 20 };

struct block {
    struct tell t;
    char id[128], name[256];
    char *text, *sign, *cite;
    unsigned maker;
    bool closed;
};

struct answer {              /* all that was told */
    struct block block[BLOCKS];
    size_t count;
    bool started, finished, ended;
    unsigned finish;
    char id[128], model[256], stop[256];
};

static struct json_index scratch;

static char *add(char *text, struct bytes b)
{
    size_t len = text ? strlen(text) : 0;
    char *grown = realloc(text, len + b.len + 1);
    assert_non_null(grown);
    if (b.len > 0) memcpy(grown + len, b.ptr, b.len);
    grown[len + b.len] = '\0';
    return grown;
}

static void copy(char *to, size_t room, struct bytes b)
{
    assert_true(b.len < room);
    if (b.len > 0) memcpy(to, b.ptr, b.len);
    to[b.len] = '\0';
}

/* Notes what is told, and checks its order. */
static bool take(void *arg, const struct tell *t)
{
    struct answer *a = arg;
    struct block *b = t->item < a->count ? &a->block[t->item] : NULL;
    assert_false(a->ended);
    switch (t->kind) {
    case TELL_START:
        assert_false(a->started);
        a->started = true;
        copy(a->id, sizeof a->id, t->id);
        copy(a->model, sizeof a->model, t->name);
        break;
    case TELL_OPEN:
        assert_true(a->started && t->item == a->count && a->count < BLOCKS);
        b = &a->block[a->count++];
        *b = (struct block){.t = *t};
        copy(b->id, sizeof b->id, t->id);
        copy(b->name, sizeof b->name, t->name);
        break;
    case TELL_MORE: {
        char *plain = malloc(t->text.len + 1);
        assert_true(b && !b->closed && plain && b->t.block == t->block);
        size_t n = t->text.len;
        bool resolve = t->block == TELL_CALL && !t->value;
        if (resolve) n = json_unescape(t->text, plain);
        b->text = add(b->text, resolve ? (struct bytes){plain, n} : t->text);
        free(plain);
        break;
    }
    case TELL_SIGN:
        assert_true(b && !b->closed);
        b->maker = t->maker;
        b->sign = add(b->sign, t->text);
        break;
    case TELL_CITE: assert_true(b && t->url.len > 0); b->cite = add(b->cite, t->url); break;
    case TELL_CLOSE: assert_true(b && !b->closed); b->closed = true; break;
    case TELL_FINISH:
        assert_false(a->finished);
        a->finished = true;
        a->finish = t->finish;
        copy(a->stop, sizeof a->stop, t->text);
        break;
    case TELL_END: a->ended = true; break;
    default: break;
    }
    return true;
}

static void answer_free(struct answer *a)
{
    for (size_t i = 0; i < a->count; i++) {
        free(a->block[i].text);
        free(a->block[i].sign);
        free(a->block[i].cite);
    }
    *a = (struct answer){0};
}

/* As a text of a line a block. The caller's to free. */
static char *tale(const struct answer *a, bool cites)
{
    static const char *const kinds[] = {"text", "refusal", "thinking", "call", "image",
                                        "audio", "transcript"};
    char line[1024], *out = add(NULL, (struct bytes){0});
    for (size_t i = 0; i < a->count; i++) {
        const struct block *b = &a->block[i];
        assert_true(b->closed);
        (void)snprintf(line, sizeof line, "%s%s%s%s%s ", kinds[b->t.block],
                       b->id[0] ? " " : "", b->id, b->name[0] ? " " : "", b->name);
        out = add(out, bytes_of(line));
        if (b->text) out = add(out, bytes_of(b->text));
        if (b->sign) {
            (void)snprintf(line, sizeof line, " by %u ", b->maker);
            out = add(add(out, bytes_of(line)), bytes_of(b->sign));
        }
        if (b->cite && cites) out = add(add(out, BYTES(" from ")), bytes_of(b->cite));
        out = add(out, BYTES("\n"));
    }
    (void)snprintf(line, sizeof line, "finish %u %s\n", a->finish, a->stop);
    assert_true(a->finished && a->ended);
    return add(out, bytes_of(line));
}

/* Read one event's data. */
static void read_event(struct tell_reader *r, struct bytes data, size_t step)
{
    struct kit_pieces k;
    struct walk_source source = kit_pieces(&k, data, step);
    struct walk w;
    struct node root;
    assert_true(walk_open(&w, &source, step % 2 ? NULL : &scratch, &root));
    assert_true(tell_event(r, (struct bytes){0}, &w, root));
    kit_pieces_free(&k);
}

/* Read all events of a stream, each in pieces of step bytes. */
static void read_stream(struct answer *a, struct bytes text, size_t step)
{
    struct tell_reader r;
    struct sse sse = {0};
    struct sse_event ev;
    tell_begin(&r, API_MESSAGES, 7, take, a);
    while (sse_next(&sse, &text, &ev) == NET_OK) {
        if (ev.data_lines > 0 && ev.data.len > 0 && *ev.data.ptr == '{') {
            read_event(&r, ev.data, step);
        }
    }
    assert_true(tell_end(&r));
}

static void read_whole(struct answer *a, struct bytes text, size_t step)
{
    struct tell_reader r;
    struct kit_pieces k;
    struct walk_source source = kit_pieces(&k, text, step);
    struct walk w;
    struct node root;
    assert_true(walk_open(&w, &source, step % 2 ? NULL : &scratch, &root));
    tell_begin(&r, API_MESSAGES, 7, take, a);
    assert_true(tell_whole(&r, &w, root));
    kit_pieces_free(&k);
}

static void expect_stream(const char *text, const char *told)
{
    for (size_t step = 0; step < 12; step++) {
        struct answer a = {0};
        read_stream(&a, bytes_of(text), step);
        char *is = tale(&a, true);
        assert_string_equal(is, told);
        free(is);
        answer_free(&a);
    }
}

#define EVENT(data) "event: x\ndata: " data "\n\n"
#define START EVENT("{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\"," \
                    "\"model\":\"m\"}}")
#define FINISH(reason) EVENT("{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"" \
                             reason "\",\"stop_sequence\":null}}") \
                       EVENT("{\"type\":\"message_stop\"}")
#define BEGIN(i, block) EVENT("{\"type\":\"content_block_start\",\"index\":" i \
                              ",\"content_block\":" block "}")
#define DELTA(i, delta) EVENT("{\"type\":\"content_block_delta\",\"index\":" i \
                              ",\"delta\":" delta "}")
#define STOP(i) EVENT("{\"type\":\"content_block_stop\",\"index\":" i "}")

static void test_a_stream_of_all_kinds(void **state)
{
    (void)state;
    expect_stream(
        START EVENT("{\"type\":\"ping\"}")
        BEGIN("0", "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}")
        DELTA("0", "{\"type\":\"thinking_delta\",\"thinking\":\"hm\\u00e9\"}")
        DELTA("0", "{\"type\":\"thinking_delta\",\"thinking\":\" so\"}")
        DELTA("0", "{\"type\":\"signature_delta\",\"signature\":\"EqQB\"}") STOP("0")
        BEGIN("1", "{\"type\":\"redacted_thinking\",\"data\":\"EmwK\"}") STOP("1")
        BEGIN("2", "{\"type\":\"text\",\"text\":\"\"}")
        DELTA("2", "{\"type\":\"text_delta\",\"text\":\"a \\\"b\\\"\\n\"}") STOP("2")
        BEGIN("3", "{\"type\":\"text\",\"text\":\"\",\"citations\":[]}")
        DELTA("3", "{\"type\":\"citations_delta\",\"citation\":{\"type\":"
                   "\"web_search_result_location\",\"url\":\"https://x\",\"title\":\"X\"}}")
        DELTA("3", "{\"type\":\"text_delta\",\"text\":\"cited\"}") STOP("3")
        BEGIN("4", "{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"read\",\"input\":{}}")
        DELTA("4", "{\"type\":\"input_json_delta\",\"partial_json\":\"\"}")
        DELTA("4", "{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"p\\\": \\\"\"}")
        DELTA("4", "{\"type\":\"input_json_delta\",\"partial_json\":\"x\\\\\\\\\\\"}\"}")
        STOP("4")
        BEGIN("5", "{\"type\":\"tool_use\",\"id\":\"toolu_2\",\"name\":\"list\",\"input\":{}}")
        STOP("5") FINISH("tool_use"),
        "thinking hm\\u00e9 so by 3 EqQB\nthinking  by 3 redactedEmwK\ntext a \\\"b\\\"\\n\n"
        "text cited from https://x\ncall toolu_1 read {\"p\": \"x\\\\\"}\n"
        "call toolu_2 list {}\nfinish 4 \n");
}

/* Blocks behind the reason to stop are no part of the answer, whatever they are. A call that
 * begins twice has the arguments that were told of it first. */
static void test_what_comes_late_or_twice(void **state)
{
    (void)state;
    expect_stream(
        START BEGIN("0", "{\"type\":\"text\",\"text\":\"a\"}") STOP("0") FINISH("end_turn")
        BEGIN("1", "{\"type\":\"redacted_thinking\",\"data\":\"EmwK\"}") STOP("1")
        BEGIN("2", "{\"type\":\"thinking\",\"thinking\":\"t\",\"signature\":\"Eq\"}")
        STOP("2") BEGIN("3", "{\"type\":\"text\",\"text\":\"b\",\"citations\":[{\"url\":"
                             "\"https://x\"}]}") STOP("3")
        BEGIN("4", "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{"
                   "\"a\":1}}") STOP("4"),
        "text a\nfinish 0 \n");
    expect_stream(
        START BEGIN("0", "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{"
                   "\"a\":1}}")
        BEGIN("0", "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{"
                   "\"a\":2}}")
        DELTA("0", "{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}") STOP("0")
        BEGIN("1", "{\"type\":\"tool_use\",\"id\":\"u\",\"name\":\"f\",\"input\":{}}")
        DELTA("1", "{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"b\\\":3}\"}")
        BEGIN("1", "{\"type\":\"tool_use\",\"id\":\"u\",\"name\":\"f\",\"input\":{"
                   "\"a\":2}}")
        STOP("1") FINISH("tool_use"),
        "call t f {\"a\":1}\ncall u f {\"b\":3}\nfinish 4 \n");
}

static void test_what_ran_at_the_provider_is_passed_over(void **state)
{
    (void)state;
    expect_stream(
        START BEGIN("0", "{\"type\":\"text\",\"text\":\"\"}")
        DELTA("0", "{\"type\":\"text_delta\",\"text\":\"one\"}") STOP("0")
        DELTA("0", "{\"type\":\"text_delta\",\"text\":\"late\"}")
        BEGIN("1", "{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"web_search\","
                   "\"input\":{}}")
        DELTA("1", "{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}") STOP("1")
        BEGIN("2", "{\"type\":\"web_search_tool_result\",\"tool_use_id\":\"s\",\"content\":[{"
                   "\"type\":\"text\",\"text\":\"no\"}]}") STOP("2")
        BEGIN("3", "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"a\":[1]}}")
        STOP("3") EVENT("{\"type\":\"new_event\",\"delta\":{\"text\":\"no\"}}")
        EVENT("{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":null}}")
        FINISH("pause_turn"),
        "text one\ncall t f {\"a\":[1]}\nfinish 7 \n");
}

static void test_every_reason_to_stop(void **state)
{
    (void)state;
    expect_stream(START FINISH("end_turn"), "finish 0 \n");
    expect_stream(START FINISH("max_tokens"), "finish 2 \n");
    expect_stream(START FINISH("refusal"), "finish 6 \n");
    expect_stream(START FINISH("model_context_window_exceeded"), "finish 3 \n");
    expect_stream(START FINISH("something_new"), "finish 8 \n");
    expect_stream(START EVENT("{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
                              "\"stop_sequence\",\"stop_sequence\":\"E\\nD\"}}"),
                  "finish 1 E\\nD\n");
    expect_stream(START, "finish 0 \n");
}

static void test_a_whole_message(void **state)
{
    (void)state;
    const struct bytes text = BYTES(
        "{\"id\":\"msg_1\",\"type\":\"message\",\"model\":\"m\",\"content\":[{\"type\":"
        "\"thinking\",\"thinking\":\"t\",\"signature\":\"Eq\"},{\"type\":\"text\",\"text\":"
        "\"a\",\"citations\":[{\"url\":\"https://x\",\"title\":\"X\"},{\"document_index\":0}]},"
        "{\"type\":\"text\",\"text\":\"b\"},{\"type\":\"tool_use\",\"id\":\"i\",\"name\":\"n\","
        "\"input\":{\"k\": \"v\"}},{\"type\":\"tool_use\",\"id\":\"j\",\"name\":\"n\","
        "\"input\":{}}],\"stop_reason\":\"tool_use\",\"stop_sequence\":null}");
    for (size_t step = 0; step < 12; step++) {
        struct answer a = {0};
        read_whole(&a, text, step);
        char *is = tale(&a, true);
        assert_string_equal(is, "thinking t by 3 Eq\ntext a from https://x\ntext b\n"
                                "call i n {\"k\": \"v\"}\ncall j n {}\nfinish 4 \n");
        assert_string_equal(a.id, "msg_1");
        assert_string_equal(a.model, "m");
        free(is);
        answer_free(&a);
    }
}

/* ---- writing ---- */

struct log {                 /* what a writer keeps */
    struct tell_keep keep;
    char at[TEXT];
};

static bool log_put(void *arg, struct bytes b)
{
    struct log *log = arg;
    assert_true(b.len <= sizeof log->at - log->keep.source.size);
    memcpy(log->at + log->keep.source.size, b.ptr, b.len);
    log->keep.source.size += b.len;
    return true;
}

static struct bytes log_piece(void *arg, uint64_t at)
{
    const struct log *log = arg;
    return (struct bytes){log->at + at, (size_t)(log->keep.source.size - at)};
}

static struct tell_facts facts_of_client(void)
{
    return (struct tell_facts){.api = API_MESSAGES, .seed = {1, 2}, .model = "claude",
        .usage = {.present = true, .input = 11, .cached = 5, .output = 3}, .cost_nusd = -1,
        .want_thoughts = true};
}

static struct log log_at;

struct wire {                /* a stream that is being written */
    struct tell_writer writer;
    struct tell_facts facts;
    struct kit_pen pen;
};

static void wire_begin(struct wire *wire)
{
    log_at.keep = (struct tell_keep){.put = log_put, .arg = &log_at,
                                     .source = {.piece = log_piece, .arg = &log_at}};
    wire->facts = facts_of_client();
    kit_pen(&wire->pen, PEN_NEED_MAX, NULL);
    tell_write_begin(&wire->writer, &wire->facts, &log_at.keep);
}

static void tell(struct wire *wire, struct tell t)
{
    assert_true(tell_write(&wire->writer, &t, &wire->pen.pen));
}

#define TOLD(...) tell(&wire, (struct tell){__VA_ARGS__})

/* What was written, without what every stream has around it. */
static void expect_wire(struct wire *wire, const char *blocks, const char *reason)
{
    struct bytes out = kit_pen_text(&wire->pen);
    char *text = add(NULL, out), want[4096];
    (void)snprintf(want, sizeof want, "event: ping\ndata: {\"type\":\"ping\"}\n\n%s"
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":%s}"
        ",\"usage\":{\"input_tokens\":11,\"cache_creation_input_tokens\":0,"
        "\"cache_read_input_tokens\":5,\"cache_creation\":{\"ephemeral_5m_input_tokens\":0,"
        "\"ephemeral_1h_input_tokens\":0},\"output_tokens\":9}}\n\n"
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", blocks, reason);
    const char *ping = strstr(text, "event: ping");
    assert_non_null(ping);
    assert_string_equal(ping, want);
    const char *start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{"
                        "\"id\":\"msg_";
    assert_true(bytes_starts(bytes_of(text), bytes_of(start)));
    assert_non_null(strstr(text, "\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"
        "\"claude\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{"
        "\"input_tokens\":11,"));
    assert_non_null(strstr(text, "\"output_tokens\":0}}}\n\nevent: ping"));
    free(text);
    kit_pen_free(&wire->pen);
}

#define SAYS(name, data) "event: " name "\ndata: {\"type\":\"" name "\"," data "}\n\n"
#define SAYS_BEGIN(i, block) SAYS("content_block_start", "\"index\":" i \
                                  ",\"content_block\":{" block "}")
#define SAYS_MORE(i, delta) SAYS("content_block_delta", "\"index\":" i ",\"delta\":{" delta "}")
#define SAYS_STOP(i) SAYS("content_block_stop", "\"index\":" i)

static void told_end(struct wire *wire, enum tell_finish finish, const char *stop)
{
    tell(wire, (struct tell){.kind = TELL_FINISH, .finish = (uint8_t)finish,
                             .text = bytes_of(stop)});
    struct api_usage usage = {.present = true, .input = 11, .cached = 5, .output = 9};
    tell(wire, (struct tell){.kind = TELL_USAGE, .usage = usage});
    tell(wire, (struct tell){.kind = TELL_END});
}

static void test_text_is_written(void **state)
{
    (void)state;
    struct wire wire;
    wire_begin(&wire);
    TOLD(.kind = TELL_START, .id = BYTES("chatcmpl-1"), .name = BYTES("gpt"));
    TOLD(.kind = TELL_OPEN, .block = TELL_TEXT);
    TOLD(.kind = TELL_MORE, .block = TELL_TEXT, .text = BYTES("a\\n"));
    TOLD(.kind = TELL_MORE, .block = TELL_TEXT, .text = BYTES("b"));
    TOLD(.kind = TELL_CITE, .block = TELL_TEXT, .url = BYTES("https://x"));
    TOLD(.kind = TELL_CLOSE, .block = TELL_TEXT);
    TOLD(.kind = TELL_OPEN, .block = TELL_TEXT, .item = 1);
    TOLD(.kind = TELL_CLOSE, .block = TELL_TEXT, .item = 1);
    told_end(&wire, TELL_STOP_SEQUENCE, "E\\n");
    expect_wire(&wire, SAYS_BEGIN("0", "\"type\":\"text\",\"text\":\"\"")
        SAYS_MORE("0", "\"type\":\"text_delta\",\"text\":\"a\\n\"")
        SAYS_MORE("0", "\"type\":\"text_delta\",\"text\":\"b\"") SAYS_STOP("0"),
        "\"stop_sequence\",\"stop_sequence\":\"E\\n\"");
}

/* A thought that nobody signed has our mark alone; a foreign signature has it in front; all of
 * a signature comes at once. */
static void test_thoughts_are_signed(void **state)
{
    (void)state;
    struct wire wire;
    wire_begin(&wire);
    TOLD(.kind = TELL_OPEN, .block = TELL_THINKING);
    TOLD(.kind = TELL_MORE, .block = TELL_THINKING, .text = BYTES("hm"));
    TOLD(.kind = TELL_CLOSE, .block = TELL_THINKING);
    TOLD(.kind = TELL_OPEN, .block = TELL_THINKING, .item = 1);
    TOLD(.kind = TELL_SIGN, .block = TELL_THINKING, .item = 1, .maker = MAKER_RESPONSES,
         .text = BYTES("gA"));
    TOLD(.kind = TELL_SIGN, .block = TELL_THINKING, .item = 1, .maker = MAKER_RESPONSES,
         .text = BYTES("AA"));
    TOLD(.kind = TELL_CLOSE, .block = TELL_THINKING, .item = 1);
    TOLD(.kind = TELL_OPEN, .block = TELL_THINKING, .item = 2);
    TOLD(.kind = TELL_SIGN, .block = TELL_THINKING, .item = 2, .maker = MAKER_MESSAGES,
         .text = BYTES("redacted"));
    TOLD(.kind = TELL_SIGN, .block = TELL_THINKING, .item = 2, .maker = MAKER_MESSAGES,
         .text = BYTES("Emw"));
    TOLD(.kind = TELL_CLOSE, .block = TELL_THINKING, .item = 2);
    told_end(&wire, TELL_LENGTH, "");
    expect_wire(&wire,
        SAYS_BEGIN("0", "\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"")
        SAYS_MORE("0", "\"type\":\"thinking_delta\",\"thinking\":\"hm\"")
        SAYS_MORE("0", "\"type\":\"signature_delta\",\"signature\":\"WeirSgN0\"") SAYS_STOP("0")
        SAYS_BEGIN("1", "\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"")
        SAYS_MORE("1", "\"type\":\"signature_delta\",\"signature\":\"WeirSgR0gAAA\"")
        SAYS_STOP("1") SAYS_BEGIN("2", "\"type\":\"redacted_thinking\",\"data\":\"Emw\"")
        SAYS_STOP("2"), "\"max_tokens\",\"stop_sequence\":null");
}

/* Deltas of two calls are mixed: the second waits. */
static void test_blocks_follow_one_another(void **state)
{
    (void)state;
    struct wire wire;
    wire_begin(&wire);
    TOLD(.kind = TELL_OPEN, .block = TELL_CALL, .id = BYTES("call_a"), .name = BYTES("f"));
    TOLD(.kind = TELL_OPEN, .block = TELL_CALL, .item = 1, .id = BYTES("functions.g:0"),
         .name = BYTES("g"));
    TOLD(.kind = TELL_MORE, .block = TELL_CALL, .item = 1, .text = BYTES("{\\\"b\\\""));
    TOLD(.kind = TELL_MORE, .block = TELL_CALL, .text = BYTES("{\\\"a\\\""));
    TOLD(.kind = TELL_MORE, .block = TELL_CALL, .item = 1, .text = BYTES(":2}"));
    TOLD(.kind = TELL_CLOSE, .block = TELL_CALL, .item = 1);
    TOLD(.kind = TELL_OPEN, .block = TELL_TEXT, .item = 2);
    TOLD(.kind = TELL_MORE, .block = TELL_TEXT, .item = 2, .text = BYTES("t"));
    TOLD(.kind = TELL_MORE, .block = TELL_CALL, .text = BYTES(":1}"));
    TOLD(.kind = TELL_CLOSE, .block = TELL_CALL);
    TOLD(.kind = TELL_MORE, .block = TELL_TEXT, .item = 2, .text = BYTES("u"));
    TOLD(.kind = TELL_CLOSE, .block = TELL_TEXT, .item = 2);
    told_end(&wire, TELL_STOP, "");
    struct bytes out = kit_pen_text(&wire.pen);
    char made[64];
    char *text = add(NULL, out), *at = strstr(text, "toolu_");
    assert_non_null(at);
    copy(made, sizeof made, (struct bytes){at, strcspn(at, "\"")});
    assert_int_equal(strlen(made), 30);
    free(text);
    char blocks[2048];
    (void)snprintf(blocks, sizeof blocks, "%s%s%s%s",
        SAYS_BEGIN("0", "\"type\":\"tool_use\",\"id\":\"call_a\",\"name\":\"f\",\"input\":{}")
        SAYS_MORE("0", "\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\"\"")
        SAYS_MORE("0", "\"type\":\"input_json_delta\",\"partial_json\":\":1}\"") SAYS_STOP("0")
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,"
        "\"content_block\":{\"type\":\"tool_use\",\"id\":\"", made,
        "\",\"name\":\"g\",\"input\":{}}}\n\n"
        SAYS_MORE("1", "\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"b\\\":2}\"")
        SAYS_STOP("1"),
        SAYS_BEGIN("2", "\"type\":\"text\",\"text\":\"\"")
        SAYS_MORE("2", "\"type\":\"text_delta\",\"text\":\"t\"")
        SAYS_MORE("2", "\"type\":\"text_delta\",\"text\":\"u\"") SAYS_STOP("2"));
    expect_wire(&wire, blocks, "\"tool_use\",\"stop_sequence\":null");
}

/* Gemini signs calls, and tells them whole. */
static void test_a_calls_signature_stands_before_it(void **state)
{
    (void)state;
    struct wire wire;
    wire_begin(&wire);
    TOLD(.kind = TELL_OPEN, .block = TELL_CALL, .id = BYTES("a"), .name = BYTES("f"));
    TOLD(.kind = TELL_MORE, .block = TELL_CALL, .value = true,
         .text = BYTES("{\"k\": \"x\\\"y\"}"));
    TOLD(.kind = TELL_SIGN, .block = TELL_CALL, .maker = MAKER_GEMINI, .text = BYTES("c2"));
    TOLD(.kind = TELL_SIGN, .block = TELL_CALL, .maker = MAKER_GEMINI, .text = BYTES("ln"));
    TOLD(.kind = TELL_CLOSE, .block = TELL_CALL);
    TOLD(.kind = TELL_OPEN, .block = TELL_CALL, .item = 1, .id = BYTES("b"),
         .name = BYTES("f"));
    told_end(&wire, TELL_CALLS, "");
    expect_wire(&wire,
        SAYS_BEGIN("0", "\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"")
        SAYS_MORE("0", "\"type\":\"signature_delta\",\"signature\":\"WeirSgG0c2ln\"")
        SAYS_STOP("0")
        SAYS_BEGIN("1", "\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{}")
        SAYS_MORE("1", "\"type\":\"input_json_delta\",\"partial_json\":"
                       "\"{\\\"k\\\": \\\"x\\\\\\\"y\\\"}\"")
        SAYS_STOP("1")
        SAYS_BEGIN("2", "\"type\":\"tool_use\",\"id\":\"b\",\"name\":\"f\",\"input\":{}")
        SAYS_STOP("2"), "\"tool_use\",\"stop_sequence\":null");
}

/* A client that asked for no words of them gets the signature alone, to be sent back. */
static void test_thoughts_that_nobody_asked_for(void **state)
{
    (void)state;
    struct wire wire;
    wire_begin(&wire);
    wire.facts.want_thoughts = false;
    for (uint32_t item = 0; item < 2; item++) {
        TOLD(.kind = TELL_OPEN, .block = TELL_THINKING, .item = item);
        TOLD(.kind = TELL_MORE, .block = TELL_THINKING, .item = item, .text = BYTES("hm"));
        if (item) TOLD(.kind = TELL_SIGN, .block = TELL_THINKING, .item = item,
                       .maker = MAKER_GEMINI, .text = BYTES("c2ln"));
        TOLD(.kind = TELL_CLOSE, .block = TELL_THINKING, .item = item);
    }
    told_end(&wire, TELL_STOP, "");
    expect_wire(&wire,
        SAYS_BEGIN("0", "\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"")
        SAYS_MORE("0", "\"type\":\"signature_delta\",\"signature\":\"WeirSgG0c2ln\"")
        SAYS_STOP("0"), "\"end_turn\",\"stop_sequence\":null");
}

/* More calls are open than there is room for: the first is taken for whole. */
static void test_more_calls_than_there_is_room_for(void **state)
{
    (void)state;
    struct wire wire;
    struct answer a = {0};
    wire_begin(&wire);
    for (uint32_t item = 0; item < TELL_CALLS_MAX; item++) {
        TOLD(.kind = TELL_OPEN, .block = TELL_CALL, .item = item, .id = BYTES("a"),
             .name = BYTES("f"));
        TOLD(.kind = TELL_MORE, .block = TELL_CALL, .item = item, .text = BYTES("{}"));
    }
    TOLD(.kind = TELL_OPEN, .block = TELL_TEXT, .item = TELL_CALLS_MAX);
    TOLD(.kind = TELL_MORE, .block = TELL_TEXT, .item = TELL_CALLS_MAX, .text = BYTES("t"));
    told_end(&wire, TELL_CALLS, "");
    read_stream(&a, kit_pen_text(&wire.pen), 0);
    assert_int_equal(a.count, TELL_CALLS_MAX + 1);
    for (size_t i = 0; i < TELL_CALLS_MAX; i++) assert_string_equal(a.block[i].text, "{}");
    assert_string_equal(a.block[TELL_CALLS_MAX].text, "t");
    answer_free(&a);
    kit_pen_free(&wire.pen);
}

static void test_refusals_and_images(void **state)
{
    (void)state;
    struct wire wire;
    wire_begin(&wire);
    TOLD(.kind = TELL_OPEN, .block = TELL_REFUSAL);
    TOLD(.kind = TELL_MORE, .block = TELL_REFUSAL, .text = BYTES("no"));
    TOLD(.kind = TELL_CLOSE, .block = TELL_REFUSAL);
    TOLD(.kind = TELL_OPEN, .block = TELL_IMAGE, .item = 1, .name = BYTES("image/png"));
    TOLD(.kind = TELL_MORE, .block = TELL_IMAGE, .item = 1, .text = BYTES("iVBO"));
    TOLD(.kind = TELL_CLOSE, .block = TELL_IMAGE, .item = 1);
    TOLD(.kind = TELL_OPEN, .block = TELL_TEXT, .item = 2, .choice = 1);
    TOLD(.kind = TELL_MORE, .block = TELL_TEXT, .item = 2, .choice = 1, .text = BYTES("z"));
    told_end(&wire, TELL_STOP, "");
    expect_wire(&wire, SAYS_BEGIN("0", "\"type\":\"text\",\"text\":\"\"")
        SAYS_MORE("0", "\"type\":\"text_delta\",\"text\":\"no\"") SAYS_STOP("0")
        SAYS_BEGIN("1", "\"type\":\"text\",\"text\":\"\"")
        SAYS_MORE("1", "\"type\":\"text_delta\",\"text\":"
                       "\"[an image, which this API has no way to hand out]\"")
        SAYS_STOP("1"), "\"refusal\",\"stop_sequence\":null");
}

/* ---- whole ---- */

struct script { const struct tell *t; size_t count; };

static bool again(const struct tell_story *story, tell_take f, void *arg)
{
    const struct script *script = (const void *)story->walk;
    for (size_t i = 0; i < script->count; i++) {
        if (!f(arg, &script->t[i])) return false;
    }
    return true;
}

static void expect_whole_for(struct tell_facts facts, const struct tell *t, size_t count,
                             const char *content, const char *reason)
{
    struct script script = {t, count};
    struct tell_story story = {.again = again, .walk = (const void *)&script};
    struct kit_pen pen;
    kit_pen(&pen, PEN_NEED_MAX, NULL);
    assert_true(tell_write_whole(&facts, &story, &pen.pen));
    struct bytes out = kit_pen_text(&pen);
    char *text = add(NULL, out), want[4096];
    assert_true(kit_is_json(out));
    (void)snprintf(want, sizeof want, "\",\"type\":\"message\",\"role\":\"assistant\","
        "\"model\":\"claude\",\"content\":[%s],\"stop_reason\":%s,\"usage\":{"
        "\"input_tokens\":11,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":5,"
        "\"cache_creation\":{\"ephemeral_5m_input_tokens\":0,\"ephemeral_1h_input_tokens\":0},"
        "\"output_tokens\":3}}", content, reason);
    assert_true(bytes_starts(out, BYTES("{\"id\":\"msg_")));
    assert_string_equal(text + strlen("{\"id\":\"msg_") + 24, want);
    free(text);
    kit_pen_free(&pen);
}

static void expect_whole(const struct tell *t, size_t count, const char *content,
                         const char *reason)
{
    expect_whole_for(facts_of_client(), t, count, content, reason);
}

static void test_whole_answers_are_written(void **state)
{
    (void)state;
    const struct tell t[] = {
        {.kind = TELL_START},
        {.kind = TELL_OPEN, .block = TELL_THINKING},
        {.kind = TELL_MORE, .block = TELL_THINKING, .text = BYTES("h")},
        {.kind = TELL_MORE, .block = TELL_THINKING, .text = BYTES("m")},
        {.kind = TELL_CLOSE, .block = TELL_THINKING},
        {.kind = TELL_OPEN, .block = TELL_THINKING, .item = 1},
        {.kind = TELL_SIGN, .block = TELL_THINKING, .item = 1, .maker = MAKER_RESPONSES,
         .text = BYTES("gA")},
        {.kind = TELL_SIGN, .block = TELL_THINKING, .item = 1, .maker = MAKER_RESPONSES,
         .text = BYTES("AA")},
        {.kind = TELL_CLOSE, .block = TELL_THINKING, .item = 1},
        {.kind = TELL_OPEN, .block = TELL_TEXT, .item = 2},
        {.kind = TELL_MORE, .block = TELL_TEXT, .item = 2, .text = BYTES("a")},
        {.kind = TELL_CLOSE, .block = TELL_TEXT, .item = 2},
        {.kind = TELL_OPEN, .block = TELL_TEXT, .item = 3},
        {.kind = TELL_CLOSE, .block = TELL_TEXT, .item = 3},
        {.kind = TELL_OPEN, .block = TELL_CALL, .item = 4, .id = BYTES("c"),
         .name = BYTES("f")},
        {.kind = TELL_MORE, .block = TELL_CALL, .item = 4, .text = BYTES("{\\\"k\\\":")},
        {.kind = TELL_MORE, .block = TELL_CALL, .item = 4, .text = BYTES("\\\"\\\\u00e9\\\"}")},
        {.kind = TELL_CLOSE, .block = TELL_CALL, .item = 4},
        {.kind = TELL_OPEN, .block = TELL_CALL, .item = 5, .id = BYTES("d"),
         .name = BYTES("f")},
        {.kind = TELL_MORE, .block = TELL_CALL, .item = 5, .value = true,
         .text = BYTES("{\"x\": 1}")},
        {.kind = TELL_SIGN, .block = TELL_CALL, .item = 5, .maker = MAKER_GEMINI,
         .text = BYTES("c2ln")},
        {.kind = TELL_CLOSE, .block = TELL_CALL, .item = 5},
        {.kind = TELL_OPEN, .block = TELL_CALL, .item = 6, .id = BYTES("e"),
         .name = BYTES("f")},
        {.kind = TELL_CLOSE, .block = TELL_CALL, .item = 6},
        {.kind = TELL_OPEN, .block = TELL_CALL, .item = 7, .id = BYTES("g"),
         .name = BYTES("f")},
        {.kind = TELL_MORE, .block = TELL_CALL, .item = 7, .text = BYTES("{\\\"cut")},
        {.kind = TELL_CLOSE, .block = TELL_CALL, .item = 7},
        {.kind = TELL_FINISH, .finish = TELL_CALLS},
        {.kind = TELL_END},
    };
    expect_whole(t, COUNT(t),
        "{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"WeirSgN0\"},"
        "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"WeirSgR0gAAA\"},"
        "{\"type\":\"text\",\"text\":\"a\"},"
        "{\"type\":\"tool_use\",\"id\":\"c\",\"name\":\"f\",\"input\":{\"k\":\"\\u00e9\"}},"
        "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"WeirSgG0c2ln\"},"
        "{\"type\":\"tool_use\",\"id\":\"d\",\"name\":\"f\",\"input\":{\"x\": 1}},"
        "{\"type\":\"tool_use\",\"id\":\"e\",\"name\":\"f\",\"input\":{}},"
        "{\"type\":\"tool_use\",\"id\":\"g\",\"name\":\"f\",\"input\":{\"arguments\":"
        "\"{\\\"cut\"}}", "\"tool_use\",\"stop_sequence\":null");
}

/* Thoughts and a choice that nobody asked for; a sequence that stopped it. */
static void test_whole_answers_without_more(void **state)
{
    (void)state;
    const struct tell thoughts[] = {
        {.kind = TELL_START},
        {.kind = TELL_OPEN, .block = TELL_THINKING},
        {.kind = TELL_MORE, .block = TELL_THINKING, .text = BYTES("h")},
        {.kind = TELL_CLOSE, .block = TELL_THINKING},
        {.kind = TELL_OPEN, .block = TELL_THINKING, .item = 1},
        {.kind = TELL_SIGN, .block = TELL_THINKING, .item = 1, .maker = MAKER_RESPONSES,
         .text = BYTES("gA")},
        {.kind = TELL_CLOSE, .block = TELL_THINKING, .item = 1},
        {.kind = TELL_END},
    };
    struct tell_facts facts = facts_of_client();
    facts.want_thoughts = false;
    expect_whole_for(facts, thoughts, COUNT(thoughts),
                     "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":"
                     "\"WeirSgR0gA\"}",
                     "\"end_turn\",\"stop_sequence\":null");
    const struct tell two[] = {
        {.kind = TELL_START},
        {.kind = TELL_OPEN, .block = TELL_CALL, .choice = 1, .id = BYTES("x"),
         .name = BYTES("f")},
        {.kind = TELL_SIGN, .block = TELL_CALL, .choice = 1, .maker = MAKER_GEMINI,
         .text = BYTES("no")},
        {.kind = TELL_CLOSE, .block = TELL_CALL, .choice = 1},
        {.kind = TELL_OPEN, .block = TELL_CALL, .item = 1, .id = BYTES("y"),
         .name = BYTES("g")},
        {.kind = TELL_CLOSE, .block = TELL_CALL, .item = 1},
        {.kind = TELL_END},
    };
    expect_whole(two, COUNT(two), "{\"type\":\"tool_use\",\"id\":\"y\",\"name\":\"g\","
                 "\"input\":{}}", "\"tool_use\",\"stop_sequence\":null");
    const struct tell stopped[] = {
        {.kind = TELL_START},
        {.kind = TELL_FINISH, .finish = TELL_STOP_SEQUENCE, .text = BYTES("\\n\\n")},
        {.kind = TELL_END},
    };
    expect_whole(stopped, COUNT(stopped), "",
                 "\"stop_sequence\",\"stop_sequence\":\"\\n\\n\"");
}

/* ---- recordings ---- */

static size_t recorded;

/* Read again what the writer made of the answer that was told. */
static void check_stream(const struct tape *tape, size_t step)
{
    struct answer a = {0}, b = {0};
    struct wire wire;
    read_stream(&a, tape->events, step);
    wire_begin(&wire);
    for (size_t i = 0; i < a.count; i++) {
        const struct block *block = &a.block[i];
        struct tell t = block->t;
        t.id = bytes_of(block->id);
        t.name = bytes_of(block->name);
        tell(&wire, t);
        t.kind = TELL_MORE;
        t.value = t.block == TELL_CALL;
        t.text = bytes_of(block->text);
        if (block->text) tell(&wire, t);
        t.kind = TELL_SIGN;
        t.maker = (uint8_t)block->maker;
        t.text = bytes_of(block->sign);
        bool redacted = block->sign && bytes_starts(t.text, BYTES("redacted"));
        if (redacted) {
            t.text.len = strlen("redacted");
            tell(&wire, t);
            t.text = bytes_of(block->sign + 8);
        }
        if (block->sign) tell(&wire, t);
        t.kind = TELL_CLOSE;
        tell(&wire, t);
    }
    tell(&wire, (struct tell){.kind = TELL_FINISH, .finish = (uint8_t)a.finish,
                              .text = bytes_of(a.stop)});
    tell(&wire, (struct tell){.kind = TELL_END});
    read_stream(&b, kit_pen_text(&wire.pen), step);
    char *first = tale(&a, false), *second = tale(&b, false);
    assert_string_equal(first, second);
    free(first);
    free(second);
    kit_pen_free(&wire.pen);
    answer_free(&a);
    answer_free(&b);
}

static void check_whole(const struct tape *tape, size_t step)
{
    struct answer a = {0}, b = {0};
    struct tell_facts facts = facts_of_client();
    struct kit_pieces k;
    struct kit_pen pen;
    struct walk_source source = kit_pieces(&k, tape->answer, step);
    struct walk w;
    struct node root;
    assert_true(walk_open(&w, &source, NULL, &root));
    struct tell_story story = tell_story(API_MESSAGES, 3, &w, root);
    kit_pen(&pen, PEN_NEED_MAX, NULL);
    assert_true(tell_write_whole(&facts, &story, &pen.pen));
    read_whole(&a, tape->answer, 0);
    read_whole(&b, kit_pen_text(&pen), step);
    char *first = tale(&a, false), *second = tale(&b, false);
    assert_string_equal(first, second);
    free(first);
    free(second);
    kit_pen_free(&pen);
    kit_pieces_free(&k);
    answer_free(&a);
    answer_free(&b);
}

static void check_tape(const struct tape *tape, void *arg)
{
    (void)arg;
    struct bytes error;
    if (tape->events.len > 0 && !tape->binary) {
        if (memmem(tape->events.ptr, tape->events.len, "event: error", 12)) return;
        check_stream(tape, 0);
        check_stream(tape, 1 + recorded % 61);
    } else if (tape->answer.len > 0 && !tape_path(tape->answer, "error", &error)) {
        check_whole(tape, 0);
        check_whole(tape, 1 + recorded % 61);
    } else {
        return;
    }
    recorded++;
}

static void test_recorded_answers_survive(void **state)
{
    (void)state;
    if (!tapes_each("anthropic-messages", check_tape, NULL)) {
        print_message("no recordings here\n");
        skip();
    }
    assert_true(recorded > 150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stream_of_all_kinds),
        cmocka_unit_test(test_what_ran_at_the_provider_is_passed_over),
        cmocka_unit_test(test_what_comes_late_or_twice),
        cmocka_unit_test(test_every_reason_to_stop),
        cmocka_unit_test(test_a_whole_message),
        cmocka_unit_test(test_text_is_written),
        cmocka_unit_test(test_thoughts_are_signed),
        cmocka_unit_test(test_blocks_follow_one_another),
        cmocka_unit_test(test_a_calls_signature_stands_before_it),
        cmocka_unit_test(test_thoughts_that_nobody_asked_for),
        cmocka_unit_test(test_more_calls_than_there_is_room_for),
        cmocka_unit_test(test_refusals_and_images),
        cmocka_unit_test(test_whole_answers_are_written),
        cmocka_unit_test(test_whole_answers_without_more),
        cmocka_unit_test(test_recorded_answers_survive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
