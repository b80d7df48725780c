/* test_features.c - the numbers of a request: counted right, the same however the text is
 * escaped, bounded, and never from beyond an excerpt; task, family and language by rule. */
#include "route/features.h"
#include "tests/unit/wall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct features make(struct bytes last)
{
    struct features f;
    struct features_ask ask = {.message_count = 1, .user_turns = 1, .max_tokens = -1,
                               .last_bytes = last.len, .prompt_bytes = last.len};
    ask.text[TEXT_LAST] = last;
    memset(&f, 0, sizeof f);
    features_make(&ask, &f);
    return f;
}

static bool same(const struct features *a, const struct features *b)
{
    return memcmp(a->dense, b->dense, sizeof a->dense) == 0 && a->word_count == b->word_count &&
           memcmp(a->word, b->word, a->word_count * sizeof a->word[0]) == 0 &&
           a->task == b->task && a->family == b->family && a->language == b->language;
}

static void test_what_is_counted(void **state)
{
    (void)state;
    static const struct { const char *text; enum feature feature; int want; } cases[] = {
        {"", FEATURE_LOG_CHARS, 0},
        {"", FEATURE_LOG_WORDS, 0},
        {"abc", FEATURE_LOG_CHARS, 512},
        {"a b c", FEATURE_LOG_WORDS, 512},
        {"ab12", FEATURE_LETTERS, 2048},
        {"ab12", FEATURE_DIGITS, 2048},
        {"AbCd", FEATURE_UPPER, 2048},
        {"a b ", FEATURE_SPACES, 4096 / 3},             /* the blank at the end is none */
        {"a\\nb", FEATURE_LINES, 256},
        {"1 + 2 = 3", FEATURE_NUMBERS, 3},
        {"it cost 12.50 or 1,250", FEATURE_NUMBERS, 2},
        {"it cost 12.50 or 1,250", FEATURE_DECIMALS, 1},
        {"10% of 12345", FEATURE_PERCENTS, 1},
        {"10% of 12345", FEATURE_NUMBER_DIGITS, 5},
        {"$x$ and $y$", FEATURE_DOLLARS, 4},
        {"why? how?", FEATURE_QUESTIONS, 2},
        {"```c\\nx();\\n```", FEATURE_FENCES, 2},
        {"```c\\nx();\\n```", FEATURE_CODE_SIGNS, 2},   /* () and ; at the end of a line */
        {"He left the _ and the ____ there", FEATURE_BLANKS, 2},
        {"Which?\\nA. one\\nB. two\\nC. three", FEATURE_OPTIONS, 3},
        {"Which?\\n(a) one\\n(b) two", FEATURE_OPTIONS, 2},
        {"Which?\\n1) one\\n12) two", FEATURE_OPTIONS, 2},
        {"A.one", FEATURE_OPTIONS, 0},
        {"List:\\n- one\\n- two\\n* three", FEATURE_LISTED, 3},
        {"the the the cat", FEATURE_REPEATS, 2048},
        {"Paris is Big", FEATURE_CAPITALS, 4096 * 2 / 3},
        {"ab abcd", FEATURE_WORD_LENGTH, 3 * 256},
        {"internationalisation is", FEATURE_VERY_LONG_WORDS, 2048},
        {"How many and how much in total", FEATURE_ASK_HOW_MANY, 3},
        {"HOW MANY", FEATURE_ASK_HOW_MANY, 1},
        {"the court and the defendant", FEATURE_LAW, 2},
        {"\\u00e9t\\u00e9", FEATURE_FOREIGN, 4096 * 4 / 5},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct features f = make(bytes_of(cases[i].text));
        if (f.dense[cases[i].feature] != cases[i].want) wall_row(bytes_of(cases[i].text));
        assert_int_equal(f.dense[cases[i].feature], cases[i].want);
    }
}

