/* boot_serve.c - `weir serve` from the configuration to the exit status.
 * Order: configuration, DATA (lock, recovery), listeners, threads, ready; at the end the
 * reverse: cores drain, the store folds, the lock is given back. */
#include "engine/boot.h"
#include "engine/cert.h"
#include "engine/clock.h"
#include "engine/conf.h"
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/front.h"
#include "engine/heap.h"
#include "engine/keeper.h"
#include "engine/learn.h"
#include "engine/log.h"
#include "engine/look.h"
#include "engine/rota.h"
#include "engine/sticky.h"
#include "engine/tables.h"
#include "engine/vault.h"
#include "net/tls.h"
#include "store/budget.h"
#include "store/fold.h"
#include "store/journal.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    JOURNAL_RECORDS = 32768,         /* per core: 16 MiB */
    TLS_POOL_BYTES = 64 << 20,       /* of memory for TLS: providers, contexts ... */
    TLS_CONN_BYTES = 8192,           /* ... and for each client connection it may have */
    TLS_POOL_GIB_MAX = 32,
    LOOP_NS = 50000000,
};

struct server {
    struct engine engine;
    struct boot_options options;
    struct conf_report report;
    pthread_t thread[ENGINE_CORES_MAX + 1];
    int listen_fd[CONF_LISTEN_MAX][ENGINE_CORES_MAX];
    char bound[CONF_LISTEN_MAX][300], admin_bound[300];
    struct boot_socket socket[CONF_LISTEN_MAX], admin_socket;
    uint32_t listen_count, listen_unix;   /* listen_unix: a bit each, as in struct core */
    uint64_t drain_ns;
    uint64_t interrupted;            /* requests of an earlier run that never ended */
    pthread_mutex_t reload_lock;
    _Atomic int failed;              /* -errno of a ring, once */
    bool pinned;
};

static int fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "error: %s: %s\n", what, why);
    return 1;
}

static const char *environment(const char *name) { return getenv(name); }

/* The command line says where; what else the file says of the listener stays. */
static void set_address(struct conf_listen *l, const char *address)
{
    (void)snprintf(l->address, sizeof l->address, "%s", address);
    l->kind = (uint8_t)conf_listen_kind(l->address);
}

static bool load(struct server *s, struct conf **conf)
{
    bool ok = conf_load(s->options.config, environment, conf, &s->report);
    if (s->report.len) (void)fputs(s->report.text, stderr);
    if (!ok) return false;
    const struct boot_options *o = &s->options;
    if (o->data) (void)snprintf((*conf)->data, sizeof (*conf)->data, "%s", o->data);
    if (o->admin) set_address(&(*conf)->admin, o->admin);
    if (o->listen) {
        (*conf)->listen_count = 1;
        set_address(&(*conf)->listen[0], o->listen);
    }
    if (o->cores) (*conf)->cores = o->cores;
    return true;
}

/* --- reload --- */

/* Another certificate makes no other listener; another address does, and TLS or not. */
static bool is_other_listener(const struct conf_listen *now, const struct conf_listen *next)
{
    return strcmp(now->address, next->address) != 0 || !now->tls.cert != !next->tls.cert;
}

/* Settings that take a restart: the file is good, but they do not change now. */
static void restart_notes(const struct conf *now, const struct conf *next)
{
    bool listens = now->listen_count != next->listen_count ||
                   is_other_listener(&now->admin, &next->admin);
    for (uint32_t i = 0; !listens && i < now->listen_count; i++) {
        listens = is_other_listener(&now->listen[i], &next->listen[i]);
    }
    if (listens) (void)fprintf(stderr, "warning: listen: needs a restart\n");
    if (now->cores != next->cores) (void)fprintf(stderr, "warning: cores: needs a restart\n");
    if (strcmp(now->data, next->data) != 0) {
        (void)fprintf(stderr, "warning: data: needs a restart\n");
    }
    if (now->limit_memory != next->limit_memory) {
        (void)fprintf(stderr, "warning: limits.memory: needs a restart\n");
    }
}

