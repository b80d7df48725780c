/* load.c - the load generator of the bench: one thread, one ring, one processor.
 *     load --to ADDR:PORT --request FILE [--pid PID]... [options]
 *       --connections 64     keep-alive connections, or streams
 *       --rate 20000         open loop: requests a second, Poisson; 0: closed loop
 *       --streams            each request is answered by a stream of time stamps (upstream.c)
 *       --warm-ms 300 --window-ms 1500
 *       --expect 700         bytes of a whole answer's body; 0: any that is not empty
 *       --calls              count system calls of the processes (costs them time)
 * FILE holds a whole request, as it goes over the wire. Prints one line of JSON.
 *   ramp (connect; of streams at most RAMP_MAX wait for their first stamp at once)
 *     -> warm -> window (a meter reading at both ends) -> end
 * Closed loop: each connection asks again once it is answered. Open loop: requests are due at
 * times drawn beforehand, and their latency counts from then, however late they are sent.
 * Rule: only what ends inside the window is counted; every answer is checked; one error
 * anywhere spoils the measurement and is said. */
#include "bench/answer.h"
#include "bench/loop.h"
#include "bench/meter.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <unistd.h>

enum { RECV, SEND };  /* operations */
enum phase { RAMP, WARM, WINDOW, END };
enum {
    CONNS_MAX = 16384, BUFS = 256, BUF_BYTES = 16384, RAMP_MAX = 512,
    LATE_MAX = 1 << 20,      /* requests due that wait for a free connection */
    STAMP_BYTES = 17,        /* "@" and 16 digits */
    RAMP_SECONDS_MAX = 60, FILE_MAX = 1 << 21,
};

struct conn {
    int fd;
    uint32_t kept;           /* bytes in stamp */
    uint64_t since_ns;       /* when the running request was due */
    struct answer answer;
    bool is_busy, is_sending, has_begun;
    char stamp[STAMP_BYTES]; /* stream: beginning of a stamp cut in two */
};

struct load {
    struct loop loop;
    struct meter meter;
    struct histogram times;
    struct sockaddr_in to;
    struct bytes request;
    double rate;
    uint64_t warm_ns, window_ns, expect;
    bool is_stream, counts_calls;
    uint32_t wanted, opened, begun;       /* connections */
    enum phase phase;
    uint64_t phase_ns;                    /* when it began */
    uint64_t due_ns;                      /* open loop: the next request */
    uint64_t random;
    uint32_t idle_count, late_first, late_count, starved_count;
    uint64_t errors;
    const char *first_error;
    struct reading before, start, stop;   /* before connecting; at the window's ends */
    uint64_t start_ns, self_start_ns;     /* at the window's start: clock, own CPU time */
    uint64_t self_ns;
    uint32_t idle[CONNS_MAX], starved[CONNS_MAX];
    uint64_t late[LATE_MAX];
    struct conn conns[CONNS_MAX];
};

static void fail(struct load *l, const char *why)
{
    if (!l->first_error) l->first_error = why;
    l->errors++;
}

static uint64_t cpu_self_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- asking */

static void ask(struct load *l, uint32_t slot, uint64_t since_ns)
{
    struct conn *c = &l->conns[slot];
    assert(!c->is_busy && !c->is_sending);
    c->since_ns = since_ns;
    c->is_busy = c->is_sending = true;
    loop_send(&l->loop, c->fd, tag_pack(SEND, slot), l->request);
}

static void open_conn(struct load *l)
{
    assert(l->opened < l->wanted);
    uint32_t slot = l->opened++;
    struct conn *c = &l->conns[slot];
    c->fd = loop_socket();
    if (connect(c->fd, (struct sockaddr *)&l->to, sizeof l->to)) die("connect", errno);
    loop_recv(&l->loop, c->fd, tag_pack(RECV, slot));
    if (l->rate > 0) l->idle[l->idle_count++] = slot;
    else ask(l, slot, clock_ns());
    if (!l->is_stream) l->begun++;
}

/* Nanoseconds to the next request: exponential, so that arrivals are Poisson. */
static uint64_t draw_gap(struct load *l)
{
    l->random ^= l->random >> 12;
    l->random ^= l->random << 25;
    l->random ^= l->random >> 27;
    double u = (double)((l->random * 0x2545F4914F6CDD1Du >> 11) + 1) * 0x1p-53;
    return (uint64_t)(-log(u) / l->rate * 1e9);
}

