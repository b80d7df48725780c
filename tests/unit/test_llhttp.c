/* test_llhttp.c - 251 messages with the verdict of another parser, llhttp in its strict mode.
 * Each difference must stand in a table below with its reason, and each row of the tables
 * must still be a difference. The cases are found by WEIR_LLHTTP or beside the checkout;
 * without them the test says so and is skipped. Their last line end was lost when they were
 * collected, so a message that lacks nothing else is completed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/chunk.h"
#include "net/http.h"
#include "tests/unit/wall.h"

enum { CASES = 251, RAW_MAX = 4096, NAME_MAX_BYTES = 128 };

struct sample {
    char kind[16], mode[64], name[NAME_MAX_BYTES], expect[16], raw[RAW_MAX];
    size_t raw_len;
};

struct verdict {
    bool accept;
    unsigned hosts;  /* requests that only lacked Host */
    const char *why;
};

/* What differs on purpose: kind, llhttp's mode, name of the case, our verdict's reason. */
static const struct deviation {
    const char *kind, *mode, *name, *reason;
} deviations[] = {
    {"request", "request", "Multiple tokens with folding and LWS",
     "we never upgrade: what follows is read as a request, and is none"},
    {"request", "request", "Emitting part of body and pausing",
     "we never upgrade: what follows is read as a request, and is none"},
    {"request", "request", "Upgrade GET request",
     "we never upgrade: what follows is read as a request, and is none"},
    {"request", "request", "Upgrade POST request",
     "we never upgrade: what follows is read as a request, and is none"},
    {"request", "request-finish", "It should be unsafe to finish inside of the header",
     "cut in a line, which this test completes"},
    {"request", "request", "HTTP protocol and ANNOUNCE method",
     "laxer: any token is a method (RFC 9110 section 9.1), answered 405"},
    {"request", "request", "Invalid method",
     "laxer: any token is a method (RFC 9110 section 9.1), answered 405"},
    {"request", "request", "CONNECT request",
     "the authority form belongs to CONNECT, which is not served"},
    {"request", "request", "CONNECT request with CAPS",
     "the authority form belongs to CONNECT, which is not served"},
    {"request", "request", "CONNECT with body",
     "the authority form belongs to CONNECT, which is not served"},
    {"request", "request", "Underscore in hostname",
     "the authority form belongs to CONNECT, which is not served"},
    {"request", "request", "M-SEARCH request", "'*' is for OPTIONS (RFC 9112 section 3.2.4)"},
    {"request", "request", "PRI request HTTP2", "'*' is for OPTIONS (RFC 9112 section 3.2.4)"},
    {"request", "request", "SOURCE request with ICE", "another protocol"},
    {"request", "request", "OPTIONS request with RTSP", "another protocol"},
    {"request", "request", "ANNOUNCE request with RTSP", "another protocol"},
    {"request", "request", "No HTTP version", "HTTP/0.9"},
    {"request", "request", "POST with `chunked` as last transfer-encoding",
     "a fragment in the target; the codings would be refused as well"},
    {"request", "request", "POST with `chunked` as last transfer-encoding (multiple headers)",
     "a fragment in the target; the codings would be refused as well"},
    {"request", "request", "Fragment in URI",
     "a target has no fragment (RFC 9112 section 3.2)"},
    {"request", "request", "`host:port` and basic auth",
     "user info is refused (RFC 9110 section 4.2.4)"},
    {"response", "response", "HTTP 101 response with Upgrade and Content-Length header",
     "a 1xx has no length (RFC 9110 section 8.6)"},
    {"response", "response", "HTTP 101 response with Upgrade and Transfer-Encoding header",
     "a 1xx has no coding (RFC 9112 section 6.1)"},
    {"response", "response", "HTTP 304 with Content-Length",
     "blank lines in front of an answer are bytes nobody asked for"},
    {"response", "response", "HTTP 100 first, then 400",
     "blank lines in front of an answer are bytes nobody asked for"},
    {"response", "response", "Should parse multiple events",
     "blank lines in front of an answer are bytes nobody asked for"},
    {"response", "response", "Response starting with CRLF",
     "blank lines in front of an answer are bytes nobody asked for"},
    {"response", "response", "RTSP response", "another protocol"},
    {"response", "response", "ICE response", "another protocol"},
    {"response", "response", "HTTP version 0.9", "no such status line"},
    {"response", "response", "`chunked` before other transfer-encoding",
     "a coding that is not exactly chunked cannot be framed safely"},
    {"response", "response", "multiple transfer-encoding where chunked is not the last one",
     "a coding that is not exactly chunked cannot be framed safely"},
    {"response", "response",
     "`chunkedchunked` transfer-encoding does not enable chunked enconding",
     "a coding that is not exactly chunked cannot be framed safely"},
};

