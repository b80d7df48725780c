/* api_request.c - reads what Weir acts on in a request's body.
 * Model: one walk over tokens, those of the scanner, or of the index where the body is there
 * in one piece; both lead to the same results and errors. Tables (api_field.c) say which keys
 * are read in which object, what their value must be, and where it leads:
 *   ROOT -> STREAM_OPTIONS | PROVIDER -> MAX_PRICE | USAGE     objects with keys of the table
 *        -> NAMES (lists of names) | TOOLS (elements counted) | TEXTS (strings counted)
 *   Anthropic's ROOT -> THINKING     Gemini's -> CONFIG | INNER (countTokens)
 * Everything else is skipped, its grammar checked all the same.
 * Rule: what is read here the upstream must not read otherwise. So of the table's keys no
 * object may have two, nor one that is spelt so that parsers may differ about it. */
#include "net/dialect/api_field.h"
#include "net/dialect/api_part.h"

#include <stdio.h>

enum { RESPONSES_OUTPUT_MIN = 16 };  /* tokens: OpenAI refuses less */

#define TYPE(t) (1u << JSON_##t)

/* What a value may be, and how an error calls it. null stands for absence where the
 * references call a parameter nullable or optional. */
static const struct { uint32_t types; const char *text; } wants[] = {
    [WANT_ANY] = {UINT32_MAX, ""},
    [WANT_BOOL] = {TYPE(TRUE) | TYPE(FALSE) | TYPE(NULL), "true or false"},
    [WANT_NAME] = {TYPE(STRING), "a string"},
    [WANT_WORD] = {TYPE(STRING) | TYPE(NULL), "a string"},
    [WANT_COUNT] = {TYPE(NUMBER) | TYPE(NULL), "an integer"},
    [WANT_PRICE] = {TYPE(NUMBER) | TYPE(STRING) | TYPE(NULL), "a number"},
    [WANT_OBJECT] = {TYPE(OBJECT) | TYPE(NULL), "an object"},
    [WANT_ARRAY] = {TYPE(ARRAY) | TYPE(NULL), "an array"},
    [WANT_LIST] = {TYPE(ARRAY), "an array"},
    [WANT_TEXTS] = {TYPE(STRING) | TYPE(ARRAY) | TYPE(NULL), "a string or an array"},
};

static const char *type_text(uint8_t type)
{
    static const char *const texts[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
        [JSON_NUMBER] = "a number", [JSON_TRUE] = "true", [JSON_FALSE] = "false",
        [JSON_NULL] = "null",
    };
    assert(type < COUNT(texts));
    return texts[type] ? texts[type] : "nothing";
}

static bool is_generate(const struct api_reader *r)
{
    return r->api == API_GENERATE || r->api == API_GENERATE_COUNT;
}

/* Point at the innermost container that is read. Gives the pointer's length. */
static size_t point(struct api_reader *r)
{
    size_t len = 0;
    r->pointer[0] = '\0';
    for (unsigned i = 1; i < r->level; i++) {
        struct bytes name = r->at[i].field->name;
        assert(len + 1 + name.len < sizeof r->pointer);
        r->pointer[len++] = '/';
        memcpy(r->pointer + len, name.ptr, name.len + 1);
        len += name.len;
    }
    return len;
}

/* Refuse, pointing at a member; in a list at the element being read. */
static bool refuse(struct api_reader *r, const struct api_field *f, bool element)
{
    assert(!r->bad);
    r->bad = true;
    r->code = "invalid_request_error";
    size_t at = point(r);
    int len = element ? snprintf(r->pointer + at, sizeof r->pointer - at, "/%u", r->element)
                      : snprintf(r->pointer + at, sizeof r->pointer - at, "/%s", f->name.ptr);
    assert(len > 0 && (size_t)len < sizeof r->pointer - at);
    return false;
}

/* The value at the pointer is not as it must be: must continues "'/model' ". */
static bool refuse_value(struct api_reader *r, const struct api_field *f, bool element,
                         const char *must)
{
    (void)refuse(r, f, element);
    int len = snprintf(r->error, sizeof r->error, "'%s' %s", r->pointer, must);
    assert(len > 0 && (size_t)len < sizeof r->error);
    return false;
}

static bool refuse_type(struct api_reader *r, const struct api_field *f, bool element,
                        const char *must, const struct json_token *t)
{
    char text[80];
    (void)snprintf(text, sizeof text, "must be %s, got %s", must, type_text(t->type));
    return refuse_value(r, f, element, text);
}

static bool refuse_key(struct api_reader *r, const struct api_field *f, const char *why)
{
    (void)refuse(r, f, false);
    (void)snprintf(r->error, sizeof r->error, "the member '%s' %s", f->name.ptr, why);
    return false;
}

