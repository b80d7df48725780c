/* test_tr_gemini_tell.c - Gemini's answers, read and written: what is told of them as lines,
 * the same wherever they are cut; and read, written, read again they say the same. */
#include "net/translate/ask.h"
#include "net/translate/tell.h"
#include "openai_tape.h"
#include "tr_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { NOTE_MAX = 1 << 18 };

struct note { char *at; size_t len; bool ids, open_sign; };

static void put(struct note *n, struct bytes b)
{
    assert_true(n->len + b.len < NOTE_MAX);
    if (b.len > 0) memcpy(n->at + n->len, b.ptr, b.len);
    n->len += b.len;
    n->at[n->len] = '\0';
}

static void __attribute__((format(printf, 2, 3))) note(struct note *n, const char *form, ...)
{
    char room[512];
    va_list args;
    va_start(args, form);
    int len = vsnprintf(room, sizeof room, form, args);
    va_end(args);
    assert_true(len >= 0 && (size_t)len < sizeof room);
    put(n, (struct bytes){room, (size_t)len});
}

static void put_unescaped(struct note *n, struct bytes text)
{
    char *room = malloc(text.len + 1);
    assert_non_null(room);
    put(n, (struct bytes){room, json_unescape(text, room)});
    free(room);
}

/* Pieces of one text are one. */
static bool take(void *arg, const struct tell *t)
{
    static const char *const blocks[] = {"text", "refusal", "thinking", "call", "image",
                                         "audio", "transcript"};
    struct note *n = arg;
    bool more_sign = n->open_sign && t->kind == TELL_SIGN;
    if (n->open_sign && !more_sign) note(n, ">");
    n->open_sign = t->kind == TELL_SIGN;
    switch (t->kind) {
    case TELL_START:
        if (n->ids) note(n, "start %.*s %.*s\n", (int)t->id.len, t->id.ptr, (int)t->name.len,
                         t->name.ptr);
        break;
    case TELL_OPEN:
        note(n, "%u %s", t->choice, blocks[t->block]);
        if (t->block == TELL_CALL && n->ids) note(n, " %.*s", (int)t->id.len, t->id.ptr);
        if (t->name.len > 0) note(n, " %.*s", (int)t->name.len, t->name.ptr);
        note(n, "|");
        break;
    case TELL_MORE:
        if (t->block == TELL_CALL && !t->value) put_unescaped(n, t->text);
        else put(n, t->text);
        break;
    case TELL_SIGN:
        if (!more_sign) note(n, "<%d ", t->maker);
        put(n, t->text);
        break;
    case TELL_CITE: note(n, "{%.*s %.*s}", (int)t->url.len, t->url.ptr, (int)t->name.len,
                         t->name.ptr); break;
    case TELL_CLOSE: note(n, "|\n"); break;
    case TELL_LOGPROBS: note(n, "logprobs %.*s\n", (int)t->text.len, t->text.ptr); break;
    case TELL_FINISH: note(n, "%u finish %d\n", t->choice, t->finish); break;
    case TELL_USAGE: break;
    case TELL_END: note(n, "end\n"); break;
    }
    return true;
}

static bool is_letters(struct bytes text)
{
    char room[1024];
    int n = snprintf(room, sizeof room, "\"%.*s\"", (int)text.len, text.ptr);
    return kit_is_json((struct bytes){room, (size_t)n});
}

/* The same, where each piece must begin with a letter and end with one. */
static bool take_letters(void *arg, const struct tell *t)
{
    if (t->kind == TELL_MORE) assert_true(is_letters(t->text));
    return take(arg, t);
}

static void note_begin(struct note *n, bool ids)
{
    *n = (struct note){.at = malloc(NOTE_MAX), .ids = ids};
    assert_non_null(n->at);
    n->at[0] = '\0';
}

/* Take the next event's data off a stream: lines may end as they like. */
static bool next_data(struct bytes *in, struct bytes *data)
{
    while (in->len > 0) {
        struct bytes line = bytes_cut(in, bytes_find(*in, '\n'));
        if (in->len > 0) bytes_cut(in, 1);
        if (line.len > 0 && line.ptr[line.len - 1] == '\r') line.len--;
        if (!bytes_starts(line, BYTES("data: "))) continue;
        bytes_cut(&line, 6);
        *data = line;
        return true;
    }
    return false;
}

