/* test_onward.c - an answer that breaks and goes on elsewhere: what the client has read of the
 * first provider's stream, and what is written behind it, is one answer (translate_fold,
 * translate_onward); what is repeated is left out, whichever way it is cut and escaped. */
#include "net/dialect/api.h"
#include "net/json.h"
#include "net/sse.h"
#include "net/translate/translate.h"
#include "net/translate/walk.h"
#include "openai_tape.h"
#include "tr_client.h"
#include "tr_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LOG_MAX = 1 << 20 };

struct log {                 /* bytes that are kept; pieces of them are short */
    char at[LOG_MAX];
    size_t room, step;
    struct walk_source source;
};

struct fixture {
    struct translate t;
    struct tell_facts facts;
    struct log keep, said;
    struct kit_pen pen;
};
static struct fixture f;

static struct bytes log_piece(void *arg, uint64_t at)
{
    struct log *l = arg;
    assert_true(at < l->source.size);
    uint64_t left = l->source.size - at, most = l->step - at % l->step;
    return (struct bytes){l->at + at, (size_t)(left < most ? left : most)};
}

static bool log_put(struct log *l, struct bytes b)
{
    if (l->source.size + b.len > l->room) return false;
    memcpy(l->at + l->source.size, b.ptr, b.len);
    l->source.size += b.len;
    return true;
}

static bool keep_put(void *arg, struct bytes b)
{
    struct fixture *x = arg;
    bool put = log_put(&x->keep, b);
    x->t.keep.source.size = x->keep.source.size;
    return put;
}

static bool said_put(void *arg, struct bytes b)
{
    struct fixture *x = arg;
    return log_put(&x->said, b);
}

static void log_begin(struct log *l, size_t step)
{
    l->room = LOG_MAX;
    l->step = step;
    l->source = (struct walk_source){log_piece, l, 0};
}

/* A client of one dialect, whose answer comes from a provider of another, or of the same as
 * it is (theirs). */
static void begin(enum api client, enum api from, bool theirs, size_t step)
{
    log_begin(&f.keep, step);
    log_begin(&f.said, step);
    f.facts = (struct tell_facts){.api = client, .seed = {1, 2}, .created = 1700000000,
        .model = "m", .cost_nusd = -1, .want_usage = true, .want_thoughts = true,
        .theirs = theirs, .usage = {.present = true, .input = 3}};
    memset(&f.t, 0xA5, sizeof f.t);  /* nothing of before is to be read */
    f.t.facts = &f.facts;
    f.t.keep = (struct tell_keep){.put = keep_put, .arg = &f, .source = f.keep.source};
    f.t.said = (struct translate_said){.put = said_put, .arg = &f};
    kit_pen(&f.pen, 0, NULL);
    translate_begin(&f.t, from);
}

static void end(void)
{
    kit_pen_free(&f.pen);
}

static void tell_event_to(const char *data, bool fold)
{
    struct bytes text = bytes_of(data);
    struct walk_source source;
    walk_source_of(&source, &text);
    struct bytes none = {0};
    if (fold) assert_true(translate_fold(&f.t, none, &source, NULL, NULL));
    else assert_true(translate_event(&f.t, none, &source, NULL, NULL, &f.pen.pen));
}

static void event(const char *data) { tell_event_to(data, false); }
static void fold(const char *data) { tell_event_to(data, true); }

/* A chunk of chat's with that content, as written in JSON. */
static const char *chunk(const char *content)
{
    static char text[4096];
    (void)snprintf(text, sizeof text, "{\"id\":\"b1\",\"model\":\"other\",\"created\":5,"
                   "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"}}]}", content);
    return text;
}

static const char stop_chunk[] =
    "{\"id\":\"b1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}";
static const struct api_usage used = {.present = true, .input = 41, .output = 17};

/* ---- what the client reads ---- */

struct heard { char text[8192]; size_t len; unsigned finishes, opens, texts; };

static bool hear(void *arg, const struct tell *t)
{
    struct heard *h = arg;
    if (t->kind == TELL_FINISH) h->finishes++;
    if (t->kind == TELL_OPEN) h->opens++;
    if (t->kind == TELL_OPEN && t->block == TELL_TEXT) h->texts++;
    if (t->kind != TELL_MORE || t->block != TELL_TEXT) return true;
    assert_true(h->len + t->text.len < sizeof h->text);
    memcpy(h->text + h->len, t->text.ptr, t->text.len);
    h->len += t->text.len;
    h->text[h->len] = '\0';
    return true;
}

/* What was written, read as its client does. */
static void read_written(enum api client, struct heard *h)
{
    struct bytes stream = kit_pen_text(&f.pen);
    struct tell_reader r;
    struct sse sse = {0};
    struct sse_event ev;
    memset(h, 0, sizeof *h);
    tell_begin(&r, client, 7, hear, h);
    while (sse_next(&sse, &stream, &ev) == NET_OK) {
        struct bytes data = ev.data;
        struct walk_source source;
        struct walk w;
        struct node root;
        if (ev.data_lines == 0) continue;
        walk_source_of(&source, &data);
        if (!walk_open(&w, &source, NULL, &root)) continue;
        assert_true(tell_event(&r, ev.event, &w, root));
    }
}

