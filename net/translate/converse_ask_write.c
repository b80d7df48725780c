/* converse_ask_write.c - writes any request as Bedrock's Converse has it (Amazon Bedrock API
 * reference, Converse). The model and whether to stream stand in the path.
 * Model: two passes over the conversation. The first writes the system prompt, which stands
 * apart, and notes whether tools were called; the second writes the messages.
 * Rules that are Bedrock's: user and assistant take turns (what follows itself is merged);
 * no empty text; results and calls only where there are tools; temperature is 0..1; media only
 * as bytes. Anthropic's models, whose ids say so, take thinking and top_k as Anthropic has
 * them, in additionalModelRequestFields.
 * Rule of ours: what only shapes an answer and has no word here is left out (seed, penalties,
 * logit_bias, verbosity, user, metadata, strict, cache keys, parallel_tool_calls). */
#include <stdio.h>

#include "net/translate/ask.h"
#include "net/translate/converse.h"
#include "net/translate/schema.h"

enum { BUDGET_MIN = 1024,       /* Anthropic's least budget for thinking */
       NUMBER_MAX = 40,         /* bytes of a number that is looked at */
       OUTPUT_DEFAULT = 4096 }; /* beside a budget, where nobody gives a limit */

struct writer {
    struct ask *a;
    const struct ask_target *t;
    struct pen *p;
    uint32_t documents;      /* so many have a name */
    int64_t max_tokens, budget;
    enum api_effort effort;  /* adaptive thinking; UNSET: none */
    uint8_t role;            /* of the open message */
    enum ask_rc rc;
    bool open, system, result, content;
    bool called;             /* the conversation has calls */
    bool model_last;         /* its last turn is the model's */
};

static bool refuse(struct writer *w, const char *pointer, const char *what)
{
    ask_blame(w->a, pointer, "the Bedrock Converse dialect has no way to ask for %s", what);
    w->rc = ASK_UNSAYABLE;
    return false;
}

static bool is_system(const struct ask_part *part)
{
    return part->role == ASK_SYSTEM || part->role == ASK_DEVELOPER;
}

/* ---- blocks ---- */

static void put_word(struct pen *p, struct bytes key, struct bytes word)
{
    pen_key(p, key);
    pen_string(p, word);
}

/* Whoever marks a block for the cache means all up to its end: a block of its own here. */
static void put_cache(struct writer *w, struct node cache)
{
    struct bytes name = BYTES("ttl");
    if (cache.type != JSON_OBJECT) return;
    struct walk_span ttl = walk_inside(walk_member(&w->a->walk, cache, name));
    pen_object(w->p);
    pen_key(w->p, BYTES("cachePoint")), pen_object(w->p);
    put_word(w->p, BYTES("type"), BYTES("default"));
    if (walk_is(&w->a->walk, ttl, BYTES("1h"))) put_word(w->p, name, BYTES("1h"));
    pen_object_end(w->p);
    pen_object_end(w->p);
}

static void put_text(struct writer *w, const struct ask_part *part)
{
    pen_object(w->p);
    pen_key(w->p, BYTES("text"));
    pen_begin(w->p);
    ask_text(w->p, &w->a->walk, part);
    pen_end(w->p);
    pen_object_end(w->p);
}

static void close_message(struct writer *w)
{
    if (!w->open) return;
    pen_array_end(w->p);
    pen_object_end(w->p);
    w->open = false;
}

/* A block of that role follows: in the message that is open, or in one of its own. */
static void open_message(struct writer *w, uint8_t role)
{
    uint8_t as = role == ASK_MODEL ? ASK_MODEL : ASK_USER;
    if (w->open && w->role == as) return;
    close_message(w);
    pen_object(w->p);
    put_word(w->p, BYTES("role"), as == ASK_MODEL ? BYTES("assistant") : BYTES("user"));
    pen_key(w->p, BYTES("content"));
    pen_array(w->p);
    w->open = true;
    w->role = as;
}

/* The same, in a result where the part is inside one. */
static void open_block(struct writer *w, const struct ask_part *part)
{
    if (!part->inside || !w->result) open_message(w, part->role);
    else w->content = true;
}

