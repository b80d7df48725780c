/* keyring.h - what is counted of each provider key as long as the process lives, whatever
 * configurations come and go: a reload in mid-run neither forgets who runs at a key nor gives
 * its minute a second time. Kept by provider name and a hash of the key, so that no key lies
 * here. Main thread only (the quotas themselves are everybody's). */
#ifndef ENGINE_KEYRING_H
#define ENGINE_KEYRING_H

#include "net/bytes.h"

struct keyring;
struct quota;

/* A new one, in use once; NULL: out of memory. */
struct keyring *keyring_make(void);
/* In use once more. Gives k. */
struct keyring *keyring_share(struct keyring *k);
/* In use once less; the last user frees it, with all quotas. takes k. */
void keyring_drop(struct keyring *k);
/* The quota of a provider's key ("" for one without keys), made when new. NULL: out of
 * memory. */
struct quota *keyring_find(struct keyring *k, const char *provider, const char *key);

#endif