/* ---- repetitions ---- */

#define LONG "The quick brown fox jumps over the lazy dog, and the lazy dog does not mind it."

static const struct repetition {
    uint8_t how;
    const char *said;        /* by the first */
    const char *more[4];     /* by the second, event by event */
    const char *rest;        /* what the client gets of that; NULL: it failed */
} repetitions[] = {
    /* Who goes on by itself: nothing is removed, but for blanks it was not shown. */
    {ASK_CONTINUES_PREFILL, "Hello wor", {"ld!"}, "ld!"},
    {ASK_CONTINUES_PREFILL, "Hello ", {" world"}, "world"},
    {ASK_CONTINUES_PREFILL, "Hello ", {"world"}, "world"},
    {ASK_CONTINUES_PREFILL, "Hello\\n", {"\\n\\nworld"}, "\\nworld"},
    {ASK_CONTINUES_PREFILL, "Hello\\n", {"\\u000a", "\\nworld"}, "\\nworld"},
    {ASK_CONTINUES_PREFILL, "Hello \\n", {"\\nworld"}, "\\nworld"},
    {ASK_CONTINUES_PREFIX, "Hello wor", {"Hello wor", "ld"}, "Hello world"},
    {ASK_CONTINUES_PARTIAL, "ab\\u00a0", {"\xC2\xA0""c"}, "c"},
    {ASK_CONTINUES_FINAL, "ab", {"", "c", ""}, "c"},
    {ASK_CONTINUES_PREFILL, " ", {" Hello"}, "Hello"},
    {ASK_CONTINUES_PREFILL, "ab", {NULL}, ""},
    /* Half of a pair that the client has already. */
    {ASK_CONTINUES_PREFILL, "ab\\ud83d", {"\\ud83d\\ude00!"}, "\\ude00!"},
    {ASK_CONTINUES_PREFILL, "ab \\ud83d", {" ", "\xF0\x9F\x98\x80!"}, "\\ude00!"},
    {ASK_CONTINUES_PREFILL, "ab\\ud83d", {"\\ud83d", "\\ude00!"}, "\\ude00!"},
    {ASK_CONTINUES_PREFILL, "ab\\ud83d", {"cd"}, "cd"},
    {ASK_CONTINUES_PREFILL, "ab\\ud83d", {"\\ud83c\\udf00"}, "\\ud83c\\udf00"},
    /* Who repeats it all. */
    {ASK_CONTINUES_PREFIX_ECHO, "Hello wor", {"Hello world"}, "ld"},
    {ASK_CONTINUES_PREFIX_ECHO, "Hello wor", {"He", "llo", " w", "or"}, ""},
    {ASK_CONTINUES_PREFIX_ECHO, "caf\\u00e9 \\\"x\\/", {"caf\xC3\xA9 \\u0022x/y"}, "y"},
    {ASK_CONTINUES_PREFIX_ECHO, "a\\ud83d\\ude00b", {"a\\ud83d", "\\ude00b", "c"}, "c"},
    {ASK_CONTINUES_PREFIX_ECHO, "Hello ", {"Hello", " world"}, "world"},
    {ASK_CONTINUES_PREFIX_ECHO, "Hello wor", {"Hello World"}, NULL},
    {ASK_CONTINUES_PREFIX_ECHO, "Hello wor", {"Hello"}, NULL},
    {ASK_CONTINUES_PREFIX_ECHO, "Hello wor", {"ld"}, NULL},
    {ASK_CONTINUES_PREFIX_ECHO, "Hello wor", {NULL}, ""},
    /* Who was asked not to. */
    {ASK_CONTINUES_INSTRUCT, LONG, {" Nor does the fox."}, " Nor does the fox."},
    {ASK_CONTINUES_INSTRUCT, LONG, {"does not mind it. Nor"}, " Nor"},
    {ASK_CONTINUES_INSTRUCT, LONG, {"does not", " mi", "nd it.", " Nor"}, " Nor"},
    {ASK_CONTINUES_INSTRUCT, LONG, {LONG, " Nor"}, " Nor"},
    {ASK_CONTINUES_INSTRUCT, LONG, {LONG}, ""},
    {ASK_CONTINUES_INSTRUCT, LONG, {"mind it. Nor"}, " Nor"},
    {ASK_CONTINUES_INSTRUCT, LONG, {"ind it. Nor"}, "ind it. Nor"},     /* too short */
    {ASK_CONTINUES_INSTRUCT, LONG, {"the lazy dog sleeps"}, "the lazy dog sleeps"},
    {ASK_CONTINUES_INSTRUCT, LONG, {"the lazy dog does not mind it. A"}, " A"},
    {ASK_CONTINUES_INSTRUCT, LONG, {"The quick brown bear"}, "The quick brown bear"},
    {ASK_CONTINUES_INSTRUCT, LONG, {"The quick"}, "The quick"},
    {ASK_CONTINUES_INSTRUCT, LONG,     /* anew, and then something else */
     {"The quick brown fox jumps over the lazy dog, and the lazy dog does mind it."}, NULL},
    {ASK_CONTINUES_INSTRUCT, LONG,     /* anew, and then no more */
     {"The quick brown fox jumps over the lazy dog, and the lazy dog does"}, NULL},
    {ASK_CONTINUES_INSTRUCT, "Yes", {"Yes, it is"}, ", it is"},
    {ASK_CONTINUES_INSTRUCT, "Yes", {"Ye", "t"}, "Yet"},
    {ASK_CONTINUES_INSTRUCT, "Oh no no no no no ", {"no no no no yes"}, "yes"},
    {ASK_CONTINUES_INSTRUCT, "Oh no no no no no ", {"no no no no"}, ""},
    {ASK_CONTINUES_INSTRUCT, "Oh no no no no no ", {"no no no no n"}, "n"},
    {ASK_CONTINUES_INSTRUCT, "aaaaaaaaaaaaaaaa", {"aaaaaaaaab"}, "b"},
    {ASK_CONTINUES_INSTRUCT, "abababababab", {"babababababc"}, "c"},
    {ASK_CONTINUES_INSTRUCT, "x \xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E",
     {"\\u65e5\\u672c\\u8a9e\xE3\x81\xAF"}, "\xE3\x81\xAF"},
    {ASK_CONTINUES_INSTRUCT, "one two three\\n", {"two three\\n\\nfour"}, "\\nfour"},
    {ASK_CONTINUES_INSTRUCT, "one two three ", {"four"}, "four"},
    {ASK_CONTINUES_INSTRUCT, "one two three\\ud83d", {"\\ud83d\\ude00"}, "\\ude00"},
    {ASK_CONTINUES_INSTRUCT, "smile \\ud83d\\ude00 and go on",
     {"\xF0\x9F\x98\x80 and go on, do"}, ", do"},
    {ASK_CONTINUES_INSTRUCT, "", {"All of it"}, "All of it"},
};

