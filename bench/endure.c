/* endure.c - asks again and again, and looks whether every answer is whole and right.
 *     endure --to ADDR:PORT --reference ADDR:PORT --key K [options]
 *       --count 1000 --connections 32   requests in all, so many at once
 *       --rate 500                      a second, evenly: a failure that comes at once is not
 *                                       followed by more requests than another answer is
 *       --models 1                      they ask m0, m1, ... in turn
 *       --reference-model mock-vary     whom the reference is asked for
 *       --streams                       as streams
 *       --first 0                       number of the first request
 * Each request asks something else, and the reference (weir-mock, without faults) says what is
 * right: its `vary` has as many answers as it has words. Prints one line of JSON.
 *   good     status 200, all of the right text, one finish, a good end
 *   refused  an error status; broke: an error event; cut: the connection ended inside
 *   wrong    what looks like a good end and is not: half an answer, or another text
 * Rule: an answer counts as good only where a client that knows no Weir would take it so. */
#include "net/bytes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
    THREADS_MAX = 512, ROOM = 1 << 20, TEXT = 1 << 16,
    TEXTS = 48,              /* answers there are: see weir-mock's `vary` */
    WAIT_S = 60,             /* for a byte */
};

enum outcome { GOOD, REFUSED, BROKE, CUT, WRONG, OUTCOMES };

static const char *const outcome_name[] = {"good", "refused", "broke", "cut", "wrong"};

struct endure {
    struct sockaddr_in to, reference;
    const char *key, *reference_model;
    uint64_t count, first, models, connections, rate, began_ns;
    bool streams;
    char *right[TEXTS];
    uint32_t *took_us;       /* of each request, by its number */
    _Atomic uint64_t next, outcome[OUTCOMES], continued, status[600];
    _Atomic bool shown;      /* the first wrong answer was */
};

struct client {              /* a thread's: one connection */
    struct endure *e;
    int fd;
    size_t len, body;        /* of in: bytes, where the body begins */
    bool keep;
    char in[ROOM];
    char text[TEXT];         /* what the answer says */
};

static _Noreturn void give_up(const char *what, const char *more)
{
    (void)fprintf(stderr, "endure: %s %s\n", what, more);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- one request over the wire */

static bool dial(struct client *c, const struct sockaddr_in *to)
{
    struct timeval wait = {.tv_sec = WAIT_S};
    int on = 1;
    if (c->fd >= 0) return true;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0) return false;
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    return connect(c->fd, (const struct sockaddr *)(const void *)to, sizeof *to) == 0;
}

static void hang_up(struct client *c)
{
    if (c->fd >= 0) (void)close(c->fd);
    c->fd = -1;
}

/* More of the answer. False: there is none. */
static bool more(struct client *c)
{
    if (c->len + 1 >= ROOM) return false;
    ssize_t n = recv(c->fd, c->in + c->len, ROOM - 1 - c->len, 0);
    if (n <= 0) return false;
    c->len += (size_t)n;
    c->in[c->len] = 0;
    return true;
}

/* The head, up to the body; its status, 0 where none came. */
static unsigned read_head(struct client *c)
{
    const char *end;
    unsigned status = 0;
    c->len = 0;
    c->in[0] = 0;
    while (!(end = strstr(c->in, "\r\n\r\n"))) {
        if (!more(c)) return 0;
    }
    c->body = (size_t)(end - c->in) + 4;
    if (sscanf(c->in, "HTTP/1.1 %3u ", &status) != 1) return 0;
    return status;
}

static const char *field(const struct client *c, const char *name)
{
    const char *at = strcasestr(c->in, name);
    return at && at < c->in + c->body ? at + strlen(name) : NULL;
}

/* Take the framing of a chunk out. False: the body ended inside of it. */
static bool next_chunk(struct client *c, size_t *at, bool *last)
{
    char *end;
    while (!strstr(c->in + *at, "\r\n")) {
        if (!more(c)) return false;
    }
    uint64_t size = strtoull(c->in + *at, &end, 16);
    size_t line = (size_t)(strstr(c->in + *at, "\r\n") + 2 - c->in) - *at;
    if (end == c->in + *at || size > ROOM) return false;
    while (c->len < *at + line + size + 2) {
        if (!more(c)) return false;
    }
    size_t rest = c->len - *at - line;
    memmove(c->in + *at, c->in + *at + line, rest);
    *at += size;
    memmove(c->in + *at, c->in + *at + 2, rest - size - 2);
    c->len -= line + 2;
    c->in[c->len] = 0;
    *last = size == 0;
    return true;
}

/* All of the body, without its framing. False: it is cut off. */
static bool read_body(struct client *c)
{
    const char *length = field(c, "\ncontent-length: "), *how = field(c, "\nconnection: ");
    bool chunked = field(c, "\ntransfer-encoding: chunked") != NULL, last = false;
    size_t at = c->body;
    c->keep = !how || strncasecmp(how, "close", 5) != 0;
    while (chunked && !last) {
        if (!next_chunk(c, &at, &last)) return false;
    }
    if (chunked) return true;
    if (!length) return false;
    uint64_t end = c->body + strtoull(length, NULL, 10);
    while (c->len < end) {
        if (!more(c)) return false;
    }
    return c->len == end;
}

