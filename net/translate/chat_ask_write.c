/* chat_ask_write.c - writes a request in the form of OpenAI's chat completions. What providers
 * who imitate it do otherwise are bits of the target's quirks. Model: one pass over the
 * conversation; texts, thoughts and refusals of the model's turn are noted, since they may come
 * before and behind its calls, and its content is written behind those; what a tool returned
 * besides text follows the turn's results as a message of the user's, for role tool has text
 * alone. Rule: what is noted are places in the client's body, never its words. */
#include "net/translate/ask.h"
#include "net/translate/chat.h"

#include <stdio.h>

enum { SAID_MAX = 64, THOUGHTS_MAX = 32, MEDIA_MAX = 16 };

enum content { NOTHING, HELD, PLAIN, PARTS, DONE };     /* what is written of the message's */

struct said {                /* a text, or a refusal, of the model's */
    struct walk_span text;
    struct node value, cache;
    struct node raw;         /* or a part that only chat knows: as the client wrote it */
    bool refusal;
};
struct thought { struct walk_span text; struct node value, raw; };

struct out {                 /* a body that is being written */
    struct ask *a;
    const struct ask_target *t;
    struct pen *p;
    struct ask_part held;    /* the message's only text so far */
    struct said said[SAID_MAX];
    struct thought thought[THOUGHTS_MAX];
    struct ask_part media[MEDIA_MAX];   /* of the turn's results */
    uint32_t said_count, thought_count, media_count;
    uint8_t role;            /* enum ask_role of the open turn */
    uint8_t content;         /* enum content */
    bool turn;               /* there is an open turn, */
    bool open;               /* its message was begun, */
    bool calls;              /* and so were its tool_calls, */
    bool audio;              /* and its audio */
    bool talk;               /* somebody but the system has spoken */
    bool goes_on;            /* the open turn is the last, and the model goes on with it */
};

static bool has(const struct out *o, enum ask_quirk quirk) { return o->t->quirks & quirk; }

static void put_word(struct pen *p, const char *key, const char *word)
{
    pen_key(p, bytes_of(key));
    pen_text(p, bytes_of(word));
}

/* ---- what cannot be said ---- */

/* The part at hand cannot be: it is named by its place in the client's form. */
static bool blame(struct out *o, const char *what)
{
    static const char *const places[APIS] = {
        [API_CHAT] = "/messages/%u/content/%u", [API_RESPONSES] = "/input/%u/content/%u",
        [API_MESSAGES] = "/messages/%u/content/%u", [API_GENERATE] = "/contents/%u/parts/%u",
    };
    const struct ask *a = o->a;
    char pointer[80] = "";
    if (places[a->api]) {
        (void)snprintf(pointer, sizeof pointer, places[a->api], a->message, a->element);
    }
    ask_blame(o->a, pointer, "the OpenAI chat dialect has no way to say %s", what);
    return false;
}

/* ---- content ---- */

/* A string of the texts from the first on that are refusals, or are not. */
static void put_said(struct out *o, bool refusals)
{
    pen_begin(o->p);
    for (uint32_t i = 0; i < o->said_count; i++) {
        const struct said *s = &o->said[i];
        if (s->refusal != refusals) continue;
        struct ask_part text = {.text = s->text, .value = s->value};
        ask_text(o->p, &o->a->walk, &text);
    }
    pen_end(o->p);
}

static void put_cache(struct out *o, struct node cache)
{
    if (cache.type == JSON_NONE || !has(o, ASK_CACHE_MARKS)) return;
    pen_key(o->p, BYTES("cache_control"));
    pen_node(o->p, &o->a->walk, cache);
}

/* A part of type text. */
static void put_text(struct out *o, const struct ask_part *part)
{
    pen_object(o->p);
    put_word(o->p, "type", "text");
    pen_key(o->p, BYTES("text"));
    pen_begin(o->p);
    ask_text(o->p, &o->a->walk, part);
    pen_end(o->p);
    put_cache(o, part->cache);
    pen_object_end(o->p);
}

