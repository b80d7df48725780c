/* chat_tell_write.c - writes an answer in the form of OpenAI's chat completions: chunks of a
 * stream, each with all that is said of the answer, or one object. Thoughts are
 * reasoning_content; what is signed, and must come back as it was, is repeated when its block
 * is over as one of reasoning_details, its signature marked with who made it: clients that
 * keep a message's members send it back, whether they join deltas or take the last one.
 * Signatures of calls are where Google's own chat API has them.
 * Model, stream: a call's first chunk is put off until what follows it is known, so that its
 * signature stands there. Whole: the story is told again for each member.
 * Rule: a member of a message that was begun is not begun again. */
#include "net/dialect/api_write.h"
#include "net/translate/ask.h"
#include "net/translate/chat.h"
#include "net/translate/custom.h"
#include "net/translate/tell.h"

#include <stdio.h>

enum kept { KEPT_TEXT, KEPT_SIGN, KEPT_ID, KEPT_NAME,
            KEPT_VALUE };    /* arguments as JSON, not as the inside of a string */
enum state { PENDING = 1,    /* a call's first chunk is not written yet */
             CUSTOM = 2, SIGNED = 4, SAID = 8,
             LOST = 16,      /* there was no room to keep its text or signature */
             WRAPPED = 32,   /* the model was given a function for a tool of any text */
             MAKER_SHIFT = 8 };          /* above: enum ask_maker of the signature */
enum { CALLS_OF = 0, CHOICES = 8,        /* number: calls so far, by choice */
       DETAILS = 8, ROLES = 9, THOUGHTS = 10, ROLES_MAX = 32 };
enum { USAGE_TOLD = 1 };     /* s->flags: the client has read the provider's usage chunk */
enum { USAGE_MAX = 1024 };

static const char *const finishes[] = {
    [TELL_STOP] = "stop", [TELL_STOP_SEQUENCE] = "stop", [TELL_LENGTH] = "length",
    [TELL_CONTEXT] = "length", [TELL_CALLS] = "tool_calls", [TELL_FILTER] = "content_filter",
    [TELL_REFUSED] = "content_filter", [TELL_PAUSE] = "stop", [TELL_OTHER] = "stop",
};

static void put_word(struct pen *p, const char *key, const char *word)
{
    pen_key(p, bytes_of(key));
    pen_text(p, bytes_of(word));
}

/* What every chunk, and the whole answer, says of itself. */
static void put_head(const struct tell_facts *f, struct pen *p, const char *object)
{
    pen_object(p);
    pen_key(p, BYTES("id"));
    tell_put_id(p, f, BYTES("chatcmpl-"), 0);
    put_word(p, "object", object);
    pen_key(p, BYTES("created"));
    pen_int(p, f->created);
    pen_key(p, BYTES("model"));
    pen_string(p, bytes_of(f->model));
}

static void put_usage(const struct tell_facts *f, const struct api_usage *usage, struct pen *p)
{
    char room[USAGE_MAX + 40];
    size_t n = api_usage_json(API_CHAT, usage, room, USAGE_MAX);
    assert(n > 2 && room[n - 1] == '}');
    if (f->cost_nusd >= 0) {
        int more = snprintf(room + n - 1, sizeof room - n, ",\"cost\":%lld.%09lld}",
                            (long long)(f->cost_nusd / 1000000000),
                            (long long)(f->cost_nusd % 1000000000));
        assert(more > 0 && n - 1 + (size_t)more < sizeof room);
        n += (size_t)more - 1;
    }
    pen_key(p, BYTES("usage"));
    pen_value(p, (struct bytes){room, n});
}

static void put_source(struct pen *p, const struct tell *t)
{
    pen_object(p);
    put_word(p, "type", "url_citation");
    pen_key(p, BYTES("url_citation"));
    pen_object(p);
    pen_key(p, BYTES("url"));
    pen_string(p, t->url);
    pen_key(p, BYTES("title"));
    pen_string(p, t->name.len > 0 ? t->name : t->url);
    pen_key(p, BYTES("start_index"));
    pen_int(p, 0);
    pen_key(p, BYTES("end_index"));
    pen_int(p, 0);
    pen_object_end(p);
    pen_object_end(p);
}

