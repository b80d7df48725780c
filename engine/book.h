/* book.h - what a request cost: tokens by kind, price, record, journal, log line. */
#ifndef ENGINE_BOOK_H
#define ENGINE_BOOK_H

#include "engine/stats.h"
#include "net/dialect/api.h"
#include "store/journal.h"

struct billed;
struct conn;
struct core;
struct exchange;

/* Enter the exchange, or a twin of x->lead, into the journal's running table. False: the ring
 * has no room. */
MUST_USE bool book_begin(struct core *core, struct exchange *x);
/* Does the usage that the provider told stand, beside what was counted here of prompt and text
 * (x->text_bytes 0: no text, or none counted)? Else our own count is booked. */
bool book_usage_stands(const struct exchange *x);
/* Compute rec's tokens and cost from x->usage (or own counts, flagged) for x->model. */
void book_price(struct core *core, struct exchange *x);
/* The current attempt is billed though the request goes on (it broke after the client had part
 * of it, or its answer was not taken): price what is known of it, append a RECORD_ATTEMPT with
 * that end, pay it from the reservation, add it to the lead's billed, clear the record, let go
 * of the room at its provider. What it says of its endpoint is learned here, by `why`. Before
 * anything of it is reset. False, and nothing is changed: the journal has no room for a record
 * more. */
MUST_USE bool book_attempt(struct core *core, struct exchange *x, enum close_why why);
/* Would book_attempt have room now? */
MUST_USE bool book_attempt_fits(const struct core *core);
/* A twin (twin.h) is over: its RECORD_ATTEMPT and its share of the money. cost: whether it owes
 * anything; nothing is appended where it does not. Instead of book_end(), before its lead's. */
void book_twin(struct core *core, struct exchange *twin, enum close_why why, bool cost);
/* The twin becomes the lead of its family, and the old lead its twin, in the journal and in the
 * rates; x->lead of both is set by the caller, later. */
void book_promote(struct core *core, struct exchange *lead, struct exchange *twin);
/* Add such a record to what was billed. */
void book_add(struct billed *b, const struct record *r);
/* What the client is told of tokens: those of the record, and of the attempts before it whose
 * text is in the answer; not of others, for a client measures by it how full a context is. */
struct api_usage book_all_usage(const struct exchange *x);
/* What the client is told of the cost, in nano-dollars: of all that was billed. */
int64_t book_all_cost(const struct exchange *x);
/* What an attempt was priced at before it failed costs nothing: forget it. */
void book_clear(struct exchange *x);
/* Our own count of the prompt's tokens. */
uint32_t book_prompt_tokens(const struct exchange *x);
/* The bytes of text that so many tokens of the answer are, by our own count. */
uint64_t book_text_bytes(const struct exchange *x, uint64_t tokens);
/* The tokens of a record as usage. */
struct api_usage book_usage(const struct record *r);
/* All of a record's tokens, whatever they cost. */
uint64_t book_tokens(const struct record *r);
/* Bring the running entry up to date (model, tokens so far), at most each 100 ms a stream. */
void book_progress(struct core *core, struct exchange *x);
/* Append the final record, log the line, count. Called once, before the last byte is sent. */
void book_end(struct core *core, struct exchange *x, enum close_why why, unsigned status);
/* Count a request or connection that ends without an exchange, and log its line: a
 * request's fields, empty. id: of the answer, borrowed; "-" where nothing is answered. */
void book_refused(struct core *core, struct conn *c, const char *id, enum close_why why);
/* The reply's cost as text ("0.000123"), nano-dollars exact. out has room for 32. */
size_t book_cost_text(int64_t nusd, char *out);

#endif
