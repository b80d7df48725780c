/* messages_ask.c - reads a request of Anthropic's Messages, and of its count_tokens.
 * Model of the conversation (the states of enum stage):
 *   SYSTEM -> SYSTEM_BLOCKS -> MESSAGES <-> BLOCKS <-> RESULT
 *                                             \-> PARTS <-/    a document made of blocks
 * Turns are cut where the neutral form has them: results of tools are a turn of their own, and
 * what a user says beside them another. A message of role system is a turn like any other.
 * Rule: a block of a kind that is not known here is ASK_OTHER, raw; what is known but misshapen
 * is wrong, and the place is told. Source: Anthropic's API reference; its betas as agents use
 * them (system turns, output_config, thinking display). */
#include <stdio.h>

#include "net/translate/ask.h"
#include "net/translate/messages.h"

enum stage { SYSTEM, SYSTEM_BLOCKS, MESSAGES, BLOCKS, RESULT, PARTS, OVER };
enum { LIST, CONTENT, INNER, PART };    /* a->each: which pass is which */
enum { AT_SYSTEM, AT_MESSAGES, AT_TOOLS, AT_SIGNATURE };    /* a->at */
enum { INSIDE = 1,      /* what is read belongs to a result */
       SIGNED = 2,      /* AT_SIGNATURE waits for the call it belongs to */
       TURN = 4 };      /* the turn of a->role has begun in this message */
enum { NOWHERE = -1 };  /* a->message, a->element: before the first */

enum root { R_SYSTEM, R_MESSAGES, R_TOOLS, R_CHOICE, R_MAX, R_TEMPERATURE, R_TOP_P, R_TOP_K,
            R_STOP, R_STREAM, R_METADATA, R_TIER, R_THINKING, R_CONFIG, R_FORMAT, R_CONTAINER,
            R_SERVERS, R_THREAD, ROOTS };
static const struct bytes root_names[ROOTS] = {
    [R_SYSTEM] = BYTES_INIT("system"), [R_MESSAGES] = BYTES_INIT("messages"),
    [R_TOOLS] = BYTES_INIT("tools"), [R_CHOICE] = BYTES_INIT("tool_choice"),
    [R_MAX] = BYTES_INIT("max_tokens"), [R_TEMPERATURE] = BYTES_INIT("temperature"),
    [R_TOP_P] = BYTES_INIT("top_p"), [R_TOP_K] = BYTES_INIT("top_k"),
    [R_STOP] = BYTES_INIT("stop_sequences"), [R_STREAM] = BYTES_INIT("stream"),
    [R_METADATA] = BYTES_INIT("metadata"), [R_TIER] = BYTES_INIT("service_tier"),
    [R_THINKING] = BYTES_INIT("thinking"), [R_CONFIG] = BYTES_INIT("output_config"),
    [R_FORMAT] = BYTES_INIT("output_format"), [R_CONTAINER] = BYTES_INIT("container"),
    [R_SERVERS] = BYTES_INIT("mcp_servers"), [R_THREAD] = BYTES_INIT("thread"),
};

enum block { B_TYPE, B_TEXT, B_CACHE, B_SOURCE, B_ID, B_NAME, B_INPUT, B_USE_ID, B_CONTENT,
             B_ERROR, B_THINKING, B_SIGNATURE, B_DATA, B_TITLE, B_CONTEXT, BLOCK_NAMES };
static const struct bytes block_names[BLOCK_NAMES] = {
    [B_TYPE] = BYTES_INIT("type"), [B_TEXT] = BYTES_INIT("text"),
    [B_CACHE] = BYTES_INIT("cache_control"), [B_SOURCE] = BYTES_INIT("source"),
    [B_ID] = BYTES_INIT("id"), [B_NAME] = BYTES_INIT("name"), [B_INPUT] = BYTES_INIT("input"),
    [B_USE_ID] = BYTES_INIT("tool_use_id"), [B_CONTENT] = BYTES_INIT("content"),
    [B_ERROR] = BYTES_INIT("is_error"), [B_THINKING] = BYTES_INIT("thinking"),
    [B_SIGNATURE] = BYTES_INIT("signature"), [B_DATA] = BYTES_INIT("data"),
    [B_TITLE] = BYTES_INIT("title"), [B_CONTEXT] = BYTES_INIT("context"),
};

