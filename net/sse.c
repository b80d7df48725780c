/* sse.c - splits server-sent events (WHATWG HTML section 9.2.6).
 *
 *   stream = [BOM] event*      event = line* blank-line      line ends: LF, CRLF or CR
 *
 * One pass: the scan stops at line ends only, keeps what the lines seen so far meant as
 * offsets from the event's first byte, and goes on from there when more bytes come, so that
 * an event that arrives in a thousand pieces costs no more than one that arrives whole. */
#include "net/sse.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static const struct bytes byte_order_mark = {"\xEF\xBB\xBF", 3};

/* Position of the first CR or LF at or behind at, or in.len. Reads inside of in only. */
static size_t line_end(struct bytes in, size_t at)
{
    assert(at <= in.len);
#ifdef __SSE2__
    const __m128i cr = _mm_set1_epi8('\r'), lf = _mm_set1_epi8('\n');
    for (; in.len - at >= 16; at += 16) {
        const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(in.ptr + at));
        const __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(v, cr), _mm_cmpeq_epi8(v, lf));
        const unsigned mask = (unsigned)_mm_movemask_epi8(hit);
        if (mask) return at + (size_t)__builtin_ctz(mask);
    }
#else
    const uint64_t ones = UINT64_MAX / 255;
    for (; in.len - at >= 8; at += 8) {
        uint64_t v;
        memcpy(&v, in.ptr + at, sizeof(v));
        const uint64_t cr = v ^ ones * '\r', lf = v ^ ones * '\n';
        if ((((cr - ones) & ~cr) | ((lf - ones) & ~lf)) & ones * 0x80) break;
    }
#endif
    while (at < in.len && in.ptr[at] != '\r' && in.ptr[at] != '\n') at++;
    return at;
}

/* The value of line when its field is name: behind the colon and one blank, or empty where
 * there is no colon. */
static bool field_is(struct bytes line, struct bytes name, struct bytes *value)
{
    if (!bytes_starts(line, name)) return false;
    bytes_cut(&line, name.len);
    if (line.len > 0) {
        if (*bytes_cut(&line, 1).ptr != ':') return false;
        if (line.len > 0 && *line.ptr == ' ') bytes_cut(&line, 1);
    }
    *value = line;
    return true;
}

/* Remember what a line that is not blank means; base is the event's first byte. Comments and
 * fields that nobody here reads (id, retry) are passed over. */
static void line_take(struct sse *s, const char *base, struct bytes line)
{
    assert(line.len > 0);
    struct bytes value;
    if (field_is(line, BYTES("data"), &value)) {
        if (s->data_lines == 0) {
            s->data = (size_t)(value.ptr - base);
            s->data_len = value.len;
        }
        if (s->data_lines < UINT32_MAX) s->data_lines++;
    } else if (field_is(line, BYTES("event"), &value)) {
        s->event = (size_t)(value.ptr - base);
        s->event_len = value.len;
    }
}

/* Give the event that ends at byte end of in and make ready for the next one. */
static void event_cut(struct sse *s, struct bytes *in, size_t end, struct sse_event *ev)
{
    assert(s->mark <= end);
    assert(s->data + s->data_len <= end && s->event + s->event_len <= end);
    *ev = (struct sse_event){
        .raw = {in->ptr + s->mark, end - s->mark},
        .data = {in->ptr + s->data, s->data_len},
        .event = {in->ptr + s->event, s->event_len},
        .data_lines = s->data_lines,
    };
    bytes_cut(in, end);
    *s = (struct sse){.begun = true};
}

/* Look for the byte order mark at the start of the stream; false while it is undecided. */
static bool begin(struct sse *s, struct bytes in)
{
    if (in.len < byte_order_mark.len && bytes_starts(byte_order_mark, in)) return false;
    s->begun = true;
    if (bytes_starts(in, byte_order_mark)) s->mark = (uint8_t)byte_order_mark.len;
    s->scanned = s->line = s->mark;
    return true;
}

enum net_rc sse_next(struct sse *s, struct bytes *in, struct sse_event *ev)
{
    assert(s->scanned <= in->len);
    assert(s->line <= s->scanned);
    if (!s->begun && !begin(s, *in)) return NET_MORE;
    for (;;) {
        const size_t end = line_end(*in, s->scanned);
        s->scanned = end;
        if (end == in->len) return NET_MORE;
        size_t next = end + 1;
        if (in->ptr[end] == '\r') {
            if (next == in->len) return NET_MORE;  /* an LF may follow */
            if (in->ptr[next] == '\n') next++;
        }
        if (end == s->line) {
            event_cut(s, in, next, ev);
            return NET_OK;
        }
        line_take(s, in->ptr, (struct bytes){in->ptr + s->line, end - s->line});
        s->scanned = s->line = next;
    }
}

enum net_rc sse_finish(struct sse *s, struct bytes in, struct sse_event *ev)
{
    if (in.len == 0) return NET_DONE;
    const enum net_rc rc = sse_next(s, &in, ev);
    assert(rc == NET_MORE);  /* the caller has taken every complete event */
    if (!s->begun) return NET_BAD;  /* part of a byte order mark */
    if (in.len > s->scanned) {  /* stopped in front of a last CR, which now is a line end */
        assert(in.len == s->scanned + 1);
        if (s->scanned > s->line)
            line_take(s, in.ptr, (struct bytes){in.ptr + s->line, s->scanned - s->line});
        s->line = in.len;
    }
    const struct bytes rest = {in.ptr + s->line, in.len - s->line};
    if (bytes_trim(rest).len == 0 && s->line == s->mark) return NET_DONE;
    if (rest.len > 0) return NET_BAD;
    event_cut(s, &in, in.len, ev);
    return NET_OK;
}

size_t sse_join(const struct sse_event *ev, char *out)
{
    struct bytes raw = ev->raw, value;
    size_t len = 0;
    uint32_t lines = 0;
    while (raw.len > 0 && lines < ev->data_lines) {
        const struct bytes line = bytes_cut(&raw, line_end(raw, 0));
        if (raw.len > 0) bytes_cut(&raw, 1);  /* of a CRLF the LF is one more empty line */
        if (!field_is(line, BYTES("data"), &value)) continue;
        if (lines++ > 0) out[len++] = '\n';
        if (value.len > 0) memcpy(out + len, value.ptr, value.len);
        len += value.len;
    }
    assert(lines == ev->data_lines && len <= ev->raw.len);
    return len;
}
