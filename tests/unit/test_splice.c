/* test_splice.c - a request with the answer that was begun as a turn more (splice.h), as its
 * reader reads it, and as each kind of provider is asked to go on with it (ask.h). */
#include "net/translate/splice.h"
#include "net/dialect/api.h"
#include "net/translate/ask.h"
#include "net/translate/letter.h"
#include "tr_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct kit_pieces body, said;
    struct walk_source body_source, said_source;
    struct splice splice;
    struct splice_view view;
    struct ask ask;
};
static struct fixture f;

/* Splice, with all that is read in pieces of step bytes. */
static bool make(enum api api, const char *body, const char *said, enum ask_continues how,
                 size_t step)
{
    struct walk w;
    struct node root;
    f.body_source = kit_pieces(&f.body, bytes_of(body), step);
    f.said_source = kit_pieces(&f.said, bytes_of(said), step);
    assert_true(walk_open(&w, &f.body_source, NULL, &root));
    f.view = (struct splice_view){&f.splice, &f.body_source, &f.said_source};
    return splice_make(&f.splice, api, &w, root, &f.said_source, how);
}

static void done(void)
{
    kit_pieces_free(&f.body);
    kit_pieces_free(&f.said);
}

/* All of the document, read from back to front too: any place may be asked for. */
static const char *document(void)
{
    static char text[4096];
    struct walk_source s = splice_source(&f.view);
    assert_true(s.size < sizeof text);
    for (uint64_t at = 0; at < s.size;) {
        struct bytes b = s.piece(s.arg, at);
        assert_true(b.len > 0 && b.len <= s.size - at);
        memcpy(text + at, b.ptr, b.len);
        at += b.len;
    }
    for (uint64_t at = s.size; at-- > 0;) assert_int_equal(text[at], *s.piece(s.arg, at).ptr);
    text[s.size] = '\0';
    assert_true(kit_is_json(bytes_of(text)));
    return text;
}

#define USER "{\"role\":\"user\",\"content\":\"Hi\"}"
#define MODEL "{\"role\":\"assistant\",\"content\":\"Hello\"}"

static const struct { enum api api; const char *body, *said, *made; } cases[] = {
    {API_CHAT, "{\"messages\":[" USER " ] , \"n\":1}", "Hel\\u006co \\n",
     "{\"messages\":[" USER ",{\"role\":\"assistant\",\"content\":\"Hel\\u006co\"} ] , "
     "\"n\":1}"},
    {API_CHAT, "{\"messages\":[" USER "]}", "a\\ud83d",
     "{\"messages\":[" USER ",{\"role\":\"assistant\",\"content\":\"a\"}]}"},
    {API_CHAT, "{\"messages\":[" USER "]}", " \\t\\u3000", "{\"messages\":[" USER "]}"},
    {API_CHAT, "{\"messages\":[" USER "," MODEL "]}", "a", NULL},
    {API_CHAT, "{\"messages\":[]}", "a", NULL},
    {API_CHAT, "{\"messages\":{}}", "a", NULL},
    {API_CHAT, "{\"prompt\":\"x\"}", "a", NULL},
    {API_MESSAGES, "{\"messages\":[" USER "],\"max_tokens\":9}", "Hello",
     "{\"messages\":[" USER "," MODEL "],\"max_tokens\":9}"},
    {API_MESSAGES, "{\"messages\":[" USER "," MODEL "]}", "a", NULL},
    {API_GENERATE, "{\"contents\":[{\"parts\":[{\"text\":\"Hi\"}]}]}", "Hel",
     "{\"contents\":[{\"parts\":[{\"text\":\"Hi\"}]},"
     "{\"role\":\"model\",\"parts\":[{\"text\":\"Hel\"}]}]}"},
    {API_GENERATE, "{\"contents\":[{\"role\":\"model\",\"parts\":[]}]}", "a", NULL},
    {API_RESPONSES, "{\"input\":\"Hi\",\"model\":\"m\"}", "Hello",
     "{\"input\":[" USER "," MODEL "],\"model\":\"m\"}"},
    {API_RESPONSES, "{\"input\":\"Hi\"}", "", "{\"input\":\"Hi\"}"},
    {API_RESPONSES, "{\"input\":[" USER "]}", "Hello", "{\"input\":[" USER "," MODEL "]}"},
    {API_RESPONSES, "{\"input\":[" USER "," MODEL "]}", "a", NULL},
    {API_RESPONSES, "{\"input\":[{\"type\":\"function_call\",\"call_id\":\"c\"}]}", "a", NULL},
    {API_RESPONSES, "{\"input\":\"Hi\",\"previous_response_id\":\"r\"}", "a", NULL},
    {API_RESPONSES, "{\"input\":\"Hi\",\"conversation\":\"r\"}", "a", NULL},
    {API_RESPONSES, "{\"input\":\"Hi\",\"previous_response_id\":null}", "Hello",
     "{\"input\":[" USER "," MODEL "],\"previous_response_id\":null}"},
    {API_COMPLETIONS, "{\"messages\":[" USER "]}", "a", NULL},
};