/* ---- settings ---- */

static void read_thinking(struct ask *a, struct node thinking)
{
    static const struct bytes names[] = {BYTES_INIT("type"), BYTES_INIT("budget_tokens"),
                                         BYTES_INIT("display")};
    static const struct bytes words[] = {BYTES_INIT("disabled"), BYTES_INIT("enabled"),
                                         BYTES_INIT("adaptive")};
    static const uint8_t is[] = {THINKING_OFF, THINKING_ON, THINKING_ADAPTIVE, THINKING_UNSET};
    struct ask_settings *s = &a->settings;
    struct node at[COUNT(names)];
    walk_members(&a->walk, thinking, names, COUNT(names), at);
    s->thinking = is[walk_word(&a->walk, at[0], words, COUNT(words))];
    if (s->thinking == THINKING_OFF) s->effort = API_EFFORT_NONE;
    if (s->thinking == THINKING_ON && !walk_int(&a->walk, at[1], &s->budget)) s->budget = -1;
    if (at[2].type == JSON_STRING) {
        s->thoughts = !walk_is(&a->walk, walk_inside(at[2]), BYTES("omitted"));
    }
    static_assert(COUNT(is) == COUNT(words) + 1, "what no word says is unset");
}

/* output_config, and the older output_format beside it. */
static void read_config(struct ask *a, struct node config, struct node format)
{
    static const struct bytes names[] = {BYTES_INIT("effort"), BYTES_INIT("format")};
    static const struct bytes words[] = {BYTES_INIT("low"), BYTES_INIT("medium"),
        BYTES_INIT("high"), BYTES_INIT("xhigh"), BYTES_INIT("max")};
    static const uint8_t is[] = {API_EFFORT_LOW, API_EFFORT_MEDIUM, API_EFFORT_HIGH,
                                 API_EFFORT_XHIGH, API_EFFORT_XHIGH, API_EFFORT_UNSET};
    struct ask_settings *s = &a->settings;
    struct node at[COUNT(names)];
    walk_members(&a->walk, config, names, COUNT(names), at);
    s->effort = is[walk_word(&a->walk, at[0], words, COUNT(words))];
    if (at[1].type == JSON_OBJECT) format = at[1];
    struct node type = walk_member(&a->walk, format, BYTES("type"));
    if (!walk_is(&a->walk, walk_inside(type), BYTES("json_schema"))) return;
    s->schema = walk_member(&a->walk, format, BYTES("schema"));
    if (s->schema.type != JSON_OBJECT) s->schema = (struct node){0};
    s->format = s->schema.type == JSON_OBJECT ? API_FORMAT_SCHEMA : API_FORMAT_JSON;
    static_assert(COUNT(is) == COUNT(words) + 1, "what no word says is unset");
}

static void read_choice(struct ask *a, struct node choice)
{
    static const struct bytes names[] = {BYTES_INIT("type"), BYTES_INIT("name"),
                                         BYTES_INIT("disable_parallel_tool_use")};
    static const struct bytes words[] = {BYTES_INIT("auto"), BYTES_INIT("any"),
                                         BYTES_INIT("tool"), BYTES_INIT("none")};
    static const uint8_t is[] = {API_CHOICE_AUTO, API_CHOICE_REQUIRED, API_CHOICE_NAMED,
                                 API_CHOICE_NONE};
    struct ask_settings *s = &a->settings;
    struct node at[COUNT(names)];
    walk_members(&a->walk, choice, names, COUNT(names), at);
    size_t word = walk_word(&a->walk, at[0], words, COUNT(words));
    if (word < COUNT(words)) s->choice = is[word], s->choice_said = true;
    if (s->choice == API_CHOICE_NAMED) s->choice_name = walk_inside(at[1]);
    if (at[2].type == JSON_TRUE || at[2].type == JSON_FALSE) {
        s->parallel = at[2].type == JSON_FALSE;
    }
}

