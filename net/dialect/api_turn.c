/* api_turn.c - what the messages of a request say about it: who speaks, the texts that tell
 * what is asked, parts that are no text.
 * Model: a message is an object in the list (messages, input, contents), its parts are objects
 * in the list below content or parts; a tool's result may hold such a list once more. Depths
 * below the list:
 *   1 message   2 role, type, content | parts   3 part   4 text, type, inlineData, content
 *   5 mimeType; part of a result   6 its type
 * The walk over tokens and that over the index note the same, whichever order the members
 * have: a message is judged when it ends.
 * Rule: what is read here decides no more than which model is asked. So words and keys are
 * compared as they are written, and what is unknown or odd is passed over. */
#include "net/dialect/api_part.h"

enum role { ROLE_NONE, ROLE_USER, ROLE_MODEL, ROLE_SYSTEM, ROLE_TOOL, ROLE_OTHER };

enum key { KEY_NONE, KEY_ROLE, KEY_TYPE, KEY_CONTENT, KEY_TEXT, KEY_MEDIA, KEY_RESULT,
           KEY_MIME };

/* Depths below the list. */
enum { MESSAGE = 1, MEMBER, PART, PART_MEMBER, INNER, INNER_MEMBER };

struct word { struct bytes text; uint8_t is; };

/* What a word stands for; none where the list, which ends with the empty word, has it not. */
static uint8_t find(const struct word *list, struct bytes text, uint8_t none)
{
    assert(text.ptr != NULL);
    for (; list->text.len > 0; list++) {
        if (bytes_eq(list->text, text)) return list->is;
    }
    return none;
}

/* The comparison without a call: most members are looked at this way, of every message. */
#define IS(text, word) \
    ((text).len == sizeof word - 1 && memcmp((text).ptr, word, sizeof word - 1) == 0)

static enum key key_of(struct bytes key)
{
    static const struct word words[] = {
        {BYTES_INIT("parts"), KEY_CONTENT}, {BYTES_INIT("inlineData"), KEY_MEDIA},
        {BYTES_INIT("inline_data"), KEY_MEDIA}, {BYTES_INIT("fileData"), KEY_MEDIA},
        {BYTES_INIT("file_data"), KEY_MEDIA}, {BYTES_INIT("mimeType"), KEY_MIME},
        {BYTES_INIT("mime_type"), KEY_MIME}, {BYTES_INIT("functionResponse"), KEY_RESULT},
        {BYTES_INIT("function_response"), KEY_RESULT}, {{0}, 0},
    };
    if (!key.ptr) return KEY_NONE;
    if (IS(key, "role")) return KEY_ROLE;
    if (IS(key, "content")) return KEY_CONTENT;
    if (IS(key, "type")) return KEY_TYPE;
    if (IS(key, "text")) return KEY_TEXT;
    return find(words, key, KEY_NONE);
}

/* False for a text that the scanner may not have, cut or not. */
static bool has_end(struct bytes text, struct bytes end)
{
    return text.len <= JSON_TEXT_MAX && bytes_ends(text, end);
}

static enum role role_of(struct bytes word)
{
    static const struct word words[] = {
        {BYTES_INIT("tool"), ROLE_TOOL}, {BYTES_INIT("model"), ROLE_MODEL},
        {BYTES_INIT("function"), ROLE_TOOL}, {BYTES_INIT("developer"), ROLE_SYSTEM}, {{0}, 0},
    };
    if (!word.ptr) return ROLE_OTHER;
    if (IS(word, "user")) return ROLE_USER;
    if (IS(word, "assistant")) return ROLE_MODEL;
    if (IS(word, "system")) return ROLE_SYSTEM;
    return find(words, word, ROLE_OTHER);
}

/* Responses: the type of an item; those without a role are no message. */
static void take_item(struct api_turn *m, struct bytes word)
{
    if (m->role != ROLE_NONE || IS(word, "message")) return;
    m->role = has_end(word, BYTES("_output")) ? ROLE_TOOL
            : has_end(word, BYTES("_call")) ? ROLE_MODEL : ROLE_OTHER;
}

enum part { PART_OTHER, PART_IMAGE, PART_AUDIO, PART_DOCUMENT, PART_RESULT };

static void count_part(struct api_reader *r, enum part part)
{
    r->req.image_count += part == PART_IMAGE;
    r->req.audio_count += part == PART_AUDIO;
    r->req.document_count += part == PART_DOCUMENT;
    if (part == PART_RESULT) r->turn.result = true;
}

