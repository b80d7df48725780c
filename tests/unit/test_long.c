/* test_long.c - what is longer than the scanner gathers (JSON_TEXT_MAX) where a cut goes
 * through it, read by all that read JSON in pieces.
 * Model: each key, string and number of each document is made long in turn, by what is put
 * before it and by what is put behind it; the document is read whole, in small pieces, and cut
 * once at many places inside of the long one. What is read must be the same.
 * Rule: a piece ends at an unreadable page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/dialect/api_state.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/wall.h"

enum { DOC_MAX = 4096, LONG_MAX = 1200, ONCE = 67 };

static struct wall wall;

static int open_wall(void **state)
{
    (void)state;
    wall = wall_open(DOC_MAX + LONG_MAX);
    return 0;
}

static int close_wall(void **state)
{
    (void)state;
    wall_close(&wall);
    return 0;
}

struct doc { enum api api; const char *text; };

/* How a document is cut: first bytes, then pieces of step bytes. */
struct cut { size_t first, step; };

/* The next piece of what is left. False: there is none. */
static bool next_piece(struct bytes *rest, struct cut *cut, struct bytes *piece)
{
    size_t n = cut->first ? cut->first : cut->step;
    cut->first = 0;
    if (rest->len == 0) return false;
    *piece = wall_put(&wall, bytes_cut(rest, n < rest->len ? n : rest->len));
    return true;
}

/* ---- long documents ---- */

/* Reads text as that API's and dies where it is not what the whole is. */
typedef void (*check)(enum api api, struct bytes text, struct cut cut);

/* All cuts of a document whose token from start to end is long. */
static void cut_all(enum api api, struct bytes text, size_t start, size_t end, check same)
{
    static const size_t steps[] = {1, 7, 64, 511};
    for (size_t i = 0; i < COUNT(steps); i++) same(api, text, (struct cut){0, steps[i]});
    for (size_t at = start + 1; at < end; at += ONCE) {
        same(api, text, (struct cut){at, text.len});
    }
    same(api, text, (struct cut){end - 1, text.len});
}

/* Put the token of t into out with n bytes more: before it, or behind it; of a number, as zeros
 * behind its point, or behind its digits. Gives the bytes. */
static size_t put_long(char *out, struct bytes token, size_t n, bool before)
{
    bool string = *token.ptr == '"';
    size_t len = 0;
    if (string) out[len++] = *bytes_cut(&token, 1).ptr;
    if (string) token.len--;
    bool point = !string && before;
    if (string && before) memset(out + len, 'x', n);
    if (string && before) len += n;
    memcpy(out + len, token.ptr, token.len);
    len += token.len;
    if (point) out[len++] = '.';
    if (point || !before) memset(out + len, string ? 'x' : '0', n);
    if (point || !before) len += n;
    if (string) out[len++] = '"';
    return len;
}

static void check_token(const struct doc *d, const struct json_token *t, check same)
{
    static const size_t more[] = {400, JSON_TEXT_MAX - 3, JSON_TEXT_MAX + 1, LONG_MAX};
    static char room[DOC_MAX + LONG_MAX + 8];
    const size_t start = (size_t)t->start, end = (size_t)t->end;
    for (size_t i = 0; i < 2 * COUNT(more); i++) {
        memcpy(room, d->text, start);
        struct bytes token = bytes_between(d->text + start, d->text + end);
        size_t at = start + put_long(room + start, token, more[i / 2], i % 2);
        size_t len = strlen(d->text) - end;
        memcpy(room + at, d->text + end, len);
        cut_all(d->api, (struct bytes){room, at + len}, start, at, same);
    }
}

/* Make each token of each document long. */
static void check_docs(const struct doc *docs, size_t count, check same)
{
    for (size_t i = 0; i < count; i++) {
        struct json j;
        struct json_token t;
        struct bytes in = bytes_of(docs[i].text);
        assert_true(in.len < DOC_MAX);
        json_init(&j, JSON_DEPTH_MAX);
        while (json_next(&j, &in, &t) == NET_OK) {
            bool word = t.type == JSON_KEY || t.type == JSON_STRING || t.type == JSON_NUMBER;
            if (word) check_token(&docs[i], &t, same);
        }
        if (json_finish(&j, &t) != NET_DONE) fail_msg("no JSON: %s", docs[i].text);
    }
}