/* The URL that a part's data is, or is at. */
static void put_url(struct out *o, const struct ask_part *part, struct bytes mime)
{
    const struct walk *w = &o->a->walk;
    if (!walk_has(part->data)) {
        pen_span(o->p, w, part->url);
        return;
    }
    pen_begin(o->p);
    pen_part(o->p, BYTES("data:"));
    if (walk_has(part->mime)) pen_part_span(o->p, w, part->mime);
    else pen_part(o->p, mime);
    pen_part(o->p, BYTES(";base64,"));
    ask_base64(o->p, w, part->data);
    pen_end(o->p);
}

static bool put_link(struct out *o, const struct ask_part *part, struct bytes type,
                     struct bytes mime)
{
    pen_object(o->p);
    pen_key(o->p, BYTES("type"));
    pen_string(o->p, type);
    pen_key(o->p, type);
    pen_object(o->p);
    pen_key(o->p, BYTES("url"));
    put_url(o, part, mime);
    if (walk_has(part->detail)) {
        pen_key(o->p, BYTES("detail"));
        pen_span(o->p, &o->a->walk, part->detail);
    }
    pen_object_end(o->p);
    put_cache(o, part->cache);
    pen_object_end(o->p);
    return true;
}

static bool put_image(struct out *o, const struct ask_part *part)
{
    if (!walk_has(part->data) && !walk_has(part->url)) {
        return blame(o, "an image by the id of a file");
    }
    return put_link(o, part, BYTES("image_url"), BYTES("image/png"));
}

static bool put_video(struct out *o, const struct ask_part *part)
{
    if (o->t->official || (!walk_has(part->data) && !walk_has(part->url))) {
        return blame(o, "a video");
    }
    return put_link(o, part, BYTES("video_url"), BYTES("video/mp4"));
}

static bool put_audio(struct out *o, const struct ask_part *part)
{
    static const struct { struct bytes from, to; } formats[] = {
        {BYTES_INIT("mpeg"), BYTES_INIT("mp3")}, {BYTES_INIT("x-wav"), BYTES_INIT("wav")},
        {BYTES_INIT("wave"), BYTES_INIT("wav")}, {BYTES_INIT("x-m4a"), BYTES_INIT("m4a")},
        {BYTES_INIT("L16"), BYTES_INIT("pcm16")},
    };
    const struct walk *w = &o->a->walk;
    if (!walk_has(part->data)) return blame(o, "audio that is not in the request itself");
    struct walk_span type = part->mime, start = {type.start, type.start + 6};
    if (type.end - type.start > 6 && walk_is(w, start, BYTES("audio/"))) type.start += 6;
    pen_object(o->p);
    put_word(o->p, "type", "input_audio");
    pen_key(o->p, BYTES("input_audio"));
    pen_object(o->p);
    pen_key(o->p, BYTES("data"));
    pen_begin(o->p);
    ask_base64(o->p, w, part->data);
    pen_end(o->p);
    pen_key(o->p, BYTES("format"));
    size_t i = 0;
    while (i < COUNT(formats) && !walk_is(w, type, formats[i].from)) i++;
    if (i < COUNT(formats)) pen_string(o->p, formats[i].to);
    else if (walk_has(type)) pen_span(o->p, w, type);
    else pen_string(o->p, BYTES("wav"));
    pen_object_end(o->p);
    pen_object_end(o->p);
    return true;
}

/* A document that is text is its text, with its name in front. */
static bool put_plain_document(struct out *o, const struct ask_part *part)
{
    pen_object(o->p);
    put_word(o->p, "type", "text");
    pen_key(o->p, BYTES("text"));
    pen_begin(o->p);
    if (walk_has(part->name)) {
        pen_part_span(o->p, &o->a->walk, part->name);
        pen_part_text(o->p, BYTES(":\n"));
    }
    ask_text(o->p, &o->a->walk, part);
    pen_end(o->p);
    put_cache(o, part->cache);
    pen_object_end(o->p);
    return true;
}

