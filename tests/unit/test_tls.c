/* test_tls.c - net/tls.c against a server of the same library, over memory. Certificates are
 * made here, so that every fault of one can be had. Input, plain and out end at unreadable
 * pages. Each call is made under the seal of engine/heap.h, which does something in
 * test_tls_sealed.c only: there the same tests prove that TLS needs no malloc. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "engine/heap.h"
#include "net/tls.h"
#include "tests/unit/identity.h"

enum { WIRE_MAX = 1 << 18, PAGE = 4096 };

struct world {                   /* made once */
    struct identity ca, stranger, forger; /* forger: another key under ca's name */
    struct tls_ctx *client;
    char ca_path[64];
    char *in_end;                /* WIRE_MAX bytes end here, at an unreadable page */
    char *out;                   /* TLS_RECORD_MAX bytes, then an unreadable page */
    char *plain;                 /* 5000 bytes, then an unreadable page */
};

enum { PLAIN_ROOM = 5000 };

struct peer {                    /* a server connection */
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *rx, *tx;                /* memory; owned by ssl */
    char sni[256];
    bool alpn_is_http;
};

struct talk {                    /* what a client connection came to */
    struct tls *tls;
    enum net_rc rc;
    size_t alert_bytes;          /* sent with the failure */
    char got[WIRE_MAX];
    size_t got_len;
};

static struct world world;

static char *guarded(size_t bytes)
{
    size_t room = (bytes + PAGE - 1) / PAGE * PAGE;
    char *at = mmap(NULL, room + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                    -1, 0);
    assert_ptr_not_equal(at, MAP_FAILED);
    assert_int_equal(mprotect(at + room, PAGE, PROT_NONE), 0);
    return at + room - bytes;
}

/* --- certificates */

static struct identity leaf(const char *names)
{
    return identity_make(&world.ca, "leaf", names, -DAY, DAY);
}

/* --- the server */

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned in_len, void *arg)
{
    struct peer *p = arg;
    (void)ssl;
    p->alpn_is_http = in_len == 9 && memcmp(in, "\x08http/1.1", 9) == 0;
    *out = in + 1;
    *out_len = in[0];
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *server_ctx(const struct identity *id, int version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(ctx, (uint16_t)version), 1);
    assert_int_equal(SSL_CTX_use_certificate(ctx, id->cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, id->key), 1);
    assert_int_equal(SSL_CTX_set1_curves_list(ctx, "P-256:X25519"), 1);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"t", 1);
    return ctx;
}

static void peer_open(struct peer *p, SSL_CTX *ctx)
{
    *p = (struct peer){.ctx = ctx, .ssl = SSL_new(ctx)};
    p->rx = BIO_new(BIO_s_mem());
    p->tx = BIO_new(BIO_s_mem());
    SSL_set_bio(p->ssl, p->rx, p->tx);
    SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, p);
    SSL_set_accept_state(p->ssl);
}

/* Let the server read what is there; gives what SSL_read gave. */
static int peer_read(struct peer *p, char *to, int room)
{
    int n = SSL_read(p->ssl, to, room);
    const char *sni = SSL_get_servername(p->ssl, TLSEXT_NAMETYPE_host_name);
    if (sni) (void)snprintf(p->sni, sizeof p->sni, "%s", sni);
    return n;
}

/* --- the client */