struct format { struct bytes mime, starts, word; };

/* Bedrock's words for kinds of files, by their MIME type or how their base64 begins. */
static const struct format images[] = {
    {BYTES_INIT("image/png"), BYTES_INIT("iVBOR"), BYTES_INIT("png")},
    {BYTES_INIT("image/jpeg"), BYTES_INIT("/9j/"), BYTES_INIT("jpeg")},
    {BYTES_INIT("image/jpg"), BYTES_INIT("/9j/"), BYTES_INIT("jpeg")},
    {BYTES_INIT("image/gif"), BYTES_INIT("R0lG"), BYTES_INIT("gif")},
    {BYTES_INIT("image/webp"), BYTES_INIT("UklG"), BYTES_INIT("webp")},
};
static const struct format documents[] = {
    {BYTES_INIT("application/pdf"), BYTES_INIT("JVBER"), BYTES_INIT("pdf")},
    {BYTES_INIT("text/plain"), {0}, BYTES_INIT("txt")},
    {BYTES_INIT("text/markdown"), {0}, BYTES_INIT("md")},
    {BYTES_INIT("text/html"), {0}, BYTES_INIT("html")},
    {BYTES_INIT("text/csv"), {0}, BYTES_INIT("csv")},
    {BYTES_INIT("application/msword"), {0}, BYTES_INIT("doc")},
    {BYTES_INIT("application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
     {0}, BYTES_INIT("docx")},
    {BYTES_INIT("application/vnd.ms-excel"), {0}, BYTES_INIT("xls")},
    {BYTES_INIT("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"), {0},
     BYTES_INIT("xlsx")},
};
static const struct format videos[] = {
    {BYTES_INIT("video/mp4"), {0}, BYTES_INIT("mp4")},
    {BYTES_INIT("video/quicktime"), {0}, BYTES_INIT("mov")},
    {BYTES_INIT("video/x-matroska"), {0}, BYTES_INIT("mkv")},
    {BYTES_INIT("video/webm"), {0}, BYTES_INIT("webm")},
    {BYTES_INIT("video/mpeg"), {0}, BYTES_INIT("mpeg")},
    {BYTES_INIT("video/x-flv"), {0}, BYTES_INIT("flv")},
    {BYTES_INIT("video/x-ms-wmv"), {0}, BYTES_INIT("wmv")},
    {BYTES_INIT("video/3gpp"), {0}, BYTES_INIT("three_gp")},
};

static bool data_starts(const struct walk *walk, struct walk_span data, struct bytes with)
{
    char room[8];
    if (with.len == 0 || data.end - data.start < with.len) return false;
    data.end = data.start + with.len;
    bool same = bytes_eq(walk_bytes(walk, data, room, sizeof room), with);
    explicit_bzero(room, sizeof room);
    return same;
}

/* The format of a part's bytes; empty: there is no word for it. */
static struct bytes format_of(const struct walk *walk, const struct ask_part *part,
                              const struct format *known, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (walk_is(walk, part->mime, known[i].mime)) return known[i].word;
    }
    bool unsaid = !walk_has(part->mime) || walk_is(walk, part->mime, BYTES("image/*")) ||
                  walk_is(walk, part->mime, BYTES("application/octet-stream"));
    for (size_t i = 0; unsaid && i < count; i++) {
        if (data_starts(walk, part->data, known[i].starts)) return known[i].word;
    }
    return (struct bytes){0};
}

/* A file: {kind: {format, name, source: {bytes}}}. Names have their own alphabet and may not
 * repeat, so that they are numbers. */
