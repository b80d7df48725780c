/* cmd.c - see cmd.h. */
#include "engine/cmd.h"
#include "engine/conf.h"
#include "engine/ring.h"
#include "net/json.h"
#include "net/tls.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <yaml.h>

#if __has_include(<liburing/io_uring_version.h>)
#include <liburing/io_uring_version.h>
#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define LIBURING TEXT(IO_URING_VERSION_MAJOR) "." TEXT(IO_URING_VERSION_MINOR)
#else
#define LIBURING "2.3 or older"
#endif

static const char *environment(const char *name) { return getenv(name); }

struct conf *cmd_load(const char *config)
{
    struct conf *conf = NULL;
    struct conf_report *report = calloc(1, sizeof *report);
    if (!report) return NULL;
    bool ok = conf_load(config, environment, &conf, report);
    if (report->len) (void)fputs(report->text, stderr);
    free(report);
    return ok ? conf : NULL;
}

int cmd_check(const char *config)
{
    struct conf *conf = cmd_load(config);
    if (!conf) return 1;
    conf_free(conf);
    (void)puts("ok");
    return 0;
}

static void feature(const char *name, bool found, const char *note)
{
    (void)printf("  %-18s %-8s %s\n", name, found ? "found" : "missing", note);
}

static int print_ring(void)
{
    struct ring_config config = {.entries = 64, .buf_count = 16, .buf_bytes = 4096};
    struct ring *ring = NULL;
    struct ring_features has;
    int rc = ring_open(&config, &ring);
    if (rc < 0) {
        (void)printf("io_uring: %s\n", strerror(-rc));
        return 1;
    }
    ring_look(ring, &has);
    (void)printf("io_uring features:\n");
    feature("single_issuer", has.single_issuer, "used");
    feature("defer_taskrun", has.defer_taskrun, "used; else coop_taskrun");
    feature("registered_fd", has.registered_fd, "used");
    feature("multishot_accept", has.multishot_accept, "used");
    feature("multishot_recv", has.multishot_recv, "used, required");
    feature("provided_buffers", has.provided_buffers, "used, required");
    feature("msg_ring", has.message, "used to hand over accepted sockets");
    feature("send_zc", has.send_zero_copy, "not used: it costs more on loopback");
    feature("bundles", has.bundles, "not used: neutral when measured");
    ring_close(ring);
    return 0;
}

int cmd_version(void)
{
    struct utsname u;
    int major = 0, minor = 0, patch = 0;
    (void)mdb_version(&major, &minor, &patch);
    (void)printf("weir %s\n", WEIR_VERSION);
    (void)printf("liburing %s\n", LIBURING);
    (void)printf("%s\n", tls_library());
    (void)printf("lmdb %d.%d.%d\n", major, minor, patch);
    (void)printf("libyaml %s\n", yaml_get_version_string());
    (void)printf("json scanner %s\n", json_simd());
    if (uname(&u) == 0) (void)printf("kernel %s %s\n", u.sysname, u.release);
    return print_ring();
}

static void put_line(void *arg, const char *line) { (void)fprintf(arg, "%s\n", line); }

int cmd_settings(void)
{
    conf_manual(put_line, stdout);
    return 0;
}
