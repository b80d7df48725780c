/* cmd.c - see cmd.h. */
#include "engine/cmd.h"
#include "engine/conf.h"
#include "engine/ring.h"
#include "engine/show.h"
#include "net/json.h"
#include "net/jsonw.h"
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

static void print_json(const struct conf *conf, const struct catalog_model *m, uint64_t now,
                       bool first)
{
    char line[2048];
    struct jsonw w;
    jsonw_init(&w, line, sizeof line);
    jsonw_object(&w);
    jsonw_key(&w, "id"), jsonw_text(&w, m->id);
    jsonw_key(&w, "provider"), jsonw_text(&w, conf->catalog.provider[m->provider].name);
    jsonw_key(&w, "upstream"), jsonw_text(&w, m->upstream);
    jsonw_key(&w, "price"), show_price(&w, price_at(&m->price, now));
    jsonw_key(&w, "context"), show_known(&w, m->context);
    jsonw_key(&w, "max_output"), show_known(&w, m->max_output);
    jsonw_key(&w, "configured"), jsonw_bool(&w, m->configured);
    jsonw_object_end(&w);
    (void)printf("%s%.*s", first ? "" : ",\n", (int)w.len, line);
}

static void print_row(const struct catalog_model *m, uint64_t now)
{
    const struct price *p = price_at(&m->price, now);
    char in[32] = "?", out[32] = "?";
    struct jsonw w;
    if (p && p->known) {
        jsonw_init(&w, in, sizeof in - 1);
        jsonw_fixed(&w, p->kind[PRICE_INPUT], 6);
        in[w.len] = 0;
        jsonw_init(&w, out, sizeof out - 1);
        jsonw_fixed(&w, p->kind[PRICE_OUTPUT], 6);
        out[w.len] = 0;
    }
    (void)printf("%-64s %10s %10s %10u %8u\n", m->id, in, out, m->context, m->max_output);
}

int cmd_models(const char *config, int json)
{
    struct conf *conf = cmd_load(config);
    if (!conf) return 1;
    uint64_t now = (uint64_t)time(NULL);
    if (!json) {
        (void)printf("%-64s %10s %10s %10s %8s\n", "model", "input $/M", "output $/M",
                     "context", "max_out");
    }
    if (json) (void)printf("[");
    for (uint32_t i = 0; i < conf->catalog.model_count; i++) {
        if (json) print_json(conf, &conf->catalog.model[i], now, i == 0);
        else print_row(&conf->catalog.model[i], now);
    }
    if (json) (void)printf("]\n");
    if (conf->catalog.provider_count == 0) {
        (void)fprintf(stderr, "no provider is configured: set a key such as OPENAI_API_KEY, or "
                              "list providers in the configuration\n");
    }
    conf_free(conf);
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
