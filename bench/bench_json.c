/* bench_json.c - what reading JSON costs, in ns a document.
 *   scan     model, max_tokens and stream of a chat request out of the index (every refusal
 *            of the scanner on), beside simdjson on-demand reading the same; the instruction
 *            sets in pairs: AVX-512 and simdjson's icelake, AVX2 and its haswell
 *   tokens   the same fields by json_next and json_skip, and a walk over all tokens
 *   readers  of the dialect: a request, an answer, an event, as the gateway calls them
 * Model: DOCS different documents a size in memory of their own, gone through in turn, so
 * that neither branches nor cache lines are those of the document before. Each round times
 * every reader once, in a changing order; ratios are of the same round, and the median of
 * all rounds is shown with least and most.
 * Rule: simdjson is loaded at run time; where it was not built, the bench says so. */
#include "net/dialect/api.h"
#include "net/json_index.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 21, DOCS = 64, BODY_MAX = 1 << 20, PADDING = 64, ROUND_NS = 2000000,
       READERS_MAX = 4 };

struct fields { const char *model; size_t model_len; int64_t max_tokens; bool stream; };

struct docs { struct bytes at[DOCS]; size_t count, bytes; };

struct shim { bool (*open)(void);
              bool (*request)(const char *text, size_t len, size_t room, struct fields *out); };

struct reader {
    const char *name;
    bool (*run)(const struct shim *shim, struct bytes doc, struct fields *out);
    double ns[ROUNDS];
};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
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

/* A chat request of about want bytes: messages of prose, of a length that seed varies. */
static size_t request(char *out, size_t want, bool escapes, unsigned seed)
{
    static const char prose[] =
        "The harbour was quiet that morning, and the ferry had left without them again; ";
    size_t message_max = want <= 2048 ? 220 : want <= 65536 ? 1500 : 12000;
    size_t len = add(out, 0, "{\"model\":\"gpt-4o-mini\",\"temperature\":0.%u,"
                     "\"messages\":[{\"role\":\"system\",\"content\":"
                     "\"You are a helpful assistant.\"}", seed % 9 + 1);
    for (unsigned i = 0; len + message_max < want; i++) {
        len = add(out, len, ",{\"role\":\"%s\",\"content\":\"", i % 2 ? "assistant" : "user");
        size_t end = len + message_max - 100 + (seed * 7 + i * 13) % 50;
        for (; len < end; seed++) {
            len = add(out, len, "%.*s%s", (int)(53 + seed % 26), prose, escapes ? "\\n" : " ");
        }
        len = add(out, len, "\"}");
    }
    return add(out, len, "],\"max_tokens\":%u,\"stream\":true,\"user\":\"u-%u\"}",
               100 + seed % 800, seed);
}

/* A chat answer of about 700 bytes. */
static size_t answer(char *out, unsigned seed)
{
    return add(out, 0, "{\"id\":\"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJK%02u\","
               "\"object\":\"chat.completion\",\"created\":17415699%02u,"
               "\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"message\":{"
               "\"role\":\"assistant\",\"content\":\"The ferry leaves again at nine, "
               "from the harbour,%.*s and takes an hour.\",\"refusal\":null,"
               "\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
               "\"usage\":{\"prompt_tokens\":%u,\"completion_tokens\":10,"
               "\"total_tokens\":29,\"prompt_tokens_details\":{\"cached_tokens\":0,"
               "\"audio_tokens\":0},\"completion_tokens_details\":{"
               "\"reasoning_tokens\":0,\"audio_tokens\":0,"
               "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}},"
               "\"service_tier\":\"default\",\"system_fingerprint\":\"fp_b705f0c291\"}",
               seed % 90 + 10, seed % 90 + 10, (int)(seed % 40),
               " as on every day but Sunday, in summer too,", seed % 90 + 10);
}

/* An event of a stream, about 150 bytes. */
static size_t event(char *out, unsigned seed)
{
    return add(out, 0, "{\"id\":\"chatcmpl-B9MBs8Cj%02u\",\"object\":"
               "\"chat.completion.chunk\",\"created\":17415699%02u,\"model\":\"gpt-4o\","
               "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%.*s\"},"
               "\"finish_reason\":null}]}", seed % 90 + 10, seed % 90 + 10,
               (int)(seed % 9 + 1), " harbours and");
}

/* ---- the readers ---- */

static bool field_value(const struct json_index *x, struct bytes doc, uint32_t i,
                        struct bytes key, struct fields *out)
{
    const char *value = doc.ptr + x->at[i];
    if (bytes_eq(key, BYTES("model")) && *value == '"') {
        struct bytes text = json_index_text(x, doc.ptr, i);
        out->model = text.ptr;
        out->model_len = text.len;
    } else if (bytes_eq(key, BYTES("stream"))) {
        out->stream = *value == 't';
    } else if (bytes_eq(key, BYTES("max_tokens"))) {
        struct bytes text = {value, 0};
        while (text.len < 16 && value[text.len] >= '0' && value[text.len] <= '9') text.len++;
        return json_integer(text, &out->max_tokens);
    }
    return true;
}

