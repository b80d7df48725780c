/* responses_tell_write.c - writes the stream of a Responses client.
 * Model: the stream is a list of items, each told by added, deltas and done, and told again as
 * a whole by response.completed. A slot of struct tell_writer stands for an item, or for a
 * further part of a message; its texts are in the log (struct tell_keep).
 *   OPEN -> item added, part added | MORE -> delta | CLOSE -> text done, part done, item done
 * Texts that follow one another are one part of one message: so a message stays open until
 * something else comes. A call is added with the first of its arguments, since a signature of
 * it (Gemini's), which travels as a reasoning item, has to stand before it.
 * Rule: a log entry is the inside of a JSON string, or of an array. */
#include "net/translate/custom.h"
#include "net/translate/ask.h"
#include "net/translate/responses.h"

/* s->number: the slot of texts; the block that goes on in it; sources of it so far */
enum { N_CURRENT, N_ALIAS, N_CITES };
enum slot_flag {
    OPEN = 1,
    ADDED = 2,       /* the client knows of it */
    SECOND = 4,      /* a part of the message of the slot before */
    CUSTOM = 8,      /* a call of a tool that takes any text */
    WRAPPED = 16,    /* and the text comes in a function's arguments */
    SIGNED = 32,
    CITED = 64,
    SAID = 128,      /* there is text */
    SEAL = 256,      /* a signature alone */
    CUT = 512,       /* the output limit ended it */
    GAUGED = 1024,   /* there are probabilities */
    SPACED = 2048,   /* a call: it is in a namespace */
    /* and of a stream that the client has read from the provider: */
    OWNED = 4096,    /* its id is the provider's */
    BARE = 8192,     /* a message without any part so far */
    ENDED = 16384,   /* its text's end was told, */
    SHUT = 32768,    /* and that of its part */
};
enum what { W_TEXT = 'T', W_SIGN = 'S', W_NAME = 'N', W_SPACE = 'P', W_ID = 'I', W_CITE = 'A',
            W_LOGPROBS = 'L', W_OWN = 'O' };

/* ---- from a pen to somewhere else ---- */

struct pipe {
    struct pen pen;
    struct pen *to;          /* as it is; or */
    struct tell_keep *keep;  /* into the log, as text of item */
    struct custom_input *input;         /* or through it */
    uint32_t item;
    uint8_t what;
    char room[PEN_NEED_MAX];
};

static bool pipe_more(struct pen *p)
{
    struct pipe *pipe = p->arg;
    struct bytes b = {pipe->room, p->len};
    bool right = true;
    if (pipe->to) pen_put(pipe->to, b);
    else if (pipe->input) custom_feed(pipe->input, b, true);
    else if (b.len > 0) right = tell_keep_put(pipe->keep, pipe->item, pipe->what, b);
    p->at = pipe->room;
    p->room = sizeof pipe->room;
    p->len = 0;
    return right;
}

static void pipe_open(struct pipe *pipe)
{
    pen_init(&pipe->pen, pipe->room, sizeof pipe->room);
    pipe->pen.more = pipe_more;
    pipe->pen.arg = pipe;
}

static bool pipe_close(struct pipe *pipe)
{
    bool right = !pipe->pen.full && pipe_more(&pipe->pen);
    explicit_bzero(pipe->room, sizeof pipe->room);
    return right;
}

/* ---- slots ---- */

static bool is_text(unsigned block)
{
    return block == TELL_TEXT || block == TELL_REFUSAL || block == TELL_TRANSCRIPT;
}

static struct tell_slot *slot_add(struct tell_writer *s, uint32_t item, unsigned block)
{
    if (s->open_count == COUNT(s->open)) return NULL;
    struct tell_slot *slot = &s->open[s->open_count++];
    *slot = (struct tell_slot){.item = item, .block = (uint8_t)block, .flags = OPEN,
                               .kept_from = s->keep->source.size};
    return slot;
}

