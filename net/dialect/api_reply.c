/* api_reply.c - the walk over an answer, whole or one event of a stream. Both have much the
 * same shape, so one set of tables serves (api_table.c). The place of a container is kept by
 * its depth. What the tables do not name is skipped.
 * Rule: a provider may send anything. What is odd is passed over; what is not JSON is the
 * only failure. Repeated keys: the last one counts, as most clients have it. */
#include "net/dialect/api_part.h"
#include "net/dialect/api_table.h"

#include <stdio.h>

/* Rows that stand for values without a key of the tables. Of a top the second is what a list
 * has: Google wraps errors in an array. */
#define TOP(place) {{{0}, DO_NOTHING, 0, place, LIST}, {{0}, DO_NOTHING, 0, place, NOWHERE}}
static const struct api_part tops[][2] = {
    [API_FORM_OPENAI] = TOP(ROOT), [API_FORM_RESPONSES] = TOP(R_ROOT),
    [API_FORM_MESSAGES] = TOP(A_ROOT), [API_FORM_GENERATE] = TOP(G_ROOT),
    [API_FORM_CONVERSE] = TOP(B_ROOT), [API_FORM_COHERE] = TOP(C_ROOT),
};
static const struct api_part response_top[2] = TOP(R_RESPONSE);
static const struct api_part elements[PLACES] = {
    [CHOICES] = {.object = CHOICE}, [A_BLOCKS] = {.object = A_BLOCK},
    [R_ITEMS] = {.object = R_ITEM}, [R_PARTS] = {.object = R_PART},
    [G_CANDIDATES] = {.object = G_CANDIDATE}, [G_PARTS] = {.object = G_PART},
    [G_DETAILS] = {.object = G_DETAIL},
    [B_BLOCKS] = {.object = B_BLOCK}, [C_CONTENTS] = {.object = C_CONTENT},
    [PARTS] = {{0}, DO_TEXT, 0, PARTS, PARTS}, [CALLS] = {{0}, DO_NOTHING, 0, CALLS, CALLS},
};
static const struct api_part *const text_part = &elements[PARTS];
static const struct api_part *const call_part = &elements[CALLS];
static const struct api_part mark_part = {{0}, DO_TEXT, SAYS_MARK, PARTS, PARTS};
static const struct api_part inside_part = {{0}, DO_NOTHING, 0, PARTS, PARTS};
static const struct api_part argument_part = {{0}, DO_TEXT, SAYS_ARGUMENTS, CALLS, CALLS};
static const struct api_part input_part = {{0}, DO_TEXT, SAYS_TEXT, CALLS, CALLS};

static bool is_text_key(struct bytes key)
{
    return bytes_eq(key, BYTES("text")) || bytes_eq(key, BYTES("thinking")) ||
           bytes_eq(key, BYTES("refusal"));
}

/* True where n bytes at a and b are the same. Names are short, and a call for each costs more
 * than comparing: words are compared, of which the last two may overlap. */
static inline bool same(const char *a, const char *b, size_t n)
{
    uint64_t x = 0, y = 0;
    if (n < sizeof x) {
        size_t i = 0;
        while (i < n && a[i] == b[i]) i++;
        return i == n;
    }
    for (size_t i = 0; i < n; i += sizeof x) {
        size_t at = i + sizeof x <= n ? i : n - sizeof x;
        memcpy(&x, a + at, sizeof x);
        memcpy(&y, b + at, sizeof y);
        if (x != y) return false;
    }
    return true;
}

/* The row for a key where any may come. One too long for the scanner to gather is like any
 * other, cut or not: lengths are compared first. */
static const struct api_part *find_open(enum place place, struct bytes key)
{
    assert(place == PARTS || place == CALLS);
    if (key.len == 0) return NULL;
    if (place == PARTS) {  /* Mistral: [{"type": "thinking", "thinking": [{...}]}] */
        if (bytes_eq(key, BYTES("type"))) return &inside_part;
        return is_text_key(key) ? text_part : &mark_part;
    }
    if (bytes_eq(key, BYTES("arguments"))) return &argument_part;
    return bytes_eq(key, BYTES("input")) ? &input_part : call_part;
}

