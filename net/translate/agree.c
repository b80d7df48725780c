/* agree.c - see agree.h. Of a text its end is kept, of all else hashes. The rules for a final
 * answer take too little rather than too much: it must be the last thing that is said, in one
 * line, for what comes behind it might take it back. */
#include "net/translate/agree.h"

enum { KIND_CALLS = 16, KIND_CALL, KIND_TEXT };
enum { BETWEEN_MAX = 64 };       /* bytes between "answer" and "is" */

void agree_begin(struct agree_reader *r, bool json)
{
    memset(r, 0, sizeof *r);
    r->json = json;
    r->calls = gist_begin(KIND_CALLS);
}

/* ---- listening ---- */

/* Keep the latest bytes: half of what there is room for, at least. */
static void keep_tail(struct agree_reader *r, struct bytes b)
{
    if (b.len > AGREE_TAIL - (size_t)r->tail_len) {
        size_t keep = AGREE_TAIL / 2 < r->tail_len ? AGREE_TAIL / 2 : r->tail_len;
        memmove(r->text.tail, r->text.tail + r->tail_len - keep, keep);
        r->tail_len = (uint16_t)keep;
    }
    memcpy(r->text.tail + r->tail_len, b.ptr, b.len);
    r->tail_len = (uint16_t)(r->tail_len + b.len);
}

static void take_text(struct agree_reader *r, struct bytes raw)
{
    char out[JSON_UNESCAPED_MAX];
    for (size_t i = 0; i < raw.len; i++) {
        struct bytes b = {out, json_unescape_byte(&r->escape, raw.ptr[i], out)};
        r->length += b.len;
        if (r->json) gist_json_put(&r->text.doc, b);
        else keep_tail(r, b);
    }
}

static void close_call(struct agree_reader *r)
{
    struct gist value = r->call;
    if (!r->open) return;
    r->open = false;
    if (!r->custom && !gist_json_end(&r->arguments, &value)) r->odd = true;
    gist_add(&r->calls, &r->call);
    gist_add(&r->calls, &value);
}

static void open_call(struct agree_reader *r, const struct tell *t)
{
    close_call(r);
    r->call = gist_begin(KIND_CALL);
    gist_put(&r->call, t->name);
    r->arguments = (struct gist_json){.depth = 0};
    r->escape = (struct json_unescaper){0};
    r->custom = t->custom;
    r->item = t->item;
    r->open = r->called = true;
}

static void take_arguments(struct agree_reader *r, const struct tell *t)
{
    char out[JSON_UNESCAPED_MAX];
    if (!r->open || t->item != r->item) {      /* deltas of several, mixed */
        r->odd = true;
        return;
    }
    if (t->value) gist_json_put(&r->arguments, t->text);
    for (size_t i = 0; !t->value && i < t->text.len; i++) {
        struct bytes b = {out, json_unescape_byte(&r->escape, t->text.ptr[i], out)};
        if (r->custom) gist_put(&r->call, b);
        else gist_json_put(&r->arguments, b);
    }
}

static void open_block(struct agree_reader *r, const struct tell *t)
{
    switch ((enum tell_block)t->block) {
    case TELL_CALL: open_call(r, t); return;
    case TELL_TEXT: r->escape = (struct json_unescaper){0}; return;
    case TELL_THINKING: return;
    case TELL_REFUSAL: case TELL_IMAGE: case TELL_AUDIO: case TELL_TRANSCRIPT: break;
    }
    r->odd = true;
}

/* Did the model say all that it wanted to? */
static bool is_whole(enum tell_finish finish)
{
    return finish == TELL_STOP || finish == TELL_STOP_SEQUENCE || finish == TELL_CALLS;
}

