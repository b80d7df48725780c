/* cors.c - see cors.h. A page of a listed origin reads every answer, errors too: an SDK that
 * only sees "network error" where there was a 401 helps nobody. */
#include "engine/cors.h"
#include "engine/conf.h"
#include "engine/conn.h"
#include "engine/core.h"
#include "engine/exchange.h"
#include "engine/line.h"
#include "engine/reply.h"
#include "engine/tables.h"
#include "net/http.h"
#include "net/octet.h"

enum {
    REQUESTED_MAX = 2048,      /* bytes of Access-Control-Request-Headers that are repeated */
    EXTRA_MAX = REQUESTED_MAX + 512,
};

/* What a page may read besides the safelisted fields: ours, and those SDKs look at. */
#define EXPOSED                                                                               \
    "x-request-id, x-upstream-request-id, x-weir-model, x-weir-mode, x-weir-attempts, "        \
    "x-weir-gain, x-weir-cost-usd, x-weir-capped, x-weir-limit, x-should-retry, retry-after, " \
    "server-timing, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, "              \
    "x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, "     \
    "x-ratelimit-reset-tokens"

static struct bytes field_find(struct bytes fields, struct bytes want)
{
    struct bytes name, value;
    while (http_field_next(&fields, &name, &value)) {
        if (bytes_ieq(name, want)) return value;
    }
    return (struct bytes){0};
}

uint16_t cors_find(const struct conf *conf, struct bytes fields)
{
    if (conf->cors_count == 0) return 0;
    struct bytes origin = field_find(fields, BYTES("origin"));
    for (uint32_t i = 0; origin.len && i < conf->cors_count; i++) {
        bool any = bytes_eq(conf->cors[i], BYTES("*"));
        if (any || bytes_eq(conf->cors[i], origin)) return (uint16_t)(i + 1);
    }
    return 0;
}

void cors_put(struct http_out *o, const struct core *core, const struct conn *c,
              const struct exchange *x)
{
    const struct conf *conf = x ? x->tables->conf : core->tables->conf;
    if (conf->cors_count == 0) return;
    uint16_t allowed = x ? x->cors : cors_find(conf, c->fields);
    if (!allowed) return;
    size_t before = o->len;
    assert(allowed <= conf->cors_count);
    http_out_field(o, BYTES("access-control-allow-origin"), conf->cors[allowed - 1]);
    if (!conf->cors_any) http_out_field(o, BYTES("vary"), BYTES("origin"));
    http_out_field(o, BYTES("access-control-expose-headers"), BYTES(EXPOSED));
    assert(o->full || o->len - before <= CORS_FIELDS_MAX);
}

void cors_strip(struct http_out *o, const struct exchange *x)
{
    if (x->tables->conf->cors_count == 0 || o->full) return;
    const struct bytes access = BYTES("access-control-");
    struct bytes lines = {o->out, o->len}, name, value;
    size_t kept = 0;
    while (lines.len > 0) {
        const char *line = lines.ptr;
        if (!http_field_next(&lines, &name, &value)) break;
        struct bytes begin = {name.ptr, name.len < access.len ? name.len : access.len};
        if (bytes_ieq(begin, access)) continue;
        size_t len = (size_t)(lines.ptr - line);
        memmove(o->out + kept, line, len);
        kept += len;
    }
    assert(kept <= o->len);
    o->len = kept;
}

/* A list of field names as a browser writes it: tokens, commas, blanks. */
static bool is_name_list(struct bytes list)
{
    for (size_t i = 0; i < list.len; i++) {
        char c = list.ptr[i];
        if (!octet_is(c, OCTET_TOKEN) && c != ',' && c != ' ') return false;
    }
    return list.len > 0 && list.len <= REQUESTED_MAX;
}

enum cors_verdict cors_preflight(struct core *core, struct conn *c,
                                 const struct http_head *head, const char *id)
{
    const struct conf *conf = core->tables->conf;
    if (conf->cors_count == 0 || head->method != HTTP_OPTIONS) return CORS_NONE;
    struct bytes method = field_find(head->fields, BYTES("access-control-request-method"));
    if (method.len == 0 || head->field[HTTP_ORIGIN].len == 0) return CORS_NONE;
    if (!cors_find(conf, head->fields)) return CORS_DENIED;
    struct bytes names = field_find(head->fields, BYTES("access-control-request-headers"));
    char extra[EXTRA_MAX];
    struct line l = {.out = extra, .room = sizeof extra};
    line_bytes(&l, core->role == ROLE_GATEWAY
                       ? BYTES("access-control-allow-methods: GET, HEAD, POST\r\n")
                       : BYTES("access-control-allow-methods: GET, HEAD, POST, PUT, PATCH, "
                               "DELETE\r\n"));
    /* SDKs send dozens (x-stainless-*), and new ones with every release: what is asked for is
     * allowed, for nothing is protected by a header that a page must not send. */
    if (is_name_list(names)) {
        line_bytes(&l, BYTES("access-control-allow-headers: "));
        line_bytes(&l, names);
        line_bytes(&l, BYTES("\r\n"));
    }
    line_bytes(&l, BYTES("access-control-max-age: 7200\r\n"));
    assert(!l.full);
    core_count(core, STAT_PREFLIGHTS);
    reply_body(core, c, NULL, id, 204, (struct bytes){0}, (struct bytes){0},
               (struct bytes){extra, l.len});
    return CORS_ANSWERED;
}
