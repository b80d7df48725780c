/* test_savings.c - the arithmetic of `weir savings`: list prices to the nano-dollar, shares,
 * quality kept. Whole descriptions: tests/box/savings.test.mjs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/cmd_import.h"
#include "engine/cmd_savings.h"
#include "route/builtin.h"

static const struct price *price_of(const char *provider, const char *id)
{
    static struct builtin_model m;
    if (!import_builtin(provider, bytes_of(id), &m)) fail_msg("no %s/%s", provider, id);
    return &m.price.at[0];
}

#define USD(n) ((int64_t)(n) * 1000000000)

/* One billion tokens, as the product's texts have them: exact, not rounded. */
static void test_a_billion_tokens(void **state)
{
    (void)state;
    static const struct { const char *provider, *id; uint64_t input; int64_t cost; } cases[] = {
        {"anthropic", "claude-opus-4-7", 250000000, USD(20000)},
        {"openai", "gpt-5.4", 250000000, USD(11875)},
        {"google", "gemini-3.1-pro-preview", 250000000, USD(9500)},
        {"openai", "gpt-5.5-pro", 250000000, USD(142500)},
        {"openai", "gpt-5.5-pro", 500000000, USD(105000)},
        {"deepseek", "deepseek-v4-flash", 250000000, USD(245)},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct price *p = price_of(cases[i].provider, cases[i].id);
        int64_t cost = savings_cost(p, cases[i].input, 1000000000 - cases[i].input, 0);
        if (cost != cases[i].cost) fail_msg("%s: %lld", cases[i].id, (long long)cost);
    }
}

static void test_tiers_and_rounding(void **state)
{
    (void)state;
    const struct price *p = price_of("openai", "gpt-5.4");
    assert_int_equal(savings_cost(p, 1000000, 0, 272000), 2500000000);
    assert_int_equal(savings_cost(p, 1000000, 0, 272001), 5000000000);
    struct price tiny = {.known = true};
    tiny.kind[PRICE_INPUT] = 1;              /* a pico-dollar */
    assert_int_equal(savings_cost(&tiny, 499, 0, 0), 0);
    assert_int_equal(savings_cost(&tiny, 500, 0, 0), 1);
    tiny.kind[PRICE_OUTPUT] = 999999999999999;
    assert_int_equal(savings_cost(&tiny, 0, 1000000000000000, 0), INT64_MAX);
    assert_int_equal(savings_part(UINT64_MAX, UINT64_MAX, UINT64_MAX), UINT64_MAX);
    assert_int_equal(savings_part(UINT64_MAX, 2, 1), UINT64_MAX);
    assert_int_equal(savings_part(7, 1, 2), 3);
}

/* research: $2,000 from Opus 4.7 and a model of $245 is 8.9 % of the tokens. */
static void test_share_at_a_budget(void **state)
{
    (void)state;
    assert_int_equal(savings_share_at(USD(2000), USD(20000), USD(245)), 88838);
    assert_int_equal(savings_share_at(USD(2000), USD(11875), USD(245)), 150902);
    assert_int_equal(savings_share_at(USD(2000), USD(9500), USD(245)), 189627);
    assert_int_equal(savings_share_at(USD(244), USD(20000), USD(245)), -1);
    assert_int_equal(savings_share_at(USD(245), USD(20000), USD(245)), 0);
    assert_int_equal(savings_share_at(USD(20000), USD(20000), USD(245)), SAVINGS_ONE);
    assert_int_equal(savings_share_at(USD(300), USD(200), USD(245)), SAVINGS_ONE);
}

