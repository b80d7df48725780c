/* bench_http.c - what the wire codecs cost: nanoseconds for a request head (end found, then
 * parsed), for a response head, and gigabytes a second of splitting an event stream. Each
 * figure is the best and the median of several rounds, since the machine is shared. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "net/chunk.h"
#include "net/http.h"
#include "net/sse.h"

enum { ROUNDS = 301, HEADS = 4000, EVENT_BYTES = 150, EVENTS = 4096, STREAMS = 1 };

static const char request[] =
    "POST /v1/chat/completions HTTP/1.1\r\n"
    "Host: weir.example.internal:8080\r\n"
    "Authorization: Bearer sk-weir-0123456789abcdefghijklmnopqrstuvwxyz\r\n"
    "Content-Type: application/json\r\n"
    "Accept: text/event-stream\r\n"
    "Accept-Encoding: gzip, deflate\r\n"
    "User-Agent: OpenAI/Python 1.54.3\r\n"
    "X-Stainless-Lang: python\r\n"
    "X-Stainless-Package-Version: 1.54.3\r\n"
    "X-Stainless-Runtime: CPython\r\n"
    "X-Request-Id: 7f9c1f0e-5e0d-4b53\r\n"
    "Connection: keep-alive\r\n"
    "Content-Length: 1834\r\n"
    "\r\n";

static const char response[] =
    "HTTP/1.1 200 OK\r\n"
    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    "Content-Type: text/event-stream; charset=utf-8\r\n"
    "Transfer-Encoding: chunked\r\n"
    "Connection: keep-alive\r\n"
    "openai-organization: user-0123456789\r\n"
    "openai-processing-ms: 312\r\n"
    "x-ratelimit-remaining-requests: 9999\r\n"
    "x-ratelimit-remaining-tokens: 1999987\r\n"
    "x-request-id: req_0123456789abcdef0123456789abcdef\r\n"
    "\r\n";

struct round {
    double ns[ROUNDS];  /* per item */
};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void report(const char *what, struct round *r, double bytes)
{
    qsort(r->ns, ROUNDS, sizeof(r->ns[0]), by_value);
    printf("%-34s best %8.1f ns  median %8.1f ns  %6.2f GB/s\n", what, r->ns[0],
           r->ns[ROUNDS / 2], bytes / r->ns[0]);
}

static void must(bool good)
{
    if (good) return;
    fputs("bench_http: the benchmark's own input was refused\n", stderr);
    exit(1);
}

/* The compiler must not see that every head is the same. */
static struct bytes hidden(const char *text, size_t len)
{
    __asm__ volatile("" : "+r"(text) : : "memory");
    return (struct bytes){text, len};
}

static void bench_request(bool find_end, const char *what)
{
    struct round r;
    for (size_t round = 0; round < ROUNDS; round++) {
        const double begin = now_ns();
        for (size_t i = 0; i < HEADS; i++) {
            const struct bytes in = hidden(request, sizeof(request) - 1);
            struct http_head head;
            size_t scanned = 0;
            if (find_end) must(http_head_end(in, &scanned) == NET_OK);
            must(http_request(in, &head) == NET_OK);
        }
        r.ns[round] = (now_ns() - begin) / HEADS;
    }
    report(what, &r, (double)(sizeof(request) - 1));
}

static void bench_response(void)
{
    struct round r;
    for (size_t round = 0; round < ROUNDS; round++) {
        const double begin = now_ns();
        for (size_t i = 0; i < HEADS; i++) {
            const struct bytes in = hidden(response, sizeof(response) - 1);
            struct http_head head;
            size_t scanned = 0;
            must(http_head_end(in, &scanned) == NET_OK);
            must(http_response(in, false, &head) == NET_OK);
        }
        r.ns[round] = (now_ns() - begin) / HEADS;
    }
    report("response head, end found, parsed", &r, (double)(sizeof(response) - 1));
}

/* A stream of equal events, as an OpenAI-like provider sends them. */
static char *stream_make(size_t *len)
{
    static const char front[] = "data: {\"id\":\"chatcmpl-9\",\"object\":\"chat.completion"
                                ".chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"";
    char *text = malloc((size_t)EVENT_BYTES * EVENTS);
    must(text != NULL);
    *len = (size_t)EVENT_BYTES * EVENTS;
    for (size_t i = 0; i < EVENTS; i++) {
        char *event = text + i * EVENT_BYTES;
        memset(event, 'a' + (int)(i % 26), EVENT_BYTES);
        memcpy(event, front, sizeof(front) - 1);
        memcpy(event + EVENT_BYTES - 6, "\"}]}\n\n", 6);
    }
    return text;
}

static void bench_sse(void)
{
    struct round r;
    size_t len;
    char *text = stream_make(&len);
    for (size_t round = 0; round < ROUNDS; round++) {
        const double begin = now_ns();
        for (size_t i = 0; i < STREAMS; i++) {
            struct bytes in = hidden(text, len);
            struct sse s = {0};
            struct sse_event ev;
            size_t count = 0;
            while (sse_next(&s, &in, &ev) == NET_OK) count += ev.data_lines;
            must(count == EVENTS && in.len == 0);
        }
        r.ns[round] = (now_ns() - begin) / STREAMS / EVENTS;
    }
    report("event of 150 bytes", &r, EVENT_BYTES);
    free(text);
}

/* The same stream in chunks of one event each: size line, data, CRLF. */
static void bench_chunk(void)
{
    struct round r;
    size_t len, at = 0;
    char *plain = stream_make(&len);
    char *wire = malloc(len + (size_t)EVENTS * (CHUNK_LINE_MAX + 2) + 5);
    must(wire != NULL);
    for (size_t i = 0; i < EVENTS; i++) {
        at += chunk_line(EVENT_BYTES, wire + at);
        memcpy(wire + at, plain + i * EVENT_BYTES, EVENT_BYTES);
        memcpy(wire + at + EVENT_BYTES, "\r\n", 2);
        at += EVENT_BYTES + 2;
    }
    memcpy(wire + at, "0\r\n\r\n", 5);
    at += 5;
    for (size_t round = 0; round < ROUNDS; round++) {
        const double begin = now_ns();
        for (size_t i = 0; i < STREAMS; i++) {
            struct bytes in = hidden(wire, at), body;
            struct chunk c = {0};
            enum net_rc rc;
            size_t count = 0;
            while ((rc = chunk_next(&c, &in, &body)) == NET_OK) count += body.len;
            must(rc == NET_DONE && count == len);
        }
        r.ns[round] = (now_ns() - begin) / STREAMS / EVENTS;
    }
    report("chunk of 150 bytes", &r, EVENT_BYTES);
    free(wire);
    free(plain);
}

int main(void)
{
    printf("bench_http: request of %zu bytes and 12 fields\n", sizeof(request) - 1);
    bench_request(false, "request head parsed");
    bench_request(true, "request head, end found, parsed");
    bench_response();
    bench_sse();
    bench_chunk();
    return 0;
}
