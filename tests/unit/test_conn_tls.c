/* test_conn_tls.c - TLS client connections on a real core and ring: the other end is our own
 * client's codec, the server behind serve.h a few lines. What is tested of plain connections in
 * test_conn.c is not tested again: only what TLS adds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "engine/cert.h"
#include "engine/clock.h"
#include "engine/conn.h"
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/heap.h"
#include "engine/serve.h"
#include "engine/tables.h"
#include "net/http.h"
#include "net/tls.h"
#include "tests/unit/identity.h"
#include "tests/unit/rig.h"
#include "tests/unit/serve_rest.h"

enum { PLAIN, SECURE };                  /* listeners */
enum { HEARD_MAX = 1 << 18, STORM = 1000, STEPS_A_TURN = 2 };

static const uint64_t second = 1000000000;

/* --- the server: answers "[<path> <body>]" when the body is complete; /f with many bytes */

static struct {
    unsigned bodies, gones;
    enum close_why refused;
    size_t flood;
    uint64_t header_max;
    bool trusts;                         /* of the secure listener's clients */
} served;

bool serve_head(struct core *core, struct conn *c, const struct http_head *head)
{
    (void)core;
    c->job = NULL;
    c->wants_post = head->path.ptr[1] == 'f';
    c->body_max = 1 << 20;
    return true;
}

bool serve_piece(struct core *core, struct conn *c, struct bytes piece)
{
    (void)core, (void)c;
    assert_true(piece.len > 0);
    return true;
}

void serve_body(struct core *core, struct conn *c)
{
    static char flood[1 << 16];
    char text[64];
    served.bodies++;
    for (size_t left = c->wants_post ? served.flood : 0, n; left > 0; left -= n) {
        n = left < sizeof flood ? left : sizeof flood;
        assert_true(chain_borrow(&core->mem, &c->out, (struct bytes){flood, n}));
    }
    (void)snprintf(text, sizeof text, "[%llu]", (unsigned long long)c->body.bytes);
    assert_true(chain_copy(&core->mem, &c->out, bytes_of(text)));
    conn_dirty(core, c);
    conn_answered(core, c);
}

void serve_refuse(struct core *core, struct conn *c, enum close_why why, const char *detail)
{
    (void)detail;
    served.refused = why;
    assert_true(chain_copy(&core->mem, &c->out, BYTES("[refused]")));
    conn_dirty(core, c);
}

void serve_gone(struct core *core, struct conn *c, enum close_why why)
{
    (void)core, (void)c, (void)why;
    served.gones++;
}

void serve_drained(struct core *core, struct conn *c, uint64_t left)
{
    (void)core, (void)c, (void)left;
}

bool serve_trusts(const struct core *core, struct conn *c)
{
    (void)core;
    return served.trusts && c->listener == SECURE;
}

struct serve_times serve_times(const struct core *core)
{
    (void)core;
    return (struct serve_times){10 * second, 30 * second, 75 * second, 60 * second,
                                served.header_max};
}

/* --- the world: a core with two listeners, one of them with a certificate */

static struct rig rig;
static struct cert *cert;
static struct tls_ctx *client_ctx;
static struct tables *tables;

static uint64_t closed(enum close_why why) { return stat_get(&rig.core->stats.closes[why]); }
static uint64_t count(enum stat_id id) { return stat_get(&rig.core->stats.count[id]); }

static void begin(struct core_limits limits)
{
    memset(&served, 0, sizeof served);
    served.header_max = 2048;
    rig_skipped_ns = 0;
    rig = rig_open(limits);
    tables->listen[SECURE].cert = cert;
    rig.core->tables = tables;
    rig.core->listen_tls = 1u << SECURE;
    atomic_store(&rig.engine->tables, tables);
}

static int setup(void **state)
{
    (void)state;
    begin(rig_limits());
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_close(&rig);
    assert_int_equal(tls_ctx_users(cert_ctx(cert, 0)), 0);
    return 0;
}