/* The row for a key; NULL where nobody wants the value. */
static inline const struct api_part *find(enum place place, struct bytes key)
{
    if (place == PARTS || place == CALLS) return find_open(place, key);
    if (key.len > API_KEY_MAX) return NULL;
    const uint8_t *first = &api_tables[place].first[key.len];
    for (size_t i = first[0]; i < first[1]; i++) {
        const struct api_part *p = &api_tables[place].at[i];
        assert(p->name.len == key.len);  /* the lists are in order */
        if (same(p->name.ptr, key.ptr, key.len)) return p;
    }
    return NULL;
}

/* The row for an element of an array. */
static inline const struct api_part *element_part(const struct api_reply *w, enum place place)
{
    return place == LIST ? &w->top[1] : &elements[place];
}

static void add_text(struct api_side *s, const struct json_token *t)
{
    uint64_t len = t->end - t->start - 2;
    s->bytes += len;
    if (len > 0) s->content = true;
}

/* Several names for the same reasoning (reasoning, reasoning_content) count once. */
static void add_reasoning(struct api_side *s, const struct json_token *t)
{
    uint64_t len = t->end - t->start - 2;
    if (len > s->reasoning) {
        s->bytes += len - s->reasoning;
        s->reasoning = len;
        s->content = true;
    }
}

/* Keep the message of an error; the first one counts. */
static void keep_text(struct api_reply *w, const struct json_token *t)
{
    if (w->error_text[0]) return;
    struct bytes text = api_head_text(&w->head, t);
    text = api_text_start(text, sizeof w->error_text - 1);
    size_t len = json_unescape(text, w->error_text);
    assert(len < sizeof w->error_text);
    w->error_text[len] = '\0';
}

/* An HTTP status, as a number or in digits (Azure: "code": "429"); else 0. */
static int32_t status_of(const struct json_token *t)
{
    uint64_t value;
    if (t->type != JSON_NUMBER && t->type != JSON_STRING) return 0;
    if (!t->text.ptr || !bytes_u64(t->text, &value)) return 0;
    return value >= 400 && value <= 599 ? (int32_t)value : 0;
}

/* Words that stand for a status: Anthropic's types of errors, OpenAI's codes. */
static int32_t status_word(struct bytes word)
{
    static const struct { struct bytes word; int32_t status; } words[] = {
        {BYTES_INIT("overloaded_error"), 529}, {BYTES_INIT("rate_limit_error"), 429},
        {BYTES_INIT("api_error"), 500}, {BYTES_INIT("timeout_error"), 504},
        {BYTES_INIT("invalid_request_error"), 400}, {BYTES_INIT("authentication_error"), 401},
        {BYTES_INIT("billing_error"), 402}, {BYTES_INIT("permission_error"), 403},
        {BYTES_INIT("not_found_error"), 404}, {BYTES_INIT("request_too_large"), 413},
        {BYTES_INIT("server_error"), 500}, {BYTES_INIT("rate_limit_exceeded"), 429},
        {BYTES_INIT("insufficient_quota"), 429}, {BYTES_INIT("invalid_api_key"), 401},
        {BYTES_INIT("invalid_prompt"), 400}, {BYTES_INIT("context_length_exceeded"), 400},
    };
    if (!word.ptr) return 0;
    for (size_t i = 0; i < COUNT(words); i++) {
        if (bytes_eq(word, words[i].word)) return words[i].status;
    }
    return 0;
}

/* Types of events that say more than their members do. */
static uint8_t type_of(struct bytes word)
{
    static const struct { struct bytes word; uint8_t type; } words[] = {
        {BYTES_INIT("message_start"), API_TYPE_START},
        {BYTES_INIT("content_block_start"), API_TYPE_BLOCK_START},
        {BYTES_INIT("content_block_stop"), API_TYPE_BLOCK_STOP},
        {BYTES_INIT("message_stop"), API_TYPE_STOP},
        {BYTES_INIT("error"), API_TYPE_ERROR},
        {BYTES_INIT("message-end"), API_TYPE_STOP},
        {BYTES_INIT("response.output_item.added"), API_TYPE_ITEM},
        {BYTES_INIT("response.output_item.done"), API_TYPE_ITEM_DONE},
        {BYTES_INIT("response.audio.delta"), API_TYPE_AUDIO},
        {BYTES_INIT("response.output_audio.delta"), API_TYPE_AUDIO},
        {BYTES_INIT("response.completed"), API_TYPE_END},
        {BYTES_INIT("response.incomplete"), API_TYPE_END},
        {BYTES_INIT("response.failed"), API_TYPE_ERROR},
    };
    if (!word.ptr) return API_TYPE_OTHER;
    for (size_t i = 0; i < COUNT(words); i++) {
        if (bytes_eq(word, words[i].word)) return words[i].type;
    }
    return API_TYPE_OTHER;
}

