/* responses_ask.c - reads a request of OpenAI's Responses, and of its input_tokens.
 * Model of the conversation (the states of enum stage):
 *   INSTRUCTIONS -> INPUT -> ITEMS <-> CONTENT | OUTPUT | THOUGHTS -> OVER
 * An item is a message, a call, a result or a thought of its own; what the model said in a row
 * is one turn, and so are the results that follow it. Tools stand in `tools`, in namespaces in
 * it, and in items of the input.
 * Rule: what runs at the provider, and is over (a web search, a program), is left out, and so
 * are tools of that kind that the model need not use; what only the provider that keeps it
 * could resolve (item_reference, previous_response_id), and tools of OpenAI's own that the
 * client runs (local_shell), only Responses can say. Source: OpenAI's API reference; Codex's
 * items as it sends them. */
#include <stdio.h>

#include "net/translate/ask.h"
#include "net/translate/responses.h"

enum stage { INSTRUCTIONS, INPUT, ITEMS, CONTENT, OUTPUT, THOUGHTS, OVER };
enum { EACH_ITEM, EACH_PART };                      /* a->each: which pass is which */
enum { TOOLS_LIST, TOOLS_SPACE, TOOLS_ITEM };       /* a->tools_each */
enum { AT_INPUT, AT_INSTRUCTIONS, AT_TOOLS, AT_ALLOWED, AT_SIGNATURE, AT_RAW, AT_SPACE,
       AT_PENDING };                                /* a->at */
enum {
    FRESH = 1,       /* the part that comes begins a turn, whoever spoke before */
    SIGNED = 2,      /* AT_SIGNATURE belongs to the thought that comes */
    PENDING = 4,     /* AT_PENDING is Gemini's signature of the call or text that comes */
    IN_SPACE = 8,    /* tools: inside a namespace */
    IN_ITEMS = 16,   /* tools: those of the input's items */
    OF_TOOLS = IN_SPACE | IN_ITEMS,
};
enum { NOBODY = 255 };

enum root { R_INPUT, R_INSTRUCTIONS, R_TOOLS, R_CHOICE, R_PARALLEL, R_TEXT, R_REASONING,
            R_INCLUDE, R_MAX, R_TEMPERATURE, R_TOP_P, R_LOGPROBS, R_METADATA, R_USER, R_SAFETY,
            R_CACHE_KEY, R_TIER, R_STORE, R_PREVIOUS, R_CONVERSATION, R_PROMPT, R_BACKGROUND,
            R_STREAM, ROOTS };
static const struct bytes root_names[ROOTS] = {
    [R_INPUT] = BYTES_INIT("input"), [R_INSTRUCTIONS] = BYTES_INIT("instructions"),
    [R_TOOLS] = BYTES_INIT("tools"), [R_CHOICE] = BYTES_INIT("tool_choice"),
    [R_PARALLEL] = BYTES_INIT("parallel_tool_calls"), [R_TEXT] = BYTES_INIT("text"),
    [R_REASONING] = BYTES_INIT("reasoning"), [R_INCLUDE] = BYTES_INIT("include"),
    [R_MAX] = BYTES_INIT("max_output_tokens"), [R_TEMPERATURE] = BYTES_INIT("temperature"),
    [R_TOP_P] = BYTES_INIT("top_p"), [R_LOGPROBS] = BYTES_INIT("top_logprobs"),
    [R_METADATA] = BYTES_INIT("metadata"), [R_USER] = BYTES_INIT("user"),
    [R_SAFETY] = BYTES_INIT("safety_identifier"),
    [R_CACHE_KEY] = BYTES_INIT("prompt_cache_key"), [R_TIER] = BYTES_INIT("service_tier"),
    [R_STORE] = BYTES_INIT("store"), [R_PREVIOUS] = BYTES_INIT("previous_response_id"),
    [R_CONVERSATION] = BYTES_INIT("conversation"), [R_PROMPT] = BYTES_INIT("prompt"),
    [R_BACKGROUND] = BYTES_INIT("background"), [R_STREAM] = BYTES_INIT("stream"),
};

enum item { I_TYPE, I_ROLE, I_CONTENT, I_CALL_ID, I_NAME, I_SPACE, I_ARGUMENTS, I_INPUT,
            I_OUTPUT, I_SUMMARY, I_ENCRYPTED, ITEM_NAMES };
static const struct bytes item_names[ITEM_NAMES] = {
    [I_TYPE] = BYTES_INIT("type"), [I_ROLE] = BYTES_INIT("role"),
    [I_CONTENT] = BYTES_INIT("content"), [I_CALL_ID] = BYTES_INIT("call_id"),
    [I_NAME] = BYTES_INIT("name"), [I_SPACE] = BYTES_INIT("namespace"),
    [I_ARGUMENTS] = BYTES_INIT("arguments"), [I_INPUT] = BYTES_INIT("input"),
    [I_OUTPUT] = BYTES_INIT("output"), [I_SUMMARY] = BYTES_INIT("summary"),
    [I_ENCRYPTED] = BYTES_INIT("encrypted_content"),
};

