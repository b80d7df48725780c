/* test_openai_answer.c - usage, text and errors of whole answers, made up and recorded,
 * whole and cut at every place before an unreadable page. */
#include "net/dialect/api.h"
#include "openai_tape.h"
#include "wall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { AREA = 256 * WALL_PAGE };

static char *wall;  /* the first byte that must not be read */

static int setup(void **state)
{
    (void)state;
    wall = wall_end(AREA);
    return 0;
}

/* Feed text, each piece at the wall. step 0: cut once, at cut (0: whole). */
static enum net_rc read_cut(struct api_answer_reader *r, struct bytes text, size_t cut,
                            size_t step)
{
    api_answer_begin(r, API_CHAT);
    while (text.len > 0) {
        size_t n = step > 0 ? step : cut;
        if (n == 0 || n > text.len) n = text.len;
        struct bytes piece = bytes_cut(&text, n);
        memcpy(wall - n, piece.ptr, n);
        if (api_answer_feed(r, (struct bytes){wall - n, n}) == NET_BAD) return NET_BAD;
        cut = 0;
    }
    return api_answer_end(r);
}

/* Reading briefly tells the same, but for the text. */
static void check_brief(const struct api_answer *whole, struct bytes text)
{
    static struct api_answer_reader r;
    api_answer_begin_brief(&r, API_CHAT);
    assert_int_equal(api_answer_feed(&r, text), NET_MORE);
    assert_int_equal(api_answer_end(&r), NET_DONE);
    assert_memory_equal(&whole->usage, &r.ans.usage, sizeof r.ans.usage);
    assert_int_equal(whole->usage_at.start, r.ans.usage_at.start);
    assert_int_equal(whole->usage_at.end, r.ans.usage_at.end);
    assert_int_equal(whole->choice_count, r.ans.choice_count);
    assert_int_equal(whole->error, r.ans.error);
    assert_int_equal(whole->finish_length, r.ans.finish_length);
    assert_int_equal(r.ans.text_bytes, 0);
}

static void check_same(const struct api_answer *a, const struct api_answer *b)
{
    const struct api_usage *u = &a->usage, *v = &b->usage;
    assert_int_equal(u->present, v->present);
    assert_int_equal(u->absurd, v->absurd);
    assert_int_equal(u->input, v->input);
    assert_int_equal(u->cached, v->cached);
    assert_int_equal(u->output, v->output);
    assert_int_equal(u->audio_input, v->audio_input);
    assert_int_equal(u->audio_output, v->audio_output);
    assert_int_equal(u->reasoning, v->reasoning);
    assert_int_equal(u->cache_write, v->cache_write);
    assert_int_equal(a->usage_at.start, b->usage_at.start);
    assert_int_equal(a->usage_at.end, b->usage_at.end);
    assert_int_equal(a->text_bytes, b->text_bytes);
    assert_int_equal(a->choice_count, b->choice_count);
    assert_int_equal(a->error, b->error);
    assert_int_equal(a->error_status, b->error_status);
    assert_string_equal(a->error_text, b->error_text);
    assert_int_equal(a->finish_length, b->finish_length);
}

/* Read text in every way; all must agree. */
static const struct api_answer *read_all(const char *text)
{
    static struct api_answer_reader r, other;
    struct bytes body = bytes_of(text);
    enum net_rc rc = read_cut(&r, body, 0, 0);
    for (size_t cut = 1; cut < body.len; cut++) {
        assert_int_equal(read_cut(&other, body, cut, 0), rc);
        if (rc == NET_DONE) check_same(&r.ans, &other.ans);
    }
    for (size_t step = 1; step < 9; step++) {
        assert_int_equal(read_cut(&other, body, 0, step), rc);
        if (rc == NET_DONE) check_same(&r.ans, &other.ans);
    }
    return rc == NET_DONE ? &r.ans : NULL;
}

struct counts {
    uint32_t input, cached, output, audio_input, audio_output, reasoning, cache_write;
    bool absurd;
};

