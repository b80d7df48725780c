/* chat_tell.c - reads answers of OpenAI's chat completions, and of the many who imitate them:
 * Azure (a first chunk without choices), DeepSeek's reasoning_content, Groq's reasoning,
 * OpenRouter's reasoning_details, Mistral's content as a list with thinking parts, MiniMax's
 * last frame (a message with the whole text again), Writer (message and delta in each chunk),
 * Perplexity (citations of the whole answer in each chunk).
 * Model: a chunk's delta and an answer's message are read alike.
 * Rule: what says the same twice under two names is told once. */
#include "net/translate/ask.h"
#include "net/translate/chat.h"
#include "net/translate/tell.h"

enum { DELTAS = 1 };         /* flag: a delta said something: a message repeats it */
enum { LATEST, CHOICES_MAX = 64 };      /* number: the provider's number of the latest call */
enum { WORD_MAX = 256 };     /* bytes of a name, or of a stop sequence */
enum { LOGPROB_MAX = 4096 }; /* the same of one token's logprobs */

static bool has_text(struct node n) { return walk_has(walk_inside(n)); }

/* ---- thoughts ---- */

/* reasoning_details: thoughts where no other name has them, and signatures. */
static bool details(struct tell_reader *r, const struct walk *w, struct node list, bool texts)
{
    static const struct bytes names[] = {BYTES_INIT("text"), BYTES_INIT("summary"),
                                         BYTES_INIT("signature"), BYTES_INIT("data")};
    struct walk_each each;
    struct node key, raw, v[COUNT(names)];
    walk_begin(w, list, &each);
    while (walk_next(&each, &key, &raw)) {
        walk_members(w, raw, names, COUNT(names), v);
        struct walk_span text = walk_inside(v[0].type == JSON_STRING ? v[0] : v[1]);
        struct walk_span sign = walk_inside(v[2].type == JSON_STRING ? v[2] : v[3]);
        if (texts && !tell_more_span(r, TELL_THINKING, w, text)) return false;
        if (!walk_has(sign)) continue;
        if (!r->open || r->block != TELL_THINKING) {
            if (!tell_open(r, TELL_THINKING)) return false;
        }
        if (!tell_sign(r, MAKER_CHAT, w, sign)) return false;
    }
    return true;
}

/* ---- content ---- */

/* Mistral's thinking part: thinking is a list of texts. */
static bool thinking_part(struct tell_reader *r, const struct walk *w, struct node list)
{
    struct walk_each each;
    struct node key, raw;
    if (list.type == JSON_STRING) {
        return tell_more_span(r, TELL_THINKING, w, walk_inside(list));
    }
    walk_begin(w, list, &each);
    while (walk_next(&each, &key, &raw)) {
        struct node text = walk_member(w, raw, BYTES("text"));
        if (!tell_more_span(r, TELL_THINKING, w, walk_inside(text))) return false;
    }
    return true;
}

static bool content(struct tell_reader *r, const struct walk *w, struct node content)
{
    static const struct bytes names[] = {BYTES_INIT("text"), BYTES_INIT("refusal"),
                                         BYTES_INIT("thinking")};
    struct walk_each each;
    struct node key, raw, v[COUNT(names)];
    if (content.type == JSON_STRING) {
        return tell_more_span(r, TELL_TEXT, w, walk_inside(content));
    }
    walk_begin(w, content, &each);
    while (walk_next(&each, &key, &raw)) {
        walk_members(w, raw, names, COUNT(names), v);
        if (!thinking_part(r, w, v[2]) ||
            !tell_more_span(r, TELL_TEXT, w, walk_inside(v[0])) ||
            !tell_more_span(r, TELL_REFUSAL, w, walk_inside(v[1]))) return false;
    }
    return true;
}

/* Sources: annotations of a message ({url_citation: {url, title}}), Perplexity's search_results
 * ({url, title}) or citations (URLs). */
