/* fuzz_features.c - properties of the numbers of a request: however a text is escaped they are
 * the same; an excerpt that is cut anywhere, and any bytes at all, give numbers in bounds;
 * whoever cuts head and tail, the numbers are the same. Input: three bytes that choose, then
 * the text; tools are what stands behind the first NUL. */
#include "fuzz.h"
#include "route/gain.h"
#include "route/weights.h"

/* libFuzzer's entry: borrows data; always 0. A broken property ends the program. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy that ends where its memory ends, so that a sanitizer sees each byte too far. */
static struct bytes copy_of(struct bytes a)
{
    char *at = malloc(a.len + 1);
    must(at != NULL);
    if (a.len > 0) memcpy(at + 1, a.ptr, a.len);
    return (struct bytes){at + 1, a.len};
}

static void make(struct features_ask ask, struct features *out)
{
    struct bytes mine[FEATURES_TEXTS];
    for (unsigned i = 0; i < FEATURES_TEXTS; i++) {
        ask.text[i] = mine[i] = copy_of(ask.text[i]);
    }
    memset(out, 0, sizeof *out);
    features_make(&ask, out);
    for (unsigned i = 0; i < FEATURES_TEXTS; i++) free((char *)(uintptr_t)mine[i].ptr - 1);
}

static bool same(const struct features *a, const struct features *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static void check(const struct features *f)
{
    struct gain gain;
    struct features_kept kept;
    must(f->word_count <= FEATURES_WORDS_MAX);
    must(f->task < TASKS && f->family < FAMILIES && f->language < LANGUAGES);
    for (unsigned i = 0; i < FEATURES; i++) must(f->dense[i] >= -16000 && f->dense[i] <= 16000);
    for (unsigned i = 0; i < f->word_count; i++) {
        must(f->word[i] < WEIGHTS_WORDS);
        for (unsigned k = 0; k < i; k++) must(f->word[i] != f->word[k]);
    }
    gain_score(gain_builtin(), NULL, f, &gain);
    must(gain.gain <= GAIN_ONE && gain.width <= GAIN_ONE);
    gain_keep(gain_builtin(), f, &kept);
}

/* ASCII text as a JSON string may write it: how it does so, style tells. */
static size_t escape(struct bytes plain, unsigned style, char *out)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    size_t len = 0;
    for (size_t i = 0; i < plain.len; i++) {
        unsigned char c = (unsigned char)plain.ptr[i];
        bool needs = c < 0x20 || c == '"' || c == '\\';
        if ((style + i) % 3 == 0 || (needs && style % 2)) {
            const char *digit = digits + (style & 16);
            memcpy(out + len, "\\u00", 4);
            out[len + 4] = digit[c >> 4];
            out[len + 5] = digit[c & 15];
            len += 6;
        } else if (c == '\n' || c == '\r' || c == '\t') {
            out[len++] = '\\';
            out[len++] = c == '\n' ? 'n' : c == '\r' ? 'r' : 't';
        } else if (needs || (c == '/' && style & 4)) {
            out[len++] = '\\';
            out[len++] = (char)c;
        } else {
            out[len++] = (char)c;
        }
    }
    return len;
}

/* Two ways to write the start of the input, short enough to be read whole. */
static void check_escapes(struct bytes in, unsigned style)
{
    char plain[FEATURES_LAST_MAX / 6], one[FEATURES_LAST_MAX], other[FEATURES_LAST_MAX];
    struct features a, b;
    struct features_ask ask = {.last_bytes = 80};
    size_t len = 0;
    for (size_t i = 0; i < in.len && len < sizeof plain; i++) {
        char c = (char)(in.ptr[i] & 0x7f);
        if (c >= 0x20 || c == '\n' || c == '\t') plain[len++] = c;
    }
    ask.text[TEXT_LAST] = (struct bytes){one, escape((struct bytes){plain, len}, style, one)};
    make(ask, &a);
    ask.text[TEXT_LAST] =
        (struct bytes){other, escape((struct bytes){plain, len}, style + 7, other)};
    make(ask, &b);
    must(same(&a, &b));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) return 0;
    struct bytes text = {(const char *)data + 3, size - 3};
    struct bytes last = bytes_cut(&text, bytes_find(text, '\0'));
    struct features whole, cut;
    struct features_ask ask = {
        .last_bytes = last.len, .tool_bytes = text.len, .tool_count = text.len > 0,
        .tool_turns = data[0] & 1, .tool_choice = data[0] >> 1 & 3, .prompt_bytes = size,
    };
    ask.text[TEXT_LAST] = last;
    ask.text[TEXT_FIRST] = (struct bytes){last.ptr, data[1] < last.len ? data[1] : last.len};
    ask.text[TEXT_TOOLS] = text;
    make(ask, &whole);
    check(&whole);
    if (last.len > FEATURES_LAST_MAX) {
        ask.text[TEXT_LAST] = (struct bytes){last.ptr, FEATURES_HEAD_MAX};
        ask.text[TEXT_LAST_TAIL] =
            (struct bytes){last.ptr + last.len - FEATURES_TAIL_MAX, FEATURES_TAIL_MAX};
        make(ask, &cut);
        must(same(&whole, &cut));
    }
    ask.text[TEXT_LAST_TAIL] = last;
    bytes_cut(&last, data[2] < last.len ? data[2] : last.len);
    ask.text[TEXT_LAST] = last;
    make(ask, &cut);
    check(&cut);
    check_escapes(last, data[0]);
    return 0;
}
