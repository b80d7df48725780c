/* gemini_ask_write.c - writes a request in the form of Gemini's generateContent, or of
 * countTokens. Model: systemInstruction (the system's turns before all others; later ones stay
 * where they are, as the user's text, so that what a cache knows stays in front), contents,
 * tools, toolConfig, generationConfig. Turns that are one role's to Gemini are one content:
 * results of parallel calls must stand together.
 * A request of Gemini's own that has to be written, since a signature in it is another
 * maker's, is copied but for those. Rule: a signature goes to its maker only; where Gemini 3
 * wants one and there is none, it gets the value that its documents give for that case. */
#include "net/translate/ask.h"
#include "net/translate/gemini.h"
#include "net/translate/schema.h"

#include <stdio.h>

enum { IMAGES_MAX = 16,      /* images in one result of a tool */
       BUDGET_MAX = 24576 }; /* tokens: the largest thinkingBudget that every model takes */

enum open { OPEN_NOTHING, OPEN_USER, OPEN_MODEL };

struct out {
    struct ask *a;
    const struct ask_target *t;
    struct pen *p;
    struct walk_span signature;     /* of thoughts, for the next part of the model's */
    uint8_t open;            /* enum open: the content that was begun */
    uint8_t role;            /* enum ask_role of the turn */
    bool called;             /* it has a functionCall */
    bool config;             /* generationConfig was begun */
};

/* Where the part at hand is in the client's request. */
static enum ask_rc unsayable(struct out *o, const char *what)
{
    static const char *const lists[APIS] = {
        [API_CHAT] = "messages", [API_RESPONSES] = "input", [API_MESSAGES] = "messages",
        [API_COUNT_TOKENS] = "messages", [API_GENERATE] = "contents",
        [API_GENERATE_COUNT] = "contents",
    };
    char pointer[sizeof o->a->pointer] = "";
    const char *list = lists[o->a->api];
    if (list) snprintf(pointer, sizeof pointer, "/%s/%u", list, o->a->message);
    ask_blame(o->a, pointer, "the Gemini dialect has no way to say %s", what);
    return ASK_UNSAYABLE;
}

/* ---- contents ---- */

static void put_signature(struct out *o, struct walk_span signature)
{
    if (!walk_has(signature)) return;
    pen_key(o->p, BYTES("thoughtSignature"));
    pen_span(o->p, &o->a->walk, signature);
}

static void close_content(struct out *o)
{
    if (o->open == OPEN_NOTHING) return;
    if (walk_has(o->signature)) {  /* no part followed: Gemini itself writes it so */
        pen_object(o->p);
        pen_key(o->p, BYTES("text"));
        pen_string(o->p, (struct bytes){0});
        put_signature(o, o->signature);
        pen_object_end(o->p);
    }
    o->signature = (struct walk_span){0};
    pen_array_end(o->p);
    pen_object_end(o->p);
    o->open = OPEN_NOTHING;
}

/* The next part is that role's: begin its content, or go on with it. */
static void open_content(struct out *o, enum open role)
{
    assert(role != OPEN_NOTHING);
    if (o->open == role) return;
    close_content(o);
    pen_object(o->p);
    pen_key(o->p, BYTES("role"));
    pen_string(o->p, role == OPEN_MODEL ? BYTES("model") : BYTES("user"));
    pen_key(o->p, BYTES("parts"));
    pen_array(o->p);
    o->open = (uint8_t)role;
    o->called = false;
}

static void open_turn(struct out *o)
{
    open_content(o, o->role == ASK_MODEL ? OPEN_MODEL : OPEN_USER);
}

/* The signature that stands at a part: its own, or that of the thoughts before it. */
static struct walk_span sign(struct out *o, const struct ask_part *part)
{
    struct walk_span s = o->signature;
    o->signature = (struct walk_span){0};
    bool own = part->maker == MAKER_GEMINI && walk_has(part->signature);
    return own ? part->signature : s;
}

static void put_text(struct out *o, const struct ask_part *part)
{
    if (!ask_has_text(part)) return;
    open_turn(o);
    pen_object(o->p);
    pen_key(o->p, BYTES("text"));
    pen_begin(o->p);
    ask_text(o->p, &o->a->walk, part);
    pen_end(o->p);
    put_signature(o, sign(o, part));
    pen_object_end(o->p);
}