/* --- the client */

struct talk {
    struct tls *tls;                     /* NULL: none, bytes go as they are */
    int fd;
    enum net_rc rc;
    char heard[HEARD_MAX];
    size_t len, cut;                     /* cut: bytes sent at once; 0 all */
    bool end;
};

static void send_all(struct talk *k, struct bytes b)
{
    while (b.len > 0) {
        size_t some = k->cut && k->cut < b.len ? k->cut : b.len;
        ssize_t n = send(k->fd, b.ptr, some, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) return;
        if (n > 0) bytes_cut(&b, (size_t)n);
        if (n < 0 || k->cut) assert_int_equal(core_turn(rig.core, 0), 0);
    }
}

/* Let the library do what it can with in. */
static void pull(struct talk *k, struct bytes in)
{
    static char plain[TLS_RECORD_MAX], out[TLS_RECORD_MAX];
    do {
        size_t plain_len, out_len;
        k->rc = tls_pull(k->tls, &in, plain, sizeof plain, &plain_len, out, sizeof out,
                         &out_len);
        assert_true(k->len + plain_len <= sizeof k->heard);
        memcpy(k->heard + k->len, plain, plain_len);
        k->len += plain_len;
        send_all(k, (struct bytes){out, out_len});
    } while (k->rc == NET_OK);
}

/* Read what is there. */
static void hear(struct talk *k)
{
    static char wire[1 << 16];
    for (;;) {
        ssize_t n = recv(k->fd, wire, sizeof wire, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) k->end = true;
        if (n <= 0) return;
        if (k->tls) {
            pull(k, (struct bytes){wire, (size_t)n});
        } else {
            assert_true(k->len + (size_t)n < sizeof k->heard);
            memcpy(k->heard + k->len, wire, (size_t)n);
            k->len += (size_t)n;
        }
    }
}

static struct talk *talk_open(uint8_t listener, size_t cut)
{
    struct talk *k = calloc(1, sizeof *k);
    assert_non_null(k);
    k->fd = rig_dial(&rig, listener);
    k->cut = cut;
    k->rc = NET_MORE;
    if (listener == PLAIN) return k;
    k->tls = tls_client(client_ctx, "api.test", false, 1);
    assert_non_null(k->tls);
    pull(k, (struct bytes){0});
    for (int i = 0; i < 500 && !tls_ready(k->tls) && k->rc == NET_MORE && !k->end; i++) {
        rig_turn(&rig);
        hear(k);
    }
    rig_turn(&rig);                      /* in TLS 1.3 the client is ready first */
    return k;
}

static void say(struct talk *k, struct bytes plain)
{
    static char out[TLS_RECORD_MAX];
    if (!k->tls) send_all(k, plain);
    while (k->tls && plain.len) {
        send_all(k, (struct bytes){out, tls_seal(k->tls, &plain, out, sizeof out)});
    }
    rig_turn(&rig);
}

/* Wait until this and no more was heard. */
static void hears(struct talk *k, const char *want)
{
    for (int i = 0; i < 2000 && k->len < strlen(want) && !k->end; i++) {
        rig_turn(&rig);
        hear(k);
    }
    assert_int_equal(k->len, strlen(want));
    assert_memory_equal(k->heard, want, k->len);
    k->len = 0;
}

static void hears_end(struct talk *k)
{
    for (int i = 0; i < 2000 && !k->end; i++) {
        rig_turn(&rig);
        hear(k);
    }
    assert_true(k->end);
}

static void talk_close(struct talk *k)
{
    tls_close(k->tls);
    (void)close(k->fd);
    free(k);
    rig_turn(&rig);
}

#define GET(path) BYTES("GET " path " HTTP/1.1\r\nHost: h\r\n\r\n")

/* --- tests */

