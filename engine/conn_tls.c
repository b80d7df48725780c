/* conn_tls.c - TLS of a client connection: the handshake before its first request, and the
 * records that requests come in and answers go out in.
 *   HELLO -> IDLE     the handshake ended
 *   HELLO -> BUSY     it failed: the alert goes out, then the connection ends as after any
 *                     last answer; or it was plain HTTP, and is told so in plain HTTP
 * Records wait in c->raw until they are whole, so that the library never keeps half of one and
 * what a slow client costs lies in the region, which is bounded. What is decrypted goes the way
 * of plain bytes.
 * Rule: a turn does at most SHAKES steps of handshakes, in the order in which clients came to
 * need one: a private key operation takes as long as hundreds of requests, and a storm of
 * clients with nothing to lose must not keep the others waiting. */
#include "engine/book.h"
#include "engine/cert.h"
#include "engine/conn.h"
#include "engine/conn_part.h"
#include "engine/core.h"
#include "engine/serve.h"
#include "engine/tables.h"
#include "net/tls.h"

enum {
    SHAKES = 2,                    /* steps of handshakes in a turn of a core */
    RECORD_HEAD = 5,               /* bytes: type, version, length (RFC 8446 section 5.1) */
    RECORD_PLAIN = 16384,          /* plain bytes in one record */
    TYPE_HANDSHAKE = 22,
    RAW_MAX = 65536,               /* bytes of records held before receiving pauses */
    WIRE_MAX = 65536,              /* bytes of records made for one send */
};

void conn_tls_end(struct core *core, struct conn *c)
{
    tls_close(c->tls);
    c->tls = NULL;
    c->secure = false;
    chain_drop(&core->mem, &c->raw);
    chain_drop(&core->mem, &c->wire);
}

bool conn_tls_owes(const struct conn *c)
{
    return c->secure && c->tls && tls_ready(c->tls) && !c->goodbye;
}

enum close_why conn_tls_gone(const struct conn *c)
{
    if (c->state != CONN_HELLO) return CLOSE_CLIENT_GONE;
    return c->tls || c->raw.bytes > 0 ? CLOSE_TLS_FAILED : CLOSE_DONE;
}

/* --- records in */

/* Bytes of the record that begins with head. One that claims more than there can be is whole
 * as soon as its head is here: the library refuses it. */
static size_t record_bytes(const char head[RECORD_HEAD])
{
    size_t len = (size_t)(uint8_t)head[3] << 8 | (uint8_t)head[4];
    return len + RECORD_HEAD > TLS_RECORD_MAX ? RECORD_HEAD : len + RECORD_HEAD;
}

/* How much of in is whole records. */
static size_t whole_bytes(struct bytes in)
{
    size_t at = 0;
    while (in.len - at >= RECORD_HEAD) {
        size_t n = record_bytes(in.ptr + at);
        if (n > in.len - at) break;
        at += n;
    }
    return at;
}

/* The same of what waits. */
static uint64_t whole_raw(const struct core *core, const struct conn *c)
{
    uint64_t at = 0;
    while (c->raw.bytes - at >= RECORD_HEAD) {
        char head[RECORD_HEAD];
        chain_read(&core->mem, &c->raw, at, head, sizeof head);
        size_t n = record_bytes(head);
        if (n > c->raw.bytes - at) break;
        at += n;
    }
    return at;
}

/* Bytes for the wire that the library wrote of itself. */
static bool put_wire(struct core *core, struct conn *c, const char *bytes, size_t len)
{
    if (!chain_copy(&core->mem, &c->wire, (struct bytes){bytes, len})) {
        core_count(core, STAT_NO_MEMORY);
        conn_close(core, c, CLOSE_OVERLOADED);
        return false;
    }
    conn_dirty(core, c);
    return true;
}

static void shaken(struct core *core, struct conn *c)
{
    core_count(core, STAT_TLS_SHAKEN);
    if (tls_resumed(c->tls)) core_count(core, STAT_TLS_TAKEN_UP);
    conn_to(c, CONN_IDLE);
    conn_deadline(core, c, serve_times(core).idle_ns);
}

/* The library gave up. An alert may be on the wire: where no request is in progress, it is
 * sent before the end (RFC 8446 section 6.2). */
