/* tokens.c - see tokens.h.
 * Model: vocabularies are made of byte pairs inside of pieces: a word with the blank or mark
 * before it, three digits, a run of marks, a run of blanks. So pieces are counted by what they
 * look like, and each kind has a price in tokens, fitted once (tokens.def). What a word costs
 * depends on its length and on its language: the vocabulary has most English words whole and
 * others in parts. Which it is, short words tell that nearly every sentence has.
 * Most of a prompt are words of small letters with one blank before each: those are measured 16
 * bytes at a time, all else a byte at a time.
 * Rule: the text may be cut anywhere and hold any bytes: nothing outside of it is read. */
#include "route/tokens.h"
#include "route/features.h"

#include <endian.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum class {
    O,      /* marks, controls, parts of characters */
    L, U,   /* letters of ASCII, small and capital */
    D,      /* digits */
    B, N,   /* blanks, line ends */
    E,      /* a backslash: what is meant follows */
    W       /* begins a character of two bytes or more */
};

static const uint8_t classes[256] = {
    O, O, O, O, O, O, O, O, O, B, N, O, O, N, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O,
    O, O, B, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, D, D, D, D, D, D, D, D, D, D, O, O,
    O, O, O, O, O, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U,
    U, O, E, O, O, O, O, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L,
    L, L, L, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O,
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O,
    O, O, O, O, O, O, O, O, O, O, O, O, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
    W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
    W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
};

/* Letters of other scripts; what is in none is a sign. */
enum script { LATIN, GREEK, CYRILLIC, HEBREW, ARABIC, INDIC, THAI, HANGUL, KANA, HAN, STOP,
              SIGN, PICTURE };

static enum script script_of(uint32_t code)
{
    static const struct { uint32_t end; uint8_t script; } ranges[] = {
        {0x250, LATIN}, {0x370, SIGN}, {0x400, GREEK}, {0x530, CYRILLIC}, {0x590, SIGN},
        {0x600, HEBREW}, {0x780, ARABIC}, {0x900, SIGN}, {0xE00, INDIC}, {0xF00, THAI},
        {0x1100, INDIC}, {0x1200, HANGUL}, {0x1E00, INDIC}, {0x1F00, LATIN}, {0x2000, GREEK},
        {0x3000, SIGN}, {0x3040, STOP}, {0x3100, KANA}, {0x3400, SIGN}, {0xA000, HAN},
        {0xAC00, SIGN}, {0xD7B0, HANGUL}, {0xF900, SIGN}, {0xFB00, HAN}, {0xFF00, SIGN},
        {0xFF66, STOP}, {0xFFA0, KANA}, {0x1F000, SIGN}, {0x20000, PICTURE}, {0x40000, HAN},
    };
    if (code < 0xC0) return code == 0xAA || code == 0xB5 || code == 0xBA ? LATIN : SIGN;
    size_t first = 0, last = COUNT(ranges);
    while (first < last) {
        size_t half = (first + last) / 2;
        if (code < ranges[half].end) last = half;
        else first = half + 1;
    }
    return first < COUNT(ranges) ? (enum script)ranges[first].script : SIGN;
}

struct scan {
    const char *at, *end;       /* borrows */
    struct tokens *t;
    bool mark;                  /* a single mark stands right before what comes, */
    bool glued;                 /* a word or number does, */
    bool marked;                /* marks do, and a line end comes: it is theirs */
};

static uint32_t hex4(const char *p)
{
    uint32_t code = 0;
    for (unsigned i = 0; i < 4; i++) {
        char c = byte_lower(p[i]);
        unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0')
                       : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10) : 16;
        if (digit == 16) return 0xFFFD;
        code = code << 4 | digit;
    }
    return code;
}

/* The character that begins at s->at, which is W or E, and its length. */
static uint32_t wide_at(const struct scan *s, unsigned *len)
{
    size_t left = (size_t)(s->end - s->at);
    unsigned char c = (unsigned char)s->at[0];
    if (c == '\\') {
        *len = left < 2 ? 1 : 2;
        if (left < 2) return '\\';
        switch (s->at[1]) {
        case 'n': case 'r': return '\n';
        case 't': return '\t';
        case 'b': case 'f': return 0;
        default: if (s->at[1] != 'u' || left < 6) return (unsigned char)s->at[1];
        }
        *len = 6;
        uint32_t code = hex4(s->at + 2);
        if ((code & 0xFC00) != 0xD800) return code;
        if (left < 12 || s->at[6] != '\\' || s->at[7] != 'u') return 0xFFFD;
        *len = 12;
        return 0x10000 + ((code - 0xD800) << 10) + ((hex4(s->at + 8) - 0xDC00) & 0x3FF);
    }
    unsigned want = c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    *len = want > left ? (unsigned)left : want;
    uint32_t code = c & (0x7Fu >> want);
    for (unsigned i = 1; i < *len; i++) code = code << 6 | ((unsigned char)s->at[i] & 0x3F);
    return code;
}