static bool put_document(struct out *o, const struct ask_part *part)
{
    bool own = o->a->api == API_CHAT;
    if (walk_has(part->text)) return put_plain_document(o, part);
    if (!walk_has(part->data) && !own) return blame(o, "a document by its URL or its id");
    pen_object(o->p);
    put_word(o->p, "type", "file");
    pen_key(o->p, BYTES("file"));
    pen_object(o->p);
    if (walk_has(part->name) || !walk_has(part->file)) {
        pen_key(o->p, BYTES("filename"));
        if (walk_has(part->name)) pen_span(o->p, &o->a->walk, part->name);
        else pen_string(o->p, BYTES("document.pdf"));
    }
    if (walk_has(part->file)) {
        pen_key(o->p, BYTES("file_id"));
        pen_span(o->p, &o->a->walk, part->file);
    } else {
        pen_key(o->p, BYTES("file_data"));
        put_url(o, part, BYTES("application/pdf"));
    }
    pen_object_end(o->p);
    put_cache(o, part->cache);
    pen_object_end(o->p);
    return true;
}

/* One element of an array of content. */
static bool put_part(struct out *o, const struct ask_part *part)
{
    switch (part->kind) {
    case ASK_TEXT: put_text(o, part); return true;
    case ASK_IMAGE: return put_image(o, part);
    case ASK_DOCUMENT: return put_document(o, part);
    case ASK_AUDIO: return put_audio(o, part);
    case ASK_VIDEO: return put_video(o, part);
    default: break;
    }
    if (o->a->api != API_CHAT || part->raw.type != JSON_OBJECT) {
        return blame(o, "what only the client's own dialect knows");
    }
    pen_node(o->p, &o->a->walk, part->raw);
    return true;
}

/* ---- messages that are not the model's ---- */

/* Is this text to stand in an array, where it is the only one? */
static bool marked(const struct out *o, const struct ask_part *part)
{
    return part->cache.type != JSON_NONE && has(o, ASK_CACHE_MARKS);
}

/* The held text is not the only part: begin what holds several. */
static void begin_content(struct out *o, bool plain)
{
    assert(o->content == NOTHING || o->content == HELD);
    bool held = o->content == HELD;
    pen_key(o->p, BYTES("content"));
    if (plain) {
        pen_begin(o->p);
        if (held) ask_text(o->p, &o->a->walk, &o->held);
    } else {
        pen_array(o->p);
        if (held) put_text(o, &o->held);
    }
    o->content = plain ? PLAIN : PARTS;
}

/* A part of the open message. */
static bool add(struct out *o, const struct ask_part *part)
{
    assert(o->open);
    bool text = part->kind == ASK_TEXT;
    if (o->content == NOTHING && text && !marked(o, part)) {
        o->held = *part;
        o->content = HELD;
        return true;
    }
    bool plain = has(o, ASK_PLAIN_TEXT) && text && o->role != ASK_USER;
    if (o->content == NOTHING || o->content == HELD) {
        bool first = o->content == NOTHING;
        begin_content(o, plain);
        if (plain && !first) pen_part_text(o->p, BYTES("\n\n"));
    } else if (o->content == PLAIN) {
        if (!text) return blame(o, "this part where text alone is taken");
        pen_part_text(o->p, BYTES("\n\n"));
    }
    if (o->content == PARTS) return put_part(o, part);
    ask_text(o->p, &o->a->walk, part);
    return true;
}

static void begin_message(struct out *o, const char *role)
{
    assert(!o->open);
    pen_object(o->p);
    put_word(o->p, "role", role);
    o->open = true;
    o->content = NOTHING;
}

static void end_message(struct out *o)
{
    if (!o->open) return;
    if (o->content == PLAIN) pen_end(o->p);
    else if (o->content == PARTS) pen_array_end(o->p);
    else {
        pen_key(o->p, BYTES("content"));
        pen_begin(o->p);
        if (o->content == HELD) ask_text(o->p, &o->a->walk, &o->held);
        pen_end(o->p);
    }
    pen_object_end(o->p);
    o->open = false;
}

