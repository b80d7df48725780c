/* responses_ask_write.c - writes a request for a provider that speaks OpenAI's Responses.
 * Model: a client's own Responses body goes on as it is, member by member, but for what the
 * target wants otherwise and for thoughts that another maker signed; any other is written
 * item by item: a turn of the model's is messages, calls and thoughts in a row.
 * Rule: nothing is kept at the provider that the client did not ask to be kept: store is false,
 * and thoughts come back encrypted instead, where the model has any. */
#include "net/translate/ask.h"
#include "net/translate/responses.h"
#include "net/translate/schema.h"

enum { OUTPUT_MIN = 16 };    /* the API refuses a lower max_output_tokens */

struct out {                 /* what is being written */
    struct ask *a;
    const struct ask_target *t;
    struct pen *p;
    const struct walk *w;
    bool message;            /* a message's content is open */
    bool mute;               /* there is no way to say it */
};

static void key_text(struct pen *p, struct bytes key, struct bytes text)
{
    pen_key(p, key);
    pen_string(p, text);
}

static void key_span(struct out *o, struct bytes key, struct walk_span s)
{
    if (!walk_has(s)) return;
    pen_key(o->p, key);
    pen_span(o->p, o->w, s);
}

static void key_node(struct out *o, struct bytes key, struct node n)
{
    if (n.type == JSON_NONE) return;
    pen_key(o->p, key);
    pen_node(o->p, o->w, n);
}

/* No API of another maker's has it. */
static bool cannot(struct out *o, const char *pointer, const char *what)
{
    ask_blame(o->a, pointer, "the Responses dialect has no way to say %s", what);
    o->mute = true;
    return false;
}

/* ---- the conversation ---- */

static void message_open(struct out *o, struct bytes role)
{
    assert(!o->message);
    pen_object(o->p);
    key_text(o->p, BYTES("type"), BYTES("message"));
    key_text(o->p, BYTES("role"), role);
    pen_key(o->p, BYTES("content"));
    pen_array(o->p);
    o->message = true;
}

static void message_close(struct out *o)
{
    if (!o->message) return;
    pen_array_end(o->p);
    pen_object_end(o->p);
    o->message = false;
}

static void message_of(struct out *o, enum ask_role role)
{
    static const struct bytes roles[] = {
        [ASK_SYSTEM] = BYTES_INIT("system"), [ASK_DEVELOPER] = BYTES_INIT("developer"),
        [ASK_USER] = BYTES_INIT("user"), [ASK_MODEL] = BYTES_INIT("assistant"),
        [ASK_TOOL] = BYTES_INIT("user"),
    };
    if (!o->message) message_open(o, roles[role]);
}

static void put_text(struct out *o, const struct ask_part *part)
{
    bool said = part->role == ASK_MODEL && !part->inside;
    pen_object(o->p);
    key_text(o->p, BYTES("type"), said ? BYTES("output_text") : BYTES("input_text"));
    pen_key(o->p, BYTES("text"));
    pen_begin(o->p);
    ask_text(o->p, o->w, part);
    pen_end(o->p);
    pen_object_end(o->p);
}

static void put_refusal(struct out *o, const struct ask_part *part)
{
    pen_object(o->p);
    key_text(o->p, BYTES("type"), BYTES("refusal"));
    pen_key(o->p, BYTES("refusal"));
    pen_span(o->p, o->w, part->text);
    pen_object_end(o->p);
}

/* data:MIME;base64,DATA */
static void put_data_url(struct out *o, const struct ask_part *part, struct bytes otherwise)
{
    pen_begin(o->p);
    pen_part(o->p, BYTES("data:"));
    if (walk_has(part->mime)) pen_part_span(o->p, o->w, part->mime);
    else pen_part(o->p, otherwise);
    pen_part(o->p, BYTES(";base64,"));
    ask_base64(o->p, o->w, part->data);
    pen_end(o->p);
}

/* Ids of files are OpenAI's own: another dialect's mean nothing here. */
static bool file_is_ours(const struct out *o)
{
    return o->a->api == API_CHAT || o->a->api == API_RESPONSES;
}