/* Feed len bytes, from memory that ends at an unreadable page, until all is drawn. */
static void feed(struct talk *k, struct peer *p, const char *bytes, size_t len)
{
    char *at = world.in_end - len;
    if (len) memcpy(at, bytes, len);
    struct bytes in = {at, len};
    for (;;) {
        size_t plain_len, out_len;
        heap_seal();
        k->rc = tls_pull(k->tls, &in, world.plain, PLAIN_ROOM, &plain_len, world.out,
                         TLS_RECORD_MAX, &out_len);
        heap_unseal();
        assert_true(plain_len <= PLAIN_ROOM && out_len <= TLS_RECORD_MAX);
        assert_true(k->got_len + plain_len <= sizeof k->got);
        memcpy(k->got + k->got_len, world.plain, plain_len);
        k->got_len += plain_len;
        if (out_len) {
            assert_int_equal(BIO_write(p->rx, world.out, (int)out_len), out_len);
        }
        if (k->rc == NET_OK) assert_true(plain_len > 0 || out_len > 0);
        if (k->rc == NET_MORE) assert_true(in.len == 0 && out_len == 0);
        if (k->rc != NET_OK) assert_true(plain_len == 0);  /* data comes before the end */
        if (k->rc == NET_BAD) k->alert_bytes += out_len;
        if (k->rc != NET_OK) return;
    }
}

static struct talk *talk_open(struct peer *p, const char *host, bool is_ip, uint32_t key)
{
    struct talk *k = calloc(1, sizeof *k);
    assert_non_null(k);
    heap_seal();
    k->tls = tls_client(world.client, host, is_ip, key);
    heap_unseal();
    assert_non_null(k->tls);
    assert_false(tls_ready(k->tls));
    feed(k, p, NULL, 0);
    assert_int_equal(k->rc, NET_MORE);
    return k;
}

static void talk_close(struct talk *k)
{
    heap_seal();
    tls_close(k->tls);
    heap_unseal();
    free(k);
}

/* Bring over what the server has to send, cut bytes at a time. */
static void deliver(struct talk *k, struct peer *p, size_t cut)
{
    char wire[TLS_RECORD_MAX];
    int n;
    while ((n = BIO_read(p->tx, wire, (int)(cut < sizeof wire ? cut : sizeof wire))) > 0) {
        feed(k, p, wire, (size_t)n);
        if (k->rc == NET_BAD || k->rc == NET_DONE) return;
    }
}

/* Handshake to its end or failure; the server reads nothing but handshake. */
static void shake(struct talk *k, struct peer *p, size_t cut)
{
    char none[1];
    for (int turn = 0; turn < 6 && k->rc == NET_MORE; turn++) {
        (void)peer_read(p, none, 0);
        (void)SSL_do_handshake(p->ssl);
        deliver(k, p, cut);
    }
}

static void send_all(struct talk *k, struct peer *p, const char *bytes, size_t len)
{
    struct bytes plain = {bytes, len};
    while (plain.len) {
        heap_seal();
        size_t n = tls_seal(k->tls, &plain, world.out, TLS_RECORD_MAX);
        heap_unseal();
        assert_true(n > 0);
        assert_int_equal(BIO_write(p->rx, world.out, (int)n), n);
    }
}

static void fill(char *to, size_t len)
{
    for (size_t i = 0; i < len; i++) to[i] = (char)(i * 31 + i / 251);
}

/* --- tests */

/* However the wire is cut, both versions shake hands and carry both directions. */
static void test_talks_in_both_versions_however_cut(void **state)
{
    static const size_t cuts[] = {1, 2, 3, 5, 6, 29, 100, 1000, 4096, TLS_RECORD_MAX};
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    static char sent[40000], got[40000];
    (void)state;
    fill(sent, sizeof sent);
    struct identity id = leaf("DNS:api.test");
    for (size_t i = 0; i < COUNT(cuts) * COUNT(versions); i++) {
        struct peer p;
        SSL_CTX *ctx = server_ctx(&id, versions[i % 2]);
        peer_open(&p, ctx);
        struct talk *k = talk_open(&p, "api.test", false, (uint32_t)i + 1000);
        shake(k, &p, cuts[i / 2]);
        assert_true(tls_ready(k->tls));
        assert_false(tls_resumed(k->tls));
        assert_string_equal(tls_why(k->tls), "");
        assert_int_equal(SSL_version(p.ssl), versions[i % 2]);
        assert_string_equal(p.sni, "api.test");   /* RFC 6066 section 3 */
        assert_true(p.alpn_is_http);              /* RFC 7301 section 3.1 */
        send_all(k, &p, sent, sizeof sent);
        for (size_t n = 0; n < sizeof got;) {
            int more = peer_read(&p, got + n, (int)(sizeof got - n));
            assert_true(more > 0);
            n += (size_t)more;
        }
        assert_memory_equal(sent, got, sizeof got);
        for (size_t n = 0; n < sizeof sent;) {
            int more = SSL_write(p.ssl, sent + n, (int)(sizeof sent - n));
            assert_true(more > 0);
            n += (size_t)more;
        }
        deliver(k, &p, cuts[i / 2]);
        assert_int_equal(k->rc, NET_MORE);
        assert_int_equal(k->got_len, sizeof sent);
        assert_memory_equal(k->got, sent, sizeof sent);
        talk_close(k);
        SSL_free(p.ssl);
        SSL_CTX_free(ctx);
    }
    identity_free(&id);
}

