/* responses_tell.c - reads an answer of OpenAI's Responses: its events, or the whole of it.
 * Model: an output item is a block, or several; what its deltas told is not told again by the
 * events that repeat it (*.done, output_item.done, response.completed), and what came without
 * deltas is told by the first of these that has it.
 *   output_item.added -> deltas -> *.done -> output_item.done -> ... -> response.completed
 * Rule: of an item a bit is known, by its output_index: something of it was told.
 * What runs at the provider (web searches, code) is passed over; what it made is text, or an
 * image. */
#include "net/translate/responses.h"
#include "net/translate/walk.h"

enum { N_PART, N_LAST, N_TOLD, N_TOLD_END = 8 };    /* r->number */
enum { TOLD_MAX = 32 * (N_TOLD_END - N_TOLD) };     /* output items that have a bit */
enum {
    CALLED = 1,      /* some call was told */
    SUMMARY = 2,     /* the open thought is told by its summary */
    RAW = 4,         /* by its own text */
    BROKEN = 8,      /* another part of the summary comes: an empty line goes before it */
    HEARD = 16,      /* some item was told */
};

enum event { E_TYPE, E_ITEM, E_INDEX, E_PART_INDEX, E_SUMMARY_INDEX, E_DELTA, E_TEXT, E_REFUSAL,
             E_ARGUMENTS, E_INPUT, E_PART, E_LOGPROBS, E_ANNOTATION, E_RESPONSE, EVENT_NAMES };
static const struct bytes event_names[EVENT_NAMES] = {
    [E_TYPE] = BYTES_INIT("type"), [E_ITEM] = BYTES_INIT("item"),
    [E_INDEX] = BYTES_INIT("output_index"), [E_PART_INDEX] = BYTES_INIT("content_index"),
    [E_SUMMARY_INDEX] = BYTES_INIT("summary_index"), [E_DELTA] = BYTES_INIT("delta"),
    [E_TEXT] = BYTES_INIT("text"), [E_REFUSAL] = BYTES_INIT("refusal"),
    [E_ARGUMENTS] = BYTES_INIT("arguments"), [E_INPUT] = BYTES_INIT("input"),
    [E_PART] = BYTES_INIT("part"), [E_LOGPROBS] = BYTES_INIT("logprobs"),
    [E_ANNOTATION] = BYTES_INIT("annotation"), [E_RESPONSE] = BYTES_INIT("response"),
};

enum item { I_TYPE, I_CONTENT, I_CALL_ID, I_NAME, I_SPACE, I_ARGUMENTS, I_INPUT, I_SUMMARY,
            I_ENCRYPTED, I_RESULT, I_FORMAT, ITEM_NAMES };
static const struct bytes item_names[ITEM_NAMES] = {
    [I_TYPE] = BYTES_INIT("type"), [I_CONTENT] = BYTES_INIT("content"),
    [I_CALL_ID] = BYTES_INIT("call_id"), [I_NAME] = BYTES_INIT("name"),
    [I_SPACE] = BYTES_INIT("namespace"), [I_ARGUMENTS] = BYTES_INIT("arguments"),
    [I_INPUT] = BYTES_INIT("input"), [I_SUMMARY] = BYTES_INIT("summary"),
    [I_ENCRYPTED] = BYTES_INIT("encrypted_content"), [I_RESULT] = BYTES_INIT("result"),
    [I_FORMAT] = BYTES_INIT("output_format"),
};

enum kind { MESSAGE, CALL, CUSTOM_CALL, REASONING, IMAGE, OTHER };
static const struct bytes item_words[] = {
    BYTES_INIT("message"), BYTES_INIT("function_call"), BYTES_INIT("custom_tool_call"),
    BYTES_INIT("reasoning"), BYTES_INIT("image_generation_call"),
};

struct in {                  /* an event, or an item of a whole answer */
    struct tell_reader *r;
    const struct walk *w;
    struct node at[EVENT_NAMES];
    uint32_t index;          /* output_index */
};

