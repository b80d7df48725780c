/* admin_value.c - texts of parameters and members as values: names, ids, times, spans, words.
 * The rule: a value is taken whole or refused with a clause that says what would be taken. */
#include "engine/admin/admin.h"
#include "engine/admin/admin_part.h"
#include "engine/conf_parts.h"
#include "net/decimal.h"

#include <stdio.h>

enum { DAY_S = 86400, YEAR_MIN = 1970, YEAR_MAX = 2500 };
static const uint64_t second_ns = UINT64_C(1000000000);

const char *const admin_group_names[] = {
    "organization", "department", "team", "member", "key", "model", "provider", "tag",
    "hour", "day", "month", NULL,
};
static_assert(COUNT(admin_group_names) - 1 == 11 && GROUP_MONTH == 1 << 10,
              "a name for each bit");

/* ---- times */

static bool is_leap(unsigned year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static unsigned month_days(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    assert(month >= 1 && month <= 12);
    return days[month - 1] + (month == 2 && is_leap(year) ? 1u : 0u);
}

/* Days from 1970-01-01 to the first of January of a year. */
static uint64_t days_before(unsigned year)
{
    assert(year >= YEAR_MIN);
    uint64_t past = year - 1;
    return past * 365 + past / 4 - past / 100 + past / 400 - 719162;
}

/* Cut `digits` digits off as a number low..high. */
static bool cut_number(struct bytes *in, size_t digits, unsigned low, unsigned high,
                       unsigned *out)
{
    uint64_t value;
    if (in->len < digits || !bytes_u64((struct bytes){in->ptr, digits}, &value)) return false;
    bytes_cut(in, digits);
    *out = (unsigned)value;
    return value >= low && value <= high;
}

static bool cut_byte(struct bytes *in, char c)
{
    if (in->len == 0 || byte_lower(*in->ptr) != c) return false;
    bytes_cut(in, 1);
    return true;
}

/* "YYYY-MM-DD" as days since 1970-01-01. */
static bool cut_date(struct bytes *in, uint64_t *days)
{
    unsigned year, month, day;
    if (!cut_number(in, 4, YEAR_MIN, YEAR_MAX, &year) || !cut_byte(in, '-')) return false;
    if (!cut_number(in, 2, 1, 12, &month) || !cut_byte(in, '-')) return false;
    if (!cut_number(in, 2, 1, month_days(year, month), &day)) return false;
    *days = days_before(year) + day - 1;
    for (unsigned m = 1; m < month; m++) *days += month_days(year, m);
    return true;
}

/* ".123" as ns, digits beyond the sixth dropped, for none would be shown; nothing is 0. */
static bool cut_fraction(struct bytes *in, uint64_t *ns)
{
    *ns = 0;
    if (!cut_byte(in, '.')) return true;
    uint64_t unit = second_ns / 10;
    size_t digits = 0;
    for (; in->len > 0 && *in->ptr >= '0' && *in->ptr <= '9'; digits++, unit /= 10) {
        uint64_t digit = (uint64_t)(*bytes_cut(in, 1).ptr - '0');
        if (digits < 6) *ns += digit * unit;
    }
    return digits > 0;
}

/* "Z", "+02:00" or "-02:00" as seconds ahead of UTC (RFC 3339 section 5.6: time-offset). */
static bool cut_offset(struct bytes *in, int64_t *ahead_s)
{
    *ahead_s = 0;
    if (cut_byte(in, 'z')) return true;
    int64_t sign = cut_byte(in, '+') ? 1 : cut_byte(in, '-') ? -1 : 0;
    unsigned hours, minutes;
    if (sign == 0 || !cut_number(in, 2, 0, 23, &hours) || !cut_byte(in, ':')) return false;
    if (!cut_number(in, 2, 0, 59, &minutes)) return false;
    *ahead_s = sign * ((int64_t)hours * 3600 + (int64_t)minutes * 60);
    return true;
}

bool admin_time_parse(struct bytes text, uint64_t *unix_ns)
{
    uint64_t days, ns = 0;
    unsigned hour = 0, minute = 0, second = 0;
    int64_t ahead_s = 0;
    if (!cut_date(&text, &days)) return false;
    if (text.len > 0) {
        if (!cut_byte(&text, 't') || !cut_number(&text, 2, 0, 23, &hour)) return false;
        if (!cut_byte(&text, ':') || !cut_number(&text, 2, 0, 59, &minute)) return false;
        /* RFC 3339 section 5.7: 60 is a leap second; Unix time counts it as the next one. */
        if (!cut_byte(&text, ':') || !cut_number(&text, 2, 0, 60, &second)) return false;
        if (!cut_fraction(&text, &ns) || !cut_offset(&text, &ahead_s)) return false;
    }
    int64_t seconds = (int64_t)(days * DAY_S) + hour * 3600 + minute * 60 + second - ahead_s;
    if (text.len > 0 || seconds < 0) return false;
    *unix_ns = (uint64_t)seconds * second_ns + ns;
    return true;
}

void admin_put_time(struct jsonw *w, uint64_t unix_ns)
{
    uint64_t days = unix_ns / second_ns / DAY_S, left = unix_ns / second_ns % DAY_S;
    unsigned year = YEAR_MIN + (unsigned)(days / 366), month = 1;
    while (days_before(year + 1) <= days) year++;
    days -= days_before(year);
    for (; days >= month_days(year, month); month++) days -= month_days(year, month);
    char text[48];
    int len = snprintf(text, sizeof(text), "%04u-%02u-%02uT%02u:%02u:%02u", year, month,
                       (unsigned)days + 1, (unsigned)(left / 3600),
                       (unsigned)(left / 60 % 60), (unsigned)(left % 60));
    unsigned us = (unsigned)(unix_ns % second_ns / 1000);
    if (us % 1000) len += snprintf(text + len, sizeof(text) - (size_t)len, ".%06u", us);
    else if (us) len += snprintf(text + len, sizeof(text) - (size_t)len, ".%03u", us / 1000);
    assert((size_t)len + 1 < sizeof(text));
    text[len++] = 'Z';
    jsonw_string(w, (struct bytes){text, (size_t)len});
}

/* "90s", "15m", "1h", "7d" as ns. */
static bool read_span(struct bytes text, uint64_t *ns)
{
    uint64_t count, unit_s;
    if (text.len < 2) return false;
    switch (text.ptr[--text.len]) {
    case 's': unit_s = 1; break;
    case 'm': unit_s = 60; break;
    case 'h': unit_s = 3600; break;
    case 'd': unit_s = DAY_S; break;
    default: return false;
    }
    if (!bytes_u64(text, &count) || count > ADMIN_SPAN_S_MAX / unit_s) return false;
    *ns = count * unit_s * second_ns;
    return true;
}

/* ---- other types */

static bool is_name(struct bytes text)
{
    if (text.len == 0 || text.len >= STORE_NAME_MAX) return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 0x20 || c == 0x7f) return false;
    }
    return true;
}

