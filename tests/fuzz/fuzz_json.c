/* fuzz_json.c - properties of the JSON scanner:
 *   1. it accepts exactly what a slow, obvious recogniser of RFC 8259 accepts;
 *   2. any cut, and one byte at a time, gives the same tokens, error and position;
 *   3. every implementation gives the same;
 *   4. skipping values changes neither the verdict nor the position of a fault;
 *   5. what the index accepts is accepted, and its tokens are those of the scanner; what the
 *      scanner accepts, is an object, and fits, the index accepts. */
#include "net/json_index.h"

#include <stdlib.h>

enum { DEPTH = 512, CUTS_ALL = 200 };

#define REQUIRE(x) do { if (!(x)) abort(); } while (0)

/* ---- the slow, obvious recogniser: at is a position, NULL means refused ---- */

struct text { const uint8_t *at, *end; };

static int peek(const struct text *x)
{
    return x->at && x->at < x->end ? *x->at : -1;
}

static void blanks(struct text *x)
{
    int c;
    while ((c = peek(x)) == ' ' || c == '\t' || c == '\n' || c == '\r') x->at++;
}

static void want(struct text *x, const char *word)
{
    for (; *word; word++) {
        if (peek(x) != (uint8_t)*word) x->at = NULL;
        if (!x->at) return;
        x->at++;
    }
}

static void digits(struct text *x)
{
    if (peek(x) < '0' || peek(x) > '9') x->at = NULL;
    while (peek(x) >= '0' && peek(x) <= '9') x->at++;
}

static void number(struct text *x)
{
    if (peek(x) == '-') x->at++;
    if (peek(x) == '0') x->at++;
    else digits(x);
    if (peek(x) == '.') {
        x->at++;
        digits(x);
    }
    if (peek(x) == 'e' || peek(x) == 'E') {
        x->at++;
        if (peek(x) == '+' || peek(x) == '-') x->at++;
        digits(x);
    }
}

static void range(struct text *x, int low, int high)
{
    int c = peek(x);
    if (c < low || c > high) x->at = NULL;
    else x->at++;
}

/* RFC 3629 section 4, line by line. */
static void utf8(struct text *x)
{
    int c = peek(x);
    if (c >= 0x20 && c <= 0x7F) { x->at++; return; }
    if (c >= 0xC2 && c <= 0xDF) { x->at++; range(x, 0x80, 0xBF); return; }
    if (c >= 0xE0 && c <= 0xEF) {
        x->at++;
        range(x, c == 0xE0 ? 0xA0 : 0x80, c == 0xED ? 0x9F : 0xBF);
        range(x, 0x80, 0xBF);
        return;
    }
    if (c >= 0xF0 && c <= 0xF4) {
        x->at++;
        range(x, c == 0xF0 ? 0x90 : 0x80, c == 0xF4 ? 0x8F : 0xBF);
        range(x, 0x80, 0xBF);
        range(x, 0x80, 0xBF);
        return;
    }
    x->at = NULL;
}

static void string(struct text *x)
{
    want(x, "\"");
    while (x->at && peek(x) != '"') {
        if (peek(x) != '\\') {
            utf8(x);
            continue;
        }
        x->at++;
        int c = peek(x);
        if (c <= 0 || !strchr("\"\\/bfnrtu", c)) x->at = NULL;
        else x->at++;
        for (int i = 0; c == 'u' && i < 4; i++) {
            int h = peek(x);
            bool hex = (h >= '0' && h <= '9') || (h >= 'a' && h <= 'f') ||
                       (h >= 'A' && h <= 'F');
            if (hex) x->at++;
            else x->at = NULL;
        }
    }
    want(x, "\"");
}

static void value(struct text *x, int depth);

static void container(struct text *x, int depth, char end)
{
    if (depth == 0) { x->at = NULL; return; }
    x->at++;
    blanks(x);
    if (peek(x) == end) { x->at++; return; }
    while (x->at) {
        if (end == '}') {
            blanks(x);
            string(x);
            blanks(x);
            want(x, ":");
        }
        value(x, depth - 1);
        if (peek(x) == end) { x->at++; return; }
        want(x, ",");
    }
}

