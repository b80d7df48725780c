/* identity.h - certificates and keys made on the spot, so that every fault of one can be had.
 * The program includes setjmp.h, stdarg.h, stddef.h, stdint.h and cmocka.h before. */
#ifndef TESTS_UNIT_IDENTITY_H
#define TESTS_UNIT_IDENTITY_H

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "net/bytes.h"

#include <stdlib.h>

enum { DAY = 86400 };

struct identity { EVP_PKEY *key; X509 *cert; };

/* A fresh P-256 key. */
static inline EVP_PKEY *key_make(void)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx, NID_X9_62_prime256v1), 1);
    assert_int_equal(EVP_PKEY_keygen(ctx, &key), 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

/* Add an extension. */
static inline void extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
    assert_non_null(ext);
    assert_int_equal(X509_add_ext(cert, ext, -1), 1);
    X509_EXTENSION_free(ext);
}

/* A certificate signed by issuer (NULL: itself, a root) for names (NULL: none). */
static inline struct identity identity_make(const struct identity *issuer, const char *cn,
                                     const char *names, long from_s, long to_s)
{
    struct identity id = {.key = key_make(), .cert = X509_new()};
    X509_set_version(id.cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(id.cert), rand());
    X509_gmtime_adj(X509_getm_notBefore(id.cert), from_s);
    X509_gmtime_adj(X509_getm_notAfter(id.cert), to_s);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(id.cert), "CN", MBSTRING_UTF8,
                               (const unsigned char *)cn, -1, -1, 0);
    X509 *by = issuer ? issuer->cert : id.cert;
    X509_set_issuer_name(id.cert, X509_get_subject_name(by));
    X509_set_pubkey(id.cert, id.key);
    if (!issuer) extend(id.cert, by, NID_basic_constraints, "critical,CA:TRUE");
    if (names) extend(id.cert, by, NID_subject_alt_name, names);
    assert_true(X509_sign(id.cert, issuer ? issuer->key : id.key, EVP_sha256()) > 0);
    return id;
}

/* Free both. */
static inline void identity_free(struct identity *id)
{
    EVP_PKEY_free(id->key);
    X509_free(id->cert);
}

/* What was written into a memory BIO as a text (malloc), which is freed with it. */
static inline struct bytes pem_text(BIO *bio)
{
    char *at;
    long len = BIO_get_mem_data(bio, &at);
    char *text = malloc((size_t)len + 1);
    assert_non_null(text);
    memcpy(text, at, (size_t)len);
    text[len] = 0;
    BIO_free(bio);
    return (struct bytes){text, (size_t)len};
}

/* Certificates as PEM, one after another (malloc). */
static inline struct bytes pem_chain(const struct identity *const *ids, size_t count)
{
    BIO *bio = BIO_new(BIO_s_mem());
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(PEM_write_bio_X509(bio, ids[i]->cert), 1);
    }
    return pem_text(bio);
}

/* A private key as PEM (malloc), encrypted where a passphrase is given. */
static inline struct bytes pem_key(EVP_PKEY *key, const char *passphrase)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char phrase[32] = "";
    if (passphrase) (void)strncpy(phrase, passphrase, sizeof phrase - 1);
    int rc = PEM_write_bio_PKCS8PrivateKey(bio, key, passphrase ? EVP_aes_128_cbc() : NULL,
                                           phrase, (int)strlen(phrase), NULL, NULL);
    assert_int_equal(rc, 1);
    return pem_text(bio);
}

#endif
