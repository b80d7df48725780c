/* http.c - message heads: where one ends, what its first line says, how its body is
 * delimited (RFC 9112).
 *
 *   first line -> field lines -> empty line -> Host (requests) -> framing -> keep-alive
 *
 * One pass over the head; each step gives the error that ends the parse. The rule: what two
 * parsers could read differently is refused, never repaired. */
#include "net/http.h"
#include "net/http_token.h"
#include "net/octet.h"

static_assert(HTTP_FIELD_COUNT <= 64, "a set of fields is one uint64_t");
#define SET(id) (UINT64_C(1) << HTTP_##id)

/* Fields that tell where the message ends must be single in both directions. */
static const uint64_t single_always = SET(CONTENT_LENGTH) | SET(TRANSFER_ENCODING);

/* Fields of a request that Weir acts on and that have one meaning only. */
static const uint64_t single_request =
    SET(CONTENT_LENGTH) | SET(TRANSFER_ENCODING) | SET(HOST) | SET(EXPECT) |
    SET(CONTENT_TYPE) | SET(AUTHORIZATION) | SET(X_API_KEY) | SET(X_GOOG_API_KEY) |
    SET(API_KEY) | SET(X_REQUEST_ID) | SET(X_WEIR_MODE) | SET(X_WEIR_TIMEOUT) |
    SET(X_WEIR_MAX_TTFT) | SET(X_WEIR_PRIORITY) | SET(X_WEIR_NO_FALLBACK) |
    SET(X_WEIR_SESSION) | SET(X_WEIR_TAGS) | SET(X_WEIR_CASCADE);

static const uint8_t repeated_error[HTTP_FIELD_COUNT] = {
    [HTTP_HOST] = HTTP_BAD_HOST,
    [HTTP_CONTENT_LENGTH] = HTTP_BAD_LENGTH,
    [HTTP_TRANSFER_ENCODING] = HTTP_BAD_CODING,
};

static const struct bytes methods[HTTP_OTHER] = {
    [HTTP_GET] = {"GET", 3},       [HTTP_HEAD] = {"HEAD", 4},
    [HTTP_POST] = {"POST", 4},     [HTTP_PUT] = {"PUT", 3},
    [HTTP_PATCH] = {"PATCH", 5},   [HTTP_DELETE] = {"DELETE", 6},
    [HTTP_OPTIONS] = {"OPTIONS", 7},
};

static bool starts_crlf(struct bytes in)
{
    return in.len >= 2 && in.ptr[0] == '\r' && in.ptr[1] == '\n';
}

/* "HTTP/d.d", the only shape of a version (RFC 9112 section 2.3). */
static bool is_version(struct bytes text)
{
    return text.len == 8 && bytes_starts(text, BYTES("HTTP/")) &&
           octet_is(text.ptr[5], OCTET_DIGIT) && text.ptr[6] == '.' &&
           octet_is(text.ptr[7], OCTET_DIGIT);
}

/* A first line, without its CRLF, that a parser could accept: it has a version at one end. */
static bool line_plausible(struct bytes line)
{
    if (bytes_starts(line, BYTES("HTTP/"))) return true;
    if (line.len < 8) return false;
    return is_version((struct bytes){line.ptr + line.len - 8, 8});
}

/* Position behind the first LF at or behind at that ends the head or is bare; in.len + 1
 * where there is none. Both are one condition: the LF two bytes before is the end of a line
 * (so this one is empty), or the byte before is no CR. */
static size_t head_stop(struct bytes in, size_t at)
{
    assert(at >= 2 && at <= in.len);
#ifdef __SSE2__
    const __m128i cr = _mm_set1_epi8('\r'), lf = _mm_set1_epi8('\n');
    for (; in.len - at >= OCTET_STRIDE; at += OCTET_STRIDE) {
        const char *p = in.ptr + at;
        const __m128i here = _mm_loadu_si128((const __m128i *)(const void *)p);
        const __m128i back1 = _mm_loadu_si128((const __m128i *)(const void *)(p - 1));
        const __m128i back2 = _mm_loadu_si128((const __m128i *)(const void *)(p - 2));
        const __m128i ends = _mm_cmpeq_epi8(here, lf);
        const __m128i fair = _mm_andnot_si128(_mm_cmpeq_epi8(back2, lf),
                                              _mm_cmpeq_epi8(back1, cr));
        const unsigned found = (unsigned)_mm_movemask_epi8(_mm_andnot_si128(fair, ends));
        if (found) return at + (size_t)__builtin_ctz(found) + 1;
    }
#endif
    for (; at < in.len; at++) {
        const char *p = in.ptr + at;
        if (*p == '\n' && (p[-1] != '\r' || p[-2] == '\n')) return at + 1;
    }
    return in.len + 1;
}

