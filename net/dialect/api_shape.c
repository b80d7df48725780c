/* api_shape.c - events like one that was read before. The events of a stream say the same
 * but for a few letters of text, those of another stream but for an id and a time besides. So
 * the last events with content are kept as shapes, and what fits one is not read again.
 * Model:   head | text | tail      head and tail as long as they were, the text 1.. bytes
 * A shape holds for each byte of head and tail what it may be: itself; but any plain character
 * in a string that nobody reads, any digit behind the first of a number that nobody reads.
 * Rule: a fit is what the reader would say, byte for byte. No backslash is anywhere, so that
 * quotes are where they were, and with them all else that the grammar sees; sequences of
 * UTF-8 stay as they are, and text that holds one is for the reader. Of the text itself
 * nothing is kept. */
#include "net/dialect/api_part.h"

enum { LANE = 16, PLAIN_MIN = '"' + 1, PLAIN_MAX = 0x7E };

struct lane { int8_t byte __attribute__((vector_size(LANE))); };

static inline struct lane lane_load(const void *p)
{
    struct lane l;
    memcpy(&l, p, sizeof l);
    return l;
}

static inline bool lane_any(struct lane l)
{
    uint64_t word[2];
    memcpy(word, &l, sizeof word);
    return (word[0] | word[1]) != 0;
}

/* True where the n bytes at p, a multiple of LANE, are what they may be. */
static bool side_fits(const struct api_shape_side *s, const char *p, size_t n)
{
    struct lane bad = {{0}};
    assert(n % LANE == 0 && n <= API_SHAPE_BYTES);
    for (size_t i = 0; i < n; i += LANE) {
        struct lane b = lane_load(p + i), low = lane_load(s->low + i);
        struct lane high = lane_load(s->high + i);
        bad.byte |= (b.byte < low.byte) | (b.byte > high.byte) | (b.byte == '\\');
    }
    return !lane_any(bad);
}

/* True for n bytes at p that are a string's plain content. LANE more may be read. */
static bool is_plain(const char *p, size_t n)
{
    const struct lane place = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};
    struct lane bad = {{0}};
    for (size_t i = 0; i < n; i += LANE) {
        struct lane b = lane_load(p + i);
        int8_t count = (int8_t)(n - i < LANE ? n - i : LANE);
        bad.byte |= ((b.byte < ' ') | (b.byte == '"') | (b.byte == '\\')) &
                    (place.byte < count);
    }
    return !lane_any(bad);
}

static size_t lanes(size_t n)
{
    return (n + LANE - 1) / LANE * LANE;
}

/* A fit: head and tail begin and end data. They may be looked at some bytes too far, into the
 * text, as both are a lane or longer. */
static bool shape_fits(const struct api_shape *s, struct bytes data)
{
    if (s->head == 0 || data.len <= (size_t)s->head + s->tail) return false;
    size_t tail = lanes(s->tail);
    return side_fits(&s->before, data.ptr, lanes(s->head)) &&
           side_fits(&s->behind, data.ptr + data.len - tail, tail) &&
           is_plain(data.ptr + s->head, data.len - s->head - s->tail);
}

/* An offset of the shape's own event in another that fits it. */
static void move(uint64_t *at, const struct api_shape *s, uint64_t text)
{
    if (*at > s->head) *at += text - s->text;
}

static void shape_tell(const struct api_shape *s, struct bytes data,
                       struct api_event *ev)
{
    uint64_t text = data.len - s->head - s->tail;
    assert(text > 0);
    memset(ev, 0, offsetof(struct api_event, error_text));
    ev->error_text[0] = '\0';
    ev->error_status = 0;
    ev->kind = API_EVENT_CONTENT;
    ev->has_content = true;
    ev->text_bytes = text > UINT32_MAX ? UINT32_MAX : (uint32_t)text;
    if (s->usage_at.key.end == 0) return;
    struct api_member *m = &ev->usage_at;
    *m = s->usage_at;
    move(&m->key.start, s, text);
    move(&m->key.end, s, text);
    move(&m->value.start, s, text);
    move(&m->value.end, s, text);
    move(&m->before, s, text);
    move(&m->after, s, text);
    ev->usage_first = m->before == 0;
}

