/* resume.h - a stream that broke after the client had a part of it goes on with the plan's next
 * candidate that can (catalog.h, enum catalog_continues), in the same stream of the client's.
 *   commit   -> armed: request and delivered text stay, in counted memory
 *   an event -> kept: relayed ones as they are, up to RESUME_WINDOW; then they are folded: read
 *               and told to the translator (net/translate), whose writer says nothing yet but
 *               knows from then on what a writer of this stream would
 *   a break  -> folded; the attempt is booked (book_attempt); the next candidate gets the
 *               request and the text so far (net/translate/splice.h), and what it answers is
 *               written by that writer: X_ASK and X_WAIT again, with the head sent
 *   its first text -> X_RELAY
 * Where it cannot be gone on with, or nobody can, the stream ends with its error event: never a
 * clean end on half an answer. One that had finished, and lacks only its end, gets it.
 * Memory: RESUME_WINDOW, three pages, and the text once (twice where the client's dialect
 * repeats it), all of limits.memory; a stream that does not get it, or whose text passes
 * limits.hold, can not be resumed any more. */
#ifndef ENGINE_RESUME_H
#define ENGINE_RESUME_H

#include "engine/mem.h"
#include "engine/stats.h"

struct core;
struct exchange;
struct api_event;

enum { RESUME_WINDOW = 16384 };     /* bytes of relayed events that wait to be folded */

struct resume {                /* of an exchange, in a page */
    struct chain raw;          /* relayed events that were not folded */
    struct chain said;         /* the answer's text, as written in JSON */
    uint32_t page;             /* where this lies */
    uint8_t went_on;           /* how often; the attempt that runs is one of another model's */
    uint32_t first_model;      /* index into the catalogue: who began */
};

/* x is about to commit: keep what it takes to go on, where routing.resume, its mode, its
 * request and one of the candidates behind the current one allow that. */
void resume_arm(struct core *core, struct exchange *x);
/* A whole event was relayed as it came. */
void resume_kept(struct core *core, struct exchange *x, struct bytes event);
/* The committed stream broke: end says how, text what for the client. True: it goes on, or has
 * got its end; x may be over. False: it cannot; nothing was changed, and why is added to what
 * the client is told: *why, static text. */
MUST_USE bool resume_try(struct core *core, struct exchange *x, enum attempt_end end,
                         const char **why);
/* Who goes on must not, or need not, any more: release. Also where nothing is kept. */
void resume_drop(struct core *core, struct exchange *x);

#endif