enum net_rc http_head_end(struct bytes in, size_t *scanned)
{
    assert(*scanned <= in.len);
    if (in.len == 0) return NET_MORE;
    if (in.len == 1 && *in.ptr == '\r') return NET_MORE;  /* may yet be a blank line */
    if (!octet_is(*in.ptr, OCTET_TOKEN)) {  /* TLS on a plain port, a socks greeting, ... */
        *scanned = 1;
        return NET_OK;
    }
    const size_t first = bytes_find(in, '\n');
    if (first == in.len) {
        *scanned = in.len;
        return NET_MORE;
    }
    if (first >= *scanned) {  /* not looked at before */
        *scanned = first + 1;
        if (first == 0 || in.ptr[first - 1] != '\r') return NET_OK;
        if (!line_plausible((struct bytes){in.ptr, first - 1})) return NET_OK;
    }
    *scanned = head_stop(in, *scanned > first ? *scanned : first + 1);
    const bool stopped = *scanned <= in.len;
    if (!stopped) *scanned = in.len;
    return stopped ? NET_OK : NET_MORE;
}

size_t http_blank_lines(struct bytes in)
{
    const size_t all = in.len;
    for (unsigned pairs = 0; pairs < 2 && starts_crlf(in); pairs++) bytes_cut(&in, 2);
    assert(in.len <= all);
    return all - in.len;
}

/* Cut "HTTP/1.x" and the byte behind it, which must be next, off *in. */
static enum http_error version_cut(struct bytes *in, char next, struct http_head *head)
{
    if (in->len < 9) return HTTP_BAD_LINE;
    const struct bytes text = bytes_cut(in, 8);
    if (!is_version(text)) return HTTP_BAD_LINE;
    if (text.ptr[5] != '1' || text.ptr[7] > '1') return HTTP_BAD_VERSION;
    head->minor = (uint8_t)(text.ptr[7] - '0');
    return *bytes_cut(in, 1).ptr == next ? HTTP_FINE : HTTP_BAD_LINE;
}

static enum http_method method_find(struct bytes text)
{
    unsigned id = HTTP_GET;
    while (id < HTTP_OTHER && !bytes_eq(methods[id], text)) id++;
    return (enum http_method)id;
}

/* "host", "host:port" or "[IPv6]:port" (RFC 9110 section 7.2, RFC 3986 section 3.2.2). An
 * empty host is refused on purpose: an http URI always has one (RFC 9110 section 4.2.1). */
static bool is_authority(struct bytes text)
{
    size_t n = octet_span(text, OCTET_HOST);
    if (n == 0 && text.len > 0 && *text.ptr == '[') {
        const size_t close = bytes_find(text, ']');
        for (n = 1; n < close; n++) {
            const char c = text.ptr[n];
            if (!octet_is(c, OCTET_HEX) && c != ':' && c != '.') return false;
        }
        if (close == text.len || close < 3) return false;
        n = close + 1;
    }
    if (n == 0) return false;
    bytes_cut(&text, n);
    if (text.len == 0) return true;
    uint64_t port = 0;
    if (*bytes_cut(&text, 1).ptr != ':' || text.len > 5) return false;
    return text.len == 0 || (bytes_u64(text, &port) && port <= 65535);
}

/* Path and query of the target, in one of three forms (RFC 9112 section 3.2). The authority
 * form belongs to CONNECT, which nobody serves here, and is refused. */
static enum http_error target_split(struct http_head *head)
{
    struct bytes text = head->target;
    assert(text.len > 0);
    if (*text.ptr == '*') {
        head->path = text;
        return text.len == 1 && head->method == HTTP_OPTIONS ? HTTP_FINE : HTTP_BAD_TARGET;
    }
    if (*text.ptr != '/') {
        const size_t scheme = bytes_find(text, ':');
        const struct bytes name = bytes_cut(&text, scheme);
        if (!bytes_ieq(name, BYTES("http")) && !bytes_ieq(name, BYTES("https")))
            return HTTP_BAD_TARGET;
        if (!bytes_starts(text, BYTES("://"))) return HTTP_BAD_TARGET;
        bytes_cut(&text, 3);
        size_t n = 0;
        while (n < text.len && text.ptr[n] != '/' && text.ptr[n] != '?') n++;
        head->authority = bytes_cut(&text, n);
        if (!is_authority(head->authority)) return HTTP_BAD_TARGET;
    }
    const size_t mark = bytes_find(text, '?');
    head->path = bytes_cut(&text, mark);
    if (text.len > 0) head->query = (struct bytes){text.ptr + 1, text.len - 1};
    if (head->path.len == 0) head->path = BYTES("/");  /* RFC 9110 section 4.2.3 */
    return HTTP_FINE;
}

