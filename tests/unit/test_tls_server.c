/* test_tls_server.c - net/tls_server.c against our own client and against a client of the bare
 * library, over memory. Input ends at an unreadable page. Each call of the codec is made under
 * the seal of engine/heap.h, which does something in test_tls_server_sealed.c only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/mman.h>

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>

#include "engine/heap.h"
#include "net/tls.h"
#include "tests/unit/identity.h"

enum { WIRE_MAX = 1 << 18, PAGE = 4096, PLAIN_ROOM = 5000 };

struct world {
    struct identity ca, leaf;
    struct tls_pair *pair;
    struct tls_tickets *tickets;
    struct tls_ctx *server, *second;   /* of two cores */
    SSL_CTX *client;                   /* of the bare library, trusts anything */
    char *in_end;                      /* WIRE_MAX bytes end here, at an unreadable page */
    char *out, *plain;                 /* their room ends at unreadable pages */
};

static struct world world;

struct talk {                          /* a server connection and who talks to it */
    struct tls *tls;
    enum net_rc rc;
    SSL *client;
    BIO *rx, *tx;                      /* the client's; owned by it */
    char sent[1 << 16];                /* what the server wrote last */
    size_t sent_len;
    char got[WIRE_MAX];
    size_t got_len;
};

static char *guarded(size_t bytes)
{
    size_t room = (bytes + PAGE - 1) / PAGE * PAGE;
    char *at = mmap(NULL, room + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                    -1, 0);
    assert_ptr_not_equal(at, MAP_FAILED);
    assert_int_equal(mprotect(at + room, PAGE, PROT_NONE), 0);
    return at + room - bytes;
}

/* --- talking */

/* Feed the server, from memory that ends at an unreadable page, until all is drawn. */
static void feed(struct talk *k, const char *bytes, size_t len)
{
    char *at = world.in_end - len;
    if (len) memcpy(at, bytes, len);
    struct bytes in = {at, len};
    k->sent_len = 0;
    do {
        size_t plain_len, out_len;
        heap_seal();
        k->rc = tls_pull(k->tls, &in, world.plain, PLAIN_ROOM, &plain_len, world.out,
                         TLS_RECORD_MAX, &out_len);
        heap_unseal();
        assert_true(k->got_len + plain_len <= sizeof k->got);
        memcpy(k->got + k->got_len, world.plain, plain_len);
        k->got_len += plain_len;
        assert_true(k->sent_len + out_len <= sizeof k->sent);
        memcpy(k->sent + k->sent_len, world.out, out_len);
        k->sent_len += out_len;
        if (k->client && out_len) {
            assert_int_equal(BIO_write(k->rx, world.out, (int)out_len), out_len);
        }
    } while (k->rc == NET_OK);
    if (k->rc == NET_MORE) assert_int_equal(in.len, 0);
}

static struct talk *talk_open(struct tls_ctx *ctx, SSL *client)
{
    struct talk *k = calloc(1, sizeof *k);
    assert_non_null(k);
    heap_seal();
    k->tls = tls_server(ctx);
    heap_unseal();
    assert_non_null(k->tls);
    k->rc = NET_MORE;
    if (!client) return k;
    k->client = client;
    k->rx = BIO_new(BIO_s_mem());
    k->tx = BIO_new(BIO_s_mem());
    SSL_set_bio(client, k->rx, k->tx);
    SSL_set_connect_state(client);
    return k;
}