/* Make a version of conf (takes it) and publish it. False: there was no room for it. */
static bool publish(struct server *s, struct conf *conf)
{
    struct engine *e = &s->engine;
    struct tables *now = atomic_load_explicit(&e->tables, memory_order_acquire);
    restart_notes(now->conf, conf);
    struct tables *next = tables_make(conf, &e->hosts, now);
    if (!next) {
        conf_free(conf);
        return false;
    }
    if (!tables_listen(next, now, e->core_count) || !tables_score(next, now, e->core_count)) {
        tables_free(next);
        return false;
    }
    boot_publish(e, next);
    return true;
}

static bool reload(void *arg, char *text, size_t room)
{
    struct server *s = arg;
    (void)pthread_mutex_lock(&s->reload_lock);
    struct conf *conf = NULL;
    bool ok = load(s, &conf);
    if (ok) vault_allow_dumps(conf->core_dumps);
    vault_forget();
    (void)snprintf(text, room, "%s", s->report.text);
    if (ok && !publish(s, conf)) {
        (void)snprintf(text, room, "out of memory, or too many provider addresses");
        ok = false;
    }
    (void)fprintf(stderr, ok ? "reloaded\n" : "error: reload refused, the old one stays\n");
    (void)pthread_mutex_unlock(&s->reload_lock);
    return ok;
}

/* What the main thread does from time to time for what was published. A reload that runs now
 * is not waited for. */
static void tend(struct server *s)
{
    if (pthread_mutex_trylock(&s->reload_lock) != 0) return;
    boot_collect(&s->engine);
    struct tables *t = atomic_load_explicit(&s->engine.tables, memory_order_acquire);
    for (uint32_t i = 0; i < t->cert_count; i++) cert_turn(t->cert[i], clock_now_ns());
    (void)pthread_mutex_unlock(&s->reload_lock);
}

/* --- threads --- */

static void on_ready(struct core *core, int rc, void *arg)
{
    struct server *s = arg;
    (void)core;
    if (rc < 0) atomic_store_explicit(&s->failed, rc, memory_order_release);
    atomic_fetch_add_explicit(&s->engine.ready, 1, memory_order_release);
}

struct core_arg { struct server *s; struct core *core; };

static void *core_main(void *arg)
{
    struct core_arg a = *(struct core_arg *)arg;
    free(arg);
    if (a.core->role == ROLE_GATEWAY && a.s->pinned) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(a.core->idx, &set);
        (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    }
    if (a.core->role == ROLE_ADMIN) heap_join();
    int rc = core_run(a.core, on_ready, a.s);
    if (rc < 0) atomic_store_explicit(&a.s->failed, rc, memory_order_release);
    return NULL;
}

static bool start_core(struct server *s, struct core *core, uint32_t slot)
{
    struct core_arg *arg = calloc(1, sizeof *arg);
    if (!arg) return false;
    *arg = (struct core_arg){s, core};
    return pthread_create(&s->thread[slot], NULL, core_main, arg) == 0;
}

static bool make_core(struct server *s, const struct conf *conf, uint32_t idx, bool admin)
{
    struct engine *e = &s->engine;
    struct core_limits limits;
    uint64_t lowered = 0;
    struct core *core = calloc(1, sizeof *core);
    boot_limits(conf, e->core_count, admin, &limits, &lowered);
    if (lowered && idx == 0) {
        (void)fprintf(stderr, "warning: limits.connections: lowered to %llu, "
                      "what the descriptor limit allows\n", (unsigned long long)lowered);
    }
    if (!core || !core_init(core, e, idx, admin ? ROLE_ADMIN : ROLE_GATEWAY, &limits)) {
        return false;
    }
    core->log = log_ring_make();
    if (admin) {
        e->admin = core;
        return core->log != NULL;
    }
    e->core[idx] = core;
    core->journal = e->journal[idx];
    for (uint32_t i = 0; i < s->listen_count; i++) {
        if (conf->listen[i].tls.cert) core->listen_tls |= 1u << core->listen_count;
        core->listen_fd[core->listen_count++] = s->listen_fd[i][idx];
    }
    core->listen_unix = s->listen_unix;
    return core->log != NULL;
}