static void test_scores(void **state)
{
    (void)state;
    static const struct { const char *text; int32_t micro; } cases[] = {
        {"0", 0}, {"1", 1000000}, {"1.0", 1000000}, {"0.5", 500000}, {"0.000001", 1},
        {"0.3333333333333333", 333333}, {"5e-07", 0}, {"1.1", -1}, {"2", -1}, {"", -1},
        {".", -1}, {"-1", -1}, {"1e5", -1}, {"nan", -1}, {"0.5x", -1}, {"10", -1},
        {"0.1.2", -1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int32_t micro = savings_score(bytes_of(cases[i].text));
        if (micro != cases[i].micro) fail_msg("%s: %d", cases[i].text, micro);
    }
}

static char *copy(const char *text)
{
    char *own = malloc(strlen(text) + 1);
    assert_non_null(own);
    memcpy(own, text, strlen(text) + 1);
    return own;
}

static void test_rows(void **state)
{
    (void)state;
    struct savings_rows *rows = NULL;
    const char *why = NULL;
    const char *text =
        "{\"scores\":{\"gpt-4-1106-preview\":1.0,\"x\":0.5,"
        "\"mistralai/Mixtral-8x7B-Instruct-v0.1\":0.25},\"id\":\"a\",\"more\":[{\"id\":1}],"
        "\"source\":\"routellm_mmlu\",\"prompt\":\"two\\nlines\"}\n\n"
        "{\"id\":\"b\",\"source\":\"nobody\",\"prompt\":\"\",\"scores\":{\"x\":1}}\n"
        "{\"prompt\":\"p\",\"tools\":\"[]\",\"scores\":null}";
    assert_true(savings_rows_parse(copy(text), strlen(text), &rows, &why));
    assert_int_equal(rows->count, 3);
    assert_int_equal(rows->row[0].strong, 1000000);
    assert_int_equal(rows->row[0].weak, 250000);
    assert_true(bytes_eq(rows->row[0].prompt, BYTES("two\\nlines")));
    assert_int_equal(rows->row[1].strong, SAVINGS_UNKNOWN);
    assert_int_equal(rows->row[2].weak, SAVINGS_UNKNOWN);
    assert_true(bytes_eq(rows->row[2].tools, BYTES("\"[]\"")));
    assert_int_not_equal(rows->row[0].tie, rows->row[1].tie);
    savings_rows_free(rows);
    static const char *const bad[] = {"x", "[]", "{}", "{\"id\":\"a\"}", "{\"prompt\":1}",
                                      "{\"prompt\":\"a\"} 1", "{\"prompt\":\"a\"",
                                      "{\"prompt\":\"a\",\"id\":5}"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        bool taken = savings_rows_parse(copy(bad[i]), strlen(bad[i]), &rows, &why);
        if (taken || !why) fail_msg("%s", bad[i]);
    }
    char line[128];
    size_t len = savings_line(BYTES("a \"b\"\n"), line, sizeof line);
    assert_true(savings_rows_parse(copy(line), len, &rows, &why));
    assert_true(bytes_eq(rows->row[0].prompt, BYTES("a \\\"b\\\"\\n")));
    savings_rows_free(rows);
}

/* ---- quality kept ---- */

enum { ROWS = 8 };

struct month {                   /* two tasks of four rows each; the weak model fails the first
                                    two of the first, half fails all of the second */
    struct savings s;
    struct savings_row row[ROWS];
    uint8_t task_of[ROWS];
    struct price strong, cheap;
};

static void month_make(struct month *m)
{
    *m = (struct month){.s = {.tokens = 1000000000, .input = 250000, .mix_count = 1}};
    struct savings_mix *mix = &m->s.mix[0];
    mix->row = m->row;
    mix->task_of = m->task_of;
    mix->row_count = ROWS;
    mix->task_count = 2;
    mix->task[0] = (struct savings_task){.share = 750000, .count = 4};
    mix->task[1] = (struct savings_task){.share = 250000, .first = 4, .count = 4};
    for (uint32_t i = 0; i < ROWS; i++) {
        m->task_of[i] = i >= 4;
        m->row[i] = (struct savings_row){.strong = 1000000, .weak = i < 2 ? 0 : 1000000,
                                         .tie = i, .gain = (uint16_t)(900 - 100 * i)};
        if (i >= 4) m->row[i].weak = 500000;
    }
    m->strong.known = m->cheap.known = true;
    m->strong.kind[PRICE_INPUT] = 5000000;
    m->strong.kind[PRICE_OUTPUT] = 25000000;
    m->cheap.kind[PRICE_INPUT] = 140000;
    m->cheap.kind[PRICE_OUTPUT] = 280000;
    assert_true(savings_sort(mix));
}

static void expect_point(struct month *m, uint64_t share, int64_t cost, int32_t kept)
{
    struct savings_point p;
    savings_point_at(&m->s, &m->s.mix[0], &m->strong, &m->cheap, share, &p);
    /* parts of a row are counted in 1/1,000,000,000: a thousandth of a cent */
    if (llabs(p.cost - cost) > 10000 || abs(p.quality.kept - kept) > 1) {
        fail_msg("at %u: %lld, %d", (unsigned)share, (long long)p.cost, p.quality.kept);
    }
    assert_true(p.quality.low <= p.quality.kept && p.quality.kept <= p.quality.high);
}

static void test_quality_along_the_frontier(void **state)
{
    (void)state;
    struct month m;
    month_make(&m);
    /* all weak: task 0 keeps 2 of 4, task 1 half: 0.75 * 0.5 + 0.25 * 0.5 */
    expect_point(&m, 0, USD(245), 500000);
    /* a row of task 0 is 0.1875 of the tokens: the two that gain come first */
    expect_point(&m, 187500, USD(245) + USD(19755) * 3 / 16, 687500);
    expect_point(&m, 375000, USD(245) + USD(19755) * 3 / 8, 875000);
    /* half of the second row */
    expect_point(&m, 281250, USD(245) + USD(19755) * 9 / 32, 781250);
    expect_point(&m, 750000, USD(245) + USD(19755) * 3 / 4, 875000);
    expect_point(&m, 100000, 2220500000000, 600000);
    expect_point(&m, SAVINGS_ONE, USD(20000), 1000000);
    free(m.s.mix[0].order);
}

/* The order is that of the gain, whatever the order of the rows. */
static void test_order_of_gain(void **state)
{
    (void)state;
    struct month m;
    month_make(&m);
    free(m.s.mix[0].order);
    for (uint32_t i = 0; i < ROWS; i++) m.row[i].gain = (uint16_t)(100 * i);
    assert_true(savings_sort(&m.s.mix[0]));
    expect_point(&m, 250000, USD(245) + USD(19755) / 4, 625000);   /* all of task 1 first */
    free(m.s.mix[0].order);
    for (uint32_t i = 0; i < ROWS; i++) m.row[i].gain = 7;
    assert_true(savings_sort(&m.s.mix[0]));
    assert_int_equal(m.s.mix[0].order[0], 0);                      /* ties: by id */
    free(m.s.mix[0].order);
}

static void test_unknown_stays_unknown(void **state)
{
    (void)state;
    struct month m;
    struct savings_point p;
    month_make(&m);
    for (uint32_t i = 4; i < ROWS; i++) m.row[i].weak = SAVINGS_UNKNOWN;
    expect_point(&m, 0, USD(245), 500000);       /* of task 0 alone */
    for (uint32_t i = 0; i < 4; i++) m.row[i].strong = SAVINGS_UNKNOWN;
    savings_point_at(&m.s, &m.s.mix[0], &m.strong, &m.cheap, 500000, &p);
    assert_int_equal(p.quality.kept, SAVINGS_UNKNOWN);
    assert_int_equal(p.quality.low, SAVINGS_UNKNOWN);
    assert_true(p.cost > USD(245));
    free(m.s.mix[0].order);
}

/* The interval is wide where few outcomes disagree, nothing where all are alike, and the same
 * at every run. */
static void test_interval(void **state)
{
    (void)state;
    struct month m;
    struct savings_point p, again;
    month_make(&m);
    savings_point_at(&m.s, &m.s.mix[0], &m.strong, &m.cheap, 0, &p);
    savings_point_at(&m.s, &m.s.mix[0], &m.strong, &m.cheap, 0, &again);
    assert_memory_equal(&p, &again, sizeof p);
    assert_true(p.quality.low < 400000 && p.quality.high > 600000);
    assert_true(p.quality.low >= 125000 && p.quality.high <= 875000);
    savings_point_at(&m.s, &m.s.mix[0], &m.strong, &m.cheap, SAVINGS_ONE, &p);
    assert_int_equal(p.quality.low, 1000000);
    assert_int_equal(p.quality.high, 1000000);
    /* rows are drawn within their task: where those of a task are alike, nothing moves */
    for (uint32_t i = 0; i < 4; i++) m.row[i].weak = 200000;
    savings_point_at(&m.s, &m.s.mix[0], &m.strong, &m.cheap, 0, &p);
    assert_int_equal(p.quality.kept, 275000);
    assert_int_equal(p.quality.low, 275000);
    assert_int_equal(p.quality.high, 275000);
    free(m.s.mix[0].order);
}

/* Each task's own sizes say how its tokens fall into input and output. */
static void test_task_sizes(void **state)
{
    (void)state;
    struct savings s = {.tokens = 1000000000, .input = 250000};
    struct savings_task t = {.share = 500000, .prompt = 900, .answer = 100};
    const struct price *p = price_of("anthropic", "claude-opus-4-7");
    assert_int_equal(savings_task_cost(&s, &t, p), USD(450 * 5 + 50 * 25));
    t.prompt = t.answer = 0;
    assert_int_equal(savings_task_cost(&s, &t, p), USD(10000));
    p = price_of("openai", "gpt-5.4");
    t.prompt = 300000, t.answer = 100000;    /* above 272,000: 5 and 22.5 */
    assert_int_equal(savings_task_cost(&s, &t, p), 4687500000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_billion_tokens),
        cmocka_unit_test(test_tiers_and_rounding),
        cmocka_unit_test(test_share_at_a_budget),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_quality_along_the_frontier),
        cmocka_unit_test(test_order_of_gain),
        cmocka_unit_test(test_unknown_stays_unknown),
        cmocka_unit_test(test_interval),
        cmocka_unit_test(test_task_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