static bool refuse_root(struct api_reader *r, const char *why, const char *what)
{
    assert(!r->bad);
    r->bad = true;
    r->code = "invalid_request_error";
    (void)snprintf(r->error, sizeof r->error, "%s%s", why, what);
    return false;
}

/* True when a parser that ignores case takes key for name (ASCII). Go's
 * encoding/json also folds U+017F to s and U+212A to k. */
static bool is_folded(struct bytes key, struct bytes name)
{
    while (name.len > 0 && key.len > 0) {
        char c = byte_lower(*key.ptr);
        size_t n = 1;
        if (key.len >= 2 && memcmp(key.ptr, "\xC5\xBF", 2) == 0) c = 's', n = 2;
        if (key.len >= 3 && memcmp(key.ptr, "\xE2\x84\xAA", 3) == 0) c = 'k', n = 3;
        if (c != byte_lower(*name.ptr)) return false;
        bytes_cut(&key, n);
        bytes_cut(&name, 1);
    }
    return key.len == 0 && name.len == 0;
}

/* Weir takes provider away before it forwards: a member of it that nobody reads would be
 * accepted and ignored. */
static bool refuse_later(struct api_reader *r, struct bytes key)
{
    enum { SHOWN = 40 };
    (void)refuse_root(r, "", "");
    (void)point(r);
    int shown = key.ptr && key.len <= SHOWN ? (int)key.len : 0;
    (void)snprintf(r->error, sizeof r->error,
                   "the member '%.*s' of '%s' is not in this release", shown,
                   shown ? key.ptr : "", r->pointer);
    return false;
}

/* A key that one parser ends at its NUL, or rids of what is no character, and another does not:
 * it may be a key of the table to either. */
static bool refuse_odd_key(struct api_reader *r, const struct json_token *t)
{
    assert(t->nul || t->surrogate);
    return refuse_root(r, "the name of a member holds ",
                       t->nul ? "a NUL" : "an unpaired surrogate");
}

/* True where key is ASCII. By words, of which the last two may overlap. */
static bool is_ascii(struct bytes key)
{
    uint64_t seen = 0, word;
    if (key.len < sizeof word) {
        for (size_t i = 0; i < key.len; i++) seen |= (unsigned char)key.ptr[i];
        return seen < 0x80;
    }
    for (size_t i = 0; i < key.len; i += sizeof word) {
        size_t at = i + sizeof word <= key.len ? i : key.len - sizeof word;
        memcpy(&word, key.ptr + at, sizeof word);
        seen |= word;
    }
    return (seen & UINT64_C(0x8080808080808080)) == 0;
}

/* The rows a key can be meant for: those of its length, but for what is_folded() shortens. */
static size_t rows_for(const struct api_fields *list, struct bytes key, size_t *end)
{
    enum { LETTER_MAX = 3 };  /* bytes that stand for one letter of a name */
    *end = 0;
    if (!key.ptr || key.len > API_FIELD_NAME_MAX * LETTER_MAX) return 0;
    size_t len = key.len < API_FIELD_NAME_MAX ? key.len : API_FIELD_NAME_MAX;
    *end = list->first[len + 1];
    if (*end == 0 || !is_ascii(key)) return 0;
    return key.len > API_FIELD_NAME_MAX ? *end : list->first[len];
}

/* A key of an object that is read: finds its row, or skips the value. */
static bool take_key(struct api_reader *r, const struct json_token *t)
{
    enum { KEY_MAX = 192 };  /* bytes: the longest name, all of it escaped, and more */
    char room[KEY_MAX];
    struct bytes key = t->text;
    uint8_t place = r->at[r->level - 1].place;
    r->field = NULL;
    if (t->nul || t->surrogate) return refuse_odd_key(r, t);
    if (key.ptr && key.len <= KEY_MAX && t->escaped) {
        key = (struct bytes){room, json_unescape(t->text, room)};
    }
    const struct api_fields *list = &api_fields[place];
    size_t end;
    assert(place < PLACES);
    for (size_t i = rows_for(list, key, &end); i < end; i++) {
        const struct api_field *f = &list->at[i];
        if (!(f->apis & (1u << r->api))) continue;
        bool same = bytes_eq(key, f->name);
        if (!same && (key.len < f->name.len || !is_folded(key, f->name))) continue;
        if (!same) return refuse_key(r, f, "is written with other letters");
        if (t->escaped) return refuse_key(r, f, "is written with escapes");
        if (r->seen & (1ull << f->what)) return refuse_key(r, f, "appears twice");
        r->seen |= 1ull << f->what;
        r->field = f;
        break;
    }
    if (r->field) return true;
    if (place == PROVIDER || place == MAX_PRICE) return refuse_later(r, key);
    r->pass = true;
    return true;
}

