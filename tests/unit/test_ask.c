/* test_ask.c - what the readers and writers of requests share: ids of calls, marks of
 * signatures, arguments, data URLs, efforts and limits. */
#include "net/translate/ask.h"
#include "tr_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct ask ask;                /* large: not for a stack */
static struct kit_pieces pieces;
static struct walk_source source;

/* The ask of a document in pieces of step bytes. */
static struct ask *ask_of(struct bytes text, size_t step)
{
    memset(&ask, 0, sizeof ask);
    source = kit_pieces(&pieces, text, step);
    assert_true(walk_open(&ask.walk, &source, NULL, &ask.root));
    return &ask;
}

static struct walk_span text_of(const struct ask *a, const char *name)
{
    return walk_inside(walk_member(&a->walk, a->root, bytes_of(name)));
}

/* Static text. */
static const char *id_of(struct walk_span id, enum ask_id rule)
{
    static char text[128];
    struct kit_pen k;
    kit_pen(&k, 0, NULL);
    ask_put_id(&k.pen, &ask.walk, id, rule);
    struct bytes out = kit_pen_text(&k);
    assert_true(kit_is_json(out) && out.len < sizeof text);
    (void)snprintf(text, sizeof text, "%.*s", (int)out.len, out.ptr);
    kit_pen_free(&k);
    return text;
}

static void test_ids(void **state)
{
    (void)state;
    const struct bytes doc = BYTES(
        "{\"plain\":\"call_Ab-9\",\"same\":\"call_\\u0041b-9\",\"odd\":\"a/b:c\","
        "\"nine\":\"abcDEF123\",\"long\":\"0123456789012345678901234567890123456789x\","
        "\"sixty\":\"0123456789012345678901234567890123456789012345678901234567890123x\"}");
    for (size_t step = 0; step < 12; step++) {
        struct ask *a = ask_of(doc, step);
        struct walk_span plain = text_of(a, "plain"), odd = text_of(a, "odd");
        char first[128];
        assert_string_equal(id_of(plain, ID_CHAT), "\"call_Ab-9\"");
        assert_string_equal(id_of(plain, ID_RESPONSES), "\"call_Ab-9\"");
        assert_string_equal(id_of(plain, ID_MESSAGES), "\"call_Ab-9\"");
        assert_string_equal(id_of(odd, ID_GEMINI), "\"a/b:c\"");
        assert_string_equal(id_of(text_of(a, "nine"), ID_NINE), "\"abcDEF123\"");
        (void)snprintf(first, sizeof first, "%s", id_of(plain, ID_NINE));
        assert_int_equal(strlen(first), 11);
        assert_string_equal(id_of(text_of(a, "same"), ID_NINE), first);
        assert_string_not_equal(id_of(odd, ID_NINE), first);
        assert_string_equal(id_of(odd, ID_CHAT), "\"call_ett32b42x1032\"");
        assert_string_equal(id_of(odd, ID_MESSAGES), "\"toolu_ett32b42x1032\"");
        struct walk_span forty = text_of(a, "long"), sixty = text_of(a, "sixty");
        assert_int_equal(strncmp(id_of(forty, ID_CHAT), "\"call_", 6), 0);
        assert_int_equal(strncmp(id_of(forty, ID_RESPONSES), "\"0123", 5), 0);
        forty.end--;
        assert_int_equal(strncmp(id_of(forty, ID_CHAT), "\"0123", 5), 0);
        assert_int_equal(strncmp(id_of(sixty, ID_RESPONSES), "\"call_", 6), 0);
        assert_int_equal(strncmp(id_of(sixty, ID_MESSAGES), "\"0123", 5), 0);
        sixty.end--;
        assert_int_equal(strncmp(id_of(sixty, ID_RESPONSES), "\"0123", 5), 0);
        (void)snprintf(first, sizeof first, "%s", id_of(ask_nth_id(0), ID_GEMINI));
        assert_int_equal(strncmp(first, "\"call_", 6), 0);
        assert_string_not_equal(id_of(ask_nth_id(1), ID_GEMINI), first);
        assert_string_equal(id_of(ask_nth_id(0), ID_CHAT), first);
        kit_pieces_free(&pieces);
    }
}