bool agree_take(void *arg, const struct tell *t)
{
    struct agree_reader *r = arg;
    if (t->choice > 0) r->odd = true;
    switch ((enum tell_kind)t->kind) {
    case TELL_OPEN: open_block(r, t); break;
    case TELL_MORE:
        if (t->block == TELL_TEXT) take_text(r, t->text);
        else if (t->block == TELL_CALL) take_arguments(r, t);
        break;
    case TELL_FINISH:
        if (!is_whole((enum tell_finish)t->finish)) r->odd = true;
        break;
    case TELL_START: case TELL_SIGN: case TELL_CITE: case TELL_CLOSE: case TELL_LOGPROBS:
    case TELL_USAGE: case TELL_END: case TELL_STEP: break;
    }
    return true;
}

/* ---- final answers ---- */

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static bool is_markup(char c)
{
    return is_blank(c) || c == '*' || c == '_' || c == '`' || c == '$' || c == '"';
}

static bool is_letter(char c)
{
    char low = byte_lower(c);
    return (low >= 'a' && low <= 'z') || (uint8_t)c >= 0x80;
}

static bool says(char c) { return is_letter(c) || (c >= '0' && c <= '9'); }

/* Off both ends: blanks and what makes text bold; off the end, what ends a sentence. */
static struct bytes trim(struct bytes b)
{
    while (b.len > 0 && is_markup(*b.ptr)) bytes_cut(&b, 1);
    while (b.len > 0 && (is_markup(b.ptr[b.len - 1]) || b.ptr[b.len - 1] == '.' ||
                         b.ptr[b.len - 1] == ',' || b.ptr[b.len - 1] == ';')) b.len--;
    return b;
}

static bool is_one_line(struct bytes b) { return bytes_find(b, '\n') == b.len; }

/* The letter of an option: "(C)", "C)", "C"; with `text` also "(C) Paris" and "C) Paris", where
 * no other bracket follows: of a list of options each is said. '\0': it is none. */
static char option_of(struct bytes b, bool text)
{
    bool bracket = b.len > 2 && *b.ptr == '(';
    if (bracket) bytes_cut(&b, 1);
    if (b.len == 0 || *b.ptr < 'A' || *b.ptr > 'Z') return '\0';
    char c = *bytes_cut(&b, 1).ptr;
    if (b.len == 0 && !bracket) return c;
    if (b.len == 0 || *b.ptr != ')') return '\0';
    bytes_cut(&b, 1);
    bool more = b.len > 0 && (!text || *b.ptr != ' ' || bytes_find(b, ')') < b.len);
    return more ? '\0' : c;
}

/* The inside of \text{} and its like, where that is all. */
static struct bytes unwrap(struct bytes b)
{
    static const char *const words[] = {"\\text{", "\\textbf{", "\\mathrm{", "\\mathbf{"};
    for (size_t i = 0; i < COUNT(words); i++) {
        struct bytes word = bytes_of(words[i]);
        if (!bytes_starts(b, word) || b.ptr[b.len - 1] != '}') continue;
        struct bytes inside = {b.ptr + word.len, b.len - word.len - 1};
        if (bytes_find(inside, '{') == inside.len && bytes_find(inside, '}') == inside.len) {
            return inside;
        }
    }
    return b;
}

/* What is said, as a gist. final: it was announced as the answer. False: nothing is. */
static bool gist_of(struct bytes b, bool final, struct gist *out)
{
    unsigned count;
    b = trim(unwrap(trim(b)));
    char option = option_of(b, final);
    *out = option ? gist_words((struct bytes){&option, 1}, &count) : gist_words(b, &count);
    return count > 0;
}

/* The last \boxed{...} of text, behind which nothing is said. False: there is none. */
static bool find_boxed(struct bytes text, struct bytes *inside)
{
    struct bytes word = BYTES("\\boxed{");
    size_t at = text.len, depth = 1;
    for (size_t i = 0; i + word.len <= text.len; i++) {
        if (memcmp(text.ptr + i, word.ptr, word.len) == 0) at = i + word.len;
    }
    if (at == text.len) return false;
    size_t end = at;
    for (; end < text.len; end++) {
        if (text.ptr[end] == '{') depth++;
        if (text.ptr[end] == '}' && --depth == 0) break;
    }
    for (size_t i = end; i < text.len; i++) {
        if (says(text.ptr[i])) return false;
    }
    *inside = (struct bytes){text.ptr + at, end - at};
    return end < text.len;
}