struct open { struct kit_pieces pieces; struct walk_source source; struct walk w;
              struct node root; };

static void open_text(struct open *o, struct bytes text, size_t step)
{
    o->source = kit_pieces(&o->pieces, text, step);
    assert_true(walk_open(&o->w, &o->source, NULL, &o->root));
}

/* What is told of a stream, or of a whole answer. */
static void read_answer(struct bytes answer, bool stream, size_t step, tell_take to, void *arg)
{
    struct tell_reader r;
    struct open o;
    struct bytes data;
    tell_begin(&r, API_GENERATE, 42, to, arg);
    while (stream && next_data(&answer, &data)) {
        open_text(&o, data, step);
        assert_true(tell_event(&r, (struct bytes){0}, &o.w, o.root));
        kit_pieces_free(&o.pieces);
    }
    if (!stream) {
        open_text(&o, answer, step);
        assert_true(tell_whole(&r, &o.w, o.root));
        kit_pieces_free(&o.pieces);
    }
    assert_true(tell_end(&r));
}

/* ---- writing ---- */

struct log { char *at; size_t len; struct tell_keep keep; };

static struct bytes log_piece(void *arg, uint64_t at)
{
    struct log *l = arg;
    size_t n = l->len - (size_t)at < 37 ? l->len - (size_t)at : 37;  /* in odd pieces */
    return (struct bytes){l->at + at, n};
}

static bool log_put(void *arg, struct bytes b)
{
    struct log *l = arg;
    l->at = realloc(l->at, l->len + b.len + 1);
    assert_non_null(l->at);
    memcpy(l->at + l->len, b.ptr, b.len);
    l->len += b.len;
    l->keep.source.size = l->len;
    return true;
}

struct writing {
    struct tell_writer s;
    struct tell_facts facts;
    struct log log;
    struct kit_pen k;
};

static void writing_begin(struct writing *g)
{
    memset(g, 0, sizeof *g);
    g->facts = (struct tell_facts){.api = API_GENERATE, .seed = {1, 2}, .cost_nusd = -1,
                                   .want_thoughts = true, .model = "a/b"};
    g->facts.usage = (struct api_usage){.present = true, .input = 7, .cached = 3, .output = 9,
                                        .reasoning = 4};
    g->log.keep = (struct tell_keep){.put = log_put, .arg = &g->log,
                                     .source = {.piece = log_piece, .arg = &g->log}};
    kit_pen(&g->k, 0, NULL);
    tell_write_begin(&g->s, &g->facts, &g->log.keep);
}

static void writing_end(struct writing *g)
{
    kit_pen_free(&g->k);
    free(g->log.at);
}

static bool take_write(void *arg, const struct tell *t)
{
    struct writing *g = arg;
    return tell_write(&g->s, t, &g->k.pen);
}

/* ---- reading ---- */

#define CHUNK(parts, more) "data: {\"candidates\":[{\"content\":{\"parts\":[" parts \
    "],\"role\":\"model\"}" more "}],\"responseId\":\"r1\",\"modelVersion\":\"m\"}\r\n\r\n"