static void test_call_names(void **state)
{
    (void)state;
    struct ask *a = ask_of(BYTES("{\"a\":\"x\",\"b\":\"x\",\"c\":\"y\"}"), 0);
    struct ask_part call = {.kind = ASK_CALL, .id = text_of(a, "a")};
    assert_false(walk_has(ask_call_name(a, call.id)));
    for (uint64_t i = 0; i < 3 * ASK_CALLS; i++) {
        call.name = (struct walk_span){i + 1, i + 2};
        ask_note_call(a, &call);
        call.id = ask_nth_id(i);
    }
    /* The latest are known, by what their ids say, not where they stand. */
    assert_false(walk_has(ask_call_name(a, text_of(a, "b"))));
    assert_false(walk_has(ask_call_name(a, ask_nth_id(2 * ASK_CALLS - 2))));
    assert_int_equal(ask_call_name(a, ask_nth_id(2 * ASK_CALLS - 1)).start, 2 * ASK_CALLS + 1);
    call.id = text_of(a, "a");
    call.name = (struct walk_span){7, 8};
    ask_note_call(a, &call);
    assert_int_equal(ask_call_name(a, text_of(a, "b")).start, 7);
    assert_false(walk_has(ask_call_name(a, text_of(a, "c"))));
    kit_pieces_free(&pieces);
}

static void test_marks(void **state)
{
    (void)state;
    for (enum ask_maker m = MAKER_CHAT; m < MAKERS; m++) {
        char doc[64];
        struct bytes mark = ask_mark(m);
        assert_int_equal(mark.len, 8);
        (void)snprintf(doc, sizeof doc, "[\"%.*sSIG\",\"%.*sSIG\"]", (int)mark.len, mark.ptr, 7,
                       mark.ptr);
        for (size_t step = 0; step < 9; step++) {
            struct ask *a = ask_of(bytes_of(doc), step);
            struct walk_span marked = {2, 13}, other = {16, 26}, brief = {2, 9}, none = {0};
            assert_int_equal(ask_maker(&a->walk, &marked, MAKER_CHAT), m);
            assert_int_equal(marked.start, 10);
            assert_int_equal(ask_maker(&a->walk, &other, MAKER_GEMINI), MAKER_GEMINI);
            assert_int_equal(other.start, 16);
            assert_int_equal(ask_maker(&a->walk, &brief, MAKER_GEMINI), MAKER_GEMINI);
            assert_int_equal(ask_maker(&a->walk, &none, MAKER_MESSAGES), MAKER_MESSAGES);
            kit_pieces_free(&pieces);
        }
        assert_true(ask_is_marked(mark));
        assert_false(ask_is_marked((struct bytes){mark.ptr, 7}));
    }
    assert_false(ask_is_marked(BYTES("WeirSgX0abc")));
    assert_false(ask_is_marked(BYTES("CiQBjz1rX7")));
}

static void check_arguments(const char *name, bool custom, const char *value, const char *text)
{
    struct ask_part call = {.kind = ASK_CALL, .custom = custom};
    struct kit_pen k;
    call.arguments = walk_member(&ask.walk, ask.root, bytes_of(name));
    ask.error[0] = '\0';
    kit_pen(&k, 0, NULL);
    bool right = ask_put_arguments(&ask, &k.pen, &call);
    struct bytes out = kit_pen_text(&k);
    assert_int_equal(right, value != NULL);
    assert_int_equal(ask.error[0] == '\0', right);
    assert_true(bytes_eq(out, bytes_of(value)));
    kit_pen_free(&k);
    kit_pen(&k, 0, NULL);
    ask_put_arguments_text(&ask, &k.pen, &call);
    assert_true(bytes_eq(kit_pen_text(&k), bytes_of(text)));
    kit_pen_free(&k);
}