/* Is the word there, without regard to case, and not as a part of a longer one? */
static bool has_word(struct bytes text, size_t at, struct bytes word)
{
    if (text.len - at < word.len) return false;
    if (!bytes_ieq((struct bytes){text.ptr + at, word.len}, word)) return false;
    bool before = at > 0 && is_letter(text.ptr[at - 1]);
    bool behind = at + word.len < text.len && is_letter(text.ptr[at + word.len]);
    return !before && !behind;
}

/* Behind "answer": where what it is begins, after "is", ":" or "=" in the same sentence. 0: it
 * does not say. */
static size_t behind_is(struct bytes text, size_t at)
{
    size_t most = at + BETWEEN_MAX < text.len ? at + BETWEEN_MAX : text.len;
    for (; at < most; at++) {
        char c = text.ptr[at];
        if (c == ':' || c == '=') return at + 1;
        if (c == '.' || c == '!' || c == '?' || c == '\n' || c == ';') return 0;
        if (!has_word(text, at, BYTES("is"))) continue;
        at += 2;
        while (at < text.len && is_markup(text.ptr[at])) at++;
        return at < text.len && text.ptr[at] == ':' ? at + 1 : at;
    }
    return 0;
}

/* What follows the last word that announces the answer. False: no word does. */
static bool find_announced(struct bytes text, struct bytes *said)
{
    struct bytes hashes = BYTES("####");
    size_t found = 0;
    for (size_t i = 0; i < text.len; i++) {
        struct bytes rest = {text.ptr + i, text.len - i};
        size_t from = bytes_starts(rest, hashes)              ? i + hashes.len
                      : has_word(text, i, BYTES("answer"))    ? behind_is(text, i + 6) : 0;
        if (from) found = from;
    }
    *said = trim((struct bytes){text.ptr + found, text.len - found});
    return found > 0;
}

/* The last line, where that is a number or an option's letter, and nothing else. */
static bool find_last_line(struct bytes text, struct bytes *line)
{
    unsigned count;
    text = trim(text);
    size_t from = text.len;
    while (from > 0 && text.ptr[from - 1] != '\n') from--;
    *line = trim((struct bytes){text.ptr + from, text.len - from});
    if (option_of(*line, false)) return true;
    bool digits = line->len > 0;
    for (size_t i = 0; i < line->len; i++) {
        char c = line->ptr[i];
        digits = digits && ((c >= '0' && c <= '9') || c == '.' || c == ',' ||
                            (i == 0 && c == '-'));
    }
    if (!digits) return false;
    (void)gist_words(*line, &count);
    return count == 1;
}

static struct agree agree_text(const struct agree_reader *r)
{
    struct agree none = {.form = AGREE_NONE}, a = {.form = AGREE_WORDS};
    struct bytes text = {r->text.tail, r->tail_len}, said;
    bool boxed = find_boxed(text, &said);
    if (boxed || find_announced(text, &said)) {
        return is_one_line(said) && gist_of(said, true, &a.gist) ? a : none;
    }
    if (r->length <= AGREE_SHORT) return gist_of(text, false, &a.gist) ? a : none;
    return find_last_line(text, &said) && gist_of(said, false, &a.gist) ? a : none;
}

struct agree agree_end(struct agree_reader *r)
{
    struct agree a = {.form = AGREE_NONE};
    close_call(r);
    if (!r->odd && r->called) {
        a = (struct agree){r->calls, AGREE_CALLS};
    } else if (!r->odd && r->json) {
        a.form = gist_json_end(&r->text.doc, &a.gist) ? AGREE_JSON : AGREE_NONE;
    } else if (!r->odd) {
        a = agree_text(r);
    }
    explicit_bzero(r, sizeof *r);
    return a;
}

bool agree_same(const struct agree *a, const struct agree *b)
{
    assert(a->form <= AGREE_WORDS && b->form <= AGREE_WORDS);
    if (a->form == AGREE_NONE || a->form != b->form) return false;
    return memcmp(&a->gist, &b->gist, sizeof a->gist) == 0;
}
