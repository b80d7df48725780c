/* cohere_ask_write.c - writes any request as Cohere's v2 chat has it (Cohere API reference, v2
 * chat): much like OpenAI's, with other words for settings.
 * Model: one pass. A message is open while parts of one turn come: its texts and images, then
 * its calls. A result is a message of its own.
 * Rules that are Cohere's: tool_choice is REQUIRED or NONE: a tool that is named is the only
 * one sent; JSON with a schema is json_object with json_schema.
 * Rule of ours: what only shapes an answer and has no word here is left out (logit_bias,
 * verbosity, user, metadata, tiers, cache keys and marks, parallel_tool_calls); thoughts have
 * no signature here, and are left out. */
#include "net/translate/schema.h"
#include "net/translate/ask.h"

enum part_of { CLOSED, OPEN, CONTENT, CALLS };  /* how far the open message is */

struct writer {
    struct ask *a;
    const struct ask_target *t;
    struct pen *p;
    enum part_of at;
    enum ask_rc rc;
    uint8_t role;            /* of the open message */
    bool result;             /* it is one, and so are parts with inside */
};

static bool refuse(struct writer *w, const char *pointer, const char *what)
{
    ask_blame(w->a, pointer, "the Cohere dialect has no way to ask for %s", what);
    w->rc = ASK_UNSAYABLE;
    return false;
}

static void put_word(struct pen *p, struct bytes key, struct bytes word)
{
    pen_key(p, key);
    pen_string(p, word);
}

/* ---- messages ---- */

static void close_message(struct writer *w)
{
    if (w->at == CLOSED) return;
    if (w->at != OPEN) pen_array_end(w->p);
    pen_object_end(w->p);
    w->at = CLOSED;
}

static void open_message(struct writer *w, uint8_t role)
{
    static const struct bytes words[] = {
        [ASK_SYSTEM] = BYTES_INIT("system"), [ASK_DEVELOPER] = BYTES_INIT("system"),
        [ASK_USER] = BYTES_INIT("user"), [ASK_MODEL] = BYTES_INIT("assistant"),
        [ASK_TOOL] = BYTES_INIT("tool"),
    };
    assert(role < COUNT(words));
    close_message(w);
    pen_object(w->p);
    put_word(w->p, BYTES("role"), words[role]);
    w->at = OPEN;
    w->role = role;
}

/* A block of content follows. Behind calls there is no place for one: a message of its own. */
static void open_content(struct writer *w, const struct ask_part *part)
{
    uint8_t role = part->role == ASK_TOOL && !w->result ? ASK_USER : part->role;
    if (w->at == CLOSED || w->at == CALLS || w->role != role) open_message(w, role);
    if (w->at == CONTENT) return;
    pen_key(w->p, BYTES("content"));
    pen_array(w->p);
    w->at = CONTENT;
}

static void put_text(struct writer *w, const struct ask_part *part)
{
    open_content(w, part);
    pen_object(w->p);
    put_word(w->p, BYTES("type"), BYTES("text"));
    pen_key(w->p, BYTES("text"));
    pen_begin(w->p);
    ask_text(w->p, &w->a->walk, part);
    pen_end(w->p);
    pen_object_end(w->p);
}

static bool put_image(struct writer *w, const struct ask_part *part)
{
    const struct walk *walk = &w->a->walk;
    bool data = walk_has(part->data), marked = data || walk_has(part->url);
    if (!marked) return refuse(w, "/messages", "an image by file id");
    if (part->role == ASK_MODEL) return refuse(w, "/messages", "an image in the model's turn");
    if (part->inside) return refuse(w, "/messages", "an image in a tool's result");
    open_content(w, part);
    pen_object(w->p);
    put_word(w->p, BYTES("type"), BYTES("image_url"));
    pen_key(w->p, BYTES("image_url")), pen_object(w->p);
    pen_key(w->p, BYTES("url"));
    pen_begin(w->p);
    if (data) {
        pen_part(w->p, BYTES("data:"));
        if (walk_has(part->mime)) pen_part_span(w->p, walk, part->mime);
        else pen_part(w->p, BYTES("image/png"));
        pen_part(w->p, BYTES(";base64,"));
    }
    if (data) ask_base64(w->p, walk, part->data);
    else pen_part_span(w->p, walk, part->url);
    pen_end(w->p);
    if (walk_has(part->detail)) {
        pen_key(w->p, BYTES("detail"));
        pen_span(w->p, walk, part->detail);
    }
    pen_object_end(w->p);
    pen_object_end(w->p);
    return true;
}