static void test_arguments(void **state)
{
    (void)state;
    for (size_t step = 0; step < 9; step++) {
        ask_of(BYTES("{\"o\":{\"a\":\"b\\n\"},\"s\":\"{\\\"a\\\":1}\",\"e\":\"\",\"bad\":\"{\","
                     "\"list\":[],\"t\":\"ls \\\"x\\\"\\n\"}"), step);
        check_arguments("o", false, "{\"a\":\"b\\n\"}", "\"{\\\"a\\\":\\\"b\\\\n\\\"}\"");
        check_arguments("s", false, "{\"a\":1}", "\"{\\\"a\\\":1}\"");
        check_arguments("e", false, "{}", "\"{}\"");
        check_arguments("none", false, "{}", "\"{}\"");
        check_arguments("bad", false, NULL, "\"{\"");
        check_arguments("list", false, NULL, "\"{}\"");
        check_arguments("t", true, "{\"input\":\"ls \\\"x\\\"\\n\"}",
                        "\"{\\\"input\\\":\\\"ls \\\\\\\"x\\\\\\\"\\\\n\\\"}\"");
        kit_pieces_free(&pieces);
    }
}

static void test_data_urls(void **state)
{
    (void)state;
    static const struct { struct bytes url, mime, data; } cases[] = {
        {BYTES_INIT("data:image/png;base64,AAAA"), BYTES_INIT("image/png"), BYTES_INIT("AAAA")},
        {BYTES_INIT("DATA:image/png;Base64,AAAA"), BYTES_INIT("image/png"), BYTES_INIT("AAAA")},
        {BYTES_INIT("data:image\\/png;x=y;base64,A,A"), BYTES_INIT("image\\/png"),
         BYTES_INIT("A,A")},
        {BYTES_INIT("data:;base64,"), BYTES_INIT(""), BYTES_INIT("")},
        {BYTES_INIT("data:image/png,AAAA"), {0}, {0}}, {BYTES_INIT("data:;base64"), {0},
         {0}},
        {BYTES_INIT("https://x/data:a;base64,B"), {0}, {0}}, {BYTES_INIT("dat"), {0}, {0}},
        {BYTES_INIT("data:a;base64x,B"), {0}, {0}}, {BYTES_INIT("data:a;x,;base64,B"), {0},
         {0}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t step = 0; step < 7; step++) {
            char room[64];
            source = kit_pieces(&pieces, cases[i].url, step);
            struct walk w = {.source = &source};
            struct walk_span mime, data, all = {0, cases[i].url.len};
            bool is = ask_data_url(&w, all, &mime, &data);
            assert_int_equal(is, cases[i].data.ptr != NULL);
            struct bytes b = walk_bytes(&w, mime, room, sizeof room);
            assert_true(bytes_eq(b, cases[i].mime));
            b = walk_bytes(&w, data, room, sizeof room);
            assert_true(bytes_eq(b, cases[i].data));
            kit_pieces_free(&pieces);
        }
    }
}

/* RFC 4648 section 5: the alphabet for URLs becomes the usual one, wherever the pieces end. */
static void test_base64(void **state)
{
    (void)state;
    static const struct { struct bytes in, out; } cases[] = {
        {BYTES_INIT("AAAA"), BYTES_INIT("AAAA")}, {BYTES_INIT("A+/="), BYTES_INIT("A+/=")},
        {BYTES_INIT("A-_A"), BYTES_INIT("A+/A")}, {BYTES_INIT("-_"), BYTES_INIT("+/==")},
        {BYTES_INIT("_A-"), BYTES_INIT("/A+=")}, {BYTES_INIT("AA"), BYTES_INIT("AA")},
        {BYTES_INIT("A\\/AA"), BYTES_INIT("A\\/AA")}, {BYTES_INIT(""), BYTES_INIT("")},
        {BYTES_INIT("A-A="), BYTES_INIT("A+A=")},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t step = 0; step < 5; step++) {
            struct kit_pen k;
            source = kit_pieces(&pieces, cases[i].in, step);
            struct walk w = {.source = &source};
            kit_pen(&k, 0, NULL);
            pen_begin(&k.pen);
            ask_base64(&k.pen, &w, (struct walk_span){0, cases[i].in.len});
            pen_end(&k.pen);
            struct bytes out = kit_pen_text(&k);
            assert_int_equal(out.len, cases[i].out.len + 2);
            assert_memory_equal(out.ptr + 1, cases[i].out.ptr, cases[i].out.len);
            kit_pen_free(&k);
            kit_pieces_free(&pieces);
        }
    }
}