static bool put_image(struct out *o, const struct ask_part *part)
{
    if (part->role == ASK_MODEL) return cannot(o, "", "images of the model's");
    if (walk_has(part->file) && !file_is_ours(o)) {
        return cannot(o, "", "images by another provider's file id");
    }
    pen_object(o->p);
    key_text(o->p, BYTES("type"), BYTES("input_image"));
    if (walk_has(part->detail)) key_span(o, BYTES("detail"), part->detail);
    else key_text(o->p, BYTES("detail"), BYTES("auto"));
    if (walk_has(part->data)) {
        pen_key(o->p, BYTES("image_url"));
        put_data_url(o, part, BYTES("image/png"));
    } else {
        key_span(o, BYTES("image_url"), part->url);
    }
    key_span(o, BYTES("file_id"), part->file);
    pen_object_end(o->p);
    return true;
}

static bool put_document(struct out *o, const struct ask_part *part)
{
    if (walk_has(part->file) && !file_is_ours(o)) {
        return cannot(o, "", "documents by another provider's file id");
    }
    if (ask_has_text(part)) {  /* plain text needs no file */
        put_text(o, part);
        return true;
    }
    pen_object(o->p);
    key_text(o->p, BYTES("type"), BYTES("input_file"));
    key_span(o, BYTES("file_url"), part->url);
    key_span(o, BYTES("file_id"), part->file);
    if (walk_has(part->data)) {
        if (walk_has(part->name)) key_span(o, BYTES("filename"), part->name);
        else key_text(o->p, BYTES("filename"), BYTES("document.pdf"));
        pen_key(o->p, BYTES("file_data"));
        put_data_url(o, part, BYTES("application/pdf"));
    }
    pen_object_end(o->p);
    return true;
}

static bool put_audio(struct out *o, const struct ask_part *part)
{
    static const struct bytes mp3[] = {BYTES_INIT("mp3"), BYTES_INIT("audio/mp3"),
                                       BYTES_INIT("audio/mpeg")};
    bool is_mp3 = false;
    if (!walk_has(part->data)) return cannot(o, "", "audio that is not sent along");
    for (size_t i = 0; i < COUNT(mp3); i++) is_mp3 |= walk_is(o->w, part->mime, mp3[i]);
    pen_object(o->p);
    key_text(o->p, BYTES("type"), BYTES("input_audio"));
    pen_key(o->p, BYTES("input_audio"));
    pen_object(o->p);
    pen_key(o->p, BYTES("data"));
    pen_begin(o->p);
    ask_base64(o->p, o->w, part->data);
    pen_end(o->p);
    key_text(o->p, BYTES("format"), is_mp3 ? BYTES("mp3") : BYTES("wav"));
    pen_object_end(o->p);
    pen_object_end(o->p);
    return true;
}

/* A part of a message's content, or of a result's. */
static bool put_content(struct out *o, const struct ask_part *part)
{
    switch ((enum ask_kind)part->kind) {
    case ASK_TEXT: put_text(o, part); return true;
    case ASK_REFUSAL: put_refusal(o, part); return true;
    case ASK_IMAGE: return put_image(o, part);
    case ASK_DOCUMENT: return put_document(o, part);
    case ASK_AUDIO: return put_audio(o, part);
    case ASK_VIDEO: return cannot(o, "", "videos");
    default: return true;
    }
}

/* Thoughts that OpenAI encrypted go back to it; what others thought, it cannot check. */
static void put_thought(struct out *o, const struct ask_part *part)
{
    if (part->maker != MAKER_RESPONSES || !walk_has(part->signature)) return;
    message_close(o);
    pen_object(o->p);
    key_text(o->p, BYTES("type"), BYTES("reasoning"));
    pen_key(o->p, BYTES("summary"));
    pen_array(o->p);
    if (ask_has_text(part)) {
        pen_object(o->p);
        key_text(o->p, BYTES("type"), BYTES("summary_text"));
        pen_key(o->p, BYTES("text"));
        pen_begin(o->p);
        ask_text(o->p, o->w, part);
        pen_end(o->p);
        pen_object_end(o->p);
    }
    pen_array_end(o->p);
    key_span(o, BYTES("encrypted_content"), part->signature);
    pen_object_end(o->p);
}

static void put_call_id(struct out *o, const struct ask_part *part)
{
    pen_key(o->p, BYTES("call_id"));
    ask_put_id(o->p, o->w, part->id, ID_RESPONSES);
}