static void check_repetition(const struct repetition *r, size_t step)
{
    struct heard h;
    begin(API_CHAT, API_CHAT, true, step);
    fold(chunk(r->said));
    translate_folded(&f.t, 0);
    assert_int_equal(f.t.said.lacks, 0);
    translate_onward(&f.t, API_CHAT, (enum ask_continues)r->how, &f.said.source);
    for (size_t i = 0; i < COUNT(r->more) && r->more[i]; i++) event(chunk(r->more[i]));
    event(stop_chunk);
    if (!r->rest && !f.t.onward.failed) print_error("%s | %s\n", r->said, r->more[0]);
    assert_int_equal(f.t.onward.failed, !r->rest);
    if (r->rest) assert_true(translate_end(&f.t, &used, &f.pen.pen));
    read_written(API_CHAT, &h);
    assert_string_equal(h.text, r->rest ? r->rest : "");
    if (r->rest) {
        assert_int_equal(f.t.onward.began, r->rest[0] != '\0');
        assert_int_equal(h.finishes, 1);
        char all[1024];    /* and it is what was said, for who goes on with that */
        (void)snprintf(all, sizeof all, "%s%s", r->said, r->rest);
        assert_int_equal(f.said.source.size, strlen(all));
        assert_memory_equal(f.said.at, all, strlen(all));
    }
    end();
}

static void test_repetitions(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(repetitions); i++) {
        check_repetition(&repetitions[i], LOG_MAX);
        check_repetition(&repetitions[i], 1);
        check_repetition(&repetitions[i], 7);
    }
}

/* ---- what an answer lacks ---- */

#define CHAT(members) "{\"id\":\"a1\",\"model\":\"x\",\"choices\":[{\"index\":0," members "}]}"
#define DELTA(members) CHAT("\"delta\":{" members "}")
#define BLOCK(block) "{\"type\":\"content_block_start\",\"index\":0," \
                     "\"content_block\":" block "}"
#define BLOCK_DELTA(delta) "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":" delta "}"
#define BLOCK_STOP "{\"type\":\"content_block_stop\",\"index\":0}"
#define THOUGHT BLOCK("{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"\"}")
#define SIGNED BLOCK_DELTA("{\"type\":\"signature_delta\",\"signature\":\"c2ln\"}")
#define ADDED(type) "{\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":" \
                    "{\"id\":\"i\",\"type\":\"" type "\"}}"
#define DONE(type, more) "{\"type\":\"response.output_item.done\",\"output_index\":0," \
                         "\"item\":{\"id\":\"i\",\"type\":\"" type "\"" more "}}"