static void put_file(struct writer *w, const struct ask_part *part, struct bytes kind,
                     struct bytes format)
{
    bool plain = !walk_has(part->data);
    open_block(w, part);
    pen_object(w->p);
    pen_key(w->p, kind), pen_object(w->p);
    put_word(w->p, BYTES("format"), format);
    if (part->kind == ASK_DOCUMENT) {
        char name[32];
        int n = snprintf(name, sizeof name, "document %u", (unsigned)++w->documents);
        put_word(w->p, BYTES("name"), (struct bytes){name, (size_t)n});
    }
    pen_key(w->p, BYTES("source")), pen_object(w->p);
    pen_key(w->p, plain ? BYTES("text") : BYTES("bytes"));
    pen_begin(w->p);
    if (plain) pen_part_span(w->p, &w->a->walk, part->text);
    else ask_base64(w->p, &w->a->walk, part->data);
    pen_end(w->p);
    pen_object_end(w->p);
    pen_object_end(w->p);
    pen_object_end(w->p);
    if (!part->inside) put_cache(w, part->cache);
}

static bool put_media(struct writer *w, const struct ask_part *part)
{
    const struct walk *walk = &w->a->walk;
    bool image = part->kind == ASK_IMAGE, video = part->kind == ASK_VIDEO;
    if (part->kind == ASK_DOCUMENT && walk_has(part->text)) {
        put_file(w, part, BYTES("document"), BYTES("txt"));
        return true;
    }
    if (!walk_has(part->data)) {
        return refuse(w, "/messages", image ? "an image by url or file id"
                                            : "a file by url or id");
    }
    if (part->role == ASK_MODEL) return refuse(w, "/messages", "a file in the model's turn");
    struct bytes word = image   ? format_of(walk, part, images, COUNT(images))
                        : video ? format_of(walk, part, videos, COUNT(videos))
                                : format_of(walk, part, documents, COUNT(documents));
    if (word.len == 0) return refuse(w, "/messages", "files of this MIME type");
    put_file(w, part, image ? BYTES("image") : video ? BYTES("video") : BYTES("document"),
             word);
    return true;
}

/* Thoughts go back to who signed them. Anthropic's signatures hold wherever its models run. */
static void put_thought(struct writer *w, const struct ask_part *part)
{
    const struct walk *walk = &w->a->walk;
    struct walk_span data = part->signature, head = {data.start,
                                                     data.start + CONVERSE_REDACTED.len};
    bool own = part->maker == MAKER_CONVERSE || part->maker == MAKER_MESSAGES;
    if (!own || !walk_has(data)) return;
    bool redacted = data.end > head.end && walk_is(walk, head, CONVERSE_REDACTED);
    open_message(w, ASK_MODEL);
    pen_object(w->p);
    pen_key(w->p, BYTES("reasoningContent")), pen_object(w->p);
    if (redacted) {
        data.start = head.end;
        pen_key(w->p, BYTES("redactedContent"));
        pen_span(w->p, walk, data);
    } else {
        pen_key(w->p, BYTES("reasoningText")), pen_object(w->p);
        pen_key(w->p, BYTES("text"));
        pen_begin(w->p);
        ask_text(w->p, walk, part);
        pen_end(w->p);
        pen_key(w->p, BYTES("signature"));
        pen_span(w->p, walk, data);
        pen_object_end(w->p);
    }
    pen_object_end(w->p);
    pen_object_end(w->p);
}

static bool put_call(struct writer *w, const struct ask_part *part)
{
    open_message(w, ASK_MODEL);
    pen_object(w->p);
    pen_key(w->p, BYTES("toolUse")), pen_object(w->p);
    pen_key(w->p, BYTES("toolUseId"));
    ask_put_id(w->p, &w->a->walk, part->id, ID_RESPONSES);
    pen_key(w->p, BYTES("name"));
    ask_put_name(w->p, &w->a->walk, part->space, part->name);
    pen_key(w->p, BYTES("input"));
    if (!ask_put_arguments(w->a, w->p, part)) {
        w->rc = ASK_WRONG;
        return false;
    }
    pen_object_end(w->p);
    pen_object_end(w->p);
    put_cache(w, part->cache);
    return true;
}