/* Every place to cut the server's flights in two. */
static void test_every_cut_of_the_handshake(void **state)
{
    (void)state;
    struct identity id = leaf("DNS:api.test");
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t v = 0; v < COUNT(versions); v++) {
        SSL_CTX *ctx = server_ctx(&id, versions[v]);
        size_t total = 1;
        for (size_t cut = 1; cut < total + 1; cut++) {
            struct peer p;
            char wire[8192];
            peer_open(&p, ctx);
            struct talk *k = talk_open(&p, "api.test", false, 1);
            (void)SSL_do_handshake(p.ssl);
            int n = BIO_read(p.tx, wire, sizeof wire);
            assert_true(n > 0);
            total = (size_t)n;
            size_t first = cut < total ? cut : total;
            feed(k, &p, wire, first);
            assert_int_equal(k->rc, NET_MORE);
            feed(k, &p, wire + first, total - first);
            shake(k, &p, TLS_RECORD_MAX);
            assert_true(tls_ready(k->tls));
            talk_close(k);
            SSL_free(p.ssl);
        }
        SSL_CTX_free(ctx);
    }
    identity_free(&id);
}

/* RFC 9525 section 6: what a certificate must say, and how we name what is wrong. */
static void test_certificates_are_judged(void **state)
{
    (void)state;
    static const char other_host[] = "certificate is not for this host";
    static const struct {
        const char *host, *names, *cn, *why;
        bool is_ip;
        const struct identity *by;
        long from_s, to_s;
    } cases[] = {
        {"api.test", "DNS:api.test", "x", "", 0, 0, -DAY, DAY},
        {"API.test", "DNS:other.test,DNS:api.TEST", "x", "", 0, 0, -DAY, DAY},
        {"api.test", "DNS:*.test.org,DNS:*.test", "x", other_host, 0, 0, -DAY, DAY},
        {"a.b.test", "DNS:*.b.test", "x", "", 0, 0, -DAY, DAY},
        {"a.b.test", "DNS:*.test", "x", other_host, 0, 0, -DAY, DAY},
        {"ab.b.test", "DNS:a*.b.test", "x", other_host, 0, 0, -DAY, DAY},
        {"api.test", "DNS:api.test.evil", "x", other_host, 0, 0, -DAY, DAY},
        {"api.test", NULL, "api.test", other_host, 0, 0, -DAY, DAY},
        {"127.0.0.1", "IP:127.0.0.1", "x", "", 1, 0, -DAY, DAY},
        {"::1", "IP:::1", "x", "", 1, 0, -DAY, DAY},
        {"127.0.0.1", "IP:127.0.0.2", "x", other_host, 1, 0, -DAY, DAY},
        {"127.0.0.1", "DNS:127.0.0.1", "x", other_host, 1, 0, -DAY, DAY},
        {"api.test", "DNS:api.test", "x", "certificate has expired", 0, 0, -2 * DAY, -DAY},
        {"api.test", "DNS:api.test", "x", "certificate is not valid yet", 0, 0, DAY, 2 * DAY},
        {"api.test", "DNS:api.test", "x", "certificate not trusted", 0, &world.stranger,
         -DAY, DAY},
        {"api.test", "DNS:api.test", "x", "certificate not trusted", 0, &world.forger,
         -DAY, DAY},
    };
    for (size_t i = 0; i < COUNT(cases) * 2; i++) {
        size_t c = i / 2;
        struct identity id = identity_make(cases[c].by ? cases[c].by : &world.ca,
                                           cases[c].cn, cases[c].names, cases[c].from_s,
                                           cases[c].to_s);
        SSL_CTX *ctx = server_ctx(&id, i % 2 ? TLS1_3_VERSION : TLS1_2_VERSION);
        struct peer p;
        peer_open(&p, ctx);
        struct talk *k = talk_open(&p, cases[c].host, cases[c].is_ip, (uint32_t)i);
        shake(k, &p, TLS_RECORD_MAX);
        bool good = cases[c].why[0] == 0;
        assert_string_equal(tls_why(k->tls), cases[c].why);
        assert_int_equal(tls_ready(k->tls), good);
        assert_int_equal(tls_failed(k->tls), !good);
        assert_int_equal(k->rc, good ? NET_MORE : NET_BAD);
        if (good) assert_string_equal(p.sni, cases[c].is_ip ? "" : cases[c].host);
        if (!good) {
            assert_true(k->alert_bytes > 0);  /* RFC 8446 section 6.2: say so */
            feed(k, &p, NULL, 0);
            assert_int_equal(k->rc, NET_BAD); /* and stay so */
        }
        talk_close(k);
        SSL_free(p.ssl);
        SSL_CTX_free(ctx);
        identity_free(&id);
    }
}

