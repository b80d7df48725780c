/* messages_tell_write.c - writes the events of an answer's stream as Anthropic has them.
 * Model: blocks have indexes and follow one another, as every client of Anthropic's
 * expects; so only the first open block is written, and what is told of others (calls whose
 * deltas are mixed) is kept until it is their turn:
 *   START -> message_start, ping      OPEN, MORE, SIGN, CLOSE -> content_block_*
 *   FINISH, USAGE are kept            END -> message_delta, message_stop
 * Signatures: one event at the end of a block, since SDKs take the last one for all. What
 * another than Anthropic signed has a mark in front, thoughts without a signature the mark
 * alone, so that Weir knows them when they come back. The signature of a call (Gemini's) stands
 * in a thinking block of its own before it. What has no place here: logprobs, sources (a
 * citation must hold what only Anthropic can make), images. */
#include "net/dialect/api_write.h"
#include "net/json.h"
#include "net/translate/ask.h"
#include "net/translate/messages.h"

enum kept { KEPT_ID, KEPT_NAME, KEPT_MORE, KEPT_SIGN, KEPT_STOP };
enum { BEGUN = 1,       /* content_block_start is written */
       SIGNED = 2, REDACTED = 4,
       CLOSED = 8,      /* it was told to the end before its turn came */
       FILLED = 16,     /* text, or arguments, of it are kept, and were not written */
       NAMELESS = 32 }; /* a call whose id cannot stand: it gets one of ours */
enum { STOPPED = 4,     /* s->flags, besides MESSAGES_*: a stop sequence is kept; */
       ENDED = 8 };     /* the client has read the provider's message_delta */
enum { USAGE_MAX = 512, ESCAPED_MAX = 512 };    /* bytes of a value that are escaped together */
static const uint32_t of_answer = UINT32_MAX;   /* item under which a stop sequence is kept */

/* Anthropic's word for how an answer ended. */
static struct bytes stop_reason(enum tell_finish finish, unsigned flags)
{
    switch (finish) {
    case TELL_LENGTH: return BYTES("max_tokens");
    case TELL_CONTEXT: return BYTES("model_context_window_exceeded");
    case TELL_FILTER: case TELL_REFUSED: return BYTES("refusal");
    case TELL_PAUSE: return BYTES("pause_turn");
    case TELL_STOP_SEQUENCE: return BYTES("stop_sequence");
    default: break;
    }
    if (flags & MESSAGES_CALLED) return BYTES("tool_use");
    return flags & MESSAGES_REFUSED ? BYTES("refusal") : BYTES("end_turn");
}

/* ---- what streams and whole messages share ---- */

void messages_put_word(struct pen *p, struct bytes key, struct bytes word)
{
    pen_key(p, key);
    pen_string(p, word);
}

void messages_put_usage(struct pen *p, const struct api_usage *usage)
{
    char room[USAGE_MAX];
    size_t n = api_usage_json(API_MESSAGES, usage, room, sizeof room);
    assert(n > 0);
    pen_key(p, BYTES("usage"));
    pen_value(p, (struct bytes){room, n});
}

/* May an id stand in Anthropic's messages as it is? */
bool messages_id_stands(struct bytes id)
{
    for (size_t i = 0; i < id.len; i++) {
        char c = byte_lower(id.ptr[i]);
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        if (!plain) return false;
    }
    return id.len > 0;
}

/* Members of a message before its content. */
void messages_put_head(struct pen *p, const struct tell_facts *facts)
{
    pen_key(p, BYTES("id"));
    tell_put_id(p, facts, BYTES("msg_"), 0);
    messages_put_word(p, BYTES("type"), BYTES("message"));
    messages_put_word(p, BYTES("role"), BYTES("assistant"));
    messages_put_word(p, BYTES("model"), bytes_of(facts->model));
}

void messages_put_reason(struct pen *p, enum tell_finish finish, unsigned flags)
{
    messages_put_word(p, BYTES("stop_reason"), stop_reason(finish, flags));
}

struct bytes messages_no_image(void)
{
    return BYTES("[an image, which this API has no way to hand out]");
}

/* ---- events ---- */

static void event_begin(struct pen *p, struct bytes name)
{
    pen_put(p, BYTES("event: "));
    pen_put(p, name);
    pen_put(p, BYTES("\ndata: "));
    pen_fresh(p);
    pen_object(p);
    messages_put_word(p, BYTES("type"), name);
}