enum part { P_TYPE, P_TEXT, P_REFUSAL, P_IMAGE_URL, P_FILE_ID, P_DETAIL, P_FILE_DATA,
            P_FILE_URL, P_FILENAME, P_AUDIO, PART_NAMES };
static const struct bytes part_names[PART_NAMES] = {
    [P_TYPE] = BYTES_INIT("type"), [P_TEXT] = BYTES_INIT("text"),
    [P_REFUSAL] = BYTES_INIT("refusal"), [P_IMAGE_URL] = BYTES_INIT("image_url"),
    [P_FILE_ID] = BYTES_INIT("file_id"), [P_DETAIL] = BYTES_INIT("detail"),
    [P_FILE_DATA] = BYTES_INIT("file_data"), [P_FILE_URL] = BYTES_INIT("file_url"),
    [P_FILENAME] = BYTES_INIT("filename"), [P_AUDIO] = BYTES_INIT("input_audio"),
};

enum tool { T_TYPE, T_NAME, T_DESCRIPTION, T_PARAMETERS, T_STRICT, T_FORMAT, T_TOOLS,
            TOOL_NAMES };
static const struct bytes tool_names[TOOL_NAMES] = {
    [T_TYPE] = BYTES_INIT("type"), [T_NAME] = BYTES_INIT("name"),
    [T_DESCRIPTION] = BYTES_INIT("description"), [T_PARAMETERS] = BYTES_INIT("parameters"),
    [T_STRICT] = BYTES_INIT("strict"), [T_FORMAT] = BYTES_INIT("format"),
    [T_TOOLS] = BYTES_INIT("tools"),
};

/* Types of items, in the order of item_words. What stands before RAN is read. */
enum kind { MESSAGE, CALL, CUSTOM_CALL, RESULT, CUSTOM_RESULT, REASONING, REFERENCE,
            RAN /* at the provider, or says nothing of the conversation */ };
static const struct bytes item_words[] = {
    BYTES_INIT("message"), BYTES_INIT("function_call"), BYTES_INIT("custom_tool_call"),
    BYTES_INIT("function_call_output"), BYTES_INIT("custom_tool_call_output"),
    BYTES_INIT("reasoning"), BYTES_INIT("item_reference"),
    BYTES_INIT("web_search_call"), BYTES_INIT("file_search_call"),
    BYTES_INIT("code_interpreter_call"), BYTES_INIT("image_generation_call"),
    BYTES_INIT("mcp_list_tools"), BYTES_INIT("mcp_call"), BYTES_INIT("mcp_approval_request"),
    BYTES_INIT("mcp_approval_response"), BYTES_INIT("tool_search_call"),
    BYTES_INIT("tool_search_output"), BYTES_INIT("program"), BYTES_INIT("program_output"),
    BYTES_INIT("additional_tools"), BYTES_INIT("configuration_update"),
};

static struct node of_type(struct node n, enum json_type type)
{
    return n.type == type ? n : (struct node){0};
}

/* The list of tools that an item of the input brings; absent: none. */
static struct node item_tools(const struct walk *w, struct node item)
{
    static const struct bytes words[] = {BYTES_INIT("additional_tools"),
                                         BYTES_INIT("tool_search_output")};
    struct node type = walk_member(w, item, BYTES("type"));
    if (walk_word(w, type, words, COUNT(words)) == COUNT(words)) return (struct node){0};
    return of_type(walk_member(w, item, BYTES("tools")), JSON_ARRAY);
}

/* Only Responses can say it. False, for the caller to return. */
static bool cannot(struct ask *a, const char *pointer, const char *why)
{
    assert(why);
    ask_blame(a, pointer, "%s", why);
    a->unsayable = true;
    return false;
}

/* The pointer of the item in hand, or of a part of it. */
static const char *place(const struct ask *a, char *room, size_t max)
{
    const char *inner = a->stage == OUTPUT ? "output" : a->stage == THOUGHTS ? "summary"
                                                                            : "content";
    if (a->stage == ITEMS) (void)snprintf(room, max, "/input/%u", a->message);
    else (void)snprintf(room, max, "/input/%u/%s/%u", a->message, inner, a->element);
    return room;
}

/* The item, or part, in hand is malformed. */
static bool wrong(struct ask *a, const char *why)
{
    char room[64];
    ask_blame(a, place(a, room, sizeof room), "%s", why);
    return false;
}

/* ---- settings ---- */

