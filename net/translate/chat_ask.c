/* chat_ask.c - reads requests in the form of OpenAI's chat completions, and what the many who
 * imitate it have added: OpenRouter's reasoning and cache_control, DeepSeek's
 * reasoning_content and thinking, Mistral's content with thinking parts, Google's signatures
 * in tool_calls[].extra_content. Model of the conversation, message by message:
 *   MESSAGE -> DETAILS -> CONTENT <-> CHUNKS -> REFUSAL -> CALLS -> RESULT -> MESSAGE
 * Each step puts what it made into held, from where it is given one by one.
 * Rule: what OpenAI would refuse is refused here only where its meaning is open; a member that
 * nobody knows is passed over. */
#include "net/translate/ask.h"
#include "net/translate/chat.h"

#include <stdio.h>

enum { AT_MESSAGES, AT_TOOLS, AT_ALLOWED, AT_SEARCH,    /* of the request: struct ask's at */
       AT_CONTENT, AT_CALLS, AT_REFUSAL, AT_CACHE };    /* of the message */
enum { EACH_MESSAGE, EACH_PART, EACH_CALL, EACH_DETAIL };
enum stage { MESSAGE, DETAILS, CONTENT, CHUNKS, REFUSAL, CALLS, RESULT };
enum flag { LEGACY = 1,          /* tools are "functions" */
            LEGACY_CALL = 2,     /* so is the message's call */
            SEARCH_GIVEN = 4,
            MARKED_SHIFT = 8 };  /* above: parts or calls, where the message has a
                                    cache_control, which is its last part's */
enum { NO_ROLE = 0xff, ALLOWED_MAX = 128 };

enum root {
    MESSAGES, TOOLS, FUNCTIONS, TOOL_CHOICE, FUNCTION_CALL, RESPONSE_FORMAT, SEARCH,
    TEMPERATURE, TOP_P, TOP_K, SEED, RANDOM_SEED, PRESENCE, FREQUENCY, BIAS, STOP, USER,
    SAFE_USER, METADATA, TIER, CACHE_KEY, VERBOSITY, AUDIO, MAX_TOKENS, MAX_COMPLETION,
    COUNT_OF, TOP_LOGPROBS, LOGPROBS, PARALLEL, STREAM, STREAM_OPTIONS, STORE, EFFORT,
    REASONING, THINKING, ROOTS
};
static const struct bytes root_names[ROOTS] = {
    [MESSAGES] = BYTES_INIT("messages"), [TOOLS] = BYTES_INIT("tools"),
    [FUNCTIONS] = BYTES_INIT("functions"), [TOOL_CHOICE] = BYTES_INIT("tool_choice"),
    [FUNCTION_CALL] = BYTES_INIT("function_call"),
    [RESPONSE_FORMAT] = BYTES_INIT("response_format"),
    [SEARCH] = BYTES_INIT("web_search_options"), [TEMPERATURE] = BYTES_INIT("temperature"),
    [TOP_P] = BYTES_INIT("top_p"), [TOP_K] = BYTES_INIT("top_k"), [SEED] = BYTES_INIT("seed"),
    [RANDOM_SEED] = BYTES_INIT("random_seed"), [PRESENCE] = BYTES_INIT("presence_penalty"),
    [FREQUENCY] = BYTES_INIT("frequency_penalty"), [BIAS] = BYTES_INIT("logit_bias"),
    [STOP] = BYTES_INIT("stop"), [USER] = BYTES_INIT("user"),
    [SAFE_USER] = BYTES_INIT("safety_identifier"), [METADATA] = BYTES_INIT("metadata"),
    [TIER] = BYTES_INIT("service_tier"), [CACHE_KEY] = BYTES_INIT("prompt_cache_key"),
    [VERBOSITY] = BYTES_INIT("verbosity"), [AUDIO] = BYTES_INIT("audio"),
    [MAX_TOKENS] = BYTES_INIT("max_tokens"),
    [MAX_COMPLETION] = BYTES_INIT("max_completion_tokens"), [COUNT_OF] = BYTES_INIT("n"),
    [TOP_LOGPROBS] = BYTES_INIT("top_logprobs"), [LOGPROBS] = BYTES_INIT("logprobs"),
    [PARALLEL] = BYTES_INIT("parallel_tool_calls"), [STREAM] = BYTES_INIT("stream"),
    [STREAM_OPTIONS] = BYTES_INIT("stream_options"), [STORE] = BYTES_INIT("store"),
    [EFFORT] = BYTES_INIT("reasoning_effort"), [REASONING] = BYTES_INIT("reasoning"),
    [THINKING] = BYTES_INIT("thinking"),
};

/* ---- settings ---- */

#define A(type) (1u << JSON_##type)

