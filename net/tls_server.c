/* tls_server.c - the server's side of TLS: certificate and key, session tickets, contexts (RFC
 * 8446, RFC 5246, RFC 5077). Once made, a connection of it is like any other: tls.c.
 * Tickets are sealed with the newest of a ring of keys and opened with that or the one before.
 * Whoever turns the ring writes the place that nobody has looked at since two turns.
 * Rule: what comes from a file is refused with a clause that says why, never asserted on. */
#include "net/tls_part.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#ifndef OPENSSL_IS_BORINGSSL
#include <openssl/core_names.h>
#endif

enum {
    CHAIN_MAX = 16,              /* certificates in a file */
    RSA_BITS_MIN = 2048,         /* RFC 9325 section 4.5 */
    TICKET_S = 12 * 3600,        /* how long a session may be resumed */
    TICKET_NAME = 16,
    TICKET_IV = 16,              /* of AES-CBC: a block */
    TICKET_RING = 4,             /* keys: newest, the one before, two at rest */
};

struct tls_pair {
    EVP_PKEY *key;
    X509 *cert[CHAIN_MAX];       /* the server's own first */
    uint32_t count;
};

struct ticket_key {
    uint8_t name[TICKET_NAME], cipher[16], mac[32];
};

struct tls_tickets {
    _Atomic uint32_t newest;     /* place in the ring, only grows */
    struct ticket_key ring[TICKET_RING];
};

static const char starved[] = "out of memory for TLS";

/* --- certificate and key */

/* Never ask at a terminal for a passphrase. */
static int no_passphrase(char *out, int room, int writing, void *arg)
{
    (void)out, (void)room, (void)writing, (void)arg;
    return -1;
}

/* True when the last error only says that no further block was found. */
static bool is_end_of_pem(void)
{
    uint32_t e = (uint32_t)ERR_peek_last_error();
    return ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
}

static BIO *reader(struct bytes text)
{
    return BIO_new_mem_buf(text.len ? text.ptr : "", (int)text.len);
}

static const char *read_chain(struct tls_pair *pair, struct bytes text)
{
    BIO *bio = reader(text);
    if (!bio) return starved;
    const char *why = NULL;
    X509 *cert;
    while (!why && (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL) {
        if (pair->count < CHAIN_MAX) {
            pair->cert[pair->count++] = cert;
        } else {
            X509_free(cert);
            why = "more than 16 certificates";
        }
    }
    bool end = is_end_of_pem();
    if (!why && !end) why = "a certificate in it is damaged";
    if (!why && pair->count == 0) why = "no PEM certificate in it";
    ERR_clear_error();
    BIO_free(bio);
    return why;
}

static bool has(struct bytes text, const char *word)
{
    return text.len && memmem(text.ptr, text.len, word, strlen(word)) != NULL;
}

static const char *read_key(struct tls_pair *pair, struct bytes text)
{
    /* Before the library looks: what it says of a file without a key depends on its version. */
    if (!has(text, "PRIVATE KEY-----")) return "no PEM private key in it";
    BIO *bio = reader(text);
    if (!bio) return starved;
    const char *why = NULL;
    pair->key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    if (!pair->key) {
        why = has(text, "ENCRYPTED") ? "the private key is encrypted: nobody is there to ask"
                                     : "the private key is damaged";
    } else if (EVP_PKEY_id(pair->key) == EVP_PKEY_RSA &&
               EVP_PKEY_bits(pair->key) < RSA_BITS_MIN) {
        why = "an RSA key of less than 2048 bits";
    }
    ERR_clear_error();
    BIO_free(bio);
    return why;
}

static const char *match(const struct tls_pair *pair)
{
    const char *why = NULL;
    for (uint32_t i = 0; i < pair->count; i++) {
        if (X509_check_private_key(pair->cert[i], pair->key) != 1) continue;
        if (i > 0) why = "it belongs to a later certificate of the chain, not to the first";
        ERR_clear_error();
        return why;
    }
    ERR_clear_error();
    return "it does not belong to the certificate";
}

static bool use_pair(SSL_CTX *ssl, const struct tls_pair *pair)
{
    if (SSL_CTX_use_certificate(ssl, pair->cert[0]) != 1 ||
        SSL_CTX_use_PrivateKey(ssl, pair->key) != 1) {
        return false;
    }
    for (uint32_t i = 1; i < pair->count; i++) {
        if (SSL_CTX_add1_chain_cert(ssl, pair->cert[i]) != 1) return false;
    }
    return true;
}

/* Does the library take this kind of certificate at all? */
static const char *try_pair(const struct tls_pair *pair)
{
    SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());
    const char *why = ssl ? NULL : starved;
    if (ssl && !use_pair(ssl, pair)) why = "not a certificate that the TLS library serves";
    SSL_CTX_free(ssl);
    ERR_clear_error();
    return why;
}