static bool is_email(struct bytes text)
{
    size_t at = bytes_find(text, '@');
    return is_name(text) && at > 0 && at + 1 < text.len && bytes_find(text, ' ') == text.len;
}

static bool read_word(const char *const *words, struct bytes text, uint64_t *number)
{
    for (size_t i = 0; words[i]; i++) {
        *number = i;
        if (bytes_eq(bytes_of(words[i]), text)) return true;
    }
    return false;
}

/* What a word out of a fixed list would be: all of it. */
static bool words_fault(const char *const *words, struct bytes text, char why[ADMIN_WHY_MAX])
{
    char shown[CONF_QUOTE_MAX];
    int len = snprintf(why, ADMIN_WHY_MAX, "is %s, must be one of",
                       conf_quote_text(text, shown));
    for (size_t i = 0; words[i] && len < ADMIN_WHY_MAX; i++) {
        len += snprintf(why + len, ADMIN_WHY_MAX - (size_t)len, "%s %s", i ? "," : "",
                        words[i]);
    }
    return false;
}

static bool read_groups(struct bytes text, uint64_t *bits, char why[ADMIN_WHY_MAX])
{
    *bits = 0;
    while (text.len > 0) {
        struct bytes word = bytes_cut(&text, bytes_find(text, ','));
        if (text.len > 0) bytes_cut(&text, 1);
        uint64_t idx;
        if (!read_word(admin_group_names, word, &idx)) {
            return words_fault(admin_group_names, word, why);
        }
        *bits |= UINT64_C(1) << idx;
    }
    return true;
}

