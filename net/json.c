/* json.c - the JSON scanner's walk from token to token; see json.h. The blocks come from
 * json_scan.h, by instruction set.
 *
 *   VALUE -> AFTER <-> VALUE | KEY -> COLON -> VALUE      any of them -> BAD
 *   "{" FIRST_KEY   "[" FIRST_VALUE   the last bracket closed -> DONE
 *
 * Rule: between two calls the scanner stands behind a token or inside at most one
 * (j->partial); j->tokens marks what the block in hand still holds, and never reaches
 * behind the piece it was read from. Recursion and allocation: none. */
#include "net/json_simd.h"

void json_init(struct json *j, unsigned depth_max)
{
    assert(j);
    assert(depth_max >= 1 && depth_max <= JSON_DEPTH_MAX);
    memset(j, 0, offsetof(struct json, text));  /* the text is set before it is read */
    j->simd = json_simd_chosen();
    j->depth_max = (uint16_t)depth_max;
    j->state = STATE_VALUE;
}

static enum json_step misplaced(struct json *j, uint64_t at)
{
    return json_refuse(j, j->state == STATE_DONE ? JSON_TRAILING : JSON_BAD_SYNTAX, at);
}

static bool value_may_come(const struct json *j)
{
    return j->state == STATE_VALUE || j->state == STATE_FIRST_VALUE;
}

static bool key_may_come(const struct json *j)
{
    return j->state == STATE_KEY || j->state == STATE_FIRST_KEY;
}

static void value_ended(struct json *j)
{
    j->state = j->depth ? STATE_AFTER : STATE_DONE;
}

/* Keep text of a token that the piece ends in; give up when it gets too long. */
static void gather(struct json *j, const char *p, size_t n)
{
    if (j->skip || j->gathered > JSON_TEXT_MAX) return;
    if (n > (size_t)JSON_TEXT_MAX - j->gathered) {
        j->gathered = JSON_TEXT_MAX + 1;
        return;
    }
    memcpy(j->text + j->gathered, p, n);
    j->gathered = (uint16_t)(j->gathered + n);
}

/* Text of the partial token, whose last n bytes are at p and whose length is len. */
static struct bytes gathered(struct json *j, const char *p, size_t n, size_t len)
{
    if (j->gathered == 0) return (struct bytes){p, n};
    gather(j, p, n);
    if (j->gathered > JSON_TEXT_MAX) return (struct bytes){NULL, len};
    return (struct bytes){j->text, j->gathered};
}

/* A string from its opening quote at `start` is complete; j->string has its flags. */
static enum json_step give_string(struct json *j, struct json_token *t, uint64_t start,
                                  struct bytes text)
{
    bool key = key_may_come(j);
    *t = (struct json_token){
        .start = start, .end = j->offset, .text = text, .depth = j->depth,
        .type = key ? JSON_KEY : JSON_STRING, .escaped = j->string.escaped,
        .surrogate = j->string.surrogate, .nul = j->string.nul,
    };
    if (key) {
        j->state = STATE_COLON;
        return json_skipping(j) ? STEP_ON : STEP_TOKEN;
    }
    value_ended(j);
    if (!j->skip) return STEP_TOKEN;
    if (json_skipping(j)) return STEP_ON;
    *t = (struct json_token){.start = start, .end = j->offset, .depth = j->depth,
                             .type = JSON_SKIPPED};
    j->skip = false;
    return STEP_TOKEN;
}

/* A number or literal that started at `start` is complete. */
static enum json_step give_word(struct json *j, struct json_token *t, uint64_t start,
                                struct bytes text)
{
    value_ended(j);
    if (json_skipping(j)) return STEP_ON;
    *t = (struct json_token){.start = start, .end = j->offset, .depth = j->depth,
                             .type = j->skip ? JSON_SKIPPED : j->word.type};
    if (t->type == JSON_NUMBER) t->text = text;
    j->skip = false;
    return STEP_TOKEN;
}

static enum json_step resume_string(struct json *j, struct bytes *in, struct json_token *t)
{
    size_t used = 0;
    const char *p = in->ptr;
    enum run_end end = j->simd->string(j, p, in->len, &used);
    if (end == RUN_BAD) {
        return json_refuse(j, (enum json_error)j->error, j->offset + used);
    }
    if (end == RUN_OPEN) {
        gather(j, p, used);
        json_eat(j, in, used);
        return STEP_MORE;
    }
    json_eat(j, in, used + 1);
    j->partial = PARTIAL_NONE;
    struct bytes text = {0};
    if (!j->skip) text = gathered(j, p, used, (size_t)(j->offset - j->started - 2));
    return give_string(j, t, j->started, text);
}

static enum json_step resume_word(struct json *j, struct bytes *in, struct json_token *t)
{
    size_t used = 0;
    const char *p = in->ptr;
    enum run_end end = json_word_run(j, p, in->len, &used);
    if (end == RUN_BAD) {
        return json_refuse(j, (enum json_error)j->error, j->offset + used);
    }
    json_eat(j, in, used);
    if (end == RUN_OPEN) {
        gather(j, p, used);
        return STEP_MORE;
    }
    j->partial = PARTIAL_NONE;
    struct bytes text = {0};
    if (!j->skip) text = gathered(j, p, used, (size_t)(j->offset - j->started));
    return give_word(j, t, j->started, text);
}