static const struct { const char *stream, *want; } streams[] = {
    {CHUNK("{\"text\":\"He\\u00e9\"}", ",\"index\":0") CHUNK("{\"text\":\"y\"}", "")
     CHUNK("", ",\"finishReason\":\"STOP\""),
     "start r1 m\n0 text|He\\u00e9y|\n0 finish 0\nend\n"},
    {CHUNK("{\"text\":\"a\"}", ",\"finishReason\":\"MAX_TOKENS\"")
     CHUNK("{\"text\":\"b\"}", ",\"finishReason\":\"STOP\""),  /* in every chunk */
     "start r1 m\n0 text|ab|\n0 finish 0\nend\n"},
    /* Thoughts, whose signature stands at the call behind them. */
    {CHUNK("{\"text\":\"hm\",\"thought\":true}", "")
     CHUNK("{\"functionCall\":{\"id\":\"c1\",\"name\":\"f\",\"args\":{\"a\":[1]}},"
           "\"thoughtSignature\":\"SIG\"},{\"functionCall\":{\"id\":\"c2\",\"name\":\"g\"}}",
           ",\"finishReason\":\"STOP\""),
     "start r1 m\n0 thinking|hm|\n0 call c1 f|<4 SIG>{\"a\":[1]}|\n0 call c2 g|{}|\n"
     "0 finish 4\nend\n"},
    /* At a text: of the thoughts that are open, or of such as were not shown; at its end. */
    {CHUNK("{\"text\":\"hm\",\"thought\":true}", "")
     CHUNK("{\"text\":\"Hi\",\"thoughtSignature\":\"S1\"}", "")
     CHUNK("{\"text\":\"\",\"thoughtSignature\":\"S2\"}", ",\"finishReason\":\"STOP\""),
     "start r1 m\n0 thinking|hm<4 S1>|\n0 text|Hi<4 S2>|\n0 finish 0\nend\n"},
    {CHUNK("{\"text\":\"Hi\",\"thoughtSignature\":\"S1\"}", ",\"finishReason\":\"STOP\""),
     "start r1 m\n0 thinking|<4 S1>|\n0 text|Hi|\n0 finish 0\nend\n"},
    {CHUNK("{\"functionCall\":{\"id\":\"c\",\"name\":\"f\",\"args\":{}}}", "")
     CHUNK("{\"text\":\"\",\"thoughtSignature\":\"S2\"}", ",\"finishReason\":\"STOP\""),
     "start r1 m\n0 call c f|{}|\n0 finish 4\nend\n"},
    /* Arguments in pieces. */
    {CHUNK("{\"functionCall\":{\"id\":\"c\",\"name\":\"f\",\"willContinue\":true},"
           "\"thoughtSignature\":\"S\"}", "")
     CHUNK("{\"functionCall\":{\"partialArgs\":[{\"jsonPath\":\"$.a\",\"stringValue\":"
           "\"x\\\"\xC3\xA9\",\"willContinue\":true}],\"willContinue\":true}}", "")
     CHUNK("{\"functionCall\":{\"partialArgs\":[{\"jsonPath\":\"$.a\",\"stringValue\":\"y\"},"
           "{\"jsonPath\":\"$.n\",\"numberValue\":1.5},{\"jsonPath\":\"$.b\",\"boolValue\":"
           "false},{\"jsonPath\":\"$.z\",\"nullValue\":null}],\"willContinue\":true}}", "")
     CHUNK("{\"functionCall\":{}}", "")
     CHUNK("{\"functionCall\":{\"id\":\"d\",\"name\":\"g\",\"willContinue\":true}}", "")
     CHUNK("{\"functionCall\":{}}", "") CHUNK("{\"functionCall\":{}}",
                                              ",\"finishReason\":\"STOP\""),
     "start r1 m\n0 call c f|<4 S>{\"a\":\"x\\\"\xC3\xA9y\",\"n\":1.5,\"b\":false,\"z\":null}|"
     "\n"
     "0 call d g|{}|\n0 finish 4\nend\n"},
    {CHUNK("{\"functionCall\":{\"id\":\"c\",\"name\":\"f\",\"partialArgs\":[{\"jsonPath\":"
           "\"$.a.b[0].c\",\"stringValue\":\"1\",\"willContinue\":true},{\"jsonPath\":\"$.a.b["
           "0].d[0][0]\","
           "\"numberValue\":2},{\"jsonPath\":\"$.a.b[0].d[1]\",\"boolValue\":true},"
           "{\"jsonPath\":\"$.a.b[1]\",\"stringValue\":\"3\"},{\"jsonPath\":\"$.a['x.y']\","
           "\"nullValue\":null},{\"jsonPath\":\"$.e.f\",\"stringValue\":\"4\",\"willContinue\":"
           "true}]}}", ",\"finishReason\":\"STOP\""),
     "start r1 m\n0 call c f|{\"a\":{\"b\":[{\"c\":\"1\",\"d\":[[2],true]},\"3\"],"
     "\"x.y\":null},\"e\":{\"f\":\"4\"}}|\n0 finish 4\nend\n"},
    {CHUNK("{\"functionCall\":{\"id\":\"c\",\"name\":\"f\",\"partialArgs\":[{\"jsonPath\":"
           "\"$.a\",\"stringValue\":\"1\"},{\"jsonPath\":\"$.a.b\",\"stringValue\":\"2\"}]}}",
           ",\"finishReason\":\"STOP\""),
     "start r1 m\n0 call c f|{\"a\":\"1\"<out of order>\"2\"}|\n0 finish 4\nend\n"},
    {CHUNK("{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"AAAA\"}},"
           "{\"executableCode\":{\"code\":\"1\"}}", ",\"finishReason\":\"RECITATION\""),
     "start r1 m\n0 image image/png|AAAA|\n0 finish 8\nend\n"},
    {"data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\n\n", "start  \n0 finish 5\nend"
     "\n"},
    {"data: {\"usageMetadata\":{}}\n\n", "start  \n0 finish 0\nend\n"},
    {"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"index\":0},{\"conte"
     "nt\":"
     "{\"parts\":[{\"text\":\"b\"}]},\"index\":1,\"finishReason\":\"SPII\"}]}\n\n"
     "data: {\"candidates\":[{\"index\":0,\"finishReason\":\"STOP\"}]}\n\n",
     "start  \n0 text|a|\n1 text|b|\n0 finish 0\n1 finish 5\nend\n"},
    {CHUNK("{\"text\":\"See\"}", ",\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri"
     "\":"
           "\"https://a\",\"title\":\"A\"}},{\"x\":1}]},\"finishReason\":\"STOP\""),
     "start r1 m\n0 text|See{https://a A}|\n0 finish 0\nend\n"},
    {CHUNK("{\"text\":\"x\"}", ",\"logprobsResult\":{\"chosenCandidates\":[{\"token\":\"x\","
           "\"logProbability\":-0.5}],\"topCandidates\":[{\"candidates\":[{\"token\":\"y\","
           "\"logProbability\":-1}]}]}"),
     "start r1 m\n0 text|xlogprobs [{\"token\":\"x\",\"logprob\":-0.5,\"bytes\":null,"
     "\"top_logprobs\":[{\"token\":\"y\",\"logprob\":-1,\"bytes\":null}]}]\n|\n0 finish 0\nend"
     "\n"},
};

