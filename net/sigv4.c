/* sigv4.c - see sigv4.h. The HMAC (RFC 2104) is made of the bare hash: the library's own
 * allocates. What held the secret, or a key made of it, is wiped. */
#include "net/sigv4.h"

#include <stdio.h>

enum { BLOCK = 64, HEX = 2 * SIGV4_HASH, DATE = 8, MOMENT = 16, SCOPE_MAX = 192 };

struct hmac { SHA256_CTX inner, outer; };

static void hmac_begin(struct hmac *h, const void *key, size_t len)
{
    uint8_t pad[BLOCK] = {0};
    assert(len > 0);
    if (len > BLOCK) (void)SHA256(key, len, pad);
    else memcpy(pad, key, len);
    for (size_t i = 0; i < BLOCK; i++) pad[i] ^= 0x36;
    (void)SHA256_Init(&h->inner);
    (void)SHA256_Update(&h->inner, pad, BLOCK);
    for (size_t i = 0; i < BLOCK; i++) pad[i] ^= 0x36 ^ 0x5c;
    (void)SHA256_Init(&h->outer);
    (void)SHA256_Update(&h->outer, pad, BLOCK);
    explicit_bzero(pad, sizeof pad);
}

static void hmac_end(struct hmac *h, uint8_t out[SIGV4_HASH])
{
    (void)SHA256_Final(out, &h->inner);
    (void)SHA256_Update(&h->outer, out, SIGV4_HASH);
    (void)SHA256_Final(out, &h->outer);
    explicit_bzero(h, sizeof *h);
}

/* One step from key to key; out may be key. */
static void hmac_of(const void *key, size_t key_len, struct bytes text, uint8_t out[SIGV4_HASH])
{
    struct hmac h;
    hmac_begin(&h, key, key_len);
    (void)SHA256_Update(&h.inner, text.ptr, text.len);
    hmac_end(&h, out);
}

static void put_hex(const uint8_t in[SIGV4_HASH], char out[HEX])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SIGV4_HASH; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
}

/* "20150830T123600Z": days to a date as in the proleptic Gregorian calendar, years from March
 * on, so that a leap day is a year's last. */
static void put_moment(uint64_t unix_s, char out[MOMENT + 1])
{
    uint64_t days = unix_s / 86400, second = unix_s % 86400;
    uint64_t z = days + 719468, era = z / 146097, of_era = z % 146097;
    uint64_t year_of = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * year_of + year_of / 4 - year_of / 100);
    uint64_t m = (5 * of_year + 2) / 153;
    unsigned day = (unsigned)(of_year - (153 * m + 2) / 5 + 1);
    unsigned month = (unsigned)(m < 10 ? m + 3 : m - 9);
    unsigned year = (unsigned)((year_of + era * 400 + (month <= 2)) % 10000);
    char text[40];
    int n = snprintf(text, sizeof text, "%04u%02u%02uT%02u%02u%02uZ", year, month, day,
                     (unsigned)(second / 3600), (unsigned)(second / 60 % 60),
                     (unsigned)(second % 60));
    assert(n == MOMENT);
    memcpy(out, text, MOMENT + 1);
}

/* Percent-encode all but unreserved characters and slashes (RFC 3986 section 2.3). */
static void hash_path(SHA256_CTX *sha, struct bytes path)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t plain = 0;
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.ptr[i];
        bool fine = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                    (c >= 'A' && c <= 'Z') || (c && strchr("-._~/", c));
        if (fine) continue;
        char hex[3] = {'%', digits[c >> 4], digits[c & 15]};
        (void)SHA256_Update(sha, path.ptr + plain, i - plain);
        (void)SHA256_Update(sha, hex, sizeof hex);
        plain = i + 1;
    }
    (void)SHA256_Update(sha, path.ptr + plain, path.len - plain);
}

static void hash_text(SHA256_CTX *sha, struct bytes text)
{
    (void)SHA256_Update(sha, text.ptr, text.len);
}

static struct bytes signed_names(const struct sigv4_key *k)
{
    return k->token.len ? BYTES("host;x-amz-date;x-amz-security-token")
                        : BYTES("host;x-amz-date");
}