static void talk_close(struct talk *k)
{
    heap_seal();
    tls_close(k->tls);
    heap_unseal();
    /* OpenSSL drops the session of a connection that ends unsaid. */
    if (k->client) SSL_set_shutdown(k->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(k->client);
    ERR_clear_error();
    free(k);
}

/* Bring over what the client has to send, cut bytes at a time. */
static void deliver(struct talk *k, size_t cut)
{
    char wire[TLS_RECORD_MAX];
    int n;
    while (k->rc == NET_MORE &&
           (n = BIO_read(k->tx, wire, (int)(cut < sizeof wire ? cut : sizeof wire))) > 0) {
        feed(k, wire, (size_t)n);
    }
}

static void shake(struct talk *k, size_t cut)
{
    char none[1];
    for (int turn = 0; turn < 4 && k->rc == NET_MORE; turn++) {
        (void)SSL_do_handshake(k->client);
        deliver(k, cut);
    }
    (void)SSL_read(k->client, none, 0);   /* tickets */
}

/* Bytes from the server to the client. */
static void say(struct talk *k, const char *text, size_t len)
{
    struct bytes plain = {text, len};
    char got[PLAIN_ROOM];
    size_t have = 0;
    while (plain.len) {
        heap_seal();
        size_t n = tls_seal(k->tls, &plain, world.out, TLS_RECORD_MAX);
        heap_unseal();
        assert_true(n > 0);
        assert_int_equal(BIO_write(k->rx, world.out, (int)n), n);
        int rc;
        while ((rc = SSL_read(k->client, got, sizeof got)) > 0) {
            assert_memory_equal(got, text + have, (size_t)rc);
            have += (size_t)rc;
        }
    }
    assert_int_equal(have, len);
}

static SSL *client_make(int version)
{
    SSL *ssl = SSL_new(world.client);
    assert_int_equal(SSL_set_min_proto_version(ssl, TLS1_VERSION), 1);
    assert_int_equal(SSL_set_max_proto_version(ssl, (uint16_t)version), 1);
    return ssl;
}

static struct tls_ctx *context(const struct tls_pair *pair, struct tls_tickets *tickets)
{
    struct tls_ctx *ctx = NULL;
    const char *why = NULL;
    assert_int_equal(tls_server_open(pair, tickets, &ctx, &why), NET_OK);
    return ctx;
}

/* --- tests */

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* Every place to cut each of the client's flights in two, and one byte at a time. */
static void test_every_cut_of_the_handshake(void **state)
{
    (void)state;
    for (size_t v = 0; v < COUNT(versions); v++) {
        size_t longest = 2;
        for (size_t cut = 1; cut <= longest; cut++) {
            struct talk *k = talk_open(world.server, client_make(versions[v]));
            for (int flight = 0; flight < 3 && !tls_ready(k->tls); flight++) {
                char wire[4096];
                (void)SSL_do_handshake(k->client);
                int n = BIO_read(k->tx, wire, sizeof wire);
                assert_true(n > 0);
                size_t len = (size_t)n, first = cut < len ? cut : len;
                if (len > longest) longest = len;
                feed(k, wire, first);
                assert_int_equal(k->rc, NET_MORE);
                if (cut == 1) {
                    for (size_t i = 1; i < len; i++) feed(k, wire + i, 1);
                } else if (first < len) {
                    feed(k, wire + first, len - first);
                }
                assert_int_equal(k->rc, NET_MORE);
            }
            assert_true(tls_ready(k->tls));
            assert_int_equal(SSL_do_handshake(k->client), 1);
            assert_int_equal(SSL_version(k->client), versions[v]);
            say(k, "hello", 5);
            talk_close(k);
        }
    }
    assert_int_equal(tls_ctx_users(world.server), 0);
}

/* Both of our sides with each other, and more than one record in each direction. */
static void test_our_client_with_our_server(void **state)
{
    (void)state;
    static char text[40000], back[40000];
    struct tls_client_config config = {.insecure = true};
    struct tls_ctx *ctx = NULL;
    const char *why = NULL;
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)(i * 31 + i / 251);
    assert_int_equal(tls_client_open(&config, &ctx, &why), NET_OK);
    struct tls *side[2] = {tls_client(ctx, "api.test", false, 1), tls_server(world.server)};
    assert_int_equal(tls_ctx_users(world.server), 1);
    static char wire[2][1 << 17];
    size_t len[2] = {0};
    for (int round = 0; round < 2; round++) {        /* the second from server to client */
        struct bytes todo = {text, sizeof text};
        size_t got = 0;
        for (int turn = 0; turn < 40 && got < sizeof text; turn++) {
            int from = turn & 1;                      /* its input came from the other */
            struct bytes in = {wire[!from], len[!from]};
            enum net_rc rc;
            do {
                size_t plain_len, out_len;
                rc = tls_pull(side[from], &in, world.plain, PLAIN_ROOM, &plain_len, world.out,
                              TLS_RECORD_MAX, &out_len);
                assert_true(got + plain_len <= sizeof back);
                memcpy(back + got, world.plain, plain_len);
                got += plain_len;
                memcpy(wire[from] + len[from], world.out, out_len);
                len[from] += out_len;
            } while (rc == NET_OK);
            assert_int_equal(rc, NET_MORE);
            len[!from] = 0;
            while (from == round && todo.len && tls_ready(side[from])) {
                size_t n = tls_seal(side[from], &todo, world.out, TLS_RECORD_MAX);
                memcpy(wire[from] + len[from], world.out, n);
                len[from] += n;
            }
        }
        assert_int_equal(got, sizeof text);
        assert_memory_equal(text, back, sizeof text);
    }
    tls_close(side[0]);
    tls_close(side[1]);
    tls_ctx_close(ctx);
}