static void test_read(void **state)
{
    (void)state;
    struct note n;
    for (size_t i = 0; i < COUNT(streams); i++) {
        for (size_t step = 0; step < 40; step++) {
            note_begin(&n, true);
            read_answer(bytes_of(streams[i].stream), true, step, take, &n);
            if (strcmp(n.at, streams[i].want) != 0) {
                fprintf(stderr, "%zu step %zu\n%s-- want\n%s", i, step, n.at, streams[i].want);
                fail();
            }
            free(n.at);
        }
    }
}

/* ---- writing ---- */

static void check_written(struct writing *g, const char *want)
{
    struct bytes out = kit_pen_text(&g->k);
    if (out.len != strlen(want) || memcmp(out.ptr, want, out.len) != 0) {
        fprintf(stderr, "-- got\n%.*s\n-- want\n%s\n", (int)out.len, out.ptr, want);
        fail();
    }
}

#define PART(part) "data: {\"candidates\":[{\"content\":{\"parts\":[" part "],\"role\":" \
    "\"model\"},\"index\":0}],\"modelVersion\":\"a/b\",\"responseId\":" ID "}\r\n\r\n"
#define LAST(part, reason, more) "data: {\"candidates\":[{\"content\":{\"parts\":[" part \
    "],\"role\":\"model\"},\"finishReason\":\"" reason "\",\"index\":0" more "}]," \
    "\"usageMetadata\":{\"promptTokenCount\":10,\"candidatesTokenCount\":5," \
    "\"totalTokenCount\":19,\"cachedContentTokenCount\":3,\"thoughtsTokenCount\":4}," \
    "\"modelVersion\":\"a/b\",\"responseId\":" ID "}\r\n\r\n"
#define ID "\"xwK0MWOe3ZD0zILOr7ZHPW80\""

enum how { SHOWN, HIDDEN,    /* thoughts */
           MIXED };          /* calls, as no whole answer has them */
struct script { struct tell tell[16]; enum how how; const char *want; };

