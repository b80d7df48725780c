/* test_openai_request.c - what is read of a request, what is refused and how, and the edits.
 * Bodies end at an unreadable page and are fed whole, cut in two at every place, and byte
 * by byte: the outcome must be the same. */
#include "net/dialect/api.h"
#include "openai_tape.h"
#include "wall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { AREA = 64 * WALL_PAGE, SAID_MAX = 8192 };

static char *wall;  /* the first byte that must not be read */

static int setup(void **state)
{
    (void)state;
    wall = wall_end(AREA);
    return 0;
}

/* Feed text, each piece from memory that ends at the wall. step 0: cut once, at cut. */
static enum net_rc read_cut(struct api_reader *r, enum api api, struct bytes text,
                            size_t cut, size_t step)
{
    api_request_begin(r, api);
    while (text.len > 0) {
        size_t n = step > 0 ? step : cut;
        if (n == 0 || n > text.len) n = text.len;
        struct bytes piece = bytes_cut(&text, n);
        memcpy(wall - n, piece.ptr, n);
        if (api_request_feed(r, (struct bytes){wall - n, n}) != NET_MORE) break;
        cut = 0;
    }
    enum net_rc rc = api_request_end(r);
    memset(wall - AREA, 'x', AREA);  /* nothing may point into the pieces */
    return rc;
}

static size_t say_names(char *out, size_t room, const char *what, const struct api_names *n)
{
    size_t at = (size_t)snprintf(out, room, " %s=%u", what, n->count);
    for (size_t i = 0; i < n->count; i++) {
        at += (size_t)snprintf(out + at, room - at, ",%.*s", (int)n->at[i].len, n->at[i].ptr);
    }
    return at;
}

static size_t say_member(char *out, size_t room, const char *what,
                         const struct api_member *m)
{
    return (size_t)snprintf(out, room, " %s=%llu-%llu:%llu-%llu,%llu,%llu,%u", what,
                            (unsigned long long)m->key.start, (unsigned long long)m->key.end,
                            (unsigned long long)m->value.start,
                            (unsigned long long)m->value.end, (unsigned long long)m->before,
                            (unsigned long long)m->after, m->index);
}

/* Everything the reader says, as one text. */
static void say(const struct api_reader *r, enum net_rc rc, char *out)
{
    const struct api_request *q = &r->req;
    const size_t room = SAID_MAX;
    if (rc == NET_BAD) {
        (void)snprintf(out, room, "%s|%s|%s", r->code, r->pointer, r->error);
        return;
    }
    size_t at = (size_t)snprintf(out, room, "%.*s", (int)q->model.len, q->model.ptr);
    at += say_names(out + at, room - at, "models", &q->models);
    at += say_names(out + at, room - at, "order", &q->order);
    at += say_names(out + at, room - at, "only", &q->only);
    at += say_names(out + at, room - at, "ignore", &q->ignore);
    at += say_member(out + at, room - at, "model", &q->model_at);
    at += say_member(out + at, room - at, "models", &q->models_at);
    at += say_member(out + at, room - at, "provider", &q->provider_at);
    at += say_member(out + at, room - at, "usage", &q->usage_at);
    at += say_member(out + at, room - at, "options", &q->stream_options_at);
    at += (size_t)snprintf(out + at, room - at, " include=%d-%d start=%d bytes=%d",
                           (int)q->include_usage_at.start, (int)q->include_usage_at.end,
                           (int)q->object_start, (int)q->body_bytes);
    at += (size_t)snprintf(out + at, room - at, " max=%lld n=%lld price=%lld,%lld",
                           (long long)q->max_tokens, (long long)q->n,
                           (long long)q->max_prompt, (long long)q->max_completion);
    at += (size_t)snprintf(out + at, room - at, " messages=%u tools=%u,%d prompt=%d sort=%d",
                           q->message_count, q->tool_count, (int)q->tool_bytes,
                           (int)q->prompt_bytes, q->sort);
    at += (size_t)snprintf(out + at, room - at, " %d%d%d%d%d%d%d%d%u", q->stream,
                           q->include_usage, q->usage_include, q->zdr, q->allow_fallbacks,
                           q->root_empty, q->stream_options_empty, q->stream_options_null,
                           q->member_count);
    assert_true(at < room);
}

/* Read text in every way; all must agree. *r is what the whole said. */
static enum net_rc read_all(struct api_reader *r, enum api api, const char *text)
{
    static struct api_reader other;
    static char whole[SAID_MAX], cut[SAID_MAX];
    struct bytes body = bytes_of(text);
    enum net_rc rc = read_cut(r, api, body, 0, 0);
    say(r, rc, whole);
    for (size_t at = 1; at < body.len; at++) {
        assert_int_equal(read_cut(&other, api, body, at, 0), rc);
        say(&other, rc, cut);
        if (strcmp(whole, cut) != 0) print_error("%s\ncut at %zu\n", text, at);
        assert_string_equal(cut, whole);
    }
    for (size_t step = 1; step < 8; step++) {
        assert_int_equal(read_cut(&other, api, body, 0, step), rc);
        say(&other, rc, cut);
        assert_string_equal(cut, whole);
    }
    return rc;
}

