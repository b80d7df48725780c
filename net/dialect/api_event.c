/* api_event.c - one event of a stream: what it means for commitment, metering, the end. */
#include "net/dialect/api_part.h"

static enum api_event_kind kind_of(const struct api_reply *w)
{
    if (w->error) return API_EVENT_ERROR;
    if (w->finish) return API_EVENT_FINISH;
    if (w->content) return API_EVENT_CONTENT;
    /* Azure's first chunk has no choices either, and no usage: it is META. */
    return w->choice_count == 0 && w->usage_object ? API_EVENT_USAGE : API_EVENT_META;
}

/* Walk over data. False: it is not JSON. */
static bool read_data(struct api_reply *w, struct bytes data, struct api_marks *marks)
{
    api_reply_begin(w);
    w->marks = marks;
    if (api_reply_whole(w, data)) {
        api_reply_settle(w);
        return true;
    }
    struct json j;
    json_init(&j, JSON_DEPTH_MAX);
    if (api_reply_feed(w, &j, data) != NET_MORE) return false;
    return api_reply_end(w, &j) == NET_DONE;
}

/* Read data, and note what is for a shape; marks NULL: nothing. */
static void read_marked(struct bytes data, struct api_marks *marks, struct api_event *ev)
{
    struct api_reply w;
    memset(ev, 0, offsetof(struct api_event, error_text));
    ev->error_text[0] = '\0';
    ev->error_status = 0;
    ev->kind = API_EVENT_DONE;
    if (bytes_eq(bytes_trim(data), BYTES("[DONE]"))) return;
    ev->kind = API_EVENT_BAD;
    if (!read_data(&w, data, marks)) return;
    ev->kind = kind_of(&w);
    ev->has_content = w.content;
    ev->has_finish = w.finish;
    if (w.usage.seen) api_fold_settle(&w.usage, &ev->usage);
    ev->usage_said = w.usage_object && ev->usage.present;
    if (!ev->usage.present && w.groq.seen) api_fold_settle(&w.groq, &ev->usage);
    ev->usage_at = w.usage_at;
    ev->usage_first = w.usage_at.key.end > 0 && w.usage_at.before == 0;
    ev->text_bytes = w.text_bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)w.text_bytes;
    if (!w.error) return;
    ev->error_status = w.error_status;
    memcpy(ev->error_text, w.error_text, strlen(w.error_text) + 1);
}

void api_event_read(struct bytes data, enum api api, struct api_stream *s,
                    struct api_event *ev)
{
    assert(api < APIS);
    s->flags |= API_STREAM_BEGUN;
    read_marked(data, NULL, ev);
}

/* The first event of a stream is read, whatever its shape: what is noted of the stream stands
 * in it. */
void api_event_read_like(struct bytes data, enum api api, struct api_stream *s,
                         struct api_shapes *shapes, struct api_event *ev)
{
    struct api_marks marks;
    assert(api < APIS);
    if ((s->flags & API_STREAM_BEGUN) && api_shapes_find(shapes, data, ev)) return;
    s->flags |= API_STREAM_BEGUN;
    marks.count = marks.text_count = 0;
    read_marked(data, &marks, ev);
    if (marks.text_count == 1) api_shapes_learn(shapes, data, &marks, ev);
}