/* What \uXXXX of a string closed within the block stand for; rare, so apart. */
static void unicode_of(struct json *j, const char *block, unsigned from, uint64_t marks)
{
    for (; marks; marks &= marks - 1) {
        unsigned pos = (unsigned)__builtin_ctzll(marks);
        unsigned code = 0;
        for (unsigned i = 1; i <= 4; i++) {
            code = code << 4 | ((unsigned)json_hex(block[pos - from + i]) & 0xF);
        }
        json_unicode(&j->string, (uint16_t)code, j->base + pos - 1);
    }
    if (j->string.half) j->string.surrogate = true;
}

/* A quote opens a string at bit pos, rel bytes into in. */
static enum json_step string_token(struct json *j, struct bytes *in, struct json_token *t,
                                   unsigned pos, size_t rel)
{
    uint64_t start = j->base + pos;
    if (!key_may_come(j) && !value_may_come(j)) return misplaced(j, start);
    j->string = (struct json_string){0};
    j->tokens &= j->tokens - 1;
    if (!j->tokens) {  /* it outlives the block */
        json_eat(j, in, rel + 1);
        j->span = 0;
        j->partial = PARTIAL_STRING;
        j->started = start;
        j->gathered = 0;
        return STEP_ON;
    }
    unsigned close = (unsigned)__builtin_ctzll(j->tokens);
    j->tokens &= j->tokens - 1;
    if (j->fault <= close) {
        return json_refuse(j, (enum json_error)j->fault_why, j->base + j->fault);
    }
    size_t len = close - pos - 1;
    struct bytes text = {in->ptr + rel + 1, len};
    uint64_t inside = (UINT64_C(1) << close) - (UINT64_C(1) << pos);
    if (j->backslash & inside) {
        j->string.escaped = true;
        if (j->unicode & inside) unicode_of(j, in->ptr + rel, pos, j->unicode & inside);
    }
    json_eat(j, in, rel + len + 2);
    return give_string(j, t, start, text);
}

/* A number or literal starts at bit pos, rel bytes into in. */
static enum json_step word_token(struct json *j, struct bytes *in, struct json_token *t,
                                 unsigned pos, size_t rel)
{
    uint64_t start = j->base + pos;
    if (!value_may_come(j)) return misplaced(j, start);
    const char *p = in->ptr + rel;
    if (!json_word_begin(&j->word, *p)) return misplaced(j, start);
    size_t left = in->len - rel, used = 0;
    enum run_end end = json_word_run(j, p, left, &used);
    if (end == RUN_BAD) return json_refuse(j, (enum json_error)j->error, start + used);
    json_eat(j, in, rel + used);
    j->tokens &= j->tokens - 1;
    if (end == RUN_OPEN) {
        j->span = 0;
        j->partial = PARTIAL_WORD;
        j->started = start;
        j->gathered = 0;
        gather(j, p, used);
        return STEP_MORE;
    }
    /* "truex": what touches a literal is looked at for itself, as behind a cut. */
    if (pos + used < j->span && json_word_byte(p[used])) {
        j->tokens |= UINT64_C(1) << (pos + used);
    }
    return give_word(j, t, start, (struct bytes){p, used});
}

static enum json_step open_token(struct json *j, struct bytes *in, struct json_token *t,
                                 bool object, size_t rel)
{
    uint64_t at = j->offset + rel;
    if (!value_may_come(j)) return misplaced(j, at);
    uint16_t depth = j->depth;
    if (!json_push(j, object)) return json_refuse(j, JSON_TOO_DEEP, at);
    j->state = object ? STATE_FIRST_KEY : STATE_FIRST_VALUE;
    j->tokens &= j->tokens - 1;
    j->opened = at;
    json_eat(j, in, rel + 1);
    if (j->skip) return STEP_ON;
    *t = (struct json_token){.start = at, .end = at + 1, .depth = depth,
                             .type = object ? JSON_OBJECT : JSON_ARRAY};
    return STEP_TOKEN;
}

static enum json_step close_token(struct json *j, struct bytes *in, struct json_token *t,
                                  bool object, size_t rel)
{
    uint64_t at = j->offset + rel;
    bool empty = j->state == (object ? STATE_FIRST_KEY : STATE_FIRST_VALUE);
    if (!empty && (j->state != STATE_AFTER || json_in_object(j) != object)) {
        return misplaced(j, at);
    }
    json_pop(j);
    value_ended(j);
    j->tokens &= j->tokens - 1;
    json_eat(j, in, rel + 1);
    *t = (struct json_token){.start = at, .end = at + 1, .depth = j->depth,
                             .type = object ? JSON_OBJECT_END : JSON_ARRAY_END};
    return STEP_TOKEN;
}

