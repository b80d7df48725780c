/* url.c - addresses from the configuration (RFC 3986, http and https only). The operator
 * wrote them, so every refusal is a clause that an error text can hold. Nothing is resolved
 * and nothing copied, but for "localhost", which is a literal address here. */
#include <arpa/inet.h>
#include <sys/un.h>

#include "net/octet.h"
#include "net/url.h"

enum { HOST_MAX = 253, LABEL_MAX = 63 };  /* RFC 1035 section 2.3.4, written out */

/* True when text is a literal address of the family. */
static bool is_address(int family, struct bytes text)
{
    char copy[INET6_ADDRSTRLEN];
    unsigned char address[sizeof(struct in6_addr)];
    if (text.len == 0 || text.len >= sizeof(copy)) return false;
    if (memchr(text.ptr, '\0', text.len)) return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return inet_pton(family, copy, address) == 1;
}

/* Digits and dots only: an IPv4 literal or a mistake, never a name (RFC 3986 section 3.2.2). */
static bool looks_numeric(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!octet_is(text.ptr[i], OCTET_DIGIT) && text.ptr[i] != '.') return false;
    }
    return text.len > 0;
}

/* A name for the resolver and for TLS: labels of letters, digits, '-' and '_' (which names
 * inside of container networks have). NULL, or what is wrong. */
static const char *name_wrong(struct bytes host)
{
    if (host.len == 0) return "the host is empty";
    if (host.len > HOST_MAX) return "the host is longer than 253 bytes";
    if (looks_numeric(host))
        return is_address(AF_INET, host) ? NULL : "the host is no valid IPv4 address";
    while (host.len > 0) {
        const struct bytes label = bytes_cut(&host, bytes_find(host, '.'));
        if (label.len == 0) return "the host has an empty label";
        if (label.len > LABEL_MAX) return "a label of the host is longer than 63 bytes";
        for (size_t i = 0; i < label.len; i++) {
            const char c = label.ptr[i];
            const bool letter = byte_lower(c) >= 'a' && byte_lower(c) <= 'z';
            if (!letter && !octet_is(c, OCTET_DIGIT) && c != '-' && c != '_')
                return "the host has a byte other than letters, digits, '-', '_' and '.'";
        }
        if (host.len == 1) return "the host ends with a dot";
        if (host.len > 0) bytes_cut(&host, 1);
    }
    return NULL;
}

/* Split "host", "host:port" or "[IPv6]:port" into out->host, out->ipv6 and *port, which is
 * what stands behind the colon; its ptr is NULL where there is no colon. */
static const char *authority_split(struct bytes text, struct url *out, struct bytes *port)
{
    *port = (struct bytes){0};
    if (text.len > 0 && *text.ptr == '[') {
        const size_t close = bytes_find(text, ']');
        if (close == text.len) return "the IPv6 address has no closing bracket";
        out->host = (struct bytes){text.ptr + 1, close - 1};
        out->ipv6 = true;
        if (!is_address(AF_INET6, out->host)) return "the host is no valid IPv6 address";
        bytes_cut(&text, close + 1);
        if (text.len > 0 && *text.ptr != ':') return "only a port may follow the bracket";
    } else {
        out->host = bytes_cut(&text, bytes_find(text, ':'));
    }
    if (text.len > 0) {
        bytes_cut(&text, 1);
        *port = text;
        if (bytes_find(text, ':') < text.len)
            return out->ipv6 ? "more than one port" : "an IPv6 address needs brackets";
    }
    return NULL;
}

/* The port, min..65535. False where text is none. */
static bool port_parse(struct bytes text, unsigned min, uint16_t *port)
{
    uint64_t value = 0;
    if (text.len > 5 || !bytes_u64(text, &value)) return false;
    if (value < min || value > UINT16_MAX) return false;
    *port = (uint16_t)value;
    return true;
}

