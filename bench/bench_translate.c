/* bench_translate.c - what translation costs: an event of a stream of each dialect for clients
 * of the three others, and a request of 1 KB the same way, on one thread.
 *   build/bench/bench_translate [ROUNDS [events | requests [TO]]]
 * Beside each stands what the relay does with the same bytes in the same round: it reads the
 * event (api_event_read_like), or the request (api_request), which translation needs as well:
 * its cost comes on top. Times are processor time of whole rounds, median with the best and the
 * worst; instructions are of user space, where the kernel lets us count them. An answer is 2
 * events that begin it, 96 with text, 12 of a tool's arguments, and its end. */
#include "net/dialect/api.h"
#include "net/json_index.h"
#include "net/translate/ask.h"
#include "net/translate/translate.h"

#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { APIS_COUNT = 4, TEXTS = 96, PARTS = 12, EVENTS_MAX = 160, EVENT_MAX = 700,
       STREAMS = 60, REQUESTS = 2000, ROUNDS = 15, ROUNDS_MAX = 99, WINDOW = 16384,
       LOG_MAX = 1 << 16, BODY_MAX = 2048 };

static const enum api apis[APIS_COUNT] = {API_CHAT, API_RESPONSES, API_MESSAGES, API_GENERATE};
static const char *const names[APIS_COUNT] = {"chat", "responses", "messages", "gemini"};

struct stream {
    struct bytes event[EVENTS_MAX], name[EVENTS_MAX];
    size_t count, bytes;
    char room[EVENTS_MAX][EVENT_MAX];
};

struct bench {
    struct stream stream[APIS_COUNT];
    char body[APIS_COUNT][BODY_MAX];
    struct api_shapes shapes;
    struct json_index index;
    struct ask ask;
    struct translate t;
    struct tell_facts facts;
    struct api_reader reader;
    char window[WINDOW], log[LOG_MAX];
    uint64_t wrote;          /* bytes, so that nothing is left out as useless */
    int counter;             /* of instructions; -1: there is none */
    int rounds;
    const char *only;        /* a dialect; NULL: all */
};

struct cost { double ns[ROUNDS_MAX], instructions; int rounds; };

/* ---- measuring ---- */

static int counter_open(void)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_HARDWARE, .size = sizeof attr,
                                   .config = PERF_COUNT_HW_INSTRUCTIONS, .exclude_kernel = 1,
                                   .exclude_hv = 1};
    return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static uint64_t instructions(const struct bench *b)
{
    uint64_t count = 0;
    if (b->counter >= 0 && read(b->counter, &count, sizeof count) != sizeof count) return 0;
    return count;
}

