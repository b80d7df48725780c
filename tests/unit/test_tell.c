/* test_tell.c - what the readers and writers of answers share: the order of blocks, calls
 * whose deltas are mixed, text that lies in pieces, the log, ids. */
#include "net/translate/ask.h"
#include "net/translate/tell.h"
#include "tr_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* All that was told, a word an event. */
struct heard {
    char text[4096];
    size_t len, events, limit;
    bool lost;
};

static void say(struct heard *h, struct bytes b)
{
    assert_true(h->len + b.len < sizeof h->text);
    if (b.len > 0) memcpy(h->text + h->len, b.ptr, b.len);
    h->len += b.len;
    h->text[h->len] = '\0';
}

static bool hear(void *arg, const struct tell *t)
{
    static const char *const kinds[] = {"start", "<", "", "sign", "cite", ">", "logprobs",
                                        "finish", "usage", "end"};
    static const char blocks[] = "trhciax";
    struct heard *h = arg;
    char word[160];
    if (h->limit > 0 && h->events >= h->limit) return false;
    h->events++;
    h->lost |= t->lost;
    bool block = t->kind >= TELL_OPEN && t->kind <= TELL_CLOSE;
    (void)snprintf(word, sizeof word, "%s%s", h->len ? " " : "", kinds[t->kind]);
    say(h, bytes_of(word));
    if (block) {
        (void)snprintf(word, sizeof word, "%c%u", blocks[t->block], t->item);
        say(h, bytes_of(word));
    }
    if (t->choice > 0) {
        (void)snprintf(word, sizeof word, "@%u", t->choice);
        say(h, bytes_of(word));
    }
    if (t->kind == TELL_FINISH) {
        (void)snprintf(word, sizeof word, ":%u", t->finish);
        say(h, bytes_of(word));
    }
    if (t->kind == TELL_SIGN) say(h, bytes_of(t->maker == MAKER_GEMINI ? "G" : "?"));
    if (t->custom) say(h, BYTES("*"));
    if (t->value) say(h, BYTES("="));
    if (t->name.len + t->id.len > 0) {
        say(h, BYTES("("));
        say(h, t->name);
        say(h, BYTES("#"));
        say(h, t->id);
        say(h, BYTES(")"));
    }
    if (t->text.len > 0) say(h, BYTES("'")), say(h, t->text);
    return true;
}

static struct tell_reader reader;
static struct heard heard;
static struct kit_pieces pieces;
static struct walk_source source;
static struct walk walk_of_text;

static void begin(void)
{
    memset(&heard, 0, sizeof heard);
    tell_begin(&reader, API_CHAT, 7, hear, &heard);
}

/* A walk over text as it stands. */
static const struct walk *text_walk(struct bytes text, size_t step)
{
    source = kit_pieces(&pieces, text, step);
    walk_of_text = (struct walk){.source = &source};
    return &walk_of_text;
}

static struct walk_span all_of(struct bytes text)
{
    return (struct walk_span){0, text.len};
}

/* Arguments of a call, as written. */
static void args(uint32_t index, const char *text)
{
    struct bytes b = bytes_of(text);
    assert_true(tell_arguments(&reader, index, text_walk(b, 0), all_of(b)));
    kit_pieces_free(&pieces);
}

static void call(uint32_t index, const char *id, const char *name)
{
    assert_true(tell_call(&reader, index, bytes_of(id), bytes_of(name), false));
}

static void more(enum tell_block block, const char *text)
{
    assert_true(tell_more(&reader, block, bytes_of(text)));
}

static void finish(uint32_t choice, enum tell_finish why)
{
    assert_true(tell_finish(&reader, choice, why, (struct bytes){0}));
}

static void test_blocks(void **state)
{
    (void)state;
    begin();
    more(TELL_TEXT, "");
    assert_true(tell_close(&reader));
    assert_int_equal(heard.events, 0);
    assert_true(tell_start(&reader, BYTES("id"), BYTES("m")));
    assert_true(tell_start(&reader, BYTES("id"), BYTES("m")));
    more(TELL_THINKING, "hm");
    more(TELL_THINKING, "m");
    more(TELL_TEXT, "a");
    more(TELL_TEXT, "b");
    assert_true(tell_open(&reader, TELL_TEXT));
    more(TELL_TEXT, "c");
    finish(0, TELL_STOP);
    finish(0, TELL_LENGTH);
    more(TELL_TEXT, "late");
    call(0, "late", "f");
    assert_true(tell_open(&reader, TELL_THINKING));
    assert_string_equal(heard.text,
        "start(m#id) <h0 h0'hm h0'm >h0 <t1 t1'a t1'b >t1 <t2 t2'c >t2 finish:0");
}

