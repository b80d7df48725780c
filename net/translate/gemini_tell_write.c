/* gemini_tell_write.c - writes an answer's events as chunks of Gemini's stream. Model: each
 * chunk is a whole object with the parts that are new; the last one has every choice's reason
 * and the usage, which stands in no other (LangChain adds up what it finds). Kept until they
 * are whole: calls, images, signatures, sources.
 * Signatures: Gemini signs the part that follows the thoughts, and its CLI keeps no thoughts
 * of earlier turns. So one that stands for itself (Gemini's own; Responses' encrypted form;
 * thoughts that are not shown) waits for the next part; Anthropic's, which are of the very
 * text, stand at the thought. What another maker signed has our mark in front. */
#include "net/dialect/api_write.h"
#include "net/translate/ask.h"
#include "net/translate/gemini.h"
#include "net/translate/tell.h"

enum kept { KEPT_ID, KEPT_NAME, KEPT_MORE, KEPT_SIGN, KEPT_CITE };
enum { SIGNED = 1,      /* flags of a block */
       FILLED = 2,      /* it has had text, which was shown */
       APART = 4,       /* its signature stands for itself */
       SAID = 8,        /* a call that is written */
       WAITS = 16,      /* it is over, but its signature waits for a part */
       HIDDEN = 32,     /* it has had text, which was not */
       CUSTOM = 64 };   /* a call of a tool that takes any text */
enum { CITED = 1 };     /* s->flags */
enum { CHOICES_MAX = 8, USAGE_MAX = 1024 };
static const uint32_t of_answer = UINT32_MAX;   /* item under which sources are kept */

/* ---- what streams and whole answers share ---- */

struct bytes gemini_reason(enum tell_finish finish)
{
    switch (finish) {
    case TELL_STOP: case TELL_STOP_SEQUENCE: case TELL_CALLS: case TELL_PAUSE:
        return BYTES("STOP");
    case TELL_LENGTH: case TELL_CONTEXT: return BYTES("MAX_TOKENS");
    case TELL_FILTER: case TELL_REFUSED: return BYTES("SAFETY");
    case TELL_OTHER: break;
    }
    return BYTES("OTHER");
}

void gemini_put_foot(struct pen *p, const struct tell_facts *facts,
                     const struct api_usage *usage)
{
    char room[USAGE_MAX];
    if (usage) {
        size_t n = api_usage_json(API_GENERATE, usage, room, sizeof room);
        assert(n > 0);
        pen_key(p, BYTES("usageMetadata"));
        pen_value(p, (struct bytes){room, n});
    }
    pen_key(p, BYTES("modelVersion"));
    pen_string(p, bytes_of(facts->model));
    pen_key(p, BYTES("responseId"));
    tell_put_id(p, facts, (struct bytes){0}, 0);
}

/* One token of chat's logprobs, in Gemini's words. */
static void put_token(struct pen *p, const struct walk *w, struct node token)
{
    pen_object(p);
    pen_key(p, BYTES("token"));
    pen_span(p, w, walk_inside(walk_member(w, token, BYTES("token"))));
    struct node logprob = walk_member(w, token, BYTES("logprob"));
    if (logprob.type == JSON_NUMBER) {
        pen_key(p, BYTES("logProbability"));
        pen_node(p, w, logprob);
    }
    pen_object_end(p);
}

/* The tokens that might have stood there. */
static void put_tops(struct pen *p, const struct walk *w, struct node token)
{
    struct walk_each e;
    struct node key, top;
    pen_object(p);
    pen_key(p, BYTES("candidates"));
    pen_array(p);
    walk_begin(w, walk_member(w, token, BYTES("top_logprobs")), &e);
    while (walk_next(&e, &key, &top)) put_token(p, w, top);
    pen_array_end(p);
    pen_object_end(p);
}

void gemini_put_tokens(struct pen *p, struct bytes json, bool tops)
{
    struct walk_source source;
    struct walk w;
    struct walk_each e;
    struct node root, key, token;
    walk_source_of(&source, &json);
    if (json.len == 0 || !walk_open(&w, &source, NULL, &root)) return;
    walk_begin(&w, root, &e);
    while (walk_next(&e, &key, &token)) {
        if (tops) put_tops(p, &w, token);
        else put_token(p, &w, token);
    }
}

bool gemini_is_apart(enum ask_maker maker, bool text)
{
    return !text || maker == MAKER_GEMINI || maker == MAKER_RESPONSES;
}

/* ---- chunks ---- */