/* The slot that an event is of; NULL: it is of none. */
static struct tell_slot *slot_of(struct tell_writer *s, const struct tell *t)
{
    for (unsigned i = s->open_count; i-- > 0;) {
        struct tell_slot *slot = &s->open[i];
        if (!(slot->flags & OPEN) || slot->flags & SEAL) continue;
        bool text = is_text(slot->block) && is_text(t->block);
        if (text ? i == s->number[N_CURRENT] && s->number[N_ALIAS] == t->item
                 : slot->item == t->item) return slot;
    }
    return NULL;
}

/* Its place among the parts of its message. */
static uint32_t part_of(const struct tell_writer *s, const struct tell_slot *slot)
{
    uint32_t n = 0;
    for (; slot->flags & SECOND; slot--, n++) assert(slot > s->open);
    return n;
}

static bool keep(struct tell_writer *s, const struct tell_slot *slot, enum what what,
                 struct bytes b)
{
    return b.len == 0 || tell_keep_put(s->keep, slot->item, (uint8_t)what, b);
}

/* The pieces of a slot, as parts of whatever was begun in p. */
static void put_pieces(const struct tell_writer *s, const struct tell_slot *slot,
                       enum what what, struct pen *p)
{
    struct tell_keep log = *s->keep;
    if (slot->kept_to > 0) log.source.size = slot->kept_to;
    assert(log.source.size <= s->keep->source.size);
    tell_keep_parts(&log, slot->kept_from, slot->item, (uint8_t)what, p);
}

/* It is over: no piece of it comes. */
static void slot_close(struct tell_writer *s, struct tell_slot *slot)
{
    assert(slot->flags & OPEN);
    slot->flags &= (uint16_t)~OPEN;
    slot->kept_to = s->keep->source.size;
}

static void put_kept(const struct tell_writer *s, const struct tell_slot *slot, enum what what,
                     struct pen *p)
{
    pen_begin(p);
    put_pieces(s, slot, what, p);
    pen_end(p);
}

/* What was kept as the inside of an array. */
static void put_list(const struct tell_writer *s, const struct tell_slot *slot, enum what what,
                     unsigned flag, struct pen *p)
{
    struct pipe pipe = {.to = p};
    pen_array(p);
    if (slot->flags & flag) {
        pipe_open(&pipe);
        put_pieces(s, slot, what, &pipe.pen);
        if (!pipe_close(&pipe)) p->full = true;
    }
    pen_array_end(p);
}

/* ---- events ---- */

static void key_text(struct pen *p, struct bytes key, struct bytes text)
{
    pen_key(p, key);
    pen_string(p, text);
}

static void key_int(struct pen *p, struct bytes key, int64_t value)
{
    pen_key(p, key);
    pen_int(p, value);
}

static void event(struct tell_writer *s, struct pen *p, struct bytes name)
{
    pen_put(p, BYTES("event: "));
    pen_put(p, name);
    pen_put(p, BYTES("\ndata: "));
    pen_fresh(p);
    pen_object(p);
    key_text(p, BYTES("type"), name);
    key_int(p, BYTES("sequence_number"), s->sequence++);
}

static void event_end(struct pen *p)
{
    pen_object_end(p);
    pen_put(p, BYTES("\n\n"));
}

/* The id of a slot's item. */
static void put_item_id(struct tell_writer *s, struct pen *p, const struct tell_slot *slot)
{
    while (slot->flags & SECOND) slot--;
    if (slot->flags & OWNED) put_kept(s, slot, W_OWN, p);
    else responses_put_id(p, s->facts, slot->block, slot->flags & CUSTOM, slot->index);
}

/* An event of an item: its id and its place. */
static void item_event(struct tell_writer *s, struct pen *p, struct bytes name,
                       const struct tell_slot *slot)
{
    assert(slot->flags & ADDED);
    event(s, p, name);
    pen_key(p, BYTES("item_id"));
    put_item_id(s, p, slot);
    key_int(p, BYTES("output_index"), slot->index);
}

