/* features.c - see features.h.
 * Model: the excerpts of the last user text become one text of at most TEXT_ROOM bytes with
 * its escapes resolved; a bit per byte tells letters, digits, capitals, blanks, line ends;
 * then words are visited from bit to bit. What is rare (punctuation) is looked at byte by byte.
 * Rule: nothing here is asserted about what the text says; every number has a bound. */
#include "route/features.h"
#include "route/word.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum {
    TEXT_ROOM = 576,            /* FEATURES_LAST_MAX, a blank between head and tail, whole
                                   blocks of 64 */
    BLOCKS = TEXT_ROOM / 64,
    TOOLS_ROOM = 832,           /* FEATURES_TOOLS_MAX, the same */
    SEEN_WORDS = 1 << FEATURES_WORD_BITS,
    WORDS_READ = 127,           /* words and numbers: each gives itself and a pair */
};
static_assert(TEXT_ROOM >= FEATURES_LAST_MAX + 1 + WORD_READ && TEXT_ROOM % 64 == 0, "room");
static_assert(TOOLS_ROOM >= FEATURES_TOOLS_MAX + WORD_READ && TOOLS_ROOM % 64 == 0, "room");
static_assert(FEATURES_HEAD_MAX + FEATURES_TAIL_MAX <= FEATURES_LAST_MAX, "fits");

extern const struct word_place word_table[WORD_PLACES];

enum word_group {
    WORD_NONE,
#define G(name, feature) WORD_##name,
#include "route/words.def"
#undef G
    WORD_GROUPS
};

/* One block of 64 bytes: a bit for each byte of a class. */
struct classes { uint64_t letter, upper, digit, blank, line, high; };

struct text {
    size_t len;
    bool cut;                   /* head and tail of something longer */
    struct classes at[TOOLS_ROOM / 64];
    _Alignas(64) char byte[TOOLS_ROOM];
};

/* What every word adds to: apart from what is written by place, so that registers hold it
 * throughout the walk. */
struct tally {
    uint64_t before;            /* hash of the word before; 0: none */
    uint32_t noted;             /* distinct words and pairs */
    uint32_t words, letters, long_words, very_long, capitals, repeats;
};

/* What the walk over the words counts. */
struct walk {
    const struct text *t;
    struct features *out;
    const uint64_t *tool_seen;  /* words of the tools, a bit each; NULL: no tools */
    uint32_t group[WORD_GROUPS];
    struct tally sum;
    uint32_t numbers, number_digits, decimals, percents;
    uint32_t content, overlap;  /* words that mean something, and of those known to tools */
    uint8_t first[4];           /* groups of the first keywords that name a task */
    uint8_t first_count;
    uint64_t seen[SEEN_WORDS / 64];
};

/* Punctuation, and what lines look like. */
struct marks {
    uint32_t punctuation, math, brackets, backslashes, dollars, questions, quotes;
    uint32_t fences, code, blanks, ends;
    uint32_t options, option_bytes, option_digits, stem_bytes, listed;
    uint64_t label[BLOCKS];     /* bits of the labels of options: no words */
};

/* --- the text, escapes resolved */

static unsigned hex(char c)
{
    if (c >= '0' && c <= '9') return (unsigned)(c - '0');
    c = byte_lower(c);
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10) : 16;
}

/* Four hex digits of in at i; 0x10000 where they are not all there. */
static unsigned hex4(struct bytes in, size_t i)
{
    unsigned code = 0;
    if (i + 4 > in.len) return 0x10000;
    for (size_t k = 0; k < 4; k++) {
        unsigned digit = hex(in.ptr[i + k]);
        if (digit > 15) return 0x10000;
        code = code << 4 | digit;
    }
    return code;
}

static size_t put_utf8(char *out, unsigned code)
{
    if (code < 0x80) {
        out[0] = code ? (char)code : ' ';
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; code >>= 6) out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)((0xf00 >> n & 0xf0) | code);
    return n;
}

/* Resolve the escape whose backslash is at in.ptr[i]; gives the bytes written and moves *i
 * behind it. One that a cut goes through gives nothing and ends the text. */