/* A chunk up to its one part's first member. */
static void part_begin(struct pen *p)
{
    pen_put(p, BYTES("data: {\"candidates\":[{\"content\":{\"parts\":["));
    pen_fresh(p);
    pen_object(p);
}

static void foot(const struct tell_writer *s, uint32_t choice, struct pen *p)
{
    pen_put(p, BYTES(",\"index\":"));
    pen_fresh(p);
    pen_int(p, choice);
    pen_put(p, BYTES("}],\"modelVersion\":\""));
    pen_put(p, bytes_of(s->facts->model));
    pen_put(p, BYTES("\",\"responseId\":"));
    tell_put_id(p, s->facts, (struct bytes){0}, 0);
    pen_put(p, BYTES("}\r\n\r\n"));
}

static void part_end(const struct tell_writer *s, uint32_t choice, struct pen *p)
{
    pen_object_end(p);
    pen_put(p, BYTES("],\"role\":\"model\"}"));
    foot(s, choice, p);
}

/* ---- blocks ---- */

static size_t find_block(const struct tell_writer *s, uint32_t item)
{
    size_t i = 0;
    while (i < s->open_count && (s->open[i].item != item || s->open[i].flags & WAITS)) i++;
    return i;
}

static void forget(struct tell_writer *s, size_t i)
{
    assert(i < s->open_count);
    s->open_count--;
    memmove(s->open + i, s->open + i + 1, (s->open_count - i) * sizeof s->open[0]);
}

static void put_kept(const struct tell_writer *s, size_t i, enum kept what, struct pen *p)
{
    tell_keep_parts(s->keep, s->open[i].kept_from, s->open[i].item, (uint8_t)what, p);
}

static void put_kept_string(const struct tell_writer *s, size_t i, struct bytes key,
                            enum kept what, struct pen *p)
{
    pen_key(p, key);
    pen_begin(p);
    put_kept(s, i, what, p);
    pen_end(p);
}

static size_t find_waiting(const struct tell_writer *s)
{
    size_t i = 0;
    while (i < s->open_count && !(s->open[i].flags & WAITS)) i++;
    return i;
}

/* The signature that waits, at the part that is being written. */
static void put_waiting(struct tell_writer *s, struct pen *p)
{
    size_t i = find_waiting(s);
    if (i == s->open_count) return;
    put_kept_string(s, i, BYTES("thoughtSignature"), KEPT_SIGN, p);
    forget(s, i);
}

/* One that waits is not to wait on: as Gemini has it where no part follows. */
static void flush_waiting(struct tell_writer *s, uint32_t choice, struct pen *p)
{
    if (find_waiting(s) == s->open_count) return;
    part_begin(p);
    pen_key(p, BYTES("text"));
    pen_string(p, (struct bytes){0});
    put_waiting(s, p);
    part_end(s, choice, p);
}

static bool open_block(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    if (t->block == TELL_TEXT || t->block == TELL_REFUSAL || t->block == TELL_TRANSCRIPT) {
        return true;
    }
    /* Thoughts are to come back in the order in which they were signed. */
    if (t->block == TELL_THINKING || s->open_count == COUNT(s->open)) {
        flush_waiting(s, t->choice, p);
        if (s->open_count == COUNT(s->open)) return true;  /* no reader has so many */
    }
    size_t i = s->open_count++;
    s->open[i].item = t->item;
    s->open[i].block = t->block;
    s->open[i].flags = t->custom ? CUSTOM : 0;
    s->open[i].kept_from = s->keep->source.size;
    return tell_keep_put(s->keep, t->item, KEPT_ID, t->id) &&
           tell_keep_put(s->keep, t->item, KEPT_NAME, t->name);
}

/* A chunk of text, or of a thought. */
static void put_text(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    part_begin(p);
    pen_key(p, BYTES("text"));
    pen_string(p, t->text);
    if (t->block == TELL_THINKING) {
        pen_key(p, BYTES("thought"));
        pen_bool(p, true);
    } else if (s->open_count > 0) {
        put_waiting(s, p);
    }
    part_end(s, t->choice, p);
}

/* A call up to its arguments. */
static void call_begin(struct tell_writer *s, size_t i, struct pen *p)
{
    part_begin(p);
    pen_key(p, BYTES("functionCall"));
    pen_object(p);
    put_kept_string(s, i, BYTES("id"), KEPT_ID, p);
    put_kept_string(s, i, BYTES("name"), KEPT_NAME, p);
    pen_key(p, BYTES("args"));
}

