/* test_agree.c - what two answers say is the same, and what is not: tables of texts by what
 * they come down to, each with every other, in pieces of every size; JSON values written in
 * many ways by a seed. */
#include "net/translate/agree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { TEXT_MAX = 8192, SAME_MAX = 13 };

/* ---- texts ---- */

static void tell(struct agree_reader *r, enum tell_kind kind, enum tell_block block,
                 struct bytes text)
{
    struct tell t = {.kind = (uint8_t)kind, .block = (uint8_t)block, .text = text};
    assert_true(agree_take(r, &t));
}

/* The gist of a text whose bytes are told in pieces, as written in JSON. */
static struct agree gist_in(const char *text, bool json, size_t step)
{
    static char raw[TEXT_MAX];
    struct agree_reader r;
    size_t len = 0;
    for (const char *c = text; *c; c++) {
        assert_true(len + 8 < sizeof raw);
        if (*c == '"' || *c == '\\') raw[len++] = '\\';
        if (*c == '\n') len += (size_t)snprintf(raw + len, 3, "\\n");
        else raw[len++] = *c;
    }
    agree_begin(&r, json);
    tell(&r, TELL_START, TELL_TEXT, (struct bytes){0});
    tell(&r, TELL_OPEN, TELL_TEXT, (struct bytes){0});
    for (size_t at = 0; at < len; at += step) {
        tell(&r, TELL_MORE, TELL_TEXT,
             (struct bytes){raw + at, step < len - at ? step : len - at});
    }
    tell(&r, TELL_FINISH, TELL_TEXT, (struct bytes){0});
    return agree_end(&r);
}

static struct agree gist_text(const char *text, bool json)
{
    struct agree whole = gist_in(text, json, TEXT_MAX);
    for (size_t step = 1; step < 9; step++) {
        struct agree cut = gist_in(text, json, step);
        assert_memory_equal(&cut, &whole, sizeof cut);
    }
    return whole;
}

#define LONG "First the sum of all parts has to be found, which is done by adding them one " \
             "by one. Then what was added twice is taken off again, and so on up to the " \
             "last of them. "

/* Each row says one thing, in other words than all other rows. */
static const char *const texts[][SAME_MAX] = {
    {"1000", "1,000", "1000.0", "1,000.00", "**1000**", "1000.", " 1000\n", "$1,000$", "$1000",
     "The answer is 1000.", "The final answer is: **1,000**.", "#### 1000"},
    {LONG "The answer is 1000", LONG "\n\n\\boxed{1000}", LONG "So $$\\boxed{1,000}$$.",
     LONG "\n#### 1,000", LONG "**Answer:** 1000", LONG "\n1000", LONG "\n\n**1,000**\n",
     LONG "Answer = 1000.0",
     LONG "At first the answer is 999.\nIn the end the answer is 1000.", 
     LONG "\n### Final Answer:\n\n1000", "1000",
     LONG "The answer to the question is \\boxed{1000}."},
    {"-1000", "\xe2\x88\x92" "1000", "The answer is -1,000.", "\\boxed{-1000}", "-1000.0"},
    {"10001"}, {"101"}, {"110"}, {"10000"}, {"1,0000"}, {"1000 apples"},
    {"1000%", "1000 %"}, {"100,0"}, {"0.1", ".1", "0.10"}, {"1"},
    {"0", "0.0", "-0", "0.000"}, {"1.2.3"}, {"1.2.30"}, {"3/4"}, {"34"}, {"3 4", "3, 4"},
    {"(3,4)"}, {"(3, 4)", "(3 4)"}, {"[3,4)"}, {"(3.4)"}, {"3.4"}, {"3-4"}, {"3 + 4"},
    {"3*4"}, {"3^4"},
    {"5!"}, {"5"}, {"x = 5"}, {"x != 5"}, {"x"}, {"f'(x)"}, {"f(x)"}, {"x-1"}, {"x+1"}, {"x1"},
    {"12:30"}, {"12 30"}, {"C#"}, {"snake_case"}, {"snake case"},
    {"C", "c", "(C)", "C)", "C.", "**C**", "The answer is (C).", "The answer is **C**.",
     "The correct option is the third, so the answer is C.", "\\boxed{\\text{C}}",
     LONG "\n(C)", LONG "The answer is (C) Paris."},
    {"D", LONG "the answer is (D)"},
    {"A) 5\nB) 7"}, {"A) 5\nB) 8"}, {"The answer is A) 5 and B) 7"},
    {"The answer is A) 5 and B) 8"}, {"A: 5"}, {"A: 6"},
    {"Paris", "paris", "Paris.", "\"Paris\"", "*Paris*", "Paris!", "The answer is Paris",
     "\xe2\x80\x9cParis\xe2\x80\x9d", "`Paris`"},
    {"London"}, {"New York", "new  york", "New\nYork", "New-York"}, {"NewYork"},
    {"St. Louis", "The answer is St. Louis."},
    {"St. Petersburg", "The answer is St. Petersburg"},
    {"don't know", "don\xe2\x80\x99t know"}, {"do know"}, {"yes", "'yes'", "Yes!"}, {"no"},
    {"not C", "The answer is not C."},
    {"The answer is 5. Wait, it is 6."}, {"The answer is 5. Wait, it is 7."},
    {"caf\xc3\xa9"}, {"cafe"}, {"5 \xe2\x82\xac"}, {"a\\b"}, {"a \"b\"", "a b"},
};

