/* reply.c - see reply.h. */
#include "engine/reply.h"
#include "engine/book.h"
#include "engine/cascade.h"
#include "engine/clock.h"
#include "engine/conf.h"
#include "engine/conn.h"
#include "engine/core.h"
#include "engine/cors.h"
#include "engine/exchange.h"
#include "engine/line.h"
#include "engine/rand.h"
#include "engine/tables.h"
#include "net/dialect/api_write.h"
#include "net/http.h"
#include "route/gain.h"

#include <endian.h>

enum { ERROR_MAX = 16384, HEAD_MAX = 16384 };

/* The low 40 bits as 8 digits of base 32 (RFC 4648 section 7, lower case), highest first: in
 * three steps each byte gets its five bits, then all become letters at once. */
static void put_digits(char out[8], uint64_t bits)
{
    const uint64_t ones = 0x0101010101010101;
    uint64_t x = (bits & 0xfffff) | (bits >> 20 & 0xfffff) << 32;
    x = (x & 0x000003ff000003ff) | (x & 0x000ffc00000ffc00) << 6;
    x = (x & 0x001f001f001f001f) | (x & 0x03e003e003e003e0) << 3;
    uint64_t above_9 = (x + ones * (128 - 10)) >> 7 & ones;
    x = htobe64(x + ones * '0' + above_9 * ('a' - '0' - 10));
    memcpy(out, &x, sizeof x);
}

void reply_make_id(struct core *core, char out[32])
{
    uint64_t ms = core->unix_ns / 1000000u;     /* 45 bits: until the year 3084 */
    uint64_t more = rand_next(&core->rand), rest = rand_next(&core->rand);
    memcpy(out, "req_", 4);
    put_digits(out + 4, ms >> 5);
    put_digits(out + 12, (ms & 31) << 35 | (more & ((1ull << 35) - 1)));
    put_digits(out + 20, rest);
    out[28] = 0;
}

static void timing(struct http_out *o, const struct core *core, const struct exchange *x)
{
    uint64_t now = clock_now_ns();  /* our own share is less than a turn */
    uint64_t all = (now - x->admitted_ns) / 1000, up = x->spent_ns;
    if (x->attempt_ns) up += core->now_ns - x->attempt_ns;
    up /= 1000;
    uint64_t own = all > up ? all - up : 0;
    http_out_text(o, BYTES("server-timing: weir;dur="));
    http_out_digits(o, own / 1000, 1);
    http_out_text(o, BYTES("."));
    http_out_digits(o, own % 1000, 3);
    http_out_text(o, BYTES(", upstream;dur="));
    http_out_digits(o, up / 1000, 1);
    http_out_text(o, BYTES("."));
    http_out_digits(o, up % 1000, 3);
    http_out_text(o, BYTES("\r\n"));
}

static const char *const mode_names[] = {
    [MODE_BALANCED] = "balanced", [MODE_COST] = "cost", [MODE_LATENCY] = "latency",
    [MODE_AVAILABILITY] = "availability",
};

const char *reply_mode_name(uint8_t mode)
{
    return mode < COUNT(mode_names) ? mode_names[mode] : "unknown";
}

/* A share of GAIN_ONE as a decimal number without blank digits: 0, 0.25, 1. */
static void put_gain(struct http_out *o, uint16_t gain)
{
    unsigned digits = 4, rest = gain % GAIN_ONE;
    static_assert((int)GAIN_ONE == 10000, "four digits");
    assert(gain <= GAIN_ONE);
    while (digits > 0 && rest % 10 == 0) digits--, rest /= 10;
    http_out_text(o, BYTES("\r\nx-weir-gain: "));
    http_out_digits(o, gain / GAIN_ONE, 1);
    if (digits > 0) {
        http_out_text(o, BYTES("."));
        http_out_digits(o, rest, digits);
    }
    http_out_text(o, BYTES("\r\n"));
}

void reply_fields(struct http_out *o, struct core *core, const struct exchange *x,
                  const char *id)
{
    if (!x) {
        http_out_field(o, BYTES("x-request-id"), bytes_of(id));
        if (core->role != ROLE_GATEWAY) return;
        const struct conf *conf = core->tables->conf;
        http_out_field(o, BYTES("x-weir-mode"), bytes_of(reply_mode_name((uint8_t)conf->mode)));
        http_out_number(o, BYTES("x-weir-attempts"), 0);
        http_out_field(o, BYTES("x-weir-gain"), BYTES("0"));
        http_out_field(o, BYTES("server-timing"), BYTES("weir;dur=0.000, upstream;dur=0.000"));
        return;
    }
    const struct record *r = &x->rec;
    http_out_text(o, BYTES("x-request-id: "));
    http_out_text(o, (struct bytes){r->request_id,
                                    strnlen(r->request_id, sizeof r->request_id)});
    if (r->model[0]) {
        http_out_text(o, BYTES("\r\nx-weir-model: "));
        http_out_text(o, (struct bytes){r->model, strnlen(r->model, sizeof r->model)});
    }
    http_out_text(o, BYTES("\r\nx-weir-mode: "));
    http_out_text(o, bytes_of(reply_mode_name(r->mode)));
    http_out_text(o, BYTES("\r\nx-weir-attempts: "));
    http_out_digits(o, x->attempts, 1);
    put_gain(o, r->gain);
    cascade_field(o, x);
    timing(o, core, x);
    if (x->spend.hold.map || x->spend.limits || x->spend.output_max) spend_fields(o, core, x);
}

