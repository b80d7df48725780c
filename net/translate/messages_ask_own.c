/* messages_ask_own.c - writes a body that is Anthropic's already once more for Anthropic: where
 * it holds thoughts that another maker signed (a session went from one model to another), which
 * Anthropic would refuse. All else stays as it stands, members nobody here knows included.
 * Rule: order and spelling of what stays are the client's. */
#include "net/translate/ask.h"
#include "net/translate/messages.h"

enum { KEY_MAX = 256 };         /* longer ones are no member of any API */

enum member { M_MODEL, M_MAX, M_STREAM, M_MESSAGES, M_TEMPERATURE, M_TOP_P, M_TOP_K, M_MODELS,
              M_PROVIDER, M_USAGE, M_THINKING, M_CONTEXT, M_CONFIG, M_FORMAT, MEMBERS };
static const struct bytes members[MEMBERS] = {
    [M_MODEL] = BYTES_INIT("model"), [M_MAX] = BYTES_INIT("max_tokens"),
    [M_STREAM] = BYTES_INIT("stream"), [M_MESSAGES] = BYTES_INIT("messages"),
    [M_TEMPERATURE] = BYTES_INIT("temperature"), [M_TOP_P] = BYTES_INIT("top_p"),
    [M_TOP_K] = BYTES_INIT("top_k"), [M_MODELS] = BYTES_INIT("models"),
    [M_PROVIDER] = BYTES_INIT("provider"), [M_USAGE] = BYTES_INIT("usage"),
    [M_THINKING] = BYTES_INIT("thinking"), [M_CONTEXT] = BYTES_INIT("context_management"),
    [M_CONFIG] = BYTES_INIT("output_config"), [M_FORMAT] = BYTES_INIT("output_format"),
};

/* Did another maker sign it? A block of thoughts only. */
static bool is_foreign(const struct walk *w, struct node block)
{
    static const struct bytes names[] = {BYTES_INIT("type"), BYTES_INIT("signature"),
                                         BYTES_INIT("data")};
    struct node at[COUNT(names)];
    walk_members(w, block, names, COUNT(names), at);
    bool thinking = walk_is(w, walk_inside(at[0]), BYTES("thinking"));
    if (!thinking && !walk_is(w, walk_inside(at[0]), BYTES("redacted_thinking"))) return false;
    struct walk_span signature = walk_inside(at[thinking ? 1 : 2]);
    return walk_has(signature) &&
           ask_maker(w, &signature, MAKER_MESSAGES) != MAKER_MESSAGES;
}

/* How many blocks stay, and how many go. */
static size_t count_foreign(const struct walk *w, struct node content, size_t *stay)
{
    struct walk_each each;
    struct node key, block;
    size_t foreign = 0;
    *stay = 0;
    walk_begin(w, content, &each);
    while (walk_next(&each, &key, &block)) {
        bool goes = content.type == JSON_ARRAY && is_foreign(w, block);
        foreign += goes;
        *stay += !goes;
    }
    return foreign;
}

static void put_blocks(const struct walk *w, struct pen *p, struct node content)
{
    struct walk_each each;
    struct node key, block;
    pen_array(p);
    walk_begin(w, content, &each);
    while (walk_next(&each, &key, &block)) {
        if (!is_foreign(w, block)) pen_node(p, w, block);
    }
    pen_array_end(p);
}

/* The key of a member, as written. False: longer than any that means something. */
static bool put_key(const struct walk *w, struct pen *p, struct node key)
{
    char room[KEY_MAX];
    struct bytes name = walk_bytes(w, walk_inside(key), room, sizeof room);
    if (name.ptr) pen_key(p, name);
    explicit_bzero(room, sizeof room);
    return name.ptr != NULL;
}

/* A message; nothing where nothing of it stays. */
static void put_message(const struct walk *w, struct pen *p, struct node message)
{
    struct node content = walk_member(w, message, BYTES("content")), key, value;
    struct walk_each each;
    size_t stay;
    if (count_foreign(w, content, &stay) == 0) {
        pen_node(p, w, message);
        return;
    }
    if (stay == 0) return;
    pen_object(p);
    walk_begin(w, message, &each);
    while (walk_next(&each, &key, &value)) {
        if (!put_key(w, p, key)) continue;
        if (value.start == content.start) put_blocks(w, p, content);
        else pen_node(p, w, value);
    }
    pen_object_end(p);
}