/* Bytes that stand in no URL, and the parts of one that a base address must not have. */
static const char *text_wrong(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.ptr[i];
        if (octet_is(c, OCTET_CONTROL)) return "a control byte";
        if (c == ' ' || c == '\t') return "a blank";
        if (c == '#') return "a fragment ('#...') in a base address";
        if (c == '?') return "a query ('?...') in a base address";
        if (!octet_is(c, OCTET_TARGET)) return "a byte that is not ASCII";
        if (c == '%' && (text.len - i < 3 || !octet_is(text.ptr[i + 1], OCTET_HEX) ||
                         !octet_is(text.ptr[i + 2], OCTET_HEX)))
            return "'%' without two hexadecimal digits";
    }
    return NULL;
}

/* Cut the scheme and "://" off *text. */
static const char *scheme_cut(struct bytes *text, struct url *out)
{
    static const char wrong[] = "no scheme: begin with https:// or http://";
    const struct bytes name = bytes_cut(text, bytes_find(*text, ':'));
    if (!bytes_starts(*text, BYTES("://"))) return wrong;
    bytes_cut(text, 3);
    out->tls = bytes_ieq(name, BYTES("https"));
    if (!out->tls && !bytes_ieq(name, BYTES("http")))
        return name.len == 0 ? wrong : "a scheme other than https and http";
    return NULL;
}

static const char *base_wrong(struct bytes text, struct url *out)
{
    struct bytes port;
    const char *why = text_wrong(text);
    if (!why) why = scheme_cut(&text, out);
    if (why) return why;
    const struct bytes authority = bytes_cut(&text, bytes_find(text, '/'));
    if (bytes_find(authority, '@') < authority.len) return "user info ('...@') in an address";
    why = authority_split(authority, out, &port);
    if (!why && !out->ipv6) why = name_wrong(out->host);
    if (why) return why;
    out->port = out->tls ? 443 : 80;
    if (port.ptr && !port_parse(port, 1, &out->port)) return "the port is not 1 to 65535";
    while (text.len > 0 && text.ptr[text.len - 1] == '/') text.len--;
    out->path = text;
    return NULL;
}

enum net_rc url_parse(struct bytes text, struct url *out, const char **why)
{
    assert(out && why);
    struct url url = {0};
    const char *wrong = text.len == 0 ? "the address is empty" : base_wrong(text, &url);
    if (wrong) {
        *why = wrong;
        return NET_BAD;
    }
    assert(url.port > 0 && url.host.len > 0);
    *out = url;
    return NET_OK;
}

static const char *listen_wrong(struct bytes text, struct url *out)
{
    struct bytes port;
    if (bytes_starts(text, BYTES("unix:"))) {
        bytes_cut(&text, 5);
        if (text.len < 2 || *text.ptr != '/')
            return "the path behind unix: must begin with '/'";
        if (text.len >= sizeof(((struct sockaddr_un *)0)->sun_path))
            return "the path of the socket is longer than 107 bytes";
        if (memchr(text.ptr, '\0', text.len)) return "a control byte";
        out->path = text;
        return NULL;
    }
    const char *why = authority_split(text, out, &port);
    if (why) return why;
    if (out->host.len == 0) return "no address before the port: write 0.0.0.0 or [::] for all";
    if (bytes_ieq(out->host, BYTES("localhost"))) out->host = BYTES("127.0.0.1");
    if (!out->ipv6 && !is_address(AF_INET, out->host))
        return "the address is neither IPv4 nor [IPv6] nor localhost nor unix:/path";
    if (!port.ptr) return "no port: write ADDRESS:PORT";
    if (!port_parse(port, 0, &out->port)) return "the port is not 0 to 65535";
    return NULL;
}

enum net_rc url_listen(struct bytes text, struct url *out, const char **why)
{
    assert(out && why);
    struct url url = {0};
    const char *wrong = text.len == 0 ? "the address is empty" : listen_wrong(text, &url);
    if (wrong) {
        *why = wrong;
        return NET_BAD;
    }
    assert(url.host.len > 0 || url.path.len > 0);
    *out = url;
    return NET_OK;
}