static void take_part(struct api_reader *r, struct bytes word)
{
    static const struct word words[] = {
        {BYTES_INIT("image_url"), PART_IMAGE}, {BYTES_INIT("image"), PART_IMAGE},
        {BYTES_INIT("input_image"), PART_IMAGE}, {BYTES_INIT("input_audio"), PART_AUDIO},
        {BYTES_INIT("audio"), PART_AUDIO}, {BYTES_INIT("audio_url"), PART_AUDIO},
        {BYTES_INIT("file"), PART_DOCUMENT}, {BYTES_INIT("input_file"), PART_DOCUMENT},
        {BYTES_INIT("document"), PART_DOCUMENT}, {BYTES_INIT("video_url"), PART_DOCUMENT},
        {BYTES_INIT("tool_result"), PART_RESULT}, {{0}, 0},
    };
    if (!word.ptr || IS(word, "text")) return;
    count_part(r, find(words, word, PART_OTHER));
}

static void take_mime(struct api_reader *r, struct bytes word)
{
    count_part(r, word.len > JSON_TEXT_MAX ? PART_DOCUMENT  /* cut or not */
                  : bytes_starts(word, BYTES("image/")) ? PART_IMAGE
                  : bytes_starts(word, BYTES("audio/")) ? PART_AUDIO : PART_DOCUMENT);
}

/* What is between the quotes, from start on, is text of the message. */
static void take_text(struct api_turn *m, uint64_t start, uint64_t end)
{
    if (start == end) return;
    m->last = (struct api_span){start, end};
    if (m->first.end == 0) m->first = m->last;
    m->bytes += end - start;
}

static void turn_begin(struct api_turn *m)
{
    memset(m, 0, sizeof *m);
}

static void turn_end(struct api_reader *r)
{
    struct api_request *q = &r->req;
    struct api_turn *m = &r->turn;
    switch ((enum role)m->role) {
    case ROLE_SYSTEM:
        q->system_bytes += m->bytes;
        if (q->text[API_TEXT_SYSTEM].end == 0) q->text[API_TEXT_SYSTEM] = m->first;
        break;
    case ROLE_MODEL: q->assistant_turns++; break;
    case ROLE_TOOL: q->tool_turns++; break;
    case ROLE_NONE: case ROLE_USER:
        if (m->result) q->tool_turns++;
        else q->user_turns++;
        if (m->bytes == 0) break;
        if (q->text[API_TEXT_FIRST].end == 0) q->text[API_TEXT_FIRST] = m->first;
        q->text[API_TEXT_LAST] = m->last;
        q->last_bytes = m->bytes;
        break;
    case ROLE_OTHER: break;
    }
    assert(q->text[API_TEXT_LAST].end == 0 || q->text[API_TEXT_FIRST].end > 0);
}

void api_turn_text(struct api_reader *r, const struct json_token *t)
{
    assert(t->type == JSON_STRING);
    turn_begin(&r->turn);
    take_text(&r->turn, t->start + 1, t->end - 1);
    turn_end(r);
}

void api_turn_system(struct api_reader *r, const struct json_token *t)
{
    struct api_span *system = &r->req.text[API_TEXT_SYSTEM];
    assert(t->type == JSON_STRING);
    if (t->end - t->start == 2) return;
    r->req.system_bytes += t->end - t->start - 2;
    if (system->end == 0) *system = (struct api_span){t->start + 1, t->end - 1};
}

/* A key at this depth below the list: what its value will be. */
static enum key key_at(struct api_turn *m, unsigned depth, struct bytes text)
{
    enum key key = KEY_NONE;
    if (depth == MEMBER) {
        key = key_of(text);
        m->content = key == KEY_CONTENT;
        m->nested = m->media = false;
        return key <= KEY_CONTENT ? key : KEY_NONE;
    }
    if (!m->content) return KEY_NONE;
    if (depth == PART_MEMBER) {
        key = key_of(text);
        m->nested = key == KEY_CONTENT;
        m->media = key == KEY_MEDIA;
        return key;
    }
    if (depth == INNER && m->media && key_of(text) == KEY_MIME) key = KEY_MIME;
    if (depth == INNER_MEMBER && m->nested && key_of(text) == KEY_TYPE) key = KEY_TYPE;
    return key;
}

/* A string that is the value of a key, or that stands where parts do. */
static void string_at(struct api_reader *r, unsigned depth, enum key key, struct bytes text,
                      uint64_t start, uint64_t end)
{
    struct api_turn *m = &r->turn;
    switch (key) {
    case KEY_ROLE: if (depth == MEMBER) m->role = (uint8_t)role_of(text); break;
    case KEY_TYPE:
        if (depth == MEMBER) take_item(m, text);
        else take_part(r, text);
        break;
    case KEY_CONTENT: if (depth == MEMBER) take_text(m, start, end); break;
    case KEY_TEXT: if (depth == PART_MEMBER) take_text(m, start, end); break;
    case KEY_MIME: if (depth == INNER) take_mime(r, text); break;
    default: if (depth == PART && m->content) take_text(m, start, end); break;
    }
}