static const struct api_request *good(enum api api, const char *text)
{
    static struct api_reader r;
    enum net_rc rc = read_all(&r, api, text);
    if (rc != NET_DONE) print_error("%s\n%s %s\n", text, r.error, r.pointer);
    assert_int_equal(rc, NET_DONE);
    return &r.req;
}

static void check_bytes(struct bytes got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.ptr, want, got.len);
}

static void test_reads_what_it_names(void **state)
{
    (void)state;
    const struct api_request *q = good(API_CHAT,
        "{\"model\":\"openai\\/gpt-5\\u00e9\",\"stream\":true,"
        "\"stream_options\":{\"include_usage\":true,\"x\":[1]},\"max_tokens\":7,"
        "\"max_completion_tokens\":9,\"n\":2,\"models\":[\"a\",\"b/c\"],\"provider\":{"
        "\"order\":[\"o1\"],\"only\":[\"p1\",\"p2\"],\"ignore\":[\"i\"],"
        "\"allow_fallbacks\":false,\"sort\":\"throughput\",\"zdr\":true,"
        "\"max_price\":{\"prompt\":1.5,\"completion\":\"2\"}},"
        "\"usage\":{\"include\":true},\"tools\":[{\"a\":[]},{},3],"
        "\"messages\":[{\"role\":\"user\",\"content\":\"hey\"},{}]}");
    check_bytes(q->model, "openai/gpt-5\xC3\xA9");
    assert_true(q->stream && q->include_usage && q->usage_include && q->zdr);
    assert_false(q->allow_fallbacks);
    assert_int_equal(q->max_tokens, 9);
    assert_int_equal(q->n, 2);
    assert_int_equal(q->models.count, 2);
    check_bytes(q->models.at[1], "b/c");
    check_bytes(q->order.at[0], "o1");
    assert_int_equal(q->only.count, 2);
    check_bytes(q->only.at[1], "p2");
    check_bytes(q->ignore.at[0], "i");
    assert_int_equal(q->sort, 't');
    assert_int_equal(q->max_prompt, 1500000);
    assert_int_equal(q->max_completion, 2000000);
    assert_int_equal(q->tool_count, 3);
    assert_int_equal(q->tool_bytes, strlen("[{\"a\":[]},{},3]"));
    assert_int_equal(q->message_count, 2);
    assert_int_equal(q->prompt_bytes, 7);
}

static void test_absent_is_told_from_zero(void **state)
{
    (void)state;
    const struct api_request *q = good(API_CHAT, " {\"model\" : \"m\"} ");
    assert_int_equal(q->max_tokens, -1);
    assert_int_equal(q->n, -1);
    assert_true(q->allow_fallbacks);
    assert_false(q->stream || q->include_usage || q->zdr || q->usage_include);
    assert_int_equal(q->object_start, 1);
    assert_int_equal(q->body_bytes, 17);
    assert_int_equal(q->usage_at.key.end, 0);
    assert_int_equal(q->model_at.value.start, 12);
    q = good(API_CHAT, "{\"model\":\"m\",\"stream\":null,\"n\":null,\"max_tokens\":null,"
                          "\"stream_options\":null,\"provider\":null,\"models\":null,"
                          "\"tools\":null,\"usage\":null}");
    assert_int_equal(q->n, -1);
    assert_true(q->stream_options_null);
    assert_true(q->provider_at.key.end > 0);
    assert_true(q->models_at.key.end > 0);
    assert_int_equal(q->usage_at.key.end, 0);
}