static const char *finish_word(uint8_t finish, bool called)
{
    assert(finish < COUNT(finishes));
    return finish == TELL_STOP && called ? "tool_calls" : finishes[finish];
}

/* ---- streams ---- */

/* A chunk of a choice, up to the members of its delta. */
static void begin_chunk(struct tell_writer *s, uint32_t choice, struct pen *p)
{
    uint32_t bit = choice < ROLES_MAX ? 1u << choice : 0;
    pen_put(p, BYTES("data: "));
    pen_fresh(p);
    put_head(s->facts, p, "chat.completion.chunk");
    pen_key(p, BYTES("choices"));
    pen_array(p);
    pen_object(p);
    pen_key(p, BYTES("index"));
    pen_int(p, choice);
    pen_key(p, BYTES("delta"));
    pen_object(p);
    if (s->number[ROLES] & bit) return;
    put_word(p, "role", "assistant");
    s->number[ROLES] |= bit;
}

static void end_chunk(struct pen *p, const char *finish)
{
    pen_object_end(p);
    pen_key(p, BYTES("finish_reason"));
    if (finish) pen_text(p, bytes_of(finish));
    else pen_null(p);
    pen_object_end(p);
    pen_array_end(p);
    pen_object_end(p);
    pen_put(p, BYTES("\n\n"));
}

static void put_delta(struct tell_writer *s, const struct tell *t, const char *key,
                      struct pen *p)
{
    begin_chunk(s, t->choice, p);
    pen_key(p, bytes_of(key));
    pen_string(p, t->text);
    end_chunk(p, NULL);
}

/* The state of a block; open_count: none is kept. */
static uint32_t find(const struct tell_writer *s, uint32_t item)
{
    uint32_t i = 0;
    while (i < s->open_count && s->open[i].item != item) i++;
    return i;
}

static bool keep(struct tell_writer *s, uint32_t item, enum kept what, struct bytes b)
{
    return b.len == 0 || tell_keep_put(s->keep, item, (uint8_t)what, b);
}

/* Begin to keep what a block says. */
static uint32_t note(struct tell_writer *s, const struct tell *t)
{
    assert(s->open_count < COUNT(s->open));
    uint32_t i = s->open_count++;
    s->open[i].item = t->item;
    s->open[i].index = 0;
    s->open[i].flags = 0;
    s->open[i].block = t->block;
    s->open[i].kept_from = s->keep->source.size;
    return i;
}

static void forget(struct tell_writer *s, uint32_t i)
{
    assert(i < s->open_count);
    s->open[i] = s->open[--s->open_count];
}

static void put_kept(const struct tell_writer *s, uint32_t i, enum kept what, struct pen *p)
{
    tell_keep_parts(s->keep, s->open[i].kept_from, s->open[i].item, (uint8_t)what, p);
}

/* A signature that was kept, marked, as a string. */
static void put_sign(const struct tell_writer *s, uint32_t i, struct pen *p)
{
    pen_begin(p);
    pen_part(p, ask_mark((enum ask_maker)(s->open[i].flags >> MAKER_SHIFT)));
    put_kept(s, i, KEPT_SIGN, p);
    pen_end(p);
}

static void sign(struct tell_writer *s, const struct tell *t)
{
    uint32_t i = find(s, t->item);
    if (i == s->open_count || t->text.len == 0) return;
    uint16_t *flags = &s->open[i].flags;
    *flags = (uint16_t)((*flags & ((1u << MAKER_SHIFT) - 1)) | SIGNED |
                        (unsigned)t->maker << MAKER_SHIFT);
    if (!keep(s, t->item, KEPT_SIGN, t->text)) *flags |= LOST;
}