static bool sources(struct tell_reader *r, const struct walk *w, struct node list)
{
    static const struct bytes names[] = {BYTES_INIT("url"), BYTES_INIT("title"),
                                         BYTES_INIT("url_citation")};
    struct walk_each each;
    struct node key, raw, v[COUNT(names)];
    walk_begin(w, list, &each);
    while (walk_next(&each, &key, &raw)) {
        walk_members(w, raw, names, COUNT(names), v);
        if (v[2].type == JSON_OBJECT) walk_members(w, v[2], names, 2, v);
        if (!tell_cite(r, w, raw.type == JSON_STRING ? raw : v[0], v[1])) return false;
    }
    return true;
}

static bool spoken(struct tell_reader *r, const struct walk *w, struct node audio)
{
    static const struct bytes names[] = {BYTES_INIT("data"), BYTES_INIT("transcript")};
    struct node v[COUNT(names)];
    if (audio.type != JSON_OBJECT) return true;
    walk_members(w, audio, names, COUNT(names), v);
    return tell_more_span(r, TELL_TRANSCRIPT, w, walk_inside(v[1])) &&
           tell_more_span(r, TELL_AUDIO, w, walk_inside(v[0]));
}

/* ---- calls ---- */

/* The provider's number of a call; where it says none, that of the latest. */
static uint32_t number_of(struct tell_reader *r, const struct walk *w, struct node at)
{
    int64_t said;
    if (walk_int(w, at, &said) && said >= 0 && said < UINT32_MAX) {
        r->number[LATEST] = (uint32_t)said;
    }
    return r->number[LATEST];
}

/* A call begins, once it has a name; or goes on, which tell_call() knows by its id. */
static bool begin_call(struct tell_reader *r, const struct walk *w, uint32_t index,
                       struct node id, struct node name, bool custom)
{
    char id_room[TELL_CALL_ID_MAX], name_room[WORD_MAX];
    struct bytes said = walk_short(w, id, id_room, sizeof id_room);
    struct bytes called = walk_short(w, name, name_room, sizeof name_room);
    bool fine = true;
    if (called.len > 0) {
        if (said.len == 0) said = (struct bytes){r->kept, r->kept_len};
        fine = tell_call(r, index, said, called, custom);
        r->kept_len = 0;
    } else if (said.len > 0 && said.len <= sizeof r->kept) {
        memcpy(r->kept, said.ptr, said.len);
        r->kept_len = (uint16_t)said.len;
    }
    explicit_bzero(id_room, sizeof id_room);
    explicit_bzero(name_room, sizeof name_room);
    return fine;
}

static bool arguments(struct tell_reader *r, const struct walk *w, uint32_t index,
                      struct node said)
{
    if (said.type == JSON_OBJECT) return tell_arguments_value(r, index, w, said);
    return !has_text(said) || tell_arguments(r, index, w, walk_inside(said));
}

static bool one_call(struct tell_reader *r, const struct walk *w, struct node raw)
{
    static const struct bytes outer[] = {BYTES_INIT("index"), BYTES_INIT("id"),
                                         BYTES_INIT("function"), BYTES_INIT("custom"),
                                         BYTES_INIT("extra_content")};
    static const struct bytes inner[] = {BYTES_INIT("name"), BYTES_INIT("arguments"),
                                         BYTES_INIT("input")};
    struct node o[COUNT(outer)], v[COUNT(inner)];
    walk_members(w, raw, outer, COUNT(outer), o);
    bool custom = o[2].type != JSON_OBJECT && o[3].type == JSON_OBJECT;
    walk_members(w, custom ? o[3] : o[2], inner, COUNT(inner), v);
    uint32_t index = number_of(r, w, o[0]);
    if (!begin_call(r, w, index, o[1], v[0], custom)) return false;
    if (o[4].type == JSON_OBJECT) {
        struct node google = walk_member(w, o[4], BYTES("google"));
        struct node sign = walk_member(w, google, BYTES("thought_signature"));
        if (has_text(sign) && !tell_sign(r, MAKER_GEMINI, w, walk_inside(sign))) return false;
    }
    return arguments(r, w, index, custom ? v[2] : v[1]);
}