static void put_response(struct tell_writer *s, struct pen *p, enum responses_status status);

static void response_event(struct tell_writer *s, struct pen *p, struct bytes name,
                           enum responses_status status)
{
    event(s, p, name);
    pen_key(p, BYTES("response"));
    put_response(s, p, status);
    event_end(p);
}

/* ---- items ---- */

static void put_part(struct tell_writer *s, struct pen *p, const struct tell_slot *slot)
{
    bool refusal = slot->block == TELL_REFUSAL;
    pen_object(p);
    key_text(p, BYTES("type"), refusal ? BYTES("refusal") : BYTES("output_text"));
    pen_key(p, refusal ? BYTES("refusal") : BYTES("text"));
    put_kept(s, slot, W_TEXT, p);
    if (!refusal) {
        pen_key(p, BYTES("annotations"));
        put_list(s, slot, W_CITE, CITED, p);
        pen_key(p, BYTES("logprobs"));
        put_list(s, slot, W_LOGPROBS, GAUGED, p);
    }
    pen_object_end(p);
}

static void put_message(struct tell_writer *s, struct pen *p, const struct tell_slot *slot,
                        bool whole)
{
    const struct tell_slot *end = s->open + s->open_count;
    key_text(p, BYTES("role"), BYTES("assistant"));
    pen_key(p, BYTES("content"));
    pen_array(p);
    if (whole && !(slot->flags & BARE)) {
        do put_part(s, p, slot++); while (slot < end && slot->flags & SECOND);
    }
    pen_array_end(p);
}

static void put_thought(struct tell_writer *s, struct pen *p, const struct tell_slot *slot,
                        bool whole)
{
    pen_key(p, BYTES("summary"));
    pen_array(p);
    if (whole && slot->flags & SAID) {
        pen_object(p);
        key_text(p, BYTES("type"), BYTES("summary_text"));
        pen_key(p, BYTES("text"));
        put_kept(s, slot, W_TEXT, p);
        pen_object_end(p);
    }
    pen_array_end(p);
    if (!whole || !(slot->flags & SIGNED)) return;
    pen_key(p, BYTES("encrypted_content"));
    put_kept(s, slot, W_SIGN, p);
}

/* The text of a custom call out of the arguments of a function. */
static void put_unwrapped(const struct tell_writer *s, const struct tell_slot *slot,
                          struct pen *p)
{
    struct custom_input input;
    struct pipe pipe = {.input = &input};
    pen_begin(p);
    custom_begin(&input, p);
    pipe_open(&pipe);
    put_pieces(s, slot, W_TEXT, &pipe.pen);
    if (!pipe_close(&pipe)) p->full = true;
    custom_end(&input);
    pen_end(p);
}

/* The arguments, or the text, of a call as far as they are known. */
static void put_arguments(const struct tell_writer *s, const struct tell_slot *slot,
                          struct pen *p)
{
    if (slot->flags & WRAPPED) put_unwrapped(s, slot, p);
    else put_kept(s, slot, W_TEXT, p);
}

static void put_call(struct tell_writer *s, struct pen *p, const struct tell_slot *slot,
                     bool whole)
{
    pen_key(p, BYTES("call_id"));
    put_kept(s, slot, W_ID, p);
    pen_key(p, BYTES("name"));
    put_kept(s, slot, W_NAME, p);
    if (slot->flags & SPACED) {
        pen_key(p, BYTES("namespace"));
        put_kept(s, slot, W_SPACE, p);
    }
    pen_key(p, slot->flags & CUSTOM ? BYTES("input") : BYTES("arguments"));
    if (whole) put_arguments(s, slot, p);
    else pen_string(p, (struct bytes){0});
}

