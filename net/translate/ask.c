/* ask.c - a request in the neutral form: which dialect reads and writes it, and what their
 * readers and writers share; see ask.h.
 * Model: one table by API. A dialect has a line in it once its file is there.
 * Rule: ids, marks and budgets depend on nothing but the request: the same conversation, sent
 * again with one turn more, is written with the same ids. */
#include "net/translate/ask.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    MARK_LEN = 8, MARK_MAKER = 6,  /* bytes of a mark; where its maker's letter stands */
    ID_CHAT_MAX = 40, ID_RESPONSES_MAX = 64, ID_NINE_LEN = 9,
    DATA_URL_HEAD = 160,           /* bytes in front of the comma: a type, its parameters */
    DIGITS = 36,
};

/* By whose form it is; counts are asked for in the form of what they count. */
static const struct ask_dialect *const dialects[APIS] = {
    [API_CHAT] = &chat_ask,
    [API_MESSAGES] = &messages_ask, [API_COUNT_TOKENS] = &messages_ask,
    [API_RESPONSES] = &responses_ask,
    [API_GENERATE] = &gemini_ask, [API_GENERATE_COUNT] = &gemini_ask,
    [API_CONVERSE] = &converse_ask, [API_COHERE] = &cohere_ask,
};

/* ---- dispatch ---- */

static const struct ask_dialect *dialect_of(enum api api)
{
    assert(api < APIS);
    const struct ask_dialect *d = dialects[api];
    assert(d);
    return d;
}

bool ask_reads(enum api api)
{
    assert(api < APIS);
    return dialects[api] && dialects[api]->open;
}

bool ask_writes(enum api api)
{
    assert(api < APIS);
    return dialects[api] && dialects[api]->write;
}

bool ask_open(struct ask *a, enum api api, const struct walk_source *source,
              struct json_index *scratch)
{
    const struct ask_dialect *d = dialect_of(api);
    assert(d->open);
    memset(a, 0, offsetof(struct ask, each));
    a->api = api;
    struct ask_settings *s = &a->settings;
    s->max_tokens = s->n = s->budget = s->top_logprobs = -1;
    s->strict = s->parallel = s->thoughts = -1;
    if (!walk_open(&a->walk, source, scratch, &a->root)) {
        ask_blame(a, "", "the body is not valid JSON, or nested deeper than %d",
                  WALK_DEPTH_MAX);
        return false;
    }
    if (a->root.type != JSON_OBJECT) {
        ask_blame(a, "", "the body must be a JSON object");
        return false;
    }
    return d->open(a);
}

void ask_rewind(struct ask *a)
{
    a->calls = 0;
    a->message = a->element = 0;
    a->held_at = a->held_count = 0;
    dialect_of(a->api)->rewind(a);
}

bool ask_next(struct ask *a, struct ask_part *part)
{
    *part = (struct ask_part){0};
    return dialect_of(a->api)->next(a, part);
}

void ask_tools(struct ask *a)
{
    dialect_of(a->api)->tools(a);
}

bool ask_tool(struct ask *a, struct ask_tool *tool)
{
    *tool = (struct ask_tool){.strict = -1};
    return dialect_of(a->api)->tool(a, tool);
}

/* Can it be made to go on with the turn that the conversation ends with? Cohere's and OpenAI's
 * Responses answer such a turn with one of their own. */
static bool can_go_on(struct ask *a, const struct ask_target *t)
{
    bool silent = t->api == API_COHERE || t->api == API_RESPONSES;
    bool refused = t->continues == ASK_CONTINUES_PREFILL && t->quirks & ASK_NO_PREFILL;
    if (!ask_goes_on(t) || (!silent && !refused)) return true;
    ask_blame(a, "", "this model does not go on with an answer that is begun");
    return false;
}

enum ask_rc ask_write(struct ask *a, const struct ask_target *target, struct pen *p)
{
    const struct ask_dialect *d = dialect_of(target->api);
    assert(d->write);
    if (a->unsayable && d != dialect_of(a->api)) return ASK_UNSAYABLE;
    if (!can_go_on(a, target)) return ASK_UNSAYABLE;
    ask_rewind(a);
    ask_tools(a);
    enum ask_rc rc = d->write(a, target, p);
    if (p->full) return ASK_NO_ROOM;
    assert(rc != ASK_NO_ROOM);
    if (rc == ASK_WRONG && a->unsayable) rc = ASK_UNSAYABLE;  /* its reader came to it late */
    assert(rc == ASK_WRITTEN || a->error[0] != '\0');
    return rc;
}