static struct wall wall;

static int setup(void **state)
{
    (void)state;
    wall = wall_open(2 * RAW_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wall_close(&wall);
    return 0;
}

/* --- just enough of JSON for this one file */

static size_t utf8_put(unsigned code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    assert(code < 0x800);
    out[0] = (char)(0xc0 | code >> 6);
    out[1] = (char)(0x80 | (code & 0x3f));
    return 2;
}

/* Read the string at *at (on its opening quote) into out, NUL-terminated; gives its length. */
static size_t read_string(const char **at, char *out, size_t room)
{
    const char *p = *at + 1;
    size_t len = 0;
    while (*p != '"') {
        assert(len + 4 < room && *p != '\0');
        if (*p != '\\') {
            out[len++] = *p++;
            continue;
        }
        const char *const plain = "\"\\/bfnrt", *const means = "\"\\/\b\f\n\r\t";
        const char *found = strchr(plain, p[1]);
        if (found) {
            out[len++] = means[found - plain];
            p += 2;
        } else {
            char hex[5] = {p[2], p[3], p[4], p[5], '\0'};
            len += utf8_put((unsigned)strtoul(hex, NULL, 16), out + len);
            p += 6;
        }
    }
    out[len] = '\0';
    *at = p + 1;
    return len;
}

/* Read one object's strings; false at the end of the array. */
static bool read_sample(const char **at, struct sample *s)
{
    static char key[RAW_MAX], value[RAW_MAX];
    const char *p = strchr(*at, '{');
    if (!p) return false;
    *s = (struct sample){0};
    for (p++; *p != '}';) {
        if (*p != '"') {
            p++;
            continue;
        }
        read_string(&p, key, sizeof(key));
        while (*p == ':' || *p == ' ') p++;
        if (*p != '"') continue;  /* a number, null, true, false */
        const size_t len = read_string(&p, value, sizeof(value));
        if (!strcmp(key, "kind")) snprintf(s->kind, sizeof(s->kind), "%.15s", value);
        if (!strcmp(key, "mode")) snprintf(s->mode, sizeof(s->mode), "%.63s", value);
        if (!strcmp(key, "name")) snprintf(s->name, sizeof(s->name), "%.127s", value);
        if (!strcmp(key, "expect")) snprintf(s->expect, sizeof(s->expect), "%.15s", value);
        if (strcmp(key, "raw") != 0) continue;
        memcpy(s->raw, value, len);
        s->raw_len = len;
    }
    *at = p + 1;
    return true;
}

/* --- our verdict on a sequence of messages */

/* Parse the head at the start of in. A request that only lacks Host gets one, is counted and
 * parsed again, so that the rest of it is compared too. *bytes: of the head as it was sent. */
static enum http_error head_parse(bool request, struct bytes in, struct http_head *head,
                                  size_t *bytes, unsigned *hosts)
{
    static const char host[] = "Host: inserted\r\n";
    static char text[2 * RAW_MAX];
    *bytes = 0;
    const enum net_rc rc = request ? http_request(in, head) : http_response(in, false, head);
    *bytes = head->bytes;
    if (rc == NET_OK || head->error != HTTP_BAD_HOST || head->field[HTTP_HOST].ptr)
        return head->error;
    const size_t line = bytes_find(in, '\n') + 1, more = sizeof(host) - 1;
    memcpy(text, in.ptr, line);
    memcpy(text + line, host, more);
    memcpy(text + line + more, in.ptr + line, in.len - line);
    (*hosts)++;
    const struct bytes again = wall_put(&wall, (struct bytes){text, in.len + more});
    if (http_request(again, head) == NET_OK) *bytes = head->bytes - more;
    return head->error;
}

/* Pass over the body. False for a framing error. */
static bool body_skip(const struct http_head *head, struct bytes *in)
{
    struct chunk c = {0};
    struct bytes body;
    enum net_rc rc = NET_DONE;
    if (head->framing == HTTP_LENGTH)
        bytes_cut(in, head->content_length < in->len ? (size_t)head->content_length : in->len);
    if (head->framing == HTTP_UNTIL_CLOSE) bytes_cut(in, in->len);
    if (head->framing == HTTP_CHUNKED) {
        do rc = chunk_next(&c, in, &body);
        while (rc == NET_OK);
    }
    return rc != NET_BAD;
}

static struct verdict judge(const struct sample *s)
{
    static char text[RAW_MAX + 8];
    struct verdict v = {.why = "fine"};
    const bool request = !strcmp(s->kind, "request");
    memcpy(text, s->raw, s->raw_len);
    struct bytes rest = {text, s->raw_len};
    if (rest.len >= 2 && !memcmp(text + rest.len - 2, "\r\n", 2)) {
        memcpy(text + rest.len, "\r\n", 2);
        rest.len += 2;
    }
    for (bool keep = true;;) {
        bytes_cut(&rest, rest.len && (request || rest.len == 2) ? http_blank_lines(rest) : 0);
        if (rest.len == 0) break;
        v.why = "bytes behind the last message";
        if (!keep) return v;
        size_t scanned = 0, bytes = 0;
        if (http_head_end(rest, &scanned) == NET_MORE) {
            memcpy(text + (rest.ptr - text) + rest.len, "\r\n\r\n", 4);
            rest.len += 4;
        }
        struct http_head head;
        const struct bytes in = wall_put(&wall, rest);
        const enum http_error error = head_parse(request, in, &head, &bytes, &v.hosts);
        v.why = http_why(error);
        if (error != HTTP_FINE) return v;
        bytes_cut(&rest, bytes);
        v.why = "chunk framing";
        if (!body_skip(&head, &rest)) return v;
        keep = head.keep_alive;
        if (head.status == 101) break;  /* what follows is another protocol */
    }
    v.accept = true;
    return v;
}

static const struct deviation *explained(const struct sample *s)
{
    for (size_t i = 0; i < COUNT(deviations); i++) {
        if (!strcmp(deviations[i].kind, s->kind) && !strcmp(deviations[i].name, s->name) &&
            !strcmp(deviations[i].mode, s->mode)) return &deviations[i];
    }
    return NULL;
}

static char *load(void)
{
    const char *paths[] = {getenv("WEIR_LLHTTP"), "tests/unit/llhttp_cases.json",
                           "../shared/data/http/llhttp_cases.json"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        FILE *file = paths[i] ? fopen(paths[i], "rb") : NULL;
        if (!file) continue;
        char *text = calloc(1, 1 << 20);
        assert_non_null(text);
        assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
        fclose(file);
        return text;
    }
    return NULL;
}

static void test_cases(void **state)
{
    static struct sample s;
    (void)state;
    char *text = load();
    if (!text) {
        print_message("llhttp's cases are not here (WEIR_LLHTTP names the file): skipped\n");
        skip();
    }
    unsigned count = 0, same = 0, lenient = 0, known = 0, hosts = 0, unknown = 0;
    for (const char *at = text; read_sample(&at, &s); count++) {
        const struct verdict v = judge(&s);
        hosts += v.hosts;
        const struct deviation *row = explained(&s);
        if (v.accept == !strcmp(s.expect, "accept")) {
            same++;
            if (row) print_message("no deviation any more: %s, %s\n", s.mode, s.name);
            unknown += row != NULL;
        } else if (!v.accept && strstr(s.mode, "lenient")) {
            lenient++;
        } else if (row) {
            known++;
            print_message("  %-8s %-50.50s we: %s (%s)\n", s.kind, s.name,
                          v.accept ? "accept" : v.why, row->reason);
        } else {
            unknown++;
            print_message("unexplained: {\"%s\", \"%s\", \"%s\",\n     \"\"}, we: %s %s\n",
                          s.kind, s.mode, s.name, v.accept ? "accept" : "refuse", v.why);
        }
    }
    free(text);
    print_message("%u cases: %u alike, %u of llhttp's lenient modes refused, %u different on "
                  "purpose, %u requests without Host\n", count, same, lenient, known, hosts);
    assert_int_equal(count, CASES);
    assert_int_equal(unknown, 0);
    assert_true(hosts > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