/* The item that begins with that slot; whole, or as it is when it is added. */
static void put_item(struct tell_writer *s, struct pen *p, const struct tell_slot *slot,
                     bool whole)
{
    enum responses_status status = slot->flags & CUT ? RESPONSES_CUT : RESPONSES_DONE;
    assert(!(slot->flags & SECOND));
    pen_object(p);
    pen_key(p, BYTES("id"));
    put_item_id(s, p, slot);
    responses_put_item(p, slot->block, slot->flags & CUSTOM,
                       whole ? status : RESPONSES_RUNS);
    if (slot->block == TELL_THINKING) {
        put_thought(s, p, slot, whole);
    } else if (slot->block == TELL_CALL) {
        put_call(s, p, slot, whole);
    } else if (slot->block == TELL_IMAGE) {
        pen_key(p, BYTES("result"));
        if (whole) put_kept(s, slot, W_TEXT, p);
        else pen_null(p);
    } else {
        put_message(s, p, slot, whole);
    }
    pen_object_end(p);
}

static void item_told(struct tell_writer *s, struct pen *p, struct bytes name,
                      const struct tell_slot *slot, bool whole)
{
    event(s, p, name);
    key_int(p, BYTES("output_index"), slot->index);
    pen_key(p, BYTES("item"));
    put_item(s, p, slot, whole);
    event_end(p);
}

static void item_added(struct tell_writer *s, struct pen *p, struct tell_slot *slot)
{
    assert(!(slot->flags & ADDED));
    slot->index = s->items++;
    slot->flags |= ADDED;
    item_told(s, p, BYTES("response.output_item.added"), slot, false);
}

static void item_done(struct tell_writer *s, struct pen *p, const struct tell_slot *slot)
{
    item_told(s, p, BYTES("response.output_item.done"), slot, true);
}

/* The item of a place in the output. */
static const struct tell_slot *item_at(const struct tell_writer *s, uint32_t index)
{
    for (unsigned i = 0; i < s->open_count; i++) {
        const struct tell_slot *slot = &s->open[i];
        if (slot->flags & ADDED && slot->index == index) return slot;
    }
    return NULL;
}

static void put_response(struct tell_writer *s, struct pen *p, enum responses_status status)
{
    bool over = status != RESPONSES_RUNS;
    pen_object(p);
    responses_put_head(p, s->facts, status);
    pen_key(p, BYTES("output"));
    pen_array(p);
    for (uint32_t i = 0; over && i < s->items; i++) {
        const struct tell_slot *slot = item_at(s, i);
        if (slot) put_item(s, p, slot, true);
    }
    pen_array_end(p);
    responses_put_tail(p, s->facts, over ? &s->usage : NULL);
    pen_object_end(p);
}

/* ---- the end of a block ---- */

static void text_done(struct tell_writer *s, struct pen *p, const struct tell_slot *slot)
{
    bool refusal = slot->block == TELL_REFUSAL;
    item_event(s, p, refusal ? BYTES("response.refusal.done")
                             : BYTES("response.output_text.done"), slot);
    key_int(p, BYTES("content_index"), part_of(s, slot));
    pen_key(p, refusal ? BYTES("refusal") : BYTES("text"));
    put_kept(s, slot, W_TEXT, p);
    if (!refusal) {
        pen_key(p, BYTES("logprobs"));
        put_list(s, slot, W_LOGPROBS, GAUGED, p);
    }
    event_end(p);
}

/* What was not told of the end of a part. */
static void part_done(struct tell_writer *s, struct pen *p, struct tell_slot *slot)
{
    if (!(slot->flags & (BARE | ENDED | SHUT))) text_done(s, p, slot);
    if (!(slot->flags & (BARE | SHUT))) {
        item_event(s, p, BYTES("response.content_part.done"), slot);
        key_int(p, BYTES("content_index"), part_of(s, slot));
        pen_key(p, BYTES("part"));
        put_part(s, p, slot);
        event_end(p);
    }
    slot_close(s, slot);
}

