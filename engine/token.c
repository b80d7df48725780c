/* token.c - see token.h. The exchange itself is plain: one connection, one request, one small
 * answer, with a deadline for all of it; a token endpoint is asked once in an hour.
 * Rule: what held a key, an assertion or a token is wiped. */
#include "engine/token.h"
#include "engine/engine.h"
#include "engine/tables.h"
#include "engine/vault.h"
#include "net/chunk.h"
#include "net/http.h"
#include "net/json.h"
#include "net/tls.h"
#include "net/url.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    LIFE_S = 3600,                 /* what is asked for: the most that Google gives */
    EARLY_S = 300,                 /* a token that ends sooner is no good */
    FETCH_MS = 10000,              /* the whole exchange */
    AGAIN_S_MIN = 2, AGAIN_S_MAX = 60,
    ANSWER_MAX = 65536, ASSERTION_MAX = 8192, WAIT_MS = 200,
};

enum why { WHY_NOT_YET, WHY_KEY, WHY_NAME, WHY_CONNECT, WHY_TLS, WHY_ANSWER, WHY_REFUSED,
           WHY_TOKEN, WHYS };

struct token {
    struct token *next;
    uint8_t name[SHA256_DIGEST_LENGTH];   /* of address, account and key */
    _Atomic uint32_t seq;                 /* odd while written */
    uint32_t len;
    char text[TOKEN_MAX];
    _Atomic uint64_t until_ns;            /* 0: there is none */
    _Atomic uint32_t why;                 /* enum why */
    uint64_t next_ns;                     /* of the thread that writes */
    uint32_t failures;
};

struct tokens {
    struct token *first;
    struct tls_ctx *tls;
    bool tried_tls;
};

/* ---- reading ---- */

bool token_is_there(const struct token *t, uint64_t now_ns)
{
    return t && atomic_load_explicit(&t->until_ns, memory_order_acquire) > now_ns;
}

bool token_put(const struct token *t, uint64_t now_ns, struct http_out *o)
{
    struct http_out before = *o;
    for (int tries = 0; token_is_there(t, now_ns) && tries < 1000; tries++) {
        uint32_t seq = atomic_load_explicit(&t->seq, memory_order_acquire);
        if (seq & 1) continue;
        *o = before;
        uint32_t len = t->len;
        http_out_text(o, BYTES("authorization: Bearer "));
        http_out_text(o, (struct bytes){t->text, len <= TOKEN_MAX ? len : 0});
        http_out_text(o, BYTES("\r\n"));
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&t->seq, memory_order_relaxed) == seq) return true;
    }
    *o = before;
    return false;
}

const char *token_why(const struct token *t)
{
    static const char *const words[WHYS] = {
        [WHY_NOT_YET] = "no access token yet",
        [WHY_KEY] = "no access token: the account's private key cannot be used",
        [WHY_NAME] = "no access token: its address is not resolved",
        [WHY_CONNECT] = "no access token: its address does not answer",
        [WHY_TLS] = "no access token: TLS failed at its address",
        [WHY_ANSWER] = "no access token: its address gave a malformed answer",
        [WHY_REFUSED] = "no access token: its address refused the account",
        [WHY_TOKEN] = "no access token: its address gave none that can be used",
    };
    uint32_t why = t ? atomic_load_explicit(&t->why, memory_order_relaxed) : WHY_NOT_YET;
    assert(why < WHYS);
    return words[why];
}

/* ---- the assertion ---- */

/* Base64 for URLs, without padding (RFC 7515 section 2). Gives the length; 0: no room. */
static size_t base64url(const void *data, size_t len, char *out, size_t room)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const uint8_t *in = data;
    size_t n = 0;
    if (room < (len * 4 + 2) / 3) return 0;
    for (size_t i = 0; i < len; i += 3) {
        uint32_t left = (uint32_t)(len - i), v = (uint32_t)in[i] << 16;
        if (left > 1) v |= (uint32_t)in[i + 1] << 8;
        if (left > 2) v |= in[i + 2];
        out[n++] = digits[v >> 18];
        out[n++] = digits[v >> 12 & 63];
        if (left > 1) out[n++] = digits[v >> 6 & 63];
        if (left > 2) out[n++] = digits[v & 63];
    }
    assert(n <= room);
    return n;
}