static size_t put_escape(struct bytes in, size_t *i, char *out)
{
    static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/  \n\n\t";
    size_t at = *i + 1;
    *i = in.len;
    if (at >= in.len) return 0;
    if (in.ptr[at] != 'u') {
        const char *p = memchr(plain, in.ptr[at], sizeof plain - 1);
        *i = at + 1;
        *out = p ? meant[p - plain] : in.ptr[at];
        return 1;
    }
    unsigned code = hex4(in, at + 1);
    if (code > 0xffff) return 0;
    *i = at + 5;
    if (code < 0xd800 || code > 0xdfff) return put_utf8(out, code);
    if (code < 0xdc00 && *i + 1 < in.len && in.ptr[*i] == '\\' && in.ptr[*i + 1] == 'u') {
        unsigned low = hex4(in, *i + 2);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *i += 6;
            return put_utf8(out, 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
        }
    }
    return put_utf8(out, 0xfffd);
}

/* Append in, escapes resolved: never longer than it was. */
static void text_add(struct text *t, struct bytes in)
{
    assert(t->len + in.len <= sizeof t->byte - WORD_READ);
    for (size_t i = 0; i < in.len;) {
        size_t plain = bytes_find((struct bytes){in.ptr + i, in.len - i}, '\\');
        memcpy(t->byte + t->len, in.ptr + i, plain);
        t->len += plain;
        i += plain;
        if (i < in.len) t->len += put_escape(in, &i, t->byte + t->len);
    }
    assert(t->len <= sizeof t->byte - WORD_READ);
}

static struct bytes head_of(struct bytes a, size_t max)
{
    return (struct bytes){a.ptr, a.len < max ? a.len : max};
}

/* The last max bytes, beginning with a whole character. */
static struct bytes tail_of(struct bytes a, size_t max)
{
    if (a.len > max) bytes_cut(&a, a.len - max);
    for (int i = 0; i < 3 && a.len > 0 && ((unsigned char)*a.ptr & 0xc0) == 0x80; i++) {
        bytes_cut(&a, 1);
    }
    return a;
}

static bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

/* Blanks around a text mean nothing. */
static void text_trim(struct text *t)
{
    size_t begin = 0;
    while (t->len > 0 && is_blank(t->byte[t->len - 1])) t->len--;
    while (begin < t->len && is_blank(t->byte[begin])) begin++;
    if (begin > 0) memmove(t->byte, t->byte + begin, t->len - begin);
    t->len -= begin;
}

#if defined(__SSE2__)
/* A bit per byte of x that lies in from..to. */
static int range16(__m128i x, unsigned char from, unsigned char to)
{
    __m128i low = _mm_sub_epi8(x, _mm_set1_epi8((char)from));
    __m128i in = _mm_min_epu8(low, _mm_set1_epi8((char)(to - from)));
    return _mm_movemask_epi8(_mm_cmpeq_epi8(in, low));
}

/* The quarter of a class's bits that are of 16 bytes. */
static void put16(uint64_t *bits, unsigned quarter, int from)
{
    uint16_t value = (uint16_t)from;
    memcpy((char *)bits + quarter * sizeof value, &value, sizeof value);
}

static void classify(const char *at, struct classes *c)
{
    uint64_t small;             /* bit 5 is set: of letters, those in lower case */
    for (unsigned i = 0; i < 4; i++) {
        __m128i x = _mm_load_si128((const __m128i *)(const void *)(at + i * 16));
        __m128i blank = _mm_min_epu8(x, _mm_set1_epi8(' '));
        put16(&c->letter, i, range16(_mm_or_si128(x, _mm_set1_epi8(0x20)), 'a', 'z'));
        put16(&small, i, _mm_movemask_epi8(_mm_slli_epi16(x, 2)));
        put16(&c->digit, i, range16(x, '0', '9'));
        put16(&c->blank, i, _mm_movemask_epi8(_mm_cmpeq_epi8(blank, x)));
        put16(&c->line, i, _mm_movemask_epi8(_mm_cmpeq_epi8(x, _mm_set1_epi8('\n'))));
        put16(&c->high, i, _mm_movemask_epi8(x));
    }
    c->upper = c->letter & ~small;
}
#else
static void classify(const char *at, struct classes *c)
{
    *c = (struct classes){0};
    for (unsigned i = 0; i < 64; i++) {
        unsigned char b = (unsigned char)at[i], lower = b | 0x20;
        c->letter |= (uint64_t)(lower >= 'a' && lower <= 'z') << i;
        c->upper |= (uint64_t)(b >= 'A' && b <= 'Z') << i;
        c->digit |= (uint64_t)(b >= '0' && b <= '9') << i;
        c->blank |= (uint64_t)(b <= ' ') << i;
        c->line |= (uint64_t)(b == '\n') << i;
        c->high |= (uint64_t)(b >= 0x80) << i;
    }
}
#endif

