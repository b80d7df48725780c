/* messages_tell_whole.c - writes a whole answer as Anthropic has it.
 * Model: the story is told twice. The first time the calls are looked at: which have a
 * signature, which must stand before them, and whether their arguments are the object that
 * Anthropic has. The second time the blocks are written as they come, and a signed call's
 * signature by telling the story once more; there are TELL_CALLS_MAX calls at most.
 * Rule: arguments that are no object are handed out all the same, as the text of one member:
 * the client's tool refuses them, and the model reads why. */
#include "net/translate/ask.h"
#include "net/translate/messages.h"

enum { SIGNED = 1,      /* of a call: it has a signature */
       BROKEN = 2 };    /* its arguments are no object */
enum { STOP_MAX = 256 };     /* bytes of a stop sequence, as written */

struct call { uint32_t item; uint8_t flags; };

/* What is open of the message that is being written: an object in its content, and a string in
 * that. */
enum open { NOTHING, TEXT, THOUGHT, SIGNATURE, ARGUMENTS, BROKEN_TEXT };

struct whole {
    const struct tell_facts *facts;
    const struct tell_story *story;
    struct pen *p;
    struct call call[TELL_CALLS_MAX];
    size_t call_count;
    uint32_t item;           /* of the signature that is wanted */
    uint8_t open;            /* enum open */
    bool empty;              /* the call in hand has had no arguments */
    uint8_t flags;           /* MESSAGES_* */
    uint8_t finish;          /* enum tell_finish */
    bool stopped;            /* stop is a stop sequence */
    uint16_t stop_len;
    char stop[STOP_MAX];
    struct pen_check check;  /* the first time: of the arguments of the call in hand */
};

static struct call *find_call(struct whole *m, uint32_t item)
{
    for (size_t i = m->call_count; i > 0; i--) {
        if (m->call[i - 1].item == item) return &m->call[i - 1];
    }
    return NULL;
}

/* ---- the first time ---- */

/* Text that was told, as a document of its own. source, text: room for it, and borrowed. */
static struct walk walk_of(struct walk_source *source, struct bytes *text)
{
    walk_source_of(source, text);
    return (struct walk){.source = source, .whole = *text};
}

/* Arguments go on: are they an object? */
static void check_more(struct whole *m, struct bytes inside)
{
    struct walk_source source;
    struct walk w = walk_of(&source, &inside);
    pen_check_part(&m->check, &w, (struct walk_span){0, inside.len});
}

static bool look(void *arg, const struct tell *t)
{
    struct whole *m = arg;
    if (t->choice > 0 || t->block != TELL_CALL) return true;
    struct call *call = find_call(m, t->item);
    switch (t->kind) {
    case TELL_OPEN:
        if (m->call_count == COUNT(m->call)) return true;
        m->call[m->call_count++] = (struct call){.item = t->item};
        pen_check_begin(&m->check);
        break;
    case TELL_MORE: if (!t->value) check_more(m, t->text); break;
    case TELL_SIGN: if (call) call->flags |= SIGNED; break;
    case TELL_CLOSE: if (call && !pen_check_end(&m->check)) call->flags |= BROKEN; break;
    default: break;
    }
    return true;
}

/* ---- the second time ---- */

static void put_mark(struct whole *m, const struct tell *t)
{
    if (t->maker != MAKER_MESSAGES) pen_part(m->p, ask_mark((enum ask_maker)t->maker));
}

/* Close what is open. */
static void close_block(struct whole *m)
{
    struct pen *p = m->p;
    uint8_t open = m->open;
    m->open = NOTHING;
    if (open == NOTHING) return;
    if (open == ARGUMENTS) {
        if (m->empty) pen_value(p, BYTES("{}"));
    } else {
        pen_end(p);
    }
    if (open == BROKEN_TEXT) pen_object_end(p);
    if (open == THOUGHT) {  /* nobody signed it */
        pen_key(p, BYTES("signature"));
        pen_string(p, ask_mark(MAKER_NONE));
    }
    pen_object_end(p);
}

static void begin_string(struct whole *m, struct bytes type, struct bytes key, enum open open)
{
    close_block(m);
    pen_object(m->p);
    messages_put_word(m->p, BYTES("type"), type);
    pen_key(m->p, key);
    pen_begin(m->p);
    m->open = (uint8_t)open;
}

static void put_text(struct whole *m, struct bytes text)
{
    if (m->open != TEXT) begin_string(m, BYTES("text"), BYTES("text"), TEXT);
    pen_part(m->p, text);
}

static void put_thought(struct whole *m, struct bytes text)
{
    if (!m->facts->want_thoughts) return;
    if (m->open != THOUGHT) {
        begin_string(m, BYTES("thinking"), BYTES("thinking"), THOUGHT);
    }
    pen_part(m->p, text);
}