/* False for a text that the scanner may not have, cut or not. */
static bool ends_with(struct bytes text, struct bytes end)
{
    return text.len <= JSON_TEXT_MAX && bytes_ends(text, end);
}

/* Keep an id or a model's name as written, if there is room. */
static void note_text(struct api_stream *s, enum note what, struct bytes text)
{
    size_t room = sizeof s->text - s->id_len - s->model_len;
    if (!text.ptr || text.len > room || (what == NOTE_ID ? s->id_len : s->model_len)) return;
    if (what == NOTE_ID) {
        memcpy(s->text, text.ptr, text.len);
        s->id_len = (uint8_t)text.len;
    } else {
        memcpy(s->text + sizeof s->text - text.len, text.ptr, text.len);
        s->model_len = (uint8_t)text.len;
    }
    assert((size_t)s->id_len + s->model_len <= sizeof s->text);
}

static void take_note(struct api_reply *w, enum note what, const struct json_token *t)
{
    uint64_t value;
    if (what == NOTE_ID || what == NOTE_MODEL) {
        if (w->stream && t->type == JSON_STRING) note_text(w->stream, what, t->text);
        return;
    }
    if (t->type != JSON_NUMBER || !t->text.ptr || !bytes_u64(t->text, &value)) return;
    if (what == NOTE_CREATED) {
        if (w->stream && value <= INT64_MAX) w->stream->created = (int64_t)value;
    } else if (value < API_NO_NUMBER) {
        if (what == NOTE_INDEX) w->index = (uint32_t)value;
        else w->sequence = (uint32_t)value;
    }
}

/* Gemini: TEXT, IMAGE, VIDEO, AUDIO, DOCUMENT; Vertex' clients write their numbers 1..5. */
enum modality { MODALITY_OTHER, MODALITY_IMAGE, MODALITY_AUDIO };

static uint8_t modality_of(const struct json_token *t)
{
    if (t->type != JSON_STRING && t->type != JSON_NUMBER) return MODALITY_OTHER;
    if (bytes_eq(t->text, BYTES("AUDIO")) || bytes_eq(t->text, BYTES("4"))) {
        return MODALITY_AUDIO;
    }
    bool image = bytes_eq(t->text, BYTES("IMAGE")) || bytes_eq(t->text, BYTES("2"));
    return image ? MODALITY_IMAGE : MODALITY_OTHER;
}

/* Tokens of one modality are told. */
static void detail_end(struct api_reply *w)
{
    static const uint8_t counts[][2] = {
        [DETAILS_PROMPT] = {API_COUNT_IMAGE_IN, API_COUNT_AUDIO_IN},
        [DETAILS_CACHE] = {API_COUNT_IMAGE_CACHED, API_COUNT_AUDIO_CACHED},
        [DETAILS_OUTPUT] = {API_COUNTS, API_COUNT_AUDIO_OUT},
    };
    if (w->modality == MODALITY_OTHER) return;
    uint8_t which = counts[w->details][w->modality - 1];
    if (which == API_COUNTS) return;
    w->fold->count[which] += w->fold->count[API_COUNT_DETAIL];
    w->fold->seen |= 1u << which;
}

/* A choice ended. Writer sends delta and message, Together delta and text, Perplexity a
 * delta and the message so far: of several forms the first in this order counts. */
static void choice_end(struct api_reply *w)
{
    for (size_t i = 0; i < COUNT(w->side); i++) {
        if (!w->side[i].seen) continue;
        w->text_bytes += w->side[i].bytes;
        if (w->side[i].content) w->content = true;
        return;
    }
}

