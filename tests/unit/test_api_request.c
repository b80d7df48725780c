/* test_api_request.c - requests of Responses, Anthropic and Gemini: what is read, what is
 * refused, and the edits, output limits of chat included. Bodies end at an unreadable page.
 * Sources: the API references; RFC 8259 section 4 on repeated names. */
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

static bool in_path(enum api api)
{
    return api == API_GENERATE || api == API_GENERATE_COUNT;
}

/* Feed text, first cut bytes of it (0: all), then pieces of step bytes (0: the rest). */
static enum net_rc read_cut(struct api_reader *r, enum api api, struct bytes text, size_t cut,
                            size_t step)
{
    api_request_begin(r, api);
    if (in_path(api)) assert_true(api_request_path(r, BYTES("path-model"), true));
    bool first = true;
    while (text.len > 0) {
        size_t n = first && cut ? cut : step ? step : text.len;
        if (n > text.len) n = text.len;
        first = false;
        memcpy(wall - n, bytes_cut(&text, n).ptr, n);
        if (api_request_feed(r, (struct bytes){wall - n, n}) != NET_MORE) break;
    }
    return api_request_end(r);
}

/* What was read, as a line: without what is absent. */
static void say(const struct api_reader *r, enum net_rc rc, char *out, size_t room)
{
    const struct api_request *q = &r->req;
    if (rc != NET_DONE) {
        (void)snprintf(out, room, "%s at '%s'", r->error, r->pointer);
        return;
    }
    int n = snprintf(out, room, "%.*s prompt=%llu tools=%u/%llu messages=%u", (int)q->model.len,
                     q->model.ptr, (unsigned long long)q->prompt_bytes, q->tool_count,
                     (unsigned long long)q->tool_bytes, q->message_count);
    size_t at = (size_t)n;
    if (q->stream) at += (size_t)snprintf(out + at, room - at, " stream");
    if (q->max_tokens >= 0) {
        at += (size_t)snprintf(out + at, room - at, " max=%lld", (long long)q->max_tokens);
    }
    if (q->output_min > 1) {
        at += (size_t)snprintf(out + at, room - at, " min=%lld", (long long)q->output_min);
    }
    if (q->n >= 0) at += (size_t)snprintf(out + at, room - at, " n=%lld", (long long)q->n);
    if (q->tier) at += (size_t)snprintf(out + at, room - at, " tier=%u", q->tier);
    if (q->previous.len) {
        at += (size_t)snprintf(out + at, room - at, " previous=%.*s", (int)q->previous.len,
                               q->previous.ptr);
    }
    if (q->store) at += (size_t)snprintf(out + at, room - at, " store");
    if (q->conversation) at += (size_t)snprintf(out + at, room - at, " conversation");
    if (q->background) at += (size_t)snprintf(out + at, room - at, " background");
    if (q->models.count) at += (size_t)snprintf(out + at, room - at, " models");
    assert_true(at < room);
}

/* Read text whole, cut at every byte and in small pieces: all must say the same. */
static const char *read_all(enum api api, const char *text)
{
    static struct api_reader r;
    static char want[512];
    char got[512];
    struct bytes body = bytes_of(text);
    say(&r, read_cut(&r, api, body, 0, 0), want, sizeof want);
    for (size_t cut = 1; cut < body.len; cut++) {
        say(&r, read_cut(&r, api, body, cut, 0), got, sizeof got);
        assert_string_equal(got, want);
    }
    for (size_t step = 1; step < 6; step++) {
        say(&r, read_cut(&r, api, body, 0, step), got, sizeof got);
        assert_string_equal(got, want);
    }
    return want;
}

struct reading { enum api api; const char *body, *want; };

static void check_readings(const struct reading *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *got = read_all(cases[i].api, cases[i].body);
        if (strcmp(got, cases[i].want) != 0) print_error("%s\n", cases[i].body);
        assert_string_equal(got, cases[i].want);
    }
}