/* One connection to ctx, with some data so that tickets arrive; gives whether it resumed. */
static bool connect_once(SSL_CTX *ctx, const char *host, uint32_t key)
{
    struct peer p;
    peer_open(&p, ctx);
    struct talk *k = talk_open(&p, host, false, key);
    shake(k, &p, TLS_RECORD_MAX);
    assert_true(tls_ready(k->tls));
    assert_int_equal(SSL_write(p.ssl, "hi", 2), 2);
    deliver(k, &p, TLS_RECORD_MAX);
    assert_int_equal(k->got_len, 2);
    bool resumed = tls_resumed(k->tls);
    assert_int_equal(resumed, SSL_session_reused(p.ssl));
    talk_close(k);
    SSL_free(p.ssl);
    return resumed;
}

static void test_sessions_are_resumed_by_key_and_host(void **state)
{
    (void)state;
    struct identity id = leaf("DNS:api.test,DNS:other.test");
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t v = 0; v < COUNT(versions); v++) {
        SSL_CTX *ctx = server_ctx(&id, versions[v]);
        uint32_t key = 50000 + (uint32_t)v;
        assert_false(connect_once(ctx, "api.test", key));
        assert_true(connect_once(ctx, "api.test", key));
        assert_true(connect_once(ctx, "api.test", key));
        assert_false(connect_once(ctx, "api.test", key + 100));
        assert_false(connect_once(ctx, "other.test", key));  /* never another host's */
        assert_true(connect_once(ctx, "api.test", key));
        SSL_CTX_free(ctx);
    }
    identity_free(&id);
}

/* RFC 8446 appendix C.4: a ticket is offered once. */
static void test_a_ticket_is_offered_once(void **state)
{
    (void)state;
    struct identity id = leaf("DNS:api.test");
    SSL_CTX *ctx = server_ctx(&id, TLS1_3_VERSION);
    assert_false(connect_once(ctx, "api.test", 7));
    struct peer a, b;
    peer_open(&a, ctx);
    struct talk *first = talk_open(&a, "api.test", false, 7);
    peer_open(&b, ctx);
    struct talk *second = talk_open(&b, "api.test", false, 7);
    shake(first, &a, TLS_RECORD_MAX);
    shake(second, &b, TLS_RECORD_MAX);
    assert_true(tls_resumed(first->tls));
    assert_false(tls_resumed(second->tls));
    talk_close(first);
    talk_close(second);
    SSL_free(a.ssl);
    SSL_free(b.ssl);
    SSL_CTX_free(ctx);
    identity_free(&id);
}