static bool run_index(const struct shim *shim, struct bytes doc, struct fields *out)
{
    struct json_index x;
    (void)shim;
    if (!json_index_build(&x, doc, JSON_DEPTH_MAX) || x.first[0] != '{') return false;
    for (uint32_t i = 1, end = x.count - 1; i < end; i++) {
        struct bytes key = json_index_text(&x, doc.ptr, i);
        if (!field_value(&x, doc, i + 2, key, out)) return false;
        i = json_index_behind(&x, i + 2);
    }
    return out->model_len > 0;
}

static bool run_simdjson(const struct shim *shim, struct bytes doc, struct fields *out)
{
    return shim->request(doc.ptr, doc.len, doc.len + PADDING, out);
}

static bool run_pull(const struct shim *shim, struct bytes in, struct fields *out)
{
    struct json j;
    struct json_token t;
    enum { NONE, MODEL, STREAM, TOKENS } which = NONE;
    (void)shim;
    json_init(&j, JSON_DEPTH_MAX);
    while (json_next(&j, &in, &t) == NET_OK) {
        if (t.type == JSON_KEY) {
            which = bytes_eq(t.text, BYTES("model")) ? MODEL
                  : bytes_eq(t.text, BYTES("stream")) ? STREAM
                  : bytes_eq(t.text, BYTES("max_tokens")) ? TOKENS : NONE;
            if (which == NONE) json_skip(&j);
        } else if (which == MODEL) {
            out->model = t.text.ptr;
            out->model_len = t.text.len;
        } else if (which == STREAM) {
            out->stream = t.type == JSON_TRUE;
        } else if (which == TOKENS && !json_integer(t.text, &out->max_tokens)) {
            return false;
        }
    }
    return json_finish(&j, &t) == NET_DONE;
}

static bool run_walk(const struct shim *shim, struct bytes in, struct fields *out)
{
    struct json j;
    struct json_token t;
    (void)shim;
    json_init(&j, JSON_DEPTH_MAX);
    while (json_next(&j, &in, &t) == NET_OK) out->model_len++;
    return json_finish(&j, &t) == NET_DONE;
}

static bool run_request(const struct shim *shim, struct bytes in, struct fields *out)
{
    static struct api_reader r;
    (void)shim;
    api_request_begin(&r, API_CHAT);
    if (api_request_feed(&r, in) != NET_MORE) return false;
    if (api_request_end(&r) != NET_DONE) return false;
    out->max_tokens = r.req.max_tokens;
    return r.req.message_count > 0;
}

static bool run_answer(const struct shim *shim, struct bytes in, struct fields *out)
{
    static struct api_answer_reader r;
    (void)shim;
    api_answer_begin_brief(&r, API_CHAT);
    if (api_answer_feed(&r, in) != NET_MORE) return false;
    if (api_answer_end(&r) != NET_DONE) return false;
    out->max_tokens = r.ans.usage.input;
    return r.ans.usage.present;
}

static bool run_event(const struct shim *shim, struct bytes in, struct fields *out)
{
    struct api_event ev;
    struct api_stream stream = {0};
    (void)shim;
    api_event_read(in, API_CHAT, &stream, &ev);
    out->max_tokens = ev.text_bytes;
    return ev.kind == API_EVENT_CONTENT;
}

/* The events differ from each other as those of different streams do. */
static bool run_alike(const struct shim *shim, struct bytes in, struct fields *out)
{
    static struct api_shapes shapes;
    static struct api_stream stream;
    struct api_event ev;
    (void)shim;
    api_event_read_like(in, API_CHAT, &stream, &shapes, &ev);
    out->max_tokens = ev.text_bytes;
    return ev.kind == API_EVENT_CONTENT;
}

/* ---- measuring ---- */

static void docs_make(struct docs *d, size_t want, int kind)
{
    static char text[BODY_MAX];
    d->count = want > 65536 ? 4 : DOCS;
    d->bytes = 0;
    for (unsigned i = 0; i < d->count; i++) {
        size_t len = want == 0 ? (kind == 'a' ? answer(text, i) : event(text, i))
                               : request(text, want, kind == 'e', i);
        char *copy = calloc(1, len + PADDING);
        if (!copy) abort();
        memcpy(copy, text, len);
        d->at[i] = (struct bytes){copy, len};
        d->bytes += len;
    }
}

