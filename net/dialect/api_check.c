/* api_check.c - see api_check.h. RFC 8259 once more, byte by byte: the text of an answer is
 * JSON inside of JSON strings, cut where the provider pleases, and nothing of it may be kept,
 * so neither the scanner nor the index can be used.
 *   VALUE -> (FIRST_KEY | KEY) -> IN_KEY -> COLON -> VALUE ... -> AFTER -> DONE
 * Rule: a verdict is only given where all was seen. What cannot be followed (too deep, a part
 * that was not there) leaves no verdict. */
#include "net/dialect/api_check.h"
#include "net/dialect/api_part.h"

enum state { VALUE, FIRST_VALUE, FIRST_KEY, KEY, COLON, AFTER, DONE, IN_KEY, IN_STRING,
             IN_WORD };

/* Where an escape in a string, or a number, is. */
enum { PLAIN, ESCAPED, HEX };
enum number { MINUS, ZERO, INT, POINT, FRACTION, EXP, SIGN, POWER, LITERAL };

/* What a value may be. */
enum type { STRING = 1, NUMBER = 2, OBJECT = 4, ARRAY = 8, BOOL = 16, NOTHING = 32 };

enum { DEPTH_MAX = 64, NAME_SEED = 0x411C9DC5, NAME_PRIME = 16777619 };

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static uint32_t name_add(uint32_t name, char c)
{
    return (name ^ (unsigned char)c) * NAME_PRIME;
}

/* The literals, each with its last letter's place. */
static const char literals[][6] = {"true", "false", "null"};

/* A number's next byte. False: it cannot stand there. */
static bool number_byte(uint8_t *word, char c)
{
    bool digit = c >= '0' && c <= '9', e = c == 'e' || c == 'E';
    switch ((enum number)*word) {
    case MINUS: *word = c == '0' ? ZERO : INT; return digit;
    case ZERO: *word = c == '.' ? POINT : EXP; return c == '.' || e;
    case INT:
        if (digit) return true;
        *word = c == '.' ? POINT : EXP;
        return c == '.' || e;
    case POINT: *word = FRACTION; return digit;
    case FRACTION:
        if (digit) return true;
        *word = EXP;
        return e;
    case EXP:
        *word = digit ? POWER : SIGN;
        return digit || c == '+' || c == '-';
    case SIGN: *word = POWER; return digit;
    case POWER: return digit;
    default: return false;
    }
}

static bool number_whole(uint8_t word)
{
    return word == ZERO || word == INT || word == FRACTION || word == POWER;
}

/* A value ended. */
static void value_end(struct api_doc *d)
{
    d->state = d->depth == 0 ? DONE : AFTER;
}

static enum type type_of(char c)
{
    switch (c) {
    case '{': return OBJECT;
    case '[': return ARRAY;
    case '"': return STRING;
    case 't': case 'f': return BOOL;
    case 'n': return NOTHING;
    default: return NUMBER;
    }
}

/* A value of one of the root's members begins. */
static void member_value(struct api_doc *d, const struct api_check *schema, char c)
{
    for (unsigned i = 0; i < schema->count; i++) {
        if (schema->member[i].name != d->name) continue;
        d->seen |= (uint16_t)(1u << i);
        if (!(schema->member[i].types & type_of(c))) d->other = true;
    }
}

static void open_container(struct api_doc *d, bool object)
{
    if (d->depth == DEPTH_MAX) {
        d->unknown = true;
        return;
    }
    d->kinds = d->kinds << 1 | object;
    d->depth++;
    d->state = object ? FIRST_KEY : FIRST_VALUE;
}

static bool close_container(struct api_doc *d, char c)
{
    if (d->depth == 0 || c != (d->kinds & 1 ? '}' : ']')) return false;
    d->kinds >>= 1;
    d->depth--;
    value_end(d);
    return true;
}

/* A value begins with c. */
static bool value_begin(struct api_doc *d, const struct api_check *schema, char c)
{
    if (d->depth == 0 && c != '{' && c != '[') return false;
    if (schema && d->depth == 1 && (d->kinds & 1)) member_value(d, schema, c);
    switch (c) {
    case '{': case '[': open_container(d, c == '{'); return true;
    case '"':
        d->state = IN_STRING;
        d->word = PLAIN;
        return true;
    case '-': d->word = MINUS; break;
    case '0': d->word = ZERO; break;
    case 't': case 'f': case 'n':
        /* which one, and how many letters of it were seen */
        d->word = (uint8_t)(LITERAL + 8 * (c == 't' ? 0 : c == 'f' ? 1 : 2) + 1);
        break;
    default:
        if (c < '1' || c > '9') return false;
        d->word = INT;
    }
    d->state = IN_WORD;
    return true;
}