/* The text is complete: blanks behind it up to a whole block, and the classes. */
static void text_done(struct text *t)
{
    size_t blocks = (t->len + WORD_READ) / 64 + 1;
    assert(blocks * 64 <= sizeof t->byte);
    memset(t->byte + t->len, ' ', blocks * 64 - t->len);
    for (size_t i = 0; i < blocks; i++) classify(t->byte + i * 64, &t->at[i]);
}

static size_t text_blocks(const struct text *t) { return (t->len + 63) / 64; }

/* --- punctuation and lines */

static void mark_byte(struct marks *m, const struct text *t, size_t at)
{
    char c = t->byte[at], before = at > 0 ? t->byte[at - 1] : ' ';
    char after = at + 1 < t->len ? t->byte[at + 1] : ' ';
    m->punctuation++;
    switch (c) {
    case '+': case '*': case '/': case '^': case '<': case '%': m->math++; break;
    case '-': if (is_blank(before) && after != '-') m->math++; break;
    case '>': m->math++, m->code += before == '='; break;
    case '=': m->math++, m->code += after == '='; break;
    case '(': case '[': case '{': m->brackets++; break;
    case '}': case ']': m->brackets++; break;
    case ')': m->brackets++, m->code += before == '('; break;
    case '\\': m->backslashes++; break;
    case '$': m->dollars++; break;
    case '?': m->questions++, m->ends++; break;
    case '"': case '\'': m->quotes++; break;
    case '`': m->fences += before == '`' && after == '`'; break;
    case '_': m->blanks += before != '_' && (after == '_' || is_blank(after)); break;
    case ';': m->code += after == '\n'; break;
    case '.': case '!': case ':': m->ends += is_blank(after); break;
    default: break;
    }
}

/* Length of an option's label ("B. ", "(c) ", "12) ", "D: ") at the start of a line, or 0. */
static size_t label_len(const char *at, size_t len)
{
    size_t i = 0, from;
    while (i < len && i < 4 && at[i] == ' ') i++;
    if (i < len && at[i] == '(') i++;
    from = i;
    if (i < len && byte_lower(at[i]) >= 'a' && byte_lower(at[i]) <= 'z') i++;
    else while (i < len && i < from + 2 && at[i] >= '0' && at[i] <= '9') i++;
    if (i == from || i + 1 >= len) return 0;
    if (at[i] != '.' && at[i] != ')' && at[i] != ':') return 0;
    return at[i + 1] == ' ' ? i + 2 : 0;
}

/* One line of the text, from begin up to, not including, end. */
static void mark_line(struct marks *m, const struct text *t, size_t begin, size_t end)
{
    const char *at = t->byte + begin;
    size_t len = end - begin, label = label_len(at, len);
    if (label == 0) {
        if (m->options == 0) m->stem_bytes = (uint32_t)end;
        if (len > 2 && (at[0] == '-' || at[0] == '*') && at[1] == ' ') m->listed++;
        return;
    }
    m->options++;
    m->option_bytes += (uint32_t)(len - label);
    for (size_t i = begin; i < begin + label; i++) m->label[i / 64] |= UINT64_C(1) << i % 64;
    for (size_t i = begin + label; i < end; i++) {
        m->option_digits += (uint32_t)(t->at[i / 64].digit >> i % 64 & 1);
    }
}

/* Lines, and then what stands in them; the labels of options are in neither. */
static void mark_text(struct marks *m, const struct text *t)
{
    size_t begin = 0, blocks = text_blocks(t);
    for (size_t b = 0; b < blocks; b++) {
        for (uint64_t line = t->at[b].line; line; line &= line - 1) {
            size_t end = b * 64 + (size_t)__builtin_ctzll(line);
            if (end >= t->len) break;
            mark_line(m, t, begin, end);
            begin = end + 1;
        }
    }
    mark_line(m, t, begin, t->len);
    for (size_t b = 0; b < blocks; b++) {
        const struct classes *c = &t->at[b];
        uint64_t other = ~(c->letter | c->digit | c->blank | c->high | m->label[b]);
        for (; other; other &= other - 1) {
            mark_byte(m, t, b * 64 + (size_t)__builtin_ctzll(other));
        }
    }
}

/* --- words */

/* Group of a word, WORD_NONE for most: all tags of its place are compared at once. The lowest
 * zero is found exactly, and no two tags of a place are equal. */
static inline enum word_group word_group(uint64_t hash)
{
    static_assert(WORD_SHARED == 4, "tags are one number, and so are groups");
    const struct word_place *p = &word_table[word_place(hash)];
    const uint64_t ones = 0x0001000100010001u;
    uint64_t tags;
    uint32_t groups;
    memcpy(&tags, p->tag, sizeof tags);
    memcpy(&groups, p->group, sizeof groups);
    tags ^= word_tag(hash) * ones;
    uint64_t zero = (tags - ones) & ~tags & ones << 15;
    if (zero == 0) return WORD_NONE;
    return (enum word_group)(groups >> (__builtin_ctzll(zero) >> 4) * 8 & 0xff);
}

