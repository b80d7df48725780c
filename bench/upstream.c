/* upstream.c - the provider behind every proxy of the bench: answers at once, always well.
 *     upstream --listen ADDR:PORT [--gap-ms 20]
 * A POST is answered with 170 bytes of head and 700 of JSON; one whose body asks for
 * "stream":true (or whose path does: Gemini) with server-sent events of about 150 bytes without
 * end, one each gap (50 % to 150 % of it, the first after 0 to 100 %), each bearing the time it
 * was sent: "@" and 16 digits, monotonic nanoseconds. In which dialect, the path tells: OpenAI
 * chat but for /messages, /responses and :generateContent.
 *   connection   head -> body -> answer, again and again; or streams until the peer goes
 * A whole message in one receive is read in place, a cut one of up to KEEP_MAX bytes is put
 * together first, of a larger one the rest is counted.
 * Rule: no work that a request does not need; the peers are what is measured. */
#include "bench/loop.h"

#include <errno.h>
#include <getopt.h>
#include <strings.h>
#include <unistd.h>

enum { ACCEPT, RECV, SEND };  /* operations */
enum form { CHAT, MESSAGES, RESPONSES, GEMINI, FORMS };
enum {
    CONNS_MAX = 16384, NONE = INT32_MAX, BUFS = 256, BUF_BYTES = 16384,
    KEEP_MAX = 16384,        /* bytes of a message that came in pieces */
    LOOK_BYTES = 512,        /* at both ends of a body, where "stream" is looked for */
    EVENT_MAX = 320,
};

struct conn {
    int fd;
    uint32_t inflight;       /* operations not completed, multishot ones once */
    uint32_t owed;           /* whole answers to send behind the one in flight */
    uint32_t next_free;
    size_t kept;             /* bytes in keep */
    uint64_t skip;           /* body bytes still to come of a large request */
    char *keep;              /* KEEP_MAX bytes once needed; stays with the slot */
    bool is_sending, is_stream, in_heap, is_gone, is_starved;
    uint8_t form;            /* enum form of what was asked last */
    char event[EVENT_MAX];   /* stream: what is being sent */
};

struct beat { uint64_t due_ns; uint32_t slot; };

struct upstream {
    struct loop loop;
    int listener;
    uint32_t free_conn, starved_count, beat_count;
    uint64_t gap_ns, random;
    struct bytes answer[FORMS];        /* head and body */
    char answer_text[FORMS][1024];
    uint32_t starved[CONNS_MAX];
    struct beat beats[CONNS_MAX];      /* binary heap, the next on top */
    struct conn conns[CONNS_MAX];
};

/* What a stream begins with: its head, and the events before the first text. */
#define STREAM_HEAD "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n" \
    "cache-control: no-cache\r\nx-request-id: req_0123456789abcdef\r\n" \
    "transfer-encoding: chunked\r\n\r\n"
static const struct bytes stream_head[FORMS] = {
    [CHAT] = BYTES_INIT(STREAM_HEAD),
    [MESSAGES] = BYTES_INIT(
        STREAM_HEAD "148\r\n"
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":"
        "\"msg_bench\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"gpt\","
        "\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":200,"
        "\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: "
        "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":"
        "{\"type\":\"text\",\"text\":\"\"}}\n\n\r\n"),
    [RESPONSES] = BYTES_INIT(STREAM_HEAD),
    [GEMINI] = BYTES_INIT(STREAM_HEAD),
};

/* --- streams: who is due when */

/* Uniform in 0..limit - 1 (xorshift64*). */
static uint64_t draw(struct upstream *u, uint64_t limit)
{
    assert(limit > 0);
    u->random ^= u->random >> 12;
    u->random ^= u->random << 25;
    u->random ^= u->random >> 27;
    return (u->random * 0x2545F4914F6CDD1Du >> 16) % limit;
}

