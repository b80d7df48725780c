/* test_tr_chat_tell.c - answers in OpenAI's chat form: what is read of the streams and whole
 * answers of all who imitate it, and what chat clients are given of others' answers, streamed
 * and whole. */
#include "net/dialect/api_write.h"
#include "net/translate/ask.h"
#include "net/translate/tell.h"
#include "tr_kit.h"
#include "tr_note.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- readers ---- */

/* Events, a line each, say want, however each of them is cut into pieces of up to 4 bytes. */
static void stream_says(const char *lines, const char *want)
{
    /* An object is told as it is only where it lies in one piece. */
    size_t steps = strstr(lines, "\"arguments\":{") ? 1 : 5;
    for (size_t step = 0; step < steps; step++) {
        struct note note = {0};
        struct tell_reader r;
        memset(&r, 0xA5, sizeof r);
        tell_begin(&r, API_CHAT, 7, note_tell, &note);
        for (const char *at = lines; *at;) {
            size_t len = strcspn(at, "\n");
            struct kit_pieces pieces;
            struct walk_source source = kit_pieces(&pieces, (struct bytes){at, len}, step);
            struct walk w;
            struct node root;
            assert_true(walk_open(&w, &source, NULL, &root));
            assert_true(tell_event(&r, (struct bytes){0}, &w, root));
            kit_pieces_free(&pieces);
            at += len + (at[len] != '\0');
        }
        assert_true(tell_end(&r));
        note_is(&note, want);
        note_free(&note);
    }
}

static void whole_says(const char *answer, const char *want)
{
    for (size_t step = 0; step < 5; step++) {
        struct note note = {0};
        struct tell_reader r;
        struct kit_pieces pieces;
        struct walk_source source = kit_pieces(&pieces, bytes_of(answer), step);
        struct walk w;
        struct node root;
        assert_true(walk_open(&w, &source, NULL, &root));
        tell_begin(&r, API_CHAT, 7, note_tell, &note);
        assert_true(tell_whole(&r, &w, root));
        note_is(&note, want);
        note_free(&note);
        kit_pieces_free(&pieces);
    }
}

#define C(delta) "{\"id\":\"i\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{" delta \
                 "}}]}\n"
#define FIN(why) "{\"id\":\"i\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{}," \
                 "\"finish_reason\":\"" why "\"}]}\n"
#define START "start id=i name=m\n"