/* method SP request-target SP HTTP-version CRLF (RFC 9112 section 3), one blank each: the
 * lenient reading of section 3 (any whitespace) is refused on purpose. */
static enum http_error request_line(struct bytes *in, struct http_head *head)
{
    size_t n = octet_span(*in, OCTET_TOKEN);
    head->method = HTTP_OTHER;
    if (n == in->len || in->ptr[n] == '\r' || in->ptr[n] == '\n') return HTTP_BAD_LINE;
    if (n == 0 || in->ptr[n] != ' ') return HTTP_BAD_METHOD;
    head->method_text = bytes_cut(in, n);
    head->method = method_find(head->method_text);
    bytes_cut(in, 1);
    n = octet_span(*in, OCTET_TARGET);
    if (n > HTTP_TARGET_MAX) return HTTP_TARGET_LONG;
    if (n == in->len || in->ptr[n] == '\r' || in->ptr[n] == '\n') return HTTP_BAD_LINE;
    if (in->ptr[n] != ' ') return HTTP_BAD_TARGET;
    if (n == 0) return HTTP_BAD_LINE;
    head->target = bytes_cut(in, n);
    bytes_cut(in, 1);
    const enum http_error error = version_cut(in, '\r', head);
    if (error != HTTP_FINE) return error;
    if (in->len == 0 || *bytes_cut(in, 1).ptr != '\n') return HTTP_BAD_LINE;
    return target_split(head);
}

/* HTTP-version SP 3DIGIT [SP reason-phrase] CRLF (RFC 9112 section 4). The blank behind the
 * code is tolerated to be absent where the phrase is: that cannot be misread. */
static enum http_error status_line(struct bytes *in, struct http_head *head)
{
    const enum http_error error = version_cut(in, ' ', head);
    if (error != HTTP_FINE) return error;
    const size_t digits = octet_span(*in, OCTET_DIGIT);
    if (digits != 3 || *in->ptr < '1' || *in->ptr > '5') return HTTP_BAD_STATUS;
    uint64_t status = 0;
    const bool number = bytes_u64(bytes_cut(in, 3), &status);
    assert(number);
    head->status = (uint16_t)status;
    assert(head->status >= 100 && head->status <= 599);
    if (in->len > 0 && *in->ptr != ' ' && *in->ptr != '\r') return HTTP_BAD_STATUS;
    const size_t n = octet_value_end(*in, 0);
    bytes_cut(in, n);
    if (!starts_crlf(*in)) return HTTP_BAD_LINE;
    bytes_cut(in, 2);
    return HTTP_FINE;
}

/* Keep the value of a field that Weir knows. */
static enum http_error field_take(struct http_head *head, enum http_field id,
                                  struct bytes value, uint64_t single)
{
    assert(id < HTTP_FIELD_COUNT);
    if (id == HTTP_CONNECTION) {
        if (head->connection_count == HTTP_CONNECTIONS_MAX) return HTTP_TOO_MANY;
        head->connection[head->connection_count++] = value;
        if (!bytes_ieq(value, BYTES("keep-alive")) && !bytes_ieq(value, BYTES("close")))
            head->pass_walk = true;  /* it may name other fields */
    }
    if (id == HTTP_UPGRADE && head->minor == 1 && http_list_has(value, BYTES("websocket")))
        head->upgrade_websocket = true;
    struct bytes *const slot = &head->field[id];
    if (!slot->ptr) {
        *slot = value;
        return HTTP_FINE;
    }
    if (single >> id & 1)
        return repeated_error[id] ? (enum http_error)repeated_error[id] : HTTP_REPEATED;
    /* "identity" first must not hide a coding that follows. */
    if (id == HTTP_CONTENT_ENCODING &&
        (slot->len == 0 || bytes_ieq(*slot, BYTES("identity")))) *slot = value;
    return HTTP_FINE;
}

/* Note a run of lines that go on. */
static void pass_run(struct http_head *head, struct bytes run)
{
    if (run.len == 0) return;
    if (head->pass_count < HTTP_PASS_MAX) head->pass[head->pass_count++] = run;
    else head->pass_walk = true;
}

/* A walk over field lines by the bits of octet_look(): positions only grow, so the block of the
 * last one is kept. Behind the end of the text all bytes count as zeros. */
struct walk {
    struct bytes text;
    size_t base;                /* of the block; a multiple of OCTET_BLOCK */
    struct octet_block block;
};

