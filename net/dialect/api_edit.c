/* api_edit.c - the few changes to a request that stays in its dialect: the model's name,
 * stream_options.include_usage, and OpenRouter's own members, which no provider knows.
 * Rule: everything else of the body goes on byte for byte. */
#include "net/dialect/api_part.h"
#include "net/jsonw.h"

enum { GONE_MAX = 3 };  /* members that Weir keeps to itself */

struct edits {
    struct api_edit *at;  /* borrows: the caller's */
    size_t count;
};

/* Keep the edits ascending; of two at one place an insertion comes first. */
static void put(struct edits *e, uint64_t at, uint64_t del, struct bytes text)
{
    assert(e->count < API_EDITS_MAX);
    size_t i = e->count++;
    for (; i > 0 && at < e->at[i - 1].at; i--) e->at[i] = e->at[i - 1];
    e->at[i] = (struct api_edit){at, del, text};
    assert(i == 0 || e->at[i - 1].at + e->at[i - 1].del <= at);
}

static void replace(struct edits *e, struct api_span span, struct bytes text)
{
    assert(span.start < span.end);
    put(e, span.start, span.end - span.start, text);
}

/* The members that go, in the order of the body. */
static size_t gone_of(const struct api_request *q, const struct api_member **out)
{
    const struct api_member *all[GONE_MAX] = {&q->models_at, &q->provider_at, &q->usage_at};
    size_t count = 0;
    for (size_t i = 0; i < GONE_MAX; i++) {
        if (all[i]->key.end == 0) continue;
        size_t at = count++;
        for (; at > 0 && out[at - 1]->index > all[i]->index; at--) out[at] = out[at - 1];
        out[at] = all[i];
    }
    assert(count <= GONE_MAX);
    return count;
}

/* One comma goes with each: the one before it where something that stays stands before,
 * else the one behind it. */
static void put_removals(struct edits *e, const struct api_member **gone, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct api_member *m = gone[i];
        assert(m->index >= i);
        bool stays_before = m->index > i;
        uint64_t start = stays_before ? m->before : m->key.start;
        uint64_t end = stays_before || m->after == 0 ? m->value.end : m->after;
        put(e, start, end - start, (struct bytes){0});
    }
}

/* Write an insertion behind the root's "{": a comma follows unless nothing else does. */
static struct bytes model_member(struct bytes model, bool comma, char *scratch, size_t room)
{
    struct jsonw w;
    jsonw_init(&w, scratch, room);
    jsonw_object(&w);
    jsonw_key(&w, "model");
    jsonw_string(&w, model);
    assert(!w.full);
    assert(w.len + 1 <= room);
    if (comma) w.out[w.len++] = ',';
    return (struct bytes){scratch + 1, w.len - 1};  /* without the bracket */
}

static struct bytes model_value(struct bytes model, char *scratch, size_t room)
{
    struct jsonw w;
    jsonw_init(&w, scratch, room);
    jsonw_string(&w, model);
    assert(!w.full);
    return (struct bytes){scratch, w.len};
}

static void put_usage(struct edits *e, const struct api_request *q, bool stays)
{
    struct api_span options = q->stream_options_at.value;
    if (q->include_usage_at.end > 0) {
        replace(e, q->include_usage_at, BYTES("true"));
    } else if (options.end == 0) {
        put(e, q->object_start + 1, 0,
            stays ? BYTES("\"stream_options\":{\"include_usage\":true},")
                  : BYTES("\"stream_options\":{\"include_usage\":true}"));
    } else if (q->stream_options_null) {
        replace(e, options, BYTES("{\"include_usage\":true}"));
    } else {
        put(e, options.start + 1, 0,
            q->stream_options_empty ? BYTES("\"include_usage\":true")
                                    : BYTES("\"include_usage\":true,"));
    }
}

size_t api_request_edits(const struct api_request *req, const struct api_change *change,
                         struct api_edit *out, char *scratch, size_t room)
{
    const struct api_member *gone[GONE_MAX];
    struct edits e = {.at = out};
    struct bytes model = change->model;
    assert(model.len > 0);
    assert(room >= 6 * model.len + 192);
    size_t gone_count = gone_of(req, gone);
    bool stays = req->member_count > gone_count;
    if (req->model_at.key.end == 0) {
        put(&e, req->object_start + 1, 0, model_member(model, stays, scratch, room));
        stays = true;
    } else if (!bytes_eq(req->model, model)) {
        replace(&e, req->model_at.value, model_value(model, scratch, room));
    }
    if (change->want_usage && req->stream && !req->include_usage) put_usage(&e, req, stays);
    put_removals(&e, gone, gone_count);
    return e.count;
}

struct api_span api_member_cut(const struct api_member *m)
{
    assert(m->key.end > 0);
    assert(m->value.end > m->key.end);
    if (m->before > 0) return (struct api_span){m->before, m->value.end};
    return (struct api_span){m->key.start, m->after ? m->after : m->value.end};
}