static void docs_free(struct docs *d)
{
    for (size_t i = 0; i < d->count; i++) free((void *)(uintptr_t)d->at[i].ptr);
}

static double time_once(const struct reader *r, const struct shim *shim, const struct docs *d)
{
    size_t times = ROUND_NS / (d->bytes / d->count / 6 + 100) / d->count + 1;
    struct fields out = {0};
    double start = now_ns();
    for (size_t n = 0; n < times; n++) {
        for (size_t i = 0; i < d->count; i++) {
            if (!r->run(shim, d->at[i], &out)) abort();
        }
    }
    return (now_ns() - start) / (double)(times * d->count);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Print median least..most of ROUNDS values, which are sorted. */
static void show(double *v, int digits)
{
    qsort(v, ROUNDS, sizeof *v, ascending);
    printf(" %7.*f (%.*f..%.*f)", digits, v[ROUNDS / 2], digits, v[0], digits, v[ROUNDS - 1]);
}

/* Time the readers in turn; the ratio is that of the second to the first. */
static void compare(const char *what, const struct shim *shim, struct reader *r, size_t count,
                    const struct docs *d)
{
    double ratio[ROUNDS];
    for (size_t i = 0; i < count; i++) (void)time_once(&r[i], shim, d);
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < count; i++) {
            struct reader *one = &r[(i + round) % count];
            one->ns[round] = time_once(one, shim, d);
        }
        ratio[round] = count > 1 ? r[1].ns[round] / r[0].ns[round] : 0;
    }
    printf("%-8s %-8s %8zu", json_simd(), what, d->bytes / d->count);
    for (size_t i = 0; i < count; i++) {
        printf("  %s", r[i].name);
        show(r[i].ns, 0);
    }
    if (count > 1) {
        printf("  ratio");
        show(ratio, 2);
    }
    printf("\n");
}

static bool shim_load(struct shim *shim, const char *self, const char *name)
{
    char path[4096];
    const char *slash = strrchr(self, '/');
    int dir = slash ? (int)(slash - self) : 1;
    int n = snprintf(path, sizeof path, "%.*s/simdjson_%s.so", dir, slash ? self : ".", name);
    if (n < 0 || (size_t)n >= sizeof path) return false;
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!so) return false;
    *(void **)&shim->open = dlsym(so, "shim_open");
    *(void **)&shim->request = dlsym(so, "shim_request");
    return shim->open && shim->request && shim->open();
}

static void bench_scan(const struct shim *shim, bool have)
{
    static const size_t sizes[] = {1024, 4096, 32768, BODY_MAX - 16384};
    for (size_t i = 0; i < 2 * COUNT(sizes); i++) {
        struct reader readers[] = {{.name = "weir", .run = run_index},
                                   {.name = "simdjson", .run = run_simdjson}};
        struct docs d;
        docs_make(&d, sizes[i / 2], i % 2 ? 'e' : 'p');
        compare(i % 2 ? "escapes" : "plain", shim, readers, have ? 2 : 1, &d);
        docs_free(&d);
    }
}

static void bench_readers(void)
{
    static const struct { const char *name; bool (*run)(const struct shim *shim,
        struct bytes doc, struct fields *out); size_t want; int kind; } rows[] = {
        {"pull", run_pull, 1024, 'p'}, {"walk", run_walk, 1024, 'p'},
        {"request", run_request, 1024, 'p'}, {"request", run_request, 32768, 'e'},
        {"answer", run_answer, 0, 'a'}, {"event", run_event, 0, 's'},
        {"alike", run_alike, 0, 's'},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct reader reader = {.name = "ns", .run = rows[i].run};
        struct docs d;
        docs_make(&d, rows[i].want, rows[i].kind);
        compare(rows[i].name, NULL, &reader, 1, &d);
        docs_free(&d);
    }
}

int main(int argc, char **argv)
{
    static const struct { const char *ours, *theirs; } pairs[] = {
        {"avx512", "icelake"}, {"avx2", "haswell"}, {"sse2", ""}, {"scalar", ""},
    };
    (void)argc;
    printf("ns a document: median (least..most) of %d rounds; ratio simdjson / weir\n", ROUNDS);
    for (size_t i = 0; i < COUNT(pairs); i++) {
        struct shim shim = {0};
        if (!json_simd_use(pairs[i].ours)) continue;
        bool have = pairs[i].theirs[0] && shim_load(&shim, argv[0], pairs[i].theirs);
        if (pairs[i].theirs[0]) {
            printf("-- %s, simdjson %s%s\n", pairs[i].ours, pairs[i].theirs, have ? ""
                   : ": not built (libsimdjson-dev, g++), or not for this processor");
        }
        bench_scan(&shim, have);
        bench_readers();
    }
    return 0;
}