static bool calls(struct tell_reader *r, const struct walk *w, struct node list,
                  struct node legacy)
{
    static const struct bytes names[] = {BYTES_INIT("name"), BYTES_INIT("arguments")};
    struct walk_each each;
    struct node key, raw, v[COUNT(names)], none = {0};
    walk_begin(w, list, &each);
    while (walk_next(&each, &key, &raw)) {
        if (!one_call(r, w, raw)) return false;
    }
    if (legacy.type != JSON_OBJECT) return true;
    walk_members(w, legacy, names, COUNT(names), v);
    if (!begin_call(r, w, 0, none, v[0], false)) return false;
    return arguments(r, w, 0, v[1]);
}

/* ---- a choice ---- */

enum { REASONING_CONTENT, REASONING, REASONING_DETAILS, CONTENT, REFUSAL, TOOL_CALLS,
       FUNCTION_CALL, AUDIO, ANNOTATIONS, PARTS };
static const struct bytes part_names[PARTS] = {
    [REASONING_CONTENT] = BYTES_INIT("reasoning_content"),
    [REASONING] = BYTES_INIT("reasoning"),
    [REASONING_DETAILS] = BYTES_INIT("reasoning_details"), [CONTENT] = BYTES_INIT("content"),
    [REFUSAL] = BYTES_INIT("refusal"), [TOOL_CALLS] = BYTES_INIT("tool_calls"),
    [FUNCTION_CALL] = BYTES_INIT("function_call"), [AUDIO] = BYTES_INIT("audio"),
    [ANNOTATIONS] = BYTES_INIT("annotations"),
};

/* A delta, or a message. */
static bool said(struct tell_reader *r, const struct walk *w, struct node object)
{
    struct node v[PARTS];
    walk_members(w, object, part_names, PARTS, v);
    struct node text = has_text(v[REASONING_CONTENT]) ? v[REASONING_CONTENT] : v[REASONING];
    if (has_text(text) && !tell_more_span(r, TELL_THINKING, w, walk_inside(text))) return false;
    if (v[REASONING_DETAILS].type == JSON_ARRAY &&
        !details(r, w, v[REASONING_DETAILS], !has_text(text))) return false;
    if (v[CONTENT].type != JSON_NONE && !content(r, w, v[CONTENT])) return false;
    if (v[ANNOTATIONS].type == JSON_ARRAY && !sources(r, w, v[ANNOTATIONS])) return false;
    if (has_text(v[REFUSAL]) &&
        !tell_more_span(r, TELL_REFUSAL, w, walk_inside(v[REFUSAL]))) return false;
    if (!spoken(r, w, v[AUDIO])) return false;
    return calls(r, w, v[TOOL_CALLS], v[FUNCTION_CALL]);
}

static bool logprobs_of(struct tell_reader *r, struct bytes array)
{
    struct tell told = {.kind = TELL_LOGPROBS, .choice = r->choice, .text = array};
    return r->take(r->arg, &told);
}

/* As chat has them: an array. One that lies in pieces is told by the token. */
static bool logprobs(struct tell_reader *r, const struct walk *w, struct node of)
{
    struct node list = walk_member(w, of, BYTES("content"));
    if (list.type != JSON_ARRAY || walk_count(w, list) == 0) return true;
    struct bytes whole = walk_piece(w, list.start, list.end);
    if (whole.len == list.end - list.start) return logprobs_of(r, whole);
    char room[LOGPROB_MAX + 2];
    struct walk_each each;
    struct node key, raw;
    bool fine = true;
    walk_begin(w, list, &each);
    while (fine && walk_next(&each, &key, &raw)) {
        struct bytes b = walk_bytes(w, walk_all(raw), room + 1, LOGPROB_MAX);
        if (!b.ptr || b.len > LOGPROB_MAX) continue;
        memmove(room + 1, b.ptr, b.len);
        room[0] = '[';
        room[b.len + 1] = ']';
        fine = logprobs_of(r, (struct bytes){room, b.len + 2});
    }
    explicit_bzero(room, sizeof room);
    return fine;
}

static const struct { struct bytes word; enum tell_finish finish; } reasons[] = {
    {BYTES_INIT("stop"), TELL_STOP}, {BYTES_INIT("eos"), TELL_STOP},
    {BYTES_INIT("length"), TELL_LENGTH}, {BYTES_INIT("max_tokens"), TELL_LENGTH},
    {BYTES_INIT("model_length"), TELL_CONTEXT}, {BYTES_INIT("tool_calls"), TELL_CALLS},
    {BYTES_INIT("function_call"), TELL_CALLS}, {BYTES_INIT("content_filter"), TELL_FILTER},
};