static const struct {
    enum api client, from;
    bool theirs;
    const char *said[4];
    unsigned lacks;
} lack_cases[] = {
    {API_CHAT, API_CHAT, true, {DELTA("\"content\":\"a\"")}, 0},
    {API_CHAT, API_CHAT, true, {DELTA("\"reasoning_content\":\"a\"")}, 0},
    {API_CHAT, API_CHAT, true, {DELTA("\"refusal\":\"a\"")}, LACK_REFUSAL},
    {API_CHAT, API_CHAT, true, {DELTA("\"audio\":{\"data\":\"YQ==\"}")}, LACK_MEDIA},
    {API_CHAT, API_CHAT, true, {DELTA("\"tool_calls\":[{\"index\":0,\"id\":\"c\","
     "\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]")}, LACK_CALL},
    {API_CHAT, API_CHAT, true, {CHAT("\"delta\":{\"content\":\"a\"},\"logprobs\":{\"content\":"
     "[{\"token\":\"a\",\"logprob\":0}]}")}, LACK_LOGPROBS},
    {API_CHAT, API_CHAT, true, {"{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"a\"}}]}"},
     LACK_CHOICES},
    {API_CHAT, API_CHAT, true, {CHAT("\"delta\":{},\"finish_reason\":\"stop\"")},
     LACK_FINISHED},
    {API_CHAT, API_MESSAGES, false, {THOUGHT}, 0},
    {API_MESSAGES, API_MESSAGES, true, {THOUGHT}, LACK_THOUGHT},
    {API_MESSAGES, API_MESSAGES, true, {THOUGHT, SIGNED}, LACK_THOUGHT},
    {API_MESSAGES, API_MESSAGES, true, {THOUGHT, SIGNED, BLOCK_STOP}, 0},
    {API_MESSAGES, API_MESSAGES, true, {THOUGHT, BLOCK_STOP}, LACK_THOUGHT},
    {API_MESSAGES, API_CHAT, false, {DELTA("\"reasoning_content\":\"a\"")}, 0},
    {API_RESPONSES, API_CHAT, false, {DELTA("\"reasoning_content\":\"a\"")}, 0},
    {API_MESSAGES, API_CHAT, false,
     {DELTA("\"reasoning_content\":\"a\""), DELTA("\"content\":\"a\"")}, 0},
    /* What runs at the provider nobody else can end. */
    {API_MESSAGES, API_MESSAGES, true, {BLOCK("{\"type\":\"server_tool_use\"}")}, LACK_CALL},
    {API_MESSAGES, API_MESSAGES, true,
     {BLOCK("{\"type\":\"server_tool_use\"}"), BLOCK_STOP}, 0},
    {API_RESPONSES, API_RESPONSES, true, {ADDED("web_search_call")}, LACK_CALL},
    {API_RESPONSES, API_RESPONSES, true,
     {ADDED("web_search_call"), DONE("web_search_call", "")}, 0},
    {API_RESPONSES, API_RESPONSES, true, {ADDED("reasoning")}, LACK_THOUGHT},
    {API_RESPONSES, API_RESPONSES, true, {ADDED("reasoning"), DONE("reasoning", "")},
     LACK_THOUGHT},  /* it was to be encrypted */
    {API_RESPONSES, API_RESPONSES, true,
     {ADDED("reasoning"), DONE("reasoning", ",\"encrypted_content\":\"eA==\"")}, 0},
    {API_RESPONSES, API_RESPONSES, true, {ADDED("message")}, 0},
};

static void test_lacks(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(lack_cases); i++) {
        begin(lack_cases[i].client, lack_cases[i].from, lack_cases[i].theirs, 64);
        f.facts.encrypted = true;
        for (size_t j = 0; j < COUNT(lack_cases[i].said) && lack_cases[i].said[j]; j++) {
            tell_event_to(lack_cases[i].said[j], lack_cases[i].theirs);
        }
        if (lack_cases[i].theirs) translate_folded(&f.t, 0);
        if (f.t.said.lacks != lack_cases[i].lacks) print_error("%s\n", lack_cases[i].said[0]);
        assert_int_equal(f.t.said.lacks, lack_cases[i].lacks);
        end();
    }
    /* Without room for all of the text there is none: no part of it stands for the whole. */
    begin(API_CHAT, API_CHAT, true, 64);
    f.said.room = 3;
    fold(chunk("ab"));
    fold(chunk("cd"));
    fold(chunk("e"));
    assert_int_equal(f.t.said.lacks, LACK_TEXT_LOST);
    assert_int_equal(f.said.source.size, 2);
    end();
}

/* ---- a second one breaks too ---- */