/* --- journals --- */

struct opening {
    struct server *server;
    uint32_t idx, exchanges;
    pthread_t thread;
    bool threaded;
    enum store_rc rc;
    char why[JOURNAL_WHY_MAX];
};

static void *open_journal(void *arg)
{
    struct opening *o = arg;
    struct engine *e = &o->server->engine;
    o->rc = journal_open(e->db->dir, o->idx, o->exchanges, JOURNAL_RECORDS,
                         &e->journal[o->idx], o->why);
    return NULL;
}

/* Make the journals of all cores at once: each is some 30 MB to populate and two waits for the
 * disk, which the file system answers together. One after another, 16 cores were half a second
 * of the start. */
static bool open_journals(struct server *s, const struct conf *conf)
{
    struct engine *e = &s->engine;
    struct core_limits limits;
    uint64_t lowered;
    bool good = true;
    struct opening *all = calloc(e->core_count, sizeof *all);
    if (!all) {
        (void)fail("journal", "out of memory");
        return false;
    }
    boot_limits(conf, e->core_count, false, &limits, &lowered);
    for (uint32_t i = 0; i < e->core_count; i++) {
        struct opening *o = &all[i];
        *o = (struct opening){.server = s, .idx = i, .exchanges = limits.exchanges};
        o->threaded = pthread_create(&o->thread, NULL, open_journal, o) == 0;
        if (!o->threaded) (void)open_journal(o);
    }
    for (uint32_t i = 0; i < e->core_count; i++) {
        if (all[i].threaded) (void)pthread_join(all[i].thread, NULL);
        if (good && all[i].rc != STORE_OK) (void)fail("journal", all[i].why);
        good = good && all[i].rc == STORE_OK;
    }
    free(all);
    return good;
}

/* --- start --- */

static bool open_store(struct server *s, const struct conf *conf)
{
    struct engine *e = &s->engine;
    uint64_t recovered = 0, interrupted = 0;
    e->db = calloc(1, sizeof *e->db);
    e->sticky = calloc(1, sizeof *e->sticky);
    if (!e->db || !e->sticky) return false;
    if (db_open(e->db, conf->data, 0) != STORE_OK) {
        (void)fail("data", e->db->why);
        return false;
    }
    if (fold_recover(e->db, CLOSE_INTERRUPTED, &recovered, &interrupted) != STORE_OK) {
        (void)fail("recovery", e->db->why);
        return false;
    }
    if (e->db->why[0]) (void)fprintf(stderr, "warning: %s\n", e->db->why);
    s->interrupted = interrupted;
    char why[256];
    if (budget_open(e->db, e->core_count + PARTIES, clock_unix_ns(), &e->budget, why) !=
        STORE_OK) {
        (void)fail("budgets", why);
        return false;
    }
    if (recovered || interrupted) {
        (void)fprintf(stderr, "recovered from an earlier run: %llu records, "
                      "%llu requests interrupted\n",
                      (unsigned long long)recovered, (unsigned long long)interrupted);
    }
    return true;
}