static void test_responses(void **state)
{
    (void)state;
    static const struct reading cases[] = {
        {API_RESPONSES, "{\"model\":\"m\",\"input\":\"hello\"}",
         "m prompt=5 tools=0/0 messages=1 min=16"},
        {API_RESPONSES, "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":\"hello\"},"
         "{\"content\":[{\"image_url\":\"data:image/png;base64,AAAA\"}]}],\"instructions\":\"a"
         "b\"}",
         "m prompt=11 tools=0/0 messages=2 min=16"},
        {API_RESPONSES, "{\"model\":\"m\",\"input\":[1,2],\"tools\":[{\"type\":\"function\"}],"
         "\"stream\":true,\"max_output_tokens\":100,\"service_tier\":\"flex\"}",
         "m prompt=0 tools=1/21 messages=2 stream max=100 min=16 tier=1"},
        {API_RESPONSES, "{\"model\":\"m\",\"previous_response_id\":\"resp_1\",\"store\":true,"
         "\"background\":true,\"conversation\":{\"id\":\"c\"},\"max_output_tokens\":null}",
         "m prompt=0 tools=0/0 messages=0 min=16 previous=resp_1 store conversation background"
         ""},
        {API_RESPONSES, "{\"model\":\"m\",\"previous_response_id\":null,\"store\":false,"
         "\"background\":null,\"conversation\":null,\"service_tier\":\"priority\"}",
         "m prompt=0 tools=0/0 messages=0 min=16 tier=2"},
        {API_RESPONSES, "{\"model\":\"m\",\"conversation\":\"conv_1\",\"service_tier\":\"auto"
         "\"}",
         "m prompt=0 tools=0/0 messages=0 min=16 conversation"},
        {API_RESPONSES, "{\"models\":[\"a\"],\"provider\":{\"sort\":\"price\"},\"max_tokens\":"
         "-1,"
         "\"n\":\"x\",\"messages\":3}", " prompt=0 tools=0/0 messages=0 min=16 models"},
    };
    check_readings(cases, COUNT(cases));
}

static void test_messages(void **state)
{
    (void)state;
    static const struct reading cases[] = {
        {API_MESSAGES, "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\","
         "\"content\":\"hello\"}]}", "m prompt=9 tools=0/0 messages=1 max=9"},
        {API_MESSAGES, "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"content\":[{\"sourc"
         "e\":"
         "{\"type\":\"base64\",\"data\":\"AAAA\"}}]}],\"system\":[{\"text\":\"ab\"},{}],"
         "\"stream\":true,\"tools\":[{},{}],\"service_tier\":\"standard_only\"}",
         "m prompt=8 tools=2/7 messages=1 stream max=9"},
        {API_MESSAGES, "{\"model\":\"m\",\"max_tokens\":2000,\"messages\":[],\"system\":\"ab\","
         "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}}",
         "m prompt=2 tools=0/0 messages=0 max=2000 min=1025"},
        {API_MESSAGES, "{\"model\":\"m\",\"messages\":[],\"thinking\":{\"type\":\"disabled\"}}",
         "m prompt=0 tools=0/0 messages=0"},
        {API_COUNT_TOKENS, "{\"model\":\"m\",\"messages\":[{\"content\":\"ab\"}],\"stream\":1,"
         "\"max_tokens\":-1,\"system\":\"c\"}", "m prompt=3 tools=0/0 messages=1"},
    };
    check_readings(cases, COUNT(cases));
}