static void put_result(struct writer *w, const struct ask_part *part)
{
    open_message(w, ASK_USER);
    pen_object(w->p);
    pen_key(w->p, BYTES("toolResult")), pen_object(w->p);
    pen_key(w->p, BYTES("toolUseId"));
    ask_put_id(w->p, &w->a->walk, part->id, ID_RESPONSES);
    if (part->is_error) put_word(w->p, BYTES("status"), BYTES("error"));
    pen_key(w->p, BYTES("content")), pen_array(w->p);
    w->result = true;
    w->content = false;
}

/* Of a tool that said nothing: content may not be empty, nor a text. */
static void end_result(struct writer *w)
{
    assert(w->result);
    if (!w->content) {
        pen_object(w->p);
        pen_key(w->p, BYTES("json")), pen_object(w->p), pen_object_end(w->p);
        pen_object_end(w->p);
    }
    pen_array_end(w->p);
    pen_object_end(w->p);
    pen_object_end(w->p);
    w->result = w->content = false;
}

static bool put_part(struct writer *w, const struct ask_part *part)
{
    switch (part->kind) {
    case ASK_TURN: return true;
    case ASK_TEXT: case ASK_REFUSAL:
        if (!ask_has_text(part)) return true;
        open_block(w, part);
        put_text(w, part);
        if (!part->inside) put_cache(w, part->cache);
        return true;
    case ASK_IMAGE: case ASK_DOCUMENT: case ASK_VIDEO: return put_media(w, part);
    case ASK_THINKING: put_thought(w, part); return true;
    case ASK_CALL: return put_call(w, part);
    case ASK_RESULT: put_result(w, part); return true;
    case ASK_RESULT_END: end_result(w); return true;
    case ASK_AUDIO: return refuse(w, "/messages", "audio");
    default: return refuse(w, "/messages", "what only its own dialect knows");
    }
}

/* ---- the conversation ---- */

static void open_system(struct writer *w)
{
    if (w->system) return;
    pen_key(w->p, BYTES("system"));
    pen_array(w->p);
    w->system = true;
}

/* Is the schema to be said in words, and not in outputConfig? */
static bool is_worded(const struct writer *w)
{
    return w->t->quirks & ASK_NO_SCHEMA || w->a->settings.gemini || ask_goes_on(w->t);
}

/* Who wants JSON where there is no other way is told so in words. */
static void put_format_words(struct writer *w)
{
    const struct ask_settings *s = &w->a->settings;
    bool schema = s->format == API_FORMAT_SCHEMA;
    if (s->format == API_FORMAT_TEXT || (schema && !is_worded(w))) return;
    open_system(w);
    pen_object(w->p);
    pen_key(w->p, BYTES("text"));
    pen_begin(w->p);
    pen_part(w->p, BYTES("Answer with one JSON value and nothing else: no words around it, no "
                         "code fence."));
    if (schema) {
        pen_part(w->p, BYTES(" It must be valid against this JSON Schema:\\n"));
        pen_part_node(w->p, &w->a->walk, s->schema);
    } else {
        pen_part(w->p, BYTES(" It must be an object."));
    }
    pen_end(w->p);
    pen_object_end(w->p);
}

static bool put_system(struct writer *w)
{
    struct ask_part part;
    ask_rewind(w->a);
    for (;;) {
        if (!ask_next(w->a, &part)) return false;
        if (part.kind == ASK_END) break;
        if (part.kind == ASK_TURN && !is_system(&part)) {
            w->model_last = part.role == ASK_MODEL;
        }
        w->called = w->called || part.kind == ASK_CALL || part.kind == ASK_RESULT;
        if (!is_system(&part) || part.kind == ASK_TURN) continue;
        if (part.kind != ASK_TEXT) {
            return refuse(w, "/messages", "a system prompt of other than text");
        }
        if (!ask_has_text(&part)) continue;
        open_system(w);
        put_text(w, &part);
        put_cache(w, part.cache);
    }
    put_format_words(w);
    if (w->system) pen_array_end(w->p);
    if (w->model_last && w->t->quirks & ASK_NO_PREFILL) {
        return refuse(w, "/messages", "an answer that goes on from the model's own last turn");
    }
    return true;
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
        if (!is_system(&part) && !put_part(w, &part)) return false;
    }
    close_message(w);
    pen_array_end(w->p);
    return true;
}

