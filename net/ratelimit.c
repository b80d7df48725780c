/* ratelimit.c - see ratelimit.h. A head is walked once: lines that are not about rate limits
 * cost a look at their first bytes. What the lines say is gathered by kind, in whatever order
 * they come, and weighed at the end.
 * Rule: a limit counts as used up only where the head states both that nothing remains and
 * either the limit (above 0) or when it resets: some say "remaining: 0" of limits that they do
 * not have. */
#include "net/ratelimit.h"
#include "net/http.h"

enum {
    NAME_WORDS_MAX = 6,
    MS_A_SECOND = 1000, MS_A_MINUTE = 60000, MS_A_HOUR = 3600000, MS_A_DAY = 86400000,
    SAID_LIMIT = 1, SAID_REMAINING = 2, SAID_RESET = 4,
};

/* A number from here on is a moment: of September 2001 in seconds, of March 1973 in ms. */
#define UNIX_S_MIN 1000000000u
#define UNIX_MS_MIN 100000000000u

struct kind {
    uint64_t name;          /* hash of its words */
    uint64_t limit, remaining, reset_ms;
    uint8_t said;           /* SAID_* */
};

struct kinds {
    struct kind at[RATELIMIT_KINDS_MAX];
    unsigned count;
};

/* --- numbers and times */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Cut a decimal number with up to 9 places off *in, in billionths above the point: *whole and
 * *part. More places are passed over. False: there is none, or it is longer than 15 digits. */
static bool cut_number(struct bytes *in, uint64_t *whole, uint64_t *part)
{
    size_t digits = 0, places = 0;
    *whole = *part = 0;
    while (in->len > 0 && is_digit(*in->ptr)) {
        if (++digits > 15) return false;
        *whole = *whole * 10 + (uint64_t)(*bytes_cut(in, 1).ptr - '0');
    }
    if (digits == 0) return false;
    if (in->len < 2 || *in->ptr != '.' || !is_digit(in->ptr[1])) return true;
    bytes_cut(in, 1);
    while (in->len > 0 && is_digit(*in->ptr)) {
        uint64_t d = (uint64_t)(*bytes_cut(in, 1).ptr - '0');
        if (places++ < 9) *part = *part * 10 + d;
    }
    for (; places < 9; places++) *part *= 10;
    return true;
}

struct unit { const char *name; uint64_t ns; };

/* Cut the unit of a duration off *in: how many nanoseconds it has; 0: it is none. */
static uint64_t cut_unit(struct bytes *in)
{
    static const struct unit units[] = {
        {"ms", 1000000}, {"us", 1000}, {"ns", 1}, {"\xc2\xb5s", 1000},
        {"d", MS_A_DAY * 1000000ull}, {"h", MS_A_HOUR * 1000000ull},
        {"m", MS_A_MINUTE * 1000000ull}, {"s", MS_A_SECOND * 1000000ull},
    };
    for (size_t i = 0; i < COUNT(units); i++) {
        struct bytes name = bytes_of(units[i].name);
        if (!bytes_starts(*in, name)) continue;
        bytes_cut(in, name.len);
        return units[i].ns;
    }
    return 0;
}

static uint64_t capped(uint64_t ms) { return ms < RATELIMIT_MS_MAX ? ms : RATELIMIT_MS_MAX; }

/* whole.part times unit_ns, in milliseconds, rounded up. */
static uint64_t times_ms(uint64_t whole, uint64_t part, uint64_t unit_ns)
{
    __extension__ unsigned __int128 wide = (unsigned __int128)whole * 1000000000u + part;
    wide = (wide * unit_ns + 999999999999999) / 1000000000000000;
    return wide > RATELIMIT_MS_MAX ? RATELIMIT_MS_MAX : (uint64_t)wide;
}

/* From now to a moment, rounded up. */
static uint64_t until_ms(uint64_t moment_ms, uint64_t unix_ns)
{
    uint64_t now_ms = unix_ns / 1000000;
    return moment_ms > now_ms ? capped(moment_ms - now_ms) : 0;
}

/* A bare number: seconds, or a moment. */
static uint64_t number_ms(uint64_t whole, uint64_t part, uint64_t unix_ns)
{
    if (whole >= UNIX_MS_MIN) return until_ms(whole, unix_ns);
    uint64_t part_ms = (part + 999999) / 1000000;
    if (whole >= UNIX_S_MIN) return until_ms(whole * MS_A_SECOND + part_ms, unix_ns);
    return times_ms(whole, part, MS_A_SECOND * 1000000ull);
}

