/* json_word.c - the byte-wise corners of the JSON scanner: numbers and literals (RFC 8259
 * sections 3 and 6), and escape sequences that a cut goes through (section 7).
 *   number:  MINUS -> ZERO | INT -> DOT -> FRAC -> EXP -> EXP_SIGN -> EXP_DIGITS
 * Rule: a number ends only when a byte that cannot belong to it was seen; a literal ends
 * with its last letter, so what a cut shows of either is never taken back. */
#include "net/json_simd.h"

enum word_state {
    WORD_NONE, WORD_MINUS, WORD_ZERO, WORD_INT, WORD_DOT, WORD_FRAC, WORD_EXP,
    WORD_EXP_SIGN, WORD_EXP_DIGITS, WORD_LITERAL, WORD_STATES
};

enum number_class { IS_OTHER, IS_ZERO, IS_DIGIT, IS_MINUS, IS_PLUS, IS_DOT, IS_E, CLASSES };

/* RFC 8259 section 6: no leading zeros, digits on both sides of the point. */
static const uint8_t number_next[WORD_STATES][CLASSES] = {
    [WORD_NONE] = {[IS_MINUS] = WORD_MINUS, [IS_ZERO] = WORD_ZERO, [IS_DIGIT] = WORD_INT},
    [WORD_MINUS] = {[IS_ZERO] = WORD_ZERO, [IS_DIGIT] = WORD_INT},
    [WORD_ZERO] = {[IS_DOT] = WORD_DOT, [IS_E] = WORD_EXP},
    [WORD_INT] = {[IS_ZERO] = WORD_INT, [IS_DIGIT] = WORD_INT, [IS_DOT] = WORD_DOT,
                  [IS_E] = WORD_EXP},
    [WORD_DOT] = {[IS_ZERO] = WORD_FRAC, [IS_DIGIT] = WORD_FRAC},
    [WORD_FRAC] = {[IS_ZERO] = WORD_FRAC, [IS_DIGIT] = WORD_FRAC, [IS_E] = WORD_EXP},
    [WORD_EXP] = {[IS_ZERO] = WORD_EXP_DIGITS, [IS_DIGIT] = WORD_EXP_DIGITS,
                  [IS_MINUS] = WORD_EXP_SIGN, [IS_PLUS] = WORD_EXP_SIGN},
    [WORD_EXP_SIGN] = {[IS_ZERO] = WORD_EXP_DIGITS, [IS_DIGIT] = WORD_EXP_DIGITS},
    [WORD_EXP_DIGITS] = {[IS_ZERO] = WORD_EXP_DIGITS, [IS_DIGIT] = WORD_EXP_DIGITS},
};

static enum number_class class_of(char c)
{
    switch (c) {
    case '0': return IS_ZERO;
    case '-': return IS_MINUS;
    case '+': return IS_PLUS;
    case '.': return IS_DOT;
    case 'e': case 'E': return IS_E;
    default: return c >= '1' && c <= '9' ? IS_DIGIT : IS_OTHER;
    }
}

static bool takes_digits(uint8_t state)
{
    return state == WORD_INT || state == WORD_FRAC || state == WORD_EXP_DIGITS;
}

bool json_word_byte(char c)
{
    switch (c) {
    case ' ': case '\t': case '\n': case '\r': case '"':
    case '{': case '}': case '[': case ']': case ':': case ',': return false;
    default: return true;
    }
}

bool json_word_begin(struct json_word *w, char c)
{
    assert(json_word_byte(c));
    *w = (struct json_word){0};
    switch (c) {
    case 't': w->type = JSON_TRUE; break;
    case 'f': w->type = JSON_FALSE; break;
    case 'n': w->type = JSON_NULL; break;
    default:
        if (class_of(c) != IS_MINUS && (c < '0' || c > '9')) return false;
        w->type = JSON_NUMBER;
        return true;
    }
    w->state = WORD_LITERAL;
    return true;
}

bool json_word_whole(const struct json_word *w)
{
    assert(w->state < WORD_STATES);
    return takes_digits(w->state) || w->state == WORD_ZERO;
}

static enum run_end number_run(struct json *j, const char *p, size_t n, size_t *used)
{
    struct json_word *w = &j->word;
    size_t i = 0;
    while (i < n) {
        uint8_t next = number_next[w->state][class_of(p[i])];
        if (next == WORD_NONE) break;
        w->state = next;
        i++;
        if (takes_digits(next)) {
            while (i < n && p[i] >= '0' && p[i] <= '9') i++;
        }
    }
    *used = i;
    if (i == n) return RUN_OPEN;
    if (json_word_whole(w) && !json_word_byte(p[i])) return RUN_CLOSED;
    j->error = JSON_BAD_NUMBER;
    return RUN_BAD;
}

enum run_end json_word_run(struct json *j, const char *p, size_t n, size_t *used)
{
    struct json_word *w = &j->word;
    if (w->type == JSON_NUMBER) return number_run(j, p, n, used);
    assert(w->state == WORD_LITERAL);
    const char *letters = w->type == JSON_TRUE ? "true" : w->type == JSON_FALSE ? "false"
                                                                               : "null";
    size_t i = 0;
    while (i < n && letters[w->matched] && p[i] == letters[w->matched]) {
        w->matched++;
        i++;
    }
    *used = i;
    if (!letters[w->matched]) return RUN_CLOSED;
    if (i == n) return RUN_OPEN;
    j->error = JSON_BAD_LITERAL;
    return RUN_BAD;
}

int json_hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

void json_unicode(struct json_string *s, uint16_t code, uint64_t at)
{
    bool high = (code & 0xFC00) == 0xD800;
    bool low = (code & 0xFC00) == 0xDC00;
    if (s->half) {
        s->half = false;
        if (low && s->pair_at == at) return;
        s->surrogate = true;
    }
    if (low) s->surrogate = true;
    if (high) {
        s->half = true;
        s->pair_at = at + 6;
    }
    if (code == 0) s->nul = true;
}

bool json_escape_byte(struct json_string *s, char c, uint64_t at)
{
    assert(s->escape <= 5);
    switch (s->escape) {
    case 0:
        assert(c == '\\');
        s->escape = 5;
        s->escaped = true;
        return true;
    case 5:
        s->escape = c == 'u' ? 4 : 0;
        s->code = 0;
        return c != '\0' && strchr("\"\\/bfnrtu", c) != NULL;
    default:
        break;
    }
    int digit = json_hex(c);
    if (digit < 0) return false;
    s->code = (uint16_t)(s->code << 4 | digit);
    s->escape--;
    if (s->escape == 0) json_unicode(s, s->code, at - 5);
    return true;
}