static void test_requests_one_after_another(void **state)
{
    (void)state;
    struct talk *k = talk_open(SECURE, 0);
    assert_true(tls_ready(k->tls));
    assert_int_equal(count(STAT_TLS_SHAKEN), 1);
    say(k, GET("/a"));
    hears(k, "[0]");
    say(k, BYTES("POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
                 "POST /c HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabcd"));
    hears(k, "[3][4]");
    assert_int_equal(rig.core->mem.bytes_used, 0);   /* an idle one holds no memory */
    assert_int_equal(rig.core->conns.used, 1);
    talk_close(k);
}

/* However the records are cut on their way, and requests larger than a record. */
static void test_every_cut_of_the_records(void **state)
{
    (void)state;
    static char body[40000];
    char head[128];
    for (size_t cut = 1; cut < 700; cut = cut < 40 ? cut + 1 : cut + 97) {
        struct talk *k = talk_open(SECURE, cut);
        assert_true(tls_ready(k->tls));
        say(k, BYTES("POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"));
        hears(k, "[3]");
        if (cut > 200) {
            (void)snprintf(head, sizeof head, "POST /b HTTP/1.1\r\nHost: h\r\n"
                           "Content-Length: %zu\r\n\r\n", sizeof body);
            say(k, bytes_of(head));
            say(k, (struct bytes){body, sizeof body});
            hears(k, "[40000]");
        }
        talk_close(k);
    }
}

/* An answer of many records, to a client that reads late: what waits as records is bounded. */
static void test_a_long_answer(void **state)
{
    (void)state;
    struct talk *k = talk_open(SECURE, 0);
    served.flood = 3u << 16;
    say(k, BYTES("POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"));
    struct conn *c = (struct conn *)(void *)slab_at(&rig.core->conns, 0);
    assert_true(c->wire.bytes <= 65536);
    assert_true(rig.core->mem.bytes_used <= 3 * MEM_BLOCK);
    for (int i = 0; i < 2000 && k->len < served.flood + 3; i++) {
        rig_turn(&rig);
        hear(k);
    }
    assert_int_equal(k->len, served.flood + 3);
    assert_memory_equal(k->heard + served.flood, "[0]", 3);
    talk_close(k);
}