/* A thought that was signed is over: it is repeated whole. */
static void put_detail(struct tell_writer *s, uint32_t i, const struct tell *t, struct pen *p)
{
    bool text = s->open[i].flags & SAID;
    begin_chunk(s, t->choice, p);
    pen_key(p, BYTES("reasoning_details"));
    pen_array(p);
    pen_object(p);
    put_word(p, "type", text ? "reasoning.text" : "reasoning.encrypted");
    if (text) {
        pen_key(p, BYTES("text"));
        pen_begin(p);
        put_kept(s, i, KEPT_TEXT, p);
        pen_end(p);
    }
    pen_key(p, text ? BYTES("signature") : BYTES("data"));
    put_sign(s, i, p);
    pen_key(p, BYTES("index"));
    pen_int(p, s->number[DETAILS]++);
    pen_object_end(p);
    pen_array_end(p);
    end_chunk(p, NULL);
}

static bool thinking(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    if (!s->facts->want_thoughts) return true;
    if (t->kind == TELL_OPEN) {
        note(s, t);
        return true;
    }
    uint32_t i = find(s, t->item);
    assert(i < s->open_count);
    if (t->kind == TELL_SIGN) {
        sign(s, t);
        return true;
    }
    if (t->kind == TELL_CLOSE) {
        /* A client that read the provider's own has its details. */
        bool whole = (s->open[i].flags & (SIGNED | LOST)) == SIGNED && !s->facts->theirs;
        if (whole) put_detail(s, i, t, p);
        forget(s, i);
        return true;
    }
    if (!keep(s, t->item, KEPT_TEXT, t->text)) s->open[i].flags |= LOST;
    bool first = !(s->open[i].flags & SAID);
    s->open[i].flags |= SAID;
    begin_chunk(s, t->choice, p);
    pen_key(p, BYTES("reasoning_content"));
    pen_begin(p);
    if (first && s->number[THOUGHTS]++ > 0) pen_part(p, BYTES("\\n\\n"));
    pen_part(p, t->text);
    pen_end(p);
    end_chunk(p, NULL);
    return true;
}

/* What the event that opens a call says of it: as it comes, or kept. */
static void put_first(const struct tell_writer *s, uint32_t i, const char *key,
                      enum kept what, const struct tell *t, struct pen *p)
{
    struct bytes b = what == KEPT_ID ? t->id : tell_name(s->facts, t->name).name;
    pen_key(p, bytes_of(key));
    pen_begin(p);
    if (t->kind == TELL_OPEN) pen_part(p, b);
    else put_kept(s, i, what, p);
    pen_end(p);
}

/* A chunk about a call, up to its arguments, or input. */
static void begin_call(struct tell_writer *s, uint32_t i, const struct tell *t, struct pen *p)
{
    uint16_t flags = s->open[i].flags;
    bool custom = flags & CUSTOM;
    begin_chunk(s, t->choice, p);
    pen_key(p, BYTES("tool_calls"));
    pen_array(p);
    pen_object(p);
    pen_key(p, BYTES("index"));
    pen_int(p, s->open[i].index);
    if (flags & PENDING) {
        put_first(s, i, "id", KEPT_ID, t, p);
        put_word(p, "type", custom ? "custom" : "function");
    }
    if ((flags & (SIGNED | LOST)) == SIGNED) {
        pen_key(p, BYTES("extra_content"));
        pen_object(p);
        pen_key(p, BYTES("google"));
        pen_object(p);
        pen_key(p, BYTES("thought_signature"));
        put_sign(s, i, p);
        pen_object_end(p);
        pen_object_end(p);
    }
    pen_key(p, custom ? BYTES("custom") : BYTES("function"));
    pen_object(p);
    if (flags & PENDING) put_first(s, i, "name", KEPT_NAME, t, p);
    pen_key(p, custom ? BYTES("input") : BYTES("arguments"));
    s->open[i].flags &= (uint16_t)~(PENDING | SIGNED);
}

static void end_call(struct pen *p)
{
    pen_object_end(p);
    pen_object_end(p);
    pen_array_end(p);
    end_chunk(p, NULL);
}