static void event_end(struct pen *p)
{
    pen_object_end(p);
    pen_put(p, BYTES("\n\n"));
}

/* A delta up to its text; what it is of stands in `kind`. Written in one piece, since there are
 * more of them than of all else. */
static void delta_begin(struct pen *p, uint32_t index, struct bytes kind)
{
    pen_put(p, BYTES("event: content_block_delta\ndata: {\"type\":\"content_block_delta\","
                     "\"index\":"));
    pen_fresh(p);
    pen_int(p, index);
    pen_put(p, BYTES(",\"delta\":{\"type\":"));
    pen_put(p, kind);
}

static void delta_end(struct pen *p)
{
    pen_put(p, BYTES("\"}}\n\n"));
}

static void start(struct tell_writer *s, struct pen *p)
{
    if (s->started) return;
    s->started = true;
    struct api_usage usage = s->facts->usage;
    usage.output = usage.reasoning = usage.audio_output = 0;    /* LangChain adds both up */
    event_begin(p, BYTES("message_start"));
    pen_key(p, BYTES("message"));
    pen_object(p);
    messages_put_head(p, s->facts);
    pen_key(p, BYTES("content")), pen_value(p, BYTES("[]"));
    pen_key(p, BYTES("stop_reason")), pen_null(p);
    pen_key(p, BYTES("stop_sequence")), pen_null(p);
    messages_put_usage(p, &usage);
    pen_object_end(p);
    event_end(p);
    event_begin(p, BYTES("ping"));
    event_end(p);
}

/* ---- blocks ---- */

static size_t find_block(const struct tell_writer *s, uint32_t item)
{
    size_t i = 0;
    while (i < s->open_count && s->open[i].item != item) i++;
    return i;
}

static bool keep(struct tell_writer *s, size_t i, enum kept what, struct bytes b)
{
    return b.len == 0 || tell_keep_put(s->keep, s->open[i].item, (uint8_t)what, b);
}

static void put_kept(const struct tell_writer *s, enum kept what, struct pen *p)
{
    tell_keep_parts(s->keep, s->open[0].kept_from, s->open[0].item, (uint8_t)what, p);
}

static void block_begin(struct tell_writer *s, struct pen *p)
{
    s->open[0].index = s->blocks++;
    event_begin(p, BYTES("content_block_start"));
    pen_key(p, BYTES("index")), pen_int(p, s->open[0].index);
    pen_key(p, BYTES("content_block")), pen_object(p);
}

static void block_stop(struct tell_writer *s, struct pen *p)
{
    event_begin(p, BYTES("content_block_stop"));
    pen_key(p, BYTES("index")), pen_int(p, s->open[0].index);
    event_end(p);
}

static void put_kept_string(const struct tell_writer *s, struct bytes key, enum kept what,
                            struct pen *p)
{
    pen_key(p, key);
    pen_begin(p);
    put_kept(s, what, p);
    pen_end(p);
}

static void begin_thinking(struct tell_writer *s, bool redacted, struct pen *p)
{
    block_begin(s, p);
    messages_put_word(p, BYTES("type"), redacted ? BYTES("redacted_thinking")
                                                 : BYTES("thinking"));
    if (redacted) {
        put_kept_string(s, BYTES("data"), KEPT_SIGN, p);
    } else {
        messages_put_word(p, BYTES("thinking"), (struct bytes){0});
        messages_put_word(p, BYTES("signature"), (struct bytes){0});
    }
    pen_object_end(p);
    event_end(p);
}

static void put_signature(struct tell_writer *s, struct pen *p)
{
    delta_begin(p, s->open[0].index, BYTES("\"signature_delta\",\"signature\":\""));
    if (s->open[0].flags & SIGNED) put_kept(s, KEPT_SIGN, p);
    else pen_part(p, ask_mark(MAKER_NONE));
    delta_end(p);
}

static void put_call_id(const struct tell_writer *s, struct pen *p)
{
    if ((s->open[0].flags & NAMELESS) == 0) {
        put_kept_string(s, BYTES("id"), KEPT_ID, p);
        return;
    }
    pen_key(p, BYTES("id"));
    tell_put_id(p, s->facts, BYTES("toolu_"), 1 + s->open[0].index);
}

