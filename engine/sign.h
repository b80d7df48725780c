/* sign.h - the header lines that tell a provider who asks, where they are not the same for
 * every request (fixed.h): an access token that changes by the hour, a signature over the
 * request. */
#ifndef ENGINE_SIGN_H
#define ENGINE_SIGN_H

#include "net/bytes.h"

struct catalog_provider;
struct core;
struct exchange;
struct http_out;

/* Can x's current candidate be asked? NULL: yes; else why not, in words. Static text. */
const char *sign_lack(const struct core *core, const struct exchange *x);
/* Bytes that the lines may take. */
size_t sign_room(const struct catalog_provider *p);
/* Write the lines; none where a token has ended since, of which the provider's answer tells.
 * path: of the request, as written. */
void sign_put(const struct core *core, const struct exchange *x, struct bytes path,
              struct http_out *o);

#endif