static void message_done(struct tell_writer *s, struct pen *p, struct tell_slot *slot, bool cut)
{
    part_done(s, p, slot);
    while (slot->flags & SECOND) slot--;
    if (cut) slot->flags |= CUT;
    item_done(s, p, slot);
}

static void summary_event(struct tell_writer *s, struct pen *p, struct bytes name,
                          const struct tell_slot *slot)
{
    item_event(s, p, name, slot);
    key_int(p, BYTES("summary_index"), 0);
}

/* A part of a summary: with its text, or where it begins. */
static void put_summary_part(struct tell_writer *s, struct pen *p, const struct tell_slot *slot,
                             bool whole)
{
    pen_key(p, BYTES("part"));
    pen_object(p);
    key_text(p, BYTES("type"), BYTES("summary_text"));
    pen_key(p, BYTES("text"));
    if (whole) put_kept(s, slot, W_TEXT, p);
    else pen_string(p, (struct bytes){0});
    pen_object_end(p);
}

static void thought_done(struct tell_writer *s, struct pen *p, struct tell_slot *slot)
{
    if (slot->flags & SAID) {
        summary_event(s, p, BYTES("response.reasoning_summary_text.done"), slot);
        pen_key(p, BYTES("text"));
        put_kept(s, slot, W_TEXT, p);
        event_end(p);
        summary_event(s, p, BYTES("response.reasoning_summary_part.done"), slot);
        put_summary_part(s, p, slot, true);
        event_end(p);
    }
    slot_close(s, slot);
    item_done(s, p, slot);
}

/* The signature of a call, as an item of its own. False: no slot for it. */
static bool seal(struct tell_writer *s, struct pen *p, const struct tell_slot *call)
{
    struct tell_slot *slot = slot_add(s, call->item, TELL_THINKING);
    if (!slot) return false;
    slot->kept_from = call->kept_from;
    slot->flags |= SEAL | SIGNED;
    slot_close(s, slot);
    item_added(s, p, slot);
    item_done(s, p, slot);
    return true;
}

/* The client hears of a call, once it is known whether it is signed. */
static bool call_added(struct tell_writer *s, struct pen *p, struct tell_slot *slot)
{
    if (slot->flags & ADDED) return true;
    if (slot->flags & SIGNED && !seal(s, p, slot)) return false;
    item_added(s, p, slot);
    return true;
}

static void call_delta(struct tell_writer *s, struct pen *p, const struct tell_slot *slot)
{
    item_event(s, p, slot->flags & CUSTOM ? BYTES("response.custom_tool_call_input.delta")
                                          : BYTES("response.function_call_arguments.delta"),
               slot);
    pen_key(p, BYTES("delta"));
}

static bool call_done(struct tell_writer *s, struct pen *p, struct tell_slot *slot)
{
    bool custom = slot->flags & CUSTOM;
    if (!call_added(s, p, slot)) return false;
    bool empty = !(slot->flags & SAID) && !custom;
    if (empty && !keep(s, slot, W_TEXT, BYTES("{}"))) return false;
    if (empty || slot->flags & WRAPPED) {  /* not told so far */
        call_delta(s, p, slot);
        put_arguments(s, slot, p);
        event_end(p);
    }
    item_event(s, p, custom ? BYTES("response.custom_tool_call_input.done")
                            : BYTES("response.function_call_arguments.done"), slot);
    pen_key(p, custom ? BYTES("input") : BYTES("arguments"));
    put_arguments(s, slot, p);
    event_end(p);
    slot_close(s, slot);
    item_done(s, p, slot);
    return true;
}

static bool slot_done(struct tell_writer *s, struct pen *p, struct tell_slot *slot, bool cut)
{
    assert(slot->flags & OPEN);
    if (is_text(slot->block)) {
        message_done(s, p, slot, cut);
    } else if (slot->block == TELL_THINKING) {
        thought_done(s, p, slot);
    } else if (slot->block == TELL_CALL) {
        return call_done(s, p, slot);
    } else {
        slot_close(s, slot);
        item_done(s, p, slot);
    }
    return true;
}

