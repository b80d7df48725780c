/* api_reply.c - the walk over an answer, whole or one event of a stream. Both have the
 * same shape but for `delta` and `message`, so one table serves:
 *   LIST -> ROOT -> CHOICES -> CHOICE -> SAID (delta, message) -> PARTS | CALLS | AUDIO
 *                -> USAGE -> IN_DETAILS | OUT_DETAILS         -> LOT (anything counts)
 *                -> GROQ -> USAGE      -> ERROR
 * The place of a container is kept by its depth. What the table does not name is skipped.
 * Rule: a provider may send anything. What is odd is passed over; what is not JSON is the
 * only failure. Repeated keys: the last one counts, as most clients have it. */
#include "net/dialect/api_part.h"

#include <stdio.h>

enum place { NOWHERE, LIST, ROOT, CHOICES, CHOICE, SAID, PARTS, CALLS, AUDIO, LOT, USAGE,
             IN_DETAILS, OUT_DETAILS, GROQ, ERROR, PLACES };

enum side { DELTA, MESSAGE, TEXT };

/* What to do with a value; further data is in the row. */
enum what { DO_NOTHING, DO_COUNT, DO_TEXT, DO_REASONING, DO_LEGACY_TEXT, DO_FINISH, DO_USAGE,
            DO_SIDE, DO_CALL, DO_ERROR, DO_ERROR_TEXT, DO_ERROR_STATUS, DO_OBJECT_NAME,
            DO_ROOT_TEXT, DO_ROOT_STATUS };

struct api_part {
    struct bytes name;
    uint8_t what;
    uint8_t data;    /* DO_COUNT: which count; DO_SIDE: which side */
    uint8_t object;  /* place of the object that the value may be; NOWHERE: skipped */
    uint8_t array;   /* place of the array that it may be */
};

/* What is read: a list a place, the shortest names first. */
#define ROOT_PARTS(ROW, n)                                     \
    ROW(n, "code",       DO_ROOT_STATUS, 0, NOWHERE, NOWHERE)  \
    ROW(n, "usage",      DO_USAGE, 0, USAGE, NOWHERE)          \
    ROW(n, "error",      DO_ERROR, 0, ERROR, NOWHERE)          \
    ROW(n, "object",     DO_OBJECT_NAME, 0, NOWHERE, NOWHERE)  \
    ROW(n, "x_groq",     DO_NOTHING, 0, GROQ, NOWHERE)         \
    ROW(n, "choices",    DO_NOTHING, 0, NOWHERE, CHOICES)      \
    ROW(n, "message",    DO_ROOT_TEXT, 0, NOWHERE, NOWHERE)    \
    ROW(n, "statusCode", DO_ROOT_STATUS, 1, NOWHERE, NOWHERE)
#define CHOICE_PARTS(ROW, n)                                      \
    ROW(n, "text",          DO_LEGACY_TEXT, 0, NOWHERE, NOWHERE)  \
    ROW(n, "delta",         DO_SIDE, DELTA, SAID, NOWHERE)        \
    ROW(n, "error",         DO_ERROR, 0, ERROR, NOWHERE)          \
    ROW(n, "message",       DO_SIDE, MESSAGE, SAID, NOWHERE)      \
    ROW(n, "finish_reason", DO_FINISH, 0, NOWHERE, NOWHERE)
#define SAID_PARTS(ROW, n)                                      \
    ROW(n, "audio",             DO_NOTHING, 0, AUDIO, LOT)      \
    ROW(n, "images",            DO_NOTHING, 0, LOT, LOT)        \
    ROW(n, "content",           DO_TEXT, 0, PARTS, PARTS)       \
    ROW(n, "refusal",           DO_TEXT, 0, NOWHERE, NOWHERE)   \
    ROW(n, "reasoning",         DO_REASONING, 0, PARTS, PARTS)  \
    ROW(n, "tool_calls",        DO_NOTHING, 0, CALLS, CALLS)    \
    ROW(n, "annotations",       DO_NOTHING, 0, LOT, LOT)        \
    ROW(n, "function_call",     DO_NOTHING, 0, CALLS, CALLS)    \
    ROW(n, "reasoning_content", DO_REASONING, 0, PARTS, PARTS)  \
    ROW(n, "reasoning_details", DO_NOTHING, 0, LOT, LOT)
