/* fixed.h - the header lines that every request to a provider with one of its keys begins with:
 * whom it is for, the key, the codings that are wanted, the fields of the configuration. Made
 * once per version of the tables, so that a core copies them. */
#ifndef ENGINE_FIXED_H
#define ENGINE_FIXED_H

#include "net/bytes.h"

struct catalog_provider;
struct http_out;

/* Compose the lines for p with its key (0 where it has none) into o. copies. */
void fixed_put(struct http_out *o, const struct catalog_provider *p, unsigned key);

#endif
