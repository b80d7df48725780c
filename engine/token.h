/* token.h - access tokens of service accounts (RFC 7523: a signed assertion is exchanged for a
 * token of about an hour). A thread of the keeper's fetches them ahead of time and again before
 * they end, so that no request waits for one; cores copy what is there.
 * Model: a slot per account, made when a configuration first names it and kept for the life of
 * the process; in memory that no core dump has. One thread writes, cores read under a sequence
 * lock. */
#ifndef ENGINE_TOKEN_H
#define ENGINE_TOKEN_H

#include "net/bytes.h"

struct engine;
struct http_out;
struct token;
struct tokens;

enum { TOKEN_MAX = 4096 };   /* bytes of a token */

/* Write "authorization: Bearer ..." with the token and its CRLF. t NULL: nobody has looked for
 * one yet. False: there is none, or it has ended; nothing is written. Any thread. */
MUST_USE bool token_put(const struct token *t, uint64_t now_ns, struct http_out *o);
/* Is there one? The same without writing. */
bool token_is_there(const struct token *t, uint64_t now_ns);
/* Why there is none, in words. Static text. Any thread. */
const char *token_why(const struct token *t);

/* Make the list of slots. NULL: out of memory. gives. */
struct tokens *tokens_make(void);
/* Look at the published configuration: give each account its slot, and fetch what is missing or
 * ends soon; blocks while it does. The one thread that writes. now_ns: monotonic. */
void tokens_step(struct tokens *all, struct engine *e, uint64_t now_ns, uint64_t unix_s);

/* ---- for tests ---- */

/* The assertion: header, claims, signature (RFC 7515 section 3.1). Gives its length; 0: the key
 * cannot be read, or there is no room. */
size_t token_assert(const char *email, const char *key_id, const char *key_pem, const char *url,
                    uint64_t unix_s, char *out, size_t room);

#endif
