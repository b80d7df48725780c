/* gemini_ask.c - reads requests of Gemini's generateContent and countTokens.
 * Model: the system instruction's parts, then those of contents, one by one:
 *   SYSTEM -> CONTENTS <-> PARTS <-> RESULT (parts of a functionResponse)
 * Every part belongs to a turn: calls are the model's, results are a tool's, whatever the
 * content is called that they stand in, for one content may hold both results and text. A
 * client's SDK keeps a stream as one content a chunk, and LangChain sends one a result: so
 * contents of the model, and of tools, that follow one another are one turn, and the model's
 * texts there are one text (ask_pieces). A text is held until it is known what follows it.
 * Rule: names are read as proto JSON has them, lowerCamelCase or snake_case. A call without an
 * id gets its number; a result finds its call by id, else by name and order. */
#include "net/translate/ask.h"
#include "net/translate/gemini.h"

#include <stdio.h>

enum stage { SYSTEM, CONTENTS, PARTS, RESULT, OVER };
enum at { AT_REQUEST, AT_SYSTEM, AT_CONTENTS, AT_TOOLS, AT_ALLOWED, AT_HOSTED };
enum {                       /* flags; the lowest byte is the content's role */
    FRESH = 1 << 8,          /* a content has begun, no part of it was read */
    JOINS = 1 << 9,          /* the last part held is the model's text, or thought: what follows
                                may be more of it */
};

enum { KEY_MAX = 40 };       /* bytes of the longest name, with room for underlines */

/* A name as lowerCamelCase: "stop_sequences" is "stopSequences". room of KEY_MAX. */
static struct bytes camel(struct bytes name, char *room)
{
    size_t n = 0;
    assert(name.len <= KEY_MAX);
    if (bytes_find(name, '_') == name.len) return name;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool up = c == '_' && i + 1 < name.len && name.ptr[i + 1] >= 'a' &&
                  name.ptr[i + 1] <= 'z';
        room[n++] = up ? (char)(name.ptr[++i] - 'a' + 'A') : c;
    }
    return (struct bytes){room, n};
}

/* Which of the names a key is; count: none. */
static size_t key_of(const struct walk *w, struct node key, const struct bytes *names,
                     size_t count)
{
    char apart[KEY_MAX], room[KEY_MAX];
    struct walk_span s = walk_inside(key);
    if (s.end - s.start > KEY_MAX) return count;
    struct bytes name = walk_bytes(w, s, apart, sizeof apart);
    if (!name.ptr) return count;
    name = camel(name, room);
    size_t i = 0;
    while (i < count && !bytes_eq(names[i], name)) i++;
    return i;
}

size_t gemini_members(const struct walk *w, struct node object, const struct bytes *names,
                      size_t count, struct node *values)
{
    struct walk_each e;
    struct node key, value;
    size_t all = 0;
    memset(values, 0, count * sizeof *values);
    if (object.type != JSON_OBJECT) return 0;
    walk_begin(w, object, &e);
    for (; walk_next(&e, &key, &value); all++) {
        size_t i = key_of(w, key, names, count);
        if (i == count) continue;
        values[i] = value.type == JSON_NULL ? (struct node){0} : value;
    }
    return all;
}

static bool is_text(struct node n)
{
    return walk_has(walk_inside(n));
}

/* ---- settings ---- */

enum root { R_CONTENTS, R_SYSTEM, R_TOOLS, R_TOOL_CONFIG, R_CONFIG, R_SAFETY, R_CACHED,
            R_INNER, ROOTS };
static const struct bytes roots[ROOTS] = {
    BYTES_INIT("contents"), BYTES_INIT("systemInstruction"), BYTES_INIT("tools"),
    BYTES_INIT("toolConfig"), BYTES_INIT("generationConfig"), BYTES_INIT("safetySettings"),
    BYTES_INIT("cachedContent"), BYTES_INIT("generateContentRequest"),
};

enum config { C_TEMPERATURE, C_TOP_P, C_TOP_K, C_COUNT, C_OUTPUT, C_STOP, C_SEED, C_PRESENCE,
              C_FREQUENCY, C_MIME, C_SCHEMA, C_JSON_SCHEMA, C_LOGPROBS_WANTED, C_LOGPROBS,
              C_THINKING, C_MODALITIES, CONFIGS };
static const struct bytes configs[CONFIGS] = {
    BYTES_INIT("temperature"), BYTES_INIT("topP"), BYTES_INIT("topK"),
    BYTES_INIT("candidateCount"), BYTES_INIT("maxOutputTokens"), BYTES_INIT("stopSequences"),
    BYTES_INIT("seed"), BYTES_INIT("presencePenalty"), BYTES_INIT("frequencyPenalty"),
    BYTES_INIT("responseMimeType"), BYTES_INIT("responseSchema"),
    BYTES_INIT("responseJsonSchema"), BYTES_INIT("responseLogprobs"), BYTES_INIT("logprobs"),
    BYTES_INIT("thinkingConfig"), BYTES_INIT("responseModalities"),
};

