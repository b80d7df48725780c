/* splice.c - see splice.h. Model: the place behind the last element of the conversation, where
 * a turn of the model's is put, and one of the user's where it must be asked for.
 *   body | , turn " | said | " end, and what asks to go on | rest of the body
 * Rule: of a body nothing is copied; where an input is one string (Responses), it becomes the
 * first of a list. */
#include "net/translate/splice.h"

#include "net/dialect/api.h"
#include "net/translate/letter.h"
#include "net/translate/walk.h"

/* What asks a model to go on that cannot be made to by the turn alone. */
#define GO_ON "Your last message was cut off. Go on with it from exactly where it stops, as " \
              "if there had been no break: your answer is put right behind its last letter. " \
              "Repeat nothing of it, say nothing about the break, begin with no greeting, " \
              "heading or code fence; if a space or a line break comes next, begin with it."

struct turns {               /* how a dialect writes what is put in */
    struct bytes list;       /* the member that is the conversation */
    struct bytes begin, end; /* around the answer */
    struct bytes asked;      /* the same as end, and what asks to go on */
    struct bytes model;      /* the role of the model's turns */
};

/* ---- dialects ---- */

#define OPENAI_END "\"}"
#define OPENAI_ASK ",{\"role\":\"user\",\"content\":\"" GO_ON "\"}"
#define GEMINI_END "\"}]}"
#define GEMINI_ASK ",{\"role\":\"user\",\"parts\":[{\"text\":\"" GO_ON "\"}]}"

static const struct turns *turns_of(enum api api)
{
    static const struct turns openai = {
        BYTES_INIT("messages"), BYTES_INIT(",{\"role\":\"assistant\",\"content\":\""),
        BYTES_INIT(OPENAI_END), BYTES_INIT(OPENAI_END OPENAI_ASK), BYTES_INIT("assistant")};
    static const struct turns responses = {
        BYTES_INIT("input"), BYTES_INIT(",{\"role\":\"assistant\",\"content\":\""),
        BYTES_INIT(OPENAI_END), BYTES_INIT(OPENAI_END OPENAI_ASK), BYTES_INIT("assistant")};
    static const struct turns gemini = {
        BYTES_INIT("contents"), BYTES_INIT(",{\"role\":\"model\",\"parts\":[{\"text\":\""),
        BYTES_INIT(GEMINI_END), BYTES_INIT(GEMINI_END GEMINI_ASK), BYTES_INIT("model")};
    switch (api) {
    case API_CHAT: case API_MESSAGES: return &openai;
    case API_RESPONSES: return &responses;
    case API_GENERATE: return &gemini;
    default: return NULL;
    }
}

/* ---- parts ---- */

static void put(struct splice *s, struct splice_part part)
{
    assert(s->count < SPLICE_PARTS);
    uint64_t size = part.kind == SPLICE_WORD ? part.word.len : part.to - part.from;
    if (size == 0) return;
    s->part[s->count++] = part;
    s->size += size;
}

static void put_word(struct splice *s, struct bytes word)
{
    put(s, (struct splice_part){.kind = SPLICE_WORD, .word = word});
}

static void put_body(struct splice *s, uint64_t from, uint64_t to)
{
    assert(from <= to);
    put(s, (struct splice_part){.kind = SPLICE_BODY, .from = from, .to = to});
}

static void put_turn(struct splice *s, const struct turns *t, uint64_t said, bool asked)
{
    put_word(s, t->begin);
    put(s, (struct splice_part){.kind = SPLICE_SAID, .to = said});
    put_word(s, asked ? t->asked : t->end);
}

/* ---- the conversation ---- */

/* Is an element of it the model's? Calls and thoughts of Responses have no role. */
static bool is_models(const struct walk *w, struct node element, const struct turns *t)
{
    static const struct bytes names[] = {BYTES_INIT("role"), BYTES_INIT("type")};
    static const struct bytes model[] = {
        BYTES_INIT("function_call"), BYTES_INIT("custom_tool_call"), BYTES_INIT("reasoning")};
    struct node v[COUNT(names)];
    walk_members(w, element, names, COUNT(names), v);
    return walk_is(w, walk_inside(v[0]), t->model) ||
           walk_word(w, v[1], model, COUNT(model)) < COUNT(model);
}

