/* bench_logic.c - Weir's own work for one proxied request, without the kernel: a whole gateway
 * core (keys, journal, tables, everything) runs on a ring that answers from memory. 64 clients
 * send a request each, a provider answers each, again and again, as in the closed loop of
 * run.py; the time outside of ring_wait() is what is counted. Prints ns a request, best and
 * median of several rounds.
 *
 *   bench_logic [--body BYTES] [--rounds N] [--requests N]
 *
 * The journal is emptied without being folded: bench_fold measures that. */
#include "engine/boot.h"
#include "engine/conf.h"
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/ring.h"
#include "engine/serve.h"
#include "engine/sock.h"
#include "engine/tables.h"
#include "store/db.h"
#include "store/journal.h"

#include <ftw.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    CLIENTS = 64, FIRST_FD = 1000, FDS = 4096, QUEUE = 1 << 16,
    BODY_MAX = 1 << 20, MESSAGE_MAX = BODY_MAX + 4096,
    JOURNAL_RECORDS = 32768, MAP_BYTES = 64 << 20,
};

struct peer {                  /* the other end of a descriptor */
    uint64_t recv_user;        /* of the armed receive; 0 none */
    bool client;
    size_t owed;               /* bytes of the current message it is still to be given */
};

struct ring {                  /* the seam of ring.h, from memory */
    char *bufs;
    uint32_t buf_bytes, buf_count, buf_free;
    uint32_t *fifo, fifo_head, fifo_tail;
    struct peer peer[FDS];
    struct ring_done *done;    /* completions due */
    uint32_t done_count, done_at;
    int next_fd;
    uint64_t answered;
};

struct bench {
    struct engine engine;
    struct core core;
    struct ring ring;
    char *request, *answer;
    size_t request_bytes, answer_bytes, body_bytes;
    uint64_t requests, began_ns, left_ns, spent_ns, counted;
    unsigned rounds;
    double ns[101];
    unsigned taken;
};

static struct bench bench;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);  /* the machine is shared */
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* --- the ring --- */

static void complete(struct ring *r, uint64_t user, int32_t n, uint32_t buf, bool last)
{
    assert(r->done_count < QUEUE);
    r->done[r->done_count++] = (struct ring_done){.user = user, .n = n, .buf = buf,
                                                  .last = last};
}

/* Give fd the next piece of its message, as the kernel would: one buffer's worth. */
static void deliver(struct ring *r, int fd)
{
    struct peer *p = &r->peer[fd];
    size_t all = p->client ? bench.request_bytes : bench.answer_bytes;
    const char *from = p->client ? bench.request : bench.answer;
    while (p->owed > 0 && r->buf_free > 0 && p->recv_user) {
        uint32_t buf = r->fifo[r->fifo_head++ % r->buf_count];
        size_t n = p->owed < r->buf_bytes ? p->owed : r->buf_bytes;
        memcpy(ring_buf(r, buf), from + (all - p->owed), n);
        r->buf_free--;
        p->owed -= n;
        complete(r, p->recv_user, (int32_t)n, buf, false);
    }
    assert(p->owed == 0);
}

int ring_open(const struct ring_config *config, struct ring **out)
{
    struct ring *r = &bench.ring;
    r->buf_count = config->buf_count;
    r->buf_bytes = config->buf_bytes;
    r->bufs = calloc(config->buf_count, config->buf_bytes + RING_FRONT);
    r->fifo = calloc(config->buf_count, sizeof *r->fifo);
    r->done = calloc(QUEUE, sizeof *r->done);
    if (!r->bufs || !r->fifo || !r->done) return -1;
    *out = r;
    for (uint32_t i = 0; i < r->buf_count; i++) ring_buf_give(r, i);
    return 0;
}

static void end_round(void)
{
    struct journal *j = bench.core.journal;
    journal_folded(j, journal_tail(j) + journal_lag(j));
    bench.ns[bench.taken++] = (double)bench.spent_ns / (double)bench.counted;
    bench.spent_ns = bench.counted = 0;
    if (bench.taken == bench.rounds) {
        atomic_store_explicit(&bench.engine.killed, true, memory_order_release);
    }
}

int ring_wait(struct ring *r, uint64_t timeout_ns, struct ring_done *out, unsigned max)
{
    (void)timeout_ns;
    if (bench.left_ns) bench.spent_ns += now_ns() - bench.left_ns;
    if (bench.counted >= bench.requests) end_round();
    unsigned n = r->done_count - r->done_at < max ? r->done_count - r->done_at : max;
    memcpy(out, r->done + r->done_at, n * sizeof *out);
    r->done_at += n;
    if (r->done_at == r->done_count) r->done_at = r->done_count = 0;
    bench.left_ns = now_ns();
    return (int)n;
}