static void put_thinking(struct out *o, const struct ask_part *part)
{
    if (part->maker != MAKER_GEMINI) return;
    open_turn(o);
    if (ask_has_text(part)) {
        pen_object(o->p);
        pen_key(o->p, BYTES("text"));
        pen_begin(o->p);
        ask_text(o->p, &o->a->walk, part);
        pen_end(o->p);
        pen_key(o->p, BYTES("thought"));
        pen_bool(o->p, true);
        pen_object_end(o->p);
    }
    if (walk_has(part->signature)) o->signature = part->signature;
}

/* What type a part has that does not say: by its address' end, else what is most common. */
static struct bytes guess_mime(const struct walk *w, const struct ask_part *part)
{
    static const struct { struct bytes end, mime; } types[] = {
        {BYTES_INIT(".png"), BYTES_INIT("image/png")},
        {BYTES_INIT(".webp"), BYTES_INIT("image/webp")},
        {BYTES_INIT(".gif"), BYTES_INIT("image/gif")},
        {BYTES_INIT(".heic"), BYTES_INIT("image/heic")},
        {BYTES_INIT(".txt"), BYTES_INIT("text/plain")},
        {BYTES_INIT(".mp3"), BYTES_INIT("audio/mp3")},
    };
    uint64_t end = gemini_path_end(w, part->url);
    for (size_t i = 0; i < COUNT(types); i++) {
        if (end - part->url.start <= types[i].end.len) continue;
        struct walk_span tail = {end - types[i].end.len, end};
        if (walk_is(w, tail, types[i].end)) return types[i].mime;
    }
    switch (part->kind) {
    case ASK_IMAGE: return BYTES("image/jpeg");
    case ASK_AUDIO: return BYTES("audio/wav");
    case ASK_VIDEO: return BYTES("video/mp4");
    default: return BYTES("application/pdf");
    }
}

static void put_mime(struct out *o, const struct ask_part *part)
{
    const struct walk *w = &o->a->walk;
    struct walk_span mime = part->mime;
    pen_key(o->p, BYTES("mimeType"));
    pen_begin(o->p);
    if (walk_has(mime)) {
        struct walk_span head = {mime.start, mime.start + 6};
        bool whole = part->kind != ASK_AUDIO || (head.end < mime.end &&
                                                 walk_is(w, head, BYTES("audio/")));
        if (!whole) pen_part(o->p, BYTES("audio/"));  /* chat has only what is behind it */
        pen_part_span(o->p, w, mime);
    } else {
        pen_part(o->p, guess_mime(w, part));
    }
    pen_end(o->p);
}

/* An image, a document, sound, a film: as a part, in a list of parts. */
static enum ask_rc put_media(struct out *o, const struct ask_part *part)
{
    const struct walk *w = &o->a->walk;
    struct ask_part media = *part;
    struct walk_span mime;
    if (walk_has(part->file) && !walk_has(part->data) && !walk_has(part->url)) {
        return unsayable(o, "a file by an id that only its provider knows");
    }
    if (walk_has(part->url) && ask_data_url(w, part->url, &mime, &media.data)) {
        if (walk_has(mime)) media.mime = mime;
        media.url = (struct walk_span){0};
    }
    bool data = walk_has(media.data);
    pen_object(o->p);
    pen_key(o->p, data ? BYTES("inlineData") : BYTES("fileData"));
    pen_object(o->p);
    put_mime(o, &media);
    pen_key(o->p, data ? BYTES("data") : BYTES("fileUri"));
    pen_span(o->p, w, data ? media.data : media.url);
    pen_object_end(o->p);
    pen_object_end(o->p);
    return ASK_WRITTEN;
}