static void check_counts(const char *usage, struct counts want)
{
    char body[512];
    (void)snprintf(body, sizeof body, "{\"usage\":%s}", usage);
    const struct api_answer *a = read_all(body);
    assert_non_null(a);
    const struct api_usage *u = &a->usage;
    if (u->input != want.input || u->absurd != want.absurd) print_error("%s\n", usage);
    assert_true(u->present);
    assert_int_equal(u->input, want.input);
    assert_int_equal(u->cached, want.cached);
    assert_int_equal(u->output, want.output);
    assert_int_equal(u->audio_input, want.audio_input);
    assert_int_equal(u->audio_output, want.audio_output);
    assert_int_equal(u->reasoning, want.reasoning);
    assert_int_equal(u->cache_write, want.cache_write);
    assert_int_equal(u->absurd, want.absurd);
    assert_int_equal(a->usage_at.start, 9);
    assert_int_equal(a->usage_at.end, strlen(body) - 1);
}

#define IN "\"prompt_tokens\":100,\"completion_tokens\":50,\"total_tokens\":150"

static void test_usage_becomes_disjoint_kinds(void **state)
{
    (void)state;
    check_counts("{" IN "}", (struct counts){.input = 100, .output = 50});
    check_counts("{" IN ",\"prompt_tokens_details\":{\"cached_tokens\":30,\"audio_tokens\":20,"
                 "\"cache_write_tokens\":10},\"completion_tokens_details\":"
                 "{\"reasoning_tokens\":40,\"audio_tokens\":5}}",
                 (struct counts){.input = 40, .cached = 30, .audio_input = 20,
                                 .cache_write = 10, .output = 45, .audio_output = 5,
                                 .reasoning = 40});
    check_counts("{" IN ",\"prompt_tokens_details\":null,\"completion_tokens_details\":"
                 "{\"reasoning_tokens\":null}}", (struct counts){.input = 100, .output = 50});
}

static void test_usage_of_those_who_imitate(void **state)
{
    (void)state;
    /* xAI: reasoning on top, as the total shows; not where the total says otherwise */
    check_counts("{\"prompt_tokens\":12,\"completion_tokens\":2,\"total_tokens\":334,"
                 "\"completion_tokens_details\":{\"reasoning_tokens\":320}}",
                 (struct counts){.input = 12, .output = 322, .reasoning = 320});
    check_counts("{" IN ",\"completion_tokens_details\":{\"reasoning_tokens\":50}}",
                 (struct counts){.input = 100, .output = 50, .reasoning = 50});
    /* DeepSeek, both forms at once; Moonshot and Together; Perplexity */
    check_counts("{" IN ",\"prompt_cache_hit_tokens\":64,\"prompt_cache_miss_tokens\":36,"
                 "\"prompt_tokens_details\":{\"cached_tokens\":64}}",
                 (struct counts){.input = 36, .cached = 64, .output = 50});
    check_counts("{" IN ",\"prompt_cache_hit_tokens\":64}",
                 (struct counts){.input = 36, .cached = 64, .output = 50});
    check_counts("{" IN ",\"cached_tokens\":7}",
                 (struct counts){.input = 93, .cached = 7, .output = 50});
    check_counts("{" IN ",\"reasoning_tokens\":7}",
                 (struct counts){.input = 100, .output = 50, .reasoning = 7});
    /* embeddings, Voyage, images */
    check_counts("{\"prompt_tokens\":8,\"total_tokens\":8}", (struct counts){.input = 8});
    check_counts("{\"total_tokens\":18}", (struct counts){.input = 18});
    check_counts("{\"input_tokens\":8,\"output_tokens\":9,\"total_tokens\":17}",
                 (struct counts){.input = 8, .output = 9});
}

/* Two of prompt, completion and total tell the third; a completion alone is not enough. */
static void test_a_part_of_the_usage(void **state)
{
    (void)state;
    check_counts("{\"completion_tokens\":4,\"total_tokens\":9}",
                 (struct counts){.input = 5, .output = 4});
    check_counts("{\"completion_tokens\":4,\"total_tokens\":4}",
                 (struct counts){.output = 4});
    check_counts("{\"prompt_tokens\":5,\"total_tokens\":9,"
                 "\"completion_tokens_details\":{\"reasoning_tokens\":3}}",
                 (struct counts){.input = 5, .output = 4, .reasoning = 3});
    check_counts("{\"prompt_tokens\":5,\"total_tokens\":4}", (struct counts){.input = 5});
    check_counts("{\"prompt_tokens\":5,\"completion_tokens\":0,\"total_tokens\":9}",
                 (struct counts){.input = 5});
    check_counts("{\"completion_tokens\":4}", (struct counts){.output = 4, .absurd = true});
    check_counts("{\"completion_tokens\":4,\"total_tokens\":3}",
                 (struct counts){.output = 4, .absurd = true});
    check_counts("{\"prompt_tokens\":null,\"completion_tokens\":4,\"total_tokens\":null}",
                 (struct counts){.output = 4, .absurd = true});
    check_counts("{\"total_tokens\":-1}", (struct counts){.absurd = true});
}