void ring_accept(struct ring *r, int fd, uint64_t user)
{
    (void)fd;
    for (int i = 0; i < CLIENTS; i++) {
        int made = FIRST_FD + r->next_fd++;
        r->peer[made] = (struct peer){.client = true, .owed = bench.request_bytes};
        complete(r, user, made, RING_BUF_NONE, false);
    }
}

void ring_recv(struct ring *r, int fd, uint64_t user)
{
    r->peer[fd].recv_user = user;
    deliver(r, fd);
}

void ring_recv_once(struct ring *r, int fd, uint64_t user)
{
    ring_recv(r, fd, user);
}

void ring_send(struct ring *r, int fd, uint64_t user, const struct iovec *iov, unsigned count)
{
    size_t n = 0;
    for (unsigned i = 0; i < count; i++) n += iov[i].iov_len;
    struct peer *p = &r->peer[fd];
    complete(r, user, (int32_t)n, RING_BUF_NONE, true);
    if (p->client) {           /* an answer came: the next request */
        bench.counted++;
        p->owed = bench.request_bytes;
    } else {
        p->owed = bench.answer_bytes;
    }
    deliver(r, fd);
}

void ring_connect(struct ring *r, int fd, uint64_t user, const struct sockaddr *addr,
                  socklen_t len)
{
    (void)addr, (void)len;
    r->peer[fd] = (struct peer){.client = false};
    complete(r, user, 0, RING_BUF_NONE, true);
}

void ring_buf_give(struct ring *r, uint32_t buf)
{
    r->fifo[r->fifo_tail++ % r->buf_count] = buf;
    r->buf_free++;
}

char *ring_buf(const struct ring *r, uint32_t buf)
{
    return r->bufs + RING_FRONT + (size_t)buf * (r->buf_bytes + RING_FRONT);
}

uint32_t ring_buf_free(const struct ring *r) { return r->buf_free; }
uint32_t ring_unsent(const struct ring *r, int fd) { (void)r, (void)fd; return 0; }
void ring_close(struct ring *r) { (void)r; }
void ring_close_fd(struct ring *r, int fd) { (void)r, (void)fd; }
void ring_shutdown(struct ring *r, int fd, int how) { (void)r, (void)fd, (void)how; }
void ring_wake(struct ring *r, int fd, uint64_t user) { (void)r, (void)fd, (void)user; }
void ring_cancel(struct ring *r, uint64_t user) { (void)r, (void)user; }
void ring_look(const struct ring *r, struct ring_features *out)
{
    (void)r;
    *out = (struct ring_features){0};
}
void ring_message(struct ring *r, const struct ring *to, int fd, uint64_t user,
                  uint64_t on_fail)
{
    (void)r, (void)to, (void)fd, (void)user, (void)on_fail;
}

int sock_dial(int family) { (void)family; return FIRST_FD + bench.ring.next_fd++; }
struct addr sock_peer(int fd) { (void)fd; return (struct addr){0}; }
void sock_accepted(int fd) { (void)fd; }
int sock_wake_open(void) { return 3; }
void sock_wake(int fd) { (void)fd; }
void sock_wake_clear(int fd) { (void)fd; }

/* --- the core --- */

static const char *no_env(const char *name) { (void)name; return NULL; }

/* Append to a text that was given room enough. */
__attribute__((format(printf, 3, 4)))
static size_t put(char *out, size_t len, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(out + len, MESSAGE_MAX - len, format, args);
    va_end(args);
    assert(n >= 0 && len + (size_t)n < MESSAGE_MAX);
    return len + (size_t)n;
}

/* Words of six letters up to byte `until`. */
static size_t put_prose(char *out, size_t len, size_t until)
{
    for (; len < until; len++) out[len] = len % 7 ? (char)('a' + len % 26) : ' ';
    return len;
}

static void make_request(const char *secret)
{
    char *body = malloc(MESSAGE_MAX);
    bench.request = malloc(MESSAGE_MAX);
    assert(body && bench.request);
    size_t n = put(body, 0, "{\"model\":\"mock/gpt\",\"temperature\":0.7,\"max_tokens\":200,"
                   "\"messages\":[{\"role\":\"system\",\"content\":\"You answer in complete "
                   "sentences.\"},{\"role\":\"user\",\"content\":\"");
    n = put(body, put_prose(body, n, bench.body_bytes - 4), "\"}]}");
    bench.request_bytes = put(
        bench.request, 0,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:8080\r\n"
        "authorization: Bearer %s\r\naccept: application/json\r\n"
        "content-type: application/json\r\nuser-agent: OpenAI/JS 6.9.1\r\n"
        "x-stainless-retry-count: 0\r\nx-stainless-lang: js\r\n"
        "x-stainless-package-version: 6.9.1\r\nx-stainless-os: Linux\r\n"
        "x-stainless-arch: x64\r\nx-stainless-runtime: node\r\n"
        "x-stainless-runtime-version: v18.20.4\r\ncontent-length: %zu\r\n\r\n%.*s",
        secret, n, (int)n, body);
    free(body);
}