/* Settings that are kept as they are written. */
static const struct plain {
    uint16_t at;             /* in struct ask_settings */
    uint16_t types;
    uint8_t root;
} plain[] = {
    {offsetof(struct ask_settings, temperature), A(NUMBER), TEMPERATURE},
    {offsetof(struct ask_settings, top_p), A(NUMBER), TOP_P},
    {offsetof(struct ask_settings, top_k), A(NUMBER), TOP_K},
    {offsetof(struct ask_settings, seed), A(NUMBER), RANDOM_SEED},
    {offsetof(struct ask_settings, seed), A(NUMBER), SEED},
    {offsetof(struct ask_settings, presence), A(NUMBER), PRESENCE},
    {offsetof(struct ask_settings, frequency), A(NUMBER), FREQUENCY},
    {offsetof(struct ask_settings, bias), A(OBJECT), BIAS},
    {offsetof(struct ask_settings, stop), A(STRING) | A(ARRAY), STOP},
    {offsetof(struct ask_settings, user), A(STRING), SAFE_USER},
    {offsetof(struct ask_settings, user), A(STRING), USER},
    {offsetof(struct ask_settings, metadata), A(OBJECT), METADATA},
    {offsetof(struct ask_settings, tier), A(STRING), TIER},
    {offsetof(struct ask_settings, cache_key), A(STRING), CACHE_KEY},
    {offsetof(struct ask_settings, verbosity), A(STRING), VERBOSITY},
    {offsetof(struct ask_settings, audio), A(OBJECT), AUDIO},
};

/* Counts, with what they are where they are not said: -1. */
static const struct count { uint16_t at; uint8_t root, least; } counts[] = {
    {offsetof(struct ask_settings, max_tokens), MAX_TOKENS, 1},
    {offsetof(struct ask_settings, max_tokens), MAX_COMPLETION, 1},
    {offsetof(struct ask_settings, n), COUNT_OF, 1},
    {offsetof(struct ask_settings, top_logprobs), TOP_LOGPROBS, 0},
};

/* A member of the root is not what it must be. */
static bool refuse(struct ask *a, enum root which, const char *must)
{
    char pointer[80];
    struct bytes name = root_names[which];
    int n = snprintf(pointer, sizeof pointer, "/%.*s", (int)name.len, name.ptr);
    assert(n > 1 && (size_t)n < sizeof pointer);
    ask_blame(a, pointer, "%s %s", pointer + 1, must);
    return false;
}

static bool read_plain(struct ask *a, const struct node *v)
{
    for (size_t i = 0; i < COUNT(plain); i++) {
        const struct plain *p = &plain[i];
        struct node n = v[p->root];
        if (n.type == JSON_NONE) continue;
        if (!(p->types & 1u << n.type)) return refuse(a, p->root, "is of the wrong type");
        *(struct node *)((char *)&a->settings + p->at) = n;
    }
    for (size_t i = 0; i < COUNT(counts); i++) {
        const struct count *c = &counts[i];
        int64_t value;
        if (v[c->root].type == JSON_NONE) continue;
        if (!walk_int(&a->walk, v[c->root], &value)) {
            return refuse(a, c->root, "must be an integer");
        }
        if (value < c->least) return refuse(a, c->root, "is too small");
        *(int64_t *)(void *)((char *)&a->settings + c->at) = value;
    }
    return true;
}

static const struct bytes effort_words[] = {
    BYTES_INIT("none"), BYTES_INIT("minimal"), BYTES_INIT("low"), BYTES_INIT("medium"),
    BYTES_INIT("high"), BYTES_INIT("xhigh"), BYTES_INIT("max"),
};

/* enum api_effort of a word; what is not known asks for nothing. */
static uint8_t effort_of(const struct ask *a, struct node n)
{
    static const uint8_t efforts[COUNT(effort_words) + 1] = {
        API_EFFORT_NONE, API_EFFORT_MINIMAL, API_EFFORT_LOW, API_EFFORT_MEDIUM,
        API_EFFORT_HIGH, API_EFFORT_XHIGH, API_EFFORT_XHIGH, API_EFFORT_UNSET,
    };
    return efforts[walk_word(&a->walk, n, effort_words, COUNT(effort_words))];
}