static struct node number(struct node n)
{
    return n.type == JSON_NUMBER ? n : (struct node){0};
}

static struct node string(struct node n)
{
    return n.type == JSON_STRING ? n : (struct node){0};
}

/* What only Anthropic can do: without such servers, containers and conversations that it holds
 * the answer would be another one. */
static void read_only(struct ask *a, const struct node *at)
{
    bool container = at[R_CONTAINER].type != JSON_NONE;
    bool servers = walk_count(&a->walk, at[R_SERVERS]) > 0;
    bool thread = at[R_THREAD].type != JSON_NONE;
    a->unsayable = container || servers || thread;
    if (a->unsayable) {
        ask_blame(a, thread ? "/thread" : container ? "/container" : "/mcp_servers",
                  "only the Anthropic dialect has a way to say this");
    }
}

/* Is it one that the client runs, and not Anthropic? */
static bool is_clients(const struct walk *w, struct node type)
{
    return type.type == JSON_NONE || walk_is(w, walk_inside(type), BYTES("custom"));
}

/* A tool is offered, and asked for, by its name. */
static bool check_tools(struct ask *a)
{
    static const struct bytes names[] = {BYTES_INIT("type"), BYTES_INIT("name")};
    struct walk_each each;
    struct node key, raw, at[COUNT(names)];
    char pointer[32];
    walk_begin(&a->walk, a->at[AT_TOOLS], &each);
    for (uint32_t i = 0; walk_next(&each, &key, &raw); i++) {
        walk_members(&a->walk, raw, names, COUNT(names), at);
        if (!is_clients(&a->walk, at[0]) || walk_has(walk_inside(at[1]))) continue;
        (void)snprintf(pointer, sizeof pointer, "/tools/%u", i);
        ask_blame(a, pointer, "a tool must have a name");
        return false;
    }
    const struct ask_settings *s = &a->settings;
    if (s->choice != API_CHOICE_NAMED || walk_has(s->choice_name)) return true;
    ask_blame(a, "/tool_choice", "a tool_choice of type tool must have a name");
    return false;
}

static bool open_messages(struct ask *a)
{
    struct ask_settings *s = &a->settings;
    struct node at[ROOTS];
    assert(a->root.type == JSON_OBJECT);
    walk_members(&a->walk, a->root, root_names, ROOTS, at);
    if (at[R_MESSAGES].type != JSON_ARRAY) {
        ask_blame(a, "/messages", "messages must be an array");
        return false;
    }
    a->at[AT_SYSTEM] = at[R_SYSTEM];
    a->at[AT_MESSAGES] = at[R_MESSAGES];
    a->at[AT_TOOLS] = at[R_TOOLS];
    if (!walk_int(&a->walk, at[R_MAX], &s->max_tokens)) s->max_tokens = -1;
    s->temperature = number(at[R_TEMPERATURE]);
    s->top_p = number(at[R_TOP_P]);
    s->top_k = number(at[R_TOP_K]);
    if (walk_count(&a->walk, at[R_STOP]) > 0) s->stop = at[R_STOP];
    s->stream = at[R_STREAM].type == JSON_TRUE;
    s->user = string(walk_member(&a->walk, at[R_METADATA], BYTES("user_id")));
    /* Its other word, standard_only, no other dialect knows. */
    if (walk_is(&a->walk, walk_inside(at[R_TIER]), BYTES("auto"))) s->tier = at[R_TIER];
    read_config(a, at[R_CONFIG], at[R_FORMAT]);
    read_thinking(a, at[R_THINKING]);
    read_choice(a, at[R_CHOICE]);
    read_only(a, at);
    return check_tools(a);
}

/* ---- the conversation ---- */

static struct ask_part *hold(struct ask *a, enum ask_kind kind)
{
    assert(a->held_count < COUNT(a->held));
    struct ask_part *part = &a->held[a->held_count++];
    *part = (struct ask_part){.kind = (uint8_t)kind, .role = a->role,
                              .inside = kind != ASK_TURN && (a->flags & INSIDE) != 0};
    return part;
}