/* What comes down to nothing. */
static const char *const nothing[] = {
    "", " ", "...", "**", "The answer is ", LONG, LONG LONG LONG LONG LONG LONG LONG LONG,
    LONG "\\boxed{5} Or is it 6?", LONG "The answer is 5.\n\nWait, no: that was wrong.",
    LONG "The answer is:\n1. Paris\n2. Rome", LONG "\\boxed{5", LONG "\n5 apples",
    LONG "\n#### 5\n#### and more\nof that", LONG "\nThat is all.", LONG "\n\xe2\x80\x94",
};

static void test_texts_that_say_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        for (size_t k = 0; k < SAME_MAX && texts[i][k]; k++) {
            struct agree a = gist_text(texts[i][0], false), b = gist_text(texts[i][k], false);
            if (!agree_same(&a, &b)) fail_msg("'%s' and '%s'", texts[i][0], texts[i][k]);
        }
    }
}

static void test_texts_that_do_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        for (size_t n = 0; n < COUNT(texts); n++) {
            if (i == n || (i < 2 && n < 2)) continue;   /* both say a thousand */
            for (size_t k = 0; k < SAME_MAX && texts[i][k]; k++) {
                struct agree a = gist_in(texts[i][k], false, TEXT_MAX);
                struct agree b = gist_in(texts[n][0], false, TEXT_MAX);
                if (agree_same(&a, &b)) fail_msg("'%s' and '%s'", texts[i][k], texts[n][0]);
            }
        }
    }
}

static void test_nothing_agrees_with_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(nothing); i++) {
        struct agree a = gist_text(nothing[i], false);
        if (a.form != AGREE_NONE) fail_msg("'%s'", nothing[i]);
        assert_false(agree_same(&a, &a));
    }
}

/* A text that is longer than what is kept has the same end. */
static void test_long_texts(void **state)
{
    static char text[TEXT_MAX / 2];
    struct agree want = gist_in("42", false, TEXT_MAX);
    (void)state;
    for (size_t len = 0; len < 3000; len += 7) {
        memset(text, 'x', len);
        memcpy(text + len, " The answer is 42.", 19);
        struct agree a = gist_in(text, false, TEXT_MAX);
        assert_true(agree_same(&a, &want));
    }
}

/* ---- JSON ---- */

static uint64_t draw_state;

static uint32_t draw(uint32_t n)
{
    draw_state = draw_state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(draw_state >> 33) % n;
}

struct out { char *at; size_t len; };

static void put(struct out *o, const char *text)
{
    size_t n = strlen(text);
    assert_true(o->len + n + 1 < TEXT_MAX);
    memcpy(o->at + o->len, text, n + 1);
    o->len += n;
}