static void value(struct text *x, int depth)
{
    blanks(x);
    switch (peek(x)) {
    case '{': container(x, depth, '}'); break;
    case '[': container(x, depth, ']'); break;
    case '"': string(x); break;
    case 't': want(x, "true"); break;
    case 'f': want(x, "false"); break;
    case 'n': want(x, "null"); break;
    default: number(x); break;
    }
    blanks(x);
}

static bool reference_accepts(const uint8_t *data, size_t size)
{
    struct text x = {data, data + size};
    value(&x, DEPTH);
    return x.at == x.end;
}

/* ---- the scanner's answer, as a digest of all it said ---- */

struct answer {
    uint64_t digest;
    uint64_t at;
    int error;
    bool accepted;
};

struct run {
    struct json json;
    struct answer answer;
    uint64_t skips;      /* bit n: skip at the n-th chance, counted modulo 64 */
    unsigned chances;
};

static void mix(struct run *r, uint64_t value64)
{
    r->answer.digest = (r->answer.digest ^ value64) * UINT64_C(0x9E3779B97F4A7C15);
    r->answer.digest ^= r->answer.digest >> 29;
}

static void mix_token(struct run *r, const struct json_token *t, const uint8_t *data)
{
    mix(r, t->start);
    mix(r, t->end);
    mix(r, (uint64_t)t->type << 32 | (uint64_t)t->depth << 8 | (uint64_t)t->escaped << 2 |
           (uint64_t)t->surrogate << 1 | (uint64_t)t->nul);
    if (t->type == JSON_KEY || t->type == JSON_STRING) {
        REQUIRE(t->text.len == t->end - t->start - 2);
        REQUIRE(data[t->start] == '"' && data[t->end - 1] == '"');
        bool same = !t->text.ptr || memcmp(t->text.ptr, data + t->start + 1, t->text.len) == 0;
        REQUIRE(same);
        REQUIRE(t->text.ptr || t->text.len > JSON_TEXT_MAX);
    }
    if (t->type == JSON_NUMBER && t->text.ptr) {
        REQUIRE(memcmp(t->text.ptr, data + t->start, t->text.len) == 0);
    }
    bool chance = t->type == JSON_KEY || t->type == JSON_OBJECT || t->type == JSON_ARRAY;
    if (chance && (r->skips >> (r->chances++ % 64) & 1)) json_skip(&r->json);
}

/* Feed data[from..to) from memory of exactly that size. False: refused. */
static bool feed(struct run *r, const uint8_t *data, size_t from, size_t to)
{
    size_t n = to - from;
    char *copy = malloc(n ? n : 1);
    REQUIRE(copy);
    if (n) memcpy(copy, data + from, n);
    struct bytes in = {copy, n};
    struct json_token t;
    enum net_rc rc;
    while ((rc = json_next(&r->json, &in, &t)) == NET_OK) mix_token(r, &t, data);
    REQUIRE(rc == NET_BAD || in.len == 0);
    free(copy);
    return rc != NET_BAD;
}

static struct answer scan(const uint8_t *data, size_t size, size_t cut, size_t step,
                          uint64_t skips)
{
    struct run r = {.skips = skips};
    json_init(&r.json, DEPTH);
    bool fine = true;
    if (step) {
        for (size_t i = 0; fine && i < size; i += step) {
            fine = feed(&r, data, i, i + step < size ? i + step : size);
        }
    } else {
        fine = feed(&r, data, 0, cut) && feed(&r, data, cut, size);
    }
    struct json_token t;
    enum net_rc rc = NET_BAD;
    if (fine) {
        while ((rc = json_finish(&r.json, &t)) == NET_OK) mix_token(&r, &t, data);
    }
    REQUIRE(rc == NET_DONE || rc == NET_BAD);
    r.answer.accepted = rc == NET_DONE;
    r.answer.error = r.json.error;
    r.answer.at = json_at(&r.json);
    REQUIRE(r.answer.accepted == (r.answer.error == JSON_FINE));
    REQUIRE(r.answer.at <= size);
    return r.answer;
}

static bool same(struct answer a, struct answer b)
{
    return a.digest == b.digest && a.at == b.at && a.error == b.error &&
           a.accepted == b.accepted;
}

/* ---- the index, against the scanner ---- */