static uint32_t number_of(const struct walk *w, struct node n)
{
    int64_t value;
    return walk_int(w, n, &value) && value >= 0 && value < UINT32_MAX ? (uint32_t)value : 0;
}

/* Was something of the item told? Beyond the last bit: if it is the one told of last. */
static bool is_told(const struct tell_reader *r, uint32_t index)
{
    if (index >= TOLD_MAX) return r->number[N_LAST] == index;
    return r->number[N_TOLD + index / 32] >> index % 32 & 1;
}

static void note_told(struct tell_reader *r, uint32_t index)
{
    r->number[N_LAST] = index;
    r->flags |= HEARD;
    if (index < TOLD_MAX) r->number[N_TOLD + index / 32] |= 1u << index % 32;
    assert(is_told(r, index));
}

/* A part of an item, as a number that is not 0. */
static uint32_t part_of(const struct in *in, enum event which)
{
    uint32_t part = number_of(in->w, in->at[which]);
    return (in->index << 12) + (part & 2047) * 2 + (which == E_SUMMARY_INDEX) + 1;
}

/* ---- texts ---- */

static bool cite(struct in *in, struct node annotation)
{
    static const struct bytes names[] = {BYTES_INIT("type"), BYTES_INIT("url"),
                                         BYTES_INIT("title")};
    struct node at[COUNT(names)];
    walk_members(in->w, annotation, names, COUNT(names), at);
    if (!walk_is(in->w, walk_inside(at[0]), BYTES("url_citation"))) return true;
    return tell_cite(in->r, in->w, at[1], at[2]);
}

/* Of the text that is open; without one they are nobody's. */
static bool give_logprobs(struct tell_reader *r, struct bytes array)
{
    if (!r->open || r->block != TELL_TEXT) return true;
    return r->take(r->arg, &(struct tell){.kind = TELL_LOGPROBS, .block = TELL_TEXT,
                                          .choice = r->choice, .item = r->item,
                                          .text = array});
}

/* An array as it stands; one that lies in pieces goes token by token. */
static bool tell_logprobs(struct in *in, struct node logprobs)
{
    char room[4096];
    struct walk_each e;
    struct node key, token;
    bool right = true;
    if (logprobs.type != JSON_ARRAY || logprobs.end - logprobs.start <= 2) return true;
    struct bytes b = walk_piece(in->w, logprobs.start, logprobs.end);
    if (b.len == logprobs.end - logprobs.start) return give_logprobs(in->r, b);
    walk_begin(in->w, logprobs, &e);
    while (right && walk_next(&e, &key, &token)) {
        b = walk_bytes(in->w, walk_all(token), room + 1, sizeof room - 2);
        if (!b.ptr || b.len > sizeof room - 2) continue;  /* no token is that long */
        if (b.ptr != room + 1) memcpy(room + 1, b.ptr, b.len);
        room[0] = '[';
        room[1 + b.len] = ']';
        right = give_logprobs(in->r, (struct bytes){room, b.len + 2});
    }
    explicit_bzero(room, sizeof room);
    return right;
}

static bool on_text_delta(struct in *in)
{
    struct tell_reader *r = in->r;
    r->number[N_PART] = part_of(in, E_PART_INDEX);
    note_told(r, in->index);
    return tell_more_span(r, TELL_TEXT, in->w, walk_inside(in->at[E_DELTA])) &&
           tell_logprobs(in, in->at[E_LOGPROBS]);
}

static bool on_refusal_delta(struct in *in)
{
    in->r->number[N_PART] = part_of(in, E_PART_INDEX);
    note_told(in->r, in->index);
    return tell_more_span(in->r, TELL_REFUSAL, in->w, walk_inside(in->at[E_DELTA]));
}

/* A text that is there whole, unless its deltas were told. */
static bool tell_once(struct in *in, enum tell_block block, struct node text)
{
    struct tell_reader *r = in->r;
    uint32_t part = part_of(in, E_PART_INDEX);
    if (r->number[N_PART] == part || !walk_has(walk_inside(text))) return true;
    r->number[N_PART] = part;
    note_told(r, in->index);
    return tell_more_span(r, block, in->w, walk_inside(text));
}

