/* messages_tell.c - reads Anthropic's answers: events of a stream, or a whole message.
 * Model: content_block_start says what the deltas up to content_block_stop are of; r->stage has
 * it. Blocks of tools that ran at the provider are passed over, and the text around them kept.
 * Rule: message_stop says nothing here: the engine calls tell_end() for it. */
#include "net/translate/ask.h"
#include "net/translate/messages.h"

/* Kinds of blocks, and what deltas of them are. */
enum block { OTHER, TEXT, THINKING, REDACTED, CALL, BLOCKS };
static const struct bytes block_words[BLOCKS] = {
    [OTHER] = BYTES_INIT(""), [TEXT] = BYTES_INIT("text"),
    [THINKING] = BYTES_INIT("thinking"), [REDACTED] = BYTES_INIT("redacted_thinking"),
    [CALL] = BYTES_INIT("tool_use"),
};
enum { ARGUED = 1 };    /* r->flags: the call in hand has arguments */

static enum block block_kind(const struct walk *w, struct node type)
{
    size_t word = walk_word(w, type, block_words, BLOCKS);
    return word < BLOCKS ? (enum block)word : OTHER;
}

static bool start(struct tell_reader *r, const struct walk *w, struct node message)
{
    static const struct bytes names[] = {BYTES_INIT("id"), BYTES_INIT("model")};
    struct node at[COUNT(names)];
    walk_members(w, message, names, COUNT(names), at);
    return tell_start_of(r, w, at[0], at[1], 0);
}

static bool begin_call(struct tell_reader *r, uint32_t index, const struct walk *w,
                       const struct node *at, bool whole)
{
    char id[TELL_CALL_ID_MAX], name[256];
    struct node input = at[2];
    r->flags &= ~(uint32_t)ARGUED;
    bool told = tell_call(r, index, walk_short(w, at[0], id, sizeof id),
                          walk_short(w, at[1], name, sizeof name), false);
    explicit_bzero(id, sizeof id);
    explicit_bzero(name, sizeof name);
    if (!told) return false;
    bool empty = input.type != JSON_OBJECT || walk_count(w, input) == 0;
    if (empty && !whole) return true;   /* input_json_delta follows */
    r->flags |= ARGUED;
    return tell_arguments_value(r, index, w, input.type == JSON_OBJECT ? input
                                                                      : (struct node){0});
}

enum { C_ID, C_NAME, C_INPUT, C_TYPE, C_TEXT, C_THINKING, C_SIGNATURE, C_DATA, C_CITATIONS,
       C_NAMES };
static const struct bytes block_names[C_NAMES] = {
    [C_ID] = BYTES_INIT("id"), [C_NAME] = BYTES_INIT("name"), [C_INPUT] = BYTES_INIT("input"),
    [C_TYPE] = BYTES_INIT("type"), [C_TEXT] = BYTES_INIT("text"),
    [C_THINKING] = BYTES_INIT("thinking"), [C_SIGNATURE] = BYTES_INIT("signature"),
    [C_DATA] = BYTES_INIT("data"), [C_CITATIONS] = BYTES_INIT("citations"),
};

static bool cite(struct tell_reader *r, const struct walk *w, struct node citation)
{
    static const struct bytes names[] = {BYTES_INIT("url"), BYTES_INIT("title")};
    struct node at[COUNT(names)];
    walk_members(w, citation, names, COUNT(names), at);
    if (!walk_has(walk_inside(at[0]))) return true;  /* a place in the client's own document */
    bool open = (r->open && r->block == TELL_TEXT) || tell_open(r, TELL_TEXT);
    return open && tell_cite(r, w, at[0], at[1]);
}

static bool cite_all(struct tell_reader *r, const struct walk *w, struct node citations)
{
    struct walk_each each;
    struct node key, citation;
    walk_begin(w, citations, &each);
    while (walk_next(&each, &key, &citation)) {
        if (!cite(r, w, citation)) return false;
    }
    return true;
}

/* A block begins, or is there as a whole. Text opens with its first bytes, since an empty block
 * says nothing, but to a client that has read that it began. */
static bool begin_block(struct tell_reader *r, uint32_t index, const struct walk *w,
                        struct node block, bool whole)
{
    struct node at[C_NAMES];
    walk_members(w, block, block_names, C_NAMES, at);
    r->stage = block_kind(w, at[C_TYPE]);
    r->place = index;
    if (r->places <= index) r->places = index + 1;
    r->foreign = r->stage == OTHER;
    switch (r->stage) {
    case TEXT:
        return tell_close(r) && (!r->theirs || tell_open(r, TELL_TEXT)) &&
               tell_more_span(r, TELL_TEXT, w, walk_inside(at[C_TEXT])) &&
               cite_all(r, w, at[C_CITATIONS]);
    case THINKING:
        return tell_close(r) && tell_open(r, TELL_THINKING) &&
               tell_more_span(r, TELL_THINKING, w, walk_inside(at[C_THINKING])) &&
               (!walk_has(walk_inside(at[C_SIGNATURE])) ||
                tell_sign(r, MAKER_MESSAGES, w, walk_inside(at[C_SIGNATURE])));
    case REDACTED:
        return tell_close(r) && tell_open(r, TELL_THINKING) &&
               tell_mark(r, MAKER_MESSAGES, MESSAGES_REDACTED) &&
               tell_sign(r, MAKER_MESSAGES, w, walk_inside(at[C_DATA]));
    case CALL: return begin_call(r, index, w, at, whole);
    default: return true;
    }
}

static bool end_block(struct tell_reader *r, uint32_t index, const struct walk *w)
{
    enum block was = (enum block)r->stage;
    r->stage = OTHER;
    r->foreign = false;
    if (was == CALL) {
        return ((r->flags & ARGUED) != 0 ||
                tell_arguments_value(r, index, w, (struct node){0})) &&
               tell_close_call(r, index);
    }
    return was == OTHER || tell_close(r);
}