/* `usage` is OpenRouter's only as an object with include. */
static void test_usage_is_taken_only_in_openrouters_form(void **state)
{
    (void)state;
    static const struct { const char *usage; bool ours, include; } cases[] = {
        {"{\"include\":true}", true, true},   {"{\"include\":false}", true, false},
        {"{\"include\":null}", true, false},  {"{}", false, false},
        {"{\"other\":{}}", false, false},     {"[{\"include\":true}]", false, false},
        {"\"include\"", false, false},        {"7", false, false},
        {"{\"x\":{\"include\":true}}", false, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[128];
        (void)snprintf(body, sizeof body, "{\"usage\":%s,\"model\":\"m\"}", cases[i].usage);
        const struct api_request *q = good(API_CHAT, body);
        assert_int_equal(q->usage_at.key.end > 0, cases[i].ours);
        assert_int_equal(q->usage_include, cases[i].include);
    }
}

/* Which members an API has decides which are read. */
static void test_each_api_reads_its_own(void **state)
{
    (void)state;
    const struct api_request *q;
    q = good(API_COMPLETIONS,
             "{\"model\":\"m\",\"prompt\":[\"abc\",\"de\"],\"messages\":3}");
    assert_int_equal(q->message_count, 2);
    assert_int_equal(q->prompt_bytes, 5);
    q = good(API_COMPLETIONS, "{\"model\":\"m\",\"prompt\":[1,2,3]}");
    assert_int_equal(q->message_count, 1);
    assert_int_equal(q->prompt_bytes, 3 * API_TOKEN_BYTES);
    q = good(API_EMBEDDINGS,
             "{\"model\":\"m\",\"input\":\"data:xyz\",\"stream\":1,\"n\":0}");
    assert_int_equal(q->message_count, 1);
    assert_int_equal(q->prompt_bytes, 8);
    assert_false(q->stream);
    q = good(API_EMBEDDINGS, "{\"model\":\"m\",\"input\":[[1,2],[3]]}");
    assert_int_equal(q->message_count, 2);
    assert_int_equal(q->prompt_bytes, 3 * API_TOKEN_BYTES);
    q = good(API_MODERATIONS, "{\"input\":[{\"type\":\"text\",\"text\":\"hi\"}]}");
    check_bytes(q->model, "omni-moderation-latest");
    assert_int_equal(q->model_at.key.end, 0);
    q = good(API_EMBEDDINGS, "{\"model\":\"m\",\"input\":{\"a\":\"bc\",\"d\":\"e\"}}");
    assert_int_equal(q->message_count, 1);
    assert_int_equal(q->prompt_bytes, 3);
    q = good(API_MODERATIONS, "{}");
    assert_true(q->root_empty);
}

/* Images and audio say nothing about tokens, however long and wherever cut. */
static void test_counts_the_bytes_of_texts(void **state)
{
    (void)state;
    static const struct { const char *messages; unsigned bytes; } cases[] = {
        {"[]", 0},
        {"[{\"content\":\"\"}]", 0},
        {"[{\"content\":\"a\\n\"}]", 3},
        {"[{\"content\":\"\xC3\xA9\"}]", 2},
        {"[{\"content\":[{\"type\":\"text\",\"text\":\"abcd\"}]}]", 8},
        {"[{\"content\":[{\"image_url\":{\"url\":\"data:image/png;base64,AAAA\"}}]}]", 0},
        {"[{\"content\":[{\"image_url\":{\"url\":\"http:x\"}}]}]", 6},
        {"[{\"input_audio\":{\"data\":\"AAAA\",\"format\":\"wav\"}}]", 3},
        {"[{\"file\":{\"file_data\":\"AAAA\",\"b64_json\":\"BB\",\"x\":\"c\"}}]", 1},
        {"[{\"data\":{\"x\":\"abc\"},\"y\":[\"data\",\"de\"]}]", 9},
        {"[{\"data\":[\"ab\",\"cd\"]}]", 4},
        {"[{\"data\":7,\"x\":\"ab\"},\"cd\"]", 4},
        {"[\"data:\",\"data\",\"dat:a\"]", 9},
        {"[1,true,null,-2.5e3]", 0},
        {"[{\"model\":\"zz\",\"stream\":1,\"stream\":2}]", 2},
    };
    char body[512];
    for (size_t i = 0; i < COUNT(cases); i++) {
        (void)snprintf(body, sizeof body, "{\"messages\":%s,\"model\":\"m\"}",
                       cases[i].messages);
        assert_int_equal(good(API_CHAT, body)->prompt_bytes, cases[i].bytes);
    }
}

static void test_a_long_image_is_known_by_its_first_bytes(void **state)
{
    (void)state;
    enum { LONG = JSON_TEXT_MAX + 300 };
    char body[2 * LONG + 128], fill[LONG + 1];
    memset(fill, 'A', LONG);
    fill[LONG] = '\0';
    (void)snprintf(body, sizeof body,
                   "{\"model\":\"m\",\"messages\":[ \"data:%s\" , {\"t\":\"dat:%s\"}]}", fill,
                   fill);
    assert_int_equal(good(API_CHAT, body)->prompt_bytes, LONG + 4);
}

struct refusal { const char *body, *pointer, *error; };

static void check_refusals(enum api api, const char *code, const struct refusal *cases,
                           size_t count)
{
    static struct api_reader r;
    for (size_t i = 0; i < count; i++) {
        enum net_rc rc = read_all(&r, api, cases[i].body);
        if (rc != NET_BAD || strcmp(r.error, cases[i].error) != 0) {
            print_error("%s\n%s\n", cases[i].body, r.error);
        }
        assert_int_equal(rc, NET_BAD);
        assert_string_equal(r.error, cases[i].error);
        assert_string_equal(r.pointer, cases[i].pointer);
        assert_string_equal(r.code, code);
        assert_int_equal(api_request_feed(&r, BYTES("{}")), NET_BAD);  /* stays bad */
        assert_int_equal(api_request_end(&r), NET_BAD);
    }
}

#define M "{\"model\":\"m\","

/* RFC 8259 section 4: with repeated names the behaviour is unpredictable. */
static void test_refuses_what_parsers_may_read_otherwise(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {M "\"model\":\"m\"}", "/model", "the member 'model' appears twice"},
        {M "\"n\":1,\"x\":{\"n\":2},\"n\":1}", "/n", "the member 'n' appears twice"},
        {M "\"stream_options\":{\"include_usage\":true,\"include_usage\":true}}",
         "/stream_options/include_usage", "the member 'include_usage' appears twice"},
        {M "\"provider\":{\"max_price\":{\"prompt\":1,\"prompt\":1}}}",
         "/provider/max_price/prompt", "the member 'prompt' appears twice"},
        {M "\"usage\":1,\"usage\":{\"include\":true}}", "/usage",
         "the member 'usage' appears twice"},
        {"{\"mod\\u0065l\":\"m\"}", "/model", "the member 'model' is written with escapes"},
        {"{\"\\u006d\\u006f\\u0064\\u0065\\u006c\":\"m\"}", "/model",
         "the member 'model' is written with escapes"},
        {M "\"Model\":\"x\"}", "/model", "the member 'model' is written with other letters"},
        {M "\"\xC5\xBFtream\":true}", "/stream",
         "the member 'stream' is written with other letters"},
        {M "\"max_to\xE2\x84\xAA\x65ns\":1}", "/max_tokens",
         "the member 'max_tokens' is written with other letters"},
        {M "\"max_token\xC5\xBF\":1}", "/max_tokens",
         "the member 'max_tokens' is written with other letters"},
        {"{\"model\":\"m\\u0000\"}", "/model", "'/model' holds a NUL"},
        {"{\"model\":\"\\ud800\"}", "/model", "'/model' holds an unpaired surrogate"},
        {M "\"max_tokens\":9007199254740993}", "/max_tokens",
         "'/max_tokens' must be an integer"},
        {M "\"max_tokens\":1e2}", "/max_tokens", "'/max_tokens' must be an integer"},
        {M "\"n\":1.0}", "/n", "'/n' must be an integer"},
        {"{\"model\\u0000\":\"m\"}", "", "the name of a member holds a NUL"},
        {M "\"x\\u0000\":1}", "", "the name of a member holds a NUL"},
        {M "\"\\udc00stream\":true}", "", "the name of a member holds an unpaired surrogate"},
        {M "\"usage\":{\"inclu\\ud800de\":true}}", "",
         "the name of a member holds an unpaired surrogate"},
    };
    check_refusals(API_CHAT, "invalid_request_error", cases, COUNT(cases));
    /* what is not read may hold all that */
    (void)good(API_CHAT, M "\"x\":1,\"x\":\"\\ud800\\u0000\",\"m\\u006f\":1e999,\"Mode\":1,"
                            "\"metadata\":{\"model\":1,\"model\":2,\"\\u0000\\ud800\":1}}");
}