/* OpenAI's reasoning_effort, OpenRouter's reasoning, DeepSeek's (and Anthropic's) thinking. */
static void read_thinking(struct ask *a, const struct node *v)
{
    static const struct bytes names[] = {
        BYTES_INIT("effort"), BYTES_INIT("max_tokens"), BYTES_INIT("exclude"),
        BYTES_INIT("enabled"), BYTES_INIT("type"), BYTES_INIT("budget_tokens"),
    };
    static const struct bytes types[] = {
        BYTES_INIT("disabled"), BYTES_INIT("enabled"), BYTES_INIT("adaptive")};
    struct ask_settings *s = &a->settings;
    struct node own[COUNT(names)], object[COUNT(names)];
    walk_members(&a->walk, v[REASONING], names, COUNT(names), own);
    walk_members(&a->walk, v[THINKING], names, COUNT(names), object);
    s->effort = effort_of(a, v[EFFORT]);
    if (s->effort == API_EFFORT_UNSET) s->effort = effort_of(a, own[0]);
    int64_t budget;
    if (walk_int(&a->walk, own[1], &budget) && budget >= 0) s->budget = budget;
    if (walk_int(&a->walk, object[5], &budget) && budget >= 0) s->budget = budget;
    if (own[2].type == JSON_TRUE) s->thoughts = 0;
    size_t type = walk_word(&a->walk, object[4], types, COUNT(types));
    if (own[3].type == JSON_FALSE || type == 0 || s->effort == API_EFFORT_NONE) {
        s->thinking = THINKING_OFF;
    } else if (own[3].type == JSON_TRUE || type == 1 || s->budget > 0) {
        s->thinking = THINKING_ON;
    } else if (type == 2) {
        s->thinking = THINKING_ADAPTIVE;
    }
}

static bool read_format(struct ask *a, struct node format)
{
    static const struct bytes words[] = {
        BYTES_INIT("text"), BYTES_INIT("json_object"), BYTES_INIT("json_schema")};
    static const struct bytes names[] = {
        BYTES_INIT("name"), BYTES_INIT("description"), BYTES_INIT("schema"),
        BYTES_INIT("strict")};
    struct ask_settings *s = &a->settings;
    if (format.type == JSON_NONE) return true;
    struct node type = walk_member(&a->walk, format, BYTES("type"));
    size_t which = walk_word(&a->walk, type, words, COUNT(words));
    if (which == COUNT(words)) {
        return refuse(a, RESPONSE_FORMAT, "must have a type: text, json_object, json_schema");
    }
    s->format = (uint8_t)which;
    if (which != API_FORMAT_SCHEMA) return true;
    struct node v[COUNT(names)];
    walk_members(&a->walk, walk_member(&a->walk, format, BYTES("json_schema")), names,
                 COUNT(names), v);
    s->schema_name = walk_inside(v[0]);
    s->schema_text = walk_inside(v[1]);
    s->schema = v[2];
    if (v[3].type != JSON_NONE) s->strict = v[3].type == JSON_TRUE;
    if (s->schema.type == JSON_OBJECT) return true;
    ask_blame(a, "/response_format/json_schema/schema", "schema must be an object");
    return false;
}
static_assert(API_FORMAT_TEXT == 0 && API_FORMAT_JSON == 1 && API_FORMAT_SCHEMA == 2,
              "words of response_format are in this order");

/* The mode of allowed_tools, and which they are: the others are left out (tool_next). */
static bool read_allowed(struct ask *a, struct node allowed)
{
    static const struct bytes names[] = {BYTES_INIT("mode"), BYTES_INIT("tools")};
    struct node v[COUNT(names)];
    walk_members(&a->walk, allowed, names, COUNT(names), v);
    if (v[1].type != JSON_ARRAY || walk_count(&a->walk, v[1]) > ALLOWED_MAX) {
        return refuse(a, TOOL_CHOICE, "must list at most 128 tools in allowed_tools.tools");
    }
    a->at[AT_ALLOWED] = v[1];
    bool required = walk_is(&a->walk, walk_inside(v[0]), BYTES("required"));
    a->settings.choice = required ? API_CHOICE_REQUIRED : API_CHOICE_AUTO;
    return true;
}

static bool read_choice(struct ask *a, struct node choice, bool legacy)
{
    static const struct bytes words[] = {
        BYTES_INIT("auto"), BYTES_INIT("none"), BYTES_INIT("required"), BYTES_INIT("any")};
    static const uint8_t choices[] = {API_CHOICE_AUTO, API_CHOICE_NONE, API_CHOICE_REQUIRED,
                                      API_CHOICE_REQUIRED};
    static const struct bytes names[] = {BYTES_INIT("function"), BYTES_INIT("custom"),
                                         BYTES_INIT("allowed_tools"), BYTES_INIT("name")};
    struct ask_settings *s = &a->settings;
    if (choice.type == JSON_NONE) return true;
    s->choice_said = true;
    size_t word = walk_word(&a->walk, choice, words, COUNT(words));
    if (word < COUNT(words)) {
        s->choice = choices[word];
        return true;
    }
    struct node v[COUNT(names)];
    walk_members(&a->walk, choice, names, COUNT(names), v);
    if (v[2].type == JSON_OBJECT) return read_allowed(a, v[2]);
    struct node of = v[0].type == JSON_OBJECT ? v[0] : v[1];
    struct node name = legacy ? v[3] : walk_member(&a->walk, of, BYTES("name"));
    s->choice = API_CHOICE_NAMED;
    s->choice_name = walk_inside(name);
    if (walk_has(s->choice_name)) return true;
    return refuse(a, legacy ? FUNCTION_CALL : TOOL_CHOICE, "is neither a word nor a tool");
}