static void test_generate(void **state)
{
    (void)state;
    static const struct reading cases[] = {
        {API_GENERATE, "{}", "path-model prompt=0 tools=0/0 messages=0 stream"},
        {API_GENERATE, "{\"contents\":[{\"parts\":[{\"text\":\"hello\"}]}],"
         "\"model\":\"models/other\"}", "path-model prompt=5 tools=0/0 messages=1 stream"},
        {API_GENERATE, "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"inlineData\":{\"mimeTy"
         "pe\":"
         "\"image/png\",\"data\":\"AAAA\"}}]}],\"systemInstruction\":{\"parts\":[{\"text\":\"a"
         "bc\"}"
         "]},\"tools\":[{\"googleSearch\":{}}],\"generationConfig\":{\"temperature\":1,"
         "\"maxOutputTokens\":50,\"candidateCount\":2}}",
         "path-model prompt=16 tools=1/21 messages=1 stream max=50 n=2"},
        {API_GENERATE, "{\"system_instruction\":{\"parts\":{\"text\":\"abc\"}},"
         "\"generation_config\":{\"max_output_tokens\":50,\"candidate_count\":2}}",
         "path-model prompt=3 tools=0/0 messages=0 stream max=50 n=2"},
        {API_GENERATE, "{\"generationConfig\":null,\"contents\":null,\"stream\":7}",
         "path-model prompt=0 tools=0/0 messages=0 stream"},
        {API_GENERATE_COUNT, "{\"generateContentRequest\":{\"model\":\"models/other\",\"conten"
         "ts\":"
         "[{\"parts\":[{\"text\":\"hello\"}]}],\"tools\":[{}],\"systemInstruction\":\"ab\"}}",
         "path-model prompt=7 tools=1/4 messages=1 stream"},
        {API_GENERATE_COUNT, "{\"contents\":[{\"parts\":[{\"text\":\"hello\\n\"}]}]}",
         "path-model prompt=7 tools=0/0 messages=1 stream"},
    };
    check_readings(cases, COUNT(cases));
    static struct api_reader r;
    static char name[API_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    api_request_begin(&r, API_GENERATE);
    assert_false(api_request_path(&r, (struct bytes){name, 0}, false));
    assert_false(api_request_path(&r, (struct bytes){name, API_NAME_MAX + 1}, false));
    assert_true(api_request_path(&r, (struct bytes){name, API_NAME_MAX}, false));
    assert_int_equal(api_request_feed(&r, BYTES("{\"contents\":[]}")), NET_MORE);
    assert_int_equal(api_request_end(&r), NET_DONE);
    assert_int_equal(r.req.model.len, API_NAME_MAX);
    assert_false(r.req.stream);
    api_request_begin(&r, API_GENERATE);
    assert_int_equal(api_request_feed(&r, BYTES("{}")), NET_MORE);
    assert_int_equal(api_request_end(&r), NET_BAD);  /* nobody said what the path holds */
}

/* What the provider might read otherwise is refused in each dialect. */
static void test_refusals(void **state)
{
    (void)state;
    static const struct reading cases[] = {
        {API_RESPONSES, "{\"input\":\"a\"}", "the member 'model' is missing at '/model'"},
        {API_RESPONSES, "{\"model\":\"m\",\"input\":\"a\",\"input\":\"b\"}",
         "the member 'input' appears twice at '/input'"},
        {API_RESPONSES, "{\"model\":\"m\",\"max_output_tokens\":9007199254740993}",
         "'/max_output_tokens' must be an integer at '/max_output_tokens'"},
        {API_RESPONSES, "{\"model\":\"m\",\"max_output_tokens\":1.5}",
         "'/max_output_tokens' must be an integer at '/max_output_tokens'"},
        {API_RESPONSES, "{\"model\":\"m\",\"Max_Output_Tokens\":1}",
         "the member 'max_output_tokens' is written with other letters at '/max_output_tokens'"
         ""},
        {API_RESPONSES, "{\"model\":\"m\",\"stor\\u0065\":true}",
         "the member 'store' is written with escapes at '/store'"},
        {API_RESPONSES, "{\"model\":\"m\",\"store\":1}",
         "'/store' must be true or false, got a number at '/store'"},
        {API_RESPONSES, "{\"model\":\"m\",\"input\":{}}",
         "'/input' must be a string or an array, got an object at '/input'"},
        {API_RESPONSES, "{\"model\":\"m\",\"previous_response_id\":7}",
         "'/previous_response_id' must be a string, got a number at '/previous_response_id'"},
        {API_RESPONSES, "{\"model\":\"m\",\"previous_response_id\":\"\"}",
         "'/previous_response_id' is empty at '/previous_response_id'"},
        {API_RESPONSES, "{\"model\":\"m\",\"provider\":{\"odd\":1}}",
         "the member 'odd' of '/provider' is not in this release at '/provider'"},
        {API_MESSAGES, "{\"model\":\"m\",\"messages\":\"a\"}",
         "'/messages' must be an array, got a string at '/messages'"},
        {API_MESSAGES, "{\"model\":\"m\",\"max_tokens\":0}",
         "'/max_tokens' must be at least 1 at '/max_tokens'"},
        {API_MESSAGES, "{\"model\":\"m\",\"thinking\":{\"budget_tokens\":1,\"budget_tokens\":2"
         "}}",
         "the member 'budget_tokens' appears twice at '/thinking/budget_tokens'"},
        {API_MESSAGES, "{\"model\":\"m\",\"thinking\":{\"budget_tokens\":\"1\"}}",
         "'/thinking/budget_tokens' must be an integer, got a string at '/thinking/budget_toke"
         "ns'"},
        {API_MESSAGES, "{\"model\":\"m\",\"\xC5\xBFystem\":\"a\"}",
         "the member 'system' is written with other letters at '/system'"},
        {API_COUNT_TOKENS, "{\"model\":\"m\",\"model\":\"n\"}",
         "the member 'model' appears twice at '/model'"},
        {API_GENERATE, "{\"generationConfig\":{},\"generation_config\":{}}",
         "the member 'generation_config' appears twice at '/generation_config'"},
        {API_GENERATE, "{\"generation_config\":{\"max_output_tokens\":1,\"maxOutputTokens\":1}"
         "}",
         "the member 'maxOutputTokens' appears twice at '/generation_config/maxOutputTokens'"},
        {API_GENERATE, "{\"generationConfig\":{\"maxoutputtokens\":1}}",
         "the member 'maxOutputTokens' is written with other letters at "
         "'/generationConfig/maxOutputTokens'"},
        {API_GENERATE, "{\"generationConfig\":{\"maxOutputTokens\":\"5\"}}",
         "'/generationConfig/maxOutputTokens' must be an integer, got a string at "
         "'/generationConfig/maxOutputTokens'"},
        {API_GENERATE, "{\"generationConfig\":[]}",
         "'/generationConfig' must be an object, got an array at '/generationConfig'"},
        {API_GENERATE, "{\"model\":7}", "'/model' must be a string, got a number at '/model'"},
        {API_GENERATE, "[]", "the body must be a JSON object, got an array at ''"},
        {API_GENERATE_COUNT, "{\"contents\":[],\"generateContentRequest\":{\"contents\":[]}}",
         "the member 'contents' appears twice at '/generateContentRequest/contents'"},
        {API_GENERATE_COUNT, "{\"generateContentRequest\":{\"model\":\"\"}}",
         "'/generateContentRequest/model' is empty at '/generateContentRequest/model'"},
    };
    check_readings(cases, COUNT(cases));
}

/* Apply the edits of text. out is NUL-ended. */
static void edit(enum api api, const char *text, const struct api_change *change, char *out,
                 size_t out_room)
{
    static struct api_reader r;
    struct api_edit edits[API_EDITS_MAX];
    char scratch[4096];
    size_t room = 12 * change->model.len + 384, len = 0, at = 0;
    struct bytes body = bytes_of(text);
    if (read_cut(&r, api, body, 0, 0) != NET_DONE) fail_msg("%s: %s", text, r.error);
    memset(scratch, '~', sizeof scratch);
    size_t n = api_request_edits(&r.req, change, edits, scratch, room);
    assert_true(n <= API_EDITS_MAX);
    assert_int_equal(scratch[room], '~');
    for (size_t i = 0; i < n; i++) {
        assert_true(edits[i].at >= at);
        assert_true(edits[i].at + edits[i].del <= body.len);
        len += (size_t)snprintf(out + len, out_room - len, "%.*s%.*s", (int)(edits[i].at - at),
                                text + at, (int)edits[i].put.len, edits[i].put.ptr);
        at = edits[i].at + edits[i].del;
    }
    (void)snprintf(out + len, out_room - len, "%s", text + at);
    if (read_cut(&r, api, bytes_of(out), 0, 0) != NET_DONE) fail_msg("%s: %s", out, r.error);
    if (change->output_max == 0 || r.req.max_tokens < 0) return;
    assert_true(r.req.max_tokens <= change->output_max);
}

static void test_limits_are_lowered(void **state)
{
    (void)state;
    static const struct { enum api api; bool completion; const char *body, *want; } cases[] = {
        {API_CHAT, false, "{\"model\":\"m\",\"max_tokens\":500}",
         "{\"model\":\"m\",\"max_tokens\":100}"},
        {API_CHAT, false, "{\"model\":\"m\",\"max_tokens\":99}", NULL},
        {API_CHAT, false, "{\"model\":\"m\",\"max_tokens\":100}", NULL},
        {API_CHAT, false, "{\"max_completion_tokens\": 101 ,\"model\":\"m\"}",
         "{\"max_completion_tokens\": 100 ,\"model\":\"m\"}"},
        {API_CHAT, false, "{\"model\":\"m\",\"max_tokens\":50,\"max_completion_tokens\":500}",
         "{\"model\":\"m\",\"max_tokens\":50,\"max_completion_tokens\":100}"},
        {API_CHAT, false, "{\"model\":\"m\",\"max_tokens\":500,\"max_completion_tokens\":null}",
         "{\"model\":\"m\",\"max_tokens\":100,\"max_completion_tokens\":null}"},
        {API_CHAT, true, "{\"model\":\"m\"}", "{\"max_completion_tokens\":100,\"model\":\"m\"}"
         ""},
        {API_CHAT, false, "{\"model\":\"m\"}", "{\"max_tokens\":100,\"model\":\"m\"}"},
        {API_CHAT, true, "{\"model\":\"m\",\"max_tokens\":null}",
         "{\"model\":\"m\",\"max_tokens\":100}"},
        {API_CHAT, true, "{\"models\":[\"m\"]}",
         "{\"model\":\"m\",\"max_completion_tokens\":100}"},
        {API_CHAT, false, "{\"stream\":true,\"models\":[\"m\"]}",
         "{\"model\":\"m\",\"max_tokens\":100,\"stream_options\":{\"include_usage\":true},"
         "\"stream\":true}"},
        {API_COMPLETIONS, true, "{\"model\":\"m\",\"prompt\":\"a\"}",
         "{\"max_tokens\":100,\"model\":\"m\",\"prompt\":\"a\"}"},
        {API_RESPONSES, true, "{\"model\":\"m\"}", "{\"max_output_tokens\":100,\"model\":\"m\""
         "}"},
        {API_RESPONSES, true, "{\"model\":\"m\",\"max_output_tokens\":1000}",
         "{\"model\":\"m\",\"max_output_tokens\":100}"},
        {API_MESSAGES, true, "{\"model\":\"m\",\"max_tokens\":1000}",
         "{\"model\":\"m\",\"max_tokens\":100}"},
        {API_MESSAGES, true, "{\"model\":\"m\",\"models\":[\"x\"],\"stream\":true}",
         "{\"max_tokens\":100,\"model\":\"m\",\"stream\":true}"},
        {API_EMBEDDINGS, true, "{\"model\":\"m\"}", NULL},
        {API_MODERATIONS, true, "{\"model\":\"m\"}", NULL},
        {API_COUNT_TOKENS, true, "{\"model\":\"m\",\"max_tokens\":500}", NULL},
        {API_GENERATE_COUNT, true, "{\"contents\":[]}", NULL},
        {API_GENERATE, false, "{}", "{\"generationConfig\":{\"maxOutputTokens\":100}}"},
        {API_GENERATE, false, "{\"contents\":[]}",
         "{\"generationConfig\":{\"maxOutputTokens\":100},\"contents\":[]}"},
        {API_GENERATE, false, "{\"generationConfig\":{ }}",
         "{\"generationConfig\":{\"maxOutputTokens\":100 }}"},
        {API_GENERATE, false, "{\"generationConfig\":null}",
         "{\"generationConfig\":{\"maxOutputTokens\":100}}"},
        {API_GENERATE, false, "{\"generationConfig\":{\"topK\":1}}",
         "{\"generationConfig\":{\"maxOutputTokens\":100,\"topK\":1}}"},
        {API_GENERATE, false, "{\"generation_config\":{\"max_output_tokens\":101}}",
         "{\"generation_config\":{\"max_output_tokens\":100}}"},
        {API_GENERATE, false, "{\"model\":\"models/x\"}",
         "{\"generationConfig\":{\"maxOutputTokens\":100}}"},
        {API_GENERATE, false, "{\"model\":\"models/x\",\"contents\":[]}",
         "{\"generationConfig\":{\"maxOutputTokens\":100},\"contents\":[]}"},
    };
    char out[512];
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct api_change change = {.model = BYTES("m"), .want_usage = true, .output_max = 100,
                                    .completion_tokens = cases[i].completion};
        edit(cases[i].api, cases[i].body, &change, out, sizeof out);
        assert_string_equal(out, cases[i].want ? cases[i].want : cases[i].body);
        if (cases[i].api == API_CHAT && strstr(cases[i].body, "models")) continue;
        change.output_max = 0;  /* and nobody asks: the limit stays as it is */
        edit(cases[i].api, cases[i].body, &change, out, sizeof out);
        if (in_path(cases[i].api) && strstr(cases[i].body, "models")) continue;
        if (!strstr(cases[i].body, "models")) assert_string_equal(out, cases[i].body);
    }
}