static void test_refuses_wrong_types_and_values(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"[]", "", "the body must be a JSON object, got an array"},
        {"\"x\"", "", "the body must be a JSON object, got a string"},
        {"17", "", "the body must be a JSON object, got a number"},
        {"{}", "/model", "the member 'model' is missing"},
        {"{\"model\":null}", "/model", "'/model' must be a string, got null"},
        {"{\"model\":\"\"}", "/model", "'/model' is empty"},
        {"{\"model\":{\"a\":1}}", "/model", "'/model' must be a string, got an object"},
        {M "\"stream\":\"true\"}", "/stream", "'/stream' must be true or false, got a string"},
        {M "\"stream\":1}", "/stream", "'/stream' must be true or false, got a number"},
        {M "\"messages\":\"hi\"}", "/messages", "'/messages' must be an array, got a string"},
        {M "\"messages\":null}", "/messages", "'/messages' must be an array, got null"},
        {M "\"tools\":{}}", "/tools", "'/tools' must be an array, got an object"},
        {M "\"n\":0}", "/n", "'/n' must be at least 1"},
        {M "\"max_tokens\":0}", "/max_tokens", "'/max_tokens' must be at least 1"},
        {M "\"max_completion_tokens\":-1}", "/max_completion_tokens",
         "'/max_completion_tokens' must be at least 1"},
        {M "\"n\":\"1\"}", "/n", "'/n' must be an integer, got a string"},
        {M "\"stream_options\":true}", "/stream_options",
         "'/stream_options' must be an object, got true"},
        {M "\"stream_options\":{\"include_usage\":0}}", "/stream_options/include_usage",
         "'/stream_options/include_usage' must be true or false, got a number"},
        {M "\"models\":\"a\"}", "/models", "'/models' must be an array, got a string"},
        {M "\"models\":[\"a\",[]]}", "/models/1", "'/models/1' must be a string, got an array"},
        {M "\"models\":[\"a\",\"\"]}", "/models/1", "'/models/1' is empty"},
        {M "\"models\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]}", "/models/8",
         "'/models/8' is one too many (8 at most)"},
        {M "\"provider\":[]}", "/provider", "'/provider' must be an object, got an array"},
        {M "\"provider\":{\"quantizations\":[]}}", "/provider",
         "the member 'quantizations' of '/provider' is not in this release"},
        {M "\"provider\":{\"max_price\":{\"request\":0}}}", "/provider/max_price",
         "the member 'request' of '/provider/max_price' is not in this release"},
        {M "\"provider\":{\"order\":[null]}}", "/provider/order/0",
         "'/provider/order/0' must be a string, got null"},
        {M "\"provider\":{\"sort\":\"cheap\"}}", "/provider/sort",
         "'/provider/sort' must be price, throughput or latency"},
        {M "\"provider\":{\"data_collection\":\"no\"}}", "/provider/data_collection",
         "'/provider/data_collection' must be allow or deny"},
        {M "\"provider\":{\"max_price\":{\"prompt\":-1}}}", "/provider/max_price/prompt",
         "'/provider/max_price/prompt' must be dollars per million tokens, 0 or more"},
        {M "\"provider\":{\"max_price\":{\"completion\":\"$1\"}}}",
         "/provider/max_price/completion",
         "'/provider/max_price/completion' must be dollars per million tokens, 0 or more"},
        {M "\"usage\":{\"include\":\"yes\"}}", "/usage/include",
         "'/usage/include' must be true or false, got a string"},
    };
    check_refusals(API_CHAT, "invalid_request_error", cases, COUNT(cases));
    static const struct refusal asked[] = {
        {"{\"input\":\"x\"}", "/model", "the member 'model' is missing"},
    };
    check_refusals(API_EMBEDDINGS, "invalid_request_error", asked, COUNT(asked));
}