static void test_streams(void **state)
{
    (void)state;
    static const struct { const char *lines, *want; } cases[] = {
        {C("\"role\":\"assistant\",\"content\":\"\"") C("\"content\":\"He\"")
         C("\"content\":\"\\u00e9\\n\"") FIN("stop")
         "{\"id\":\"i\",\"choices\":[],\"usage\":{\"prompt_tokens\":1}}",
         START "open 0 text\nmore 0 He\\u00e9\\n\nclose 0 text\nfinish stop\nend\n"},
        /* Azure: the first chunk has no choices, and no id. */
        {"{\"id\":\"\",\"model\":\"\",\"choices\":[],\"prompt_filter_results\":[]}\n"
         C("\"content\":\"a\"") FIN("content_filter"),
         START "open 0 text\nmore 0 a\nclose 0 text\nfinish filter\nend\n"},
        /* DeepSeek, Groq; OpenRouter says it twice. */
        {C("\"reasoning_content\":\"x\",\"content\":null") C("\"reasoning\":\"y\"")
         C("\"reasoning\":\"z\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":"
           "\"z\"}]") C("\"reasoning_details\":[{\"type\":\"reasoning.text\",\"signature\":"
                        "\"SIG\"}]") C("\"content\":\"a\"") FIN("length"),
         START "open 0 thinking\nmore 0 xyz\nsign 0 chat SIG\nclose 0 thinking\nopen 1 text\n"
         "more 1 a\nclose 1 text\nfinish length\nend\n"},
        {C("\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"q\"}]")
         C("\"reasoning_details\":[{\"type\":\"reasoning.encrypted\",\"data\":\"ENC\"}]")
         FIN("stop"),
         START "open 0 thinking\nmore 0 q\nsign 0 chat ENC\nclose 0 thinking\nfinish stop\n"
         "end\n"},
        /* Mistral: content as a list. */
        {C("\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":"
           "\"t\"}]}]") C("\"content\":[{\"type\":\"text\",\"text\":\"a\"}]")
         C("\"content\":\"b\"") FIN("model_length"),
         START "open 0 thinking\nmore 0 t\nclose 0 thinking\nopen 1 text\nmore 1 ab\n"
         "close 1 text\nfinish context\nend\n"},
        /* MiniMax: at the end all of it again, as a message. Writer: both, always. */
        {C("\"content\":\"ab\"")
         "{\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{\"content\":"
         "\"ab\"},\"finish_reason\":\"stop\"}]}",
         START "open 0 text\nmore 0 ab\nclose 0 text\nfinish stop\nend\n"},
        {"{\"id\":\"i\",\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"a\"},"
         "\"message\":{"
         "\"content\":\"a\"},\"finish_reason\":\"\"}]}",
         START "open 0 text\nmore 0 a\nclose 0 text\nfinish stop\nend\n"},
        /* Perplexity: sources in each chunk, told once. */
        {"{\"id\":\"i\",\"model\":\"m\",\"citations\":[\"http://a\"],\"choices\":[{\"delta\":{"
         "\"content\":\"x\"}}]}\n{\"citations\":[\"http://a\"],\"search_results\":[{\"title\":"
         "\"A\",\"url\":\"http://a\"}],\"choices\":[{\"delta\":{\"content\":\"y\"},"
         "\"finish_reason\":\"stop\"}]}",
         START "open 0 text\nmore 0 xy\ncite 0 name=A url=http://a\nclose 0 text\nfinish stop\n"
         "end\n"},
        {C("\"content\":\"x\"") C("\"annotations\":[{\"type\":\"url_citation\","
                                  "\"url_citation\":{"
                                  "\"url\":\"http://b\",\"title\":\"B\"}}]") FIN("stop"),
         START "open 0 text\nmore 0 x\ncite 0 name=B url=http://b\nclose 0 text\nfinish stop\n"
         "end\n"},
        {C("\"refusal\":\"I ca\"") C("\"refusal\":\"n't\"") FIN("stop"),
         START "open 0 refusal\nmore 0 I can't\nclose 0 refusal\nfinish stop\nend\n"},
        /* vLLM tells which sequence it was. */
        {"{\"id\":\"i\",\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"a\"},"
         "\"finish_reason\":\"stop\",\"stop_reason\":\"###\"}]}",
         START "open 0 text\nmore 0 a\nclose 0 text\nfinish stop-sequence ###\nend\n"},
        /* A stream that ends with nothing said. */
        {FIN("error"), START "finish other\nend\n"},
        {"{\"choices\":[]}", "start\nfinish stop\nend\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) stream_says(cases[i].lines, cases[i].want);
}

#define CALL(index, id, rest) "{\"index\":" index id ",\"function\":{" rest "}}"
#define T(calls) C("\"tool_calls\":[" calls "]")

static void test_calls(void **state)
{
    (void)state;
    static const struct { const char *lines, *want; } cases[] = {
        /* Two at once, their deltas mixed; "stop" behind calls. */
        {T(CALL("0", ",\"id\":\"a\",\"type\":\"function\"", "\"name\":\"f\",\"arguments\":"
                                                            "\"\""))
         T(CALL("1", ",\"id\":\"b\"", "\"name\":\"g\",\"arguments\":\"{\""))
         T(CALL("0", "", "\"arguments\":\"{\\\"x\\\":\""))
         T(CALL("1", "", "\"arguments\":\"}\"") "," CALL("0", "", "\"arguments\":\"1}\""))
         FIN("stop"),
         START "open 0 call id=a name=f\nopen 1 call id=b name=g\nmore 1 {\n"
         "more 0 {\\\"x\\\":\nmore 1 }\nmore 0 1}\nclose 0 call\nclose 1 call\n"
         "finish calls\nend\n"},
        /* Each whole, all under one number (Google); the signature stands with the first. */
        {T("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"},"
           "\"extra_content\":{\"google\":{\"thought_signature\":\"gs\"}}}")
         T(CALL("0", ",\"id\":\"b\"", "\"name\":\"f\",\"arguments\":\"{}\"")) FIN("tool_calls"),
         START "open 0 call id=a name=f\nsign 0 gemini gs\nmore 0 {}\nclose 0 call\n"
         "open 1 call id=b name=f\nmore 1 {}\nclose 1 call\nfinish calls\nend\n"},
        /* The id in each delta; no number; the name after the id. */
        {T(CALL("0", ",\"id\":\"a\"", "\"name\":\"f\",\"arguments\":\"{\""))
         T(CALL("0", ",\"id\":\"a\"", "\"name\":\"f\",\"arguments\":\"}\"")) FIN("tool_calls"),
         START "open 0 call id=a name=f\nmore 0 {}\nclose 0 call\nfinish calls\nend\n"},
        {T("{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}")
         T("{\"function\":{\"arguments\":\"}\"}}") FIN("tool_calls"),
         START "open 0 call id=a name=f\nmore 0 {}\nclose 0 call\nfinish calls\nend\n"},
        {T("{\"index\":0,\"id\":\"a\"}") T(CALL("0", "", "\"name\":\"f\"")) FIN("tool_calls"),
         START "open 0 call id=a name=f\nclose 0 call\nfinish calls\nend\n"},
        /* Arguments as an object; a custom tool; what has no name is nobody's. */
        {T(CALL("0", ",\"id\":\"a\"", "\"name\":\"f\",\"arguments\":{\"x\":1}"))
         T("{\"index\":1,\"id\":\"b\",\"custom\":{\"name\":\"g\",\"input\":\"te\"}}")
         T("{\"index\":1,\"custom\":{\"input\":\"xt\"}}")
         T(CALL("2", "", "\"arguments\":\"{}\"")) FIN("tool_calls"),
         START "open 0 call id=a name=f\nmore 0 {\"x\":1}\nclose 0 call\n"
         "open 1 call custom id=b name=g\nmore 1 text\nclose 1 call\nfinish calls\nend\n"},
        /* Text before, thoughts between. */
        {C("\"content\":\"t\"") T(CALL("0", ",\"id\":\"a\"", "\"name\":\"f\",\"arguments\":"
                                       "\"{}\"")) C("\"reasoning\":\"r\"") FIN("tool_calls"),
         START "open 0 text\nmore 0 t\nclose 0 text\nopen 1 call id=a name=f\nmore 1 {}\n"
         "close 1 call\nopen 2 thinking\nmore 2 r\nclose 2 thinking\nfinish calls\nend\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) stream_says(cases[i].lines, cases[i].want);
    stream_says(C("\"function_call\":{\"name\":\"f\",\"arguments\":\"{\"}")
                C("\"function_call\":{\"arguments\":\"}\"}") FIN("function_call"),
                START "open 0 call id=call_se4jik2ow58an8pf658xwehs name=f\nmore 0 {}\n"
                "close 0 call\nfinish calls\nend\n");
}

static void test_wholes(void **state)
{
    (void)state;
#define W(message, more) "{\"id\":\"i\",\"object\":\"chat.completion\",\"model\":\"m\"," \
    "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\"," message "}" more "}]}"
    whole_says(W("\"content\":\"a\",\"refusal\":null,\"reasoning_content\":\"r\","
                 "\"tool_calls\":["
                 "{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\","
                 "\"arguments\":"
                 "\"{\\\"k\\\":[]}\"}}]", ",\"finish_reason\":\"tool_calls\""),
               START "open 0 thinking\nmore 0 r\nclose 0 thinking\nopen 1 text\nmore 1 a\n"
               "close 1 text\nopen 2 call id=c name=f\nmore 2 {\\\"k\\\":[]}\nclose 2 call\n"
               "finish calls\nend\n");
    /* Calls of a whole answer are over when the next begins, whatever their arguments are. */
    whole_says(W("\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"f\","
                 "\"arguments\":\"[\"}},{\"id\":\"e\",\"function\":{\"name\":\"g\","
                 "\"arguments\":\"{}\"}},{\"id\":\"d\",\"custom\":{\"name\":\"h\","
                 "\"input\":\"x\"}},{\"id\":\"d\",\"function\":{\"name\":\"f\","
                 "\"arguments\":\"{\"}}]", ""),
               START "open 0 call id=c name=f\nmore 0 [\nclose 0 call\n"
               "open 1 call id=e name=g\nmore 1 {}\nclose 1 call\n"
               "open 2 call custom id=d name=h\nmore 2 x\nclose 2 call\n"
               "open 3 call id=d name=f\nmore 3 {\nclose 3 call\nfinish calls\nend\n");
    whole_says("{\"choices\":[{\"index\":0,\"message\":{\"content\":\"a\"},\"finish_reason\":"
               "\"stop\"},{\"index\":1,\"message\":{\"content\":\"b\"},\"finish_reason\":"
               "\"length\"}]}",
               "start\nopen 0 text\nmore 0 a\nclose 0 text\nfinish stop\nopen 1 text choice=1\n"
               "more 1 choice=1 b\nclose 1 text choice=1\nfinish choice=1 length\nend\n");
}

/* ---- writers ---- */

enum { KEEP = 4096 };
struct room { char at[KEEP]; size_t limit; struct tell_keep *keep; };

static bool room_put(void *arg, struct bytes b)
{
    struct room *room = arg;
    size_t len = (size_t)room->keep->source.size;
    if (len + b.len > room->limit) return false;
    memcpy(room->at + len, b.ptr, b.len);
    room->keep->source.size += b.len;
    return true;
}

static struct bytes room_piece(void *arg, uint64_t at)
{
    struct room *room = arg;
    return (struct bytes){room->at + at, (size_t)(room->keep->source.size - at)};
}

static const struct tell_facts usual = {.api = API_CHAT, .created = 5, .model = "m",
    .usage = {.present = true, .input = 3, .output = 4}, .cost_nusd = -1, .want_usage = true,
    .want_thoughts = true, .seed = {1, 2}};

struct writing { struct tell_writer s; struct kit_pen pen; };

static bool write_one(void *arg, const struct tell *t)
{
    struct writing *x = arg;
    return tell_write(&x->s, t, &x->pen.pen);
}

/* What is in front of each chunk's choices goes; so does the id, which is random. */
static void shorten(struct bytes in, char *out)
{
    const char *at = in.ptr, *end = in.ptr + in.len;
    while (at < end) {
        static const char head[] = "data: {\"id\":\"chatcmpl-";
        if ((size_t)(end - at) > sizeof head && memcmp(at, head, sizeof head - 1) == 0) {
            const char *rest = "\",\"object\":\"chat.completion.chunk\",\"created\":5,"
                               "\"model\":"
                               "\"m\",\"choices\":[";
            at += sizeof head - 1 + 24;
            assert_memory_equal(at, rest, strlen(rest));
            at += strlen(rest);
        }
        *out++ = *at++;
    }
    *out = '\0';
}

/* An answer in the API's form, streamed to a chat client. keep: bytes that may be kept. */
static void streamed(enum api api, const struct tell_facts *facts, size_t keep,
                     const char *lines, const char *want)
{
    static char text[16384];
    struct tell_keep kept = {.put = room_put, .source.piece = room_piece};
    struct room room = {.limit = keep, .keep = &kept};
    kept.arg = kept.source.arg = &room;
    struct writing x;
    struct tell_reader r;
    kit_pen(&x.pen, PEN_NEED_MAX, NULL);
    tell_write_begin(&x.s, facts, &kept);
    tell_begin(&r, api, 7, write_one, &x);
    for (const char *at = lines; *at;) {
        size_t len = strcspn(at, "\n");
        struct bytes line = {at, len};
        struct walk_source source;
        struct walk w;
        struct node root;
        walk_source_of(&source, &line);
        assert_true(walk_open(&w, &source, NULL, &root));
        assert_true(tell_event(&r, (struct bytes){0}, &w, root));
        at += len + (at[len] != '\0');
    }
    struct tell usage = {.kind = TELL_USAGE, .usage = {.present = true, .input = 3,
                                                       .output = 4}};
    assert_true(tell_write(&x.s, &usage, &x.pen.pen));
    assert_true(tell_end(&r));
    struct bytes out = kit_pen_text(&x.pen);
    assert_true(out.len < sizeof text);
    shorten(out, text);
    assert_string_equal(text, want);
    kit_pen_free(&x.pen);
}

#define D(delta) "{\"index\":0,\"delta\":{" delta "},\"finish_reason\":null}]}\n\n"
#define FIRST D("\"role\":\"assistant\",\"content\":\"\"")
#define END(why) "{\"index\":0,\"delta\":{},\"finish_reason\":\"" why "\"}]}\n\n" \
    "],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7," \
    "\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0}," \
    "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0}}}\n\n" \
    "data: [DONE]\n\n"

static void test_streams_written(void **state)
{
    (void)state;
    static const char thinking[] =
        "{\"type\":\"message_start\",\"message\":{\"id\":\"msg\",\"model\":\"c\"}}\n"
        "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":"
        "\"thinking\",\"thinking\":\"\"}}\n"
        "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\","
        "\"thinking\":\"hm \"}}\n"
        "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\","
        "\"thinking\":\"so\"}}\n"
        "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\","
        "\"signature\":\"SIG\"}}\n"
        "{\"type\":\"content_block_stop\",\"index\":0}\n"
        "{\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":"
        "\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{}}}\n"
        "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":"
        "\"input_json_delta\",\"partial_json\":\"{\\\"a\\\":\"}}\n"
        "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":"
        "\"input_json_delta\",\"partial_json\":\"1}\"}}\n"
        "{\"type\":\"content_block_stop\",\"index\":1}\n"
        "{\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":"
        "\"tool_use\",\"id\":\"t2\",\"name\":\"g\",\"input\":{}}}\n"
        "{\"type\":\"content_block_stop\",\"index\":2}\n"
        "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"}}\n"
        "{\"type\":\"message_stop\"}";
    char want[4096];
    struct bytes mark = ask_mark(MAKER_MESSAGES);
#define TOOL(rest) D("\"tool_calls\":[{\"index\":" rest "}}]")
    static const char calls[] =
        TOOL("0,\"id\":\"t1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
             "\"{\\\"a\\\":\"") TOOL("0,\"function\":{\"arguments\":\"1}\"")
        TOOL("1,\"id\":\"t2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":"
             "\"{}\"") END("tool_calls");
    (void)snprintf(want, sizeof want, FIRST D("\"reasoning_content\":\"hm \"")
                   D("\"reasoning_content\":\"so\"")
                   D("\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"hm so\","
                     "\"signature\":\"%.*sSIG\",\"index\":0}]") "%s",
                   (int)mark.len, mark.ptr, calls);
    streamed(API_MESSAGES, &usual, KEEP, thinking, want);
    /* No room to keep anything: thoughts are said and cannot come back; a call is begun without
     * waiting for what follows. */
#define OPEN(number, id, name) TOOL(number ",\"id\":\"" id "\",\"type\":\"function\"," \
                                    "\"function\":{\"name\":\"" name "\",\"arguments\":\"\"")
#define MORE(number, text) TOOL(number ",\"function\":{\"arguments\":\"" text "\"")
    streamed(API_MESSAGES, &usual, 0, thinking,
             FIRST D("\"reasoning_content\":\"hm \"") D("\"reasoning_content\":\"so\"")
             OPEN("0", "t1", "f") MORE("0", "{\\\"a\\\":") MORE("0", "1}")
             OPEN("1", "t2", "g") MORE("1", "{}") END("tool_calls"));
    struct tell_facts blind = usual;
    blind.want_thoughts = false;
    (void)snprintf(want, sizeof want, FIRST "%s", calls);
    streamed(API_MESSAGES, &blind, KEEP, thinking, want);
}

