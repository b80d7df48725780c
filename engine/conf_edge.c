/* conf_edge.c - who is believed and who may ask from a browser: trusted_proxies (addresses and
 * networks) and cors (origins). Both are compared with what comes in byte by byte later on, so
 * what could never match is an error here. */
#include <stdio.h>

#include "engine/conf.h"
#include "engine/conf_parts.h"
#include "net/addr.h"
#include "net/octet.h"

enum { ORIGIN_MAX = 255 };

static void refuse(struct conf_reader *r, const struct conf_setting *s, struct conf_node *item,
                   const char *why)
{
    char shown[CONF_QUOTE_MAX], takes[CONF_TAKES_MAX];
    conf_error(r, item->at, "%s has %s: %s; it takes %s", conf_setting_label(s),
               conf_quote(item, shown), why, conf_takes(s, takes, sizeof takes));
    item->bad = true;
}

void conf_read_nets(struct conf_reader *r, const struct conf_setting *s, struct conf_node *n)
{
    struct conf *c = r->conf;
    if (!conf_is_list(r, s, n, (uint32_t)s->max) || n->kind != CONF_LIST) return;
    struct addr_net *nets = conf_heap_take(r->heap, (n->count + 1) * sizeof *nets);
    if (!nets) return;
    c->trusted = nets;
    c->trusted_count = 0;
    for (struct conf_node *item = n->first; item; item = item->next) {
        struct conf_value v;
        const char *why;
        if (!conf_value(r, s, item, &v)) continue;
        if (addr_net_parse(v.text, &nets[c->trusted_count], &why)) c->trusted_count++;
        else refuse(r, s, item, why);
    }
    assert(c->trusted_count <= n->count);
}

/* ---- origins ---- */

/* RFC 3986 section 3.1. */
static bool is_scheme(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = byte_lower(text.ptr[i]);
        bool letter = c >= 'a' && c <= 'z';
        bool later = octet_is(c, OCTET_DIGIT) || c == '+' || c == '-' || c == '.';
        if (!letter && (i == 0 || !later)) return false;
    }
    return text.len > 0;
}

static const char *host_fault(struct bytes host)
{
    struct addr a;
    if (host.len == 0) return "it has no host";
    if (*host.ptr == '[') {
        bool closed = host.len > 2 && host.ptr[host.len - 1] == ']';
        bool fine = closed && addr_parse((struct bytes){host.ptr + 1, host.len - 2}, &a);
        return fine ? NULL : "its host is no IPv6 address in brackets";
    }
    for (size_t i = 0; i < host.len; i++) {
        char c = byte_lower(host.ptr[i]);
        bool letter = c >= 'a' && c <= 'z';
        bool fine = letter || octet_is(c, OCTET_DIGIT) || c == '-' || c == '.' || c == '_';
        if (fine) continue;
        if (c == '*') return "* stands alone, for any origin, and not in a name";
        if (c == '@') return "an origin has no user";
        return c & 0x80 ? "a name that is not ASCII is written as browsers send it, xn--..."
                        : "its host has a byte other than letters, digits and . _ -";
    }
    return NULL;
}

static const char *port_fault(struct bytes scheme, struct bytes port)
{
    uint64_t number = 0;
    bool fine = port.len <= 5 && bytes_u64(port, &number) && *port.ptr != '0' &&
                number <= UINT16_MAX;
    if (!fine) return "its port is not 1 to 65535";
    bool usual = (number == 443 && bytes_ieq(scheme, BYTES("https"))) ||
                 (number == 80 && bytes_ieq(scheme, BYTES("http")));
    return usual ? "browsers leave the usual port of a scheme out" : NULL;
}

/* What keeps text from being what a browser sends as Origin (RFC 6454 section 6.2). */
static const char *origin_fault(struct bytes text)
{
    if (text.len > ORIGIN_MAX) return "it is longer than 255 bytes";
    struct bytes scheme = bytes_cut(&text, bytes_find(text, ':'));
    if (!bytes_starts(text, BYTES("://")) || !is_scheme(scheme)) return "it has no scheme";
    bytes_cut(&text, 3);
    if (bytes_find(text, '/') < text.len) return "an origin has no path";
    if (bytes_find(text, '?') < text.len) return "an origin has no query";
    size_t colon = bytes_find(text, ':');
    if (text.len && *text.ptr == '[') colon = bytes_find(text, ']') + 1;
    struct bytes host = bytes_cut(&text, colon < text.len ? colon : text.len);
    const char *why = host_fault(host);
    if (why || text.len == 0) return why;
    if (*text.ptr != ':') return "only a port may follow the bracket";
    bytes_cut(&text, 1);
    return port_fault(scheme, text);
}

/* Browsers send the scheme and the name in lower case. */
static struct bytes lower_copy(struct conf_heap *heap, struct bytes text)
{
    char *copy = conf_heap_take(heap, text.len + 1);
    if (!copy) return (struct bytes){0};
    for (size_t i = 0; i < text.len; i++) copy[i] = byte_lower(text.ptr[i]);
    return (struct bytes){copy, text.len};
}

void conf_read_origins(struct conf_reader *r, const struct conf_setting *s,
                       struct conf_node *n)
{
    struct conf *c = r->conf;
    if (!conf_is_list(r, s, n, (uint32_t)s->max) || n->kind != CONF_LIST) return;
    struct bytes *origins = conf_heap_take(r->heap, (n->count + 1) * sizeof *origins);
    if (!origins) return;
    c->cors = origins;
    c->cors_count = 0;
    for (struct conf_node *item = n->first; item; item = item->next) {
        struct conf_value v;
        if (!conf_value(r, s, item, &v)) continue;
        bool any = bytes_eq(v.text, BYTES("*"));
        const char *why = any ? NULL : origin_fault(v.text);
        if (why) refuse(r, s, item, why);
        else origins[c->cors_count++] = lower_copy(r->heap, v.text);
        c->cors_any = c->cors_any || any;
    }
    assert(c->cors_count <= n->count);
}