/* Whatever is open is over; calls: or else all but these. */
static bool close_all(struct tell_writer *s, struct pen *p, bool calls, bool cut)
{
    for (unsigned i = 0; i < s->open_count; i++) {
        struct tell_slot *slot = &s->open[i];
        if (!(slot->flags & OPEN) || (!calls && slot->block == TELL_CALL)) continue;
        if (!slot_done(s, p, slot, cut)) return false;
    }
    return true;
}

/* ---- what is told ---- */

static void begin(struct tell_writer *s, struct pen *p)
{
    if (s->started) return;
    s->started = true;
    response_event(s, p, BYTES("response.created"), RESPONSES_RUNS);
    response_event(s, p, BYTES("response.in_progress"), RESPONSES_RUNS);
}

/* The open part of a message; NULL: none is open. */
static struct tell_slot *open_part(struct tell_writer *s)
{
    unsigned i = s->number[N_CURRENT];
    bool there = i < s->open_count && is_text(s->open[i].block) && s->open[i].flags & OPEN;
    return there ? &s->open[i] : NULL;
}

/* A slot for an item, which stands and is called as the client has read it, if it has. NULL: no
 * room. */
static struct tell_slot *item_slot(struct tell_writer *s, const struct tell *t, unsigned block)
{
    struct tell_slot *slot = slot_add(s, t->item, block);
    if (!slot || !s->relayed) return slot;
    if (s->items < t->place) s->items = t->place;
    if (t->own.len > 0) slot->flags |= OWNED;
    return keep(s, slot, W_OWN, t->own) ? slot : NULL;
}

/* The message whose next part that text is; NULL: it is of another one, or the first. */
static struct tell_slot *message_of(struct tell_writer *s, const struct tell *t)
{
    struct tell_slot *last = open_part(s);
    return last && s->relayed && last->index != t->place ? NULL : last;
}

/* A text: it goes on where the one before was left, if nothing else came between. */
static bool open_text(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    struct tell_slot *last = message_of(s, t), *slot = last;
    bool refusal = t->block == TELL_REFUSAL, bare = last && last->flags & BARE;
    s->number[N_ALIAS] = t->item;
    if (last && !(last->flags & (BARE | ENDED | SHUT)) &&
        (last->block == TELL_REFUSAL) == refusal) return true;
    if (last && !bare) part_done(s, p, last);
    else if (!last && !close_all(s, p, false, false)) return false;
    if (!bare) slot = last ? slot_add(s, t->item, t->block) : item_slot(s, t, t->block);
    if (!slot) return false;
    s->number[N_CURRENT] = (uint32_t)(slot - s->open);
    s->number[N_CITES] = 0;
    if (bare) {
        slot->flags &= (uint16_t)~BARE;
        slot->block = t->block;
    } else if (last) {
        slot->index = last->index;
        slot->flags |= SECOND | ADDED;
    } else {
        item_added(s, p, slot);
    }
    item_event(s, p, BYTES("response.content_part.added"), slot);
    key_int(p, BYTES("content_index"), part_of(s, slot));
    pen_key(p, BYTES("part"));
    put_part(s, p, slot);
    event_end(p);
    return true;
}

static bool open_call(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    if (!close_all(s, p, false, false)) return false;
    struct tell_slot *slot = item_slot(s, t, TELL_CALL);
    struct tell_name name = tell_name(s->facts, t->name);
    if (!slot) return false;
    if (t->custom || name.custom) slot->flags |= CUSTOM;
    if (name.custom && !t->custom) slot->flags |= WRAPPED;
    if (name.space.len > 0) slot->flags |= SPACED;
    return keep(s, slot, W_ID, t->id) && keep(s, slot, W_NAME, name.name) &&
           keep(s, slot, W_SPACE, name.space);
}

