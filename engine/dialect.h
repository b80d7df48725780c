/* dialect.h - where the engine itself must know which API a request is of: whom it may be sent
 * to and in which form, and how a stream of it begins, is kept awake and ends. Pure. What the
 * bytes mean is net/dialect's, how they are said otherwise net/translate's. */
#ifndef ENGINE_DIALECT_H
#define ENGINE_DIALECT_H

#include "net/dialect/api.h"

struct catalog_provider;

/* The providers that may be asked, as bits of enum dialect (route/catalog.h): those that speak
 * the API themselves, those that it can be translated for, and, of a count, everyone: where
 * nobody counts, Weir estimates. */
unsigned dialect_bits(enum api api);
/* The API that a provider is asked in for a request of one: itself where it speaks it, else
 * the native form it is translated into. APIS: none, Weir estimates (a count). It is one that
 * dialect_bits() allows. */
enum api dialect_peer(enum api api, const struct catalog_provider *p);
/* The one of its own dialect in which it has conversations, whatever else it speaks. */
enum api dialect_native(const struct catalog_provider *p);
/* True where two APIs are of one maker, whose header fields go on. */
bool dialect_is_kin(enum api a, enum api b);
/* A dialect by its name in weir.yaml, in words for an error text ("Anthropic's"), and the path
 * it is asked at. */
struct dialect_words { const char *name, *whose, *path; };
/* Gives them for an enum dialect. Static text. */
struct dialect_words dialect_words(unsigned dialect);
/* True where the tokens of a prompt are only counted: nothing is generated, nothing costs. */
static inline bool dialect_counts(enum api api)
{
    return api == API_COUNT_TOKENS || api == API_GENERATE_COUNT || api == API_RESPONSES_COUNT;
}
/* The event that tells a client of the good end, where a provider that had finished did not
 * send it; empty: the end of the body says it, or nothing but the provider's own event does. */
struct bytes dialect_good_end(enum api api);
/* True where a comment line inside a stream harms no client. Gemini's SDK looks for "data:" at
 * the beginning of what it has and waits for ever behind a comment. */
bool dialect_takes_comments(enum api api);

#endif