static void test_second_break(void **state)
{
    (void)state;
    struct heard h;
    begin(API_CHAT, API_CHAT, true, 64);
    fold(chunk("Hello "));
    translate_folded(&f.t, 0);
    translate_onward(&f.t, API_CHAT, ASK_CONTINUES_INSTRUCT, &f.said.source);
    event(chunk("brave new"));
    event(chunk(" world\\ud83d"));
    translate_onward(&f.t, API_CHAT, ASK_CONTINUES_PREFIX_ECHO, &f.said.source);
    event(chunk("Hello brave new"));
    event(chunk(" world\\ud83d\\ude00!"));
    event(stop_chunk);
    assert_false(f.t.onward.failed);
    assert_true(translate_end(&f.t, &used, &f.pen.pen));
    read_written(API_CHAT, &h);
    assert_string_equal(h.text, "brave new world\\ud83d\\ude00!");
    assert_int_equal(h.finishes, 1);
    end();
    /* What the second held back when it broke was never said: it may be said again. */
    begin(API_CHAT, API_CHAT, true, 64);
    fold(chunk("one two three"));
    translate_folded(&f.t, 0);
    translate_onward(&f.t, API_CHAT, ASK_CONTINUES_INSTRUCT, &f.said.source);
    event(chunk("two th"));
    assert_false(f.t.onward.began);
    translate_onward(&f.t, API_CHAT, ASK_CONTINUES_INSTRUCT, &f.said.source);
    event(chunk(" four"));
    event(stop_chunk);
    assert_true(translate_end(&f.t, &used, &f.pen.pen));
    read_written(API_CHAT, &h);
    assert_string_equal(h.text, " four");
    end();
}

/* ---- what else the second says ---- */

/* Its thoughts are nobody's, its text goes to the block that broke off, its calls are calls. */
static void test_blocks(void **state)
{
    (void)state;
    static const enum api clients[] = {API_CHAT, API_RESPONSES, API_MESSAGES, API_GENERATE};
    static const char *const second[] = {
        "{\"type\":\"message_start\",\"message\":{\"id\":\"m2\",\"model\":\"other\"}}",
        THOUGHT, SIGNED, BLOCK_STOP,
        BLOCK("{\"type\":\"text\",\"text\":\"\"}"),
        BLOCK_DELTA("{\"type\":\"text_delta\",\"text\":\" world\"}"), BLOCK_STOP,
        BLOCK("{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"f\",\"input\":{\"a\":1}}"),
        BLOCK_STOP,
        "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"}}",
    };
    for (size_t i = 0; i < COUNT(clients); i++) {
        struct heard h;
        begin(clients[i], API_CHAT, false, 64);
        event(chunk("Hello"));
        assert_int_equal(f.t.said.lacks, 0);
        translate_onward(&f.t, API_MESSAGES, ASK_CONTINUES_PREFILL, &f.said.source);
        for (size_t j = 0; j < COUNT(second); j++) event(second[j]);
        assert_int_equal(f.t.said.lacks, LACK_CALL | LACK_FINISHED);
        assert_true(translate_end(&f.t, &used, &f.pen.pen));
        read_written(clients[i], &h);
        assert_string_equal(h.text, "Hello world");
        assert_int_equal(h.finishes, clients[i] != API_GENERATE);   /* it tells at its end */
        assert_int_equal(h.texts, 1);
        assert_int_equal(h.opens, 2);
        struct bytes out = kit_pen_text(&f.pen);
        assert_null(memmem(out.ptr, out.len, "hm", 2));
        assert_null(memmem(out.ptr, out.len, "other", 5));
        end();
    }
}

/* ---- a stream that breaks after each of its events ---- */

static struct client whole, one;

enum { EVENTS_MAX = 4096, NEAR = 10 };
static struct bytes events[EVENTS_MAX];
static size_t event_count;

static void events_of(struct bytes stream)
{
    struct sse sse = {0};
    struct sse_event ev;
    event_count = 0;
    while (sse_next(&sse, &stream, &ev) == NET_OK) {
        if (ev.data_lines == 1 && event_count < EVENTS_MAX) events[event_count++] = ev.data;
    }
}

/* The first k events are the provider's own; notes: what the engine knows of them. */
static void relay(enum api api, size_t k, struct api_stream *notes)
{
    begin(api, api, true, 64);
    f.facts.encrypted = true;
    for (size_t i = 0; i < k; i++) {
        struct api_event ev;
        struct walk_source source;
        struct bytes data = events[i];
        api_event_read(data, api, notes, &ev);
        walk_source_of(&source, &data);
        assert_true(translate_fold(&f.t, (struct bytes){0}, &source, NULL,
                                   ev.usage.present ? &ev.usage : NULL));
        client_see(&one, data);
    }
    assert_int_equal(kit_pen_text(&f.pen).len, 0);
    translate_folded(&f.t, notes->sequence);
}

static void fail_at(const char *name, size_t k, const char *what)
{
    struct bytes out = kit_pen_text(&f.pen);
    print_error("%s, broken behind event %zu of %zu: %s\n%.*s\n", name, k, event_count, what,
                (int)out.len, out.ptr);
    fail();
}