static const struct api_change no_max = {.model = BYTES_INIT("m"), .no_max = true,
                                         .completion_tokens = true};
static const struct api_change no_completion = {.model = BYTES_INIT("m"),
                                                .no_completion = true};
static const struct api_change capped = {.model = BYTES_INIT("m"), .no_max = true,
                                         .completion_tokens = true, .output_max = 7};
static const struct api_change no_options = {.model = BYTES_INIT("m"), .no_options = true,
                                             .want_usage = true};
static const struct api_change no_sampling = {.model = BYTES_INIT("m"),
                                              .no_sampling = true};
static const struct api_change all = {.model = BYTES_INIT("other"), .no_max = true,
                                      .no_options = true, .no_sampling = true,
                                      .output_max = 5, .want_usage = true,
                                      .completion_tokens = true};
#define M "\"model\":\"m\""
static const struct {
    enum api api; const struct api_change *change; const char *body, *want;
} refused[] = {
    {API_CHAT, &no_max, "{" M ",\"max_tokens\": 9}",
     "{" M ",\"max_completion_tokens\": 9}"},
    {API_CHAT, &no_max, "{\"max_tokens\":null," M "}",
     "{\"max_completion_tokens\":null," M "}"},
    {API_CHAT, &no_max, "{" M ",\"max_completion_tokens\":9}", NULL},
    {API_CHAT, &no_max, "{" M "}", NULL},
    {API_CHAT, &no_max, "{\"max_tokens\":50," M ",\"max_completion_tokens\":9}",
     "{" M ",\"max_completion_tokens\":9}"},
    {API_CHAT, &no_max, "{" M ",\"max_completion_tokens\":null,\"max_tokens\":50}",
     "{" M ",\"max_completion_tokens\":50}"},
    {API_CHAT, &no_max, "{" M ",\"max_completion_tokens\":null,\"max_tokens\":null}",
     "{" M ",\"max_completion_tokens\":null}"},
    {API_CHAT, &no_completion, "{\"max_completion_tokens\":9," M "}",
     "{\"max_tokens\":9," M "}"},
    {API_CHAT, &no_completion, "{" M ",\"max_tokens\":1,\"max_completion_tokens\":9}",
     "{" M ",\"max_tokens\":1}"},
    {API_COMPLETIONS, &no_max, "{" M ",\"prompt\":\"\",\"max_tokens\":9}", NULL},
    {API_RESPONSES, &no_max, "{" M ",\"max_output_tokens\":9}", NULL},
    {API_MESSAGES, &no_max, "{" M ",\"max_tokens\":9}", NULL},
    {API_GENERATE, &no_max, "{\"generationConfig\":{\"maxOutputTokens\":9}}", NULL},
    {API_CHAT, &capped, "{" M ",\"max_tokens\":9}", "{" M ",\"max_completion_tokens\":7}"},
    {API_CHAT, &capped, "{" M ",\"max_tokens\":5,\"max_completion_tokens\":9}",
     "{" M ",\"max_completion_tokens\":7}"},
    {API_CHAT, &capped, "{" M ",\"max_tokens\":9,\"max_completion_tokens\":null}",
     "{" M ",\"max_completion_tokens\":7}"},
    {API_CHAT, &capped, "{" M "}", "{\"max_completion_tokens\":7," M "}"},
    {API_CHAT, &no_options, "{" M ",\"stream\":true,\"stream_options\":{\"x\":1}}",
     "{" M ",\"stream\":true}"},
    {API_CHAT, &no_options, "{\"stream_options\":{\"include_usage\":true}," M "}",
     "{" M "}"},
    {API_CHAT, &no_options, "{" M ",\"stream\":true}", NULL},
    {API_CHAT, &no_sampling, "{\"temperature\":0,\"top_p\":1," M ",\"top_k\":{}}",
     "{" M "}"},
    {API_RESPONSES, &no_sampling, "{" M ",\"temperature\":0.5,\"input\":\"a\"}",
     "{" M ",\"input\":\"a\"}"},
    {API_MESSAGES, &no_sampling, "{\"top_k\":5," M ",\"max_tokens\":1,\"top_p\":1}",
     "{" M ",\"max_tokens\":1}"},
    {API_EMBEDDINGS, &no_sampling, "{\"temperature\":0," M "}", NULL},
    {API_GENERATE, &no_sampling, "{\"generationConfig\":{\"temperature\":0}}", NULL},
    {API_CHAT, &all, "{\"usage\":{\"include\":true},\"temperature\":1,\"stream\":true,"
     "\"models\":[\"a\"],\"max_tokens\":9,\"max_completion_tokens\":null,\"top_p\":1,"
     "\"top_k\":1,\"stream_options\":{},\"provider\":{}," M "}",
     "{\"stream\":true,\"max_completion_tokens\":5,\"model\":\"other\"}"},
};
#undef M