static bool wrong(struct ask *a, const char *pointer, const char *what)
{
    ask_blame(a, pointer, "%s", what);
    return false;
}

static void cannot(struct ask *a, const char *pointer, const char *what)
{
    ask_blame(a, pointer, "only the Gemini dialect has a way to ask for %s", what);
    a->unsayable = true;
}

/* A count; absent leaves out as it is. */
static bool take_int(struct ask *a, struct node n, const char *pointer, int64_t *out)
{
    if (n.type == JSON_NONE || walk_int(&a->walk, n, out)) return true;
    return wrong(a, pointer, "an integer is expected");
}

static bool take_thinking(struct ask *a, struct node config)
{
    static const struct bytes names[] = {BYTES_INIT("thinkingBudget"),
        BYTES_INIT("thinkingLevel"), BYTES_INIT("includeThoughts")};
    static const struct bytes levels[] = {
        BYTES_INIT("MINIMAL"), BYTES_INIT("LOW"), BYTES_INIT("MEDIUM"), BYTES_INIT("HIGH"),
        BYTES_INIT("minimal"), BYTES_INIT("low"), BYTES_INIT("medium"), BYTES_INIT("high")};
    static_assert(API_EFFORT_HIGH - API_EFFORT_MINIMAL == 3, "in this order");
    struct ask_settings *s = &a->settings;
    struct node v[COUNT(names)];
    gemini_members(&a->walk, config, names, COUNT(names), v);
    s->thoughts = v[2].type == JSON_TRUE;
    size_t level = walk_word(&a->walk, v[1], levels, COUNT(levels));
    if (level < COUNT(levels)) s->effort = (uint8_t)(API_EFFORT_MINIMAL + level % 4);
    int64_t budget = -2;
    if (!take_int(a, v[0], "/generationConfig/thinkingConfig/thinkingBudget", &budget)) {
        return false;
    }
    if (budget == -1) {
        s->thinking = THINKING_ADAPTIVE;
    } else if (budget == 0) {
        s->thinking = THINKING_OFF;
        s->effort = API_EFFORT_NONE;
    } else if (budget > 0) {
        s->thinking = THINKING_ON;
        s->budget = budget;
        s->effort = (uint8_t)ask_budget_effort(budget);
    }
    return true;
}

/* Is it a schema in Gemini's own form? Some send that also where JSON Schema is due. */
static bool is_own_form(const struct walk *w, struct node schema)
{
    struct node type = walk_member(w, schema, BYTES("type"));
    char c = '\0';
    if (!is_text(type)) return false;
    struct walk_span first = {type.start + 1, type.start + 2};
    c = *walk_bytes(w, first, &c, 1).ptr;
    return c >= 'A' && c <= 'Z';
}

static void take_format(struct ask *a, const struct node *c)
{
    struct ask_settings *s = &a->settings;
    bool json = walk_is(&a->walk, walk_inside(c[C_MIME]), BYTES("application/json"));
    s->schema = c[C_SCHEMA].type != JSON_NONE ? c[C_SCHEMA] : c[C_JSON_SCHEMA];
    s->gemini = c[C_SCHEMA].type != JSON_NONE || is_own_form(&a->walk, s->schema);
    if (s->schema.type == JSON_OBJECT) s->format = API_FORMAT_SCHEMA;
    else if (json) s->format = API_FORMAT_JSON;
    if (walk_is(&a->walk, walk_inside(c[C_MIME]), BYTES("text/x.enum"))) {
        cannot(a, "/generationConfig/responseMimeType", "text/x.enum");
    }
}

static void take_modalities(struct ask *a, struct node list)
{
    struct walk_each e;
    struct node key, value;
    if (list.type != JSON_ARRAY) return;
    walk_begin(&a->walk, list, &e);
    while (walk_next(&e, &key, &value)) {
        if (walk_is(&a->walk, walk_inside(value), BYTES("TEXT"))) continue;
        cannot(a, "/generationConfig/responseModalities", "other answers than text this way");
        return;
    }
}

/* Google takes nothing else for them, and who gets them in another dialect would be told of a
 * member that it never wrote. */