/* What its provider had still to say is written by us: it is the same answer. */
static bool check_rest(const char *name, enum api api, size_t k)
{
    struct api_stream notes = {0};
    client_begin(&one, api);
    relay(api, k, &notes);
    unsigned lacks = f.t.said.lacks;
    bool goes_on = (lacks & ~(unsigned)LACK_FINISHED) == 0;
    if (goes_on && lacks == 0) {
        for (size_t i = k; i < event_count; i++) {
            struct walk_source source;
            struct bytes data = events[i];
            walk_source_of(&source, &data);
            assert_true(translate_event(&f.t, (struct bytes){0}, &source, NULL, NULL,
                                        &f.pen.pen));
        }
    }
    bool over = one.ends > 0 || (api == API_GENERATE && one.finishes > 0);
    if (goes_on && !over) {
        assert_true(translate_end(&f.t, &used, &f.pen.pen));
        client_see_all(&one, kit_pen_text(&f.pen));
        client_end(&one);
        if (one.bad) fail_at(name, k, one.bad);
        if (one.len != whole.len || memcmp(one.text, whole.text, one.len) != 0) {
            fail_at(name, k, "another text");
        }
    }
    end();
    return goes_on;
}

/* Another provider goes on, whatever had been said: text, and then a call. */
static void check_onward(const char *name, enum api api, size_t k)
{
    static const char call[] = "{\"id\":\"b1\",\"choices\":[{\"index\":0,\"delta\":"
        "{\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"function\":"
        "{\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}";
    struct api_stream notes = {0};
    client_begin(&one, api);
    relay(api, k, &notes);
    bool over = one.ends > 0 || (api == API_GENERATE && one.finishes > 0);
    if (f.t.said.lacks == 0 && !over) {
        size_t before = one.len;
        translate_onward(&f.t, API_CHAT, ASK_CONTINUES_INSTRUCT, &f.said.source);
        event(chunk("\\u0001 and"));
        event(chunk(" more\\u0001"));
        if (k % 2) event(call);
        event(stop_chunk);
        assert_true(translate_end(&f.t, &used, &f.pen.pen));
        client_see_all(&one, kit_pen_text(&f.pen));
        client_end(&one);
        if (one.bad) fail_at(name, k, one.bad);
        bool right = one.len == before + 11 &&
                     memcmp(one.text + before, "\001 and more\001", 11) == 0;
        if (!right) fail_at(name, k, "another continuation");
        struct bytes out = kit_pen_text(&f.pen);    /* what our own streams sign by */
        if (memmem(out.ptr, out.len, "c2ln", 4)) fail_at(name, k, "a signature again");
    }
    end();
}

struct played { enum api api; size_t streams, cuts, odd; };

static void play_stream(const char *name, struct bytes stream, struct played *p)
{
    client_begin(&whole, p->api);
    events_of(stream);
    for (size_t i = 0; i < event_count; i++) client_see(&whole, events[i]);
    client_end(&whole);
    if (whole.bad) {         /* not so well told itself, or not to its end */
        if (getenv("WEIR_TAPES")) print_message("%s: %s\n", name, whole.bad);
        p->odd++;
        return;
    }
    p->streams++;
    for (size_t k = 1; k < event_count; k++) {
        /* Of long ones not every break, unless that is asked for. */
        bool near = k < NEAR || k + NEAR > event_count || event_count < 4 * NEAR;
        if (!near && k % (event_count / NEAR) != 0 && !getenv("WEIR_EVERY")) continue;
        p->cuts += check_rest(name, p->api, k);
        check_onward(name, p->api, k);
    }
}