/* What a provider is known to refuse: renamed where it means the same, else left out. */
static void test_refused_members(void **state)
{
    (void)state;
    char out[512];
    for (size_t i = 0; i < COUNT(refused); i++) {
        edit(refused[i].api, refused[i].body, refused[i].change, out, sizeof out);
        assert_string_equal(out, refused[i].want ? refused[i].want : refused[i].body);
    }
}

static void test_names_are_changed(void **state)
{
    (void)state;
    static const struct { enum api api; const char *body, *want; } cases[] = {
        {API_RESPONSES, "{\"model\":\"m\",\"provider\":{},\"input\":\"a\",\"stream\":true}",
         "{\"model\":\"o\\\"n\",\"input\":\"a\",\"stream\":true}"},
        {API_MESSAGES, "{\"messages\":[],\"model\":\"m\",\"models\":[\"x\"]}",
         "{\"messages\":[],\"model\":\"o\\\"n\"}"},
        {API_GENERATE, "{\"model\":\"models/m\",\"contents\":[]}", "{\"contents\":[]}"},
        {API_GENERATE, "{\"contents\":[],\"model\":null}", "{\"contents\":[]}"},
        {API_GENERATE_COUNT, "{\"generateContentRequest\":{\"model\":\"models/m\"}}",
         "{\"generateContentRequest\":{\"model\":\"models/o\\\"n\"}}"},
    };
    char out[512];
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct api_change change = {.model = BYTES("o\"n"), .want_usage = true};
        edit(cases[i].api, cases[i].body, &change, out, sizeof out);
        assert_string_equal(out, cases[i].want);
    }
    /* room for the longest name, each byte of it escaped, and all that may be inserted */
    char name[API_NAME_MAX];
    static char long_out[8192];
    memset(name, '\x01', sizeof name);
    struct api_change change = {.model = {name, sizeof name}, .want_usage = true,
                                .output_max = INT64_MAX, .completion_tokens = true,
                                .effort = API_EFFORT_MINIMAL};
    static struct api_reader r;
    struct api_edit edits[API_EDITS_MAX];
    assert_int_equal(read_cut(&r, API_CHAT, BYTES("{\"models\":[\"a\"],\"stream\":true}"), 0,
    0),
                     NET_DONE);
    size_t n = api_request_edits(&r.req, &change, edits, long_out, 12 * sizeof name + 384);
    assert_int_equal(n, 2);
    assert_int_equal(edits[0].put.len, 6 * sizeof name + 10 + 43 + 28 + 39 + 4);
}