/* ---- requests ---- */

static const struct doc requests[] = {
    {API_CHAT, "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{"
     "\"role\":"
     "\"user\",\"content\":[{\"type\":\"text\",\"text\":\"t\"},{\"type\":\"image_url\","
     "\"image_url\":{\"url\":\"data:x\"}},{\"type\":\"file\",\"file\":{\"file_data\":\"d\"}}]},"
     "{\"role\":\"tool\",\"content\":\"r\",\"n\":1}],\"max_tokens\":7,\"n\":1,\"seed\":12,"
     "\"stream\":true,\"stream_options\":{\"include_usage\":false,\"y\":2},\"tool_choice\":"
     "\"auto\",\"reasoning_effort\":\"low\",\"service_tier\":\"flex\",\"user\":\"u\"}"},
    {API_CHAT, "{\"model\":\"m\",\"messages\":[],\"models\":[\"a\",\"b\"],\"provider\":{"
     "\"sort\":"
     "\"price\",\"order\":[\"o\"],\"max_price\":{\"prompt\":2,\"completion\":0},"
     "\"data_collection\":\"deny\"},\"usage\":{\"include\":true},\"tools\":[{\"type\":"
     "\"function\",\"function\":{\"name\":\"f\"}},{\"type\":\"web\"}],\"response_format\":{"
     "\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{\"a\":1}}},"
     "\"reasoning\":{\"effort\":\"high\",\"max_tokens\":5},\"temperature\":1,\"top_k\":3,"
     "\"tool_choice\":{\"type\":\"function\"},\"max_completion_tokens\":9,\"store\":false}"},
    {API_COMPLETIONS, "{\"model\":\"m\",\"prompt\":[\"a\",\"b\"],\"max_tokens\":3,\"x\":\"y"
     "\"}"},
    {API_COMPLETIONS, "{\"model\":\"m\",\"prompt\":[1,22]}"},
    {API_EMBEDDINGS, "{\"model\":\"m\",\"input\":[\"a\"],\"dimensions\":4}"},
    {API_MODERATIONS, "{\"input\":[{\"type\":\"text\",\"text\":\"a\"}]}"},
    {API_RERANK, "{\"model\":\"m\",\"documents\":[\"a\",{\"text\":\"b\"}],\"query\":\"q\"}"},
    {API_IMAGES, "{\"model\":\"m\",\"prompt\":\"p\",\"n\":2,\"size\":\"s\"}"},
    {API_RESPONSES, "{\"model\":\"m\",\"input\":[{\"type\":\"message\",\"role\":\"user\","
     "\"content\":[{\"type\":\"input_text\",\"text\":\"t\"},{\"type\":\"input_image\"}]},{"
     "\"type\":\"function_call\",\"arguments\":\"{}\"},{\"type\":\"function_call_output\","
     "\"output\":\"o\"},{\"type\":\"x_call\"},\"s\"],\"instructions\":\"i\",\"text\":{"
     "\"format\":{\"type\":\"json_object\"}},\"reasoning\":{\"effort\":\"low\"},\"store"
     "\":false,"
     "\"previous_response_id\":\"p\",\"conversation\":\"c\",\"max_output_tokens\":16,"
     "\"service_tier\":\"priority\",\"tools\":[{\"type\":\"custom\"}],\"prompt\":\"p\"}"},
    {API_MESSAGES, "{\"model\":\"m\",\"max_tokens\":20,\"system\":[{\"type\":\"text\",\"text\":"
     "\"s\"}],\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
     "\"content\":[{\"type\":\"image\",\"source\":{\"data\":\"d\"}}]},{\"type\":\"document"
     "\"}]}],"
     "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":5},\"output_config\":{\"effort\":"
     "\"low\"},\"tool_choice\":{\"type\":\"any\"},\"tools\":[{\"type\":\"bash_1\",\"name\":"
     "\"n\"}],\"top_p\":1}"},
    {API_GENERATE, "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"t\"},{"
     "\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"d\"}},{\"fileData\":{\"mimeType\":"
     "\"audio/x\",\"fileUri\":\"u\"}},{\"functionResponse\":{\"name\":\"n\"}}]}],"
     "\"systemInstruction\":{\"parts\":[{\"text\":\"s\"}]},\"generationConfig\":{"
     "\"maxOutputTokens\":9,\"responseMimeType\":\"application/json\",\"thinkingConfig\":{"
     "\"thinkingLevel\":\"LOW\",\"thinkingBudget\":7},\"candidateCount\":1},\"toolConfig\":{"
     "\"functionCallingConfig\":{\"mode\":\"ANY\"}},\"tools\":[{\"functionDeclarations\":[{"
     "\"name\":\"f\"}]},{\"googleSearch\":{}}]}"},
    {API_GENERATE_COUNT, "{\"generateContentRequest\":{\"model\":\"m\",\"contents\":[{"
     "\"parts\":"
     "[{\"text\":\"t\"}]}]}}"},
    {API_COUNT_TOKENS, "{\"model\":\"m\",\"system\":\"s\",\"messages\":[{\"role\":\"user\","
     "\"content\":\"c\"}]}"},
};