/* Words for why an answer ended, where they say that it is not all it should be. */
static const struct { struct bytes word; uint8_t of, outcome; } finish_words[] = {
    {BYTES_INIT("length"), FINISH_CHAT, API_OUTCOME_LENGTH},
    {BYTES_INIT("content_filter"), FINISH_CHAT, API_OUTCOME_REFUSAL},
    {BYTES_INIT("max_tokens"), FINISH_MESSAGES, API_OUTCOME_LENGTH},
    {BYTES_INIT("model_context_window_exceeded"), FINISH_MESSAGES, API_OUTCOME_LENGTH},
    {BYTES_INIT("refusal"), FINISH_MESSAGES, API_OUTCOME_REFUSAL},
    {BYTES_INIT("max_output_tokens"), FINISH_RESPONSES, API_OUTCOME_LENGTH},
    {BYTES_INIT("content_filter"), FINISH_RESPONSES, API_OUTCOME_REFUSAL},
    {BYTES_INIT("MAX_TOKENS"), FINISH_GENERATE, API_OUTCOME_LENGTH},
    {BYTES_INIT("SAFETY"), FINISH_GENERATE, API_OUTCOME_REFUSAL},
    {BYTES_INIT("RECITATION"), FINISH_GENERATE, API_OUTCOME_REFUSAL},
    {BYTES_INIT("BLOCKLIST"), FINISH_GENERATE, API_OUTCOME_REFUSAL},
    {BYTES_INIT("PROHIBITED_CONTENT"), FINISH_GENERATE, API_OUTCOME_REFUSAL},
    {BYTES_INIT("SPII"), FINISH_GENERATE, API_OUTCOME_REFUSAL},
    {BYTES_INIT("IMAGE_SAFETY"), FINISH_GENERATE, API_OUTCOME_REFUSAL},
    {BYTES_INIT("MALFORMED_FUNCTION_CALL"), FINISH_GENERATE, API_OUTCOME_ARGUMENTS},
    {BYTES_INIT("max_tokens"), FINISH_CONVERSE, API_OUTCOME_LENGTH},
    {BYTES_INIT("model_context_window_exceeded"), FINISH_CONVERSE, API_OUTCOME_LENGTH},
    {BYTES_INIT("guardrail_intervened"), FINISH_CONVERSE, API_OUTCOME_REFUSAL},
    {BYTES_INIT("content_filtered"), FINISH_CONVERSE, API_OUTCOME_REFUSAL},
    {BYTES_INIT("malformed_tool_use"), FINISH_CONVERSE, API_OUTCOME_ARGUMENTS},
    {BYTES_INIT("MAX_TOKENS"), FINISH_COHERE, API_OUTCOME_LENGTH},
};

static void take_finish(struct api_reply *w, enum finish of, struct bytes word)
{
    w->finish = true;
    if (!word.ptr) return;
    for (size_t i = 0; i < COUNT(finish_words); i++) {
        if (finish_words[i].of != of || !bytes_eq(word, finish_words[i].word)) continue;
        w->outcome |= finish_words[i].outcome;
        return;
    }
}

/* True where what is said here is the answer, and is told only once: chat may tell a text by
 * its delta and so far, Responses in deltas and at the end, which is whole. */
static bool is_told_here(const struct api_reply *w)
{
    if (w->form == API_FORM_OPENAI) return (w->which == DELTA) == w->event;
    return w->form != API_FORM_RESPONSES || w->place[w->event] == R_RESPONSE;
}

/* Gemini says behind a text that it was a thought: what the answer is cannot be told then. */
static void take_thought(struct api_reply *w, const struct json_token *t)
{
    if (w->check && t->type == JSON_TRUE) w->check->text.unknown = true;
}

/* A text that may be checked. */
static void take_said(struct api_reply *w, enum says says, const struct json_token *t)
{
    bool told = is_told_here(w) && !(says == SAYS_ANSWER && w->aside);
    if (says == SAYS_REFUSAL && t->end - t->start > 2) w->outcome |= API_OUTCOME_REFUSAL;
    if (w->check && told) api_check_said(w->check, says, t->text);
}