/* Streams with what recordings seldom have, and for where there are none. */
static const struct { enum api api; const char *stream; } own_streams[] = {
    {API_CHAT,
        "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":"
        "\"m1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\""
        "\"},\"finish_reason\":null}]}\n\n"
        "data: {\"id\":\"c1\",\"created\":7,\"model\":\"m1\",\"choices\":[{\"index\":0,\"de"
        "lta\":{\"content\":\"One\"},\"finish_reason\":null}]}\n\n"
        "data: {\"id\":\"c1\",\"created\":7,\"model\":\"m1\",\"choices\":[{\"index\":0,\"de"
        "lta\":{\"content\":\" two \\\"three\\\"\"},\"finish_reason\":null}]}\n\n"
        "data: {\"id\":\"c1\",\"created\":7,\"model\":\"m1\",\"choices\":[{\"index\":0,\"de"
        "lta\":{\"content\":\"\\n\"},\"finish_reason\":null}]}\n\n"
        "data: {\"id\":\"c1\",\"created\":7,\"model\":\"m1\",\"choices\":[{\"index\":0,\"de"
        "lta\":{},\"finish_reason\":\"stop\"}]}\n\n"
        "data: {\"id\":\"c1\",\"created\":7,\"model\":\"m1\",\"choices\":[],\"usage\":{\"pr"
        "ompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}\n\n"
        "data: [DONE]\n\n"},
    {API_MESSAGES,
        "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message"
        "\",\"role\":\"assistant\",\"model\":\"m1\",\"content\":[],\"usage\":{\"input_token"
        "s\":3,\"output_tokens\":1}}}\n\n"
        "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\""
        "thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n"
        "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking"
        "_delta\",\"thinking\":\"hm\"}}\n\n"
        "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signatur"
        "e_delta\",\"signature\":\"c2ln\"}}\n\n"
        "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
        "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\""
        "server_tool_use\",\"id\":\"s\",\"name\":\"web_search\",\"input\":{}}}\n\n"
        "data: {\"type\":\"content_block_stop\",\"index\":1}\n\n"
        "data: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\""
        "text\",\"text\":\"\"}}\n\n"
        "data: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"text_del"
        "ta\",\"text\":\"One\"}}\n\n"
        "data: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"text_del"
        "ta\",\"text\":\" two\"}}\n\n"
        "data: {\"type\":\"content_block_stop\",\"index\":2}\n\n"
        "data: {\"type\":\"content_block_start\",\"index\":3,\"content_block\":{\"type\":\""
        "text\",\"text\":\"\"}}\n\n"
        "data: {\"type\":\"content_block_delta\",\"index\":3,\"delta\":{\"type\":\"text_del"
        "ta\",\"text\":\" three\"}}\n\n"
        "data: {\"type\":\"content_block_stop\",\"index\":3}\n\n"
        "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_s"
        "equence\":null},\"usage\":{\"output_tokens\":9}}\n\n"
        "data: {\"type\":\"message_stop\"}\n\n"},
    {API_RESPONSES,
     "data: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\""
     "resp_1\",\"created_at\":7,\"model\":\"m1\"}}\n\n"
     "data: {\"type\":\"response.output_item.added\",\"sequence_number\":1,\"output_inde"
     "x\":0,\"item\":{\"id\":\"rs_1\",\"type\":\"reasoning\",\"summary\":[]}}\n\n"
     "data: {\"type\":\"response.output_item.done\",\"sequence_number\":2,\"output_index"
     "\":0,\"item\":{\"id\":\"rs_1\",\"type\":\"reasoning\",\"summary\":[],\"encrypted_c"
     "ontent\":\"eA==\"}}\n\n"
     "data: {\"type\":\"response.output_item.added\",\"sequence_number\":3,\"output_inde"
     "x\":1,\"item\":{\"id\":\"ws_1\",\"type\":\"web_search_call\"}}\n\n"
     "data: {\"type\":\"response.output_item.done\",\"sequence_number\":4,\"output_index"
     "\":1,\"item\":{\"id\":\"ws_1\",\"type\":\"web_search_call\"}}\n\n"
     "data: {\"type\":\"response.output_item.added\",\"sequence_number\":5,\"output_inde"
     "x\":2,\"item\":{\"id\":\"msg_1\",\"type\":\"message\",\"content\":[]}}\n\n"
     "data: {\"type\":\"response.content_part.added\",\"sequence_number\":6,\"part\":{\""
     "type\":\"output_text\",\"text\":\"\"},\"output_index\":2,\"item_id\":\"msg_1\",\"c"
     "ontent_index\":0}\n\n"
     "data: {\"type\":\"response.output_text.delta\",\"sequence_number\":7,\"delta\":\"O"
     "ne\",\"output_index\":2,\"item_id\":\"msg_1\",\"content_index\":0}\n\n"
     "data: {\"type\":\"response.output_text.delta\",\"sequence_number\":8,\"delta\":\" "
     "two\",\"output_index\":2,\"item_id\":\"msg_1\",\"content_index\":0}\n\n"
     "data: {\"type\":\"response.output_text.done\",\"sequence_number\":9,\"text\":\"One"
     " two\",\"output_index\":2,\"item_id\":\"msg_1\",\"content_index\":0}\n\n"
     "data: {\"type\":\"response.content_part.done\",\"sequence_number\":10,\"part\":{\""
     "type\":\"output_text\",\"text\":\"One two\"},\"output_index\":2,\"item_id\":\"msg_"
     "1\",\"content_index\":0}\n\n"
     "data: {\"type\":\"response.content_part.added\",\"sequence_number\":11,\"part\":{"
     "\"type\":\"output_text\",\"text\":\"\"},\"output_index\":2,\"item_id\":\"msg_1\","
     "\"content_index\":1}\n\n"
     "data: {\"type\":\"response.output_text.delta\",\"sequence_number\":12,\"delta\":\""
     " three\",\"output_index\":2,\"item_id\":\"msg_1\",\"content_index\":1}\n\n"
     "data: {\"type\":\"response.output_text.done\",\"sequence_number\":13,\"text\":\" t"
     "hree\",\"output_index\":2,\"item_id\":\"msg_1\",\"content_index\":1}\n\n"
     "data: {\"type\":\"response.content_part.done\",\"sequence_number\":14,\"part\":{\""
     "type\":\"output_text\",\"text\":\" three\"},\"output_index\":2,\"item_id\":\"msg_1"
     "\",\"content_index\":1}\n\n"
     "data: {\"type\":\"response.output_item.done\",\"sequence_number\":15,\"output_inde"
     "x\":2,\"item\":{\"id\":\"msg_1\",\"type\":\"message\",\"content\":[{\"type\":\"out"
     "put_text\",\"text\":\"One two\"},{\"type\":\"output_text\",\"text\":\" three\"}]}}"
     "\n\n"
     "data: {\"type\":\"response.output_item.added\",\"sequence_number\":16,\"output_ind"
     "ex\":3,\"item\":{\"id\":\"msg_2\",\"type\":\"message\",\"content\":[]}}\n\n"
     "data: {\"type\":\"response.content_part.added\",\"sequence_number\":17,\"part\":{"
     "\"type\":\"output_text\",\"text\":\"\"},\"output_index\":3,\"item_id\":\"msg_2\","
     "\"content_index\":0}\n\n"
     "data: {\"type\":\"response.output_text.delta\",\"sequence_number\":18,\"delta\":\""
     " four\",\"output_index\":3,\"item_id\":\"msg_2\",\"content_index\":0}\n\n"
     "data: {\"type\":\"response.output_text.done\",\"sequence_number\":19,\"text\":\" f"
     "our\",\"output_index\":3,\"item_id\":\"msg_2\",\"content_index\":0}\n\n"
     "data: {\"type\":\"response.content_part.done\",\"sequence_number\":20,\"part\":{\""
     "type\":\"output_text\",\"text\":\" four\"},\"output_index\":3,\"item_id\":\"msg_2"
     "\",\"content_index\":0}\n\n"
     "data: {\"type\":\"response.output_item.done\",\"sequence_number\":21,\"output_inde"
     "x\":3,\"item\":{\"id\":\"msg_2\",\"type\":\"message\",\"content\":[{\"type\":\"out"
     "put_text\",\"text\":\" four\"}]}}\n\n"
     "data: {\"type\":\"response.completed\",\"sequence_number\":22,\"response\":{\"id\""
     ":\"resp_1\",\"created_at\":7,\"model\":\"m1\",\"output\":[{\"id\":\"msg_1\",\"type"
     "\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"One two\"},{\"typ"
     "e\":\"output_text\",\"text\":\" three\"}]},{\"id\":\"msg_2\",\"type\":\"message\","
     "\"content\":[{\"type\":\"output_text\",\"text\":\" four\"}]}],\"usage\":{\"input_t"
     "okens\":3,\"output_tokens\":4}}}\n\n"},
    {API_GENERATE,
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hm\",\"thought\":true}"
        "],\"role\":\"model\"},\"index\":0}],\"modelVersion\":\"m1\",\"responseId\":\"r1\"}"
        "\n\n"
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"One\",\"thoughtSignatu"
        "re\":\"c2ln\"}],\"role\":\"model\"},\"index\":0}],\"modelVersion\":\"m1\",\"respon"
        "seId\":\"r1\"}\n\n"
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" two\","
        "\"thoughtSignature\":\"c2ln\"}],\"role\":\"model\"},\"index\":0}"
        "],\"modelVersion\":\"m1\",\"responseId\":\"r1\"}\n\n"
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" three\"}],\"role\":\""
        "model\"},\"finishReason\":\"STOP\",\"index\":0}],\"modelVersion\":\"m1\",\"respons"
        "eId\":\"r1\",\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":4,"
        "\"totalTokenCount\":7}}\n\n"},
};

