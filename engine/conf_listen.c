/* conf_listen.c - listeners: the list `listen` and `admin.listen`. An entry is an address, or a
 * map {address, tls: {cert, key}}; that of the admin API may have its tls beside it. */
#include <stdio.h>

#include "engine/conf.h"
#include "engine/conf_parts.h"

enum listen_kind conf_listen_kind(const char *address)
{
    return bytes_starts(bytes_of(address), BYTES("unix:")) ? LISTEN_UNIX : LISTEN_TCP;
}

static void need_address(struct conf_reader *r, struct conf_node *n, const char *what)
{
    if (n->bad || conf_child(n, "address")) return;
    conf_error(r, n->at, "%s needs an address", what);
    n->bad = true;
}

static void read_listen(struct conf_reader *r, struct conf_node *n, struct conf_listen *out)
{
    if (n->kind == CONF_MAP) {
        conf_walk(r, n, "listen[].", out);
        need_address(r, n, "an entry of listen");
    } else {
        conf_apply(r, "listen[].address", n, out);
    }
    out->kind = (uint8_t)conf_listen_kind(out->address);
}

/* Port 0 may stand in a list as often as one likes. */
static bool is_any_port(struct bytes address)
{
    return address.len > 2 && memcmp(address.ptr + address.len - 2, ":0", 2) == 0;
}

static void refuse_double(struct conf_reader *r, const struct conf_node *item)
{
    const struct conf *c = r->conf;
    struct bytes text = bytes_of(c->listen[c->listen_count].address);
    for (uint8_t i = 0; i < c->listen_count && !is_any_port(text); i++) {
        if (!bytes_eq(text, bytes_of(c->listen[i].address))) continue;
        char shown[CONF_QUOTE_MAX];
        conf_error(r, item->at, "listen has this address twice: %s", conf_quote(item, shown));
        return;
    }
}

void conf_read_listens(struct conf_reader *r, const struct conf_setting *s,
                       struct conf_node *n)
{
    struct conf *c = r->conf;
    if (!conf_is_list(r, s, n, CONF_LISTEN_MAX) || n->kind != CONF_LIST) return;
    if (n->count == 0) {
        conf_value_wrong(r, s, n);
        return;
    }
    c->listen_count = 0;
    for (struct conf_node *item = n->first; item; item = item->next) {
        struct conf_listen *out = &c->listen[c->listen_count];
        *out = (struct conf_listen){0};
        read_listen(r, item, out);
        if (!out->address[0]) continue;
        refuse_double(r, item);
        c->listen_count++;
    }
    if (c->listen_count == 0) c->listen_count = 1;   /* all reported; keep the struct whole */
}

void conf_read_admin(struct conf_reader *r, struct conf_node *n)
{
    struct conf_listen *out = &r->conf->admin;
    if (n->kind == CONF_MAP) {
        conf_walk(r, n, "listen[].", out);
        need_address(r, n, "admin.listen");
    } else {
        conf_apply(r, "admin.listen", n, r->conf);
    }
    out->kind = (uint8_t)conf_listen_kind(out->address);
}