/* Gemini's signature of a call is in the first chunk of it, where clients look for it. */
static void test_signed_call_written(void **state)
{
    (void)state;
    static const char lines[] =
        "{\"candidates\":[{\"index\":0,\"content\":{\"role\":\"model\",\"parts\":[{"
        "\"functionCall\":{\"name\":\"f\",\"args\":{\"q\":\"\\\"\"}},\"thoughtSignature\":"
        "\"GS\"}]},\"finishReason\":\"STOP\"}]}";
    char want[2048];
    struct bytes mark = ask_mark(MAKER_GEMINI);
    (void)snprintf(want, sizeof want, FIRST
                   D("\"tool_calls\":[{\"index\":0,\"id\":\"%s\",\"type\":\"function\","
                     "\"extra_content\":{\"google\":{\"thought_signature\":\"%.*sGS\"}},"
                     "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"q\\\":"
                     "\\\"\\\\\\\"\\\"}\""
                     "}}]") END("tool_calls"), "call_se4jik2ow58an8pf658xwehs",
                   (int)mark.len, mark.ptr);
    streamed(API_GENERATE, &usual, KEEP, lines, want);
}

static void test_other_things_streamed(void **state)
{
    (void)state;
    struct tell_facts facts = usual;
    facts.want_usage = false;
    streamed(API_CHAT, &facts, KEEP,
             C("\"content\":\"a\"") C("\"annotations\":[{\"url_citation\":{\"url\":\"http:"
                                      "//u\"}}]")
             "{\"choices\":[{\"index\":0,\"delta\":{\"refusal\":\"no\"},\"logprobs\":{"
             "\"content\":["
             "{\"token\":\"n\",\"logprob\":-1}]}}]}\n"
             "{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"},\"finish_reason\":"
             "\"stop\"}]}\n" FIN("length"),
             FIRST D("\"content\":\"a\"")
             D("\"annotations\":[{\"type\":\"url_citation\",\"url_citation\":{\"url\":"
               "\"http://u\",\"title\":\"http://u\",\"start_index\":0,\"end_index\":0}}]")
             D("\"refusal\":\"no\"")
             "{\"index\":0,\"delta\":{},\"logprobs\":{\"content\":[{\"token\":\"n\","
             "\"logprob\":"
             "-1}]},\"finish_reason\":null}]}\n\n"
             "{\"index\":1,\"delta\":{\"role\":\"assistant\",\"content\":\"b\"},"
             "\"finish_reason\":null}]}\n\n"
             "{\"index\":1,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
             "{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\ndata: [DONE]\n\n");
}