static void failed(struct core *core, struct conn *c)
{
    bool shaking = c->state == CONN_HELLO, starved = tls_starved(c->tls);
    bool busy = c->state == CONN_BODY || c->state == CONN_BUSY;
    enum close_why why = starved ? CLOSE_TLS_MEMORY : shaking ? CLOSE_TLS_FAILED
                                                             : CLOSE_TLS_BROKEN;
    if (starved) core_count(core, STAT_NO_MEMORY);
    if (busy || c->wire.bytes == 0) {
        conn_close(core, c, why);
        return;
    }
    if (shaking) core_count(core, STAT_TLS_FAILED);
    book_refused(core, c, "-", why);
    chain_drop(&core->mem, &c->out);
    conn_to(c, CONN_BUSY);
    conn_deadline(core, c, 0);
    c->close_after = true;
    conn_dirty(core, c);
}

/* Decrypt whole records and hand on what was in them. */
static void decrypt(struct core *core, struct conn *c, struct bytes in)
{
    static_assert((int)CORE_SCRATCH >= (int)TLS_RECORD_MAX, "one record fits the scratch");
    for (;;) {
        size_t plain_len = 0, out_len = 0;
        enum net_rc rc = tls_pull(c->tls, &in, core->scratch, CORE_SCRATCH, &plain_len,
                                  core->scratch_2, CORE_SCRATCH, &out_len);
        if (out_len && !put_wire(core, c, core->scratch_2, out_len)) return;
        if (c->state == CONN_HELLO && tls_ready(c->tls)) shaken(core, c);
        if (plain_len) {
            core_scratch_put(core, plain_len);
            conn_input(core, c, (struct bytes){core->scratch, plain_len}, RING_BUF_NONE);
        }
        if (c->state == CONN_CLOSING || rc == NET_MORE) return;
        if (rc == NET_DONE) conn_peer_shut(core, c);
        if (rc == NET_BAD) failed(core, c);
        if (rc != NET_OK) return;
    }
}

/* Decrypt what waits and is whole. */
static void draw(struct core *core, struct conn *c)
{
    uint64_t todo = whole_raw(core, c);
    while (todo > 0 && c->state != CONN_CLOSING && !tls_failed(c->tls)) {
        uint32_t at = c->raw.first, left = c->raw.count;
        struct bytes piece = {0};
        while (piece.len == 0 && chain_next(&core->mem, &at, &left, &piece)) continue;
        if (piece.len > todo) piece.len = (size_t)todo;
        assert(piece.len > 0);
        decrypt(core, c, piece);
        chain_eat(&core->mem, &c->raw, piece.len);
        todo -= piece.len;
    }
    if (c->state != CONN_CLOSING && c->raw.bytes < RAW_MAX / 2 &&
        c->ahead.bytes < CORE_HELD_MAX / 2) {
        conn_recv_on(core, c);
    }
}

/* --- handshakes */

static void enqueue(struct core *core, struct conn *c)
{
    assert(!c->ready && c->state == CONN_HELLO);
    c->ready = true;
    c->next_ready = NULL;
    if (core->hello_last) core->hello_last->next_ready = c;
    else core->hello_first = c;
    core->hello_last = c;
}

/* The first bytes are here: TLS, or what? False: c has left HELLO. */
static bool begin(struct core *core, struct conn *c)
{
    char first;
    chain_read(&core->mem, &c->raw, 0, &first, 1);
    if (first != TYPE_HANDSHAKE) {
        bool letter = byte_lower(first) >= 'a' && byte_lower(first) <= 'z';
        /* a method: somebody forgot the s of https */
        if (letter) conn_refuse(core, c, CLOSE_TLS_PLAIN, NULL);
        else conn_close(core, c, CLOSE_TLS_FAILED);
        return false;
    }
    const struct tables *t = core->tables;
    const struct cert *cert =
        core->role == ROLE_ADMIN ? t->admin.cert : t->listen[c->listener].cert;
    assert(cert);
    c->tls = tls_server(cert_ctx(cert, core->idx));
    if (c->tls) return true;
    core_count(core, STAT_NO_MEMORY);
    conn_close(core, c, CLOSE_TLS_MEMORY);
    return false;
}

static void step(struct core *core, struct conn *c)
{
    if (!c->tls && !begin(core, c)) return;
    draw(core, c);
    if (c->peer_shut && c->state != CONN_CLOSING) conn_peer_shut(core, c);
}

void conn_shake_some(struct core *core)
{
    for (int i = 0; i < SHAKES && core->hello_first;) {
        struct conn *c = core->hello_first;
        core->hello_first = c->next_ready;
        if (!core->hello_first) core->hello_last = NULL;
        assert(c->ready);
        c->ready = false;
        if (c->state != CONN_HELLO) continue;  /* closed while it waited */
        step(core, c);
        i++;
    }
}