static void hold_turn(struct ask *a, enum ask_role role, struct node raw)
{
    if ((a->flags & TURN) != 0 && a->role == role) return;
    a->role = (uint8_t)role;
    a->flags |= TURN;
    hold(a, ASK_TURN)->raw = raw;
}

/* An empty text says nothing, and some providers refuse it. */
static void hold_text(struct ask *a, struct walk_span text, struct node raw, struct node cache)
{
    if (!walk_has(text)) return;
    struct ask_part *part = hold(a, ASK_TEXT);
    part->text = text;
    part->raw = raw;
    part->cache = cache;
}

static bool blame_block(struct ask *a, const char *what)
{
    char pointer[sizeof a->pointer];
    if (a->stage <= SYSTEM_BLOCKS) {
        snprintf(pointer, sizeof pointer, "/system/%u", a->element);
    } else if (a->element == (uint32_t)NOWHERE) {
        snprintf(pointer, sizeof pointer, "/messages/%u", a->message);
    } else {
        snprintf(pointer, sizeof pointer, "/messages/%u/content/%u", a->message, a->element);
    }
    ask_blame(a, pointer, "%s", what);
    return false;
}

/* The signature of a call that Gemini made stands in a thinking block of its own before it;
 * where no call follows it is a thought. */
static void flush_signature(struct ask *a)
{
    if ((a->flags & SIGNED) == 0) return;
    struct ask_part *part = hold(a, ASK_THINKING);
    part->signature = (struct walk_span){a->at[AT_SIGNATURE].start, a->at[AT_SIGNATURE].end};
    part->maker = MAKER_GEMINI;
    a->flags &= ~(uint32_t)SIGNED;
}

static void read_thought(struct ask *a, struct walk_span text, struct walk_span signature,
                         struct node raw)
{
    uint8_t maker = MAKER_NONE;
    if (walk_has(signature)) maker = ask_maker(&a->walk, &signature, MAKER_MESSAGES);
    if (maker == MAKER_GEMINI && !walk_has(text) && walk_has(signature)) {
        a->at[AT_SIGNATURE] = (struct node){.start = signature.start, .end = signature.end};
        a->flags |= SIGNED;
        return;
    }
    struct ask_part *part = hold(a, ASK_THINKING);
    part->text = text;
    part->signature = signature;
    part->maker = maker;
    part->raw = raw;
}

static bool read_call(struct ask *a, const struct node *at, struct node raw)
{
    if (at[B_ID].type != JSON_STRING || at[B_NAME].type != JSON_STRING) {
        return blame_block(a, "a tool_use block needs an id and a name");
    }
    struct ask_part *part = hold(a, ASK_CALL);
    part->id = walk_inside(at[B_ID]);
    part->name = walk_inside(at[B_NAME]);
    part->arguments = at[B_INPUT];
    part->cache = at[B_CACHE];
    part->raw = raw;
    if ((a->flags & SIGNED) != 0) {
        part->signature =
            (struct walk_span){a->at[AT_SIGNATURE].start, a->at[AT_SIGNATURE].end};
        part->maker = MAKER_GEMINI;
        a->flags &= ~(uint32_t)SIGNED;
    }
    ask_note_call(a, part);
    return true;
}

static bool read_result(struct ask *a, const struct node *at, struct node raw)
{
    if (at[B_USE_ID].type != JSON_STRING) {
        return blame_block(a, "a tool_result block needs a tool_use_id");
    }
    struct ask_part *part = hold(a, ASK_RESULT);
    part->id = walk_inside(at[B_USE_ID]);
    part->name = ask_call_name(a, part->id);
    part->is_error = at[B_ERROR].type == JSON_TRUE;
    part->cache = at[B_CACHE];
    part->raw = raw;
    a->flags |= INSIDE;
    if (at[B_CONTENT].type == JSON_ARRAY) {
        walk_begin(&a->walk, at[B_CONTENT], &a->each[INNER]);
        a->stage = RESULT;
        return true;
    }
    if (at[B_CONTENT].type != JSON_STRING && at[B_CONTENT].type != JSON_NONE) {
        return blame_block(a, "the content of a tool_result must be a string or an array");
    }
    hold_text(a, walk_inside(at[B_CONTENT]), at[B_CONTENT], (struct node){0});
    a->flags &= ~(uint32_t)INSIDE;
    hold(a, ASK_RESULT_END);
    return true;
}