static bool bind_all(struct server *s, const struct conf *conf)
{
    char why[256];
    struct engine *e = &s->engine;
    for (uint32_t i = 0; i < conf->listen_count; i++) {
        const char *address = conf->listen[i].address;
        if (boot_listen(address, e->core_count, s->listen_fd[i], s->bound[i],
                        sizeof s->bound[i], why) < 0) {
            (void)fprintf(stderr, "error: cannot listen on %s: %s\n", address, why);
            return false;
        }
        boot_socket_note(s->bound[i], &s->socket[i]);
        if (conf->listen[i].kind == LISTEN_UNIX) s->listen_unix |= 1u << i;
        s->listen_count++;
    }
    if (boot_listen(conf->admin.address, 1, &e->admin->listen_fd[0], s->admin_bound,
                    sizeof s->admin_bound, why) < 0) {
        (void)fprintf(stderr, "error: cannot listen on %s: %s\n", conf->admin.address, why);
        return false;
    }
    boot_socket_note(s->admin_bound, &s->admin_socket);
    e->admin->listen_unix = conf->admin.kind == LISTEN_UNIX;
    e->admin->listen_count = 1;
    e->admin->listen_tls = conf->admin.tls.cert != NULL;
    return true;
}

/* Gives status, what boot_serve ends with. */
static int remove_sockets(const struct server *s, int status)
{
    for (uint32_t i = 0; i < s->listen_count; i++) boot_socket_remove(&s->socket[i]);
    boot_socket_remove(&s->admin_socket);
    return status;
}

/* Give the resolver a second for its first round: early requests then find their providers. */
static void wait_names(const struct engine *e)
{
    struct timespec pause = {.tv_nsec = 1000000};
    uint32_t count = atomic_load_explicit(&e->hosts.count, memory_order_acquire), done = 0;
    for (int ms = 0; ms < 1000 && done < count; ms++) {
        for (done = 0; done < count; done++) {
            const struct host *h = e->hosts.at[done];
            if (!atomic_load_explicit(&h->tried_ns, memory_order_acquire) && !h->literal) break;
        }
        if (done < count) (void)nanosleep(&pause, NULL);
    }
}

static void wait_ready(struct server *s)
{
    struct timespec pause = {.tv_nsec = 200000};
    while (atomic_load_explicit(&s->engine.ready, memory_order_acquire) <=
           s->engine.core_count) {
        (void)nanosleep(&pause, NULL);
    }
}

/* secret: out, the first start's key, or "". It is made last of all that a full disk can stop:
 * a key that was made and not printed would be lost. */
static bool start_threads(struct server *s, const struct conf *conf, char *secret)
{
    struct engine *e = &s->engine;
    if (!open_journals(s, conf)) return false;
    for (uint32_t i = 0; i < e->core_count; i++) {
        if (!make_core(s, conf, i, false)) return false;
    }
    stat_add(&e->core[0]->stats.closes[CLOSE_INTERRUPTED], s->interrupted);
    e->metrics = metrics_make();
    e->front = front_make(e);
    if (!e->metrics || !e->front) return false;
    for (uint32_t i = 0; i <= e->core_count; i++) {
        struct core *core = i < e->core_count ? e->core[i] : e->admin;
        if (!start_core(s, core, i)) return false;
    }
    wait_ready(s);
    int rc = atomic_load_explicit(&s->failed, memory_order_acquire);
    if (rc < 0) {
        (void)fail("ring", strerror(-rc));
        return false;
    }
    if (!boot_first_start(e, secret)) {
        (void)fail("store", e->db->why);
        return false;
    }
    if (!keeper_start(e)) return false;
    wait_names(e);
    return true;
}

static const char *scheme(bool file, const struct cert *cert)
{
    return file ? "" : cert ? "https://" : "http://";
}

/* Without stdio, whose buffer would keep it. */
static void tell_secret(const char *secret)
{
    char line[160];
    int n = snprintf(line, sizeof line,
                     "first start: made an organization, a member and a key: %s\n", secret);
    assert(n > 0 && (size_t)n < sizeof line);
    (void)fflush(stdout);
    if (write(STDOUT_FILENO, line, (size_t)n) != n) {
        /* nobody reads: the key is lost with the line */
    }
    explicit_bzero(line, sizeof line);
}