/* What begins at s->at, if that is no plain ASCII: its class, code point and length. */
static enum class look_wide(const struct scan *s, uint32_t *code, unsigned *len)
{
    *code = wide_at(s, len);
    if (*code >= 0x80) return W;
    return classes[*code] == E ? O : (enum class)classes[*code];
}

/* What begins at s->at: its class and length. */
static inline enum class look(const struct scan *s, unsigned *len)
{
    enum class is = classes[(unsigned char)*s->at];
    uint32_t code;
    *len = 1;
    return is < E ? is : look_wide(s, &code, len);
}

/* The price goes to the sum at once: sums need no second pass, and parts add up. */
static inline void count(struct scan *s, unsigned kind, unsigned n)
{
    static const int32_t price[TOKENS_KINDS][TOKENS_COSTS] = {
#define WORD(kind, price) (TOKENS_##kind <= TOKENS_LETTERS_MORE ? (price) : 0)
#define KIND(name, english, near, far)                                                       \
    {WORD(name, english), WORD(name, near), WORD(name, far), (english) - WORD(name, english)},
#include "route/tokens.def"
#undef KIND
#undef WORD
    };
    int32_t *cost = s->t->cost;
    for (unsigned i = 0; i < TOKENS_COSTS; i++) cost[i] += (int32_t)n * price[kind][i];
}

#define FOUR(a, b, c, d) \
    ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
#define IS2(a, b) case FOUR(a, b, 0, 0):
#define IS3(a, b, c) case FOUR(a, b, c, 0):
#define IS4(a, b, c, d) case FOUR(a, b, c, d):

/* What a small word of two to four letters tells of its language. */
static void take_small_word(struct scan *s, uint32_t word)
{
    switch (word) {
    IS3('t', 'h', 'e') IS2('o', 'f') IS3('a', 'n', 'd') IS2('t', 'o') IS4('t', 'h', 'a', 't')
    IS2('i', 't') IS3('f', 'o', 'r') IS4('w', 'i', 't', 'h') IS4('t', 'h', 'i', 's')
    IS3('y', 'o', 'u') IS3('n', 'o', 't') IS4('f', 'r', 'o', 'm') IS2('b', 'y') IS2('o', 'r')
    IS3('c', 'a', 'n') IS2('i', 'f') IS4('h', 'a', 'v', 'e') IS4('w', 'i', 'l', 'l')
    IS2('b', 'e') IS3('a', 'r', 'e') IS4('y', 'o', 'u', 'r') IS4('w', 'h', 'a', 't')
    IS3('h', 'a', 's') IS3('b', 'u', 't')
        s->t->language[TOKENS_ENGLISH]++;
        return;
    IS2('d', 'e') IS2('l', 'a') IS3('q', 'u', 'e') IS2('e', 'l') IS3('l', 'o', 's')
    IS3('u', 'n', 'a') IS3('p', 'o', 'r') IS3('c', 'o', 'n') IS4('p', 'a', 'r', 'a')
    IS3('l', 'e', 's') IS3('d', 'e', 's') IS2('l', 'e') IS2('d', 'u') IS3('e', 's', 't')
    IS2('e', 't') IS3('u', 'n', 'e') IS3('p', 'a', 's') IS4('p', 'o', 'u', 'r')
    IS3('d', 'e', 'r') IS3('d', 'a', 's') IS3('u', 'n', 'd') IS3('i', 's', 't')
    IS3('v', 'o', 'n') IS3('m', 'i', 't') IS3('d', 'e', 'n') IS2('z', 'u') IS3('e', 'i', 'n')
    IS3('d', 'e', 'm') IS3('d', 'o', 's') IS2('e', 'm') IS2('u', 'm') IS2('u', 'n')
    IS3('s', 'u', 'r') IS3('a', 'u', 'x') IS3('s', 'i', 'e') IS3('a', 'u', 'f')
    IS3('l', 'a', 's') IS4('c', 'o', 'm', 'o') IS4('m', 'a', 'i', 's') IS2('o', 'u')
        s->t->language[TOKENS_NEAR]++;
        return;
    IS2('i', 'l') IS2('d', 'i') IS3('c', 'h', 'e') IS3('d', 'e', 'l') IS3('n', 'o', 'n')
    IS3('v', 'a', 'n') IS3('h', 'e', 't') IS3('e', 'e', 'n') IS2('n', 'a') IS3('n', 'i', 'e')
    IS2('j', 'e') IS3('o', 'c', 'h') IS3('a', 't', 't') IS3('s', 'o', 'm') IS3('d', 'e', 't')
    IS2('a', 'v') IS3('t', 'i', 'l') IS2('j', 'a') IS2('o', 'g') IS2('v', 'e')
    IS3('b', 'i', 'r') IS2('s', 'e') IS2('s', 'i') IS2('d', 'a') IS4('y', 'a', 'n', 'g')
    IS3('d', 'a', 'n') IS4('h', 'o', 'g', 'y') IS4('v', 'o', 'o', 'r') IS2('z', 'e')
    IS4('j', 'e', 's', 't') IS2('o', 'd') IS3('m', 'e', 'd') IS4('i', 'k', 'k', 'e')
    IS2('a', 'z') IS3('e', 'g', 'y') IS2('e', 'i')
        s->t->language[TOKENS_FAR]++;
        return;
    default: return;
    }
}