/* Open loop: send what is due, on free connections; the rest waits for one. */
static void ask_due(struct load *l, uint64_t now_ns)
{
    for (; l->due_ns <= now_ns; l->due_ns += draw_gap(l)) {
        if (l->idle_count > 0) {
            ask(l, l->idle[--l->idle_count], l->due_ns);
        } else if (l->late_count < LATE_MAX) {
            l->late[(l->late_first + l->late_count++) % LATE_MAX] = l->due_ns;
        } else {
            fail(l, "a million requests wait");
        }
    }
}

/* --- answers */

/* A connection is of no more use: the measurement is spoilt, the others go on. */
static void lose(struct load *l, uint32_t slot, const char *why)
{
    struct conn *c = &l->conns[slot];
    if (c->fd < 0) return;
    if (l->phase != END) fail(l, why);
    if (!c->has_begun && l->is_stream) l->begun++;
    shutdown(c->fd, SHUT_RDWR);
    close(c->fd);
    c->fd = -1;
}

static void on_answer(struct load *l, uint32_t slot)
{
    struct conn *c = &l->conns[slot];
    uint64_t now_ns = clock_ns(), length = c->answer.body_bytes;
    if (!c->is_busy || c->is_sending || l->is_stream) {
        lose(l, slot, l->is_stream ? "a stream ended" : "an answer before its request");
        return;
    }
    if (c->answer.status != 200) fail(l, "an answer's status is not 200");
    else if (length == 0 || (l->expect && length != l->expect)) fail(l, "an answer's length");
    else if (l->phase == WINDOW) histogram_put(&l->times, now_ns - c->since_ns);
    c->is_busy = false;
    if (l->rate <= 0) {
        ask(l, slot, now_ns);
    } else if (l->late_count > 0) {
        uint64_t due_ns = l->late[l->late_first];
        l->late_first = (l->late_first + 1) % LATE_MAX;
        l->late_count--;
        ask(l, slot, due_ns);
    } else {
        l->idle[l->idle_count++] = slot;
    }
}

static void on_stamp(struct load *l, uint32_t slot, const char *digits)
{
    struct conn *c = &l->conns[slot];
    uint64_t sent_ns = 0, now_ns = clock_ns();
    for (unsigned i = 0; i < STAMP_BYTES - 1; i++) {
        if (digits[i] < '0' || digits[i] > '9') {
            fail(l, "a stamp holds no number");
            return;
        }
        sent_ns = sent_ns * 10 + (uint64_t)(digits[i] - '0');
    }
    if (!c->has_begun) l->begun++;
    c->has_begun = true;
    if (sent_ns > now_ns) fail(l, "a stamp lies in the future");
    else if (l->phase == WINDOW) histogram_put(&l->times, now_ns - sent_ns);
}

/* Find the stamps in a piece of a stream; one may be cut anywhere. */
static void take_stamps(struct load *l, uint32_t slot, struct bytes in)
{
    struct conn *c = &l->conns[slot];
    if (c->answer.status != 200) {
        lose(l, slot, "a stream's status is not 200");
        return;
    }
    while (in.len > 0) {
        if (c->kept == 0) {
            const char *at = memchr(in.ptr, '@', in.len);
            if (!at) return;
            bytes_cut(&in, (size_t)(at - in.ptr));
        }
        size_t n = STAMP_BYTES - c->kept < in.len ? STAMP_BYTES - c->kept : in.len;
        memcpy(c->stamp + c->kept, in.ptr, n);
        bytes_cut(&in, n);
        c->kept += (uint32_t)n;
        if (c->kept < STAMP_BYTES) return;
        c->kept = 0;
        on_stamp(l, slot, c->stamp + 1);
    }
}

static void take_bytes(struct load *l, uint32_t slot, struct bytes in)
{
    struct conn *c = &l->conns[slot];
    struct bytes body;
    while (c->fd >= 0) {
        switch (answer_next(&c->answer, &in, &body)) {
        case NET_OK:
            if (l->is_stream) take_stamps(l, slot, body);
            break;
        case NET_MORE: return;
        case NET_DONE: on_answer(l, slot); break;
        case NET_BAD: lose(l, slot, "an answer is not HTTP as we read it"); break;
        }
    }
}

/* --- completions */