/* A client that has read it gets nothing more of that text. */
static bool end_text(struct in *in)
{
    return !in->r->theirs || (tell_close(in->r) && tell_step(in->r, STEP_TEXT));
}

static bool on_text_done(struct in *in)
{
    return tell_once(in, TELL_TEXT, in->at[E_TEXT]) && end_text(in);
}

static bool on_refusal_done(struct in *in)
{
    return tell_once(in, TELL_REFUSAL, in->at[E_REFUSAL]) && end_text(in);
}

/* A part is there, before its text: for a client that has read so. */
static bool on_part_added(struct in *in)
{
    struct node type = walk_member(in->w, in->at[E_PART], BYTES("type"));
    if (!in->r->theirs) return true;
    if (walk_is(in->w, walk_inside(type), BYTES("output_text"))) {
        return tell_open(in->r, TELL_TEXT);
    }
    return !walk_is(in->w, walk_inside(type), BYTES("refusal")) ||
           tell_open(in->r, TELL_REFUSAL);
}

/* One part of a message's content. Its sources are told with it where it is told here. */
static bool tell_part(struct in *in, struct node part)
{
    static const struct bytes names[] = {BYTES_INIT("type"), BYTES_INIT("text"),
        BYTES_INIT("refusal"), BYTES_INIT("annotations"), BYTES_INIT("logprobs")};
    struct node at[COUNT(names)], key, annotation;
    struct walk_each e;
    walk_members(in->w, part, names, COUNT(names), at);
    bool refusal = walk_is(in->w, walk_inside(at[0]), BYTES("refusal"));
    if (!refusal && !walk_is(in->w, walk_inside(at[0]), BYTES("output_text"))) return true;
    bool fresh = in->r->number[N_PART] != part_of(in, E_PART_INDEX);
    if (!tell_once(in, refusal ? TELL_REFUSAL : TELL_TEXT, at[refusal ? 2 : 1])) return false;
    if (fresh && !refusal) {
        if (!tell_logprobs(in, at[4])) return false;
        walk_begin(in->w, at[3], &e);
        while (walk_next(&e, &key, &annotation)) {
            if (!cite(in, annotation)) return false;
        }
    }
    return tell_close(in->r);
}

static bool on_part_done(struct in *in)
{
    return tell_part(in, in->at[E_PART]) && tell_step(in->r, STEP_PART);
}

static bool on_annotation(struct in *in)
{
    return cite(in, in->at[E_ANNOTATION]);
}

/* ---- thoughts ---- */

/* A piece of a thought: of its summary or, where the provider shows them, of the thought. Only
 * one of both is told, whichever comes first. */
static bool think(struct in *in, unsigned how, struct node text)
{
    struct tell_reader *r = in->r;
    if (!walk_has(walk_inside(text)) || (r->flags & (SUMMARY | RAW) & ~how)) return true;
    bool broken = r->flags & BROKEN && r->open && r->block == TELL_THINKING;
    r->flags = (r->flags | how) & ~(unsigned)BROKEN;
    note_told(r, in->index);
    if (broken && !tell_more(r, TELL_THINKING, BYTES("\\n\\n"))) return false;
    return tell_more_span(r, TELL_THINKING, in->w, walk_inside(text));
}

static bool on_summary_delta(struct in *in)
{
    in->r->number[N_PART] = part_of(in, E_SUMMARY_INDEX);
    return think(in, SUMMARY, in->at[E_DELTA]);
}

static bool on_summary_done(struct in *in)
{
    struct tell_reader *r = in->r;
    uint32_t part = part_of(in, E_SUMMARY_INDEX);
    bool fresh = r->number[N_PART] != part;
    r->number[N_PART] = part;
    if (fresh && !think(in, SUMMARY, in->at[E_TEXT])) return false;
    r->flags |= BROKEN;
    return true;
}

static bool on_thought_delta(struct in *in)
{
    in->r->number[N_PART] = part_of(in, E_PART_INDEX);
    return think(in, RAW, in->at[E_DELTA]);
}