/* A block begins without a start; choices have blocks of their own. */
static void test_choices(void **state)
{
    (void)state;
    begin();
    more(TELL_TEXT, "a");
    reader.choice = 1;
    more(TELL_TEXT, "b");
    call(0, "x", "f");
    args(0, "{}");
    finish(1, TELL_STOP);
    reader.choice = 0;
    more(TELL_TEXT, "c");
    finish(0, TELL_FILTER);
    assert_string_equal(heard.text,
        "start <t0 t0'a >t0 <t1@1 t1@1'b >t1@1 <c2@1(f#x) c2@1'{} >c2@1 finish@1:4 "
        "<t3 t3'c >t3 finish:5");
}

/* Calls are closed once they are whole and something else begins. */
static void test_calls(void **state)
{
    (void)state;
    begin();
    more(TELL_TEXT, "t");
    call(0, "x", "f");
    call(0, "x", "f");
    call(0, "", "");
    args(0, "{\\\"a\\\":\\\"}{\\\\\\\"\\\"");
    args(0, ",\\\"b\\\":[{}]");
    call(1, "y", "g");
    args(1, "{\\u0022z\\u0022:1}");
    args(0, "}");
    args(1, "\\n");
    call(2, "z", "h");
    args(1, "late");
    args(7, "nobody's");
    finish(0, TELL_STOP);
    args(2, "later");
    assert_string_equal(heard.text,
        "start <t0 t0't >t0 <c1(f#x) c1'{\\\"a\\\":\\\"}{\\\\\\\"\\\" c1',\\\"b\\\":[{}] "
        "<c2(g#y) c2'{\\u0022z\\u0022:1} c1'} c2'\\n >c1 >c2 <c3(h#z) >c3 finish:4");
}

/* Text between calls: what is not whole stays open until the end. */
static void test_calls_and_text(void **state)
{
    (void)state;
    begin();
    call(0, "x", "f");
    args(0, "{");
    more(TELL_TEXT, "t");
    args(0, "}");
    more(TELL_REFUSAL, "no");
    call(0, "other", "g");
    args(0, "[1");
    assert_true(tell_close_call(&reader, 0));
    assert_true(tell_close_call(&reader, 0));
    assert_true(tell_close_call(&reader, 5));
    assert_true(tell_call(&reader, 9, BYTES("q"), BYTES("sh"), true));
    args(9, "{}");
    call(10, "p", "k");
    finish(0, TELL_LENGTH);
    assert_string_equal(heard.text,
        "start <c0(f#x) c0'{ <t1 t1't c0'} >t1 >c0 <r2 r2'no >r2 <c3(g#other) c3'[1 >c3 "
        "<c4*(sh#q) c4*'{} <c5(k#p) >c4* >c5 finish:2");
}

/* More calls than are known at once: the first are given up. */
static void test_many_calls(void **state)
{
    (void)state;
    begin();
    for (uint32_t i = 0; i < 3 * TELL_CALLS_MAX; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "i%u", i);
        heard.len = 0;
        call(i, id, "f");
        assert_true(strstr(heard.text, "<c") != NULL);
        assert_int_equal(strchr(heard.text, '>') != NULL, i >= TELL_CALLS_MAX);
    }
    begin();
    for (uint32_t i = 0; i < 3 * TELL_CALLS_MAX; i++) {
        heard.len = 0;
        call(i, "i", "f");
        args(i, "{}");
    }
    finish(0, TELL_STOP);
}

static void test_made_ids(void **state)
{
    (void)state;
    begin();
    call(0, "", "f");
    call(1, "", "f");
    char *first = strstr(heard.text, "#call_"), *second = strstr(first + 1, "#call_");
    assert_non_null(second);
    assert_int_not_equal(strncmp(first, second, 30), 0);
    assert_int_equal(first[30], ')');
    struct heard before = heard;
    begin();
    call(0, "", "f");
    call(1, "", "f");
    assert_string_equal(heard.text, before.text);
}