static void put_call(struct out *o, const struct ask_part *part)
{
    message_close(o);
    pen_object(o->p);
    key_text(o->p, BYTES("type"),
             part->custom ? BYTES("custom_tool_call") : BYTES("function_call"));
    put_call_id(o, part);
    key_span(o, BYTES("name"), part->name);
    key_span(o, BYTES("namespace"), part->space);
    if (part->custom) {
        pen_key(o->p, BYTES("input"));
        pen_span(o->p, o->w, walk_inside(part->arguments));
    } else {
        pen_key(o->p, BYTES("arguments"));
        ask_put_arguments_text(o->a, o->p, part);
    }
    pen_object_end(o->p);
}

/* A result: one text is a string, anything else an array of parts. */
static bool put_result(struct out *o, const struct ask_part *result)
{
    struct ask_part first, part;
    message_close(o);
    if (!ask_next(o->a, &first)) return false;
    bool empty = first.kind == ASK_RESULT_END;
    part = first;
    if (!empty && !ask_next(o->a, &part)) return false;
    bool text = empty || (first.kind == ASK_TEXT && part.kind == ASK_RESULT_END);
    pen_object(o->p);
    key_text(o->p, BYTES("type"), result->custom ? BYTES("custom_tool_call_output")
                                                 : BYTES("function_call_output"));
    put_call_id(o, result);
    pen_key(o->p, BYTES("output"));
    if (text) {
        pen_begin(o->p);
        if (!empty) ask_text(o->p, o->w, &first);
        pen_end(o->p);
        pen_object_end(o->p);
        return true;
    }
    pen_array(o->p);
    if (!put_content(o, &first)) return false;
    while (part.kind != ASK_RESULT_END) {
        if (!put_content(o, &part) || !ask_next(o->a, &part)) return false;
    }
    pen_array_end(o->p);
    pen_object_end(o->p);
    return true;
}

static bool put_input(struct out *o)
{
    struct ask_part part;
    bool right = true;
    pen_key(o->p, BYTES("input"));
    pen_array(o->p);
    ask_rewind(o->a);
    while (right) {
        if (!ask_next(o->a, &part)) return false;
        if (part.kind == ASK_END) break;
        switch ((enum ask_kind)part.kind) {
        case ASK_TURN: message_close(o); break;
        case ASK_THINKING: put_thought(o, &part); break;
        case ASK_CALL: put_call(o, &part); break;
        case ASK_RESULT: right = put_result(o, &part); break;
        case ASK_OTHER: break;  /* of a hosted tool: what it said stands in the text */
        default:
            message_of(o, part.role);
            right = put_content(o, &part);
        }
    }
    message_close(o);
    pen_array_end(o->p);
    return right;
}

/* ---- tools ---- */

/* A custom tool's grammar; chat has it one level deeper. */
static void put_grammar(struct out *o, struct node format)
{
    struct node inner = walk_member(o->w, format, BYTES("grammar"));
    if (inner.type != JSON_OBJECT) {
        key_node(o, BYTES("format"), format);
        return;
    }
    pen_key(o->p, BYTES("format"));
    pen_object(o->p);
    key_text(o->p, BYTES("type"), BYTES("grammar"));
    key_node(o, BYTES("syntax"), walk_member(o->w, inner, BYTES("syntax")));
    key_node(o, BYTES("definition"), walk_member(o->w, inner, BYTES("definition")));
    pen_object_end(o->p);
}

static void put_schema(struct out *o, struct node schema, bool gemini)
{
    if (schema.type == JSON_NONE) {
        pen_value(o->p, BYTES("{\"type\":\"object\",\"properties\":{}}"));
    } else if (gemini) {
        schema_put(o->p, o->w, schema);
    } else {
        pen_node(o->p, o->w, schema);
    }
}