static enum ask_rc put_call(struct out *o, const struct ask_part *part)
{
    struct walk_span signature = sign(o, part);
    open_turn(o);
    pen_object(o->p);
    pen_key(o->p, BYTES("functionCall"));
    pen_object(o->p);
    if (walk_has(part->id)) {
        pen_key(o->p, BYTES("id"));
        ask_put_id(o->p, &o->a->walk, part->id, ID_GEMINI);
    }
    pen_key(o->p, BYTES("name"));
    ask_put_name(o->p, &o->a->walk, part->space, part->name);
    pen_key(o->p, BYTES("args"));
    if (!ask_put_arguments(o->a, o->p, part)) return ASK_WRONG;
    pen_object_end(o->p);
    if (walk_has(signature)) {
        put_signature(o, signature);
    } else if (!o->called && (o->t->quirks & ASK_SIGNED_CALLS)) {
        pen_key(o->p, BYTES("thoughtSignature"));
        pen_string(o->p, BYTES("skip_thought_signature_validator"));
    }
    o->called = true;
    pen_object_end(o->p);
    return ASK_WRITTEN;
}

struct result {              /* of a tool, as it is being read */
    struct ask_part text;    /* the only one so far */
    struct ask_part image[IMAGES_MAX];
    unsigned texts, images;
};

static void put_response_key(struct out *o, const struct ask_part *head)
{
    pen_key(o->p, BYTES("response"));
    pen_object(o->p);
    pen_key(o->p, head->is_error ? BYTES("error") : BYTES("output"));
    pen_begin(o->p);
}

/* A text of a result. One that is alone waits, for it may be an object. */
static void take_result_text(struct out *o, const struct ask_part *head, struct result *r,
                             const struct ask_part *text)
{
    const struct walk *w = &o->a->walk;
    if (r->texts++ == 0) {
        r->text = *text;
        return;
    }
    if (r->texts == 2) {
        put_response_key(o, head);
        ask_text(o->p, w, &r->text);
    }
    pen_part(o->p, BYTES("\\n"));
    ask_text(o->p, w, text);
}

/* The response, as far as it is not written. */
static void put_response(struct out *o, const struct ask_part *head, struct result *r)
{
    const struct walk *w = &o->a->walk;
    bool object = r->texts == 1 && !head->is_error && walk_has(r->text.text);
    if (r->texts < 2 && object) {
        pen_key(o->p, BYTES("response"));
        if (pen_inner(o->p, w, r->text.text)) return;
        pen_object(o->p);
        pen_key(o->p, BYTES("output"));
        pen_begin(o->p);
    } else if (r->texts < 2) {
        put_response_key(o, head);
    }
    if (r->texts == 1) ask_text(o->p, w, &r->text);
    pen_end(o->p);
    pen_object_end(o->p);
}

/* Its images: Gemini 3 has them inside of the response; for the models before it they follow
 * as parts of their own. */
static enum ask_rc put_images(struct out *o, const struct result *r)
{
    bool inside = o->t->quirks & ASK_SIGNED_CALLS;
    enum ask_rc rc = ASK_WRITTEN;
    if (inside && r->images > 0) {
        pen_key(o->p, BYTES("parts"));
        pen_array(o->p);
    }
    if (!inside) {
        pen_object_end(o->p);
        pen_object_end(o->p);
    }
    for (unsigned i = 0; i < r->images && rc == ASK_WRITTEN; i++) {
        rc = put_media(o, &r->image[i]);
    }
    if (!inside || rc != ASK_WRITTEN) return rc;
    if (r->images > 0) pen_array_end(o->p);
    pen_object_end(o->p);
    pen_object_end(o->p);
    return rc;
}

static enum ask_rc put_result(struct out *o, const struct ask_part *head)
{
    struct result r;
    struct ask_part part;
    r.texts = r.images = 0;
    struct walk_span name = head->name, space = head->space;
    if (!walk_has(name)) {
        name = ask_call_name(o->a, head->id);
        space = ask_call_space(o->a, head->id);
    }
    if (!walk_has(name)) return unsayable(o, "the result of a call that is not there");
    open_turn(o);
    pen_object(o->p);
    pen_key(o->p, BYTES("functionResponse"));
    pen_object(o->p);
    if (walk_has(head->id)) {
        pen_key(o->p, BYTES("id"));
        ask_put_id(o->p, &o->a->walk, head->id, ID_GEMINI);
    }
    pen_key(o->p, BYTES("name"));
    ask_put_name(o->p, &o->a->walk, space, name);
    for (;;) {
        if (!ask_next(o->a, &part)) return ASK_WRONG;
        if (part.kind == ASK_RESULT_END) break;
        if (part.kind == ASK_OTHER && part.raw.type != JSON_NONE) {
            part.kind = ASK_TEXT;    /* tool_reference: the model can read it as it is */
            part.value = part.raw;
        }
        bool text = part.kind == ASK_TEXT || part.kind == ASK_REFUSAL ||
                    (part.kind == ASK_DOCUMENT && ask_has_text(&part));
        if (text) {
            if (ask_has_text(&part)) take_result_text(o, head, &r, &part);
        } else if (part.kind < ASK_IMAGE || part.kind > ASK_VIDEO) {
            return unsayable(o, "what stands in this result of a tool");
        } else if (r.images == IMAGES_MAX) {
            return unsayable(o, "so many images in one result of a tool");
        } else {
            r.image[r.images++] = part;
        }
    }
    put_response(o, head, &r);
    return put_images(o, &r);
}