/* More keys than slots: the newest stays, and nothing leaks (under ASan). */
static void test_the_session_cache_is_bounded(void **state)
{
    (void)state;
    struct identity id = leaf("DNS:api.test");
    SSL_CTX *ctx = server_ctx(&id, TLS1_2_VERSION);
    for (uint32_t key = 0; key < TLS_SESSIONS_MAX + 40; key++) {
        (void)connect_once(ctx, "api.test", key * 977);
        assert_true(connect_once(ctx, "api.test", key * 977));
    }
    SSL_CTX_free(ctx);
    identity_free(&id);
}

/* RFC 8446 section 6.1: data before close-notify arrives, then the end, both ways. */
static void test_close_notify(void **state)
{
    (void)state;
    struct identity id = leaf("DNS:api.test");
    for (int i = 0; i < 2; i++) {
        SSL_CTX *ctx = server_ctx(&id, i ? TLS1_3_VERSION : TLS1_2_VERSION);
        struct peer p;
        char buf[16], bye[TLS_ALERT_MAX];
        peer_open(&p, ctx);
        struct talk *k = talk_open(&p, "api.test", false, 3000);
        assert_int_equal(tls_goodbye(k->tls, bye, sizeof bye), 0);  /* nothing was said yet */
        shake(k, &p, TLS_RECORD_MAX);
        assert_int_equal(SSL_write(p.ssl, "last", 4), 4);
        (void)SSL_shutdown(p.ssl);
        deliver(k, &p, TLS_RECORD_MAX);
        assert_int_equal(k->rc, NET_DONE);
        assert_int_equal(k->got_len, 4);
        feed(k, &p, NULL, 0);
        assert_int_equal(k->rc, NET_DONE);
        assert_string_equal(tls_why(k->tls), "");
        send_all(k, &p, "ok", 2);  /* the other direction is open still */
        heap_seal();
        size_t n = tls_goodbye(k->tls, bye, sizeof bye);
        heap_unseal();
        assert_true(n > 0 && n <= sizeof bye);
        assert_int_equal(tls_goodbye(k->tls, world.out, TLS_RECORD_MAX), 0);
        BIO_write(p.rx, bye, (int)n);
        assert_int_equal(peer_read(&p, buf, sizeof buf), 2);
        int rc = peer_read(&p, buf, sizeof buf);
        assert_int_equal(SSL_get_error(p.ssl, rc), SSL_ERROR_ZERO_RETURN);
        talk_close(k);
        SSL_free(p.ssl);
        SSL_CTX_free(ctx);
    }
    identity_free(&id);
}

/* A flipped bit anywhere in a record is found; what came before it is still delivered. */
static void test_corrupted_records(void **state)
{
    (void)state;
    struct identity id = leaf("DNS:api.test");
    for (int i = 0; i < 2; i++) {
        SSL_CTX *ctx = server_ctx(&id, i ? TLS1_3_VERSION : TLS1_2_VERSION);
        size_t total = 1;
        for (size_t at = 0; at < total; at++) {
            struct peer p;
            char wire[512];
            peer_open(&p, ctx);
            struct talk *k = talk_open(&p, "api.test", false, 4000);
            shake(k, &p, TLS_RECORD_MAX);
            size_t before = (size_t)BIO_read(p.tx, wire, sizeof wire);
            assert_int_equal(before, (size_t)-1);
            assert_int_equal(SSL_write(p.ssl, "good", 4), 4);
            size_t good = (size_t)BIO_read(p.tx, wire, sizeof wire);
            assert_int_equal(SSL_write(p.ssl, "evil", 4), 4);
            total = (size_t)BIO_read(p.tx, wire + good, (int)(sizeof wire - good));
            wire[good + at] ^= 0x40;
            feed(k, &p, wire, good + total);
            assert_int_equal(k->got_len, 4);
            assert_memory_equal(k->got, "good", 4);
            if (at == 3 || at == 4) assert_true(k->rc == NET_BAD || k->rc == NET_MORE);
            else assert_int_equal(k->rc, NET_BAD);  /* but for the length: more may follow */
            if (at > 4) {
                struct bytes more = BYTES("x");
                assert_string_equal(tls_why(k->tls), "corrupted record");
                assert_false(tls_ready(k->tls));
                assert_int_equal(tls_seal(k->tls, &more, world.out, TLS_RECORD_MAX), 0);
                assert_int_equal(more.len, 1);
                assert_int_equal(tls_goodbye(k->tls, world.out, TLS_RECORD_MAX), 0);
            }
            talk_close(k);
            SSL_free(p.ssl);
        }
        SSL_CTX_free(ctx);
    }
    identity_free(&id);
}