static void beat_put(struct upstream *u, struct beat b)
{
    assert(u->beat_count < CONNS_MAX);
    uint32_t i = u->beat_count++;
    for (; i > 0 && u->beats[(i - 1) / 2].due_ns > b.due_ns; i = (i - 1) / 2) {
        u->beats[i] = u->beats[(i - 1) / 2];
    }
    u->beats[i] = b;
}

static struct beat beat_take(struct upstream *u)
{
    assert(u->beat_count > 0);
    struct beat top = u->beats[0], last = u->beats[--u->beat_count];
    uint32_t i = 0;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= u->beat_count) break;
        if (child + 1 < u->beat_count &&
            u->beats[child + 1].due_ns < u->beats[child].due_ns) child++;
        if (u->beats[child].due_ns >= last.due_ns) break;
        u->beats[i] = u->beats[child];
        i = child;
    }
    u->beats[i] = last;
    return top;
}

/* --- connections */

static void conn_settle(struct upstream *u, uint32_t slot)
{
    struct conn *c = &u->conns[slot];
    if (!c->is_gone || c->inflight || c->in_heap || c->is_starved) return;
    close(c->fd);
    *c = (struct conn){.keep = c->keep, .next_free = u->free_conn};
    u->free_conn = slot;
}

static void conn_lose(struct upstream *u, uint32_t slot)
{
    struct conn *c = &u->conns[slot];
    if (!c->is_gone) shutdown(c->fd, SHUT_RDWR);  /* ends the multishot receive */
    c->is_gone = true;
    conn_settle(u, slot);
}

static void conn_send(struct upstream *u, uint32_t slot, struct bytes data)
{
    struct conn *c = &u->conns[slot];
    assert(!c->is_sending && !c->is_gone);
    loop_send(&u->loop, c->fd, tag_pack(SEND, slot), data);
    c->is_sending = true;
    c->inflight++;
}

/* A request in this form is complete. */
static void on_request(struct upstream *u, uint32_t slot, bool wants_stream, enum form form)
{
    struct conn *c = &u->conns[slot];
    c->form = (uint8_t)form;
    if (c->is_stream || (wants_stream && (c->is_sending || c->owed))) {
        conn_lose(u, slot);  /* behind a stream that has no end nothing can be answered */
    } else if (wants_stream) {
        c->is_stream = c->in_heap = true;
        beat_put(u, (struct beat){clock_ns() + draw(u, u->gap_ns), slot});
        conn_send(u, slot, stream_head[form]);
    } else if (c->is_sending) {
        c->owed++;
    } else {
        conn_send(u, slot, u->answer[c->form]);
    }
}

/* --- requests */

/* Value of content-length in head (from the first line to the empty one), 0 without. */
static uint64_t content_length(struct bytes head)
{
    static const char name[] = "content-length:";
    const char *at = head.ptr, *end = head.ptr + head.len;
    while ((at = memchr(at, '\n', (size_t)(end - at))) && ++at + sizeof name < end) {
        if ((*at | 0x20) == 'c' && strncasecmp(at, name, sizeof name - 1) == 0) {
            return strtoull(at + sizeof name - 1, NULL, 10);
        }
    }
    return 0;
}

static bool says_stream(struct bytes part)
{
    static const char name[] = "\"stream\":";
    const char *at = memmem(part.ptr, part.len, name, sizeof name - 1);
    if (!at) return false;
    at += sizeof name - 1;
    const char *end = part.ptr + part.len;
    while (at < end && *at == ' ') at++;
    return end - at >= 4 && memcmp(at, "true", 4) == 0;
}

static bool wants_stream(struct bytes body)
{
    if (body.len <= 2 * LOOK_BYTES) return says_stream(body);
    return says_stream((struct bytes){body.ptr, LOOK_BYTES}) ||
           says_stream((struct bytes){body.ptr + body.len - LOOK_BYTES, LOOK_BYTES});
}

/* The form that the request line asks for. */
static enum form form_of(struct bytes head, bool *stream)
{
    struct bytes line = {head.ptr, bytes_find(head, '\n')};
    if (memmem(line.ptr, line.len, "/messages", 9)) return MESSAGES;
    if (memmem(line.ptr, line.len, "/responses", 10)) return RESPONSES;
    *stream = memmem(line.ptr, line.len, ":streamGenerate", 15) != NULL;
    return *stream || memmem(line.ptr, line.len, ":generate", 9) ? GEMINI : CHAT;
}