/* n digits at `at`; UINT64_MAX where one of them is none. */
static uint64_t digits_at(struct bytes text, size_t at, size_t n)
{
    uint64_t value = 0;
    for (size_t i = at; i < at + n; i++) {
        if (i >= text.len || !is_digit(text.ptr[i])) return UINT64_MAX;
        value = value * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    return value;
}

/* Days since 1 January 1970 of a day of the Gregorian calendar from there on; the year is taken
 * to begin in March, so that a leap day is its last. */
static uint64_t days_to(uint64_t year, uint64_t month, uint64_t day)
{
    uint64_t y = month > 2 ? year : year - 1, m = (month + 9) % 12;
    return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

/* RFC 3339 section 5.6: the offset behind date and time, in minutes. False: it is none. */
static bool read_offset(struct bytes rest, int64_t *minutes)
{
    *minutes = 0;
    if (rest.len == 1 && (*rest.ptr == 'Z' || *rest.ptr == 'z')) return true;
    if (rest.len != 6 || (*rest.ptr != '+' && *rest.ptr != '-') || rest.ptr[3] != ':') {
        return false;
    }
    uint64_t hour = digits_at(rest, 1, 2), minute = digits_at(rest, 4, 2);
    if (hour > 23 || minute > 59) return false;
    *minutes = (int64_t)(hour * 60 + minute) * (*rest.ptr == '-' ? -1 : 1);
    return true;
}

/* RFC 3339 section 5.6: date-time. */
static bool moment_ms(struct bytes text, uint64_t *unix_ms)
{
    enum { DATE_AND_TIME = 19 };
    if (text.len <= DATE_AND_TIME || text.ptr[4] != '-' || text.ptr[7] != '-') return false;
    if (byte_lower(text.ptr[10]) != 't' && text.ptr[10] != ' ') return false;
    if (text.ptr[13] != ':' || text.ptr[16] != ':') return false;
    uint64_t year = digits_at(text, 0, 4), month = digits_at(text, 5, 2);
    uint64_t day = digits_at(text, 8, 2), hour = digits_at(text, 11, 2);
    uint64_t minute = digits_at(text, 14, 2), second = digits_at(text, 17, 2), part = 0, whole;
    if (year < 1971 || year > 9999 || month < 1 || month > 12 || day < 1 || day > 31) {
        return false;
    }
    if (hour > 23 || minute > 59 || second > 60) return false;
    struct bytes rest = text;
    bytes_cut(&rest, DATE_AND_TIME - 2);
    int64_t offset;
    if (!cut_number(&rest, &whole, &part) || whole != second || !read_offset(rest, &offset)) {
        return false;
    }
    uint64_t minutes = (days_to(year, month, day) * 24 + hour) * 60 + minute;
    assert(minutes > 1440);
    minutes = (uint64_t)((int64_t)minutes - offset);
    *unix_ms = (minutes * 60 + second) * MS_A_SECOND + (part + 999999) / 1000000;
    return true;
}

bool ratelimit_time(struct bytes value, uint64_t unix_ns, uint64_t *ms)
{
    uint64_t whole, part, sum = 0, moment;
    struct bytes left = value;
    if (moment_ms(value, &moment)) {
        *ms = until_ms(moment, unix_ns);
        return true;
    }
    if (http_date_parse(value, &moment)) {
        *ms = until_ms(moment * MS_A_SECOND, unix_ns);
        return true;
    }
    if (!cut_number(&left, &whole, &part)) return false;
    if (left.len == 0) {
        *ms = number_ms(whole, part, unix_ns);
        return true;
    }
    for (;;) {
        uint64_t unit = cut_unit(&left);
        if (unit == 0) return false;
        sum = capped(sum + times_ms(whole, part, unit));
        if (left.len == 0) break;
        if (!cut_number(&left, &whole, &part)) return false;
    }
    *ms = sum;
    return true;
}

/* --- names */

/* Does a field's name speak of rate limits? What follows the prefix goes to *rest, the prefix's
 * number to *prefix. */
static bool is_ours(struct bytes name, struct bytes *rest, uint64_t *prefix)
{
    static const struct bytes prefixes[] = {
        {"x-ratelimit-", 12}, {"anthropic-ratelimit-", 20}, {"ratelimit-", 10},
    };
    for (size_t i = 0; i < COUNT(prefixes); i++) {
        struct bytes head = {name.ptr, prefixes[i].len};
        if (name.len <= prefixes[i].len || !bytes_ieq(head, prefixes[i])) continue;
        *rest = bytes_between(name.ptr + prefixes[i].len, name.ptr + name.len);
        *prefix = i;
        return true;
    }
    return false;
}

/* What a name says: SAID_*, and in *hash, on top of what it holds, the hash of its other words.
 * 0: none of them, or several. */
static uint8_t read_name(struct bytes rest, uint64_t *hash)
{
    uint8_t said = 0;
    uint64_t h = 0xcbf29ce484222325u ^ *hash;       /* FNV-1a */
    for (unsigned words = 0; rest.len > 0; words++) {
        struct bytes word = bytes_cut(&rest, bytes_find(rest, '-'));
        if (rest.len > 0) bytes_cut(&rest, 1);
        uint8_t is = bytes_ieq(word, BYTES("limit"))       ? SAID_LIMIT
                     : bytes_ieq(word, BYTES("remaining")) ? SAID_REMAINING
                     : bytes_ieq(word, BYTES("reset"))     ? SAID_RESET : 0;
        if (words == NAME_WORDS_MAX || (is && said)) return 0;
        said |= is;
        for (size_t i = 0; !is && i <= word.len; i++) {
            uint8_t c = i < word.len ? (uint8_t)byte_lower(word.ptr[i]) : '-';
            h = (h ^ c) * 0x100000001b3u;
        }
    }
    *hash = h;
    return said;
}

static struct kind *kind_of(struct kinds *k, uint64_t name)
{
    for (unsigned i = 0; i < k->count; i++) {
        if (k->at[i].name == name) return &k->at[i];
    }
    if (k->count == RATELIMIT_KINDS_MAX) return NULL;
    k->at[k->count] = (struct kind){.name = name};
    return &k->at[k->count++];
}

static void read_line(struct kinds *k, struct bytes name, struct bytes value, uint64_t unix_ns)
{
    struct bytes rest;
    uint64_t hash = 0, number, part, ms;
    if (!is_ours(name, &rest, &hash)) return;
    uint8_t said = read_name(rest, &hash);
    struct kind *kind = said ? kind_of(k, hash) : NULL;
    if (!kind || kind->said & said) return;     /* of two that differ neither is to be trusted
                                                   more: the first stands */
    if (said == SAID_RESET) {
        if (!ratelimit_time(value, unix_ns, &ms)) return;
        kind->reset_ms = ms;
    } else {
        /* "100, 100;w=60" was a limit with its windows in older drafts: the first counts */
        if (!cut_number(&value, &number, &part)) return;
        if (value.len > 0 && *value.ptr != ',' && *value.ptr != ';') return;
        if (said == SAID_LIMIT) kind->limit = number;
        else kind->remaining = number;
    }
    kind->said |= said;
}

/* --- all together */

/* What is left of a kind, of RATELIMIT_ONE; more where it says nothing. */
static uint32_t share_of(const struct kind *k)
{
    enum { NOTHING = RATELIMIT_ONE + 1 };
    if (!(k->said & SAID_REMAINING)) return NOTHING;
    if (k->said & SAID_LIMIT) {
        if (k->limit == 0) return NOTHING;      /* no limit, or none that is told */
        if (k->remaining >= k->limit) return RATELIMIT_ONE;
        uint64_t share = k->remaining * RATELIMIT_ONE / k->limit;    /* 15 digits: it fits */
        return share || k->remaining == 0 ? (uint32_t)share : 1;
    }
    return k->remaining == 0 && k->reset_ms > 0 ? 0 : NOTHING;
}

static void weigh(struct ratelimit *out, const struct kind *k)
{
    uint32_t share = share_of(k);
    if (share > RATELIMIT_ONE) return;
    bool tighter = !out->said || share < out->room;
    out->said = true;
    if (share == 0) {
        uint64_t wait = k->said & SAID_RESET ? k->reset_ms : RATELIMIT_AGAIN_MS;
        if (wait > out->wait_ms) out->wait_ms = (uint32_t)wait;
    }
    if (tighter || (share == out->room && k->reset_ms > out->reset_ms)) {
        out->room = (uint16_t)share;
        out->reset_ms = (uint32_t)k->reset_ms;
    }
}

/* Cheaper than reading its name: no other usual field begins so. */
static bool may_be_ours(struct bytes line)
{
    if (line.len < 12) return false;
    char a = byte_lower(line.ptr[0]), b = byte_lower(line.ptr[2]), c = byte_lower(line.ptr[3]);
    return (a == 'x' && b == 'r') || (a == 'a' && b == 't') || (a == 'r' && c == 'e');
}

void ratelimit_read(struct bytes fields, uint64_t unix_ns, struct ratelimit *out)
{
    struct kinds kinds;
    kinds.count = 0;
    while (fields.len > 0) {
        struct bytes line = bytes_cut(&fields, bytes_find(fields, '\n'));
        if (fields.len > 0) bytes_cut(&fields, 1);
        if (!may_be_ours(line)) continue;
        size_t colon = bytes_find(line, ':');
        if (colon == line.len) continue;
        struct bytes value = bytes_between(line.ptr + colon + 1, line.ptr + line.len);
        if (value.len > 0 && value.ptr[value.len - 1] == '\r') value.len--;
        read_line(&kinds, (struct bytes){line.ptr, colon}, bytes_trim(value), unix_ns);
    }
    *out = (struct ratelimit){.room = RATELIMIT_ONE};
    for (unsigned i = 0; i < kinds.count; i++) weigh(out, &kinds.at[i]);
    assert(out->room <= RATELIMIT_ONE && out->wait_ms <= RATELIMIT_MS_MAX);
    assert(out->said || out->wait_ms == 0);
}