/* Pass over plain bytes of a class; gives how many. */
static inline unsigned plain_run(struct scan *s, enum class wanted)
{
    const char *at = s->at, *start = at;
    while (at < s->end && classes[(unsigned char)*at] == wanted) at++;
    s->at = at;
    return (unsigned)(at - start);
}

/* Pass over bytes of a class, the first of which is escaped. */
static unsigned escaped_run(struct scan *s, enum class wanted)
{
    unsigned n = 0, len;
    uint32_t code;
    while (s->at < s->end && classes[(unsigned char)*s->at] >= E &&
           look_wide(s, &code, &len) == wanted) {
        s->at += len;
        n += 1 + plain_run(s, wanted);
    }
    return n;
}

static inline unsigned run(struct scan *s, enum class wanted)
{
    unsigned n = plain_run(s, wanted);
    if (s->at == s->end || classes[(unsigned char)*s->at] < E) return n;
    return n + escaped_run(s, wanted);
}

/* Letters of a Latin word that are not plain: gives how many. *accents: those beyond ASCII;
 * *far: some are of languages that the vocabulary knows less. */
static unsigned wide_run(struct scan *s, unsigned *accents, bool *far)
{
    unsigned n = 0, len;
    uint32_t code;
    while (s->at < s->end && classes[(unsigned char)*s->at] >= E) {
        enum class is = look_wide(s, &code, &len);
        if (is != L && is != U && (is != W || script_of(code) != LATIN)) break;
        *far = *far || code >= 0x100 || code == 0xE5 || code == 0xE6 || code == 0xF8;
        *accents += is == W;
        s->at += len;
        n++;
    }
    return n;
}

/* The letters of a small word, small. */
static uint32_t small_word(const char *at, unsigned n)
{
    uint32_t word = 0;
    for (unsigned i = 0; i < n; i++) word |= (uint32_t)(unsigned char)(at[i] | 0x20) << 8 * i;
    return word;
}

/* A word of Latin letters: capitals end it behind small ones. */
static void take_word(struct scan *s)
{
    const char *start = s->at;
    bool far = false;
    unsigned capitals = plain_run(s, U), n = capitals + plain_run(s, L), wide = 0, accents = 0;
    if (s->at < s->end && classes[(unsigned char)*s->at] >= E) {
        for (unsigned more; (more = wide_run(s, &accents, &far)) > 0; wide += more) {
            n += more + plain_run(s, L);
        }
    }
    assert(n > 0);
    count(s, TOKENS_WORD_1 + (n > 10 ? 9 : n - 1), 1);
    if (n > 10) count(s, TOKENS_LETTERS_MORE, n - 10);
    if (capitals == 1 && n > 1) count(s, TOKENS_CAPITAL, 1);
    if (capitals > 1) {
        count(s, TOKENS_SHOUT, 1);
        count(s, TOKENS_SHOUT_LETTERS, capitals);
    }
    if (accents) {
        count(s, TOKENS_ACCENT, accents);
        s->t->language[far ? TOKENS_FAR : TOKENS_NEAR]++;
    } else if (n >= 2 && n <= 4 && capitals < 2 && wide == 0) {
        take_small_word(s, small_word(start, n));
    }
    if (s->glued) count(s, TOKENS_GLUED, 1);
    if (s->mark) count(s, TOKENS_MARK_GLUED, 1);
}