static void put_call(struct writer *w, const struct ask_part *part)
{
    if (w->at == CLOSED || w->role != ASK_MODEL) open_message(w, ASK_MODEL);
    if (w->at == CONTENT) pen_array_end(w->p);
    if (w->at != CALLS) pen_key(w->p, BYTES("tool_calls")), pen_array(w->p);
    w->at = CALLS;
    pen_object(w->p);
    pen_key(w->p, BYTES("id"));
    ask_put_id(w->p, &w->a->walk, part->id, ID_RESPONSES);
    put_word(w->p, BYTES("type"), BYTES("function"));
    pen_key(w->p, BYTES("function")), pen_object(w->p);
    pen_key(w->p, BYTES("name"));
    ask_put_name(w->p, &w->a->walk, part->space, part->name);
    pen_key(w->p, BYTES("arguments"));
    ask_put_arguments_text(w->a, w->p, part);
    pen_object_end(w->p);
    pen_object_end(w->p);
}

static void put_result(struct writer *w, const struct ask_part *part)
{
    open_message(w, ASK_TOOL);
    pen_key(w->p, BYTES("tool_call_id"));
    ask_put_id(w->p, &w->a->walk, part->id, ID_RESPONSES);
    w->result = true;
}

/* Of a tool that said nothing too: content has to be there. */
static void end_result(struct writer *w)
{
    assert(w->result);
    if (w->at == OPEN) put_word(w->p, BYTES("content"), BYTES(""));
    close_message(w);
    w->result = false;
}

static bool put_part(struct writer *w, const struct ask_part *part)
{
    switch (part->kind) {
    case ASK_TURN:
        if (!w->result) close_message(w);
        return true;
    case ASK_TEXT: case ASK_REFUSAL:
        if (ask_has_text(part)) put_text(w, part);
        return true;
    case ASK_IMAGE: return put_image(w, part);
    case ASK_DOCUMENT:
        if (!walk_has(part->text)) return refuse(w, "/messages", "documents but plain text");
        put_text(w, part);
        return true;
    case ASK_THINKING: return true;
    case ASK_CALL: put_call(w, part); return true;
    case ASK_RESULT: put_result(w, part); return true;
    case ASK_RESULT_END: end_result(w); return true;
    case ASK_AUDIO: return refuse(w, "/messages", "audio");
    case ASK_VIDEO: return refuse(w, "/messages", "video");
    default: return refuse(w, "/messages", "what only its own dialect knows");
    }
}

static bool put_messages(struct writer *w)
{
    struct ask_part part;
    pen_key(w->p, BYTES("messages"));
    pen_array(w->p);
    ask_rewind(w->a);
    for (;;) {
        if (!ask_next(w->a, &part)) return false;
        if (part.kind == ASK_END) break;
        if (!put_part(w, &part)) return false;
    }
    close_message(w);
    pen_array_end(w->p);
    return true;
}

/* ---- tools ---- */

/* Is it the one that has to be called? */
static bool is_chosen(const struct writer *w, const struct ask_tool *tool)
{
    const struct walk *walk = &w->a->walk;
    return walk_hash(walk, tool->name) == walk_hash(walk, w->a->settings.choice_name);
}

static void put_tool(struct writer *w, const struct ask_tool *tool)
{
    const struct walk *walk = &w->a->walk;
    pen_object(w->p);
    put_word(w->p, BYTES("type"), BYTES("function"));
    pen_key(w->p, BYTES("function")), pen_object(w->p);
    pen_key(w->p, BYTES("name"));
    ask_put_name(w->p, walk, tool->space, tool->name);
    if (walk_has(tool->description)) {
        pen_key(w->p, BYTES("description"));
        pen_span(w->p, walk, tool->description);
    }
    pen_key(w->p, BYTES("parameters"));
    if (tool->kind == ASK_CUSTOM) {
        ask_put_custom_schema(w->p);
    } else if (tool->schema.type != JSON_OBJECT) {
        pen_value(w->p, BYTES("{\"type\":\"object\",\"properties\":{}}"));
    } else if (tool->gemini) {
        schema_put(w->p, walk, tool->schema);
    } else {
        pen_node(w->p, walk, tool->schema);
    }
    pen_object_end(w->p);
    pen_object_end(w->p);
}

/* Hosted tools are left out unless one is asked for: agents name them always. */
static bool put_tools(struct writer *w)
{
    const struct ask_settings *s = &w->a->settings;
    bool named = s->choice == API_CHOICE_NAMED, any = false;
    bool forced = named || s->choice == API_CHOICE_REQUIRED;
    struct ask_tool tool;
    ask_tools(w->a);
    while (ask_tool(w->a, &tool)) {
        if (tool.kind == ASK_HOSTED || (named && !is_chosen(w, &tool))) continue;
        if (!any) pen_key(w->p, BYTES("tools")), pen_array(w->p);
        any = true;
        put_tool(w, &tool);
    }
    if (any) pen_array_end(w->p);
    if (!any && forced) return refuse(w, "/tools", "the tools of another provider");
    if (any && forced) put_word(w->p, BYTES("tool_choice"), BYTES("REQUIRED"));
    if (any && s->choice == API_CHOICE_NONE) {
        put_word(w->p, BYTES("tool_choice"), BYTES("NONE"));
    }
    return true;
}

