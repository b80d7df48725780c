/* test_http.c - message heads: every rule of RFC 9112 that decides where a message ends, with
 * input flush against an unreadable page, every cut, every limit at max and max + 1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/http.h"
#include "tests/unit/wall.h"

enum { ROOM = 64 * 1024 };
#define HOST "Host: h\r\n"

static struct wall wall;

static int setup(void **state)
{
    (void)state;
    wall = wall_open(ROOM);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wall_close(&wall);
    return 0;
}

static void check(bool good, struct bytes row, const char *what)
{
    if (good) return;
    wall_row(row);
    fail_msg("%s", what);
}

static void same(struct bytes got, const char *want)
{
    if (bytes_eq(got, bytes_of(want))) return;
    wall_row(got);
    fail_msg("wanted \"%s\"", want);
}

/* A cut head is never accepted; the end is found at the same place however it arrives. */
static void check_cuts(struct bytes in, size_t whole, bool request)
{
    struct http_head head;
    size_t resumed = 0;
    for (size_t cut = 0; cut < in.len; cut++) {
        const struct bytes part = wall_put(&wall, (struct bytes){in.ptr, cut});
        size_t fresh = 0;
        const enum net_rc one = http_head_end(part, &fresh);
        const enum net_rc two = http_head_end(part, &resumed);
        check(one == two && fresh == resumed, part, "a resumed scan differs from a fresh one");
        check((one == NET_OK) == (cut >= whole), part, "the end of the head moved");
        if (one == NET_OK) return;
        const enum net_rc rc = request ? http_request(part, &head)
                                       : http_response(part, false, &head);
        check(rc == NET_BAD && head.error != HTTP_FINE, part, "half a head was accepted");
        check(head.fields.ptr == NULL, part, "fields of a refused head");
    }
}

static enum http_error request_error(const char *wire, struct http_head *head)
{
    const struct bytes in = wall_put(&wall, bytes_of(wire));
    const enum net_rc rc = http_request(in, head);
    check((rc == NET_OK) == (head->error == HTTP_FINE), in, "result and error disagree");
    assert_true(rc == NET_OK || rc == NET_BAD);
    assert_true(strlen(http_why(head->error)) > 0);
    if (rc == NET_OK) {
        size_t scanned = 0;
        check(http_head_end(in, &scanned) == NET_OK && scanned == head->bytes, in,
              "end of head and parser disagree");
    }
    return head->error;
}