/* Note a root member's extents: removing one needs its neighbours'. */
static void root_key(struct api_reader *r, const struct json_token *t)
{
    assert(r->level == 1);
    if (r->previous) r->previous->after = t->start;
    r->previous = NULL;
    r->member = (struct api_member){.key = {t->start, t->end}, .before = r->member_end,
                                       .index = r->req.member_count++};
    r->kept = NULL;
}

static void root_value_start(struct api_reader *r, const struct json_token *t)
{
    if (!r->field) return;
    switch (r->field->what) {
    case DO_MODEL: r->kept = &r->req.model_at; break;
    case DO_MODELS: r->kept = &r->req.models_at; break;
    case DO_PROVIDER: r->kept = &r->req.provider_at; break;
    case DO_OPTIONS: r->kept = &r->req.stream_options_at; break;
    case DO_USAGE: r->kept = &r->req.usage_at; break;
    case DO_MAX_TOKENS: r->kept = &r->req.limit_at[0]; break;
    case DO_MAX_COMPLETION: r->kept = &r->req.limit_at[1]; break;
    case DO_TEMPERATURE: r->kept = &r->req.sampling_at[0]; break;
    case DO_TOP_P: r->kept = &r->req.sampling_at[1]; break;
    case DO_TOP_K: r->kept = &r->req.sampling_at[2]; break;
    default: break;
    }
    r->member.value.start = t->start;
}

static void root_value_end(struct api_reader *r, const struct json_token *t)
{
    assert(r->previous == NULL);
    r->member_end = t->end;
    r->member.value.end = t->end;
    if (!r->kept) return;
    *r->kept = r->member;
    r->previous = r->kept;
}

/* Read a name or word: resolved into out, which holds API_NAME_MAX. False: refused.
 * A text over JSON_TEXT_MAX as written is refused even where it was gathered: the way the
 * body was cut must not decide. */
static bool take_text(struct api_reader *r, const struct json_token *t, bool element,
                      char *out, size_t *len)
{
    char room[JSON_TEXT_MAX];
    const struct api_field *f = element ? r->at[r->level - 1].field : r->field;
    assert(t->type == JSON_STRING);
    if (t->nul) return refuse_value(r, f, element, "holds a NUL");
    if (t->surrogate) return refuse_value(r, f, element, "holds an unpaired surrogate");
    if (t->end - t->start == 2) return refuse_value(r, f, element, "is empty");
    bool fits = t->end - t->start - 2 <= JSON_TEXT_MAX;
    if (fits) *len = json_unescape(t->text, room);
    if (!fits || *len > API_NAME_MAX) {
        return refuse_value(r, f, element, "is too long (256 bytes at most)");
    }
    memcpy(out, room, *len);
    return true;
}

static bool take_name(struct api_reader *r, const struct json_token *t, bool element,
                      struct bytes *out)
{
    const struct api_field *f = element ? r->at[r->level - 1].field : r->field;
    char name[API_NAME_MAX];
    size_t len;
    if (!take_text(r, t, element, name, &len)) return false;
    if (len > API_POOL - r->req.pool_len) {
        return refuse_value(r, f, element, "is one too many (together the names are too long)");
    }
    char *at = r->req.pool + r->req.pool_len;
    memcpy(at, name, len);
    r->req.pool_len += len;
    *out = (struct bytes){at, len};
    return true;
}

static bool take_count(struct api_reader *r, const struct json_token *t, int64_t *out)
{
    if (t->type == JSON_NULL) return true;
    if (!t->text.ptr || !json_integer(t->text, out)) {
        return refuse_value(r, r->field, false, "must be an integer");
    }
    if (*out < 1) return refuse_value(r, r->field, false, "must be at least 1");
    return true;
}

/* Dollars per million tokens as pico-dollars per token (a millionth of a dollar's
 * millionth, so times 10^6), rounded down, at least 1 and saturating: prices are whole, so
 * a limit in between means the lower one. text is a JSON number's. False: it is not. */