#define AUDIO_PARTS(ROW, n)                             \
    ROW(n, "transcript", DO_TEXT, 0, NOWHERE, NOWHERE)
#define USAGE_PARTS(ROW, n)                                                                 \
    ROW(n, "total_tokens",              DO_COUNT, API_COUNT_TOTAL, 0, 0)                 \
    ROW(n, "input_tokens",              DO_COUNT, API_COUNT_PROMPT, 0, 0)  /* images */  \
    ROW(n, "prompt_tokens",             DO_COUNT, API_COUNT_PROMPT, 0, 0)                \
    ROW(n, "cached_tokens",             DO_COUNT, API_COUNT_CACHED_ROOT, 0, 0)           \
    ROW(n, "output_tokens",             DO_COUNT, API_COUNT_COMPLETION, 0, 0)            \
    ROW(n, "reasoning_tokens",          DO_COUNT, API_COUNT_REASONING_ROOT, 0, 0)        \
    ROW(n, "completion_tokens",         DO_COUNT, API_COUNT_COMPLETION, 0, 0)            \
    ROW(n, "input_token_details",       DO_NOTHING, 0, IN_DETAILS, NOWHERE)  /* audio */    \
    ROW(n, "prompt_token_details",      DO_NOTHING, 0, IN_DETAILS, NOWHERE)  /* Writer */   \
    ROW(n, "input_tokens_details",      DO_NOTHING, 0, IN_DETAILS, NOWHERE)                 \
    ROW(n, "prompt_tokens_details",     DO_NOTHING, 0, IN_DETAILS, NOWHERE)                 \
    ROW(n, "output_tokens_details",     DO_NOTHING, 0, OUT_DETAILS, NOWHERE)                \
    ROW(n, "prompt_cache_hit_tokens",   DO_COUNT, API_COUNT_CACHE_HIT, 0, 0)             \
    ROW(n, "completion_token_details",  DO_NOTHING, 0, OUT_DETAILS, NOWHERE)                \
    ROW(n, "completion_tokens_details", DO_NOTHING, 0, OUT_DETAILS, NOWHERE)
#define IN_PARTS(ROW, n)                                                    \
    ROW(n, "audio_tokens",       DO_COUNT, API_COUNT_AUDIO_IN, 0, 0)     \
    ROW(n, "cached_tokens",      DO_COUNT, API_COUNT_CACHED, 0, 0)       \
    ROW(n, "cache_write_tokens", DO_COUNT, API_COUNT_CACHE_WRITE, 0, 0)
#define OUT_PARTS(ROW, n)                                               \
    ROW(n, "audio_tokens",     DO_COUNT, API_COUNT_AUDIO_OUT, 0, 0)  \
    ROW(n, "reasoning_tokens", DO_COUNT, API_COUNT_REASONING, 0, 0)
#define GROQ_PARTS(ROW, n)                        \
    ROW(n, "usage", DO_USAGE, 0, USAGE, NOWHERE)  \
    ROW(n, "error", DO_ERROR, 0, ERROR, NOWHERE)
#define ERROR_PARTS(ROW, n)                                  \
    ROW(n, "code",    DO_ERROR_STATUS, 0, NOWHERE, NOWHERE)  \
    ROW(n, "status",  DO_ERROR_STATUS, 0, NOWHERE, NOWHERE)  \
    ROW(n, "message", DO_ERROR_TEXT, 0, NOWHERE, NOWHERE)

#define PART(n, text, what, data, object, array) \
    {{text, sizeof text - 1}, what, data, object, array},
#define SHORTER(n, text, what, data, object, array) + (sizeof text - 1 < (n))
#define FIRST(LIST, n) 0 LIST(SHORTER, n)
#define FIRST_8(LIST, n) \
    FIRST(LIST, n), FIRST(LIST, (n) + 1), FIRST(LIST, (n) + 2), FIRST(LIST, (n) + 3), \
    FIRST(LIST, (n) + 4), FIRST(LIST, (n) + 5), FIRST(LIST, (n) + 6), FIRST(LIST, (n) + 7)