/* Answer every request that is complete in in, and note a large one whose head is; consumes
 * those. What is left is the beginning of a message of up to KEEP_MAX bytes. */
static bool take_requests(struct upstream *u, uint32_t slot, struct bytes *in)
{
    struct conn *c = &u->conns[slot];
    while (in->len > 0 && !c->is_gone) {
        if (c->skip > 0) {
            size_t n = in->len < c->skip ? in->len : (size_t)c->skip;
            bytes_cut(in, n);
            c->skip -= n;
            if (c->skip == 0) on_request(u, slot, false, (enum form)c->form);
            continue;
        }
        const char *end = memmem(in->ptr, in->len, "\r\n\r\n", 4);
        if (!end) return in->len < KEEP_MAX;
        struct bytes head = bytes_between(in->ptr, end + 4);
        uint64_t body = content_length(head);
        bool stream = false;
        enum form form = form_of(head, &stream);
        if (head.len + body <= in->len) {
            bytes_cut(in, head.len);
            if (wants_stream(bytes_cut(in, (size_t)body))) stream = true;
            on_request(u, slot, stream, form);
        } else if (head.len + body > KEEP_MAX) {
            c->skip = body;
            c->form = (uint8_t)form;
            bytes_cut(in, head.len);
        } else {
            return true;
        }
    }
    return true;
}

static void take_bytes(struct upstream *u, uint32_t slot, struct bytes in)
{
    struct conn *c = &u->conns[slot];
    bool ok = true;
    while (ok && c->kept > 0 && in.len > 0) {
        size_t n = KEEP_MAX - c->kept < in.len ? KEEP_MAX - c->kept : in.len;
        memcpy(c->keep + c->kept, in.ptr, n);
        bytes_cut(&in, n);
        struct bytes all = {c->keep, c->kept + n};
        ok = take_requests(u, slot, &all);
        c->kept = all.len;
        memmove(c->keep, all.ptr, all.len);
    }
    if (ok) ok = take_requests(u, slot, &in);
    if (!ok) {
        conn_lose(u, slot);
    } else if (in.len > 0 && !c->is_gone) {
        assert(in.len <= KEEP_MAX);
        if (!c->keep && !(c->keep = malloc(KEEP_MAX))) die("malloc", ENOMEM);
        memcpy(c->keep, in.ptr, in.len);
        c->kept = in.len;
    }
}

/* --- completions */

static void arm(struct upstream *u, uint32_t slot)
{
    loop_recv(&u->loop, u->conns[slot].fd, tag_pack(RECV, slot));
    u->conns[slot].inflight++;
}

static void on_accept(struct upstream *u, const struct io_uring_cqe *cqe)
{
    if (!(cqe->flags & IORING_CQE_F_MORE)) {
        loop_accept(&u->loop, u->listener, tag_pack(ACCEPT, 0));
    }
    if (cqe->res < 0) return;
    uint32_t slot = u->free_conn;
    if (slot == NONE) {
        close(cqe->res);
        return;
    }
    struct conn *c = &u->conns[slot];
    u->free_conn = c->next_free;
    c->fd = cqe->res;
    arm(u, slot);
}

static void on_recv(struct upstream *u, uint32_t slot, const struct io_uring_cqe *cqe)
{
    struct conn *c = &u->conns[slot];
    bool is_over = !(cqe->flags & IORING_CQE_F_MORE);
    if (cqe->res > 0) {
        uint32_t id = loop_buf_id(cqe);
        if (!c->is_gone) {
            take_bytes(u, slot, (struct bytes){loop_buf(&u->loop, id), (size_t)cqe->res});
        }
        loop_give(&u->loop, id);
    }
    if (!is_over) return;
    c->inflight--;  /* only now: until here the slot could not be given away */
    if (!c->is_gone && (cqe->res > 0 || cqe->res == -ENOBUFS)) {
        u->starved[u->starved_count++] = slot;
        c->is_starved = true;
    } else {
        conn_lose(u, slot);
    }
}

