/* fuzz_chunk.c - properties of chunked coding: any cut gives the same body, verdict and end;
 * a body written in chunks decodes to itself. The first two input bytes choose the cuts. */
#include "fuzz.h"
#include "net/chunk.h"

/* libFuzzer's entry: borrows data; always 0. A broken property ends the program. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
    enum net_rc rc;
    size_t len;   /* of body */
    size_t used;  /* bytes of the wire */
};

/* Decode in steps; body has room for all of wire. */
static struct result decode(struct bytes wire, size_t first, size_t step, char *body)
{
    struct chunk c = {0};
    struct result r = {.rc = NET_MORE};
    size_t n = first < wire.len ? first : wire.len;
    for (;;) {
        struct bytes in = {wire.ptr + r.used, n}, piece;
        while ((r.rc = chunk_next(&c, &in, &piece)) == NET_OK) {
            must(piece.len > 0 && r.len + piece.len <= wire.len);
            memcpy(body + r.len, piece.ptr, piece.len);
            r.len += piece.len;
        }
        r.used += n - in.len;
        if (r.rc != NET_MORE) return r;
        must(in.len == 0);
        if (r.used == wire.len) return r;
        n = step < wire.len - r.used ? step : wire.len - r.used;
    }
}

/* Write data in chunks of step bytes, then decode it. */
static void check_written(struct bytes data, size_t step)
{
    char *wire = malloc(data.len * (CHUNK_LINE_MAX + 3) + 8), *body = malloc(data.len + 8);
    must(wire && body);
    size_t len = 0;
    for (struct bytes rest = data; rest.len > 0;) {
        const struct bytes piece = bytes_cut(&rest, step < rest.len ? step : rest.len);
        len += chunk_line(piece.len, wire + len);
        memcpy(wire + len, piece.ptr, piece.len);
        memcpy(wire + len + piece.len, "\r\n", 2);
        len += piece.len + 2;
    }
    memcpy(wire + len, "0\r\n\r\n", 5);
    len += 5;
    free(body);
    body = malloc(len);
    must(body != NULL);
    const struct result r = decode((struct bytes){wire, len}, len / 2, len, body);
    must(r.rc == NET_DONE && r.used == len);
    must(bytes_eq((struct bytes){body, r.len}, data));
    free(wire);
    free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) return 0;
    const size_t first = data[0], step = data[1] + 1U;
    const struct bytes wire = {(const char *)data + 2, size - 2};
    char *one = malloc(wire.len), *two = malloc(wire.len);
    must(one && two);
    const struct result a = decode(wire, wire.len, 1, one);
    const struct result b = decode(wire, first, step, two);
    must(a.rc == b.rc && a.len == b.len);
    must(a.used == b.used);
    must(memcmp(one, two, a.len) == 0);
    const struct result c = decode(wire, 1, 1, two);
    must(a.rc == c.rc && a.len == c.len && memcmp(one, two, a.len) == 0);
    free(one);
    free(two);
    check_written(wire, step);
    return 0;
}