enum net_rc tls_pair_open(struct bytes chain, struct bytes key, struct tls_pair **out,
                          bool *at_key, const char **why)
{
    assert(out && at_key && why);
    assert(chain.len < INT32_MAX && key.len < INT32_MAX);
    *at_key = false;
    *why = starved;
    struct tls_pair *pair = OPENSSL_malloc(sizeof *pair);
    if (!pair) return NET_BAD;
    *pair = (struct tls_pair){0};
    *why = read_chain(pair, chain);
    if (!*why) {
        *at_key = true;
        *why = read_key(pair, key);
        if (!*why) *why = match(pair);
    }
    if (!*why) {
        *at_key = false;
        *why = try_pair(pair);
    }
    if (!*why) {
        *out = pair;
        return NET_OK;
    }
    tls_pair_close(pair);
    return NET_BAD;
}

const char *tls_pair_doubt(const struct tls_pair *pair)
{
    assert(pair->count > 0);
    for (uint32_t i = 0; i < pair->count; i++) {
        if (X509_cmp_current_time(X509_get0_notAfter(pair->cert[i])) < 0) {
            return i ? "one of its chain has expired" : "it has expired";
        }
        if (X509_cmp_current_time(X509_get0_notBefore(pair->cert[i])) > 0) {
            return i ? "one of its chain is not valid yet" : "it is not valid yet";
        }
    }
    return NULL;
}

bool tls_pair_same(const struct tls_pair *a, const struct tls_pair *b)
{
    if (a->count != b->count) return false;
    for (uint32_t i = 0; i < a->count; i++) {
        if (X509_cmp(a->cert[i], b->cert[i]) != 0) return false;
    }
    return true;  /* each key belongs to its first certificate, so they are the same too */
}

bool tls_pair_move(struct tls_pair *pair)
{
    uint8_t *der = NULL;
    if (!pair) return true;
    assert(pair->key && pair->count > 0);
    int len = i2d_PrivateKey(pair->key, &der);
    const uint8_t *at = der;
    EVP_PKEY *fresh = len > 0 ? d2i_AutoPrivateKey(NULL, &at, len) : NULL;
    if (der) {
        OPENSSL_cleanse(der, (size_t)len);
        OPENSSL_free(der);
    }
    ERR_clear_error();
    if (!fresh) return false;
    EVP_PKEY_free(pair->key);
    pair->key = fresh;
    return true;
}

void tls_pair_close(struct tls_pair *pair)
{
    if (!pair) return;
    for (uint32_t i = 0; i < pair->count; i++) X509_free(pair->cert[i]);
    EVP_PKEY_free(pair->key);
    OPENSSL_free(pair);
}

/* --- tickets */

static void draw(struct ticket_key *key)
{
    int drawn = RAND_bytes((uint8_t *)key, sizeof *key);
    assert(drawn == 1);  /* a machine without randomness serves no TLS */
}

struct tls_tickets *tls_tickets_open(void)
{
    struct tls_tickets *tickets = OPENSSL_malloc(sizeof *tickets);
    if (!tickets) return NULL;
    memset(tickets, 0, sizeof *tickets);
    /* All are drawn, so that a name of zeros opens nothing. */
    for (size_t i = 0; i < TICKET_RING; i++) draw(&tickets->ring[i]);
    return tickets;
}

void tls_tickets_turn(struct tls_tickets *tickets)
{
    uint32_t next = atomic_load_explicit(&tickets->newest, memory_order_relaxed) + 1;
    draw(&tickets->ring[next % TICKET_RING]);
    atomic_store_explicit(&tickets->newest, next, memory_order_release);
}

void tls_tickets_close(struct tls_tickets *tickets)
{
    if (!tickets) return;
    OPENSSL_cleanse(tickets, sizeof *tickets);
    OPENSSL_free(tickets);
}

/* The key of a ticket's name, or NULL. *old: a newer one is in use. */
static const struct ticket_key *key_find(const struct tls_tickets *tickets,
                                         const uint8_t name[TICKET_NAME], bool *old)
{
    uint32_t newest = atomic_load_explicit(&tickets->newest, memory_order_acquire);
    for (uint32_t back = 0; back < 2; back++) {
        const struct ticket_key *key = &tickets->ring[(newest - back) % TICKET_RING];
        *old = back > 0;
        if (CRYPTO_memcmp(key->name, name, TICKET_NAME) == 0) return key;
    }
    return NULL;
}

static const struct ticket_key *key_newest(const struct tls_tickets *tickets)
{
    uint32_t newest = atomic_load_explicit(&tickets->newest, memory_order_acquire);
    return &tickets->ring[newest % TICKET_RING];
}

