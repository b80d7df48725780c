/* fuzz_forwarded.c - X-Forwarded-For against a slow second reading, which walks the list from
 * the left and lets each element that is not a trusted proxy's overrule what stood before it.
 * And an address that was read is read again, as the same one, from the text written of it.
 * Each line of the input is one line of the field. */
#include <stdio.h>
#include "fuzz.h"
#include "net/forwarded.h"

enum { SIZE_MAX_IN = 2000, NETS = 2 };

/* libFuzzer's entry: borrows data; always 0. A broken property ends the program. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An element is a list of one. */
static bool read_one(struct bytes e, struct addr *out)
{
    char line[SIZE_MAX_IN + 32];
    int n = snprintf(line, sizeof line, "X-Forwarded-For: %.*s\r\n", (int)e.len, e.ptr);
    must(n > 0 && (size_t)n < sizeof line);
    return e.len && forwarded_client((struct bytes){line, (size_t)n}, NULL, 0, out) == NET_OK;
}

static enum net_rc slow(struct bytes list, const struct addr_net *nets, struct addr *client)
{
    enum net_rc rc = NET_DONE;
    for (bool more = list.len > 0; more;) {
        struct bytes e = bytes_cut(&list, bytes_find(list, ','));
        struct addr one = {0};
        more = list.len > 0;
        if (more) bytes_cut(&list, 1);
        bool fine = read_one(bytes_trim(e), &one);
        if (fine && rc != NET_DONE && addr_net_has(nets, NETS, &one)) continue;
        rc = fine ? NET_OK : NET_BAD;
        *client = one;
    }
    return rc;
}

static void check_text(const struct addr *a)
{
    char text[ADDR_TEXT_MAX];
    struct addr again;
    must(addr_parse((struct bytes){text, addr_text(a, text)}, &again));
    must(memcmp(a, &again, sizeof again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const texts[NETS] = {"10.0.0.0/8", "2001:db8::/32"};
    struct addr_net nets[NETS];
    const char *why;
    if (size > SIZE_MAX_IN) return 0;
    for (int i = 0; i < NETS; i++) must(addr_net_parse(bytes_of(texts[i]), &nets[i], &why));
    char *fields = malloc(size * 24 + 64), *list = malloc(size + 1);
    must(fields && list);
    size_t len = 0, joined = 0, lines = 0;
    struct bytes left = {(const char *)data, size};
    while (left.len) {
        struct bytes line = bytes_cut(&left, bytes_find(left, '\n'));
        if (left.len) bytes_cut(&left, 1);
        for (size_t i = 0; i < line.len; i++) {   /* what a head may hold */
            if ((uint8_t)line.ptr[i] < ' ' || line.ptr[i] == 0x7f) goto done;
        }
        len += (size_t)snprintf(fields + len, size * 24 + 64 - len, "x-forwarded-for: %.*s\r\n",
                                (int)line.len, line.ptr);
        lines++;
        line = bytes_trim(line);
        if (line.len == 0) continue;
        if (joined) list[joined++] = ',';
        memcpy(list + joined, line.ptr, line.len);
        joined += line.len;
    }
    struct addr a = {0}, b = {0};
    enum net_rc rc = forwarded_client((struct bytes){fields, len}, nets, NETS, &a);
    if (lines > FORWARDED_LINES_MAX) {
        must(rc == NET_BAD);
        goto done;
    }
    must(rc == slow((struct bytes){list, joined}, nets, &b));
    if (rc == NET_OK) must(memcmp(&a, &b, sizeof a) == 0);
    if (rc == NET_OK) check_text(&a);
done:
    free(fields);
    free(list);
    return 0;
}
