/* cmd_import.c - `weir import litellm FILE [-o FILE] [--force]`; see cmd.h and cmd_import.h.
 * The new file goes to standard output, what it has not from the old one to standard error.
 * Nothing is written before all of it is known to pass `weir check`. */
#include "engine/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/cmd_import.h"
#include "engine/conf.h"
#include "engine/vault.h"

/* ---- texts ---- */

static bool grow(struct import_text *t, size_t need)
{
    if (t->full) return false;
    if (need <= t->room) return true;
    size_t room = t->room ? t->room : 4096;
    while (room < need) room *= 2;
    char *more = malloc(room);
    if (!more) {
        t->full = true;
        return false;
    }
    if (t->len) memcpy(more, t->ptr, t->len);
    if (t->ptr) explicit_bzero(t->ptr, t->room);   /* keys pass through */
    free(t->ptr);
    t->ptr = more;
    t->room = room;
    return true;
}

void import_put(struct import_text *t, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    assert(len >= 0);
    if (grow(t, t->len + (size_t)len + 1)) {
        (void)vsnprintf(t->ptr + t->len, (size_t)len + 1, format, again);
        t->len += (size_t)len;
    }
    va_end(again);
    va_end(args);
}

void import_put_quoted(struct import_text *t, struct bytes text)
{
    import_put(t, "\"");
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '"' || c == '\\') import_put(t, "\\%c", c);
        else if (c < 0x20 || c == 0x7F) import_put(t, "\\x%02X", c);
        else import_put(t, "%c", c);
    }
    import_put(t, "\"");
}

const char *import_format(struct import *im, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    assert(len >= 0);
    char *text = conf_heap_take(&im->r->scratch, (size_t)len + 1);
    if (text) (void)vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    va_end(args);
    return text ? text : "";
}

/* ---- notes ---- */

/* What a note is about: an entry's name, or a deployment's. */
static const char *subject(const struct conf_node *n, char out[CONF_QUOTE_MAX])
{
    const struct conf_node *name = import_child(n, "model_name");
    const struct conf_node *model = import_child(import_child(n, "litellm_params"), "model");
    if (n->key) return conf_quote_text(n->key->raw, out);
    if (!name || name->kind != CONF_SCALAR) name = model;
    if (!name || name->kind != CONF_SCALAR) return "an entry";
    return conf_quote_text(name->raw, out);
}

static void note(struct import *im, const struct conf_node *n, bool left, const char *format,
                 va_list args)
{
    char text[IMPORT_NOTE_MAX], shown[CONF_QUOTE_MAX];
    (void)vsnprintf(text, sizeof text, format, args);
    struct import_note *one = conf_heap_take(&im->r->scratch, sizeof *one);
    if (!one) return;
    one->at = n->key ? n->key->at : n->at;
    one->left = left;
    one->text = import_format(im, "%s: %s", subject(n, shown), text);
    struct import_note **at = &im->notes;      /* by line, those of one line as they came */
    for (; *at && (*at)->at.line <= one->at.line; at = &(*at)->next) {
        if (strcmp((*at)->text, one->text) == 0 && (*at)->at.line == one->at.line) return;
    }
    one->next = *at;
    *at = one;
}

void import_left(struct import *im, const struct conf_node *n, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    note(im, n, true, format, args);
    va_end(args);
}

void import_changed(struct import *im, const struct conf_node *n, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    note(im, n, false, format, args);
    va_end(args);
}

static void print_notes(const struct import *im)
{
    for (const struct import_note *n = im->notes; n; n = n->next) {
        (void)fprintf(stderr, "%s:%u: %s: %s\n", im->r->file, n->at.line,
                      n->left ? "not taken" : "changed", n->text);
    }
}

/* ---- the command ---- */

static const char *environment(const char *name) { return getenv(name); }

/* Variables as they are, or something of the right form, as its own name is for a key: whether
 * the file is sound does not depend on where it is made. */
static const char *stand_in(const char *name)
{
    static const char *const addresses[] = {"BASE", "URL", "ENDPOINT", "HOST"};
    const char *value = getenv(name);
    if (value && *value) return value;
    for (size_t i = 0; i < COUNT(addresses); i++) {
        if (strstr(name, addresses[i])) return "http://import.invalid";
    }
    return name;
}