static bool more(struct tell_reader *r, uint32_t index, const struct walk *w,
                 struct node delta)
{
    enum { D_TEXT, D_THINKING, D_SIGNATURE, D_JSON, D_CITATION, D_NAMES };
    static const struct bytes names[D_NAMES] = {
        [D_TEXT] = BYTES_INIT("text"), [D_THINKING] = BYTES_INIT("thinking"),
        [D_SIGNATURE] = BYTES_INIT("signature"), [D_JSON] = BYTES_INIT("partial_json"),
        [D_CITATION] = BYTES_INIT("citation"),
    };
    struct node at[D_NAMES];
    walk_members(w, delta, names, D_NAMES, at);
    if (r->stage == TEXT) {
        if (at[D_CITATION].type == JSON_OBJECT) return cite(r, w, at[D_CITATION]);
        return tell_more_span(r, TELL_TEXT, w, walk_inside(at[D_TEXT]));
    }
    if (r->stage == THINKING) {
        if (at[D_SIGNATURE].type == JSON_STRING) {
            return !walk_has(walk_inside(at[D_SIGNATURE])) ||
                   tell_sign(r, MAKER_MESSAGES, w, walk_inside(at[D_SIGNATURE]));
        }
        return tell_more_span(r, TELL_THINKING, w, walk_inside(at[D_THINKING]));
    }
    if (r->stage != CALL || !walk_has(walk_inside(at[D_JSON]))) return true;
    r->flags |= ARGUED;
    return tell_arguments(r, index, w, walk_inside(at[D_JSON]));
}

/* message_delta's delta, or a whole message: why it ended. */
static bool finish(struct tell_reader *r, const struct walk *w, struct node delta)
{
    static const struct bytes names[] = {BYTES_INIT("stop_reason"),
                                         BYTES_INIT("stop_sequence")};
    static const struct bytes words[] = {
        BYTES_INIT("end_turn"), BYTES_INIT("max_tokens"), BYTES_INIT("stop_sequence"),
        BYTES_INIT("tool_use"), BYTES_INIT("pause_turn"), BYTES_INIT("refusal"),
        BYTES_INIT("model_context_window_exceeded"),
    };
    static const uint8_t is[] = {TELL_STOP, TELL_LENGTH, TELL_STOP_SEQUENCE, TELL_CALLS,
                                 TELL_PAUSE, TELL_REFUSED, TELL_CONTEXT, TELL_OTHER};
    struct node at[COUNT(names)];
    char sequence[256];
    walk_members(w, delta, names, COUNT(names), at);
    if (at[0].type != JSON_STRING) return true;
    size_t word = walk_word(w, at[0], words, COUNT(words));
    bool told = tell_finish(r, 0, (enum tell_finish)is[word],
                            walk_short(w, at[1], sequence, sizeof sequence));
    explicit_bzero(sequence, sizeof sequence);
    static_assert(COUNT(is) == COUNT(words) + 1, "any other word has its place too");
    return told;
}

/* A whole message but for its end. */
static bool whole_message(struct tell_reader *r, const struct walk *w, struct node root)
{
    struct walk_each each;
    struct node key, block;
    uint32_t index = 0;
    if (!start(r, w, root)) return false;
    walk_begin(w, walk_member(w, root, BYTES("content")), &each);
    while (walk_next(&each, &key, &block)) {
        if (!begin_block(r, index, w, block, true) || !end_block(r, index, w)) return false;
        index++;
    }
    return finish(r, w, root);
}

enum event { E_START, E_BEGIN, E_MORE, E_STOP, E_DELTA, E_WHOLE, EVENTS };
static const struct bytes event_words[EVENTS] = {
    [E_START] = BYTES_INIT("message_start"), [E_BEGIN] = BYTES_INIT("content_block_start"),
    [E_MORE] = BYTES_INIT("content_block_delta"), [E_STOP] = BYTES_INIT("content_block_stop"),
    [E_DELTA] = BYTES_INIT("message_delta"), [E_WHOLE] = BYTES_INIT("message"),
};

static bool event(struct tell_reader *r, struct bytes name, const struct walk *w,
                  struct node root)
{
    enum { N_TYPE, N_INDEX, N_MESSAGE, N_BLOCK, N_DELTA, NAMES };
    static const struct bytes names[NAMES] = {
        [N_TYPE] = BYTES_INIT("type"), [N_INDEX] = BYTES_INIT("index"),
        [N_MESSAGE] = BYTES_INIT("message"), [N_BLOCK] = BYTES_INIT("content_block"),
        [N_DELTA] = BYTES_INIT("delta"),
    };
    struct node at[NAMES];
    int64_t index;
    (void)name;     /* data says the same */
    walk_members(w, root, names, NAMES, at);
    if (!walk_int(w, at[N_INDEX], &index) || index < 0 || index > UINT32_MAX) index = 0;
    switch (walk_word(w, at[N_TYPE], event_words, EVENTS)) {
    case E_START: return start(r, w, at[N_MESSAGE]);
    case E_BEGIN: return begin_block(r, (uint32_t)index, w, at[N_BLOCK], false);
    case E_MORE: return more(r, (uint32_t)index, w, at[N_DELTA]);
    case E_STOP: return end_block(r, (uint32_t)index, w);
    case E_DELTA: return finish(r, w, at[N_DELTA]);
    case E_WHOLE: return whole_message(r, w, root);     /* Vertex, at times */
    default: return true;
    }
}

const struct tell_dialect messages_tell = {
    .event = event, .whole = whole_message, .write = messages_tell_write,
    .write_whole = messages_tell_write_whole,
};