/* The images and documents of a turn's results, behind all of them. */
static bool end_results(struct out *o)
{
    if (o->media_count == 0) return true;
    o->role = ASK_USER;
    begin_message(o, "user");
    pen_key(o->p, BYTES("content"));
    pen_array(o->p);
    o->content = PARTS;
    pen_object(o->p);
    put_word(o->p, "type", "text");
    put_word(o->p, "text", "This is what the tool calls above returned besides text:");
    pen_object_end(o->p);
    for (uint32_t i = 0; i < o->media_count; i++) {
        if (!put_part(o, &o->media[i])) return false;
    }
    o->media_count = 0;
    return true;
}

static bool result(struct out *o, const struct ask_part *part)
{
    end_message(o);
    begin_message(o, "tool");
    pen_key(o->p, BYTES("tool_call_id"));
    ask_put_id(o->p, &o->a->walk, part->id, has(o, ASK_ID_9) ? ID_NINE : ID_CHAT);
    return true;
}

/* Of a result: text is its message's, all else comes later. */
static bool result_part(struct out *o, const struct ask_part *part)
{
    bool plain = part->kind == ASK_DOCUMENT && walk_has(part->text);
    if (part->kind == ASK_TEXT || plain) {
        struct ask_part text = *part;
        text.kind = ASK_TEXT;
        return add(o, &text);
    }
    if (o->media_count == MEDIA_MAX) return blame(o, "so many images in results of tools");
    o->media[o->media_count++] = *part;
    return true;
}

/* ---- the model's messages ---- */

static void begin_model(struct out *o)
{
    if (o->open) return;
    begin_message(o, "assistant");
}

/* A part of the model's that was noted. */
static void put_noted(struct out *o, const struct said *s)
{
    struct ask_part text = {.text = s->text, .value = s->value, .cache = s->cache};
    if (s->raw.type != JSON_NONE) pen_node(o->p, &o->a->walk, s->raw);
    else put_text(o, &text);
}

/* Write the texts that were noted, as parts, or of one string; they are as text what they
 * refuse. */
static void put_texts(struct out *o)
{
    for (uint32_t i = 0; i < o->said_count; i++) {
        const struct said *s = &o->said[i];
        struct ask_part text = {.text = s->text, .value = s->value};
        if (o->content == PARTS) put_noted(o, s);
        else ask_text(o->p, &o->a->walk, &text);
    }
    o->said_count = 0;
}

/* There are too many texts to be noted: they are written as they come, unless calls are. */
static bool flush_texts(struct out *o)
{
    if (o->calls) return blame(o, "so many texts around calls");
    begin_model(o);
    if (o->content == NOTHING) {
        o->content = has(o, ASK_PLAIN_TEXT) ? PLAIN : PARTS;
        pen_key(o->p, BYTES("content"));
        if (o->content == PLAIN) pen_begin(o->p);
        else pen_array(o->p);
    }
    put_texts(o);
    return true;
}

/* Content that was begun is over; what else is said of it is too late. */
static void close_content(struct out *o)
{
    if (o->content == NOTHING || o->content == DONE) return;
    put_texts(o);
    if (o->content == PLAIN) pen_end(o->p);
    else pen_array_end(o->p);
    o->content = DONE;
}