/* A call's first chunk waits for what follows; where it cannot be kept, it goes out. */
static void open_call(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    struct tell_name name = tell_name(s->facts, t->name);
    uint32_t i = note(s, t);
    uint32_t choice = t->choice < CHOICES ? t->choice : CHOICES - 1;
    s->open[i].index = s->number[CALLS_OF + choice]++;
    s->open[i].flags = (uint16_t)(PENDING | (t->custom || name.custom ? CUSTOM : 0) |
                                  (name.custom && !t->custom ? WRAPPED : 0));
    if (keep(s, t->item, KEPT_ID, t->id) && keep(s, t->item, KEPT_NAME, name.name)) return;
    begin_call(s, i, t, p);
    pen_string(p, (struct bytes){0});
    end_call(p);
}

/* What was kept of arguments goes through here on its way out of its wrapping. */
struct unwrap { struct custom_input *input; bool escaped; };

static bool unwrap_more(struct pen *p)
{
    const struct unwrap *u = p->arg;
    custom_feed(u->input, (struct bytes){p->at, p->len}, u->escaped);
    p->len = 0;
    return true;
}

/* The text of a call whose arguments hold it. */
static void put_unwrapped(const struct tell_writer *s, uint32_t i, struct pen *p)
{
    char room[PEN_NEED_MAX];
    struct custom_input input;
    pen_begin(p);
    custom_begin(&input, p);
    for (unsigned escaped = 0; escaped < 2; escaped++) {
        struct unwrap u = {&input, escaped};
        struct pen pen;
        pen_init(&pen, room, sizeof room);
        pen.more = unwrap_more;
        pen.arg = &u;
        put_kept(s, i, escaped ? KEPT_TEXT : KEPT_VALUE, &pen);
        unwrap_more(&pen);
    }
    custom_end(&input);
    explicit_bzero(room, sizeof room);
    pen_end(p);
}

static bool call(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    if (t->kind == TELL_OPEN) {
        open_call(s, t, p);
        return true;
    }
    uint32_t i = find(s, t->item);
    assert(i < s->open_count);
    if (t->kind == TELL_SIGN) {
        sign(s, t);
        return true;
    }
    if (t->kind == TELL_CLOSE) {
        bool custom = s->open[i].flags & CUSTOM, said = s->open[i].flags & SAID;
        bool wrapped = s->open[i].flags & WRAPPED;
        if (!said || wrapped || (s->open[i].flags & (SIGNED | LOST)) == SIGNED) {
            begin_call(s, i, t, p);
            if (wrapped) put_unwrapped(s, i, p);
            else pen_string(p, said || custom ? (struct bytes){0} : BYTES("{}"));
            end_call(p);
        }
        forget(s, i);
        return true;
    }
    if (t->text.len == 0) return true;
    s->open[i].flags |= SAID;
    if (s->open[i].flags & WRAPPED) {
        return keep(s, t->item, t->value ? KEPT_VALUE : KEPT_TEXT, t->text);
    }
    begin_call(s, i, t, p);
    if (t->value) pen_text(p, t->text);
    else pen_string(p, t->text);
    end_call(p);
    return true;
}

/* An image comes in parts, and goes out whole: delta.images, as OpenRouter has it. */
static bool image(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    if (t->kind == TELL_OPEN) {
        note(s, t);
        return keep(s, t->item, KEPT_NAME, t->name);
    }
    if (t->kind == TELL_MORE) return keep(s, t->item, KEPT_TEXT, t->text);
    if (t->kind != TELL_CLOSE) return true;
    uint32_t i = find(s, t->item);
    begin_chunk(s, t->choice, p);
    pen_key(p, BYTES("images"));
    pen_array(p);
    pen_object(p);
    put_word(p, "type", "image_url");
    pen_key(p, BYTES("image_url"));
    pen_object(p);
    pen_key(p, BYTES("url"));
    pen_begin(p);
    pen_part(p, BYTES("data:"));
    put_kept(s, i, KEPT_NAME, p);
    pen_part(p, BYTES(";base64,"));
    put_kept(s, i, KEPT_TEXT, p);
    pen_end(p);
    pen_object_end(p);
    pen_object_end(p);
    pen_array_end(p);
    end_chunk(p, NULL);
    forget(s, i);
    return true;
}