static void test_absurd_counts_are_clamped(void **state)
{
    (void)state;
    const uint32_t max = UINT32_C(1) << 31;
    check_counts("{\"prompt_tokens\":2147483648}", (struct counts){.input = max});
    check_counts("{\"prompt_tokens\":2147483649}",
                 (struct counts){.input = max, .absurd = true});
    check_counts("{\"prompt_tokens\":9223372036854775808}",
                 (struct counts){.input = max, .absurd = true});
    check_counts("{\"prompt_tokens\":-1,\"completion_tokens\":3}",
                 (struct counts){.output = 3, .absurd = true});
    check_counts("{\"prompt_tokens\":-0,\"completion_tokens\":3}",
                 (struct counts){.output = 3});
    check_counts("{\"prompt_tokens\":1.5}", (struct counts){.input = 1, .absurd = true});
    check_counts("{\"prompt_tokens\":12.0}", (struct counts){.input = 12});
    check_counts("{\"prompt_tokens\":1e3}", (struct counts){.input = 0, .absurd = true});
    check_counts("{\"prompt_tokens\":\"12\"}", (struct counts){.input = 0, .absurd = true});
    check_counts("{" IN ",\"prompt_tokens_details\":{\"cached_tokens\":101}}",
                 (struct counts){.cached = 100, .output = 50, .absurd = true});
    check_counts("{" IN ",\"prompt_tokens_details\":{\"cached_tokens\":60,"
                 "\"audio_tokens\":41}}",
                 (struct counts){.cached = 60, .audio_input = 40, .output = 50,
                                 .absurd = true});
    check_counts("{" IN ",\"completion_tokens_details\":{\"audio_tokens\":51}}",
                 (struct counts){.input = 100, .audio_output = 50, .absurd = true});
    check_counts("{" IN ",\"completion_tokens_details\":{\"reasoning_tokens\":51}}",
                 (struct counts){.input = 100, .output = 50, .reasoning = 50,
                                 .absurd = true});
}

static void test_usage_that_is_none(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{}", "[]", "7", "\"usage\"", "{\"usage\":null}", "{\"usage\":7}", "{\"usage\":{}}",
        "{\"usage\":[{\"prompt_tokens\":1}]}", "{\"x\":{\"usage\":{\"prompt_tokens\":1}}}",
        "{\"choices\":[{\"usage\":{\"prompt_tokens\":1}}]}",
        "{\"usage\":{\"prompt_tokens\":null}}", "{\"usage\":{\"x\":{\"prompt_tokens\":1}}}",
    };
    for (size_t i = 0; i < COUNT(bodies); i++) {
        const struct api_answer *a = read_all(bodies[i]);
        assert_non_null(a);
        assert_false(a->usage.present);
        assert_false(a->error);
    }
    /* Groq's own place, where there is no other */
    const struct api_answer *a = read_all("{\"x_groq\":{\"usage\":{\"prompt_tokens\":3}}}");
    assert_int_equal(a->usage.input, 3);
    /* the last of two counts */
    a = read_all("{\"usage\":{\"prompt_tokens\":1,"
        "\"completion_tokens\":9},\"usage\":{\"prompt_tokens\":2}}");
    assert_int_equal(a->usage.input, 2);
    assert_int_equal(a->usage.output, 0);
}