/* The effort is put where the body says nothing of it, and nowhere else. */
/* The scanner gives no text of a name over JSON_TEXT_MAX that a cut goes through: it is none of
 * those that are looked for, wherever it stands. */
static void test_long_names(void **state)
{
    (void)state;
    static const struct { enum api api; const char *before, *behind; } places[] = {
        {API_CHAT, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\",\"",
         "\":\"data\"}]}"},
        {API_CHAT, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"",
         "\":1}]}]}"},
        {API_RESPONSES, "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"", "\":[\"hi\"]}]}"},
        {API_MESSAGES, "{\"model\":\"m\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\","
         "\"content\":\"hi\"}],\"tools\":[{\"name\":\"f\",\"input_schema\":{\"", "\":{}}}]}"},
        {API_GENERATE, "{\"contents\":[{\"parts\":[{\"text\":\"hi\",\"", "\":{}}]}]}"},
        {API_EMBEDDINGS, "{\"model\":\"m\",\"input\":\"hi\",\"user\":\"u\",\"", "\":1}"},
    };
    static const size_t lens[] = {JSON_TEXT_MAX - 1, JSON_TEXT_MAX, JSON_TEXT_MAX + 1, 1200};
    for (size_t i = 0; i < COUNT(places); i++) {
        for (size_t k = 0; k < COUNT(lens); k++) {
            char name[1201], body[1600];
            memset(name, 'd', lens[k]);
            name[lens[k]] = '\0';
            (void)snprintf(body, sizeof body, "%s%s%s", places[i].before, name,
                           places[i].behind);
            (void)read_all(places[i].api, body);
        }
    }
}