static bool put_call(struct out *o, const struct ask_part *part)
{
    struct pen *p = o->p;
    const struct walk *w = &o->a->walk;
    bool custom = part->custom && (o->t->official || o->a->api == API_CHAT);
    begin_model(o);
    close_content(o);
    if (!o->calls) {
        pen_key(p, BYTES("tool_calls"));
        pen_array(p);
        o->calls = true;
    }
    pen_object(p);
    pen_key(p, BYTES("id"));
    ask_put_id(p, w, part->id, has(o, ASK_ID_9) ? ID_NINE : ID_CHAT);
    put_word(p, "type", custom ? "custom" : "function");
    pen_key(p, custom ? BYTES("custom") : BYTES("function"));
    pen_object(p);
    pen_key(p, BYTES("name"));
    ask_put_name(p, w, part->space, part->name);
    pen_key(p, custom ? BYTES("input") : BYTES("arguments"));
    if (custom) {
        pen_span(p, w, walk_inside(part->arguments));
    } else {
        ask_put_arguments_text(o->a, p, part);
    }
    pen_object_end(p);
    if (walk_has(part->signature) && has(o, ASK_SIGNED_CALLS) &&
        (part->maker == MAKER_GEMINI || part->maker == MAKER_CHAT)) {
        pen_key(p, BYTES("extra_content"));
        pen_object(p);
        pen_key(p, BYTES("google"));
        pen_object(p);
        pen_key(p, BYTES("thought_signature"));
        pen_span(p, w, part->signature);
        pen_object_end(p);
        pen_object_end(p);
    }
    pen_object_end(p);
    return true;
}

/* Are thoughts that its maker signed given back as they came? */
static bool gives_details(const struct out *o)
{
    return o->t->thoughts == THOUGHTS_DETAILS && !has(o, ASK_NO_THOUGHTS);
}

/* Of too many, those that nobody has signed are left out: the others go back all, or none. */
static bool note_thought(struct out *o, const struct ask_part *part)
{
    bool own = o->a->api == API_CHAT && part->maker == MAKER_CHAT;
    if (o->thought_count == THOUGHTS_MAX) {
        return !own || !gives_details(o) || blame(o, "so many signed thoughts in one turn");
    }
    o->thought[o->thought_count++] =
        (struct thought){part->text, part->value, own ? part->raw : (struct node){0}};
    return true;
}

/* What is of the content, and has its place among the others, is noted. */
static bool note_said(struct out *o, struct said said)
{
    if (o->content == DONE) return blame(o, "so many texts around calls");
    if (o->said_count == SAID_MAX && !flush_texts(o)) return false;
    assert(o->said_count < SAID_MAX);
    o->said[o->said_count++] = said;
    return true;
}

/* What only chat knows: a part of the content, or what was spoken, which is beside that. */
static bool put_other(struct out *o, const struct ask_part *part)
{
    if (o->a->api != API_CHAT) return blame(o, "what only the client's own dialect knows");
    if (!part->beside) {
        if (has(o, ASK_PLAIN_TEXT)) return blame(o, "this part where text alone is taken");
        return note_said(o, (struct said){.raw = part->raw});
    }
    begin_model(o);
    close_content(o);
    if (o->calls || o->audio) return blame(o, "this behind calls, or audio");
    o->audio = true;
    pen_key(o->p, BYTES("audio"));
    pen_node(o->p, &o->a->walk, part->raw);
    return true;
}

/* Of the model's turn: thoughts and texts are noted, calls are written. */
static bool model_part(struct out *o, const struct ask_part *part)
{
    switch (part->kind) {
    case ASK_THINKING: return note_thought(o, part);
    case ASK_TEXT: case ASK_REFUSAL:
        return note_said(o, (struct said){
            .text = part->text, .value = part->value, .cache = part->cache,
            .refusal = part->kind == ASK_REFUSAL && o->t->official});
    case ASK_CALL: return put_call(o, part);
    case ASK_OTHER: return put_other(o, part);
    default: return blame(o, "that the model showed an image or a document");
    }
}

/* Are there thoughts that the provider gets as they came? */
static bool has_details(const struct out *o)
{
    if (!gives_details(o)) return false;
    for (uint32_t i = 0; i < o->thought_count; i++) {
        if (o->thought[i].raw.type == JSON_OBJECT) return true;
    }
    return false;
}

/* Earlier thoughts, in the form that the provider has them. A provider who wants them back
 * wants them with every call, and were they none. */