/* A call of which nothing more is said has no arguments, and clients parse them. A signature
 * that there was no room for is not half told. */
static void test_little_said_streamed(void **state)
{
    (void)state;
    streamed(API_CHAT, &usual, KEEP, T(CALL("0", ",\"id\":\"a\"", "\"name\":\"f\""))
             FIN("tool_calls"),
             FIRST TOOL("0,\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\","
                        "\"arguments\":\"{}\"") END("tool_calls"));
    streamed(API_CHAT, &usual, 16,
             C("\"reasoning_details\":[{\"text\":\"q\",\"signature\":\"LONGER\"}]")
             FIN("stop"), FIRST D("\"reasoning_content\":\"q\"") END("stop"));
}

/* A whole answer in the API's form, as a chat client reads it; its id is left out. */
static void whole_written(enum api api, const struct tell_facts *facts, const char *answer,
                          const char *want)
{
    for (size_t step = 0; step < 4; step++) {
        struct kit_pieces pieces;
        struct kit_pen pen;
        struct walk_source source = kit_pieces(&pieces, bytes_of(answer), step);
        struct walk w;
        struct node root;
        assert_true(walk_open(&w, &source, NULL, &root));
        struct tell_story story = tell_story(api, 7, &w, root);
        kit_pen(&pen, PEN_NEED_MAX, NULL);
        assert_true(tell_write_whole(facts, &story, &pen.pen));
        struct bytes out = kit_pen_text(&pen);
        assert_true(kit_is_json(out));
        char text[4096];
        (void)snprintf(text, sizeof text, "%.*s", (int)out.len, out.ptr);
        const char *rest = strstr(text, "\"choices\"");
        assert_true(bytes_starts(out, BYTES("{\"id\":\"chatcmpl-")) && rest);
        assert_string_equal(rest, want);
        kit_pen_free(&pen);
        kit_pieces_free(&pieces);
    }
}