static void spoken(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    begin_chunk(s, t->choice, p);
    pen_key(p, BYTES("audio"));
    pen_object(p);
    pen_key(p, t->block == TELL_AUDIO ? BYTES("data") : BYTES("transcript"));
    pen_string(p, t->text);
    pen_object_end(p);
    end_chunk(p, NULL);
}

static bool block(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    switch ((enum tell_block)t->block) {
    case TELL_THINKING: return thinking(s, t, p);
    case TELL_CALL: return call(s, t, p);
    case TELL_IMAGE: return image(s, t, p);
    case TELL_TEXT:
        if (t->kind == TELL_MORE) put_delta(s, t, "content", p);
        return true;
    case TELL_REFUSAL:
        if (t->kind == TELL_MORE) put_delta(s, t, "refusal", p);
        return true;
    case TELL_AUDIO: case TELL_TRANSCRIPT:
        if (t->kind == TELL_MORE) spoken(s, t, p);
        return true;
    }
    return true;
}

static void put_end(struct tell_writer *s, struct pen *p)
{
    if (s->facts->want_usage && !(s->flags & USAGE_TOLD)) {
        pen_put(p, BYTES("data: "));
        pen_fresh(p);
        put_head(s->facts, p, "chat.completion.chunk");
        pen_key(p, BYTES("choices"));
        pen_array(p);
        pen_array_end(p);
        put_usage(s->facts, &s->usage, p);
        pen_object_end(p);
        pen_put(p, BYTES("\n\n"));
    }
    pen_put(p, BYTES("data: [DONE]\n\n"));
}

bool chat_tell_write(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    switch ((enum tell_kind)t->kind) {
    case TELL_START:
        begin_chunk(s, 0, p);
        pen_key(p, BYTES("content"));
        pen_text(p, (struct bytes){0});
        end_chunk(p, NULL);
        break;
    case TELL_CITE:
        begin_chunk(s, t->choice, p);
        pen_key(p, BYTES("annotations"));
        pen_array(p);
        put_source(p, t);
        pen_array_end(p);
        end_chunk(p, NULL);
        break;
    case TELL_LOGPROBS:
        begin_chunk(s, t->choice, p);
        pen_object_end(p);
        pen_key(p, BYTES("logprobs"));
        pen_object(p);
        pen_key(p, BYTES("content"));
        pen_value(p, t->text);
        end_chunk(p, NULL);
        break;
    case TELL_FINISH: {
        uint32_t of = t->choice < CHOICES ? t->choice : CHOICES - 1;
        begin_chunk(s, t->choice, p);
        end_chunk(p, finish_word(t->finish, s->number[CALLS_OF + of] > 0));
        break;
    }
    case TELL_USAGE:
        s->usage = t->usage;
        /* Behind the finish it is the usage chunk. */
        if (s->relayed && s->finishes != 0) s->flags |= USAGE_TOLD;
        break;
    case TELL_END: put_end(s, p); break;
    default:
        if (!block(s, t, p)) return false;
        break;
    }
    return !p->full;
}

/* ---- whole answers ---- */

enum mode { SURVEY, CONTENT, REFUSAL, REASONING, REASONING_DETAILS, TOOL_CALLS, SIGNATURE,
            SOURCES, IMAGES, LOGPROBS, DATA, TRANSCRIPT };

struct whole {               /* an answer that is being written */
    const struct tell_facts *facts;
    const struct tell_story *story;
    struct pen *p;
    enum mode mode;
    uint32_t choice, last;   /* the one that is written; the highest that was told */
    uint32_t item;           /* the block that is at hand, or wanted */
    uint32_t order;          /* of the block at hand among the choice's of its kind */
    uint64_t signed_thoughts, said_thoughts, signed_calls;      /* a bit by order */
    bool blocks[TELL_TRANSCRIPT + 1];   /* the choice has some, with text */
    bool sources, logprobs, said, open;
    bool custom, wrapped;    /* the call at hand */
    uint8_t finish;
    struct custom_input input;
};

