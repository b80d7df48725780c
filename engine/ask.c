/* ask.c - see ask.h. */
#include "engine/ask.h"
#include "net/dialect/api.h"

static_assert((int)API_EFFORT_UNSET == (int)EFFORT_UNSET &&
              (int)API_EFFORT_LOW == (int)EFFORT_LOW &&
              (int)API_EFFORTS == (int)EFFORTS, "efforts have one number");
static_assert((int)API_FORMAT_JSON == (int)FORMAT_JSON &&
              (int)API_FORMAT_SCHEMA == (int)FORMAT_SCHEMA, "formats have one number");
static_assert((int)API_CHOICE_AUTO == (int)TOOLS_AUTO &&
              (int)API_CHOICE_NONE == (int)TOOLS_NONE &&
              (int)API_CHOICE_REQUIRED == (int)TOOLS_REQUIRED &&
              (int)API_CHOICE_NAMED == (int)TOOLS_NAMED, "choices of tools have one number");

struct source {
    void (*read)(void *arg, uint64_t from, char *out, size_t len);
    void *arg;
    struct ask_room *room;
};

/* At most max bytes of a span, from its start or up to its end. */
static struct bytes cut(const struct source *s, struct api_span span, size_t max, bool tail)
{
    struct ask_room *room = s->room;
    assert(span.start <= span.end && room->used + max <= sizeof room->at);
    uint64_t len = span.end - span.start;
    size_t n = len < max ? (size_t)len : max;
    char *to = room->at + room->used;
    if (n == 0) return (struct bytes){0};
    s->read(s->arg, tail ? span.end - n : span.start, to, n);
    room->used += n;
    return (struct bytes){to, n};
}

void ask_make(const struct api_request *req,
              void (*read)(void *arg, uint64_t from, char *out, size_t len), void *arg,
              struct ask_room *room, struct features_ask *out)
{
    const struct source s = {read, arg, room};
    const struct api_span *at = req->text;
    struct api_span last = at[API_TEXT_LAST], first = at[API_TEXT_FIRST];
    bool whole = last.end - last.start <= FEATURES_LAST_MAX;
    *out = (struct features_ask){
        .prompt_bytes = req->prompt_bytes, .system_bytes = req->system_bytes,
        .last_bytes = req->last_bytes, .tool_bytes = req->tool_bytes,
        .message_count = req->message_count, .user_turns = req->user_turns,
        .assistant_turns = req->assistant_turns, .tool_turns = req->tool_turns,
        .tool_count = req->tool_count, .image_count = req->image_count,
        .audio_count = req->audio_count, .max_tokens = req->max_tokens,
        .format = req->format, .effort = req->effort, .tool_choice = req->choice,
        .stream = req->stream,
    };
    room->used = 0;
    out->text[TEXT_SYSTEM] = cut(&s, at[API_TEXT_SYSTEM], FEATURES_SYSTEM_MAX, false);
    if (first.start != last.start) {
        out->text[TEXT_FIRST] = cut(&s, first, FEATURES_FIRST_MAX, false);
    }
    out->text[TEXT_LAST] =
        cut(&s, last, whole ? FEATURES_LAST_MAX : FEATURES_HEAD_MAX, false);
    if (!whole) out->text[TEXT_LAST_TAIL] = cut(&s, last, FEATURES_TAIL_MAX, true);
    out->text[TEXT_TOOLS] = cut(&s, at[API_TEXT_TOOLS], FEATURES_TOOLS_MAX, false);
}