/* Alerts (RFC 8446 section 6) and what is no TLS at all. */
static void test_peers_that_do_not_speak_our_tls(void **state)
{
    (void)state;
    static const struct { const char *wire, *why; size_t len; } cases[] = {
        {"HTTP/1.1 400 Bad Request\r\n\r\n", "peer does not speak TLS", 28},
        {"\x15\x03\x03\x00\x02\x02\x28", "peer refused the handshake", 7},
        {"\x15\x03\x03\x00\x02\x02\x46", "no common TLS version", 7},
        {"\x15\x03\x03\x00\x02\x02\x70", "peer does not know this host", 7},
        {"\x15\x03\x03\x00\x02\x02\x16", "peer sent an alert", 7},
        {"\x15\x03\x03\x00\x02\x01\x00", "peer closed during the handshake", 7},
        {"\x16\x03\x03\xff\xff\x02\x16", "record too long", 7},
        {"\x17\x03\x03\x00\x02\x02\x16", "handshake failed", 7},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct identity id = leaf("DNS:api.test");
        SSL_CTX *ctx = server_ctx(&id, TLS1_3_VERSION);
        struct peer p;
        peer_open(&p, ctx);
        struct talk *k = talk_open(&p, "api.test", false, 5000);
        for (size_t n = 0; n < cases[i].len && k->rc == NET_MORE; n++) {
            feed(k, &p, cases[i].wire + n, 1);
        }
        assert_int_equal(k->rc, NET_BAD);
        assert_string_equal(tls_why(k->tls), cases[i].why);
        talk_close(k);
        SSL_free(p.ssl);
        SSL_CTX_free(ctx);
        identity_free(&id);
    }
}

/* A server of TLS 1.1 is refused (RFC 8996 section 5). */
static void test_old_versions_are_refused(void **state)
{
    (void)state;
    struct identity id = leaf("DNS:api.test");
    SSL_CTX *ctx = server_ctx(&id, TLS1_1_VERSION);
    struct peer p;
    peer_open(&p, ctx);
    struct talk *k = talk_open(&p, "api.test", false, 6000);
    shake(k, &p, TLS_RECORD_MAX);
    assert_int_equal(k->rc, NET_BAD);
    assert_string_equal(tls_why(k->tls), "no common TLS version");
    talk_close(k);
    SSL_free(p.ssl);
    SSL_CTX_free(ctx);
    identity_free(&id);
}

/* RFC 9325 section 4.2: a server that has only CBC to offer in TLS 1.2 is not ours. */
static void test_weak_ciphers_are_refused(void **state)
{
    (void)state;
    struct identity id = leaf("DNS:api.test");
    SSL_CTX *ctx = server_ctx(&id, TLS1_2_VERSION);
    assert_int_equal(SSL_CTX_set_cipher_list(ctx, "ECDHE-ECDSA-AES128-SHA"), 1);
    struct peer p;
    peer_open(&p, ctx);
    struct talk *k = talk_open(&p, "api.test", false, 7000);
    shake(k, &p, TLS_RECORD_MAX);
    assert_int_equal(k->rc, NET_BAD);
    assert_string_equal(tls_why(k->tls), "peer refused the handshake");
    talk_close(k);
    SSL_free(p.ssl);
    SSL_CTX_free(ctx);
    identity_free(&id);
}