/* close-notify (RFC 8446 section 6.1) after the last answer, after the client's, when idle. */
static void test_close_notify(void **state)
{
    (void)state;
    char bye[TLS_ALERT_MAX];
    struct talk *k = talk_open(SECURE, 0);
    say(k, BYTES("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    hears(k, "[0]");
    hears_end(k);
    assert_int_equal(k->rc, NET_DONE);
    talk_close(k);
    k = talk_open(SECURE, 0);
    size_t n = tls_goodbye(k->tls, bye, sizeof bye);
    send_all(k, (struct bytes){bye, n});
    (void)shutdown(k->fd, SHUT_WR);
    hears_end(k);
    assert_int_equal(k->rc, NET_DONE);
    talk_close(k);
    k = talk_open(SECURE, 0);
    rig_skip(&rig, 76 * second);
    hears_end(k);
    assert_int_equal(k->rc, NET_DONE);
    assert_int_equal(closed(CLOSE_CLIENT_IDLE), 1);
    talk_close(k);
}

/* A body that stops is a client that is gone, with close-notify as without. */
static void test_a_cut_off_body(void **state)
{
    (void)state;
    for (int polite = 0; polite < 2; polite++) {
        char bye[TLS_ALERT_MAX];
        struct talk *k = talk_open(SECURE, 0);
        say(k, BYTES("POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc"));
        if (polite) {
            send_all(k, (struct bytes){bye, tls_goodbye(k->tls, bye, sizeof bye)});
        } else {
            (void)shutdown(k->fd, SHUT_WR);
        }
        hears_end(k);
        talk_close(k);
    }
    assert_int_equal(served.bodies, 0);
    assert_int_equal(served.gones, 2);
}

static void test_a_damaged_record_gets_its_alert(void **state)
{
    (void)state;
    struct talk *k = talk_open(SECURE, 0);
    char record[5 + 32] = "\x17\x03\x03\x00\x20";
    send_all(k, (struct bytes){record, sizeof record});
    hears_end(k);
    assert_int_equal(k->rc, NET_BAD);
    assert_string_equal(tls_why(k->tls), "peer sent an alert");
    assert_int_equal(closed(CLOSE_TLS_BROKEN), 1);
    talk_close(k);
}

static void test_plain_http_is_told_so(void **state)
{
    (void)state;
    static const char *const cases[] = {"GET / HTTP/1.1\r\n\r\n", "g", "POST /x"};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct talk k = {.fd = rig_dial(&rig, SECURE)};
        served.refused = CLOSE_NONE;
        say(&k, bytes_of(cases[i]));
        if (i == 1) (void)shutdown(k.fd, SHUT_WR);
        hears(&k, "[refused]");
        hears_end(&k);
        assert_int_equal(served.refused, CLOSE_TLS_PLAIN);
        (void)close(k.fd);
        rig_turn(&rig);
    }
    assert_int_equal(count(STAT_TLS_FAILED), 0);
}

/* Nothing, half a hello, junk: each ends with its reason, and a look-in is no failure. */
static void test_handshakes_that_lead_nowhere(void **state)
{
    (void)state;
    struct talk k = {.fd = rig_dial(&rig, SECURE)};
    rig_skip(&rig, 11 * second);
    hears_end(&k);
    (void)close(k.fd);
    k = (struct talk){.fd = rig_dial(&rig, SECURE)};
    say(&k, BYTES("\x16\x03\x01\x02\x00\x01"));
    rig_skip(&rig, 11 * second);
    hears_end(&k);
    (void)close(k.fd);
    assert_int_equal(closed(CLOSE_TLS_SLOW), 2);
    k = (struct talk){.fd = rig_dial(&rig, SECURE)};
    say(&k, BYTES("\x80\x2e\x01"));
    hears_end(&k);
    (void)close(k.fd);
    k = (struct talk){.fd = rig_dial(&rig, SECURE)};
    say(&k, BYTES("\x16\x03\x01\x00\x04\x01\xff\xff\xff"));
    hears_end(&k);
    (void)close(k.fd);
    k = (struct talk){.fd = rig_dial(&rig, SECURE)};
    say(&k, BYTES("\x16\x03\x01\x02\x00\x01"));
    (void)close(k.fd);
    rig_turn(&rig);
    assert_int_equal(closed(CLOSE_TLS_FAILED), 3);
    k = (struct talk){.fd = rig_dial(&rig, SECURE)};
    (void)close(k.fd);
    rig_turn(&rig);
    assert_int_equal(closed(CLOSE_TLS_FAILED), 3);
    rig_check_empty(&rig);
}

/* A proxy says who asks before the hello (PROXY protocol, section 2), or does not. */
static void test_a_proxy_before_the_hello(void **state)
{
    (void)state;
    static const char *const headers[] = {"PROXY TCP4 192.0.2.1 192.0.2.2 5 443\r\n", ""};
    served.trusts = true;
    for (size_t i = 0; i < COUNT(headers) * 2; i++) {
        struct talk *k = calloc(1, sizeof *k);
        assert_non_null(k);
        *k = (struct talk){.fd = rig_dial(&rig, SECURE), .rc = NET_MORE, .cut = i < 2 ? 0 : 7};
        send_all(k, bytes_of(headers[i % 2]));
        k->tls = tls_client(client_ctx, "api.test", false, 1);
        pull(k, (struct bytes){0});
        for (int turn = 0; turn < 500 && !tls_ready(k->tls) && !k->end; turn++) {
            rig_turn(&rig);
            hear(k);
        }
        say(k, GET("/a"));
        hears(k, "[0]");
        talk_close(k);
    }
    struct talk bad = {.fd = rig_dial(&rig, SECURE)};
    say(&bad, BYTES("PROXY nonsense\r\n"));
    hears(&bad, "[refused]");
    hears_end(&bad);
    assert_int_equal(served.refused, CLOSE_PROXY_BAD);
    (void)close(bad.fd);
    rig_turn(&rig);
}

static unsigned begun(void)
{
    return tls_ctx_users(cert_ctx(cert, 0));
}

/* A thousand hellos at once: few steps a turn, in order; who speaks plainly on the same core
 * is served long before they are through. */
static void test_a_storm_starves_nobody(void **state)
{
    (void)state;
    rig_close(&rig);
    struct rlimit rl = {0};
    (void)getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &rl);
    assert_true(rl.rlim_cur > 2 * STORM + 100);
    begin((struct core_limits){.conns = STORM + 8, .upstreams = 4, .exchanges = 4,
                               .segs = 8000, .rx_count = 256, .rx_bytes = 4096,
                               .region_bytes = 256 * MEM_BLOCK, .wipe = true});
    static char hello[4096];
    static int fd[STORM];
    struct tls *one = tls_client(client_ctx, "api.test", false, 2);
    struct bytes none = {0};
    size_t plain_len, len;
    static char room[TLS_RECORD_MAX];
    assert_int_equal(tls_pull(one, &none, hello, 1, &plain_len, room, sizeof room, &len),
                     NET_OK);
    tls_close(one);
    for (size_t i = 0; i < STORM; i++) {
        fd[i] = rig_dial(&rig, SECURE);
        assert_int_equal(send(fd[i], room, len, MSG_NOSIGNAL), len);
    }
    struct talk k = {.fd = rig_dial(&rig, PLAIN)};
    struct bytes ask = GET("/a");
    assert_int_equal(send(k.fd, ask.ptr, ask.len, MSG_NOSIGNAL), ask.len);
    unsigned before = 0, turns = 0, served_at = 0;
    for (; begun() < STORM && turns < 4 * STORM; turns++) {
        assert_int_equal(core_turn(rig.core, 0), 0);
        assert_true(begun() - before <= STEPS_A_TURN);
        before = begun();
        hear(&k);
        if (k.len && !served_at) served_at = begun();
    }
    assert_int_equal(begun(), STORM);
    assert_int_equal(k.len, 3);
    assert_true(served_at < STORM / 10);
    assert_true(turns >= STORM / STEPS_A_TURN);
    for (size_t i = 0; i < STORM; i++) (void)close(fd[i]);
    (void)close(k.fd);
    rig_turn(&rig);
    rig_check_empty(&rig);
}