static bool string_byte(struct api_doc *d, char c)
{
    if (d->word == HEX) {
        char lower = (char)(c | 0x20);
        if ((c < '0' || c > '9') && (lower < 'a' || lower > 'f')) return false;
        if (--d->due == 0) d->word = PLAIN;
        return true;
    }
    if (d->word == ESCAPED) {
        d->word = c == 'u' ? HEX : PLAIN;
        d->due = 4;
        return c != '\0' && strchr("\"\\/bfnrtu", c) != NULL;
    }
    if (c == '\\') {
        d->word = ESCAPED;
        if (d->state == IN_KEY && d->depth == 1) d->odd = true;
    } else if (c == '"') {
        if (d->state == IN_KEY) d->state = COLON;
        else value_end(d);
    } else if (d->state == IN_KEY) {
        d->name = name_add(d->name, c);
    }
    return (unsigned char)c >= 0x20;
}

/* One byte of the document. False: it is no JSON. */
static bool doc_byte(struct api_doc *d, const struct api_check *schema, char c)
{
    if (d->state == IN_KEY || d->state == IN_STRING) return string_byte(d, c);
    if (d->state == IN_WORD && d->word >= LITERAL) {
        const char *word = literals[(d->word - LITERAL) / 8];
        if (word[(d->word - LITERAL) % 8] != c) return false;
        d->word++;
        if (word[(d->word - LITERAL) % 8] == '\0') value_end(d);
        return true;
    }
    if (d->state == IN_WORD) {
        bool ends = is_blank(c) || c == ',' || c == ']' || c == '}';
        if (!ends) return number_byte(&d->word, c);
        if (!number_whole(d->word)) return false;
        value_end(d);
    }
    if (is_blank(c)) return true;
    switch ((enum state)d->state) {
    case FIRST_VALUE: if (c == ']') return close_container(d, c);
        /* fall through */
    case VALUE: return value_begin(d, schema, c);
    case FIRST_KEY: if (c == '}') return close_container(d, c);
        /* fall through */
    case KEY:
        d->state = IN_KEY;
        d->word = PLAIN;
        d->name = NAME_SEED;
        return c == '"';
    case COLON: d->state = VALUE; return c == ':';
    case AFTER:
        if (c != ',') return close_container(d, c);
        d->state = d->kinds & 1 ? KEY : VALUE;
        return true;
    default: return false;  /* behind the end */
    }
}

/* The byte that an escape at raw->ptr stands for; what is not ASCII is one byte that is not. */
static char unescape(struct bytes *raw)
{
    static const char names[] = "nrtbf", meant[] = "\n\r\t\b\f";
    size_t n = raw->len < 2 ? raw->len : 2;
    char c = raw->ptr[n - 1];
    if (c == 'u' && raw->len >= 6) {
        char text[6];
        n = json_unescape((struct bytes){raw->ptr, 6}, text);
        c = n == 1 ? text[0] : '\x80';
        n = 6;
    } else if (memchr(names, c, sizeof names - 1)) {
        c = meant[strchr(names, c) - names];
    }
    bytes_cut(raw, n);
    return c;
}

/* Feed a part of a document; of one that is over another begins, where several may come. */
static void feed(struct api_doc *d, const struct api_check *schema, struct bytes raw,
                 bool several)
{
    if (!raw.ptr) d->unknown = true;
    if (d->unknown || d->bad) return;
    while (raw.len > 0 && !d->bad && !d->unknown) {
        char c = *raw.ptr == '\\' ? unescape(&raw) : *bytes_cut(&raw, 1).ptr;
        if (!is_blank(c)) {
            d->begun = true;
            if (several && d->state == DONE) d->state = VALUE;
        }
        d->bad = !doc_byte(d, schema, c) || (several && d->depth == 0 && c == ']');
    }
    assert(d->depth <= DEPTH_MAX);
}

void api_check_begin(struct api_check *c, const struct api_request *q)
{
    memset(c, 0, sizeof *c);
    if (q->n > 1) return;
    c->wants_text = q->format != API_FORMAT_TEXT;
    c->wants_arguments = q->tool_count > 0;
}

void api_check_again(struct api_check *c)
{
    c->text = c->arguments = (struct api_doc){0};
}

void api_check_text(struct api_check *c, struct bytes raw)
{
    if (c->wants_text) feed(&c->text, c, raw, false);
}

void api_check_arguments(struct api_check *c, struct bytes raw)
{
    if (c->wants_arguments) feed(&c->arguments, NULL, raw, true);
}

void api_check_said(struct api_check *c, enum says says, struct bytes raw)
{
    assert(says <= SAYS_REFUSAL);
    if (says == SAYS_ANSWER) api_check_text(c, raw);
    else if (says == SAYS_ARGUMENTS) api_check_arguments(c, raw);
}

/* A document that was all there and is wrong. */
static bool is_bad(const struct api_doc *d)
{
    return d->begun && !d->unknown && (d->bad || d->state != DONE);
}

