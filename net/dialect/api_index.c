/* api_index.c - tokens of the index as the scanner gives them, so that what reads the one
 * can read the other.
 * Rule: a number or literal ends where blanks or the next token begin; a string's flags are
 * not there, who needs them looks for a backslash. */
#include "net/dialect/api_part.h"

struct json_token api_index_token(const struct json_index *x, const char *text, uint32_t i,
                                     uint16_t depth)
{
    struct json_token t = {.start = x->at[i], .end = x->at[i] + 1, .depth = depth};
    switch (x->first[i]) {
    case '{': t.type = JSON_OBJECT; return t;
    case '[': t.type = JSON_ARRAY; return t;
    case '}': t.type = JSON_OBJECT_END; return t;
    case ']': t.type = JSON_ARRAY_END; return t;
    case '"':
        t.type = json_index_is_key(x, i) ? JSON_KEY : JSON_STRING;
        t.text = json_index_text(x, text, i);
        t.end = t.start + t.text.len + 2;
        return t;
    case 't': t.type = JSON_TRUE; break;
    case 'f': t.type = JSON_FALSE; break;
    case 'n': t.type = JSON_NULL; break;
    default: t.type = JSON_NUMBER; break;
    }
    t.end = api_index_end(x, text, i + 1);
    if (t.type == JSON_NUMBER) t.text = bytes_between(text + t.start, text + t.end);
    return t;
}

struct json_token api_index_skipped(const struct json_index *x, const char *text,
                                       uint32_t i, uint16_t depth)
{
    struct json_token t = {.start = x->at[i], .depth = depth, .type = JSON_SKIPPED};
    char c = x->first[i];
    if (c == '{' || c == '[') t.end = x->at[x->close[i]] + 1;
    else if (c == '"') t.end = t.start + json_index_text(x, text, i).len + 2;
    else t.end = api_index_end(x, text, i + 1);
    return t;
}