static void take_string(struct api_reply *w, const struct api_part *p,
                        const struct json_token *t)
{
    bool empty = t->end - t->start == 2;
    switch (p->what) {
    case DO_TEXT:
        if (p->data != SAYS_MARK) add_text(&w->side[w->which], t);
        else if (!empty) w->side[w->which].content = true;
        if (p->data > SAYS_MARK) take_said(w, p->data, t);
        break;
    case DO_REASONING: add_reasoning(&w->side[w->which], t); break;
    case DO_LEGACY_TEXT:
        w->side[TEXT].seen = true;
        add_text(&w->side[TEXT], t);
        break;
    case DO_REPEAT:
        add_text(&w->side[MESSAGE], t);
        if (p->data > SAYS_MARK) take_said(w, p->data, t);
        break;
    case DO_MARK: if (!empty) w->side[w->which].content = true; break;
    case DO_FINISH:  /* some send "" in every chunk */
        if (!empty) take_finish(w, p->data, t->text);
        break;
    case DO_TYPE: w->type = type_of(t->text); break;
    case DO_ITEM_TYPE:
        if (ends_with(t->text, BYTES("_call"))) w->side[w->which].content = true;
        break;
    case DO_ERROR_WORD: if (w->error_status == 0) w->error_status = status_word(t->text); break;
    case DO_ERROR: case DO_FAULT:
        if (empty) break;  /* as OpenAI's Python client has it */
        w->error = true;
        w->error_text[0] = '\0';
        keep_text(w, t);
        w->error_said = true;
        break;
    case DO_ERROR_TEXT:
        if (!w->error_said) w->error_text[0] = '\0';
        keep_text(w, t);
        w->error_said = true;
        break;
    case DO_ROOT_TEXT: if (!w->error_said) keep_text(w, t); break;
    case DO_OBJECT_NAME: if (bytes_eq(t->text, BYTES("error"))) w->error_root = true; break;
    case DO_ERROR_STATUS: if (w->error_status == 0) w->error_status = status_of(t); break;
    case DO_ROOT_STATUS: if (w->root_status == 0) w->root_status = status_of(t); break;
    default: break;
    }
}

static void take_scalar(struct api_reply *w, const struct api_part *p,
                        const struct json_token *t)
{
    if (p->what == DO_COUNT) {
        api_fold_take(w->fold, p->data, t);
    } else if (p->what >= DO_NOTE) {
        if (p->what == DO_NOTE) take_note(w, p->data, t);
        else if (p->what == DO_MODALITY) w->modality = modality_of(t);
        else if (p->what == DO_MODAL_COUNT) api_fold_take(w->fold, API_COUNT_DETAIL, t);
        else if (p->what == DO_PART_TYPE) w->aside = !bytes_eq(t->text, BYTES("output_text"));
        else if (p->what == DO_THOUGHT) take_thought(w, t);
    } else if (t->type == JSON_STRING) {
        take_string(w, p, t);
    } else if (t->type == JSON_NUMBER && p->what == DO_ERROR_STATUS) {
        if (w->error_status == 0) w->error_status = status_of(t);
    } else if (t->type == JSON_NUMBER && p->what == DO_ROOT_STATUS) {
        if (w->root_status == 0) w->root_status = status_of(t);
        if (p->data == 1 && w->root_status > 0 && w->choice_count == 0) w->error_root = true;
    } else if (t->type == JSON_TRUE && p->what == DO_ERROR) {
        w->error = true;
    }
}

/* A container opens at this depth as the value of p; in is the place around it. False: what
 * is in it is nobody's. */