/* Offering h2 alone is refused with no_application_protocol (RFC 7301 section 3.2). */
static void test_alpn(void **state)
{
    (void)state;
    static const struct { const char *offer, *chosen; size_t len; bool good; } cases[] = {
        {"", "", 0, true},
        {"\x08http/1.1", "http/1.1", 9, true},
        {"\x02h2\x08http/1.1", "http/1.1", 12, true},
        {"\x08http/1.1\x02h2", "http/1.1", 12, true},
        {"\x02h2", "", 3, false},
        {"\x08http/1.0\x02h2", "", 12, false},
        {"\x09http/1.1x", "", 10, false},
    };
    for (size_t i = 0; i < COUNT(cases) * COUNT(versions); i++) {
        size_t n = i / COUNT(versions);
        struct talk *k = talk_open(world.server, client_make(versions[i % COUNT(versions)]));
        if (cases[n].len) {
            assert_int_equal(SSL_set_alpn_protos(k->client, (const uint8_t *)cases[n].offer,
                                                 (unsigned)cases[n].len), 0);
        }
        shake(k, TLS_RECORD_MAX);
        assert_int_equal(tls_ready(k->tls), cases[n].good);
        if (cases[n].good) {
            const uint8_t *name;
            unsigned len;
            SSL_get0_alpn_selected(k->client, &name, &len);
            assert_int_equal(len, strlen(cases[n].chosen));
            assert_memory_equal(name, cases[n].chosen, len);
        } else {
            assert_int_equal(k->rc, NET_BAD);
            assert_string_equal(tls_why(k->tls), "peer does not speak http/1.1");
            assert_int_equal(k->sent_len, 7);        /* one record: fatal, 120 */
            assert_memory_equal(k->sent, "\x15\x03", 2);
            assert_memory_equal(k->sent + 3, "\0\x02\x02\x78", 4);
        }
        talk_close(k);
    }
}

/* What we do not speak (RFC 8996 section 5, RFC 9325 section 4.2), with the alert it gets. */
static void test_old_and_weak_clients_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *ciphers, *why;
        int version;
        uint8_t alert;
    } cases[] = {
        {"ALL:@SECLEVEL=0", "no common TLS version", TLS1_1_VERSION, 70},
        {"ECDHE-ECDSA-AES128-SHA", "no common cipher", TLS1_2_VERSION, 40},
        {"AES128-GCM-SHA256", "no common cipher", TLS1_2_VERSION, 40},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        SSL *client = client_make(cases[i].version);
#ifdef OPENSSL_IS_BORINGSSL
        const char *ciphers = i ? cases[i].ciphers : "ALL";
#else
        const char *ciphers = cases[i].ciphers;
#endif
        assert_int_equal(SSL_set_cipher_list(client, ciphers), 1);
        struct talk *k = talk_open(world.server, client);
        shake(k, TLS_RECORD_MAX);
        assert_int_equal(k->rc, NET_BAD);
        assert_string_equal(tls_why(k->tls), cases[i].why);
        assert_false(tls_starved(k->tls));
        assert_int_equal(k->sent_len, 7);
        assert_int_equal((uint8_t)k->sent[6], cases[i].alert);
        talk_close(k);
    }
}

static SSL_SESSION *latest;      /* what the client was given last */

static void forget_session(void)
{
    if (latest) SSL_SESSION_free(latest);
    latest = NULL;
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    if (latest) SSL_SESSION_free(latest);
    latest = session;
    return 1;
}