static bool take_numbers(struct ask *a, const struct node *c)
{
    struct ask_settings *s = &a->settings;
    const struct { enum config at; const char *pointer; struct node *to; } numbers[] = {
        {C_TEMPERATURE, "/generationConfig/temperature", &s->temperature},
        {C_TOP_P, "/generationConfig/topP", &s->top_p},
        {C_TOP_K, "/generationConfig/topK", &s->top_k},
        {C_SEED, "/generationConfig/seed", &s->seed},
        {C_PRESENCE, "/generationConfig/presencePenalty", &s->presence},
        {C_FREQUENCY, "/generationConfig/frequencyPenalty", &s->frequency},
    };
    for (size_t i = 0; i < COUNT(numbers); i++) {
        struct node n = c[numbers[i].at];
        bool right = n.type == JSON_NONE || n.type == JSON_NUMBER;
        if (!right) return wrong(a, numbers[i].pointer, "a number is expected");
        *numbers[i].to = n;
    }
    return true;
}

static bool take_config(struct ask *a, struct node config)
{
    struct ask_settings *s = &a->settings;
    struct node c[CONFIGS];
    gemini_members(&a->walk, config, configs, CONFIGS, c);
    if (walk_count(&a->walk, c[C_STOP]) > 0) s->stop = c[C_STOP];
    s->logprobs = c[C_LOGPROBS_WANTED].type == JSON_TRUE;
    s->thoughts = 0;  /* Gemini shows none unless it is asked to */
    take_format(a, c);
    take_modalities(a, c[C_MODALITIES]);
    return take_numbers(a, c) &&
           take_int(a, c[C_COUNT], "/generationConfig/candidateCount", &s->n) &&
           take_int(a, c[C_OUTPUT], "/generationConfig/maxOutputTokens", &s->max_tokens) &&
           take_int(a, c[C_LOGPROBS], "/generationConfig/logprobs", &s->top_logprobs) &&
           (c[C_THINKING].type == JSON_NONE || take_thinking(a, c[C_THINKING]));
}

/* Which tools may, or must, be called. Where only some of them may, the others are not
 * offered at all: allowed keeps their names for the pass over tools. */
static bool take_choice(struct ask *a, struct node tool_config)
{
    static const struct bytes outer[] = {BYTES_INIT("functionCallingConfig")};
    static const struct bytes names[] = {BYTES_INIT("mode"),
                                         BYTES_INIT("allowedFunctionNames")};
    static const struct bytes modes[] = {BYTES_INIT("AUTO"), BYTES_INIT("ANY"),
                                         BYTES_INIT("NONE"), BYTES_INIT("VALIDATED")};
    static const uint8_t choices[] = {API_CHOICE_AUTO, API_CHOICE_REQUIRED, API_CHOICE_NONE,
                                      API_CHOICE_AUTO};
    struct ask_settings *s = &a->settings;
    struct node config, v[COUNT(names)];
    gemini_members(&a->walk, tool_config, outer, 1, &config);
    gemini_members(&a->walk, config, names, COUNT(names), v);
    size_t mode = walk_word(&a->walk, v[0], modes, COUNT(modes));
    if (mode == COUNT(modes)) return true;
    s->choice_said = true;
    s->choice = choices[mode];
    if (s->choice == API_CHOICE_NONE) return true;
    size_t allowed = walk_count(&a->walk, v[1]);
    if (allowed > 0) a->at[AT_ALLOWED] = v[1];
    if (s->choice != API_CHOICE_REQUIRED || allowed != 1) return true;
    struct walk_each e;
    struct node key, name;
    walk_begin(&a->walk, v[1], &e);
    if (!walk_next(&e, &key, &name)) return true;
    s->choice = API_CHOICE_NAMED;
    s->choice_name = walk_inside(name);
    a->at[AT_ALLOWED] = (struct node){0};
    return walk_has(s->choice_name) ||
           wrong(a, "/toolConfig/functionCallingConfig/allowedFunctionNames/0",
                 "the name of a function must be a string, and not empty");
}

static void rewind_tools(struct ask *a);
static bool next_tool(struct ask *a, struct ask_tool *tool);

/* No dialect has functions without a name, and the pass over tools cannot say what is wrong. */
static bool check_tools(struct ask *a)
{
    struct ask_tool tool;
    rewind_tools(a);
    while (next_tool(a, &tool)) {
        if (tool.kind != ASK_FUNCTION || walk_has(tool.name)) continue;
        return wrong(a, "/tools", "a function declaration must have a name");
    }
    return true;
}