static enum net_rc read_request(struct api_reader *r, enum api api, struct bytes text,
                                struct cut cut)
{
    struct bytes piece;
    api_request_begin(r, api);
    bool path = api == API_GENERATE || api == API_GENERATE_COUNT;
    if (path) assert_true(api_request_path(r, BYTES("m"), true));
    while (next_piece(&text, &cut, &piece)) {
        if (api_request_feed(r, piece) == NET_BAD) break;
    }
    return api_request_end(r);
}

static void same_request(enum api api, struct bytes text, struct cut cut)
{
    static struct api_reader whole, other;
    enum net_rc rc = read_request(&whole, api, text, (struct cut){0, text.len});
    bool same = read_request(&other, api, text, cut) == rc;
    if (rc == NET_DONE) same = same && request_same(&whole.req, &other.req);
    else same = same && strcmp(whole.error, other.error) == 0 &&
                strcmp(whole.pointer, other.pointer) == 0;
    if (!same) fail_msg("cut at %zu, %zu: %.*s", cut.first, cut.step, (int)text.len, text.ptr);
}

static void test_requests(void **state)
{
    (void)state;
    static struct api_reader r;
    for (size_t i = 0; i < COUNT(requests); i++) {    /* they are requests as they are */
        struct bytes text = bytes_of(requests[i].text);
        enum net_rc rc = read_request(&r, requests[i].api, text, (struct cut){0, text.len});
        if (rc != NET_DONE) fail_msg("%s: %s", requests[i].text, r.error);
    }
    check_docs(requests, COUNT(requests), same_request);
}

static bool changes_state(enum api api, struct bytes text, struct cut cut)
{
    struct api_state s;
    struct bytes piece;
    api_state_begin(&s, api);
    while (next_piece(&text, &cut, &piece)) api_state_feed(&s, piece);
    return api_changes_state(&s);
}

static void same_state(enum api api, struct bytes text, struct cut cut)
{
    bool whole = changes_state(api, text, (struct cut){0, text.len});
    if (changes_state(api, text, cut) == whole) return;
    fail_msg("cut at %zu, %zu: %.*s", cut.first, cut.step, (int)text.len, text.ptr);
}

static void test_state(void **state)
{
    (void)state;
    check_docs(requests, COUNT(requests), same_state);
}

/* ---- answers ---- */