#define USAGE ",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7," \
    "\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0}," \
    "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0}"

static void test_wholes_written(void **state)
{
    (void)state;
    char want[4096];
    struct bytes mark = ask_mark(MAKER_MESSAGES), gemini = ask_mark(MAKER_GEMINI);
    struct tell_facts facts = usual;
    facts.cost_nusd = 1234567890;
    (void)snprintf(want, sizeof want,
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"a b\","
        "\"refusal\":null,\"reasoning_content\":\"hm\",\"reasoning_details\":[{\"type\":"
        "\"reasoning.text\",\"text\":\"hm\",\"signature\":\"%.*sSIG\",\"index\":0},{\"type\":"
        "\"reasoning.encrypted\",\"data\":\"%.*sredactedRED\",\"index\":1}],\"tool_calls\":"
        "[{\"id\":"
        "\"t\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"q\\\":["
        "\\\"\\\\n\\\"]}\"}}]},\"logprobs\":null,\"finish_reason\":\"tool_calls\"}]" USAGE
        ",\"cost\":1.234567890}}", (int)mark.len, mark.ptr, (int)mark.len, mark.ptr);
    whole_written(API_MESSAGES, &facts,
        "{\"id\":\"msg\",\"type\":\"message\",\"model\":\"c\",\"content\":[{\"type\":"
        "\"thinking\","
        "\"thinking\":\"hm\",\"signature\":\"SIG\"},{\"type\":\"redacted_thinking\",\"data\":"
        "\"RED\"},{\"type\":\"text\",\"text\":\"a \"},{\"type\":\"text\",\"text\":\"b\"},{"
        "\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"q\":[\"\\n\"]}}],"
        "\"stop_reason\":\"tool_use\"}", want);
    (void)snprintf(want, sizeof want,
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":null,"
        "\"refusal\":null,\"tool_calls\":[{\"id\":\"1\",\"type\":\"function\",\"function\":{"
        "\"name\":\"f\",\"arguments\":\"{}\"},\"extra_content\":{\"google\":{"
        "\"thought_signature\":\"%.*sGS\"}}},{\"id\":\"2\",\"type\":\"function\",\"function\":{"
        "\"name\":\"g\",\"arguments\":\"{}\"}}]},\"logprobs\":null,\"finish_reason\":"
        "\"tool_calls\"},{\"index\":1,\"message\":{\"role\":\"assistant\",\"content\":\"x\","
        "\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"length\"}]" USAGE "}}",
        (int)gemini.len, gemini.ptr);
    whole_written(API_GENERATE, &usual,
        "{\"candidates\":[{\"index\":0,\"content\":{\"parts\":[{\"functionCall\":{\"id\":\"1\","
        "\"name\":\"f\",\"args\":{}},\"thoughtSignature\":\"GS\"},{\"functionCall\":{\"id\":"
        "\"2\",\"name\":\"g\",\"args\":{}}}]},\"finishReason\":\"STOP\"},{\"index\":1,"
        "\"content\":{\"parts\":[{\"text\":\"x\"}]},\"finishReason\":\"MAX_TOKENS\"}]}", want);
    whole_written(API_CHAT, &usual,
        W("\"refusal\":\"no\"", ",\"finish_reason\":\"stop\",\"logprobs\":{\"content\":[{"
          "\"token\":\"a\"},{\"token\":\"b\"}]}"),
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":null,"
        "\"refusal\":\"no\"},\"logprobs\":{\"content\":[{\"token\":\"a\"},{\"token\":\"b\"}],"
        "\"refusal\":null},\"finish_reason\":\"stop\"}]" USAGE "}}");
}