static bool descend(struct api_reply *w, const struct api_part *p, enum place in,
                    bool object, uint16_t depth)
{
    uint8_t to = object ? p->object : p->array;
    if (depth >= API_REPLY_DEPTH) to = NOWHERE;
    if (to == NOWHERE) {
        if (p == &mark_part || in == CALLS) w->side[w->which].content = true;
        w->extent = p->what == DO_EXTENT || p->what == DO_REPEAT;
        return false;
    }
    w->place[depth] = to;
    switch (p->what) {
    case DO_USAGE:
        w->fold = in == GROQ ? &w->groq : &w->usage;
        api_fold_begin(w->fold);
        if (in == ROOT) w->usage_object = true;
        break;
    case DO_SIDE:
        w->which = p->data;
        w->side[w->which] = (struct api_side){.seen = true};
        break;
    case DO_ERROR: w->error = true; break;
    case DO_DETAILS: w->details = p->data; break;
    default: break;
    }
    if (to == CHOICE) {
        w->choice_count++;
        memset(w->side, 0, sizeof w->side);
    } else if (to == R_PARTS) {
        w->aside = p->what != DO_REPEAT;  /* a summary */
    } else if (to == G_CANDIDATE) {
        w->choice_count++;
    } else if (to == G_DETAIL) {
        w->modality = MODALITY_OTHER;
        w->fold->count[API_COUNT_DETAIL] = 0;
    }
    return true;
}

/* The root's members: where the usage is and what stands around it. */
static void root_key(struct api_reply *w, const struct json_token *t)
{
    if (w->usage_last) w->usage_at.after = t->start;
    w->usage_last = w->field && w->field->what == DO_USAGE;
    if (w->usage_last) {
        w->usage_object = false;   /* of repeated keys the last one counts */
        w->usage_at = (struct api_member){.key = {t->start, t->end},
                                             .before = w->member_end,
                                             .index = w->member_count};
    }
    w->member_count++;
}

static void root_value(struct api_reply *w, const struct json_token *t)
{
    bool opens = t->type == JSON_OBJECT || t->type == JSON_ARRAY;
    bool ends = t->type == JSON_OBJECT_END || t->type == JSON_ARRAY_END;
    if (w->usage_last && !ends && w->usage_at.value.start == 0) {
        w->usage_at.value.start = t->start;
    }
    if (opens) return;
    w->member_end = t->end;
    if (w->usage_last) w->usage_at.value.end = t->end;
}

static bool is_said(const struct api_part *p)
{
    return p->what == DO_SIDE || p->what == DO_LEGACY_TEXT || p->what == DO_SAID ||
           p->what == DO_TEXT;
}

/* What was passed over, len bytes, may be text: {} says nothing. */
static void add_extent(struct api_reply *w, uint64_t len)
{
    bool repeated = w->form == API_FORM_RESPONSES;  /* at the end of an item, and of all */
    struct api_side *s = &w->side[repeated ? MESSAGE : w->which];
    assert(len >= 2);
    w->extent = false;
    if (len == 2) return;
    s->bytes += len;
    s->content = true;
}

static inline void container_end(struct api_reply *w, enum place place)
{
    if (place == CHOICE) choice_end(w);
    else if (place == G_DETAIL) detail_end(w);
}

static void take(struct api_reply *w, struct json *j, const struct json_token *t)
{
    enum place in = t->depth == 0 ? NOWHERE : w->place[t->depth - 1];
    bool root = t->depth == 1 && in == ROOT;
    assert(t->depth <= API_REPLY_DEPTH);  /* deeper containers are skipped */
    switch (t->type) {
    case JSON_KEY:
        w->field = find(in, t->text);
        if (w->brief && w->field && is_said(w->field)) w->field = NULL;
        if (root) root_key(w, t);
        if (in == CALLS || in == AUDIO || in == LOT) w->side[w->which].content = true;
        if (!w->field) json_skip(j);
        return;
    case JSON_OBJECT_END:
        container_end(w, w->place[t->depth]);
        break;
    case JSON_SKIPPED:
        if (w->extent) add_extent(w, t->end - t->start);
        break;
    case JSON_ARRAY_END: break;
    default: {
        const struct api_part *p = t->depth == 0 ? &w->top[0]
                                   : w->field    ? w->field : element_part(w, in);
        w->field = NULL;
        if (in == LOT || in == CALLS) w->side[w->which].content = true;
        if (t->type != JSON_OBJECT && t->type != JSON_ARRAY) take_scalar(w, p, t);
        else if (!descend(w, p, in, t->type == JSON_OBJECT, t->depth)) json_skip(j);
    }
    }
    if (root) root_value(w, t);
}

/* ---- a reply in one piece ---- */