/* Send a request. False: it did not leave; nothing of an answer is there. */
static bool say(struct client *c, const struct sockaddr_in *to, const char *text, size_t len)
{
    c->len = 0;
    if (!dial(c, to)) return false;
    while (len > 0) {
        ssize_t n = send(c->fd, text, len, MSG_NOSIGNAL);
        if (n <= 0) return false;
        text += n;
        len -= (size_t)n;
    }
    return true;
}

/* --- what it says */

/* All that stands in "content":"...", one behind the other: words, without escapes. */
static void read_text(struct client *c)
{
    static const char key[] = "\"content\":\"";
    size_t len = 0;
    const char *at = c->in + c->body;
    while ((at = strstr(at, key)) != NULL) {
        at += sizeof key - 1;
        size_t n = strcspn(at, "\"");
        if (len + n >= TEXT) break;
        memcpy(c->text + len, at, n);
        len += n;
    }
    c->text[len] = 0;
}

static unsigned times(const char *in, const char *what)
{
    unsigned count = 0;
    for (; (in = strstr(in, what)) != NULL; in += strlen(what)) count++;
    return count;
}

static bool ends(const struct client *c, const char *with)
{
    size_t len = strlen(with);
    return c->len >= c->body + len && memcmp(c->in + c->len - len, with, len) == 0;
}

static enum outcome judge(struct client *c, unsigned status, bool whole, const char *right)
{
    struct endure *e = c->e;
    const char *body = c->in + c->body;
    if (status == 0) return CUT;
    if (status != 200) {
        atomic_fetch_add(&e->status[status < 600 ? status : 0], 1);
        return REFUSED;
    }
    if (e->streams && strstr(body, "data: {\"error\"")) return BROKE;
    if (!whole) return CUT;
    if (strstr(body, "\n: continued by ")) atomic_fetch_add(&e->continued, 1);
    read_text(c);
    bool good = strcmp(c->text, right) == 0 && times(body, "\"finish_reason\":\"stop\"") == 1;
    if (e->streams) good = good && ends(c, "data: [DONE]\n\n");
    if (!good && !atomic_exchange(&e->shown, true)) {
        (void)fprintf(stderr, "endure: wrong: %s\nright: %s\n", body, right);
    }
    return good ? GOOD : WRONG;
}

static uint32_t text_of(const char *question)
{
    uint32_t sum = 0;
    for (; *question; question++) sum += (unsigned char)*question;
    return sum % TEXTS;
}

static enum outcome ask(struct client *c, uint64_t number)
{
    struct endure *e = c->e;
    char body[512], wire[1024], question[64];
    (void)snprintf(question, sizeof question, "question %" PRIu64, number);
    int n = snprintf(body, sizeof body, "{\"model\":\"m%" PRIu64 "\"%s,\"messages\":[{\"role\":"
                     "\"user\",\"content\":\"%s\"}]}", number % e->models,
                     e->streams ? ",\"stream\":true" : "", question);
    int len = snprintf(wire, sizeof wire, "POST /v1/chat/completions HTTP/1.1\r\nhost: weir\r\n"
                       "authorization: Bearer %s\r\ncontent-type: application/json\r\n"
                       "content-length: %d\r\n\r\n%s", e->key, n, body);
    c->keep = false;
    bool reused = c->fd >= 0;
    unsigned status = say(c, &e->to, wire, (size_t)len) ? read_head(c) : 0;
    if (status == 0 && reused && c->len == 0) {    /* closed meanwhile, as connections are */
        hang_up(c);
        status = say(c, &e->to, wire, (size_t)len) ? read_head(c) : 0;
    }
    bool whole = status != 0 && read_body(c);
    enum outcome o = judge(c, status, whole, e->right[text_of(question)]);
    if (!whole || !c->keep) hang_up(c);
    return o;
}