/* strict is written always: left out, it means true here, and false in every other dialect. */
static void put_tool(struct out *o, const struct ask_tool *tool)
{
    pen_object(o->p);
    key_text(o->p, BYTES("type"),
             tool->kind == ASK_CUSTOM ? BYTES("custom") : BYTES("function"));
    key_span(o, BYTES("name"), tool->name);
    key_span(o, BYTES("description"), tool->description);
    if (tool->kind == ASK_CUSTOM) {
        put_grammar(o, tool->format);
    } else {
        pen_key(o->p, BYTES("parameters"));
        put_schema(o, tool->schema, tool->gemini);
        pen_key(o->p, BYTES("strict"));
        pen_bool(o->p, tool->strict == 1 && !(o->t->quirks & ASK_NO_STRICT));
    }
    pen_object_end(o->p);
}

/* Is the named tool one that takes any text? */
static bool is_custom(struct out *o, struct walk_span name)
{
    struct ask_tool tool;
    uint64_t hash = walk_hash(o->w, name);
    ask_tools(o->a);
    while (ask_tool(o->a, &tool)) {
        if (walk_hash(o->w, tool.name) == hash) return tool.kind == ASK_CUSTOM;
    }
    return false;
}

static void put_choice(struct out *o)
{
    static const struct bytes words[] = {
        [API_CHOICE_AUTO] = BYTES_INIT("auto"), [API_CHOICE_NONE] = BYTES_INIT("none"),
        [API_CHOICE_REQUIRED] = BYTES_INIT("required"),
    };
    const struct ask_settings *s = &o->a->settings;
    if (s->parallel >= 0 && !(o->t->quirks & ASK_NO_PARALLEL)) {
        pen_key(o->p, BYTES("parallel_tool_calls"));
        pen_bool(o->p, s->parallel == 1);
    }
    if (!s->choice_said) return;
    pen_key(o->p, BYTES("tool_choice"));
    if (s->choice != API_CHOICE_NAMED) {
        pen_string(o->p, words[s->choice]);
        return;
    }
    pen_object(o->p);
    key_text(o->p, BYTES("type"),
             is_custom(o, s->choice_name) ? BYTES("custom") : BYTES("function"));
    key_span(o, BYTES("name"), s->choice_name);
    pen_object_end(o->p);
}

/* Hosted tools are another provider's: the model may do without where it has others. */
static bool put_tools(struct out *o)
{
    struct ask_tool tool;
    bool any = false, hosted = false;
    ask_tools(o->a);
    while (ask_tool(o->a, &tool)) {
        hosted |= tool.kind == ASK_HOSTED;
        if (tool.kind == ASK_HOSTED) continue;
        if (!any) {
            pen_key(o->p, BYTES("tools"));
            pen_array(o->p);
        }
        any = true;
        put_tool(o, &tool);
    }
    if (hosted && !any) return cannot(o, "/tools", "another provider's hosted tools");
    if (!any) return true;
    pen_array_end(o->p);
    put_choice(o);
    return true;
}

/* ---- settings ---- */

static enum api_effort effort_of(const struct out *o)
{
    const struct ask_settings *s = &o->a->settings;
    enum api_effort wanted = s->effort;
    if (o->t->effort != API_EFFORT_UNSET) wanted = o->t->effort;
    else if (s->thinking == THINKING_OFF) wanted = API_EFFORT_NONE;
    else if (wanted == API_EFFORT_UNSET) wanted = ask_budget_effort(s->budget);
    if (wanted == API_EFFORT_UNSET) return wanted;
    return ask_effort_for(o->t, wanted);
}

static const struct bytes efforts[API_EFFORTS] = {
    [API_EFFORT_NONE] = BYTES_INIT("none"), [API_EFFORT_MINIMAL] = BYTES_INIT("minimal"),
    [API_EFFORT_LOW] = BYTES_INIT("low"), [API_EFFORT_MEDIUM] = BYTES_INIT("medium"),
    [API_EFFORT_HIGH] = BYTES_INIT("high"), [API_EFFORT_XHIGH] = BYTES_INIT("xhigh"),
};

static void put_reasoning(struct out *o)
{
    enum api_effort effort = effort_of(o);
    bool summary = o->a->settings.thoughts == 1;
    if (!o->t->thinks || (effort == API_EFFORT_UNSET && !summary)) return;
    pen_key(o->p, BYTES("reasoning"));
    pen_object(o->p);
    if (effort != API_EFFORT_UNSET) key_text(o->p, BYTES("effort"), efforts[effort]);
    if (summary) key_text(o->p, BYTES("summary"), BYTES("auto"));
    pen_object_end(o->p);
}