static uint64_t cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* One more round of `count` things, which began at from_ns and from_ins. */
static void cost_put(const struct bench *b, struct cost *c, size_t count, uint64_t from_ns,
                     uint64_t from_ins)
{
    c->ns[c->rounds++] = (double)(cpu_ns() - from_ns) / (double)count;
    c->instructions = (double)(instructions(b) - from_ins) / (double)count;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void cost_print(struct cost *c, const char *more)
{
    char count[32] = "-";
    qsort(c->ns, (size_t)c->rounds, sizeof c->ns[0], by_size);
    if (c->instructions > 0) (void)snprintf(count, sizeof count, "%.0f", c->instructions);
    (void)printf("  %8.0f ns (%5.0f .. %5.0f) %8s ins%s", c->ns[c->rounds / 2], c->ns[0],
                 c->ns[c->rounds - 1], count, more);
}

/* ---- the world ---- */

static void add(struct stream *s, const char *name, const char *before, const char *text,
                const char *after)
{
    char *at = s->room[s->count];
    int n = snprintf(at, EVENT_MAX, "%s%s%s", before, text, after);
    if (n < 0 || n >= EVENT_MAX || s->count == EVENTS_MAX) abort();
    s->event[s->count] = (struct bytes){at, (size_t)n};
    s->name[s->count++] = bytes_of(name);
    s->bytes += (size_t)n;
}

static const char *word(unsigned i)
{
    static const char *const words[] = {" the", " answer", ",", " which is", " \\\"quoted\\\"",
        ".\\n\\n", " gr\\u00fc\\u00dfe", " caf\xC3\xA9",
        " and then some more text", "- item", " 42"};
    return words[i % COUNT(words)];
}

static const char *part(unsigned i)
{
    static const char *const parts[PARTS] = {"{", "\\\"path\\\"", ":", " \\\"", "src/", "main",
        ".c", "\\\"", ",\\\"line\\\"", ":", " 12", "}"};
    return parts[i];
}

static void make_chat(struct stream *s)
{
    const char *head = "{\"id\":\"chatcmpl-A1b2\",\"object\":\"chat.completion.chunk\","
        "\"created\":1790000000,\"model\":\"gpt-5\",\"service_tier\":\"default\",\"choices\":"
        "[{\"index\":0,\"delta\":{";
    const char *tail = "},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}";
    char text[EVENT_MAX];
    add(s, "", head, "\"role\":\"assistant\",\"content\":\"\",\"refusal\":null", tail);
    for (unsigned i = 0; i < TEXTS; i++) {
        (void)snprintf(text, sizeof text, "\"content\":\"%s\"", word(i));
        add(s, "", head, text, tail);
    }
    add(s, "", head, "\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":\"function\","
                     "\"function\":{\"name\":\"read\",\"arguments\":\"\"}}]", tail);
    for (unsigned i = 0; i < PARTS; i++) {
        (void)snprintf(text, sizeof text,
                       "\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"%s\"}}]",
                       part(i));
        add(s, "", head, text, tail);
    }
    add(s, "", head, "", "},\"finish_reason\":\"tool_calls\"}],\"usage\":null}");
    add(s, "", "{\"id\":\"chatcmpl-A1b2\",\"object\":\"chat.completion.chunk\",\"created\":"
               "1790000000,\"model\":\"gpt-5\",\"choices\":[],\"usage\":{\"prompt_tokens\":100,"
               "\"completion_tokens\":120,\"total_tokens\":220}}", "", "");
}

static void make_messages(struct stream *s)
{
    char text[EVENT_MAX];
    add(s, "message_start", "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\","
        "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude\",\"content\":[],"
        "\"stop_reason\":null,\"usage\":{\"input_tokens\":100,\"output_tokens\":1}}}", "", "");
    add(s, "content_block_start", "{\"type\":\"content_block_start\",\"index\":0,"
        "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}", "", "");
    for (unsigned i = 0; i < TEXTS; i++) {
        (void)snprintf(text, sizeof text, "{\"type\":\"text_delta\",\"text\":\"%s\"}}",
                       word(i));
        add(s, "content_block_delta", "{\"type\":\"content_block_delta\",\"index\":0,"
            "\"delta\":", text, "");
    }
    add(s, "content_block_stop", "{\"type\":\"content_block_stop\",\"index\":0}", "", "");
    add(s, "content_block_start", "{\"type\":\"content_block_start\",\"index\":1,"
        "\"content_block\":{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"read\","
        "\"input\":{}}}", "", "");
    for (unsigned i = 0; i < PARTS; i++) {
        (void)snprintf(text, sizeof text, "{\"type\":\"input_json_delta\",\"partial_json\":"
                       "\"%s\"}}", part(i));
        add(s, "content_block_delta", "{\"type\":\"content_block_delta\",\"index\":1,"
            "\"delta\":", text, "");
    }
    add(s, "content_block_stop", "{\"type\":\"content_block_stop\",\"index\":1}", "", "");
    add(s, "message_delta", "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
        "\"tool_use\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":120}}", "", "");
    add(s, "message_stop", "{\"type\":\"message_stop\"}", "", "");
}

#define R_DELTA(type, more) \
    "{\"type\":\"" type "\",\"sequence_number\":9,\"item_id\":\"msg_1\",\"output_index\":" more