unsigned api_check_end(const struct api_check *c, unsigned outcome)
{
    const struct api_doc *t = &c->text;
    if (outcome & (API_OUTCOME_LENGTH | API_OUTCOME_REFUSAL)) return outcome;
    if (is_bad(&c->arguments)) outcome |= API_OUTCOME_ARGUMENTS;
    if (is_bad(t)) return outcome | API_OUTCOME_JSON;
    if (!t->begun || t->unknown || t->odd) return outcome;
    bool lacks = t->other;
    for (unsigned i = 0; i < c->count; i++) {
        if (c->member[i].required && !(t->seen >> i & 1)) lacks = true;
    }
    return lacks ? outcome | API_OUTCOME_JSON | API_OUTCOME_SCHEMA : outcome;
}

/* ---- the schema ---- */

/* The place of a member in the list; made where there is room. -1: there is none, or the name
 * is not plain, so that a hash of how it is written says nothing. */
static int member_of(struct api_check *c, const struct json_token *t)
{
    uint32_t name = NAME_SEED;
    if (t->escaped) return -1;
    for (size_t i = 0; i < t->text.len; i++) {
        if ((unsigned char)t->text.ptr[i] >= 0x80) return -1;
        name = name_add(name, t->text.ptr[i]);
    }
    for (unsigned i = 0; i < c->count; i++) {
        if (c->member[i].name == name) return (int)i;
    }
    if (c->count == API_SCHEMA_MEMBERS) return -1;
    c->member[c->count].name = name;
    c->member[c->count].types = 0;
    c->member[c->count].required = false;
    return c->count++;
}

/* The types that a word of a schema means; Google writes them in capitals. */
static uint8_t types_of(struct bytes word)
{
    static const struct { struct bytes word; uint8_t types; } words[] = {
        {BYTES_INIT("string"), STRING}, {BYTES_INIT("number"), NUMBER},
        {BYTES_INIT("integer"), NUMBER}, {BYTES_INIT("object"), OBJECT},
        {BYTES_INIT("array"), ARRAY}, {BYTES_INIT("boolean"), BOOL},
        {BYTES_INIT("null"), NOTHING},
    };
    for (size_t i = 0; i < COUNT(words); i++) {
        if (bytes_ieq(word, words[i].word)) return words[i].types;
    }
    return UINT8_MAX;
}

/* The walk over a schema: where in its root it is. */
struct walk {
    enum { ROOT, REQUIRED, PROPERTIES, PROPERTY, TYPE } place;
    int member;                 /* whose property is read; -1 nobody's */
    bool nullable;
};

/* A key. False: its value is nobody's. */
static bool walk_key(struct walk *w, struct api_check *c, const struct json_token *t)
{
    if (t->depth == 1) {
        bool required = bytes_eq(t->text, BYTES("required"));
        w->place = required ? REQUIRED : PROPERTIES;
        return required || bytes_eq(t->text, BYTES("properties"));
    }
    if (t->depth == 2 && w->place != REQUIRED) {
        w->place = PROPERTY;
        w->member = member_of(c, t);
        return w->member >= 0;
    }
    if (t->depth == 3 && w->place >= PROPERTY) {
        w->nullable = bytes_eq(t->text, BYTES("nullable"));
        w->place = TYPE;
        return w->nullable || bytes_eq(t->text, BYTES("type"));
    }
    return false;
}

static void walk_value(struct walk *w, struct api_check *c, const struct json_token *t)
{
    bool string = t->type == JSON_STRING;
    if (w->place == REQUIRED && t->depth == 2 && string) {
        int member = member_of(c, t);
        if (member >= 0) c->member[member].required = true;
    } else if (w->place == TYPE && t->depth >= 3 && w->member >= 0) {
        uint8_t *types = &c->member[w->member].types;
        if (w->nullable) *types |= t->type == JSON_TRUE ? NOTHING : 0;
        else if (string) *types |= types_of(t->text);
    }
}

void api_check_schema(struct api_check *c, struct bytes schema)
{
    struct json j;
    struct json_token t;
    struct walk w = {.member = -1};
    c->count = 0;
    if (!c->wants_text || schema.len > API_SCHEMA_MAX) return;
    json_init(&j, JSON_DEPTH_MAX);
    while (json_next(&j, &schema, &t) == NET_OK) {
        if (t.depth == 0 && t.type != JSON_OBJECT && t.type != JSON_OBJECT_END) break;
        if (t.type == JSON_KEY && !walk_key(&w, c, &t)) json_skip(&j);
        else if (t.type != JSON_KEY) walk_value(&w, c, &t);
    }
    for (unsigned i = 0; i < c->count; i++) {   /* of these nothing is said, or null alone */
        uint8_t *types = &c->member[i].types;
        if ((*types & (uint8_t)~NOTHING) == 0) *types = UINT8_MAX;
    }
}