static bool on_open(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    if (is_text(t->block)) return open_text(s, t, p);
    if (t->block == TELL_CALL) return open_call(s, t, p);
    if (t->block == TELL_AUDIO) return true;  /* its transcript is told */
    if (!close_all(s, p, false, false)) return false;
    struct tell_slot *slot = item_slot(s, t, t->block);
    if (!slot) return false;
    item_added(s, p, slot);
    return true;
}

/* How far the client knows of a message that it has read from the provider. */
static bool on_step(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    struct tell_slot *slot = message_of(s, t);
    assert(s->relayed);
    if (t->step == STEP_MESSAGE) {
        if (slot || !close_all(s, p, false, false)) return slot != NULL;
        slot = item_slot(s, t, TELL_TEXT);
        if (!slot) return false;
        slot->flags |= BARE;
        s->number[N_CURRENT] = (uint32_t)(slot - s->open);
        item_added(s, p, slot);
    } else if (slot && t->step == STEP_ITEM) {
        message_done(s, p, slot, false);
    } else if (slot && !(slot->flags & BARE)) {
        slot->flags |= t->step == STEP_TEXT ? ENDED : SHUT;
    }
    return true;
}

static bool more_thought(struct tell_writer *s, const struct tell *t, struct tell_slot *slot,
                         struct pen *p)
{
    if (!s->facts->want_thoughts) return true;
    if (!(slot->flags & SAID)) {
        summary_event(s, p, BYTES("response.reasoning_summary_part.added"), slot);
        put_summary_part(s, p, slot, false);
        event_end(p);
    }
    slot->flags |= SAID;
    summary_event(s, p, BYTES("response.reasoning_summary_text.delta"), slot);
    pen_key(p, BYTES("delta"));
    pen_string(p, t->text);
    event_end(p);
    return keep(s, slot, W_TEXT, t->text);
}

/* A value is kept as the inside of a string, as all arguments are. */
static bool keep_value(struct tell_writer *s, const struct tell_slot *slot, struct bytes value)
{
    struct pipe pipe = {.keep = s->keep, .item = slot->item, .what = W_TEXT};
    pipe_open(&pipe);
    pen_part_text(&pipe.pen, value);
    return pipe_close(&pipe);
}

static bool more_call(struct tell_writer *s, const struct tell *t, struct tell_slot *slot,
                      struct pen *p)
{
    if (!call_added(s, p, slot)) return false;
    slot->flags |= SAID;
    if (!(slot->flags & WRAPPED)) {
        call_delta(s, p, slot);
        if (t->value) pen_text(p, t->text);
        else pen_string(p, t->text);
        event_end(p);
    }
    return t->value ? keep_value(s, slot, t->text) : keep(s, slot, W_TEXT, t->text);
}

static bool more_text(struct tell_writer *s, const struct tell *t, struct tell_slot *slot,
                      struct pen *p)
{
    bool refusal = slot->block == TELL_REFUSAL;
    item_event(s, p, refusal ? BYTES("response.refusal.delta")
                             : BYTES("response.output_text.delta"), slot);
    key_int(p, BYTES("content_index"), part_of(s, slot));
    pen_key(p, BYTES("delta"));
    pen_string(p, t->text);
    if (!refusal) {
        pen_key(p, BYTES("logprobs"));
        pen_value(p, BYTES("[]"));
    }
    event_end(p);
    return keep(s, slot, W_TEXT, t->text);
}

static bool on_more(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    struct tell_slot *slot = slot_of(s, t);
    if (!slot || t->text.len == 0) return true;
    if (is_text(slot->block)) return more_text(s, t, slot, p);
    if (slot->block == TELL_THINKING) return more_thought(s, t, slot, p);
    if (slot->block == TELL_CALL) return more_call(s, t, slot, p);
    return keep(s, slot, W_TEXT, t->text);
}

