/* fuzz_openai_request.c - properties of the request reader. The first byte chooses the API
 * and the size of the pieces.
 *   - pieces give what the whole gives, error text included;
 *   - what is accepted holds one member of each key that is read, as a plain scan sees it;
 *   - the edits ascend, and the edited body is accepted, asks for what was wanted, has none
 *     of the members that go, and counts the same text. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum net_rc read_pieces(struct api_reader *r, enum api api, struct bytes in,
                               size_t step)
{
    api_request_begin(r, api);
    return feed_request(r, in, step);
}

/* Members of the root whose key, escapes resolved, is name. */
static size_t count_key(struct bytes in, const char *name)
{
    struct json j;
    struct json_token t;
    char key[JSON_TEXT_MAX];
    size_t count = 0;
    json_init(&j, API_REQUEST_DEPTH_MAX);
    while (json_next(&j, &in, &t) == NET_OK) {
        if (t.type != JSON_KEY || t.depth != 1 || t.text.len > sizeof key) continue;
        size_t len = json_unescape(t.text, key);
        count += bytes_eq((struct bytes){key, len}, bytes_of(name));
    }
    return count;
}

static void check_edits(const struct api_reader *r, struct bytes body)
{
    static struct api_reader again;
    const struct api_request *q = &r->req;
    struct api_edit edits[API_EDITS_MAX];
    struct bytes model = BYTES("other\"\\/model");
    char scratch[12 * 32 + 384];
    struct api_change change = {.model = model, .want_usage = true};
    size_t n = api_request_edits(q, &change, edits, scratch, sizeof scratch);
    must(n <= API_EDITS_MAX);
    struct bytes made = edited(body, edits, n);
    must(read_pieces(&again, r->api, made, made.len) == NET_DONE);
    piece_free(made);
    must(bytes_eq(again.req.model, model));
    must(again.req.include_usage == (q->stream || q->include_usage));
    must(again.req.stream == q->stream && again.req.max_tokens == q->max_tokens);
    must(again.req.prompt_bytes == q->prompt_bytes && again.req.tool_bytes == q->tool_bytes);
    must(again.req.models_at.key.end + again.req.provider_at.key.end == 0);
    must(again.req.usage_at.key.end == 0);
    uint32_t gone = 0, added = 0;
    if (q->models_at.key.end > 0) gone++;
    if (q->provider_at.key.end > 0) gone++;
    if (q->usage_at.key.end > 0) gone++;
    if (q->model_at.key.end == 0) added++;
    if (q->stream && q->stream_options_at.key.end == 0) added++;
    must(again.req.member_count == q->member_count - gone + added);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct api_reader whole, cut;
    if (size == 0) return 0;
    enum api api = data[0] & 3;
    size_t step = (size_t)(data[0] >> 2) + 1;
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
    must(count_key(in, "model") <= 1 && count_key(in, "provider") <= 1);
    must(count_key(in, "models") <= 1 && count_key(in, "usage") <= 1);
    if (api <= API_COMPLETIONS) {
        must(count_key(in, "stream") <= 1 && count_key(in, "max_tokens") <= 1);
    }
    check_edits(&whole, in);
    return 0;
}