static const struct api_part root_parts[] = {ROOT_PARTS(PART, 0)};
static const struct api_part choice_parts[] = {CHOICE_PARTS(PART, 0)};
static const struct api_part said_parts[] = {SAID_PARTS(PART, 0)};
static const struct api_part audio_parts[] = {AUDIO_PARTS(PART, 0)};
static const struct api_part usage_parts[] = {USAGE_PARTS(PART, 0)};
static const struct api_part in_parts[] = {IN_PARTS(PART, 0)};
static const struct api_part out_parts[] = {OUT_PARTS(PART, 0)};
static const struct api_part groq_parts[] = {GROQ_PARTS(PART, 0)};
static const struct api_part error_parts[] = {ERROR_PARTS(PART, 0)};

enum { NAME_MAX = 30 };  /* bytes of a name; two more are known to have none */

/* Lists by place, and by length in them: most keys are nobody's, and their length says so. */
#define PARTS_OF(list, LIST) \
    {list, {FIRST_8(LIST, 0), FIRST_8(LIST, 8), FIRST_8(LIST, 16), FIRST_8(LIST, 24)}}
static const struct {
    const struct api_part *at;
    uint8_t first[NAME_MAX + 2];  /* by length: the first row whose name has it, or more */
} tables[PLACES] = {
    [ROOT] = PARTS_OF(root_parts, ROOT_PARTS),
    [CHOICE] = PARTS_OF(choice_parts, CHOICE_PARTS),
    [SAID] = PARTS_OF(said_parts, SAID_PARTS),
    [AUDIO] = PARTS_OF(audio_parts, AUDIO_PARTS),
    [USAGE] = PARTS_OF(usage_parts, USAGE_PARTS),
    [IN_DETAILS] = PARTS_OF(in_parts, IN_PARTS),
    [OUT_DETAILS] = PARTS_OF(out_parts, OUT_PARTS),
    [GROQ] = PARTS_OF(groq_parts, GROQ_PARTS),
    [ERROR] = PARTS_OF(error_parts, ERROR_PARTS),
};

/* Rows that stand for values without a key of the tables. */
static const struct api_part top_part = {{0}, DO_NOTHING, 0, ROOT, LIST};
static const struct api_part listed_part = {{0}, DO_NOTHING, 0, ROOT, NOWHERE};
static const struct api_part choices_part = {{0}, DO_NOTHING, 0, CHOICE, NOWHERE};
static const struct api_part text_part = {{0}, DO_TEXT, 0, PARTS, PARTS};
static const struct api_part mark_part = {{0}, DO_TEXT, 1, PARTS, PARTS};
static const struct api_part inside_part = {{0}, DO_NOTHING, 0, PARTS, PARTS};
static const struct api_part call_part = {{0}, DO_NOTHING, 0, CALLS, CALLS};
static const struct api_part argument_part = {{0}, DO_TEXT, 0, CALLS, CALLS};
static const struct api_part skip_part = {{0}, DO_NOTHING, 0, NOWHERE, NOWHERE};

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

/* The row for a key where any may come. */
static const struct api_part *find_open(enum place place, struct bytes key)
{
    assert(place == PARTS || place == CALLS);
    if (!key.ptr || key.len == 0) return NULL;
    if (place == PARTS) {  /* Mistral: [{"type": "thinking", "thinking": [{...}]}] */
        if (bytes_eq(key, BYTES("type"))) return &inside_part;
        return is_text_key(key) ? &text_part : &mark_part;
    }
    bool counts = bytes_eq(key, BYTES("arguments")) || bytes_eq(key, BYTES("input"));
    return counts ? &argument_part : &call_part;
}

/* The row for a key; NULL where nobody wants the value. */
static inline const struct api_part *find(enum place place, struct bytes key)
{
    if (place == PARTS || place == CALLS) return find_open(place, key);
    if (key.len > NAME_MAX) return NULL;
    const uint8_t *first = &tables[place].first[key.len];
    for (size_t i = first[0]; i < first[1]; i++) {
        const struct api_part *p = &tables[place].at[i];
        assert(p->name.len == key.len);  /* the lists are in order */
        if (same(p->name.ptr, key.ptr, key.len)) return p;
    }
    return NULL;
}

