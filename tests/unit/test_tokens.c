/* test_tokens.c - the estimate of tokens: what is looked at and what not, escapes, cuts, the
 * parts of a request. How near it is to a real tokenizer tests/box/tokens.test.mjs measures,
 * which asks this program: with --lines it reads a JSON string's contents a line, and writes
 * the tokens of a request that has it as its last text. */
#include "route/features.h"
#include "route/tokens.h"
#include "wall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static uint64_t seen(struct bytes text)
{
    struct tokens t = {0};
    tokens_look(&t, text);
    return tokens_seen(&t);
}

/* What the gateway has of a last text. */
static struct features_ask ask_of(struct bytes text)
{
    struct features_ask ask = {.prompt_bytes = text.len, .last_bytes = text.len,
                               .max_tokens = -1};
    bool all = text.len <= FEATURES_LAST_MAX;
    size_t head = all ? text.len : FEATURES_HEAD_MAX, tail = all ? 0 : FEATURES_TAIL_MAX;
    ask.text[TEXT_LAST] = (struct bytes){text.ptr, head};
    ask.text[TEXT_LAST_TAIL] = (struct bytes){text.ptr + text.len - tail, tail};
    return ask;
}

/* Counts of o200k_base: one sentence may be a fifth off. */
static void test_known_texts(void **state)
{
    (void)state;
    static const struct { const char *text; unsigned tokens; } cases[] = {
        {"The quick brown fox jumps over the lazy dog.", 10},
        {"Please summarise the following report in three short sentences for the board, and "
         "say which of the risks should be dealt with first.", 26},
        {"for (size_t i = 0; i < count; i++) {\\n    total += values[i];\\n}\\n", 23},
        {"Wer ein altes Fahrrad bringt, bekommt Hilfe beim Reparieren und lernt dabei, wie "
         "man einen Reifen flickt.", 24},
        {"Quand nous sommes arriv\u00e9s au village, la pluie venait de cesser.", 15},
        {"\u8fd9\u5ea7\u5c0f\u57ce\u7684\u65e9\u5e02\u4ece\u6e05\u6668\u4e94\u70b9\u5c31"
         "\u5f00\u59cb\u70ed\u95f9\u8d77\u6765\u3002", 19},
        {"In 2026 the price was 1234567 dollars, or 12.5 %.", 19},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t real = cases[i].tokens;
        uint64_t got = (seen(bytes_of(cases[i].text)) + TOKENS_ONE / 2) / TOKENS_ONE;
        if (got * 5 < real * 4 || got * 5 > real * 6) print_error("%s\n", cases[i].text);
        assert_in_range(got * 5, real * 4, real * 6);
    }
}