/* Words are what counts, not how they are written: case, escapes, blanks around, labels. */
static void test_the_same_text_written_otherwise(void **state)
{
    (void)state;
    static const struct { const char *a, *b; } cases[] = {
        {"caf\xc3\xa9 \xe2\x82\xac 5", "caf\\u00e9 \\u20AC\\u0020\\u0035"},
        {"\xf0\x9f\x98\x80 ok", "\\ud83d\\uDE00 ok"},
        {"a/b", "a\\/b"},
        {"a\\nb", "a\\u000ab"},
        {"say \\\"x\\\"", "say \\u0022x\\u0022"},
        {"back\\\\slash", "back\\u005cslash"},
        {"text", "  \\n text\\n\\n  \\t"},
        {"Q?\\nA. one two\\nB. three", "Q?\\nW. one two\\nX. three"},
        {"Q?\\nA. one two\\nB. three", "Q?\\n1) one two\\n2) three"},
        {"bad \xef\xbf\xbd half", "bad \\ud800 half"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct features a = make(bytes_of(cases[i].a)), b = make(bytes_of(cases[i].b));
        if (!same(&a, &b)) wall_row(bytes_of(cases[i].a));
        assert_true(same(&a, &b));
    }
    struct features a = make(BYTES("One two")), b = make(BYTES("one TWO"));
    assert_int_equal(a.word_count, 3);                  /* two words and their pair */
    assert_memory_equal(a.word, b.word, 3 * sizeof a.word[0]);
    struct features c = make(BYTES("two one"));
    assert_int_equal(a.word[0], c.word[1]);
    assert_int_not_equal(a.word[2], c.word[2]);         /* a pair has an order */
}

static void test_no_cut_reads_outside(void **state)
{
    (void)state;
    static const char text[] = "x\\u20ac \\ud83d\\ude00 caf\xc3\xa9 \\\\ \\\"A. one\\nB. two\\n"
                               "12.5% ```a();\\n``` \xe4\xb8\xad\xe6\x96\x87 _ $\\frac{1}{2}$";
    struct wall w = wall_open(sizeof text);
    for (size_t from = 0; from < sizeof text; from++) {
        for (size_t to = from; to < sizeof text; to++) {
            struct bytes cut = {text + from, to - from};
            struct features whole = make(cut), walled = make(wall_put(&w, cut));
            assert_true(same(&whole, &walled));
        }
    }
    wall_close(&w);
}

static void test_long_texts_are_read_at_both_ends(void **state)
{
    (void)state;
    enum { LEN = 100000 };
    char *text = malloc(LEN);
    for (size_t i = 0; i < LEN; i++) text[i] = "word "[i % 5];
    memcpy(text + LEN - 20, "prove this theorem!!", 20);
    struct features whole = make((struct bytes){text, LEN});
    assert_int_equal(whole.dense[FEATURE_CUT], 1);
    assert_int_equal(whole.dense[FEATURE_PROVE], 2);
    assert_in_range(whole.dense[FEATURE_LOG_CHARS], 16 * 256 + 100, 17 * 256);
    assert_int_equal(whole.dense[FEATURE_LINES], 0);
    memset(text + 300, '\x01', LEN - 600);              /* never looked at */
    struct features other = make((struct bytes){text, LEN});
    assert_true(same(&whole, &other));
    struct features_ask ask = {.last_bytes = LEN};
    ask.text[TEXT_LAST] = (struct bytes){text, FEATURES_HEAD_MAX};
    ask.text[TEXT_LAST_TAIL] = (struct bytes){text + LEN - FEATURES_TAIL_MAX,
                                              FEATURES_TAIL_MAX};
    features_make(&ask, &other);
    assert_true(same(&whole, &other));                  /* whoever cuts, the same */
    struct features at = make((struct bytes){text, FEATURES_LAST_MAX});
    assert_int_equal(at.dense[FEATURE_CUT], 0);
    at = make((struct bytes){text, FEATURES_LAST_MAX + 1});
    assert_int_equal(at.dense[FEATURE_CUT], 1);
    free(text);
}

/* What stands at the end of the head and at the start of the tail is not one word. */
static void test_head_and_tail_are_apart(void **state)
{
    (void)state;
    struct features f;
    struct features_ask ask = {.last_bytes = 9000};
    ask.text[TEXT_LAST] = BYTES("the cour");
    ask.text[TEXT_LAST_TAIL] = BYTES("t house");
    features_make(&ask, &f);
    assert_int_equal(f.dense[FEATURE_LAW], 0);
    assert_int_equal(f.word_count, 4 + 3);
}

/* The same words among options stand at other places of the table. */
static void test_words_of_a_choice_are_apart(void **state)
{
    (void)state;
    struct features plain = make(BYTES("one two\\n three\\n four\\n five"));
    struct features few = make(BYTES("one two\\nA. three\\nB. four\\nC. five"));
    struct features many = make(BYTES("one two\\nA. x\\nB. x\\nC. x\\nD. x\\nE. x\\nF. x"));
    assert_int_equal(few.task, TASK_CHOICE);
    assert_int_equal(plain.word_count, few.word_count);
    assert_int_not_equal(plain.word[0], few.word[0]);
    assert_int_not_equal(few.word[0], many.word[0]);
    assert_int_equal(plain.word[0] ^ few.word[0], plain.word[1] ^ few.word[1]);
}

static void test_numbers_are_bounded(void **state)
{
    (void)state;
    char text[FEATURES_LAST_MAX];
    for (unsigned c = 1; c < 256; c++) {
        memset(text, (int)c, sizeof text);
        struct features f = make((struct bytes){text, sizeof text});
        for (unsigned i = 0; i < FEATURES; i++) {
            assert_true(f.dense[i] >= -16000 && f.dense[i] <= 16000);
        }
        for (size_t i = 1; i < sizeof text; i += 2) text[i] = ' ';
        f = make((struct bytes){text, sizeof text});
        assert_true(f.word_count <= FEATURES_WORDS_MAX);
    }
    for (size_t i = 0; i < sizeof text; i++) text[i] = "a b2c d3"[(i * 7 + i / 3) % 8];
    struct features f = make((struct bytes){text, sizeof text});
    assert_true(f.word_count > 10 && f.word_count <= FEATURES_WORDS_MAX);
    struct features_ask big = {.prompt_bytes = UINT64_MAX, .system_bytes = UINT64_MAX,
                               .last_bytes = UINT64_MAX, .tool_bytes = UINT64_MAX,
                               .tool_count = UINT32_MAX, .image_count = UINT32_MAX};
    big.text[TEXT_LAST] = big.text[TEXT_LAST_TAIL] = BYTES("x");
    features_make(&big, &f);
    assert_int_equal(f.dense[FEATURE_TOOLS], 255);
    assert_in_range(f.dense[FEATURE_LOG_CHARS], 31 * 256, 32 * 256);
    assert_int_equal(f.family, FAMILY_VISION);
}

static void test_tasks_by_rule(void **state)
{
    (void)state;
    static const struct { const char *text; enum task task; } cases[] = {
        {"Hi there!", TASK_CHAT},
        {"Who wrote The Trial?", TASK_QA},
        {"What is the capital of France?\\nA. Rome\\nB. Paris\\nC. Bonn", TASK_CHOICE},
        {"Tom has 3 apples and buys 5 more. How many does he have?", TASK_MATH},
        {"Find $\\\\frac{1}{2} + \\\\frac{1}{3}$.", TASK_MATH},
        {"Calculate 17 * 23 + 4", TASK_MATH},
        {"Prove that the sum of 2 odd integers is even.", TASK_PROOF},
        {"Write a Python function that reverses a string", TASK_CODE},
        {"What is wrong?\\n```c\\nint main() { return 1 }\\n```", TASK_CODE},
        {"Write a short poem about rain", TASK_WRITE},
        {"Summarize the following article: it rained.", TASK_SUMMARISE},
        {"Classify the sentiment of this review", TASK_CLASSIFY},
        {"Translate to German: good morning", TASK_TRANSLATE},
        {"Rewrite this sentence politely: go away", TASK_REWRITE},
        {"Explain the theory of plate tectonics", TASK_EXPLAIN},
        {"Pretend you are a pirate", TASK_ROLEPLAY},
        {"Clue(s): the person who lives in the second house has a cat", TASK_REASONING},
        {"Extract all entities from this text", TASK_EXTRACT},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct features f = make(bytes_of(cases[i].text));
        if (f.task != cases[i].task) wall_row(bytes_of(cases[i].text));
        assert_string_equal(task_name(f.task), task_name(cases[i].task));
        assert_int_equal(f.family, task_family(cases[i].task));
    }
}

static void test_what_the_request_says_of_the_task(void **state)
{
    (void)state;
    struct features f;
    struct features_ask ask = {.tool_count = 1, .tool_bytes = 60, .last_bytes = 30};
    ask.text[TEXT_LAST] = BYTES("weather for Paris and London");
    ask.text[TEXT_TOOLS] = BYTES("[{\"name\":\"get_weather\",\"description\":\"of a place\"}]");
    features_make(&ask, &f);
    assert_int_equal(f.task, TASK_TOOLS);
    assert_int_equal(f.family, FAMILY_TOOLS);
    assert_int_equal(f.dense[FEATURE_TOOL_OVERLAP], 4096 / 3);  /* weather, of three */
    assert_int_equal(f.dense[FEATURE_TOOL_REQUESTS], 1);
    ask.tool_turns = 1;
    features_make(&ask, &f);
    assert_int_equal(f.task, TASK_AGENT);
    ask.tool_choice = TOOLS_NONE;
    features_make(&ask, &f);
    assert_int_not_equal(f.task, TASK_AGENT);
    assert_int_equal(f.dense[FEATURE_TOOL_OVERLAP], 0);

    ask = (struct features_ask){.last_bytes = 6, .user_turns = 2};
    ask.text[TEXT_LAST] = BYTES("go on!");
    features_make(&ask, &f);
    assert_int_equal(f.task, TASK_CHAT);
    struct features alone = f;
    ask.text[TEXT_FIRST] = BYTES("Write a Python function that sorts a list of tuples");
    features_make(&ask, &f);
    assert_int_equal(f.task, TASK_CODE);                /* the first turn says it */
    assert_int_equal(f.word_count, alone.word_count);   /* and nothing else */
    assert_memory_equal(f.dense, alone.dense, sizeof f.dense);
}

static void test_languages(void **state)
{
    (void)state;
    static const struct { const char *text; enum language language; } cases[] = {
        {"", LANGUAGE_ENGLISH},
        {"What is the name of the king?", LANGUAGE_ENGLISH},
        {"Wie ist das Wetter heute und wo ist der Hund?", LANGUAGE_GERMAN},
        {"Quelle est la capitale de la France et pour qui ?", LANGUAGE_FRENCH},
        {"Cu\xc3\xa1l es la capital de los Estados Unidos y por qu\xc3\xa9?", LANGUAGE_SPANISH},
        {"Quale \xc3\xa8 la capitale della Francia e il nome del re?", LANGUAGE_ITALIAN},
        {"Qual \xc3\xa9 a capital do Brasil e por que n\xc3\xa3o?", LANGUAGE_PORTUGUESE},
        {"Wat is de naam van het dier?", LANGUAGE_DUTCH},
        {"\\u4eca\\u5929\\u5929\\u6c14\\u600e\\u4e48\\u6837", LANGUAGE_CHINESE},
        {"\xe3\x81\x93\xe3\x82\x93\xe3\x81\xab\xe3\x81\xa1\xe3\x81\xaf", LANGUAGE_JAPANESE},
        {"\xed\x95\x9c\xea\xb5\xad\xec\x96\xb4", LANGUAGE_KOREAN},
        {"\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82", LANGUAGE_CYRILLIC},
        {"\xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7", LANGUAGE_ARABIC},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct features f = make(bytes_of(cases[i].text));
        assert_string_equal(language_name(f.language), language_name(cases[i].language));
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(feature_name(FEATURE_LOG_CHARS), "log_chars");
    assert_string_equal(feature_name(FEATURES - 1), "tool_requests");
    assert_string_equal(family_name(FAMILY_LONGCTX), "longctx");
    for (unsigned i = 0; i < TASKS; i++) assert_true(strlen(task_name(i)) > 1);
    for (unsigned i = 0; i < LANGUAGES; i++) assert_true(strlen(language_name(i)) > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_counted),
        cmocka_unit_test(test_the_same_text_written_otherwise),
        cmocka_unit_test(test_no_cut_reads_outside),
        cmocka_unit_test(test_long_texts_are_read_at_both_ends),
        cmocka_unit_test(test_head_and_tail_are_apart),
        cmocka_unit_test(test_words_of_a_choice_are_apart),
        cmocka_unit_test(test_numbers_are_bounded),
        cmocka_unit_test(test_tasks_by_rule),
        cmocka_unit_test(test_what_the_request_says_of_the_task),
        cmocka_unit_test(test_languages),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
