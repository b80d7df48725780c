/* http_field.c - field lines of a parsed head: their names, values and lists (RFC 9110
 * section 5), and what a proxy may pass on. Names are found by a hash of length, first and
 * last letter that is perfect for http.def: two names in one slot do not compile. */
#include "net/http.h"
#include "net/http_token.h"
#include "net/octet.h"

static const struct bytes names[HTTP_NAME_COUNT] = {
#define X(id, name, stops) [HTTP_##id] = {name, sizeof(name) - 1},
#define Y X
#include "net/http.def"
#undef Y
#undef X
};

enum { NONE = 0, UP = HTTP_UP, DOWN = HTTP_DOWN, BOTH = HTTP_UP | HTTP_DOWN };

static const uint8_t stops_on[HTTP_NAME_COUNT] = {
#define X(id, name, stops) [HTTP_##id] = (stops),
#define Y X
#include "net/http.def"
#undef Y
#undef X
};

enum { SLOTS = 256, NAME_MIN = 2 };
#define SLOT(len, first, last) (((len) + (first) + 22U * (last)) % SLOTS)

/* Field id + 1, so that an empty slot is zero. */
static const uint8_t slots[SLOTS] = {
    [SLOT(4, 'h', 't')] = HTTP_HOST + 1,
    [SLOT(14, 'c', 'h')] = HTTP_CONTENT_LENGTH + 1,
    [SLOT(17, 't', 'g')] = HTTP_TRANSFER_ENCODING + 1,
    [SLOT(10, 'c', 'n')] = HTTP_CONNECTION + 1,
    [SLOT(6, 'e', 't')] = HTTP_EXPECT + 1,
    [SLOT(7, 'u', 'e')] = HTTP_UPGRADE + 1,
    [SLOT(12, 'c', 'e')] = HTTP_CONTENT_TYPE + 1,
    [SLOT(16, 'c', 'g')] = HTTP_CONTENT_ENCODING + 1,
    [SLOT(13, 'a', 'n')] = HTTP_AUTHORIZATION + 1,
    [SLOT(9, 'x', 'y')] = HTTP_X_API_KEY + 1,
    [SLOT(14, 'x', 'y')] = HTTP_X_GOOG_API_KEY + 1,
    [SLOT(7, 'a', 'y')] = HTTP_API_KEY + 1,
    [SLOT(12, 'x', 'd')] = HTTP_X_REQUEST_ID + 1,
    [SLOT(10, 'r', 'd')] = HTTP_REQUEST_ID + 1,
    [SLOT(11, 'x', 'e')] = HTTP_X_WEIR_MODE + 1,
    [SLOT(14, 'x', 't')] = HTTP_X_WEIR_TIMEOUT + 1,
    [SLOT(15, 'x', 't')] = HTTP_X_WEIR_MAX_TTFT + 1,
    [SLOT(15, 'x', 'y')] = HTTP_X_WEIR_PRIORITY + 1,
    [SLOT(18, 'x', 'k')] = HTTP_X_WEIR_NO_FALLBACK + 1,
    [SLOT(14, 'x', 'n')] = HTTP_X_WEIR_SESSION + 1,
    [SLOT(11, 'x', 's')] = HTTP_X_WEIR_TAGS + 1,
    [SLOT(14, 'x', 'e')] = HTTP_X_WEIR_CASCADE + 1,
    [SLOT(17, 'a', 'n')] = HTTP_ANTHROPIC_VERSION + 1,
    [SLOT(15, 'i', 'y')] = HTTP_IDEMPOTENCY_KEY + 1,
    [SLOT(11, 'r', 'r')] = HTTP_RETRY_AFTER + 1,
    [SLOT(13, 'l', 'd')] = HTTP_LAST_EVENT_ID + 1,
    [SLOT(6, 'o', 'n')] = HTTP_ORIGIN + 1,
    [SLOT(4, 'd', 'e')] = HTTP_DATE + 1,
    [SLOT(2, 't', 'e')] = HTTP_TE + 1,
    [SLOT(7, 't', 'r')] = HTTP_TRAILER + 1,
    [SLOT(10, 'k', 'e')] = HTTP_KEEP_ALIVE + 1,
    [SLOT(16, 'p', 'n')] = HTTP_PROXY_CONNECTION + 1,
    [SLOT(18, 'p', 'e')] = HTTP_PROXY_AUTHENTICATE + 1,
    [SLOT(19, 'p', 'n')] = HTTP_PROXY_AUTHORIZATION + 1,
    [SLOT(6, 'c', 'e')] = HTTP_COOKIE + 1,
    [SLOT(7, 'c', '2')] = HTTP_COOKIE2 + 1,
    [SLOT(15, 'a', 'g')] = HTTP_ACCEPT_ENCODING + 1,
    [SLOT(9, 'f', 'd')] = HTTP_FORWARDED + 1,
    [SLOT(3, 'v', 'a')] = HTTP_VIA + 1,
    [SLOT(9, 'x', 'p')] = HTTP_X_REAL_IP + 1,
    [SLOT(14, 't', 'p')] = HTTP_TRUE_CLIENT_IP + 1,
    [SLOT(16, 'c', 'p')] = HTTP_CF_CONNECTING_IP + 1,
    [SLOT(14, 'h', 's')] = HTTP_HTTP2_SETTINGS + 1,
    [SLOT(10, 's', 'e')] = HTTP_SET_COOKIE + 1,
    [SLOT(11, 's', '2')] = HTTP_SET_COOKIE2 + 1,
    [SLOT(13, 's', 'g')] = HTTP_SERVER_TIMING + 1,
    [SLOT(7, 'a', 'c')] = HTTP_ALT_SVC + 1,
    [SLOT(25, 's', 'y')] = HTTP_STRICT_TRANSPORT_SECURITY + 1,
    [SLOT(16, 'w', 'e')] = HTTP_WWW_AUTHENTICATE + 1,
    [SLOT(15, 'c', 'a')] = HTTP_CLEAR_SITE_DATA + 1,
};