static void make_responses(struct stream *s)
{
    char text[EVENT_MAX];
    add(s, "response.created", "{\"type\":\"response.created\",\"sequence_number\":0,"
        "\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"created_at\":1790000000,"
        "\"status\":\"in_progress\",\"model\":\"gpt-5\",\"output\":[],\"usage\":null}}", "",
        "");
    add(s, "response.output_item.added", "{\"type\":\"response.output_item.added\","
        "\"sequence_number\":1,\"output_index\":0,\"item\":{\"id\":\"msg_1\",\"type\":"
        "\"message\",\"status\":\"in_progress\",\"role\":\"assistant\",\"content\":[]}}", "",
        "");
    for (unsigned i = 0; i < TEXTS; i++) {
        (void)snprintf(text, sizeof text, "%s\"", word(i));
        add(s, "response.output_text.delta", R_DELTA("response.output_text.delta",
            "0,\"content_index\":0,\"delta\":\""), text,
            ",\"logprobs\":[],\"obfuscation\":\"aQ3kx9\"}");
    }
    add(s, "response.output_item.done", "{\"type\":\"response.output_item.done\","
        "\"sequence_number\":99,\"output_index\":0,\"item\":{\"id\":\"msg_1\",\"type\":"
        "\"message\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":[]}}", "", "");
    add(s, "response.output_item.added", "{\"type\":\"response.output_item.added\","
        "\"sequence_number\":100,\"output_index\":1,\"item\":{\"id\":\"fc_1\",\"type\":"
        "\"function_call\",\"status\":\"in_progress\",\"call_id\":\"call_1\",\"name\":\"read\","
        "\"arguments\":\"\"}}", "", "");
    for (unsigned i = 0; i < PARTS; i++) {
        (void)snprintf(text, sizeof text, "%s\"", part(i));
        add(s, "response.function_call_arguments.delta",
            R_DELTA("response.function_call_arguments.delta", "1,\"delta\":\""), text, "}");
    }
    add(s, "response.completed", "{\"type\":\"response.completed\",\"sequence_number\":120,"
        "\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"completed\","
        "\"model\":\"gpt-5\",\"output\":[],\"usage\":{\"input_tokens\":100,\"output_tokens\":"
        "120,\"total_tokens\":220}}}", "", "");
}

static void make_gemini(struct stream *s)
{
    const char *tail = "],\"role\":\"model\"},\"index\":0}],\"usageMetadata\":"
        "{\"promptTokenCount\":100,\"candidatesTokenCount\":12,\"totalTokenCount\":112},"
        "\"modelVersion\":\"gemini-3\",\"responseId\":\"r1\"}";
    const char *head = "{\"candidates\":[{\"content\":{\"parts\":[";
    char text[EVENT_MAX];
    for (unsigned i = 0; i < TEXTS; i++) {
        (void)snprintf(text, sizeof text, "{\"text\":\"%s\"}", word(i));
        add(s, "", head, text, tail);
    }
    add(s, "", head, "{\"functionCall\":{\"name\":\"read\",\"args\":{\"path\":\"src/main.c\","
                     "\"line\":12}},\"thoughtSignature\":\"c2lnbmF0dXJl\"}", tail);
    add(s, "", head, "{\"text\":\"\"}", "],\"role\":\"model\"},\"finishReason\":\"STOP\","
        "\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":100,\"candidatesTokenCount\":"
        "120,\"totalTokenCount\":220}}");
}

/* Bodies of about 1 KB that ask the same: a system prompt, a turn with a call and its result,
 * two tools. */