static void test_bodies(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t step = 0; step < 4; step++) {
            bool made = make(cases[i].api, cases[i].body, cases[i].said,
                             ASK_CONTINUES_PREFILL, step);
            if (made != (cases[i].made != NULL)) print_error("%s\n", cases[i].body);
            assert_int_equal(made, cases[i].made != NULL);
            if (made) assert_string_equal(document(), cases[i].made);
            done();
        }
    }
}

/* Who is asked to go on gets a turn of the user's, behind the model's; its reader sees both. */
static void test_instruction(void **state)
{
    (void)state;
    static const struct { enum api api; const char *body; } all[] = {
        {API_CHAT, "{\"messages\":[" USER "]}"}, {API_MESSAGES, "{\"messages\":[" USER "]}"},
        {API_RESPONSES, "{\"input\":\"Hi\"}"}, {API_RESPONSES, "{\"input\":[" USER "]}"},
        {API_GENERATE, "{\"contents\":[{\"parts\":[{\"text\":\"Hi\"}]}]}"},
    };
    for (size_t i = 0; i < COUNT(all); i++) {
        struct ask_part part;
        unsigned turns = 0;
        assert_true(make(all[i].api, all[i].body, "Hello ", ASK_CONTINUES_INSTRUCT, 0));
        struct bytes text = bytes_of(document());
        struct walk_source source;
        walk_source_of(&source, &text);
        assert_true(ask_open(&f.ask, all[i].api, &source, NULL));
        ask_rewind(&f.ask);
        do {
            static const uint8_t roles[] = {ASK_USER, ASK_MODEL, ASK_USER};
            assert_true(ask_next(&f.ask, &part));
            if (part.kind == ASK_TURN) assert_int_equal(part.role, roles[turns++]);
            if (part.kind == ASK_TEXT && turns == 2) {
                assert_true(walk_is(&f.ask.walk, part.text, BYTES("Hello")));
            }
        } while (part.kind != ASK_END);
        assert_int_equal(turns, 3);
        assert_non_null(strstr(text.ptr, "exactly where it stops"));
        done();
    }
}

/* ---- how providers are asked ---- */

static const char *asked(enum api from, const char *body, const struct ask_target *t,
                         enum ask_rc want)
{
    static char text[8192];
    struct bytes b = bytes_of(body);
    struct walk_source source;
    struct kit_pen k;
    walk_source_of(&source, &b);
    assert_true(ask_open(&f.ask, from, &source, NULL));
    kit_pen(&k, 0, NULL);
    enum ask_rc rc = ask_write(&f.ask, t, &k.pen);
    if (rc != want) print_error("%s: %s\n", body, f.ask.error);
    assert_int_equal(rc, want);
    struct bytes out = kit_pen_text(&k);
    (void)snprintf(text, sizeof text, "%.*s", (int)out.len, out.ptr);
    if (rc == ASK_WRITTEN) assert_true(kit_is_json(bytes_of(text)));
    kit_pen_free(&k);
    return text;
}

#define BOTH "{\"messages\":[" USER "," MODEL "],\"max_tokens\":99999"

static void test_marks(void **state)
{
    (void)state;
    static const struct { uint8_t how; const char *in, *not; } marks[] = {
        {ASK_CONTINUES_NOT, "\"Hello\"}]", "prefix"},
        {ASK_CONTINUES_PREFILL, "\"Hello\"}]", "final"},
        {ASK_CONTINUES_PREFIX, "\"Hello\",\"prefix\":true}]", "final"},
        {ASK_CONTINUES_PREFIX_ECHO, "\"Hello\",\"prefix\":true}]", "final"},
        {ASK_CONTINUES_PARTIAL, "\"Hello\",\"partial\":true}]", "final"},
        {ASK_CONTINUES_FINAL, "\"continue_final_message\":true,\"add_generation_prompt\":false",
         "prefix"},
    };
    for (size_t i = 0; i < COUNT(marks); i++) {
        struct ask_target t = {.api = API_CHAT, .model = BYTES("m"),
                               .continues = marks[i].how};
        const char *out = asked(API_CHAT, BOTH "}", &t, ASK_WRITTEN);
        assert_non_null(strstr(out, marks[i].in));
        assert_null(strstr(out, marks[i].not));
        /* Without such a turn there is nothing to mark. */
        out = asked(API_CHAT, "{\"messages\":[" USER "]}", &t, ASK_WRITTEN);
        assert_null(strstr(out, "prefix"));
        assert_null(strstr(out, "partial"));
        assert_null(strstr(out, "final"));
        /* Who refuses a begun turn takes one that is marked. */
        t.quirks = ASK_NO_PREFILL;
        bool marked = marks[i].how >= ASK_CONTINUES_PREFIX;
        (void)asked(API_CHAT, BOTH "}", &t, marked ? ASK_WRITTEN : ASK_UNSAYABLE);
    }
}

