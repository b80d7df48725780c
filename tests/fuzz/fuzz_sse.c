/* fuzz_sse.c - properties of the event splitter: any cut gives the same events; the raw parts
 * put together are the stream (without its byte order mark); each event agrees with a slow
 * reference that reads it line by line. The first two input bytes choose the cuts. */
#include "fuzz.h"
#include "net/sse.h"

/* libFuzzer's entry: borrows data; always 0. A broken property ends the program. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
    uint64_t hash;   /* of every event, in order */
    size_t count;
    enum net_rc end;
};

/* The value of the field that line sets when it is named name; false when another. */
static bool reference_value(struct bytes line, const char *name, struct bytes *value)
{
    const size_t colon = bytes_find(line, ':');
    if (!bytes_eq((struct bytes){line.ptr, colon}, bytes_of(name))) return false;
    *value = (struct bytes){line.ptr + colon, 0};
    if (colon == line.len) return true;
    *value = (struct bytes){line.ptr + colon + 1, line.len - colon - 1};
    if (value->len > 0 && *value->ptr == ' ') bytes_cut(value, 1);
    return true;
}

static void check_event(const struct sse_event *ev)
{
    struct bytes event = {0}, value = {0};
    uint32_t lines = 0;
    char *want = malloc(ev->raw.len + 1), *got = malloc(ev->raw.len + 1);
    must(want && got);
    size_t len = 0, begin = 0;
    for (size_t i = 0; i < ev->raw.len; i++) {
        if (ev->raw.ptr[i] != '\n' && ev->raw.ptr[i] != '\r') continue;
        const struct bytes line = {ev->raw.ptr + begin, i - begin};
        begin = i + 1;
        if (reference_value(line, "event", &value)) event = value;
        if (!reference_value(line, "data", &value)) continue;
        if (lines == 0) must(bytes_eq(ev->data, value));
        if (lines++ > 0) want[len++] = '\n';
        memcpy(want + len, value.ptr, value.len);
        len += value.len;
    }
    must(begin == ev->raw.len && begin > 0);  /* complete lines only */
    must(lines == ev->data_lines && bytes_eq(event, ev->event));
    must(sse_join(ev, got) == len && memcmp(want, got, len) == 0);
    free(want);
    free(got);
}

static struct result split(struct bytes text, size_t first, size_t step)
{
    struct sse s = {0};
    struct sse_event ev;
    struct result r = {0};
    struct bytes rest = text;
    size_t have = first < text.len ? first : text.len, raw = 0;
    const bool marked = bytes_starts(text, BYTES("\xEF\xBB\xBF"));
    for (;;) {
        struct bytes in = {rest.ptr, have};
        while (sse_next(&s, &in, &ev) == NET_OK) {
            check_event(&ev);
            r.hash = mix(mix(mix(r.hash, ev.raw), ev.data), ev.event);
            r.count++;
            raw += ev.raw.len;
            bytes_cut(&rest, (size_t)(in.ptr - rest.ptr));
            have = in.len;
            must(raw == (size_t)(rest.ptr - text.ptr) - (marked ? 3 : 0));
        }
        must(in.ptr == rest.ptr && in.len == have);
        if (have == rest.len) break;
        have = step < rest.len - have ? have + step : rest.len;
    }
    r.end = sse_finish(&s, rest, &ev);
    if (r.end == NET_OK) {
        check_event(&ev);
        r.hash = mix(r.hash, ev.raw);
        must(ev.raw.ptr + ev.raw.len == rest.ptr + rest.len);
    }
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    const struct bytes text = {(const char *)data + 2, size - 2};
    const struct result whole = split(text, text.len, 1);
    const struct result cut = split(text, data[0], data[1] + 1U);
    const struct result bytewise = split(text, 0, 1);
    must(whole.hash == cut.hash && whole.count == cut.count && whole.end == cut.end);
    must(whole.hash == bytewise.hash && whole.end == bytewise.end);
    return 0;
}