static void read_text(struct ask *a, struct node text)
{
    static const struct bytes names[] = {BYTES_INIT("format"), BYTES_INIT("verbosity")};
    static const struct bytes inner[] = {BYTES_INIT("type"), BYTES_INIT("schema"),
        BYTES_INIT("name"), BYTES_INIT("description"), BYTES_INIT("strict")};
    static const struct bytes words[] = {BYTES_INIT("text"), BYTES_INIT("json_object"),
                                         BYTES_INIT("json_schema")};
    static const uint8_t is[] = {API_FORMAT_TEXT, API_FORMAT_JSON, API_FORMAT_SCHEMA,
                                 API_FORMAT_TEXT};
    struct ask_settings *s = &a->settings;
    struct node at[COUNT(names)], in[COUNT(inner)];
    walk_members(&a->walk, text, names, COUNT(names), at);
    walk_members(&a->walk, at[0], inner, COUNT(inner), in);
    s->verbosity = of_type(at[1], JSON_STRING);
    s->format = is[walk_word(&a->walk, in[0], words, COUNT(words))];
    if (s->format != API_FORMAT_SCHEMA) return;
    s->schema = of_type(in[1], JSON_OBJECT);
    if (s->schema.type == JSON_NONE) s->format = API_FORMAT_JSON;
    s->schema_name = walk_inside(in[2]);
    s->schema_text = walk_inside(in[3]);
    if (in[4].type == JSON_TRUE) s->strict = 1;
    if (in[4].type == JSON_FALSE) s->strict = 0;
    static_assert(COUNT(is) == COUNT(words) + 1, "what no word says is text");
}

static void read_reasoning(struct ask *a, struct node reasoning)
{
    static const struct bytes names[] = {BYTES_INIT("effort"), BYTES_INIT("summary"),
                                         BYTES_INIT("generate_summary")};
    static const struct bytes words[] = {BYTES_INIT("none"), BYTES_INIT("minimal"),
        BYTES_INIT("low"), BYTES_INIT("medium"), BYTES_INIT("high"), BYTES_INIT("xhigh"),
        BYTES_INIT("max")};
    static const uint8_t is[] = {API_EFFORT_NONE, API_EFFORT_MINIMAL, API_EFFORT_LOW,
        API_EFFORT_MEDIUM, API_EFFORT_HIGH, API_EFFORT_XHIGH, API_EFFORT_XHIGH,
        API_EFFORT_UNSET};
    struct node at[COUNT(names)];
    walk_members(&a->walk, reasoning, names, COUNT(names), at);
    a->settings.effort = is[walk_word(&a->walk, at[0], words, COUNT(words))];
    if (at[1].type == JSON_STRING || at[2].type == JSON_STRING) a->settings.thoughts = 1;
    static_assert(COUNT(is) == COUNT(words) + 1, "what no word says is unset");
}

static void read_include(struct ask *a, struct node include)
{
    struct walk_each e;
    struct node key, v;
    walk_begin(&a->walk, include, &e);
    while (walk_next(&e, &key, &v)) {
        struct walk_span s = walk_inside(v);
        if (walk_is(&a->walk, s, BYTES("reasoning.encrypted_content"))) {
            a->settings.encrypted = true;
        } else if (walk_is(&a->walk, s, BYTES("message.output_text.logprobs"))) {
            a->settings.logprobs = true;
        }
    }
}

static const struct bytes choice_words[] = {BYTES_INIT("auto"), BYTES_INIT("none"),
                                            BYTES_INIT("required")};
static const uint8_t choice_is[] = {API_CHOICE_AUTO, API_CHOICE_NONE, API_CHOICE_REQUIRED};

/* tool_choice: a word, or which tools may be used, or must. */
static bool read_choice(struct ask *a, struct node choice)
{
    static const struct bytes names[] = {BYTES_INIT("type"), BYTES_INIT("name"),
                                         BYTES_INIT("mode"), BYTES_INIT("tools")};
    static const struct bytes types[] = {BYTES_INIT("function"), BYTES_INIT("custom"),
                                         BYTES_INIT("allowed_tools")};
    struct ask_settings *s = &a->settings;
    struct node at[COUNT(names)];
    size_t word = walk_word(&a->walk, choice, choice_words, COUNT(choice_words));
    if (choice.type == JSON_NONE) return true;
    s->choice_said = true;
    if (word < COUNT(choice_words)) s->choice = choice_is[word];
    if (choice.type != JSON_OBJECT) return true;
    walk_members(&a->walk, choice, names, COUNT(names), at);
    size_t type = walk_word(&a->walk, at[0], types, COUNT(types));
    if (type < 2) {
        s->choice = API_CHOICE_NAMED;
        s->choice_name = walk_inside(at[1]);
        if (walk_has(s->choice_name)) return true;
        ask_blame(a, "/tool_choice", "a tool_choice of type %s needs a name", types[type].ptr);
        return false;
    }
    if (type == 2) {
        word = walk_word(&a->walk, at[2], choice_words, COUNT(choice_words));
        s->choice = word < COUNT(choice_words) ? choice_is[word] : API_CHOICE_AUTO;
        a->at[AT_ALLOWED] = of_type(at[3], JSON_ARRAY);
    } else {
        cannot(a, "/tool_choice", "only the Responses dialect can ask for a hosted tool");
    }
    return true;
}