static struct node last_of(const struct walk *w, struct node list)
{
    struct walk_each each;
    struct node key, element, last = {0};
    walk_begin(w, list, &each);
    while (walk_next(&each, &key, &element)) last = element;
    return last;
}

/* Does a part of the conversation lie at its provider, who alone can go on with it? */
static bool is_kept(const struct walk *w, struct node root)
{
    static const struct bytes names[] = {BYTES_INIT("previous_response_id"),
                                         BYTES_INIT("conversation"), BYTES_INIT("prompt")};
    struct node v[COUNT(names)];
    walk_members(w, root, names, COUNT(names), v);
    return v[0].type != JSON_NONE || v[1].type != JSON_NONE || v[2].type != JSON_NONE;
}

bool splice_make(struct splice *s, enum api api, const struct walk *w, struct node root,
                 const struct walk_source *said, enum ask_continues how)
{
    const struct turns *t = turns_of(api);
    uint64_t end = letters_end(said);
    *s = (struct splice){0};
    assert(how != ASK_CONTINUES_NOT && w->source);
    if (!t || (api == API_RESPONSES && is_kept(w, root))) return false;
    struct node list = walk_member(w, root, t->list);
    bool one = api == API_RESPONSES && list.type == JSON_STRING;
    struct node last = one ? list : last_of(w, list);
    if (list.type != JSON_ARRAY && !one) return false;
    if (last.type == JSON_NONE || (!one && is_models(w, last, t))) return false;
    if (end == 0) {
        put_body(s, 0, w->source->size);
        return true;
    }
    put_body(s, 0, one ? list.start : last.end);
    if (one) {
        put_word(s, BYTES("[{\"role\":\"user\",\"content\":"));
        put_body(s, list.start, list.end);
        put_word(s, BYTES("}"));
    }
    put_turn(s, t, end, how == ASK_CONTINUES_INSTRUCT);
    if (one) put_word(s, BYTES("]"));
    put_body(s, last.end, w->source->size);
    assert(splice_goes_on(s) && s->size > w->source->size);
    return true;
}

/* ---- as one document ---- */

static struct bytes view_piece(void *arg, uint64_t at)
{
    const struct splice_view *v = arg;
    const struct splice_part *p = v->splice->part;
    assert(at < v->splice->size);
    for (;; p++) {
        uint64_t size = p->kind == SPLICE_WORD ? p->word.len : p->to - p->from;
        if (at < size) break;
        at -= size;
        assert(p + 1 < v->splice->part + v->splice->count);
    }
    if (p->kind == SPLICE_WORD) {
        return (struct bytes){p->word.ptr + at, p->word.len - (size_t)at};
    }
    const struct walk_source *of = p->kind == SPLICE_BODY ? v->body : v->said;
    struct bytes b = of->piece(of->arg, p->from + at);
    uint64_t left = p->to - p->from - at;
    if (b.len > left) b.len = (size_t)left;
    return b;
}

struct walk_source splice_source(struct splice_view *view)
{
    return (struct walk_source){view_piece, view, view->splice->size};
}

/* ---- structured output ---- */

bool splice_may_cut(unsigned format, const struct walk_source *said)
{
    struct letters l = {said, 0, letters_end(said)};
    struct letter letter;
    uint32_t last = ',';
    bool string = false, escape = false;
    if (format == API_FORMAT_TEXT) return true;
    while (letters_next(&l, &letter)) {
        bool quote = letter.code == '"' && !escape;
        escape = string && letter.code == '\\' && !escape;
        if (quote) string = !string;
        if (!letter_is_blank(letter.code)) last = letter.code;
    }
    /* A number or a word may not be over, though it looks so. */
    return !string && last > 0 && last < 0x80 &&
           strchr("{}[],:\"", (int)last) != NULL;
}