static void test_refuses_what_is_not_json(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "", " ", "{", "{\"model\":\"m\"", "{\"model\":\"m\"}}", "{\"model\":\"m\",}", "nul",
        "{\"model\":\"m\\x\"}", "{\"model\":\"\xFF\"}", "\xEF\xBB\xBF{\"model\":\"m\"}",
        "{\"model\":\"m\" \"n\":1}", "{'model':'m'}", "{\"model\":\"m\",\"x\":\"\xC3\"}",
        "{\"model\":\"m\",\"n\":01}", "{\"model\":\"m\"} {}", "{\"messages\":[{\"a\":\"\t\"}]}",
    };
    static struct api_reader r;
    for (size_t i = 0; i < COUNT(bodies); i++) {
        assert_int_equal(read_all(&r, API_CHAT, bodies[i]), NET_BAD);
        assert_string_equal(r.code, "invalid_json");
        assert_string_equal(r.pointer, "");
        assert_memory_equal(r.error, "invalid JSON at byte ", 21);
    }
    assert_int_equal(read_all(&r, API_CHAT, "{\"model\":\"\xFF\"}"), NET_BAD);
    assert_string_equal(r.error, "invalid JSON at byte 10: invalid UTF-8");
}

static void test_depth_is_limited(void **state)
{
    (void)state;
    static struct api_reader r;
    char body[2 * API_REQUEST_DEPTH_MAX + 64];
    for (size_t more = 0; more < 2; more++) {
        size_t nest = API_REQUEST_DEPTH_MAX - 1 + more;  /* with the root object */
        size_t at = (size_t)snprintf(body, sizeof body, "{\"model\":\"m\",\"messages\":");
        memset(body + at, '[', nest);
        memset(body + at + nest, ']', nest);
        memcpy(body + at + 2 * nest, "}", 2);
        assert_int_equal(read_all(&r, API_CHAT, body), more ? NET_BAD : NET_DONE);
    }
    assert_string_equal(r.code, "invalid_json");
}

static void test_names_have_limits(void **state)
{
    (void)state;
    static struct api_reader r;
    char body[16384], name[API_NAME_MAX + 2], six[6 * API_NAME_MAX + 1];
    for (size_t more = 0; more < 2; more++) {
        memset(name, 'n', API_NAME_MAX + more);
        name[API_NAME_MAX + more] = '\0';
        (void)snprintf(body, sizeof body, "{\"model\":\"%s\"}", name);
        assert_int_equal(read_all(&r, API_CHAT, body), more ? NET_BAD : NET_DONE);
    }
    assert_string_equal(r.error, "'/model' is too long (256 bytes at most)");
    /* however it is written: JSON_TEXT_MAX bytes are gathered, one more is not */
    for (size_t more = 0; more < 2; more++) {
        size_t at = 0;
        for (size_t i = 0; i < 85; i++) at += (size_t)snprintf(six + at, 7, "\\u006e");
        memcpy(six + at, "nnn", 3);
        six[at + 2 + more] = '\0';  /* 85 * 6 + 2 = 512 */
        (void)snprintf(body, sizeof body, "{\"model\":\"%s\"}", six);
        assert_int_equal(read_all(&r, API_CHAT, body), more ? NET_BAD : NET_DONE);
    }
}

