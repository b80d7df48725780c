/* test_onward.c - an answer that breaks and goes on elsewhere: what the client has read of the
 * first provider's stream, and what is written behind it, is one answer (translate_fold,
 * translate_onward); what is repeated is left out, whichever way it is cut and escaped. */
#include "net/sse.h"
#include "net/translate/translate.h"
#include "net/translate/walk.h"
#include "openai_tape.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repetitions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
