/* weir-mock.c - a provider in every dialect for demos, tests and benchmarks, on the engine's
 * own cores: options, threads, signals. What it answers: mock.h. Exit 0 good, 1 failed, 2
 * usage. It measures and provokes; it knows nothing and says the same thing every time. */
#include "engine/boot.h"
#include "engine/cmd.h"
#include "engine/core.h"
#include "engine/engine.h"
#include "tools/mock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum {
    CONNS = 16384,             /* a core, where the descriptors allow */
    FD_SPARE = 64,
    REGION = 512 << 20,        /* address space a core; pages come as they are used */
    SEGS = 262144,
    RX_COUNT = 256,
    RX_BYTES = 16384,
    DRAIN_MS = 100,            /* what a signal leaves to running requests */
};

struct options {
    const char *listen, *key;
    uint32_t cores;
    struct mock_faults faults;
};

struct server {
    struct engine engine;
    struct mock_shared shared;
    pthread_t thread[ENGINE_CORES_MAX];
    int listen_fd[ENGINE_CORES_MAX];
    uint32_t started;          /* threads */
    _Atomic int failed;        /* -errno of a ring */
};

static const char usage[] =
    "usage: weir-mock [--listen ADDR:PORT] [--cores N] [--key K]\n"
    "                 [--faults SEED:FAILING:CAPACITY] [--outages SEED:EVERY:LONG]\n"
    "       weir-mock --help | --version\n";

static int bad_usage(const char *what, const char *arg)
{
    (void)fprintf(stderr, "weir-mock: %s %s\n%s", what, arg, usage);
    return 2;
}

static void help(void)
{
    (void)fputs(usage, stdout);
    (void)puts(
        "\nA provider: POST {any prefix}/chat/completions, /completions, /embeddings,\n"
        "/moderations, /responses (OpenAI), /messages, /messages/count_tokens (Anthropic),\n"
        "/models/{model}:generateContent, :streamGenerateContent, :countTokens (Gemini);\n"
        "GET /v1/models, /healthz.\n\n"
        "  --listen ADDR:PORT  default 127.0.0.1:9900; port 0 takes a free one\n"
        "  --cores N           threads, default 1\n"
        "  --key K             answer 401 without `authorization: Bearer K', or K as\n"
        "                      x-api-key, x-goog-api-key or ?key=\n"
        "  --faults S:F:C      of 1,000 requests F fail, of 1,000 of those C for want of room\n"
        "                      (429, 503, 529); the others by a 500 or a break anywhere\n"
        "  --outages S:E:L     in each E ms of the wall clock L ms in which all requests fail\n"
        "                      and streams are reset; the same S is out at the same time\n\n"
        "The model's name is a script: words between dashes, behind any prefix, as in\n"
        "`mock-ttft200-tps50-n100'. Words not listed are ignored.\n");
    script_print();
    (void)puts("\nEvents count everything sent on a stream, the role event too. Of an answer\n"
               "that is not streamed, K counts bytes of its body.");
}

static bool is_known(const char *name)
{
    static const char *const names[] = {"--listen", "--key", "--cores", "--faults",
                                        "--outages"};
    for (size_t i = 0; i < COUNT(names); i++) {
        if (strcmp(name, names[i]) == 0) return true;
    }
    return false;
}

/* Take one option with its value; 0 or the exit status. */
static int take(struct options *o, const char *name, const char *value)
{
    uint64_t n;
    if (!is_known(name)) return bad_usage("unknown option", name);
    if (!value || !*value) return bad_usage("a value is missing behind", name);
    bool faults = strcmp(name, "--faults") == 0, outages = strcmp(name, "--outages") == 0;
    if (faults || outages) {
        if (fault_option(&o->faults, outages, value)) return 0;
        return bad_usage(faults ? "--faults must be SEED:FAILING:CAPACITY of 1,000 each, got"
                                : "--outages must be SEED:EVERY:LONG in ms, got", value);
    }
    if (strcmp(name, "--listen") == 0) {
        o->listen = value;
    } else if (strcmp(name, "--key") == 0) {
        o->key = value;
    } else {
        if (!bytes_u64(bytes_of(value), &n) || n < 1 || n > ENGINE_CORES_MAX) {
            return bad_usage("--cores must be 1 to 256, got", value);
        }
        o->cores = (uint32_t)n;
    }
    return 0;
}

static uint32_t conns_max(uint32_t cores)
{
    struct rlimit rl;
    if (getrlimit(RLIMIT_NOFILE, &rl) != 0) return 512;
    rl.rlim_cur = rl.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &rl);
    (void)getrlimit(RLIMIT_NOFILE, &rl);
    uint64_t each = rl.rlim_cur > 2 * FD_SPARE ? (rl.rlim_cur - FD_SPARE) / cores : FD_SPARE;
    return each < CONNS ? (uint32_t)each : CONNS;
}

static void on_ready(struct core *core, int rc, void *arg)
{
    struct server *s = arg;
    (void)core;
    if (rc < 0) atomic_store_explicit(&s->failed, rc, memory_order_release);
    atomic_fetch_add_explicit(&s->engine.ready, 1, memory_order_release);
}

