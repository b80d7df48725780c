/* gist.c - see gist.h. The hashes keep no secret: who answers could as well copy an answer. */
#include "net/translate/gist.h"

/* ---- hashes ---- */

enum { KIND_STRING = 1, KIND_NUMBER, KIND_WORD, KIND_OBJECT, KIND_ARRAY };

static uint64_t mix(uint64_t x)
{
    x ^= x >> 31;
    x *= UINT64_C(0x9e3779b97f4a7c15);
    x ^= x >> 29;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    return x ^ x >> 32;
}

static void put_word(struct gist *g, uint64_t word)
{
    g->h[0] = mix(g->h[0] ^ word);
    g->h[1] = mix(g->h[1] + word + UINT64_C(0x94d049bb133111eb));
}

struct gist gist_begin(unsigned kind)
{
    struct gist g = {{kind + 1, ~(uint64_t)kind}};
    put_word(&g, kind);
    return g;
}

void gist_put(struct gist *g, struct bytes b)
{
    for (size_t i = 0; i < b.len; i++) put_word(g, (uint8_t)b.ptr[i]);
}

void gist_add(struct gist *g, const struct gist *other)
{
    put_word(g, other->h[0]);
    put_word(g, other->h[1]);
}

/* Add one to a sum in which order does not matter. */
static void gist_sum(struct gist *sum, const struct gist *one)
{
    sum->h[0] += one->h[0];
    sum->h[1] += one->h[1];
}

/* ---- numbers ---- */

enum { SIGN = 1, DIGIT = 2, POINT = 4, SIGNIFICANT = 8, POWER = 16, POWER_SIGN = 32,
       POWER_DIGIT = 64 };
enum { POWER_MOST = 1000000 };

static void put_digit(struct gist_number *n, char c)
{
    bool fraction = n->seen & POINT;
    n->seen |= DIGIT;
    if (c == '0' && !(n->seen & SIGNIFICANT)) {
        if (fraction) n->point--;
        return;
    }
    if (!(n->seen & SIGNIFICANT)) n->digits = gist_begin(KIND_NUMBER);
    n->seen |= SIGNIFICANT;
    if (!fraction) n->point++;
    if (c == '0') {
        n->zeros++;
        return;
    }
    for (; n->zeros > 0; n->zeros--) gist_put(&n->digits, BYTES("0"));
    gist_put(&n->digits, (struct bytes){&c, 1});
}

static void put_power(struct gist_number *n, char c)
{
    if ((c == '-' || c == '+') && !(n->seen & (POWER_SIGN | POWER_DIGIT))) {
        n->seen |= POWER_SIGN;
        n->power_negative = c == '-';
    } else if (c >= '0' && c <= '9') {
        n->seen |= POWER_DIGIT;
        if (n->power < POWER_MOST) n->power = n->power * 10 + (c - '0');
    } else {
        n->bad = true;
    }
}

void gist_number_put(struct gist_number *n, char c)
{
    if (n->seen & POWER) put_power(n, c);
    else if (c >= '0' && c <= '9') put_digit(n, c);
    else if ((c == '-' || c == '+') && n->seen == 0) n->seen |= SIGN, n->negative = c == '-';
    else if (c == '.' && !(n->seen & POINT)) n->seen |= POINT;
    else if ((c == 'e' || c == 'E') && n->seen & DIGIT) n->seen |= POWER;
    else n->bad = true;
}

bool gist_number_end(const struct gist_number *n, struct gist *out)
{
    bool whole = n->seen & DIGIT && (!(n->seen & POWER) || n->seen & POWER_DIGIT);
    if (n->bad || !whole) return false;
    *out = gist_begin(KIND_NUMBER);
    if (!(n->seen & SIGNIFICANT)) return true;         /* 0, -0, 0e9 */
    int64_t point = n->point + (n->power_negative ? -n->power : n->power);
    gist_add(out, &n->digits);
    put_word(out, (uint64_t)point);
    if (n->negative) gist_put(out, BYTES("-"));
    return true;
}

/* ---- JSON ---- */

enum { J_VALUE, J_KEY, J_COLON, J_BEHIND, J_STRING, J_NUMBER, J_WORD, J_BAD };