/* finish_reason. stop: vLLM tells which of the client's sequences it was. */
static bool finish(struct tell_reader *r, const struct walk *w, struct node why,
                   struct node stop)
{
    enum tell_finish f = TELL_OTHER;
    for (size_t i = 0; i < COUNT(reasons); i++) {
        if (walk_is(w, walk_inside(why), reasons[i].word)) f = reasons[i].finish;
    }
    char room[WORD_MAX];
    struct bytes sequence = walk_short(w, stop, room, sizeof room);
    if (f == TELL_STOP && sequence.len > 0) f = TELL_STOP_SEQUENCE;
    bool fine = tell_finish(r, r->choice, f, sequence);
    explicit_bzero(room, sizeof room);
    return fine;
}

enum { INDEX, DELTA, MESSAGE, LOGPROBS, FINISH_REASON, STOP_REASON, LEGACY_TEXT, MEMBERS };
static const struct bytes choice_names[MEMBERS] = {
    [INDEX] = BYTES_INIT("index"), [DELTA] = BYTES_INIT("delta"),
    [MESSAGE] = BYTES_INIT("message"), [LOGPROBS] = BYTES_INIT("logprobs"),
    [FINISH_REASON] = BYTES_INIT("finish_reason"),
    [STOP_REASON] = BYTES_INIT("stop_reason"), [LEGACY_TEXT] = BYTES_INIT("text"),
};

/* One of choices. found: where the answer's sources are, told behind its text. */
static bool choice(struct tell_reader *r, const struct walk *w, struct node raw,
                   struct node found)
{
    struct node v[MEMBERS];
    int64_t index;
    walk_members(w, raw, choice_names, MEMBERS, v);
    if (!walk_int(w, v[INDEX], &index) || index < 0 || index >= CHOICES_MAX) index = 0;
    r->choice = (uint8_t)index;
    struct node object = v[DELTA];
    if (object.type == JSON_OBJECT) r->flags |= DELTAS;
    else if (!(r->flags & DELTAS)) object = v[MESSAGE];
    if (!said(r, w, object)) return false;
    if (v[LOGPROBS].type == JSON_OBJECT && !logprobs(r, w, v[LOGPROBS])) return false;
    if (!has_text(v[FINISH_REASON])) return true;
    return sources(r, w, found) && finish(r, w, v[FINISH_REASON], v[STOP_REASON]);
}

/* A chunk, or a whole answer. One without choices says nothing of it (Azure's first, the
 * usage). */
static bool chunk(struct tell_reader *r, const struct walk *w, struct node root)
{
    static const struct bytes names[] = {
        BYTES_INIT("id"), BYTES_INIT("model"), BYTES_INIT("choices"), BYTES_INIT("citations"),
        BYTES_INIT("search_results"), BYTES_INIT("created")};
    struct walk_each each;
    struct node key, raw, v[COUNT(names)];
    walk_members(w, root, names, COUNT(names), v);
    walk_begin(w, v[2], &each);
    struct node found = v[4].type == JSON_ARRAY ? v[4] : v[3];
    while (walk_next(&each, &key, &raw)) {
        if (!r->started) {
            int64_t created;
            if (!walk_int(w, v[5], &created)) created = 0;
            if (!tell_start_of(r, w, v[0], v[1], created)) return false;
        }
        if (!choice(r, w, raw, found)) return false;
    }
    return true;
}

static bool chat_event(struct tell_reader *r, struct bytes name, const struct walk *w,
                       struct node root)
{
    (void)name;              /* chat has none; Groq's "error" is read by the engine */
    return chunk(r, w, root);
}

static bool chat_whole(struct tell_reader *r, const struct walk *w, struct node root)
{
    return chunk(r, w, root);
}

const struct tell_dialect chat_tell = {
    .event = chat_event, .whole = chat_whole, .write = chat_tell_write,
    .write_whole = chat_tell_whole,
};
