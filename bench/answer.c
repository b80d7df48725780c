/* answer.c - answer.h by hand. */
#include "bench/answer.h"

#include <stdlib.h>
#include <strings.h>

/* Value of the field line at, where its name is name (with the colon); else nothing. */
static struct bytes value_of(struct bytes line, struct bytes name)
{
    if (line.len < name.len || strncasecmp(line.ptr, name.ptr, name.len) != 0) {
        return (struct bytes){NULL, 0};
    }
    bytes_cut(&line, name.len);
    while (line.len > 0 && *line.ptr == ' ') bytes_cut(&line, 1);
    return line;
}

/* Read a complete head. False where it is none, or its framing is not for us. */
static bool read_head(struct answer *a, struct bytes head)
{
    if (head.len < 13 || memcmp(head.ptr, "HTTP/1.", 7) != 0) return false;
    a->status = (int)strtol(head.ptr + 9, NULL, 10);
    a->is_chunked = false;
    a->left = UINT64_MAX;
    const char *at = head.ptr, *end = head.ptr + head.len;
    while ((at = memchr(at, '\n', (size_t)(end - at))) && ++at < end) {
        const char *stop = memchr(at, '\r', (size_t)(end - at));
        if (!stop) return false;
        struct bytes line = bytes_between(at, stop);
        if ((*at | 0x20) == 'c') {
            struct bytes v = value_of(line, BYTES("content-length:"));
            if (v.len > 0) a->left = strtoull(v.ptr, NULL, 10);
        } else if ((*at | 0x20) == 't') {
            struct bytes v = value_of(line, BYTES("transfer-encoding:"));
            if (bytes_ieq(v, BYTES("chunked"))) a->is_chunked = true;
        }
    }
    return a->is_chunked != (a->left != UINT64_MAX);
}

/* Take a head off in, or keep the piece of it that is there. */
static enum net_rc take_head(struct answer *a, struct bytes *in)
{
    size_t before = a->kept, n = in->len;
    struct bytes all = *in;
    if (before > 0) {
        if (n > ANSWER_HEAD_MAX - before) n = ANSWER_HEAD_MAX - before;
        memcpy(a->head + before, in->ptr, n);
        all = (struct bytes){a->head, before + n};
    }
    const char *end = memmem(all.ptr, all.len, "\r\n\r\n", 4);
    if (end) {
        size_t len = (size_t)(end + 4 - all.ptr);
        assert(len > before);
        bytes_cut(in, len - before);
        a->kept = 0;
        return read_head(a, (struct bytes){all.ptr, len}) ? NET_OK : NET_BAD;
    }
    if (all.len >= ANSWER_HEAD_MAX) return NET_BAD;
    if (before == 0) {
        if (!a->head && !(a->head = malloc(ANSWER_HEAD_MAX))) return NET_BAD;
        memcpy(a->head, in->ptr, n);
    }
    a->kept = before + n;
    bytes_cut(in, n);
    return NET_MORE;
}

enum net_rc answer_next(struct answer *a, struct bytes *in, struct bytes *body)
{
    if (!a->in_body) {
        if (in->len == 0) return NET_MORE;
        enum net_rc rc = take_head(a, in);
        if (rc != NET_OK) return rc;
        a->in_body = true;
        a->body_bytes = 0;
        a->chunk = (struct chunk){0};
    }
    enum net_rc rc = NET_OK;
    if (a->is_chunked) {
        rc = chunk_next(&a->chunk, in, body);
    } else if (a->left == 0) {
        rc = NET_DONE;
    } else if (in->len == 0) {
        rc = NET_MORE;
    } else {
        *body = bytes_cut(in, in->len < a->left ? in->len : (size_t)a->left);
        a->left -= body->len;
    }
    if (rc == NET_OK) a->body_bytes += body->len;
    if (rc == NET_DONE) a->in_body = false;
    return rc;
}

void answer_reset(struct answer *a)
{
    a->kept = 0;
    a->in_body = false;
}

void answer_fini(struct answer *a)
{
    free(a->head);
    *a = (struct answer){0};
}