static const struct doc answers[] = {
    {API_CHAT, "{\"id\":\"i\",\"object\":\"o\",\"model\":\"m\",\"created\":5,\"choices\":[{"
     "\"index\":0,\"message\":{\"content\":\"{}\",\"refusal\":\"r\",\"reasoning\":\"h\","
     "\"reasoning_content\":\"hm\",\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"f\","
     "\"arguments\":\"{}\"}}],\"audio\":{\"data\":\"d\",\"transcript\":\"t\"}},"
     "\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":8,"
     "\"total_tokens\":17,\"prompt_tokens_details\":{\"cached_tokens\":3},"
     "\"completion_tokens_details\":{\"reasoning_tokens\":2}},\"x\":{\"y\":\"z\"}}"},
    {API_CHAT, "{\"choices\":[{\"message\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[{"
     "\"text\":\"t\"}]},{\"type\":\"text\",\"text\":\"t\"},{\"odd\":\"o\"}],\"images\":[\"i"
     "\"]},"
     "\"finish_reason\":\"stop\"}]}"},
    {API_CHAT, "{\"choices\":[{\"delta\":{\"content\":[{\"odd\":\"o\"}]}}]}"},
    {API_CHAT, "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"odd\":\"o\"}]}}]}"},
    {API_CHAT, "{\"error\":{\"code\":429,\"type\":\"t\",\"status\":\"500\",\"message\":\"m\"},"
     "\"message\":\"m\",\"code\":500}"},
    {API_CHAT, "{\"object\":\"error\",\"message\":\"m\",\"code\":\"429\",\"statusCode\":400}"},
    {API_COMPLETIONS, "{\"choices\":[{\"text\":\"t\",\"finish_reason\":\"stop\"}],\"x_groq\":{"
     "\"usage\":{\"prompt_tokens\":2}}}"},
    {API_RESPONSES, "{\"type\":\"response.output_item.done\",\"output_index\":1,"
     "\"sequence_number\":4,\"item\":{\"type\":\"x_call\",\"action\":{\"a\":\"b\"},\"content"
     "\":[{"
     "\"type\":\"output_text\",\"text\":\"t\"}],\"arguments\":\"{}\"},\"delta\":\"d\"}"},
    {API_RESPONSES, "{\"id\":\"i\",\"created_at\":3,\"model\":\"m\",\"output\":[{\"type\":"
     "\"x_call\",\"summary\":[{\"type\":\"s\",\"text\":\"t\"}],\"result\":\"r\"},{\"type\":"
     "\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"t\"},{\"refusal\":\"r"
     "\"}]}],"
     "\"incomplete_details\":{\"reason\":\"content_filter\"},\"usage\":{\"input_tokens\":4,"
     "\"output_tokens\":5},\"response\":{\"id\":\"i\",\"output\":[{\"type\":\"y_call\"}]}}"},
    {API_RESPONSES, "{\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"m\","
     "\"error\":{\"type\":\"server_error\",\"message\":\"n\"}}"},
    {API_MESSAGES, "{\"type\":\"message\",\"id\":\"i\",\"model\":\"m\",\"content\":[{\"type\":"
     "\"text\",\"text\":\"t\"},{\"type\":\"tool_use\",\"name\":\"n\",\"input\":{\"a\":1}},{"
     "\"type\":\"x\",\"data\":\"d\",\"thinking\":\"t\"}],\"stop_reason\":\"max_tokens\","
     "\"usage\":{\"input_tokens\":5,\"output_tokens\":6,\"cache_creation\":{"
     "\"ephemeral_1h_input_tokens\":1},\"cache_read_input_tokens\":2}}"},
    {API_MESSAGES, "{\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":"
     "\"x\",\"name\":\"n\"},\"delta\":{\"text\":\"t\",\"partial_json\":\"p\",\"citation\":{"
     "\"url\":\"u\"}},\"message\":{\"id\":\"i\"}}"},
    {API_MESSAGES, "{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"m\"}}"},
    {API_GENERATE, "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"t\"},{\"inlineData"
     "\":{"
     "\"data\":\"d\"}},{\"functionCall\":{\"name\":\"n\",\"args\":{\"a\":\"b\"}}}]},"
     "\"finishReason\":\"SAFETY\"}],\"responseId\":\"i\",\"modelVersion\":\"m\","
     "\"usageMetadata\":{\"promptTokenCount\":4,\"candidatesTokenCount\":3,"
     "\"promptTokensDetails\":[{\"modality\":\"AUDIO\",\"tokenCount\":2},{\"modality\":2,"
     "\"tokenCount\":1}]},\"promptFeedback\":{\"blockReason\":\"b\"}}"},
    {API_GENERATE, "[{\"error\":{\"code\":429,\"message\":\"m\",\"status\":\"s\"}}]"},
    {API_CONVERSE, "{\"contentBlockIndex\":0,\"delta\":{\"text\":\"t\",\"toolUse\":{\"input\":"
     "\"i\"}},\"start\":{\"toolUse\":{\"name\":\"n\"}},\"stopReason\":\"max_tokens\","
     "\"message\":"
     "\"m\",\"usage\":{\"inputTokens\":3,\"outputTokens\":4},\"output\":{\"message\":{"
     "\"content\":[{\"text\":\"t\",\"reasoningContent\":{\"text\":\"u\"}}]}}}"},
    {API_COHERE, "{\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"MAX_TOKENS\","
     "\"usage\":{\"billed_units\":{\"input_tokens\":3},\"tokens\":{\"output_tokens\":4}},"
     "\"message\":{\"content\":{\"text\":\"t\"},\"tool_calls\":{\"function\":{\"name\":\"n\","
     "\"arguments\":\"{}\"}}}},\"message\":{\"content\":[{\"type\":\"x\",\"text\":\"t\"}]}}"},
};