static void test_own_streams(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(own_streams); i++) {
        struct played p = {.api = own_streams[i].api};
        play_stream("own", bytes_of(own_streams[i].stream), &p);
        assert_int_equal(p.odd, 0);
        assert_int_not_equal(p.cuts, 0);
    }
}

static void play(const struct tape *tape, void *arg)
{
    if (tape->events.len > 0 && tape->events.len < CLIENT_TEXT_MAX) {
        play_stream(tape->name, tape->events, arg);
    }
}

static void test_recordings(void **state)
{
    (void)state;
    static const struct { const char *name; enum api api; } dialects[] = {
        {"openai-chat", API_CHAT}, {"openai-responses", API_RESPONSES},
        {"anthropic-messages", API_MESSAGES}, {"gemini-generate", API_GENERATE},
    };
    for (size_t i = 0; i < COUNT(dialects); i++) {
        struct played p = {.api = dialects[i].api};
        if (!tapes_each(dialects[i].name, play, &p)) {
            print_message("no recordings here: skipped\n");
            skip();
        }
        print_message("%s: %zu streams, %zu breaks, %zu left out\n", dialects[i].name,
                      p.streams, p.cuts, p.odd);
        assert_true(p.streams > 0 && p.cuts > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repetitions), cmocka_unit_test(test_lacks),
        cmocka_unit_test(test_second_break), cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_own_streams),
        cmocka_unit_test(test_recordings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
