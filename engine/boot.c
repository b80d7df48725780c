/* boot.c - limits, listeners, token, first start, publishing; see boot.h. */
#include "engine/boot.h"
#include "engine/clock.h"
#include "engine/conf.h"
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/look.h"
#include "engine/rand.h"
#include "engine/rota.h"
#include "engine/tables.h"
#include "net/url.h"
#include "store/keys.h"
#include "store/org.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,
    UNSENT_MAX = 131072,             /* bytes the kernel takes for a client beyond its window */
    FD_SPARE = 256,                  /* descriptors for everything that is no connection */
    EXCHANGES_MAX = 32768,           /* a core: bounds its journal's table */
    REGION_MAX_MB = 1024,            /* a core, when limits.memory is auto */
    GRACE_NS = 2000000000,           /* a replaced table is kept at least this long */
};

static int bind_now(const struct sockaddr *addr, socklen_t len, bool shared, char *why)
{
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0) {
        (void)snprintf(why, 256, "cannot make a socket: %s", strerror(errno));
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    /* what it accepts inherits it: a client that does not read holds little of the kernel */
    int unsent = UNSENT_MAX;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
    if (shared) (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (addr->sa_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    }
    if (bind(fd, addr, len) == 0 && listen(fd, BACKLOG) == 0) return fd;
    int taken = errno == EADDRINUSE;
    (void)snprintf(why, 256, "%s", taken ? "the port is taken by another program"
                                         : strerror(errno));
    (void)close(fd);
    return taken ? -EADDRINUSE : -1;
}

/* The kernel takes a ring apart some milliseconds after its process has ended; a restart must
 * not trip over the listener that hangs on it. */
static int bind_one(const struct sockaddr *addr, socklen_t len, bool shared, char *why)
{
    struct timespec pause = {.tv_nsec = 20000000};
    int fd = bind_now(addr, len, shared, why);
    for (int i = 0; i < 50 && fd == -EADDRINUSE; i++) {
        (void)nanosleep(&pause, NULL);
        fd = bind_now(addr, len, shared, why);
    }
    return fd;
}

static bool to_sockaddr(const struct url *u, struct sockaddr_storage *out, socklen_t *len)
{
    char host[64];
    if (u->host.len >= sizeof host) return false;
    memcpy(host, u->host.ptr, u->host.len);
    host[u->host.len] = 0;
    memset(out, 0, sizeof *out);
    if (u->ipv6) {
        struct sockaddr_in6 *a = (struct sockaddr_in6 *)(void *)out;
        *a = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(u->port)};
        *len = sizeof *a;
        return inet_pton(AF_INET6, host, &a->sin6_addr) == 1;
    }
    struct sockaddr_in *a = (struct sockaddr_in *)(void *)out;
    *a = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(u->port)};
    *len = sizeof *a;
    return inet_pton(AF_INET, host, &a->sin_addr) == 1;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    if (getsockname(fd, (struct sockaddr *)&ss, &len) != 0) return 0;
    if (ss.ss_family == AF_INET6) {
        return ntohs(((struct sockaddr_in6 *)(void *)&ss)->sin6_port);
    }
    return ntohs(((struct sockaddr_in *)(void *)&ss)->sin_port);
}

int boot_listen(const char *address, uint32_t count, int *fds, char *bound, size_t room,
                char *why)
{
    struct url u;
    struct sockaddr_storage ss;
    socklen_t len;
    const char *wrong = "not an address";
    bool fine = url_listen(bytes_of(address), &u, &wrong) == NET_OK;
    if (fine && u.path.len) {
        (void)snprintf(bound, room, "%s", address);
        return boot_listen_unix(address + strlen(address) - u.path.len, count, fds, why);
    }
    if (!fine || !to_sockaddr(&u, &ss, &len)) {
        (void)snprintf(why, 256, "%s", wrong);
        return -1;
    }
    int alone = bind_one((struct sockaddr *)&ss, len, false, why);
    if (alone < 0) return -1;
    u.port = port_of(alone);
    (void)close(alone);
    if (!to_sockaddr(&u, &ss, &len)) return -1;
    for (uint32_t i = 0; i < count; i++) {
        fds[i] = bind_one((struct sockaddr *)&ss, len, count > 1, why);
        if (fds[i] >= 0) continue;
        while (i > 0) (void)close(fds[--i]);
        return -1;
    }
    (void)snprintf(bound, room, u.ipv6 ? "[%.*s]:%u" : "%.*s:%u", (int)u.host.len, u.host.ptr,
                   u.port);
    return 0;
}