/* Blocks inside a document or a search result: they are read like any other. */
static void begin_parts(struct ask *a, struct node content)
{
    walk_begin(&a->walk, content, &a->each[PART]);
    a->stage = PARTS;
}

enum source { S_TYPE, S_MEDIA, S_DATA, S_URL, S_FILE, S_CONTENT, SOURCE_NAMES };

/* image, document: where its bytes are. */
static bool read_media(struct ask *a, enum ask_kind kind, const struct node *at,
                       struct node raw)
{
    static const struct bytes names[SOURCE_NAMES] = {
        [S_TYPE] = BYTES_INIT("type"), [S_MEDIA] = BYTES_INIT("media_type"),
        [S_DATA] = BYTES_INIT("data"), [S_URL] = BYTES_INIT("url"),
        [S_FILE] = BYTES_INIT("file_id"), [S_CONTENT] = BYTES_INIT("content"),
    };
    struct node source[SOURCE_NAMES];
    walk_members(&a->walk, at[B_SOURCE], names, SOURCE_NAMES, source);
    hold_text(a, walk_inside(at[B_CONTEXT]), at[B_CONTEXT], (struct node){0});
    if (source[S_CONTENT].type == JSON_STRING) {
        hold_text(a, walk_inside(source[S_CONTENT]), raw, at[B_CACHE]);
        return true;
    }
    if (source[S_CONTENT].type == JSON_ARRAY && a->stage != PARTS) {
        begin_parts(a, source[S_CONTENT]);
        return true;
    }
    struct walk_span data = walk_inside(source[S_DATA]), url = walk_inside(source[S_URL]),
                     file = walk_inside(source[S_FILE]);
    if (!walk_has(data) && !walk_has(url) && !walk_has(file)) {
        return blame_block(a, "source has no data, url or file_id");
    }
    struct ask_part *part = hold(a, kind);
    bool plain = walk_is(&a->walk, walk_inside(source[S_TYPE]), BYTES("text"));
    *(plain ? &part->text : &part->data) = data;
    part->url = url;
    part->file = file;
    part->mime = walk_inside(source[S_MEDIA]);
    part->name = walk_inside(at[B_TITLE]);
    part->cache = at[B_CACHE];
    part->raw = raw;
    return true;
}

/* What is found in it is text to any model: its title, where it comes from, its blocks. */
static void read_found(struct ask *a, const struct node *at)
{
    hold_text(a, walk_inside(at[B_TITLE]), at[B_TITLE], (struct node){0});
    hold_text(a, walk_inside(at[B_SOURCE]), at[B_SOURCE], (struct node){0});
    if (a->stage != PARTS) begin_parts(a, at[B_CONTENT]);
}

enum type { T_TEXT, T_IMAGE, T_DOCUMENT, T_USE, T_RESULT, T_THINKING, T_REDACTED, T_FOUND,
            T_COMPACTION, T_FALLBACK, TYPES };
static const struct bytes type_words[TYPES] = {
    [T_TEXT] = BYTES_INIT("text"), [T_IMAGE] = BYTES_INIT("image"),
    [T_DOCUMENT] = BYTES_INIT("document"), [T_USE] = BYTES_INIT("tool_use"),
    [T_RESULT] = BYTES_INIT("tool_result"), [T_THINKING] = BYTES_INIT("thinking"),
    [T_REDACTED] = BYTES_INIT("redacted_thinking"), [T_FOUND] = BYTES_INIT("search_result"),
    [T_COMPACTION] = BYTES_INIT("compaction"), [T_FALLBACK] = BYTES_INIT("fallback"),
};