/* Tools of a list at that place: none is without a name; and without those of OpenAI's own that
 * the client runs, it would wait for calls in vain. outer: namespaces may be among them. */
static bool check_list(struct ask *a, struct node tools, const char *place, bool outer)
{
    enum { NAMESPACE = 2 };
    static const struct bytes words[] = {BYTES_INIT("function"), BYTES_INIT("custom"),
        BYTES_INIT("namespace"), BYTES_INIT("local_shell"), BYTES_INIT("shell"),
        BYTES_INIT("apply_patch"), BYTES_INIT("computer_use_preview"), BYTES_INIT("computer")};
    static const struct bytes names[] = {BYTES_INIT("type"), BYTES_INIT("name"),
                                         BYTES_INIT("tools")};
    struct node at[COUNT(names)], key, tool;
    struct walk_each e;
    char pointer[sizeof a->pointer];
    walk_begin(&a->walk, tools, &e);
    for (uint32_t i = 0; walk_next(&e, &key, &tool); i++) {
        walk_members(&a->walk, tool, names, COUNT(names), at);
        size_t word = walk_word(&a->walk, at[0], words, COUNT(words));
        (void)snprintf(pointer, sizeof pointer, "%s/%u", place, i);
        if (word < NAMESPACE && !walk_has(walk_inside(at[1]))) {
            ask_blame(a, pointer, "a tool of type %s needs a name", words[word].ptr);
            return false;
        }
        if (word > NAMESPACE && word < COUNT(words)) {
            ask_blame(a, pointer, "only the Responses dialect has a tool of type %s",
                      words[word].ptr);
            a->unsayable = true;
        }
        if (word != NAMESPACE || !outer) continue;
        (void)snprintf(pointer, sizeof pointer, "%s/%u/tools", place, i);
        if (!check_list(a, at[2], pointer, false)) return false;
    }
    return true;
}

/* The request's tools, and those that items of the input add. */
static bool check_tools(struct ask *a)
{
    struct walk_each e;
    struct node key, item;
    char place[32];
    if (!check_list(a, a->at[AT_TOOLS], "/tools", true)) return false;
    walk_begin(&a->walk, of_type(a->at[AT_INPUT], JSON_ARRAY), &e);
    for (uint32_t i = 0; walk_next(&e, &key, &item); i++) {
        (void)snprintf(place, sizeof place, "/input/%u/tools", i);
        if (!check_list(a, item_tools(&a->walk, item), place, true)) return false;
    }
    return true;
}

/* What the provider keeps for the client, or does for it later. */
static void check_kept(struct ask *a, const struct node *at)
{
    static const struct { enum root at; const char *pointer, *why; } kept[] = {
        {R_PREVIOUS, "/previous_response_id",
         "previous_response_id can be resolved only by the provider that keeps the response"},
        {R_CONVERSATION, "/conversation",
         "conversation can be resolved only by the provider that keeps it"},
        {R_PROMPT, "/prompt", "prompt can be resolved only by the provider that keeps it"},
    };
    for (size_t i = 0; i < COUNT(kept); i++) {
        if (at[kept[i].at].type != JSON_NONE) cannot(a, kept[i].pointer, kept[i].why);
    }
    if (at[R_BACKGROUND].type == JSON_TRUE) {
        cannot(a, "/background", "only the Responses dialect can answer in the background");
    }
    if (!a->settings.store) return;
    cannot(a, "/store", "store: true is possible only where the provider speaks Responses");
}

static void read_numbers(struct ask *a, const struct node *at)
{
    struct ask_settings *s = &a->settings;
    if (!walk_int(&a->walk, at[R_MAX], &s->max_tokens)) s->max_tokens = -1;
    if (!walk_int(&a->walk, at[R_LOGPROBS], &s->top_logprobs)) s->top_logprobs = -1;
    if (s->top_logprobs > 0) s->logprobs = true;
    s->temperature = of_type(at[R_TEMPERATURE], JSON_NUMBER);
    s->top_p = of_type(at[R_TOP_P], JSON_NUMBER);
    if (at[R_PARALLEL].type == JSON_TRUE) s->parallel = 1;
    if (at[R_PARALLEL].type == JSON_FALSE) s->parallel = 0;
}

