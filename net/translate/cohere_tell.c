/* cohere_tell.c - reads answers of Cohere's v2 chat, whole and as a stream. An event's kind is
 * its member type; the name in front of it says the same, and not everybody sends it.
 * Model: content blocks by start, deltas, end; a plan (what the model says before it calls) as
 * text; calls by start, deltas, end.
 * Rule: message-end finishes; the engine calls tell_end() for the end of the answer. */
#include "net/translate/tell.h"
#include "net/translate/walk.h"

enum event { MESSAGE_START, CONTENT_START, CONTENT_DELTA, CONTENT_END, PLAN_DELTA, CALL_START,
             CALL_DELTA, CITATION, MESSAGE_END, EVENTS };
static const struct bytes event_words[EVENTS] = {
    [MESSAGE_START] = BYTES_INIT("message-start"),
    [CONTENT_START] = BYTES_INIT("content-start"),
    [CONTENT_DELTA] = BYTES_INIT("content-delta"), [CONTENT_END] = BYTES_INIT("content-end"),
    [PLAN_DELTA] = BYTES_INIT("tool-plan-delta"),
    [CALL_START] = BYTES_INIT("tool-call-start"),
    [CALL_DELTA] = BYTES_INIT("tool-call-delta"), [CITATION] = BYTES_INIT("citation-start"),
    [MESSAGE_END] = BYTES_INIT("message-end"),
};

enum { NAME_MAX_BYTES = 256 };  /* of a tool's name */

enum member { CONTENT, PLAN, CALLS, CITATIONS, MEMBERS };
static const struct bytes member_names[MEMBERS] = {
    [CONTENT] = BYTES_INIT("content"), [PLAN] = BYTES_INIT("tool_plan"),
    [CALLS] = BYTES_INIT("tool_calls"), [CITATIONS] = BYTES_INIT("citations"),
};

static bool finish(struct tell_reader *r, const struct walk *w, struct node of)
{
    static const struct { struct bytes word; enum tell_finish finish; } words[] = {
        {BYTES_INIT("COMPLETE"), TELL_STOP}, {BYTES_INIT("TOOL_CALL"), TELL_CALLS},
        {BYTES_INIT("MAX_TOKENS"), TELL_LENGTH},
        {BYTES_INIT("STOP_SEQUENCE"), TELL_STOP_SEQUENCE},
    };
    struct walk_span reason = walk_inside(walk_member(w, of, BYTES("finish_reason")));
    enum tell_finish how = TELL_OTHER;
    for (size_t i = 0; i < COUNT(words); i++) {
        if (walk_is(w, reason, words[i].word)) how = words[i].finish;
    }
    return tell_finish(r, 0, how, (struct bytes){0});
}

/* A text or a thought, whole or a delta of one. */
static bool take_content(struct tell_reader *r, const struct walk *w, struct node content)
{
    static const struct bytes names[] = {BYTES_INIT("text"), BYTES_INIT("thinking")};
    struct node at[COUNT(names)];
    walk_members(w, content, names, COUNT(names), at);
    return tell_more_span(r, TELL_THINKING, w, walk_inside(at[1])) &&
           tell_more_span(r, TELL_TEXT, w, walk_inside(at[0]));
}

/* Arguments of a tool that has none are told as "null". */
static bool take_arguments(struct tell_reader *r, uint32_t index, const struct walk *w,
                           struct node function)
{
    struct walk_span text = walk_inside(walk_member(w, function, BYTES("arguments")));
    if (!walk_has(text) || walk_is(w, text, BYTES("null"))) return true;
    return tell_arguments(r, index, w, text);
}

static bool begin_call(struct tell_reader *r, uint32_t index, const struct walk *w,
                       struct node call)
{
    char id[TELL_CALL_ID_MAX], name[NAME_MAX_BYTES];
    struct node function = walk_member(w, call, BYTES("function"));
    struct node number = walk_member(w, call, BYTES("id"));
    struct node word = walk_member(w, function, BYTES("name"));
    bool told = tell_call(r, index, walk_short(w, number, id, sizeof id),
                          walk_short(w, word, name, sizeof name), false);
    explicit_bzero(id, sizeof id);
    explicit_bzero(name, sizeof name);
    return told && take_arguments(r, index, w, function);
}