static void hash_request(const struct sigv4_key *k, const char *moment, struct bytes host,
                         struct bytes path, const uint8_t hash[SIGV4_HASH], char out[HEX])
{
    SHA256_CTX sha;
    uint8_t made[SIGV4_HASH];
    char body[HEX];
    put_hex(hash, body);
    (void)SHA256_Init(&sha);
    hash_text(&sha, BYTES("POST\n"));
    hash_path(&sha, path);
    hash_text(&sha, BYTES("\n\nhost:"));
    hash_text(&sha, host);
    hash_text(&sha, BYTES("\nx-amz-date:"));
    hash_text(&sha, (struct bytes){moment, MOMENT});
    if (k->token.len) {
        hash_text(&sha, BYTES("\nx-amz-security-token:"));
        hash_text(&sha, k->token);
    }
    hash_text(&sha, BYTES("\n\n"));
    hash_text(&sha, signed_names(k));
    hash_text(&sha, BYTES("\n"));
    hash_text(&sha, (struct bytes){body, HEX});
    (void)SHA256_Final(made, &sha);
    put_hex(made, out);
    explicit_bzero(&sha, sizeof sha);  /* the token went through it */
}

/* HMAC chain of secret, day, region, service, "aws4_request"; then of the string to sign. */
static void sign(const struct sigv4_key *k, const char *moment, struct bytes scope,
                 const char request[HEX], char out[HEX])
{
    char first[4 + SIGV4_SECRET_MAX];
    uint8_t key[SIGV4_HASH];
    struct hmac h;
    memcpy(first, "AWS4", 4);
    memcpy(first + 4, k->secret.ptr, k->secret.len);
    hmac_of(first, 4 + k->secret.len, (struct bytes){moment, DATE}, key);
    hmac_of(key, sizeof key, k->region, key);
    hmac_of(key, sizeof key, k->service, key);
    hmac_of(key, sizeof key, BYTES("aws4_request"), key);
    hmac_begin(&h, key, sizeof key);
    hash_text(&h.inner, BYTES("AWS4-HMAC-SHA256\n"));
    hash_text(&h.inner, (struct bytes){moment, MOMENT});
    hash_text(&h.inner, BYTES("\n"));
    hash_text(&h.inner, scope);
    hash_text(&h.inner, BYTES("\n"));
    hash_text(&h.inner, (struct bytes){request, HEX});
    hmac_end(&h, key);
    put_hex(key, out);
    explicit_bzero(first, sizeof first);
    explicit_bzero(key, sizeof key);
}

static bool is_word(struct bytes b, size_t max)
{
    for (size_t i = 0; i < b.len; i++) {
        if (b.ptr[i] <= ' ' || b.ptr[i] > '~') return false;
    }
    return b.len <= max;
}

bool sigv4_key_is_fine(const struct sigv4_key *k)
{
    bool there = k->id.len && k->secret.len && k->region.len && k->service.len;
    return there && is_word(k->id, SIGV4_ID_MAX) && is_word(k->secret, SIGV4_SECRET_MAX) &&
           is_word(k->token, SIGV4_TOKEN_MAX) && is_word(k->region, SIGV4_WORD_MAX) &&
           is_word(k->service, SIGV4_WORD_MAX);
}

size_t sigv4_put(const struct sigv4_key *k, uint64_t unix_s, struct bytes host,
                 struct bytes path, const uint8_t hash[SIGV4_HASH], char *out, size_t room)
{
    char moment[MOMENT + 1], scope[SCOPE_MAX], request[HEX], signature[HEX];
    assert(sigv4_key_is_fine(k));
    put_moment(unix_s, moment);
    int n = snprintf(scope, sizeof scope, "%.*s/%.*s/%.*s/aws4_request", DATE, moment,
                     (int)k->region.len, k->region.ptr, (int)k->service.len, k->service.ptr);
    assert(n > 0 && (size_t)n < sizeof scope);
    hash_request(k, moment, host, path, hash, request);
    sign(k, moment, (struct bytes){scope, (size_t)n}, request, signature);
    struct bytes names = signed_names(k);
    n = snprintf(out, room, "x-amz-date: %s\r\n%s%.*s%sauthorization: AWS4-HMAC-SHA256 "
                 "Credential=%.*s/%s, SignedHeaders=%.*s, Signature=%.*s\r\n", moment,
                 k->token.len ? "x-amz-security-token: " : "", (int)k->token.len,
                 k->token.len ? k->token.ptr : "", k->token.len ? "\r\n" : "",
                 (int)k->id.len, k->id.ptr, scope, (int)names.len, names.ptr, HEX, signature);
    return n > 0 && (size_t)n < room ? (size_t)n : 0;
}