static bool open_responses(struct ask *a)
{
    struct ask_settings *s = &a->settings;
    struct node at[ROOTS];
    assert(a->root.type == JSON_OBJECT);
    walk_members(&a->walk, a->root, root_names, ROOTS, at);
    struct node input = at[R_INPUT];
    if (input.type != JSON_STRING && input.type != JSON_ARRAY && input.type != JSON_NONE) {
        ask_blame(a, "/input", "input must be a string or an array");
        return false;
    }
    a->at[AT_INPUT] = input;
    a->at[AT_INSTRUCTIONS] = at[R_INSTRUCTIONS];
    a->at[AT_TOOLS] = of_type(at[R_TOOLS], JSON_ARRAY);
    a->at[AT_ALLOWED] = (struct node){0};
    read_numbers(a, at);
    read_text(a, at[R_TEXT]);
    read_reasoning(a, at[R_REASONING]);
    read_include(a, at[R_INCLUDE]);
    if (!read_choice(a, at[R_CHOICE])) return false;
    s->metadata = of_type(at[R_METADATA], JSON_OBJECT);
    s->user = of_type(at[R_USER], JSON_STRING);
    if (s->user.type == JSON_NONE) s->user = of_type(at[R_SAFETY], JSON_STRING);
    s->cache_key = of_type(at[R_CACHE_KEY], JSON_STRING);
    s->tier = of_type(at[R_TIER], JSON_STRING);
    s->stream = at[R_STREAM].type == JSON_TRUE;
    s->store = at[R_STORE].type == JSON_TRUE;
    check_kept(a, at);
    return check_tools(a);
}

/* ---- the conversation ---- */

static void rewind_responses(struct ask *a)
{
    a->stage = INSTRUCTIONS;
    a->flags &= OF_TOOLS;
    a->held_at = a->held_count = 0;
    a->message = a->element = UINT32_MAX;   /* so that the first is 0 */
    a->role = NOBODY;
}

static struct ask_part *hold(struct ask *a, enum ask_kind kind)
{
    assert(a->held_count < COUNT(a->held));
    struct ask_part *part = &a->held[a->held_count++];
    *part = (struct ask_part){.kind = (uint8_t)kind, .role = a->role};
    return part;
}

/* What comes is said by role: of the model, and of tools, it is the same turn as before. */
static void turn(struct ask *a, enum ask_role role)
{
    bool joins = role == ASK_MODEL || role == ASK_TOOL;
    if (a->role != role || !joins) {
        a->role = (uint8_t)role;
        a->flags |= FRESH;
    }
}

/* A part of the turn, which begins here where it has not. */
static struct ask_part *hold_said(struct ask *a, enum ask_kind kind)
{
    assert(a->role != NOBODY);
    if (a->flags & FRESH) hold(a, ASK_TURN);
    a->flags &= ~(unsigned)FRESH;
    struct ask_part *part = hold(a, kind);
    part->inside = a->stage == OUTPUT && kind != ASK_RESULT && kind != ASK_RESULT_END;
    if (a->flags & PENDING && (kind == ASK_CALL || kind == ASK_TEXT)) {
        if (a->role == ASK_MODEL) {
            part->signature = walk_inside(a->at[AT_PENDING]);
            part->maker = ask_maker(&a->walk, &part->signature, MAKER_RESPONSES);
        }
        a->flags &= ~(unsigned)PENDING;
    }
    return part;
}

static void hold_text(struct ask *a, struct walk_span text)
{
    if (walk_has(text)) hold_said(a, ASK_TEXT)->text = text;
}

static bool read_image(struct ask *a, const struct node *at)
{
    struct walk_span url = walk_inside(at[P_IMAGE_URL]);
    if (at[P_IMAGE_URL].type != JSON_STRING && at[P_FILE_ID].type != JSON_STRING) {
        return wrong(a, "an input_image needs image_url or file_id");
    }
    struct ask_part *part = hold_said(a, ASK_IMAGE);
    if (!ask_data_url(&a->walk, url, &part->mime, &part->data)) part->url = url;
    if (!walk_has(url)) part->file = walk_inside(at[P_FILE_ID]);
    part->detail = walk_inside(at[P_DETAIL]);
    return true;
}

static bool read_file(struct ask *a, const struct node *at)
{
    struct walk_span data = walk_inside(at[P_FILE_DATA]);
    struct walk_span url = walk_inside(at[P_FILE_URL]), file = walk_inside(at[P_FILE_ID]);
    if (!walk_has(data) && !walk_has(url) && !walk_has(file)) {
        return wrong(a, "an input_file needs file_data, file_url or file_id");
    }
    struct ask_part *part = hold_said(a, ASK_DOCUMENT);
    part->name = walk_inside(at[P_FILENAME]);
    if (walk_has(data)) {
        if (!ask_data_url(&a->walk, data, &part->mime, &part->data)) part->data = data;
    } else if (walk_has(url)) {
        part->url = url;
    } else {
        part->file = file;
    }
    return true;
}

