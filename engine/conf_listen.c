/* conf_listen.c - listeners: the list `listen` and `admin.listen`. An entry is an address, or a
 * map {address, tls: {cert, key}}; that of the admin API may have its tls beside it. The files
 * are read here, so that a certificate that does not fit its key is an error of the
 * configuration like any other, at its place. */
#include <stdio.h>

#include "engine/conf.h"
#include "engine/conf_parts.h"
#include "net/tls.h"

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

/* Report what is wrong with the value of cert or key. */
static void wrong(struct conf_reader *r, const struct conf_node *n, const char *why)
{
    char shown[CONF_QUOTE_MAX];
    conf_error(r, n->at, "%.*s is %s: %s", (int)n->key->raw.len, n->key->raw.ptr,
               conf_quote(n, shown), why);
}

/* Read the file that n names into r->value behind *used bytes. False when reported. */
static bool read_pem(struct conf_reader *r, const struct conf_node *n, const char *path,
                     size_t *used, struct bytes *out)
{
    char why[128];
    size_t len = 0;
    int rc = conf_read_file(r, path, *used, &len);
    if (rc < 0) {
        (void)snprintf(why, sizeof why, "cannot be read: %s", conf_file_why(rc));
        wrong(r, n, why);
        return false;
    }
    *out = (struct bytes){r->value + *used, len};
    *used += len;
    return true;
}

/* map: what tls holds, walked already, so that out has the paths. */
static void read_pair(struct conf_reader *r, struct conf_node *map, struct conf_tls *out)
{
    if (!map || map->bad || map->kind != CONF_MAP) return;
    struct conf_node *cert = conf_child(map, "cert"), *key = conf_child(map, "key");
    if (!cert || !key) {
        conf_error(r, map->at, "tls needs cert and key");
        return;
    }
    if (cert->bad || key->bad || !out->cert || !out->key) return;
    size_t used = 0;
    struct bytes chain, secret;
    bool read = read_pem(r, cert, out->cert, &used, &chain);
    if (read_pem(r, key, out->key, &used, &secret) && read) {
        bool at_key = false;
        const char *why = NULL, *doubt;
        char shown[CONF_QUOTE_MAX];
        if (tls_pair_open(chain, secret, &out->pair, &at_key, &why) != NET_OK) {
            wrong(r, at_key ? key : cert, why);
        } else if ((doubt = tls_pair_doubt(out->pair)) != NULL) {
            conf_warning(r, cert->at, "cert is %s: %s", conf_quote(cert, shown), doubt);
        }
    }
    explicit_bzero(r->value, used);
}

static void read_listen(struct conf_reader *r, struct conf_node *n, struct conf_listen *out)
{
    if (n->kind == CONF_MAP) {
        conf_walk(r, n, "listen[].", out);
        need_address(r, n, "an entry of listen");
        if (out->address[0]) read_pair(r, conf_child(n, "tls"), &out->tls);
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

void conf_read_admin_tls(struct conf_reader *r)
{
    struct conf_node *admin = conf_child(r->root, "admin");
    if (!admin || admin->kind != CONF_MAP) return;
    struct conf_node *listen = conf_child(admin, "listen"), *beside = conf_child(admin, "tls");
    struct conf_node *within =
        listen && listen->kind == CONF_MAP ? conf_child(listen, "tls") : NULL;
    if (within && beside && !conf_is_null(within) && !conf_is_null(beside)) {
        conf_error(r, beside->at, "admin.tls is said twice: admin.listen has it too");
        return;
    }
    read_pair(r, within && !conf_is_null(within) ? within : beside, &r->conf->admin.tls);
}