static bool price_of(struct bytes text, int64_t *out)
{
    uint64_t digits = 0;
    int64_t scale = 6, power = 0;
    size_t i = 0, whole = 0, seen = 0;
    for (bool point = false; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '.' && !point && whole > 0) { point = true; continue; }
        if (c < '0' || c > '9') break;
        seen++;
        whole += !point;
        if (digits < UINT64_MAX / 100) {
            digits = digits * 10 + (uint64_t)(c - '0');
            scale -= point;
        } else {
            scale += !point;
        }
    }
    if (seen == 0 || text.ptr[i - 1] == '.') return false;
    struct bytes rest = {text.ptr + i, text.len - i};
    if (rest.len > 0) {
        if (byte_lower(*bytes_cut(&rest, 1).ptr) != 'e') return false;
        bool minus = rest.len > 0 && *rest.ptr == '-';
        if (rest.len > 0 && (minus || *rest.ptr == '+')) bytes_cut(&rest, 1);
        uint64_t value;
        if (!bytes_u64(rest, &value) || value > 1000) return false;
        power = minus ? -(int64_t)value : (int64_t)value;
    }
    for (scale += power; scale < 0 && digits > 0; scale++) digits /= 10;
    for (; scale > 0 && digits > 0 && digits <= INT64_MAX; scale--) {
        digits = digits > INT64_MAX / 10 ? UINT64_MAX : digits * 10;
    }
    *out = digits == 0 ? 1 : digits > INT64_MAX ? INT64_MAX : (int64_t)digits;
    return true;
}

static bool take_price(struct api_reader *r, const struct json_token *t, int64_t *out)
{
    if (t->type == JSON_NULL) return true;
    bool fits = t->end - t->start <= JSON_TEXT_MAX;
    if (!fits || t->escaped || !price_of(t->text, out)) {
        return refuse_value(r, r->field, false,
                            "must be dollars per million tokens, 0 or more");
    }
    return true;
}

static const struct { const char *word; char letter; } sorts[] = {
    {"price", 'p'}, {"throughput", 't'}, {"latency", 'l'},
};

/* provider.sort and provider.data_collection: a word out of a list. */
static bool take_word(struct api_reader *r, const struct json_token *t)
{
    char room[API_NAME_MAX];
    struct bytes word = {room, 0};
    if (t->type == JSON_NULL) return true;
    if (!take_text(r, t, false, room, &word.len)) return false;
    if (r->field->what == DO_COLLECTION) {
        if (bytes_eq(word, BYTES("deny"))) r->req.zdr = true;
        else if (!bytes_eq(word, BYTES("allow"))) {
            return refuse_value(r, r->field, false, "must be allow or deny");
        }
        return true;
    }
    assert(r->field->what == DO_SORT);
    for (size_t i = 0; i < COUNT(sorts); i++) {
        if (!bytes_eq(word, bytes_of(sorts[i].word))) continue;
        r->req.sort = sorts[i].letter;
        return true;
    }
    return refuse_value(r, r->field, false, "must be price, throughput or latency");
}

/* An output limit: its value, and where it stands. */
static bool take_limit(struct api_reader *r, const struct json_token *t, struct api_limit *out)
{
    out->at = (struct api_span){t->start, t->end};
    return take_count(r, t, &out->value);
}

static bool take_budget(struct api_reader *r, const struct json_token *t)
{
    int64_t budget = 0;
    if (!take_count(r, t, &budget)) return false;
    r->req.output_min = budget + 1;  /* max_tokens must be more */
    r->thought[1] = api_ask_budget(t);
    return true;
}

/* service_tier: who else reads it may know other words. */
static void take_tier(struct api_reader *r, const struct json_token *t)
{
    char room[JSON_TEXT_MAX];
    if (t->type == JSON_NULL || !t->text.ptr || t->text.len > sizeof room) return;
    struct bytes word = {room, json_unescape(t->text, room)};
    if (bytes_eq(word, BYTES("flex"))) r->req.tier = API_TIER_FLEX;
    if (bytes_eq(word, BYTES("priority"))) r->req.tier = API_TIER_PRIORITY;
}

/* What decides which model is asked: never refused. */
static void take_ask(struct api_reader *r, const struct json_token *t)
{
    struct api_request *q = &r->req;
    uint8_t effort;
    switch (r->field->what) {
    case DO_FORMAT_TYPE: api_ask_format(q, t); break;
    case DO_REASONING: q->effort_said = true; break;
    case DO_EFFORT:
        q->effort_said = true;
        /* fall through */
    case DO_EFFORT_IN:
        effort = api_ask_effort(t);
        if (effort != API_EFFORT_UNSET) q->effort = effort;
        break;
    case DO_THOUGHT_WORD: r->thought[0] = api_ask_effort(t); break;
    case DO_THOUGHT_TOKENS: r->thought[1] = api_ask_budget(t); break;
    case DO_CHOICE: api_ask_choice(q, t, false); break;
    case DO_CHOICE_MODE: api_ask_choice(q, t, false); break;
    case DO_CHOICE_TYPE: api_ask_choice(q, t, true); break;
    default: break;
    }
}