/* One block that may stand anywhere: in a message, in a result, in a document. */
static bool read_block(struct ask *a, size_t type, const struct node *at, struct node raw)
{
    switch (type) {
    case T_TEXT:
        if (at[B_TEXT].type != JSON_STRING) return blame_block(a, "text must be a string");
        hold_text(a, walk_inside(at[B_TEXT]), raw, at[B_CACHE]);
        return true;
    case T_IMAGE: return read_media(a, ASK_IMAGE, at, raw);
    case T_DOCUMENT: return read_media(a, ASK_DOCUMENT, at, raw);
    case T_FOUND: read_found(a, at); return true;
    case T_COMPACTION:  /* what was said before, in short */
        hold_text(a, walk_inside(at[B_CONTENT]), raw, at[B_CACHE]);
        return true;
    case T_FALLBACK: return true;   /* a note which model answered */
    default: hold(a, ASK_OTHER)->raw = raw; return true;
    }
}

/* One block of a message. */
static bool read_element(struct ask *a, struct node raw)
{
    struct node at[BLOCK_NAMES];
    if (raw.type != JSON_OBJECT) return blame_block(a, "a block must be an object");
    walk_members(&a->walk, raw, block_names, BLOCK_NAMES, at);
    if (at[B_TYPE].type != JSON_STRING) return blame_block(a, "type must be a string");
    size_t type = walk_word(&a->walk, at[B_TYPE], type_words, TYPES);
    if (type != T_USE) flush_signature(a);
    if (a->role == ASK_USER || a->role == ASK_TOOL) {
        hold_turn(a, type == T_RESULT ? ASK_TOOL : ASK_USER, raw);
    }
    if (type == T_RESULT && a->role == ASK_TOOL) return read_result(a, at, raw);
    if (a->role != ASK_MODEL) return read_block(a, type, at, raw);
    if (type == T_USE) return read_call(a, at, raw);
    if (type == T_THINKING) {
        read_thought(a, walk_inside(at[B_THINKING]), walk_inside(at[B_SIGNATURE]), raw);
        return true;
    }
    if (type == T_REDACTED) {
        read_thought(a, (struct walk_span){0}, walk_inside(at[B_DATA]), raw);
        return true;
    }
    return read_block(a, type, at, raw);
}

/* One block of a result, or of a document. */
static bool read_inner(struct ask *a, struct node raw)
{
    struct node at[BLOCK_NAMES];
    if (raw.type != JSON_OBJECT) return blame_block(a, "a block must be an object");
    walk_members(&a->walk, raw, block_names, BLOCK_NAMES, at);
    size_t type = walk_word(&a->walk, at[B_TYPE], type_words, TYPES);
    return read_block(a, type, at, raw);
}

static bool read_message(struct ask *a, struct node message)
{
    static const struct bytes names[] = {BYTES_INIT("role"), BYTES_INIT("content")};
    static const struct bytes words[] = {BYTES_INIT("user"), BYTES_INIT("assistant"),
                                         BYTES_INIT("system")};
    static const uint8_t is[] = {ASK_USER, ASK_MODEL, ASK_SYSTEM};
    struct node at[COUNT(names)];
    a->message++;
    a->element = (uint32_t)NOWHERE;
    walk_members(&a->walk, message, names, COUNT(names), at);
    size_t word = walk_word(&a->walk, at[0], words, COUNT(words));
    if (word == COUNT(words)) {
        return blame_block(a, "role must be user, assistant or system");
    }
    a->flags = 0;
    a->role = is[word];
    if (at[1].type == JSON_ARRAY) {
        if (a->role != ASK_USER) hold_turn(a, a->role, message);
        walk_begin(&a->walk, at[1], &a->each[CONTENT]);
        a->stage = BLOCKS;
        return true;
    }
    if (at[1].type != JSON_STRING) {
        return blame_block(a, "content must be a string or an array");
    }
    hold_turn(a, a->role, message);
    hold_text(a, walk_inside(at[1]), at[1], (struct node){0});
    return true;
}