/* A function, or a tool that takes any text, is called by its name. */
static bool check_tools(struct ask *a)
{
    static const struct bytes names[] = {BYTES_INIT("function"), BYTES_INIT("custom")};
    struct walk_each each;
    struct node key, raw, v[COUNT(names)];
    char pointer[32];
    walk_begin(&a->walk, a->at[AT_TOOLS], &each);
    for (uint32_t i = 0; walk_next(&each, &key, &raw); i++) {
        walk_members(&a->walk, raw, names, COUNT(names), v);
        struct node of = v[0].type == JSON_OBJECT ? v[0] : v[1];
        if (a->flags & LEGACY) of = raw;
        else if (of.type != JSON_OBJECT) continue;      /* hosted */
        if (walk_has(walk_inside(walk_member(&a->walk, of, BYTES("name"))))) continue;
        (void)snprintf(pointer, sizeof pointer, "/%s/%u",
                       a->flags & LEGACY ? "functions" : "tools", i);
        ask_blame(a, pointer, "a function must have a name");
        return false;
    }
    return true;
}

static bool chat_open(struct ask *a)
{
    struct ask_settings *s = &a->settings;
    struct node v[ROOTS];
    walk_members(&a->walk, a->root, root_names, ROOTS, v);
    if (v[MESSAGES].type != JSON_ARRAY) return refuse(a, MESSAGES, "must be an array");
    a->flags = 0;
    a->at[AT_MESSAGES] = v[MESSAGES];
    a->at[AT_SEARCH] = v[SEARCH];
    a->at[AT_TOOLS] = v[TOOLS];
    if (v[TOOLS].type == JSON_NONE && v[FUNCTIONS].type == JSON_ARRAY) {
        a->at[AT_TOOLS] = v[FUNCTIONS];
        a->flags |= LEGACY;
    }
    a->at[AT_ALLOWED] = (struct node){0};
    s->stream = v[STREAM].type == JSON_TRUE;
    struct node usage = walk_member(&a->walk, v[STREAM_OPTIONS], BYTES("include_usage"));
    s->include_usage = usage.type == JSON_TRUE;
    s->logprobs = v[LOGPROBS].type == JSON_TRUE;
    s->store = v[STORE].type == JSON_TRUE;
    if (v[PARALLEL].type != JSON_NONE) s->parallel = v[PARALLEL].type == JSON_TRUE;
    read_thinking(a, v);
    bool legacy = v[TOOL_CHOICE].type == JSON_NONE;
    return check_tools(a) && read_plain(a, v) && read_format(a, v[RESPONSE_FORMAT]) &&
           read_choice(a, legacy ? v[FUNCTION_CALL] : v[TOOL_CHOICE], legacy);
}

/* ---- tools ---- */

static void chat_tools(struct ask *a)
{
    walk_begin(&a->walk, a->at[AT_TOOLS], &a->tools_each[0]);
    a->flags &= ~(uint32_t)SEARCH_GIVEN;
}

/* Is a tool among those that tool_choice allows? */
static bool is_allowed(struct ask *a, const struct ask_tool *tool)
{
    if (a->at[AT_ALLOWED].type == JSON_NONE) return true;
    uint64_t name = walk_hash(&a->walk, tool->name);
    struct node key, value;
    walk_begin(&a->walk, a->at[AT_ALLOWED], &a->tools_each[1]);
    while (walk_next(&a->tools_each[1], &key, &value)) {
        struct node of = walk_member(&a->walk, value, BYTES("function"));
        if (of.type == JSON_NONE) of = walk_member(&a->walk, value, BYTES("custom"));
        struct node own = walk_member(&a->walk, of, BYTES("name"));
        if (walk_hash(&a->walk, walk_inside(own)) == name) return true;
    }
    return false;
}

static void read_tool(struct ask *a, struct node raw, struct ask_tool *tool)
{
    static const struct bytes outer[] = {BYTES_INIT("function"), BYTES_INIT("custom"),
                                         BYTES_INIT("cache_control")};
    static const struct bytes inner[] = {
        BYTES_INIT("name"), BYTES_INIT("description"), BYTES_INIT("parameters"),
        BYTES_INIT("strict"), BYTES_INIT("format"), BYTES_INIT("cache_control")};
    struct node o[COUNT(outer)], v[COUNT(inner)];
    walk_members(&a->walk, raw, outer, COUNT(outer), o);
    struct node of = o[0];
    tool->kind = ASK_FUNCTION;
    if (a->flags & LEGACY) of = raw;
    else if (o[0].type != JSON_OBJECT) {
        tool->kind = o[1].type == JSON_OBJECT ? ASK_CUSTOM : ASK_HOSTED;
        of = o[1];
    }
    walk_members(&a->walk, of, inner, COUNT(inner), v);
    tool->name = walk_inside(v[0]);
    tool->description = walk_inside(v[1]);
    tool->schema = v[2];
    if (v[3].type != JSON_NONE) tool->strict = v[3].type == JSON_TRUE;
    tool->format = v[4];
    tool->cache = o[2].type != JSON_NONE ? o[2] : v[5];
    tool->raw = raw;
}