static void *core_main(void *arg)
{
    struct core *core = arg;
    struct server *s = core->engine->reload_arg;
    int rc = core_run(core, on_ready, s);
    if (rc < 0) atomic_store_explicit(&s->failed, rc, memory_order_release);
    return NULL;
}

static bool make_core(struct server *s, uint32_t idx, uint32_t conns)
{
    struct core_limits limits = {.conns = conns, .upstreams = 1, .exchanges = 1, .segs = SEGS,
                                 .rx_count = RX_COUNT, .rx_bytes = RX_BYTES,
                                 .region_bytes = REGION};
    struct core *core = calloc(1, sizeof *core);
    struct mock *mock = calloc(1, sizeof *mock);
    if (!core || !mock || !core_init(core, &s->engine, idx, ROLE_GATEWAY, &limits)) {
        return false;
    }
    mock->shared = &s->shared;
    core->serve = mock;
    core->listen_fd[0] = s->listen_fd[idx];
    core->listen_count = 1;
    s->engine.core[idx] = core;
    return true;
}

static bool start(struct server *s)
{
    struct engine *e = &s->engine;
    uint32_t conns = conns_max(e->core_count);
    struct timespec pause = {.tv_nsec = 200000};
    for (uint32_t i = 0; i < e->core_count; i++) {
        if (!make_core(s, i, conns)) return false;
    }
    e->admin = e->core[0];     /* nobody publishes tables here, but no pointer is NULL */
    for (; s->started < e->core_count; s->started++) {
        uint32_t i = s->started;
        if (pthread_create(&s->thread[i], NULL, core_main, e->core[i]) != 0) return false;
    }
    while (atomic_load_explicit(&e->ready, memory_order_acquire) < e->core_count) {
        (void)nanosleep(&pause, NULL);
    }
    return atomic_load_explicit(&s->failed, memory_order_acquire) == 0;
}

static bool ended(struct server *s, uint32_t i, unsigned ms)
{
    struct timespec until;
    if (clock_gettime(CLOCK_REALTIME, &until) != 0) return false;
    until.tv_nsec += (long)ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return pthread_timedjoin_np(s->thread[i], NULL, &until) == 0;
}

/* Requests that run may end; what still runs after DRAIN_MS (a stall never ends) is dropped. */
static void stop(struct server *s)
{
    struct engine *e = &s->engine;
    atomic_store_explicit(&e->draining, true, memory_order_release);
    for (uint32_t i = 0; i < s->started; i++) core_wake(e->core[i]);
    unsigned left = DRAIN_MS;
    for (uint32_t i = 0; i < s->started; i++) {
        if (ended(s, i, left)) continue;
        left = 0;
        atomic_store_explicit(&e->killed, true, memory_order_release);
        core_wake(e->core[i]);
        (void)pthread_join(s->thread[i], NULL);
    }
}

static int run(struct server *s, const struct options *o)
{
    char bound[300], why[256];
    sigset_t set;
    int sig = 0;
    if (boot_listen(o->listen, o->cores, s->listen_fd, bound, sizeof bound, why) < 0) {
        (void)fprintf(stderr, "weir-mock: cannot listen on %s: %s\n", o->listen, why);
        return 1;
    }
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    s->engine.core_count = o->cores;
    s->engine.reload_arg = s;
    s->shared.key = bytes_of(o->key);
    s->shared.faults.seed = o->faults.seed;
    s->shared.faults.failing = o->faults.failing;
    s->shared.faults.capacity = o->faults.capacity;
    s->shared.faults.outage_seed = o->faults.outage_seed;
    s->shared.faults.every_ms = o->faults.every_ms;
    s->shared.faults.long_ms = o->faults.long_ms;
    words_fill(&s->shared);
    if (!start(s)) {
        int rc = atomic_load_explicit(&s->failed, memory_order_acquire);
        (void)fprintf(stderr, "weir-mock: cannot start: %s\n", rc ? strerror(-rc)
                                                                 : "out of memory");
        return 1;
    }
    (void)printf("weir-mock listening on http://%s\n", bound);
    (void)fflush(stdout);
    struct timespec pause = {.tv_nsec = 50000000};
    while (sig != SIGTERM && sig != SIGINT && atomic_load(&s->failed) == 0) {
        sig = sigtimedwait(&set, NULL, &pause);
    }
    stop(s);
    return atomic_load(&s->failed) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct options o = {.listen = "127.0.0.1:9900", .cores = 1};
    for (int i = 1; i < argc; i += 2) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            help();
            return 0;
        }
        if (strcmp(argv[i], "--version") == 0) {
            (void)puts("weir-mock " WEIR_VERSION);
            return 0;
        }
        int rc = take(&o, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
        if (rc) return rc;
    }
    static struct server server;   /* the process's own: what it holds is never given back */
    (void)signal(SIGPIPE, SIG_IGN);
    return run(&server, &o);
}
