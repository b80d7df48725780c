/* openai_tape.h - recorded exchanges with real providers, for tests: data/cassettes of the
 * shared folder (environment WEIR_SHARED, else ../shared from the checkout). */
#ifndef TESTS_UNIT_OPENAI_TAPE_H
#define TESTS_UNIT_OPENAI_TAPE_H

#include "net/json.h"

struct tape {
    const char *name, *dialect;
    struct bytes request;   /* the body as JSON; empty: not recorded */
    struct bytes answer;    /* the body as JSON; empty for streams */
    struct bytes events;    /* the text of a stream, or its bytes */
    bool binary;            /* bytes: Amazon's framing */
};

/* Call f for each exchange of a dialect; tape borrows until f returns. False: there is no
 * such folder. */
bool tapes_each(const char *dialect, void (*f)(const struct tape *tape, void *arg), void *arg);

/* Find a value by names with dots ("usage.prompt_tokens"), independently of the readers
 * under test. True: *out borrows the value as written; null is not found. */
bool tape_path(struct bytes doc, const char *path, struct bytes *out);

#endif