/* The first block's start. Before a call, the signature that belongs to it. */
static void begin(struct tell_writer *s, struct pen *p)
{
    uint8_t block = s->open[0].block;
    bool call = block == TELL_CALL;
    if (s->open[0].flags & BEGUN) return;
    s->open[0].flags |= BEGUN;
    if (call && (s->open[0].flags & SIGNED) != 0) {
        begin_thinking(s, false, p);
        put_signature(s, p);
        block_stop(s, p);
    }
    if (block == TELL_THINKING) {
        begin_thinking(s, (s->open[0].flags & REDACTED) != 0, p);
        return;
    }
    block_begin(s, p);
    messages_put_word(p, BYTES("type"), call ? BYTES("tool_use") : BYTES("text"));
    if (call) {
        put_call_id(s, p);
        put_kept_string(s, BYTES("name"), KEPT_NAME, p);
        pen_key(p, BYTES("input")), pen_value(p, BYTES("{}"));
    } else {
        messages_put_word(p, BYTES("text"), (struct bytes){0});
    }
    pen_object_end(p);
    event_end(p);
}

static struct bytes delta_kind(uint8_t block)
{
    switch (block) {
    case TELL_CALL: return BYTES("\"input_json_delta\",\"partial_json\":\"");
    case TELL_THINKING: return BYTES("\"thinking_delta\",\"thinking\":\"");
    default: return BYTES("\"text_delta\",\"text\":\"");
    }
}

/* All that was kept of the first block's text. */
static void put_kept_text(struct tell_writer *s, struct pen *p)
{
    if ((s->open[0].flags & FILLED) == 0) return;
    begin(s, p);
    s->open[0].flags &= (uint16_t)~FILLED;
    delta_begin(p, s->open[0].index, delta_kind(s->open[0].block));
    put_kept(s, KEPT_MORE, p);
    delta_end(p);
}

/* The first block is over: its end, and it goes. One that said nothing was never begun. */
static void finish_first(struct tell_writer *s, struct pen *p)
{
    uint8_t block = s->open[0].block;
    unsigned flags = s->open[0].flags;
    assert(s->open_count > 0);
    put_kept_text(s, p);
    if (block == TELL_CALL || (flags & SIGNED) != 0) begin(s, p);
    if (s->open[0].flags & BEGUN) {
        if (block == TELL_THINKING && (flags & REDACTED) == 0) put_signature(s, p);
        block_stop(s, p);
    }
    s->open_count--;
    memmove(s->open, s->open + 1, s->open_count * sizeof s->open[0]);
}

/* The first block is over, and so may be those behind it, whose turn it is now. */
static void close_first(struct tell_writer *s, struct pen *p)
{
    finish_first(s, p);
    while (s->open_count > 0 && (s->open[0].flags & CLOSED) != 0) finish_first(s, p);
    if (s->open_count > 0) put_kept_text(s, p);
}

static bool open_block(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    if (s->open_count == COUNT(s->open)) close_first(s, p);
    size_t i = s->open_count++;
    s->open[i].item = t->item;
    s->open[i].block = t->block;
    s->open[i].flags = 0;
    s->open[i].kept_from = s->keep->source.size;
    if (s->relayed && s->blocks < t->place) s->blocks = t->place;
    if (t->block == TELL_REFUSAL) s->flags |= MESSAGES_REFUSED;
    if (t->block == TELL_IMAGE) {
        s->open[i].flags |= FILLED;
        return keep(s, i, KEPT_MORE, messages_no_image());
    }
    if (t->block != TELL_CALL) return true;
    s->flags |= MESSAGES_CALLED;
    if (!messages_id_stands(t->id)) s->open[i].flags |= NAMELESS;
    else if (!keep(s, i, KEPT_ID, t->id)) return false;
    return keep(s, i, KEPT_NAME, t->name);
}

/* A value as what stands between the quotes of a string. */
static bool keep_value(struct tell_writer *s, size_t i, struct bytes json)
{
    char room[ESCAPED_MAX];
    bool right = true;
    size_t n = 0;
    while (json.len > 0 && right) {
        char c = *bytes_cut(&json, 1).ptr;
        bool plain = (unsigned char)c >= 0x20 && c != '"' && c != '\\';
        if (plain) room[n++] = c;
        else n += json_escape(c, room + n);
        if (n + JSON_ESCAPE_MAX > sizeof room || json.len == 0) {
            right = keep(s, i, KEPT_MORE, (struct bytes){room, n});
            n = 0;
        }
    }
    explicit_bzero(room, sizeof room);
    return right;
}