static void test_signatures(void **state)
{
    (void)state;
    const struct bytes sig = BYTES("SIG");
    begin();
    const struct walk *w = text_walk(sig, 0);
    assert_true(tell_sign(&reader, MAKER_GEMINI, w, all_of(sig)));
    assert_int_equal(heard.events, 0);
    assert_true(tell_open(&reader, TELL_THINKING));
    assert_true(tell_sign(&reader, MAKER_GEMINI, w, all_of(sig)));
    call(0, "x", "f");
    assert_true(tell_sign(&reader, MAKER_MESSAGES, w, all_of(sig)));
    finish(0, TELL_CALLS);
    assert_true(tell_sign(&reader, MAKER_MESSAGES, w, all_of(sig)));
    assert_string_equal(heard.text,
                        "start <h0 signh0G'SIG >h0 <c1(f#x) signc1?'SIG >c1 finish:4");
    kit_pieces_free(&pieces);
}

/* An id that is too long is not told, cut or not, and that is told. */
static void test_starts(void **state)
{
    (void)state;
    static const struct { size_t id, model; bool lost; } cases[] = {
        {0, 0, false}, {TELL_ID_MAX, API_NAME_MAX, false}, {TELL_ID_MAX + 1, 1, true},
        {1, API_NAME_MAX + 1, true},
    };
    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        char doc[2 * TELL_ID_MAX], want[2 * TELL_ID_MAX] = "start";
        size_t id = cases[i / 2].id, model = cases[i / 2].model;
        memset(doc, 'x', sizeof doc);
        begin();
        const struct walk *w = text_walk((struct bytes){doc, sizeof doc}, i % 2 ? 7 : 0);
        struct node a = {.type = JSON_STRING, .end = id + 2};
        struct node b = {.type = JSON_STRING, .start = 1, .end = model + 3};
        assert_true(tell_start_of(&reader, w, a, b, 0));
        assert_true(tell_start_of(&reader, w, b, a, 0));
        assert_int_equal(heard.lost, cases[i / 2].lost);
        if (id > TELL_ID_MAX) id = 0;
        if (model > API_NAME_MAX) model = 0;
        if (id + model > 0) {
            (void)snprintf(want, sizeof want, "start(%.*s#%.*s)", (int)model, doc, (int)id,
                           doc);
        }
        assert_string_equal(heard.text, want);
        kit_pieces_free(&pieces);
    }
}

/* A mark is of the open block; behind the end of an answer no block opens. */
static void test_marks(void **state)
{
    (void)state;
    begin();
    assert_true(tell_mark(&reader, MAKER_GEMINI, BYTES("M")));
    assert_int_equal(heard.events, 0);
    assert_true(tell_open(&reader, TELL_THINKING));
    assert_true(tell_mark(&reader, MAKER_GEMINI, BYTES("M")));
    finish(0, TELL_STOP);
    assert_true(tell_open(&reader, TELL_THINKING));
    assert_true(tell_mark(&reader, MAKER_GEMINI, BYTES("M")));
    assert_string_equal(heard.text, "start <h0 signh0G'M >h0 finish:0");
}

/* Text that lies in pieces is told in pieces, none of which is half a letter. */
static void test_pieces(void **state)
{
    (void)state;
    static const struct bytes texts[] = {BYTES_INIT("a\\n\\\\\\\"b"), BYTES_INIT("\\u00e9x"),
        BYTES_INIT("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z"),
        BYTES_INIT("\\ud83d\\ude00\\ud83d"),
        BYTES_INIT("\\ud83d\\n\\ud83dx\\ude00 plain enough to be cut anywhere"),
        BYTES_INIT("\\\\\\\\\\\\\\u0041\xC3\xA9")};
    for (size_t i = 0; i < COUNT(texts); i++) {
        for (size_t step = 1; step < 14; step++) {
            char joined[128], doc[64];
            size_t n = 0;
            begin();
            const struct walk *w = text_walk(texts[i], step);
            assert_true(tell_more_span(&reader, TELL_TEXT, w, all_of(texts[i])));
            for (char *at = heard.text; (at = strstr(at, " t0'"));) {
                at += 4;
                char *end = strstr(at, " t0'");
                size_t len = end ? (size_t)(end - at) : strlen(at);
                memcpy(joined + n, at, len);
                n += len;
                (void)snprintf(doc, sizeof doc, "\"%.*s\"", (int)len, at);
                assert_true(kit_is_json(bytes_of(doc)));
                bool half = len >= 6 && memcmp(at + len - 6, "\\ud83d", 6) == 0;
                if (half) assert_true(end == NULL || memcmp(end + 4, "\\ude", 4) != 0);
            }
            assert_true(bytes_eq((struct bytes){joined, n}, texts[i]));
            kit_pieces_free(&pieces);
        }
    }
}