static void wait_until(uint64_t ns)
{
    struct timespec t = {.tv_sec = (time_t)(ns / 1000000000u),
                         .tv_nsec = (long)(ns % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {}
}

static void *client_main(void *arg)
{
    struct client *c = arg;
    struct endure *e = c->e;
    for (;;) {
        uint64_t i = atomic_fetch_add(&e->next, 1);
        if (i >= e->count) break;
        wait_until(e->began_ns + i * 1000000000u / e->rate);
        uint64_t began = now_ns();
        enum outcome o = ask(c, e->first + i);
        e->took_us[i] = (uint32_t)((now_ns() - began) / 1000);
        atomic_fetch_add(&e->outcome[o], 1);
    }
    hang_up(c);
    return NULL;
}

/* --- all of them */

static void learn(struct endure *e, struct client *c)
{
    uint32_t known = 0;
    for (uint64_t i = 0; known < TEXTS; i++) {
        char question[64], body[512], wire[1024];
        (void)snprintf(question, sizeof question, "question %" PRIu64, i);
        if (e->right[text_of(question)]) continue;
        int n = snprintf(body, sizeof body, "{\"model\":\"%s\",\"messages\":[{"
                         "\"role\":\"user\",\"content\":\"%s\"}]}", e->reference_model,
                         question);
        int len = snprintf(wire, sizeof wire, "POST /v1/chat/completions HTTP/1.1\r\n"
                           "host: mock\r\ncontent-length: %d\r\n\r\n%s", n, body);
        bool fine = say(c, &e->reference, wire, (size_t)len) && read_head(c) == 200 &&
                    read_body(c);
        if (!fine) give_up("the reference does not answer", question);
        read_text(c);
        e->right[text_of(question)] = strdup(c->text);
        known++;
    }
    hang_up(c);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double quantile_ms(const struct endure *e, double share)
{
    uint64_t at = (uint64_t)((double)e->count * share);
    return e->took_us[at < e->count ? at : e->count - 1] / 1000.0;
}

static void tell(struct endure *e, uint64_t took_ns)
{
    qsort(e->took_us, e->count, sizeof *e->took_us, by_size);
    (void)printf("{\"count\":%" PRIu64 ",\"seconds\":%.3f,\"continued\":%" PRIu64, e->count,
                 (double)took_ns / 1e9, atomic_load(&e->continued));
    for (int i = 0; i < OUTCOMES; i++) {
        (void)printf(",\"%s\":%" PRIu64, outcome_name[i], atomic_load(&e->outcome[i]));
    }
    (void)printf(",\"status\":{");
    bool first = true;
    for (int i = 0; i < 600; i++) {
        uint64_t n = atomic_load(&e->status[i]);
        if (n) (void)printf("%s\"%d\":%" PRIu64, first ? "" : ",", i, n);
        if (n) first = false;
    }
    (void)printf("},\"p50_ms\":%.2f,\"p90_ms\":%.2f,\"p99_ms\":%.2f,\"p999_ms\":%.2f,"
                 "\"max_ms\":%.2f}\n", quantile_ms(e, 0.5), quantile_ms(e, 0.9),
                 quantile_ms(e, 0.99), quantile_ms(e, 0.999), quantile_ms(e, 1));
}

static struct sockaddr_in address(const char *text)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    char host[64] = "";
    unsigned port = 0;
    if (!text || sscanf(text, "%63[0-9.]:%5u", host, &port) != 2 ||
        inet_pton(AF_INET, host, &a.sin_addr) != 1) {
        give_up("no address:", text ? text : "");
    }
    a.sin_port = htons((uint16_t)port);
    return a;
}

static uint64_t number(const char *text)
{
    uint64_t n;
    if (!bytes_u64(bytes_of(text), &n)) give_up("no number:", text);
    return n;
}

static void read_options(struct endure *e, int argc, char **argv)
{
    static const struct option options[] = {
        {"to", 1, NULL, 't'}, {"reference", 1, NULL, 'r'}, {"key", 1, NULL, 'k'},
        {"count", 1, NULL, 'n'}, {"connections", 1, NULL, 'c'}, {"models", 1, NULL, 'm'},
        {"reference-model", 1, NULL, 'M'}, {"rate", 1, NULL, 'R'},
        {"streams", 0, NULL, 's'}, {"first", 1, NULL, 'f'}, {0}};
    const char *to = NULL, *reference = NULL;
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case 't': to = optarg; break;
        case 'r': reference = optarg; break;
        case 'k': e->key = optarg; break;
        case 'n': e->count = number(optarg); break;
        case 'c': e->connections = number(optarg); break;
        case 'm': e->models = number(optarg); break;
        case 'M': e->reference_model = optarg; break;
        case 'R': e->rate = number(optarg); break;
        case 's': e->streams = true; break;
        case 'f': e->first = number(optarg); break;
        default: give_up("see the head of bench/endure.c", "");
        }
    }
    e->to = address(to);
    e->reference = address(reference);
    if (!e->key) give_up("--key", "is missing");
    bool fine = e->count > 0 && e->models > 0 && e->rate > 0 && e->connections > 0 &&
                e->connections <= THREADS_MAX;
    if (!fine) give_up("--count, --rate, --models, --connections:", "1 to 512 at once");
}

int main(int argc, char **argv)
{
    struct endure *e = calloc(1, sizeof *e);
    pthread_t thread[THREADS_MAX];
    if (!e) give_up("memory", "");
    e->count = 1000;
    e->connections = 32;
    e->rate = 500;
    e->models = 1;
    e->reference_model = "mock-vary";
    read_options(e, argc, argv);
    e->took_us = calloc(e->count, sizeof *e->took_us);
    struct client *clients = calloc(e->connections, sizeof *clients);
    if (!e->took_us || !clients) give_up("memory", "");
    for (uint64_t i = 0; i < e->connections; i++) {
        clients[i].e = e;
        clients[i].fd = -1;
    }
    learn(e, &clients[0]);
    e->began_ns = now_ns();
    for (uint64_t i = 0; i < e->connections; i++) {
        if (pthread_create(&thread[i], NULL, client_main, &clients[i]) != 0) {
            give_up("no thread", "");
        }
    }
    for (uint64_t i = 0; i < e->connections; i++) (void)pthread_join(thread[i], NULL);
    tell(e, now_ns() - e->began_ns);
    return 0;
}