/* What of Responses and Gemini only. */
static bool take_other(struct api_reader *r, const struct json_token *t)
{
    struct api_request *q = &r->req;
    struct bytes name;
    switch (r->field->what) {
    case DO_PREVIOUS: return t->type == JSON_NULL || take_name(r, t, false, &q->previous);
    case DO_STORE: q->store = t->type == JSON_TRUE; break;
    case DO_BACKGROUND: q->background = t->type == JSON_TRUE; break;
    case DO_CONVERSATION: q->conversation = t->type != JSON_NULL; break;
    case DO_CONFIG:
        q->config_null = true;
        q->config_at = (struct api_span){t->start, t->end};
        break;
    case DO_INNER_MODEL:
        q->inner_model_at = (struct api_span){t->start, t->end};
        return take_name(r, t, false, &name);
    default: take_ask(r, t); break;
    }
    return true;
}

static bool take_scalar(struct api_reader *r, const struct json_token *t)
{
    struct api_request *q = &r->req;
    bool yes = t->type == JSON_TRUE;
    switch (r->field->what) {
    case DO_MODEL: return is_generate(r) || take_name(r, t, false, &q->model);
    case DO_STREAM: q->stream = yes; break;
    case DO_INCLUDE: q->usage_include = yes; break;
    case DO_FALLBACKS: q->allow_fallbacks = t->type != JSON_FALSE; break;
    case DO_ZDR: q->zdr = q->zdr || yes; break;
    case DO_INCLUDE_USAGE:
        q->include_usage = yes;
        q->include_usage_at = (struct api_span){t->start, t->end};
        break;
    case DO_MAX_TOKENS: return take_limit(r, t, &q->limit[0]);
    case DO_MAX_COMPLETION: return take_limit(r, t, &q->limit[1]);
    case DO_BUDGET: return take_budget(r, t);
    case DO_TIER: take_tier(r, t); break;
    case DO_N: return take_count(r, t, &q->n);
    case DO_PRICE_PROMPT: return take_price(r, t, &q->max_prompt);
    case DO_PRICE_COMPLETION: return take_price(r, t, &q->max_completion);
    case DO_SORT: case DO_COLLECTION: return take_word(r, t);
    case DO_USAGE: r->kept = NULL; break;  /* not OpenRouter's: the provider's business */
    case DO_OPTIONS: q->stream_options_null = true; break;
    case DO_TEXTS: case DO_MESSAGES: case DO_SYSTEM:
        if (t->type != JSON_STRING) break;
        q->prompt_bytes += t->end - t->start - 2;
        q->message_count += r->field->what != DO_SYSTEM;
        if (r->field->what == DO_SYSTEM) api_turn_system(r, t);
        else api_turn_text(r, t);
        break;
    default: return take_other(r, t);
    }
    return true;
}

/* Where the root's members are read: a place for each form of request. */
static uint8_t root_of(enum api api)
{
    static const uint8_t roots[] = {
        [API_FORM_OPENAI] = ROOT_OPENAI, [API_FORM_RESPONSES] = ROOT_RESPONSES,
        [API_FORM_MESSAGES] = ROOT_MESSAGES, [API_FORM_GENERATE] = ROOT_GENERATE,
    };
    return roots[api_form(api)];
}

/* A container that is read opens. */
static void descend(struct api_reader *r, const struct json_token *t)
{
    struct api_request *q = &r->req;
    const struct api_field *f = r->field;
    if (f && f->what == DO_USAGE && t->type == JSON_ARRAY) {  /* not OpenRouter's form */
        r->kept = NULL;
        r->pass = true;
        return;
    }
    bool list = t->type == JSON_ARRAY;
    if (f && (f->to == 0 || (f->to < PLACES && list))) {  /* nobody looks into it */
        if (f->what == DO_CONVERSATION) q->conversation = true;
        if (f->what == DO_AUDIO) q->audio_out = true;
        if (f->what == DO_EFFORT || f->what == DO_REASONING) q->effort_said = true;
        bool schema = f->what == DO_SCHEMA || f->what == DO_FORMAT_BODY;
        if (schema && is_generate(r)) q->format = API_FORMAT_SCHEMA;
        r->pass = true;
        return;
    }
    assert(r->level < API_LEVELS);
    r->at[r->level].field = f;
    r->at[r->level].start = t->start;
    r->at[r->level].depth = t->depth;
    r->at[r->level].place = f ? f->to : root_of(r->api);
    r->at[r->level++].list = t->type == JSON_ARRAY;
    r->element = 0;
    if (!f) return;
    switch (f->what) {
    case DO_MODELS: r->names = &q->models; break;
    case DO_ORDER: r->names = &q->order; break;
    case DO_ONLY: r->names = &q->only; break;
    case DO_IGNORE: r->names = &q->ignore; break;
    case DO_OPTIONS: q->stream_options_empty = true; break;  /* until a key comes */
    case DO_CONFIG: q->config_empty = true; break;
    case DO_REASONING: q->effort_said = true; break;
    default: break;
    }
}