/* Token i is the key of the root's member usage. */
static void index_usage(struct api_reply *w, const struct json_index *x, const char *text,
                        uint32_t i)
{
    uint32_t behind = json_index_behind(x, i + 2);
    struct api_member *m = &w->usage_at;
    assert(x->first[i + 1] == ':');
    assert(w->member_count > 0);
    w->usage_object = false;       /* of repeated keys the last one counts */
    *m = (struct api_member){.index = w->member_count - 1};
    m->key = (struct api_span){x->at[i], api_index_end(x, text, i + 1)};
    m->value = (struct api_span){x->at[i + 2], api_index_end(x, text, behind)};
    if (m->index > 0) m->before = api_index_end(x, text, i - 1);
    if (x->first[behind] == ',') m->after = x->at[behind + 1];
}

/* A key, token i, in a container of this place and depth: the row of its value; NULL where
 * nobody wants that. */
static const struct api_part *index_key(struct api_reply *w, const struct json_index *x,
                                           const char *text, uint32_t i, enum place in,
                                           uint16_t depth)
{
    const struct api_part *p = find(in, json_index_text(x, text, i));
    if (depth == 1) w->member_count++;  /* an object at the root: a list has no keys */
    if (in == CALLS || in == AUDIO || in == LOT) w->side[w->which].content = true;
    if (!p || (w->brief && is_said(p)) || (p->what == DO_NOTE && !w->noting)) return NULL;
    if (in == ROOT && depth == 1 && p->what == DO_USAGE) index_usage(w, x, text, i);
    return p;
}

static bool is_text(const struct api_part *p, enum place in)
{
    if (in == CHOICE) return p->what == DO_LEGACY_TEXT;
    if (in == SAID) return p->what == DO_TEXT || p->what == DO_REASONING;
    bool here = in == A_DELTA || in == R_ROOT || in == B_BLOCK || in == C_CONTENT;
    return here && p->what == DO_TEXT;
}

/* Note token i, a scalar that is the value of p (NULL: nobody's), in this place. Text of other
 * places counts as two: with it there is no shape. */
static void index_mark(struct api_marks *m, const struct json_index *x, const char *text,
                       uint32_t i, const struct api_part *p, enum place in, bool told)
{
    struct api_span span = {x->at[i], api_index_end(x, text, i + 1)};
    if (!p || p->what == DO_NOTE) {
        if (m->count < API_MARKS_MAX) m->at[m->count++] = span;
    } else if (is_text(p, in) && x->first[i] == '"' && span.end - span.start > 2) {
        m->text = (struct api_span){span.start + 1, span.end - 1};
        m->says = told && p->what == DO_TEXT ? p->data : SAYS_TEXT;
        m->text_count++;
    } else if (in == PARTS || in == CALLS || in == AUDIO || p->what == DO_TEXT ||
               p->what == DO_REPEAT) {
        m->text_count += 2;
    }
}

/* What take() does with the scanner's tokens, done with those of the index: what nobody wants
 * is not even looked at. */
static void index_walk(struct api_reply *w, const struct json_index *x, const char *text)
{
    enum place in = NOWHERE;
    uint16_t depth = 0;
    for (uint32_t i = 0; i < x->count;) {
        char c = x->first[i];
        if (c == ',') {
            i++;
            continue;
        }
        if (c == '}' || c == ']') {
            container_end(w, w->place[--depth]);
            in = depth > 0 ? w->place[depth - 1] : NOWHERE;
            i++;
            continue;
        }
        const struct api_part *p = depth == 0 ? &w->top[0] : NULL;
        if (c == '"' && x->first[i + 1] == ':') {
            p = index_key(w, x, text, i, in, depth);
            i += 2;
            c = x->first[i];
        } else if (!p) {
            p = element_part(w, in);
        }
        bool opens = c == '{' || c == '[';
        if (p && (in == LOT || in == CALLS)) w->side[w->which].content = true;
        if (p && opens) {
            if (descend(w, p, in, c == '{', depth)) {
                in = w->place[depth++];
                i++;
                continue;
            }
            if (w->extent) add_extent(w, x->at[x->close[i]] + 1u - x->at[i]);
        } else if (p && p->what != DO_NOTHING) {
            struct json_token t = api_index_token(x, text, i, depth);
            take_scalar(w, p, &t);
        }
        if (w->marks && !opens) index_mark(w->marks, x, text, i, p, in, is_told_here(w));
        i = json_index_behind(x, i);
    }
    assert(depth == 0);
}