static void test_text_of_every_form(void **state)
{
    (void)state;
    static const struct { const char *choice; unsigned bytes; } cases[] = {
        {"{\"message\":{\"content\":\"abc\"}}", 3},
        {"{\"message\":{\"content\":\"a\\n\",\"reasoning_content\":\"xyz\"}}", 6},
        {"{\"message\":{\"reasoning\":\"xyz\",\"reasoning_content\":\"xyz\"}}", 3},
        {"{\"message\":{\"reasoning\":\"wxyz\",\"reasoning_content\":\"xy\"}}", 4},
        {"{\"message\":{\"content\":\"abc\"}},{}", 3},
        {"{\"text\":\"abc\"},{\"index\":1}", 3},
        {"{\"message\":{\"refusal\":\"no\",\"content\":null}}", 2},
        {"{\"message\":{\"tool_calls\":[{\"id\":\"zz\",\"function\":{\"name\":\"f\","
         "\"arguments\":\"{}\"}},{\"custom\":{\"input\":\"abc\"}}]}}", 5},
        {"{\"message\":{\"function_call\":{\"name\":\"f\",\"arguments\":\"[]\"}}}", 2},
        {"{\"message\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\","
         "\"text\":\"abc\"}]},{\"type\":\"text\",\"text\":\"de\"}]}}", 5},
        {"{\"message\":{\"audio\":{\"id\":\"x\",\"data\":\"AAAA\","
         "\"transcript\":\"hey\"}}}", 3},
        {"{\"text\":\"abcd\"}", 4},
        {"{\"text\":\"abcd\",\"message\":{\"content\":\"x\"},"
         "\"delta\":{\"content\":\"yz\"}}", 2},
        {"{\"index\":0,\"logprobs\":{\"content\":\"no\",\"text\":[\"no\"]}}", 0},
        {"{\"message\":{\"content\":\"a\"}},{\"message\":{\"content\":\"bc\"}}", 3},
        {"{\"message\":{\"content\":[[[[[[[[[[\"deep\"]]]]]]]]]]}}", 0},
        {"null,7,[]", 0},
    };
    char body[512];
    for (size_t i = 0; i < COUNT(cases); i++) {
        (void)snprintf(body, sizeof body, "{\"choices\":[%s]}", cases[i].choice);
        const struct api_answer *a = read_all(body);
        assert_non_null(a);
        if (a->text_bytes != cases[i].bytes) print_error("%s\n", body);
        assert_int_equal(a->text_bytes, cases[i].bytes);
    }
    assert_int_equal(read_all("{\"choices\":[{},{},{}]}")->choice_count, 3);
    assert_true(read_all("{\"choices\":[{\"finish_reason\":\"stop\"},"
                         "{\"finish_reason\":\"length\"}]}")->finish_length);
    assert_false(read_all("{\"choices\":[{\"finish_reason\":\"stop\"}]}")->finish_length);
}

static void test_errors_of_every_form(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        bool error;
        int status;
        const char *text;
    } cases[] = {
        {"{\"error\":{\"message\":\"no\\u0021\",\"code\":\"x\"}}", true, 0, "no!"},
        {"{\"error\":{\"code\":429,\"message\":\"slow\",\"metadata\":{\"message\":\"z\"}}}",
         true, 429, "slow"},
        {"{\"error\":{\"code\":\"429\",\"message\":\"slow\"}}", true, 429, "slow"},
        {"{\"error\":{\"status\":503,\"code\":7}}", true, 503, ""},
        {"{\"error\":{\"code\":399}}", true, 0, ""},
        {"{\"error\":{\"code\":600}}", true, 0, ""},
        {"{\"error\":{\"code\":599}}", true, 599, ""},
        {"{\"error\":{}}", true, 0, ""},
        {"{\"error\":\"overloaded\",\"message\":\"m\"}", true, 0, "overloaded"},
        {"{\"message\":\"m\",\"error\":\"overloaded\"}", true, 0, "overloaded"},
        {"{\"error\":null}", false, 0, ""},
        {"{\"error\":\"\"}", false, 0, ""},
        {"{\"error\":false,\"message\":\"m\",\"code\":500}", false, 0, ""},
        {"{\"object\":\"error\",\"message\":\"bad\",\"code\":400}", true, 400, "bad"},
        {"{\"code\":400,\"message\":{\"detail\":[1]},\"object\":\"error\"}", true, 400, ""},
        {"{\"statusCode\":429,\"message\":\"Rate limit\"}", true, 429, "Rate limit"},
        {"{\"statusCode\":200,\"message\":\"fine\"}", false, 0, ""},
        {"[{\"error\":{\"code\":400,\"message\":\"g\",\"status\":\"INVALID\"}}]", true, 400,
         "g"},
        {"{\"choices\":[{\"error\":{\"code\":502,\"message\":\"up\"}}]}", true, 502, "up"},
        {"{\"choices\":[{\"error\":null,\"message\":{\"error\":\"x\"}}]}", false, 0, ""},
        {"{\"x_groq\":{\"id\":\"r\",\"error\":\"over\"}}", true, 0, "over"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct api_answer *a = read_all(cases[i].body);
        assert_non_null(a);
        if (a->error != cases[i].error) print_error("%s\n", cases[i].body);
        assert_int_equal(a->error, cases[i].error);
        assert_int_equal(a->error_status, cases[i].status);
        assert_string_equal(a->error_text, cases[i].text);
    }
}

