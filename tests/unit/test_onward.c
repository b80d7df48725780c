/* test_onward.c - an answer that breaks and goes on elsewhere: what the client has read of the
 * first provider's stream, and what is written behind it, is one answer (translate_fold,
 * translate_onward); what is repeated is left out, whichever way it is cut and escaped. */
#include "net/dialect/api.h"
#include "net/json.h"
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

/* ---- a strict client ---- */

enum { ITEMS = 64, TEXT_MAX = 1 << 19 };

struct client {              /* what it knows of a stream; bad: what it would not bear */
    enum api api;
    const char *bad;
    char id[512], model[256];
    size_t len;              /* of text */
    unsigned finishes, usages, ends, events;
    int64_t number;          /* of the last event, or block; -1 none */
    int64_t open;            /* the open block; -1 none */
    struct {
        char id[256];
        unsigned parts;
        bool added, done, part;
    } item[ITEMS];
    char text[TEXT_MAX];     /* last: not to be zeroed */
};

static void complain(struct client *c, bool fine, const char *what)
{
    if (!fine && !c->bad) c->bad = what;
}

static struct bytes member(const struct walk *w, struct node of, const char *name, char *room,
                           size_t max)
{
    return walk_short(w, walk_member(w, of, bytes_of(name)), room, max);
}

static int64_t number(const struct walk *w, struct node of, const char *name)
{
    int64_t value;
    return walk_int(w, walk_member(w, of, bytes_of(name)), &value) ? value : -1;
}

/* It is the same in all events that have it. */
static void same(struct client *c, char *known, size_t max, struct bytes now, const char *what)
{
    if (now.len == 0) return;
    if (known[0] == '\0') (void)snprintf(known, max, "%.*s", (int)now.len, now.ptr);
    complain(c, bytes_eq(bytes_of(known), now), what);
}

static void more_text(struct client *c, const struct walk *w, struct node text)
{
    struct walk_text t = walk_text(w, walk_inside(text));
    char room[256];
    for (;;) {
        struct bytes b = walk_text_next(&t, room, sizeof room);
        if (b.len == 0) return;
        assert_true(c->len + b.len < sizeof c->text);
        memcpy(c->text + c->len, b.ptr, b.len);
        c->len += b.len;
    }
}

static void see_chat(struct client *c, const struct walk *w, struct node root)
{
    struct walk_each each, parts;
    struct node key, choice, part;
    char id[512], model[256];
    struct node choices = walk_member(w, root, BYTES("choices"));
    struct node usage = walk_member(w, root, BYTES("usage"));
    if (walk_count(w, choices) == 0) {
        c->usages += usage.type == JSON_OBJECT;
        return;
    }
    same(c, c->id, sizeof c->id, member(w, root, "id", id, sizeof id), "id");
    same(c, c->model, sizeof c->model, member(w, root, "model", model, sizeof model), "model");
    int64_t created = number(w, root, "created");
    complain(c, c->number < 0 || created == c->number, "created");
    c->number = created;
    walk_begin(w, choices, &each);
    while (walk_next(&each, &key, &choice)) {
        struct node delta = walk_member(w, choice, BYTES("delta"));
        struct node finish = walk_member(w, choice, BYTES("finish_reason"));
        struct node text = walk_member(w, delta, BYTES("content"));
        complain(c, c->finishes == 0 || !walk_has(walk_inside(text)), "text behind the finish");
        more_text(c, w, text);
        walk_begin(w, text, &parts);
        while (walk_next(&parts, &key, &part)) {    /* Mistral's */
            more_text(c, w, walk_member(w, part, BYTES("text")));
        }
        if (finish.type == JSON_STRING) c->finishes++;
    }
}