static void blanks(struct out *o, uint32_t *how)
{
    static const char *const some[] = {"", " ", "\n", "\t ", "\r\n"};
    draw_state = *how;
    put(o, some[draw(5)]);
    *how = draw(UINT32_MAX);
}

static void put_string(struct out *o, uint32_t n, uint32_t *how)
{
    static const char *const same[][4] = {
        {"a", "\\u0061", "a", "\\u0061"}, {"\\n", "\\u000a", "\\u000A", "\\n"},
        {"\\\"", "\\u0022", "\\\"", "\\u0022"}, {"/", "\\/", "\\u002f", "/"},
        {"\xc3\xa9", "\\u00e9", "\\u00E9", "\xc3\xa9"},
        {"\xf0\x9f\x98\x80", "\\ud83d\\ude00", "\\uD83D\\uDE00", "\xf0\x9f\x98\x80"},
        {"\\ud800", "\xef\xbf\xbd", "\\uD800", "\\udc00"}, {"Zz", "\\u005az", "Zz", "Z\\u007A"},
    };
    put(o, "\"");
    for (uint32_t i = 0; i < n % 4; i++) {
        draw_state = *how;
        put(o, same[(n / 4 + i * 3) % COUNT(same)][draw(4)]);
        *how = draw(UINT32_MAX);
    }
    put(o, "\"");
}

static void put_number(struct out *o, uint32_t n, uint32_t *how)
{
    static const char *const same[][4] = {
        {"0", "-0", "0.000", "0e7"}, {"1", "1.0", "1e0", "10E-1"},
        {"-12.5", "-12.50", "-125e-1", "-0.125e+2"}, {"1000", "1e3", "1000.0", "0.001e6"},
        {"0.001", "1e-3", "0.0010", "10e-4"},
        {"123456789012345678901", "123456789012345678901.0",
         "1.23456789012345678901e20", "12345678901234567890.1e1"},
    };
    draw_state = *how;
    put(o, same[n % COUNT(same)][draw(4)]);
    *how = draw(UINT32_MAX);
}

/* A value of a seed; how: in which way it is written, and advances. */
static void put_value(struct out *o, uint32_t seed, uint32_t *how, unsigned depth)
{
    static const char *const words[] = {"true", "false", "null"};
    uint32_t kind = seed % 7, count = seed / 7 % 4, rest = seed / 28;
    if (depth == 0) kind %= 3;
    blanks(o, how);
    if (kind == 0) put(o, words[rest % 3]);
    else if (kind == 1) put_number(o, rest, how);
    else if (kind == 2) put_string(o, rest, how);
    else put(o, kind < 5 ? "{" : "[");
    draw_state = *how;
    uint32_t turn = count ? draw(count) : 0;
    for (uint32_t i = 0; kind > 2 && i < count; i++) {
        uint32_t which = kind < 5 ? (i + turn) % count : i;
        uint32_t member = rest * 31 + which * 7919 + 1;
        if (i > 0) put(o, ",");
        blanks(o, how);
        if (kind < 5) put_string(o, 1 + which * 4, how), put(o, ":");
        put_value(o, member, how, depth - 1);
    }
    if (kind > 2) put(o, kind < 5 ? "}" : "]");
    blanks(o, how);
}

/* One value written in two ways is the same, two values are not. */
static void test_json_by_value(void **state)
{
    static char a[TEXT_MAX], b[TEXT_MAX], plain[TEXT_MAX], last[TEXT_MAX];
    struct agree before = {.form = AGREE_NONE};
    (void)state;
    for (uint32_t seed = 0; seed < 4000; seed++) {
        uint32_t how = seed * 3 + 1, other = seed * 7 + 5, none = 0;
        struct out oa = {a, 0}, ob = {b, 0}, op = {plain, 0};
        put_value(&oa, seed, &how, 4);
        put_value(&ob, seed, &other, 4);
        put_value(&op, seed, &none, 4);
        struct agree ga = gist_in(a, true, 1 + seed % 5), gb = gist_in(b, true, TEXT_MAX);
        if (ga.form != AGREE_JSON || !agree_same(&ga, &gb)) fail_msg("%s and %s", a, b);
        if (seed > 0 && agree_same(&ga, &before) && strcmp(plain, last) != 0) {
            uint32_t again = 0;                    /* seeds may stand for one value */
            struct out oo = {last, 0};
            put_value(&oo, seed - 1, &again, 4);
            fail_msg("%s and %s", a, last);
        }
        before = ga;
        memcpy(last, plain, sizeof last);
    }
}

