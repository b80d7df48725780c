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
 * Memory: the request, RESUME_WINDOW, three pages, and the text once (twice where the client's
 * dialect repeats it), all of limits.memory; a stream that does not get it, or whose text
 * passes limits.hold, can not be resumed any more, and all of it is given back. What was held
 * before the commit is kept once more until the event of the commit was relayed. */
#ifndef ENGINE_RESUME_H
#define ENGINE_RESUME_H

#include "engine/mem.h"
#include "engine/place.h"
#include "engine/stats.h"

struct core;
struct exchange;

/* Bytes of relayed events that wait to be folded: what a chain holds in pages, not in a
 * block. */
enum { RESUME_WINDOW = 2 * MEM_PAGE };

struct resume {                /* of an exchange, in a page */
    struct chain raw;          /* relayed events that were not folded */
    struct chain said;         /* the answer's text, as written in JSON */
    struct place told;         /* said, for who goes on with it; of told_source */
    struct walk_source told_source;
    struct mem *mem;
    uint64_t said_max;         /* bytes */
    uint64_t billed_bytes;     /* of said, that attempts before the current one wrote */
    uint32_t sequence;         /* of the event behind the last that was relayed (Responses) */
    uint32_t page;             /* where this lies */
    uint32_t broken_model;     /* index into the catalogue: whose answer broke off last */
    uint8_t broken;            /* enum attempt_end: and how */
    uint8_t went_on;           /* how often; the attempt that runs is one of another model's */
    uint8_t how;               /* enum ask_continues: in which way its candidate is asked */
    uint8_t lost;              /* enum translate_lack bits: why nothing is kept any more */
    bool folded;               /* the translator follows what was relayed */
};

/* x has committed: keep what it takes to go on, where routing.resume, its mode, its request and
 * one of the candidates behind the current one allow that. Of an answer that is relayed as it
 * comes, what was held before the commit is kept too. */
void resume_arm(struct core *core, struct exchange *x);
/* A whole event was relayed as it came; x is armed. */
void resume_kept(struct core *core, struct exchange *x, struct bytes event);
/* An event was told by the translator; x is armed. */
void resume_told(struct core *core, struct exchange *x);
/* Something was relayed that nobody can tell again; x is armed. */
void resume_lose(struct core *core, struct exchange *x);
/* Is the request still needed for that? Then it lies in memory of its own from now on. Where
 * nothing is armed: no. */
bool resume_needs_request(struct core *core, struct exchange *x);
/* The committed stream broke: end says how. True: it goes on, or has got its end; x may be
 * over. False: it cannot, nothing was changed; *why: static text for the client, or NULL where
 * nobody wanted that. */
MUST_USE bool resume_try(struct core *core, struct exchange *x, enum attempt_end end,
                         const char **why);
/* Does x's current attempt go on with another one's answer? */
bool resume_goes_on(const struct exchange *x);
/* Can its current candidate? */
bool resume_takes(struct exchange *x);
/* The output limit of the whole answer leaves so much for what is to come. */
void resume_bound(struct exchange *x);
/* Release all. Also where nothing is kept. */
void resume_drop(struct core *core, struct exchange *x);

#endif