/* Every room from none to a little more than needed, and the largest record
 * (RFC 8446 section 5.1: 16384 plain bytes). */
static void test_seal_fits_its_room(void **state)
{
    (void)state;
    static char text[60000], got[60000], room[60000];
    struct identity id = leaf("DNS:api.test");
    fill(text, sizeof text);
    for (int i = 0; i < 2; i++) {
        SSL_CTX *ctx = server_ctx(&id, i ? TLS1_3_VERSION : TLS1_2_VERSION);
        struct peer p;
        peer_open(&p, ctx);
        struct talk *k = talk_open(&p, "api.test", false, 8000);
        shake(k, &p, TLS_RECORD_MAX);
        size_t sent = 0, received = 0;
        for (size_t n = 0; n <= TLS_SEAL_EXTRA + 40; n++) {
            struct bytes plain = {text + sent, sizeof text - sent};
            size_t out = tls_seal(k->tls, &plain, world.out + TLS_RECORD_MAX - n, n);
            size_t took = sizeof text - sent - plain.len;
            assert_int_equal(took, n <= TLS_SEAL_EXTRA ? 0 : n - TLS_SEAL_EXTRA);
            assert_int_equal(out > 0, took > 0);
            assert_true(out <= n);
            BIO_write(p.rx, world.out + TLS_RECORD_MAX - n, (int)out);
            sent += took;
        }
        struct bytes whole = {text + sent, 16384};
        size_t out = tls_seal(k->tls, &whole, world.out, TLS_RECORD_MAX);
        assert_int_equal(whole.len, 0);
        BIO_write(p.rx, world.out, (int)out);
        sent += 16384;
        struct bytes rest = {text + sent, sizeof text - sent};
        out = tls_seal(k->tls, &rest, room, sizeof room);
        assert_int_equal(rest.len, 0);
        BIO_write(p.rx, room, (int)out);
        while (received < sizeof got) {
            int n = peer_read(&p, got + received, (int)(sizeof got - received));
            assert_true(n > 0);
            received += (size_t)n;
        }
        assert_memory_equal(text, got, sizeof got);
        talk_close(k);
        SSL_free(p.ssl);
        SSL_CTX_free(ctx);
    }
    identity_free(&id);
}

/* RFC 8446 section 4.6.3: the answer to a key update shares the room of the next record. */
static void test_key_update(void **state)
{
    (void)state;
    static char text[16384], got[16384];
    fill(text, sizeof text);
    struct identity id = leaf("DNS:api.test");
    SSL_CTX *ctx = server_ctx(&id, TLS1_3_VERSION);
    struct peer p;
    peer_open(&p, ctx);
    struct talk *k = talk_open(&p, "api.test", false, 9000);
    shake(k, &p, TLS_RECORD_MAX);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(SSL_key_update(p.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_write(p.ssl, "hi", 2), 2);
        deliver(k, &p, TLS_RECORD_MAX);
        struct bytes plain = {text, sizeof text};
        size_t n = tls_seal(k->tls, &plain, world.out, TLS_RECORD_MAX);
        assert_int_equal(plain.len, 0);
        BIO_write(p.rx, world.out, (int)n);
        assert_int_equal(peer_read(&p, got, sizeof got), sizeof got);
        assert_memory_equal(text, got, sizeof got);
    }
    talk_close(k);
    SSL_free(p.ssl);
    SSL_CTX_free(ctx);
    identity_free(&id);
}