/* The value is known: it belongs to what is open. */
static void close_value(struct gist_json *j)
{
    j->state = J_BEHIND;
    if (j->depth == 0) return;
    struct gist one = j->at[j->depth - 1].key, *sum = &j->at[j->depth - 1].sum;
    if (!j->at[j->depth - 1].object) {
        gist_add(sum, &j->value);
        return;
    }
    gist_add(&one, &j->value);
    gist_sum(sum, &one);
}

static void open_container(struct gist_json *j, bool object)
{
    if (j->depth == GIST_DEPTH) {
        j->state = J_BAD;
        return;
    }
    j->at[j->depth].sum = gist_begin(object ? KIND_OBJECT : KIND_ARRAY);
    j->at[j->depth++].object = object;
    j->state = object ? J_KEY : J_VALUE;
    j->first = true;
}

static void close_container(struct gist_json *j, bool object)
{
    if (j->depth == 0 || j->at[j->depth - 1].object != object) {
        j->state = J_BAD;
        return;
    }
    j->depth--;
    j->value = gist_begin(object ? KIND_OBJECT : KIND_ARRAY);
    gist_add(&j->value, &j->at[j->depth].sum);
    close_value(j);
}

static void open_string(struct gist_json *j, bool key)
{
    j->value = gist_begin(KIND_STRING);
    j->escape = (struct json_unescaper){0};
    j->key = key;
    j->state = J_STRING;
}

static void close_string(struct gist_json *j)
{
    char out[JSON_UNESCAPED_MAX];
    gist_put(&j->value, (struct bytes){out, json_unescape_end(&j->escape, out)});
    if (!j->key) {
        close_value(j);
        return;
    }
    j->at[j->depth - 1].key = j->value;
    j->state = J_COLON;
}

static void value_begins(struct gist_json *j, char c)
{
    bool first = j->first;
    j->first = false;
    if (c == '{' || c == '[') open_container(j, c == '{');
    else if (c == '"') open_string(j, false);
    else if (c == ']' && first && j->depth > 0) close_container(j, false);
    else if (c == '-' || (c >= '0' && c <= '9')) j->state = J_NUMBER;
    else if (c >= 'a' && c <= 'z') j->state = J_WORD;
    else j->state = J_BAD;
    if (j->state == J_WORD) j->value = gist_begin(KIND_WORD);
    if (j->state == J_NUMBER) j->number = (struct gist_number){0};
}

/* A byte outside of strings, numbers and words that is no blank. */
static void structure(struct gist_json *j, char c)
{
    bool object = j->depth > 0 && j->at[j->depth - 1].object, first = j->first;
    switch (j->state) {
    case J_VALUE: value_begins(j, c); return;
    case J_KEY:
        j->first = false;
        if (c == '"') open_string(j, true);
        else if (c == '}' && first) close_container(j, true);
        else j->state = J_BAD;
        return;
    case J_COLON: j->state = c == ':' ? J_VALUE : J_BAD; return;
    default:
        if (c == ',' && j->depth > 0) j->state = object ? J_KEY : J_VALUE;
        else if (c == '}' || c == ']') close_container(j, c == '}');
        else j->state = J_BAD;
    }
}

static bool is_literal(const struct gist *g)
{
    static const char *const words[] = {"true", "false", "null"};
    bool known = false;
    for (size_t i = 0; i < COUNT(words); i++) {
        struct gist word = gist_begin(KIND_WORD);
        gist_put(&word, bytes_of(words[i]));
        known = known || memcmp(&word, g, sizeof word) == 0;
    }
    return known;
}