static bool read_audio(struct ask *a, struct node audio)
{
    struct node data = walk_member(&a->walk, audio, BYTES("data"));
    struct node format = walk_member(&a->walk, audio, BYTES("format"));
    if (data.type != JSON_STRING) return wrong(a, "an input_audio needs data");
    struct ask_part *part = hold_said(a, ASK_AUDIO);
    part->data = walk_inside(data);
    part->mime = walk_inside(format);
    return true;
}

/* A part of a message's content, or of a result. */
static bool read_part(struct ask *a, struct node value)
{
    static const struct bytes words[] = {BYTES_INIT("input_text"), BYTES_INIT("output_text"),
        BYTES_INIT("text"), BYTES_INIT("refusal"), BYTES_INIT("input_image"),
        BYTES_INIT("input_file"), BYTES_INIT("input_audio")};
    char room[64];
    struct node at[PART_NAMES];
    walk_members(&a->walk, value, part_names, PART_NAMES, at);
    switch (walk_word(&a->walk, at[P_TYPE], words, COUNT(words))) {
    case 0: case 1: case 2:
        if (at[P_TEXT].type != JSON_STRING) return wrong(a, "text must be a string");
        hold_text(a, walk_inside(at[P_TEXT]));
        return true;
    case 3:
        if (at[P_REFUSAL].type != JSON_STRING) return wrong(a, "refusal must be a string");
        hold_said(a, ASK_REFUSAL)->text = walk_inside(at[P_REFUSAL]);
        return true;
    case 4: return read_image(a, at);
    case 5: return read_file(a, at);
    case 6: return read_audio(a, at[P_AUDIO]);
    default: break;
    }
    if (at[P_TYPE].type != JSON_STRING) return wrong(a, "a part needs a type");
    return cannot(a, place(a, room, sizeof room),
                  "only the Responses dialect has parts of that type");
}

static bool read_message(struct ask *a, const struct node *at)
{
    static const struct bytes words[] = {BYTES_INIT("user"), BYTES_INIT("assistant"),
                                         BYTES_INIT("system"), BYTES_INIT("developer")};
    static const enum ask_role is[] = {ASK_USER, ASK_MODEL, ASK_SYSTEM, ASK_DEVELOPER};
    size_t word = walk_word(&a->walk, at[I_ROLE], words, COUNT(words));
    if (word == COUNT(words)) {
        return wrong(a, "role must be user, assistant, system or developer");
    }
    turn(a, is[word]);
    if (at[I_CONTENT].type == JSON_STRING) {
        hold_text(a, walk_inside(at[I_CONTENT]));
        return true;
    }
    if (at[I_CONTENT].type != JSON_ARRAY) {
        return wrong(a, "content must be a string or an array");
    }
    walk_begin(&a->walk, at[I_CONTENT], &a->each[EACH_PART]);
    a->element = UINT32_MAX;
    a->stage = CONTENT;
    return true;
}

static bool read_call(struct ask *a, const struct node *at, bool custom)
{
    struct node arguments = at[custom ? I_INPUT : I_ARGUMENTS];
    if (at[I_CALL_ID].type != JSON_STRING || at[I_NAME].type != JSON_STRING) {
        return wrong(a, "a call needs call_id and name");
    }
    if (arguments.type != JSON_STRING && arguments.type != JSON_NONE) {
        return wrong(a, custom ? "input must be a string" : "arguments must be a string");
    }
    turn(a, ASK_MODEL);
    struct ask_part *part = hold_said(a, ASK_CALL);
    part->custom = custom;
    part->id = walk_inside(at[I_CALL_ID]);
    part->name = walk_inside(at[I_NAME]);
    part->space = walk_inside(at[I_SPACE]);
    part->arguments = arguments;
    ask_note_call(a, part);
    return true;
}

static bool read_result(struct ask *a, const struct node *at, bool custom)
{
    if (at[I_CALL_ID].type != JSON_STRING) return wrong(a, "a result needs call_id");
    turn(a, ASK_TOOL);
    struct ask_part *part = hold_said(a, ASK_RESULT);
    part->custom = custom;
    part->id = walk_inside(at[I_CALL_ID]);
    a->stage = OUTPUT;
    walk_begin(&a->walk, of_type(at[I_OUTPUT], JSON_ARRAY), &a->each[EACH_PART]);
    a->element = UINT32_MAX;
    if (at[I_OUTPUT].type == JSON_STRING) hold_text(a, walk_inside(at[I_OUTPUT]));
    else if (at[I_OUTPUT].type == JSON_OBJECT) hold_said(a, ASK_TEXT)->value = at[I_OUTPUT];
    return true;
}

/* A thought in parts: each is one of its own, and the first has the signature. One without text
 * is what the answer's writer made of a signature of Gemini's: it belongs to what follows. */
