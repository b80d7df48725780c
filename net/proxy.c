/* proxy.c - see proxy.h. A header is a line of text or a block with a signature; both begin in
 * a way that no request does. Sections are those of proxy-protocol.txt. */
#include "net/proxy.h"

enum {
    V2_HEAD = 16,               /* signature, version and command, family, length */
    V2_LOCAL = 0x20, V2_PROXY = 0x21,
    FAMILY_UNSPEC = 0, FAMILY_INET = 1, FAMILY_INET6 = 2, FAMILY_UNIX = 3,
    INET_BYTES = 12, INET6_BYTES = 36, UNIX_BYTES = 216,   /* both ends, and their ports */
};

static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";   /* section 2.2 */
static_assert(sizeof signature - 1 == PROXY_BEGIN_MAX, "the longest thing to recognise");

/* Does in begin with text, as far as it goes? */
static bool agrees(struct bytes in, struct bytes text)
{
    size_t n = in.len < text.len ? in.len : text.len;
    return n == 0 || memcmp(in.ptr, text.ptr, n) == 0;
}

/* ---- version 1 ---- */

/* The next word, which one blank follows; the last one ends the line. */
static struct bytes word(struct bytes *line)
{
    struct bytes w = bytes_cut(line, bytes_find(*line, ' '));
    if (line->len) bytes_cut(line, 1);
    return w;
}

static bool is_port(struct bytes text)
{
    uint64_t value;
    if (text.len > 1 && *text.ptr == '0') return false;
    return text.len <= 5 && bytes_u64(text, &value) && value <= UINT16_MAX;
}

/* "TCP4" or "TCP6" and four words. A trailing blank makes a fifth, empty one. */
static bool read_words(struct bytes line, bool six, struct addr *from)
{
    struct addr to;
    size_t blanks = 0;
    for (size_t i = 0; i < line.len; i++) blanks += line.ptr[i] == ' ';
    if (blanks != 3) return false;
    struct bytes a = word(&line), b = word(&line), c = word(&line), d = word(&line);
    if ((bytes_find(a, ':') < a.len) != six || (bytes_find(b, ':') < b.len) != six) {
        return false;
    }
    return addr_parse(a, from) && addr_parse(b, &to) && is_port(c) && is_port(d);
}

static enum net_rc read_line(struct bytes in, struct proxy *out, const char **why)
{
    struct bytes line = {in.ptr, in.len < PROXY_LINE_MAX ? in.len : PROXY_LINE_MAX};
    size_t end = bytes_find(line, '\n');
    *why = "the PROXY line is longer than 107 bytes";
    if (end == line.len) return in.len < PROXY_LINE_MAX ? NET_MORE : NET_BAD;
    *why = "the PROXY line does not end with CR LF";
    if (in.ptr[end - 1] != '\r') return NET_BAD;
    out->bytes = end + 1;
    line.len = end - 1;
    for (size_t i = 0; i < line.len; i++) {
        *why = "the PROXY line holds a byte that is not visible ASCII";
        if (line.ptr[i] < ' ' || line.ptr[i] > '~') return NET_BAD;
    }
    bytes_cut(&line, 6);
    struct bytes kind = word(&line);
    *why = "the PROXY line is not 'PROXY TCP4|TCP6 SOURCE DESTINATION PORT PORT'";
    if (bytes_eq(kind, BYTES("UNKNOWN"))) return NET_OK;   /* what follows says nothing */
    bool six = bytes_eq(kind, BYTES("TCP6"));
    if (!six && !bytes_eq(kind, BYTES("TCP4"))) return NET_BAD;
    return read_words(line, six, &out->from) ? NET_OK : NET_BAD;
}

/* ---- version 2 ---- */

static enum net_rc read_addresses(const uint8_t *in, size_t len, struct proxy *out)
{
    unsigned family = in[13] >> 4, transport = in[13] & 15;
    const uint8_t *source = in + V2_HEAD;
    /* LOCAL: a health check of the proxy's own. Its addresses do not count. */
    if (in[12] == V2_LOCAL || in[13] == FAMILY_UNSPEC) return NET_OK;
    /* a stream or, where the proxy took it as QUIC, a datagram */
    if (transport != 1 && transport != 2) return NET_BAD;
    if (family == FAMILY_INET && len >= INET_BYTES) {
        out->from = addr_of(ADDR_V4, source);
    } else if (family == FAMILY_INET6 && len >= INET6_BYTES) {
        out->from = addr_of(ADDR_V6, source);
    } else if (family == FAMILY_UNIX && len >= UNIX_BYTES) {
        out->from = (struct addr){.kind = ADDR_UNIX};
    } else {
        return NET_BAD;
    }
    return NET_OK;
}

static enum net_rc read_block(struct bytes in, struct proxy *out, const char **why)
{
    uint8_t head[V2_HEAD + INET6_BYTES];
    if (in.len < V2_HEAD) return NET_MORE;
    size_t copied = in.len < sizeof head ? in.len : sizeof head;
    memcpy(head, in.ptr, copied);
    *why = "the PROXY header is of an unknown version or command";
    if (head[12] != V2_LOCAL && head[12] != V2_PROXY) return NET_BAD;
    size_t len = (size_t)head[14] << 8 | head[15];
    *why = "the PROXY header is longer than 4096 bytes";
    if (len > PROXY_MAX - V2_HEAD) return NET_BAD;
    out->bytes = V2_HEAD + len;
    if (in.len < out->bytes) return NET_MORE;
    *why = "the PROXY header's family and length do not agree";
    return read_addresses(head, len, out);
}

bool proxy_is_like(struct bytes head)
{
    struct bytes block = {signature + 4, PROXY_BEGIN_MAX - 4};   /* behind two empty lines */
    return bytes_starts(head, BYTES("PROXY ")) || bytes_starts(head, block);
}

enum net_rc proxy_read(struct bytes in, struct proxy *out, const char **why)
{
    struct bytes line = BYTES("PROXY "), block = {signature, PROXY_BEGIN_MAX};
    assert(out && why);
    *out = (struct proxy){0};
    if (in.len == 0) return NET_MORE;
    enum net_rc rc = NET_DONE;
    if (agrees(in, line)) rc = in.len < line.len ? NET_MORE : read_line(in, out, why);
    else if (agrees(in, block)) rc = in.len < block.len ? NET_MORE : read_block(in, out, why);
    assert(rc != NET_OK || (out->bytes > 0 && out->bytes <= in.len));
    return rc;
}
