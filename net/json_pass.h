/* json_pass.h - the passes of json_index.h over a document, written once and compiled per
 * instruction set: json_<set>.c includes it behind json_scan.h, which it builds on.
 *
 * Model: blocks, then groups. The first pass sorts the bytes of a block of 64 by masks,
 * checks what is in strings, and appends the block's tokens to the index, offset and first
 * byte. The second takes 64 tokens at a time, whose first bytes lie side by side: moving a
 * mask up by one moves a class of tokens to their followers, so that of RFC 8259 section 2
 * remains:
 *   a key is due     behind "{", and behind "," in an object
 *   a value is due   behind "[", ":", and behind "," in an array
 *   a colon is due   behind a key
 *   else             "," or the end of the container
 * What is due and what is there must agree in every bit. Only brackets are looked at one by
 * one, for which tokens are in objects; and words, for what they are.
 * Rule: a doubt is a refusal (json_index.h), so nothing here looks for the place of a fault. */
#ifndef NET_JSON_PASS_H
#define NET_JSON_PASS_H

#include "net/json_index.h"

struct inner {             /* what strings hold at the end of a block */
    uint8_t due, second;   /* struct json_string's utf8_due, utf8_second */
};

/* Check the contents of the strings in the block at p, n bytes before the document's end:
 * bytes m.str, closing quotes m.closing. Apart: most blocks have little to check. */
static NOINLINE bool strings_right(struct inner *s, const char *p, size_t n, struct inside m)
{
    unsigned len = n < BLOCK ? (unsigned)n : BLOCK;
    struct vec v = vec_of(p, len);
    uint64_t unicode = m.escaped & m.str & ~vec_escape_plain(&v);
    uint64_t high = m.low & m.str ? vec_high(&v) & m.str : 0;
    if (m.low & m.str & ~high) return false;
    if (unicode & ~vec_eq(&v, 'u')) return false;
    for (; unicode; unicode &= unicode - 1) {
        uint16_t code;
        unsigned pos = lowest(unicode);
        if (hex_stop(p + pos, n - pos, &code) != 5) return false;
    }
    if (!high && !s->due) return true;
    uint64_t planes[8];
    vec_planes(&v, planes);
    planes[7] &= m.str;
    return utf8_faults(planes, m.str | m.closing, len, &s->due, &s->second) == 0;
}

/* What goes from block to block of the first pass. */
struct blocks {
    uint64_t within;       /* all ones: the next block begins in a string; else 0 */
    uint64_t word;         /* bit 0: it continues a number or literal */
    size_t at;             /* its offset */
    size_t count;          /* tokens so far */
    bool escape;           /* its first byte is escaped */
};

/* Sort the bytes of the block v of len bytes, list its tokens. Gives true where its strings
 * hold more than plain ASCII and plain escapes: m is to be looked at. */
static ALWAYS_INLINE bool block_pass(struct blocks *b, struct json_index *x, const char *p,
                                     const struct vec *v, unsigned len, struct inside *m)
{
    uint64_t valid = below(len), escaped = 0, odd = 0;
    uint64_t quote = vec_eq(v, '"') & valid, backslash = vec_eq(v, '\\') & valid;
    if (backslash || b->escape) {
        escaped = escaped_by(backslash, b->escape, len, &b->escape);
        quote &= ~escaped;
        odd = escaped & ~vec_escape_plain(v);
    }
    uint64_t in = (prefix_xor(quote) ^ b->within) & valid;  /* the opening quote too */
    uint64_t use = valid & ~(in | quote), low = vec_low(v), str = in & ~quote;
    uint64_t marks = vec_marks(v) & use & ~low, words = use & ~(marks | vec_blank(v));
    uint64_t tokens = (quote & in) | marks | (words & ~(words << 1 | b->word));
    vec_list(v, tokens, p, x->first + b->count, x->at + b->count, (uint32_t)b->at);
    b->count += (unsigned)__builtin_popcountll(tokens);
    b->within = 0 - (in >> 63);
    b->word = words >> 63;
    b->at += len;
    *m = (struct inside){str, quote & ~in, escaped, low};
    return ((low | odd) & str) != 0;
}

/* Go on from block to block. Gives true at one whose strings are to be looked at, m, or that
 * follows a cut UTF-8 sequence (due); false at the end of the document, or of the room. No
 * call is in here, so that what the masks are made with stays in registers. */
static ALWAYS_INLINE bool blocks_pass(struct blocks *b, struct json_index *x, struct bytes doc,
                                      bool due, struct inside *m)
{
    const size_t count_max = JSON_INDEX_TOKENS - BLOCK;
    struct blocks now = *b;
    bool odd = false;
    while (!odd && doc.len - now.at >= BLOCK && now.count <= count_max) {
        const char *p = doc.ptr + now.at;
        if (now.within && !due) {
            bool seen = now.escape;  /* its escape is to be looked at */
            size_t run = string_run(p, doc.len - now.at, &now.escape, &seen);
            now.at += run;
            p += run;
            if (doc.len - now.at < BLOCK) break;
        }
        struct vec v = vec_load(p);
        odd = block_pass(&now, x, p, &v, BLOCK, m) || due;
    }
    unsigned left = (unsigned)(doc.len - now.at < BLOCK ? doc.len - now.at : BLOCK);
    if (!odd && left > 0 && left < BLOCK && now.count <= count_max) {
        const char *p = doc.ptr + now.at;
        struct vec v = vec_load_part(p, left);
        odd = block_pass(&now, x, p, &v, left, m) || due;
    }
    *b = now;
    return odd;
}