static void number_or_word(struct gist_json *j, char c, bool *again)
{
    bool letter = c >= 'a' && c <= 'z';
    bool digit = (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'E';
    if (j->state == J_NUMBER && (digit || c == 'e')) {
        gist_number_put(&j->number, c);
    } else if (j->state == J_WORD && letter) {
        gist_put(&j->value, (struct bytes){&c, 1});
    } else {
        bool good = j->state == J_WORD ? is_literal(&j->value)
                                       : gist_number_end(&j->number, &j->value);
        if (good) close_value(j);
        else j->state = J_BAD;
        *again = true;
    }
}

static void json_byte(struct gist_json *j, char c)
{
    char out[JSON_UNESCAPED_MAX];
    if (j->state == J_STRING) {
        bool inside = j->escape.due > 0;
        if (c == '"' && !inside) {
            close_string(j);
            return;
        }
        gist_put(&j->value, (struct bytes){out, json_unescape_byte(&j->escape, c, out)});
        return;
    }
    if (j->state == J_NUMBER || j->state == J_WORD) {
        /* a number's first byte is put by whoever began it */
        bool again = false;
        number_or_word(j, c, &again);
        if (!again) return;
    }
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || j->state == J_BAD) return;
    structure(j, c);
    bool begun = j->state == J_NUMBER || j->state == J_WORD;
    bool again = false;
    if (begun) number_or_word(j, c, &again);
    assert(!again);
}

void gist_json_put(struct gist_json *j, struct bytes b)
{
    for (size_t i = 0; i < b.len; i++) json_byte(j, b.ptr[i]);
}

bool gist_json_end(struct gist_json *j, struct gist *out)
{
    json_byte(j, ' ');
    if (j->state != J_BEHIND || j->depth > 0) return false;
    *out = j->value;
    return true;
}

/* ---- words ---- */