static void test_efforts(void **state)
{
    (void)state;
    for (enum api_effort e = API_EFFORT_UNSET; e < API_EFFORT_XHIGH; e++) {
        assert_int_equal(ask_budget_effort(ask_effort_budget(e, 0)), e);
        assert_int_equal(ask_budget_effort(ask_effort_budget(e, 1 << 20)), e);
    }
    assert_int_equal(ask_effort_budget(API_EFFORT_HIGH, 4000), 3000);
    assert_int_equal(ask_effort_budget(API_EFFORT_UNSET, 4000), -1);
    assert_int_equal(ask_budget_effort(ask_effort_budget(API_EFFORT_XHIGH, 0)),
                     API_EFFORT_HIGH);
    static const struct { unsigned takes; enum api_effort own, wanted, is; } cases[] = {
        {0, 0, API_EFFORT_XHIGH, API_EFFORT_XHIGH},
        {1 << API_EFFORT_HIGH, 0, API_EFFORT_UNSET, API_EFFORT_UNSET},
        {1 << API_EFFORT_HIGH | 1 << API_EFFORT_LOW, 0, API_EFFORT_XHIGH, API_EFFORT_HIGH},
        {1 << API_EFFORT_HIGH | 1 << API_EFFORT_LOW, 0, API_EFFORT_MEDIUM, API_EFFORT_LOW},
        {1 << API_EFFORT_HIGH | 1 << API_EFFORT_NONE, 0, API_EFFORT_LOW, API_EFFORT_HIGH},
        {1 << API_EFFORT_NONE, 0, API_EFFORT_LOW, API_EFFORT_NONE},
        {1 << API_EFFORT_LOW, 0, API_EFFORT_NONE, API_EFFORT_LOW},
        {0, API_EFFORT_HIGH, API_EFFORT_LOW, API_EFFORT_HIGH},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ask_target t = {.efforts = (uint8_t)cases[i].takes,
                               .effort = (uint8_t)cases[i].own};
        assert_int_equal(ask_effort_for(&t, cases[i].wanted), cases[i].is);
    }
}

static void test_output(void **state)
{
    (void)state;
    static const struct { int64_t asked, most, other; enum api api; int64_t is; } cases[] = {
        {-1, 0, 0, API_CHAT, -1}, {-1, 0, 4096, API_CHAT, -1}, {-1, 100, 0, API_CHAT, 100},
        {-1, 0, 4096, API_MESSAGES, 4096}, {-1, 100, 4096, API_MESSAGES, 100},
        {50, 100, 4096, API_MESSAGES, 50}, {500, 100, 0, API_GENERATE, 100},
        {500, 0, 4096, API_MESSAGES, 500},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ask_target t = {.api = cases[i].api, .output_max = cases[i].most,
                               .output_default = cases[i].other};
        ask.settings.max_tokens = cases[i].asked;
        assert_int_equal(ask_output(&ask, &t), cases[i].is);
    }
}

/* The first blame stands. */
static void test_blame(void **state)
{
    (void)state;
    ask.error[0] = '\0';
    ask_blame(&ask, "/n", "no way to ask for n > %d", 1);
    ask_blame(&ask, "/x", "something else");
    assert_string_equal(ask.error, "no way to ask for n > 1");
    assert_string_equal(ask.pointer, "/n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_call_names),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_data_urls),
        cmocka_unit_test(test_base64), cmocka_unit_test(test_efforts),
        cmocka_unit_test(test_output),
        cmocka_unit_test(test_blame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