/* Note a word, or a pair of words, once: 0. 1 when it came before. */
static inline uint32_t walk_note(struct walk *w, struct tally *sum, uint64_t hash)
{
    uint32_t place = (uint32_t)(hash >> 20) % SEEN_WORDS;
    uint64_t bits = w->seen[place / 64];
    uint32_t before = (uint32_t)(bits >> place % 64) & 1;
    w->seen[place / 64] = bits | UINT64_C(1) << place % 64;
    w->out->word[sum->noted] = (uint16_t)place;
    sum->noted += 1 - before;
    return before;
}

static inline void walk_pair(struct walk *w, struct tally *sum, uint64_t hash)
{
    if (sum->before) {
        uint64_t pair = (sum->before ^ (hash << 21 | hash >> 43)) * 0x9fb21c651e98df25u;
        walk_note(w, sum, pair ^ pair >> 35);
    }
    sum->before = hash;
}

static inline void walk_word(struct walk *w, struct tally *sum, size_t at, size_t len)
{
    uint64_t hash = word_hash(w->t->byte + at, len);
    enum word_group group = word_group(hash);
    sum->words++;
    sum->letters += (uint32_t)len;
    sum->long_words += len >= 7;
    sum->very_long += len >= 10;
    sum->capitals += (uint32_t)((unsigned)w->t->byte[at] - 'A' < 26);
    w->group[group]++;
    if (group >= WORD_CALCULATE && group <= WORD_PUZZLE && w->first_count < COUNT(w->first)) {
        w->first[w->first_count++] = (uint8_t)group;
    }
    if (w->tool_seen && len >= 4 && group == WORD_NONE) {
        uint32_t place = (uint32_t)(hash >> 20) % SEEN_WORDS;
        w->content++;
        w->overlap += (uint32_t)(w->tool_seen[place / 64] >> place % 64 & 1);
    }
    sum->repeats += walk_note(w, sum, hash);
    walk_pair(w, sum, hash);
}

static inline void walk_number(struct walk *w, struct tally *sum, size_t at, size_t len)
{
    const char *text = w->t->byte;
    bool goes_on = at > 1 && (text[at - 1] == '.' || text[at - 1] == ',') &&
                   text[at - 2] >= '0' && text[at - 2] <= '9';
    if (goes_on) w->decimals += text[at - 1] == '.';
    else w->numbers++;
    w->percents += text[at + len] == '%';
    if (len > w->number_digits) w->number_digits = (uint32_t)len;
    uint64_t hash = (0x517cc1b727220a95u + len) * 0x2545f4914f6cdd1du;
    walk_note(w, sum, hash);
    walk_pair(w, sum, hash);
}

/* Where runs of letters (and of bytes beyond ASCII), and runs of digits, begin and end. */
struct runs {
    size_t starts, ends;
    uint16_t start[TOOLS_ROOM], last[TOOLS_ROOM];
};

static size_t positions(uint64_t bits, size_t base, uint16_t *out, size_t count)
{
    for (; bits; bits &= bits - 1) {
        out[count++] = (uint16_t)(base + (size_t)__builtin_ctzll(bits));
    }
    return count;
}

/* All runs but those of the bytes hidden (NULL: none), which are labels of options. */
static void runs_find(struct runs *r, const struct text *t, const uint64_t *hidden)
{
    size_t blocks = text_blocks(t);
    uint64_t letter_before = 0, digit_before = 0;
    r->starts = r->ends = 0;
    for (size_t b = 0; b < blocks; b++) {
        const struct classes *c = &t->at[b];
        uint64_t shown = hidden ? ~hidden[b] : ~UINT64_C(0);
        uint64_t letter = (c->letter | c->high) & shown, digit = c->digit & shown;
        uint64_t letter_next = 0, digit_next = 0;
        if (b + 1 < blocks) {
            uint64_t next = hidden ? ~hidden[b + 1] : ~UINT64_C(0);
            letter_next = ((c[1].letter | c[1].high) & next) << 63;
            digit_next = (c[1].digit & next) << 63;
        }
        uint64_t starts = (letter & ~(letter << 1 | letter_before)) |
                          (digit & ~(digit << 1 | digit_before));
        uint64_t lasts = (letter & ~(letter >> 1 | letter_next)) |
                         (digit & ~(digit >> 1 | digit_next));
        letter_before = letter >> 63;
        digit_before = digit >> 63;
        r->starts = positions(starts, b * 64, r->start, r->starts);
        r->ends = positions(lasts, b * 64, r->last, r->ends);
    }
    assert(r->starts == r->ends && r->starts <= TOOLS_ROOM);
}

