/* json.c - the JSON scanner's walk from token to token; see json.h. The blocks come from
 * json_scan.h, by instruction set.
 *
 *   VALUE -> AFTER <-> VALUE | KEY -> COLON -> VALUE      any of them -> BAD
 *   "{" FIRST_KEY   "[" FIRST_VALUE   the last bracket closed -> DONE
 *
 * Rule: between two calls the scanner stands behind a token or inside at most one
 * (j->partial); j->tokens marks what the block in hand still holds, and never reaches
 * behind the piece it was read from. The masks speak of offsets, so they hold wherever the
 * rest of the piece has moved to. Recursion and allocation: none. */
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

/* A cut goes through the token that began at `start`: text is what was seen of it. */
static void cut(struct json *j, enum json_partial partial, uint64_t start, struct bytes text)
{
    assert(j->partial == PARTIAL_NONE);
    j->partial = (uint8_t)partial;
    j->started = start;
    j->gathered = 0;
    if (text.len) gather(j, text.ptr, text.len);
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

/* Leave the block in hand: the next begins where nothing is consumed yet. */
static void block_leave(struct json *j)
{
    j->tokens = 0;
    j->span = 0;
    j->base = j->offset;
}

static NOINLINE
enum json_step resume_string(struct json *j, struct bytes *in, struct json_token *t)
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
    block_leave(j);
    struct bytes text = {0};
    if (!j->skip) text = gathered(j, p, used, (size_t)(j->offset - j->started - 2));
    return give_string(j, t, j->started, text);
}

static NOINLINE
enum json_step resume_word(struct json *j, struct bytes *in, struct json_token *t)
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
    block_leave(j);
    struct bytes text = {0};
    if (!j->skip) text = gathered(j, p, used, (size_t)(j->offset - j->started));
    return give_word(j, t, j->started, text);
}

/* ---- the walk: from token to token of the block in hand ---- */

/* What one call keeps in registers. Its address goes to functions that are inlined, and to no
 * other, or it would live in memory. What a call leaves behind is made from base and the bits
 * of the block, not from what the call before left: else each call would wait for that. */
struct walk {
    struct json *j;
    struct json_token *t;
    const char *p;      /* the piece from the first byte that was not consumed at the call */
    size_t n;
    uint64_t offset;    /* of p[0] */
    uint64_t base;      /* j->base; base - offset is the distance of the block from p */
    uint64_t end;       /* behind what this call consumed */
    uint64_t tokens;    /* j->tokens */
    bool skip;          /* j->skip */
};

/* The byte at bit pos of the block in hand: for bits of tokens only. */
static ALWAYS_INLINE const char *byte_at(const struct walk *w, unsigned pos)
{
    return w->p + (w->base + pos - w->offset);
}

/* Describe the next block of the grid. STEP_MORE: there is none. */
static ALWAYS_INLINE enum json_step block_step(struct walk *w)
{
    struct json *j = w->j;
    w->base += j->span;
    j->base = w->base;
    j->span = 0;
    assert(w->base >= w->offset);
    size_t first = (size_t)(w->base - w->offset);
    if (first == w->n) {
        w->end = w->base;
        return STEP_MORE;
    }
    w->tokens = j->simd->block(j, w->p + first, w->n - first);
    return STEP_ON;
}

static enum json_step misplaced(struct json *j, uint64_t at)
{
    return json_refuse(j, j->state == STATE_DONE ? JSON_TRAILING : JSON_BAD_SYNTAX, at);
}

/* A token starts at bit pos, and w->end is behind it. */
static ALWAYS_INLINE enum json_step token_out(struct walk *w, unsigned pos, unsigned type,
                                              struct bytes text)
{
    struct json_token *t = w->t;
    t->start = w->base + pos;
    t->end = w->end;
    t->text = text;
    t->depth = w->j->depth;
    t->type = (uint8_t)type;
    t->escaped = t->surrogate = t->nul = false;
    return STEP_TOKEN;
}

/* A value that starts at bit pos and is to be passed over has ended at w->end. */
static ALWAYS_INLINE enum json_step skip_out(struct walk *w, unsigned pos)
{
    w->j->skip = false;
    return token_out(w, pos, JSON_SKIPPED, (struct bytes){0});
}

/* Note in j->string what the marked \uXXXX of the block in hand stand for; p is where the
 * scan stands. Rare, so apart. */