struct words {
    struct bytes text;
    size_t at;
    struct gist g;
    unsigned count;
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Of a word: letters, digits, and all that is not ASCII. */
static bool is_word(char c)
{
    char low = byte_lower(c);
    return is_digit(c) || (low >= 'a' && low <= 'z') || (uint8_t)c >= 0x80;
}

static char char_at(const struct words *w, size_t at)
{
    return at < w->text.len ? w->text.ptr[at] : '\0';
}

struct typed { const char *text; char as; };

/* What stands for ASCII in typeset text, or for nothing, and its length; 0: neither. *as: the
 * ASCII it stands for, or a blank. */
static size_t typeset(const struct words *w, char *as)
{
    static const struct typed all[] = {
        {"\xe2\x80\x98", '\''}, {"\xe2\x80\x99", '\''}, {"\xe2\x80\x9c", '"'},
        {"\xe2\x80\x9d", '"'}, {"\xe2\x80\x93", ' '}, {"\xe2\x80\x94", ' '},
        {"\xe2\x80\xa6", ' '}, {"\xe2\x80\x8b", ' '}, {"\xe2\x80\xaf", ' '},
        {"\xe2\x80\x89", ' '}, {"\xe2\x88\x92", '-'}, {"\xc2\xa0", ' '},
    };
    struct bytes rest = {w->text.ptr + w->at, w->text.len - w->at};
    for (size_t i = 0; i < COUNT(all); i++) {
        if (!bytes_starts(rest, bytes_of(all[i].text))) continue;
        *as = all[i].as;
        return strlen(all[i].text);
    }
    return 0;
}

/* A comma that parts thousands: three digits behind it, and no fourth. */
static bool is_grouping(const struct words *w, size_t at)
{
    if (char_at(w, at) != ',') return false;
    for (size_t i = 1; i <= 3; i++) {
        if (!is_digit(char_at(w, at + i))) return false;
    }
    return !is_digit(char_at(w, at + 4));
}

/* How long is the number that begins at the digit, or point, at `at`; 0: it is the beginning of
 * something else. */
static size_t number_length(const struct words *w, size_t at)
{
    size_t from = at, digits = 0;
    bool point = false, grouped = false;
    for (;; at++) {
        char c = char_at(w, at);
        bool group = !point && is_grouping(w, at) && digits > 0 &&
                     (grouped || digits <= 3);
        if (is_digit(c)) digits++;
        else if (group) grouped = true;
        else if (c == '.' && !point && is_digit(char_at(w, at + 1))) point = true;
        else break;
    }
    /* 2.3.4 is a version, 1,2345 a list, 3rd an ordinal */
    char c = char_at(w, at);
    bool more = is_word(c) || ((c == '.' || c == ',') && is_digit(char_at(w, at + 1)));
    return digits == 0 || more ? 0 : at - from;
}

static void take_number(struct words *w, size_t len, bool negative)
{
    struct gist_number n = {0};
    struct gist value;
    if (negative) gist_number_put(&n, '-');
    for (size_t i = 0; i < len; i++) {
        char c = w->text.ptr[w->at + i];
        if (c != ',') gist_number_put(&n, c);
    }
    bool good = gist_number_end(&n, &value);
    assert(good);
    if (good) gist_add(&w->g, &value);
    w->at += len;
    w->count++;
}

/* An apostrophe inside a word is of it, and so are points and commas in what begins with digits
 * and is no number. */
static void take_word(struct words *w)
{
    struct gist word = gist_begin(KIND_WORD);
    bool digits = is_digit(w->text.ptr[w->at]);
    char as;
    for (; w->at < w->text.len; w->at++) {
        char c = w->text.ptr[w->at];
        size_t skip = (uint8_t)c >= 0x80 ? typeset(w, &as) : 0;
        bool quote = skip ? as == '\'' : c == '\'';
        bool goes_on = is_word(char_at(w, w->at + (skip ? skip : 1)));
        if (goes_on && (quote || (digits && (c == '.' || c == ',')))) {
            if (quote) c = '\'';
            gist_put(&word, (struct bytes){&c, 1});
            w->at += skip ? skip - 1 : 0;
            continue;
        }
        if (skip || !is_word(c)) break;
        c = byte_lower(c);
        gist_put(&word, (struct bytes){&c, 1});
    }
    gist_add(&w->g, &word);
    w->count++;
}

/* Does a sign mean something where it stands? Others part words, or mark them. before: the byte
 * before it. */
static bool means(const struct words *w, char c, char before)
{
    char behind = char_at(w, w->at + 1);
    bool inside = is_word(before) && is_word(behind);
    bool apart = (before == ' ' || before == '\0') && behind == ' ';
    switch (c) {
    case '"': case '`': case '$': case ';': case '?': case ',': case '.': return false;
    case '*': return inside || (apart && before == ' ');
    case '_': return inside;
    case '#': return is_word(before);
    case '-':
        if (inside) return is_digit(before) || is_digit(behind);
        /* else one behind a word, or of a list */
        return behind != ' ' || before == ' ' || is_digit(before) || before == ')';
    case ':': return is_digit(before) && is_digit(behind);
    case '!': return is_digit(before) || before == ')' || behind == '=' || is_word(behind);
    case '\'': return is_word(before) && (w->at < 2 || !is_word(char_at(w, w->at - 2)));
    default: return true;
    }
}

/* A sign directly before a number, and behind nothing that it could part from it. */
static bool is_sign(const struct words *w, char before)
{
    char c = char_at(w, w->at);
    return c == '-' && !is_word(before) && before != ')' && before != ']' &&
           number_length(w, w->at + 1) > 0;
}

static void take_sign(struct words *w, char c)
{
    struct gist sign = gist_begin(0);
    gist_put(&sign, (struct bytes){&c, 1});
    gist_add(&w->g, &sign);
    w->count++;
}

struct gist gist_words(struct bytes text, unsigned *count)
{
    struct words w = {.text = text, .g = gist_begin(KIND_WORD)};
    char before = '\0', as;
    while (w.at < text.len) {
        char c = text.ptr[w.at];
        size_t from = w.at, skip = (uint8_t)c >= 0x80 ? typeset(&w, &as) : 0;
        size_t number = is_digit(c) || (c == '.' && !is_word(before))
                            ? number_length(&w, w.at) : 0;
        if (number) {
            take_number(&w, number, false);
        } else if (skip && as != '-') {
            w.at += skip;
        } else if (!skip && is_word(c)) {
            take_word(&w);
        } else if (is_sign(&w, before)) {
            w.at++;
            take_number(&w, number_length(&w, w.at), true);
        } else if (skip) {                     /* a minus that is typeset */
            w.at += skip;
            size_t digits = !is_word(before) ? number_length(&w, w.at) : 0;
            if (digits) take_number(&w, digits, true);
            else take_sign(&w, '-');
        } else {
            bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
            if (!blank && means(&w, c, before)) take_sign(&w, c);
            w.at++;
        }
        before = skip && as == ' ' ? ' ' : text.ptr[w.at - 1];
        assert(w.at > from);
    }
    *count = w.count;
    return w.g;
}