/* Visit words and numbers, the first WORDS_READ of them. */
static void walk_text(struct walk *w, const uint64_t *hidden)
{
    const struct text *t = w->t;
    struct runs r;
    runs_find(&r, t, hidden);
    size_t count = r.starts < WORDS_READ ? r.starts : WORDS_READ;
    struct tally sum = {.noted = w->out->word_count};
    for (size_t i = 0; i < count; i++) {
        size_t at = r.start[i], len = r.last[i] + 1u - at;
        if ((unsigned)t->byte[at] - '0' < 10) walk_number(w, &sum, at, len);
        else walk_word(w, &sum, at, len);
    }
    w->sum = sum;
    w->out->word_count = (uint16_t)sum.noted;
    assert(w->out->word_count <= FEATURES_WORDS_MAX - 2);
}

/* --- the numbers */

/* 256 * log2(1 + n), straight between powers of two: off by at most 22. */
static int32_t log_of(uint64_t n)
{
    n = n < UINT32_MAX ? n + 1 : (uint64_t)UINT32_MAX;
    int32_t power = 63 - __builtin_clzll(n);
    uint64_t rest = power >= 8 ? n >> (power - 8) : n << (8 - power);
    return power * 256 + (int32_t)(rest & 255);
}

static void put(struct features *out, enum feature at, int32_t value)
{
    out->dense[at] = (int16_t)(value > 16000 ? 16000 : value < -16000 ? -16000 : value);
}

static void put_count(struct features *out, enum feature at, uint32_t n)
{
    put(out, at, (int32_t)(n < 255 ? n : 255));
}

/* n of a whole of which each is worth unit. */
static void put_share(struct features *out, enum feature at, uint32_t n, float unit)
{
    put(out, at, (int32_t)((float)n * unit));
}

/* Set bits; in words, for the oldest processors have no instruction for it. */
static uint32_t bits_of(uint64_t x)
{
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (uint32_t)(x * 0x0101010101010101u >> 56);
}

static float unit_of(uint32_t whole) { return 4096.0f / (float)(whole ? whole : 1); }

static void put_classes(struct features *out, const struct text *t, const struct marks *m)
{
    uint32_t n[6] = {0};
    for (size_t b = 0; b < text_blocks(t); b++) {
        const struct classes *c = &t->at[b];
        uint64_t rest = t->len - b * 64, hidden = ~m->label[b];
        if (rest < 64) hidden &= (UINT64_C(1) << rest) - 1;     /* what fills the block */
        n[0] += bits_of(c->letter & hidden);
        n[1] += bits_of(c->digit & hidden);
        n[2] += bits_of(c->upper & hidden);
        n[3] += bits_of(c->blank & hidden);
        n[4] += bits_of(c->high);
        n[5] += bits_of(c->line);
    }
    float unit = unit_of((uint32_t)t->len);
    put(out, FEATURE_LINES, log_of(n[5]));
    put_share(out, FEATURE_LETTERS, n[0], unit);
    put_share(out, FEATURE_DIGITS, n[1], unit);
    put_share(out, FEATURE_UPPER, n[2], unit);
    put_share(out, FEATURE_SPACES, n[3], unit);
    put_share(out, FEATURE_FOREIGN, n[4], unit);
    put_share(out, FEATURE_PUNCTUATION, m->punctuation, unit);
    put_share(out, FEATURE_MATH_SIGNS, m->math, unit);
    put_share(out, FEATURE_BRACKETS, m->brackets, unit);
    put_share(out, FEATURE_BACKSLASHES, m->backslashes, unit);
    put_share(out, FEATURE_QUOTES, m->quotes, unit);
}

static void put_marks(struct features *out, const struct marks *m)
{
    put_count(out, FEATURE_DOLLARS, m->dollars);
    put_count(out, FEATURE_QUESTIONS, m->questions);
    put_count(out, FEATURE_OPTIONS, m->options);
    put(out, FEATURE_OPTION_CHARS, log_of(m->option_bytes));
    put(out, FEATURE_STEM_CHARS, log_of(m->stem_bytes));
    put_share(out, FEATURE_OPTION_DIGITS, m->option_digits, unit_of(m->option_bytes));
    put_count(out, FEATURE_FENCES, m->fences);
    put_count(out, FEATURE_CODE_SIGNS, m->code);
    put_count(out, FEATURE_BLANKS, m->blanks);
    put_count(out, FEATURE_LISTED, m->listed);
}

