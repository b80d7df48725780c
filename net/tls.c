/* tls.c - TLS connections over memory, on BoringSSL (or OpenSSL >= 3.0), and the client's side
 * of them; the server's is in tls_server.c.
 * The library wants something to read from and write to: a BIO whose two ends are the
 * caller's slice and room, lent for the length of one call. Model:
 *   HELLO -> READY -> ENDED (close-notify)     HELLO, READY -> FAILED (t->why is set)
 * Rule: nothing the peer sends is asserted on, nothing is lost when the room is short (the
 * library keeps the rest of a record until the next call), and the window is empty between
 * calls, so that no pointer of the caller's outlives its call. */
#include "net/tls_part.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

enum {
    WAYS = 4,                /* sessions whose keys fall into one set */
    PLAIN_MAX = 16384,       /* plain bytes in one record (RFC 8446 section 5.1) */
    CHAIN_BYTES_MAX = 65536, /* certificates a peer may send */
};
static_assert(TLS_SESSIONS_MAX % WAYS == 0, "sets are whole");
static_assert(PLAIN_MAX + TLS_SEAL_EXTRA <= TLS_RECORD_MAX, "a full record fits the room");

static const char starved[] = "out of memory for TLS";

struct session {             /* a remembered session; ssl NULL: empty */
    SSL_SESSION *ssl;        /* ours */
    uint64_t host;           /* hash of the host it was verified for */
    uint32_t key;            /* the caller's number */
    uint32_t stamp;          /* when it was put, in sessions put */
};

/* --- the window: what the library reads and writes */

static int window_read(BIO *bio, char *to, int room)
{
    struct tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (room <= 0) return 0;
    if (!t->in || t->in->len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t n = t->in->len < (size_t)room ? t->in->len : (size_t)room;
    memcpy(to, bytes_cut(t->in, n).ptr, n);
    return (int)n;
}

static int window_write(BIO *bio, const char *from, int len)
{
    struct tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (len <= 0) return 0;
    assert(t->out_len <= t->out_room);
    size_t room = t->out ? t->out_room - t->out_len : 0;
    if (room == 0) {
        BIO_set_retry_write(bio);
        return -1;
    }
    size_t n = room < (size_t)len ? room : (size_t)len;
    memcpy(t->out + t->out_len, from, n);
    t->out_len += n;
    return (int)n;
}

static long window_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static void lend(struct tls *t, struct bytes *in, char *out, size_t out_room)
{
    assert(!t->in && !t->out);
    t->in = in;
    t->out = out;
    t->out_room = out_room;
    t->out_len = 0;
    ERR_clear_error();  /* SSL_get_error judges by this thread's queue */
}

static size_t take_back(struct tls *t)
{
    size_t written = t->out_len;
    assert(written <= t->out_room);
    t->in = NULL;
    t->out = NULL;
    t->out_room = t->out_len = 0;
    return written;
}

/* --- why a connection failed */

static const char *verify_why(long result)
{
    switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED: return "certificate has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID: return "certificate is not valid yet";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return "certificate is not for this host";
    case X509_V_ERR_CERT_REVOKED: return "certificate was revoked";
    case X509_V_ERR_CERT_CHAIN_TOO_LONG: return "certificate chain is too long";
    case X509_V_ERR_INVALID_PURPOSE: return "certificate is not for a server";
    case X509_V_ERR_OUT_OF_MEM: return starved;
    default: return "certificate not trusted";
    }
}

