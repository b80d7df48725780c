/* converse_tell.c - reads answers of Bedrock's Converse, whole and as a stream. An event's kind
 * is its name, which the framing has (eventstream.h); its data has none.
 * Model: contentBlockStart is there for calls only; of other blocks the first delta tells what
 * they are. Behind messageStop comes metadata: usage, which is nobody's here.
 * Rule: blocks of tools that ran at the provider are passed over, the text around them kept. */
#include "net/translate/converse.h"
#include "net/translate/tell.h"
#include "net/translate/walk.h"

enum event { START, BLOCK_START, DELTA, BLOCK_STOP, STOP, EVENTS };
static const struct bytes event_words[EVENTS] = {
    [START] = BYTES_INIT("messageStart"), [BLOCK_START] = BYTES_INIT("contentBlockStart"),
    [DELTA] = BYTES_INIT("contentBlockDelta"), [BLOCK_STOP] = BYTES_INIT("contentBlockStop"),
    [STOP] = BYTES_INIT("messageStop"),
};

enum { NAME_MAX_BYTES = 256 };  /* of a tool's name */

enum member { TEXT, CALL, THOUGHT, CITED, CITATION, MEMBERS };
static const struct bytes member_names[MEMBERS] = {
    [TEXT] = BYTES_INIT("text"), [CALL] = BYTES_INIT("toolUse"),
    [THOUGHT] = BYTES_INIT("reasoningContent"), [CITED] = BYTES_INIT("citationsContent"),
    [CITATION] = BYTES_INIT("citation"),
};

static enum tell_finish finish_of(const struct walk *w, struct node reason)
{
    static const struct { struct bytes word; enum tell_finish finish; } words[] = {
        {BYTES_INIT("end_turn"), TELL_STOP}, {BYTES_INIT("tool_use"), TELL_CALLS},
        {BYTES_INIT("max_tokens"), TELL_LENGTH},
        {BYTES_INIT("stop_sequence"), TELL_STOP_SEQUENCE},
        {BYTES_INIT("guardrail_intervened"), TELL_FILTER},
        {BYTES_INIT("content_filtered"), TELL_FILTER},
        {BYTES_INIT("model_context_window_exceeded"), TELL_CONTEXT},
    };
    for (size_t i = 0; i < COUNT(words); i++) {
        if (walk_is(w, walk_inside(reason), words[i].word)) return words[i].finish;
    }
    return TELL_OTHER;
}

static bool begin_call(struct tell_reader *r, uint32_t index, const struct walk *w,
                       struct node call)
{
    static const struct bytes names[] = {BYTES_INIT("toolUseId"), BYTES_INIT("name")};
    struct node at[COUNT(names)];
    char id[TELL_CALL_ID_MAX], name[NAME_MAX_BYTES];
    walk_members(w, call, names, COUNT(names), at);
    bool told = tell_call(r, index, walk_short(w, at[0], id, sizeof id),
                          walk_short(w, at[1], name, sizeof name), false);
    explicit_bzero(id, sizeof id);
    explicit_bzero(name, sizeof name);
    return told;
}

static bool redacted(struct tell_reader *r, const struct walk *w, struct node data)
{
    return tell_close(r) && tell_open(r, TELL_THINKING) &&
           tell_mark(r, MAKER_CONVERSE, CONVERSE_REDACTED) &&
           tell_sign(r, MAKER_CONVERSE, w, walk_inside(data));
}

/* Thoughts: text and signature side by side in a whole block, one by one in deltas. */
static bool take_thought(struct tell_reader *r, const struct walk *w, struct node thought)
{
    static const struct bytes names[] = {
        BYTES_INIT("text"), BYTES_INIT("signature"), BYTES_INIT("redactedContent"),
        BYTES_INIT("reasoningText"),
    };
    struct node at[COUNT(names)];
    walk_members(w, thought, names, COUNT(names), at);
    if (at[3].type == JSON_OBJECT) walk_members(w, at[3], names, 2, at);
    if (walk_has(walk_inside(at[2]))) return redacted(r, w, at[2]);
    bool told = tell_more_span(r, TELL_THINKING, w, walk_inside(at[0]));
    if (!told || !walk_has(walk_inside(at[1]))) return told;
    if (!r->open || r->block != TELL_THINKING) told = tell_open(r, TELL_THINKING);
    return told && tell_sign(r, MAKER_CONVERSE, w, walk_inside(at[1]));
}