/* The row for an element of an array. */
static const struct api_part *element_part(enum place place)
{
    switch (place) {
    case LIST: return &listed_part;  /* Google wraps errors in an array */
    case CHOICES: return &choices_part;
    case PARTS: return &text_part;
    case CALLS: return &call_part;
    default: return &skip_part;
    }
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

static void take_string(struct api_reply *w, const struct api_part *p,
                        const struct json_token *t)
{
    bool empty = t->end - t->start == 2;
    switch (p->what) {
    case DO_TEXT:
        if (p->data == 0) add_text(&w->side[w->which], t);
        else if (!empty) w->side[w->which].content = true;
        break;
    case DO_REASONING: add_reasoning(&w->side[w->which], t); break;
    case DO_LEGACY_TEXT:
        w->side[TEXT].seen = true;
        add_text(&w->side[TEXT], t);
        break;
    case DO_FINISH:  /* some send "" in every chunk */
        if (!empty) w->finish = true;
        if (bytes_eq(t->text, BYTES("length"))) w->finish_length = true;
        break;
    case DO_ERROR:
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
    default: break;
    }
    if (to != CHOICE) return true;
    w->choice_count++;
    memset(w->side, 0, sizeof w->side);
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
    return p->what == DO_SIDE || p->what == DO_LEGACY_TEXT;
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
        if (w->place[t->depth] == CHOICE) choice_end(w);
        break;
    case JSON_SKIPPED: case JSON_ARRAY_END: break;
    default: {
        const struct api_part *p = t->depth == 0 ? &top_part
                                    : w->field ? w->field : element_part(in);
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
    if (!p || (w->brief && is_said(p))) return NULL;
    if (depth == 1 && p->what == DO_USAGE) index_usage(w, x, text, i);
    return p;
}

static bool is_text(const struct api_part *p, enum place in)
{
    if (in == CHOICE) return p->what == DO_LEGACY_TEXT;
    return in == SAID && (p->what == DO_TEXT || p->what == DO_REASONING);
}

/* Note token i, a scalar that is the value of p (NULL: nobody's), in this place. Text of other
 * places counts as two: with it there is no shape. */
static void index_mark(struct api_marks *m, const struct json_index *x, const char *text,
                       uint32_t i, const struct api_part *p, enum place in)
{
    struct api_span span = {x->at[i], api_index_end(x, text, i + 1)};
    if (!p) {
        if (m->count < API_MARKS_MAX) m->at[m->count++] = span;
    } else if (is_text(p, in) && x->first[i] == '"' && span.end - span.start > 2) {
        m->text = (struct api_span){span.start + 1, span.end - 1};
        m->text_count++;
    } else if (in == PARTS || in == CALLS || in == AUDIO) {
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
            if (w->place[--depth] == CHOICE) choice_end(w);
            in = depth > 0 ? w->place[depth - 1] : NOWHERE;
            i++;
            continue;
        }
        const struct api_part *p = depth == 0 ? &top_part : NULL;
        if (c == '"' && x->first[i + 1] == ':') {
            p = index_key(w, x, text, i, in, depth);
            i += 2;
            c = x->first[i];
        } else if (!p) {
            p = element_part(in);
        }
        bool opens = c == '{' || c == '[';
        if (p && (in == LOT || in == CALLS)) w->side[w->which].content = true;
        if (p && opens && descend(w, p, in, c == '{', depth)) {
            in = w->place[depth++];
            i++;
            continue;
        }
        if (p && !opens && p->what != DO_NOTHING) {
            struct json_token t = api_index_token(x, text, i, depth);
            take_scalar(w, p, &t);
        }
        if (w->marks && !opens) index_mark(w->marks, x, text, i, p, in);
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

void api_reply_begin(struct api_reply *w)
{
    memset(w, 0, offsetof(struct api_reply, error_text));
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

void api_reply_settle(struct api_reply *w)
{
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