static enum ask_rc put_part(struct out *o, const struct ask_part *part)
{
    switch ((enum ask_kind)part->kind) {
    case ASK_TEXT: case ASK_REFUSAL: put_text(o, part); return ASK_WRITTEN;
    case ASK_THINKING: put_thinking(o, part); return ASK_WRITTEN;
    case ASK_CALL: return put_call(o, part);
    case ASK_RESULT: return put_result(o, part);
    case ASK_DOCUMENT:
        if (ask_has_text(part)) {
            put_text(o, part);
            return ASK_WRITTEN;
        }
        open_turn(o);
        return put_media(o, part);
    case ASK_IMAGE: case ASK_AUDIO: case ASK_VIDEO: open_turn(o); return put_media(o, part);
    case ASK_OTHER:          /* a hosted tool's: what it said stands in the text */
        if (o->role == ASK_MODEL) return ASK_WRITTEN;
        return unsayable(o, "what only the client's own dialect knows");
    case ASK_TURN: case ASK_END: case ASK_RESULT_END: break;
    }
    return ASK_WRITTEN;
}

static bool is_system(const struct ask_part *part)
{
    return part->role == ASK_SYSTEM || part->role == ASK_DEVELOPER;
}

/* The system's turns in front, as systemInstruction. *alone: there is no other turn, and then
 * nothing is written, for contents may not be empty. */
static enum ask_rc put_system(struct out *o, bool *alone)
{
    struct ask_part part;
    *alone = true;
    for (ask_rewind(o->a); *alone; ) {
        if (!ask_next(o->a, &part)) return ASK_WRONG;
        if (part.kind == ASK_END) return ASK_WRITTEN;
        if (part.kind == ASK_TURN && !is_system(&part)) *alone = false;
    }
    bool begun = false;
    for (ask_rewind(o->a);;) {
        if (!ask_next(o->a, &part)) return ASK_WRONG;
        if (part.kind == ASK_TURN && !is_system(&part)) break;
        if (part.kind == ASK_TURN || (part.kind == ASK_TEXT && !ask_has_text(&part))) continue;
        if (part.kind != ASK_TEXT) return unsayable(o, "anything but text as the system's");
        if (!begun) {
            pen_key(o->p, BYTES("systemInstruction"));
            pen_object(o->p);
            pen_key(o->p, BYTES("parts"));
            pen_array(o->p);
            begun = true;
        }
        pen_object(o->p);
        pen_key(o->p, BYTES("text"));
        pen_begin(o->p);
        ask_text(o->p, &o->a->walk, &part);
        pen_end(o->p);
        pen_object_end(o->p);
    }
    if (begun) pen_array_end(o->p);
    if (begun) pen_object_end(o->p);
    return ASK_WRITTEN;
}

static enum ask_rc put_contents(struct out *o)
{
    struct ask_part part;
    bool alone;
    enum ask_rc rc = put_system(o, &alone);
    if (rc != ASK_WRITTEN) return rc;
    bool front = !alone;     /* the system's turns that are written already */
    pen_key(o->p, BYTES("contents"));
    pen_array(o->p);
    for (ask_rewind(o->a); rc == ASK_WRITTEN && !o->p->full; ) {
        if (!ask_next(o->a, &part)) return ASK_WRONG;
        if (part.kind == ASK_END) break;
        if (part.kind == ASK_TURN) {
            front = front && is_system(&part);
            o->role = part.role;
        } else if (!front) {
            rc = put_part(o, &part);
        }
    }
    if (rc != ASK_WRITTEN) return rc;
    if (o->open == OPEN_MODEL && (o->t->quirks & ASK_NO_PREFILL)) {
        return unsayable(o, "how an answer of this model is to begin");
    }
    close_content(o);
    pen_array_end(o->p);
    return ASK_WRITTEN;
}