static bool on_thought_done(struct in *in)
{
    struct tell_reader *r = in->r;
    uint32_t part = part_of(in, E_PART_INDEX);
    bool fresh = r->number[N_PART] != part;
    r->number[N_PART] = part;
    if (fresh && !think(in, RAW, in->at[E_TEXT])) return false;
    r->flags |= BROKEN;
    return true;
}

/* All parts of a thought that is there whole. */
static bool think_all(struct in *in, unsigned how, struct node list)
{
    struct walk_each e;
    struct node key, part;
    walk_begin(in->w, list, &e);
    while (walk_next(&e, &key, &part)) {
        if (!think(in, how, walk_member(in->w, part, BYTES("text")))) return false;
        in->r->flags |= BROKEN;
    }
    return true;
}

static bool tell_reasoning(struct in *in, const struct node *at)
{
    struct tell_reader *r = in->r;
    bool right = true;
    if (!is_told(r, in->index)) {
        right = think_all(in, SUMMARY, at[I_SUMMARY]) && think_all(in, RAW, at[I_CONTENT]);
    }
    r->flags &= ~(unsigned)(SUMMARY | RAW | BROKEN);
    struct walk_span sealed = walk_inside(at[I_ENCRYPTED]);
    if (right && walk_has(sealed)) {
        bool open = r->open && r->block == TELL_THINKING;
        right = (open || tell_open(r, TELL_THINKING)) &&
                tell_sign(r, MAKER_RESPONSES, in->w, sealed);
    }
    return right && tell_close(r);
}

/* ---- calls ---- */

/* A call in a namespace has a flat name, as in every other dialect. */
static bool begin_call(struct in *in, const struct node *at, bool custom)
{
    char id[TELL_CALL_ID_MAX], name[256], space[256], flat[TELL_FLAT_MAX];
    struct bytes called = walk_short(in->w, at[I_NAME], name, sizeof name);
    struct bytes within = walk_short(in->w, at[I_SPACE], space, sizeof space);
    if (within.len > 0) called = tell_flat(within, called, flat);
    in->r->flags |= CALLED;
    return tell_call(in->r, in->index, walk_short(in->w, at[I_CALL_ID], id, sizeof id), called,
                     custom);
}

static bool call_goes_on(struct in *in, struct node text)
{
    if (!walk_has(walk_inside(text))) return true;
    note_told(in->r, in->index);
    return tell_arguments(in->r, in->index, in->w, walk_inside(text));
}

static bool on_call_delta(struct in *in)
{
    return call_goes_on(in, in->at[E_DELTA]);
}

static bool on_call_done(struct in *in)
{
    if (is_told(in->r, in->index)) return true;
    return call_goes_on(in, in->at[in->at[E_INPUT].type == JSON_STRING ? E_INPUT
                                                                       : E_ARGUMENTS]);
}

/* ---- items ---- */

static bool tell_image(struct in *in, const struct node *at)
{
    static const struct bytes words[] = {BYTES_INIT("jpeg"), BYTES_INIT("webp")};
    static const struct bytes mimes[] = {BYTES_INIT("image/jpeg"), BYTES_INIT("image/webp"),
                                         BYTES_INIT("image/png")};
    if (is_told(in->r, in->index) || !walk_has(walk_inside(at[I_RESULT]))) return true;
    size_t word = walk_word(in->w, at[I_FORMAT], words, COUNT(words));
    note_told(in->r, in->index);
    return tell_open_as(in->r, TELL_IMAGE, (struct bytes){0}, mimes[word]) &&
           tell_more_span(in->r, TELL_IMAGE, in->w, walk_inside(at[I_RESULT])) &&
           tell_close(in->r);
}

static bool tell_message(struct in *in, struct node content)
{
    struct walk_each e;
    struct node key, part;
    if (is_told(in->r, in->index)) return tell_close(in->r);
    walk_begin(in->w, content, &e);
    while (walk_next(&e, &key, &part)) {
        if (!tell_part(in, part)) return false;
        in->r->number[N_PART] = 0;  /* the next one is another */
    }
    return true;
}