static uint64_t bit_of(uint32_t order) { return order < 64 ? UINT64_C(1) << order : 0; }

static void survey(struct whole *w, const struct tell *t)
{
    uint64_t *sets[] = {&w->signed_thoughts, &w->said_thoughts, &w->signed_calls};
    bool call = t->block == TELL_CALL;
    switch (t->kind) {
    case TELL_OPEN:
        if (call || t->block == TELL_IMAGE) w->blocks[t->block] = true;
        if (call || t->block == TELL_THINKING) w->order++;
        break;
    case TELL_MORE:
        if (t->text.len > 0) w->blocks[t->block] = true;
        if (t->block == TELL_THINKING) *sets[1] |= bit_of(w->order - 1);
        break;
    case TELL_SIGN:
        if (call) *sets[2] |= bit_of(w->order - 1);
        else if (t->block == TELL_THINKING) *sets[0] |= bit_of(w->order - 1);
        break;
    case TELL_CITE: w->sources = true; break;
    case TELL_LOGPROBS: w->logprobs = true; break;
    case TELL_FINISH: w->finish = t->finish; break;
    default: break;
    }
}

/* Texts of one kind of block, as parts of one string. */
static void texts(struct whole *w, const struct tell *t, enum tell_block of)
{
    if (t->block != of || t->kind > TELL_CLOSE || t->kind == TELL_SIGN) return;
    if (t->kind == TELL_MORE && t->text.len > 0) {
        bool apart = of == TELL_THINKING && w->said && !w->open;
        if (apart) pen_part(w->p, BYTES("\\n\\n"));
        pen_part(w->p, t->text);
        w->said = w->open = true;
    } else if (t->kind == TELL_OPEN) {
        w->open = false;
    }
}

/* Thoughts that are signed: text, then signature, each as it comes. */
static void detail(struct whole *w, const struct tell *t)
{
    bool call = t->block == TELL_CALL;
    if (t->kind == TELL_OPEN && (call || t->block == TELL_THINKING)) w->order++;
    if (t->block != TELL_THINKING || t->kind == TELL_CITE) return;
    uint64_t bit = bit_of(w->order - 1);
    if (!(w->signed_thoughts & bit)) return;
    bool text = w->said_thoughts & bit;
    struct pen *p = w->p;
    switch (t->kind) {
    case TELL_OPEN:
        pen_object(p);
        put_word(p, "type", text ? "reasoning.text" : "reasoning.encrypted");
        pen_key(p, text ? BYTES("text") : BYTES("data"));
        pen_begin(p);
        w->said = false;
        break;
    case TELL_MORE:
        if (!w->said) pen_part(p, t->text);
        break;
    case TELL_SIGN:
        if (!w->said && text) {
            pen_end(p);
            pen_key(p, BYTES("signature"));
            pen_begin(p);
        }
        if (!w->said) pen_part(p, ask_mark((enum ask_maker)t->maker));
        w->said = true;
        pen_part(p, t->text);
        break;
    case TELL_CLOSE:
        pen_end(p);
        pen_key(p, BYTES("index"));
        pen_int(p, w->item++);
        pen_object_end(p);
        break;
    default: break;
    }
}

/* The signature of one call: w->item. */
static void signature(struct whole *w, const struct tell *t)
{
    if (t->kind != TELL_SIGN || t->block != TELL_CALL || t->item != w->item) return;
    if (!w->said) pen_part(w->p, ask_mark((enum ask_maker)t->maker));
    w->said = true;
    pen_part(w->p, t->text);
}

static bool tell_in(struct whole *w, enum mode mode);

/* Behind its arguments: what else is to be said of a call. Its signature came before:
 * it is told again. */