static void announce(const struct server *s, const char *secret)
{
    const struct engine *e = &s->engine;
    const struct tables *t = atomic_load_explicit(&e->tables, memory_order_acquire);
    for (uint32_t i = 0; i < s->listen_count; i++) {
        (void)printf("listening on %s%s\n",
                     scheme(s->listen_unix & 1u << i, t->listen[i].cert), s->bound[i]);
    }
    (void)printf("admin on %s%s\n", scheme(e->admin->listen_unix, t->admin.cert),
                 s->admin_bound);
    if (t->conf->admin_token[0]) (void)printf("admin token as configured\n");
    else (void)printf("admin token in %s/admin.token\n", e->db->dir);
    if (secret[0]) tell_secret(secret);
    (void)printf("%u providers, %u models, %u cores: ready\n", t->catalog->provider_count,
                 t->catalog->model_count, e->core_count);
    (void)fflush(stdout);
}

/* --- the main loop and the end --- */

static void drain_logs(struct server *s)
{
    for (uint32_t i = 0; i < s->engine.core_count; i++) {
        (void)log_drain(s->engine.core[i]->log, STDOUT_FILENO);
    }
    (void)log_drain(s->engine.admin->log, STDOUT_FILENO);
}

static void main_loop(struct server *s, const sigset_t *set)
{
    char *text = calloc(1, sizeof s->report.text);
    struct timespec pause = {.tv_nsec = LOOP_NS};
    while (atomic_load_explicit(&s->failed, memory_order_acquire) == 0) {
        int sig = sigtimedwait(set, NULL, &pause);
        if (sig == SIGHUP && text) (void)reload(s, text, sizeof s->report.text);
        if (sig == SIGTERM || sig == SIGINT) break;
        drain_logs(s);
        tend(s);
    }
    free(text);
}

static bool cores_ended(struct server *s)
{
    struct timespec now = {0};
    for (uint32_t i = 0; i < s->engine.core_count; i++) {
        if (!s->thread[i]) continue;
        if (pthread_timedjoin_np(s->thread[i], NULL, &now) != 0) return false;
        s->thread[i] = 0;
    }
    return true;
}

static int end(struct server *s, const sigset_t *set)
{
    struct engine *e = &s->engine;
    uint64_t until = clock_now_ns() + s->drain_ns;
    struct timespec pause = {.tv_nsec = 10000000};
    atomic_store_explicit(&e->draining, true, memory_order_release);
    for (uint32_t i = 0; i < e->core_count; i++) core_wake(e->core[i]);
    while (!cores_ended(s)) {
        int sig = sigtimedwait(set, NULL, &pause);
        bool again = sig == SIGTERM || sig == SIGINT;
        if (again || clock_now_ns() > until) {
            atomic_store_explicit(&e->killed, true, memory_order_release);
            for (uint32_t i = 0; i < e->core_count; i++) core_wake(e->core[i]);
        }
        drain_logs(s);
    }
    bool clean = keeper_stop(e->keeper);
    atomic_store_explicit(&e->killed, true, memory_order_release);
    core_wake(e->admin);
    (void)pthread_join(s->thread[e->core_count], NULL);
    drain_logs(s);
    for (uint32_t i = 0; i < e->core_count; i++) journal_close(e->journal[i]);
    uint64_t recovered, interrupted;      /* what a kill left running is booked now */
    if (clean && fold_recover(e->db, CLOSE_INTERRUPTED, &recovered, &interrupted) != STORE_OK) {
        clean = false;
    }
    if (!clean) (void)fail("ledger", e->db->why);
    return clean && atomic_load(&s->failed) == 0 ? 0 : 1;
}

static const char *ring_trouble(int rc)
{
    switch (-rc) {
    case EPERM: case EACCES:
        return "io_uring is forbidden here (kernel.io_uring_disabled, or a container's policy)";
    case ENOSYS:
        return "the kernel has no io_uring that suffices: Linux 6.1 or newer is needed";
    case ENOMEM: return "out of memory, or RLIMIT_MEMLOCK is too low";
    default: return strerror(-rc);
    }
}