/* A whole item: what of it was not told yet. */
static bool tell_item(struct in *in, struct node item)
{
    struct node at[ITEM_NAMES];
    walk_members(in->w, item, item_names, ITEM_NAMES, at);
    size_t kind = walk_word(in->w, at[I_TYPE], item_words, COUNT(item_words));
    switch ((enum kind)kind) {
    case MESSAGE: return tell_message(in, at[I_CONTENT]);
    case CALL: case CUSTOM_CALL:
        if (is_told(in->r, in->index)) return tell_close_call(in->r, in->index);
        return begin_call(in, at, kind == CUSTOM_CALL) &&
               call_goes_on(in, at[kind == CUSTOM_CALL ? I_INPUT : I_ARGUMENTS]) &&
               tell_close_call(in->r, in->index);
    case REASONING: return tell_reasoning(in, at);
    case IMAGE: return tell_image(in, at);
    case OTHER: break;
    }
    return true;
}

/* An item begins that is no call: a client that has read so is to read how it ends. */
static bool item_begins(struct in *in, enum kind kind)
{
    struct tell_reader *r = in->r;
    if (!r->theirs) return true;
    r->foreign = kind == OTHER || kind == IMAGE;
    if (kind == MESSAGE) return tell_step(r, STEP_MESSAGE);
    return kind != REASONING || tell_open(r, TELL_THINKING);
}

/* A call begins with its item; what the item holds of its arguments counts as a delta. */
static bool on_item_added(struct in *in)
{
    struct node at[ITEM_NAMES];
    walk_members(in->w, in->at[E_ITEM], item_names, ITEM_NAMES, at);
    size_t kind = walk_word(in->w, at[I_TYPE], item_words, COUNT(item_words));
    in->r->flags &= ~(unsigned)(SUMMARY | RAW | BROKEN);
    if (kind != CALL && kind != CUSTOM_CALL) return item_begins(in, (enum kind)kind);
    return begin_call(in, at, kind == CUSTOM_CALL) &&
           call_goes_on(in, at[kind == CUSTOM_CALL ? I_INPUT : I_ARGUMENTS]);
}

static bool on_item_done(struct in *in)
{
    if (!tell_item(in, in->at[E_ITEM])) return false;
    note_told(in->r, in->index);
    in->r->foreign = false;
    return tell_step(in->r, STEP_ITEM);
}

/* ---- the answer ---- */

static bool begin(struct in *in, struct node response)
{
    static const struct bytes names[] = {BYTES_INIT("id"), BYTES_INIT("model"),
                                         BYTES_INIT("created_at")};
    struct node at[COUNT(names)];
    int64_t created;
    if (in->r->started) return true;
    walk_members(in->w, response, names, COUNT(names), at);
    if (!walk_int(in->w, at[2], &created)) created = 0;
    return tell_start_of(in->r, in->w, at[0], at[1], created);
}

static enum tell_finish finish_of(struct in *in, struct node response)
{
    static const struct bytes words[] = {BYTES_INIT("max_output_tokens"),
                                         BYTES_INIT("content_filter")};
    static const enum tell_finish is[] = {TELL_LENGTH, TELL_FILTER, TELL_OTHER};
    struct node details = walk_member(in->w, response, BYTES("incomplete_details"));
    if (details.type == JSON_OBJECT) {
        struct node reason = walk_member(in->w, details, BYTES("reason"));
        return is[walk_word(in->w, reason, words, COUNT(words))];
    }
    return in->r->flags & CALLED ? TELL_CALLS : TELL_STOP;
}

/* The whole response: how it ended, and its items, unless events told of any: places in the
 * output are not always what the events called output_index. */