static bool chat_tool(struct ask *a, struct ask_tool *tool)
{
    struct node key, raw;
    while (walk_next(&a->tools_each[0], &key, &raw)) {
        *tool = (struct ask_tool){.strict = -1};
        read_tool(a, raw, tool);
        if (is_allowed(a, tool)) return true;
    }
    if (a->at[AT_SEARCH].type != JSON_OBJECT || a->flags & SEARCH_GIVEN) return false;
    a->flags |= SEARCH_GIVEN;
    *tool = (struct ask_tool){.kind = ASK_HOSTED, .strict = -1, .search = true,
                              .raw = a->at[AT_SEARCH]};
    return true;
}

/* ---- the conversation ---- */

static void chat_rewind(struct ask *a)
{
    walk_begin(&a->walk, a->at[AT_MESSAGES], &a->each[EACH_MESSAGE]);
    a->stage = MESSAGE;
    a->role = NO_ROLE;
    a->message = UINT32_MAX;     /* so that the first is 0 */
    a->held_at = a->held_count = 0;
}

/* A place in the message is wrong: its member, and the element of that where there is one. */
static bool wrong(struct ask *a, const char *member, bool element, const char *sentence)
{
    char pointer[80], where[16] = "";
    if (element) snprintf(where, sizeof where, "/%u", a->element);
    int n = snprintf(pointer, sizeof pointer, "/messages/%u%s%s", a->message, member, where);
    assert(n > 0 && (size_t)n < sizeof pointer);
    ask_blame(a, pointer, "%s", sentence);
    return false;
}

static struct ask_part *hold(struct ask *a, enum ask_kind kind)
{
    assert(a->held_count < COUNT(a->held));
    struct ask_part *part = &a->held[a->held_count++];
    *part = (struct ask_part){.kind = (uint8_t)kind, .role = a->role,
                              .inside = a->role == ASK_TOOL && kind != ASK_TURN &&
                                        kind != ASK_RESULT && kind != ASK_RESULT_END};
    return part;
}

enum { ROLE, NAME, BODY, SAID_NO, TOOL_CALLS, CALL_ID, CALL_LEGACY, CACHE, THOUGHTS,
       THOUGHTS_SHORT, THOUGHT_DETAILS, SPOKEN, MEMBERS };
static const struct bytes member_names[MEMBERS] = {
    [ROLE] = BYTES_INIT("role"), [NAME] = BYTES_INIT("name"), [BODY] = BYTES_INIT("content"),
    [SAID_NO] = BYTES_INIT("refusal"), [TOOL_CALLS] = BYTES_INIT("tool_calls"),
    [CALL_ID] = BYTES_INIT("tool_call_id"), [CALL_LEGACY] = BYTES_INIT("function_call"),
    [CACHE] = BYTES_INIT("cache_control"), [THOUGHTS] = BYTES_INIT("reasoning_content"),
    [THOUGHTS_SHORT] = BYTES_INIT("reasoning"),
    [THOUGHT_DETAILS] = BYTES_INIT("reasoning_details"), [SPOKEN] = BYTES_INIT("audio"),
};

/* What the model's message has besides its content. */
static void model_message(struct ask *a, const struct node *v)
{
    walk_begin(&a->walk, v[THOUGHT_DETAILS], &a->each[EACH_DETAIL]);
    if (walk_count(&a->walk, v[THOUGHT_DETAILS]) == 0) {
        struct node text = v[THOUGHTS].type == JSON_STRING ? v[THOUGHTS] : v[THOUGHTS_SHORT];
        if (walk_has(walk_inside(text))) {
            struct ask_part *p = hold(a, ASK_THINKING);
            p->text = walk_inside(text);
            p->raw = text;
        }
    }
    if (v[SPOKEN].type == JSON_OBJECT) {
        struct ask_part *p = hold(a, ASK_OTHER);
        p->beside = true;
        p->raw = v[SPOKEN];
    }
    a->at[AT_REFUSAL] = v[SAID_NO];
    a->at[AT_CALLS] = v[TOOL_CALLS];
    a->flags &= ~(uint32_t)LEGACY_CALL;
    if (v[TOOL_CALLS].type == JSON_NONE && v[CALL_LEGACY].type == JSON_OBJECT) {
        a->at[AT_CALLS] = v[CALL_LEGACY];
        a->flags |= LEGACY_CALL;
    }
    walk_begin(&a->walk, a->at[AT_CALLS], &a->each[EACH_CALL]);
}

/* A tool's result begins. Its name may be in the message, else it is the call's. Of a function
 * message no more is known than that it answers the latest call. */
