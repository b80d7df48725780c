/* tr_note.h - the neutral form of requests and answers as lines of text, for tests to compare:
 * a line per part, tool or event, with what is set in it. */
#ifndef TESTS_UNIT_TR_NOTE_H
#define TESTS_UNIT_TR_NOTE_H

#include "net/translate/ask.h"
#include "net/translate/tell.h"

struct note {                /* all zero is empty */
    char *at;                /* NUL-ended; note_free() */
    size_t len, room;
};
/* Append. */
void note_add(struct note *n, const char *form, ...) __attribute__((format(printf, 2, 3)));
/* What a request says: its settings, its conversation, its tools. Ends with "wrong ..." or
 * "unsayable ..." where it is that. */
void note_ask(struct note *n, struct ask *a);
/* Its conversation alone. */
void note_parts(struct note *n, struct ask *a);
/* Its tools alone. */
void note_tools(struct note *n, struct ask *a);
/* An event of an answer, as tell_take: arg is a struct note. Pieces of a text are joined. */
bool note_tell(void *arg, const struct tell *t);
/* Compare with the text; the test fails where they differ. */
void note_is(const struct note *n, const char *text);
/* Its memory. */
void note_free(struct note *n);

#endif
