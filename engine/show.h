/* show.h - members that several answers show of a model, in one form. */
#ifndef ENGINE_SHOW_H
#define ENGINE_SHOW_H

#include "route/price.h"

struct budget_look;
struct jsonw;
struct quality;

/* A price as decimal strings of US dollars per 1M tokens: input, cached, cache_write,
 * cache_write_1h, output, audio_input, audio_output, image_input, request where there is one,
 * and tiers where there are any, each with above and the same names; null where nobody states
 * it. p borrows and may be NULL. */
void show_price(struct jsonw *w, const struct price *p);
/* What is known of a model's ability: by family percent (of known models that are weaker), t,
 * width, evidence, figures. */
void show_quality(struct jsonw *w, const struct quality *q);
/* The efforts it takes, each with what t loses there; and "default": where none is said. */
void show_efforts(struct jsonw *w, const struct quality *q);
/* The words of a list "a|b|c" whose bit is set. */
void show_words(struct jsonw *w, const char *words, unsigned bits);
/* A number that 0 means unknown in: null then. */
void show_known(struct jsonw *w, uint32_t value);
/* Members of a limit as it stands, without braces: window, usd, spent, held, remaining (never
 * below 0), resets_at (null: never). */
void show_limit(struct jsonw *w, const struct budget_look *look);

#endif
