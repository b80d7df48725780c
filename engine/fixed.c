/* fixed.c - see fixed.h. */
#include "engine/fixed.h"
#include "engine/line.h"
#include "net/http.h"
#include "route/catalog.h"

enum { AUTH_MAX = 8192, HOST_MAX = 300 };

static void put_auth(struct http_out *o, const struct catalog_provider *p, unsigned key)
{
    if (p->key_count == 0 || strcmp(p->auth, "none") == 0) return;
    assert(key < p->key_count);
    if (strcmp(p->auth, "bearer") == 0) {
        char value[AUTH_MAX];
        struct line l = {.out = value, .room = sizeof value};
        line_bytes(&l, BYTES("Bearer "));
        line_bytes(&l, bytes_of(p->key[key]));
        http_out_field(o, BYTES("authorization"), (struct bytes){value, l.len});
        explicit_bzero(value, l.len);
        if (l.full) o->full = true;
    } else {
        http_out_field(o, bytes_of(p->auth), bytes_of(p->key[key]));
    }
}

static void put_host(struct http_out *o, const struct catalog_provider *p)
{
    char value[HOST_MAX];
    struct line l = {.out = value, .room = sizeof value};
    bool six = p->host_is_ip && strchr(p->host, ':');
    if (six) line_bytes(&l, BYTES("["));
    line_bytes(&l, bytes_of(p->host));
    if (six) line_bytes(&l, BYTES("]"));
    if (p->port != (p->tls ? 443 : 80)) LINE_UINT(&l, ":", p->port);
    http_out_field(o, BYTES("host"), (struct bytes){value, l.len});
}

void fixed_put(struct http_out *o, const struct catalog_provider *p, unsigned key)
{
    put_host(o, p);
    put_auth(o, p, key);
    http_out_field(o, BYTES("accept-encoding"), BYTES("identity"));
    for (unsigned i = 0; i < p->header_count; i++) {
        http_out_field(o, bytes_of(p->header_name[i]), bytes_of(p->header_value[i]));
    }
}
