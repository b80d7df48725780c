/* http_token.h - what the files of net/http*.c share; nobody else includes it. */
#ifndef NET_HTTP_TOKEN_H
#define NET_HTTP_TOKEN_H

#include "net/http.h"

/* http_field_find for a name that is known to be a token (OCTET_TOKEN bytes only), without
 * looking at each byte again. token borrows. HTTP_FIELD_COUNT where http.def has none. */
enum http_field http_field_token(struct bytes token);

#endif