void conn_tls_input(struct core *core, struct conn *c, struct bytes in, uint32_t buf)
{
    if (c->goodbye || (c->tls && tls_failed(c->tls))) return;  /* nothing more is read */
    if (c->state == CONN_PROXY) {
        conn_feed_proxy(core, c, &in);
        if (c->state != CONN_HELLO || in.len == 0) return;
    }
    if (c->state != CONN_HELLO && c->raw.bytes == 0) {
        size_t n = whole_bytes(in);
        if (n > 0) decrypt(core, c, bytes_cut(&in, n));
        if (in.len == 0 || c->state == CONN_CLOSING) return;
    }
    /* Who is not known yet gets no more than a page where memory is short (conn.c, too). */
    bool tight = c->state == CONN_HELLO && c->raw.bytes + in.len > MEM_PAGE &&
                 mem_is_tight(&core->mem);
    if (tight || !chain_add(&core->mem, &c->raw, in, buf, false)) {
        core_count(core, STAT_NO_MEMORY);
        conn_close(core, c, CLOSE_OVERLOADED);
        return;
    }
    if (c->raw.bytes > RAW_MAX) conn_recv_off(core, c);
    if (c->state != CONN_HELLO) {
        draw(core, c);
        return;
    }
    if (c->ready) return;
    char first;
    chain_read(&core->mem, &c->raw, 0, &first, 1);
    if (first != TYPE_HANDSHAKE || whole_raw(core, c) > 0) enqueue(core, c);
}

/* --- records out */

/* What the next record is made of: one piece of the queue, or several small ones together. */
static struct bytes front(struct core *core, const struct conn *c)
{
    uint32_t at = c->out.first, left = c->out.count;
    struct bytes piece = {0};
    while (piece.len == 0 && chain_next(&core->mem, &at, &left, &piece)) continue;
    if (piece.len >= RECORD_PLAIN || piece.len == c->out.bytes) {
        if (piece.len > RECORD_PLAIN) piece.len = RECORD_PLAIN;
        return piece;
    }
    size_t n = c->out.bytes < RECORD_PLAIN ? (size_t)c->out.bytes : RECORD_PLAIN;
    core_scratch_put(core, n);
    chain_read(&core->mem, &c->out, 0, core->scratch, n);
    return (struct bytes){core->scratch, n};
}

/* Seal one record. False: no more can be done now, or c is closing. */
static bool seal_one(struct core *core, struct conn *c)
{
    struct bytes plain = front(core, c);
    size_t before = plain.len, want = before + 2 * TLS_SEAL_EXTRA;
    if (want > TLS_RECORD_MAX) want = TLS_RECORD_MAX;
    char *room = chain_room(&core->mem, &c->wire, want);
    if (!room && want > MEM_PAGE) {    /* no block is left: a smaller record */
        want = MEM_PAGE;
        room = chain_room(&core->mem, &c->wire, want);
    }
    if (!room) {
        if (c->wire.bytes > 0) return false;
        core_count(core, STAT_NO_MEMORY);
        conn_close(core, c, CLOSE_OVERLOADED);
        return false;
    }
    size_t n = tls_seal(c->tls, &plain, room, want);
    chain_fill(&core->mem, &c->wire, n);
    chain_eat(&core->mem, &c->out, before - plain.len);
    if (n > 0) return true;
    if (tls_failed(c->tls)) {
        conn_close(core, c, tls_starved(c->tls) ? CLOSE_TLS_MEMORY : CLOSE_TLS_BROKEN);
    }
    return false;
}

void conn_tls_seal(struct core *core, struct conn *c)
{
    assert(c->secure && !c->sending);
    if (!c->tls || !tls_ready(c->tls)) return;
    while (c->out.bytes > 0 && c->wire.bytes + TLS_RECORD_MAX <= WIRE_MAX) {
        if (!seal_one(core, c)) break;
    }
    bool last = c->close_after && !c->x && !c->job && c->out.bytes == 0 && !c->goodbye;
    if (!last || c->state == CONN_CLOSING) return;
    char *room = chain_room(&core->mem, &c->wire, TLS_ALERT_MAX);
    if (room) chain_fill(&core->mem, &c->wire, tls_goodbye(c->tls, room, TLS_ALERT_MAX));
    c->goodbye = true;
}