/* A source that has an address. */
static bool cite(struct tell_reader *r, const struct walk *w, struct node citation)
{
    struct node web = walk_member(w, walk_member(w, citation, BYTES("location")),
                                  BYTES("web"));
    return tell_cite(r, w, walk_member(w, web, BYTES("url")),
                     walk_member(w, citation, BYTES("title")));
}

static bool take_delta(struct tell_reader *r, uint32_t index, const struct walk *w,
                       struct node delta)
{
    struct node at[MEMBERS];
    walk_members(w, delta, member_names, MEMBERS, at);
    if (at[TEXT].type == JSON_STRING) {
        return tell_more_span(r, TELL_TEXT, w, walk_inside(at[TEXT]));
    }
    if (at[THOUGHT].type == JSON_OBJECT) return take_thought(r, w, at[THOUGHT]);
    if (at[CITATION].type == JSON_OBJECT) return cite(r, w, at[CITATION]);
    if (at[CALL].type != JSON_OBJECT) return true;
    struct node input = walk_member(w, at[CALL], BYTES("input"));
    return tell_arguments(r, index, w, walk_inside(input));
}

static uint32_t index_of(const struct walk *w, struct node root)
{
    int64_t index;
    struct node n = walk_member(w, root, BYTES("contentBlockIndex"));
    bool fair = walk_int(w, n, &index) && index >= 0 && index < INT32_MAX;
    return fair ? (uint32_t)index : 0;
}

static bool converse_event(struct tell_reader *r, struct bytes name, const struct walk *w,
                           struct node root)
{
    size_t event = 0;
    struct node call;
    while (event < EVENTS && !bytes_eq(name, event_words[event])) event++;
    if (event < EVENTS && !tell_start(r, (struct bytes){0}, (struct bytes){0})) return false;
    switch (event) {
    case BLOCK_START:
        call = walk_member(w, walk_member(w, root, BYTES("start")), BYTES("toolUse"));
        return call.type != JSON_OBJECT || begin_call(r, index_of(w, root), w, call);
    case DELTA:
        return take_delta(r, index_of(w, root), w, walk_member(w, root, BYTES("delta")));
    case BLOCK_STOP: return tell_close(r);
    case STOP:
        return tell_finish(r, 0, finish_of(w, walk_member(w, root, BYTES("stopReason"))),
                           (struct bytes){0});
    default: return true;
    }
}

/* A text with sources: its pieces, then what they came from. */
static bool take_cited(struct tell_reader *r, const struct walk *w, struct node cited)
{
    struct walk_each each;
    struct node key, value;
    walk_begin(w, walk_member(w, cited, BYTES("content")), &each);
    while (walk_next(&each, &key, &value)) {
        struct walk_span text = walk_inside(walk_member(w, value, BYTES("text")));
        if (!tell_more_span(r, TELL_TEXT, w, text)) return false;
    }
    walk_begin(w, walk_member(w, cited, BYTES("citations")), &each);
    while (walk_next(&each, &key, &value)) {
        if (!cite(r, w, value)) return false;
    }
    return true;
}

static bool take_block(struct tell_reader *r, uint32_t index, const struct walk *w,
                       struct node block)
{
    struct node at[MEMBERS];
    walk_members(w, block, member_names, MEMBERS, at);
    bool told = true;
    if (at[TEXT].type == JSON_STRING) {
        told = tell_more_span(r, TELL_TEXT, w, walk_inside(at[TEXT]));
    } else if (at[THOUGHT].type == JSON_OBJECT) {
        told = take_thought(r, w, at[THOUGHT]);
    } else if (at[CITED].type == JSON_OBJECT) {
        told = take_cited(r, w, at[CITED]);
    } else if (at[CALL].type == JSON_OBJECT) {
        told = begin_call(r, index, w, at[CALL]) &&
               tell_arguments_value(r, index, w, walk_member(w, at[CALL], BYTES("input")));
    }
    return told && tell_close(r);
}

static bool converse_whole(struct tell_reader *r, const struct walk *w, struct node root)
{
    struct walk_each each;
    struct node key, block;
    uint32_t index = 0;
    struct node message = walk_member(w, walk_member(w, root, BYTES("output")),
                                      BYTES("message"));
    if (!tell_start(r, (struct bytes){0}, (struct bytes){0})) return false;
    walk_begin(w, walk_member(w, message, BYTES("content")), &each);
    while (walk_next(&each, &key, &block)) {
        if (!take_block(r, index++, w, block)) return false;
    }
    return tell_finish(r, 0, finish_of(w, walk_member(w, root, BYTES("stopReason"))),
                       (struct bytes){0});
}

const struct tell_dialect converse_tell = {.event = converse_event, .whole = converse_whole};
