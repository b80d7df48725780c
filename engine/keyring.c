/* keyring.c - see keyring.h: a list, for it is walked only when a configuration is read. Keys
 * that no configuration names any more stay in it, a hundred bytes each: one that is taken out
 * and put back in finds its requests still running. */
#include "engine/keyring.h"
#include "route/quota.h"

#include <openssl/sha.h>
#include <stdlib.h>

struct entry {
    struct quota quota;
    struct entry *next;
    uint8_t name[SHA256_DIGEST_LENGTH];
};

struct keyring {
    struct entry *first;
    uint32_t users;
};

struct keyring *keyring_make(void)
{
    struct keyring *k = calloc(1, sizeof *k);
    if (k) k->users = 1;
    return k;
}

struct keyring *keyring_share(struct keyring *k)
{
    assert(k->users > 0);
    k->users++;
    return k;
}

void keyring_drop(struct keyring *k)
{
    assert(k->users > 0);
    if (--k->users > 0) return;
    while (k->first) {
        struct entry *e = k->first;
        k->first = e->next;
        assert(atomic_load_explicit(&e->quota.running, memory_order_relaxed) == 0);
        free(e);
    }
    free(k);
}

/* Of the provider's name with its end, then the key. */
static void hash_name(const char *provider, const char *key, uint8_t out[SHA256_DIGEST_LENGTH])
{
    SHA256_CTX sha;
    (void)SHA256_Init(&sha);
    (void)SHA256_Update(&sha, provider, strlen(provider) + 1);
    (void)SHA256_Update(&sha, key, strlen(key));
    (void)SHA256_Final(out, &sha);
}

struct quota *keyring_find(struct keyring *k, const char *provider, const char *key)
{
    uint8_t name[SHA256_DIGEST_LENGTH];
    hash_name(provider, key, name);
    for (struct entry *e = k->first; e; e = e->next) {
        if (memcmp(e->name, name, sizeof name) == 0) return &e->quota;
    }
    struct entry *made = aligned_alloc(_Alignof(struct entry), sizeof *made);
    if (!made) return NULL;
    memset(made, 0, sizeof *made);
    memcpy(made->name, name, sizeof name);
    made->next = k->first;
    k->first = made;
    return &made->quota;
}