static void test_json_that_differs(void **state)
{
    static const char *const all[] = {
        "1", "10", "0.1", "-1", "\"1\"", "true", "false", "null", "\"true\"", "\"\"", "{}",
        "[]", "[[]]", "[{}]", "[1]", "[1,2]", "[2,1]", "[[1],2]", "[[1,2]]", "{\"a\":1}",
        "{\"a\":2}", "{\"b\":1}", "{\"a\":1,\"b\":2}", "{\"a\":2,\"b\":1}", "{\"a\":{\"b\":1}}",
        "{\"a\":[1]}", "{\"a\":null}", "\"a b\"", "\"ab\"", "\"A\"", "\"a\"", "1e2", "1e-2",
        "123456789012345678901", "123456789012345678902", "{\"a\":1,\"a\":1}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(all); i++) {
        struct agree a = gist_text(all[i], true);
        assert_int_equal(a.form, AGREE_JSON);
        for (size_t k = 0; k < COUNT(all); k++) {
            struct agree b = gist_text(all[k], true);
            if (agree_same(&a, &b) != (i == k)) fail_msg("%s and %s", all[i], all[k]);
        }
    }
}

static void test_what_is_no_json(void **state)
{
    static const char *const all[] = {
        "", " ", "{", "[", "[1", "{\"a\"", "{\"a\":", "{\"a\":1", "\"a", "1 2", "[1,]", "{,}",
        "{\"a\":1,}", "[1 2]", "{\"a\" 1}", "{1:2}", "]", "}", "[}", "{]", "tru", "truee", "-",
        "1e", "1.2.3", "1-2", "nan", "'a'", "```json\n{}\n```", "[[[[[[[[[[[[[1]]]]]]]]]]]]]",
        "The answer is {}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(all); i++) {
        struct agree a = gist_text(all[i], true);
        if (a.form != AGREE_NONE) fail_msg("%s", all[i]);
    }
    struct agree deep = gist_text("[[[[[[[[[[[[1]]]]]]]]]]]]", true);
    assert_int_equal(deep.form, AGREE_JSON);
}

/* ---- calls, and what cannot be compared ---- */

struct call { const char *name, *arguments; bool value, custom; };

static struct agree gist_calls(const struct call *calls, size_t count, size_t step)
{
    struct agree_reader r;
    agree_begin(&r, false);
    tell(&r, TELL_OPEN, TELL_TEXT, (struct bytes){0});
    tell(&r, TELL_MORE, TELL_TEXT, BYTES("Let me see."));
    for (size_t i = 0; i < count; i++) {
        struct tell t = {.kind = TELL_OPEN, .block = TELL_CALL, .item = (uint32_t)i + 1,
                         .name = bytes_of(calls[i].name), .custom = calls[i].custom};
        struct bytes rest = bytes_of(calls[i].arguments);
        assert_true(agree_take(&r, &t));
        t.kind = TELL_MORE;
        t.value = calls[i].value;
        while (rest.len > 0) {
            t.text = bytes_cut(&rest, step < rest.len ? step : rest.len);
            assert_true(agree_take(&r, &t));
        }
    }
    struct tell end = {.kind = TELL_FINISH, .finish = TELL_CALLS};
    assert_true(agree_take(&r, &end));
    return agree_end(&r);
}