/* One connection to a context, offering the latest session; was it resumed? */
static bool resumes(struct tls_ctx *ctx, int version)
{
    struct talk *k = talk_open(ctx, client_make(version));
    if (latest) SSL_set_session(k->client, latest);
    shake(k, TLS_RECORD_MAX);
    assert_true(tls_ready(k->tls));
    say(k, "ticket", 6);
    bool resumed = tls_resumed(k->tls);
    assert_int_equal(SSL_session_reused(k->client), resumed);
    talk_close(k);
    return resumed;
}

/* A ticket of one core is taken by another; its key may be the one before, no older. */
static void test_tickets_across_contexts(void **state)
{
    (void)state;
    struct tls_tickets *others = tls_tickets_open();
    struct tls_ctx *other = context(world.pair, others);
    for (size_t v = 0; v < COUNT(versions); v++) {
        int version = versions[v];
        forget_session();
        assert_false(resumes(world.server, version));
        assert_non_null(latest);
        assert_true(resumes(world.second, version));
#ifndef OPENSSL_IS_BORINGSSL    /* whose client, used like this, offers a session once */
        continue;
#endif
        assert_true(resumes(world.server, version));
        tls_tickets_turn(world.tickets);
        assert_true(resumes(world.second, version));   /* and gets a ticket of the new key */
        tls_tickets_turn(world.tickets);
        assert_true(resumes(world.second, version));
        tls_tickets_turn(world.tickets);
        tls_tickets_turn(world.tickets);
        assert_false(resumes(world.second, version));
        assert_true(resumes(world.server, version));
        assert_false(resumes(other, version));
    }
    tls_ctx_close(other);
    tls_tickets_close(others);
}

static void test_a_damaged_ticket_is_a_full_handshake(void **state)
{
    (void)state;
#ifdef OPENSSL_IS_BORINGSSL     /* the other has no call to set a ticket */
    for (size_t v = 0; v < COUNT(versions); v++) {
        forget_session();
        assert_false(resumes(world.server, versions[v]));
        const uint8_t *ticket;
        uint8_t *session, copy[1024];
        size_t len, session_len;
        SSL_SESSION_get0_ticket(latest, &ticket, &len);
        assert_true(len <= sizeof copy);
        memcpy(copy, ticket, len);
        assert_int_equal(SSL_SESSION_early_data_capable(latest), 0);
        assert_int_equal(SSL_SESSION_to_bytes(latest, &session, &session_len), 1);
        for (size_t at = 0; at < len; at += len / 16) {
            forget_session();
            latest = SSL_SESSION_from_bytes(session, session_len, world.client);
            copy[at] ^= 0x10;
            assert_int_equal(SSL_SESSION_set_ticket(latest, copy, len), 1);
            copy[at] ^= 0x10;
            assert_false(resumes(world.server, versions[v]));
        }
        OPENSSL_free(session);
    }
#endif
}

static void test_close_notify_both_ways(void **state)
{
    (void)state;
    for (size_t v = 0; v < COUNT(versions); v++) {
        char bye[TLS_ALERT_MAX], buf[8];
        struct talk *k = talk_open(world.server, client_make(versions[v]));
        assert_int_equal(tls_goodbye(k->tls, bye, sizeof bye), 0);
        shake(k, TLS_RECORD_MAX);
        assert_int_equal(SSL_write(k->client, "last", 4), 4);
        (void)SSL_shutdown(k->client);
        deliver(k, TLS_RECORD_MAX);
        assert_int_equal(k->rc, NET_DONE);
        assert_int_equal(k->got_len, 4);
        say(k, "more", 4);
        heap_seal();
        size_t n = tls_goodbye(k->tls, bye, sizeof bye);
        heap_unseal();
        assert_true(n > 0);
        BIO_write(k->rx, bye, (int)n);
        int rc = SSL_read(k->client, buf, sizeof buf);
        assert_int_equal(SSL_get_error(k->client, rc), SSL_ERROR_ZERO_RETURN);
        talk_close(k);
    }
}

/* A client that checks, and does not know who signed: its alert is named. */
static void test_a_client_that_does_not_trust_us(void **state)
{
    (void)state;
    struct talk *k = talk_open(world.server, client_make(TLS1_3_VERSION));
    SSL_set_verify(k->client, SSL_VERIFY_PEER, NULL);
    shake(k, TLS_RECORD_MAX);
    assert_int_equal(k->rc, NET_BAD);
    assert_string_equal(tls_why(k->tls), "peer does not trust the certificate");
    talk_close(k);
}