/* How many of the 16 bytes at p are small letters, before the first that is none. */
static inline unsigned small_run(const char *p)
{
#if defined(__SSE2__)
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i from_a = _mm_sub_epi8(x, _mm_set1_epi8('a'));
    __m128i within = _mm_min_epu8(from_a, _mm_set1_epi8('z' - 'a'));
    unsigned small = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(within, from_a));
    return (unsigned)__builtin_ctz(~small);
#else
    unsigned n = 0;
    while (n < 16 && classes[(unsigned char)p[n]] == L) n++;
    return n;
#endif
}

/* What is met most: words of at most ten small letters, each behind one blank. */
static void take_plain_words(struct scan *s)
{
    enum { READ = 17, LONGEST = 10 };
    const char *from = s->at;
    while (s->end - s->at >= READ && *s->at == ' ') {
        unsigned n = small_run(s->at + 1);
        if (n == 0 || n > LONGEST || classes[(unsigned char)s->at[1 + n]] >= E) break;
        count(s, TOKENS_WORD_1 + n - 1, 1);
        if (n >= 2 && n <= 4) {
            uint32_t four;
            memcpy(&four, s->at + 1, sizeof four);
            take_small_word(s, le32toh(four) & UINT32_MAX >> (32 - 8 * n));
        }
        s->at += 1 + n;
    }
    if (s->at == from) return;
    s->mark = s->marked = false;
    s->glued = true;
}

/* Letters of another script: a word, or where there are none, each for itself. */
static void take_letters(struct scan *s, enum script script)
{
    static const uint8_t kinds[] = {
        [GREEK] = TOKENS_GREEK, [CYRILLIC] = TOKENS_CYRILLIC, [HEBREW] = TOKENS_HEBREW,
        [ARABIC] = TOKENS_ARABIC, [INDIC] = TOKENS_INDIC, [THAI] = TOKENS_THAI,
        [HANGUL] = TOKENS_HANGUL, [KANA] = TOKENS_KANA, [HAN] = TOKENS_HAN,
        [STOP] = TOKENS_STOP, [SIGN] = TOKENS_SIGN, [PICTURE] = TOKENS_PICTURE,
    };
    enum { FREE = 4 };  /* letters of a Cyrillic word that the word's price holds */
    unsigned n = 0, len;
    uint32_t code;
    while (s->at < s->end && classes[(unsigned char)*s->at] >= E &&
           look_wide(s, &code, &len) == W && script_of(code) == script) {
        s->at += len;
        n++;
    }
    assert(n > 0 && script != LATIN);
    bool words = script < KANA;
    count(s, kinds[script], words ? 1 : n);
    unsigned more = script != CYRILLIC ? n : n > FREE ? n - FREE : 0;
    if (words) count(s, kinds[script] + 1u, more);
}

/* Blanks and line ends: a line end takes the blanks before it; the last blank goes to the word
 * behind it. */
static void take_blanks(struct scan *s)
{
    unsigned n = run(s, B), lines = 0, ends, len;
    while (s->at < s->end && (ends = run(s, N)) > 0) {
        lines += ends;
        n = run(s, B);
    }
    if (lines > 0 && !s->marked) count(s, TOKENS_LINE, 1);
    if (n > 1) count(s, TOKENS_BLANKS, 1);
    if (n == 1 && s->at < s->end && look(s, &len) == D) count(s, TOKENS_BLANK_NUMBER, 1);
    s->marked = false;
}

static void take_marks(struct scan *s)
{
    unsigned plain = plain_run(s, O), quotes = escaped_run(s, O), n = plain + quotes, len;
    enum class next = s->at < s->end ? look(s, &len) : N;
    s->marked = next == N;
    s->mark = n == 1 && (next == L || next == U);
    if (s->marked) count(s, TOKENS_MARK_LINE, 1);
    if (s->mark) return;  /* a piece with the word */
    unsigned kind = n == 1 ? TOKENS_MARK : n == 2 ? TOKENS_MARKS_2 : TOKENS_MARKS_3;
    if (quotes > 0) kind += TOKENS_QUOTE - TOKENS_MARK;
    count(s, kind, 1);
    if (n > 3) count(s, quotes > 0 ? TOKENS_QUOTES_MORE : TOKENS_MARKS_MORE, n - 3);
}

/* What is not plain: a letter of some script, or an escape of something plain. */
static enum class take_wide(struct scan *s)
{
    uint32_t code;
    unsigned len;
    enum class is = look_wide(s, &code, &len);
    if (is != W) return is;
    enum script script = script_of(code);
    if (script == LATIN) return L;
    take_letters(s, script);
    return W;
}