#define OPEN(b, i) {.kind = TELL_OPEN, .block = b, .item = i}
#define CALL(i, n) {.kind = TELL_OPEN, .block = TELL_CALL, .item = i, \
                    .id = BYTES_INIT("c" #i), .name = BYTES_INIT(n)}
#define MORE(b, i, t) {.kind = TELL_MORE, .block = b, .item = i, .text = BYTES_INIT(t)}
#define VALUE(i, t) {.kind = TELL_MORE, .block = TELL_CALL, .item = i, .text = BYTES_INIT(t), \
                     .value = true}
#define SIGN(b, i, m, t) {.kind = TELL_SIGN, .block = b, .item = i, .maker = m, \
                          .text = BYTES_INIT(t)}
#define CLOSE(b, i) {.kind = TELL_CLOSE, .block = b, .item = i}
#define FINISH(f) {.kind = TELL_FINISH, .finish = f}
#define END {.kind = TELL_END}

static const struct script scripts[] = {
    {{{.kind = TELL_START}, OPEN(TELL_TEXT, 0), MORE(TELL_TEXT, 0, "H\\n"),
      MORE(TELL_TEXT, 0, "i"), CLOSE(TELL_TEXT, 0), FINISH(TELL_LENGTH), END}, SHOWN,
     PART("{\"text\":\"H\\n\"}") PART("{\"text\":\"i\"}")
     LAST("{\"text\":\"\"}", "MAX_TOKENS", "")},
    /* Anthropic's signature is of the very thoughts. */
    {{OPEN(TELL_THINKING, 0), MORE(TELL_THINKING, 0, "hm"),
      SIGN(TELL_THINKING, 0, MAKER_MESSAGES, "S"), SIGN(TELL_THINKING, 0, MAKER_MESSAGES, "2"),
      CLOSE(TELL_THINKING, 0), CALL(1, "f"), MORE(TELL_CALL, 1, "{\\\"a\\\":"),
      MORE(TELL_CALL, 1, "\\\"\\u00e9\\\"}"), CLOSE(TELL_CALL, 1), FINISH(TELL_CALLS), END},
     SHOWN,
     PART("{\"text\":\"hm\",\"thought\":true}")
     PART("{\"text\":\"\",\"thought\":true,\"thoughtSignature\":\"WeirSgM0S2\"}")
     PART("{\"functionCall\":{\"id\":\"c1\",\"name\":\"f\",\"args\":{\"a\":\"\xC3\xA9\"}}}")
     LAST("{\"text\":\"\"}", "STOP", "")},
    {{OPEN(TELL_THINKING, 0), MORE(TELL_THINKING, 0, "hm"),
      SIGN(TELL_THINKING, 0, MAKER_MESSAGES, "S"), CLOSE(TELL_THINKING, 0), FINISH(TELL_STOP),
      END}, HIDDEN, LAST("{\"text\":\"\"}", "STOP", "")},
    /* What stands for itself waits for the next part that is no thought. */
    {{OPEN(TELL_THINKING, 0), MORE(TELL_THINKING, 0, "hm"),
      SIGN(TELL_THINKING, 0, MAKER_RESPONSES, "E"), CLOSE(TELL_THINKING, 0),
      OPEN(TELL_TEXT, 1), MORE(TELL_TEXT, 1, "a"), MORE(TELL_TEXT, 1, "b"),
      CLOSE(TELL_TEXT, 1), FINISH(TELL_STOP), END}, HIDDEN,
     PART("{\"text\":\"a\",\"thoughtSignature\":\"WeirSgR0E\"}") PART("{\"text\":\"b\"}")
     LAST("{\"text\":\"\"}", "STOP", "")},
    {{OPEN(TELL_THINKING, 0), SIGN(TELL_THINKING, 0, MAKER_MESSAGES, "R1"),
      CLOSE(TELL_THINKING, 0), OPEN(TELL_THINKING, 1),
      SIGN(TELL_THINKING, 1, MAKER_RESPONSES, "R2"), CLOSE(TELL_THINKING, 1),
      FINISH(TELL_STOP), END}, SHOWN,
     PART("{\"text\":\"\",\"thoughtSignature\":\"WeirSgM0R1\"}")
     LAST("{\"text\":\"\",\"thoughtSignature\":\"WeirSgR0R2\"}", "STOP", "")},
    /* Mixed calls; a value; arguments that are none; a call's own signature. */
    {{CALL(0, "f"), CALL(1, "g"), MORE(TELL_CALL, 0, "{\\\"a\\\":1"),
      MORE(TELL_CALL, 1, "oops\\n"), MORE(TELL_CALL, 0, "}"), CLOSE(TELL_CALL, 1),
      SIGN(TELL_CALL, 0, MAKER_GEMINI, "own"), CLOSE(TELL_CALL, 0), CALL(2, "h"),
      VALUE(2, "{\"v\":[]}"), CLOSE(TELL_CALL, 2), CALL(3, "i"), CLOSE(TELL_CALL, 3),
      FINISH(TELL_CALLS), END}, MIXED,
     PART("{\"functionCall\":{\"id\":\"c1\",\"name\":\"g\",\"args\":{\"arguments\":\"oops\\n\""
         "}}}")
     PART("{\"functionCall\":{\"id\":\"c0\",\"name\":\"f\",\"args\":{\"a\":1}},"
          "\"thoughtSignature\":\"own\"}")
     PART("{\"functionCall\":{\"id\":\"c2\",\"name\":\"h\",\"args\":{\"v\":[]}}}")
     PART("{\"functionCall\":{\"id\":\"c3\",\"name\":\"i\",\"args\":{}}}")
     LAST("{\"text\":\"\"}", "STOP", "")},
    {{{.kind = TELL_OPEN, .block = TELL_CALL, .id = BYTES_INIT("c"), .name = BYTES_INIT("f"),
       .custom = true}, {.kind = TELL_MORE, .block = TELL_CALL, .text = BYTES_INIT("{}"),
       .custom = true}, CLOSE(TELL_CALL, 0), FINISH(TELL_CALLS), END}, SHOWN,
     PART("{\"functionCall\":{\"id\":\"c\",\"name\":\"f\",\"args\":{\"input\":\"{}\"}}}")
     LAST("{\"text\":\"\"}", "STOP", "")},
    /* The first call's arguments are told to be over late; there are none of the second's. */
    {{CALL(0, "f"), MORE(TELL_CALL, 0, "{\\\"a"), CALL(1, "g"), CALL(2, "h"),
      MORE(TELL_CALL, 2, "{}"), CLOSE(TELL_CALL, 0), CLOSE(TELL_CALL, 1), CLOSE(TELL_CALL, 2),
      FINISH(TELL_CALLS), END}, SHOWN,
     PART("{\"functionCall\":{\"id\":\"c0\",\"name\":\"f\",\"args\":{\"arguments\":\"{\\\"a\"}"
         "}}")
     PART("{\"functionCall\":{\"id\":\"c1\",\"name\":\"g\",\"args\":{}}}")
     PART("{\"functionCall\":{\"id\":\"c2\",\"name\":\"h\",\"args\":{}}}")
     LAST("{\"text\":\"\"}", "STOP", "")},
    {{{.kind = TELL_OPEN, .block = TELL_IMAGE, .item = 0, .name = BYTES_INIT("image/png")},
      MORE(TELL_IMAGE, 0, "AA"), MORE(TELL_IMAGE, 0, "BB"), CLOSE(TELL_IMAGE, 0),
      OPEN(TELL_REFUSAL, 1), MORE(TELL_REFUSAL, 1, "no"), CLOSE(TELL_REFUSAL, 1),
      {.kind = TELL_CITE, .url = BYTES_INIT("u1"), .name = BYTES_INIT("t\\\"")},
      {.kind = TELL_CITE, .url = BYTES_INIT("u2")}, FINISH(TELL_REFUSED), END}, SHOWN,
     PART("{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"AABB\"}}")
     PART("{\"text\":\"no\"}")
     LAST("{\"text\":\"\"}", "SAFETY", ",\"groundingMetadata\":{\"groundingChunks\":[{\"web\":"
          "{\"uri\":\"u1\",\"title\":\"t\\\"\"}},{\"web\":{\"uri\":\"u2\",\"title\":\"\"}}]}")},
};