/* Before anything is made: can there be a ring at all? */
static bool ring_possible(void)
{
    struct ring_config config = {.entries = 8, .buf_count = 8, .buf_bytes = 1024};
    struct ring *ring = NULL;
    int rc = ring_open(&config, &ring);
    ring_close(ring);
    if (rc < 0) (void)fail("ring", ring_trouble(rc));
    return rc == 0;
}

/* Address space: what is never touched costs nothing. */
static size_t tls_pool_bytes(const struct conf *conf)
{
    uint64_t bytes = TLS_POOL_BYTES, most = (uint64_t)TLS_POOL_GIB_MAX << 30;
    bool serves = conf->admin.tls.pair != NULL;
    for (uint32_t i = 0; i < conf->listen_count; i++) {
        serves = serves || conf->listen[i].tls.pair;
    }
    if (serves) bytes += conf->limit_connections * TLS_CONN_BYTES;
    return (size_t)(bytes < most ? bytes : most);
}

/* Set the pool of the TLS library up, and move private keys into it: they were read before,
 * into memory that core dumps have. */
static bool open_tls_pool(struct conf *conf)
{
    if (!heap_boot(tls_pool_bytes(conf))) return false;
    for (uint32_t i = 0; i < conf->listen_count; i++) {
        if (!tls_pair_move(conf->listen[i].tls.pair)) return false;
    }
    return tls_pair_move(conf->admin.tls.pair);
}

static bool prepare(struct server *s, struct conf *conf)
{
    struct engine *e = &s->engine;
    char why[1400];
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    e->core_count = conf->cores ? conf->cores : cpus > 0 ? (uint32_t)cpus : 1;
    s->pinned = e->core_count <= (uint32_t)(cpus > 0 ? cpus : 1);
    s->drain_ns = conf->drain_ns;
    e->started_ns = clock_now_ns();
    e->started_unix_ns = clock_unix_ns();
    e->ledger_ok = true;
    e->reload = reload;
    e->reload_arg = s;
    struct tables *tables = open_tls_pool(conf) ? tables_make(conf, &e->hosts, NULL) : NULL;
    if (!tables || !tables_listen(tables, NULL, e->core_count)
        || !tables_score(tables, NULL, e->core_count)) {
        (void)fail("start", "out of memory");
        return false;
    }
    atomic_store_explicit(&e->tables, tables, memory_order_release);
    if (!make_core(s, conf, e->core_count, true) || !bind_all(s, conf)) return false;
    if (!open_store(s, conf)) return false;
    e->rota = rota_make();
    if (!e->rota || !rota_take(e, tables)) {
        (void)fail("states of providers and models", e->rota ? e->db->why : "out of memory");
        return false;
    }
    e->learn = learn_open(e->db, e->core_count);
    if (!e->learn) {
        (void)fail("what was learned", e->db->why);
        return false;
    }
    if (boot_token(e, conf, why, sizeof why)) return true;
    (void)fail("admin token", why);
    return false;
}

int boot_serve(const struct boot_options *options)
{
    struct server *s = calloc(1, sizeof *s);
    struct conf *conf = NULL;
    char secret[64];
    sigset_t set;
    if (!s) return fail("start", "out of memory");
    s->options = *options;
    vault_allow_dumps(false);        /* until the configuration says otherwise */
    vault_hide_environment();
    (void)pthread_mutex_init(&s->reload_lock, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);  /* RLIMIT_FSIZE: a full disk, which the ledger survives */
    tzset();  /* the C library reads the time zone on first use, and allocates */
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (!load(s, &conf) || !ring_possible()) return 1;
    vault_allow_dumps(conf->core_dumps);
    vault_forget();              /* where the configuration was read */
    if (!prepare(s, conf)) return remove_sockets(s, 1);
    if (!start_threads(s, conf, secret)) return remove_sockets(s, 1);
    announce(s, secret);
    explicit_bzero(secret, sizeof secret);
    main_loop(s, &set);
    int status = end(s, &set);
    budget_close(s->engine.budget);
    db_close(s->engine.db);
    return remove_sockets(s, status);
}