void reply_begin(struct http_out *o, struct core *core, unsigned status)
{
    uint64_t now_s = core->unix_ns / 1000000000u;
    if (now_s != core->date_s) {
        (void)http_date(now_s, core->date);
        core->date_s = now_s;
    }
    if (status == 200) http_out_text(o, BYTES("HTTP/1.1 200 OK\r\n"));
    else http_out_status(o, status);
    http_out_text(o, BYTES("date: "));
    http_out_text(o, (struct bytes){core->date, 29});
    http_out_text(o, BYTES("\r\n"));
}

void reply_end(struct http_out *o, bool keep)
{
    http_out_text(o, keep ? BYTES("connection: keep-alive\r\n\r\n")
                          : BYTES("connection: close\r\n\r\n"));
}

/* Queue the head of an answer of our own. False: out of memory. */
static bool put_head(struct core *core, struct conn *c, const struct exchange *x,
                     const char *id, unsigned status, struct bytes type, uint64_t length,
                     struct bytes extra)
{
    char text[HEAD_MAX];
    struct http_out o = {.out = text, .room = sizeof text};
    reply_begin(&o, core, status);
    if (status != 204) {
        http_out_field(&o, BYTES("content-type"), type);
        http_out_number(&o, BYTES("content-length"), length);
    }
    reply_fields(&o, core, x, id);
    cors_put(&o, core, c, x);
    http_out_text(&o, extra);
    reply_end(&o, conn_stays(core, c));
    assert(!o.full);
    c->answered = true;
    conn_dirty(core, c);
    return chain_copy(&core->mem, &c->out, (struct bytes){text, o.len});
}

void reply_body(struct core *core, struct conn *c, const struct exchange *x, const char *id,
                unsigned status, struct bytes type, struct bytes body, struct bytes extra)
{
    bool ok = put_head(core, c, x, id, status, type, body.len, extra);
    if (ok && !c->head_only && status != 204) ok = chain_copy(&core->mem, &c->out, body);
    if (ok) return;
    core_count(core, STAT_NO_MEMORY);
    c->close_after = true;
}

bool reply_chain(struct core *core, struct conn *c, const char *id, struct bytes type,
                 struct chain *body)
{
    if (!put_head(core, c, NULL, id, 200, type, body->bytes, (struct bytes){0})) return false;
    if (c->head_only) chain_drop(&core->mem, body);
    else chain_move(&core->mem, &c->out, body);
    return true;
}

void reply_error(struct core *core, struct conn *c, const struct exchange *x, const char *id,
                 enum close_why why, const char *text, const char *param)
{
    char body[ERROR_MAX];
    unsigned status = close_status(why);
    assert(status >= 400);
    if (status == 499) status = 400;
    char named[65] = {0};
    if (x) memcpy(named, x->rec.request_id, sizeof x->rec.request_id);
    struct api_fault fault = {.status = status, .code = close_code(why), .param = param,
                              .message = text ? text : close_sentence(why),
                              .request_id = x ? named : id};
    size_t n = api_error_body(x ? (enum api)x->api : (enum api)c->api, &fault, body,
                              sizeof body);
    struct bytes extra = {0};
    char after[160];
    struct line l = {.out = after, .room = sizeof after};
    struct http_out o = {.out = after, .room = sizeof after};
    if (why == CLOSE_OVERLOADED || why == CLOSE_LEDGER_GONE || why == CLOSE_NO_PROVIDER) {
        LINE_UINT(&l, "retry-after: ", x && x->quiet_s ? x->quiet_s : 1);
        line_bytes(&l, BYTES("\r\n"));
        extra = (struct bytes){after, l.len};
    } else if (why == CLOSE_WEBSOCKET) {
        extra = BYTES("upgrade: HTTP/1.1\r\n");
    } else if (why == CLOSE_METHOD_BAD) {
        extra = c->wants_post ? BYTES("allow: POST\r\n") : BYTES("allow: GET, HEAD\r\n");
    } else if (x) {
        spend_refusal_fields(&o, x, why);
        extra = (struct bytes){o.out, o.len};
    }
    reply_body(core, c, x, id, status, BYTES("application/json"), (struct bytes){body, n},
               extra);
}
