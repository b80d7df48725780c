/* http_field.c - field lines of a parsed head: their names, values and lists (RFC 9110
 * section 5), and what a proxy may pass on. Names are found by a hash of length, first and
 * last letter that is perfect for http.def: two names in one slot do not compile. */
#include "net/http.h"
#include "net/http_token.h"
#include "net/octet.h"

static const struct bytes names[HTTP_FIELD_COUNT] = {
#define X(id, name) [HTTP_##id] = {name, sizeof(name) - 1},
#include "net/http.def"
#undef X
};

enum { SLOTS = 64, NAME_MIN = 4 };
#define SLOT(len, first, last) (((len) + 5U * (first) + 16U * (last)) % SLOTS)

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
    [SLOT(11, 'x', 'e')] = HTTP_X_WEIR_MODE + 1,
    [SLOT(14, 'x', 't')] = HTTP_X_WEIR_TIMEOUT + 1,
    [SLOT(15, 'x', 't')] = HTTP_X_WEIR_MAX_TTFT + 1,
    [SLOT(15, 'x', 'y')] = HTTP_X_WEIR_PRIORITY + 1,
    [SLOT(18, 'x', 'k')] = HTTP_X_WEIR_NO_FALLBACK + 1,
    [SLOT(14, 'x', 'n')] = HTTP_X_WEIR_SESSION + 1,
    [SLOT(11, 'x', 's')] = HTTP_X_WEIR_TAGS + 1,
    [SLOT(17, 'a', 'n')] = HTTP_ANTHROPIC_VERSION + 1,
    [SLOT(15, 'i', 'y')] = HTTP_IDEMPOTENCY_KEY + 1,
    [SLOT(11, 'r', 'r')] = HTTP_RETRY_AFTER + 1,
    [SLOT(13, 'l', 'd')] = HTTP_LAST_EVENT_ID + 1,
    [SLOT(6, 'o', 'n')] = HTTP_ORIGIN + 1,
    [SLOT(4, 'd', 'e')] = HTTP_DATE + 1,
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
    if (token.len < NAME_MIN) return HTTP_FIELD_COUNT;
    const unsigned first = (uint8_t)token.ptr[0] | 0x20U;
    const unsigned last = (uint8_t)token.ptr[token.len - 1] | 0x20U;
    const unsigned id = slots[SLOT((unsigned)token.len, first, last)];
    if (id == 0 || !token_is(token, names[id - 1])) return HTTP_FIELD_COUNT;
    return (enum http_field)(id - 1);
}

enum http_field http_field_find(struct bytes name)
{
    if (octet_span(name, OCTET_TOKEN) != name.len) return HTTP_FIELD_COUNT;
    return http_field_token(name);
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

/* RFC 9110 section 7.6.1, and Keep-Alive and Proxy-Connection of older texts. */
static bool is_hop_always(struct bytes name)
{
    static const struct bytes hops[] = {
        {"te", 2}, {"trailer", 7}, {"upgrade", 7}, {"connection", 10}, {"keep-alive", 10},
        {"proxy-connection", 16}, {"transfer-encoding", 17}, {"proxy-authenticate", 18},
        {"proxy-authorization", 19},
    };
    for (size_t i = 0; i < COUNT(hops) && hops[i].len <= name.len; i++) {
        if (hops[i].len == name.len && bytes_ieq(hops[i], name)) return true;
    }
    return false;
}

bool http_is_hop(struct bytes name, struct bytes connection)
{
    return is_hop_always(name) || http_list_has(connection, name);
}

bool http_head_is_hop(const struct http_head *head, struct bytes name)
{
    assert(head->connection_count <= HTTP_CONNECTIONS_MAX);
    if (is_hop_always(name)) return true;
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