static const struct {
    const char *wire;
    enum http_error error;
} requests[] = {
    {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", HTTP_FINE},
    {"GET / HTTP/1.0\r\n\r\n", HTTP_FINE},
    /* RFC 9112 section 3: the request line, single blanks only */
    {"GET  / HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_LINE},
    {"GET /  HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_LINE},
    {"GET / HTTP/1.1 \r\n" HOST "\r\n", HTTP_BAD_LINE},
    {"GET\t/ HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_METHOD},
    {" GET / HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_METHOD},
    {"G@T / HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_METHOD},
    {"\x16\x03\x01\x02\r\n\r\n", HTTP_BAD_METHOD},
    {"GET\r\n\r\n", HTTP_BAD_LINE},
    {"GET /\r\n\r\n", HTTP_BAD_LINE}, /* HTTP/0.9 */
    {"GET / \r\n" HOST "\r\n", HTTP_BAD_LINE},
    {"\r\n\r\n", HTTP_BAD_LINE},
    {"GET / http/1.1\r\n" HOST "\r\n", HTTP_BAD_LINE},
    {"GET / HTTP/1.1\n" HOST "\r\n", HTTP_BAD_LINE},
    {"GET / HTTP/1.1\rHost: h\r\n\r\n", HTTP_BAD_LINE},
    {"GET / HTTP/1.01\r\n" HOST "\r\n", HTTP_BAD_LINE},
    {"GET / HTTP/01.1\r\n" HOST "\r\n", HTTP_BAD_LINE},
    {"GET / HTTP/1.x\r\n" HOST "\r\n", HTTP_BAD_LINE},
    {"GET / XTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_LINE},
    {"GET / HTTP/1.2\r\n" HOST "\r\n", HTTP_BAD_VERSION},
    {"GET / HTTP/0.9\r\n" HOST "\r\n", HTTP_BAD_VERSION},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTP_BAD_VERSION},
    {"GET / HTTP/9.9\r\n" HOST "\r\n", HTTP_BAD_VERSION},
    /* RFC 9112 section 3.2: targets */
    {"GET x HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_TARGET},
    {"GET /a#b HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_TARGET},
    {"GET /a\tb HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_TARGET},
    {"GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_TARGET},
    {"GET /a b HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_LINE},
    {"GET * HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_TARGET},
    {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", HTTP_FINE},
    {"OPTIONS *x HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_TARGET},
    {"CONNECT h:443 HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_TARGET},
    {"GET ftp://h/ HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_TARGET},
    {"GET http:/h/ HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_TARGET},
    {"GET http:///x HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_TARGET},
    {"GET http://a:b@h/ HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_TARGET},
    {"GET http://h:99999/ HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_TARGET},
    {"GET http://h/ HTTP/1.1\r\n\r\n", HTTP_BAD_HOST},
    /* RFC 9112 section 5: field lines */
    {"GET / HTTP/1.1\r\n Host: h\r\n\r\n", HTTP_BAD_FIELD},
    {"GET / HTTP/1.1\r\nHost : h\r\n\r\n", HTTP_BAD_FIELD},
    {"GET / HTTP/1.1\r\nHost\t: h\r\n\r\n", HTTP_BAD_FIELD},
    {"GET / HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n", HTTP_BAD_FIELD}, /* folded */
    {"GET / HTTP/1.1\r\n" HOST "A: b\r\n\tc\r\n\r\n", HTTP_BAD_FIELD},
    {"GET / HTTP/1.1\r\n" HOST "A: b\r\n \r\n\r\n", HTTP_BAD_FIELD},
    {"GET / HTTP/1.1\r\n" HOST ": b\r\n\r\n", HTTP_BAD_FIELD},
    {"GET / HTTP/1.1\r\n" HOST "A\r\n\r\n", HTTP_BAD_FIELD},
    {"GET / HTTP/1.1\r\n" HOST "A b: c\r\n\r\n", HTTP_BAD_FIELD},
    {"GET / HTTP/1.1\r\n" HOST "A: b\nC: d\r\n\r\n", HTTP_BAD_FIELD},
    {"GET / HTTP/1.1\r\n" HOST "A: b\rC: d\r\n\r\n", HTTP_BAD_FIELD},
    {"GET / HTTP/1.1\r\n" HOST "A: b\r\r\n\r\n", HTTP_BAD_FIELD},
    {"GET / HTTP/1.1\r\n" HOST "\n", HTTP_BAD_FIELD},
    {"GET / HTTP/1.1\r\n" HOST "\rX", HTTP_BAD_FIELD},
    {"GET / HTTP/1.1\r\n" HOST "A:\r\nB: \t \r\n\r\n", HTTP_FINE},
    /* RFC 9112 section 3.2: one Host, well-formed */
    {"GET / HTTP/1.1\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.0\r\nHost: a\r\nhOST: a\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: h/\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: h:\r\n\r\n", HTTP_FINE},
    {"GET / HTTP/1.1\r\nHost: h:65535\r\n\r\n", HTTP_FINE},
    {"GET / HTTP/1.1\r\nHost: h:65536\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: h:8x\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: h:000080\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", HTTP_FINE},
    {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: []\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n", HTTP_BAD_HOST},
    /* RFC 9112 section 6: one framing */
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", HTTP_FINE},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n", HTTP_BAD_LENGTH},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", HTTP_BAD_LENGTH},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\n", HTTP_BAD_LENGTH},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1 2\r\n\r\n", HTTP_BAD_LENGTH},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1,1\r\n\r\n", HTTP_BAD_LENGTH},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", HTTP_BAD_LENGTH},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775807\r\n\r\n", HTTP_FINE},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775808\r\n\r\n",
     HTTP_BAD_LENGTH},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
     HTTP_BAD_LENGTH},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
     HTTP_TWO_FRAMINGS},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\nContent-Length: 1\r\n\r\n",
     HTTP_TWO_FRAMINGS},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: ChunkeD \r\n\r\n", HTTP_FINE},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \r\n\r\n", HTTP_BAD_CODING},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n",
     HTTP_BAD_CODING},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n",
     HTTP_BAD_CODING},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \"chunked\"\r\n\r\n", HTTP_BAD_CODING},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n", HTTP_BAD_CODING},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n", HTTP_BAD_CODING},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked;a=b\r\n\r\n", HTTP_BAD_CODING},
    {"POST / HTTP/1.1\r\n" HOST
     "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     HTTP_BAD_CODING},
    {"POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", HTTP_BAD_CODING},
};

static void test_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(requests); i++) {
        struct http_head head;
        const enum http_error error = request_error(requests[i].wire, &head);
        check(error == requests[i].error, bytes_of(requests[i].wire), http_why(error));
        const struct bytes wire = bytes_of(requests[i].wire);
        if (error == HTTP_FINE) check_cuts(wire, wire.len, true);
    }
}

static void test_request_parts(void **state)
{
    static const struct {
        const char *line, *method, *path, *query, *host;
        enum http_method id;
    } rows[] = {
        {"GET /", "GET", "/", "", "h", HTTP_GET},
        {"HEAD /a?", "HEAD", "/a", "", "h", HTTP_HEAD},
        {"POST /v1/chat/completions?key=a%20b&x", "POST", "/v1/chat/completions",
         "key=a%20b&x", "h", HTTP_POST},
        {"PUT //x//?a?b", "PUT", "//x//", "a?b", "h", HTTP_PUT},
        {"PATCH /%2e%2E/", "PATCH", "/%2e%2E/", "", "h", HTTP_PATCH},
        {"DELETE /models/m:generateContent", "DELETE", "/models/m:generateContent", "", "h",
         HTTP_DELETE},
        {"OPTIONS *", "OPTIONS", "*", "", "h", HTTP_OPTIONS},
        {"get /", "get", "/", "", "h", HTTP_OTHER},
        {"GETS /\"<>[]{}|\\^`", "GETS", "/\"<>[]{}|\\^`", "", "h", HTTP_OTHER},
        {"GET http://other:81/p/q?r=s", "GET", "/p/q", "r=s", "other:81", HTTP_GET},
        {"GET HTTPS://[::1]?r", "GET", "/", "r", "[::1]", HTTP_GET},
        {"GET http://other", "GET", "/", "", "other", HTTP_GET},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char wire[256];
        struct http_head head;
        snprintf(wire, sizeof(wire), "%s HTTP/1.1\r\nhost:\t h \t\r\n\r\nbody", rows[i].line);
        const struct bytes in = wall_put(&wall, bytes_of(wire));
        check(http_request(in, &head) == NET_OK, in, "refused");
        same(head.method_text, rows[i].method);
        same(head.path, rows[i].path);
        same(head.query, rows[i].query);
        same(head.field[HTTP_HOST], rows[i].host);
        assert_int_equal(head.method, rows[i].id);
        assert_int_equal(head.bytes, in.len - 4);
        assert_int_equal(head.framing, HTTP_NO_BODY);
        same(head.fields, "host:\t h \t\r\n");
    }
}

/* RFC 9112 section 9.3, and lists that are spread over several lines. */
static void test_connection(void **state)
{
    static const struct {
        const char *fields;
        bool keep11, keep10, websocket;
    } rows[] = {
        {"", true, false, false},
        {"Connection: close\r\n", false, false, false},
        {"Connection: Keep-Alive\r\n", true, true, false},
        {"Connection: keep-alive, close\r\n", false, false, false},
        {"Connection: x\r\nConnection: y , CLOSE\r\n", false, false, false},
        {"Connection: close\r\nConnection: keep-alive\r\n", false, false, false},
        {"Connection: closed\r\nConnection: ,,\r\n", true, false, false},
        {"Connection: upgrade\r\nUpgrade: WebSocket\r\n", true, false, true},
        {"Connection: upgrade\r\nUpgrade: h2c\r\nUpgrade: x, websocket\r\n", true, false, true},
        {"Connection: upgrade\r\nUpgrade: h2c\r\n", true, false, false},
        {"Connection: a\r\nConnection: b\r\nConnection: c\r\nConnection: close\r\n", false,
         false, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (int minor = 0; minor < 2; minor++) {
            char wire[256];
            struct http_head head;
            snprintf(wire, sizeof(wire), "GET / HTTP/1.%d\r\nHost: h\r\n%s\r\n", minor,
                     rows[i].fields);
            const enum http_error error = request_error(wire, &head);
            check(error == HTTP_FINE, bytes_of(wire), http_why(error));
            assert_int_equal(head.minor, minor);
            check(head.keep_alive == (minor ? rows[i].keep11 : rows[i].keep10),
                  bytes_of(wire), "keep_alive");
            check(head.upgrade_websocket == (minor && rows[i].websocket), bytes_of(wire),
                  "upgrade_websocket");
        }
    }
    struct http_head head;
    assert_int_equal(request_error("GET / HTTP/1.1\r\nHost: h\r\nConnection: a\r\n"
                                   "Connection: b\r\nConnection: c\r\nConnection: d\r\n"
                                   "Connection: e\r\n\r\n", &head), HTTP_TOO_MANY);
}

static void test_expect(void **state)
{
    struct http_head head;
    (void)state;
    assert_int_equal(request_error("POST / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n"
                                   "Expect: 100-Continue\r\n\r\n", &head), HTTP_FINE);
    assert_true(head.expect_continue);
    assert_int_equal(head.framing, HTTP_LENGTH);
    assert_int_equal(head.content_length, 2);
    /* RFC 9110 section 10.1.1: to be ignored in HTTP/1.0 */
    assert_int_equal(request_error("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", &head),
                     HTTP_FINE);
    assert_false(head.expect_continue);
    assert_int_equal(request_error("POST / HTTP/1.1\r\n" HOST "Expect: 100\r\n\r\n", &head),
                     HTTP_FINE);
    assert_false(head.expect_continue);
}

static const char *const names[] = {
#define X(id, name, stops) [HTTP_##id] = name,
#define Y X
#include "net/http.def"
#undef Y
#undef X
};

static void upper(const char *text, char *out)
{
    for (; *text; text++) *out++ = (char)(*text >= 'a' && *text <= 'z' ? *text - 32 : *text);
    *out = '\0';
}

/* Each name of http.def in any case; nothing that differs by one byte. */
static void test_names(void **state)
{
    (void)state;
    for (size_t id = 0; id < HTTP_NAME_COUNT; id++) {
        char name[32], other[32];
        upper(names[id], name);
        const struct bytes low = wall_put(&wall, bytes_of(names[id]));
        assert_int_equal(http_field_find(low), id);
        assert_int_equal(http_field_find(wall_put(&wall, bytes_of(name))), id);
        for (size_t at = 0; names[id][at]; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                memcpy(other, names[id], strlen(names[id]) + 1);
                other[at] = (char)byte;
                if (byte_lower((char)byte) == names[id][at]) continue;
                const struct bytes wrong = {other, strlen(names[id])};
                assert_int_not_equal(http_field_find(wrong), id);
            }
        }
        const struct bytes shorter = {names[id], strlen(names[id]) - 1};
        assert_int_not_equal(http_field_find(shorter), id);
    }
    assert_int_equal(http_field_find((struct bytes){0}), HTTP_NAME_COUNT);
}

/* Fields with one meaning are refused when repeated, even with equal values. */
static void test_repeated(void **state)
{
    static const enum http_field single[] = {
        HTTP_AUTHORIZATION, HTTP_X_API_KEY, HTTP_X_GOOG_API_KEY, HTTP_API_KEY,
        HTTP_CONTENT_TYPE, HTTP_EXPECT, HTTP_X_WEIR_MODE, HTTP_X_WEIR_TIMEOUT,
        HTTP_X_WEIR_MAX_TTFT, HTTP_X_WEIR_PRIORITY, HTTP_X_WEIR_NO_FALLBACK,
        HTTP_X_WEIR_SESSION, HTTP_X_WEIR_TAGS, HTTP_X_WEIR_CASCADE, HTTP_X_REQUEST_ID,
    };
    (void)state;
    for (size_t id = 0; id < HTTP_FIELD_COUNT; id++) {
        bool must = false;
        char wire[256];
        struct http_head head;
        if (id <= HTTP_TRANSFER_ENCODING) continue;  /* they have errors of their own */
        for (size_t i = 0; i < COUNT(single); i++) must = must || single[i] == id;
        snprintf(wire, sizeof(wire), "GET / HTTP/1.1\r\n" HOST "%s: 1\r\nA: b\r\n%s: 2\r\n\r\n",
                 names[id], names[id]);
        const enum http_error error = request_error(wire, &head);
        check(error == (must ? HTTP_REPEATED : HTTP_FINE), bytes_of(wire), http_why(error));
        if (!must) same(head.field[id], "1");
        snprintf(wire, sizeof(wire), "HTTP/1.1 200 OK\r\n%s: 1\r\n%s: 2\r\n\r\n", names[id],
                 names[id]);
        const struct bytes in = wall_put(&wall, bytes_of(wire));
        check(http_response(in, false, &head) == NET_OK, in, "answers may repeat it");
        same(head.field[id], "1");
    }
    struct http_head head;
    const struct bytes in = BYTES("HTTP/1.1 200 OK\r\nContent-Encoding: Identity\r\n"
                                  "Content-Encoding: gzip\r\nContent-Encoding: br\r\n\r\n");
    assert_int_equal(http_response(in, false, &head), NET_OK);
    same(head.field[HTTP_CONTENT_ENCODING], "gzip");  /* not hidden by what is in front */
}

static const struct {
    const char *wire;
    enum http_error error;
    unsigned status;
    enum http_framing framing, to_head;
    bool keep;
} responses[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", 0, 200, HTTP_LENGTH, HTTP_NO_BODY, 1},
    {"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 200, HTTP_CHUNKED, 0, 1},
    {"HTTP/1.1 200 \r\n\r\n", 0, 200, HTTP_UNTIL_CLOSE, 0, 0},
    {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n", 0, 200,
     HTTP_LENGTH, 0, 1},
    {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", 0, 200, HTTP_LENGTH, 0, 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n", 0, 200,
     HTTP_LENGTH, 0, 0},
    {"HTTP/1.1 500 Ori\xc3\xabnt \t x\r\nContent-Length: 0\r\n\r\n", 0, 500, HTTP_LENGTH,
     0, 1},
    {"HTTP/1.1 100 Continue\r\n\r\n", 0, 100, HTTP_NO_BODY, 0, 1},
    {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 0, 103, HTTP_NO_BODY, 0, 1},
    {"HTTP/1.1 204 No Content\r\n\r\n", 0, 204, HTTP_NO_BODY, 0, 1},
    {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 0, 204, HTTP_NO_BODY, 0, 1},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 0, 304, HTTP_NO_BODY, 0, 1},
    {"HTTP/1.1 599 X\r\nContent-Length: 0\r\n\r\n", 0, 599, HTTP_LENGTH, 0, 1},
    /* RFC 9112 section 6.1, RFC 9110 section 8.6 */
    {"HTTP/1.1 204 X\r\nContent-Length: 1\r\n\r\n", HTTP_BAD_LENGTH, 0, 0, 0, 0},
    {"HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_BAD_CODING, 0, 0, 0, 0},
    {"HTTP/1.1 101 X\r\nContent-Length: 4\r\n\r\n", HTTP_BAD_LENGTH, 0, 0, 0, 0},
    {"HTTP/1.1 100 X\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_BAD_CODING, 0, 0, 0, 0},
    {"HTTP/1.0 200 X\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_BAD_CODING, 0, 0, 0, 0},
    {"HTTP/1.1 200 X\r\nTransfer-Encoding: gzip\r\n\r\n", HTTP_BAD_CODING, 0, 0, 0, 0},
    {"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
     HTTP_TWO_FRAMINGS, 0, 0, 0, 0},
    {"HTTP/1.1 200 X\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", HTTP_BAD_LENGTH,
     0, 0, 0, 0},
    /* RFC 9112 section 4: the status line */
    {"HTTP/1.1 099 X\r\n\r\n", HTTP_BAD_STATUS, 0, 0, 0, 0},
    {"HTTP/1.1 99 X\r\n\r\n", HTTP_BAD_STATUS, 0, 0, 0, 0},
    {"HTTP/1.1 600 X\r\n\r\n", HTTP_BAD_STATUS, 0, 0, 0, 0},
    {"HTTP/1.1 1000 X\r\n\r\n", HTTP_BAD_STATUS, 0, 0, 0, 0},
    {"HTTP/1.1 2x0 X\r\n\r\n", HTTP_BAD_STATUS, 0, 0, 0, 0},
    {"HTTP/1.1 200X\r\n\r\n", HTTP_BAD_STATUS, 0, 0, 0, 0},
    {"HTTP/1.1 200\tX\r\n\r\n", HTTP_BAD_STATUS, 0, 0, 0, 0},
    {"HTTP/1.1  200 X\r\n\r\n", HTTP_BAD_STATUS, 0, 0, 0, 0},
    {"HTTP/1.1\t200 X\r\n\r\n", HTTP_BAD_LINE, 0, 0, 0, 0},
    {"HTTP/1.1200 X\r\n\r\n", HTTP_BAD_LINE, 0, 0, 0, 0},
    {"HTTP/1.1 200 a\nb\r\n\r\n", HTTP_BAD_LINE, 0, 0, 0, 0},
    {"HTTP/1.1 200 a\rb\r\n\r\n", HTTP_BAD_LINE, 0, 0, 0, 0},
    {"HTTP/1.1 200 a\x01\r\n\r\n", HTTP_BAD_LINE, 0, 0, 0, 0},
    {"HTTP/2.0 200 X\r\n\r\n", HTTP_BAD_VERSION, 0, 0, 0, 0},
    {"ICY 200 OK\r\n\r\n", HTTP_BAD_LINE, 0, 0, 0, 0},
    {"HTTP/1.1 200 OK\r\n A: b\r\n\r\n", HTTP_BAD_FIELD, 0, 0, 0, 0},
    {"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", HTTP_BAD_FIELD, 0, 0, 0, 0},
};

static void test_responses(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(responses); i++) {
        struct http_head head;
        const struct bytes text = bytes_of(responses[i].wire), in = wall_put(&wall, text);
        const enum net_rc rc = http_response(in, false, &head);
        check(head.error == responses[i].error, in, http_why(head.error));
        check((rc == NET_OK) == (head.error == HTTP_FINE), in, "result and error disagree");
        if (rc != NET_OK) continue;
        check(head.status == responses[i].status && head.bytes == in.len, in, "status, bytes");
        check(head.framing == responses[i].framing, in, "framing");
        check(head.keep_alive == responses[i].keep, in, "keep_alive");
        check(http_response(in, true, &head) == NET_OK, in, "to HEAD");
        check(head.framing == HTTP_NO_BODY && head.content_length == 0, in, "HEAD has none");
        check_cuts(text, text.len, false);
    }
}

/* Every byte value at every kind of place. */
static void test_bytes(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        const char c = (char)byte;
        const bool letter = (byte_lower(c) >= 'a' && byte_lower(c) <= 'z');
        const bool digit = c >= '0' && c <= '9';
        const bool token = letter || digit || (c && strchr("!#$%&'*+-.^_`|~", c));
        /* at each offset, so that each lane of the scans sees it */
        for (size_t at = 0; at < 40; at++) {
            char wire[160] = "GET / HTTP/1.1\r\n" HOST "X: ";
            struct http_head head;
            const size_t value = strlen(wire);
            memset(wire + value, 'v', 40);
            memcpy(wire + value + 40, "\r\n\r\n", 5);
            wire[value + at] = c;
            struct bytes in = wall_put(&wall, (struct bytes){wire, value + 44});
            const bool fair = byte >= 0x80 || (byte >= 0x20 && byte != 0x7f) || c == '\t';
            check((http_request(in, &head) == NET_OK) == fair, in, "byte in a value");
            const size_t name = value - 3;
            memset(wire + name, 'n', 40);
            memcpy(wire + name + 40, ":\r\n\r\n", 6);
            wire[name + at] = c;
            in = wall_put(&wall, (struct bytes){wire, name + 45});
            const bool colon = c == ':' && at > 0;  /* ends the name earlier */
            check((http_request(in, &head) == NET_OK) == (token || colon), in, "in a name");
        }
        char wire[64];
        struct http_head head;
        const int len = snprintf(wire, sizeof(wire), "GET /xx HTTP/1.1\r\n" HOST "\r\n");
        wire[6] = c;
        struct bytes in = wall_put(&wall, (struct bytes){wire, (size_t)len});
        const bool target = byte > 0x20 && byte < 0x7f && c != '#';
        check((http_request(in, &head) == NET_OK) == target, in, "in a target");
        memcpy(wire, "GET /xx", 7);
        wire[1] = c;
        in = wall_put(&wall, (struct bytes){wire, (size_t)len});
        check((http_request(in, &head) == NET_OK) == token, in, "in a method");
    }
}

static void test_limits(void **state)
{
    (void)state;
    static char wire[ROOM];
    struct http_head head;
    for (size_t extra = 0; extra < 2; extra++) {
        size_t len = (size_t)snprintf(wire, sizeof(wire), "GET / HTTP/1.1\r\n" HOST);
        for (size_t i = 1; i < HTTP_FIELDS_MAX + extra; i++)
            len += (size_t)snprintf(wire + len, sizeof(wire) - len, "a%zu: b\r\n", i);
        snprintf(wire + len, sizeof(wire) - len, "\r\n");
        assert_int_equal(request_error(wire, &head), extra ? HTTP_TOO_MANY : HTTP_FINE);
        if (!extra) assert_int_equal(head.field_count, HTTP_FIELDS_MAX);
        len = (size_t)snprintf(wire, sizeof(wire), "GET /");
        memset(wire + len, 'a', HTTP_TARGET_MAX - 1 + extra);
        len += HTTP_TARGET_MAX - 1 + extra;
        snprintf(wire + len, sizeof(wire) - len, " HTTP/1.1\r\n" HOST "\r\n");
        assert_int_equal(request_error(wire, &head), extra ? HTTP_TARGET_LONG : HTTP_FINE);
        if (!extra) assert_int_equal(head.target.len, HTTP_TARGET_MAX);
    }
}

/* Where a head ends, and that a hopeless one is not waited for. */
static void test_head_end(void **state)
{
    static const struct {
        const char *text;
        size_t end; /* 0: NET_MORE */
    } rows[] = {
        {"", 0},
        {"\r", 0},
        {"G", 0},
        {"GET / HTTP/1.1\r\n", 0},
        {"GET / HTTP/1.1\r\n\r", 0},
        {"GET / HTTP/1.1\r\n\r\n", 18},
        {"GET / HTTP/1.1\r\n\r\nGET ", 18},
        {"GET / HTTP/1.1\r\nA: b\r\n\r\nbody\n\nmore text behind it, long", 24},
        {"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", 25},
        {"\n", 1},
        {"\x16\x03\x01", 1},
        {" GET / HTTP/1.1\r\n", 1},
        {"GET / HTTP/1.1\n", 15},
        {"GET / HTTP/1.1\r\nHost: h\n", 24},
        {"GET / HTTP/1.1\r\nA-long-name: h\r\nB-long-name: h\nC: d", 47},
        {"GET / HTTP/1.1\r\n\n", 17},
        {"GET / HTTP/1.1\r\nA: b\r\n\nx", 23},
        {"GET /\r\n", 7},
        {"EHLO example.com\r\n", 18},
    };
    (void)state;
    size_t scanned = 0;
    assert_int_equal(http_head_end(BYTES("\r\n"), &scanned), NET_OK);  /* one too many */
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct bytes text = bytes_of(rows[i].text);
        size_t resumed = 0;
        for (size_t cut = 0; cut <= text.len; cut++) {
            const struct bytes in = wall_put(&wall, (struct bytes){text.ptr, cut});
            const enum net_rc rc = http_head_end(in, &resumed);
            const bool due = rows[i].end > 0 && cut >= rows[i].end;
            if (rc == NET_MORE) check(!due, in, "waits for nothing");
            else check(due && resumed == rows[i].end, in, "wrong end");
            if (rc == NET_OK) break;
            assert_int_equal(rc, NET_MORE);
            assert_true(resumed <= cut);
        }
    }
}

static void test_blank_lines(void **state)
{
    (void)state;
    assert_int_equal(http_blank_lines(wall_put(&wall, BYTES(""))), 0);
    assert_int_equal(http_blank_lines(wall_put(&wall, BYTES("\r"))), 0);
    assert_int_equal(http_blank_lines(wall_put(&wall, BYTES("\r\n"))), 2);
    assert_int_equal(http_blank_lines(wall_put(&wall, BYTES("\r\n\r"))), 2);
    assert_int_equal(http_blank_lines(wall_put(&wall, BYTES("\r\n\r\n\r\n"))), 4);
    assert_int_equal(http_blank_lines(wall_put(&wall, BYTES("\n\r\n"))), 0);
    assert_int_equal(http_blank_lines((struct bytes){0}), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),     cmocka_unit_test(test_request_parts),
        cmocka_unit_test(test_connection),   cmocka_unit_test(test_expect),
        cmocka_unit_test(test_names),        cmocka_unit_test(test_repeated),
        cmocka_unit_test(test_responses),    cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_limits),       cmocka_unit_test(test_head_end),
        cmocka_unit_test(test_blank_lines),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