static bool finish(struct in *in, struct node response)
{
    struct walk_each e;
    struct node key, item;
    if (!begin(in, response)) return false;
    struct node output = walk_member(in->w, response, BYTES("output"));
    if (in->r->flags & HEARD) output = (struct node){0};
    in->index = 0;
    walk_begin(in->w, output, &e);
    for (; walk_next(&e, &key, &item); in->index++) {
        if (!tell_item(in, item)) return false;
        in->r->number[N_PART] = 0;
    }
    return tell_finish(in->r, 0, finish_of(in, response), (struct bytes){0});
}

static bool on_begin(struct in *in)
{
    return begin(in, in->at[E_RESPONSE]);
}

static bool on_end(struct in *in)
{
    return finish(in, in->at[E_RESPONSE]);
}

static const struct { struct bytes name; bool (*on)(struct in *in); } events[] = {
    {BYTES_INIT("response.output_text.delta"), on_text_delta},
    {BYTES_INIT("response.function_call_arguments.delta"), on_call_delta},
    {BYTES_INIT("response.reasoning_summary_text.delta"), on_summary_delta},
    {BYTES_INIT("response.reasoning_text.delta"), on_thought_delta},
    {BYTES_INIT("response.custom_tool_call_input.delta"), on_call_delta},
    {BYTES_INIT("response.refusal.delta"), on_refusal_delta},
    {BYTES_INIT("response.output_item.added"), on_item_added},
    {BYTES_INIT("response.output_item.done"), on_item_done},
    {BYTES_INIT("response.content_part.done"), on_part_done},
    {BYTES_INIT("response.content_part.added"), on_part_added},
    {BYTES_INIT("response.output_text.done"), on_text_done},
    {BYTES_INIT("response.output_text.annotation.added"), on_annotation},
    {BYTES_INIT("response.refusal.done"), on_refusal_done},
    {BYTES_INIT("response.function_call_arguments.done"), on_call_done},
    {BYTES_INIT("response.custom_tool_call_input.done"), on_call_done},
    {BYTES_INIT("response.reasoning_summary_text.done"), on_summary_done},
    {BYTES_INIT("response.reasoning_text.done"), on_thought_done},
    {BYTES_INIT("response.created"), on_begin},
    {BYTES_INIT("response.in_progress"), on_begin},
    {BYTES_INIT("response.completed"), on_end},
    {BYTES_INIT("response.incomplete"), on_end},
};

/* One event, for a client that reads it itself: where its item stands, and its id. */
static bool event_theirs(struct in *in, struct node root, bool (*on)(struct in *in))
{
    struct tell_reader *r = in->r;
    char room[TELL_ID_MAX];
    struct node id = walk_member(in->w, in->at[E_ITEM], BYTES("id"));
    if (id.type == JSON_NONE) id = walk_member(in->w, root, BYTES("item_id"));
    r->own = walk_short(in->w, id, room, sizeof room);
    r->place = in->index;
    bool placed = in->at[E_INDEX].type == JSON_NUMBER;
    if (placed && r->places <= in->index) r->places = in->index + 1;
    bool told = on(in);
    r->own = (struct bytes){0};
    return told;
}

/* The type in the data counts: some providers send no event lines. */
static bool event_responses(struct tell_reader *r, struct bytes name, const struct walk *w,
                            struct node root)
{
    char room[64];
    struct in in = {.r = r, .w = w};
    if (r->finished) return true;  /* another answer is none of this one */
    walk_members(w, root, event_names, EVENT_NAMES, in.at);
    struct bytes type = walk_short(w, in.at[E_TYPE], room, sizeof room);
    if (type.len == 0) type = name;
    in.index = number_of(w, in.at[E_INDEX]);
    for (size_t i = 0; i < COUNT(events); i++) {
        if (!bytes_eq(type, events[i].name)) continue;
        return r->theirs ? event_theirs(&in, root, events[i].on) : events[i].on(&in);
    }
    return true;
}

static bool whole_responses(struct tell_reader *r, const struct walk *w, struct node root)
{
    struct in in = {.r = r, .w = w};
    assert(!r->started);
    return finish(&in, root);
}

const struct tell_dialect responses_tell = {
    .event = event_responses, .whole = whole_responses,
    .write = responses_tell_write, .write_whole = responses_tell_whole,
};