/* The next token of the block in hand. Commas and colons are passed on the way. */
static enum json_step block_token(struct json *j, struct bytes *in, struct json_token *t)
{
    while (j->tokens) {
        unsigned pos = (unsigned)__builtin_ctzll(j->tokens);
        assert(j->base + pos >= j->offset);
        size_t rel = (size_t)(j->base + pos - j->offset);
        assert(rel < in->len);
        switch (in->ptr[rel]) {
        case '"': return string_token(j, in, t, pos, rel);
        case '{': return open_token(j, in, t, true, rel);
        case '[': return open_token(j, in, t, false, rel);
        case '}': return close_token(j, in, t, true, rel);
        case ']': return close_token(j, in, t, false, rel);
        case ':':
            if (j->state != STATE_COLON) return misplaced(j, j->base + pos);
            j->state = STATE_VALUE;
            break;
        case ',':
            if (j->state != STATE_AFTER) return misplaced(j, j->base + pos);
            j->state = json_in_object(j) ? STATE_KEY : STATE_VALUE;
            break;
        default: return word_token(j, in, t, pos, rel);
        }
        j->tokens &= j->tokens - 1;
    }
    return STEP_ON;
}

/* Leave the block in hand behind and describe the next one. */
static enum json_step next_block(struct json *j, struct bytes *in)
{
    uint64_t end = j->base + j->span;
    if (end > j->offset) json_eat(j, in, (size_t)(end - j->offset));
    j->span = 0;
    if (in->len == 0) return STEP_MORE;
    j->simd->index(j, in->ptr, in->len);
    return STEP_ON;
}

/* Pass over containers by masks; give the skipped value once it has ended. */
static enum json_step skip_on(struct json *j, struct bytes *in, struct json_token *t)
{
    enum json_step step = j->simd->skip(j, in);
    if (step != STEP_ON || json_skipping(j)) return step;
    *t = (struct json_token){.start = j->opened, .end = j->offset, .depth = j->depth,
                             .type = JSON_SKIPPED};
    j->skip = false;
    return STEP_TOKEN;
}

enum net_rc json_next(struct json *j, struct bytes *in, struct json_token *t)
{
    assert(j->simd);
    assert(j->state <= STATE_BAD);
    enum json_step step = j->state == STATE_BAD ? STEP_BAD : STEP_ON;
    while (step == STEP_ON) {
        if (j->partial != PARTIAL_NONE) {
            if (in->len == 0) step = STEP_MORE;
            else if (j->partial == PARTIAL_STRING) step = resume_string(j, in, t);
            else step = resume_word(j, in, t);
        } else if (json_skipping(j)) {
            step = skip_on(j, in, t);
        } else {
            step = j->tokens ? block_token(j, in, t) : next_block(j, in);
        }
    }
    switch (step) {
    case STEP_TOKEN: return NET_OK;
    case STEP_BAD: return NET_BAD;
    default: break;
    }
    assert(in->len == 0);
    return j->state == STATE_DONE ? NET_DONE : NET_MORE;
}

void json_skip(struct json *j)
{
    assert(!j->skip);
    assert(j->partial == PARTIAL_NONE);
    bool inside = j->state == STATE_FIRST_KEY || j->state == STATE_FIRST_VALUE;
    bool before = j->state == STATE_COLON || (j->state == STATE_VALUE && j->depth == 0);
    assert(inside || before);
    j->skip = true;
    j->skip_depth = (uint16_t)(inside ? j->depth - 1 : j->depth);
}

enum net_rc json_finish(struct json *j, struct json_token *t)
{
    assert(j->simd);
    if (j->state == STATE_BAD) return NET_BAD;
    assert(j->tokens == 0);
    if (j->state == STATE_DONE) return NET_DONE;
    if (j->partial == PARTIAL_WORD && j->depth == 0 && json_word_whole(&j->word)) {
        j->partial = PARTIAL_NONE;
        size_t len = (size_t)(j->offset - j->started);
        struct bytes text = {j->gathered > JSON_TEXT_MAX ? NULL : j->text, len};
        enum json_step step = give_word(j, t, j->started, text);
        assert(step == STEP_TOKEN);
        return NET_OK;
    }
    json_refuse(j, JSON_CUT_SHORT, j->offset);
    return NET_BAD;
}

const char *json_why(const struct json *j)
{
    switch ((enum json_error)j->error) {
    case JSON_FINE: return "no error";
    case JSON_BAD_SYNTAX: return "unexpected byte";
    case JSON_BAD_UTF8: return "invalid UTF-8";
    case JSON_BAD_CONTROL: return "raw control byte in a string";
    case JSON_BAD_ESCAPE: return "invalid escape sequence";
    case JSON_BAD_NUMBER: return "invalid number";
    case JSON_BAD_LITERAL: return "invalid literal";
    case JSON_TOO_DEEP: return "nested too deep";
    case JSON_TRAILING: return "bytes after the document";
    case JSON_CUT_SHORT: return "unexpected end";
    }
    return "unknown error";
}

uint64_t json_at(const struct json *j)
{
    assert(j->error != JSON_FINE || j->at == 0);
    return j->at;
}