static void test_contexts_say_what_is_wrong(void **state)
{
    (void)state;
    struct tls_ctx *ctx = NULL;
    const char *why = NULL;
    struct tls_client_config config = {.ca_file = "/nonexistent.pem"};
    unsetenv("SSL_CERT_DIR");
    assert_int_equal(tls_client_open(&config, &ctx, &why), NET_BAD);
    assert_string_equal(why, "no certificate in the file of private roots");
    config.ca_file = NULL;
    assert_int_equal(setenv("SSL_CERT_FILE", "/nonexistent.pem", 1), 0);
    assert_int_equal(tls_client_open(&config, &ctx, &why), NET_BAD);
    assert_non_null(strstr(why, "no trusted certificates"));
    assert_int_equal(setenv("SSL_CERT_FILE", world.ca_path, 1), 0);
    assert_int_equal(tls_client_open(&config, &ctx, &why), NET_OK);
    tls_ctx_close(ctx);
    unsetenv("SSL_CERT_FILE");
    char dir[] = "/tmp/weir-tls-dir-XXXXXX", path[128];
    assert_non_null(mkdtemp(dir));
    assert_int_equal(setenv("SSL_CERT_DIR", dir, 1), 0);
    assert_int_equal(tls_client_open(&config, &ctx, &why), NET_BAD);
    (void)snprintf(path, sizeof path, "%s/root.pem", dir);
    assert_int_equal(symlink(world.ca_path, path), 0);
    assert_int_equal(tls_client_open(&config, &ctx, &why), NET_OK);
    tls_ctx_close(ctx);
    unlink(path);
    rmdir(dir);
    unsetenv("SSL_CERT_DIR");
    assert_non_null(strstr(tls_library(), "SSL"));
    tls_close(NULL);
    tls_ctx_close(NULL);
}

static int make_world(void **state)
{
    (void)state;
    const char *why = NULL;
#ifdef TEST_SEALED
    assert_true(heap_boot(16 << 20));
#endif
    world.ca = identity_make(NULL, "root", NULL, -DAY, DAY);
    world.stranger = identity_make(NULL, "stranger", NULL, -DAY, DAY);
    world.forger = identity_make(NULL, "root", NULL, -DAY, DAY);
    world.in_end = guarded(WIRE_MAX) + WIRE_MAX;
    world.out = guarded(TLS_RECORD_MAX);
    world.plain = guarded(PLAIN_ROOM);
    (void)snprintf(world.ca_path, sizeof world.ca_path, "/tmp/weir-tls-ca-XXXXXX");
    int fd = mkstemp(world.ca_path);
    FILE *file = fdopen(fd, "w");
    assert_int_equal(PEM_write_X509(file, world.ca.cert), 1);
    (void)fclose(file);
    struct tls_client_config config = {.ca_file = world.ca_path};
    enum net_rc rc = tls_client_open(&config, &world.client, &why);
    if (rc != NET_OK) print_error("%s\n", why);
    return rc == NET_OK ? 0 : -1;
}

static int end_world(void **state)
{
    (void)state;
    tls_ctx_close(world.client);
    identity_free(&world.ca);
    identity_free(&world.stranger);
    identity_free(&world.forger);
#ifdef TEST_SEALED
    print_message("heap: %zu bytes of the pool in use at the end\n", heap_used());
#endif
    return unlink(world.ca_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_talks_in_both_versions_however_cut),
        cmocka_unit_test(test_every_cut_of_the_handshake),
        cmocka_unit_test(test_certificates_are_judged),
        cmocka_unit_test(test_sessions_are_resumed_by_key_and_host),
        cmocka_unit_test(test_a_ticket_is_offered_once),
        cmocka_unit_test(test_the_session_cache_is_bounded),
        cmocka_unit_test(test_close_notify),
        cmocka_unit_test(test_corrupted_records),
        cmocka_unit_test(test_peers_that_do_not_speak_our_tls),
        cmocka_unit_test(test_old_versions_are_refused),
        cmocka_unit_test(test_weak_ciphers_are_refused),
        cmocka_unit_test(test_seal_fits_its_room),
        cmocka_unit_test(test_key_update),
        cmocka_unit_test(test_contexts_say_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, make_world, end_world);
}