/* ---- tools ---- */

static void put_function(struct out *o, const struct ask_tool *tool)
{
    struct pen *p = o->p;
    const struct walk *w = &o->a->walk;
    pen_object(p);
    pen_key(p, BYTES("name"));
    ask_put_name(p, w, tool->space, tool->name);
    if (walk_has(tool->description)) {
        pen_key(p, BYTES("description"));
        pen_span(p, w, tool->description);
    }
    if (tool->kind == ASK_CUSTOM) {
        pen_key(p, BYTES("parametersJsonSchema"));
        ask_put_custom_schema(p);
    } else if (walk_count(w, tool->schema) > 0) {
        pen_key(p, BYTES("parametersJsonSchema"));
        if (tool->gemini) schema_put(p, w, tool->schema);
        else pen_node(p, w, tool->schema);
    }
    pen_object_end(p);
}

/* Hosted tools of others are left out where functions stand beside them: agents offer them
 * always. Where there is nothing else, the answer would be another one. */
static enum ask_rc put_tools(struct out *o)
{
    static const struct bytes modes[] = {
        [API_CHOICE_AUTO] = BYTES_INIT("AUTO"), [API_CHOICE_NONE] = BYTES_INIT("NONE"),
        [API_CHOICE_REQUIRED] = BYTES_INIT("ANY"), [API_CHOICE_NAMED] = BYTES_INIT("ANY"),
    };
    const struct ask_settings *s = &o->a->settings;
    struct ask_tool tool;
    struct pen *p = o->p;
    bool begun = false, hosted = false;
    for (ask_tools(o->a); ask_tool(o->a, &tool);) {
        hosted = hosted || tool.kind == ASK_HOSTED;
        if (tool.kind == ASK_HOSTED) continue;
        if (!begun) {
            pen_key(p, BYTES("tools"));
            pen_array(p);
            pen_object(p);
            pen_key(p, BYTES("functionDeclarations"));
            pen_array(p);
            begun = true;
        }
        put_function(o, &tool);
    }
    if (!begun && hosted && s->choice != API_CHOICE_NONE) {
        ask_blame(o->a, "/tools", "the Gemini dialect has no way to offer a tool that runs at "
                  "another provider");
        return ASK_UNSAYABLE;
    }
    if (!begun) return ASK_WRITTEN;
    pen_array_end(p);
    pen_object_end(p);
    pen_array_end(p);
    if (!s->choice_said) return ASK_WRITTEN;
    assert(s->choice < COUNT(modes));
    pen_key(p, BYTES("toolConfig"));
    pen_object(p);
    pen_key(p, BYTES("functionCallingConfig"));
    pen_object(p);
    pen_key(p, BYTES("mode"));
    pen_string(p, modes[s->choice]);
    if (s->choice == API_CHOICE_NAMED) {
        pen_key(p, BYTES("allowedFunctionNames"));
        pen_array(p);
        pen_span(p, &o->a->walk, s->choice_name);
        pen_array_end(p);
    }
    pen_object_end(p);
    pen_object_end(p);
    return ASK_WRITTEN;
}

/* ---- generationConfig ---- */

/* It is begun with its first member. */
static void open_config(struct out *o)
{
    if (o->config) return;
    pen_key(o->p, BYTES("generationConfig"));
    pen_object(o->p);
    o->config = true;
}

/* The key of a member of it. */
static struct pen *config(struct out *o, struct bytes key)
{
    open_config(o);
    pen_key(o->p, key);
    return o->p;
}

static void config_node(struct out *o, struct bytes key, struct node value, uint64_t refused)
{
    if (value.type == JSON_NONE || (o->t->quirks & refused)) return;
    pen_node(config(o, key), &o->a->walk, value);
}

static void put_stop(struct out *o)
{
    struct node stop = o->a->settings.stop;
    if (stop.type == JSON_NONE || (o->t->quirks & ASK_NO_STOP)) return;
    struct pen *p = config(o, BYTES("stopSequences"));
    if (stop.type == JSON_STRING) pen_array(p);
    pen_node(p, &o->a->walk, stop);
    if (stop.type == JSON_STRING) pen_array_end(p);
}