static void test_effort_is_put(void **state)
{
    (void)state;
    static const struct { enum api api; enum api_effort effort; const char *body, *want; }
        cases[] = {
        {API_CHAT, API_EFFORT_LOW, "{\"model\":\"m\"}",
         "{\"reasoning_effort\":\"low\",\"model\":\"m\"}"},
        {API_CHAT, API_EFFORT_NONE, "{ \"model\":\"m\",\"max_tokens\":5}",
         "{\"reasoning_effort\":\"none\", \"model\":\"m\",\"max_tokens\":5}"},
        {API_CHAT, API_EFFORT_XHIGH, "{\"models\":[\"m\"]}",
         "{\"model\":\"m\",\"reasoning_effort\":\"xhigh\"}"},
        {API_CHAT, API_EFFORT_UNSET, "{\"model\":\"m\"}", NULL},
        {API_CHAT, API_EFFORT_LOW, "{\"reasoning_effort\":null,\"model\":\"m\"}", NULL},
        {API_CHAT, API_EFFORT_LOW, "{\"reasoning\":{},\"model\":\"m\"}", NULL},
        {API_CHAT, API_EFFORT_LOW, "{\"reasoning\":[],\"model\":\"m\"}", NULL},
        {API_CHAT, API_EFFORT_LOW, "{\"model\":\"m\",\"reasoning_effort\":\"high\"}", NULL},
        {API_RESPONSES, API_EFFORT_MEDIUM, "{\"model\":\"m\",\"input\":\"x\"}",
         "{\"reasoning\":{\"effort\":\"medium\"},\"model\":\"m\",\"input\":\"x\"}"},
        {API_RESPONSES, API_EFFORT_HIGH, "{\"model\":\"m\",\"reasoning\":{\"summary\":"
         "\"auto\"}}", NULL},
        {API_COMPLETIONS, API_EFFORT_LOW, "{\"model\":\"m\"}", NULL},
        {API_MESSAGES, API_EFFORT_LOW, "{\"model\":\"m\",\"messages\":[]}", NULL},
        {API_GENERATE, API_EFFORT_LOW, "{\"contents\":[]}", NULL},
    };
    char out[512];
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct api_change change = {.model = BYTES("m"), .effort = (uint8_t)cases[i].effort};
        edit(cases[i].api, cases[i].body, &change, out, sizeof out);
        assert_string_equal(out, cases[i].want ? cases[i].want : cases[i].body);
    }
}

