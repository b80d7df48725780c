/* conf_expand.c - ${NAME} and ${file:PATH} inside values. What they stand for is taken as it
 * is: never expanded again, never shown. The setting is pointed at when one fails. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/conf_parts.h"

enum { REFERENCE_MAX = 1024 };   /* bytes between the braces */

struct value {                   /* composes into r->value; sticky when full */
    char *out;
    size_t len;
    bool full;
};

static void put(struct value *v, struct bytes text)
{
    if (text.len > CONF_VALUE_MAX - v->len) v->full = true;
    if (v->full) return;
    if (text.len) memcpy(v->out + v->len, text.ptr, text.len);
    v->len += text.len;
    assert(v->len <= CONF_VALUE_MAX);
}

int conf_read_file(struct conf_reader *r, const char *path, size_t at, size_t *len)
{
    /* O_NONBLOCK: a named pipe nobody writes to must not hold the start up. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return -errno;
    struct stat st;
    int rc = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
    size_t begin = at;
    assert(at <= CONF_VALUE_MAX);
    while (rc == 0) {
        size_t room = CONF_VALUE_MAX - at;
        ssize_t n = read(fd, r->value + at, room + 1);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) rc = -errno;
        if (n <= 0) break;
        if ((size_t)n > room) rc = -EFBIG;
        else at += (size_t)n;
    }
    close(fd);
    *len = at - begin;
    return rc;
}

const char *conf_file_why(int rc)
{
    assert(rc < 0);
    return rc == -EINVAL ? "not a regular file"
           : rc == -EFBIG ? "larger than 64 KiB" : strerror(-rc);
}

/* Append a file without its last newline. 0 or -errno. */
static int put_file(struct conf_reader *r, struct value *v, const char *path)
{
    size_t begin = v->len, len = 0;
    int rc = conf_read_file(r, path, begin, &len);
    if (rc < 0) return rc;
    v->len += len;
    if (v->len > begin && v->out[v->len - 1] == '\n') v->len--;
    if (v->len > begin && v->out[v->len - 1] == '\r') v->len--;
    return 0;
}

bool conf_is_variable(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = byte_lower(name.ptr[i]);
        bool digit = c >= '0' && c <= '9';
        if (!(c >= 'a' && c <= 'z') && c != '_' && !(digit && i > 0)) return false;
    }
    return name.len > 0;
}

/* Append what stands between the braces. False when reported. */
static bool put_reference(struct conf_reader *r, struct conf_node *n, struct value *v,
                          struct bytes inner)
{
    char name[REFERENCE_MAX + 1], shown[CONF_QUOTE_MAX];
    bool file = bytes_starts(inner, BYTES("file:"));
    if (file) bytes_cut(&inner, 5);
    bool fine = file ? inner.len > 0 : conf_is_variable(inner);
    if (!fine || inner.len > REFERENCE_MAX || bytes_find(inner, '\0') < inner.len) {
        conf_error(r, n->at, "%s between ${ and } is neither the name of a variable nor "
                   "file: and a path", conf_quote_text(inner, shown));
        return false;
    }
    memcpy(name, inner.ptr, inner.len);
    name[inner.len] = '\0';
    if (file) {
        int rc = put_file(r, v, name);
        if (rc == 0) return true;
        conf_error(r, n->at, "cannot read the file %s: %s", conf_quote_text(inner, shown),
                   conf_file_why(rc));
        return false;
    }
    const char *value = r->env ? r->env(name) : NULL;
    if (!value) {
        conf_error(r, n->at, "${%.80s} is not set in the environment", name);
        return false;
    }
    put(v, bytes_of(value));
    return true;
}

static bool expand(struct conf_reader *r, struct conf_node *n, struct value *v)
{
    struct bytes left = n->raw;
    while (left.len) {
        size_t dollar = bytes_find(left, '$');
        put(v, bytes_cut(&left, dollar));
        if (!bytes_starts(left, BYTES("${"))) {
            if (left.len) put(v, bytes_cut(&left, 1));
            continue;
        }
        bytes_cut(&left, 2);
        size_t end = bytes_find(left, '}');
        if (end == left.len) {
            conf_error(r, n->at, "a ${ without its }");
            return false;
        }
        if (!put_reference(r, n, v, bytes_cut(&left, end))) return false;
        bytes_cut(&left, 1);
        n->expanded = true;
    }
    if (v->full) conf_error(r, n->at, "the value is larger than 64 KiB");
    return !v->full;
}

static bool has_reference(struct bytes text)
{
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (text.ptr[i] == '$' && text.ptr[i + 1] == '{') return true;
    }
    return false;
}

void conf_expand(struct conf_reader *r, struct conf_node *n)
{
    for (struct conf_node *c = n->first; c; c = c->next) conf_expand(r, c);
    if (n->kind != CONF_SCALAR || !has_reference(n->raw)) return;
    struct value v = {.out = r->value};
    if (expand(r, n, &v)) {
        struct bytes text = {r->value, v.len};
        n->text = (struct bytes){conf_heap_text(&r->scratch, text), text.len};
        if (r->scratch.full) n->text = (struct bytes){"", 0};
    } else {
        n->bad = true;
    }
}
