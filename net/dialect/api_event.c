/* api_event.c - one event of a stream: what it means for commitment, metering, the end. */
#include "net/dialect/api_part.h"

static enum api_event_kind kind_of(const struct api_reply *w)
{
    if (w->error) return API_EVENT_ERROR;
    if (w->type == API_TYPE_STOP || w->type == API_TYPE_END) return API_EVENT_DONE;
    if (w->finish) return API_EVENT_FINISH;
    if (w->content) return API_EVENT_CONTENT;
    /* Azure's first chunk has no choices either, and no usage: it is META. */
    return w->choice_count == 0 && w->usage_object ? API_EVENT_USAGE : API_EVENT_META;
}

/* Walk over data. False: it is not JSON. */
static bool read_data(struct api_reply *w, struct bytes data)
{
    if (api_reply_whole(w, data)) {
        api_reply_settle(w);
        return true;
    }
    struct json j;
    json_init(&j, JSON_DEPTH_MAX);
    if (api_reply_feed(w, &j, data) != NET_MORE) return false;
    return api_reply_end(w, &j) == NET_DONE;
}

/* What the event means for the stream's notes. */
static void note(struct api_stream *s, const struct api_reply *w)
{
    if (w->form == API_FORM_RESPONSES && w->sequence != API_NO_NUMBER) {
        s->sequence = w->sequence + 1;
        s->flags |= API_STREAM_NUMBERED;
    }
    if (w->type == API_TYPE_BLOCK_START && w->index != API_NO_NUMBER) {
        s->block = w->index;
        s->flags |= API_STREAM_OPEN;
    }
    if (w->type == API_TYPE_BLOCK_STOP) s->flags &= (uint8_t)~API_STREAM_OPEN;
}

static void settle_usage(struct api_stream *s, const struct api_reply *w,
                         struct api_usage *usage)
{
    if (w->form != API_FORM_MESSAGES) {
        api_fold_settle(&w->usage, w->form, usage);
        return;
    }
    bool start = w->type == API_TYPE_START;
    api_fold_merge(&w->usage, start, s);
    if (start) s->flags &= (uint8_t)~API_STREAM_OUTPUT;
    else if (w->usage.seen & 1u << API_COUNT_COMPLETION) s->flags |= API_STREAM_OUTPUT;
    api_stream_settle(s, usage);
}

static void clear(struct api_event *ev)
{
    memset(ev, 0, offsetof(struct api_event, error_text));
    ev->error_text[0] = '\0';
    ev->error_status = 0;
    ev->kind = API_EVENT_BAD;
}

/* What was walked over, as the event says it. */
static void conclude(struct api_stream *s, const struct api_reply *w, struct api_event *ev)
{
    note(s, w);
    s->outcome |= w->outcome;
    ev->kind = kind_of(w);
    ev->has_content = w->content;
    ev->has_finish = w->finish;
    if (w->usage.seen) settle_usage(s, w, &ev->usage);
    ev->usage_said = w->usage_object && ev->usage.present;
    if (!ev->usage.present && w->groq.seen) api_fold_settle(&w->groq, w->form, &ev->usage);
    ev->usage_at = w->usage_at;
    ev->usage_first = w->usage_at.key.end > 0 && w->usage_at.before == 0;
    ev->text_bytes = w->text_bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)w->text_bytes;
    if (!w->error) return;
    ev->error_status = w->error_status;
    memcpy(ev->error_text, w->error_text, strlen(w->error_text) + 1);
}

/* Read data, and note what is for a shape; marks NULL: nothing. */
static void read_marked(struct bytes data, enum api api, struct api_stream *s,
                        struct api_marks *marks, struct api_event *ev)
{
    struct api_reply w;
    clear(ev);
    bool worded = api_form(api) == API_FORM_OPENAI || api == API_RESPONSES ||
                  api == API_COHERE;   /* behind its own end */
    if (worded && bytes_eq(bytes_trim(data), BYTES("[DONE]"))) {
        ev->kind = API_EVENT_DONE;
        return;
    }
    api_reply_begin(&w, api_form(api), true, s);
    w.marks = marks;
    if (read_data(&w, data)) conclude(s, &w, ev);
}

void api_event_begin(struct api_event_reader *r, enum api api, struct api_stream *s)
{
    assert(api < APIS);
    s->flags |= API_STREAM_BEGUN;
    json_init(&r->json, JSON_DEPTH_MAX);
    api_reply_begin(&r->reply, api_form(api), true, s);
    r->reply.marks = NULL;
    r->stream = s;
    r->bad = false;
}

void api_event_feed(struct api_event_reader *r, struct bytes in)
{
    if (!r->bad && in.len > 0) r->bad = api_reply_feed(&r->reply, &r->json, in) != NET_MORE;
}

void api_event_end(struct api_event_reader *r, struct api_event *ev)
{
    clear(ev);
    if (!r->bad && api_reply_end(&r->reply, &r->json) == NET_DONE) {
        conclude(r->stream, &r->reply, ev);
    }
    r->bad = true;
}

void api_event_read(struct bytes data, enum api api, struct api_stream *s,
                    struct api_event *ev)
{
    assert(api < APIS);
    s->flags |= API_STREAM_BEGUN;
    read_marked(data, api, s, NULL, ev);
}

/* Bedrock's exceptions, as far as they are another status than 500. */
static int32_t exception_status(struct bytes name)
{
    static const struct { struct bytes name; int32_t status; } names[] = {
        {BYTES_INIT("throttlingException"), 429}, {BYTES_INIT("validationException"), 400},
        {BYTES_INIT("accessDeniedException"), 403}, {BYTES_INIT("modelTimeoutException"), 504},
        {BYTES_INIT("serviceUnavailableException"), 503},
        {BYTES_INIT("modelNotReadyException"), 429},
        {BYTES_INIT("resourceNotFoundException"), 404},
        {BYTES_INIT("serviceQuotaExceededException"), 429},
    };
    for (size_t i = 0; i < COUNT(names); i++) {
        if (bytes_ieq(name, names[i].name)) return names[i].status;
    }
    return 500;
}

void api_event_exception(struct bytes name, struct bytes text, struct bytes data,
                         struct api_event *ev)
{
    struct api_stream none = {0};
    read_marked(data, API_CONVERSE, &none, NULL, ev);
    bool told = ev->kind == API_EVENT_ERROR && ev->error_text[0];
    if (!told) {
        clear(ev);
        if (text.len == 0) text = name;
        size_t len = text.len < sizeof ev->error_text ? text.len : sizeof ev->error_text - 1;
        memcpy(ev->error_text, text.ptr, len);
        ev->error_text[len] = '\0';
    }
    ev->kind = API_EVENT_ERROR;
    ev->error_status = exception_status(name);
}

/* The first event of a stream is read, whatever its shape: what is noted of the stream stands
 * in it. */
void api_event_read_like(struct bytes data, enum api api, struct api_stream *s,
                         struct api_shapes *shapes, struct api_event *ev)
{
    struct api_marks marks;
    assert(api < APIS);
    bool begun = (s->flags & API_STREAM_BEGUN) != 0;
    if (begun && api_shapes_find(shapes, data, api_form(api), s->check, ev)) {
        if (api_form(api) != API_FORM_RESPONSES) return;
        s->flags |= API_STREAM_SAID | API_STREAM_COUNTED;
        s->sequence++;
        return;
    }
    s->flags |= API_STREAM_BEGUN;
    marks.count = marks.text_count = 0;
    read_marked(data, api, s, &marks, ev);
    if (marks.text_count == 1) api_shapes_learn(shapes, data, &marks, api_form(api), ev);
}