static bool read_reasoning_item(struct ask *a, const struct node *at, struct node item)
{
    struct node list = at[I_SUMMARY];
    if (walk_count(&a->walk, list) == 0) list = at[I_CONTENT];
    bool texts = walk_count(&a->walk, list) > 0;
    struct walk_span signature = walk_inside(at[I_ENCRYPTED]);
    uint8_t maker = ask_maker(&a->walk, &signature, MAKER_RESPONSES);
    if (!texts && !walk_has(signature)) return true;
    turn(a, ASK_MODEL);
    if (!texts && maker == MAKER_GEMINI) {
        a->at[AT_PENDING] = at[I_ENCRYPTED];
        a->flags |= PENDING;
    } else if (!texts) {
        struct ask_part *part = hold_said(a, ASK_THINKING);
        part->signature = signature;
        part->maker = maker;
        part->raw = item;
    } else {
        a->at[AT_SIGNATURE] = at[I_ENCRYPTED];
        a->at[AT_RAW] = item;
        a->flags |= SIGNED;
        walk_begin(&a->walk, list, &a->each[EACH_PART]);
        a->element = UINT32_MAX;
        a->stage = THOUGHTS;
    }
    return true;
}

static bool read_thought(struct ask *a, struct node value)
{
    struct walk_span text = walk_inside(walk_member(&a->walk, value, BYTES("text")));
    bool first = a->flags & SIGNED;
    if (!walk_has(text) && !first) return true;
    struct ask_part *part = hold_said(a, ASK_THINKING);
    part->text = text;
    if (!first) return true;
    a->flags &= ~(unsigned)SIGNED;
    part->signature = walk_inside(a->at[AT_SIGNATURE]);
    part->raw = a->at[AT_RAW];
    if (walk_has(part->signature)) {
        part->maker = ask_maker(&a->walk, &part->signature, MAKER_RESPONSES);
    }
    return true;
}

static bool read_item(struct ask *a, struct node item)
{
    char room[64], type[64];
    struct node at[ITEM_NAMES];
    if (item.type != JSON_OBJECT) return wrong(a, "an item must be an object");
    walk_members(&a->walk, item, item_names, ITEM_NAMES, at);
    if (at[I_TYPE].type == JSON_NONE) return read_message(a, at);
    size_t kind = walk_word(&a->walk, at[I_TYPE], item_words, COUNT(item_words));
    switch (kind) {
    case MESSAGE: return read_message(a, at);
    case CALL: case CUSTOM_CALL: return read_call(a, at, kind == CUSTOM_CALL);
    case RESULT: case CUSTOM_RESULT: return read_result(a, at, kind == CUSTOM_RESULT);
    case REASONING: return read_reasoning_item(a, at, item);
    case REFERENCE:
        return cannot(a, place(a, room, sizeof room), "an item_reference can be resolved only "
                      "by the provider that keeps it: send the item whole (store: false)");
    default: break;
    }
    if (kind < COUNT(item_words)) return true;  /* RAN, and the like */
    struct walk_span first = walk_inside(at[I_TYPE]);   /* as much of it as is told */
    if (first.end - first.start > sizeof type) first.end = first.start + sizeof type;
    struct bytes name = walk_bytes(&a->walk, first, type, sizeof type);
    ask_blame(a, place(a, room, sizeof room),
              "only the Responses dialect has items of type %.*s", (int)name.len, name.ptr);
    a->unsayable = true;
    return false;
}

/* One step through the request: none, or some, parts are held behind it. */
static bool step(struct ask *a)
{
    struct node key, value;
    switch ((enum stage)a->stage) {
    case INSTRUCTIONS:
        a->stage = INPUT;
        turn(a, ASK_SYSTEM);
        hold_text(a, walk_inside(a->at[AT_INSTRUCTIONS]));
        return true;
    case INPUT:
        a->stage = a->at[AT_INPUT].type == JSON_ARRAY ? ITEMS : OVER;
        turn(a, ASK_USER);
        if (a->stage == OVER) hold_text(a, walk_inside(a->at[AT_INPUT]));
        walk_begin(&a->walk, a->at[AT_INPUT], &a->each[EACH_ITEM]);
        return true;
    case ITEMS:
        if (walk_next(&a->each[EACH_ITEM], &key, &value)) {
            a->message++;
            return read_item(a, value);
        }
        a->stage = OVER;
        return true;
    case CONTENT: case OUTPUT: case THOUGHTS:
        if (walk_next(&a->each[EACH_PART], &key, &value)) {
            a->element++;
            return a->stage == THOUGHTS ? read_thought(a, value) : read_part(a, value);
        }
        if (a->stage == OUTPUT) hold_said(a, ASK_RESULT_END);
        a->stage = ITEMS;
        return true;
    case OVER: break;
    }
    assert(a->stage == OVER);
    hold(a, ASK_END);
    return true;
}

