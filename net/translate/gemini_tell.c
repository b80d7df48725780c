/* gemini_tell.c - reads answers in Gemini's form: the chunks of a stream and whole answers are
 * the same object. Model: candidates, each with parts in order; a part is text, a thought, a
 * whole functionCall, or a piece of one (partialArgs, where it was asked for), an image.
 * Rules: a signature is of the thoughts before the part it stands at, so it signs the thoughts
 * that are open, or the call; why an answer ended is told at its end, for some models say it
 * in each chunk. What runs at Google (executableCode) only its own clients are shown. */
#include "net/translate/ask.h"
#include "net/translate/gemini.h"
#include "net/translate/tell.h"

enum { CHOICES_MAX = 8,      /* candidateCount's largest value */
       NAME_MAX_BYTES = 256, /* of a name, or a MIME type */
       FINISH_BITS = 4 };

/* ---- parts ---- */

static bool take_call(struct tell_reader *r, const struct walk *w, struct node call,
                      struct walk_span signature)
{
    enum { ID, NAME, ARGS, PARTIAL_ARGS, GOES_ON, NAMES };
    static const struct bytes names[NAMES] = {BYTES_INIT("id"), BYTES_INIT("name"),
        BYTES_INIT("args"), BYTES_INIT("partialArgs"), BYTES_INIT("willContinue")};
    struct node v[NAMES];
    char id_room[TELL_CALL_ID_MAX], name_room[NAME_MAX_BYTES];
    gemini_members(w, call, names, NAMES, v);
    bool goes_on = v[GOES_ON].type == JSON_TRUE;
    struct bytes id = walk_short(w, v[ID], id_room, sizeof id_room);
    struct bytes name = walk_short(w, v[NAME], name_room, sizeof name_room);
    if (name.len > 0) {
        if (!gemini_end_partial(r)) return false;
        if (!tell_call(r, r->number[GEMINI_CALLS]++, id, name, false)) return false;
        if (!tell_sign(r, MAKER_GEMINI, w, signature)) return false;
        if (!goes_on && v[PARTIAL_ARGS].type == JSON_NONE) {
            return tell_arguments_value(r, r->number[GEMINI_CALLS] - 1, w, v[ARGS]);
        }
        r->flags |= GEMINI_PARTIAL;
    }
    if (!(r->flags & GEMINI_PARTIAL)) return true;  /* an end, {}, of nothing */
    struct walk_each e;
    struct node key, value;
    walk_begin(w, v[PARTIAL_ARGS], &e);
    while (walk_next(&e, &key, &value)) {
        if (!gemini_take_partial(r, w, value)) return false;
    }
    return goes_on || gemini_end_partial(r);
}

static bool take_text(struct tell_reader *r, const struct walk *w, struct walk_span text,
                      struct walk_span signature)
{
    bool opens = !r->open && r->call_count == 0;
    if (walk_has(signature) && (opens || (r->open && r->block == TELL_THINKING))) {
        if (opens && !tell_open(r, TELL_THINKING)) return false;
        if (!tell_sign(r, MAKER_GEMINI, w, signature)) return false;
        signature = (struct walk_span){0};
    }
    if (!tell_more_span(r, TELL_TEXT, w, text)) return false;
    if (!r->open) return true;  /* behind calls: it signs what is signed already */
    return tell_sign(r, MAKER_GEMINI, w, signature);
}

/* An image, or speech: as a block of its own. */
static bool take_media(struct tell_reader *r, const struct walk *w, struct node media)
{
    static const struct bytes names[] = {BYTES_INIT("mimeType"), BYTES_INIT("data")};
    struct node v[COUNT(names)];
    char room[NAME_MAX_BYTES];
    gemini_members(w, media, names, COUNT(names), v);
    struct bytes mime = walk_short(w, v[0], room, sizeof room);
    if (mime.len == 0 || !walk_has(walk_inside(v[1]))) return true;
    bool image = bytes_starts(mime, BYTES("image/"));
    if (!image && !bytes_starts(mime, BYTES("audio/"))) return true;
    enum tell_block block = image ? TELL_IMAGE : TELL_AUDIO;
    return tell_open_as(r, block, (struct bytes){0}, mime) &&
           tell_more_span(r, block, w, walk_inside(v[1])) && tell_close(r);
}