static struct octet_block look_at_end(struct bytes text, size_t base)
{
    char last[OCTET_BLOCK] = {0};
    if (base < text.len) memcpy(last, text.ptr + base, text.len - base);
    return octet_look(last);
}

static inline void walk_look(struct walk *w, size_t base)
{
    bool all = w->text.len >= base + OCTET_BLOCK;
    w->block = all ? octet_look(w->text.ptr + base) : look_at_end(w->text, base);
    w->base = base;
}

/* Where the next control byte at or behind at is, or the next that no name is made of. */
static inline size_t walk_find(struct walk *w, size_t at, bool control)
{
    while (at - w->base >= OCTET_BLOCK) walk_look(w, w->base + OCTET_BLOCK);
    uint64_t bits = (control ? w->block.control : w->block.nameless) >> (at - w->base);
    while (!bits) {
        at = w->base + OCTET_BLOCK;
        walk_look(w, at);
        bits = control ? w->block.control : w->block.nameless;
    }
    return at + (size_t)__builtin_ctzll(bits);
}

/* Where the token at at ends; rare bytes such as '_' belong to it as well. */
static inline size_t walk_token(struct walk *w, size_t at)
{
    for (;; at++) {
        at = walk_find(w, at, false);
        if (at >= w->text.len || !octet_is(w->text.ptr[at], OCTET_TOKEN)) return at;
    }
}

static bool crlf_at(struct bytes in, size_t at)
{
    return at + 2 <= in.len && in.ptr[at] == '\r' && in.ptr[at + 1] == '\n';
}

/* field-line = field-name ":" OWS field-value OWS (RFC 9112 section 5), up to the empty
 * line. A blank before the colon, a folded line (section 5.2), a bare CR or LF and control
 * bytes all end as HTTP_BAD_FIELD: a fold is a name that begins with a blank. */
static enum http_error field_lines(struct bytes *in, struct http_head *head, uint64_t single,
                                   enum http_way way)
{
    struct walk w = {.text = *in};
    struct bytes run = {in->ptr, 0};
    size_t at = 0;
    unsigned count = 0;
    enum http_error error = HTTP_FINE;
    walk_look(&w, 0);
    for (; error == HTTP_FINE && !crlf_at(w.text, at); count++) {
        const size_t colon = walk_token(&w, at);
        if (colon == at || colon >= w.text.len || w.text.ptr[colon] != ':')
            return HTTP_BAD_FIELD;
        const size_t end = walk_find(&w, colon, true);
        if (!crlf_at(w.text, end)) return HTTP_BAD_FIELD;
        if (count == HTTP_FIELDS_MAX) return HTTP_TOO_MANY;
        const struct bytes name = {w.text.ptr + at, colon - at};
        const enum http_field id = http_field_token(name);
        at = end + 2;
        if (http_field_ways(id, name) & way) {
            pass_run(head, run);
            run = (struct bytes){w.text.ptr + at, 0};
        } else {
            run.len += at - (size_t)(name.ptr - w.text.ptr);
        }
        if (id >= HTTP_FIELD_COUNT) continue;
        const struct bytes value = {w.text.ptr + colon + 1, end - colon - 1};
        error = field_take(head, id, bytes_trim(value), single);
    }
    head->field_count = (uint16_t)count;
    if (error != HTTP_FINE) return error;
    pass_run(head, run);
    head->fields = bytes_cut(in, at);
    bytes_cut(in, 2);
    return HTTP_FINE;
}

/* RFC 9112 section 3.2: exactly one, and well-formed; HTTP/1.0 may do without. With a target
 * in absolute form the field is to be ignored (section 3.2.2), not to be wrong. */
static enum http_error host_check(struct http_head *head)
{
    struct bytes *const host = &head->field[HTTP_HOST];
    if (!host->ptr && head->minor == 1) return HTTP_BAD_HOST;
    if (host->ptr && !is_authority(*host)) return HTTP_BAD_HOST;
    if (head->authority.len > 0) *host = head->authority;
    return HTTP_FINE;
}

/* RFC 9112 section 6.3, items 3 to 6, with every doubt refused. */
static enum http_error framing_find(struct http_head *head)
{
    const struct bytes coding = head->field[HTTP_TRANSFER_ENCODING];
    const struct bytes length = head->field[HTTP_CONTENT_LENGTH];
    if (coding.ptr && length.ptr) return HTTP_TWO_FRAMINGS;
    if (coding.ptr) {
        /* Section 6.1: a coding in HTTP/1.0 is faulty framing. */
        if (head->minor == 0 || !bytes_ieq(coding, BYTES("chunked"))) return HTTP_BAD_CODING;
        head->framing = HTTP_CHUNKED;
    } else if (length.ptr) {
        if (!bytes_u64(length, &head->content_length)) return HTTP_BAD_LENGTH;
        if (head->content_length > INT64_MAX) return HTTP_BAD_LENGTH;
        head->framing = HTTP_LENGTH;
    }
    return HTTP_FINE;
}

