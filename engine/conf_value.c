/* conf_value.c - single values: what a scalar must look like for each type of setting, and
 * the one sentence that says so: "value got; value allowed". Pure but for the reporting. */
#include <inttypes.h>
#include <stdio.h>

#include "engine/conf_parts.h"

static const struct { const char *name; uint64_t ns; } durations[] = {
    {"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000},
    {"d", 86400000000000},
};
static const struct { const char *name; uint64_t bytes; } sizes[] = {
    {"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1ull << 40},
};

/* Cut the leading digits off *text. */
static struct bytes digits(struct bytes *text)
{
    size_t n = 0;
    while (n < text->len && text->ptr[n] >= '0' && text->ptr[n] <= '9') n++;
    return bytes_cut(text, n);
}

bool conf_duration_parse(struct bytes text, uint64_t *ns)
{
    uint64_t whole = 0, part = 0, scale = 1;
    if (bytes_eq(text, BYTES("0"))) {
        *ns = 0;
        return true;
    }
    if (!bytes_u64(digits(&text), &whole)) return false;
    if (bytes_starts(text, BYTES("."))) {
        bytes_cut(&text, 1);
        struct bytes decimals = digits(&text);
        if (decimals.len > 3 || !bytes_u64(decimals, &part)) return false;
        for (size_t i = 0; i < decimals.len; i++) scale *= 10;
    }
    for (size_t i = 0; i < COUNT(durations); i++) {
        uint64_t unit = durations[i].ns;
        if (!bytes_eq(text, bytes_of(durations[i].name))) continue;
        if (whole >= UINT64_MAX / unit) return false;
        *ns = whole * unit + part * (unit / scale);   /* every unit is a multiple of 1000 */
        return true;
    }
    return false;
}

bool conf_size_parse(struct bytes text, uint64_t *bytes)
{
    uint64_t whole = 0;
    if (!bytes_u64(digits(&text), &whole)) return false;
    if (text.len == 0) {
        *bytes = whole;
        return true;
    }
    for (size_t i = 0; i < COUNT(sizes); i++) {
        if (!bytes_eq(text, bytes_of(sizes[i].name))) continue;
        if (whole > UINT64_MAX / sizes[i].bytes) return false;
        *bytes = whole * sizes[i].bytes;
        return true;
    }
    return false;
}

bool conf_decimal_parse(struct bytes text, uint64_t *micro)
{
    struct bytes whole = digits(&text), decimals = {0};
    uint64_t high = 0, low = 0;
    if (text.len) {
        if (*text.ptr != '.') return false;
        bytes_cut(&text, 1);
        decimals = digits(&text);
        if (decimals.len == 0 || decimals.len > 6 || text.len) return false;
    }
    if (whole.len == 0 && decimals.len == 0) return false;
    if (whole.len > 6 || (whole.len && !bytes_u64(whole, &high))) return false;
    if (decimals.len && !bytes_u64(decimals, &low)) return false;
    for (size_t i = decimals.len; i < 6; i++) low *= 10;
    *micro = high * 1000000 + low;
    return true;
}

int conf_word_find(const char *words, struct bytes text)
{
    struct bytes left = bytes_of(words);
    for (int place = 0; left.len; place++) {
        struct bytes word = bytes_cut(&left, bytes_find(left, '|'));
        if (left.len) bytes_cut(&left, 1);
        if (bytes_eq(word, text)) return place;
    }
    return -1;
}

bool conf_is_visible(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~') return false;
    }
    return text.len > 0;
}

bool conf_is_typed(const struct conf_node *n)
{
    assert(n->kind == CONF_SCALAR);
    if (n->quoted || n->expanded) return false;
    struct bytes t = n->text;
    if (bytes_ieq(t, BYTES("true")) || bytes_ieq(t, BYTES("false"))) return true;
    if (t.len && (*t.ptr == '-' || *t.ptr == '+')) bytes_cut(&t, 1);
    struct bytes whole = digits(&t), part = {0};
    if (bytes_starts(t, BYTES("."))) {
        bytes_cut(&t, 1);
        part = digits(&t);
    }
    if (t.len && byte_lower(*t.ptr) == 'e' && whole.len + part.len) {
        bytes_cut(&t, 1);
        if (t.len && (*t.ptr == '-' || *t.ptr == '+')) bytes_cut(&t, 1);
        if (digits(&t).len == 0) return false;
    }
    return whole.len + part.len > 0 && t.len == 0;
}

/* ---- what is allowed, in words ---- */

static void say_duration(uint64_t ns, char *out, size_t room)
{
    size_t unit = 0;
    for (size_t i = 1; i < COUNT(durations); i++) {
        if (ns && ns % durations[i].ns == 0) unit = i;
    }
    snprintf(out, room, "%" PRIu64 "%s", ns / durations[unit].ns,
             ns ? durations[unit].name : "s");
}

static void say_size(uint64_t bytes, char *out, size_t room)
{
    size_t unit = 0;
    for (size_t i = 1; i < COUNT(sizes); i++) {
        if (bytes && bytes % sizes[i].bytes == 0) unit = i;
    }
    snprintf(out, room, "%" PRIu64 "%s", bytes / sizes[unit].bytes, sizes[unit].name);
}

static void say_words(const char *words, const char *before, char *out, size_t room)
{
    int at = snprintf(out, room, "%s", before);
    for (size_t len = (size_t)at; *words && len + 3 < room; words++) {
        if (*words == '|') out[len++] = ',';
        out[len++] = *words == '|' ? ' ' : *words;
        out[len] = '\0';
    }
}

/* Types whose sentence holds a range. */
static bool say_range(const struct conf_setting *s, char *out, size_t room)
{
    char low[32], high[32];
    bool or_auto = s->type == CONF_COUNT_AUTO || s->type == CONF_SIZE_AUTO;
    const char *begin = or_auto ? "auto, or " : "";
    switch (s->type) {
    case CONF_COUNT:
    case CONF_COUNT_AUTO:
        snprintf(out, room, "%sa whole number from %" PRIu64 " to %" PRIu64, begin, s->min,
                 s->max);
        return true;
    case CONF_SIZE:
    case CONF_SIZE_AUTO:
        say_size(s->min, low, sizeof low);
        say_size(s->max, high, sizeof high);
        snprintf(out, room, "%sa size from %s to %s, in bytes or like 64KiB, 32MiB, 1GiB",
                 begin, low, high);
        return true;
    case CONF_DURATION:
        say_duration(s->min, low, sizeof low);
        say_duration(s->max, high, sizeof high);
        snprintf(out, room, "a duration from %s to %s, like 500ms, 30s, 2m, 1h, 90d", low,
                 high);
        return true;
    case CONF_SHARE:
        snprintf(out, room, "a number from 0 to 1 with at most 6 decimals");
        return true;
    case CONF_WORD:
    case CONF_WORD_TEXT:
        say_words(s->words, "one of ", out, room);
        return true;
    case CONF_WORDS:
        say_words(s->words, "a list of ", out, room);
        return true;
    case CONF_TEXT:
    case CONF_CHARS:
        snprintf(out, room, "text of %" PRIu64 " to %" PRIu64 " bytes (a number needs quotes)",
                 s->min, s->max);
        return true;
    default:
        return false;
    }
}

const char *conf_takes(const struct conf_setting *s, char *out, size_t room)
{
    static const char *const plain[] = {
        [CONF_ADDRESS] = "ADDR:PORT, like 127.0.0.1:8080 or [::1]:8080, or unix:/PATH",
        [CONF_LISTENS] = "a list of ADDR:PORT, like [\"127.0.0.1:8080\"]",
        [CONF_LISTEN] = "ADDR:PORT, like 127.0.0.1:8080 or [::1]:8080, or unix:/PATH",
        [CONF_TOKEN] = "one word of 1 to 255 visible ASCII characters",
        [CONF_BOOL] = "true or false, without quotes",
        [CONF_TEXTS] = "a list of texts",
        [CONF_NETS] = "a list of addresses and networks, like [\"10.0.0.0/8\", \"::1\"]",
        [CONF_ORIGINS] = "a list of origins, like [\"https://app.example.com\"], or [\"*\"]",
        [CONF_URL] = "an address like https://api.example.com/v1",
        [CONF_NAME] = "a name of at most 64 letters, digits and . _ -",
        [CONF_MODEL_ID] = "provider/model, at most 96 visible ASCII characters",
        [CONF_KEYS] = "a list of at most 16 texts",
        [CONF_HEADERS] = "a map of at most 16 header fields",
        [CONF_PRICE] = "a map of prices, or a list of at most 4 such maps with from: DATE",
        [CONF_QUALITY] = "a number from 0 to 100, or a map of such numbers",
        [CONF_PROVIDERS] = "a list of maps",
        [CONF_MODELS] = "a list of maps",
        [CONF_ALIASES] = "a map of names, each to a model or a list of models",
        [CONF_NOTHING] = "an empty map",
    };
    assert(room > 0);
    if (say_range(s, out, room)) return out;
    assert(s->type < COUNT(plain) && plain[s->type]);
    snprintf(out, room, "%s", plain[s->type]);
    return out;
}

void conf_value_wrong(struct conf_reader *r, const struct conf_setting *s, struct conf_node *n)
{
    char shown[CONF_QUOTE_MAX], takes[CONF_TAKES_MAX];
    char hint[CONF_QUOTE_MAX] = "", word[CONF_QUOTE_MAX];
    if (n->bad) return;
    n->bad = true;
    if (s->words && n->kind == CONF_SCALAR && !n->expanded) {
        unsigned best = conf_distance_max(n->raw) + 1;
        struct bytes left = bytes_of(s->words);
        while (left.len) {
            struct bytes w = bytes_cut(&left, bytes_find(left, '|'));
            if (left.len) bytes_cut(&left, 1);
            unsigned d = conf_distance(n->raw, w, best - 1);
            if (d >= best) continue;
            best = d;
            snprintf(word, sizeof word, "%.*s", (int)w.len, w.ptr);
            conf_hint(word, hint);
        }
    }
    bool number = s->type == CONF_COUNT || s->type == CONF_COUNT_AUTO || s->type == CONF_SHARE;
    bool quotes = number && n->kind == CONF_SCALAR && n->quoted && !n->expanded;
    conf_error(r, n->at, "%s is %s; it takes %s%s%s", conf_setting_label(s),
               conf_quote(n, shown), conf_takes(s, takes, sizeof takes),
               quotes ? ", without quotes" : "", hint);
}

/* ---- one value ---- */

static bool parse_number(const struct conf_setting *s, const struct conf_node *n,
                         uint64_t *out)
{
    struct bytes t = n->text;
    /* A number in quotes is a text, unless ${...} had to be quoted. */
    bool bare = !n->quoted || n->expanded;
    switch (s->type) {
    case CONF_COUNT_AUTO:
    case CONF_COUNT:
        return bare && bytes_u64(t, out);
    case CONF_SHARE:
        return bare && conf_decimal_parse(t, out);
    case CONF_BOOL:
        *out = bytes_ieq(t, BYTES("true"));
        return bare && (*out || bytes_ieq(t, BYTES("false")));
    case CONF_SIZE_AUTO:
    case CONF_SIZE:
        return conf_size_parse(t, out);
    case CONF_DURATION:
        return conf_duration_parse(t, out);
    default:
        return false;
    }
}

static bool is_list_of_texts(const struct conf_setting *s)
{
    return s->type == CONF_TEXTS || s->type == CONF_NETS || s->type == CONF_ORIGINS;
}

static bool is_text(const struct conf_setting *s)
{
    return s->type == CONF_TEXT || s->type == CONF_CHARS || s->type == CONF_ADDRESS ||
           s->type == CONF_LISTEN ||
           s->type == CONF_TOKEN || s->type == CONF_URL || s->type == CONF_NAME ||
           s->type == CONF_MODEL_ID || is_list_of_texts(s);
}

static bool parse_value(const struct conf_setting *s, const struct conf_node *n,
                        struct conf_value *out)
{
    out->text = n->text;
    if (is_text(s)) {
        bool loose = s->type == CONF_TOKEN;   /* a token of digits is a token */
        if (conf_is_null(n) || (!loose && conf_is_typed(n))) return false;
        if (!is_list_of_texts(s) && (n->text.len < s->min || n->text.len > s->max)) {
            return false;
        }
        for (size_t i = 0; i < n->text.len; i++) {
            unsigned char c = (unsigned char)n->text.ptr[i];
            if (c < 0x20 || c == 0x7F) return false;
        }
        return true;
    }
    if (s->type == CONF_WORD || s->type == CONF_WORD_TEXT) {
        int place = conf_word_find(s->words, n->text);
        out->number = s->min + (uint64_t)place;
        return place >= 0 && !conf_is_null(n);
    }
    bool may_auto = s->type == CONF_COUNT_AUTO || s->type == CONF_SIZE_AUTO;
    if (may_auto && bytes_eq(n->text, BYTES("auto"))) {
        out->number = 0;
        return true;
    }
    return parse_number(s, n, &out->number) && out->number >= s->min && out->number <= s->max;
}

bool conf_value(struct conf_reader *r, const struct conf_setting *s, struct conf_node *n,
                struct conf_value *out)
{
    struct conf_value v = {0};
    if (n->bad) return false;
    if (n->kind != CONF_SCALAR || !parse_value(s, n, &v)) {
        conf_value_wrong(r, s, n);
        return false;
    }
    *out = v;
    return true;
}

bool conf_is_list(struct conf_reader *r, const struct conf_setting *s, struct conf_node *n,
                  uint32_t max)
{
    if (n->bad) return false;
    if (conf_is_null(n)) return true;
    if (n->kind != CONF_LIST) {
        conf_value_wrong(r, s, n);
        return false;
    }
    if (n->count > max) {
        conf_error(r, n->at, "%s has %u items; it takes at most %u", conf_setting_label(s),
                   n->count, max);
        n->bad = true;
        return false;
    }
    return true;
}