bool api_reply_whole(struct api_reply *w, struct bytes in)
{
    struct json_index x;
    assert(w->fed == 0);
    if (!json_index_build(&x, in, JSON_DEPTH_MAX)) return false;
    index_walk(w, &x, in.ptr);
    w->fed = w->token_end = in.len;
    return true;
}

void api_reply_begin(struct api_reply *w, enum api_form form, bool event,
                     struct api_stream *s)
{
    memset(w, 0, offsetof(struct api_reply, error_text));
    w->top = form == API_FORM_RESPONSES && !event ? response_top : tops[form];
    w->stream = s;
    w->check = s ? s->check : NULL;
    /* of a chat all is noted once; the others number their events or blocks */
    w->noting = s && (form != API_FORM_OPENAI || !s->id_len || !s->model_len || !s->created);
    w->form = (uint8_t)form;
    w->event = event;
    w->index = w->sequence = API_NO_NUMBER;
    w->error_text[0] = '\0';
    w->head.len = 0;
    w->head.state = 0;
}

enum net_rc api_reply_feed(struct api_reply *w, struct json *j, struct bytes in)
{
    struct bytes tail = in;
    struct json_token t;
    enum net_rc rc;
    if (w->fed == 0 && j->error == JSON_FINE && api_reply_whole(w, in)) {
        json_pass(j, in.len);
        return NET_MORE;
    }
    while ((rc = json_next(j, &in, &t)) == NET_OK) {
        api_head_complete(&w->head, &t, tail, w->fed);
        take(w, j, &t);
        api_head_reset(&w->head);
        w->token_end = t.end;
    }
    if (rc == NET_BAD) return NET_BAD;
    assert(in.len == 0);
    size_t len = tail.len;
    if (w->token_end > w->fed) bytes_cut(&tail, (size_t)(w->token_end - w->fed));
    api_head_watch(&w->head, tail);
    w->fed += len;
    return NET_MORE;
}

enum net_rc api_reply_end(struct api_reply *w, struct json *j)
{
    struct json_token t;
    enum net_rc rc = json_finish(j, &t);
    if (rc == NET_OK) rc = json_finish(j, &t);  /* a number: no answer, but JSON */
    if (rc != NET_DONE) return NET_BAD;
    api_reply_settle(w);
    return NET_DONE;
}

/* Responses tells a text three times: in deltas, at the end of its item, and in the response
 * at the end. What is counted once is not counted again. */
static void settle_response(struct api_reply *w)
{
    struct api_stream *s = w->stream;
    assert(s != NULL);
    uint64_t said = w->type == API_TYPE_AUDIO ? 0 : w->side[DELTA].bytes;
    if (w->type == API_TYPE_ITEM) s->flags &= (uint8_t)~API_STREAM_SAID;
    if (w->side[DELTA].bytes > 0) s->flags |= API_STREAM_SAID;
    bool first = w->type == API_TYPE_ITEM_DONE ? !(s->flags & API_STREAM_SAID)
                                               : w->type == API_TYPE_END &&
                                                     !(s->flags & API_STREAM_COUNTED);
    if (first) said += w->side[MESSAGE].bytes;
    if (said > 0) s->flags |= API_STREAM_COUNTED;
    w->text_bytes = said;
}

/* What was said outside of choices. */
static void settle_said(struct api_reply *w)
{
    w->content = w->side[DELTA].content || w->side[MESSAGE].content;
    if (w->form == API_FORM_RESPONSES && w->event) settle_response(w);
    else w->text_bytes = w->side[DELTA].bytes + w->side[MESSAGE].bytes;
    if (w->type == API_TYPE_END) w->finish = true;
    if (w->type == API_TYPE_ERROR) w->error = true;
}

void api_reply_settle(struct api_reply *w)
{
    if (w->form != API_FORM_OPENAI) settle_said(w);
    if (w->error_root && !w->error) {
        w->error = true;
        w->error_status = w->root_status;
    }
    if (!w->error) {
        w->error_text[0] = '\0';
        w->error_status = 0;
    }
    assert(w->error || w->error_status == 0);
}