static EVP_PKEY *key_of(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, (int)strlen(pem));
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    return key;
}

/* RS256 (RFC 7518 section 3.3) of text. Gives the length of the signature; 0: not possible. */
static size_t rs256(const char *pem, struct bytes text, uint8_t *out, size_t room)
{
    EVP_PKEY *key = key_of(pem);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = room;
    bool ok = key && ctx && EVP_PKEY_id(key) == EVP_PKEY_RSA &&
              EVP_PKEY_size(key) <= (int)room &&
              EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
              EVP_DigestSign(ctx, out, &len, (const uint8_t *)text.ptr, text.len) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return ok ? len : 0;
}

size_t token_assert(const char *email, const char *key_id, const char *key_pem, const char *url,
                    uint64_t unix_s, char *out, size_t room)
{
    char json[2048];
    uint8_t signature[1024];
    size_t n = 0, part;
    int len = snprintf(json, sizeof json, "{\"alg\":\"RS256\",\"typ\":\"JWT\"%s%s%s}",
                       *key_id ? ",\"kid\":\"" : "", key_id, *key_id ? "\"" : "");
    if (len < 0 || (size_t)len >= sizeof json) return 0;
    part = base64url(json, (size_t)len, out, room);
    if (part == 0 || part + 1 >= room) return 0;
    n = part;
    out[n++] = '.';
    len = snprintf(json, sizeof json, "{\"iss\":\"%s\",\"scope\":\"https://www.googleapis.com/"
                   "auth/cloud-platform\",\"aud\":\"%s\",\"iat\":%llu,\"exp\":%llu}", email,
                   url, (unsigned long long)unix_s, (unsigned long long)unix_s + LIFE_S);
    if (len < 0 || (size_t)len >= sizeof json) return 0;
    part = base64url(json, (size_t)len, out + n, room - n);
    if (part == 0 || n + part + 1 >= room) return 0;
    n += part;
    size_t signed_len = rs256(key_pem, (struct bytes){out, n}, signature, sizeof signature);
    if (signed_len == 0) return 0;
    out[n++] = '.';
    part = base64url(signature, signed_len, out + n, room - n);
    return part ? n + part : 0;
}

/* ---- the exchange ---- */

struct fetch {                     /* one exchange */
    struct url url;
    int fd;
    uint64_t until_ns;
    struct tls *tls;
    char *answer;                  /* ANSWER_MAX */
    size_t len;
};

static uint64_t clock_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Wait for the socket. False: the time is over. */
static bool wait_for(const struct fetch *f, short events)
{
    uint64_t now = clock_ns();
    if (now >= f->until_ns) return false;
    struct pollfd p = {.fd = f->fd, .events = events};
    return poll(&p, 1, (int)((f->until_ns - now) / 1000000) + 1) == 1;
}

static int dial(const struct addrinfo *to, struct fetch *f)
{
    f->fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (f->fd < 0) return -errno;
    int rc = connect(f->fd, to->ai_addr, to->ai_addrlen), error = 0;
    if (rc < 0 && errno == EINPROGRESS && wait_for(f, POLLOUT)) {
        socklen_t size = sizeof error;
        if (getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0) rc = 0;
    }
    if (rc == 0) return 0;
    (void)close(f->fd);
    f->fd = -1;
    return -ECONNREFUSED;
}

static enum why connect_to(struct fetch *f)
{
    char host[256], port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *all;
    if (f->url.host.len >= sizeof host) return WHY_NAME;
    memcpy(host, f->url.host.ptr, f->url.host.len);
    host[f->url.host.len] = '\0';
    (void)snprintf(port, sizeof port, "%u", (unsigned)f->url.port);
    if (getaddrinfo(host, port, &hints, &all) != 0) return WHY_NAME;
    int rc = -ECONNREFUSED;
    for (const struct addrinfo *at = all; at && rc < 0; at = at->ai_next) rc = dial(at, f);
    freeaddrinfo(all);
    return rc == 0 ? WHYS : WHY_CONNECT;
}