/* The innermost container that is read closes. */
static void ascend(struct api_reader *r, const struct json_token *t)
{
    assert(r->level > 0);
    const struct api_field *f = r->at[--r->level].field;
    if (!f) return;
    if (f->what == DO_USAGE && !(r->seen & (1ull << DO_INCLUDE))) {
        r->kept = NULL;  /* not OpenRouter's form: the provider's business */
    }
    uint64_t start = r->at[r->level].start;
    if (f->to == TOOLS) {
        struct api_span *tools = &r->req.text[API_TEXT_TOOLS];
        r->req.tool_bytes += t->end - start;
        if (tools->end == 0) *tools = (struct api_span){start, t->end};
    }
    if (f->what == DO_CONFIG) r->req.config_at = (struct api_span){start, t->end};
    bool one = r->token_ids || !r->at[r->level].list;  /* ids, or an object: one text */
    if (f->what == DO_TEXTS && r->req.message_count == 0 && one) r->req.message_count = 1;
    if (t->depth == 1) root_value_end(r, t);
}

/* A value of a key that is read. */
static bool take_value(struct api_reader *r, const struct json_token *t)
{
    bool root = t->depth == 1;
    bool opens = t->type == JSON_OBJECT || t->type == JSON_ARRAY;
    if (root && t->type != JSON_SKIPPED) root_value_start(r, t);
    if (t->type == JSON_SKIPPED) {
        bool schema = r->field && (r->field->what == DO_SCHEMA ||
                                   r->field->what == DO_FORMAT_BODY);
        if (schema) r->req.schema_at = (struct api_span){t->start, t->end};
        if (root) root_value_end(r, t);
        return true;
    }
    assert(r->field != NULL);
    uint8_t want = r->field->want;
    if (!(wants[want].types & (1u << t->type))) {
        return refuse_type(r, r->field, false, wants[want].text, t);
    }
    if (opens) {
        descend(r, t);
        return true;
    }
    if (!take_scalar(r, t)) return false;
    if (root) root_value_end(r, t);
    return true;
}

static bool take_element_name(struct api_reader *r, const struct json_token *t)
{
    const struct api_field *list = r->at[r->level - 1].field;
    if (t->type != JSON_STRING) return refuse_type(r, list, true, "a string", t);
    if (r->names->count == API_NAMES_MAX) {
        return refuse_value(r, list, true, "is one too many (8 at most)");
    }
    if (!take_name(r, t, true, &r->names->at[r->names->count])) return false;
    r->names->count++;
    r->element++;
    return true;
}

static bool take_element_tool(struct api_reader *r, const struct json_token *t)
{
    if (t->type == JSON_SKIPPED) return true;
    if (t->type == JSON_OBJECT || t->type == JSON_ARRAY) r->pass = true;
    r->req.tool_count++;
    return true;
}

/* Bytes of images, audio and files say nothing about the count of tokens. */
static bool is_binary_key(struct bytes key)
{
    return bytes_eq(key, BYTES("data")) || bytes_eq(key, BYTES("file_data")) ||
           bytes_eq(key, BYTES("b64_json"));
}

static void take_text_token(struct api_reader *r, const struct json_token *t)
{
    struct api_request *q = &r->req;
    uint16_t depth = r->at[r->level - 1].depth;
    bool ends = t->type == JSON_OBJECT_END || t->type == JSON_ARRAY_END;
    enum what what = r->at[r->level - 1].field->what;
    if (what == DO_MESSAGES) api_turn_token(r, t, t->depth - depth);
    if (t->type == JSON_KEY) {
        r->binary = is_binary_key(t->text);
        r->texts = bytes_eq(t->text, BYTES("text"));
        return;
    }
    if (t->type == JSON_STRING && !r->binary) {
        struct bytes start = api_head_text(&r->head, t);
        bool url = start.len >= 5 && memcmp(start.ptr, "data:", 5) == 0;
        if (!url) q->prompt_bytes += t->end - t->start - 2;
    }
    bool element = t->depth == depth + 1 && r->at[r->level - 1].list;
    bool text = t->type == JSON_STRING;
    if (text && what == DO_SYSTEM && (element || r->texts)) api_turn_system(r, t);
    if (text && what == DO_TEXTS && element) api_turn_text(r, t);
    bool id = t->type == JSON_NUMBER && what == DO_TEXTS;
    if (id) {  /* an array of token ids stands for a text */
        q->prompt_bytes += API_TOKEN_BYTES;
        r->token_ids = true;
    }
    bool counts = !ends && !id && what != DO_SYSTEM && r->at[r->level - 1].list;
    if (counts && t->depth == depth + 1) q->message_count++;
    r->binary = r->texts = false;
}