/* Would `weir check` take it? Prints what it says where not. */
static bool passes(const struct import_text *out)
{
    struct conf *conf = NULL;
    struct conf_report *report = calloc(1, sizeof *report);
    if (!report) return false;
    bool fine = conf_parse(out->ptr, out->len, "the new file", stand_in, &conf, report);
    if (!fine) (void)fprintf(stderr, "error: the new file is not sound:\n%s", report->text);
    if (fine) conf_free(conf);
    free(report);
    return fine;
}

static int write_all(int fd, const struct import_text *out)
{
    for (size_t done = 0; done < out->len;) {
        ssize_t n = write(fd, out->ptr + done, out->len - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        done += (size_t)n;
    }
    return 0;
}

/* Keys may stand in it: only its owner reads the file. */
static int save(const struct import_text *out, const char *path, bool force)
{
    int fd = 1, rc;
    if (path) {
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (force ? O_TRUNC : O_EXCL), 0600);
        if (fd < 0 && errno == EEXIST) {
            (void)fprintf(stderr, "error: %s exists; --force writes over it\n", path);
            return 1;
        }
        if (fd < 0) {
            (void)fprintf(stderr, "error: cannot write %s: %s\n", path, strerror(errno));
            return 1;
        }
    }
    rc = write_all(fd, out);
    if (path && close(fd) < 0 && rc == 0) rc = -errno;
    if (rc < 0) {
        (void)fprintf(stderr, "error: cannot write %s: %s\n", path ? path : "the new file",
                      strerror(-rc));
    }
    return rc < 0;
}

/* Read, turn, check, save. Gives the exit status. */
static int import_all(struct import *im, const char *path, bool force)
{
    struct conf_reader *r = im->r;
    struct import_text out = {0};
    bool readable = conf_tree_read(r);
    if (readable && (!r->root || r->root->kind != CONF_MAP)) {
        conf_error(r, (struct conf_mark){1, 1}, "this is no configuration of LiteLLM: it takes "
                   "a map with model_list");
    }
    if (r->errors.count || !readable || r->scratch.full) {
        struct conf_report *report = calloc(1, sizeof *report);
        if (report) conf_diag_print(r, report);
        (void)fputs(report && report->len ? report->text : "error: out of memory\n", stderr);
        free(report);
        return 1;
    }
    import_models(im, r->root);
    import_groups(im);
    import_settings(im, r->root);
    import_write(im, &out);
    print_notes(im);
    int status = 1;
    if (r->scratch.full || out.full) {
        (void)fputs("error: out of memory\n", stderr);
    } else if (im->deployment_count == 0 && !im->everything) {
        (void)fprintf(stderr, "error: %s: no model of it can be taken\n", r->file);
    } else if (passes(&out)) {
        status = save(&out, path, force);
    }
    if (out.ptr) explicit_bzero(out.ptr, out.room);
    free(out.ptr);
    return status;
}

char *cmd_read(const char *path, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), rc = fd < 0 ? -errno : 0;
    char *buf = malloc(CONF_FILE_MAX + 1);
    *len = 0;
    if (!buf && rc == 0) rc = -ENOMEM;
    while (rc == 0 && *len < CONF_FILE_MAX + 1) {
        ssize_t n = read(fd, buf + *len, CONF_FILE_MAX + 1 - *len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) rc = -errno;
        if (n <= 0) break;
        *len += (size_t)n;
    }
    if (fd >= 0) close(fd);
    if (rc == 0 && *len > CONF_FILE_MAX) rc = -EFBIG;
    if (rc == 0) return buf;
    (void)fprintf(stderr, "error: %s: %s\n", path, strerror(-rc));
    free(buf);
    return NULL;
}

int cmd_import(const char *file, const char *out, bool force)
{
    size_t len;
    char *text = cmd_read(file, &len);
    if (!text) return 1;
    struct conf_reader *r = vault_take(sizeof *r);
    int status = 1;
    if (r) {
        *r = (struct conf_reader){.source = {text, len}, .file = file, .env = environment};
        if (bytes_starts(r->source, BYTES("\xEF\xBB\xBF"))) bytes_cut(&r->source, 3);
        struct import im = {.r = r};
        status = import_all(&im, out, force);
        conf_heap_fini(&r->scratch);
    }
    vault_give(r, sizeof *r);
    explicit_bzero(text, len);
    free(text);
    return status;
}