static bool send_all(const struct fetch *f, const char *at, size_t left)
{
    while (left > 0) {
        ssize_t n = send(f->fd, at, left, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) return false;
        if (n < 0 && !wait_for(f, POLLOUT)) return false;
        if (n < 0) continue;
        at += n;
        left -= (size_t)n;
    }
    return true;
}

/* Received bytes: 0 the end, -1 an error or no more time. */
static ssize_t receive(const struct fetch *f, char *room, size_t max)
{
    for (;;) {
        ssize_t n = recv(f->fd, room, max, 0);
        if (n >= 0) return n;
        if (errno != EAGAIN && errno != EINTR) return -1;
        if (!wait_for(f, POLLIN)) return -1;
    }
}

static bool add_answer(struct fetch *f, const char *at, size_t len)
{
    if (len > ANSWER_MAX - f->len) return false;
    memcpy(f->answer + f->len, at, len);
    f->len += len;
    return true;
}

struct tls_rooms { char in[TLS_RECORD_MAX], plain[TLS_RECORD_MAX], out[TLS_RECORD_MAX]; };

/* Feed what came, send what is to be sent. False: it failed. *over: the peer has ended. */
static bool pump(struct fetch *f, struct tls_rooms *r, struct bytes in, bool *over)
{
    for (;;) {
        size_t plain, out;
        enum net_rc rc = tls_pull(f->tls, &in, r->plain, sizeof r->plain, &plain, r->out,
                                  sizeof r->out, &out);
        if (out > 0 && !send_all(f, r->out, out)) return false;
        if (plain > 0 && !add_answer(f, r->plain, plain)) return false;
        if (rc == NET_BAD) return false;
        *over = rc == NET_DONE;
        if (*over || (rc == NET_MORE && in.len == 0)) return true;
    }
}

static enum why talk_tls(struct fetch *f, struct bytes request, struct tls_rooms *r)
{
    bool over = false;
    ssize_t n;
    if (!pump(f, r, (struct bytes){0}, &over)) return WHY_TLS;
    while (!over && !tls_ready(f->tls)) {
        n = receive(f, r->in, sizeof r->in);
        if (n <= 0 || !pump(f, r, (struct bytes){r->in, (size_t)n}, &over)) return WHY_TLS;
    }
    while (request.len > 0) {
        size_t out = tls_seal(f->tls, &request, r->out, sizeof r->out);
        if (out == 0 || !send_all(f, r->out, out)) return WHY_TLS;
    }
    while (!over) {
        n = receive(f, r->in, sizeof r->in);
        if (n <= 0) break;
        if (!pump(f, r, (struct bytes){r->in, (size_t)n}, &over)) break;
    }
    return WHYS;
}

static enum why talk(struct tokens *all, struct fetch *f, struct bytes request)
{
    if (!f->url.tls) {
        char room[4096];
        ssize_t n;
        if (!send_all(f, request.ptr, request.len)) return WHY_CONNECT;
        while ((n = receive(f, room, sizeof room)) > 0 && add_answer(f, room, (size_t)n)) {}
        explicit_bzero(room, sizeof room);
        return WHYS;
    }
    char host[256];
    memcpy(host, f->url.host.ptr, f->url.host.len);
    host[f->url.host.len] = '\0';
    const char *why;
    struct tls_client_config config = {0};
    if (!all->tls && !all->tried_tls && tls_client_open(&config, &all->tls, &why) != NET_OK) {
        all->tls = NULL;
    }
    all->tried_tls = true;
    struct tls_rooms *rooms = vault_take(sizeof *rooms);
    f->tls = all->tls && rooms ? tls_client(all->tls, host, false, 0) : NULL;
    enum why rc = f->tls ? talk_tls(f, request, rooms) : WHY_TLS;
    tls_close(f->tls);
    vault_give(rooms, sizeof *rooms);
    return rc;
}

/* ---- its answer ---- */

/* Take chunks apart in place. False: they are not whole. */
static bool unchunk(struct bytes *body, char *room)
{
    struct chunk c = {0};
    struct bytes in = *body, piece;
    size_t len = 0;
    enum net_rc rc;
    while ((rc = chunk_next(&c, &in, &piece)) == NET_OK) {
        memmove(room + len, piece.ptr, piece.len);
        len += piece.len;
    }
    *body = (struct bytes){room, len};
    return rc == NET_DONE;
}