/* Whole names fill the pool: the model, 8 models, then provider.only. */
static void test_all_names_together_have_a_limit(void **state)
{
    (void)state;
    enum { FIT = API_POOL / API_NAME_MAX };
    static_assert(FIT > 1 && FIT < 1 + 2 * API_NAMES_MAX, "so that two lists do");
    static struct api_reader r;
    static char body[16384];
    char name[API_NAME_MAX + 1], last[64];
    memset(name, 'n', API_NAME_MAX);
    name[API_NAME_MAX] = '\0';
    for (size_t more = 0; more < 2; more++) {
        size_t at = (size_t)snprintf(body, sizeof body, "{\"model\":\"%s\",\"models\":[", name);
        size_t count = 1, list = 0;
        for (; count < FIT + more; count++, list++) {
            const char *before = list ? "," : "";
            if (list == API_NAMES_MAX) {
                before = "],\"provider\":{\"only\":[";
                list = 0;
            }
            at += (size_t)snprintf(body + at, sizeof body - at, "%s\"%s\"", before, name);
        }
        bool only = strstr(body, "only") != NULL;
        (void)snprintf(last, sizeof last, "%s/%zu", only ? "/provider/only" : "/models",
                       list - 1);
        (void)snprintf(body + at, sizeof body - at, only ? "]}}" : "]}");
        enum net_rc rc = read_cut(&r, API_CHAT, bytes_of(body), 0, 1000);
        assert_int_equal(rc, more ? NET_BAD : NET_DONE);
    }
    assert_string_equal(r.pointer, last);
}

/* Dollars per million tokens to pico-dollars per token; 0 leaves only what is free. */
static void test_price_limits(void **state)
{
    (void)state;
    static const struct { const char *text; int64_t want; } cases[] = {
        {"0", 1},          {"1", 1000000},      {"0.5", 500000},     {"\"0.5\"", 500000},
        {"1e-1", 100000},  {"2.5E1", 25000000}, {"0.0000019", 1},    {"0.0000001", 1},
        {"1e30", INT64_MAX}, {"1e-30", 1},      {"12345678901234567890123", INT64_MAX},
        {"0.1234569999999999999999", 123456},   {"null", 0},
        {"9007199254740993e-9", 9007199254740},
    };
    char body[128];
    for (size_t i = 0; i < COUNT(cases); i++) {
        (void)snprintf(body, sizeof body, M "\"provider\":{\"max_price\":{\"prompt\":%s}}}",
                       cases[i].text);
        assert_int_equal(good(API_CHAT, body)->max_prompt, cases[i].want);
    }
}

/* Apply the edits of text; checks order and bounds. Gives the length in out. */
static size_t edit(const struct api_request *q, const char *text, const char *model,
                   bool want_usage, char *out, size_t out_room)
{
    struct api_edit edits[API_EDITS_MAX];
    char scratch[4096];
    size_t room = 12 * strlen(model) + 384, len = 0, at = 0;
    memset(scratch, '~', sizeof scratch);
    struct api_change change = {.model = bytes_of(model), .want_usage = want_usage};
    size_t n = api_request_edits(q, &change, edits, scratch, room);
    assert_true(n <= API_EDITS_MAX);
    assert_int_equal(scratch[room], '~');
    for (size_t i = 0; i < n; i++) {
        assert_true(edits[i].at >= at);
        assert_true(edits[i].at + edits[i].del <= strlen(text));
        len += (size_t)snprintf(out + len, out_room - len, "%.*s%.*s", (int)(edits[i].at - at),
                                text + at, (int)edits[i].put.len, edits[i].put.ptr);
        at = edits[i].at + edits[i].del;
    }
    len += (size_t)snprintf(out + len, out_room - len, "%s", text + at);
    assert_true(len < out_room);
    return len;
}