/* One token. False: refused. */
static bool take(struct api_reader *r, const struct json_token *t)
{
    if (r->level == 0) {
        if (t->type != JSON_OBJECT) {
            return refuse_root(r, "the body must be a JSON object, got ", type_text(t->type));
        }
        r->req.object_start = t->start;
        descend(r, t);
        return true;
    }
    bool ends = t->type == JSON_OBJECT_END || t->type == JSON_ARRAY_END;
    if (ends && t->depth == r->at[r->level - 1].depth) {
        ascend(r, t);
        return true;
    }
    switch (r->at[r->level - 1].place) {
    case NAMES: return take_element_name(r, t);
    case TOOLS: return take_element_tool(r, t);
    case TEXTS: take_text_token(r, t); return true;
    default: break;
    }
    if (t->type != JSON_KEY) return take_value(r, t);
    if (r->level == 1) root_key(r, t);
    if (r->at[r->level - 1].place == STREAM_OPTIONS) r->req.stream_options_empty = false;
    if (r->at[r->level - 1].place == CONFIG) r->req.config_empty = false;
    return take_key(r, t);
}

static enum net_rc refuse_json(struct api_reader *r)
{
    r->bad = true;
    r->code = "invalid_json";
    (void)snprintf(r->error, sizeof r->error, "invalid JSON at byte %llu: %s",
                   (unsigned long long)json_at(&r->json), json_why(&r->json));
    return NET_BAD;
}

/* ---- a body in one piece ---- */

/* messages, from its "[" on, token i: what take_text_token() does, string by string. */
static void read_messages(struct api_reader *r, const struct json_index *x,
                          const char *text, uint32_t i)
{
    uint32_t end = x->close[i];
    r->req.message_count += api_turn_index(r, x, text, i);
    for (uint32_t g = i / JSON_INDEX_GROUP; g <= end / JSON_INDEX_GROUP; g++) {
        uint32_t from = g * JSON_INDEX_GROUP;
        uint64_t strings = x->strings[g];
        if (from < i) strings &= ~UINT64_C(0) << (i - from);
        if (end - from < JSON_INDEX_GROUP) strings &= (UINT64_C(1) << (end - from)) - 1;
        for (; strings; strings &= strings - 1) {
            uint32_t k = from + (uint32_t)__builtin_ctzll(strings);
            struct bytes said = json_index_text(x, text, k);
            bool member = x->first[k - 1] == ':';
            if (member && is_binary_key(json_index_text(x, text, k - 2))) continue;
            if (!bytes_starts(said, BYTES("data:"))) r->req.prompt_bytes += said.len;
        }
    }
}

/* True for a string that is only counted, and compared as it is written: its escapes do not
 * matter. */
static bool is_text(const struct api_reader *r, const struct json_token *t)
{
    if (r->level > 0 && r->at[r->level - 1].place == TEXTS) return true;
    if (t->type != JSON_STRING || !r->field) return false;
    return r->field->what == DO_SYSTEM || r->field->what == DO_TEXTS ||
           r->field->what == DO_MESSAGES;
}

/* Take the tokens of the index. False: one that must be looked at more closely, a string with
 * escapes: nothing may be kept of what was read. *rc out else. */
static bool read_index(struct api_reader *r, const struct json_index *x, const char *text,
                       enum net_rc *rc)
{
    uint16_t depth = 0;
    *rc = NET_BAD;
    for (uint32_t i = 0; i < x->count; i++) {
        char c = x->first[i];
        if (c == ',' || c == ':') continue;
        if (c == '}' || c == ']') depth--;
        struct json_token t = api_index_token(x, text, i, depth);
        if (c == '"' && !is_text(r, &t) && bytes_find(t.text, '\\') < t.text.len) return false;
        if (!take(r, &t)) return true;
        bool messages = c == '[' && r->level > 1 && r->at[r->level - 1].place == TEXTS &&
                        r->at[r->level - 1].field->what == DO_MESSAGES;
        if (r->pass) {
            r->pass = false;
            if (t.type == JSON_KEY) i += 2;
            t = api_index_skipped(x, text, i, depth);
            if (!take(r, &t)) return true;
            i = json_index_behind(x, i) - 1;
        } else if (messages) {
            read_messages(r, x, text, i);
            i = x->close[i] - 1u;
            depth++;
        } else if (c == '{' || c == '[') {
            depth++;
        }
    }
    *rc = NET_MORE;
    return true;
}

/* Forget what was read, but for what the path said. */
static void begin_again(struct api_reader *r)
{
    struct bytes model = is_generate(r) ? r->req.model : (struct bytes){0};
    bool stream = is_generate(r) && r->req.stream;
    api_request_begin(r, r->api);
    if (model.len == 0) return;
    assert(model.ptr == r->req.pool);  /* which begin leaves as it is */
    r->req.model = model;
    r->req.pool_len = model.len;
    r->req.stream = stream;
}

