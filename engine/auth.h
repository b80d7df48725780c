/* auth.h - client keys on a core: a presented secret is hashed and looked up in a table of the
 * core's own, whose entries hold for one policy generation; a miss reads the store in place,
 * in a transaction that ends within the call. Unknown keys meet the filter first. */
#ifndef ENGINE_AUTH_H
#define ENGINE_AUTH_H

#include "net/bytes.h"
#include "store/keys.h"

struct auth;
struct budget_path;
struct core;
struct http_head;
struct pool;

/* Make a core's table (boot, heap). NULL: out of memory or no reader slot in the store. */
struct auth *auth_make(struct db *db);
/* The view of a key by its hash; NULL: unknown, expired, or the store failed. Borrows until the
 * next call on this core. */
const struct key_view *auth_find(struct core *core, const uint8_t hash[STORE_KEY_HASH]);
/* The limits and rates that a view's path meets. Borrows as the view, which auth_find gave. */
const struct budget_path *auth_budget(const struct key_view *view);
/* What a view's policies say of routing, read once a generation; NULL: they cannot be read, and
 * nothing is allowed. Borrows as the view, which auth_find gave. */
const struct policy_routing *auth_routing(const struct key_view *view);
/* Find the secret a head presents (Authorization: Bearer, x-api-key, x-goog-api-key, api-key)
 * or in_query, the parameter `key` of Gemini's paths (empty: none), and hash it. False: none,
 * or two that differ; *why then says which (static text). */
MUST_USE bool auth_hash(const struct http_head *head, struct bytes in_query,
                        uint8_t hash[STORE_KEY_HASH], const char **why);
/* The credit pool of an organisation, as the store has it. False: it cannot be read. */
MUST_USE bool auth_pool(struct core *core, store_id org, struct pool *pool);
/* Is there a folded or not yet folded request of this key with this id? */
bool auth_request_known(struct core *core, store_id key, const char *id, size_t len);

#endif