/* Bytes with bit 5 set: lower case for letters; '-' and digits have it anyway. */
static uint64_t lower8(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    return word | UINT64_C(0x2020202020202020);
}

static uint32_t lower4(const char *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof(word));
    return word | 0x20202020U;
}

/* known (lower case, NAME_MIN bytes or more) equals a token of the same length; the words at
 * the end overlap. Setting bit 5 is exact for tokens: no tchar but a letter becomes a letter,
 * a digit or '-' by it. */
static bool token_is(struct bytes token, struct bytes known)
{
    assert(known.len >= NAME_MIN);
    if (token.len != known.len) return false;
    const char *a = token.ptr, *b = known.ptr;
    if (known.len < 4) return bytes_ieq(token, known);
    if (known.len < 8) {
        const size_t last = known.len - 4;
        return ((lower4(a) ^ lower4(b)) | (lower4(a + last) ^ lower4(b + last))) == 0;
    }
    const size_t last = known.len - 8;
    uint64_t differ = lower8(a + last) ^ lower8(b + last);
    for (size_t i = 0; i < last; i += 8) differ |= lower8(a + i) ^ lower8(b + i);
    return differ == 0;
}

enum http_field http_field_token(struct bytes token)
{
    if (token.len < NAME_MIN) return HTTP_NAME_COUNT;
    const unsigned first = (uint8_t)token.ptr[0] | 0x20U;
    const unsigned last = (uint8_t)token.ptr[token.len - 1] | 0x20U;
    const unsigned id = slots[SLOT((unsigned)token.len, first, last)];
    if (id == 0 || !token_is(token, names[id - 1])) return HTTP_NAME_COUNT;
    return (enum http_field)(id - 1);
}

enum http_field http_field_find(struct bytes name)
{
    if (octet_span(name, OCTET_TOKEN) != name.len) return HTTP_NAME_COUNT;
    return http_field_token(name);
}

unsigned http_field_ways(enum http_field id, struct bytes token)
{
    if (id != HTTP_NAME_COUNT) return stops_on[id];
    if (token.len < 7 || lower4(token.ptr) != lower4("x-we")) {
        if (token.len < 12 || lower8(token.ptr) != lower8("x-forwar")) return NONE;
        return lower4(token.ptr + 8) == lower4("ded-") ? UP : NONE;
    }
    return lower4(token.ptr + 3) == lower4("eir-") ? BOTH : NONE;
}

bool http_field_next(struct bytes *at, struct bytes *name, struct bytes *value)
{
    if (at->len == 0) return false;
    const size_t colon = bytes_find(*at, ':');
    assert(colon < at->len);
    *name = bytes_cut(at, colon);
    const size_t end = octet_value_end(*at, 1);
    assert(end + 2 <= at->len && at->ptr[end] == '\r');
    const struct bytes line = bytes_cut(at, end + 2);
    *value = bytes_trim((struct bytes){line.ptr + 1, end - 1});
    return true;
}

bool http_list_has(struct bytes list, struct bytes token)
{
    while (list.len > 0) {
        const struct bytes item = bytes_cut(&list, bytes_find(list, ','));
        if (list.len > 0) bytes_cut(&list, 1);
        if (item.len >= token.len && token.len > 0 && bytes_ieq(bytes_trim(item), token))
            return true;
    }
    return false;
}

bool http_field_stops(const struct http_head *head, struct bytes name, enum http_way way)
{
    assert(head->connection_count <= HTTP_CONNECTIONS_MAX);
    if (http_field_ways(http_field_find(name), name) & way) return true;
    for (unsigned i = 0; i < head->connection_count; i++) {
        if (http_list_has(head->connection[i], name)) return true;
    }
    return false;
}

bool http_query_find(struct bytes query, struct bytes name, struct bytes *value)
{
    while (query.len > 0) {
        struct bytes pair = bytes_cut(&query, bytes_find(query, '&'));
        if (query.len > 0) bytes_cut(&query, 1);
        const struct bytes key = bytes_cut(&pair, bytes_find(pair, '='));
        if (key.len == 0 || !bytes_eq(key, name)) continue;
        if (pair.len > 0) bytes_cut(&pair, 1);
        *value = pair;
        return true;
    }
    return false;
}

int64_t http_percent_decode(struct bytes text, char *out)
{
    assert(text.len == 0 || out);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            if (text.len - i < 3 || !octet_is(text.ptr[i + 1], OCTET_HEX) ||
                !octet_is(text.ptr[i + 2], OCTET_HEX)) return -1;
            c = (char)(octet_hex(text.ptr[i + 1]) << 4 | octet_hex(text.ptr[i + 2]));
            i += 2;
        }
        if (octet_is(c, OCTET_CONTROL) || c == '\t') return -1;
        out[len++] = c;
    }
    assert(len <= text.len);
    return (int64_t)len;
}