bool api_shapes_find(struct api_shapes *all, struct bytes data, enum api_form form,
                     struct api_check *check, struct api_event *ev)
{
    for (unsigned i = 0; i < API_SHAPES; i++) {
        unsigned k = (all->last + i) % API_SHAPES;
        if (all->at[k].form != form || !shape_fits(&all->at[k], data)) continue;
        all->last = (uint8_t)k;
        all->missed = 0;
        const struct api_shape *s = &all->at[k];
        shape_tell(s, data, ev);
        struct bytes text = {data.ptr + s->head, data.len - s->head - s->tail};
        if (check) api_check_said(check, (enum says)s->says, text);
        return true;
    }
    return false;
}

/* The bytes from..to of data, in one side of the text, may be from low to high, if they are
 * now. */
static void loosen(struct api_shape *s, struct bytes data, struct api_span span,
                   int8_t low, int8_t high)
{
    size_t tail_at = data.len - s->tail, pad = lanes(s->tail) - s->tail;
    for (uint64_t i = span.start; i < span.end; i++) {
        bool before = i < s->head;
        struct api_shape_side *side = before ? &s->before : &s->behind;
        size_t at = before ? i : i - tail_at + pad;
        assert(at < API_SHAPE_BYTES);
        int8_t now = (int8_t)data.ptr[i];
        if (now < low || now > high) continue;
        side->low[at] = low;
        side->high[at] = high;
    }
}

/* Bytes of one side, n from p on, that are to be as they are; pad bytes around may be any. */
static void side_set(struct api_shape_side *s, const char *p, size_t n, size_t pad)
{
    memset(s->low, INT8_MIN, sizeof s->low);
    memset(s->high, INT8_MAX, sizeof s->high);
    memcpy(s->low + pad, p, n);
    memcpy(s->high + pad, p, n);
}

/* True for the digits of a number of two or more, without sign or point. */
static bool is_digits(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
    }
    return text.len > 1;
}

void api_shapes_learn(struct api_shapes *all, struct bytes data,
                      const struct api_marks *marks, enum api_form form,
                      const struct api_event *ev)
{
    const struct api_span *text = &marks->text;
    uint64_t head = text->start, len = text->end - head, tail = data.len - text->end;
    assert(marks->text_count == 1);
    if (ev->kind != API_EVENT_CONTENT || ev->usage.present || ev->usage.absurd) return;
    if (len != ev->text_bytes) return;
    if (head < LANE || tail < LANE || head > API_SHAPE_BYTES) return;
    if (tail > API_SHAPE_BYTES || bytes_find(data, '\\') < data.len) return;
    if (!is_plain(data.ptr + head, len)) return;
    /* Events that come in too many shapes are not to cost much: fewer and fewer are kept. */
    all->missed++;
    if (all->missed & (all->missed - 1)) return;
    all->last = (uint8_t)((all->last + 1) % API_SHAPES);
    struct api_shape *s = &all->at[all->last];
    s->form = (uint8_t)form;
    s->says = marks->says;
    s->head = (uint16_t)head;
    s->tail = (uint16_t)tail;
    s->text = len;
    s->usage_at = ev->usage_at;
    side_set(&s->before, data.ptr, head, 0);
    side_set(&s->behind, data.ptr + text->end, tail, lanes(tail) - tail);
    for (unsigned i = 0; i < marks->count; i++) {
        struct api_span span = marks->at[i];
        struct bytes value = bytes_between(data.ptr + span.start, data.ptr + span.end);
        span.start++;  /* the quote, or the first digit, which must be no 0 */
        if (*value.ptr == '"') {
            span.end--;
            loosen(s, data, span, PLAIN_MIN, PLAIN_MAX);
        } else if (is_digits(value)) {
            loosen(s, data, span, '0', '9');
        }
    }
    assert(shape_fits(s, data));
}