static void put_words(struct features *out, const struct walk *w, const struct marks *m)
{
    static const uint8_t feature_of[WORD_GROUPS] = {
        FEATURES,
#define FEATURE_NONE FEATURES
#define G(name, feature) FEATURE_##feature,
#include "route/words.def"
#undef G
#undef FEATURE_NONE
    };
    uint32_t sum[FEATURES + 1] = {0};
    float unit = unit_of(w->sum.words);
    put(out, FEATURE_LOG_WORDS, log_of(w->sum.words));
    put_count(out, FEATURE_NUMBERS, w->numbers);
    put_count(out, FEATURE_NUMBER_DIGITS, w->number_digits);
    put_count(out, FEATURE_DECIMALS, w->decimals);
    put_count(out, FEATURE_PERCENTS, w->percents);
    put(out, FEATURE_WORD_LENGTH,
        (int32_t)(w->sum.letters * 256 / (w->sum.words ? w->sum.words : 1)));
    put_share(out, FEATURE_LONG_WORDS, w->sum.long_words, unit);
    put_share(out, FEATURE_VERY_LONG_WORDS, w->sum.very_long, unit);
    put_share(out, FEATURE_REPEATS, w->sum.repeats, unit);
    put_share(out, FEATURE_CAPITALS, w->sum.capitals, unit);
    put(out, FEATURE_SENTENCE, (int32_t)(w->sum.words * 16 / (m->ends + 1)));
    for (unsigned g = 1; g < WORD_GROUPS; g++) sum[feature_of[g]] += w->group[g];
    for (unsigned i = FEATURE_ASK_WHAT; i < FEATURE_TOOLS; i++) {
        put_count(out, (enum feature)i, sum[i]);
    }
    if (w->tool_seen) {
        put_share(out, FEATURE_TOOL_OVERLAP, w->overlap, unit_of(w->content));
        put_count(out, FEATURE_TOOL_REQUESTS, w->group[WORD_JOIN]);
    }
}

/* --- task and language, by rule */

static enum language script_of(const struct text *t)
{
    uint32_t count[LANGUAGES] = {0};
    for (size_t i = 0; i + 1 < t->len; i++) {
        unsigned char b = (unsigned char)t->byte[i], next = (unsigned char)t->byte[i + 1];
        if (b == 0xd0 || b == 0xd1) count[LANGUAGE_CYRILLIC] += 2;
        else if (b >= 0xd8 && b <= 0xdb) count[LANGUAGE_ARABIC] += 2;
        else if (b == 0xe0 && (next == 0xa4 || next == 0xa5)) count[LANGUAGE_HINDI] += 3;
        else if (b == 0xe3 && next >= 0x81 && next <= 0x83) count[LANGUAGE_JAPANESE] += 12;
        else if (b >= 0xe4 && b <= 0xe9) count[LANGUAGE_CHINESE] += 3;
        else if (b >= 0xea && b <= 0xed) count[LANGUAGE_KOREAN] += 3;
    }
    uint32_t best = LANGUAGE_OTHER, least = (uint32_t)t->len / 8;
    for (uint32_t i = 1; i < LANGUAGES; i++) {
        if (count[i] > least && count[i] > count[best]) best = i;
    }
    return (enum language)best;
}

static enum language language_of(const struct walk *w, const struct features *f)
{
    static const uint8_t group[] = {WORD_ENGLISH, WORD_GERMAN, WORD_FRENCH, WORD_SPANISH,
                                    WORD_ITALIAN, WORD_PORTUGUESE, WORD_DUTCH};
    if (f->dense[FEATURE_FOREIGN] > 4096 / 6) {
        enum language script = script_of(w->t);
        if (script != LANGUAGE_OTHER) return script;
    }
    uint32_t best = 0;
    for (uint32_t i = 1; i < COUNT(group); i++) {
        if (w->group[group[i]] > w->group[group[best]]) best = i;
    }
    if (w->group[group[best]] == 0) {
        return f->dense[FEATURE_FOREIGN] < 200 ? LANGUAGE_ENGLISH : LANGUAGE_OTHER;
    }
    return (enum language)(LANGUAGE_ENGLISH + best);
}