static void put_format(struct out *o)
{
    const struct ask_settings *s = &o->a->settings;
    bool schema = s->format == API_FORMAT_SCHEMA && !(o->t->quirks & ASK_NO_SCHEMA);
    pen_key(o->p, BYTES("format"));
    pen_object(o->p);
    key_text(o->p, BYTES("type"), schema ? BYTES("json_schema") : BYTES("json_object"));
    if (schema) {
        if (walk_has(s->schema_name)) key_span(o, BYTES("name"), s->schema_name);
        else key_text(o->p, BYTES("name"), BYTES("answer"));
        key_span(o, BYTES("description"), s->schema_text);
        pen_key(o->p, BYTES("schema"));
        put_schema(o, s->schema, s->gemini);
        pen_key(o->p, BYTES("strict"));
        pen_bool(o->p, s->strict == 1);
    }
    pen_object_end(o->p);
}

static void put_shape(struct out *o)
{
    const struct ask_settings *s = &o->a->settings;
    bool verbosity = s->verbosity.type != JSON_NONE;
    if (s->format == API_FORMAT_TEXT && !verbosity) return;
    pen_key(o->p, BYTES("text"));
    pen_object(o->p);
    if (s->format != API_FORMAT_TEXT) put_format(o);
    if (verbosity) key_node(o, BYTES("verbosity"), s->verbosity);
    pen_object_end(o->p);
}

/* What is asked for besides: thoughts in a form that comes back, probabilities. */
static void put_include(struct out *o)
{
    const struct ask_settings *s = &o->a->settings;
    bool logprobs = s->logprobs && !(o->t->quirks & ASK_NO_LOGPROBS);
    if (logprobs && s->top_logprobs >= 0) {
        pen_key(o->p, BYTES("top_logprobs"));
        pen_int(o->p, s->top_logprobs);
    }
    if (!logprobs && !o->t->thinks) return;
    pen_key(o->p, BYTES("include"));
    pen_array(o->p);
    if (o->t->thinks) pen_string(o->p, BYTES("reasoning.encrypted_content"));
    if (logprobs) pen_string(o->p, BYTES("message.output_text.logprobs"));
    pen_array_end(o->p);
}

static void put_limit(struct out *o)
{
    int64_t limit = ask_output(o->a, o->t);
    if (limit < 0) return;
    pen_key(o->p, BYTES("max_output_tokens"));
    pen_int(o->p, limit < OUTPUT_MIN ? OUTPUT_MIN : limit);
}

static void put_model(struct out *o)
{
    pen_key(o->p, BYTES("model"));
    pen_text(o->p, o->t->model);
}

static void put_settings(struct out *o)
{
    const struct ask_settings *s = &o->a->settings;
    uint64_t quirks = o->t->quirks;
    put_limit(o);
    if (!(quirks & ASK_NO_SAMPLING)) {
        key_node(o, BYTES("temperature"), s->temperature);
        key_node(o, BYTES("top_p"), s->top_p);
    }
    put_reasoning(o);
    put_shape(o);
    put_include(o);
    if (!(quirks & ASK_NO_USER)) {
        key_node(o, BYTES("metadata"), s->metadata);
        key_node(o, BYTES("user"), s->user);
        key_node(o, BYTES("prompt_cache_key"), s->cache_key);
    }
    if (!(quirks & ASK_NO_TIER)) key_node(o, BYTES("service_tier"), s->tier);
    pen_key(o->p, BYTES("store"));
    pen_bool(o->p, false);
    if (o->t->stream) {
        pen_key(o->p, BYTES("stream"));
        pen_bool(o->p, true);
    }
}

static bool put_translated(struct out *o)
{
    const struct ask_settings *s = &o->a->settings;
    if (s->n > 1) return cannot(o, "/n", "n > 1");
    if (s->audio.type != JSON_NONE) return cannot(o, "/audio", "spoken answers");
    if (s->stop.type == JSON_STRING || walk_count(o->w, s->stop) > 0) {
        return cannot(o, "/stop", "stop sequences");
    }
    put_model(o);
    if (!put_input(o) || !put_tools(o)) return false;
    put_settings(o);
    return true;
}

/* ---- the client's own form ---- */