/* ---- recordings ---- */

struct count { enum api api; size_t read; };

static void check_recorded(const struct tape *tape, void *arg)
{
    static struct api_reader r, again;
    static char got[512], want[512];
    struct count *count = arg;
    struct bytes text = tape->request, found;
    if (text.len == 0 || *text.ptr != '{' || text.len >= AREA) return;
    if (!in_path(count->api) && !tape_path(text, "model",
    &found)) return;  /* Vertex: in the path */
    enum net_rc rc = read_cut(&r, count->api, text, 0, 0);
    if (rc != NET_DONE) fail_msg("%s: %s", tape->name, r.error);
    say(&r, rc, want, sizeof want);
    uint64_t seed = text.len;
    for (size_t i = 0; i < 60; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        rc = read_cut(&again, count->api, text, 1 + (size_t)(seed >> 33) % text.len, 0);
        say(&again, rc, got, sizeof got);
        assert_string_equal(got, want);
    }
    say(&again, read_cut(&again, count->api, text, 0, 7), got, sizeof got);
    assert_string_equal(got, want);
    assert_true(r.req.message_count > 0);
    assert_true(r.req.prompt_bytes > 0);
    const char *limit = count->api == API_RESPONSES ? "max_output_tokens"
                        : in_path(count->api)       ? "generationConfig.maxOutputTokens"
                                                    : "max_tokens";
    uint64_t max;
    bool has = tape_path(text, limit, &found) && bytes_u64(found, &max);
    assert_int_equal(r.req.max_tokens, has ? (int64_t)max : -1);
    assert_int_equal(r.req.tool_bytes > 0, tape_path(text, "tools", &found));
    count->read++;
}

static void test_recorded(void **state)
{
    (void)state;
    struct count messages = {API_MESSAGES, 0}, responses = {API_RESPONSES, 0};
    struct count generate = {API_GENERATE, 0};
    if (!tapes_each("anthropic-messages", check_recorded, &messages)) skip();
    assert_true(tapes_each("openai-responses", check_recorded, &responses));
    assert_true(tapes_each("gemini-generate", check_recorded, &generate));
    assert_true(messages.read > 95);
    assert_true(responses.read > 75);
    assert_true(generate.read > 90);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_generate),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_limits_are_lowered),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_effort_is_put),
        cmocka_unit_test(test_names_are_changed), cmocka_unit_test(test_refused_members),
        cmocka_unit_test(test_recorded),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
