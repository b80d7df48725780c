/* gemini_tell_whole.c - writes a whole answer as Gemini has it.
 * Model: the story is told once to look at it: which choices there are and how they ended,
 * which thoughts have a signature, whether a call's arguments are an object. Then once for
 * each choice, to write its parts as they come; and once more for what must stand elsewhere
 * than it is told: a signature at the part behind the thoughts, sources, logprobs.
 * Rules: as in streams, see gemini_tell_write.c. */
#include "net/translate/ask.h"
#include "net/translate/gemini.h"
#include "net/translate/tell.h"

enum { SIGNED = 1, TEXT = 2, APART = 4,     /* flags of thoughts, and of calls */
       BROKEN = 8 };                        /* a call's arguments are no object */
enum { CHOICES_MAX = 8, BLOCKS_MAX = 128 };

struct block { uint32_t item; uint8_t flags; };

enum open { NOTHING, STRING, ARGUMENTS, VALUE };    /* in the part that was begun */

struct whole {
    const struct tell_facts *facts;
    const struct tell_story *story;
    struct pen *p;
    struct block block[BLOCKS_MAX];     /* thoughts and calls; of more than that, signatures
                                           are lost, and arguments stay text */
    size_t block_count;
    struct pen_check check;  /* of the arguments of this block, a call: */
    struct block *checked;   /* NULL: of none */
    uint32_t item;           /* whose signature is wanted */
    uint32_t waits;          /* whose signature waits for a part */
    uint32_t choice;         /* that is being written */
    uint32_t current;        /* the block that is */
    uint8_t kind;            /* enum tell_block of it */
    uint8_t finish[CHOICES_MAX];    /* enum tell_finish + 1 */
    uint8_t open;            /* enum open */
    bool waiting, inside, begun, any, cited, logprobs, first, tops;
};

static struct block *find_block(struct whole *m, uint32_t item)
{
    for (size_t i = m->block_count; i > 0; i--) {
        if (m->block[i - 1].item == item) return &m->block[i - 1];
    }
    return NULL;
}

/* A piece of text as a document of its own. */
struct piece { struct walk walk; struct walk_source source; struct bytes text; };

static struct walk_span piece_of(struct piece *piece, struct bytes text)
{
    piece->text = text;
    walk_source_of(&piece->source, &piece->text);
    piece->walk = (struct walk){.source = &piece->source, .whole = text};
    return (struct walk_span){0, text.len};
}

/* ---- the first time ---- */

/* The call in hand is over, as far as arguments go. */
static void settle(struct whole *m)
{
    if (m->checked && !pen_check_end(&m->check)) m->checked->flags |= BROKEN;
    m->checked = NULL;
}

static void look_at(struct whole *m, struct block *b, const struct tell *t)
{
    struct piece piece;
    bool call = t->block == TELL_CALL;
    switch (t->kind) {
    case TELL_MORE:
        b->flags |= TEXT;
        if (!call || t->value) return;
        if (m->checked != b) return;
        struct walk_span span = piece_of(&piece, t->text);
        pen_check_part(&m->check, &piece.walk, span);
        return;
    case TELL_SIGN:
        b->flags |= SIGNED;
        if (gemini_is_apart((enum ask_maker)t->maker, b->flags & TEXT)) b->flags |= APART;
        return;
    case TELL_CLOSE:
        if (m->checked == b) settle(m);
        return;
    default: return;
    }
}

static bool look(void *arg, const struct tell *t)
{
    struct whole *m = arg;
    if (t->kind <= TELL_FINISH && t->choice >= CHOICES_MAX) return true;
    if (t->kind == TELL_FINISH) m->finish[t->choice] = (uint8_t)(t->finish + 1);
    if (t->kind == TELL_CITE) m->cited = true;
    if (t->kind == TELL_LOGPROBS) m->logprobs = true;
    if (t->kind < TELL_OPEN || t->kind > TELL_CLOSE || t->kind == TELL_CITE) return true;
    if (t->block != TELL_THINKING && t->block != TELL_CALL) return true;
    struct block *b = find_block(m, t->item);
    if (t->kind == TELL_OPEN && m->block_count < BLOCKS_MAX) {
        b = &m->block[m->block_count++];
        *b = (struct block){.item = t->item};
        settle(m);
        if (t->block == TELL_CALL) m->checked = b;
        pen_check_begin(&m->check);
    }
    if (b) look_at(m, b, t);
    return true;
}

/* ---- once more ---- */