static bool next_responses(struct ask *a, struct ask_part *part)
{
    while (a->held_at == a->held_count) {
        a->held_at = a->held_count = 0;
        if (!step(a)) return false;
    }
    assert(a->held_at < a->held_count);
    *part = a->held[a->held_at++];
    return true;
}

/* ---- tools ---- */

static void tools_responses(struct ask *a)
{
    a->flags &= ~(unsigned)OF_TOOLS;
    walk_begin(&a->walk, a->at[AT_TOOLS], &a->tools_each[TOOLS_LIST]);
}

/* May the model use it? allowed_tools leaves the others out. */
static bool is_allowed(const struct ask *a, struct walk_span name)
{
    struct walk_each e;
    struct node key, v;
    if (a->at[AT_ALLOWED].type == JSON_NONE) return true;
    uint64_t hash = walk_hash(&a->walk, name);  /* names may be of any length */
    walk_begin(&a->walk, a->at[AT_ALLOWED], &e);
    while (walk_next(&e, &key, &v)) {
        struct node other = walk_member(&a->walk, v, BYTES("name"));
        if (other.type == JSON_STRING &&
            walk_hash(&a->walk, walk_inside(other)) == hash) return true;
    }
    return false;
}

/* False: it is none that the model must be offered: one of the provider's own. */
static bool read_tool(struct ask *a, struct node value, struct ask_tool *tool)
{
    static const struct bytes words[] = {BYTES_INIT("function"), BYTES_INIT("custom")};
    static const uint8_t is[] = {ASK_FUNCTION, ASK_CUSTOM};
    struct node at[TOOL_NAMES];
    walk_members(&a->walk, value, tool_names, TOOL_NAMES, at);
    size_t word = walk_word(&a->walk, at[T_TYPE], words, COUNT(words));
    if (word == COUNT(words) || at[T_NAME].type != JSON_STRING) return false;
    if (!is_allowed(a, walk_inside(at[T_NAME]))) return false;
    *tool = (struct ask_tool){.kind = is[word], .strict = -1, .raw = value,
                              .name = walk_inside(at[T_NAME]),
                              .description = walk_inside(at[T_DESCRIPTION])};
    if (a->flags & IN_SPACE) tool->space = walk_inside(a->at[AT_SPACE]);
    if (tool->kind == ASK_FUNCTION) tool->schema = of_type(at[T_PARAMETERS], JSON_OBJECT);
    else tool->format = of_type(at[T_FORMAT], JSON_OBJECT);
    if (at[T_STRICT].type == JSON_TRUE) tool->strict = 1;
    if (at[T_STRICT].type == JSON_FALSE) tool->strict = 0;
    return true;
}

/* Begin a namespace, if it is one. */
static bool enter_space(struct ask *a, struct node value)
{
    struct node at[TOOL_NAMES];
    walk_members(&a->walk, value, tool_names, TOOL_NAMES, at);
    if (!walk_is(&a->walk, walk_inside(at[T_TYPE]), BYTES("namespace"))) return false;
    a->at[AT_SPACE] = at[T_NAME];
    a->flags |= IN_SPACE;
    walk_begin(&a->walk, at[T_TOOLS], &a->tools_each[TOOLS_SPACE]);
    return true;
}

/* Begin the next list of tools among the input's items. False: there is none. */
static bool enter_item(struct ask *a)
{
    struct node key, item;
    if (!(a->flags & IN_ITEMS)) {
        a->flags |= IN_ITEMS;
        walk_begin(&a->walk, of_type(a->at[AT_INPUT], JSON_ARRAY), &a->tools_each[TOOLS_ITEM]);
    }
    while (walk_next(&a->tools_each[TOOLS_ITEM], &key, &item)) {
        struct node tools = item_tools(&a->walk, item);
        if (tools.type == JSON_NONE) continue;
        walk_begin(&a->walk, tools, &a->tools_each[TOOLS_LIST]);
        return true;
    }
    return false;
}

static bool tool_responses(struct ask *a, struct ask_tool *tool)
{
    struct node key, value;
    for (;;) {
        if (a->flags & IN_SPACE) {
            if (!walk_next(&a->tools_each[TOOLS_SPACE], &key, &value)) {
                a->flags &= ~(unsigned)IN_SPACE;
            } else if (read_tool(a, value, tool)) {
                return true;
            }
        } else if (walk_next(&a->tools_each[TOOLS_LIST], &key, &value)) {
            if (!enter_space(a, value) && read_tool(a, value, tool)) return true;
        } else if (!enter_item(a)) {
            return false;
        }
    }
}

const struct ask_dialect responses_ask = {
    .open = open_responses, .rewind = rewind_responses, .next = next_responses,
    .tools = tools_responses, .tool = tool_responses, .write = responses_ask_write,
};