static NOINLINE
void unicode_note(struct json *j, const char *p, uint64_t offset, uint64_t marks)
{
    for (; marks; marks &= marks - 1) {
        uint64_t at = j->base + lowest(marks);
        uint16_t code = 0;
        unsigned stop = hex_stop(p + (at - offset), ESCAPE_MAX, &code);
        assert(stop == 5);
        json_unicode(&j->string, code, at - 1);
    }
}

/* Note what the bytes `part` of the block in hand tell of j->string; in starts in it, or
 * before it. */
static void string_note(struct json *j, const char *p, uint64_t part)
{
    if (!((j->backslash | j->unicode) & part)) return;
    j->string.escaped = true;
    if (j->unicode & part) unicode_note(j, p, j->offset, j->unicode & part);
}

/* A quote opens a string at bit pos. */
static ALWAYS_INLINE enum json_step string_step(struct walk *w, unsigned pos)
{
    struct json *j = w->j;
    unsigned state = j->state;
    uint64_t rest = w->tokens & (w->tokens - 1);
    static_assert(STATE_FIRST_VALUE < STATE_FIRST_KEY && STATE_FIRST_KEY < STATE_KEY &&
                  STATE_KEY < STATE_COLON, "values, keys, the others");
    if (state > STATE_KEY) return STEP_WRONG;
    if (!rest) return STEP_LONG;
    unsigned close = lowest(rest);
    if (j->fault <= close) return STEP_WRONG;
    bool key = state >= STATE_FIRST_KEY;
    w->tokens = rest & (rest - 1);
    j->state = key ? STATE_COLON : j->depth ? STATE_AFTER : STATE_DONE;
    w->end = w->base + close + 1;
    if (w->skip) return j->depth > j->skip_depth ? STEP_ON : skip_out(w, pos);
    struct bytes text = {byte_at(w, pos) + 1, close - pos - 1};
    token_out(w, pos, key ? JSON_KEY : JSON_STRING, text);
    uint64_t inside = (UINT64_C(1) << close) - (UINT64_C(1) << pos);
    if (j->backslash & inside) {
        w->t->escaped = true;
        if (j->unicode & inside) {
            j->string = (struct json_string){0};
            unicode_note(j, w->p, w->offset, j->unicode & inside);
            w->t->surrogate = j->string.surrogate || j->string.half;
            w->t->nul = j->string.nul;
        }
    }
    return STEP_TOKEN;
}

/* The type of the word of len bytes at p when it is a right one, or JSON_NONE. */
static ALWAYS_INLINE unsigned word_whole(const char *p, unsigned len)
{
    switch (*p) {
    case 't': return len == 4 && memcmp(p, "true", 4) == 0 ? JSON_TRUE : JSON_NONE;
    case 'n': return len == 4 && memcmp(p, "null", 4) == 0 ? JSON_NULL : JSON_NONE;
    case 'f': return len == 5 && memcmp(p + 1, "alse", 4) == 0 ? JSON_FALSE : JSON_NONE;
    default: return number_len(p) == len ? JSON_NUMBER : JSON_NONE;
    }
}

/* A number or literal starts at bit pos. */
static ALWAYS_INLINE enum json_step word_step(struct walk *w, unsigned pos)
{
    struct json *j = w->j;
    if (j->state > STATE_FIRST_VALUE) return STEP_WRONG;
    const char *p = byte_at(w, pos);
    unsigned len = lowest(~(j->word_bytes >> pos));
    if (pos + len >= j->span) return STEP_ODD;
    unsigned type = word_whole(p, len);
    if (type == JSON_NONE) return STEP_ODD;
    w->tokens &= w->tokens - 1;
    w->end = w->base + pos + len;
    j->state = j->depth ? STATE_AFTER : STATE_DONE;
    if (w->skip) return j->depth > j->skip_depth ? STEP_ON : skip_out(w, pos);
    struct bytes text = {0};
    if (type == JSON_NUMBER) text = (struct bytes){p, len};
    return token_out(w, pos, type, text);
}

static ALWAYS_INLINE enum json_step open_step(struct walk *w, unsigned pos, bool object)
{
    struct json *j = w->j;
    if (j->state > STATE_FIRST_VALUE) return STEP_WRONG;
    if (j->depth == j->depth_max) return STEP_WRONG;
    w->tokens &= w->tokens - 1;
    w->end = w->base + pos + 1;
    j->state = object ? STATE_FIRST_KEY : STATE_FIRST_VALUE;
    if (!w->skip || j->depth <= j->skip_depth) j->opened = w->base + pos;
    if (!w->skip) token_out(w, pos, object ? JSON_OBJECT : JSON_ARRAY, (struct bytes){0});
    json_push(j, object);
    return w->skip ? STEP_ON : STEP_TOKEN;
}

