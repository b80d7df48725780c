/* show.h - members that several answers show of a model, in one form. */
#ifndef ENGINE_SHOW_H
#define ENGINE_SHOW_H

#include "route/price.h"

struct budget_look;
struct jsonw;

/* A price as decimal strings of US dollars per 1M tokens: input, cached, cache_write,
 * cache_write_1h, output, and request where there is one; null where nobody states it. p
 * borrows and may be NULL. */
void show_price(struct jsonw *w, const struct price *p);
/* A number that 0 means unknown in: null then. */
void show_known(struct jsonw *w, uint32_t value);
/* Members of a limit as it stands, without braces: window, usd, spent, held, remaining (never
 * below 0), resets_at (null: never). */
void show_limit(struct jsonw *w, const struct budget_look *look);

#endif