/* A long message is cut where neither an escape nor a character is. */
static void test_error_text_is_cut_with_care(void **state)
{
    (void)state;
    static const struct { const char *unit, *is; } units[] = {
        {"a", "a"}, {"\xC3\xA9", "\xC3\xA9"}, {"\xE2\x82\xAC", "\xE2\x82\xAC"},
        {"\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"}, {"\\n", "\n"}, {"\\u20ac", "\xE2\x82\xAC"},
        {"\\ud83d\\ude00", "\xF0\x9F\x98\x80"}, {"\\\\", "\\"},
    };
    char body[4096], want[256];
    for (size_t i = 0; i < COUNT(units); i++) {
        for (size_t lead = 0; lead < 12; lead++) {
            size_t at = (size_t)snprintf(body, sizeof body, "{\"error\":{\"message\":\"%.*s",
                                         (int)lead, "xxxxxxxxxxxx");
            size_t raw = lead, len = lead;
            memset(want, 'x', lead);
            while (at < 900) {
                at += (size_t)snprintf(body + at, sizeof body - at, "%s", units[i].unit);
                raw += strlen(units[i].unit);
                if (raw > 255) continue;
                memcpy(want + len, units[i].is, strlen(units[i].is));
                len += strlen(units[i].is);
            }
            want[len] = '\0';
            (void)snprintf(body + at, sizeof body - at, "\"}}");
            static struct api_answer_reader r;
            for (size_t cut = 0; cut < strlen(body); cut += 1 + cut / 60) {
                assert_int_equal(read_cut(&r, bytes_of(body), cut, 0), NET_DONE);
                assert_string_equal(r.ans.error_text, want);
            }
        }
    }
}

static void test_what_is_not_json(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "", "<html>", "{", "{\"usage\":{\"prompt_tokens\":1}", "{}{}", "{\"a\":\"\xFF\"}",
        "\xEF\xBB\xBF{}", "{\"choices\":[{\"message\":{\"content\":\"x\"}}],}",
    };
    for (size_t i = 0; i < COUNT(bodies); i++) assert_null(read_all(bodies[i]));
}

/* The count at path, found by names alone; 0 where there is none. */
static uint32_t number_at(struct bytes doc, const char *path)
{
    struct bytes text;
    uint64_t value;
    if (!tape_path(doc, path, &text) || !bytes_u64(text, &value)) return 0;
    return (uint32_t)value;
}

struct tally { size_t answers, usages, errors; };

static void check_recorded(const struct tape *tape, void *arg)
{
    static struct api_answer_reader r, cut;
    struct tally *tally = arg;
    struct bytes body = tape->answer, found;
    if (body.len == 0) return;
    assert_int_equal(read_cut(&r, body, 0, 0), NET_DONE);
    for (size_t step = 1; step < 2000; step += 1 + step / 3) {
        assert_int_equal(read_cut(&cut, body, 0, step), NET_DONE);
        check_same(&r.ans, &cut.ans);
    }
    for (size_t at = 1; at < body.len; at += 1 + body.len / 100) {
        assert_int_equal(read_cut(&cut, body, at, 0), NET_DONE);
        check_same(&r.ans, &cut.ans);
    }
    check_brief(&r.ans, body);
    const struct api_usage *u = &r.ans.usage;
    bool has = tape_path(body, "usage", &found);
    assert_int_equal(u->present, has);
    assert_false(u->absurd);
    assert_int_equal(r.ans.error, tape_path(body, "error", &found));
    tally->answers++;
    tally->errors += r.ans.error;
    if (!has) return;
    tally->usages++;
    assert_true(tape_path(body, "usage", &found));
    assert_int_equal(r.ans.usage_at.start, found.ptr - body.ptr);
    assert_int_equal(r.ans.usage_at.end - r.ans.usage_at.start, found.len);
    uint32_t prompt = number_at(body, "usage.prompt_tokens");
    uint32_t completion = number_at(body, "usage.completion_tokens");
    uint32_t total = number_at(body, "usage.total_tokens");
    uint32_t thought = number_at(body, "usage.completion_tokens_details.reasoning_tokens");
    if (prompt + completion == 0) prompt = total;
    bool on_top = thought > 0 && total == prompt + completion + thought;
    assert_int_equal(u->input + u->cached + u->audio_input + u->cache_write, prompt);
    assert_int_equal(u->output + u->audio_output, completion + (on_top ? thought : 0));
    assert_int_equal(u->reasoning, thought);
    uint32_t cached = number_at(body, "usage.prompt_tokens_details.cached_tokens");
    if (cached == 0) cached = number_at(body, "usage.cached_tokens");
    if (cached == 0) cached = number_at(body, "usage.prompt_cache_hit_tokens");
    assert_int_equal(u->cached, cached);
    assert_int_equal(u->audio_output,
                     number_at(body, "usage.completion_tokens_details.audio_tokens"));
    /* Azure's content filter leaves nothing of 19 tokens */
    bool filtered = memmem(body.ptr, body.len, "\"content_filter\"", 16) != NULL;
    if (u->output > u->reasoning && !filtered) assert_true(r.ans.text_bytes > 0);
}