/* ---- what is wrong ---- */

/* A client's words in a sentence may have been cut: none may end within a letter (RFC 3629
 * section 3), since the sentence goes into JSON. */
static void drop_cut_letter(char *sentence)
{
    size_t len = strlen(sentence), at = len;
    while (at > 0 && ((unsigned char)sentence[at - 1] & 0xC0) == 0x80) at--;
    if (at == 0) return;
    unsigned char lead = (unsigned char)sentence[at - 1];
    size_t whole = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (len - (at - 1) < whole) sentence[at - 1] = '\0';
}

void ask_blame(struct ask *a, const char *pointer, const char *format, ...)
{
    if (a->error[0] != '\0') return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(a->error, sizeof a->error, format, args);
    va_end(args);
    drop_cut_letter(a->error);
    (void)snprintf(a->pointer, sizeof a->pointer, "%s", pointer);
    assert(a->error[0] != '\0');
}

/* ---- calls and their ids ---- */

/* Is it ask_nth_id()'s? */
static bool is_nth(struct walk_span id)
{
    return id.start >= ask_nth_id(0).start;
}

static uint64_t id_hash(const struct walk *w, struct walk_span id)
{
    if (!is_nth(id)) return walk_hash(w, id);
    uint64_t hash = (id.start + 1) * UINT64_C(0x9E3779B97F4A7C15);  /* spreads small numbers */
    return hash ^ hash >> 29;
}

void ask_note_call(struct ask *a, const struct ask_part *call)
{
    assert(call->kind == ASK_CALL);
    a->call[a->calls++ % ASK_CALLS] =
        (struct ask_call){.id = id_hash(&a->walk, call->id), .name = call->name,
                          .space = call->space, .said = call->id};
}

/* The latest call with that id; NULL: none is known. */
static const struct ask_call *call_of(const struct ask *a, struct walk_span id)
{
    uint64_t hash = id_hash(&a->walk, id);
    uint64_t from = a->calls > ASK_CALLS ? a->calls - ASK_CALLS : 0;
    for (uint64_t i = a->calls; i > from; i--) {
        const struct ask_call *call = &a->call[(i - 1) % ASK_CALLS];
        if (call->id == hash) return call;
    }
    return NULL;
}

struct walk_span ask_call_name(const struct ask *a, struct walk_span id)
{
    const struct ask_call *call = call_of(a, id);
    return call ? call->name : (struct walk_span){0};
}

struct walk_span ask_call_space(const struct ask *a, struct walk_span id)
{
    const struct ask_call *call = call_of(a, id);
    return call ? call->space : (struct walk_span){0};
}

/* Is each byte of the span a letter, a digit, or one of `more`? */
static bool is_made_of(const struct walk *w, struct walk_span s, const char *more)
{
    while (s.start < s.end) {
        struct bytes b = walk_piece(w, s.start, s.end);
        s.start += b.len;
        for (size_t i = 0; i < b.len; i++) {
            char c = byte_lower(b.ptr[i]);
            bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
            if (!plain && (c == '\0' || !strchr(more, c))) return false;
        }
    }
    return true;
}

/* May the id stand as it is? */
static bool id_stands(const struct walk *w, struct walk_span id, enum ask_id rule)
{
    if (is_nth(id) || !walk_has(id)) return false;
    uint64_t len = id.end - id.start;
    switch (rule) {
    case ID_CHAT: return len <= ID_CHAT_MAX && is_made_of(w, id, "_-");
    case ID_RESPONSES: return len <= ID_RESPONSES_MAX && is_made_of(w, id, "_-");
    case ID_MESSAGES: return is_made_of(w, id, "_-");
    case ID_NINE: return len == ID_NINE_LEN && is_made_of(w, id, "");
    case ID_GEMINI: break;
    }
    return true;
}