static bool write_signature(void *arg, const struct tell *t)
{
    struct whole *m = arg;
    if (t->kind != TELL_SIGN || t->item != m->item) return true;
    bool mark = m->first && t->maker != MAKER_GEMINI;
    if (mark) pen_part(m->p, ask_mark((enum ask_maker)t->maker));
    m->first = false;
    pen_part(m->p, t->text);
    return !m->p->full;
}

/* The signature of that block, at the part that is open. */
static bool put_signature(struct whole *m, uint32_t item)
{
    m->item = item;
    m->first = true;
    pen_key(m->p, BYTES("thoughtSignature"));
    pen_begin(m->p);
    bool told = m->story->again(m->story, write_signature, m);
    pen_end(m->p);
    return told;
}

static bool write_cites(void *arg, const struct tell *t)
{
    struct whole *m = arg;
    if (t->kind != TELL_CITE || t->choice != m->choice) return true;
    pen_object(m->p);
    pen_key(m->p, BYTES("web"));
    pen_object(m->p);
    pen_key(m->p, BYTES("uri"));
    pen_string(m->p, t->url);
    pen_key(m->p, BYTES("title"));
    pen_string(m->p, t->name);
    pen_object_end(m->p);
    pen_object_end(m->p);
    return !m->p->full;
}

static bool write_tokens(void *arg, const struct tell *t)
{
    struct whole *m = arg;
    if (t->kind != TELL_LOGPROBS || t->choice != m->choice) return true;
    gemini_put_tokens(m->p, t->text, m->tops);
    return !m->p->full;
}

/* An object with a list that another telling fills. */
static bool put_list(struct whole *m, struct bytes name, tell_take take)
{
    pen_key(m->p, name);
    pen_array(m->p);
    bool told = m->story->again(m->story, take, m);
    pen_array_end(m->p);
    return told;
}

/* ---- parts ---- */

static void part_begin(struct whole *m)
{
    assert(!m->begun);
    pen_object(m->p);
    m->begun = m->any = true;
    m->open = NOTHING;
}

static void end_open(struct whole *m)
{
    if (m->open == STRING) pen_end(m->p);
    m->open = NOTHING;
}

/* The part is over; what waits stands at it, if it may. */
static bool part_end(struct whole *m, bool takes)
{
    bool told = true;
    end_open(m);
    if (takes && m->waiting) {
        m->waiting = false;
        told = put_signature(m, m->waits);
    }
    pen_object_end(m->p);
    m->begun = false;
    return told;
}

/* The key of a string in parts. */
static void begin_string(struct whole *m, struct bytes key)
{
    pen_key(m->p, key);
    pen_begin(m->p);
    m->open = STRING;
}

/* What waits is not to wait on: as Gemini has it where no part follows. */
static bool flush(struct whole *m)
{
    if (!m->waiting) return true;
    part_begin(m);
    pen_key(m->p, BYTES("text"));
    pen_string(m->p, (struct bytes){0});
    return part_end(m, true);
}

static void open_call(struct whole *m, const struct tell *t)
{
    part_begin(m);
    pen_key(m->p, BYTES("functionCall"));
    pen_object(m->p);
    pen_key(m->p, BYTES("id"));
    pen_string(m->p, t->id);
    pen_key(m->p, BYTES("name"));
    pen_string(m->p, t->name);
    pen_key(m->p, BYTES("args"));
}

/* Arguments: a value, text that is one, or text that is none, as the text of one member. */
static void more_arguments(struct whole *m, const struct tell *t)
{
    struct piece piece;
    const struct block *b = find_block(m, t->item);
    bool broken = !b || t->custom || b->flags & BROKEN;
    struct walk_span span = piece_of(&piece, t->text);
    if (t->value) {
        pen_value(m->p, t->text);
        m->open = VALUE;
        return;
    }
    if (m->open == NOTHING && broken) {
        pen_object(m->p);
        begin_string(m, t->custom ? BYTES("input") : BYTES("arguments"));
    } else if (m->open == NOTHING) {
        pen_inner_begin(m->p, &(struct pen_check){.any = true});
        m->open = ARGUMENTS;
    }
    if (m->open == STRING) pen_part(m->p, t->text);
    else pen_inner_part(m->p, &piece.walk, span);
}

static bool close_call(struct whole *m, uint32_t item)
{
    const struct block *b = find_block(m, item);
    if (m->open == NOTHING) pen_value(m->p, BYTES("{}"));
    bool string = m->open == STRING;
    end_open(m);
    if (string) pen_object_end(m->p);
    pen_object_end(m->p);
    bool own = b && b->flags & SIGNED;
    if (own && !put_signature(m, item)) return false;
    return part_end(m, !own);
}