static bool end_tool_call(struct whole *w, const struct tell *t)
{
    struct pen *p = w->p;
    if (w->wrapped) custom_end(&w->input);
    else if (!w->said && !w->custom) pen_part(p, BYTES("{}"));
    pen_end(p);
    pen_object_end(p);
    if (w->signed_calls & bit_of(w->order - 1)) {
        struct whole one = *w;
        one.item = t->item;
        pen_key(p, BYTES("extra_content"));
        pen_object(p);
        pen_key(p, BYTES("google"));
        pen_object(p);
        pen_key(p, BYTES("thought_signature"));
        pen_begin(p);
        if (!tell_in(&one, SIGNATURE)) return false;
        pen_end(p);
        pen_object_end(p);
        pen_object_end(p);
    }
    pen_object_end(p);
    return true;
}

static void begin_tool_call(struct whole *w, const struct tell *t)
{
    struct pen *p = w->p;
    struct tell_name name = tell_name(w->facts, t->name);
    w->custom = t->custom || name.custom;
    w->wrapped = name.custom && !t->custom;
    w->said = false;
    pen_object(p);
    pen_key(p, BYTES("id"));
    pen_string(p, t->id);
    put_word(p, "type", w->custom ? "custom" : "function");
    pen_key(p, w->custom ? BYTES("custom") : BYTES("function"));
    pen_object(p);
    pen_key(p, BYTES("name"));
    pen_string(p, name.name);
    pen_key(p, w->custom ? BYTES("input") : BYTES("arguments"));
    pen_begin(p);
    if (w->wrapped) custom_begin(&w->input, p);
}

static bool tool_call(struct whole *w, const struct tell *t)
{
    struct pen *p = w->p;
    bool call = t->block == TELL_CALL;
    if (t->kind == TELL_OPEN && (call || t->block == TELL_THINKING)) w->order++;
    if (!call) return true;
    switch (t->kind) {
    case TELL_OPEN: begin_tool_call(w, t); break;
    case TELL_MORE:
        if (t->text.len > 0) w->said = true;
        if (w->wrapped) custom_feed(&w->input, t->text, !t->value);
        else if (t->value) pen_part_text(p, t->text);
        else pen_part(p, t->text);
        break;
    case TELL_CLOSE: return end_tool_call(w, t);
    default: break;
    }
    return true;
}

static void images(struct whole *w, const struct tell *t)
{
    struct pen *p = w->p;
    if (t->block != TELL_IMAGE) return;
    if (t->kind == TELL_OPEN) {
        pen_object(p);
        put_word(p, "type", "image_url");
        pen_key(p, BYTES("image_url"));
        pen_object(p);
        pen_key(p, BYTES("url"));
        pen_begin(p);
        pen_part(p, BYTES("data:"));
        pen_part(p, t->name);
        pen_part(p, BYTES(";base64,"));
    } else if (t->kind == TELL_MORE) {
        pen_part(p, t->text);
    } else if (t->kind == TELL_CLOSE) {
        pen_end(p);
        pen_object_end(p);
        pen_object_end(p);
    }
}

/* What stands between the brackets of an array is so many values of another one. */
static void logprobs(struct whole *w, const struct tell *t)
{
    if (t->kind != TELL_LOGPROBS || t->text.len <= 2) return;
    pen_value(w->p, (struct bytes){t->text.ptr + 1, t->text.len - 2});
}

static bool take(void *arg, const struct tell *t)
{
    struct whole *w = arg;
    if (t->choice > w->last) w->last = t->choice;
    if (t->choice != w->choice || t->kind == TELL_START || t->kind == TELL_END) return true;
    switch (w->mode) {
    case SURVEY: survey(w, t); break;
    case CONTENT: texts(w, t, TELL_TEXT); break;
    case REFUSAL: texts(w, t, TELL_REFUSAL); break;
    case REASONING: texts(w, t, TELL_THINKING); break;
    case DATA: texts(w, t, TELL_AUDIO); break;
    case TRANSCRIPT: texts(w, t, TELL_TRANSCRIPT); break;
    case REASONING_DETAILS: detail(w, t); break;
    case TOOL_CALLS: return tool_call(w, t) && !w->p->full;
    case SIGNATURE: signature(w, t); break;
    case SOURCES:
        if (t->kind == TELL_CITE) put_source(w->p, t);
        break;
    case IMAGES: images(w, t); break;
    case LOGPROBS: logprobs(w, t); break;
    }
    return !w->p->full;
}