static enum net_rc read_answer(struct api_answer_reader *r, enum api api, struct bytes text,
                               struct cut cut, struct api_check *verdict)
{
    struct api_request q = {.format = API_FORMAT_JSON, .tool_count = 1, .n = 1};
    struct bytes piece;
    enum net_rc rc = NET_MORE;
    api_check_begin(verdict, &q);
    api_answer_begin(r, api);
    api_answer_check(r, verdict);
    while (rc == NET_MORE && next_piece(&text, &cut, &piece)) rc = api_answer_feed(r, piece);
    return rc == NET_BAD ? rc : api_answer_end(r);
}

/* What is checked of a text may be given up where a cut goes through it; it is never made. */
static bool outcome_fits(unsigned whole, unsigned cut)
{
    const unsigned said = API_OUTCOME_LENGTH | API_OUTCOME_REFUSAL;
    return (cut & ~whole) == 0 && (whole & said) == (cut & said);
}

static void same_answer(enum api api, struct bytes text, struct cut cut)
{
    static struct api_answer_reader whole, other;
    const struct api_answer *a = &whole.ans, *b = &other.ans;
    struct api_check one, two;
    enum net_rc rc = read_answer(&whole, api, text, (struct cut){0, text.len}, &one);
    bool same = read_answer(&other, api, text, cut, &two) == rc;
    if (rc == NET_DONE) {
        same = same && memcmp(&a->usage, &b->usage, sizeof a->usage) == 0 &&
               a->usage_at.start == b->usage_at.start && a->usage_at.end == b->usage_at.end &&
               a->text_bytes == b->text_bytes && a->choice_count == b->choice_count &&
               a->error == b->error && a->error_status == b->error_status &&
               strcmp(a->error_text, b->error_text) == 0 &&
               a->finish_length == b->finish_length && outcome_fits(a->outcome, b->outcome);
    }
    if (!same) fail_msg("cut at %zu, %zu: %.*s", cut.first, cut.step, (int)text.len, text.ptr);
}

static void test_answers(void **state)
{
    (void)state;
    check_docs(answers, COUNT(answers), same_answer);
}

static void same_event(enum api api, struct bytes text, struct cut cut)
{
    static struct api_event_reader r;
    struct api_stream s = {.flags = 0}, t = {.flags = 0};
    struct api_event a, b;
    struct bytes rest = text, piece;
    struct cut how = cut;
    api_event_read(text, api, &s, &a);
    api_event_begin(&r, api, &t);
    while (next_piece(&rest, &how, &piece)) api_event_feed(&r, piece);
    api_event_end(&r, &b);
    bool same = a.kind == b.kind && a.has_content == b.has_content &&
                a.has_finish == b.has_finish && a.text_bytes == b.text_bytes &&
                memcmp(&a.usage, &b.usage, sizeof a.usage) == 0 &&
                a.error_status == b.error_status && strcmp(a.error_text, b.error_text) == 0 &&
                memcmp(&s, &t, sizeof s) == 0;
    if (!same) fail_msg("cut at %zu, %zu: %.*s", cut.first, cut.step, (int)text.len, text.ptr);
}

static void test_events(void **state)
{
    (void)state;
    check_docs(answers, COUNT(answers), same_event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_events),
    };
    return cmocka_run_group_tests(tests, open_wall, close_wall);
}