static bool open_request(struct ask *a)
{
    struct node r[ROOTS];
    if (a->root.type != JSON_OBJECT) return wrong(a, "", "the request must be an object");
    a->at[AT_REQUEST] = a->root;
    gemini_members(&a->walk, a->root, roots, ROOTS, r);
    if (a->api == API_GENERATE_COUNT && r[R_INNER].type == JSON_OBJECT) {
        a->at[AT_REQUEST] = r[R_INNER];
        gemini_members(&a->walk, a->at[AT_REQUEST], roots, ROOTS, r);
    }
    if (r[R_CONTENTS].type != JSON_ARRAY) {
        return wrong(a, "/contents", "contents must be a list of contents");
    }
    if (r[R_TOOLS].type != JSON_NONE && r[R_TOOLS].type != JSON_ARRAY) {
        return wrong(a, "/tools", "tools must be a list of tools");
    }
    a->at[AT_SYSTEM] = r[R_SYSTEM];
    a->at[AT_CONTENTS] = r[R_CONTENTS];
    a->at[AT_TOOLS] = r[R_TOOLS];
    a->at[AT_ALLOWED] = (struct node){0};
    a->settings.safety = r[R_SAFETY];
    if (is_text(r[R_CACHED])) cannot(a, "/cachedContent", "content that it keeps itself");
    return take_choice(a, r[R_TOOL_CONFIG]) && take_config(a, r[R_CONFIG]) && check_tools(a);
}

/* ---- the conversation ---- */

static bool wrong_part(struct ask *a, const char *what)
{
    char pointer[sizeof a->pointer];
    if (a->stage == SYSTEM) {
        snprintf(pointer, sizeof pointer, "/systemInstruction/parts/%u", a->element);
    } else {
        snprintf(pointer, sizeof pointer, "/contents/%u/parts/%u", a->message, a->element);
    }
    return wrong(a, pointer, what);
}

static struct ask_part *hold(struct ask *a, enum ask_kind kind, enum ask_role role)
{
    assert(a->held_count < COUNT(a->held));
    a->flags &= ~(unsigned)JOINS;
    struct ask_part *part = &a->held[a->held_count++];
    *part = (struct ask_part){.kind = (uint8_t)kind, .role = (uint8_t)role};
    return part;
}

/* The next parts are that role's: of the turn that is open, or of a new one. */
static void turn(struct ask *a, enum ask_role role)
{
    bool joins = a->role == role + 1 && (role != ASK_USER || !(a->flags & FRESH));
    a->flags &= ~(unsigned)FRESH;
    if (joins) return;
    a->role = (uint8_t)(role + 1);
    if (role == ASK_MODEL) {
        a->step = a->calls;
        a->answered[0] = a->answered[1] = 0;
    }
    hold(a, ASK_TURN, role);
}

/* Whose the content is, but for calls and results. */
static enum ask_role role_of(const struct ask *a)
{
    return (enum ask_role)(a->flags & 0xFF);
}

struct mark { struct walk_span signature; enum ask_maker maker; };

/* A signature of another maker's is of the thoughts before the part that it stands at: Gemini
 * itself signs so, and its clients keep no others. Our own: the part's. */
static struct mark take_signature(struct ask *a, struct node n, enum ask_role role)
{
    struct mark m = {walk_inside(n), MAKER_NONE};
    if (!walk_has(m.signature)) return m;
    m.maker = (enum ask_maker)ask_maker(&a->walk, &m.signature, MAKER_GEMINI);
    if (m.maker == MAKER_GEMINI) return m;
    turn(a, role);
    struct ask_part *thinking = hold(a, ASK_THINKING, role);
    thinking->signature = m.signature;
    thinking->maker = (uint8_t)m.maker;
    return (struct mark){{0}, MAKER_NONE};
}

static enum ask_kind kind_of(const struct walk *w, struct walk_span mime)
{
    static const struct { struct bytes text; enum ask_kind kind; } kinds[] = {
        {BYTES_INIT("image/"), ASK_IMAGE}, {BYTES_INIT("audio/"), ASK_AUDIO},
        {BYTES_INIT("video/"), ASK_VIDEO},
    };
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct walk_span head = {mime.start, mime.start + kinds[i].text.len};
        if (head.end <= mime.end && walk_is(w, head, kinds[i].text)) return kinds[i].kind;
    }
    return ASK_DOCUMENT;
}

uint64_t gemini_path_end(const struct walk *w, struct walk_span uri)
{
    for (uint64_t at = uri.start; at < uri.end;) {
        struct bytes b = walk_piece(w, at, uri.end);
        for (size_t i = 0; i < b.len; i++) {
            if (b.ptr[i] == '?' || b.ptr[i] == '#') return at + i;
        }
        at += b.len;
    }
    return uri.end;
}

/* What lies at an address that comes without a type: as its name ends. */
static enum ask_kind kind_by_name(const struct walk *w, struct walk_span uri)
{
    static const struct bytes ends[] = {BYTES_INIT(".png"), BYTES_INIT(".jpg"),
        BYTES_INIT(".jpeg"), BYTES_INIT(".webp"), BYTES_INIT(".gif"), BYTES_INIT(".heic")};
    uint64_t end = gemini_path_end(w, uri);
    for (size_t i = 0; i < COUNT(ends); i++) {
        if (end - uri.start < ends[i].len) continue;
        struct walk_span tail = {end - ends[i].len, end};
        if (walk_is(w, tail, ends[i])) return ASK_IMAGE;
    }
    return ASK_DOCUMENT;
}