static bool tool_message(struct ask *a, const struct node *v, bool legacy)
{
    struct ask_part *p = hold(a, ASK_RESULT);
    p->id = legacy ? ask_nth_id(a->calls ? a->calls - 1 : 0) : walk_inside(v[CALL_ID]);
    p->cache = v[CACHE];
    a->at[AT_CACHE] = (struct node){0};
    if (!walk_has(p->id)) {
        return wrong(a, "/tool_call_id", false, "a tool message must have a tool_call_id");
    }
    p->name = ask_call_name(a, p->id);
    if (!walk_has(p->name)) p->name = walk_inside(v[NAME]);
    return true;
}

/* A message begins: its members are noted, what is to be said first of it is held. */
static bool message(struct ask *a, struct node raw)
{
    static const struct bytes words[] = {
        BYTES_INIT("system"), BYTES_INIT("developer"), BYTES_INIT("user"),
        BYTES_INIT("assistant"), BYTES_INIT("tool"), BYTES_INIT("function")};
    static const uint8_t roles[] = {ASK_SYSTEM, ASK_DEVELOPER, ASK_USER, ASK_MODEL, ASK_TOOL,
                                    ASK_TOOL};
    struct node v[MEMBERS];
    a->message++;
    walk_members(&a->walk, raw, member_names, MEMBERS, v);
    size_t role = walk_word(&a->walk, v[ROLE], words, COUNT(words));
    if (role == COUNT(words)) {
        return wrong(a, "/role", false, "role must be system, developer, user, assistant or "
                                        "tool");
    }
    bool goes_on = roles[role] == ASK_TOOL && a->role == ASK_TOOL;
    a->role = roles[role];
    if (!goes_on) {
        struct ask_part *p = hold(a, ASK_TURN);
        if (a->role != ASK_TOOL) p->name = walk_inside(v[NAME]);
        p->raw = raw;
    }
    a->stage = DETAILS;
    a->at[AT_CONTENT] = v[BODY];
    a->at[AT_CACHE] = v[CACHE];
    a->at[AT_REFUSAL] = a->at[AT_CALLS] = (struct node){0};
    walk_begin(&a->walk, a->at[AT_CALLS], &a->each[EACH_CALL]);
    walk_begin(&a->walk, a->at[AT_CALLS], &a->each[EACH_DETAIL]);
    if (a->role == ASK_MODEL) model_message(a, v);
    if (a->role == ASK_TOOL && !tool_message(a, v, role == 5)) return false;
    walk_begin(&a->walk, v[BODY], &a->each[EACH_PART]);
    a->element = 0;
    uint64_t last = 0;
    if (a->at[AT_CACHE].type != JSON_NONE) {
        bool empty = v[BODY].type == JSON_STRING && !walk_has(walk_inside(v[BODY]));
        bool calls = v[BODY].type == JSON_NONE || empty;
        last = walk_count(&a->walk, calls ? a->at[AT_CALLS] : v[BODY]);
    }
    a->flags &= (1u << MARKED_SHIFT) - 1;
    a->flags |= (uint32_t)(last < 1u << 23 ? last : 1u << 23) << MARKED_SHIFT;
    return true;
}

/* The message's own mark is that of its last part, or, where it has none, of its last call. */
static struct node mark(const struct ask *a, struct node own)
{
    if (own.type != JSON_NONE || a->at[AT_CACHE].type == JSON_NONE) return own;
    return a->flags >> MARKED_SHIFT == a->element + 1 ? a->at[AT_CACHE] : own;
}

/* One of reasoning_details: OpenRouter's form, and ours for what is signed elsewhere. */
static void detail(struct ask *a, struct node raw)
{
    static const struct bytes names[] = {BYTES_INIT("text"), BYTES_INIT("summary"),
                                         BYTES_INIT("data"), BYTES_INIT("signature")};
    struct node v[COUNT(names)];
    walk_members(&a->walk, raw, names, COUNT(names), v);
    struct walk_span text = walk_inside(v[0].type == JSON_STRING ? v[0] : v[1]);
    struct walk_span sign = walk_inside(v[2].type == JSON_STRING ? v[2] : v[3]);
    if (!walk_has(text) && !walk_has(sign)) return;
    struct ask_part *p = hold(a, ASK_THINKING);
    p->text = text;
    p->signature = sign;
    if (walk_has(sign)) p->maker = ask_maker(&a->walk, &p->signature, MAKER_CHAT);
    p->raw = raw;
}

/* An URL of a part: its data, or where it is. */
static void place(struct ask *a, struct ask_part *p, struct node url)
{
    struct walk_span inside = walk_inside(url);
    if (!ask_data_url(&a->walk, inside, &p->mime, &p->data)) p->url = inside;
}

enum part_type { PART_TEXT, PART_REFUSAL, PART_IMAGE, PART_AUDIO, PART_FILE, PART_VIDEO,
                 PART_THINKING, PART_DOCUMENT, PART_TYPES };