static void test_recorded_answers(void **state)
{
    (void)state;
    struct tally tally = {0};
    if (!tapes_each("openai-chat", check_recorded, &tally)) skip();
    assert_true(tapes_each("openai-completions", check_recorded, &tally));
    assert_true(tapes_each("embeddings", check_recorded, &tally));
    assert_true(tally.answers > 100);
    assert_true(tally.usages > 90);
    assert_true(tally.errors > 5);
}

/* usage_at is where the counts are, so that one more may be put there: not an empty object, and
 * not the last of repeated members where that is none. */
static void test_where_the_counts_are(void **state)
{
    (void)state;
    static const struct { const char *body, *at; } cases[] = {
        {"{\"usage\":{\"prompt_tokens\":1},\"id\":1}", "{\"prompt_tokens\":1}"},
        {"{\"usage\":{\"prompt_tokens\":1},\"usage\":null}", NULL},
        {"{\"usage\":{\"prompt_tokens\":1},\"usage\":[1]}", NULL},
        {"{\"usage\":{\"prompt_tokens\":1},\"usage\":{}}", NULL},
        {"{\"usage\":null,\"usage\":{\"prompt_tokens\":1}}", "{\"prompt_tokens\":1}"},
        {"{\"usage\":{},\"x_groq\":{\"usage\":{\"prompt_tokens\":1}}}", NULL},
        {"{\"usage\":null,\"x_groq\":{\"usage\":{\"prompt_tokens\":1}}}", NULL},
    };
    static struct api_answer_reader r;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bytes body = bytes_of(cases[i].body);
        for (size_t cut = 0; cut < body.len; cut++) {   /* 0: whole, from its index */
            assert_int_equal(read_cut(&r, body, cut, 0), NET_DONE);
            const char *at = cases[i].at ? strstr(body.ptr, cases[i].at) : body.ptr;
            size_t start = (size_t)(at - body.ptr);
            if (r.ans.usage_at.start != start) fail_msg("%s cut at %zu", body.ptr, cut);
            size_t end = cases[i].at ? start + strlen(cases[i].at) : 0;
            assert_int_equal(r.ans.usage_at.end, end);
        }
        struct api_event ev;
        struct api_stream stream = {0};
        api_event_read(body, API_CHAT, &stream, &ev);
        assert_int_equal(ev.usage_said, cases[i].at != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage_becomes_disjoint_kinds),
        cmocka_unit_test(test_usage_of_those_who_imitate),
        cmocka_unit_test(test_a_part_of_the_usage),
        cmocka_unit_test(test_absurd_counts_are_clamped),
        cmocka_unit_test(test_usage_that_is_none),
        cmocka_unit_test(test_text_of_every_form),
        cmocka_unit_test(test_errors_of_every_form),
        cmocka_unit_test(test_error_text_is_cut_with_care),
        cmocka_unit_test(test_what_is_not_json),
        cmocka_unit_test(test_where_the_counts_are),
        cmocka_unit_test(test_recorded_answers),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
