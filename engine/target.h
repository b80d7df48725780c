/* target.h - where a request goes at its provider: the request target (RFC 9112 section 3.2),
 * by the API it is asked in and the form of the provider's paths. */
#ifndef ENGINE_TARGET_H
#define ENGINE_TARGET_H

#include "net/bytes.h"

struct catalog_provider;
struct exchange;
struct http_out;

/* Bytes of the path and query that any request has, but for the client's query. */
enum { TARGET_ROOM = 1024 + 1024 + 128 };

/* Write the target for x's current candidate; gives its path, without the query, in o. */
struct bytes target_put(struct http_out *o, const struct exchange *x,
                        const struct catalog_provider *p);

#endif
