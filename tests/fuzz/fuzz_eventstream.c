/* fuzz_eventstream.c - properties of Amazon's event streams: any cut gives the same messages
 * and the same verdict, and a message is never taken before it is all there. The first byte
 * chooses the pieces, and whether CRCs are put right first, so that what is behind them is
 * reached. */
#include "fuzz.h"
#include "net/eventstream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t number(const char *p)
{
    size_t value = 0;
    for (size_t i = 0; i < 4; i++) value = value << 8 | (uint8_t)p[i];
    return value;
}

static void put_crc(char *at, const char *from)
{
    uint32_t crc = eventstream_crc(0, (struct bytes){from, (size_t)(at - from)});
    for (size_t i = 0; i < 4; i++) at[i] = (char)(crc >> (24 - 8 * i));
}

/* Put the CRCs of messages right, as far as their lengths can be. */
static void mend(char *at, size_t left)
{
    while (left >= EVENTSTREAM_MIN) {
        size_t total = number(at);
        put_crc(at + 8, at);
        if (total < EVENTSTREAM_MIN || total > left) return;
        put_crc(at + total - 4, at);
        at += total;
        left -= total;
    }
}

struct result { enum net_rc rc; size_t used, messages; uint32_t said; };

/* Hand out pieces as an engine does: what is unfinished is kept, and more put behind it. */
static struct result run(struct bytes in, size_t step)
{
    struct result r = {.rc = NET_MORE};
    size_t have = 0, need = 0;
    while (r.rc != NET_BAD) {
        size_t more = in.len - r.used - have;
        if (step < more) more = step;
        have += more;
        char *copy = malloc(have + 1);
        must(copy != NULL);
        memcpy(copy, in.ptr + r.used, have);
        struct bytes rest = {copy, have};
        struct eventstream_message m;
        while ((r.rc = eventstream_next(&rest, &m, &need)) == NET_OK) {
            must(m.kind <= EVENTSTREAM_ERROR);
            r.messages++;
            r.said = eventstream_crc(r.said, m.name);
            r.said = eventstream_crc(r.said, m.text);
            r.said = eventstream_crc(r.said, m.payload);
        }
        must(rest.len <= have && (r.rc == NET_BAD || need > rest.len));
        r.used += have - rest.len;
        have = rest.len;
        free(copy);
        if (r.rc == NET_MORE && r.used + have == in.len) break;
    }
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    size_t step = (size_t)(data[0] >> 1) + 1;
    struct bytes in = {(const char *)data + 1, size - 1};
    char *copy = malloc(in.len);
    must(copy != NULL);
    memcpy(copy, in.ptr, in.len);
    if (data[0] & 1) mend(copy, in.len);
    in.ptr = copy;
    struct result whole = run(in, in.len), cut = run(in, step), one = run(in, 1);
    must(whole.rc == cut.rc && whole.used == cut.used && whole.messages == cut.messages);
    must(whole.said == cut.said && whole.rc == one.rc && whole.said == one.said);
    must(whole.used == one.used);
    free(copy);
    return 0;
}