/* Tell it all again, for one member. */
static bool tell_in(struct whole *w, enum mode mode)
{
    w->mode = mode;
    w->order = 0;
    w->said = w->open = false;
    if (mode == REASONING_DETAILS) w->item = 0;
    return w->story->again(w->story, take, w);
}

static bool put_string(struct whole *w, const char *key, enum mode mode)
{
    pen_key(w->p, bytes_of(key));
    pen_begin(w->p);
    bool fine = tell_in(w, mode);
    pen_end(w->p);
    return fine;
}

static bool put_array(struct whole *w, const char *key, enum mode mode)
{
    pen_key(w->p, bytes_of(key));
    pen_array(w->p);
    bool fine = tell_in(w, mode);
    pen_array_end(w->p);
    return fine;
}

static bool put_message(struct whole *w)
{
    struct pen *p = w->p;
    bool thoughts = w->facts->want_thoughts;
    bool fine = true;
    pen_object(p);
    put_word(p, "role", "assistant");
    if (w->blocks[TELL_TEXT]) fine = put_string(w, "content", CONTENT);
    else pen_key(p, BYTES("content")), pen_null(p);
    if (w->blocks[TELL_REFUSAL]) fine = fine && put_string(w, "refusal", REFUSAL);
    else pen_key(p, BYTES("refusal")), pen_null(p);
    if (thoughts && w->blocks[TELL_THINKING]) {
        fine = fine && put_string(w, "reasoning_content", REASONING);
    }
    if (thoughts && w->signed_thoughts != 0) {
        fine = fine && put_array(w, "reasoning_details", REASONING_DETAILS);
    }
    if (w->blocks[TELL_CALL]) fine = fine && put_array(w, "tool_calls", TOOL_CALLS);
    if (w->sources) fine = fine && put_array(w, "annotations", SOURCES);
    if (w->blocks[TELL_IMAGE]) fine = fine && put_array(w, "images", IMAGES);
    if (w->blocks[TELL_AUDIO]) {
        pen_key(p, BYTES("audio"));
        pen_object(p);
        pen_key(p, BYTES("id"));
        tell_put_id(p, w->facts, BYTES("audio_"), w->choice);
        fine = fine && put_string(w, "data", DATA) && put_string(w, "transcript", TRANSCRIPT);
        pen_key(p, BYTES("expires_at"));
        pen_int(p, w->facts->created);
        pen_object_end(p);
    }
    pen_object_end(p);
    return fine;
}

static bool put_choice(struct whole *w)
{
    struct pen *p = w->p;
    if (!tell_in(w, SURVEY)) return false;
    pen_object(p);
    pen_key(p, BYTES("index"));
    pen_int(p, w->choice);
    pen_key(p, BYTES("message"));
    if (!put_message(w)) return false;
    pen_key(p, BYTES("logprobs"));
    if (w->logprobs) {
        pen_object(p);
        if (!put_array(w, "content", LOGPROBS)) return false;
        pen_key(p, BYTES("refusal"));
        pen_null(p);
        pen_object_end(p);
    } else {
        pen_null(p);
    }
    put_word(p, "finish_reason", finish_word(w->finish, w->blocks[TELL_CALL]));
    pen_object_end(p);
    return true;
}

bool chat_tell_whole(const struct tell_facts *facts, const struct tell_story *story,
                     struct pen *p)
{
    uint32_t last = 0;
    put_head(facts, p, "chat.completion");
    pen_key(p, BYTES("choices"));
    pen_array(p);
    for (uint32_t choice = 0; choice <= last; choice++) {
        struct whole w = {.facts = facts, .story = story, .p = p, .choice = choice};
        if (!put_choice(&w)) return false;
        last = w.last;
    }
    pen_array_end(p);
    put_usage(facts, &facts->usage, p);
    pen_object_end(p);
    return !p->full;
}