static void on_send(struct upstream *u, uint32_t slot, int rc)
{
    struct conn *c = &u->conns[slot];
    assert(c->is_sending && c->inflight > 0);
    c->inflight--;
    c->is_sending = false;
    if (rc < 0 || c->is_gone) {
        conn_lose(u, slot);
    } else if (c->owed > 0) {
        c->owed--;
        conn_send(u, slot, u->answer[c->form]);
    }
}

/* Send the event of a stream that is due, and draw when the next is. One whose connection
 * is still busy with the last is skipped: the rate is what is asked for, not a backlog. */
static void on_beat(struct upstream *u, struct beat b, uint64_t now_ns)
{
    struct conn *c = &u->conns[b.slot];
    assert(c->in_heap);
    if (c->is_gone) {
        c->in_heap = false;
        conn_settle(u, b.slot);
        return;
    }
    if (!c->is_sending) {
        static const char *const before[FORMS] = {
            [CHAT] = "data: {\"id\":\"chatcmpl-bench\",\"model\":\"gpt\",\"object\":"
                     "\"chat.completion.chunk\",\"choices\":[{\"index\":0,"
                     "\"delta\":{\"content\":\"",
            [MESSAGES] = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\","
                         "\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"",
            [RESPONSES] = "event: response.output_text.delta\ndata: {\"type\":"
                          "\"response.output_text.delta\",\"sequence_number\":5,\"item_id\":"
                          "\"msg_bench\",\"output_index\":0,\"content_index\":0,\"delta\":\"",
            [GEMINI] = "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":"
                       "[{\"text\":\"",
        };
        static const char *const behind[FORMS] = {
            [CHAT] = "\"}}]}\n\n", [MESSAGES] = "\"}}\n\n", [RESPONSES] = "\"}\n\n",
            [GEMINI] = "\"}]},\"index\":0}],\"modelVersion\":\"gpt\"}\r\n\r\n",
        };
        char data[EVENT_MAX - 16];
        int n = snprintf(data, sizeof data, "%s@%016llu%s", before[c->form],
                         (unsigned long long)clock_ns(), behind[c->form]);
        int len = snprintf(c->event, sizeof c->event, "%x\r\n%s\r\n", (unsigned)n, data);
        assert(len > 0 && len < EVENT_MAX);
        conn_send(u, b.slot, (struct bytes){c->event, (size_t)len});
    }
    b.due_ns += u->gap_ns / 2 + draw(u, u->gap_ns);
    if (b.due_ns < now_ns) b.due_ns = now_ns;
    beat_put(u, b);
}

static void turn(struct upstream *u)
{
    unsigned head, count = 0;
    struct io_uring_cqe *cqe;
    uint64_t now_ns = u->beat_count ? clock_ns() : 0, wait_ns = 1000000000;
    if (u->beat_count) wait_ns = u->beats[0].due_ns > now_ns ? u->beats[0].due_ns - now_ns : 0;
    loop_turn(&u->loop, wait_ns);
    io_uring_for_each_cqe(&u->loop.uring, head, cqe) {
        struct tag t = tag_of(cqe);
        count++;
        switch (t.op) {
        case ACCEPT: on_accept(u, cqe); break;
        case RECV: on_recv(u, t.slot, cqe); break;
        case SEND: on_send(u, t.slot, cqe->res); break;
        default: assert(false);
        }
    }
    io_uring_cq_advance(&u->loop.uring, count);
    now_ns = u->beat_count ? clock_ns() : 0;
    for (uint32_t n = u->beat_count; n > 0 && u->beats[0].due_ns <= now_ns; n--) {
        on_beat(u, beat_take(u), now_ns);
        if (u->beat_count == 0) break;
    }
    for (; u->starved_count > 0; u->starved_count--) {
        uint32_t slot = u->starved[u->starved_count - 1];
        u->conns[slot].is_starved = false;
        if (u->conns[slot].is_gone) conn_settle(u, slot);
        else arm(u, slot);
    }
}