/* More text of a block: written at once where it is its turn. A whole value waits for the
 * block's end, since a signature, which stands before it, may be told behind it. */
static bool more(struct tell_writer *s, size_t i, const struct tell *t, struct pen *p)
{
    bool thought = t->block == TELL_THINKING;
    if (t->block == TELL_IMAGE || t->block == TELL_AUDIO || t->text.len == 0) return true;
    if (thought && !s->facts->want_thoughts) return true;
    if (t->value || i > 0) {
        s->open[i].flags |= FILLED;
        return t->value ? keep_value(s, i, t->text) : keep(s, i, KEPT_MORE, t->text);
    }
    begin(s, p);
    delta_begin(p, s->open[0].index, delta_kind(t->block));
    pen_part(p, t->text);
    delta_end(p);
    return true;
}

/* A signature goes on. Anthropic's redacted thoughts have a word in front, in a part of its
 * own. That of a text has no place. */
static bool sign(struct tell_writer *s, size_t i, const struct tell *t)
{
    bool thought = t->block == TELL_THINKING, first = (s->open[i].flags & SIGNED) == 0;
    if (!thought && t->block != TELL_CALL) return true;
    s->open[i].flags |= SIGNED;
    if (first && thought && t->maker == MAKER_MESSAGES &&
        bytes_eq(t->text, MESSAGES_REDACTED) && (s->open[i].flags & (BEGUN | FILLED)) == 0) {
        s->open[i].flags |= REDACTED;
        return true;
    }
    if (first && t->maker != MAKER_MESSAGES &&
        !keep(s, i, KEPT_SIGN, ask_mark((enum ask_maker)t->maker))) return false;
    return keep(s, i, KEPT_SIGN, t->text);
}

/* ---- the end ---- */

static bool finish(struct tell_writer *s, const struct tell *t)
{
    s->finished = true;
    s->finish = t->finish;
    if (s->relayed) s->flags |= ENDED;
    if (t->text.len == 0) return true;
    s->flags |= STOPPED;
    return tell_keep_put(s->keep, of_answer, KEPT_STOP, t->text);
}

static void put_message_delta(struct tell_writer *s, struct pen *p)
{
    const struct api_usage *usage = s->usage.present ? &s->usage : &s->facts->usage;
    event_begin(p, BYTES("message_delta"));
    pen_key(p, BYTES("delta")), pen_object(p);
    messages_put_reason(p, (enum tell_finish)s->finish, s->flags);
    pen_key(p, BYTES("stop_sequence"));
    if (s->flags & STOPPED) {
        pen_begin(p);
        tell_keep_parts(s->keep, 0, of_answer, KEPT_STOP, p);
        pen_end(p);
    } else {
        pen_null(p);
    }
    pen_object_end(p);
    messages_put_usage(p, usage);
    event_end(p);
}

static void end(struct tell_writer *s, struct pen *p)
{
    while (s->open_count > 0) finish_first(s, p);
    if (!(s->flags & ENDED)) put_message_delta(s, p);
    event_begin(p, BYTES("message_stop"));
    event_end(p);
    s->ended = true;
}

bool messages_tell_write(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    bool right = true;
    assert(!s->ended);
    if (t->kind <= TELL_FINISH && t->choice > 0) return true;   /* one was asked for */
    start(s, p);
    size_t i = find_block(s, t->item);
    bool known = i < s->open_count;
    switch (t->kind) {
    case TELL_OPEN:
        right = open_block(s, t, p);
        if (s->relayed && s->open_count == 1) begin(s, p);
        break;
    case TELL_MORE: right = !known || more(s, i, t, p); break;
    case TELL_SIGN: right = !known || sign(s, i, t); break;
    case TELL_CLOSE:
        if (known && i == 0) close_first(s, p);
        else if (known) s->open[i].flags |= CLOSED;
        break;
    case TELL_FINISH: right = finish(s, t); break;
    case TELL_USAGE: s->usage = t->usage; break;
    case TELL_END: end(s, p); break;
    default: break;
    }
    return right && !p->full;
}