/* The task that the first telling keyword names; TASK_CHAT for none. */
static enum task task_named(const struct walk *w)
{
    static const uint8_t task[WORD_GROUPS] = {
        [WORD_PROVE] = TASK_PROOF, [WORD_PROGRAM] = TASK_CODE, [WORD_WRITE] = TASK_WRITE,
        [WORD_SUMMARISE] = TASK_SUMMARISE, [WORD_CLASSIFY] = TASK_CLASSIFY,
        [WORD_EXTRACT] = TASK_EXTRACT, [WORD_EXPLAIN] = TASK_EXPLAIN,
        [WORD_TRANSLATE] = TASK_TRANSLATE, [WORD_REWRITE] = TASK_REWRITE,
        [WORD_ROLEPLAY] = TASK_ROLEPLAY, [WORD_PUZZLE] = TASK_REASONING,
    };
    for (unsigned i = 0; i < w->first_count; i++) {
        if (task[w->first[i]]) return (enum task)task[w->first[i]];
    }
    return TASK_CHAT;
}

static enum task task_of(const struct walk *w, const struct marks *m)
{
    enum task named = task_named(w);
    uint32_t program = w->group[WORD_PROGRAM], asks = w->group[WORD_ASK_HOW_MANY];
    bool formulas = m->dollars + m->backslashes >= 3 && m->backslashes > 0;
    bool question = m->questions > 0 || w->group[WORD_ASK_WHAT] + w->group[WORD_ASK_WHO] > 0;
    if (m->options >= 3) return TASK_CHOICE;
    if (m->fences > 0 || m->code >= 3 || program >= 3 || (program >= 2 && named == TASK_CODE)) {
        return TASK_CODE;
    }
    if (w->group[WORD_PUZZLE] >= 2) return TASK_REASONING;
    if (named == TASK_PROOF && (formulas || m->math > 0 || w->group[WORD_CALCULATE] > 0)) {
        return TASK_PROOF;
    }
    if (formulas || (w->numbers >= 2 && asks > 0)) return TASK_MATH;
    if (w->group[WORD_CALCULATE] > 0 && w->numbers + m->math >= 2 && named == TASK_CHAT) {
        return TASK_MATH;
    }
    if (m->options == 2) return TASK_CHOICE;
    if (named == TASK_CODE && program < 2 && question) named = TASK_CHAT;
    if (named == TASK_CHAT && question) return TASK_QA;
    return named;
}

/* --- all of it */

static void tools_note(const struct features_ask *ask, uint64_t *seen)
{
    struct text t;
    struct runs r;
    t.len = 0;
    t.cut = false;
    text_add(&t, head_of(ask->text[TEXT_TOOLS], FEATURES_TOOLS_MAX));
    text_done(&t);
    runs_find(&r, &t, NULL);
    for (size_t i = 0; i < r.starts; i++) {
        uint64_t hash = word_hash(t.byte + r.start[i], r.last[i] + 1u - r.start[i]);
        uint32_t place = (uint32_t)(hash >> 20) % SEEN_WORDS;
        seen[place / 64] |= UINT64_C(1) << place % 64;
    }
}

/* The last user text, or its head and tail. */
static void text_last(struct text *t, const struct features_ask *ask)
{
    struct bytes last = ask->text[TEXT_LAST], tail = ask->text[TEXT_LAST_TAIL];
    t->len = 0;
    t->cut = last.len > FEATURES_LAST_MAX || tail.len > 0;
    if (t->cut) {
        text_add(t, head_of(last, FEATURES_HEAD_MAX));
        t->byte[t->len++] = ' ';
        text_add(t, tail_of(tail.len > 0 ? tail : last, FEATURES_TAIL_MAX));
    } else {
        text_add(t, last);
    }
    text_trim(t);
    text_done(t);
}

/* A last turn such as "go on" says little: the first one then tells the task. */
static enum task task_first(const struct features_ask *ask, struct features *scratch)
{
    struct text t;
    struct walk w = {.t = &t, .out = scratch};
    struct marks m = {0};
    t.len = 0;
    t.cut = false;
    text_add(&t, head_of(ask->text[TEXT_FIRST], FEATURES_FIRST_MAX));
    text_trim(&t);
    text_done(&t);
    mark_text(&m, &t);
    walk_text(&w, m.label);
    return task_of(&w, &m);
}

static void put_request(const struct features_ask *ask, const struct text *t,
                        struct features *out)
{
    uint64_t chars = t->len;
    if (t->cut && ask->last_bytes > chars) chars = ask->last_bytes;
    put(out, FEATURE_LOG_CHARS, log_of(chars));
    put(out, FEATURE_CUT, t->cut);
    put_count(out, FEATURE_TOOLS, ask->tool_count);
    put(out, FEATURE_TOOL_BYTES, ask->tool_count ? log_of(ask->tool_bytes) : 0);
    out->effort = ask->effort;
}