static void test_edits(void **state)
{
    (void)state;
    static const struct { const char *body, *model; bool usage; const char *want; } cases[] = {
        /* the model: only where its bytes differ */
        {"{\"model\":\"m\"}", "m", false, "{\"model\":\"m\"}"},
        {"{\"model\":\"m\"}", "m", true, "{\"model\":\"m\"}"},
        {"{\"model\":\"\\u006d\"}", "m", true, "{\"model\":\"\\u006d\"}"},
        {"{ \"model\" : \"o/m\" , \"x\":1}", "m", false, "{ \"model\" : \"m\" , \"x\":1}"},
        {"{\"model\":\"m\"}", "a\"\\\x01", false, "{\"model\":\"a\\\"\\\\\\u0001\"}"},
        /* usage, in streams */
        {M "\"stream\":true}", "m", true,
         "{\"stream_options\":{\"include_usage\":true},\"model\":\"m\",\"stream\":true}"},
        {M "\"stream\":true}", "m", false, M "\"stream\":true}"},
        {M "\"stream\":false}", "m", true, M "\"stream\":false}"},
        {M "\"stream\":true,\"stream_options\":{}}", "m", true,
         M "\"stream\":true,\"stream_options\":{\"include_usage\":true}}"},
        {M "\"stream\":true,\"stream_options\":null}", "m", true,
         M "\"stream\":true,\"stream_options\":{\"include_usage\":true}}"},
        {M "\"stream\":true,\"stream_options\":{ \"x\":1}}", "m", true,
         M "\"stream\":true,\"stream_options\":{\"include_usage\":true, \"x\":1}}"},
        {M "\"stream\":true,\"stream_options\":{\"include_usage\":false}}", "m", true,
         M "\"stream\":true,\"stream_options\":{\"include_usage\":true}}"},
        {M "\"stream_options\":{\"include_usage\":null},\"stream\":true}", "m", true,
         M "\"stream_options\":{\"include_usage\":true},\"stream\":true}"},
        {M "\"stream_options\":{\"include_usage\":true},\"stream\":true}", "m", true,
         M "\"stream_options\":{\"include_usage\":true},\"stream\":true}"},
        /* removal: first, middle, last, several */
        {"{\"models\":[],\"model\":\"m\"}", "m", false, "{\"model\":\"m\"}"},
        {"{ \"models\" : [\"a\"] , \"model\":\"m\"}", "m", false, "{ \"model\":\"m\"}"},
        {M "\"models\":[],\"x\":1}", "m", false, M "\"x\":1}"},
        {"{\"model\":\"m\" , \"models\":[] }", "m", false, "{\"model\":\"m\" }"},
        {"{\"models\":[],\"provider\":{},\"model\":\"m\"}", "m", false, "{\"model\":\"m\"}"},
        {M "\"models\":[],\"provider\":{\"zdr\":true},\"usage\":{\"include\":true}}", "m",
         false, "{\"model\":\"m\"}"},
        {"{\"usage\":{\"include\":false},\"model\":\"o/m\",\"provider\":null,\"x\":1,"
         "\"models\":null}", "m", false, "{\"model\":\"m\",\"x\":1}"},
        {M "\"usage\":{}}", "m", false, M "\"usage\":{}}"},
        {"{\"usage\":{},\"provider\":{},\"model\":\"m\"}", "m", false,
         "{\"usage\":{},\"model\":\"m\"}"},
        /* all at once, the insertion and the first removal at one place */
        {"{\"provider\":{},\"models\":[],\"stream\":true,\"model\":\"o/m\"}", "m", true,
         "{\"stream_options\":{\"include_usage\":true},\"stream\":true,\"model\":\"m\"}"},
    };
    char out[1024];
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct api_request *q = good(API_CHAT, cases[i].body);
        (void)edit(q, cases[i].body, cases[i].model, cases[i].usage, out, sizeof out);
        assert_string_equal(out, cases[i].want);
    }
    static const struct { const char *body, *want; } moderations[] = {
        {"{}", "{\"model\":\"x\"}"},
        {"{ }", "{\"model\":\"x\" }"},
        {"{\"input\":1}", "{\"model\":\"x\",\"input\":1}"},
        {"{\"provider\":{},\"models\":[]}", "{\"model\":\"x\"}"},
        {"{\"provider\":{}, \"input\":1 }", "{\"model\":\"x\",\"input\":1 }"},
    };
    for (size_t i = 0; i < COUNT(moderations); i++) {
        const struct api_request *q = good(API_MODERATIONS, moderations[i].body);
        (void)edit(q, moderations[i].body, "x", true, out, sizeof out);
        assert_string_equal(out, moderations[i].want);
    }
}

/* Every order of these members, with blanks or without: after the edits the document holds
 * the same members in the same order, but for those that go and those that change. */
static void test_edits_touch_nothing_else(void **state)
{
    (void)state;
    static const struct { const char *before, *after; } members[] = {
        {"\"model\":\"o/m\"", "\"model\":\"m\""},
        {"\"provider\":{\"only\":[\"a\",\"b\"],\"sort\":null}", NULL},
        {"\"stream_options\":{\"x\":[{}]}",
         "\"stream_options\":{\"include_usage\":true,\"x\":[{}]}"},
        {"\"models\":[\"q\"]", NULL},
        {"\"usage\":{\"include\":true}", NULL},
        {"\"stream\":true", "\"stream\":true"},
        {"\"z\":\"\\\",}{\"", "\"z\":\"\\\",}{\""},
    };
    enum { ALL = COUNT(members) };
    static struct api_reader r;
    char body[1024], want[1024], got[1024];
    uint32_t dice = 12345;
    for (size_t round = 0; round < 5040; round++) {
        uint8_t order[ALL];
        for (size_t i = 0; i < ALL; i++) order[i] = (uint8_t)i;
        for (size_t i = ALL - 1; i > 0; i--) {
            dice = dice * 1664525 + 1013904223;
            size_t j = (dice >> 16) % (i + 1);
            uint8_t keep = order[i];
            order[i] = order[j];
            order[j] = keep;
        }
        size_t b = (size_t)snprintf(body, sizeof body, "{"), w = b, kept = 0;
        memcpy(want, "{", 2);
        for (size_t i = 0; i < ALL; i++) {
            const char *after = members[order[i]].after;
            b += (size_t)snprintf(body + b, sizeof body - b, "%s%s", i ? "," : "",
                                  members[order[i]].before);
            if (!after) continue;
            w += (size_t)snprintf(want + w, sizeof want - w, "%s%s", kept++ ? "," : "", after);
        }
        (void)snprintf(body + b, sizeof body - b, "}");
        (void)snprintf(want + w, sizeof want - w, "}");
        assert_int_equal(read_cut(&r, API_CHAT, bytes_of(body), 0, 0), NET_DONE);
        (void)edit(&r.req, body, "m", true, got, sizeof got);
        assert_string_equal(got, want);
    }
}