/* Gemini's seed has 32 bits. */
static void put_seed(struct out *o)
{
    int64_t seed;
    if (!walk_int(&o->a->walk, o->a->settings.seed, &seed)) return;
    pen_int(config(o, BYTES("seed")), seed & INT32_MAX);
}

static void put_format(struct out *o)
{
    const struct ask_settings *s = &o->a->settings;
    if (s->format == API_FORMAT_TEXT) return;
    pen_string(config(o, BYTES("responseMimeType")), BYTES("application/json"));
    if (s->format != API_FORMAT_SCHEMA || s->schema.type != JSON_OBJECT) return;
    config(o, BYTES("responseJsonSchema"));
    if (s->gemini) schema_put(o->p, &o->a->walk, s->schema);
    else pen_node(o->p, &o->a->walk, s->schema);
}

/* The effort that is wanted: Weir's word, the client's, or what its budget stands for. */
static enum api_effort wanted(const struct out *o)
{
    const struct ask_settings *s = &o->a->settings;
    if (o->t->effort != API_EFFORT_UNSET) return (enum api_effort)o->t->effort;
    if (s->thinking == THINKING_OFF) return API_EFFORT_NONE;
    if (s->effort != API_EFFORT_UNSET) return (enum api_effort)s->effort;
    return s->budget > 0 ? ask_budget_effort(s->budget) : API_EFFORT_UNSET;
}

/* Gemini 3 is told a level, and cannot be told not to think: low is what each of its models
 * takes; the models before it are told a budget. */
static void put_effort(struct out *o, enum api_effort effort)
{
    static const struct bytes levels[API_EFFORTS] = {
        [API_EFFORT_NONE] = BYTES_INIT("MINIMAL"), [API_EFFORT_MINIMAL] = BYTES_INIT("MINIMAL"),
        [API_EFFORT_LOW] = BYTES_INIT("LOW"), [API_EFFORT_MEDIUM] = BYTES_INIT("MEDIUM"),
        [API_EFFORT_HIGH] = BYTES_INIT("HIGH"), [API_EFFORT_XHIGH] = BYTES_INIT("HIGH"),
    };
    const struct ask_settings *s = &o->a->settings;
    bool level = o->t->quirks & ASK_SIGNED_CALLS;
    if (level) {
        bool minimal = o->t->efforts & 1u << API_EFFORT_MINIMAL;
        if (effort <= API_EFFORT_MINIMAL && !minimal) effort = API_EFFORT_LOW;
        pen_key(o->p, BYTES("thinkingLevel"));
        pen_string(o->p, levels[effort]);
        return;
    }
    bool own = o->t->effort == API_EFFORT_UNSET && s->budget > 0;
    int64_t budget = own ? s->budget : ask_effort_budget(effort, ask_output(o->a, o->t));
    pen_key(o->p, BYTES("thinkingBudget"));
    pen_int(o->p, budget > BUDGET_MAX ? BUDGET_MAX : budget);
}

static void put_thinking_config(struct out *o)
{
    const struct ask_settings *s = &o->a->settings;
    enum api_effort effort = ask_effort_for(o->t, wanted(o));
    bool asked = effort != API_EFFORT_UNSET || s->thinking == THINKING_ADAPTIVE;
    bool shown = s->thoughts == 1 ||
                 (s->thoughts < 0 && asked && effort != API_EFFORT_NONE);
    if (!o->t->thinks || (!asked && !shown)) return;
    config(o, BYTES("thinkingConfig"));
    pen_object(o->p);
    if (effort != API_EFFORT_UNSET) {
        put_effort(o, effort);
    } else if (asked && !(o->t->quirks & ASK_SIGNED_CALLS)) {
        pen_key(o->p, BYTES("thinkingBudget"));
        pen_int(o->p, -1);
    }
    if (shown) {
        pen_key(o->p, BYTES("includeThoughts"));
        pen_bool(o->p, true);
    }
    pen_object_end(o->p);
}