static void make_bodies(struct bench *b)
{
    static const char system[] = "You are a careful assistant who reads files before talking.";
    static const char user[] = "Please read src/main.c and tell me, in a few sentences, what "
        "it does, and whether anything in it looks wrong to you.";
    static const char schema[] = "{\"type\":\"object\",\"properties\":{\"path\":{\"type\":"
        "\"string\",\"description\":\"Where it is\"}},\"required\":[\"path\"]}";
    (void)snprintf(b->body[0], BODY_MAX, "{\"model\":\"m\",\"stream\":true,\"max_tokens\":512,"
        "\"temperature\":0.5,\"messages\":[{\"role\":\"system\",\"content\":\"%s\"},{\"role\":"
        "\"user\",\"content\":\"%s\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":"
        "[{\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"read\","
        "\"arguments\":\"{\\\"path\\\":\\\"src/main.c\\\"}\"}}]},{\"role\":\"tool\","
        "\"tool_call_id\":\"call_1\",\"content\":\"int main(void) { return 0; }\"}],\"tools\":"
        "[{\"type\":\"function\",\"function\":{\"name\":\"read\",\"description\":\"Reads\","
        "\"parameters\":%s}},{\"type\":\"function\",\"function\":{\"name\":\"list\","
        "\"description\":\"Lists\",\"parameters\":%s}}]}", system, user, schema, schema);
    (void)snprintf(b->body[1], BODY_MAX, "{\"model\":\"m\",\"stream\":true,"
        "\"max_output_tokens\":512,\"temperature\":0.5,\"instructions\":\"%s\",\"input\":"
        "[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"%s\"}]},{"
        "\"type\":\"function_call\",\"call_id\":\"call_1\",\"name\":\"read\",\"arguments\":"
        "\"{\\\"path\\\":\\\"src/main.c\\\"}\"},{\"type\":\"function_call_output\",\"call_id\":"
        "\"call_1\",\"output\":\"int main(void) { return 0; }\"}],\"tools\":[{\"type\":"
        "\"function\",\"name\":\"read\",\"description\":\"Reads\",\"parameters\":%s},{\"type\":"
        "\"function\",\"name\":\"list\",\"description\":\"Lists\",\"parameters\":%s}]}", system,
        user, schema, schema);
    (void)snprintf(b->body[2], BODY_MAX, "{\"model\":\"m\",\"stream\":true,\"max_tokens\":512,"
        "\"temperature\":0.5,\"system\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":"
        "\"%s\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":"
        "\"toolu_1\",\"name\":\"read\",\"input\":{\"path\":\"src/main.c\"}}]},{\"role\":"
        "\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"toolu_1\","
        "\"content\":\"int main(void) { return 0; }\"}]}],\"tools\":[{\"name\":\"read\","
        "\"description\":\"Reads\",\"input_schema\":%s},{\"name\":\"list\",\"description\":\"L"
        "ists\","
        "\"input_schema\":%s}]}", system, user, schema, schema);
    (void)snprintf(b->body[3], BODY_MAX, "{\"generationConfig\":{\"maxOutputTokens\":512,"
        "\"temperature\":0.5},\"systemInstruction\":{\"parts\":[{\"text\":\"%s\"}]},"
        "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"%s\"}]},{\"role\":\"model\","
        "\"parts\":[{\"functionCall\":{\"name\":\"read\",\"args\":{\"path\":\"src/main.c\""
        "}}}]},{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"name\":\"read\","
        "\"response\":{\"output\":\"int main(void) { return 0; }\"}}}]}],\"tools\":[{"
        "\"functionDeclarations\":[{\"name\":\"read\",\"description\":\"Reads\","
        "\"parametersJsonSchema\":%s},{\"name\":\"list\",\"description\":\"Lists\","
        "\"parametersJsonSchema\":%s}]}]}", system, user, schema, schema);
}

/* ---- what is measured ---- */

static bool more(struct pen *p)
{
    struct bench *b = p->arg;
    b->wrote += p->len;
    p->at = b->window;
    p->room = WINDOW;
    p->len = 0;
    return true;
}

static struct bytes log_piece(void *arg, uint64_t at)
{
    struct bench *b = arg;
    return (struct bytes){b->log + at, (size_t)(b->t.keep.source.size - at)};
}

static bool log_put(void *arg, struct bytes in)
{
    struct bench *b = arg;
    uint64_t size = b->t.keep.source.size;
    if (size + in.len > LOG_MAX) return false;
    memcpy(b->log + size, in.ptr, in.len);
    b->t.keep.source.size = size + in.len;
    return true;
}

static void pen_of(struct bench *b, struct pen *p)
{
    pen_init(p, b->window, WINDOW);
    p->more = more;
    p->arg = b;
}

static void begin(struct bench *b, enum api from, enum api to)
{
    b->facts = (struct tell_facts){.api = to, .seed = {1, 2}, .created = 1790000000,
        .model = "vendor/model", .cost_nusd = -1, .want_usage = true, .want_thoughts = true,
        .usage = {.present = true, .input = 100}};
    b->t.facts = &b->facts;
    b->t.keep = (struct tell_keep){.put = log_put, .arg = b, .source = {log_piece, b, 0}};
    translate_begin(&b->t, from);
}

