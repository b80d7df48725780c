/* fuzz_api_event.c - properties of the event and answer readers of Responses, Anthropic and
 * Gemini, and of what only providers speak. The first byte chooses the API and the size of an
 * answer's pieces; what follows are the events of a stream, a line each, or an answer.
 *   - an answer in pieces tells what the whole tells, and briefly read too, but for the text;
 *   - an event is told alike whether one of its shape came before or not, and the notes of the
 *     stream are alike after it;
 *   - kinds are consistent, counts within their limits; nothing is ever to be cut out;
 *   - behind any event the end that Weir writes is read as a good end with the usage given. */
#include "fuzz.h"
#include "net/dialect/api_write.h"
#include "net/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum net_rc read_pieces(struct api_answer_reader *r, enum api api, struct bytes in,
                               size_t step, bool brief)
{
    if (brief) api_answer_begin_brief(r, api);
    else api_answer_begin(r, api);
    return feed_answer(r, in, step);
}

static void check_usage(const struct api_usage *u)
{
    const uint64_t max = UINT64_C(1) << 31;
    must(u->input <= max && u->cached <= max && u->cache_write <= max);
    must(u->cache_write_1h <= max && (uint64_t)u->audio_input + u->image_input <= max);
    must((uint64_t)u->output + u->audio_output <= max);
    must(u->reasoning <= (uint64_t)u->output + u->audio_output);
    if (!u->present) must(u->input + u->cached + u->output + u->cache_write == 0);
}

static void same_answer(const struct api_answer *a, const struct api_answer *b, bool brief)
{
    check_usage(&a->usage);
    must(memcmp(&a->usage, &b->usage, sizeof a->usage) == 0);
    must(brief ? b->text_bytes == 0 : a->text_bytes == b->text_bytes);
    must(a->error == b->error && a->error_status == b->error_status);
    must(strcmp(a->error_text, b->error_text) == 0);
    must(a->choice_count == b->choice_count && a->finish_length == b->finish_length);
    must(a->usage_at.end == 0 && b->usage_at.end == 0);
}

static void check_answer(enum api api, struct bytes in, size_t step)
{
    static struct api_answer_reader whole, cut;
    enum net_rc rc = read_pieces(&whole, api, in, in.len, false);
    must(read_pieces(&cut, api, in, step, false) == rc);
    if (rc != NET_DONE) return;
    same_answer(&whole.ans, &cut.ans, false);
    must(read_pieces(&cut, api, in, in.len, true) == NET_DONE);
    same_answer(&whole.ans, &cut.ans, true);
    must(read_pieces(&cut, api, in, step, true) == NET_DONE);
    same_answer(&whole.ans, &cut.ans, true);
}

static unsigned outcome(enum api api, struct bytes in, size_t step, enum api_format format)
{
    static struct api_answer_reader r;
    struct api_request q = {.format = (uint8_t)format, .tool_count = 1, .n = 1};
    struct api_check check;
    api_check_begin(&check, &q);
    api_check_schema(&check, BYTES("{\"required\":[\"a\"]}"));
    api_answer_begin(&r, api);
    api_answer_check(&r, &check);
    return feed_answer(&r, in, step) == NET_DONE ? r.ans.outcome : UINT32_MAX;
}

/* A cut may take a verdict, where it goes through a long text, and makes none. */
static void check_outcome(enum api api, struct bytes in, size_t step)
{
    unsigned whole = outcome(api, in, in.len, API_FORMAT_SCHEMA);
    unsigned cut = outcome(api, in, step, API_FORMAT_SCHEMA);
    unsigned json = outcome(api, in, in.len, API_FORMAT_JSON);
    if (whole == UINT32_MAX) return;
    must((cut & ~whole) == 0 && (json & ~whole) == 0);
    const unsigned said = API_OUTCOME_LENGTH | API_OUTCOME_REFUSAL;
    must((whole & said) == (cut & said));
    if (whole & said) must((whole & (API_OUTCOME_JSON | API_OUTCOME_SCHEMA)) == 0);
    if (whole & API_OUTCOME_SCHEMA) must(whole & API_OUTCOME_JSON);
}