static void put_thoughts(struct out *o)
{
    if (has(o, ASK_NO_THOUGHTS)) return;
    const struct walk *w = &o->a->walk;
    if (has_details(o)) {
        pen_key(o->p, BYTES("reasoning_details"));
        pen_array(o->p);
        for (uint32_t i = 0; i < o->thought_count; i++) {
            const struct node raw = o->thought[i].raw;
            if (raw.type == JSON_OBJECT) pen_node(o->p, w, raw);
        }
        pen_array_end(o->p);
        return;
    }
    if (!has(o, ASK_KEEP_THOUGHTS)) return;
    if (o->thought_count == 0 && !o->calls) return;
    bool brief = o->t->thoughts == THOUGHTS_REASONING || o->t->thoughts == THOUGHTS_DETAILS;
    pen_key(o->p, brief ? BYTES("reasoning") : BYTES("reasoning_content"));
    pen_begin(o->p);
    for (uint32_t i = 0; i < o->thought_count; i++) {
        const struct thought *t = &o->thought[i];
        struct ask_part text = {.text = t->text, .value = t->value};
        ask_text(o->p, w, &text);
    }
    pen_end(o->p);
}

/* The model's texts as its content: one string, or parts where there are several, or marks. */
static void put_content(struct out *o)
{
    uint32_t texts = 0, refusals = 0;
    bool parts = false;      /* one string would not do */
    for (uint32_t i = 0; i < o->said_count; i++) {
        const struct said *s = &o->said[i];
        *(s->refusal ? &refusals : &texts) += 1;
        if (s->cache.type != JSON_NONE && has(o, ASK_CACHE_MARKS)) parts = true;
        if (s->raw.type != JSON_NONE) parts = true;
    }
    pen_key(o->p, BYTES("content"));
    if (texts == 0 && (o->calls || refusals > 0)) {
        pen_null(o->p);
    } else if ((texts < 2 || has(o, ASK_PLAIN_TEXT)) && !parts) {
        put_said(o, false);
    } else {
        pen_array(o->p);
        for (uint32_t i = 0; i < o->said_count; i++) {
            if (!o->said[i].refusal) put_noted(o, &o->said[i]);
        }
        pen_array_end(o->p);
    }
    if (refusals == 0) return;
    pen_key(o->p, BYTES("refusal"));
    put_said(o, true);
}

/* That the turn is not over, as those say it who want it said in its message. */
static void put_goes_on(struct out *o)
{
    uint8_t how = o->t->continues;
    bool prefix = how == ASK_CONTINUES_PREFIX || how == ASK_CONTINUES_PREFIX_ECHO;
    if (!prefix && how != ASK_CONTINUES_PARTIAL) return;
    pen_key(o->p, prefix ? BYTES("prefix") : BYTES("partial"));
    pen_bool(o->p, true);
}

static void end_model(struct out *o)
{
    /* Nothing but thoughts that nobody may see again is no turn. */
    if (!o->open && o->said_count == 0 && !has_details(o)) return;
    begin_model(o);
    close_content(o);
    if (o->calls) pen_array_end(o->p);
    put_thoughts(o);
    if (o->content != DONE) put_content(o);
    if (o->goes_on) put_goes_on(o);
    pen_object_end(o->p);
    o->open = o->calls = o->audio = false;
    o->content = NOTHING;
}

/* ---- turns ---- */

static bool end_turn(struct out *o)
{
    if (!o->turn) return true;
    o->turn = false;
    if (o->role == ASK_MODEL) {
        end_model(o);
        o->said_count = o->thought_count = 0;
        return true;
    }
    end_message(o);
    if (o->role == ASK_TOOL) {
        if (!end_results(o)) return false;
        end_message(o);
    }
    return true;
}