static void on_recv(struct load *l, uint32_t slot, const struct io_uring_cqe *cqe)
{
    struct conn *c = &l->conns[slot];
    if (cqe->res > 0) {
        uint32_t id = loop_buf_id(cqe);
        take_bytes(l, slot, (struct bytes){loop_buf(&l->loop, id), (size_t)cqe->res});
        loop_give(&l->loop, id);
    }
    if (cqe->flags & IORING_CQE_F_MORE) return;
    if (cqe->res > 0 || cqe->res == -ENOBUFS) l->starved[l->starved_count++] = slot;
    else if (c->fd >= 0) lose(l, slot, "a connection was closed");
}

static void on_send(struct load *l, uint32_t slot, int rc)
{
    struct conn *c = &l->conns[slot];
    c->is_sending = false;
    if (rc < 0 || (size_t)rc < l->request.len) lose(l, slot, "a request could not be sent");
}

/* --- the measurement */

static void phase_next(struct load *l, uint64_t now_ns)
{
    assert(l->phase < END);
    l->phase++;
    l->phase_ns = now_ns;
    if (l->phase == WARM) {
        l->due_ns = now_ns;
        if (l->counts_calls) l->counts_calls = meter_count_calls(&l->meter);
    } else if (l->phase == WINDOW) {
        if (!meter_read(&l->meter, &l->start)) die("a process is gone", ESRCH);
        l->start_ns = now_ns;
        l->self_start_ns = cpu_self_ns();
    } else {
        l->self_ns = cpu_self_ns() - l->self_start_ns;
        if (!meter_read(&l->meter, &l->stop)) die("a process is gone", ESRCH);
    }
}

/* Go on to the next phase when it is time; gives how long the loop may sleep. */
static uint64_t steer(struct load *l)
{
    uint64_t now_ns = clock_ns(), end_ns = l->phase_ns + RAMP_SECONDS_MAX * 1000000000ull;
    if (l->phase == RAMP) {
        uint32_t ahead = l->is_stream ? RAMP_MAX : CONNS_MAX;
        while (l->opened < l->wanted && l->opened - l->begun < ahead) open_conn(l);
        if (l->begun == l->wanted) phase_next(l, now_ns);
        else if (now_ns > end_ns) die("not all connections were answered", ETIMEDOUT);
    }
    if (l->phase == WARM) end_ns = l->phase_ns + l->warm_ns;
    if (l->phase == WINDOW) end_ns = l->phase_ns + l->window_ns;
    if (l->phase != RAMP && now_ns >= end_ns) {
        phase_next(l, now_ns);
        end_ns = now_ns + (l->phase == WINDOW ? l->window_ns : 0);
    }
    if (l->rate > 0 && l->phase != RAMP) {
        ask_due(l, now_ns);
        if (l->due_ns < end_ns) end_ns = l->due_ns;
    }
    return end_ns > now_ns ? end_ns - now_ns : 0;
}

static void turn(struct load *l, uint64_t wait_ns)
{
    unsigned head, count = 0;
    struct io_uring_cqe *cqe;
    loop_turn(&l->loop, wait_ns);
    io_uring_for_each_cqe(&l->loop.uring, head, cqe) {
        struct tag t = tag_of(cqe);
        count++;
        if (t.op == RECV) on_recv(l, t.slot, cqe);
        else on_send(l, t.slot, cqe->res);
    }
    io_uring_cq_advance(&l->loop.uring, count);
    while (l->starved_count > 0) {
        uint32_t slot = l->starved[--l->starved_count];
        struct conn *c = &l->conns[slot];
        if (c->fd >= 0) loop_recv(&l->loop, c->fd, tag_pack(RECV, slot));
    }
}