/* Arguments that are a value: as they are, or as text where they cannot. */
static void test_values(void **state)
{
    (void)state;
    const struct bytes plain = BYTES("{\"a\":[1]}");
    const struct bytes lines = BYTES("{\n\"a\": \"\xC3\xA9\\n\xE2\x82\xAC\"}");
    begin();
    call(0, "x", "f");
    const struct walk *w = text_walk(plain, 0);
    struct node object = {.end = plain.len, .type = JSON_OBJECT};
    assert_true(tell_arguments_value(&reader, 0, w, object));
    kit_pieces_free(&pieces);
    call(1, "y", "f");
    assert_true(tell_arguments_value(&reader, 1, w, (struct node){0}));
    finish(0, TELL_STOP);
    assert_string_equal(heard.text, "start <c0(f#x) c0='{\"a\":[1]} >c0 <c1(f#y) c1='{} >c1 "
                                    "finish:4");
    for (size_t step = 0; step < 12; step++) {
        begin();
        call(0, "x", "f");
        w = text_walk(lines, step);
        object.end = lines.len;
        assert_true(tell_arguments_value(&reader, 0, w, object));
        char joined[128] = "";
        size_t n = 0;
        for (char *at = heard.text; (at = strstr(at, " c0'"));) {
            at += 4;
            char *end = strstr(at, " c0'");
            size_t len = end ? (size_t)(end - at) : strlen(at);
            memcpy(joined + n, at, len);
            n += len;
        }
        const struct bytes right =
            BYTES("{\\n\\\"a\\\": \\\"\xC3\xA9\\\\n\xE2\x82\xAC\\\"}");
        assert_true(bytes_eq((struct bytes){joined, n}, right));
        kit_pieces_free(&pieces);
    }
}

/* A value is all of the arguments: nothing was told before it, nothing is behind it. */
static void test_values_once(void **state)
{
    (void)state;
    const struct bytes plain = BYTES("{\"a\":1}");
    const struct node object = {.end = plain.len, .type = JSON_OBJECT};
    begin();
    call(0, "x", "f");
    args(0, " ");
    struct walk w = *text_walk(plain, 0);
    assert_true(tell_arguments_value(&reader, 0, &w, object));
    call(1, "y", "f");
    assert_true(tell_arguments_value(&reader, 1, &w, object));
    assert_true(tell_arguments_value(&reader, 1, &w, object));
    assert_true(tell_arguments_value(&reader, 1, &w, (struct node){0}));
    kit_pieces_free(&pieces);
    args(1, "{}");
    finish(0, TELL_STOP);
    assert_string_equal(heard.text, "start <c0(f#x) c0'  <c1(f#y) c1='{\"a\":1} >c0 >c1 "
                                    "finish:4");
}

/* Whoever listens may have no room, at any event; nothing is told behind it. */
static void test_no_room(void **state)
{
    (void)state;
    for (size_t limit = 1; limit < 9; limit++) {
        begin();
        heard.limit = limit;
        const struct bytes t = BYTES("{}");
        const struct walk *w = text_walk(t, 1);
        bool right = tell_start(&reader, t, t) && tell_more(&reader, TELL_TEXT, t) &&
                     tell_call(&reader, 0, t, t, false) &&
                     tell_arguments(&reader, 0, w, all_of(t)) &&
                     tell_finish(&reader, 0, TELL_STOP, t);
        assert_false(right);
        assert_int_equal(heard.events, limit);
        kit_pieces_free(&pieces);
    }
}