/* 16 hexadecimal digits, small letters only. */
static bool cut_hex(struct bytes *in, uint64_t *value)
{
    static const char digits[] = "0123456789abcdef";
    if (in->len < 16) return false;
    struct bytes text = bytes_cut(in, 16);
    *value = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *digit = memchr(digits, text.ptr[i], 16);
        if (!digit) return false;
        *value = *value << 4 | (uint64_t)(digit - digits);
    }
    return true;
}

static bool read_row(struct bytes text, uint64_t *admitted_unix_ns, uint64_t *exchange)
{
    if (text.len != ADMIN_ROW_MAX - 1 || !bytes_starts(text, BYTES("row_"))) return false;
    bytes_cut(&text, 4);
    if (!cut_hex(&text, admitted_unix_ns) || !cut_hex(&text, exchange)) return false;
    return *admitted_unix_ns != 0 && *exchange != 0;  /* no row has either */
}

static bool read_credit(struct bytes text, uint64_t *serial)
{
    if (text.len != ADMIN_CREDIT_MAX - 1 || !bytes_starts(text, BYTES("crd_"))) return false;
    bytes_cut(&text, 4);
    return cut_hex(&text, serial) && *serial != 0;
}

void admin_credit_text(uint64_t serial, char out[ADMIN_CREDIT_MAX])
{
    assert(serial > 0);
    snprintf(out, ADMIN_CREDIT_MAX, "crd_%016llx", (unsigned long long)serial);
}

/* Exact to the nano-dollar. */
static bool read_money(const struct admin_field *f, struct bytes text, uint64_t *number)
{
    int64_t nusd;
    if (!decimal_read(text, 9, f->is_signed, LIMIT_NUSD_MAX, &nusd)) return false;
    *number = (uint64_t)nusd;
    return true;
}

static bool money_fault(const struct admin_field *f, struct bytes text, char why[ADMIN_WHY_MAX])
{
    char shown[CONF_QUOTE_MAX];
    snprintf(why, ADMIN_WHY_MAX, "is %s, must be US dollars such as 12.5: %s to 1000000000, at "
             "most 9 decimals", conf_quote_text(text, shown),
             f->is_signed ? "-1000000000" : "0");
    return false;
}

void admin_row_text(uint64_t admitted_unix_ns, uint64_t exchange_id, char out[ADMIN_ROW_MAX])
{
    snprintf(out, ADMIN_ROW_MAX, "row_%016llx%016llx", (unsigned long long)admitted_unix_ns,
             (unsigned long long)exchange_id);
}

static bool read_flag(struct bytes text, uint64_t *number)
{
    static const char *const words[] = {"0", "1", "false", "true", NULL};
    if (!read_word(words, text, number)) return false;
    *number &= 1;
    return true;
}

static bool read_id(const struct admin_field *f, struct bytes text, uint64_t *number)
{
    *number = store_id_parse(text.ptr, text.len);
    return *number != 0 && (f->kinds & 1u << store_id_kind(*number));
}