/* A signature of thoughts begins, or goes on. */
static void put_signature(struct whole *m, const struct tell *t)
{
    if (m->open == SIGNATURE) {
        pen_part(m->p, t->text);
        return;
    }
    bool redacted = m->open != THOUGHT && t->maker == MAKER_MESSAGES &&
                    bytes_eq(t->text, MESSAGES_REDACTED);
    if (redacted) {
        begin_string(m, BYTES("redacted_thinking"), BYTES("data"), SIGNATURE);
        return;
    }
    if (m->open != THOUGHT) {
        begin_string(m, BYTES("thinking"), BYTES("thinking"), THOUGHT);
    }
    pen_end(m->p);
    pen_key(m->p, BYTES("signature"));
    pen_begin(m->p);
    m->open = SIGNATURE;
    put_mark(m, t);
    pen_part(m->p, t->text);
}

/* The signature of one call, told once more. */
static bool sign_call(void *arg, const struct tell *t)
{
    struct whole *m = arg;
    if (t->kind != TELL_SIGN || t->block != TELL_CALL || t->item != m->item) return true;
    put_signature(m, t);
    return true;
}

static bool open_call(struct whole *m, const struct tell *t)
{
    const struct call *call = find_call(m, t->item);
    struct pen *p = m->p;
    if (call && (call->flags & SIGNED) != 0) {
        m->item = t->item;
        if (!m->story->again(m->story, sign_call, m)) return false;
    }
    close_block(m);
    pen_object(p);
    messages_put_word(p, BYTES("type"), BYTES("tool_use"));
    pen_key(p, BYTES("id"));
    if (messages_id_stands(t->id)) pen_string(p, t->id);
    else tell_put_id(p, m->facts, BYTES("toolu_"), 1 + t->item);
    messages_put_word(p, BYTES("name"), t->name);
    pen_key(p, BYTES("input"));
    bool broken = !call || (call->flags & BROKEN) != 0;
    m->open = broken ? BROKEN_TEXT : ARGUMENTS;
    m->empty = true;
    m->flags |= MESSAGES_CALLED;
    if (broken) {
        pen_object(p);
        pen_key(p, BYTES("arguments"));
        pen_begin(p);
    }
    return true;
}

static void put_arguments(struct whole *m, const struct tell *t)
{
    struct bytes inside = t->text;
    struct walk_source source;
    struct walk w = walk_of(&source, &inside);
    if (t->text.len == 0) return;
    if (m->open == BROKEN_TEXT) {
        if (t->value) pen_part_text(m->p, t->text);
        else pen_part(m->p, t->text);
        return;
    }
    if (m->open != ARGUMENTS) return;
    if (t->value) {
        pen_value(m->p, t->text);
    } else {
        if (m->empty) pen_inner_begin(m->p, &(struct pen_check){.any = true});
        pen_inner_part(m->p, &w, (struct walk_span){0, inside.len});
    }
    m->empty = false;
}

static bool open_block(struct whole *m, const struct tell *t)
{
    if (t->block == TELL_CALL) return open_call(m, t);
    close_block(m);
    if (t->block == TELL_REFUSAL) m->flags |= MESSAGES_REFUSED;
    if (t->block == TELL_IMAGE) put_text(m, messages_no_image());
    return true;
}

static void more(struct whole *m, const struct tell *t)
{
    switch (t->block) {
    case TELL_CALL: put_arguments(m, t); break;
    case TELL_THINKING: put_thought(m, t->text); break;
    case TELL_IMAGE: case TELL_AUDIO: break;
    default: if (t->text.len > 0) put_text(m, t->text); break;
    }
}

static void finish(struct whole *m, const struct tell *t)
{
    m->finish = t->finish;
    m->stopped = t->text.len > 0 && t->text.len <= sizeof m->stop;
    if (!m->stopped) return;
    memcpy(m->stop, t->text.ptr, t->text.len);
    m->stop_len = (uint16_t)t->text.len;
}

static bool take(void *arg, const struct tell *t)
{
    struct whole *m = arg;
    if (t->kind <= TELL_FINISH && t->choice > 0) return true;   /* one was asked for */
    switch (t->kind) {
    case TELL_OPEN: return open_block(m, t);
    case TELL_MORE: more(m, t); break;
    case TELL_SIGN: if (t->block == TELL_THINKING) put_signature(m, t); break;
    case TELL_CLOSE: close_block(m); break;
    case TELL_FINISH: finish(m, t); break;
    default: break;
    }
    return !m->p->full;
}

static bool put_all(struct whole *m)
{
    struct pen *p = m->p;
    if (!m->story->again(m->story, look, m)) return false;
    pen_object(p);
    messages_put_head(p, m->facts);
    pen_key(p, BYTES("content")), pen_array(p);
    if (!m->story->again(m->story, take, m)) return false;
    close_block(m);
    pen_array_end(p);
    messages_put_reason(p, (enum tell_finish)m->finish, m->flags);
    pen_key(p, BYTES("stop_sequence"));
    if (m->stopped) pen_string(p, (struct bytes){m->stop, m->stop_len});
    else pen_null(p);
    messages_put_usage(p, &m->facts->usage);
    pen_object_end(p);
    return !p->full;
}

bool messages_tell_write_whole(const struct tell_facts *facts, const struct tell_story *story,
                               struct pen *p)
{
    struct whole m = {.facts = facts, .story = story, .p = p};
    bool right = put_all(&m);
    explicit_bzero(&m, sizeof m);
    return right;
}