static void check_kind(const struct api_event *ev)
{
    must(ev->error_status == 0 || (ev->error_status >= 400 && ev->error_status <= 599));
    must(memchr(ev->error_text, '\0', sizeof ev->error_text) != NULL);
    if (ev->kind == API_EVENT_CONTENT) must(ev->has_content && !ev->has_finish);
    if (ev->kind == API_EVENT_FINISH) must(ev->has_finish);
    if (ev->kind == API_EVENT_META) must(!ev->has_content && !ev->has_finish);
    if (ev->text_bytes > 0) must(ev->has_content);
    must(ev->kind != API_EVENT_USAGE && ev->usage_at.key.end == 0);
    check_usage(&ev->usage);
}

static void same_event(const struct api_event *a, const struct api_event *b)
{
    must(a->kind == b->kind && a->text_bytes == b->text_bytes);
    must(a->has_content == b->has_content && a->has_finish == b->has_finish);
    must(memcmp(&a->usage, &b->usage, sizeof a->usage) == 0);
    must(a->error_status == b->error_status);
    must(strcmp(a->error_text, b->error_text) == 0);
}

/* The end that Weir writes behind s. */
static void check_stop(enum api api, struct api_stream s)
{
    static char out[API_STOP_MAX];
    struct api_stop stop = {.usage = {.present = true, .input = 5, .cached = 3, .output = 2},
                            .model = BYTES("a/b"), .cost_nusd = -1};
    struct bytes text = {out, api_stream_stop(api, &s, &stop, out, sizeof out)};
    struct sse sse = {0};
    struct sse_event event;
    struct api_event ev;
    struct api_usage usage = {0};
    bool finished = false, done = false;
    must(text.len > 0);
    while (sse_next(&sse, &text, &event) == NET_OK) {
        api_event_read(event.data, api, &s, &ev);
        must(ev.kind != API_EVENT_BAD && ev.kind != API_EVENT_ERROR);
        finished = finished || ev.has_finish;
        done = done || ev.kind == API_EVENT_DONE;
        if (ev.usage.present) usage = ev.usage;
    }
    must(finished && done == (api != API_GENERATE));
    must(usage.input == 5 && usage.cached == 3 && usage.output == 2);
}

static void check_stream(enum api api, struct bytes in)
{
    static struct api_shapes shapes;
    struct api_stream plain = {0}, like = {0};
    struct api_event a, b;
    memset(&shapes, 0, sizeof shapes);
    while (in.len > 0) {
        struct bytes line = bytes_cut(&in, bytes_find(in, '\n'));
        if (in.len > 0) bytes_cut(&in, 1);
        char *copy = malloc(line.len + 1);
        must(copy != NULL);
        if (line.len > 0) memcpy(copy, line.ptr, line.len);
        struct bytes text = {copy, line.len};
        api_event_read(text, api, &plain, &a);
        api_event_read_like(text, api, &like, &shapes, &b);
        free(copy);
        same_event(&a, &b);
        check_kind(&a);
        must(plain.flags == like.flags && plain.block == like.block);
        must(plain.id_len == like.id_len && plain.model_len == like.model_len);
        must(memcmp(plain.text, like.text, sizeof like.text) == 0);
        must(memcmp(plain.count, like.count, sizeof like.count) == 0);
        if (api < API_GENERATE_COUNT && api != API_COUNT_TOKENS) check_stop(api, plain);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum api apis[] = {API_RESPONSES, API_MESSAGES, API_GENERATE,
                                    API_COUNT_TOKENS};
    static const enum api others[] = {API_CONVERSE, API_COHERE};
    if (size == 0) return 0;
    enum api api = data[0] < 240 ? apis[data[0] & 3] : others[data[0] & 1];
    struct bytes in = {(const char *)data + 1, size - 1};
    check_answer(api, in, (size_t)(data[0] >> 2) + 1);
    if (in.len > 0) check_outcome(api, in, (size_t)(data[0] >> 2) + 1);
    if (api != API_COUNT_TOKENS) check_stream(api, in);
    return 0;
}
