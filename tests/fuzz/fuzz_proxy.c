/* fuzz_proxy.c - properties of the PROXY protocol's reader: every prefix of the input is
 * undecided or has the verdict of the whole, what is behind a header changes nothing, a verdict
 * comes within the limits, and an address that was read is read again from a header written
 * for it in either version. */
#include "fuzz.h"
#include "net/proxy.h"

/* libFuzzer's entry: borrows data; always 0. A broken property ends the program. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Read from memory that is exactly as long, so that a byte too far is found. */
static enum net_rc read_part(const uint8_t *data, size_t size, struct proxy *p)
{
    char *copy = malloc(size ? size : 1);
    const char *why = NULL;
    must(copy != NULL);
    if (size) memcpy(copy, data, size);
    enum net_rc rc = proxy_read((struct bytes){copy, size}, p, &why);
    must(rc != NET_BAD || (why && *why));
    must(rc != NET_MORE || size < PROXY_MAX);
    must(rc != NET_OK || (p->bytes >= 15 && p->bytes <= size && p->bytes <= PROXY_MAX));
    free(copy);
    return rc;
}

static void check_same(const struct addr *want, const char *wire, size_t len)
{
    struct proxy p;
    must(read_part((const uint8_t *)wire, len, &p) == NET_OK && p.bytes == len);
    must(memcmp(&p.from, want, sizeof *want) == 0);
}

static void check_written(const struct addr *a)
{
    char wire[128], text[ADDR_TEXT_MAX];
    bool six = a->kind == ADDR_V6;
    size_t len = addr_text(a, text), at = 11, end = six ? 16 : 4;
    if (a->kind != ADDR_V4 && !six) return;
    memcpy(wire, six ? "PROXY TCP6 " : "PROXY TCP4 ", at);
    for (int i = 0; i < 2; i++) {
        memcpy(wire + at, text, len);
        wire[at + len] = ' ';
        at += len + 1;
    }
    memcpy(wire + at, "65535 65535\r\n", 13);
    must(at + 13 <= PROXY_LINE_MAX);
    check_same(a, wire, at + 13);
    memset(wire, 0, sizeof wire);
    memcpy(wire, "\r\n\r\n\0\r\nQUIT\n\x21", 13);
    wire[13] = six ? 0x21 : 0x11;
    wire[15] = (char)(2 * end + 4);
    memcpy(wire + 16, a->at, end);
    check_same(a, wire, 16 + 2 * end + 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy whole, part;
    const enum net_rc rc = read_part(data, size, &whole);
    const size_t most = size < 600 ? size : 600;
    bool decided = false;
    for (size_t n = 0; n <= most; n++) {
        const enum net_rc got = read_part(data, n, &part);
        must(got == rc || (got == NET_MORE && !decided));
        decided = got != NET_MORE;
        if (got != NET_OK) continue;
        must(part.bytes == whole.bytes && part.bytes == n);   /* at its last byte, no earlier */
        must(memcmp(&part.from, &whole.from, sizeof part.from) == 0);
        break;
    }
    if (rc == NET_OK) check_written(&whole.from);
    return 0;
}