/* A source with an address; what tools and documents of the client's say has none. */
static bool take_source(struct tell_reader *r, const struct walk *w, struct node source)
{
    static const struct bytes names[] = {BYTES_INIT("url"), BYTES_INIT("title")};
    struct node at[COUNT(names)];
    walk_members(w, walk_member(w, source, BYTES("document")), names, COUNT(names), at);
    return tell_cite(r, w, at[0], at[1]);
}

static bool take_citation(struct tell_reader *r, const struct walk *w, struct node citation)
{
    struct walk_each each;
    struct node key, source;
    walk_begin(w, walk_member(w, citation, BYTES("sources")), &each);
    while (walk_next(&each, &key, &source)) {
        if (!take_source(r, w, source)) return false;
    }
    return true;
}

static uint32_t index_of(const struct walk *w, struct node root)
{
    int64_t index;
    bool fair = walk_int(w, walk_member(w, root, BYTES("index")), &index) && index >= 0 &&
                index < INT32_MAX;
    return fair ? (uint32_t)index : 0;
}

static bool cohere_event(struct tell_reader *r, struct bytes name, const struct walk *w,
                         struct node root)
{
    (void)name;
    size_t event = walk_word(w, walk_member(w, root, BYTES("type")), event_words, EVENTS);
    struct node delta = walk_member(w, root, BYTES("delta")), at[MEMBERS];
    if (event == EVENTS) return true;
    struct node said = {0}, none = {0};
    if (event == MESSAGE_START) said = walk_member(w, root, BYTES("id"));
    if (!tell_start_of(r, w, said, none, 0)) return false;
    walk_members(w, walk_member(w, delta, BYTES("message")), member_names, MEMBERS, at);
    switch (event) {
    case CONTENT_START: return tell_close(r) && take_content(r, w, at[CONTENT]);
    case CONTENT_DELTA: return take_content(r, w, at[CONTENT]);
    case CONTENT_END: return tell_close(r);
    case PLAN_DELTA: return tell_more_span(r, TELL_TEXT, w, walk_inside(at[PLAN]));
    case CALL_START: return begin_call(r, index_of(w, root), w, at[CALLS]);
    case CALL_DELTA:
        return take_arguments(r, index_of(w, root), w,
                              walk_member(w, at[CALLS], BYTES("function")));
    case CITATION: return take_citation(r, w, at[CITATIONS]);
    case MESSAGE_END: return finish(r, w, delta);
    default: return true;
    }
}

static bool cohere_whole(struct tell_reader *r, const struct walk *w, struct node root)
{
    struct walk_each each;
    struct node key, value, at[MEMBERS], none = {0};
    uint32_t index = 0;
    if (!tell_start_of(r, w, walk_member(w, root, BYTES("id")), none, 0)) return false;
    walk_members(w, walk_member(w, root, BYTES("message")), member_names, MEMBERS, at);
    if (!tell_more_span(r, TELL_TEXT, w, walk_inside(at[PLAN]))) return false;
    walk_begin(w, at[CONTENT], &each);
    while (walk_next(&each, &key, &value)) {
        if (!tell_close(r) || !take_content(r, w, value)) return false;
    }
    walk_begin(w, at[CITATIONS], &each);
    while (walk_next(&each, &key, &value)) {
        if (!take_citation(r, w, value)) return false;
    }
    walk_begin(w, at[CALLS], &each);
    while (walk_next(&each, &key, &value)) {
        if (!begin_call(r, index++, w, value)) return false;
    }
    return finish(r, w, root);
}

const struct tell_dialect cohere_tell = {.event = cohere_event, .whole = cohere_whole};