static void make_answer(void)
{
    char *body = malloc(MESSAGE_MAX);
    assert(body);
    size_t n = put(body, 0, "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\","
                   "\"created\":1700000000,\"model\":\"gpt\",\"choices\":[{\"index\":0,"
                   "\"message\":{\"role\":\"assistant\",\"content\":\"");
    n = put(body, put_prose(body, n, 590), "\"},\"finish_reason\":\"stop\"}],\"usage\":"
            "{\"prompt_tokens\":200,\"completion_tokens\":70,\"total_tokens\":270}}");
    bench.answer = malloc(MESSAGE_MAX);
    assert(bench.answer);
    bench.answer_bytes = put(
        bench.answer, 0, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
        "x-request-id: req_0123456789\r\nopenai-processing-ms: 12\r\n"
        "content-length: %zu\r\n\r\n%.*s", n, (int)n, body);
    free(body);
}

static void make_core(const char *dir)
{
    static const char yaml[] =
        "log: {level: warn}\nlimits: {connections: 1000, memory: 64MiB}\n"
        "providers:\n"
        "  - {name: mock, dialect: openai, url: 'http://127.0.0.1:9/v1', keys: [k]}\n"
        "models: [{id: mock/gpt, price: {input: '1', output: '2'}}]\n";
    static struct conf_report report;
    struct engine *e = &bench.engine;
    struct conf *conf = NULL;
    char why[256], secret[64];
    uint64_t lowered = 0;
    if (!conf_parse(yaml, sizeof yaml - 1, "bench.yaml", no_env, &conf, &report)) {
        fprintf(stderr, "%s", report.text);
        exit(1);
    }
    e->core_count = 1;
    e->ledger_ok = true;
    e->db = calloc(1, sizeof *e->db);
    struct tables *tables = tables_make(conf, &e->hosts, NULL);
    if (!tables || !tables_score(tables, NULL, e->core_count)) exit(1);
    atomic_store(&e->tables, tables);
    if (!e->db || db_open(e->db, dir, MAP_BYTES) != STORE_OK) exit(1);
    if (!boot_first_start(e, secret)) exit(1);
    make_request(secret);
    make_answer();
    struct core_limits limits;
    boot_limits(conf, 1, false, &limits, &lowered);
    if (!core_init(&bench.core, e, 0, ROLE_GATEWAY, &limits)) exit(1);
    if (journal_open(dir, 0, limits.exchanges, JOURNAL_RECORDS, &e->journal[0], why) !=
        STORE_OK) {
        fprintf(stderr, "%s\n", why);
        exit(1);
    }
    bench.core.journal = e->journal[0];
    bench.core.listen_fd[bench.core.listen_count++] = 4;
    e->core[0] = &bench.core;
}

static void on_ready(struct core *core, int rc, void *arg)
{
    (void)core, (void)arg;
    if (rc < 0) exit(1);
}

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int drop(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"body", 1, NULL, 'b'}, {"rounds", 1, NULL, 'r'},
                                            {"requests", 1, NULL, 'n'}, {0}};
    bench.body_bytes = 1024;
    bench.rounds = 31;
    bench.requests = 20000;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'b') bench.body_bytes = strtoul(optarg, NULL, 10);
        else if (c == 'r') bench.rounds = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 'n') bench.requests = strtoul(optarg, NULL, 10);
        else return 2;
    }
    bool fits = bench.body_bytes >= 256 && bench.body_bytes <= BODY_MAX && bench.rounds >= 1 &&
                bench.rounds <= COUNT(bench.ns) && bench.requests >= 1 &&
                bench.requests <= JOURNAL_RECORDS - 4 * CLIENTS;
    if (!fits) return 2;
    char dir[] = "/tmp/bench-logic-XXXXXX";
    if (!mkdtemp(dir)) return 1;
    make_core(dir);
    int rc = core_run(&bench.core, on_ready, NULL);
    qsort(bench.ns, bench.taken, sizeof bench.ns[0], by_number);
    printf("own logic, %zu byte body: best %.0f, median %.0f ns a request "
           "(%u rounds of %llu)\n", bench.body_bytes, bench.ns[0],
           bench.ns[bench.taken / 2], bench.taken, (unsigned long long)bench.requests);
    (void)nftw(dir, drop, 8, FTW_DEPTH | FTW_PHYS);
    return rc == 0 ? 0 : 1;
}