/* ---- tools ---- */

static void put_tool(struct writer *w, const struct ask_tool *tool)
{
    const struct walk *walk = &w->a->walk;
    pen_object(w->p);
    pen_key(w->p, BYTES("toolSpec")), pen_object(w->p);
    pen_key(w->p, BYTES("name"));
    ask_put_name(w->p, walk, tool->space, tool->name);
    if (walk_has(tool->description)) {
        pen_key(w->p, BYTES("description"));
        pen_span(w->p, walk, tool->description);
    }
    pen_key(w->p, BYTES("inputSchema")), pen_object(w->p);
    pen_key(w->p, BYTES("json"));
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
    pen_object_end(w->p);
    put_cache(w, tool->cache);
}

/* Bedrock takes no calls and results without tools: one that nobody is to call. */
static void put_no_tool(struct writer *w)
{
    pen_value(w->p, BYTES("{\"toolSpec\":{\"name\":\"none\",\"description\":\"There is no tool:"
                          " not to be called.\",\"inputSchema\":{\"json\":{\"type\":\"object\","
                          "\"properties\":{}}}}}"));
}

static void put_choice(struct writer *w)
{
    const struct ask_settings *s = &w->a->settings;
    if (!s->choice_said || s->choice == API_CHOICE_NONE) return;
    pen_key(w->p, BYTES("toolChoice")), pen_object(w->p);
    bool named = s->choice == API_CHOICE_NAMED;
    pen_key(w->p, named ? BYTES("tool")
                  : s->choice == API_CHOICE_REQUIRED ? BYTES("any") : BYTES("auto"));
    pen_object(w->p);
    if (named) {
        pen_key(w->p, BYTES("name"));
        ask_put_name(w->p, &w->a->walk, (struct walk_span){0}, s->choice_name);
    }
    pen_object_end(w->p);
    pen_object_end(w->p);
}

/* Tools that are not to be called need not be there. Hosted ones are left out unless one is
 * asked for: agents name them always. */
static bool put_tools(struct writer *w)
{
    const struct ask_settings *s = &w->a->settings;
    struct ask_tool tool;
    bool any = false, none = s->choice == API_CHOICE_NONE;
    ask_tools(w->a);
    while (!none && ask_tool(w->a, &tool)) {
        if (tool.kind == ASK_HOSTED) continue;
        if (!any) {
            pen_key(w->p, BYTES("toolConfig")), pen_object(w->p);
            pen_key(w->p, BYTES("tools")), pen_array(w->p);
        }
        any = true;
        put_tool(w, &tool);
    }
    bool forced = s->choice == API_CHOICE_REQUIRED || s->choice == API_CHOICE_NAMED;
    if (!any && forced) return refuse(w, "/tools", "the tools of another provider");
    if (!any && !w->called) return true;
    if (!any) {
        pen_key(w->p, BYTES("toolConfig")), pen_object(w->p);
        pen_key(w->p, BYTES("tools")), pen_array(w->p);
        put_no_tool(w);
    }
    pen_array_end(w->p);
    if (any) put_choice(w);
    pen_object_end(w->p);
    return true;
}

/* ---- settings ---- */

/* Is it one of Anthropic's models ("us.anthropic.claude-...")? */
static bool is_anthropic(const struct ask_target *t)
{
    struct bytes word = BYTES("anthropic.");
    return t->model.len && memmem(t->model.ptr, t->model.len, word.ptr, word.len);
}

/* How much the model is to think. Anthropic refuses thinking where a tool is forced, and in
 * front of a turn that is to be continued. */