static void test_who_can(void **state)
{
    (void)state;
    static const struct { enum api api; uint64_t quirks; uint8_t how; bool can; } all[] = {
        {API_MESSAGES, 0, ASK_CONTINUES_PREFILL, true},
        {API_MESSAGES, ASK_NO_PREFILL, ASK_CONTINUES_PREFILL, false},
        {API_GENERATE, 0, ASK_CONTINUES_PREFILL, true},
        {API_GENERATE, ASK_NO_PREFILL, ASK_CONTINUES_PREFILL, false},
        {API_CONVERSE, 0, ASK_CONTINUES_PREFILL, true},
        {API_CONVERSE, ASK_NO_PREFILL, ASK_CONTINUES_PREFILL, false},
        {API_COHERE, 0, ASK_CONTINUES_PREFILL, false},
        {API_RESPONSES, 0, ASK_CONTINUES_PREFILL, false},
    };
    static const char *const froms[] = {BOTH "}",
        "{\"messages\":[" USER "," MODEL "," USER "],\"max_tokens\":99999}"};
    for (size_t i = 0; i < COUNT(all); i++) {
        struct ask_target t = {.api = all[i].api, .model = BYTES("anthropic.m"),
            .quirks = all[i].quirks, .continues = all[i].how, .output_default = 100};
        static const enum api apis[] = {API_CHAT, API_MESSAGES};
        for (size_t j = 0; j < COUNT(apis); j++) {
            (void)asked(apis[j], froms[0], &t, all[i].can ? ASK_WRITTEN : ASK_UNSAYABLE);
            t.continues = ASK_CONTINUES_INSTRUCT;  /* which needs nobody's leave */
            (void)asked(apis[j], froms[1], &t, ASK_WRITTEN);
            t.continues = all[i].how;
        }
    }
}

/* In the middle of an answer nobody thinks, and a schema is told in words where it must be. */
static void test_thinking_is_off(void **state)
{
    (void)state;
    struct ask_target t = {.api = API_MESSAGES, .model = BYTES("m"), .thinks = true,
                           .continues = ASK_CONTINUES_PREFILL, .output_default = 100};
    static const char own[] = "{\"messages\":[" USER "," MODEL "," USER "]"
        ",\"max_tokens\":99999,\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000},"
        "\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{}}},"
        "\"output_format\":{\"type\":\"json_schema\",\"schema\":{}}}";
    static const char chat[] = BOTH ",\"reasoning_effort\":\"high\",\"response_format\":"
        "{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
        "\"schema\":{\"type\":\"object\"}}}}";
    const char *out = asked(API_MESSAGES, own, &t, ASK_WRITTEN);
    assert_null(strstr(out, "thinking"));
    assert_null(strstr(out, "output_"));
    t.continues = ASK_CONTINUES_INSTRUCT;
    out = asked(API_MESSAGES, own, &t, ASK_WRITTEN);
    assert_non_null(strstr(out, "budget_tokens"));
    assert_non_null(strstr(out, "output_config"));
    t.continues = ASK_CONTINUES_PREFILL;
    out = asked(API_CHAT, chat, &t, ASK_WRITTEN);
    assert_null(strstr(out, "thinking"));
    assert_null(strstr(out, "output_config"));
    assert_non_null(strstr(out, "JSON Schema"));
    t.api = API_CONVERSE;
    t.model = BYTES("anthropic.m");
    out = asked(API_CHAT, chat, &t, ASK_WRITTEN);
    assert_null(strstr(out, "thinking"));
    assert_null(strstr(out, "outputConfig"));
    assert_non_null(strstr(out, "JSON Schema"));
    t = (struct ask_target){.api = API_CHAT, .model = BYTES("m"), .thinks = true,
                            .quirks = ASK_THINK_SWITCH, .continues = ASK_CONTINUES_PARTIAL};
    out = asked(API_CHAT, chat, &t, ASK_WRITTEN);
    assert_non_null(strstr(out, "\"enable_thinking\":false"));
}

/* ---- structured output ---- */