static uint64_t descriptor_limit(void)
{
    struct rlimit rl;
    if (getrlimit(RLIMIT_NOFILE, &rl) != 0) return 1024;
    rl.rlim_cur = rl.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &rl);
    (void)getrlimit(RLIMIT_NOFILE, &rl);
    return rl.rlim_cur;
}

void boot_limits(const struct conf *conf, uint32_t core_count, bool admin,
                 struct core_limits *out, uint64_t *lowered)
{
    uint64_t fds = descriptor_limit(), conns = conf->limit_connections;
    /* every connection has an upstream */
    uint64_t possible = fds > 2 * FD_SPARE ? (fds - FD_SPARE) / 2 : 64;
    *lowered = conns > possible ? possible : 0;
    if (conns > possible) conns = possible;
    uint64_t region = conf->limit_memory / core_count;
    struct sysinfo si;
    if (!conf->limit_memory && sysinfo(&si) == 0) {
        region = (uint64_t)si.totalram * si.mem_unit / 4 / core_count;
        uint64_t most = (uint64_t)REGION_MAX_MB << 20;
        if (region > most) region = most;
    }
    if (region < 16 << 20) region = 16 << 20;
    if (admin) {
        *out = (struct core_limits){.conns = 1024, .upstreams = 16, .exchanges = 16,
                                    .segs = 65536, .rx_count = 64, .rx_bytes = 8192,
                                    .region_bytes = 256u << 20, .wipe = true};
        return;
    }
    uint64_t exchanges = conns < EXCHANGES_MAX ? conns : EXCHANGES_MAX;
    *out = (struct core_limits){.conns = (uint32_t)conns,
                                .upstreams = (uint32_t)conns * 2 + 256,
                                .exchanges = (uint32_t)exchanges,
                                .segs = (uint32_t)(exchanges * 16 + region / MEM_PAGE),
                                .rx_count = 256, .rx_bytes = 16384, .region_bytes = region,
                                .wipe = conf->zero_retention};
}

/* --- admin token --- */

static bool read_token(const char *path, char *out, size_t room)
{
    FILE *f = fopen(path, "re");
    if (!f) return false;
    size_t n = fread(out, 1, room - 1, f);
    (void)fclose(f);
    while (n > 0 && (out[n - 1] == '\n' || out[n - 1] == '\r' || out[n - 1] == ' ')) n--;
    out[n] = 0;
    return n > 0;
}