void api_turn_token(struct api_reader *r, const struct json_token *t, unsigned depth)
{
    struct api_turn *m = &r->turn;
    assert(depth >= MESSAGE);
    enum key key = m->key;
    m->key = KEY_NONE;
    switch (t->type) {
    case JSON_KEY: m->key = (uint8_t)key_at(m, depth, t->text); break;
    case JSON_OBJECT:
        if (depth == MEMBER) m->content = false;
        if (depth == PART_MEMBER) {
            m->nested = false;
            if (m->content && key == KEY_RESULT) m->result = true;
        }
        /* fall through */
    case JSON_ARRAY:
        if (depth == MESSAGE) turn_begin(m);
        if (depth == PART) m->nested = m->media = false;
        break;
    case JSON_OBJECT_END: if (depth == MESSAGE) turn_end(r); break;
    case JSON_STRING:
        if (depth == MESSAGE) api_turn_text(r, t);
        else string_at(r, depth, key, t->text, t->start + 1, t->end - 1);
        break;
    default: break;
    }
}

/* ---- a body in one piece ---- */

/* The string that is token v of the index, the value of a key. */
static void index_string(struct api_reader *r, const struct json_index *x, const char *text,
                         uint32_t v, unsigned depth, enum key key)
{
    struct bytes said = json_index_text(x, text, v);
    uint64_t start = x->at[v] + 1u;
    string_at(r, depth, key, said, start, start + said.len);
}

/* The strings of one key among the members of the object that is token i. */
static void index_inner(struct api_reader *r, const struct json_index *x, const char *text,
                        uint32_t i, unsigned depth, enum key wanted)
{
    uint32_t end = x->close[i];
    for (uint32_t k = i + 1; k < end; k = json_index_behind(x, k + 2) + 1) {
        if (x->first[k + 2] != '"') continue;
        enum key key = key_of(json_index_text(x, text, k));
        if (key == wanted) index_string(r, x, text, k + 2, depth, key);
    }
}

static void index_part(struct api_reader *r, const struct json_index *x, const char *text,
                       uint32_t i)
{
    uint32_t end = x->close[i];
    for (uint32_t k = i + 1; k < end; k = json_index_behind(x, k + 2) + 1) {
        enum key key = key_of(json_index_text(x, text, k));
        uint32_t v = k + 2;
        char c = x->first[v];
        if (c == '"') {
            index_string(r, x, text, v, PART_MEMBER, key);
        } else if (c == '{' && key == KEY_RESULT) {
            r->turn.result = true;
        } else if (c == '{' && key == KEY_MEDIA) {
            index_inner(r, x, text, v, INNER, KEY_MIME);
        } else if (c == '[' && key == KEY_CONTENT) {
            for (uint32_t e = v + 1; e < x->close[v]; e = json_index_behind(x, e) + 1) {
                if (x->first[e] == '{') index_inner(r, x, text, e, INNER_MEMBER, KEY_TYPE);
            }
        }
    }
}

static void index_message(struct api_reader *r, const struct json_index *x, const char *text,
                          uint32_t i)
{
    uint32_t end = x->close[i];
    turn_begin(&r->turn);
    for (uint32_t k = i + 1; k < end; k = json_index_behind(x, k + 2) + 1) {
        enum key key = key_of(json_index_text(x, text, k));
        uint32_t v = k + 2;
        if (key == KEY_NONE || key > KEY_CONTENT) continue;
        if (x->first[v] == '"') {
            index_string(r, x, text, v, MEMBER, key);
        } else if (x->first[v] == '[' && key == KEY_CONTENT) {
            r->turn.content = true;
            for (uint32_t e = v + 1; e < x->close[v]; e = json_index_behind(x, e) + 1) {
                if (x->first[e] == '"') index_string(r, x, text, e, PART, KEY_NONE);
                else if (x->first[e] == '{') index_part(r, x, text, e);
            }
        }
    }
    turn_end(r);
}

uint32_t api_turn_index(struct api_reader *r, const struct json_index *x, const char *text,
                        uint32_t i)
{
    uint32_t count = 0, end = x->close[i];
    assert(x->first[i] == '[');
    for (uint32_t k = i + 1; k < end; k = json_index_behind(x, k) + 1) {
        count++;
        if (x->first[k] == '{') {
            index_message(r, x, text, k);
        } else if (x->first[k] == '"') {
            struct json_token t = api_index_token(x, text, k, 0);
            api_turn_text(r, &t);
        }
    }
    return count;
}