static bool begin_system(struct ask *a)
{
    struct node system = a->at[AT_SYSTEM];
    a->role = ASK_SYSTEM;
    a->stage = MESSAGES;
    if (system.type == JSON_STRING && walk_has(walk_inside(system))) {
        hold_turn(a, ASK_SYSTEM, system);
        hold_text(a, walk_inside(system), system, (struct node){0});
    } else if (system.type == JSON_ARRAY && walk_count(&a->walk, system) > 0) {
        hold_turn(a, ASK_SYSTEM, system);
        walk_begin(&a->walk, system, &a->each[LIST]);
        a->stage = SYSTEM_BLOCKS;
        return true;
    } else if (system.type != JSON_NONE && system.type != JSON_STRING &&
               system.type != JSON_ARRAY) {
        ask_blame(a, "/system", "system must be a string or an array");
        return false;
    }
    walk_begin(&a->walk, a->at[AT_MESSAGES], &a->each[LIST]);
    return true;
}

/* The list that is being read is over: what is read behind it. */
static void list_over(struct ask *a)
{
    switch (a->stage) {
    case SYSTEM_BLOCKS:
        walk_begin(&a->walk, a->at[AT_MESSAGES], &a->each[LIST]);
        a->stage = MESSAGES;
        break;
    case BLOCKS:
        flush_signature(a);
        a->stage = MESSAGES;
        break;
    case RESULT:
        a->flags &= ~(uint32_t)INSIDE;
        hold(a, ASK_RESULT_END);
        a->stage = BLOCKS;
        break;
    case PARTS: a->stage = (a->flags & INSIDE) != 0 ? RESULT : BLOCKS; break;
    default: a->stage = OVER; break;
    }
}

/* Read one step on: what it finds is held. False: wrong. */
static bool step(struct ask *a)
{
    static const uint8_t which[] = {
        [SYSTEM_BLOCKS] = LIST, [MESSAGES] = LIST, [BLOCKS] = CONTENT, [RESULT] = INNER,
        [PARTS] = PART,
    };
    struct node key, value;
    assert(a->held_count == 0 && a->stage < OVER);
    if (a->stage == SYSTEM) return begin_system(a);
    if (!walk_next(&a->each[which[a->stage]], &key, &value)) {
        list_over(a);
        return true;
    }
    if (a->stage == MESSAGES) return read_message(a, value);
    if (a->stage <= BLOCKS) a->element++;
    if (a->stage == RESULT || a->stage == PARTS) return read_inner(a, value);
    return read_element(a, value);
}

static bool next_part(struct ask *a, struct ask_part *part)
{
    while (a->held_at == a->held_count) {
        a->held_at = a->held_count = 0;
        if (a->stage == OVER) {
            *part = (struct ask_part){.kind = ASK_END};
            return true;
        }
        if (!step(a)) return false;
    }
    *part = a->held[a->held_at++];
    return true;
}

static void rewind_messages(struct ask *a)
{
    a->stage = SYSTEM;
    a->flags = 0;
    a->message = a->element = (uint32_t)NOWHERE;
    a->held_at = a->held_count = 0;
}

/* ---- tools ---- */

static void begin_tools(struct ask *a)
{
    walk_begin(&a->walk, a->at[AT_TOOLS], &a->tools_each[0]);
}

static bool next_tool(struct ask *a, struct ask_tool *tool)
{
    static const struct bytes names[] = {
        BYTES_INIT("type"), BYTES_INIT("name"), BYTES_INIT("description"),
        BYTES_INIT("input_schema"), BYTES_INIT("cache_control"), BYTES_INIT("strict"),
    };
    struct node key, raw, at[COUNT(names)];
    if (!walk_next(&a->tools_each[0], &key, &raw)) return false;
    walk_members(&a->walk, raw, names, COUNT(names), at);
    *tool = (struct ask_tool){
        .kind = is_clients(&a->walk, at[0]) ? ASK_FUNCTION : ASK_HOSTED,
        .strict = at[5].type == JSON_TRUE ? 1 : at[5].type == JSON_FALSE ? 0 : -1,
        .name = walk_inside(at[1]), .description = walk_inside(at[2]), .cache = at[4],
        .schema = at[3].type == JSON_OBJECT ? at[3] : (struct node){0}, .raw = raw,
    };
    return true;
}

const struct ask_dialect messages_ask = {
    .open = open_messages, .rewind = rewind_messages, .next = next_part,
    .tools = begin_tools, .tool = next_tool, .write = messages_write,
};