/* A stream from beginning to end; translated, where to is another dialect. */
static void run_stream(struct bench *b, size_t from, size_t to)
{
    const struct stream *s = &b->stream[from];
    struct api_stream notes = {0};
    struct api_event ev;
    struct pen p;
    bool told = true;
    pen_of(b, &p);
    if (to != from) begin(b, apis[from], apis[to]);
    for (size_t i = 0; i < s->count; i++) {
        struct bytes data = s->event[i];
        if (to == from) {
            api_event_read_like(data, apis[from], &notes, &b->shapes, &ev);
            b->wrote += ev.text_bytes;
            continue;
        }
        struct walk_source source;
        walk_source_of(&source, &data);
        struct api_usage usage = {.present = true, .input = 100, .output = 120};
        bool last = i + 1 == s->count;
        told = told && translate_event(&b->t, s->name[i], &source, &b->index,
                                       last ? &usage : NULL, &p);
    }
    if (to != from) told = told && translate_end(&b->t, NULL, &p);
    b->wrote += p.len;
    if (!told) abort();
}

static void run_request(struct bench *b, size_t from, size_t to)
{
    struct bytes body = bytes_of(b->body[from]);
    if (to == from) {
        api_request_begin(&b->reader, apis[from]);
        bool named = apis[from] != API_GENERATE ||
                     api_request_path(&b->reader, BYTES("m"), true);
        if (!named || api_request_feed(&b->reader, body) != NET_MORE ||
            api_request_end(&b->reader) != NET_DONE) abort();
        b->wrote += b->reader.req.body_bytes;
        return;
    }
    struct ask_target target = {.api = apis[to], .model = BYTES("model"), .stream = true,
                                .output_default = 4096};
    struct walk_source source;
    struct pen p;
    walk_source_of(&source, &body);
    pen_of(b, &p);
    enum ask_rc rc = translate_request(&b->ask, apis[from], &source, &b->index, &target,
                                       &b->facts, &p);
    if (rc != ASK_WRITTEN) {
        (void)fprintf(stderr, "%s to %s: %s\n", names[from], names[to], b->ask.error);
        abort();
    }
    b->wrote += p.len;
}

/* Does what is asked or told in one dialect go to the other? */
static bool goes(const struct bench *b, size_t from, size_t to, bool requests)
{
    if (from != to && b->only && strcmp(b->only, names[to]) != 0) return false;
    return requests ? translate_can(apis[from], apis[to]) : translate_can(apis[to], apis[from]);
}

static void measure(struct bench *b, size_t from, bool requests)
{
    static struct cost cost[APIS_COUNT];
    memset(cost, 0, sizeof cost);
    size_t times = requests ? REQUESTS : STREAMS;
    size_t things = requests ? times : times * b->stream[from].count;
    for (int round = -1; round < b->rounds; round++) {
        for (size_t to = 0; to < APIS_COUNT; to++) {
            if (!goes(b, from, to, requests)) continue;
            uint64_t ins = instructions(b), ns = cpu_ns();
            for (size_t i = 0; i < times; i++) {
                if (requests) run_request(b, from, to);
                else run_stream(b, from, to);
            }
            if (round >= 0) cost_put(b, &cost[to], things, ns, ins);
        }
    }
    (void)printf("%-10s relay reads  ", names[from]);
    cost_print(&cost[from], "\n");
    for (size_t to = 0; to < APIS_COUNT; to++) {
        if (to == from || !goes(b, from, to, requests)) continue;
        (void)printf("%14s %-9s ", requests ? "to" : "for", names[to]);
        cost_print(&cost[to], "\n");
    }
}

int main(int argc, char **argv)
{
    static struct bench b;
    b.rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : ROUNDS;
    if (b.rounds < 1 || b.rounds > ROUNDS_MAX) return 2;
    b.counter = counter_open();
    make_chat(&b.stream[0]);
    make_responses(&b.stream[1]);
    make_messages(&b.stream[2]);
    make_gemini(&b.stream[3]);
    make_bodies(&b);
    const char *what = argc > 2 ? argv[2] : "";
    b.only = argc > 3 ? argv[3] : NULL;
    for (unsigned requests = 0; requests < 2; requests++) {
        if (strcmp(what, requests ? "events" : "requests") == 0) continue;
        (void)printf("%s (%s)\n", requests ? "a request of 1 KB" : "an event of a stream",
                     json_simd());
        for (size_t from = 0; from < APIS_COUNT; from++) measure(&b, from, requests);
    }
    (void)printf("%llu bytes written\n", (unsigned long long)b.wrote);
    return 0;
}