static void test_write(void **state)
{
    (void)state;
    struct writing g;
    for (size_t i = 0; i < COUNT(scripts); i++) {
        const struct tell *t = scripts[i].tell;
        writing_begin(&g);
        g.facts.want_thoughts = scripts[i].how != HIDDEN;
        do assert_true(tell_write(&g.s, t, &g.k.pen)); while (t++->kind != TELL_END);
        check_written(&g, scripts[i].want);
        writing_end(&g);
    }
}

/* The same scripts as whole answers: what they say, read again, is what the stream says. */

static bool tell_script(const struct tell_story *story, tell_take to, void *arg)
{
    const struct tell *t = (const struct tell *)(const void *)story->root.start;
    do if (!to(arg, t)) return false; while (t++->kind != TELL_END);
    return true;
}

static void test_whole_says_what_streams_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(scripts); i++) {
        struct writing g;
        struct note a, b;
        if (scripts[i].how == MIXED) continue;
        struct tell_story story = {.again = tell_script,
                                   .root.start = (uintptr_t)scripts[i].tell};
        writing_begin(&g);
        g.facts.want_thoughts = scripts[i].how != HIDDEN;
        assert_true(tell_write_whole(&g.facts, &story, &g.k.pen));
        struct bytes out = kit_pen_text(&g.k);
        assert_true(kit_is_json(out));
        note_begin(&a, true);
        note_begin(&b, true);
        read_answer(out, false, 0, take, &a);
        read_answer(bytes_of(scripts[i].want), true, 0, take, &b);
        if (strcmp(a.at, b.at) != 0) {
            fprintf(stderr, "%zu\n%.*s\n%s-- stream\n%s", i, (int)out.len, out.ptr, a.at, b.at);
            fail();
        }
        free(a.at);
        free(b.at);
        writing_end(&g);
    }
}