/* What ids a field takes: "must be the id of a member". */
static bool id_fault(const struct admin_field *f, struct bytes text, char why[ADMIN_WHY_MAX])
{
    static const char *const names[UNIT_KINDS] = {"an organization", "a department", "a team",
                                                  "a member", "a key"};
    char shown[CONF_QUOTE_MAX];
    int len = snprintf(why, ADMIN_WHY_MAX, "is %s, must be the id of",
                       conf_quote_text(text, shown));
    const char *join = "";
    for (unsigned kind = 0; kind < UNIT_KINDS && len < ADMIN_WHY_MAX; kind++) {
        if (!(f->kinds & 1u << kind)) continue;
        len += snprintf(why + len, ADMIN_WHY_MAX - (size_t)len, "%s %s", join, names[kind]);
        join = f->kinds >> (kind + 1) > 1 ? "," : " or";
    }
    return false;
}

static bool fault(char why[ADMIN_WHY_MAX], const char *text)
{
    snprintf(why, ADMIN_WHY_MAX, "%s", text);
    return false;
}

bool admin_value_read(const struct admin_field *f, struct bytes text, struct admin_value *v,
                      char why[ADMIN_WHY_MAX])
{
    bool good = true;
    uint64_t *number = &v->number;
    why[0] = '\0';
    switch (f->type) {
    case ADMIN_NAME:
        good = is_name(text) || fault(why, "must be 1 to 127 bytes without control bytes");
        break;
    case ADMIN_EMAIL:
        good = is_email(text) || fault(why, "must be an e-mail address of up to 127 bytes");
        break;
    case ADMIN_WORD:
        good = read_word(f->words, text, number) || words_fault(f->words, text, why);
        break;
    case ADMIN_ID:
        good = read_id(f, text, number) || id_fault(f, text, why);
        break;
    case ADMIN_TIME:
        good = admin_time_parse(text, number) ||
               fault(why, "must be a time as in RFC 3339 (2026-01-30T12:00:00Z) or a date");
        break;
    case ADMIN_SPAN:
        good = read_span(text, number) ||
               fault(why, "must be a time such as 90s, 15m, 1h or 7d, up to 30d");
        break;
    case ADMIN_COUNT:
        good = (bytes_u64(text, number) && *number >= 1 && *number <= f->high);
        if (!good) snprintf(why, ADMIN_WHY_MAX, "must be a number, 1 to %u", f->high);
        break;
    case ADMIN_FLAG:
        good = read_flag(text, number) || fault(why, "must be 1 or 0");
        break;
    case ADMIN_GROUPS:
        good = read_groups(text, number, why);
        break;
    case ADMIN_ROW:
        good = read_row(text, number, &v->second) ||
               fault(why, "must be the id of a row of this list");
        break;
    case ADMIN_MONEY:
        good = read_money(f, text, number) || money_fault(f, text, why);
        break;
    case ADMIN_CREDIT:
        good = read_credit(text, number) || fault(why, "must be the id of a credit");
        break;
    case ADMIN_LIMITS:
    case ADMIN_POLICY:
    case ADMIN_GLOBS:
    case ADMIN_RATE:
    case ADMIN_REGIONS:
    case ADMIN_SHARE:
    case ADMIN_BOOL:
        good = fault(why, "must be JSON of another type");   /* no text is one */
        break;
    }
    if (!good) return false;
    v->given = true;
    size_t len = text.len < sizeof(v->text) ? text.len : sizeof(v->text) - 1;
    if (len > 0) memcpy(v->text, text.ptr, len);
    v->text[len] = '\0';
    return true;
}

/* ---- lists of fields */

const struct admin_field *admin_field_find(const struct admin_field *list, struct bytes name)
{
    for (; list && list->name; list++) {
        if (bytes_eq(bytes_of(list->name), name)) return list;
    }
    return NULL;
}