/* What was recorded is read; after the edits it is read again, and says what was wanted. */
static void check_recorded(const struct tape *tape, void *count)
{
    static struct api_reader r, again;
    static char body[256 * 1024], out[300 * 1024];
    struct bytes text = tape->request;
    struct bytes model;
    if (text.len == 0 || *text.ptr != '{' || text.len >= sizeof body) return;
    enum api api = strcmp(tape->dialect, "embeddings") == 0 ? API_EMBEDDINGS
                        : strcmp(tape->dialect, "openai-chat") == 0 ? API_CHAT
                        : API_COMPLETIONS;
    if (!tape_path(text, "model", &model)) return;  /* Azure names it in the path */
    enum net_rc rc = read_cut(&r, api, text, 0, 0);
    if (rc != NET_DONE) print_error("%s: %s\n", tape->name, r.error);
    assert_int_equal(rc, NET_DONE);
    assert_int_equal(read_cut(&again, api, text, 0, 7), NET_DONE);
    assert_int_equal(again.req.prompt_bytes, r.req.prompt_bytes);
    (void)snprintf(body, sizeof body, "%.*s", (int)text.len, text.ptr);
    size_t len = edit(&r.req, body, "other/model", true, out, sizeof out);
    assert_int_equal(read_cut(&again, api, (struct bytes){out, len}, 0, 0), NET_DONE);
    check_bytes(again.req.model, "other/model");
    assert_int_equal(again.req.include_usage, r.req.stream || r.req.include_usage);
    assert_int_equal(again.req.prompt_bytes, r.req.prompt_bytes);
    assert_int_equal(again.req.provider_at.key.end, 0);
    ++*(size_t *)count;
}

static void test_recorded_requests(void **state)
{
    (void)state;
    size_t count = 0;
    if (!tapes_each("openai-chat", check_recorded, &count)) skip();
    assert_true(tapes_each("openai-completions", check_recorded, &count));
    assert_true(tapes_each("embeddings", check_recorded, &count));
    assert_true(count > 20);
}

/* What is read of each document on stdin ("LENGTH\n" and so many bytes), a line each: for
 * tests/box/json.test.mjs, which compares it with what another parser reads. */
static int read_stdin(void)
{
    enum { DOC_MAX = 1 << 20 };
    static struct api_reader r;
    char *const doc = malloc(DOC_MAX), line[32];
    while (doc && fgets(line, sizeof line, stdin)) {
        const size_t len = (size_t)strtoul(line, NULL, 10);
        if (len > DOC_MAX || fread(doc, 1, len, stdin) != len) return 1;
        api_request_begin(&r, API_CHAT);
        const bool fed = api_request_feed(&r, (struct bytes){doc, len}) == NET_MORE;
        const bool good = api_request_end(&r) == NET_DONE && fed;
        printf("%s %d %lld ", good ? "good" : r.code, r.req.stream,
               (long long)r.req.max_tokens);
        const struct bytes model = good ? r.req.model : bytes_of(r.error);
        for (size_t i = 0; i < model.len; i++) printf("%02x", (unsigned char)model.ptr[i]);
        putchar('\n');
    }
    free(doc);
    return ferror(stdin) || fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--read") == 0) return read_stdin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_it_names),
        cmocka_unit_test(test_absent_is_told_from_zero),
        cmocka_unit_test(test_usage_is_taken_only_in_openrouters_form),
        cmocka_unit_test(test_each_api_reads_its_own),
        cmocka_unit_test(test_counts_the_bytes_of_texts),
        cmocka_unit_test(test_a_long_image_is_known_by_its_first_bytes),
        cmocka_unit_test(test_refuses_what_parsers_may_read_otherwise),
        cmocka_unit_test(test_refuses_wrong_types_and_values),
        cmocka_unit_test(test_refuses_what_is_not_json),
        cmocka_unit_test(test_depth_is_limited),
        cmocka_unit_test(test_names_have_limits),
        cmocka_unit_test(test_all_names_together_have_a_limit),
        cmocka_unit_test(test_price_limits),
        cmocka_unit_test(test_edits),
        cmocka_unit_test(test_edits_touch_nothing_else),
        cmocka_unit_test(test_recorded_requests),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