/* May the item go on? Another maker's thoughts may not. */
static bool item_goes(const struct out *o, struct node item)
{
    struct node sealed = walk_member(o->w, item, BYTES("encrypted_content"));
    struct walk_span signature = walk_inside(sealed);
    if (!walk_has(signature)) return true;
    return ask_maker(o->w, &signature, MAKER_RESPONSES) == MAKER_RESPONSES;
}

static void put_own_input(struct out *o, struct node input)
{
    struct walk_each e;
    struct node key, item;
    if (input.type != JSON_ARRAY) {
        pen_node(o->p, o->w, input);
        return;
    }
    pen_array(o->p);
    walk_begin(o->w, input, &e);
    while (walk_next(&e, &key, &item)) {
        if (item_goes(o, item)) pen_node(o->p, o->w, item);
    }
    pen_array_end(o->p);
}

enum own { OWN_MODEL, OWN_INPUT, OWN_LIMIT, OWN_STREAM, OWN_REASONING, OWN_TEMPERATURE,
           OWN_TOP_P, OWN_NAMES };
static const struct bytes own_names[OWN_NAMES] = {
    [OWN_MODEL] = BYTES_INIT("model"), [OWN_INPUT] = BYTES_INIT("input"),
    [OWN_LIMIT] = BYTES_INIT("max_output_tokens"), [OWN_STREAM] = BYTES_INIT("stream"),
    [OWN_REASONING] = BYTES_INIT("reasoning"),
    [OWN_TEMPERATURE] = BYTES_INIT("temperature"), [OWN_TOP_P] = BYTES_INIT("top_p"),
};

/* The client's reasoning, its effort as the target has it. */
static void put_own_reasoning(struct out *o, struct node reasoning)
{
    enum api_effort effort = effort_of(o);
    struct walk_each e;
    struct node key, value;
    if (reasoning.type == JSON_NONE && effort == API_EFFORT_UNSET) return;
    pen_key(o->p, BYTES("reasoning"));
    pen_object(o->p);
    if (effort != API_EFFORT_UNSET) key_text(o->p, BYTES("effort"), efforts[effort]);
    walk_begin(o->w, reasoning, &e);
    while (walk_next(&e, &key, &value)) {
        char room[64];
        struct bytes name = walk_bytes(o->w, walk_inside(key), room, sizeof room);
        if (!name.ptr || (effort != API_EFFORT_UNSET && bytes_eq(name, BYTES("effort")))) {
            continue;
        }
        pen_key(o->p, name);
        pen_node(o->p, o->w, value);
    }
    pen_object_end(o->p);
}

static void put_own(struct out *o)
{
    struct walk_each e;
    struct node key, value, reasoning = {0};
    put_model(o);
    put_limit(o);
    if (o->t->stream) {
        pen_key(o->p, BYTES("stream"));
        pen_bool(o->p, true);
    }
    walk_begin(o->w, o->a->root, &e);
    while (walk_next(&e, &key, &value)) {
        char room[256];
        struct bytes name = walk_bytes(o->w, walk_inside(key), room, sizeof room);
        size_t own = walk_word(o->w, key, own_names, OWN_NAMES);
        if (own == OWN_REASONING) reasoning = value;
        if (!name.ptr || own <= OWN_REASONING) {
            if (own != OWN_INPUT) continue;
            pen_key(o->p, name);
            put_own_input(o, value);
            continue;
        }
        if (own < OWN_NAMES && o->t->quirks & ASK_NO_SAMPLING) continue;
        pen_key(o->p, name);
        pen_node(o->p, o->w, value);
    }
    put_own_reasoning(o, reasoning);
}

enum ask_rc responses_ask_write(struct ask *a, const struct ask_target *t, struct pen *p)
{
    struct out o = {.a = a, .t = t, .p = p, .w = &a->walk};
    bool said = true;
    assert(t->api == API_RESPONSES);
    pen_object(p);
    if (a->api == API_RESPONSES) put_own(&o);
    else said = put_translated(&o);
    if (!said) return o.mute || a->unsayable ? ASK_UNSAYABLE : ASK_WRONG;
    pen_object_end(p);
    return p->full ? ASK_NO_ROOM : ASK_WRITTEN;
}