/* A word means another thing in another kind of request: "most" in a sum, "most" among
 * options. So each kind has its own order of the same places. */
static void words_apart(struct features *out)
{
    if (out->task != TASK_CHOICE) return;
    uint16_t by = out->dense[FEATURE_OPTIONS] > 5 ? 0x116c : 0x1a35;
    for (unsigned i = 0; i < out->word_count; i++) out->word[i] ^= by;
}

void features_make(const struct features_ask *ask, struct features *out)
{
    struct text t;
    struct walk w = {.t = &t, .out = out};
    struct marks m = {0};
    uint64_t tool_seen[SEEN_WORDS / 64];
    memset(out->dense, 0, sizeof out->dense);
    out->word_count = 0;
    bool tools = ask->tool_count > 0 && ask->tool_choice != TOOLS_NONE;
    if (tools) {
        memset(tool_seen, 0, sizeof tool_seen);
        tools_note(ask, tool_seen);
        w.tool_seen = tool_seen;
    }
    text_last(&t, ask);
    mark_text(&m, &t);
    walk_text(&w, m.label);
    put_request(ask, &t, out);
    put_classes(out, &t, &m);
    put_marks(out, &m);
    put_words(out, &w, &m);
    out->language = (uint8_t)language_of(&w, out);
    enum task task = task_of(&w, &m);
    if (t.len < 48 && (task == TASK_CHAT || task == TASK_QA) && ask->text[TEXT_FIRST].len > 0) {
        struct features scratch = {.word_count = 0};
        enum task first = task_first(ask, &scratch);
        if (first != TASK_CHAT) task = first;
    }
    if (tools) task = ask->tool_turns > 0 ? TASK_AGENT : TASK_TOOLS;
    out->task = (uint8_t)task;
    out->family = (uint8_t)task_family(task);
    if (ask->image_count > 0) out->family = FAMILY_VISION;
    else if (ask->prompt_bytes > 200000) out->family = FAMILY_LONGCTX;
    else if (out->language != LANGUAGE_ENGLISH && out->family == FAMILY_CHAT) {
        out->family = FAMILY_MULTILINGUAL;
    }
    words_apart(out);
    assert(out->word_count <= FEATURES_WORDS_MAX && out->task < TASKS);
}

enum family task_family(enum task task)
{
    static const uint8_t family[TASKS] = {
        [TASK_CHAT] = FAMILY_CHAT, [TASK_QA] = FAMILY_KNOWLEDGE,
        [TASK_CHOICE] = FAMILY_KNOWLEDGE, [TASK_MATH] = FAMILY_MATH,
        [TASK_PROOF] = FAMILY_MATH, [TASK_CODE] = FAMILY_CODE,
        [TASK_REASONING] = FAMILY_REASONING, [TASK_WRITE] = FAMILY_CHAT,
        [TASK_SUMMARISE] = FAMILY_INSTRUCTION, [TASK_CLASSIFY] = FAMILY_INSTRUCTION,
        [TASK_EXTRACT] = FAMILY_INSTRUCTION, [TASK_TRANSLATE] = FAMILY_MULTILINGUAL,
        [TASK_REWRITE] = FAMILY_INSTRUCTION, [TASK_EXPLAIN] = FAMILY_KNOWLEDGE,
        [TASK_ROLEPLAY] = FAMILY_CHAT, [TASK_TOOLS] = FAMILY_TOOLS,
        [TASK_AGENT] = FAMILY_TOOLS,
    };
    assert(task < TASKS);
    return (enum family)family[task];
}

const char *task_name(enum task task)
{
    static const char *const name[TASKS] = {
        "chat", "qa", "choice", "math", "proof", "code", "reasoning", "write", "summarise",
        "classify", "extract", "translate", "rewrite", "explain", "roleplay", "tools", "agent",
    };
    assert(task < TASKS);
    return name[task];
}

const char *language_name(enum language language)
{
    static const char *const name[LANGUAGES] = {
        "other", "english", "german", "french", "spanish", "italian", "portuguese", "dutch",
        "cyrillic", "chinese", "japanese", "korean", "arabic", "hindi",
    };
    assert(language < LANGUAGES);
    return name[language];
}

const char *feature_name(enum feature feature)
{
    static const char *const name[FEATURES] = {
#define F(name, group, text) text,
#include "route/features.def"
#undef F
    };
    assert(feature < FEATURES);
    return name[feature];
}