static enum ask_rc put_config(struct out *o)
{
    const struct ask_settings *s = &o->a->settings;
    int64_t output = ask_output(o->a, o->t);
    if (s->audio.type != JSON_NONE) {
        ask_blame(o->a, "/audio", "the Gemini dialect has no way to ask for this audio");
        return ASK_UNSAYABLE;
    }
    config_node(o, BYTES("temperature"), s->temperature, ASK_NO_SAMPLING);
    config_node(o, BYTES("topP"), s->top_p, ASK_NO_SAMPLING);
    config_node(o, BYTES("topK"), s->top_k, ASK_NO_SAMPLING);
    if (s->n > 0) pen_int(config(o, BYTES("candidateCount")), s->n);
    if (output > 0) pen_int(config(o, BYTES("maxOutputTokens")), output);
    put_stop(o);
    put_seed(o);
    config_node(o, BYTES("presencePenalty"), s->presence, ASK_NO_PENALTIES);
    config_node(o, BYTES("frequencyPenalty"), s->frequency, ASK_NO_PENALTIES);
    if (s->logprobs && !(o->t->quirks & ASK_NO_LOGPROBS)) {
        pen_bool(config(o, BYTES("responseLogprobs")), true);
        if (s->top_logprobs > 0) pen_int(config(o, BYTES("logprobs")), s->top_logprobs);
    }
    put_format(o);
    put_thinking_config(o);
    if (o->config) pen_object_end(o->p);
    return ASK_WRITTEN;
}

/* ---- Gemini's own request, copied ---- */

/* Whose signature stands at a part; MAKER_GEMINI where none does. */
static uint8_t maker_of(const struct walk *w, struct node part)
{
    static const struct bytes names[] = {BYTES_INIT("thoughtSignature")};
    struct node signature;
    gemini_members(w, part, names, 1, &signature);
    struct walk_span s = walk_inside(signature);
    return walk_has(s) ? ask_maker(w, &s, MAKER_GEMINI) : MAKER_GEMINI;
}

/* A part without its foreign signature; false: it is nothing without. */
static bool copy_unsigned(struct out *o, struct node part, bool first_call, bool write)
{
    static const struct bytes names[] = {BYTES_INIT("thought"), BYTES_INIT("functionCall"),
        BYTES_INIT("text"), BYTES_INIT("thoughtSignature")};
    const struct walk *w = &o->a->walk;
    struct node v[COUNT(names)], key, value;
    struct walk_each e;
    gemini_members(w, part, names, COUNT(names), v);
    bool empty = v[2].type != JSON_NONE && !walk_has(walk_inside(v[2]));
    if (v[0].type == JSON_TRUE || empty) return false;
    if (!write) return true;
    pen_object(o->p);
    walk_begin(w, part, &e);
    while (walk_next(&e, &key, &value)) {
        if (value.start == v[3].start) continue;
        pen_key_span(o->p, w, walk_inside(key));
        pen_node(o->p, w, value);
    }
    if (v[1].type != JSON_NONE && first_call && (o->t->quirks & ASK_SIGNED_CALLS)) {
        pen_key(o->p, BYTES("thoughtSignature"));
        pen_string(o->p, BYTES("skip_thought_signature_validator"));
    }
    pen_object_end(o->p);
    return true;
}

/* A content's parts without what is foreign. write false: is there any? */
static bool copy_parts(struct out *o, struct node parts, bool write)
{
    const struct walk *w = &o->a->walk;
    struct walk_each e;
    struct node key, part;
    bool any = false, called = false;
    walk_begin(w, parts, &e);
    while (walk_next(&e, &key, &part)) {
        if (maker_of(w, part) == MAKER_GEMINI) {
            if (write) pen_node(o->p, w, part);
            any = true;
        } else {
            any = copy_unsigned(o, part, !called, write) || any;
        }
        called = called || walk_member(w, part, BYTES("functionCall")).type != JSON_NONE;
    }
    return any;
}

static void copy_contents(struct out *o, struct node contents)
{
    static const struct bytes names[] = {BYTES_INIT("role"), BYTES_INIT("parts")};
    const struct walk *w = &o->a->walk;
    struct walk_each e;
    struct node key, content, v[COUNT(names)];
    pen_array(o->p);
    walk_begin(w, contents, &e);
    while (walk_next(&e, &key, &content)) {
        gemini_members(w, content, names, COUNT(names), v);
        if (!copy_parts(o, v[1], false)) continue;
        pen_object(o->p);
        if (v[0].type != JSON_NONE) {
            pen_key(o->p, BYTES("role"));
            pen_node(o->p, w, v[0]);
        }
        pen_key(o->p, BYTES("parts"));
        pen_array(o->p);
        copy_parts(o, v[1], true);
        pen_array_end(o->p);
        pen_object_end(o->p);
    }
    pen_array_end(o->p);
}