enum { KEY_TYPE = PART_TYPES, KEY_CACHE, KEYS };
/* The member that has what a part of a type says; also the types, but for the last two. */
static const struct bytes part_names[KEYS] = {
    [PART_TEXT] = BYTES_INIT("text"), [PART_REFUSAL] = BYTES_INIT("refusal"),
    [PART_IMAGE] = BYTES_INIT("image_url"), [PART_AUDIO] = BYTES_INIT("input_audio"),
    [PART_FILE] = BYTES_INIT("file"), [PART_VIDEO] = BYTES_INIT("video_url"),
    [PART_THINKING] = BYTES_INIT("thinking"), [PART_DOCUMENT] = BYTES_INIT("document_url"),
    [KEY_TYPE] = BYTES_INIT("type"), [KEY_CACHE] = BYTES_INIT("cache_control"),
};

/* image_url, video_url, document_url: an object with an url, or the url itself. */
static bool linked(struct ask *a, enum ask_kind kind, struct node link)
{
    static const struct bytes names[] = {BYTES_INIT("url"), BYTES_INIT("detail")};
    struct node v[COUNT(names)];
    walk_members(&a->walk, link, names, COUNT(names), v);
    struct node url = link.type == JSON_STRING ? link : v[0];
    if (!walk_has(walk_inside(url))) return wrong(a, "/content", true, "url is missing");
    struct ask_part *p = hold(a, kind);
    place(a, p, url);
    p->detail = walk_inside(v[1]);
    return true;
}

static bool audio(struct ask *a, struct node of)
{
    static const struct bytes names[] = {BYTES_INIT("data"), BYTES_INIT("format")};
    struct node v[COUNT(names)];
    walk_members(&a->walk, of, names, COUNT(names), v);
    if (!walk_has(walk_inside(v[0]))) return wrong(a, "/content", true, "data is missing");
    struct ask_part *p = hold(a, ASK_AUDIO);
    p->data = walk_inside(v[0]);
    p->mime = walk_inside(v[1]);
    return true;
}

/* A file: its data, in an URL (OpenRouter: or where it is), or bare; or its id. */
static bool file(struct ask *a, struct node of)
{
    static const struct bytes names[] = {BYTES_INIT("file_data"), BYTES_INIT("file_id"),
                                         BYTES_INIT("filename")};
    struct node v[COUNT(names)];
    walk_members(&a->walk, of, names, COUNT(names), v);
    struct walk_span data = walk_inside(v[0]);
    if (!walk_has(data) && !walk_has(walk_inside(v[1]))) {
        return wrong(a, "/content", true, "a file must have file_data or file_id");
    }
    struct ask_part *p = hold(a, ASK_DOCUMENT);
    p->file = walk_inside(v[1]);
    p->name = walk_inside(v[2]);
    if (!walk_has(data)) return true;
    struct walk_span start = {data.start, data.start + 4};
    if (data.end - data.start > 8 && walk_is(&a->walk, start, BYTES("http"))) p->url = data;
    else if (!ask_data_url(&a->walk, data, &p->mime, &p->data)) p->data = data;
    return true;
}

/* One part of a message's content. */
static bool content_part(struct ask *a, struct node raw)
{
    struct node v[KEYS];
    walk_members(&a->walk, raw, part_names, KEYS, v);
    size_t type = walk_word(&a->walk, v[KEY_TYPE], part_names, PART_TYPES);
    if (v[KEY_TYPE].type != JSON_STRING) {
        return wrong(a, "/content", true, "a part must be an object with a type");
    }
    uint8_t before = a->held_count;
    bool fine = true;
    switch (type) {
    case PART_TEXT: case PART_REFUSAL:
        if (v[type].type != JSON_STRING) {
            return wrong(a, "/content", true, "text must be a string");
        }
        if (walk_has(walk_inside(v[type]))) {
            hold(a, type == PART_TEXT ? ASK_TEXT : ASK_REFUSAL)->text = walk_inside(v[type]);
        }
        break;
    case PART_IMAGE: fine = linked(a, ASK_IMAGE, v[type]); break;
    case PART_VIDEO: fine = linked(a, ASK_VIDEO, v[type]); break;
    case PART_DOCUMENT: fine = linked(a, ASK_DOCUMENT, v[type]); break;
    case PART_AUDIO: fine = audio(a, v[type]); break;
    case PART_FILE: fine = file(a, v[type]); break;
    case PART_THINKING:
        walk_begin(&a->walk, v[type], &a->each[EACH_DETAIL]);
        a->stage = CHUNKS;
        break;
    default: hold(a, ASK_OTHER); break;
    }
    if (!fine) return false;
    if (a->held_count > before) {
        a->held[before].raw = raw;
        a->held[before].cache = mark(a, v[KEY_CACHE]);
    }
    a->element++;
    return true;
}