static bool begins(const struct walk *w, struct walk_span s, struct bytes with)
{
    struct walk_span head = {s.start, s.start + with.len};
    return head.end <= s.end && walk_is(w, head, with);
}

static bool take_media(struct ask *a, struct node inlined, struct node file,
                       enum ask_role role, bool inside)
{
    static const struct bytes names[] = {BYTES_INIT("mimeType"), BYTES_INIT("data"),
                                         BYTES_INIT("fileUri")};
    const struct walk *w = &a->walk;
    struct node v[COUNT(names)];
    bool data = inlined.type != JSON_NONE;
    gemini_members(w, data ? inlined : file, names, COUNT(names), v);
    struct walk_span what = walk_inside(v[data ? 1 : 2]), mime = walk_inside(v[0]);
    if (!walk_has(what)) {
        return wrong_part(a, data ? "inlineData has no data" : "fileData has no fileUri");
    }
    if (data && !walk_has(mime)) return wrong_part(a, "inlineData has no mimeType");
    if (!inside) turn(a, role);
    struct ask_part *part = hold(a, walk_has(mime) ? kind_of(w, mime) : kind_by_name(w, what),
                                 role);
    part->mime = mime;
    part->inside = inside;
    if (data) {
        part->data = what;
    } else if (begins(w, what, BYTES("https://generativelanguage.googleapis.com/")) ||
               !begins(w, what, BYTES("http"))) {
        part->file = what;
    } else {
        part->url = what;
        if (begins(w, what, BYTES("https://www.youtube.com/"))) part->kind = ASK_VIDEO;
    }
    return true;
}

static bool take_call(struct ask *a, struct node call, struct node signature)
{
    static const struct bytes names[] = {BYTES_INIT("id"), BYTES_INIT("name"),
                                         BYTES_INIT("args")};
    struct node v[COUNT(names)];
    gemini_members(&a->walk, call, names, COUNT(names), v);
    if (!is_text(v[1])) return wrong_part(a, "functionCall has no name");
    struct mark m = take_signature(a, signature, ASK_MODEL);
    turn(a, ASK_MODEL);
    struct ask_part *part = hold(a, ASK_CALL, ASK_MODEL);
    part->id = is_text(v[0]) ? walk_inside(v[0]) : ask_nth_id(a->calls);
    part->name = walk_inside(v[1]);
    part->arguments = v[2];
    part->signature = m.signature;
    part->maker = (uint8_t)m.maker;
    ask_note_call(a, part);
    return true;
}

/* The call of the latest turn that a result is of: the one with its id, else the first of
 * that name that has none yet. ask->calls: there is none. */
static uint64_t find_call(const struct ask *a, struct walk_span id, struct walk_span name)
{
    uint64_t found = a->calls;
    uint64_t hash = walk_has(id) ? walk_hash(&a->walk, id) : 0;
    uint64_t called = walk_hash(&a->walk, name);
    for (uint64_t i = a->calls; i-- > a->step;) {
        const struct ask_call *c = &a->call[i % ASK_CALLS];
        if (walk_has(id) && c->id == hash) return i;
        uint64_t bit = i - a->step;
        if (bit < 128 && a->answered[bit / 64] >> bit % 64 & 1) continue;
        if (walk_hash(&a->walk, c->name) == called) found = i;
    }
    return found;
}

/* What a result says: the only member of the object where its name says that it is all (the
 * name's beside it, as Vercel's SDK writes it), else the object. */
static struct node take_response(const struct walk *w, struct node response, bool *is_error)
{
    static const struct bytes names[] = {BYTES_INIT("output"), BYTES_INIT("result"),
        BYTES_INIT("error"), BYTES_INIT("content"), BYTES_INIT("name")};
    struct node v[COUNT(names)], key, value, only = {0};
    struct walk_each e;
    size_t count = 0;
    memset(v, 0, sizeof v);
    if (response.type != JSON_OBJECT) return response;
    walk_begin(w, response, &e);
    for (; count < 3 && walk_next(&e, &key, &value); count++) {
        size_t i = key_of(w, key, names, COUNT(names));
        if (i < COUNT(names)) v[i] = value;
    }
    if (count == 0) return only;
    *is_error = count == 1 && v[2].type != JSON_NONE;
    for (size_t i = 0; count == 1 && i < 4; i++) {
        if (v[i].type != JSON_NONE) only = v[i];
    }
    if (count == 2 && v[4].type != JSON_NONE) only = v[3];
    return only.type == JSON_NONE ? response : only;
}

