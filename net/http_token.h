/* http_token.h - what the files of net/http*.c share; nobody else includes it. */
#ifndef NET_HTTP_TOKEN_H
#define NET_HTTP_TOKEN_H

#include "net/http.h"

/* http_field_find for a name that is known to be a token (OCTET_TOKEN bytes only), without
 * looking at each byte again. token borrows. HTTP_NAME_COUNT where http.def has none. */
enum http_field http_field_token(struct bytes token);

/* The ways (enum http_way, as bits) on which a field with this name stops here, whatever
 * Connection lists; id is http_field_token(token). */
unsigned http_field_ways(enum http_field id, struct bytes token);

#endif
