/* compose.c - see compose.h. One framing, rewritten by us, always: a decimal Content-Length
 * over bytes that are all here (hostile.md). */
#include "engine/compose.h"
#include "engine/core.h"
#include "engine/exchange.h"
#include "engine/line.h"
#include "engine/tables.h"
#include "engine/upstream.h"
#include "net/http.h"

enum { EDIT_SCRATCH = 6 * 256 + 256 };

static const char *const suffixes[] = {
    [OPENAI_CHAT] = "/chat/completions", [OPENAI_COMPLETIONS] = "/completions",
    [OPENAI_EMBEDDINGS] = "/embeddings", [OPENAI_MODERATIONS] = "/moderations",
};

/* The Connection fields of a head (RFC 9110 section 7.6.1): those that nominate other
 * fields. */
struct nominations { struct bytes at[HTTP_CONNECTIONS_MAX]; unsigned count; };

static struct nominations nominations_of(struct bytes fields)
{
    struct nominations n = {0};
    struct bytes name, value;
    while (http_field_next(&fields, &name, &value)) {
        if (name.len != 10 || !bytes_ieq(name, BYTES("connection"))) continue;
        bool usual = bytes_ieq(value, BYTES("keep-alive")) || bytes_ieq(value, BYTES("close"));
        if (!usual && n.count < HTTP_CONNECTIONS_MAX) n.at[n.count++] = value;
    }
    return n;
}

static bool nominated(const struct nominations *n, struct bytes name)
{
    for (unsigned i = 0; i < n->count; i++) {
        if (http_list_has(n->at[i], name)) return true;
    }
    return false;
}

bool compose_passes(struct bytes name)
{
    static const struct bytes stops[] = {
        BYTES_INIT("host"), BYTES_INIT("content-length"), BYTES_INIT("authorization"),
        BYTES_INIT("x-api-key"), BYTES_INIT("x-goog-api-key"), BYTES_INIT("api-key"),
        BYTES_INIT("cookie"), BYTES_INIT("cookie2"), BYTES_INIT("accept-encoding"),
        BYTES_INIT("expect"), BYTES_INIT("forwarded"), BYTES_INIT("via"),
        BYTES_INIT("x-real-ip"), BYTES_INIT("true-client-ip"), BYTES_INIT("cf-connecting-ip"),
        BYTES_INIT("content-encoding"), BYTES_INIT("http2-settings"),
    };
    for (size_t i = 0; i < COUNT(stops); i++) {
        if (bytes_ieq(name, stops[i])) return false;
    }
    if (name.len > 2 && byte_lower(name.ptr[0]) == 'x' && name.ptr[1] == '-') {
        struct bytes weir = BYTES("x-weir-"), forwarded = BYTES("x-forwarded-");
        struct bytes seven = {name.ptr, 7}, twelve = {name.ptr, 12};
        if (name.len >= seven.len && bytes_ieq(seven, weir)) return false;
        if (name.len >= twelve.len && bytes_ieq(twelve, forwarded)) return false;
    }
    return !http_is_hop(name, (struct bytes){0});
}

static bool overridden(const struct catalog_provider *p, struct bytes name)
{
    for (unsigned i = 0; i < p->header_count; i++) {
        if (bytes_ieq(name, bytes_of(p->header_name[i]))) return true;
    }
    return false;
}

static void put_auth(struct http_out *o, const struct catalog_provider *p, unsigned key)
{
    if (p->key_count == 0 || strcmp(p->auth, "none") == 0) return;
    if (strcmp(p->auth, "bearer") == 0) {
        char value[8192];
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
    char value[300];
    struct line l = {.out = value, .room = sizeof value};
    bool six = p->host_is_ip && strchr(p->host, ':');
    if (six) line_bytes(&l, BYTES("["));
    line_bytes(&l, bytes_of(p->host));
    if (six) line_bytes(&l, BYTES("]"));
    if (p->port != (p->tls ? 443 : 80)) LINE_UINT(&l, ":", p->port);
    http_out_field(o, BYTES("host"), (struct bytes){value, l.len});
}

static void put_head(struct http_out *o, const struct exchange *x,
                     const struct catalog_provider *p, uint64_t length)
{
    char target[HTTP_TARGET_MAX + 1024];
    struct line l = {.out = target, .room = sizeof target};
    line_bytes(&l, bytes_of(p->base_path));
    line_bytes(&l, bytes_of(suffixes[x->api]));
    if (x->query.len) line_bytes(&l, BYTES("?"));
    line_bytes(&l, x->query);
    http_out_request(o, BYTES("POST"), (struct bytes){target, l.len});
    put_host(o, p);
    put_auth(o, p, x->key);
    http_out_field(o, BYTES("accept-encoding"), BYTES("identity"));
    http_out_number(o, BYTES("content-length"), length);
    for (unsigned i = 0; i < p->header_count; i++) {
        http_out_field(o, bytes_of(p->header_name[i]), bytes_of(p->header_value[i]));
    }
    struct nominations named = nominations_of(x->fields);
    struct bytes fields = x->fields, name, value;
    const char *run = fields.ptr, *line = run;
    for (; http_field_next(&fields, &name, &value); line = fields.ptr) {
        if (compose_passes(name) && !nominated(&named, name) && !overridden(p, name)) continue;
        http_out_lines(o, bytes_between(run, line));  /* lines that go on, as they stand */
        run = fields.ptr;
    }
    http_out_lines(o, bytes_between(run, line));
    http_out_end(o);
}

static uint64_t edited_length(const struct exchange *x, const struct openai_edit *edits,
                              size_t count)
{
    uint64_t length = x->body.bytes;
    for (size_t i = 0; i < count; i++) length += edits[i].put.len - edits[i].del;
    return length;
}

bool compose_request(struct core *core, struct exchange *x)
{
    const struct catalog_model *m = &x->tables->catalog->model[x->model];
    const struct catalog_provider *p = &x->tables->catalog->provider[m->provider];
    char scratch[EDIT_SCRATCH];
    struct openai_edit edits[OPENAI_EDITS_MAX];
    bool want_usage = x->stream && (x->api == OPENAI_CHAT || x->api == OPENAI_COMPLETIONS);
    size_t count = openai_request_edits(x->req, bytes_of(m->upstream), want_usage, edits,
                                        scratch, sizeof scratch);
    struct http_out o = {.out = core->text, .room = CORE_SCRATCH};
    put_head(&o, x, p, edited_length(x, edits, count));
    if (o.full || !chain_copy(&core->mem, &x->u->out, (struct bytes){o.out, o.len})) {
        return false;
    }
    uint64_t from = 0;
    for (size_t i = 0; i < count; i++) {
        assert(edits[i].at >= from);
        if (!chain_view(&core->mem, &x->u->out, &x->body, from, edits[i].at)) return false;
        if (!chain_copy(&core->mem, &x->u->out, edits[i].put)) return false;
        from = edits[i].at + edits[i].del;
    }
    return chain_view(&core->mem, &x->u->out, &x->body, from, x->body.bytes);
}