/* Text for an error of the library's, or NULL where it says too little. */
static const char *reason_why(int reason)
{
    static const struct { int reason; const char *text; } texts[] = {
        {SSL_R_HTTP_REQUEST, "peer does not speak TLS"},
        {SSL_R_WRONG_VERSION_NUMBER, "peer does not speak TLS"},
        {SSL_R_UNSUPPORTED_PROTOCOL, "no common TLS version"},
        {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "no common TLS version"},
        {SSL_R_NO_SHARED_CIPHER, "no common cipher"},
        {SSL_R_HTTPS_PROXY_REQUEST, "peer does not speak TLS"},
        {SSL_R_TLSV1_ALERT_UNKNOWN_CA, "peer does not trust the certificate"},
        {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "peer does not trust the certificate"},
        {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "peer does not trust the certificate"},
        {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "peer does not trust the certificate"},
        {SSL_R_NO_RENEGOTIATION, "peer asked for renegotiation"},
        {SSL_R_NO_APPLICATION_PROTOCOL, "peer does not speak http/1.1"},
        {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, "peer refused the handshake"},
        {SSL_R_TLSV1_ALERT_ACCESS_DENIED, "peer refused the handshake"},
        {SSL_R_TLSV1_ALERT_INTERNAL_ERROR, "peer had an internal error"},
#ifdef OPENSSL_IS_BORINGSSL
        {SSL_R_TLSV1_ALERT_UNRECOGNIZED_NAME, "peer does not know this host"},
        {SSL_R_TLSV1_ALERT_CERTIFICATE_REQUIRED, "peer asks for a client certificate"},
        {SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, "peer does not speak http/1.1"},
        {SSL_R_INVALID_ALPN_PROTOCOL, "peer does not speak http/1.1"},
        {SSL_R_NO_SHARED_GROUP, "no common key exchange"},
        {SSL_R_NO_COMMON_SIGNATURE_ALGORITHMS, "no common signature"},
#else
        {SSL_R_TLSV1_UNRECOGNIZED_NAME, "peer does not know this host"},
        {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, "peer asks for a client certificate"},
        {SSL_R_NO_SUITABLE_KEY_SHARE, "no common key exchange"},
        {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, "no common signature"},
        {SSL_R_PACKET_LENGTH_TOO_LONG, "record too long"},
#endif
        {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, "corrupted record"},
        {SSL_R_ENCRYPTED_LENGTH_TOO_LONG, "record too long"},
        {SSL_R_DATA_LENGTH_TOO_LONG, "record too long"},
        {SSL_R_EXCESSIVE_MESSAGE_SIZE, "handshake message too long"},
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        if (texts[i].reason == reason) return texts[i].text;
    }
    /* 1000 and above: the alert (RFC 8446 section 6) that the peer sent, plus 1000. */
    return reason >= 1000 && reason < 1256 ? "peer sent an alert" : NULL;
}

/* Say why from the error queue, which is emptied. */
static const char *queue_why(const struct tls *t, int error)
{
    const char *why = NULL;
    unsigned long e;
    while ((e = ERR_get_error()) != 0) {
        int reason = ERR_GET_REASON((uint32_t)e);
        if (reason == ERR_R_MALLOC_FAILURE) why = starved;
        else if (ERR_GET_LIB((uint32_t)e) != ERR_LIB_SSL) continue;
        else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
            why = verify_why(SSL_get_verify_result(t->ssl));
        } else if (!why) why = reason_why(reason);
    }
    if (why) return why;
    if (error == SSL_ERROR_ZERO_RETURN) return "peer closed during the handshake";
    return t->ready ? "TLS record error" : "handshake failed";
}

/* --- sessions */

/* FNV-1a: spreads, and no peer chooses what goes in. */
static uint64_t hash_host(const char *host)
{
    uint64_t h = 14695981039346656037u;
    for (const char *c = host; *c; c++) h = (h ^ (uint8_t)*c) * 1099511628211u;
    return h;
}

static struct session *session_set(struct tls_ctx *ctx, uint32_t key)
{
    uint32_t set = (uint32_t)((uint64_t)(key * 2654435761u) * (TLS_SESSIONS_MAX / WAYS) >> 32);
    assert(set < TLS_SESSIONS_MAX / WAYS);
    return &ctx->sessions[set * WAYS];
}

static struct session *session_find(struct tls_ctx *ctx, uint32_t key, uint64_t host)
{
    struct session *set = session_set(ctx, key);
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].ssl && set[i].key == key && set[i].host == host) return &set[i];
    }
    return NULL;
}

static void session_drop(struct session *s)
{
    if (s && s->ssl) SSL_SESSION_free(s->ssl);
    if (s) *s = (struct session){0};
}

/* The library gives a session that may be resumed. Gives 1: we keep its reference. */
static int session_put(SSL *ssl, SSL_SESSION *session)
{
    struct tls *t = tls_of(ssl);
    struct session *s = session_find(t->ctx, t->session_key, t->host);
    if (!s) {
        struct session *set = s = session_set(t->ctx, t->session_key);
        for (size_t i = 1; i < WAYS && s->ssl; i++) {  /* an empty one, else the oldest */
            if (!set[i].ssl || set[i].stamp < s->stamp) s = &set[i];
        }
    }
    session_drop(s);
    *s = (struct session){session, t->host, t->session_key, ++t->ctx->stamp};
    return 1;
}