static bool close_thoughts(struct whole *m, uint32_t item)
{
    const struct block *b = find_block(m, item);
    bool with = b && (b->flags & (SIGNED | APART)) == SIGNED && m->begun;
    bool told = true;
    end_open(m);
    if (with) told = put_signature(m, item);
    if (m->begun) told = part_end(m, false) && told;
    if (!b || !(b->flags & APART)) return told;
    if (!flush(m)) return false;
    m->waits = item;
    m->waiting = true;
    return told;
}

static void more(struct whole *m, const struct tell *t)
{
    bool thought = t->block == TELL_THINKING;
    if (t->text.len == 0 || (thought && !m->facts->want_thoughts)) return;
    if (t->block == TELL_CALL) {
        more_arguments(m, t);
        return;
    }
    if (!m->begun) {
        part_begin(m);
        if (thought) {
            pen_key(m->p, BYTES("thought"));
            pen_bool(m->p, true);
        }
        begin_string(m, BYTES("text"));
    }
    pen_part(m->p, t->text);
}

static void open_media(struct whole *m, const struct tell *t)
{
    part_begin(m);
    pen_key(m->p, BYTES("inlineData"));
    pen_object(m->p);
    pen_key(m->p, BYTES("mimeType"));
    pen_string(m->p, t->name);
    begin_string(m, BYTES("data"));
}

static bool close_block(struct whole *m)
{
    if (!m->inside) return true;
    m->inside = false;
    switch (m->kind) {
    case TELL_CALL: return close_call(m, m->current);
    case TELL_THINKING: return close_thoughts(m, m->current);
    case TELL_IMAGE: case TELL_AUDIO:
        end_open(m);
        pen_object_end(m->p);
        return part_end(m, false);
    default: break;
    }
    return !m->begun || part_end(m, true);
}

static bool write(void *arg, const struct tell *t)
{
    struct whole *m = arg;
    bool media = t->block == TELL_IMAGE || t->block == TELL_AUDIO;
    bool current = m->inside && t->item == m->current, told = true;
    if (t->choice != m->choice) return true;
    switch (t->kind) {
    case TELL_OPEN:
        told = close_block(m);  /* a call stays open where its arguments are not whole */
        if (told && t->block == TELL_THINKING) told = flush(m);   /* signed before these */
        m->inside = true;
        m->current = t->item;
        m->kind = t->block;
        if (t->block == TELL_CALL) open_call(m, t);
        else if (media) open_media(m, t);
        break;
    case TELL_MORE: if (current) more(m, t); break;
    case TELL_CLOSE: if (current) told = close_block(m); break;
    default: break;
    }
    return told && !m->p->full;
}

static bool put_candidate(struct whole *m)
{
    struct pen *p = m->p;
    m->any = m->waiting = m->inside = false;
    pen_object(p);
    pen_key(p, BYTES("content"));
    pen_object(p);
    pen_key(p, BYTES("parts"));
    pen_array(p);
    if (!m->story->again(m->story, write, m) || !flush(m)) return false;
    if (!m->any) pen_value(p, BYTES("{\"text\":\"\"}"));
    pen_array_end(p);
    pen_key(p, BYTES("role"));
    pen_string(p, BYTES("model"));
    pen_object_end(p);
    pen_key(p, BYTES("finishReason"));
    pen_string(p, gemini_reason((enum tell_finish)(m->finish[m->choice] - 1)));
    pen_key(p, BYTES("index"));
    pen_int(p, m->choice);
    bool told = true;
    if (m->cited) {
        pen_key(p, BYTES("groundingMetadata"));
        pen_object(p);
        told = put_list(m, BYTES("groundingChunks"), write_cites);
        pen_object_end(p);
    }
    if (m->logprobs && told) {
        pen_key(p, BYTES("logprobsResult"));
        pen_object(p);
        m->tops = false;
        told = put_list(m, BYTES("chosenCandidates"), write_tokens);
        m->tops = true;
        told = told && put_list(m, BYTES("topCandidates"), write_tokens);
        pen_object_end(p);
    }
    pen_object_end(p);
    return told;
}

bool gemini_tell_write_whole(const struct tell_facts *facts, const struct tell_story *story,
                             struct pen *p)
{
    struct whole m = {.facts = facts, .story = story, .p = p};
    if (!story->again(story, look, &m)) return false;
    pen_object(p);
    pen_key(p, BYTES("candidates"));
    pen_array(p);
    for (m.choice = 0; m.choice < CHOICES_MAX; m.choice++) {
        if (m.finish[m.choice] > 0 && !put_candidate(&m)) return false;
    }
    pen_array_end(p);
    gemini_put_foot(p, facts, &facts->usage);
    pen_object_end(p);
    return !p->full;
}