void tokens_look(struct tokens *t, struct bytes text)
{
    if (text.len > TOKENS_LOOK_MAX) text.len = TOKENS_LOOK_MAX;
    if (text.len == 0) return;
    assert(t->bytes <= 63 * TOKENS_LOOK_MAX);  /* no sum overflows */
    struct scan s = {.at = text.ptr, .end = text.ptr + text.len, .t = t};
    t->bytes += (uint32_t)text.len;
    for (;;) {
        take_plain_words(&s);
        if (s.at == s.end) break;
        enum class is = classes[(unsigned char)*s.at];
        if (is == B && s.end - s.at > 1 && classes[(unsigned char)s.at[1]] <= U &&
            classes[(unsigned char)s.at[1]] >= L) {  /* a word's */
            s.at++;
            s.mark = s.glued = s.marked = false;
            is = L;
        }
        if (is >= E) is = take_wide(&s);
        switch (is) {
        case L: case U: take_word(&s); break;
        case D: count(&s, TOKENS_NUMBER, (run(&s, D) + 2) / 3); break;
        case B: case N: take_blanks(&s); break;
        case O: take_marks(&s); break;
        default: break;  /* taken */
        }
        s.glued = is != O && is != B && is != N;
        if (is != O) s.mark = false;
    }
}

uint64_t tokens_seen(const struct tokens *t)
{
    enum { SMALL_WORDS_Q = 2 };  /* half a word says English where no word says anything */
    int64_t evidence = 0, words = 0;
    for (unsigned i = 0; i < TOKENS_LANGUAGES; i++) {
        int64_t weight = SMALL_WORDS_Q * t->language[i] + (i == TOKENS_ENGLISH);
        evidence += weight;
        words += weight * t->cost[i];
    }
    assert(evidence > 0);
    int64_t all = words / evidence + t->cost[TOKENS_LANGUAGES];
    return all > 0 ? (uint64_t)all : 0;
}

uint32_t tokens_ratio(const struct tokens *t)
{
    enum { LEAST = TOKENS_RATIO_ONE / 64, MOST = TOKENS_RATIO_ONE * 2 };
    if (t->bytes == 0) return TOKENS_RATIO_USUAL;
    uint64_t ratio = tokens_seen(t) * (TOKENS_RATIO_ONE / TOKENS_ONE) / t->bytes;
    return ratio < LEAST ? LEAST : ratio > MOST ? MOST : (uint32_t)ratio;
}

/* The ratio of one part, of which head and tail are known; what was seen is added to all. */
static uint32_t part_ratio(struct tokens *all, struct bytes head, struct bytes tail)
{
    struct tokens part = {0};
    tokens_look(&part, head);
    tokens_look(&part, tail);
    all->bytes += part.bytes;
    for (unsigned i = 0; i < TOKENS_COSTS; i++) all->cost[i] += part.cost[i];
    for (unsigned i = 0; i < TOKENS_LANGUAGES; i++) {
        all->language[i] = (uint16_t)(all->language[i] + part.language[i]);
    }
    return tokens_ratio(&part);
}

struct tokens_kept tokens_ask(const struct features_ask *ask)
{
    enum { SURE = 128 };  /* bytes of a question that tell as much as experience does */
    const struct bytes none = {0};
    struct tokens all = {0}, tools = {0};
    uint64_t known = ask->system_bytes + ask->last_bytes;
    uint64_t rest = ask->prompt_bytes > known ? ask->prompt_bytes - known : 0;
    uint32_t last = part_ratio(&all, ask->text[TEXT_LAST], ask->text[TEXT_LAST_TAIL]);
    uint32_t system = TOKENS_RATIO_USUAL;
    uint64_t seen = all.bytes;
    uint32_t answer = (uint32_t)((last * seen + (uint64_t)TOKENS_RATIO_USUAL * SURE) /
                                 (seen + SURE));
    if (rest > 0) (void)part_ratio(&all, ask->text[TEXT_FIRST], none);
    if (ask->system_bytes > 0) system = part_ratio(&all, ask->text[TEXT_SYSTEM], none);
    uint64_t prompt = (uint64_t)tokens_of(ask->last_bytes, last) +
                      tokens_of(ask->system_bytes, system);
    if (rest > 0) prompt += tokens_of(rest, tokens_ratio(&all));
    if (ask->tool_bytes > 0) {
        tokens_look(&tools, ask->text[TEXT_TOOLS]);
        prompt += tokens_of(ask->tool_bytes, tokens_ratio(&tools));
    }
    assert(answer > 0);
    return (struct tokens_kept){prompt > UINT32_MAX ? UINT32_MAX : (uint32_t)prompt, answer};
}
