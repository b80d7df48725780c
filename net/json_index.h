/* json_index.h - a whole JSON document in one piece, checked and indexed in one go: the fast
 * way beside json.h for what mostly is there at once, a request, an answer, an event.
 * Model: the tokens of the document in order, each by offset and first byte, with brackets
 * matched and keys marked. A reader goes from token to token and need check nothing: the
 * grammar, the strings, the depth are right.
 * Rule: true means that json_next, given the document, accepts it too. false says nothing:
 * there may be a fault, or more tokens than fit, or a form that is left to json.h (deeper
 * than 64, a root that is no container). So json.h has the last word, names every fault and
 * its place, and this need not. */
#ifndef NET_JSON_INDEX_H
#define NET_JSON_INDEX_H

#include "net/json.h"

enum {
    JSON_INDEX_TOKENS = 2048,  /* of one document */
    JSON_INDEX_DEPTH = 64,     /* nesting; the limit of json_index_build may be lower */
    JSON_INDEX_GROUP = 64,     /* tokens that one word of keys describes */
};

struct json_index {        /* not to be zeroed: only what the counts say means anything */
    uint32_t count;        /* tokens */
    /* First byte of each token: the opening quote of a key or string; of a number or literal
     * its own; { } [ ] : , themselves. */
    char first[JSON_INDEX_TOKENS + JSON_INDEX_GROUP];
    uint32_t at[JSON_INDEX_TOKENS + JSON_INDEX_GROUP];  /* its offset */
    uint16_t close[JSON_INDEX_TOKENS];  /* of an opening bracket's token: the closing one */
    uint64_t keys[JSON_INDEX_TOKENS / JSON_INDEX_GROUP];     /* bit i of word g: token */
    uint64_t strings[JSON_INDEX_TOKENS / JSON_INDEX_GROUP];  /* 64 g + i is a key, a string
                                                                that is a value */
};

/* Check and index a document. x out, on true only; offsets are into doc. depth_max as in
 * json_init. false: see above. */
MUST_USE bool json_index_build(struct json_index *x, struct bytes doc, unsigned depth_max);

/* What is between the quotes of the key or string that is token i; text: the document. The
 * closing quote is the last byte before the next token that is not blank. Borrows. */
static inline struct bytes json_index_text(const struct json_index *x, const char *text,
                                           uint32_t i)
{
    assert(x->first[i] == '"');
    uint32_t end = x->at[i + 1] - 1;
    while (text[end] != '"') end--;
    return bytes_between(text + x->at[i] + 1, text + end);
}

/* True where token i is a key. */
static inline bool json_index_is_key(const struct json_index *x, uint32_t i)
{
    return x->keys[i / JSON_INDEX_GROUP] >> i % JSON_INDEX_GROUP & 1;
}

/* The token behind the value that begins with token i. */
static inline uint32_t json_index_behind(const struct json_index *x, uint32_t i)
{
    bool opens = (x->first[i] | 0x20) == '{';
    return (opens ? x->close[i] : i) + 1;
}

#endif