/* Read a body that is there in one piece, if this is one. *rc out, on true. */
static bool read_whole(struct api_reader *r, struct bytes in, enum net_rc *rc)
{
    struct json_index x;
    if (!json_index_build(&x, in, API_REQUEST_DEPTH_MAX)) return false;
    if (!read_index(r, &x, in.ptr, rc)) {
        begin_again(r);
        return false;
    }
    json_pass(&r->json, in.len);
    r->req.body_bytes = r->fed = r->token_end = in.len;
    return true;
}

void api_request_begin(struct api_reader *r, enum api api)
{
    assert(api < APIS);
    memset(&r->req, 0, offsetof(struct api_request, pool));
    memset(&r->api, 0, offsetof(struct api_reader, upload) - offsetof(struct api_reader, api));
    r->api = api;
    r->code = "";
    r->bad = api_is_upload(api);   /* until its boundary is told */
    r->req.max_tokens = -1;
    r->req.n = -1;
    r->req.limit[0].value = r->req.limit[1].value = -1;
    r->req.output_min = api == API_RESPONSES ? RESPONSES_OUTPUT_MIN : 1;
    r->req.api = (uint8_t)api;
    r->req.allow_fallbacks = true;
    json_init(&r->json, API_REQUEST_DEPTH_MAX);
}

bool api_request_path(struct api_reader *r, struct bytes model, bool stream)
{
    assert(is_generate(r));
    assert(r->fed == 0 && r->req.pool_len == 0);
    if (model.len == 0 || model.len > API_NAME_MAX) return false;
    memcpy(r->req.pool, model.ptr, model.len);
    r->req.model = (struct bytes){r->req.pool, model.len};
    r->req.pool_len = model.len;
    r->req.stream = stream;
    return true;
}

enum net_rc api_request_feed(struct api_reader *r, struct bytes in)
{
    assert(r->code != NULL);
    if (r->bad) return NET_BAD;
    if (api_is_upload(r->api)) return api_upload_feed(r, in);
    struct bytes tail = in;
    struct json_token t;
    enum net_rc rc;
    if (r->fed == 0 && read_whole(r, in, &rc)) return rc;
    while ((rc = json_next(&r->json, &in, &t)) == NET_OK) {
        api_head_complete(&r->head, &t, tail, r->fed);
        if (!take(r, &t)) return NET_BAD;
        if (r->pass) json_skip(&r->json);
        r->pass = false;
        api_head_reset(&r->head);
        r->token_end = t.end;
    }
    if (rc == NET_BAD) return refuse_json(r);
    assert(in.len == 0);
    r->req.body_bytes += tail.len;
    if (r->token_end > r->fed) bytes_cut(&tail, (size_t)(r->token_end - r->fed));
    api_head_watch(&r->head, tail);
    r->fed = r->req.body_bytes;
    return NET_MORE;
}

enum net_rc api_request_end(struct api_reader *r)
{
    static const char fallback[] = "omni-moderation-latest";
    struct api_request *q = &r->req;
    struct json_token t;
    if (r->bad) return NET_BAD;
    if (api_is_upload(r->api)) return api_upload_end(r);
    enum net_rc rc = json_finish(&r->json, &t);
    if (rc == NET_OK) {  /* a number at the root */
        (void)refuse_root(r, "the body must be a JSON object, got ", type_text(t.type));
        return NET_BAD;
    }
    if (rc != NET_DONE) return refuse_json(r);
    assert(r->level == 0);
    if (q->effort == API_EFFORT_UNSET) q->effort = r->thought[0];
    if (q->effort == API_EFFORT_UNSET) q->effort = r->thought[1];
    q->root_empty = q->member_count == 0;
    /* Two that differ: which of them a provider obeys is its secret, so the larger one counts
     * against the client. */
    q->max_tokens = q->limit[1].value > q->limit[0].value ? q->limit[1].value
                                                          : q->limit[0].value;
    if (q->model.len > 0 || q->models.count > 0) return NET_DONE;
    if (r->api != API_MODERATIONS) {
        (void)refuse_root(r, "", "");
        memcpy(r->pointer, "/model", sizeof "/model");
        (void)snprintf(r->error, sizeof r->error, "the member 'model' is missing");
        return NET_BAD;
    }
    if (API_POOL - q->pool_len < sizeof fallback - 1) {
        (void)refuse_root(r, "the names are too long together", "");
        return NET_BAD;
    }
    q->model = (struct bytes){q->pool + q->pool_len, sizeof fallback - 1};
    memcpy(q->pool + q->pool_len, fallback, sizeof fallback - 1);
    q->pool_len += sizeof fallback - 1;
    return NET_DONE;
}