/* What is no TLS, and records that lie about themselves; nothing is ready after any. */
static void test_junk(void **state)
{
    (void)state;
    static const struct { const char *wire; size_t len; enum net_rc rc; } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", 18, NET_BAD},
        {"CONNECT a:1 HTTP/1.1\r\n", 22, NET_BAD},
        {"\x16\x03\x01\xff\xff\x01", 6, NET_BAD},
        {"\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9, NET_BAD},           /* a 16 MiB hello */
        {"\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9, NET_BAD},           /* a server's hello */
        {"\x17\x03\x03\x00\x01\x00", 6, NET_BAD},
        {"\x15\x03\x01\x00\x02\x02\x28", 7, NET_BAD},
        {"\x15\x03\x01\x00\x02\x01\x00", 7, NET_BAD},
        {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11, NET_MORE}, /* cut off */
        {"\x16", 1, NET_MORE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t cut = 0; cut <= cases[i].len; cut++) {
            struct talk *k = talk_open(world.server, NULL);
            feed(k, cases[i].wire, cut);
            if (k->rc == NET_MORE) feed(k, cases[i].wire + cut, cases[i].len - cut);
            if (k->rc != cases[i].rc) print_error("case %zu cut %zu: %d\n", i, cut, k->rc);
            assert_int_equal(k->rc, cases[i].rc);
            assert_false(tls_ready(k->tls));
            assert_int_equal(tls_why(k->tls)[0] != 0, k->rc == NET_BAD);
            talk_close(k);
        }
    }
}

/* A flipped bit in a record of a body is found; what came before it is delivered. */
static void test_corrupted_and_truncated_records(void **state)
{
    (void)state;
    char wire[512];
    size_t total = 1;
    for (size_t at = 0; at < total; at++) {
        struct talk *k = talk_open(world.server, client_make(TLS1_3_VERSION));
        shake(k, TLS_RECORD_MAX);
        assert_int_equal(SSL_write(k->client, "good", 4), 4);
        assert_int_equal(SSL_write(k->client, "evil", 4), 4);
        total = (size_t)BIO_read(k->tx, wire, sizeof wire);
        feed(k, wire, at);               /* cut off anywhere: only whole records come out */
        assert_int_equal(k->rc, NET_MORE);
        assert_int_equal(k->got_len, at < total / 2 ? 0 : 4);
        wire[at] ^= 0x20;
        feed(k, wire + at, total - at);
        assert_true(k->got_len <= 4);
        assert_memory_equal(k->got, "good", k->got_len);
        talk_close(k);
    }
}

/* X25519 is taken where the client has it, in whatever order. */
static void test_the_key_exchange(void **state)
{
    (void)state;
    static const struct { const char *offer; int chosen; } cases[] = {
        {"X25519:P-256", NID_X25519}, {"P-256:X25519", NID_X25519},
        {"P-256", NID_X9_62_prime256v1}, {"P-521:P-256", NID_X9_62_prime256v1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct talk *k = talk_open(world.server, client_make(TLS1_3_VERSION));
        assert_int_equal(SSL_set1_curves_list(k->client, cases[i].offer), 1);
        shake(k, TLS_RECORD_MAX);
        assert_true(tls_ready(k->tls));
#ifdef OPENSSL_IS_BORINGSSL
        bool x25519 = SSL_get_curve_id(k->client) == SSL_CURVE_X25519;
        assert_int_equal(x25519, cases[i].chosen == NID_X25519);
#endif
        talk_close(k);
    }
}

/* --- certificate and key */

static void check_pair(struct bytes chain, struct bytes key, bool at_key, const char *why)
{
    struct tls_pair *pair = NULL;
    const char *said = "";
    bool key_at_fault = false;
    enum net_rc rc = tls_pair_open(chain, key, &pair, &key_at_fault, &said);
    assert_int_equal(rc, why ? NET_BAD : NET_OK);
    if (why) {
        assert_string_equal(said, why);
        assert_int_equal(key_at_fault, at_key);
    }
    tls_pair_close(pair);
}

static EVP_PKEY *rsa_make(int bits)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, bits), 1);
    assert_int_equal(EVP_PKEY_keygen(ctx, &key), 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static void test_pairs_are_judged(void **state)
{
    (void)state;
    const struct identity *one[] = {&world.leaf}, *both[] = {&world.leaf, &world.ca},
                          *turned[] = {&world.ca, &world.leaf}, *many[17];
    for (size_t i = 0; i < COUNT(many); i++) many[i] = &world.leaf;
    struct bytes leaf = pem_chain(one, 1), chain = pem_chain(both, 2),
                 wrong = pem_chain(turned, 2), long_one = pem_chain(many, 17),
                 key = pem_key(world.leaf.key, NULL), other = pem_key(world.ca.key, NULL),
                 locked = pem_key(world.leaf.key, "secret");
    char broken[1024] = "";
    assert_true(key.len < sizeof broken);
    memcpy(broken, key.ptr, key.len);
    EVP_PKEY *weak = rsa_make(1024);
    struct bytes small = pem_key(weak, NULL);
    check_pair(leaf, key, false, NULL);
    check_pair(chain, key, false, NULL);
    check_pair((struct bytes){chain.ptr, chain.len - 40}, key, false,
               "a certificate in it is damaged");
    check_pair((struct bytes){0}, key, false, "no PEM certificate in it");
    check_pair(BYTES("certificate"), key, false, "no PEM certificate in it");
    check_pair(key, key, false, "no PEM certificate in it");
    check_pair(long_one, key, false, "more than 16 certificates");
    check_pair(leaf, (struct bytes){0}, true, "no PEM private key in it");
    check_pair(leaf, leaf, true, "no PEM private key in it");
    memcpy(memchr(broken, '\n', sizeof broken), "\n!!!!", 5);
    check_pair(leaf, bytes_of(broken), true, "the private key is damaged");
    check_pair(leaf, other, true, "it does not belong to the certificate");
    check_pair(wrong, key, true,
               "it belongs to a later certificate of the chain, not to the first");
    check_pair(leaf, locked, true, "the private key is encrypted: nobody is there to ask");
    check_pair(leaf, small, true, "an RSA key of less than 2048 bits");
    struct bytes texts[] = {leaf, chain, wrong, long_one, key, other, locked, small};
    for (size_t i = 0; i < COUNT(texts); i++) free((void *)(uintptr_t)texts[i].ptr);
    EVP_PKEY_free(weak);
}

static struct tls_pair *pair_of(const struct identity *id)
{
    struct tls_pair *pair = NULL;
    const char *why = NULL;
    bool at_key;
    struct bytes chain = pem_chain(&id, 1), key = pem_key(id->key, NULL);
    assert_int_equal(tls_pair_open(chain, key, &pair, &at_key, &why), NET_OK);
    free((void *)(uintptr_t)chain.ptr);
    free((void *)(uintptr_t)key.ptr);
    return pair;
}

static void test_doubts_and_likeness(void **state)
{
    (void)state;
    static const struct { long from_s, to_s; const char *doubt; } cases[] = {
        {-DAY, DAY, NULL}, {-2 * DAY, -DAY, "it has expired"}, {DAY, 2 * DAY,
        "it is not valid yet"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct identity id = identity_make(&world.ca, "x", NULL, cases[i].from_s,
                                           cases[i].to_s);
        struct tls_pair *pair = pair_of(&id), *again = pair_of(&id);
        const char *doubt = tls_pair_doubt(pair);
        if (cases[i].doubt) assert_string_equal(doubt, cases[i].doubt);
        else assert_null(doubt);
        assert_true(tls_pair_same(pair, again));
        assert_false(tls_pair_same(pair, world.pair));
        tls_pair_close(again);
        tls_pair_close(pair);
        identity_free(&id);
    }
    tls_pair_close(NULL);
    tls_tickets_close(NULL);
}

/* The pair serves; it is closed. */
static void check_serves(struct tls_pair *pair)
{
    struct tls_ctx *ctx = context(pair, world.tickets);
    tls_pair_close(pair);              /* the context keeps what it needs */
    struct talk *k = talk_open(ctx, client_make(TLS1_3_VERSION));
    shake(k, TLS_RECORD_MAX);
    assert_true(tls_ready(k->tls));
    say(k, "hello", 5);
    talk_close(k);
    tls_ctx_close(ctx);
}

/* An RSA key of 2048 bits serves too; so do both kinds when they were moved. */
static void test_an_rsa_certificate(void **state)
{
    (void)state;
    struct identity id = world.leaf;
    id.key = rsa_make(2048);
    id.cert = X509_dup(world.leaf.cert);
    X509_set_pubkey(id.cert, id.key);
    assert_true(X509_sign(id.cert, world.ca.key, EVP_sha256()) > 0);
    check_serves(pair_of(&id));
    const struct identity *ids[] = {&id, &world.leaf};
    for (size_t i = 0; i < COUNT(ids); i++) {
        struct tls_pair *pair = pair_of(ids[i]);
        assert_true(tls_pair_move(pair));
        assert_true(tls_pair_move(pair));
        check_serves(pair);
    }
    assert_true(tls_pair_move(NULL));
    identity_free(&id);
}

#ifdef TEST_SEALED
/* The pool runs out at every stage of a handshake: an answer, never a crash. */
static void test_an_empty_pool(void **state)
{
    (void)state;
    enum { BLOCK = 1024, ALL = 1 << 15 };
    static void *taken[ALL];
    size_t count = 0, free_to_take = 0;
    bool good = false;
    SSL *client = client_make(TLS1_3_VERSION);
    (void)client;
    SSL_free(client);
    while (count < ALL && (taken[count] = OPENSSL_memory_alloc(BLOCK)) != NULL) count++;
    assert_true(count > 100 && count < ALL);
    for (free_to_take = 0; free_to_take < 200 && !good; free_to_take++) {
        struct tls *t = tls_server(world.server);
        if (t) {
            size_t plain_len, out_len;
            struct bytes in = BYTES("\x16\x03\x01\x00\x04\x01\x00\x40\x00");
            enum net_rc rc = tls_pull(t, &in, world.plain, PLAIN_ROOM, &plain_len, world.out,
                                      TLS_RECORD_MAX, &out_len);
            assert_true(rc == NET_MORE || rc == NET_BAD);
            good = rc == NET_MORE;
            if (!good) assert_true(tls_starved(t) || tls_why(t)[0]);
            tls_close(t);
        }
        OPENSSL_memory_free(taken[--count]);
    }
    assert_true(good && free_to_take > 1);
    while (count) OPENSSL_memory_free(taken[--count]);
}
#endif

static int make_world(void **state)
{
    (void)state;
#ifdef TEST_SEALED
    assert_true(heap_boot(4 << 20));
#endif
    world.ca = identity_make(NULL, "root", NULL, -DAY, DAY);
    world.leaf = identity_make(&world.ca, "leaf", "DNS:api.test", -DAY, DAY);
    world.in_end = guarded(WIRE_MAX) + WIRE_MAX;
    world.out = guarded(TLS_RECORD_MAX);
    world.plain = guarded(PLAIN_ROOM);
    world.pair = pair_of(&world.leaf);
    world.tickets = tls_tickets_open();
    world.server = context(world.pair, world.tickets);
    world.second = context(world.pair, world.tickets);
    world.client = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(world.client,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(world.client, keep_session);
    return 0;
}

static int end_world(void **state)
{
    (void)state;
    forget_session();
    SSL_CTX_free(world.client);
    tls_ctx_close(world.server);
    tls_ctx_close(world.second);
    tls_tickets_close(world.tickets);
    tls_pair_close(world.pair);
    identity_free(&world.ca);
    identity_free(&world.leaf);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cut_of_the_handshake),
        cmocka_unit_test(test_our_client_with_our_server),
        cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_old_and_weak_clients_are_refused),
        cmocka_unit_test(test_tickets_across_contexts),
        cmocka_unit_test(test_a_damaged_ticket_is_a_full_handshake),
        cmocka_unit_test(test_close_notify_both_ways),
        cmocka_unit_test(test_a_client_that_does_not_trust_us),
        cmocka_unit_test(test_junk),
        cmocka_unit_test(test_corrupted_and_truncated_records),
        cmocka_unit_test(test_the_key_exchange),
        cmocka_unit_test(test_pairs_are_judged),
        cmocka_unit_test(test_doubts_and_likeness),
        cmocka_unit_test(test_an_rsa_certificate),
#ifdef TEST_SEALED
        cmocka_unit_test(test_an_empty_pool),
#endif
    };
    return cmocka_run_group_tests(tests, make_world, end_world);
}