/* The first pass: all tokens. False: a fault in a string, or too many tokens. */
static NOINLINE bool document_blocks(struct json_index *x, struct bytes doc)
{
    struct blocks b = {0};
    struct inner s = {0};
    struct inside m;
    while (blocks_pass(&b, x, doc, s.due != 0, &m)) {
        size_t at = (b.at - 1) & ~(size_t)(BLOCK - 1);
        if (!strings_right(&s, doc.ptr + at, doc.len - at, m)) return false;
    }
    x->count = (uint32_t)b.count;
    return b.at == doc.len;
}

/* True for a number or literal at p, n bytes before the end of the document, which is a
 * bracket, and so nothing that one goes on with. */
static ALWAYS_INLINE bool word_right(const char *p, size_t n)
{
    size_t len;
    if (is_digit(*p) || *p == '-') {
        len = number_len(p);
        if (len == 0) return false;
    } else {
        if (n < 5) return false;
        len = *p == 'f' ? 5 : 4;
        if (memcmp(p, *p == 'n' ? "null" : "true", 4) && memcmp(p, "false", 5)) return false;
    }
    char c = p[len];
    return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* What goes from group to group of the second pass. */
struct groups {
    uint64_t kinds;        /* open containers, innermost lowest; 1 an object */
    unsigned depth, depth_max;
    uint64_t key, value, colon, first;  /* bit 0: due; first: the last token opened */
    uint16_t opened[JSON_INDEX_DEPTH];  /* tokens of the open containers */
};

/* Match the brackets of the group whose first token is `from`. Gives, on true, the tokens
 * that are in objects. */
static ALWAYS_INLINE bool brackets_pass(struct groups *s, struct json_index *x, size_t from,
                                        uint64_t opens, uint64_t closes, uint64_t wide,
                                        uint64_t *object)
{
    uint64_t in = 0 - (s->kinds & 1);
    for (uint64_t b = opens | closes; b; b &= b - 1) {
        unsigned i = lowest(b);
        if (opens >> i & 1) {
            if (s->depth == s->depth_max) return false;
            s->opened[s->depth++] = (uint16_t)(from + i);
            s->kinds = s->kinds << 1 | (wide >> i & 1);
        } else {
            if (s->depth == 0) return false;
            x->close[s->opened[--s->depth]] = (uint16_t)(from + i);
            s->kinds >>= 1;
        }
        /* All ones, or none, above the bracket: what is there flips where it is not so. */
        in ^= (in ^ (0 - (s->kinds & 1))) & (~UINT64_C(1) << i);
    }
    *object = in;
    return true;
}

/* Check the tokens from..count, at most 64. */
static ALWAYS_INLINE bool group_pass(struct groups *s, struct json_index *x, size_t from,
                                     struct bytes doc)
{
    size_t len = x->count - from < BLOCK ? x->count - from : BLOCK;
    struct vec v = vec_load(x->first + from);
    uint64_t valid = below((unsigned)len), wide = vec_wide(&v), object;
    uint64_t opens = vec_eq_up(&v, '{') & valid, closes = vec_eq_up(&v, '}') & valid;
    uint64_t quote = vec_eq(&v, '"') & valid, comma = vec_eq(&v, ',') & valid;
    uint64_t colon = vec_eq(&v, ':') & valid;
    uint64_t word = valid & ~(opens | closes | quote | comma | colon);
    if (!brackets_pass(s, x, from, opens, closes, wide, &object)) return false;
    uint64_t key_next = (opens & wide) | (comma & object);
    uint64_t value_next = (opens & ~wide) | (comma & ~object) | colon;
    uint64_t key = (key_next << 1 | s->key) & valid;
    uint64_t value = (value_next << 1 | s->value) & valid;
    uint64_t first = opens << 1 | s->first, keys = key & quote;
    uint64_t due = (keys << 1 | s->colon) & valid, other = valid & ~(key | value | due);
    uint64_t wrong = key & ~(quote | (closes & wide));
    wrong |= value & ~(quote | word | opens | (closes & ~wide));
    wrong |= due ^ colon;
    wrong |= other & ~(comma | closes);
    wrong |= closes & (key | value) & ~first;  /* behind a comma or colon */
    wrong |= closes & (wide ^ object);
    if (wrong) return false;
    s->key = key_next >> 63;
    s->value = value_next >> 63;
    s->first = opens >> 63;
    s->colon = keys >> 63;
    x->keys[from / BLOCK] = keys;
    x->strings[from / BLOCK] = quote & ~keys;
    for (; word; word &= word - 1) {
        size_t at = x->at[from + lowest(word)];
        if (!word_right(doc.ptr + at, doc.len - at)) return false;
    }
    return true;
}

/* struct json_simd */
static bool document_index(struct json_index *x, struct bytes doc, unsigned depth_max)
{
    struct groups s;
    assert(depth_max <= JSON_INDEX_DEPTH);
    if (!document_blocks(x, doc)) return false;
    s.kinds = s.key = s.colon = s.first = 0;
    s.value = 1;
    s.depth = 0;
    s.depth_max = depth_max;
    for (size_t from = 0; from < x->count; from += BLOCK) {
        if (!group_pass(&s, x, from, doc)) return false;
    }
    /* The root is a container, and what ends it is the last token: no second one follows. */
    return s.depth == 0 && x->count > 1 && (x->first[0] | 0x20) == '{' &&
           x->close[0] == x->count - 1;
}

const struct json_simd SCAN_NAME = {
    .name = SCAN_TEXT,
    .block = block_plain,
    .inside = block_inside,
    .string = string_scan,
    .index = document_index,
};

#endif