/* The pool of the TLS library is used up: who asks for TLS then is refused, others are not. */
static void test_an_empty_pool_is_an_answer(void **state)
{
    (void)state;
    enum { BLOCK = 1024, ALL = 1 << 17 };
    static void *taken[ALL];
    size_t held = 0;
    struct talk *k = talk_open(SECURE, 0), *plain = talk_open(PLAIN, 0);
    say(k, GET("/a"));
    hears(k, "[0]");
    while (held < ALL && (taken[held] = OPENSSL_memory_alloc(BLOCK)) != NULL) held++;
    assert_true(held > 100 && held < ALL);
    struct talk late = {.fd = rig_dial(&rig, SECURE)};
    say(&late, BYTES("\x16\x03\x01\x00\x04\x01\x00\x40\x00"));
    hears_end(&late);
    (void)close(late.fd);
    assert_int_equal(closed(CLOSE_TLS_MEMORY), 1);
    assert_true(count(STAT_NO_MEMORY) >= 1);
    say(plain, GET("/a"));
    hears(plain, "[0]");
    while (held) OPENSSL_memory_free(taken[--held]);
    say(k, GET("/b"));
    hears(k, "[0]");
    talk_close(k);
    talk_close(plain);
    k = talk_open(SECURE, 0);
    assert_true(tls_ready(k->tls));
    talk_close(k);
}