const char *admin_hint(const struct admin_field *list, struct bytes name,
                       char out[ADMIN_WHY_MAX])
{
    static_assert((int)CONF_QUOTE_MAX <= (int)ADMIN_WHY_MAX, "a hint fits");
    unsigned best = conf_distance_max(name) + 1;
    const char *near = NULL;
    for (; list && list->name; list++) {
        unsigned distance = conf_distance(name, bytes_of(list->name), best);
        if (list->refused || list->later || distance >= best) continue;
        best = distance;
        near = list->name;
    }
    return conf_hint(near, out);
}

/* ---- queries */

/* Resolve %XX (RFC 3986 section 2.1) into out; '+' is itself, for no value of ours holds a
 * blank and times hold '+'. False: malformed, a NUL, or longer than room. */
static bool percent_decode(struct bytes in, char *out, size_t room, struct bytes *text)
{
    size_t len = 0;
    while (in.len > 0) {
        char c = *bytes_cut(&in, 1).ptr;
        if (c == '%') {
            if (in.len < 2) return false;
            int high = json_hex(in.ptr[0]), low = json_hex(in.ptr[1]);
            if (high < 0 || low < 0) return false;
            c = (char)(high << 4 | low);
            bytes_cut(&in, 2);
        }
        if (c == '\0' || len == room) return false;
        out[len++] = c;
    }
    *text = (struct bytes){out, len};
    return true;
}

static void query_take(struct admin_call *call, struct bytes name, struct bytes text)
{
    const struct admin_field *list = call->work->route->query;
    const struct admin_field *f = admin_field_find(list, name);
    char why[ADMIN_WHY_MAX], shown[CONF_QUOTE_MAX];
    if (!f) {
        admin_fault(call, 400, "invalid_request", NULL, "unknown query parameter %s%s",
                    conf_quote_text(name, shown), admin_hint(list, name, why));
        return;
    }
    if (f->later) {
        admin_fault(call, 400, "not_in_this_release", NULL,
                    "query parameter '%s' is not in this release", f->name);
        return;
    }
    struct admin_value *v = &call->work->query[f - list];
    if (v->given) {
        admin_fault(call, 400, "invalid_request", NULL, "query parameter '%s' is repeated",
                    f->name);
    } else if (!admin_value_read(f, text, v, why)) {
        admin_fault(call, 400, "invalid_request", NULL, "query parameter '%s' %s", f->name,
                    why);
    }
}

void admin_query_read(struct admin_call *call)
{
    const struct admin_field *list = call->work->route->query;
    struct bytes left = call->query;
    while (left.len > 0 && !admin_has_fault(call)) {
        struct bytes pair = bytes_cut(&left, bytes_find(left, '&'));
        if (left.len > 0) bytes_cut(&left, 1);
        if (pair.len == 0) continue;
        struct bytes raw = bytes_cut(&pair, bytes_find(pair, '='));
        if (pair.len > 0) bytes_cut(&pair, 1);
        char name_room[64], text_room[512];
        struct bytes name, text;
        if (percent_decode(raw, name_room, sizeof(name_room), &name) &&
            percent_decode(pair, text_room, sizeof(text_room), &text)) {
            query_take(call, name, text);
        } else {
            admin_fault(call, 400, "invalid_request", NULL,
                        "a query parameter is malformed or too long");
        }
    }
    for (size_t i = 0; list && list[i].name; i++) {
        struct admin_value *v = &call->work->query[i];
        if (list[i].type == ADMIN_COUNT && !v->given) v->number = list[i].otherwise;
    }
}

static const struct admin_value *value_of(const struct admin_field *list,
                                          const struct admin_value *values, const char *name)
{
    const struct admin_field *f = admin_field_find(list, bytes_of(name));
    assert(f);
    assert(f - list < ADMIN_FIELDS_MAX);
    return &values[f - list];
}

const struct admin_value *admin_query(const struct admin_call *call, const char *name)
{
    return value_of(call->work->route->query, call->work->query, name);
}

const struct admin_value *admin_body(const struct admin_call *call, const char *name)
{
    return value_of(call->work->route->body, call->work->body, name);
}
