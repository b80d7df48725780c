/* addr.c - see addr.h. Text is read by inet_pton(3), which takes no leading zeros and no zones;
 * it is written here, because every access line holds one. */
#include "net/addr.h"

#include <arpa/inet.h>

enum { V4_BYTES = 4, V6_BYTES = 16, V6_GROUPS = 8, MAPPED_BITS = 96 };

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct addr addr_of(enum addr_kind kind, const uint8_t *bytes)
{
    struct addr a = {0};
    assert(kind == ADDR_V4 || kind == ADDR_V6);
    if (kind == ADDR_V6 && memcmp(bytes, mapped, sizeof mapped) == 0) {
        kind = ADDR_V4;
        bytes += sizeof mapped;
    }
    memcpy(a.at, bytes, kind == ADDR_V4 ? V4_BYTES : V6_BYTES);
    a.kind = (uint8_t)kind;
    return a;
}

bool addr_parse(struct bytes text, struct addr *out)
{
    char copy[INET6_ADDRSTRLEN];
    uint8_t bytes[V6_BYTES];
    if (text.len == 0 || text.len >= sizeof copy) return false;
    if (bytes_find(text, '\0') < text.len) return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    bool six = bytes_find(text, ':') < text.len;
    if (inet_pton(six ? AF_INET6 : AF_INET, copy, bytes) != 1) return false;
    *out = addr_of(six ? ADDR_V6 : ADDR_V4, bytes);
    return true;
}

/* ---- text ---- */

static char *put_byte(char *at, unsigned value)
{
    if (value >= 100) *at++ = (char)('0' + value / 100);
    if (value >= 10) *at++ = (char)('0' + value / 10 % 10);
    *at++ = (char)('0' + value % 10);
    return at;
}

static char *put_group(char *at, unsigned value)
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned shift = 16; shift > 0;) {
        shift -= 4;
        if (value >> shift || shift == 0) *at++ = digits[value >> shift & 15];
    }
    return at;
}

/* The longest run of zero groups, of equal ones the first, of at least two (RFC 5952 section
 * 4.2); a length of 0 where there is none. */
static void longest_zeros(const unsigned *group, unsigned *from, unsigned *len)
{
    *from = *len = 0;
    for (unsigned i = 0; i < V6_GROUPS; i++) {
        unsigned n = 0;
        while (i + n < V6_GROUPS && group[i + n] == 0) n++;
        if (n >= 2 && n > *len) *from = i, *len = n;
        i += n;
    }
}

static char *put_v6(char *at, const uint8_t *bytes)
{
    unsigned group[V6_GROUPS], from, len;
    for (unsigned i = 0; i < V6_GROUPS; i++) {
        group[i] = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
    }
    longest_zeros(group, &from, &len);
    for (unsigned i = 0; i < V6_GROUPS; i++) {
        if (len && i == from) {
            *at++ = ':';
            *at++ = ':';
            i += len - 1;
            continue;
        }
        if (i && at[-1] != ':') *at++ = ':';
        at = put_group(at, group[i]);
    }
    return at;
}

size_t addr_text(const struct addr *a, char out[ADDR_TEXT_MAX])
{
    char *at = out;
    switch ((enum addr_kind)a->kind) {
    case ADDR_V4:
        for (unsigned i = 0; i < V4_BYTES; i++) {
            if (i) *at++ = '.';
            at = put_byte(at, a->at[i]);
        }
        break;
    case ADDR_V6: at = put_v6(at, a->at); break;
    case ADDR_UNIX:
        memcpy(at, "unix", 4);
        at += 4;
        break;
    case ADDR_NONE: *at++ = '-'; break;
    }
    assert(at > out && at < out + ADDR_TEXT_MAX);
    return (size_t)(at - out);
}

/* ---- networks ---- */

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(a, b, whole) != 0) return false;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

bool addr_net_parse(struct bytes text, struct addr_net *out, const char **why)
{
    static const uint8_t zero[V6_BYTES];
    struct addr_net net = {0};
    uint64_t bits = 0;
    struct bytes address = bytes_cut(&text, bytes_find(text, '/'));
    *why = "not an IPv4 or IPv6 address";
    if (!addr_parse(address, &net.base)) return false;
    bool six = bytes_find(address, ':') < address.len;   /* as written, mapped or not */
    uint64_t most = six ? 8 * V6_BYTES : 8 * V4_BYTES;
    if (text.len == 0) {
        bits = most;
    } else {
        bytes_cut(&text, 1);
        *why = six ? "behind / stands a number from 0 to 128"
                   : "behind / stands a number from 0 to 32";
        if (text.len > 3 || !bytes_u64(text, &bits) || bits > most) return false;
    }
    if (six && net.base.kind == ADDR_V4) {
        *why = "a network of IPv4-mapped addresses has at least 96 bits: write it as IPv4";
        if (bits < MAPPED_BITS) return false;
        bits -= MAPPED_BITS;
    }
    net.bits = (uint8_t)bits;
    struct addr tail = net.base;      /* what stands behind the prefix must be zero */
    for (unsigned i = 0; i < bits; i++) tail.at[i / 8] &= (uint8_t)~(0x80u >> i % 8);
    *why = "it has bits behind its prefix";
    if (memcmp(tail.at, zero, sizeof zero) != 0) return false;
    *out = net;
    return true;
}

bool addr_net_has(const struct addr_net *nets, size_t count, const struct addr *a)
{
    if (a->kind != ADDR_V4 && a->kind != ADDR_V6) return false;
    for (size_t i = 0; i < count; i++) {
        const struct addr_net *n = &nets[i];
        assert(n->bits <= 8 * V6_BYTES);
        if (n->base.kind == a->kind && same_bits(n->base.at, a->at, n->bits)) return true;
    }
    return false;
}