/* generationConfig as it is, but for what the target has another word on. */
static void copy_config(struct out *o, struct node settings)
{
    enum { OUTPUT, THINKING, NAMES };
    static const struct bytes names[NAMES] = {BYTES_INIT("maxOutputTokens"),
                                              BYTES_INIT("thinkingConfig")};
    const struct walk *w = &o->a->walk;
    struct node v[NAMES], key, value;
    struct walk_each e;
    int64_t output = ask_output(o->a, o->t);
    gemini_members(w, settings, names, NAMES, v);
    bool effort = o->t->effort != API_EFFORT_UNSET;
    walk_begin(w, settings, &e);
    while (walk_next(&e, &key, &value)) {
        if (value.start == v[OUTPUT].start) continue;
        if (effort && value.start == v[THINKING].start) continue;
        open_config(o);
        pen_key_span(o->p, w, walk_inside(key));
        pen_node(o->p, w, value);
    }
    if (output > 0) pen_int(config(o, BYTES("maxOutputTokens")), output);
    if (effort) put_thinking_config(o);
    if (o->config) pen_object_end(o->p);
}

/* The members of a request of Gemini's own. */
static void copy_request(struct out *o, struct node request)
{
    enum { CONTENTS, CONFIG, MODEL, NAMES };
    static const struct bytes names[NAMES] = {BYTES_INIT("contents"),
        BYTES_INIT("generationConfig"), BYTES_INIT("model")};
    const struct walk *w = &o->a->walk;
    struct node v[NAMES], key, value;
    struct walk_each e;
    gemini_members(w, request, names, NAMES, v);
    pen_key(o->p, BYTES("contents"));
    copy_contents(o, v[CONTENTS]);
    walk_begin(w, request, &e);
    while (walk_next(&e, &key, &value)) {
        bool done = value.start == v[CONTENTS].start || value.start == v[CONFIG].start ||
                    value.start == v[MODEL].start;
        if (done) continue;
        pen_key_span(o->p, w, walk_inside(key));
        pen_node(o->p, w, value);
    }
    if (o->t->api == API_GENERATE) copy_config(o, v[CONFIG]);
}

/* ---- all of it ---- */

static enum ask_rc put_members(struct out *o)
{
    bool own = o->a->api == API_GENERATE || o->a->api == API_GENERATE_COUNT;
    if (own) {
        static const struct bytes names[] = {BYTES_INIT("generateContentRequest")};
        struct node inner;
        gemini_members(&o->a->walk, o->a->root, names, 1, &inner);
        copy_request(o, inner.type == JSON_OBJECT ? inner : o->a->root);
        return ASK_WRITTEN;
    }
    enum ask_rc rc = put_contents(o);
    if (rc == ASK_WRITTEN) rc = put_tools(o);
    if (rc == ASK_WRITTEN && o->t->api == API_GENERATE) rc = put_config(o);
    return rc;
}

enum ask_rc gemini_ask_write(struct ask *a, const struct ask_target *t, struct pen *p)
{
    struct out o = {.a = a, .t = t, .p = p};
    bool inner = t->api == API_GENERATE_COUNT && !(t->quirks & ASK_COUNT_FLAT);
    assert(t->api == API_GENERATE || t->api == API_GENERATE_COUNT);
    pen_object(p);
    if (inner) {
        pen_key(p, BYTES("generateContentRequest"));
        pen_object(p);
        pen_key(p, BYTES("model"));
        pen_begin(p);
        pen_part(p, BYTES("models/"));
        pen_part_text(p, t->model);
        pen_end(p);
    }
    enum ask_rc rc = put_members(&o);
    if (rc != ASK_WRITTEN) return rc;
    if (inner) pen_object_end(p);
    pen_object_end(p);
    assert(p->depth == 0 || p->full);
    return p->full ? ASK_NO_ROOM : ASK_WRITTEN;
}