static bool begin_turn(struct out *o, const struct ask_part *part)
{
    static const char *const words[] = {
        [ASK_SYSTEM] = "system", [ASK_DEVELOPER] = "developer", [ASK_USER] = "user",
        [ASK_MODEL] = "assistant"};
    uint8_t role = part->role;
    bool alternate = has(o, ASK_ALTERNATE);
    /* The maker takes both; who imitates it may know but the older word. */
    if (role == ASK_DEVELOPER && !o->t->official) role = ASK_SYSTEM;
    bool system = role == ASK_SYSTEM || role == ASK_DEVELOPER;
    if (alternate && system && o->talk) role = ASK_USER;
    if (!system) o->talk = true;
    if (alternate && o->turn && o->role == role && role != ASK_TOOL) return true;
    if (!end_turn(o)) return false;
    o->turn = true;
    o->role = role;
    if (role == ASK_TOOL || role == ASK_MODEL) return true;
    begin_message(o, words[role]);
    if (walk_has(part->name) && !has(o, ASK_NO_NAME)) {
        pen_key(o->p, BYTES("name"));
        pen_span(o->p, &o->a->walk, part->name);
    }
    return true;
}

static bool put_one(struct out *o, const struct ask_part *part)
{
    switch (part->kind) {
    case ASK_TURN: return begin_turn(o, part);
    case ASK_RESULT: return result(o, part);
    case ASK_RESULT_END: end_message(o); return true;
    default: break;
    }
    assert(o->turn);
    if (o->role == ASK_MODEL) return model_part(o, part);
    if (o->role == ASK_TOOL) return result_part(o, part);
    return add(o, part);
}

/* A provider that knows no schemas is told it in words. */
static void put_schema_words(struct out *o)
{
    pen_object(o->p);
    put_word(o->p, "role", "system");
    pen_key(o->p, BYTES("content"));
    pen_begin(o->p);
    pen_part_text(o->p, BYTES("Answer with one JSON value and nothing else. It must be valid "
                              "by this JSON Schema:\n"));
    pen_part_node(o->p, &o->a->walk, o->a->settings.schema);
    pen_end(o->p);
    pen_object_end(o->p);
}

static enum ask_rc put_messages(struct out *o)
{
    struct ask_part part;
    pen_key(o->p, BYTES("messages"));
    pen_array(o->p);
    if (o->a->settings.format == API_FORMAT_SCHEMA && has(o, ASK_NO_SCHEMA)) {
        put_schema_words(o);
    }
    ask_rewind(o->a);
    for (;;) {
        if (!ask_next(o->a, &part)) return ASK_WRONG;
        if (part.kind == ASK_END) break;
        if (!put_one(o, &part)) return ASK_UNSAYABLE;
        if (o->p->full) return ASK_NO_ROOM;
    }
    bool model = o->turn && o->role == ASK_MODEL;
    o->goes_on = model && ask_goes_on(o->t);
    /* Who refuses such a turn may take one that says what it is (Mistral). */
    if (model && has(o, ASK_NO_PREFILL) && !o->goes_on) {
        blame(o, "that the last turn is the model's");
        return ASK_UNSAYABLE;
    }
    if (!end_turn(o)) return ASK_UNSAYABLE;
    pen_array_end(o->p);
    if (!o->goes_on || o->t->continues != ASK_CONTINUES_FINAL) return ASK_WRITTEN;
    pen_key(o->p, BYTES("continue_final_message"));
    pen_bool(o->p, true);
    pen_key(o->p, BYTES("add_generation_prompt"));
    pen_bool(o->p, false);
    return ASK_WRITTEN;
}

enum ask_rc chat_ask_write(struct ask *a, const struct ask_target *t, struct pen *p)
{
    struct out o = {.a = a, .t = t, .p = p};
    assert(t->api == API_CHAT);
    pen_object(p);
    pen_key(p, BYTES("model"));
    pen_text(p, t->model);
    enum ask_rc rc = put_messages(&o);
    if (rc == ASK_WRITTEN) rc = chat_put_settings(a, t, p);
    if (rc != ASK_WRITTEN) return rc;
    pen_object_end(p);
    return p->full ? ASK_NO_ROOM : ASK_WRITTEN;
}
