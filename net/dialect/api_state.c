/* api_state.c - see api_state.h. Sources: the references of OpenAI (chat, Responses: store,
 * background, conversation, previous_response_id, prompt, tools), Anthropic (Messages: tools by
 * type, mcp_servers, container), Google (generateContent: tools), OpenRouter (plugins). */
#include "net/dialect/api_state.h"

enum { DEPTH_MAX = 128 };

/* Members that are read. */
enum member { NOTHING, TOOLS, STORE, TRUE_CHANGES, VALUE_CHANGES, TYPE, FUNCTIONS };

static const struct { struct bytes name; uint8_t member; } root[] = {
    {BYTES_INIT("tools"), TOOLS}, {BYTES_INIT("store"), STORE},
    {BYTES_INIT("background"), TRUE_CHANGES},
    {BYTES_INIT("previous_response_id"), VALUE_CHANGES},
    {BYTES_INIT("conversation"), VALUE_CHANGES},
    {BYTES_INIT("container"), VALUE_CHANGES}, {BYTES_INIT("mcp_servers"), VALUE_CHANGES},
    {BYTES_INIT("web_search_options"), VALUE_CHANGES},
    {BYTES_INIT("plugins"), VALUE_CHANGES},
};

/* Anthropic's own tools that the client runs; behind each of them stands a date. */
static const struct bytes clients[] = {
    BYTES_INIT("bash_"), BYTES_INIT("text_editor_"), BYTES_INIT("computer_"),
    BYTES_INIT("memory_"),
};

void api_state_begin(struct api_state *s, enum api api)
{
    bool known = api == API_CHAT || api == API_COMPLETIONS || api == API_RESPONSES ||
                 api == API_MESSAGES || api == API_GENERATE;
    json_init(&s->json, DEPTH_MAX);
    s->api = (uint8_t)api;
    s->place = STATE_ROOT;
    s->member = NOTHING;
    s->typed = false;
    s->changes = !known;
    s->kept = api == API_RESPONSES;
}

static enum member root_member(const struct api_state *s, struct bytes name)
{
    if (s->api == API_RESPONSES && bytes_eq(name, BYTES("prompt"))) return VALUE_CHANGES;
    for (size_t i = 0; i < COUNT(root); i++) {
        if (bytes_eq(name, root[i].name)) return (enum member)root[i].member;
    }
    return NOTHING;
}

/* A member of a tool. Gemini's have no type: what they are is their one member's name. */
static enum member tool_member(struct api_state *s, struct bytes name)
{
    if (s->api != API_GENERATE) return bytes_eq(name, BYTES("type")) ? TYPE : NOTHING;
    s->typed = true;
    bool functions = bytes_eq(name, BYTES("functionDeclarations")) ||
                     bytes_eq(name, BYTES("function_declarations"));
    return functions ? FUNCTIONS : VALUE_CHANGES;
}

static void on_key(struct api_state *s, const struct json_token *t)
{
    bool unsure = t->escaped || t->text.len > JSON_TEXT_MAX;    /* whether cut or not */
    if (s->place == STATE_ROOT) s->member = (uint8_t)root_member(s, t->text);
    else s->member = (uint8_t)tool_member(s, t->text);
    if (unsure) s->changes = true;
    if (s->member == NOTHING || s->member == FUNCTIONS) json_skip(&s->json);
}

/* Is this a type of tool that the client runs? */
static bool is_clients(const struct api_state *s, const struct json_token *t)
{
    if (t->type != JSON_STRING || t->escaped || t->text.len > JSON_TEXT_MAX) return false;
    if (bytes_eq(t->text, BYTES("custom"))) return true;
    if (s->api != API_MESSAGES) return bytes_eq(t->text, BYTES("function"));
    for (size_t i = 0; i < COUNT(clients); i++) {
        if (bytes_starts(t->text, clients[i])) return true;
    }
    return false;
}

/* What a value of the member in hand says. */
static void on_value(struct api_state *s, const struct json_token *t)
{
    bool none = t->type == JSON_NULL;
    switch ((enum member)s->member) {
    case STORE:
        if (t->type == JSON_FALSE) s->kept = false;
        else if (!none) s->changes = true;
        break;
    case TRUE_CHANGES: if (t->type != JSON_FALSE && !none) s->changes = true; break;
    case VALUE_CHANGES: if (!none) s->changes = true; break;
    case TYPE:
        s->typed = true;
        if (!is_clients(s, t)) s->changes = true;
        break;
    case TOOLS: if (!none) s->changes = true; break;     /* no array */
    case NOTHING: case FUNCTIONS: break;
    }
    s->member = NOTHING;
}

/* Brackets: the root's, those of tools, and of each of them; others are a member's value. */
static void on_open(struct api_state *s, const struct json_token *t)
{
    bool object = t->type == JSON_OBJECT;
    if (t->depth == 0) {
        if (!object) s->changes = true;
    } else if (s->place == STATE_ROOT && s->member == TOOLS && !object) {
        s->place = STATE_TOOLS;
        s->member = NOTHING;
    } else if (s->place == STATE_TOOLS && object) {
        s->place = STATE_TOOL;
        s->typed = s->api == API_MESSAGES;      /* a type may be left out there */
    } else {
        if (s->place == STATE_TOOLS) s->changes = true;
        on_value(s, t);
        json_skip(&s->json);
    }
}

static void on_token(struct api_state *s, const struct json_token *t)
{
    switch ((enum json_type)t->type) {
    case JSON_KEY: on_key(s, t); break;
    case JSON_OBJECT: case JSON_ARRAY: on_open(s, t); break;
    case JSON_OBJECT_END:
        if (s->place != STATE_TOOL) break;
        if (!s->typed) s->changes = true;
        s->place = STATE_TOOLS;
        break;
    case JSON_ARRAY_END: s->place = STATE_ROOT; break;
    case JSON_SKIPPED: s->member = NOTHING; break;
    default:
        if (s->place == STATE_TOOLS || t->depth == 0) s->changes = true;    /* no object */
        else on_value(s, t);
        break;
    }
}

void api_state_feed(struct api_state *s, struct bytes in)
{
    struct json_token t;
    while (!s->changes && in.len > 0) {
        enum net_rc rc = json_next(&s->json, &in, &t);
        if (rc == NET_BAD) s->changes = true;
        if (rc != NET_OK) return;
        on_token(s, &t);
    }
}

bool api_changes_state(struct api_state *s)
{
    struct json_token t;
    if (s->changes) return true;
    if (json_finish(&s->json, &t) != NET_DONE) s->changes = true;
    return s->changes || s->kept;
}
