/* fixed.c - see fixed.h. */
#include "engine/fixed.h"
#include "net/http.h"
#include "route/catalog.h"

static void put_auth(struct http_out *o, const struct catalog_provider *p, unsigned key)
{
    if (p->key_count == 0 || strcmp(p->auth, "none") == 0 || p->signs) return;
    assert(key < p->key_count);
    bool bearer = strcmp(p->auth, "bearer") == 0;
    http_out_text(o, bearer ? BYTES("authorization: Bearer ") : bytes_of(p->auth));
    if (!bearer) http_out_text(o, BYTES(": "));
    http_out_text(o, bytes_of(p->key[key]));  /* visible bytes only: conf saw to it */
    http_out_text(o, BYTES("\r\n"));
}

static void put_host(struct http_out *o, const struct catalog_provider *p)
{
    bool six = p->host_is_ip && strchr(p->host, ':');
    http_out_text(o, six ? BYTES("host: [") : BYTES("host: "));
    http_out_text(o, bytes_of(p->host));
    if (six) http_out_text(o, BYTES("]"));
    if (p->port != (p->tls ? 443 : 80)) {
        http_out_text(o, BYTES(":"));
        http_out_digits(o, p->port, 1);
    }
    http_out_text(o, BYTES("\r\n"));
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