/* A signature of another maker's is marked: only they can read it again. That of a text has no
 * place here. */
static bool on_sign(struct tell_writer *s, const struct tell *t)
{
    struct tell_slot *slot = slot_of(s, t);
    if (!slot || is_text(slot->block) || t->text.len == 0) return true;
    if (slot->block == TELL_CALL && slot->flags & ADDED) return true;  /* too late */
    if (!(slot->flags & SIGNED) && t->maker != MAKER_RESPONSES) {
        if (!keep(s, slot, W_SIGN, ask_mark((enum ask_maker)t->maker))) return false;
    }
    slot->flags |= SIGNED;
    return keep(s, slot, W_SIGN, t->text);
}

static bool on_cite(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    struct tell_slot *slot = open_part(s);
    if (!slot || slot->block == TELL_REFUSAL) return true;
    struct pipe pipe = {.keep = s->keep, .item = slot->item, .what = W_CITE};
    if (slot->flags & CITED && !keep(s, slot, W_CITE, BYTES(","))) return false;
    slot->flags |= CITED;
    item_event(s, p, BYTES("response.output_text.annotation.added"), slot);
    key_int(p, BYTES("content_index"), part_of(s, slot));
    key_int(p, BYTES("annotation_index"), s->number[N_CITES]++);
    pen_key(p, BYTES("annotation"));
    responses_put_cite(p, t);
    event_end(p);
    pipe_open(&pipe);
    responses_put_cite(&pipe.pen, t);
    return pipe_close(&pipe);
}

static bool on_logprobs(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    struct tell_slot *slot = open_part(s);
    if (!slot || slot->block == TELL_REFUSAL || t->text.len <= 2) return true;
    struct bytes inside = {t->text.ptr + 1, t->text.len - 2};
    item_event(s, p, BYTES("response.output_text.delta"), slot);
    key_int(p, BYTES("content_index"), part_of(s, slot));
    key_text(p, BYTES("delta"), (struct bytes){0});
    pen_key(p, BYTES("logprobs"));
    pen_value(p, t->text);
    event_end(p);
    if (slot->flags & GAUGED && !keep(s, slot, W_LOGPROBS, BYTES(","))) return false;
    slot->flags |= GAUGED;
    return keep(s, slot, W_LOGPROBS, inside);
}

static bool on_close(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    struct tell_slot *slot = slot_of(s, t);
    if (!slot || is_text(slot->block)) return true;
    return slot_done(s, p, slot, false);
}

static void on_end(struct tell_writer *s, struct pen *p)
{
    enum responses_status status = responses_status(s->finish);
    if (s->ended) return;
    s->ended = true;
    response_event(s, p, status == RESPONSES_DONE ? BYTES("response.completed")
                                                  : BYTES("response.incomplete"), status);
}

/* Only the first choice can be told: nobody can ask for another. */
bool responses_tell_write(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    bool right = true;
    if (t->choice > 0) return true;
    begin(s, p);
    switch ((enum tell_kind)t->kind) {
    case TELL_START: break;
    case TELL_OPEN: right = on_open(s, t, p); break;
    case TELL_MORE: right = on_more(s, t, p); break;
    case TELL_SIGN: right = on_sign(s, t); break;
    case TELL_CITE: right = on_cite(s, t, p); break;
    case TELL_CLOSE: right = on_close(s, t, p); break;
    case TELL_LOGPROBS: right = on_logprobs(s, t, p); break;
    case TELL_FINISH:
        s->finish = t->finish;
        right = close_all(s, p, true, responses_status(t->finish) != RESPONSES_DONE);
        break;
    case TELL_USAGE: s->usage = t->usage; break;
    case TELL_END: on_end(s, p); break;
    case TELL_STEP: right = on_step(s, t, p); break;
    }
    return right && !p->full;
}
