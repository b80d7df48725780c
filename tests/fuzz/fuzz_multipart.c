/* fuzz_multipart.c - properties of the form reader: any cut gives the same parts and the same
 * end; every part lies in the body behind the one before, and a boundary stands on both sides
 * of its value, which does not hold one; a value that is given is what lies there. The first
 * two input bytes choose the cuts; the boundary is "bb". */
#include "fuzz.h"
#include "net/multipart.h"

/* libFuzzer's entry: borrows data; always 0. A broken property ends the program. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
    uint64_t hash;   /* of every part, in order */
    const char *error;
    enum net_rc end;
};

static void check_part(const struct multipart_part *p, struct bytes body, uint64_t before)
{
    must(before < p->start && p->start <= p->end && p->end <= body.len);
    struct bytes value = {body.ptr + p->start, (size_t)(p->end - p->start)};
    struct bytes rest = {body.ptr + p->end, body.len - (size_t)p->end};
    must(bytes_starts(rest, BYTES("\r\n--bb")));
    must(!memmem(value.ptr, value.len, "\n--bb", 5));
    must(p->name.len >= 1 && p->name.len <= MULTIPART_NAME_MAX);
    must((p->value.ptr != NULL) == (value.len <= MULTIPART_VALUE_MAX));
    must(!p->value.ptr || bytes_eq(p->value, value));
}

static struct result split(struct bytes body, size_t first, size_t step)
{
    struct multipart m;
    struct multipart_part part;
    struct result r = {0};
    struct bytes rest = body;
    uint64_t before = 0;
    must(multipart_begin(&m, BYTES("multipart/form-data; boundary=bb")));
    for (size_t n = first; rest.len > 0; n = step) {
        struct bytes in = bytes_cut(&rest, n < rest.len ? n : rest.len);
        enum net_rc rc;
        while ((rc = multipart_next(&m, &in, &part)) == NET_OK) {
            check_part(&part, body, before);
            before = part.end;
            r.hash = mix(mix(r.hash, part.name), part.value) + part.start * 31 + part.end;
            r.hash = r.hash * 4 + part.file * 2U + part.encoded;
        }
        must(rc == NET_BAD || in.len == 0);
        if (rc == NET_BAD) break;
    }
    r.end = multipart_end(&m);
    r.error = m.error;
    must((r.end == NET_BAD) == (r.error != NULL));
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    const struct bytes body = {(const char *)data + 2, size - 2};
    const struct result whole = split(body, body.len, 1);
    const struct result cut = split(body, data[0], data[1] + 1U);
    const struct result bytewise = split(body, 1, 1);
    must(whole.hash == cut.hash && whole.end == cut.end && whole.error == cut.error);
    must(whole.hash == bytewise.hash && whole.end == bytewise.end);
    must(whole.error == bytewise.error);
    struct multipart m;  /* and the same bytes as the type of a body */
    if (!multipart_begin(&m, body)) must(m.error != NULL);
    else must(m.mark_len > 3 && m.mark_len <= MULTIPART_MARK_MAX);
    return 0;
}