static bool take_part(struct tell_reader *r, const struct walk *w, struct node part)
{
    enum { TEXT, THOUGHT, SIGNATURE, CALL, INLINE, NAMES };
    static const struct bytes names[NAMES] = {BYTES_INIT("text"), BYTES_INIT("thought"),
        BYTES_INIT("thoughtSignature"), BYTES_INIT("functionCall"), BYTES_INIT("inlineData")};
    struct node v[NAMES];
    gemini_members(w, part, names, NAMES, v);
    struct walk_span signature = walk_inside(v[SIGNATURE]);
    if (v[CALL].type == JSON_OBJECT) return take_call(r, w, v[CALL], signature);
    if (!gemini_end_partial(r)) return false;
    if (v[INLINE].type == JSON_OBJECT) return take_media(r, w, v[INLINE]);
    if (v[THOUGHT].type != JSON_TRUE) return take_text(r, w, walk_inside(v[TEXT]), signature);
    if (!tell_more_span(r, TELL_THINKING, w, walk_inside(v[TEXT]))) return false;
    if (!walk_has(signature) || !r->open || r->block != TELL_THINKING) return true;
    return tell_sign(r, MAKER_GEMINI, w, signature);
}

/* ---- what stands beside the parts ---- */

/* Sources, of the text that is open. */
static bool take_grounding(struct tell_reader *r, const struct walk *w, struct node grounding)
{
    static const struct bytes chunks[] = {BYTES_INIT("groundingChunks")};
    static const struct bytes where[] = {BYTES_INIT("web"), BYTES_INIT("retrievedContext")};
    static const struct bytes names[] = {BYTES_INIT("uri"), BYTES_INIT("title")};
    struct node list, key, value, source[COUNT(where)], v[COUNT(names)];
    struct walk_each e;
    bool told = true;
    gemini_members(w, grounding, chunks, 1, &list);
    if (!r->open || r->block != TELL_TEXT) return true;
    walk_begin(w, list, &e);
    while (told && walk_next(&e, &key, &value)) {
        gemini_members(w, value, where, COUNT(where), source);
        gemini_members(w, source[source[0].type == JSON_NONE], names, COUNT(names), v);
        told = tell_cite(r, w, v[0], v[1]);
    }
    return told;
}

/* A token of logprobsResult, and those that might have stood there, as chat has them. */
static void put_logprob(struct pen *p, const struct walk *w, struct node token)
{
    static const struct bytes names[] = {BYTES_INIT("token"), BYTES_INIT("logProbability")};
    struct node v[COUNT(names)];
    gemini_members(w, token, names, COUNT(names), v);
    pen_key(p, BYTES("token"));
    pen_span(p, w, walk_inside(v[0]));
    pen_key(p, BYTES("logprob"));
    if (v[1].type == JSON_NUMBER) pen_node(p, w, v[1]);
    else pen_int(p, 0);
    pen_key(p, BYTES("bytes"));
    pen_null(p);
}

static bool take_logprob(struct tell_reader *r, const struct walk *w, struct node chosen,
                         struct node top)
{
    static const struct bytes names[] = {BYTES_INIT("candidates")};
    struct walk_each e;
    struct node list, key, value;
    char room[4096];
    struct pen p;
    pen_init(&p, room, sizeof room);
    pen_array(&p);
    pen_object(&p);
    put_logprob(&p, w, chosen);
    pen_key(&p, BYTES("top_logprobs"));
    pen_array(&p);
    gemini_members(w, top, names, 1, &list);
    walk_begin(w, list, &e);
    while (walk_next(&e, &key, &value)) {
        pen_object(&p);
        put_logprob(&p, w, value);
        pen_object_end(&p);
    }
    pen_array_end(&p);
    pen_object_end(&p);
    pen_array_end(&p);
    struct tell t = {.kind = TELL_LOGPROBS, .choice = r->choice, .text = {room, p.len}};
    bool told = p.full || r->take(r->arg, &t);
    explicit_bzero(room, sizeof room);
    return told;
}

/* The two lists run side by side. */
static bool take_logprobs(struct tell_reader *r, const struct walk *w, struct node result)
{
    static const struct bytes names[] = {BYTES_INIT("chosenCandidates"),
                                         BYTES_INIT("topCandidates")};
    struct node v[COUNT(names)], key, chosen, top;
    struct walk_each all, tops;
    gemini_members(w, result, names, COUNT(names), v);
    walk_begin(w, v[0], &all);
    walk_begin(w, v[1], &tops);
    while (walk_next(&all, &key, &chosen)) {
        if (!walk_next(&tops, &key, &top)) top = (struct node){0};
        if (!take_logprob(r, w, chosen, top)) return false;
    }
    return true;
}

static void note_finish(struct tell_reader *r, enum tell_finish finish)
{
    unsigned shift = r->choice * FINISH_BITS;
    assert(r->choice < CHOICES_MAX);
    r->number[GEMINI_FINISH] &= ~(15u << shift);
    r->number[GEMINI_FINISH] |= (finish + 1u) << shift;
}