/* Offer an earlier session. A ticket of TLS 1.3 is offered once only, so that connections
 * cannot be linked by it (RFC 8446 appendix C.4). */
static void session_offer(struct tls *t)
{
    struct session *s = session_find(t->ctx, t->session_key, t->host);
    if (!s) return;
    (void)SSL_set_session(t->ssl, s->ssl);  /* on failure the handshake is a full one */
    if (SSL_SESSION_get_protocol_version(s->ssl) >= TLS1_3_VERSION) session_drop(s);
}

/* --- contexts */

/* Add all PEM certificates of a file to the store; gives how many. */
static size_t trust_file(X509_STORE *store, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    size_t count = 0;
    X509 *cert;
    while ((cert = PEM_read_X509(file, NULL, NULL, NULL)) != NULL) {
        if (X509_STORE_add_cert(store, cert)) count++;
        X509_free(cert);
    }
    (void)fclose(file);
    ERR_clear_error();  /* the end of the file is an error to the PEM reader */
    return count;
}

/* The same for the files of a folder. All are read now: a look-up by hash at the time of a
 * handshake, as the library would do it, opens files on a core thread. */
static size_t trust_dir(X509_STORE *store, const char *path)
{
    DIR *dir = opendir(path);
    if (!dir) return 0;
    size_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        char name[PATH_MAX];
        int n = snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' && n > 0 && (size_t)n < sizeof name) {
            count += trust_file(store, name);
        }
    }
    (void)closedir(dir);
    return count;
}

static size_t trust_system(X509_STORE *store)
{
    const char *file = getenv("SSL_CERT_FILE"), *dir = getenv("SSL_CERT_DIR");
    if (file || dir) {
        return (file ? trust_file(store, file) : 0) + (dir ? trust_dir(store, dir) : 0);
    }
    size_t count = trust_file(store, "/etc/ssl/certs/ca-certificates.crt");
    return count ? count : trust_dir(store, "/etc/ssl/certs");
}

static const char *trust(X509_STORE *store, const struct tls_client_config *config)
{
    size_t extra = config->ca_file ? trust_file(store, config->ca_file) : 0;
    if (config->ca_file && extra == 0) return "no certificate in the file of private roots";
    size_t system = trust_system(store);
    if (system + extra == 0 && !config->insecure) {
        return "no trusted certificates (SSL_CERT_FILE, SSL_CERT_DIR, /etc/ssl/certs)";
    }
    return NULL;
}

/* TLS 1.2 only with forward secrecy and authenticated ciphers (RFC 9325 section 4.2); the
 * suites of TLS 1.3 are all such. X25519 first, as the cheapest. */
static bool harden(SSL_CTX *ssl)
{
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                          SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION);
    return SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) &&
           SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) &&
           SSL_CTX_set1_curves_list(ssl, "X25519:P-256:P-384") &&
           SSL_CTX_set_cipher_list(ssl, "ECDHE+AESGCM:ECDHE+CHACHA20");
}

static BIO_METHOD *window_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "window");
    if (!method) return NULL;
    if (BIO_meth_set_read(method, window_read) && BIO_meth_set_write(method, window_write) &&
        BIO_meth_set_ctrl(method, window_ctrl)) {
        return method;
    }
    BIO_meth_free(method);
    return NULL;
}

struct tls_ctx *tls_ctx_make(const SSL_METHOD *side, const char **why)
{
    *why = starved;
    struct tls_ctx *ctx = OPENSSL_malloc(sizeof *ctx);
    if (!ctx) return NULL;
    memset(ctx, 0, sizeof *ctx);
    ctx->method = window_method();
    ctx->ssl = SSL_CTX_new(side);
    if (ctx->method && ctx->ssl) {
        if (harden(ctx->ssl)) return ctx;
        *why = "the TLS library lacks a protocol or cipher that is needed";
    }
    ERR_clear_error();
    tls_ctx_close(ctx);
    return NULL;
}

/* What only a client has: sessions to offer, http/1.1 to ask for (RFC 7301 section 3.1). */
static bool is_client_made(struct tls_ctx *ctx)
{
    static const unsigned char alpn[] = "\x08http/1.1";
    size_t bytes = TLS_SESSIONS_MAX * sizeof *ctx->sessions;
    ctx->sessions = OPENSSL_malloc(bytes);
    if (!ctx->sessions) return false;
    memset(ctx->sessions, 0, bytes);
    SSL_CTX_set_max_cert_list(ctx->ssl, CHAIN_BYTES_MAX);
    SSL_CTX_set_session_cache_mode(ctx->ssl,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx->ssl, session_put);
    return SSL_CTX_set_alpn_protos(ctx->ssl, alpn, sizeof alpn - 1) == 0;
}