static ALWAYS_INLINE enum json_step close_step(struct walk *w, unsigned pos, bool object)
{
    struct json *j = w->j;
    char c = *byte_at(w, pos);
    if ((c | 0x20) != '}' || j->state != STATE_AFTER || json_in_object(j) != object) {
        bool empty = j->state == (object ? STATE_FIRST_KEY : STATE_FIRST_VALUE);
        if (!empty) return STEP_WRONG;
    }
    json_pop(j);
    w->tokens &= w->tokens - 1;
    w->end = w->base + pos + 1;
    j->state = j->depth ? STATE_AFTER : STATE_DONE;
    if (!w->skip) {
        return token_out(w, pos, object ? JSON_OBJECT_END : JSON_ARRAY_END,
                         (struct bytes){0});
    }
    if (j->depth > j->skip_depth) return STEP_ON;
    skip_out(w, pos);
    w->t->start = j->opened;
    return STEP_TOKEN;
}

/* Pass over members whose values are short strings, as far as the block in hand shows them
 * whole and right; the general steps see to everything else. A key may come. */
static ALWAYS_INLINE void members_pass(struct walk *w)
{
    struct json *j = w->j;
    uint64_t m = w->tokens;
    unsigned state = j->state;
    while (m) {
        uint64_t close = m & (m - 1), colon = close & (close - 1);
        if (!colon || *byte_at(w, lowest(m)) != '"') break;
        if (*byte_at(w, lowest(colon)) != ':') break;
        m = colon & (colon - 1);
        state = STATE_VALUE;
        close = m & (m - 1);
        if (!close || *byte_at(w, lowest(m)) != '"') break;
        m = close & (close - 1);
        state = STATE_AFTER;
        if (!m || *byte_at(w, lowest(m)) != ',') break;
        m &= m - 1;
        state = STATE_KEY;
    }
    w->tokens = m;
    j->state = (uint8_t)state;
}

/* The first token of the block in hand, where a value or key may come; or the end of an
 * empty container. */
static ALWAYS_INLINE enum json_step value_step(struct walk *w)
{
    unsigned pos = lowest(w->tokens);
    switch (*byte_at(w, pos)) {
    case '"': return string_step(w, pos);
    case '{': return open_step(w, pos, true);
    case '[': return open_step(w, pos, false);
    case '}': return close_step(w, pos, true);
    case ']': return close_step(w, pos, false);
    case ':': case ',': return STEP_WRONG;
    default: return word_step(w, pos);
    }
}

/* The first token of the block in hand: behind a key its colon is passed, behind a value the
 * comma; these alternate, so the states tell more than the bytes would. */
static ALWAYS_INLINE enum json_step token_step(struct walk *w)
{
    struct json *j = w->j;
    unsigned pos = lowest(w->tokens);
    char c = *byte_at(w, pos);
    if (j->state == STATE_COLON) {
        if (c != ':') return STEP_WRONG;
        j->state = STATE_VALUE;
    } else if (j->state == STATE_AFTER) {
        if (c != ',') return close_step(w, pos, (c & 0x20) != 0);
        j->state = json_in_object(j) ? STATE_KEY : STATE_VALUE;
    } else {
        if (w->skip && key_may_come(j) && j->fault == BLOCK) {
            members_pass(w);
            if (!w->tokens || j->state == STATE_AFTER) return STEP_ON;
        }
        return value_step(w);
    }
    w->tokens &= w->tokens - 1;
    if (!w->tokens) return STEP_ON;
    if (w->skip && j->state == STATE_KEY) return STEP_ON;  /* to members_pass() */
    return value_step(w);
}

/* Go on to the next token from a token boundary. STEP_LONG, STEP_ODD, STEP_WRONG: it is one
 * that the block in hand does not hold whole, or that is wrong, and first in j->tokens.
 * skip is what j->skip is; as a constant, so that each way has its own lean code. */
static ALWAYS_INLINE enum json_step walk_on(struct json *j, struct bytes *in,
                                            struct json_token *t, bool skip)
{
    assert(j->partial == PARTIAL_NONE);
    struct walk w = {
        .j = j, .t = t, .p = in->ptr, .n = in->len, .offset = j->offset,
        .base = j->base, .end = j->offset, .tokens = j->tokens, .skip = skip,
    };
    enum json_step step;
    do {
        step = w.tokens ? token_step(&w) : block_step(&w);
    } while (step == STEP_ON);
    j->tokens = w.tokens;
    j->offset = w.end;
    bytes_cut(in, (size_t)(w.end - w.offset));
    return step;
}