/* ---- writers ---- */

struct log {
    char at[4096];
    size_t room;
    struct tell_keep *keep;
};

static struct bytes log_piece(void *arg, uint64_t at)
{
    const struct log *l = arg;
    size_t step = 7 - at % 7;  /* in pieces of 7 */
    uint64_t left = l->keep->source.size - at;
    return (struct bytes){l->at + at, step < left ? step : (size_t)left};
}

static bool log_put(void *arg, struct bytes b)
{
    struct log *l = arg;
    uint64_t size = l->keep->source.size;
    if (size + b.len > l->room) return false;
    memcpy(l->at + size, b.ptr, b.len);
    l->keep->source.size += b.len;
    return true;
}

static void log_begin(struct log *l, struct tell_keep *k, size_t room)
{
    *l = (struct log){.room = room, .keep = k};
    *k = (struct tell_keep){.put = log_put, .arg = l, .source = {log_piece, l, 0}};
}

static void check_kept(const struct tell_keep *k, uint64_t from, uint32_t item, uint8_t what,
                       const char *parts, const char *value)
{
    struct kit_pen pen;
    kit_pen(&pen, 0, NULL);
    pen_begin(&pen.pen);
    tell_keep_parts(k, from, item, what, &pen.pen);
    pen_end(&pen.pen);
    struct bytes out = kit_pen_text(&pen);
    assert_true(bytes_eq((struct bytes){out.ptr + 1, out.len - 2}, bytes_of(parts)));
    kit_pen_free(&pen);
    kit_pen(&pen, 0, NULL);
    bool right = tell_keep_value(k, from, item, what, &pen.pen);
    assert_int_equal(right, value != NULL);
    assert_true(bytes_eq(kit_pen_text(&pen), bytes_of(value)));
    kit_pen_free(&pen);
}

static void test_log(void **state)
{
    (void)state;
    static struct log l;
    struct tell_keep k;
    log_begin(&l, &k, sizeof l.at);
    assert_true(tell_keep_put(&k, 1, 'a', BYTES("{\\\"x\\\":")));
    assert_true(tell_keep_put(&k, 2, 'a', BYTES("other")));
    assert_true(tell_keep_put(&k, 1, 'b', BYTES("text")));
    assert_true(tell_keep_put(&k, 1, 'a', BYTES("")));
    assert_true(tell_keep_put(&k, 1, 'a', BYTES("[\\\"\\u00e9\\\"]")));
    uint64_t from = k.source.size;
    assert_true(tell_keep_put(&k, 1, 'a', BYTES("\\n}")));
    check_kept(&k, 0, 1, 'a', "{\\\"x\\\":[\\\"\\u00e9\\\"]\\n}", "{\"x\":[\"\xC3\xA9\"] }");
    check_kept(&k, 0, 1, 'b', "text", NULL);
    check_kept(&k, 0, 3, 'a', "", "{}");
    check_kept(&k, from, 1, 'a', "\\n}", NULL);
    log_begin(&l, &k, 20);
    assert_true(tell_keep_put(&k, 1, 'a', BYTES("0123456789")));
    assert_false(tell_keep_put(&k, 1, 'a', BYTES("0")));
}

static void test_ids(void **state)
{
    (void)state;
    static struct tell_facts facts;
    char seen[64][40];
    for (uint32_t i = 0; i < 64; i++) {
        struct kit_pen pen;
        facts.seed[0] = i / 16;
        facts.seed[1] = i / 32;
        kit_pen(&pen, 0, NULL);
        tell_put_id(&pen.pen, &facts, BYTES("msg_"), i % 16);
        struct bytes out = kit_pen_text(&pen);
        assert_int_equal(out.len, 4 + 24 + 2);
        (void)snprintf(seen[i], sizeof seen[i], "%.*s", (int)out.len, out.ptr);
        for (uint32_t j = 0; j < i; j++) assert_string_not_equal(seen[i], seen[j]);
        kit_pen_free(&pen);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_calls_and_text),
        cmocka_unit_test(test_many_calls),
        cmocka_unit_test(test_made_ids),
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_starts),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_values_once),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