enum net_rc tls_client_open(const struct tls_client_config *config, struct tls_ctx **out,
                            const char **why)
{
    assert(config && out && why);
    struct tls_ctx *ctx = tls_ctx_make(TLS_client_method(), why);
    if (!ctx) return NET_BAD;
    const char *fault = starved;
    if (is_client_made(ctx)) fault = trust(SSL_CTX_get_cert_store(ctx->ssl), config);
    SSL_CTX_set_verify(ctx->ssl, config->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    if (!fault) {
        *out = ctx;
        return NET_OK;
    }
    *why = fault;
    ERR_clear_error();
    tls_ctx_close(ctx);
    return NET_BAD;
}

void tls_ctx_close(struct tls_ctx *ctx)
{
    if (!ctx) return;
    assert(tls_ctx_users(ctx) == 0);
    for (size_t i = 0; ctx->sessions && i < TLS_SESSIONS_MAX; i++) {
        session_drop(&ctx->sessions[i]);
    }
    OPENSSL_free(ctx->sessions);
    SSL_CTX_free(ctx->ssl);
    if (ctx->method) BIO_meth_free(ctx->method);
    OPENSSL_free(ctx);
}

uint32_t tls_ctx_users(const struct tls_ctx *ctx)
{
    return atomic_load_explicit(&ctx->users, memory_order_acquire);
}

/* The counter has one writer, the thread of the context. */
static void count_user(struct tls_ctx *ctx, int32_t by)
{
    uint32_t now = atomic_load_explicit(&ctx->users, memory_order_relaxed);
    assert(by > 0 || now > 0);
    atomic_store_explicit(&ctx->users, now + (uint32_t)by, memory_order_release);
}

/* --- connections */

/* What the certificate must say (RFC 9525 section 6): a name or an address among its
 * alternative names; the subject's common name is not asked. */
static bool expect_host(SSL *ssl, const char *host, bool host_is_ip)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                           X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (host_is_ip) return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    return X509_VERIFY_PARAM_set1_host(param, host, strlen(host)) == 1 &&
           SSL_set_tlsext_host_name(ssl, host) == 1;
}

struct tls *tls_make(struct tls_ctx *ctx)
{
    assert(ctx && ctx->ssl);
    struct tls *t = OPENSSL_malloc(sizeof *t);
    if (!t) goto fail;
    *t = (struct tls){.ctx = ctx};
    BIO *bio = BIO_new(ctx->method);
    if (!bio) goto fail_tls;
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    t->ssl = SSL_new(ctx->ssl);
    if (!t->ssl) goto fail_bio;
    SSL_set_bio(t->ssl, bio, bio);  /* takes bio */
#ifdef OPENSSL_IS_BORINGSSL
    SSL_set_shed_handshake_config(t->ssl, 1);  /* idle connections are many: keep them small */
#endif
    count_user(ctx, 1);
    return t;

fail_bio: BIO_free(bio);
fail_tls: OPENSSL_free(t);
fail:     ERR_clear_error();
    return NULL;
}

struct tls *tls_of(const SSL *ssl) { return BIO_get_data(SSL_get_rbio(ssl)); }

struct tls *tls_client(struct tls_ctx *ctx, const char *host, bool host_is_ip,
                       uint32_t session_key)
{
    assert(ctx && ctx->sessions && host && host[0]);
    struct tls *t = tls_make(ctx);
    if (!t) return NULL;
    t->host = hash_host(host);
    t->session_key = session_key;
    SSL_set_connect_state(t->ssl);
    if (expect_host(t->ssl, host, host_is_ip)) {
        session_offer(t);
        return t;
    }
    tls_close(t);
    ERR_clear_error();
    return NULL;
}

void tls_close(struct tls *t)
{
    if (!t) return;
    assert(!t->in && !t->out);
    /* OpenSSL takes a connection that ends unsaid for broken and its session with it; most
     * of ours end so, on purpose. What really failed has dropped its session in judge(). */
    if (!t->why) SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    count_user(t->ctx, -1);
    SSL_free(t->ssl);
    OPENSSL_free(t);
}