static bool take_result(struct ask *a, struct node result)
{
    static const struct bytes names[] = {BYTES_INIT("id"), BYTES_INIT("name"),
                                         BYTES_INIT("response"), BYTES_INIT("parts")};
    struct node v[COUNT(names)];
    gemini_members(&a->walk, result, names, COUNT(names), v);
    if (!is_text(v[1])) return wrong_part(a, "functionResponse has no name");
    uint64_t nth = find_call(a, walk_inside(v[0]), walk_inside(v[1]));
    if (nth == a->calls) {
        return wrong_part(a, "functionResponse without a functionCall of that name before it");
    }
    if (nth - a->step < 128) {
        a->answered[(nth - a->step) / 64] |= UINT64_C(1) << (nth - a->step) % 64;
    }
    turn(a, ASK_TOOL);
    struct ask_part *part = hold(a, ASK_RESULT, ASK_TOOL);
    bool is_error = false;
    struct node said = take_response(&a->walk, v[2], &is_error);
    part->id = a->call[nth % ASK_CALLS].said;
    part->name = walk_inside(v[1]);
    part->is_error = is_error;
    if (said.type != JSON_NONE && said.type != JSON_NULL) {
        struct ask_part *text = hold(a, ASK_TEXT, ASK_TOOL);
        text->inside = true;
        text->text = walk_inside(said);
        if (said.type != JSON_STRING) text->value = said;
        if (said.type == JSON_STRING && !walk_has(text->text)) a->held_count--;
    }
    walk_begin(&a->walk, v[3], &a->each[2]);
    a->stage = RESULT;
    return true;
}

/* The last part held, where a text of that kind goes on with it. */
static struct ask_part *joined(struct ask *a, enum ask_kind kind)
{
    if (!(a->flags & JOINS) || role_of(a) != ASK_MODEL) return NULL;
    struct ask_part *last = &a->held[a->held_count - 1];
    assert(a->held_count > a->held_at && last->role == ASK_MODEL);
    return last->kind == kind ? last : NULL;
}

/* A piece more of the text that is held. */
static void join(struct ask_part *part, struct walk_span piece)
{
    struct walk_span first = part->text;
    if (part->value.type != JSON_NONE) {
        first = (struct walk_span){part->value.start, part->value.end};
    }
    if (!walk_has(piece)) return;
    part->text = walk_has(first) ? (struct walk_span){0} : piece;
    if (walk_has(first)) part->value = ask_pieces(first, piece);
}

static void take_thought(struct ask *a, struct walk_span text, struct walk_span signature,
                         bool pure)
{
    enum ask_role role = role_of(a);
    if (!walk_has(text) && !walk_has(signature)) return;
    struct ask_part *part = pure ? joined(a, ASK_THINKING) : NULL;
    if (part) {
        join(part, text);
    } else {
        turn(a, role);
        part = hold(a, ASK_THINKING, role);
        part->text = text;
    }
    part->signature = signature;
    if (walk_has(signature)) {
        part->maker = ask_maker(&a->walk, &part->signature, MAKER_GEMINI);
        a->flags &= ~(unsigned)JOINS;
    } else if (role == ASK_MODEL && pure) {
        a->flags |= JOINS;
    }
}

static void take_text(struct ask *a, struct walk_span text, struct node signature, bool pure)
{
    enum ask_role role = role_of(a);
    struct mark m = take_signature(a, signature, role);
    if (!walk_has(text) && !walk_has(m.signature)) return;
    struct ask_part *part = pure && !walk_has(m.signature) ? joined(a, ASK_TEXT) : NULL;
    if (part) {
        join(part, text);
        return;
    }
    turn(a, role);
    /* A signature without a text is of the thoughts: no other dialect has empty texts. */
    part = hold(a, walk_has(text) ? ASK_TEXT : ASK_THINKING, role);
    part->text = text;
    part->signature = m.signature;
    part->maker = (uint8_t)m.maker;
    if (role == ASK_MODEL && pure && walk_has(text)) a->flags |= JOINS;
}