/* A tool that takes any text, though the model was given a function. */
static void test_custom_calls(void **state)
{
    (void)state;
    static struct ask ask;
    struct tell_facts facts = usual;
    struct bytes body = BYTES("{\"messages\":[],\"tools\":[{\"type\":\"custom\",\"custom\":{"
                              "\"name\":\"sh\"}}]}");
    struct walk_source source;
    walk_source_of(&source, &body);
    assert_true(ask_open(&ask, API_CHAT, &source, NULL) && tell_note_names(&ask, &facts));
#define SH "\"type\":\"custom\",\"custom\":{\"name\":\"sh\",\"input\":\"ls \\\"a\\\"\\n\"}"
    whole_written(API_MESSAGES, &facts,
        "{\"content\":[{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"sh\",\"input\":{"
        "\"input\":"
        "\"ls \\\"a\\\"\\n\"}}],\"stop_reason\":\"tool_use\"}",
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":null,"
        "\"refusal\":null,\"tool_calls\":[{\"id\":\"t\"," SH "}]},\"logprobs\":null,"
        "\"finish_reason\":\"tool_calls\"}]" USAGE "}}");
    streamed(API_CHAT, &facts, KEEP,
             T(CALL("0", ",\"id\":\"t\"", "\"name\":\"sh\",\"arguments\":\"{\\\"inp\""))
             T(CALL("0", "", "\"arguments\":\"ut\\\":\\\"ls \\\\\\\"a\\\\\\\"\\\\n\\\"}\""))
             FIN("tool_calls"),
             FIRST D("\"tool_calls\":[{\"index\":0,\"id\":\"t\"," SH "}]") END("tool_calls"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams), cmocka_unit_test(test_calls),
        cmocka_unit_test(test_wholes), cmocka_unit_test(test_streams_written),
        cmocka_unit_test(test_signed_call_written),
        cmocka_unit_test(test_other_things_streamed),
        cmocka_unit_test(test_little_said_streamed), cmocka_unit_test(test_wholes_written),
        cmocka_unit_test(test_custom_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