/* ---- read, written, read ---- */

static void check_again(struct bytes answer, bool stream, const char *name)
{
    struct note first, again;
    struct writing g;
    note_begin(&first, false);
    note_begin(&again, false);
    read_answer(answer, stream, 0, take, &first);
    for (size_t step = 1; step < 5000; step = step * 3 + 1) {
        struct note cut;
        note_begin(&cut, false);
        read_answer(answer, stream, step, take, &cut);
        assert_string_equal(cut.at, first.at);
        free(cut.at);
    }
    writing_begin(&g);
    read_answer(answer, stream, 0, take_write, &g);
    struct bytes out = kit_pen_text(&g.k);
    read_answer(out, true, 0, take, &again);
    if (strcmp(first.at, again.at) != 0) {
        fprintf(stderr, "%s\n%s-- again\n%s", name, first.at, again.at);
        fail();
    }
    free(first.at);
    free(again.at);
    writing_end(&g);
}

static void test_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(streams); i++) {
        /* Spoilt arguments come back as the text of a member. */
        if (strstr(streams[i].want, "<out of order>")) continue;
        check_again(bytes_of(streams[i].stream), true, streams[i].want);
    }
}

/* Whole answers too, as far as Gemini's own readers go. */
static void check_whole_again(struct bytes answer)
{
    struct note first, again;
    struct writing g;
    struct open o;
    note_begin(&first, false);
    note_begin(&again, false);
    read_answer(answer, false, 0, take, &first);
    writing_begin(&g);
    open_text(&o, answer, 1000);
    struct tell_story story = tell_story(API_GENERATE, 42, &o.w, o.root);
    assert_true(tell_write_whole(&g.facts, &story, &g.k.pen));
    read_answer(kit_pen_text(&g.k), false, 0, take, &again);
    assert_string_equal(again.at, first.at);
    kit_pieces_free(&o.pieces);
    writing_end(&g);
    free(first.at);
    free(again.at);
}

static void play(const struct tape *tape, void *arg)
{
    size_t *count = arg;
    struct bytes found;
    if (tape->events.len > 0) {
        check_again(tape->events, true, tape->name);
        ++*count;
    } else if (tape->answer.len > 0 && !tape_path(tape->answer, "error", &found)) {
        check_again(tape->answer, false, tape->name);
        check_whole_again(tape->answer);
        ++*count;
    }
}

static void test_tapes(void **state)
{
    (void)state;
    size_t count = 0;
    if (!tapes_each("gemini-generate", play, &count)) {
        print_message("no recordings here: skipped\n");
        skip();
    }
    assert_true(count > 90);
}