static bool take_part(struct ask *a, struct node node)
{
    enum { TEXT, THOUGHT, SIGNATURE, INLINE, FILE_DATA, CALL, RESPONSE, CODE, CODE_RESULT,
           TOOL_CALL, TOOL_RESPONSE, PART_NAMES };
    static const struct bytes names[PART_NAMES] = {
        BYTES_INIT("text"), BYTES_INIT("thought"), BYTES_INIT("thoughtSignature"),
        BYTES_INIT("inlineData"), BYTES_INIT("fileData"), BYTES_INIT("functionCall"),
        BYTES_INIT("functionResponse"), BYTES_INIT("executableCode"),
        BYTES_INIT("codeExecutionResult"), BYTES_INIT("toolCall"),
        BYTES_INIT("toolResponse"),
    };
    struct node v[PART_NAMES];
    if (node.type != JSON_OBJECT) return wrong_part(a, "a part must be an object");
    size_t all = gemini_members(&a->walk, node, names, PART_NAMES, v);
    if (v[CALL].type != JSON_NONE) return take_call(a, v[CALL], v[SIGNATURE]);
    if (v[RESPONSE].type != JSON_NONE) return take_result(a, v[RESPONSE]);
    for (unsigned i = CODE; i < PART_NAMES; i++) {
        if (v[i].type == JSON_NONE) continue;
        turn(a, role_of(a));
        hold(a, ASK_OTHER, role_of(a))->raw = node;
        return true;
    }
    if (v[INLINE].type != JSON_NONE || v[FILE_DATA].type != JSON_NONE) {
        return take_media(a, v[INLINE], v[FILE_DATA], role_of(a), false);
    }
    if (v[TEXT].type != JSON_NONE && v[TEXT].type != JSON_STRING) {
        return wrong_part(a, "text must be a string");
    }
    bool thought = v[THOUGHT].type == JSON_TRUE;
    size_t known = 0;
    for (unsigned i = TEXT; i <= SIGNATURE; i++) known += v[i].type != JSON_NONE;
    bool pure = all == known;  /* nothing else is in it */
    if (!pure) a->flags &= ~(unsigned)JOINS;
    struct walk_span text = walk_inside(v[TEXT]);
    if (thought) take_thought(a, text, walk_inside(v[SIGNATURE]), pure);
    else take_text(a, text, v[SIGNATURE], pure);
    return true;
}

/* The next content, whose parts are read then. False: it is none. */
static bool take_content(struct ask *a, struct node content)
{
    static const struct bytes names[] = {BYTES_INIT("role"), BYTES_INIT("parts")};
    static const struct bytes words[] = {BYTES_INIT("user"), BYTES_INIT("model"),
        BYTES_INIT("function"), BYTES_INIT("tool"), BYTES_INIT("system")};
    static const uint8_t are[] = {ASK_USER, ASK_MODEL, ASK_USER, ASK_USER, ASK_SYSTEM};
    struct node v[COUNT(names)];
    char pointer[sizeof a->pointer];
    size_t all = gemini_members(&a->walk, content, names, COUNT(names), v);
    size_t role = is_text(v[0]) ? walk_word(&a->walk, v[0], words, COUNT(words)) : 0;
    bool parts = v[1].type == JSON_NONE || v[1].type == JSON_ARRAY;
    if (content.type != JSON_OBJECT || role == COUNT(words) || !parts) {
        snprintf(pointer, sizeof pointer, "/contents/%u", a->message);
        return wrong(a, pointer, "a content has a role, user or model, and a list of parts");
    }
    bool pure = all == (v[0].type != JSON_NONE) + (size_t)(v[1].type != JSON_NONE);
    a->flags = (pure ? a->flags & JOINS : 0) | are[role] | FRESH;
    a->element = 0;
    walk_begin(&a->walk, v[1], &a->each[1]);
    a->stage = PARTS;
    return true;
}

/* One step of the machine: it gives parts, or changes the stage. */
static bool step(struct ask *a)
{
    struct node key, value;
    switch ((enum stage)a->stage) {
    case SYSTEM:
        if (walk_next(&a->each[1], &key, &value)) {
            bool right = take_part(a, value);
            a->element++;
            return right;
        }
        a->stage = CONTENTS;
        return true;
    case CONTENTS:
        if (!walk_next(&a->each[0], &key, &value)) {
            a->stage = OVER;
            return true;
        }
        return take_content(a, value);
    case PARTS:
        if (walk_next(&a->each[1], &key, &value)) {
            bool right = take_part(a, value);
            a->element++;
            return right;
        }
        a->message++;
        a->stage = CONTENTS;
        return true;
    case RESULT:
        if (walk_next(&a->each[2], &key, &value)) {
            static const struct bytes names[] = {BYTES_INIT("inlineData"),
                                                 BYTES_INIT("fileData")};
            struct node v[COUNT(names)];
            gemini_members(&a->walk, value, names, COUNT(names), v);
            if (v[0].type == JSON_NONE && v[1].type == JSON_NONE) return true;
            return take_media(a, v[0], v[1], ASK_TOOL, true);
        }
        hold(a, ASK_RESULT_END, ASK_TOOL);
        a->stage = PARTS;
        return true;
    case OVER: break;
    }
    hold(a, ASK_END, ASK_USER);
    return true;
}