static void put_messages(const struct walk *w, struct pen *p, struct node messages)
{
    struct walk_each each;
    struct node key, message;
    pen_array(p);
    walk_begin(w, messages, &each);
    while (walk_next(&each, &key, &message)) put_message(w, p, message);
    pen_array_end(p);
}

/* The type of the first block that stays; text where content is a string. */
static bool begins_with(const struct walk *w, struct node content, struct bytes type)
{
    struct walk_each each;
    struct node key, block;
    walk_begin(w, content, &each);
    while (content.type == JSON_ARRAY && walk_next(&each, &key, &block)) {
        if (is_foreign(w, block)) continue;
        struct node is = walk_member(w, block, BYTES("type"));
        return walk_is(w, walk_inside(is), type);
    }
    return false;
}

/* Is the model in a turn, over messages that bring results, whose first thought is not
 * Anthropic's? Then it may not be asked to think in it. */
static bool in_foreign_turn(const struct walk *w, struct node messages)
{
    static const struct bytes names[] = {BYTES_INIT("role"), BYTES_INIT("content")};
    struct walk_each each;
    struct node key, message, at[COUNT(names)];
    bool in = false, own = false;
    walk_begin(w, messages, &each);
    while (walk_next(&each, &key, &message)) {
        walk_members(w, message, names, COUNT(names), at);
        if (walk_is(w, walk_inside(at[0]), BYTES("assistant"))) {
            if (!in) own = begins_with(w, at[1], BYTES("thinking")) ||
                           begins_with(w, at[1], BYTES("redacted_thinking"));
            in = true;
        } else if (walk_is(w, walk_inside(at[0]), BYTES("user")) &&
                   !begins_with(w, at[1], BYTES("tool_result"))) {
            in = false;
        }
    }
    return in && !own;
}

/* Is this member written, as it stands? What Weir alone reads of OpenRouter's is not, nor what
 * is written behind it anew. unthinking: it may not think, and has no thoughts to clear. */
static bool stays(size_t member, const struct ask_target *t, bool unthinking)
{
    switch (member) {
    case M_THINKING: case M_CONTEXT: return !unthinking;
    case M_CONFIG: case M_FORMAT: return !ask_goes_on(t);
    case M_MODEL: case M_MAX: case M_STREAM: case M_MESSAGES: case M_MODELS: case M_PROVIDER:
    case M_USAGE: return false;
    case M_TEMPERATURE: case M_TOP_P: case M_TOP_K: return (t->quirks & ASK_NO_SAMPLING) == 0;
    default: return true;
    }
}

enum ask_rc messages_write_own(struct ask *a, const struct ask_target *t, struct pen *p)
{
    const struct walk *w = &a->walk;
    struct walk_each each;
    struct node key, value;
    int64_t limit = ask_output(a, t);
    assert(a->api == API_MESSAGES || a->api == API_COUNT_TOKENS);
    bool foreign = a->settings.thinking == THINKING_ON &&
                   in_foreign_turn(w, walk_member(w, a->root, BYTES("messages")));
    bool unthinking = foreign || ask_goes_on(t);
    pen_object(p);
    bool versioned = t->version.len > 0;
    if (versioned) pen_key(p, BYTES("anthropic_version")), pen_text(p, t->version);
    else if (t->model.len > 0) pen_key(p, BYTES("model")), pen_text(p, t->model);
    walk_begin(w, a->root, &each);
    while (walk_next(&each, &key, &value)) {
        size_t member = walk_word(w, key, members, MEMBERS);
        if (stays(member, t, unthinking) && put_key(w, p, key)) pen_node(p, w, value);
        if (member == M_MESSAGES) pen_key(p, BYTES("messages")), put_messages(w, p, value);
    }
    if (t->api == API_MESSAGES) {
        /* 0 too, which asks for the prompt to be cached and no more. */
        if (limit >= 0) pen_key(p, BYTES("max_tokens")), pen_int(p, limit);
        if (t->stream) pen_key(p, BYTES("stream")), pen_bool(p, true);
    }
    pen_object_end(p);
    return p->full ? ASK_NO_ROOM : ASK_WRITTEN;
}