static void see_messages(struct client *c, const struct walk *w, struct node root)
{
    static const struct bytes words[] = {
        BYTES_INIT("message_start"), BYTES_INIT("content_block_start"),
        BYTES_INIT("content_block_delta"), BYTES_INIT("content_block_stop"),
        BYTES_INIT("message_delta"), BYTES_INIT("message_stop")};
    enum { START, BEGIN, DELTA, STOP, FINISH, END };
    size_t word = walk_word(w, walk_member(w, root, BYTES("type")), words, COUNT(words));
    int64_t index = number(w, root, "index");
    struct node delta = walk_member(w, root, BYTES("delta"));
    complain(c, (word == START) == (c->events == 0) || word > END, "message_start");
    if (word == BEGIN) {
        complain(c, c->open < 0 && index == c->number + 1, "block_start");
        c->open = c->number = index;
        struct node block = walk_member(w, root, BYTES("content_block"));
        more_text(c, w, walk_member(w, block, BYTES("text")));
    }
    if (word == DELTA || word == STOP) complain(c, c->open == index, "block");
    if (word == DELTA) more_text(c, w, walk_member(w, delta, BYTES("text")));
    if (word == STOP) c->open = -1;
    if (word == FINISH) c->finishes++;
    if (word == END) c->ends++;
    complain(c, c->finishes == 0 || c->open < 0, "a block is open at the end");
}

static void see_item(struct client *c, const struct walk *w, struct node root, bool done)
{
    char room[256];
    int64_t i = number(w, root, "output_index");
    struct node item = walk_member(w, root, BYTES("item"));
    struct bytes id = member(w, item, "id", room, sizeof room);
    if (i < 0 || i >= ITEMS) return;
    complain(c, !c->item[i].done && c->item[i].added == done, "item");
    if (done) complain(c, bytes_eq(bytes_of(c->item[i].id), id), "id of an item");
    (void)snprintf(c->item[i].id, sizeof c->item[i].id, "%.*s", (int)id.len, id.ptr);
    c->item[i].added = true;
    c->item[i].done = done;
    if (done) complain(c, !c->item[i].part, "a part is open");
    c->open += done ? -1 : 1;
}

static void see_part(struct client *c, const struct walk *w, struct node root, bool done)
{
    int64_t i = number(w, root, "output_index"), part = number(w, root, "content_index");
    if (i < 0 || i >= ITEMS) return;
    complain(c, c->item[i].added && !c->item[i].done && c->item[i].part == done, "part");
    complain(c, part == (int64_t)c->item[i].parts - done, "number of a part");
    if (!done) c->item[i].parts++;
    c->item[i].part = !done;
}

static void see_whole(struct client *c, const struct walk *w, struct node response)
{
    struct walk_each each;
    struct node key, item;
    char room[256], id[512], model[256];
    same(c, c->id, sizeof c->id, member(w, response, "id", id, sizeof id), "id");
    same(c, c->model, sizeof c->model, member(w, response, "model", model, sizeof model),
         "model");
    walk_begin(w, walk_member(w, response, BYTES("output")), &each);
    while (walk_next(&each, &key, &item)) {
        struct bytes one = member(w, item, "id", room, sizeof room);
        bool known = false;
        for (unsigned i = 0; i < ITEMS; i++) known |= bytes_eq(bytes_of(c->item[i].id), one);
        complain(c, known, "an item that nobody added");
    }
}

static void see_responses(struct client *c, const struct walk *w, struct node root)
{
    static const struct bytes words[] = {
        BYTES_INIT("response.output_item.added"), BYTES_INIT("response.output_item.done"),
        BYTES_INIT("response.content_part.added"), BYTES_INIT("response.content_part.done"),
        BYTES_INIT("response.output_text.delta"), BYTES_INIT("response.completed"),
        BYTES_INIT("response.incomplete"), BYTES_INIT("response.created")};
    enum { ADDED, DONE, PART, PART_DONE, DELTA, COMPLETED, INCOMPLETE, CREATED };
    size_t word = walk_word(w, walk_member(w, root, BYTES("type")), words, COUNT(words));
    int64_t n = number(w, root, "sequence_number"), i = number(w, root, "output_index");
    char room[256];
    struct bytes of = member(w, root, "item_id", room, sizeof room);
    complain(c, n == c->number + 1, "sequence_number");
    c->number = n;
    if (of.len > 0 && i >= 0 && i < ITEMS) {
        complain(c, bytes_eq(bytes_of(c->item[i].id), of), "item_id");
    }
    if (word <= DONE) see_item(c, w, root, word == DONE);
    if (word == PART || word == PART_DONE) see_part(c, w, root, word == PART_DONE);
    if (word == DELTA) more_text(c, w, walk_member(w, root, BYTES("delta")));
    if (word == DELTA && i >= 0 && i < ITEMS) complain(c, c->item[i].part, "no part is open");
    if (word >= COMPLETED && word <= CREATED) {
        see_whole(c, w, walk_member(w, root, BYTES("response")));
    }
    if (word != COMPLETED && word != INCOMPLETE) return;
    c->finishes++;
    c->ends++;
    complain(c, c->open < 0, "an item is open at the end");
}