/* What a whole answer is, letter by letter. */
static void test_whole(void **state)
{
    (void)state;
    static const struct { struct tell tell[12]; const char *parts; } answers[] = {
        {{FINISH(TELL_FILTER), END}, "{\"text\":\"\"}"},
        {{CALL(0, "f"), SIGN(TELL_CALL, 0, MAKER_GEMINI, "own"), VALUE(0, "{}"),
          CLOSE(TELL_CALL, 0), FINISH(TELL_FILTER), END},
         "{\"functionCall\":{\"id\":\"c0\",\"name\":\"f\",\"args\":{}},"
         "\"thoughtSignature\":\"own\"}"},
        {{OPEN(TELL_THINKING, 0), MORE(TELL_THINKING, 0, "h"), MORE(TELL_THINKING, 0, "m"),
          SIGN(TELL_THINKING, 0, MAKER_MESSAGES, "S"), CLOSE(TELL_THINKING, 0),
          OPEN(TELL_THINKING, 1), SIGN(TELL_THINKING, 1, MAKER_RESPONSES, "E"),
          CLOSE(TELL_THINKING, 1), FINISH(TELL_FILTER), END},
         "{\"thought\":true,\"text\":\"hm\",\"thoughtSignature\":\"WeirSgM0S\"},"
         "{\"text\":\"\",\"thoughtSignature\":\"WeirSgR0E\"}"},
        /* Deltas of calls that are mixed: none is, but it is JSON all the same. */
        {{CALL(0, "f"), CALL(1, "g"), MORE(TELL_CALL, 0, "{"), MORE(TELL_CALL, 1, "{}"),
          MORE(TELL_CALL, 0, "}"), CLOSE(TELL_CALL, 0), CLOSE(TELL_CALL, 1),
          FINISH(TELL_FILTER), END},
         "{\"functionCall\":{\"id\":\"c0\",\"name\":\"f\",\"args\":{}}},"
         "{\"functionCall\":{\"id\":\"c1\",\"name\":\"g\",\"args\":{}}}"},
    };
    for (size_t i = 0; i < COUNT(answers); i++) {
        char want[1024];
        struct writing g;
        struct tell_story story = {.again = tell_script,
                                   .root.start = (uintptr_t)answers[i].tell};
        writing_begin(&g);
        assert_true(tell_write_whole(&g.facts, &story, &g.k.pen));
        snprintf(want, sizeof want, "{\"candidates\":[{\"content\":{\"parts\":[%s],\"role\":"
                 "\"model\"},\"finishReason\":\"SAFETY\",\"index\":0}],\"usageMetadata\":{"
                 "\"promptTokenCount\":10,\"candidatesTokenCount\":5,\"totalTokenCount\":19,"
                 "\"cachedContentTokenCount\":3,\"thoughtsTokenCount\":4},\"modelVersion\":"
                 "\"a/b\",\"responseId\":" ID "}", answers[i].parts);
        check_written(&g, want);
        writing_end(&g);
    }
}

/* Arguments in long pieces: no letter is cut. */
static void test_long_partial(void **state)
{
    (void)state;
    for (size_t before = 50; before < 70; before++) {
        char stream[1024], want[1024], x[80];
        memset(x, 'x', before);
        x[before] = '\0';
        snprintf(stream, sizeof stream,
                 "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"id\":"
                 "\"c\",\"name\":\"f\",\"partialArgs\":[{\"jsonPath\":\"$.a\","
                 "\"stringValue\":\"%s\xF0\x9F\x98\x80\xC3\xA9%s\"}]}}]}}]}\n", x, x);
        snprintf(want, sizeof want, "start  \n0 call c f|{\"a\":\"%s\xF0\x9F\x98\x80\xC3\xA9%s"
            "\"}"
                 "|\n0 finish 4\nend\n", x, x);
        for (size_t step = 0; step < 7; step++) {
            struct note n;
            note_begin(&n, true);
            read_answer(bytes_of(stream), true, step, take_letters, &n);
            assert_string_equal(n.at, want);
            free(n.at);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_whole_says_what_streams_say),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_tapes),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_long_partial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