static void test_may_cut(void **state)
{
    (void)state;
    static const struct { const char *said; bool may; } all[] = {
        {"", true}, {" ", true}, {"{", true}, {"{\\n  ", true}, {"{\\\"a", false},
        {"{\\\"a\\\"", true}, {"{\\\"a\\\": ", true}, {"{\\\"a\\\": 1", false},
        {"{\\\"a\\\": 1 ", false}, {"{\\\"a\\\": 1,", true}, {"{\\\"a\\\": tr", false},
        {"{\\\"a\\\": true", false}, {"{\\\"a\\\": true,", true}, {"[-", false},
        {"[\\\"\\\\\\\"", false}, {"[\\\"\\\\\\\"\\\"", true}, {"[\\\"\\\\\\\\\\\"", true},
        {"[\\\"{", false}, {"[\\u0022x\\u0022]", true}, {"[\\u0022x", false}, {"}", true},
        {"```json\\n", false}, {"\\u0000", false}, {"[\\\"\xC3\xA9", false},
        {"[\\\"\\\\", false},
    };
    for (size_t i = 0; i < COUNT(all); i++) {
        for (size_t step = 0; step < 4; step++) {
            f.said_source = kit_pieces(&f.said, bytes_of(all[i].said), step);
            bool may = splice_may_cut(API_FORMAT_JSON, &f.said_source);
            if (may != all[i].may) print_error("%s\n", all[i].said);
            assert_int_equal(may, all[i].may);
            assert_true(splice_may_cut(API_FORMAT_TEXT, &f.said_source));
            kit_pieces_free(&f.said);
        }
    }
}

/* ---- letters ---- */

/* The end of a long text is found without reading it all, and where there are escapes only. */
static void test_ends(void **state)
{
    (void)state;
    static const char *const units[] = {"a", "\\u0061", "\xC3\xA9", "\\\\", "\\ud83d\\ude00",
                                        "\xF0\x9F\x98\x80", "aaaaaaaaaaaaaaaaaaaaa\\n"};
    static const char *const blanks[] = {"", " ", "\\n \\t", "\\u2003\\ud83d ", "\\ud83d"};
    char *text = malloc(1 << 16);
    assert_non_null(text);
    for (size_t i = 0; i < COUNT(units); i++) {
        for (size_t j = 0; j < COUNT(blanks); j++) {
            for (size_t times = 1; times < 2000; times = times * 3 + 1) {
                size_t n = 0, len = strlen(units[i]);
                for (size_t k = 0; k < times; k++, n += len) memcpy(text + n, units[i], len);
                size_t end = i + 1 == COUNT(units) ? n - 2 : n;
                memcpy(text + n, blanks[j], strlen(blanks[j]) + 1);
                f.said_source = kit_pieces(&f.said, bytes_of(text), times % 3 ? 61 : 0);
                assert_int_equal(letters_end(&f.said_source), end);
                kit_pieces_free(&f.said);
            }
        }
    }
    memset(text, ' ', 10000);
    memcpy(text, "a\\n", 3);
    text[10000] = '\0';
    f.said_source = kit_pieces(&f.said, bytes_of(text), 0);
    assert_int_equal(letters_end(&f.said_source), 1);
    kit_pieces_free(&f.said);
    free(text);
}

static void test_letters(void **state)
{
    (void)state;
    static const struct { const char *text; uint32_t code; size_t len; } all[] = {
        {"a", 'a', 1}, {"\\n", '\n', 2}, {"\\\"", '"', 2}, {"\\/", '/', 2}, {"\\t", '\t', 2},
        {"\\b", '\b', 2}, {"\\f", '\f', 2}, {"\\r", '\r', 2}, {"\\\\", '\\', 2},
        {"\\u00e9x", 0xE9, 6}, {"\\u00E9", 0xE9, 6}, {"\xC3\xA9", 0xE9, 2},
        {"\xE2\x82\xAC", 0x20AC, 3}, {"\xF0\x9F\x98\x80", 0x1F600, 4},
        {"\\ud83d\\ude00", 0x1F600, 12}, {"\\ud83d", 0xD83D, 6}, {"\\ud83d\\n", 0xD83D, 6},
        {"\\ud83d\\ud83d", 0xD83D, 6}, {"\\ude00", 0xDE00, 6},
        {"\\u12", 0x110000 + '\\', 1}, {"\\x", 0x110000 + '\\', 1}, {"\\", 0x110000 + '\\', 1},
        {"\x80", 0x110080, 1}, {"\xC3", 0x1100C3, 1}, {"\xE2\x82", 0x1100E2, 1},
        {"\xE2\x41\x41", 0x1100E2, 1}, {"\xFF", 0x1100FF, 1}, {"\xC1\x81", 0x1100C1, 1},
    };
    for (size_t i = 0; i < COUNT(all); i++) {
        uint32_t code;
        assert_int_equal(letter_read(bytes_of(all[i].text), &code), all[i].len);
        assert_int_equal(code, all[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies), cmocka_unit_test(test_instruction),
        cmocka_unit_test(test_marks), cmocka_unit_test(test_who_can),
        cmocka_unit_test(test_thinking_is_off), cmocka_unit_test(test_may_cut),
        cmocka_unit_test(test_ends), cmocka_unit_test(test_letters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