static void rewind_parts(struct ask *a)
{
    static const struct bytes names[] = {BYTES_INIT("parts")};
    struct node system = a->at[AT_SYSTEM], parts = {0};
    a->stage = SYSTEM;
    a->flags = ASK_SYSTEM;
    a->role = a->held_at = a->held_count = 0;
    a->message = a->element = 0;
    a->calls = a->step = a->answered[0] = a->answered[1] = 0;
    walk_begin(&a->walk, a->at[AT_CONTENTS], &a->each[0]);
    if (system.type == JSON_STRING && walk_has(walk_inside(system))) {
        turn(a, ASK_SYSTEM);
        hold(a, ASK_TEXT, ASK_SYSTEM)->text = walk_inside(system);
    } else if (system.type == JSON_OBJECT) {
        gemini_members(&a->walk, system, names, 1, &parts);
    } else if (system.type == JSON_ARRAY) {
        parts = system;
    }
    walk_begin(&a->walk, parts, &a->each[1]);
}

static bool next_part(struct ask *a, struct ask_part *part)
{
    for (;;) {
        unsigned left = a->held_count - a->held_at;
        if (left > 1 || (left == 1 && !(a->flags & JOINS))) break;
        if (left == 1 && a->held_at > 0) a->held[0] = a->held[a->held_at];
        a->held_at = 0;
        a->held_count = (uint8_t)left;
        if (!step(a)) return false;
    }
    *part = a->held[a->held_at++];
    return true;
}

/* ---- tools ---- */

static void rewind_tools(struct ask *a)
{
    struct node none = {0};
    walk_begin(&a->walk, a->at[AT_TOOLS], &a->tools_each[0]);
    walk_begin(&a->walk, none, &a->tools_each[1]);
    a->at[AT_HOSTED] = none;
}

static bool is_allowed(const struct ask *a, struct walk_span name)
{
    struct walk_each e;
    struct node key, value;
    if (a->at[AT_ALLOWED].type == JSON_NONE) return true;
    uint64_t hash = walk_hash(&a->walk, name);
    walk_begin(&a->walk, a->at[AT_ALLOWED], &e);
    while (walk_next(&e, &key, &value)) {
        if (is_text(value) && walk_hash(&a->walk, walk_inside(value)) == hash) return true;
    }
    return false;
}

static void take_function(struct ask *a, struct node node, struct ask_tool *tool)
{
    enum { NAME, DESCRIPTION, PARAMETERS, JSON_PARAMETERS, FUNCTION_NAMES };
    static const struct bytes names[FUNCTION_NAMES] = {
        BYTES_INIT("name"), BYTES_INIT("description"), BYTES_INIT("parameters"),
        BYTES_INIT("parametersJsonSchema")};
    struct node v[FUNCTION_NAMES];
    gemini_members(&a->walk, node, names, FUNCTION_NAMES, v);
    *tool = (struct ask_tool){.kind = ASK_FUNCTION, .strict = -1, .raw = node};
    tool->name = walk_inside(v[NAME]);
    tool->description = walk_inside(v[DESCRIPTION]);
    tool->gemini = v[PARAMETERS].type == JSON_OBJECT;
    tool->schema = tool->gemini ? v[PARAMETERS] : v[JSON_PARAMETERS];
    if (!tool->gemini) tool->gemini = is_own_form(&a->walk, tool->schema);
}

/* A tool is a list of functions, and beside it, or instead, what runs at Google: that is one
 * tool, behind the functions. */
static void open_tool(struct ask *a, struct node tool)
{
    static const struct bytes names[] = {BYTES_INIT("functionDeclarations")};
    struct walk_each e;
    struct node key, value, functions = {0};
    a->at[AT_HOSTED] = (struct node){0};
    if (tool.type != JSON_OBJECT) return;
    walk_begin(&a->walk, tool, &e);
    while (walk_next(&e, &key, &value)) {
        if (value.type == JSON_NULL) continue;
        if (key_of(&a->walk, key, names, 1) == 0) functions = value;
        else a->at[AT_HOSTED] = tool;
    }
    walk_begin(&a->walk, functions, &a->tools_each[1]);
}

static bool next_tool(struct ask *a, struct ask_tool *tool)
{
    struct node key, value;
    for (;;) {
        while (walk_next(&a->tools_each[1], &key, &value)) {
            take_function(a, value, tool);
            if (is_allowed(a, tool->name)) return true;
        }
        if (a->at[AT_HOSTED].type != JSON_NONE) {
            *tool = (struct ask_tool){.kind = ASK_HOSTED, .strict = -1,
                                      .raw = a->at[AT_HOSTED]};
            a->at[AT_HOSTED] = (struct node){0};
            return true;
        }
        if (!walk_next(&a->tools_each[0], &key, &value)) return false;
        open_tool(a, value);
    }
}

const struct ask_dialect gemini_ask = {
    .open = open_request, .rewind = rewind_parts, .next = next_part,
    .tools = rewind_tools, .tool = next_tool, .write = gemini_ask_write,
};