/* What an escape means counts, not how it is written. */
static void test_escapes(void **state)
{
    (void)state;
    static const struct { const char *plain, *escaped; } cases[] = {
        {"a/b", "a\\/b"}, {"gr\u00fc\u00dfe dich", "gr\\u00fc\\u00DFe dich"},
        {"\u4f60\u597d", "\\u4f60\\u597D"}, {"say \U0001F600 now", "say \\ud83d\\uDE00 now"},
        {"one\ttwo", "one\\ttwo"}, {"one  \n two", "one \\u0020\\n two"},
        {"x = 12;", "x = \\u0031\\u0032;"}, {"\u043f\u0440\u0438\u0432\u0435\u0442",
         "\u043f\\u0440\u0438\u0432\\u0435\u0442"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t plain = seen(bytes_of(cases[i].plain));
        assert_true(plain > 0);
        assert_int_equal(seen(bytes_of(cases[i].escaped)), plain);
    }
}

/* Words are measured in one step where they are plain, else a byte at a time: behind an escaped
 * blank none is. Both count the same, wherever the text ends. */
static void test_plain_words(void **state)
{
    (void)state;
    static const char text[] =
        " a of the lazy with words seldom letters thirteen hereabout abcdefghij abcdefghijk "
        "extraordinarily tomorrowTomorrow end. If caf\u00e9 is on\\n two  blanks; que el z{ "
        "y3 des \\u0061bc may\\u0062e los ab";
    char escaped[8 * sizeof text];
    struct wall w = wall_open(4096);
    for (size_t n = 0; n < sizeof text; n++) {
        size_t len = 0;
        for (size_t i = 0; i < n; i++) {
            if (text[i] == ' ') memcpy(escaped + len, "\\u0020", 6), len += 6;
            else escaped[len++] = text[i];
        }
        assert_true(len <= TOKENS_LOOK_MAX);
        assert_int_equal(seen(wall_put(&w, (struct bytes){text, n})),
                         seen((struct bytes){escaped, len}));
    }
    wall_close(&w);
}

/* Cut anywhere, at memory that ends there, and over bytes that are no text at all. */
static void test_any_bytes(void **state)
{
    (void)state;
    static const char text[] = "{\\\"a\\\": \\u00e9\\ud83d\\ude00 \u4f60\U0001F600 Zz9 \\\\ "
                               "\\n\\u12 caf\u00e9 \u0411\u0430 \\";
    struct wall w = wall_open(4096);
    for (size_t n = 0; n < sizeof text; n++) {
        for (size_t from = 0; from <= n; from++) {
            struct bytes piece = {text + from, n - from};
            assert_true(seen(wall_put(&w, piece)) <= 3u * TOKENS_ONE * (n - from));
        }
    }
    static const char some[16] = "\\\\uD8aF09 \n.\xE4\xF0\x80";
    uint32_t dice = 7;
    char noise[TOKENS_LOOK_MAX];
    for (unsigned i = 0; i < 3000; i++) {
        for (size_t k = 0; k < sizeof noise; k++) {
            dice = dice * 1664525 + 1013904223;
            noise[k] = i % 3 == 0 ? (char)(dice >> 24) : some[dice >> 28];
        }
        struct bytes got = wall_put(&w, (struct bytes){noise, i % sizeof noise});
        assert_true(seen(got) <= 3u * TOKENS_ONE * got.len);
    }
    wall_close(&w);
}

static void test_limits(void **state)
{
    (void)state;
    static char text[TOKENS_LOOK_MAX + 100];
    memset(text, 'a', sizeof text);
    struct tokens t = {0};
    assert_int_equal(tokens_ratio(&t), TOKENS_RATIO_USUAL);
    tokens_look(&t, (struct bytes){0});
    assert_int_equal(t.bytes, 0);
    tokens_look(&t, (struct bytes){text, sizeof text});
    assert_int_equal(t.bytes, TOKENS_LOOK_MAX);  /* no more is looked at */
    memset(text, ' ', sizeof text);
    t = (struct tokens){0};
    tokens_look(&t, (struct bytes){text, 500});
    assert_int_equal(tokens_ratio(&t), TOKENS_RATIO_ONE / 64);  /* at least */
    memset(text, '7', sizeof text);
    for (unsigned i = 0; i < 63; i++) tokens_look(&t, (struct bytes){text, sizeof text});
    assert_true(tokens_seen(&t) > 62u * TOKENS_ONE * TOKENS_LOOK_MAX / 4);  /* nothing wraps */
    assert_int_equal(tokens_of(0, TOKENS_RATIO_USUAL), 0);
    assert_int_equal(tokens_of(1, TOKENS_RATIO_USUAL), 1);
    assert_int_equal(tokens_of(400, TOKENS_RATIO_USUAL), 100);
    assert_int_equal(tokens_of(401, TOKENS_RATIO_USUAL), 101);
    assert_int_equal(tokens_of(UINT64_MAX, 2 * TOKENS_RATIO_ONE), UINT32_MAX);
}

/* Each part of a request has its own ratio, and what nobody saw that of all. */
static void test_parts_of_a_request(void **state)
{
    (void)state;
    static const char english[] = "Please tell me what the weather will be like in the north";
    static const char han[] = "\u4eca\u5929\u5929\u6c14\u5f88\u597d\u6211\u4eec\u53bb";
    struct features_ask ask = {.max_tokens = -1};
    assert_int_equal(tokens_ask(&ask).prompt, 0);
    assert_int_equal(tokens_ask(&ask).answer_ratio, TOKENS_RATIO_USUAL);
    ask.prompt_bytes = 4000;  /* nothing is known of it */
    assert_int_equal(tokens_ask(&ask).prompt, 1000);
    ask = ask_of(bytes_of(english));
    struct tokens_kept few = tokens_ask(&ask);
    assert_in_range(few.prompt, 11, 13);
    assert_true(few.answer_ratio < TOKENS_RATIO_USUAL);
    ask.prompt_bytes = ask.last_bytes = 100 * (sizeof english - 1);
    assert_in_range(tokens_ask(&ask).prompt, 99 * few.prompt - 100, 101 * few.prompt);
    /* the same with a system prompt of another kind: that of the last text is as it was */
    ask = ask_of(bytes_of(han));
    uint32_t alone = tokens_ask(&ask).prompt;
    ask.system_bytes = 10 * (sizeof english - 1);
    ask.prompt_bytes += ask.system_bytes;
    ask.text[TEXT_SYSTEM] = bytes_of(english);
    assert_in_range(tokens_ask(&ask).prompt - alone, 10 * few.prompt - 10, 10 * few.prompt);
    /* tools are JSON, whatever the texts are */
    ask = ask_of(bytes_of(han));
    uint32_t without = tokens_ask(&ask).prompt;
    ask.text[TEXT_TOOLS] = BYTES("[{\"type\":\"function\",\"function\":{\"name\":"
                                 "\"get_weather\"}}]");
    ask.tool_bytes = ask.text[TEXT_TOOLS].len;
    assert_in_range(tokens_ask(&ask).prompt - without, 12, 20);
    /* what is between the parts has the ratio of both */
    ask = ask_of(bytes_of(english));
    ask.prompt_bytes += 10000;
    ask.text[TEXT_FIRST] = bytes_of(han);
    assert_in_range(tokens_ask(&ask).prompt, 2200, 4000);
    /* a text that counts for nothing, as it begins with "data:" */
    ask = ask_of(bytes_of(english));
    ask.prompt_bytes = 0;
    assert_int_equal(tokens_ask(&ask).prompt, few.prompt);
}

static int count_lines(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    while ((n = getline(&line, &room, stdin)) > 0) {
        if (line[n - 1] == '\n') n--;
        struct features_ask ask = ask_of((struct bytes){line, (size_t)n});
        printf("%u\n", tokens_ask(&ask).prompt);
    }
    free(line);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--lines") == 0) return count_lines();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_texts),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_plain_words),
        cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_parts_of_a_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
