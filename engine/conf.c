/* conf.c - reading a configuration from end to end: file or memory in; a configuration, or
 * every reason why there is none, out. Nothing is half accepted, and nothing of an earlier
 * configuration is touched, so a reload that fails leaves all as it was. */
#include "engine/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/conf_parts.h"
#include "engine/vault.h"
#include "net/tls.h"

static const struct conf_mark nowhere = {0, 0};

/* WEIR_ADMIN_TOKEN is stronger than the file. */
static void read_token(struct conf_reader *r)
{
    const char *token = r->env ? r->env("WEIR_ADMIN_TOKEN") : NULL;
    if (!token || !*token) return;
    struct bytes text = bytes_of(token);
    if (text.len >= sizeof r->conf->admin_token || !conf_is_visible(text)) {
        conf_error(r, nowhere, "WEIR_ADMIN_TOKEN in the environment must be one word of 1 to "
                   "255 visible ASCII characters");
        return;
    }
    memcpy(r->conf->admin_token, token, text.len + 1);
}

static void presets(struct conf_reader *r)
{
    struct conf *c = r->conf;
    conf_defaults(r, "", c);
    size_t count;
    const struct conf_setting *s = conf_settings(&count);
    while (s->type != CONF_LISTENS) s++;
    struct bytes text = bytes_of(s->preset);
    assert(text.len < sizeof c->listen[0].address);
    memcpy(c->listen[0].address, text.ptr, text.len + 1);
    c->listen_count = 1;
    assert(r->errors.count == 0);
}

static void read_root(struct conf_reader *r)
{
    if (!r->root || conf_is_null(r->root)) return;
    if (r->root->kind != CONF_MAP) {
        char shown[CONF_QUOTE_MAX];
        r->root->secret = true;      /* who knows what file this is */
        conf_hide_node(r, r->root);
        conf_error(r, r->root->at, "the file is %s; it takes a map of settings",
                   conf_quote(r->root, shown));
        return;
    }
    conf_expand(r, r->root);
    conf_walk(r, r->root, "", r->conf);
    conf_read_admin_tls(r);
}

static void read_all(struct conf_reader *r)
{
    struct catalog *c = &r->conf->catalog;
    presets(r);
    bool readable = conf_tree_read(r);
    if (readable) read_root(r);
    read_token(r);
    if (!readable) return;
    conf_read_providers(r);
    if (r->heap->full) return;
    conf_read_models(r);
    if (r->heap->full || r->scratch.full) return;
    if (!catalog_index(c)) {
        r->heap->full = true;
        return;
    }
    conf_read_aliases(r);
    conf_check_routing(r);
}

static struct bytes without_mark(struct bytes text)
{
    struct bytes mark = BYTES("\xEF\xBB\xBF");
    if (bytes_starts(text, mark)) bytes_cut(&text, mark.len);
    return text;
}

static void fail(const char *file, struct conf_report *report, const char *why)
{
    int len = snprintf(report->text, sizeof report->text, "%.200s: error: %s\n", file, why);
    assert(len > 0 && (size_t)len < sizeof report->text);
    report->len = (size_t)len;
    report->error_count = 1;
    report->warning_count = 0;
}

bool conf_parse(const char *text, size_t len, const char *file,
                const char *(*env)(const char *name), struct conf **out,
                struct conf_report *report)
{
    assert(text || len == 0);
    struct conf_reader *r = vault_take(sizeof *r);
    struct conf *c = vault_take(sizeof *c);
    struct conf_heap *heap = calloc(1, sizeof *heap);
    if (!r || !c || !heap) {
        vault_give(r, sizeof *r);
        vault_give(c, sizeof *c);
        free(heap);
        fail(file, report, "out of memory");
        return false;
    }
    c->arena = heap;
    *r = (struct conf_reader){.source = without_mark((struct bytes){text, len}), .file = file,
                              .env = env, .conf = c, .heap = heap};
    if (len > CONF_FILE_MAX) conf_error(r, nowhere, "the file is larger than 4 MiB");
    else read_all(r);
    if (heap->full || r->scratch.full) conf_error(r, nowhere, "out of memory");
    conf_diag_print(r, report);
    bool fine = r->errors.count == 0;
    conf_heap_fini(&r->scratch);
    vault_give(r, sizeof *r);
    if (fine) *out = c;
    else conf_free(c);
    return fine;
}

/* Read all of a file, at most CONF_FILE_MAX + 1 bytes. Gives *text (malloc) and *len; or
 * -errno. */
static int read_file(const char *path, char **text, size_t *len)
{
    size_t have = 0;
    int rc = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return -errno;
    char *buf = malloc(CONF_FILE_MAX + 1);
    if (!buf) rc = -ENOMEM;
    while (rc == 0 && have < CONF_FILE_MAX + 1) {
        ssize_t n = read(fd, buf + have, CONF_FILE_MAX + 1 - have);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) rc = -errno;
        if (n <= 0) break;
        have += (size_t)n;
    }
    close(fd);
    if (rc < 0) {
        free(buf);
        return rc;
    }
    *text = buf;
    *len = have;
    return 0;
}

bool conf_load(const char *path, const char *(*env)(const char *name), struct conf **out,
               struct conf_report *report)
{
    char *text = NULL;
    size_t len = 0;
    if (!path) return conf_parse("", 0, "environment", env, out, report);
    int rc = read_file(path, &text, &len);
    if (rc < 0) {
        char why[128];
        snprintf(why, sizeof why, "cannot be read: %s", strerror(-rc));
        fail(path, report, why);
        return false;
    }
    bool fine = conf_parse(text, len, path, env, out, report);
    explicit_bzero(text, len);
    free(text);
    return fine;
}

void conf_free(struct conf *conf)
{
    if (!conf) return;
    struct conf_heap *heap = conf->arena;
    assert(heap);
    for (size_t i = 0; i < CONF_LISTEN_MAX; i++) tls_pair_close(conf->listen[i].tls.pair);
    tls_pair_close(conf->admin.tls.pair);
    free(conf->catalog.by_bare);
    conf_heap_fini(heap);
    free(heap);
    vault_give(conf, sizeof *conf);
}
