/* http_out.c - composes heads, and writes and reads the one date format that is generated
 * (RFC 9110 section 5.6.7). What is written here parses back to the same: names, values and
 * targets come from our own text or from parsed heads, so anything else is our mistake. */
#include "net/decimal.h"
#include "net/http.h"
#include "net/octet.h"

void http_out_request(struct http_out *o, struct bytes method, struct bytes target)
{
    assert(method.len > 0 && octet_span(method, OCTET_TOKEN) == method.len);
    assert(target.len > 0 && octet_span(target, OCTET_TARGET) == target.len);
    http_out_text(o, method);
    http_out_text(o, BYTES(" "));
    http_out_text(o, target);
    http_out_text(o, BYTES(" HTTP/1.1\r\n"));
}

void http_out_status(struct http_out *o, unsigned status)
{
    assert(status >= 100 && status <= 599);
    const char code[] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10),
                         (char)('0' + status % 10), ' '};
    http_out_text(o, BYTES("HTTP/1.1 "));
    http_out_text(o, (struct bytes){code, sizeof(code)});
    http_out_text(o, bytes_of(http_reason(status)));
    http_out_text(o, BYTES("\r\n"));
}

void http_out_field(struct http_out *o, struct bytes name, struct bytes value)
{
    assert(name.len > 0 && octet_span(name, OCTET_TOKEN) == name.len);
    assert(octet_value_end(value, 0) == value.len);
    http_out_text(o, name);
    http_out_text(o, BYTES(": "));
    http_out_text(o, value);
    http_out_text(o, BYTES("\r\n"));
}

void http_out_digits(struct http_out *o, uint64_t value, unsigned width)
{
    char room[DECIMAL_MAX];
    http_out_text(o, decimal_put(room, value, width));
}

void http_out_number(struct http_out *o, struct bytes name, uint64_t value)
{
    assert(name.len > 0 && octet_span(name, OCTET_TOKEN) == name.len);
    http_out_text(o, name);
    http_out_text(o, BYTES(": "));
    http_out_digits(o, value, 1);
    http_out_text(o, BYTES("\r\n"));
}

void http_out_lines(struct http_out *o, struct bytes lines)
{
    assert(lines.len == 0 || (lines.len > 4 && lines.ptr[lines.len - 1] == '\n'));
    http_out_text(o, lines);
}

void http_out_pass(struct http_out *o, const struct http_head *head)
{
    if (!head->pass_walk) {
        for (unsigned i = 0; i < head->pass_count; i++) http_out_text(o, head->pass[i]);
        return;
    }
    const enum http_way way = head->status ? HTTP_DOWN : HTTP_UP;
    struct bytes at = head->fields, name, value;
    for (const char *line = at.ptr; http_field_next(&at, &name, &value); line = at.ptr) {
        if (!http_field_stops(head, name, way)) http_out_text(o, bytes_between(line, at.ptr));
    }
}

void http_out_end(struct http_out *o)
{
    http_out_text(o, BYTES("\r\n"));
}

const char *http_reason(unsigned status)
{
    static const char *const text[600] = {
        [100] = "Continue", [101] = "Switching Protocols", [102] = "Processing",
        [103] = "Early Hints",
        [200] = "OK", [201] = "Created", [202] = "Accepted",
        [203] = "Non-Authoritative Information", [204] = "No Content",
        [205] = "Reset Content", [206] = "Partial Content", [207] = "Multi-Status",
        [300] = "Multiple Choices", [301] = "Moved Permanently", [302] = "Found",
        [303] = "See Other", [304] = "Not Modified", [307] = "Temporary Redirect",
        [308] = "Permanent Redirect",
        [400] = "Bad Request", [401] = "Unauthorized", [402] = "Payment Required",
        [403] = "Forbidden", [404] = "Not Found", [405] = "Method Not Allowed",
        [406] = "Not Acceptable", [407] = "Proxy Authentication Required",
        [408] = "Request Timeout", [409] = "Conflict", [410] = "Gone",
        [411] = "Length Required", [412] = "Precondition Failed",
        [413] = "Content Too Large", [414] = "URI Too Long",
        [415] = "Unsupported Media Type", [416] = "Range Not Satisfiable",
        [417] = "Expectation Failed", [421] = "Misdirected Request",
        [422] = "Unprocessable Content", [423] = "Locked", [424] = "Failed Dependency",
        [425] = "Too Early", [426] = "Upgrade Required", [428] = "Precondition Required",
        [429] = "Too Many Requests", [431] = "Request Header Fields Too Large",
        [451] = "Unavailable For Legal Reasons", [499] = "Client Closed Request",
        [500] = "Internal Server Error", [501] = "Not Implemented", [502] = "Bad Gateway",
        [503] = "Service Unavailable", [504] = "Gateway Timeout",
        [505] = "HTTP Version Not Supported", [507] = "Insufficient Storage",
        [511] = "Network Authentication Required", [529] = "Overloaded",
    };
    return status < COUNT(text) && text[status] ? text[status] : "Unknown";
}