/* Judge what an operation of the library answered. NET_MORE: it wants input, or room. */
static enum net_rc judge(struct tls *t, int rc)
{
    int error = SSL_get_error(t->ssl, rc);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return NET_MORE;
    if (error == SSL_ERROR_ZERO_RETURN && t->ready) {
        t->ended = true;
        return NET_DONE;
    }
    t->why = queue_why(t, error);
    /* A session that led here is not offered again. */
    if (!t->ready && t->ctx->sessions) {
        session_drop(session_find(t->ctx, t->session_key, t->host));
    }
    return NET_BAD;
}

static enum net_rc shake(struct tls *t)
{
    int rc = SSL_do_handshake(t->ssl);
    if (rc != 1) return judge(t, rc);
    t->ready = true;
    return NET_OK;
}

static enum net_rc decrypt(struct tls *t, char *plain, size_t room, size_t *len)
{
    while (*len < room) {
        size_t left = room - *len;
        int n = SSL_read(t->ssl, plain + *len, left < INT_MAX ? (int)left : INT_MAX);
        if (n <= 0) return judge(t, n);
        *len += (size_t)n;
        assert(*len <= room);
    }
    return NET_OK;
}

enum net_rc tls_pull(struct tls *t, struct bytes *in, char *plain, size_t plain_room,
                     size_t *plain_len, char *out, size_t out_room, size_t *out_len)
{
    assert(plain_room > 0);
    assert(out_room >= TLS_RECORD_MAX);
    *plain_len = *out_len = 0;
    if (t->why) return NET_BAD;
    if (t->ended) return NET_DONE;
    lend(t, in, out, out_room);
    enum net_rc rc = t->ready ? NET_OK : shake(t);
    if (rc == NET_OK) rc = decrypt(t, plain, plain_room, plain_len);
    *out_len = take_back(t);
    /* What was decrypted before the end or the fault is good, and comes first. */
    if (*plain_len > 0) return NET_OK;
    if (rc == NET_MORE && *out_len > 0) return NET_OK;
    return rc;
}

bool tls_ready(const struct tls *t) { return t->ready && !t->why; }

/* Plain bytes to put into the next record, 0 when the room is too small for any. */
static size_t record_bytes(const struct tls *t, size_t plain_len, size_t room)
{
    if (t->sealing) return t->sealing;  /* the library insists on what it was given */
    if (room <= TLS_SEAL_EXTRA) return 0;
    size_t n = plain_len < PLAIN_MAX ? plain_len : PLAIN_MAX;
    return n < room - TLS_SEAL_EXTRA ? n : room - TLS_SEAL_EXTRA;
}

size_t tls_seal(struct tls *t, struct bytes *plain, char *out, size_t out_room)
{
    assert(t->ready);
    if (t->why || plain->len == 0) return 0;
    assert(plain->len >= t->sealing);
    lend(t, NULL, out, out_room);
    size_t n;
    while (plain->len > 0 && (n = record_bytes(t, plain->len, out_room - t->out_len)) > 0) {
        int rc = SSL_write(t->ssl, plain->ptr, (int)n);
        if (rc <= 0) {
            t->sealing = judge(t, rc) == NET_MORE ? (uint32_t)n : 0;
            break;
        }
        t->sealing = 0;
        bytes_cut(plain, (size_t)rc);
    }
    return take_back(t);
}

size_t tls_goodbye(struct tls *t, char *out, size_t out_room)
{
    assert(out_room >= TLS_ALERT_MAX);
    if (!t->ready || t->why || t->said_goodbye) return 0;
    t->said_goodbye = true;
    lend(t, NULL, out, out_room);
    (void)SSL_shutdown(t->ssl);  /* 0: said, the peer has not yet; errors end with tls_close */
    size_t written = take_back(t);
    ERR_clear_error();
    return written;
}

bool tls_failed(const struct tls *t) { return t->why != NULL; }

bool tls_starved(const struct tls *t) { return t->why == starved; }

const char *tls_why(const struct tls *t) { return t->why ? t->why : ""; }

bool tls_resumed(const struct tls *t) { return t->ready && SSL_session_reused(t->ssl) == 1; }

#define TEXT_OF(macro) TEXT(macro)
#define TEXT(token) #token

const char *tls_library(void)
{
#ifdef OPENSSL_IS_BORINGSSL
    return "BoringSSL, API " TEXT_OF(BORINGSSL_API_VERSION);
#else
    return OpenSSL_version(OPENSSL_VERSION);
#endif
}