/* Its own signature, or the one that waits. */
static void call_end(struct tell_writer *s, size_t i, uint32_t choice, struct pen *p)
{
    pen_object_end(p);
    if (s->open[i].flags & SIGNED) {
        put_kept_string(s, i, BYTES("thoughtSignature"), KEPT_SIGN, p);
    } else {
        put_waiting(s, p);
    }
    part_end(s, choice, p);
}

static bool more(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    size_t i = find_block(s, t->item);
    bool known = i < s->open_count, thought = t->block == TELL_THINKING;
    if (t->text.len == 0) return true;
    if (t->block == TELL_TEXT || t->block == TELL_REFUSAL || t->block == TELL_TRANSCRIPT) {
        put_text(s, t, p);
        return true;
    }
    if (!known) return true;
    if (thought) {
        s->open[i].flags |= s->facts->want_thoughts ? FILLED : HIDDEN;
        if (s->facts->want_thoughts) put_text(s, t, p);
        return true;
    }
    if (!t->value) return tell_keep_put(s->keep, t->item, KEPT_MORE, t->text);
    s->open[i].flags |= SAID;
    call_begin(s, i, p);
    pen_value(p, t->text);
    call_end(s, i, t->choice, p);
    return true;
}

static bool sign(struct tell_writer *s, const struct tell *t)
{
    if (s->relayed) return true;    /* it stood where the provider put it */
    size_t i = find_block(s, t->item);
    if (i == s->open_count) {
        if (t->block != TELL_TEXT) return true;
        if (s->open_count == COUNT(s->open)) return true;
        s->open_count++;     /* a text's: it waits for the next part */
        s->open[i].item = t->item;
        s->open[i].block = t->block;
        s->open[i].flags = 0;
        s->open[i].kept_from = s->keep->source.size;
    }
    bool first = !(s->open[i].flags & SIGNED);
    s->open[i].flags |= SIGNED;
    if (gemini_is_apart((enum ask_maker)t->maker, s->open[i].flags & (FILLED | HIDDEN))) {
        s->open[i].flags |= APART;
    }
    if (first && t->maker != MAKER_GEMINI &&
        !tell_keep_put(s->keep, t->item, KEPT_SIGN, ask_mark((enum ask_maker)t->maker))) {
        return false;
    }
    return tell_keep_put(s->keep, t->item, KEPT_SIGN, t->text);
}

/* Arguments that are no object are handed out all the same, as the text of one member: the
 * client's tool refuses them, and the model reads why. */
static void put_kept_call(struct tell_writer *s, size_t i, uint32_t choice, struct pen *p)
{
    bool custom = s->open[i].flags & CUSTOM;
    call_begin(s, i, p);
    if (custom ||
        !tell_keep_value(s->keep, s->open[i].kept_from, s->open[i].item, KEPT_MORE, p)) {
        pen_object(p);
        put_kept_string(s, i, custom ? BYTES("input") : BYTES("arguments"), KEPT_MORE, p);
        pen_object_end(p);
    }
    call_end(s, i, choice, p);
}

static void put_media(struct tell_writer *s, size_t i, uint32_t choice, struct pen *p)
{
    part_begin(p);
    pen_key(p, BYTES("inlineData"));
    pen_object(p);
    put_kept_string(s, i, BYTES("mimeType"), KEPT_NAME, p);
    put_kept_string(s, i, BYTES("data"), KEPT_MORE, p);
    pen_object_end(p);
    part_end(s, choice, p);
}

/* Thoughts are over: their signature goes out with them, or waits. Anthropic's, of a text that
 * was not shown, is of no use to anybody. */
static void close_thoughts(struct tell_writer *s, size_t i, uint32_t choice, struct pen *p)
{
    unsigned flags = s->open[i].flags;
    uint32_t item = s->open[i].item;
    if (!(flags & SIGNED) || (!(flags & APART) && (flags & HIDDEN))) {
        forget(s, i);
    } else if (flags & APART) {
        flush_waiting(s, choice, p);
        s->open[find_block(s, item)].flags |= WAITS;
    } else {
        part_begin(p);
        pen_key(p, BYTES("text"));
        pen_string(p, (struct bytes){0});
        pen_key(p, BYTES("thought"));
        pen_bool(p, true);
        put_kept_string(s, i, BYTES("thoughtSignature"), KEPT_SIGN, p);
        part_end(s, choice, p);
        forget(s, i);
    }
}

static void close_block(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    size_t i = find_block(s, t->item);
    if (i == s->open_count) return;
    switch (s->open[i].block) {
    case TELL_THINKING: case TELL_TEXT: close_thoughts(s, i, t->choice, p); return;
    case TELL_CALL:
        if (!(s->open[i].flags & SAID)) put_kept_call(s, i, t->choice, p);
        break;
    default: put_media(s, i, t->choice, p); break;
    }
    forget(s, find_block(s, t->item));
}