static bool make_token(const char *path, char *out, size_t room)
{
    uint8_t bytes[24];
    rand_secret(bytes, sizeof bytes);
    size_t len = (size_t)snprintf(out, room, "weir-admin-");
    for (size_t i = 0; i < sizeof bytes; i++) {
        len += (size_t)snprintf(out + len, room - len, "%02x", bytes[i]);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    bool ok = write(fd, out, len) == (ssize_t)len && write(fd, "\n", 1) == 1 && fsync(fd) == 0;
    return close(fd) == 0 && ok;
}

bool boot_token(struct engine *engine, const struct conf *conf, char *why, size_t room)
{
    char path[1100];
    char token[sizeof conf->admin_token];
    size_t size = sizeof token;
    (void)snprintf(path, sizeof path, "%s/admin.token", engine->db->dir);
    if (conf->admin_token[0]) {
        (void)snprintf(token, size, "%s", conf->admin_token);
    } else if (!read_token(path, token, size) && !make_token(path, token, size)) {
        (void)snprintf(why, room, "cannot read or make %s: %s", path, strerror(errno));
        return false;
    }
    (void)SHA256((const uint8_t *)token, strlen(token), engine->admin_token_hash);
    explicit_bzero(token, size);
    return true;
}

/* --- first start --- */

static bool any_unit(const struct unit *u, void *arg)
{
    (void)u;
    *(bool *)arg = true;
    return false;
}

static enum store_rc make_demo(struct db *db, MDB_txn *txn, char *secret)
{
    store_id org, member, id;
    uint64_t now = clock_unix_ns();
    enum store_rc rc = org_make(db, txn, UNIT_ORGANIZATION, 0, "Default", "", now, &org);
    if (rc == STORE_OK) {
        rc = org_make(db, txn, UNIT_MEMBER, org, "Demo", "demo@example.com", now, &member);
    }
    if (rc != STORE_OK) return rc;
    struct key *key = calloc(1, sizeof *key);
    if (!key) return STORE_FAIL;
    look_secret(secret);
    key->member = member;
    key->created_unix_ns = now;
    (void)snprintf(key->name, sizeof key->name, "demo");
    (void)snprintf(key->hint, sizeof key->hint, "%s", secret + strlen(secret) - 4);
    keys_hash(secret, strlen(secret), key->hash);
    rc = keys_make(db, txn, key, &id);
    free(key);
    return rc;
}

bool boot_first_start(struct engine *engine, char *secret)
{
    struct db *db = engine->db;
    MDB_txn *txn;
    bool any = false;
    secret[0] = 0;
    if (db_begin(db, true, &txn) != STORE_OK) return false;
    enum store_rc rc = org_list(db, txn, 0, 0, any_unit, &any);
    if (rc == STORE_OK && any) {
        db_abort(txn);
        return true;
    }
    if (rc == STORE_OK || rc == STORE_NOT_FOUND) rc = make_demo(db, txn, secret);
    if (rc != STORE_OK) {
        db_abort(txn);
        return false;
    }
    return db_commit(db, txn) == STORE_OK;
}

/* --- publishing --- */

bool boot_adopted(const struct engine *e, const struct tables *t)
{
    for (uint32_t i = 0; i <= e->core_count; i++) {
        const struct core *c = i < e->core_count ? e->core[i] : e->admin;
        if (atomic_load_explicit(&c->adopted, memory_order_acquire) != t) return false;
    }
    return true;
}

void boot_offer(struct engine *engine, struct tables *t)
{
    rota_lock(engine->rota);
    struct tables *before = atomic_load_explicit(&engine->tables, memory_order_acquire);
    if (!rota_take(engine, t)) {
        (void)fprintf(stderr, "warning: states of providers and models: %s\n",
                      engine->db->why);
    }
    t->older = before;
    if (before) {
        atomic_store_explicit(&before->replaced_ns, clock_now_ns(), memory_order_release);
    }
    atomic_store_explicit(&engine->tables, t, memory_order_release);
    rota_unlock(engine->rota);
    for (uint32_t i = 0; i < engine->core_count; i++) core_wake(engine->core[i]);
    core_wake(engine->admin);
}

void boot_publish(struct engine *engine, struct tables *t)
{
    struct timespec pause = {.tv_nsec = 500000};
    boot_offer(engine, t);
    while (!boot_adopted(engine, t) &&
           !atomic_load_explicit(&engine->draining, memory_order_acquire)) {
        (void)nanosleep(&pause, NULL);
    }
}

void boot_collect(struct engine *engine)
{
    struct tables *newest = atomic_load_explicit(&engine->tables, memory_order_acquire);
    if (!boot_adopted(engine, newest)) return;
    uint64_t now = clock_now_ns();
    rota_lock(engine->rota);
    struct tables **at = &newest->older;
    while (*at) {
        struct tables *t = *at;
        uint64_t since = atomic_load_explicit(&t->replaced_ns, memory_order_acquire);
        if (now - since < GRACE_NS || tables_pins(t, engine->core_count + PARTIES + 1) > 0 ||
            tables_held(t) > 0) {
            at = &t->older;
            continue;
        }
        *at = t->older;
        tables_free(t);
    }
    rota_unlock(engine->rota);
}