static void plan_thinking(struct writer *w)
{
    const struct ask_settings *s = &w->a->settings;
    const struct ask_target *t = w->t;
    enum api_effort effort = t->effort != API_EFFORT_UNSET ? t->effort : s->effort;
    bool off = effort == API_EFFORT_NONE ||
               (t->effort == API_EFFORT_UNSET && s->thinking == THINKING_OFF) ||
               (effort == API_EFFORT_UNSET && s->budget == 0);
    bool wanted = effort != API_EFFORT_UNSET || s->budget > 0 || s->thinking == THINKING_ON ||
                  s->thinking == THINKING_ADAPTIVE;
    bool forced = s->choice == API_CHOICE_REQUIRED || s->choice == API_CHOICE_NAMED;
    if (!is_anthropic(t) || !t->thinks || off || !wanted) return;
    if (forced || w->model_last) return;
    if (effort == API_EFFORT_UNSET && s->budget > 0) effort = ask_budget_effort(s->budget);
    if (effort == API_EFFORT_UNSET) effort = API_EFFORT_MEDIUM;
    if (t->quirks & ASK_ADAPTIVE) {
        w->effort = ask_effort_for(t, effort);
        return;
    }
    if (w->max_tokens <= 0) w->max_tokens = t->output_default;
    if (w->max_tokens <= 0) w->max_tokens = OUTPUT_DEFAULT;
    bool counted = s->budget > 0 && t->effort == API_EFFORT_UNSET;
    w->budget = counted ? s->budget : ask_effort_budget(effort, w->max_tokens);
    if (w->budget < BUDGET_MIN) w->budget = BUDGET_MIN;
    if (w->budget >= w->max_tokens) w->budget = w->max_tokens - 1;
    if (w->budget < BUDGET_MIN) w->budget = 0;
}

/* A number above 1, plainly written: 2, 1.5. */
static bool is_above_one(const struct walk *w, struct node n)
{
    char room[NUMBER_MAX];
    struct bytes b = walk_bytes(w, walk_all(n), room, sizeof room);
    if (!b.ptr || b.len == 0 || *b.ptr < '1' || *b.ptr > '9') return false;
    size_t point = bytes_find(b, '.');
    if (point != 1 || *b.ptr != '1') return bytes_find(b, 'e') == b.len;
    for (size_t i = 2; i < b.len; i++) {
        if (b.ptr[i] != '0') return true;
    }
    return false;
}

static void put_temperature(struct writer *w, struct node n)
{
    pen_key(w->p, BYTES("temperature"));
    if (is_above_one(&w->a->walk, n)) pen_int(w->p, 1);
    else pen_node(w->p, &w->a->walk, n);
}

static void put_stop(struct writer *w, struct node stop)
{
    if (stop.type == JSON_NONE || w->t->quirks & ASK_NO_STOP) return;
    if (stop.type == JSON_ARRAY && walk_count(&w->a->walk, stop) == 0) return;
    pen_key(w->p, BYTES("stopSequences"));
    if (stop.type == JSON_STRING) pen_array(w->p);
    pen_node(w->p, &w->a->walk, stop);
    if (stop.type == JSON_STRING) pen_array_end(w->p);
}

static void put_inference(struct writer *w)
{
    const struct ask_settings *s = &w->a->settings;
    bool thinks = w->budget > 0 || w->effort != API_EFFORT_UNSET;
    bool sampled = !thinks && !(w->t->quirks & ASK_NO_SAMPLING);
    pen_key(w->p, BYTES("inferenceConfig")), pen_object(w->p);
    if (w->max_tokens > 0) pen_key(w->p, BYTES("maxTokens")), pen_int(w->p, w->max_tokens);
    if (sampled && s->temperature.type == JSON_NUMBER) put_temperature(w, s->temperature);
    if (sampled && s->top_p.type == JSON_NUMBER) {
        pen_key(w->p, BYTES("topP"));
        pen_node(w->p, &w->a->walk, s->top_p);
    }
    put_stop(w, s->stop);
    pen_object_end(w->p);
}