/* The answer to every whole request: 170 bytes of head, 700 of a completion. */
static void make_answer(struct upstream *u, enum form form)
{
    enum { HEAD = 170, BODY = 700 };
    static const char top[] = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                              "content-length: 700\r\nserver: upstream\r\nx-request-id: ";
    static const char prose[] = "A plain answer of ordinary length. ";
    static const char *const begin[FORMS] = {
        [CHAT] = "{\"id\":\"chatcmpl-0123456789\",\"object\":\"chat.completion\","
                 "\"created\":1700000000,\"model\":\"gpt\",\"choices\":[{\"index\":0,"
                 "\"message\":{\"role\":\"assistant\",\"content\":\"",
        [MESSAGES] = "{\"id\":\"msg_0123456789\",\"type\":\"message\",\"role\":\"assistant\","
                     "\"model\":\"gpt\",\"content\":[{\"type\":\"text\",\"text\":\"",
        [RESPONSES] = "{\"id\":\"resp_0123456789\",\"object\":\"response\",\"status\":"
                      "\"completed\",\"model\":\"gpt\",\"output\":[{\"type\":\"message\","
                      "\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\","
                      "\"annotations\":[],\"text\":\"",
        [GEMINI] = "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"",
    };
    static const char *const end[FORMS] = {
        [CHAT] = "\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":200,"
                 "\"completion_tokens\":100,\"total_tokens\":300}}",
        [MESSAGES] = "\"}],\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":200,"
                     "\"output_tokens\":100}}",
        [RESPONSES] = "\"}]}],\"usage\":{\"input_tokens\":200,\"output_tokens\":100,"
                      "\"total_tokens\":300}}",
        [GEMINI] = "\"}]},\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{"
                   "\"promptTokenCount\":200,\"candidatesTokenCount\":100,"
                   "\"totalTokenCount\":300}}",
    };
    char *at = u->answer_text[form];
    size_t last = strlen(end[form]);
    memset(at, 'x', HEAD);
    memcpy(at, top, sizeof top - 1);
    memcpy(at + HEAD - 4, "\r\n\r\n", 4);
    for (size_t i = 0; i < BODY; i++) at[HEAD + i] = prose[i % (sizeof prose - 1)];
    memcpy(at + HEAD, begin[form], strlen(begin[form]));
    memcpy(at + HEAD + BODY - last, end[form], last);
    static_assert(HEAD + BODY <= sizeof u->answer_text[0], "answer");
    u->answer[form] = (struct bytes){at, HEAD + BODY};
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
                                            {"gap-ms", required_argument, NULL, 'g'},
                                            {NULL, 0, NULL, 0}};
    const char *listen_at = NULL;
    unsigned long gap_ms = 20;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'l') listen_at = optarg;
        else if (option == 'g') gap_ms = strtoul(optarg, NULL, 10);
        else return 2;
    }
    if (!listen_at || gap_ms == 0 || gap_ms > 3600000 || optind < argc) {
        fputs("usage: upstream --listen ADDR:PORT [--gap-ms 20]\n", stderr);
        return 2;
    }
    struct upstream *u = calloc(1, sizeof *u);
    if (!u) die("calloc", ENOMEM);
    u->gap_ns = gap_ms * 1000000;
    u->random = clock_ns() | 1;
    for (unsigned i = 0; i < FORMS; i++) make_answer(u, (enum form)i);
    u->free_conn = NONE;
    for (uint32_t i = CONNS_MAX; i-- > 0;) {
        u->conns[i].next_free = u->free_conn;
        u->free_conn = i;
    }
    loop_open(&u->loop, 4096, BUFS, BUF_BYTES);
    u->listener = loop_listen(listen_at);
    loop_accept(&u->loop, u->listener, tag_pack(ACCEPT, 0));
    for (;;) turn(u);
}
