/* bench_json.c - speed of the JSON scanner: chat-like bodies with and without escapes, from
 * which the root members model and stream are pulled and the rest is skipped, as a request
 * is read; the whole walk of them and of a chat answer. GB/s and ns a document, best of
 * several rounds. */
#include "net/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 9, BODY_MAX = 1 << 20 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Append formatted text at out + len; gives the new length. */
__attribute__((format(printf, 3, 4)))
static size_t add(char *out, size_t len, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(out + len, BODY_MAX - len, format, args);
    va_end(args);
    assert(n >= 0 && (size_t)n < BODY_MAX - len);
    return len + (size_t)n;
}

/* A chat request of about want bytes: messages of prose, of growing length. */
static size_t body(char *out, size_t want, bool escapes)
{
    static const char prose[] =
        "The harbour was quiet that morning, and the ferry had left without them again; ";
    size_t message_max = want <= 2048 ? 220 : want <= 65536 ? 1500 : 12000;
    size_t len = add(out, 0, "{\"model\":\"gpt-4o-mini\",\"temperature\":0.7,"
                                      "\"messages\":[{\"role\":\"system\",\"content\":"
                                      "\"You are a helpful assistant.\"}");
    for (unsigned i = 0; len + message_max < want; i++) {
        len = add(out, len, ",{\"role\":\"%s\",\"content\":\"",
                               i % 2 ? "assistant" : "user");
        for (size_t end = len + message_max - 100; len < end;) {
            len = add(out, len, "%.*s%s", 73, prose, escapes ? "\\n" : " ");
        }
        len = add(out, len, "\"}");
    }
    len = add(out, len, "],\"max_tokens\":512,\"stream\":true,\"user\":\"u-1\"}");
    return len;
}

/* A chat answer of about 600 bytes: short members, numbers, literals. */
static struct bytes answer(void)
{
    return BYTES("{\"id\":\"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT\","
                 "\"object\":\"chat.completion\",\"created\":1741569952,"
                 "\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"message\":{"
                 "\"role\":\"assistant\",\"content\":\"The ferry leaves again at nine, "
                 "from the harbour.\",\"refusal\":null,\"annotations\":[]},"
                 "\"logprobs\":null,\"finish_reason\":\"stop\"}],"
                 "\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":10,"
                 "\"total_tokens\":29,\"prompt_tokens_details\":{\"cached_tokens\":0,"
                 "\"audio_tokens\":0},\"completion_tokens_details\":{"
                 "\"reasoning_tokens\":0,\"audio_tokens\":0}},"
                 "\"service_tier\":\"default\"}");
}

/* Pull model and stream; everything else is skipped, and checked. */
static unsigned pull(struct bytes in)
{
    struct json j;
    struct json_token t;
    unsigned found = 0;
    json_init(&j, JSON_DEPTH_MAX);
    while (json_next(&j, &in, &t) == NET_OK) {
        if (t.type == JSON_KEY) {
            if (bytes_eq(t.text, BYTES("model")) || bytes_eq(t.text, BYTES("stream"))) found++;
            else json_skip(&j);
        }
    }
    if (json_finish(&j, &t) != NET_DONE || found != 2) abort();
    return found;
}

static unsigned walk(struct bytes in)
{
    struct json j;
    struct json_token t;
    unsigned tokens = 0;
    json_init(&j, JSON_DEPTH_MAX);
    while (json_next(&j, &in, &t) == NET_OK) tokens++;
    if (json_finish(&j, &t) != NET_DONE) abort();
    return tokens;
}

/* Best time of one run, in seconds. */
static double best(unsigned (*run)(struct bytes in), struct bytes doc)
{
    unsigned times = (unsigned)(20000000 / (doc.len + 200)) + 1;
    volatile unsigned sink = 0;
    double least = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        for (unsigned i = 0; i < times; i++) sink = sink + run(doc);
        double took = (now() - start) / times;
        if (took < least) least = took;
    }
    return least;
}

int main(void)
{
    static const char *const simds[] = {"scalar", "sse2", "avx2", "avx512"};
    static const size_t sizes[] = {1024, 32768, BODY_MAX - 16384};
    char *text = malloc(BODY_MAX);
    if (!text) return 1;
    printf("%-7s %8s %-6s %10s %10s %10s %10s %10s\n", "simd", "bytes", "", "pull GB/s",
           "pull ns", "walk GB/s", "walk ns", "ns/token");
    for (size_t s = 0; s < COUNT(simds); s++) {
        if (!json_simd_use(simds[s])) continue;
        for (size_t i = 0; i < 2 * COUNT(sizes); i++) {
            bool escapes = i % 2;
            struct bytes doc = {text, body(text, sizes[i / 2], escapes)};
            double pulled = best(pull, doc), walked = best(walk, doc);
            printf("%-7s %8zu %-6s %10.2f %10.0f %10.2f %10.0f %10.1f\n", simds[s], doc.len,
                   escapes ? "esc" : "plain", (double)doc.len / pulled * 1e-9, pulled * 1e9,
                   (double)doc.len / walked * 1e-9, walked * 1e9, walked * 1e9 / walk(doc));
        }
        struct bytes doc = answer();
        double walked = best(walk, doc);
        printf("%-7s %8zu %-6s %10s %10s %10.2f %10.0f %10.1f\n", simds[s], doc.len, "answer",
               "", "", (double)doc.len / walked * 1e-9, walked * 1e9, walked * 1e9 / walk(doc));
    }
    free(text);
    return 0;
}