/* What Anthropic's models take beyond Converse's own settings. */
static void put_more(struct writer *w)
{
    static const struct bytes efforts[API_EFFORTS] = {
        [API_EFFORT_MINIMAL] = BYTES_INIT("low"), [API_EFFORT_LOW] = BYTES_INIT("low"),
        [API_EFFORT_MEDIUM] = BYTES_INIT("medium"), [API_EFFORT_HIGH] = BYTES_INIT("high"),
        [API_EFFORT_XHIGH] = BYTES_INIT("max"),
    };
    const struct ask_settings *s = &w->a->settings;
    bool thinks = w->budget > 0 || w->effort != API_EFFORT_UNSET;
    bool top_k = s->top_k.type == JSON_NUMBER && !thinks && !(w->t->quirks & ASK_NO_SAMPLING);
    if (!is_anthropic(w->t) || (!thinks && !top_k)) return;
    pen_key(w->p, BYTES("additionalModelRequestFields")), pen_object(w->p);
    if (top_k) pen_key(w->p, BYTES("top_k")), pen_node(w->p, &w->a->walk, s->top_k);
    if (thinks) {
        pen_key(w->p, BYTES("thinking")), pen_object(w->p);
        put_word(w->p, BYTES("type"), w->budget ? BYTES("enabled") : BYTES("adaptive"));
        if (w->budget) pen_key(w->p, BYTES("budget_tokens")), pen_int(w->p, w->budget);
        pen_object_end(w->p);
    }
    if (thinks && !w->budget && efforts[w->effort].len) {
        pen_key(w->p, BYTES("output_config")), pen_object(w->p);
        put_word(w->p, BYTES("effort"), efforts[w->effort]);
        pen_object_end(w->p);
    }
    pen_object_end(w->p);
}

/* outputConfig has the schema as a text of JSON. */
static void put_format(struct writer *w)
{
    const struct ask_settings *s = &w->a->settings;
    const struct walk *walk = &w->a->walk;
    if (s->format != API_FORMAT_SCHEMA || is_worded(w)) return;
    pen_key(w->p, BYTES("outputConfig")), pen_object(w->p);
    pen_key(w->p, BYTES("textFormat")), pen_object(w->p);
    put_word(w->p, BYTES("type"), BYTES("json_schema"));
    pen_key(w->p, BYTES("structure")), pen_object(w->p);
    pen_key(w->p, BYTES("jsonSchema")), pen_object(w->p);
    pen_key(w->p, BYTES("schema"));
    pen_begin(w->p);
    pen_part_node(w->p, walk, s->schema);
    pen_end(w->p);
    if (walk_has(s->schema_name)) {
        pen_key(w->p, BYTES("name"));
        pen_span(w->p, walk, s->schema_name);
    }
    for (unsigned i = 0; i < 4; i++) pen_object_end(w->p);
}

static void put_tier(struct writer *w)
{
    static const struct bytes words[] = {BYTES_INIT("flex"), BYTES_INIT("priority")};
    struct node tier = w->a->settings.tier;
    size_t i = walk_word(&w->a->walk, tier, words, COUNT(words));
    if (i == COUNT(words) || w->t->quirks & ASK_NO_TIER) return;
    pen_key(w->p, BYTES("serviceTier")), pen_object(w->p);
    put_word(w->p, BYTES("type"), words[i]);
    pen_object_end(w->p);
}

/* What cannot be said at all. */
static bool check_settings(struct writer *w)
{
    const struct ask_settings *s = &w->a->settings;
    if (!ask_is_plain(w->a, "Bedrock Converse")) {
        w->rc = ASK_UNSAYABLE;
        return false;
    }
    if (s->format == API_FORMAT_SCHEMA && s->schema.type == JSON_NONE) {
        return refuse(w, "/response_format", "an answer of a schema that is not there");
    }
    return true;
}

static enum ask_rc converse_write(struct ask *a, const struct ask_target *t, struct pen *p)
{
    struct writer w = {.a = a, .t = t, .p = p, .rc = ASK_WRONG};
    if (!check_settings(&w)) return w.rc;
    w.max_tokens = ask_output(a, t);
    pen_object(p);
    if (!put_system(&w) || !put_messages(&w)) return w.rc;
    plan_thinking(&w);
    put_inference(&w);
    if (!put_tools(&w)) return w.rc;
    put_more(&w);
    put_format(&w);
    put_tier(&w);
    pen_object_end(p);
    return ASK_WRITTEN;
}

const struct ask_dialect converse_ask = {.write = converse_write};