static void report(const struct load *l)
{
    const struct histogram *h = &l->times;
    double count = h->count ? (double)h->count : 1;
    uint64_t cpu_ns = l->stop.cpu_ns - l->start.cpu_ns;
    printf("{\"count\": %llu, \"seconds\": %.6f, \"errors\": %llu, \"error\": \"%s\", ",
           (unsigned long long)h->count, (double)(l->phase_ns - l->start_ns) * 1e-9,
           (unsigned long long)l->errors, l->first_error ? l->first_error : "");
    printf("\"cpu_us\": %.4f, \"cpu_ns\": %llu, \"self_us\": %.4f, ",
           (double)cpu_ns / 1e3 / count, (unsigned long long)cpu_ns,
           (double)l->self_ns / 1e3 / count);
    if (l->counts_calls) {
        printf("\"calls\": %.4f, ", (double)(l->stop.calls - l->start.calls) / count);
    }
    printf("\"rss_before\": %llu, \"rss\": %llu, \"late\": %u, ",
           (unsigned long long)l->before.rss_bytes, (unsigned long long)l->stop.rss_bytes,
           l->late_count);
    printf("\"us\": {\"mean\": %.1f, \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, "
           "\"p999\": %.1f, \"max\": %.1f}}\n",
           (double)h->sum / 1e3 / count, (double)histogram_at(h, 0.5) / 1e3,
           (double)histogram_at(h, 0.9) / 1e3, (double)histogram_at(h, 0.99) / 1e3,
           (double)histogram_at(h, 0.999) / 1e3, (double)h->max / 1e3);
}

/* --- options */

static struct bytes read_request(const char *path)
{
    char *text = malloc(FILE_MAX);
    FILE *file = fopen(path, "re");
    if (!text || !file) die(path, errno);
    size_t n = fread(text, 1, FILE_MAX, file);
    fclose(file);
    if (n == 0 || n == FILE_MAX) die(path, EFBIG);
    return (struct bytes){text, n};
}

static bool read_option(struct load *l, int option, const char *value)
{
    char *end = NULL;
    double n = value ? strtod(value, &end) : 0;
    bool is_number = value && *value && !*end && n >= 0;
    switch (option) {
    case 't': l->to = loop_address(value); return true;
    case 'f': l->request = read_request(value); return true;
    case 's': l->is_stream = true; return true;
    case 'k': l->counts_calls = true; return true;
    case 'c': l->wanted = (uint32_t)n; return is_number && n >= 1 && n <= CONNS_MAX;
    case 'r': l->rate = n; return is_number && n <= 1e7;
    case 'w': l->warm_ns = (uint64_t)(n * 1e6); return is_number && n <= 1e6;
    case 'i': l->window_ns = (uint64_t)(n * 1e6); return is_number && n >= 1 && n <= 1e6;
    case 'e': l->expect = (uint64_t)n; return is_number && n < 1e9;
    case 'p':
        if (!is_number || l->meter.pid_count == METER_PIDS_MAX) return false;
        l->meter.pids[l->meter.pid_count++] = (int)n;
        return true;
    default: return false;
    }
}

static bool read_options(struct load *l, int argc, char **argv)
{
    static const struct option options[] = {
        {"to", required_argument, NULL, 't'}, {"request", required_argument, NULL, 'f'},
        {"connections", required_argument, NULL, 'c'}, {"rate", required_argument, NULL, 'r'},
        {"streams", no_argument, NULL, 's'}, {"warm-ms", required_argument, NULL, 'w'},
        {"window-ms", required_argument, NULL, 'i'}, {"expect", required_argument, NULL, 'e'},
        {"pid", required_argument, NULL, 'p'}, {"calls", no_argument, NULL, 'k'},
        {NULL, 0, NULL, 0}};
    l->wanted = 64;
    l->warm_ns = 300000000;
    l->window_ns = 1500000000;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (!read_option(l, option, optarg)) return false;
    }
    return l->to.sin_port && l->request.len && optind == argc && !(l->is_stream && l->rate > 0);
}

int main(int argc, char **argv)
{
    struct load *l = calloc(1, sizeof *l);
    if (!l) die("calloc", ENOMEM);
    if (!read_options(l, argc, argv)) {
        fputs("usage: load --to ADDR:PORT --request FILE [--pid PID]... [--connections 64]\n"
              "            [--rate N | --streams] [--warm-ms 300] [--window-ms 1500]\n"
              "            [--expect BYTES] [--calls]\n", stderr);
        return 2;
    }
    l->random = clock_ns() | 1;
    loop_open(&l->loop, 4096, BUFS, BUF_BYTES);
    if (!meter_read(&l->meter, &l->before)) die("--pid", ESRCH);
    l->phase_ns = clock_ns();
    while (l->phase != END) turn(l, steer(l));
    report(l);
    meter_close(&l->meter);
    for (uint32_t i = 0; i < l->opened; i++) answer_fini(&l->conns[i].answer);
    loop_close(&l->loop);
    free((char *)l->request.ptr);
    free(l);
    return 0;
}