/* Why it ended, or was not begun: finishReason, blockReason. */
static void take_reason(struct tell_reader *r, const struct walk *w, struct node reason)
{
    static const struct bytes words[] = {
        BYTES_INIT("STOP"), BYTES_INIT("MAX_TOKENS"), BYTES_INIT("FINISH_REASON_UNSPECIFIED"),
        BYTES_INIT("SAFETY"), BYTES_INIT("BLOCKLIST"), BYTES_INIT("PROHIBITED_CONTENT"),
        BYTES_INIT("SPII"), BYTES_INIT("IMAGE_SAFETY"), BYTES_INIT("MODEL_ARMOR"),
        BYTES_INIT("IMAGE_PROHIBITED_CONTENT"),
    };
    enum { ENDED, LENGTH, UNSAID, FILTERS };
    if (reason.type != JSON_STRING) return;
    size_t i = walk_word(w, reason, words, COUNT(words));
    if (i == UNSAID) return;
    note_finish(r, i == ENDED ? TELL_STOP : i == LENGTH ? TELL_LENGTH
                 : i >= FILTERS && i < COUNT(words) ? TELL_FILTER : TELL_OTHER);
}

static bool take_candidate(struct tell_reader *r, const struct walk *w, struct node candidate)
{
    enum { INDEX, CONTENT, REASON, GROUNDING, LOGPROBS, NAMES };
    static const struct bytes names[NAMES] = {BYTES_INIT("index"), BYTES_INIT("content"),
        BYTES_INIT("finishReason"), BYTES_INIT("groundingMetadata"),
        BYTES_INIT("logprobsResult")};
    static const struct bytes inner[] = {BYTES_INIT("parts")};
    struct node v[NAMES], parts, key, part;
    struct walk_each e;
    int64_t index = 0;
    gemini_members(w, candidate, names, NAMES, v);
    if (v[INDEX].type != JSON_NONE && !walk_int(w, v[INDEX], &index)) return true;
    if (index < 0 || index >= CHOICES_MAX) return true;
    if (index != r->choice && !gemini_end_partial(r)) return false;
    if (r->open && r->open_choice != index && !tell_close(r)) return false;
    r->choice = (uint8_t)index;
    gemini_members(w, v[CONTENT], inner, 1, &parts);
    walk_begin(w, parts, &e);
    while (walk_next(&e, &key, &part)) {
        if (!take_part(r, w, part)) return false;
    }
    take_reason(r, w, v[REASON]);
    if (v[LOGPROBS].type != JSON_NONE && !take_logprobs(r, w, v[LOGPROBS])) return false;
    return v[GROUNDING].type == JSON_NONE || take_grounding(r, w, v[GROUNDING]);
}

static bool take_answer(struct tell_reader *r, const struct walk *w, struct node root)
{
    enum { CANDIDATES, FEEDBACK, ID, MODEL, NAMES };
    static const struct bytes names[NAMES] = {BYTES_INIT("candidates"),
        BYTES_INIT("promptFeedback"), BYTES_INIT("responseId"), BYTES_INIT("modelVersion")};
    static const struct bytes inner[] = {BYTES_INIT("blockReason")};
    struct node v[NAMES], reason, key, candidate;
    struct walk_each e;
    gemini_members(w, root, names, NAMES, v);
    if (v[CANDIDATES].type == JSON_NONE && v[FEEDBACK].type == JSON_NONE) return true;
    if (!tell_start_of(r, w, v[ID], v[MODEL], 0)) return false;
    walk_begin(w, v[CANDIDATES], &e);
    while (walk_next(&e, &key, &candidate)) {
        if (!take_candidate(r, w, candidate)) return false;
    }
    gemini_members(w, v[FEEDBACK], inner, 1, &reason);
    if (reason.type == JSON_STRING && r->number[GEMINI_FINISH] == 0) {
        r->choice = 0;
        note_finish(r, TELL_FILTER);
    }
    return true;
}

static bool take_event(struct tell_reader *r, struct bytes name, const struct walk *w,
                       struct node root)
{
    (void)name;  /* Gemini's events have none */
    return take_answer(r, w, root);
}

static bool take_end(struct tell_reader *r)
{
    if (!gemini_end_partial(r)) return false;
    for (uint32_t i = 0; i < CHOICES_MAX; i++) {
        unsigned finish = r->number[GEMINI_FINISH] >> i * FINISH_BITS & 15;
        if (finish == 0) continue;
        if (!tell_finish(r, i, (enum tell_finish)(finish - 1), (struct bytes){0})) return false;
    }
    return true;
}

const struct tell_dialect gemini_tell = {
    .event = take_event, .end = take_end, .whole = take_answer,
    .write = gemini_tell_write, .write_whole = gemini_tell_write_whole,
};