/* What is not a whole record yet lies in the region, not in the library's memory. */
static void test_half_a_record_costs_the_pool_nothing(void **state)
{
    (void)state;
    struct talk *k = talk_open(SECURE, 0);
    say(k, GET("/a"));
    hears(k, "[0]");
    size_t before = heap_used();
    char half[1500] = "\x17\x03\x03\x40\x00";
    send_all(k, (struct bytes){half, sizeof half});
    rig_turn(&rig);
    assert_int_equal(heap_used(), before);
    assert_true(rig.core->mem.bytes_used >= MEM_PAGE);
    talk_close(k);
}

/* Where memory is short: who has not shaken hands gets no more than a page; who has may send a
 * body in the record of a small head. */
static void test_half_a_hello_where_memory_is_short(void **state)
{
    (void)state;
    enum { BODY = 8000 };
    static uint32_t block[1 << 16];
    static char half[MEM_PAGE + 1] = "\x16\x03\x01\x3e\x80", post[BODY + 200];
    uint32_t taken = 0;
    char *ptr;
    served.header_max = MEM_BLOCK;
    struct talk *known = talk_open(SECURE, 0);
    while (!mem_is_tight(&rig.core->mem)) {
        assert_true(mem_block_take(&rig.core->mem, &block[taken++], &ptr));
    }
    struct talk few = {.fd = rig_dial(&rig, SECURE)}, many = {.fd = rig_dial(&rig, SECURE)};
    send_all(&few, (struct bytes){half, MEM_PAGE});
    send_all(&many, (struct bytes){half, sizeof half});
    for (int i = 0; i < 5; i++) rig_turn(&rig);
    hear(&few);
    assert_false(few.end);
    hear(&many);
    assert_true(many.end);
    assert_int_equal(closed(CLOSE_OVERLOADED), 1);
    int n = snprintf(post, sizeof post, "POST /a HTTP/1.1\r\nHost: h\r\n"
                     "Content-Length: %d\r\n\r\n", BODY);
    memset(post + n, 'b', BODY);
    say(known, (struct bytes){post, (size_t)n + BODY});
    hears(known, "[8000]");
    while (taken > 0) mem_block_give(&rig.core->mem, block[--taken], 0);
    talk_close(known);
    (void)close(few.fd);
    (void)close(many.fd);
    rig_turn(&rig);
}

static int make_world(void **state)
{
    (void)state;
    const char *why = NULL;
    bool at_key;
    assert_true(heap_boot(64 << 20));
    struct identity id = identity_make(NULL, "leaf", "DNS:api.test", -DAY, DAY);
    const struct identity *ids[] = {&id};
    struct bytes chain = pem_chain(ids, 1), key = pem_key(id.key, NULL);
    struct tls_pair *pair = NULL;
    assert_int_equal(tls_pair_open(chain, key, &pair, &at_key, &why), NET_OK);
    free((void *)(uintptr_t)chain.ptr);
    free((void *)(uintptr_t)key.ptr);
    identity_free(&id);
    cert = cert_make(&pair, 1);
    assert_true(cert && !pair);
    tables = calloc(1, sizeof *tables);
    struct tls_client_config config = {.insecure = true};
    assert_int_equal(tls_client_open(&config, &client_ctx, &why), NET_OK);
    return tables ? 0 : -1;
}

static int end_world(void **state)
{
    (void)state;
    tls_ctx_close(client_ctx);
    cert_drop(cert);
    free(tables);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_requests_one_after_another, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_cut_of_the_records, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_long_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close_notify, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_cut_off_body, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_damaged_record_gets_its_alert, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plain_http_is_told_so, setup, teardown),
        cmocka_unit_test_setup_teardown(test_handshakes_that_lead_nowhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_proxy_before_the_hello, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_storm_starves_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_empty_pool_is_an_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_half_a_record_costs_the_pool_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_half_a_hello_where_memory_is_short, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, make_world, end_world);
}