static void see_gemini(struct client *c, const struct walk *w, struct node root)
{
    struct walk_each each, all;
    struct node key, candidate, part;
    char id[512], model[256];
    same(c, c->id, sizeof c->id, member(w, root, "responseId", id, sizeof id), "responseId");
    same(c, c->model, sizeof c->model, member(w, root, "modelVersion", model, sizeof model),
         "modelVersion");
    walk_begin(w, walk_member(w, root, BYTES("candidates")), &each);
    while (walk_next(&each, &key, &candidate)) {
        struct node content = walk_member(w, candidate, BYTES("content"));
        struct node finish = walk_member(w, candidate, BYTES("finishReason"));
        walk_begin(w, walk_member(w, content, BYTES("parts")), &all);
        while (walk_next(&all, &key, &part)) {
            if (walk_member(w, part, BYTES("thought")).type == JSON_TRUE) continue;
            more_text(c, w, walk_member(w, part, BYTES("text")));
        }
        if (finish.type == JSON_STRING) c->finishes++;
    }
}

static void client_begin(struct client *c, enum api api)
{
    memset(c, 0, offsetof(struct client, text));
    c->api = api;
    c->number = c->open = -1;
}

static void see(struct client *c, struct bytes data)
{
    static void (*const how[APIS])(struct client *, const struct walk *, struct node) = {
        [API_CHAT] = see_chat, [API_MESSAGES] = see_messages,
        [API_RESPONSES] = see_responses, [API_GENERATE] = see_gemini};
    struct walk_source source;
    struct walk w;
    struct node root;
    complain(c, c->ends == 0, "events behind the end");
    if (bytes_eq(data, BYTES("[DONE]"))) c->ends++;
    walk_source_of(&source, &data);
    if (!walk_open(&w, &source, NULL, &root)) return;
    how[c->api](c, &w, root);
    c->events++;
}

static void see_all(struct client *c, struct bytes stream)
{
    struct sse sse = {0};
    struct sse_event ev;
    while (sse_next(&sse, &stream, &ev) == NET_OK) {
        if (ev.data_lines == 1) see(c, ev.data);
    }
    assert_int_equal(stream.len, 0);
}

/* It is over, and well. */
static void client_end(struct client *c)
{
    complain(c, c->finishes == 1, "finish");
    complain(c, c->usages <= 1, "usage");
    complain(c, c->api == API_GENERATE || c->ends == 1, "end");
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
        see(&one, data);
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
        see_all(&one, kit_pen_text(&f.pen));
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
        see_all(&one, kit_pen_text(&f.pen));
        client_end(&one);
        if (one.bad) fail_at(name, k, one.bad);
        bool right = one.len == before + 11 &&
                     memcmp(one.text + before, "\001 and more\001", 11) == 0;
        if (!right) fail_at(name, k, "another continuation");
    }
    end();
}

struct played { enum api api; size_t streams, cuts, odd; };

static void play_stream(const char *name, struct bytes stream, struct played *p)
{
    client_begin(&whole, p->api);
    events_of(stream);
    for (size_t i = 0; i < event_count; i++) see(&whole, events[i]);
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

static void play(const struct tape *tape, void *arg)
{
    if (tape->events.len > 0 && tape->events.len < TEXT_MAX) {
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
        cmocka_unit_test(test_repetitions), cmocka_unit_test(test_recordings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