enum { DATE_LEN = 29, DAY_S = 86400, DAYS_400_YEARS = 146097, DAYS_TO_1970 = 719468 };
static const uint64_t date_s_max = 253402300799;  /* the last second of the year 9999 */
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char weekdays[7][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};

static void put_digits(char *out, uint64_t value, unsigned count)
{
    for (; count > 0; value /= 10) out[--count] = (char)('0' + value % 10);
    assert(value == 0);
}

/* Years are counted from 1 March here, so that a leap day is the last of its year; month 0
 * is March, and the months from March on begin on day (153 m + 2) / 5. */
size_t http_date(uint64_t unix_s, char out[30])
{
    assert(unix_s <= date_s_max);
    const uint64_t day = unix_s / DAY_S, second = unix_s % DAY_S;
    const uint64_t shifted = day + DAYS_TO_1970;
    const uint64_t era_day = shifted % DAYS_400_YEARS;
    const uint64_t era_year =
        (era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
    const uint64_t year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
    const uint64_t march = (5 * year_day + 2) / 153;
    const uint64_t month = (march + 2) % 12;
    const uint64_t year = shifted / DAYS_400_YEARS * 400 + era_year + (march >= 10);
    memcpy(out, "Ddd, 00 Mmm 0000 00:00:00 GMT", DATE_LEN + 1);
    memcpy(out, weekdays[day % 7], 3);
    put_digits(out + 5, year_day - (153 * march + 2) / 5 + 1, 2);
    memcpy(out + 8, months[month], 3);
    put_digits(out + 12, year, 4);
    put_digits(out + 17, second / 3600, 2);
    put_digits(out + 20, second / 60 % 60, 2);
    put_digits(out + 23, second % 60, 2);
    return DATE_LEN;
}

static uint64_t digits(struct bytes text, size_t at, size_t count)
{
    uint64_t value = 0;
    if (!bytes_u64((struct bytes){text.ptr + at, count}, &value)) return UINT64_MAX;
    return value;
}

/* Reads the numbers, then accepts only what http_date would write for them: that checks the
 * ranges, the length of months, the weekday and every other byte in one comparison. */
bool http_date_parse(struct bytes text, uint64_t *unix_s)
{
    if (text.len != DATE_LEN) return false;
    uint64_t month = 0;
    while (month < 12 && memcmp(text.ptr + 8, months[month], 3) != 0) month++;
    const uint64_t year = digits(text, 12, 4), day = digits(text, 5, 2);
    const uint64_t hour = digits(text, 17, 2), minute = digits(text, 20, 2);
    const uint64_t second = digits(text, 23, 2);
    if (month == 12 || year < 1970 || year > 9999 || day < 1 || day > 31) return false;
    if (hour > 23 || minute > 59 || second > 59) return false;
    const uint64_t y = month < 2 ? year - 1 : year;
    const uint64_t march = (month + 10) % 12;
    const uint64_t days = y * 365 + y / 4 - y / 100 + y / 400 + (153 * march + 2) / 5 + day - 1;
    const uint64_t value = (days - DAYS_TO_1970) * DAY_S + hour * 3600 + minute * 60 + second;
    char again[DATE_LEN + 1];
    if (value > date_s_max) return false;  /* 31 December rolls no further than a day */
    http_date(value, again);
    if (memcmp(text.ptr, again, DATE_LEN) != 0) return false;
    *unix_s = value;
    return true;
}