/* The next token of the index, commas and colons passed over, is t. */
static void same_token(const struct json_index *x, const char *text, uint32_t *i,
                       const struct json_token *t)
{
    static const char firsts[] = "\0{}[]\"\"\0tfn";
    while (*i < x->count && (x->first[*i] == ',' || x->first[*i] == ':')) (*i)++;
    REQUIRE(*i < x->count && x->at[*i] == (t->type == JSON_OBJECT_END ||
            t->type == JSON_ARRAY_END ? t->end - 1 : t->start));
    char first = firsts[t->type];
    REQUIRE(x->first[*i] == (first ? first : text[t->start]));
    bool key = x->keys[*i / JSON_INDEX_GROUP] >> *i % JSON_INDEX_GROUP & 1;
    bool string = x->strings[*i / JSON_INDEX_GROUP] >> *i % JSON_INDEX_GROUP & 1;
    REQUIRE(key == (t->type == JSON_KEY) && string == (t->type == JSON_STRING));
    if (key || string) REQUIRE(bytes_eq(json_index_text(x, text, *i), t->text));
    if (t->type == JSON_OBJECT || t->type == JSON_ARRAY) {
        REQUIRE(x->close[*i] > *i && x->close[*i] < x->count);
        REQUIRE(x->first[x->close[*i]] == x->first[*i] + 2);
        REQUIRE(json_index_behind(x, *i) == x->close[*i] + 1u);
    }
    (*i)++;
}

/* Closing brackets lie where the scanner has them: close, by depth, of what is open. */
static void check_index(const uint8_t *data, size_t size, bool accepted)
{
    static struct json_index x;
    char *copy = malloc(size ? size : 1);
    REQUIRE(copy);
    if (size) memcpy(copy, data, size);
    struct bytes in = {copy, size};
    bool good = json_index_build(&x, in, DEPTH);
    REQUIRE(accepted || !good);
    bool plain = size > 1 && copy[size - 1] == '}' && memchr("{[", copy[0], 2);
    struct json j;
    struct json_token t;
    uint32_t i = 0, tokens = 0, open[DEPTH];
    unsigned deepest = 0;
    json_init(&j, DEPTH);
    while (json_next(&j, &in, &t) == NET_OK) {
        if (t.depth >= deepest) deepest = t.depth + 1u;
        tokens += 2;
        if (!good) continue;
        same_token(&x, copy, &i, &t);
        if (t.type == JSON_OBJECT || t.type == JSON_ARRAY) open[t.depth] = i - 1;
        bool ends = t.type == JSON_OBJECT_END || t.type == JSON_ARRAY_END;
        if (ends) REQUIRE(x.close[open[t.depth]] == i - 1);
    }
    if (good) REQUIRE(i == x.count);
    bool fits = tokens < JSON_INDEX_TOKENS - JSON_INDEX_GROUP && deepest <= JSON_INDEX_DEPTH;
    REQUIRE(good || !accepted || !plain || !fits);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"scalar", "sse2", "avx2", "avx512"};
    static const uint64_t skips[] = {0, 1, 2, 4, 0x6DB6DB6DB6DB6DB6, ~UINT64_C(0)};
    bool wanted = reference_accepts(data, size);
    size_t stride = size > CUTS_ALL ? size / CUTS_ALL * 8 + 7 : 1;
    for (size_t s = 0; s < COUNT(skips); s++) {
        struct answer first = {0};
        for (size_t i = 0; i < COUNT(names); i++) {
            if (!json_simd_use(names[i])) continue;
            if (s == 0) check_index(data, size, wanted);
            struct answer whole = scan(data, size, size, 0, skips[s]);
            REQUIRE(whole.accepted == wanted);
            if (i > 0) REQUIRE(same(first, whole));
            first = whole;
            REQUIRE(same(whole, scan(data, size, 0, 1, skips[s])));
            REQUIRE(same(whole, scan(data, size, 0, 1 + size % 67, skips[s])));
            for (size_t cut = s + i; cut < size; cut += stride * (1 + i)) {
                REQUIRE(same(whole, scan(data, size, cut, 0, skips[s])));
            }
        }
    }
    struct answer walk = scan(data, size, size, 0, 0);
    struct answer skip = scan(data, size, size, 0, ~UINT64_C(0));
    REQUIRE(walk.error == skip.error && walk.at == skip.at);
    return 0;
}