/* Set cipher up to seal or open a ticket and give the key. 1: done; 2: the same, and the client
 * is to get a newer ticket; 0: not one of ours, a full handshake follows; -1: none is made. */
static int ticket_cipher(SSL *ssl, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher,
                         int sealing, const struct ticket_key **key)
{
    const struct tls_tickets *tickets = tls_of(ssl)->ctx->tickets;
    bool old = false;
    if (sealing) {
        *key = key_newest(tickets);
        memcpy(name, (*key)->name, TICKET_NAME);
        if (RAND_bytes(iv, TICKET_IV) != 1) return -1;
    } else {
        *key = key_find(tickets, name, &old);
        if (!*key) return 0;
    }
    const EVP_CIPHER *aes = EVP_aes_128_cbc();
    if (EVP_CipherInit_ex(cipher, aes, NULL, (*key)->cipher, iv, sealing) != 1) return -1;
    return old ? 2 : 1;
}

/* The library makes (sealing) or opens a ticket: AES-128-CBC, then HMAC-SHA256 over all of it,
 * as RFC 5077 section 4 recommends. Gives what ticket_cipher gives. */
#ifdef OPENSSL_IS_BORINGSSL
static int on_ticket(SSL *ssl, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher,
                     HMAC_CTX *mac, int sealing)
{
    const struct ticket_key *key;
    int rc = ticket_cipher(ssl, name, iv, cipher, sealing, &key);
    if (rc <= 0) return rc;
    return HMAC_Init_ex(mac, key->mac, sizeof key->mac, EVP_sha256(), NULL) == 1 ? rc : -1;
}
#else
static int on_ticket(SSL *ssl, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int sealing)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, sizeof digest - 1),
        OSSL_PARAM_END,
    };
    const struct ticket_key *key;
    int rc = ticket_cipher(ssl, name, iv, cipher, sealing, &key);
    if (rc <= 0) return rc;
    return EVP_MAC_init(mac, key->mac, sizeof key->mac, params) == 1 ? rc : -1;
}
#endif

static bool use_tickets(SSL_CTX *ssl)
{
    static const uint8_t context[] = "weir";
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);  /* tickets only: no state here */
    SSL_CTX_set_timeout(ssl, TICKET_S);
#ifdef OPENSSL_IS_BORINGSSL
    SSL_CTX_set_session_psk_dhe_timeout(ssl, TICKET_S);
    if (!SSL_CTX_set_tlsext_ticket_key_cb(ssl, on_ticket)) return false;
#else
    if (!SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_ticket)) return false;
#endif
    return SSL_CTX_set_session_id_context(ssl, context, sizeof context - 1) == 1;
}

/* --- contexts */

/* RFC 7301 section 3.2: of what the client names we speak http/1.1 only; where that is not
 * among it, the handshake fails with no_application_protocol. */
static int choose_protocol(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in,
                           unsigned in_len, void *arg)
{
    struct bytes names = {(const char *)in, in_len}, ours = BYTES("http/1.1");
    (void)ssl, (void)arg;
    while (names.len > 0) {
        size_t len = (uint8_t)*bytes_cut(&names, 1).ptr;
        if (len > names.len) break;
        struct bytes name = bytes_cut(&names, len);
        if (!bytes_eq(name, ours)) continue;
        *out = (const uint8_t *)name.ptr;
        *out_len = (uint8_t)name.len;
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

enum net_rc tls_server_open(const struct tls_pair *pair, struct tls_tickets *tickets,
                            struct tls_ctx **out, const char **why)
{
    assert(pair && pair->count > 0 && tickets);
    struct tls_ctx *ctx = tls_ctx_make(TLS_server_method(), why);
    if (!ctx) return NET_BAD;
    ctx->tickets = tickets;
    SSL_CTX_set_options(ctx->ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_verify(ctx->ssl, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_alpn_select_cb(ctx->ssl, choose_protocol, NULL);
    bool good = use_pair(ctx->ssl, pair) && use_tickets(ctx->ssl);
#ifndef OPENSSL_IS_BORINGSSL  /* the other goes by the client, AES first where it is fast */
    good = good && SSL_CTX_set_ciphersuites(ctx->ssl, "TLS_AES_128_GCM_SHA256:"
                                            "TLS_AES_256_GCM_SHA384:"
                                            "TLS_CHACHA20_POLY1305_SHA256");
#endif
    ERR_clear_error();
    if (good) {
        *out = ctx;
        return NET_OK;
    }
    *why = starved;
    tls_ctx_close(ctx);
    return NET_BAD;
}

struct tls *tls_server(struct tls_ctx *ctx)
{
    assert(ctx->tickets);
    struct tls *t = tls_make(ctx);
    if (t) SSL_set_accept_state(t->ssl);
    return t;
}