static NOINLINE
enum json_step skip_on(struct json *j, struct bytes *in, struct json_token *t)
{
    assert(j->skip);
    return walk_on(j, in, t, true);
}

/* The first token is wrong: say why. */
static NOINLINE enum json_step refuse_first(struct json *j, const struct bytes *in)
{
    uint64_t at = j->base + lowest(j->tokens);
    char c = in->ptr[at - j->offset];
    bool open = c == '{' || c == '[';
    if (open && value_may_come(j)) return json_refuse(j, JSON_TOO_DEEP, at);
    if (c == '"' && (value_may_come(j) || key_may_come(j))) {
        return json_refuse(j, (enum json_error)j->fault_why, j->base + j->fault);
    }
    return misplaced(j, at);
}

/* The string whose opening quote is first in `in` reaches the end of the piece, or is wrong:
 * look at it once more, byte-exact. At most once a piece. */
static enum json_step string_again(struct json *j, struct bytes *in)
{
    j->string = (struct json_string){0};
    cut(j, PARTIAL_STRING, j->offset, (struct bytes){0});
    json_eat(j, in, 1);
    block_leave(j);
    return STEP_ON;  /* to resume_string() */
}

/* The first token opens a string that outlives its block. */
static NOINLINE
enum json_step string_long(struct json *j, struct bytes *in, struct json_token *t)
{
    unsigned pos = lowest(j->tokens);
    json_eat(j, in, (size_t)(j->base + pos - j->offset));
    uint64_t start = j->offset, part = ~UINT64_C(0) << pos;
    size_t end = j->span - pos;  /* of the block in hand, from the opening quote */
    j->string = (struct json_string){0};
    for (;;) {
        if (j->fault < BLOCK || j->span < BLOCK) return string_again(j, in);
        string_note(j, in->ptr, part);
        part = ~UINT64_C(0);
        assert(end <= in->len);
        size_t passed = 0;
        j->tokens = j->simd->inside(j, in->ptr + end, in->len - end, &passed);
        end += passed;
        if (end == in->len) return string_again(j, in);
        j->base = start + end;
        if (j->tokens) break;
        end += j->span;
    }
    unsigned close = lowest(j->tokens);
    if (j->fault <= close) return string_again(j, in);
    string_note(j, in->ptr, below(close));
    j->tokens &= j->tokens - 1;
    if (j->string.half) j->string.surrogate = true;
    struct bytes text = {in->ptr + 1, end + close - 1};
    json_eat(j, in, end + close + 1);
    return give_string(j, t, start, text);
}

/* The first token is a word that outlives its block, is wrong, or touches what follows. */
static NOINLINE
enum json_step odd_word(struct json *j, struct bytes *in, struct json_token *t)
{
    unsigned pos = lowest(j->tokens);
    json_eat(j, in, (size_t)(j->base + pos - j->offset));
    const char *p = in->ptr;
    uint64_t start = j->offset;
    if (!json_word_begin(&j->word, *p)) return misplaced(j, start);
    size_t used = 0;
    enum run_end end = json_word_run(j, p, in->len, &used);
    if (end == RUN_BAD) return json_refuse(j, (enum json_error)j->error, start + used);
    json_eat(j, in, used);
    j->tokens &= j->tokens - 1;
    if (end == RUN_OPEN) {
        block_leave(j);
        cut(j, PARTIAL_WORD, start, (struct bytes){p, used});
        return STEP_MORE;
    }
    if (pos + used >= j->span) block_leave(j);
    /* "truex": what touches a literal is looked at for itself, as behind a cut. */
    else if (json_word_byte(p[used])) j->tokens |= UINT64_C(1) << (pos + used);
    return give_word(j, t, start, (struct bytes){p, used});
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
        } else {
            step = j->skip ? skip_on(j, in, t) : walk_on(j, in, t, false);
            if (step == STEP_LONG) step = string_long(j, in, t);
            else if (step == STEP_ODD) step = odd_word(j, in, t);
            else if (step == STEP_WRONG) step = refuse_first(j, in);
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

void json_pass(struct json *j, size_t n)
{
    assert(j->offset == 0);
    assert(j->state == STATE_VALUE);
    j->offset = j->base = n;
    j->state = STATE_DONE;
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