static void test_calls(void **state)
{
    static const struct call f = {"f", "{\\\"a\\\":1,\\\"b\\\":\\\"x\\\"}", false, false},
        same = {"f", "{ \\\"b\\\": \\\"\\u0078\\\", \\\"a\\\": 1.0 }", false, false},
        whole = {"f", "{\"b\":\"x\",\"a\":1}", true, false},
        other = {"f", "{\\\"a\\\":2,\\\"b\\\":\\\"x\\\"}", false, false},
        named = {"g", "{\\\"a\\\":1,\\\"b\\\":\\\"x\\\"}", false, false},
        text = {"f", "any text", false, true}, text_too = {"f", "any\\u0020text", false, true},
        broken = {"f", "{\\\"a\\\":", false, false};
    const struct call two[] = {f, named}, turned[] = {named, f};
    (void)state;
    struct agree a = gist_calls(&f, 1, 99);
    assert_int_equal(a.form, AGREE_CALLS);
    for (size_t step = 1; step < 7; step++) {
        struct agree b = gist_calls(&same, 1, step), c = gist_calls(&other, 1, step),
                     d = gist_calls(&named, 1, step);
        assert_true(agree_same(&a, &b));
        assert_false(agree_same(&a, &c));
        assert_false(agree_same(&a, &d));
    }
    struct agree b = gist_calls(&whole, 1, 99), c = gist_calls(two, 2, 99),
                 d = gist_calls(turned, 2, 99), e = gist_calls(&text, 1, 99),
                 g = gist_calls(&text_too, 1, 1), h = gist_calls(&broken, 1, 99);
    assert_true(agree_same(&a, &b));
    assert_false(agree_same(&a, &c));
    assert_false(agree_same(&c, &d));
    assert_true(agree_same(&e, &g));
    assert_false(agree_same(&a, &e));
    assert_int_equal(h.form, AGREE_NONE);
}

/* An answer that was cut, refused, has pictures or several choices is like no other. */
static void test_what_cannot_be_compared(void **state)
{
    const struct tell odd[] = {
        {.kind = TELL_FINISH, .finish = TELL_LENGTH},
        {.kind = TELL_FINISH, .finish = TELL_FILTER},
        {.kind = TELL_FINISH, .finish = TELL_REFUSED},
        {.kind = TELL_FINISH, .finish = TELL_OTHER},
        {.kind = TELL_OPEN, .block = TELL_REFUSAL}, {.kind = TELL_OPEN, .block = TELL_IMAGE},
        {.kind = TELL_OPEN, .block = TELL_AUDIO}, {.kind = TELL_OPEN, .block = TELL_TRANSCRIPT},
        {.kind = TELL_MORE, .block = TELL_TEXT, .choice = 1},
        {.kind = TELL_MORE, .block = TELL_CALL, .item = 9},
    };
    const struct tell fine[] = {
        {.kind = TELL_OPEN, .block = TELL_THINKING},
        {.kind = TELL_MORE, .block = TELL_THINKING},
        {.kind = TELL_USAGE}, {.kind = TELL_SIGN}, {.kind = TELL_CITE}, {.kind = TELL_LOGPROBS},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(odd) + COUNT(fine); i++) {
        struct agree_reader r, zeros;
        memset(&zeros, 0, sizeof zeros);
        agree_begin(&r, false);
        tell(&r, TELL_OPEN, TELL_TEXT, (struct bytes){0});
        tell(&r, TELL_MORE, TELL_TEXT, BYTES("42"));
        assert_true(agree_take(&r, i < COUNT(odd) ? &odd[i] : &fine[i - COUNT(odd)]));
        struct agree a = agree_end(&r), b = gist_in("42", false, 9);
        assert_int_equal(agree_same(&a, &b), i >= COUNT(odd));
        assert_memory_equal(&r, &zeros, sizeof r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_that_say_the_same),
        cmocka_unit_test(test_texts_that_do_not),
        cmocka_unit_test(test_nothing_agrees_with_nothing),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_json_by_value),
        cmocka_unit_test(test_json_that_differs),
        cmocka_unit_test(test_what_is_no_json),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_what_cannot_be_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