void ask_put_id(struct pen *p, const struct walk *w, struct walk_span id, enum ask_id rule)
{
    static const char digits[DIGITS + 1] = "0123456789abcdefghijklmnopqrstuvwxyz";
    static const struct bytes prefixes[] = {
        [ID_CHAT] = BYTES_INIT("call_"), [ID_RESPONSES] = BYTES_INIT("call_"),
        [ID_MESSAGES] = BYTES_INIT("toolu_"), [ID_GEMINI] = BYTES_INIT("call_"),
        [ID_NINE] = BYTES_INIT(""),
    };
    assert(rule < COUNT(prefixes));
    if (id_stands(w, id, rule)) {
        pen_span(p, w, id);
        return;
    }
    char made[13];  /* 36^13 > 2^64; 36^9 > 2^46, so that of a thousand hardly two are alike */
    size_t len = rule == ID_NINE ? ID_NINE_LEN : sizeof made;
    uint64_t hash = id_hash(w, id);
    for (size_t i = 0; i < len; i++, hash /= DIGITS) made[i] = digits[hash % DIGITS];
    pen_begin(p);
    pen_part(p, prefixes[rule]);
    pen_part(p, (struct bytes){made, len});
    pen_end(p);
}

bool ask_put_arguments(struct ask *a, struct pen *p, const struct ask_part *call)
{
    struct node n = call->arguments;
    if (call->custom && n.type == JSON_STRING) {
        pen_object(p);
        pen_key(p, BYTES("input"));
        pen_node(p, &a->walk, n);
        pen_object_end(p);
        return true;
    }
    if (n.type == JSON_OBJECT) {
        pen_node(p, &a->walk, n);
        return true;
    }
    if (n.type == JSON_NONE || n.type == JSON_STRING) {
        if (pen_inner(p, &a->walk, walk_inside(n))) return true;
    }
    ask_blame(a, "", "the arguments of a tool call (message %u) are no JSON object",
              (unsigned)a->message);
    return false;
}

void ask_put_arguments_text(struct ask *a, struct pen *p, const struct ask_part *call)
{
    struct node n = call->arguments;
    pen_begin(p);
    if (call->custom && n.type == JSON_STRING) {
        pen_part(p, BYTES("{\\\"input\\\":"));
        pen_part_node(p, &a->walk, n);
        pen_part(p, BYTES("}"));
    } else if (n.type == JSON_STRING && walk_has(walk_inside(n))) {
        pen_part_span(p, &a->walk, walk_inside(n));
    } else if (n.type == JSON_OBJECT) {
        pen_part_node(p, &a->walk, n);
    } else {
        pen_part(p, BYTES("{}"));
    }
    pen_end(p);
}

/* ---- signatures ---- */

static const struct bytes marks[MAKERS] = {
    [MAKER_NONE] = BYTES_INIT("WeirSgN0"), [MAKER_CHAT] = BYTES_INIT("WeirSgC0"),
    [MAKER_RESPONSES] = BYTES_INIT("WeirSgR0"), [MAKER_MESSAGES] = BYTES_INIT("WeirSgM0"),
    [MAKER_GEMINI] = BYTES_INIT("WeirSgG0"), [MAKER_CONVERSE] = BYTES_INIT("WeirSgB0"),
};

struct bytes ask_mark(enum ask_maker maker)
{
    assert(maker < MAKERS);
    return marks[maker];
}

/* The maker whose mark that begins with; MAKERS: none. */
static unsigned marked_by(struct bytes signature)
{
    if (signature.len < MARK_LEN || memcmp(signature.ptr, "WeirSg", MARK_MAKER) != 0) {
        return MAKERS;
    }
    unsigned maker = 0;
    while (maker < MAKERS && !bytes_starts(signature, marks[maker])) maker++;
    return maker;
}

bool ask_is_marked(struct bytes signature)
{
    return marked_by(signature) < MAKERS;
}

uint8_t ask_maker(const struct walk *w, struct walk_span *signature, enum ask_maker own)
{
    char room[MARK_LEN];
    if (signature->end - signature->start < MARK_LEN) return (uint8_t)own;
    struct walk_span head = {signature->start, signature->start + MARK_LEN};
    unsigned maker = marked_by(walk_bytes(w, head, room, sizeof room));
    if (maker == MAKERS) return (uint8_t)own;
    signature->start += MARK_LEN;
    return (uint8_t)maker;
}

/* ---- what stands in several dialects ---- */

bool ask_is_plain(struct ask *a, const char *dialect)
{
    const struct ask_settings *s = &a->settings;
    bool gemini = a->api == API_GENERATE;
    const char *pointer = NULL, *what = NULL;
    assert(dialect);
    if (s->n > 1) {
        pointer = gemini ? "/generationConfig/candidateCount" : "/n";
        what = "n > 1";
    } else if (s->logprobs || s->top_logprobs > 0) {
        pointer = gemini ? "/generationConfig/responseLogprobs"
                  : a->api == API_RESPONSES ? "/top_logprobs" : "/logprobs";
        what = "logprobs";
    } else if (s->audio.type != JSON_NONE) {
        pointer = "/audio";
        what = "audio";
    } else if (s->store) {
        pointer = "/store";
        what = "store";
    }
    if (!what) return true;
    ask_blame(a, pointer, "the %s dialect has no way to ask for %s", dialect, what);
    return false;
}