/* The message's content, a string or the next of its parts. */
static bool content(struct ask *a)
{
    struct node key, raw;
    struct node all = a->at[AT_CONTENT];
    if (all.type == JSON_ARRAY && walk_next(&a->each[EACH_PART], &key, &raw)) {
        return content_part(a, raw);
    }
    a->stage = REFUSAL;
    if (all.type == JSON_NONE || all.type == JSON_ARRAY) return true;
    if (all.type != JSON_STRING) {
        return wrong(a, "/content", false, "content must be a string or an array of parts");
    }
    if (!walk_has(walk_inside(all))) return true;
    struct ask_part *p = hold(a, ASK_TEXT);
    p->text = walk_inside(all);
    p->cache = a->at[AT_CACHE];
    p->raw = all;
    return true;
}

/* A call: {id, function: {name, arguments}}, {id, custom: {name, input}}, or what is in
 * function_call. */
static bool call(struct ask *a, struct node raw, bool legacy)
{
    static const struct bytes outer[] = {
        BYTES_INIT("id"), BYTES_INIT("function"), BYTES_INIT("custom"),
        BYTES_INIT("extra_content"), BYTES_INIT("cache_control")};
    static const struct bytes inner[] = {BYTES_INIT("name"), BYTES_INIT("arguments"),
                                         BYTES_INIT("input")};
    struct node o[COUNT(outer)], v[COUNT(inner)];
    walk_members(&a->walk, raw, outer, COUNT(outer), o);
    bool custom = !legacy && o[1].type != JSON_OBJECT && o[2].type == JSON_OBJECT;
    struct node of = legacy ? raw : custom ? o[2] : o[1];
    walk_members(&a->walk, of, inner, COUNT(inner), v);
    const char *member = legacy ? "/function_call" : "/tool_calls";
    if (!walk_has(walk_inside(v[0]))) {
        return wrong(a, member, !legacy, "a call must have a function with a name");
    }
    struct ask_part *p = hold(a, ASK_CALL);
    p->custom = custom;
    p->id = walk_inside(o[0]);
    if (!walk_has(p->id)) p->id = ask_nth_id(a->calls);
    p->name = walk_inside(v[0]);
    p->arguments = custom ? v[2] : v[1];
    p->raw = raw;
    p->cache = o[4];
    if (a->at[AT_CONTENT].type != JSON_ARRAY && !walk_has(walk_inside(a->at[AT_CONTENT]))) {
        p->cache = mark(a, o[4]);
    }
    struct node google = walk_member(&a->walk, o[3], BYTES("google"));
    p->signature = walk_inside(walk_member(&a->walk, google, BYTES("thought_signature")));
    if (walk_has(p->signature)) {
        p->maker = ask_maker(&a->walk, &p->signature, MAKER_GEMINI);
    }
    if (p->arguments.type != JSON_NONE && p->arguments.type != JSON_STRING &&
        p->arguments.type != JSON_OBJECT) {
        return wrong(a, member, !legacy, "arguments must be a string");
    }
    ask_note_call(a, p);
    a->element++;
    return true;
}

/* The next step of a message, whatever it makes of it. */
static bool step(struct ask *a)
{
    struct node key, raw;
    switch ((enum stage)a->stage) {
    case MESSAGE:
        if (walk_next(&a->each[EACH_MESSAGE], &key, &raw)) return message(a, raw);
        a->role = NO_ROLE;
        hold(a, ASK_END);
        return true;
    case DETAILS:
        if (walk_next(&a->each[EACH_DETAIL], &key, &raw)) detail(a, raw);
        else a->stage = CONTENT;
        return true;
    case CONTENT: return content(a);
    case CHUNKS:
        if (walk_next(&a->each[EACH_DETAIL], &key, &raw)) detail(a, raw);
        else a->stage = CONTENT;
        return true;
    case REFUSAL:
        a->stage = CALLS;
        a->element = 0;
        if (walk_has(walk_inside(a->at[AT_REFUSAL]))) {
            hold(a, ASK_REFUSAL)->text = walk_inside(a->at[AT_REFUSAL]);
        }
        return true;
    case CALLS:
        if (a->flags & LEGACY_CALL) {
            a->stage = MESSAGE;
            return call(a, a->at[AT_CALLS], true);
        }
        if (walk_next(&a->each[EACH_CALL], &key, &raw)) return call(a, raw, false);
        a->stage = a->role == ASK_TOOL ? RESULT : MESSAGE;
        return true;
    case RESULT:
        hold(a, ASK_RESULT_END);
        a->stage = MESSAGE;
        return true;
    }
    return false;
}

static bool chat_next(struct ask *a, struct ask_part *part)
{
    while (a->held_at == a->held_count) {
        a->held_at = a->held_count = 0;
        if (!step(a)) return false;
    }
    *part = a->held[a->held_at++];
    return true;
}

const struct ask_dialect chat_ask = {
    .open = chat_open, .rewind = chat_rewind, .next = chat_next, .tools = chat_tools,
    .tool = chat_tool, .write = chat_ask_write,
};
