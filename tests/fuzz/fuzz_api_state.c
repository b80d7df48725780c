/* fuzz_api_state.c - properties of the question whether a request may be sent twice: any cut of
 * the body gives the same verdict; what may be is a whole JSON object, of an API that says
 * text, and none of its beginnings is. The first input byte chooses the API, the second the
 * cuts. */
#include "fuzz.h"
#include "net/dialect/api_state.h"

/* libFuzzer's entry: borrows data; always 0. A broken property ends the program. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool verdict(enum api api, struct bytes body, size_t first, size_t step)
{
    struct api_state s;
    api_state_begin(&s, api);
    for (size_t n = first; body.len > 0; n = step) {
        api_state_feed(&s, bytes_cut(&body, n < body.len ? n : body.len));
    }
    return api_changes_state(&s);
}

/* By the scanner alone. */
static bool is_object(struct bytes body)
{
    struct json j;
    struct json_token t;
    json_init(&j, 128);
    struct bytes rest = body;
    bool object = json_next(&j, &rest, &t) == NET_OK && t.type == JSON_OBJECT;
    enum net_rc rc = NET_OK;
    while (object && rc == NET_OK) rc = json_next(&j, &rest, &t);
    return object && rc != NET_BAD && json_finish(&j, &t) == NET_DONE;
}

static bool says_text(enum api api)
{
    return api == API_CHAT || api == API_COMPLETIONS || api == API_RESPONSES ||
           api == API_MESSAGES || api == API_GENERATE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) return 0;
    enum api api = (enum api)(data[0] % APIS);
    struct bytes body = {(const char *)data + 2, size - 2};
    size_t step = data[1] % 61 + 1u;
    bool changes = verdict(api, body, body.len, body.len);
    must(verdict(api, body, data[1] % (body.len + 1), body.len) == changes);
    must(verdict(api, body, step, step) == changes);
    if (changes) return 0;
    must(says_text(api) && is_object(body));
    size_t end = body.len;
    while (body.ptr[end - 1] != '}') end--;
    must(verdict(api, (struct bytes){body.ptr, end - 1}, end, end));
    must(verdict(api, (struct bytes){body.ptr, data[1] % end}, end, end));
    must(!verdict(api, (struct bytes){body.ptr, end}, end, end));
    return 0;
}