/* ---- what stands beside the parts ---- */

static bool cite(struct tell_writer *s, const struct tell *t)
{
    const struct { struct bytes text; } parts[] = {
        {s->flags & CITED ? BYTES(",{\"web\":{\"uri\":\"") : BYTES("{\"web\":{\"uri\":\"")},
        {t->url}, {BYTES("\",\"title\":\"")}, {t->name}, {BYTES("\"}}")},
    };
    if (s->relayed) return true;    /* the client has it */
    for (size_t i = 0; i < COUNT(parts); i++) {
        if (!tell_keep_put(s->keep, of_answer, KEPT_CITE, parts[i].text)) return false;
    }
    s->flags |= CITED;
    return true;
}

static void put_logprobs(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    pen_put(p, BYTES("data: {\"candidates\":["));
    pen_fresh(p);
    pen_object(p);
    pen_key(p, BYTES("logprobsResult"));
    pen_object(p);
    pen_key(p, BYTES("chosenCandidates"));
    pen_array(p);
    gemini_put_tokens(p, t->text, false);
    pen_array_end(p);
    pen_key(p, BYTES("topCandidates"));
    pen_array(p);
    gemini_put_tokens(p, t->text, true);
    pen_array_end(p);
    pen_object_end(p);
    pen_key(p, BYTES("index"));
    pen_int(p, t->choice);
    pen_object_end(p);
    pen_put(p, BYTES("],\"modelVersion\":\""));
    pen_put(p, bytes_of(s->facts->model));
    pen_put(p, BYTES("\"}\r\n\r\n"));
}

static void put_candidate(struct tell_writer *s, uint32_t choice, struct pen *p)
{
    pen_object(p);
    pen_key(p, BYTES("content"));
    pen_object(p);
    pen_key(p, BYTES("parts"));
    pen_array(p);
    pen_object(p);
    pen_key(p, BYTES("text"));
    pen_string(p, (struct bytes){0});
    if (choice == 0) put_waiting(s, p);
    pen_object_end(p);
    pen_array_end(p);
    pen_key(p, BYTES("role"));
    pen_string(p, BYTES("model"));
    pen_object_end(p);
    pen_key(p, BYTES("finishReason"));
    pen_string(p, gemini_reason((enum tell_finish)(s->number[choice] - 1)));
    pen_key(p, BYTES("index"));
    pen_int(p, choice);
    if (choice == 0 && (s->flags & CITED)) {
        pen_key(p, BYTES("groundingMetadata"));
        pen_value(p, BYTES("{\"groundingChunks\":["));  /* begun; its elements are kept */
        tell_keep_parts(s->keep, 0, of_answer, KEPT_CITE, p);
        pen_put(p, BYTES("]}"));
    }
    pen_object_end(p);
}

/* The last chunk. */
static void end(struct tell_writer *s, struct pen *p)
{
    const struct api_usage *usage = s->usage.present ? &s->usage : &s->facts->usage;
    pen_put(p, BYTES("data: "));
    pen_fresh(p);
    pen_object(p);
    pen_key(p, BYTES("candidates"));
    pen_array(p);
    for (uint32_t i = 0; i < CHOICES_MAX; i++) {
        if (s->number[i] > 0) put_candidate(s, i, p);
    }
    pen_array_end(p);
    gemini_put_foot(p, s->facts, usage);
    pen_object_end(p);
    pen_put(p, BYTES("\r\n\r\n"));
    s->ended = true;
}

bool gemini_tell_write(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    bool right = true;
    static_assert(CHOICES_MAX <= COUNT(s->number), "a reason each");
    assert(!s->ended);
    if (t->kind <= TELL_FINISH && t->choice >= CHOICES_MAX) return true;
    switch ((enum tell_kind)t->kind) {
    case TELL_START: break;
    case TELL_OPEN: right = open_block(s, t, p); break;
    case TELL_MORE: right = more(s, t, p); break;
    case TELL_SIGN: right = sign(s, t); break;
    case TELL_CITE: right = cite(s, t); break;
    case TELL_CLOSE: close_block(s, t, p); break;
    case TELL_LOGPROBS: put_logprobs(s, t, p); break;
    case TELL_FINISH: s->number[t->choice] = t->finish + 1u; break;
    case TELL_USAGE: s->usage = t->usage; break;
    case TELL_END: end(s, p); break;
    case TELL_STEP: break;
    }
    return right && !p->full;
}
