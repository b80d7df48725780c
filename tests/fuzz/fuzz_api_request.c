/* fuzz_api_request.c - properties of the request reader for Responses, Anthropic and Gemini.
 * The first byte chooses the API and the size of the pieces.
 *   - pieces give what the whole gives, error text included;
 *   - the edits ascend, and the edited body is accepted, asks for what was wanted, is under the
 *     limit that was wanted, and counts the same text;
 *   - what is kept of texts is a string's contents, or the list of tools. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool in_path(enum api api)
{
    return api == API_GENERATE || api == API_GENERATE_COUNT;
}

static enum net_rc read_pieces(struct api_reader *r, enum api api, struct bytes in,
                               size_t step)
{
    api_request_begin(r, api);
    if (in_path(api)) must(api_request_path(r, BYTES("in/path"), true));
    return feed_request(r, in, step);
}

/* A text is in quotes or brackets, and nothing of it is outside of the body. */
static void check_texts(const struct api_request *q, struct bytes body)
{
    for (size_t i = 0; i < API_TEXTS; i++) {
        struct api_span t = q->text[i];
        if (t.end == 0) continue;
        must(t.start > 0 && t.start < t.end && t.end < body.len);
        bool tools = i == API_TEXT_TOOLS;
        must(body.ptr[t.start - !tools] == (tools ? '[' : '"'));
        must(body.ptr[t.end - tools] == (tools ? ']' : '"'));
    }
    must((q->text[API_TEXT_FIRST].end == 0) == (q->text[API_TEXT_LAST].end == 0));
    must(q->system_bytes + q->last_bytes <= body.len);
}

static void check_edits(const struct api_reader *r, struct bytes body, int64_t max,
                        enum api_effort effort)
{
    static struct api_reader again;
    const struct api_request *q = &r->req;
    struct api_edit edits[API_EDITS_MAX];
    struct api_change change = {.model = BYTES("other\"\\/model"), .want_usage = true,
                                .output_max = max, .effort = (uint8_t)effort};
    char scratch[12 * 32 + 384];
    size_t n = api_request_edits(q, &change, edits, scratch, sizeof scratch);
    must(n <= API_EDITS_MAX);
    struct bytes made = edited(body, edits, n);
    must(read_pieces(&again, r->api, made, made.len) == NET_DONE);
    piece_free(made);
    const struct api_request *b = &again.req;
    must(bytes_eq(b->model, in_path(r->api) ? BYTES("in/path") : change.model));
    must(b->prompt_bytes == q->prompt_bytes && b->tool_bytes == q->tool_bytes);
    must(b->models_at.key.end + b->provider_at.key.end == 0 && b->n == q->n);
    if (in_path(r->api)) must(b->model_at.key.end == 0);
    bool put = r->api == API_RESPONSES && !q->effort_said;
    must(b->effort == (put && effort ? effort : q->effort));
    must(b->effort_said == (q->effort_said || (put && effort)));
    must(b->format == q->format && b->choice == q->choice && b->user_turns == q->user_turns);
    bool limited = r->api == API_RESPONSES || r->api == API_MESSAGES || r->api == API_GENERATE;
    bool lower = q->max_tokens > 0 && q->max_tokens < max;
    if (max == 0 || !limited || lower) must(b->max_tokens == q->max_tokens);
    else must(b->max_tokens == max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct api_reader whole, cut;
    if (size == 0) return 0;
    /* what came later is at the end, so that old inputs mean what they meant */
    unsigned later = data[0] < 240 ? 0 : 1 + data[0] % (API_RERANK - API_GENERATE_COUNT);
    enum api api = later ? API_GENERATE_COUNT + later : API_RESPONSES + data[0] % 5;
    size_t step = (size_t)(data[0] / 5) + 1;
    struct bytes in = {(const char *)data + 1, size - 1};
    enum net_rc rc = read_pieces(&whole, api, in, size);
    must(read_pieces(&cut, api, in, step) == rc);
    must(rc == NET_DONE || rc == NET_BAD);
    if (rc == NET_BAD) {
        must(strcmp(whole.error, cut.error) == 0 && whole.error[0] != '\0');
        must(strcmp(whole.pointer, cut.pointer) == 0 && whole.code == cut.code);
        return 0;
    }
    must(request_same(&whole.req, &cut.req));
    check_texts(&whole.req, in);
    check_edits(&whole, in, 0, API_EFFORT_UNSET);
    check_edits(&whole, in, 100, API_EFFORT_LOW);
    return 0;
}