/* The members access_token (unescaped, into room of TOKEN_MAX) and expires_in. */
static size_t read_members(struct bytes body, char *room, int64_t *seconds)
{
    struct json j;
    struct json_token t;
    size_t len = 0;
    enum { OTHER, TOKEN, SECONDS } what = OTHER;
    json_init(&j, 16);
    while (json_next(&j, &body, &t) == NET_OK) {
        if (t.depth != 1) continue;
        if (t.type == JSON_STRING && what == TOKEN && t.text.ptr && t.text.len <= TOKEN_MAX) {
            len = json_unescape(t.text, room);
        }
        if (t.type == JSON_NUMBER && what == SECONDS && t.text.ptr) {
            if (!json_integer(t.text, seconds)) *seconds = 0;
        }
        if (t.type != JSON_KEY) continue;
        what = bytes_eq(t.text, BYTES("access_token")) ? TOKEN
               : bytes_eq(t.text, BYTES("expires_in")) ? SECONDS : OTHER;
    }
    return len;
}

static bool is_visible(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~') return false;
    }
    return len > 0;
}

/* Put a token into its slot, over what was there. */
static void store(struct token *t, const char *text, size_t len, uint64_t until_ns)
{
    uint32_t seq = atomic_load_explicit(&t->seq, memory_order_relaxed);
    assert(len <= TOKEN_MAX);
    atomic_store_explicit(&t->seq, seq + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    explicit_bzero(t->text, sizeof t->text);
    if (len > 0) memcpy(t->text, text, len);
    t->len = (uint32_t)len;
    atomic_store_explicit(&t->seq, seq + 2, memory_order_release);
    atomic_store_explicit(&t->until_ns, until_ns, memory_order_release);
}

/* Read the answer; *life_s: how long the token is good. */
static enum why take_answer(struct fetch *f, struct token *t, uint64_t now_ns, uint64_t *life_s)
{
    struct http_head head;
    size_t scanned = 0;
    char text[TOKEN_MAX];
    int64_t seconds = 0;
    struct bytes all = {f->answer, f->len};
    if (http_head_end(all, &scanned) != NET_OK) return WHY_ANSWER;
    if (http_response(all, false, &head) != NET_OK) return WHY_ANSWER;
    struct bytes body = {f->answer + head.bytes, f->len - head.bytes};
    if (head.framing == HTTP_CHUNKED && !unchunk(&body, f->answer + head.bytes)) {
        return WHY_ANSWER;
    }
    if (head.status >= 400 && head.status < 500) return WHY_REFUSED;
    if (head.status != 200) return WHY_ANSWER;
    size_t len = read_members(body, text, &seconds);
    bool good = is_visible(text, len) && seconds > EARLY_S && seconds <= 86400;
    *life_s = good ? (uint64_t)seconds : 0;
    if (good) store(t, text, len, now_ns + (*life_s - EARLY_S / 2) * 1000000000u);
    explicit_bzero(text, sizeof text);
    return good ? WHYS : WHY_TOKEN;
}

static enum why exchange(struct tokens *all, struct fetch *f, struct bytes request)
{
    enum why rc = connect_to(f);
    if (rc == WHYS) rc = talk(all, f, request);
    if (f->fd >= 0) (void)close(f->fd);
    return rc;
}

static enum why fetch(struct tokens *all, const struct catalog_provider *p, struct token *t,
                      uint64_t now_ns, uint64_t unix_s, uint64_t *life_s)
{
    static const char form[] =
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    enum { ROOM = ASSERTION_MAX + 4096 };
    struct fetch f = {.fd = -1, .until_ns = clock_ns() + FETCH_MS * 1000000ull};
    const char *why;
    char *assertion = vault_take(ASSERTION_MAX), *request = vault_take(ROOM);
    f.answer = vault_take(ANSWER_MAX);
    enum why rc = WHY_KEY;
    size_t n = 0;
    if (assertion && request && f.answer &&
        url_parse(bytes_of(p->token_url), &f.url, &why) == NET_OK) {
        n = token_assert(p->token_email, p->token_key_id, p->token_key, p->token_url, unix_s,
                         assertion, ASSERTION_MAX);
    }
    if (n > 0) {
        int len = snprintf(request, ROOM, "POST %.*s HTTP/1.1\r\nhost: %.*s\r\nconnection: "
                           "close\r\ncontent-type: application/x-www-form-urlencoded\r\n"
                           "accept-encoding: identity\r\ncontent-length: %zu\r\n\r\n%s%.*s",
                           f.url.path.len ? (int)f.url.path.len : 1,
                           f.url.path.len ? f.url.path.ptr : "/", (int)f.url.host.len,
                           f.url.host.ptr, sizeof form - 1 + n, form, (int)n, assertion);
        rc = exchange(all, &f, (struct bytes){request, (size_t)len});
        if (rc == WHYS) rc = take_answer(&f, t, now_ns, life_s);
    }
    vault_give(assertion, ASSERTION_MAX);
    vault_give(request, ROOM);
    vault_give(f.answer, ANSWER_MAX);
    return rc;
}

/* ---- all of them ---- */

struct tokens *tokens_make(void)
{
    return calloc(1, sizeof(struct tokens));
}

static struct token *slot_of(struct tokens *all, const struct catalog_provider *p)
{
    uint8_t name[SHA256_DIGEST_LENGTH];
    SHA256_CTX sha;
    (void)SHA256_Init(&sha);
    (void)SHA256_Update(&sha, p->token_url, strlen(p->token_url) + 1);
    (void)SHA256_Update(&sha, p->token_email, strlen(p->token_email) + 1);
    (void)SHA256_Update(&sha, p->token_key, strlen(p->token_key));
    (void)SHA256_Final(name, &sha);
    explicit_bzero(&sha, sizeof sha);
    for (struct token *t = all->first; t; t = t->next) {
        if (memcmp(t->name, name, sizeof name) == 0) return t;
    }
    struct token *made = vault_take(sizeof *made);
    if (!made) return NULL;
    memcpy(made->name, name, sizeof name);
    made->next = all->first;
    all->first = made;
    return made;
}

/* Fetch where it is time. Renewed when a fifth of its life is left; after a failure soon, and
 * then less and less often. */
static void tend(struct tokens *all, const struct catalog_provider *p, struct token *t,
                 uint64_t now_ns, uint64_t unix_s)
{
    uint64_t life_s = 0;
    if (now_ns < t->next_ns) return;
    enum why rc = fetch(all, p, t, now_ns, unix_s, &life_s);
    if (rc == WHYS) {
        t->failures = 0;
        t->next_ns = now_ns + life_s * 800000000u;
        atomic_store_explicit(&t->why, WHY_NOT_YET, memory_order_relaxed);
        return;
    }
    atomic_store_explicit(&t->why, rc, memory_order_relaxed);
    uint64_t wait_s = (uint64_t)AGAIN_S_MIN << (t->failures < 5 ? t->failures : 5);
    if (wait_s > AGAIN_S_MAX) wait_s = AGAIN_S_MAX;
    if (t->failures++ == 0) {
        (void)fprintf(stderr, "warning: %s: %s\n", p->name, token_why(t));
    }
    t->next_ns = now_ns + wait_s * 1000000000u;
}

void tokens_step(struct tokens *all, struct engine *e, uint64_t now_ns, uint64_t unix_s)
{
    struct tables *t = atomic_load_explicit(&e->tables, memory_order_acquire);
    if (!t) return;
    tables_pin(t, e->core_count + PARTIES);
    for (uint32_t i = 0; i < t->catalog->provider_count; i++) {
        const struct catalog_provider *p = &t->catalog->provider[i];
        if (p->signs != SIGNS_TOKEN) continue;
        struct token *slot = slot_of(all, p);
        atomic_store_explicit(&t->token[i], slot, memory_order_release);
        if (slot) tend(all, p, slot, now_ns, unix_s);
    }
    tables_unpin(t, e->core_count + PARTIES);
}