/* RFC 9112 section 9.3. */
static bool keep_alive(const struct http_head *head)
{
    bool keep = head->minor == 1;
    for (unsigned i = 0; i < head->connection_count; i++) {
        if (http_list_has(head->connection[i], BYTES("close"))) return false;
        if (http_list_has(head->connection[i], BYTES("keep-alive"))) keep = true;
    }
    return keep;
}

/* Close the parse of in, of which rest is left. */
static enum net_rc verdict(struct http_head *head, struct bytes in, struct bytes rest,
                           enum http_error error)
{
    assert(rest.len <= in.len);
    head->error = error;
    if (error != HTTP_FINE) return NET_BAD;
    head->bytes = in.len - rest.len;
    assert(head->bytes >= head->fields.len);
    return NET_OK;
}

enum net_rc http_request(struct bytes in, struct http_head *head)
{
    *head = (struct http_head){0};
    struct bytes rest = in;
    enum http_error error = request_line(&rest, head);
    if (error == HTTP_FINE) error = field_lines(&rest, head, single_request, HTTP_UP);
    if (error == HTTP_FINE) error = host_check(head);
    if (error == HTTP_FINE) error = framing_find(head);
    if (error == HTTP_FINE) {
        head->keep_alive = keep_alive(head);
        head->expect_continue =
            head->minor == 1 && bytes_ieq(head->field[HTTP_EXPECT], BYTES("100-continue"));
    }
    return verdict(head, in, rest, error);
}

/* RFC 9112 section 6.3, items 1 and 8: answers without a body, and those that end with the
 * connection. Section 6.1 and RFC 9110 section 8.6: a 1xx or 204 with either framing field
 * is wrong; a plain zero is let pass, since all readings of it agree. */
static enum http_error response_framing(struct http_head *head, bool head_request)
{
    const enum http_error error = framing_find(head);
    if (error != HTTP_FINE) return error;
    if (head->status < 200 || head->status == 204) {
        if (head->framing == HTTP_CHUNKED) return HTTP_BAD_CODING;
        if (head->content_length > 0) return HTTP_BAD_LENGTH;
        head->framing = HTTP_NO_BODY;
    } else if (head_request || head->status == 304) {
        head->framing = HTTP_NO_BODY;
        head->content_length = 0;
    } else if (head->framing == HTTP_NO_BODY) {
        head->framing = HTTP_UNTIL_CLOSE;
    }
    return HTTP_FINE;
}

enum net_rc http_response(struct bytes in, bool head_request, struct http_head *head)
{
    *head = (struct http_head){0};
    struct bytes rest = in;
    enum http_error error = status_line(&rest, head);
    if (error == HTTP_FINE) error = field_lines(&rest, head, single_always, HTTP_DOWN);
    if (error == HTTP_FINE) error = response_framing(head, head_request);
    if (error == HTTP_FINE)
        head->keep_alive = head->framing != HTTP_UNTIL_CLOSE && keep_alive(head);
    return verdict(head, in, rest, error);
}

const char *http_why(enum http_error error)
{
    static const char *const text[] = {
        [HTTP_FINE] = "nothing is wrong",
        [HTTP_BAD_LINE] = "malformed first line",
        [HTTP_BAD_VERSION] = "version other than HTTP/1.1 and HTTP/1.0",
        [HTTP_BAD_METHOD] = "malformed method",
        [HTTP_BAD_TARGET] = "malformed request target",
        [HTTP_BAD_STATUS] = "status outside of 100 to 599",
        [HTTP_BAD_FIELD] = "malformed header field",
        [HTTP_BAD_HOST] = "missing, repeated or malformed Host",
        [HTTP_BAD_LENGTH] = "repeated, malformed or unexpected Content-Length",
        [HTTP_BAD_CODING] = "Transfer-Encoding other than one \"chunked\" in HTTP/1.1",
        [HTTP_TWO_FRAMINGS] = "Content-Length together with Transfer-Encoding",
        [HTTP_REPEATED] = "header field repeated that must be single",
        [HTTP_TOO_MANY] = "too many header fields",
        [HTTP_TARGET_LONG] = "request target too long",
    };
    assert((size_t)error < COUNT(text));
    return text[error];
}