/* Where text stands in b, ASCII case aside; b.len: nowhere. */
static size_t find_text(struct bytes b, struct bytes text)
{
    for (size_t i = 0; i + text.len <= b.len; i++) {
        if (bytes_ieq((struct bytes){b.ptr + i, text.len}, text)) return i;
    }
    return b.len;
}

bool ask_data_url(const struct walk *w, struct walk_span url, struct walk_span *mime,
                  struct walk_span *data)
{
    const struct bytes scheme = BYTES("data:"), coding = BYTES(";base64");
    char room[DATA_URL_HEAD];
    *mime = *data = (struct walk_span){0};
    if (url.end - url.start < scheme.len) return false;
    struct walk_span head = url;
    if (head.end - head.start > sizeof room) head.end = head.start + sizeof room;
    struct bytes b = walk_bytes(w, head, room, sizeof room);
    if (find_text(b, scheme) != 0) return false;
    size_t comma = bytes_find(b, ','), base64 = find_text(b, coding);
    if (comma == b.len || base64 + coding.len != comma) return false;
    struct bytes type = {b.ptr + scheme.len, base64 - scheme.len};
    size_t len = bytes_find(type, ';');  /* parameters are nobody's concern */
    if (len > 0) {
        *mime = (struct walk_span){url.start + scheme.len, url.start + scheme.len + len};
    }
    *data = (struct walk_span){url.start + comma + 1, url.end};
    return true;
}

enum api_effort ask_budget_effort(int64_t budget)
{
    if (budget < 0) return API_EFFORT_UNSET;
    if (budget == 0) return API_EFFORT_NONE;
    if (budget <= API_BUDGET_MINIMAL) return API_EFFORT_MINIMAL;
    if (budget <= API_BUDGET_LOW) return API_EFFORT_LOW;
    return budget <= API_BUDGET_MEDIUM ? API_EFFORT_MEDIUM : API_EFFORT_HIGH;
}

int64_t ask_effort_budget(enum api_effort effort, int64_t output)
{
    static const int64_t budgets[API_EFFORTS] = {
        [API_EFFORT_UNSET] = -1, [API_EFFORT_NONE] = 0,
        [API_EFFORT_MINIMAL] = API_BUDGET_MINIMAL, [API_EFFORT_LOW] = API_BUDGET_LOW,
        [API_EFFORT_MEDIUM] = API_BUDGET_MEDIUM, [API_EFFORT_HIGH] = 2 * API_BUDGET_MEDIUM,
        [API_EFFORT_XHIGH] = 4 * API_BUDGET_MEDIUM - 1,
    };
    assert(effort < API_EFFORTS);
    int64_t budget = budgets[effort];
    int64_t most = output - output / 4;  /* the answer itself needs room too */
    return output > 0 && budget > most ? most : budget;
}

enum api_effort ask_effort_for(const struct ask_target *t, enum api_effort wanted)
{
    unsigned takes = t->efforts;
    if (t->effort != API_EFFORT_UNSET) wanted = (enum api_effort)t->effort;
    if (wanted == API_EFFORT_UNSET || takes == 0 || takes >> wanted & 1) return wanted;
    /* Who wants thoughts is not to get none of them for the sake of a step less. */
    if (wanted != API_EFFORT_NONE && takes & ~(1u << API_EFFORT_NONE)) {
        takes &= ~(1u << API_EFFORT_NONE);
    }
    for (unsigned d = 1; d < API_EFFORTS; d++) {
        if (d < wanted && takes >> (wanted - d) & 1) return wanted - d;
        if (wanted + d < API_EFFORTS && takes >> (wanted + d) & 1) return wanted + d;
    }
    return API_EFFORT_UNSET;
}

int64_t ask_output(const struct ask *a, const struct ask_target *t)
{
    int64_t limit = a->settings.max_tokens;
    bool needed = t->api == API_MESSAGES;
    if (limit < 0 && needed && t->output_default > 0) limit = t->output_default;
    if (t->output_max > 0 && (limit < 0 || limit > t->output_max)) limit = t->output_max;
    return limit;
}