/* ---- settings ---- */

static void put_number(struct writer *w, struct bytes key, struct node n, uint64_t refused)
{
    if (n.type != JSON_NUMBER || w->t->quirks & refused) return;
    pen_key(w->p, key);
    pen_node(w->p, &w->a->walk, n);
}

static void put_sampling(struct writer *w)
{
    const struct ask_settings *s = &w->a->settings;
    int64_t max = ask_output(w->a, w->t);
    if (max > 0) pen_key(w->p, BYTES("max_tokens")), pen_int(w->p, max);
    put_number(w, BYTES("temperature"), s->temperature, ASK_NO_SAMPLING);
    put_number(w, BYTES("p"), s->top_p, ASK_NO_SAMPLING);
    put_number(w, BYTES("k"), s->top_k, ASK_NO_SAMPLING);
    put_number(w, BYTES("seed"), s->seed, 0);
    put_number(w, BYTES("frequency_penalty"), s->frequency, ASK_NO_PENALTIES);
    put_number(w, BYTES("presence_penalty"), s->presence, ASK_NO_PENALTIES);
    if (s->stop.type == JSON_NONE || w->t->quirks & ASK_NO_STOP) return;
    pen_key(w->p, BYTES("stop_sequences"));
    if (s->stop.type == JSON_STRING) pen_array(w->p);
    pen_node(w->p, &w->a->walk, s->stop);
    if (s->stop.type == JSON_STRING) pen_array_end(w->p);
}

static void put_format(struct writer *w)
{
    const struct ask_settings *s = &w->a->settings;
    if (s->format == API_FORMAT_TEXT) return;
    pen_key(w->p, BYTES("response_format")), pen_object(w->p);
    put_word(w->p, BYTES("type"), BYTES("json_object"));
    if (s->format == API_FORMAT_SCHEMA) {
        pen_key(w->p, BYTES("json_schema"));
        if (s->gemini) schema_put(w->p, &w->a->walk, s->schema);
        else pen_node(w->p, &w->a->walk, s->schema);
    }
    pen_object_end(w->p);
}

static void put_thinking(struct writer *w)
{
    const struct ask_settings *s = &w->a->settings;
    enum api_effort effort = w->t->effort != API_EFFORT_UNSET ? w->t->effort : s->effort;
    bool ours = w->t->effort != API_EFFORT_UNSET;
    bool off = effort == API_EFFORT_NONE || (!ours && s->thinking == THINKING_OFF) ||
               (effort == API_EFFORT_UNSET && s->budget == 0);
    bool wanted = effort != API_EFFORT_UNSET || s->thinking != THINKING_UNSET || s->budget >= 0;
    if (!w->t->thinks || !wanted) return;
    int64_t budget = !ours && s->budget > 0 ? s->budget
                     : ask_effort_budget(effort, ask_output(w->a, w->t));
    pen_key(w->p, BYTES("thinking")), pen_object(w->p);
    put_word(w->p, BYTES("type"), off ? BYTES("disabled") : BYTES("enabled"));
    if (!off && budget > 0) pen_key(w->p, BYTES("token_budget")), pen_int(w->p, budget);
    pen_object_end(w->p);
}

/* What cannot be said at all. */
static bool check_settings(struct writer *w)
{
    const struct ask_settings *s = &w->a->settings;
    if (!ask_is_plain(w->a, "Cohere")) {
        w->rc = ASK_UNSAYABLE;
        return false;
    }
    if (s->format == API_FORMAT_SCHEMA && s->schema.type == JSON_NONE) {
        return refuse(w, "/response_format", "an answer of a schema that is not there");
    }
    return true;
}

static enum ask_rc cohere_write(struct ask *a, const struct ask_target *t, struct pen *p)
{
    struct writer w = {.a = a, .t = t, .p = p, .rc = ASK_WRONG};
    if (!check_settings(&w)) return w.rc;
    pen_object(p);
    pen_key(p, BYTES("model"));
    pen_text(p, t->model);
    pen_key(p, BYTES("stream"));
    pen_bool(p, t->stream);
    if (!put_messages(&w) || !put_tools(&w)) return w.rc;
    put_sampling(&w);
    put_format(&w);
    put_thinking(&w);
    pen_object_end(p);
    return ASK_WRITTEN;
}

const struct ask_dialect cohere_ask = {.write = cohere_write};
